//! `phi diff`: what is different between a license at two times or revisions.

use clap::Args;
use phi_verify::LicenseId;
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::Failure;
use crate::license::{DifferenceRow, Point, past, show_differences, verdict};
use crate::output::{Answer, Page};
use crate::session::Session;
use phi_issuer::when::When;

/// Show what is different between a license at two times or revisions
#[derive(Debug, Args)]
#[command(
    long_about = "Show what is different between a license at two times or revisions.\n\n\
        A date is its first moment. In a state that grants nothing, every flag, quota and limit \
        is missing.",
    after_help = "Examples:\n  \
        phi diff 6c6963656e736531 --from 2031-01-04\n  \
        phi diff 6c6963656e736531 --from 2031-01-04 --to 2031-06-01T12:00:00Z\n  \
        phi diff 6c6963656e736531 --from-revision 1 --to-revision 3"
)]
pub(crate) struct Diff {
    /// The license's id
    license: LicenseId,
    /// The earlier time
    #[arg(long, value_name = "TIME", required_unless_present = "from_revision")]
    from: Option<When>,
    /// The license as the change of this revision left it
    #[arg(long, value_name = "N", conflicts_with = "from")]
    from_revision: Option<u64>,
    /// The later time [default: now]
    #[arg(long, value_name = "TIME")]
    to: Option<When>,
    /// The license as the change of this revision left it
    #[arg(long, value_name = "N", conflicts_with = "to")]
    to_revision: Option<u64>,
}

impl Diff {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let mut issuer = session.issuer()?;
        let now = session.now();
        let from = past(self.from, self.from_revision, now)?;
        let from = issuer.license_at(self.license, from)?;
        let to = past(self.to, self.to_revision, now)?;
        let to = issuer.license_at(self.license, to)?;
        if to.time < from.time {
            let message = format!("{} is before {}", to.time, from.time);
            return Err(Failure::new("input-invalid", message)
                .hint("name the earlier one with --from and the later one with --to"));
        }
        let found = issuer.differences(&from, &to)?;
        session.output().print(&LicenseDiffAnswer {
            license: self.license.to_string(),
            from: Point::new(&from),
            to: Point::new(&to),
            verdict: verdict(&found).into(),
            differences: found.into_iter().map(DifferenceRow::new).collect(),
        })
    }
}

/// What is different.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi diff")]
pub(crate) struct LicenseDiffAnswer {
    /// The license's id.
    license: String,
    /// The earlier end.
    from: Point,
    /// The later end.
    to: Point,
    /// `upgrade`, `downgrade`, `both` or `neither`, by what is granted.
    verdict: String,
    /// What is different.
    differences: Vec<DifferenceRow>,
}

impl Answer for LicenseDiffAnswer {
    fn show(&self, page: &mut Page) {
        page.field("license", &self.license);
        page.field("from", self.from.line());
        page.field("to", self.to.line());
        page.gap();
        show_differences(&self.differences, page);
    }
}
