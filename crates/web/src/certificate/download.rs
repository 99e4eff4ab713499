//! A certificate as files, with and without its private key, and where they go.

use askama::Template;
use axum::extract::State;
use axum::response::IntoResponse;
use chancery_authority::Authority;
use chancery_authority::issuance::Pkcs12Wish;
use chancery_model::CertificateId;
use chancery_model::certificate::Certificate;
use chancery_model::permission::Permission;
use chancery_pkix::{pem, pkcs7};
use http::StatusCode;

use super::snippet::{Snippet, snippets};
use super::{Head, about_it, word};
use crate::error::WebError;
use crate::form::{Form, Problems};
use crate::frame::{Frame, Section, page_with};
use crate::route::Page;
use crate::text::filters;
use crate::visit::{Answer, Download, Id, Query, Visit};

pub(super) fn pages() -> Vec<Page> {
    use Permission::{CertificateRead, CertificateReadPrivateKey};
    vec![
        Page::get("/ui/certificates/{id}/download", CertificateRead, ask),
        Page::get("/ui/certificates/{id}/file", CertificateRead, file),
        Page::post("/ui/certificates/{id}/private-key", CertificateReadPrivateKey, private_key).elevated(),
        Page::post("/ui/certificates/{id}/pkcs12", CertificateReadPrivateKey, pkcs12).elevated(),
    ]
}

/// A public form of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    FullChain,
    Pem,
    Chain,
    Der,
    Pkcs7,
}

impl Format {
    const ALL: [Self; 5] = [Self::FullChain, Self::Pem, Self::Chain, Self::Der, Self::Pkcs7];

    const fn word(self) -> &'static str {
        match self {
            Self::FullChain => "fullchain",
            Self::Pem => "pem",
            Self::Chain => "chain",
            Self::Der => "der",
            Self::Pkcs7 => "pkcs7",
        }
    }

    const fn ending(self) -> &'static str {
        match self {
            Self::FullChain => "fullchain.pem",
            Self::Pem => "pem",
            Self::Chain => "chain.pem",
            Self::Der => "cer",
            Self::Pkcs7 => "p7b",
        }
    }

    const fn media_type(self) -> &'static str {
        match self {
            Self::FullChain | Self::Pem | Self::Chain => "application/x-pem-file",
            Self::Der => "application/pkix-cert",
            Self::Pkcs7 => "application/pkcs7-mime; smime-type=certs-only",
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::FullChain => "Full chain (PEM)",
            Self::Pem => "Certificate (PEM)",
            Self::Chain => "Issuers only (PEM)",
            Self::Der => "Certificate (DER)",
            Self::Pkcs7 => "Full chain (PKCS#7)",
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::FullChain => "The certificate and every issuer that is here: what most servers ask for",
            Self::Pem => "The certificate alone, as text",
            Self::Chain => "What others trust it by, the root last",
            Self::Der => "The certificate alone, as Windows and Java read it",
            Self::Pkcs7 => "Certificate and issuers in one .p7b file, for Windows and IIS",
        }
    }

    /// `chain` without the certificate itself.
    fn bytes(self, it: &Certificate, chain: &[Vec<u8>]) -> Vec<u8> {
        let text = |all: &mut dyn Iterator<Item = &Vec<u8>>| {
            all.map(|der| pem::encode(pem::CERTIFICATE, der)).collect::<String>().into_bytes()
        };
        match self {
            Self::FullChain => text(&mut std::iter::once(&it.der).chain(chain)),
            Self::Pem => text(&mut std::iter::once(&it.der)),
            Self::Chain => text(&mut chain.iter()),
            Self::Der => it.der.clone(),
            Self::Pkcs7 => {
                let all: Vec<&[u8]> =
                    std::iter::once(it.der.as_slice()).chain(chain.iter().map(Vec::as_slice)).collect();
                pkcs7::certs_only(&all)
            }
        }
    }
}

struct FileChoice {
    word: &'static str,
    label: &'static str,
    text: &'static str,
    name: String,
}

#[derive(Template)]
#[template(path = "certificate/download.html")]
struct DownloadPage {
    frame: Frame,
    head: Head,
    files: Vec<FileChoice>,
    /// Whether this visitor can have the key; if not, why not.
    has_key: bool,
    no_key: &'static str,
    stem: String,
    legacy: bool,
    snippets: Vec<Snippet>,
    problems: Problems,
}

async fn above(authority: &Authority, it: &Certificate) -> Result<Vec<Vec<u8>>, WebError> {
    let mut chain = authority.chain(it).await?;
    chain.retain(|der| *der != it.der);
    Ok(chain)
}

async fn ask(State(authority): State<Authority>, visit: Visit, Id(id): Id<CertificateId>) -> Answer {
    let it = authority.certificate_of(&visit.call, id).await?;
    show(&authority, &visit, &it, false, Problems::default()).await
}

async fn show(authority: &Authority, visit: &Visit, it: &Certificate, legacy: bool, problems: Problems) -> Answer {
    let status = if problems.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let has_issuers = !above(authority, it).await?.is_empty();
    let stem = word::file_stem(it);
    let formats = Format::ALL.into_iter().filter(|format| has_issuers || matches!(format, Format::Pem | Format::Der));
    let files = formats.map(|format| FileChoice {
        word: format.word(),
        label: format.label(),
        text: format.text(),
        name: format!("{stem}.{}", format.ending()),
    });
    let may_read = authority.may_read_key(&visit.call.requester, it);
    page_with(
        status,
        &DownloadPage {
            frame: visit.frame("Download", Section::Inventory),
            head: Head::of(it, visit.now),
            files: files.collect(),
            has_key: may_read && it.key_id.is_some(),
            no_key: no_key(it, may_read),
            stem,
            legacy,
            snippets: snippets(it, !has_issuers),
            problems,
        },
    )
}

const fn no_key(it: &Certificate, may_read: bool) -> &'static str {
    if it.from_csr() {
        "The certificate was issued from a CSR: its private key never was on this server. It lies where the CSR was made."
    } else if it.key_id.is_none() {
        "The server keeps no private key for this certificate."
    } else if !may_read {
        "The server keeps the private key. Its requester, the operators of its application and administrators may download it; you may not."
    } else {
        ""
    }
}

async fn file(
    State(authority): State<Authority>,
    visit: Visit,
    Id(id): Id<CertificateId>,
    Query(query): Query,
) -> Answer {
    let it = authority.certificate_of(&visit.call, id).await?;
    let wanted = query.text("format");
    let format = Format::ALL.into_iter().find(|format| format.word() == wanted);
    let format = format.ok_or_else(|| WebError::bad_request("There is no file of this format."))?;
    let chain = above(&authority, &it).await?;
    let name = format!("{}.{}", word::file_stem(&it), format.ending());
    Ok(Download { media_type: format.media_type(), name, bytes: format.bytes(&it, &chain) }.into_response())
}

async fn private_key(
    State(authority): State<Authority>,
    visit: Visit,
    Id(id): Id<CertificateId>,
    form: Form,
) -> Answer {
    let it = authority.certificate_of(&visit.call, id).await?;
    if !form.has("understood") {
        let mut problems = Problems::default();
        problems.add("understood", "Tick this first");
        return show(&authority, &visit, &it, false, problems).await;
    }
    let Some(key) = authority.private_key(&visit.call, &it).await? else {
        return Err(WebError::not_found("The private key of this certificate"));
    };
    let name = format!("{}.key", word::file_stem(&it));
    Ok(Download { media_type: "application/x-pem-file", name, bytes: key.as_bytes().to_vec() }.into_response())
}

async fn pkcs12(State(authority): State<Authority>, visit: Visit, Id(id): Id<CertificateId>, form: Form) -> Answer {
    let it = authority.certificate_of(&visit.call, id).await?;
    let password = form.raw("file_password").unwrap_or_default();
    let legacy = form.has("legacy");
    let mut problems = Problems::default();
    if form.raw("file_password_again") != Some(password) {
        problems.add("file_password_again", "The two passwords differ");
        return show(&authority, &visit, &it, legacy, problems).await;
    }
    let stem = word::file_stem(&it);
    match authority.pkcs12(&visit.call, id, &Pkcs12Wish { password, alias: &stem, legacy }).await {
        Ok((_, bytes)) => {
            Ok(Download { media_type: "application/x-pkcs12", name: format!("{stem}.p12"), bytes }.into_response())
        }
        Err(error) => {
            let problems = Problems::from_core(about_it(error), &[("password", "file_password")])?;
            show(&authority, &visit, &it, legacy, problems).await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_has_words_and_an_ending_of_its_own() {
        for (index, one) in Format::ALL.iter().enumerate() {
            for other in Format::ALL.iter().skip(index + 1) {
                assert_ne!(one.word(), other.word());
                assert_ne!(one.ending(), other.ending());
                assert_ne!(one.label(), other.label());
            }
        }
    }
}
