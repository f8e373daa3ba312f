//! Names: the machine-readable words of a catalog, and titles, the words for people.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest name, in bytes: a plan or product name is spelled out in every token.
pub const MAX_NAME_BYTES: usize = 64;

/// The longest title or unit, in bytes: it must stay one line in a terminal and a comment.
pub(super) const MAX_TITLE_BYTES: usize = 200;

/// The name of a product, flag, quota, limit, plan or add-on: `[a-z0-9][a-z0-9._-]*`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    /// Checks and takes a name.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] says which rule the text breaks.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidName> {
        let text = text.into();
        if text.len() > MAX_NAME_BYTES {
            return Err(InvalidName::TooLong { bytes: text.len() });
        }
        let Some(first) = text.chars().next() else {
            return Err(InvalidName::Empty);
        };
        if !(first.is_ascii_lowercase() || first.is_ascii_digit()) {
            return Err(InvalidName::BadStart(first));
        }
        match text.chars().find(|&c| !is_name_char(c)) {
            Some(bad) => Err(InvalidName::BadCharacter(bad)),
            None => Ok(Self(text)),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-')
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Name {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        Self::new(text)
    }
}

impl TryFrom<String> for Name {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        Self::new(text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidName {
    /// There is nothing in it.
    Empty,
    /// It is longer than [`MAX_NAME_BYTES`].
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// It starts with something other than a lowercase letter or a digit.
    BadStart(char),
    /// It holds a character no name may hold.
    BadCharacter(char),
}

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a name must not be empty"),
            Self::TooLong { bytes } => {
                write!(
                    f,
                    "a name has at most {MAX_NAME_BYTES} bytes, this one has {bytes}"
                )
            }
            Self::BadStart(c) => write!(f, "a name must not start with {c:?}"),
            Self::BadCharacter(c) => write!(f, "a name must not contain {c:?}"),
        }
    }
}

impl std::error::Error for InvalidName {}

/// The rule in one line, for hints.
pub(super) const NAME_RULE: &str =
    "names start with a-z or 0-9 and go on with a-z, 0-9, '.', '_' and '-'";

/// Why a text cannot be a title or unit, if so.
pub(super) fn title_problem(text: &str) -> Option<String> {
    if text.trim().is_empty() {
        return Some("must not be empty".to_owned());
    }
    if text.len() > MAX_TITLE_BYTES {
        return Some(format!(
            "has at most {MAX_TITLE_BYTES} bytes, this one has {}",
            text.len()
        ));
    }
    let bad = text.chars().find(|&c| breaks_a_line(c))?;
    Some(format!("must be one line of plain text, without {bad:?}"))
}

/// Whether a character would end a comment line, steer a terminal, or reorder the text around it.
pub(super) fn breaks_a_line(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_to_the_rule() {
        for good in ["a", "0", "sso", "2fa", "a.b-c_d", &"x".repeat(64)] {
            assert!(Name::new(good).is_ok(), "{good}");
        }
        assert_eq!(Name::new(""), Err(InvalidName::Empty));
        assert_eq!(Name::new("-a"), Err(InvalidName::BadStart('-')));
        assert_eq!(Name::new("Ab"), Err(InvalidName::BadStart('A')));
        assert_eq!(Name::new("aB"), Err(InvalidName::BadCharacter('B')));
        assert_eq!(Name::new("a b"), Err(InvalidName::BadCharacter(' ')));
        assert_eq!(Name::new("naïve"), Err(InvalidName::BadCharacter('ï')));
        assert_eq!(
            Name::new("x".repeat(65)),
            Err(InvalidName::TooLong { bytes: 65 })
        );
    }

    #[test]
    fn a_stored_name_is_checked_again() {
        assert!(serde_json::from_str::<Name>("\"sso\"").is_ok());
        assert!(serde_json::from_str::<Name>("\"s so\"").is_err());
    }

    #[test]
    fn titles_are_one_plain_line() {
        assert_eq!(title_problem("Zugriff für alle */ \"x\" [y]"), None);
        for bad in ["", "  ", "a\nb", "\u{1b}[31m", "a\u{202e}b", "a\u{2028}b"] {
            assert!(title_problem(bad).is_some(), "{bad:?}");
        }
        assert!(title_problem(&"x".repeat(201)).is_some());
    }
}
