//! Runs the benchmarks, optimized: license checks with the developer's arguments, and a batch.

use crate::failure::Failure;
use crate::process::{cargo, run as run_command};

pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let mut bench = cargo("run --release --locked --package phi-bench --");
    run_command(bench.args(arguments))?;
    run_command(&mut cargo(
        "run --release --locked --package phi-bench --bin batch",
    ))
}
