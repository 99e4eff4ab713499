//! Certification requests: signatures, keys, encodings, PEM.

use chancery_keys::PrivateKey;
use chancery_pkix::{KeyAlgorithm, pem};
use chancery_testkit::world::{certification_request, text};
use serde_json::json;

use super::forge::{
    CHALLENGE_PASSWORD, Forge, KEY_USAGE, SAN, SEQUENCE, SET, ec_spki, extension, extension_request, modulus,
    rsa_request, tlv, to_pem,
};
use super::{CERTIFICATES, Desk, SCHEMA, assert_audited, bad_request};

/// Every request of the table is refused with its code, and the refusals are audited.
async fn check(desk: Desk, cases: &[(String, Vec<u8>, &'static str)]) {
    let mut ids = Vec::new();
    for (name, der, code) in cases {
        let body = json!({"profileId": desk.open, "csr": to_pem(der), "attributes": {"ttl": "30d"}});
        let words: &[&str] = if *code == "asn1.not_der" { &["csr: ", "offset"] } else { &["csr: "] };
        let answer = desk.refuses(&body, bad_request(code), words).await;
        assert!(!text(&answer, "/message").is_empty(), "{name}");
        ids.push(text(&answer, "/reqId"));
    }
    assert_audited(&desk.world, &ids).await;
    desk.closes(0).await;
}

fn named<const N: usize>(cases: [(&str, Vec<u8>, &'static str); N]) -> Vec<(String, Vec<u8>, &'static str)> {
    cases.into_iter().map(|(name, der, code)| (name.to_owned(), der, code)).collect()
}

#[tokio::test]
async fn a_signature_that_does_not_verify_reserves_nothing() {
    let (forge, other) = (Forge::new(), Forge::new());
    let mut flipped = forge.with_attributes(&[]);
    *flipped.last_mut().unwrap() ^= 1;
    let by_another = other.with_key(&forge.spki);
    let mut subject_changed = forge.with_attributes(&[]);
    let at = subject_changed.windows(3).position(|it| it == b"www").unwrap();
    subject_changed[at] = b'x';
    let cases = named([
        ("one bit of the signature", flipped, "csr.bad_signature"),
        ("signed by another key", by_another, "csr.bad_signature"),
        ("changed after signing", subject_changed, "csr.bad_signature"),
    ]);
    check(Desk::open().await, &cases).await;
}

#[tokio::test]
async fn weak_and_giant_rsa_keys_are_refused_with_the_allowed_sizes() {
    let forge = Forge::new();
    let mut cases: Vec<_> = [512, 1_024, 2_047, 2_049, 2_056, 8_192, 16_384, 65_536]
        .into_iter()
        .map(|bits| (format!("{bits} bits"), rsa_request(&forge, &modulus(bits), &[1, 0, 1]), "key.size"))
        .collect();
    let beyond_the_modulus = [&[1][..], &[0; 256], &[1]].concat();
    for (name, exponent) in [
        ("1", vec![1]),
        ("2", vec![2]),
        ("3", vec![3]),
        ("65536", vec![1, 0, 0]),
        ("2^257+1", [&[2][..], &[0; 31], &[1]].concat()),
        ("beyond n", beyond_the_modulus),
    ] {
        cases.push((format!("exponent {name}"), rsa_request(&forge, &modulus(2_048), &exponent), "key.exponent"));
    }
    let desk = Desk::open().await;
    let body = json!({"profileId": desk.open, "csr": to_pem(&cases[1].1)});
    desk.refuses(&body, bad_request("key.size"), &["2048", "3072", "4096"]).await;
    check(desk, &cases).await;
}

#[tokio::test]
async fn points_that_are_not_plain_points_of_the_curve_are_refused() {
    let forge = Forge::new();
    let point = forge.point();
    let (x, y) = (&point[1..33], &point[33..]);
    let mut off_curve = point.clone();
    *off_curve.last_mut().unwrap() ^= 1;
    let cases: Vec<_> = [
        ("off the curve", off_curve),
        ("infinity", vec![0]),
        ("x beyond p", [&[4][..], &[0xff; 32], y].concat()),
        ("compressed", [&[2 | (y[31] & 1)][..], x].concat()),
        ("hybrid", [&[6 | (y[31] & 1)][..], x, y].concat()),
        ("short", point[..64].to_vec()),
        ("long", [&point[..], &[0]].concat()),
        ("empty", Vec::new()),
    ]
    .into_iter()
    .map(|(name, point)| (name.to_owned(), forge.with_key(&ec_spki(&point)), "key.point"))
    .collect();
    check(Desk::open().await, &cases).await;
}

#[tokio::test]
async fn encodings_that_are_not_der_are_refused_with_the_offset() {
    let forge = Forge::new();
    let good = forge.with_attributes(&[]);
    let header = if good[1] < 0x80 { 2 } else { 2 + usize::from(good[1] & 0x7f) };
    let indefinite = [&[SEQUENCE, 0x80], &good[header..], &[0, 0]].concat();
    let long_form =
        [&[SEQUENCE, 0x84, 0, 0], &u16::try_from(good.len() - header).unwrap().to_be_bytes()[..], &good[header..]]
            .concat();
    let long_zero = forge.sign(&tlv(SEQUENCE, &[&[2, 2, 0, 0], &forge.subject, &forge.spki, &[0xa0, 0]]));
    let true_is_1 = forge.with_extensions(&[&extension(KEY_USAGE, &[1, 1, 1], &[3, 2, 7, 0x80])]);
    let password = tlv(SEQUENCE, &[CHALLENGE_PASSWORD, &tlv(SET, &[&tlv(0x0c, &[b"tell-nobody"])])]);
    let request = extension_request(&[]);
    let unsorted = if password < request { [&request[..], &password] } else { [&password[..], &request] };
    let names = tlv(SEQUENCE, &[&tlv(0x82, &[b"www.acme.test"])]);
    let after_value = forge.with_extensions(&[&extension(SAN, &[], &[&names[..], &[0]].concat())]);
    let key = [&forge.spki[..], &[0]].concat();
    let inside_key = tlv(SEQUENCE, &[&key[2..]]);
    let cases = named([
        ("indefinite length", indefinite, "asn1.not_der"),
        ("non-minimal length", long_form, "asn1.not_der"),
        ("non-minimal INTEGER", long_zero, "asn1.not_der"),
        ("BOOLEAN 01", true_is_1, "asn1.not_der"),
        ("unsorted SET OF", forge.with_attributes(&unsorted), "asn1.not_der"),
        ("one octet after the end", [&good[..], &[0]].concat(), "asn1.not_der"),
        ("one octet inside an extension", after_value, "asn1.not_der"),
        ("one octet inside the key", forge.with_key(&inside_key), "asn1.not_der"),
        ("nothing", Vec::new(), "asn1.not_der"),
    ]);
    check(Desk::open().await, &cases).await;
}

/// One line of base64 between the lines of a PEM block.
fn block(label: &str, base64: &str) -> String {
    format!("-----BEGIN {label}-----\n{base64}\n-----END {label}-----\n")
}

#[tokio::test]
async fn one_clean_pem_block_is_taken_and_nothing_else() {
    let desk = Desk::open().await;
    let good = certification_request("www.acme.test", &[], KeyAlgorithm::EcP256).0;
    let line: String = good.lines().filter(|line| !line.starts_with('-')).collect();
    let evaluate = format!("{CERTIFICATES}/evaluate");
    for accepted in [
        good.clone(),
        good.trim_end().to_owned(),
        good.replace('\n', "\r\n"),
        format!("\n \t{good}\r\n\n"),
        block("CERTIFICATE REQUEST", &line),
        block("NEW CERTIFICATE REQUEST", &line),
    ] {
        let body = json!({"profileId": desk.open, "csr": accepted, "attributes": {"ttl": "30d"}});
        let (status, answer) = desk.world.operator().post(&evaluate, &body).await;
        assert_eq!((status, &answer["verdict"]), (200, &json!("issued")), "{accepted}\n{answer:#}");
    }
    let certificate = block("CERTIFICATE", &line);
    for refused in [
        format!("{good}{good}"),
        format!("{good}{certificate}"),
        format!("{certificate}{good}"),
        certificate.clone(),
        format!("\u{feff}{good}"),
        format!("{good}junk"),
        format!("junk\n{good}"),
        line.clone(),
        good.trim_end_matches("-----END CERTIFICATE REQUEST-----\n").to_owned(),
        good.replace("END CERTIFICATE REQUEST", "END CERTIFICATE"),
        format!("-----BEGIN CERTIFICATE REQUEST-----\n{}", "A".repeat(60_000)),
        block("CERTIFICATE REQUEST", &format!("{line}!")),
    ] {
        let body = json!({"profileId": desk.open, "csr": refused});
        desk.refuses(&body, bad_request("csr.pem"), &["csr: "]).await;
    }
    for empty in ["", " \n"] {
        let body = json!({"profileId": desk.open, "csr": empty});
        desk.refuses(&body, SCHEMA, &["\"csr\""]).await;
    }
    desk.closes(0).await;
}

#[tokio::test]
async fn a_private_key_pasted_into_a_csr_is_neither_taken_nor_kept() {
    let desk = Desk::open().await;
    let key = PrivateKey::generate(KeyAlgorithm::EcP256).unwrap();
    let secret: String = hex::encode(key.public_key().key_id());
    let pasted = format!(
        "{}{}",
        block("PRIVATE KEY", &secret),
        certification_request("www.acme.test", &[], KeyAlgorithm::EcP256).0
    );
    let body = json!({"profileId": desk.open, "csr": pasted});
    let answer = desk.refuses(&body, bad_request("csr.private_key"), &["exposed"]).await;
    assert!(!answer.to_string().contains(&secret));
    let log = desk.world.admin().raw(reqwest::Method::GET, "/api/v1/audit-logs/export", &[], Vec::new()).await;
    let log = log.text().await.unwrap();
    assert!(log.contains("csr.private_key") && !log.contains(&secret));
    desk.closes(0).await;
}

#[tokio::test]
async fn a_csr_beyond_its_limits_is_refused() {
    let desk = Desk::open().await;
    let forge = Forge::new();
    let good = to_pem(&forge.with_attributes(&[]));
    let padded = format!("{good}{}", "\n".repeat(66_000));
    // Blanks around a CSR are not part of it.
    let body = json!({"profileId": desk.open, "csr": padded, "attributes": {"ttl": "30d"}});
    let (status, answer) = desk.world.operator().post(&format!("{CERTIFICATES}/evaluate"), &body).await;
    assert_eq!((status, &answer["verdict"]), (200, &json!("issued")), "{answer:#}");
    let junk = pem::encode(pem::CERTIFICATE_REQUEST, &vec![SEQUENCE; 60_000]);
    desk.refuses(&json!({"profileId": desk.open, "csr": junk}), SCHEMA, &["\"csr\"", "65536"]).await;
    let many: Vec<u8> = (0..1_001u16).flat_map(|at| tlv(0x87, &[&[10, 0], &at.to_be_bytes()])).collect();
    let many = to_pem(&forge.with_extensions(&[&extension(SAN, &[], &tlv(SEQUENCE, &[&many]))]));
    desk.refuses(&json!({"profileId": desk.open, "csr": many}), bad_request("csr.too_large"), &["1000"]).await;
    desk.closes(0).await;
}
