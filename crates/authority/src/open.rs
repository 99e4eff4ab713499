//! Opening the core: store, keys and caches are brought up together, and a fresh store is initialised.

use std::net::IpAddr;
use std::sync::Arc;

use chancery_keys::{Kek, KeyPool, SealError, Sealer};
use chancery_model::audit::{Actor, AuditEvent, AuditRecord, Outcome};
use chancery_model::identity::ActorId;
use chancery_model::permission::Permission;
use chancery_model::project::Project;
use chancery_model::{Clock, ProjectId, Randomness, Timestamp};
use chancery_store::{Change, Location, Reader, Store, StoreError, Write};

use crate::access::AccessState;
use crate::alert::Notifier;
use crate::cache::Cache;
use crate::call::Requester;
use crate::error::Error;
use crate::external::Upstream;
use crate::external::trouble::Trouble;
use crate::jobs::{JobState, LEASE_SECONDS};
use crate::stage::StageClock;
use crate::status::StatusState;

/// What the core is opened with.
pub struct AuthorityConfig {
    pub location: Location,
    /// Name of this node; each node keeps its own audit chain under it.
    pub node: String,
    pub kek: Kek,
    /// Where people and clients reach this server, without a trailing slash.
    pub site_url: Option<String>,
    /// Where relying parties fetch CA certificates (plain HTTP is right here); written into certificates when set.
    pub repository_url: Option<String>,
    /// How alerts leave the house.
    pub notifier: Arc<dyn Notifier>,
    /// How external CAs are asked.
    pub upstream: Arc<dyn Upstream>,
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the store cannot be opened: {0}")]
    Store(#[from] StoreError),
    #[error("the keys cannot be opened: {0}")]
    Seal(#[from] SealError),
    #[error("the store is inconsistent: {0}")]
    Inconsistent(String),
}

/// The core. Cheap to clone; one per process.
#[derive(Clone)]
pub struct Authority(Arc<Inner>);

struct Inner {
    store: Store,
    reader: Reader,
    sealer: Sealer,
    keys: KeyPool,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Randomness>,
    cache: Cache,
    access: AccessState,
    stages: StageClock,
    jobs: JobState,
    /// Notified whenever this node has ended a request.
    waiting: tokio::sync::Notify,
    trouble: Trouble,
    status: StatusState,
    site_url: Option<String>,
    repository_url: Option<String>,
    notifier: Arc<dyn Notifier>,
    upstream: Arc<dyn Upstream>,
    node: String,
    default_project: ProjectId,
}

impl Inner {
    /// Forgets what a change of configuration may have made stale.
    fn forget_configuration(&self) {
        self.cache.clear();
        self.status.clear();
    }
}

const ROOT_KEY: &str = "root-key";
const DEFAULT_PROJECT_SLUG: &str = "default";

/// RSA key pairs are slow to make: this many may wait for one before callers are told to come back.
const KEY_QUEUE_MAX: usize = 64;

impl Authority {
    pub async fn open(
        config: AuthorityConfig,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Randomness>,
    ) -> Result<Self, OpenError> {
        let store = Store::open(&config.location, &config.node).await?;
        let reader = store.reader();
        let sealer = open_sealer(&store, &config.kek, clock.as_ref(), random.as_ref()).await?;
        let Some(project) = reader.project_by_slug(DEFAULT_PROJECT_SLUG).await? else {
            return Err(OpenError::Inconsistent("the default project is missing".to_owned()));
        };
        let workers = std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2));
        let authority = Self(Arc::new(Inner {
            store,
            reader,
            sealer,
            keys: KeyPool::new(workers, KEY_QUEUE_MAX),
            clock,
            random,
            cache: Cache::default(),
            access: AccessState::default(),
            stages: StageClock::default(),
            jobs: JobState::default(),
            waiting: tokio::sync::Notify::new(),
            trouble: Trouble::default(),
            status: StatusState::default(),
            site_url: config.site_url,
            repository_url: config.repository_url,
            notifier: config.notifier,
            upstream: config.upstream,
            node: config.node,
            default_project: project.id,
        }));
        authority.end_leases_of_before().await;
        authority.ensure_project_key(project.id).await.map_err(|error| OpenError::Inconsistent(error.to_string()))?;
        authority.ensure_crls().await.map_err(|error| OpenError::Inconsistent(error.to_string()))?;
        if matches!(config.location, Location::Postgres { .. }) {
            authority.watch_configuration();
        }
        Ok(authority)
    }

    /// A process that was killed leaves its jobs leased. Where no other can hold them they are done now, not when their
    /// leases end: until then no revocation would reach the CRL whose job it was.
    async fn end_leases_of_before(&self) {
        if !self.0.store.is_alone() {
            return;
        }
        let now = self.now();
        let ended = Change::EndLeases { now, latest: now.plus_seconds(LEASE_SECONDS) };
        if let Err(error) = self.commit(Write::default().with(ended)).await {
            tracing::warn!(%error, "leases of an earlier process could not be ended; they end by themselves");
        }
    }

    /// Waits for what is queued and closes the store.
    pub async fn close(&self) {
        if let Err(error) = self.flush_failed_logins().await {
            tracing::warn!(%error, "the last failed log-ins could not be written to the audit log");
        }
        self.0.store.close().await;
    }

    #[must_use]
    pub fn reader(&self) -> &Reader {
        &self.0.reader
    }

    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    #[must_use]
    pub fn stages(&self) -> &StageClock {
        &self.0.stages
    }

    #[must_use]
    pub fn site_url(&self) -> Option<&str> {
        self.0.site_url.as_deref()
    }

    #[must_use]
    pub fn repository_url(&self) -> Option<&str> {
        self.0.repository_url.as_deref()
    }

    #[must_use]
    pub fn node(&self) -> &str {
        &self.0.node
    }

    #[must_use]
    pub fn default_project_id(&self) -> ProjectId {
        self.0.default_project
    }

    #[must_use]
    pub fn store_statistics(&self) -> chancery_store::Statistics {
        self.0.store.statistics()
    }

    pub(crate) fn sealer(&self) -> &Sealer {
        &self.0.sealer
    }

    pub(crate) fn keys(&self) -> &KeyPool {
        &self.0.keys
    }

    pub(crate) fn random(&self) -> &dyn Randomness {
        self.0.random.as_ref()
    }

    pub(crate) fn cache(&self) -> &Cache {
        &self.0.cache
    }

    pub(crate) fn access_state(&self) -> &AccessState {
        &self.0.access
    }

    pub(crate) fn notifier(&self) -> &dyn Notifier {
        self.0.notifier.as_ref()
    }

    pub(crate) fn upstream(&self) -> &dyn Upstream {
        self.0.upstream.as_ref()
    }

    pub(crate) fn trouble(&self) -> &Trouble {
        &self.0.trouble
    }

    pub(crate) fn waiting(&self) -> &tokio::sync::Notify {
        &self.0.waiting
    }

    /// Lets everybody look who waits for a request.
    pub(crate) fn wake_waiting(&self) {
        self.0.waiting.notify_waiters();
    }

    pub(crate) fn job_state(&self) -> &JobState {
        &self.0.jobs
    }

    pub(crate) fn status_state(&self) -> &StatusState {
        &self.0.status
    }

    /// Commits and forgets what the write may have made stale. Returns after the write is durable.
    ///
    /// A caller that hangs up cancels what it waits for. A change of configuration is therefore seen through in a task of
    /// its own: committed but not forgotten here, it would leave the old rules in force.
    pub(crate) async fn commit(&self, write: Write) -> Result<(), Error> {
        let configuration = write.changes.iter().any(Change::is_configuration);
        let access = write.changes.iter().any(Change::is_access);
        if !configuration && !access {
            return Ok(self.0.store.commit(write).await?);
        }
        let authority = self.clone();
        let commit = tokio::spawn(async move {
            let committed = authority.0.store.commit(write).await;
            if configuration {
                authority.0.forget_configuration();
            }
            if access {
                authority.0.access.clear();
            }
            committed
        });
        Ok(commit.await.map_err(Error::internal)??)
    }

    /// A record of the server's own doing.
    pub(crate) fn system_audit(&self, event: AuditEvent, details: serde_json::Value) -> AuditRecord {
        system_record(self.now(), event, details)
    }

    /// Makes the project's key usable here; another node may have created the project.
    pub(crate) async fn ensure_project_key(&self, project: ProjectId) -> Result<(), Error> {
        if self.0.sealer.has_project_key(project) {
            return Ok(());
        }
        let Some(wrapped) = self.0.reader.meta(&project_key_name(project)).await? else {
            return Err(Error::internal(format!("project {project} has no key")));
        };
        self.0.sealer.install_project_key(project, &wrapped).map_err(Error::internal)
    }

    /// Writes down that somebody asked for what they may not have.
    pub async fn record_denied(
        &self,
        requester: &Requester,
        permission: Permission,
        request_id: &str,
    ) -> Result<(), Error> {
        let record = AuditRecord {
            time: self.now(),
            project_id: Some(requester.project_id()),
            actor: requester.actor().clone(),
            event: AuditEvent::AccessDenied,
            outcome: Outcome::Denied,
            object: None,
            request_id: request_id.to_owned(),
            details: serde_json::json!({ "action": permission.action(), "subject": permission.subject() }),
        };
        self.commit(Write::default().audited(record)).await
    }

    /// On PostgreSQL another node may change configuration: its version is looked at every second.
    fn watch_configuration(&self) {
        let weak = Arc::downgrade(&self.0);
        tokio::spawn(async move {
            let mut seen = None;
            loop {
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                let Some(inner) = weak.upgrade() else { return };
                match inner.reader.config_version().await {
                    Ok(version) => {
                        // The first look forgets as well: what changed before it was seen by nobody.
                        if seen.replace(version) != Some(version) {
                            inner.forget_configuration();
                            inner.access.clear();
                        }
                    }
                    // What cannot be checked must not be trusted: without the version, read again.
                    Err(_) => {
                        inner.forget_configuration();
                        inner.access.clear();
                    }
                }
            }
        });
    }
}

/// Name of the store's record that holds a project's wrapped key.
pub(crate) fn project_key_name(project: ProjectId) -> String {
    format!("project-key/{project}")
}

/// Opens the root key, or makes it together with the default project on a fresh store.
async fn open_sealer(
    store: &Store,
    kek: &Kek,
    clock: &dyn Clock,
    random: &dyn Randomness,
) -> Result<Sealer, OpenError> {
    if let Some(wrapped) = store.reader().meta(ROOT_KEY).await? {
        return Ok(Sealer::open(kek, &wrapped)?);
    }
    let now = clock.now();
    let (sealer, wrapped) = Sealer::initialise(kek, random);
    let project = Project {
        id: ProjectId::generate(now, random),
        name: "Default".to_owned(),
        slug: DEFAULT_PROJECT_SLUG.to_owned(),
        description: None,
        created_at: now,
        updated_at: now,
    };
    let project_key = sealer.new_project_key(project.id, random);
    let write = Write::default()
        .with(Change::InsertMeta { key: ROOT_KEY.to_owned(), value: wrapped })
        .with(Change::InsertMeta { key: project_key_name(project.id), value: project_key })
        .with(Change::InsertProject(project))
        .audited(system_record(now, AuditEvent::ServerInitialized, serde_json::json!({})));
    match store.commit(write).await {
        Ok(()) => Ok(sealer),
        // Another node was first; its root key is the one.
        Err(StoreError::Conflict(_)) => match store.reader().meta(ROOT_KEY).await? {
            Some(wrapped) => Ok(Sealer::open(kek, &wrapped)?),
            None => Err(OpenError::Inconsistent("the root key vanished while it was made".to_owned())),
        },
        Err(error) => Err(error.into()),
    }
}

fn system_record(now: Timestamp, event: AuditEvent, details: serde_json::Value) -> AuditRecord {
    AuditRecord {
        time: now,
        project_id: None,
        actor: Actor {
            id: ActorId::System,
            name: "chancery".to_owned(),
            method: "system".to_owned(),
            ip: String::new(),
        },
        event,
        outcome: Outcome::Success,
        object: None,
        request_id: String::new(),
        details,
    }
}

/// Text of a peer address as the audit log keeps it.
pub(crate) fn ip_text(ip: IpAddr) -> String {
    ip.to_canonical().to_string()
}
