//! `phi key check`: whether a key's signer answers and signs.

use clap::Args;
use phi_verify::KeyId;
use schemars::JsonSchema;
use serde::Serialize;

use super::{KeyAnswer, find};
use crate::failure::Failure;
use crate::output::{Answer, Page};
use crate::session::Session;

/// Open a key and have it sign a message of no use to anyone
#[derive(Debug, Args)]
#[command(
    long_about = "Open a key and have it sign a message of no use to anyone.\n\n\
        What it signs is no license and no document, and is checked against the public half in \
        the ledger. Nothing is recorded.",
    after_help = "Example:\n  phi key check 3q2-7wEjRWeJ"
)]
pub(crate) struct Check {
    /// The key's id
    #[arg(allow_hyphen_values = true)]
    key: KeyId,
}

impl Check {
    pub(super) fn run(self, session: &Session) -> Result<(), Failure> {
        let mut issuer = session.issuer()?;
        let key = find(&mut issuer, self.key, session)?;
        issuer.check_key(self.key, session)?;
        session.output().print(&CheckAnswer { key, signs: true })
    }
}

/// A key that signs.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi key check")]
pub(crate) struct CheckAnswer {
    /// The key.
    key: KeyAnswer,
    /// Whether it signs: always true, as any other outcome is an error.
    signs: bool,
}

impl Answer for CheckAnswer {
    fn show(&self, page: &mut Page) {
        self.key.show(page);
        page.field("check", "signs");
    }
}
