//! Calls of a gate that a task awaits: as patient as those that block a thread.
//!
//! Each tries first and awaits only if the answer is not there. They may be dropped at any moment:
//! units are taken with the last step or not at all, and a claim that nobody awaits any more is
//! given up. Timers are tokio's, so they are polled in its runtime, with its time driver on.

use std::{ops::ControlFlow, time::Duration};

use phi_verify::{Binding, LimitCode, QuotaCode, UnixTime};

use super::{Gate, Lease, PATIENCE, Taken, Untaken};
use crate::{
    borrowed::BorrowedSeat,
    clock::Boot,
    refusal::Refusal,
    site_key::SiteKey,
    store::{Occupant, Patience, SeatAnswer, SeatOp},
};

impl Gate {
    /// As [`Gate::take`], for a task.
    ///
    /// # Errors
    /// Why it is not admitted. Nothing was taken.
    pub async fn take_async(&self, quota: QuotaCode, units: u64) -> Result<Taken, Refusal> {
        let hub = &self.ward.hub;
        let mut until = None;
        loop {
            let awaited = match self.ward.take(quota, units) {
                Err(Untaken::Awaits(awaited)) => awaited,
                answer => return answer.map_err(Refusal::from),
            };
            let until = *until.get_or_insert_with(|| hub.clock.now().boot.plus(PATIENCE));
            let most = match hub.judge(Err(Refusal::NotYet), until) {
                ControlFlow::Break(answer) => return answer,
                ControlFlow::Continue(most) => most,
            };
            if let Some(listener) = awaited.listen() {
                // Whether it came or is late is seen by trying again.
                let _ = tokio::time::timeout(most, listener).await;
            }
        }
    }

    /// As [`Gate::lease`], for a task.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn lease_async(
        &self,
        limit: LimitCode,
        occupant: &Occupant,
    ) -> Result<Lease, Refusal> {
        self.claim_async(limit, occupant, Patience::Leave, PATIENCE)
            .await
    }

    /// As [`Gate::lease_within`], for a task.
    ///
    /// # Errors
    /// Why there was none.
    pub async fn lease_within_async(
        &self,
        limit: LimitCode,
        occupant: &Occupant,
        most: Duration,
    ) -> Result<Lease, Refusal> {
        self.claim_async(limit, occupant, Patience::Queue, most)
            .await
    }

    /// As [`Gate::borrow`], for a task. A seat that was lent to one that nobody awaits any more is
    /// had by asking again, for the same occupant on the same machine.
    ///
    /// # Errors
    /// As [`Gate::borrow`].
    pub async fn borrow_async(
        &self,
        limit: LimitCode,
        occupant: &Occupant,
        machine: &Binding,
        until: UnixTime,
        key: &SiteKey,
    ) -> Result<Vec<u8>, Refusal> {
        let loan = self.loan(limit, occupant, machine, until)?;
        let answer = self.run_errand_async(&loan.op()).await?;
        loan.document(&answer, key)
    }

    /// As [`Gate::hand_back`], for a task.
    ///
    /// # Errors
    /// As [`Gate::hand_back`].
    pub async fn hand_back_async(&self, seat: &BorrowedSeat) -> Result<(), Refusal> {
        let op = self.hands_back(seat)?;
        self.run_errand_async(&op).await.map(drop)
    }

    async fn run_errand_async(&self, op: &SeatOp) -> Result<SeatAnswer, Refusal> {
        let until = self.ward.hub.clock.now().boot.plus(PATIENCE);
        // An answer that was collected is forgotten already.
        let _errand = Errand { gate: self, op };
        self.awaiting(until, || self.ward.errand(op)).await
    }

    async fn claim_async(
        &self,
        limit: LimitCode,
        occupant: &Occupant,
        patience: Patience,
        most: Duration,
    ) -> Result<Lease, Refusal> {
        let until = self.ward.hub.clock.now().boot.plus(most);
        // Given up however this ends, by a refusal or because nobody awaits it any more.
        let claim = Claiming {
            gate: self,
            limit,
            occupant,
        };
        let attempt = || self.try_lease(limit, occupant, patience);
        let taken = self.awaiting(until, attempt).await;
        if taken.is_ok() {
            claim.became_a_lease();
        }
        taken
    }

    /// Tries until it is answered, or until then.
    async fn awaiting<T>(
        &self,
        until: Boot,
        attempt: impl Fn() -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let hub = &self.ward.hub;
        loop {
            let known = hub.answers();
            let most = match hub.judge(attempt(), until) {
                ControlFlow::Break(answer) => return answer,
                ControlFlow::Continue(most) => most,
            };
            if let Some(listener) = hub.listen(known) {
                // Whether it came or is late is seen by trying again.
                let _ = tokio::time::timeout(most, listener).await;
            }
        }
    }
}

/// A step that somebody awaits.
struct Errand<'a> {
    gate: &'a Gate,
    op: &'a SeatOp,
}

impl Drop for Errand<'_> {
    fn drop(&mut self) {
        self.gate.ward.hub.agent().seats.forget_errand(self.op);
    }
}

/// A claim that somebody awaits.
struct Claiming<'a> {
    gate: &'a Gate,
    limit: LimitCode,
    occupant: &'a Occupant,
}

impl Claiming<'_> {
    const fn became_a_lease(self) {
        // Nothing is owned: only the giving up is left out.
        std::mem::forget(self);
    }
}

impl Drop for Claiming<'_> {
    fn drop(&mut self) {
        self.gate.abandon(self.limit, self.occupant);
    }
}
