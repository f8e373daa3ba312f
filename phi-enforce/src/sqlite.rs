//! The store in a file: SQLite, one process, one writer, and many requests in one commit.
//!
//! A commit is on the disk before anyone is answered: write-ahead log, `synchronous=FULL`. What is
//! decided is left to `desk`, `quotas` and `seats`.

mod file;
mod open;
mod place;
mod writer;

use std::{path::Path, sync::Arc, time::Duration};

use self::{file::File, place::Place, writer::Writer};
use crate::{
    clock::Clock,
    desk::{self, History, LONGEST_LEASE},
    error::StoreError,
    ledger::Meta,
    quotas, rows, seats,
    store::{
        Ask, Caller, Epoch, Grant, Held, Hello, Incarnation, Listed, Outcome, Pool, Return,
        SeatAnswer, SeatOp, Store,
    },
    usage::{PeriodUsage, SeatUsage, UsageEvent, UsageQuery, UsageReport, roll_up},
};

type Desk = desk::Desk<File>;

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    clock: Arc<dyn Clock>,
    longest_lease: Duration,
    history: History,
    disk: Disk,
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
    place: Place,
}

impl Sqlite {
    /// Opens the store, or makes it if there is no such file.
    ///
    /// # Errors
    /// If the file is not a store or another process has it, or if its disk or its settings cannot
    /// hold a strict limit.
    pub fn open(path: &Path, options: SqliteOptions) -> Result<Self, StoreError> {
        let connection = open::open(path, options.disk)?;
        let place = Place::of(path)?;
        let desk = sit(File::new(connection), options)?;
        Ok(Self {
            writer: Writer::start(desk)?,
            place,
        })
    }

    /// The usage log from after the event of this number on, at most `most` events.
    ///
    /// # Errors
    /// If the store cannot be used.
    pub fn usage(&self, after: u64, most: usize) -> Result<Vec<UsageEvent>, StoreError> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let values = [desk::signed(after), most];
        self.place.check()?;
        self.writer
            .run(move |desk| desk.ledger.all(rows::LOG, values, |row| rows::event(row)))
    }

    /// What the usage log comes to over a span of time. The log is read in pieces, between which
    /// others use the store.
    ///
    /// # Errors
    /// If the store cannot be used, or went back to an earlier state meanwhile; if the report has
    /// more than [`MAX_REPORT_ROWS`](crate::MAX_REPORT_ROWS).
    pub fn report(&self, query: &UsageQuery) -> Result<UsageReport, StoreError> {
        let point = || {
            self.writer.run(|desk| {
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
        self.writer.run(|desk| {
            let read = |row: &rusqlite::Row<'_>| rows::period_usage(row);
            desk.ledger.all(rows::PERIODS, [], read)
        })
    }

    /// How many seats were taken on every day.
    ///
    /// # Errors
    /// If the store cannot be used.
    pub fn seat_usage(&self) -> Result<Vec<SeatUsage>, StoreError> {
        self.writer.run(|desk| {
            let read = |row: &rusqlite::Row<'_>| rows::seat_usage(row);
            desk.ledger.all(rows::SEAT_DAYS, [], read)
        })
    }

    /// Who is in a pool, at most `most`: on seats first, and those first that were silent longest.
    ///
    /// # Errors
    /// If the store cannot be used.
    pub fn occupants(&self, pool: Pool, most: usize) -> Result<Vec<Listed>, StoreError> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        self.writer.run(move |desk| {
            let license = pool.license.as_bytes();
            let values = rusqlite::params![license, pool.limit.get(), most];
            let read = |row: &rusqlite::Row<'_>| rows::listed(row);
            desk.ledger.all(rows::OCCUPANTS, values, read)
        })
    }

    /// Compares the counters with the usage log and with what nodes hold, and says what differs:
    /// nothing, unless the file was changed by another program.
    ///
    /// # Errors
    /// If the store cannot be used.
    pub fn audit(&self) -> Result<Vec<String>, StoreError> {
        self.writer.run(|desk| desk.ledger.audit())
    }
}

impl Store for Sqlite {
    fn hello(
        &self,
        incarnation: Incarnation,
        name: &str,
        seen: Option<(Epoch, u64)>,
    ) -> Result<Hello, StoreError> {
        desk::check_name("a node's name", name)?;
        self.place.check()?;
        let name = name.to_owned();
        self.writer
            .run(move |desk| desk.hello(incarnation, &name, seen))
    }

    fn grant(&self, caller: Caller, asks: &[Ask]) -> Result<Outcome<Vec<Grant>>, StoreError> {
        desk::check_batch(asks.len())?;
        let asks = asks.to_vec();
        self.answer(move |desk| quotas::grant(desk, caller, &asks))
    }

    fn give_back(
        &self,
        caller: Caller,
        returns: &[Return],
    ) -> Result<Outcome<Vec<u64>>, StoreError> {
        desk::check_batch(returns.len())?;
        let returns = returns.to_vec();
        self.answer(move |desk| quotas::give_back(desk, caller, &returns))
    }

    fn reassert(&self, caller: Caller, held: &[Held]) -> Result<Outcome<()>, StoreError> {
        desk::check_held(held)?;
        let held = held.to_vec();
        self.answer(move |desk| desk.reassert(caller, &held))
    }

    fn seats(
        &self,
        caller: Caller,
        ops: &[SeatOp],
    ) -> Result<Outcome<Vec<SeatAnswer>>, StoreError> {
        desk::check_ops(ops)?;
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
        self.place.check()?;
        match self.writer.run_or_unknown(request)? {
            Some(outcome) => Ok(outcome),
            None => Ok(Outcome::Unknown),
        }
    }
}

/// The file as it is known from now on.
fn sit(file: File, options: SqliteOptions) -> Result<Desk, StoreError> {
    let new = Meta {
        epoch: Epoch {
            store: *Incarnation::random()?.as_bytes(),
            restores: 0,
        },
        seq: 0,
        learning: false,
        longest_lease: options.longest_lease,
        latest: 0,
    };
    let meta = file.meta(new)?;
    let mut desk = Desk::new(file, options.clock, options.longest_lease, meta);
    if options.history == History::Restored {
        desk.raise_epoch()?;
    }
    let meta = desk.meta();
    desk.ledger.note(meta)?;
    Ok(desk)
}
