//! One connection to the server, and what goes over it: several statements in one trip, with an end
//! to all waiting.
//!
//! Nobody ever sends a cancel request: a commit that waits for its standby would then be called a
//! success that no standby has. Whoever has waited long enough leaves, and does not know.

use std::{
    collections::HashMap,
    error::Error as StdError,
    fmt,
    future::{Future, poll_fn},
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};

use tokio::{
    runtime::{Builder, Runtime},
    time::timeout,
};
use tokio_postgres::{
    AsyncMessage, Client, Connection, Row, Statement,
    error::{Severity, SqlState},
    tls::MakeTlsConnect,
    types::ToSql,
};

use super::server::Server;
use crate::error::{Fault, StoreError};

/// A value for a statement.
pub(super) type Value = Box<dyn ToSql + Sync + Send>;

/// A statement on its way, with its values.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) sql: &'static str,
    pub(super) values: Vec<Value>,
}

/// Why a trip had no answer.
#[derive(Clone, Debug)]
pub(super) enum Trouble {
    /// The server says no; the connection goes on.
    Refused(SqlState, StoreError),
    /// The connection is over.
    Lost(StoreError),
    /// Nobody waits any longer; the connection may go on.
    Silent(StoreError),
}

impl Trouble {
    pub(super) fn into_error(self) -> StoreError {
        match self {
            Self::Refused(_, error) | Self::Lost(error) | Self::Silent(error) => error,
        }
    }

    /// The server gave way to another transaction: the same again may succeed.
    pub(super) fn gave_way(&self) -> bool {
        let again = [
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::T_R_DEADLOCK_DETECTED,
        ];
        matches!(self, Self::Refused(state, _) if again.contains(state))
    }
}

/// How a commit ended.
#[derive(Clone, Debug)]
pub(super) enum Commit {
    Done,
    /// Nothing is recorded.
    Undone(Trouble),
    /// It may be recorded or not, or not where it should be.
    Unknown,
}

/// A connection.
pub(super) struct Link {
    runtime: Runtime,
    client: Client,
    statements: HashMap<&'static str, Statement>,
    /// Whether the server warned about something since the last commit began.
    warned: Arc<AtomicBool>,
    within: Duration,
}

impl Link {
    /// Connects; each trip is to be answered within this time.
    pub(super) fn connect(server: &Server, within: Duration) -> Result<Self, StoreError> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| StoreError::unusable(&error))?;
        let warned = Arc::new(AtomicBool::new(false));
        let mut config = server.config()?;
        config.connect_timeout(within);
        let tls = server.tls.connector()?;
        let connecting = connect(&config, tls, &warned);
        // A server that takes the connection and says nothing.
        let client = runtime.block_on(async { timeout(within * 2, connecting).await });
        let unreachable = |problem: String| {
            let problem = format!("{}: {problem}", server.place);
            StoreError::new(Fault::Unreachable, problem)
        };
        let client = match client {
            Ok(Ok(client)) => client,
            Ok(Err(error)) if error.as_db_error().is_some() => {
                return Err(trouble(&error).into_error());
            }
            Ok(Err(error)) => return Err(unreachable(said(&error))),
            Err(_) => return Err(unreachable("no answer".into())),
        };
        let mut link = Self {
            runtime,
            client,
            statements: HashMap::new(),
            warned,
            within,
        };
        link.batch(&session(within)).map_err(Trouble::into_error)?;
        Ok(link)
    }

    /// Runs statements without values.
    pub(super) fn batch(&mut self, sql: &str) -> Result<(), Trouble> {
        let batch = self.client.batch_execute(sql);
        let answer = self
            .runtime
            .block_on(async { timeout(self.within, batch).await });
        answer
            .map_err(|_| silence())?
            .map_err(|error| trouble(&error))
    }

    /// Sends everything at once, and returns the rows of each. Of several errors it is the first.
    pub(super) fn trip(
        &mut self,
        first: Option<&str>,
        all: &[Said],
    ) -> Result<Vec<Vec<Row>>, Trouble> {
        self.prepare(all)?;
        let begin = first.map(|sql| batch(&self.client, sql));
        let rows = all.iter().map(|said| self.query(said));
        let together = in_order(begin.into_iter().chain(rows).collect());
        let answers = self
            .runtime
            .block_on(async { timeout(self.within, together).await });
        let answers = answers.map_err(|_| silence())?;
        let answers: Result<Vec<_>, _> = answers.into_iter().collect();
        let mut answers = answers.map_err(|error| trouble(&error))?;
        if first.is_some() {
            answers.remove(0);
        }
        Ok(answers)
    }

    /// Sends everything at once, with the commit behind it.
    pub(super) fn commit(&mut self, all: &[Said]) -> Commit {
        if let Err(trouble) = self.prepare(all) {
            return Commit::Undone(trouble);
        }
        self.warned.store(false, Ordering::Relaxed);
        let rows = all.iter().map(|said| self.query(said));
        let commit = std::iter::once_with(|| batch(&self.client, "COMMIT"));
        let together = in_order(rows.chain(commit).collect());
        let answers = self
            .runtime
            .block_on(async { timeout(self.within, together).await });
        let Ok(answers) = answers else {
            return Commit::Unknown;
        };
        // After a statement that failed, the commit undoes everything.
        match answers.into_iter().find_map(Result::err) {
            None if self.warned.load(Ordering::Relaxed) => Commit::Unknown,
            None => Commit::Done,
            Some(error) => match trouble(&error) {
                refused @ Trouble::Refused(..) => Commit::Undone(refused),
                Trouble::Lost(_) | Trouble::Silent(_) => Commit::Unknown,
            },
        }
    }

    /// Each statement is taken apart once.
    fn prepare(&mut self, all: &[Said]) -> Result<(), Trouble> {
        for said in all {
            if !self.statements.contains_key(said.sql) {
                let prepare = self.client.prepare(said.sql);
                let answer = self
                    .runtime
                    .block_on(async { timeout(self.within, prepare).await });
                let statement = answer.map_err(|_| silence())?;
                let statement = statement.map_err(|error| trouble(&error))?;
                self.statements.insert(said.sql, statement);
            }
        }
        Ok(())
    }

    fn query<'a>(&'a self, said: &'a Said) -> Answer<'a> {
        let statement = &self.statements[said.sql];
        let values = said.values.iter();
        let values: Vec<&(dyn ToSql + Sync)> = values.map(|value| value.as_ref() as _).collect();
        Box::pin(async move { self.client.query(statement, &values).await })
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

type Answer<'a> = Pin<Box<dyn Future<Output = Result<Vec<Row>, tokio_postgres::Error>> + 'a>>;

fn batch<'a>(client: &'a Client, sql: &'a str) -> Answer<'a> {
    Box::pin(async move { client.batch_execute(sql).await.map(|()| Vec::new()) })
}

/// Polls all until each has ended. They are sent in this order, without waiting for each other.
async fn in_order<T>(mut all: Vec<Pin<Box<dyn Future<Output = T> + '_>>>) -> Vec<T> {
    let mut ended: Vec<Option<T>> = all.iter().map(|_| None).collect();
    poll_fn(|context| {
        for (future, ended) in all.iter_mut().zip(&mut ended) {
            if ended.is_none()
                && let Poll::Ready(value) = future.as_mut().poll(context)
            {
                *ended = Some(value);
            }
        }
        if ended.iter().all(Option::is_some) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    ended.into_iter().flatten().collect()
}

async fn connect<T>(
    config: &tokio_postgres::Config,
    tls: T,
    warned: &Arc<AtomicBool>,
) -> Result<Client, tokio_postgres::Error>
where
    T: MakeTlsConnect<tokio_postgres::Socket>,
    T::Stream: Send + 'static,
{
    let (client, connection) = config.connect(tls).await?;
    tokio::spawn(listen(connection, Arc::clone(warned)));
    Ok(client)
}

/// Moves the connection along until it ends.
async fn listen<T>(mut connection: Connection<tokio_postgres::Socket, T>, warned: Arc<AtomicBool>)
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    // Whoever waits for an answer is told of the error.
    while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
        if let AsyncMessage::Notice(notice) = message
            && notice.parsed_severity() == Some(Severity::Warning)
        {
            warned.store(true, Ordering::Relaxed);
        }
    }
}

/// Said at the beginning of every connection.
///
/// The server gives up first, so that whoever waits is told. A transaction whose node stopped in
/// the middle of it holds up the others no longer than that. None of these ends the wait of a
/// commit for its standby. Names mean the tables of one schema, and nothing that stands beside it.
fn session(within: Duration) -> String {
    format!(
        "SET lock_timeout = {lock};
         SET idle_in_transaction_session_timeout = {lock};
         SET statement_timeout = {statement};
         SET tcp_keepalives_idle = 5;
         SET tcp_keepalives_interval = 2;
         SET tcp_keepalives_count = 3;
         SELECT set_config('search_path', quote_ident(current_schema()), false)",
        lock = (within / 2).as_millis(),
        statement = (within * 3 / 4).as_millis(),
    )
}

fn silence() -> Trouble {
    let problem = "the server does not answer";
    Trouble::Silent(StoreError::new(Fault::Unreachable, problem))
}

/// What PostgreSQL's refusal means.
fn trouble(error: &tokio_postgres::Error) -> Trouble {
    let Some(refusal) = error.as_db_error() else {
        return Trouble::Lost(StoreError::new(Fault::Unreachable, said(error)));
    };
    // The detail and the hint of a refusal may have a row's values in them.
    let problem = format!("{} ({})", refusal.message(), refusal.code().code());
    let refused = StoreError::new(fault(refusal.code()), problem);
    match refusal.parsed_severity() {
        Some(Severity::Fatal | Severity::Panic) => Trouble::Lost(refused),
        _ => Trouble::Refused(refusal.code().clone(), refused),
    }
}

/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
fn fault(state: &SqlState) -> Fault {
    match state.code() {
        "40001" | "40P01" | "55P03" | "57014" => Fault::Busy,
        "53100" => Fault::Full,
        "25006" => Fault::ReadOnly,
        "53300" | "57P01" | "57P02" | "57P03" | "57P05" | "25P03" => Fault::Unreachable,
        "3D000" | "42501" => Fault::NoAccess,
        // Tables that are not there or contradict their own rules were changed from outside.
        "42P01" | "42703" | "XX001" | "XX002" => Fault::Damaged,
        code if code.starts_with("23") => Fault::Damaged,
        code if code.starts_with("08") => Fault::Unreachable,
        code if code.starts_with("28") => Fault::NoAccess,
        _ => Fault::Unusable,
    }
}

/// The system's own words, or the driver's with what it was told.
pub(super) fn said(error: &tokio_postgres::Error) -> String {
    let cause = error.source();
    if let Some(cause) = cause.filter(|cause| cause.is::<io::Error>()) {
        return cause.to_string();
    }
    cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}
