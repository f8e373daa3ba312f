//! The scope of a license key, for people and as JSON.

use std::collections::BTreeMap;

use phi_issuer::KeyScope;
use phi_issuer::when::Length;
use schemars::JsonSchema;
use serde::Serialize;

/// What a license key may sign.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ScopeView {
    /// The products, and the codes of the only flags that it may grant of each; null is every
    /// flag. Without products it may sign for every one.
    products: BTreeMap<String, Option<Vec<u16>>>,
    /// How many seconds a license may last, with its grace; null is without end.
    longest: Option<u64>,
    /// The same for people.
    pub(crate) words: String,
}

impl ScopeView {
    pub(crate) fn new(scope: &KeyScope) -> Self {
        let codes = |codes: &std::collections::BTreeSet<u16>| codes.iter().copied().collect();
        let products = scope.products.iter();
        Self {
            products: products
                .map(|(name, flags)| (name.clone(), flags.as_ref().map(codes)))
                .collect(),
            longest: scope.longest,
            words: scope_words(scope),
        }
    }
}

/// In one line: `atlas (flags 1, 4), at most 400d`.
pub(crate) fn scope_words(scope: &KeyScope) -> String {
    let products = scope.products.iter();
    let product = |(name, codes): (&String, &Option<_>)| match codes {
        None => name.clone(),
        Some(codes) => {
            let codes: &std::collections::BTreeSet<u16> = codes;
            let codes: Vec<_> = codes.iter().map(u16::to_string).collect();
            format!("{name} (flags {})", codes.join(", "))
        }
    };
    let mut words: Vec<_> = products.map(product).collect();
    words.extend(
        scope
            .longest
            .map(|longest| format!("at most {}", Length(longest))),
    );
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_said_in_one_line() {
        let scope = KeyScope {
            products: BTreeMap::from([
                ("atlas".into(), Some([4, 1].into())),
                ("boreas".into(), None),
            ]),
            longest: Some(400 * 86_400),
        };
        assert_eq!(
            scope_words(&scope),
            "atlas (flags 1, 4), boreas, at most 400d"
        );
    }
}
