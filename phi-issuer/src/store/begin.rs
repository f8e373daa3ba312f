//! How a store begins: empty, or with entries that are there already.

use super::{
    SCHEMA_VERSION, Store,
    engine::{self, Access, Engine, Location},
    insert, tiles,
};
use crate::{entry::Entry, error::Error, tree::Appender};

/// A database in which a store is to be made.
pub(crate) struct Empty {
    engine: Engine,
    location: Location,
}

impl Empty {
    /// Opens the database, and makes sure that it holds nothing.
    pub(crate) fn connect(location: &Location) -> Result<Self, Error> {
        let engine = Engine::create(location)?;
        engine.check_empty()?;
        Ok(Self {
            engine,
            location: location.clone(),
        })
    }

    /// Makes the store. `source` hands over the bytes of each entry that it begins with, in order;
    /// all of it is made, or nothing.
    pub(crate) fn fill(
        self,
        source: impl FnOnce(&mut dyn FnMut(&[u8]) -> Result<(), Error>) -> Result<(), Error>,
    ) -> Result<Store, Error> {
        let store = Store::on(self.engine, &self.location);
        let transaction = store.engine.begin(Access::Create)?;
        // Asked again: somebody else may have been first.
        store.engine.check_empty()?;
        store.engine.create_tables(engine::LEDGER)?;
        store.engine.create_triggers()?;
        store.engine.create_tables(engine::DERIVED)?;
        store.engine.note_version(SCHEMA_VERSION)?;
        let mut tree = Appender::empty();
        source(&mut |bytes| {
            let entry = Entry::decode(bytes)?;
            if entry.seq != tree.size() + 1 {
                return Err(Error::EventDamaged {
                    problem: format!("event {} stands in place {}", entry.seq, tree.size() + 1),
                });
            }
            insert(&store.engine, &entry, bytes)?;
            store.derive_from(&entry, bytes, &mut tree)
        })?;
        tiles::write(&store.engine, &mut tree)?;
        transaction.commit()?;
        Ok(store)
    }
}
