//! Why a store cannot be used.

use std::{error::Error, fmt};

/// Why a store cannot be used; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreError {
    fault: Fault,
    /// The engine's own words.
    detail: String,
}

/// What is wrong with a store, as far as it matters to who has to mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// Another process has it open.
    InUse,
    /// It is damaged, or was changed by another program.
    Damaged,
    /// There is no room on the disk.
    Full,
    /// It cannot be written.
    ReadOnly,
    /// It is not a store of this library.
    Foreign,
    /// Its file was moved or replaced while it was open.
    Moved,
    /// It was written by a newer version.
    Newer,
    /// Its address is not one.
    Address,
    /// Its server is not there, or does not answer.
    Unreachable,
    /// Its server does not let this user in, or has no such database.
    NoAccess,
    /// Others hold it up.
    Busy,
    /// Its settings or its disk cannot hold a strict limit.
    Unfit,
    /// The request breaks a rule.
    Request,
    /// It cannot be used for another reason.
    Unusable,
}

impl Fault {
    /// The stable code of what is wrong.
    pub const fn code(self) -> &'static str {
        match self {
            Self::InUse => "store-in-use",
            Self::Damaged => "store-damaged",
            Self::Full => "disk-full",
            Self::ReadOnly => "store-read-only",
            Self::Foreign => "store-foreign",
            Self::Moved => "store-moved",
            Self::Newer => "store-newer",
            Self::Address => "store-address",
            Self::Unreachable => "store-unreachable",
            Self::NoAccess => "store-no-access",
            Self::Busy => "store-busy",
            Self::Unfit => "store-unfit",
            Self::Request => "store-request",
            Self::Unusable => "store-unusable",
        }
    }
}

impl StoreError {
    pub(crate) fn new(fault: Fault, detail: impl Into<String>) -> Self {
        Self {
            fault,
            detail: detail.into(),
        }
    }

    pub(crate) fn unusable(cause: &dyn fmt::Display) -> Self {
        Self::new(Fault::Unusable, cause.to_string())
    }

    /// What is wrong.
    pub const fn fault(&self) -> Fault {
        self.fault
    }

    /// The stable code of the error.
    pub const fn code(&self) -> &'static str {
        self.fault.code()
    }

    /// What to do.
    pub const fn hint(&self) -> &'static str {
        match self.fault {
            Fault::InUse => "one process has the file: stop the other one, or use a node for both",
            Fault::Damaged => "keep the files as they are, and restore a backup",
            Fault::Full => "make room; what nodes hold can still be spent",
            Fault::ReadOnly => "make the file and its folder writable for this user",
            Fault::Foreign => "name the file of an enforcement store, or one that does not exist",
            Fault::Moved => {
                "stop this program before its store is moved; start it again with \
                                the file that is to hold"
            }
            Fault::Newer => "update this program: an older one would not know what it counts",
            Fault::Address => "write postgres://USER@HOST/DATABASE, without a password",
            Fault::Unreachable => {
                "start the server, or mend the way to it; what nodes hold can \
                                   still be spent"
            }
            Fault::NoAccess => {
                "give the user what docs/enforcement.md lists, and a password in \
                                ~/.pgpass"
            }
            Fault::Busy => "ask again; a standby that commits wait for may be away",
            Fault::Unfit => {
                "put the file on a local disk that keeps what it is given, or change \
                             the server's settings"
            }
            Fault::Request => "keep to the limits that the store's documentation names",
            Fault::Unusable => "look at the cause; nothing was changed",
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.fault {
            Fault::InUse => "another process has the store open",
            Fault::Damaged => "the store is damaged",
            Fault::Full => "the disk with the store is full",
            Fault::ReadOnly => "the store cannot be written",
            Fault::Foreign => "this is not an enforcement store",
            Fault::Moved => "the store's file was moved or replaced while it was open",
            Fault::Newer => "the store was written by a newer version",
            Fault::Address => "the address of the store is not usable",
            Fault::Unreachable => "the store is not reached",
            Fault::NoAccess => "the store does not let this user in",
            Fault::Busy => "the store is held up by others",
            Fault::Unfit => "the store cannot hold a strict limit",
            Fault::Request => "the request breaks a rule",
            Fault::Unusable => "the store cannot be used",
        })?;
        if self.detail.is_empty() {
            return Ok(());
        }
        write!(f, ": {}", self.detail)
    }
}

impl Error for StoreError {}
