//! `phi license simulate`: what an amendment or a renewal would change.

use clap::Args;
use phi_issuer::{ChangeRequest, LicenseOrder, OldTokens};
use phi_verify::LicenseId;
use schemars::JsonSchema;
use serde::Serialize;

use super::answer::WaitingRow;
use super::change::beginning;
use super::differences::show_differences;
use super::options::AmendOptions;
use super::{DifferenceRow, verdict};
use crate::failure::Failure;
use crate::output::{Answer, Page, Tone};
use crate::session::Session;
use crate::view::Stamp;
use phi_issuer::when::When;

/// Show what an amendment or a renewal would change, and record nothing
#[derive(Debug, Args)]
#[command(
    long_about = "Show what an amendment or a renewal would change, and record nothing.\n\n\
        Changes that wait for their time are counted: what takes effect before is in both \
        columns, and what waits for later must still fit.",
    after_help = "Examples:\n  \
        phi license simulate 6c6963656e736531 --plan enterprise\n  \
        phi license simulate 6c6963656e736531 --plan team --effective 2031-01-05\n  \
        phi license simulate 6c6963656e736531 --expires +1y"
)]
pub(crate) struct Simulate {
    /// The license's id
    license: LicenseId,
    #[command(flatten)]
    amendment: AmendOptions,
    /// Renew it until then, in place of an amendment
    #[arg(
        long,
        value_name = "TIME",
        conflicts_with_all = [
            "effective", "plan", "addons", "remove", "flags", "without", "quotas", "limits",
            "reset", "grace", "max_status_age",
        ]
    )]
    expires: Option<When>,
    /// When the amendment would take effect [default: now]
    #[arg(long, value_name = "TIME")]
    effective: Option<When>,
}

impl Simulate {
    pub(super) fn run(self, session: &Session) -> Result<(), Failure> {
        let mut issuer = session.issuer()?;
        let now = session.now();
        let request = match self.expires {
            Some(expires) => ChangeRequest::Renew(expires.end(now)?),
            None => ChangeRequest::Amend(self.amendment.amendment()?),
        };
        let order = LicenseOrder {
            license: self.license,
            base: issuer.license(self.license)?.revision,
            request,
            effective: beginning(self.effective, now)?,
            old_tokens: OldTokens::Keep,
        };
        let (before, after) = issuer.simulate_change(&order, now)?;
        let found = issuer.differences(&before, &after)?;
        session.output().print(&SimulateAnswer {
            license: self.license.to_string(),
            customer: after.license.customer.clone(),
            product: after.license.product.clone(),
            effective: after.time.into(),
            verdict: verdict(&found).into(),
            differences: found.into_iter().map(DifferenceRow::new).collect(),
            waiting: WaitingRow::all(&after.license),
        })
    }
}

/// What a change would come to.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi license simulate")]
pub(crate) struct SimulateAnswer {
    /// The license's id.
    license: String,
    /// The customer's id.
    customer: String,
    /// The product.
    product: String,
    /// When the change would take effect.
    effective: Stamp,
    /// `upgrade`, `downgrade`, `both` or `neither`, by what is granted.
    verdict: String,
    /// What would be different at that time.
    differences: Vec<DifferenceRow>,
    /// Changes that would wait after it.
    waiting: Vec<WaitingRow>,
}

impl Answer for SimulateAnswer {
    fn show(&self, page: &mut Page) {
        let word = match self.verdict.as_str() {
            "upgrade" => "UPGRADE",
            "downgrade" => "DOWNGRADE",
            "both" => "UPGRADE AND DOWNGRADE",
            _ => "NEITHER UPGRADE NOR DOWNGRADE",
        };
        let tone = match self.verdict.as_str() {
            "downgrade" | "both" => Tone::Warn,
            _ => Tone::Good,
        };
        let about = format!(
            "{} of {}, at {}",
            self.product, self.customer, self.effective
        );
        page.headline(tone, word, &about);
        page.gap();
        show_differences(&self.differences, page);
        if !self.waiting.is_empty() {
            page.gap();
            WaitingRow::show(&self.waiting, page);
        }
    }
}
