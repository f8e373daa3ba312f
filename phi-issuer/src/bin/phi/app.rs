//! The command line: global options and the tree of commands.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use phi_verify::UnixTime;

use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::session::Session;
use crate::{
    audit, bundle, catalog, clock_reset, completions, customer, diff, doctor, export, fingerprint,
    import, init, inspect, key, keyset, ledger, license, man, mint, proof, report, revoke, root,
    schema, status, trust_report, unrevoke, verify,
};

/// Issue licenses, and verify them anywhere, with no network
#[derive(Debug, Parser)]
#[command(
    name = "phi",
    version,
    after_help = ExitCode::help(),
    arg_required_else_help = true,
    disable_help_subcommand = true,
    infer_long_args = false,
    max_term_width = 96,
    subcommand_required = true
)]
pub(crate) struct App {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options that every command knows.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The issuer's folder
    #[arg(long, global = true, value_name = "DIR", default_value = ".")]
    pub(crate) dir: PathBuf,
    /// Print one JSON object; docs/cli/schema has its schema
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// When to color what is printed
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
    /// Read the passphrase of the keys from a file, instead of asking
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        conflicts_with = "passphrase_fd"
    )]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Read the passphrase of the keys from an open file descriptor
    #[arg(long, global = true, value_name = "N")]
    pub(crate) passphrase_fd: Option<u32>,
    /// Read the PIN of a PKCS#11 token from a file, instead of asking
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "pin_fd")]
    pub(crate) pin_file: Option<PathBuf>,
    /// Read the PIN of a PKCS#11 token from an open file descriptor
    #[arg(long, global = true, value_name = "N")]
    pub(crate) pin_fd: Option<u32>,
    /// Who makes the change, for the ledger [default: the user's name]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) actor: Option<String>,
    /// Act at this time instead of now, for tests and rehearsals
    #[arg(long, global = true, value_name = "TIME", value_parser = phi_issuer::when::instant)]
    pub(crate) now: Option<UnixTime>,
}

/// When to color.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Init),
    #[command(subcommand)]
    Catalog(catalog::Command),
    #[command(subcommand)]
    Key(key::Command),
    #[command(subcommand)]
    Root(root::Command),
    #[command(subcommand)]
    Keyset(keyset::Command),
    #[command(subcommand)]
    Status(status::Command),
    #[command(subcommand)]
    Customer(customer::Command),
    #[command(subcommand)]
    License(license::Command),
    Diff(diff::Diff),
    Mint(Box<mint::Mint>),
    Revoke(revoke::Revoke),
    Unrevoke(unrevoke::Unrevoke),
    Import(Box<import::Import>),
    Export(export::Export),
    #[command(subcommand)]
    Ledger(ledger::Command),
    #[command(subcommand)]
    Proof(proof::Command),
    #[command(subcommand)]
    Bundle(bundle::Command),
    #[command(subcommand)]
    ClockReset(clock_reset::Command),
    #[command(subcommand)]
    Trust(trust_report::Command),
    #[command(subcommand)]
    Audit(audit::Command),
    Report(report::Report),
    Doctor(doctor::Doctor),
    Verify(verify::Verify),
    Inspect(inspect::Inspect),
    Fingerprint(fingerprint::FingerprintCommand),
    Completions(completions::Completions),
    Man(man::Man),
    Schema(schema::SchemaCommand),
}

impl App {
    /// Runs the command.
    ///
    /// # Errors
    /// Why it ends without its result.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let session = Session::new(self.global);
        match self.command {
            Command::Init(command) => command.run(&session),
            Command::Catalog(command) => command.run(&session),
            Command::Key(command) => command.run(&session),
            Command::Root(command) => command.run(&session),
            Command::Keyset(command) => command.run(&session),
            Command::Status(command) => command.run(&session),
            Command::Customer(command) => command.run(&session),
            Command::License(command) => command.run(&session),
            Command::Diff(command) => command.run(&session),
            Command::Mint(command) => command.run(&session),
            Command::Revoke(command) => command.run(&session),
            Command::Unrevoke(command) => command.run(&session),
            Command::Import(command) => command.run(&session),
            Command::Export(command) => command.run(&session),
            Command::Ledger(command) => command.run(&session),
            Command::Proof(command) => command.run(&session),
            Command::Bundle(command) => command.run(&session),
            Command::ClockReset(command) => command.run(&session),
            Command::Trust(command) => command.run(&session),
            Command::Audit(command) => command.run(&session),
            Command::Report(command) => command.run(&session),
            Command::Doctor(command) => command.run(&session),
            Command::Verify(command) => command.run(&session),
            Command::Inspect(command) => command.run(&session),
            Command::Fingerprint(command) => command.run(&session),
            Command::Completions(command) => command.run(),
            Command::Man(command) => command.run(),
            Command::Schema(command) => command.run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        App::command().debug_assert();
    }

    #[test]
    fn every_command_says_what_it_does_and_shows_an_example() {
        fn check(command: &clap::Command, path: &str) {
            let path = format!("{path} {}", command.get_name());
            assert!(command.get_about().is_some(), "{path} has no line of help");
            if command.has_subcommands() {
                for inner in command.get_subcommands() {
                    check(inner, &path);
                }
            } else {
                let help = command.get_after_help().map(ToString::to_string);
                let help = help.unwrap_or_else(|| panic!("{path} has no example"));
                assert!(help.contains(path.trim()), "{path}: {help}");
            }
        }
        let app = App::command();
        app.get_subcommands()
            .for_each(|command| check(command, "phi"));
    }
}
