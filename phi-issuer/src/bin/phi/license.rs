//! `phi license`: what binds a customer to a plan, and what becomes of it.
//!
//! What is typed is here, a file for each group of verbs; what is allowed is the library's.

mod answer;
mod change;
mod differences;
mod history;
mod issue;
mod options;
mod past;
mod rows;
mod show;
mod simulate;
mod states;
mod transfer;
mod words;

pub(crate) use answer::{LicenseAnswer, LicenseShowAnswer, MachineView};
pub(crate) use change::ChangeAnswer;
pub(crate) use differences::{DifferenceRow, show_differences, verdict};
pub(crate) use history::{HistoryAnswer, text as happening};
pub(crate) use issue::IssueAnswer;
pub(crate) use past::{AtAnswer, Point, past};
pub(crate) use rows::{LicenseListAnswer, LicenseRow, TokenRow};
pub(crate) use show::lines;
pub(crate) use simulate::SimulateAnswer;
pub(crate) use states::StatesAnswer;
pub(crate) use transfer::TransferAnswer;
pub(crate) use words::{detail, done};

use clap::Subcommand;

use crate::failure::Failure;
use crate::session::Session;

/// Issue, change, list and show licenses
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Issue(Box<issue::Issue>),
    List(show::List),
    Show(show::Show),
    Amend(Box<change::Amend>),
    Renew(change::Renew),
    Suspend(change::Suspend),
    Reinstate(change::Reinstate),
    Convert(Box<change::Convert>),
    Transfer(transfer::Transfer),
    Rebind(change::Rebind),
    Withdraw(change::Withdraw),
    Simulate(Box<simulate::Simulate>),
    History(history::History),
    At(past::At),
    States(states::States),
}

impl Command {
    pub(crate) fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::Issue(command) => command.run(session),
            Self::List(command) => command.run(session),
            Self::Show(command) => command.run(session),
            Self::Amend(command) => command.run(session),
            Self::Renew(command) => command.run(session),
            Self::Suspend(command) => command.run(session),
            Self::Reinstate(command) => command.run(session),
            Self::Convert(command) => command.run(session),
            Self::Transfer(command) => command.run(session),
            Self::Rebind(command) => command.run(session),
            Self::Withdraw(command) => command.run(session),
            Self::Simulate(command) => command.run(session),
            Self::History(command) => command.run(session),
            Self::At(command) => command.run(session),
            Self::States(_) => session.output().print(&StatesAnswer::new()),
        }
    }
}
