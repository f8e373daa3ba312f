//! Why policies are not in force.

use std::{error::Error, fmt, path::PathBuf};

/// Why policies are not in force.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PolicyError {
    /// The file cannot be read, or others may write it.
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A part of it is no policy.
    Refused {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        problem: String,
    },
    /// It names what no catalog of the node has.
    Unknown {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What was looked for: a quota, a limit or a product.
        what: &'static str,
        /// The name.
        name: String,
        /// The product that it was looked for in, if it is of one.
        product: Option<String>,
        /// The names that there are.
        known: Vec<String>,
    },
}

impl PolicyError {
    /// The stable code of the error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::File { .. } => "policy-file",
            Self::Refused { .. } => "policy-invalid",
            Self::Unknown { .. } => "policy-unknown",
        }
    }

    /// What to do.
    pub fn hint(&self) -> String {
        match self {
            Self::File { .. } => {
                "name a file of this user or of root that nobody else may write".into()
            }
            Self::Refused { .. } => {
                "mend that line, or take it out; docs/guides/nodes.md has every key".into()
            }
            Self::Unknown { known, .. } if known.is_empty() => {
                "import the product's catalog, or name it by the number of its code".into()
            }
            Self::Unknown { known, .. } => {
                format!(
                    "there are {}; the numbers of codes always work",
                    known.join(", ")
                )
            }
        }
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, problem } => write!(f, "policies: {}: {problem}", path.display()),
            Self::Refused {
                path,
                line,
                problem,
            } => write!(f, "{}, line {line}: {problem}", path.display()),
            Self::Unknown {
                path,
                line,
                what,
                name,
                product,
                ..
            } => {
                let path = path.display();
                write!(f, "{path}, line {line}: there is no {what} {name:?}")?;
                match product {
                    Some(product) => write!(f, " in the catalog of {product}"),
                    None if *what == "product" => f.write_str(" whose licenses are taken"),
                    None => f.write_str(" in any catalog"),
                }
            }
        }
    }
}

impl Error for PolicyError {}
