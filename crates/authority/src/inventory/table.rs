//! What a search finds as a table: comma-separated values (RFC 4180), piece by piece, so that a large inventory is never
//! held as a whole.

use chancery_model::Timestamp;
use chancery_model::certificate::{Certificate, CertificateFilter};
use chancery_model::page::PageRequest;
use chancery_model::permission::Permission;
use uuid::Uuid;

use crate::Authority;
use crate::call::Call;
use crate::error::Error;

const COLUMNS: [&str; 21] = [
    "id",
    "status",
    "common_name",
    "alternative_names",
    "serial_number",
    "not_before",
    "not_after",
    "issuer",
    "key",
    "signature",
    "source",
    "friendly_name",
    "ca_id",
    "profile_id",
    "application_id",
    "has_private_key",
    "revoked_at",
    "revocation_reason",
    "renewed_by",
    "renewal_error",
    "fingerprint_sha256",
];

/// A table on its way out.
pub struct CertificateTable {
    authority: Authority,
    call: Call,
    filter: CertificateFilter,
    /// The page that comes next; `None` after the last.
    page: Option<PageRequest>,
    /// What stands before the next page's rows: the names of the columns, once.
    head: String,
}

impl Authority {
    /// What the filter finds, from the page's cursor on; `None` finds nothing, and the table is its head alone.
    pub fn certificate_table(
        &self,
        call: &Call,
        wanted: Option<(CertificateFilter, PageRequest)>,
    ) -> Result<CertificateTable, Error> {
        call.requester.require_somewhere(Permission::CertificateRead)?;
        let (filter, page) = match wanted {
            Some((filter, page)) => (filter, Some(PageRequest { limit: PageRequest::LIMIT_MAX, ..page })),
            None => (CertificateFilter::default(), None),
        };
        let head = COLUMNS.join(",") + "\r\n";
        Ok(CertificateTable { authority: self.clone(), call: call.clone(), filter, page, head })
    }
}

impl CertificateTable {
    /// The next rows, some hundreds at most; `None` at the end. The first piece begins with the names of the columns.
    pub async fn next(&mut self) -> Result<Option<String>, Error> {
        let mut text = std::mem::take(&mut self.head);
        let Some(page) = self.page.take() else { return Ok(Some(text).filter(|it| !it.is_empty())) };
        let now = self.authority.now();
        let project = self.call.project_id();
        let found = self.authority.reader().certificates(project, &self.filter, now, &page).await?;
        found.items.iter().for_each(|it| text.push_str(&row(it, now)));
        self.page = found.next_cursor.map(|cursor| PageRequest { offset: 0, cursor: Some(cursor), ..page });
        // A page may be empty while its cursor leads on.
        Ok(Some(text))
    }
}

fn row(it: &Certificate, now: Timestamp) -> String {
    let description = &it.description;
    let foreign = description.foreign.as_ref();
    let names: Vec<&str> = description.sans.iter().map(|(_, value)| value.as_str()).collect();
    let uuid = |id: Option<Uuid>| id.map_or_else(String::new, |id| id.to_string());
    let key = description.key_algorithm.map_or_else(|| foreign.map(|it| it.key.clone()), |it| Some(it.to_string()));
    let signature = description
        .signature_algorithm
        .map_or_else(|| foreign.map(|it| it.signature.clone()), |it| Some(it.to_string()));
    let fields: [String; COLUMNS.len()] = [
        it.id.to_string(),
        it.status(now).as_str().to_owned(),
        description.common_name().unwrap_or_default().to_owned(),
        names.join(" "),
        it.serial_number.clone(),
        it.not_before.to_string(),
        it.not_after.to_string(),
        foreign.map(|it| it.issuer.clone()).unwrap_or_default(),
        key.unwrap_or_default(),
        signature.unwrap_or_default(),
        it.source.as_str().to_owned(),
        it.friendly_name.clone().unwrap_or_default(),
        uuid(it.ca_id.map(|id| id.as_uuid())),
        uuid(it.profile_id.map(|id| id.as_uuid())),
        uuid(it.application_id.map(|id| id.as_uuid())),
        it.key_id.is_some().to_string(),
        it.revocation.map(|it| it.at.to_string()).unwrap_or_default(),
        it.revocation.map(|it| it.reason.as_str().to_owned()).unwrap_or_default(),
        uuid(it.renewal.renewed_by.map(|id| id.as_uuid())),
        it.renewal.error.clone().unwrap_or_default(),
        hex::encode(it.fingerprint_sha256),
    ];
    let fields: Vec<String> = fields.iter().map(|field| cell(field)).collect();
    fields.join(",") + "\r\n"
}

/// One field (RFC 4180 §2). A spreadsheet takes what begins like a formula for one, so that gets a quote in front;
/// serial numbers of digits alone would lose some of them to a number.
fn cell(text: &str) -> String {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'e' || byte == b'E');
    let risky = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) || (digits && text.len() > 11);
    let text = if risky { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\r', '\n', '\t', ';']) || risky {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_field_is_a_formula_or_breaks_its_row() {
        for (text, expected) in [
            ("www.acme.com", "www.acme.com"),
            ("", ""),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("=1+1", "\"'=1+1\""),
            ("+1", "\"'+1\""),
            ("-1", "\"'-1\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("\tx", "\"'\tx\""),
            ("a\r\nb", "\"a\r\nb\""),
            ("123456789012", "\"'123456789012\""),
            ("1234567e8901", "\"'1234567e8901\""),
            ("0a1b", "0a1b"),
        ] {
            assert_eq!(cell(text), expected, "{text:?}");
        }
    }
}
