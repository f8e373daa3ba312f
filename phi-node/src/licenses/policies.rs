//! What an operator adds to the terms of licenses, by the names of the catalog.

use std::collections::BTreeMap;

use phi_enforce::{Policy, QuotaPolicy, SeatPolicy};
use phi_verify::{Catalog, LimitCode, QuotaCode};

use super::code;

/// Policies of quotas and seats, by the names or the numbers of their codes. What is not named is
/// strict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policies {
    /// Of quotas.
    pub quotas: BTreeMap<String, QuotaPolicy>,
    /// Of concurrency limits.
    pub seats: BTreeMap<String, SeatPolicy>,
}

impl Policies {
    /// The policy of a license whose names are in this catalog. A name that it does not have says
    /// nothing about the license.
    pub(super) fn of(&self, catalog: Option<&Catalog>) -> Policy {
        let mut policy = Policy::default();
        for (name, quota) in &self.quotas {
            let named = || catalog.and_then(|catalog| catalog.quota(name));
            if let Some(code) = code(name, QuotaCode::checked).or_else(named) {
                policy = policy.quota(code, *quota);
            }
        }
        for (name, seats) in &self.seats {
            let named = || catalog.and_then(|catalog| catalog.limit(name));
            if let Some(code) = code(name, LimitCode::checked).or_else(named) {
                policy = policy.seats(code, seats.clone());
            }
        }
        policy
    }
}
