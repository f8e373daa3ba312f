//! Seats of clients, on a clock that stands still until it is moved.

use std::collections::BTreeMap;

use phi_enforce::{
    Boot, HandClock, Incarnation, ManualNode, Moment, Patience, Policy, RHO, Sqlite, SqliteOptions,
    Step, Wall,
};
use phi_tests::snakeoil::{self, NOW, PRODUCT, Seed};
use phi_verify::{Allowance, Claims, License, RevocationPolicy, Terms, Verifier};
use tempfile::TempDir;

use super::*;

const SEATS: LimitCode = LimitCode::new(0);
const LEASE: Duration = Duration::from_secs(10);
const MOMENT: Duration = Duration::from_millis(2);

/// A node on a store, whose requests a test carries, and the seats of its clients.
struct Rig {
    clock: Arc<HandClock>,
    store: Sqlite,
    node: ManualNode,
    gate: Gate,
    sessions: Sessions,
    _folder: TempDir,
}

fn license() -> License {
    let claims = Claims {
        terms: Terms {
            limits: BTreeMap::from([(SEATS, Allowance::Limited(1))]),
            ..snakeoil::terms()
        },
        ..snakeoil::claims()
    };
    let trust = snakeoil::trust();
    let verifier = Verifier::new(&trust, PRODUCT, RevocationPolicy::Lenient);
    verifier.verify(&Seed::License.mint(&claims), NOW).unwrap()
}

impl Rig {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(HandClock::at(Moment {
            boot: Boot::from_nanos(1_000_000_000),
            wall: Wall::from(NOW),
        }));
        let options = SqliteOptions::new(Arc::<HandClock>::clone(&clock)).dangerous_on_any_disk();
        let store = Sqlite::open(&folder.path().join("usage.db"), options).unwrap();
        let node = manual(&clock, 1);
        let gate = node.gate(&license(), Policy::default());
        let sessions = Sessions::new(Arc::<HandClock>::clone(&clock));
        Self {
            clock,
            store,
            node,
            gate,
            sessions,
            _folder: folder,
        }
    }

    fn settle(&self, node: &ManualNode) {
        while let Step::Send(request) = node.next() {
            let answer = request.send(&self.store);
            node.answered(&request, answer);
        }
    }

    fn try_claim(&self, claimed: &Claimed) -> Result<Seat, Refusal> {
        let occupant = claimed.occupant();
        let lease = || self.gate.try_lease(SEATS, &occupant, Patience::Leave);
        let lease = match lease() {
            Err(Refusal::NotYet) => {
                self.settle(&self.node);
                lease()
            }
            lease => lease,
        };
        self.sessions.seat(claimed.clone(), lease?)
    }

    /// Lets time pass without a word to the store, and then gives up who is silent.
    fn pass(&self, duration: Duration) {
        self.clock.pass(duration);
        self.sessions.sweep();
        self.settle(&self.node);
    }

    fn seated(&self) -> usize {
        let pool = claimed("web").pool();
        self.store.occupants(pool, 10).unwrap().len()
    }
}

fn manual(clock: &Arc<HandClock>, name: u8) -> ManualNode {
    let names = move || Ok(Incarnation::from_bytes([name; 16]));
    ManualNode::new(Arc::<HandClock>::clone(clock), "node", names).unwrap()
}

fn claimed(client: &str) -> Claimed {
    Claimed {
        client: client.into(),
        license: license().claims().license_id,
        limit: SEATS,
        holder: "ann".into(),
        session: "laptop".into(),
    }
}

fn any(_: &Claimed) -> bool {
    true
}

#[test]
fn a_client_has_a_seat_as_long_as_it_asks() {
    let rig = Rig::new();
    let seat = rig.try_claim(&claimed("web")).unwrap();
    assert_eq!(seat.valid_for, LEASE);
    for _ in 0..10 {
        rig.pass(LEASE / 2);
        let again = rig.sessions.renew("web", &seat.id, any).unwrap();
        assert_eq!((again.fence, &again.id), (seat.fence, &seat.id));
        // What is left of the node's own lease, which it renewed after a third, and no more.
        assert!(again.valid_for <= LEASE && again.valid_for >= LEASE / 3);
    }
}

#[test]
fn a_silent_client_is_waited_for_until_it_has_stopped() {
    let rig = Rig::new();
    let seat = rig.try_claim(&claimed("web")).unwrap();
    let until = evictor_wait(seat.valid_for);
    // The slowest clock of a client shows that the time is over when this one shows so much.
    rig.pass(until.saturating_sub(MOMENT));
    assert_eq!((rig.sessions.len(), rig.seated()), (1, 1));
    rig.pass(MOMENT);
    assert_eq!((rig.sessions.len(), rig.seated()), (0, 0));
    assert_eq!(
        rig.sessions.renew("web", &seat.id, any),
        Err(NoSeat::Unknown)
    );
}

#[test]
fn a_client_that_says_so_is_not_waited_for() {
    let rig = Rig::new();
    let seat = rig.try_claim(&claimed("web")).unwrap();
    rig.sessions.release("web", &seat.id).unwrap();
    rig.settle(&rig.node);
    assert_eq!(rig.seated(), 0);
    assert_eq!(rig.sessions.release("web", &seat.id), Err(NoSeat::Unknown));
}

#[test]
fn a_seat_is_its_clients_alone() {
    let rig = Rig::new();
    let seat = rig.try_claim(&claimed("web")).unwrap();
    assert_eq!(seat.id.len(), 2 * RANDOM);
    assert_eq!(
        rig.sessions.renew("other", &seat.id, any),
        Err(NoSeat::Unknown)
    );
    assert_eq!(
        rig.sessions.release("other", &seat.id),
        Err(NoSeat::Unknown)
    );
    assert!(rig.sessions.renew("web", &seat.id, any).is_ok());
}

#[test]
fn a_claim_that_is_repeated_has_the_same_seat() {
    let rig = Rig::new();
    let seat = rig.try_claim(&claimed("web")).unwrap();
    let again = rig.try_claim(&claimed("web")).unwrap();
    assert_eq!((again.id, again.fence), (seat.id.clone(), seat.fence));
    // Another client on the seat of the same holder has a session of its own.
    let other = rig.try_claim(&claimed("worker")).unwrap();
    assert_ne!(other.id, seat.id);
    rig.sessions.release("web", &seat.id).unwrap();
    rig.settle(&rig.node);
    assert_eq!(rig.seated(), 1);
    assert!(rig.sessions.renew("worker", &other.id, any).is_ok());
}

#[test]
fn a_license_that_is_refused_ends_a_seat_and_takes_back_no_promise() {
    let rig = Rig::new();
    let seat = rig.try_claim(&claimed("web")).unwrap();
    rig.gate.refuse("revoked");
    let lost = Err(NoSeat::Refused(Refusal::SeatLost));
    assert_eq!(rig.sessions.renew("web", &seat.id, any), lost);
    // The answer may be lost: the client goes on, and nobody else is given the seat.
    rig.pass(evictor_wait(seat.valid_for).saturating_sub(MOMENT));
    assert_eq!(rig.seated(), 1);
    rig.pass(MOMENT);
    assert_eq!(rig.seated(), 0);
}

#[test]
fn a_node_that_drains_waits_for_its_clients() {
    let rig = Rig::new();
    let seat = rig.try_claim(&claimed("web")).unwrap();
    rig.sessions.drain();
    let stopping = Err(NoSeat::Refused(Refusal::Stopping));
    assert_eq!(rig.sessions.renew("web", &seat.id, any), stopping);
    assert_eq!(rig.try_claim(&claimed("other")), Err(Refusal::Stopping));
    assert!(!rig.sessions.is_empty());
    rig.pass(evictor_wait(seat.valid_for));
    assert!(rig.sessions.is_empty());
}

/// Whoever waits for the seat at the store gets it after the client has stopped, by every clock,
/// when the node dies.
#[test]
fn a_dead_nodes_client_has_stopped_before_another_begins() {
    let rig = Rig::new();
    let seat = rig.try_claim(&claimed("web")).unwrap();
    // The node lives on for a while without its store, and goes on promising what is left.
    rig.clock.pass(LEASE / 2);
    let last = rig.sessions.renew("web", &seat.id, any).unwrap();
    assert_eq!(last.valid_for, LEASE / 2);
    let stops = rig.clock.now().boot.plus(last.valid_for.div_f64(1.0 - RHO));
    let other = manual(&rig.clock, 2);
    let gate = other.gate(&license(), Policy::default());
    let bob = Occupant {
        holder: "bob".into(),
        session: String::new(),
    };
    let mut held = gate.try_lease(SEATS, &bob, Patience::Queue);
    while held.is_err() {
        rig.clock.pass(Duration::from_millis(50));
        rig.settle(&other);
        held = gate.try_lease(SEATS, &bob, Patience::Queue);
    }
    assert!(rig.clock.now().boot >= stops);
}

#[test]
fn who_waited_in_the_queue_is_promised_no_more_than_the_lease() {
    let rig = Rig::new();
    let occupant = claimed("web").occupant();
    let _ = rig.gate.try_lease(SEATS, &occupant, Patience::Leave);
    rig.settle(&rig.node);
    let lease = rig.gate.try_lease(SEATS, &occupant, Patience::Leave);
    rig.clock.pass(LEASE / 2);
    let seat = rig.sessions.seat(claimed("web"), lease.unwrap()).unwrap();
    assert_eq!(seat.valid_for, LEASE / 2);
    assert!(seat.renew_after < seat.valid_for);
}

/// What a client may do can become less while it has a seat.
#[test]
fn who_may_not_have_the_seat_any_more_does_not_keep_it() {
    let rig = Rig::new();
    let seat = rig.try_claim(&claimed("web")).unwrap();
    let may_not = |claimed: &Claimed| claimed.holder != "ann";
    assert_eq!(
        rig.sessions.renew("web", &seat.id, may_not),
        Err(NoSeat::Unknown)
    );
    rig.pass(evictor_wait(seat.valid_for));
    assert_eq!((rig.sessions.len(), rig.seated()), (0, 0));
}
