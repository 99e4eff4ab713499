//! The listener asked as a validating CA asks: rustls with any certificate accepted and then looked into.

use std::net::SocketAddr;

use chancery_model::Timestamp;
use chancery_model::random::SeededRandomness;
use chancery_model::time::FixedClock;
use chancery_pkix::Certificate;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme, SupportedProtocolVersion};
use tokio_rustls::TlsConnector;

use super::*;

const NOW: i64 = 1_768_478_400;

async fn served(header_timeout: Duration) -> (SocketAddr, oneshot::Sender<()>) {
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let limits = Limits {
        connections_max: 64,
        header_bytes_max: 8_192,
        header_timeout,
        stop_timeout: Duration::from_secs(1),
        failed_calls_per_second: 0,
        repository_calls_per_second: 0,
    };
    let listener = TlsChallenges {
        challenges: super::super::tests::challenges(),
        clock: Arc::new(FixedClock::at(Timestamp::from_seconds(NOW))),
        randomness: Arc::new(SeededRandomness::new(7)),
        limits,
    };
    tokio::spawn(listener.serve(tcp, stopped));
    (address, stop)
}

/// RFC 8737 §3: the certificate is self-signed, so nobody vouches for it; what it says is looked at afterwards.
#[derive(Debug)]
struct AnyCertificate(CryptoProvider);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// The certificate that is shown for a name, or why none is.
async fn shown(
    address: SocketAddr,
    name: &str,
    alpn: &[&[u8]],
    version: &'static SupportedProtocolVersion,
) -> Result<Certificate, String> {
    let provider = provider::default_provider();
    let mut client = ClientConfig::builder_with_provider(Arc::new(provider.clone()))
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    client.alpn_protocols = alpn.iter().map(|it| it.to_vec()).collect();
    let tcp = TcpStream::connect(address).await.unwrap();
    let connector = TlsConnector::from(Arc::new(client));
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut stream = connector.connect(name, tcp).await.map_err(|error| error.to_string())?;
    // With TLS 1.3 the server's refusal may come after the client believes to be done.
    stream.flush().await.map_err(|error| error.to_string())?;
    let (_, connection) = stream.get_ref();
    assert_eq!(connection.alpn_protocol(), Some(ALPN));
    let shown = connection.peer_certificates().unwrap();
    assert_eq!(shown.len(), 1);
    Ok(Certificate::from_der(&shown[0]).unwrap())
}

#[tokio::test]
async fn a_published_name_is_answered_by_a_certificate_that_says_only_that() {
    let (address, _stop) = served(Duration::from_secs(30)).await;
    for (name, published, kind, value) in [
        ("www.acme.test", "www.acme.test", GeneralNameKind::DnsName, "www.acme.test"),
        ("WWW.acme.test", "www.acme.test", GeneralNameKind::DnsName, "www.acme.test"),
        ("7.2.0.192.in-addr.arpa", "7.2.0.192.in-addr.arpa", GeneralNameKind::IpAddress, "192.0.2.7"),
    ] {
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let certificate = shown(address, name, &[ALPN], version).await.unwrap();
            let authorization = format!("{published}.authorization");
            let expected = Extensions {
                subject_alt_names: vec![GeneralName::parse(kind, value).unwrap()],
                acme_identifier: digest(&SHA256, authorization.as_bytes()).as_ref().try_into().ok(),
                ..Extensions::default()
            };
            assert_eq!(certificate.extensions(), &expected, "{name}");
            assert!(certificate.is_signed_by(&certificate.public_key().unwrap()), "{name}: self-signed");
            let validity = certificate.validity();
            assert!((validity.not_before..=validity.not_after).contains(&NOW), "{name}");
        }
    }
}

#[tokio::test]
async fn every_answer_has_a_key_of_its_own() {
    let (address, _stop) = served(Duration::from_secs(30)).await;
    let first = shown(address, "www.acme.test", &[ALPN], &rustls::version::TLS13).await.unwrap();
    let second = shown(address, "www.acme.test", &[ALPN], &rustls::version::TLS13).await.unwrap();
    assert_ne!(first.public_key().unwrap().spki_der(), second.public_key().unwrap().spki_der());
}

#[tokio::test]
async fn other_names_and_other_protocols_are_refused_in_the_handshake() {
    let (address, _stop) = served(Duration::from_secs(30)).await;
    let cases: [(&str, &[&[u8]]); 6] = [
        ("other.acme.test", &[ALPN]),
        ("broken", &[ALPN]),
        ("8.2.0.192.in-addr.arpa", &[ALPN]),
        ("www.acme.test", &[]),
        ("www.acme.test", &[b"http/1.1"]),
        ("www.acme.test", &[ALPN, b"http/1.1"]),
    ];
    for (name, alpn) in cases {
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            assert!(shown(address, name, alpn, version).await.is_err(), "{name} {alpn:?}");
        }
    }
}

#[tokio::test]
async fn whoever_says_nothing_is_let_go() {
    use tokio::io::AsyncReadExt as _;

    let (address, _stop) = served(Duration::from_millis(100)).await;
    let mut silent = TcpStream::connect(address).await.unwrap();
    let closed = tokio::time::timeout(Duration::from_secs(20), silent.read(&mut [0; 16])).await;
    assert!(matches!(closed, Ok(Ok(0) | Err(_))), "the connection is closed");
}

#[test]
fn reverse_names_are_addresses_and_others_are_not() {
    let six = "8.b.d.0.1.0.0.2.ip6.arpa";
    let long = "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
    for (name, expected) in [
        ("7.2.0.192.in-addr.arpa", Some("192.0.2.7")),
        (long, Some("2001:db8::7")),
        (six, None),
        ("2.0.192.in-addr.arpa", None),
        ("256.2.0.192.in-addr.arpa", None),
        ("www.acme.test", None),
    ] {
        assert_eq!(reversed(name), expected.map(|it| it.parse().unwrap()), "{name}");
    }
}
