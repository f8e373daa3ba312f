//! The command by its transcripts, its JSON by its schemas, and its behavior where outputs fail.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps an error has failed"
)]

mod audit;
mod bundles;
mod ceremony;
mod changes;
mod clocks;
mod custody;
mod faults;
mod fixtures;
mod hints;
mod life;
mod migration;
mod pages;
mod report;
mod revoked;
mod rotations;
mod run;
mod tokens;

/// Each transcript is a page of documentation: commands, what they print, and their exit codes.
#[test]
fn transcripts() {
    trycmd::TestCases::new()
        .default_bin_path(run::phi())
        .env("USER", "alice")
        .case("tests/cmd/*.md");
}
