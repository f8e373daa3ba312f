//! The developer's commands: `cargo xtask --help` lists them.
//!
//! Each command is a file. They run Cargo and other tools; what is tested lives in the crates.

mod bench;
mod demo;
mod dependencies;
mod docs;
mod failure;
mod fuzz;
mod interop;
mod offline;
mod policy;
mod postgres;
mod process;
mod suites;
mod tools;
mod vectors;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "The developer's commands"
)]
struct Xtask {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run everything CI runs, in order, until a step fails
    Test {
        /// Run this suite alone; may be repeated
        #[arg(long = "only", value_name = "SUITE", value_enum)]
        only: Vec<suites::Suite>,
    },
    /// Show the whole life of a license, with the real commands and their real output
    Demo {
        /// A list of features: lines of plan, tab and feature; cumulative plans
        #[arg(long, value_name = "FILE", env = "PHI_FEATURE_LIST")]
        features: Option<std::path::PathBuf>,
    },
    /// Write the test vectors, the demo keys and the worked examples of the spec
    Vectors {
        /// Compare with what is committed, and write nothing
        #[arg(long)]
        check: bool,
    },
    /// Measure license checks beside other formats and print a table
    Bench {
        /// One of them; otherwise those that take minutes
        name: Option<bench::Benchmark>,
        /// Arguments for the benchmark, see `cargo xtask bench -- --help`
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Build the API documentation and check every link in the guides
    Docs,
    /// Fuzz the parsers, each for a while, from the saved corpora
    Fuzz {
        /// How long to run each target
        #[arg(long, default_value_t = 60)]
        seconds: u32,
        /// A target of `phi-verify/fuzz/targets`; all of them if none is named
        target: Option<String>,
    },
}

fn main() -> ExitCode {
    let outcome = match Xtask::parse().command {
        Command::Test { only } => return suites::run(&only),
        Command::Demo { features } => demo::run(features.as_deref()),
        Command::Vectors { check } => vectors::run(check),
        Command::Bench { name, arguments } => bench::run(name, &arguments),
        Command::Docs => docs::run(),
        Command::Fuzz { seconds, target } => fuzz::run(seconds, target.as_deref()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}
