//! The accounts of a node: what it has of each quota, how much it asks for, and when it gives back.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use phi_verify::{Allowance, Quota};

use crate::{
    clock::{Boot, holder_share},
    period::Label,
    slice::Slice,
    store::{Ask, Grant, Held, MAX_BATCH, MAX_SLICE, Overage, QuotaKey, Return},
};

/// Accounts are looked through this often, for periods that ended and units that nobody spends.
pub(super) const SWEEP: Duration = Duration::from_millis(250);
/// A slice is to last this long: a store that is away for less is not noticed.
const LASTS: Duration = Duration::from_secs(1);
/// Units that nobody spent for this long go back, for other nodes.
const IDLE: Duration = Duration::from_secs(5);
/// A refusal holds for this long: a quota that is used up costs the store four requests a second
/// of each node, however many callers it has.
const REFUSED_FOR: Duration = Duration::from_millis(250);
/// At the end of a period units may be spent for this long, or nobody could spend any.
const LAST_MOMENT: Duration = Duration::from_millis(100);

/// What threads see of an account, and spend from it.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) index: usize,
    pub(crate) slice: Slice,
    /// Below this much, more is asked for.
    low: AtomicU64,
    asked: AtomicBool,
    /// What the store had left at its last answer.
    pub(crate) remaining: AtomicU64,
    /// When the period ends, in seconds; the greatest number if it does not.
    pub(crate) resets: AtomicU64,
}

impl Slot {
    /// Whether more is to be asked for, now that so much is left. Of several threads one is told.
    pub(crate) fn is_low(&self, left: u64) -> bool {
        left < self.low.load(Ordering::Relaxed) && !self.asked.swap(true, Ordering::Relaxed)
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
    /// How large a slice is wanted.
    target: u64,
    asked_at: Boot,
    /// Callers that found too little: the least that serves one, and all of it.
    need: Option<(u64, u64)>,
    refused: Option<Refused>,
    /// What was left when the account was last looked at, and since when.
    seen_left: u64,
    seen_at: Boot,
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

    /// The periods that the account knows of, with what was granted and not returned in each.
    fn periods(&self) -> impl Iterator<Item = (Label, u64)> {
        let current = self.label.map(|label| (label, self.held));
        current.into_iter().chain(self.past)
    }

    /// Takes everything out of the hand.
    fn empty(&mut self, returns: &mut Vec<Return>) {
        let units = self.slot.slice.drain();
        self.seen_left = 0;
        if let Some(label) = self.label.filter(|_| units > 0) {
            self.held = self.held.saturating_sub(units);
            returns.push(Return {
                key: self.key,
                label,
                units,
            });
        }
    }

    fn ask(&mut self, now: Boot) -> Ask {
        let need = self.need.take();
        let (least, all) = need.unwrap_or((0, 0));
        let in_hand = self.slot.slice.left();
        if !self.announce && self.held > 0 {
            self.adapt(now);
        }
        let wanted = self.target.max(all).min(MAX_SLICE);
        self.announce = false;
        self.asked_at = now;
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

    /// A slice that was used up sooner than it should is followed by a larger one.
    fn adapt(&mut self, now: Boot) {
        let lasted = now.since(self.asked_at);
        self.target = if lasted < LASTS {
            self.target.saturating_mul(2).min(MAX_SLICE)
        } else if lasted > 4 * LASTS {
            (self.target / 2).max(1)
        } else {
            self.target
        };
    }

    fn granted(&mut self, now: Boot, sent: Boot, ask: Ask, grant: Grant, back: &mut Vec<Return>) {
        let slot = Arc::clone(&self.slot);
        if self.label != Some(grant.label) {
            self.empty(back);
            self.past = self.label.map(|label| (label, self.held));
            self.label = Some(grant.label);
            self.held = 0;
        }
        let until = grant.lasts.map_or(Boot::from_nanos(u64::MAX), |lasts| {
            sent.plus(holder_share(lasts).max(LAST_MOMENT))
        });
        let resets = grant.label.ends().map_or(u64::MAX, |ends| ends.seconds());
        slot.resets.store(resets, Ordering::Relaxed);
        slot.remaining.store(grant.remaining, Ordering::Relaxed);
        self.held = self.held.saturating_add(grant.units);
        if grant.units > 0 {
            slot.slice.add(grant.units, until);
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
        // What the store does not give is not asked for again and again.
        let left = slot.slice.left();
        if grant.units < ask.at_most {
            self.target = self.target.min(left.max(1));
        }
        let low = if grant.units > 0 { left / 2 } else { 0 };
        slot.low.store(low, Ordering::Relaxed);
        slot.asked.store(false, Ordering::Relaxed);
    }
}

/// Every account of a node.
#[derive(Debug, Default)]
pub(crate) struct Quotas {
    accounts: Vec<Account>,
    by_key: HashMap<QuotaKey, usize>,
    /// Accounts that want something of the store.
    wanting: BTreeSet<usize>,
    /// Accounts in the request that is on its way, with what was asked.
    asked: Vec<(usize, Ask)>,
    returns: Vec<Return>,
    swept: Boot,
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
                self.wanting.insert(index);
            }
            return Arc::clone(&account.slot);
        }
        let slot = Arc::new(Slot {
            index,
            slice: Slice::default(),
            low: AtomicU64::new(0),
            asked: AtomicBool::new(false),
            remaining: AtomicU64::new(0),
            resets: AtomicU64::new(u64::MAX),
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
            asked_at: Boot::default(),
            need: None,
            refused: None,
            seen_left: 0,
            seen_at: Boot::default(),
        });
        self.wanting.insert(index);
        slot
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

    pub(crate) fn want(&mut self, slot: &Slot) {
        self.wanting.insert(slot.index);
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
        for (index, account) in self.accounts.iter_mut().enumerate() {
            account.slot.slice.drain();
            account.slot.asked.store(false, Ordering::Relaxed);
            account.label = None;
            account.held = 0;
            account.past = None;
            account.refused = None;
            account.announce = true;
            self.wanting.insert(index);
        }
    }

    /// Ends periods, and takes units back that nobody spends.
    pub(super) fn sweep(&mut self, now: Boot) {
        let mut low = self.low.lock().unwrap_or_else(PoisonError::into_inner);
        for index in low.drain(..) {
            self.wanting.insert(index);
        }
        drop(low);
        if now.since(self.swept) < SWEEP {
            return;
        }
        self.swept = now;
        for account in &mut self.accounts {
            let left = account.slot.slice.left();
            if left != account.seen_left {
                (account.seen_left, account.seen_at) = (left, now);
            }
            let idle = now.since(account.seen_at) >= IDLE;
            if left > 0 && (idle || account.slot.slice.is_late(now)) {
                account.empty(&mut self.returns);
                account.target = 1;
            }
        }
    }

    pub(super) fn wants(&self) -> bool {
        !self.wanting.is_empty()
    }

    /// Whether nothing goes back any more.
    pub(super) fn is_idle(&self) -> bool {
        self.returns.is_empty()
    }

    pub(super) fn returns(&mut self) -> Vec<Return> {
        let rest = self.returns.split_off(self.returns.len().min(MAX_BATCH));
        std::mem::replace(&mut self.returns, rest)
    }

    pub(super) fn asks(&mut self, now: Boot) -> Vec<Ask> {
        self.asked.clear();
        while let Some(index) = self.wanting.pop_first() {
            let account = &mut self.accounts[index];
            if account.slot.slice.left() > 0 && account.slot.slice.is_late(now) {
                account.empty(&mut self.returns);
            }
            let announced = account.announce && account.need.is_none();
            let mut ask = account.ask(now);
            if announced {
                // The terms alone: nobody needs units yet.
                ask.at_most = 0;
            }
            self.asked.push((index, ask));
            if self.asked.len() == MAX_BATCH {
                break;
            }
        }
        self.asked.iter().map(|(_, ask)| *ask).collect()
    }

    pub(super) fn granted(&mut self, now: Boot, sent: Boot, grants: &[Grant]) {
        for ((index, ask), grant) in std::mem::take(&mut self.asked).into_iter().zip(grants) {
            let account = &mut self.accounts[index];
            account.granted(now, sent, ask, *grant, &mut self.returns);
            if account.need.is_some() || account.announce {
                self.wanting.insert(index);
            }
        }
    }

    /// Nothing came of what was asked: whoever still needs it says so.
    pub(super) fn undone(&mut self) {
        for (index, _) in std::mem::take(&mut self.asked) {
            let account = &mut self.accounts[index];
            account.slot.asked.store(false, Ordering::Relaxed);
            account.announce = true;
            self.wanting.insert(index);
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
