//! Which CRLs a CA key has: the complete one always, and one for each partition that the settings ask for.

use chancery_model::authority::{CaCertificate, CertificationAuthority};
use chancery_model::crl::Crl;
use chancery_model::job::{JobKey, JobKind, NewJob};
use chancery_model::{CrlId, KeyId, ProjectId, Randomness, Timestamp};
use chancery_store::{Change, Write};
use uuid::Uuid;

use crate::Authority;
use crate::error::Error;

/// The changes that give a CA key its CRLs and its OCSP responder. Those that are there already stay as they are, so this
/// is right after a change of settings too.
pub(crate) fn crls_for_key(
    authority: &Authority,
    ca: &CertificationAuthority,
    key_id: KeyId,
    now: Timestamp,
) -> Vec<Change> {
    let partitions = ca.configuration.status.crl_partitions;
    let last = if partitions > 1 { partitions } else { 0 };
    let mut changes: Vec<Change> = (0..=last)
        .map(|partition| Change::InsertCrl(Box::new(fresh(ca, key_id, partition, now, authority.random()))))
        .collect();
    changes.push(Change::ScheduleJob(responder_job(ca, key_id, now)));
    changes
}

fn fresh(ca: &CertificationAuthority, key_id: KeyId, partition: u32, now: Timestamp, random: &dyn Randomness) -> Crl {
    Crl {
        id: CrlId::generate(now, random),
        project_id: ca.project_id,
        ca_id: ca.id,
        key_id,
        partition,
        number: 0,
        base_number: 0,
        base_this_update: None,
        previous_base: None,
        complete: None,
        delta: None,
        created_at: now,
    }
}

fn responder_job(ca: &CertificationAuthority, key_id: KeyId, now: Timestamp) -> NewJob {
    due(JobKind::RotateResponder, key_id.as_uuid(), ca.project_id, now)
}

fn due(kind: JobKind, object: Uuid, project_id: ProjectId, now: Timestamp) -> NewJob {
    NewJob { key: JobKey { kind, object }, project_id, due_at: now, deadline: now }
}

impl Authority {
    /// Takes up again what ended when the CA's certificate ended or was revoked: the CRL after which none was to come, and
    /// the renewal of the responder. For a key whose certificate is renewed, or comes off hold.
    pub(crate) async fn status_resumed(&self, certificate: &CaCertificate) -> Result<Vec<Change>, Error> {
        let (key, project, now) = (certificate.key_id, certificate.project_id, self.now());
        let mut jobs = vec![due(JobKind::RotateResponder, key.as_uuid(), project, now)];
        jobs.extend(
            self.reader()
                .crls_of_key(key)
                .await?
                .iter()
                .map(|it| due(JobKind::PublishCrl, it.id.as_uuid(), project, now)),
        );
        let mut changes = Vec::new();
        for job in jobs {
            if self.reader().job(job.key).await?.is_none() {
                changes.push(Change::ScheduleJob(job));
            }
        }
        Ok(changes)
    }

    /// Gives every CA key that has none its CRLs: those of a database that an earlier version wrote.
    pub(crate) async fn ensure_crls(&self) -> Result<(), Error> {
        let known: std::collections::HashSet<KeyId> =
            self.reader().all_crls().await?.into_iter().map(|crl| crl.key_id).collect();
        for project in self.reader().projects().await? {
            for ca in self.reader().cas(project.id).await? {
                let certificates = self.reader().ca_certificates(ca.id).await?;
                let keys: std::collections::BTreeSet<KeyId> = certificates.iter().map(|it| it.key_id).collect();
                for key in keys.into_iter().filter(|key| !known.contains(key)) {
                    let changes = crls_for_key(self, &ca, key, self.now());
                    self.commit(Write { changes, audit: Vec::new() }).await?;
                }
            }
        }
        Ok(())
    }
}
