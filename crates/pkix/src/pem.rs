//! Textual encodings (RFC 7468): 64 columns and LF when written; one-line or folded base64, LF or CRLF when read.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

pub const CERTIFICATE: &str = "CERTIFICATE";
pub const X509_CRL: &str = "X509 CRL";
pub const CERTIFICATE_REQUEST: &str = "CERTIFICATE REQUEST";

/// One block: its label and the decoded contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PemBlock {
    pub label: String,
    pub der: Vec<u8>,
}

/// What to do with text that stands outside the blocks. White space is always accepted there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutsideText {
    Refuse,
    Skip,
}

/// Text that is not a sequence of PEM blocks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PemError(&'static str);

/// One block with a final newline.
pub fn encode(label: &str, der: &[u8]) -> String {
    const COLUMNS: usize = 64;
    let base64 = STANDARD.encode(der);
    let mut out = String::with_capacity(base64.len() + base64.len() / COLUMNS + 2 * label.len() + 40);
    out.extend(["-----BEGIN ", label, "-----\n"]);
    for start in (0..base64.len()).step_by(COLUMNS) {
        let end = base64.len().min(start + COLUMNS);
        out.extend([base64.get(start..end).unwrap_or_default(), "\n"]);
    }
    out.extend(["-----END ", label, "-----\n"]);
    out
}

/// All blocks of a text, in order. Time is linear in the length of the text.
pub fn decode(text: &str, outside: OutsideText) -> Result<Vec<PemBlock>, PemError> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let line = line.trim_ascii();
        if let Some(label) = between(line, "-----BEGIN ") {
            blocks.push(block(label, &mut lines)?);
        } else if line.starts_with("-----") {
            return Err(PemError("A line of dashes is neither a BEGIN line nor belongs to one"));
        } else if outside == OutsideText::Refuse && !line.is_empty() {
            return Err(PemError("There is text outside the PEM block"));
        }
    }
    Ok(blocks)
}

fn between<'a>(line: &'a str, start: &str) -> Option<&'a str> {
    line.strip_prefix(start)?.strip_suffix("-----").filter(|label| !label.is_empty())
}

fn block<'a>(label: &str, lines: &mut impl Iterator<Item = &'a str>) -> Result<PemBlock, PemError> {
    let mut base64 = String::new();
    for line in lines {
        let line = line.trim_ascii();
        if !line.starts_with('-') {
            base64.push_str(line);
        } else if between(line, "-----END ") == Some(label) {
            let der = STANDARD.decode(base64).map_err(|_| PemError("The PEM block is not valid base64"))?;
            return Ok(PemBlock { label: label.to_owned(), der });
        } else {
            return Err(PemError("The PEM block does not end with its own END line"));
        }
    }
    Err(PemError("The PEM block has no END line"))
}
