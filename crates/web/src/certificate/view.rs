//! All that the page of a certificate shows, gathered before a word of it is written.

use chancery_authority::Authority;
use chancery_model::certificate::{Certificate, CertificateSource};
use chancery_model::permission::Permission;
use chancery_model::profile::{CertificateProfile, RenewAt};
use chancery_model::{CaCertificateId, RequestId, Timestamp};
use chancery_pkix::{ExtensionDescription, ForeignCertificate, GeneralNameKind, describe_extensions};

use super::decision::ShownDecision;
use super::history::Happening;
use super::validity::Bar;
use super::word::{self, Badge};
use crate::error::WebError;
use crate::text::host_name;
use crate::visit::Visit;

/// Certificates above one that are drawn.
const CHAIN_MAX: usize = 10;
/// Renewals shown on either side of one.
const LINE_MAX: usize = 10;

pub(super) struct View {
    pub id: String,
    /// Its own name, where people gave it another.
    pub other_name: Option<String>,
    pub is_on_hold: bool,
    /// Why it was revoked; empty if it was not.
    pub reason: &'static str,
    pub badges: Vec<Badge>,
    pub may: May,
    pub bar: Bar,
    /// Label and value; values of foreign subjects stand as one text.
    pub subject: Vec<(String, String)>,
    pub names: Vec<(&'static str, String)>,
    pub key: String,
    pub signature: String,
    /// Key usages and purposes.
    pub usages: Vec<String>,
    pub fingerprint_sha256: String,
    pub fingerprint_sha1: String,
    pub extensions: Vec<ExtensionDescription>,
    /// The root first, without the certificate itself.
    pub issuers: Vec<Issuer>,
    pub is_self_signed: bool,
    pub origin: Origin,
    pub decision: Option<ShownDecision>,
    pub renewal: Renewal,
    pub line: Vec<Relative>,
    pub history: Vec<Happening>,
}

/// What this visitor can do with it now. The core decides when it is done.
pub(super) struct May {
    pub renew: bool,
    pub revoke: bool,
    pub release: bool,
    pub edit: bool,
    /// Say when the server renews it.
    pub configure: bool,
    pub delete: bool,
}

pub(super) struct Issuer {
    pub name: String,
    pub href: Option<String>,
    /// Absent: a certificate that is not here.
    pub until: Option<Timestamp>,
}

/// Where it came from.
#[derive(Default)]
pub(super) struct Origin {
    pub is_imported: bool,
    pub ca: Option<(String, String)>,
    pub is_external: bool,
    pub profile: Option<(String, String)>,
    /// Address, name, and the version in force now.
    pub template: Option<(String, String, i64)>,
    pub application: Option<String>,
}

/// What becomes of it at its end.
pub(super) struct Renewal {
    pub due_at: Option<Timestamp>,
    pub words: String,
    /// A request to a CA elsewhere that will renew it.
    pub under_way: Option<RequestId>,
}

/// Another certificate of its line of renewals, or itself.
pub(super) struct Relative {
    pub id: String,
    pub is_this: bool,
    pub made_at: Timestamp,
    pub until: Timestamp,
    pub state: Badge,
}

impl View {
    pub async fn of(authority: &Authority, visit: &Visit, it: &Certificate) -> Result<Self, WebError> {
        let chain = authority.chain(it).await?;
        let is_self_signed = chain.first().is_some_and(|der| *der == it.der);
        let description = &it.description;
        let foreign = description.foreign.as_ref();
        let (origin, profile) = origin(authority, it).await?;
        let purposes = description.extended_key_usages.iter().map(|usage| usage.label().to_owned());
        let unknown_purposes = foreign.into_iter().flat_map(|it| it.extended_key_usages.iter().cloned());
        let history = authority.history_of(&visit.call, it.id).await?;
        Ok(Self {
            id: it.id.to_string(),
            other_name: description.common_name().map(host_name).filter(|name| *name != word::name(it)),
            is_on_hold: word::is_on_hold(it),
            reason: it.revocation.map_or("", |revocation| word::reason(revocation.reason)),
            badges: word::badges(it, visit.now),
            may: may(authority, visit, it),
            bar: Bar::of(it, visit.now),
            subject: subject(it),
            names: names(it),
            key: description.key_algorithm.map_or_else(
                || foreign.map(|it| it.key.clone()).unwrap_or_default(),
                |algorithm| algorithm.label().to_owned(),
            ),
            signature: description.signature_algorithm.map_or_else(
                || foreign.map(|it| it.signature.clone()).unwrap_or_default(),
                |algorithm| algorithm.to_string(),
            ),
            usages: description
                .key_usages
                .iter()
                .map(|usage| usage.label().to_owned())
                .chain(purposes)
                .chain(unknown_purposes)
                .collect(),
            fingerprint_sha256: hex::encode(it.fingerprint_sha256),
            fingerprint_sha1: hex::encode(chancery_pkix::certificate::fingerprint_sha1(&it.der)),
            extensions: describe_extensions(&it.der),
            issuers: issuers(authority, it, &chain, &origin).await?,
            is_self_signed,
            decision: ShownDecision::of(authority, it).await?,
            renewal: renewal(authority, it, profile.as_ref(), visit.now).await?,
            line: line(authority, it, visit.now).await?,
            history: history.iter().map(Happening::of).collect(),
            origin,
        })
    }
}

fn may(authority: &Authority, visit: &Visit, it: &Certificate) -> May {
    let may = |permission| authority.may_manage(&visit.call.requester, it, permission);
    let is_valid = it.revocation.is_none() && it.not_after >= visit.now;
    let is_revocable = it.source == CertificateSource::Issued || it.ca_id.is_some();
    let is_held = word::is_on_hold(it);
    let is_renewable = is_valid && it.profile_id.is_some() && it.renewal.renewed_by.is_none();
    May {
        renew: is_renewable && may(Permission::CertificateRenew),
        revoke: (is_valid || is_held) && is_revocable && may(Permission::CertificateRevoke),
        release: is_held && may(Permission::CertificateRevoke),
        edit: may(Permission::CertificateEdit),
        configure: is_renewable && may(Permission::CertificateEdit),
        delete: visit.may(Permission::CertificateDelete),
    }
}

fn subject(it: &Certificate) -> Vec<(String, String)> {
    if let Some(foreign) = &it.description.foreign {
        return vec![("Subject".to_owned(), foreign.subject.clone())];
    }
    let label = |kind: chancery_pkix::AttributeType| word::sentence(kind.as_str());
    it.description.subject.iter().map(|attribute| (label(attribute.kind), attribute.value.clone())).collect()
}

fn names(it: &Certificate) -> Vec<(&'static str, String)> {
    let shown = |kind: GeneralNameKind, value: &str| match kind {
        GeneralNameKind::DnsName => host_name(value),
        _ => value.to_owned(),
    };
    it.description.sans.iter().map(|(kind, value)| (kind.label(), shown(*kind, value))).collect()
}

async fn origin(authority: &Authority, it: &Certificate) -> Result<(Origin, Option<CertificateProfile>), WebError> {
    let (reader, project) = (authority.reader(), it.project_id);
    let mut origin = Origin { is_imported: it.source == CertificateSource::Imported, ..Origin::default() };
    if let Some(id) = it.ca_id
        && let Some(ca) = reader.ca_summary(project, id).await?
    {
        origin.is_external = ca.kind.is_some();
        origin.ca = Some((format!("/ui/authorities/{id}"), ca.name));
    }
    let profile = match it.profile_id {
        Some(id) => reader.profile(project, id).await?,
        None => None,
    };
    origin.profile = profile.as_ref().map(|it| (format!("/ui/profiles/{}", it.id), it.slug.clone()));
    if let Some(id) = it.template_id
        && let Some(template) = reader.template(project, id).await?
    {
        origin.template = Some((format!("/ui/templates/{id}"), template.name, template.version));
    }
    if let Some(id) = it.application_id {
        origin.application = reader.application(project, id).await?.map(|it| it.name);
    }
    Ok((origin, profile))
}

/// What stands above it, the root first. Where the chain that is here ends too early, what is missing is named.
async fn issuers(
    authority: &Authority,
    it: &Certificate,
    chain: &[Vec<u8>],
    origin: &Origin,
) -> Result<Vec<Issuer>, WebError> {
    let homes = homes(authority, it.ca_certificate_id).await?;
    let mut above: Vec<Issuer> = Vec::new();
    let mut last = ForeignCertificate::from_der(&it.der).ok();
    for der in chain.iter().filter(|der| **der != it.der).take(CHAIN_MAX) {
        let Ok(read) = ForeignCertificate::from_der(der) else { break };
        let home = homes.iter().find(|(known, _)| known == der).map(|(_, href)| href.clone());
        above.push(Issuer {
            name: shown_name(&read),
            href: home,
            until: Some(Timestamp::from_seconds(read.validity.not_after)),
        });
        last = Some(read);
    }
    if let Some(missing) = last.filter(|it| !it.is_self_issued()) {
        above.push(Issuer { name: missing.issuer_text, href: None, until: None });
    }
    // A CA that is run elsewhere has one page here, which its lowest certificate leads to.
    if let (Some(first), Some((href, _))) = (above.first_mut(), &origin.ca)
        && first.href.is_none()
    {
        first.href = Some(href.clone());
    }
    above.reverse();
    Ok(above)
}

fn shown_name(it: &ForeignCertificate) -> String {
    let common = it.subject.iter().find(|attribute| attribute.kind == chancery_pkix::AttributeType::CommonName);
    common.map_or_else(|| it.subject_text.clone(), |attribute| attribute.value.clone())
}

/// Certificates of the CAs here, from the issuing one upwards, and where their pages are.
async fn homes(authority: &Authority, mut next: Option<CaCertificateId>) -> Result<Vec<(Vec<u8>, String)>, WebError> {
    let mut homes = Vec::new();
    while let Some(id) = next
        && homes.len() < CHAIN_MAX
    {
        let Some(certificate) = authority.reader().ca_certificate(id).await? else { break };
        next = certificate.parent_certificate_id;
        homes.push((certificate.der, format!("/ui/authorities/{}", certificate.ca_id)));
    }
    Ok(homes)
}

async fn renewal(
    authority: &Authority,
    it: &Certificate,
    profile: Option<&CertificateProfile>,
    now: Timestamp,
) -> Result<Renewal, WebError> {
    let under_way = authority.reader().order_renewing(it.project_id, it.id).await?.map(|order| order.request_id);
    let due_at = it.renewal.due_at.filter(|_| it.revocation.is_none());
    let settings = it.renewal.settings.unwrap_or_default();
    let words = if it.renewal.renewed_by.is_some() {
        "It was renewed; settings go with its successor."
    } else if word::is_on_hold(it) {
        "Not while it is on hold."
    } else if it.revocation.is_some() {
        "A revoked certificate is not renewed."
    } else if due_at.is_some() {
        "The server renews it by itself."
    } else if it.not_after < now {
        "It has expired; issue a new one."
    } else if settings.switched_off {
        "Switched off for this certificate: somebody has to renew it."
    } else if profile.is_none() {
        "It was not issued by a certificate profile, so the server cannot renew it."
    } else if it.key_id.is_none() {
        "The server has no private key for it: renew it with a new CSR."
    } else {
        "Its profile does not renew by itself: somebody has to, or switch it on here."
    };
    Ok(Renewal { due_at, words: words.to_owned(), under_way })
}

/// The rule of a renewal in words.
pub(super) fn rule(at: RenewAt) -> String {
    match at {
        RenewAt::Permille(permille) => format!("after {} % of the lifetime", f64::from(permille) / 10.0),
        RenewAt::Before(lead) => format!("{lead} before the end"),
    }
}

async fn line(authority: &Authority, it: &Certificate, now: Timestamp) -> Result<Vec<Relative>, WebError> {
    let relative = |one: &Certificate| Relative {
        id: one.id.to_string(),
        is_this: one.id == it.id,
        made_at: one.created_at,
        until: one.not_after,
        state: word::state(one, now),
    };
    let mut line = vec![relative(it)];
    let mut next = it.renewal.renewed_from;
    while let Some(id) = next
        && line.len() <= LINE_MAX
    {
        let Some(one) = authority.reader().certificate(it.project_id, id).await? else { break };
        line.push(relative(&one));
        next = one.renewal.renewed_from;
    }
    line.reverse();
    let mut after = 0;
    next = it.renewal.renewed_by;
    while let Some(id) = next
        && after < LINE_MAX
    {
        let Some(one) = authority.reader().certificate(it.project_id, id).await? else { break };
        line.push(relative(&one));
        next = one.renewal.renewed_by;
        after += 1;
    }
    // The newest first, as people look for it.
    line.reverse();
    Ok(line)
}
