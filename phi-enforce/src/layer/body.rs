//! The body of a response: the service's own, with the seats that are held while it is sent, or
//! that of a rejection.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use pin_project_lite::pin_project;

use crate::gate::Lease;

pin_project! {
    /// The body of a response of a [`GateService`](crate::GateService).
    #[derive(Debug)]
    pub struct GateBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = Projected]
    #[derive(Debug)]
    enum Kind<B> {
        Served {
            #[pin]
            body: B,
            seats: Vec<Lease>,
        },
        Rejected {
            #[pin]
            body: Full<Bytes>,
        },
    }
}

impl<B> GateBody<B> {
    pub(super) const fn held(body: B, seats: Vec<Lease>) -> Self {
        Self {
            kind: Kind::Served { body, seats },
        }
    }

    pub(super) fn rejected(body: Bytes) -> Self {
        Self {
            kind: Kind::Rejected {
                body: Full::new(body),
            },
        }
    }
}

impl<B: Body<Data = Bytes>> Body for GateBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().kind.project() {
            Projected::Served { body, seats } => {
                let frame = body.poll_frame(context);
                if matches!(frame, Poll::Ready(None)) {
                    // Whoever keeps the end of a body keeps no seat.
                    seats.clear();
                }
                frame
            }
            Projected::Rejected { body } => {
                let frame = body.poll_frame(context);
                frame.map(|frame| frame.map(|frame| frame.map_err(|never| match never {})))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Served { body, .. } => body.is_end_stream(),
            Kind::Rejected { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Served { body, .. } => body.size_hint(),
            Kind::Rejected { body } => body.size_hint(),
        }
    }
}
