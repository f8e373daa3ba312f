//! The accounts of a node: what it has of each quota, how much it asks for, and when it gives back.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use event_listener::{Event, EventListener, Listener as _};
use phi_verify::{Allowance, Quota};

use crate::{
    clock::{Boot, holder_share},
    period::Label,
    slice::Slice,
    store::{Ask, Grant, Held, MAX_BATCH, MAX_SLICE, Overage, QuotaKey, Return},
};

/// A node that has nothing to do looks at its clocks this often.
pub(super) const SWEEP: Duration = Duration::from_millis(250);
/// An account with units is looked at this often, for a period that ended and units that nobody
/// spends: often enough for those times, and a hundred thousand of them cost a core some thousandths.
const LOOK: Duration = Duration::from_secs(1);
/// A slice is to last this long: a store that is away for half of it is not noticed, and a hundred
/// thousand quotas that are used all the time ask for no more than the store can give out.
const LASTS: Duration = Duration::from_secs(10);
/// A slice of a quota without a limit is missing to nobody. What dies with a node is recorded as
/// used, so that it is not more than this much use.
const LASTS_UNLIMITED: Duration = Duration::from_secs(60);
/// By how much a slice grows at once: what is in the hand stays below a few times what was used.
const GROWTH: u64 = 4;
/// Units that nobody spent for this long go back, for other nodes.
const IDLE: Duration = Duration::from_secs(5);
/// Units without a limit, which no other node waits for, go back to be off the record.
const IDLE_UNLIMITED: Duration = Duration::from_secs(60);
/// A refusal holds for this long: a quota that is used up costs the store four requests a second
/// of each node, however many callers it has.
const REFUSED_FOR: Duration = Duration::from_millis(250);
/// At the end of a period units may be spent for this long, or nobody could spend any.
const LAST_MOMENT: Duration = Duration::from_millis(100);

/// What threads see of an account, and spend from it. It is as large as a line of the processor's
/// cache: whoever decides about one of many quotas waits for memory once.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Slot {
    pub(crate) index: usize,
    pub(crate) slice: Slice,
    /// Below this much, more is asked for; nothing once it is.
    low: AtomicU64,
    /// When the period ends, in seconds; the greatest number if it does not.
    pub(crate) resets: AtomicU64,
    /// Tells callers who found too little that something came of what was asked for them, after it
    /// was counted.
    pub(crate) heard: Event,
}

impl Slot {
    /// Whether more is to be asked for, now that so much is left. Of several threads one is told.
    pub(crate) fn is_low(&self, left: u64) -> bool {
        left < self.low.load(Ordering::Relaxed) && left < self.low.swap(0, Ordering::Relaxed)
    }
}

/// What a caller waits for that found too little.
#[derive(Debug)]
pub(crate) struct Awaited {
    slot: Arc<Slot>,
    /// How many answers there were before.
    known: u64,
}

impl Awaited {
    /// The next answer. Made while the agent is locked, none is missed.
    pub(crate) fn new(slot: &Arc<Slot>) -> Self {
        Self {
            known: slot.slice.answers(),
            slot: Arc::clone(slot),
        }
    }

    /// Waits for it, at most this long.
    pub(crate) fn wait(&self, most: Duration) {
        if let Some(listener) = self.listen() {
            listener.wait_timeout(most);
        }
    }

    /// Listens for it, unless it came.
    pub(crate) fn listen(&self) -> Option<EventListener> {
        let listener = self.slot.heard.listen();
        (self.slot.slice.answers() == self.known).then_some(listener)
    }
}

/// What a license says about a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) revision: u64,
    pub(crate) quota: Quota,
    pub(crate) overage: Overage,
}

/// A refusal that still holds.
#[derive(Clone, Copy, Debug)]
struct Refused {
    units: u64,
    until: Boot,
}

/// What a node has of one quota.
#[derive(Debug)]
pub(crate) struct Account {
    key: QuotaKey,
    slot: Arc<Slot>,
    terms: Terms,
    /// The license changed, and the store is to know.
    announce: bool,
    label: Option<Label>,
    /// Units of the period that were granted and not returned.
    held: u64,
    /// The same of the period before: a store that goes back may have forgotten its end.
    past: Option<(Label, u64)>,
    /// How large a slice is wanted, and how much would be used while one lasts.
    target: u64,
    pace: u64,
    /// When more was asked for last, and what had been spent of the period by then.
    asked_at: Boot,
    spent_then: u64,
    /// Callers that found too little: the least that serves one, and all of it.
    need: Option<(u64, u64)>,
    refused: Option<Refused>,
    /// What was left when the account was last looked at, and since when.
    seen_left: u64,
    seen_at: Boot,
    /// Whether it is among those that are looked at.
    watched: bool,
    queued: Queued,
}

/// Whether an account waits to be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Queued {
    No,
    /// Nobody waits for it: it runs low, or the store is to know its terms.
    Later,
    /// Callers wait.
    Soon,
}

impl Account {
    /// Whether so many were just refused, and for how long it holds.
    pub(crate) fn refused(&self, units: u64, now: Boot) -> Option<Duration> {
        let refused = self.refused?;
        let holds = units >= refused.units && now < refused.until;
        holds.then(|| refused.until.since(now))
    }

    /// A caller found too little.
    pub(crate) fn need(&mut self, units: u64) {
        let (least, all) = self.need.unwrap_or((u64::MAX, 0));
        self.need = Some((least.min(units), all.saturating_add(units)));
    }

    /// Counts an answer, and says whose callers wait for it.
    fn tell(&self) -> Arc<Slot> {
        self.slot.slice.count_answer();
        Arc::clone(&self.slot)
    }

    /// The periods that the account knows of, with what was granted and not returned in each.
    fn periods(&self) -> impl Iterator<Item = (Label, u64)> {
        let current = self.label.map(|label| (label, self.held));
        current.into_iter().chain(self.past)
    }

    /// Takes everything out of the hand.
    fn empty(&mut self, returns: &mut VecDeque<Return>) {
        let units = self.slot.slice.drain();
        self.seen_left = 0;
        if let Some(label) = self.label.filter(|_| units > 0) {
            self.held = self.held.saturating_sub(units);
            returns.push_back(Return {
                key: self.key,
                label,
                units,
            });
        }
    }

    /// How long a slice is to last.
    const fn lasts(&self) -> Duration {
        match self.terms.quota.allowance {
            Allowance::Limited(_) => LASTS,
            Allowance::Unlimited => LASTS_UNLIMITED,
        }
    }

    /// After how long units that nobody spends go back.
    const fn idle(&self) -> Duration {
        match self.terms.quota.allowance {
            Allowance::Limited(_) => IDLE,
            Allowance::Unlimited => IDLE_UNLIMITED,
        }
    }

    fn ask(&mut self, now: Boot) -> Ask {
        let need = self.need.take();
        let (least, all) = need.unwrap_or((0, 0));
        let in_hand = self.slot.slice.left();
        let spent = self.held.saturating_sub(in_hand);
        if !self.announce && self.held > 0 {
            self.adapt(now.since(self.asked_at), spent);
        }
        // The terms alone, if nobody needs units yet.
        let wanted = if self.announce && need.is_none() {
            0
        } else {
            self.target.max(all).min(MAX_SLICE)
        };
        self.announce = false;
        (self.asked_at, self.spent_then) = (now, spent);
        Ask {
            key: self.key,
            revision: self.terms.revision,
            quota: self.terms.quota,
            overage: self.terms.overage,
            at_least: least,
            at_most: wanted.saturating_sub(in_hand).max(least),
            in_hand,
        }
    }

    /// A slice is as large as what is used while it should last, by what was used since the last
    /// one was asked for.
    fn adapt(&mut self, passed: Duration, spent: u64) {
        let used = u128::from(spent.saturating_sub(self.spent_then));
        let pace = used.saturating_mul(self.lasts().as_nanos()) / passed.as_nanos().max(1);
        self.pace = u64::try_from(pace).unwrap_or(u64::MAX);
        let (least, most) = (self.target / 2, self.target.saturating_mul(GROWTH));
        self.target = self.pace.clamp(least.max(1), most.min(MAX_SLICE));
    }

    fn granted(
        &mut self,
        now: Boot,
        sent: Boot,
        ask: Ask,
        grant: Grant,
        back: &mut VecDeque<Return>,
    ) {
        let slot = Arc::clone(&self.slot);
        if self.label != Some(grant.label) {
            self.empty(back);
            self.past = self.label.map(|label| (label, self.held));
            self.label = Some(grant.label);
            (self.held, self.spent_then) = (0, 0);
        }
        let until = grant.lasts.map_or(Boot::from_nanos(u64::MAX), |lasts| {
            sent.plus(holder_share(lasts).max(LAST_MOMENT))
        });
        let resets = grant.label.ends().map_or(u64::MAX, |ends| ends.seconds());
        slot.resets.store(resets, Ordering::Relaxed);
        self.held = self.held.saturating_add(grant.units);
        slot.slice.add(grant.units, until, grant.remaining);
        if grant.units > 0 {
            self.seen_left = slot.slice.left();
            self.seen_at = now;
        }
        // More in advance is not given near the end of a quota, and refuses nobody.
        let refused = grant.units == 0 && (ask.at_least > 0 || grant.remaining == 0);
        let lasts = grant
            .lasts
            .map_or(REFUSED_FOR, |lasts| lasts.min(REFUSED_FOR));
        self.refused = refused.then(|| Refused {
            units: ask.at_least.max(1),
            until: now.plus(lasts),
        });
        let left = slot.slice.left();
        let low = if grant.units < ask.at_most {
            // What the store does not give is not asked for again and again.
            self.target = self.target.min(left.max(1));
            self.low_when_short(now.since(sent), ask, left)
        } else {
            left / 2
        };
        let low = if grant.units > 0 { low } else { 0 };
        slot.low.store(low, Ordering::Relaxed);
    }

    /// When to ask for more of a quota of which the store gives no more at once. What is asked for
    /// early comes short by what is still in the hand: where callers wait for the answer all the
    /// same, it is asked for when nothing is left.
    fn low_when_short(&self, took: Duration, ask: Ask, left: u64) -> u64 {
        let waited = ask.at_least > 0 || self.need.is_some();
        let meanwhile = u128::from(self.pace) * took.as_nanos() / self.lasts().as_nanos();
        if waited && meanwhile * 5 > u128::from(left) * 2 {
            0
        } else {
            left / 2
        }
    }
}

/// Every account of a node. What is done at a step is as much as has changed, however many there
/// are.
#[derive(Debug, Default)]
pub(crate) struct Quotas {
    accounts: Vec<Account>,
    by_key: HashMap<QuotaKey, usize>,
    /// Accounts that want something of the store: those that callers wait for, and the others. One
    /// that has come to wait more urgently is in both, and is not [queued](Queued) any more when
    /// its second turn comes.
    soon: VecDeque<usize>,
    later: VecDeque<usize>,
    /// Accounts in the request that is on its way, with what was asked.
    asked: Vec<(usize, Ask)>,
    returns: VecDeque<Return>,
    /// Whether the last request gave units back.
    returned: bool,
    /// Accounts with units in the hand, by when they are looked at next.
    looks: VecDeque<(Boot, usize)>,
    /// Slots whose callers are to be told, once nobody has to wait for the agent.
    told: Vec<Arc<Slot>>,
    /// Accounts of which threads say that they run low.
    pub(crate) low: Arc<Mutex<Vec<usize>>>,
}

impl Quotas {
    /// The account of a quota, under the terms that hold now. Units that were given out under
    /// others go back.
    pub(crate) fn open(&mut self, key: QuotaKey, terms: Terms) -> Arc<Slot> {
        let index = *self.by_key.entry(key).or_insert(self.accounts.len());
        if let Some(account) = self.accounts.get_mut(index) {
            if account.terms != terms {
                account.terms = terms;
                account.announce = true;
                account.refused = None;
                account.empty(&mut self.returns);
                self.queue(index, Queued::Later);
            }
            return Arc::clone(&self.accounts[index].slot);
        }
        let slot = Arc::new(Slot {
            index,
            slice: Slice::default(),
            low: AtomicU64::new(0),
            resets: AtomicU64::new(u64::MAX),
            heard: Event::new(),
        });
        self.accounts.push(Account {
            key,
            slot: Arc::clone(&slot),
            terms,
            announce: true,
            label: None,
            held: 0,
            past: None,
            target: 1,
            pace: 0,
            asked_at: Boot::default(),
            spent_then: 0,
            need: None,
            refused: None,
            seen_left: 0,
            seen_at: Boot::default(),
            watched: false,
            queued: Queued::No,
        });
        self.queue(index, Queued::Later);
        slot
    }

    fn queue(&mut self, index: usize, queued: Queued) {
        let account = &mut self.accounts[index];
        if queued <= account.queued {
            return;
        }
        account.queued = queued;
        match queued {
            Queued::Soon => self.soon.push_back(index),
            Queued::Later | Queued::No => self.later.push_back(index),
        }
    }

    /// A license that does not have the quota any more: nothing is left of it.
    pub(crate) fn close(&mut self, key: QuotaKey, revision: u64) {
        let Some(account) = self.by_key.get(&key).map(|index| &self.accounts[*index]) else {
            return;
        };
        let quota = Quota {
            allowance: Allowance::Limited(0),
            ..account.terms.quota
        };
        let overage = Overage::Deny;
        self.open(
            key,
            Terms {
                revision,
                quota,
                overage,
            },
        );
    }

    /// The account of a slot, for a caller that found too little in it.
    pub(crate) fn account(&mut self, slot: &Slot) -> &mut Account {
        &mut self.accounts[slot.index]
    }

    /// A caller waits for units of a slot.
    pub(crate) fn want(&mut self, slot: &Slot) {
        self.queue(slot.index, Queued::Soon);
    }

    /// Units of a license's quotas that are in the hand go back.
    pub(crate) fn return_slot(&mut self, slot: &Slot) {
        self.accounts[slot.index].empty(&mut self.returns);
    }

    pub(super) fn return_all(&mut self) {
        for account in &mut self.accounts {
            account.empty(&mut self.returns);
        }
    }

    /// Forgets everything that was given out: the store goes on charging it.
    pub(super) fn burn(&mut self) {
        self.returns.clear();
        self.asked.clear();
        for account in &mut self.accounts {
            account.slot.slice.drain();
            account.label = None;
            (account.held, account.spent_then) = (0, 0);
            account.past = None;
            account.refused = None;
            account.announce = true;
        }
        for index in 0..self.accounts.len() {
            self.queue(index, Queued::Later);
        }
    }

    /// Something else than units came of what callers wait for: whoever still does says so again.
    pub(super) fn tell_all(&mut self) {
        let asked = self.asked.iter().filter(|(_, ask)| ask.at_least > 0);
        for index in asked.map(|(index, _)| index).chain(&self.soon) {
            self.told.push(self.accounts[*index].tell());
        }
    }

    /// Slots whose callers are to be told of something that was counted already.
    pub(crate) fn told(&mut self) -> Vec<Arc<Slot>> {
        std::mem::take(&mut self.told)
    }

    /// Hears what runs low, and looks at the accounts whose time has come.
    pub(super) fn sweep(&mut self, now: Boot) {
        let low = Arc::clone(&self.low);
        let mut low = low.lock().unwrap_or_else(PoisonError::into_inner);
        for index in low.drain(..) {
            self.queue(index, Queued::Later);
        }
        drop(low);
        for _ in 0..MAX_BATCH {
            let due = self.looks.front().filter(|(at, _)| *at <= now);
            let Some((_, index)) = due.copied() else {
                return;
            };
            self.looks.pop_front();
            self.look(index, now);
        }
    }

    /// Ends a period, and takes units back that nobody spends.
    fn look(&mut self, index: usize, now: Boot) {
        let account = &mut self.accounts[index];
        let left = account.slot.slice.left();
        if left != account.seen_left {
            (account.seen_left, account.seen_at) = (left, now);
        }
        if left > 0 && now.since(account.seen_at) >= account.idle() {
            account.empty(&mut self.returns);
            account.target = 1;
        } else if left > 0 && account.slot.slice.is_late(now) {
            account.empty(&mut self.returns);
        }
        account.watched = account.seen_left > 0;
        if account.watched {
            self.looks.push_back((now.plus(LOOK), index));
        }
    }

    /// How long nothing is to be done, unless something is wanted.
    pub(super) fn rest(&self, now: Boot) -> Duration {
        let look = self.looks.front();
        look.map_or(SWEEP, |(at, _)| at.since(now).min(SWEEP))
    }

    pub(super) fn wants(&self) -> bool {
        !self.soon.is_empty() || !self.later.is_empty()
    }

    /// Whether nothing goes back any more.
    pub(super) fn is_idle(&self) -> bool {
        self.returns.is_empty()
    }

    /// What goes back now. Callers who wait for units, where some may be asked for, are not held up
    /// by more than one batch of it.
    pub(super) fn returns(&mut self, may_ask: bool) -> Vec<Return> {
        let turn = self.returned && may_ask && !self.soon.is_empty();
        let most = if turn { 0 } else { MAX_BATCH };
        let batch = self.returns.len().min(most);
        self.returned = batch > 0;
        self.returns.drain(..batch).collect()
    }

    pub(super) fn asks(&mut self, now: Boot) -> Vec<Ask> {
        self.asked.clear();
        while self.asked.len() < MAX_BATCH {
            let next = self.soon.pop_front().or_else(|| self.later.pop_front());
            let Some(index) = next else {
                break;
            };
            let account = &mut self.accounts[index];
            if account.queued == Queued::No {
                continue;
            }
            account.queued = Queued::No;
            if account.slot.slice.left() > 0 && account.slot.slice.is_late(now) {
                account.empty(&mut self.returns);
            }
            self.asked.push((index, account.ask(now)));
        }
        self.asked.iter().map(|(_, ask)| *ask).collect()
    }

    pub(super) fn granted(&mut self, now: Boot, sent: Boot, grants: &[Grant]) {
        for ((index, ask), grant) in std::mem::take(&mut self.asked).into_iter().zip(grants) {
            let account = &mut self.accounts[index];
            account.granted(now, sent, ask, *grant, &mut self.returns);
            // Who found too little meanwhile looks again too, and asks again if that was in vain.
            if ask.at_least > 0 || account.need.take().is_some() {
                self.told.push(account.tell());
            }
            if !account.watched && account.seen_left > 0 {
                account.watched = true;
                self.looks.push_back((now.plus(LOOK), index));
            }
            if account.announce {
                self.queue(index, Queued::Later);
            }
        }
    }

    /// Nothing came of what was asked: whoever still needs it says so.
    pub(super) fn undone(&mut self) {
        for (index, ask) in std::mem::take(&mut self.asked) {
            self.accounts[index].announce = true;
            if ask.at_least > 0 {
                self.told.push(self.accounts[index].tell());
            }
            self.queue(index, Queued::Later);
        }
    }

    /// All that the store is to know, after its history changed. What was to go back is told by
    /// what is left.
    pub(super) fn held(&mut self) -> Vec<Held> {
        let told = |back: &Return| {
            let account = self
                .by_key
                .get(&back.key)
                .map(|index| &self.accounts[*index]);
            account.is_some_and(|account| account.periods().any(|(label, _)| label == back.label))
        };
        let mut returns = std::mem::take(&mut self.returns);
        returns.retain(|back| !told(back));
        self.returns = returns;
        let held = self.accounts.iter().flat_map(|account| {
            let key = account.key;
            account
                .periods()
                .map(move |(label, units)| Held::Units(Return { key, label, units }))
        });
        held.collect()
    }
}
