//! A store of each engine, on a clock that a test moves.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use phi_enforce::{
    Ask, Boot, Caller, Epoch, Grant, HandClock, Held, Hello, Incarnation, Moment, Outcome,
    PeriodUsage, Postgres, PostgresOptions, Return, SeatAnswer, SeatOp, SeatUsage, Sqlite,
    SqliteOptions, Store, StoreError, UsageEvent, UsageQuery, UsageReport, Wall, evictor_wait,
};
use phi_tests::{postgres::Schema, snakeoil::NOW};
use tempfile::TempDir;

/// The longest lease in every test: a store that went back learns for a little longer.
pub(crate) const LONGEST: Duration = Duration::from_secs(10);

/// A store that can be stopped, and put back to an earlier state.
pub(crate) trait Rig {
    fn clock(&self) -> &Arc<HandClock>;
    fn store(&self) -> Arc<dyn Store>;
    /// Stops the store and starts it again.
    fn reopen(&mut self);
    /// Keeps a copy of the state, to which [`Rig::roll_back`] goes.
    fn back_up(&mut self);
    /// Puts the copy in place of the state, without a word to the store.
    fn roll_back(&mut self);
    /// Puts the copy in place of the state, and says so.
    fn restore(&mut self);
    /// What the engine's own audit finds.
    fn audit(&self) -> Vec<String>;
    /// The whole usage log.
    fn log(&self) -> Vec<UsageEvent>;
    fn report(&self, query: &UsageQuery) -> Result<UsageReport, StoreError>;
    /// The engine's own sums, which are no part of a report.
    fn sums(&self) -> (Vec<PeriodUsage>, Vec<SeatUsage>);

    fn pass(&self, duration: Duration) {
        self.clock().pass(duration);
    }

    /// Lets as much time pass as a store learns.
    fn learned(&self) {
        self.pass(evictor_wait(LONGEST));
    }
}

/// The line to a store, which stays the same when the store starts again.
struct Line<S>(Mutex<Option<Arc<S>>>);

impl<S> Line<S> {
    fn store(&self) -> Arc<S> {
        Arc::clone(self.0.lock().unwrap().as_ref().unwrap())
    }
}

impl<S: Store> Store for Line<S> {
    fn hello(
        &self,
        incarnation: Incarnation,
        name: &str,
        seen: Option<(Epoch, u64)>,
    ) -> Result<Hello, StoreError> {
        self.store().hello(incarnation, name, seen)
    }

    fn grant(&self, caller: Caller, asks: &[Ask]) -> Result<Outcome<Vec<Grant>>, StoreError> {
        self.store().grant(caller, asks)
    }

    fn give_back(
        &self,
        caller: Caller,
        returns: &[Return],
    ) -> Result<Outcome<Vec<u64>>, StoreError> {
        self.store().give_back(caller, returns)
    }

    fn reassert(&self, caller: Caller, held: &[Held]) -> Result<Outcome<()>, StoreError> {
        self.store().reassert(caller, held)
    }

    fn seats(
        &self,
        caller: Caller,
        ops: &[SeatOp],
    ) -> Result<Outcome<Vec<SeatAnswer>>, StoreError> {
        self.store().seats(caller, ops)
    }
}

/// A clock that stands at the time of all tests.
pub(crate) fn clock() -> Arc<HandClock> {
    Arc::new(HandClock::at(Moment {
        boot: Boot::from_nanos(1_000_000_000),
        wall: Wall::from(NOW),
    }))
}

/// SQLite in a file of its own.
pub(crate) struct SqliteRig {
    folder: TempDir,
    clock: Arc<HandClock>,
    line: Arc<Line<Sqlite>>,
}

impl SqliteRig {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir_in(fast_disk()).unwrap();
        let rig = Self {
            folder,
            clock: clock(),
            line: Arc::new(Line(Mutex::new(None))),
        };
        rig.start();
        rig
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("phi-enforce.db")
    }

    fn start(&self) {
        self.start_with(sqlite_options(&self.clock));
    }

    fn start_with(&self, options: SqliteOptions) {
        let store = Sqlite::open(&self.path(), options).unwrap();
        *self.line.0.lock().unwrap() = Some(Arc::new(store));
    }

    fn stop(&self) {
        *self.line.0.lock().unwrap() = None;
    }

    pub(crate) fn sqlite(&self) -> Arc<Sqlite> {
        self.line.store()
    }

    fn copy(&self, from: &str, to: &str) {
        let at = |name: &str| self.folder.path().join(name);
        // Whoever copies a store takes its write-ahead log along.
        for end in ["", "-wal"] {
            let (from, to) = (at(&format!("{from}{end}")), at(&format!("{to}{end}")));
            let _ = fs::remove_file(&to);
            if from.exists() {
                fs::copy(from, to).unwrap();
            }
        }
    }
}

/// Where a sync costs nothing, if there is such a place: no test here cuts the power.
pub(crate) fn fast_disk() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        memory.into()
    } else {
        std::env::temp_dir()
    }
}

pub(crate) fn open(path: &Path, clock: &Arc<HandClock>) -> Result<Sqlite, StoreError> {
    Sqlite::open(path, sqlite_options(clock))
}

fn sqlite_options(clock: &Arc<HandClock>) -> SqliteOptions {
    let options = SqliteOptions::new(Arc::<HandClock>::clone(clock));
    options.longest_lease(LONGEST).dangerous_on_any_disk()
}

impl Rig for SqliteRig {
    fn clock(&self) -> &Arc<HandClock> {
        &self.clock
    }

    fn store(&self) -> Arc<dyn Store> {
        Arc::<Line<Sqlite>>::clone(&self.line)
    }

    fn reopen(&mut self) {
        self.stop();
        self.start();
    }

    fn back_up(&mut self) {
        self.stop();
        self.copy("phi-enforce.db", "copy.db");
        self.start();
    }

    fn roll_back(&mut self) {
        self.stop();
        self.copy("copy.db", "phi-enforce.db");
        self.start();
    }

    fn restore(&mut self) {
        self.stop();
        self.copy("copy.db", "phi-enforce.db");
        self.start_with(sqlite_options(&self.clock).restored());
    }

    fn audit(&self) -> Vec<String> {
        self.sqlite().audit().unwrap()
    }

    fn log(&self) -> Vec<UsageEvent> {
        self.sqlite().usage(0, usize::MAX).unwrap()
    }

    fn report(&self, query: &UsageQuery) -> Result<UsageReport, StoreError> {
        self.sqlite().report(query)
    }

    fn sums(&self) -> (Vec<PeriodUsage>, Vec<SeatUsage>) {
        let store = self.sqlite();
        (store.period_usage().unwrap(), store.seat_usage().unwrap())
    }
}

/// PostgreSQL in a schema of its own, on the server that tests share.
pub(crate) struct PostgresRig {
    pub(crate) schema: Schema,
    copy: Option<Schema>,
    clock: Arc<HandClock>,
    line: Arc<Line<Postgres>>,
}

/// Every table of the store, pools before who is in them.
const TABLES: [&str; 11] = [
    "phi_enforce",
    "nodes",
    "quotas",
    "counters",
    "holdings",
    "pools",
    "teams",
    "loans",
    "places",
    "seat_days",
    "usage",
];

impl PostgresRig {
    /// `None` where there is no server.
    pub(crate) fn new() -> Option<Self> {
        if !phi_tests::postgres::is_there() {
            return None;
        }
        let rig = Self {
            schema: Schema::create()?.unwrap(),
            copy: None,
            clock: clock(),
            line: Arc::new(Line(Mutex::new(None))),
        };
        rig.start();
        Some(rig)
    }

    fn start(&self) {
        self.start_with(options(&self.clock));
    }

    fn start_with(&self, options: PostgresOptions) {
        let store = Postgres::open(&self.schema.url(), None, options).unwrap();
        *self.line.0.lock().unwrap() = Some(Arc::new(store));
    }

    fn stop(&self) {
        *self.line.0.lock().unwrap() = None;
    }

    pub(crate) fn postgres(&self) -> Arc<Postgres> {
        self.line.store()
    }

    fn put_back(&self) {
        self.each_table(|table| format!("TRUNCATE {table} CASCADE;"));
        let name = self.copy.as_ref().unwrap().name();
        self.each_table(|table| format!("INSERT INTO {table} TABLE {name}.{table};"));
    }

    /// What this says of each table.
    fn each_table(&self, sql: impl Fn(&str) -> String) {
        let all: String = TABLES.iter().map(|table| sql(table)).collect();
        self.schema.connect().unwrap().batch_execute(&all).unwrap();
    }
}

pub(crate) fn options(clock: &Arc<HandClock>) -> PostgresOptions {
    let options = PostgresOptions::new(Arc::<HandClock>::clone(clock));
    options.longest_lease(LONGEST).dangerous_own_wall_clock()
}

pub(crate) fn open_postgres(url: &str, clock: &Arc<HandClock>) -> Result<Postgres, StoreError> {
    Postgres::open(url, None, options(clock))
}

impl Rig for PostgresRig {
    fn clock(&self) -> &Arc<HandClock> {
        &self.clock
    }

    fn store(&self) -> Arc<dyn Store> {
        Arc::<Line<Postgres>>::clone(&self.line)
    }

    fn reopen(&mut self) {
        self.stop();
        self.start();
    }

    fn back_up(&mut self) {
        self.stop();
        let copy = Schema::create().unwrap().unwrap();
        let name = copy.name();
        self.each_table(|table| format!("CREATE TABLE {name}.{table} AS TABLE {table};"));
        self.copy = Some(copy);
        self.start();
    }

    fn roll_back(&mut self) {
        self.stop();
        self.put_back();
        self.start();
    }

    fn restore(&mut self) {
        self.stop();
        self.put_back();
        self.start_with(options(&self.clock).restored());
    }

    fn audit(&self) -> Vec<String> {
        self.postgres().audit().unwrap()
    }

    fn log(&self) -> Vec<UsageEvent> {
        self.postgres().usage(0, usize::MAX).unwrap()
    }

    fn report(&self, query: &UsageQuery) -> Result<UsageReport, StoreError> {
        self.postgres().report(query)
    }

    fn sums(&self) -> (Vec<PeriodUsage>, Vec<SeatUsage>) {
        let store = self.postgres();
        (store.period_usage().unwrap(), store.seat_usage().unwrap())
    }
}
