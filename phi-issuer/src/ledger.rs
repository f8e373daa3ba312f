//! The ledger as a log that others can check: checkpoints are signed, and proofs are made.
//!
//! That the store is what its events make it is `verify`'s to find out; backups, exports and what
//! is made of them again are `copy`'s.

mod ahead;
mod copy;
mod judge;
mod noted;
mod verify;

pub use ahead::Older;
pub(crate) use ahead::check_not_behind;
pub use copy::{Export, Exported, Replace};
use phi_verify::{
    Error as VerifyError, Root, TokenId, UnixTime,
    dangerous_inspect::{self, Document},
    log::{
        ConsistencyProof, Hash, LogState, Origin, Proof, UnsignedCheckpoint, UntrustedCheckpoint,
    },
};
pub use verify::{Divergence, Place, Progress, Verified};

use crate::{
    Context, Issuer,
    entry::Entry,
    error::Error,
    event::{Event, SignedCheckpoint},
    keyfile::Signer,
    keys::Role,
    license::{self, SettledEarly},
    mint,
    passphrase::Unlock,
    root,
    signers::Signers,
    store::{Query, Tiles, damaged_tree},
    tree::Tree,
};

/// What a checkpoint did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checkpointed {
    /// It covers every event before it.
    New(SignedCheckpoint),
    /// Nothing happened since the newest one, which this is.
    Unchanged(SignedCheckpoint),
}

impl Checkpointed {
    /// The newest checkpoint.
    pub const fn checkpoint(&self) -> &SignedCheckpoint {
        match self {
            Self::New(checkpoint) | Self::Unchanged(checkpoint) => checkpoint,
        }
    }
}

/// A clock that was corrected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockCorrection {
    /// The time to which the entries of the clock that was ahead had brought the ledger.
    pub ahead: UnixTime,
    /// The changes that those entries found due before their time; they stay as they were settled.
    pub settled: Vec<SettledEarly>,
}

/// A proof that an entry is in the ledger, with what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryProof {
    /// The proof (C2SP tlog-proof), for whoever holds the entry or its token or document.
    pub proof: Proof,
    /// The entry.
    pub entry: Entry,
    /// The entry's bytes.
    pub bytes: Vec<u8>,
}

/// Which entry is to be proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proven {
    /// The one with this number.
    Event(u64),
    /// The one that minted this token.
    Token(TokenId),
}

impl Issuer {
    /// Signs what the ledger is now, records that, and writes it beside the published documents.
    ///
    /// # Errors
    /// [`Error::Diverged`] if the ledger does not continue the one that was signed before: two
    /// histories are never signed.
    pub fn checkpoint(
        &mut self,
        unlock: &dyn Unlock,
        context: &Context,
    ) -> Result<Checkpointed, Error> {
        if let Some(newest) = self.store.read(nothing_since)? {
            self.write_published()?;
            return Ok(Checkpointed::Unchanged(newest));
        }
        let published = self.published_checkpoint();
        let signers = self.signers(Role::Ledger, unlock)?;
        let signed = self.store.write(context, |writer| {
            signers.still_in_force(&writer.query())?;
            if let Some(published) = &published {
                let published = held(&writer.query(), published)?;
                check_continues(&writer.query(), &published)?;
            }
            let checkpoint = sign(&writer.query(), &signers)?;
            writer.append(&Event::CheckpointSigned(checkpoint.clone()))?;
            Ok(checkpoint)
        })?;
        self.write_published()?;
        Ok(Checkpointed::New(signed))
    }

    /// Records that the newest entries are of a clock that was ahead: from here on the caller's
    /// clock counts. What those entries had done that the correction does not undo.
    ///
    /// # Errors
    /// [`Error::ClockRight`] if no entry is ahead of the caller's clock.
    pub fn correct_clock(&mut self, context: &Context) -> Result<ClockCorrection, Error> {
        let early = |query: &Query<'_>| license::settled_early(query, context.now);
        let (ahead, settled) = self.store.correct_clock(context, early)?;
        Ok(ClockCorrection { ahead, settled })
    }

    /// The newest checkpoint.
    ///
    /// # Errors
    /// [`Error::NotFound`] if none was signed yet.
    pub fn newest_checkpoint(&mut self) -> Result<SignedCheckpoint, Error> {
        self.store.read(newest)
    }

    /// Proves that an entry is in the ledger that the newest checkpoint covers.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such entry, [`Error::NotCovered`] if it is younger than
    /// the newest checkpoint.
    pub fn prove(&mut self, what: Proven) -> Result<EntryProof, Error> {
        self.store.read(|query| prove(query, what))
    }

    /// Proves that the ledger of the newest checkpoint continues the one of an older checkpoint.
    ///
    /// # Errors
    /// [`Error::ForeignCheckpoint`] if the older one is of another ledger,
    /// [`Error::Diverged`] if it is of this one and says something else.
    pub fn prove_growth(&mut self, older: &str) -> Result<String, Error> {
        self.store.read(|query| {
            let old = held(query, older)?;
            let new = newest(query)?;
            if old.size() > new.size {
                return Err(Error::NotCovered {
                    seq: old.size(),
                    size: new.size,
                });
            }
            let tiles = query.tiles();
            let tree = Tree::new(&tiles, query.size()?).map_err(damaged_tree)?;
            let path = tree.consistency(old.size(), new.size);
            let path = hashes(path.map_err(damaged_tree)?);
            let proof = ConsistencyProof::new(old.size(), path, &new.note);
            let text = proof.map_err(Error::NotVerified)?.to_text();
            old.advance(&text, &root::newest(query)?)
                .map_err(not_proven)?;
            Ok(text)
        })
    }
}

fn prove(query: &Query<'_>, what: Proven) -> Result<EntryProof, Error> {
    let seq = match what {
        Proven::Event(seq) => seq,
        Proven::Token(id) => query.seq_of_token(id)?.unwrap_or_default(),
    };
    let (entry, bytes) = query.entry(seq)?.ok_or_else(|| not_found(what))?;
    let proof = Prover::new(query)?.prove(&entry, &bytes)?;
    Ok(EntryProof {
        proof,
        entry,
        bytes,
    })
}

/// What proofs are made with: the newest checkpoint, and the root under which they must verify.
pub(crate) struct Prover<'q> {
    tiles: Tiles<'q>,
    events: u64,
    checkpoint: SignedCheckpoint,
    root: Root,
}

impl<'q> Prover<'q> {
    /// # Errors
    /// [`Error::NotFound`] if no checkpoint was signed yet.
    pub(crate) fn new(query: &Query<'q>) -> Result<Self, Error> {
        Ok(Self {
            tiles: query.tiles(),
            events: query.size()?,
            checkpoint: newest(query)?,
            root: root::newest(query)?,
        })
    }

    /// Proves that the entry with these bytes is in the ledger that the checkpoint covers.
    pub(crate) fn prove(&self, entry: &Entry, bytes: &[u8]) -> Result<Proof, Error> {
        let (seq, size) = (entry.seq, self.checkpoint.size);
        if seq > size {
            return Err(Error::NotCovered { seq, size });
        }
        let index = seq - 1;
        let tree = Tree::new(&self.tiles, self.events).map_err(damaged_tree)?;
        let path = tree.inclusion(index, size);
        let path = hashes(path.map_err(damaged_tree)?);
        let proof = Proof::new(index, path, Some(Hash::of(bytes)), &self.checkpoint.note);
        let proof = proof.map_err(Error::NotVerified)?;
        let checked = proof.verify_leaf(&entry.leaf(bytes), &self.root);
        checked.map_err(not_proven)?;
        Ok(proof)
    }
}

/// A checkpoint of keys that are not in force any more proves nothing to anybody.
fn not_proven(error: VerifyError) -> Error {
    match error {
        VerifyError::NoteSignatures { .. } => Error::NotAllowed {
            what: "the newest checkpoint".into(),
            problem: "is not signed by the ledger keys in force",
            hint: "sign a new one with `phi ledger checkpoint`; proofs made before it are made again",
        },
        error => Error::NotVerified(error),
    }
}

/// The newest checkpoint, if it covers every event but itself.
fn nothing_since(query: &Query<'_>) -> Result<Option<SignedCheckpoint>, Error> {
    let Some(newest) = query.newest_checkpoint()? else {
        return Ok(None);
    };
    let covered = query.size()? == newest.size + 1;
    // After a rotation of the ledger's key applications need a checkpoint of the new one.
    let current = is_in_force(query, &newest)?;
    Ok(Some(newest).filter(|_| covered && current))
}

/// Whether the ledger keys that the newest root names signed a checkpoint.
pub(crate) fn is_in_force(query: &Query<'_>, checkpoint: &SignedCheckpoint) -> Result<bool, Error> {
    let checkpoint = UntrustedCheckpoint::parse(&checkpoint.note).map_err(Error::NotVerified)?;
    let root = root::newest(query)?;
    let origin = Origin::of_issuer(&root.issuer);
    Ok(checkpoint.verify(&root.ledger, &origin).is_ok())
}

fn sign(query: &Query<'_>, signers: &Signers) -> Result<SignedCheckpoint, Error> {
    if let Some(earlier) = query.newest_checkpoint()? {
        let earlier = LogState::restore(&earlier.note);
        check_continues(query, &earlier.map_err(Error::NotVerified)?)?;
    }
    let (size, tiles) = (query.size()?, query.tiles());
    let tree = Tree::new(&tiles, size).map_err(damaged_tree)?;
    let hash = Hash::from_bytes(tree.root(size).map_err(damaged_tree)?);
    let root = root::newest(query)?;
    let origin = Origin::of_issuer(&root.issuer);
    let unsigned = UnsignedCheckpoint::new(&origin, size, hash).map_err(Error::NotVerified)?;
    let sign = |key: &&dyn Signer| Ok((key.public_key().clone(), key.sign(unsigned.message())?));
    let signatures = signers
        .all()
        .iter()
        .map(sign)
        .collect::<Result<Vec<_>, Error>>()?;
    let note = unsigned.sealed(&signatures);
    let checkpoint = UntrustedCheckpoint::parse(&note).map_err(Error::NotVerified)?;
    let checked = checkpoint.verify(&root.ledger, &origin);
    checked.map_err(Error::NotVerified)?;
    Ok(SignedCheckpoint { size, note })
}

/// Whether the ledger continues the one of which this was said.
fn check_continues(query: &Query<'_>, earlier: &LogState) -> Result<(), Error> {
    let (size, tiles) = (query.size()?, query.tiles());
    let tree = Tree::new(&tiles, size).map_err(damaged_tree)?;
    let same = earlier.size() <= size
        && tree.root(earlier.size()).map_err(damaged_tree)? == *earlier.root().as_bytes();
    if same {
        return Ok(());
    }
    Err(verify::continues_another(earlier.size()))
}

fn newest(query: &Query<'_>) -> Result<SignedCheckpoint, Error> {
    query.newest_checkpoint()?.ok_or(Error::NotFound {
        what: "checkpoint of",
        name: "the ledger".into(),
        hint: "sign one with `phi ledger checkpoint`",
    })
}

/// A checkpoint that somebody kept, as what it says of this ledger.
fn held(query: &Query<'_>, text: &str) -> Result<LogState, Error> {
    let unreadable = |cause: VerifyError| Error::BadCopy {
        what: "the checkpoint".into(),
        problem: format!("does not read: {cause}"),
        hint: "hand in the file as `phi ledger checkpoint` wrote it",
    };
    let origin = Origin::of_issuer(&root::newest(query)?.issuer);
    let checkpoint = UntrustedCheckpoint::parse(text).map_err(unreadable)?;
    if checkpoint.origin() != origin.as_str() {
        return Err(Error::ForeignCheckpoint {
            origin: checkpoint.origin().into(),
            ours: origin.as_str().into(),
        });
    }
    // The keys that signed it may have been replaced since: those of every root count.
    for publication in query.published()? {
        if let Ok(Document::Root(root)) = dangerous_inspect::document(&publication.document)
            && let Ok(checkpoint) = checkpoint.verify(&root.ledger, &origin)
        {
            return Ok(LogState::begin(checkpoint));
        }
    }
    Err(Error::BadCopy {
        what: "the checkpoint".into(),
        problem: "is signed by no ledger key that this issuer has or had".into(),
        hint: "compare it with another copy: it was changed, or this is not the ledger that it is of",
    })
}

fn not_found(what: Proven) -> Error {
    match what {
        Proven::Event(seq) => Error::NotFound {
            what: "event",
            name: seq.to_string(),
            hint: "run `phi audit query`",
        },
        Proven::Token(id) => mint::not_found(id),
    }
}

fn hashes(path: Vec<[u8; 32]>) -> Vec<Hash> {
    path.into_iter().map(Hash::from_bytes).collect()
}
