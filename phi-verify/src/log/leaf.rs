//! The leaf that stands in the log for an entry of the ledger: small, and naming nobody, so that
//! it can be shown to everyone.

use alloc::{string::String, vec, vec::Vec};

use super::Hash;
use crate::{
    cbor::{self, Value},
    error::Error,
};

/// What the log says of an entry of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// What happened: the event's word, such as [`TOKEN_MINTED`].
    pub word: String,
    /// SHA-256 of the token's text or of the document's bytes, if the event is about one.
    pub subject: Option<Hash>,
    /// SHA-256 of the entry, which the issuer keeps.
    pub entry: Hash,
}

/// The word of the event that a token was minted: the leaf is about its text.
pub const TOKEN_MINTED: &str = "token-minted";

/// The word of the event that a document was published: the leaf is about its bytes.
pub const DOCUMENT_PUBLISHED: &str = "document-published";

/// Element 0. A leaf of another make begins with another number.
const VERSION: u8 = 1;
/// `[version, word, subject, entry]`.
const HEAD: [u8; 2] = [0x84, VERSION];
/// Major type 3 of CBOR.
const TEXT: u8 = 3;
/// A byte string of 32.
const HASH: [u8; 2] = [0x58, 0x20];
const NULL: [u8; 1] = [0xf6];

impl Leaf {
    /// The leaf of a token that was minted.
    pub fn of_token(token: &str, entry: Hash) -> Self {
        Self {
            word: TOKEN_MINTED.into(),
            subject: Some(Hash::of(token)),
            entry,
        }
    }

    /// The leaf of a document that was published.
    pub fn of_document(document: &[u8], entry: Hash) -> Self {
        Self {
            word: DOCUMENT_PUBLISHED.into(),
            subject: Some(Hash::of(document)),
            entry,
        }
    }

    /// The data of the leaf: `[1, word, subject or null, entry]` in deterministic CBOR.
    pub fn encode(&self) -> Vec<u8> {
        let bytes = |hash: Hash| Value::from(&hash.as_bytes()[..]);
        cbor::encode(&Value::Array(vec![
            VERSION.into(),
            self.word.as_str().into(),
            self.subject.map_or(Value::Null, bytes),
            bytes(self.entry),
        ]))
    }

    /// The hash of the leaf in the tree.
    pub fn hash(&self) -> Hash {
        Hash::leaf(&self.encode())
    }

    /// Reads the data of a leaf. Only the bytes that [`Leaf::encode`] writes are taken.
    ///
    /// # Errors
    /// [`Error::Leaf`].
    pub fn decode(data: &[u8]) -> Result<Self, Error> {
        Self::split(data).map_err(Error::Leaf)
    }

    /// Null, which no object of Phi's has, is a subject here: so the few bytes around the word
    /// are compared, and the decoder of objects is not asked.
    fn split(data: &[u8]) -> Result<Self, &'static str> {
        let rest = data
            .strip_prefix(&HEAD)
            .ok_or("does not begin with an array of four and version 1")?;
        let not_text = "has a word that is not a text in deterministic CBOR";
        let (length, rest) = cbor::head(rest, TEXT).map_err(|_| not_text)?;
        let (word, rest) = rest.split_at_checked(length).ok_or("is cut short")?;
        let word = core::str::from_utf8(word).map_err(|_| not_text)?;
        cbor::text_rule(word, 1).map_err(|_| "has a word that breaks the rule of names")?;
        let (subject, rest) = if let Some(rest) = rest.strip_prefix(&NULL) {
            (None, rest)
        } else {
            let (subject, rest) = take_hash(rest)?;
            (Some(subject), rest)
        };
        let (entry, rest) = take_hash(rest)?;
        if !rest.is_empty() {
            return Err("has bytes after its end");
        }
        Ok(Self {
            word: word.into(),
            subject,
            entry,
        })
    }
}

fn take_hash(bytes: &[u8]) -> Result<(Hash, &[u8]), &'static str> {
    let problem = "has a subject or an entry that is not a byte string of 32";
    let bytes = bytes.strip_prefix(&HASH).ok_or(problem)?;
    let (hash, rest) = bytes.split_first_chunk().ok_or(problem)?;
    Ok((Hash::from_bytes(*hash), rest))
}
