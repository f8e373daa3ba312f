//! Why a call is not done, as gRPC says it.

use std::{collections::HashMap, time::Duration};

use http::{HeaderMap, HeaderValue};
use phi_enforce::{Refusal, Rejection};
use tonic::{Code, Status, metadata::MetadataMap};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::service::Denied;

/// Whose codes they are.
const DOMAIN: &str = "phi.enforce";

/// The status of a call that was denied, with all that HTTP would say.
#[expect(
    clippy::needless_pass_by_value,
    reason = "it ends the way of an error, as `map_err` hands it over"
)]
pub(super) fn status(denied: Denied) -> Status {
    let mut details = ErrorDetails::new();
    details.set_error_info(reason(denied.code()), DOMAIN, known(&denied));
    if let Some(wait) = denied.retry_after() {
        details.set_retry_info(Some(wait));
    }
    if let Denied::Invalid { what, problem } = &denied {
        details.add_bad_request_violation(*what, *problem);
    }
    let metadata = MetadataMap::from_headers(metadata(&denied));
    Status::with_error_details_and_metadata(code(&denied), denied.to_string(), details, metadata)
}

fn code(denied: &Denied) -> Code {
    match denied {
        Denied::Refused(rejection) => Code::from_i32(rejection.grpc().number()),
        Denied::Scope(_) | Denied::Holder(_) | Denied::Group(_) | Denied::NoSiteKey => {
            Code::PermissionDenied
        }
        Denied::Invalid { .. }
        | Denied::Ambiguous
        | Denied::KeyReused
        | Denied::Machine(_)
        | Denied::NotAnObject(_)
        | Denied::NotLentHere(_) => Code::InvalidArgument,
        Denied::Unknown { .. } | Denied::NoLicense | Denied::NoSeat => Code::NotFound,
        Denied::KeyInWork => Code::Aborted,
        Denied::TooManyKeys => Code::ResourceExhausted,
        Denied::Store(_) | Denied::Busy => Code::Unavailable,
    }
}

/// The code as the reason of an `ErrorInfo` is written.
fn reason(code: &str) -> String {
    code.to_ascii_uppercase().replace('-', "_")
}

/// What is known beside the code.
fn known(denied: &Denied) -> HashMap<String, String> {
    let mut known = HashMap::new();
    let mut say = |key: &str, value: String| known.insert(key.to_owned(), value);
    if let Some(hint) = denied.hint() {
        say("hint", hint.into());
    }
    match denied {
        Denied::Refused(rejection) => match rejection.refusal() {
            Refusal::Exhausted { left, resets, .. } => {
                say("left", left.to_string());
                if let Some(resets) = resets {
                    say("resets", resets.to_string());
                }
            }
            Refusal::Full { ahead: Some(ahead) } => {
                say("ahead", ahead.to_string());
            }
            Refusal::Unlicensed(code) => {
                say("reason", code.into());
            }
            Refusal::Unavailable(Some(fault)) => {
                say("reason", fault.code().into());
            }
            _ => {}
        },
        Denied::Unknown { what, name } => {
            say("what", (*what).into());
            say("name", name.clone());
        }
        _ => {}
    }
    known
}

/// The code for programs that do not read details, and when to ask again for clients that retry by
/// themselves (gRFC A6; one below zero is never).
fn metadata(denied: &Denied) -> HeaderMap {
    if let Denied::Refused(rejection) = denied {
        return Rejection::metadata(rejection);
    }
    let mut metadata = HeaderMap::new();
    metadata.insert("phi-code", HeaderValue::from_static(denied.code()));
    let wait = denied.retry_after().as_ref().map(Duration::as_millis);
    let wait = wait.map_or(-1, |millis| i64::try_from(millis).unwrap_or(i64::MAX));
    metadata.insert("grpc-retry-pushback-ms", HeaderValue::from(wait));
    metadata
}

/// Adds headers of HTTP to what goes with an answer.
pub(super) fn append(metadata: &mut MetadataMap, change: impl FnOnce(&mut HeaderMap)) {
    let mut headers = std::mem::take(metadata).into_headers();
    change(&mut headers);
    *metadata = MetadataMap::from_headers(headers);
}
