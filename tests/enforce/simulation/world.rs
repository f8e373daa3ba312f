//! The world of a simulation: real time, a network, nodes, a store, and the observer.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    sync::Arc,
    time::Duration,
};

use phi_enforce::{
    About, Act, Answer, Boot, Clock as _, Gate, HandClock, Incarnation, Lease, ManualNode, Moment,
    Occupant, Patience, Policy, Refusal, Request, SeatPolicy, Step, StoreError, Wall, evictor_wait,
};
use phi_tests::snakeoil::NOW;
use phi_verify::{License, Period};

use crate::{
    dice::Dice,
    licenses::{CALLS, SEATS, claims, limited, verify},
    rig::{LONGEST, Rig as _, SqliteRig},
};

const NODES: usize = 4;
/// Users of each node: together they are more than there are seats.
const USERS: usize = 2;
pub(super) const SEAT_LIMIT: usize = 3;
/// The first user of each node is of a group for which a seat is kept.
const CREW: &str = "crew";
const CREW_SEATS: usize = 1;
const CALL_LIMIT: u64 = 400;
const LEASE: Duration = LONGEST;
/// How long everything goes wrong, in real time.
const TROUBLE: Duration = Duration::from_secs(60);
/// What is on its way when the trouble ends has arrived after this.
const QUIET: Duration = Duration::from_secs(8);

/// What goes wrong, in thousandths.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// Messages that are lost, and that arrive twice.
    lost: u64,
    twice: u64,
    /// The longest that a message takes.
    slow: Duration,
    /// Of a node's steps: pauses, frozen machines, kills.
    pause: u64,
    freeze: u64,
    kill: u64,
    /// Of all steps: the store is killed, its wall clock is set, it goes back.
    store_kill: u64,
    store_wall: u64,
    back: u64,
}

impl Plan {
    pub(super) const CALM: Self = Self {
        lost: 0,
        twice: 0,
        slow: Duration::from_millis(5),
        pause: 0,
        freeze: 0,
        kill: 0,
        store_kill: 0,
        store_wall: 0,
        back: 0,
    };
    pub(super) const NETWORK: Self = Self {
        lost: 150,
        twice: 150,
        slow: Duration::from_secs(4),
        store_kill: 2,
        ..Self::CALM
    };
    pub(super) const NODES: Self = Self {
        slow: Duration::from_millis(400),
        pause: 6,
        freeze: 2,
        kill: 3,
        ..Self::CALM
    };
    pub(super) const ALL: Self = Self {
        lost: 80,
        twice: 80,
        slow: Duration::from_secs(3),
        pause: 5,
        freeze: 2,
        kill: 3,
        store_kill: 2,
        store_wall: 2,
        back: 0,
    };
    /// Nodes stay alive and within reach: what a store forgets, they know.
    pub(super) const WENT_BACK: Self = Self {
        lost: 50,
        twice: 100,
        slow: Duration::from_millis(800),
        store_kill: 2,
        back: 2,
        ..Self::CALM
    };
}

/// When a user takes its seat for held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Belief {
    /// As long as the lease says so.
    Checked,
    /// Until a renewal fails: the naive way.
    UntilToldOtherwise,
}

/// What the observer saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) seed: u64,
    pub(super) admitted: u64,
    pub(super) refused: u64,
    pub(super) seats: u64,
    pub(super) most_seats: usize,
    /// Of those for whom no seat is kept.
    pub(super) most_others: usize,
    pub(super) kills: u64,
    pub(super) jumps: u64,
    pub(super) lost: u64,
    pub(super) epochs: u64,
    pub(super) stranded: u64,
    /// What may be stranded.
    pub(super) bound: u64,
    pub(super) lasted: Duration,
    pub(super) wrong: Vec<String>,
}

/// A clock that runs at its own rate of real time, in thousandths.
#[derive(Debug)]
struct Rated {
    clock: Arc<HandClock>,
    rate: u64,
    /// A frozen machine notices nothing.
    frozen: Duration,
}

impl Rated {
    fn new(rate: u64) -> Self {
        let clock = Arc::new(HandClock::at(Moment {
            boot: Boot::from_nanos(1_000_000_000),
            wall: Wall::from(NOW),
        }));
        let frozen = Duration::ZERO;
        Self {
            clock,
            rate,
            frozen,
        }
    }

    fn pass(&mut self, real: Duration) {
        let asleep = self.frozen.min(real);
        self.frozen -= asleep;
        let awake = real.saturating_sub(asleep);
        self.clock
            .pass(awake.mul_f64(f64::from(u32::try_from(self.rate).unwrap()) / 1000.0));
        // What is read from the network after a thaw.
        let wall = self.clock.now().wall.millis() + u64::try_from(asleep.as_millis()).unwrap();
        self.clock.set_wall(Wall::from_millis(wall));
    }
}

struct Node {
    life: u64,
    rated: Rated,
    agent: ManualNode,
    gate: Gate,
    leases: BTreeMap<usize, (Lease, Duration)>,
    paused: Duration,
}

impl Node {
    fn stands_still(&self, now: Duration) -> bool {
        now < self.paused || self.rated.frozen > Duration::ZERO
    }
}

enum Event {
    ToStore(usize, u64, Box<Request>),
    ToNode(usize, u64, Box<Request>, Box<Result<Answer, StoreError>>),
    Step(usize),
    Act(usize),
}

/// An event with its time and its place among those of the same time.
struct Due(Duration, u64, Event);

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

struct World {
    dice: Dice,
    plan: Plan,
    belief: Belief,
    now: Duration,
    events: BinaryHeap<Reverse<Due>>,
    counter: u64,
    nodes: Vec<Node>,
    rig: SqliteRig,
    store_rate: u64,
    license: License,
    names: u64,
    /// Units that were admitted, by the end of their period.
    admitted: BTreeMap<Option<u64>, u64>,
    report: Report,
    calm: bool,
}

pub(super) fn run(seed: u64, plan: Plan, belief: Belief) -> Report {
    let mut world = World::new(seed, plan, belief);
    world.trouble();
    world.heal();
    world.stop();
    world.judge();
    world.report.lasted = world.now;
    world.report
}

/// The name of a run of a node: in this world a number.
fn incarnation(number: u64) -> Incarnation {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    Incarnation::from_bytes(bytes)
}

impl World {
    fn new(seed: u64, plan: Plan, belief: Belief) -> Self {
        let mut dice = Dice::new(seed);
        let period = if seed.is_multiple_of(2) {
            Period::Lifetime
        } else {
            Period::Hour
        };
        let mut world = Self {
            store_rate: 910 + dice.below(180),
            dice,
            plan,
            belief,
            now: Duration::ZERO,
            events: BinaryHeap::new(),
            counter: 0,
            nodes: Vec::new(),
            rig: SqliteRig::new(),
            license: verify(&claims(limited(CALL_LIMIT, period), SEAT_LIMIT as u64)),
            names: 0,
            admitted: BTreeMap::new(),
            report: Report {
                seed,
                ..Report::default()
            },
            calm: false,
        };
        // An hour ends in the middle of it.
        let wall = Wall::from_millis(Wall::from(NOW).millis() - 40_000);
        world.rig.clock().set_wall(wall);
        for index in 0..NODES {
            let node = world.make_node(0);
            world.nodes.push(node);
            world.after(Duration::ZERO, Event::Step(index));
            world.after(Duration::ZERO, Event::Act(index));
        }
        world
    }

    fn make_node(&mut self, life: u64) -> Node {
        let rated = Rated::new(910 + self.dice.below(180));
        // Every run of every node has a name of its own, and there are less than a thousand.
        self.names += 1000;
        let mut next = self.names;
        let names = move || {
            next += 1;
            Ok(incarnation(next))
        };
        let clock = Arc::<HandClock>::clone(&rated.clock);
        let node = ManualNode::new(clock, "node", names).unwrap();
        let policy = Policy::default().seats(
            SEATS,
            SeatPolicy {
                lease: LEASE,
                reserved: [(CREW, CREW_SEATS as u64)].into_iter().collect(),
                ..SeatPolicy::default()
            },
        );
        let gate = node.gate(&self.license, policy);
        Node {
            life,
            rated,
            agent: node,
            gate,
            leases: BTreeMap::new(),
            paused: Duration::ZERO,
        }
    }

    fn after(&mut self, delay: Duration, event: Event) {
        self.counter += 1;
        let due = Due(self.now + delay, self.counter, event);
        self.events.push(Reverse(due));
    }

    fn trouble(&mut self) {
        while self.now < TROUBLE {
            self.one_event();
            self.fail();
            self.observe();
        }
    }

    /// Lets everything that is due happen, one after the other.
    fn one_event(&mut self) {
        let Some(Reverse(Due(at, _, event))) = self.events.pop() else {
            return;
        };
        let passed = at.saturating_sub(self.now);
        self.now = self.now.max(at);
        for node in &mut self.nodes {
            node.rated.pass(passed);
        }
        let rate = f64::from(u32::try_from(self.store_rate).unwrap()) / 1000.0;
        self.rig.pass(passed.mul_f64(rate));
        match event {
            Event::ToStore(index, life, request) => self.reach_store(index, life, &request),
            Event::ToNode(index, life, request, answer) => {
                let node = &self.nodes[index];
                if node.life == life {
                    if node.stands_still(self.now) {
                        let event = Event::ToNode(index, life, request, answer);
                        self.after(Duration::from_millis(50), event);
                    } else {
                        node.agent.answered(&request, *answer);
                        self.step(index);
                    }
                }
            }
            Event::Step(index) => {
                self.step(index);
                self.after(Duration::from_millis(50), Event::Step(index));
            }
            Event::Act(index) => {
                self.act(index);
                let pause = self.dice.within(Duration::from_millis(200));
                self.after(pause, Event::Act(index));
            }
        }
    }

    fn step(&mut self, index: usize) {
        let node = &self.nodes[index];
        if node.stands_still(self.now) {
            return;
        }
        if let Step::Send(request) = node.agent.next() {
            let life = node.life;
            self.send(|| Event::ToStore(index, life, Box::new(request.clone())));
        }
    }

    fn send(&mut self, message: impl Fn() -> Event) {
        let plan = if self.calm { Plan::CALM } else { self.plan };
        let copies = 1 + u64::from(self.dice.falls(plan.twice));
        for _ in 0..copies {
            if self.dice.falls(plan.lost) {
                self.report.lost += 1;
                continue;
            }
            // Most are quick, or nothing would get done.
            let most = if self.dice.falls(200) {
                plan.slow
            } else {
                Duration::from_millis(5)
            };
            let delay = self.dice.within(most);
            self.after(delay, message());
        }
    }

    fn reach_store(&mut self, index: usize, life: u64, request: &Request) {
        let answer = request.send(&*self.rig.store());
        let request = || Box::new(request.clone());
        self.send(|| Event::ToNode(index, life, request(), Box::new(answer.clone())));
    }

    fn act(&mut self, index: usize) {
        if self.nodes[index].stands_still(self.now) {
            return;
        }
        let units = 1 + self.dice.below(3);
        match self.nodes[index].gate.try_take(CALLS, units) {
            Ok(taken) => {
                let period = taken.resets.map(|ends| ends.seconds());
                *self.admitted.entry(period).or_default() += units;
                self.report.admitted += units;
            }
            Err(Refusal::NotYet) => {}
            Err(_) => self.report.refused += 1,
        }
        for user in 0..USERS {
            self.sit(index, user);
        }
    }

    /// A user takes a seat, keeps it for a while and gives it up.
    fn sit(&mut self, index: usize, user: usize) {
        let now = self.now;
        let node = &mut self.nodes[index];
        if let Some((lease, until)) = node.leases.get(&user) {
            let lost = lease.check() == Err(Refusal::SeatLost);
            if lost || now > *until {
                node.leases.remove(&user);
            }
            return;
        }
        let occupant = Occupant {
            holder: format!("user {index}.{user}"),
            session: String::new(),
        };
        let gate = if user == 0 {
            node.gate.of_group(CREW)
        } else {
            node.gate.clone()
        };
        if let Ok(lease) = gate.try_lease(SEATS, &occupant, Patience::Queue) {
            let stay = Duration::from_millis(1000 + self.dice.below(20_000));
            node.leases.insert(user, (lease, now + stay));
            self.report.seats += 1;
        }
    }

    fn fail(&mut self) {
        let plan = self.plan;
        // Many events are of no consequence: faults are a tenth as frequent as the plan says.
        if !self.dice.falls(100) {
            return;
        }
        let index = usize::try_from(self.dice.below(NODES as u64)).unwrap();
        if self.dice.falls(plan.pause) {
            let pause = self.dice.within(3 * LEASE);
            self.nodes[index].paused = self.now + pause;
        }
        if self.dice.falls(plan.freeze) {
            let pause = Duration::from_millis(1200) + self.dice.within(2 * LEASE);
            self.nodes[index].rated.frozen += pause;
            self.report.jumps += 1;
        }
        if self.dice.falls(plan.kill) {
            self.kill(index);
        }
        if self.dice.falls(plan.store_kill) {
            self.rig.reopen();
        }
        if self.dice.falls(plan.store_wall) {
            let wall = self.rig.clock().now().wall.millis();
            let hours = self.dice.below(3) * 3_600_000;
            let wall = (wall + hours).saturating_sub(3_600_000);
            self.rig.clock().set_wall(Wall::from_millis(wall));
        }
        if self.dice.falls(plan.back) {
            self.go_back();
        }
    }

    fn kill(&mut self, index: usize) {
        let life = self.nodes[index].life + 1;
        self.nodes[index] = self.make_node(life);
        self.report.kills += 1;
    }

    /// A backup is restored, and the last moments are forgotten: no node is away for as long as the
    /// store learns.
    fn go_back(&mut self) {
        self.rig.back_up();
        let until = self.now + Duration::from_secs(2);
        while self.now < until {
            self.one_event();
            self.observe();
        }
        self.rig.restore();
        self.report.epochs += 1;
        let until = self.now + evictor_wait(LEASE) + Duration::from_secs(5);
        while self.now < until {
            self.one_event();
            self.observe();
        }
    }

    /// How many seats are in use at this moment, by everyone's own belief.
    fn observe(&mut self) {
        let holds = |lease: &Lease| match self.belief {
            Belief::Checked => lease.check().is_ok(),
            Belief::UntilToldOtherwise => lease.check() != Err(Refusal::SeatLost),
        };
        // Whoever is frozen does nothing, and looks at its clock when it does again.
        let awake = self.nodes.iter().filter(|node| node.rated.frozen.is_zero());
        let leases = awake.flat_map(|node| node.leases.values());
        let holders: BTreeSet<&str> = leases
            .filter(|(lease, _)| holds(lease))
            .map(|(lease, _)| lease.occupant().holder.as_str())
            .collect();
        let used = holders.len();
        self.report.most_seats = self.report.most_seats.max(used);
        let others = holders.iter().filter(|holder| holder.ends_with(".1"));
        let others = others.count();
        self.report.most_others = self.report.most_others.max(others);
        if others > SEAT_LIMIT - CREW_SEATS && self.report.wrong.is_empty() {
            let problem = format!("{others} sit, and a seat of the crew's is taken");
            self.report.wrong.push(problem);
        }
        if used > SEAT_LIMIT && self.report.wrong.is_empty() {
            let problem = format!("{used} seats in use at {:?}", self.now);
            self.report.wrong.push(problem);
        }
        let over = self.admitted.iter().find(|(_, units)| **units > CALL_LIMIT);
        if let Some((period, units)) = over
            && self.report.wrong.is_empty()
        {
            let problem = format!("{units} calls admitted until {period:?}");
            self.report.wrong.push(problem);
        }
    }

    fn go_on(&mut self, duration: Duration) {
        let until = self.now + duration;
        while self.now < until {
            self.one_event();
            self.observe();
        }
    }

    /// The trouble is over: whoever wants a seat gets one within a lease and an eviction.
    fn heal(&mut self) {
        self.calm = true;
        for node in &mut self.nodes {
            node.paused = Duration::ZERO;
            node.rated.frozen = Duration::ZERO;
        }
        self.go_on(QUIET + evictor_wait(LEASE));
        for node in &mut self.nodes {
            node.leases.clear();
        }
        let sat = self.report.seats;
        self.go_on(2 * evictor_wait(LEASE));
        let served = self.report.seats - sat;
        if served < SEAT_LIMIT as u64 {
            let problem = format!("{served} seats given out after all was well again");
            self.report.wrong.push(problem);
        }
    }

    /// Everybody stops, and gives back what was not spent.
    fn stop(&mut self) {
        for node in &mut self.nodes {
            node.leases.clear();
            node.agent.stop();
        }
        self.go_on(QUIET);
        for node in &self.nodes {
            if !node.agent.is_stopped() {
                self.report.wrong.push("a node does not stop".into());
            }
        }
    }

    /// The books: what every run was charged is what it spent, or was stranded with it.
    fn judge(&mut self) {
        let store = self.rig.sqlite();
        let mut wrong = store.audit().unwrap();
        let mut charged = 0;
        for usage in store.period_usage().unwrap() {
            if usage.key.quota != CALLS {
                continue;
            }
            charged += usage.charged();
            let period = usage.label.ends().map(|ends| ends.seconds());
            let admitted = self.admitted.get(&period).copied().unwrap_or(0);
            if usage.charged() > CALL_LIMIT || admitted > usage.charged() {
                wrong.push(format!("{admitted} admitted, {usage:?}"));
            }
        }
        self.report.stranded = charged.saturating_sub(self.report.admitted);
        // A hundredth of the quota, or what one call needs, of each run that ended badly, in each
        // period.
        let runs = self.report.kills + self.report.jumps;
        self.report.bound = runs * (CALL_LIMIT / 100).max(3);
        if self.report.stranded > self.report.bound {
            wrong.push(format!(
                "{} stranded, {} at most",
                self.report.stranded, self.report.bound
            ));
        }
        let mut last = 0;
        for event in store.usage(0, usize::MAX).unwrap() {
            let fence = match event.about {
                About::Seat { fence, .. }
                    if matches!(event.act, Act::SeatAcquired | Act::SeatTakenOver) =>
                {
                    fence
                }
                _ => continue,
            };
            if fence <= last {
                wrong.push(format!("fence {fence} after {last}"));
            }
            last = fence;
        }
        self.report.wrong.extend(wrong);
    }
}
