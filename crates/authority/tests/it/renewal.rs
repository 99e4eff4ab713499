//! Renewal where callers meet: whose key is reused, and what a retried call gets.
//!
//! ```text
//! default project ── administrator ── root CA ── profile "web" (allowKeyReuse)
//!                 ├─ operator anna ── certificate
//!                 └─ operator otto
//! ```
//!
//! Verified here: a reused key does not come into the hands of another operator, twenty tries of one renewal get one
//! answer, and an idempotency key of yesterday is refused in place of answering another request.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::IpAddr;
use std::sync::Arc;

use chancery_authority::access::{NewClientSecret, NewIdentity, UniversalAuthSettings};
use chancery_authority::enrollment::{Attributes, Field, IssueRequest, Target};
use chancery_authority::hierarchy::NewCa;
use chancery_authority::issuance::Issued;
use chancery_authority::profile::{NewProfile, ProfileSettingsPatch};
use chancery_authority::renewal::{RenewRequest, RenewalKeySource};
use chancery_authority::template::NewTemplate;
use chancery_authority::{Authority, AuthorityConfig, Call, Error};
use chancery_keys::{Kek, SystemRandomness};
use chancery_model::authority::CaStatus;
use chancery_model::permission::Role;
use chancery_model::profile::ProfileIssuer;
use chancery_model::time::FixedClock;
use chancery_model::{CertificateId, ProfileId, Timestamp};
use chancery_store::Location;

const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 7));

struct World {
    authority: Authority,
    clock: Arc<FixedClock>,
    admin: Call,
    profile: ProfileId,
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
        let authority = Authority::open(config, Arc::clone(&clock) as _, Arc::new(SystemRandomness)).await.unwrap();
        authority.ensure_administrator("admin@example.com", "correct horse battery").await.unwrap().unwrap();
        let token = authority.login_user("admin@example.com", "correct horse battery", None, HOME, "r").await.unwrap();
        let admin = call(&authority, &token.access_token).await;
        let profile = profile(&authority, &admin).await;
        Self { authority, clock, admin, profile, _folder: folder }
    }

    async fn operator(&self, name: &str) -> Call {
        let new = NewIdentity {
            name: name.to_owned(),
            role: Role::Operator,
            has_delete_protection: false,
            metadata: Vec::new(),
        };
        let it = &self.authority;
        let identity = it.create_identity(&self.admin, new).await.unwrap();
        let settings = UniversalAuthSettings::default();
        let identity = it.attach_universal_auth(&self.admin, identity.id, settings).await.unwrap();
        let (_, secret) = it.create_client_secret(&self.admin, identity.id, NewClientSecret::default()).await.unwrap();
        let client = identity.universal_auth.unwrap().client_id.to_string();
        let token = it.login_universal(&client, secret.as_ref(), HOME, "r").await.unwrap();
        call(it, &token.access_token).await
    }

    async fn issue(&self, call: &Call, common_name: &str) -> Result<Issued, Error> {
        let target = Target::Profile { profile_id: self.profile, application_id: None };
        let attributes = Attributes {
            common_name: Field::Value(common_name.to_owned()),
            ttl: Some("30d".to_owned()),
            ..Attributes::default()
        };
        self.authority
            .issue(call, IssueRequest { target, csr: None, attributes, metadata: Vec::new() })
            .await
            .map(|it| it.into_issued().unwrap())
    }

    async fn renew(&self, call: &Call, id: CertificateId, source: RenewalKeySource) -> Result<Issued, Error> {
        let request = RenewRequest { key_source: Some(source), ..RenewRequest::default() };
        let renewed = self.authority.renew(call, id, request).await;
        renewed.map(|it| it.into_issued().unwrap())
    }
}

async fn call(authority: &Authority, token: &str) -> Call {
    let requester = authority.authenticate(token, HOME).await.unwrap();
    Call { requester, request_id: "r-test".to_owned(), idempotency: None }
}

async fn profile(authority: &Authority, admin: &Call) -> ProfileId {
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
    let root = authority.create_ca(admin, new).await.unwrap();
    let preset = Some("tls-server".to_owned());
    let new = NewTemplate { name: "web".to_owned(), preset, ..NewTemplate::default() };
    let template = authority.create_template(admin, new).await.unwrap();
    let settings = ProfileSettingsPatch { allow_key_reuse: Some(true), ..ProfileSettingsPatch::default() };
    let new = NewProfile {
        slug: "web".to_owned(),
        description: None,
        issuer: ProfileIssuer::Ca(root.id),
        template_id: template.id,
        enrollment: None,
        settings,
    };
    authority.create_profile(admin, new).await.unwrap().id
}

fn code<T>(result: Result<T, Error>) -> &'static str {
    result.err().map_or("accepted", |error| error.code())
}

#[tokio::test]
async fn an_operator_renews_no_certificate_of_another() {
    let world = World::start().await;
    let (anna, otto) = (world.operator("anna").await, world.operator("otto").await);
    let issued = world.issue(&anna, "a.acme.com").await.unwrap();
    let id = issued.certificate.id;
    assert_eq!(code(world.renew(&otto, id, RenewalKeySource::Reuse).await), "auth.permission");
    let old = world.authority.certificate_of(&anna, id).await.unwrap();
    assert_eq!((old.renewal.renewed_by, old.renewal.error), (None, None), "the stranger's try leaves nothing behind");
    let renewed = world.renew(&anna, id, RenewalKeySource::Reuse).await.unwrap();
    assert_eq!(renewed.certificate.key_id, issued.certificate.key_id);
    // Nor with a key of its own: the successor would be the stranger's, and the owner could not renew any more.
    assert_eq!(code(world.renew(&otto, renewed.certificate.id, RenewalKeySource::New).await), "auth.permission");
    assert_eq!(code(world.authority.private_key(&otto, &renewed.certificate).await), "auth.permission");
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_tries_of_one_renewal_get_one_answer() {
    let world = Arc::new(World::start().await);
    let anna = world.operator("anna").await;
    for round in 0..5u8 {
        let id = world.issue(&anna, "a.acme.com").await.unwrap().certificate.id;
        let tries: Vec<_> = (0..20)
            .map(|_| {
                let (world, call) = (Arc::clone(&world), Call { idempotency: Some([round; 32]), ..anna.clone() });
                tokio::spawn(async move { world.renew(&call, id, RenewalKeySource::New).await })
            })
            .collect();
        let mut serials = Vec::new();
        for one in tries {
            serials.push(one.await.unwrap().unwrap().certificate.serial_number);
        }
        serials.dedup();
        assert_eq!(serials.len(), 1);
        assert_eq!(code(world.renew(&anna, id, RenewalKeySource::New).await), "renewal.not_eligible");
    }
}

#[tokio::test]
async fn an_idempotency_key_of_yesterday_answers_no_other_request() {
    let world = World::start().await;
    let anna = Call { idempotency: Some([7; 32]), ..world.operator("anna").await };
    let first = world.issue(&anna, "a.acme.com").await.unwrap();
    let again = world.issue(&anna, "a.acme.com").await.unwrap();
    assert_eq!(again.certificate.id, first.certificate.id);
    world.clock.advance_seconds(24 * 3_600 + 1);
    assert_eq!(code(world.issue(&anna, "b.acme.com").await), "idempotency.old");
}

#[tokio::test]
async fn what_may_be_chosen_is_what_the_verb_then_takes() {
    let world = World::start().await;
    let (anna, otto) = (world.operator("anna").await, world.operator("otto").await);
    let it = &world.authority;
    let made_here = world.issue(&anna, "a.acme.com").await.unwrap().certificate;
    let options = it.renewal_options(&anna, made_here.id).await.unwrap();
    assert_eq!(options.obstacle, None);
    assert!(options.keys.iter().all(|(_, obstacle)| obstacle.is_none()), "{options:?}");
    assert_eq!(code(it.renewal_options(&otto, made_here.id).await), "auth.permission");

    // The profile takes key reuse back: the option is gone, and so is the way.
    let settings = ProfileSettingsPatch { allow_key_reuse: Some(false), ..ProfileSettingsPatch::default() };
    let patch = chancery_authority::profile::ProfilePatch { settings, ..Default::default() };
    it.update_profile(&world.admin, world.profile, patch).await.unwrap();
    let options = it.renewal_options(&anna, made_here.id).await.unwrap();
    let possible: Vec<_> = options.keys.iter().filter(|(_, why)| why.is_none()).map(|(key, _)| *key).collect();
    assert_eq!(possible, [RenewalKeySource::New, RenewalKeySource::Csr]);
    assert_eq!(code(world.renew(&anna, made_here.id, RenewalKeySource::Reuse).await), "renewal.reuse");

    world.renew(&anna, made_here.id, RenewalKeySource::New).await.unwrap();
    let options = it.renewal_options(&anna, made_here.id).await.unwrap();
    assert!(options.obstacle.is_some_and(|why| why.contains("already renewed")) && options.keys.is_empty());
}
