//! Disks that are full, folders that cannot be written and stores that are none: a clear error
//! each, and nothing lost.

use std::{
    fs,
    path::{Path, PathBuf},
};

use phi_issuer::{Error, Issuer, MintedToken};
use phi_tests::{
    disk::{alone, fill, mount},
    home::Sql,
    snakeoil::START,
    workshop::{self, at, passphrase},
};
use phi_verify::{LicenseId, UnixTime};
use rusqlite::Connection;

/// A license whose tokens are minted until something gives way.
struct Bench {
    folder: PathBuf,
    license: LicenseId,
    tokens: Vec<MintedToken>,
    now: UnixTime,
}

impl Bench {
    fn new(folder: &Path) -> Self {
        let mut issuer = workshop::furnished(folder).unwrap();
        Self {
            folder: folder.into(),
            license: workshop::issue(&mut issuer, START).unwrap(),
            tokens: Vec::new(),
            now: START.plus(60),
        }
    }

    /// Mints and publishes; the code of what went wrong first, or `done`.
    fn work(&mut self) -> &'static str {
        self.now = self.now.plus(60);
        self.try_to_work()
            .map_or_else(|error| error.code(), |()| "done")
    }

    fn try_to_work(&mut self) -> Result<(), Error> {
        let mut issuer = Issuer::open(&self.folder)?;
        let (license, now) = (self.license, self.now);
        for count in [1, 30] {
            self.tokens
                .extend(workshop::mint(&mut issuer, license, count, now)?);
        }
        for row in workshop::batch(&mut issuer, &format!("{now}"), 40, now, |_| {})? {
            self.tokens.push(row.outcome?);
        }
        issuer.publish_status(&passphrase(), &at(now))?;
        Ok(())
    }

    /// The ledger has every token that was given out, and the tables are what it says.
    fn check(&self) {
        let mut issuer = Issuer::open(&self.folder).unwrap();
        for token in &self.tokens {
            assert_eq!(issuer.token(token.token_id).unwrap(), *token);
        }
        let sql = Sql::open(&self.folder);
        let before = sql.tables();
        issuer.rebuild().unwrap();
        assert_eq!(before, sql.tables());
        issuer.write_published().unwrap();
        issuer.trust_state().unwrap();
    }
}

#[test]
fn a_full_disk_loses_nothing() {
    if !alone("faults::a_full_disk_loses_nothing") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    mount("size=8m", folder.path());
    let mut bench = Bench::new(folder.path());
    let ballast = folder.path().join("ballast");
    let mut full = 0;
    for room in (0..20).map(|step| (step * 24) << 10) {
        fill(&ballast, room);
        let code = bench.work();
        assert!(
            matches!(code, "disk-full" | "done"),
            "{room} bytes of room: {code}"
        );
        full += u32::from(code == "disk-full");
        fs::remove_file(&ballast).unwrap();
        bench.check();
    }
    assert!(full > 5, "the disk was full {full} times");
    assert_eq!(bench.work(), "done");
    bench.check();
    println!(
        "the disk was full {full} times, {} tokens given out",
        bench.tokens.len()
    );
}

#[test]
fn a_folder_that_cannot_be_written_is_said_so() {
    if !alone("faults::a_folder_that_cannot_be_written_is_said_so") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    mount("size=8m", folder.path());
    let mut bench = Bench::new(folder.path());
    assert_eq!(bench.work(), "done");
    mount("remount,ro", folder.path());
    assert_eq!(bench.work(), "store-no-access");
    mount("remount,rw", folder.path());
    assert_eq!(bench.work(), "done");
    bench.check();
}

/// The code with which the store is refused after this was done to it.
#[track_caller]
fn check_refused(spoil: impl FnOnce(&Path), expected: &str) {
    let folder = tempfile::tempdir().unwrap();
    drop(workshop::furnished(folder.path()).unwrap());
    let store = folder.path().join("phi.db");
    spoil(&store);
    let spoiled = fs::read(&store).ok();
    let error = Issuer::open(folder.path()).unwrap_err();
    assert_eq!(error.code(), expected, "{error:?}");
    assert!(error.hint().is_some());
    assert_eq!(
        fs::read(&store).ok(),
        spoiled,
        "a refused store is left as it is"
    );
}

#[test]
fn a_store_that_is_gone_is_missed() {
    check_refused(|store| fs::remove_file(store).unwrap(), "store-missing");
}

#[test]
fn an_empty_store_is_none() {
    check_refused(|store| fs::write(store, "").unwrap(), "store-foreign");
}

#[test]
fn a_store_of_something_else_is_refused() {
    check_refused(
        |store| fs::write(store, "a letter ".repeat(500)).unwrap(),
        "store-foreign",
    );
    let foreign = |store: &Path| {
        fs::remove_file(store).unwrap();
        let connection = Connection::open(store).unwrap();
        connection
            .execute_batch("CREATE TABLE events (seq)")
            .unwrap();
    };
    check_refused(foreign, "store-foreign");
}

#[test]
fn a_store_that_was_cut_is_damaged() {
    let cut = |to: u64| {
        move |store: &Path| {
            let file = fs::File::options().write(true).open(store).unwrap();
            assert!(file.metadata().unwrap().len() > to);
            file.set_len(to).unwrap();
        }
    };
    check_refused(cut(4096), "store-damaged");
    check_refused(cut(20_000), "store-damaged");
    check_refused(cut(99), "store-damaged");
}

#[test]
fn a_store_of_a_newer_phi_is_refused() {
    let raise = |store: &Path| {
        let connection = Connection::open(store).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
    };
    check_refused(raise, "store-newer");
}

#[test]
fn a_store_with_garbage_in_it_gives_errors() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(folder.path());
    assert_eq!(bench.work(), "done");
    let store = folder.path().join("phi.db");
    let good = fs::read(&store).unwrap();
    let mut codes = Vec::new();
    for round in 0..60 {
        let mut bytes = good.clone();
        // Somewhere after the header, and somewhere else in every round.
        let place = 200 + (round * 7_919_111) % (bytes.len() - 264);
        bytes[place..place + 64].fill(0xa5);
        fs::write(&store, &bytes).unwrap();
        let all = |issuer: &mut Issuer| {
            issuer.trust_state()?;
            issuer.tokens_of(bench.license)?;
            issuer.licenses(None, None)?;
            issuer.rebuild()
        };
        match Issuer::open(folder.path()).and_then(|mut issuer| all(&mut issuer)) {
            Ok(_) => codes.push("unharmed"),
            Err(error) => codes.push(error.code()),
        }
        let _ = fs::remove_file(folder.path().join("phi.db-wal"));
    }
    codes.sort_unstable();
    println!("{codes:?}");
    codes.dedup();
    let known = [
        "event-damaged",
        "not-verified",
        "publication-behind",
        "store-damaged",
        "unharmed",
    ];
    assert!(codes.iter().all(|code| known.contains(code)), "{codes:?}");
    assert!(codes.contains(&"event-damaged") && codes.contains(&"store-damaged"));
    fs::write(&store, &good).unwrap();
    bench.check();
}
