//! One seat of a node: who it is for, what threads see of it, and what the store is asked about it.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use phi_verify::Allowance;

use crate::{
    clock::Boot,
    gate::Owner,
    groups::Reserved,
    store::{Claim, Incarnation, Occupant, Patience, Pool, SeatOp},
};

/// Whoever waits at the front asks this often: a seat that another node gives up is taken within it.
pub(super) const POLL: Duration = Duration::from_millis(100);
/// So many are at the front; those behind them ask half as often, and so on, so that a store has a
/// few thousand questions a second of a thousand who wait.
const ROW: u64 = 64;
/// How seldom at the most: the front may be gone by then.
const SELDOM: Duration = Duration::from_millis(500);
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
    pub(super) fn promised(&self) -> Boot {
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

    pub(super) fn lose(&self) {
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
pub(super) enum State {
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

/// A seat of the node's, or a claim of one.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) key: Arc<SeatKey>,
    pub(super) terms: SeatTerms,
    pub(super) patience: Patience,
    pub(super) state: State,
    /// The place in the queue that was told last.
    pub(super) ahead: Option<u64>,
    /// Rises in the order in which those of this node joined queues.
    pub(super) number: Option<u64>,
    pub(super) cell: Arc<LeaseCell>,
    pub(super) owner: Weak<Owner>,
}

impl Seat {
    pub(super) fn wanted(
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
            number: None,
            cell,
            owner: Weak::new(),
        }
    }

    pub(super) fn leave(&mut self) {
        self.cell.lose();
        self.state = State::Leaving;
    }

    /// When the store is to be asked something about it.
    pub(super) fn due(&self, learning: Option<Boot>) -> Option<Boot> {
        match self.state {
            State::Wanted(at) => Some(learning.map_or(at, |until| at.max(until))),
            State::Held { renew, .. } => Some(renew),
            State::Leaving => Some(self.cell.promised()),
            State::Refused => None,
        }
    }

    /// Where it stands among those of this node that wait in a queue, while it does.
    pub(super) fn in_line(&self) -> Option<u64> {
        let waits = self.ahead.is_some() && matches!(self.state, State::Wanted(_));
        self.number.filter(|_| waits)
    }

    /// There is none, yet or at all. Whoever is far behind asks less often; no place in a queue is
    /// kept for those who are silent, either.
    pub(super) fn full(&mut self, ahead: Option<u64>, now: Boot) {
        self.ahead = ahead;
        if ahead.is_none() && self.patience == Patience::Leave {
            self.state = State::Refused;
            return;
        }
        let rows = u32::try_from(ahead.unwrap_or(0) / ROW).unwrap_or(u32::MAX);
        let pause = POLL.saturating_mul(rows.saturating_add(1));
        let longest = SELDOM.min(self.terms.lease / RENEWED_AFTER);
        self.state = State::Wanted(now.plus(pause.min(longest).max(POLL)));
    }

    /// What the store is asked.
    pub(super) fn op(&self, lease: Duration, incarnation: Incarnation) -> Option<SeatOp> {
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
    pub(super) fn hold(&mut self, fence: u64, lease: Duration, since: Boot) {
        // From before the request was sent: the store heard of it after that.
        self.cell.hold(since.plus(lease));
        self.state = State::Held {
            fence,
            lease,
            renew: since.plus(lease / RENEWED_AFTER),
        };
    }
}
