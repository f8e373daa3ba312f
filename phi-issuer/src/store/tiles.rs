//! The Merkle tree in the store: leaves go in with their entries, in the same transaction.

use super::engine::{Engine, values};
use crate::{
    entry::Entry,
    error::Error,
    tree::{Appender, Hash, TileStore, TreeError},
};

/// The tiles in the table.
pub(crate) struct Tiles<'e>(pub(super) &'e Engine);

impl TileStore for Tiles<'_> {
    type Error = Error;

    fn tile(&self, level: u8, number: u64) -> Result<Option<Vec<u8>>, Error> {
        let sql = "SELECT hashes FROM tiles WHERE level = ?1 AND number = ?2";
        let place = values![i64::from(level), number.cast_signed()];
        self.0.one(sql, place, |row| Ok(row.blob(0)?.to_vec()))
    }
}

/// The hash of an entry's leaf, for these bytes of the entry.
pub(crate) fn hash_of(entry: &Entry, bytes: &[u8]) -> Hash {
    *entry.leaf(bytes).hash().as_bytes()
}

/// Appends leaves to the tree that has `size` of them.
pub(super) fn append(engine: &Engine, size: u64, leaves: &[Hash]) -> Result<(), Error> {
    if leaves.is_empty() {
        return Ok(());
    }
    let mut appender = Appender::open(&Tiles(engine), size).map_err(damaged)?;
    for leaf in leaves {
        appender.push(*leaf);
    }
    write(engine, &mut appender)
}

/// Writes the tiles that changed.
pub(super) fn write(engine: &Engine, appender: &mut Appender) -> Result<(), Error> {
    for tile in appender.take_changed() {
        engine.execute(
            "INSERT INTO tiles (level, number, hashes) VALUES (?1, ?2, ?3)
             ON CONFLICT (level, number) DO UPDATE SET hashes = excluded.hashes",
            values![
                i64::from(tile.level),
                tile.number.cast_signed(),
                tile.bytes()
            ],
        )?;
    }
    Ok(())
}

/// A tree that does not hold together was changed from outside.
pub(crate) fn damaged(error: TreeError<Error>) -> Error {
    match error {
        TreeError::Store(error) => error,
        error => Error::EventDamaged {
            problem: format!("the Merkle tree is not what its events make it: {error}"),
        },
    }
}
