//! What a server, and the way to it, can do to an issuer in the middle of its work: a clear error
//! each, and nothing lost or done twice.

use std::{
    collections::HashSet,
    path::Path,
    process::Command,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
};

use phi_issuer::{Context, Error, Issuer, MintedToken, NewLicense};
use phi_tests::{
    home::{Home, Sql, Store},
    postgres::{Database, Server, Stop, is_there},
    proxy::{Cut, Proxy},
    snakeoil::START,
    workshop::{self, PRODUCT, at},
};
use phi_verify::{LicenseId, UnixTime};
use postgres::{Client, NoTls};

use super::init;

/// A server and an issuer in it whose way there can be cut.
struct Rig {
    server: Server,
    proxy: Proxy,
    folder: tempfile::TempDir,
    issuer: Issuer,
}

impl Rig {
    fn new() -> Option<Self> {
        if !is_there() {
            return None;
        }
        let server = Server::start().unwrap();
        let proxy = Proxy::to(server.port()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let url = format!("postgres://phi@127.0.0.1:{}/postgres", proxy.port());
        let url = format!("{url}?sslmode=disable");
        let issuer = workshop::furnish(init(folder.path(), &url).unwrap()).unwrap();
        Some(Self {
            server,
            proxy,
            folder,
            issuer,
        })
    }

    fn events(&self) -> i64 {
        Sql::open(self.folder.path()).number("SELECT count(*) FROM events")
    }

    /// Issues a license under a key of the caller's.
    fn issue(&mut self, key: &str) -> Result<LicenseId, Error> {
        let context = Context {
            idempotency_key: Some(key.into()),
            ..at(START.plus(60))
        };
        let order = NewLicense::new("globex", PRODUCT, "team");
        Ok(self.issuer.issue_license(order, &context)?.id)
    }
}

#[test]
fn a_way_that_ends_during_the_commit_leaves_it_unknown_and_is_asked_again() {
    let Some(mut rig) = Rig::new() else { return };
    for (cut, recorded) in [(Cut::BeforeCommit, 0), (Cut::AfterCommit, 1)] {
        let before = rig.events();
        rig.proxy.cut(cut);
        let error = rig.issue(&format!("{cut:?}")).unwrap_err();
        assert_eq!(error.code(), "store-outcome-unknown", "{error:?}");
        assert!(error.hint().unwrap().contains("idempotency key"));
        assert_eq!(rig.events() - before, recorded, "{cut:?}");
        // The same issuer goes on by another connection.
        rig.issue(&format!("{cut:?}")).unwrap();
        assert_eq!(rig.events() - before, 1, "{cut:?}");
    }
}

#[test]
fn a_way_that_ended_while_nothing_was_done_is_gone_again() {
    let Some(mut rig) = Rig::new() else { return };
    rig.proxy.cut(Cut::AtBegin);
    rig.issue("one").unwrap();
    let terminate = "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity
                     WHERE application_name = 'phi'";
    assert_eq!(Sql::open(rig.folder.path()).number(terminate), 1);
    rig.issue("two").unwrap();
    rig.server.stop(Stop::Fast).unwrap();
    let error = rig.issue("three").unwrap_err();
    assert_eq!(error.code(), "store-unreachable", "{error:?}");
    assert_eq!(
        Issuer::open(rig.folder.path()).unwrap_err().code(),
        "store-unreachable"
    );
    rig.server.start_again().unwrap();
    rig.issue("three").unwrap();
    assert_eq!(rig.issuer.licenses(None, None).unwrap().len(), 3);
}

#[test]
fn a_commit_that_did_not_wait_for_its_standby_is_unknown() {
    let Some(mut rig) = Rig::new() else { return };
    rig.server
        .configure("synchronous_standby_names = 'nobody'")
        .unwrap();
    rig.server.stop(Stop::Fast).unwrap();
    rig.server.start_again().unwrap();
    let url = rig.server.url("postgres");
    let canceller = thread::spawn(move || {
        let mut client = Client::connect(&url, NoTls).unwrap();
        let cancel = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity
                      WHERE application_name = 'phi' AND wait_event = 'SyncRep'";
        while client.query_one(cancel, &[]).unwrap().get::<_, i64>(0) == 0 {
            thread::yield_now();
        }
    });
    let error = rig.issue("one").unwrap_err();
    canceller.join().unwrap();
    assert_eq!(error.code(), "store-outcome-unknown", "{error:?}");
    rig.server
        .configure("synchronous_standby_names = ''")
        .unwrap();
    rig.server.stop(Stop::Fast).unwrap();
    rig.server.start_again().unwrap();
    let license = rig.issue("one").unwrap();
    let licenses = rig.issuer.licenses(None, None).unwrap();
    assert_eq!(licenses.len(), 1);
    assert_eq!(licenses[0].id, license);
}

/// Mints until it is told to stop, and goes on after every error.
struct Minter {
    folder: std::path::PathBuf,
    license: LicenseId,
    tokens: mpsc::Sender<MintedToken>,
}

impl Minter {
    /// The codes of the errors that it met.
    fn run(self, over: &mpsc::Receiver<()>) -> Vec<&'static str> {
        let mut codes = Vec::new();
        let mut issuer = Issuer::open(&self.folder).unwrap();
        let mut now = START.plus(60);
        while over.try_recv() == Err(mpsc::TryRecvError::Empty) {
            now = now.plus(1);
            match workshop::mint(&mut issuer, self.license, 2, now) {
                Ok(minted) => minted.into_iter().for_each(|token| {
                    let _ = self.tokens.send(token);
                }),
                Err(error) => codes.push(error.code()),
            }
        }
        codes
    }
}

#[test]
fn a_server_that_is_stopped_again_and_again_loses_nothing_that_was_given_out() {
    if !is_there() {
        return;
    }
    let server = Server::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut issuer =
        workshop::furnish(init(folder.path(), &server.url("postgres")).unwrap()).unwrap();
    let (sender, tokens) = mpsc::channel();
    let minter = Minter {
        folder: folder.path().into(),
        license: workshop::issue(&mut issuer, START).unwrap(),
        tokens: sender,
    };
    let (stop, over) = mpsc::channel();
    let minter = thread::spawn(move || minter.run(&over));
    let mut given: Vec<MintedToken> = Vec::new();
    for how in [Stop::Immediate, Stop::Fast].into_iter().cycle().take(8) {
        // In the middle of the work: the next tokens are on their way.
        given.extend(tokens.iter().take(5));
        server.stop(how).unwrap();
        server.start_again().unwrap();
    }
    stop.send(()).unwrap();
    let mut codes = minter.join().unwrap();
    given.extend(tokens);
    for token in &given {
        assert_eq!(issuer.token(token.token_id).unwrap(), *token);
    }
    let sql = Sql::open(folder.path());
    assert_eq!(sql.number("SELECT max(seq) - count(*) FROM events"), 0);
    let before = sql.tables();
    issuer.rebuild().unwrap();
    assert_eq!(before, sql.tables());
    codes.sort_unstable();
    codes.dedup();
    println!("{} tokens given out; {codes:?}", given.len());
    let known = ["store-lost", "store-outcome-unknown", "store-unreachable"];
    assert!(
        !codes.is_empty() && codes.iter().all(|code| known.contains(code)),
        "{codes:?}"
    );
}

#[test]
fn a_batch_whose_connection_is_killed_is_run_again_and_does_nothing_twice() {
    const ROWS: usize = 600;
    if !is_there() {
        return;
    }
    let home = Home::new(Store::Server);
    let mut issuer = home.furnished().unwrap();
    let mut killer = home.database().connect().unwrap();
    let kill = "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity
                WHERE datname = current_database() AND application_name = 'phi'
                AND state <> 'idle' AND xact_start IS NOT NULL";
    let (mut kills, mut results) = (0, None);
    while results.is_none() {
        let (over, go_on) = (AtomicBool::new(false), kills < 6);
        let (run, hit) = thread::scope(|scope| {
            let killer = scope.spawn(|| {
                // A few runs are killed, each further on; then one is left alone.
                let mut hit = 0;
                while go_on && hit == 0 && !over.load(Ordering::SeqCst) {
                    hit = killer.query_one(kill, &[]).unwrap().get::<_, i64>(0);
                }
                hit
            });
            let run = workshop::batch(&mut issuer, "row", ROWS, START.plus(60), |_| {});
            over.store(true, Ordering::SeqCst);
            (run, killer.join().unwrap())
        });
        kills += hit;
        match run {
            Ok(rows) => results = Some(rows),
            Err(error) => assert!(
                matches!(error.code(), "store-lost" | "store-outcome-unknown"),
                "{error:?}"
            ),
        }
    }
    assert!(kills > 0);
    let tokens = results.unwrap().into_iter().map(|row| row.outcome.unwrap());
    let tokens: HashSet<String> = tokens.map(|minted| minted.token).collect();
    assert_eq!(tokens.len(), ROWS);
    let sql = Sql::open(home.path());
    let count = |sql: &Sql, what: &str| sql.number(&format!("SELECT count(*) FROM {what}"));
    let rows = i64::try_from(ROWS).unwrap();
    assert_eq!(count(&sql, "tokens"), rows);
    assert_eq!(count(&sql, "licenses"), rows);
}

#[test]
fn two_processes_that_race_get_all_of_theirs() {
    if !is_there() {
        return;
    }
    let home = Home::new(Store::Server);
    let mut issuer = home.furnished().unwrap();
    workshop::issue(&mut issuer, START).unwrap();
    let racer = |act: &str, count: &str| {
        Command::new(env!("CARGO_BIN_EXE_issuer-victim"))
            .arg(home.path())
            .args([act, count, "60"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap()
    };
    let racers = [
        racer("mint", "4"),
        racer("batch", "300"),
        racer("mint", "4"),
    ];
    let mut lines = HashSet::new();
    for racer in racers {
        let output = racer.wait_with_output().unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        lines.extend(text.lines().skip(1).map(str::to_owned));
    }
    assert_eq!(lines.len(), 4 * 20 + 300 + 4 * 20);
    let sql = Sql::open(home.path());
    assert_eq!(sql.number("SELECT count(*) FROM tokens"), 460);
    assert_eq!(sql.number("SELECT max(seq) - count(*) FROM events"), 0);
}

/// The code of what is refused after this was done to the database.
#[track_caller]
fn check(spoil: &str, expected: &str) {
    if !is_there() {
        return;
    }
    let home = Home::new(Store::Server);
    let mut issuer = home.furnished().unwrap();
    Sql::open(home.path()).run(spoil).unwrap();
    let error = workshop::issue(&mut issuer, START)
        .and_then(|license| workshop::mint(&mut issuer, license, 1, START.plus(60)))
        .unwrap_err();
    assert_eq!(error.code(), expected, "{error:?}");
    assert!(error.hint().is_some());
}

#[test]
fn tables_that_were_changed_from_outside_are_damaged() {
    check("DROP TABLE trail", "store-damaged");
    check("ALTER TABLE licenses DROP COLUMN due", "store-damaged");
    check("UPDATE keys SET role = 'nobody'", "event-damaged");
    check(
        "ALTER TABLE events DISABLE TRIGGER ALL;
         UPDATE events SET entry = '' WHERE word = 'catalog-recorded'",
        "event-damaged",
    );
}

#[test]
fn a_store_that_was_brought_to_a_newer_version_while_it_was_open_is_left_alone() {
    check("UPDATE phi_store SET version = 99", "store-newer");
}

#[test]
fn a_writer_that_waits_too_long_says_so() {
    if !is_there() {
        return;
    }
    let database = Database::create().unwrap().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let url = format!("{}?options=-c%20lock_timeout%3D50ms", database.url());
    let mut issuer = workshop::furnish(init(folder.path(), &url).unwrap()).unwrap();
    let mut other = database.connect().unwrap();
    let mut transaction = other.transaction().unwrap();
    transaction
        .query("SELECT version FROM phi_store FOR UPDATE", &[])
        .unwrap();
    let error = workshop::issue(&mut issuer, START).unwrap_err();
    assert_eq!(error.code(), "store-busy", "{error:?}");
    // Readers wait for nobody.
    assert_eq!(issuer.licenses(None, None).unwrap(), []);
    transaction.rollback().unwrap();
    workshop::issue(&mut issuer, START).unwrap();
}

/// The code with which the URL is refused.
#[track_caller]
fn check_url(url: &str, expected: &str) {
    let folder = tempfile::tempdir().unwrap();
    let error = init(folder.path(), url).unwrap_err();
    assert_eq!(error.code(), expected, "{error:?}");
    assert!(super::names(folder.path()).is_empty());
}

#[test]
fn a_server_that_does_not_let_one_in_is_told_from_one_that_is_not_there() {
    check_url(
        "postgres://phi@127.0.0.1:1/phi?sslmode=disable",
        "store-unreachable",
    );
    check_url(
        "postgres://phi@%2Fno%2Fsuch%2Ffolder/phi",
        "store-unreachable",
    );
    if !is_there() {
        return;
    }
    let database = Database::create().unwrap().unwrap();
    let url = database.url();
    check_url(&format!("{url}_of_another_name"), "store-no-access");
    check_url(&url.replace("phi@", "nobody@"), "store-no-access");
}

/// Runs a test of this binary as the superuser with mounts of its own; `true` inside of it.
fn alone(test: &str) -> bool {
    const INSIDE: &str = "PHI_TEST_INSIDE_NAMESPACE";
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    // A server does not run as a superuser that is none outside.
    let probe = Command::new("unshare")
        .args(["--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"])
        .output();
    if !probe.is_ok_and(|output| output.status.success()) {
        println!("skipped: this system lets nobody mount a file system for a test");
        return false;
    }
    let mut inside = Command::new("unshare");
    inside.arg("--mount").arg(std::env::current_exe().unwrap());
    inside
        .args([test, "--exact", "--nocapture"])
        .env(INSIDE, "1");
    assert!(inside.status().unwrap().success());
    false
}

#[test]
fn a_full_disk_of_the_server_loses_nothing() {
    if !is_there() || !alone("postgres::faults::a_full_disk_of_the_server_loses_nothing") {
        return;
    }
    let server = Server::start().unwrap();
    let disk = server.small_disk("20m").unwrap();
    let mut client = Client::connect(&server.url("postgres"), NoTls).unwrap();
    let tablespace = format!("CREATE TABLESPACE small LOCATION '{}'", disk.display());
    client.batch_execute(&tablespace).unwrap();
    client
        .batch_execute("CREATE DATABASE phi TEMPLATE template0 TABLESPACE small")
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let issuer = init(folder.path(), &server.url("phi")).unwrap();
    let mut issuer = workshop::furnish(issuer).unwrap();
    let sql = Sql::open(folder.path());
    sql.run(
        "CREATE SCHEMA other;
         CREATE TABLE other.ballast AS SELECT repeat('x', 1000) FROM generate_series(1, 8000)",
    )
    .unwrap();
    let (given, error) = fill(folder.path(), &mut issuer);
    assert_eq!(error.code(), "disk-full", "{error:?}");
    for token in &given {
        assert_eq!(issuer.token(token.token_id).unwrap(), *token);
    }
    let count = sql.number("SELECT count(*) FROM tokens");
    assert_eq!(usize::try_from(count).unwrap(), given.len());
    sql.run("DROP TABLE other.ballast").unwrap();
    workshop::issue(&mut issuer, START.plus(10_000)).unwrap();
}

/// Mints until something gives way.
fn fill(folder: &Path, issuer: &mut Issuer) -> (Vec<MintedToken>, Error) {
    let mut given = Vec::new();
    for round in 0.. {
        let now: UnixTime = START.plus(60 + round);
        match workshop::batch(issuer, &format!("r{round}"), 500, now, |_| {}) {
            Ok(rows) => given.extend(rows.into_iter().map(|row| row.outcome.unwrap())),
            Err(error) => return (given, error),
        }
        assert!(round < 200, "{} has no end", folder.display());
    }
    unreachable!("rounds have no end")
}
