//! Checkpoints (C2SP tlog-checkpoint): the size and the root of the log, signed by the keys of
//! the ledger.

use alloc::{
    format,
    string::{String, ToString as _},
};

use super::{Hash, Origin, UnsignedNote, UntrustedNote, lines};
use crate::{
    error::Error,
    key::{PublicKey, RoleKeys},
};

/// A checkpoint that was split. Only the name of its log can be read; the rest is had by
/// verifying.
#[derive(Clone, Debug)]
pub struct UntrustedCheckpoint<'a> {
    note: UntrustedNote<'a>,
    origin: &'a str,
}

impl<'a> UntrustedCheckpoint<'a> {
    /// Splits a checkpoint; its size and root are not read.
    ///
    /// # Errors
    /// [`Error::Note`] or [`Error::Checkpoint`].
    pub fn parse(text: &'a str) -> Result<Self, Error> {
        let note = UntrustedNote::parse(text)?;
        let mut rest = note.unverified_text();
        let origin = lines::take(&mut rest).unwrap_or_default();
        check_origin(origin).map_err(Error::Checkpoint)?;
        Ok(Self { note, origin })
    }

    /// The log that the checkpoint says it is of.
    pub const fn origin(&self) -> &'a str {
        self.origin
    }

    /// The checkpoint, if it is of this log and enough of these keys signed it.
    ///
    /// # Errors
    /// [`Error::OriginMismatch`], [`Error::SignatureInvalid`], [`Error::NoteSignatures`],
    /// or [`Error::Checkpoint`] if what was signed is none.
    pub fn verify(&self, keys: &RoleKeys, origin: &Origin) -> Result<Checkpoint, Error> {
        same_origin(origin, self.origin)?;
        self.note.verify(origin.as_str(), keys)?;
        self.unverified()
    }

    /// The checkpoint, whoever signed it: of an application's own storage, which is believed.
    pub(super) fn unverified(&self) -> Result<Checkpoint, Error> {
        let (size, root) = body(self.note.unverified_text()).map_err(Error::Checkpoint)?;
        Ok(Checkpoint {
            origin: self.origin.into(),
            size,
            root,
            note: self.note.as_str().into(),
        })
    }
}

/// An origin has at most this many bytes: an issuer's name of 64, each escaped, and `/ledger` take
/// 199. It is printed before its signature holds.
const MAX_ORIGIN: usize = 256;

fn check_origin(origin: &str) -> Result<(), &'static str> {
    match origin {
        "" => Err("has no origin"),
        _ if origin.len() > MAX_ORIGIN => Err("has an origin of more than 256 bytes"),
        _ => Ok(()),
    }
}

/// One key may sign for several logs, but a checkpoint is of one.
pub(super) fn same_origin(expected: &Origin, found: &str) -> Result<(), Error> {
    if expected.as_str() == found {
        return Ok(());
    }
    Err(Error::OriginMismatch {
        expected: expected.as_str().into(),
        found: found.into(),
    })
}

/// The size and the root in lines two and three of a checkpoint's text. Further lines are
/// extensions, which are ignored.
fn body(text: &str) -> Result<(u64, Hash), &'static str> {
    let mut lines = text.strip_suffix('\n').unwrap_or(text).split('\n').skip(1);
    let size = lines.next().ok_or("has no size")?;
    let size = lines::size(size)
        .ok_or("has a size that is not a number up to 2^62, or not in its shortest form")?;
    let root: Hash = lines
        .next()
        .and_then(|line| line.parse().ok())
        .ok_or("has a root that is not a hash in base64")?;
    if lines.any(str::is_empty) {
        return Err("has an empty line");
    }
    check(size, root)?;
    Ok((size, root))
}

/// The tree without leaves has one root.
fn check(size: u64, root: Hash) -> Result<(), &'static str> {
    if size == 0 && root != Hash::EMPTY {
        return Err("is of size 0 and has another root than the empty tree");
    }
    Ok(())
}

/// A verified checkpoint: the log had this size and this root.
///
/// It exists only as the result of [`UntrustedCheckpoint::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    size: u64,
    root: Hash,
    note: String,
}

impl Checkpoint {
    /// The name of the log.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// How many leaves the tree has.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The root of the tree.
    pub const fn root(&self) -> Hash {
        self.root
    }

    /// The signed note, as it was received.
    pub fn as_str(&self) -> &str {
        &self.note
    }
}

/// A checkpoint before it is signed: what an issuer signs and seals.
///
/// A log must sign no checkpoint that contradicts one it signed before; that is left to the
/// issuer, who remembers them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsignedCheckpoint(UnsignedNote);

impl UnsignedCheckpoint {
    /// A checkpoint of a log of this size and root.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if the size is beyond [`MAX_SIZE`](super::MAX_SIZE), or zero and the
    /// root is not [`Hash::EMPTY`]; or if the origin is of no issuer's name.
    pub fn new(origin: &Origin, size: u64, root: Hash) -> Result<Self, Error> {
        if size > super::MAX_SIZE {
            return Err(Error::Checkpoint("has a size beyond 2^62"));
        }
        check_origin(origin.as_str()).map_err(Error::Checkpoint)?;
        check(size, root).map_err(Error::Checkpoint)?;
        let text = format!("{origin}\n{size}\n{root}\n");
        UnsignedNote::new(origin.to_string(), text).map(Self)
    }

    /// The bytes to sign with pure Ed25519.
    pub fn message(&self) -> &[u8] {
        self.0.message()
    }

    /// The checkpoint with its signatures, in this order.
    pub fn sealed(&self, signatures: &[(PublicKey, [u8; 64])]) -> String {
        self.0.sealed(signatures)
    }
}
