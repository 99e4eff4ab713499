//! A core in either database, its people, and templates to issue by.

use std::net::IpAddr;
use std::sync::Arc;

use chancery_authority::access::{NewClientSecret, NewIdentity, UniversalAuthSettings};
use chancery_authority::enrollment::{Attributes, Field, IssueRequest, Target};
use chancery_authority::hierarchy::NewCa;
use chancery_authority::issuance::Issued;
use chancery_authority::profile::{NewProfile, ProfileSettingsPatch};
use chancery_authority::template::{NewTemplate, TemplatePatch, TemplateRulesPatch};
use chancery_authority::{Authority, AuthorityConfig, Call, Error};
use chancery_keys::{Kek, PrivateKey, Signer as _, SystemRandomness};
use chancery_model::audit::{AuditEvent, AuditFilter};
use chancery_model::authority::CaStatus;
use chancery_model::permission::Role;
use chancery_model::profile::{ProfileDefaults, ProfileIssuer};
use chancery_model::template::{Patterns, RuleLists, SanRule, SubjectRule};
use chancery_model::time::FixedClock;
use chancery_model::{CaId, IdentityId, ProfileId, TemplateId, Timestamp};
use chancery_pkix::{
    Attribute, AttributeType, CertificationRequest, CertificationRequestInfo, DistinguishedName, ExtendedKeyUsage,
    GeneralName, GeneralNameKind, KeyAlgorithm, KeyUsages, assemble,
};
use chancery_store::Location;
use tokio_postgres::NoTls;

const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 7));
const EMAIL: &str = "admin@example.com";
const PASSWORD: &str = "correct horse battery";
pub const DAY: i64 = 86_400;

pub struct World {
    authority: Option<Authority>,
    pub clock: Arc<FixedClock>,
    pub location: Location,
    /// A person.
    pub admin: Call,
    pub operator: Call,
    pub auditor: Call,
    pub ca: CaId,
    pub template: TemplateId,
    pub web: ProfileId,
    pub api: ProfileId,
    pub own: ProfileId,
    _folder: tempfile::TempDir,
}

/// A story in each database.
#[macro_export]
macro_rules! in_both_databases {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name($crate::insight::world::World::on_sqlite().await).await;
                }
            )+
        }

        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let story = concat!(module_path!(), "::", stringify!($name));
                    $crate::insight::world::World::on_postgres(story, super::$name).await;
                }
            )+
        }
    };
}

async fn sql(url: &str, text: &str) {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(text).await.unwrap();
}

async fn open(location: &Location, clock: &Arc<FixedClock>) -> Authority {
    let config = AuthorityConfig {
        location: location.clone(),
        node: "node-1".to_owned(),
        kek: Kek::from_text(&"5a".repeat(32)).unwrap(),
        site_url: None,
        repository_url: None,
        notifier: Arc::new(chancery_authority::alert::NoNotifier),
        upstream: Arc::new(chancery_authority::external::NoUpstream),
    };
    Authority::open(config, Arc::clone(clock) as _, Arc::new(SystemRandomness)).await.unwrap()
}

/// As the holder of the token is now.
pub async fn call(authority: &Authority, token: &str) -> Call {
    let requester = authority.authenticate(token, HOME).await.unwrap();
    Call { requester, request_id: "r-test".to_owned(), idempotency: None }
}

/// A machine identity, and its token.
pub async fn machine(authority: &Authority, admin: &Call, name: &str, role: Role) -> (IdentityId, String) {
    let new = NewIdentity { name: name.to_owned(), role, has_delete_protection: false, metadata: Vec::new() };
    let identity = authority.create_identity(admin, new).await.unwrap();
    let settings = UniversalAuthSettings::default();
    let identity = authority.attach_universal_auth(admin, identity.id, settings).await.unwrap();
    let (_, secret) = authority.create_client_secret(admin, identity.id, NewClientSecret::default()).await.unwrap();
    let client = identity.universal_auth.unwrap().client_id.to_string();
    let token = authority.login_universal(&client, secret.as_ref(), HOME, "r").await.unwrap();
    (identity.id, token.access_token.to_string())
}

impl World {
    pub async fn on_sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::start(Location::Sqlite { path: folder.path().join("chancery.db") }, folder).await
    }

    /// Where there is no PostgreSQL, a run in CI fails and another says what it left out.
    pub async fn on_postgres<F: AsyncFnOnce(Self)>(story: &str, run: F) {
        let Ok(admin) = std::env::var("CHANCERY_TEST_POSTGRES_URL") else {
            assert!(std::env::var_os("CI").is_none(), "CI must set CHANCERY_TEST_POSTGRES_URL; scripts/test does");
            eprintln!("left out, because CHANCERY_TEST_POSTGRES_URL is not set: {story}");
            return;
        };
        let folder = tempfile::tempdir().unwrap();
        let unique = folder.path().file_name().unwrap().to_string_lossy().to_lowercase();
        let unique: String = unique.chars().filter(char::is_ascii_alphanumeric).collect();
        let name = format!("chancery_insight_{}_{unique}", std::process::id());
        sql(&admin, &format!("CREATE DATABASE {name}")).await;
        let url = format!("{}/{name}", admin.rsplit_once('/').unwrap().0);
        run(Self::start(Location::Postgres { url }, folder).await).await;
        sql(&admin, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
    }

    async fn start(location: Location, folder: tempfile::TempDir) -> Self {
        let clock = Arc::new(FixedClock::at(Timestamp::from_seconds(1_800_000_000)));
        let authority = open(&location, &clock).await;
        authority.ensure_administrator(EMAIL, PASSWORD).await.unwrap().unwrap();
        let token = authority.login_user(EMAIL, PASSWORD, None, HOME, "r").await.unwrap();
        let admin = call(&authority, &token.access_token).await;
        let (_, operator) = machine(&authority, &admin, "operator", Role::Operator).await;
        let operator = call(&authority, &operator).await;
        let (_, auditor) = machine(&authority, &admin, "auditor", Role::Auditor).await;
        let auditor = call(&authority, &auditor).await;
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
        let ca = authority.create_ca(&admin, new).await.unwrap().id;
        let new =
            NewTemplate { name: "servers".to_owned(), preset: Some("tls-server".to_owned()), ..NewTemplate::default() };
        let template = authority.create_template(&admin, new).await.unwrap().id;
        let made = async |slug: &str, issuer| {
            let settings = ProfileSettingsPatch::default();
            profile(&authority, &admin, slug, issuer, (template, settings)).await
        };
        let web = made("web", ProfileIssuer::Ca(ca)).await;
        let api = made("api", ProfileIssuer::Ca(ca)).await;
        let own = made("own", ProfileIssuer::SelfSigned).await;
        Self {
            authority: Some(authority),
            clock,
            location,
            admin,
            operator,
            auditor,
            ca,
            template,
            web,
            api,
            own,
            _folder: folder,
        }
    }

    pub fn authority(&self) -> &Authority {
        self.authority.as_ref().unwrap()
    }

    /// Closes the core, so that something else can write.
    pub async fn close(&mut self) {
        self.authority.take().unwrap().close().await;
    }

    pub async fn reopen(&mut self) {
        self.authority = Some(open(&self.location, &self.clock).await);
    }

    pub async fn profile(&self, slug: &str, settings: ProfileSettingsPatch) -> ProfileId {
        let issuer = ProfileIssuer::Ca(self.ca);
        profile(self.authority(), &self.admin, slug, issuer, (self.template, settings)).await
    }

    pub async fn issue(&self, call: &Call, profile_id: ProfileId, attributes: Attributes) -> Issued {
        let target = Target::Profile { profile_id, application_id: None };
        let request = IssueRequest { target, csr: None, attributes, metadata: Vec::new() };
        self.authority().issue(call, request).await.unwrap().into_issued().unwrap()
    }

    pub async fn issue_csr(&self, call: &Call, profile_id: ProfileId, csr: String) -> Issued {
        let target = Target::Profile { profile_id, application_id: None };
        let attributes = Attributes { ttl: Some("30d".to_owned()), ..Attributes::default() };
        let request = IssueRequest { target, csr: Some(csr), attributes, metadata: Vec::new() };
        self.authority().issue(call, request).await.unwrap().into_issued().unwrap()
    }

    pub async fn change_template(&self, rules: TemplateRulesPatch) {
        let patch = TemplatePatch { rules, ..TemplatePatch::default() };
        self.authority().update_template(&self.admin, self.template, patch).await.unwrap();
    }

    /// Entries of an event in the default project's log.
    pub async fn count(&self, event: AuditEvent) -> usize {
        let filter = AuditFilter { event: Some(event), ..AuditFilter::default() };
        self.authority().reader().audit(self.admin.project_id(), &filter, None, 500).await.unwrap().0.len()
    }

    /// Entries of any event.
    pub async fn entries(&self) -> usize {
        let filter = AuditFilter::default();
        self.authority().reader().audit(self.admin.project_id(), &filter, None, 1_000).await.unwrap().0.len()
    }

    pub async fn last_event(&self) -> String {
        let filter = AuditFilter::default();
        let found = self.authority().reader().audit(self.admin.project_id(), &filter, None, 1).await.unwrap().0;
        found[0].event.clone()
    }

    /// The administrator of a fresh project.
    pub async fn stranger(&self) -> Call {
        let it = self.authority();
        let new =
            chancery_authority::access::NewProject { name: "Elsewhere".to_owned(), slug: None, description: None };
        let project = it.create_project(&self.admin, new).await.unwrap();
        let (identity, secret) = it.appoint_administrator(&self.admin, project.id, "stranger").await.unwrap();
        let client = identity.universal_auth.unwrap().client_id.to_string();
        let token = it.login_universal(&client, secret.as_ref(), HOME, "r").await.unwrap();
        call(it, &token.access_token).await
    }
}

async fn profile(
    authority: &Authority,
    admin: &Call,
    slug: &str,
    issuer: ProfileIssuer,
    (template_id, settings): (TemplateId, ProfileSettingsPatch),
) -> ProfileId {
    let defaults = Field::Value(ProfileDefaults { ttl_days: Some(30), ..ProfileDefaults::default() });
    let settings = ProfileSettingsPatch { defaults, ..settings };
    let slug = slug.to_owned();
    let new = NewProfile { slug, description: None, issuer, template_id, enrollment: None, settings };
    authority.create_profile(admin, new).await.unwrap().id
}

pub fn named(common_name: &str) -> Attributes {
    Attributes { common_name: Field::Value(common_name.to_owned()), ..Attributes::default() }
}

pub fn lasting(common_name: &str, ttl: &str) -> Attributes {
    Attributes { ttl: Some(ttl.to_owned()), ..named(common_name) }
}

/// Common names and DNS names like these, and no others.
pub fn only(pattern: &str) -> TemplateRulesPatch {
    let lists = RuleLists { allowed: Some(Patterns::Flat(vec![pattern.to_owned()])), ..RuleLists::default() };
    TemplateRulesPatch {
        subject: Field::Value(vec![SubjectRule { kind: AttributeType::CommonName, lists: lists.clone() }]),
        sans: Field::Value(vec![SanRule { kind: GeneralNameKind::DnsName, lists }]),
        ..TemplateRulesPatch::default()
    }
}

/// A CSR in PEM by a key that nobody needs again.
pub fn csr(subject: &[(AttributeType, &str)], names: &[&str], usages: &[ExtendedKeyUsage]) -> String {
    let algorithm = KeyAlgorithm::EcP384;
    let key = PrivateKey::generate(algorithm).unwrap();
    let subject = subject.iter().map(|(kind, value)| Attribute::new(*kind, *value)).collect();
    let names: Vec<GeneralName> =
        names.iter().map(|it| GeneralName::parse(GeneralNameKind::DnsName, it).unwrap()).collect();
    let info = CertificationRequestInfo {
        subject_der: &DistinguishedName::new(subject).unwrap().to_der(),
        public_key: key.public_key(),
        subject_alt_names: &names,
        key_usages: KeyUsages::default(),
        extended_key_usages: usages,
        basic_constraints: None,
    }
    .to_der();
    let signature = key.sign(algorithm.default_signature(), &info).unwrap();
    let der = assemble(&info, algorithm.default_signature(), &signature);
    CertificationRequest::from_der(&der).unwrap().to_pem()
}

pub fn code<T>(result: Result<T, Error>) -> &'static str {
    result.err().map_or("accepted", |error| error.code())
}
