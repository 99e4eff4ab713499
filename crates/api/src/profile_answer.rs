//! A profile in the wire's words.

use chancery_authority::{Authority, Call};
use chancery_model::profile::{
    ApiEnrollment, CertificateProfile, EnrollmentType, KeyCustody, ProfileDefaults, RenewAt, UnknownCsrExtensions,
};
use chancery_model::time::Ttl;
use chancery_wire::Nullable;
use chancery_wire::certificate::BasicConstraints;
use chancery_wire::profile::{self as wire, ApiConfig, ProfileCa, ProfileMetrics, ProfileTemplate};
use chancery_wire::words;

use crate::authority::status;
use crate::certificate_answer::words as each;
use crate::error::ApiError;

/// As the answer for a single profile has it: with its CA and template in brief.
pub(crate) async fn shown(
    authority: &Authority,
    call: &Call,
    profile: &CertificateProfile,
) -> Result<wire::Profile, ApiError> {
    let mut answer = flat(profile);
    answer.certificate_authority = issuing_ca(authority, call, profile).await?;
    let template = authority.reader().template(call.project_id(), profile.template_id).await?;
    answer.certificate_policy = template.map(|it| ProfileTemplate {
        id: it.id.as_uuid(),
        project_id: it.project_id.as_uuid(),
        name: it.name,
        description: it.description,
    });
    Ok(answer)
}

/// As lists have it: with its CA in brief and its numbers.
pub(crate) async fn in_list(
    authority: &Authority,
    call: &Call,
    profile: &CertificateProfile,
) -> Result<wire::Profile, ApiError> {
    let mut answer = flat(profile);
    answer.certificate_authority = issuing_ca(authority, call, profile).await?;
    let metrics = authority.reader().profile_metrics(profile.id, authority.now()).await?;
    answer.metrics = Some(ProfileMetrics {
        profile_id: profile.id.as_uuid(),
        total_certificates: metrics.total,
        active_certificates: metrics.active,
        expired_certificates: metrics.expired,
        expiring_certificates: metrics.expiring,
        revoked_certificates: metrics.revoked,
    });
    Ok(answer)
}

async fn issuing_ca(
    authority: &Authority,
    call: &Call,
    profile: &CertificateProfile,
) -> Result<Option<ProfileCa>, ApiError> {
    let Some(id) = profile.issuer.ca_id() else { return Ok(None) };
    let ca = authority.reader().ca_summary(call.project_id(), id).await?;
    Ok(ca.map(|ca| ProfileCa {
        id: ca.id.as_uuid(),
        project_id: call.project_id().as_uuid(),
        status: status(ca.status),
        name: ca.name,
        is_external: ca.kind.is_some(),
        external_type: ca.kind.map(|kind| kind.as_str().to_owned()),
    }))
}

fn flat(profile: &CertificateProfile) -> wire::Profile {
    let settings = &profile.settings;
    wire::Profile {
        id: profile.id.as_uuid(),
        project_id: profile.project_id.as_uuid(),
        ca_id: profile.issuer.ca_id().map(|id| id.as_uuid()),
        certificate_policy_id: profile.template_id.as_uuid(),
        certificate_template_id: profile.template_id.as_uuid(),
        slug: profile.slug.clone(),
        description: profile.description.clone(),
        enrollment_type: profile.enrollment.map(|EnrollmentType::Api| words::EnrollmentType::Api),
        issuer_type: if profile.issuer.ca_id().is_some() {
            words::IssuerType::Ca
        } else {
            words::IssuerType::SelfSigned
        },
        est_config_id: None,
        api_config_id: settings.api.as_ref().map(|it| it.id.as_uuid()),
        acme_config_id: None,
        scep_config_id: None,
        external_configs: settings.external_configs.clone(),
        defaults: settings.defaults.as_ref().map(defaults),
        key_custody: match settings.key_custody {
            KeyCustody::Stored => words::KeyCustody::Stored,
            KeyCustody::ReturnOnce => words::KeyCustody::ReturnOnce,
            KeyCustody::None => words::KeyCustody::None,
        },
        clamp_to_issuer: settings.clamp_to_issuer,
        strict_csr: settings.strict_csr,
        unknown_csr_extensions: match settings.unknown_csr_extensions {
            UnknownCsrExtensions::Ignore => words::UnknownCsrExtensions::Ignore,
            UnknownCsrExtensions::Refuse => words::UnknownCsrExtensions::Refuse,
        },
        allow_key_reuse: settings.allow_key_reuse,
        no_rev_avail_below: settings.no_rev_avail_below.map(duration),
        created_at: profile.created_at.to_string(),
        updated_at: profile.updated_at.to_string(),
        api_config: settings.api.as_ref().map(api_config),
        certificate_authority: None,
        certificate_policy: None,
        metrics: None,
    }
}

pub(crate) fn renew_at(from: RenewAt) -> wire::RenewAt {
    match from {
        RenewAt::Permille(permille) => wire::RenewAt { fraction: Some(f64::from(permille) / 1_000.0), before: None },
        RenewAt::Before(before) => wire::RenewAt { fraction: None, before: Some(duration(before)) },
    }
}

fn api_config(api: &ApiEnrollment) -> ApiConfig {
    ApiConfig {
        id: Some(api.id.as_uuid()),
        auto_renew: Some(api.auto_renew),
        renew_before_days: api.renew_before_days.into(),
        renew_at: Nullable::Value(renew_at(api.renew_at)),
        renew_jitter: api.renew_jitter.map(duration).into(),
        revoke_superseded_after: api.revoke_superseded_after.map(duration).into(),
    }
}

/// In the grammar of requests, so that an answer can be sent back: `90d`, `36h`, `45m`, `61s`.
pub(crate) fn duration(ttl: Ttl) -> String {
    let seconds = ttl.as_seconds();
    let units = [(86_400, 'd'), (3_600, 'h'), (60, 'm')];
    let unit = units.into_iter().find(|(length, _)| seconds % length == 0);
    unit.map_or_else(|| format!("{seconds}s"), |(length, unit)| format!("{}{unit}", seconds / length))
}

fn defaults(from: &ProfileDefaults) -> wire::ProfileDefaults {
    wire::ProfileDefaults {
        ttl_days: from.ttl_days,
        common_name: from.common_name.clone(),
        organization: from.organization.clone(),
        organizational_unit: from.organizational_unit.clone(),
        country: from.country.clone(),
        state: from.state.clone(),
        locality: from.locality.clone(),
        domain_components: from.domain_components.clone(),
        key_algorithm: from.key_algorithm.and_then(|it| words::KeyAlgorithm::from_name(it.as_str())),
        signature_algorithm: from.signature_algorithm.and_then(|it| words::SignatureAlgorithm::from_name(it.as_str())),
        key_usages: from.key_usages.as_ref().map(|list| each(list, |it| words::KeyUsage::from_name(it.as_str()))),
        extended_key_usages: from
            .extended_key_usages
            .as_ref()
            .map(|list| each(list, |it| words::ExtendedKeyUsage::from_name(it.as_str()))),
        basic_constraints: from
            .basic_constraints
            .map(|it| BasicConstraints { is_ca: it.is_ca, path_length: it.path_length }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_back_as_requests_write_them() {
        for text in ["90d", "36h", "45m", "61s"] {
            assert_eq!(duration(Ttl::parse(text).unwrap()), text);
        }
    }
}
