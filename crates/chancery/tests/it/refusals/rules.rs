//! What templates and profiles decide: CSR against request, defaults, empty rules, lifetimes, usages, and what is refused
//! when it is saved.

use std::collections::BTreeSet;

use chancery_pkix::KeyAlgorithm;
use chancery_testkit::world::{CERT_MANAGER, certification_request, id_at, text};
use reqwest::Method;
use serde_json::{Value, json};

use super::forge::{CERTIFICATE_POLICIES, EXTENDED_KEY_USAGE, Forge, KEY_USAGE, SEQUENCE, extension, tlv, to_pem};
use super::{CERTIFICATES, Desk, REFUSED, Refusal, SCHEMA, bad_request, check_refusal};
use crate::reread::Reread;

const TEMPLATES: &str = "/api/v1/cert-manager/certificate-policies";
const PROFILES: &str = "/api/v1/cert-manager/certificate-profiles";

fn codes(answer: &Value) -> Vec<&str> {
    answer["warnings"].as_array().unwrap().iter().filter_map(|it| it["code"].as_str()).collect()
}

#[tokio::test]
async fn the_csr_decides_and_differences_are_reported_or_refused() {
    let desk = Desk::open().await;
    let csr = certification_request("a.acme.test", &["b.acme.test"], KeyAlgorithm::EcP256).0;
    let attributes = json!({
        "commonName": "other.acme.test", "organization": "Evil", "ttl": "7d", "keyAlgorithm": "RSA_2048",
        "altNames": [{"type": "dns_name", "value": "c.acme.test"}, {"type": "dns_name", "value": "b.acme.test"}],
        "keyUsages": ["data_encipherment"], "extendedKeyUsages": ["client_auth"],
    });
    let issued = desk.world.issue(desk.pki.profile, &json!({"csr": csr, "attributes": attributes})).await;
    let reread = Reread::of(&issued);
    assert_eq!(reread.subject, ["commonName=a.acme.test"]);
    assert_eq!(reread.sans.iter().collect::<BTreeSet<_>>().len(), 2);
    assert!(reread.sans.iter().all(|it| it == "dns_name:a.acme.test" || it == "dns_name:b.acme.test"), "{reread:?}");
    assert_eq!(reread.extended_key_usages, BTreeSet::from(["server_auth".to_owned()]));
    assert!(!reread.key_usages.contains("data_encipherment"));
    let warned: BTreeSet<_> = issued["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| it["code"] == "csr.attribute_ignored")
        .map(|it| text(it, "/field"))
        .collect();
    let expected = ["altNames[0]", "commonName", "extendedKeyUsages", "keyAlgorithm", "keyUsages", "organization"];
    assert_eq!(warned, expected.map(str::to_owned).into());

    let strict = json!({"caId": desk.pki.issuing, "certificatePolicyId": desk.pki.template, "strictCsr": true});
    let strict = desk.world.profile(&strict).await;
    let body = json!({"profileId": strict, "csr": csr, "attributes": attributes});
    let answer = desk.refuses(&body, REFUSED, &["csr.strict"]).await;
    let fields: BTreeSet<_> = answer["violations"].as_array().unwrap().iter().map(|it| text(it, "/field")).collect();
    assert_eq!(fields, expected.map(str::to_owned).into());
    let same = json!({"csr": csr, "attributes": {"commonName": "a.acme.test", "ttl": "7d"}});
    desk.world.issue(strict, &same).await;
    let body = json!({"profileId": desk.pki.self_signed, "csr": csr});
    desk.refuses(&body, bad_request("csr.self_signed"), &["csr"]).await;
    desk.closes(2).await;
}

#[tokio::test]
async fn a_csr_meets_the_same_rules_as_a_request() {
    let desk = Desk::open().await;
    for (common_name, sans, field) in [
        ("www.evil.test", vec![], "commonName"),
        ("www.acme.test", vec!["www.evil.test"], "altNames[1]"),
        ("", vec!["www.evil.test"], "altNames[0]"),
    ] {
        let csr = certification_request(common_name, &sans, KeyAlgorithm::EcP256).0;
        let answer = desk.refuses(&json!({"profileId": desk.pki.profile, "csr": csr}), REFUSED, &["\"csr\""]).await;
        let fields: Vec<_> = answer["violations"].as_array().unwrap().iter().map(|it| text(it, "/field")).collect();
        assert!(fields.iter().any(|it| it == field), "{field} is not in {fields:?}");
    }
    desk.closes(0).await;
}

#[tokio::test]
async fn usages_that_nobody_allowed_are_absent_or_refused() {
    let desk = Desk::open().await;
    let forge = Forge::new();
    let purposes = |oids: &[&[u8]]| {
        let list: Vec<Vec<u8>> = oids.iter().map(|oid| tlv(6, &[oid])).collect();
        let list: Vec<&[u8]> = list.iter().map(Vec::as_slice).collect();
        extension(EXTENDED_KEY_USAGE, &[], &tlv(SEQUENCE, &list))
    };
    const KP: [u8; 7] = [0x2b, 6, 1, 5, 5, 7, 3];
    let purpose = |last: u8| [&KP[..], &[last]].concat();
    let refused = [
        ("any_purpose", vec![0x55, 0x1d, 37, 0]),
        ("code_signing", purpose(3)),
        ("ocsp_signing", purpose(9)),
        ("client_auth", purpose(2)),
    ];
    for (word, oid) in refused {
        let csr = to_pem(&forge.with_extensions(&[&purposes(&[&purpose(1), &oid])]));
        let body = json!({"profileId": desk.pki.profile, "csr": csr});
        desk.refuses(&body, REFUSED, &["extended_key_usages.allowed", word]).await;
    }
    let ca_usages = extension(KEY_USAGE, &[1, 1, 0xff], &[3, 2, 1, 0x06]);
    let csr = to_pem(&forge.with_extensions(&[&ca_usages]));
    let body = json!({"profileId": desk.pki.profile, "csr": csr});
    desk.refuses(&body, REFUSED, &["keyUsages", "key_cert_sign"]).await;

    // Microsoft's application policies, a certificate policy, and a purpose nobody knows.
    let foreign = purposes(&[&purpose(1), &[0x2a, 3, 4, 5]]);
    let policy = extension(CERTIFICATE_POLICIES, &[], &tlv(SEQUENCE, &[&tlv(SEQUENCE, &[&tlv(6, &[&[0x2a, 3, 4]])])]));
    let microsoft = extension(&[0x2b, 6, 1, 4, 1, 0x82, 0x37, 0x15, 0x0a], &[], &tlv(SEQUENCE, &[]));
    let csr = to_pem(&forge.with_extensions(&[&foreign, &policy, &microsoft]));
    let issued = desk.world.issue(desk.pki.profile, &json!({"csr": csr, "attributes": {"ttl": "7d"}})).await;
    let reread = Reread::of(&issued);
    assert_eq!(reread.extended_key_usages, BTreeSet::from(["server_auth".to_owned()]));
    assert!(!reread.extensions.iter().any(|it| it == "2.5.29.32" || it.starts_with("1.3.6.1.4.1.311")), "{reread:?}");
    let reported = codes(&issued);
    assert_eq!(reported.iter().filter(|it| **it == "csr.unknown_extension").count(), 2, "{reported:?}");
    assert!(reported.contains(&"csr.unknown_extended_key_usage"), "{reported:?}");
    let refuses = json!({
        "caId": desk.pki.issuing, "certificatePolicyId": desk.pki.template, "unknownCsrExtensions": "refuse",
    });
    let refuses = desk.world.profile(&refuses).await;
    let body = json!({"profileId": refuses, "csr": csr});
    let answer = desk.refuses(&body, REFUSED, &["csr.unknown_extension", "2.5.29.32"]).await;
    assert_eq!(answer["violations"].as_array().unwrap().len(), 3, "{answer:#}");
    desk.closes(1).await;
}

#[tokio::test]
async fn profile_defaults_are_really_in_the_certificate() {
    let desk = Desk::open().await;
    let dual = json!({
        "subject": null, "sans": null, "extendedKeyUsages": {"allowed": ["client_auth", "server_auth"]},
        "keyUsages": {"allowed": ["digital_signature", "key_agreement"]},
    });
    let template = desk.world.template(&dual).await;
    let defaults = json!({
        "ttlDays": 5, "organization": "Acme", "country": "de", "domainComponents": ["acme", "test"],
        "keyUsages": ["digital_signature"], "extendedKeyUsages": ["client_auth"], "keyAlgorithm": "EC_secp384r1",
    });
    let body = json!({"caId": desk.pki.issuing, "certificatePolicyId": template, "defaults": defaults});
    let profile = desk.world.profile(&body).await;
    let plain = Reread::of(&desk.world.issue(profile, &json!({})).await);
    assert_eq!(plain.extended_key_usages, BTreeSet::from(["client_auth".to_owned()]));
    assert_eq!(plain.key_usages, BTreeSet::from(["digital_signature".to_owned()]));
    assert_eq!(
        plain.subject.iter().collect::<BTreeSet<_>>(),
        [
            "commonName=www.acme.test",
            "country=DE",
            "domainComponents=acme",
            "domainComponents=test",
            "organization=Acme"
        ]
        .map(str::to_owned)
        .iter()
        .collect()
    );
    assert_eq!(plain.not_after, desk.world.now_seconds() + 5 * 86_400 - 1);
    // Null clears a default, a list replaces it whole.
    let attributes = json!({"commonName": "a", "organization": null, "extendedKeyUsages": ["server_auth"]});
    let cleared = Reread::of(&desk.world.issue(profile, &json!({"attributes": attributes})).await);
    assert!(!cleared.subject.iter().any(|it| it.starts_with("organization=")), "{cleared:?}");
    assert_eq!(cleared.extended_key_usages, BTreeSet::from(["server_auth".to_owned()]));
    desk.closes(2).await;
}

#[tokio::test]
async fn empty_rules_have_three_meanings() {
    let desk = Desk::open().await;
    let named = json!({"commonName": "www.acme.test", "ttl": "1d"});
    let address = json!({"ttl": "1d", "altNames": [{"type": "ip_address", "value": "192.0.2.1"}]});
    let any = json!([{"type": "common_name", "allowed": ["*"]}]);
    for (subject, sans, attributes, passes) in [
        // No block, no constraint.
        (json!(null), json!(null), &named, true),
        (json!(null), json!(null), &address, true),
        // An empty block allows nothing of its kind.
        (json!([]), json!(null), &named, false),
        (json!([]), json!(null), &address, true),
        (json!(null), json!([]), &named, false),
        (json!(null), json!([]), &address, false),
        // An empty list permits nothing of its type.
        (json!([{"type": "common_name", "allowed": []}]), json!(null), &named, false),
        (any.clone(), json!([{"type": "dns_name", "allowed": []}]), &named, false),
        (any.clone(), json!([{"type": "dns_name", "allowed": ["*"]}]), &address, false),
        // Denied alone allows the rest.
        (any, json!([{"type": "dns_name", "denied": ["www.evil.test"]}]), &named, true),
    ] {
        let template = desk.world.template(&json!({"subject": subject, "sans": sans})).await;
        let shown = desk.world.auditor().get(&format!("{TEMPLATES}/{template}")).await.1;
        assert_eq!(shown["certificatePolicy"]["subject"], subject);
        let summary = &shown["certificatePolicy"]["summary"];
        assert!(summary.as_array().is_some_and(|it| !it.is_empty()), "{shown:#}");
        let body = json!({"caId": desk.pki.issuing, "certificatePolicyId": template, "defaults": null});
        let profile = desk.world.profile(&body).await;
        let asked = json!({"profileId": profile, "attributes": attributes});
        let evaluated = desk.world.operator().ok(Method::POST, &format!("{CERTIFICATES}/evaluate"), Some(&asked)).await;
        let verdict = if passes { "issued" } else { "refused" };
        assert_eq!(evaluated["verdict"], verdict, "{subject} {attributes}: {summary:#} {evaluated:#}");
    }
    desk.closes(0).await;
}

#[tokio::test]
async fn a_template_that_makes_no_sense_is_refused_when_saved() {
    let desk = Desk::open().await;
    let forbidden = |code| Refusal { status: 403, error: "ForbiddenError", code };
    for (blocks, expected, words) in [
        (json!({"sans": [{"type": "dns_name", "allowed": [""]}]}), SCHEMA, "allowed"),
        (json!({"sans": [{"type": "dns_name"}]}), SCHEMA, "sans"),
        (json!({"sans": [{"type": "fax", "allowed": ["*"]}]}), SCHEMA, "type"),
        (json!({"keyUsages": {}}), SCHEMA, "keyUsages"),
        (json!({"keyUsages": {"allowed": ["digital_signature"], "denied": ["digital_signature"]}}), SCHEMA, "denied"),
        (json!({"algorithms": {"keyAlgorithm": []}}), SCHEMA, "keyAlgorithm"),
        (json!({"algorithms": {"keyAlgorithm": ["ROT13"]}}), SCHEMA, "ROT13"),
        (json!({"validity": {"max": "soon"}}), SCHEMA, "max"),
        (json!({"basicConstraints": {"maxPathLength": -2}}), SCHEMA, "maxPathLength"),
        (
            json!({"sans": [{"type": "dns_name", "required": ["a.acme.com"], "denied": ["*.acme.com"]}]}),
            bad_request("template.unsatisfiable"),
            "a.acme.com",
        ),
        (
            json!({"basicConstraints": {"isCA": "required"}, "keyUsages": {"allowed": ["digital_signature"]}}),
            bad_request("template.unsatisfiable"),
            "key_cert_sign",
        ),
        (
            json!({"sans": [{"type": "dns_name", "allowed": ["regex:("]}]}),
            bad_request("template.pattern_regex"),
            "sans",
        ),
        (
            json!({"sans": [{"type": "dns_name", "allowed": ["*"]}, {"type": "dns_name", "denied": ["a"]}]}),
            forbidden("template.duplicate"),
            "dns_name",
        ),
        (
            json!({"sans": [{"type": "dns_name", "allowed": ["a.acme.com", "A.acme.com"]}]}),
            forbidden("template.duplicate"),
            "acme.com",
        ),
    ] {
        let mut body = json!({"name": "senseless"});
        body.as_object_mut().unwrap().extend(blocks.as_object().unwrap().clone());
        let (status, answer) = desk.world.admin().post(TEMPLATES, &body).await;
        check_refusal(status, &answer, expected, &[words]);
    }
    // Nor can a good one be made senseless.
    let path = format!("{TEMPLATES}/{}", desk.pki.template);
    let change = json!({"sans": [{"type": "dns_name", "required": ["a.acme.com"], "denied": ["*.acme.com"]}]});
    let (status, answer) = desk.world.admin().patch(&path, &change).await;
    check_refusal(status, &answer, bad_request("template.unsatisfiable"), &["a.acme.com"]);
    desk.closes(0).await;
}

#[tokio::test]
async fn a_profile_that_can_never_issue_is_refused_when_saved() {
    let desk = Desk::open().await;
    let rsa = desk.world.template(&json!({"algorithms": {"signature": ["SHA256-RSA"]}})).await;
    let base = json!({"slug": "hopeless", "issuerType": "ca", "enrollmentType": "api", "caId": desk.pki.issuing,
        "certificatePolicyId": desk.pki.template});
    for (changes, status, words) in [
        (json!({"defaults": {"ttlDays": 400}}), 400, vec!["ttl"]),
        (json!({"defaults": {"commonName": "www.evil.test"}}), 400, vec!["commonName"]),
        (json!({"defaults": {"extendedKeyUsages": ["code_signing"]}}), 400, vec!["extendedKeyUsages"]),
        (json!({"certificatePolicyId": rsa}), 400, vec!["RSA"]),
        (json!({"enrollmentType": "acme", "acmeConfig": {}}), 400, vec!["acme"]),
        (json!({"enrollmentType": "est"}), 400, vec!["est"]),
        (json!({"issuerType": "self-signed"}), 422, vec!["caId"]),
        (json!({"caId": null}), 422, vec!["caId"]),
        (json!({"slug": "Not A Slug"}), 422, vec!["slug"]),
        (json!({"defaults": {"ttlDays": 0}}), 422, vec!["ttlDays"]),
    ] {
        let mut body = base.clone();
        body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let (found, answer) = desk.world.admin().post(PROFILES, &body).await;
        assert_eq!(found, status, "{changes}: {answer:#}");
        for word in words {
            assert!(answer.to_string().contains(word), "{word} is not in {answer:#}");
        }
    }
    let listed = desk.world.admin().get(PROFILES).await.1;
    assert_eq!(listed["totalCount"], 3, "nothing was saved");
    desk.closes(0).await;
}

#[tokio::test]
async fn lifetimes_have_one_reading() {
    let desk = Desk::open().await;
    for ttl in [
        "999999999y",
        "-1h",
        "1.5h",
        "1e9s",
        "NaN",
        "0",
        "0d",
        "9223372036854775808s",
        "1M",
        "90",
        "1 fortnight",
        "d",
        "101y",
        "1dd",
        "0x10d",
        "१d",
    ] {
        let body = json!({"profileId": desk.open, "attributes": {"commonName": "a", "ttl": ttl}});
        desk.refuses(&body, SCHEMA, &["attributes", "ttl"]).await;
    }
    for (start, end, status) in [
        (json!("2026-06-01T00:00:00Z"), json!("2026-05-01T00:00:00Z"), 422),
        (json!("10000-01-01T00:00:00Z"), json!(null), 422),
        (json!(null), json!("+010000-01-01T00:00:00Z"), 422),
        (json!("tomorrow"), json!(null), 422),
        (json!(5), json!(null), 422),
        (json!("1970-01-01T00:00:00Z"), json!("2027-01-01T00:00:00Z"), 400),
        (json!("2036-01-01T00:00:00Z"), json!("2036-06-01T00:00:00Z"), 400),
        (json!(null), json!("2026-01-15T11:59:59Z"), 400),
        (json!(null), json!("9999-12-31T23:59:59Z"), 400),
    ] {
        let body =
            json!({"profileId": desk.open, "attributes": {"commonName": "a", "notBefore": start, "notAfter": end}});
        let (found, answer) = desk.world.operator().post(CERTIFICATES, &body).await;
        assert_eq!(found, status, "{start} {end}: {answer:#}");
        let code = answer["code"].as_str().unwrap();
        let about_time = code.starts_with("ttl.") || answer.to_string().contains("issuer.validity");
        assert!(status == 422 || about_time, "{answer:#}");
    }
    let body =
        json!({"profileId": desk.open, "attributes": {"commonName": "a", "ttl": "1d", "notAfter": "2027-01-01"}});
    desk.refuses(&body, SCHEMA, &["ttl"]).await;
    let now = desk.world.now_seconds();
    let mut issued = 0;
    for (ttl, seconds) in [("", 90 * 86_400), ("45m", 2_700), ("2 days", 172_800), ("1w", 604_800), ("10s", 10)] {
        let reread =
            Reread::of(&desk.world.issue(desk.open, &json!({"attributes": {"commonName": "a", "ttl": ttl}})).await);
        assert_eq!(reread.not_after, now + seconds - 1, "{ttl:?} counts from now with an inclusive end");
        assert_eq!(reread.not_before, now - (seconds / 10).min(300), "{ttl:?} is back-dated");
        issued += 1;
    }
    let exact = json!({"commonName": "a", "notBefore": "2026-01-20T00:00:00Z", "notAfter": "2026-02-20T23:59:59Z"});
    let exact = Reread::of(&desk.world.issue(desk.open, &json!({"attributes": exact})).await);
    assert_eq!((exact.not_before, exact.not_after), (1_768_867_200, 1_771_631_999));
    desk.closes(issued + 1).await;
}

#[tokio::test]
async fn a_leaf_never_outlives_its_issuer() {
    let desk = Desk::open().await;
    let body = json!({"profileId": desk.open, "attributes": {"commonName": "a", "ttl": "6y"}});
    desk.refuses(&body, REFUSED, &["issuer.validity", "ttl", "clampToIssuer"]).await;
    let open = desk.world.auditor().get(&format!("{PROFILES}/{}", desk.open)).await.1;
    let body = json!({
        "caId": desk.pki.issuing, "clampToIssuer": true,
        "certificatePolicyId": text(&open, "/certificateProfile/certificatePolicyId"),
    });
    let clamps = desk.world.profile(&body).await;
    let issued = desk.world.issue(clamps, &json!({"attributes": {"commonName": "a", "ttl": "6y"}})).await;
    assert_eq!(codes(&issued), ["validity.clamped"]);
    let issuer = Reread::pem(&text(&issued, "/certificate/issuingCaCertificate"));
    assert_eq!(Reread::of(&issued).not_after, issuer.not_after);
    desk.closes(1).await;
}

#[tokio::test]
async fn an_open_identity_is_saved_with_a_loud_warning() {
    let desk = Desk::open().await;
    let loose = json!({"subject": null, "sans": null, "extendedKeyUsages": {"allowed": ["client_auth"]}});
    let loose = desk.world.template(&loose).await;
    let body = json!({"slug": "anybody", "issuerType": "ca", "enrollmentType": "api", "caId": desk.pki.issuing,
        "certificatePolicyId": loose});
    let made = desk.world.admin().ok(Method::POST, PROFILES, Some(&body)).await;
    assert_eq!(codes(&made), ["profile.open_identity"]);
    let id = id_at(&made, "/certificateProfile/id");
    let shown = desk.world.auditor().ok(Method::GET, &format!("{CERT_MANAGER}/certificate-profiles/{id}"), None).await;
    assert_eq!(codes(&shown), ["profile.open_identity"]);
    let log = desk.world.auditor().ok(Method::GET, &format!("/api/v1/audit-logs?objectId={id}"), None).await;
    assert!(log["auditLogs"][0].to_string().contains("profile.open_identity"), "{log:#}");
    desk.closes(0).await;
}
