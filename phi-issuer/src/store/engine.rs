//! The engine under the store: statements, values and rows in the words of no one driver.
//!
//! A statement is written once, with `?1` for its first value, and is kept prepared. What the
//! statements mean is left to the store, and each engine's own ways to its file in `engine/`.

#[cfg(feature = "postgres")]
mod postgres;
mod sqlite;

use std::path::{Path, PathBuf};

#[cfg(feature = "postgres")]
use self::postgres::{Postgres, PostgresRow};
use self::sqlite::{Sqlite, SqliteRow};
use super::SCHEMA_VERSION;
use crate::error::Error;

/// The newest tables, in SQLite's words for types.
pub(super) const LEDGER: &str = include_str!("schema/ledger.sql");
pub(super) const DERIVED: &str = include_str!("schema/derived.sql");

/// What marks a Phi store: the letters "Phi1".
const APPLICATION: u32 = 0x5068_6931;

/// Where a store is.
#[derive(Clone, Debug)]
pub(crate) enum Location {
    /// In a file.
    File(PathBuf),
    /// In a database on a server.
    #[cfg(feature = "postgres")]
    Server(Box<postgres::Server>),
}

impl Location {
    /// The place that a URL names. Files that it names are in the issuer's folder, unless they
    /// are elsewhere; `authority` is that of the server's certificate.
    #[cfg(feature = "postgres")]
    pub(crate) fn server(
        url: &str,
        authority: Option<&Path>,
        folder: &Path,
    ) -> Result<Self, Error> {
        Ok(Self::Server(
            postgres::Server::parse(url, authority, folder)?.into(),
        ))
    }

    #[cfg(not(feature = "postgres"))]
    pub(crate) fn server(_: &str, _: Option<&Path>, _: &Path) -> Result<Self, Error> {
        Err(Error::Invalid {
            what: "the URL of the store",
            problem: "needs a phi that was built with PostgreSQL".into(),
        })
    }
}

/// A connection to where the tables are.
#[derive(Debug)]
#[cfg_attr(
    feature = "postgres",
    expect(clippy::large_enum_variant, reason = "there is one of it in an issuer")
)]
pub(super) enum Engine {
    Sqlite(Sqlite),
    #[cfg(feature = "postgres")]
    Postgres(Postgres),
}

/// A value that a statement is given.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'v> {
    Null,
    Int(i64),
    Text(&'v str),
    Blob(&'v [u8]),
}

/// What a transaction may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Make the tables in a database that has none.
    Create,
    /// See the store as it is at one moment.
    Read,
    /// Change it, while nobody else does.
    Write,
}

impl Engine {
    /// Opens a database without tables, for a store to be made in it.
    pub(super) fn create(location: &Location) -> Result<Self, Error> {
        match location {
            Location::File(path) => Sqlite::create(path).map(Self::Sqlite),
            #[cfg(feature = "postgres")]
            Location::Server(server) => Postgres::connect(server).map(Self::Postgres),
        }
    }

    /// Opens a database, if it is a Phi store of no newer version.
    pub(super) fn open(location: &Location) -> Result<Self, Error> {
        match location {
            Location::File(path) => Sqlite::open(path).map(Self::Sqlite),
            #[cfg(feature = "postgres")]
            Location::Server(server) => Postgres::open(server).map(Self::Postgres),
        }
    }

    /// Makes sure that there are no tables.
    #[cfg_attr(
        not(feature = "postgres"),
        expect(clippy::unnecessary_wraps, reason = "what can fail needs a server")
    )]
    pub(super) fn check_empty(&self) -> Result<(), Error> {
        match self {
            // The file was made by whoever asks.
            Self::Sqlite(_) => Ok(()),
            #[cfg(feature = "postgres")]
            Self::Postgres(engine) => engine.check_empty(),
        }
    }

    /// The version of the tables; 0 if there are none.
    pub(super) fn version(&self) -> Result<u32, Error> {
        match self {
            Self::Sqlite(engine) => engine.version(),
            #[cfg(feature = "postgres")]
            Self::Postgres(engine) => engine.version(),
        }
    }

    /// Notes the version of the tables, as a part of the transaction.
    pub(super) fn note_version(&self, version: u32) -> Result<(), Error> {
        match self {
            Self::Sqlite(engine) => engine.note_version(version),
            #[cfg(feature = "postgres")]
            Self::Postgres(engine) => engine.note_version(version),
        }
    }

    /// Makes tables that are written with SQLite's words for types.
    pub(super) fn create_tables(&self, sql: &str) -> Result<(), Error> {
        match self {
            Self::Sqlite(engine) => engine.batch(sql),
            #[cfg(feature = "postgres")]
            Self::Postgres(engine) => engine.batch(&postgres::translate_tables(sql)),
        }
    }

    /// Makes what keeps the ledger's rows as they are.
    pub(super) fn create_triggers(&self) -> Result<(), Error> {
        match self {
            Self::Sqlite(engine) => engine.batch(sqlite::TRIGGERS),
            #[cfg(feature = "postgres")]
            Self::Postgres(engine) => engine.batch(postgres::TRIGGERS),
        }
    }

    /// Carries out statements that take no values.
    pub(super) fn batch(&self, sql: &str) -> Result<(), Error> {
        match self {
            Self::Sqlite(engine) => engine.batch(sql),
            #[cfg(feature = "postgres")]
            Self::Postgres(engine) => engine.batch(sql),
        }
    }

    /// Carries out a statement; how many rows it changed.
    pub(super) fn execute(&self, sql: &str, values: &[Value<'_>]) -> Result<u64, Error> {
        match self {
            Self::Sqlite(engine) => engine.execute(sql, values),
            #[cfg(feature = "postgres")]
            Self::Postgres(engine) => engine.execute(sql, values),
        }
    }

    /// Hands over the rows of an answer one by one. The next statement waits until the last one:
    /// `each` asks nothing of the engine, and a long answer is asked for in pages.
    pub(super) fn each(
        &self,
        sql: &str,
        values: &[Value<'_>],
        each: &mut dyn FnMut(&Row<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        match self {
            Self::Sqlite(engine) => engine.each(sql, values, each),
            #[cfg(feature = "postgres")]
            Self::Postgres(engine) => engine.each(sql, values, each),
        }
    }

    /// What is read from the only row of an answer, if there is one.
    pub(super) fn one<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let mut found = None;
        self.each(sql, values, &mut |row| {
            found = Some(read(row)?);
            Ok(())
        })?;
        Ok(found)
    }

    /// What the database itself finds wrong with it, or what of its schema is not as
    /// [`Engine::create_tables`] and [`Engine::create_triggers`] make it.
    pub(super) fn unsound(&self) -> Result<Option<String>, Error> {
        match self {
            Self::Sqlite(engine) => engine.unsound(),
            #[cfg(feature = "postgres")]
            Self::Postgres(engine) => engine.unsound(),
        }
    }

    /// Copies the database into an empty file; whether it is in a file itself.
    pub(super) fn copy_file(&self, path: &std::path::Path) -> Result<bool, Error> {
        match self {
            Self::Sqlite(engine) => engine.copy_file(path).map(|()| true),
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => Ok(false),
        }
    }

    /// The schema of temporary tables.
    pub(super) const fn temporary_schema(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "temp",
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => "pg_temp",
        }
    }

    /// The schema of the store's tables.
    #[cfg_attr(
        not(feature = "postgres"),
        expect(clippy::unnecessary_wraps, reason = "PostgreSQL is asked for it")
    )]
    pub(super) fn stored_schema(&self) -> Result<String, Error> {
        match self {
            Self::Sqlite(_) => Ok("main".into()),
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => {
                let sql = "SELECT quote_ident(current_schema()::text)";
                let found = self.one(sql, &[], |row| Ok(row.text(0)?.to_owned()))?;
                found.ok_or_else(|| damaged("a schema"))
            }
        }
    }

    /// Begins a transaction. A writer waits for the one before it.
    pub(super) fn begin(&self, access: Access) -> Result<Transaction<'_>, Error> {
        match self {
            Self::Sqlite(engine) => engine.begin(access)?,
            #[cfg(feature = "postgres")]
            Self::Postgres(engine) => engine.begin(access)?,
        }
        Ok(Transaction {
            engine: self,
            access,
            over: false,
        })
    }
}

/// A transaction, undone unless it is committed.
#[derive(Debug)]
pub(super) struct Transaction<'e> {
    engine: &'e Engine,
    access: Access,
    over: bool,
}

impl Transaction<'_> {
    /// Makes everything in the transaction durable.
    pub(super) fn commit(mut self) -> Result<(), Error> {
        match self.engine {
            // There is nothing of which anybody would not know whether it happened.
            _ if self.access == Access::Read => self.engine.batch("COMMIT")?,
            Engine::Sqlite(engine) => engine.commit()?,
            #[cfg(feature = "postgres")]
            Engine::Postgres(engine) => engine.commit()?,
        }
        self.over = true;
        Ok(())
    }

    /// Undoes everything in the transaction.
    pub(super) fn rollback(mut self) -> Result<(), Error> {
        self.over = true;
        self.engine.batch("ROLLBACK")
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        // There is nobody to tell: the engine undoes what has no commit when the connection ends.
        match self.engine {
            Engine::Sqlite(engine) => engine.abandon(),
            #[cfg(feature = "postgres")]
            Engine::Postgres(engine) => engine.abandon(),
        }
    }
}

/// A row of an answer.
pub(super) enum Row<'r> {
    Sqlite(SqliteRow<'r>),
    #[cfg(feature = "postgres")]
    Postgres(PostgresRow<'r>),
}

impl Row<'_> {
    /// A value; truth is 0 or 1.
    fn value(&self, column: usize) -> Option<Value<'_>> {
        match self {
            Self::Sqlite(row) => row.value(column),
            #[cfg(feature = "postgres")]
            Self::Postgres(row) => row.value(column),
        }
    }

    pub(super) fn int(&self, column: usize) -> Result<i64, Error> {
        self.opt_int(column)?.ok_or_else(wrong_type)
    }

    pub(super) fn opt_int(&self, column: usize) -> Result<Option<i64>, Error> {
        match self.value(column) {
            Some(Value::Int(value)) => Ok(Some(value)),
            Some(Value::Null) => Ok(None),
            _ => Err(wrong_type()),
        }
    }

    /// A value for people: bytes in hexadecimal.
    pub(super) fn shown(&self, column: usize) -> String {
        match self.value(column) {
            Some(Value::Int(value)) => value.to_string(),
            Some(Value::Text(value)) => value.into(),
            Some(Value::Blob(value)) => format!("{value:02x?}"),
            Some(Value::Null) | None => "-".into(),
        }
    }

    /// A number that is 0 or 1.
    pub(super) fn truth(&self, column: usize) -> Result<bool, Error> {
        match self.int(column)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(wrong_type()),
        }
    }

    pub(super) fn text(&self, column: usize) -> Result<&str, Error> {
        self.opt_text(column)?.ok_or_else(wrong_type)
    }

    pub(super) fn opt_text(&self, column: usize) -> Result<Option<&str>, Error> {
        match self.value(column) {
            Some(Value::Text(value)) => Ok(Some(value)),
            Some(Value::Null) => Ok(None),
            _ => Err(wrong_type()),
        }
    }

    pub(super) fn blob(&self, column: usize) -> Result<&[u8], Error> {
        self.opt_blob(column)?.ok_or_else(wrong_type)
    }

    pub(super) fn opt_blob(&self, column: usize) -> Result<Option<&[u8]>, Error> {
        match self.value(column) {
            Some(Value::Blob(value)) => Ok(Some(value)),
            Some(Value::Null) => Ok(None),
            _ => Err(wrong_type()),
        }
    }
}

/// Whether tables of the version can be read.
fn known(found: u32) -> Result<(), Error> {
    if found > SCHEMA_VERSION {
        return Err(Error::StoreNewer {
            found,
            known: SCHEMA_VERSION,
        });
    }
    Ok(())
}

/// A derived table that says what no event does: it was changed from outside.
pub(super) fn damaged(what: &str) -> Error {
    Error::EventDamaged {
        problem: format!("{what} in a table is not what its event says"),
    }
}

fn wrong_type() -> Error {
    damaged("a value")
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl<'v> From<&'v str> for Value<'v> {
    fn from(value: &'v str) -> Self {
        Self::Text(value)
    }
}

impl<'v> From<&'v String> for Value<'v> {
    fn from(value: &'v String) -> Self {
        Self::Text(value)
    }
}

impl<'v> From<&'v [u8]> for Value<'v> {
    fn from(value: &'v [u8]) -> Self {
        Self::Blob(value)
    }
}

impl<'v> From<&'v Vec<u8>> for Value<'v> {
    fn from(value: &'v Vec<u8>) -> Self {
        Self::Blob(value)
    }
}

impl<T: Into<Self>> From<Option<T>> for Value<'_> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// The values of a statement, in the order of their numbers.
macro_rules! values {
    ($($value:expr),* $(,)?) => {
        &[$($crate::store::engine::Value::from($value)),*]
    };
}
pub(super) use values;
