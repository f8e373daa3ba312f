use phi_verify::{PublicKey, UnixTime};
use rusqlite::Connection;

use super::*;
use crate::keys::Role;

/// Keys of which the first has the greater id.
fn keys() -> [Event; 2] {
    let key = |seed: u8| {
        let secret = ed25519_dalek::SigningKey::from_bytes(&[seed; 32]);
        let public = secret.verifying_key().to_bytes();
        PublicKey::from_bytes(&public).unwrap()
    };
    let mut keys = [key(1), key(2)];
    keys.sort_by_key(|key| std::cmp::Reverse(key.id().to_string()));
    keys.map(|public| Event::KeyAdded {
        role: Role::License,
        public,
        from: None,
        holder: None,
        scope: None,
    })
}

#[test]
fn a_store_of_version_1_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("phi.db");
    let connection = Connection::open(&path).unwrap();
    let location = Location::File(path);
    connection
        .execute_batch(include_str!("tests/version-1.sql"))
        .unwrap();
    connection
        .execute_batch("PRAGMA application_id = 0x50686931; PRAGMA user_version = 1;")
        .unwrap();
    for (index, event) in keys().iter().enumerate() {
        let seq = i64::try_from(index).unwrap() + 1;
        let sql = "INSERT INTO events VALUES (?1, 1900000000, 'ann', ?2, NULL, ?3)";
        let values = (seq, event.name(), event::encode_sorted(event));
        connection.execute(sql, values).unwrap();
    }
    drop(connection);
    let mut store = Store::open(&location).unwrap();
    let rows = store.read(|query| query.keys()).unwrap();
    let found = rows.iter().map(|row| row.public.id());
    let added = keys().map(|event| match event {
        Event::KeyAdded { public, .. } => public.id(),
        other => panic!("{other:?}"),
    });
    assert!(found.eq(added), "keys stand in the order of the ledger");
    let context = Context::new(UnixTime::new(1_900_000_001).unwrap(), "ann");
    let dropped = Event::KeyDropped {
        key_id: rows[0].public.id(),
    };
    store
        .write(&context, |writer| writer.append(&dropped))
        .unwrap();
    drop(store);
    let mut store = Store::open(&location).unwrap();
    assert_eq!(store.rebuild().unwrap(), 3);
    assert!(store.read(|query| query.keys()).unwrap()[0].dropped);
}
