//! SQLite's own: files that are none, disks that fail, and many callers in one commit.

use std::{collections::BTreeSet, fs, path::Path, sync::Arc, thread};

use phi_enforce::{
    About, Act, Fault, HandClock, MAX_SLICE, SeatUsage, Sqlite, SqliteOptions, Store as _,
};
use phi_tests::{
    disk::{alone, fill, mount},
    snakeoil::NOW,
};
use rusqlite::Connection;

use crate::{
    client::{CALLS, Client, SEATS, ask, claim},
    rig::{Rig as _, SqliteRig, open},
};

fn clock() -> Arc<HandClock> {
    Arc::new(HandClock::default())
}

#[track_caller]
fn refused(path: &Path) -> Fault {
    open(path, &clock()).unwrap_err().fault()
}

#[test]
fn a_file_that_is_no_store_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text");
    fs::write(&text, "not a database, and longer than its head would be").unwrap();
    assert_eq!(refused(&text), Fault::Foreign);
    let other = folder.path().join("other.db");
    let connection = Connection::open(&other).unwrap();
    connection.execute_batch("CREATE TABLE t (x)").unwrap();
    drop(connection);
    let before = fs::read(&other).unwrap();
    assert_eq!(refused(&other), Fault::Foreign);
    assert_eq!(fs::read(&other).unwrap(), before);
    let folder = folder.path().join("no/such/folder.db");
    assert_eq!(refused(&folder), Fault::Unusable);
}

#[test]
fn a_newer_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    open(&path, &clock()).unwrap();
    let connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 3).unwrap();
    drop(connection);
    let error = open(&path, &clock()).unwrap_err();
    assert_eq!(error.fault(), Fault::Newer);
    assert_eq!(
        error.to_string(),
        "the store was written by a newer version: it has version 3, and 2 is the newest known here"
    );
}

#[test]
fn one_process_has_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = open(&path, &clock()).unwrap();
    assert_eq!(refused(&path), Fault::InUse);
    // Another process sees the lock too, and changes nothing.
    let other = Connection::open(&path).unwrap();
    assert!(other.execute_batch("DELETE FROM usage").is_err());
    drop(other);
    drop(store);
    open(&path, &clock()).unwrap();
}

/// Whoever opens the path meanwhile has another file there, and would give out the same again.
#[test]
fn a_file_that_is_moved_gives_out_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (path, moved) = (
        folder.path().join("store.db"),
        folder.path().join("moved.db"),
    );
    let store = Arc::new(open(&path, &clock()).unwrap());
    let mut client = Client::new(Arc::<Sqlite>::clone(&store), 1);
    assert_eq!(client.units(ask(10, 3)), 3);
    fs::rename(&path, &moved).unwrap();
    client.caller.request += 1;
    let error = store.grant(client.caller, &[ask(10, 3)]).unwrap_err();
    assert_eq!(error.fault(), Fault::Moved);
    assert_eq!(store.usage(u64::MAX, 1).unwrap_err().fault(), Fault::Moved);
    let other = open(&path, &clock()).unwrap();
    assert_eq!(store.usage(u64::MAX, 1).unwrap_err().fault(), Fault::Moved);
    drop(other);
    fs::rename(&moved, &path).unwrap();
    assert_eq!(client.units(ask(10, 3)), 3, "it is back");
}

#[test]
fn a_disk_in_memory_cannot_hold_a_limit() {
    if !alone("sqlite::a_disk_in_memory_cannot_hold_a_limit") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    mount("size=4m", folder.path());
    let options = SqliteOptions::new(clock());
    let error = Sqlite::open(&folder.path().join("store.db"), options).unwrap_err();
    assert_eq!(error.fault(), Fault::Unfit);
    assert!(
        error
            .to_string()
            .ends_with("is on tmpfs, which is in memory")
    );
}

#[test]
fn a_full_disk_grants_nothing_and_loses_nothing() {
    if !alone("sqlite::a_full_disk_grants_nothing_and_loses_nothing") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    mount("size=4m", folder.path());
    let store = Arc::new(open(&folder.path().join("store.db"), &clock()).unwrap());
    let mut client = Client::new(Arc::<Sqlite>::clone(&store), 1);
    let mut granted = client.units(ask(1_000_000, 5));
    let ballast = folder.path().join("ballast");
    fill(&ballast, 16 << 10);
    let mut faults = BTreeSet::new();
    for _ in 0..50 {
        client.caller.request += 1;
        match store.grant(client.caller, &[ask(1_000_000, 1)]) {
            Ok(_) => granted += 1,
            Err(error) => {
                faults.insert(error.code());
            }
        }
    }
    assert_eq!(faults, BTreeSet::from(["disk-full"]));
    fs::remove_file(ballast).unwrap();
    assert_eq!(client.units(ask(1_000_000, 2)), 2);
    granted += 2;
    assert_eq!(store.period_usage().unwrap()[0].charged(), granted);
    assert_eq!(store.audit().unwrap(), Vec::<String>::new());
}

#[test]
fn a_disk_that_becomes_read_only_is_said_to_be() {
    if !alone("sqlite::a_disk_that_becomes_read_only_is_said_to_be") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    mount("size=4m", folder.path());
    let path = folder.path().join("store.db");
    drop(open(&path, &clock()).unwrap());
    mount("size=4m", Path::new("/mnt"));
    fs::copy(&path, "/mnt/store.db").unwrap();
    let remount = ["-o", "remount,ro", "/mnt"];
    let mut command = std::process::Command::new("mount");
    assert!(command.args(remount).status().unwrap().success());
    assert_eq!(refused(Path::new("/mnt/store.db")), Fault::ReadOnly);
    assert_eq!(refused(Path::new("/mnt/new.db")), Fault::ReadOnly);
}

#[test]
fn many_callers_at_once_exceed_nothing() {
    const CALLERS: u8 = 16;
    let rig = SqliteRig::new();
    let run = |name| {
        let mut client = Client::new(rig.store(), name);
        let (mut units, mut seats) = (0, 0);
        for _ in 0..20 {
            units += client.units(ask(100, 1));
        }
        let acquired = client.acquire(claim(5, &name.to_string()));
        if matches!(acquired, phi_enforce::SeatAnswer::Held { .. }) {
            seats = 1;
        }
        (units, seats)
    };
    let totals = thread::scope(|scope| {
        let callers = (1..=CALLERS).map(|name| scope.spawn(move || run(name)));
        let callers: Vec<_> = callers.collect();
        callers
            .into_iter()
            .map(|caller| caller.join().unwrap())
            .fold((0, 0), |sum, (units, seats)| (sum.0 + units, sum.1 + seats))
    });
    assert_eq!(totals, (100, 5));
    assert_eq!(rig.audit(), Vec::<String>::new());
}

#[test]
fn every_grant_and_every_seat_has_its_record() {
    let rig = SqliteRig::new();
    let mut client = Client::new(rig.store(), 1);
    let grant = client.grant(ask(100, 9));
    client.give_back(grant, 4);
    let fence = client.fence(claim(2, "ann"));
    client.fence(claim(2, "bob"));
    client.release("ann", "");
    let log = rig.sqlite().usage(0, 100).unwrap();
    let acts: Vec<_> = log.iter().map(|event| event.act).collect();
    assert_eq!(
        acts,
        [
            Act::TermsSet,
            Act::Granted,
            Act::Returned,
            Act::SeatAcquired,
            Act::SeatAcquired,
            Act::SeatReleased
        ]
    );
    assert!(log.iter().all(|event| event.at.second() == NOW));
    let About::Units { key, units, .. } = log[1].about else {
        panic!("{log:?}");
    };
    assert_eq!((key, units, log[1].request), (CALLS, 9, 1));
    assert!(matches!(&log[5].about, About::Seat { fence: freed, .. } if *freed == fence));
    assert_eq!(rig.sqlite().usage(log[4].seq, 100).unwrap().len(), 1);
    assert_eq!(rig.sqlite().usage(0, 2).unwrap(), log[..2]);
    let periods = rig.sqlite().period_usage().unwrap();
    assert_eq!((periods[0].granted, periods[0].returned), (9, 4));
    let days = rig.sqlite().seat_usage().unwrap();
    let SeatUsage {
        pool,
        day,
        peak,
        acquired,
    } = days[0];
    assert_eq!((pool, peak, acquired), (SEATS, 2, 2));
    assert!(day <= NOW && NOW < day.plus(86_400));
}

#[test]
fn no_row_of_the_log_is_changed_and_an_audit_tells_what_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = Arc::new(open(&path, &clock()).unwrap());
    let mut client = Client::new(Arc::<Sqlite>::clone(&store), 1);
    client.grant(ask(100, 9));
    client.fence(claim(2, "ann"));
    drop((client, store));
    let file = Connection::open(&path).unwrap();
    for sql in ["DELETE FROM usage", "UPDATE usage SET units = 1"] {
        let refused = file.execute_batch(sql).unwrap_err().to_string();
        assert_eq!(refused, "the usage log is append-only");
    }
    file.execute_batch("UPDATE counters SET granted = 3; UPDATE pools SET taken = 0")
        .unwrap();
    drop(file);
    let found = open(&path, &clock()).unwrap().audit().unwrap();
    assert_eq!(
        found,
        [
            "a counter of quota 0 is not what the log comes to",
            "a counter of quota 0 is not what nodes hold",
            "pool 0 has 0 seats taken, and other holders",
        ]
    );
}

#[test]
fn a_store_that_was_restored_by_hand_learns() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    drop(open(&path, &clock()).unwrap());
    let options = SqliteOptions::new(clock()).dangerous_on_any_disk();
    let store = Sqlite::open(&path, options.restored()).unwrap();
    let client = Client::new(Arc::new(store), 1);
    assert!(client.caller.epoch.restores > 0);
    let outcome = client.store.grant(client.caller, &[ask(MAX_SLICE, 1)]);
    assert!(matches!(
        outcome.unwrap(),
        phi_enforce::Outcome::Learning { .. }
    ));
}
