//! How long a caller of gRPC waits, as it says itself: `grpc-timeout`.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::{Body, Bytes};
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use super::answer::Answer;

const TIMEOUT: &str = "grpc-timeout";
/// As the protocol has it ("gRPC over HTTP2", Requests).
const MOST_DIGITS: usize = 8;

/// How long the caller waits, if it says so.
pub(super) fn told(headers: &HeaderMap) -> Result<Option<Duration>, Answer> {
    let mut told = headers.get_all(TIMEOUT).iter();
    match (told.next(), told.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => match parse(value.as_bytes()) {
            Some(wait) => Ok(Some(wait)),
            None => Err(Answer::MalformedTimeout),
        },
        (Some(_), Some(_)) => Err(Answer::MalformedTimeout),
    }
}

fn parse(text: &[u8]) -> Option<Duration> {
    let (unit, digits) = text.split_last()?;
    if digits.is_empty() || digits.len() > MOST_DIGITS || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let amount: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(match unit {
        b'H' => Duration::from_secs(amount * 60 * 60),
        b'M' => Duration::from_secs(amount * 60),
        b'S' => Duration::from_secs(amount),
        b'm' => Duration::from_millis(amount),
        b'u' => Duration::from_micros(amount),
        b'n' => Duration::from_nanos(amount),
        _ => return None,
    })
}

/// The body of an answer that ends then: one that goes on, such as that of the health that is
/// watched, ends with its own trailers.
pub(super) struct Until {
    body: Body,
    end: Instant,
    /// Made when the body has to be waited for, which it seldom has.
    alarm: Option<Pin<Box<Sleep>>>,
    is: Going,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Going {
    On,
    Over,
}

impl Until {
    pub(super) const fn new(body: Body, end: Instant) -> Self {
        Self {
            body,
            end,
            alarm: None,
            is: Going::On,
        }
    }
}

impl http_body::Body for Until {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.is == Going::Over {
            return Poll::Ready(None);
        }
        if let ready @ Poll::Ready(_) = Pin::new(&mut self.body).poll_frame(context) {
            return ready;
        }
        let end = self.end;
        let alarm = self
            .alarm
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end)));
        if alarm.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        self.is = Going::Over;
        // Whoever makes the frames is told that nobody waits for more.
        self.body = Body::empty();
        Poll::Ready(Some(Ok(Frame::trailers(Answer::Deadline.trailers()))))
    }

    fn is_end_stream(&self) -> bool {
        self.is == Going::Over || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_read_as_the_protocol_writes_it() {
        let second = Duration::from_secs(1);
        for (text, wait) in [
            ("1S", Some(second)),
            ("1000m", Some(second)),
            ("1000000u", Some(second)),
            ("99999999n", Some(Duration::from_nanos(99_999_999))),
            ("2M", Some(120 * second)),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3600))),
            ("0S", Some(Duration::ZERO)),
            ("", None),
            ("S", None),
            ("1", None),
            ("1s", None),
            ("-1S", None),
            ("+1S", None),
            ("1 S", None),
            ("123456789S", None),
            ("\u{0661}S", None),
        ] {
            assert_eq!(parse(text.as_bytes()), wait, "{text}");
        }
    }
}
