//! Why the issuer refuses something: one sentence, one stable code and, where there is one, the
//! way out.

use std::{error::Error as StdError, fmt, io, path::PathBuf};

use phi_verify::KeyId;

use crate::{
    catalog::{Diagnostics, EntitlementError},
    durable::FileError,
    keyfile::{KeyError, SignError},
    keys::Role,
    store::StoreError,
};

/// Why the issuer refuses something.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// Something with this name is there already.
    AlreadyExists {
        /// The kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A batch row was carried out before with other contents.
    BatchConflict {
        /// The row's reference.
        reference: String,
    },
    /// A file of rows cannot be read.
    BatchFile {
        /// What is wrong, and where.
        problem: String,
    },
    /// The catalog text is refused; each diagnostic has its line and column.
    Catalog(Diagnostics),
    /// The plan, add-ons and overrides do not fit the catalog.
    Entitlement(EntitlementError),
    /// An event in the store does not read.
    EventDamaged {
        /// What is wrong with it.
        problem: String,
    },
    /// A file cannot be read or written.
    File(FileError),
    /// There is no issuer in the folder.
    FolderMissing {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder holds something that `init` would write.
    FolderInUse {
        /// What is in the way.
        path: PathBuf,
    },
    /// What was asked for breaks a rule.
    Invalid {
        /// The thing.
        what: &'static str,
        /// The rule that is broken, as a predicate.
        problem: String,
    },
    /// A key file or passphrase is refused.
    Key(KeyError),
    /// The key's file is not in the folder.
    KeyFileMissing {
        /// The key's role.
        role: Role,
        /// The key.
        key_id: KeyId,
        /// Where its file should be.
        path: PathBuf,
    },
    /// The state does not allow what was asked for.
    NotAllowed {
        /// The thing.
        what: String,
        /// Why not.
        problem: &'static str,
        /// The way out.
        hint: &'static str,
    },
    /// There is nothing of this name.
    NotFound {
        /// The kind of thing.
        what: &'static str,
        /// The name that was asked for.
        name: String,
        /// The way out.
        hint: &'static str,
    },
    /// What was just made does not pass phi-verify, and was not given out.
    NotVerified(phi_verify::Error),
    /// The published documents are behind the ledger.
    PublicationBehind {
        /// What is missing.
        problem: String,
        /// The command that publishes it.
        hint: &'static str,
    },
    /// The ledger has the document, but its file could not be written.
    PublicationUnwritten(FileError),
    /// A signer failed.
    Sign(SignError),
    /// The store cannot be used.
    Store(StoreError),
    /// The store was written by a newer Phi.
    StoreNewer {
        /// The version of the store.
        found: u32,
        /// The newest version that this Phi reads.
        known: u32,
    },
    /// There is an issuer in the folder, but its store is gone.
    StoreMissing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The file is not a Phi store.
    StoreForeign {
        /// The file.
        path: PathBuf,
    },
    /// The system refused something.
    System {
        /// What was being done.
        step: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// Classes of errors, for exit codes and dashboards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// What was handed in is wrong.
    Input,
    /// A key or a passphrase is missing or wrong.
    Key,
    /// The published documents are behind.
    Publication,
    /// The store refuses, or cannot be used.
    Store,
    /// The machine refuses.
    System,
}

impl Error {
    /// The stable code of the error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::AlreadyExists { .. } => "already-exists",
            Self::BatchConflict { .. } => "batch-conflict",
            Self::BatchFile { .. } => "batch-file",
            Self::Catalog(_) => "catalog-invalid",
            Self::Entitlement(_) => "entitlement-invalid",
            Self::EventDamaged { .. } => "event-damaged",
            Self::File(error) | Self::PublicationUnwritten(error) => error.code(),
            Self::FolderInUse { .. } => "folder-in-use",
            Self::FolderMissing { .. } => "folder-missing",
            Self::Invalid { .. } => "input-invalid",
            Self::Key(error) => error.code(),
            Self::KeyFileMissing { .. } => "key-file-missing",
            Self::NotAllowed { .. } => "not-allowed",
            Self::NotFound { .. } => "not-found",
            Self::NotVerified(_) => "not-verified",
            Self::PublicationBehind { .. } => "publication-behind",
            Self::Sign(_) => "sign-failed",
            Self::Store(error) => error.code(),
            Self::StoreForeign { .. } => "store-foreign",
            Self::StoreMissing { .. } => "store-missing",
            Self::StoreNewer { .. } => "store-newer",
            Self::System { .. } => "system",
        }
    }

    /// The class of the error.
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::AlreadyExists { .. }
            | Self::BatchConflict { .. }
            | Self::BatchFile { .. }
            | Self::Catalog(_)
            | Self::Entitlement(_)
            | Self::FolderInUse { .. }
            | Self::FolderMissing { .. }
            | Self::Invalid { .. }
            | Self::NotFound { .. } => ErrorClass::Input,
            Self::Key(_) | Self::KeyFileMissing { .. } | Self::Sign(_) => ErrorClass::Key,
            Self::PublicationBehind { .. }
            | Self::PublicationUnwritten(_)
            | Self::NotVerified(_) => ErrorClass::Publication,
            Self::EventDamaged { .. }
            | Self::NotAllowed { .. }
            | Self::Store(_)
            | Self::StoreForeign { .. }
            | Self::StoreMissing { .. }
            | Self::StoreNewer { .. } => ErrorClass::Store,
            Self::File(_) | Self::System { .. } => ErrorClass::System,
        }
    }

    /// The next step, where there is one.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::AlreadyExists { .. } => "choose another name".into(),
            Self::BatchConflict { .. } => {
                "give the row a new ref, or restore the row as it was".into()
            }
            Self::EventDamaged { .. } => "nothing was changed; restore phi.db from a backup".into(),
            Self::Store(error) => error.hint().into(),
            Self::StoreMissing { .. } => "restore phi.db from a backup".into(),
            Self::FolderInUse { .. } => {
                "choose another folder with --dir, or move what is there away".into()
            }
            Self::FolderMissing { .. } => {
                "run `phi init` here, or name the issuer's folder with --dir".into()
            }
            Self::KeyFileMissing { .. } => {
                "bring the key file back into keys/ (from its offline place or a backup)".into()
            }
            Self::NotAllowed { hint, .. }
            | Self::NotFound { hint, .. }
            | Self::PublicationBehind { hint, .. } => (*hint).into(),
            Self::NotVerified(_) => {
                "nothing was given out; publish the keyset and try again".into()
            }
            Self::PublicationUnwritten(_) => {
                "mend the folder and run the publish command again; the ledger has the document"
                    .into()
            }
            Self::StoreForeign { .. } => "name the issuer's folder with --dir".into(),
            Self::StoreNewer { .. } => "use the newer phi that wrote it".into(),
            _ => return None,
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyExists { what, name } => write!(f, "{what} {name} exists already"),
            Self::BatchConflict { reference } => {
                write!(
                    f,
                    "row {reference:?} was carried out before with other contents"
                )
            }
            Self::Catalog(_) => f.write_str("the catalog is refused"),
            Self::Entitlement(error) => error.fmt(f),
            Self::EventDamaged { problem } => {
                write!(f, "an event in the store is damaged: {problem}")
            }
            Self::File(error) => error.fmt(f),
            Self::FolderInUse { path } => write!(f, "{} is in the way", path.display()),
            Self::FolderMissing { folder } => {
                write!(f, "there is no issuer in {}", folder.display())
            }
            Self::Invalid { what, problem } => write!(f, "{what} {problem}"),
            Self::Key(error) => error.fmt(f),
            Self::KeyFileMissing { role, key_id, path } => {
                write!(
                    f,
                    "the file of {role} key {key_id} is not at {}",
                    path.display()
                )
            }
            Self::NotAllowed { what, problem, .. } => write!(f, "{what} {problem}"),
            Self::NotFound { what, name, .. } => write!(f, "there is no {what} {name}"),
            Self::NotVerified(_) => f.write_str("what was made does not pass verification"),
            Self::BatchFile { problem } | Self::PublicationBehind { problem, .. } => {
                f.write_str(problem)
            }
            Self::PublicationUnwritten(_) => f.write_str("a published file could not be written"),
            Self::Sign(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
            Self::StoreMissing { path } => write!(f, "the store {} is missing", path.display()),
            Self::StoreForeign { path } => write!(f, "{} is not a Phi store", path.display()),
            Self::StoreNewer { found, known } => {
                write!(
                    f,
                    "the store has version {found}, this phi reads up to {known}"
                )
            }
            Self::System { step, .. } => write!(f, "the system refused {step}"),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        // A variant that prints its cause's sentence passes on the cause's own source, so that
        // a chain never says one thing twice.
        match self {
            Self::Catalog(error) => Some(error),
            Self::Entitlement(error) => error.source(),
            Self::File(error) => error.source(),
            Self::Key(error) => error.source(),
            Self::NotVerified(error) => Some(error),
            Self::PublicationUnwritten(error) => Some(error),
            Self::Sign(error) => error.source(),
            Self::Store(error) => error.source(),
            Self::System { source, .. } => Some(source),
            _ => None,
        }
    }
}

macro_rules! from {
    ($($cause:ty => $variant:ident;)*) => {$(
        impl From<$cause> for Error {
            fn from(cause: $cause) -> Self {
                Self::$variant(cause)
            }
        }
    )*};
}

from! {
    Diagnostics => Catalog;
    EntitlementError => Entitlement;
    FileError => File;
    KeyError => Key;
    SignError => Sign;
}
