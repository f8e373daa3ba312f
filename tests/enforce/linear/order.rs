//! What nodes would be told that came one at a time.

use std::collections::BTreeMap;

use phi_enforce::{SeatAnswer, Seen};
use phi_verify::Allowance;
use stateright::semantics::SequentialSpec;

/// An order that is known already: it is to be shown that it explains what was told, and that
/// nothing in it is before what had ended when it began. To look for one among the orders of a
/// thousand requests takes longer than anyone waits.
#[derive(Clone, Debug)]
pub(super) struct Numbered<S> {
    order: S,
    next: usize,
}

impl<S> Numbered<S> {
    pub(super) const fn new(order: S) -> Self {
        Self { order, next: 0 }
    }
}

impl<S: SequentialSpec> SequentialSpec for Numbered<S> {
    type Op = S::Op;
    type Ret = (Option<usize>, S::Ret);

    fn invoke(&mut self, call: &S::Op) -> Self::Ret {
        (None, self.order.invoke(call))
    }

    fn is_valid_step(&mut self, call: &S::Op, (number, told): &Self::Ret) -> bool {
        let is_next = number.is_none_or(|number| number == self.next);
        self.next += 1;
        is_next && self.order.is_valid_step(call, told)
    }
}

/// A quota: so many units, and who has them.
#[derive(Clone, Debug)]
pub(super) struct Units {
    left: u64,
    held: BTreeMap<u8, u64>,
}

#[derive(Clone, Debug)]
pub(super) enum UnitCall {
    Grant { node: u8, least: u64, most: u64 },
    GiveBack { node: u8, units: u64 },
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct UnitTold {
    pub(super) units: u64,
    /// What can still be given out; a return does not say it.
    pub(super) left: Option<u64>,
}

impl Units {
    pub(super) fn new(limit: u64) -> Self {
        Self {
            left: limit,
            held: BTreeMap::new(),
        }
    }
}

impl SequentialSpec for Units {
    type Op = UnitCall;
    type Ret = UnitTold;

    fn invoke(&mut self, _: &UnitCall) -> UnitTold {
        unreachable!("nodes repeat a request until it is answered")
    }

    fn is_valid_step(&mut self, call: &UnitCall, told: &UnitTold) -> bool {
        match *call {
            UnitCall::Grant { node, least, most } => {
                // How much more than what is needed is the store's to choose.
                let given = (least.max(1)..=most).contains(&told.units);
                let fits = told.units <= self.left && (given || least == 0 || self.left < least);
                if !fits || !given && told.units > 0 {
                    return false;
                }
                self.left -= told.units;
                *self.held.entry(node).or_default() += told.units;
                told.left == Some(self.left)
            }
            UnitCall::GiveBack { node, units } => {
                let held = self.held.entry(node).or_default();
                let taken = units.min(*held);
                *held -= taken;
                self.left += taken;
                told.units == taken
            }
        }
    }
}

/// A pool of seats.
#[derive(Clone, Debug)]
pub(super) struct Seating {
    limit: usize,
    /// By their fence.
    seats: BTreeMap<u64, Seat>,
    newest: u64,
}

#[derive(Clone, Debug)]
struct Seat {
    node: u8,
    /// When it was heard of, by the store's counter, if anybody was told.
    heard: Option<u64>,
}

#[derive(Clone, Debug)]
pub(super) enum SeatCall {
    Claim(u8),
    Renew(u64),
    Release(u8),
    Evict(Seen),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct SeatTold(pub(super) SeatAnswer);

impl Seating {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            seats: BTreeMap::new(),
            newest: 0,
        }
    }

    fn of(&self, node: u8) -> Option<u64> {
        let own = self.seats.iter().find(|(_, seat)| seat.node == node);
        own.map(|(fence, _)| *fence)
    }

    fn claim(&mut self, node: u8, told: &SeatAnswer) -> bool {
        match (told, self.of(node)) {
            (SeatAnswer::Held { fence, free }, own) => {
                let first = own.is_none() && self.seats.len() < self.limit && *fence > self.newest;
                let heard = first.then_some(*fence);
                self.newest = self.newest.max(*fence);
                self.seats.insert(*fence, Seat { node, heard });
                (first || own == Some(*fence))
                    && *free == Allowance::Limited((self.limit - self.seats.len()) as u64)
            }
            (SeatAnswer::Full { silent, .. }, None) => self.is_full(silent),
            _ => false,
        }
    }

    /// Everybody is there, those first that were silent longest.
    fn is_full(&mut self, silent: &[Seen]) -> bool {
        self.seats.len() == self.limit
            && silent.len() == self.limit
            && silent.is_sorted_by_key(|seen| seen.heard)
            && silent.iter().all(|seen| {
                self.seats
                    .get_mut(&seen.id)
                    .is_some_and(|seat| *seat.heard.get_or_insert(seen.heard) == seen.heard)
            })
    }
}

impl SequentialSpec for Seating {
    type Op = SeatCall;
    type Ret = SeatTold;

    fn invoke(&mut self, _: &SeatCall) -> SeatTold {
        unreachable!("nodes repeat a request until it is answered")
    }

    fn is_valid_step(&mut self, call: &SeatCall, SeatTold(told): &SeatTold) -> bool {
        match call {
            SeatCall::Claim(node) => self.claim(*node, told),
            SeatCall::Renew(fence) => {
                let seat = self.seats.get_mut(fence);
                let expected = match seat {
                    Some(seat) => {
                        seat.heard = None;
                        SeatAnswer::Renewed
                    }
                    None => SeatAnswer::Lost,
                };
                *told == expected
            }
            SeatCall::Release(node) => {
                if let Some(fence) = self.of(*node) {
                    self.seats.remove(&fence);
                }
                *told == SeatAnswer::Released
            }
            SeatCall::Evict(seen) => {
                // Whoever was told of before it renewed is not who is there.
                let seat = self.seats.get(&seen.id);
                let expected = if seat.is_some_and(|seat| seat.heard == Some(seen.heard)) {
                    self.seats.remove(&seen.id);
                    SeatAnswer::Evicted
                } else {
                    SeatAnswer::Changed
                };
                *told == expected
            }
        }
    }
}
