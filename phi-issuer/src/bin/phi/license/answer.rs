//! A license as an answer: what every verb of `phi license` shows of it.

use std::collections::BTreeMap;

use phi_issuer::{Happening, Issuer, LicenseAt, LicenseRecord, NewLicense, State};
use phi_verify::{Terms, UnixTime};
use schemars::JsonSchema;
use serde::Serialize;

use super::TokenRow;
use super::rows::Revoked;
use super::words;
use crate::failure::Failure;
use crate::output::{Answer, Page};
use crate::view::{Names, Stamp, TermsView};
use phi_issuer::when::Length;

/// A license in the store.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct LicenseAnswer {
    /// Its id, 16 hexadecimal digits; null in a dry run.
    license: Option<String>,
    /// Counts its changes.
    revision: Option<u64>,
    /// `draft`, `active`, `grace`, `suspended`, `expired`, `revoked` or `superseded`; null in a
    /// dry run.
    state: Option<String>,
    /// Since when it is in this state.
    since: Option<Stamp>,
    /// The customer's id.
    customer: String,
    /// The product.
    product: String,
    /// The plan.
    plan: String,
    /// Whether it is a trial.
    trial: bool,
    /// Add-ons to the plan.
    addons: Vec<String>,
    /// When it was issued; of a draft when it was written down.
    issued_at: Option<Stamp>,
    /// When it begins, if that is later.
    begins: Option<Stamp>,
    /// When it expires; null is never.
    expires: Option<Stamp>,
    /// Seconds after the expiry in which it still works.
    grace_seconds: u64,
    /// The longest age in seconds of the status document that its tokens accept.
    max_status_age_seconds: Option<u64>,
    /// The catalog revision in which its plan is read.
    catalog_revision: Option<u64>,
    /// What it grants.
    #[serde(flatten)]
    terms: TermsView,
    /// The machine to which it is bound; null is any.
    machine: Option<MachineView>,
    /// Texts for the application, by number.
    extensions: BTreeMap<String, String>,
    /// Changes that wait for their time, in the order in which they take effect.
    waiting: Vec<WaitingRow>,
    /// The license whose place it took.
    supersedes: Option<String>,
    /// The license that took its place.
    successor: Option<String>,
    /// Why it is revoked; null if it is not.
    revoked: Option<String>,
    /// Tokens issued before this time are taken back, though the license is not; null if none are.
    cut_before: Option<Stamp>,
}

impl LicenseAnswer {
    /// A license that is not there yet.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub(super) fn of_order(
        order: &NewLicense,
        terms: &Terms,
        issuer: &mut Issuer,
    ) -> Result<Self, Failure> {
        let catalog = issuer.catalog(Some(&order.product))?;
        let texts = order.extensions.iter();
        Ok(Self {
            license: None,
            revision: None,
            state: None,
            since: None,
            customer: order.customer.clone(),
            product: order.product.clone(),
            plan: order.plan.clone(),
            trial: order.trial,
            addons: order.addons.clone(),
            issued_at: None,
            begins: order.not_before.map(Stamp::from),
            expires: order.expires.map(Stamp::from),
            grace_seconds: order.grace,
            max_status_age_seconds: order.max_status_age,
            catalog_revision: None,
            terms: TermsView::new(terms, &Names::of_revision(&catalog)),
            machine: order.machine.as_ref().map(MachineView::of).transpose()?,
            extensions: texts
                .map(|(number, text)| (number.to_string(), text.clone()))
                .collect(),
            waiting: Vec::new(),
            supersedes: None,
            successor: None,
            revoked: None,
            cut_before: None,
        })
    }

    /// A license as it is now.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub(super) fn of_record(
        license: &LicenseRecord,
        now: UnixTime,
        issuer: &mut Issuer,
    ) -> Result<Self, Failure> {
        let then = license.at(now);
        let terms = issuer.terms_of(&then)?;
        let revoked = Revoked::load(issuer)?;
        let answer = Self::standing(&then, now, &terms, revoked.license(&then), issuer)?;
        Ok(Self {
            cut_before: revoked.cut_before(&then).map(Stamp::from),
            ..answer
        })
    }

    /// A license as it was.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub(super) fn of_past(at: &LicenseAt, issuer: &mut Issuer) -> Result<Self, Failure> {
        let revoked = match &at.customer_revoked {
            Some(revocation) => Some(format!(
                "{}, as all of the customer's",
                revocation.reason.name()
            )),
            None if at.state.allows().next().is_none() => revoked_then(at, issuer)?,
            None => None,
        };
        Self::standing(&at.license, at.time, &at.terms, revoked, issuer)
    }

    fn standing(
        license: &LicenseRecord,
        time: UnixTime,
        terms: &Terms,
        revoked: Option<String>,
        issuer: &mut Issuer,
    ) -> Result<Self, Failure> {
        Ok(Self {
            license: Some(license.id.to_string()),
            revision: Some(license.revision),
            state: Some(license.state(time).name().to_owned()),
            since: Some(license.since(time).into()),
            issued_at: Some(license.issued_at.into()),
            catalog_revision: Some(license.catalog_revision),
            machine: license.machine.as_ref().map(MachineView::of).transpose()?,
            waiting: WaitingRow::all(license),
            supersedes: license.supersedes.map(|id| id.to_string()),
            successor: license.successor.map(|id| id.to_string()),
            revoked,
            ..Self::of_order(license, terms, issuer)?
        })
    }

    /// Whether tokens can be minted of it.
    pub(super) fn is_active(&self) -> bool {
        self.state.as_deref() == Some(State::Active.name())
    }

    /// As it is shown where nothing was recorded, so that it has no id yet.
    pub(super) fn without_id(self) -> Self {
        Self {
            license: None,
            ..self
        }
    }

    /// As it is shown where nothing was recorded, so that no license took its place yet.
    pub(super) fn without_successor(self) -> Self {
        Self {
            successor: None,
            ..self
        }
    }

    /// The license and its customer.
    pub(super) fn line(&self) -> String {
        let license = self.license.as_deref().unwrap_or("a new license");
        let state = self.state.as_deref().unwrap_or("not recorded");
        format!("{license} of {}, which is {state}", self.customer)
    }

    fn show_standing(&self, page: &mut Page) {
        if let Some(license) = &self.license {
            page.field("license", license);
        }
        if let (Some(state), Some(since), Some(revision)) =
            (&self.state, &self.since, self.revision)
        {
            let standing = format!("{state} since {since}, revision {revision}");
            page.field("state", standing);
        }
        if let Some(revoked) = &self.revoked {
            page.field("revoked", revoked);
        }
        if let Some(before) = &self.cut_before {
            page.field("tokens cut", format!("those issued before {before}"));
        }
        if let Some(supersedes) = &self.supersedes {
            page.field("supersedes", supersedes);
        }
        if let Some(successor) = &self.successor {
            page.field("successor", successor);
        }
    }

    fn show_times(&self, page: &mut Page) {
        if let Some(issued) = &self.issued_at {
            let draft = self.state.as_deref() == Some(State::Draft.name());
            page.field(if draft { "drafted" } else { "issued" }, issued);
        }
        if let Some(begins) = &self.begins {
            page.field("begins", begins);
        }
        let expires = self.expires.as_ref();
        page.field("expires", expires.map_or("never".into(), Stamp::to_string));
        if self.grace_seconds > 0 {
            page.field("grace", Length(self.grace_seconds));
        }
        if let Some(age) = self.max_status_age_seconds {
            page.field("status age", format!("at most {}", Length(age)));
        }
    }
}

/// Why the license was taken back by then.
fn revoked_then(at: &LicenseAt, issuer: &mut Issuer) -> Result<Option<String>, Failure> {
    let history = issuer.license_history(at.license.id, at.time)?;
    let mut until_then = history.iter().rev().filter(|moment| moment.time <= at.time);
    let reason = |moment: &phi_issuer::Moment| match &moment.happening {
        Happening::Revoked(revocation) if revocation.issued_before.is_none() => {
            Some(revocation.reason.name().to_owned())
        }
        _ => None,
    };
    Ok(until_then.find_map(reason))
}

impl Answer for LicenseAnswer {
    fn show(&self, page: &mut Page) {
        self.show_standing(page);
        page.field("customer", &self.customer);
        page.field("product", &self.product);
        page.field(
            "plan",
            if self.trial {
                format!("{}, as a trial", self.plan)
            } else {
                self.plan.clone()
            },
        );
        if !self.addons.is_empty() {
            page.field("add-ons", self.addons.join(", "));
        }
        self.show_times(page);
        if let Some(revision) = self.catalog_revision {
            page.field("catalog", format!("revision {revision}"));
        }
        self.terms.show(page);
        if let Some(machine) = &self.machine {
            page.field("machine", machine.line());
        }
        for (number, text) in &self.extensions {
            page.field("extension", format!("{number}: {text}"));
        }
        page.each("waiting", self.waiting.iter().map(WaitingRow::line));
    }
}

/// The machine to which a license is bound.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct MachineView {
    /// How many components must match.
    required: usize,
    /// The kinds of its components.
    components: Vec<String>,
}

impl MachineView {
    /// # Errors
    /// If the ledger's text is no fingerprint request.
    pub(crate) fn of(machine: &phi_issuer::Machine) -> Result<Self, Failure> {
        let (fingerprint, required) = machine.fingerprint()?;
        let kinds = fingerprint.components();
        Ok(Self {
            required,
            components: kinds.map(|(kind, _)| kind.to_owned()).collect(),
        })
    }

    pub(crate) fn line(&self) -> String {
        format!(
            "bound: {} of {} must match: {}",
            self.required,
            self.components.len(),
            self.components.join(", ")
        )
    }
}

/// A change that waits for its time.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct WaitingRow {
    /// The revision that it made, by which it is withdrawn.
    revision: u64,
    /// When it takes effect.
    effective: Stamp,
    /// `amend`, `suspend` or `reinstate`.
    act: String,
    /// What changes, in words; empty if the act says all.
    detail: String,
    /// Whether the license's time will be up by then, unless it is renewed.
    past_expiry: bool,
}

impl WaitingRow {
    /// The changes that wait.
    pub(super) fn all(license: &LicenseRecord) -> Vec<Self> {
        let row = |waiting: &phi_issuer::Waiting| Self {
            revision: waiting.revision,
            effective: waiting.effective.into(),
            act: waiting.change.act().name().to_owned(),
            detail: words::detail(&waiting.change),
            past_expiry: expired_by(license, waiting.effective).is_some(),
        };
        license.waiting.iter().map(row).collect()
    }

    /// The changes under each other.
    pub(super) fn show(rows: &[Self], page: &mut Page) {
        page.each("waiting", rows.iter().map(Self::line));
    }

    fn line(&self) -> String {
        let Self {
            revision,
            effective,
            act,
            detail,
            past_expiry,
        } = self;
        let late = if *past_expiry {
            ", past its expiry"
        } else {
            ""
        };
        match detail.as_str() {
            "" => format!("{act} at {effective} (revision {revision}{late})"),
            detail => format!("{act} at {effective}: {detail} (revision {revision}{late})"),
        }
    }
}

/// The license's expiry, if its time will be up by then, by all that is known of it.
pub(super) fn expired_by(license: &LicenseRecord, then: UnixTime) -> Option<UnixTime> {
    let expires = license.at(then).expires;
    expires.filter(|expires| *expires <= then)
}

/// A license and its tokens.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi license show")]
pub(crate) struct LicenseShowAnswer {
    #[serde(flatten)]
    pub(super) license: LicenseAnswer,
    /// The tokens minted of it, in the order of minting.
    pub(super) tokens: Vec<TokenRow>,
}

impl Answer for LicenseShowAnswer {
    fn show(&self, page: &mut Page) {
        self.license.show(page);
        page.gap();
        if self.tokens.is_empty() {
            page.line("no token was minted of it");
            return;
        }
        let row = |token: &TokenRow| {
            [
                token.id.clone(),
                token.key.clone(),
                token.issued_at.to_string(),
                token.revoked.clone().unwrap_or_default(),
            ]
        };
        let rows: Vec<_> = self.tokens.iter().map(row).collect();
        page.table(["TOKEN", "KEY", "MINTED", "REVOKED"], &rows);
    }
}
