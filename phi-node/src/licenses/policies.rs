//! What an operator adds to the terms of licenses, by the names of the catalog.
//!
//! What is not named is strict, and so is what is named by a name that no catalog here has: nothing is
//! admitted beyond a license because somebody mistyped. Reading the file is left to `file.rs`.

mod error;
mod file;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use phi_enforce::{Policy, QuotaPolicy, SeatPolicy};
use phi_verify::{Catalog, LimitCode, QuotaCode};

pub use self::{
    error::PolicyError,
    file::{MAX_LOAN_DAYS, MAX_POLICY_FILE},
};
use super::code;

/// Policies of quotas and seats, by the names or the numbers of their codes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policies {
    path: PathBuf,
    /// Of every product whose catalog has the name.
    all: Named,
    /// Of a product alone: before those of every product.
    products: BTreeMap<String, (Line, Named)>,
}

/// The line of a file, from 1.
type Line = usize;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Named {
    quotas: Table<QuotaPolicy>,
    seats: Table<SeatPolicy>,
}

/// A part of the policies that is not in force, because it is not known what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Misfit {
    pub(crate) error: PolicyError,
    pub(crate) may: MayFit,
}

/// Whether a catalog may come under which it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MayFit {
    /// A product's catalog is not here yet.
    Later,
    /// Those that it could be in are here.
    Never,
}

impl Policies {
    /// Reads a file of policies. No lease may be longer than this.
    ///
    /// # Errors
    /// [`PolicyError`]: what is wrong, and in which line.
    pub fn load(path: &Path, longest_lease: Duration) -> Result<Self, PolicyError> {
        file::load(path, longest_lease)
    }

    /// Reads policies from the text of a file.
    ///
    /// # Errors
    /// As [`Policies::load`].
    pub fn parse(path: &Path, text: &str, longest_lease: Duration) -> Result<Self, PolicyError> {
        file::parse(path, text, longest_lease)
    }

    /// The policy of a license of this product, whose names are in this catalog.
    pub(super) fn of(&self, product: &str, catalog: Option<&Catalog>) -> Policy {
        let mut policy = Policy::default();
        let own = self.products.get(product).map(|(_, named)| named);
        for named in [Some(&self.all), own].into_iter().flatten() {
            let quotas = by_code(&named.quotas, |name| quota(name, catalog));
            for (code, stated) in quotas {
                if let [(_, _, quota)] = stated[..] {
                    policy = policy.quota(code, *quota);
                }
            }
            let seats = by_code(&named.seats, |name| limit(name, catalog));
            for (code, stated) in seats {
                if let [(_, _, seats)] = stated[..] {
                    policy = policy.seats(code, seats.clone());
                }
            }
        }
        policy
    }

    /// What is not in force at a node that takes licenses of these products: of those that there
    /// are catalogs of, if it names none.
    pub(super) fn misfits(
        &self,
        products: &[String],
        catalogs: &BTreeMap<String, Arc<Catalog>>,
    ) -> Vec<Misfit> {
        let all: Vec<&Catalog> = catalogs.values().map(|catalog| &**catalog).collect();
        let every = if products.is_empty() {
            !all.is_empty()
        } else {
            products.iter().all(|name| catalogs.contains_key(name))
        };
        let may = |here| if here { MayFit::Never } else { MayFit::Later };
        let mut found = self.misfits_of(&self.all, None, &all, may(every));
        for (product, (line, named)) in &self.products {
            if !products.is_empty() && !products.contains(product) {
                let error = self.unknown(*line, "product", product, None, products.to_vec());
                let may = MayFit::Never;
                found.push(Misfit { error, may });
                continue;
            }
            let catalog = catalogs.get(product).map(|catalog| &**catalog);
            let may = may(catalog.is_some());
            found.extend(self.misfits_of(named, Some(product), catalog.as_slice(), may));
        }
        found
    }

    fn misfits_of(
        &self,
        named: &Named,
        product: Option<&str>,
        catalogs: &[&Catalog],
        may: MayFit,
    ) -> Vec<Misfit> {
        let mut errors = self.strangers(&named.quotas, "quota", product, catalogs, quota, |of| {
            let names = of.quotas.values().map(|(named, _)| named.name.clone());
            names.collect()
        });
        errors.extend(
            self.strangers(&named.seats, "limit", product, catalogs, limit, |of| {
                let names = of.limits.values().map(|named| named.name.clone());
                names.collect()
            }),
        );
        let misfits = errors.into_iter().map(|error| Misfit { error, may });
        let mut misfits: Vec<_> = misfits.collect();
        for catalog in catalogs {
            let quotas = by_code(&named.quotas, |name| quota(name, Some(catalog)));
            let twice = quotas.values().filter_map(|stated| self.twice(stated));
            let seats = by_code(&named.seats, |name| limit(name, Some(catalog)));
            let twice = twice.chain(seats.values().filter_map(|stated| self.twice(stated)));
            misfits.extend(twice.map(|error| Misfit {
                error,
                may: MayFit::Never,
            }));
        }
        misfits
    }

    /// The names that none of these catalogs has.
    fn strangers<P, C>(
        &self,
        table: &Table<P>,
        what: &'static str,
        product: Option<&str>,
        catalogs: &[&Catalog],
        code: fn(&str, Option<&Catalog>) -> Option<C>,
        names: fn(&Catalog) -> Vec<String>,
    ) -> Vec<PolicyError> {
        let is_known = |name: &str| {
            let mut named = catalogs.iter().map(|catalog| code(name, Some(catalog)));
            // A number needs no catalog.
            code(name, None).is_some() || named.any(|code| code.is_some())
        };
        let strange = table.iter().filter(|(name, _)| !is_known(name));
        let errors = strange.map(|(name, (line, _))| {
            let known = catalogs.iter().flat_map(|catalog| names(catalog));
            self.unknown(*line, what, name, product, known.collect())
        });
        errors.collect()
    }

    fn unknown(
        &self,
        line: Line,
        what: &'static str,
        name: &str,
        product: Option<&str>,
        known: Vec<String>,
    ) -> PolicyError {
        PolicyError::Unknown {
            path: self.path.clone(),
            line,
            what,
            name: name.into(),
            product: product.map(str::to_owned),
            known,
        }
    }

    fn twice<P>(&self, stated: &[Stated<'_, P>]) -> Option<PolicyError> {
        let [(first, _, _), (second, line, _), ..] = stated else {
            return None;
        };
        Some(PolicyError::Refused {
            path: self.path.clone(),
            line: *line,
            problem: format!("{first} and {second} are the same; neither is in force"),
        })
    }
}

type Table<P> = BTreeMap<String, (Line, P)>;
/// What is said of a code, by its name or its number.
type Stated<'p, P> = (&'p str, Line, &'p P);

fn by_code<P, C: Ord>(
    table: &Table<P>,
    code: impl Fn(&str) -> Option<C>,
) -> BTreeMap<C, Vec<Stated<'_, P>>> {
    let mut found = BTreeMap::<C, Vec<_>>::new();
    for (name, (line, policy)) in table {
        if let Some(code) = code(name) {
            let stated = found.entry(code).or_default();
            stated.push((name.as_str(), *line, policy));
        }
    }
    found
}

fn quota(name: &str, catalog: Option<&Catalog>) -> Option<QuotaCode> {
    let named = || catalog.and_then(|catalog| catalog.quota(name));
    code(name, QuotaCode::checked).or_else(named)
}

fn limit(name: &str, catalog: Option<&Catalog>) -> Option<LimitCode> {
    let named = || catalog.and_then(|catalog| catalog.limit(name));
    code(name, LimitCode::checked).or_else(named)
}

#[cfg(test)]
mod tests;
