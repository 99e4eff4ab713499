//! Rehearsal against what was really issued.

use chancery_authority::Error;
use chancery_authority::enrollment::{Attributes, Field, IssueRequest, Target};
use chancery_authority::renewal::RenewRequest;
use chancery_authority::template::{Rehearsal, TemplateRulesPatch};
use chancery_model::TemplateId;
use chancery_model::template::{AlgorithmRule, BasicConstraintsRule, ListRule, RuleState, TemplateRules};
use chancery_pkix::{AttributeType, ExtendedKeyUsage, GeneralNameKind, KeyAlgorithm, KeyUsage};
use chancery_store::{Change, Store, Write};

use super::world::{DAY, World, code, csr, lasting, named, only};
use crate::in_both_databases;

in_both_databases!(
    the_rules_in_force_refuse_nothing_that_was_granted,
    a_tightened_template_names_exactly_what_it_would_have_refused,
    what_a_request_left_open_is_filled_by_the_new_rules,
    only_the_profiles_of_the_template_and_the_days_asked_for_are_examined,
    ten_thousand_are_examined_and_the_unreadable_are_counted,
);

async fn changed(world: &World, patch: TemplateRulesPatch) -> TemplateRules {
    world.authority().proposed_rules(&world.admin, Some(world.template), None, patch).await.unwrap()
}

async fn rehearse(world: &World, patch: TemplateRulesPatch) -> Rehearsal {
    let rules = changed(world, patch).await;
    world.authority().rehearse_template(&world.admin, &rules, Some(world.template), 30).await.unwrap()
}

/// Rule, field and value of a violation.
type Broken<'a> = (&'a str, &'a str, &'a str);

/// Common names with what is broken; newest first.
fn told(rehearsal: &Rehearsal) -> Vec<(&str, Vec<Broken<'_>>)> {
    rehearsal
        .refused
        .iter()
        .map(|it| {
            let broken = it.violations.iter().map(|v| (v.rule.as_str(), v.field.as_str(), v.value.as_str())).collect();
            (it.common_name.as_deref().unwrap_or_default(), broken)
        })
        .collect()
}

/// Names of all kinds and much else.
fn many() -> Attributes {
    Attributes {
        organization: Field::Value("Acme, Inc.".to_owned()),
        country: Field::Value("de".to_owned()),
        alt_names: Some(vec![
            (GeneralNameKind::IpAddress, "10.1.2.3".to_owned()),
            (GeneralNameKind::DnsName, "*.shop.acme.com".to_owned()),
            (GeneralNameKind::IpAddress, "2001:db8::1".to_owned()),
        ]),
        key_algorithm: Field::Value(KeyAlgorithm::EcP521),
        key_usages: Some(vec![KeyUsage::DigitalSignature, KeyUsage::KeyAgreement]),
        extended_key_usages: Some(vec![ExtendedKeyUsage::ServerAuth]),
        ..lasting("shop.acme.com", "300d")
    }
}

/// Requests of every kind: by attributes and by CSR, with names of all kinds, renewed, self-signed.
async fn variety(world: &World) -> u64 {
    let it = world.authority();
    let first = world.issue(&world.operator, world.web, named("www.acme.com")).await;
    world.issue(&world.operator, world.api, many()).await;
    let subject = [
        (AttributeType::CommonName, "csr.acme.com"),
        (AttributeType::Organization, "Acme"),
        (AttributeType::OrganizationalUnit, "A"),
        (AttributeType::OrganizationalUnit, "B"),
    ];
    world.issue_csr(&world.operator, world.web, csr(&subject, &["csr.acme.com", "csr2.acme.com"], &[])).await;
    world.issue(&world.operator, world.own, named("dev.acme.com")).await;
    world
        .issue(
            &world.operator,
            world.own,
            Attributes { key_algorithm: Field::Value(KeyAlgorithm::Ed25519), ..named("localhost") },
        )
        .await;
    it.renew(&world.operator, first.certificate.id, RenewRequest::default()).await.unwrap();
    6
}

async fn the_rules_in_force_refuse_nothing_that_was_granted(world: World) {
    let count = variety(&world).await;
    let before = world.entries().await;
    let done = rehearse(&world, TemplateRulesPatch::default()).await;
    assert_eq!((done.examined, done.unreadable, done.refused_total, done.truncated), (count, 0, 0, false));
    for call in [&world.operator, &world.auditor] {
        let rules = changed(&world, TemplateRulesPatch::default()).await;
        let done = world.authority().rehearse_template(call, &rules, None, 1).await.unwrap();
        assert_eq!((done.examined, done.refused_total), (count, 0));
    }
    assert_eq!(world.entries().await, before, "a rehearsal changes nothing");
}

async fn a_tightened_template_names_exactly_what_it_would_have_refused(world: World) {
    variety(&world).await;
    let names = only("*.acme.com");
    let patch = TemplateRulesPatch {
        validity_max: Field::Value("90d".to_owned()),
        algorithms: Field::Value(AlgorithmRule {
            key_algorithm: Some(vec!["ECDSA-P256".to_owned(), "ECDSA-P384".to_owned()]),
            signature: None,
        }),
        ..names
    };
    let done = rehearse(&world, patch.clone()).await;
    let expected = vec![
        (
            "localhost",
            vec![
                ("subject.common_name.allowed", "commonName", "localhost"),
                ("sans.dns_name.allowed", "altNames[0]", "localhost"),
                ("algorithms.key_algorithm", "keyAlgorithm", "Ed25519"),
            ],
        ),
        (
            "csr.acme.com",
            vec![
                ("subject.organization.allowed", "organization", "Acme"),
                ("subject.organizational_unit.allowed", "organizationalUnit", "A"),
                ("subject.organizational_unit.allowed", "organizationalUnit", "B"),
            ],
        ),
        (
            "shop.acme.com",
            vec![
                ("subject.country.allowed", "country", "DE"),
                ("subject.organization.allowed", "organization", "Acme, Inc."),
                ("sans.ip_address.allowed", "altNames[1]", "10.1.2.3"),
                ("sans.dns_name.allowed", "altNames[2]", "*.shop.acme.com"),
                ("sans.ip_address.allowed", "altNames[3]", "2001:db8::1"),
                ("algorithms.key_algorithm", "keyAlgorithm", "EC_secp521r1"),
                ("validity.max", "ttl", "300 days"),
            ],
        ),
    ];
    assert_eq!(told(&done), expected);
    assert_eq!((done.examined, done.refused_total), (6, 3));
    // Newest first, each with its request.
    let reader = world.authority().reader();
    for refusal in &done.refused {
        let request = reader.request(world.admin.project_id(), refusal.request_id).await.unwrap().unwrap();
        assert_eq!(request.common_name, refusal.common_name);
        assert_eq!((request.profile_id, request.created_at), (Some(refusal.profile_id), refusal.created_at));
    }
    // What the rehearsal says is what the same request meets from now on, word by word.
    world.change_template(patch).await;
    let again = IssueRequest {
        target: Target::Profile { profile_id: world.api, application_id: None },
        csr: None,
        attributes: many(),
        metadata: Vec::new(),
    };
    let Err(Error::Refused(violations)) = world.authority().issue(&world.operator, again).await else {
        panic!("it was not refused")
    };
    assert_eq!(done.refused[2].violations, violations);
    let now = rehearse(&world, TemplateRulesPatch::default()).await;
    assert_eq!(told(&now), told(&done), "the rules in force judge the past like those that were not");
}

async fn what_a_request_left_open_is_filled_by_the_new_rules(world: World) {
    world.issue(&world.operator, world.web, named("open.acme.com")).await;
    let asked = Attributes { extended_key_usages: Some(vec![ExtendedKeyUsage::ServerAuth]), ..named("asked.acme.com") };
    world.issue(&world.operator, world.web, asked).await;
    let subject = [(AttributeType::CommonName, "csr-open.acme.com")];
    world.issue_csr(&world.operator, world.web, csr(&subject, &[], &[])).await;
    world
        .issue_csr(
            &world.operator,
            world.web,
            csr(&[(AttributeType::CommonName, "csr-asked.acme.com")], &[], &[ExtendedKeyUsage::ServerAuth]),
        )
        .await;
    world.issue(&world.operator, world.own, named("own.acme.com")).await;

    // Who named no purposes gets both; who named one would have been refused.
    let both = ["server_auth", "client_auth"].map(str::to_owned).to_vec();
    let patch = TemplateRulesPatch {
        extended_key_usages: Field::Value(ListRule { required: Some(both), ..ListRule::default() }),
        ..TemplateRulesPatch::default()
    };
    let missing = vec![("extended_key_usages.required", "extendedKeyUsages", "")];
    let done = rehearse(&world, patch).await;
    assert_eq!(told(&done), [("csr-asked.acme.com", missing.clone()), ("asked.acme.com", missing)]);
    // A key that nobody asked for follows the template, and so does the signature of a key that signs itself.
    let patch = TemplateRulesPatch {
        algorithms: Field::Value(AlgorithmRule {
            key_algorithm: Some(vec!["RSA-3072".to_owned(), "ECDSA-P384".to_owned()]),
            signature: Some(vec!["SHA384-RSA".to_owned(), "SHA256-ECDSA".to_owned()]),
        }),
        ..TemplateRulesPatch::default()
    };
    assert_eq!(told(&rehearse(&world, patch).await), []);
    // The CA signs with what it has.
    let patch = TemplateRulesPatch {
        algorithms: Field::Value(AlgorithmRule { signature: Some(vec!["SHA384-RSA".to_owned()]), key_algorithm: None }),
        ..TemplateRulesPatch::default()
    };
    let done = rehearse(&world, patch).await;
    let refused: Vec<&str> = told(&done).into_iter().map(|(name, _)| name).collect();
    assert!(refused.contains(&"open.acme.com") && refused.contains(&"csr-open.acme.com"), "{refused:?}");
    let patch = TemplateRulesPatch {
        basic_constraints: Field::Value(BasicConstraintsRule {
            is_ca: Some(RuleState::Required),
            path_length_max: Some(0),
        }),
        key_usages: Field::Value(ListRule { required: Some(vec!["key_cert_sign".to_owned()]), ..ListRule::default() }),
        ..TemplateRulesPatch::default()
    };
    assert_eq!(told(&rehearse(&world, patch).await), [], "nobody had asked for an end entity");
}

async fn only_the_profiles_of_the_template_and_the_days_asked_for_are_examined(world: World) {
    let it = world.authority();
    let new = chancery_authority::template::NewTemplate {
        name: "other".to_owned(),
        preset: Some("tls-server".to_owned()),
        ..chancery_authority::template::NewTemplate::default()
    };
    let other = it.create_template(&world.admin, new).await.unwrap().id;
    world.issue(&world.operator, world.web, named("old.acme.com")).await;
    world.clock.advance_seconds(10 * DAY);
    // Sessions have ended meanwhile; the core itself asks no clock about a call.
    world.issue(&world.operator, world.api, named("new.acme.com")).await;
    let gone = world.issue(&world.operator, world.web, named("gone.acme.com")).await;
    it.delete_certificate(&world.admin, gone.certificate.id).await.unwrap();
    let rules = changed(&world, only("*.nowhere.test")).await;
    let examined = async |call, template, days| {
        it.rehearse_template(call, &rules, template, days).await.map(|done| (done.examined, done.refused_total))
    };
    let all = Some(world.template);
    assert_eq!(examined(&world.admin, all, 30).await.unwrap(), (2, 2));
    assert_eq!(examined(&world.admin, all, 9).await.unwrap(), (1, 1));
    assert_eq!(examined(&world.admin, Some(other), 30).await.unwrap(), (0, 0));
    assert_eq!(examined(&world.admin, None, 30).await.unwrap(), (2, 2));
    let stranger = world.stranger().await;
    assert_eq!(examined(&stranger, None, 30).await.unwrap(), (0, 0));
    assert_eq!(code(examined(&stranger, all, 30).await), "not_found");
    let nobody = TemplateId::from_uuid(world.web.as_uuid());
    assert_eq!(code(examined(&world.admin, Some(nobody), 30).await), "not_found");
    for days in [0, 3_651] {
        assert_eq!(code(examined(&world.admin, None, days).await), "rehearsal.days");
    }
    let broken = TemplateRules { key_usages: Some(ListRule::default()), ..TemplateRules::default() };
    assert_eq!(code(it.rehearse_template(&world.admin, &broken, None, 30).await), "template.rule_empty");
    let both = it.proposed_rules(&world.admin, all, Some("tls-server"), TemplateRulesPatch::default()).await;
    assert_eq!(code(both), "template.preset");
}

/// As many as one rehearsal looks at, and as many as it tells.
const EXAMINED: u64 = 10_000;
const LISTED: usize = 500;

async fn ten_thousand_are_examined_and_the_unreadable_are_counted(mut world: World) {
    let issued = world.issue(&world.operator, world.web, lasting("www.acme.com", "60d")).await;
    let project = world.admin.project_id();
    let request = world.authority().reader().request(project, issued.request_id).await.unwrap().unwrap();
    world.close().await;
    let store = Store::open(&world.location, "node-1").await.unwrap();
    let random = chancery_model::random::SeededRandomness::new(11);
    let mut made = 0u32;
    let mut copies = |count: u64, document: &dyn Fn(&str) -> String| {
        let mut write = Write::default();
        for _ in 0..count {
            made += 1;
            let (mut certificate, mut request) = (issued.certificate.clone(), request.clone());
            certificate.id = chancery_model::CertificateId::generate(certificate.created_at, &random);
            certificate.request_id = chancery_model::RequestId::generate(certificate.created_at, &random);
            certificate.serial_number = format!("4{made:031x}");
            (request.id, request.certificate_id) = (certificate.request_id, Some(certificate.id));
            request.document = document(&request.document);
            let insert = Change::InsertCertificate(Box::new(certificate));
            write = write.with(insert).with(Change::InsertRequest(Box::new(request)));
        }
        write
    };
    let same: &dyn Fn(&str) -> String = &str::to_owned;
    store.commit(copies(EXAMINED, same)).await.unwrap();
    // What another version of the program may have left, newest last: more than is known, less than is needed, other words.
    let further = copies(1, &|text| text.replacen('{', "{\"engine\":7,", 1));
    store.commit(further).await.unwrap();
    for document in [
        |text: &str| text.replace("\"field\":\"ttl\"", "\"field\":\"lifetime\""),
        |text: &str| text.replace("EC_prime256v1", "EC_brainpool"),
        |text: &str| text.replace("\"key\":\"generated\"", "\"key\":\"escrowed\""),
        |text: &str| text.replace("\"value\":\"www.acme.com\"", "\"value\":\"other.acme.com\""),
        |_: &str| "{}".to_owned(),
        |_: &str| "no JSON".to_owned(),
    ] {
        let write = copies(1, &document);
        store.commit(write).await.unwrap();
    }
    store.close().await;
    world.reopen().await;
    let patch = TemplateRulesPatch { validity_max: Field::Value("30d".to_owned()), ..TemplateRulesPatch::default() };
    let done = rehearse(&world, patch).await;
    assert_eq!((done.unreadable, done.examined + done.unreadable), (6, EXAMINED));
    assert!(done.truncated);
    assert_eq!(done.refused_total, EXAMINED - 6);
    assert_eq!(done.refused.len(), LISTED);
    assert!(done.refused.iter().all(|it| it.violations.len() == 1 && it.violations[0].rule == "validity.max"));
}
