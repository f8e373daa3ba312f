//! A network between a node and its server that lets nothing through, or only one way, or late, or
//! ends a connection in the middle of a word. Another node, by another way, goes on; nothing is
//! exceeded, no unit is charged twice, no seat is two holders', and all is well when the way is.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use phi_enforce::{
    Gate, Lease, Node, Patience, Policy, Postgres, PostgresOptions, Refusal, SeatPolicy,
    SystemClock,
};
use phi_tests::{
    postgres::{Schema, is_there},
    proxy::{Cut, From, Held, Proxy},
};
use phi_verify::{Claims, Period};

use crate::{
    client::occupant,
    licenses::{CALLS, SEATS, claims, limited, verify},
    rig::{clock, open_postgres},
};

const LIMIT: u64 = 1_000;
/// Served after every fault, of each node.
const SERVED: u64 = 20;
/// The shortest that a gate gives.
const LEASE: Duration = Duration::from_secs(1);
/// So long a node waits for its server.
const WITHIN: Duration = Duration::from_millis(500);
/// A machine that is busier than this fails the test.
const EVER: Duration = Duration::from_secs(60);

/// Two nodes of one store: one that is reached by a bad way, one by a good one.
struct Pair {
    schema: Schema,
    proxy: Proxy,
    bad: (Node, Gate),
    good: (Node, Gate),
    spent: u64,
}

impl Pair {
    fn new() -> Option<Self> {
        let schema = Schema::create()?.unwrap();
        let proxy = Proxy::to(schema.port().unwrap()).unwrap();
        let place = |port: u16| schema.url_at(&format!("127.0.0.1:{port}"));
        Some(Self {
            bad: node(&place(proxy.port())),
            good: node(&place(schema.port().unwrap())),
            schema,
            proxy,
            spent: 0,
        })
    }

    /// One unit, if there is a store to be asked and units to be had.
    fn take(&mut self, gate: &Gate) -> Result<(), Refusal> {
        gate.take(CALLS, 1).map(|_| self.spent += 1)
    }

    /// A node is served, though the store may be held up for a moment.
    fn serve(&mut self, gate: &Gate) {
        for _ in 0..SERVED {
            until("served", || match self.take(gate) {
                Ok(()) => true,
                Err(Refusal::Unavailable(_)) => false,
                Err(other) => panic!("{other:?}"),
            });
        }
    }

    /// A node spends what it has, and is refused for want of an answer.
    fn starve(&mut self, gate: &Gate) {
        until("cut off", || match self.take(gate) {
            Ok(()) => false,
            Err(Refusal::Unavailable(_)) => true,
            Err(other) => panic!("{other:?}"),
        });
    }

    /// Nodes spend what is left, and give back nothing: what they spent is all that was charged.
    fn finish(mut self) {
        let (bad, good) = (self.bad.1.clone(), self.good.1.clone());
        for gate in [&bad, &good] {
            until("used up", || match self.take(gate) {
                Err(Refusal::Exhausted {
                    left, retry_after, ..
                }) => {
                    thread::sleep(retry_after);
                    left == 0
                }
                _ => false,
            });
        }
        assert_eq!(self.spent, LIMIT, "no unit was charged twice");
        let store = open_postgres(&self.schema.url(), &clock()).unwrap();
        assert_eq!(store.period_usage().unwrap()[0].charged(), LIMIT);
        assert_eq!(store.audit().unwrap(), Vec::<String>::new());
    }
}

fn node(url: &str) -> (Node, Gate) {
    let options = PostgresOptions::new(Arc::new(SystemClock)).answer_within(WITHIN);
    let store = Arc::new(Postgres::open(url, None, options).unwrap());
    let node = Node::start(store, Arc::new(SystemClock), "node").unwrap();
    let license = verify(&Claims {
        expires: None,
        grace: 0,
        ..claims(limited(LIMIT, Period::Lifetime), 1)
    });
    let policy = SeatPolicy {
        lease: LEASE,
        ..SeatPolicy::default()
    };
    let gate = node.gate(&license, Policy::default().seats(SEATS, policy));
    (node, gate)
}

fn until(what: &str, mut is_it: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_it() {
        assert!(begun.elapsed() < EVER, "it was never {what}");
        thread::yield_now();
    }
}

#[test]
fn units_are_charged_once_whatever_the_network_does() {
    if !is_there() {
        return;
    }
    let mut pair = Pair::new().unwrap();
    let (bad, good) = (pair.bad.1.clone(), pair.good.1.clone());
    for what in [Held::Requests, Held::Answers, Held::Both] {
        for from in [From::Begin, From::Commit] {
            pair.proxy.hold(what, from);
            pair.starve(&bad);
            // The transaction of the one that is cut off is over soon, and not before the server
            // says so.
            pair.serve(&good);
            pair.proxy.open();
            pair.serve(&bad);
        }
    }
    pair.proxy.slow(4 * WITHIN);
    pair.starve(&bad);
    pair.serve(&good);
    pair.proxy.open();
    for cut in [
        Cut::BeforeCommit,
        Cut::InCommit,
        Cut::AfterCommit,
        Cut::AtBegin,
    ] {
        pair.proxy.cut(cut);
        pair.serve(&bad);
    }
    pair.finish();
}

#[test]
fn a_seat_is_one_holders_whatever_the_network_does() {
    if !is_there() {
        return;
    }
    let pair = Pair::new().unwrap();
    let (bad, good) = (&pair.bad.1, &pair.good.1);
    let (ann, bob) = (occupant("ann", ""), occupant("bob", ""));
    let mut last = 0;
    let mut rises = |lease: &Lease| {
        assert!(lease.fence() > last);
        last = lease.fence();
    };
    for what in [Held::Requests, Held::Answers] {
        let seat = bad.lease_within(SEATS, &ann, EVER).unwrap();
        rises(&seat);
        assert!(good.try_lease(SEATS, &bob, Patience::Queue).is_err());
        pair.proxy.hold(what, From::Commit);
        let next = good.lease_within(SEATS, &bob, EVER).unwrap();
        // It ended by the holder's clock. Whoever waits to be told would be on it still.
        assert_eq!(seat.check(), Err(Refusal::SeatLate));
        assert_eq!(next.check(), Ok(()));
        rises(&next);
        pair.proxy.open();
        until("told", || seat.check() == Err(Refusal::SeatLost));
        assert!(bad.try_lease(SEATS, &ann, Patience::Queue).is_err());
        assert_eq!(next.check(), Ok(()));
    }
}
