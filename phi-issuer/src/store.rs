//! The issuer's store: an append-only ledger of events in SQLite, and the tables derived from it.
//!
//! Every change is one transaction that appends events and applies them to the tables; what was
//! committed survives a power cut, and two issuers on one store take turns.

mod apply;
mod engine;
mod fault;
mod query;

pub(crate) use engine::Location;
use engine::{Access, Engine, Transaction, values};
pub use fault::StoreError;
use query::CatalogCache;
pub(crate) use query::{KeyRow, Query};

use crate::{Context, error::Error, event::Event};

/// Version of the tables. A store of a newer version is refused, an older one is brought up to
/// date when it is opened.
const SCHEMA_VERSION: u32 = 2;

/// An open store.
#[derive(Debug)]
pub(crate) struct Store {
    engine: Engine,
    catalogs: CatalogCache,
}

impl Store {
    /// Makes a store where there is none.
    pub(crate) fn create(location: &Location) -> Result<Self, Error> {
        let store = Self::on(Engine::create(location)?);
        let transaction = store.engine.begin(Access::Create)?;
        store.engine.create_tables(engine::LEDGER)?;
        store.engine.create_triggers()?;
        store.engine.create_tables(engine::DERIVED)?;
        store.engine.note_version(SCHEMA_VERSION)?;
        transaction.commit()?;
        Ok(store)
    }

    /// Opens a store that is there.
    pub(crate) fn open(location: &Location) -> Result<Self, Error> {
        let store = Self::on(Engine::open(location, SCHEMA_VERSION)?);
        store.migrate()?;
        Ok(store)
    }

    fn on(engine: Engine) -> Self {
        Self {
            engine,
            catalogs: CatalogCache::default(),
        }
    }

    /// Brings the tables to the newest version: in one step, or not at all.
    ///
    /// Version 2 changed derived tables only, and those are made from the events.
    fn migrate(&self) -> Result<(), Error> {
        if self.engine.version()? == SCHEMA_VERSION {
            return Ok(());
        }
        let transaction = self.engine.begin(Access::Write)?;
        // Asked again: another issuer may have been first.
        if self.engine.version()? == SCHEMA_VERSION {
            return Ok(());
        }
        for table in apply::TABLES {
            self.engine.batch(&format!("DROP TABLE {table}"))?;
        }
        self.engine.create_tables(engine::DERIVED)?;
        self.derive()?;
        self.engine.note_version(SCHEMA_VERSION)?;
        transaction.commit()
    }

    /// Fills the empty derived tables from the events; how many there are.
    fn derive(&self) -> Result<u64, Error> {
        Query::new(&self.engine, &self.catalogs)
            .replay(|seq, event| apply::apply(&self.engine, seq, event))
    }

    /// Reads the store as it is at one moment.
    pub(crate) fn read<T>(
        &mut self,
        work: impl FnOnce(&Query<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let transaction = self.engine.begin(Access::Read)?;
        let result = work(&Query::new(&self.engine, &self.catalogs))?;
        transaction.commit()?;
        Ok(result)
    }

    /// Changes the store in one transaction: all of it is durable when this returns, or none of
    /// it happened.
    pub(crate) fn write<T>(
        &mut self,
        context: &Context,
        work: impl FnOnce(&mut Writer<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.transact(context, work, |transaction| transaction.commit())
    }

    /// Does what [`Store::write`] does, and then undoes it.
    pub(crate) fn rehearse<T>(
        &mut self,
        context: &Context,
        work: impl FnOnce(&mut Writer<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let result = self.transact(context, work, |transaction| transaction.rollback());
        self.catalogs.get_mut().clear();
        result
    }

    fn transact<T>(
        &mut self,
        context: &Context,
        work: impl FnOnce(&mut Writer<'_>) -> Result<T, Error>,
        end: impl FnOnce(Transaction<'_>) -> Result<(), Error>,
    ) -> Result<T, Error> {
        let transaction = self.engine.begin(Access::Write)?;
        let mut writer = Writer {
            engine: &self.engine,
            newest: self.newest()?,
            catalogs: &self.catalogs,
            context,
        };
        let result = work(&mut writer).and_then(|result| {
            end(transaction)?;
            Ok(result)
        });
        if result.is_err() {
            // What was read within a transaction that is undone was never recorded.
            self.catalogs.get_mut().clear();
        }
        result
    }

    /// The number of the newest event.
    fn newest(&self) -> Result<i64, Error> {
        let sql = "SELECT coalesce(max(seq), 0) FROM events";
        let newest = self.engine.one(sql, &[], |row| row.int(0))?;
        Ok(newest.unwrap_or_default())
    }

    /// Makes the derived tables again from the events.
    pub(crate) fn rebuild(&mut self) -> Result<u64, Error> {
        let transaction = self.engine.begin(Access::Write)?;
        for table in apply::TABLES {
            self.engine.execute(&format!("DELETE FROM {table}"), &[])?;
        }
        let count = self.derive()?;
        transaction.commit()?;
        Ok(count)
    }
}

/// A transaction that appends events.
pub(crate) struct Writer<'c> {
    engine: &'c Engine,
    /// The number of the newest event: there is no other writer.
    newest: i64,
    catalogs: &'c CatalogCache,
    pub(crate) context: &'c Context,
}

impl Writer<'_> {
    /// Appends an event and applies it to the tables.
    pub(crate) fn append(&mut self, event: &Event) -> Result<(), Error> {
        self.append_keyed(event, None)
    }

    /// Appends an event that answers the request with this idempotency key.
    pub(crate) fn append_keyed(&mut self, event: &Event, key: Option<&str>) -> Result<(), Error> {
        let seq = self.newest + 1;
        let time = self.context.now.seconds().cast_signed();
        let body = event.encode();
        self.engine.execute(
            "INSERT INTO events (seq, time, actor, event, idempotency_key, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            values![seq, time, &self.context.actor, event.name(), key, &body],
        )?;
        self.newest = seq;
        apply::apply(self.engine, seq, event)
    }

    /// The state within the transaction.
    pub(crate) fn query(&self) -> Query<'_> {
        Query::new(self.engine, self.catalogs)
    }

    /// Carries out a part of the transaction that may fail alone. Where the store itself fails,
    /// the whole of it does.
    pub(crate) fn attempt<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<Result<T, Error>, Error> {
        self.engine.batch("SAVEPOINT attempt")?;
        let newest = self.newest;
        let result = match work(self) {
            Err(error @ (Error::Store(_) | Error::EventDamaged { .. })) => return Err(error),
            result => result,
        };
        if result.is_err() {
            self.engine.batch("ROLLBACK TO attempt")?;
            self.newest = newest;
        }
        self.engine.batch("RELEASE attempt")?;
        Ok(result)
    }
}

#[cfg(test)]
mod tests;
