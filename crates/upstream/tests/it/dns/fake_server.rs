//! A DNS server that answers as a test wants, over UDP and TCP; and a plain question to any server.

use std::net::SocketAddr;
use std::sync::Arc;

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

/// The octets of an answer to the octets of a question; `None` is silence.
type Answering = dyn Fn(&[u8]) -> Option<Vec<u8>> + Send + Sync;

pub async fn fake_server(answering: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + Sync + 'static) -> SocketAddr {
    let answering: Arc<Answering> = Arc::new(answering);
    let (tcp, udp) = loop {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
            break (tcp, udp);
        }
    };
    let address = tcp.local_addr().unwrap();
    let by_udp = Arc::clone(&answering);
    tokio::spawn(async move {
        let mut question = [0; 4096];
        while let Ok((length, peer)) = udp.recv_from(&mut question).await {
            if let Some(mut answer) = by_udp(&question[..length]) {
                // RFC 2181 §9: what does not fit is asked for again over TCP.
                if answer.len() > 1_232 {
                    answer = Message::from_vec(&answer).unwrap().truncate().to_vec().unwrap();
                }
                let _ = udp.send_to(&answer, peer).await;
            }
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = tcp.accept().await {
            let answering = Arc::clone(&answering);
            tokio::spawn(async move {
                while let Ok(length) = stream.read_u16().await {
                    let mut question = vec![0; usize::from(length)];
                    stream.read_exact(&mut question).await?;
                    match answering(&question) {
                        Some(answer) => {
                            stream.write_u16(u16::try_from(answer.len()).unwrap()).await?;
                            stream.write_all(&answer).await?;
                        }
                        None => std::future::pending::<()>().await,
                    }
                }
                Ok::<_, std::io::Error>(())
            });
        }
    });
    address
}

/// An answer to a question, to be filled in.
pub fn reply_to(question: &[u8]) -> Message {
    let question = Message::from_vec(question).unwrap();
    let mut reply = Message::new(question.metadata.id, MessageType::Response, question.metadata.op_code);
    reply.metadata.authoritative = true;
    reply.add_queries(question.queries.clone());
    reply
}

/// The values of a TXT record, by a plain question over TCP.
pub async fn values_at(server: SocketAddr, name: &str) -> Vec<String> {
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(format!("{name}.")).unwrap(), RecordType::TXT));
    let bytes = message.to_vec().unwrap();
    let mut stream = TcpStream::connect(server).await.unwrap();
    stream.write_u16(u16::try_from(bytes.len()).unwrap()).await.unwrap();
    stream.write_all(&bytes).await.unwrap();
    let mut reply = vec![0; usize::from(stream.read_u16().await.unwrap())];
    stream.read_exact(&mut reply).await.unwrap();
    let mut values: Vec<_> = Message::from_vec(&reply)
        .unwrap()
        .answers
        .iter()
        .filter_map(|record| match &record.data {
            RData::TXT(txt) => Some(String::from_utf8(txt.txt_data.concat()).unwrap()),
            _ => None,
        })
        .collect();
    values.sort();
    values
}
