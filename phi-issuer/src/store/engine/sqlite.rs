//! SQLite: the store is a file beside the settings.

use std::{collections::BTreeSet, path::Path, time::Duration};

use rusqlite::{
    Connection, ErrorCode, OpenFlags, ToSql,
    ffi::SQLITE_IOERR_SHMSIZE,
    params_from_iter,
    types::{ToSqlOutput, ValueRef},
};

use super::{APPLICATION, Access, Row, Value, known, values};
use crate::{
    durable::{self, Mode},
    error::Error,
    store::fault::{Fault, StoreError},
};

pub(super) const TRIGGERS: &str = include_str!("../schema/ledger.sqlite.sql");

/// How long one issuer waits for another: a batch commits about every 50 ms, a status list of a
/// hundred thousand tokens takes seconds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);
/// More statements than there are in the source: each is compiled once.
const STATEMENTS: usize = 64;
/// Ids are random, so that a batch touches all of their indexes: this holds those of a million
/// licenses with five million events. Memory is taken only as pages are read.
const CACHE_KIBIBYTES: i32 = 512 << 10;

/// A connection to a file.
#[derive(Debug)]
pub(in crate::store) struct Sqlite(Connection);

impl Sqlite {
    pub(super) fn create(path: &Path) -> Result<Self, Error> {
        // Tokens and customers are in it: it is its owner's, and its journals take after it.
        durable::create_new(path, b"", Mode::Private)?;
        let connection = connect(path)?;
        configure(&connection).map_err(failed)?;
        let noted = connection.pragma_update(None, "application_id", APPLICATION);
        noted.map_err(failed)?;
        Ok(Self(connection))
    }

    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        if !path.exists() {
            return Err(Error::StoreMissing {
                place: path.display().to_string(),
                hint: "restore phi.db from a backup",
            });
        }
        let connection = connect(path)?;
        // The check comes first: it must not change a file that is not ours.
        check(&connection, path)?;
        configure(&connection).map_err(failed)?;
        Ok(Self(connection))
    }

    pub(super) fn version(&self) -> Result<u32, Error> {
        version(&self.0).map_err(failed)
    }

    pub(super) fn note_version(&self, version: u32) -> Result<(), Error> {
        let noted = self.0.pragma_update(None, "user_version", version);
        noted.map_err(failed)
    }

    pub(super) fn batch(&self, sql: &str) -> Result<(), Error> {
        self.0.execute_batch(sql).map_err(failed)
    }

    pub(super) fn execute(&self, sql: &str, values: &[Value<'_>]) -> Result<u64, Error> {
        let changed = self
            .0
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(params_from_iter(values)))
            .map_err(failed)?;
        Ok(u64::try_from(changed).expect("a number of rows"))
    }

    pub(super) fn each(
        &self,
        sql: &str,
        values: &[Value<'_>],
        each: &mut dyn FnMut(&Row<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut select = self.0.prepare_cached(sql).map_err(failed)?;
        let mut rows = select.query(params_from_iter(values)).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            each(&Row::Sqlite(SqliteRow(row)))?;
        }
        Ok(())
    }

    pub(super) fn unsound(&self) -> Result<Option<String>, Error> {
        let check = self
            .0
            .query_row("PRAGMA main.integrity_check(1)", [], |row| row.get(0));
        let found: String = check.map_err(failed)?;
        if found != "ok" {
            return Ok(Some(found));
        }
        let model = Connection::open_in_memory().map_err(failed)?;
        for part in [super::LEDGER, TRIGGERS, super::DERIVED] {
            model.execute_batch(part).map_err(failed)?;
        }
        let expected = definitions(&model).map_err(failed)?;
        let found = definitions(&self.0).map_err(failed)?;
        let differs = expected.symmetric_difference(&found).next();
        Ok(
            differs
                .map(|(kind, name, _)| format!("{kind} {name} is not defined as phi defines it")),
        )
    }

    /// Others go on working: the copy is of one moment.
    pub(super) fn copy_file(&self, path: &Path) -> Result<(), Error> {
        durable::create_new(path, b"", Mode::Private)?;
        let name = path.to_str().ok_or_else(|| Error::Invalid {
            what: "the name of a backup",
            problem: "is not UTF-8".into(),
        })?;
        self.execute("VACUUM main INTO ?1", values![name]).map(drop)
    }

    pub(super) fn begin(&self, access: Access) -> Result<(), Error> {
        self.batch(match access {
            Access::Read => "BEGIN",
            Access::Create | Access::Write => "BEGIN IMMEDIATE",
        })
    }

    pub(super) fn commit(&self) -> Result<(), Error> {
        self.batch("COMMIT")
    }

    /// Undoes what has no commit. After some faults SQLite has done it by itself.
    pub(super) fn abandon(&self) {
        if !self.0.is_autocommit() {
            let _ = self.batch("ROLLBACK");
        }
    }
}

/// Every table, index and trigger with its definition.
fn definitions(connection: &Connection) -> rusqlite::Result<BTreeSet<(String, String, String)>> {
    let sql = "SELECT type, name, sql FROM main.sqlite_schema WHERE sql IS NOT NULL";
    let mut select = connection.prepare(sql)?;
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    rows.collect()
}

fn connect(path: &Path) -> Result<Connection, Error> {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed)
}

fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Whether the file is a Phi store that this library knows.
fn check(connection: &Connection, path: &Path) -> Result<(), Error> {
    let foreign = || Error::StoreForeign {
        place: path.display().to_string(),
        hint: "name the issuer's folder with --dir",
    };
    match connection.pragma_query_value(None, "application_id", |row| row.get(0)) {
        Ok(APPLICATION) => {}
        Ok::<u32, _>(_) => return Err(foreign()),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => {
            return Err(foreign());
        }
        Err(error) => return Err(failed(error)),
    }
    match version(connection).map_err(failed)? {
        // No store was ever finished without its tables.
        0 => Err(foreign()),
        found => known(found),
    }
}

/// Durable on commit: a token that was printed is in the ledger after a power cut.
fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "cache_size", -CACHE_KIBIBYTES)?;
    // Tables that are made a second time to be compared are temporary ones.
    connection.pragma_update(Some("temp"), "cache_size", -CACHE_KIBIBYTES)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)
}

/// A row of SQLite's.
pub(in crate::store) struct SqliteRow<'r>(&'r rusqlite::Row<'r>);

impl SqliteRow<'_> {
    pub(super) fn value(&self, column: usize) -> Option<Value<'_>> {
        match self.0.get_ref(column).ok()? {
            ValueRef::Null => Some(Value::Null),
            ValueRef::Integer(value) => Some(Value::Int(value)),
            ValueRef::Text(value) => str::from_utf8(value).ok().map(Value::Text),
            ValueRef::Blob(value) => Some(Value::Blob(value)),
            ValueRef::Real(_) => None,
        }
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self {
            Self::Null => ValueRef::Null,
            Self::Int(value) => ValueRef::Integer(value),
            Self::Text(value) => ValueRef::Text(value.as_bytes()),
            Self::Blob(value) => ValueRef::Blob(value),
        }))
    }
}

/// What SQLite's refusal means.
fn failed(error: rusqlite::Error) -> Error {
    let extended = error.sqlite_error().map(|error| error.extended_code);
    let fault = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Fault::Busy,
        // A table that contradicts its own rules was changed from outside.
        Some(
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::ConstraintViolation,
        ) => Fault::Damaged,
        Some(ErrorCode::DiskFull) => Fault::Full,
        // The index of the write-ahead log cannot grow.
        Some(ErrorCode::SystemIoFailure) if extended == Some(SQLITE_IOERR_SHMSIZE) => Fault::Full,
        // The write-ahead log needs a folder in which files can be made.
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            Fault::NoAccess
        }
        _ => Fault::Unusable,
    };
    Error::Store(StoreError::new(fault, error))
}
