//! The name of a log, which follows from the name of its issuer.

use alloc::{
    format,
    string::{String, ToString as _},
};
use core::fmt;

/// The name of a log: its origin in C2SP tlog-checkpoint, and the name of the keys that sign for
/// it.
///
/// It is the issuer's name and `/ledger`, as in `acme.example/ledger`. What a key's name must not
/// have (C2SP signed-note: blanks and `+`) is written as in a URL, so each issuer has one log:
///
/// ```
/// use phi_verify::log::Origin;
/// assert_eq!(Origin::of_issuer("acme.example").as_str(), "acme.example/ledger");
/// assert_eq!(Origin::of_issuer("acme+co").as_str(), "acme%2Bco/ledger");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(String);

impl Origin {
    /// The origin of the log of this issuer's ledger.
    pub fn of_issuer(issuer: &str) -> Self {
        let mut origin = String::with_capacity(issuer.len() + SUFFIX.len());
        for character in issuer.chars() {
            if matches!(character, '+' | '%') || character.is_whitespace() || character.is_control()
            {
                let escape = |byte: u8| format!("%{byte:02X}");
                let bytes = character.to_string();
                origin.extend(bytes.bytes().map(escape));
            } else {
                origin.push(character);
            }
        }
        origin.push_str(SUFFIX);
        Self(origin)
    }

    /// The origin as it stands in a checkpoint.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An issuer may come to sign other logs, each under a name of its own.
const SUFFIX: &str = "/ledger";

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
