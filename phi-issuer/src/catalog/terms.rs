//! The vocabulary of terms: kinds, periods and allowances, and how each is written in text.
//!
//! `Period` and `Allowance` are the words of the wire format; this file is the one place that ties
//! the catalog to them.

use std::fmt;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

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
    ///
    /// Flags are a bitmap in the token: 4096 of them take 683 of its 4096 characters. A quota or
    /// a limit takes several bytes each, so 256 of them are as many as a token could carry.
    pub const fn max_codes(self) -> u16 {
        match self {
            Self::Flag => 4096,
            Self::Quota | Self::Limit => 256,
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
        /// After which time the count starts again.
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

/// The time over which a quota is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// Never starts again.
    Lifetime,
    /// Each hour.
    Hour,
    /// Each day.
    Day,
    /// Each calendar month.
    Month,
    /// Each calendar year.
    Year,
}

impl Period {
    /// Every period, in the order of their numbers on the wire.
    pub const ALL: [Self; 5] = [
        Self::Lifetime,
        Self::Hour,
        Self::Day,
        Self::Month,
        Self::Year,
    ];

    /// The period's word in `catalog.toml`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Lifetime => "lifetime",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
            Self::Year => "year",
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// How much of a quota or limit is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Allowance {
    /// At most this many.
    Limited(u64),
    /// No bound.
    Unlimited,
}

/// The word for [`Allowance::Unlimited`] in text.
pub(super) const UNLIMITED: &str = "unlimited";

impl Allowance {
    /// The sum of two allowances, or `None` when it cannot be counted; unlimited wins.
    pub(super) fn plus(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Limited(a), Self::Limited(b)) => a.checked_add(b).map(Self::Limited),
            _ => Some(Self::Unlimited),
        }
    }
}

impl fmt::Display for Allowance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limited(count) => fmt::Display::fmt(count, f),
            Self::Unlimited => f.pad(UNLIMITED),
        }
    }
}

impl Serialize for Allowance {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Limited(count) => serializer.serialize_u64(*count),
            Self::Unlimited => serializer.serialize_str(UNLIMITED),
        }
    }
}

impl<'de> Deserialize<'de> for Allowance {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AllowanceVisitor)
    }
}

struct AllowanceVisitor;

impl Visitor<'_> for AllowanceVisitor {
    type Value = Allowance;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number or \"unlimited\"")
    }

    fn visit_u64<E: de::Error>(self, count: u64) -> Result<Allowance, E> {
        Ok(Allowance::Limited(count))
    }

    // Formats that know no unsigned numbers hand over signed ones.
    fn visit_i64<E: de::Error>(self, count: i64) -> Result<Allowance, E> {
        let unsigned = de::Unexpected::Signed(count);
        u64::try_from(count)
            .map(Allowance::Limited)
            .map_err(|_| E::invalid_value(unsigned, &self))
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<Allowance, E> {
        if word == UNLIMITED {
            Ok(Allowance::Unlimited)
        } else {
            Err(E::invalid_value(de::Unexpected::Str(word), &self))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allowances_are_a_number_or_a_word() {
        let all = [
            Allowance::Limited(0),
            Allowance::Limited(u64::MAX),
            Allowance::Unlimited,
        ];
        let json = serde_json::to_string(&all).unwrap();
        assert_eq!(json, r#"[0,18446744073709551615,"unlimited"]"#);
        assert_eq!(serde_json::from_str::<[Allowance; 3]>(&json).unwrap(), all);
        for bad in ["-1", "1.5", "\"lots\"", "null", "true"] {
            assert!(serde_json::from_str::<Allowance>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn periods_are_spoken_and_stored_alike() {
        for period in Period::ALL {
            let json = serde_json::to_string(&period).unwrap();
            assert_eq!(json, format!("\"{period}\""));
        }
    }

    #[test]
    fn sums_refuse_to_saturate() {
        let one = Allowance::Limited(1);
        assert_eq!(one.plus(one), Some(Allowance::Limited(2)));
        assert_eq!(one.plus(Allowance::Limited(u64::MAX)), None);
        assert_eq!(one.plus(Allowance::Unlimited), Some(Allowance::Unlimited));
    }
}
