//! Why a call is not done, for every protocol.

use std::{error::Error, fmt, time::Duration};

use http::StatusCode;
use phi_enforce::{BorrowError, Rejection, StoreError};

use crate::clients::Right;

/// Why a call is not done. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Denied {
    /// What was asked for is refused, by the license or by what is left of it.
    Refused(Rejection),
    /// The client may not do this.
    Scope(Right),
    /// The client may not claim seats in this holder's name.
    Holder(String),
    /// The client may not claim seats as of this group.
    Group(String),
    /// A part of the call is not one.
    Invalid {
        /// Which part.
        what: &'static str,
        /// What is wrong with it, as a predicate.
        problem: &'static str,
    },
    /// There is nothing of this name.
    Unknown {
        /// What was looked for.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// The node has no license that the client may use.
    NoLicense,
    /// The client may use several licenses, and the call does not say which.
    Ambiguous,
    /// There is no such seat of this client: it was given up, or is another's.
    NoSeat,
    /// What is said of a machine is no fingerprint of one.
    Machine(Box<phi_verify::Error>),
    /// This node has no key of a site, and lends no seats.
    NoSiteKey,
    /// It is no seat that this site lent.
    NotLentHere(BorrowError),
    /// The bytes are no object of Phi.
    NotAnObject(Box<phi_verify::Error>),
    /// The store cannot be read.
    Store(StoreError),
    /// A call under this key is not answered yet.
    KeyInWork,
    /// Something else was asked for under this key.
    KeyReused,
    /// As many answers of this client are remembered as may be.
    TooManyKeys,
    /// Too many calls wait already, or too many answers are remembered.
    Busy,
}

/// A node that is too busy is worth asking again after this.
const BUSY: Duration = Duration::from_secs(1);

impl Denied {
    pub(crate) const fn invalid(what: &'static str, problem: &'static str) -> Self {
        Self::Invalid { what, problem }
    }

    pub(crate) fn unknown(what: &'static str, name: &str) -> Self {
        let name = name.into();
        Self::Unknown { what, name }
    }

    /// The stable code, for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Refused(rejection) => rejection.code(),
            Self::Scope(_) => "scope",
            Self::Holder(_) => "holder-not-allowed",
            Self::Group(_) => "group-not-allowed",
            Self::Invalid { .. } => "invalid",
            Self::Unknown { .. } => "unknown",
            Self::NoLicense => "no-license",
            Self::Ambiguous => "license-ambiguous",
            Self::NoSeat => "seat-unknown",
            Self::Machine(error) | Self::NotAnObject(error) => error.code(),
            Self::NoSiteKey => "no-site-key",
            Self::NotLentHere(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::KeyInWork => "idempotency-key-in-work",
            Self::KeyReused => "idempotency-key-reused",
            Self::TooManyKeys => "idempotency-keys-exhausted",
            Self::Busy => "node-busy",
        }
    }

    /// The status of HTTP.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Refused(rejection) => rejection.status(),
            Self::Scope(_) | Self::Holder(_) | Self::Group(_) | Self::NoSiteKey => {
                StatusCode::FORBIDDEN
            }
            Self::Invalid { .. } | Self::Ambiguous | Self::Machine(_) => StatusCode::BAD_REQUEST,
            Self::KeyInWork => StatusCode::CONFLICT,
            Self::TooManyKeys => StatusCode::TOO_MANY_REQUESTS,
            Self::KeyReused | Self::NotAnObject(_) | Self::NotLentHere(_) => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Self::Unknown { .. } | Self::NoLicense | Self::NoSeat => StatusCode::NOT_FOUND,
            Self::Store(_) | Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// When it is worth asking again, if time alone may help.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(rejection) => rejection.retry_after(),
            Self::Store(_) | Self::KeyInWork | Self::TooManyKeys | Self::Busy => Some(BUSY),
            _ => None,
        }
    }

    /// What to do, where more can be said than what is wrong.
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Scope(_) | Self::Holder(_) | Self::Group(_) => {
                Some("ask whoever runs the node for the scope: `phi-node client add` has them")
            }
            Self::Unknown { .. } => {
                Some("GET /v1/licenses has the names; the numbers of codes always work")
            }
            Self::NoLicense => Some("import a bundle with a license"),
            Self::Ambiguous => {
                Some("name one: GET /v1/licenses has them, and a client may be kept to one")
            }
            Self::Machine(_) => Some("`phi fingerprint` on that machine prints it"),
            Self::KeyReused => Some("a key is for one call: make another for another"),
            Self::TooManyKeys => Some("take more units at once, or without keys"),
            Self::NoSiteKey => {
                Some("`phi-node site-key new` makes one, and `phi-node run --site-key` has it")
            }
            Self::NotLentHere(_) => {
                Some("hand in the document as it was given, at a node with the same site key")
            }
            Self::NoSeat => Some("stop using the seat, and claim one again"),
            Self::Store(error) => Some(error.hint()),
            _ => None,
        }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(rejection) => rejection.refusal().fmt(f),
            Self::Scope(right) => write!(f, "this client does not have the scope {right}"),
            Self::Holder(holder) => {
                write!(f, "this client may not claim seats for {holder:?}")
            }
            Self::Group(group) => write!(f, "this client may not claim seats of {group:?}"),
            Self::Invalid { what, problem } => write!(f, "{what} {problem}"),
            Self::Unknown { what, name } => write!(f, "there is no {what} {name:?}"),
            Self::NoLicense => f.write_str("there is no license that this client may use"),
            Self::Ambiguous => f.write_str("license is needed: this client may use several"),
            Self::NoSeat => f.write_str("there is no such seat of this client"),
            Self::Machine(error) | Self::NotAnObject(error) => error.fmt(f),
            Self::NoSiteKey => f.write_str("this node lends no seats: it has no key of the site"),
            Self::NotLentHere(error) => error.fmt(f),
            Self::Store(error) => write!(f, "the store cannot be read: {}", error.code()),
            Self::KeyInWork => f.write_str("a call under this key is not answered yet"),
            Self::KeyReused => f.write_str("something else was asked for under this key"),
            Self::TooManyKeys => {
                f.write_str("as many answers of this client are remembered as may be")
            }
            Self::Busy => {
                f.write_str("this node is busy: too many calls wait, or answers are remembered")
            }
        }
    }
}

impl Error for Denied {}
