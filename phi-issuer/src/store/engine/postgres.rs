//! PostgreSQL: the store is a database on a server, for more than one machine.

mod fitness;
mod passfile;
mod server;
mod tls;

use std::{
    cell::RefCell,
    collections::HashMap,
    error::Error as StdError,
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use postgres::{
    Client, Config, SimpleQueryMessage, Statement,
    error::{DbError, Severity, SqlState},
    types::{ToSql, Type},
};

pub(crate) use self::server::Server;
use super::{APPLICATION, Access, Row, Value, values};
use crate::{
    error::Error,
    store::fault::{Fault, ServerFault, StoreError},
};

pub(super) const TRIGGERS: &str = include_str!("../schema/ledger.postgres.sql");

/// Said at the beginning of every connection.
///
/// A writer waits as long for another as it does in SQLite, unless the URL or the role says
/// otherwise. One whose machine went away is noticed by the server within half a minute, and holds
/// up nobody any longer. Names mean the tables of one schema, and nothing that stands beside it.
const SESSION: &str = "
    SELECT set_config('lock_timeout', '30s', false) WHERE current_setting('lock_timeout') = '0';
    SET tcp_keepalives_idle = 10;
    SET tcp_keepalives_interval = 5;
    SET tcp_keepalives_count = 3;
    SELECT set_config('search_path', quote_ident(current_schema()), false)";

/// A connection to a server.
pub(in crate::store) struct Postgres {
    server: Server,
    client: RefCell<Client>,
    statements: RefCell<HashMap<Box<str>, Statement>>,
    /// Whether the server warned about something.
    warned: Arc<AtomicBool>,
}

/// What is in a database.
enum Found {
    Nothing,
    /// Tables that are none of ours.
    Others,
    /// A store of this version.
    Store(u32),
}

impl Postgres {
    /// Makes sure that a store can be made here.
    pub(super) fn check_empty(&self) -> Result<(), Error> {
        match self.found()? {
            Found::Nothing => Ok(()),
            Found::Others => Err(foreign(&self.server)),
            Found::Store(_) => Err(Error::StoreInUse {
                place: self.server.place.clone(),
                hint: "join that issuer with `phi init --join --store URL`, or name an empty \
                       database",
            }),
        }
    }

    /// Connects to a database that is a store of no newer version.
    pub(super) fn open(server: &Server) -> Result<Self, Error> {
        let engine = Self::connect(server)?;
        match engine.found()? {
            Found::Nothing => Err(Error::StoreMissing {
                place: server.place.clone(),
                hint: "see that phi.toml names the right database, or restore it from a backup",
            }),
            Found::Others => Err(foreign(server)),
            Found::Store(version) => super::known(version).map(|()| engine),
        }
    }

    pub(super) fn connect(server: &Server) -> Result<Self, Error> {
        let warned = Arc::new(AtomicBool::new(false));
        let client = RefCell::new(client(server, &warned)?);
        let engine = Self {
            server: server.clone(),
            client,
            statements: RefCell::default(),
            warned,
        };
        fitness::check(&engine)?;
        Ok(engine)
    }

    /// What is in the schema, besides what extensions put there.
    fn found(&self) -> Result<Found, Error> {
        let sql = "SELECT EXISTS (SELECT 1 FROM pg_class
                   WHERE relnamespace = current_schema()::regnamespace AND NOT EXISTS
                   (SELECT 1 FROM pg_depend WHERE classid = 'pg_class'::regclass
                    AND objid = pg_class.oid AND deptype = 'e'))";
        if !self.one(sql, &[], |row| row.truth(0))? {
            return Ok(Found::Nothing);
        }
        // Asked second: a store that is made meanwhile is there whole.
        Ok(match self.version()? {
            0 => Found::Others,
            version => Found::Store(version),
        })
    }

    /// What is read from the one row of an answer.
    fn one<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        read: impl Fn(&Row<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut found = None;
        self.each(sql, values, &mut |row| {
            found = Some(read(row)?);
            Ok(())
        })?;
        found.ok_or_else(super::wrong_type)
    }

    pub(super) fn version(&self) -> Result<u32, Error> {
        let there = "SELECT to_regclass('phi_store') IS NOT NULL";
        if !self.one(there, &[], |row| row.truth(0))? {
            return Ok(0);
        }
        let noted = "SELECT coalesce(max(version), 0) FROM phi_store WHERE application = ?1";
        let values = values![i64::from(APPLICATION)];
        let version = self.one(noted, values, |row| row.int(0))?;
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
        match self.try_to_begin(access) {
            // The server ended the connection while nothing was in it: nothing is lost.
            Err(Error::Store(error)) if error.is_lost() => {
                self.statements.borrow_mut().clear();
                *self.client.borrow_mut() = client(&self.server, &self.warned)?;
                // Another server may have taken its place.
                fitness::check(self)?;
                self.try_to_begin(access)
            }
            result => result,
        }
        .inspect_err(|_| self.abandon())
    }

    fn try_to_begin(&self, access: Access) -> Result<(), Error> {
        match access {
            Access::Read => self.batch("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"),
            // Of two who make a store at once one comes first.
            Access::Create => self.batch(&format!(
                "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock({APPLICATION})"
            )),
            Access::Write => self.begin_write(),
        }
    }

    /// Writers take turns at one row: what one appended is there for the next, and numbers have
    /// no gaps.
    fn begin_write(&self) -> Result<(), Error> {
        let sql = "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT version FROM phi_store FOR UPDATE";
        let answer = self.client.borrow_mut().simple_query(sql);
        let mut rows = answer.map_err(failed)?.into_iter();
        let version = rows.find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
            _ => None,
        });
        // A newer phi may have been here since the store was opened.
        super::known(version.ok_or_else(super::wrong_type)?)
    }

    pub(super) fn commit(&self) -> Result<(), Error> {
        self.warned.store(false, Ordering::Relaxed);
        // COMMIT after a statement that failed undoes everything and succeeds; SELECT fails.
        let result = self.client.borrow_mut().batch_execute("SELECT 1; COMMIT");
        let unknown = |cause: Box<dyn StdError + Send + Sync>| {
            server_fault(ServerFault::OutcomeUnknown, cause)
        };
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
        f.debug_tuple("Postgres").field(&self.server.place).finish()
    }
}

fn client(server: &Server, warned: &Arc<AtomicBool>) -> Result<Client, Error> {
    let mut config: Config = server.config()?;
    let warned = Arc::clone(warned);
    config.notice_callback(move |notice| {
        if notice.parsed_severity() == Some(Severity::Warning) {
            warned.store(true, Ordering::Relaxed);
        }
    });
    let refused = |error: postgres::Error| {
        if error.as_db_error().is_some() {
            return failed(error);
        }
        let cause = format!("{}: {}", server.place, said(&error));
        server_fault(ServerFault::Unreachable, cause.into())
    };
    let mut client = config.connect(server.tls.connector()?).map_err(refused)?;
    client.batch_execute(SESSION).map_err(failed)?;
    Ok(client)
}

fn foreign(server: &Server) -> Error {
    Error::StoreForeign {
        place: server.place.clone(),
        hint: "name the database or schema of a Phi store, or an empty one for `phi init`",
    }
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

fn server_fault(fault: ServerFault, cause: Box<dyn StdError + Send + Sync>) -> Error {
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

/// The whole chain in one line: the driver says nothing by itself.
fn said(error: &postgres::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
