//! The store in a file: SQLite, one process, one writer, and many requests in one commit.
//!
//! A commit is on the disk before anyone is answered: write-ahead log, `synchronous=FULL`. What is
//! decided is left to `quotas` and `seats`.

mod desk;
mod open;
mod quotas;
mod seats;
mod usage;
mod writer;

use std::{path::Path, sync::Arc, time::Duration};

pub use self::usage::{About, Act, PeriodUsage, SeatUsage, UsageEvent};
use self::{desk::Desk, writer::Writer};
use crate::{
    clock::Clock,
    error::{Fault, StoreError},
    store::{
        Ask, Caller, Epoch, Grant, Held, Hello, Incarnation, MAX_BATCH, MAX_NAME, Outcome, Return,
        SeatAnswer, SeatOp, Store,
    },
};

/// The longest lease of a seat unless an option says otherwise. After a store went back, nobody is
/// given a seat for a little longer than this.
pub const LONGEST_LEASE: Duration = Duration::from_secs(30);
/// A lease shorter than this is over before a disk that is busy has answered.
const SHORTEST_LEASE: Duration = Duration::from_millis(100);

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    clock: Arc<dyn Clock>,
    longest_lease: Duration,
    history: History,
    disk: Disk,
}

/// Whether the file is what was left by the last run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum History {
    Unbroken,
    Restored,
}

/// What disks are good enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Disk {
    Lasting,
    Any,
}

impl SqliteOptions {
    /// With this clock, which names periods and measures how long the store learns.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            longest_lease: LONGEST_LEASE,
            history: History::Unbroken,
            disk: Disk::Lasting,
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

    /// For a file that was brought back from a backup: it does not know what was given out since.
    /// Nodes say what they hold before anything new is given out.
    #[must_use]
    pub fn restored(self) -> Self {
        Self {
            history: History::Restored,
            ..self
        }
    }

    /// Takes a disk that is in memory or on a network too. After a power cut, or when two machines
    /// have the file open, limits are exceeded: this is for tests.
    #[must_use]
    pub fn dangerous_on_any_disk(self) -> Self {
        Self {
            disk: Disk::Any,
            ..self
        }
    }
}

/// A store in a file, for the nodes of one process.
#[derive(Debug)]
pub struct Sqlite {
    writer: Writer,
}

impl Sqlite {
    /// Opens the store, or makes it if there is no such file.
    ///
    /// # Errors
    /// If the file is not a store or another process has it, or if its disk or its settings cannot
    /// hold a strict limit.
    pub fn open(path: &Path, options: SqliteOptions) -> Result<Self, StoreError> {
        let connection = open::open(path, options.disk)?;
        let desk = Desk::new(connection, options)?;
        Ok(Self {
            writer: Writer::start(desk)?,
        })
    }

    /// The usage log from after the event of this number on, at most `most` events.
    ///
    /// # Errors
    /// If the store cannot be used.
    pub fn usage(&self, after: u64, most: usize) -> Result<Vec<UsageEvent>, StoreError> {
        self.writer.run(move |desk| usage::log(desk, after, most))
    }

    /// What was used of every quota in every period.
    ///
    /// # Errors
    /// If the store cannot be used.
    pub fn period_usage(&self) -> Result<Vec<PeriodUsage>, StoreError> {
        self.writer.run(|desk| usage::periods(desk))
    }

    /// How many seats were taken on every day.
    ///
    /// # Errors
    /// If the store cannot be used.
    pub fn seat_usage(&self) -> Result<Vec<SeatUsage>, StoreError> {
        self.writer.run(|desk| usage::seat_days(desk))
    }

    /// Compares the counters with the usage log and with what nodes hold, and says what differs:
    /// nothing, unless the file was changed by another program.
    ///
    /// # Errors
    /// If the store cannot be used.
    pub fn audit(&self) -> Result<Vec<String>, StoreError> {
        self.writer.run(|desk| usage::audit(desk))
    }
}

impl Store for Sqlite {
    fn hello(
        &self,
        incarnation: Incarnation,
        name: &str,
        seen: Option<(Epoch, u64)>,
    ) -> Result<Hello, StoreError> {
        check_name("a node's name", name)?;
        let name = name.to_owned();
        self.writer
            .run(move |desk| desk.hello(incarnation, &name, seen))
    }

    fn grant(&self, caller: Caller, asks: &[Ask]) -> Result<Outcome<Vec<Grant>>, StoreError> {
        check_batch(asks.len())?;
        let asks = asks.to_vec();
        self.answer(move |desk| quotas::grant(desk, caller, &asks))
    }

    fn give_back(
        &self,
        caller: Caller,
        returns: &[Return],
    ) -> Result<Outcome<Vec<u64>>, StoreError> {
        check_batch(returns.len())?;
        let returns = returns.to_vec();
        self.answer(move |desk| quotas::give_back(desk, caller, &returns))
    }

    fn reassert(&self, caller: Caller, held: &[Held]) -> Result<Outcome<()>, StoreError> {
        check_batch(held.len())?;
        for held in held {
            if let Held::Seat {
                occupant, lease, ..
            } = held
            {
                check_name("a holder's name", &occupant.holder)?;
                check_name("a session's name", &occupant.session)?;
                check_lease(*lease)?;
            }
        }
        let held = held.to_vec();
        self.answer(move |desk| desk.reassert(caller, &held))
    }

    fn seats(
        &self,
        caller: Caller,
        ops: &[SeatOp],
    ) -> Result<Outcome<Vec<SeatAnswer>>, StoreError> {
        check_batch(ops.len())?;
        for op in ops {
            if let SeatOp::Acquire(claim) = op {
                check_name("a holder's name", &claim.occupant.holder)?;
                check_name("a session's name", &claim.occupant.session)?;
                check_lease(claim.lease)?;
            }
        }
        let ops = ops.to_vec();
        self.answer(move |desk| seats::seats(desk, caller, &ops))
    }
}

impl Sqlite {
    /// Runs a request. If the disk failed in the commit it may be done or not.
    fn answer<T: Send + 'static>(
        &self,
        request: impl FnOnce(&mut Desk) -> Result<Outcome<T>, StoreError> + Send + 'static,
    ) -> Result<Outcome<T>, StoreError> {
        match self.writer.run_or_unknown(request)? {
            Some(outcome) => Ok(outcome),
            None => Ok(Outcome::Unknown),
        }
    }
}

fn check_batch(parts: usize) -> Result<(), StoreError> {
    if parts <= MAX_BATCH {
        return Ok(());
    }
    let problem = format!("it has {parts} parts, and {MAX_BATCH} are the most");
    Err(StoreError::new(Fault::Request, problem))
}

fn check_name(what: &str, name: &str) -> Result<(), StoreError> {
    if name.len() <= MAX_NAME {
        return Ok(());
    }
    let problem = format!(
        "{what} has {} bytes, and {MAX_NAME} are the most",
        name.len()
    );
    Err(StoreError::new(Fault::Request, problem))
}

fn check_lease(lease: Duration) -> Result<(), StoreError> {
    if lease >= SHORTEST_LEASE {
        return Ok(());
    }
    let problem = format!("a lease of {lease:?} is shorter than {SHORTEST_LEASE:?}");
    Err(StoreError::new(Fault::Request, problem))
}
