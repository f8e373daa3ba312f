//! `phi license states`: the table of what leads from each state to which.

use clap::Args;
use phi_issuer::TRANSITIONS;
use schemars::JsonSchema;
use serde::Serialize;

use crate::output::{Answer, Page};

/// Print the states of a license and what leads from one to another
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  phi license states")]
pub(crate) struct States {}

/// Every transition there is.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi license states")]
pub(crate) struct StatesAnswer {
    /// In the order of a life. What is not here is refused.
    transitions: Vec<TransitionRow>,
}

/// A transition.
#[derive(Debug, Serialize, JsonSchema)]
struct TransitionRow {
    /// The state before; null is a license that is not there yet.
    from: Option<String>,
    /// What happens.
    act: String,
    /// The state after.
    to: String,
    /// `operator`, or `time` for what nobody does.
    by: String,
    /// Whether it may be recorded ahead, to take effect at a later time.
    may_wait: bool,
}

impl StatesAnswer {
    pub(super) fn new() -> Self {
        let row = |rule: &phi_issuer::Transition| TransitionRow {
            from: rule.from.map(|state| state.name().to_owned()),
            act: rule.act.name().to_owned(),
            to: rule.to.name().to_owned(),
            by: if rule.act.is_somebodys() {
                "operator".into()
            } else {
                "time".into()
            },
            may_wait: rule.act.may_wait(),
        };
        Self {
            transitions: TRANSITIONS.iter().map(row).collect(),
        }
    }
}

impl Answer for StatesAnswer {
    fn show(&self, page: &mut Page) {
        let row = |row: &TransitionRow| {
            [
                row.from.clone().unwrap_or_else(|| "-".into()),
                row.act.clone(),
                row.to.clone(),
                row.by.clone(),
                if row.may_wait { "yes" } else { "" }.to_owned(),
            ]
        };
        let rows: Vec<_> = self.transitions.iter().map(row).collect();
        page.table(["STATE", "ACT", "LEADS TO", "BY", "MAY WAIT"], &rows);
    }
}
