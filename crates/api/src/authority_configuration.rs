//! What an administrator says about an internal CA: the wire's configuration in the model's words, and back.

use chancery_authority::enrollment::Field;
use chancery_authority::hierarchy::StatusPatch;
use chancery_model::Timestamp;
use chancery_model::authority::{
    AutoRenewal, CaCertificate, CaLevel, CertificationAuthority, InternalCaConfiguration, NameConstraintRules,
    StatusSettings, Subtree,
};
use chancery_pkix::Certificate;
use chancery_wire as wire;
use chancery_wire::Nullable;
use chancery_wire::authority::{CaConfiguration, CaConfigurationPatch};

use crate::error::ApiError;
use crate::issues::Issues;
use crate::nullable::{field, try_field};
use crate::profile_answer::duration;

/// The fields about CRLs and OCSP, as they come with a new CA and with a change of one.
struct StatusFields {
    crl_validity: Nullable<String>,
    crl_partitions: Nullable<u32>,
    delta_crl_interval: Nullable<String>,
    is_ocsp_enabled: Nullable<bool>,
    crl_distribution_point_urls: Nullable<Vec<String>>,
    disable_managed: Nullable<bool>,
}

/// Ranges and addresses are the core's to judge.
fn status_patch(from: StatusFields, issues: &mut Issues) -> StatusPatch {
    StatusPatch {
        crl_validity: try_field(from.crl_validity, |text| issues.ttl("configuration.crlValidity", Some(&text))),
        crl_partitions: field(from.crl_partitions),
        delta_crl_interval: try_field(from.delta_crl_interval, |text| {
            issues.ttl("configuration.deltaCrlInterval", Some(&text))
        }),
        ocsp: field(from.is_ocsp_enabled),
        managed_crl_url: field(from.disable_managed.map(|disabled| !disabled)),
        crl_urls: trimmed(from.crl_distribution_point_urls),
    }
}

/// In the form that certificates need: no blanks around, the scheme in lower case.
fn trimmed(urls: Nullable<Vec<String>>) -> Field<Vec<String>> {
    let plain = |url: String| match url.trim().split_once("://") {
        Some((scheme, rest)) => format!("{}://{rest}", scheme.to_ascii_lowercase()),
        None => url.trim().to_owned(),
    };
    field(urls.map(|urls| urls.into_iter().map(plain).collect()))
}

/// A change of a CA's configuration. What stands in certificates already may be sent back as it was read, and no other
/// way: Terraform sends all of it on every update.
pub(crate) fn patch(from: CaConfigurationPatch, stored: &CaConfiguration) -> Result<StatusPatch, ApiError> {
    refuse_changes(&from, stored)?;
    let mut issues = Issues::default();
    let status = StatusFields {
        crl_validity: from.crl_validity,
        crl_partitions: from.crl_partitions,
        delta_crl_interval: from.delta_crl_interval,
        is_ocsp_enabled: from.is_ocsp_enabled,
        crl_distribution_point_urls: from.crl_distribution_point_urls,
        disable_managed: from.disable_managed_crl_distribution_point_url,
    };
    let patch = status_patch(status, &mut issues);
    issues.finish()?;
    Ok(patch)
}

fn refuse_changes(from: &CaConfigurationPatch, stored: &CaConfiguration) -> Result<(), ApiError> {
    let text = |sent: &Option<String>, stored: &Option<String>| {
        sent.as_ref().is_none_or(|sent| sent.trim() == stored.as_deref().unwrap_or_default().trim())
    };
    let date = |sent: &Option<String>, stored: &Option<String>| {
        let seconds = |text: &str| Timestamp::parse_date(text).map(Timestamp::as_seconds).ok();
        sent.as_ref()
            .filter(|sent| !sent.is_empty())
            .is_none_or(|sent| seconds(sent).is_some_and(|sent| stored.as_deref().and_then(seconds) == Some(sent)))
    };
    let same = [
        ("type", from.level.is_none_or(|it| it == stored.level)),
        ("friendlyName", text(&from.friendly_name, &stored.friendly_name)),
        ("commonName", text(&from.common_name, &stored.common_name)),
        ("organization", text(&from.organization, &stored.organization)),
        ("ou", text(&from.ou, &stored.ou)),
        ("country", text(&from.country, &stored.country)),
        ("province", text(&from.province, &stored.province)),
        ("locality", text(&from.locality, &stored.locality)),
        ("keyAlgorithm", from.key_algorithm.is_none_or(|it| it == stored.key_algorithm)),
        ("signatureAlgorithm", from.signature_algorithm.is_none_or(|it| Some(it) == stored.signature_algorithm)),
        ("notBefore", date(&from.not_before, &stored.not_before)),
        ("notAfter", date(&from.not_after, &stored.not_after)),
        ("maxPathLength", from.max_path_length.is_none_or(|it| it.max(-1) == stored.max_path_length.unwrap_or(-1))),
        ("keySource", text(&from.key_source, &stored.key_source)),
        (
            "nameConstraints",
            from.name_constraints.as_ref().is_none_or(|it| Some(it) == stored.name_constraints.as_ref()),
        ),
    ];
    let Some((field, _)) = same.iter().find(|(_, same)| !same) else { return Ok(()) };
    let message = format!(
        "configuration.{field}: it cannot be changed, because it stands in the CA's certificate or key; \
         leave it out or send it as it is, and make another CA for another value"
    );
    Err(ApiError::bad_request("ca.fixed", message))
}

/// The wire's configuration in the model's words. Settings for what this build lacks are refused, never ignored.
pub(crate) fn configuration(from: CaConfiguration, issues: &mut Issues) -> Result<InternalCaConfiguration, ApiError> {
    refuse_missing_parts(&from)?;
    let status = StatusFields {
        crl_validity: from.crl_validity.into(),
        crl_partitions: from.crl_partitions.into(),
        delta_crl_interval: from.delta_crl_interval.into(),
        is_ocsp_enabled: from.is_ocsp_enabled.into(),
        crl_distribution_point_urls: from.crl_distribution_point_urls.into(),
        disable_managed: from.disable_managed_crl_distribution_point_url.into(),
    };
    let mut text = |name: &str, value: Option<String>| {
        let value = value.map(|it| it.trim().to_owned()).unwrap_or_default();
        issues.length(&format!("configuration.{name}"), &value, 0..=255);
        value
    };
    let mut made = InternalCaConfiguration {
        level: match from.level {
            wire::words::CaLevel::Root => CaLevel::Root,
            wire::words::CaLevel::Intermediate => CaLevel::Intermediate,
        },
        friendly_name: text("friendlyName", from.friendly_name),
        common_name: text("commonName", from.common_name),
        organization: text("organization", from.organization),
        organizational_unit: text("ou", from.ou),
        country: text("country", from.country),
        state: text("province", from.province),
        locality: text("locality", from.locality),
        key_algorithm: chancery_pkix::KeyAlgorithm::EcP256,
        signature_algorithm: None,
        not_before: issues.date("configuration.notBefore", from.not_before.as_deref().filter(|it| !it.is_empty())),
        not_after: issues.date("configuration.notAfter", from.not_after.as_deref().filter(|it| !it.is_empty())),
        path_length_max: from.max_path_length.filter(|length| *length >= 0),
        name_constraints: from.name_constraints.map(|rules| constraints(rules, issues)),
        status: StatusSettings::default(),
        auto_renewal: AutoRenewal::default(),
        signing: None,
    };
    status_patch(status, issues).apply(&mut made.status);
    if let Some(algorithm) = issues.word("configuration.keyAlgorithm", from.key_algorithm.as_str()) {
        made.key_algorithm = algorithm;
    }
    made.signature_algorithm =
        from.signature_algorithm.and_then(|it| issues.word("configuration.signatureAlgorithm", it.as_str()));
    issues.range("configuration.maxPathLength", from.max_path_length.unwrap_or(-1), -1..=255);
    let subject =
        [&made.common_name, &made.organization, &made.organizational_unit, &made.country, &made.state, &made.locality];
    if subject.iter().all(|value| value.is_empty()) {
        issues
            .add("configuration.commonName", "at least one subject field must be filled; commonName is the usual one");
    }
    Ok(made)
}

fn refuse_missing_parts(from: &CaConfiguration) -> Result<(), ApiError> {
    let refuse =
        |field: &str, why: &str| Err(ApiError::bad_request("ca.unsupported", format!("configuration.{field}: {why}")));
    if from.key_source.as_deref().is_some_and(|source| source != "infisical") {
        return refuse("keySource", "this build holds CA keys itself; leave keySource out");
    }
    Ok(())
}

fn constraints(from: wire::authority::NameConstraints, issues: &mut Issues) -> NameConstraintRules {
    let mut list = |name: &str, subtrees: Vec<wire::authority::Subtree>| {
        let mut made = Vec::with_capacity(subtrees.len());
        issues.count(&format!("configuration.nameConstraints.{name}"), subtrees.len(), 100);
        for (index, subtree) in subtrees.into_iter().enumerate() {
            let place = format!("configuration.nameConstraints.{name}[{index}]");
            issues.length(&format!("{place}.value"), &subtree.value, 1..=255);
            if let Some(kind) = issues.word(&format!("{place}.type"), subtree.kind.as_str()) {
                made.push(Subtree { kind, value: subtree.value });
            }
        }
        made
    };
    NameConstraintRules { permitted: list("permitted", from.permitted), excluded: list("excluded", from.excluded) }
}

pub(crate) fn shown_configuration(
    ca: &CertificationAuthority,
    certificate: Option<&CaCertificate>,
    repository_url: Option<&str>,
) -> CaConfiguration {
    let from = &ca.configuration;
    let parsed = certificate.and_then(|it| Certificate::from_der(&it.der).ok());
    let time = |own: Option<Timestamp>, certified: Option<Timestamp>| certified.or(own).map(|time| time.to_string());
    let text = |value: &str| Some(value.to_owned());
    let status = &from.status;
    let base = repository_url.map(|url| url.trim_end_matches('/')).filter(|_| status.ocsp);
    CaConfiguration {
        level: match from.level {
            CaLevel::Root => wire::words::CaLevel::Root,
            CaLevel::Intermediate => wire::words::CaLevel::Intermediate,
        },
        friendly_name: text(&from.friendly_name),
        common_name: text(&from.common_name),
        organization: text(&from.organization),
        ou: text(&from.organizational_unit),
        country: text(&from.country),
        province: text(&from.state),
        locality: text(&from.locality),
        key_algorithm: wire::words::KeyAlgorithm::from_name(from.key_algorithm.as_str())
            .unwrap_or(wire::words::KeyAlgorithm::EcP256),
        signature_algorithm: from
            .signature_algorithm
            .and_then(|it| wire::words::SignatureAlgorithm::from_name(it.as_str())),
        not_before: time(from.not_before, certificate.map(|it| it.not_before)),
        not_after: time(from.not_after, certificate.map(|it| it.not_after)),
        max_path_length: match certificate {
            Some(it) => Some(it.path_length.map_or(-1, i64::from)),
            None => from.path_length_max,
        },
        key_source: Some("infisical".to_owned()),
        name_constraints: from.name_constraints.as_ref().map(shown_constraints),
        crl_distribution_point_urls: Some(status.crl_urls.clone()),
        disable_managed_crl_distribution_point_url: Some(!status.managed_crl_url),
        is_ocsp_enabled: Some(status.ocsp),
        crl_validity: Some(duration(status.crl_validity)),
        crl_partitions: Some(status.crl_partitions),
        delta_crl_interval: status.delta_crl_interval.map(duration),
        ocsp_responder_url: base.map(|base| format!("{base}/api/v1/cert-manager/ocsp/{}", ca.id)),
        dn: parsed.and_then(|it| it.subject().ok()).map(|it| it.to_string()),
        parent_ca_id: certificate.and_then(|it| it.parent_ca_id).map(|id| id.as_uuid()),
        serial_number: certificate.map(|it| it.serial_number.clone()),
        active_ca_cert_id: ca.active_certificate.map(|id| id.as_uuid()),
    }
}

fn shown_constraints(from: &NameConstraintRules) -> wire::authority::NameConstraints {
    let list = |subtrees: &[Subtree]| {
        let one = |it: &Subtree| {
            let kind = wire::words::SanType::from_name(it.kind.as_str())?;
            Some(wire::authority::Subtree { kind, value: it.value.clone() })
        };
        subtrees.iter().filter_map(one).collect()
    };
    wire::authority::NameConstraints { permitted: list(&from.permitted), excluded: list(&from.excluded) }
}
