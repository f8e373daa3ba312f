//! What the ledger revokes at a moment, looked up without any of a list's hashing: what every
//! published list is held against.

use std::collections::HashMap;

use phi_verify::{KeyId, LicenseId, Reason, RuleClass, TokenId, UnixTime};

use crate::{
    error::Error,
    event::Subject,
    store::{Query, TokenRow},
};

/// What is taken back, whole or up to a time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Revoked {
    tokens: HashMap<TokenId, Taken>,
    licenses: HashMap<LicenseId, Taken>,
    customers: HashMap<String, Taken>,
    keys: HashMap<KeyId, Taken>,
}

/// How far something is taken back, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    issued_before: Option<UnixTime>,
    pub(crate) reason: Reason,
}

impl Taken {
    fn reaches(&self, issued_at: UnixTime) -> bool {
        self.issued_before.is_none_or(|before| issued_at < before)
    }
}

impl Revoked {
    /// What the ledger has at this time. Features are left out, for they take no token back, and
    /// so is what a key lost behind its cut: a list does not say that, the keyset does.
    pub(crate) fn load(query: &Query<'_>, now: UnixTime) -> Result<Self, Error> {
        let mut revoked = Self::default();
        for one in query.revocations()? {
            let (issued_before, reason) = (one.issued_before, one.reason);
            let taken = Taken {
                issued_before,
                reason,
            };
            match one.subject {
                Subject::Token(id) => drop(revoked.tokens.insert(id, taken)),
                Subject::License(id) => drop(revoked.licenses.insert(id, taken)),
                Subject::Customer(id) => drop(revoked.customers.insert(id, taken)),
                Subject::Key(id) if one.cut.is_none() => drop(revoked.keys.insert(id, taken)),
                Subject::Key(_) | Subject::Feature { .. } => {}
            }
        }
        for license in query.suspended(now)? {
            let taken = Taken {
                issued_before: None,
                reason: Reason::Suspended,
            };
            revoked.licenses.insert(license.id, taken);
        }
        Ok(revoked)
    }

    /// By what the token is taken back: of several, by the widest.
    pub(crate) fn reaches(&self, token: &TokenRow) -> Option<(RuleClass, Taken)> {
        let found = [
            (RuleClass::Key, self.keys.get(&token.key_id)),
            (RuleClass::Customer, self.customers.get(&token.customer)),
            (RuleClass::License, self.licenses.get(&token.license)),
            (RuleClass::Token, self.tokens.get(&token.id)),
        ];
        let reaches = |(class, taken): (RuleClass, Option<&Taken>)| {
            let taken = taken.filter(|taken| taken.reaches(token.issued_at))?;
            Some((class, *taken))
        };
        found.into_iter().find_map(reaches)
    }

    /// Whether the token is taken back by itself.
    pub(crate) fn names(&self, token: TokenId) -> bool {
        self.tokens.contains_key(&token)
    }
}
