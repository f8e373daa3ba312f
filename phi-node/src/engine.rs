//! The store of a node, by its address: a file, or a database on a server.
//!
//! Every call here waits for the store: an asynchronous program makes it where that may block.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use phi_enforce::{
    Clock, Listed, PeriodUsage, Pool, SeatUsage, Sqlite, SqliteOptions, Store, StoreError,
    UsageQuery, UsageReport,
};
#[cfg(feature = "postgres")]
use phi_enforce::{Finding, Postgres, PostgresOptions};

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `sqlite:usage.db`: a file, which one process has open.
    Sqlite(PathBuf),
    /// `postgres://...`: a database, for the nodes of many machines.
    Postgres(String),
}

/// What is not the address of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnAddress;

impl fmt::Display for NotAnAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a store is `sqlite:FILE` or `postgres://USER@HOST/DATABASE`")
    }
}

impl std::error::Error for NotAnAddress {}

impl std::str::FromStr for Address {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        let schemes = ["postgres://", "postgresql://"];
        if schemes.iter().any(|scheme| text.starts_with(scheme)) {
            return Ok(Self::Postgres(text.into()));
        }
        match text.strip_prefix("sqlite:") {
            Some(path) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            _ => Err(NotAnAddress),
        }
    }
}

impl fmt::Display for Address {
    /// Without the user and what else may stand in a URL.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => {
                let rest = url.split_once("://").map_or("", |(_, rest)| rest);
                let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
                let rest = rest.split_once('?').map_or(rest, |(host, _)| host);
                write!(f, "postgres://{rest}")
            }
        }
    }
}

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct Opening {
    /// Where it is.
    pub address: Address,
    /// The certificate of the authority that a server's is proved by, in place of the system's.
    pub authority: Option<PathBuf>,
    /// The longest lease of a seat.
    pub longest_lease: Duration,
    /// Whether it was brought back from a backup.
    pub history: History,
    /// Whether a file may be on a disk that is in memory or on a network: limits are exceeded after
    /// a power cut, or when two machines have the file open.
    pub any_disk: bool,
}

/// Whether a store is what the last run left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum History {
    /// It is.
    Unbroken,
    /// It was brought back from a backup, and does not know what was given out since.
    Restored,
}

/// A store that is open.
#[derive(Clone, Debug)]
pub enum Engine {
    /// A file.
    Sqlite(Arc<Sqlite>),
    /// A database on a server.
    #[cfg(feature = "postgres")]
    Postgres(Arc<Postgres>),
}

macro_rules! ask {
    ($engine:expr, $store:ident => $call:expr) => {
        match $engine {
            Engine::Sqlite($store) => $call,
            #[cfg(feature = "postgres")]
            Engine::Postgres($store) => $call,
        }
    };
}

impl Engine {
    /// Opens the store, or makes it.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn open(opening: &Opening, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        match &opening.address {
            Address::Sqlite(path) => open_file(path, opening, clock).map_err(OpenError::Store),
            #[cfg(feature = "postgres")]
            Address::Postgres(url) => {
                let mut options = PostgresOptions::new(clock).longest_lease(opening.longest_lease);
                if opening.history == History::Restored {
                    options = options.restored();
                }
                let store = Postgres::open(url, opening.authority.as_deref(), options);
                Ok(Self::Postgres(Arc::new(store.map_err(OpenError::Store)?)))
            }
            #[cfg(not(feature = "postgres"))]
            Address::Postgres(_) => Err(OpenError::NotBuilt),
        }
    }

    /// The store, for a node.
    pub fn store(&self) -> Arc<dyn Store> {
        ask!(self, store => Arc::<_>::clone(store) as Arc<dyn Store>)
    }

    /// Whether the store answers.
    ///
    /// # Errors
    /// Why it does not.
    pub fn probe(&self) -> Result<(), StoreError> {
        // After the last event there is none: nothing is read but whether one may.
        ask!(self, store => store.usage(u64::MAX, 1).map(drop))
    }

    /// What was found out about a server that is worth a warning.
    pub fn findings(&self) -> Vec<String> {
        match self {
            Self::Sqlite(_) => Vec::new(),
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => store.findings().into_iter().map(warning).collect(),
        }
    }

    /// Who is in a pool.
    ///
    /// # Errors
    /// If the store cannot be used.
    pub fn occupants(&self, pool: Pool, most: usize) -> Result<Vec<Listed>, StoreError> {
        ask!(self, store => store.occupants(pool, most))
    }

    /// What the usage log comes to over a span of time.
    ///
    /// # Errors
    /// If the store cannot be used, or the report is too long.
    pub fn report(&self, query: &UsageQuery) -> Result<UsageReport, StoreError> {
        ask!(self, store => store.report(query))
    }

    /// What was used of every quota in every period.
    ///
    /// # Errors
    /// If the store cannot be used.
    pub fn period_usage(&self) -> Result<Vec<PeriodUsage>, StoreError> {
        ask!(self, store => store.period_usage())
    }

    /// How many seats were taken on every day.
    ///
    /// # Errors
    /// If the store cannot be used.
    pub fn seat_usage(&self) -> Result<Vec<SeatUsage>, StoreError> {
        ask!(self, store => store.seat_usage())
    }
}

/// Why there is no store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// It cannot be used.
    Store(StoreError),
    /// This program was built without stores on servers.
    NotBuilt,
}

fn open_file(path: &Path, opening: &Opening, clock: Arc<dyn Clock>) -> Result<Engine, StoreError> {
    let mut options = SqliteOptions::new(clock).longest_lease(opening.longest_lease);
    if opening.history == History::Restored {
        options = options.restored();
    }
    if opening.any_disk {
        options = options.dangerous_on_any_disk();
    }
    Ok(Engine::Sqlite(Arc::new(Sqlite::open(path, options)?)))
}

#[cfg(feature = "postgres")]
fn warning(finding: Finding) -> String {
    match finding {
        Finding::StandbysNotAwaited { standbys } => format!(
            "{standbys} standbys follow the store's server, and no commit waits for one: a failover \
             may lose the newest grants; set `synchronous_standby_names`"
        ),
        other => format!("the store's server: {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_shows_no_user() {
        for (text, shown) in [
            (
                "sqlite:/var/lib/phi/usage.db",
                "sqlite:/var/lib/phi/usage.db",
            ),
            (
                "postgres://ann@db:5432/phi?sslmode=disable",
                "postgres://db:5432/phi",
            ),
            ("postgresql://db/phi", "postgres://db/phi"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), shown);
        }
        for text in ["", "sqlite:", "usage.db", "mysql://db"] {
            assert_eq!(text.parse::<Address>(), Err(NotAnAddress));
        }
    }
}
