//! OCSP over HTTP (RFC 6960 Appendix A, RFC 5019 §5 and §6).
//!
//! Whatever is a request for the responder is answered 200 with an OCSP response, errors such as `malformedRequest` and
//! `tryLater` too; a status of HTTP's own tells that no OCSP request came at all.

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use chancery_authority::Authority;
use chancery_authority::status::OcspAnswer;
use chancery_model::CaId;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use percent_encoding::percent_decode_str;
use sha2::{Digest as _, Sha256};

use crate::conditional::Document;
use crate::refusal::Refusal;

const REQUEST_TYPE: &str = "application/ocsp-request";
const RESPONSE_TYPE: &str = "application/ocsp-response";

/// Octets of DER. A request for one certificate has about a hundred.
const REQUEST_MAX: usize = 64 * 1_024;
/// Of the same in a path: base64 takes four characters for three octets, and each may be percent-encoded.
const ENCODED_MAX: usize = REQUEST_MAX.div_ceil(3) * 4 * 3;

/// Padding is asked for by RFC 4648 and left out by many.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

pub async fn post(
    State(authority): State<Authority>,
    Path(ca): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    let ca = responder(&ca)?;
    if !is_request_type(request.headers()) {
        let text = "An OCSP request has the content type application/ocsp-request";
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
    }
    let der = body(request.into_body()).await?;
    let answer = authority.ocsp(ca, &der).await;
    // A cache cannot tell two POSTs apart.
    Ok(uncached(answer))
}

pub async fn get(
    State(authority): State<Authority>,
    // Only the CA is taken from here: the rest may mean something else once it is decoded.
    Path((ca, _)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Refusal> {
    let id = responder(&ca)?;
    let encoded = encoded_request(request.uri().path());
    if encoded.len() > ENCODED_MAX {
        return Err(Refusal::new(StatusCode::URI_TOO_LONG, "An OCSP request has at most 64 KiB"));
    }
    // What is not base64 is no request, and the responder says so of nothing too.
    let der = decoded(encoded).unwrap_or_default();
    if der.len() > REQUEST_MAX {
        return Err(Refusal::new(StatusCode::URI_TOO_LONG, "An OCSP request has at most 64 KiB"));
    }
    let answer = authority.ocsp(id, &der).await;
    if !answer.cacheable {
        return Ok(uncached(answer));
    }
    let document = Document {
        media_type: RESPONSE_TYPE,
        file_name: None,
        etag: hex::encode(Sha256::digest(&answer.der)),
        modified: Some(answer.produced_at),
        expires: answer.next_update,
        body: Bytes::from_owner(answer.der),
    };
    Ok(document.answer(request.headers(), authority.now()))
}

fn responder(ca: &str) -> Result<CaId, Refusal> {
    ca.parse().map_err(|_| Refusal::not_found("There is no such OCSP responder"))
}

/// The media type alone counts, not its case or its parameters (RFC 9110 §8.3.1).
fn is_request_type(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().is_some_and(|media| media.trim().eq_ignore_ascii_case(REQUEST_TYPE))
}

async fn body(body: Body) -> Result<Bytes, Refusal> {
    axum::body::to_bytes(body, REQUEST_MAX)
        .await
        .map_err(|_| Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "An OCSP request has at most 64 KiB"))
}

/// What stands behind the CA's id in the path as it was sent: the fifth slash and all before it is the route's.
fn encoded_request(path: &str) -> &str {
    path.splitn(7, '/').nth(6).unwrap_or_default()
}

/// Percent-decoding first, base64 second (RFC 6960 Appendix A.1). A slash at the end may be a digit of the one or a slip
/// of whoever put the address together: it is dropped only where the text makes no sense with it.
fn decoded(encoded: &str) -> Option<Vec<u8>> {
    let text: Vec<u8> = percent_decode_str(encoded).collect();
    BASE64
        .decode(&text)
        .or_else(|error| match text.strip_suffix(b"/") {
            Some(shorter) => BASE64.decode(shorter),
            None => Err(error),
        })
        .ok()
}

fn uncached(answer: OcspAnswer) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(RESPONSE_TYPE)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, Bytes::from_owner(answer.der)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_is_what_the_path_says_behind_the_ca() {
        for (path, expected) in [
            ("/api/v1/cert-manager/ocsp/ca/MFQw", "MFQw"),
            ("/api/v1/cert-manager/ocsp/ca/a/b//c%2F", "a/b//c%2F"),
            ("/api/v1/cert-manager/ocsp/ca//a", "/a"),
            ("/api/v1/cert-manager/ocsp/ca/", ""),
            ("/api/v1/cert-manager/ocsp/ca", ""),
        ] {
            assert_eq!(encoded_request(path), expected, "{path}");
        }
    }

    #[test]
    fn base64_is_read_as_clients_write_it() {
        let check = |text: &str, expected: Option<&[u8]>| assert_eq!(decoded(text).as_deref(), expected, "{text}");
        check("+/++", Some(&[0xfb, 0xff, 0xbe]));
        check("%2B%2F%2b%2f", Some(&[0xfb, 0xff, 0xbf]));
        check("//8=", Some(&[0xff, 0xff]));
        check("//8%3D", Some(&[0xff, 0xff]));
        check("//8", Some(&[0xff, 0xff]));
        check("//8=/", Some(&[0xff, 0xff]));
        check("////", Some(&[0xff, 0xff, 0xff]));
        check("/////", Some(&[0xff, 0xff, 0xff]));
        check("", Some(&[]));
        for bad in ["A", "AA A", "%", "AA==AA", "-_-_", "\u{e4}"] {
            check(bad, None);
        }
    }

    #[test]
    fn the_media_type_decides_whatever_its_case_and_parameters() {
        for (value, expected) in [
            ("application/ocsp-request", true),
            ("Application/OCSP-Request; charset=x", true),
            ("application/ocsp-response", false),
            ("application/octet-stream", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_str(value).unwrap())]);
            assert_eq!(is_request_type(&headers), expected, "{value}");
        }
        assert!(!is_request_type(&HeaderMap::new()));
    }
}
