//! The `phi-node` command.

mod command;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let app = command::App::parse();
    let json = app.json();
    match app.run() {
        Ok(()) => command::DONE.into(),
        Err(failure) => {
            failure.report(json);
            failure.exit.into()
        }
    }
}
