//! What is answered before any route is asked: one table for HTTP and gRPC.

use axum::body::Body;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use crate::clients::Right;

/// Why a request goes no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It shows neither a key nor a certificate.
    NoCredentials,
    /// What it shows is no client's.
    UnknownCredentials,
    /// It shows more than one key, or a key and a certificate of different clients.
    ConflictingCredentials,
    /// Anybody is let in, but not from there.
    NotFromHere,
    /// The client may not do this.
    NoRight(Right),
    /// There are more headers than this.
    TooManyHeaders(usize),
    /// The body has more bytes than this.
    BodyTooLarge(usize),
    /// The body did not end in time.
    BodyTooSlow,
    /// How long the caller waits is not said as the protocol has it.
    MalformedTimeout,
    /// The caller does not wait any more, as it said itself.
    Deadline,
    /// There was no answer in time, and what became of the request is not known.
    TooLate,
}

/// Which protocol it is told in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    Http,
    Grpc,
}

impl Door {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let kind = headers.get(header::CONTENT_TYPE);
        if kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc")) {
            Self::Grpc
        } else {
            Self::Http
        }
    }
}

/// The numbers of gRPC's statuses.
const INVALID_ARGUMENT: i32 = 3;
const DEADLINE_EXCEEDED: i32 = 4;
const PERMISSION_DENIED: i32 = 7;
const RESOURCE_EXHAUSTED: i32 = 8;
const UNAUTHENTICATED: i32 = 16;

impl Answer {
    /// The statuses of HTTP and gRPC, and the stable code.
    const fn row(self) -> (StatusCode, i32, &'static str) {
        match self {
            Self::NoCredentials => (
                StatusCode::UNAUTHORIZED,
                UNAUTHENTICATED,
                "credentials-missing",
            ),
            Self::UnknownCredentials => (
                StatusCode::UNAUTHORIZED,
                UNAUTHENTICATED,
                "credentials-unknown",
            ),
            Self::ConflictingCredentials => (
                StatusCode::UNAUTHORIZED,
                UNAUTHENTICATED,
                "credentials-conflict",
            ),
            Self::NotFromHere => (StatusCode::FORBIDDEN, PERMISSION_DENIED, "loopback-only"),
            Self::NoRight(_) => (StatusCode::FORBIDDEN, PERMISSION_DENIED, "scope"),
            Self::TooManyHeaders(_) => {
                let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
                (status, RESOURCE_EXHAUSTED, "headers-too-many")
            }
            Self::BodyTooLarge(_) => (
                StatusCode::PAYLOAD_TOO_LARGE,
                RESOURCE_EXHAUSTED,
                "body-too-large",
            ),
            Self::BodyTooSlow => (
                StatusCode::REQUEST_TIMEOUT,
                DEADLINE_EXCEEDED,
                "body-too-slow",
            ),
            Self::MalformedTimeout => (
                StatusCode::BAD_REQUEST,
                INVALID_ARGUMENT,
                "timeout-malformed",
            ),
            Self::Deadline => (
                StatusCode::SERVICE_UNAVAILABLE,
                DEADLINE_EXCEEDED,
                "deadline-exceeded",
            ),
            Self::TooLate => (
                StatusCode::SERVICE_UNAVAILABLE,
                DEADLINE_EXCEEDED,
                "no-answer",
            ),
        }
    }

    fn detail(self) -> String {
        match self {
            Self::NoCredentials => {
                "show a bearer key (Authorization: Bearer phi_key_...) or a client certificate"
                    .into()
            }
            Self::UnknownCredentials => "no client of this node has what was shown".into(),
            Self::ConflictingCredentials => {
                "show one key, of the client that the certificate is of".into()
            }
            Self::NotFromHere => {
                "this node has no clients, and answers programs on its own machine only".into()
            }
            Self::NoRight(right) => format!("the client's scopes do not have {right}"),
            Self::TooManyHeaders(most) => format!("a request has at most {most} headers"),
            Self::BodyTooLarge(most) => format!("the body may have {most} bytes"),
            Self::BodyTooSlow => "the body did not end in time".into(),
            Self::MalformedTimeout => {
                "grpc-timeout has up to eight digits and one of H, M, S, m, u and n".into()
            }
            Self::Deadline => {
                "the time of the call is over; it is not known whether it was done".into()
            }
            Self::TooLate => {
                "there was no answer in time; it is not known whether it was done".into()
            }
        }
    }

    pub(super) fn response(self, door: Door) -> Response<Body> {
        match door {
            Door::Http => self.http(),
            Door::Grpc => self.grpc(),
        }
    }

    /// Problem details in JSON, RFC 9457.
    fn http(self) -> Response<Body> {
        let (status, _, code) = self.row();
        let problem = Problem {
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            code,
            detail: self.detail(),
        };
        let body = serde_json::to_string(&problem).expect("texts and numbers are JSON");
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        let kind = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, kind);
        if let Some(challenge) = self.challenge() {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static(challenge),
            );
        }
        response
    }

    /// What a client is asked for, RFC 6750.
    const fn challenge(self) -> Option<&'static str> {
        match self {
            Self::NoCredentials => Some("Bearer realm=\"phi-node\""),
            Self::UnknownCredentials | Self::ConflictingCredentials => {
                Some("Bearer realm=\"phi-node\", error=\"invalid_token\"")
            }
            _ => None,
        }
    }

    /// The trailers alone, in the place of headers.
    fn grpc(self) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        let headers = response.headers_mut();
        *headers = self.trailers();
        let kind = HeaderValue::from_static("application/grpc");
        headers.insert(header::CONTENT_TYPE, kind);
        response
    }

    pub(super) fn trailers(self) -> HeaderMap {
        let (_, number, code) = self.row();
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from(number));
        trailers.insert("phi-code", HeaderValue::from_static(code));
        // The texts above have none of the characters that would have to be escaped.
        if let Ok(message) = HeaderValue::try_from(self.detail()) {
            trailers.insert("grpc-message", message);
        }
        trailers
    }
}

#[derive(Serialize)]
struct Problem {
    title: &'static str,
    status: u16,
    code: &'static str,
    detail: String,
}
