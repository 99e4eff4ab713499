//! What an administrator sets up once: two CAs, a template, two profiles.

use chancery_cli::CliError;
use chancery_cli::ca::{self, NewCa};
use chancery_cli::output::{list_at, text_at};
use chancery_cli::profile::{self, NewProfile};
use chancery_cli::template::{self, NewTemplate};
use serde_json::Value;
use uuid::Uuid;

use super::{Setting, step};
use crate::failure::Failure;

const ROOT_CA: &str = "root-ca";
const ISSUING_CA: &str = "issuing-ca";
const TEMPLATE: &str = "tls-server";
pub const PROFILE: &str = "tls-server";
pub const SELF_SIGNED_PROFILE: &str = "tls-self-signed";

const BASE: &str = "/api/v1/cert-manager";

/// The ids that the next steps and the printed commands need.
pub struct Configuration {
    /// PEM.
    pub root_certificate: String,
    pub issuing_ca_id: Uuid,
    pub profile_id: Uuid,
    pub self_signed_profile_id: Uuid,
}

pub async fn prepare(setting: &mut Setting) -> Result<Configuration, Failure> {
    let root = ca(setting, root_ca(&setting.domain)).await?;
    let issuing = ca(setting, issuing_ca(&setting.domain)).await?;
    template(setting).await?;
    let profile = profile(setting, ca_profile()).await?;
    let self_signed = self::profile(setting, self_signed_profile()).await?;
    let path = format!("{BASE}/ca/internal/{}/certificate", id(&root)?);
    let root_certificate = text_at(&setting.accounts.machine.get(&path).await?.success()?, "/certificate");
    Ok(Configuration {
        root_certificate,
        issuing_ca_id: id(&issuing)?,
        profile_id: id(&profile)?,
        self_signed_profile_id: id(&self_signed)?,
    })
}

fn root_ca(domain: &str) -> NewCa {
    NewCa {
        name: ROOT_CA.to_owned(),
        common_name: common_name("Chancery Root", domain),
        key_algorithm: "EC_secp384r1".to_owned(),
        years: Some(10),
        ..NewCa::default()
    }
}

fn issuing_ca(domain: &str) -> NewCa {
    NewCa {
        name: ISSUING_CA.to_owned(),
        common_name: common_name("Chancery Issuing CA", domain),
        parent: Some(ROOT_CA.to_owned()),
        key_algorithm: "EC_prime256v1".to_owned(),
        years: Some(5),
        path_length: Some(0),
        ..NewCa::default()
    }
}

/// A common name holds 64 characters at most (RFC 5280 appendix A.1, ub-common-name).
fn common_name(title: &str, domain: &str) -> String {
    let full = format!("{title} {domain}");
    if full.chars().count() <= 64 { full } else { title.to_owned() }
}

fn ca_profile() -> NewProfile {
    NewProfile {
        slug: PROFILE.to_owned(),
        template: TEMPLATE.to_owned(),
        ca: Some(ISSUING_CA.to_owned()),
        description: Some("TLS server certificates of the issuing CA".to_owned()),
        ttl_days: Some(90),
        ..NewProfile::default()
    }
}

fn self_signed_profile() -> NewProfile {
    NewProfile {
        slug: SELF_SIGNED_PROFILE.to_owned(),
        template: TEMPLATE.to_owned(),
        self_signed: true,
        description: Some("Self-signed TLS server certificates".to_owned()),
        ttl_days: Some(90),
        ..NewProfile::default()
    }
}

async fn ca(setting: &mut Setting, new: NewCa) -> Result<Value, Failure> {
    let what = if new.parent.is_some() { "issuing CA" } else { "root CA" };
    let all = setting.accounts.machine.get(&format!("{BASE}/ca/internal")).await?.success()?;
    if let Some(found) = list_at(&all, "").find(|one| text_at(one, "/name") == new.name) {
        step(what, &format!("found   {}", new.name))?;
        return Ok(found.clone());
    }
    let created = ca::create(&setting.accounts.administrator().await?, &new).await?;
    step(
        what,
        &format!("created {}: {}, {}, {} years", new.name, new.common_name, new.key_algorithm, new.years.unwrap_or(0)),
    )?;
    Ok(created)
}

async fn template(setting: &mut Setting) -> Result<(), Failure> {
    let path = format!("{BASE}/certificate-policies?search={TEMPLATE}&limit=100");
    let all = setting.accounts.machine.get(&path).await?.success()?;
    if list_at(&all, "/certificatePolicies").any(|one| text_at(one, "/name") == TEMPLATE) {
        return step("template", &format!("found   {TEMPLATE}"));
    }
    let new = NewTemplate {
        name: TEMPLATE.to_owned(),
        description: Some(format!("TLS servers below {}", setting.domain)),
        preset: Some("tls-server".to_owned()),
        domains: vec![format!("*.{}", setting.domain)],
        max_ttl: Some("1y".to_owned()),
        rules: None,
    };
    template::create(&setting.accounts.administrator().await?, &new).await?;
    step("template", &format!("created {TEMPLATE}: preset tls-server, names *.{}, at most 1 year", setting.domain))
}

async fn profile(setting: &mut Setting, new: NewProfile) -> Result<Value, Failure> {
    let what = if new.self_signed { "self-signed profile" } else { "profile" };
    let path = format!("{BASE}/certificate-profiles/slug/{}", new.slug);
    match setting.accounts.machine.get(&path).await?.success() {
        Ok(answer) => {
            step(what, &format!("found   {}", new.slug))?;
            Ok(answer.pointer("/certificateProfile").cloned().unwrap_or_default())
        }
        Err(CliError::NotFound(_)) => {
            let created = profile::create(&setting.accounts.administrator().await?, &new).await?;
            let issuer = new.ca.as_deref().unwrap_or("the certificate's own key");
            step(what, &format!("created {}: template {}, signed by {issuer}", new.slug, new.template))?;
            Ok(created)
        }
        Err(error) => Err(error.into()),
    }
}

fn id(object: &Value) -> Result<Uuid, Failure> {
    text_at(object, "/id").parse().map_err(|_| Failure::failed("The server's answer has no id"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_domain_stays_out_of_the_common_name() {
        assert_eq!(common_name("Chancery Root", "acme.internal"), "Chancery Root acme.internal");
        let long = format!("{}.internal", "a".repeat(60));
        assert_eq!(common_name("Chancery Root", &long), "Chancery Root");
    }
}
