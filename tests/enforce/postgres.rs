//! PostgreSQL's own: servers that cannot hold a limit, several nodes at once, and large batches.

mod failover;
mod faults;
mod network;

use std::{collections::BTreeSet, sync::Arc, thread};

use phi_enforce::{Act, Ask, Claim, Fault, Outcome, Postgres, QuotaKey, SeatAnswer, SeatOp};
use phi_tests::postgres::{Schema, is_there};
use phi_verify::{LicenseId, QuotaCode};

use crate::{
    client::{Client, LICENSE, SEATS, ask, claim, occupant},
    rig::{PostgresRig, Rig as _, clock, open_postgres},
};

#[track_caller]
fn refused(url: &str) -> Fault {
    let error = open_postgres(url, &clock()).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter"), "{error}");
    error.fault()
}

#[test]
fn a_password_is_refused_and_not_repeated() {
    for url in [
        "postgres://phi:hunter2@db.example/phi",
        "postgres://db.example/phi?password=hunter2",
        "postgres://phi:hunter2@db.example:x/phi",
        "host=db.example password=hunter2",
        "postgres://db.example/phi?user=a@hunter",
        "postgres://db.example/phi?sslmode=hunter",
    ] {
        assert_eq!(refused(url), Fault::Address, "{url}");
    }
}

#[test]
fn a_server_that_is_not_there_or_lets_nobody_in_is_told_apart() {
    let nobody = "postgres://phi@127.0.0.1:1/phi?sslmode=disable";
    assert_eq!(refused(nobody), Fault::Unreachable);
    let Some(schema) = Schema::create() else {
        return;
    };
    let url = schema.unwrap().url();
    assert_eq!(refused(&url.replace("phi@", "nobody@")), Fault::NoAccess);
    assert_eq!(
        refused(&url.replace("/postgres?", "/another?")),
        Fault::NoAccess
    );
}

#[test]
fn a_server_that_cannot_hold_a_limit_is_refused() {
    let Some(schema) = Schema::create() else {
        return;
    };
    let schema = schema.unwrap();
    let with = |setting: &str| format!("{}%20-c%20{setting}", schema.url());
    assert_eq!(refused(&with("synchronous_commit%3Doff")), Fault::Unfit);
    let read_only = with("default_transaction_read_only%3Don");
    assert_eq!(refused(&read_only), Fault::ReadOnly);
    let nowhere = schema.url().replace("phi_", "not_");
    assert_eq!(refused(&nowhere), Fault::Unfit);
    open_postgres(&with("synchronous_commit%3Dlocal"), &clock()).unwrap();
}

#[test]
fn tables_of_something_else_are_left_alone() {
    let Some(schema) = Schema::create() else {
        return;
    };
    let schema = schema.unwrap();
    let mut sql = schema.connect().unwrap();
    sql.batch_execute("CREATE TABLE t (x int)").unwrap();
    assert_eq!(refused(&schema.url()), Fault::Foreign);
    sql.batch_execute("DROP TABLE t").unwrap();
    let store = open_postgres(&schema.url(), &clock()).unwrap();
    let mut client = Client::new(Arc::new(store), 1);
    client.grant(ask(10, 1));
    sql.batch_execute("UPDATE phi_enforce SET version = 2")
        .unwrap();
    assert_eq!(refused(&schema.url()), Fault::Newer);
    // A node that runs meanwhile is too old from then on.
    let refused = client.store.grant(client.caller, &[ask(10, 1)]);
    assert_eq!(refused.unwrap_err().fault(), Fault::Newer);
}

#[test]
fn nodes_that_begin_at_once_have_one_store() {
    let Some(schema) = Schema::create() else {
        return;
    };
    let schema = schema.unwrap();
    let epochs = thread::scope(|scope| {
        let node = |name| {
            let url = schema.url();
            scope.spawn(move || {
                let store = open_postgres(&url, &clock()).unwrap();
                let client = Client::new(Arc::new(store), name);
                (client.caller.epoch.store, client.caller.epoch.restores)
            })
        };
        let nodes: Vec<_> = (1..=6).map(node).collect();
        let epochs = nodes.into_iter().map(|node| node.join().unwrap());
        epochs.collect::<BTreeSet<_>>()
    });
    assert_eq!(epochs.len(), 1);
}

#[test]
fn nodes_of_many_processes_exceed_nothing() {
    let Some(rig) = PostgresRig::new() else {
        return;
    };
    let (units, fences) = thread::scope(|scope| {
        let node = |name| {
            let url = rig.schema.url();
            scope.spawn(move || {
                // A connection of its own, as another process has.
                let store = open_postgres(&url, &clock()).unwrap();
                let mut client = Client::new(Arc::new(store), name);
                let (mut units, mut fences) = (0, Vec::new());
                for round in 0..15 {
                    let got = client.units(ask(100, 4));
                    units += got;
                    let holder = format!("{name}-{round}");
                    if let SeatAnswer::Held { fence, .. } = client.acquire(claim(10, &holder)) {
                        fences.push(fence);
                    }
                }
                (units, fences)
            })
        };
        let nodes: Vec<_> = (1..=4).map(node).collect();
        let ended: Vec<_> = nodes.into_iter().map(|node| node.join().unwrap()).collect();
        let units = ended.iter().map(|(units, _)| units).sum::<u64>();
        let fences = ended.into_iter().flat_map(|(_, fences)| fences);
        (units, fences.collect::<Vec<_>>())
    });
    assert_eq!((units, fences.len()), (100, 10));
    assert_eq!(fences.iter().collect::<BTreeSet<_>>().len(), 10);
    let log = rig.postgres().usage(0, 1000).unwrap();
    let count = |act| log.iter().filter(|event| event.act == act).count();
    assert_eq!((count(Act::Granted), count(Act::SeatAcquired)), (25, 10));
    assert!(log.is_sorted_by_key(|event| event.seq));
    assert_eq!(rig.audit(), Vec::<String>::new());
}

/// An ask for one of many quotas.
fn one_of(number: u16, units: u64) -> Ask {
    Ask {
        key: QuotaKey {
            license: LicenseId::from_bytes(u64::from(number % 50).to_be_bytes()),
            quota: QuotaCode::new(number / 50),
        },
        ..ask(10, units)
    }
}

fn grant_all(client: &mut Client, asks: &[Ask]) -> Vec<u64> {
    client.caller.request += 1;
    let outcome = client.store.grant(client.caller, asks).unwrap();
    let Outcome::Done(done) = outcome else {
        panic!("{outcome:?}");
    };
    client.caller.seen = done.seq;
    done.value.into_iter().map(|grant| grant.units).collect()
}

#[test]
fn a_batch_is_one_request_after_the_other() {
    let Some(rig) = PostgresRig::new() else {
        return;
    };
    let mut client = Client::new(rig.store(), 1);
    let asks: Vec<Ask> = (0..1000).map(|number| one_of(number % 500, 6)).collect();
    let (first, second) = ([6; 500], [0; 500]);
    assert_eq!(grant_all(&mut client, &asks), [first, second].concat());
    let asks: Vec<Ask> = (0..500).rev().map(|number| one_of(number, 4)).collect();
    assert_eq!(grant_all(&mut client, &asks), [4; 500]);
    assert_eq!(rig.audit(), Vec::<String>::new());
    let usage = rig.postgres().period_usage().unwrap();
    assert!(usage.len() == 500 && usage.iter().all(|usage| usage.charged() == 10));
}

#[test]
fn steps_of_a_batch_see_each_other() {
    let Some(rig) = PostgresRig::new() else {
        return;
    };
    let mut client = Client::new(rig.store(), 1);
    let incarnation = client.caller.incarnation;
    let acquire = |holder: &str| {
        SeatOp::Acquire(Claim {
            patience: phi_enforce::Patience::Queue,
            ..claim(1, holder)
        })
    };
    let release = |holder: &str| SeatOp::Release {
        pool: SEATS,
        occupant: occupant(holder, ""),
        incarnation,
    };
    client.caller.request += 1;
    let ops = [
        acquire("ann"),
        acquire("bob"),
        acquire("cyd"),
        release("ann"),
        acquire("cyd"),
        acquire("bob"),
        release("bob"),
        SeatOp::List { pool: SEATS },
        acquire("cyd"),
        acquire("cyd"),
    ];
    let outcome = client.store.seats(client.caller, &ops).unwrap();
    let Outcome::Done(done) = outcome else {
        panic!("{outcome:?}");
    };
    let told = done.value.iter().map(|answer| match answer {
        SeatAnswer::Held { .. } => "held".into(),
        SeatAnswer::Full { ahead, silent } => format!("{ahead:?} {}", silent.len()),
        SeatAnswer::Listed { taken, occupants } => format!("{taken} {}", occupants.len()),
        other => format!("{other:?}"),
    });
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            "held",
            "Some(0) 1",
            // Who was told of already is not again.
            "Some(1) 1",
            "Released",
            "Some(1) 0",
            "held",
            "Released",
            "0 1",
            "held",
            "held"
        ]
    );
    assert_eq!(client.taken(), 1);
    assert_eq!(rig.audit(), Vec::<String>::new());
}

#[test]
fn the_owner_of_the_log_does_not_change_it_by_accident() {
    let Some(schema) = Schema::create() else {
        return;
    };
    let schema = schema.unwrap();
    let name = schema.name();
    let mut sql = schema.connect().unwrap();
    // A user with no more rights than a store needs.
    let role = format!("CREATE ROLE {name} LOGIN; GRANT ALL ON SCHEMA {name} TO {name}");
    sql.batch_execute(&role).unwrap();
    let url = schema.url().replace("phi@", &format!("{name}@"));
    let store: Arc<Postgres> = Arc::new(open_postgres(&url, &clock()).unwrap());
    Client::new(Arc::<Postgres>::clone(&store), 1).grant(ask(10, 1));
    let mut owner = postgres::Client::connect(&url, postgres::NoTls).unwrap();
    for change in ["UPDATE usage SET units = 0", "DELETE FROM usage"] {
        assert!(owner.batch_execute(change).is_err(), "{change}");
    }
    let log = store.usage(0, 10).unwrap();
    let acts: Vec<_> = log.iter().map(|event| event.act).collect();
    assert_eq!(acts, [Act::TermsSet, Act::Granted]);
    // What another program changes is told.
    owner
        .batch_execute("UPDATE counters SET granted = 5")
        .unwrap();
    assert_eq!(store.audit().unwrap().len(), 2);
    assert_eq!(LICENSE.as_bytes(), b"license1");
    drop((owner, store));
    let drop = format!("DROP OWNED BY {name}; DROP ROLE {name}");
    sql.batch_execute(&drop).unwrap();
}

#[test]
fn nothing_here_is_skipped_where_a_server_is() {
    assert_eq!(is_there(), PostgresRig::new().is_some());
}
