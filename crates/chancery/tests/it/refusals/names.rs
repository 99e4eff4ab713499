//! Names that no certificate may carry, and how the others are written into it.

use chancery_pkix::{GeneralNameKind, KeyAlgorithm};
use chancery_testkit::world::{certification_request_with, text};
use serde_json::{Value, json};

use super::{CERTIFICATES, Desk, REFUSED, SCHEMA, bad_request};
use crate::reread::Reread;

fn with_name(desk: &Desk, kind: &str, value: &str) -> Value {
    json!({"profileId": desk.open, "attributes": {"ttl": "1d", "altNames": [{"type": kind, "value": value}]}})
}

#[tokio::test]
async fn wildcards_stand_for_one_whole_label_below_a_registered_domain() {
    let desk = Desk::open().await;
    for (name, code) in [
        ("*.com", "name.wildcard"),
        ("*", "name.wildcard"),
        ("*.*.acme.com", "name.wildcard"),
        ("a*.acme.com", "name.wildcard"),
        ("*a.acme.com", "name.wildcard"),
        ("w.*.acme.com", "name.wildcard"),
        ("**.acme.com", "name.wildcard"),
    ] {
        desk.refuses(&with_name(&desk, "dns_name", name), bad_request(code), &["altNames[0]"]).await;
    }
    for name in ["*.co.uk", "*.COM.br"] {
        desk.refuses(&with_name(&desk, "dns_name", name), REFUSED, &["name.public_suffix", "altNames[0]"]).await;
    }
    let strict = desk
        .world
        .template(&json!({"subject": null, "sans": [{"type": "dns_name", "allowed": ["*"], "allowWildcards": false}]}))
        .await;
    let strict = desk.world.profile(&json!({"caId": desk.pki.issuing, "certificatePolicyId": strict})).await;
    let body = json!({"profileId": strict, "attributes": {"altNames": [{"type": "dns_name", "value": "*.acme.com"}]}});
    desk.refuses(&body, REFUSED, &["sans.dns_name.wildcards", "altNames[0]"]).await;
    desk.world.issue(desk.open, &with_name(&desk, "dns_name", "*.acme.com")).await;
    desk.closes(1).await;
}

#[tokio::test]
async fn host_names_are_canonical_or_refused() {
    let desk = Desk::open().await;
    let long_label = format!("{}.acme.com", "a".repeat(64));
    let long_name = format!("{}com", "a.".repeat(126));
    for (name, code) in [
        ("www.acme.com.", "name.trailing_dot"),
        ("www..acme.com", "name.characters"),
        (".acme.com", "name.characters"),
        ("-a.acme.com", "name.characters"),
        ("a-.acme.com", "name.characters"),
        ("a_b.acme.com", "name.characters"),
        ("a b.acme.com", "name.characters"),
        ("a\u{0}b.acme.com", "name.characters"),
        ("a\nb.acme.com", "name.characters"),
        ("a/b.acme.com", "name.characters"),
        ("https://a.acme.com", "name.characters"),
        ("a.acme.com:443", "name.characters"),
        ("xn--a.example", "name.idn"),
        ("a\u{202e}b.example", "name.idn"),
        (long_label.as_str(), "name.too_long"),
        (long_name.as_str(), "name.too_long"),
    ] {
        desk.refuses(&with_name(&desk, "dns_name", name), bad_request(code), &["altNames[0]"]).await;
    }
    for name in ["", "   "] {
        desk.refuses(&with_name(&desk, "dns_name", name), SCHEMA, &["altNames"]).await;
    }
    let too_long = format!("{}.acme.com", "a".repeat(60));
    for (field, value, code) in [
        ("commonName", too_long.as_str(), "name.too_long"),
        ("country", "DEU", "name.too_long"),
        ("country", "D1", "name.characters"),
        ("organization", "Ac\u{7}me", "name.characters"),
        ("organization", "A\u{0}", "name.characters"),
    ] {
        let mut attributes = json!({"ttl": "1d"});
        attributes[field] = json!(value);
        desk.refuses(&json!({"profileId": desk.open, "attributes": attributes}), bad_request(code), &[field]).await;
    }
    let nameless = json!({"profileId": desk.open, "attributes": {"ttl": "1d"}});
    desk.refuses(&nameless, REFUSED, &["subject.present", "commonName"]).await;
    let mut issued = 0;
    for (given, written) in [
        ("WWW.Acme.COM", "www.acme.com"),
        (" www.acme.com", "www.acme.com"),
        ("bücher.example", "xn--bcher-kva.example"),
    ] {
        let answer = desk.world.issue(desk.open, &with_name(&desk, "dns_name", given)).await;
        assert_eq!(Reread::of(&answer).sans, [format!("dns_name:{written}")], "{given:?}");
        issued += 1;
    }
    desk.closes(issued).await;
}

#[tokio::test]
async fn an_address_is_not_a_host_name() {
    let desk = Desk::open().await;
    for name in
        ["10.0.0.1", "0x0a000001", "167772161", "010.0.0.1", "::1", "fe80::1%eth0", "[::1]", "10.1", "1.2.3.4.5"]
    {
        let answer =
            desk.refuses(&with_name(&desk, "dns_name", name), bad_request("name.ip_in_dns"), &["ip_address"]).await;
        assert!(text(&answer, "/message").starts_with("altNames[0]"), "{answer:#}");
    }
    for name in ["10.0.0.256", "10.0.0", "fe80::1%eth0", "www.acme.com", "[::1]", "10.0.0.0/8", "010.0.0.1"] {
        desk.refuses(&with_name(&desk, "ip_address", name), bad_request("name.ip_address"), &["altNames[0]"]).await;
    }
    // IPv4 in IPv6 is judged by the rules for IPv4.
    let private = json!([{"type": "ip_address", "allowed": ["cidr:10.0.0.0/8"]}]);
    let template = desk.world.template(&json!({"subject": null, "sans": private})).await;
    let profile = desk.world.profile(&json!({"caId": desk.pki.issuing, "certificatePolicyId": template})).await;
    let asks = |address: &str| json!({"profileId": profile, "attributes": {"altNames": [{"type": "ip_address", "value": address}]}});
    desk.refuses(&asks("::ffff:192.0.2.1"), REFUSED, &["sans.ip_address.allowed"]).await;
    let issued = desk.world.issue(profile, &asks("::ffff:10.0.0.1")).await;
    assert_eq!(Reread::of(&issued).sans, ["ip_address:10.0.0.1"]);
    desk.closes(1).await;
}

/// Kind on the wire, value, and the tag of GeneralName (RFC 5280 §4.2.1.6).
const EVERY_KIND: &[(GeneralNameKind, &str, u8)] = &[
    (GeneralNameKind::DnsName, "www.acme.test", 0x82),
    (GeneralNameKind::IpAddress, "192.0.2.7", 0x87),
    (GeneralNameKind::IpAddress, "2001:db8::7", 0x87),
    (GeneralNameKind::Email, "ops@acme.test", 0x81),
    (GeneralNameKind::Uri, "https://acme.test/service", 0x86),
    (GeneralNameKind::Upn, "ops@acme.test", 0xa0),
    (GeneralNameKind::OtherName, "1.3.6.1.4.1.55555.1;utf8:device-7", 0xa0),
    (GeneralNameKind::DirectoryName, "CN=device-7,O=Acme", 0xa4),
    (GeneralNameKind::RegisteredId, "1.3.6.1.4.1.55555.2", 0x88),
];

#[tokio::test]
async fn every_kind_of_name_keeps_its_tag_with_and_without_a_csr() {
    let desk = Desk::open().await;
    let tags: Vec<u8> = EVERY_KIND.iter().map(|it| it.2).collect();
    let names: Vec<Value> =
        EVERY_KIND.iter().map(|(kind, value, _)| json!({"type": kind.as_str(), "value": value})).collect();
    let typed = desk.world.issue(desk.open, &json!({"attributes": {"ttl": "1d", "altNames": names}})).await;
    let pairs: Vec<(GeneralNameKind, &str)> = EVERY_KIND.iter().map(|it| (it.0, it.1)).collect();
    let csr = certification_request_with("", &pairs, KeyAlgorithm::EcP256).0;
    let from_csr = desk.world.issue(desk.open, &json!({"csr": csr, "attributes": {"ttl": "1d"}})).await;
    for issued in [&typed, &from_csr] {
        let reread = Reread::of(issued);
        assert_eq!(reread.san_tags, tags);
        assert!(reread.san_critical, "the subject is empty (RFC 5280 §4.2.1.6)");
        // What the inventory shows is what the certificate says.
        let path = format!("{CERTIFICATES}/{}", text(issued, "/certificate/certificateId"));
        let shown = desk.world.auditor().get(&path).await.1;
        let values: Vec<&str> = EVERY_KIND.iter().map(|it| it.1).collect();
        assert_eq!(text(&shown, "/certificate/altNames"), values.join(","));
    }
    for (kind, value) in [
        ("email", "jo"),
        ("email", "jö@acme.test"),
        ("uri", "/relative"),
        ("uri", "https://acme.test/a b"),
        ("uri", "spiffe://acme.test:80/x"),
        ("upn", "a b"),
        ("other_name", "utf8:x"),
        ("other_name", "1.2.3;der:0500"),
        ("registered_id", "1.2.x"),
        ("directory_name", "nonsense"),
    ] {
        let (status, answer) = desk.world.operator().post(CERTIFICATES, &with_name(&desk, kind, value)).await;
        assert_eq!((status, &answer["error"]), (400, &json!("BadRequest")), "{kind} {value}: {answer:#}");
        assert!(text(&answer, "/code").starts_with("name."), "{answer:#}");
        assert!(text(&answer, "/message").starts_with("altNames[0]"), "{answer:#}");
    }
    desk.refuses(&with_name(&desk, "x400_address", "x"), SCHEMA, &["type", "dns_name"]).await;
    desk.closes(2).await;
}
