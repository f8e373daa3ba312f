//! `phi doctor`: what is wrong with keys, documents and signatures, or runs out soon.

use clap::Args;
use phi_issuer::{Finding, Urgency};
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{Answer, Page, Tone};
use crate::session::Session;
use crate::view::{Stamp, counted, near};

/// Look for what is wrong with keys and documents, or runs out soon
#[derive(Debug, Args)]
#[command(
    long_about = "Look for what is wrong with keys, published documents and checkpoints, or runs \
        out soon, each with the next step. No key is opened and nothing is changed.\n\n\
        What is wrong now or runs out within the days ends with exit code 30; notes alone, and \
        nothing at all, with 0. What the ledger itself is worth, phi ledger verify finds out.",
    after_help = "Examples:\n  \
        phi doctor\n  \
        phi doctor --days 14 --json"
)]
pub(crate) struct Doctor {
    /// How many days ahead it looks
    #[arg(long, value_name = "DAYS", default_value_t = 90)]
    days: u32,
}

const DAY: u64 = 24 * 60 * 60;

impl Doctor {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let now = session.now();
        let horizon = now.plus(u64::from(self.days) * DAY);
        let found = session.issuer()?.check_up(horizon, now)?;
        let urgent = found.iter().filter(|one| one.urgency != Urgency::Note);
        let urgent = urgent.count();
        let view = |finding: &Finding| FindingView {
            code: finding.code.to_owned(),
            urgency: finding.urgency.name().to_owned(),
            what: finding.what.clone(),
            due: finding.due.map(Stamp::from),
            when: finding.due.map(|due| near(now, due)),
            next: finding.next.clone(),
        };
        session.output().print(&DoctorAnswer {
            days: self.days,
            findings: found.iter().map(view).collect(),
        })?;
        if urgent == 0 {
            return Ok(());
        }
        let things = counted(urgent, "finding");
        Err(Failure {
            answered: true,
            ..Failure::new("attention-needed", format!("{things} to attend to"))
        })
    }
}

/// A check-up.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi doctor")]
pub(crate) struct DoctorAnswer {
    /// How many days ahead it looked.
    days: u32,
    /// The most urgent first.
    findings: Vec<FindingView>,
}

/// Something that was found.
#[derive(Debug, Serialize, JsonSchema)]
struct FindingView {
    /// A stable word for what it is.
    code: String,
    /// `wrong`, `soon` or `note`.
    urgency: String,
    /// What it is.
    what: String,
    /// When it runs out, or when it did; null if it has no time.
    due: Option<Stamp>,
    /// The same for people.
    when: Option<String>,
    /// The next step.
    next: String,
}

impl Answer for DoctorAnswer {
    fn show(&self, page: &mut Page) {
        for (at, finding) in self.findings.iter().enumerate() {
            if at > 0 {
                page.gap();
            }
            let tone = match finding.urgency.as_str() {
                "note" => Tone::Good,
                _ => Tone::Warn,
            };
            page.headline(tone, &finding.urgency.to_uppercase(), &finding.code);
            page.field("what", &finding.what);
            if let Some(when) = &finding.when {
                page.field("when", when);
            }
            page.field("next", &finding.next);
        }
    }
}
