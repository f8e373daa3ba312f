//! The files that holders carry: a word of base64url in lines between markers.
//!
//! The word is deterministic CBOR behind a prefix; what is not written as this module would write
//! it is refused, so that one proposal is one sequence of bytes.

use std::borrow::Cow;

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
        let text = of_mail(text);
        let word = armor::unwrap(&text).map_err(|cause| self.refused(cause.to_string()))?;
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

/// The lines from the first BEGIN to the last END, without what a mail program puts before the
/// lines that it quotes. A text without them stays as it is, and two objects are not one.
fn of_mail(text: &str) -> Cow<'_, str> {
    let bare = |line: &str| {
        line.trim_start_matches(['>', ' ', '\t'])
            .trim_end()
            .to_owned()
    };
    let lines: Vec<String> = text.lines().map(bare).collect();
    let begin = lines.iter().position(|line| line.starts_with(BEGIN));
    let end = lines.iter().rposition(|line| line.starts_with(END));
    match (begin, end) {
        (Some(begin), Some(end)) if begin < end => lines[begin..=end].join("\n").into(),
        _ => text.into(),
    }
}

const BEGIN: &str = "-----BEGIN PHI ";
const END: &str = "-----END PHI ";

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: Form = Form {
        prefix: "phi.test.",
        label: "TEST",
        what: "the test",
    };

    #[track_caller]
    fn reads(text: &str) {
        assert_eq!(FORM.read::<u64>(text).unwrap(), 7);
    }

    #[test]
    fn what_was_pasted_into_a_mail_reads() {
        let text = FORM.write("acme.example", &7_u64);
        reads(&text);
        reads(&format!(
            "Hello Bob,\n\nhere it is:\n\n{text}\n-- \nAlice\n"
        ));
        let quoted: Vec<_> = text.lines().map(|line| format!("> {line}\r\n")).collect();
        reads(&format!("On Monday Alice wrote:\r\n{}", quoted.concat()));
        reads(&text.replace('\n', "  \n"));
    }

    #[test]
    fn two_objects_are_not_one() {
        let text = FORM.write("acme.example", &7_u64);
        FORM.read::<u64>(&format!("{text}and\n{text}")).unwrap_err();
        FORM.read::<u64>(&text.replace("END", "THE END"))
            .unwrap_err();
    }
}
