//! What a node wants of its store and what it makes of the answers, without threads or I/O.
//!
//! One request is on its way at a time, and it is repeated under its number until it is answered:
//! what was done is then never in doubt. Whoever carries requests may lose, delay or repeat them.

mod quotas;
mod ranked;
mod seat;
mod seats;

use std::{fmt, time::Duration};

use self::{quotas::Quotas, seats::Seats};
pub(crate) use self::{
    quotas::{Awaited, Slot, Terms},
    seat::{LeaseCell, SeatKey, SeatTerms, SeatView},
};
use crate::{
    clock::{Boot, Moment},
    error::{Fault, StoreError},
    request::{Answer, Body, Request, Said},
    store::{Caller, Epoch, Held, Incarnation, MAX_BATCH, Outcome},
};

/// A request without an answer is sent again after this time.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// A store that cannot be used is asked again after this time.
const MENDED_WITHIN: Duration = Duration::from_millis(200);

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Carry this to the store, and the answer back.
    Send(Request),
    /// Nothing, for this long, or until the node wants something.
    Rest(Duration),
}

/// A request on its way.
#[derive(Debug)]
struct Flight {
    request: Request,
    /// When it was sent first: what it grants is counted from then.
    sent: Boot,
    again: Boot,
}

/// The history that a node knows.
#[derive(Clone, Copy, Debug)]
struct Known {
    epoch: Epoch,
    seq: u64,
}

/// Where the names of runs come from.
pub(crate) struct Names(pub(crate) Box<dyn FnMut() -> Result<Incarnation, StoreError> + Send>);

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Names")
    }
}

/// What goes on between a node and its store.
#[derive(Debug)]
pub(crate) struct Agent {
    name: String,
    incarnation: Incarnation,
    names: Names,
    number: u64,
    known: Option<Known>,
    introduced: bool,
    /// What is still to be said to a store whose history changed.
    reassert: Vec<Held>,
    flight: Option<Flight>,
    learning: Option<Boot>,
    fault: Option<Fault>,
    stopping: bool,
    seats_first: bool,
    pub(crate) quotas: Quotas,
    pub(crate) seats: Seats,
}

impl Agent {
    pub(crate) fn new(name: String, mut names: Names) -> Result<Self, StoreError> {
        Ok(Self {
            name,
            incarnation: (names.0)()?,
            names,
            number: 0,
            known: None,
            introduced: false,
            reassert: Vec::new(),
            flight: None,
            learning: None,
            fault: None,
            stopping: false,
            seats_first: false,
            quotas: Quotas::default(),
            seats: Seats::default(),
        })
    }

    /// Whether a request is on its way.
    pub(crate) const fn is_waiting(&self) -> bool {
        self.flight.is_some()
    }

    /// The history that the store tells, if it was heard of.
    pub(crate) fn epoch(&self) -> Option<Epoch> {
        self.known.map(|known| known.epoch)
    }

    /// What is wrong with the store, as of the last answer.
    pub(crate) const fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// How long the store still learns.
    pub(crate) fn learning(&self, now: Boot) -> Option<Duration> {
        let until = self.learning.filter(|until| now < *until);
        until.map(|until| until.since(now))
    }

    /// From here on everything is given back and nothing is asked for.
    pub(crate) fn stop(&mut self) {
        self.stopping = true;
        self.quotas.tell_all();
        self.quotas.return_all();
        self.seats.release_all();
    }

    pub(crate) const fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Whether nothing is on its way or to be sent.
    pub(crate) fn is_idle(&self) -> bool {
        self.flight.is_none() && self.quotas.is_idle() && self.seats.is_idle()
    }

    /// The clocks jumped, or somebody else goes by the same name: nothing that was measured before
    /// holds. What was held is left to the store's care, and another run begins.
    pub(crate) fn begin_again(&mut self) {
        match (self.names.0)() {
            Ok(incarnation) => self.incarnation = incarnation,
            // Nothing may be asked for under a name that another may have.
            Err(error) => {
                self.fault = Some(error.fault());
                self.stopping = true;
            }
        }
        self.number = 0;
        self.introduced = false;
        self.reassert.clear();
        self.flight = None;
        self.quotas.tell_all();
        self.quotas.burn();
        self.seats.burn();
    }

    pub(crate) fn next(&mut self, now: Moment) -> Step {
        if let Some(flight) = &mut self.flight {
            if now.boot < flight.again {
                return Step::Rest(flight.again.since(now.boot));
            }
            flight.again = now.boot.plus(ANSWER_WITHIN);
            return Step::Send(flight.request.clone());
        }
        self.quotas.sweep(now.boot);
        let body = if self.introduced {
            match self.want(now.boot) {
                Some(body) => body,
                None => return Step::Rest(self.rest(now.boot)),
            }
        } else if self.wants_anything(now.boot) {
            Body::Hello {
                name: self.name.clone(),
                seen: self.known.map(|known| (known.epoch, known.seq)),
            }
        } else {
            return Step::Rest(self.rest(now.boot));
        };
        let request = Request {
            incarnation: self.incarnation,
            number: self.number,
            body,
        };
        self.flight = Some(Flight {
            request: request.clone(),
            sent: now.boot,
            again: now.boot.plus(ANSWER_WITHIN),
        });
        Step::Send(request)
    }

    fn wants_anything(&self, now: Boot) -> bool {
        self.quotas.wants() || !self.quotas.is_idle() || self.seats.is_due(now)
    }

    fn rest(&self, now: Boot) -> Duration {
        let seats = self.seats.rest(now);
        self.learning(now)
            .map_or(seats, |wait| wait.min(seats))
            .min(self.quotas.rest(now))
    }

    fn want(&mut self, now: Boot) -> Option<Body> {
        if !self.reassert.is_empty() {
            let rest = self.reassert.split_off(self.reassert.len().min(MAX_BATCH));
            let held = std::mem::replace(&mut self.reassert, rest);
            return Some(Body::Reassert(self.caller()?, held));
        }
        // Neither kind starves the other.
        self.seats_first = !self.seats_first;
        if self.seats_first {
            self.want_seats(now).or_else(|| self.want_units(now))
        } else {
            self.want_units(now).or_else(|| self.want_seats(now))
        }
    }

    fn want_seats(&mut self, now: Boot) -> Option<Body> {
        let ops = self.seats.due(now, self.incarnation);
        if ops.is_empty() {
            return None;
        }
        Some(Body::Seats(self.caller()?, ops))
    }

    fn want_units(&mut self, now: Boot) -> Option<Body> {
        let may_ask = self.learning(now).is_none() && !self.stopping;
        let returns = self.quotas.returns(may_ask);
        if !returns.is_empty() {
            return Some(Body::GiveBack(self.caller()?, returns));
        }
        if !may_ask {
            return None;
        }
        let asks = self.quotas.asks(now);
        if asks.is_empty() {
            return None;
        }
        Some(Body::Grant(self.caller()?, asks))
    }

    fn caller(&mut self) -> Option<Caller> {
        let known = self.known?;
        self.number += 1;
        Some(Caller {
            incarnation: self.incarnation,
            epoch: known.epoch,
            request: self.number,
            seen: known.seq,
        })
    }

    /// Takes an answer. One that is not expected any more changes nothing.
    pub(crate) fn answered(
        &mut self,
        now: Moment,
        request: &Request,
        answer: Result<Answer, StoreError>,
    ) {
        let Some(flight) = self.flight.take_if(|flight| flight.request == *request) else {
            return;
        };
        match answer {
            Ok(Answer(said)) => {
                self.fault = None;
                self.hear(now, flight, said);
            }
            Err(error) if error.fault() == Fault::Request => {
                // It will never be anything else: what it was about stays charged.
                self.fault = Some(error.fault());
                self.drop_wishes(now, &flight);
            }
            Err(error) => {
                self.fault = Some(error.fault());
                self.repeat(now, flight);
            }
        }
        if self.fault.is_some() || self.learning.is_some() {
            self.quotas.tell_all();
        }
    }

    fn repeat(&mut self, now: Moment, flight: Flight) {
        let again = now.boot.plus(MENDED_WITHIN);
        self.flight = Some(Flight { again, ..flight });
    }

    fn drop_wishes(&mut self, now: Moment, flight: &Flight) {
        match &flight.request.body {
            Body::Grant(..) => self.quotas.undone(),
            Body::Seats(..) => self.seats.undone(now.boot),
            _ => {}
        }
    }

    fn hear(&mut self, now: Moment, flight: Flight, said: Said) {
        match said {
            Said::Hello(hello) => {
                let seq = self.known.map_or(0, |known| known.seq);
                let epoch = hello.epoch;
                // Another store counts from its own beginning.
                let same = self
                    .known
                    .is_some_and(|known| known.epoch.store == epoch.store);
                let seq = if same { seq.max(hello.seq) } else { hello.seq };
                self.known = Some(Known { epoch, seq });
                self.introduced = true;
                self.seats.longest_lease = hello.longest_lease;
                self.learn(now, hello.learning);
                self.reassert = self.quotas.held();
                self.reassert.extend(self.seats.held(now.boot));
            }
            Said::Granted(outcome) => {
                if let Some(grants) = self.outcome(now, flight, outcome, Vec::len) {
                    let sent = grants.sent;
                    self.quotas.granted(now.boot, sent, &grants.value);
                    if self.stopping {
                        // Asked for before, and nobody will spend it.
                        self.quotas.return_all();
                    }
                }
            }
            Said::GivenBack(outcome) => {
                self.outcome(now, flight, outcome, Vec::len);
            }
            Said::Reasserted(outcome) => {
                self.outcome(now, flight, outcome, |()| 0);
            }
            Said::Seats(outcome) => {
                if let Some(answers) = self.outcome(now, flight, outcome, Vec::len) {
                    let learning = self.seats.answered(now.boot, answers.sent, answers.value);
                    if learning.is_some() {
                        self.learn(now, learning);
                    }
                }
            }
        }
    }

    fn learn(&mut self, now: Moment, wait: Option<Duration>) {
        self.learning = wait.map(|wait| now.boot.plus(wait));
        self.seats.learn(self.learning);
    }

    /// What was done, if it was.
    fn outcome<T>(
        &mut self,
        now: Moment,
        flight: Flight,
        outcome: Outcome<T>,
        parts: impl Fn(&T) -> usize,
    ) -> Option<Heard<T>> {
        match outcome {
            Outcome::Done(done) => {
                let asked = match &flight.request.body {
                    Body::Grant(_, asks) => asks.len(),
                    Body::GiveBack(_, returns) => returns.len(),
                    Body::Seats(_, ops) => ops.len(),
                    Body::Hello { .. } | Body::Reassert(..) => 0,
                };
                if let Some(known) = &mut self.known {
                    known.seq = known.seq.max(done.seq);
                }
                if parts(&done.value) != asked {
                    self.drop_wishes(now, &flight);
                    return None;
                }
                Some(Heard {
                    sent: flight.sent,
                    value: done.value,
                })
            }
            Outcome::Unknown => {
                self.repeat(now, flight);
                None
            }
            Outcome::Learning { wait } => {
                self.learn(now, Some(wait));
                self.drop_wishes(now, &flight);
                None
            }
            Outcome::StaleEpoch => {
                // Units on their way, either way, are told by what is held now.
                self.introduced = false;
                self.drop_wishes(now, &flight);
                None
            }
            Outcome::Superseded => {
                self.begin_again();
                None
            }
        }
    }
}

struct Heard<T> {
    sent: Boot,
    value: T,
}
