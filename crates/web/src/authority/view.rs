//! One internal CA as its page shows it.

use chancery_authority::Authority;
use chancery_authority::status::StatusKind;
use chancery_model::authority::{CaCertificate, CaLevel, CertificationAuthority};
use chancery_model::crl::Crl;
use chancery_model::page::PageRequest;
use chancery_model::{KeyId, Timestamp};
use chancery_pkix::{Certificate, ExtensionDescription, describe_extensions};
use chancery_store::ProfileFilter;

use super::tree::{Badge, level_word, states, told, validity};
use crate::error::WebError;
use crate::visit::Visit;

/// Profiles that are named on the page.
const PROFILES_SHOWN: u32 = 20;

#[derive(Debug)]
pub(super) struct CaView {
    pub ca: CertificationAuthority,
    pub href: String,
    pub kind: &'static str,
    pub badges: Vec<Badge>,
    pub key_algorithm: &'static str,
    pub signature_algorithm: &'static str,
    pub current: Option<Current>,
    /// Newest first.
    pub certificates: Vec<CertificateRow>,
    /// The root first, this CA last.
    pub chain: Vec<Link>,
    pub crls: Vec<CrlRow>,
    pub ocsp_url: Option<String>,
    /// Of the key in force; absent: none yet.
    pub responder_until: Option<Timestamp>,
    pub has_repository: bool,
    pub below: Vec<Link>,
    pub profiles: Vec<Link>,
    pub direct_template: Option<Link>,
    /// Who signs the next certificate, in words.
    pub signer: Option<Link>,
    pub next_renewal: Option<Timestamp>,
    /// Whether its next certificate can be made here.
    pub is_signed_here: bool,
}

/// A name, and where it leads if it leads anywhere.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub text: String,
    pub href: Option<String>,
}

/// The certificate in force.
#[derive(Debug)]
pub(super) struct Current {
    pub subject: String,
    pub issuer: String,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    pub serial_number: String,
    pub fingerprint: String,
    pub path_length: Option<u8>,
    pub permitted: Vec<String>,
    pub excluded: Vec<String>,
    pub extensions: Vec<ExtensionDescription>,
    /// How much of its life is over, in thousandths.
    pub spent: i64,
    /// Where the renewal stands in it, in thousandths.
    pub renewal: Option<i64>,
}

#[derive(Debug)]
pub(super) struct CertificateRow {
    pub id: String,
    pub version: i64,
    pub serial_number: String,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    pub state: Badge,
    pub is_current: bool,
    /// Over the key that signs now.
    pub has_current_key: bool,
    /// Whether a CA here signed it, so that it can be revoked here.
    pub is_revocable: bool,
}

#[derive(Debug)]
pub(super) struct CrlRow {
    pub id: String,
    pub name: String,
    pub number: i64,
    pub this_update: Option<Timestamp>,
    pub next_update: Option<Timestamp>,
    pub entries: u64,
    pub url: Option<String>,
    pub delta_url: Option<String>,
    pub is_of_current_key: bool,
}

impl CaView {
    pub async fn read(authority: &Authority, visit: &Visit, ca: CertificationAuthority) -> Result<Self, WebError> {
        let reader = authority.reader();
        let certificates = reader.ca_certificates(ca.id).await?;
        let current = certificates.iter().find(|it| Some(it.id) == ca.active_certificate);
        let health = authority.status_health().await?;
        let next_renewal = authority.next_ca_renewal(ca.id).await?;
        let mut badges = states(&ca, current, visit.now);
        badges.extend(current.iter().flat_map(|_| told(ca.id, &health, visit.now)));
        let own_key = ca.key_id.as_uuid();
        let crls = reader.crls_of(ca.id).await?;
        Ok(Self {
            href: super::href(ca.id),
            kind: level_word(ca.configuration.level),
            badges,
            key_algorithm: ca.configuration.key_algorithm.policy_str(),
            signature_algorithm: signature(&ca),
            current: current.map(|it| Current::of(it, &ca, next_renewal, visit.now)),
            chain: chain(authority, visit, &ca, current).await?,
            crls: crls.iter().map(|it| CrlRow::of(authority, it, ca.key_id)).collect(),
            ocsp_url: authority.ocsp_url(ca.id).filter(|_| ca.configuration.status.ocsp),
            responder_until: health
                .iter()
                .find(|it| it.kind == StatusKind::OcspResponder && it.object == own_key)
                .and_then(|it| it.lapses_at),
            has_repository: authority.repository_url().is_some(),
            below: below(authority, visit, &ca).await?,
            profiles: profiles_of(authority, visit, ca.id).await?,
            direct_template: direct_template(authority, visit, &ca).await?,
            signer: signer(authority, visit, &ca, current).await?,
            next_renewal,
            is_signed_here: match current {
                Some(current) => ca.is_signed_here(current),
                None => ca.configuration.level == CaLevel::Root,
            },
            certificates: certificates.iter().rev().map(|it| CertificateRow::of(it, &ca, visit.now)).collect(),
            ca,
        })
    }

    /// As people call it.
    pub fn title(&self) -> String {
        let configuration = &self.ca.configuration;
        if configuration.common_name.is_empty() { self.ca.name.clone() } else { configuration.common_name.clone() }
    }

    pub fn is_root(&self) -> bool {
        self.ca.configuration.level == CaLevel::Root
    }

    /// Whether its path length leaves room for a CA below it (RFC 5280 §4.2.1.9).
    pub fn may_sign_cas(&self) -> bool {
        self.current.as_ref().is_some_and(|it| it.path_length != Some(0))
    }

    pub fn is_in_use(&self) -> bool {
        !self.below.is_empty() || !self.profiles.is_empty()
    }
}

fn signature(ca: &CertificationAuthority) -> &'static str {
    let configuration = &ca.configuration;
    configuration.signature_algorithm.unwrap_or_else(|| configuration.key_algorithm.default_signature()).as_str()
}

impl Current {
    fn of(from: &CaCertificate, ca: &CertificationAuthority, renewal: Option<Timestamp>, now: Timestamp) -> Self {
        let parsed = Certificate::from_der(&from.der).ok();
        let name = |name: Option<String>| name.unwrap_or_else(|| ca.configuration.common_name.clone());
        let (start, end) = (from.not_before.as_seconds(), from.not_after.as_seconds());
        let thousandths = |at: Timestamp| ((at.as_seconds() - start) * 1_000 / (end - start).max(1)).clamp(0, 1_000);
        let constraints = parsed.as_ref().and_then(|it| it.extensions().name_constraints.clone()).unwrap_or_default();
        Self {
            subject: name(parsed.as_ref().and_then(|it| it.subject().ok()).map(|it| it.to_string())),
            issuer: name(parsed.as_ref().and_then(|it| it.issuer().ok()).map(|it| it.to_string())),
            not_before: from.not_before,
            not_after: from.not_after,
            serial_number: from.serial_number.clone(),
            fingerprint: parsed.as_ref().map(|it| hex::encode(it.fingerprint_sha256())).unwrap_or_default(),
            path_length: from.path_length,
            permitted: constraints
                .permitted
                .iter()
                .map(|it| format!("{}: {}", it.kind().label(), it.value()))
                .collect(),
            excluded: constraints.excluded.iter().map(|it| format!("{}: {}", it.kind().label(), it.value())).collect(),
            extensions: describe_extensions(&from.der),
            spent: thousandths(now),
            renewal: renewal.map(thousandths),
        }
    }
}

impl CertificateRow {
    fn of(from: &CaCertificate, ca: &CertificationAuthority, now: Timestamp) -> Self {
        Self {
            id: from.id.to_string(),
            version: from.version,
            serial_number: from.serial_number.clone(),
            not_before: from.not_before,
            not_after: from.not_after,
            state: validity(from, now),
            is_current: ca.active_certificate == Some(from.id),
            has_current_key: from.key_id == ca.key_id,
            is_revocable: from.parent_certificate_id.is_some(),
        }
    }
}

impl CrlRow {
    fn of(authority: &Authority, from: &Crl, current: KeyId) -> Self {
        let published = from.complete;
        Self {
            id: from.id.to_string(),
            name: match from.partition {
                0 => "Complete CRL".to_owned(),
                partition => format!("Partition {partition}"),
            },
            number: published.map_or(0, |it| it.number),
            this_update: published.map(|it| it.this_update),
            next_update: published.map(|it| it.next_update),
            entries: published.map_or(0, |it| it.entries),
            url: authority.crl_url(from.id, false),
            delta_url: from.delta.and_then(|_| authority.crl_url(from.id, true)),
            is_of_current_key: from.key_id == current,
        }
    }
}

/// From the root down to this CA. A certificate above that belongs to a CA here leads to it.
async fn chain(
    authority: &Authority,
    visit: &Visit,
    ca: &CertificationAuthority,
    current: Option<&CaCertificate>,
) -> Result<Vec<Link>, WebError> {
    let Some(current) = current else { return Ok(Vec::new()) };
    let mut here = Vec::new();
    for one in authority.reader().cas(visit.call.project_id()).await? {
        if let Some(certificate) = super::current(authority, &one).await? {
            here.push((certificate.der, one.id));
        }
    }
    let link = |der: &Vec<u8>| {
        let name = Certificate::from_der(der).ok().and_then(|it| it.subject().ok()).map(|it| it.to_string());
        let known = here.iter().find(|(known, id)| known == der && *id != ca.id);
        Link {
            text: name.unwrap_or_else(|| "Unreadable certificate".to_owned()),
            href: known.map(|it| super::href(it.1)),
        }
    };
    Ok(current.chain.iter().rev().map(link).chain([link(&current.der)]).collect())
}

async fn below(authority: &Authority, visit: &Visit, ca: &CertificationAuthority) -> Result<Vec<Link>, WebError> {
    let mut below = Vec::new();
    for one in authority.reader().cas(visit.call.project_id()).await? {
        let certificate = super::current(authority, &one).await?;
        let is_below = certificate.is_some_and(|it| it.parent_ca_id == Some(ca.id));
        if is_below && one.id != ca.id {
            below.push(Link { text: one.name, href: Some(super::href(one.id)) });
        }
    }
    Ok(below)
}

/// Profiles that issue by a CA of either kind.
pub(crate) async fn profiles_of(
    authority: &Authority,
    visit: &Visit,
    ca: chancery_model::CaId,
) -> Result<Vec<Link>, WebError> {
    let filter = ProfileFilter { ca_id: Some(ca), ..ProfileFilter::default() };
    let first = PageRequest { offset: 0, limit: PROFILES_SHOWN, cursor: None };
    let found = authority.reader().profiles(visit.call.project_id(), &filter, &first).await?;
    let link = |it: chancery_model::profile::CertificateProfile| Link {
        href: Some(format!("/ui/profiles/{}", it.id)),
        text: it.slug,
    };
    Ok(found.items.into_iter().map(link).collect())
}

async fn direct_template(
    authority: &Authority,
    visit: &Visit,
    ca: &CertificationAuthority,
) -> Result<Option<Link>, WebError> {
    let Some(id) = ca.direct_issuance_template else { return Ok(None) };
    let template = authority.reader().template(visit.call.project_id(), id).await?;
    Ok(template.map(|it| Link { text: it.name, href: Some(format!("/ui/templates/{id}")) }))
}

async fn signer(
    authority: &Authority,
    visit: &Visit,
    ca: &CertificationAuthority,
    current: Option<&CaCertificate>,
) -> Result<Option<Link>, WebError> {
    if ca.configuration.level == CaLevel::Root {
        return Ok(Some(Link { text: "Itself".to_owned(), href: None }));
    }
    let project = visit.call.project_id();
    let settings = ca.configuration.signing.as_ref();
    let parent = match current {
        Some(current) => ca.signer(current),
        None => settings.and_then(|it| it.parent_ca_id),
    };
    if let Some(parent) = parent {
        let found = authority.reader().ca(project, parent).await?;
        return Ok(found.map(|it| Link { text: it.name, href: Some(super::href(it.id)) }));
    }
    if let Some(outside) = settings.and_then(|it| it.outside.as_ref()) {
        let connection = authority.reader().connection(project, outside.connection_id).await?;
        let name = connection.map_or_else(|| "a connection that is gone".to_owned(), |it| it.name);
        return Ok(Some(Link {
            text: format!("{} by {name}", outside.mount),
            href: Some(crate::connection::href(outside.connection_id)),
        }));
    }
    Ok(Some(Link { text: "A CA elsewhere".to_owned(), href: None }))
}
