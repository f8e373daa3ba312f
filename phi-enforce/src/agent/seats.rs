//! The seats of a node: who holds one and until when, who waits, and who is waited for.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use phi_verify::LicenseId;

use super::{
    ranked::Ranked,
    seat::{LeaseCell, POLL, Seat, SeatKey, SeatTerms, SeatView, State},
};
use crate::{
    clock::{Boot, evictor_wait},
    gate::Owner,
    store::{Held, Incarnation, MAX_BATCH, MAX_SEEN, Patience, Pool, SeatAnswer, SeatOp, Seen},
};

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
    agenda: Ranked<Boot, Arc<SeatKey>>,
    /// Who waits in which pool, in the order in which they joined its queue.
    lines: HashMap<Pool, Ranked<u64, Arc<SeatKey>>>,
    /// How many have joined any.
    joined: u64,
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
            agenda: Ranked::default(),
            lines: HashMap::new(),
            joined: 0,
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
        let key = Arc::clone(&seat.key);
        self.all.insert(Arc::clone(&key), seat);
        self.change(&key, |_| {});
    }

    /// Changes a seat, and notes when it is due from then on and where it waits.
    fn change(&mut self, key: &SeatKey, change: impl FnOnce(&mut Seat)) {
        if let Some(seat) = self.all.get_mut(key) {
            change(seat);
            self.agenda.set(&seat.key, seat.due(self.learning));
            stand(&mut self.lines, &seat.key, seat.in_line());
        }
    }

    fn remove(&mut self, key: &SeatKey) {
        if let Some(seat) = self.all.remove(key) {
            self.agenda.set(&seat.key, None);
            stand(&mut self.lines, &seat.key, None);
        }
    }

    /// Notes all of it anew, after something about many of them changed.
    fn file_all(&mut self) {
        self.agenda.clear();
        self.lines.clear();
        for (key, seat) in &self.all {
            self.agenda.set(key, seat.due(self.learning));
            stand(&mut self.lines, key, seat.in_line());
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
        self.errands_due().chain(self.agenda.lowest()).min()
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
            && let Some(key) = self.agenda.take_first(now)
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
        for seen in dead.into_iter().take(MAX_SEEN) {
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
        let mut freed: BTreeMap<Pool, usize> = BTreeMap::new();
        for (about, answer) in std::mem::take(&mut self.asked).into_iter().zip(answers) {
            if let SeatAnswer::Learning { wait } = answer {
                learning = Some(wait);
            }
            if let (About::Seat(key, _), SeatAnswer::Released | SeatAnswer::Held { .. }) =
                (&about, &answer)
            {
                // Where one was free there may be others.
                *freed.entry(key.pool).or_default() += 1;
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
        for (pool, free) in freed {
            self.call(pool, free, now);
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
            (State::Wanted(_), SeatAnswer::Full { ahead, .. }) => {
                self.joined += 1;
                let number = self.joined;
                self.change(key, |seat| {
                    seat.number.get_or_insert(number);
                    seat.full(ahead, now);
                });
            }
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

    /// Starts a stopwatch for everyone that is seen for the first time, or was heard of since. Who
    /// is not seen this time may be hidden from this claim, and goes on.
    fn watch(&mut self, pool: Pool, silent: &[Seen], now: Boot) {
        let watched = self.watched.entry(pool).or_default();
        for seen in silent {
            let (known, _) = watched.entry(seen.id).or_insert((*seen, now));
            if known != seen {
                watched.insert(seen.id, (*seen, now));
            }
        }
    }

    /// So many seats of a pool may be free: those who wait here at its front ask at once, and some
    /// more, for those who may not have the free ones.
    fn call(&mut self, pool: Pool, free: usize, now: Boot) {
        let line = self.lines.get(&pool).into_iter().flat_map(Ranked::iter);
        let first: Vec<_> = line
            .map(|(_, key)| Arc::clone(key))
            .take(2 * free)
            .collect();
        for key in first {
            self.change(&key, |seat| seat.state = State::Wanted(now));
        }
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

/// Notes where somebody waits.
fn stand(
    lines: &mut HashMap<Pool, Ranked<u64, Arc<SeatKey>>>,
    key: &Arc<SeatKey>,
    place: Option<u64>,
) {
    if place.is_none() && !lines.contains_key(&key.pool) {
        return;
    }
    let line = lines.entry(key.pool).or_default();
    line.set(key, place);
    if line.lowest().is_none() {
        lines.remove(&key.pool);
    }
}
