//! `cargo xtask test`: the suites in the order CI runs them.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::ValueEnum;

use crate::failure::Failure;
use crate::postgres::{self, Server};
use crate::process::{cargo, run as run_command};
use crate::{demo, dependencies, docs, fuzz, interop, offline, policy, tools, vectors};

/// Long enough to load every seed and mutate for a moment; `cargo xtask fuzz` searches.
const FUZZ_SMOKE_SECONDS: u32 = 5;

/// A named part of the test run, cheap and telling ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Suite {
    /// Every file is as rustfmt writes it
    Fmt,
    /// No lint fires, in any target
    Clippy,
    /// Everything builds
    Build,
    /// Unit, integration and transcript tests
    Tests,
    /// Issuers and stores killed at every durable step go on from where they were
    Crash,
    /// Examples in the documentation compile and hold
    Doctests,
    /// The committed vectors are what their program writes
    Vectors,
    /// phi-verify links into a program without the standard library
    NoStd,
    /// phi-verify depends on nothing that can open a socket, and on nothing unlisted
    Dependencies,
    /// phi-verify's tests and examples pass where there is no network at all
    Offline,
    /// Licenses, duplicate versions and sources of every dependency
    Deny,
    /// Tokens pass between Phi and three independent PASETO libraries
    Interop,
    /// Every fuzz target holds on its saved corpus and a short search
    Fuzz,
    /// The demo goes through
    Demo,
    /// API documentation builds without warnings and links lead somewhere
    Docs,
}

impl Suite {
    fn name(self) -> String {
        let value = self.to_possible_value().expect("no suite is hidden");
        value.get_name().to_owned()
    }

    fn run(self) -> Result<(), Failure> {
        match self {
            Self::Fmt => fmt(),
            Self::Clippy => clippy(),
            Self::Build => {
                run_command(&mut cargo("build --workspace --exclude phi-bench --locked"))
            }
            Self::Tests => tests(),
            Self::Crash => crash(),
            Self::Doctests => doctests(),
            Self::Vectors => vectors::run(true),
            Self::Demo => demo::run(
                std::env::var_os("PHI_FEATURE_LIST")
                    .as_deref()
                    .map(Path::new),
            ),
            Self::NoStd => policy::no_std(),
            Self::Dependencies => dependencies::check(),
            Self::Offline => offline::check(),
            Self::Deny => policy::deny(),
            Self::Interop => interop::run(),
            Self::Fuzz => fuzz::run(FUZZ_SMOKE_SECONDS, None),
            Self::Docs => docs::run(),
        }
    }

    /// What to do when the suite fails and the failure itself does not say.
    fn hint(self) -> &'static str {
        match self {
            Self::Fmt => "run `cargo fmt --all`, with `--manifest-path` for a package of its own",
            Self::Clippy => "fix the code; a local exception is `#[expect(.., reason = \"..\")]`",
            Self::Build => "if Cargo.lock is out of date, run `cargo build` and commit the file",
            Self::Tests => "run one test again with `cargo test -p PACKAGE NAME`",
            Self::Crash => {
                "run one test again with `cargo test -p phi-tests --features failpoints`"
            }
            Self::Doctests => "run `cargo test --doc -p PACKAGE`",
            Self::Vectors => "run `cargo xtask vectors` and review what changed",
            Self::Demo => "run `cargo xtask demo`",
            Self::NoStd => "use `core` and `alloc`, and switch off default features upstream",
            Self::Dependencies => "see the head of phi-verify/dependencies.txt",
            Self::Offline => "run one with `unshare -n PROGRAM`, or `-rn` if you are not root",
            Self::Deny => "each exception in deny.toml states its reason",
            Self::Interop => "tests/interop/README.md says how the rig works",
            Self::Fuzz => "run `cargo xtask fuzz TARGET` to see more",
            Self::Docs => "run `cargo xtask docs`",
        }
    }
}

/// Runs the suites named, or all, and prints a closing line that counts them.
pub(crate) fn run(only: &[Suite]) -> ExitCode {
    let all = Suite::value_variants().iter().copied();
    let chosen: Vec<Suite> = all
        .filter(|suite| only.is_empty() || only.contains(suite))
        .collect();
    let mut timings: Vec<(Suite, Duration)> = Vec::new();
    let mut failed = None;
    for (index, &suite) in chosen.iter().enumerate() {
        eprintln!("==> {} ({} of {})", suite.name(), index + 1, chosen.len());
        let start = Instant::now();
        let outcome = suite.run();
        let elapsed = start.elapsed();
        match outcome {
            Ok(()) => timings.push((suite, elapsed)),
            Err(failure) => {
                failed = Some((suite, elapsed, failure.or_hint(suite.hint())));
                break;
            }
        }
        eprintln!(
            "    {} passed in {:.1} s",
            suite.name(),
            elapsed.as_secs_f64()
        );
    }
    report(&timings, failed.as_ref(), chosen.len())
}

fn report(
    passed: &[(Suite, Duration)],
    failed: Option<&(Suite, Duration, Failure)>,
    chosen: usize,
) -> ExitCode {
    println!();
    for (suite, elapsed) in passed {
        println!(
            "{:>8.1} s  {:<13} passed",
            elapsed.as_secs_f64(),
            suite.name()
        );
    }
    if let Some((suite, elapsed, failure)) = failed {
        println!(
            "{:>8.1} s  {:<13} FAILED",
            elapsed.as_secs_f64(),
            suite.name()
        );
        println!("{failure}");
        println!("xtask: then run `cargo xtask test --only {}`", suite.name());
    }
    let failures = usize::from(failed.is_some());
    let skipped = chosen - passed.len() - failures;
    if skipped == 0 {
        println!("{} passed, {failures} failed", passed.len());
    } else {
        println!(
            "{} passed, {failures} failed, {skipped} skipped",
            passed.len()
        );
    }
    if failed.is_some() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// Packages with a manifest of their own are no members: Cargo formats them one by one.
fn fmt() -> Result<(), Failure> {
    run_command(&mut cargo("fmt --all --check"))?;
    for manifest in ["phi-verify/fuzz/Cargo.toml", "tests/no-std/Cargo.toml"] {
        run_command(cargo("fmt --check --manifest-path").arg(manifest))?;
    }
    Ok(())
}

fn clippy() -> Result<(), Failure> {
    run_command(&mut cargo(
        "clippy --workspace --all-targets --features phi-tests/interop,phi-tests/failpoints --locked -- -D warnings",
    ))
}

// phi-bench has no tests, and building its peers with optimization takes minutes: clippy
// checks that it compiles.
fn tests() -> Result<(), Failure> {
    let softhsm = tools::softhsm()?;
    tools::openssl()?;
    let server = Server::start()?;
    let mut tests = if tools::has_nextest() {
        cargo("nextest run --workspace --exclude phi-bench --locked")
    } else {
        eprintln!("    cargo-nextest is not installed; `cargo test` runs the same tests, slower");
        cargo("test --workspace --exclude phi-bench --lib --bins --tests --examples --locked")
    };
    run_command(
        tests
            .env(postgres::URL, server.url())
            .env("PHI_TEST_PKCS11", softhsm),
    )
}

// Apart from the tests, so that nothing else is built with fail points in it.
fn crash() -> Result<(), Failure> {
    let runner = if tools::has_nextest() {
        "nextest run"
    } else {
        "test"
    };
    let server = Server::start()?;
    // Of the whole workspace, so that what others made is built as for the tests before, and is not
    // built again.
    let mut crash = cargo(&format!(
        "{runner} --workspace --exclude phi-bench --test kill --locked \
         --features phi-tests/failpoints,phi-enforce/failpoints"
    ));
    run_command(crash.env(postgres::URL, server.url()))
}

fn doctests() -> Result<(), Failure> {
    run_command(&mut cargo(
        "test --workspace --exclude phi-bench --doc --locked",
    ))
}
