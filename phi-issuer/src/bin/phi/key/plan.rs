//! `phi key rotate --plan`: the steps of a rotation with their dates, and whom they would hurt.

use clap::Args;
use phi_issuer::when::When;
use phi_issuer::{Issuer, Orphan, Orphans, PlannedStep, Role, RotationPlan, StepTime};
use phi_verify::{KeyId, UnixTime};
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{Answer, Page, say};
use crate::session::Session;
use crate::view::{Stamp, counted, near};

/// What is asked of a plan.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Show the steps of the rotation with their dates, and do nothing
    #[arg(long)]
    pub(super) plan: bool,
    /// With --plan: ask what dropping the old key at this time would take from customers
    #[arg(long, value_name = "TIME", requires = "plan")]
    drop: Option<When>,
    /// With --plan: how many of the licenses that a step would orphan are listed
    #[arg(long, value_name = "COUNT", default_value_t = LISTED, requires = "plan")]
    list: usize,
    /// With --plan: accept a plan that orphans live licenses
    #[arg(long, requires = "plan")]
    force: bool,
}

/// As many licenses as a person reads; the rest is a number.
pub(crate) const LISTED: usize = 10;

impl Options {
    pub(super) fn run(
        &self,
        role: Role,
        like: Option<KeyId>,
        at: UnixTime,
        issuer: &mut Issuer,
        session: &Session,
    ) -> Result<(), Failure> {
        if role != Role::License {
            let message = format!("no license depends on a {role} key: there is nothing to plan");
            return Err(Failure::new("input-invalid", message)
                .hint(format!("phi key rotate --role {role} --dry-run")));
        }
        let now = session.now();
        let drop_at = self.drop.map(|time| time.beginning(now)).transpose()?;
        if drop_at.is_some_and(|drop_at| drop_at < at) {
            let message = "a key is dropped after another took over, not before";
            return Err(
                Failure::new("input-invalid", message).hint("name a later time with --drop")
            );
        }
        let plan = issuer.plan_license_rotation(like, at, drop_at, self.list, now)?;
        session.output().print(&PlanAnswer::new(&plan, now))?;
        let orphaned = plan.orphaned();
        if orphaned > 0 && !self.force {
            let failure = would_orphan(orphaned).hint(
                "leave --drop out: the key is dropped by itself when its last token has ended",
            );
            return Err(Failure {
                answered: true,
                ..failure
            });
        }
        say("phi: a plan: nothing was recorded");
        Ok(())
    }
}

/// Why a step that takes live tokens from customers is refused.
pub(crate) fn would_orphan(tokens: u64) -> Failure {
    let tokens = counted(usize::try_from(tokens).unwrap_or(usize::MAX), "live token");
    Failure::new(
        "would-orphan",
        format!("{tokens} would not be accepted any more"),
    )
}

/// The live licenses that would be left without a token.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct OrphansView {
    /// Live tokens that are lost.
    pub(crate) tokens: u64,
    /// The licenses that they are of.
    pub(crate) licenses: u64,
    /// The first of these.
    pub(crate) first: Vec<OrphanView>,
}

/// A license that would lose tokens.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct OrphanView {
    /// Its id.
    license: String,
    /// Its customer.
    customer: String,
    /// Its product.
    product: String,
    /// How many live tokens it would lose.
    tokens: u64,
    /// When the last of them ends; null is never.
    ends: Option<Stamp>,
}

impl OrphansView {
    pub(crate) fn new(orphans: &Orphans) -> Self {
        let view = |orphan: &Orphan| OrphanView {
            license: orphan.license.to_string(),
            customer: orphan.customer.clone(),
            product: orphan.product.clone(),
            tokens: orphan.tokens,
            ends: orphan.ends.map(Stamp::from),
        };
        Self {
            tokens: orphans.tokens,
            licenses: orphans.licenses,
            first: orphans.first.iter().map(view).collect(),
        }
    }

    /// The table of the first, and how many follow.
    pub(crate) fn show(&self, page: &mut Page) {
        if self.first.is_empty() {
            return;
        }
        page.gap();
        let row = |orphan: &OrphanView| {
            let ends = orphan.ends.as_ref();
            [
                orphan.license.clone(),
                orphan.customer.clone(),
                orphan.product.clone(),
                orphan.tokens.to_string(),
                ends.map_or("never".into(), Stamp::to_string),
            ]
        };
        let rows: Vec<_> = self.first.iter().map(row).collect();
        page.table(["LICENSE", "CUSTOMER", "PRODUCT", "TOKENS", "ENDS"], &rows);
        let more = self.licenses - self.first.len() as u64;
        if more > 0 {
            page.line(&format!("and {more} more; --list shows more of them"));
        }
    }
}

/// A plan.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi key rotate --plan")]
pub(crate) struct PlanAnswer {
    /// The key that takes over; null is one that the rotation would make.
    new: Option<String>,
    /// The key that is succeeded; null if none signs.
    old: Option<String>,
    /// In the order in which they are taken.
    steps: Vec<StepView>,
    /// What to know before it begins.
    warnings: Vec<String>,
}

/// A step.
#[derive(Debug, Serialize, JsonSchema)]
struct StepView {
    /// `stage`, `announce`, `activate`, `retire` or `drop`.
    step: String,
    /// The key; null is one that the rotation would make.
    key: Option<String>,
    /// Whether it was taken.
    done: bool,
    /// When it was or is taken; null is never.
    at: Option<Stamp>,
    /// How far away that is, for people.
    when: String,
    /// The command that takes it; null if it is taken by another step.
    command: Option<String>,
    /// What it would take from customers.
    orphans: OrphansView,
}

impl PlanAnswer {
    fn new(plan: &RotationPlan, now: UnixTime) -> Self {
        let mut warnings = Vec::new();
        if !plan.is_announced() {
            warnings.push(
                "no published keyset has the new key: an application that has no newer keyset \
                 refuses its tokens with unknown-key, so publish it well before, or send the \
                 keyset with every license"
                    .to_owned(),
            );
        }
        Self {
            new: plan.new.map(|key| key.to_string()),
            old: plan.old.map(|key| key.to_string()),
            steps: plan
                .steps
                .iter()
                .map(|step| StepView::new(step, now))
                .collect(),
            warnings,
        }
    }
}

impl StepView {
    fn new(planned: &PlannedStep, now: UnixTime) -> Self {
        let (done, at) = match planned.time {
            StepTime::Done(at) => (true, Some(at)),
            StepTime::Due(at) => (false, Some(at)),
            StepTime::Never => (false, None),
        };
        let command = match planned.step.name() {
            "stage" => Some("phi key new"),
            "announce" | "drop" => Some("phi keyset publish"),
            "activate" => Some("phi key rotate"),
            _ => None,
        };
        Self {
            step: planned.step.name().to_owned(),
            key: planned.key.map(|key| key.to_string()),
            done,
            at: at.map(Stamp::from),
            when: match at {
                None => "never: a token under it has no end".to_owned(),
                Some(at) => near(now, at),
            },
            command: command.filter(|_| !done).map(str::to_owned),
            orphans: OrphansView::new(&planned.orphans),
        }
    }
}

impl Answer for PlanAnswer {
    fn show(&self, page: &mut Page) {
        let row = |step: &StepView| {
            [
                step.step.clone(),
                step.key.clone().unwrap_or_else(|| "to be made".into()),
                if step.done { "done" } else { "" }.to_owned(),
                step.when.clone(),
                step.orphans.tokens.to_string(),
                step.command.clone().unwrap_or_default(),
            ]
        };
        let rows: Vec<_> = self.steps.iter().map(row).collect();
        page.table(["STEP", "KEY", "", "WHEN", "ORPHANS", "COMMAND"], &rows);
        for step in &self.steps {
            step.orphans.show(page);
        }
        if !self.warnings.is_empty() {
            page.gap();
            page.each("warning", self.warnings.iter().cloned());
        }
    }
}
