//! The one thread that writes: what has come meanwhile goes into one commit, and nobody is
//! answered before it.

use std::{
    fmt,
    sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    thread::{self, JoinHandle},
};

use super::Desk;
use crate::error::{Fault, StoreError};

/// The most requests in one commit: those behind wait for it no longer than for a sync of the disk.
const GROUP: usize = 256;

/// How a commit ended.
#[derive(Clone)]
enum Commit {
    Done,
    /// Nothing is recorded.
    Undone(StoreError),
    /// The disk failed at a point where the change may be on it.
    Unknown,
}

/// Whether what one request changed is kept.
#[derive(PartialEq, Eq)]
enum Change {
    Keep,
    Undo,
}

/// Tells whoever waits how it ended.
type Answer = Box<dyn FnOnce(&Commit) + Send>;
type Work = Box<dyn FnOnce(&mut Desk) -> (Change, Answer) + Send>;

pub(super) struct Writer {
    /// None only while it is dropped.
    queue: Option<Sender<Work>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(desk: Desk) -> Result<Self, StoreError> {
        let (queue, work) = channel();
        let thread = thread::Builder::new()
            .name("phi-enforce-store".into())
            .spawn(move || write(desk, &work))
            .map_err(|error| StoreError::unusable(&error))?;
        Ok(Self {
            queue: Some(queue),
            thread: Some(thread),
        })
    }

    /// Runs a query, or a change that may be made again if its outcome is unknown.
    pub(super) fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Desk) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let unknown = || StoreError::new(Fault::Unusable, "the disk failed: try again");
        self.run_or_unknown(work)?.ok_or_else(unknown)
    }

    /// Runs a change; `None` if it may be recorded or not.
    pub(super) fn run_or_unknown<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Desk) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<Option<T>, StoreError> {
        let (sender, answer) = sync_channel(1);
        let work = Box::new(move |desk: &mut Desk| {
            let result = work(desk);
            let change = if result.is_ok() {
                Change::Keep
            } else {
                Change::Undo
            };
            (change, answer_to(sender, result))
        });
        let stopped = || StoreError::new(Fault::Unusable, "the store's thread has ended");
        let queue = self.queue.as_ref().ok_or_else(stopped)?;
        queue.send(work).map_err(|_| stopped())?;
        // A thread that ended in the middle of it has not said how.
        answer.recv().unwrap_or(Ok(None))
    }
}

fn answer_to<T: Send + 'static>(
    sender: SyncSender<Result<Option<T>, StoreError>>,
    result: Result<T, StoreError>,
) -> Answer {
    Box::new(move |commit| {
        let answer = match (commit, result) {
            // What is refused is refused, whatever becomes of the others' changes.
            (_, Err(error)) => Err(error),
            (Commit::Done, Ok(value)) => Ok(Some(value)),
            (Commit::Undone(error), Ok(_)) => Err(error.clone()),
            (Commit::Unknown, Ok(_)) => Ok(None),
        };
        // Whoever asked may have gone.
        let _ = sender.send(answer);
    })
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}

fn write(mut desk: Desk, queue: &Receiver<Work>) {
    while let Ok(first) = queue.recv() {
        let mut answers = Vec::new();
        let commit = commit_group(&mut desk, first, queue, &mut answers);
        failpoint!("enforce-after-commit");
        for answer in answers {
            answer(&commit);
        }
    }
}

fn commit_group(
    desk: &mut Desk,
    first: Work,
    queue: &Receiver<Work>,
    answers: &mut Vec<Answer>,
) -> Commit {
    let begun = desk.ledger.begin();
    let rest = std::iter::from_fn(|| queue.try_recv().ok());
    let mut kept = begun;
    for work in std::iter::once(first).chain(rest).take(GROUP) {
        failpoint!("enforce-before-work");
        let one = desk.ledger.savepoint();
        let (change, answer) = work(desk);
        answers.push(answer);
        let undone = if change == Change::Undo {
            desk.ledger.undo_to_savepoint()
        } else {
            desk.ledger.release_savepoint()
        };
        kept = kept.and(one).and(undone);
    }
    failpoint!("enforce-before-commit");
    match kept.and_then(|()| note(desk)) {
        Ok(()) => end(desk),
        Err(error) => {
            desk.ledger.abandon();
            Commit::Undone(error)
        }
    }
}

fn note(desk: &mut Desk) -> Result<(), StoreError> {
    let meta = desk.meta();
    desk.ledger.note(meta)
}

fn end(desk: &mut Desk) -> Commit {
    let Err(error) = desk.ledger.commit() else {
        return Commit::Done;
    };
    desk.ledger.abandon();
    match error.fault() {
        // What did not fit or was not allowed is not there.
        Fault::Full | Fault::ReadOnly | Fault::InUse => Commit::Undone(error),
        _ => Commit::Unknown,
    }
}
