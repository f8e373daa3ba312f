//! A process killed around the commit of its store: what was answered is charged, what was not is
//! charged once, and all goes on.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps an error has failed"
)]

use std::{
    collections::BTreeSet,
    env,
    io::{self, Write as _},
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use phi_enforce::{
    Ask, Caller, FAIL_POINTS, Incarnation, Outcome, Overage, PeriodUsage, QuotaKey, Sqlite,
    SqliteOptions, Store as _, SystemClock,
};
use phi_verify::{Allowance, LicenseId, Period, Quota, QuotaCode};
use rustix::process::{Signal, getpid, kill_process};

/// Set in a process that kills itself: the file, the point, and the visit of it.
const VICTIM: &str = "PHI_TEST_ENFORCE_VICTIM";
/// Requests that a victim makes.
const REQUESTS: u64 = 6;
const LIMIT: u64 = 10;

fn open(path: &Path) -> Sqlite {
    let options = SqliteOptions::new(Arc::new(SystemClock));
    Sqlite::open(path, options.dangerous_on_any_disk()).unwrap()
}

fn ask(units: u64) -> Ask {
    Ask {
        key: QuotaKey {
            license: LicenseId::from_bytes(*b"license1"),
            quota: QuotaCode::new(0),
        },
        revision: 1,
        quota: Quota {
            allowance: Allowance::Limited(LIMIT),
            period: Period::Lifetime,
        },
        overage: Overage::Deny,
        at_least: units,
        at_most: units,
        in_hand: 0,
    }
}

/// Requests of one run of a node, by their numbers.
struct Client<'a> {
    store: &'a Sqlite,
    caller: Caller,
}

impl<'a> Client<'a> {
    fn new(store: &'a Sqlite) -> Self {
        let incarnation = Incarnation::from_bytes([7; 16]);
        let hello = store.hello(incarnation, "victim", None).unwrap();
        let caller = Caller {
            incarnation,
            epoch: hello.epoch,
            request: 0,
            seen: 0,
        };
        Self { store, caller }
    }

    fn units(&self, request: u64) -> u64 {
        let caller = Caller {
            request,
            ..self.caller
        };
        match self.store.grant(caller, &[ask(1)]).unwrap() {
            Outcome::Done(done) => done.value[0].units,
            other => panic!("{other:?}"),
        }
    }
}

fn arm(point: &str, visit: u64) {
    let visits = AtomicU64::new(0);
    let callback = move || {
        if visits.fetch_add(1, Ordering::Relaxed) + 1 == visit {
            // Nothing is flushed, dropped or undone: as after a power cut, but for the disk.
            let _ = kill_process(getpid(), Signal::KILL);
        }
    };
    fail::cfg_callback(point, callback).unwrap();
}

/// Says each number when its request was answered.
fn be_killed(order: &str) {
    let mut parts = order.splitn(3, ' ');
    let mut part = || parts.next().unwrap();
    let (point, visit, path) = (part(), part().parse().unwrap(), part());
    let store = open(Path::new(path));
    let client = Client::new(&store);
    arm(point, visit);
    for request in 1..=REQUESTS {
        assert_eq!(client.units(request), 1);
        println!("answered {request}");
        io::stdout().flush().unwrap();
    }
}

fn charged(store: &Sqlite) -> u64 {
    let usage = store.period_usage().unwrap();
    usage.iter().map(PeriodUsage::charged).sum()
}

#[test]
fn a_request_is_done_once_wherever_its_process_is_killed() {
    if let Ok(order) = env::var(VICTIM) {
        be_killed(&order);
        return;
    }
    let mut tried = BTreeSet::new();
    for point in FAIL_POINTS {
        for visit in [1, 2, REQUESTS] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("store.db");
            let order = format!("{point} {visit} {}", path.display());
            let name = "a_request_is_done_once_wherever_its_process_is_killed";
            let victim = Command::new(env::current_exe().unwrap())
                .args([name, "--exact", "--nocapture"])
                .env(VICTIM, order)
                .output()
                .unwrap();
            assert_eq!(victim.status.signal(), Some(9), "{point} {visit}");
            let said = String::from_utf8(victim.stdout).unwrap();
            let answered = u64::try_from(said.matches("answered").count()).unwrap();
            assert_eq!(answered, visit - 1, "{point} {visit}");
            check(&path, point, answered);
            tried.insert(*point);
        }
    }
    assert_eq!(tried, FAIL_POINTS.iter().copied().collect());
}

#[track_caller]
fn check(path: &Path, point: &str, answered: u64) {
    let store = open(path);
    let committed = u64::from(point == "enforce-after-commit");
    assert_eq!(charged(&store), answered + committed, "{point}");
    // The request that nobody answered is made again, under its number.
    let client = Client::new(&store);
    for _ in 0..2 {
        assert_eq!(client.units(answered + 1), 1, "{point}");
        assert_eq!(charged(&store), answered + 1, "{point}");
    }
    let rest: u64 = (answered + 2..answered + 30)
        .map(|request| client.units(request))
        .sum();
    assert_eq!(rest, LIMIT - answered - 1, "{point}");
    assert_eq!(store.audit().unwrap(), Vec::<String>::new(), "{point}");
}
