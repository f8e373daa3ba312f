//! What is wrong with a store, in the words of no one engine.

use std::{error::Error as StdError, fmt};

/// Why the store cannot be used; the engine's own words are the [`source`](StdError::source).
#[derive(Debug)]
pub struct StoreError {
    fault: Fault,
    cause: Box<dyn StdError + Send + Sync>,
}

/// What is wrong, as far as it matters to who has to mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Busy,
    Damaged,
    Full,
    NoAccess,
    Server(ServerFault),
    Unusable,
}

/// What can be wrong with a store on a server only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(feature = "postgres"),
    expect(dead_code, reason = "there is no server without the feature")
)]
pub(super) enum ServerFault {
    /// The server has no room left.
    Full,
    /// The connection ended in the middle of a change that is not recorded.
    Lost,
    /// The server does not let this user in, or not at these tables.
    NoAccess,
    /// The connection ended when the change was to be made durable.
    OutcomeUnknown,
    /// No server answers.
    Unreachable,
    /// The server refuses for another reason.
    Unusable,
}

impl StoreError {
    pub(super) fn new(fault: Fault, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            fault,
            cause: cause.into(),
        }
    }

    #[cfg(feature = "postgres")]
    pub(super) fn is_lost(&self) -> bool {
        self.fault == Fault::Server(ServerFault::Lost)
    }

    /// Whether the change may have been recorded after all.
    pub(crate) fn is_outcome_unknown(&self) -> bool {
        self.fault == Fault::Server(ServerFault::OutcomeUnknown)
    }

    pub(crate) const fn code(&self) -> &'static str {
        match self.fault {
            Fault::Busy => "store-busy",
            Fault::Damaged => "store-damaged",
            Fault::Full => "disk-full",
            Fault::NoAccess => "store-no-access",
            Fault::Server(fault) => fault.code(),
            Fault::Unusable => "store-unusable",
        }
    }

    pub(crate) const fn hint(&self) -> &'static str {
        match self.fault {
            Fault::Busy => "nothing was changed; try again when it is done",
            Fault::Damaged => "keep phi.db and phi.db-wal as they are, and restore a backup",
            Fault::Full => "nothing was changed; make room and run the command again",
            Fault::NoAccess => "make the folder and its files writable for this user",
            Fault::Server(fault) => fault.hint(),
            Fault::Unusable => "nothing was changed; if this stays, restore phi.db from a backup",
        }
    }
}

impl ServerFault {
    const fn code(self) -> &'static str {
        match self {
            Self::Full => "disk-full",
            Self::Lost => "store-lost",
            Self::NoAccess => "store-no-access",
            Self::OutcomeUnknown => "store-outcome-unknown",
            Self::Unreachable => "store-unreachable",
            Self::Unusable => "store-unusable",
        }
    }

    const fn message(self) -> &'static str {
        match self {
            Self::Full => "the database server has no room left",
            Self::Lost => "the connection to the database was lost",
            Self::NoAccess => "the database does not let this user in",
            Self::OutcomeUnknown => {
                "the connection to the database was lost while the change was made durable"
            }
            Self::Unreachable => "the database cannot be reached",
            Self::Unusable => "the database refuses",
        }
    }

    const fn hint(self) -> &'static str {
        match self {
            Self::Full => "nothing was changed; make room on the server and run the command again",
            Self::Lost => "nothing was changed; run the command again",
            Self::NoAccess => {
                "nothing was changed; docs/guides/postgresql.md has the rights needed"
            }
            Self::OutcomeUnknown => {
                "it is recorded or it is not: look with `phi audit query`, or repeat it with the \
                 same idempotency key"
            }
            Self::Unreachable => {
                "nothing was changed; see that the server is up and that phi.toml names it"
            }
            Self::Unusable => "nothing was changed; the server's log says more",
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.fault {
            Fault::Busy => "another phi is at work on the store",
            Fault::Damaged => "the store is damaged",
            Fault::Full => "the disk with the store is full",
            Fault::NoAccess => "the store or its folder cannot be read and written",
            Fault::Server(fault) => fault.message(),
            Fault::Unusable => "the store cannot be used",
        })
    }
}

impl StdError for StoreError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.cause)
    }
}
