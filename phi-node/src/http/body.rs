//! Requests as they have to be: JSON of the fields that are known, parameters that are known.

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderName, StatusCode, header, request::Parts};
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// A body of JSON.
pub(super) struct Strict<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Strict<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        if !is_json(request.headers()) {
            let problem = Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "not-json",
                "the body is not said to be JSON",
            );
            return Err(problem
                .hint("send Content-Type: application/json")
                .into_response());
        }
        let bytes = Bytes::from_request(request, state).await;
        let bytes = bytes.map_err(|rejection| {
            let detail = rejection.body_text();
            Problem::new(rejection.status(), "body-unreadable", detail).into_response()
        })?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            let detail = format!("the body is not what is asked for: {error}");
            let problem = Problem::new(StatusCode::BAD_REQUEST, "malformed", detail);
            problem
                .hint("GET /openapi.json has every field")
                .into_response()
        })
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}

/// Parameters of a query.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(rejection) => {
                let detail = rejection.body_text();
                let problem = Problem::new(StatusCode::BAD_REQUEST, "malformed", detail);
                Err(problem
                    .hint("GET /openapi.json has every parameter")
                    .into_response())
            }
        }
    }
}

/// The name of a request, if it has one: a string of structured fields (RFC 9651, section 3.3.3).
pub(super) struct Key(pub(super) Option<String>);

const KEY: HeaderName = HeaderName::from_static("idempotency-key");

impl<S: Send + Sync> FromRequestParts<S> for Key {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let mut shown = parts.headers.get_all(KEY).iter();
        let Some(value) = shown.next() else {
            return Ok(Self(None));
        };
        let one = shown.next().is_none();
        if let Some(key) = string(value.as_bytes()).filter(|_| one) {
            return Ok(Self(Some(key)));
        }
        let detail = "the Idempotency-Key is not one string";
        let problem = Problem::new(StatusCode::BAD_REQUEST, "malformed", detail);
        Err(problem
            .hint("write it in quotation marks: Idempotency-Key: \"8e03978e\"")
            .into_response())
    }
}

/// What is between the quotation marks.
fn string(value: &[u8]) -> Option<String> {
    let inner = value
        .trim_ascii()
        .strip_prefix(b"\"")?
        .strip_suffix(b"\"")?;
    let mut text = String::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'\\' => bytes.next().filter(|byte| b"\"\\".contains(byte))?,
            b'"' => return None,
            b' '..=b'~' => byte,
            _ => return None,
        };
        text.push(char::from(*byte));
    }
    Some(text)
}

/// The part of a path that names something.
pub(super) struct Segment(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(name)) => Ok(Self(name)),
            Err(rejection) => {
                let (status, detail) = (rejection.status(), rejection.body_text());
                Err(Problem::new(status, "malformed", detail).into_response())
            }
        }
    }
}
