//! What issuance needs again and again, kept in memory: profiles with their compiled template and opened issuer.
//!
//! Every configuration change empties the cache before the change is acknowledged. A load that began before such a
//! change must not put its stale result back, so entries carry the generation they were loaded under.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use chancery_model::application::ApplicationProfile;
use chancery_model::authority::CaStatus;
use chancery_model::profile::{CertificateProfile, ProfileIssuer};
use chancery_model::template::CertificateTemplate;
use chancery_model::{CaId, ProfileId, ProjectId, TemplateId};

use crate::Authority;
use crate::error::Error;
use crate::hierarchy::{ExternalIssuer, IssuedBy, Issuer};
use crate::template::Template;

/// A template as it is stored, and compiled.
pub(crate) struct TemplateInForce {
    pub record: CertificateTemplate,
    pub rules: Template,
}

/// All that a request against one profile is measured with.
pub(crate) struct ProfileInForce {
    pub profile: CertificateProfile,
    pub template: Arc<TemplateInForce>,
    pub issued_by: IssuedBy,
    /// The applications that the profile is attached to.
    pub attachments: Vec<Arc<ApplicationProfile>>,
}

#[derive(Default)]
pub(crate) struct Cache {
    generation: AtomicU64,
    profiles: RwLock<HashMap<(ProjectId, ProfileId), Arc<ProfileInForce>>>,
    templates: RwLock<HashMap<(ProjectId, TemplateId), Arc<TemplateInForce>>>,
    issuers: RwLock<HashMap<(ProjectId, CaId), Arc<Issuer>>>,
}

/// Entries per map; beyond that the map is emptied, which only costs a few loads.
const ENTRIES_MAX: usize = 10_000;

impl Cache {
    /// All three at once: a load that saw the new generation must not find a template or issuer of the old one.
    pub fn clear(&self) {
        let (mut profiles, mut templates, mut issuers) =
            (write(&self.profiles), write(&self.templates), write(&self.issuers));
        self.generation.fetch_add(1, Ordering::SeqCst);
        profiles.clear();
        templates.clear();
        issuers.clear();
    }

    fn keep<K: Eq + std::hash::Hash, V>(
        &self,
        map: &RwLock<HashMap<K, Arc<V>>>,
        generation: u64,
        key: K,
        value: &Arc<V>,
    ) {
        let mut map = write(map);
        if self.generation.load(Ordering::SeqCst) != generation {
            return;
        }
        if map.len() >= ENTRIES_MAX {
            map.clear();
        }
        map.insert(key, Arc::clone(value));
    }
}

impl Authority {
    /// The profile with its template and issuer. An issuer that cannot sign now is an error here.
    pub(crate) async fn profile_in_force(
        &self,
        project: ProjectId,
        id: ProfileId,
    ) -> Result<Arc<ProfileInForce>, Error> {
        let cache = self.cache();
        if let Some(found) = read(&cache.profiles).get(&(project, id)) {
            return Ok(Arc::clone(found));
        }
        let generation = cache.generation.load(Ordering::SeqCst);
        let profile =
            self.reader().profile(project, id).await?.ok_or_else(|| Error::not_found("Certificate profile", id))?;
        let template = self.template_in_force(project, profile.template_id).await?;
        let issued_by = match profile.issuer {
            ProfileIssuer::Ca(ca) => self.issued_by(project, ca).await?,
            ProfileIssuer::SelfSigned => IssuedBy::Itself,
        };
        let attachments = self.reader().applications_of_profile(id).await?.into_iter().map(Arc::new).collect();
        let loaded = Arc::new(ProfileInForce { profile, template, issued_by, attachments });
        cache.keep(&cache.profiles, generation, (project, id), &loaded);
        Ok(loaded)
    }

    pub(crate) async fn template_in_force(
        &self,
        project: ProjectId,
        id: TemplateId,
    ) -> Result<Arc<TemplateInForce>, Error> {
        let cache = self.cache();
        if let Some(found) = read(&cache.templates).get(&(project, id)) {
            return Ok(Arc::clone(found));
        }
        let generation = cache.generation.load(Ordering::SeqCst);
        let record =
            self.reader().template(project, id).await?.ok_or_else(|| Error::not_found("Certificate policy", id))?;
        let rules = Template::compile(&record.rules).map_err(|problems| {
            let text: Vec<_> = problems.iter().map(|it| format!("{}: {}", it.field, it.message)).collect();
            Error::internal(format!("stored template {id} does not compile: {}", text.join("; ")))
        })?;
        let loaded = Arc::new(TemplateInForce { record, rules });
        cache.keep(&cache.templates, generation, (project, id), &loaded);
        Ok(loaded)
    }

    /// Whichever kind of CA has this id. Refused unless it is active.
    async fn issued_by(&self, project: ProjectId, id: CaId) -> Result<IssuedBy, Error> {
        let Some(ca) = self.reader().external_ca(project, id).await? else {
            return Ok(IssuedBy::Ca(self.issuer(project, id).await?));
        };
        if ca.status != CaStatus::Active {
            return Err(Error::malformed(
                "ca.not_active",
                "caId",
                format!("the certificate authority '{}' is {}, so it is not asked", ca.name, ca.status.as_str()),
            ));
        }
        let capabilities = self.implementation(ca.kind())?.capabilities();
        Ok(IssuedBy::External(Arc::new(ExternalIssuer { ca, capabilities })))
    }

    /// The issuer of a CA: its current certificate and its opened signing key. Refused unless the CA is active.
    pub(crate) async fn issuer(&self, project: ProjectId, id: CaId) -> Result<Arc<Issuer>, Error> {
        let cache = self.cache();
        if let Some(found) = read(&cache.issuers).get(&(project, id)) {
            return Ok(Arc::clone(found));
        }
        let generation = cache.generation.load(Ordering::SeqCst);
        let loaded = Arc::new(self.load_issuer(project, id).await?);
        cache.keep(&cache.issuers, generation, (project, id), &loaded);
        Ok(loaded)
    }
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
