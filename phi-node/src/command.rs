//! The command line: what `phi-node` is asked to do.

mod client;
mod exit_code;
mod failure;
mod manual;
mod output;
mod run;
mod settings;
mod site_key;
mod usage;

use clap::{Parser, Subcommand};

pub(crate) use self::exit_code::DONE;
use self::{exit_code::ExitCode, failure::Failure};

/// Enforce Phi licenses: flags, quotas and seats over HTTP and gRPC
#[derive(Debug, Parser)]
#[command(
    name = "phi-node",
    version,
    after_help = ExitCode::help(),
    arg_required_else_help = true,
    disable_help_subcommand = true,
    max_term_width = 96,
    subcommand_required = true
)]
pub(crate) struct App {
    /// Print one JSON object
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(Box<run::Run>),
    #[command(subcommand)]
    Client(client::Command),
    #[command(subcommand)]
    SiteKey(site_key::Command),
    Usage(usage::Usage),
    Openapi(Openapi),
    Completions(manual::Completions),
    Man(manual::Man),
}

/// Print the OpenAPI document of the HTTP API
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  phi-node openapi > openapi.json")]
struct Openapi {}

impl App {
    /// Whether answers are printed as JSON.
    pub(crate) const fn json(&self) -> bool {
        self.json
    }

    /// Does what was asked for.
    ///
    /// # Errors
    /// Why it ends without its result.
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::Run(command) => command.run(self.json),
            Command::Client(command) => command.run(self.json),
            Command::SiteKey(command) => command.run(self.json),
            Command::Usage(command) => command.run(self.json),
            Command::Openapi(Openapi {}) => output::print(&phi_node::http::openapi::document()),
            Command::Completions(command) => command.run(),
            Command::Man(command) => command.run(),
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
            .for_each(|command| check(command, "phi-node"));
    }
}
