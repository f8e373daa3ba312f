//! A node by hand: requests to a store, numbered.

use std::{sync::Arc, time::Duration};

use phi_enforce::{
    Ask, Caller, Claim, Grant, Held, Hello, Incarnation, Occupant, Outcome, Overage, Patience,
    Place, Pool, QuotaKey, Reserved, Return, SeatAnswer, SeatOp, Seen, Store,
};
use phi_verify::{Allowance, LicenseId, LimitCode, Period, Quota, QuotaCode};

pub(crate) const LICENSE: LicenseId = LicenseId::from_bytes(*b"license1");
pub(crate) const CALLS: QuotaKey = QuotaKey {
    license: LICENSE,
    quota: QuotaCode::new(0),
};
pub(crate) const SEATS: Pool = Pool {
    license: LICENSE,
    limit: LimitCode::new(0),
};
pub(crate) const LEASE: Duration = Duration::from_secs(10);

/// A lifetime quota of this many, all of which are wanted.
pub(crate) const fn ask(limit: u64, units: u64) -> Ask {
    Ask {
        key: CALLS,
        revision: 1,
        quota: Quota {
            allowance: Allowance::Limited(limit),
            period: Period::Lifetime,
        },
        overage: Overage::Deny,
        at_least: units,
        at_most: units,
        in_hand: 0,
    }
}

pub(crate) fn occupant(holder: &str, session: &str) -> Occupant {
    Occupant {
        holder: holder.into(),
        session: session.into(),
    }
}

/// A claim of one of this many seats.
pub(crate) fn claim(seats: u64, holder: &str) -> Claim {
    Claim {
        pool: SEATS,
        revision: 1,
        seats: Allowance::Limited(seats),
        extra: 0,
        reserved: Reserved::default(),
        occupant: occupant(holder, ""),
        group: None,
        lease: LEASE,
        patience: Patience::Leave,
    }
}

/// A node that asks one thing after the other.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) caller: Caller,
}

impl Client {
    pub(crate) fn new(store: Arc<dyn Store>, name: u8) -> Self {
        let incarnation = Incarnation::from_bytes([name; 16]);
        let hello = store.hello(incarnation, "client", None).unwrap();
        Self {
            store,
            caller: Caller {
                incarnation,
                epoch: hello.epoch,
                request: 0,
                seen: hello.seq,
            },
        }
    }

    /// Introduces itself again, to this store.
    pub(crate) fn hello(&mut self, store: Arc<dyn Store>) -> Hello {
        self.store = store;
        let seen = Some((self.caller.epoch, self.caller.seen));
        let hello = self
            .store
            .hello(self.caller.incarnation, "client", seen)
            .unwrap();
        self.caller.epoch = hello.epoch;
        self.caller.seen = hello.seq;
        hello
    }

    fn next(&mut self) -> Caller {
        self.caller.request += 1;
        self.caller
    }

    #[track_caller]
    fn done<T: std::fmt::Debug>(&mut self, outcome: Outcome<T>) -> T {
        let Outcome::Done(done) = outcome else {
            panic!("{outcome:?}");
        };
        self.caller.seen = self.caller.seen.max(done.seq);
        done.value
    }

    pub(crate) fn try_grant(&mut self, ask: Ask) -> Outcome<Vec<Grant>> {
        let caller = self.next();
        self.store.grant(caller, &[ask]).unwrap()
    }

    #[track_caller]
    pub(crate) fn grant(&mut self, ask: Ask) -> Grant {
        let outcome = self.try_grant(ask);
        self.done(outcome)[0]
    }

    #[track_caller]
    pub(crate) fn units(&mut self, ask: Ask) -> u64 {
        self.grant(ask).units
    }

    #[track_caller]
    pub(crate) fn give_back(&mut self, grant: Grant, units: u64) -> u64 {
        let caller = self.next();
        let back = Return {
            key: CALLS,
            label: grant.label,
            units,
        };
        let outcome = self.store.give_back(caller, &[back]).unwrap();
        self.done(outcome)[0]
    }

    #[track_caller]
    pub(crate) fn reassert(&mut self, held: &[Held]) {
        let caller = self.next();
        let outcome = self.store.reassert(caller, held).unwrap();
        self.done(outcome);
    }

    #[track_caller]
    pub(crate) fn seat(&mut self, op: SeatOp) -> SeatAnswer {
        let caller = self.next();
        let outcome = self.store.seats(caller, &[op]).unwrap();
        self.done(outcome).remove(0)
    }

    #[track_caller]
    pub(crate) fn acquire(&mut self, claim: Claim) -> SeatAnswer {
        self.seat(SeatOp::Acquire(claim))
    }

    /// The fence of a seat that must be free.
    #[track_caller]
    pub(crate) fn fence(&mut self, claim: Claim) -> u64 {
        match self.acquire(claim) {
            SeatAnswer::Held { fence, .. } => fence,
            other => panic!("{other:?}"),
        }
    }

    /// Who was silent longest, of a pool that must be full.
    #[track_caller]
    pub(crate) fn full(&mut self, claim: Claim) -> (Option<u64>, Vec<Seen>) {
        match self.acquire(claim) {
            SeatAnswer::Full { ahead, silent } => (ahead, silent),
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn renew(&mut self, fence: u64) -> SeatAnswer {
        self.seat(SeatOp::Renew { pool: SEATS, fence })
    }

    #[track_caller]
    pub(crate) fn release(&mut self, holder: &str, session: &str) -> SeatAnswer {
        let incarnation = self.caller.incarnation;
        self.seat(SeatOp::Release {
            pool: SEATS,
            occupant: occupant(holder, session),
            incarnation,
        })
    }

    #[track_caller]
    pub(crate) fn evict(&mut self, seen: Seen) -> SeatAnswer {
        self.seat(SeatOp::Evict { pool: SEATS, seen })
    }

    #[track_caller]
    pub(crate) fn taken(&mut self) -> u64 {
        match self.seat(SeatOp::List { pool: SEATS }) {
            SeatAnswer::Listed { taken, .. } => taken,
            other => panic!("{other:?}"),
        }
    }

    /// How many wait for a seat.
    #[track_caller]
    pub(crate) fn queued(&mut self) -> usize {
        match self.seat(SeatOp::List { pool: SEATS }) {
            SeatAnswer::Listed { occupants, .. } => {
                let all = occupants.iter();
                all.filter(|one| one.place == Place::Queue).count()
            }
            other => panic!("{other:?}"),
        }
    }
}
