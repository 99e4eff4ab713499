//! Profiles against templates and issuers.

use chancery_model::authority::{CaLevel, CaStatus, CertificationAuthority, InternalCaConfiguration};
use chancery_model::profile::{
    ApiEnrollment, CertificateProfile, KeyCustody, ProfileDefaults, ProfileIssuer, ProfileSettings, RenewAt,
};
use chancery_model::{CaId, EnrollmentConfigId, KeyId, ProfileId, ProjectId, TemplateId, Timestamp};
use chancery_pkix::{BasicConstraints, ExtendedKeyUsage as E, KeyAlgorithm, KeyUsage as K, SignatureAlgorithm};
use serde_json::json;
use uuid::Uuid;

use super::build::template;
use crate::template::{ProfileSigner, Template, presets, profile_problems, profile_warnings};

fn ca(key_algorithm: KeyAlgorithm, path_length_max: Option<i64>) -> CertificationAuthority {
    let configuration = json!({ "level": "root", "key_algorithm": key_algorithm, "path_length_max": path_length_max });
    let configuration: InternalCaConfiguration = serde_json::from_value(configuration).unwrap();
    assert_eq!(configuration.level, CaLevel::Root);
    CertificationAuthority {
        id: CaId::from_uuid(Uuid::nil()),
        project_id: ProjectId::from_uuid(Uuid::nil()),
        name: "issuing".to_owned(),
        status: CaStatus::Active,
        configuration,
        direct_issuance_template: None,
        active_certificate: None,
        key_id: KeyId::from_uuid(Uuid::nil()),
        last_renewal: None,
        created_at: Timestamp::from_seconds(0),
        updated_at: Timestamp::from_seconds(0),
    }
}

fn profile(issuer: ProfileIssuer, defaults: Option<ProfileDefaults>) -> CertificateProfile {
    CertificateProfile {
        id: ProfileId::from_uuid(Uuid::nil()),
        project_id: ProjectId::from_uuid(Uuid::nil()),
        slug: "web".to_owned(),
        description: None,
        issuer,
        template_id: TemplateId::from_uuid(Uuid::nil()),
        enrollment: None,
        settings: ProfileSettings { defaults, ..ProfileSettings::default() },
        created_at: Timestamp::from_seconds(0),
        updated_at: Timestamp::from_seconds(0),
    }
}

fn problems(
    template: &Template,
    ca: Option<&CertificationAuthority>,
    defaults: ProfileDefaults,
) -> Vec<(String, &'static str)> {
    let issuer = ca.map_or(ProfileIssuer::SelfSigned, |ca| ProfileIssuer::Ca(ca.id));
    let problems = profile_problems(
        template,
        &profile(issuer, Some(defaults)),
        ca.map_or(ProfileSigner::Itself, ProfileSigner::Ca),
    );
    problems.into_iter().map(|it| (it.field, it.code)).collect()
}

#[test]
fn every_preset_works_with_every_issuer_and_no_defaults() {
    for preset in presets() {
        let template = Template::compile(&preset.rules).unwrap();
        assert_eq!(problems(&template, None, ProfileDefaults::default()), [], "{} self-signed", preset.id);
        for key in KeyAlgorithm::ALL {
            assert_eq!(
                problems(&template, Some(&ca(*key, None)), ProfileDefaults::default()),
                [],
                "{} {key}",
                preset.id
            );
        }
    }
}

#[test]
fn fitting_defaults_are_accepted() {
    let template = template(json!({
        "subject": [{ "kind": "common_name", "lists": { "required": ["*.acme.com"] } }, { "kind": "organization", "lists": { "allowed": ["Acme"] } }],
        "sans": [{ "kind": "dns_name", "lists": { "allowed": ["*.acme.com"], "required": ["must.acme.com"] } }],
        "key_usages": { "required": ["digital_signature"] },
        "validity": { "max": "90d" },
    }));
    let defaults = ProfileDefaults {
        common_name: Some("www.acme.com".to_owned()),
        organization: Some("acme".to_owned()),
        ttl_days: Some(90),
        key_usages: Some(vec![K::DigitalSignature]),
        key_algorithm: Some(KeyAlgorithm::Rsa3072),
        ..ProfileDefaults::default()
    };
    assert_eq!(problems(&template, Some(&ca(KeyAlgorithm::EcP256, None)), defaults), []);
    assert_eq!(problems(&template, None, ProfileDefaults { ttl_days: Some(30), ..ProfileDefaults::default() }), []);
}

#[test]
fn defaults_that_break_the_template_are_refused() {
    let none = ProfileDefaults::default;
    let rules = json!({
        "subject": [{ "kind": "common_name", "lists": { "allowed": ["*"] } }],
        "sans": [{ "kind": "dns_name", "lists": { "allowed": ["*.acme.com"] } }],
        "key_usages": { "required": ["digital_signature"] },
        "extended_key_usages": { "required": ["server_auth"] },
        "algorithms": { "key_algorithm": ["ECDSA-P256", "ECDSA-P384"], "signature": ["SHA256-ECDSA"] },
        "validity": { "max": "90d" },
    });
    let template = template(rules);
    let issuer = ca(KeyAlgorithm::EcP256, None);
    let checks = [
        (ProfileDefaults { ttl_days: Some(91), ..none() }, "defaults.ttlDays", "profile.default"),
        (
            ProfileDefaults { common_name: Some("www.evil.example".to_owned()), ..none() },
            "defaults.commonName",
            "profile.default",
        ),
        (
            ProfileDefaults { organization: Some("Acme".to_owned()), ..none() },
            "defaults.organization",
            "profile.default",
        ),
        (ProfileDefaults { country: Some("Germany".to_owned()), ..none() }, "defaults.country", "profile.default"),
        (
            ProfileDefaults { domain_components: Some(vec!["com".to_owned()]), ..none() },
            "defaults.domainComponents",
            "profile.default",
        ),
        (ProfileDefaults { key_usages: Some(Vec::new()), ..none() }, "defaults.keyUsages", "profile.default"),
        (
            ProfileDefaults { extended_key_usages: Some(vec![E::ServerAuth, E::ClientAuth]), ..none() },
            "defaults.extendedKeyUsages",
            "profile.default",
        ),
        (
            ProfileDefaults { key_algorithm: Some(KeyAlgorithm::Rsa2048), ..none() },
            "defaults.keyAlgorithm",
            "profile.default",
        ),
        (
            ProfileDefaults { signature_algorithm: Some(SignatureAlgorithm::EcdsaSha384), ..none() },
            "defaults.signatureAlgorithm",
            "profile.default",
        ),
        (
            ProfileDefaults { basic_constraints: Some(BasicConstraints { is_ca: true, path_length: None }), ..none() },
            "defaults.basicConstraints.isCA",
            "profile.default",
        ),
    ];
    for (defaults, field, code) in checks {
        assert_eq!(problems(&template, Some(&issuer), defaults.clone()), [(field.to_owned(), code)], "{defaults:?}");
    }
}

#[test]
fn an_issuer_that_cannot_sign_as_the_template_demands_is_refused() {
    let rsa = template(json!({ "algorithms": { "signature": ["SHA256-RSA", "SHA256-RSA-PSS"] } }));
    let refused = [("caId".to_owned(), "profile.issuer_signature")];
    assert_eq!(problems(&rsa, Some(&ca(KeyAlgorithm::EcP256, None)), ProfileDefaults::default()), refused);
    assert_eq!(problems(&rsa, Some(&ca(KeyAlgorithm::Rsa4096, None)), ProfileDefaults::default()), []);
    let neither = template(json!({ "algorithms": { "signature": ["SHA256-RSA"], "key_algorithm": ["ECDSA-P256"] } }));
    assert_eq!(problems(&neither, None, ProfileDefaults::default()), refused);
    let leaf = template(json!({ "basic_constraints": { "is_ca": "required" } }));
    assert_eq!(
        problems(&leaf, Some(&ca(KeyAlgorithm::EcP256, Some(0))), ProfileDefaults::default()),
        [("caId".to_owned(), "profile.issuer")]
    );
    assert_eq!(problems(&leaf, None, ProfileDefaults::default()), []);
    let fixed =
        ProfileDefaults { signature_algorithm: Some(SignatureAlgorithm::RsaSha256), ..ProfileDefaults::default() };
    assert_eq!(
        problems(&template(json!({})), Some(&ca(KeyAlgorithm::EcP256, None)), fixed),
        [("defaults.signatureAlgorithm".to_owned(), "profile.signature")]
    );
}

#[test]
fn risky_profiles_come_with_warnings() {
    let codes = |template: &Template, profile: &CertificateProfile| {
        profile_warnings(template, profile).into_iter().map(|it| it.code).collect::<Vec<_>>()
    };
    let plain = profile(ProfileIssuer::Ca(CaId::from_uuid(Uuid::nil())), None);
    let client = |names: &str| {
        template(json!({
            "subject": [{ "kind": "common_name", "lists": { "allowed": [names] } }],
            "sans": [{ "kind": "dns_name", "lists": { "allowed": [names] } }],
            "extended_key_usages": { "allowed": ["client_auth"] },
        }))
    };
    assert_eq!(codes(&client("*"), &plain), ["profile.open_identity"]);
    assert_eq!(codes(&client("*.acme.com"), &plain), Vec::<String>::new());
    assert_eq!(codes(&template(json!({})), &plain), ["profile.open_identity"]);
    let server = Template::compile(&presets()[0].rules).unwrap();
    assert_eq!(codes(&server, &plain), Vec::<String>::new());
    let authority =
        template(json!({ "extended_key_usages": { "allowed": [] }, "basic_constraints": { "is_ca": "allowed" } }));
    assert_eq!(codes(&authority, &plain), ["profile.open_ca"]);
    let mut renewing = plain;
    renewing.settings.key_custody = KeyCustody::None;
    renewing.settings.api = Some(ApiEnrollment {
        id: EnrollmentConfigId::from_uuid(Uuid::nil()),
        auto_renew: true,
        renew_before_days: None,
        renew_at: RenewAt::default(),
        renew_jitter: None,
        revoke_superseded_after: None,
    });
    assert_eq!(codes(&server, &renewing), ["profile.renewal_needs_key"]);
}
