//! Old ledgers keep replaying: those that are kept in `tests/fixtures` say today what they said
//! when they were made, and newer ones are refused by name.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use ciborium::Value;
use phi_issuer::{Change, Entry, Event, Issuer, Revocation, State};
use phi_tests::{
    eventful,
    snakeoil::{DAY, START},
    workshop::{self, PRODUCT, at, passphrase},
};
use phi_verify::{
    LicenseId, RevocationPolicy, TokenId, TrustState, UnixTime, Verifier, dangerous_inspect,
};
use rusqlite::Connection;

/// A copy of a fixture, which is not to be changed itself.
fn copy(name: &str) -> (tempfile::TempDir, PathBuf) {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("issuer");
    workshop::copy_fixture(name, &folder).unwrap();
    (scratch, folder)
}

/// A field of a map.
fn field<'v>(value: &'v Value, name: &str) -> &'v Value {
    let mut fields = value.as_map().unwrap().iter();
    let found = fields.find(|(key, _)| key.as_text() == Some(name));
    &found.unwrap_or_else(|| panic!("no field {name}")).1
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    field(value, name).as_text().unwrap()
}

fn time(value: &Value, name: &str) -> Option<UnixTime> {
    let seconds = field(value, name).as_integer();
    seconds.map(|seconds| UnixTime::new(seconds.try_into().unwrap()).unwrap())
}

/// The events of a store of version 1, as its bytes have them.
fn events_of_version_1(folder: &Path) -> Vec<(String, Value)> {
    let connection = Connection::open(folder.join("phi.db")).unwrap();
    let mut select = connection
        .prepare("SELECT event, body FROM events ORDER BY seq")
        .unwrap();
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?)));
    let events = rows.unwrap().map(|row| {
        let (word, body) = row.unwrap();
        (word, ciborium::from_reader(&*body).unwrap())
    });
    events.collect()
}

/// When the ledger of version 1 was left.
const LEFT: UnixTime = START.plus(9 * DAY);

#[test]
fn a_ledger_of_version_1_says_what_it_said() {
    let (_scratch, folder) = copy("ledger-v1");
    let events = events_of_version_1(&folder);
    let mut issuer = Issuer::open(&folder).unwrap();
    let (mut licenses, mut tokens, mut documents) = (0, 0, 0);
    for (word, event) in &events {
        match &**word {
            "license-issued" => {
                licenses += 1;
                same_license(&mut issuer, field(event, "license"));
            }
            "token-minted" => {
                tokens += 1;
                let id: TokenId = text(event, "token_id").parse().unwrap();
                let found = issuer.token(id).unwrap();
                assert_eq!(found.token, text(event, "token"));
                assert_eq!(found.license.to_string(), text(event, "license"));
                assert_eq!(Some(found.issued_at), time(event, "issued_at"));
                assert_eq!(found.ends, time(event, "ends"));
            }
            "document-published" => documents += 1,
            _ => {}
        }
    }
    assert_eq!((licenses, tokens, documents), (3, 5, 9));
    let verified = issuer.verify_ledger(None, |_| {}).unwrap();
    assert_eq!(verified.events, events.len() as u64);
    assert_eq!((verified.licenses, verified.tokens), (licenses, tokens));
}

fn same_license(issuer: &mut Issuer, then: &Value) {
    let id: LicenseId = text(then, "id").parse().unwrap();
    let found = issuer.license(id).unwrap();
    assert_eq!(found.customer, text(then, "customer"));
    assert_eq!(found.product, text(then, "product"));
    assert_eq!(found.plan, text(then, "plan"));
    assert_eq!(Some(found.issued_at), time(then, "issued_at"));
    assert_eq!(found.expires, time(then, "expires"));
    let addons = field(then, "addons").as_array().unwrap();
    let addons = addons.iter().map(|addon| addon.as_text().unwrap());
    assert!(addons.eq(&found.addons));
    let number = |name: &str| u64::try_from(field(then, name).as_integer().unwrap()).unwrap();
    assert_eq!(found.grace, number("grace"));
    assert_eq!(found.catalog_revision, number("catalog_revision"));
    let quotas = field(field(then, "overrides"), "quotas").as_map().unwrap();
    let names = quotas.iter().map(|(name, _)| name.as_text().unwrap());
    assert!(names.eq(found.overrides.quotas.keys()));
    assert!(found.waiting.is_empty() && found.machine.is_none() && !found.trial);
}

#[test]
fn tokens_of_version_1_are_valid_or_revoked_as_they_were() {
    let (_scratch, folder) = copy("ledger-v1");
    let read = |name: &str| fs::read(folder.join("published").join(name)).unwrap();
    let mut published = TrustState::from_anchor(&read("root-1.phi")).unwrap();
    for name in [
        "root-2.phi",
        "keyset.phi",
        "status.phi",
        "catalog-atlas.phi",
    ] {
        published.import(&read(name)).unwrap();
    }
    let mut issuer = Issuer::open(&folder).unwrap();
    assert_eq!(issuer.trust_state().unwrap(), published);
    let mut verdicts = Vec::new();
    for license in issuer.licenses(None, None).unwrap() {
        for token in issuer.tokens_of(license.id).unwrap() {
            let verifier = Verifier::new(&published, PRODUCT, RevocationPolicy::Strict);
            let verdict = verifier.verify(&token.token, LEFT);
            verdicts.push(verdict.map_or_else(|error| error.code(), |_| "accepted"));
        }
    }
    // Of the first license its one token is revoked, of the second all.
    assert_eq!(
        verdicts,
        ["revoked", "revoked", "revoked", "revoked", "accepted"]
    );
}

#[test]
fn a_ledger_of_version_1_goes_on() {
    let (_scratch, folder) = copy("ledger-v1");
    let mut issuer = Issuer::open(&folder).unwrap();
    let now = LEFT.plus(DAY);
    let states: Vec<_> = issuer.licenses(None, None).unwrap();
    let states: Vec<_> = states.iter().map(|license| license.state(now)).collect();
    assert_eq!(states, [State::Active, State::Revoked, State::Active]);
    let license = issuer.licenses(None, None).unwrap().swap_remove(0);
    let minted = workshop::mint(&mut issuer, license.id, 1, now).unwrap();
    let (_, claims) = dangerous_inspect::token(&minted[0].token).unwrap();
    assert_eq!(claims.license_revision, 1);
    issuer.publish_status(&passphrase(), &at(now)).unwrap();
    let trust = issuer.trust_state().unwrap();
    let verifier = Verifier::new(&trust, PRODUCT, RevocationPolicy::Strict);
    verifier.verify(&minted[0].token, now).unwrap();
    issuer.checkpoint(&passphrase(), &at(now)).unwrap();
    issuer.verify_ledger(None, |_| {}).unwrap();
    let before = workshop::tables(&folder);
    issuer.rebuild().unwrap();
    assert_eq!(before, workshop::tables(&folder));
}

/// The ledgers of version 2, of which the second was made when there were more words.
const VERSION_2: [&str; 2] = ["ledger-v2", "ledger-v2-later"];

#[test]
fn ledgers_of_version_2_replay_to_what_they_were() {
    let mut all = BTreeSet::from(LATER.map(str::to_owned));
    for name in VERSION_2 {
        let (_scratch, folder) = copy(name);
        let kept = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
        let mut issuer = Issuer::open(&folder).unwrap();
        issuer.rebuild().unwrap();
        let mut tables = workshop::tables(&folder).join("\n");
        tables.push('\n');
        assert_eq!(tables, kept("tables.txt"), "{name}");
        let checkpoint = kept("published/checkpoint");
        let verified = issuer.verify_ledger(Some(&checkpoint), |_| {}).unwrap();
        assert_eq!(format!("{}\n", verified.root), kept("root.txt"), "{name}");
        assert_eq!(verified.held, Some(verified.events - 1), "{name}");
        all.extend(words(&folder));
        workshop::issue(&mut issuer, eventful::END).unwrap();
    }
    assert_eq!(all, BTreeSet::from(eventful::WORDS.map(str::to_owned)));
}

/// Words that there were not yet when the ledgers were made.
const LATER: [&str; 0] = [];

/// What an event may have beside what every one of its word has.
fn parts(folder: &Path) -> BTreeSet<&'static str> {
    let connection = Connection::open(folder.join("phi.db")).unwrap();
    let mut select = connection.prepare("SELECT entry FROM events").unwrap();
    let entries = select.query_map([], |row| row.get::<_, Vec<u8>>(0));
    let part = |bytes: Vec<u8>| match Entry::parse(&bytes).unwrap().0.event {
        Event::KeyAdded { scope: Some(_), .. } => Some("scope"),
        Event::Revoked(Revocation { cut: Some(_), .. }) => Some("cut"),
        Event::LicenseChanged(change) => match change.change {
            Change::Suspend { voids } if !voids.is_empty() => Some("voids"),
            _ => None,
        },
        _ => None,
    };
    let entries = entries.unwrap().map(Result::unwrap);
    entries.filter_map(part).collect()
}

fn words(folder: &Path) -> BTreeSet<String> {
    let connection = Connection::open(folder.join("phi.db")).unwrap();
    let mut select = connection
        .prepare("SELECT DISTINCT word FROM events")
        .unwrap();
    let words = select.query_map([], |row| row.get(0)).unwrap();
    words.map(Result::unwrap).collect()
}

/// The fixture's program still makes what the fixture is, with every event that there is.
#[test]
fn everything_that_can_happen_happens_in_the_eventful_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let mut issuer = eventful::make(folder.path()).unwrap();
    issuer.verify_ledger(None, |_| {}).unwrap();
    assert_eq!(
        words(folder.path()),
        BTreeSet::from(eventful::WORDS.map(str::to_owned))
    );
    let optional = BTreeSet::from(["cut", "scope", "voids"]);
    assert_eq!(parts(folder.path()), optional);
    assert_eq!(parts(&copy("ledger-v2-later").1), optional);
    let before = workshop::tables(folder.path());
    issuer.rebuild().unwrap();
    assert_eq!(before, workshop::tables(folder.path()));
}

#[test]
fn a_newer_store_is_refused_by_name() {
    let (_scratch, folder) = copy("ledger-v2");
    let store = folder.join("phi.db");
    let connection = Connection::open(&store).unwrap();
    connection.pragma_update(None, "user_version", 3).unwrap();
    drop(connection);
    let before = fs::read(&store).unwrap();
    let refused = Issuer::open(&folder).unwrap_err();
    assert_eq!(refused.code(), "store-newer");
    assert!(refused.to_string().contains('3'), "{refused}");
    assert_eq!(fs::read(&store).unwrap(), before, "nothing was changed");
}

#[test]
fn a_newer_entry_is_refused_by_name() {
    let (_scratch, folder) = copy("ledger-v2");
    let connection = Connection::open(folder.join("phi.db")).unwrap();
    let triggers = "DROP TRIGGER events_keep_update";
    connection.execute_batch(triggers).unwrap();
    // The first field of an entry is its version, 2.
    let sql =
        "UPDATE events SET entry = CAST(substr(entry, 1, 2) || x'03' || substr(entry, 4) AS BLOB)
               WHERE seq = 4 AND substr(entry, 2, 2) = x'0002'";
    assert_eq!(connection.execute(sql, []).unwrap(), 1);
    drop(connection);
    let mut issuer = Issuer::open(&folder).unwrap();
    let before = workshop::tables(&folder);
    let refused = issuer.rebuild().unwrap_err();
    assert_eq!(refused.code(), "entry-newer");
    assert_eq!(workshop::tables(&folder), before, "nothing was changed");
}
