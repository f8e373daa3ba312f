//! Proofs that a log only grew (the request of C2SP tlog-witness): from which size, the hashes,
//! and the newer checkpoint.

use alloc::{format, string::String, vec::Vec};

use super::{Hash, MAX_PROOF, UntrustedCheckpoint, lines, merkle};
use crate::error::Error;

const OLD: &str = "old ";

/// A consistency proof that was read. Nothing in it is believed:
/// [`LogState::advance`](super::LogState::advance) is what verifies it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsistencyProof {
    old: u64,
    path: Vec<Hash>,
    checkpoint: String,
}

impl ConsistencyProof {
    /// A proof from a tree of size `old`, with the hashes of RFC 9162 section 2.1.4.1, to the
    /// tree of this signed checkpoint.
    ///
    /// # Errors
    /// [`Error::LogProof`] if there are hashes too many, or any from the empty tree; or why the
    /// checkpoint is none.
    pub fn new(old: u64, path: Vec<Hash>, checkpoint: &str) -> Result<Self, Error> {
        if old > merkle::MAX_SIZE || path.len() > merkle::MAX_PATH {
            return Err(Error::LogProof("is of no tree that a log can have"));
        }
        if old == 0 && !path.is_empty() {
            return Err(Error::LogProof("has hashes, and begins at the empty tree"));
        }
        UntrustedCheckpoint::parse(checkpoint)?;
        Ok(Self {
            old,
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
        let (old, path) = Self::head(&mut rest).map_err(Error::LogProof)?;
        Self::new(old, path, rest)
    }

    fn head(rest: &mut &str) -> Result<(u64, Vec<Hash>), &'static str> {
        if rest.len() > MAX_PROOF {
            return Err("is larger than 260 KiB");
        }
        let old = lines::take(rest)
            .and_then(|line| line.strip_prefix(OLD))
            .and_then(lines::size)
            .ok_or("does not begin with the word old and a size in its shortest form")?;
        Ok((old, lines::hashes(rest)?))
    }

    /// The proof as text.
    pub fn to_text(&self) -> String {
        let mut text = format!("{OLD}{}\n", self.old);
        lines::push_hashes(&self.path, &mut text);
        text.push_str(&self.checkpoint);
        text
    }

    pub(super) const fn old(&self) -> u64 {
        self.old
    }

    pub(super) fn path(&self) -> &[Hash] {
        &self.path
    }

    pub(super) fn checkpoint(&self) -> &str {
        &self.checkpoint
    }
}
