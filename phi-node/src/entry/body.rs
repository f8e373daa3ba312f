//! A body that ends after so many bytes, and after so much time.

use std::{
    error::Error,
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::body::{Body, Bytes};
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep};

/// What became of a body, to be told in place of what a route makes of it.
#[derive(Clone, Debug)]
pub(super) struct Fate(Arc<AtomicU8>);

const WELL: u8 = 0;
pub(super) const TOO_LARGE: u8 = 1;
pub(super) const TOO_SLOW: u8 = 2;

impl Fate {
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicU8::new(WELL)))
    }

    pub(super) fn get(&self) -> u8 {
        self.0.load(Relaxed)
    }
}

pub(super) struct Bounded {
    body: Body,
    left: usize,
    until: Instant,
    /// Made when the body has to be waited for, which it seldom has.
    alarm: Option<Pin<Box<Sleep>>>,
    fate: Fate,
}

impl Bounded {
    pub(super) fn new(body: Body, most: usize, within: Duration, fate: &Fate) -> Self {
        Self {
            body,
            left: most,
            until: Instant::now() + within,
            alarm: None,
            fate: fate.clone(),
        }
    }

    fn end(&self, fate: u8) -> Poll<Option<Result<Frame<Bytes>, Beyond>>> {
        self.fate.0.store(fate, Relaxed);
        Poll::Ready(Some(Err(Beyond::Limit)))
    }
}

/// Why there is no more of a body.
#[derive(Debug)]
pub(super) enum Beyond {
    Limit,
    Broken(axum::Error),
}

impl fmt::Display for Beyond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Limit => "the body is beyond its limits",
            Self::Broken(_) => "the body broke off",
        })
    }
}

impl Error for Beyond {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Limit => None,
            Self::Broken(error) => Some(error),
        }
    }
}

impl http_body::Body for Bounded {
    type Data = Bytes;
    type Error = Beyond;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Beyond>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                match self.left.checked_sub(length) {
                    Some(left) => self.left = left,
                    None => return self.end(TOO_LARGE),
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(Beyond::Broken(error)))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                let until = self.until;
                let alarm = self
                    .alarm
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
                match alarm.as_mut().poll(context) {
                    Poll::Ready(()) => self.end(TOO_SLOW),
                    Poll::Pending => Poll::Pending,
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
