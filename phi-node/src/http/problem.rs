//! Refusals over HTTP: problem details, RFC 9457.

use axum::{
    Json,
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, Uri, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::service::Denied;

/// Why a request is refused.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct Problem {
    /// A kind of problem that others have named; left out it is `about:blank`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    /// The words of the status.
    title: String,
    /// The status.
    status: u16,
    /// A stable word, for programs.
    code: String,
    /// A sentence, for people; its wording may change.
    detail: String,
    /// What to do next, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// The word of the cause: of a verification error, or of what is wrong with the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// How many units are left of the period.
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<u64>,
    /// When the period ends: RFC 3339, in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    resets: Option<String>,
    /// The place in the queue, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    ahead: Option<u64>,
    /// The quotas that have too few left.
    #[serde(rename = "violated-policies", skip_serializing_if = "Option::is_none")]
    violated_policies: Option<Vec<String>>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self {
            title: status.canonical_reason().unwrap_or_default().into(),
            status: status.as_u16(),
            code: code.into(),
            detail: detail.into(),
            ..Self::default()
        }
    }

    pub(super) fn hint(self, hint: &str) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status);
        let mut response = Json(&self).into_response();
        *response.status_mut() = status.expect("a problem is made with a status");
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        if let Self::Refused(rejection) = &self {
            return rejection.response::<Body>();
        }
        let mut problem = Problem::new(self.status(), self.code(), self.to_string());
        problem.hint = self.hint().map(str::to_owned);
        let mut response = problem.into_response();
        if let Some(wait) = self.retry_after() {
            let wait = HeaderValue::from(wait.as_secs().max(1));
            response.headers_mut().insert(header::RETRY_AFTER, wait);
        }
        response
    }
}

pub(super) async fn no_route(uri: Uri) -> Problem {
    let detail = format!("there is nothing at {}", uri.path());
    let problem = Problem::new(StatusCode::NOT_FOUND, "no-route", detail);
    problem.hint("GET /openapi.json has every path")
}

pub(super) async fn no_method(uri: Uri) -> Problem {
    let detail = format!("{} has no such method", uri.path());
    let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "no-method", detail);
    problem.hint("GET /openapi.json has every path and its methods")
}
