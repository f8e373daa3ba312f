//! Signed bytes from outside, whichever way they came: what they are, and what became of each part.
//!
//! Roots, keysets, status lists and deltas, catalogs, bundles and tokens are taken alike from a file
//! that is watched, over HTTP and over gRPC; as bytes, as a word, or armored. Nothing is believed
//! here: what holds is for [`Licenses::import`](crate::licenses::Licenses::import) to say.

use std::fmt;

use phi_verify::{Error, LicenseId, MAX_BUNDLE, PartName, armor};

/// The most bytes that are taken at once: the largest bundle as armored text.
pub const MAX_INTAKE: usize = MAX_BUNDLE / 2 * 3;

/// The head of an array of three: how every document begins, and no text.
const DOCUMENT: u8 = 0x83;
/// The heads of maps: how every bundle begins, and no text.
const MAPS: std::ops::RangeInclusive<u8> = 0xa0..=0xbf;
const BUNDLE_WORD: &str = "phi.bundle.";
const DOCUMENT_WORD: &str = "phi.";

/// What signed bytes are, by their beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Object {
    Document(Vec<u8>),
    Bundle(Vec<u8>),
    Token(String),
}

impl Object {
    /// Tells what the bytes are. Whether they hold is not looked at.
    ///
    /// # Errors
    /// Why they are no object of Phi.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Error> {
        match bytes.first() {
            Some(&DOCUMENT) => return Ok(Self::Document(bytes.into())),
            Some(first) if MAPS.contains(first) => return Ok(Self::Bundle(bytes.into())),
            _ => {}
        }
        let text = std::str::from_utf8(bytes);
        let text = text.map_err(|_| Error::Armor("is neither text nor an object of Phi"))?;
        let word = armor::unwrap(text)?;
        if word.starts_with(BUNDLE_WORD) {
            Ok(Self::Bundle(armor::bundle_from_text(&word)?))
        } else if word.starts_with(DOCUMENT_WORD) {
            Ok(Self::Document(armor::document_from_text(&word)?))
        } else {
            Ok(Self::Token(word))
        }
    }
}

/// What became of signed bytes, part by part, in the order in which they were looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The parts: one, or those of a bundle.
    pub parts: Vec<Part>,
    /// What was taken and could not be written down for the next start.
    pub unkept: Vec<String>,
}

impl Report {
    /// Whether no part was refused.
    pub fn is_good(&self) -> bool {
        let refused = |part: &Part| matches!(part.outcome, Outcome::Refused(_) | Outcome::NoRoom);
        !self.parts.iter().any(refused)
    }
}

/// One part of what came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it is.
    pub name: Named,
    /// What became of it.
    pub outcome: Outcome,
}

/// What a part is, as far as that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// A document, as a bundle or its own signature names it.
    Document(PartName),
    /// A document that was refused before it said more.
    Unread,
    /// A token, and the license that it is of if its signature holds.
    Token(Option<(LicenseId, u64)>),
}

impl Named {
    /// The kind: `root`, `keyset`, `status`, `catalog`, `document` or `license`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Document(name) => name.kind.name(),
            Self::Unread => "document",
            Self::Token(_) => "license",
        }
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Document(name) => name.fmt(f),
            Self::Unread => f.write_str("document"),
            Self::Token(Some((license, revision))) => {
                write!(f, "license {license} revision {revision}")
            }
            Self::Token(None) => f.write_str("license"),
        }
    }
}

/// What became of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in force from now on.
    Updated,
    /// It was here before.
    Unchanged,
    /// It is older than what is here and was not looked at.
    Passed,
    /// It is kept, and is not in force: what time or another document may change.
    Waiting(Box<Error>),
    /// It is refused, and everything is as before.
    Refused(Box<Error>),
    /// It holds, and there is no room for more licenses.
    NoRoom,
}

impl Outcome {
    /// The stable word.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
            Self::Passed => "passed",
            Self::Waiting(_) => "waiting",
            Self::Refused(_) => "refused",
            Self::NoRoom => "no-room",
        }
    }

    /// Why it is not in force.
    pub const fn error(&self) -> Option<&Error> {
        match self {
            Self::Waiting(error) | Self::Refused(error) => Some(error),
            Self::Updated | Self::Unchanged | Self::Passed | Self::NoRoom => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &[u8] = include_bytes!("../../keys/demo/root-1.phi");

    #[test]
    fn an_object_is_known_by_its_beginning_in_every_form() {
        let document = Object::Document(ROOT.to_vec());
        let word = armor::document_to_text(ROOT).unwrap();
        let armored = armor::wrap("ROOT", &word);
        for form in [ROOT, word.as_bytes(), armored.as_bytes()] {
            assert_eq!(Object::read(form), Ok(document.clone()));
        }
        let token = Object::Token("v4.public.e30".into());
        assert_eq!(Object::read(b" v4.public.e30\n"), Ok(token));
        let mut bundle = phi_verify::BundleBuilder::new();
        bundle.document(ROOT).unwrap();
        let bundle = bundle.build().unwrap();
        let word = armor::bundle_to_text(&bundle).unwrap();
        for form in [&bundle[..], word.as_bytes()] {
            assert_eq!(Object::read(form), Ok(Object::Bundle(bundle.clone())));
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for (bytes, code) in [
            (&b"\xff\xfe"[..], "armor-invalid"),
            (b"phi.root.!", "armor-invalid"),
            (b"two words", "armor-invalid"),
            (b"phi.root.AAAA", "document-envelope"),
        ] {
            assert_eq!(Object::read(bytes).unwrap_err().code(), code);
        }
    }
}
