//! Nodes that are processes, stopped for longer than their leases and killed, on a store on
//! PostgreSQL. What they did is counted here, outside of all of them, by the machine's one clock.

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Duration,
};

use phi_enforce::{
    Clock as _, Node, Occupant, Patience, Policy, Postgres, PostgresOptions, Refusal, SeatPolicy,
    SystemClock,
};
use phi_tests::postgres::{Schema, is_there};
use phi_verify::{Claims, Period};

use crate::{
    licenses::{CALLS, SEATS, claims, limited, verify},
    rig::{clock, open_postgres},
};

/// Set in a process that is a node, with the URL of its store.
const NODE: &str = "PHI_TEST_ENFORCE_NODE";
const NODES: usize = 3;
const SEAT_LIMIT: usize = 1;
const CALL_LIMIT: u64 = 100_000;
/// The shortest that a gate gives.
const LEASE: Duration = Duration::from_secs(1);
/// Holders are stopped so often at least, and until the naive holder was found out.
const ROUNDS: usize = 2;
const MOST_ROUNDS: usize = 20;
/// A machine that is busier than this fails the test.
const EVER: Duration = Duration::from_secs(60);

/// What a node did at a moment between two looks at the clock.
#[derive(Clone, Copy, Debug)]
struct Sight {
    life: usize,
    before: u64,
    after: u64,
    fence: u64,
    /// Whether the lease was in time.
    held: bool,
    /// Whether nobody had said yet that the seat is lost: the naive way to hold.
    believed: bool,
    /// Units that it was admitted so far.
    spent: u64,
}

fn boot() -> u64 {
    SystemClock.now().boot.nanos()
}

/// The life of a node: it spends, sits, and tells.
fn live(url: &str) -> ! {
    let options = PostgresOptions::new(Arc::new(SystemClock));
    let store = Postgres::open(url, None, options).unwrap();
    let node = Node::start(Arc::new(store), Arc::new(SystemClock), "process").unwrap();
    let license = verify(&Claims {
        expires: None,
        grace: 0,
        ..claims(limited(CALL_LIMIT, Period::Lifetime), SEAT_LIMIT as u64)
    });
    let policy = SeatPolicy {
        lease: LEASE,
        ..SeatPolicy::default()
    };
    let gate = node.gate(&license, Policy::default().seats(SEATS, policy));
    let occupant = Occupant {
        holder: std::process::id().to_string(),
        session: String::new(),
    };
    let (mut seat, mut spent) = (None, 0);
    loop {
        spent += u64::from(gate.try_take(CALLS, 1).is_ok());
        if seat.is_none() {
            seat = gate.try_lease(SEATS, &occupant, Patience::Queue).ok();
        }
        let fence = seat.as_ref().map_or(0, phi_enforce::Lease::fence);
        let before = boot();
        let verdict = seat.as_ref().map(phi_enforce::Lease::check);
        let after = boot();
        let held = u8::from(verdict == Some(Ok(())));
        let lost = verdict == Some(Err(Refusal::SeatLost));
        let believed = u8::from(verdict.is_some() && !lost);
        println!("seen {before} {after} {fence} {held} {believed} {spent}");
        if lost {
            seat = None;
        }
        // Work of its own.
        thread::sleep(Duration::from_millis(1));
    }
}

fn read(life: usize, line: &str) -> Option<Sight> {
    // The first line has the name of the test before it.
    let (_, told) = line.split_once("seen ")?;
    let words: Vec<u64> = told
        .split(' ')
        .map_while(|word| word.parse().ok())
        .collect();
    let [before, after, fence, held, believed, spent] = words[..] else {
        return None;
    };
    Some(Sight {
        life,
        before,
        after,
        fence,
        held: held == 1,
        believed: believed == 1,
        spent,
    })
}

/// Everything that was seen, by whoever waits for more.
#[derive(Default)]
struct Log {
    sights: Mutex<Vec<Sight>>,
    more: Condvar,
}

impl Log {
    fn wait(&self, for_what: &str, is_it: impl Fn(&Sight) -> bool) -> Sight {
        let mut from = 0;
        let mut sights = self.sights.lock().unwrap();
        loop {
            if let Some(found) = sights[from..].iter().find(|sight| is_it(sight)) {
                return *found;
            }
            from = sights.len();
            let (again, late) = self.more.wait_timeout(sights, EVER).unwrap();
            assert!(!late.timed_out(), "nobody said anything: {for_what}");
            sights = again;
        }
    }
}

/// A process, killed when it is dropped.
struct Process(Child);

impl Process {
    fn start(url: &str, life: usize, log: &Arc<Log>) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command
            .args([THIS, "--exact", "--nocapture"])
            .env(NODE, url);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let (output, log) = (child.stdout.take().unwrap(), Arc::clone(log));
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Some(sight) = read(life, &line) {
                    log.sights.lock().unwrap().push(sight);
                    log.more.notify_all();
                }
            }
        });
        Self(child)
    }

    fn signal(&self, signal: &str) {
        let id = self.0.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().unwrap();
        assert!(sent.success(), "{signal}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A process that stands still is killed too.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The most that had a seat at once: each from the first time that it was seen on it to the last.
fn most_at_once(sights: &[Sight], on_seat: impl Fn(&Sight) -> bool) -> usize {
    let mut spans: BTreeMap<(usize, u64), (u64, u64)> = BTreeMap::new();
    for sight in sights.iter().filter(|sight| on_seat(sight)) {
        let span = spans
            .entry((sight.life, sight.fence))
            .or_insert((sight.after, sight.before));
        span.1 = sight.before;
    }
    let ends = spans.values().filter(|(from, to)| from < to);
    let mut ends: Vec<(u64, i8)> = ends
        .flat_map(|(from, to)| [(*from, 1), (*to, -1)])
        .collect();
    ends.sort_unstable();
    let mut now = 0;
    let counts = ends.into_iter().map(|(_, step)| {
        now += isize::from(step);
        now
    });
    counts.max().unwrap_or(0).unsigned_abs()
}

const THIS: &str = "processes::a_process_that_stands_still_or_is_killed_exceeds_nothing";

#[test]
fn a_process_that_stands_still_or_is_killed_exceeds_nothing() {
    if let Ok(url) = env::var(NODE) {
        live(&url);
    }
    if !is_there() {
        return;
    }
    let schema = Schema::create().unwrap().unwrap();
    let url = schema.url();
    let log = Arc::new(Log::default());
    let mut lives = 0;
    let mut start = || {
        lives += 1;
        (lives, Process::start(&url, lives, &log))
    };
    let mut processes: BTreeMap<usize, Process> = (0..NODES).map(|_| start()).collect();
    let mut kills = 0;
    let mut since = 0;
    for round in 1..=MOST_ROUNDS {
        let held = |sight: &Sight| sight.held && sight.before > since;
        let holder = log.wait("a holder", held).life;
        processes[&holder].signal("-STOP");
        let stopped = boot();
        let next = |sight: &Sight| sight.held && sight.life != holder && sight.before > stopped;
        log.wait("the next holder", next);
        processes[&holder].signal("-CONT");
        since = boot();
        let back = |sight: &Sight| sight.life == holder && sight.before > since;
        log.wait("the one that stood still", back);
        let naive = most_at_once(&log.sights.lock().unwrap(), |sight| sight.believed);
        if round >= ROUNDS && naive > SEAT_LIMIT {
            break;
        }
        // With all that it has in its hand.
        drop(processes.remove(&holder));
        kills += 1;
        processes.extend([start()]);
    }
    kills += processes.len() as u64;
    drop(processes);
    judge(&log.sights.lock().unwrap(), kills, &url);
}

fn judge(sights: &[Sight], kills: u64, url: &str) {
    let held = most_at_once(sights, |sight| sight.held);
    let believed = most_at_once(sights, |sight| sight.believed);
    let lives: BTreeMap<usize, u64> = sights
        .iter()
        .map(|sight| (sight.life, sight.spent))
        .collect();
    let spent: u64 = lives.values().sum();
    let store = open_postgres(url, &clock()).unwrap();
    let charged = store.period_usage().unwrap()[0].charged();
    let stranded = charged - spent;
    println!(
        "{SEAT_LIMIT} seat: at most {held} held, {believed} by who waits to be told; {spent} units \
         spent, {charged} charged of {CALL_LIMIT}; {kills} kills stranded {stranded}"
    );
    assert_eq!(held, SEAT_LIMIT);
    assert!(believed > SEAT_LIMIT, "the naive holder is found out");
    assert!(spent <= charged && charged <= CALL_LIMIT);
    // A slice of each process that was killed, and a unit that it did not come to tell of.
    assert!(stranded <= kills * (CALL_LIMIT / 100 + 1), "{stranded}");
    assert_eq!(store.audit().unwrap(), Vec::<String>::new());
}
