//! What can be changed of a CA that works already: how it tells what it has revoked, whether it is renewed by itself, and
//! who signs it.

use chancery_model::audit::AuditEvent;
use chancery_model::authority::{
    AutoRenewal, CaLevel, CertificationAuthority, OutsideSigner, SigningSettings, StatusSettings,
};
use chancery_model::external::ConnectionApp;
use chancery_model::job::{JobKey, JobKind, NewJob};
use chancery_model::permission::Permission;
use chancery_model::time::Ttl;
use chancery_model::{CaId, RequestId};
use chancery_store::{Change, Write};

use super::renew;
use crate::Authority;
use crate::call::Call;
use crate::enrollment::Field;
use crate::error::Error;
use crate::external;
use crate::status::crls_for_key;

const CRL_VALIDITY_MAX: i64 = 365 * 86_400;
const DELTA_INTERVAL_MIN: i64 = 60;
const PARTITIONS_MAX: u32 = 256;
const URLS_MAX: usize = 10;
const URL_LENGTH_MAX: usize = 1_024;

/// Changes of [`StatusSettings`]: missing keeps, null puts the default back.
#[derive(Clone, Debug, Default)]
pub struct StatusPatch {
    pub crl_validity: Field<Ttl>,
    pub crl_partitions: Field<u32>,
    /// The default is no delta CRLs.
    pub delta_crl_interval: Field<Ttl>,
    pub ocsp: Field<bool>,
    pub managed_crl_url: Field<bool>,
    pub crl_urls: Field<Vec<String>>,
}

impl StatusPatch {
    pub fn apply(&self, to: &mut StatusSettings) {
        fn set<T: Clone>(to: &mut T, patch: &Field<T>, default: T) {
            match patch {
                Field::Missing => {}
                Field::Null => *to = default,
                Field::Value(value) => *to = value.clone(),
            }
        }
        let usual = StatusSettings::default();
        set(&mut to.crl_validity, &self.crl_validity, usual.crl_validity);
        set(&mut to.crl_partitions, &self.crl_partitions, usual.crl_partitions);
        set(&mut to.ocsp, &self.ocsp, usual.ocsp);
        set(&mut to.managed_crl_url, &self.managed_crl_url, usual.managed_crl_url);
        set(&mut to.crl_urls, &self.crl_urls, usual.crl_urls);
        match &self.delta_crl_interval {
            Field::Missing => {}
            Field::Null => to.delta_crl_interval = None,
            Field::Value(interval) => to.delta_crl_interval = Some(*interval),
        }
    }
}

/// Changes of [`AutoRenewal`]: what is absent stays.
#[derive(Clone, Copy, Debug, Default)]
pub struct AutoRenewalPatch {
    pub enabled: Option<bool>,
    /// 1 to 365.
    pub days_before_expiry: Option<u32>,
    pub new_key: Option<bool>,
}

/// Ranges and addresses that make sense together; every problem names its field.
pub(super) fn check_status(settings: &StatusSettings) -> Result<(), Error> {
    let refuse = |code, field: &str, text: String| Err(Error::malformed(code, format!("configuration.{field}"), text));
    let validity = settings.crl_validity.as_seconds();
    if !(Ttl::HOUR.as_seconds()..=CRL_VALIDITY_MAX).contains(&validity) {
        return refuse("ca.crl_validity", "crlValidity", "must be 1 hour to 365 days, such as 7d".to_owned());
    }
    if !(1..=PARTITIONS_MAX).contains(&settings.crl_partitions) {
        return refuse("ca.crl_partitions", "crlPartitions", format!("must be 1 to {PARTITIONS_MAX}"));
    }
    if let Some(interval) = settings.delta_crl_interval
        && !(DELTA_INTERVAL_MIN..validity).contains(&interval.as_seconds())
    {
        let text = "must be at least 1 minute and shorter than crlValidity; null switches delta CRLs off";
        return refuse("ca.delta_crl_interval", "deltaCrlInterval", text.to_owned());
    }
    if settings.crl_urls.len() > URLS_MAX {
        return refuse("ca.crl_urls", "crlDistributionPointUrls", format!("give at most {URLS_MAX}"));
    }
    for (index, url) in settings.crl_urls.iter().enumerate() {
        let field = format!("crlDistributionPointUrls[{index}]");
        if !is_web_address(url) {
            let text = "must be an absolute http or https URL of at most 1024 ASCII characters, such as http://crl.acme.com/ca.crl";
            return refuse("ca.crl_urls", &field, text.to_owned());
        }
        if settings.crl_urls.iter().take(index).any(|earlier| same_address(earlier, url)) {
            return refuse("ca.crl_urls", &field, "is there twice (case and a trailing slash do not count)".to_owned());
        }
    }
    Ok(())
}

/// What an IA5String of a distribution point can hold (RFC 5280 §4.2.1.6, §4.2.1.13), with a host.
fn is_web_address(url: &str) -> bool {
    let rest = ["http://", "https://"].iter().find_map(|scheme| url.strip_prefix(scheme)).unwrap_or_default();
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    url.len() <= URL_LENGTH_MAX
        && url.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"\\^`{|}".contains(&byte))
        && host.bytes().any(|byte| byte.is_ascii_alphanumeric())
        && !host.contains('@')
}

fn same_address(one: &str, other: &str) -> bool {
    let plain = |url: &str| url.trim_end_matches('/').to_ascii_lowercase();
    plain(one) == plain(other)
}

/// Who is to sign an intermediate CA.
#[derive(Clone, Debug)]
pub enum CaSignerChoice {
    Parent(CaId),
    /// A CA behind an app connection.
    Outside(OutsideSigner),
    /// A CA elsewhere; its certificates are carried by hand.
    ByHand,
}

impl Authority {
    /// Applies new status settings; the changes make CRLs for new partitions and publish what is there by the new rules.
    pub(super) async fn changed_status(
        &self,
        ca: &mut CertificationAuthority,
        patch: &StatusPatch,
    ) -> Result<Vec<Change>, Error> {
        let mut settings = ca.configuration.status.clone();
        patch.apply(&mut settings);
        if settings == ca.configuration.status {
            return Ok(Vec::new());
        }
        check_status(&settings)?;
        ca.configuration.status = settings;
        if ca.active_certificate.is_none() {
            return Ok(Vec::new());
        }
        let now = self.now();
        let mut changes = crls_for_key(self, ca, ca.key_id, now);
        for crl in self.reader().crls_of(ca.id).await? {
            let key = JobKey { kind: JobKind::PublishCrl, object: crl.id.as_uuid() };
            changes.push(Change::ScheduleJob(NewJob { key, project_id: ca.project_id, due_at: now, deadline: now }));
        }
        Ok(changes)
    }

    /// Changes whether and when the server renews the CA.
    pub async fn configure_ca_renewal(
        &self,
        call: &Call,
        id: CaId,
        patch: AutoRenewalPatch,
    ) -> Result<CertificationAuthority, Error> {
        call.requester.require(Permission::CaEdit)?;
        let mut ca = self.ca_of(call, id).await?;
        let before = ca.configuration.auto_renewal;
        let AutoRenewal { enabled, days_before_expiry, new_key } = before;
        let after = AutoRenewal {
            enabled: patch.enabled.unwrap_or(enabled),
            days_before_expiry: patch.days_before_expiry.or(days_before_expiry),
            new_key: patch.new_key.unwrap_or(new_key),
        };
        if after.days_before_expiry.is_some_and(|days| !(1..=365).contains(&days)) {
            let text = "must be 1 to 365";
            return Err(Error::malformed("ca.auto_renewal", "autoRenewalDaysBeforeExpiry", text));
        }
        let current = match ca.active_certificate {
            None => None,
            Some(_) => Some(self.current_certificate(&ca).await?.certificate),
        };
        if after.enabled && current.as_ref().is_some_and(|it| !ca.is_signed_here(it)) {
            return Err(renew::signed_elsewhere("autoRenewalEnabled"));
        }
        ca.configuration.auto_renewal = after;
        ca.updated_at = self.now();
        let job = match &current {
            Some(current) => renew::schedule(&ca, current),
            None => Change::DropJob(renew::job_key(id)),
        };
        let details = serde_json::json!({ "before": { "autoRenewal": before }, "after": { "autoRenewal": after } });
        self.commit_settings(call, &ca, details, vec![job]).await?;
        Ok(ca)
    }

    /// Says who signs an intermediate CA from now on.
    pub async fn configure_ca_signing(
        &self,
        call: &Call,
        id: CaId,
        signer: CaSignerChoice,
    ) -> Result<CertificationAuthority, Error> {
        call.requester.require(Permission::CaEdit)?;
        let mut ca = self.ca_of(call, id).await?;
        if ca.configuration.level == CaLevel::Root {
            return Err(Error::malformed(
                "ca.root",
                "caId",
                "a root signs itself; only an intermediate CA has a signer",
            ));
        }
        let (parent, outside) = match signer {
            CaSignerChoice::Parent(parent) => (Some(parent), None),
            CaSignerChoice::Outside(outside) => (None, Some(outside)),
            CaSignerChoice::ByHand => (None, None),
        };
        if let Some(parent) = parent {
            self.check_signer(call, &ca, parent).await?;
        }
        if let Some(outside) = &outside {
            self.check_outside_signer(&ca, outside).await?;
        }
        let before = ca.configuration.signing.take();
        let now = self.now();
        ca.configuration.signing = Some(SigningSettings {
            id: before.as_ref().map_or_else(|| RequestId::generate(now, self.random()).as_uuid(), |it| it.id),
            parent_ca_id: parent,
            outside,
            created_at: before.as_ref().map_or(now, |it| it.created_at),
            updated_at: now,
        });
        ca.updated_at = now;
        let mut changes = Vec::new();
        if ca.active_certificate.is_some() {
            changes.push(renew::schedule(&ca, &self.current_certificate(&ca).await?.certificate));
        }
        let details =
            serde_json::json!({ "before": { "signing": before }, "after": { "signing": ca.configuration.signing } });
        self.commit_settings(call, &ca, details, changes).await?;
        Ok(ca)
    }

    async fn check_outside_signer(&self, ca: &CertificationAuthority, outside: &OutsideSigner) -> Result<(), Error> {
        let connection = self.connection_of(ca.project_id, outside.connection_id).await?;
        if connection.app != ConnectionApp::Vault {
            let text = format!(
                "the app connection '{}' is for {}; name one for {}",
                connection.name,
                connection.app.as_str(),
                ConnectionApp::Vault.as_str()
            );
            return Err(Error::malformed("app_connection.app", "appConnectionId", text));
        }
        if !external::is_path(&outside.mount) {
            let text = "must be the path of a PKI secrets engine such as pki or team/pki";
            return Err(Error::malformed("vault.mount", "destinationConfig.mount", text));
        }
        if outside.issuer_ref.as_deref().is_some_and(|issuer| !external::is_segment(issuer)) {
            let text = "must be the name or id of an issuer of the secrets engine";
            return Err(Error::malformed("vault.issuer", "destinationConfig.issuerRef", text));
        }
        Ok(())
    }

    /// The parent must exist and must not stand below the CA itself.
    async fn check_signer(&self, call: &Call, ca: &CertificationAuthority, parent: CaId) -> Result<(), Error> {
        let mut above = self.ca_of(call, parent).await?;
        // A line of CAs is short; the bound is for a circle that should not be there.
        for _ in 0..32 {
            if above.id == ca.id {
                let text = "no CA signs itself as an intermediate, neither directly nor through CAs below it";
                return Err(Error::malformed("ca.parent", "parentCaId", text));
            }
            let next = match &above.configuration.signing {
                Some(signing) => signing.parent_ca_id,
                None if above.active_certificate.is_some() => {
                    self.current_certificate(&above).await?.certificate.parent_ca_id
                }
                None => None,
            };
            match next {
                Some(next) => above = self.ca_of(call, next).await?,
                None => return Ok(()),
            }
        }
        Err(Error::internal(format!("the CAs above {parent} go in a circle")))
    }

    async fn commit_settings(
        &self,
        call: &Call,
        ca: &CertificationAuthority,
        details: serde_json::Value,
        changes: Vec<Change>,
    ) -> Result<(), Error> {
        let audit = call.audit(ca.updated_at, AuditEvent::CaUpdated, Some(("ca", ca.id.as_uuid())), details);
        let mut write = Write::default().with(Change::UpdateCa(Box::new(ca.clone()))).audited(audit);
        write.changes.extend(changes);
        self.commit(write).await?;
        self.wake_jobs();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_settings_are_judged() {
        let check = |change: &dyn Fn(&mut StatusSettings), expected: Option<&str>| {
            let mut settings = StatusSettings::default();
            change(&mut settings);
            assert_eq!(check_status(&settings).err().map(|error| error.code()), expected, "{settings:?}");
        };
        let ttl = |seconds| Ttl::from_seconds(seconds).unwrap();
        let urls = |all: &[&str]| all.iter().map(|url| (*url).to_owned()).collect::<Vec<_>>();
        check(&|_| {}, None);
        check(&|it| it.crl_validity = ttl(3_600), None);
        check(&|it| it.crl_validity = ttl(3_599), Some("ca.crl_validity"));
        check(&|it| it.crl_validity = ttl(365 * 86_400 + 1), Some("ca.crl_validity"));
        check(&|it| it.crl_partitions = 0, Some("ca.crl_partitions"));
        check(&|it| it.crl_partitions = 256, None);
        check(&|it| it.crl_partitions = 257, Some("ca.crl_partitions"));
        check(&|it| it.delta_crl_interval = Some(ttl(59)), Some("ca.delta_crl_interval"));
        check(&|it| it.delta_crl_interval = Some(ttl(60)), None);
        check(&|it| it.delta_crl_interval = Some(it.crl_validity), Some("ca.delta_crl_interval"));
        check(&|it| it.crl_urls = urls(&["http://a.test/x.crl", "https://a.test/x.crl"]), None);
        for bad in [
            &["ftp://a.test/x"][..],
            &["http://"],
            &["http:///path"],
            &["http://user@a.test/"],
            &["http://a.test/a b"],
            &["http://a.test/ä"],
            &["a.test/x.crl"],
            &["http://a.test/x", "http://A.test/X/"],
            &["HTTP://a.test/x"],
            &["http://a.test/1"; 11],
        ] {
            check(&|it| it.crl_urls = urls(bad), Some("ca.crl_urls"));
        }
    }

    #[test]
    fn a_patch_keeps_what_is_missing_and_null_restores_the_default() {
        let mut settings = StatusSettings { crl_partitions: 4, ocsp: false, ..StatusSettings::default() };
        settings.delta_crl_interval = Some(Ttl::HOUR);
        let patch = StatusPatch { ocsp: Field::Null, delta_crl_interval: Field::Null, ..StatusPatch::default() };
        patch.apply(&mut settings);
        assert_eq!((settings.crl_partitions, settings.ocsp, settings.delta_crl_interval), (4, true, None));
    }
}
