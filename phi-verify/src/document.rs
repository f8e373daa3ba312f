//! The envelope of a document: a kind, a payload kept as the bytes it came in, and signatures.
//!
//! `[kind: tstr, payload: bstr, [+ [key id: bstr .size 9, signature: bstr .size 64]]]`, each
//! signature over `PAE("phi.<kind>.v1", payload)` (docs/spec.md, "Document").

use alloc::{vec, vec::Vec};
use core::fmt;

use sha2::{Digest as _, Sha256};

use crate::{
    cbor::{self, Value},
    error::Error,
    key::{KeyId, MAX_SIGNERS, RoleKeys},
    pae,
};

/// The kinds of document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DocumentKind {
    /// The keys of every role: the trust anchor and its successors.
    Root,
    /// The keys that sign licenses.
    Keyset,
    /// What is revoked, and how fresh that knowledge is.
    Status,
    /// The names of a product's codes, and its plans.
    Catalog,
    /// Lets one installation forget what its clock has shown.
    ClockReset,
}

impl DocumentKind {
    /// Every kind: those that a verifier imports, in the order in which it does, and the clock
    /// reset, which is applied at a time.
    pub const ALL: [Self; 5] = [
        Self::Root,
        Self::Keyset,
        Self::Status,
        Self::Catalog,
        Self::ClockReset,
    ];

    /// The kind's word, in the envelope and in print.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Keyset => "keyset",
            Self::Status => "status",
            Self::Catalog => "catalog",
            Self::ClockReset => "clock-reset",
        }
    }

    /// The largest document of this kind in bytes: a bound on work before a signature holds.
    pub const fn size_limit(self) -> usize {
        match self {
            // Sixteen keys a role, four roles and sixteen signatures take under 5 KiB.
            Self::Root => 16 << 10,
            // About 1300 license keys: a century of monthly rotation.
            Self::Keyset => 64 << 10,
            // An exact list of half a million tokens.
            Self::Status => 4 << 20,
            // Four thousand flags with names and titles.
            Self::Catalog => 1 << 20,
            // Sixteen signatures and under 200 bytes take under 1.5 KiB: it can be typed or shown.
            Self::ClockReset => 2 << 10,
        }
    }

    /// The number in field 0 of the payload.
    pub(crate) const fn number(self) -> u64 {
        match self {
            Self::Root => 3,
            Self::Keyset => 4,
            Self::Status => 5,
            Self::Catalog => 6,
            Self::ClockReset => 8,
        }
    }

    const fn domain(self) -> &'static str {
        match self {
            Self::Root => "phi.root.v1",
            Self::Keyset => "phi.keyset.v1",
            Self::Status => "phi.status.v1",
            Self::Catalog => "phi.catalog.v1",
            Self::ClockReset => "phi.clock-reset.v1",
        }
    }
}

impl fmt::Display for DocumentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// SHA-256 of a document's payload: what "the same document" means.
pub type PayloadHash = [u8; 32];

/// A document that was split. Only its kind can be read; its payload is had by verifying.
#[derive(Clone, Copy, Debug)]
pub struct UntrustedDocument<'a> {
    bytes: &'a [u8],
    kind: DocumentKind,
    payload: &'a [u8],
    signatures: &'a [[u8; SIGNATURE_ITEM]],
}

/// `82 49 key id[9] 58 40 signature[64]`: the one encoding of a signature entry.
const SIGNATURE_ITEM: usize = 2 + KeyId::LENGTH + 2 + 64;

impl<'a> UntrustedDocument<'a> {
    /// Splits a document; nothing is allocated and the payload is not read.
    ///
    /// # Errors
    /// [`Error::DocumentEnvelope`] or [`Error::DocumentTooLarge`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let rest = bytes.strip_prefix(&[0x83]).ok_or(Error::DocumentEnvelope(
            "does not begin with an array of kind, payload and signatures",
        ))?;
        let (kind, rest) = take_string(rest, TEXT)?;
        let named = DocumentKind::ALL
            .into_iter()
            .find(|known| known.name().as_bytes() == kind);
        let kind = named.ok_or(Error::DocumentEnvelope("is of an unknown kind"))?;
        if bytes.len() > kind.size_limit() {
            return Err(Error::DocumentTooLarge {
                kind,
                limit: kind.size_limit(),
            });
        }
        let (payload, rest) = take_string(rest, BYTES)?;
        let (count, rest) = take_head(rest, ARRAY)?;
        if count == 0 || count > MAX_SIGNERS {
            return Err(Error::DocumentEnvelope(
                "has no signature or more than sixteen",
            ));
        }
        let (signatures, tail) = rest.as_chunks();
        let shaped =
            |item: &[u8; SIGNATURE_ITEM]| item[..2] == [0x82, 0x49] && item[11..13] == [0x58, 0x40];
        if signatures.len() != count || !tail.is_empty() || !signatures.iter().all(shaped) {
            return Err(Error::DocumentEnvelope(
                "has a signature list of another shape",
            ));
        }
        Ok(Self {
            bytes,
            kind,
            payload,
            signatures,
        })
    }

    /// The whole document, as it came.
    pub(crate) const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The kind that the envelope states. A signature holds for this kind only.
    pub const fn kind(&self) -> DocumentKind {
        self.kind
    }

    /// The ids of the keys that the envelope says have signed.
    pub fn signers(&self) -> impl Iterator<Item = KeyId> + 'a {
        self.signatures.iter().map(|item| signature_of(item).0)
    }

    /// The hash of the payload, whoever signed it.
    pub fn payload_hash(&self) -> PayloadHash {
        Sha256::digest(self.payload).into()
    }

    /// The payload, if enough keys of the role signed it.
    ///
    /// Signatures of keys outside the role and signatures that do not hold count for nothing and
    /// do no harm; the keys that count are distinct by construction of [`RoleKeys`].
    pub(crate) fn verify(&self, role: &RoleKeys) -> Result<&'a [u8], Error> {
        self.refuse_duplicates()?;
        let message = signing_message(self.kind, self.payload);
        let signed = role.keys().iter().filter(|key| {
            let mut signatures = self.signatures.iter().map(signature_of);
            signatures
                .find(|(key_id, _)| *key_id == key.id())
                .is_some_and(|(_, signature)| key.verify(&message, signature))
        });
        let (valid, threshold) = (signed.count(), role.threshold());
        if valid < threshold {
            return Err(Error::SignaturesMissing {
                kind: self.kind,
                valid,
                threshold,
            });
        }
        Ok(self.payload)
    }

    fn refuse_duplicates(&self) -> Result<(), Error> {
        for (i, key_id) in self.signers().enumerate() {
            if self.signers().take(i).any(|earlier| earlier == key_id) {
                return Err(Error::SignatureDuplicate(key_id));
            }
        }
        Ok(())
    }

    /// The payload, whoever signed it: of a trust anchor, which is believed without proof.
    pub(crate) const fn unverified_payload(&self) -> &'a [u8] {
        self.payload
    }
}

fn signature_of(item: &[u8; SIGNATURE_ITEM]) -> (KeyId, &[u8; 64]) {
    let key_id = item[2..11].try_into().expect("nine bytes");
    (
        KeyId::from_bytes(key_id),
        item[13..].try_into().expect("sixty-four bytes"),
    )
}

const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;

/// Reads a head before the signature holds: no more of the decoder sees unsigned bytes.
fn take_head(bytes: &[u8], major: u8) -> Result<(usize, &[u8]), Error> {
    let problem = "is cut short, of another shape or not in deterministic CBOR";
    cbor::head(bytes, major).map_err(|_| Error::DocumentEnvelope(problem))
}

fn take_string(bytes: &[u8], major: u8) -> Result<(&[u8], &[u8]), Error> {
    let (length, rest) = take_head(bytes, major)?;
    rest.split_at_checked(length)
        .ok_or(Error::DocumentEnvelope("is cut short"))
}

/// The bytes that a key signs for a payload of this kind.
fn signing_message(kind: DocumentKind, payload: &[u8]) -> Vec<u8> {
    let pieces = [kind.domain().as_bytes(), payload];
    let mut message = vec![0; pae::size(&pieces)];
    pae::write(&mut message, &pieces).expect("the buffer has the size of the pieces");
    message
}

/// A document before it is signed: what an issuer signs and seals.
#[derive(Clone, Debug)]
pub struct UnsignedDocument {
    kind: DocumentKind,
    payload: Vec<u8>,
}

impl UnsignedDocument {
    /// A document with any bytes as its payload. [`Root`](crate::Root), [`Keyset`](crate::Keyset),
    /// [`Status`](crate::Status), [`Catalog`](crate::Catalog) and
    /// [`ClockReset`](crate::ClockReset) make well-formed ones.
    pub const fn with_payload(kind: DocumentKind, payload: Vec<u8>) -> Self {
        Self { kind, payload }
    }

    /// The bytes of the payload.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The bytes to sign with pure Ed25519.
    pub fn message(&self) -> Vec<u8> {
        signing_message(self.kind, &self.payload)
    }

    /// The hash of the payload, by which other documents name this one.
    pub fn payload_hash(&self) -> PayloadHash {
        Sha256::digest(&self.payload).into()
    }

    /// The document with its signatures.
    pub fn sealed(&self, signatures: &[(KeyId, [u8; 64])]) -> Vec<u8> {
        let entry = |(key_id, signature): &(KeyId, [u8; 64])| {
            Value::Array(vec![key_id.as_bytes()[..].into(), signature[..].into()])
        };
        cbor::encode(&Value::Array(vec![
            self.kind.name().into(),
            Value::Bytes(self.payload.clone()),
            Value::Array(signatures.iter().map(entry).collect()),
        ]))
    }
}

/// The name of an issuer must be the anchor's in every object.
pub(crate) fn same_issuer(expected: &str, found: &str) -> Result<(), Error> {
    if expected == found {
        return Ok(());
    }
    Err(Error::IssuerMismatch {
        expected: expected.into(),
        found: found.into(),
    })
}
