//! `phi license issue`: a license, a trial, a draft, or a draft that comes into force.

use std::ffi::OsString;

use clap::Args;
use phi_issuer::{ChangeRequest, Issuer, NewLicense, OldTokens};
use phi_verify::{Allowance, LicenseId, UnixTime};
use schemars::JsonSchema;
use serde::Serialize;

use super::LicenseAnswer;
use super::change::{Decision, carry_out};
use super::options::{ChangeOptions, Record, Repetition, amount, extension, machine, unique};
use crate::failure::Failure;
use crate::output::{Answer, Page, say};
use crate::session::Session;
use phi_issuer::when::{Length, When};

/// Issue a license: bind a customer to a plan
#[derive(Debug, Args)]
#[command(
    long_about = "Issue a license: bind a customer to a plan. Tokens are minted of it with phi \
        mint.\n\n\
        A trial is a license that ends and that phi license convert makes an ordinary one. A \
        draft is written down only: it can be amended, and --from-draft issues it.",
    after_help = "Examples:\n  \
        phi license issue --customer globex --plan pro --expires +1y --grace 14d\n  \
        phi license issue --customer globex --plan pro --expires 2031-01-04 \\\n      \
        --addon extra_seats --flag sso --quota api_calls=500000 --limit seats=unlimited\n  \
        phi license issue --customer globex --plan pro --trial 30d --reason \"trade fair\"\n  \
        phi license issue --customer globex --plan pro --expires +1y --draft\n  \
        phi license issue --from-draft 6c6963656e736531"
)]
pub(crate) struct Issue {
    /// The customer's id
    #[arg(long, value_name = "ID", required_unless_present = "from_draft")]
    customer: Option<String>,
    /// The plan
    #[arg(long, value_name = "NAME", required_unless_present = "from_draft")]
    plan: Option<String>,
    /// When the license ends: a date (its last day), a time, a span ahead, or never
    #[arg(long, value_name = "TIME", required_unless_present_any = ["from_draft", "trial"])]
    expires: Option<When>,
    /// Start a trial that lasts this long
    #[arg(long, value_name = "LENGTH", conflicts_with = "expires")]
    trial: Option<Length>,
    /// Write it down only: no tokens are minted of a draft
    #[arg(long)]
    draft: bool,
    /// Issue this draft
    #[arg(
        long,
        value_name = "LICENSE",
        conflicts_with_all = [
            "customer", "plan", "expires", "trial", "draft", "product", "begins", "grace",
            "addons", "flags", "without", "quotas", "limits", "max_status_age", "extensions",
            "fingerprint", "required",
        ]
    )]
    from_draft: Option<LicenseId>,
    /// The product [default: the only one]
    #[arg(long, value_name = "NAME")]
    product: Option<String>,
    /// When the license begins [default: now]
    #[arg(long, value_name = "TIME")]
    begins: Option<When>,
    /// How long it works after its end, with a warning
    #[arg(long, value_name = "LENGTH", default_value = "0s")]
    grace: Length,
    /// An add-on to the plan
    #[arg(long = "addon", value_name = "NAME")]
    addons: Vec<String>,
    /// A flag beyond the plan
    #[arg(long = "flag", value_name = "NAME")]
    flags: Vec<String>,
    /// A flag, quota or limit of the plan to leave out
    #[arg(long, value_name = "NAME")]
    without: Vec<String>,
    /// A quota with its amount, or unlimited
    #[arg(long = "quota", value_name = "NAME=AMOUNT", value_parser = amount)]
    quotas: Vec<(String, Allowance)>,
    /// A concurrency limit with its amount, or unlimited
    #[arg(long = "limit", value_name = "NAME=AMOUNT", value_parser = amount)]
    limits: Vec<(String, Allowance)>,
    /// The longest age of the status document under which its tokens are accepted
    #[arg(long, value_name = "LENGTH")]
    max_status_age: Option<Length>,
    /// A text for the application, under a negative number
    #[arg(long = "extension", value_name = "-N=TEXT", value_parser = extension, allow_hyphen_values = true)]
    extensions: Vec<(i64, String)>,
    /// Bind the license to the machine of this fingerprint request: text, a file or -
    #[arg(long, value_name = "REQUEST")]
    fingerprint: Option<OsString>,
    /// How many components of the machine must match [default: more than half]
    #[arg(long = "match", value_name = "K", requires = "fingerprint")]
    required: Option<usize>,
    #[command(flatten)]
    record: Record,
    /// Show what would be granted, and record nothing
    #[arg(long)]
    dry_run: bool,
}

impl Issue {
    pub(super) fn run(self, session: &Session) -> Result<(), Failure> {
        if let Some(draft) = self.from_draft {
            let options = ChangeOptions::new(self.record, self.dry_run);
            return carry_out(draft, &options, session, |_| {
                Ok(Decision {
                    request: ChangeRequest::Issue,
                    effective: None,
                    old_tokens: OldTokens::Keep,
                })
            });
        }
        let mut issuer = session.issuer()?;
        let (dry_run, draft) = (self.dry_run, self.draft);
        let context = self.record.context(session);
        let earlier = self.record.carried_out(&mut issuer)?;
        let order = self.order(&mut issuer, earlier.unwrap_or(session.now()))?;
        if dry_run {
            let terms = issuer.preview_license(&order, session.now())?;
            let answer = LicenseAnswer::of_order(&order, &terms, &mut issuer)?;
            session.output().print(&IssueAnswer::new(answer, None))?;
            say("phi: dry run: nothing was recorded");
            return Ok(());
        }
        let license = if draft {
            issuer.draft_license(order, &context)?
        } else {
            issuer.issue_license(order, &context)?
        };
        let answer = LicenseAnswer::of_record(&license, session.now(), &mut issuer)?;
        let answer = IssueAnswer::new(answer, earlier);
        session.output().print(&answer)?;
        answer.repetition.say();
        let next = if draft {
            "phi license issue --from-draft"
        } else {
            "phi mint"
        };
        say(&format!("phi: next: {next} {}", license.id));
        Ok(())
    }

    fn order(self, issuer: &mut Issuer, now: UnixTime) -> Result<NewLicense, Failure> {
        let product = issuer.product_or_only(self.product.as_deref())?;
        let (Some(customer), Some(plan)) = (&self.customer, &self.plan) else {
            unreachable!("the parser asks for a customer and a plan");
        };
        let mut order = NewLicense::new(customer, &product, plan);
        let begins = self
            .begins
            .map(|begins| begins.beginning(now))
            .transpose()?;
        // What begins now needs no beginning: it begins when it is issued.
        order.not_before = begins.filter(|begins| *begins != now);
        order.trial = self.trial.is_some();
        order.expires = match (self.expires, self.trial) {
            (Some(expires), _) => expires.end(now)?,
            (None, trial) => trial.map(|trial| begins.unwrap_or(now).plus(trial.0)),
        };
        order.grace = self.grace.0;
        order.max_status_age = self.max_status_age.map(|age| age.0);
        order.addons = self.addons;
        order.overrides.flags = self.flags.into_iter().collect();
        order.overrides.without = self.without.into_iter().collect();
        order.overrides.quotas = unique("quota", self.quotas)?;
        order.overrides.limits = unique("limit", self.limits)?;
        order.extensions = unique("extension", self.extensions)?;
        if let Some(request) = &self.fingerprint {
            order.machine = Some(machine(request, self.required)?);
        }
        Ok(order)
    }
}

/// A license that was issued.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi license issue")]
pub(crate) struct IssueAnswer {
    #[serde(flatten)]
    repetition: Repetition,
    #[serde(flatten)]
    license: LicenseAnswer,
}

impl IssueAnswer {
    fn new(license: LicenseAnswer, earlier: Option<UnixTime>) -> Self {
        Self {
            repetition: Repetition::of(earlier),
            license,
        }
    }
}

impl Answer for IssueAnswer {
    fn show(&self, page: &mut Page) {
        self.license.show(page);
    }
}
