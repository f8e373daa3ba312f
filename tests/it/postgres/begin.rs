//! Issuers that begin in a database, and folders that join them.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Barrier,
    thread,
};

use phi_issuer::{Issuer, Older, Replace};
use phi_tests::{
    home::{Home, Sql, Store},
    postgres::{Database, Server, Stop, is_there},
    snakeoil::START,
    workshop::{self, CATALOG, at, passphrase},
};

use super::{init, join, names};

/// Makes an issuer in a database that this was done to; the code with which it is refused. Folder
/// and database are as they were.
#[track_caller]
fn check_refused(spoil: &str, expected: &str) {
    if !is_there() {
        return;
    }
    let database = Database::create().unwrap().unwrap();
    let mut client = database.connect().unwrap();
    client.batch_execute(spoil).unwrap();
    let count = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    let before: i64 = client.query_one(count, &[]).unwrap().get(0);
    let folder = tempfile::tempdir().unwrap();
    let error = init(folder.path(), &database.url()).unwrap_err();
    assert_eq!(error.code(), expected, "{error:?}");
    assert!(error.hint().is_some());
    assert_eq!(names(folder.path()), [""; 0], "nothing is left behind");
    let after: i64 = client.query_one(count, &[]).unwrap().get(0);
    assert_eq!(before, after);
}

#[test]
fn a_database_with_other_tables_is_refused() {
    check_refused("CREATE TABLE letters (text TEXT)", "store-foreign");
    check_refused("CREATE VIEW letters AS SELECT 1", "store-foreign");
}

#[test]
fn a_database_of_a_newer_phi_is_refused() {
    if !is_there() {
        return;
    }
    let home = Home::new(Store::Server);
    home.init().unwrap();
    let sql = Sql::open(home.path());
    sql.run("UPDATE phi_store SET version = 99").unwrap();
    assert_eq!(home.open().unwrap_err().code(), "store-newer");
}

#[test]
fn an_issuer_that_is_there_is_joined_and_not_overwritten() {
    if !is_there() {
        return;
    }
    let home = Home::new(Store::Server);
    let mut first = home.furnished().unwrap();
    let url = home.database().url();
    let license = workshop::issue(&mut first, START).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let error = init(folder.path(), &url).unwrap_err();
    assert_eq!(error.code(), "store-in-use");
    assert!(error.hint().unwrap().contains("phi init --join"));
    assert_eq!(names(folder.path()), [""; 0]);

    let mut second = join(folder.path(), &url).unwrap();
    assert_eq!(second.settings().issuer, "atlas.example");
    assert_eq!(
        names(folder.path()),
        [
            "catalog.toml",
            "keys",
            "phi.in-use",
            "phi.lock",
            "phi.toml",
            "published"
        ]
    );
    assert_eq!(fs::read_to_string(second.catalog_path()).unwrap(), CATALOG);
    for name in names(&first.published_folder()) {
        let published = |folder: PathBuf| fs::read(folder.join(&name)).unwrap();
        assert_eq!(
            published(first.published_folder()),
            published(second.published_folder())
        );
    }
    let now = START.plus(60);
    let error = workshop::mint(&mut second, license, 1, now).unwrap_err();
    assert_eq!(error.code(), "key-file-missing");
    for name in names(&home.path().join("keys")) {
        let keys = |folder: &Path| folder.join("keys").join(&name);
        fs::copy(keys(home.path()), keys(folder.path())).unwrap();
    }
    let token = workshop::mint(&mut second, license, 1, now).unwrap();
    assert_eq!(first.tokens_of(license).unwrap(), token);
    let error = join(folder.path(), &url).unwrap_err();
    assert_eq!(error.code(), "folder-in-use");
}

#[test]
fn an_issuer_moves_into_a_database_and_back() {
    if !is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut issuer = workshop::furnished(folder.path()).unwrap();
    let license = workshop::issue(&mut issuer, START).unwrap();
    let tokens = workshop::mint(&mut issuer, license, 2, START.plus(60)).unwrap();
    issuer
        .checkpoint(&passphrase(), &at(START.plus(70)))
        .unwrap();
    let before = issuer.verify_ledger(None, |_| {}).unwrap();
    let moved = folder.path().join("moved.db");
    issuer.backup(&moved, |_| {}).unwrap();
    drop(issuer);

    let database = Database::create().unwrap().unwrap();
    let settings = folder.path().join("phi.toml");
    let text = fs::read_to_string(&settings).unwrap();
    fs::write(&settings, format!("store = \"{}\"\n{text}", database.url())).unwrap();
    let restore = || {
        Issuer::restore(
            folder.path(),
            &moved,
            Replace::Refuse,
            Older::Refuse,
            |_| {},
        )
    };
    restore().unwrap();
    // What is in a database is never replaced.
    assert_eq!(restore().unwrap_err().code(), "store-in-use");
    let mut issuer = Issuer::open(folder.path()).unwrap();
    assert_eq!(
        issuer.verify_ledger(None, |_| {}).unwrap().root,
        before.root
    );
    assert_eq!(issuer.tokens_of(license).unwrap(), tokens);
    let more = workshop::mint(&mut issuer, license, 1, START.plus(80)).unwrap();

    let back = folder.path().join("back.db");
    issuer.backup(&back, |_| {}).unwrap();
    drop(issuer);
    fs::write(&settings, text).unwrap();
    Issuer::restore(
        folder.path(),
        &back,
        Replace::MoveAside,
        Older::Refuse,
        |_| {},
    )
    .unwrap();
    let mut issuer = Issuer::open(folder.path()).unwrap();
    assert_eq!(issuer.tokens_of(license).unwrap(), [tokens, more].concat());
}

#[test]
fn an_empty_database_cannot_be_joined() {
    if !is_there() {
        return;
    }
    let home = Home::new(Store::Server);
    let error = join(home.path(), &home.database().url()).unwrap_err();
    assert_eq!(error.code(), "store-missing");
    assert_eq!(names(home.path()), [""; 0]);
}

#[test]
fn of_two_who_begin_at_once_one_comes_first() {
    if !is_there() {
        return;
    }
    let database = Database::create().unwrap().unwrap();
    let start = Barrier::new(4);
    let codes: Vec<&str> = thread::scope(|scope| {
        let one = || {
            let folder = tempfile::tempdir().unwrap();
            start.wait();
            init(folder.path(), &database.url()).map_or_else(|error| error.code(), |_| "made")
        };
        let all: Vec<_> = (0..4).map(|_| scope.spawn(one)).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let made = codes.iter().filter(|code| **code == "made").count();
    let refused = codes.iter().filter(|code| **code == "store-in-use").count();
    assert_eq!((made, refused), (1, 3), "{codes:?}");
}

#[test]
fn a_schema_of_its_own_holds_a_store() {
    if !is_there() {
        return;
    }
    let database = Database::create().unwrap().unwrap();
    let mut client = database.connect().unwrap();
    client
        .batch_execute("CREATE TABLE letters (text TEXT); CREATE SCHEMA ours; CREATE SCHEMA yours")
        .unwrap();
    let url = |schema: &str| format!("{}?options=-c%20search_path%3D{schema}", database.url());
    for schema in ["ours", "yours"] {
        let folder = tempfile::tempdir().unwrap();
        let mut issuer = workshop::furnish(init(folder.path(), &url(schema)).unwrap()).unwrap();
        issuer.publish_status(&passphrase(), &at(START)).unwrap();
        assert!(issuer.rebuild().unwrap() > 5);
    }
    let folder = tempfile::tempdir().unwrap();
    let error = init(folder.path(), &url("nowhere")).unwrap_err();
    assert_eq!(error.code(), "store-unfit", "{error:?}");
}

/// A server that was set up like this is refused, with the way out.
#[track_caller]
fn check_unfit(server: &Server, options: &str, problem: &str) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("{}?options={options}", server.url("postgres"));
    let error = init(folder.path(), &url).unwrap_err();
    assert_eq!(error.code(), "store-unfit", "{error:?}");
    assert!(error.to_string().contains(problem), "{error}");
    assert!(error.hint().is_some());
}

#[test]
fn a_server_that_forgets_is_refused() {
    if !is_there() {
        return;
    }
    let server = Server::start().unwrap();
    check_unfit(
        &server,
        "-c%20synchronous_commit%3Doff",
        "synchronous_commit",
    );
    check_unfit(
        &server,
        "-c%20default_transaction_read_only%3Don",
        "only read",
    );
    server.configure("fsync = off").unwrap();
    server.stop(Stop::Fast).unwrap();
    server.start_again().unwrap();
    check_unfit(&server, "", "fsync");
}

#[test]
fn a_standby_is_refused() {
    if !is_there() {
        return;
    }
    let server = Server::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    init(folder.path(), &server.url("postgres")).unwrap();
    server.stop(Stop::Fast).unwrap();
    server.write("standby.signal", "").unwrap();
    server.start_again().unwrap();
    let error = Issuer::open(folder.path()).unwrap_err();
    assert_eq!(error.code(), "store-unfit");
    assert!(error.to_string().contains("standby"), "{error}");
}
