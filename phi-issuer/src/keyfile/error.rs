//! What can go wrong with a key: the file, its form, its limits, the passphrase.

use std::error::Error;
use std::fmt;
use std::io;

use crate::custody::SignerError;
use crate::durable::FileError;

/// Why a key cannot be made, kept or opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum KeyError {
    /// The key file is missing, open to others, exists already, or cannot be read or written.
    File(FileError),
    /// The text is not a PASERK `k4.secret-pw`.
    Malformed {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The key asks for key stretching outside the limits, and none was done.
    KdfLimit {
        /// Which number: `bytes of memory`, `passes` or `lanes`.
        parameter: &'static str,
        /// The number in the key.
        value: u64,
        /// The least that is accepted.
        min: u64,
        /// The most that is accepted.
        max: u64,
    },
    /// The system cannot give the memory for key stretching.
    Memory {
        /// How much was asked for.
        bytes: u64,
    },
    /// The passphrase is another one, or the file was changed: the tag cannot tell which.
    WrongPassphrase,
    /// The public half stored with the secret belongs to another secret, or is no key.
    PublicHalf,
    /// A role is not 1 to 32 lowercase letters and hyphens.
    Role {
        /// The role given.
        role: String,
    },
    /// The system gives no randomness.
    Randomness(io::Error),
}

impl KeyError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::File(FileError::Missing { .. }) => "key-missing",
            Self::File(FileError::AlreadyExists { .. }) => "key-exists",
            Self::File(FileError::TooOpen { .. }) => "key-permissions",
            Self::File(FileError::TooLarge { .. } | FileError::NotAFile { .. })
            | Self::Malformed { .. } => "key-malformed",
            Self::File(error) => error.code(),
            Self::KdfLimit { .. } => "key-kdf-limit",
            Self::Memory { .. } => "key-memory",
            Self::WrongPassphrase => "passphrase-wrong",
            Self::PublicHalf => "key-public-half",
            Self::Role { .. } => "key-role",
            Self::Randomness(_) => "randomness",
        }
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(_) => f.write_str("the key file cannot be used"),
            Self::Malformed { reason } => write!(f, "not a sealed signing key: {reason}"),
            Self::KdfLimit {
                parameter,
                value,
                min,
                max,
            } => write!(
                f,
                "key stretching with {value} {parameter} is refused, accepted are {min} to {max}"
            ),
            Self::Memory { bytes } => {
                write!(
                    f,
                    "key stretching needs {} MiB of memory",
                    bytes.div_ceil(1 << 20)
                )
            }
            Self::WrongPassphrase => f.write_str("wrong passphrase, or a damaged key file"),
            Self::PublicHalf => {
                f.write_str("the public half in the sealed key does not belong to its secret half")
            }
            Self::Role { role } => {
                write!(
                    f,
                    "{role:?} is not a role: 1 to 32 lowercase letters and hyphens"
                )
            }
            Self::Randomness(_) => f.write_str("the system gives no randomness"),
        }
    }
}

impl Error for KeyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::File(error) => Some(error),
            Self::Randomness(error) => Some(error),
            _ => None,
        }
    }
}

/// Why there is no signature.
#[derive(Debug)]
#[non_exhaustive]
pub enum SignError {
    /// The signature does not hold under the key's own public half, and is not given out.
    Failed,
    /// The system gives no randomness for a message to try the signer with.
    Randomness(io::Error),
    /// The token or the program that has the key does not sign.
    Signer(SignerError),
}

impl SignError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Failed => "sign-failed",
            Self::Randomness(_) => "randomness",
            Self::Signer(error) => error.code(),
        }
    }
}

impl From<SignerError> for SignError {
    fn from(error: SignerError) -> Self {
        Self::Signer(error)
    }
}

impl fmt::Display for SignError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed => f.write_str("the new signature does not hold"),
            Self::Randomness(_) => f.write_str("the system gives no randomness"),
            Self::Signer(error) => error.fmt(f),
        }
    }
}

impl Error for SignError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed => None,
            Self::Randomness(error) => Some(error),
            Self::Signer(error) => error.source(),
        }
    }
}
