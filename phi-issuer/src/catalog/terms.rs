//! The vocabulary of terms: kinds and meanings; periods and allowances are the wire format's.

use std::fmt;

use phi_verify::{FLAG_CODES, LIMIT_CODES, Period, QUOTA_CODES};
use serde::{Deserialize, Serialize};

/// What sort of term a name stands for; each kind has its own codes, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// On or off.
    Flag,
    /// Counted over a period.
    Quota,
    /// Held at the same time: seats, nodes, sessions.
    Limit,
}

impl Kind {
    /// Every kind, in the order the catalog lists them.
    pub const ALL: [Self; 3] = [Self::Flag, Self::Quota, Self::Limit];

    /// How many codes this kind may ever use, removed ones included.
    pub const fn max_codes(self) -> u16 {
        match self {
            Self::Flag => FLAG_CODES,
            Self::Quota => QUOTA_CODES,
            Self::Limit => LIMIT_CODES,
        }
    }

    /// The word for one: `flag`, `quota`, `limit`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Flag => "flag",
            Self::Quota => "quota",
            Self::Limit => "limit",
        }
    }

    /// The word for several, which is also the table of `catalog.toml`.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Flag => "flags",
            Self::Quota => "quotas",
            Self::Limit => "limits",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// What a code means. It is fixed when the code is given and never changes after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Meaning {
    /// A feature flag.
    Flag,
    /// A quota: what is counted, and over which period.
    Quota {
        /// When the count starts anew.
        period: Period,
        /// What is counted, for people.
        unit: Option<String>,
    },
    /// A concurrency limit.
    Limit {
        /// What is held at the same time, for people.
        unit: Option<String>,
    },
}

impl Meaning {
    /// The kind of term this is.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Flag => Kind::Flag,
            Self::Quota { .. } => Kind::Quota,
            Self::Limit { .. } => Kind::Limit,
        }
    }
}

/// The word for [`Allowance::Unlimited`] in text.
pub(super) const UNLIMITED: &str = "unlimited";
