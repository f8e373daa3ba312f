//! A standby takes over for which no commit waited, and which never heard of the last grants: nodes
//! say what they hold, and nothing is exceeded. Beside them, over the same servers and through the
//! same failure, nodes whose word goes nowhere: those exceed the limit, so that the test is known to
//! bite.

use std::{
    sync::{Arc, Condvar, Mutex, RwLock},
    thread,
    time::{Duration, Instant},
};

use phi_enforce::{
    Act, Ask, Caller, Done, Epoch, Gate, Grant, Held, Hello, Incarnation, Node, Occupant, Outcome,
    Patience, Policy, Postgres, PostgresOptions, Refusal, Return, SeatAnswer, SeatOp, SeatPolicy,
    Store, StoreError, SystemClock,
};
use phi_tests::postgres::{Schema, Server, Stop, is_there};
use phi_verify::{Claims, Period};

use super::faults::both;
use crate::{
    client::occupant,
    licenses::{CALLS, SEATS, claims, limited, verify},
    rig::{clock, open_postgres},
};

const NODES: usize = 2;
const LIMIT: u64 = 2_000;
/// What the standby hears of; what it does not; and where nodes are when the primary is killed.
const HEARD: u64 = 200;
const UNHEARD: u64 = 800;
const KILLED: u64 = 1_200;
/// Two thirds of it are left when the primary is killed: longer than the standby takes.
const LEASE: Duration = Duration::from_secs(4);
/// A machine that is busier than this fails the test.
const EVER: Duration = Duration::from_secs(60);

/// What a store is told by nodes after its history changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Given,
    /// Nothing, and the nodes do not know.
    Lost,
}

/// A store that says it has taken down what nodes hold, and has not.
struct Deaf(Postgres);

impl Store for Deaf {
    fn hello(
        &self,
        incarnation: Incarnation,
        name: &str,
        seen: Option<(Epoch, u64)>,
    ) -> Result<Hello, StoreError> {
        self.0.hello(incarnation, name, seen)
    }

    fn grant(&self, caller: Caller, asks: &[Ask]) -> Result<Outcome<Vec<Grant>>, StoreError> {
        self.0.grant(caller, asks)
    }

    fn give_back(
        &self,
        caller: Caller,
        returns: &[Return],
    ) -> Result<Outcome<Vec<u64>>, StoreError> {
        self.0.give_back(caller, returns)
    }

    fn reassert(&self, caller: Caller, _: &[Held]) -> Result<Outcome<()>, StoreError> {
        let (seq, value) = (caller.seen, ());
        Ok(Outcome::Done(Done { seq, value }))
    }

    fn seats(
        &self,
        caller: Caller,
        ops: &[SeatOp],
    ) -> Result<Outcome<Vec<SeatAnswer>>, StoreError> {
        self.0.seats(caller, ops)
    }
}

/// What the nodes of a store did, counted outside of it.
#[derive(Debug, Default)]
struct Tally {
    spent: u64,
    /// No more than about this much is spent for now.
    goal: u64,
    /// Nodes that had nothing in their hand when nothing was left in the store.
    through: [bool; NODES],
}

/// Nodes on a store of their own, in a schema of the servers.
struct Cluster {
    schema: Schema,
    nodes: Vec<(Node, Gate)>,
    tally: Mutex<Tally>,
    changed: Condvar,
}

impl Cluster {
    fn new(primary: &Server, standby: &Server, word: Word) -> Self {
        let schema = Schema::create_on(&primary.url("postgres")).unwrap();
        let url = both(primary, standby);
        let url = format!("{url}?options=-c%20search_path%3D{}", schema.name());
        let license = verify(&Claims {
            expires: None,
            grace: 0,
            ..claims(limited(LIMIT, Period::Lifetime), 1)
        });
        let policy = SeatPolicy {
            lease: LEASE,
            ..SeatPolicy::default()
        };
        let policy = Policy::default().seats(SEATS, policy);
        let node = |_| {
            let options = PostgresOptions::new(Arc::new(SystemClock)).longest_lease(LEASE);
            let options = options.answer_within(Duration::from_secs(2));
            let store = Postgres::open(&url, None, options).unwrap();
            let store: Arc<dyn Store> = match word {
                Word::Given => Arc::new(store),
                Word::Lost => Arc::new(Deaf(store)),
            };
            let node = Node::start(store, Arc::new(SystemClock), "node").unwrap();
            let gate = node.gate(&license, policy.clone());
            (node, gate)
        };
        Self {
            nodes: (0..NODES).map(node).collect(),
            schema,
            tally: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    fn gate(&self, node: usize) -> &Gate {
        &self.nodes[node].1
    }

    /// A node spends, as fast as it may, until nothing is left anywhere.
    fn spend(&self, node: usize, away: &RwLock<()>) {
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < EVER, "the store is away for ever");
            self.wait("leave to go on", |tally| tally.spent < tally.goal);
            match self.gate(node).take(CALLS, 1) {
                Ok(_) => self.note(|tally| tally.spent += 1),
                Err(Refusal::Exhausted { left: 0, .. }) => {
                    return self.note(|tally| tally.through[node] = true);
                }
                Err(Refusal::Exhausted { retry_after, .. }) => thread::sleep(retry_after),
                Err(Refusal::Learning { wait }) => thread::sleep(wait),
                // While the servers are away others can use the machine.
                Err(Refusal::Unavailable(_)) => drop(away.read()),
                Err(other) => panic!("{other:?}"),
            }
        }
    }

    fn note(&self, change: impl FnOnce(&mut Tally)) {
        change(&mut self.tally.lock().unwrap());
        self.changed.notify_all();
    }

    fn wait(&self, for_what: &str, until: impl Fn(&Tally) -> bool) {
        let tally = self.tally.lock().unwrap();
        let not_yet = |tally: &mut Tally| !until(tally);
        let waited = self.changed.wait_timeout_while(tally, EVER, not_yet);
        let (tally, late) = waited.unwrap();
        assert!(!late.timed_out(), "{tally:?}, and no {for_what}");
    }

    fn spend_until(&self, goal: u64) {
        self.note(|tally| tally.goal = goal);
        self.wait("units", |tally| tally.spent >= goal);
    }

    fn spent(&self) -> u64 {
        self.tally.lock().unwrap().spent
    }
}

fn ann() -> Occupant {
    occupant("ann", "")
}

fn bob() -> Occupant {
    occupant("bob", "")
}

#[test]
fn a_standby_that_was_behind_is_told_what_nodes_hold_and_exceeds_nothing() {
    if !is_there() {
        return;
    }
    let primary = Server::start().unwrap();
    let standby = primary.standby("second").unwrap();
    let clusters = [Word::Given, Word::Lost].map(|word| Cluster::new(&primary, &standby, word));
    let away = RwLock::new(());
    let leases = thread::scope(|scope| {
        for cluster in &clusters {
            let away = &away;
            (0..NODES).for_each(|node| drop(scope.spawn(move || cluster.spend(node, away))));
        }
        for cluster in &clusters {
            cluster.spend_until(HEARD);
        }
        standby.catch_up(&primary).unwrap();
        standby.cut_off().unwrap();
        // Units and a seat of which the standby knows nothing.
        let leases = clusters.each_ref().map(|cluster| {
            cluster.spend_until(UNHEARD);
            let lease = cluster.gate(0).lease(SEATS, &ann()).unwrap();
            assert!(
                cluster
                    .gate(1)
                    .try_lease(SEATS, &bob(), Patience::Queue)
                    .is_err()
            );
            (lease.fence(), lease)
        });
        // In the middle of the work: more is on its way.
        for cluster in &clusters {
            cluster.note(|tally| tally.goal = KILLED);
        }
        let gone = away.write();
        primary.stop(Stop::Immediate).unwrap();
        standby.promote().unwrap();
        drop(gone);
        for cluster in &clusters {
            cluster.note(|tally| tally.goal = u64::MAX);
            cluster.wait("end", |tally| tally.through == [true; NODES]);
        }
        leases
    });
    let [told, deaf] = &clusters;
    let [(fence, lease), (_, lost)] = leases;
    println!(
        "{LIMIT} units: {} spent by nodes that say what they hold, {} by nodes that do not",
        told.spent(),
        deaf.spent()
    );
    assert_eq!(told.spent(), LIMIT);
    assert!(deaf.spent() > LIMIT, "the test bites");
    // The seat is the same, and whoever waits for it has it when it is free.
    assert_eq!((lease.check(), lease.fence()), (Ok(()), fence));
    assert!(
        told.gate(1)
            .try_lease(SEATS, &bob(), Patience::Queue)
            .is_err()
    );
    assert_eq!(lost.check(), Err(Refusal::SeatLost));
    drop(lease);
    let next = told.gate(1).lease_within(SEATS, &bob(), LEASE).unwrap();
    assert!(next.fence() > fence);
    judge(&standby, told);
}

/// The books add up, and say what the standby was told.
fn judge(standby: &Server, cluster: &Cluster) {
    let url = standby.url("postgres");
    let url = format!("{url}?options=-c%20search_path%3D{}", cluster.schema.name());
    let store = open_postgres(&url, &clock()).unwrap();
    assert_eq!(store.period_usage().unwrap()[0].charged(), LIMIT);
    assert_eq!(store.audit().unwrap(), Vec::<String>::new());
    let log = store.usage(0, usize::MAX).unwrap();
    let told = log.iter().filter(|event| event.act == Act::Reasserted);
    assert_eq!(told.count(), NODES);
    let seats = log.iter().filter(|event| event.act == Act::SeatReasserted);
    assert_eq!(seats.count(), 1);
}
