//! 400 random writes in random groups, against a model in memory.

use std::collections::BTreeMap;

use chancery_model::audit::AuditEvent;
use chancery_model::certificate::{Revocation, RevocationReason};
use chancery_model::template::CertificateTemplate;
use chancery_model::{CertificateId, TemplateId};
use chancery_store::{Change, Write};

use crate::group::{ids, insert, together, verified};
use crate::world::{NOW, World};

/// What the store must remember.
#[derive(Default)]
struct Model {
    /// Name and version.
    templates: BTreeMap<TemplateId, (String, i64)>,
    /// The successor, if it is renewed, and whether it is revoked.
    certificates: BTreeMap<CertificateId, (Option<CertificateId>, bool)>,
}

/// A write and what the model says of it.
enum Step {
    NewTemplate(Box<CertificateTemplate>),
    ChangeTemplate { id: TemplateId, name: String, to: i64, expected: i64 },
    Issue(CertificateId),
    Renew { old: CertificateId, by: CertificateId },
    Revoke(CertificateId),
}

impl Model {
    /// Takes the step; false if a rule of the store refuses it.
    fn take(&mut self, step: Step) -> bool {
        match step {
            Step::NewTemplate(it) => {
                let is_free = !self.templates.values().any(|(name, _)| *name == it.name);
                if is_free {
                    self.templates.insert(it.id, (it.name, 1));
                }
                is_free
            }
            Step::ChangeTemplate { id, name, to, expected } => {
                let is_current = self.templates.get(&id).is_some_and(|(_, version)| *version == expected);
                if is_current {
                    self.templates.insert(id, (name, to));
                }
                is_current
            }
            Step::Issue(id) => self.certificates.insert(id, (None, false)).is_none(),
            Step::Renew { old, by } => {
                let is_first = self.certificates.get(&old) == Some(&(None, false));
                if is_first {
                    self.certificates.insert(old, (Some(by), false));
                    self.certificates.insert(by, (None, false));
                }
                is_first
            }
            Step::Revoke(id) => self.certificates.get_mut(&id).is_some_and(|it| !std::mem::replace(&mut it.1, true)),
        }
    }
}

/// The `index`-th write of a round. Each object occurs once in a round, but for new templates, of which two and two want
/// the same name: the order within a group stays the order of the calls.
fn step(world: &World, model: &Model, round: usize, index: usize) -> (Write, Step) {
    let record = world.record(AuditEvent::CertificateUpdated, world.id());
    let dice = world.hash()[0];
    let write = Write::default().audited(record);
    let certificate = world.certificate("random", &["random.acme.com"]);
    let id = certificate.id;
    match (dice % 5, model.templates.iter().nth(index), model.certificates.keys().rev().nth(index)) {
        (0, _, _) => {
            let template = world.template(&format!("template-{round}-{}", index / 2));
            (write.with(Change::InsertTemplate(Box::new(template.clone()))), Step::NewTemplate(Box::new(template)))
        }
        (1, Some((id, (name, version))), _) => {
            let expected = version + i64::from(dice > 200);
            let mut template = world.template(name);
            (template.id, template.version) = (*id, version + 1);
            let update = Change::UpdateTemplate { template: Box::new(template), expected_version: expected };
            (write.with(update), Step::ChangeTemplate { id: *id, name: name.clone(), to: version + 1, expected })
        }
        (2, _, Some(old)) => {
            let mark = Change::MarkRenewed { id: *old, by: id, at: NOW };
            (write.with(mark).with(insert(&certificate)), Step::Renew { old: *old, by: id })
        }
        (3, _, Some(id)) => {
            let revocation = Revocation { at: NOW, reason: RevocationReason::CessationOfOperation };
            let revoke = Change::RevokeCertificate { id: *id, revocation, held: false, entry: None };
            (write.with(revoke), Step::Revoke(*id))
        }
        _ => (write.with(insert(&certificate)), Step::Issue(id)),
    }
}

pub async fn random_writes_agree_with_a_model(world: &mut World) {
    let mut model = Model::default();
    let mut accepted = 0;
    for round in 0..40 {
        let (writes, steps): (Vec<_>, Vec<_>) = (0..10).map(|index| step(world, &model, round, index)).unzip();
        let answers = together(world, writes).await;
        for (answer, step) in answers.iter().zip(steps) {
            let is_expected = model.take(step);
            assert_eq!(answer.is_ok(), is_expected, "round {round}: {answer:?}");
            accepted += usize::from(is_expected);
        }
    }
    assert!((100..400).contains(&accepted), "{accepted}: some steps are refused, most are not");
    assert_eq!(verified(world).await.len(), accepted);
    assert_eq!(ids(world).await, model.certificates.keys().copied().collect());
    let revoked = model.certificates.values().filter(|(_, revoked)| *revoked).count() as u64;
    let figures = world.reader().statistics(world.project.id, NOW).await.unwrap();
    assert_eq!((figures.total, figures.revoked), (model.certificates.len() as u64, revoked));
    assert_eq!((figures.active, figures.expired), (figures.total - revoked, 0));
    let current = model.certificates.values().filter(|it| **it == (None, false)).count() as u64;
    assert_eq!(figures.expiring_by_day.iter().map(|(_, count)| count).sum::<u64>(), current);
    for (id, (by, revoked)) in &model.certificates {
        let stored = world.reader().certificate(world.project.id, *id).await.unwrap().unwrap();
        assert_eq!((stored.renewal.renewed_by, stored.revocation.is_some()), (*by, *revoked));
    }
    for (id, (name, version)) in &model.templates {
        let stored = world.reader().template(world.project.id, *id).await.unwrap().unwrap();
        assert_eq!((&stored.name, stored.version), (name, *version));
    }
}
