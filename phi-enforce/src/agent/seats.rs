//! The seats of a node: who holds one and until when, who waits, and who is waited for.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use phi_verify::{Allowance, LicenseId};

use super::agenda::Agenda;
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
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    key: Arc<SeatKey>,
    terms: SeatTerms,
    patience: Patience,
    state: State,
    /// The place in the queue that was told last.
    ahead: Option<u64>,
    cell: Arc<LeaseCell>,
    owner: Weak<Owner>,
}

impl Seat {
    fn wanted(
        key: Arc<SeatKey>,
        terms: SeatTerms,
        patience: Patience,
        cell: Arc<LeaseCell>,
    ) -> Self {
        Self {
            key,
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

    /// When the store is to be asked something about it.
    fn due(&self, learning: Option<Boot>) -> Option<Boot> {
        match self.state {
            State::Wanted(at) => Some(learning.map_or(at, |until| at.max(until))),
            State::Held { renew, .. } => Some(renew),
            State::Leaving => Some(self.cell.promised()),
            State::Refused => None,
        }
    }

    /// What the store is asked.
    fn op(&self, lease: Duration, incarnation: Incarnation) -> Option<SeatOp> {
        let pool = self.key.pool;
        match self.state {
            State::Wanted(_) => Some(SeatOp::Acquire(self.claim(lease))),
            State::Held { fence, .. } => Some(SeatOp::Renew { pool, fence }),
            State::Leaving => Some(SeatOp::Release {
                pool,
                occupant: self.key.occupant.clone(),
                incarnation,
            }),
            State::Refused => None,
        }
    }

    fn claim(&self, lease: Duration) -> Claim {
        Claim {
            pool: self.key.pool,
            revision: self.terms.revision,
            seats: self.terms.seats,
            extra: self.terms.extra,
            reserved: self.terms.reserved.clone(),
            occupant: self.key.occupant.clone(),
            group: self.terms.group.as_deref().map(str::to_owned),
            lease,
            patience: self.patience,
        }
    }

    /// The store says that it is held.
    fn hold(&mut self, fence: u64, lease: Duration, since: Boot) {
        // From before the request was sent: the store heard of it after that.
        self.cell.hold(since.plus(lease));
        self.state = State::Held {
            fence,
            lease,
            renew: since.plus(lease / RENEWED_AFTER),
        };
    }
}

/// A step that is taken once, for a caller who waits for the answer.
#[derive(Debug)]
struct Errand {
    op: SeatOp,
    /// Not before this time.
    at: Boot,
    answer: Option<SeatAnswer>,
}

impl Errand {
    fn due(&self, learning: Option<Boot>) -> Boot {
        learning.map_or(self.at, |until| self.at.max(until))
    }
}

/// What each operation on its way is about.
#[derive(Debug)]
enum About {
    Seat(Arc<SeatKey>, Duration),
    Errand(SeatOp),
    Evicted(Pool, u64),
}

/// Since when others of a pool were seen unchanged, by their number.
type Watched = HashMap<u64, (Seen, Boot)>;

/// Every seat of a node.
#[derive(Debug)]
pub(crate) struct Seats {
    all: BTreeMap<Arc<SeatKey>, Seat>,
    /// When the store is to be asked about which; none that are asked about now.
    agenda: Agenda<Arc<SeatKey>>,
    errands: Vec<Errand>,
    /// The longest lease that the store gives.
    pub(super) longest_lease: Duration,
    /// Nobody is given a seat before.
    learning: Option<Boot>,
    asked: Vec<About>,
    /// Who is waited for in which pool.
    watched: HashMap<Pool, Watched>,
}

impl Default for Seats {
    fn default() -> Self {
        Self {
            all: BTreeMap::new(),
            agenda: Agenda::default(),
            errands: Vec::new(),
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
        let Some(seat) = self.all.get(key) else {
            self.put(Seat::wanted(
                key.clone().into(),
                terms,
                patience,
                Arc::default(),
            ));
            return SeatView::Pending;
        };
        let cell = Arc::clone(&seat.cell);
        match seat.state {
            State::Held { .. } => SeatView::Held(cell),
            State::Refused => {
                self.remove(key);
                SeatView::Full(None)
            }
            State::Wanted(_) => {
                let ahead = seat.ahead;
                self.change(key, |seat| (seat.terms, seat.patience) = (terms, patience));
                ahead.map_or(SeatView::Pending, |ahead| SeatView::Full(Some(ahead)))
            }
            State::Leaving => {
                if cell.promised() > Boot::default() {
                    // It is kept for the promise: the same occupant may as well have it again.
                    let again = Arc::new(LeaseCell::default());
                    again.promise(cell.promised());
                    let key = Arc::clone(&seat.key);
                    self.put(Seat::wanted(key, terms, patience, again));
                }
                SeatView::Pending
            }
        }
    }

    fn put(&mut self, seat: Seat) {
        self.agenda.set(&seat.key, seat.due(self.learning));
        self.all.insert(Arc::clone(&seat.key), seat);
    }

    /// Changes a seat, and notes when it is due from then on.
    fn change(&mut self, key: &SeatKey, change: impl FnOnce(&mut Seat)) {
        if let Some(seat) = self.all.get_mut(key) {
            change(seat);
            self.agenda.set(&seat.key, seat.due(self.learning));
        }
    }

    fn remove(&mut self, key: &SeatKey) {
        if let Some(seat) = self.all.remove(key) {
            self.agenda.set(&seat.key, None);
        }
    }

    /// Notes anew when each is due, after something about many of them changed.
    fn file_all(&mut self) {
        self.agenda.clear();
        for (key, seat) in &self.all {
            self.agenda.set(key, seat.due(self.learning));
        }
    }

    /// Until when the store learns, if it does.
    pub(super) fn learn(&mut self, until: Option<Boot>) {
        if self.learning != until {
            self.learning = until;
            self.file_all();
        }
    }

    /// The answer to a step, if it is there; whoever asks again has it done again.
    pub(crate) fn errand(&mut self, op: &SeatOp) -> Option<SeatAnswer> {
        let Some(at) = self.errands.iter().position(|errand| errand.op == *op) else {
            self.errands.push(Errand {
                op: op.clone(),
                at: Boot::default(),
                answer: None,
            });
            return None;
        };
        self.errands[at].answer.as_ref()?;
        self.errands.swap_remove(at).answer
    }

    /// Nobody waits for the answer any more.
    pub(crate) fn forget_errand(&mut self, op: &SeatOp) {
        self.errands.retain(|errand| errand.op != *op);
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
        self.change(key, |seat| {
            if Arc::ptr_eq(cell, &seat.cell) && seat.owner.strong_count() == 0 {
                seat.leave();
            }
        });
    }

    /// Gives up a claim, or a seat that was given and not collected.
    pub(crate) fn abandon(&mut self, key: &SeatKey) {
        self.change(key, |seat| {
            if seat.owner.strong_count() == 0 {
                seat.leave();
            }
        });
    }

    /// Gives up every seat of a license.
    pub(crate) fn leave_license(&mut self, license: LicenseId) {
        for (key, seat) in &mut self.all {
            if key.pool.license == license {
                seat.leave();
            }
        }
        self.file_all();
    }

    pub(super) fn release_all(&mut self) {
        self.errands.clear();
        self.all.values_mut().for_each(Seat::leave);
        self.file_all();
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
        self.file_all();
    }

    pub(super) fn is_idle(&self) -> bool {
        let settled = |seat: &Seat| matches!(seat.state, State::Held { .. } | State::Refused);
        self.all.values().all(settled)
    }

    fn errands_due(&self) -> impl Iterator<Item = Boot> + '_ {
        let waiting = self.errands.iter().filter(|errand| errand.answer.is_none());
        waiting.map(|errand| errand.due(self.learning))
    }

    fn next_due(&self) -> Option<Boot> {
        self.errands_due().chain(self.agenda.next()).min()
    }

    pub(super) fn is_due(&self, now: Boot) -> bool {
        self.next_due().is_some_and(|at| at <= now)
    }

    /// How long nothing is due.
    pub(super) fn rest(&self, now: Boot) -> Duration {
        self.next_due().map_or(Duration::MAX, |at| at.since(now))
    }

    /// What is due. Whoever was silent for too long is evicted first, if somebody waits.
    pub(super) fn due(&mut self, now: Boot, incarnation: Incarnation) -> Vec<SeatOp> {
        let mut ops = Vec::new();
        self.asked.clear();
        self.run_errands(now, &mut ops);
        let mut evicted = HashSet::new();
        // Evictions for one claim are no more than an answer shows.
        while ops.len() + MAX_SEEN < MAX_BATCH
            && let Some(key) = self.agenda.take_due(now)
        {
            let Some(seat) = self.all.get(&key) else {
                continue;
            };
            let due = seat.due(self.learning);
            if due.is_none_or(|at| at > now) {
                // A promise was made for longer since.
                self.agenda.set(&key, due);
                continue;
            }
            if matches!(seat.state, State::Wanted(_)) && evicted.insert(key.pool) {
                self.evict(key.pool, now, &mut ops);
            }
            let seat = &self.all[&key];
            let lease = match seat.state {
                State::Held { lease, .. } => lease,
                _ => seat.terms.lease.min(self.longest_lease),
            };
            ops.extend(seat.op(lease, incarnation));
            self.asked.push(About::Seat(key, lease));
        }
        ops
    }

    fn run_errands(&mut self, now: Boot, ops: &mut Vec<SeatOp>) {
        let waiting = self.errands.iter().filter(|errand| errand.answer.is_none());
        let due = waiting.filter(|errand| errand.due(self.learning) <= now);
        for errand in due.take(MAX_SEEN) {
            ops.push(errand.op.clone());
            self.asked.push(About::Errand(errand.op.clone()));
        }
    }

    /// Evicts those of a pool that were silent for longer than any holder goes on.
    fn evict(&mut self, pool: Pool, now: Boot, ops: &mut Vec<SeatOp>) {
        let watched = self
            .watched
            .get(&pool)
            .into_iter()
            .flat_map(HashMap::values);
        let mut dead: Vec<Seen> = watched
            .filter(|(seen, since)| now.since(*since) >= evictor_wait(seen.lease))
            .map(|(seen, _)| *seen)
            .collect();
        dead.sort_unstable_by_key(|seen| seen.heard);
        for seen in dead {
            ops.push(SeatOp::Evict { pool, seen });
            self.asked.push(About::Evicted(pool, seen.id));
        }
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
            if let SeatAnswer::Learning { wait } = answer {
                learning = Some(wait);
            }
            match about {
                About::Evicted(pool, id) => {
                    self.watched.get_mut(&pool).map(|seen| seen.remove(&id));
                }
                About::Errand(op) => {
                    let waiting = self.errands.iter_mut().find(|errand| errand.op == op);
                    if let Some(errand) = waiting
                        && !matches!(answer, SeatAnswer::Learning { .. })
                    {
                        errand.answer = Some(answer);
                    }
                }
                About::Seat(key, lease) => self.answered_one(now, sent, &key, lease, answer),
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
        let Some(seat) = self.all.get(key) else {
            return;
        };
        match (seat.state, answer) {
            (State::Wanted(_), SeatAnswer::Held { fence, .. }) => self.change(key, |seat| {
                seat.cell.fence.store(fence, Ordering::Release);
                seat.ahead = None;
                seat.hold(fence, lease, since);
            }),
            (State::Wanted(_), SeatAnswer::Full { ahead, .. }) => self.change(key, |seat| {
                seat.ahead = ahead;
                seat.state = match (ahead, seat.patience) {
                    (None, Patience::Leave) => State::Refused,
                    _ => State::Wanted(now.plus(POLL)),
                };
            }),
            (State::Held { fence, .. }, SeatAnswer::Renewed) => {
                self.change(key, |seat| seat.hold(fence, lease, since));
            }
            (State::Held { .. }, SeatAnswer::Lost) => {
                seat.cell.lose();
                self.remove(key);
            }
            (State::Leaving, SeatAnswer::Released) => self.remove(key),
            // Left while the answer was on its way, and the release is next; or not answered yet.
            _ => self.change(key, |_| {}),
        }
    }

    /// Starts a stopwatch for everyone that is seen for the first time, or was heard of since.
    fn watch(&mut self, pool: Pool, silent: &[Seen], now: Boot) {
        let before = self.watched.remove(&pool).unwrap_or_default();
        let watched = silent.iter().map(|seen| {
            let known = before.get(&seen.id).filter(|(known, _)| known == seen);
            (seen.id, (*seen, known.map_or(now, |(_, since)| *since)))
        });
        self.watched.insert(pool, watched.collect());
    }

    /// Nothing came of what was asked: it is asked again, and stopwatches start again.
    pub(super) fn undone(&mut self, now: Boot) {
        self.watched.clear();
        for about in std::mem::take(&mut self.asked) {
            match about {
                About::Seat(key, _) => self.change(&key, |seat| {
                    if matches!(seat.state, State::Wanted(_)) {
                        seat.state = State::Wanted(now.plus(POLL));
                    }
                }),
                About::Errand(op) => {
                    let mut waiting = self.errands.iter_mut();
                    if let Some(errand) = waiting.find(|errand| errand.op == op) {
                        errand.at = now.plus(POLL);
                    }
                }
                About::Evicted(..) => {}
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
        let held = held.collect();
        self.file_all();
        held
    }
}
