//! Histories of concurrent nodes, written down by an observer who stands outside of the store, and
//! held against nodes that come one at a time: whatever a store told them, some order of all their
//! requests explains it, in which nothing is before what had ended when it began.
//!
//! Requests are lost, repeated and late, and answers are lost, by a seed; connections to PostgreSQL
//! end in their commits. Every answer shows what the store counts, so that a wrong count is no order's.

mod order;
mod wires;

use std::{
    fmt::Debug,
    sync::{Arc, Mutex},
    thread,
};

use phi_enforce::{
    Ask, Caller, Fault, Grant, Outcome, Return, SeatAnswer, SeatOp, Seen, Store, StoreError,
};
use phi_tests::{
    postgres::{Schema, is_there},
    proxy::Proxy,
};
use stateright::semantics::{ConsistencyTester as _, LinearizabilityTester, SequentialSpec};

use self::{
    order::{Numbered, SeatCall, SeatTold, Seating, UnitCall, UnitTold, Units},
    wires::{Bad, Doubling, Hasty, Negligent},
};
use crate::{
    client::{CALLS, Client, SEATS, ask, claim, occupant},
    dice::Dice,
    rig::{Rig as _, SqliteRig, clock, open_postgres},
};

/// Requests of each node.
const CALLS_EACH: u64 = 25;
const UNIT_LIMIT: u64 = 60;
const SEAT_LIMIT: usize = 3;

/// What was seen from outside.
#[derive(Clone)]
enum Noted<S: SequentialSpec> {
    Asked(u8, S::Op),
    /// With the store's counter, which says in which order the store means to have answered.
    Told(u8, u64, S::Ret),
}

/// Who writes down what was asked and what was told, and when.
struct Observer<S: SequentialSpec> {
    order: S,
    noted: Mutex<Vec<Noted<S>>>,
}

impl<S> Observer<S>
where
    S: SequentialSpec + Clone,
    S::Op: Clone + Debug,
    S::Ret: Clone + Debug,
{
    const fn new(order: S) -> Self {
        Self {
            order,
            noted: Mutex::new(Vec::new()),
        }
    }

    fn watch(&self, node: u8, call: S::Op, make: impl FnOnce() -> (u64, S::Ret)) -> S::Ret {
        let note = |noted| self.noted.lock().unwrap().push(noted);
        note(Noted::Asked(node, call));
        let (seq, told) = make();
        note(Noted::Told(node, seq, told.clone()));
        told
    }

    /// Whether any order explains it.
    fn is_explained(&self) -> bool {
        self.is_explained_by(|_| None)
    }

    /// Whether the store's own order explains it.
    fn is_explained_by_the_store(&self) -> bool {
        let noted = self.noted.lock().unwrap();
        let seq = |noted: &Noted<S>| match noted {
            Noted::Asked(..) => None,
            Noted::Told(_, seq, _) => Some(*seq),
        };
        let mut seqs: Vec<u64> = noted.iter().filter_map(seq).collect();
        drop(noted);
        seqs.sort_unstable();
        self.is_explained_by(|seq| seqs.binary_search(&seq).ok())
    }

    fn is_explained_by(&self, number: impl Fn(u64) -> Option<usize>) -> bool {
        let mut tester = LinearizabilityTester::new(Numbered::new(self.order.clone()));
        for noted in self.noted.lock().unwrap().iter().cloned() {
            let taken = match noted {
                Noted::Asked(node, call) => tester.on_invoke(node, call),
                Noted::Told(node, seq, told) => tester.on_return(node, (number(seq), told)),
            };
            taken.map(drop).unwrap();
        }
        tester.is_consistent()
    }
}

/// A node that repeats a request until it is answered.
struct Stubborn {
    node: u8,
    client: Client,
    held: Option<Grant>,
    units: u64,
    fence: u64,
    seen: Option<Seen>,
}

impl Stubborn {
    fn new(store: Arc<dyn Store>, node: u8) -> Self {
        Self {
            node,
            client: Client::new(store, node),
            held: None,
            units: 0,
            fence: 0,
            seen: None,
        }
    }

    fn ask<T>(
        &mut self,
        send: impl Fn(&dyn Store, Caller) -> Result<Outcome<T>, StoreError>,
    ) -> (u64, T) {
        self.client.caller.request += 1;
        loop {
            match send(&*self.client.store, self.client.caller) {
                Ok(Outcome::Done(done)) => {
                    self.client.caller.seen = done.seq;
                    return (done.seq, done.value);
                }
                Ok(Outcome::Unknown) => {}
                Err(error) => {
                    let known = [Fault::Unreachable, Fault::Busy];
                    assert!(known.contains(&error.fault()), "{error:?}");
                }
                Ok(Outcome::Learning { .. } | Outcome::StaleEpoch | Outcome::Superseded | _) => {
                    panic!("the store forgot nothing")
                }
            }
        }
    }

    fn grant(&mut self, observer: &Observer<Units>, least: u64, most: u64) {
        let call = UnitCall::Grant {
            node: self.node,
            least,
            most,
        };
        observer.watch(self.node, call, || {
            let ask = Ask {
                at_least: least,
                ..ask(UNIT_LIMIT, most)
            };
            let (seq, grants) = self.ask(|store, caller| store.grant(caller, &[ask]));
            let grant = grants[0];
            (self.held, self.units) = (Some(grant), self.units + grant.units);
            let left = Some(grant.remaining);
            (
                seq,
                UnitTold {
                    units: grant.units,
                    left,
                },
            )
        });
    }

    fn give_back(&mut self, observer: &Observer<Units>, units: u64) {
        let Some(grant) = self.held else { return };
        let node = self.node;
        observer.watch(node, UnitCall::GiveBack { node, units }, || {
            let back = Return {
                key: CALLS,
                label: grant.label,
                units,
            };
            let (seq, taken) = self.ask(|store, caller| store.give_back(caller, &[back]));
            let taken = taken[0];
            self.units -= taken;
            (
                seq,
                UnitTold {
                    units: taken,
                    left: None,
                },
            )
        });
    }

    fn spend(mut self, observer: &Observer<Units>, dice: &mut Dice) {
        for _ in 0..CALLS_EACH {
            match dice.below(4) {
                0 => self.give_back(observer, 1 + dice.below(6)),
                1 => self.grant(observer, 0, 3),
                _ => {
                    let units = 1 + dice.below(6);
                    self.grant(observer, units, units);
                }
            }
        }
    }

    fn seat(&mut self, observer: &Observer<Seating>, call: SeatCall) -> SeatTold {
        let holder = self.node.to_string();
        let incarnation = self.client.caller.incarnation;
        let op = match &call {
            SeatCall::Claim(_) => SeatOp::Acquire(claim(SEAT_LIMIT as u64, &holder)),
            SeatCall::Renew(fence) => SeatOp::Renew {
                pool: SEATS,
                fence: *fence,
            },
            SeatCall::Release(_) => SeatOp::Release {
                pool: SEATS,
                occupant: occupant(&holder, ""),
                incarnation,
            },
            SeatCall::Evict(seen) => SeatOp::Evict {
                pool: SEATS,
                seen: *seen,
            },
        };
        observer.watch(self.node, call, || {
            let (seq, mut answers) =
                self.ask(|store, caller| store.seats(caller, std::slice::from_ref(&op)));
            (seq, SeatTold(answers.remove(0)))
        })
    }

    fn claim(&mut self, observer: &Observer<Seating>) {
        let told = self.seat(observer, SeatCall::Claim(self.node));
        match told.0 {
            SeatAnswer::Held { fence, .. } => self.fence = fence,
            SeatAnswer::Full { silent, .. } => self.seen = silent.first().copied(),
            other => panic!("{other:?}"),
        }
    }

    fn sit(mut self, observer: &Observer<Seating>, dice: &mut Dice) {
        for _ in 0..CALLS_EACH {
            match (dice.below(6), self.seen.take()) {
                (0, _) => drop(self.seat(observer, SeatCall::Release(self.node))),
                (1 | 2, _) => drop(self.seat(observer, SeatCall::Renew(self.fence))),
                (_, Some(seen)) => drop(self.seat(observer, SeatCall::Evict(seen))),
                _ => self.claim(observer),
            }
        }
    }
}

/// Runs a node on each of the stores, first with units and then with seats.
#[track_caller]
fn check(stores: &[Arc<dyn Store>], seed: u64) {
    let (units, seats) = (
        Observer::new(Units::new(UNIT_LIMIT)),
        Observer::new(Seating::new(SEAT_LIMIT)),
    );
    let nodes = || (1..).zip(stores);
    let dice = |node: u8, what: u64| Dice::new(seed + u64::from(node) * 1000 + what);
    thread::scope(|scope| {
        for (node, store) in nodes() {
            let (units, store) = (&units, Arc::clone(store));
            scope.spawn(move || Stubborn::new(store, node).spend(units, &mut dice(node, 1)));
        }
    });
    thread::scope(|scope| {
        for (node, store) in nodes() {
            let (seats, store) = (&seats, Arc::clone(store));
            // Another run of each: the numbers of the first are used.
            let node = node + 100;
            scope.spawn(move || Stubborn::new(store, node).sit(seats, &mut dice(node, 2)));
        }
    });
    assert!(units.is_explained_by_the_store(), "seed {seed}, units");
    assert!(seats.is_explained_by_the_store(), "seed {seed}, seats");
    println!(
        "seed {seed}: {} nodes, {CALLS_EACH} requests of each twice",
        stores.len()
    );
}

#[test]
fn a_file_answers_as_if_nodes_came_one_at_a_time() {
    for seed in 1..=4 {
        let rig = SqliteRig::new();
        let wire = |node| -> Arc<dyn Store> { Arc::new(Bad::new(rig.store(), seed * 100 + node)) };
        check(&(0..8).map(wire).collect::<Vec<_>>(), seed);
        assert_eq!(rig.audit(), Vec::<String>::new());
    }
}

#[test]
fn a_server_answers_as_if_nodes_came_one_at_a_time() {
    if !is_there() {
        return;
    }
    let schema = Schema::create().unwrap().unwrap();
    let proxy = Arc::new(Proxy::to(schema.port().unwrap()).unwrap());
    let url = schema.url_at(&format!("127.0.0.1:{}", proxy.port()));
    let clock = clock();
    // Each node has a connection of its own, as a process of its own would.
    let wire = |node| -> Arc<dyn Store> {
        let store: Arc<dyn Store> = Arc::new(open_postgres(&url, &clock).unwrap());
        Arc::new(Bad::new(store, node).through(Arc::clone(&proxy)))
    };
    let stores: Vec<_> = (0..6).map(wire).collect();
    check(&stores, 1);
    let store = open_postgres(&schema.url(), &clock).unwrap();
    assert_eq!(store.audit().unwrap(), Vec::<String>::new());
}

/// One node through a store that is not what it should be, and one through the store itself.
fn two(store: Arc<dyn Store>, honest: Arc<dyn Store>) -> (Stubborn, Stubborn) {
    (Stubborn::new(store, 1), Stubborn::new(honest, 2))
}

#[test]
fn who_acknowledges_before_the_commit_is_found_out() {
    let rig = SqliteRig::new();
    let hasty = Arc::new(Hasty::new(rig.store()));
    let (mut one, mut other) = two(Arc::<Hasty>::clone(&hasty) as _, rig.store());
    let observer = Observer::new(Units::new(UNIT_LIMIT));
    one.grant(&observer, 10, 10);
    other.grant(&observer, 10, 10);
    assert!(observer.is_explained());
    one.grant(&observer, 30, 30);
    other.grant(&observer, 30, 30);
    hasty.commit();
    assert!(!observer.is_explained(), "80 of {UNIT_LIMIT} were promised");
    assert_eq!(
        rig.audit(),
        Vec::<String>::new(),
        "the store itself cannot know"
    );
}

#[test]
fn who_applies_a_request_twice_is_found_out() {
    let rig = SqliteRig::new();
    let (mut one, mut other) = two(Arc::new(Doubling::new(rig.store())), rig.store());
    let observer = Observer::new(Units::new(UNIT_LIMIT));
    other.grant(&observer, 5, 5);
    assert!(observer.is_explained());
    one.grant(&observer, 5, 5);
    assert!(!observer.is_explained());
}

#[test]
fn who_evicts_without_comparing_is_found_out() {
    let rig = SqliteRig::new();
    let (mut one, mut other) = two(Arc::new(Negligent::new(rig.store())), rig.store());
    let (mut third, mut fourth) = (Stubborn::new(rig.store(), 3), Stubborn::new(rig.store(), 4));
    let observer = Observer::new(Seating::new(SEAT_LIMIT));
    for node in [&mut other, &mut third, &mut fourth, &mut one] {
        node.claim(&observer);
    }
    let seen = one.seen.expect("every seat is taken");
    let fence = other.fence;
    other.seat(&observer, SeatCall::Renew(fence));
    assert!(observer.is_explained());
    let told = one.seat(&observer, SeatCall::Evict(seen));
    assert_eq!(told.0, SeatAnswer::Evicted);
    assert!(!observer.is_explained());
}
