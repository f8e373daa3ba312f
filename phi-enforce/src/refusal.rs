//! Why something is not admitted: what an application tells its user, or its log.

use std::{error::Error, fmt, time::Duration};

use phi_verify::UnixTime;

use crate::error::Fault;

/// Why something is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// There is no license in force; the code of the error that verification gave.
    Unlicensed(&'static str),
    /// The license ended, grace included.
    Ended(UnixTime),
    /// The license does not have it.
    NotGranted,
    /// The quota is used up, or has fewer than were asked for.
    Exhausted {
        /// How many are left of the period.
        left: u64,
        /// When the period ends.
        resets: Option<UnixTime>,
        /// When it is worth asking again: units that other nodes hold may come back.
        retry_after: Duration,
    },
    /// Every seat is taken.
    Full {
        /// The place in the queue, from 0.
        ahead: Option<u64>,
    },
    /// As many seats were taken along as may be away at once.
    LoansFull {
        /// How many that is.
        most: u64,
    },
    /// The store went back to an earlier state, and learns what nodes hold.
    Learning {
        /// How long it still does.
        wait: Duration,
    },
    /// Nothing is left here and the store does not give more: what is wrong, if it said so.
    Unavailable(Option<Fault>),
    /// The seat was given to somebody else, or was given up.
    SeatLost,
    /// The seat was not renewed in time. It may be again, if the store comes back.
    SeatLate,
    /// A holder's or a session's name is longer than [`MAX_NAME`](crate::MAX_NAME) bytes.
    NameTooLong,
    /// The policy does not let seats of this limit be taken along, or none of so few, or not until a
    /// time that is past.
    NotBorrowable,
    /// Nobody said what the request needs.
    Undeclared,
    /// The node is stopping.
    Stopping,
    /// The answer is not there yet: ask again. Calls that wait do not say this.
    NotYet,
}

impl Refusal {
    /// The stable code of the refusal.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unlicensed(_) => "unlicensed",
            Self::Ended(_) => "license-ended",
            Self::NotGranted => "not-granted",
            Self::Exhausted { .. } => "quota-exhausted",
            Self::Full { .. } => "seats-full",
            Self::LoansFull { .. } => "loans-full",
            Self::Learning { .. } => "store-learning",
            Self::Unavailable(_) => "store-unavailable",
            Self::SeatLost => "seat-lost",
            Self::SeatLate => "seat-late",
            Self::NameTooLong => "name-too-long",
            Self::NotBorrowable => "not-borrowable",
            Self::Undeclared => "undeclared",
            Self::Stopping => "node-stopping",
            Self::NotYet => "not-yet",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unlicensed(code) => write!(f, "there is no license in force: {code}"),
            Self::Ended(at) => write!(f, "the license ended at {at}"),
            Self::NotGranted => f.write_str("the license does not have this"),
            Self::Exhausted {
                left,
                resets: Some(resets),
                ..
            } => write!(f, "the quota has {left} left until {resets}"),
            Self::Exhausted { left, .. } => write!(f, "the quota has {left} left"),
            Self::Full { ahead: Some(ahead) } => {
                write!(f, "every seat is taken, and {ahead} wait before")
            }
            Self::Full { ahead: None } => f.write_str("every seat is taken"),
            Self::LoansFull { most } => {
                write!(f, "{most} seats may be taken along at once, and are")
            }
            Self::Learning { wait } => {
                write!(f, "the store learns what is held, for {} s", wait.as_secs())
            }
            Self::Unavailable(None) => f.write_str("the store does not answer"),
            Self::Unavailable(Some(fault)) => {
                write!(f, "the store gives nothing out: {}", fault.code())
            }
            Self::SeatLost => f.write_str("the seat is lost"),
            Self::SeatLate => f.write_str("the seat was not renewed in time"),
            Self::NameTooLong => f.write_str("the name of a holder or a session is too long"),
            Self::NotBorrowable => {
                f.write_str("the policy lends no seats of this limit, or none of so few")
            }
            Self::Undeclared => f.write_str("nothing was declared for this request"),
            Self::Stopping => f.write_str("the node is stopping"),
            Self::NotYet => f.write_str("the answer is not there yet"),
        }
    }
}

impl Error for Refusal {}
