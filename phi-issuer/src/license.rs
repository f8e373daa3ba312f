//! Licenses: what binds a customer to a plan, and what tokens are minted of.

use std::{collections::BTreeMap, sync::Arc};

use phi_verify::{LicenseId, Terms, UnixTime};
use serde::{Deserialize, Serialize};

use crate::{
    Context, Issuer,
    catalog::{Overrides, Revision},
    customer,
    error::Error,
    event::Event,
    issuer::random,
    store::{Query, Writer},
};

/// A license as the ledger has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LicenseRecord {
    /// Its name.
    pub id: LicenseId,
    /// Counts its changes, from 1.
    pub revision: u64,
    /// When it was issued.
    pub issued_at: UnixTime,
    /// The catalog revision in which its plan and overrides are read, now and later.
    pub catalog_revision: u64,
    /// What was ordered.
    #[serde(flatten)]
    pub order: NewLicense,
}

impl std::ops::Deref for LicenseRecord {
    type Target = NewLicense;

    fn deref(&self) -> &NewLicense {
        &self.order
    }
}

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
        self.store.write(context, |writer| issue(writer, order))
    }

    /// What a license of this order would grant, without issuing it.
    ///
    /// # Errors
    /// As [`Issuer::issue_license`].
    pub fn preview_license(&mut self, order: &NewLicense, now: UnixTime) -> Result<Terms, Error> {
        self.store.read(|query| Ok(check(query, order, now)?.1))
    }

    /// The license with this id.
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
    let now = writer.context.now;
    let (catalog, _) = check(&writer.query(), &order, now)?;
    let license = LicenseRecord {
        id: LicenseId::from_bytes(random()?),
        revision: 1,
        issued_at: now,
        catalog_revision: catalog.number(),
        order,
    };
    writer.append(&Event::LicenseIssued {
        license: license.clone(),
    })?;
    Ok(license)
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
    let catalog = query.catalog(&license.product, license.catalog_revision)?;
    let catalog = catalog.ok_or_else(|| no_catalog(&license.product))?;
    resolve(&catalog, license)
}

/// The lowest number of an issuer's own extensions; those below are kept for later versions of
/// the format (docs/spec.md, "Extending the format").
const EXTENSIONS: i64 = -65_536;

fn check(
    query: &Query<'_>,
    order: &NewLicense,
    now: UnixTime,
) -> Result<(Arc<Revision>, Terms), Error> {
    let invalid = |problem: &str| {
        Err(Error::Invalid {
            what: "a license",
            problem: problem.into(),
        })
    };
    if query.customer(&order.customer)?.is_none() {
        return Err(customer::not_found(&order.customer));
    }
    if order.not_before.is_some_and(|begins| begins <= now) {
        return invalid("begins in the past: leave its beginning out to begin at once");
    }
    let begins = order.not_before.unwrap_or(now);
    if order.expires.is_some_and(|expires| expires <= begins) {
        return invalid("expires before it begins");
    }
    if order.grace > 0 && order.expires.is_none() {
        return invalid("has a grace but does not expire");
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
