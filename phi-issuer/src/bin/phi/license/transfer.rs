//! `phi license transfer`: another customer's license takes the place of this one.

use clap::Args;
use phi_verify::LicenseId;
use schemars::JsonSchema;
use serde::Serialize;

use super::LicenseAnswer;
use super::options::{ChangeOptions, Repetition};
use crate::failure::Failure;
use crate::output::{Answer, Page, say};
use crate::session::Session;

/// Hand a license over to another customer
#[derive(Debug, Args)]
#[command(
    long_about = "Hand a license over to another customer.\n\n\
        A new license with the same plan and end takes the place of the old one, which is \
        superseded for good: the next status document takes its tokens back. The new license is \
        bound to no machine.",
    after_help = "Examples:\n  \
        phi license transfer 6c6963656e736531 --to initech --reason \"sale of the division\"\n  \
        phi license transfer 6c6963656e736531 --to initech --dry-run"
)]
pub(crate) struct Transfer {
    /// The license's id
    license: LicenseId,
    /// The id of the customer who takes over
    #[arg(long, value_name = "ID")]
    to: String,
    #[command(flatten)]
    options: ChangeOptions,
}

impl Transfer {
    pub(super) fn run(self, session: &Session) -> Result<(), Failure> {
        let mut issuer = session.issuer()?;
        let dry_run = self.options.dry_run;
        let context = self.options.record.context(session);
        let earlier = self.options.record.carried_out(&mut issuer)?;
        let base = self.options.base(self.license, &mut issuer)?;
        let (old, new) = if dry_run {
            issuer.preview_transfer(self.license, base, &self.to, &context)?
        } else {
            issuer.transfer_license(self.license, base, &self.to, &context)?
        };
        let now = session.now();
        let answer = if dry_run {
            TransferAnswer {
                dry_run,
                repetition: Repetition::of(None),
                old: LicenseAnswer::of_record(&old, now, &mut issuer)?.without_successor(),
                new: LicenseAnswer::of_record(&new, now, &mut issuer)?.without_id(),
            }
        } else {
            TransferAnswer {
                dry_run,
                repetition: Repetition::of(earlier),
                old: LicenseAnswer::of_record(&old, now, &mut issuer)?,
                new: LicenseAnswer::of_record(&new, now, &mut issuer)?,
            }
        };
        session.output().print(&answer)?;
        if dry_run {
            say("phi: dry run: nothing was recorded");
            return Ok(());
        }
        answer.repetition.say();
        say(&format!(
            "phi: next: phi status publish, then phi mint {}",
            new.id
        ));
        Ok(())
    }
}

/// A transfer.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi license transfer")]
pub(crate) struct TransferAnswer {
    /// Whether nothing was recorded.
    dry_run: bool,
    #[serde(flatten)]
    repetition: Repetition,
    /// The license that is superseded.
    old: LicenseAnswer,
    /// The license that takes its place; its id is null in a dry run.
    new: LicenseAnswer,
}

impl Answer for TransferAnswer {
    fn show(&self, page: &mut Page) {
        self.new.show(page);
        page.gap();
        let was = &self.old;
        page.line(&format!("takes the place of {}", was.line()));
    }
}
