//! A fresh store in either database, and records to put into it.

use chancery_model::audit::{Actor, AuditEvent, AuditRecord, Outcome};
use chancery_model::authority::{
    AutoRenewal, CaCertificate, CaLevel, CaStatus, CertificationAuthority, InternalCaConfiguration, SealedKey,
    StatusSettings,
};
use chancery_model::certificate::{Certificate, CertificateDescription, CertificateSource, RenewalState};
use chancery_model::identity::{ActorId, Identity, UniversalAuth, User};
use chancery_model::page::PageRequest;
use chancery_model::permission::Role;
use chancery_model::profile::{CertificateProfile, EnrollmentType, ProfileIssuer, ProfileSettings};
use chancery_model::project::Project;
use chancery_model::random::SeededRandomness;
use chancery_model::request::{CertificateRequest, RequestStatus};
use chancery_model::template::{CertificateTemplate, TemplateRules};
use chancery_model::{Randomness, Timestamp};
use chancery_pkix::{
    Attribute, AttributeType, ExtendedKeyUsage, GeneralNameKind, KeyAlgorithm, KeyUsage, SignatureAlgorithm,
};
use chancery_store::{Change, Conflict, Location, Reader, Store, StoreError, Write};
use tokio_postgres::NoTls;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    Postgres,
}

pub const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
pub const DAY: i64 = 86_400;

pub struct World {
    store: Option<Store>,
    pub location: Location,
    pub project: Project,
    random: SeededRandomness,
    /// Admin URL and database name.
    database: Option<(String, String)>,
    _folder: tempfile::TempDir,
}

/// Runs a story on a fresh database. Without a PostgreSQL to use, a run in CI fails and another says what it left out.
pub async fn run<F: AsyncFnOnce(&mut World)>(backend: Backend, name: &str, story: F) {
    let Some(mut world) = World::new(backend).await else {
        assert!(std::env::var("CI").is_err(), "CHANCERY_TEST_POSTGRES_URL is not set, so {name} cannot run");
        eprintln!("left out, because CHANCERY_TEST_POSTGRES_URL is not set: postgres::{name}");
        return;
    };
    story(&mut world).await;
    world.finish().await;
}

async fn admin(url: &str, sql: &str) {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(sql).await.unwrap();
}

impl World {
    async fn new(backend: Backend) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let (location, database) = match backend {
            Backend::Sqlite => (Location::Sqlite { path: folder.path().join("chancery.db") }, None),
            Backend::Postgres => {
                let url = std::env::var("CHANCERY_TEST_POSTGRES_URL").ok()?;
                let unique = folder.path().file_name().unwrap().to_string_lossy().to_lowercase();
                let name = format!(
                    "chancery_test_{}_{}",
                    std::process::id(),
                    unique.replace(|c: char| !c.is_alphanumeric(), "_")
                );
                admin(&url, &format!("CREATE DATABASE {name}")).await;
                (Location::Postgres { url: with_database(&url, &name) }, Some((url, name)))
            }
        };
        let random = SeededRandomness::new(7);
        let project = project("default", &random);
        let store = Store::open(&location, "node-1").await.unwrap();
        let world = Self { store: Some(store), location, project, random, database, _folder: folder };
        world.commit([Change::InsertProject(world.project.clone())]).await.unwrap();
        Some(world)
    }

    async fn finish(mut self) {
        if let Some(store) = self.store.take() {
            store.close().await;
        }
        if let Some((url, name)) = &self.database {
            admin(url, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
        }
    }

    pub fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    pub fn reader(&self) -> Reader {
        self.store().reader()
    }

    pub async fn commit<const N: usize>(&self, changes: [Change; N]) -> Result<(), StoreError> {
        self.store().commit(Write { changes: changes.to_vec(), audit: Vec::new() }).await
    }

    pub async fn refused<const N: usize>(&self, changes: [Change; N]) -> Option<Conflict> {
        self.commit(changes).await.unwrap_err().conflict()
    }

    pub async fn reopen(&mut self) {
        self.store.take().unwrap().close().await;
        self.store = Some(Store::open(&self.location, "node-1").await.unwrap());
    }

    /// As after a crash: nobody says goodbye.
    pub async fn drop_and_reopen(&mut self) {
        drop(self.store.take());
        self.store = Some(Store::open(&self.location, "node-1").await.unwrap());
    }

    /// Changes rows behind the store's back.
    pub async fn tamper(&self, sql: &str) {
        match &self.location {
            Location::Sqlite { path } => {
                let connection = rusqlite::Connection::open(path).unwrap();
                connection.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
                connection.execute_batch(sql).unwrap();
            }
            Location::Postgres { url } => admin(url, sql).await,
        }
    }

    pub fn id<T: From<uuid::Uuid>>(&self) -> T {
        self.id_at(NOW)
    }

    pub fn id_at<T: From<uuid::Uuid>>(&self, now: Timestamp) -> T {
        chancery_model::CertificateId::generate(now, &self.random).as_uuid().into()
    }

    pub fn hash(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        self.random.fill(&mut bytes);
        bytes
    }

    pub fn other_project(&self, slug: &str) -> Project {
        project(slug, &self.random)
    }

    pub fn user(&self, email: &str) -> User {
        User {
            id: self.id(),
            email: email.to_owned(),
            password_hash: "$argon2id$…".to_owned(),
            project_id: self.project.id,
            role: Role::Admin,
            totp: None,
            failed_logins: 2,
            locked_until: Some(NOW.plus_seconds(60)),
            created_at: NOW,
            updated_at: NOW,
        }
    }

    pub fn identity(&self, name: &str) -> Identity {
        Identity {
            id: self.id(),
            project_id: self.project.id,
            name: name.to_owned(),
            role: Role::Operator,
            has_delete_protection: true,
            metadata: vec![("team".to_owned(), "edge".to_owned())],
            universal_auth: Some(UniversalAuth {
                client_id: self.id(),
                access_token_ttl: 3_600,
                access_token_max_ttl: 86_400,
                client_secret_trusted_ips: vec!["10.0.0.0/8".to_owned()],
                access_token_trusted_ips: vec![],
                lockout_enabled: true,
                lockout_threshold: 3,
                lockout_duration: 300,
                lockout_counter_reset: 30,
                failed_logins: 1,
                last_failed_at: Some(NOW),
                locked_until: None,
                created_at: NOW,
                updated_at: NOW,
            }),
            created_at: NOW,
            updated_at: NOW,
        }
    }

    pub fn template(&self, name: &str) -> CertificateTemplate {
        CertificateTemplate {
            id: self.id(),
            project_id: self.project.id,
            name: name.to_owned(),
            description: Some("Servers of the shop".to_owned()),
            rules: TemplateRules { sans_max: Some(10), ..TemplateRules::default() },
            version: 1,
            created_at: NOW,
            updated_at: NOW,
        }
    }

    pub fn ca(&self, name: &str) -> CertificationAuthority {
        CertificationAuthority {
            id: self.id(),
            project_id: self.project.id,
            name: name.to_owned(),
            status: CaStatus::PendingCertificate,
            configuration: InternalCaConfiguration {
                level: CaLevel::Root,
                friendly_name: String::new(),
                common_name: "Root".to_owned(),
                organization: String::new(),
                organizational_unit: String::new(),
                country: "DE".to_owned(),
                state: String::new(),
                locality: String::new(),
                key_algorithm: KeyAlgorithm::EcP256,
                signature_algorithm: None,
                not_before: None,
                not_after: Some(NOW.plus_seconds(3_650 * DAY)),
                path_length_max: Some(1),
                name_constraints: None,
                status: StatusSettings::default(),
                auto_renewal: AutoRenewal::default(),
                signing: None,
            },
            direct_issuance_template: None,
            active_certificate: None,
            key_id: self.id(),
            last_renewal: None,
            created_at: NOW,
            updated_at: NOW,
        }
    }

    pub fn ca_certificate(&self, ca: &CertificationAuthority, version: i64) -> CaCertificate {
        CaCertificate {
            id: self.id(),
            ca_id: ca.id,
            project_id: ca.project_id,
            key_id: ca.key_id,
            version,
            serial_number: self.serial(),
            der: self.hash().to_vec(),
            chain: vec![],
            parent_ca_id: None,
            parent_certificate_id: None,
            path_length: Some(1),
            not_before: NOW,
            not_after: NOW.plus_seconds(3_650 * DAY),
            revocation: None,
            created_at: NOW,
        }
    }

    pub fn key(&self) -> SealedKey {
        SealedKey {
            id: self.id(),
            project_id: self.project.id,
            algorithm: KeyAlgorithm::MlDsa65,
            sealed: vec![0, 1, 2, 255],
            created_at: NOW,
        }
    }

    pub fn profile(&self, slug: &str, template: &CertificateTemplate, issuer: ProfileIssuer) -> CertificateProfile {
        CertificateProfile {
            id: self.id(),
            project_id: self.project.id,
            slug: slug.to_owned(),
            description: None,
            issuer,
            template_id: template.id,
            enrollment: Some(EnrollmentType::Api),
            settings: ProfileSettings { strict_csr: true, ..ProfileSettings::default() },
            created_at: NOW,
            updated_at: NOW,
        }
    }

    pub fn serial(&self) -> String {
        let mut bytes = [0; 16];
        self.random.fill(&mut bytes);
        bytes[0] = (bytes[0] & 0x7f) | 0x40;
        hex::encode(bytes)
    }

    /// A self-signed server certificate of 90 days.
    pub fn certificate(&self, common_name: &str, sans: &[&str]) -> Certificate {
        self.certificate_at(common_name, sans, NOW)
    }

    pub fn certificate_at(&self, common_name: &str, sans: &[&str], now: Timestamp) -> Certificate {
        let subject = Attribute { kind: AttributeType::CommonName, value: common_name.to_owned() };
        Certificate {
            id: self.id_at(now),
            project_id: self.project.id,
            request_id: self.id_at(now),
            profile_id: None,
            template_id: None,
            template_version: 1,
            ca_id: None,
            ca_certificate_id: None,
            application_id: None,
            enrollment: EnrollmentType::Api,
            source: CertificateSource::Issued,
            friendly_name: None,
            requester: ActorId::System,
            serial_number: self.serial(),
            der: self.hash().to_vec(),
            fingerprint_sha256: self.hash(),
            not_before: now,
            not_after: now.plus_seconds(90 * DAY - 1),
            ttl: 90 * DAY,
            description: CertificateDescription {
                subject: if common_name.is_empty() { vec![] } else { vec![subject] },
                sans: sans.iter().map(|name| (GeneralNameKind::DnsName, (*name).to_owned())).collect(),
                key_usages: vec![KeyUsage::DigitalSignature],
                extended_key_usages: vec![ExtendedKeyUsage::ServerAuth],
                key_algorithm: Some(KeyAlgorithm::EcP256),
                signature_algorithm: Some(SignatureAlgorithm::EcdsaSha256),
                is_ca: false,
                path_length: None,
                from_csr: true,
                foreign: None,
            },
            key_id: None,
            crl_partition: 0,
            revocation: None,
            renewal: RenewalState::default(),
            metadata: vec![],
            created_at: now,
            updated_at: now,
        }
    }

    pub fn request(&self, common_name: &str) -> CertificateRequest {
        CertificateRequest {
            id: self.id(),
            project_id: self.project.id,
            profile_id: Some(self.id()),
            ca_id: None,
            application_id: None,
            requester: ActorId::Identity(self.id()),
            status: RequestStatus::Pending,
            certificate_id: None,
            common_name: Some(common_name.to_owned()),
            alt_names: None,
            document: "{\"fields\":[]}".to_owned(),
            csr: Some(vec![0x30, 0]),
            error_message: None,
            pending_message: Some("Waiting".to_owned()),
            metadata: vec![],
            idempotency: None,
            created_at: NOW,
            updated_at: NOW,
        }
    }

    pub fn record(&self, event: AuditEvent, object: uuid::Uuid) -> AuditRecord {
        AuditRecord {
            time: NOW,
            project_id: Some(self.project.id),
            actor: Actor {
                id: ActorId::System,
                name: "server".to_owned(),
                method: "system".to_owned(),
                ip: String::new(),
            },
            event,
            outcome: Outcome::Success,
            object: Some(("certificate", object)),
            request_id: "r-1".to_owned(),
            details: serde_json::json!({"note": "ü\"\\"}),
        }
    }
}

fn project(slug: &str, random: &SeededRandomness) -> Project {
    Project {
        id: chancery_model::ProjectId::generate(NOW, random),
        name: slug.to_uppercase(),
        slug: slug.to_owned(),
        description: None,
        created_at: NOW,
        updated_at: NOW,
    }
}

/// The same server, another database.
fn with_database(url: &str, name: &str) -> String {
    let (server, path) =
        url.split_once("://").map_or((url, ""), |(_, rest)| rest.split_once('/').unwrap_or((rest, "")));
    let options = path.split_once('?').map(|(_, options)| format!("?{options}")).unwrap_or_default();
    format!("postgres://{server}/{name}{options}")
}

pub const fn page(limit: u32) -> PageRequest {
    PageRequest { offset: 0, limit, cursor: None }
}
