//! What can go wrong with a signer that is no encrypted file.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

use phi_verify::KeyId;

use crate::durable::FileError;
use crate::passphrase::PassphraseError;

/// Why a token or a program does not sign.
#[derive(Debug)]
#[non_exhaustive]
pub enum SignerError {
    /// The file that says where the signer is cannot be read or written.
    File(FileError),
    /// The file that says where the signer is does not read.
    Place {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        problem: String,
    },
    /// A key has an encrypted file and another signer too.
    Twice {
        /// The key.
        key_id: KeyId,
    },
    /// This phi was built without PKCS#11.
    NotBuiltIn,
    /// There is no PKCS#11 module at this path, or the file is none.
    Module {
        /// The path.
        path: PathBuf,
        /// What the loader or the module said.
        said: String,
    },
    /// The module has no such token.
    NoToken {
        /// The token's label, and its serial number if one is asked for.
        token: String,
        /// The tokens that there are.
        found: Vec<String>,
    },
    /// Several tokens have the label.
    TokenAmbiguous {
        /// The label.
        token: String,
        /// Their serial numbers.
        serials: Vec<String>,
    },
    /// There is no PIN.
    Pin(PassphraseError),
    /// The PIN is another one.
    PinWrong {
        /// The token.
        token: String,
        /// How many tries the token still allows, as far as it says so.
        left: PinTries,
    },
    /// The token takes no PIN any more.
    PinLocked {
        /// The token.
        token: String,
    },
    /// The token has no user PIN yet, or wants another one.
    PinUnset {
        /// The token.
        token: String,
    },
    /// The token was there and is gone, or lost the key or the login meanwhile.
    TokenRemoved {
        /// The token.
        token: String,
        /// What the module said.
        said: String,
    },
    /// The token cannot do Ed25519.
    NoMechanism {
        /// The token.
        token: String,
        /// The mechanism that it lacks.
        mechanism: &'static str,
    },
    /// The token has no key with this `CKA_ID`.
    NoKey {
        /// The token.
        token: String,
        /// The `CKA_ID` in hexadecimal.
        id: String,
    },
    /// Several keys of the token have this `CKA_ID`.
    KeyAmbiguous {
        /// The token.
        token: String,
        /// The `CKA_ID` in hexadecimal.
        id: String,
    },
    /// The public half in the token does not read, or cannot be read.
    KeyMalformed {
        /// The token.
        token: String,
        /// The `CKA_ID` in hexadecimal.
        id: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The token has another key under this `CKA_ID` than the ledger names.
    KeyMismatch {
        /// The token.
        token: String,
        /// The key of the ledger.
        expected: KeyId,
        /// The key in the token.
        found: KeyId,
    },
    /// The token made a key that can leave it.
    KeyExposed {
        /// The token.
        token: String,
    },
    /// The module refused a call for another reason.
    Refused {
        /// The token, or the module.
        token: String,
        /// What the module said.
        said: String,
    },
    /// The program cannot be started.
    ProgramNotStarted {
        /// The program.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// The program ended without success.
    ProgramFailed {
        /// The program.
        program: String,
        /// How it ended.
        status: String,
        /// The beginning of what it wrote on its standard error.
        said: String,
    },
    /// The program did not end in time, and was ended.
    ProgramTimeout {
        /// The program.
        program: String,
        /// The time that it had.
        seconds: u64,
    },
    /// The program wrote something else than a signature.
    ProgramOutput {
        /// The program.
        program: String,
        /// How many bytes were read of it.
        length: usize,
        /// The beginning of what it wrote on its standard error.
        said: String,
    },
}

/// How many tries a token still allows, as far as tokens say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PinTries {
    /// The token does not say.
    Unsaid,
    /// Some were used up.
    Fewer,
    /// The next wrong PIN locks the token.
    Last,
}

impl SignerError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::File(error) => error.code(),
            Self::Place { .. } => "signer-place",
            Self::Twice { .. } => "signer-twice",
            Self::NotBuiltIn => "signer-not-built-in",
            Self::Module { .. } => "token-module",
            Self::NoToken { .. } => "token-missing",
            Self::TokenAmbiguous { .. } => "token-ambiguous",
            Self::Pin(error) => error.code(),
            Self::PinWrong { .. } => "pin-wrong",
            Self::PinLocked { .. } => "pin-locked",
            Self::PinUnset { .. } => "pin-unset",
            Self::TokenRemoved { .. } => "token-removed",
            Self::NoMechanism { .. } => "token-mechanism",
            Self::NoKey { .. } => "token-key-missing",
            Self::KeyAmbiguous { .. } => "token-key-ambiguous",
            Self::KeyMalformed { .. } => "token-key-malformed",
            Self::KeyMismatch { .. } => "token-key-mismatch",
            Self::KeyExposed { .. } => "token-key-exposed",
            Self::Refused { .. } => "token-refused",
            Self::ProgramNotStarted { .. } => "signer-program",
            Self::ProgramFailed { .. } => "signer-program-failed",
            Self::ProgramTimeout { .. } => "signer-program-timeout",
            Self::ProgramOutput { .. } => "signer-program-output",
        }
    }
}

impl fmt::Display for SignerError {
    #[expect(clippy::too_many_lines, reason = "a sentence for each variant")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::Place { path, problem } => write!(
                f,
                "{} does not say where a signer is: {problem}",
                path.display()
            ),
            Self::Twice { key_id } => write!(
                f,
                "key {key_id} has a key file and a signer file: which of them signs is not clear"
            ),
            Self::NotBuiltIn => f.write_str("this phi was built without PKCS#11"),
            Self::Module { path, said } => {
                write!(f, "{} is no PKCS#11 module: {said}", path.display())
            }
            Self::NoToken { token, found } if found.is_empty() => {
                write!(f, "there is no token {token}: the module has none")
            }
            Self::NoToken { token, found } => {
                write!(
                    f,
                    "there is no token {token}: there is {}",
                    found.join(", ")
                )
            }
            Self::TokenAmbiguous { token, serials } => write!(
                f,
                "several tokens are called {token}, with the serial numbers {}",
                serials.join(", ")
            ),
            Self::Pin(error) => error.fmt(f),
            Self::PinWrong { token, left } => {
                write!(f, "wrong PIN for token {token}")?;
                f.write_str(match left {
                    PinTries::Unsaid => "",
                    PinTries::Fewer => ", which allows few more tries",
                    PinTries::Last => ": the next wrong one locks it",
                })
            }
            Self::PinLocked { token } => {
                write!(
                    f,
                    "the PIN of token {token} is locked after too many wrong ones"
                )
            }
            Self::PinUnset { token } => {
                write!(
                    f,
                    "token {token} has no PIN of its user yet, or wants a new one"
                )
            }
            Self::TokenRemoved { token, said } => {
                write!(
                    f,
                    "token {token} does not answer any more, or has lost the key: {said}"
                )
            }
            Self::NoMechanism { token, mechanism } => {
                write!(f, "token {token} cannot do Ed25519: it has no {mechanism}")
            }
            Self::NoKey { token, id } => {
                write!(f, "token {token} has no Ed25519 key with the id {id}")
            }
            Self::KeyAmbiguous { token, id } => {
                write!(f, "token {token} has several Ed25519 keys with the id {id}")
            }
            Self::KeyMalformed { token, id, problem } => {
                write!(f, "the public half of key {id} in token {token} {problem}")
            }
            Self::KeyMismatch {
                token,
                expected,
                found,
            } => write!(
                f,
                "token {token} has key {found} in the place of key {expected}"
            ),
            Self::KeyExposed { token } => write!(
                f,
                "token {token} made a key that can be taken out of it, which was asked not to be \
                 possible; the key was destroyed"
            ),
            Self::Refused { token, said } => write!(f, "token {token} refuses: {said}"),
            Self::ProgramNotStarted { program, .. } => {
                write!(f, "the signing program {program} cannot be started")
            }
            Self::ProgramFailed {
                program,
                status,
                said,
            } => {
                write!(f, "the signing program {program} failed ({status})")?;
                after(f, said)
            }
            Self::ProgramTimeout { program, seconds } => write!(
                f,
                "the signing program {program} gave no signature within {seconds} seconds"
            ),
            Self::ProgramOutput {
                program,
                length,
                said,
            } => {
                let more = if *length > 4096 {
                    "more than 4096".into()
                } else {
                    length.to_string()
                };
                write!(
                    f,
                    "the signing program {program} wrote {more} bytes, and a signature has 64"
                )?;
                after(f, said)
            }
        }
    }
}

/// What a program said, where it said anything.
fn after(f: &mut fmt::Formatter<'_>, said: &str) -> fmt::Result {
    if said.is_empty() {
        return Ok(());
    }
    write!(f, ": {said}")
}

impl Error for SignerError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            // Their sentences are said above.
            Self::File(error) => error.source(),
            Self::Pin(error) => error.source(),
            Self::ProgramNotStarted { source, .. } => Some(source),
            _ => None,
        }
    }
}
