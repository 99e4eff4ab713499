//! The same request as a command: for `curl` and for the command line of this program.

use std::fmt::Write;

use serde_json::{Map, Value, json};

/// A request, as far as somebody said what it shall be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    pub profile_id: String,
    pub profile_slug: String,
    pub application_id: Option<String>,
    /// The core's name of each field and its value; lists by repetition.
    pub fields: Vec<(String, String)>,
    /// Kind and value.
    pub names: Vec<(String, String)>,
    pub has_csr: bool,
    pub labels: Vec<(String, String)>,
}

/// Texts of one value, numbers and lists among them.
const LISTS: [&str; 2] = ["keyUsages", "extendedKeyUsages"];
/// Said by the command line's options of the same name, in kebab case.
const OPTIONS: [(&str, &str); 13] = [
    ("commonName", "common-name"),
    ("organization", "organization"),
    ("organizationalUnit", "organizational-unit"),
    ("country", "country"),
    ("state", "state"),
    ("locality", "locality"),
    ("keyAlgorithm", "key-algorithm"),
    ("signatureAlgorithm", "signature-algorithm"),
    ("keyUsages", "key-usage"),
    ("extendedKeyUsages", "extended-key-usage"),
    ("ttl", "ttl"),
    ("notBefore", "not-before"),
    ("notAfter", "not-after"),
];

impl Asked {
    /// The body of the issue request. A CSR is left to be put in.
    fn body(&self) -> Value {
        let mut attributes = Map::new();
        for (field, value) in &self.fields {
            match field.as_str() {
                "domainComponents" => push(&mut attributes, field, value),
                field if LISTS.contains(&field) => push(&mut attributes, field, value),
                "basicConstraints.isCA" | "basicConstraints.pathLength" => {
                    let inner = field.trim_start_matches("basicConstraints.").to_owned();
                    let value = value.parse::<u8>().map_or_else(|_| json!(value == "true"), |it| json!(it));
                    let whole = attributes.entry("basicConstraints").or_insert_with(|| json!({}));
                    if let Value::Object(whole) = whole {
                        whole.insert(inner, value);
                    }
                }
                _ => {
                    attributes.insert(field.clone(), json!(value));
                }
            }
        }
        if !self.names.is_empty() && !self.has_csr {
            let names: Vec<Value> =
                self.names.iter().map(|(kind, value)| json!({ "type": kind, "value": value })).collect();
            attributes.insert("altNames".to_owned(), json!(names));
        }
        let mut body = Map::new();
        body.insert("profileId".to_owned(), json!(self.profile_id));
        if let Some(id) = &self.application_id {
            body.insert("applicationId".to_owned(), json!(id));
        }
        if !attributes.is_empty() {
            body.insert("attributes".to_owned(), Value::Object(attributes));
        }
        if !self.labels.is_empty() {
            let labels = self.labels.iter().map(|(key, value)| json!({ "key": key, "value": value }));
            body.insert("metadata".to_owned(), labels.collect());
        }
        Value::Object(body)
    }

    /// `server`: its address.
    pub fn curl(&self, server: &str) -> String {
        let body = ascii(&serde_json::to_string_pretty(&self.body()).unwrap_or_default());
        let path = "/api/v1/cert-manager/certificates";
        let address = quoted(&format!("{}{path}", server.trim_end_matches('/')));
        let head = format!(
            "curl -sS {address} \\\n  -H \"Authorization: Bearer $CHANCERY_TOKEN\" \\\n  -H 'Content-Type: application/json' \\\n  -d "
        );
        if self.has_csr {
            // jq puts the file into the body as one string.
            return format!(
                "jq -n --rawfile csr request.csr {} |\n{head}@-",
                quoted(&format!("{body} + {{csr: $csr}}"))
            );
        }
        head + &quoted(&body)
    }

    /// As `chancery cert request`.
    pub fn command_line(&self) -> String {
        let mut text = format!("chancery cert request --profile {}", word(&self.profile_slug));
        let mut add = |option: &str, value: &str| {
            // Writing into a string cannot fail.
            let _ = write!(text, " \\\n  --{option} {}", word(value));
        };
        if let Some(id) = &self.application_id {
            add("application", id);
        }
        if self.has_csr {
            add("csr", "request.csr");
        }
        for (field, value) in &self.fields {
            if let Some((_, option)) = OPTIONS.iter().find(|(core, _)| core == field) {
                add(option, value);
            }
        }
        for (kind, value) in self.names.iter().filter(|_| !self.has_csr) {
            add("san", &format!("{}:{value}", kind.trim_end_matches("_name").trim_end_matches("_address")));
        }
        for (key, value) in &self.labels {
            add("metadata", &format!("{key}={value}"));
        }
        text
    }

    /// Whether the command line has words for all of it.
    pub fn fits_command_line(&self) -> bool {
        self.fields.iter().all(|(field, _)| OPTIONS.iter().any(|(core, _)| core == field))
    }
}

fn push(attributes: &mut Map<String, Value>, field: &str, value: &str) {
    if let Value::Array(list) = attributes.entry(field).or_insert_with(|| json!([])) {
        list.push(json!(value));
    }
}

/// JSON with letters beyond ASCII as escapes: what hides in a name does not get into somebody's shell unseen.
fn ascii(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for it in json.chars() {
        if it.is_ascii() {
            out.push(it);
            continue;
        }
        let mut units = [0; 2];
        for unit in it.encode_utf16(&mut units) {
            let _ = write!(out, "\\u{unit:04x}");
        }
    }
    out
}

/// One word of a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Quoted only where it must be.
fn word(text: &str) -> String {
    let is_plain = |it: char| it.is_ascii_alphanumeric() || matches!(it, '.' | '-' | '_' | ':' | '/' | '@' | '=');
    if !text.is_empty() && text.chars().all(is_plain) { text.to_owned() } else { quoted(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Asked {
        let pair = |(left, right): (&str, &str)| (left.to_owned(), right.to_owned());
        Asked {
            profile_id: "p".to_owned(),
            profile_slug: "web".to_owned(),
            fields: [("commonName", "a.acme.com"), ("keyUsages", "digital_signature"), ("ttl", "90d")]
                .map(pair)
                .to_vec(),
            names: [("dns_name", "b.acme.com"), ("ip_address", "10.0.0.1")].map(pair).to_vec(),
            ..Asked::default()
        }
    }

    #[test]
    fn a_request_is_said_as_a_body_and_as_options() {
        assert_eq!(
            asked().body(),
            json!({ "profileId": "p", "attributes": {
                "commonName": "a.acme.com", "keyUsages": ["digital_signature"], "ttl": "90d",
                "altNames": [{ "type": "dns_name", "value": "b.acme.com" }, { "type": "ip_address", "value": "10.0.0.1" }],
            } })
        );
        assert_eq!(
            asked().command_line().replace(" \\\n ", ""),
            "chancery cert request --profile web --common-name a.acme.com --key-usage digital_signature --ttl 90d \
             --san dns:b.acme.com --san ip:10.0.0.1"
        );
        assert!(asked().curl("https://pki.acme.com/").starts_with("curl -sS 'https://pki.acme.com/api/v1/"));
    }

    #[test]
    fn hostile_names_stay_one_word() {
        let mut it = asked();
        it.fields = vec![("commonName".to_owned(), "x'; rm -rf / #\u{202e}".to_owned())];
        assert!(it.curl("https://a").contains(r"x'\''; rm -rf / #\u202e"), "{}", it.curl("https://a"));
        assert!(it.command_line().contains(r"--common-name 'x'\''; rm -rf / #"));
    }

    #[test]
    fn a_csr_comes_from_its_file() {
        let it = Asked { has_csr: true, fields: Vec::new(), ..asked() };
        assert!(it.curl("https://a").starts_with("jq -n --rawfile csr request.csr '{"), "{}", it.curl("https://a"));
        assert!(!it.curl("https://a").contains("altNames"));
        assert!(it.command_line().contains("--csr request.csr"));
    }
}
