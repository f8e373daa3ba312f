//! Issuing: what a vendor decides when a license begins, and whether it may.

use std::{collections::BTreeMap, sync::Arc};

use phi_verify::{LicenseId, Terms, UnixTime};
use serde::{Deserialize, Serialize};

use super::{
    Act, Issuance, LicenseRecord, Machine, check_end, check_machine, each, invalid, no_catalog,
    resolve,
};
use crate::{
    Context, Issuer,
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
            .read(|query| Ok(check(query, order, query.lifted(now)?, Times::Ahead)?.1))
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

/// What the order of a license that is to be in force asks for.
pub(super) const fn issuing(order: &NewLicense) -> Act {
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
