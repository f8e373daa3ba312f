//! What enforcing a license costs: decisions in the process, slices from a store, and seats.
//!
//! Everything is measured in one run, through the same gates and stores that applications use. A
//! server of the bench's own stands for PostgreSQL; it keeps what it is told to keep, and so does
//! the file of SQLite.

mod decisions;
mod doors;
mod licenses;
mod measure;
mod seats;

use std::{error::Error, sync::Arc};

use clap::{Parser, ValueEnum};
use phi_enforce::{Postgres, PostgresOptions, Sqlite, SqliteOptions, Store, SystemClock};
use phi_tests::postgres::{Schema, Server};

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Table {
    /// Flags, and one quota
    Decisions,
    /// Many quotas
    Keys,
    /// Slices from each store
    Slices,
    /// Claims and heartbeats, of each store and through a gate
    Seats,
    /// Claims by how many are seated
    Growth,
    /// A whole node over HTTP and gRPC
    Doors,
    /// How long the seat of a dead holder is not free
    Dead,
}

#[derive(Parser)]
#[command(name = "enforce", about = "Measure decisions, slices and seats")]
struct Options {
    /// Seconds for each row
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Keys over which decisions are spread
    #[arg(long, default_value_t = 100_000)]
    keys: usize,
    /// Seats that are taken already when claims are measured
    #[arg(long, value_delimiter = ',', default_values_t = [100, 1_000, 10_000, 50_000])]
    seats: Vec<u64>,
    /// Measure this alone
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Table>,
}

impl Options {
    fn wants(&self, table: Table) -> bool {
        self.only.is_empty() || self.only.contains(&table)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let folder = tempfile::tempdir()?;
    let file = |name: &str| -> Result<Arc<Sqlite>, Box<dyn Error>> {
        let sqlite = SqliteOptions::new(Arc::new(SystemClock));
        Ok(Arc::new(Sqlite::open(&folder.path().join(name), sqlite)?))
    };
    let server = Server::start()?;
    let schema = Schema::create_on(&server.url("postgres"))?;
    let postgres = || -> Result<Arc<dyn Store>, Box<dyn Error>> {
        let options = PostgresOptions::new(Arc::new(SystemClock));
        Ok(Arc::new(Postgres::open(&schema.url(), None, options)?))
    };
    println!("Load at the beginning: {}.\n", measure::load()?);

    if options.wants(Table::Decisions) {
        decisions::flags(file("flags.db")?, options.seconds)?;
    }
    if options.wants(Table::Keys) {
        decisions::many_keys(file("keys.db")?, options.keys, options.seconds)?;
    }
    if options.wants(Table::Slices) {
        println!("\n| slices of 1,000 | threads | decisions/s | p50, ns | p99, ns | p99.9, us |");
        println!("| --- | ---: | ---: | ---: | ---: | ---: |");
        decisions::slices("SQLite", &(file("slices.db")? as _), options.seconds)?;
        decisions::slices("PostgreSQL", &postgres()?, options.seconds)?;
    }
    if options.wants(Table::Seats) {
        seats::table("SQLite", &(file("seats.db")? as _), options.seconds)?;
        seats::table("PostgreSQL", &postgres()?, options.seconds)?;
    }
    if options.wants(Table::Growth) {
        seats::growth(&options.seats, options.seconds, file)?;
    }
    if options.wants(Table::Doors) {
        doors::table(folder.path(), options.seconds)?;
    }
    if options.wants(Table::Dead) {
        seats::dead_holder(file("dead.db")?)?;
    }
    println!("\nLoad at the end: {}.", measure::load()?);
    Ok(())
}
