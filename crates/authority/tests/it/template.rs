//! Templates and profiles over a real store: saving, refusing, and what a request then gets.
//!
//! ```text
//! default project ── administrator ── root CA (P-256) ── profile "web"
//!                                                     └─ profile "own" (self-signed)
//! ```
//!
//! Verified here: names and versions, what is refused when saved and why, that nothing in use disappears, that a
//! tightened template counts at once, that the suggestions of a refusal lead to a certificate, and the audit entries.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::IpAddr;
use std::sync::Arc;
use std::task::Poll;

use chancery_authority::enrollment::{Attributes, Field, IssueRequest, Target};
use chancery_authority::hierarchy::NewCa;
use chancery_authority::profile::{NewProfile, ProfilePatch, ProfileSettingsPatch};
use chancery_authority::template::{NewTemplate, TemplatePatch, TemplateRulesPatch, presets};
use chancery_authority::{Authority, AuthorityConfig, Call, Error};
use chancery_keys::{Kek, SystemRandomness};
use chancery_model::audit::{AuditEvent, AuditFilter};
use chancery_model::authority::{CaStatus, CertificationAuthority};
use chancery_model::profile::{CertificateProfile, ProfileDefaults, ProfileIssuer};
use chancery_model::template::{AlgorithmRule, CertificateTemplate, Patterns, RuleLists, SanRule};
use chancery_model::time::FixedClock;
use chancery_model::{CaId, ProfileId, TemplateId, Timestamp};
use chancery_pkix::{GeneralNameKind, SignatureAlgorithm};
use chancery_store::Location;

const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 7));

struct World {
    authority: Authority,
    call: Call,
    _folder: tempfile::TempDir,
}

impl World {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(FixedClock::at(Timestamp::from_seconds(1_800_000_000)));
        let config = AuthorityConfig {
            location: Location::Sqlite { path: folder.path().join("chancery.db") },
            node: "node-1".to_owned(),
            kek: Kek::from_text(&"5a".repeat(32)).unwrap(),
            site_url: None,
            repository_url: None,
            notifier: Arc::new(chancery_authority::alert::NoNotifier),
            upstream: Arc::new(chancery_authority::external::NoUpstream),
        };
        let authority = Authority::open(config, clock as _, Arc::new(SystemRandomness)).await.unwrap();
        authority.ensure_administrator("admin@example.com", "correct horse battery").await.unwrap().unwrap();
        let token = authority.login_user("admin@example.com", "correct horse battery", None, HOME, "r").await.unwrap();
        let requester = authority.authenticate(&token.access_token, HOME).await.unwrap();
        let call = Call { requester, request_id: "r-test".to_owned(), idempotency: None };
        Self { authority, call, _folder: folder }
    }

    async fn root(&self) -> CertificationAuthority {
        let configuration = serde_json::json!({
            "level": "root", "common_name": "Test Root", "key_algorithm": "EC_prime256v1",
            "not_after": Timestamp::parse_date("2046-01-01").unwrap(),
        });
        let new = NewCa {
            name: "root".to_owned(),
            status: CaStatus::Active,
            configuration: serde_json::from_value(configuration).unwrap(),
            direct_issuance_template: None,
        };
        self.authority.create_ca(&self.call, new).await.unwrap()
    }

    async fn template(&self, rules: TemplateRulesPatch) -> Result<CertificateTemplate, Error> {
        let preset = Some("tls-server".to_owned());
        let new = NewTemplate { name: "web-servers".to_owned(), preset, rules, ..NewTemplate::default() };
        self.authority.create_template(&self.call, new).await
    }

    async fn profile(
        &self,
        issuer: ProfileIssuer,
        template_id: TemplateId,
        defaults: ProfileDefaults,
    ) -> Result<CertificateProfile, Error> {
        let slug = if issuer == ProfileIssuer::SelfSigned { "own" } else { "web" }.to_owned();
        let settings = ProfileSettingsPatch { defaults: Field::Value(defaults), ..ProfileSettingsPatch::default() };
        let new = NewProfile { slug, description: None, issuer, template_id, enrollment: None, settings };
        self.authority.create_profile(&self.call, new).await
    }

    async fn issue(
        &self,
        profile_id: ProfileId,
        attributes: Attributes,
    ) -> Result<chancery_authority::issuance::Issued, Error> {
        let target = Target::Profile { profile_id, application_id: None };
        self.authority
            .issue(&self.call, IssueRequest { target, csr: None, attributes, metadata: Vec::new() })
            .await
            .map(|it| it.into_issued().unwrap())
    }

    async fn events(&self, event: AuditEvent) -> Vec<serde_json::Value> {
        let filter = AuditFilter { event: Some(event), ..AuditFilter::default() };
        let (entries, _) = self.authority.reader().audit(self.call.project_id(), &filter, None, 100).await.unwrap();
        let bodies = entries.iter().map(|it| serde_json::from_str::<serde_json::Value>(&it.body).unwrap());
        bodies.map(|body| body.get("details").cloned().unwrap()).collect()
    }
}

fn named(common_name: &str) -> Attributes {
    Attributes { common_name: Field::Value(common_name.to_owned()), ..Attributes::default() }
}

fn dns_names(patterns: &[&str]) -> Field<Vec<SanRule>> {
    Field::Value(dns_rules(patterns))
}

fn dns_rules(patterns: &[&str]) -> Vec<SanRule> {
    let allowed = Some(Patterns::Flat(patterns.iter().map(|&it| it.to_owned()).collect()));
    vec![SanRule { kind: GeneralNameKind::DnsName, lists: RuleLists { allowed, ..RuleLists::default() } }]
}

fn a_month() -> ProfileDefaults {
    ProfileDefaults { ttl_days: Some(30), ..ProfileDefaults::default() }
}

fn code<T>(result: Result<T, Error>) -> &'static str {
    result.err().map_or("accepted", |error| error.code())
}

#[tokio::test]
async fn templates_are_named_versioned_and_audited() {
    let world = World::start().await;
    let first = world.template(TemplateRulesPatch::default()).await.unwrap();
    assert_eq!((first.name.as_str(), first.version), ("web-servers", 1));
    assert_eq!(first.rules, presets()[0].rules);
    let second = world.template(TemplateRulesPatch::default()).await.unwrap();
    let suffix = second.name.strip_prefix("web-servers-").unwrap();
    assert!(suffix.len() == 8 && suffix.bytes().all(|it| it.is_ascii_lowercase()), "{suffix}");
    let rules = TemplateRulesPatch { validity_max: Field::Value("90d".to_owned()), ..TemplateRulesPatch::default() };
    let patch = TemplatePatch { name: Some("TLS (short)".to_owned()), rules, ..TemplatePatch::default() };
    let changed = world.authority.update_template(&world.call, first.id, patch).await.unwrap();
    assert_eq!((changed.name.as_str(), changed.version), ("tls-short", 2));
    assert_eq!(changed.rules.sans, first.rules.sans);
    world.authority.delete_template(&world.call, second.id).await.unwrap();
    assert_eq!(code(world.authority.delete_template(&world.call, second.id).await), "not_found");
    let updates = world.events(AuditEvent::TemplateUpdated).await;
    assert_eq!(updates[0]["before"]["rules"]["validity"]["max"], "398d");
    assert_eq!(updates[0]["after"]["rules"]["validity"]["max"], "90d");
    assert_eq!(world.events(AuditEvent::TemplateCreated).await.len(), 2);
    assert_eq!(world.events(AuditEvent::TemplateDeleted).await.len(), 1);
}

#[tokio::test]
async fn wrong_templates_are_refused_and_leave_nothing_behind() {
    let world = World::start().await;
    let new = NewTemplate { name: "x".to_owned(), preset: Some("tls".to_owned()), ..NewTemplate::default() };
    assert_eq!(code(world.authority.create_template(&world.call, new).await), "template.preset");
    let rules = TemplateRulesPatch { sans: dns_names(&[""]), ..TemplateRulesPatch::default() };
    assert_eq!(code(world.template(rules).await), "template.pattern_empty");
    let rules = TemplateRulesPatch { validity_min: Field::Value("2y".to_owned()), ..TemplateRulesPatch::default() };
    assert_eq!(code(world.template(rules).await), "template.unsatisfiable");
    let rules = TemplateRulesPatch { sans: dns_names(&["a.acme.com", "a.acme.com"]), ..TemplateRulesPatch::default() };
    let refused = world.template(rules).await;
    assert!(matches!(refused, Err(Error::Forbidden { .. })), "{refused:?}");
    assert_eq!(world.events(AuditEvent::TemplateCreated).await.len(), 0);
}

#[tokio::test]
async fn a_profile_that_can_never_issue_is_refused_when_it_is_saved() {
    let world = World::start().await;
    let issuer = ProfileIssuer::Ca(world.root().await.id);
    let web = world.template(TemplateRulesPatch::default()).await.unwrap();
    let signature = Some(vec!["SHA256-RSA".to_owned()]);
    let algorithms = Field::Value(AlgorithmRule { signature, key_algorithm: None });
    let rsa = world.template(TemplateRulesPatch { algorithms, ..TemplateRulesPatch::default() }).await.unwrap();
    assert_eq!(code(world.profile(issuer, rsa.id, a_month()).await), "profile.issuer_signature");
    let long = ProfileDefaults { ttl_days: Some(399), ..ProfileDefaults::default() };
    assert_eq!(code(world.profile(issuer, web.id, long).await), "profile.default");
    let unknown = uuid::Uuid::from_u128(7);
    assert_eq!(code(world.profile(issuer, TemplateId::from_uuid(unknown), a_month()).await), "not_found");
    let nobody = ProfileIssuer::Ca(CaId::from_uuid(unknown));
    assert_eq!(code(world.profile(nobody, web.id, a_month()).await), "not_found");
    world.profile(issuer, web.id, a_month()).await.unwrap();
    assert_eq!(code(world.profile(issuer, web.id, a_month()).await), "profile.slug_taken");
    assert_eq!(world.events(AuditEvent::ProfileCreated).await.len(), 1);
}

#[tokio::test]
async fn what_is_in_use_stays() {
    let world = World::start().await;
    let issuer = ProfileIssuer::Ca(world.root().await.id);
    let web = world.template(TemplateRulesPatch::default()).await.unwrap();
    let profile = world.profile(issuer, web.id, a_month()).await.unwrap();
    let refused = world.authority.delete_template(&world.call, web.id).await.err().unwrap();
    assert!(matches!(refused, Error::Forbidden { .. }) && refused.public_message().contains("web"), "{refused}");
    let signature = Some(vec!["SHA256-RSA".to_owned()]);
    let algorithms = Field::Value(AlgorithmRule { signature, key_algorithm: None });
    let rules = TemplateRulesPatch { algorithms, ..TemplateRulesPatch::default() };
    let patch = TemplatePatch { rules, ..TemplatePatch::default() };
    let dead = world.authority.update_template(&world.call, web.id, patch).await;
    assert_eq!(code(dead), "template.issuer_signature");
    world.authority.delete_profile(&world.call, profile.id).await.unwrap();
    world.authority.delete_template(&world.call, web.id).await.unwrap();
}

#[tokio::test]
async fn a_tightened_template_counts_at_once_and_its_suggestions_lead_to_a_certificate() {
    let world = World::start().await;
    let issuer = ProfileIssuer::Ca(world.root().await.id);
    let web = world.template(TemplateRulesPatch::default()).await.unwrap();
    let profile = world.profile(issuer, web.id, a_month()).await.unwrap();
    world.issue(profile.id, named("app.evil.example")).await.unwrap();
    let rules = TemplateRulesPatch {
        sans: dns_names(&["*.acme.com"]),
        validity_max: Field::Value("10d".to_owned()),
        ..TemplateRulesPatch::default()
    };
    let patch = TemplatePatch { rules, ..TemplatePatch::default() };
    world.authority.update_template(&world.call, web.id, patch).await.unwrap();
    let refused = world.issue(profile.id, named("app.evil.example")).await.err().unwrap();
    let mut attributes = named("app.evil.example");
    for violation in refused.violations() {
        let suggestion = violation.suggestion.as_ref().unwrap();
        match (suggestion.field.as_str(), suggestion.value.clone().unwrap()) {
            ("commonName", value) => attributes.common_name = Field::Value(value),
            ("ttl", value) => attributes.ttl = Some(value),
            other => panic!("{other:?}"),
        }
    }
    let issued = world.issue(profile.id, attributes).await.unwrap();
    assert_eq!(issued.certificate.description.common_name(), Some("app.acme.com"));
    assert_eq!(issued.certificate.ttl, 10 * 86_400);
    // A new name of the profile is possible although its default outlives the template by now.
    let patch = ProfilePatch { description: Field::Value("web servers".to_owned()), ..ProfilePatch::default() };
    world.authority.update_profile(&world.call, profile.id, patch).await.unwrap();
}

/// Polls a call a few times and then hangs up, as a client does that goes away in the middle.
///
/// Says whether it was answered before that.
async fn hung_up_after<T>(polls: usize, call: impl Future<Output = T>) -> bool {
    let mut call = std::pin::pin!(call);
    let mut seen = 0;
    std::future::poll_fn(|context| {
        seen += 1;
        let answered = call.as_mut().poll(context).is_ready();
        if answered || seen == polls { Poll::Ready(answered) } else { Poll::Pending }
    })
    .await
}

#[tokio::test]
async fn a_tightened_template_counts_even_when_its_author_hung_up() {
    let world = World::start().await;
    let issuer = ProfileIssuer::Ca(world.root().await.id);
    let web = world.template(TemplateRulesPatch::default()).await.unwrap();
    let profile = world.profile(issuer, web.id, a_month()).await.unwrap();
    let mut unanswered = 0;
    for round in 0..200 {
        let polls = 1 + round % 4;
        let name = format!("*.round{round}.example");
        let rules = TemplateRulesPatch { sans: dns_names(&[&name]), ..TemplateRulesPatch::default() };
        let patch = TemplatePatch { rules, ..TemplatePatch::default() };
        let answered = hung_up_after(polls, world.authority.update_template(&world.call, web.id, patch)).await;

        // The writer works in order: once this request is recorded, an update that was queued before it is stored.
        let _ = world.issue(profile.id, named("elsewhere.example")).await;
        let record = world.authority.reader().template(world.call.project_id(), web.id).await.unwrap().unwrap();
        if record.rules.sans == Some(dns_rules(&[&name])) {
            unanswered += usize::from(!answered);
            // The task that sees the update through has been woken too; it only needs its turn.
            tokio::task::yield_now().await;
            assert_eq!(code(world.issue(profile.id, named("elsewhere.example")).await), "template.refused");
            world.issue(profile.id, named(&format!("app.round{round}.example"))).await.unwrap();
        }
        if unanswered == 3 {
            return;
        }
    }
    panic!("only {unanswered} updates were stored without an answer, so nothing was tested");
}

#[tokio::test]
async fn a_template_chooses_the_signature_when_nobody_else_does() {
    let world = World::start().await;
    let issuer = ProfileIssuer::Ca(world.root().await.id);
    let signature = Some(vec!["SHA256-RSA".to_owned(), "SHA384-ECDSA".to_owned()]);
    let algorithms = Field::Value(AlgorithmRule { signature, key_algorithm: None });
    let strict = world.template(TemplateRulesPatch { algorithms, ..TemplateRulesPatch::default() }).await.unwrap();
    for issuer in [issuer, ProfileIssuer::SelfSigned] {
        let profile = world.profile(issuer, strict.id, a_month()).await.unwrap();
        let issued = world.issue(profile.id, named("app.acme.com")).await.unwrap();
        assert_eq!(
            issued.certificate.description.signature_algorithm,
            Some(SignatureAlgorithm::EcdsaSha384),
            "{issuer:?}"
        );
    }
}

#[tokio::test]
async fn every_preset_issues_with_nothing_but_a_name() {
    let world = World::start().await;
    let root = world.root().await;
    for preset in presets() {
        let new =
            NewTemplate { name: preset.id.to_owned(), preset: Some(preset.id.to_owned()), ..NewTemplate::default() };
        let template = world.authority.create_template(&world.call, new).await.unwrap();
        let settings = ProfileSettingsPatch { defaults: Field::Value(a_month()), ..ProfileSettingsPatch::default() };
        let (slug, issuer) = (preset.id.to_owned(), ProfileIssuer::Ca(root.id));
        let new = NewProfile { slug, description: None, issuer, template_id: template.id, enrollment: None, settings };
        let profile = world.authority.create_profile(&world.call, new).await.unwrap();
        let issued = world.issue(profile.id, named("Jane Doe")).await;
        assert!(issued.is_ok(), "{}: {:?}", preset.id, issued.err());
        let risky = world.authority.profile_warnings(&profile).await.unwrap();
        let logs_in = ["tls-client", "device", "user", "email-protection", "dual-purpose-server"];
        assert_eq!(!risky.is_empty(), logs_in.contains(&preset.id), "{}: {risky:?}", preset.id);
    }
}
