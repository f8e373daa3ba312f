//! What every request passes, in every store: is the node known, is its history ours, was it
//! answered before.

use std::{sync::Arc, time::Duration};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    clock::{Boot, Clock, Moment, Wall, evictor_wait},
    error::{Fault, StoreError},
    groups::{MAX_GROUPS, Reserved},
    ledger::{Ledger, Meta},
    quotas, seats,
    store::{
        Caller, Done, Epoch, Held, Hello, Incarnation, MAX_BATCH, MAX_NAME, Occupant, Outcome,
        SeatOp,
    },
    usage::{About, Act, UsageEvent},
};

/// The longest lease of a seat unless an option says otherwise. After a store went back, nobody is
/// given a seat for a little longer than this.
pub const LONGEST_LEASE: Duration = Duration::from_secs(30);
/// A lease shorter than this is over before a disk that is busy has answered.
const SHORTEST_LEASE: Duration = Duration::from_millis(100);

/// More than a store counts between two backups: a hundred thousand a second for half a day.
const FORGOTTEN: u64 = 1 << 32;
/// How far apart the numbers of two epochs may be: two of one store that were begun from the same
/// past have different ones, but for one case in four thousand million.
const APART: u64 = 1 << 32;

/// Whether a store is what was left by the last run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum History {
    Unbroken,
    Restored,
}

/// A store's rows, and what a process knows of the store besides.
#[derive(Debug)]
pub(crate) struct Desk<L> {
    pub(crate) ledger: L,
    clock: Arc<dyn Clock>,
    /// The time by another wall clock than `clock`'s, if the store has its own.
    wall: Option<Wall>,
    epoch: Epoch,
    seq: u64,
    /// Until when this process lets the store learn about which history: whoever waited long
    /// enough by its own clock, since it knew, ends it for all.
    learning: Option<(Epoch, Boot)>,
    longest_lease: Duration,
    longest_ever: Duration,
}

/// Which kind of request an answer is kept for: another kind under the same number is a mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Grant = 1,
    GiveBack = 2,
    Reassert = 3,
    Seats = 4,
}

impl<L: Ledger> Desk<L> {
    /// Over these rows of a store that is at this point.
    pub(crate) fn new(
        ledger: L,
        clock: Arc<dyn Clock>,
        longest_lease: Duration,
        meta: Meta,
    ) -> Self {
        let mut desk = Self {
            ledger,
            clock,
            wall: None,
            epoch: meta.epoch,
            seq: 0,
            learning: None,
            longest_lease,
            longest_ever: longest_lease,
        };
        desk.know(meta);
        desk
    }

    /// The store is at this point, which another process may have brought it to.
    pub(crate) fn know(&mut self, meta: Meta) {
        // A lease that was given out before is waited for, whatever is given out from now on.
        self.longest_ever = self.longest_lease.max(meta.longest_lease);
        (self.epoch, self.seq) = (meta.epoch, meta.seq);
        let goes_on = self.learning.filter(|(epoch, _)| *epoch == meta.epoch);
        self.learning = goes_on.filter(|_| meta.learning);
        if meta.learning && goes_on.is_none() {
            self.learn();
        }
    }

    /// The point that the store is at, to be written down, so that no number is given out twice.
    pub(crate) fn meta(&self) -> Meta {
        Meta {
            epoch: self.epoch,
            seq: self.seq,
            learning: self.learning().is_some(),
            longest_lease: self.longest_ever,
        }
    }

    pub(crate) fn now(&self) -> Moment {
        let now = self.clock.now();
        Moment {
            wall: self.wall.unwrap_or(now.wall),
            ..now
        }
    }

    pub(crate) const fn longest_lease(&self) -> Duration {
        self.longest_lease
    }

    /// The next number of the store's counter.
    pub(crate) const fn next(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    /// Nodes that were heard of lately, and at least the one that asks.
    pub(crate) fn live_nodes(&mut self) -> Result<u64, StoreError> {
        let now = self.now();
        Ok(self.ledger.live_nodes(now)?.max(1))
    }

    /// How long the store still learns.
    pub(crate) fn learning(&self) -> Option<Duration> {
        let now = self.now().boot;
        let left = self.learning.map(|(_, until)| until.since(now));
        left.filter(|left| !left.is_zero())
    }

    fn learn(&mut self) {
        let until = self.now().boot.plus(evictor_wait(self.longest_ever));
        self.learning = Some((self.epoch, until));
    }

    /// The store went back: what it gave out since is not in it. Its counter goes on above
    /// everything that it may have forgotten, so that fences still rise.
    ///
    /// The next number would be taken again by a store that is put back once more, to a time before
    /// this, or by another standby of the same server: nodes of one history would go on in the
    /// other without a word.
    pub(crate) fn raise_epoch(&mut self) -> Result<(), StoreError> {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).map_err(|error| StoreError::unusable(&error))?;
        let step = 1 + u64::from_le_bytes(bytes) % APART;
        self.epoch.restores = self.epoch.restores.saturating_add(step);
        self.seq = self.seq.saturating_add(FORGOTTEN);
        self.learn();
        Ok(())
    }

    /// Takes the time from another wall clock.
    #[cfg(feature = "postgres")]
    pub(crate) const fn set_wall(&mut self, wall: Option<Wall>) {
        self.wall = wall;
    }

    pub(crate) fn hello(
        &mut self,
        incarnation: Incarnation,
        name: &str,
        seen: Option<(Epoch, u64)>,
    ) -> Result<Hello, StoreError> {
        if let Some((epoch, seq)) = seen {
            self.compare(epoch, seq)?;
            // A node that holds something of a store that is no more.
            if epoch.store != self.epoch.store && self.learning().is_none() {
                self.raise_epoch()?;
            }
        }
        let now = self.now();
        self.ledger.add_node(incarnation, name, now.wall)?;
        self.ledger.hear(incarnation, now);
        Ok(Hello {
            epoch: self.epoch,
            seq: self.seq,
            learning: self.learning(),
            longest_lease: self.longest_lease(),
        })
    }

    /// Whoever saw more than there is saw what was lost.
    fn compare(&mut self, epoch: Epoch, seen: u64) -> Result<(), StoreError> {
        let ahead = epoch.restores > self.epoch.restores || seen > self.seq;
        if epoch.store == self.epoch.store && ahead {
            self.seq = self.seq.max(seen);
            self.epoch.restores = self.epoch.restores.max(epoch.restores);
            self.raise_epoch()?;
        }
        Ok(())
    }

    /// Runs a request once. Its answer is kept for whoever asks again.
    pub(crate) fn once<T: Serialize + DeserializeOwned>(
        &mut self,
        caller: Caller,
        kind: Kind,
        run: impl FnOnce(&mut Self) -> Result<Outcome<T>, StoreError>,
    ) -> Result<Outcome<T>, StoreError> {
        self.compare(caller.epoch, caller.seen)?;
        let known = self.ledger.node(caller.incarnation)?;
        let Some(known) = known.filter(|_| caller.epoch == self.epoch) else {
            return Ok(Outcome::StaleEpoch);
        };
        let now = self.now();
        self.ledger.hear(caller.incarnation, now);
        match (caller.request.cmp(&known.request), known.answer) {
            (std::cmp::Ordering::Less, _) => return Ok(Outcome::Superseded),
            (std::cmp::Ordering::Equal, Some(answer)) => {
                return Ok(Outcome::Done(read(&answer, kind)?));
            }
            _ => {}
        }
        let outcome = run(self)?;
        if let Outcome::Done(done) = &outcome {
            let answer = written(done, kind)?;
            self.ledger
                .set_answer(caller.incarnation, caller.request, answer)?;
        }
        Ok(outcome)
    }

    /// The end of a request.
    pub(crate) const fn done<T>(&mut self, value: T) -> Outcome<T> {
        let seq = self.next();
        Outcome::Done(Done { seq, value })
    }

    pub(crate) fn reassert(
        &mut self,
        caller: Caller,
        held: &[Held],
    ) -> Result<Outcome<()>, StoreError> {
        self.once(caller, Kind::Reassert, |desk| {
            for held in held {
                match held {
                    Held::Units(held) => quotas::reassert(desk, caller, *held)?,
                    Held::Seat {
                        pool,
                        fence,
                        occupant,
                        group,
                        lease,
                    } => {
                        let seat = (*pool, *fence);
                        seats::reassert(desk, caller, seat, occupant, group.as_deref(), *lease)?;
                    }
                }
            }
            Ok(desk.done(()))
        })
    }

    /// Writes an event into the usage log.
    pub(crate) fn log(&mut self, caller: Caller, act: Act, about: About) -> Result<(), StoreError> {
        let event = UsageEvent {
            seq: self.next(),
            at: self.now().wall,
            incarnation: caller.incarnation,
            request: caller.request,
            act,
            about,
        };
        self.ledger.append(&event)
    }
}

/// Holds a request to the rules that need no look into the store.
pub(crate) fn check_batch(parts: usize) -> Result<(), StoreError> {
    if parts <= MAX_BATCH {
        return Ok(());
    }
    let problem = format!("it has {parts} parts, and {MAX_BATCH} are the most");
    Err(StoreError::new(Fault::Request, problem))
}

pub(crate) fn check_name(what: &str, name: &str) -> Result<(), StoreError> {
    if name.len() > MAX_NAME {
        let problem = format!(
            "{what} has {} bytes, and {MAX_NAME} are the most",
            name.len()
        );
        return Err(StoreError::new(Fault::Request, problem));
    }
    Ok(())
}

pub(crate) fn check_held(held: &[Held]) -> Result<(), StoreError> {
    check_batch(held.len())?;
    held.iter().try_for_each(|held| match held {
        Held::Units(_) => Ok(()),
        Held::Seat {
            occupant,
            group,
            lease,
            ..
        } => {
            check_occupant(occupant, group.as_deref())?;
            check_lease(*lease)
        }
    })
}

pub(crate) fn check_ops(ops: &[SeatOp]) -> Result<(), StoreError> {
    check_batch(ops.len())?;
    ops.iter().try_for_each(|op| match op {
        SeatOp::Acquire(claim) => {
            check_occupant(&claim.occupant, claim.group.as_deref())?;
            check_reserved(&claim.reserved)?;
            check_lease(claim.lease)
        }
        _ => Ok(()),
    })
}

fn check_occupant(occupant: &Occupant, group: Option<&str>) -> Result<(), StoreError> {
    check_name("a holder's name", &occupant.holder)?;
    check_name("a session's name", &occupant.session)?;
    check_group(group)
}

fn check_reserved(reserved: &Reserved) -> Result<(), StoreError> {
    if reserved.len() > MAX_GROUPS {
        let problem = format!(
            "seats are reserved for {} groups, and {MAX_GROUPS} are the most",
            reserved.len()
        );
        return Err(StoreError::new(Fault::Request, problem));
    }
    let mut groups = reserved.iter();
    groups.try_for_each(|(group, _)| check_group(Some(group)))
}

/// In the tables the empty name stands for no group.
fn check_group(group: Option<&str>) -> Result<(), StoreError> {
    match group {
        Some("") => Err(StoreError::new(Fault::Request, "a group's name is empty")),
        Some(group) => check_name("a group's name", group),
        None => Ok(()),
    }
}

fn check_lease(lease: Duration) -> Result<(), StoreError> {
    if lease >= SHORTEST_LEASE {
        return Ok(());
    }
    let problem = format!("a lease of {lease:?} is shorter than {SHORTEST_LEASE:?}");
    Err(StoreError::new(Fault::Request, problem))
}

/// An amount as a database has it: the greatest stands for all beyond.
pub(crate) fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn written<T: Serialize>(done: &Done<T>, kind: Kind) -> Result<Vec<u8>, StoreError> {
    let mut bytes = vec![kind as u8];
    ciborium::into_writer(done, &mut bytes).map_err(|error| StoreError::unusable(&error))?;
    Ok(bytes)
}

fn read<T: DeserializeOwned>(answer: &[u8], kind: Kind) -> Result<Done<T>, StoreError> {
    match answer.split_first() {
        Some((found, body)) if *found == kind as u8 => ciborium::from_reader(body)
            .map_err(|error| StoreError::new(Fault::Damaged, error.to_string())),
        _ => Err(StoreError::new(
            Fault::Request,
            "its number was used for another kind of request",
        )),
    }
}
