//! Which rows a request will look at, so that they are fetched in one trip.

use std::collections::BTreeSet;

use phi_verify::Period;

use crate::{
    period::Label,
    store::{Ask, Held, Pool, QuotaKey, Return, SeatOp},
};

/// Rows by their keys, sorted.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    /// What licenses say.
    pub(super) terms: BTreeSet<QuotaKey>,
    /// The last two periods of a quota.
    pub(super) newest: BTreeSet<(QuotaKey, Period)>,
    /// A certain period.
    pub(super) counters: BTreeSet<(QuotaKey, Label)>,
    pub(super) pools: BTreeSet<Pool>,
    /// All sessions of a holder.
    pub(super) holders: BTreeSet<(Pool, String)>,
    /// A place by its number, with all sessions of the holder that is there.
    pub(super) places: BTreeSet<u64>,
}

impl Wanted {
    pub(super) fn by_asks(asks: &[Ask]) -> Self {
        Self {
            terms: asks.iter().map(|ask| ask.key).collect(),
            newest: asks.iter().map(|ask| (ask.key, ask.quota.period)).collect(),
            ..Self::default()
        }
    }

    pub(super) fn by_returns(returns: &[Return]) -> Self {
        Self {
            counters: returns.iter().map(|back| (back.key, back.label)).collect(),
            ..Self::default()
        }
    }

    pub(super) fn by_held(held: &[Held]) -> Self {
        let mut wanted = Self::default();
        for held in held {
            match held {
                Held::Units(units) => {
                    wanted.counters.insert((units.key, units.label));
                }
                Held::Seat {
                    pool,
                    fence,
                    occupant,
                    ..
                } => {
                    wanted.pools.insert(*pool);
                    wanted.holders.insert((*pool, occupant.holder.clone()));
                    wanted.places.insert(*fence);
                }
            }
        }
        wanted
    }

    pub(super) fn by_ops(ops: &[SeatOp]) -> Self {
        let mut wanted = Self::default();
        for op in ops {
            let pool = match op {
                SeatOp::Acquire(claim) => {
                    let holder = claim.occupant.holder.clone();
                    wanted.holders.insert((claim.pool, holder));
                    claim.pool
                }
                SeatOp::Renew { pool, fence } => {
                    wanted.places.insert(*fence);
                    *pool
                }
                SeatOp::Release { pool, occupant, .. } => {
                    wanted.holders.insert((*pool, occupant.holder.clone()));
                    *pool
                }
                SeatOp::Evict { pool, seen } => {
                    wanted.places.insert(seen.id);
                    *pool
                }
                SeatOp::List { pool } | SeatOp::HandBack { pool, .. } => *pool,
                SeatOp::Borrow(loan) => loan.claim.pool,
            };
            wanted.pools.insert(pool);
        }
        wanted
    }
}
