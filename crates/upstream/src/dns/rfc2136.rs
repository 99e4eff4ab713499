//! Dynamic updates (RFC 2136), signed (TSIG, RFC 8945), over TCP. Values are added and removed one by one, and the server
//! ignores what is there or gone already (RFC 2136 §2.5.1, §2.5.4).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use chancery_authority::external::{Asking, OpenedConnection, UpstreamError};
use chancery_egress::Egress;
use chancery_model::{Clock, Randomness};
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::rdata::tsig::{TSIG, TsigAlgorithm, TsigError};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType, TSigner};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zeroize::Zeroizing;

use super::{DnsProvider, TTL, Txt};

/// For the whole exchange with one address.
const EXCHANGE: Duration = Duration::from_secs(5);
const ADDRESSES_MAX: usize = 4;
/// Seconds that the two clocks may be apart (RFC 8945 §10 recommends it).
const FUDGE: u16 = 300;
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub(super) struct Rfc2136<'c> {
    egress: &'c Egress,
    clock: &'c dyn Clock,
    randomness: &'c dyn Randomness,
    /// As it was configured; for people.
    server: &'c str,
    host: String,
    port: u16,
    signer: TSigner,
    /// To try the key with.
    zone: Option<&'c str>,
}

impl<'c> Rfc2136<'c> {
    pub fn new(
        egress: &'c Egress,
        clock: &'c dyn Clock,
        randomness: &'c dyn Randomness,
        connection: &'c OpenedConnection,
    ) -> Result<Self, UpstreamError> {
        let server = connection.required("server")?;
        let (host, port) = host_and_port(server)?;
        let algorithm = match connection.field("algorithm").unwrap_or("hmac-sha256") {
            "hmac-sha256" => TsigAlgorithm::HmacSha256,
            "hmac-sha384" => TsigAlgorithm::HmacSha384,
            "hmac-sha512" => TsigAlgorithm::HmacSha512,
            _ => return Err(UpstreamError::lasting("algorithm must be hmac-sha256, hmac-sha384 or hmac-sha512")),
        };
        let secret = connection.required("secret")?.trim();
        let secret =
            BASE64.decode(secret).map_err(|_| UpstreamError::lasting("secret of the TSIG key is not base64"))?;
        let key_name = absolute(connection.required("keyName")?)?;
        let signer = TSigner::new(secret, algorithm, key_name, FUDGE)
            .map_err(|error| UpstreamError::lasting("the TSIG key cannot be used").with_detail(error.to_string()))?;
        Ok(Self { egress, clock, randomness, server, host, port, signer, zone: connection.field("zone") })
    }

    async fn update(&self, txt: Txt<'_>, is_wanted: bool) -> Result<(), UpstreamError> {
        let mut message = self.update_of(txt.zone)?;
        let data = RData::TXT(TXT::new(vec![txt.value.to_owned()]));
        let mut record = Record::from_rdata(absolute(txt.name)?, TTL, data);
        if !is_wanted {
            record.dns_class = DNSClass::NONE;
            record.ttl = 0;
        }
        // The update section is where other messages have their authority section (RFC 2136 §2).
        message.add_authority(record);
        let answer = self.exchange(message).await?;
        self.judge(&answer, txt.zone, txt.name)
    }

    /// With a zone: an update of nothing, which shows whether the key may change it. Without: any question, since some
    /// servers look at the key of every one (BIND); others (Knot) do so only for a zone that they have, and about those
    /// nothing more can be said than that they answer.
    async fn verify(&self) -> Result<(), UpstreamError> {
        if let Some(zone) = self.zone {
            let answer = self.exchange(self.update_of(zone)?).await?;
            return self.judge(&answer, zone, zone);
        }
        let mut message = Message::new(self.id(), MessageType::Query, OpCode::Query);
        message.add_query(Query::query(Name::root(), RecordType::SOA));
        let answer = self.exchange(message).await?;
        match answer.message.metadata.response_code {
            _ if tsig_error(&answer.message).is_some() => self.judge(&answer, ".", "."),
            _ if answer.is_signed => Ok(()),
            ResponseCode::Refused | ResponseCode::NoError => Ok(()),
            _ => self.judge(&answer, ".", "."),
        }
    }

    /// An update of the zone, with nothing in it yet.
    fn update_of(&self, zone: &str) -> Result<Message, UpstreamError> {
        let mut message = Message::new(self.id(), MessageType::Query, OpCode::Update);
        let mut section = Query::query(absolute(zone)?, RecordType::SOA);
        section.set_query_class(DNSClass::IN);
        message.add_query(section);
        Ok(message)
    }

    fn id(&self) -> u16 {
        let mut id = [0; 2];
        self.randomness.fill(&mut id);
        u16::from_be_bytes(id)
    }

    /// Asks the addresses one after the other until one answers.
    async fn exchange(&self, mut message: Message) -> Result<Answer, UpstreamError> {
        let addresses = self.addresses().await?;
        let now = u64::try_from(self.clock.now().as_seconds()).unwrap_or(0);
        let failed = |detail: String| UpstreamError::lasting("the DNS update cannot be written").with_detail(detail);
        let verifier = message.finalize(&self.signer, now).map_err(|error| failed(error.to_string()))?;
        let mut verifier = verifier.ok_or_else(|| failed("nothing to verify by".to_owned()))?;
        let bytes = message.to_vec().map_err(|error| failed(error.to_string()))?;
        let mut last = "it has no address".to_owned();
        for address in addresses {
            match tokio::time::timeout(EXCHANGE, over_tcp(address, &bytes)).await {
                Ok(Ok(reply)) => {
                    let answer = Message::from_vec(&reply).ok().filter(|it| it.metadata.id == message.metadata.id);
                    let Some(answer) = answer else {
                        return Err(UpstreamError::passing(format!(
                            "the DNS server {} answered with something else than a DNS message",
                            self.server
                        )));
                    };
                    let is_signed = is_sound(&reply, &answer) && verifier.verify(&reply).is_ok();
                    return Ok(Answer { message: answer, is_signed });
                }
                Ok(Err(error)) => last = format!("{address}: {error}"),
                Err(_) => last = format!("{address}: no answer in time"),
            }
        }
        Err(UpstreamError::passing(format!("the DNS server {} cannot be reached over TCP", self.server))
            .with_detail(last))
    }

    async fn addresses(&self) -> Result<Vec<SocketAddr>, UpstreamError> {
        let found: Vec<_> = match tokio::net::lookup_host((self.host.as_str(), self.port)).await {
            Ok(found) => found.take(ADDRESSES_MAX).collect(),
            Err(error) => {
                return Err(UpstreamError::passing(format!("the DNS server {} is not known by name", self.server))
                    .with_detail(error.to_string()));
            }
        };
        if found.iter().all(|it| self.egress.allows(it.ip())) {
            return Ok(found);
        }
        Err(UpstreamError::lasting(format!(
            "the DNS server {} is at an address that this server may not ask; the operator allows inner networks by egress_allowed_networks",
            self.server
        )))
    }

    /// What the answer means for whoever has set the zone up.
    fn judge(&self, answer: &Answer, zone: &str, name: &str) -> Result<(), UpstreamError> {
        let server = format!("the DNS server {}", self.server);
        let key = self.signer.signer_name().to_ascii();
        let key = key.trim_end_matches('.');
        if let Some((error, tsig)) = tsig_error(&answer.message) {
            return Err(match error {
                // Knot says this too where the key is known and the zone's acl does not have it.
                TsigError::BadKey => UpstreamError::lasting(format!(
                    "{server} does not take the TSIG key {key} for the zone {zone} (BADKEY); compare keyName and algorithm with its configuration, and whether the key may change the zone"
                )),
                TsigError::BadSig | TsigError::BadTrunc => UpstreamError::lasting(format!(
                    "{server} has another secret for the TSIG key {key} (BADSIG); compare secret with its configuration"
                )),
                TsigError::BadTime => UpstreamError::passing(format!(
                    "the clocks of {server} and of this server are more than {FUDGE} seconds apart (BADTIME){}",
                    theirs(tsig)
                )),
                TsigError::Unknown(code) => {
                    UpstreamError::lasting(format!("{server} refuses the TSIG key {key} (error {code})"))
                }
            });
        }
        match answer.message.metadata.response_code {
            ResponseCode::NoError if answer.is_signed => Ok(()),
            ResponseCode::NoError => Err(UpstreamError::passing(format!(
                "{server} did not sign its answer with the TSIG key {key}; whether it has done anything is not known"
            ))),
            ResponseCode::Refused => Err(UpstreamError::lasting(format!(
                "{server} does not let the TSIG key {key} change {name} in the zone {zone} (REFUSED); allow it there (BIND: update-policy, Knot: acl)"
            ))),
            ResponseCode::NotAuth => Err(UpstreamError::lasting(format!(
                "{server} is not the primary of the zone {zone}, or the TSIG key {key} is not for it (NOTAUTH); correct hostedZoneId or server"
            ))),
            ResponseCode::NotZone => Err(UpstreamError::lasting(format!(
                "{server} says that {name} does not lie in the zone {zone} (NOTZONE); correct hostedZoneId of the DNS zone"
            ))),
            ResponseCode::ServFail => Err(UpstreamError::passing(format!(
                "{server} could not change the zone {zone} (SERVFAIL); see its log"
            ))),
            code => Err(UpstreamError::lasting(format!("{server} refuses the update of the zone {zone} ({code})"))),
        }
    }
}

/// A DNS message, and whether it proves to come from whoever has the key.
struct Answer {
    message: Message,
    is_signed: bool,
}

impl DnsProvider for Rfc2136<'_> {
    fn add_txt<'a>(&'a self, txt: Txt<'a>) -> Asking<'a, ()> {
        Box::pin(self.update(txt, true))
    }

    fn remove_txt<'a>(&'a self, txt: Txt<'a>) -> Asking<'a, ()> {
        Box::pin(self.update(txt, false))
    }

    fn check(&self) -> Asking<'_, ()> {
        Box::pin(self.verify())
    }
}

/// Why the signature was not taken, if it was not.
fn tsig_error(message: &Message) -> Option<(TsigError, &TSIG)> {
    let tsig = &message.signature.as_ref()?.data;
    tsig.error.filter(|it| *it != TsigError::Unknown(0)).map(|error| (error, tsig))
}

/// RFC 1035 §4.2.2: two octets of length, then the message.
async fn over_tcp(address: SocketAddr, message: &[u8]) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let too_long = |_| std::io::Error::other("the message is too long");
    let length = u16::try_from(message.len()).map_err(too_long)?;
    let mut stream = TcpStream::connect(address).await?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(message);
    stream.write_all(&framed).await?;
    let length = stream.read_u16().await?;
    let mut reply = Zeroizing::new(vec![0; usize::from(length)]);
    stream.read_exact(&mut reply).await?;
    Ok(reply)
}

/// What the library's verification takes for granted of a message.
fn is_sound(reply: &[u8], message: &Message) -> bool {
    let count =
        |at: usize| reply.get(at..at + 2).map_or(0, |it| it.iter().fold(0_u32, |sum, it| sum << 8 | u32::from(*it)));
    let is_countable = count(6) + count(8) <= u32::from(u16::MAX);
    is_countable && message.signature.as_ref().is_some_and(|it| it.data.time >= u64::from(it.data.fudge))
}

/// RFC 8945 §5.2.3: with BADTIME the server tells its own time.
fn theirs(tsig: &TSIG) -> String {
    match tsig.other.as_slice() {
        octets @ [_, _, _, _, _, _] => {
            let seconds = octets.iter().fold(0_i64, |sum, it| sum << 8 | i64::from(*it));
            format!("; there it is {}", chancery_model::Timestamp::from_seconds(seconds))
        }
        _ => String::new(),
    }
}

fn absolute(name: &str) -> Result<Name, UpstreamError> {
    let mut parsed = Name::from_ascii(name)
        .map_err(|error| UpstreamError::lasting(format!("{name} is not a DNS name")).with_detail(error.to_string()))?;
    parsed.set_fqdn(true);
    Ok(parsed.to_lowercase())
}

/// `host`, `host:port`, an address, `[address]:port`.
fn host_and_port(text: &str) -> Result<(String, u16), UpstreamError> {
    let text = text.trim();
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok((address.to_string(), 53));
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok((address.ip().to_string(), address.port()));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, port.parse().ok().filter(|it| *it != 0)),
        None => (text, Some(53)),
    };
    let is_name = !host.is_empty() && Name::from_ascii(host).is_ok();
    match port {
        Some(port) if is_name => Ok((host.to_owned(), port)),
        _ => Err(UpstreamError::lasting(format!("server: {text} is not a host name or address with an optional port"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_name_or_an_address_with_an_optional_port() {
        for (text, expected) in [
            ("ns1.example.com", Some(("ns1.example.com", 53))),
            ("ns1.example.com:5353", Some(("ns1.example.com", 5353))),
            ("192.0.2.1", Some(("192.0.2.1", 53))),
            ("192.0.2.1:54", Some(("192.0.2.1", 54))),
            ("2001:db8::1", Some(("2001:db8::1", 53))),
            ("[2001:db8::1]:54", Some(("2001:db8::1", 54))),
            ("ns1.example.com:0", None),
            ("ns1.example.com:port", None),
            (":53", None),
            ("https://ns1.example.com", None),
        ] {
            let expected = expected.map(|(host, port)| (host.to_owned(), port));
            assert_eq!(host_and_port(text).ok(), expected, "{text}");
        }
    }
}
