//! The thread that the connection belongs to: whoever asks waits for it, and may be anywhere, also
//! in a task of an asynchronous program, which could not wait for the driver itself.

use std::{
    fmt,
    sync::mpsc::{Sender, channel, sync_channel},
    thread::{self, JoinHandle},
};

use super::session::Session;
use crate::error::{Fault, StoreError};

type Work = Box<dyn FnOnce(&mut Session) + Send>;

pub(super) struct Worker {
    /// None only while it is dropped.
    queue: Option<Sender<Work>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts the thread; what it works with is made there.
    pub(super) fn start(
        make: impl FnOnce() -> Result<Session, StoreError> + Send + 'static,
    ) -> Result<Self, StoreError> {
        let (queue, work) = channel::<Work>();
        let (ready, begun) = sync_channel(1);
        let thread = thread::Builder::new()
            .name("phi-enforce-postgres".into())
            .spawn(move || {
                let mut session = match make() {
                    Ok(session) => session,
                    Err(error) => {
                        let _ = ready.send(Err(error));
                        return;
                    }
                };
                let _ = ready.send(Ok(()));
                while let Ok(work) = work.recv() {
                    work(&mut session);
                }
            })
            .map_err(|error| StoreError::unusable(&error))?;
        begun.recv().map_err(|_| stopped())??;
        Ok(Self {
            queue: Some(queue),
            thread: Some(thread),
        })
    }

    /// Runs a request; `None` if what it did may be recorded or not.
    pub(super) fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Session) -> Result<Option<T>, StoreError> + Send + 'static,
    ) -> Result<Option<T>, StoreError> {
        let (sender, answer) = sync_channel(1);
        let work: Work = Box::new(move |session| {
            // Whoever asked may have gone.
            let _ = sender.send(work(session));
        });
        let queue = self.queue.as_ref().ok_or_else(stopped)?;
        queue.send(work).map_err(|_| stopped())?;
        // A thread that ended in the middle of it has not said how.
        answer.recv().unwrap_or(Ok(None))
    }
}

fn stopped() -> StoreError {
    StoreError::new(Fault::Unusable, "the store's thread has ended")
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").finish_non_exhaustive()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}
