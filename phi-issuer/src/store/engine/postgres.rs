//! PostgreSQL: the store is a database on a server, for more than one machine.

use std::{
    cell::RefCell,
    collections::HashMap,
    error::Error as StdError,
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use postgres::{
    Client, Config, NoTls, Statement,
    error::{DbError, Severity, SqlState},
    types::{ToSql, Type},
};

use super::{APPLICATION, Access, Row, Value, values};
use crate::{
    error::Error,
    store::fault::{Fault, ServerFault, StoreError},
};

pub(super) const TRIGGERS: &str = include_str!("../schema/ledger.postgres.sql");

/// No server that is up takes as long to answer a newcomer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Said at the beginning of every connection.
///
/// A writer waits as long for another as it does in SQLite. One whose machine went away is noticed
/// by the server within half a minute, and holds up nobody any longer.
const SESSION: &str = "
    SET lock_timeout = '30s';
    SET tcp_keepalives_idle = 10;
    SET tcp_keepalives_interval = 5;
    SET tcp_keepalives_count = 3;
    SET standard_conforming_strings = on";

/// A connection to a server.
pub(in crate::store) struct Postgres {
    config: Config,
    client: RefCell<Client>,
    statements: RefCell<HashMap<Box<str>, Statement>>,
    /// Whether the server warned about something.
    warned: Arc<AtomicBool>,
}

impl Postgres {
    pub(super) fn connect(mut config: Config) -> Result<Self, Error> {
        let warned = Arc::new(AtomicBool::new(false));
        let noted = Arc::clone(&warned);
        config
            .application_name("phi")
            .connect_timeout(CONNECT_TIMEOUT)
            .notice_callback(move |notice| {
                if notice.parsed_severity() == Some(Severity::Warning) {
                    noted.store(true, Ordering::Relaxed);
                }
            });
        let client = RefCell::new(client(&config)?);
        Ok(Self {
            config,
            client,
            statements: RefCell::default(),
            warned,
        })
    }

    pub(super) fn version(&self) -> Result<u32, Error> {
        let mut found = 0;
        let there = "SELECT to_regclass('phi_store') IS NOT NULL";
        self.each(there, &[], &mut |row| {
            found = row.int(0)?;
            Ok(())
        })?;
        if found == 0 {
            return Ok(0);
        }
        let noted = "SELECT version FROM phi_store WHERE application = ?1";
        let mut version = 0;
        self.each(noted, values![i64::from(APPLICATION)], &mut |row| {
            version = row.int(0)?;
            Ok(())
        })?;
        u32::try_from(version).map_err(|_| super::wrong_type())
    }

    pub(super) fn note_version(&self, version: u32) -> Result<(), Error> {
        let note = "INSERT INTO phi_store (application, version) VALUES (?1, ?2)
                    ON CONFLICT (application) DO UPDATE SET version = excluded.version";
        let values = values![i64::from(APPLICATION), i64::from(version)];
        self.execute(note, values).map(drop)
    }

    /// The server keeps its pages sound; that the ledger is only appended to is up to the triggers.
    pub(super) fn unsound(&self) -> Result<Option<String>, Error> {
        let sql = "SELECT t.name FROM (VALUES ('events_append'), ('events_keep')) AS t (name)
                   WHERE NOT EXISTS (
                       SELECT 1 FROM pg_trigger WHERE tgrelid = 'events'::regclass
                       AND tgname = t.name AND tgenabled = 'O')
                   ORDER BY 1 LIMIT 1";
        let mut missing = None;
        self.each(sql, &[], &mut |row| {
            missing = Some(format!(
                "trigger {} is missing or switched off",
                row.text(0)?
            ));
            Ok(())
        })?;
        Ok(missing)
    }

    pub(super) fn batch(&self, sql: &str) -> Result<(), Error> {
        self.client.borrow_mut().batch_execute(sql).map_err(failed)
    }

    pub(super) fn execute(&self, sql: &str, values: &[Value<'_>]) -> Result<u64, Error> {
        let statement = self.statement(sql, values)?;
        let parameters = parameters(&statement, values);
        let mut client = self.client.borrow_mut();
        client.execute(&statement, &parameters).map_err(failed)
    }

    /// The whole answer is there before the first row is handed over.
    pub(super) fn each(
        &self,
        sql: &str,
        values: &[Value<'_>],
        each: &mut dyn FnMut(&Row<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let statement = self.statement(sql, values)?;
        let parameters = parameters(&statement, values);
        let answer = self.client.borrow_mut().query(&statement, &parameters);
        for row in answer.map_err(failed)? {
            each(&Row::Postgres(PostgresRow(&row)))?;
        }
        Ok(())
    }

    fn statement(&self, sql: &str, values: &[Value<'_>]) -> Result<Statement, Error> {
        if let Some(known) = self.statements.borrow().get(sql) {
            return Ok(known.clone());
        }
        let types: Vec<Type> = values.iter().map(type_of).collect();
        let mut client = self.client.borrow_mut();
        let statement = client
            .prepare_typed(&sql.replace('?', "$"), &types)
            .map_err(failed)?;
        self.statements
            .borrow_mut()
            .insert(sql.into(), statement.clone());
        Ok(statement)
    }

    pub(super) fn begin(&self, access: Access) -> Result<(), Error> {
        let sql = match access {
            Access::Create => "BEGIN ISOLATION LEVEL READ COMMITTED",
            Access::Read => "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY",
            // Writers take turns at this row: what one appended is there for the next, and
            // numbers have no gaps.
            Access::Write => {
                "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT version FROM phi_store FOR UPDATE"
            }
        };
        match self.batch(sql) {
            // The server ended the connection while nothing was in it: nothing is lost.
            Err(Error::Store(error)) if error.is_lost() => {
                self.statements.borrow_mut().clear();
                *self.client.borrow_mut() = client(&self.config)?;
                self.batch(sql)
            }
            result => result,
        }
    }

    pub(super) fn commit(&self) -> Result<(), Error> {
        self.warned.store(false, Ordering::Relaxed);
        // COMMIT after a statement that failed undoes everything and succeeds; SELECT fails.
        let result = self.client.borrow_mut().batch_execute("SELECT 1; COMMIT");
        let unknown =
            |cause: Box<dyn StdError + Send + Sync>| server(ServerFault::OutcomeUnknown, cause);
        match result {
            // An answer that is no end of the connection is from before the commit.
            Err(error) if !ends_connection(&error) => Err(failed(error)),
            Err(error) => Err(unknown(innermost(error))),
            // The commit did not wait for the standby that it should be on.
            Ok(()) if self.warned.load(Ordering::Relaxed) => {
                Err(unknown("the server made it durable only in part".into()))
            }
            Ok(()) => Ok(()),
        }
    }

    /// Undoes what has no commit. Where the connection is gone the server does it.
    pub(super) fn abandon(&self) {
        let _ = self.client.borrow_mut().batch_execute("ROLLBACK");
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Postgres");
        debug.field("hosts", &self.config.get_hosts());
        debug.field("database", &self.config.get_dbname());
        debug.finish_non_exhaustive()
    }
}

fn client(config: &Config) -> Result<Client, Error> {
    let refused = |error: postgres::Error| match error.as_db_error() {
        Some(_) => failed(error),
        None => server(ServerFault::Unreachable, innermost(error)),
    };
    let mut client = config.connect(NoTls).map_err(refused)?;
    client.batch_execute(SESSION).map_err(failed)?;
    Ok(client)
}

/// The text of tables with PostgreSQL's words for types. Text is compared byte by byte, as in
/// SQLite.
pub(super) fn translate_tables(sql: &str) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut translated = String::with_capacity(sql.len());
    let mut rest = sql;
    while !rest.is_empty() {
        let inside = rest.starts_with(word);
        let end = rest.find(|c| word(c) != inside).unwrap_or(rest.len());
        translated.push_str(match &rest[..end] {
            "BLOB" => "BYTEA",
            "INTEGER" => "BIGINT",
            "STRICT" => "",
            "TEXT" => "TEXT COLLATE \"C\"",
            other => other,
        });
        rest = &rest[end..];
    }
    translated
}

fn type_of(value: &Value<'_>) -> Type {
    match value {
        // The server finds out from where it stands.
        Value::Null => Type::UNKNOWN,
        Value::Int(_) => Type::INT8,
        Value::Text(_) => Type::TEXT,
        Value::Blob(_) => Type::BYTEA,
    }
}

fn parameters<'v>(statement: &Statement, values: &'v [Value<'v>]) -> Vec<&'v (dyn ToSql + Sync)> {
    let types = statement.params().iter();
    let parameter = |(value, kind): (&'v Value<'v>, &Type)| -> &'v (dyn ToSql + Sync) {
        match value {
            Value::Int(value) => value,
            Value::Text(value) => value,
            Value::Blob(value) => value,
            Value::Null if *kind == Type::INT8 => &None::<i64>,
            Value::Null if *kind == Type::BYTEA => &None::<&[u8]>,
            Value::Null => &None::<&str>,
        }
    };
    values.iter().zip(types).map(parameter).collect()
}

/// A row of PostgreSQL's.
pub(in crate::store) struct PostgresRow<'r>(&'r postgres::Row);

impl PostgresRow<'_> {
    pub(super) fn value(&self, column: usize) -> Option<Value<'_>> {
        let row = self.0;
        match *row.columns().get(column)?.type_() {
            Type::INT8 => row.try_get::<_, Option<i64>>(column).ok().map(Value::from),
            Type::BOOL => {
                let truth = row.try_get::<_, Option<bool>>(column).ok()?;
                Some(truth.map(i64::from).into())
            }
            Type::TEXT => row.try_get::<_, Option<&str>>(column).ok().map(Value::from),
            Type::BYTEA => row
                .try_get::<_, Option<&[u8]>>(column)
                .ok()
                .map(Value::from),
            _ => None,
        }
    }
}

fn server(fault: ServerFault, cause: Box<dyn StdError + Send + Sync>) -> Error {
    Error::Store(StoreError::new(Fault::Server(fault), cause))
}

/// What PostgreSQL's refusal means.
fn failed(error: postgres::Error) -> Error {
    let fault = match error.code() {
        Some(state) => fault_of(state),
        None if ends_connection(&error) => Fault::Server(ServerFault::Lost),
        None => Fault::Server(ServerFault::Unusable),
    };
    Error::Store(StoreError::new(fault, innermost(error)))
}

/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
fn fault_of(state: &SqlState) -> Fault {
    match state.code() {
        "40001" | "40P01" | "55P03" => Fault::Busy,
        "53100" => Fault::Server(ServerFault::Full),
        "53300" | "57P03" => Fault::Server(ServerFault::Unreachable),
        "57P01" | "57P02" | "57P05" => Fault::Server(ServerFault::Lost),
        "25006" | "3D000" | "42501" => Fault::Server(ServerFault::NoAccess),
        // Tables that are not there or contradict their own rules were changed from outside.
        "42P01" | "42703" | "XX001" | "XX002" => Fault::Damaged,
        code if code.starts_with("23") => Fault::Damaged,
        code if code.starts_with("08") => Fault::Server(ServerFault::Lost),
        code if code.starts_with("28") => Fault::Server(ServerFault::NoAccess),
        _ => Fault::Server(ServerFault::Unusable),
    }
}

/// Whether the connection is over with this error.
fn ends_connection(error: &postgres::Error) -> bool {
    if let Some(error) = error.as_db_error() {
        let severity = error.parsed_severity();
        return matches!(severity, Some(Severity::Fatal | Severity::Panic));
    }
    let cause = error.source();
    error.is_closed() || cause.is_some_and(|cause| cause.is::<io::Error>())
}

/// The server's or the system's own words; the driver's around them say nothing more.
fn innermost(error: postgres::Error) -> Box<dyn StdError + Send + Sync> {
    let telling =
        |cause: &(dyn StdError + 'static)| cause.is::<DbError>() || cause.is::<io::Error>();
    if error.source().is_some_and(telling) {
        return error.into_source().expect("an error with a source");
    }
    error.into()
}
