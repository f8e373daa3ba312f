//! Entries that somebody writes into a store behind Phi's back: well formed, in their place, with
//! hashes and tables made anew.

use std::path::Path;

use ciborium::Value;
use phi_issuer::{Event, Issuer};
use phi_verify::UnixTime;
use rusqlite::{Connection, params};

/// Appends an event to the store of the folder as a thief of the store would; its number.
pub(crate) fn append(folder: &Path, event: &Event, time: UnixTime) -> u64 {
    append_as(folder, event, time, "mallory")
}

/// The same, in this name.
pub(crate) fn append_as(folder: &Path, event: &Event, time: UnixTime, actor: &str) -> u64 {
    let connection = Connection::open(folder.join("phi.db")).unwrap();
    let sql = "SELECT max(seq) FROM events";
    let last: i64 = connection.query_row(sql, [], |row| row.get(0)).unwrap();
    let seq = last.cast_unsigned() + 1;
    let mut value = Value::serialized(event).unwrap();
    sort(&mut value);
    let fields = [
        (0, 2.into()),
        (1, seq.into()),
        (2, time.seconds().into()),
        (3, actor.into()),
        (6, value),
    ];
    let fields = fields.map(|(key, value): (u64, Value)| (key.into(), value));
    let mut entry = Vec::new();
    ciborium::into_writer(&Value::Map(fields.into()), &mut entry).unwrap();
    let sql = "INSERT INTO events (seq, time, actor, word, entry) VALUES (?1, ?2, ?3, ?4, ?5)";
    let row = params![
        last + 1,
        time.seconds().cast_signed(),
        actor,
        event.name(),
        entry
    ];
    connection.execute(sql, row).unwrap();
    drop(connection);
    Issuer::open(folder).unwrap().rebuild().unwrap();
    seq
}

/// Keys of maps in the order of deterministic CBOR; they are all texts.
fn sort(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(sort),
        Value::Map(fields) => {
            for (_, value) in fields.iter_mut() {
                sort(value);
            }
            fields.sort_by_key(|(key, _)| {
                let key = key.as_text().map(str::to_owned).unwrap_or_default();
                (key.len(), key)
            });
        }
        _ => {}
    }
}

#[test]
fn what_phi_could_have_written_is_not_told_from_what_it_wrote() {
    use phi_tests::{
        snakeoil::{DAY, START},
        workshop,
    };
    let folder = tempfile::tempdir().unwrap();
    drop(workshop::furnished(folder.path()).unwrap());
    let mut customer = workshop::customer();
    customer.id = "initech".into();
    append(
        folder.path(),
        &Event::CustomerAdded { customer },
        START.plus(DAY),
    );
    let mut issuer = Issuer::open(folder.path()).unwrap();
    issuer.verify_ledger(None, |_| {}).unwrap();
}
