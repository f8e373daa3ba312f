//! What a node asks of its store, and what it was told: the calls of [`Store`] as values, for
//! whoever carries them.

use crate::{
    error::StoreError,
    store::{
        Ask, Caller, Epoch, Grant, Held, Hello, Incarnation, Outcome, Return, SeatAnswer, SeatOp,
        Store,
    },
};

/// One call of a [`Store`]. It may be made any number of times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub(crate) incarnation: Incarnation,
    pub(crate) number: u64,
    pub(crate) body: Body,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Hello {
        name: String,
        seen: Option<(Epoch, u64)>,
    },
    Grant(Caller, Vec<Ask>),
    GiveBack(Caller, Vec<Return>),
    Reassert(Caller, Vec<Held>),
    Seats(Caller, Vec<SeatOp>),
}

/// The answer to a [`Request`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer(pub(crate) Said);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Hello(Hello),
    Granted(Outcome<Vec<Grant>>),
    GivenBack(Outcome<Vec<u64>>),
    Reasserted(Outcome<()>),
    Seats(Outcome<Vec<SeatAnswer>>),
}

impl Request {
    /// Makes the call.
    ///
    /// # Errors
    /// If the store cannot be used.
    pub fn send(&self, store: &dyn Store) -> Result<Answer, StoreError> {
        Ok(Answer(match &self.body {
            Body::Hello { name, seen } => {
                Said::Hello(store.hello(self.incarnation, name, *seen)?)
            }
            Body::Grant(caller, asks) => Said::Granted(store.grant(*caller, asks)?),
            Body::GiveBack(caller, returns) => Said::GivenBack(store.give_back(*caller, returns)?),
            Body::Reassert(caller, held) => Said::Reasserted(store.reassert(*caller, held)?),
            Body::Seats(caller, ops) => Said::Seats(store.seats(*caller, ops)?),
        }))
    }
}
