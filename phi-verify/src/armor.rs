//! Text forms: every object as one word, and that word in lines between markers for files and
//! mail.
//!
//! The markers are PEM's (RFC 7468); between them stands the object's word, not PEM's base64.

use alloc::{format, string::String, vec::Vec};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{
    bundle::{Bundle, MAX_BUNDLE},
    document::{DocumentKind, UntrustedDocument},
    error::Error,
};

const BEGIN: &str = "-----BEGIN PHI ";
const END: &str = "-----END PHI ";
const MARK: &str = "-----";
/// RFC 7468 section 2: lines of 64 characters.
const LINE: usize = 64;
/// The largest object as text with its line ends, and room for the markers.
const MAX_ARMORED: usize = MAX_BUNDLE / 2 * 3;
const BUNDLE: &str = "phi.bundle.";

/// Puts a word (a token, or a document's text) into lines between markers.
///
/// ```
/// let armored = phi_verify::armor::wrap("LICENSE", "v4.public.e30");
/// assert_eq!(phi_verify::armor::unwrap(&armored).unwrap(), "v4.public.e30");
/// ```
pub fn wrap(label: &str, word: &str) -> String {
    let mut body = String::with_capacity(word.len() + word.len() / LINE + 1);
    for line in word.as_bytes().chunks(LINE) {
        body.extend(line.iter().map(|byte| char::from(*byte)));
        body.push('\n');
    }
    format!("{BEGIN}{label}{MARK}\n{body}{END}{label}{MARK}\n")
}

/// The word in a text: between markers, or alone with blanks around it.
///
/// # Errors
/// [`Error::Armor`] if the markers do not match, or if there is more than one word.
pub fn unwrap(text: &str) -> Result<String, Error> {
    if text.len() > MAX_ARMORED {
        return Err(Error::Armor("is larger than any Phi object"));
    }
    let text = text.trim();
    let Some(rest) = text.strip_prefix(BEGIN) else {
        if text.split_whitespace().nth(1).is_some() {
            return Err(Error::Armor("is more than one word and has no BEGIN line"));
        }
        return Ok(text.into());
    };
    let (label, rest) = rest
        .split_once(MARK)
        .ok_or(Error::Armor("has a BEGIN line that does not end"))?;
    let end = format!("{END}{label}{MARK}");
    let body = rest.strip_suffix(end.as_str()).ok_or(Error::Armor(
        "does not end with the END line of its BEGIN line",
    ))?;
    let mut word = String::with_capacity(body.len());
    for line in body.lines() {
        let line = line.trim();
        // A marker has spaces in it; dashes alone are base64url and may begin a line.
        if line.contains(char::is_whitespace) {
            return Err(Error::Armor("has a line that is not part of one object"));
        }
        word.push_str(line);
    }
    Ok(word)
}

/// A document as one word: `phi.<kind>.` and its bytes in base64url.
///
/// # Errors
/// Why the bytes are not a document.
pub fn document_to_text(bytes: &[u8]) -> Result<String, Error> {
    let mut text = format!("phi.{}.", UntrustedDocument::parse(bytes)?.kind());
    URL_SAFE_NO_PAD.encode_string(bytes, &mut text);
    Ok(text)
}

/// The bytes of a document's word.
///
/// # Errors
/// [`Error::Armor`], or why the bytes are not a document of the kind that the word names.
pub fn document_from_text(text: &str) -> Result<Vec<u8>, Error> {
    let named = |kind: &DocumentKind| {
        let rest = text.strip_prefix("phi.")?.strip_prefix(kind.name())?;
        rest.strip_prefix('.').map(|encoded| (*kind, encoded))
    };
    let (expected, encoded) = DocumentKind::ALL
        .iter()
        .find_map(named)
        .ok_or(Error::Armor(
            "does not begin with phi. and a kind of document",
        ))?;
    let bytes = URL_SAFE_NO_PAD
        .decode(encoded)
        .map_err(|_| Error::Armor("is not base64url without padding"))?;
    match UntrustedDocument::parse(&bytes)?.kind() {
        found if found == expected => Ok(bytes),
        found => Err(Error::DocumentKind { expected, found }),
    }
}

/// A bundle as one word: `phi.bundle.` and its bytes in base64url.
///
/// # Errors
/// Why the bytes are not a bundle.
pub fn bundle_to_text(bytes: &[u8]) -> Result<String, Error> {
    Bundle::parse(bytes)?;
    let mut text = String::from(BUNDLE);
    URL_SAFE_NO_PAD.encode_string(bytes, &mut text);
    Ok(text)
}

/// The bytes of a bundle's word.
///
/// # Errors
/// [`Error::Armor`], or why the bytes are not a bundle.
pub fn bundle_from_text(text: &str) -> Result<Vec<u8>, Error> {
    let encoded = text
        .strip_prefix(BUNDLE)
        .ok_or(Error::Armor("does not begin with phi.bundle."))?;
    let bytes = URL_SAFE_NO_PAD
        .decode(encoded)
        .map_err(|_| Error::Armor("is not base64url without padding"))?;
    Bundle::parse(&bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Dashes are base64url: five of them may fall at the beginning of a line.
    #[test]
    fn a_line_may_begin_with_dashes() {
        let word = format!("{}-----{}", "a".repeat(LINE), "b".repeat(LINE));
        assert_eq!(unwrap(&wrap("LICENSE", &word)), Ok(word));
    }
}
