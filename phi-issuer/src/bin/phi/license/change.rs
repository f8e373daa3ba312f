//! The verbs that change a license that is there, and what they answer.

use std::ffi::OsString;

use clap::Args;
use phi_issuer::{ChangeRequest, LicenseAt, LicenseOrder, OldTokens};
use phi_verify::{LicenseId, UnixTime};
use schemars::JsonSchema;
use serde::Serialize;

use super::answer::expired_by;
use super::differences::show_differences;
use super::options::{AmendOptions, ChangeOptions, Repetition, Tokens, machine};
use super::{DifferenceRow, LicenseAnswer};
use crate::failure::Failure;
use crate::output::{Answer, Page, say};
use crate::session::Session;
use crate::view::Stamp;
use phi_issuer::when::When;

/// Change what a license grants: an upgrade, a downgrade, an add-on, another amount
#[derive(Debug, Args)]
#[command(
    long_about = "Change what a license grants: an upgrade, a downgrade, an add-on, another \
        amount.\n\n\
        What is not named stays as it is. With --effective the change waits for its time and \
        takes effect by itself; phi license withdraw calls it off.",
    after_help = "Examples:\n  \
        phi license amend 6c6963656e736531 --plan enterprise --reason \"order 4711\"\n  \
        phi license amend 6c6963656e736531 --quota api_calls=500000 --remove-addon extra_seats\n  \
        phi license amend 6c6963656e736531 --plan team --effective 2031-01-05 --dry-run"
)]
pub(crate) struct Amend {
    /// The license's id
    license: LicenseId,
    #[command(flatten)]
    amendment: AmendOptions,
    /// When it takes effect [default: now]
    #[arg(long, value_name = "TIME")]
    effective: Option<When>,
    /// What becomes of the tokens that were minted before
    #[arg(long, value_enum, value_name = "WHAT", default_value = "keep")]
    old_tokens: Tokens,
    #[command(flatten)]
    options: ChangeOptions,
}

impl Amend {
    pub(super) fn run(self, session: &Session) -> Result<(), Failure> {
        let amendment = self.amendment.amendment()?;
        carry_out(self.license, &self.options, session, |now| {
            Ok(Decision {
                request: ChangeRequest::Amend(amendment),
                effective: beginning(self.effective, now)?,
                old_tokens: self.old_tokens.into(),
            })
        })
    }
}

/// Let a license expire later
#[derive(Debug, Args)]
#[command(
    long_about = "Let a license expire later. One that has expired is in force again.",
    after_help = "Examples:\n  \
        phi license renew 6c6963656e736531 --expires 2032-01-04\n  \
        phi license renew 6c6963656e736531 --expires never --reason \"contract 12, section 3\""
)]
pub(crate) struct Renew {
    /// The license's id
    license: LicenseId,
    /// When it ends: a date (its last day), a time, a span ahead, or never
    #[arg(long, value_name = "TIME")]
    expires: When,
    /// What becomes of the tokens that were minted before
    #[arg(long, value_enum, value_name = "WHAT", default_value = "keep")]
    old_tokens: Tokens,
    #[command(flatten)]
    options: ChangeOptions,
}

impl Renew {
    pub(super) fn run(self, session: &Session) -> Result<(), Failure> {
        carry_out(self.license, &self.options, session, |now| {
            Ok(Decision {
                request: ChangeRequest::Renew(self.expires.end(now)?),
                effective: None,
                old_tokens: self.old_tokens.into(),
            })
        })
    }
}

/// Take a license out of force for a while
#[derive(Debug, Args)]
#[command(
    long_about = "Take a license out of force for a while. The next status document lists it, \
        and its tokens are refused until it is reinstated and another document is published.",
    after_help = "Examples:\n  \
        phi license suspend 6c6963656e736531 --reason \"invoice 88 is unpaid\"\n  \
        phi license suspend 6c6963656e736531 --effective 2031-03-01"
)]
pub(crate) struct Suspend {
    /// The license's id
    license: LicenseId,
    /// When it takes effect [default: now]
    #[arg(long, value_name = "TIME")]
    effective: Option<When>,
    #[command(flatten)]
    options: ChangeOptions,
}

impl Suspend {
    pub(super) fn run(self, session: &Session) -> Result<(), Failure> {
        carry_out(self.license, &self.options, session, |now| {
            Decision::keeping(ChangeRequest::Suspend, self.effective, now)
        })
    }
}

/// Bring a suspended license into force again
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    phi license reinstate 6c6963656e736531 --reason \"invoice 88 is paid\"\n  \
    phi license reinstate 6c6963656e736531 --effective +30d")]
pub(crate) struct Reinstate {
    /// The license's id
    license: LicenseId,
    /// When it takes effect [default: now]
    #[arg(long, value_name = "TIME")]
    effective: Option<When>,
    #[command(flatten)]
    options: ChangeOptions,
}

impl Reinstate {
    pub(super) fn run(self, session: &Session) -> Result<(), Failure> {
        carry_out(self.license, &self.options, session, |now| {
            Decision::keeping(ChangeRequest::Reinstate, self.effective, now)
        })
    }
}

/// Make an ordinary license of a trial
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    phi license convert 6c6963656e736531 --expires +1y\n  \
    phi license convert 6c6963656e736531 --expires +1y --plan enterprise --grace 14d")]
pub(crate) struct Convert {
    /// The license's id
    license: LicenseId,
    /// When it ends from then on: a date (its last day), a time, a span ahead, or never
    #[arg(long, value_name = "TIME")]
    expires: When,
    #[command(flatten)]
    amendment: AmendOptions,
    /// What becomes of the tokens that were minted before
    #[arg(long, value_enum, value_name = "WHAT", default_value = "keep")]
    old_tokens: Tokens,
    #[command(flatten)]
    options: ChangeOptions,
}

impl Convert {
    pub(super) fn run(self, session: &Session) -> Result<(), Failure> {
        let amendment = self.amendment.amendment()?;
        carry_out(self.license, &self.options, session, |now| {
            let expires = self.expires.end(now)?;
            Ok(Decision {
                request: ChangeRequest::ConvertTrial { expires, amendment },
                effective: None,
                old_tokens: self.old_tokens.into(),
            })
        })
    }
}

/// Bind a license to another machine, or to none
#[derive(Debug, Args)]
#[command(
    long_about = "Bind a license to another machine, or to none. Its tokens for the old machine \
        are taken back by the next status document, unless they are kept.",
    after_help = "Examples:\n  \
        phi license rebind 6c6963656e736531 --fingerprint request.txt --match 2\n  \
        phi license rebind 6c6963656e736531 --any-machine --old-tokens keep"
)]
pub(crate) struct Rebind {
    /// The license's id
    license: LicenseId,
    /// The machine's fingerprint request: text, a file or -
    #[arg(long, value_name = "REQUEST", required_unless_present = "any_machine")]
    fingerprint: Option<OsString>,
    /// How many components of the machine must match [default: more than half]
    #[arg(long = "match", value_name = "K", requires = "fingerprint")]
    required: Option<usize>,
    /// Bind it to no machine
    #[arg(long, conflicts_with = "fingerprint")]
    any_machine: bool,
    /// What becomes of the tokens that were minted before
    #[arg(long, value_enum, value_name = "WHAT", default_value = "cut")]
    old_tokens: Tokens,
    #[command(flatten)]
    options: ChangeOptions,
}

impl Rebind {
    pub(super) fn run(self, session: &Session) -> Result<(), Failure> {
        let request = self.fingerprint.as_ref();
        let machine = request
            .map(|request| machine(request, self.required))
            .transpose()?;
        carry_out(self.license, &self.options, session, |_| {
            Ok(Decision {
                request: ChangeRequest::Rebind(machine),
                effective: None,
                old_tokens: self.old_tokens.into(),
            })
        })
    }
}

/// Call off a change that waits for its time
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    phi license withdraw 6c6963656e736531 3 --reason \"the customer stays\"")]
pub(crate) struct Withdraw {
    /// The license's id
    license: LicenseId,
    /// The revision of the change that waits, as phi license show lists it
    revision: u64,
    #[command(flatten)]
    options: ChangeOptions,
}

impl Withdraw {
    pub(super) fn run(self, session: &Session) -> Result<(), Failure> {
        carry_out(self.license, &self.options, session, |now| {
            Decision::keeping(ChangeRequest::Withdraw(self.revision), None, now)
        })
    }
}

/// What is decided about a license.
pub(super) struct Decision {
    pub(super) request: ChangeRequest,
    pub(super) effective: Option<UnixTime>,
    pub(super) old_tokens: OldTokens,
}

impl Decision {
    fn keeping(
        request: ChangeRequest,
        effective: Option<When>,
        now: UnixTime,
    ) -> Result<Self, Failure> {
        Ok(Self {
            request,
            effective: beginning(effective, now)?,
            old_tokens: OldTokens::Keep,
        })
    }
}

pub(super) fn beginning(when: Option<When>, now: UnixTime) -> Result<Option<UnixTime>, Failure> {
    Ok(when.map(|when| when.beginning(now)).transpose()?)
}

/// Changes a license, or shows what would be different. The decision is made at the time from
/// which spans ahead count.
pub(super) fn carry_out(
    id: LicenseId,
    options: &ChangeOptions,
    session: &Session,
    decide: impl FnOnce(UnixTime) -> Result<Decision, Failure>,
) -> Result<(), Failure> {
    let mut issuer = session.issuer()?;
    let now = session.now();
    let earlier = options.record.carried_out(&mut issuer)?;
    let decision = decide(earlier.unwrap_or(now))?;
    let order = LicenseOrder {
        license: id,
        base: options.base(id, &mut issuer)?,
        request: decision.request,
        effective: decision.effective,
        old_tokens: decision.old_tokens,
    };
    let context = options.record.context(session);
    if let Some(earlier) = earlier {
        let license = issuer.change_license(&order, &context)?;
        let license = LicenseAnswer::of_record(&license, now, &mut issuer)?;
        session.output().print(&ChangeAnswer {
            dry_run: false,
            repetition: Repetition::of(Some(earlier)),
            license,
            effective: order.effective.map(Stamp::from),
            past_expiry: false,
            tokens_cut: false,
            differences: Vec::new(),
        })?;
        Repetition::of(Some(earlier)).say();
        return Ok(());
    }
    let (before, after) = issuer.simulate_change(&order, now)?;
    let differences = DifferenceRow::all(&mut issuer, &before, &after)?;
    let minted = !issuer.tokens_of(id)?.is_empty();
    let license = if options.dry_run {
        LicenseAnswer::of_past(&after, &mut issuer)?
    } else {
        let license = issuer.change_license(&order, &context)?;
        LicenseAnswer::of_record(&license, now, &mut issuer)?
    };
    let late = late(&order, &after);
    let answer = ChangeAnswer {
        dry_run: options.dry_run,
        repetition: Repetition::of(None),
        license,
        effective: order.effective.map(Stamp::from),
        past_expiry: !late.is_empty(),
        tokens_cut: order.old_tokens == OldTokens::Cut && minted,
        differences,
    };
    session.output().print(&answer)?;
    for (effective, expires) in late {
        say(&format!(
            "phi: note: the change waits until {effective}, and the license expires at {expires}: it \
             will have expired by then unless it is renewed"
        ));
    }
    if options.dry_run {
        say("phi: dry run: nothing was recorded");
    } else if let Some(next) = answer.next(&order) {
        say(&format!("phi: next: {next}"));
    }
    Ok(())
}

/// The changes that wait beyond the expiry of the license, with that: the one of this order, and
/// after a renewal all that wait.
fn late(order: &LicenseOrder, after: &LicenseAt) -> Vec<(UnixTime, UnixTime)> {
    let license = &after.license;
    let waiting: Vec<_> = match (&order.request, order.effective) {
        (_, Some(effective)) => vec![effective],
        (ChangeRequest::Renew(_), None) => {
            license.waiting.iter().map(|one| one.effective).collect()
        }
        _ => Vec::new(),
    };
    let late = waiting.into_iter();
    late.filter_map(|effective| Some((effective, expired_by(license, effective)?)))
        .collect()
}

/// A change of a license.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "a change of a license")]
pub(crate) struct ChangeAnswer {
    /// Whether nothing was recorded.
    dry_run: bool,
    #[serde(flatten)]
    repetition: Repetition,
    #[serde(flatten)]
    license: LicenseAnswer,
    /// When it takes effect, if it waits for that.
    effective: Option<Stamp>,
    /// Whether it waits beyond the expiry of the license, which will have expired by then unless
    /// it is renewed; of a renewal, whether anything still does.
    past_expiry: bool,
    /// Whether the next status document takes back the tokens that were minted before.
    tokens_cut: bool,
    /// What is different after it; of one that waits, when it takes effect.
    differences: Vec<DifferenceRow>,
}

impl ChangeAnswer {
    /// The commands that carry the change to where it is seen.
    fn next(&self, order: &LicenseOrder) -> Option<String> {
        if self.effective.is_some() {
            return None;
        }
        let listed = matches!(
            order.request,
            ChangeRequest::Suspend | ChangeRequest::Reinstate
        );
        let differs = self.differences.iter().any(DifferenceRow::is_in_tokens);
        let grants = !listed && self.license.is_active() && differs;
        let mint = format!("phi mint {}", order.license);
        match (listed || self.tokens_cut, grants) {
            (true, true) => Some(format!("phi status publish, then {mint}")),
            (true, false) => Some("phi status publish".into()),
            (false, true) => Some(mint),
            (false, false) => None,
        }
    }
}

impl Answer for ChangeAnswer {
    fn show(&self, page: &mut Page) {
        self.license.show(page);
        if self.repetition.repeated {
            return;
        }
        page.gap();
        if let (Some(effective), false) = (&self.effective, self.differences.is_empty()) {
            page.line(&format!("different from {effective} on"));
        }
        show_differences(&self.differences, page);
        if self.tokens_cut {
            page.gap();
            page.line("the tokens minted before are taken back by the next status document");
        }
    }
}
