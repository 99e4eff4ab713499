//! How handlers get what they need. All of it comes after the gate.

use axum::Json;
use axum::body::{Body as AxumBody, Bytes, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::response::{IntoResponse, Response};
use chancery_authority::Call;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::error::ApiError;
use crate::issues::{Issues, issue};
use crate::json;

/// Largest body, unless a route says otherwise.
pub(crate) const BODY_MAX: usize = 256 * 1024;

/// Largest body of the route; a request extension.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyMax(pub usize);

fn body_max(parts: &Parts) -> usize {
    parts.extensions.get::<BodyMax>().map_or(BODY_MAX, |most| most.0)
}

/// What most handlers answer.
pub(crate) type Answer<T> = Result<Json<T>, ApiError>;

/// Who calls, proved by the gate.
pub(crate) struct Caller(pub Call);

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get::<Call>().cloned().map(Self).ok_or_else(|| ApiError::internal("no gate before this route"))
    }
}

/// Reads a body within the limit; compressed bodies are refused, so that nothing grows while it is read.
pub(crate) async fn read_body(parts: &Parts, body: AxumBody) -> Result<Bytes, ApiError> {
    let (headers, most) = (&parts.headers, body_max(parts));
    let encoded =
        headers.get(CONTENT_ENCODING).is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"));
    if encoded {
        return Err(unsupported("Content-Encoding is not supported; send the body as it is"));
    }
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > most as u64) {
        return Err(too_large(most));
    }
    to_bytes(body, most).await.map_err(|error| {
        let limited =
            std::error::Error::source(&error).is_some_and(|source| source.is::<http_body_util::LengthLimitError>());
        if limited {
            too_large(most)
        } else {
            ApiError::bad_request("body.incomplete", "The body ended before it was complete")
        }
    })
}

fn too_large(most: usize) -> ApiError {
    let message = format!("The body is larger than {} KiB", most / 1024);
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLarge", "body.too_large", message)
}

fn unsupported(message: &str) -> ApiError {
    ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", "body.media_type", message)
}

fn media_type(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(text.split(';').next().unwrap_or(text).trim())
}

fn is_json(headers: &HeaderMap) -> bool {
    media_type(headers).is_some_and(|it| it.eq_ignore_ascii_case("application/json"))
}

/// A JSON body.
pub(crate) struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        if !is_json(&parts.headers) {
            return Err(unsupported("Send the body as application/json"));
        }
        let bytes = read_body(&parts, body).await?;
        json::parse(&bytes).map(Self)
    }
}

/// A JSON body that may be missing or `null`.
pub(crate) struct OptionalBody<T>(pub T);

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for OptionalBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let bytes = read_body(&parts, body).await?;
        if bytes.trim_ascii().is_empty() {
            return Ok(Self(T::default()));
        }
        if !is_json(&parts.headers) {
            return Err(unsupported("Send the body as application/json"));
        }
        Ok(Self(json::parse::<Option<T>>(&bytes)?.unwrap_or_default()))
    }
}

/// A body in JSON or as an HTML form.
pub(crate) struct JsonOrForm<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonOrForm<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let form =
            media_type(&parts.headers).is_some_and(|it| it.eq_ignore_ascii_case("application/x-www-form-urlencoded"));
        if !form && !is_json(&parts.headers) {
            return Err(unsupported("Send the body as application/json or application/x-www-form-urlencoded"));
        }
        let bytes = read_body(&parts, body).await?;
        if form { urlencoded(&bytes).map(Self) } else { json::parse(&bytes).map(Self) }
    }
}

fn urlencoded<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let deserializer = serde_urlencoded::Deserializer::new(form_urlencoded::parse(bytes));
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let path = error.path().clone();
        json::data_error(&path, &error.into_inner().to_string())
    })
}

/// Query parameters.
pub(crate) struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        urlencoded(parts.uri.query().unwrap_or_default().as_bytes()).map(Self)
    }
}

/// The one id in the path. Anything but a UUID is 422.
pub(crate) struct Id<T>(pub T);

impl<T: From<Uuid>, S: Send + Sync> FromRequestParts<S> for Id<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let mut ids = path_ids(parts, state).await?.into_iter();
        ids.next().map(|id| Self(T::from(id))).ok_or_else(|| ApiError::internal("the route has no id"))
    }
}

/// The two ids in the path.
pub(crate) struct Ids<A, B>(pub A, pub B);

impl<A: From<Uuid>, B: From<Uuid>, S: Send + Sync> FromRequestParts<S> for Ids<A, B> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let mut ids = path_ids(parts, state).await?.into_iter();
        match (ids.next(), ids.next()) {
            (Some(first), Some(second)) => Ok(Self(A::from(first), B::from(second))),
            _ => Err(ApiError::internal("the route has no two ids")),
        }
    }
}

async fn path_ids<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<Vec<Uuid>, ApiError> {
    let params = path_params(parts, state).await?;
    let mut issues = Issues::default();
    let ids = params.iter().filter_map(|(name, text)| issues.uuid(name, Some(text))).collect();
    issues.finish()?;
    Ok(ids)
}

async fn path_params<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<RawPathParams, ApiError> {
    RawPathParams::from_request_parts(parts, state)
        .await
        .map_err(|_| ApiError::invalid(vec![issue("", "invalid_string", "The path is not valid UTF-8")]))
}

/// The one text in the path, such as a slug.
pub(crate) struct PathText(pub String);

impl<S: Send + Sync> FromRequestParts<S> for PathText {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let params = path_params(parts, state).await?;
        let first = params.iter().next().map(|(_, text)| Self(text.to_owned()));
        first.ok_or_else(|| ApiError::internal("the route has no parameter"))
    }
}

/// The two texts in the path.
pub(crate) struct PathTexts(pub String, pub String);

impl<S: Send + Sync> FromRequestParts<S> for PathTexts {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let params = path_params(parts, state).await?;
        let mut texts = params.iter().map(|(_, text)| text.to_owned());
        match (texts.next(), texts.next()) {
            (Some(first), Some(second)) => Ok(Self(first, second)),
            _ => Err(ApiError::internal("the route has no two parameters")),
        }
    }
}

/// A text in the path and an id after it.
pub(crate) struct TextAndId<T>(pub String, pub T);

impl<T: From<Uuid>, S: Send + Sync> FromRequestParts<S> for TextAndId<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let PathTexts(text, id) = PathTexts::from_request_parts(parts, state).await?;
        let mut issues = Issues::default();
        let id = issues.uuid("id", Some(&id));
        issues.finish()?;
        id.map(|id| Self(text, T::from(id))).ok_or_else(|| ApiError::internal("an issue that was noted is gone"))
    }
}

/// A file to download.
pub(crate) struct Download {
    pub media_type: &'static str,
    pub name: String,
    pub bytes: Vec<u8>,
}

impl IntoResponse for Download {
    fn into_response(self) -> Response {
        let disposition = format!("attachment; filename=\"{}\"", safe_name(&self.name));
        let headers = [(CONTENT_TYPE, self.media_type.to_owned()), (http::header::CONTENT_DISPOSITION, disposition)];
        (headers, self.bytes).into_response()
    }
}

/// RFC 6266 file name from a fixed alphabet.
fn safe_name(name: &str) -> String {
    name.chars().map(|it| if it.is_ascii_alphanumeric() || matches!(it, '_' | '.' | '-') { it } else { '_' }).collect()
}
