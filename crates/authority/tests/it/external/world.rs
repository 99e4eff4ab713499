//! A server with an external CA, and everything that the stories ask and look at.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use chancery_authority::enrollment::{Attributes, Field, IssueRequest, Target};
use chancery_authority::external::{NewConnection, NewExternalCa};
use chancery_authority::hierarchy::NewCa;
use chancery_authority::issuance::Issuance;
use chancery_authority::profile::{ApiEnrollmentPatch, NewProfile, ProfileSettingsPatch};
use chancery_authority::template::NewTemplate;
use chancery_authority::{Authority, AuthorityConfig, Call, Error};
use chancery_keys::{Kek, SystemRandomness};
use chancery_model::audit::{AuditBody, AuditEvent, AuditFilter};
use chancery_model::authority::CaStatus;
use chancery_model::certificate::{Certificate, CertificateFilter};
use chancery_model::external::{
    AcmeConfiguration, AppConnection, ChallengeKind, ConnectionApp, DigicertConfiguration, ExternalConfiguration,
    VaultConfiguration,
};
use chancery_model::job::{Job, JobKey, JobKind};
use chancery_model::order::{ExternalOrder, OrderPhase};
use chancery_model::page::PageRequest;
use chancery_model::profile::{ProfileIssuer, RenewAt};
use chancery_model::request::{CertificateRequest, RequestStatus};
use chancery_model::time::{FixedClock, Ttl};
use chancery_model::{CaId, CertificateId, ConnectionId, ProfileId, RequestId, TemplateId, Timestamp};
use chancery_store::Location;
use uuid::Uuid;

use super::elsewhere::{Elsewhere, Way};

pub const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 7));
pub const START: i64 = 1_800_000_000;
/// Longer than any wait between two looks that no fault has lengthened.
const TICK: i64 = 6;

pub struct World {
    authority: Option<Authority>,
    pub location: Location,
    pub clock: Arc<FixedClock>,
    pub elsewhere: Arc<Elsewhere>,
    pub admin: Call,
    pub ca: CaId,
    pub template: TemplateId,
    pub profile: ProfileId,
    _folder: tempfile::TempDir,
}

pub async fn open(location: &Location, node: &str, clock: &Arc<FixedClock>, way: &Arc<Elsewhere>) -> Option<Authority> {
    let config = AuthorityConfig {
        location: location.clone(),
        node: node.to_owned(),
        kek: Kek::from_text(&"5a".repeat(32)).unwrap(),
        site_url: None,
        repository_url: None,
        notifier: Arc::new(chancery_authority::alert::NoNotifier),
        upstream: Way::to(way),
    };
    Authority::open(config, Arc::clone(clock) as _, Arc::new(SystemRandomness)).await.ok()
}

pub async fn log_in(authority: &Authority) -> Call {
    let token = authority.login_user("admin@example.com", "correct horse battery", None, HOME, "r").await.unwrap();
    let requester = authority.authenticate(&token.access_token, HOME).await.unwrap();
    Call { requester, request_id: "r-test".to_owned(), idempotency: None }
}

pub fn acme() -> ExternalConfiguration {
    ExternalConfiguration::Acme(AcmeConfiguration {
        directory_url: "https://elsewhere.test/directory".to_owned(),
        account_email: String::new(),
        eab_kid: None,
        challenges: vec![ChallengeKind::Http01],
        zones: Vec::new(),
        dns_resolvers: Vec::new(),
        propagation_timeout: Ttl::parse("10m").unwrap(),
        preferred_chain: None,
        certificate_profile: None,
    })
}

pub fn vault(connection_id: ConnectionId) -> ExternalConfiguration {
    ExternalConfiguration::Vault(VaultConfiguration {
        connection_id,
        mount: "pki".to_owned(),
        role: "web".to_owned(),
        issuer_ref: None,
    })
}

pub fn digicert(connection_id: ConnectionId) -> ExternalConfiguration {
    ExternalConfiguration::Digicert(DigicertConfiguration {
        connection_id,
        organization_id: 7,
        product_name_id: "ssl_plus".to_owned(),
        dcv_method: None,
    })
}

/// The server renews at 90 % of the life, to the second.
pub fn renewing() -> ProfileSettingsPatch {
    let api = ApiEnrollmentPatch {
        auto_renew: Some(true),
        renew_at: Field::Value(RenewAt::Permille(900)),
        renew_jitter: Field::Value(Ttl::from_seconds(1).unwrap()),
        ..ApiEnrollmentPatch::default()
    };
    ProfileSettingsPatch { api: Field::Value(api), ..ProfileSettingsPatch::default() }
}

pub fn named(common_name: &str) -> Attributes {
    Attributes {
        common_name: Field::Value(common_name.to_owned()),
        ttl: Some("30d".to_owned()),
        ..Attributes::default()
    }
}

pub fn code<T>(result: Result<T, Error>) -> &'static str {
    result.err().map_or("accepted", |error| error.code())
}

/// The request, which has not led to a certificate yet.
pub fn pending(issuance: Result<Issuance, Error>) -> CertificateRequest {
    match issuance.unwrap() {
        Issuance::Pending(pending) => pending.request,
        Issuance::Issued(_) => panic!("a CA elsewhere does not answer at once"),
    }
}

impl World {
    pub async fn start() -> Self {
        Self::start_with(ProfileSettingsPatch::default()).await
    }

    pub async fn start_with(settings: ProfileSettingsPatch) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::Sqlite { path: folder.path().join("chancery.db") };
        Self::start_at(location, folder, settings).await
    }

    pub async fn start_at(location: Location, folder: tempfile::TempDir, settings: ProfileSettingsPatch) -> Self {
        let clock = Arc::new(FixedClock::at(Timestamp::from_seconds(START)));
        let elsewhere = Elsewhere::new();
        let authority = open(&location, "node-1", &clock, &elsewhere).await.unwrap();
        authority.ensure_administrator("admin@example.com", "correct horse battery").await.unwrap().unwrap();
        let admin = log_in(&authority).await;
        let new = external("elsewhere", acme());
        let ca = authority.create_external_ca(&admin, new).await.unwrap().0.id;
        let preset = Some("tls-server".to_owned());
        let new = NewTemplate { name: "web".to_owned(), preset, ..NewTemplate::default() };
        let template = authority.create_template(&admin, new).await.unwrap().id;
        let (authority, profile) = (Some(authority), ProfileId::from(Uuid::nil()));
        let mut world = Self { authority, location, clock, elsewhere, admin, ca, template, profile, _folder: folder };
        world.profile = world.profile_of("web", ca, settings).await.unwrap();
        world
    }

    pub fn authority(&self) -> &Authority {
        self.authority.as_ref().unwrap()
    }

    pub async fn profile_of(&self, slug: &str, ca: CaId, settings: ProfileSettingsPatch) -> Result<ProfileId, Error> {
        let new = NewProfile {
            slug: slug.to_owned(),
            description: None,
            issuer: ProfileIssuer::Ca(ca),
            template_id: self.template,
            enrollment: None,
            settings,
        };
        Ok(self.authority().create_profile(&self.admin, new).await?.id)
    }

    pub async fn connection(&self, name: &str, app: ConnectionApp) -> Result<AppConnection, Error> {
        let (method, fields): (_, &[(&str, &str)]) = match app {
            ConnectionApp::Digicert => ("api-key", &[("apiKey", "open-sesame-api-key")]),
            _ => ("access-token", &[("instanceUrl", "https://vault.test"), ("accessToken", "open-sesame-token")]),
        };
        let new = NewConnection {
            name: name.to_owned(),
            description: None,
            app,
            method: method.to_owned(),
            fields: fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned().into())).collect(),
            test: true,
        };
        self.authority().create_connection(&self.admin, new).await
    }

    /// The process dies: nothing is finished, nothing is said.
    pub async fn crash(&mut self) {
        drop(self.authority.take());
        for _ in 0..200 {
            if let Some(authority) = open(&self.location, "node-1", &self.clock, &self.elsewhere).await {
                self.authority = Some(authority);
                return;
            }
            // Tasks that were cut off let go of the store one by one.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the store is not let go");
    }

    pub async fn issue(&self, request: IssueRequest) -> Result<Issuance, Error> {
        self.authority().issue(&self.admin, request).await
    }

    pub fn wish(&self, attributes: Attributes) -> IssueRequest {
        let target = Target::Profile { profile_id: self.profile, application_id: None };
        IssueRequest { target, csr: None, attributes, metadata: Vec::new() }
    }

    /// A request for `a.acme.com` that waits.
    pub async fn order(&self) -> RequestId {
        pending(self.issue(self.wish(named("a.acme.com"))).await).id
    }

    pub async fn issued(&self) -> Certificate {
        let id = self.order().await;
        self.until_ended(id).await;
        self.certificate(id).await
    }

    pub async fn run(&self) {
        self.authority().run_due_jobs().await;
    }

    pub async fn tick(&self, seconds: i64) {
        self.clock.advance_seconds(seconds);
        self.run().await;
    }

    /// Runs, and moves the clock on, until the order of the request is done with.
    pub async fn until_ended(&self, id: RequestId) -> CertificateRequest {
        for _ in 0..60 {
            self.run().await;
            if self.order_of(id).await.phase == OrderPhase::Done {
                return self.request(id).await;
            }
            self.clock.advance_seconds(TICK);
        }
        panic!("the order does not end: {:?} {:?}", self.request(id).await, self.order_of(id).await)
    }

    pub async fn request(&self, id: RequestId) -> CertificateRequest {
        self.authority().reader().request(self.admin.project_id(), id).await.unwrap().unwrap()
    }

    pub async fn status(&self, id: RequestId) -> RequestStatus {
        self.request(id).await.status
    }

    pub async fn order_of(&self, id: RequestId) -> ExternalOrder {
        self.authority().reader().order(self.admin.project_id(), id).await.unwrap().unwrap()
    }

    pub async fn read(&self, id: CertificateId) -> Certificate {
        self.authority().reader().certificate(self.admin.project_id(), id).await.unwrap().unwrap()
    }

    /// What the request led to.
    pub async fn certificate(&self, id: RequestId) -> Certificate {
        let request = self.request(id).await;
        let certificate = request.certificate_id.unwrap_or_else(|| panic!("no certificate: {request:?}"));
        self.read(certificate).await
    }

    pub async fn inventory(&self) -> Vec<Certificate> {
        let page = PageRequest { offset: 0, limit: PageRequest::LIMIT_MAX, cursor: None };
        let (reader, filter) = (self.authority().reader(), CertificateFilter::default());
        reader.certificates(self.admin.project_id(), &filter, self.authority().now(), &page).await.unwrap().items
    }

    /// Oldest first.
    pub async fn requests(&self) -> Vec<CertificateRequest> {
        let page = PageRequest { offset: 0, limit: PageRequest::LIMIT_MAX, cursor: None };
        let filter = chancery_model::request::RequestFilter { ascending: true, ..Default::default() };
        self.authority().reader().requests(self.admin.project_id(), &filter, &page).await.unwrap().items
    }

    /// A root CA of this server's own.
    pub async fn own_ca(&self) -> CaId {
        let configuration = serde_json::json!({
            "level": "root", "common_name": "Own Root", "key_algorithm": "EC_prime256v1",
            "not_after": Timestamp::parse_date("2046-01-01").unwrap(),
        });
        let new = NewCa {
            name: "own".to_owned(),
            status: CaStatus::Active,
            configuration: serde_json::from_value(configuration).unwrap(),
            direct_issuance_template: None,
        };
        self.authority().create_ca(&self.admin, new).await.unwrap().id
    }

    /// Oldest first.
    pub async fn audited(&self, event: AuditEvent, object: Uuid) -> Vec<AuditBody> {
        let filter = AuditFilter { actor: None, event: Some(event), object: Some(object), from: None, to: None };
        let (entries, _) =
            self.authority().reader().audit(self.admin.project_id(), &filter, None, 1_000).await.unwrap();
        let mut bodies: Vec<AuditBody> = entries.iter().map(|it| serde_json::from_str(&it.body).unwrap()).collect();
        bodies.sort_by_key(|it| it.sequence);
        bodies
    }

    pub async fn job(&self, kind: JobKind, object: Uuid) -> Option<Job> {
        self.authority().reader().job(JobKey { kind, object }).await.unwrap()
    }

    pub async fn arrive(&self, at: Timestamp) {
        let ahead = at.as_millis() - self.authority().now().as_millis();
        self.tick((ahead + 999).div_euclid(1_000)).await;
    }

    /// Begins to do what is due, and comes back when a step has come to where it stops.
    pub async fn run_until_stopped(&self) -> tokio::task::JoinHandle<usize> {
        let authority = self.authority().clone();
        let running = tokio::spawn(async move { authority.run_due_jobs().await });
        tokio::time::timeout(Duration::from_secs(30), self.elsewhere.reached.notified()).await.unwrap();
        running
    }
}

pub fn external(name: &str, configuration: ExternalConfiguration) -> NewExternalCa {
    NewExternalCa {
        name: name.to_owned(),
        status: CaStatus::Active,
        configuration,
        secrets: std::collections::BTreeMap::new(),
    }
}
