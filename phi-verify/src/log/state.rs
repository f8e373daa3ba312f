//! What an application remembers of a log: its last checkpoint, which a newer one must contain.

use alloc::{boxed::Box, string::String};

use super::{
    Checkpoint, ConsistencyProof, Hash, Origin, UntrustedCheckpoint, checkpoint::same_origin,
    merkle::verify_consistency,
};
use crate::{error::Error, root::Root};

/// The last checkpoint that an application took. It is stored as the checkpoint's own text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogState(Checkpoint);

impl LogState {
    /// Begins with a verified checkpoint, such as that of the first token's proof.
    pub const fn begin(checkpoint: Checkpoint) -> Self {
        Self(checkpoint)
    }

    /// Begins with the checkpoint in the text of a [`ConsistencyProof`], whose hashes prove
    /// nothing to who remembers nothing.
    ///
    /// # Errors
    /// Why the proof or its checkpoint is refused.
    pub fn begin_at(proof: &str, root: &Root) -> Result<Self, Error> {
        let proof = ConsistencyProof::parse(proof)?;
        verified(&proof, root).map(Self)
    }

    /// Reads what [`LogState::as_str`] gave, from storage that is the application's own. Its
    /// signatures were checked when it was taken and are not checked again: the ledger's keys may
    /// have changed since, and its history has not.
    ///
    /// # Errors
    /// [`Error::Note`] or [`Error::Checkpoint`].
    pub fn restore(text: &str) -> Result<Self, Error> {
        UntrustedCheckpoint::parse(text)?.unverified().map(Self)
    }

    /// The checkpoint's text, to be stored.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// How many leaves the log had.
    pub const fn size(&self) -> u64 {
        self.0.size()
    }

    /// The root that the log had.
    pub const fn root(&self) -> Hash {
        self.0.root()
    }

    /// The state after the checkpoint in this proof, which is the text of a
    /// [`ConsistencyProof`]. For the checkpoint at hand that is the state as it is.
    ///
    /// # Errors
    /// Why the proof or its checkpoint is refused; [`Error::ProofBase`] if the proof begins at
    /// another size than this state's; and [`Error::SplitView`], with both checkpoints, if the
    /// log is smaller, has another root at the same size, or did not grow out of this state.
    pub fn advance(&self, proof: &str, root: &Root) -> Result<Self, Error> {
        let origin = Origin::of_issuer(&root.issuer);
        same_origin(&origin, self.0.origin())?;
        let proof = ConsistencyProof::parse(proof)?;
        let offered = verified(&proof, root)?;
        if offered.size() < self.size() {
            return Err(self.split_view(&offered, Conflict::Shrunk));
        }
        if offered.size() == self.size() {
            if offered.root() != self.root() {
                return Err(self.split_view(&offered, Conflict::Forked));
            }
            return Ok(self.clone());
        }
        if proof.old() != self.size() {
            let (held, found) = (self.size(), proof.old());
            return Err(Error::ProofBase { held, found });
        }
        let (old, new) = ((self.size(), self.root()), (offered.size(), offered.root()));
        verify_consistency(old, new, proof.path())
            .map_err(|_| self.split_view(&offered, Conflict::Unproven))?;
        Ok(Self(offered))
    }

    fn split_view(&self, offered: &Checkpoint, conflict: Conflict) -> Error {
        Error::SplitView(Box::new(SplitView {
            conflict,
            held_size: self.size(),
            held: self.as_str().into(),
            offered_size: offered.size(),
            offered: offered.as_str().into(),
        }))
    }
}

fn verified(proof: &ConsistencyProof, root: &Root) -> Result<Checkpoint, Error> {
    let origin = Origin::of_issuer(&root.issuer);
    UntrustedCheckpoint::parse(proof.checkpoint())?.verify(&root.ledger, &origin)
}

/// Two checkpoints of one log that do not go together: evidence to keep, and to show the issuer
/// and others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitView {
    /// What is wrong between the two.
    pub conflict: Conflict,
    /// The size at hand.
    pub held_size: u64,
    /// The checkpoint at hand, as it was received.
    pub held: String,
    /// The size that was offered.
    pub offered_size: u64,
    /// The checkpoint that was offered, as it was received. Its signatures hold.
    pub offered: String,
}

/// What is wrong between two checkpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// The log has become smaller. An old checkpoint that someone kept looks the same: ask for
    /// the newest.
    Shrunk,
    /// One size has two roots. The signer alone can have made them.
    Forked,
    /// The proof does not show that the log only grew. A damaged proof looks the same: ask for
    /// another; if there is none, the log was rewritten.
    Unproven,
}
