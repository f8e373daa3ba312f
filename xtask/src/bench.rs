//! Runs the benchmarks, optimized: license checks with the developer's arguments, and a batch; by
//! name, the growth of the ledger, lists of revoked tokens, and what enforcing costs.

use clap::ValueEnum;

use crate::failure::Failure;
use crate::process::{cargo, run as run_command};

/// A benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Benchmark {
    /// License checks, beside other formats
    Checks,
    /// The minting of a batch
    Batch,
    /// The ledger at ten thousand, a hundred thousand and a million licenses; it takes an hour
    Ledger,
    /// Lists of revoked tokens, beside other ways to say what is revoked; it takes minutes
    Revocation,
    /// Decisions, slices and seats, in the process and on stores; it takes minutes
    Enforce,
}

/// Runs the one that is named, or those that take minutes.
pub(crate) fn run(named: Option<Benchmark>, arguments: &[String]) -> Result<(), Failure> {
    if let Some(benchmark) = named {
        return one(benchmark, arguments);
    }
    one(Benchmark::Checks, arguments)?;
    one(Benchmark::Batch, &[])
}

fn one(benchmark: Benchmark, arguments: &[String]) -> Result<(), Failure> {
    let program = match benchmark {
        Benchmark::Checks => "phi-bench",
        Benchmark::Batch => "batch",
        Benchmark::Ledger => "ledger",
        Benchmark::Revocation => "revocation",
        Benchmark::Enforce => "enforce",
    };
    let mut bench = cargo("run --release --locked --package phi-bench --bin");
    run_command(bench.args([program, "--"]).args(arguments))
}
