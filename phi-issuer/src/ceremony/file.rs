//! The files that holders carry: a word of base64url in lines between markers.
//!
//! The word is deterministic CBOR behind a prefix; what is not written as this module would write
//! it is refused, so that one proposal is one sequence of bytes.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ciborium::Value;
use phi_verify::{DocumentKind, armor};
use serde::{Serialize, de::DeserializeOwned};

use super::holder::is_practice;
use crate::{error::Error, event};

/// A proposal has two roots and the names of at most 32 holders in it, in base64 and lines: this
/// is twice as much.
pub const MAX_CEREMONY_FILE: usize = 8 * DocumentKind::Root.size_limit();

/// A kind of file.
pub(super) struct Form {
    /// What the word begins with.
    pub(super) prefix: &'static str,
    /// What the markers say.
    pub(super) label: &'static str,
    /// What it is called.
    pub(super) what: &'static str,
}

impl Form {
    /// Writes a file of this form, which says so if it is of a practice.
    pub(super) fn write(&self, issuer: &str, content: &impl Serialize) -> String {
        let mut word = String::from(self.prefix);
        URL_SAFE_NO_PAD.encode_string(event::encode_sorted(content), &mut word);
        let practice = if is_practice(issuer) { "PRACTICE " } else { "" };
        armor::wrap(&format!("{practice}{}", self.label), &word)
    }

    /// Reads a file of this form.
    pub(super) fn read<T: Serialize + DeserializeOwned>(&self, text: &str) -> Result<T, Error> {
        if text.len() > MAX_CEREMONY_FILE {
            return Err(self.refused(format!("is larger than {MAX_CEREMONY_FILE} bytes")));
        }
        let word = armor::unwrap(text).map_err(|cause| self.refused(cause.to_string()))?;
        let encoded = word
            .strip_prefix(self.prefix)
            .ok_or_else(|| self.refused(format!("does not begin with {}", self.prefix)))?;
        let bytes = URL_SAFE_NO_PAD
            .decode(encoded)
            .map_err(|_| self.refused("is not base64url without padding".into()))?;
        let unreadable =
            |cause: &dyn std::fmt::Display| self.refused(format!("does not read: {cause}"));
        let value: Value = ciborium::from_reader(&*bytes).map_err(|cause| unreadable(&cause))?;
        let content: T = value.deserialized().map_err(|cause| unreadable(&cause))?;
        if event::encode_sorted(&content) == bytes {
            return Ok(content);
        }
        Err(self.refused("is not in deterministic CBOR".into()))
    }

    fn refused(&self, problem: String) -> Error {
        Error::CeremonyFile {
            what: self.what,
            problem,
        }
    }
}
