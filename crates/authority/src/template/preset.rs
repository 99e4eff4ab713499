//! Ready-made templates. Each is chosen so that a CA's defaults, a profile without defaults of its own and a plain
//! `openssl req` CSR work together: the usages such a CSR does not name are filled from the required ones here.

use std::fmt::Write as _;
use std::sync::LazyLock;

use chancery_model::template::{
    BasicConstraintsRule, ListRule, Patterns, RuleLists, RuleState, SanRule, SubjectRule, TemplateRules, ValidityRule,
};
use chancery_pkix::{AttributeType, ExtendedKeyUsage, GeneralNameKind, KeyUsage};

use super::Template;

#[derive(Clone, Debug)]
pub struct Preset {
    /// Stable, such as `tls-server`.
    pub id: &'static str,
    pub name: &'static str,
    pub description: &'static str,
    pub rules: TemplateRules,
}

static PRESETS: LazyLock<Vec<Preset>> = LazyLock::new(|| {
    vec![
        tls_server(),
        tls_client(),
        code_signing(),
        device(),
        user(),
        email_protection(),
        dual_purpose_server(),
        intermediate_ca(),
    ]
});

/// All presets, in the order they are shown.
#[must_use]
pub fn presets() -> &'static [Preset] {
    &PRESETS
}

/// The reference page of all presets, in Markdown.
#[must_use]
pub fn presets_reference() -> String {
    let mut page = "# Certificate template presets\n\nGenerated from the code. Give `preset` when a certificate template is created; fields given beside it \
                    replace the preset's.\n"
        .to_owned();
    for preset in presets() {
        // Writing to a string cannot fail.
        let _ = write!(page, "\n## `{}`: {}\n\n{}\n\n", preset.id, preset.name, preset.description);
        if let Ok(template) = Template::compile(&preset.rules) {
            for sentence in template.summary() {
                let _ = writeln!(page, "- {sentence}");
            }
        }
    }
    page
}

use AttributeType as A;
use ExtendedKeyUsage as E;
use GeneralNameKind as N;
use KeyUsage as K;

/// What `openssl req` asks for by default.
const ORGANISATIONAL: &[AttributeType] =
    &[A::CommonName, A::Organization, A::OrganizationalUnit, A::Country, A::State, A::Locality];

struct Outline<'a> {
    sans: &'a [(GeneralNameKind, bool)],
    key_usages: (&'a [KeyUsage], &'a [KeyUsage]),
    extended_key_usages: (&'a [ExtendedKeyUsage], &'a [ExtendedKeyUsage]),
    validity_max: &'a str,
    constraints: BasicConstraintsRule,
}

impl Outline<'_> {
    fn rules(&self) -> TemplateRules {
        let any = |wildcards: bool| RuleLists {
            allowed: Some(Patterns::Flat(vec!["*".to_owned()])),
            allow_wildcards: (!wildcards).then_some(false),
            ..RuleLists::default()
        };
        TemplateRules {
            subject: Some(ORGANISATIONAL.iter().map(|kind| SubjectRule { kind: *kind, lists: any(true) }).collect()),
            sans: Some(
                self.sans.iter().map(|(kind, wildcards)| SanRule { kind: *kind, lists: any(*wildcards) }).collect(),
            ),
            key_usages: Some(list(self.key_usages, KeyUsage::as_str)),
            extended_key_usages: Some(list(self.extended_key_usages, ExtendedKeyUsage::as_str)),
            algorithms: None,
            validity: Some(ValidityRule { max: Some(self.validity_max.to_owned()), min: None }),
            basic_constraints: Some(self.constraints.clone()),
            sans_max: None,
        }
    }
}

fn list<T: Copy>((required, allowed): (&[T], &[T]), word: fn(T) -> &'static str) -> ListRule {
    let words = |usages: &[T]| usages.iter().map(|usage| word(*usage).to_owned()).collect();
    ListRule { required: Some(words(required)), allowed: (!allowed.is_empty()).then(|| words(allowed)), denied: None }
}

fn end_entity() -> BasicConstraintsRule {
    BasicConstraintsRule { is_ca: Some(RuleState::Denied), path_length_max: None }
}

fn tls_server() -> Preset {
    Preset {
        id: "tls-server",
        name: "TLS Server Certificate",
        description: "For servers that speak TLS: web servers, APIs, databases, proxies. Narrow the common name and DNS name patterns to your domains.",
        rules: Outline {
            sans: &[(N::DnsName, true), (N::IpAddress, true)],
            key_usages: (&[K::DigitalSignature], &[K::KeyEncipherment, K::KeyAgreement]),
            extended_key_usages: (&[E::ServerAuth], &[]),
            validity_max: "398d",
            constraints: end_entity(),
        }
        .rules(),
    }
}

fn tls_client() -> Preset {
    Preset {
        id: "tls-client",
        name: "TLS Client Certificate",
        description: "For programs that prove who they are to a server (mutual TLS). Narrow the name patterns: whoever may request chooses the identity.",
        rules: Outline {
            sans: &[(N::DnsName, false), (N::IpAddress, true), (N::Email, true), (N::Uri, true)],
            key_usages: (&[K::DigitalSignature], &[K::KeyEncipherment, K::KeyAgreement]),
            extended_key_usages: (&[E::ClientAuth], &[]),
            validity_max: "398d",
            constraints: end_entity(),
        }
        .rules(),
    }
}

fn code_signing() -> Preset {
    Preset {
        id: "code-signing",
        name: "Code Signing Certificate",
        description: "For signing programs, packages and container images.",
        rules: Outline {
            sans: &[(N::DnsName, false), (N::Email, true), (N::Uri, true)],
            key_usages: (&[K::DigitalSignature], &[]),
            extended_key_usages: (&[E::CodeSigning], &[]),
            validity_max: "460d",
            constraints: end_entity(),
        }
        .rules(),
    }
}

fn device() -> Preset {
    Preset {
        id: "device",
        name: "Device Certificate",
        description: "For machines, appliances and things that authenticate to a network and may serve a local interface.",
        rules: Outline {
            sans: &[(N::DnsName, false), (N::IpAddress, true), (N::Uri, true)],
            key_usages: (&[K::DigitalSignature], &[K::KeyEncipherment, K::KeyAgreement]),
            extended_key_usages: (&[E::ClientAuth], &[E::ServerAuth]),
            validity_max: "2y",
            constraints: end_entity(),
        }
        .rules(),
    }
}

fn user() -> Preset {
    Preset {
        id: "user",
        name: "User Certificate",
        description: "For people who log in with a certificate. Narrow the e-mail and principal name patterns: whoever may request chooses the identity.",
        rules: Outline {
            sans: &[(N::Email, true), (N::Upn, true)],
            key_usages: (&[K::DigitalSignature], &[K::KeyEncipherment, K::KeyAgreement]),
            extended_key_usages: (&[E::ClientAuth], &[E::EmailProtection]),
            validity_max: "398d",
            constraints: end_entity(),
        }
        .rules(),
    }
}

fn email_protection() -> Preset {
    Preset {
        id: "email-protection",
        name: "E-mail Protection Certificate",
        description: "For signing and encrypting mail (S/MIME).",
        rules: Outline {
            sans: &[(N::Email, true)],
            key_usages: (&[K::DigitalSignature], &[K::NonRepudiation, K::KeyEncipherment, K::KeyAgreement]),
            extended_key_usages: (&[E::EmailProtection], &[E::ClientAuth]),
            validity_max: "825d",
            constraints: end_entity(),
        }
        .rules(),
    }
}

fn dual_purpose_server() -> Preset {
    Preset {
        id: "dual-purpose-server",
        name: "Dual-Purpose Server Certificate",
        description: "For services that both serve TLS and authenticate to others with the same certificate, as in a mesh or a cluster.",
        rules: Outline {
            sans: &[(N::DnsName, true), (N::IpAddress, true), (N::Uri, true)],
            key_usages: (&[K::DigitalSignature], &[K::KeyEncipherment, K::KeyAgreement]),
            extended_key_usages: (&[E::ServerAuth, E::ClientAuth], &[]),
            validity_max: "398d",
            constraints: end_entity(),
        }
        .rules(),
    }
}

fn intermediate_ca() -> Preset {
    let mut rules = Outline {
        sans: &[],
        key_usages: (&[K::KeyCertSign, K::CrlSign], &[K::DigitalSignature]),
        extended_key_usages: (
            &[],
            &[E::ServerAuth, E::ClientAuth, E::CodeSigning, E::EmailProtection, E::TimeStamping],
        ),
        validity_max: "10y",
        constraints: BasicConstraintsRule { is_ca: Some(RuleState::Required), path_length_max: Some(0) },
    }
    .rules();
    // Purposes on a CA certificate only narrow it (RFC 5280 §4.2.1.12), so none need be there.
    rules.extended_key_usages = rules.extended_key_usages.map(|it| ListRule { required: None, ..it });
    Preset {
        id: "intermediate-ca",
        name: "Intermediate CA Certificate",
        description: "For certification authorities that issue end-entity certificates under this one, and no further authorities.",
        rules,
    }
}
