//! What happens between the reading and the writing of a renewal: another holder of the job, a revocation, a renewal by
//! hand. Tests only; they stand here because they stop a renewal halfway.

use std::net::IpAddr;
use std::sync::Arc;

use chancery_keys::{Kek, SystemRandomness};
use chancery_model::authority::CaStatus;
use chancery_model::certificate::{Certificate, RevocationReason};
use chancery_model::job::{Fence, Job, JobKey, JobKind};
use chancery_model::profile::{ProfileIssuer, RenewAt};
use chancery_model::time::{FixedClock, Ttl};
use chancery_model::{CertificateId, ProfileId, Timestamp};
use chancery_store::{Change, Conflict, Location, StoreError, Write};

use super::obstacle::Obstacle;
use super::renew::{Attempt, RenewRequest, RenewalKeySource};
use super::{RenewalConfiguration, scheduled};
use crate::enrollment::{Attributes, Field, IssueRequest, Target};
use crate::error::Error;
use crate::hierarchy::NewCa;
use crate::jobs::LEASE_SECONDS;
use crate::profile::{NewProfile, ProfileSettingsPatch};
use crate::template::NewTemplate;
use crate::{Authority, AuthorityConfig, Call};

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
            notifier: Arc::new(crate::alert::NoNotifier),
            upstream: Arc::new(crate::external::NoUpstream),
        };
        let authority = Authority::open(config, Arc::clone(&clock) as _, Arc::new(SystemRandomness)).await.unwrap();
        authority.ensure_administrator("admin@example.com", "correct horse battery").await.unwrap().unwrap();
        let token = authority.login_user("admin@example.com", "correct horse battery", None, HOME, "r").await.unwrap();
        let requester = authority.authenticate(&token.access_token, HOME).await.unwrap();
        let admin = Call { requester, request_id: "r-test".to_owned(), idempotency: None };
        let profile = profile(&authority, &admin).await;
        Self { authority, clock, admin, profile, _folder: folder }
    }

    /// A certificate of ten days whose renewal is due, and its job, leased to somebody who goes no further.
    async fn leased(&self) -> (Certificate, Job, Fence) {
        let target = Target::Profile { profile_id: self.profile, application_id: None };
        let attributes = Attributes {
            common_name: Field::Value("a.acme.com".to_owned()),
            ttl: Some("10d".to_owned()),
            ..Attributes::default()
        };
        let request = IssueRequest { target, csr: None, attributes, metadata: Vec::new() };
        let id = self.authority.issue(&self.admin, request).await.unwrap().into_issued().unwrap().certificate.id;
        let wanted = RenewalConfiguration {
            renew_at: Some(RenewAt::Before(Ttl::DAY)),
            renew_jitter: Ttl::from_seconds(1),
            ..RenewalConfiguration::default()
        };
        self.authority.configure_renewal(&self.admin, id, wanted).await.unwrap();
        self.clock.advance_seconds(9 * 86_400);
        let key = JobKey { kind: JobKind::RenewCertificate, object: id.as_uuid() };
        let job = self.authority.reader().job(key).await.unwrap().unwrap();
        let now = self.authority.now();
        let lease_until = now.plus_seconds(LEASE_SECONDS);
        let claim = Change::ClaimJob { key, expected_token: job.token, now, lease_until };
        self.authority.commit(Write::default().with(claim)).await.unwrap();
        let fence = Fence { key, token: job.token + 1 };
        (self.read(id).await, job, fence)
    }

    async fn read(&self, id: CertificateId) -> Certificate {
        self.authority.reader().certificate(self.admin.project_id(), id).await.unwrap().unwrap()
    }

    /// The holder goes on with what it read before.
    async fn go_on(&self, old: &Certificate, fence: Option<Fence>) -> Option<Conflict> {
        let call = Call::system(old.project_id);
        let source = RenewalKeySource::New;
        let attempt = Attempt { old, source, csr: None, edits: Attributes::default(), fence };
        match self.authority.try_renewal(&call, attempt).await {
            Ok(_) => None,
            Err(Obstacle::Failed(Error::Store(StoreError::Conflict(conflict)))) => Some(conflict),
            Err(_) => Some(Conflict::Missing),
        }
    }

    async fn issued(&self) -> u64 {
        self.authority.reader().profile_metrics(self.profile, self.authority.now()).await.unwrap().total
    }
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
    let new = NewProfile {
        slug: "web".to_owned(),
        description: None,
        issuer: ProfileIssuer::Ca(root.id),
        template_id: template.id,
        enrollment: None,
        settings: ProfileSettingsPatch::default(),
    };
    authority.create_profile(admin, new).await.unwrap().id
}

fn conflict<T>(result: Result<T, Error>) -> Option<Conflict> {
    match result {
        Err(Error::Store(StoreError::Conflict(conflict))) => Some(conflict),
        _ => None,
    }
}

#[tokio::test]
async fn a_holder_paused_past_its_lease_neither_renews_nor_complains() {
    let world = World::start().await;
    let (old, job, fence) = world.leased().await;
    world.authority.run_due_jobs().await;
    assert_eq!(world.issued().await, 1, "leased to somebody");
    world.clock.advance_seconds(LEASE_SECONDS);
    world.authority.run_due_jobs().await;
    assert_eq!(world.issued().await, 2);
    let renewed = world.read(old.id).await;
    assert!(renewed.renewal.renewed_by.is_some());

    assert_eq!(world.go_on(&old, Some(fence)).await, Some(Conflict::Stale));
    let call = Call::system(old.project_id);
    let obstacle = Obstacle::Request(Error::forbidden("renewal.reuse", "no"));
    let late = world.authority.postpone_renewal(&call, (&job, fence), &old, obstacle).await;
    assert_eq!(conflict(late), Some(Conflict::Stale));
    assert_eq!(conflict(scheduled::run(&world.authority, &job, fence).await), Some(Conflict::Stale));
    assert_eq!(world.read(old.id).await, renewed);
    assert_eq!(world.issued().await, 2);
    assert_eq!(world.authority.renewal_counters().renewed(), 1);
}

#[tokio::test]
async fn a_lease_whose_end_could_not_be_written_ends_at_the_next_turn() {
    let world = World::start().await;
    let (old, _, fence) = world.leased().await;
    world.authority.run_due_jobs().await;
    assert_eq!(world.issued().await, 1, "leased");
    let retry = Change::RetryJob { fence, due_at: world.authority.now(), error: "no room".to_owned() };
    world.authority.unwritten().extend([retry.clone(), retry]);
    world.authority.run_due_jobs().await;
    assert_eq!(world.issued().await, 2, "its lease would have lasted two minutes");
    assert!(world.read(old.id).await.renewal.renewed_by.is_some());
    assert!(world.authority.unwritten().is_empty(), "the second is stale by now, and forgotten");
}

#[tokio::test]
async fn a_certificate_revoked_halfway_has_no_successor() {
    let world = World::start().await;
    for by_hand in [false, true] {
        let before = world.issued().await;
        let (old, job, fence) = world.leased().await;
        let selector = crate::revocation::CertificateSelector::Id(old.id);
        world.authority.revoke(&world.admin, &selector, RevocationReason::KeyCompromise).await.unwrap();
        let (fence_used, expected) =
            if by_hand { (None, Conflict::AlreadyRenewed) } else { (Some(fence), Conflict::Stale) };
        assert_eq!(world.go_on(&old, fence_used).await, Some(expected), "by hand: {by_hand}");
        assert_eq!(conflict(scheduled::run(&world.authority, &job, fence).await), Some(Conflict::Stale));
        world.clock.advance_seconds(LEASE_SECONDS);
        world.authority.run_due_jobs().await;
        assert_eq!(world.issued().await, before + 1);
        assert_eq!(world.read(old.id).await.renewal.renewed_by, None);
    }
}

#[tokio::test]
async fn of_a_renewal_by_hand_and_one_by_itself_one_succeeds() {
    let world = World::start().await;
    let (old, _, fence) = world.leased().await;
    let by_hand =
        world.authority.renew(&world.admin, old.id, RenewRequest::default()).await.unwrap().into_issued().unwrap();
    assert_eq!(world.go_on(&old, Some(fence)).await, Some(Conflict::Stale));
    assert_eq!(world.read(old.id).await.renewal.renewed_by, Some(by_hand.certificate.id));

    let (old, _, fence) = world.leased().await;
    assert_eq!(world.go_on(&old, Some(fence)).await, None);
    let late = world.authority.renew(&world.admin, old.id, RenewRequest::default()).await;
    assert_eq!(late.err().unwrap().code(), "renewal.not_eligible");
    assert_eq!(world.go_on(&old, None).await, Some(Conflict::AlreadyRenewed));
}

#[tokio::test]
async fn a_renewal_put_off_during_its_lease_is_done_at_its_new_time() {
    let world = World::start().await;
    let (old, job, fence) = world.leased().await;
    let later = RenewalConfiguration {
        renew_at: Some(RenewAt::Before(Ttl::HOUR)),
        renew_jitter: Ttl::from_seconds(1),
        ..RenewalConfiguration::default()
    };
    world.authority.configure_renewal(&world.admin, old.id, later).await.unwrap();
    scheduled::run(&world.authority, &job, fence).await.unwrap();
    assert_eq!(world.issued().await, 1);
    let due = world.read(old.id).await.renewal.due_at.unwrap();
    for (second, issued) in [(due.plus_seconds(-1), 1), (due, 2)] {
        world.clock.advance_seconds(second.as_seconds() - world.authority.now().as_seconds());
        world.authority.run_due_jobs().await;
        assert_eq!(world.issued().await, issued);
    }
}
