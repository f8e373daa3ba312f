//! Signed notes (C2SP signed-note): a text, and under it a line for each signature.
//!
//! A note is split here and its signatures are checked; what the text says is left to
//! `checkpoint.rs`, which reads it after they hold.

use alloc::{format, string::String, vec, vec::Vec};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};

use crate::{
    error::Error,
    key::{MAX_SIGNERS, PublicKey, RoleKeys},
};

/// A note has at most this many bytes: the most signatures, each of the 5000 bytes that C2SP
/// expects of post-quantum ones, with a long name.
pub const MAX_NOTE: usize = 256 << 10;

/// A note has at most this many signatures: of each key of a role, and of as many witnesses. C2SP
/// signed-note asks for sixteen at least.
pub const MAX_SIGNATURES: usize = 2 * MAX_SIGNERS;

/// The text of a note has at most this many bytes: a checkpoint takes under 300.
const MAX_TEXT: usize = 4096;

/// An em dash and a space begin a signature's line.
const MARK: &str = "\u{2014} ";
/// The signature type of C2SP signed-note for Ed25519.
const ED25519: u8 = 1;
/// Bytes in the id of a key.
const KEY_ID: usize = 4;

/// The id of a key in signed notes: the first four bytes of
/// `SHA-256(name || 0x0A || 0x01 || key)`. It selects a key and proves nothing.
pub fn note_key_id(name: &str, key: &PublicKey) -> [u8; KEY_ID] {
    let digest = Sha256::new()
        .chain_update(name)
        .chain_update([b'\n', ED25519])
        .chain_update(key.as_bytes())
        .finalize();
    let mut id = [0; KEY_ID];
    id.copy_from_slice(&digest[..KEY_ID]);
    id
}

/// A note that was split. Its text is had by verifying.
#[derive(Clone, Debug)]
pub struct UntrustedNote<'a> {
    whole: &'a str,
    text: &'a str,
    signatures: Vec<NoteSignature<'a>>,
}

#[derive(Clone, Debug)]
struct NoteSignature<'a> {
    name: &'a str,
    key_id: [u8; KEY_ID],
    /// `None` if it is of another length than Ed25519's.
    signature: Option<[u8; 64]>,
}

impl<'a> UntrustedNote<'a> {
    /// Splits a note into its text and its signatures.
    ///
    /// # Errors
    /// [`Error::Note`].
    pub fn parse(note: &'a str) -> Result<Self, Error> {
        Self::split(note).map_err(Error::Note)
    }

    fn split(note: &'a str) -> Result<Self, &'static str> {
        if note.len() > MAX_NOTE {
            return Err("is larger than 256 KiB");
        }
        if note.bytes().any(|byte| byte < b' ' && byte != b'\n') {
            return Err("has a control character");
        }
        let at = note
            .rfind("\n\n")
            .ok_or("has no empty line before its signatures")?;
        let (text, lines) = (&note[..=at], &note[at + 2..]);
        if text.len() > MAX_TEXT {
            return Err("has a text of more than 4096 bytes");
        }
        let lines = lines
            .strip_suffix('\n')
            .ok_or("does not end with a signature's line")?;
        let mut signatures = Vec::new();
        for line in lines.split('\n') {
            if signatures.len() == MAX_SIGNATURES {
                return Err("has more than 32 signatures");
            }
            signatures.push(NoteSignature::parse(line)?);
        }
        Ok(Self {
            whole: note,
            text,
            signatures,
        })
    }

    /// The text, if enough keys of the role signed it under this name.
    ///
    /// Signatures of other names and keys are ignored, as C2SP asks: so witnesses may sign, and
    /// keys may change. One of a key of the role that does not hold refuses the note.
    ///
    /// # Errors
    /// [`Error::SignatureInvalid`] or [`Error::NoteSignatures`].
    pub fn verify(&self, name: &str, role: &RoleKeys) -> Result<&'a str, Error> {
        let keys = role.keys();
        let ids: Vec<_> = keys.iter().map(|key| note_key_id(name, key)).collect();
        // Keys are marked and marks are counted: a key that signs twice counts once.
        let mut signed = vec![false; keys.len()];
        for signature in self.signatures.iter().filter(|line| line.name == name) {
            let (mut known, mut holds) = (false, false);
            for (place, key) in keys.iter().enumerate() {
                if ids[place] == signature.key_id {
                    known = true;
                    if signature.holds(key, self.text) {
                        (signed[place], holds) = (true, true);
                    }
                }
            }
            if known && !holds {
                return Err(Error::SignatureInvalid);
            }
        }
        let valid = signed.iter().filter(|signed| **signed).count();
        let threshold = role.threshold();
        if valid < threshold {
            return Err(Error::NoteSignatures { valid, threshold });
        }
        Ok(self.text)
    }

    /// The text, whoever signed it.
    pub(super) const fn unverified_text(&self) -> &'a str {
        self.text
    }

    /// The note as it was received.
    pub(super) const fn as_str(&self) -> &'a str {
        self.whole
    }
}

impl<'a> NoteSignature<'a> {
    fn parse(line: &'a str) -> Result<Self, &'static str> {
        let rest = line
            .strip_prefix(MARK)
            .ok_or("has a signature's line that does not begin with an em dash and a space")?;
        let (name, encoded) = rest
            .split_once(' ')
            .ok_or("has a signature's line without a name or a signature")?;
        check_name(name)?;
        let bytes = STANDARD
            .decode(encoded)
            .map_err(|_| "has a signature that is not base64 with padding")?;
        let (key_id, signature) = bytes
            .split_first_chunk()
            .filter(|(_, signature)| !signature.is_empty())
            .ok_or("has a signature that is cut short")?;
        Ok(Self {
            name,
            key_id: *key_id,
            signature: signature.try_into().ok(),
        })
    }

    fn holds(&self, key: &PublicKey, text: &str) -> bool {
        self.signature
            .as_ref()
            .is_some_and(|signature| key.verify(text.as_bytes(), signature))
    }
}

fn check_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() || name.contains(|c: char| c == '+' || c.is_whitespace()) {
        return Err("has a key's name that is empty or has a blank or a plus in it");
    }
    Ok(())
}

/// A note before it is signed: what an issuer signs and seals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsignedNote {
    name: String,
    text: String,
}

impl UnsignedNote {
    /// A note with this text, to be signed by keys of this name.
    ///
    /// # Errors
    /// [`Error::Note`] if the name or the text breaks a rule of signed notes.
    pub fn new(name: String, text: String) -> Result<Self, Error> {
        check_name(&name).map_err(Error::Note)?;
        if name.contains(char::is_control) {
            return Err(Error::Note("has a key's name with a control character"));
        }
        if text.len() > MAX_TEXT || !text.ends_with('\n') {
            return Err(Error::Note(
                "has a text that is too long or ends within a line",
            ));
        }
        if text.bytes().any(|byte| byte < b' ' && byte != b'\n') {
            return Err(Error::Note("has a control character"));
        }
        Ok(Self { name, text })
    }

    /// The bytes to sign with pure Ed25519.
    pub fn message(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// The note with its signatures, in this order.
    pub fn sealed(&self, signatures: &[(PublicKey, [u8; 64])]) -> String {
        let mut note = format!("{}\n", self.text);
        for (key, signature) in signatures {
            note.push_str(MARK);
            note.push_str(&self.name);
            note.push(' ');
            let bytes = [&note_key_id(&self.name, key)[..], signature].concat();
            STANDARD.encode_string(bytes, &mut note);
            note.push('\n');
        }
        note
    }
}
