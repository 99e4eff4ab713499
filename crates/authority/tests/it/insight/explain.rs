//! Explain without an entry, and rules that nobody has saved.

use chancery_authority::enrollment::{Attributes, Field, IssueRequest, Target};
use chancery_authority::issuance::Explanation;
use chancery_authority::template::TemplateRulesPatch;
use chancery_model::audit::AuditEvent;
use chancery_model::template::{AlgorithmRule, ListRule, TemplateRules};
use chancery_pkix::{AttributeType, KeyAlgorithm};

use super::world::{World, code, csr, lasting, named, only};
use crate::in_both_databases;

in_both_databases!(an_explanation_is_the_evaluation_without_its_entry, a_template_is_tried_before_it_is_saved,);

fn broken(explanation: &Explanation) -> Vec<(&str, &str)> {
    explanation.rules.iter().filter(|it| !it.passed).map(|it| (it.rule.as_str(), it.field.as_str())).collect()
}

async fn an_explanation_is_the_evaluation_without_its_entry(world: World) {
    world.change_template(only("*.acme.com")).await;
    let request = |name: &str| IssueRequest {
        target: Target::Profile { profile_id: world.web, application_id: None },
        csr: None,
        attributes: lasting(name, "500d"),
        metadata: Vec::new(),
    };
    let it = world.authority();
    for name in ["www.acme.com", "www.other.com"] {
        let before = world.entries().await;
        let explained = it.explain(&world.operator, request(name)).await.unwrap();
        assert_eq!(world.entries().await, before);
        let evaluated = it.evaluate(&world.operator, request(name)).await.unwrap();
        assert_eq!(world.entries().await, before + 1);
        assert_eq!(world.last_event().await, AuditEvent::CertificateEvaluated.as_str());
        assert_eq!(explained.rules, evaluated.rules);
        assert_eq!(explained.fields, evaluated.fields);
        assert!(!explained.approved && broken(&explained).contains(&("validity.max", "ttl")));
    }
    assert_eq!(code(it.explain(&world.auditor, request("www.acme.com")).await), "auth.permission");
    assert_eq!(code(it.explain(&world.stranger().await, request("www.acme.com")).await), "not_found");
}

async fn a_template_is_tried_before_it_is_saved(world: World) {
    let it = world.authority();
    let before = world.entries().await;
    let rules = it.proposed_rules(&world.auditor, None, Some("tls-server"), only("*.acme.com")).await.unwrap();
    let tried = async |rules: &TemplateRules, csr: Option<String>, attributes: Attributes| {
        it.try_template(&world.auditor, rules, csr, attributes).await
    };
    let good = tried(&rules, None, lasting("www.acme.com", "30d")).await.unwrap();
    assert!(good.approved, "{:?}", good.rules);
    assert!(good.fields.iter().any(|it| it.field == "extendedKeyUsages" && it.value == "server_auth"));
    let bad = tried(&rules, None, lasting("www.other.com", "399d")).await.unwrap();
    assert_eq!(
        broken(&bad),
        [
            ("subject.common_name.allowed", "commonName"),
            ("sans.dns_name.allowed", "altNames[0]"),
            ("validity.max", "ttl")
        ]
    );
    // A CSR as some CA would take it, also one without a subject.
    let attributes = Attributes { ttl: Some("30d".to_owned()), ..Attributes::default() };
    let names = ["www.acme.com"];
    for subject in [&[(AttributeType::CommonName, "www.acme.com")][..], &[]] {
        let good = tried(&rules, Some(csr(subject, &names, &[])), attributes.clone()).await.unwrap();
        assert!(good.approved, "{:?}", good.rules);
    }
    let foreign = csr(&[(AttributeType::Organization, "Acme")], &["www.other.com"], &[]);
    let bad = tried(&rules, Some(foreign), attributes.clone()).await.unwrap();
    assert_eq!(
        broken(&bad),
        [("subject.organization.allowed", "organization"), ("sans.dns_name.allowed", "altNames[0]")]
    );
    // Nobody knows yet who signs: a listed signature is hoped for.
    let patch = TemplateRulesPatch {
        algorithms: Field::Value(AlgorithmRule { signature: Some(vec!["SHA256-RSA".to_owned()]), key_algorithm: None }),
        ..TemplateRulesPatch::default()
    };
    let signed = it.proposed_rules(&world.auditor, Some(world.template), None, patch).await.unwrap();
    let wanted = Attributes { key_algorithm: Field::Value(KeyAlgorithm::EcP256), ..lasting("www.acme.com", "30d") };
    assert!(tried(&signed, None, wanted).await.unwrap().approved);
    // No life is given, the rules are wrong, the CSR is none.
    assert_eq!(code(tried(&rules, None, named("www.acme.com")).await), "ttl.missing");
    assert_eq!(code(tried(&rules, Some("x".to_owned()), attributes.clone()).await), "csr.pem");
    let wrong = TemplateRules { key_usages: Some(ListRule::default()), ..TemplateRules::default() };
    assert_eq!(code(tried(&wrong, None, attributes).await), "template.rule_empty");
    assert_eq!(world.entries().await, before, "nothing is written down");
}
