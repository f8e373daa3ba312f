//! The store on a PostgreSQL server: for the nodes of many machines, and for limits that outlive a
//! machine.
//!
//! Every request is one transaction that first locks the store's one row. Writers take turns, so
//! nothing that is decided can be overtaken: there are no deadlocks, numbers rise without gaps that
//! are filled later, and the rules are those of every store, over rows that were fetched in one
//! trip and are written in a second one together with the commit, a statement a table for a batch
//! of a thousand keys. A commit costs as much for a thousand slices as for one; a node that needs
//! more asks for larger slices, not more often.
//!
//! A node has one connection, of the driver `tokio-postgres` on a thread and a runtime of its own.
//! The blocking `postgres` over the same driver can neither send several statements in one trip nor
//! leave a commit that does not come back: it would wait as long as a standby is away. A pool has
//! no use where one request is on its way at a time.
//!
//! Whether a commit that nobody answered was made is unknown, and is found out by asking with the
//! same number again: the answer to it is in the database, or it is made then. It is never
//! cancelled, because a cancelled wait for a standby is called a success. What is decided is left to
//! `desk`, `quotas` and `seats`.

mod files;
mod link;
mod open;
mod passfile;
mod server;
mod session;
mod sheet;
mod tables;
mod tls;
mod wanted;
mod worker;

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use self::{
    server::Server,
    session::{Desk, NOBODY, Session, unknown},
    wanted::Wanted,
    worker::Worker,
};
use crate::{
    clock::Clock,
    desk::{self, History, LONGEST_LEASE},
    error::StoreError,
    quotas, rows, seats,
    store::{
        Ask, Caller, Epoch, Grant, Held, Hello, Incarnation, Listed, Outcome, Pool, Return,
        SeatAnswer, SeatOp, Store,
    },
    usage::{PeriodUsage, SeatUsage, UsageEvent, UsageQuery, UsageReport, roll_up},
};

/// How long a server may take to answer. A lease of ten seconds is renewed twice before it ends.
const WITHIN: Duration = Duration::from_secs(5);

/// How a store on a server is opened.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    clock: Arc<dyn Clock>,
    longest_lease: Duration,
    history: History,
    wallclock: Wallclock,
    within: Duration,
}

/// Whose wall clock names periods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wallclock {
    Servers,
    Own,
}

impl PostgresOptions {
    /// With this clock, which measures how long the store learns. Periods are named by the
    /// server's.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            longest_lease: LONGEST_LEASE,
            history: History::Unbroken,
            wallclock: Wallclock::Servers,
            within: WITHIN,
        }
    }

    /// The longest lease of a seat that is given out.
    #[must_use]
    pub fn longest_lease(self, longest_lease: Duration) -> Self {
        Self {
            longest_lease,
            ..self
        }
    }

    /// How long the server may take to answer, 5 seconds unless said. A request that it does not
    /// answer by then is [`Outcome::Unknown`] or an error, and the connection is left.
    #[must_use]
    pub fn answer_within(self, within: Duration) -> Self {
        Self { within, ..self }
    }

    /// For a database that was brought back from a dump: it does not know what was given out since.
    /// Nodes say what they hold before anything new is given out. A server that was restored from
    /// its write-ahead log, or promoted, is noticed without it.
    #[must_use]
    pub fn restored(self) -> Self {
        Self {
            history: History::Restored,
            ..self
        }
    }

    /// Names periods by the clock of [`PostgresOptions::new`] too: for tests, in which time is made.
    /// Nodes whose clocks differ would move the ends of periods for each other.
    #[must_use]
    pub fn dangerous_own_wall_clock(self) -> Self {
        Self {
            wallclock: Wallclock::Own,
            ..self
        }
    }
}

/// What is worth knowing about a server that can hold a strict limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Finding {
    /// Standbys follow it, and no commit waits for one: at a failover the newest grants are lost,
    /// and nodes that do not come back cannot say that they hold them. Set
    /// `synchronous_standby_names`, and `synchronous_commit` to `on`.
    StandbysNotAwaited {
        /// How many follow.
        standbys: u64,
    },
}

/// What was found at the last connection, for whoever asks.
#[derive(Clone, Debug, Default)]
struct Findings(Arc<Mutex<Vec<Finding>>>);

impl Findings {
    fn set(&self, findings: Vec<Finding>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = findings;
    }
}

/// A store on a server, for the nodes of one process; other processes have the same one.
#[derive(Debug)]
pub struct Postgres {
    worker: Worker,
    findings: Findings,
}

impl Postgres {
    /// Opens the store in the database of a URL as libpq reads it, or makes it if the database, or
    /// the schema that is first in the user's `search_path`, is empty.
    ///
    /// Passwords are read from the user's password file, `~/.pgpass`, and from nowhere else. A
    /// server on another machine proves who it is, by an authority of the system's or by the one
    /// whose certificate is in the file `authority`.
    ///
    /// # Errors
    /// If the URL is not usable, the server is not reached or does not let one in, there is
    /// something else in the database, or the server's settings cannot hold a strict limit.
    pub fn open(
        url: &str,
        authority: Option<&Path>,
        options: PostgresOptions,
    ) -> Result<Self, StoreError> {
        let server = Server::parse(url, authority)?;
        let findings = Findings::default();
        let found = findings.clone();
        let worker = Worker::start(move || Session::open(server, options, found))?;
        Ok(Self { worker, findings })
    }

    /// What was found out about the server when it was connected to last: worth a warning.
    pub fn findings(&self) -> Vec<Finding> {
        let findings = self.findings.0.lock();
        findings.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The usage log from after the event of this number on, at most `most` events.
    ///
    /// # Errors
    /// If the store cannot be used.
    pub fn usage(&self, after: u64, most: usize) -> Result<Vec<UsageEvent>, StoreError> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let after = desk::signed(after);
        self.read(move |desk| {
            let values: Vec<link::Value> = vec![Box::new(after), Box::new(most)];
            let found = desk.ledger.read(tables::said(rows::LOG, values))?;
            found.iter().map(rows::event).collect()
        })
    }

    /// What the usage log comes to over a span of time. The log is read in pieces, between which
    /// others use the store.
    ///
    /// # Errors
    /// If the store cannot be used, or went back to an earlier state meanwhile; if the report has
    /// more than [`MAX_REPORT_ROWS`](crate::MAX_REPORT_ROWS).
    pub fn report(&self, query: &UsageQuery) -> Result<UsageReport, StoreError> {
        let point = || {
            self.read(|desk| {
                let meta = desk.meta();
                Ok((meta.epoch, meta.seq))
            })
        };
        roll_up(query, point, |after, most| self.usage(after, most))
    }

    /// What was used of every quota in every period.
    ///
    /// # Errors
    /// If the store cannot be used.
    pub fn period_usage(&self) -> Result<Vec<PeriodUsage>, StoreError> {
        self.read(|desk| {
            let found = desk.ledger.read(tables::said(rows::PERIODS, vec![]))?;
            found.iter().map(rows::period_usage).collect()
        })
    }

    /// How many seats were taken on every day.
    ///
    /// # Errors
    /// If the store cannot be used.
    pub fn seat_usage(&self) -> Result<Vec<SeatUsage>, StoreError> {
        self.read(|desk| {
            let found = desk.ledger.read(tables::said(rows::SEAT_DAYS, vec![]))?;
            found.iter().map(rows::seat_usage).collect()
        })
    }

    /// Who is in a pool, at most `most`: on seats first, and those first that were silent longest.
    ///
    /// # Errors
    /// If the store cannot be used.
    pub fn occupants(&self, pool: Pool, most: usize) -> Result<Vec<Listed>, StoreError> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        self.read(move |desk| {
            let (license, code) = (pool.license.as_bytes().to_vec(), pool.limit.get());
            let values: Vec<link::Value> =
                vec![Box::new(license), Box::new(i64::from(code)), Box::new(most)];
            let found = desk.ledger.read(tables::said(rows::OCCUPANTS, values))?;
            found.iter().map(rows::listed).collect()
        })
    }

    /// Compares the counters with the usage log and with what nodes hold, and says what differs:
    /// nothing, unless the tables were changed by another program.
    ///
    /// # Errors
    /// If the store cannot be used.
    pub fn audit(&self) -> Result<Vec<String>, StoreError> {
        self.read(|desk| {
            let mut found = Vec::new();
            for sql in rows::CONTRADICTIONS {
                for row in desk.ledger.read(tables::said(sql, vec![]))? {
                    found.push(rows::Row::words(&row, 0)?);
                }
            }
            Ok(found)
        })
    }

    /// Reads at a moment when nobody writes.
    fn read<T: Send + 'static>(
        &self,
        read: impl Fn(&mut Desk) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.run(NOBODY, Wanted::default(), read)?
            .ok_or_else(unknown)
    }

    fn run<T: Send + 'static>(
        &self,
        node: Incarnation,
        wanted: Wanted,
        work: impl Fn(&mut Desk) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<Option<T>, StoreError> {
        self.worker
            .run(move |session| session.run(node, &wanted, work))
    }

    /// Runs a request whose outcome may be unknown.
    fn answer<T: Send + 'static>(
        &self,
        caller: Caller,
        wanted: Wanted,
        work: impl Fn(&mut Desk) -> Result<Outcome<T>, StoreError> + Send + 'static,
    ) -> Result<Outcome<T>, StoreError> {
        let outcome = self.run(caller.incarnation, wanted, work)?;
        Ok(outcome.unwrap_or(Outcome::Unknown))
    }
}

impl Store for Postgres {
    fn hello(
        &self,
        incarnation: Incarnation,
        name: &str,
        seen: Option<(Epoch, u64)>,
    ) -> Result<Hello, StoreError> {
        desk::check_name("a node's name", name)?;
        let name = name.to_owned();
        let hello = self.run(incarnation, Wanted::default(), move |desk| {
            desk.hello(incarnation, &name, seen)
        })?;
        hello.ok_or_else(unknown)
    }

    fn grant(&self, caller: Caller, asks: &[Ask]) -> Result<Outcome<Vec<Grant>>, StoreError> {
        desk::check_batch(asks.len())?;
        let (wanted, asks) = (Wanted::by_asks(asks), asks.to_vec());
        self.answer(caller, wanted, move |desk| {
            quotas::grant(desk, caller, &asks)
        })
    }

    fn give_back(
        &self,
        caller: Caller,
        returns: &[Return],
    ) -> Result<Outcome<Vec<u64>>, StoreError> {
        desk::check_batch(returns.len())?;
        let (wanted, returns) = (Wanted::by_returns(returns), returns.to_vec());
        self.answer(caller, wanted, move |desk| {
            quotas::give_back(desk, caller, &returns)
        })
    }

    fn reassert(&self, caller: Caller, held: &[Held]) -> Result<Outcome<()>, StoreError> {
        desk::check_held(held)?;
        let (wanted, held) = (Wanted::by_held(held), held.to_vec());
        self.answer(caller, wanted, move |desk| desk.reassert(caller, &held))
    }

    fn seats(
        &self,
        caller: Caller,
        ops: &[SeatOp],
    ) -> Result<Outcome<Vec<SeatAnswer>>, StoreError> {
        desk::check_ops(ops)?;
        let (wanted, ops) = (Wanted::by_ops(ops), ops.to_vec());
        self.answer(caller, wanted, move |desk| seats::seats(desk, caller, &ops))
    }
}
