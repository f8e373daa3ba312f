//! The vocabulary of terms: kinds, meanings, and how the wire format's allowances and periods are
//! stored.

use std::collections::BTreeMap;
use std::fmt;

use phi_verify::{Allowance, FLAG_CODES, LIMIT_CODES, Period, QUOTA_CODES};
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
        #[serde(with = "period")]
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

/// The sum of two allowances, or `None` when it cannot be counted; unlimited wins.
pub(super) fn sum(one: Allowance, other: Allowance) -> Option<Allowance> {
    match (one, other) {
        (Allowance::Limited(a), Allowance::Limited(b)) => a.checked_add(b).map(Allowance::Limited),
        _ => Some(Allowance::Unlimited),
    }
}

/// A word of the wire format as it is stored: phi-verify itself knows no serde.
struct Stored<T>(T);

impl Serialize for Stored<Allowance> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Allowance::Limited(count) => serializer.serialize_u64(count),
            Allowance::Unlimited => serializer.serialize_str(UNLIMITED),
        }
    }
}

impl<'de> Deserialize<'de> for Stored<Allowance> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AllowanceVisitor).map(Self)
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

impl Serialize for Stored<Period> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name())
    }
}

impl<'de> Deserialize<'de> for Stored<Period> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        let unknown = || de::Error::invalid_value(de::Unexpected::Str(&word), &"a period");
        Period::from_name(&word).map(Self).ok_or_else(unknown)
    }
}

/// Stores a period as its word.
pub(super) mod period {
    use super::{Deserialize, Deserializer, Period, Serialize, Serializer, Stored};

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde hands over references"
    )]
    pub(in crate::catalog) fn serialize<S: Serializer>(
        period: &Period,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        Stored(*period).serialize(serializer)
    }

    pub(in crate::catalog) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Period, D::Error> {
        Stored::deserialize(deserializer).map(|stored| stored.0)
    }
}

/// Stores an allowance, where there is one, as a number or a word.
#[expect(clippy::ref_option, reason = "serde hands over references")]
pub(super) fn serialize_amount<S: Serializer>(
    amount: &Option<Allowance>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    amount.map(Stored).serialize(serializer)
}

/// Stores allowances by code or name.
pub(super) mod amounts {
    use super::{Allowance, BTreeMap, Deserialize, Deserializer, Serialize, Serializer, Stored};

    pub(in crate::catalog) fn serialize<S: Serializer, K: Serialize>(
        amounts: &BTreeMap<K, Allowance>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(amounts.iter().map(|(key, amount)| (key, Stored(*amount))))
    }

    pub(in crate::catalog) fn deserialize<'de, D, K>(
        deserializer: D,
    ) -> Result<BTreeMap<K, Allowance>, D::Error>
    where
        D: Deserializer<'de>,
        K: Deserialize<'de> + Ord,
    {
        let stored = BTreeMap::<K, Stored<Allowance>>::deserialize(deserializer)?;
        Ok(stored
            .into_iter()
            .map(|(key, amount)| (key, amount.0))
            .collect())
    }
}

/// Stores allowances and their periods by code.
pub(super) mod quotas {
    use super::{Allowance, BTreeMap, Deserialize, Deserializer, Period, Serializer, Stored};

    type Quotas = BTreeMap<u16, (Allowance, Period)>;
    type StoredQuotas = BTreeMap<u16, (Stored<Allowance>, Stored<Period>)>;

    pub(in crate::catalog) fn serialize<S: Serializer>(
        quotas: &Quotas,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let stored = |(code, &(amount, period))| (code, (Stored(amount), Stored(period)));
        serializer.collect_map(quotas.iter().map(stored))
    }

    pub(in crate::catalog) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Quotas, D::Error> {
        let plain =
            |(code, (amount, period)): (u16, (Stored<_>, Stored<_>))| (code, (amount.0, period.0));
        Ok(StoredQuotas::deserialize(deserializer)?
            .into_iter()
            .map(plain)
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Amounts(#[serde(with = "amounts")] BTreeMap<u16, Allowance>);

    #[test]
    fn allowances_are_a_number_or_a_word() {
        let all = [
            Allowance::Limited(0),
            Allowance::Limited(u64::MAX),
            Allowance::Unlimited,
        ];
        let all = Amounts((0..).zip(all).collect());
        let json = serde_json::to_string(&all).unwrap();
        assert_eq!(json, r#"{"0":0,"1":18446744073709551615,"2":"unlimited"}"#);
        assert_eq!(serde_json::from_str::<Amounts>(&json).unwrap(), all);
        for bad in ["-1", "1.5", "\"lots\"", "null", "true"] {
            let bad = format!("{{\"0\":{bad}}}");
            assert!(serde_json::from_str::<Amounts>(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn periods_are_spoken_and_stored_alike() {
        for period in Period::ALL {
            let quota = Meaning::Quota { period, unit: None };
            let json = serde_json::to_string(&quota).unwrap();
            assert_eq!(
                json,
                format!(r#"{{"quota":{{"period":"{period}","unit":null}}}}"#)
            );
            assert_eq!(serde_json::from_str::<Meaning>(&json).unwrap(), quota);
        }
        let unknown = r#"{"quota":{"period":"week","unit":null}}"#;
        assert!(serde_json::from_str::<Meaning>(unknown).is_err());
    }

    #[test]
    fn sums_refuse_to_saturate() {
        let one = Allowance::Limited(1);
        assert_eq!(sum(one, one), Some(Allowance::Limited(2)));
        assert_eq!(sum(one, Allowance::Limited(u64::MAX)), None);
        assert_eq!(sum(one, Allowance::Unlimited), Some(Allowance::Unlimited));
    }
}
