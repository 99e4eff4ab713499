//! The ways out, made from the configuration.

use std::sync::Arc;
use std::time::Duration;

use chancery_egress::{AddressPolicy, Egress, EgressPolicy};
use chancery_model::{Clock, Randomness};
use chancery_notifier::{Mailer, Outbound};
use chancery_upstream::{Outside, OutsideConfig};
use zeroize::Zeroizing;

use crate::config::outbound::{OutboundConfig, PasswordSource, SmtpConfig};
use crate::files::{FileError, check_program, failed, read_private};
use crate::start::StartError;

/// For one question to an external CA or a DNS service: public CAs take seconds under load.
const UPSTREAM_TIMEOUT: Duration = Duration::from_secs(20);

/// Certificate chains and lists of zones fit many times over.
const UPSTREAM_RESPONSE_MAX: usize = 2 * 1024 * 1024;

/// What connections to the outside are allowed.
pub fn egress_policy(config: &OutboundConfig) -> Result<EgressPolicy, FileError> {
    let ca_bundle = match &config.ca_file {
        None => None,
        Some(path) => Some(std::fs::read(path).map_err(|source| failed("the CA file", path, source))?),
    };
    Ok(EgressPolicy {
        addresses: AddressPolicy::new(config.allowed_networks.clone(), config.loopback),
        proxy: config.proxy.clone(),
        ca_bundle,
        ..EgressPolicy::default()
    })
}

pub fn notifier(config: &OutboundConfig, policy: EgressPolicy, clock: Arc<dyn Clock>) -> Result<Outbound, StartError> {
    let mailer = config.smtp.as_ref().map(|smtp| mailer(smtp, policy.ca_bundle.clone())).transpose()?;
    Ok(Outbound::new(Egress::new(policy), mailer, clock))
}

/// How external CAs are asked.
pub fn upstream(
    config: &OutboundConfig,
    policy: EgressPolicy,
    clock: Arc<dyn Clock>,
    randomness: Arc<dyn Randomness>,
) -> Result<Outside, FileError> {
    for program in config.dns_hooks.values() {
        check_program("the DNS hook", program)?;
    }
    let egress = Egress::new(EgressPolicy { timeout: UPSTREAM_TIMEOUT, response_max: UPSTREAM_RESPONSE_MAX, ..policy });
    Ok(Outside::new(OutsideConfig { egress, dns_hooks: config.dns_hooks.clone(), clock, randomness }))
}

fn mailer(config: &SmtpConfig, ca_bundle: Option<Vec<u8>>) -> Result<Mailer, StartError> {
    let password = match &config.password {
        None => None,
        Some(PasswordSource::Text(text)) => Some(text.clone()),
        Some(PasswordSource::File(path)) => {
            let bytes = Zeroizing::new(read_private("the mail password file", path)?);
            let text =
                std::str::from_utf8(&bytes).map_err(|_| StartError::Mail("its password is not UTF-8".to_owned()))?;
            Some(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
        }
    };
    Mailer::new(config.settings.clone(), password, &config.from, ca_bundle).map_err(StartError::Mail)
}
