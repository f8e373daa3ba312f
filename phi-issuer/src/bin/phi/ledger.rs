//! `phi ledger`: the events from which everything else is derived.

use clap::{Args, Subcommand};
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{Answer, Page};
use crate::session::Session;

/// Work on the ledger of events
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Rebuild(Rebuild),
}

/// Read every event and make the derived tables again from them
#[derive(Debug, Args)]
#[command(
    long_about = "Read every event and make the derived tables again from them.\n\n\
        Nothing is lost if an event does not read: the tables are then as before.",
    after_help = "Example:\n  phi ledger rebuild"
)]
pub(crate) struct Rebuild {}

impl Command {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let Self::Rebuild(_) = self;
        let events = session.issuer()?.rebuild()?;
        session.output().print(&RebuildAnswer { events })
    }
}

/// A rebuild.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi ledger rebuild")]
pub(crate) struct RebuildAnswer {
    /// How many events were read.
    events: u64,
}

impl Answer for RebuildAnswer {
    fn show(&self, page: &mut Page) {
        page.field("events", self.events);
    }
}
