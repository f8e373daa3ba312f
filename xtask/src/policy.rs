//! Promises about the dependency tree that other tools check.

use crate::failure::Failure;
use crate::process::{cargo, command, run, target_dir};
use crate::tools;

/// Builds phi-verify without `std`, then links it into a library that has no `std` at all.
///
/// The second build is the proof: `tests/no-std` brings its own panic handler, so a crate
/// anywhere in the tree that links the standard library is a duplicate and an error.
pub(crate) fn no_std() -> Result<(), Failure> {
    run(&mut cargo(
        "build --package phi-verify --no-default-features --locked",
    ))?;
    let mut build = cargo("build --manifest-path tests/no-std/Cargo.toml --locked");
    build.env("CARGO_TARGET_DIR", target_dir().join("no-std"));
    run(&mut build)
}

/// cargo-deny: licenses and sources of everything, one version of each crate in what ships.
///
/// Advisories are left out: their database is a git repository elsewhere, and this suite
/// runs where only the package registry can be reached. `cargo deny check advisories`
/// checks them where the network allows.
pub(crate) fn deny() -> Result<(), Failure> {
    let deny = tools::cargo_deny()?;
    run(command(&deny).args(["check", "licenses", "sources"]))?;
    // phi-bench holds other formats' libraries, each with an old tree of its own.
    let unshipped = [
        "--exclude",
        "phi-bench",
        "--exclude",
        "phi-tests",
        "--exclude-dev",
    ];
    run(command(&deny).args(unshipped).args(["check", "bans"]))
}
