//! Why clients cannot be read or changed.

use std::{error::Error, fmt, io, path::PathBuf};

use super::Right;

/// Why clients cannot be read or changed; the file is as it was.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientsError {
    /// The file cannot be read or written.
    File {
        /// The file.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Others than its owner can write it, and so let in whom they like.
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It belongs to another user, who can let in whom they like.
    NotOurs {
        /// The file.
        path: PathBuf,
        /// The number of that user.
        owner: u32,
    },
    /// The file is refused.
    Refused {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        problem: String,
    },
    /// There is a client by this name already.
    Exists {
        /// The name.
        name: String,
    },
    /// There is no client by this name.
    Unknown {
        /// The name.
        name: String,
    },
    /// No more clients, or keys of one, fit into a file.
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        most: usize,
    },
    /// A text that is no name of a client.
    Name {
        /// The text.
        name: String,
    },
    /// A text that is no right.
    Right {
        /// The text.
        text: String,
    },
    /// A text that is neither a name nor a pattern of names, of holders or of groups.
    Pattern {
        /// The text.
        text: String,
    },
    /// A text that is no name of a group.
    Group {
        /// The text.
        text: String,
    },
    /// A text that is no name of a certificate.
    Certificate {
        /// The text.
        text: String,
    },
    /// The system has no randomness to give.
    Randomness,
}

impl ClientsError {
    /// The stable code of the error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::File { .. } => "clients-file",
            Self::TooOpen { .. } => "clients-permissions",
            Self::NotOurs { .. } => "clients-owner",
            Self::Refused { .. } => "clients-refused",
            Self::Exists { .. } => "client-exists",
            Self::Unknown { .. } => "client-unknown",
            Self::TooMany { .. } => "clients-full",
            Self::Name { .. } => "client-name",
            Self::Right { .. } => "client-right",
            Self::Pattern { .. } => "client-pattern",
            Self::Group { .. } => "client-group",
            Self::Certificate { .. } => "client-certificate",
            Self::Randomness => "no-randomness",
        }
    }

    /// What to do.
    pub fn hint(&self) -> String {
        match self {
            Self::File { path, .. } => {
                format!(
                    "make {} readable and writable for this user",
                    path.display()
                )
            }
            Self::TooOpen { path, .. } => format!("run `chmod go-w {}`", path.display()),
            Self::NotOurs { path, .. } => {
                format!("give {} to this user, or to root", path.display())
            }
            Self::Refused { .. } => {
                "mend that line, or take it out; docs/enforcement.md has every key".into()
            }
            Self::Exists { .. } => "choose another name, or add a key to this client".into(),
            Self::Unknown { .. } => "`phi-node client list` has the names".into(),
            Self::TooMany { .. } => "remove what is not used".into(),
            Self::Name { .. } => {
                "1 to 64 lowercase letters, digits, `.`, `-` and `_`, the first a letter or digit"
                    .into()
            }
            Self::Right { .. } => format!("one of {}", Right::ALL.map(Right::name).join(", ")),
            Self::Group { .. } => {
                "1 to 256 bytes, without a star and without control characters".into()
            }
            Self::Pattern { .. } => {
                "a name of at most 256 bytes, or the beginning of names with one `*` after it"
                    .into()
            }
            Self::Certificate { .. } => {
                "a DNS name, a URI, or sha256: and 64 lowercase digits".into()
            }
            Self::Randomness => "try again; if it persists, the system is broken".into(),
        }
    }
}

impl fmt::Display for ClientsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, doing, .. } => write!(f, "cannot {doing} {}", path.display()),
            Self::TooOpen { path, mode } => {
                write!(f, "others can write {} (mode {mode:04o})", path.display())
            }
            Self::NotOurs { path, owner } => {
                write!(f, "{} belongs to user {owner}", path.display())
            }
            Self::Refused {
                path,
                line,
                problem,
            } => write!(f, "{}, line {line}: {problem}", path.display()),
            Self::Exists { name } => write!(f, "there is a client {name} already"),
            Self::Unknown { name } => write!(f, "there is no client {name}"),
            Self::TooMany { what, most } => write!(f, "there are more than {most} {what}"),
            Self::Name { name } => write!(f, "{name:?} is no name of a client"),
            Self::Right { text } => write!(f, "{text:?} is nothing that a client may do"),
            Self::Pattern { text } => write!(f, "{text:?} is no name and no pattern of names"),
            Self::Group { text } => write!(f, "{text:?} is no name of a group"),
            Self::Certificate { text } => write!(f, "{text:?} is no name of a certificate"),
            Self::Randomness => f.write_str("the system has no randomness to give"),
        }
    }
}

impl Error for ClientsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::File { source, .. } => Some(source),
            _ => None,
        }
    }
}
