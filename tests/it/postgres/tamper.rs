//! A store on a server that is changed behind Phi's back: `verify_ledger` finds it and says where.

use std::fs;

use phi_issuer::{Error, Issuer, Place};
use phi_tests::{
    home::{Home, Sql, Store},
    postgres::{Database, is_there},
    snakeoil::START,
    workshop::{self, at, passphrase},
};
use tempfile::TempDir;

/// An issuer that did a little of everything.
fn lived() -> Home {
    let home = Home::new(Store::Server);
    let mut issuer = home.furnished().unwrap();
    let license = workshop::issue(&mut issuer, START).unwrap();
    workshop::mint(&mut issuer, license, 3, START.plus(10)).unwrap();
    issuer
        .publish_status(&passphrase(), &at(START.plus(20)))
        .unwrap();
    issuer
        .checkpoint(&passphrase(), &at(START.plus(30)))
        .unwrap();
    home
}

/// Where the store diverges; `None` if it does not.
fn place(issuer: &mut Issuer) -> Option<Place> {
    match issuer.verify_ledger(None, |_| {}) {
        Ok(_) => None,
        Err(Error::Diverged(divergence)) => Some(divergence.place),
        Err(error) => panic!("{error}: {error:?}"),
    }
}

#[test]
fn what_is_changed_on_the_server_is_found() {
    if !is_there() {
        return;
    }
    let home = lived();
    assert_eq!(place(&mut home.open().unwrap()), None);
    for change in [
        "UPDATE events SET actor = 'nobody' WHERE seq = 3",
        "UPDATE events SET time = time + 1 WHERE seq = 3",
        "UPDATE events SET entry = set_byte(entry, 9, 255 - get_byte(entry, 9)) WHERE seq = 4",
        "UPDATE licenses SET product = 'other'",
        "UPDATE tokens SET ends = 1",
        "UPDATE tokens SET epoch = epoch + 1",
        "UPDATE trail SET changes = 1 - changes",
        "UPDATE tiles SET hashes = set_byte(hashes, 0, 255 - get_byte(hashes, 0))",
        "DELETE FROM tokens WHERE seq = (SELECT max(seq) FROM tokens)",
        "DELETE FROM tiles",
        "INSERT INTO customers VALUES ('mallory', 'user', 'Mallory')",
        "ALTER TABLE events DISABLE TRIGGER events_keep",
        "DROP TRIGGER events_append ON events",
    ] {
        // The owner can switch the triggers off, and everything on again.
        let off = "BEGIN; ALTER TABLE events DISABLE TRIGGER USER";
        let on = "ALTER TABLE events ENABLE TRIGGER USER";
        let tampered = if change.contains("TRIGGER") {
            format!("BEGIN; {change}; COMMIT")
        } else {
            format!("{off}; {change}; {on}; COMMIT")
        };
        let copy = Copy::of(&home);
        assert_eq!(place(&mut copy.open()), None);
        Sql::open(copy.folder.path()).run(&tampered).unwrap();
        assert!(place(&mut copy.open()).is_some(), "{change} is not found");
    }
}

/// The same issuer in a database of its own.
struct Copy {
    folder: TempDir,
    _database: Database,
}

impl Copy {
    fn of(home: &Home) -> Self {
        let database = home.database().copy().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let settings = fs::read_to_string(home.path().join("phi.toml")).unwrap();
        let settings = settings.replace(&home.database().url(), &database.url());
        fs::write(folder.path().join("phi.toml"), settings).unwrap();
        Self {
            folder,
            _database: database,
        }
    }

    fn open(&self) -> Issuer {
        Issuer::open(self.folder.path()).unwrap()
    }
}
