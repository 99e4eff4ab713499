//! AWS Signature Version 4: proves who asks without sending the secret.

use aws_lc_rs::{digest, hmac};
use chancery_egress::Url;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use zeroize::Zeroizing;

/// All but the unreserved characters (RFC 3986 §2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

pub(super) struct Signer<'a> {
    pub access_key_id: &'a str,
    pub secret_access_key: &'a str,
    pub region: &'a str,
    pub service: &'a str,
}

/// What is signed. `headers` beside `host` and `x-amz-date`, which are signed always: lower-case names.
pub(super) struct Signed<'a> {
    pub method: &'a str,
    pub url: &'a Url,
    pub headers: &'a [(&'a str, &'a str)],
    pub body: &'a [u8],
    /// `YYYYMMDDTHHMMSSZ`; also the header `x-amz-date`.
    pub date: &'a str,
}

impl Signer<'_> {
    /// The header `Authorization`.
    pub fn authorization(&self, request: &Signed<'_>) -> String {
        let day = request.date.get(..8).unwrap_or_default();
        let scope = format!("{day}/{}/{}/aws4_request", self.region, self.service);
        let (canonical, names) = canonical(request);
        let to_sign = format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{}", request.date, sha256(canonical.as_bytes()));
        let signature = hex::encode(mac(&self.key(day), &to_sign));
        format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            self.access_key_id
        )
    }

    fn key(&self, day: &str) -> Zeroizing<Vec<u8>> {
        let start = Zeroizing::new(format!("AWS4{}", self.secret_access_key).into_bytes());
        [day, self.region, self.service, "aws4_request"].iter().fold(start, |key, part| mac(&key, part))
    }
}

/// The canonical request, and the names of the headers that are in it.
fn canonical(request: &Signed<'_>) -> (String, String) {
    let host = match (request.url.host_str(), request.url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (host, _) => host.unwrap_or_default().to_owned(),
    };
    let mut headers = vec![("host", host.as_str()), ("x-amz-date", request.date)];
    headers.extend_from_slice(request.headers);
    headers.sort_unstable();
    let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
    let mut query: Vec<_> = request.url.query_pairs().map(|(name, value)| (escaped(&name), escaped(&value))).collect();
    query.sort_unstable();
    let query = query.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
    // The path is escaped once in the URL and once more here (S3 alone is different).
    let path: Vec<_> = request.url.path().split('/').map(|it| escaped(&normal(it))).collect();
    let canonical =
        format!("{}\n{}\n{query}\n{lines}\n{names}\n{}", request.method, path.join("/"), sha256(request.body));
    (canonical, names)
}

/// A segment as AWS escapes it, which is more than a URL needs.
fn normal(segment: &str) -> String {
    escaped(&percent_decode_str(segment).decode_utf8_lossy())
}

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}

fn mac(key: &[u8], text: &str) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The signatures that AWS publishes for these requests.
    #[test]
    fn published_requests_get_their_published_signatures() {
        let check = |service: &str, method: &str, url: &str, headers: &[(&str, &str)], expected: &str| {
            let signer = Signer {
                access_key_id: "AKIDEXAMPLE",
                secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
                region: "us-east-1",
                service,
            };
            let url = Url::parse(url).unwrap();
            let request = Signed { method, url: &url, headers, body: b"", date: "20150830T123600Z" };
            let header = signer.authorization(&request);
            let signature = header.rsplit_once("Signature=").unwrap().1;
            assert_eq!(signature, expected, "{method} {url}");
            assert!(
                header.starts_with(&format!(
                    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/{service}/aws4_request, SignedHeaders="
                )),
                "{header}"
            );
        };
        check(
            "iam",
            "GET",
            "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08",
            &[("content-type", "application/x-www-form-urlencoded; charset=utf-8")],
            "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
        );
        check(
            "service",
            "GET",
            "https://example.amazonaws.com/",
            &[],
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        );
        check(
            "service",
            "POST",
            "https://example.amazonaws.com/",
            &[],
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        );
        check(
            "service",
            "GET",
            "https://example.amazonaws.com/?Param2=value2&Param1=value1",
            &[],
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        );
    }
}
