//! What a store found wrong: facts for a log and a support ticket, none of them a reason to stop.

use core::fmt;
use std::io;

use crate::trust::{Refused, StateError};

/// The two places of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The folder of the application's data.
    Data,
    /// The folder of the user's.
    User,
}

impl Place {
    /// Both, in the order in which they are written.
    pub const ALL: [Self; 2] = [Self::Data, Self::User];

    /// The place's word, in file names and in print.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::User => "user",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What was being done to a file when the system refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Making the folder.
    CreateFolder,
    /// Keeping other processes from writing.
    Lock,
    /// Making the file under its temporary name.
    Create,
    /// Writing it.
    Write,
    /// Bringing it to the disk.
    Sync,
    /// Giving it its name.
    Replace,
    /// Bringing its name to the disk.
    SyncFolder,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CreateFolder => "make the folder",
            Self::Lock => "lock the folder",
            Self::Create => "create the file",
            Self::Write => "write the file",
            Self::Sync => "sync the file",
            Self::Replace => "replace the file",
            Self::SyncFolder => "sync the folder",
        })
    }
}

/// What was found wrong with what a store keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// Another process is just writing a copy: what it did not write is written by the next save.
    Busy {
        /// Which one.
        place: Place,
    },
    /// A copy is older than the other: a save was interrupted, or someone put it back.
    CopyBehind {
        /// Which one.
        place: Place,
    },
    /// A copy is not what was written. The next save replaces it.
    CopyDamaged {
        /// Which one.
        place: Place,
        /// What is wrong with it.
        error: StateError,
    },
    /// A copy is not there, and the other is. The next save makes it.
    CopyMissing {
        /// Which one.
        place: Place,
    },
    /// A copy cannot be read.
    CopyUnreadable {
        /// Which one.
        place: Place,
        /// What the system said.
        kind: io::ErrorKind,
    },
    /// A stored document does not hold under the anchor that is compiled in.
    DocumentRefused(Refused),
    /// A copy was written by a newer version of the application. It is not read, and is left as
    /// it is.
    NewerFormat {
        /// Which one.
        place: Place,
        /// The format that it states.
        found: u64,
        /// The newest format that is known here.
        known: u64,
    },
    /// There was a state, and no copy of it is left: documents are to be imported again.
    StateLost,
    /// The state has outgrown what is read again. The copies are left as they are, and hold what
    /// was stored last.
    TooLarge {
        /// How many bytes it has.
        bytes: usize,
    },
    /// A copy could not be written.
    Unwritable {
        /// Which one.
        place: Place,
        /// What was being done.
        step: Step,
        /// What the system said.
        kind: io::ErrorKind,
    },
}

impl Finding {
    /// The stable code of the finding.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Busy { .. } => "busy",
            Self::CopyBehind { .. } => "copy-behind",
            Self::CopyDamaged { .. } => "copy-damaged",
            Self::CopyMissing { .. } => "copy-missing",
            Self::CopyUnreadable { .. } => "copy-unreadable",
            Self::DocumentRefused(_) => "document-refused",
            Self::NewerFormat { .. } => "newer-format",
            Self::StateLost => "state-lost",
            Self::TooLarge { .. } => "too-large",
            Self::Unwritable { .. } => "unwritable",
        }
    }

    pub(super) fn unwritable(place: Place, step: Step, error: &io::Error) -> Self {
        let kind = error.kind();
        Self::Unwritable { place, step, kind }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy { place } => write!(
                f,
                "another process is writing the {place} copy of the trust state"
            ),
            Self::CopyBehind { place } => {
                write!(f, "{place} copy of the trust state is older than the other")
            }
            Self::CopyDamaged { place, error } => {
                write!(f, "{place} copy is damaged: {error}")
            }
            Self::CopyMissing { place } => {
                write!(f, "{place} copy of the trust state is missing")
            }
            Self::CopyUnreadable { place, kind } => {
                write!(f, "{place} copy of the trust state cannot be read: {kind}")
            }
            Self::DocumentRefused(Refused { kind, error }) => {
                write!(f, "stored {kind} document does not hold any more: {error}")
            }
            Self::NewerFormat {
                place,
                found,
                known,
            } => write!(
                f,
                "{place} copy of the trust state has format {found}, up to {known} is known here"
            ),
            Self::StateLost => f.write_str("trust state is lost, going on from the anchor"),
            Self::TooLarge { bytes } => write!(
                f,
                "trust state of {bytes} bytes is too large to be stored, the copies are as they were"
            ),
            Self::Unwritable { place, step, kind } => {
                write!(f, "cannot {step} of the {place} copy: {kind}")
            }
        }
    }
}
