//! WebDriver's wire: JSON over HTTP to a driver on this machine.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::super::must;
use super::Fault;

/// A page may take a minute to load; the driver answers after that at the latest.
const TIMEOUT: Duration = Duration::from_secs(90);
/// For Chromium to end.
const GOODBYE: Duration = Duration::from_secs(5);

/// A session of a driver. Ended when dropped, and the browser with it.
pub(super) struct Session {
    driver: SocketAddr,
    id: String,
    client: Client,
}

impl Session {
    pub async fn open(driver: SocketAddr, capabilities: &Value) -> Result<Self, Fault> {
        let client = must("a client", Client::builder().tls_certs_only([]).no_proxy().timeout(TIMEOUT).build());
        let mut session = Self { driver, id: String::new(), client };
        let wanted = json!({"capabilities": {"alwaysMatch": capabilities}});
        let made = session.send(Method::POST, format!("http://{driver}/session"), &wanted).await?;
        session.id = made.get("sessionId").and_then(Value::as_str).unwrap_or_default().to_owned();
        if session.id.is_empty() { Err(format!("no session: {made}")) } else { Ok(session) }
    }

    pub async fn call(&self, method: Method, path: &str, body: &Value) -> Result<Value, Fault> {
        self.send(method, format!("http://{}/session/{}/{path}", self.driver, self.id), body).await
    }

    /// The `value` of the answer; of a refusal, its reason.
    async fn send(&self, method: Method, url: String, body: &Value) -> Result<Value, Fault> {
        let mut request = self.client.request(method, &url);
        if !body.is_null() {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(|error| format!("the driver does not answer: {error:?}"))?;
        let good = answer.status().is_success();
        let mut answer: Value = answer.json().await.map_err(|error| format!("the driver's answer: {error:?}"))?;
        let value = answer.get_mut("value").map(Value::take).unwrap_or_default();
        if good {
            return Ok(value);
        }
        let part = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
        // The lines that follow are the driver's own stack.
        let message = part("message").lines().next().unwrap_or_default();
        Err(format!("{}: {message}", part("error")))
    }
}

impl Drop for Session {
    /// By hand and blocking: nothing asynchronous can be awaited here, and a folder is not to go before its browser.
    fn drop(&mut self) {
        let Ok(mut stream) = TcpStream::connect_timeout(&self.driver, GOODBYE) else { return };
        drop(stream.set_read_timeout(Some(GOODBYE)));
        let request =
            format!("DELETE /session/{} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.id, self.driver);
        if stream.write_all(request.as_bytes()).is_ok() {
            let mut answer = [0; 512];
            drop(stream.read(&mut answer));
        }
    }
}
