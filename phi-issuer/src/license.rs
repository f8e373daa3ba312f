//! Licenses: what binds a customer to a plan, and what tokens are minted of.
//!
//! A license is what its events make it: `record` folds them by the table in `state`. `issue`,
//! `order` and `transfer` record them; what a license was at an earlier time is `history`'s. What
//! all of them ask is here.

mod change;
mod difference;
mod early;
mod history;
mod issue;
mod order;
mod record;
mod state;
mod transfer;

pub use change::{Amendment, Change, LicenseChange, Machine};
pub use difference::{Difference, DifferenceSubject, Direction, direction};
pub use early::SettledEarly;
pub(crate) use early::settled_early;
pub(crate) use history::{CustomerRevocations, fold, history_of, judged_of, replayed};
pub use history::{Happening, LicenseAt, Moment, Past};
pub use issue::NewLicense;
pub(crate) use issue::{Times, begin, check, issue};
pub use order::{ChangeRequest, LicenseOrder, OldTokens};
pub(crate) use order::{change, changed};
use phi_verify::{LicenseId, Terms, UnixTime};
pub use record::{Issuance, LicenseRecord, Misfit, Settled, Waiting};
pub use state::{Act, State, TRANSITIONS, Transition};

use crate::{
    Issuer,
    catalog::Revision,
    error::Error,
    store::{Query, Writer},
};

impl Issuer {
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
            then: None,
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
