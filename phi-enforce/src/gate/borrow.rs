//! Seats that are taken along: asked of the store, and signed by the site.

use std::time::Duration;

use phi_verify::{Allowance, Binding, LimitCode, UnixTime};

use super::{Force, Gate, PATIENCE, Ward};
use crate::{
    borrowed::{BorrowedSeat, Machine, Seat},
    refusal::Refusal,
    site_key::SiteKey,
    store::{Claim, Loan, MAX_NAME, Occupant, Patience, Pool, SeatAnswer, SeatOp},
};

impl Gate {
    /// Takes a seat along, for a machine that has no network until then: the document, signed with
    /// the site's key, that [`BorrowedSeat::open`] reads there. The seat counts as taken until
    /// [`LOAN_MARGIN`](crate::LOAN_MARGIN) after its end, whatever becomes of the machine.
    ///
    /// It ends with the license, and no later than the policy says. The same occupant on the same
    /// machine has the same seat, for longer. It is a seat beside those that the holder is on.
    ///
    /// # Errors
    /// [`Refusal::NotBorrowable`] where the policy or the license does not let it,
    /// [`Refusal::LoansFull`] if as many are away as may be, or why there is none.
    pub fn borrow(
        &self,
        limit: LimitCode,
        occupant: &Occupant,
        machine: &Binding,
        until: UnixTime,
        key: &SiteKey,
    ) -> Result<Vec<u8>, Refusal> {
        let loan = self.loan(limit, occupant, machine, until)?;
        let answer = self.run_errand(&loan.op())?;
        loan.document(&answer, key)
    }

    /// Gives up a borrowed seat before its end. The machine has to delete its document first:
    /// nobody sees a copy that it keeps.
    ///
    /// # Errors
    /// [`Refusal::NotGranted`] for a seat of another license, or why the store was not told.
    pub fn hand_back(&self, seat: &BorrowedSeat) -> Result<(), Refusal> {
        self.run_errand(&self.hands_back(seat)?).map(drop)
    }

    pub(super) fn loan(
        &self,
        limit: LimitCode,
        occupant: &Occupant,
        machine: &Binding,
        until: UnixTime,
    ) -> Result<Lending, Refusal> {
        let machine = Machine::from(machine);
        let group = self.group.as_deref();
        let loan = self.ward.loan(group, limit, occupant, &machine, until)?;
        Ok(Lending { loan, machine })
    }

    pub(super) fn hands_back(&self, seat: &BorrowedSeat) -> Result<SeatOp, Refusal> {
        let seat = &seat.seat;
        if seat.pool.license != self.ward.license {
            return Err(Refusal::NotGranted);
        }
        let (pool, fence) = (seat.pool, seat.fence);
        Ok(SeatOp::HandBack { pool, fence })
    }

    fn run_errand(&self, op: &SeatOp) -> Result<SeatAnswer, Refusal> {
        let hub = &self.ward.hub;
        let until = hub.clock.now().boot.plus(PATIENCE);
        let answer = self.waiting(until, || self.ward.errand(op));
        if answer.is_err() {
            hub.agent().seats.forget_errand(op);
        }
        answer
    }
}

/// A seat on its way to a machine.
pub(super) struct Lending {
    loan: Loan,
    machine: Machine,
}

impl Lending {
    pub(super) fn op(&self) -> SeatOp {
        SeatOp::Borrow(self.loan.clone())
    }

    /// What the machine is given.
    pub(super) fn document(self, answer: &SeatAnswer, key: &SiteKey) -> Result<Vec<u8>, Refusal> {
        match *answer {
            SeatAnswer::Borrowed { fence, from, until } => {
                let seat = Seat {
                    pool: self.loan.claim.pool,
                    occupant: self.loan.claim.occupant,
                    machine: self.machine,
                    fence,
                    from,
                    until,
                };
                Ok(seat.sealed(key))
            }
            SeatAnswer::LoansFull => Err(Refusal::LoansFull {
                most: self.loan.most,
            }),
            _ => Err(Refusal::Full { ahead: None }),
        }
    }
}

impl Ward {
    pub(super) fn errand(&self, op: &SeatOp) -> Result<SeatAnswer, Refusal> {
        let now = self.hub.now().boot;
        let mut agent = self.hub.agent();
        if agent.is_stopping() {
            return Err(Refusal::Stopping);
        }
        if let Some(answer) = agent.seats.errand(op) {
            return Ok(answer);
        }
        if let Some(wait) = agent.learning(now) {
            return Err(Refusal::Learning { wait });
        }
        let fault = agent.fault().filter(|_| agent.is_waiting());
        drop(agent);
        self.hub.wake();
        Err(fault.map_or(Refusal::NotYet, |fault| Refusal::Unavailable(Some(fault))))
    }

    fn loan(
        &self,
        group: Option<&str>,
        limit: LimitCode,
        occupant: &Occupant,
        machine: &Machine,
        until: UnixTime,
    ) -> Result<Loan, Refusal> {
        let snapshot = self.snapshot.load();
        self.in_force(&snapshot)?;
        let seats = *snapshot.limits.get(&limit).ok_or(Refusal::NotGranted)?;
        let names = [
            &occupant.holder,
            &occupant.session,
            group.unwrap_or_default(),
        ];
        if names.iter().any(|name| name.len() > MAX_NAME) {
            return Err(Refusal::NameTooLong);
        }
        let policy = self.policy.seats.get(&limit).cloned().unwrap_or_default();
        let borrowing = policy.borrowing.ok_or(Refusal::NotBorrowable)?;
        let ends = match snapshot.force {
            Force::Until(Some(ends)) => until.min(ends),
            _ => until,
        };
        let most = share(seats, borrowing.percent);
        if most == 0 || ends <= self.hub.clock.wall().second() {
            return Err(Refusal::NotBorrowable);
        }
        Ok(Loan {
            claim: Claim {
                pool: Pool {
                    license: self.license,
                    limit,
                },
                revision: snapshot.revision,
                seats,
                extra: policy.extra,
                reserved: policy.reserved,
                occupant: occupant.clone(),
                group: group.map(str::to_owned),
                lease: Duration::ZERO,
                patience: Patience::Leave,
            },
            machine: machine.to_bytes(),
            longest: borrowing.longest.as_secs(),
            until: ends,
            most,
        })
    }
}

/// So many of a hundred.
fn share(seats: Allowance, percent: u8) -> u64 {
    let Allowance::Limited(seats) = seats else {
        return u64::MAX;
    };
    let part = u128::from(seats) * u128::from(percent.min(100)) / 100;
    u64::try_from(part).unwrap_or(u64::MAX)
}
