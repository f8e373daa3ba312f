//! The seats of a node: who holds one and until when, who waits, and who is waited for.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use phi_verify::Allowance;

use crate::{
    clock::{Boot, evictor_wait},
    gate::Owner,
    groups::Reserved,
    store::{
        Claim, Held, Incarnation, MAX_BATCH, MAX_SEEN, Occupant, Patience, Pool, SeatAnswer,
        SeatOp, Seen,
    },
};

/// Whoever waits for a seat asks this often: one that is given up is taken within it.
const POLL: Duration = Duration::from_millis(100);
/// A seat is renewed after this part of its lease: two renewals may be lost.
const RENEWED_AFTER: u32 = 3;

/// Who sits where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SeatKey {
    pub(crate) pool: Pool,
    pub(crate) occupant: Occupant,
}

/// What a license says about seats, and how they are held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SeatTerms {
    pub(crate) revision: u64,
    pub(crate) seats: Allowance,
    pub(crate) extra: u64,
    pub(crate) reserved: Reserved,
    pub(crate) group: Option<Arc<str>>,
    pub(crate) lease: Duration,
}

/// What threads see of a seat.
#[derive(Debug, Default)]
pub(crate) struct LeaseCell {
    until: AtomicU64,
    lost: AtomicBool,
    /// Somebody who was told how long the seat is held goes on until then, whatever happens here.
    promised: AtomicU64,
    pub(crate) fence: AtomicU64,
}

impl LeaseCell {
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    pub(crate) fn until(&self) -> Boot {
        Boot::from_nanos(self.until.load(Ordering::SeqCst))
    }

    /// Until when the seat is not given back.
    fn promised(&self) -> Boot {
        Boot::from_nanos(self.promised.load(Ordering::SeqCst))
    }

    /// Notes a promise. Whoever loses the seat meanwhile sees the promise, or whoever promises sees
    /// that it is lost and does not: both write before they read, in one order for all.
    pub(crate) fn promise(&self, until: Boot) {
        self.promised.fetch_max(until.nanos(), Ordering::SeqCst);
    }

    /// Whoever was promised the seat has stopped.
    pub(crate) fn take_back(&self) {
        self.promised.store(0, Ordering::SeqCst);
    }

    fn hold(&self, until: Boot) {
        self.until.store(until.nanos(), Ordering::Release);
    }

    fn lose(&self) {
        self.lost.store(true, Ordering::Release);
        self.until.store(0, Ordering::SeqCst);
    }
}

/// What a claimant is told.
#[derive(Clone, Debug)]
pub(crate) enum SeatView {
    Held(Arc<LeaseCell>),
    Full(Option<u64>),
    Pending,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// To be asked for, not before this time.
    Wanted(Boot),
    /// Refused, and the claimant has not been told.
    Refused,
    Held {
        fence: u64,
        /// What the store was told; a license that changes meanwhile does not change it.
        lease: Duration,
        renew: Boot,
    },
    Leaving,
}

#[derive(Debug)]
struct Seat {
    terms: SeatTerms,
    patience: Patience,
    state: State,
    /// The place in the queue that was told last.
    ahead: Option<u64>,
    cell: Arc<LeaseCell>,
    owner: Weak<Owner>,
}

impl Seat {
    fn wanted(terms: SeatTerms, patience: Patience, cell: Arc<LeaseCell>) -> Self {
        Self {
            terms,
            patience,
            state: State::Wanted(Boot::default()),
            ahead: None,
            cell,
            owner: Weak::new(),
        }
    }

    fn leave(&mut self) {
        self.cell.lose();
        self.state = State::Leaving;
    }
}

/// What each operation on its way is about.
#[derive(Debug)]
enum About {
    Seat(SeatKey, Duration),
    Evicted(Pool, u64),
}

impl About {
    fn evicts(&self, pool: Pool, id: u64) -> bool {
        matches!(self, Self::Evicted(other, known) if *other == pool && *known == id)
    }
}

/// Every seat of a node.
#[derive(Debug)]
pub(crate) struct Seats {
    all: BTreeMap<SeatKey, Seat>,
    /// The longest lease that the store gives.
    pub(super) longest_lease: Duration,
    /// Nobody is given a seat before.
    pub(super) learning: Option<Boot>,
    asked: Vec<About>,
    /// Since when others were seen unchanged, by their pool and number.
    watched: HashMap<(Pool, u64), (Seen, Boot)>,
}

impl Default for Seats {
    fn default() -> Self {
        Self {
            all: BTreeMap::new(),
            longest_lease: Duration::MAX,
            learning: None,
            asked: Vec::new(),
            watched: HashMap::new(),
        }
    }
}

impl Seats {
    /// Asks for a seat, or for what became of the claim.
    pub(crate) fn claim(
        &mut self,
        key: &SeatKey,
        terms: SeatTerms,
        patience: Patience,
    ) -> SeatView {
        if let Some(seat) = self.all.get_mut(key) {
            if seat.state == State::Leaving && seat.cell.promised() > Boot::default() {
                // It is kept for the promise: the same occupant may as well have it again.
                let cell = Arc::new(LeaseCell::default());
                cell.promise(seat.cell.promised());
                *seat = Seat::wanted(terms, patience, cell);
                return SeatView::Pending;
            }
            return match seat.state {
                State::Held { .. } => SeatView::Held(Arc::clone(&seat.cell)),
                State::Refused => {
                    self.all.remove(key);
                    SeatView::Full(None)
                }
                State::Wanted(_) => {
                    (seat.terms, seat.patience) = (terms, patience);
                    seat.ahead
                        .map_or(SeatView::Pending, |ahead| SeatView::Full(Some(ahead)))
                }
                State::Leaving => SeatView::Pending,
            };
        }
        let seat = Seat::wanted(terms, patience, Arc::default());
        self.all.insert(key.clone(), seat);
        SeatView::Pending
    }

    /// What everybody shares who has a lease of the seat.
    pub(crate) fn owner(&mut self, key: &SeatKey, make: impl FnOnce() -> Owner) -> Arc<Owner> {
        let Some(seat) = self.all.get_mut(key) else {
            return Arc::new(make());
        };
        seat.owner.upgrade().unwrap_or_else(|| {
            let owner = Arc::new(make());
            seat.owner = Arc::downgrade(&owner);
            owner
        })
    }

    /// Gives up a seat that nobody has any more; another one of the same occupant stays.
    pub(crate) fn leave(&mut self, key: &SeatKey, cell: &Arc<LeaseCell>) {
        if let Some(seat) = self.all.get_mut(key)
            && Arc::ptr_eq(cell, &seat.cell)
            && seat.owner.strong_count() == 0
        {
            seat.leave();
        }
    }

    /// Gives up a claim, or a seat that was given and not collected.
    pub(crate) fn abandon(&mut self, key: &SeatKey) {
        if let Some(seat) = self.all.get_mut(key)
            && seat.owner.strong_count() == 0
        {
            seat.leave();
        }
    }

    /// Gives up every seat of a license.
    pub(crate) fn leave_license(&mut self, license: phi_verify::LicenseId) {
        for (_, seat) in self
            .all
            .iter_mut()
            .filter(|(key, _)| key.pool.license == license)
        {
            seat.leave();
        }
    }

    pub(super) fn release_all(&mut self) {
        self.all.values_mut().for_each(Seat::leave);
    }

    /// Nothing that was held is: whoever waits asks again.
    pub(super) fn burn(&mut self) {
        self.asked.clear();
        self.watched.clear();
        self.all.retain(|_, seat| {
            if matches!(seat.state, State::Held { .. }) {
                seat.cell.lose();
                return false;
            }
            seat.state != State::Leaving
        });
    }

    pub(super) fn is_idle(&self) -> bool {
        self.all
            .values()
            .all(|seat| matches!(seat.state, State::Held { .. } | State::Refused))
    }

    fn due_at(&self, seat: &Seat) -> Option<Boot> {
        match seat.state {
            State::Wanted(at) => Some(self.learning.map_or(at, |until| at.max(until))),
            State::Held { renew, .. } => Some(renew),
            State::Leaving => Some(seat.cell.promised()),
            State::Refused => None,
        }
    }

    pub(super) fn is_due(&self, now: Boot) -> bool {
        self.all
            .values()
            .any(|seat| self.due_at(seat).is_some_and(|at| at <= now))
    }

    /// How long nothing is due.
    pub(super) fn rest(&self, now: Boot) -> Duration {
        let next = self.all.values().filter_map(|seat| self.due_at(seat));
        let next = next.min();
        next.map_or(Duration::MAX, |at| at.since(now))
    }

    /// What is due. Whoever was silent for too long is evicted first, if somebody waits.
    pub(super) fn due(&mut self, now: Boot, incarnation: Incarnation) -> Vec<SeatOp> {
        let mut ops = Vec::new();
        self.asked.clear();
        for (key, seat) in &self.all {
            if self.due_at(seat).is_none_or(|at| at > now) {
                continue;
            }
            let mut lease = seat.terms.lease.min(self.longest_lease);
            let op = match seat.state {
                State::Wanted(_) => {
                    for seen in self.dead(key.pool, now) {
                        if !self
                            .asked
                            .iter()
                            .any(|about| about.evicts(key.pool, seen.id))
                        {
                            let pool = key.pool;
                            ops.push(SeatOp::Evict { pool, seen });
                            self.asked.push(About::Evicted(pool, seen.id));
                        }
                    }
                    SeatOp::Acquire(claim(key, seat, lease))
                }
                State::Held {
                    fence, lease: told, ..
                } => {
                    lease = told;
                    SeatOp::Renew {
                        pool: key.pool,
                        fence,
                    }
                }
                State::Leaving => SeatOp::Release {
                    pool: key.pool,
                    occupant: key.occupant.clone(),
                    incarnation,
                },
                State::Refused => continue,
            };
            ops.push(op);
            self.asked.push(About::Seat(key.clone(), lease));
            // Evictions for one claim are no more than an answer shows.
            if ops.len() + MAX_SEEN >= MAX_BATCH {
                break;
            }
        }
        ops
    }

    /// Those of a pool that were silent for longer than any holder goes on.
    fn dead(&self, pool: Pool, now: Boot) -> Vec<Seen> {
        let mut dead: Vec<Seen> = self
            .watched
            .iter()
            .filter(|((watched, _), _)| *watched == pool)
            .filter(|(_, (seen, since))| now.since(*since) >= evictor_wait(seen.lease))
            .map(|(_, (seen, _))| *seen)
            .collect();
        dead.sort_unstable_by_key(|seen| seen.heard);
        dead
    }

    /// Takes the answers. How long the store still learns, if it does.
    pub(super) fn answered(
        &mut self,
        now: Boot,
        sent: Boot,
        answers: Vec<SeatAnswer>,
    ) -> Option<Duration> {
        let mut learning = None;
        for (about, answer) in std::mem::take(&mut self.asked).into_iter().zip(answers) {
            match about {
                About::Evicted(pool, id) => {
                    self.watched.remove(&(pool, id));
                }
                About::Seat(key, lease) => {
                    if let SeatAnswer::Learning { wait } = answer {
                        learning = Some(wait);
                    }
                    self.answered_one(now, sent, &key, lease, answer);
                }
            }
        }
        learning
    }

    fn answered_one(
        &mut self,
        now: Boot,
        since: Boot,
        key: &SeatKey,
        lease: Duration,
        answer: SeatAnswer,
    ) {
        if let SeatAnswer::Full { silent, .. } = &answer {
            self.watch(key.pool, silent, now);
        }
        let Some(seat) = self.all.get_mut(key) else {
            return;
        };
        match (seat.state, answer) {
            (State::Wanted(_), SeatAnswer::Held { fence, .. }) => {
                seat.cell.fence.store(fence, Ordering::Release);
                // From before the request was sent: the store heard of it after that.
                seat.cell.hold(since.plus(lease));
                seat.ahead = None;
                seat.state = State::Held {
                    fence,
                    lease,
                    renew: since.plus(lease / RENEWED_AFTER),
                };
            }
            (State::Wanted(_), SeatAnswer::Full { ahead, .. }) => {
                seat.ahead = ahead;
                seat.state = match (ahead, seat.patience) {
                    (None, Patience::Leave) => State::Refused,
                    _ => State::Wanted(now.plus(POLL)),
                };
            }
            (State::Held { fence, .. }, SeatAnswer::Renewed) => {
                seat.cell.hold(since.plus(lease));
                seat.state = State::Held {
                    fence,
                    lease,
                    renew: since.plus(lease / RENEWED_AFTER),
                };
            }
            (State::Held { .. }, SeatAnswer::Lost) => {
                seat.cell.lose();
                self.all.remove(key);
            }
            (State::Leaving, SeatAnswer::Released) => {
                self.all.remove(key);
            }
            // Left while the answer was on its way: the release is next.
            _ => {}
        }
    }

    /// Starts a stopwatch for everyone that is seen for the first time, or was heard of since.
    fn watch(&mut self, pool: Pool, silent: &[Seen], now: Boot) {
        self.watched
            .retain(|(known, _), (seen, _)| *known != pool || silent.contains(seen));
        for seen in silent {
            self.watched.entry((pool, seen.id)).or_insert((*seen, now));
        }
    }

    /// Nothing came of what was asked: it is asked again, and stopwatches start again.
    pub(super) fn undone(&mut self, now: Boot) {
        self.watched.clear();
        for about in std::mem::take(&mut self.asked) {
            let About::Seat(key, _) = about else {
                continue;
            };
            if let Some(seat) = self.all.get_mut(&key)
                && matches!(seat.state, State::Wanted(_))
            {
                seat.state = State::Wanted(now.plus(POLL));
            }
        }
    }

    /// Seats that are held, for a store that may have forgotten them.
    pub(super) fn held(&mut self, now: Boot) -> Vec<Held> {
        self.watched.clear();
        let held = self.all.iter_mut().filter_map(|(key, seat)| {
            let State::Held { fence, lease, .. } = seat.state else {
                return None;
            };
            // The renewal after it tells whether the seat is still held.
            let renew = now;
            seat.state = State::Held {
                fence,
                lease,
                renew,
            };
            (now < seat.cell.until()).then(|| Held::Seat {
                pool: key.pool,
                fence,
                occupant: key.occupant.clone(),
                group: seat.terms.group.as_deref().map(str::to_owned),
                lease,
            })
        });
        held.collect()
    }
}

fn claim(key: &SeatKey, seat: &Seat, lease: Duration) -> Claim {
    Claim {
        pool: key.pool,
        revision: seat.terms.revision,
        seats: seat.terms.seats,
        extra: seat.terms.extra,
        reserved: seat.terms.reserved.clone(),
        occupant: key.occupant.clone(),
        group: seat.terms.group.as_deref().map(str::to_owned),
        lease,
        patience: seat.patience,
    }
}
