//! An HTTP/1.1 client of the least cost: one connection kept alive, requests prepared as bytes, answers with a length.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// More than any answer here, but for CRLs.
const ANSWER_MAX: usize = 4 * 1024 * 1024;
const LARGE_ANSWER_MAX: usize = 256 * 1024 * 1024;

pub struct Connection {
    stream: TcpStream,
    /// What came in, from the first byte of the present answer.
    buffer: Vec<u8>,
    answer_max: usize,
}

pub struct Answer<'a> {
    pub status: u16,
    pub body: &'a [u8],
}

/// A whole request as it goes over the wire.
pub fn request(method: &str, path: &str, token: Option<&str>, body: Option<&str>) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: bench\r\n");
    if let Some(token) = token {
        text.push_str(&format!("Authorization: Bearer {token}\r\n"));
    }
    if let Some(body) = body {
        text.push_str(&format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    text.push_str(body.unwrap_or_default());
    text.into_bytes()
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Result<Self, String> {
        let stream = TcpStream::connect(address).await.map_err(|error| format!("{address}: {error}"))?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        Ok(Self { stream, buffer: Vec::with_capacity(16 * 1024), answer_max: ANSWER_MAX })
    }

    /// For answers as large as CRLs.
    pub async fn open_large(address: SocketAddr) -> Result<Self, String> {
        Ok(Self { answer_max: LARGE_ANSWER_MAX, ..Self::open(address).await? })
    }

    /// Sends a prepared request and reads its answer.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<Answer<'_>, String> {
        self.buffer.clear();
        self.stream.write_all(request).await.map_err(|error| format!("sending: {error}"))?;
        let head = loop {
            if let Some(head) = Head::parse(&self.buffer)? {
                break head;
            }
            self.read_more().await?;
        };
        let end = head.length + head.body_length;
        while self.buffer.len() < end {
            self.read_more().await?;
        }
        let body = self.buffer.get(head.length..end).unwrap_or_default();
        Ok(Answer { status: head.status, body })
    }

    /// Asks once and expects 200 with a JSON body.
    pub async fn json(&mut self, request: &[u8]) -> Result<serde_json::Value, String> {
        let Answer { status, body } = self.exchange(request).await?;
        if status != 200 {
            return Err(format!("answered {status}: {}", String::from_utf8_lossy(body)));
        }
        serde_json::from_slice(body).map_err(|error| format!("not JSON: {error}"))
    }

    async fn read_more(&mut self) -> Result<(), String> {
        let count = self.stream.read_buf(&mut self.buffer).await.map_err(|error| format!("reading: {error}"))?;
        match count {
            0 => Err("the server closed the connection".to_owned()),
            _ if self.buffer.len() > self.answer_max => Err("an answer beyond all bounds".to_owned()),
            _ => Ok(()),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    /// With the empty line that ends it.
    length: usize,
    body_length: usize,
}

impl Head {
    fn parse(bytes: &[u8]) -> Result<Option<Self>, String> {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
        let text = bytes.get(..end).and_then(|head| std::str::from_utf8(head).ok()).ok_or("a head that is no text")?;
        let mut lines = text.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
        let length = lines.filter_map(|line| line.split_once(':')).find_map(|(name, value)| {
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
        });
        let body_length = length.ok_or("an answer without a length")?;
        Ok(Some(Self { status: status.ok_or("an answer without a status")?, length: end + 4, body_length }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_when_they_are_complete() {
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n{";
        let expected = Head { status: 200, length: head.len() - 1, body_length: 12 };
        assert_eq!(Head::parse(head), Ok(Some(expected)));
        assert_eq!(Head::parse(b"HTTP/1.1 200 OK\r\ncontent-le"), Ok(None));
        assert!(Head::parse(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
    }

    #[test]
    fn a_request_says_how_long_it_is() {
        let bytes = request("POST", "/a", Some("t"), Some("{}"));
        let text = String::from_utf8(bytes).expect("text");
        assert!(text.starts_with("POST /a HTTP/1.1\r\n") && text.ends_with("Content-Length: 2\r\n\r\n{}"), "{text}");
    }
}
