//! `phi key revoke`: the same act as `phi revoke key`.

use clap::Args;

use crate::failure::Failure;
use crate::revoke;
use crate::session::Session;

/// Take a stolen license key back, from an event of the ledger on
#[derive(Debug, Args)]
#[command(
    long_about = "Take a stolen license key back. It is the same act as phi revoke key.\n\n\
        With --cut, what the first events of the ledger minted under the key stays valid, for \
        whoever hands in a proof of that beside the token; a thief's tokens are in no ledger. \
        Without it every token under the key is lost, which is refused while one is live, unless \
        --force is there.\n\n\
        Applications learn of it from the next keyset: phi keyset publish, phi status publish.",
    after_help = "Examples:\n  \
        phi key revoke 3q2-7wEjRWeJ --cut newest --dry-run\n  \
        phi key revoke 3q2-7wEjRWeJ --cut newest --reason key-compromise"
)]
pub(crate) struct Revoke {
    /// The key's id
    #[arg(allow_hyphen_values = true)]
    key: String,
    #[command(flatten)]
    way: revoke::Way,
    #[command(flatten)]
    cut: revoke::KeyOptions,
}

impl Revoke {
    pub(super) fn run(self, session: &Session) -> Result<(), Failure> {
        revoke::Revoke::of_key(self.key, self.way, self.cut).run(session)
    }
}
