//! Nothing outside a template is issued by any route, and what is issued is what was approved.
//!
//! ```text
//! root ── issuing ── random templates ── a profile each (or self-signed) ── issue, CSR, renew new / reuse / csr
//! ```
//!
//! Verified for random templates × requests: the certificate, read by another library, keeps every rule of the template,
//! judged by a matcher of its own (written from the documented semantics, not from the code); it equals the dry run field
//! by field; renewals keep names, usages and life span and are judged anew.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::IpAddr;

use chancery_keys::{PrivateKey, Signer as _};
use chancery_pkix::{
    Attribute, AttributeType, CertificationRequestInfo, DistinguishedName, ExtendedKeyUsage, GeneralName, KeyAlgorithm,
    KeyUsage, KeyUsages, assemble, pem,
};
use chancery_testkit::world::{Session, World, text};
use proptest::prelude::ProptestConfig;
use proptest::test_runner::{TestCaseError, TestRunner};
use reqwest::Method;
use serde_json::{Value, json};

use crate::explain::apply;
use crate::random;
use crate::refusals::CERTIFICATES;
use crate::reread::Reread;

type Judged = Result<(), String>;

fn must(holds: bool, words: impl FnOnce() -> String) -> Judged {
    if holds { Ok(()) } else { Err(words()) }
}

// ── The independent matcher ──────────────────────────────────────────────────────────────────────────────────────────

/// `*` stands for any run of characters; everything else for itself, whatever its case.
fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern.eq_ignore_ascii_case(text),
        Some((head, rest)) => {
            text.get(..head.len()).is_some_and(|start| start.eq_ignore_ascii_case(head))
                && (head.len()..=text.len()).filter(|at| text.is_char_boundary(*at)).any(|at| glob(rest, &text[at..]))
        }
    }
}

/// The documented table: what one pattern admits.
fn admits(kind: &str, pattern: &str, value: &str) -> bool {
    let host = matches!(kind, "dns_name" | "common_name");
    let wildcard = host && value.contains('*');
    if pattern == "*" {
        return true;
    }
    if let Some(expression) = pattern.strip_prefix("regex:") {
        // The only expression of the vocabulary: one letter, then the domain.
        assert_eq!(expression, "[a-z]\\.acme\\.com");
        let label = value.to_ascii_lowercase();
        let Some(letter) = label.strip_suffix(".acme.com") else { return false };
        return letter.len() == 1 && letter.as_bytes()[0].is_ascii_lowercase();
    }
    if let Some(network) = pattern.strip_prefix("cidr:") {
        return match (network, value.parse::<IpAddr>()) {
            ("10.0.0.0/8", Ok(IpAddr::V4(address))) => address.octets()[0] == 10,
            ("2001:db8::/32", Ok(IpAddr::V6(address))) => address.segments()[..2] == [0x2001, 0xdb8],
            _ => false,
        };
    }
    if let Some(labels) = pattern.strip_prefix("label:") {
        let (own, other): (Vec<_>, Vec<_>) = (labels.split('.').collect(), value.split('.').collect());
        return !wildcard && own.len() == other.len() && own.iter().zip(&other).all(|(one, it)| glob(one, it));
    }
    if wildcard { pattern.eq_ignore_ascii_case(value) } else { glob(pattern, value) }
}

fn list<'a>(rule: &'a Value, name: &str) -> Option<Vec<&'a str>> {
    Some(rule.get(name)?.as_array()?.iter().filter_map(Value::as_str).collect())
}

/// One value under the rule of its type.
fn permitted(kind: &str, rule: &Value, value: &str) -> Judged {
    let any = |patterns: &[&str]| patterns.iter().any(|it| admits(kind, it, value));
    let (allowed, required, denied) = (list(rule, "allowed"), list(rule, "required"), list(rule, "denied"));
    must(!denied.as_deref().is_some_and(any), || format!("{value} is denied by {rule}"))?;
    let is_wildcard = matches!(kind, "dns_name" | "common_name") && value.contains('*');
    must(!is_wildcard || rule["allowWildcards"] != false, || format!("{value} is a wildcard, against {rule}"))?;
    let some_required = required.as_deref().is_some_and(|it| !it.is_empty());
    let passes = match (&allowed, &required) {
        (_, Some(required)) if any(required) => true,
        (Some(allowed), _) if !allowed.is_empty() => any(allowed),
        // An empty or absent list beside `required` means: only those; an empty list alone: nothing.
        (_, _) if some_required => false,
        (Some(_), _) => false,
        // Only denied: the rest is allowed. An empty `required` beside nothing restricts nothing more than that.
        (None, _) => true,
    };
    must(passes, || format!("{value} is not allowed by {rule}"))
}

fn names(block: &Value, present: &[(String, String)], each_pattern: bool) -> Judged {
    let Some(rules) = block.as_array() else { return Ok(()) };
    for (kind, value) in present {
        let rule = rules.iter().find(|it| it["type"] == *kind);
        let rule = rule.ok_or_else(|| format!("{kind} {value} has no rule in {block}"))?;
        permitted(kind, rule, value)?;
    }
    for rule in rules {
        let kind = rule["type"].as_str().unwrap_or_default();
        let meets = |pattern: &&str| present.iter().any(|(own, value)| own == kind && admits(kind, pattern, value));
        let required = list(rule, "required").unwrap_or_default();
        let held = if each_pattern { required.iter().all(&meets) } else { required.iter().any(meets) };
        must(required.is_empty() || held, || format!("{rule} requires what {present:?} lacks"))?;
    }
    Ok(())
}

fn usages(block: &Value, present: &BTreeSet<String>, unusable: &[&str]) -> Judged {
    if block.is_null() {
        return Ok(());
    }
    let words = |name| list(block, name).unwrap_or_default();
    for usage in present {
        let usage = usage.as_str();
        must(!words("denied").contains(&usage), || format!("{usage} is denied by {block}"))?;
        let listed = words("allowed").contains(&usage) || words("required").contains(&usage);
        must(listed, || format!("{usage} is not allowed by {block}"))?;
    }
    for required in words("required").into_iter().filter(|it| !unusable.contains(it)) {
        must(present.contains(required), || format!("{required} is required by {block}"))?;
    }
    Ok(())
}

fn seconds(text: &str, m: i64) -> i64 {
    let (number, unit) = text.split_at(text.len() - 1);
    let unit = match unit {
        "h" => 3_600,
        "d" => 86_400,
        "y" => 365 * 86_400,
        _ => m,
    };
    number.parse::<i64>().unwrap() * unit
}

/// Whether a certificate keeps every rule of the template; `ttl` is the granted one.
fn keeps(template: &Value, certificate: &Reread, ttl: i64) -> Judged {
    let subject: Vec<(String, String)> = certificate
        .subject
        .iter()
        .map(|it| {
            let (kind, value) = it.split_once('=').unwrap();
            let kind = if kind == "commonName" { "common_name" } else { kind };
            (kind.to_owned(), value.to_owned())
        })
        .collect();
    let sans: Vec<(String, String)> = certificate
        .sans
        .iter()
        .map(|it| it.split_once(':').map(|(kind, value)| (kind.to_owned(), value.to_owned())).unwrap())
        .collect();
    must(sans.len() == certificate.san_tags.len(), || "a name of an unknown kind".to_owned())?;
    names(&template["subject"], &subject, false)?;
    names(&template["sans"], &sans, true)?;
    usages(&template["keyUsages"], &certificate.key_usages, &[])?;
    usages(&template["extendedKeyUsages"], &certificate.extended_key_usages, &[])?;
    must(!certificate.is_ca, || "a CA certificate, and isCA missing counts as denied".to_owned())?;
    if let Some(most) = template["maxSans"].as_u64() {
        must(sans.len() as u64 <= most, || format!("{} names", sans.len()))?;
    }
    if let Some(max) = template.pointer("/validity/max").and_then(Value::as_str) {
        must(ttl <= seconds(max, 30 * 86_400), || format!("{ttl} s is longer than {max}"))?;
    }
    if let Some(min) = template["minValidity"].as_str() {
        must(ttl >= seconds(min, 60), || format!("{ttl} s is shorter than {min}"))?;
    }
    // The common name, when a host or an address, is among the names (and so was judged as one).
    if let Some((_, name)) = subject.iter().find(|(kind, _)| kind == "common_name") {
        let copied = sans.iter().any(|(_, value)| value.eq_ignore_ascii_case(name));
        must(copied || !name.contains('.'), || format!("{name} is not among {sans:?}"))?;
    }
    Ok(())
}

// ── What is issued against what was approved ────────────────────────────────────────────────────────────────────────

/// Everything the dry run said, found again in the certificate, and nothing else there.
fn equals(evaluated: &Value, certificate: &Reread) -> Judged {
    let fields = evaluated["fields"].as_array().unwrap();
    let values = |name: &str| -> Vec<String> {
        fields.iter().filter(|it| it["field"] == name).map(|it| text(it, "/value")).collect()
    };
    let same = |what: &str, approved: Vec<String>, issued: Vec<String>| {
        let sorted = |mut it: Vec<String>| {
            it.sort();
            it
        };
        let (approved, issued) = (sorted(approved), sorted(issued));
        must(approved == issued, || format!("{what}: approved {approved:?}, issued {issued:?}"))
    };
    let subject = fields.iter().filter(|it| certificate_subject(&text(it, "/field")));
    let subject = subject.map(|it| format!("{}={}", text(it, "/field"), text(it, "/value"))).collect();
    same("subject", subject, certificate.subject.clone())?;
    let sans = fields.iter().filter(|it| text(it, "/field").starts_with("altNames["));
    let sans = sans.map(|it| text(it, "/value")).collect();
    let issued = certificate.sans.iter().map(|it| it.split_once(':').unwrap().1.to_owned()).collect();
    same("altNames", sans, issued)?;
    same("keyUsages", values("keyUsages"), certificate.key_usages.iter().cloned().collect())?;
    same("extendedKeyUsages", values("extendedKeyUsages"), certificate.extended_key_usages.iter().cloned().collect())?;
    same("isCA", values("basicConstraints.isCA"), vec![certificate.is_ca.to_string()])?;
    for (name, issued) in [("notBefore", certificate.not_before), ("notAfter", certificate.not_after)] {
        let approved = chancery_model::Timestamp::parse_date(&values(name)[0]).unwrap().as_seconds();
        must(approved == issued, || format!("{name}: approved {approved}, issued {issued}"))?;
    }
    Ok(())
}

fn certificate_subject(field: &str) -> bool {
    matches!(
        field,
        "commonName" | "organization" | "organizationalUnit" | "country" | "state" | "locality" | "domainComponents"
    )
}

/// The request's content as a CSR with a key of its own. `None` where a CSR cannot say it.
fn csr_of(attributes: &Value) -> Option<String> {
    let algorithm: KeyAlgorithm = attributes["keyAlgorithm"].as_str().unwrap_or("EC_prime256v1").parse().ok()?;
    let key = PrivateKey::generate(algorithm).ok()?;
    let given = |kind, name: &str| attributes[name].as_str().map(|value| Attribute::new(kind, value));
    let subject = [given(AttributeType::Organization, "organization"), given(AttributeType::CommonName, "commonName")];
    let subject = DistinguishedName::new(subject.into_iter().flatten().collect()).ok()?;
    let sans: Vec<GeneralName> = attributes["altNames"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|it| serde_json::from_value(it.clone()).ok())
        .collect();
    let words = |name: &str| -> Vec<&str> {
        attributes[name].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    };
    let usages: KeyUsages = words("keyUsages").iter().filter_map(|it| it.parse::<KeyUsage>().ok()).collect();
    let purposes: Vec<ExtendedKeyUsage> = words("extendedKeyUsages").iter().filter_map(|it| it.parse().ok()).collect();
    let info = CertificationRequestInfo {
        subject_der: &subject.to_der(),
        public_key: key.public_key(),
        subject_alt_names: &sans,
        key_usages: usages,
        extended_key_usages: &purposes,
        basic_constraints: None,
    }
    .to_der();
    let signature = key.sign(algorithm.default_signature(), &info).ok()?;
    Some(pem::encode(pem::CERTIFICATE_REQUEST, &assemble(&info, algorithm.default_signature(), &signature)))
}

/// Dry run, real request, and both judged. The certificate's id and what it is, if one came.
async fn issue(session: &Session, template: &Value, body: &Value) -> Result<Option<(String, Reread, i64)>, String> {
    let (status, evaluated) = session.post(&format!("{CERTIFICATES}/evaluate"), body).await;
    let (issued, answer) = session.post(CERTIFICATES, body).await;
    let approved = status == 200 && evaluated["verdict"] == "issued";
    // What cannot be understood is told the same way by both.
    must(status == 200 || (answer["code"] == evaluated["code"] && issued == status), || format!("{answer:#}"))?;
    must(approved == (issued == 200), || format!("{body:#} dry run {status} {evaluated:#}, real {issued} {answer:#}"))?;
    if !approved {
        return must(issued == 400, || format!("{issued} {answer:#}")).map(|()| None);
    }
    let certificate = Reread::of(&answer);
    let ttl = evaluated["fields"].as_array().unwrap().iter().find(|it| it["field"] == "ttl");
    let ttl = ttl.map(|it| seconds_of(&text(it, "/value"))).unwrap();
    let judged = keeps(template, &certificate, ttl).and_then(|()| equals(&evaluated, &certificate));
    judged
        .map_err(|words| format!("{words}\ntemplate {template:#}\nrequest {body:#}\ncertificate {certificate:#?}"))?;
    Ok(Some((text(&answer, "/certificate/certificateId"), certificate, ttl)))
}

fn seconds_of(text: &str) -> i64 {
    text.strip_suffix('s').unwrap().parse().unwrap()
}

/// Renews and judges the successor like any certificate. Whether one came.
async fn renew(world: &World, template: &Value, old: &(String, Reread, i64), body: &Value) -> Result<bool, String> {
    let (id, before, ttl) = old;
    let (status, answer) = world.operator().post(&format!("{CERTIFICATES}/{id}/renew"), body).await;
    if status != 200 {
        return must(matches!(status, 400 | 403), || format!("{status} {answer:#}")).map(|()| false);
    }
    let after = Reread::of(&answer);
    let fail =
        |words: String| format!("{words}\ntemplate {template:#}\nrenewal {body:#}\nof {before:#?}\nis {after:#?}");
    keeps(template, &after, *ttl).map_err(fail)?;
    let kept = |it: &Reread| {
        let ordered = |list: &[String]| list.iter().cloned().collect::<BTreeSet<_>>();
        (ordered(&it.subject), ordered(&it.sans), it.key_usages.clone(), it.extended_key_usages.clone(), it.is_ca)
    };
    must(kept(&after) == kept(before), || "a renewal changed what it copies".to_owned()).map_err(fail)?;
    let now = world.now_seconds();
    must(after.not_after - now == ttl - 1, || format!("life span {}", after.not_after - now)).map_err(fail)?;
    let reuses = body["renewalKeySource"] == "reuse";
    must(reuses == (after.spki == before.spki), || "the key".to_owned()).map_err(fail)?;
    Ok(true)
}

/// How often each way led to a certificate, so that the test cannot pass by issuing nothing.
#[derive(Debug, Default)]
struct Tally {
    issued: u32,
    from_csr: u32,
    self_signed: u32,
    refused: u32,
    renewed: [u32; 3],
}

async fn run(
    world: &World,
    template: &Value,
    attributes: &Value,
    profile: uuid::Uuid,
    alone: bool,
    tally: &RefCell<Tally>,
) -> Judged {
    let plain = json!({"profileId": profile, "attributes": attributes});
    let issued = issue(world.operator(), template, &plain).await?;
    match (&issued, alone) {
        (None, _) => tally.borrow_mut().refused += 1,
        (Some(_), true) => tally.borrow_mut().self_signed += 1,
        (Some(_), false) => tally.borrow_mut().issued += 1,
    }
    world.clock.advance_seconds(7);
    if let Some(old) = &issued {
        let turn = tally.borrow().renewed[..2].iter().sum::<u32>();
        let key_source = if turn.is_multiple_of(2) { "new" } else { "reuse" };
        let came = renew(world, template, old, &json!({"renewalKeySource": key_source})).await?;
        must(came, || format!("a fresh certificate cannot be renewed with {key_source}: {plain:#}"))?;
        tally.borrow_mut().renewed[usize::from(key_source == "reuse")] += 1;
    }
    let Some(csr) = csr_of(attributes) else { return Ok(()) };
    let body = json!({"profileId": profile, "csr": csr, "attributes": {"ttl": attributes["ttl"]}});
    let from_csr = issue(world.operator(), template, &body).await?;
    must(from_csr.is_none() || !alone, || "a self-signed certificate from a CSR".to_owned())?;
    if let Some(old) = &from_csr {
        tally.borrow_mut().from_csr += 1;
        let again = csr_of(attributes).map(|csr| json!({"renewalKeySource": "csr", "csr": csr})).unwrap();
        tally.borrow_mut().renewed[2] += u32::from(renew(world, template, old, &again).await?);
    }
    Ok(())
}

/// Applies what a refusal suggests. Whether it suggested anything.
async fn mend(session: &Session, profile: uuid::Uuid, attributes: &mut Value) -> bool {
    let body = json!({"profileId": profile, "attributes": attributes});
    let (_, answer) = session.post(CERTIFICATES, &body).await;
    let suggestions: Vec<&Value> =
        answer["violations"].as_array().into_iter().flatten().filter_map(|it| it.get("suggestion")).collect();
    suggestions.iter().for_each(|it| apply(attributes, it));
    !suggestions.is_empty()
}

#[test]
fn nothing_outside_a_template_is_issued_and_what_is_issued_was_approved() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (world, pki) = runtime.block_on(async {
        let world = World::start().await;
        let pki = world.pki().await;
        (world, pki)
    });
    let tally = RefCell::new(Tally::default());
    let config =
        ProptestConfig { cases: 96, failure_persistence: None, max_shrink_iters: 64, ..ProptestConfig::default() };
    let mut runner = TestRunner::new_with_rng(config, random::seeded());
    runner
        .run(&random::cases(), |(template, requests, alone)| {
            runtime.block_on(async {
                let issuer = (!alone).then_some(pki.issuing);
                let Some(profile) = random::profile(&world, issuer, &template).await else { return Ok(()) };
                for attributes in &requests {
                    let mut tried = attributes.clone();
                    let drawn = run(&world, &template, &tried, profile, alone, &tally).await;
                    drawn.map_err(TestCaseError::fail)?;
                    // Few random requests fit a random template; with its suggestions most do.
                    if mend(world.operator(), profile, &mut tried).await {
                        let mended = run(&world, &template, &tried, profile, alone, &tally).await;
                        mended.map_err(TestCaseError::fail)?;
                    }
                }
                Ok(())
            })
        })
        .unwrap();
    let Tally { issued, from_csr, self_signed, refused, renewed } = tally.into_inner();
    let least = [issued, from_csr, self_signed, refused].into_iter().chain(renewed).min().unwrap();
    assert!(least >= 5, "{issued} {from_csr} {self_signed} {refused} {renewed:?}");
    runtime.block_on(world.stop());
}

#[tokio::test]
async fn the_older_routes_obey_templates_too() {
    let world = World::start().await;
    let pki = world.pki().await;
    let by_ca = json!({"caId": pki.issuing, "commonName": "www.acme.test", "ttl": "1d"});
    let path = "/api/v1/pki/certificates/issue-certificate";
    let (status, answer) = world.operator().post(path, &by_ca).await;
    assert_eq!((status, &answer["code"]), (400, &json!("ca.direct_issuance")), "{answer:#}");
    let ca = format!("/api/v1/cert-manager/ca/internal/{}", pki.issuing);
    world.admin().ok(Method::PATCH, &ca, Some(&json!({"directIssuancePolicyId": pki.template}))).await;
    for (path, extra) in [
        (path.to_owned(), json!({"caId": pki.issuing})),
        (format!("{CERTIFICATES}/issue-certificate"), json!({"profileId": pki.profile})),
    ] {
        for (name, ttl, expected) in
            [("www.acme.test", "1d", 200), ("www.evil.test", "1d", 400), ("www.acme.test", "2y", 400)]
        {
            let mut body = json!({"commonName": name, "ttl": ttl});
            body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            let (status, answer) = world.operator().post(&path, &body).await;
            assert_eq!(status, expected, "{path} {body}: {answer:#}");
            assert!(status == 200 || answer["code"] == "template.refused", "{answer:#}");
        }
    }
    world.stop().await;
}
