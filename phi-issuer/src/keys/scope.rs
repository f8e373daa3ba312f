//! Scopes: what license keys may sign, and which of them signs a license.

use std::collections::{BTreeMap, BTreeSet};

use phi_verify::{Claims, Exceeded, FlagCode, FlagSet, KeyId, Scope, UnixTime};
use serde::{Deserialize, Serialize};

use super::Role;
use crate::{
    error::Error,
    store::{KeyRow, Query},
};

/// What a license key may sign, as the ledger has it; the keyset makes every verifier hold the
/// key to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyScope {
    /// The products, and the codes of the only flags that the key may grant of each, `None` being
    /// every flag. Without products the key may sign for every one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub products: BTreeMap<String, Option<BTreeSet<u16>>>,
    /// How many seconds a license may last, with its grace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longest: Option<u64>,
}

impl KeyScope {
    /// The scope as the keyset has it.
    pub fn to_wire(&self) -> Scope {
        let flags = |codes: &BTreeSet<u16>| -> FlagSet {
            codes.iter().map(|code| FlagCode::new(*code)).collect()
        };
        let product = |(name, codes): (&String, &Option<BTreeSet<u16>>)| {
            (name.clone(), codes.as_ref().map(flags))
        };
        Scope {
            products: self.products.iter().map(product).collect(),
            longest: self.longest,
        }
    }

    /// The scope that a keyset has.
    pub fn from_wire(scope: &Scope) -> Self {
        let codes = |flags: &FlagSet| flags.iter().map(FlagCode::get).collect();
        let product =
            |(name, flags): (&String, &Option<FlagSet>)| (name.clone(), flags.as_ref().map(codes));
        Self {
            products: scope.products.iter().map(product).collect(),
            longest: scope.longest,
        }
    }

    /// What is wrong with it, as a predicate: what no keyset could say.
    pub(super) fn problem(&self) -> Option<&'static str> {
        let mut codes = self.products.values().flatten().flatten();
        if self.products.is_empty() && self.longest.is_none() {
            Some("has a scope without bounds")
        } else if self.longest == Some(0) {
            Some("has a scope in which no license lasts")
        } else if codes.any(|code| FlagCode::checked(u64::from(*code)).is_none()) {
            Some("has a scope with a flag beyond the code space")
        } else {
            None
        }
    }

    /// How much it lets a key sign, to be compared: products, flags of this one, time.
    fn width(&self, product: &str) -> (usize, usize, u64) {
        let products = match self.products.len() {
            0 => usize::MAX,
            count => count,
        };
        let flags = self.products.get(product).and_then(Option::as_ref);
        let flags = flags.map_or(usize::MAX, BTreeSet::len);
        (products, flags, self.longest.unwrap_or(u64::MAX))
    }
}

/// The license keys in use: of those that sign at this time, the newest of each scope.
pub(crate) fn in_use(query: &Query<'_>, now: UnixTime) -> Result<Vec<KeyRow>, Error> {
    let mut found: Vec<KeyRow> = Vec::new();
    let keys = query.keys()?.into_iter().rev();
    for row in keys.filter(|row| row.role == Role::License && row.signs_at(now)) {
        if found.iter().all(|newer| newer.scope != row.scope) {
            found.push(row);
        }
    }
    if found.is_empty() {
        return Err(Error::NotFound {
            what: "key in use for the role",
            name: Role::License.to_string(),
            hint: "run `phi key list`; a revoked key is replaced with `phi key rotate`",
        });
    }
    Ok(found)
}

/// Of the keys in use, the one that signs a license: the narrowest whose scope it is within. A key
/// for fewer products is narrower, then one for fewer flags, then one for a shorter time.
///
/// # Errors
/// [`Error::NoKeyFits`] with what is beyond each of them.
pub(crate) fn narrowest<'r>(keys: &'r [KeyRow], claims: &Claims) -> Result<&'r KeyRow, Error> {
    let mut beyond: Vec<(KeyId, Exceeded)> = Vec::new();
    let mut fit: Vec<&KeyRow> = Vec::new();
    for row in keys {
        let scope = row.scope.as_ref().map(KeyScope::to_wire);
        match scope.unwrap_or_default().check(claims) {
            Ok(()) => fit.push(row),
            Err(exceeded) => beyond.push((row.public.id(), exceeded)),
        }
    }
    let unlimited = KeyScope::default();
    let width = |row: &&KeyRow| {
        row.scope
            .as_ref()
            .unwrap_or(&unlimited)
            .width(&claims.product)
    };
    fit.into_iter()
        .min_by_key(width)
        .ok_or(Error::NoKeyFits { beyond })
}
