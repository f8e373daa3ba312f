//! Gates over real licenses: what is admitted, what is not, and what is said about it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use phi_enforce::{
    Ask, Boot, Caller, Clock as _, Epoch, Fault, Gate, Grant, HandClock, Held, Hello, Incarnation,
    ManualNode, Moment, Node, Occupant, Outcome, Overage, Patience, Policy, QuotaPolicy, Refusal,
    Return, SeatAnswer, SeatOp, SeatPolicy, Sqlite, Standing, Step, Store, StoreError, SystemClock,
    Wall, evictor_wait,
};
use phi_tests::snakeoil::{DAY, NOW};
use phi_verify::{Claims, FlagCode, LicenseId, Period, QuotaCode};

use crate::{
    client::{Client, LEASE, ask},
    licenses::{CALLS, PROJECTS, SEATS, claims, limited, verify},
    rig::{Rig as _, SqliteRig},
};

const EXPORT: FlagCode = FlagCode::new(0);

/// A node whose requests a test carries.
pub(crate) struct Desk {
    pub(crate) rig: SqliteRig,
    pub(crate) node: ManualNode,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let rig = SqliteRig::new();
        let node = manual(&rig, 1);
        Self { rig, node }
    }

    pub(crate) fn gate(&self, claims: &Claims) -> Gate {
        self.node.gate(&verify(claims), Policy::default())
    }

    /// Carries requests until there is none.
    pub(crate) fn settle(&self) {
        settle(&self.node, &*self.rig.store());
    }

    fn take(&self, gate: &Gate, units: u64) -> Result<phi_enforce::Taken, Refusal> {
        match gate.try_take(CALLS, units) {
            Err(Refusal::NotYet) => {
                self.settle();
                gate.try_take(CALLS, units)
            }
            answer => answer,
        }
    }

    fn lease(&self, gate: &Gate, holder: &str) -> Result<phi_enforce::Lease, Refusal> {
        let occupant = occupant(holder);
        match gate.try_lease(SEATS, &occupant, Patience::Queue) {
            Err(Refusal::NotYet) => {
                self.settle();
                gate.try_lease(SEATS, &occupant, Patience::Queue)
            }
            answer => answer,
        }
    }

    pub(crate) fn charged(&self) -> u64 {
        let usage = self.rig.sqlite().period_usage().unwrap();
        let calls = usage.iter().filter(|usage| usage.key.quota == CALLS);
        calls.map(phi_enforce::PeriodUsage::charged).sum()
    }
}

fn manual(rig: &SqliteRig, name: u8) -> ManualNode {
    let mut run = 0;
    let names = move || {
        run += 1;
        let mut bytes = [name; 16];
        bytes[0] = run;
        Ok(Incarnation::from_bytes(bytes))
    };
    ManualNode::new(Arc::<HandClock>::clone(rig.clock()), "desk", names).unwrap()
}

fn settle(node: &ManualNode, store: &dyn Store) {
    while let Step::Send(request) = node.next() {
        let answer = request.send(store);
        node.answered(&request, answer);
    }
}

pub(crate) fn occupant(holder: &str) -> Occupant {
    Occupant {
        holder: holder.into(),
        session: String::new(),
    }
}

pub(crate) fn calls(limit: u64) -> Claims {
    claims(limited(limit, Period::Lifetime), 2)
}

fn revised(revision: u64, claims: Claims) -> Claims {
    Claims {
        license_revision: revision,
        ..claims
    }
}

#[test]
fn a_flag_is_on_until_the_license_ends() {
    let desk = Desk::new();
    let license = calls(1);
    let ends = license.expires.unwrap().plus(license.grace);
    let gate = desk.gate(&license);
    assert_eq!(gate.check(EXPORT), Ok(()));
    assert_eq!(gate.check(FlagCode::new(9)), Err(Refusal::NotGranted));
    desk.rig.clock().set_wall(Wall::from(ends.minus(1)));
    assert_eq!(gate.check(EXPORT), Ok(()));
    desk.rig.clock().set_wall(Wall::from(ends));
    assert_eq!(gate.check(EXPORT), Err(Refusal::Ended(ends)));
    assert_eq!(gate.try_take(CALLS, 1), Err(Refusal::Ended(ends)));
    desk.rig.clock().set_wall(Wall::from(NOW));
    let ended = gate.check(EXPORT);
    assert_eq!(ended, Err(Refusal::Ended(ends)), "a clock set back");
    let renewed = Claims {
        expires: Some(ends.plus(DAY)),
        ..revised(2, license)
    };
    gate.replace(&verify(&renewed)).unwrap();
    assert_eq!(gate.check(EXPORT), Ok(()));
}

#[test]
fn an_amendment_takes_a_flag_away_at_once() {
    let desk = Desk::new();
    let license = calls(1);
    let gate = desk.gate(&license);
    let also = gate.clone();
    let mut amended = revised(2, license);
    amended.terms.flags.remove(EXPORT);
    gate.replace(&verify(&amended)).unwrap();
    assert_eq!(also.check(EXPORT), Err(Refusal::NotGranted));
    assert_eq!(also.check(FlagCode::new(1)), Ok(()));
}

#[test]
fn a_license_that_is_refused_ends_everything_and_resets_nothing() {
    let desk = Desk::new();
    let license = calls(10);
    let gate = desk.gate(&license);
    desk.take(&gate, 6).unwrap();
    let lease = desk.lease(&gate, "ann").unwrap();
    gate.refuse("revoked");
    let refused = Refusal::Unlicensed("revoked");
    assert_eq!(gate.check(EXPORT), Err(refused));
    assert_eq!(gate.try_take(CALLS, 1), Err(refused));
    assert_eq!(lease.check(), Err(Refusal::SeatLost));
    assert_eq!(
        gate.try_lease(SEATS, &occupant("bob"), Patience::Leave)
            .unwrap_err(),
        refused
    );
    desk.settle();
    assert_eq!(Client::new(desk.rig.store(), 9).taken(), 0);
    gate.replace(&verify(&license)).unwrap();
    assert_eq!(desk.take(&gate, 4).unwrap().left, 0);
    assert!(matches!(
        desk.take(&gate, 1),
        Err(Refusal::Exhausted { left: 0, .. })
    ));
    let other = Claims {
        license_id: LicenseId::from_bytes(*b"license2"),
        ..license
    };
    assert!(gate.replace(&verify(&other)).is_err());
}

#[test]
fn a_limit_that_changes_holds_at_once() {
    let desk = Desk::new();
    let gate = desk.gate(&calls(10_000));
    while desk.charged() < 150 {
        desk.take(&gate, 1).unwrap();
    }
    let spent = 10_000 - desk.take(&gate, 1).unwrap().left;
    gate.replace(&verify(&revised(2, calls(spent + 3))))
        .unwrap();
    assert_eq!(desk.take(&gate, 3).unwrap().left, 0);
    assert!(desk.take(&gate, 1).is_err(), "what was in the hand is not");
    gate.replace(&verify(&revised(3, calls(spent + 5))))
        .unwrap();
    assert_eq!(desk.take(&gate, 2).unwrap().left, 0);
    let mut without = revised(4, calls(1));
    without.terms.quotas.remove(&CALLS);
    gate.replace(&verify(&without)).unwrap();
    assert_eq!(gate.try_take(CALLS, 1), Err(Refusal::NotGranted));
    desk.settle();
    let mut other = Client::new(desk.rig.store(), 9);
    assert_eq!(other.units(ask(1_000_000, 1)), 0, "an older license");
    assert_eq!(
        gate.try_take(QuotaCode::new(7), 1),
        Err(Refusal::NotGranted)
    );
}

#[test]
fn decisions_say_what_is_left_and_until_when() {
    let desk = Desk::new();
    let policy = Policy::default().quota(
        CALLS,
        QuotaPolicy {
            soft: Some(8),
            overage: Overage::Allow(2),
        },
    );
    let license = verify(&claims(limited(10, Period::Day), 1));
    let gate = desk.node.gate(&license, policy);
    let midnight = NOW.plus(DAY - NOW.seconds() % DAY);
    let first = desk.take(&gate, 7).unwrap();
    assert_eq!((first.left, first.resets), (5, Some(midnight)));
    assert_eq!(first.standing, Standing::Within);
    assert_eq!(desk.take(&gate, 1).unwrap().standing, Standing::Soft);
    assert_eq!(desk.take(&gate, 3).unwrap().standing, Standing::Beyond);
    let refused = desk.take(&gate, 2).unwrap_err();
    let Refusal::Exhausted {
        left,
        resets,
        retry_after,
    } = refused
    else {
        panic!("{refused:?}");
    };
    assert_eq!((left, resets), (1, Some(midnight)));
    assert!(retry_after > Duration::ZERO && retry_after <= Duration::from_millis(250));
    assert_eq!(desk.take(&gate, 1).unwrap().left, 0);
    desk.rig.pass(Duration::from_secs(DAY));
    assert_eq!(
        desk.take(&gate, 1).unwrap().resets,
        Some(midnight.plus(DAY))
    );
}

#[test]
fn a_refusal_is_kept_for_a_moment() {
    let desk = Desk::new();
    let gate = desk.gate(&calls(1));
    desk.take(&gate, 1).unwrap();
    desk.take(&gate, 1).unwrap_err();
    for _ in 0..100 {
        gate.try_take(CALLS, 1).unwrap_err();
        assert!(matches!(desk.node.next(), Step::Rest(_)), "nobody is asked");
    }
    desk.rig.pass(Duration::from_millis(251));
    assert_eq!(gate.try_take(CALLS, 1), Err(Refusal::NotYet));
    assert!(matches!(desk.node.next(), Step::Send(_)));
}

#[test]
fn units_that_nobody_spends_go_back() {
    let desk = Desk::new();
    let gate = desk.gate(&calls(100_000));
    for _ in 0..500 {
        desk.take(&gate, 1).unwrap();
    }
    assert!(desk.charged() > 500, "a slice is in the hand");
    desk.settle();
    desk.rig.pass(Duration::from_secs(1));
    desk.settle();
    desk.rig.pass(Duration::from_secs(6));
    desk.settle();
    assert_eq!(desk.charged(), 500);
    desk.take(&gate, 1).unwrap();
    desk.node.stop();
    assert_eq!(gate.try_take(PROJECTS, 1), Err(Refusal::Stopping));
    desk.settle();
    assert!(desk.node.is_stopped());
    assert_eq!(desk.charged(), 501);
}

#[test]
fn units_that_come_when_the_node_is_stopping_go_back_too() {
    let desk = Desk::new();
    let gate = desk.gate(&calls(100_000));
    desk.take(&gate, 1).unwrap();
    desk.settle();
    assert_eq!(gate.try_take(CALLS, 5), Err(Refusal::NotYet));
    let Step::Send(request) = desk.node.next() else {
        panic!("units are asked for");
    };
    desk.node.stop();
    let answer = request.send(&*desk.rig.store());
    desk.node.answered(&request, answer);
    desk.settle();
    assert!(desk.node.is_stopped());
    assert_eq!(desk.charged(), 1);
}

#[test]
fn a_clock_that_jumps_burns_what_was_held() {
    let desk = Desk::new();
    let gate = desk.gate(&calls(100_000));
    for _ in 0..300 {
        desk.take(&gate, 1).unwrap();
    }
    let lease = desk.lease(&gate, "ann").unwrap();
    let charged = desk.charged();
    let wall = desk.rig.clock().now().wall;
    desk.rig
        .clock()
        .set_wall(Wall::from_millis(wall.millis() + 1001));
    assert_eq!(gate.try_take(CALLS, 1), Err(Refusal::NotYet));
    assert_eq!(lease.check(), Err(Refusal::SeatLost));
    // Another run begins: it takes its seat again, and is charged anew.
    desk.take(&gate, 1).unwrap();
    assert!(desk.charged() > charged);
    let again = desk.lease(&gate, "ann").unwrap();
    assert!(again.fence() > lease.fence());
    drop(lease);
    desk.settle();
    assert_eq!(again.check(), Ok(()));
}

/// A unit that was granted at the end of an hour is charged to it, whatever the store forgets.
#[test]
fn a_store_that_goes_back_is_told_of_the_period_before_too() {
    let mut desk = Desk::new();
    let gate = desk.gate(&claims(limited(10, Period::Hour), 1));
    desk.settle();
    desk.rig.back_up();
    desk.take(&gate, 3).unwrap();
    desk.rig.pass(Duration::from_secs(3600));
    desk.take(&gate, 2).unwrap();
    assert_eq!(desk.charged(), 5);
    desk.rig.roll_back();
    // Nothing is in the hand: the next call finds the store changed.
    assert!(matches!(desk.take(&gate, 1), Err(Refusal::Learning { .. })));
    assert_eq!(desk.charged(), 5);
}

#[test]
fn a_seat_is_held_until_its_time_and_not_longer() {
    let desk = Desk::new();
    let gate = desk.gate(&calls(1));
    let lease = desk.lease(&gate, "ann").unwrap();
    let also = lease.clone();
    let moment = Duration::from_millis(1);
    desk.rig.pass(LEASE.saturating_sub(moment));
    assert_eq!(lease.check(), Ok(()));
    desk.rig.pass(moment);
    assert_eq!(lease.check(), Err(Refusal::SeatLate));
    desk.settle();
    assert_eq!(lease.check(), Ok(()), "nobody wanted it: it is renewed");
    drop(lease);
    desk.settle();
    assert_eq!(also.check(), Ok(()), "a clone holds it");
    let mut other = Client::new(desk.rig.store(), 9);
    assert_eq!(other.taken(), 1);
    drop(also);
    desk.settle();
    assert_eq!(other.taken(), 0);
}

/// Who was told how long the seat is held, and measures it by another clock, has it for as long,
/// whatever happens here.
#[test]
fn a_seat_that_was_promised_is_not_given_back_before() {
    let desk = Desk::new();
    let license = calls(1);
    let mut counter = Client::new(desk.rig.store(), 9);
    let mut seated = || counter.taken();
    let gate = desk.gate(&license);
    let past = |left| desk.rig.pass(evictor_wait(left));

    let lease = desk.lease(&gate, "ann").unwrap();
    desk.rig.pass(LEASE / 4);
    let left = lease.promise().unwrap();
    assert_eq!(left, LEASE / 4 * 3);
    drop(lease);
    desk.settle();
    past(left.saturating_sub(Duration::from_millis(1)));
    desk.settle();
    assert_eq!(seated(), 1, "the borrower may be on it");
    past(Duration::from_millis(2));
    desk.settle();
    assert_eq!(seated(), 0);

    let lease = desk.lease(&gate, "ann").unwrap();
    let left = lease.promise().unwrap();
    gate.refuse("revoked");
    assert_eq!(lease.promise(), Err(Refusal::SeatLost));
    desk.settle();
    assert_eq!(
        seated(),
        1,
        "a license that is refused takes back no promise"
    );
    gate.replace(&verify(&license)).unwrap();
    let again = desk.lease(&gate, "ann").unwrap();
    assert_eq!(again.check(), Ok(()), "whoever has the promise may go on");
    drop((lease, again));
    past(left);
    desk.settle();
    assert_eq!(seated(), 0);

    let lease = desk.lease(&gate, "ann").unwrap();
    lease.promise().unwrap();
    lease.take_back();
    drop(lease);
    desk.settle();
    assert_eq!(seated(), 0, "who has stopped is not waited for");
}

#[test]
fn a_dead_nodes_seat_is_free_for_who_waits() {
    let desk = Desk::new();
    let dead = manual(&desk.rig, 2);
    let license = verify(&claims(limited(1, Period::Lifetime), 1));
    let its_gate = dead.gate(&license, Policy::default());
    let _ = its_gate.try_lease(SEATS, &occupant("ann"), Patience::Leave);
    settle(&dead, &*desk.rig.store());
    let its_lease = its_gate
        .try_lease(SEATS, &occupant("ann"), Patience::Leave)
        .unwrap();
    let gate = desk.gate(&claims(limited(1, Period::Lifetime), 1));
    let mut waited = Duration::ZERO;
    let step = Duration::from_millis(100);
    let lease = loop {
        match desk.lease(&gate, "bob") {
            Ok(lease) => break lease,
            Err(Refusal::Full { ahead: Some(0) }) => {}
            Err(other) => panic!("{other:?}"),
        }
        desk.rig.pass(step);
        waited += step;
        desk.settle();
    };
    assert_eq!(its_lease.check(), Err(Refusal::SeatLate));
    assert!(lease.fence() > its_lease.fence());
    assert!(waited >= evictor_wait(LEASE), "{waited:?}");
    assert!(waited <= Duration::from_secs(13), "{waited:?}");
    settle(&dead, &*desk.rig.store());
    assert_eq!(its_lease.check(), Err(Refusal::SeatLost));
}

#[test]
fn a_claim_that_is_given_up_leaves_the_queue() {
    let desk = Desk::new();
    let gate = desk.gate(&claims(limited(1, Period::Lifetime), 1));
    let lease = desk.lease(&gate, "ann").unwrap();
    let full = |ahead| Refusal::Full { ahead };
    assert_eq!(desk.lease(&gate, "bob").unwrap_err(), full(Some(0)));
    assert_eq!(desk.lease(&gate, "cyd").unwrap_err(), full(Some(1)));
    gate.abandon(SEATS, &occupant("bob"));
    drop(lease);
    desk.rig.pass(Duration::from_millis(100));
    desk.settle();
    assert!(desk.lease(&gate, "cyd").is_ok());
    let long = occupant(&"n".repeat(257));
    let refused = gate.try_lease(SEATS, &long, Patience::Leave).unwrap_err();
    assert_eq!(refused, Refusal::NameTooLong);
    let unknown = phi_verify::LimitCode::new(9);
    let refused = gate.try_lease(unknown, &occupant("ann"), Patience::Leave);
    assert_eq!(refused.unwrap_err(), Refusal::NotGranted);
}

#[test]
fn a_lease_longer_than_the_store_gives_is_as_long_as_it_gives() {
    let desk = Desk::new();
    let policy = Policy::default().seats(
        SEATS,
        SeatPolicy {
            lease: 10 * LEASE,
            ..SeatPolicy::default()
        },
    );
    let gate = desk.node.gate(&verify(&calls(1)), policy);
    let lease = desk.lease(&gate, "ann").unwrap();
    desk.rig.pass(LEASE);
    assert_eq!(lease.check(), Err(Refusal::SeatLate));
}

/// A store that fails as it is told to.
struct Faulty {
    store: Arc<dyn Store>,
    fails: AtomicBool,
}

impl Faulty {
    fn check(&self) -> Result<(), StoreError> {
        if self.fails.load(Ordering::Relaxed) {
            // The one way to an error from outside of the crate: a store that is none.
            let clock = Arc::new(HandClock::default());
            let options = phi_enforce::SqliteOptions::new(clock);
            return Err(Sqlite::open("/dev/null/none".as_ref(), options).unwrap_err());
        }
        Ok(())
    }
}

impl Store for Faulty {
    fn hello(
        &self,
        incarnation: Incarnation,
        name: &str,
        seen: Option<(Epoch, u64)>,
    ) -> Result<Hello, StoreError> {
        self.check()?;
        self.store.hello(incarnation, name, seen)
    }

    fn grant(&self, caller: Caller, asks: &[Ask]) -> Result<Outcome<Vec<Grant>>, StoreError> {
        self.check()?;
        self.store.grant(caller, asks)
    }

    fn give_back(
        &self,
        caller: Caller,
        returns: &[Return],
    ) -> Result<Outcome<Vec<u64>>, StoreError> {
        self.check()?;
        self.store.give_back(caller, returns)
    }

    fn reassert(&self, caller: Caller, held: &[Held]) -> Result<Outcome<()>, StoreError> {
        self.check()?;
        self.store.reassert(caller, held)
    }

    fn seats(
        &self,
        caller: Caller,
        ops: &[SeatOp],
    ) -> Result<Outcome<Vec<SeatAnswer>>, StoreError> {
        self.check()?;
        self.store.seats(caller, ops)
    }
}

#[test]
fn without_a_store_what_is_in_the_hand_is_spent_and_no_more() {
    let desk = Desk::new();
    let store = Faulty {
        store: desk.rig.store(),
        fails: AtomicBool::new(false),
    };
    let carry = || {
        while let Step::Send(request) = desk.node.next() {
            let answer = request.send(&store);
            let failed = answer.is_err();
            desk.node.answered(&request, answer);
            if failed {
                break;
            }
        }
    };
    let gate = desk.gate(&calls(100_000));
    for _ in 0..200 {
        if gate.try_take(CALLS, 1).is_err() {
            carry();
        }
    }
    carry();
    store.fails.store(true, Ordering::Relaxed);
    let mut spent = 0;
    while gate.try_take(CALLS, 1).is_ok() {
        spent += 1;
    }
    assert!(spent > 0);
    carry();
    let refused = gate.try_take(CALLS, 1);
    assert_eq!(refused, Err(Refusal::Unavailable(Some(Fault::Unusable))));
    let claimed = gate.try_lease(SEATS, &occupant("ann"), Patience::Leave);
    assert_eq!(
        claimed.unwrap_err(),
        Refusal::Unavailable(Some(Fault::Unusable))
    );
    assert_eq!(gate.check(EXPORT), Ok(()), "flags need no store");
    store.fails.store(false, Ordering::Relaxed);
    desk.rig.pass(Duration::from_millis(200));
    carry();
    let _ = gate.try_take(CALLS, 1);
    carry();
    assert!(gate.try_take(CALLS, 1).is_ok());
    assert!(
        gate.try_lease(SEATS, &occupant("ann"), Patience::Leave)
            .is_ok()
    );
}

/// Nodes with threads of their own on one store, and callers that wait for it.
pub(crate) fn threaded(rig: &SqliteRig, name: &str) -> Node {
    Node::start(rig.store(), Arc::new(SystemClock), name).unwrap()
}

#[test]
fn threads_of_several_nodes_take_all_there_is_and_no_more() {
    let rig = SqliteRig::new();
    let license = verify(&calls(1500));
    let nodes = ["one", "other"].map(|name| threaded(&rig, name));
    let taken = AtomicU64::new(0);
    thread::scope(|scope| {
        for node in &nodes {
            for _ in 0..4 {
                let gate = node.gate(&license, Policy::default());
                let taken = &taken;
                scope.spawn(move || {
                    while gate.take(CALLS, 1).is_ok() {
                        taken.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        }
    });
    // A node was refused while the other had the last units, which go back.
    let taken = taken.into_inner();
    assert!((1400..=1500).contains(&taken), "{taken}");
    drop(nodes);
    let usage = rig.sqlite().period_usage().unwrap();
    let charged: u64 = usage.iter().map(phi_enforce::PeriodUsage::charged).sum();
    assert_eq!(charged, taken, "what was not spent is back");
    assert_eq!(rig.audit(), Vec::<String>::new());
}

#[test]
fn threads_that_wait_for_a_seat_get_one_after_the_other() {
    let rig = SqliteRig::new();
    let license = verify(&calls(1));
    let node = threaded(&rig, "node");
    let (sitting, most) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for user in 0..6 {
            let gate = node.gate(&license, Policy::default());
            let (sitting, most) = (&sitting, &most);
            scope.spawn(move || {
                let user = occupant(&format!("user {user}"));
                let ages = Duration::from_secs(600);
                let lease = gate.lease_within(SEATS, &user, ages).unwrap();
                let now = sitting.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(now, Ordering::SeqCst);
                assert_eq!(lease.check(), Ok(()));
                sitting.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    assert!((1..=2).contains(&most.into_inner()));
    drop(node);
    assert_eq!(Client::new(rig.store(), 9).taken(), 0);
}

#[test]
fn a_node_says_who_it_is_in_few_words() {
    let rig = SqliteRig::new();
    let clock = Arc::new(HandClock::at(Moment {
        boot: Boot::from_nanos(1),
        wall: Wall::from(NOW),
    }));
    let refused = Node::start(rig.store(), clock, &"n".repeat(257)).unwrap_err();
    assert_eq!(refused.fault(), Fault::Request);
}
