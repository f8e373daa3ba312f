//! Proofs that an entry is in the log (C2SP tlog-proof): the hashes beside its way to the root,
//! and the checkpoint that has the root.

use alloc::{format, string::String, vec::Vec};

use super::{Checkpoint, Hash, Leaf, MAX_NOTE, Origin, UntrustedCheckpoint, lines, merkle};
use crate::{MAX_TOKEN, error::Error, root::Root};

/// A proof has at most this many bytes: a checkpoint, and 63 hashes of 45 bytes with three lines
/// before them.
pub const MAX_PROOF: usize = MAX_NOTE + 4096;

const HEADER: &str = "c2sp.org/tlog-proof@v1";
const EXTRA: &str = "extra ";
const INDEX: &str = "index ";

/// A proof that was read. Nothing in it is believed: what it shows is had by verifying.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    entry: Option<Hash>,
    index: u64,
    path: Vec<Hash>,
    checkpoint: String,
}

impl Proof {
    /// A proof for the leaf at `index`, with the hashes from its sibling up to the root's child,
    /// under this signed checkpoint. With the hash of the entry, a token's proof can be verified
    /// from the token alone.
    ///
    /// # Errors
    /// [`Error::LogProof`] if the path is longer than any tree is high, or why the checkpoint is
    /// none.
    pub fn new(
        index: u64,
        path: Vec<Hash>,
        entry: Option<Hash>,
        checkpoint: &str,
    ) -> Result<Self, Error> {
        if index >= merkle::MAX_SIZE || path.len() > merkle::MAX_PATH {
            return Err(Error::LogProof("is of no tree that a log can have"));
        }
        UntrustedCheckpoint::parse(checkpoint)?;
        Ok(Self {
            entry,
            index,
            path,
            checkpoint: checkpoint.into(),
        })
    }

    /// Reads a proof.
    ///
    /// # Errors
    /// [`Error::LogProof`], or why the checkpoint is none.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut rest = text;
        let (entry, index, path) = Self::head(&mut rest).map_err(Error::LogProof)?;
        Self::new(index, path, entry, rest)
    }

    fn head(rest: &mut &str) -> Result<(Option<Hash>, u64, Vec<Hash>), &'static str> {
        if rest.len() > MAX_PROOF {
            return Err("is larger than 260 KiB");
        }
        if lines::take(rest) != Some(HEADER) {
            return Err("does not begin with the line c2sp.org/tlog-proof@v1");
        }
        let mut line = lines::take(rest).ok_or("is cut short")?;
        let mut entry = None;
        if let Some(extra) = line.strip_prefix(EXTRA) {
            let problem = "has an extra line that is not a hash in base64";
            entry = Some(extra.parse().map_err(|_| problem)?);
            line = lines::take(rest).ok_or("is cut short")?;
        }
        let index = line
            .strip_prefix(INDEX)
            .and_then(lines::size)
            .ok_or("has no index, or one that is not in its shortest form")?;
        Ok((entry, index, lines::hashes(rest)?))
    }

    /// The proof as text.
    pub fn to_text(&self) -> String {
        let extra = self.entry.map(|entry| format!("{EXTRA}{entry}\n"));
        let extra = extra.unwrap_or_default();
        let mut text = format!("{HEADER}\n{extra}{INDEX}{}\n", self.index);
        lines::push_hashes(&self.path, &mut text);
        text.push_str(&self.checkpoint);
        text
    }

    /// That the token was entered into the ledger of this root's issuer: the token as the one
    /// word that was minted, which [`armor::unwrap`](crate::armor::unwrap) finds in a file.
    ///
    /// The root in force decides: once the keys of its ledger role have been replaced, the issuer
    /// has to hand out new proofs, and the tokens stay as they are.
    ///
    /// # Errors
    /// [`Error::LogProof`] if the proof has no hash of the entry, [`Error::TokenTooLong`], and
    /// those of [`Proof::verify_leaf`].
    pub fn verify_token(&self, token: &str, root: &Root) -> Result<Inclusion, Error> {
        if token.len() > MAX_TOKEN {
            let length = token.len();
            return Err(Error::TokenTooLong { length });
        }
        let problem = "has no extra line with the hash of the token's entry";
        let entry = self.entry.ok_or(Error::LogProof(problem))?;
        self.verify_leaf(&Leaf::of_token(token, entry), root)
    }

    /// That this leaf is in the log of this root's issuer, at the index of the proof.
    ///
    /// # Errors
    /// Why the checkpoint is refused, [`Error::NotIncluded`], and [`Error::LogProof`] if the proof
    /// has the hash of another entry than the leaf's.
    pub fn verify_leaf(&self, leaf: &Leaf, root: &Root) -> Result<Inclusion, Error> {
        let origin = Origin::of_issuer(&root.issuer);
        let checkpoint =
            UntrustedCheckpoint::parse(&self.checkpoint)?.verify(&root.ledger, &origin)?;
        let (size, tree) = (checkpoint.size(), checkpoint.root());
        merkle::verify_inclusion(leaf.hash(), self.index, &self.path, size, tree)?;
        // Nothing signs the extra line: whoever reads it must find there what was verified.
        if self.entry.is_some_and(|entry| entry != leaf.entry) {
            let problem = "has an extra line with the hash of another entry";
            return Err(Error::LogProof(problem));
        }
        Ok(Inclusion {
            index: self.index,
            checkpoint,
        })
    }
}

/// A verified proof: the leaf is in the log that the checkpoint is of.
///
/// It exists only as the result of [`Proof::verify_token`] and [`Proof::verify_leaf`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inclusion {
    index: u64,
    checkpoint: Checkpoint,
}

impl Inclusion {
    /// The place of the leaf, from 0: one less than the number of its entry.
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// The verified checkpoint.
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }
}
