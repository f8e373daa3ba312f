//! What a license key may sign: its products, their flags, and how long a license may last.
//!
//! Where a key is in its life is the keyset's; judging a token against its key is the verifier's.

use alloc::{collections::BTreeMap, string::String, vec::Vec};
use core::fmt;

use crate::{
    cbor::{self, Fields, Item, MapBuilder, Value},
    claims::Claims,
    error::Malformed,
    terms::{FlagCode, FlagSet},
};

/// The bounds of a license key (docs/spec.md, "Scopes"). The default is a key without bounds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// The products that the key may sign for, and the only flags that it may grant of each,
    /// `None` being every flag. Without products it may sign for every one.
    pub products: BTreeMap<String, Option<FlagSet>>,
    /// How many seconds a license may last: from its issue or its beginning, whichever is
    /// earlier, to the end of its grace. A perpetual license is then beyond the scope.
    pub longest: Option<u64>,
}

/// What of a license is beyond its key's scope.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exceeded {
    /// The key does not sign for the product.
    Product(String),
    /// The key does not grant the flag; the first in the order of codes.
    Flag(FlagCode),
    /// The license lasts too long.
    Validity {
        /// How many seconds it may last.
        longest: u64,
        /// How many it lasts; `None` is a perpetual license.
        found: Option<u64>,
    },
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Product(product) => write!(f, "product {product:?}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
            Self::Validity {
                longest,
                found: Some(found),
            } => write!(f, "{found} seconds of validity, {longest} are allowed"),
            Self::Validity {
                longest,
                found: None,
            } => write!(f, "a perpetual license, {longest} seconds are allowed"),
        }
    }
}

mod entry {
    pub(super) const PRODUCTS: u64 = 0;
    pub(super) const LONGEST: u64 = 1;
}

impl Scope {
    /// Whether the key has no bounds.
    pub fn is_unlimited(&self) -> bool {
        self.products.is_empty() && self.longest.is_none()
    }

    /// That the license is within the scope.
    ///
    /// # Errors
    /// The first bound that it exceeds: the product, a flag, the validity.
    pub fn check(&self, claims: &Claims) -> Result<(), Exceeded> {
        match self.products.get(&claims.product) {
            Some(Some(flags)) => check_flags(flags, &claims.terms.flags)?,
            None if !self.products.is_empty() => {
                return Err(Exceeded::Product(claims.product.clone()));
            }
            Some(None) | None => {}
        }
        let Some(longest) = self.longest else {
            return Ok(());
        };
        let found = validity(claims);
        if found.is_some_and(|found| found <= longest) {
            return Ok(());
        }
        Err(Exceeded::Validity { longest, found })
    }

    /// `{? 0 => {+ product => [* flag code] / true}, ? 1 => seconds}`, which is not empty.
    pub(crate) fn decode(item: Item, key: u64) -> Result<Self, Malformed> {
        let mut fields = Fields::of(item, key)?;
        let products = fields.take(entry::PRODUCTS);
        let products = products
            .map(|item| decode_products(item, key))
            .transpose()?;
        let longest = fields.take(entry::LONGEST);
        let longest = longest.map(|item| cbor::positive(item, key)).transpose()?;
        fields.end(key)?;
        let scope = Self {
            products: products.unwrap_or_default(),
            longest,
        };
        if scope.is_unlimited() {
            let problem = "has a scope without bounds: leave it out";
            return Err(Malformed::Field { key, problem });
        }
        Ok(scope)
    }

    /// The scope as it travels; nothing if it has no bounds.
    pub(crate) fn encode(&self) -> Option<Value> {
        if self.is_unlimited() {
            return None;
        }
        let mut products: Vec<_> = self
            .products
            .iter()
            .map(|(product, flags)| (Value::from(product.as_str()), encode_flags(flags.as_ref())))
            .collect();
        // Texts ascend by their length first: that is how their heads ascend.
        products.sort_by_cached_key(|(product, _)| cbor::encode(product));
        let mut map = MapBuilder::default();
        map.put_nonempty(entry::PRODUCTS, products);
        map.put_some(entry::LONGEST, self.longest);
        Some(map.value())
    }
}

fn check_flags(allowed: &FlagSet, granted: &FlagSet) -> Result<(), Exceeded> {
    let beyond = granted.iter().find(|flag| !allowed.contains(*flag));
    beyond.map_or(Ok(()), |flag| Err(Exceeded::Flag(flag)))
}

/// From the earlier of issue and beginning, for a thief sets both at will, to the end of grace,
/// in which a license works as before.
fn validity(claims: &Claims) -> Option<u64> {
    let from = claims.issued_at.min(claims.begins());
    let ends = claims.expires?.plus(claims.grace);
    Some(ends.seconds().saturating_sub(from.seconds()))
}

fn decode_products(item: Item, key: u64) -> Result<BTreeMap<String, Option<FlagSet>>, Malformed> {
    let entries = cbor::map(item, key)?;
    if entries.is_empty() {
        let problem = "has a scope with an empty map of products: leave it out";
        return Err(Malformed::Field { key, problem });
    }
    let product = |(product, flags)| Ok((cbor::text(product, key)?, decode_flags(flags, key)?));
    entries.entries().map(product).collect()
}

/// `[* flag code]`, strictly ascending, or `true` for every flag.
fn decode_flags(item: Item, key: u64) -> Result<Option<FlagSet>, Malformed> {
    if matches!(item, Item::Bool(true)) {
        return Ok(None);
    }
    let mut flags = FlagSet::default();
    let mut last = None;
    for code in cbor::list(item, key)?.iter() {
        let problem = "has a scope with a flag beyond the code space";
        let flag = FlagCode::checked(cbor::uint(code, key)?);
        let flag = flag.ok_or(Malformed::Field { key, problem })?;
        if last >= Some(flag) {
            let problem = "has a scope with flags that do not strictly ascend";
            return Err(Malformed::Field { key, problem });
        }
        last = Some(flag);
        flags.insert(flag);
    }
    Ok(Some(flags))
}

fn encode_flags(flags: Option<&FlagSet>) -> Value {
    let Some(flags) = flags else {
        return true.into();
    };
    Value::Array(flags.iter().map(|flag| flag.get().into()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_its_own_encoding_again() {
        let flags: FlagSet = [0, 7, 4095].map(FlagCode::new).into_iter().collect();
        let products = [
            ("zz", Some(flags)),
            ("aaa", None),
            ("b", Some(FlagSet::default())),
        ];
        let scope = Scope {
            products: products.map(|(name, flags)| (name.into(), flags)).into(),
            longest: Some(1),
        };
        let bytes = cbor::encode(&scope.encode().unwrap());
        let item = Item::decode(&bytes).unwrap();
        assert_eq!(Scope::decode(item, 5), Ok(scope));
        assert_eq!(Scope::default().encode(), None);
    }
}
