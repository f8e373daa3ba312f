//! A folder for an issuer with its store, in a file or on a server, and questions to that store
//! behind the issuer's back.

use std::{cell::RefCell, path::Path};

use phi_issuer::{Error, Issuer, StoreOptions};
use postgres::{Client, NoTls, SimpleQueryMessage, SimpleQueryRow};
use rusqlite::{Connection, types::Value};
use tempfile::TempDir;

use crate::{postgres::Database, workshop};

/// Where the store of a test is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// In a file in the issuer's folder.
    File,
    /// In a database on the shared server.
    Server,
}

/// A folder for an issuer. Folder and database are gone when it is dropped.
#[derive(Debug)]
pub struct Home {
    folder: TempDir,
    database: Option<Database>,
}

impl Home {
    /// An empty folder, and on a server an empty database.
    ///
    /// # Panics
    /// If there is no folder to be had, or no shared server.
    pub fn new(store: Store) -> Self {
        let folder = tempfile::tempdir().expect("a folder for a test");
        let database = match store {
            Store::File => None,
            Store::Server => {
                let created = Database::create().expect("a shared server");
                Some(created.expect("a database for a test"))
            }
        };
        Self { folder, database }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The database.
    ///
    /// # Panics
    /// If the store is in a file.
    pub fn database(&self) -> &Database {
        self.database.as_ref().expect("a store on a server")
    }

    /// Where the store is, for an issuer that is to be made.
    pub fn store(&self) -> StoreOptions {
        StoreOptions {
            url: self.database.as_ref().map(Database::url),
            authority: None,
        }
    }

    /// Makes a bare issuer.
    ///
    /// # Errors
    /// As [`Issuer::init`].
    pub fn init(&self) -> Result<Issuer, Error> {
        workshop::init_in(self.path(), self.store())
    }

    /// Makes an issuer with the workshop's catalog and one customer.
    ///
    /// # Errors
    /// As the steps of it.
    pub fn furnished(&self) -> Result<Issuer, Error> {
        workshop::furnish(self.init()?)
    }

    /// Opens the issuer.
    ///
    /// # Errors
    /// As [`Issuer::open`].
    pub fn open(&self) -> Result<Issuer, Error> {
        Issuer::open(self.path())
    }
}

/// A connection to the store of a folder, behind the issuer's back.
pub enum Sql {
    /// To a file.
    File(Connection),
    /// To a server.
    Server(Box<RefCell<Client>>),
}

impl Sql {
    /// Opens the store of the issuer in the folder.
    ///
    /// # Panics
    /// If there is no issuer, or its store does not open.
    pub fn open(folder: &Path) -> Self {
        let settings = std::fs::read_to_string(folder.join("phi.toml")).expect("an issuer");
        let store = settings
            .lines()
            .find_map(|line| line.strip_prefix("store = \"")?.strip_suffix('"'));
        match store {
            None => Self::File(Connection::open(folder.join("phi.db")).expect("a store")),
            Some(url) => {
                let client = Client::connect(url, NoTls).expect("a server");
                Self::Server(Box::new(RefCell::new(client)))
            }
        }
    }

    /// Asks the database whether it is sound, where it can tell.
    ///
    /// # Panics
    /// If it is not.
    pub fn check(&self) {
        if let Self::File(_) = self {
            assert_eq!(self.texts("PRAGMA integrity_check"), ["ok"]);
        }
    }

    /// Carries out a statement.
    ///
    /// # Errors
    /// What the store said.
    pub fn run(&self, sql: &str) -> Result<(), String> {
        match self {
            Self::File(connection) => connection.execute_batch(sql).map_err(|e| e.to_string()),
            Self::Server(client) => {
                let result = client.borrow_mut().batch_execute(sql);
                result.map_err(|error| format!("{error:?}"))
            }
        }
    }

    /// The number that answers a question.
    ///
    /// # Panics
    /// If the question is wrong.
    #[track_caller]
    pub fn number(&self, sql: &str) -> i64 {
        match self {
            Self::File(connection) => connection
                .query_row(sql, [], |row| row.get(0))
                .unwrap_or_else(|error| panic!("{sql}: {error}")),
            Self::Server(client) => {
                let row = client.borrow_mut().query_one(sql, &[]);
                row.and_then(|row| row.try_get(0))
                    .unwrap_or_else(|error| panic!("{sql}: {error:?}"))
            }
        }
    }

    /// The bytes in the one column of an answer.
    ///
    /// # Panics
    /// If the question is wrong.
    pub fn bytes(&self, sql: &str) -> Vec<Vec<u8>> {
        match self {
            Self::File(connection) => {
                let mut select = connection.prepare(sql).expect("a question");
                let rows = select.query_map([], |row| row.get(0));
                let rows = rows.and_then(Iterator::collect);
                rows.expect("bytes")
            }
            Self::Server(client) => {
                let rows = client.borrow_mut().query(sql, &[]).expect("a question");
                rows.iter().map(|row| row.get(0)).collect()
            }
        }
    }

    /// The texts in the one column of an answer.
    fn texts(&self, sql: &str) -> Vec<String> {
        match self {
            Self::File(connection) => {
                let mut select = connection.prepare(sql).expect("a question");
                let rows = select.query_map([], |row| row.get(0));
                let rows = rows.and_then(Iterator::collect);
                rows.expect("texts")
            }
            Self::Server(client) => {
                let rows = client.borrow_mut().query(sql, &[]).expect("a question");
                rows.iter().map(|row| row.get(0)).collect()
            }
        }
    }

    /// Every row of the derived tables, to be compared with the tables made again.
    ///
    /// # Panics
    /// If there are none.
    pub fn tables(&self) -> Vec<String> {
        let tables = self.texts(match self {
            Self::File(_) => "SELECT name FROM sqlite_schema WHERE type = 'table'",
            Self::Server(_) => {
                "SELECT table_name::text FROM information_schema.tables
                 WHERE table_schema = current_schema() ORDER BY 1"
            }
        });
        let derived = |table: &&String| !matches!(table.as_str(), "events" | "phi_store");
        let tables = tables.iter().filter(derived);
        let sorted = |table: &String| {
            let mut rows = self.rows(table);
            rows.sort_unstable();
            rows
        };
        tables.flat_map(sorted).collect()
    }

    fn rows(&self, table: &str) -> Vec<String> {
        let sql = format!("SELECT * FROM {table}");
        match self {
            Self::File(connection) => {
                let mut select = connection.prepare(&sql).expect("a table");
                let width = select.column_count();
                let rows = select.query_map([], |row| {
                    let values = (0..width).map(|column| row.get(column));
                    let values: Vec<Value> = values.collect::<Result<_, _>>()?;
                    Ok(format!("{table} {values:?}"))
                });
                let rows = rows.and_then(Iterator::collect);
                rows.expect("rows that read")
            }
            Self::Server(client) => {
                let rows = client.borrow_mut().simple_query(&sql).expect("a table");
                let cells = |row: &SimpleQueryRow| -> Vec<String> {
                    let cells = (0..row.len()).map(|column| format!("{:?}", row.get(column)));
                    cells.collect()
                };
                let rows = rows.iter().filter_map(|message| match message {
                    SimpleQueryMessage::Row(row) => Some(format!("{table} {:?}", cells(row))),
                    _ => None,
                });
                rows.collect()
            }
        }
    }
}

/// Makes a test of each function, on every kind of store: `file::NAME` and `server::NAME`.
///
/// Without a shared server the second kind has nothing to do; `cargo xtask test` starts one.
#[macro_export]
macro_rules! on_every_store {
    ($($name:ident),* $(,)?) => {
        mod file {
            $(#[test]
            fn $name() {
                super::$name($crate::home::Store::File);
            })*
        }

        mod server {
            $(#[test]
            fn $name() {
                if $crate::postgres::is_there() {
                    super::$name($crate::home::Store::Server);
                }
            })*
        }
    };
}
