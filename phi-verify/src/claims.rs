//! What a license says: plain data, believed only inside a [`License`](crate::License).

use alloc::{collections::BTreeMap, string::String, vec, vec::Vec};
use core::{fmt, str::FromStr};

use crate::{
    UnixTime,
    cbor::{self, Fields, Item, MapBuilder, Value},
    error::Malformed,
    fingerprint::Binding,
    terms::Terms,
};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $length:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $length]);

        impl $name {
            /// Bytes in the id.
            pub const LENGTH: usize = $length;

            /// The id with these bytes.
            pub const fn from_bytes(bytes: [u8; $length]) -> Self {
                Self(bytes)
            }

            /// The bytes of the id.
            pub const fn as_bytes(&self) -> &[u8; $length] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = $crate::NotAnId;

            fn from_str(text: &str) -> Result<Self, $crate::NotAnId> {
                let error = $crate::claims::NotAnId::of($length);
                let lowercase = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
                if text.len() != 2 * $length || !text.bytes().all(lowercase) {
                    return Err(error);
                }
                let mut bytes = [0; $length];
                for (i, byte) in bytes.iter_mut().enumerate() {
                    *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16)
                        .map_err(|_| error.clone())?;
                }
                Ok(Self(bytes))
            }
        }
    };
}

pub(crate) use id;

id!(
    /// The name of one token: 16 random bytes, printed as 32 hexadecimal digits.
    TokenId, 16
);
id!(
    /// The name of a license in the issuer's ledger: 8 random bytes, printed as 16 hexadecimal
    /// digits. Many tokens may be minted of one license.
    LicenseId, 8
);

/// A text that is not an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAnId {
    digits: usize,
}

impl NotAnId {
    /// For an id of this many bytes.
    pub(crate) const fn of(length: usize) -> Self {
        Self { digits: 2 * length }
    }
}

impl fmt::Display for NotAnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an id is {} lowercase hexadecimal digits", self.digits)
    }
}

impl core::error::Error for NotAnId {}

/// The value of an extension claim, which a verifier that does not know it ignores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extension {
    /// A number, from -2^64 to 2^64 - 1.
    Integer(i128),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A text.
    Text(String),
    /// A truth value.
    Bool(bool),
    /// A list.
    List(Vec<Self>),
    /// A map, in the order of its keys' encodings.
    Map(Vec<(Self, Self)>),
}

impl Extension {
    fn of(item: Item) -> Self {
        match item {
            Item::Uint(number) => Self::Integer(number.into()),
            Item::Nint(number) => Self::Integer(-1 - i128::from(number)),
            Item::Bytes(bytes) => Self::Bytes(bytes.into()),
            Item::Text(text) => Self::Text(text.into()),
            Item::Bool(truth) => Self::Bool(truth),
            Item::Array(items) => Self::List(items.iter().map(Self::of).collect()),
            Item::Map(items) => {
                let entries = items.entries();
                Self::Map(
                    entries
                        .map(|(key, value)| (Self::of(key), Self::of(value)))
                        .collect(),
                )
            }
        }
    }

    fn encode(&self) -> Result<Value, Malformed> {
        let pair = |(key, value): &(Self, Self)| Ok((key.encode()?, value.encode()?));
        Ok(match self {
            Self::Integer(number) => Value::Integer(
                (*number)
                    .try_into()
                    .map_err(|_| Malformed::CborForbiddenType)?,
            ),
            Self::Bytes(bytes) => Value::Bytes(bytes.clone()),
            Self::Text(text) => Value::Text(text.clone()),
            Self::Bool(truth) => Value::Bool(*truth),
            Self::List(items) => {
                Value::Array(items.iter().map(Self::encode).collect::<Result<_, _>>()?)
            }
            Self::Map(entries) => Value::Map(entries.iter().map(pair).collect::<Result<_, _>>()?),
        })
    }
}

/// The claims of a license token.
///
/// Anyone can fill in this structure; only [`Verifier::verify`](crate::Verifier::verify) makes a
/// [`License`](crate::License) of a token, and only a license is to be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Who issued the license: the trust anchor's issuer.
    pub issuer: String,
    /// Whose license it is: a user or an organization, by the issuer's id for it.
    pub customer: String,
    /// When the license ends; `None` is a perpetual license.
    pub expires: Option<UnixTime>,
    /// When the license begins, if that is not when it was issued.
    pub not_before: Option<UnixTime>,
    /// When the token was minted.
    pub issued_at: UnixTime,
    /// The name of this token.
    pub token_id: TokenId,
    /// The product that is licensed.
    pub product: String,
    /// The plan from which the terms were taken.
    pub plan: String,
    /// What is granted.
    pub terms: Terms,
    /// The machine to which the license is bound.
    pub binding: Option<Binding>,
    /// Seconds after the expiry in which the license still works, with a warning.
    pub grace: u64,
    /// The license of which this token was minted.
    pub license_id: LicenseId,
    /// The revision of that license, from 1.
    pub license_revision: u64,
    /// The catalog revision that gives the codes their names.
    pub catalog_revision: u64,
    /// The oldest keyset version and status epoch under which the token may be accepted.
    pub minimum: Minimum,
    /// The longest age in seconds of the status document under which the token may be accepted.
    pub max_status_age: Option<u64>,
    /// The newest status epoch when the token was minted: lists up to it cannot cover the token.
    pub mint_epoch: u64,
    /// Claims that a verifier may ignore, by their negative numbers.
    pub extensions: BTreeMap<i64, Extension>,
}

/// Versions of trust documents that a token demands; zero demands nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Minimum {
    /// The oldest keyset version.
    pub keyset: u64,
    /// The oldest status epoch.
    pub status: u64,
}

/// Object kind of a license (docs/spec.md, "Object kinds").
pub(crate) const KIND: u64 = 1;

/// Claim numbers (docs/spec.md, "License").
mod claim {
    pub(super) const ISSUER: u64 = 1;
    pub(super) const CUSTOMER: u64 = 2;
    pub(super) const EXPIRES: u64 = 4;
    pub(super) const NOT_BEFORE: u64 = 5;
    pub(super) const ISSUED_AT: u64 = 6;
    pub(super) const TOKEN_ID: u64 = 7;
    pub(super) const PRODUCT: u64 = 8;
    pub(super) const PLAN: u64 = 9;
    pub(super) const BINDING: u64 = 13;
    pub(super) const GRACE: u64 = 14;
    pub(super) const LICENSE: u64 = 15;
    pub(super) const CATALOG: u64 = 16;
    pub(super) const MINIMUM: u64 = 17;
    pub(super) const MAX_STATUS_AGE: u64 = 18;
    pub(super) const MINT_EPOCH: u64 = 19;
}

impl Claims {
    /// When the license begins.
    pub fn begins(&self) -> UnixTime {
        self.not_before.unwrap_or(self.issued_at)
    }

    pub(crate) fn decode(body: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Fields::of_object(body, KIND)?;
        // Fields are taken in ascending order, as they stand: the order here is the order there.
        let claims = Self {
            issuer: fields.text(claim::ISSUER)?,
            customer: fields.text(claim::CUSTOMER)?,
            expires: fields.optional_time(claim::EXPIRES)?,
            not_before: fields.optional_time(claim::NOT_BEFORE)?,
            issued_at: fields.time(claim::ISSUED_AT)?,
            token_id: TokenId(fields.bytes(claim::TOKEN_ID)?),
            product: fields.text(claim::PRODUCT)?,
            plan: fields.text(claim::PLAN)?,
            terms: Terms::decode(&mut fields)?,
            binding: decode_binding(&mut fields)?,
            grace: decode_grace(&mut fields)?,
            license_id: LicenseId([0; LicenseId::LENGTH]),
            license_revision: 0,
            catalog_revision: 0,
            minimum: Minimum::default(),
            max_status_age: None,
            mint_epoch: 0,
            extensions: BTreeMap::new(),
        };
        claims.decode_origin(fields)
    }

    /// The second half of the fields: where the token comes from and what it demands.
    fn decode_origin(self, mut fields: Fields) -> Result<Self, Malformed> {
        let [id, revision] = cbor::array(fields.require(claim::LICENSE)?, claim::LICENSE)?;
        let claims = Self {
            license_id: LicenseId(cbor::sized(id, claim::LICENSE)?),
            license_revision: cbor::positive(revision, claim::LICENSE)?,
            catalog_revision: fields.positive(claim::CATALOG)?,
            minimum: decode_minimum(&mut fields)?,
            max_status_age: fields.optional_uint(claim::MAX_STATUS_AGE)?,
            mint_epoch: fields.uint(claim::MINT_EPOCH)?,
            extensions: decode_extensions(fields)?,
            ..self
        };
        claims.check()?;
        Ok(claims)
    }

    /// The claims as the body of a token.
    ///
    /// # Errors
    /// The rule of the format that the claims break; a verifier would refuse them.
    pub fn encode(&self) -> Result<Vec<u8>, Malformed> {
        self.check()?;
        let mut map = MapBuilder::of_kind(KIND);
        map.put(claim::ISSUER, self.issuer.as_str());
        map.put(claim::CUSTOMER, self.customer.as_str());
        map.put_some(claim::EXPIRES, self.expires.map(UnixTime::seconds));
        map.put_some(claim::NOT_BEFORE, self.not_before.map(UnixTime::seconds));
        map.put(claim::ISSUED_AT, self.issued_at.seconds());
        map.put(claim::TOKEN_ID, &self.token_id.0[..]);
        map.put(claim::PRODUCT, self.product.as_str());
        map.put(claim::PLAN, self.plan.as_str());
        self.terms.encode(&mut map);
        map.put_some(claim::BINDING, self.binding.as_ref().map(Binding::encode));
        map.put_some(claim::GRACE, Some(self.grace).filter(|grace| *grace > 0));
        let license = vec![
            Value::from(&self.license_id.0[..]),
            self.license_revision.into(),
        ];
        map.put(claim::LICENSE, license);
        map.put(claim::CATALOG, self.catalog_revision);
        if self.minimum != Minimum::default() {
            let minimum = vec![self.minimum.keyset.into(), self.minimum.status.into()];
            map.put(claim::MINIMUM, Value::Array(minimum));
        }
        map.put_some(claim::MAX_STATUS_AGE, self.max_status_age);
        map.put(claim::MINT_EPOCH, self.mint_epoch);
        // Negative numbers ascend in encoding as they descend in value.
        for (key, value) in self.extensions.iter().rev() {
            map.put_extension(*key, value.encode()?);
        }
        let body = map.encode();
        // Extensions can be of any shape: nested too deep, or with a map out of order.
        Item::decode(&body)?;
        Ok(body)
    }

    /// The rules that hold between fields, the same for whoever writes and whoever reads.
    fn check(&self) -> Result<(), Malformed> {
        let field = |key, problem| Err(Malformed::Field { key, problem });
        for (key, name) in [
            (claim::ISSUER, &self.issuer),
            (claim::CUSTOMER, &self.customer),
            (claim::PRODUCT, &self.product),
            (claim::PLAN, &self.plan),
        ] {
            cbor::text_rule(name, key)?;
        }
        if self.not_before == Some(self.issued_at) {
            return field(claim::NOT_BEFORE, "equals the time of issue: leave it out");
        }
        if self.expires.is_some_and(|expires| expires <= self.begins()) {
            return field(claim::EXPIRES, "is not after the beginning");
        }
        if self.grace > 0 && self.expires.is_none() {
            return field(claim::GRACE, "is given for a license that does not expire");
        }
        if self.license_revision == 0 {
            return field(claim::LICENSE, "has revision zero");
        }
        if self.catalog_revision == 0 {
            return field(claim::CATALOG, "is zero");
        }
        if self.max_status_age == Some(0) {
            return field(claim::MAX_STATUS_AGE, "is zero: no list is so new");
        }
        if self.extensions.keys().any(|key| *key >= 0) {
            return Err(Malformed::CborForbiddenType);
        }
        Ok(())
    }
}

fn decode_binding(fields: &mut Fields) -> Result<Option<Binding>, Malformed> {
    fields
        .take(claim::BINDING)
        .map(|value| Binding::decode(value, claim::BINDING))
        .transpose()
}

fn decode_grace(fields: &mut Fields) -> Result<u64, Malformed> {
    match fields.optional_uint(claim::GRACE)? {
        Some(0) => Err(Malformed::Field {
            key: claim::GRACE,
            problem: "is zero: leave it out",
        }),
        grace => Ok(grace.unwrap_or(0)),
    }
}

fn decode_minimum(fields: &mut Fields) -> Result<Minimum, Malformed> {
    let Some(value) = fields.take(claim::MINIMUM) else {
        return Ok(Minimum::default());
    };
    let [keyset, status] = cbor::array(value, claim::MINIMUM)?;
    let minimum = Minimum {
        keyset: cbor::uint(keyset, claim::MINIMUM)?,
        status: cbor::uint(status, claim::MINIMUM)?,
    };
    if minimum == Minimum::default() {
        let problem = "demands nothing: leave it out";
        return Err(Malformed::Field {
            key: claim::MINIMUM,
            problem,
        });
    }
    Ok(minimum)
}

fn decode_extensions(fields: Fields) -> Result<BTreeMap<i64, Extension>, Malformed> {
    let extensions = fields.extensions()?.into_iter();
    Ok(extensions
        .map(|(key, item)| (key, Extension::of(item)))
        .collect())
}
