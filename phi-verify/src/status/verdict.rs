//! What status lists say of a token, in words.

use core::fmt;

use super::{Reason, rule::RuleClass};
use crate::terms::FlagSet;

/// What the lists at hand say of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The lists know the token and do not revoke it.
    Good,
    /// The token is revoked.
    Revoked {
        /// Why. What is revoked one by one carries no reason.
        reason: Reason,
        /// What was revoked.
        rule: RuleClass,
    },
    /// The lists cannot know the token, and no rule revokes it.
    NotCovered,
    /// The lists know the token and have a filter that errs on the side of revoking: the token
    /// is probably revoked.
    Probable,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Good => "good",
            Self::Revoked { .. } => "revoked",
            Self::NotCovered => "not-covered",
            Self::Probable => "probable",
        })
    }
}

/// What was known of a license's revocation when it was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// What the lists say: never [`Verdict::Revoked`], which no policy accepts, and
    /// [`Verdict::NotCovered`] if there are none.
    pub verdict: Verdict,
    /// How old the newest list is.
    pub freshness: Freshness,
    /// The epoch of the newest list, if there is one.
    pub epoch: Option<u64>,
    /// The features that were granted and are revoked.
    pub disabled: FlagSet,
    /// The epoch of a list that is newer than the one at hand: the issuer had it when it minted
    /// the token. Somebody keeps it from this machine, or nobody has brought it yet.
    pub newer: Option<u64>,
}

/// How old a status list is, by its own three times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Freshness {
    /// The next list is not due yet.
    Fresh,
    /// The next list is due, and this one still serves.
    Stale,
    /// The list is past its hard expiry.
    Expired,
    /// There is no list.
    Missing,
}

impl fmt::Display for Freshness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Fresh => "fresh",
            Self::Stale => "stale",
            Self::Expired => "expired",
            Self::Missing => "missing",
        })
    }
}
