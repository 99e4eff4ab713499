//! What a renewal can be asked with, before it is asked: for people who choose. Judged by the checks of the verb itself.

use std::sync::Arc;

use chancery_model::certificate::Certificate;
use chancery_model::permission::Permission;
use chancery_model::profile::KeyCustody;
use chancery_model::{CertificateId, ErrorKind};

use super::obstacle::Obstacle;
use super::renew::{RenewRequest, RenewalKeySource, check_issuer, check_source, key_source, profile_of};
use crate::Authority;
use crate::application::enrol;
use crate::cache::ProfileInForce;
use crate::call::Call;
use crate::enrollment::check_makes_keys;
use crate::error::Error;

/// The ways to renew one certificate. The template's rules are not asked: they judge the request when it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenewalOptions {
    /// Why the certificate cannot be renewed at all.
    pub obstacle: Option<String>,
    /// Each source of a key, with the reason why it cannot be used.
    pub keys: Vec<(RenewalKeySource, Option<String>)>,
    /// A new key is in the answer and nowhere else.
    pub shows_key_once: bool,
}

impl Authority {
    pub async fn renewal_options(&self, call: &Call, id: CertificateId) -> Result<RenewalOptions, Error> {
        call.requester.require_somewhere(Permission::CertificateRenew)?;
        let old = self.certificate_of(call, id).await?;
        self.require_management(&call.requester, &old, Permission::CertificateRenew)?;
        let profile = match self.renewing_profile(call, &old).await {
            Ok(profile) => profile,
            Err(error) if is_about_the_server(&error) => return Err(error),
            Err(error) => {
                return Ok(RenewalOptions { obstacle: Some(words(error)), keys: Vec::new(), shows_key_once: false });
            }
        };
        let sources = [RenewalKeySource::New, RenewalKeySource::Reuse, RenewalKeySource::Csr];
        let keys = sources.map(|source| (source, check_key(&old, &profile, source).err().map(words)));
        let shows_key_once = profile.profile.settings.key_custody == KeyCustody::ReturnOnce;
        Ok(RenewalOptions { obstacle: None, keys: keys.to_vec(), shows_key_once })
    }

    /// The profile that the certificate would be renewed by, if it can be renewed now.
    async fn renewing_profile(&self, call: &Call, old: &Certificate) -> Result<Arc<ProfileInForce>, Error> {
        let profile_id = profile_of(old)?;
        self.check_standing(call, old, profile_id, false).await.map_err(|obstacle| match obstacle {
            Obstacle::Request(error)
            | Obstacle::Standing(_, error)
            | Obstacle::Unresolved(_, error)
            | Obstacle::Failed(error) => error,
            Obstacle::Refused(_) => Error::internal("a certificate's state was refused by rules about requests"),
        })?;
        let profile = self.profile_in_force(call.project_id(), profile_id).await?;
        check_issuer(&profile)?;
        enrol::of_renewal(&profile, old)?;
        Ok(profile)
    }
}

fn check_key(old: &Certificate, profile: &ProfileInForce, source: RenewalKeySource) -> Result<(), Error> {
    let csr = (source == RenewalKeySource::Csr).then(String::new);
    key_source(old, &RenewRequest { key_source: Some(source), csr, attributes: None })?;
    check_source(old, profile, source, false)?;
    if source == RenewalKeySource::New { check_makes_keys(&profile.profile.settings) } else { Ok(()) }
}

const fn is_about_the_server(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Internal | ErrorKind::Unavailable)
}

/// Without the name of a field: nobody has filled in one yet.
fn words(error: Error) -> String {
    match error {
        Error::Malformed { message, .. } => message,
        other => other.public_message(),
    }
}
