//! The hierarchy as a tree: who signed whom, how each CA is, and what it needs.

use std::collections::HashMap;

use chancery_authority::Authority;
use chancery_authority::status::{StatusHealth, StatusKind};
use chancery_model::authority::{CaCertificate, CaLevel, CaStatus, CertificationAuthority};
use chancery_model::certificate::RevocationReason;
use chancery_model::external::{ExternalCa, ExternalConfiguration};
use chancery_model::{CaId, Timestamp};

use crate::error::WebError;
use crate::visit::Visit;

/// Words of a state, and what colour they have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Badge {
    pub tone: &'static str,
    pub text: String,
}

impl Badge {
    pub fn new(tone: &'static str, text: impl Into<String>) -> Self {
        Self { tone, text: text.into() }
    }
}

/// One stroke of the drawing, in the order in which a page writes it.
#[derive(Debug)]
pub(super) enum Stroke {
    /// Those below begin.
    Down,
    Up,
    Node(Box<Node>),
    /// The node and all below it are drawn.
    Done,
}

#[derive(Debug)]
pub(super) struct Node {
    pub href: String,
    pub name: String,
    pub common_name: String,
    pub kind: &'static str,
    pub not_after: Option<Timestamp>,
    pub badges: Vec<Badge>,
    pub is_waiting: bool,
}

#[derive(Debug)]
pub(super) struct ExternalNode {
    pub href: String,
    pub name: String,
    pub kind: &'static str,
    /// Whom it is asked at.
    pub place: String,
    pub state: Badge,
}

/// More levels than any chain has; a circle that should not be there ends here.
const LEVELS_MAX: usize = 32;

pub(super) async fn drawn(authority: &Authority, visit: &Visit) -> Result<(Vec<Stroke>, Vec<ExternalNode>), WebError> {
    let project = visit.call.project_id();
    let mut above: HashMap<Option<CaId>, Vec<Node2>> = HashMap::new();
    let health = authority.status_health().await?;
    let cas = authority.reader().cas(project).await?;
    let known: Vec<CaId> = cas.iter().map(|it| it.id).collect();
    for ca in cas {
        let certificate = super::current(authority, &ca).await?;
        let parent = parent_of(&ca, certificate.as_ref()).filter(|it| known.contains(it) && *it != ca.id);
        let node = node(&ca, certificate.as_ref(), &health, visit.now);
        above.entry(parent).or_default().push((ca.id, node));
    }
    let mut strokes = Vec::new();
    draw(None, &mut above, 0, &mut strokes);
    // Whatever stands in a circle is drawn all the same.
    let mut rest: Vec<Node2> = above.into_values().flatten().collect();
    rest.sort_by(|one, other| one.1.name.cmp(&other.1.name));
    for (_, node) in rest {
        strokes.extend([Stroke::Node(Box::new(node)), Stroke::Done]);
    }
    let external = authority.reader().external_cas(project).await?;
    Ok((strokes, external.iter().map(external_node).collect()))
}

type Node2 = (CaId, Node);

fn draw(parent: Option<CaId>, above: &mut HashMap<Option<CaId>, Vec<Node2>>, level: usize, strokes: &mut Vec<Stroke>) {
    let Some(mut below) = above.remove(&parent).filter(|_| level < LEVELS_MAX) else { return };
    below.sort_by(|one, other| one.1.name.cmp(&other.1.name));
    if level > 0 {
        strokes.push(Stroke::Down);
    }
    for (id, node) in below {
        strokes.push(Stroke::Node(Box::new(node)));
        draw(Some(id), above, level + 1, strokes);
        strokes.push(Stroke::Done);
    }
    if level > 0 {
        strokes.push(Stroke::Up);
    }
}

/// Who signed the certificate in force; before there is one, who is to sign it.
fn parent_of(ca: &CertificationAuthority, certificate: Option<&CaCertificate>) -> Option<CaId> {
    match certificate {
        Some(certificate) => certificate.parent_ca_id,
        None => ca.configuration.signing.as_ref().and_then(|it| it.parent_ca_id),
    }
}

fn node(
    ca: &CertificationAuthority,
    certificate: Option<&CaCertificate>,
    health: &[StatusHealth],
    now: Timestamp,
) -> Node {
    let mut badges = states(ca, certificate, now);
    if certificate.is_some() {
        badges.extend(told(ca.id, health, now));
    }
    Node {
        href: super::href(ca.id),
        name: ca.name.clone(),
        common_name: ca.configuration.common_name.clone(),
        kind: level_word(ca.configuration.level),
        not_after: certificate.map(|it| it.not_after),
        badges,
        is_waiting: certificate.is_none(),
    }
}

pub(super) const fn level_word(level: CaLevel) -> &'static str {
    match level {
        CaLevel::Root => "Root CA",
        CaLevel::Intermediate => "Intermediate CA",
    }
}

/// Whether it can sign, and how long still.
pub(super) fn states(ca: &CertificationAuthority, certificate: Option<&CaCertificate>, now: Timestamp) -> Vec<Badge> {
    let mut badges = Vec::new();
    match (ca.status, certificate) {
        (_, None) => badges.push(Badge::new("warn", "Waits for its certificate")),
        (CaStatus::Disabled, Some(_)) => badges.push(Badge::new("", "Disabled")),
        (_, Some(it)) => badges.push(validity(it, now)),
    }
    if ca.last_renewal.as_ref().is_some_and(|it| !it.success) {
        badges.push(Badge::new("bad", "Last renewal failed"));
    }
    badges
}

pub(super) fn validity(it: &CaCertificate, now: Timestamp) -> Badge {
    let life = it.not_after.as_seconds() - it.not_before.as_seconds();
    let left = it.not_after.as_seconds() - now.as_seconds();
    match it.revocation {
        Some(revocation) if revocation.reason == RevocationReason::CertificateHold => Badge::new("bad", "On hold"),
        Some(_) => Badge::new("bad", "Revoked"),
        None if left < 0 => Badge::new("bad", "Expired"),
        // A fifth of its life, and half a year at most: time enough to renew everything below it as well.
        None if left < (life / 5).min(180 * 86_400) => Badge::new("warn", "Ends soon"),
        None => Badge::new("good", "Active"),
    }
}

/// Whether what it tells about revocation is up to date.
pub(super) fn told(ca: CaId, health: &[StatusHealth], now: Timestamp) -> Vec<Badge> {
    let badge = |kind: StatusKind, word: &str| {
        let mut all = health.iter().filter(|it| it.ca_id == ca && it.kind == kind).peekable();
        all.peek()?;
        let ends: Vec<Option<Timestamp>> = all.map(|it| it.lapses_at).collect();
        Some(if ends.iter().flatten().any(|at| *at < now) {
            Badge::new("bad", format!("{word} has lapsed"))
        } else if ends.contains(&None) {
            Badge::new("info", format!("{word} is being made"))
        } else {
            Badge::new("good", format!("{word} is current"))
        })
    };
    let both = [badge(StatusKind::Crl, "CRL"), badge(StatusKind::OcspResponder, "OCSP")];
    both.into_iter().flatten().collect()
}

fn external_node(ca: &ExternalCa) -> ExternalNode {
    ExternalNode {
        href: crate::external::href(ca.id),
        name: ca.name.clone(),
        kind: crate::external::kind_title(ca.kind()),
        place: match &ca.configuration {
            ExternalConfiguration::Acme(it) => it.directory_url.clone(),
            ExternalConfiguration::Digicert(it) => format!("Product {}", it.product_name_id),
            ExternalConfiguration::Vault(it) => format!("{}, role {}", it.mount, it.role),
        },
        state: external_state(ca.status),
    }
}

pub(crate) fn external_state(status: CaStatus) -> Badge {
    match status {
        CaStatus::Active => Badge::new("good", "Active"),
        CaStatus::Disabled | CaStatus::PendingCertificate => Badge::new("", "Disabled"),
    }
}

#[cfg(test)]
mod tests {
    use chancery_model::CrlId;

    use super::*;

    #[test]
    fn what_a_ca_tells_about_revocation_is_judged_by_its_worst() {
        let (ca, now) = (CaId::from_uuid(uuid::Uuid::from_u128(1)), Timestamp::from_seconds(1_000));
        let check = |ends: &[Option<i64>], expected: &[&str]| {
            let health: Vec<StatusHealth> = ends
                .iter()
                .map(|end| StatusHealth {
                    kind: StatusKind::Crl,
                    ca_id: ca,
                    object: CrlId::from_uuid(uuid::Uuid::nil()).as_uuid(),
                    lapses_at: end.map(Timestamp::from_seconds),
                })
                .collect();
            let words: Vec<String> = told(ca, &health, now).into_iter().map(|it| it.text).collect();
            assert_eq!(words, expected, "{ends:?}");
        };
        check(&[], &[]);
        check(&[Some(1_001), Some(2_000)], &["CRL is current"]);
        check(&[Some(1_001), None], &["CRL is being made"]);
        check(&[None, Some(999)], &["CRL has lapsed"]);
    }
}
