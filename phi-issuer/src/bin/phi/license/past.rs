//! `phi license at`: what a customer was entitled to at a time, and why not to more.

use clap::Args;
use phi_issuer::{Issuer, LicenseAt, Past, State};
use phi_verify::{LicenseId, UnixTime};
use schemars::JsonSchema;
use serde::Serialize;

use super::LicenseAnswer;
use crate::failure::Failure;
use crate::output::{Answer, Page, Tone};
use crate::session::Session;
use crate::view::Stamp;
use phi_issuer::when::When;

/// Show what a license was and what it entitled to, at a time or after a change
#[derive(Debug, Args)]
#[command(
    long_about = "Show what a license was and what it entitled to, at a time or after a change.\n\n\
        Nothing but the ledger's events until then is looked at. A date is its first moment in \
        UTC, as it is wherever something begins: for what was so at the end of a day, name the \
        moment, as in the second example. The answer says which moment it is about. Of a time \
        ahead it shows what will be if nobody changes anything.",
    after_help = "Examples:\n  \
        phi license at 6c6963656e736531 --time 2031-01-04\n  \
        phi license at 6c6963656e736531 --time 2031-01-04T23:59:59Z --json\n  \
        phi license at 6c6963656e736531 --revision 3"
)]
pub(crate) struct At {
    /// The license's id
    license: LicenseId,
    /// The time: a date (its first moment, 00:00 UTC), a time, or a span ahead
    #[arg(long, value_name = "TIME", required_unless_present = "revision")]
    time: Option<When>,
    /// As the change of this revision left it
    #[arg(long, value_name = "N", conflicts_with = "time")]
    revision: Option<u64>,
}

impl At {
    pub(super) fn run(&self, session: &Session) -> Result<(), Failure> {
        let mut issuer = session.issuer()?;
        let past = past(self.time, self.revision, session.now())?;
        let at = issuer.license_at(self.license, past)?;
        session.output().print(&AtAnswer::new(&at, &mut issuer)?)
    }
}

/// The past that two options name, of which one is given; without both it is now.
///
/// # Errors
/// `time-invalid`.
pub(crate) fn past(
    time: Option<When>,
    revision: Option<u64>,
    now: UnixTime,
) -> Result<Past, Failure> {
    Ok(match (time, revision) {
        (_, Some(revision)) => Past::Revision(revision),
        (Some(time), None) => Past::Time(time.beginning(now)?),
        (None, None) => Past::Time(now),
    })
}

/// A license at a time.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi license at")]
pub(crate) struct AtAnswer {
    /// The time.
    time: Stamp,
    /// Whether the customer was entitled to what the license grants.
    entitled: bool,
    /// Why not: the state that grants nothing, `not-begun` or `customer-revoked`; null if
    /// entitled.
    because: Option<String>,
    #[serde(flatten)]
    license: LicenseAnswer,
}

impl AtAnswer {
    fn new(at: &LicenseAt, issuer: &mut Issuer) -> Result<Self, Failure> {
        Ok(Self {
            time: at.time.into(),
            entitled: at.entitled(),
            because: because(at).map(str::to_owned),
            license: LicenseAnswer::of_past(at, issuer)?,
        })
    }
}

/// Why nothing was granted.
fn because(at: &LicenseAt) -> Option<&'static str> {
    if at.entitled() {
        None
    } else if !at.state.entitles() {
        Some(at.state.name())
    } else if at.customer_revoked.is_some() {
        Some("customer-revoked")
    } else {
        Some("not-begun")
    }
}

impl Answer for AtAnswer {
    fn show(&self, page: &mut Page) {
        let time = &self.time;
        match self.because.as_deref() {
            None => page.headline(Tone::Good, "ENTITLED", &format!("at {time}")),
            Some(because) => {
                let why = match because {
                    "not-begun" => "the license had not begun",
                    "customer-revoked" => "the customer was revoked",
                    state if state == State::Draft.name() => "it was a draft",
                    state if state == State::Expired.name() => "it had expired",
                    state => &format!("it was {state}"),
                };
                page.headline(Tone::Warn, "NOT ENTITLED", &format!("at {time}: {why}"));
            }
        }
        page.gap();
        self.license.show(page);
    }
}

/// One end of a comparison.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Point {
    /// The time.
    time: Stamp,
    /// The license's revision then.
    revision: u64,
    /// Its state then.
    state: String,
    /// Whether the customer was entitled to what it grants.
    entitled: bool,
}

impl Point {
    pub(crate) fn new(at: &LicenseAt) -> Self {
        Self {
            time: at.time.into(),
            revision: at.license.revision,
            state: at.state.name().to_owned(),
            entitled: at.entitled(),
        }
    }

    pub(crate) fn line(&self) -> String {
        let entitled = if self.entitled { "" } else { ", not entitled" };
        format!(
            "{}, revision {}, {}{entitled}",
            self.time, self.revision, self.state
        )
    }
}
