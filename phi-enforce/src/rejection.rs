//! What a refusal is over HTTP and gRPC: one table, for every door.
//!
//! A rejection has a status and a short body, and says when it is worth asking again. Which request
//! is rejected, and who may know why, is left to the door.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use phi_verify::UnixTime;
use serde::Serialize;

use crate::{rate_limit::RateLimit, refusal::Refusal};

/// Whoever found every seat taken asks again after this: a seat that is given up is free at once,
/// and a thousand clients that come each second are what one store serves.
const SEATS: Duration = Duration::from_secs(1);
/// Seats that were taken along are away for days; now and then somebody hands one back.
const LOANS: Duration = Duration::from_secs(60 * 60);
/// A store that is away is asked again by its node each second.
const STORE: Duration = Duration::from_secs(1);
/// The problem type that the draft of the `RateLimit` fields defines.
const QUOTA_EXCEEDED: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";

/// How a refusal is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    refusal: Refusal,
    retry_after: Option<Duration>,
    rate_limit: Option<RateLimit>,
}

/// A status of gRPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GrpcCode {
    /// What was asked is not a request.
    InvalidArgument = 3,
    /// It is not allowed.
    PermissionDenied = 7,
    /// There is none left.
    ResourceExhausted = 8,
    /// It has to be begun again.
    Aborted = 10,
    /// Not now.
    Unavailable = 14,
}

impl GrpcCode {
    /// The number on the wire.
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// The name in gRPC's documentation.
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::Aborted => "ABORTED",
            Self::Unavailable => "UNAVAILABLE",
        }
    }
}

/// The table: the statuses of a refusal, and when it is worth asking again.
fn row(refusal: Refusal, now: UnixTime) -> (StatusCode, GrpcCode, Option<Duration>) {
    match refusal {
        Refusal::Unlicensed(_)
        | Refusal::Ended(_)
        | Refusal::NotGranted
        | Refusal::Undeclared
        | Refusal::NotBorrowable => (StatusCode::FORBIDDEN, GrpcCode::PermissionDenied, None),
        // When the period ends: what other nodes give back before is nothing to count on.
        Refusal::Exhausted {
            resets,
            retry_after,
            ..
        } => {
            let resets = resets.filter(|_| retry_after < Duration::MAX);
            let wait = resets.map(|ends| ends.seconds().saturating_sub(now.seconds()));
            let wait = wait.map(Duration::from_secs);
            let status = StatusCode::TOO_MANY_REQUESTS;
            (status, GrpcCode::ResourceExhausted, wait)
        }
        Refusal::Full { .. } => {
            let status = StatusCode::TOO_MANY_REQUESTS;
            (status, GrpcCode::ResourceExhausted, Some(SEATS))
        }
        Refusal::LoansFull { .. } => {
            let status = StatusCode::TOO_MANY_REQUESTS;
            (status, GrpcCode::ResourceExhausted, Some(LOANS))
        }
        Refusal::SeatLost => (StatusCode::CONFLICT, GrpcCode::Aborted, None),
        Refusal::NameTooLong => (StatusCode::BAD_REQUEST, GrpcCode::InvalidArgument, None),
        Refusal::Learning { wait } => {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            (status, GrpcCode::Unavailable, Some(wait))
        }
        Refusal::Unavailable(_) | Refusal::SeatLate | Refusal::Stopping | Refusal::NotYet => {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            (status, GrpcCode::Unavailable, Some(STORE))
        }
    }
}

/// As the field has it: whole seconds, none of them too early, and never at once.
fn whole_seconds(wait: Duration) -> Duration {
    let begun = u64::from(wait.subsec_nanos() > 0);
    Duration::from_secs(wait.as_secs().saturating_add(begun).max(1))
}

impl Rejection {
    /// How the refusal is told at this time on the wall clock.
    pub fn new(refusal: Refusal, now: UnixTime) -> Self {
        let (_, _, retry_after) = row(refusal, now);
        Self {
            refusal,
            retry_after: retry_after.map(whole_seconds),
            rate_limit: None,
        }
    }

    /// With what is left of the quota that it is about.
    #[must_use]
    pub fn with_rate_limit(mut self, rate_limit: Option<RateLimit>) -> Self {
        self.rate_limit = rate_limit;
        self
    }

    /// Why it is rejected.
    pub const fn refusal(&self) -> Refusal {
        self.refusal
    }

    /// The stable code, for programs.
    pub const fn code(&self) -> &'static str {
        self.refusal.code()
    }

    /// The status of HTTP.
    pub fn status(&self) -> StatusCode {
        row(self.refusal, UnixTime::EPOCH).0
    }

    /// The status of gRPC.
    pub fn grpc(&self) -> GrpcCode {
        row(self.refusal, UnixTime::EPOCH).1
    }

    /// When it is worth asking again, in whole seconds from now, if time alone may help.
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// `Retry-After` and the `RateLimit` fields, as far as there is something to say.
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(wait) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs()));
        }
        if let Some(limit) = &self.rate_limit {
            limit.append_to(&mut headers);
        }
        headers
    }

    /// The body: problem details in JSON, RFC 9457.
    pub fn problem(&self) -> String {
        let status = self.status();
        let mut problem = Problem {
            kind: None,
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            code: self.code(),
            detail: self.refusal.to_string(),
            reason: None,
            left: None,
            resets: None,
            ahead: None,
            violated_policies: None,
        };
        match self.refusal {
            Refusal::Exhausted { left, resets, .. } => {
                problem.kind = Some(QUOTA_EXCEEDED);
                problem.title = "Request cannot be satisfied as assigned quota has been exceeded";
                problem.left = Some(left);
                problem.resets = resets.map(|ends| ends.to_string());
                problem.violated_policies = self.rate_limit.as_ref().map(|limit| [limit.name()]);
            }
            Refusal::Unlicensed(code) => problem.reason = Some(code),
            Refusal::Unavailable(fault) => problem.reason = fault.map(|fault| fault.code()),
            Refusal::Full { ahead } => problem.ahead = ahead,
            _ => {}
        }
        serde_json::to_string(&problem).expect("texts and numbers are JSON")
    }

    /// The response of HTTP.
    pub fn response<B: From<String>>(&self) -> Response<B> {
        let mut response = Response::new(B::from(self.problem()));
        *response.status_mut() = self.status();
        *response.headers_mut() = self.headers();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }

    /// What goes beside the status of gRPC: the code, what is left, and when to ask again as
    /// clients that retry by themselves read it (gRFC A6; one below zero is never).
    pub fn metadata(&self) -> HeaderMap {
        let mut metadata = HeaderMap::new();
        metadata.insert(CODE, HeaderValue::from_static(self.code()));
        let wait = self.retry_after.map(|wait| wait.as_millis());
        let wait = wait.map_or(-1, |millis| i64::try_from(millis).unwrap_or(i64::MAX));
        metadata.insert(PUSHBACK, HeaderValue::from(wait));
        if let Some(limit) = &self.rate_limit {
            limit.append_to(&mut metadata);
        }
        metadata
    }

    /// The response of gRPC: the trailers alone, in the place of headers.
    pub fn grpc_response<B: Default>(&self) -> Response<B> {
        let mut response = Response::new(B::default());
        let headers = response.headers_mut();
        *headers = self.metadata();
        let kind = HeaderValue::from_static("application/grpc");
        headers.insert(header::CONTENT_TYPE, kind);
        headers.insert(STATUS, HeaderValue::from(self.grpc().number()));
        headers.insert(MESSAGE, percent_encoded(&self.refusal.to_string()));
        response
    }
}

const CODE: HeaderName = HeaderName::from_static("phi-code");
const PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Problem details, and our own beside them.
#[derive(Serialize)]
struct Problem<'a> {
    /// Left out it is `about:blank`: the status says it all.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    title: &'static str,
    status: u16,
    code: &'static str,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resets: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ahead: Option<u64>,
    #[serde(rename = "violated-policies", skip_serializing_if = "Option::is_none")]
    violated_policies: Option<[&'a str; 1]>,
}

/// A message as gRPC over HTTP/2 has it: printable, `%` excepted, and the rest by its bytes.
fn percent_encoded(message: &str) -> HeaderValue {
    let mut encoded = String::with_capacity(message.len());
    for byte in message.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => encoded.push(char::from(byte)),
            _ => encoded.extend(['%', hex(byte >> 4), hex(byte & 0xf)]),
        }
    }
    HeaderValue::try_from(encoded).expect("every character is printable")
}

fn hex(digit: u8) -> char {
    let digit = char::from_digit(u32::from(digit), 16).expect("half a byte");
    digit.to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::error::Fault;

    const NOW: UnixTime = UnixTime::EPOCH.plus(1_925_251_200); // 2031-01-04T00:00:00Z

    /// One of each, and of those with a reason each. What is new does not compile until it is here.
    fn all() -> Vec<Refusal> {
        let first = Refusal::Unlicensed("revoked");
        let mut all = vec![first];
        loop {
            all.push(match all[all.len() - 1] {
                Refusal::Unlicensed(_) => Refusal::Ended(NOW),
                Refusal::Ended(_) => Refusal::NotGranted,
                Refusal::NotGranted => exhausted(Some(NOW.plus(90)), Duration::from_millis(250)),
                Refusal::Exhausted { .. } => Refusal::Full { ahead: Some(3) },
                Refusal::Full { ahead: Some(_) } => Refusal::Full { ahead: None },
                Refusal::Full { ahead: None } => Refusal::LoansFull { most: 2 },
                Refusal::LoansFull { .. } => Refusal::Learning {
                    wait: Duration::from_millis(2001),
                },
                Refusal::Learning { .. } => Refusal::Unavailable(Some(Fault::Full)),
                Refusal::Unavailable(Some(_)) => Refusal::Unavailable(None),
                Refusal::Unavailable(None) => Refusal::SeatLost,
                Refusal::SeatLost => Refusal::SeatLate,
                Refusal::SeatLate => Refusal::NameTooLong,
                Refusal::NameTooLong => Refusal::NotBorrowable,
                Refusal::NotBorrowable => Refusal::Undeclared,
                Refusal::Undeclared => Refusal::Stopping,
                Refusal::Stopping => Refusal::NotYet,
                Refusal::NotYet => return all,
            });
        }
    }

    fn exhausted(resets: Option<UnixTime>, retry_after: Duration) -> Refusal {
        Refusal::Exhausted {
            left: 2,
            resets,
            retry_after,
        }
    }

    fn rejection(refusal: Refusal) -> Rejection {
        let limit = RateLimit::new("calls", 10, 2, None);
        Rejection::new(refusal, NOW).with_rate_limit(Some(limit))
    }

    fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
        headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The table of docs/enforcement.md, row by row.
    #[test]
    fn every_refusal_is_told_as_documented() {
        let page = include_str!("../../docs/enforcement.md");
        let mut seen = std::collections::BTreeSet::new();
        for refusal in all() {
            let rejection = rejection(refusal);
            let grpc = rejection.grpc();
            let row = format!(
                "| `{}` | {} | {} `{}` |",
                rejection.code(),
                rejection.status().as_u16(),
                grpc.number(),
                grpc.name(),
            );
            let line = page.lines().find(|line| line.starts_with(&row));
            let line = line.unwrap_or_else(|| panic!("no row begins with {row}"));
            assert_eq!(
                line.ends_with("| never |"),
                rejection.retry_after().is_none(),
                "{line}"
            );
            seen.insert(rejection.code());
        }
        let table = page
            .lines()
            .skip_while(|line| !line.starts_with("| code | HTTP"));
        let rows = table.skip(2).take_while(|line| !line.is_empty());
        assert_eq!(rows.count(), seen.len(), "one row for each code");
    }

    #[test]
    fn every_response_of_http_is_a_problem_with_its_status() {
        for refusal in all() {
            let rejection = rejection(refusal);
            let response: Response<String> = rejection.response();
            let headers = response.headers();
            assert_eq!(
                text(headers, "content-type"),
                Some("application/problem+json")
            );
            let body: Value = serde_json::from_str(response.body()).unwrap();
            assert_eq!(body["status"], response.status().as_u16(), "{refusal:?}");
            assert_eq!(body["code"], refusal.code());
            assert_eq!(body["detail"], refusal.to_string());
            assert!(
                body["title"]
                    .as_str()
                    .is_some_and(|title| !title.is_empty())
            );
            let wait = text(headers, "retry-after").map(|wait| wait.parse().unwrap());
            assert_eq!(wait.map(Duration::from_secs), rejection.retry_after());
            assert!(wait.is_none_or(|wait| wait >= 1));
            let state: sfv::List = sfv::Parser::new(headers["ratelimit"].as_bytes())
                .parse()
                .unwrap();
            assert_eq!(state.len(), 1);
        }
    }

    #[test]
    fn every_response_of_grpc_is_trailers_alone() {
        for refusal in all() {
            let rejection = rejection(refusal);
            let response: Response<String> = rejection.grpc_response();
            let headers = response.headers();
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(text(headers, "content-type"), Some("application/grpc"));
            let status = rejection.grpc().number().to_string();
            assert_eq!(text(headers, "grpc-status"), Some(&*status));
            let message = refusal.to_string();
            assert_eq!(
                text(headers, "grpc-message"),
                Some(&*message),
                "it is ASCII"
            );
            assert_eq!(text(headers, "phi-code"), Some(refusal.code()));
            let wait = rejection
                .retry_after()
                .map_or("-1".into(), |wait| format!("{}", wait.as_millis()));
            assert_eq!(text(headers, "grpc-retry-pushback-ms"), Some(&*wait));
            assert!(response.body().is_empty());
        }
        assert_eq!(percent_encoded("a % of\n\u{e9}"), "a %25 of%0A%C3%A9");
    }

    #[test]
    fn a_quota_that_is_used_up_is_worth_asking_for_when_its_period_ends() {
        let soon = Duration::from_millis(250);
        let wait = |refusal| Rejection::new(refusal, NOW).retry_after();
        assert_eq!(
            wait(exhausted(Some(NOW.plus(90)), soon)),
            Some(Duration::from_secs(90))
        );
        let over = exhausted(Some(NOW.minus(5)), soon);
        assert_eq!(wait(over), Some(Duration::from_secs(1)));
        assert_eq!(wait(exhausted(None, soon)), None, "a whole life");
        let never = exhausted(Some(NOW.plus(90)), Duration::MAX);
        assert_eq!(wait(never), None, "more than any slice");
        let learning = Refusal::Learning {
            wait: Duration::from_millis(2001),
        };
        assert_eq!(wait(learning), Some(Duration::from_secs(3)), "never early");
    }

    #[test]
    fn a_problem_says_what_a_program_needs() {
        let body =
            |refusal| -> Value { serde_json::from_str(&rejection(refusal).problem()).unwrap() };
        assert_eq!(
            body(exhausted(Some(NOW), Duration::ZERO)),
            json!({
                "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
                "title": "Request cannot be satisfied as assigned quota has been exceeded",
                "status": 429,
                "code": "quota-exhausted",
                "detail": "the quota has 2 left until 2031-01-04T00:00:00Z",
                "left": 2,
                "resets": "2031-01-04T00:00:00Z",
                "violated-policies": ["calls"],
            })
        );
        assert_eq!(
            body(Refusal::Unlicensed("revoked")),
            json!({
                "title": "Forbidden",
                "status": 403,
                "code": "unlicensed",
                "detail": "there is no license in force: revoked",
                "reason": "revoked",
            })
        );
        assert_eq!(body(Refusal::Full { ahead: Some(3) })["ahead"], 3);
        let full = body(Refusal::Unavailable(Some(Fault::Full)));
        assert_eq!(full["reason"], "disk-full");
    }
}
