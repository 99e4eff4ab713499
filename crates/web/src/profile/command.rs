//! The commands that request a certificate from a profile, complete enough to be pasted.

use chancery_authority::template::Template;
use chancery_model::profile::{CertificateProfile, KeyCustody};
use chancery_model::template::{Patterns, RuleLists, TemplateRules};
use chancery_model::time::Ttl;
use chancery_pkix::{AttributeType, GeneralNameKind};

use super::draft::duration;

pub(crate) struct Commands {
    /// Absent where the server makes no keys.
    pub curl: Option<String>,
    pub curl_csr: String,
    pub cli: Option<String>,
    pub cli_csr: String,
}

impl Commands {
    pub fn of(url: &str, profile: &CertificateProfile, rules: &TemplateRules) -> Self {
        let name = example_name(rules);
        let (id, slug) = (profile.id, &profile.slug);
        let makes_keys = profile.settings.key_custody != KeyCustody::None;
        let head = format!(
            "curl -sS --fail-with-body {url}/api/v1/cert-manager/certificates \\\n  -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' \\\n"
        );
        let ttl = asked_ttl(profile, rules);
        let in_json = ttl.as_ref().map_or_else(String::new, |ttl| format!(", \"ttl\": \"{ttl}\""));
        let beside_csr =
            ttl.as_ref().map_or_else(String::new, |ttl| format!(", \"attributes\": {{\"ttl\": \"{ttl}\"}}"));
        let option = ttl.map_or_else(String::new, |ttl| format!(" --ttl {ttl}"));
        let openssl = format!(
            "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \\\n  -keyout own.key -subj '/CN={name}' -out own.csr"
        );
        Self {
            curl: makes_keys.then(|| {
                format!(
                    "{head}  -d '{{\"profileId\": \"{id}\", \"attributes\": {{\"commonName\": \"{name}\"{in_json}}}}}'"
                )
            }),
            curl_csr: format!(
                "{openssl}\nCSR=$(awk '{{printf \"%s\\\\n\", $0}}' own.csr)\n{head}  -d '{{\"profileId\": \"{id}\", \"csr\": \"'\"$CSR\"'\"{beside_csr}}}'"
            ),
            cli: makes_keys.then(|| {
                format!("chancery cert request --server {url} \\\n  --profile {slug} --common-name '{name}'{option}")
            }),
            cli_csr: format!(
                "{openssl}\nchancery cert request --server {url} \\\n  --profile {slug} --csr own.csr{option}"
            ),
        }
    }
}

/// What a request has to say of its length of life where the profile has no default: a quarter of a year, or the longest
/// that the template allows.
fn asked_ttl(profile: &CertificateProfile, rules: &TemplateRules) -> Option<String> {
    if profile.settings.defaults.as_ref().is_some_and(|it| it.ttl_days.is_some()) {
        return None;
    }
    let usual = Ttl::DAY.times(90);
    let most = Template::compile(rules).ok().and_then(|it| it.validity_max());
    let least = Template::compile(rules).ok().and_then(|it| it.validity_min());
    let ttl = most.map_or(usual, |most| most.min(usual));
    Some(duration(least.map_or(ttl, |least| least.max(ttl))))
}

/// A common name that the template may allow, from its patterns; never one with letters that a shell reads.
fn example_name(rules: &TemplateRules) -> String {
    let subject = rules.subject.iter().flatten().filter(|it| it.kind == AttributeType::CommonName).map(|it| &it.lists);
    let sans = rules.sans.iter().flatten().filter(|it| it.kind == GeneralNameKind::DnsName).map(|it| &it.lists);
    let name = subject.chain(sans).flat_map(patterns).find_map(host_of);
    name.unwrap_or_else(|| "www.example.internal".to_owned())
}

fn patterns(lists: &RuleLists) -> Vec<&str> {
    let both = [&lists.required, &lists.allowed].into_iter().flatten();
    both.flat_map(|list| match list {
        Patterns::Flat(texts) => texts.iter().map(String::as_str).collect::<Vec<_>>(),
        Patterns::Nested(_) => Vec::new(),
    })
    .collect()
}

fn host_of(pattern: &str) -> Option<String> {
    let pattern = pattern.strip_prefix("label:").unwrap_or(pattern);
    let host = pattern.strip_prefix("*.").map_or_else(|| pattern.to_owned(), |rest| format!("www.{rest}"));
    let is_plain = host.contains('.') && host.bytes().all(|it| it.is_ascii_alphanumeric() || b".-".contains(&it));
    is_plain.then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_a_name_that_the_template_allows_and_no_shell_reads() {
        let check = |allowed: &str, expected: &str| {
            let json = serde_json::json!({ "subject": [{ "kind": "common_name", "lists": { "allowed": [allowed] } }] });
            let rules: TemplateRules = serde_json::from_value(json).unwrap();
            assert_eq!(example_name(&rules), expected);
        };
        check("*.acme.com", "www.acme.com");
        check("label:*.acme.com", "www.acme.com");
        check("api.acme.com", "api.acme.com");
        check("*", "www.example.internal");
        check("$(reboot).acme.com", "www.example.internal");
        check("regex:.*", "www.example.internal");
        assert_eq!(example_name(&TemplateRules::default()), "www.example.internal");
    }
}
