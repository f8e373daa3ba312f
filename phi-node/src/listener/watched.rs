//! What moves on a connection, and since when nothing does.

use std::{
    collections::BTreeMap,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::body::{Body, Bytes};
use http_body::{Frame, SizeHint};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Notify,
    time::Instant,
};

use crate::limits::Limits;

/// Bytes of HTTP/2's preface, by which the protocol is told: fewer are no beginning of anything.
const PREFACE: u64 = 24;

/// What one connection did so far.
#[derive(Debug)]
pub(super) struct Activity {
    began: Instant,
    /// How old the connection may get.
    age: Duration,
    /// Bytes that came in.
    read: AtomicU64,
    /// Milliseconds from the beginning to the last byte in either direction.
    moved: AtomicU64,
    /// Milliseconds from the beginning to the end of the last request.
    quiet: AtomicU64,
    /// Requests whose answer is not sent.
    running: AtomicUsize,
    requests: AtomicU64,
    /// Answers of which the peer has yet to take something, by number, and since when. Over HTTP/2
    /// other bytes move meanwhile.
    owed: Mutex<BTreeMap<u64, u64>>,
    answers: AtomicU64,
    /// Requests that were given up, less those that were answered.
    abandoned: AtomicU64,
    too_many_abandoned: Notify,
}

/// What is to become of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It goes on, and is looked at again then.
    GoesOn(Instant),
    /// It is told to end, and ends when its requests are answered.
    Close,
    /// It ends now.
    Cut(&'static str),
}

impl Activity {
    pub(super) fn new(age: Duration) -> Self {
        Self {
            began: Instant::now(),
            age,
            read: AtomicU64::new(0),
            moved: AtomicU64::new(0),
            quiet: AtomicU64::new(0),
            running: AtomicUsize::new(0),
            requests: AtomicU64::new(0),
            owed: Mutex::default(),
            answers: AtomicU64::new(0),
            abandoned: AtomicU64::new(0),
            too_many_abandoned: Notify::new(),
        }
    }

    /// A request begins; it ends when what this gives is dropped.
    pub(super) fn begin(self: &Arc<Self>, most_abandoned: u64) -> Running {
        self.running.fetch_add(1, Relaxed);
        self.requests.fetch_add(1, Relaxed);
        Running {
            activity: Arc::clone(self),
            most_abandoned,
            answered: Answered::No,
        }
    }

    /// Waits until the peer gave up more requests than it may.
    pub(super) async fn too_many_abandoned(&self) {
        self.too_many_abandoned.notified().await;
    }

    pub(super) fn judge(&self, limits: &Limits) -> Verdict {
        let age = self.began.elapsed();
        let at = |millis: u64| Duration::from_millis(millis);
        // Each reason to end, and when it is there.
        let mut next = self.age;
        if age >= next {
            return Verdict::Close;
        }
        if self.requests.load(Relaxed) == 0 && self.read.load(Relaxed) < PREFACE {
            if age >= limits.header_time {
                return Verdict::Cut("silent");
            }
            next = next.min(limits.header_time);
        }
        if self.running.load(Relaxed) == 0 {
            let idle = at(self.quiet.load(Relaxed)) + limits.idle;
            if age >= idle {
                return Verdict::Close;
            }
            next = next.min(idle);
        }
        // A request that begins from here on cannot be due before this.
        let stalled = at(self.moved.load(Relaxed)) + limits.stall;
        if age >= stalled && self.running.load(Relaxed) > 0 {
            return Verdict::Cut("stalled");
        }
        let stalled = stalled.max(age + limits.stall / 4);
        if let Some(since) = self.owed().values().min() {
            let untaken = at(*since) + limits.stall;
            if age >= untaken {
                return Verdict::Cut("stalled");
            }
            next = next.min(untaken);
        }
        Verdict::GoesOn(self.began + next.min(stalled))
    }

    fn owed(&self) -> MutexGuard<'_, BTreeMap<u64, u64>> {
        // It is changed by steps that cannot panic.
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answered {
    Yes,
    No,
}

/// A request on its way.
#[derive(Debug)]
pub(super) struct Running {
    activity: Arc<Activity>,
    most_abandoned: u64,
    answered: Answered,
}

impl Running {
    /// There is an answer; this ends with its body.
    pub(super) fn answered(mut self, body: Body) -> Sending {
        self.answered = Answered::Yes;
        let less = |count: u64| Some(count.saturating_sub(1));
        // The closure always gives a value.
        let _ = self.activity.abandoned.fetch_update(Relaxed, Relaxed, less);
        let number = self.activity.answers.fetch_add(1, Relaxed);
        self.activity.owed().insert(number, self.activity.now());
        Sending {
            body,
            number,
            running: self,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let activity = &self.activity;
        activity.quiet.store(activity.now(), Relaxed);
        activity.running.fetch_sub(1, Relaxed);
        if self.answered == Answered::No
            && activity.abandoned.fetch_add(1, Relaxed) >= self.most_abandoned
        {
            activity.too_many_abandoned.notify_one();
        }
    }
}

/// The body of an answer, while it is sent.
#[derive(Debug)]
pub(super) struct Sending {
    body: Body,
    number: u64,
    running: Running,
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.running.activity.owed().remove(&self.number);
    }
}

impl http_body::Body for Sending {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        // It is asked for more when the peer has room for it.
        let activity = &self.running.activity;
        match &polled {
            Poll::Ready(Some(Ok(_))) => {
                activity.owed().insert(self.number, activity.now());
            }
            // It is the peer that waits.
            Poll::Pending | Poll::Ready(_) => {
                activity.owed().remove(&self.number);
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream that notes what moves on it.
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    activity: Arc<Activity>,
}

impl<S> Watched<S> {
    pub(super) const fn new(stream: S, activity: Arc<Activity>) -> Self {
        Self { stream, activity }
    }

    fn note(&self, written: &Poll<io::Result<usize>>) {
        if matches!(written, Poll::Ready(Ok(1..))) {
            self.activity.moved.store(self.activity.now(), Relaxed);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let more = buffer.filled().len() - before;
        if more > 0 {
            let more = u64::try_from(more).unwrap_or(u64::MAX);
            self.activity.read.fetch_add(more, Relaxed);
            self.activity.moved.store(self.activity.now(), Relaxed);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.note(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
