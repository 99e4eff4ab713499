//! Logging in, sessions, identities, projects and the audit export, over a real store in a temporary folder.
//!
//! ```text
//! default project ── administrator (person) ── identities under test
//! other project   ── its own administrator (identity)
//! ```
//!
//! Verified here: what admits and what does not, that every refusal reads the same, that locks end, that a revocation
//! counts at once, that projects do not see each other, and that an export of all of it verifies.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::IpAddr;
use std::sync::Arc;

use chancery_authority::access::{
    IdentityPatch, NewClientSecret, NewIdentity, NewProject, ProjectPatch, UniversalAuthSettings,
};
use chancery_authority::audit::{verify_export, verify_export_signed_by};
use chancery_authority::{Authority, AuthorityConfig, Call, Error};
use chancery_keys::{Kek, SystemRandomness};
use chancery_model::audit::{AuditEntry, AuditEvent, AuditFilter};
use chancery_model::identity::Identity;
use chancery_model::permission::{Permission, Role};
use chancery_model::time::FixedClock;
use chancery_model::{ErrorKind, ProjectId, Timestamp};
use chancery_store::Location;

pub const EMAIL: &str = "admin@example.com";
pub const PASSWORD: &str = "correct horse battery";
pub const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 7));
pub const ABROAD: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 9));

pub struct World {
    pub authority: Authority,
    pub clock: Arc<FixedClock>,
    pub folder: tempfile::TempDir,
}

pub struct Machine {
    pub identity: Identity,
    pub client_id: String,
    pub secret: String,
}

impl World {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(FixedClock::at(Timestamp::from_seconds(1_800_000_000)));
        let authority = open(&folder, &clock, "node-1").await;
        Self { authority, clock, folder }
    }

    /// A world with an administrator, and a call in that administrator's name.
    pub async fn administered() -> (Self, Call) {
        let world = Self::start().await;
        world.authority.ensure_administrator(EMAIL, PASSWORD).await.unwrap().unwrap();
        let token = world.authority.login_user(EMAIL, PASSWORD, None, HOME, "r-login").await.unwrap();
        let call = world.call(&token.access_token).await;
        (world, call)
    }

    pub async fn call(&self, token: &str) -> Call {
        let requester = self.authority.authenticate(token, HOME).await.unwrap();
        Call { requester, request_id: "r-test".to_owned(), idempotency: None }
    }

    pub async fn machine(&self, call: &Call, role: Role, settings: UniversalAuthSettings) -> Machine {
        let identity = self.authority.create_identity(call, new_identity("agent", role)).await.unwrap();
        let identity = self.authority.attach_universal_auth(call, identity.id, settings).await.unwrap();
        let (_, secret) =
            self.authority.create_client_secret(call, identity.id, NewClientSecret::default()).await.unwrap();
        let client_id = identity.universal_auth.as_ref().unwrap().client_id.to_string();
        Machine { identity, client_id, secret: secret.to_string() }
    }

    pub async fn login(&self, machine: &Machine, secret: &str) -> Result<String, Error> {
        let token = self.authority.login_universal(&machine.client_id, secret, HOME, "r-login").await?;
        Ok(token.access_token.to_string())
    }

    pub async fn entries(&self, project: ProjectId, event: AuditEvent) -> Vec<AuditEntry> {
        let filter = AuditFilter { event: Some(event), ..AuditFilter::default() };
        self.authority.reader().audit(project, &filter, None, 500).await.unwrap().0
    }

    pub async fn export(&self, call: &Call) -> String {
        let mut export = self.authority.export_audit(call).await.unwrap();
        let mut text = String::new();
        while let Some(lines) = export.next_lines().await.unwrap() {
            text.push_str(&lines);
        }
        text
    }
}

pub async fn open(folder: &tempfile::TempDir, clock: &Arc<FixedClock>, node: &str) -> Authority {
    let config = AuthorityConfig {
        location: Location::Sqlite { path: folder.path().join("chancery.db") },
        node: node.to_owned(),
        kek: Kek::from_text(&"5a".repeat(32)).unwrap(),
        site_url: None,
        repository_url: None,
        notifier: Arc::new(chancery_authority::alert::NoNotifier),
        upstream: Arc::new(chancery_authority::external::NoUpstream),
    };
    Authority::open(config, Arc::clone(clock) as _, Arc::new(SystemRandomness)).await.unwrap()
}

pub fn new_identity(name: &str, role: Role) -> NewIdentity {
    NewIdentity { name: name.to_owned(), role, has_delete_protection: false, metadata: Vec::new() }
}

pub fn details(entry: &AuditEntry) -> serde_json::Value {
    let body: serde_json::Value = serde_json::from_str(&entry.body).unwrap();
    body.get("details").unwrap().clone()
}

pub fn assert_token_refused(result: Result<chancery_authority::Requester, Error>) {
    assert!(matches!(result, Err(Error::InvalidToken(_))), "{:?}", result.err());
}

pub fn assert_code<T>(result: Result<T, Error>, code: &str) {
    assert_eq!(result.err().map(|error| error.code()), Some(code));
}

#[tokio::test]
async fn a_machine_logs_in_with_its_secret_and_acts_in_its_role() {
    let (world, admin) = World::administered().await;
    let machine = world.machine(&admin, Role::Operator, UniversalAuthSettings::default()).await;
    let token = world.authority.login_universal(&machine.client_id, &machine.secret, HOME, "r-1").await.unwrap();
    assert_eq!((token.expires_in, token.max_ttl), (2_592_000, 2_592_000));
    let requester = world.authority.authenticate(&token.access_token, HOME).await.unwrap();
    assert_eq!((requester.role(), requester.project_id()), (Role::Operator, admin.project_id()));
    assert_eq!((requester.actor().name.as_str(), requester.actor().method.as_str()), ("agent", "universal-auth"));
    assert!(requester.require(Permission::CertificateIssue).is_ok());
    assert!(requester.require(Permission::IdentityManage).is_err());
    let logins = world.entries(admin.project_id(), AuditEvent::LoginSucceeded).await;
    assert!(logins.iter().any(|it| it.actor_id == Some(machine.identity.id.as_uuid())));
}

#[tokio::test]
async fn every_wrong_credential_is_refused_with_the_same_words() {
    let (world, admin) = World::administered().await;
    let settings = UniversalAuthSettings { lockout_enabled: Some(false), ..UniversalAuthSettings::default() };
    let machine = world.machine(&admin, Role::Operator, settings.clone()).await;
    let other = world.machine(&admin, Role::Operator, settings).await;
    let unknown = uuid::Uuid::from_u128(7).to_string();
    let nil = uuid::Uuid::nil().to_string();
    let mut texts = Vec::new();
    for (client_id, secret) in [
        (machine.client_id.as_str(), "wrong"),
        (machine.client_id.as_str(), ""),
        (machine.client_id.as_str(), other.secret.as_str()),
        (machine.client_id.as_str(), &machine.secret.to_uppercase()),
        (unknown.as_str(), machine.secret.as_str()),
        (nil.as_str(), machine.secret.as_str()),
        ("not a uuid", machine.secret.as_str()),
        ("", ""),
    ] {
        let error = world.authority.login_universal(client_id, secret, HOME, "r").await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{client_id} {error}");
        texts.push(error.public_message());
    }
    for (email, password) in [(EMAIL, "wrong password"), ("nobody@example.com", PASSWORD), (EMAIL, ""), ("", PASSWORD)]
    {
        let error = world.authority.login_user(email, password, None, HOME, "r").await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{email} {error}");
        texts.push(error.public_message());
    }
    texts.dedup();
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert_eq!(world.authority.failed_logins(), 12);
    assert!(world.login(&machine, &machine.secret).await.is_ok());
}

#[tokio::test]
async fn an_identity_locks_after_its_failures_and_the_lock_ends_by_itself() {
    let (world, admin) = World::administered().await;
    let machine = world.machine(&admin, Role::Operator, UniversalAuthSettings::default()).await;
    let neighbour = world.machine(&admin, Role::Operator, UniversalAuthSettings::default()).await;
    let session = world.login(&machine, &machine.secret).await.unwrap();
    for _ in 0..3 {
        assert_code(world.login(&machine, "wrong").await, "auth.required");
    }
    assert_code(world.login(&machine, &machine.secret).await, "auth.required");
    assert!(world.login(&neighbour, &neighbour.secret).await.is_ok(), "only the one identity is locked");
    assert!(world.authority.authenticate(&session, HOME).await.is_ok(), "sessions go on");
    // Trying on during the lock does not prolong it.
    world.clock.advance_seconds(299);
    assert_code(world.login(&machine, "wrong").await, "auth.required");
    assert_code(world.login(&machine, &machine.secret).await, "auth.required");
    world.clock.advance_seconds(2);
    assert!(world.login(&machine, &machine.secret).await.is_ok());
    let after = world.authority.reader().identity(admin.project_id(), machine.identity.id).await.unwrap().unwrap();
    let settings = after.universal_auth.unwrap();
    assert_eq!((settings.failed_logins, settings.locked_until), (0, None), "a log-in forgives");
    let failures = world.entries(admin.project_id(), AuditEvent::LoginFailed).await;
    assert!(failures.iter().any(|it| details(it).get("lockedUntil").is_some()), "the lock is in the log");
}

#[tokio::test]
async fn guessing_in_parallel_does_not_outrun_the_lock() {
    let (world, admin) = World::administered().await;
    let machine = Arc::new(world.machine(&admin, Role::Operator, UniversalAuthSettings::default()).await);
    let guesses: Vec<_> = (0..40)
        .map(|_| {
            let (authority, machine) = (world.authority.clone(), Arc::clone(&machine));
            tokio::spawn(
                async move { authority.login_universal(&machine.client_id, "wrong", HOME, "r").await.is_err() },
            )
        })
        .collect();
    for guess in guesses {
        assert!(guess.await.unwrap());
    }
    assert_code(world.login(&machine, &machine.secret).await, "auth.required");
    assert_eq!(world.authority.failed_logins(), 41);
}

#[tokio::test]
async fn a_person_waits_after_five_failures_however_the_address_is_spelled() {
    let (world, _) = World::administered().await;
    for email in [EMAIL, "ADMIN@example.com", " admin@example.com", "Admin@Example.Com ", EMAIL] {
        assert_code(world.authority.login_user(email, "wrong", None, HOME, "r").await, "auth.required");
    }
    assert_code(world.authority.login_user(EMAIL, PASSWORD, None, HOME, "r").await, "auth.required");
    world.clock.advance_seconds(11);
    let token = world.authority.login_user("ADMIN@EXAMPLE.COM", PASSWORD, None, HOME, "r").await.unwrap();
    assert!(world.authority.authenticate(&token.access_token, ABROAD).await.unwrap().is_user());
}

#[tokio::test]
async fn every_refused_password_costs_a_durable_write_so_that_time_tells_nothing() {
    let (world, _) = World::administered().await;
    // Six on the account: four free ones, the one that locks, one while locked.
    for email in [EMAIL, EMAIL, EMAIL, EMAIL, EMAIL, EMAIL, "nobody@example.com", "nobody@example.com", ""] {
        let before = world.authority.store_statistics().writes;
        assert_code(world.authority.login_user(email, "wrong", None, HOME, "r").await, "auth.required");
        // Not always exactly one: attempts that the log aggregates are written in between.
        assert!(world.authority.store_statistics().writes > before, "{email}");
    }
}

#[tokio::test]
async fn a_flood_of_failures_fills_neither_log_nor_loses_count() {
    let (world, admin) = World::administered().await;
    for _ in 0..200 {
        let client_id = uuid::Builder::from_random_bytes(random_bytes()).into_uuid().to_string();
        assert_code(world.authority.login_universal(&client_id, "x", HOME, "r").await, "auth.required");
    }
    world.authority.flush_failed_logins().await.unwrap();
    world.clock.advance_seconds(2);
    let text = world.export(&admin).await;
    let attempts: Vec<u64> = text
        .lines()
        .filter_map(|line| {
            serde_json::from_str::<serde_json::Value>(line).ok()?.get("body")?.as_str().map(str::to_owned)
        })
        .filter_map(|body| serde_json::from_str::<serde_json::Value>(&body).ok())
        .filter(|body| body["event"] == AuditEvent::LoginFailed.as_str())
        .map(|body| body["details"]["attempts"].as_u64().unwrap())
        .collect();
    assert!(attempts.len() <= 20, "{attempts:?}");
    assert_eq!(attempts.iter().sum::<u64>(), 200);
}

fn random_bytes() -> [u8; 16] {
    let mut bytes = [0; 16];
    chancery_model::Randomness::fill(&SystemRandomness, &mut bytes);
    bytes
}

#[tokio::test]
async fn a_revoked_token_is_dead_at_once() {
    let (world, admin) = World::administered().await;
    let machine = world.machine(&admin, Role::Operator, UniversalAuthSettings::default()).await;
    let (first, second) =
        (world.login(&machine, &machine.secret).await.unwrap(), world.login(&machine, &machine.secret).await.unwrap());
    for token in [&first, &second] {
        assert!(world.authority.authenticate(token, HOME).await.is_ok());
    }
    world.authority.revoke_token(&first, HOME, "r").await.unwrap();
    assert_token_refused(world.authority.authenticate(&first, HOME).await);
    assert_code(world.authority.renew_token(&first, HOME, "r").await, "auth.token");
    assert_code(world.authority.revoke_token(&first, HOME, "r").await, "auth.token");
    assert!(world.authority.authenticate(&second, HOME).await.is_ok(), "another session goes on");
    assert_eq!(world.entries(admin.project_id(), AuditEvent::TokenRevoked).await.len(), 1);
}

#[tokio::test]
async fn tokens_die_with_what_they_came_from() {
    let (world, admin) = World::administered().await;
    let authority = &world.authority;
    for way in ["identity", "universal auth", "secret"] {
        let machine = world.machine(&admin, Role::Operator, UniversalAuthSettings::default()).await;
        let token = world.login(&machine, &machine.secret).await.unwrap();
        assert!(authority.authenticate(&token, HOME).await.is_ok());
        let id = machine.identity.id;
        match way {
            "identity" => drop(authority.delete_identity(&admin, id).await.unwrap()),
            "universal auth" => drop(authority.remove_universal_auth(&admin, id).await.unwrap()),
            _ => {
                let secrets = authority.reader().client_secrets(id).await.unwrap();
                authority.revoke_client_secret(&admin, id, secrets[0].id).await.unwrap();
            }
        }
        assert_token_refused(authority.authenticate(&token, HOME).await);
        assert_code(world.login(&machine, &machine.secret).await, "auth.required");
    }
}

#[tokio::test]
async fn a_secret_of_removed_universal_auth_does_not_come_back_with_it() {
    let (world, admin) = World::administered().await;
    let mut machine = world.machine(&admin, Role::Operator, UniversalAuthSettings::default()).await;
    world.authority.remove_universal_auth(&admin, machine.identity.id).await.unwrap();
    let again = world
        .authority
        .attach_universal_auth(&admin, machine.identity.id, UniversalAuthSettings::default())
        .await
        .unwrap();
    machine.client_id = again.universal_auth.unwrap().client_id.to_string();
    assert_code(world.login(&machine, &machine.secret).await, "auth.required");
}

#[tokio::test]
async fn a_token_expires_renews_up_to_its_end_and_stays_dead_after_it() {
    let (world, admin) = World::administered().await;
    let settings = UniversalAuthSettings {
        access_token_ttl: Some(100),
        access_token_max_ttl: Some(250),
        ..UniversalAuthSettings::default()
    };
    let machine = world.machine(&admin, Role::Operator, settings).await;
    let token = world.login(&machine, &machine.secret).await.unwrap();
    world.clock.advance_seconds(99);
    assert!(world.authority.authenticate(&token, HOME).await.is_ok());
    let renewed = world.authority.renew_token(&token, HOME, "r").await.unwrap();
    assert_eq!((renewed.access_token.as_str(), renewed.expires_in, renewed.max_ttl), (token.as_str(), 100, 250));
    world.clock.advance_seconds(99);
    let renewed = world.authority.renew_token(&token, HOME, "r").await.unwrap();
    assert_eq!(renewed.expires_in, 52, "the end of the chain of renewals stands");
    world.clock.advance_seconds(52);
    assert_token_refused(world.authority.authenticate(&token, HOME).await);
    assert_code(world.authority.renew_token(&token, HOME, "r").await, "auth.token");
}

#[tokio::test]
async fn a_token_with_any_other_secret_is_refused() {
    let (world, admin) = World::administered().await;
    let machine = world.machine(&admin, Role::Operator, UniversalAuthSettings::default()).await;
    let token = world.login(&machine, &machine.secret).await.unwrap();
    let other = world.login(&machine, &machine.secret).await.unwrap();
    assert!(world.authority.authenticate(&token, HOME).await.is_ok(), "the session is known now");
    let mixed = format!("{}{}", &token[..27], &other[27..]);
    for bad in [mixed.as_str(), "", "chy_", &token[..69], &token.replace("chy_", "CHY_"), &format!("{token} ")] {
        assert_token_refused(world.authority.authenticate(bad, HOME).await);
    }
}

#[tokio::test]
async fn a_changed_role_counts_for_sessions_that_are_open() {
    let (world, admin) = World::administered().await;
    let machine = world.machine(&admin, Role::Operator, UniversalAuthSettings::default()).await;
    let token = world.login(&machine, &machine.secret).await.unwrap();
    assert_eq!(world.authority.authenticate(&token, HOME).await.unwrap().role(), Role::Operator);
    let patch = IdentityPatch { role: Some(Role::Auditor), ..IdentityPatch::default() };
    world.authority.update_identity(&admin, machine.identity.id, patch).await.unwrap();
    assert_eq!(world.authority.authenticate(&token, HOME).await.unwrap().role(), Role::Auditor);
}

#[tokio::test]
async fn credentials_from_untrusted_addresses_are_refused() {
    let (world, admin) = World::administered().await;
    let ranges = Some(vec!["10.0.0.0/8".to_owned()]);
    let settings = UniversalAuthSettings {
        client_secret_trusted_ips: ranges.clone(),
        access_token_trusted_ips: ranges,
        ..UniversalAuthSettings::default()
    };
    let machine = world.machine(&admin, Role::Operator, settings).await;
    let login = |ip| world.authority.login_universal(&machine.client_id, &machine.secret, ip, "r");
    assert_code(login(ABROAD).await, "auth.address");
    let token = login(HOME).await.unwrap().access_token;
    assert!(world.authority.authenticate(&token, HOME).await.is_ok());
    assert_code(world.authority.authenticate(&token, ABROAD).await, "auth.address");
    assert_code(world.authority.revoke_token(&token, ABROAD, "r").await, "auth.address");
}

#[tokio::test]
async fn a_secret_for_one_use_admits_once_even_under_a_race() {
    let (world, admin) = World::administered().await;
    let settings = UniversalAuthSettings { lockout_enabled: Some(false), ..UniversalAuthSettings::default() };
    let machine = world.machine(&admin, Role::Operator, settings).await;
    let once = NewClientSecret { uses_max: 1, ..NewClientSecret::default() };
    let (_, secret) = world.authority.create_client_secret(&admin, machine.identity.id, once).await.unwrap();
    let attempts: Vec<_> = (0..10)
        .map(|_| {
            let (authority, id, secret) = (world.authority.clone(), machine.client_id.clone(), secret.clone());
            tokio::spawn(async move { authority.login_universal(&id, &secret, HOME, "r").await.is_ok() })
        })
        .collect();
    let mut admitted = 0;
    for attempt in attempts {
        admitted += usize::from(attempt.await.unwrap());
    }
    assert_eq!(admitted, 1);
}

#[tokio::test]
async fn an_expired_secret_admits_nobody() {
    let (world, admin) = World::administered().await;
    let machine = world.machine(&admin, Role::Operator, UniversalAuthSettings::default()).await;
    let short = NewClientSecret { ttl: 60, description: "short".to_owned(), ..NewClientSecret::default() };
    let (row, secret) = world.authority.create_client_secret(&admin, machine.identity.id, short).await.unwrap();
    assert!(secret.starts_with(&row.prefix) && row.prefix.len() == 8);
    assert!(world.login(&machine, &secret).await.is_ok());
    world.clock.advance_seconds(60);
    assert_code(world.login(&machine, &secret).await, "auth.required");
}

#[tokio::test]
async fn settings_that_contradict_themselves_are_refused() {
    let (world, admin) = World::administered().await;
    let none = UniversalAuthSettings::default;
    let identity = world.authority.create_identity(&admin, new_identity("agent", Role::Operator)).await.unwrap();
    for (settings, code) in [
        (
            UniversalAuthSettings { access_token_ttl: Some(100), access_token_max_ttl: Some(99), ..none() },
            "identity.ttl_above_max",
        ),
        (UniversalAuthSettings { access_token_ttl: Some(2_592_001), ..none() }, "identity.ttl_above_max"),
        (UniversalAuthSettings { access_token_ttl: Some(0), ..none() }, "identity.range"),
        (UniversalAuthSettings { access_token_ttl: Some(-1), ..none() }, "identity.range"),
        (UniversalAuthSettings { access_token_max_ttl: Some(315_360_001), ..none() }, "identity.range"),
        (UniversalAuthSettings { lockout_threshold: Some(0), ..none() }, "identity.range"),
        (UniversalAuthSettings { lockout_duration: Some(86_401), ..none() }, "identity.range"),
        (UniversalAuthSettings { access_token_uses_max: Some(3), ..none() }, "identity.token_uses"),
        (
            UniversalAuthSettings { access_token_trusted_ips: Some(vec!["home".to_owned()]), ..none() },
            "identity.trusted_ips",
        ),
    ] {
        assert_code(world.authority.attach_universal_auth(&admin, identity.id, settings).await, code);
    }
    assert_code(world.authority.update_universal_auth(&admin, identity.id, none()).await, "not_found");
    assert_code(
        world.authority.create_client_secret(&admin, identity.id, NewClientSecret::default()).await,
        "not_found",
    );
    world.authority.attach_universal_auth(&admin, identity.id, none()).await.unwrap();
    assert_code(
        world.authority.attach_universal_auth(&admin, identity.id, none()).await,
        "identity.universal_auth_exists",
    );
    for new in [
        NewClientSecret { ttl: -1, ..NewClientSecret::default() },
        NewClientSecret { ttl: i64::MAX, ..NewClientSecret::default() },
    ] {
        assert_code(world.authority.create_client_secret(&admin, identity.id, new).await, "identity.range");
    }
    for name in ["", "  ", "a\nb", &"x".repeat(256)] {
        assert_code(world.authority.create_identity(&admin, new_identity(name, Role::Operator)).await, "name.invalid");
    }
}

#[tokio::test]
async fn only_administrators_change_who_may_log_in() {
    let (world, admin) = World::administered().await;
    let target = world.machine(&admin, Role::Operator, UniversalAuthSettings::default()).await.identity;
    let secret = world.authority.reader().client_secrets(target.id).await.unwrap()[0].id;
    let project = admin.project_id();
    for role in [Role::Operator, Role::Auditor] {
        let machine = world.machine(&admin, role, UniversalAuthSettings::default()).await;
        let call = world.call(&world.login(&machine, &machine.secret).await.unwrap()).await;
        let it = &world.authority;
        let settings = UniversalAuthSettings::default;
        assert_code(it.create_identity(&call, new_identity("x", Role::Admin)).await, "auth.permission");
        assert_code(it.update_identity(&call, target.id, IdentityPatch::default()).await, "auth.permission");
        assert_code(it.delete_identity(&call, target.id).await, "auth.permission");
        assert_code(it.attach_universal_auth(&call, target.id, settings()).await, "auth.permission");
        assert_code(it.update_universal_auth(&call, target.id, settings()).await, "auth.permission");
        assert_code(it.configure_universal_auth(&call, target.id, settings()).await, "auth.permission");
        assert_code(it.remove_universal_auth(&call, target.id).await, "auth.permission");
        assert_code(it.create_client_secret(&call, target.id, NewClientSecret::default()).await, "auth.permission");
        assert_code(it.revoke_client_secret(&call, target.id, secret).await, "auth.permission");
        assert_code(it.create_project(&call, NewProject::default()).await, "auth.permission");
        assert_code(it.update_project(&call, project, ProjectPatch::default()).await, "auth.permission");
        assert_eq!(it.export_audit(&call).await.is_ok(), role == Role::Auditor);
    }
}

#[tokio::test]
async fn a_protected_identity_is_not_deleted() {
    let (world, admin) = World::administered().await;
    let new = NewIdentity { has_delete_protection: true, ..new_identity("agent", Role::Operator) };
    let identity = world.authority.create_identity(&admin, new).await.unwrap();
    assert_code(world.authority.delete_identity(&admin, identity.id).await, "identity.delete_protection");
    let patch = IdentityPatch { has_delete_protection: Some(false), ..IdentityPatch::default() };
    world.authority.update_identity(&admin, identity.id, patch).await.unwrap();
    world.authority.delete_identity(&admin, identity.id).await.unwrap();
    assert_code(world.authority.delete_identity(&admin, identity.id).await, "not_found");
}

/// A second project and a call in the name of its only administrator.
pub async fn other_project(world: &World, admin: &Call) -> (ProjectId, Call) {
    let new = NewProject { name: "Other".to_owned(), ..NewProject::default() };
    let project = world.authority.create_project(admin, new).await.unwrap();
    assert_eq!(project.slug, "other");
    let (chief, secret) = world.authority.appoint_administrator(admin, project.id, "chief").await.unwrap();
    let client_id = chief.universal_auth.unwrap().client_id.to_string();
    let token = world.authority.login_universal(&client_id, &secret, HOME, "r").await.unwrap();
    (project.id, world.call(&token.access_token).await)
}

#[tokio::test]
async fn projects_do_not_see_each_other() {
    let (world, admin) = World::administered().await;
    let (project, chief) = other_project(&world, &admin).await;
    assert_eq!(chief.project_id(), project);
    let ours = world.machine(&admin, Role::Operator, UniversalAuthSettings::default()).await.identity;
    let theirs = world.machine(&chief, Role::Operator, UniversalAuthSettings::default()).await.identity;
    let it = &world.authority;
    for (call, id, foreign_project) in [(&chief, ours.id, admin.project_id()), (&admin, theirs.id, project)] {
        let secret = it.reader().client_secrets(id).await.unwrap()[0].id;
        let settings = UniversalAuthSettings::default;
        assert_code(it.update_identity(call, id, IdentityPatch::default()).await, "not_found");
        assert_code(it.delete_identity(call, id).await, "not_found");
        assert_code(it.attach_universal_auth(call, id, settings()).await, "not_found");
        assert_code(it.update_universal_auth(call, id, settings()).await, "not_found");
        assert_code(it.remove_universal_auth(call, id).await, "not_found");
        assert_code(it.create_client_secret(call, id, NewClientSecret::default()).await, "not_found");
        assert_code(it.revoke_client_secret(call, id, secret).await, "not_found");
        assert_code(it.update_project(call, foreign_project, ProjectPatch::default()).await, "not_found");
    }
    assert_code(it.create_project(&chief, NewProject::default()).await, "project.default_only");
    assert_code(it.appoint_administrator(&chief, admin.project_id(), "intruder").await, "project.default_only");
    let nowhere = ProjectId::from_uuid(uuid::Uuid::nil());
    assert_code(it.appoint_administrator(&admin, nowhere, "x").await, "not_found");
    // A secret of one identity under the name of another.
    let mine = it.reader().client_secrets(ours.id).await.unwrap()[0].id;
    let neighbour = world.machine(&admin, Role::Operator, UniversalAuthSettings::default()).await.identity;
    assert_code(it.revoke_client_secret(&admin, neighbour.id, mine).await, "not_found");
}

#[tokio::test]
async fn the_last_administrator_of_a_project_stays() {
    let (world, admin) = World::administered().await;
    let (_, chief) = other_project(&world, &admin).await;
    let chancery_model::identity::ActorId::Identity(id) = chief.requester.actor_id() else {
        panic!("the chief is a machine")
    };
    let it = &world.authority;
    let demotion = || IdentityPatch { role: Some(Role::Auditor), ..IdentityPatch::default() };
    assert_code(it.delete_identity(&chief, id).await, "identity.last_administrator");
    assert_code(it.update_identity(&chief, id, demotion()).await, "identity.last_administrator");
    assert_code(it.remove_universal_auth(&chief, id).await, "identity.last_administrator");
    // One that cannot log in does not count as an administrator.
    let deputy = it.create_identity(&chief, new_identity("deputy", Role::Admin)).await.unwrap();
    assert_code(it.delete_identity(&chief, id).await, "identity.last_administrator");
    it.attach_universal_auth(&chief, deputy.id, UniversalAuthSettings::default()).await.unwrap();
    it.update_identity(&chief, id, demotion()).await.unwrap();
    // In the default project the person remains.
    let machine = world.machine(&admin, Role::Admin, UniversalAuthSettings::default()).await.identity;
    it.delete_identity(&admin, machine.id).await.unwrap();
}

#[tokio::test]
async fn a_project_changes_its_name_but_the_default_project_keeps_its_slug() {
    let (world, admin) = World::administered().await;
    let (project, chief) = other_project(&world, &admin).await;
    let patch = ProjectPatch {
        name: Some("Another".to_owned()),
        slug: Some("another".to_owned()),
        description: Some(Some("text".to_owned())),
    };
    let changed = world.authority.update_project(&chief, project, patch.clone()).await.unwrap();
    assert_eq!(
        (changed.name.as_str(), changed.slug.as_str(), changed.description.as_deref()),
        ("Another", "another", Some("text"))
    );
    assert_eq!(world.authority.reader().project_by_slug("another").await.unwrap(), Some(changed));
    assert_code(world.authority.update_project(&admin, admin.project_id(), patch).await, "project.default_slug");
    let taken = NewProject { name: "x".to_owned(), slug: Some("another".to_owned()), ..NewProject::default() };
    assert_code(world.authority.create_project(&admin, taken).await, "conflict");
    let twice = NewProject { name: "Another".to_owned(), ..NewProject::default() };
    let twin = world.authority.create_project(&admin, twice).await.unwrap();
    assert!(twin.slug.starts_with("another-"), "{}", twin.slug);
}

#[tokio::test]
async fn exactly_one_administrator_is_made_under_a_race() {
    let world = World::start().await;
    let attempts: Vec<_> = (0..4)
        .map(|number| {
            let authority = world.authority.clone();
            tokio::spawn(
                async move { authority.ensure_administrator(&format!("a{number}@example.com"), PASSWORD).await },
            )
        })
        .collect();
    let mut made = 0;
    for attempt in attempts {
        made += usize::from(attempt.await.unwrap().unwrap().is_some());
    }
    assert_eq!(made, 1);
    assert_eq!(world.authority.ensure_administrator("late@example.com", PASSWORD).await.unwrap(), None);
    let mut accounts = 0;
    for email in (0..4).map(|number| format!("a{number}@example.com")).chain(["late@example.com".to_owned()]) {
        accounts += usize::from(world.authority.reader().user_by_email(&email).await.unwrap().is_some());
    }
    assert_eq!(accounts, 1);
}

#[tokio::test]
async fn a_weak_first_administrator_is_refused() {
    let world = World::start().await;
    assert_code(world.authority.ensure_administrator("nobody", PASSWORD).await, "user.email");
    assert_code(world.authority.ensure_administrator(EMAIL, "short").await, "user.password");
    assert!(world.authority.ensure_administrator(EMAIL, PASSWORD).await.unwrap().is_some());
}

#[tokio::test]
async fn sessions_secrets_and_locks_outlive_a_restart() {
    let (world, admin) = World::administered().await;
    let machine = world.machine(&admin, Role::Operator, UniversalAuthSettings::default()).await;
    let locked = world.machine(&admin, Role::Operator, UniversalAuthSettings::default()).await;
    let token = world.login(&machine, &machine.secret).await.unwrap();
    for _ in 0..3 {
        assert!(world.login(&locked, "wrong").await.is_err());
    }
    let World { authority, clock, folder } = world;
    authority.close().await;
    drop(authority);
    let authority = open(&folder, &clock, "node-1").await;
    let world = World { authority, clock, folder };
    assert!(world.authority.authenticate(&token, HOME).await.is_ok());
    assert!(world.login(&machine, &machine.secret).await.is_ok());
    assert_code(world.login(&locked, &locked.secret).await, "auth.required");
    assert_eq!(world.authority.ensure_administrator(EMAIL, PASSWORD).await.unwrap(), None);
}

#[tokio::test]
async fn an_export_of_everything_that_happened_verifies_and_a_changed_one_does_not() {
    let (world, admin) = World::administered().await;
    for _ in 0..20 {
        let machine = world.machine(&admin, Role::Operator, UniversalAuthSettings::default()).await;
        world.login(&machine, &machine.secret).await.unwrap();
    }
    let key = world.authority.audit_public_key();
    let text = world.export(&admin).await;
    let verified = verify_export_signed_by(text.as_bytes(), &key).unwrap();
    assert!(verified.entries > 80, "{verified:?}");
    assert_eq!((verified.withheld, verified.nodes.len(), verified.checkpoints), (0, 1, 1));
    assert!(text.contains(AuditEvent::AuditExported.as_str()), "the export stands in itself");
    // The next export carries the checkpoint of the one before it.
    let text = world.export(&admin).await;
    assert_eq!(verify_export(text.as_bytes()).unwrap().checkpoints, 2);
    for at in (0..text.len()).step_by(97) {
        let mut changed = text.clone().into_bytes();
        changed[at] ^= 1;
        assert!(verify_export(changed.as_slice()).is_err(), "byte {at}");
    }
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    for at in 0..lines.len() {
        let removed: String =
            lines.iter().enumerate().filter(|(index, _)| *index != at).map(|(_, line)| *line).collect();
        assert!(verify_export(removed.as_bytes()).is_err(), "line {at} removed");
    }
}

#[tokio::test]
async fn an_export_verifies_without_showing_another_projects_entries() {
    let (world, admin) = World::administered().await;
    let (_, chief) = other_project(&world, &admin).await;
    let ours = world.authority.create_identity(&admin, new_identity("our-secret-name", Role::Operator)).await.unwrap();
    world.authority.create_identity(&chief, new_identity("their-secret-name", Role::Operator)).await.unwrap();
    let key = world.authority.audit_public_key();
    for (call, seen, unseen) in
        [(&admin, "our-secret-name", "their-secret-name"), (&chief, "their-secret-name", "our-secret-name")]
    {
        let text = world.export(call).await;
        let verified = verify_export_signed_by(text.as_bytes(), &key).unwrap();
        assert!(verified.withheld > 0 && verified.withheld < verified.entries, "{verified:?}");
        assert!(text.contains(seen) && !text.contains(unseen));
    }
    assert!(!world.export(&chief).await.contains(&ours.id.to_string()));
}

#[tokio::test]
async fn no_secret_reaches_the_audit_log() {
    let (world, admin) = World::administered().await;
    let machine = world.machine(&admin, Role::Operator, UniversalAuthSettings::default()).await;
    let token = world.login(&machine, &machine.secret).await.unwrap();
    // People paste secrets into the wrong field.
    assert!(world.authority.login_universal(&machine.secret, &machine.client_id, HOME, "r").await.is_err());
    assert!(world.authority.login_user(PASSWORD, EMAIL, None, HOME, "r").await.is_err());
    world.authority.renew_token(&token, HOME, "r").await.unwrap();
    world.authority.flush_failed_logins().await.unwrap();
    let text = world.export(&admin).await;
    for secret in [machine.secret.as_str(), token.as_str(), &token[27..], PASSWORD] {
        assert!(!text.contains(secret));
    }
}
