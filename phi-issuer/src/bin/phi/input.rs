//! Objects as they are handed in: as text, as a file or on standard input, in any of their forms.
//!
//! Reading stops at a size that no object has. What the bytes mean is judged by others; here they
//! are only told apart.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use phi_verify::{DocumentKind, armor};

use crate::failure::Failure;

/// No object is larger: the largest document in armored text, with room for its line ends.
pub(crate) const MAX_OBJECT: u64 = 6 << 20;

/// An object, told by its first bytes and not yet judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Object {
    /// A token, or text that is no other object.
    Token(String),
    /// A document in its binary form.
    Document(Vec<u8>),
    /// A fingerprint request.
    Fingerprint(String),
    /// A signing key under a passphrase.
    SealedKey(String),
    /// A public key.
    PublicKey(String),
    /// A proposal of a root, or a signature of one.
    Ceremony(String),
}

impl Object {
    /// What the object is, in print.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Token(_) => "a license token",
            Self::Document(_) => "a trust document",
            Self::Fingerprint(_) => "a fingerprint request",
            Self::SealedKey(_) => "a sealed signing key",
            Self::PublicKey(_) => "a public key",
            Self::Ceremony(_) => "a file of a root ceremony",
        }
    }

    /// Reads the object of a command line: itself as text, the path of a file, or `-`.
    ///
    /// # Errors
    /// `file-missing`, `file-failed`, `input-too-large`, `input-not-text`, or why armored text is
    /// refused.
    pub(crate) fn read(argument: &OsStr) -> Result<Self, Failure> {
        if argument == "-" {
            return Self::from_bytes(&bounded(io::stdin(), MAX_OBJECT, "standard input")?);
        }
        match argument.to_str() {
            Some(text) if is_object(text) => Self::from_text(text),
            _ => Self::from_bytes(&read_file(Path::new(argument), MAX_OBJECT)?),
        }
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, Failure> {
        // The head of an array of three: how every document begins, and no text.
        if bytes.first() == Some(&0x83) {
            return Ok(Self::Document(bytes.to_vec()));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| {
            Failure::new(
                "input-not-text",
                "the input is neither text nor a Phi document",
            )
        })?;
        Self::from_text(text)
    }

    fn from_text(text: &str) -> Result<Self, Failure> {
        let tokens = text.split_whitespace();
        let count = tokens
            .clone()
            .filter(|word| word.starts_with(TOKEN))
            .count();
        if count > 1 && count == tokens.count() {
            let message = format!("the input has {count} tokens, and one is meant");
            return Err(Failure::new("tokens-several", message));
        }
        let word = armor::unwrap(text)?;
        if DOCUMENTS.iter().any(|prefix| word.starts_with(prefix)) {
            return Ok(Self::Document(armor::document_from_text(&word)?));
        }
        Ok(match word {
            word if word.starts_with(FINGERPRINT) => Self::Fingerprint(word),
            word if word.starts_with(SEALED_KEY) => Self::SealedKey(word),
            word if word.starts_with(PUBLIC_KEY) => Self::PublicKey(word),
            word if CEREMONY.iter().any(|prefix| word.starts_with(prefix)) => Self::Ceremony(word),
            word => Self::Token(word),
        })
    }
}

const TOKEN: &str = "v4.public.";
const FINGERPRINT: &str = "phi.fingerprint.";
pub(crate) const SEALED_KEY: &str = "k4.secret-pw.";
const PUBLIC_KEY: &str = "k4.public.";
const CEREMONY: [&str; 2] = ["phi.root-proposal.", "phi.root-signature."];
const ARMOR: &str = "-----BEGIN PHI ";
const DOCUMENTS: [&str; 5] = [
    "phi.root.",
    "phi.keyset.",
    "phi.status.",
    "phi.catalog.",
    "phi.clock-reset.",
];

/// Whether an argument is an object rather than the path of one. Nothing at all is an empty
/// object: the message about it helps more than one about a file without a name.
fn is_object(argument: &str) -> bool {
    let words = [TOKEN, FINGERPRINT, SEALED_KEY, PUBLIC_KEY, ARMOR];
    let prefixes = words.iter().chain(&DOCUMENTS);
    argument.trim().is_empty()
        || prefixes
            .into_iter()
            .any(|prefix| argument.trim_start().starts_with(prefix))
}

/// Reads a file of at most `limit` bytes.
///
/// # Errors
/// `file-missing`, `file-failed` or `input-too-large`.
pub(crate) fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, Failure> {
    let name = path.display();
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Failure::new("file-missing", format!("{name} does not exist")),
        _ => Failure::new("file-failed", format!("cannot read {name}: {error}")),
    };
    bounded(File::open(path).map_err(failed)?, limit, &name.to_string())
}

/// Reads a text file of at most `limit` bytes.
///
/// # Errors
/// As [`read_file`], and `input-not-text`.
pub(crate) fn read_text(path: &Path, limit: u64) -> Result<String, Failure> {
    let bytes = match path.to_str() {
        Some("-") => bounded(io::stdin(), limit, "standard input")?,
        _ => read_file(path, limit)?,
    };
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let message = format!("{} is not UTF-8 text at byte {at}", path.display());
        Failure::new("input-not-text", message).hint("save the file as UTF-8")
    })
}

fn bounded(source: impl Read, limit: u64, name: &str) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    // One byte beyond the limit tells an input that fits from one that goes on.
    let read = source.take(limit + 1).read_to_end(&mut bytes);
    read.map_err(|error| Failure::new("file-failed", format!("cannot read {name}: {error}")))?;
    if bytes.len() as u64 > limit {
        let message = format!("{name} is larger than {limit} bytes");
        return Err(Failure::new("input-too-large", message));
    }
    Ok(bytes)
}

const _: () = assert!(DOCUMENTS.len() == DocumentKind::ALL.len());

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(bytes: &[u8], code: &str) {
        assert_eq!(Object::from_bytes(bytes).unwrap_err().code, code);
    }

    #[test]
    fn every_kind_of_document_is_told_by_its_text() {
        for kind in DocumentKind::ALL {
            assert!(DOCUMENTS.contains(&format!("phi.{kind}.").as_str()));
        }
    }

    #[test]
    fn objects_are_told_by_their_first_word() {
        let token = Object::Token("v4.public.e30".into());
        assert_eq!(Object::read("v4.public.e30".as_ref()).unwrap(), token);
        assert_eq!(Object::from_bytes(b"\n v4.public.e30 \r\n").unwrap(), token);
        let armored = armor::wrap("LICENSE", "v4.public.e30");
        assert_eq!(Object::read(armored.as_ref()).unwrap(), token);
        for (text, name) in [
            ("phi.fingerprint.AA", "a fingerprint request"),
            ("k4.secret-pw.AA", "a sealed signing key"),
            ("k4.public.AA", "a public key"),
            ("phi.root-proposal.AA", "a file of a root ceremony"),
            ("phi.root-signature.AA", "a file of a root ceremony"),
            ("hello", "a license token"),
        ] {
            assert_eq!(Object::from_bytes(text.as_bytes()).unwrap().name(), name);
        }
        let binary = Object::from_bytes(&[0x83, 0xff]).unwrap();
        assert_eq!(binary, Object::Document(vec![0x83, 0xff]));
    }

    #[test]
    fn files_whose_names_look_like_objects_are_files() {
        for path in ["phi.toml", "phi.db", "phi.root", "v4.txt", "keys/k4.public"] {
            assert!(!is_object(path), "{path}");
        }
        assert!(is_object("") && is_object(" \n"));
    }

    #[test]
    fn what_is_no_object_is_refused_by_name() {
        refused(&[0xff, 0xfe, 0x00], "input-not-text");
        refused(b"two words", "armor-invalid");
        refused(b"v4.public.AA\nv4.public.AB\n", "tokens-several");
        refused(b"phi.root.!", "armor-invalid");
        refused(b"phi.root.AAAA", "document-envelope");
    }

    #[test]
    fn reading_stops_at_the_limit() {
        assert_eq!(bounded(&b"1234"[..], 4, "x").unwrap(), b"1234");
        let failure = bounded(io::repeat(0), 4, "x").unwrap_err();
        assert_eq!(failure.code, "input-too-large");
        assert_eq!(failure.message, "x is larger than 4 bytes");
    }
}
