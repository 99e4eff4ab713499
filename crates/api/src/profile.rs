//! Certificate profiles.

use axum::Json;
use axum::extract::State;
use chancery_authority::enrollment::Field;
use chancery_authority::profile::{ApiEnrollmentPatch, NewProfile, ProfilePatch, ProfileSettingsPatch};
use chancery_authority::{Authority, Call};
use chancery_model::certificate::{CertificateFilter, CertificateStatus};
use chancery_model::permission::Permission;
use chancery_model::profile::{
    CertificateProfile, EnrollmentType, KeyCustody, ProfileDefaults, ProfileIssuer, RenewAt, UnknownCsrExtensions,
};
use chancery_model::time::Ttl;
use chancery_model::{ApplicationId, CaId, ProfileId, TemplateId};
use chancery_pkix::BasicConstraints;
use chancery_store::ProfileFilter;
use chancery_wire as wire;
use chancery_wire::certificate::CertificateBundle;
use chancery_wire::page::ProjectQuery;
use chancery_wire::profile::{
    CreateProfile, ProfileAnswer, ProfileCertificate, ProfileCertificatesAnswer, ProfileCertificatesQuery,
    ProfilesAnswer, ProfilesQuery, UpdateProfile,
};
use chancery_wire::words;

use crate::certificate::bundle;
use crate::certificate_answer;
use crate::error::{ApiError, warnings};
use crate::extract::{Answer, Body, Caller, Id, PathText, Query};
use crate::issues::{Issues, issue};
use crate::nullable::{field, try_field};
use crate::page::{Slice, page};
use crate::profile_answer::{in_list, shown};
use crate::project::check_project;
use crate::route::Endpoint;

const BASES: [(&str, &str); 2] =
    [("/api/v1/cert-manager/certificate-profiles", ""), ("/api/v1/pki/certificate-profiles", "Pki")];

pub(crate) fn endpoints() -> Vec<Endpoint> {
    BASES.into_iter().flat_map(|(base, name)| under(base, name)).collect()
}

fn under(base: &str, name: &str) -> Vec<Endpoint> {
    use Permission::{CertificateRead, ProfileCreate, ProfileDelete, ProfileEdit, ProfileRead};
    let one = format!("{base}/{{id}}");
    let mut made = vec![
        Endpoint::post(base, ProfileCreate, create)
            .named(format!("createCertificateProfile{name}"), "Make a profile")
            .takes::<CreateProfile>()
            .answers::<ProfileAnswer>(),
        Endpoint::get(base, ProfileRead, list)
            .named(format!("listCertificateProfiles{name}"), "List profiles")
            .asks::<ProfilesQuery>()
            .answers::<ProfilesAnswer>(),
        Endpoint::get(format!("{base}/slug/{{slug}}"), ProfileRead, read_by_slug)
            .named(format!("readCertificateProfileBySlug{name}"), "Read a profile by its slug")
            .asks::<ProjectQuery>()
            .answers::<ProfileAnswer>(),
        Endpoint::get(&one, ProfileRead, read)
            .named(format!("readCertificateProfile{name}"), "Read a profile")
            .answers::<ProfileAnswer>(),
        Endpoint::patch(&one, ProfileEdit, update)
            .named(format!("updateCertificateProfile{name}"), "Change a profile")
            .takes::<UpdateProfile>()
            .answers::<ProfileAnswer>(),
        Endpoint::delete(&one, ProfileDelete, delete)
            .named(format!("deleteCertificateProfile{name}"), "Delete a profile; its certificates stay")
            .answers::<ProfileAnswer>(),
        Endpoint::get(format!("{one}/certificates"), CertificateRead, certificates)
            .named(format!("listCertificateProfileCertificates{name}"), "List the certificates of a profile")
            .asks::<ProfileCertificatesQuery>()
            .answers::<ProfileCertificatesAnswer>(),
        Endpoint::get(format!("{one}/certificates/latest-active-bundle"), CertificateRead, latest_bundle)
            .named(
                format!("latestCertificateProfileBundle{name}"),
                "The newest active certificate of a profile, all null if none",
            )
            .answers::<CertificateBundle>(),
    ];
    if !name.is_empty() {
        made = made.into_iter().map(Endpoint::deprecated).collect();
    }
    made
}

async fn create(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Body(body): Body<CreateProfile>,
) -> Answer<ProfileAnswer> {
    check_project(&call, body.project_id.as_deref())?;
    let profile = authority.create_profile(&call, new_profile(body)?).await?;
    answer(&authority, &call, &profile).await
}

async fn list(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Query(query): Query<ProfilesQuery>,
) -> Answer<ProfilesAnswer> {
    check_project(&call, query.project_id.as_deref())?;
    let page = page(&Slice { offset: query.offset, limit: query.limit, cursor: query.cursor.as_deref() }, 20, 100)?;
    let Some(filter) = filter(&query)? else {
        return Ok(Json(ProfilesAnswer {
            certificate_profiles: Vec::new(),
            total_count: 0,
            total_count_exact: true,
            next_cursor: None,
        }));
    };
    let found = authority.reader().profiles(call.project_id(), &filter, &page).await?;
    let mut certificate_profiles = Vec::with_capacity(found.items.len());
    for profile in &found.items {
        certificate_profiles.push(in_list(&authority, &call, profile).await?);
    }
    Ok(Json(ProfilesAnswer {
        certificate_profiles,
        total_count: found.total.count,
        total_count_exact: found.total.exact,
        next_cursor: found.next_cursor,
    }))
}

async fn read(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<ProfileId>,
) -> Answer<ProfileAnswer> {
    let profile = find(&authority, &call, id).await?;
    answer(&authority, &call, &profile).await
}

async fn read_by_slug(
    State(authority): State<Authority>,
    Caller(call): Caller,
    PathText(slug): PathText,
    Query(query): Query<ProjectQuery>,
) -> Answer<ProfileAnswer> {
    check_project(&call, query.project_id.as_deref())?;
    let found = authority.reader().profile_by_slug(call.project_id(), &slug).await?;
    let profile = found.ok_or_else(|| ApiError::not_found("Certificate profile", slug))?;
    answer(&authority, &call, &profile).await
}

async fn update(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<ProfileId>,
    Body(body): Body<UpdateProfile>,
) -> Answer<ProfileAnswer> {
    if let Some(wanted) = body.issuer_type {
        let is_ca = find(&authority, &call, id).await?.issuer.ca_id().is_some();
        if is_ca != (wanted == words::IssuerType::Ca) {
            let message = "issuerType never changes; make another profile in place of this one";
            return Err(ApiError::bad_request("profile.issuer_type", message));
        }
    }
    let profile = authority.update_profile(&call, id, patch(body)?).await?;
    answer(&authority, &call, &profile).await
}

async fn delete(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<ProfileId>,
) -> Answer<ProfileAnswer> {
    let before = find(&authority, &call, id).await?;
    let certificate_profile = shown(&authority, &call, &before).await?;
    authority.delete_profile(&call, id).await?;
    Ok(Json(ProfileAnswer { certificate_profile, warnings: Vec::new() }))
}

async fn certificates(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<ProfileId>,
    Query(query): Query<ProfileCertificatesQuery>,
) -> Answer<ProfileCertificatesAnswer> {
    let page = page(&Slice { offset: query.offset, limit: query.limit, cursor: query.cursor.as_deref() }, 20, 100)?;
    let profile = find(&authority, &call, id).await?;
    let statuses = match query.status.as_deref().filter(|it| !it.is_empty()) {
        None => Vec::new(),
        Some(text) => vec![CertificateStatus::from_name(text).ok_or_else(|| {
            ApiError::invalid(vec![issue("status", "invalid_enum_value", "must be active, expired or revoked")])
        })?],
    };
    let search = query.search.filter(|it| !it.trim().is_empty());
    let filter = CertificateFilter { profile_ids: vec![profile.id], statuses, search, ..CertificateFilter::default() };
    let now = authority.now();
    let found = authority.reader().certificates(call.project_id(), &filter, now, &page).await?;
    let brief = |it: &chancery_model::certificate::Certificate| ProfileCertificate {
        id: it.id.as_uuid(),
        serial_number: it.serial_number.clone(),
        cn: it.description.common_name().unwrap_or_default().to_owned(),
        status: certificate_answer::status(it.status(now)),
        not_before: it.not_before.to_string(),
        not_after: it.not_after.to_string(),
        revoked_at: it.revocation.map(|revocation| revocation.at.to_string()),
        created_at: it.created_at.to_string(),
    };
    Ok(Json(ProfileCertificatesAnswer { certificates: found.items.iter().map(brief).collect() }))
}

async fn latest_bundle(
    State(authority): State<Authority>,
    Caller(call): Caller,
    Id(id): Id<ProfileId>,
) -> Answer<CertificateBundle> {
    let profile = find(&authority, &call, id).await?;
    let latest = authority.reader().latest_active_of_profile(call.project_id(), profile.id, authority.now()).await?;
    Ok(Json(match latest {
        Some(certificate) => bundle(&authority, &call, &certificate).await?,
        None => {
            CertificateBundle { certificate: None, certificate_chain: None, private_key: None, serial_number: None }
        }
    }))
}

async fn find(authority: &Authority, call: &Call, id: ProfileId) -> Result<CertificateProfile, ApiError> {
    let found = authority.reader().profile(call.project_id(), id).await?;
    found.ok_or_else(|| ApiError::not_found("Certificate profile", id))
}

async fn answer(authority: &Authority, call: &Call, profile: &CertificateProfile) -> Answer<ProfileAnswer> {
    let certificate_profile = shown(authority, call, profile).await?;
    let warnings = warnings(&authority.profile_warnings(profile).await?);
    Ok(Json(ProfileAnswer { certificate_profile, warnings }))
}

/// `None` when nothing can match.
fn filter(query: &ProfilesQuery) -> Result<Option<ProfileFilter>, ApiError> {
    let mut issues = Issues::default();
    let given = |text: &Option<String>| text.clone().filter(|it| !it.trim().is_empty());
    let mut unknown = |place: &str, expected: &str| issues.add_as(place, "invalid_enum_value", expected);
    let issuer_self_signed = given(&query.issuer_type).and_then(|text| match words::IssuerType::from_name(&text) {
        Some(kind) => Some(kind == words::IssuerType::SelfSigned),
        None => {
            unknown("issuerType", "must be ca or self-signed");
            None
        }
    });
    let enrollment = given(&query.enrollment_type).and_then(|text| {
        let kind = words::EnrollmentType::from_name(&text);
        if kind.is_none() {
            unknown("enrollmentType", "must be api, est, acme or scep");
        }
        kind
    });
    let ca_id = issues.uuid("caId", given(&query.ca_id).as_deref()).map(CaId::from_uuid);
    let application_id =
        issues.uuid("applicationId", given(&query.application_id).as_deref()).map(ApplicationId::from_uuid);
    issues.finish()?;
    let other_door = enrollment.is_some_and(|kind| kind != words::EnrollmentType::Api);
    Ok((!other_door).then(|| ProfileFilter {
        search: given(&query.search),
        issuer_self_signed,
        ca_id,
        enrollment: enrollment.map(|_| EnrollmentType::Api),
        application_id,
    }))
}

fn new_profile(body: CreateProfile) -> Result<NewProfile, ApiError> {
    let enrollment = enrollment(body.enrollment_type)?;
    let mut issues = Issues::default();
    foreign_blocks([&body.est_config, &body.acme_config, &body.scep_config], &mut issues);
    issues.slug("slug", &body.slug, 255);
    issues.length("description", body.description.as_deref().unwrap_or_default(), 0..=1_000);
    let template = body.certificate_policy_id.or(body.certificate_template_id);
    if template.is_none() {
        issues.add_as("certificatePolicyId", "invalid_type", "Required");
    }
    let issuer = match (body.issuer_type.unwrap_or(words::IssuerType::Ca), body.ca_id) {
        (words::IssuerType::Ca, Some(ca)) => ProfileIssuer::Ca(CaId::from_uuid(ca)),
        (words::IssuerType::Ca, None) => {
            issues.add_as("caId", "invalid_type", "Required for issuerType ca");
            ProfileIssuer::SelfSigned
        }
        (words::IssuerType::SelfSigned, None) => ProfileIssuer::SelfSigned,
        (words::IssuerType::SelfSigned, Some(_)) => {
            issues.add("caId", "a self-signed profile has no CA; leave caId out");
            ProfileIssuer::SelfSigned
        }
    };
    let no_rev_avail_below = issues.ttl("noRevAvailBelow", body.no_rev_avail_below.as_deref());
    let settings = ProfileSettingsPatch {
        defaults: body.defaults.map_or(Field::Missing, |it| Field::Value(defaults(it, &mut issues))),
        api: body.api_config.map_or(Field::Missing, |it| Field::Value(api_config(it, &mut issues))),
        external_configs: body.external_configs.map_or(Field::Missing, Field::Value),
        key_custody: body.key_custody.map(from_custody),
        clamp_to_issuer: body.clamp_to_issuer,
        strict_csr: body.strict_csr,
        unknown_csr_extensions: body.unknown_csr_extensions.map(from_unknown_extensions),
        allow_key_reuse: body.allow_key_reuse,
        no_rev_avail_below: no_rev_avail_below.map_or(Field::Missing, Field::Value),
    };
    issues.finish()?;
    let template_id = TemplateId::from_uuid(template.unwrap_or_default());
    Ok(NewProfile { slug: body.slug, description: body.description, issuer, template_id, enrollment, settings })
}

fn patch(body: UpdateProfile) -> Result<ProfilePatch, ApiError> {
    let enrollment = enrollment(body.enrollment_type)?;
    let mut issues = Issues::default();
    foreign_blocks([&body.est_config, &body.acme_config, &body.scep_config], &mut issues);
    if let Some(slug) = &body.slug {
        issues.slug("slug", slug, 255);
    }
    if let Some(text) = body.description.as_value() {
        issues.length("description", text, 0..=1_000);
    }
    let settings = ProfileSettingsPatch {
        defaults: field(body.defaults.map(|it| defaults(it, &mut issues))),
        api: field(body.api_config.map(|it| api_config(it, &mut issues))),
        external_configs: field(body.external_configs),
        key_custody: body.key_custody.map(from_custody),
        clamp_to_issuer: body.clamp_to_issuer,
        strict_csr: body.strict_csr,
        unknown_csr_extensions: body.unknown_csr_extensions.map(from_unknown_extensions),
        allow_key_reuse: body.allow_key_reuse,
        no_rev_avail_below: try_field(body.no_rev_avail_below, |text| issues.ttl("noRevAvailBelow", Some(&text))),
    };
    issues.finish()?;
    Ok(ProfilePatch {
        slug: body.slug,
        description: field(body.description),
        issuer: None,
        template_id: None,
        enrollment: enrollment.map_or(Field::Missing, Field::Value),
        settings,
    })
}

/// Doors that do not exist yet are refused, never stored and ignored.
fn enrollment(kind: Option<words::EnrollmentType>) -> Result<Option<EnrollmentType>, ApiError> {
    match kind {
        None => Ok(None),
        Some(words::EnrollmentType::Api) => Ok(Some(EnrollmentType::Api)),
        Some(other) => Err(ApiError::bad_request(
            "profile.enrollment",
            format!("enrollmentType \"{other}\": this door does not exist in this build; use \"api\""),
        )),
    }
}

fn foreign_blocks(blocks: [&Option<serde_json::Value>; 3], issues: &mut Issues) {
    for (name, block) in ["estConfig", "acmeConfig", "scepConfig"].into_iter().zip(blocks) {
        if block.is_some() {
            issues.add(name, "does not fit the enrollment type api");
        }
    }
}

fn api_config(from: wire::profile::ApiConfig, issues: &mut Issues) -> ApiEnrollmentPatch {
    if let Some(days) = from.renew_before_days.as_value() {
        issues.range("apiConfig.renewBeforeDays", *days, 1..=30);
    }
    ApiEnrollmentPatch {
        auto_renew: from.auto_renew,
        renew_before_days: field(from.renew_before_days),
        renew_at: try_field(from.renew_at, |at| renew_at("apiConfig.renewAt", at, issues)),
        renew_jitter: try_field(from.renew_jitter, |text| issues.ttl("apiConfig.renewJitter", Some(&text))),
        revoke_superseded_after: try_field(from.revoke_superseded_after, |text| {
            issues.ttl("apiConfig.revokeSupersededAfter", Some(&text))
        }),
    }
}

/// Exactly one of fraction and before.
pub(crate) fn renew_at(place: &str, from: wire::profile::RenewAt, issues: &mut Issues) -> Option<RenewAt> {
    match (from.fraction, from.before) {
        (Some(fraction), None) => {
            if !(0.1..=0.95).contains(&fraction) {
                issues.add(&format!("{place}.fraction"), "must be between 0.1 and 0.95");
                return None;
            }
            // Within 100 and 950 by the check above.
            Some(RenewAt::Permille((fraction * 1_000.0).round() as u16))
        }
        (None, Some(before)) => {
            let ttl: Option<Ttl> = issues.ttl(&format!("{place}.before"), Some(&before));
            ttl.map(RenewAt::Before)
        }
        _ => {
            issues.add(place, "give exactly one of fraction and before");
            None
        }
    }
}

fn defaults(from: wire::profile::ProfileDefaults, issues: &mut Issues) -> ProfileDefaults {
    issues.range("defaults.ttlDays", from.ttl_days.unwrap_or(1), 1..=36_500);
    let texts = [
        ("commonName", &from.common_name),
        ("organization", &from.organization),
        ("organizationalUnit", &from.organizational_unit),
        ("country", &from.country),
        ("state", &from.state),
        ("locality", &from.locality),
    ];
    for (name, text) in texts {
        issues.length(&format!("defaults.{name}"), text.as_deref().unwrap_or_default(), 0..=255);
    }
    issues.count("defaults.domainComponents", from.domain_components.as_ref().map_or(0, Vec::len), 50);
    let key_usages = from
        .key_usages
        .map(|list| list.iter().filter_map(|it| issues.word("defaults.keyUsages", it.as_str())).collect());
    let extended_key_usages = from
        .extended_key_usages
        .map(|list| list.iter().filter_map(|it| issues.word("defaults.extendedKeyUsages", it.as_str())).collect());
    // Clients that clear a field send an empty text.
    let given = |text: Option<String>| text.map(|it| it.trim().to_owned()).filter(|it| !it.is_empty());
    ProfileDefaults {
        ttl_days: from.ttl_days,
        common_name: given(from.common_name),
        organization: given(from.organization),
        organizational_unit: given(from.organizational_unit),
        country: given(from.country),
        state: given(from.state),
        locality: given(from.locality),
        domain_components: from.domain_components,
        key_algorithm: from.key_algorithm.and_then(|it| issues.word("defaults.keyAlgorithm", it.as_str())),
        signature_algorithm: from
            .signature_algorithm
            .and_then(|it| issues.word("defaults.signatureAlgorithm", it.as_str())),
        key_usages,
        extended_key_usages,
        basic_constraints: from
            .basic_constraints
            .map(|it| BasicConstraints { is_ca: it.is_ca, path_length: it.path_length }),
    }
}

const fn from_custody(custody: words::KeyCustody) -> KeyCustody {
    match custody {
        words::KeyCustody::Stored => KeyCustody::Stored,
        words::KeyCustody::ReturnOnce => KeyCustody::ReturnOnce,
        words::KeyCustody::None => KeyCustody::None,
    }
}

const fn from_unknown_extensions(choice: words::UnknownCsrExtensions) -> UnknownCsrExtensions {
    match choice {
        words::UnknownCsrExtensions::Ignore => UnknownCsrExtensions::Ignore,
        words::UnknownCsrExtensions::Refuse => UnknownCsrExtensions::Refuse,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "00000000-0000-7000-8000-000000000000";

    fn read(text: &str) -> Result<NewProfile, ApiError> {
        new_profile(crate::json::parse(text.replace("ID", ID).as_bytes())?)
    }

    #[test]
    fn profiles_of_doors_that_do_not_exist_are_refused() {
        for kind in ["acme", "est", "scep"] {
            let text = format!(r#"{{"slug":"a","caId":"ID","certificatePolicyId":"ID","enrollmentType":"{kind}"}}"#);
            let error = read(&text).unwrap_err();
            assert_eq!(error.status(), 400);
            assert!(error.body("r").message.to_string().contains("does not exist in this build"));
        }
    }

    #[test]
    fn the_shape_rules_of_the_contract_are_422() {
        for (text, place) in [
            (r#"{"slug":"a","certificatePolicyId":"ID"}"#, "caId"),
            (r#"{"slug":"a","caId":"ID"}"#, "certificatePolicyId"),
            (r#"{"slug":"a","caId":"ID","certificatePolicyId":"ID","issuerType":"self-signed"}"#, "caId"),
            (r#"{"slug":"A b","caId":"ID","certificatePolicyId":"ID"}"#, "slug"),
            (r#"{"slug":"a","caId":"ID","certificatePolicyId":"ID","estConfig":{"passphrase":"x"}}"#, "estConfig"),
            (
                r#"{"slug":"a","caId":"ID","certificatePolicyId":"ID","apiConfig":{"renewBeforeDays":31}}"#,
                "apiConfig.renewBeforeDays",
            ),
            (r#"{"slug":"a","caId":"ID","certificatePolicyId":"ID","defaults":{"ttlDays":0}}"#, "defaults.ttlDays"),
            (r#"{"slug":"a","caId":"ID","certificatePolicyId":"ID","keyCustody":"usb"}"#, "keyCustody"),
        ] {
            let error = read(text).expect_err(text);
            assert_eq!(error.status(), 422, "{text}");
            let message = error.body("r").message.to_string();
            assert!(message.starts_with(place), "{text}: {message}");
        }
    }

    #[test]
    fn both_names_of_the_template_are_read() {
        for key in ["certificatePolicyId", "certificateTemplateId"] {
            let profile = read(&format!(r#"{{"slug":"a","caId":"ID","{key}":"ID","isAdmin":true}}"#)).unwrap();
            assert_eq!(profile.template_id.to_string(), ID);
        }
    }

    #[test]
    fn an_update_tells_keep_from_clear() {
        let body: UpdateProfile = crate::json::parse(br#"{"description":null,"defaults":null}"#).unwrap();
        let patch = patch(body).unwrap();
        assert_eq!(patch.description, Field::Null);
        assert!(matches!(patch.settings.defaults, Field::Null));
        assert!(matches!(patch.settings.api, Field::Missing));
    }

    #[test]
    fn a_fraction_becomes_thousandths() {
        let mut issues = Issues::default();
        let at = wire::profile::RenewAt { fraction: Some(0.67), before: None };
        assert_eq!(renew_at("renewAt", at, &mut issues), Some(RenewAt::Permille(670)));
    }
}
