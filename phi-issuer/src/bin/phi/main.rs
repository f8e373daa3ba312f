//! The `phi` command: what the library does, for people and for scripts.

mod advice;
mod app;
mod audit;
mod batch;
mod bundle;
mod catalog;
mod clock_reset;
mod completions;
mod customer;
mod diff;
mod doctor;
mod exit_code;
mod export;
mod failure;
mod fingerprint;
mod import;
mod init;
mod input;
mod inspect;
mod key;
mod keyset;
mod ledger;
mod license;
mod man;
mod mint;
mod output;
mod progress;
mod proof;
mod report;
mod revoke;
mod root;
mod schema;
mod session;
mod status;
mod trust;
mod trust_import;
mod trust_report;
mod unrevoke;
mod verify;
mod view;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let app = app::App::parse();
    let json = app.global.json;
    // Any command may open a key.
    let secluded = phi_issuer::custody::seclude().map_err(|error| {
        let message = format!("the system refuses to keep memory out of dumps: {error}");
        failure::Failure::new("system", message)
    });
    match secluded.and_then(|()| app.run()) {
        Ok(()) => exit_code::ExitCode::DONE.into(),
        Err(failure) => {
            output::report(&failure, json);
            failure.exit.into()
        }
    }
}
