//! A store that is changed behind Phi's back: `verify_ledger` finds it and says where.

use std::{fs, path::Path};

use phi_issuer::{
    Amendment, ChangeRequest, Error, Issuer, LicenseOrder, NewLicense, OldTokens, Place,
    RevokeRequest, Role, State, Subject,
};
use phi_tests::{
    home::Sql,
    snakeoil::{DAY, START},
    workshop::{self, PRODUCT, at, passphrase},
};
use phi_verify::{LicenseId, Reason, UnixTime};
use rusqlite::{Connection, types::Value};

/// An issuer in whose ledger every table has rows.
struct Rig {
    folder: tempfile::TempDir,
    /// A copy of the store as Phi left it.
    sound: Vec<u8>,
    /// The checkpoint that somebody keeps.
    checkpoint: String,
}

impl Rig {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut issuer = workshop::furnished(folder.path()).unwrap();
        live(&mut issuer);
        let checkpoint = issuer.newest_checkpoint().unwrap().note;
        drop(issuer);
        let store = folder.path().join("phi.db");
        assert!(!folder.path().join("phi.db-wal").exists());
        let sound = fs::read(&store).unwrap();
        Self {
            folder,
            sound,
            checkpoint,
        }
    }

    /// The store as Phi left it.
    fn mend(&self) {
        for end in ["-wal", "-shm"] {
            let _ = fs::remove_file(self.folder.path().join(format!("phi.db{end}")));
        }
        fs::write(self.folder.path().join("phi.db"), &self.sound).unwrap();
    }

    /// A connection in which nothing keeps anybody from anything.
    fn tamper(&self, sql: &str) -> usize {
        let connection = Connection::open(self.folder.path().join("phi.db")).unwrap();
        connection
            .execute_batch("PRAGMA foreign_keys = OFF")
            .unwrap();
        let triggers = without_triggers(&connection);
        let changed = match connection.execute(sql, []) {
            Ok(changed) => changed,
            // Columns have their types, whoever writes.
            Err(error) if is_a_mismatch(&error.to_string()) => 0,
            Err(error) => panic!("{sql}: {error}"),
        };
        connection.execute_batch(&triggers).unwrap();
        changed
    }

    fn place(&self) -> Option<Place> {
        place(self.folder.path(), None)
    }
}

fn is_a_mismatch(error: &str) -> bool {
    error == "datatype mismatch" || error.starts_with("cannot store")
}

/// Takes the triggers away; what makes them again.
fn without_triggers(connection: &Connection) -> String {
    let mut select = connection
        .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
        .unwrap();
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    let triggers: Vec<(String, String)> = rows.unwrap().collect::<Result<_, _>>().unwrap();
    for (name, _) in &triggers {
        connection
            .execute_batch(&format!("DROP TRIGGER {name}"))
            .unwrap();
    }
    let texts: Vec<_> = triggers.into_iter().map(|(_, sql)| sql).collect();
    texts.join(";\n")
}

/// Where the store diverges; `None` if it does not.
fn place(folder: &Path, checkpoint: Option<&str>) -> Option<Place> {
    match Issuer::open(folder).and_then(|mut issuer| issuer.verify_ledger(checkpoint, |_| {})) {
        Ok(_) => None,
        Err(Error::Diverged(divergence)) => Some(divergence.place),
        Err(error) => panic!("{error}: {error:?}"),
    }
}

fn live(issuer: &mut Issuer) {
    let mut now = START;
    let mut tick = || {
        now = now.plus(3600);
        at(now)
    };
    let one = workshop::issue(issuer, START.plus(10)).unwrap();
    let two = workshop::issue(issuer, START.plus(20)).unwrap();
    workshop::mint(issuer, one, 2, START.plus(30)).unwrap();
    let mut change = |issuer: &mut Issuer, id: LicenseId, request, effective: Option<UnixTime>| {
        let context = tick();
        let base = issuer.license(id).unwrap().revision;
        let order = LicenseOrder {
            effective,
            ..LicenseOrder::new(id, base, request)
        };
        issuer.change_license(&order, &context).unwrap();
    };
    let amendment = |seats| {
        ChangeRequest::Amend(Amendment {
            limits: [("seats".into(), phi_verify::Allowance::Limited(seats))].into(),
            ..Amendment::default()
        })
    };
    change(issuer, one, amendment(9), None);
    change(issuer, one, amendment(3), Some(START.plus(300 * DAY)));
    change(issuer, two, ChangeRequest::Suspend, None);
    let context = tick();
    issuer.checkpoint(&passphrase(), &context).unwrap();
    issuer.publish_status(&passphrase(), &tick()).unwrap();
    let edited = workshop::CATALOG.replace("calls = 1000", "calls = 2000");
    issuer
        .publish_catalog(&edited, &passphrase(), &tick())
        .unwrap();
    let tokens = issuer.tokens_of(one).unwrap();
    let request = RevokeRequest {
        subject: Subject::Token(tokens[0].token_id),
        issued_before: None,
        cut: None,
        reason: Reason::Refund,
    };
    issuer.revoke(&request, &tick()).unwrap();
    let mut initech = workshop::customer();
    initech.id = "initech".into();
    issuer.add_customer(initech, &tick()).unwrap();
    let context = tick();
    let base = issuer.license(one).unwrap().revision;
    issuer
        .transfer_license(one, base, "initech", &context)
        .unwrap();
    issuer
        .rotate_key(Role::License, None, &passphrase(), &tick())
        .unwrap();
    issuer.publish_keyset(&passphrase(), &tick()).unwrap();
    issuer.checkpoint(&passphrase(), &tick()).unwrap();
    let order = NewLicense {
        trial: true,
        expires: Some(START.plus(30 * DAY)),
        ..NewLicense::new("globex", PRODUCT, "team")
    };
    issuer.issue_license(order, &tick()).unwrap();
}

#[test]
fn a_store_that_only_phi_wrote_is_sound() {
    let rig = Rig::new();
    assert_eq!(rig.place(), None);
    assert_eq!(place(rig.folder.path(), Some(&rig.checkpoint)), None);
}

/// Every table with its columns.
fn columns(folder: &Path) -> Vec<(String, Vec<String>)> {
    let connection = Connection::open(folder.join("phi.db")).unwrap();
    let names = |sql: &str| -> Vec<String> {
        let mut select = connection.prepare(sql).unwrap();
        let rows = select.query_map([], |row| row.get(0)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    };
    let tables = names("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name");
    let columns = |table: &String| names(&format!("SELECT name FROM pragma_table_info('{table}')"));
    tables
        .iter()
        .map(|table| (table.clone(), columns(table)))
        .collect()
}

fn rowids(folder: &Path, table: &str) -> Vec<i64> {
    let connection = Connection::open(folder.join("phi.db")).unwrap();
    let sql = format!("SELECT rowid FROM {table} ORDER BY rowid");
    let mut select = connection.prepare(&sql).unwrap();
    let rows = select.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

/// The first, the last and one between.
fn some(rows: &[i64]) -> Vec<i64> {
    let mut some: Vec<_> = [rows.first(), rows.get(rows.len() / 2), rows.last()]
        .into_iter()
        .flatten()
        .copied()
        .collect();
    some.dedup();
    some
}

/// Another value of the same type; nothing where there was something, and the other way round.
fn others(value: &Value) -> Vec<String> {
    match value {
        Value::Null => vec!["1".into(), "'x'".into(), "x'01'".into()],
        Value::Integer(number) => vec![format!("{}", number + 1), "NULL".into()],
        Value::Real(_) => unreachable!("no column has fractions"),
        Value::Text(text) => vec![format!("'{}x'", text.replace('\'', "''")), "NULL".into()],
        Value::Blob(bytes) => {
            let mut other = bytes.clone();
            let middle = other.len() / 2;
            other[middle] ^= 1;
            let hex = |text: String, byte: &u8| text + &format!("{byte:02x}");
            let hex = other.iter().fold(String::new(), hex);
            vec![format!("x'{hex}'"), "NULL".into(), "x''".into()]
        }
    }
}

#[test]
fn any_cell_that_is_changed_is_found_and_located() {
    let rig = Rig::new();
    let mut changed = 0;
    for (table, columns) in columns(rig.folder.path()) {
        for row in some(&rowids(rig.folder.path(), &table)) {
            for column in &columns {
                changed += change_cell(&rig, &table, row, column);
            }
        }
    }
    println!("{changed} cells were changed");
    assert!(changed > 120);
}

fn change_cell(rig: &Rig, table: &str, row: i64, column: &str) -> u32 {
    rig.mend();
    let value = {
        let connection = Connection::open(rig.folder.path().join("phi.db")).unwrap();
        let sql = format!("SELECT {column} FROM {table} WHERE rowid = {row}");
        connection
            .query_row(&sql, [], |row| row.get::<_, Value>(0))
            .unwrap()
    };
    let mut changed = 0;
    for other in others(&value) {
        rig.mend();
        let sql = format!("UPDATE OR IGNORE {table} SET {column} = {other} WHERE rowid = {row}");
        // What the table itself does not take, such as nothing in a key, changes nothing.
        if rig.tamper(&sql) == 0 {
            continue;
        }
        let found = rig.place().unwrap_or_else(|| panic!("not found: {sql}"));
        check_location(&found, table, row, &sql);
        changed += 1;
    }
    changed
}

/// A change is found where it was made: an event at its number, or at that which is missing
/// because of it; a row in its table.
#[track_caller]
fn check_location(found: &Place, table: &str, row: i64, sql: &str) {
    let right = match (table, found) {
        ("events", Place::Event(seq)) => seq.cast_signed() == row,
        // The hash of an event, or of many.
        ("tiles", Place::Event(_) | Place::Tree) => true,
        (table, Place::Row { table: found, .. }) => table == *found,
        _ => false,
    };
    assert!(right, "{sql} was found at {found}");
}

#[test]
fn rows_that_are_taken_away_or_put_in_are_found() {
    let rig = Rig::new();
    for (table, columns) in columns(rig.folder.path()) {
        let rows = rowids(rig.folder.path(), &table);
        for row in some(&rows) {
            rig.mend();
            let sql = format!("DELETE FROM {table} WHERE rowid = {row}");
            assert_eq!(rig.tamper(&sql), 1);
            let found = rig.place();
            // A ledger without its last event is a whole ledger, until a row says otherwise.
            let found = found.unwrap_or_else(|| panic!("not found: {sql}"));
            if table != "events" {
                check_location(&found, &table, row, &sql);
            }
        }
        if table == "events" {
            continue;
        }
        rig.mend();
        let values: Vec<_> = columns.iter().map(|column| made_up(column)).collect();
        let values = match table.as_str() {
            // Ids are bytes there.
            "licenses" | "tokens" => values.join(", ").replacen("'made up'", "x'6d616465'", 1),
            _ => values.join(", "),
        };
        let sql = format!("INSERT INTO {table} VALUES ({values})");
        assert_eq!(rig.tamper(&sql), 1, "{sql}");
        let found = rig.place().unwrap_or_else(|| panic!("not found: {sql}"));
        check_location(&found, &table, 900, &sql);
    }
}

fn made_up(column: &str) -> &'static str {
    match column {
        "seq" | "number" | "level" | "size" | "revision" | "version" => "900",
        "added" | "time" | "issued_at" | "epoch" | "revoked" | "dropped" | "changes" => "1",
        "signs_from" | "until" | "due" | "ends" | "issued_before" => "NULL",
        "hashes" | "record" => "x'00'",
        "license" => "x'6d616465'",
        _ => "'made up'",
    }
}

#[test]
fn what_keeps_the_ledger_must_be_there() {
    let rig = Rig::new();
    for sql in [
        "DROP TRIGGER events_keep_update",
        "DROP TRIGGER events_append",
        "DROP INDEX trail_by_license",
        "CREATE TABLE more (a)",
        "ALTER TABLE customers ADD COLUMN more TEXT",
        "CREATE TRIGGER helpful AFTER INSERT ON tokens BEGIN SELECT 1; END",
    ] {
        rig.mend();
        let connection = Connection::open(rig.folder.path().join("phi.db")).unwrap();
        connection.execute_batch(sql).unwrap();
        drop(connection);
        assert_eq!(rig.place(), Some(Place::Database), "{sql}");
    }
}

#[test]
fn a_ledger_that_lost_its_end_does_not_go_with_a_checkpoint_that_was_kept() {
    let rig = Rig::new();
    // The whole of the end goes, with all that was derived from it.
    let connection = Connection::open(rig.folder.path().join("phi.db")).unwrap();
    without_triggers(&connection);
    connection
        .execute_batch("PRAGMA foreign_keys = OFF; DELETE FROM events WHERE seq > 20")
        .unwrap();
    drop(connection);
    Issuer::open(rig.folder.path()).unwrap().rebuild().unwrap();
    let connection = Connection::open(rig.folder.path().join("phi.db")).unwrap();
    connection
        .execute_batch(include_str!(
            "../../phi-issuer/src/store/schema/ledger.sqlite.sql"
        ))
        .unwrap();
    drop(connection);
    let published = rig.folder.path().join("published/checkpoint");
    assert!(matches!(rig.place(), Some(Place::Checkpoint(_))));
    fs::remove_file(published).unwrap();
    assert_eq!(rig.place(), None, "by itself it is a whole ledger");
    let found = place(rig.folder.path(), Some(&rig.checkpoint));
    assert!(
        matches!(found, Some(Place::Checkpoint(size)) if size > 20),
        "{found:?}"
    );
}

#[test]
fn a_history_that_was_rewritten_whole_is_not_the_one_that_was_signed() {
    let rig = Rig::new();
    let connection = Connection::open(rig.folder.path().join("phi.db")).unwrap();
    let triggers = without_triggers(&connection);
    // Another name, in the entry and beside it, of the same length: it stays good CBOR.
    let changed = connection
        .execute(
            "UPDATE events SET actor = 'worksh0p',
             entry = CAST(replace(CAST(entry AS TEXT), 'workshop', 'worksh0p') AS BLOB)
             WHERE seq = 14 AND length(CAST(entry AS TEXT)) > 0",
            [],
        )
        .unwrap();
    assert_eq!(changed, 1);
    connection.execute_batch(&triggers).unwrap();
    drop(connection);
    // The tree and all tables are made anew, as a thief of the store would.
    let remade = Issuer::open(rig.folder.path()).and_then(|mut issuer| issuer.rebuild());
    remade.unwrap();
    let found = rig.place();
    assert!(
        matches!(found, Some(Place::Checkpoint(_))),
        "the next checkpoint says so: {found:?}"
    );
}

#[test]
fn any_byte_of_the_file_that_is_flipped_is_found_or_changes_nothing() {
    const FLIPS: u64 = 250;
    let rig = Rig::new();
    let contents = dump(rig.folder.path()).unwrap();
    let (mut found, mut harmless) = (0, 0);
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..FLIPS {
        rig.mend();
        // xorshift64: no choice of bytes that somebody made.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let mut bytes = rig.sound.clone();
        let place = usize::try_from(state % bytes.len() as u64).unwrap();
        bytes[place] ^= 1 << (state >> 60 & 7);
        fs::write(rig.folder.path().join("phi.db"), &bytes).unwrap();
        let verified = Issuer::open(rig.folder.path())
            .and_then(|mut issuer| issuer.verify_ledger(None, |_| {}));
        if verified.is_err() {
            found += 1;
            continue;
        }
        let now = dump(rig.folder.path());
        assert_eq!(
            now.as_ref(),
            Some(&contents),
            "byte {place} was flipped and not found"
        );
        harmless += 1;
    }
    println!("{found} flips were found, {harmless} were in bytes that hold nothing");
    assert!(found > FLIPS / 10);
}

/// Everything in the store; `None` if it does not read.
fn dump(folder: &Path) -> Option<Vec<String>> {
    let connection = Connection::open(folder.join("phi.db")).ok()?;
    let mut all = Sql::open(folder).tables();
    let mut select = connection
        .prepare("SELECT * FROM events ORDER BY seq")
        .ok()?;
    let width = select.column_count();
    let rows = select.query_map([], |row| {
        let values = (0..width).map(|column| row.get::<_, Value>(column));
        Ok(format!("{:?}", values.collect::<Result<Vec<_>, _>>()?))
    });
    all.extend(rows.ok()?.collect::<Result<Vec<_>, _>>().ok()?);
    Some(all)
}

#[test]
fn a_clock_that_was_ahead_is_corrected_once_and_seen_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let mut issuer = workshop::furnished(folder.path()).unwrap();
    let (right, ahead) = (START.plus(DAY), START.plus(900 * DAY));
    let license = workshop::issue(&mut issuer, right).unwrap();
    let suspend = LicenseOrder::new(license, 1, ChangeRequest::Suspend);
    issuer.change_license(&suspend, &at(ahead)).unwrap();
    let reinstate = LicenseOrder::new(license, 2, ChangeRequest::Reinstate);
    let refused = issuer.change_license(&reinstate, &at(right.plus(60)));
    assert_eq!(refused.unwrap_err().code(), "ledger-clock-behind");
    let correction = issuer.correct_clock(&at(right.plus(60))).unwrap();
    assert_eq!((correction.ahead, correction.settled), (ahead, vec![]));
    let again = issuer.correct_clock(&at(right.plus(70)));
    assert_eq!(again.unwrap_err().code(), "ledger-clock-right");
    issuer
        .change_license(&reinstate, &at(right.plus(120)))
        .unwrap();
    let state = |issuer: &mut Issuer, seconds| {
        let then = phi_issuer::Past::Time(right.plus(seconds));
        issuer.license_at(license, then).unwrap().state
    };
    assert_eq!(state(&mut issuer, 59), State::Active);
    assert_eq!(state(&mut issuer, 60), State::Suspended);
    assert_eq!(state(&mut issuer, 120), State::Active);
    let history = issuer.license_history(license, right.plus(DAY)).unwrap();
    let times: Vec<_> = history.iter().map(|moment| moment.time).collect();
    assert_eq!(times, [right, right.plus(60), right.plus(120)]);
    drop(issuer);
    assert_eq!(place(folder.path(), None), None);
}

#[test]
fn cut_tokens_are_a_part_of_the_history() {
    let folder = tempfile::tempdir().unwrap();
    let mut issuer = workshop::furnished(folder.path()).unwrap();
    let license = workshop::issue(&mut issuer, START.plus(10)).unwrap();
    workshop::mint(&mut issuer, license, 1, START.plus(20)).unwrap();
    let order = LicenseOrder {
        old_tokens: OldTokens::Cut,
        ..LicenseOrder::new(license, 1, ChangeRequest::Rebind(None))
    };
    issuer.change_license(&order, &at(START.plus(20))).unwrap();
    workshop::mint(&mut issuer, license, 1, START.plus(20)).unwrap();
    workshop::mint(&mut issuer, license, 1, START.plus(21)).unwrap();
    drop(issuer);
    assert_eq!(place(folder.path(), None), None);
}
