//! The issuer's store: an append-only ledger of events in SQLite, and the tables derived from it.
//!
//! Every change is one transaction that appends events and applies them to the tables; what was
//! committed survives a power cut, and two issuers on one store take turns.

mod apply;
mod query;

use std::{path::Path, time::Duration};

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior, params};

use query::CatalogCache;
pub(crate) use query::{KeyRow, Query};

use crate::{
    Context,
    durable::{self, Mode},
    error::Error,
    event::Event,
};

/// Version of the tables. A store of a newer version is refused, an older one is brought up to
/// date when it is opened.
const SCHEMA_VERSION: u32 = 1;
/// What makes each version of the tables out of the one before.
const MIGRATIONS: [(u32, &str); 1] = [(SCHEMA_VERSION, include_str!("store/schema.sql"))];
/// SQLite's `application_id` of a Phi store: the letters "Phi1".
const APPLICATION_ID: u32 = 0x5068_6931;
/// How long one issuer waits for another: a batch commits about every 50 ms, a status list of a
/// hundred thousand tokens takes seconds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// More statements than there are in the source: each is compiled once.
const STATEMENTS: usize = 64;
/// Ids are random, so that a batch touches all of their indexes: this holds those of a million
/// tokens.
const CACHE_KIBIBYTES: i32 = 128 << 10;

/// An open store.
#[derive(Debug)]
pub(crate) struct Store {
    connection: Connection,
    catalogs: CatalogCache,
}

impl Store {
    /// Makes a store where there is none.
    pub(crate) fn create(path: &Path) -> Result<Self, Error> {
        // Tokens and customers are in it: it is its owner's, and its journals take after it.
        durable::create_new(path, b"", Mode::Private)?;
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        configure(&connection)?;
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        let mut store = Self {
            connection,
            catalogs: CatalogCache::default(),
        };
        store.migrate()?;
        Ok(store)
    }

    /// Opens a store that is there.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        if !path.exists() {
            return Err(Error::StoreMissing { path: path.into() });
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
        let connection = Connection::open_with_flags(path, flags)?;
        // The check comes first: it must not change a file that is not ours.
        check(&connection, path)?;
        configure(&connection)?;
        let mut store = Self {
            connection,
            catalogs: CatalogCache::default(),
        };
        store.migrate()?;
        Ok(store)
    }

    /// Brings the tables to the newest version: in one step, or not at all.
    fn migrate(&mut self) -> Result<(), Error> {
        if version(&self.connection)? == SCHEMA_VERSION {
            return Ok(());
        }
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Asked again: another issuer may have been first.
        let found = version(&transaction)?;
        for (_, migration) in MIGRATIONS.iter().filter(|(number, _)| *number > found) {
            transaction.execute_batch(migration)?;
        }
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        transaction.commit()?;
        Ok(())
    }

    /// Reads the store as it is at one moment.
    pub(crate) fn read<T>(
        &mut self,
        work: impl FnOnce(&Query<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let transaction = self.connection.transaction()?;
        work(&Query::new(&transaction, &self.catalogs))
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
        end: impl FnOnce(Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<T, Error> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut writer = Writer {
            connection: &transaction,
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

    /// Makes the derived tables again from the events.
    pub(crate) fn rebuild(&mut self) -> Result<u64, Error> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.pragma_update(None, "defer_foreign_keys", true)?;
        for table in apply::TABLES {
            transaction.execute(&format!("DELETE FROM {table}"), [])?;
        }
        let count = Query::new(&transaction, &self.catalogs)
            .replay(|seq, event| apply::apply(&transaction, seq, event))?;
        transaction.commit()?;
        Ok(count)
    }
}

/// The version of the tables.
fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Whether the file is a store that this library knows.
fn check(connection: &Connection, path: &Path) -> Result<(), Error> {
    let foreign = || Error::StoreForeign { path: path.into() };
    let application = connection.pragma_query_value(None, "application_id", |row| row.get(0));
    match application {
        Ok(APPLICATION_ID) => {}
        Ok::<u32, _>(_) => return Err(foreign()),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => {
            return Err(foreign());
        }
        Err(error) => return Err(error.into()),
    }
    match version(connection)? {
        // No store was ever finished without its tables.
        0 => Err(foreign()),
        found if found > SCHEMA_VERSION => Err(Error::StoreNewer {
            found,
            known: SCHEMA_VERSION,
        }),
        _ => Ok(()),
    }
}

/// Durable on commit: a token that was printed is in the ledger after a power cut.
fn configure(connection: &Connection) -> Result<(), Error> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "cache_size", -CACHE_KIBIBYTES)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(())
}

/// A transaction that appends events.
pub(crate) struct Writer<'c> {
    connection: &'c Connection,
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
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO events (seq, time, actor, event, idempotency_key, body)
             VALUES ((SELECT coalesce(max(seq), 0) + 1 FROM events), ?1, ?2, ?3, ?4, ?5)",
        )?;
        let time = self.context.now.seconds().cast_signed();
        insert.execute(params![
            time,
            self.context.actor,
            event.name(),
            key,
            event.encode()
        ])?;
        apply::apply(self.connection, self.connection.last_insert_rowid(), event)
    }

    /// The state within the transaction.
    pub(crate) fn query(&self) -> Query<'_> {
        Query::new(self.connection, self.catalogs)
    }

    /// Carries out a part of the transaction that may fail alone. Where the store itself fails,
    /// the whole of it does.
    pub(crate) fn attempt<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<Result<T, Error>, Error> {
        self.connection.execute_batch("SAVEPOINT attempt")?;
        let result = match work(self) {
            Err(error @ (Error::Store(_) | Error::EventDamaged { .. })) => return Err(error),
            result => result,
        };
        if result.is_err() {
            self.connection.execute_batch("ROLLBACK TO attempt")?;
        }
        self.connection.execute_batch("RELEASE attempt")?;
        Ok(result)
    }
}
