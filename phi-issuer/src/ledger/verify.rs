//! Verifying: everything that the store says is computed again from its events, and the first
//! thing that is not so is named.
//!
//! Whoever can write the store can write a whole new history. What stands against that is a
//! checkpoint that somebody else kept: hand it in.

use std::{error::Error as StdError, fmt};

use phi_verify::{UnixTime, log::Hash};

use super::judge::Judge;
use crate::{
    Issuer,
    error::Error,
    issuer::{CHECKPOINT, PUBLISHED},
    store::{Shadow, Store},
};

/// What the ledger is, after all of it was found to be so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The events.
    pub events: u64,
    /// The licenses among them that were issued, drafted or started as trials.
    pub licenses: u64,
    /// The tokens.
    pub tokens: u64,
    /// The checkpoints.
    pub checkpoints: u64,
    /// The root of the Merkle tree over all of them.
    pub root: Hash,
    /// When the newest was recorded.
    pub newest: UnixTime,
    /// How many events a checkpoint covers that was handed in.
    pub held: Option<u64>,
}

/// The first thing in the store that is not what its events make it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// Where it is.
    pub place: Place,
    /// What is wrong there.
    pub problem: String,
}

/// A place in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// The database itself, or its schema.
    Database,
    /// An event, by its number.
    Event(u64),
    /// A derived table, by the key of the row.
    Row {
        /// The table.
        table: &'static str,
        /// The row's key.
        key: String,
    },
    /// The tree of hashes.
    Tree,
    /// The history that a checkpoint of this size covers.
    Checkpoint(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database => f.write_str("the database"),
            Self::Event(seq) => write!(f, "event {seq}"),
            Self::Row { table, key } => write!(f, "row {key} of table {table}"),
            Self::Tree => f.write_str("the tree of hashes"),
            Self::Checkpoint(size) => write!(f, "the first {size} events"),
        }
    }
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.problem)
    }
}

/// How far a verification is: events that were looked at, and all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Events that were looked at.
    pub done: u64,
    /// All of them.
    pub total: u64,
}

/// How often the progress is told: a thousand events take some hundredths of a second.
const STEP: u64 = 1024;

impl Issuer {
    /// Computes everything in the store again: entries, hashes, tree, checkpoints, states,
    /// tokens and documents with their signatures, catalogs, and every derived row. A checkpoint
    /// that somebody kept, or else the one that was published last, shows that nothing before it
    /// was edited.
    ///
    /// # Errors
    /// [`Error::Diverged`] with the first thing that is not so, or
    /// [`Error::ForeignCheckpoint`] for a checkpoint of another ledger.
    pub fn verify_ledger(
        &mut self,
        held: Option<&str>,
        mut progress: impl FnMut(Progress),
    ) -> Result<Verified, Error> {
        // Without another one, the checkpoint that was published last is what was kept.
        let published = self.published_checkpoint();
        let verified = run(
            &mut self.store,
            held.or(published.as_deref()),
            &mut progress,
        );
        verified.map_err(|error| match error {
            // The one that nobody handed in has a name.
            Error::BadCopy { problem, .. } if held.is_none() => Error::BadCopy {
                what: format!("{PUBLISHED}/{CHECKPOINT}"),
                problem,
                hint: "put a copy of the newest checkpoint in its place, or hand one in with \
                       --checkpoint",
            },
            error => error,
        })
    }
}

/// Verifies a store.
pub(super) fn run(
    store: &mut Store,
    held: Option<&str>,
    progress: &mut impl FnMut(Progress),
) -> Result<Verified, Error> {
    let held = held.map(|text| store.read(|query| super::held(query, text)));
    let (held, unjudged) = match held.transpose() {
        Ok(held) => (held, None),
        Err(error @ (Error::ForeignCheckpoint { .. } | Error::BadCopy { .. })) => {
            return Err(error);
        }
        // The roots that judge a checkpoint do not read: why is found below.
        Err(error) => (None, Some(error)),
    };
    let shadow = Shadow::of(store).map_err(found)?;
    if let Some(problem) = shadow.unsound().map_err(found)? {
        return Err(diverged(Place::Database, problem));
    }
    shadow.at_one_moment(|shadow| {
        let total = shadow.rows().map_err(found)?;
        let tiles = shadow.tiles();
        let mut judge = Judge::new(shadow, &tiles, held);
        let judged = shadow.replay(|row| {
            let done = judge.size();
            if done.is_multiple_of(STEP) {
                progress(Progress { done, total });
            }
            judge.row(&row)
        });
        judged.map_err(found)?;
        let verified = judge.finish(total)?;
        progress(Progress { done: total, total });
        unjudged.map_or(Ok(verified), Err)
    })
}

/// A store that cannot be read as it should was changed from outside, or damaged.
pub(super) fn found(error: Error) -> Error {
    match &error {
        Error::EventDamaged { problem } => diverged(Place::Database, problem.clone()),
        Error::Store(_) if error.code() == "store-damaged" => {
            diverged(Place::Database, chain(&error))
        }
        _ => error,
    }
}

pub(super) fn diverged(place: Place, problem: impl Into<String>) -> Error {
    Error::Diverged(Divergence {
        place,
        problem: problem.into(),
    })
}

/// The ledger is not the one of which a checkpoint was signed.
pub(super) fn continues_another(size: u64) -> Error {
    diverged(
        Place::Checkpoint(size),
        "the checkpoint was signed for other ones",
    )
}

pub(super) fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
