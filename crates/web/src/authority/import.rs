//! Taking over a CA that was run elsewhere, with its key and its past.

use askama::Template;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chancery_authority::Authority;
use chancery_authority::hierarchy::{CaImport, ImportedKey};
use chancery_authority::issuance::Zeroizing;
use chancery_model::permission::Permission;

use super::{href, name_taken, status_of};
use crate::form::{Form, Problems};
use crate::frame::{Frame, Section, page_with};
use crate::route::Page;
use crate::visit::{Answer, Visit};

/// A CA comes with its last CRL and what it has issued.
const FORM_OCTETS_MAX: usize = 32 * 1024 * 1024;

pub(super) fn pages() -> Vec<Page> {
    vec![
        Page::get("/ui/authorities/import", Permission::CaCreate, show),
        Page::post("/ui/authorities/import", Permission::CaCreate, import).takes_up_to(FORM_OCTETS_MAX),
    ]
}

/// The core's names of fields, and those of the form.
const FIELDS: &[(&str, &str)] = &[
    ("name", "name"),
    ("certificate", "certificate"),
    ("certificateChain", "chain"),
    ("privateKey", "private_key"),
    ("privateKeyPassword", "password"),
    ("pkcs12", "pkcs12"),
    ("pkcs12Password", "password"),
    ("lastCrl", "last_crl"),
    ("lastCrlNumber", "last_crl_number"),
    ("issuedCertificates", "issued"),
    ("serialNumbers", "serial_numbers"),
];

/// What the fields show; the key and its password are typed again.
#[derive(Clone, Debug, Default)]
struct Draft {
    name: String,
    certificate: String,
    chain: String,
    last_crl: String,
    last_crl_number: String,
    issued: String,
    serial_numbers: String,
}

#[derive(Template)]
#[template(path = "authority/import.html")]
struct ImportPage {
    frame: Frame,
    draft: Draft,
    problems: Problems,
}

impl Draft {
    fn read(form: &Form) -> Self {
        let text = |name: &str| form.text(name).to_owned();
        Self {
            name: text("name"),
            certificate: text("certificate"),
            chain: text("chain"),
            last_crl: text("last_crl"),
            last_crl_number: text("last_crl_number"),
            issued: text("issued"),
            serial_numbers: text("serial_numbers"),
        }
    }

    fn to_core(&self, form: &Form, problems: &mut Problems) -> Option<CaImport> {
        let key = key(form, problems);
        let last_crl_number = form.parsed("last_crl_number", problems);
        let last_crl = crl(&self.last_crl, problems);
        Some(CaImport {
            name: self.name.clone(),
            certificate: self.certificate.clone(),
            chain: self.chain.clone(),
            key: key.filter(|_| problems.is_empty())?,
            last_crl,
            last_crl_number,
            issued_certificates: blocks(&self.issued),
            serial_numbers: form.lines("serial_numbers"),
        })
    }
}

fn key(form: &Form, problems: &mut Problems) -> Option<ImportedKey> {
    let secret = |name: &str| form.given(name).map(|it| Zeroizing::new(it.to_owned()));
    let password = form.raw("password").filter(|it| !it.is_empty()).map(|it| Zeroizing::new(it.to_owned()));
    match (secret("private_key"), secret("pkcs12")) {
        (Some(text), None) => Some(ImportedKey::Pem { text, password }),
        (None, Some(text)) => {
            let file = decoded("pkcs12", &text, problems)?;
            Some(ImportedKey::Pkcs12 { file, password: password.unwrap_or_default() })
        }
        (Some(_), Some(_)) => {
            problems.add("pkcs12", "Give the key once: as PEM, or in a PKCS#12 file");
            None
        }
        (None, None) => {
            problems.add("private_key", "Give the CA's key, as PEM or in a PKCS#12 file");
            None
        }
    }
}

/// PEM stays text, anything else is base64 of DER.
fn crl(text: &str, problems: &mut Problems) -> Option<Vec<u8>> {
    match text {
        "" => None,
        text if text.starts_with("-----BEGIN") => Some(text.as_bytes().to_vec()),
        text => decoded("last_crl", text, problems),
    }
}

fn decoded(field: &str, text: &str, problems: &mut Problems) -> Option<Vec<u8>> {
    let compact: Zeroizing<String> = Zeroizing::new(text.chars().filter(|it| !it.is_ascii_whitespace()).collect());
    let read = STANDARD.decode(compact.as_bytes()).ok();
    if read.is_none() {
        problems.add(field, "is not base64; choose the file, or encode it with base64 -w0");
    }
    read
}

/// The PEM blocks of a text, one by one.
fn blocks(text: &str) -> Vec<String> {
    const END: &str = "-----END CERTIFICATE-----";
    let parts = text.split_inclusive(END).map(str::trim).filter(|it| !it.is_empty());
    parts.map(str::to_owned).collect()
}

async fn show(visit: Visit) -> Answer {
    show_with(&visit, Draft::default(), Problems::default())
}

fn show_with(visit: &Visit, draft: Draft, problems: Problems) -> Answer {
    let frame = visit.frame("Import a CA", Section::Authorities);
    page_with(status_of(&problems), &ImportPage { frame, draft, problems })
}

async fn import(State(authority): State<Authority>, visit: Visit, form: Form) -> Answer {
    let draft = Draft::read(&form);
    let mut problems = Problems::default();
    let Some(wanted) = draft.to_core(&form, &mut problems) else { return show_with(&visit, draft, problems) };
    match authority.import_ca(&visit.call, wanted).await {
        Ok(imported) => {
            let mut note = format!("{} is taken over; it signs here from now on.", imported.ca.name);
            for warning in &imported.warnings {
                note.push_str(&format!(" Note: {}.", warning.message));
            }
            Ok(visit.done(&href(imported.ca.id), note))
        }
        Err(error) => show_with(&visit, draft, Problems::from_core(name_taken(error), FIELDS)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_certificates_is_read_one_by_one() {
        let one = |name: &str| format!("-----BEGIN CERTIFICATE-----\n{name}\n-----END CERTIFICATE-----");
        for (text, expected) in [
            (String::new(), vec![]),
            (one("a"), vec![one("a")]),
            (format!("{}\n{}\n", one("a"), one("b")), vec![one("a"), one("b")]),
            ("rest".to_owned(), vec!["rest".to_owned()]),
        ] {
            assert_eq!(blocks(&text), expected);
        }
    }
}
