//! The DNS of a test: a name server on loopback, and a webhook that changes what it answers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::net::UdpSocket;

use crate::stand_in::{Asked, Reply, StandIn};

/// TXT values by name.
#[derive(Clone, Default)]
pub struct Zone(Arc<Mutex<Contents>>);

#[derive(Default)]
struct Contents {
    values: BTreeMap<String, Vec<String>>,
    /// Changes are taken and not shown.
    hidden: bool,
}

impl Zone {
    pub fn has(&self, name: &str, value: &str) -> bool {
        self.0.lock().unwrap().values.get(name).is_some_and(|it| it.iter().any(|one| one == value))
    }

    /// Every name with its number of values.
    pub fn names(&self) -> Vec<(String, usize)> {
        self.0.lock().unwrap().values.iter().map(|(name, values)| (name.clone(), values.len())).collect()
    }

    pub fn hide(&self, hidden: bool) {
        self.0.lock().unwrap().hidden = hidden;
    }

    fn shown(&self, name: &str) -> Vec<String> {
        let contents = self.0.lock().unwrap();
        if contents.hidden { Vec::new() } else { contents.values.get(name).cloned().unwrap_or_default() }
    }

    fn change(&self, asked: &Asked) -> Reply {
        let text = |name: &str| asked.body[name].as_str().unwrap_or_default().to_owned();
        if asked.header("x-chancery-signature").is_none() {
            return Reply::text(401, "not signed");
        }
        let (name, value) = (text("name"), text("value"));
        let values = &mut self.0.lock().unwrap().values;
        match text("action").as_str() {
            "set" => {
                let at = values.entry(name).or_default();
                if !at.contains(&value) {
                    at.push(value);
                }
            }
            "remove" => {
                values.entry(name).or_default().retain(|it| *it != value);
                values.retain(|_, values| !values.is_empty());
            }
            other => return Reply::text(400, format!("no such action: {other}")),
        }
        Reply::text(204, "")
    }

    /// A name server for the zone, over UDP.
    pub async fn serve(&self) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let (address, zone) = (socket.local_addr().unwrap(), self.clone());
        tokio::spawn(async move {
            let mut question = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut question).await {
                let answer = zone.answer(&question[..length]);
                let _ = socket.send_to(&answer, from).await;
            }
        });
        address
    }

    /// RFC 1035 §4: the question again, and the TXT records of its name.
    fn answer(&self, message: &[u8]) -> Vec<u8> {
        let (mut at, mut labels) = (12, Vec::new());
        while message[at] != 0 {
            let length = usize::from(message[at]);
            labels.push(String::from_utf8_lossy(&message[at + 1..at + 1 + length]).to_ascii_lowercase());
            at += 1 + length;
        }
        let question = &message[12..at + 5];
        let is_txt = message[at + 1..at + 3] == [0, 16];
        let values = if is_txt { self.shown(&labels.join(".")) } else { Vec::new() };
        let count = u16::try_from(values.len()).unwrap().to_be_bytes();
        let mut answer = [&message[..2], &[0x85, 0x80, 0, 1], &count, &[0, 0, 0, 0], question].concat();
        for value in values {
            let length = u8::try_from(value.len()).unwrap();
            answer.extend([0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 0]);
            answer.extend((u16::from(length) + 1).to_be_bytes());
            answer.push(length);
            answer.extend(value.as_bytes());
        }
        answer
    }

    pub async fn webhook(&self) -> StandIn {
        let zone = self.clone();
        StandIn::start(move |asked| zone.change(asked)).await
    }
}
