//! Rules: the revocation of everything that one name covers.

use alloc::{string::String, vec, vec::Vec};
use core::fmt;

use super::{Reason, wire::field};
use crate::{
    UnixTime,
    cbor::{self, Fields, Item, MapBuilder, Value},
    claims::LicenseId,
    error::Malformed,
    key::KeyId,
    terms::FlagCode,
};

/// The revocation of everything that one name covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What is revoked.
    pub subject: Subject,
    /// Only what was issued before this time; `None` is everything, also in the future.
    pub issued_before: Option<UnixTime>,
    /// Why.
    pub reason: Reason,
    /// When it was revoked.
    pub since: UnixTime,
    /// From this time on no token that the rule names is valid any more, whatever the lists say:
    /// a list made then may leave the rule out. `None` is never.
    pub ends: Option<UnixTime>,
}

/// What a rule revokes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// Every token of a license.
    License(LicenseId),
    /// Every token of a customer, by [`Status::customer_hash`](super::Status::customer_hash).
    Customer([u8; 16]),
    /// Every token under a license key.
    Key(KeyId),
    /// One feature of a product, in every token: the license lives on without it.
    Feature(String, FlagCode),
}

impl Subject {
    /// The class of the subject.
    pub const fn class(&self) -> RuleClass {
        match self {
            Self::License(_) => RuleClass::License,
            Self::Customer(_) => RuleClass::Customer,
            Self::Key(_) => RuleClass::Key,
            Self::Feature(..) => RuleClass::Feature,
        }
    }

    /// The id of the subject, whose form is its class's.
    fn encode(&self) -> Value {
        match self {
            Self::License(id) => (&id.as_bytes()[..]).into(),
            Self::Customer(hash) => (&hash[..]).into(),
            Self::Key(id) => (&id.as_bytes()[..]).into(),
            Self::Feature(product, flag) => {
                Value::Array(vec![product.as_str().into(), flag.get().into()])
            }
        }
    }

    fn decode(class: u64, id: Item, key: u64) -> Result<Self, Malformed> {
        Ok(match class {
            1 => Self::License(LicenseId::from_bytes(cbor::sized(id, key)?)),
            2 => Self::Customer(cbor::sized(id, key)?),
            3 => Self::Key(KeyId::from_bytes(cbor::sized(id, key)?)),
            4 => {
                let [product, code] = cbor::array(id, key)?;
                let flag = FlagCode::checked(cbor::uint(code, key)?);
                let problem = "names a flag beyond the code space";
                let flag = flag.ok_or(Malformed::Field { key, problem })?;
                Self::Feature(cbor::text(product, key)?, flag)
            }
            _ => {
                let problem = "has a rule of unknown class";
                return Err(Malformed::Field { key, problem });
            }
        })
    }

    /// `[class, id]`, of what is revoked no longer.
    pub(super) fn encode_unrevoked(&self) -> Value {
        Value::Array(vec![self.class().number().into(), self.encode()])
    }

    /// A customer stands in every list under another salt: nobody but the issuer can compare.
    pub(super) fn decode_unrevoked(item: Item) -> Result<Self, Malformed> {
        let key = field::UNREVOKED;
        let [class, id] = cbor::array(item, key)?;
        match Self::decode(cbor::uint(class, key)?, id, key)? {
            Self::Customer(_) => Err(Malformed::Field {
                key,
                problem: "names a customer, whose hash no other list has",
            }),
            subject => Ok(subject),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let class = self.class();
        match self {
            Self::License(id) => write!(f, "{class} {id}"),
            Self::Customer(hash) => {
                write!(f, "{class} ")?;
                hash.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Self::Key(id) => write!(f, "{class} {id}"),
            Self::Feature(product, flag) => write!(f, "{class} {product}/{flag}"),
        }
    }
}

/// The classes of what can be revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RuleClass {
    /// One token.
    Token,
    /// A license with all its tokens.
    License,
    /// A customer with all its licenses.
    Customer,
    /// A license key with all that it signed.
    Key,
    /// A feature of a product.
    Feature,
}

impl RuleClass {
    /// The class's word in print.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::License => "license",
            Self::Customer => "customer",
            Self::Key => "key",
            Self::Feature => "feature",
        }
    }

    /// The class's number: in rules, and in what is hashed of an id.
    pub(super) const fn byte(self) -> u8 {
        match self {
            Self::Token => 0,
            Self::License => 1,
            Self::Customer => 2,
            Self::Key => 3,
            Self::Feature => 4,
        }
    }

    fn number(self) -> u64 {
        self.byte().into()
    }
}

impl fmt::Display for RuleClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Rule {
    pub(super) fn applies_to(&self, issued_at: UnixTime) -> bool {
        self.issued_before.is_none_or(|cutoff| issued_at < cutoff)
    }

    /// `{0 => class, 1 => id, ? 2 => issued before, 3 => reason, 4 => since, ? 5 => ends}`.
    pub(super) fn decode(item: Item) -> Result<Self, Malformed> {
        let key = field::RULES;
        let mut entry = Fields::of(item, key)?;
        let (class, id) = (entry.uint(0)?, entry.require(1)?);
        let subject = Subject::decode(class, id, key)?;
        let issued_before = entry.optional_time(2)?;
        let reason = entry.uint(3)?;
        let rule = Self {
            subject,
            issued_before,
            reason: Reason::ALL
                .into_iter()
                .find(|known| known.number() == reason)
                .ok_or(Malformed::Field {
                    key,
                    problem: "has a rule with an unknown reason",
                })?,
            since: entry.time(4)?,
            ends: entry.optional_time(5)?,
        };
        entry.end(key)?;
        Ok(rule)
    }

    pub(super) fn encode(&self) -> Value {
        let mut map = MapBuilder::default();
        map.put(0, self.subject.class().number());
        map.put(1, self.subject.encode());
        map.put_some(2, self.issued_before.map(UnixTime::seconds));
        map.put(3, self.reason.number());
        map.put(4, self.since.seconds());
        map.put_some(5, self.ends.map(UnixTime::seconds));
        map.value()
    }
}

/// Values in the order of their encodings, so that one set has one document.
pub(super) fn in_order(values: impl Iterator<Item = Value>) -> Value {
    let mut values: Vec<_> = values.collect();
    values.sort_by_cached_key(cbor::encode);
    Value::Array(values)
}
