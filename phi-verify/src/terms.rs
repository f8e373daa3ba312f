//! The terms a license grants: flags, quotas and concurrency limits, by catalog code.

use alloc::{collections::BTreeMap, vec, vec::Vec};
use core::fmt;

use crate::{
    cbor::{self, Fields, Item, uint},
    error::Malformed,
};

/// Flag codes are below this: the bitmap of all of them takes 512 bytes, and a token of 4096
/// characters still has room for everything else.
pub const FLAG_CODES: u16 = 4096;
/// Quota codes are below this; a license that needs more counters than this is a data set.
pub const QUOTA_CODES: u16 = 256;
/// Concurrency limit codes are below this, for the same reason.
pub const LIMIT_CODES: u16 = 256;

macro_rules! code {
    ($(#[$doc:meta])* $name:ident, $bound:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u16);

        impl $name {
            /// The code `code`, as the catalog records it.
            ///
            /// # Panics
            /// At compile time in a constant, if the code is beyond the code space.
            pub const fn new(code: u16) -> Self {
                assert!(code < $bound, "a code is below its code space's bound");
                Self(code)
            }

            /// The code `code`, or `None` if it is beyond the code space.
            pub fn checked(code: u64) -> Option<Self> {
                u16::try_from(code).ok().filter(|code| *code < $bound).map(Self)
            }

            /// The number of the code.
            pub const fn get(self) -> u16 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

code!(
    /// A feature flag's catalog code: its position in the license's bitmap.
    FlagCode, FLAG_CODES
);
code!(
    /// A quota's catalog code.
    QuotaCode, QUOTA_CODES
);
code!(
    /// A concurrency limit's catalog code.
    LimitCode, LIMIT_CODES
);

/// How much a quota or a concurrency limit allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Allowance {
    /// At most this many.
    Limited(u64),
    /// Any number.
    Unlimited,
}

impl Allowance {
    /// Whether `amount` in all stays within the allowance.
    pub const fn covers(self, amount: u64) -> bool {
        match self {
            Self::Limited(limit) => amount <= limit,
            Self::Unlimited => true,
        }
    }

    /// The sum of two allowances; `None` if it cannot be counted. Unlimited wins.
    ///
    /// ```
    /// use phi_verify::Allowance::{Limited, Unlimited};
    /// assert_eq!(Limited(2).checked_add(Limited(3)), Some(Limited(5)));
    /// assert_eq!(Limited(2).checked_add(Unlimited), Some(Unlimited));
    /// assert_eq!(Limited(2).checked_add(Limited(u64::MAX)), None);
    /// ```
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Limited(one), Self::Limited(two)) => match one.checked_add(two) {
                Some(sum) => Some(Self::Limited(sum)),
                None => None,
            },
            _ => Some(Self::Unlimited),
        }
    }

    pub(crate) fn decode(item: Item, key: u64) -> Result<Self, Malformed> {
        match item {
            Item::Bool(true) => Ok(Self::Unlimited),
            item => uint(item, key).map(Self::Limited),
        }
    }

    pub(crate) fn encode(self) -> cbor::Value {
        match self {
            Self::Limited(limit) => limit.into(),
            Self::Unlimited => true.into(),
        }
    }
}

impl fmt::Display for Allowance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limited(limit) => limit.fmt(f),
            Self::Unlimited => f.pad("unlimited"),
        }
    }
}

/// When a quota starts anew, aligned to UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// Never: the quota is for the license's whole life.
    Lifetime = 0,
    /// Each hour.
    Hour = 1,
    /// Each day.
    Day = 2,
    /// Each calendar month.
    Month = 3,
    /// Each calendar year.
    Year = 4,
}

impl Period {
    /// Every period, in the order of its wire number.
    pub const ALL: [Self; 5] = [
        Self::Lifetime,
        Self::Hour,
        Self::Day,
        Self::Month,
        Self::Year,
    ];

    /// The period's word in catalogs and in print.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lifetime => "lifetime",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    /// The period with this word.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|period| period.name() == name)
    }

    pub(crate) fn decode(item: Item, key: u64) -> Result<Self, Malformed> {
        let number = uint(item, key)?;
        let known = Self::ALL
            .into_iter()
            .find(|period| period.number() == number);
        known.ok_or(Malformed::Field {
            key,
            problem: "is not a known period",
        })
    }

    pub(crate) const fn number(self) -> u64 {
        match self {
            Self::Lifetime => 0,
            Self::Hour => 1,
            Self::Day => 2,
            Self::Month => 3,
            Self::Year => 4,
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A quota: how much may be used in each period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Quota {
    /// The amount for one period.
    pub allowance: Allowance,
    /// When the count starts anew.
    pub period: Period,
}

/// A set of flags, held as the bitmap that travels: least significant bit first, no trailing
/// zero byte.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct FlagSet(Vec<u8>);

impl FlagSet {
    /// Whether the flag is in the set.
    pub fn contains(&self, flag: FlagCode) -> bool {
        let bit = usize::from(flag.0);
        self.0
            .get(bit / 8)
            .is_some_and(|byte| byte >> (bit % 8) & 1 == 1)
    }

    /// Adds the flag.
    pub fn insert(&mut self, flag: FlagCode) {
        let bit = usize::from(flag.0);
        if self.0.len() <= bit / 8 {
            self.0.resize(bit / 8 + 1, 0);
        }
        self.0[bit / 8] |= 1 << (bit % 8);
    }

    /// Takes the flag out.
    pub fn remove(&mut self, flag: FlagCode) {
        let bit = usize::from(flag.0);
        if let Some(byte) = self.0.get_mut(bit / 8) {
            *byte &= !(1 << (bit % 8));
        }
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }

    /// The flags in ascending order of their codes.
    pub fn iter(&self) -> impl Iterator<Item = FlagCode> + '_ {
        let bits = u16::try_from(self.0.len() * 8).expect("at most 4096 flags");
        (0..bits).map(FlagCode).filter(|flag| self.contains(*flag))
    }

    /// How many flags are in the set.
    pub fn len(&self) -> usize {
        self.0.iter().map(|byte| byte.count_ones() as usize).sum()
    }

    /// Whether no flag is in the set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn decode(bitmap: &[u8], key: u64) -> Result<Self, Malformed> {
        let problem = match bitmap.last() {
            None => "is empty: leave it out",
            Some(0) => "ends in a zero byte",
            Some(_) if bitmap.len() > usize::from(FLAG_CODES / 8) => "holds too many flags",
            Some(_) => return Ok(Self(bitmap.into())),
        };
        Err(Malformed::Field { key, problem })
    }

    pub(crate) fn bitmap(&self) -> &[u8] {
        &self.0
    }
}

impl FromIterator<FlagCode> for FlagSet {
    fn from_iter<I: IntoIterator<Item = FlagCode>>(flags: I) -> Self {
        let mut set = Self::default();
        flags.into_iter().for_each(|flag| set.insert(flag));
        set
    }
}

/// What a license grants, by catalog code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// The features that are on.
    pub flags: FlagSet,
    /// Amounts per period; a quota that is absent allows nothing.
    pub quotas: BTreeMap<QuotaCode, Quota>,
    /// How many at once; a limit that is absent allows nothing.
    pub limits: BTreeMap<LimitCode, Allowance>,
}

/// Map keys of the terms, the same in a license and in a catalog's plans.
const FLAGS: u64 = 10;
const QUOTAS: u64 = 11;
const LIMITS: u64 = 12;

impl Terms {
    pub(crate) fn decode(fields: &mut Fields) -> Result<Self, Malformed> {
        let flags = match fields.take(FLAGS) {
            Some(value) => FlagSet::decode(cbor::bytes(value, FLAGS)?, FLAGS)?,
            None => FlagSet::default(),
        };
        let quotas = decode_codes(fields, QUOTAS, QuotaCode::checked, |value| {
            let [allowance, period] = cbor::array(value, QUOTAS)?;
            Ok(Quota {
                allowance: Allowance::decode(allowance, QUOTAS)?,
                period: Period::decode(period, QUOTAS)?,
            })
        })?;
        let limits = decode_codes(fields, LIMITS, LimitCode::checked, |value| {
            Allowance::decode(value, LIMITS)
        })?;
        Ok(Self {
            flags,
            quotas,
            limits,
        })
    }

    pub(crate) fn encode(&self, map: &mut cbor::MapBuilder) {
        if !self.flags.is_empty() {
            map.put(FLAGS, self.flags.bitmap());
        }
        let quotas = self.quotas.iter().map(|(code, quota)| {
            let pair = vec![quota.allowance.encode(), quota.period.number().into()];
            (code.0.into(), cbor::Value::Array(pair))
        });
        map.put_nonempty(QUOTAS, quotas.collect());
        let limits = self
            .limits
            .iter()
            .map(|(code, limit)| (code.0.into(), limit.encode()));
        map.put_nonempty(LIMITS, limits.collect());
    }
}

/// A map from codes, present only if it is not empty, so that each set of terms has one encoding.
fn decode_codes<C: Ord, T>(
    fields: &mut Fields,
    key: u64,
    code: impl Fn(u64) -> Option<C>,
    term: impl Fn(Item) -> Result<T, Malformed>,
) -> Result<BTreeMap<C, T>, Malformed> {
    let Some(value) = fields.take(key) else {
        return Ok(BTreeMap::new());
    };
    let entries = cbor::map(value, key)?;
    if entries.is_empty() {
        return Err(Malformed::Field {
            key,
            problem: "is empty: leave it out",
        });
    }
    let decode_entry = |(name, value)| {
        let beyond = Malformed::Field {
            key,
            problem: "has a code beyond the code space",
        };
        Ok((code(uint(name, key)?).ok_or(beyond)?, term(value)?))
    };
    entries.entries().map(decode_entry).collect()
}
