//! Asking for certificates: issue, evaluate, renew, and the older forms of the same.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use chancery_authority::Authority;
use chancery_authority::enrollment::{Attributes, Field, IssueRequest, Target};
use chancery_authority::issuance::Explanation;
use chancery_authority::renewal::{RenewRequest, RenewalKeySource};
use chancery_authority::stage::Stage;
use chancery_model::permission::Permission;
use chancery_model::{ApplicationId, CaId, CertificateId, ProfileId};
use chancery_pkix::{BasicConstraints, GeneralNameKind};
use chancery_wire as wire;
use chancery_wire::Nullable;
use chancery_wire::certificate::{
    AltNames, FlatIssueAnswer, FlatIssueCertificate, IssueAnswer, IssueCertificate, OrderAnswer, RenewCertificate,
};
use chancery_wire::evaluation::{EvaluateAnswer, EvaluatedField, EvaluatedRule};
use chancery_wire::rehearsal::TryTemplateAnswer;
use chancery_wire::words::{RuleVerdict, Verdict};

use crate::error::{ApiError, suggestion, warnings};
use crate::extract::{Answer, Body, Caller, Id, OptionalBody};
use crate::issue_answer::{Ordered, Outcome, Wish};
use crate::issues::Issues;
use crate::route::Endpoint;

/// Longest CSR, in characters of PEM.
pub(crate) const CSR_MAX: usize = 64 * 1024;

/// Longest that a call waits for an external CA, in seconds.
const WAIT_MAX: u32 = 60;

const BASE: &str = "/api/v1/cert-manager/certificates";

pub(crate) fn endpoints() -> Vec<Endpoint> {
    use Permission::{CertificateIssue, CertificateRenew};
    let flat = |endpoint: Endpoint, operation: &str, summary: &'static str| {
        endpoint
            .resumes()
            .named(operation, summary)
            .takes::<FlatIssueCertificate>()
            .answers::<FlatIssueAnswer>()
            .deprecated()
    };
    vec![
        Endpoint::post(BASE, CertificateIssue, issue)
            .resumes()
            .named("createCertificate", "Issue a certificate, with or without a CSR")
            .takes::<IssueCertificate>()
            .answers::<IssueAnswer>(),
        Endpoint::post(format!("{BASE}/evaluate"), CertificateIssue, evaluate)
            .named("evaluateCertificate", "Say what an issue request would give, and why; issues nothing")
            .takes::<IssueCertificate>()
            .answers::<EvaluateAnswer>(),
        Endpoint::post(format!("{BASE}/{{id}}/renew"), CertificateRenew, renew)
            .resumes()
            .named("renewCertificate", "Renew a certificate")
            .may_take::<RenewCertificate>()
            .answers::<FlatIssueAnswer>(),
        flat(
            Endpoint::post(format!("{BASE}/issue-certificate"), CertificateIssue, issue_flat),
            "issueCertificateFlat",
            "Issue without a CSR (older form)",
        ),
        flat(
            Endpoint::post(format!("{BASE}/sign-certificate"), CertificateIssue, sign_flat),
            "signCertificateFlat",
            "Issue from a CSR (older form)",
        ),
        Endpoint::post(format!("{BASE}/order-certificate"), CertificateIssue, order_flat)
            .resumes()
            .named("orderCertificateFlat", "Order from an external CA (older form)")
            .takes::<FlatIssueCertificate>()
            .answers::<OrderAnswer>()
            .deprecated(),
        flat(
            Endpoint::post("/api/v1/pki/certificates/issue-certificate", CertificateIssue, issue_flat),
            "issueCertificateFromCa",
            "Issue without a CSR (oldest form)",
        ),
        flat(
            Endpoint::post("/api/v1/pki/certificates/sign-certificate", CertificateIssue, sign_flat),
            "signCertificateFromCa",
            "Issue from a CSR (oldest form)",
        ),
    ]
}

async fn issue(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Body(body): Body<IssueCertificate>,
) -> Result<Response, ApiError> {
    let (request, wish) = issue_request(body)?;
    let issuance = authority.issue(&call, request).await?;
    let outcome = Outcome::of(&authority, &call, issuance, wish).await?;
    Ok(authority.stages().time(Stage::Respond, || outcome.nested()))
}

async fn issue_flat(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Body(body): Body<FlatIssueCertificate>,
) -> Result<Response, ApiError> {
    let (request, wish) = flat_request(body)?;
    let issuance = authority.issue(&call, request).await?;
    Ok(Outcome::of(&authority, &call, issuance, wish).await?.flat(None))
}

/// Who asks for a signature has a key; one made here in its place would be a surprise.
async fn sign_flat(
    state: State<Authority>,
    caller: Caller,
    Body(body): Body<FlatIssueCertificate>,
) -> Result<Response, ApiError> {
    if body.csr.is_none() {
        return Err(ApiError::invalid(vec![crate::issues::issue("csr", "invalid_type", "Required")]));
    }
    issue_flat(state, caller, Body(body)).await
}

/// Orders name a profile: the routes by CA alone are for CAs of this server.
async fn order_flat(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Body(body): Body<FlatIssueCertificate>,
) -> Result<Response, ApiError> {
    let Some(profile) = body.profile_id.map(ProfileId::from_uuid) else {
        return Err(ApiError::invalid(vec![crate::issues::issue("profileId", "invalid_type", "Required")]));
    };
    let common_name = body.common_name.as_value().map(|name| name.trim().to_owned());
    let (request, wish) = flat_request(body)?;
    let issuance = authority.issue(&call, request).await?;
    let outcome = Outcome::of(&authority, &call, issuance, wish).await?;
    let profile = authority.reader().profile(call.project_id(), profile).await?;
    let ordered = Ordered {
        project_id: call.project_id().as_uuid(),
        profile_name: profile.map(|it| it.slug).unwrap_or_default(),
        common_name,
    };
    Ok(outcome.ordered(ordered))
}

async fn evaluate(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Body(body): Body<IssueCertificate>,
) -> Answer<EvaluateAnswer> {
    let explanation = authority.evaluate(&call, issue_request(body)?.0).await?;
    let profile_id = explanation.profile_id.map(|id| id.as_uuid());
    let policy_id = explanation.template_id.as_uuid();
    let TryTemplateAnswer { verdict, fields, rules, warnings } = explained(explanation);
    Ok(Json(EvaluateAnswer { verdict, fields, rules, warnings, profile_id, policy_id }))
}

/// What the rules say, field by field and rule by rule.
pub(crate) fn explained(explanation: Explanation) -> TryTemplateAnswer {
    let fields = explanation.fields.into_iter();
    let rules = explanation.rules.into_iter();
    TryTemplateAnswer {
        verdict: if explanation.approved { Verdict::Issued } else { Verdict::Refused },
        fields: fields
            .map(|it| EvaluatedField { field: it.field, value: it.value, source: it.source.as_str().to_owned() })
            .collect(),
        rules: rules
            .map(|it| EvaluatedRule {
                suggestion: it.suggestion.as_ref().map(suggestion),
                source: it.source.map(|source| source.as_str().to_owned()),
                verdict: if it.passed { RuleVerdict::Pass } else { RuleVerdict::Fail },
                rule: it.rule,
                field: it.field,
                value: it.value,
                allowed: it.allowed,
            })
            .collect(),
        warnings: warnings(&explanation.warnings),
    }
}

async fn renew(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<CertificateId>,
    OptionalBody(body): OptionalBody<RenewCertificate>,
) -> Result<Response, ApiError> {
    let (request, wish, ignored) = renew_request(body)?;
    let issuance = authority.renew(&call, id, request).await?;
    Ok(Outcome::of(&authority, &call, issuance, wish).await?.flat(ignored))
}

/// What the core is asked, and how the answer is wanted.
fn issue_request(body: IssueCertificate) -> Result<(IssueRequest, Wish), ApiError> {
    let mut issues = Issues::default();
    let target = Target::Profile {
        profile_id: ProfileId::from_uuid(body.profile_id),
        application_id: body.application_id.map(ApplicationId::from_uuid),
    };
    let attributes = body.attributes.unwrap_or_default();
    let without_root = body.remove_roots_from_chain.or(attributes.remove_roots_from_chain).unwrap_or(false);
    let wish = wish(without_root, body.wait, &mut issues);
    let request = IssueRequest {
        target,
        csr: csr(body.csr, &mut issues),
        attributes: from_attributes(attributes, &mut issues),
        metadata: issues.metadata("metadata", body.metadata),
    };
    issues.finish()?;
    Ok((request, wish))
}

fn wish(without_root: bool, wait: Option<u32>, issues: &mut Issues) -> Wish {
    let wait = wait.unwrap_or(0);
    issues.range("wait", wait, 0..=WAIT_MAX);
    Wish { without_root, wait: wait.into() }
}

fn flat_request(body: FlatIssueCertificate) -> Result<(IssueRequest, Wish), ApiError> {
    let target = flat_target(&body)?;
    let mut issues = Issues::default();
    let wish = wish(body.remove_roots_from_chain.unwrap_or(false), body.wait, &mut issues);
    let attributes = wire::certificate::Attributes {
        common_name: body.common_name,
        organization: body.organization,
        organizational_unit: body.organizational_unit,
        country: body.country,
        state: body.state,
        locality: body.locality,
        domain_components: body.domain_components,
        key_usages: body.key_usages,
        extended_key_usages: body.extended_key_usages,
        alt_names: body.alt_names.map(alt_name_list),
        signature_algorithm: body.signature_algorithm,
        key_algorithm: body.key_algorithm,
        ttl: body.ttl,
        not_before: body.not_before,
        not_after: body.not_after,
        basic_constraints: body.basic_constraints,
        remove_roots_from_chain: None,
    };
    let request = IssueRequest {
        target,
        csr: csr(body.csr, &mut issues),
        attributes: from_attributes(attributes, &mut issues),
        metadata: issues.metadata("metadata", body.metadata),
    };
    issues.finish()?;
    Ok((request, wish))
}

fn flat_target(body: &FlatIssueCertificate) -> Result<Target, ApiError> {
    match (body.profile_id, body.ca_id, body.certificate_template_id) {
        // Whichever were ignored, its rules would be the ones that the caller counts on.
        (Some(_), Some(_), _) | (Some(_), _, Some(_)) | (_, Some(_), Some(_)) => Err(ApiError::bad_request(
            "issue.target",
            "profileId, caId and certificateTemplateId each name other rules; send one of them",
        )),
        (Some(profile), None, None) => Ok(Target::Profile {
            profile_id: ProfileId::from_uuid(profile),
            application_id: body.application_id.map(ApplicationId::from_uuid),
        }),
        (None, Some(ca), None) => Ok(Target::Ca(CaId::from_uuid(ca))),
        (None, None, Some(_)) => Err(ApiError::bad_request(
            "issue.template_only",
            "A template alone names no issuer. Make a certificate profile with this template and a CA, then request with its \
             profileId; or set directIssuancePolicyId on a CA and request with caId",
        )),
        (None, None, None) => {
            Err(ApiError::invalid(vec![crate::issues::issue("profileId", "invalid_type", "Required (or caId)")]))
        }
    }
}

/// The oldest form joins names by commas and leaves their kind to be guessed, as those clients expect.
fn alt_name_list(names: AltNames) -> Vec<wire::certificate::AltName> {
    use wire::words::SanType;
    let guess = |text: &str| {
        if text.parse::<std::net::IpAddr>().is_ok() {
            SanType::IpAddress
        } else if text.contains("://") {
            SanType::Uri
        } else if text.contains('@') {
            SanType::Email
        } else {
            SanType::DnsName
        }
    };
    match names {
        AltNames::List(list) => list,
        AltNames::Joined(text) => text
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .map(|name| wire::certificate::AltName { kind: guess(name), value: name.to_owned() })
            .collect(),
    }
}

fn renew_request(body: RenewCertificate) -> Result<(RenewRequest, Wish, Option<wire::Warning>), ApiError> {
    let mut issues = Issues::default();
    let nested = body.attributes.as_ref().and_then(|it| it.remove_roots_from_chain);
    let wish = wish(body.remove_roots_from_chain.or(nested).unwrap_or(false), body.wait, &mut issues);
    let mut ignored = None;
    let attributes = body.attributes.map(|mut attributes| {
        let dates = [attributes.not_before.take(), attributes.not_after.take()];
        if dates.iter().any(Option::is_some) {
            ignored = Some(wire::Warning {
                code: "renewal.dates_ignored".to_owned(),
                field: "attributes.notAfter".to_owned(),
                message: "A renewal starts now; its length is set by ttl, and notBefore and notAfter are not used"
                    .to_owned(),
            });
        }
        from_attributes(attributes, &mut issues)
    });
    let request = RenewRequest {
        key_source: body.renewal_key_source.map(|source| match source {
            wire::words::RenewalKeySource::New => RenewalKeySource::New,
            wire::words::RenewalKeySource::Reuse => RenewalKeySource::Reuse,
            wire::words::RenewalKeySource::Csr => RenewalKeySource::Csr,
        }),
        csr: csr(body.csr, &mut issues),
        attributes,
    };
    issues.finish()?;
    Ok((request, wish, ignored))
}

pub(crate) fn csr(text: Option<String>, issues: &mut Issues) -> Option<String> {
    let mut text = text?;
    // White space around it is not part of it, nor of its length.
    text.truncate(text.trim_end().len());
    issues.length("csr", text.trim_start(), 1..=CSR_MAX);
    Some(text)
}

pub(crate) fn from_attributes(from: wire::certificate::Attributes, issues: &mut Issues) -> Attributes {
    let ttl = from.ttl.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    if let Some(text) = &ttl {
        issues.length("attributes.ttl", text, 1..=32);
        issues.ttl("attributes.ttl", Some(text));
    }
    let not_before = issues.date("attributes.notBefore", from.not_before.as_deref());
    let not_after = issues.date("attributes.notAfter", from.not_after.as_deref());
    if ttl.is_some() && (from.not_before.is_some() || from.not_after.is_some()) {
        issues.add("attributes.ttl", "give either ttl or notBefore and notAfter, not both");
    }
    if let (Some(start), Some(end)) = (not_before, not_after)
        && start >= end
    {
        issues.add("attributes.notAfter", "must be after notBefore");
    }
    let mut text = |name: &str, value: Nullable<String>| match value {
        Nullable::Missing => Field::Missing,
        Nullable::Null => Field::Null,
        Nullable::Value(value) => {
            let value = value.trim().to_owned();
            issues.length(&format!("attributes.{name}"), &value, 0..=255);
            Field::Value(value)
        }
    };
    Attributes {
        common_name: text("commonName", from.common_name),
        organization: text("organization", from.organization),
        organizational_unit: text("organizationalUnit", from.organizational_unit),
        country: text("country", from.country),
        state: text("state", from.state),
        locality: text("locality", from.locality),
        domain_components: from.domain_components.inspect(|labels| check_components(labels, issues)),
        key_usages: words(from.key_usages.as_deref(), "keyUsages", |it| it.as_str(), issues),
        extended_key_usages: words(from.extended_key_usages.as_deref(), "extendedKeyUsages", |it| it.as_str(), issues),
        alt_names: from.alt_names.map(|names| alt_names(names, issues)),
        key_algorithm: word_field(from.key_algorithm.map(|it| it.as_str()), "keyAlgorithm", issues),
        signature_algorithm: word_field(from.signature_algorithm.map(|it| it.as_str()), "signatureAlgorithm", issues),
        ttl,
        not_before,
        not_after,
        basic_constraints: from
            .basic_constraints
            .map(|it| BasicConstraints { is_ca: it.is_ca, path_length: it.path_length }),
    }
}

fn check_components(labels: &[String], issues: &mut Issues) {
    issues.count("attributes.domainComponents", labels.len(), 50);
    let joined: usize = labels.iter().map(|label| label.chars().count() + 1).sum();
    issues.range("attributes.domainComponents", joined.saturating_sub(1), 0..=255);
    for (index, label) in labels.iter().enumerate() {
        let place = format!("attributes.domainComponents[{index}]");
        issues.length(&place, label, 1..=255);
        if label.contains(',') {
            issues.add_as(&place, "invalid_string", "must not contain a comma");
        }
    }
}

fn words<W: Copy, T: std::str::FromStr>(
    from: Option<&[W]>,
    name: &str,
    text: fn(W) -> &'static str,
    issues: &mut Issues,
) -> Option<Vec<T>> {
    let from = from?;
    issues.count(&format!("attributes.{name}"), from.len(), 20);
    let each = from.iter().enumerate();
    Some(each.filter_map(|(index, word)| issues.word(&format!("attributes.{name}[{index}]"), text(*word))).collect())
}

fn word_field<T: std::str::FromStr>(word: Nullable<&'static str>, name: &str, issues: &mut Issues) -> Field<T> {
    match word {
        Nullable::Missing => Field::Missing,
        Nullable::Null => Field::Null,
        Nullable::Value(word) => issues.word(&format!("attributes.{name}"), word).map_or(Field::Missing, Field::Value),
    }
}

fn alt_names(names: Vec<wire::certificate::AltName>, issues: &mut Issues) -> Vec<(GeneralNameKind, String)> {
    issues.count("attributes.altNames", names.len(), 100);
    let mut made = Vec::with_capacity(names.len());
    for (index, name) in names.into_iter().enumerate() {
        let value = name.value.trim().to_owned();
        issues.length(&format!("attributes.altNames[{index}].value"), &value, 1..=255);
        if let Some(kind) = issues.word(&format!("attributes.altNames[{index}].type"), name.kind.as_str()) {
            made.push((kind, value));
        }
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "00000000-0000-7000-8000-000000000000";

    fn read(attributes: &str) -> Result<IssueRequest, ApiError> {
        let text = format!(r#"{{"profileId":"{ID}","attributes":{attributes}}}"#);
        issue_request(crate::json::parse(text.as_bytes())?).map(|(request, _)| request)
    }

    #[test]
    fn contradictions_and_excess_are_schema_errors() {
        let long = "x".repeat(256);
        let many = vec![r#"{"type":"dns_name","value":"a"}"#; 101].join(",");
        for (attributes, place) in [
            (r#"{"ttl":"90d","notAfter":"2030-01-01"}"#.to_owned(), "attributes.ttl"),
            (r#"{"notBefore":"2031-01-01","notAfter":"2030-01-01"}"#.to_owned(), "attributes.notAfter"),
            (r#"{"notAfter":"yesterday"}"#.to_owned(), "attributes.notAfter"),
            (r#"{"ttl":"90"}"#.to_owned(), "attributes.ttl"),
            (r#"{"ttl":"-1h"}"#.to_owned(), "attributes.ttl"),
            (format!(r#"{{"commonName":"{long}"}}"#), "attributes.commonName"),
            (format!(r#"{{"altNames":[{many}]}}"#), "attributes.altNames"),
            (r#"{"altNames":[{"type":"dns_name","value":"  "}]}"#.to_owned(), "attributes.altNames[0].value"),
            (r#"{"domainComponents":["a,b"]}"#.to_owned(), "attributes.domainComponents[0]"),
            (r#"{"keyUsages":["fly"]}"#.to_owned(), "attributes.keyUsages[0]"),
            (
                r#"{"basicConstraints":{"isCA":true,"pathLength":256}}"#.to_owned(),
                "attributes.basicConstraints.pathLength",
            ),
        ] {
            let error = read(&attributes).expect_err(&attributes);
            assert_eq!(error.status(), 422, "{attributes:.60}");
            let message = error.body("r").message.to_string();
            assert!(message.starts_with(place), "{message}");
        }
    }

    #[test]
    fn labels_are_bounded_in_number() {
        let pairs = vec![r#"{"key":"a","value":"b"}"#; 101].join(",");
        let body = crate::json::parse(format!(r#"{{"profileId":"{ID}","metadata":[{pairs}]}}"#).as_bytes()).unwrap();
        let error = issue_request(body).unwrap_err();
        assert_eq!(error.status(), 422);
        assert_eq!(error.body("r").message.to_string(), "metadata: must contain at most 100 item(s)");
    }

    #[test]
    fn an_older_form_names_one_target() {
        let check = |keys: &[&str], expected: Option<&str>| {
            let fields: Vec<String> = keys.iter().map(|key| format!(r#""{key}":"{ID}""#)).collect();
            let body = crate::json::parse(format!("{{{}}}", fields.join(",")).as_bytes()).unwrap();
            let code = flat_target(&body).err().and_then(|error| error.code().map(str::to_owned));
            assert_eq!(code.as_deref(), expected, "{keys:?}");
        };
        check(&["profileId"], None);
        check(&["caId"], None);
        check(&["certificateTemplateId"], Some("issue.template_only"));
        check(&["caId", "certificateTemplateId"], Some("issue.target"));
        check(&["profileId", "caId"], Some("issue.target"));
        check(&["profileId", "certificateTemplateId"], Some("issue.target"));
    }

    #[test]
    fn an_empty_ttl_counts_as_missing_and_texts_are_trimmed() {
        let request = read(r#"{"ttl":" ","commonName":" a.acme.com ","organization":null}"#).unwrap();
        assert_eq!(request.attributes.ttl, None);
        assert_eq!(request.attributes.common_name, Field::Value("a.acme.com".to_owned()));
        assert_eq!(request.attributes.organization, Field::Null);
        assert_eq!(request.attributes.country, Field::Missing);
    }

    #[test]
    fn the_root_flag_is_honoured_in_both_places() {
        let check = |text: &str, expected: bool| {
            let body: IssueCertificate =
                crate::json::parse(format!(r#"{{"profileId":"{ID}",{text}}}"#).as_bytes()).unwrap();
            assert_eq!(issue_request(body).unwrap().1.without_root, expected, "{text}");
        };
        check(r#""removeRootsFromChain":"true""#, true);
        check(r#""attributes":{"removeRootsFromChain":true}"#, true);
        check(r#""removeRootsFromChain":false,"attributes":{"removeRootsFromChain":true}"#, false);
        check(r#""attributes":{}"#, false);
    }

    #[test]
    fn joined_names_get_their_kind() {
        use wire::words::SanType;
        let names =
            alt_name_list(AltNames::Joined("a.acme.com, 10.0.0.1,ops@acme.com,spiffe://acme/x,::1,".to_owned()));
        let kinds: Vec<_> = names.iter().map(|it| it.kind).collect();
        assert_eq!(kinds, [SanType::DnsName, SanType::IpAddress, SanType::Email, SanType::Uri, SanType::IpAddress]);
    }

    #[test]
    fn a_template_alone_names_the_next_step() {
        let body: FlatIssueCertificate =
            crate::json::parse(format!(r#"{{"certificateTemplateId":"{ID}"}}"#).as_bytes()).unwrap();
        let error = flat_request(body).unwrap_err();
        assert_eq!(error.status(), 400);
        assert!(error.body("r").message.to_string().contains("profile"));
    }

    #[test]
    fn dates_of_a_renewal_are_ignored_with_a_warning() {
        let body: RenewCertificate =
            crate::json::parse(br#"{"attributes":{"notAfter":"2030-01-01","commonName":"b"}}"#).unwrap();
        let (request, _, warning) = renew_request(body).unwrap();
        assert_eq!(request.attributes.unwrap().not_after, None);
        assert_eq!(warning.unwrap().code, "renewal.dates_ignored");
    }

    #[test]
    fn the_words_of_the_wire_are_the_words_of_the_core() {
        fn check<T: std::str::FromStr>(words: Vec<&str>) {
            for word in words {
                assert!(word.parse::<T>().is_ok(), "{word}");
            }
        }
        use wire::words as w;
        check::<chancery_pkix::KeyAlgorithm>(w::KeyAlgorithm::ALL.iter().map(|it| it.as_str()).collect());
        check::<chancery_pkix::SignatureAlgorithm>(w::SignatureAlgorithm::ALL.iter().map(|it| it.as_str()).collect());
        check::<chancery_pkix::KeyUsage>(w::KeyUsage::ALL.iter().map(|it| it.as_str()).collect());
        check::<chancery_pkix::ExtendedKeyUsage>(w::ExtendedKeyUsage::ALL.iter().map(|it| it.as_str()).collect());
        check::<GeneralNameKind>(w::SanType::ALL.iter().map(|it| it.as_str()).collect());
        check::<chancery_pkix::AttributeType>(w::SubjectAttributeType::ALL.iter().map(|it| it.as_str()).collect());
        assert_eq!(w::KeyAlgorithm::ALL.len(), chancery_pkix::KeyAlgorithm::ALL.len());
        assert_eq!(w::SignatureAlgorithm::ALL.len(), chancery_pkix::SignatureAlgorithm::ALL.len());
        assert_eq!(w::KeyUsage::ALL.len(), chancery_pkix::KeyUsage::ALL.len());
        assert_eq!(w::ExtendedKeyUsage::ALL.len(), chancery_pkix::ExtendedKeyUsage::ALL.len());
        assert_eq!(w::SanType::ALL.len(), GeneralNameKind::ALL.len());
    }
}
