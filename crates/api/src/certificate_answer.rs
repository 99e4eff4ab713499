//! A certificate of the inventory in the wire's words.

use chancery_authority::{Authority, Call};
use chancery_model::certificate::{Certificate, CertificateStatus, ForeignDescription, RenewalSettings};
use chancery_model::{CertificateId, Timestamp};
use chancery_pkix::AttributeType;
use chancery_wire as wire;
use chancery_wire::certificate::{BasicConstraints, CertificateDetails, Fingerprints, ForeignDetails, SubjectDetails};

use crate::application::name_of;
use crate::error::ApiError;
use crate::identity::pairs;
use crate::profile_answer::{duration, renew_at};

/// Renewals followed to find the latest of a line.
const LINE_MAX: usize = 100;

pub(crate) fn shown(from: &Certificate, now: Timestamp) -> wire::certificate::Certificate {
    let description = &from.description;
    let subject = |kind| description.subject_value(kind).map(str::to_owned);
    let common_name = description.common_name().unwrap_or_default().to_owned();
    wire::certificate::Certificate {
        id: from.id.as_uuid(),
        project_id: from.project_id.as_uuid(),
        created_at: from.created_at.to_string(),
        updated_at: from.updated_at.to_string(),
        not_before: from.not_before.to_string(),
        not_after: from.not_after.to_string(),
        status: status(from.status(now)),
        serial_number: from.serial_number.clone(),
        friendly_name: from.friendly_name.clone().unwrap_or_else(|| common_name.clone()),
        common_name,
        ca_id: from.ca_id.map(|id| id.as_uuid()),
        ca_cert_id: from.ca_certificate_id.map(|id| id.as_uuid()),
        certificate_template_id: from.template_id.map(|id| id.as_uuid()),
        pki_subscriber_id: None,
        profile_id: from.profile_id.map(|id| id.as_uuid()),
        application_id: from.application_id.map(|id| id.as_uuid()),
        revoked_at: from.revocation.map(|it| it.at.to_string()),
        revocation_reason: from.revocation.map(|it| it.reason.code()),
        alt_names: joined(description.sans.iter().map(|(_, value)| value.as_str())),
        key_usages: Some(words(&description.key_usages, |it| wire::words::KeyUsage::from_name(it.as_str()))),
        extended_key_usages: Some(words(&description.extended_key_usages, |it| {
            wire::words::ExtendedKeyUsage::from_name(it.as_str())
        })),
        renew_before_days: from.renewal.renew_before_days,
        renewed_from_certificate_id: from.renewal.renewed_from.map(|id| id.as_uuid()),
        renewed_by_certificate_id: from.renewal.renewed_by.map(|id| id.as_uuid()),
        renewal_error: from.renewal.error.clone(),
        renewal_due_at: from.renewal.due_at.map(|time| time.to_string()),
        key_algorithm: description.key_algorithm.and_then(|it| wire::words::KeyAlgorithm::from_name(it.as_str())),
        signature_algorithm: description
            .signature_algorithm
            .and_then(|it| wire::words::SignatureAlgorithm::from_name(it.as_str())),
        subject_organization: subject(AttributeType::Organization),
        subject_organizational_unit: subject(AttributeType::OrganizationalUnit),
        subject_country: subject(AttributeType::Country),
        subject_state: subject(AttributeType::State),
        subject_locality: subject(AttributeType::Locality),
        subject_domain_components: joined(domain_components(from)),
        fingerprint_sha256: Some(hex::encode(from.fingerprint_sha256)),
        fingerprint_sha1: sha1(from),
        is_ca: Some(description.is_ca),
        path_length: description.path_length,
        source: Some(from.source.as_str().to_owned()),
        discovery_metadata: None,
        details: None,
    }
}

/// The certificate with what only the answer for a single one adds.
pub(crate) async fn detailed(
    authority: &Authority,
    call: &Call,
    from: &Certificate,
) -> Result<wire::certificate::Certificate, ApiError> {
    let reader = authority.reader();
    let project = call.project_id();
    let ca = match from.ca_id {
        Some(id) => reader.ca_summary(project, id).await?,
        None => None,
    };
    let profile = match from.profile_id {
        Some(id) => reader.profile(project, id).await?,
        None => None,
    };
    let latest = latest_renewal(authority, call, from).await?;
    // A CA that is gone leaves the certificates of its own hierarchy behind, which an external one never had.
    let is_external = ca.as_ref().map_or(from.ca_certificate_id.is_none(), |it| it.kind.is_some());
    let mut answer = shown(from, authority.now());
    answer.details = Some(CertificateDetails {
        subject: subject(from),
        fingerprints: Fingerprints { sha256: hex::encode(from.fingerprint_sha256), sha1: sha1(from) },
        basic_constraints: BasicConstraints {
            is_ca: from.description.is_ca,
            path_length: from.description.path_length,
        },
        ca_name: ca.map(|it| it.name),
        profile_name: profile.map(|it| it.slug),
        application_name: name_of(authority, call, from.application_id).await?,
        ca_type: from.ca_id.map(|_| if is_external { "external" } else { "internal" }.to_owned()),
        has_private_key: from.key_id.is_some(),
        latest_renewal_certificate_id: latest.map(|id| id.as_uuid()),
        renewal_settings: from.renewal.settings.map(renewal_settings),
        metadata: pairs(&from.metadata),
        foreign: from.description.foreign.as_ref().map(|it| foreign(it, from)),
    });
    Ok(answer)
}

fn renewal_settings(from: RenewalSettings) -> wire::certificate::RenewalSettings {
    wire::certificate::RenewalSettings {
        switched_off: from.switched_off,
        renew_at: from.renew_at.map(renew_at),
        renew_jitter: from.renew_jitter.map(duration),
        revoke_superseded_after: from.revoke_superseded_after.map(duration),
    }
}

async fn latest_renewal(
    authority: &Authority,
    call: &Call,
    from: &Certificate,
) -> Result<Option<CertificateId>, ApiError> {
    let mut latest = from.renewal.renewed_by;
    for _ in 0..LINE_MAX {
        let Some(id) = latest else { break };
        match authority.reader().certificate(call.project_id(), id).await?.and_then(|it| it.renewal.renewed_by) {
            Some(next) => latest = Some(next),
            None => break,
        }
    }
    Ok(latest)
}

fn foreign(it: &ForeignDescription, from: &Certificate) -> ForeignDetails {
    ForeignDetails {
        subject: it.subject.clone(),
        issuer: it.issuer.clone(),
        key: it.key.clone(),
        signature: it.signature.clone(),
        extended_key_usages: it.extended_key_usages.clone(),
        extensions: it.extensions.clone(),
        is_weak: from.description.has_weak_key(),
    }
}

pub(crate) fn subject(from: &Certificate) -> SubjectDetails {
    let value = |kind| from.description.subject_value(kind).map(str::to_owned);
    let components: Vec<String> = domain_components(from).map(str::to_owned).collect();
    SubjectDetails {
        common_name: value(AttributeType::CommonName),
        organization: value(AttributeType::Organization),
        organizational_unit: value(AttributeType::OrganizationalUnit),
        country: value(AttributeType::Country),
        state: value(AttributeType::State),
        locality: value(AttributeType::Locality),
        domain_components: (!components.is_empty()).then_some(components),
    }
}

fn domain_components(from: &Certificate) -> impl Iterator<Item = &str> {
    let of_kind = from.description.subject.iter().filter(|it| it.kind == AttributeType::DomainComponent);
    of_kind.map(|it| it.value.as_str())
}

pub(crate) const fn status(status: CertificateStatus) -> wire::words::CertificateStatus {
    match status {
        CertificateStatus::Active => wire::words::CertificateStatus::Active,
        CertificateStatus::Expired => wire::words::CertificateStatus::Expired,
        CertificateStatus::Revoked => wire::words::CertificateStatus::Revoked,
    }
}

pub(crate) fn words<T, W>(from: &[T], word: impl Fn(&T) -> Option<W>) -> Vec<W> {
    from.iter().filter_map(word).collect()
}

fn joined<'a>(values: impl Iterator<Item = &'a str>) -> Option<String> {
    let values: Vec<_> = values.collect();
    (!values.is_empty()).then(|| values.join(","))
}

fn sha1(from: &Certificate) -> Option<String> {
    Some(hex::encode(chancery_pkix::certificate::fingerprint_sha1(&from.der)))
}
