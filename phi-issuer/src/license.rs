//! Licenses: what binds a customer to a plan, and what tokens are minted of.
//!
//! A license is what its events make it: `record` folds them by the table in `state`. Issuing and
//! changing are here; what a license was at an earlier time is `history`'s.

mod change;
mod difference;
mod history;
mod record;
mod state;

use std::{collections::BTreeMap, sync::Arc};

pub use change::{Amendment, Change, LicenseChange, Machine};
pub use difference::{Difference, DifferenceSubject, Direction, direction};
pub use history::{Happening, LicenseAt, Moment, Past};
pub(crate) use history::{at, fold, history};
use phi_verify::{LicenseId, Reason, Terms, UnixTime};
pub use record::{Issuance, LicenseRecord, Misfit, Settled, Waiting};
use serde::{Deserialize, Serialize};
pub use state::{Act, State, TRANSITIONS, Transition};

use crate::{
    Context, Issuer, Revocation, Subject,
    catalog::{Overrides, Revision},
    customer,
    error::Error,
    event::Event,
    issuer::random,
    store::{Query, Writer},
};

/// What a vendor decides when issuing a license.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewLicense {
    /// The customer's id.
    pub customer: String,
    /// The product.
    pub product: String,
    /// The plan.
    pub plan: String,
    /// Add-ons to the plan.
    pub addons: Vec<String>,
    /// What differs from plan and add-ons.
    pub overrides: Overrides,
    /// When it begins, if that is not at once.
    pub not_before: Option<UnixTime>,
    /// When it expires; `None` is a perpetual license.
    pub expires: Option<UnixTime>,
    /// Seconds after the expiry in which it still works.
    pub grace: u64,
    /// The longest age in seconds of the status list under which its tokens are accepted.
    pub max_status_age: Option<u64>,
    /// Texts for the application, by negative numbers.
    pub extensions: BTreeMap<i64, String>,
    /// The machine to which it is bound from the start; the record has it beside the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<Machine>,
    /// Whether it is a trial, which may become an ordinary license.
    #[serde(default, skip_serializing_if = "is_false")]
    pub trial: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_false(value: &bool) -> bool {
    !*value
}

impl NewLicense {
    /// A perpetual license of a plan as the catalog has it.
    pub fn new(customer: &str, product: &str, plan: &str) -> Self {
        Self {
            customer: customer.into(),
            product: product.into(),
            plan: plan.into(),
            addons: Vec::new(),
            overrides: Overrides::default(),
            not_before: None,
            expires: None,
            grace: 0,
            max_status_age: None,
            extensions: BTreeMap::new(),
            machine: None,
            trial: false,
        }
    }
}

/// What is to change about a license.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeRequest {
    /// Bring a draft into force.
    Issue,
    /// Change what it grants.
    Amend(Amendment),
    /// Let it expire later; `None` is never.
    Renew(Option<UnixTime>),
    /// Take it out of force for a while.
    Suspend,
    /// Bring it into force again.
    Reinstate,
    /// Make an ordinary license of a trial.
    ConvertTrial {
        /// Its expiry from then on; `None` is never.
        expires: Option<UnixTime>,
        /// What else changes.
        amendment: Amendment,
    },
    /// Bind it to this machine; `None` is any.
    Rebind(Option<Machine>),
    /// Call off the waiting change that made this revision.
    Withdraw(u64),
}

/// What becomes of the tokens that were minted before a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OldTokens {
    /// They serve until they expire.
    Keep,
    /// The next status list takes them back.
    Cut,
}

/// A change of a license, decided on one of its revisions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LicenseOrder {
    /// The license.
    pub license: LicenseId,
    /// The revision that was looked at; if it is not the newest any more, nothing is changed.
    pub base: u64,
    /// What is to change.
    pub request: ChangeRequest,
    /// When it takes effect; `None` is at once.
    pub effective: Option<UnixTime>,
    /// What becomes of the tokens minted before.
    pub old_tokens: OldTokens,
}

impl LicenseOrder {
    /// A change at once that keeps the tokens minted before.
    pub const fn new(license: LicenseId, base: u64, request: ChangeRequest) -> Self {
        Self {
            license,
            base,
            request,
            effective: None,
            old_tokens: OldTokens::Keep,
        }
    }
}

impl Issuer {
    /// Issues a license.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown customer or product, [`Error::Entitlement`] for terms
    /// that the catalog does not have, [`Error::Invalid`] for times that do not fit.
    pub fn issue_license(
        &mut self,
        order: NewLicense,
        context: &Context,
    ) -> Result<LicenseRecord, Error> {
        self.begin_license(issuing(&order), order, context)
    }

    /// Writes a license down without bringing it into force.
    ///
    /// # Errors
    /// As [`Issuer::issue_license`].
    pub fn draft_license(
        &mut self,
        order: NewLicense,
        context: &Context,
    ) -> Result<LicenseRecord, Error> {
        self.begin_license(Act::Draft, order, context)
    }

    fn begin_license(
        &mut self,
        act: Act,
        order: NewLicense,
        context: &Context,
    ) -> Result<LicenseRecord, Error> {
        self.store
            .write(context, |writer| begin_once(writer, act, order))
    }

    /// Issues many licenses in one transaction; each order is carried out or refused alone. Under
    /// an idempotency key the first order is the request `key/0`, the next one `key/1`.
    ///
    /// # Errors
    /// If the store cannot be written; nothing is issued then. What concerns one order is in its
    /// place.
    pub fn issue_licenses(
        &mut self,
        orders: Vec<NewLicense>,
        context: &Context,
    ) -> Result<Vec<Result<LicenseRecord, Error>>, Error> {
        self.store.write(context, |writer| {
            each(writer, orders, |writer, order| {
                begin_once(writer, issuing(&order), order)
            })
        })
    }

    /// What a license of this order would grant, without issuing it.
    ///
    /// # Errors
    /// As [`Issuer::issue_license`].
    pub fn preview_license(&mut self, order: &NewLicense, now: UnixTime) -> Result<Terms, Error> {
        self.store
            .read(|query| Ok(check(query, order, now, Times::Ahead)?.1))
    }

    /// Changes a license; the license after it.
    ///
    /// # Errors
    /// [`Error::Transition`] if its state does not allow it, [`Error::Conflict`] if it was
    /// changed since its base revision, [`Error::Entitlement`] for terms that the catalog does
    /// not have, now or when a waiting change takes effect.
    pub fn change_license(
        &mut self,
        order: &LicenseOrder,
        context: &Context,
    ) -> Result<LicenseRecord, Error> {
        self.store
            .write(context, |writer| change_once(writer, order))
    }

    /// Changes many licenses in one transaction; each order is carried out or refused alone, after
    /// those before it. Under an idempotency key the first order is the request `key/0`, the next
    /// one `key/1`.
    ///
    /// # Errors
    /// If the store cannot be written; nothing is changed then. What concerns one order is in its
    /// place, as [`Issuer::change_license`] would refuse it.
    pub fn change_licenses(
        &mut self,
        orders: &[LicenseOrder],
        context: &Context,
    ) -> Result<Vec<Result<LicenseRecord, Error>>, Error> {
        self.store
            .write(context, |writer| each(writer, orders, change_once))
    }

    /// The license before a change, which is not made, and after it; a change that waits is
    /// shown as it takes effect.
    ///
    /// # Errors
    /// As [`Issuer::change_license`].
    pub fn simulate_change(
        &mut self,
        order: &LicenseOrder,
        now: UnixTime,
    ) -> Result<(LicenseAt, LicenseAt), Error> {
        self.store.read(|query| {
            let before = find(query, order.license)?;
            let event = decided(query, &before, order)?;
            let after = changed(query, &before, &event, now)?;
            // Both at one time: what time alone does until then is not the change's.
            let then = order.effective.unwrap_or(now);
            let before = history::judged(query, &before, then)?;
            Ok((before, history::judged(query, &after, then)?))
        })
    }

    /// Hands a license over to another customer: a new license takes the place of the old one,
    /// whose tokens the next status list takes back. The old license and the new one.
    ///
    /// # Errors
    /// As [`Issuer::change_license`], and [`Error::NotFound`] for an unknown customer.
    pub fn transfer_license(
        &mut self,
        license: LicenseId,
        base: u64,
        customer: &str,
        context: &Context,
    ) -> Result<(LicenseRecord, LicenseRecord), Error> {
        self.store.write(context, |writer| {
            let request = ("transfer", license, customer);
            if let Some(earlier) = writer.repeated(&request)? {
                let new = earlier.license(writer)?;
                return Ok((find(&writer.query(), license)?, new));
            }
            writer.answers(&request);
            transfer(writer, license, base, customer)
        })
    }

    /// The old license and the new one after a transfer that is not made; the new one's id is
    /// not the one that it will have.
    ///
    /// # Errors
    /// As [`Issuer::transfer_license`].
    pub fn preview_transfer(
        &mut self,
        license: LicenseId,
        base: u64,
        customer: &str,
        context: &Context,
    ) -> Result<(LicenseRecord, LicenseRecord), Error> {
        self.store
            .rehearse(context, |writer| transfer(writer, license, base, customer))
    }

    /// When a request was carried out under this idempotency key, if one was.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn answered_at(&mut self, idempotency_key: &str) -> Result<Option<UnixTime>, Error> {
        self.store.answered_at(idempotency_key)
    }

    /// The license with this id, by all its events.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn license(&mut self, id: LicenseId) -> Result<LicenseRecord, Error> {
        self.store.read(|query| find(query, id))
    }

    /// What the license grants, read in the catalog revision that it names.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn terms_of(&mut self, license: &LicenseRecord) -> Result<Terms, Error> {
        self.store.read(|query| terms(query, license))
    }

    /// The licenses in the order of issue: all, or those of a customer or a product.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn licenses(
        &mut self,
        customer: Option<&str>,
        product: Option<&str>,
    ) -> Result<Vec<LicenseRecord>, Error> {
        self.store.read(|query| query.licenses(customer, product))
    }
}

/// Issues a license as part of a larger change.
pub(crate) fn issue(writer: &mut Writer<'_>, order: NewLicense) -> Result<LicenseRecord, Error> {
    begin(writer, Act::Issue, order, None, Times::Ahead)
}

/// Which times a new license may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Times {
    /// It begins now or later, and expires after that.
    Ahead,
    /// It had its life elsewhere: it may have begun, and may be over by its time.
    AsTheyWere,
}

/// Carries out the parts of a request, each alone.
fn each<T>(
    writer: &mut Writer<'_>,
    parts: impl IntoIterator<Item = T>,
    mut work: impl FnMut(&mut Writer<'_>, T) -> Result<LicenseRecord, Error>,
) -> Result<Vec<Result<LicenseRecord, Error>>, Error> {
    let parts = parts.into_iter().enumerate();
    let carried_out = parts.map(|(place, part)| {
        writer.part(place);
        writer.attempt(|writer| work(writer, part))
    });
    carried_out.collect()
}

/// What the order of a license that is to be in force asks for.
const fn issuing(order: &NewLicense) -> Act {
    if order.trial {
        Act::StartTrial
    } else {
        Act::Issue
    }
}

fn begin_once(
    writer: &mut Writer<'_>,
    act: Act,
    order: NewLicense,
) -> Result<LicenseRecord, Error> {
    let request = (act, &order);
    if let Some(earlier) = writer.repeated(&request)? {
        return earlier.license(writer);
    }
    writer.answers(&request);
    begin(writer, act, order, None, Times::Ahead)
}

fn change_once(writer: &mut Writer<'_>, order: &LicenseOrder) -> Result<LicenseRecord, Error> {
    // Whoever asks again looked at the license again: the base is not what was asked for.
    let request = LicenseOrder {
        base: 0,
        ..order.clone()
    };
    if let Some(earlier) = writer.repeated(&request)? {
        return earlier.license(writer);
    }
    writer.answers(&request);
    change(writer, order)
}

/// Begins a license as part of a larger change.
pub(crate) fn begin(
    writer: &mut Writer<'_>,
    act: Act,
    order: NewLicense,
    supersedes: Option<LicenseId>,
    times: Times,
) -> Result<LicenseRecord, Error> {
    let now = writer.now();
    let (catalog, _) = check(&writer.query(), &order, now, times)?;
    let license = Issuance {
        id: LicenseId::from_bytes(random()?),
        revision: 1,
        issued_at: now,
        catalog_revision: catalog.number(),
        supersedes,
        order,
    };
    let record = LicenseRecord::begin(&license, act);
    writer.append(&match act {
        Act::Draft => Event::LicenseDrafted { license },
        Act::StartTrial => Event::TrialStarted { license },
        _ => Event::LicenseIssued { license },
    })?;
    Ok(record)
}

/// Changes a license as part of a larger change.
pub(crate) fn change(
    writer: &mut Writer<'_>,
    order: &LicenseOrder,
) -> Result<LicenseRecord, Error> {
    let now = writer.now();
    let before = find(&writer.query(), order.license)?;
    let event = decided(&writer.query(), &before, order)?;
    let after = changed(&writer.query(), &before, &event, now)?;
    writer.append(&Event::LicenseChanged(event))?;
    if order.old_tokens == OldTokens::Cut {
        if order.effective.is_some() {
            return Err(Error::Invalid {
                what: "a change that waits",
                problem: "cannot cut tokens that serve until then: keep them".into(),
            });
        }
        cut_tokens(writer, order.license)?;
    }
    Ok(after)
}

fn transfer(
    writer: &mut Writer<'_>,
    license: LicenseId,
    base: u64,
    customer: &str,
) -> Result<(LicenseRecord, LicenseRecord), Error> {
    let now = writer.now();
    let old = find(&writer.query(), license)?.at(now);
    if old.customer == customer {
        return Err(Error::Invalid {
            what: "a transfer",
            problem: format!("is to another customer, and {customer} has the license"),
        });
    }
    let event = |successor| LicenseChange {
        license,
        revision: base.saturating_add(1),
        effective: None,
        change: Change::Transfer { successor },
    };
    // Asked before anything is recorded: a license that cannot go keeps its customer.
    changed(&writer.query(), &old, &event(license), now)?;
    let mut order = NewLicense {
        customer: customer.into(),
        ..old.order.clone()
    };
    order.not_before = order.not_before.filter(|begins| *begins > now);
    let new = begin(writer, issuing(&order), order, Some(license), Times::Ahead)?;
    writer.append(&Event::LicenseChanged(event(new.id)))?;
    writer.append(&Event::Revoked(Revocation {
        subject: Subject::License(license),
        issued_before: None,
        reason: Reason::Superseded,
        since: now,
    }))?;
    Ok((find(&writer.query(), license)?, new))
}

/// Takes back every token that was minted of the license so far.
fn cut_tokens(writer: &mut Writer<'_>, license: LicenseId) -> Result<(), Error> {
    let (query, now) = (writer.query(), writer.now());
    let Some(last) = query.last_issued_of(license)? else {
        return Ok(());
    };
    let cutoff = if last >= now { now.plus(1) } else { now };
    let earlier = query.revocation(phi_verify::RuleClass::License, &license.to_string())?;
    if earlier.is_some_and(|earlier| earlier.issued_before.is_none_or(|before| before >= cutoff)) {
        return Ok(());
    }
    writer.append(&Event::Revoked(Revocation {
        subject: Subject::License(license),
        issued_before: Some(cutoff),
        reason: Reason::Superseded,
        since: now,
    }))
}

/// The event that an order comes to.
fn decided(
    query: &Query<'_>,
    license: &LicenseRecord,
    order: &LicenseOrder,
) -> Result<LicenseChange, Error> {
    // Asked first: what was decided on another revision need not make sense on this one.
    if order.base != license.revision {
        return Err(Error::Conflict {
            license: license.id,
            expected: order.base,
            found: license.revision,
        });
    }
    let change = match order.request.clone() {
        ChangeRequest::Issue => Change::Issue {
            catalog_revision: newest_revision(query, license)?,
        },
        ChangeRequest::Amend(amendment) => Change::Amend {
            catalog_revision: newest_revision(query, license)?,
            amendment,
        },
        ChangeRequest::Renew(expires) => Change::Renew { expires },
        ChangeRequest::Suspend => Change::Suspend,
        ChangeRequest::Reinstate => Change::Reinstate,
        ChangeRequest::ConvertTrial { expires, amendment } => Change::ConvertTrial {
            catalog_revision: newest_revision(query, license)?,
            expires,
            amendment,
        },
        ChangeRequest::Rebind(machine) => Change::Rebind { machine },
        ChangeRequest::Withdraw(withdrawn) => Change::Withdraw { withdrawn },
    };
    Ok(LicenseChange {
        license: order.license,
        revision: order.base.saturating_add(1),
        effective: order.effective,
        change,
    })
}

/// Whether the change makes sense of this license, whatever state it is in.
fn check_change(
    query: &Query<'_>,
    license: &LicenseRecord,
    event: &LicenseChange,
    now: UnixTime,
) -> Result<(), Error> {
    let then = license.at(event.effective.unwrap_or(now));
    match &event.change {
        Change::Issue { catalog_revision } => {
            check_draft(license, &then, now)?;
            check_revision(query, license, *catalog_revision)
        }
        Change::Amend { amendment, .. } if amendment.is_empty() => {
            let problem = "changes nothing: name a plan, an add-on, a flag, a quota or a limit";
            Err(Error::Invalid {
                what: "an amendment",
                problem: problem.into(),
            })
        }
        Change::Amend {
            catalog_revision,
            amendment,
        } => {
            amendment.check(&then)?;
            check_revision(query, license, *catalog_revision)
        }
        Change::Renew { expires } => check_expiry(*expires, now),
        Change::ConvertTrial {
            catalog_revision,
            expires,
            amendment,
        } => {
            amendment.check(&then)?;
            check_revision(query, license, *catalog_revision)?;
            check_expiry(*expires, now)
        }
        Change::Rebind {
            machine: Some(machine),
        } => check_machine(machine, &license.product),
        Change::Rebind { machine: None }
        | Change::Suspend
        | Change::Reinstate
        | Change::Transfer { .. }
        | Change::Withdraw { .. } => Ok(()),
    }
}

fn check_draft(license: &LicenseRecord, then: &LicenseRecord, now: UnixTime) -> Result<(), Error> {
    let over = then.expires.is_some_and(|expires| expires <= now);
    if license.state(now) != State::Draft || !over {
        return Ok(());
    }
    Err(Error::NotAllowed {
        what: format!("license {}", license.id),
        problem: "is a draft that would have expired by now",
        hint: "write another with `phi license issue --draft`",
    })
}

fn check_expiry(expires: Option<UnixTime>, now: UnixTime) -> Result<(), Error> {
    if expires.is_none_or(|expires| expires > now) {
        return Ok(());
    }
    Err(Error::Invalid {
        what: "a new expiry",
        problem: "is in the past".into(),
    })
}

/// What is decided now is read in the catalog that is newest now.
fn check_revision(query: &Query<'_>, license: &LicenseRecord, revision: u64) -> Result<(), Error> {
    let newest = newest_revision(query, license)?;
    if newest == revision {
        return Ok(());
    }
    Err(Error::Invalid {
        what: "a change of a license",
        problem: format!("is read in catalog revision {revision}, and the newest is {newest}"),
    })
}

fn newest_revision(query: &Query<'_>, license: &LicenseRecord) -> Result<u64, Error> {
    let catalog = query.newest_catalog(&license.product)?;
    let catalog = catalog.ok_or_else(|| no_catalog(&license.product))?;
    Ok(catalog.number())
}

fn check_machine(machine: &Machine, product: &str) -> Result<(), Error> {
    let found = machine.fingerprint()?.0.product().to_owned();
    if found == product {
        return Ok(());
    }
    Err(Error::Invalid {
        what: "the fingerprint",
        problem: format!("is for product {found}, the license for {product}"),
    })
}

/// The license after the event, which must make sense now and whenever something that waits
/// takes effect.
pub(crate) fn changed(
    query: &Query<'_>,
    license: &LicenseRecord,
    event: &LicenseChange,
    now: UnixTime,
) -> Result<LicenseRecord, Error> {
    check_change(query, license, event, now)?;
    let mut after = license.clone();
    after
        .apply(now, event)
        .map_err(|misfit| misfit_of(license.id, misfit))?;
    check_sense(query, &after)?;
    for waiting in after.waiting.clone() {
        check_sense(query, &after.at(waiting.effective)).map_err(|error| match error {
            cause @ (Error::Entitlement(_) | Error::Invalid { .. }) => Error::WaitingMisfit {
                license: license.id,
                revision: waiting.revision,
                effective: waiting.effective,
                cause: Box::new(cause),
            },
            error => error,
        })?;
    }
    Ok(after)
}

fn check_sense(query: &Query<'_>, license: &LicenseRecord) -> Result<(), Error> {
    check_end(license)?;
    terms(query, license).map(drop)
}

/// What only a license that expires can have.
fn check_end(order: &NewLicense) -> Result<(), Error> {
    if order.grace > 0 && order.expires.is_none() {
        return invalid("has a grace but does not expire");
    }
    if order.trial && order.expires.is_none() {
        return invalid("is a trial and does not expire");
    }
    Ok(())
}

fn invalid<T>(problem: &str) -> Result<T, Error> {
    Err(Error::Invalid {
        what: "a license",
        problem: problem.into(),
    })
}

pub(crate) fn misfit_of(license: LicenseId, misfit: Misfit) -> Error {
    match misfit {
        Misfit::Transition { state, act } => Error::Transition {
            license,
            state,
            act,
        },
        Misfit::Revision { expected, found } => Error::Conflict {
            license,
            expected,
            found,
        },
        Misfit::Rule(problem) => Error::NotAllowed {
            what: format!("license {license}"),
            problem,
            hint: "run `phi license show` to see what it is now",
        },
    }
}

pub(crate) fn find(query: &Query<'_>, id: LicenseId) -> Result<LicenseRecord, Error> {
    query.license(id)?.ok_or_else(|| Error::NotFound {
        what: "license",
        name: id.to_string(),
        hint: "run `phi license list`",
    })
}

/// The deterministic mapping: catalog revision and license in, entitlements out.
pub(crate) fn terms(query: &Query<'_>, license: &LicenseRecord) -> Result<Terms, Error> {
    terms_in(query, license.catalog_revision, license)
}

/// What an order comes to in a catalog revision.
pub(crate) fn terms_in(
    query: &Query<'_>,
    revision: u64,
    order: &NewLicense,
) -> Result<Terms, Error> {
    let catalog = query.catalog(&order.product, revision)?;
    let catalog = catalog.ok_or_else(|| no_catalog(&order.product))?;
    resolve(&catalog, order)
}

/// The lowest number of an issuer's own extensions; those below are kept for later versions of
/// the format (docs/spec.md, "Extending the format").
const EXTENSIONS: i64 = -65_536;

/// Whether a license of this order may begin, and what it then grants.
pub(crate) fn check(
    query: &Query<'_>,
    order: &NewLicense,
    now: UnixTime,
    times: Times,
) -> Result<(Arc<Revision>, Terms), Error> {
    if query.customer(&order.customer)?.is_none() {
        return Err(customer::not_found(&order.customer));
    }
    let begins = match times {
        Times::Ahead if order.not_before.is_some_and(|begins| begins <= now) => {
            return invalid("begins in the past: leave its beginning out to begin at once");
        }
        Times::Ahead => order.not_before.unwrap_or(now),
        Times::AsTheyWere => order.not_before.unwrap_or(UnixTime::EPOCH),
    };
    if order.expires.is_some_and(|expires| expires <= begins) {
        return invalid("expires before it begins");
    }
    check_end(order)?;
    if let Some(machine) = &order.machine {
        check_machine(machine, &order.product)?;
    }
    if order.max_status_age == Some(0) {
        return invalid("asks for a status list that is no second old");
    }
    let own = EXTENSIONS..0;
    if order.extensions.keys().any(|number| !own.contains(number)) {
        return invalid("has an extension whose number is not -1 to -65536");
    }
    let catalog = query
        .newest_catalog(&order.product)?
        .ok_or_else(|| no_catalog(&order.product))?;
    let terms = resolve(&catalog, order)?;
    Ok((catalog, terms))
}

fn resolve(catalog: &Revision, order: &NewLicense) -> Result<Terms, Error> {
    Ok(catalog
        .entitlements(&order.plan, &order.addons, &order.overrides)?
        .terms()?)
}

pub(crate) fn no_catalog(product: &str) -> Error {
    Error::NotFound {
        what: "catalog of product",
        name: product.into(),
        hint: "run `phi catalog publish` with the product's catalog.toml",
    }
}
