//! Serde forms of the small types: ids and words as text, times as seconds.

use alloc::string::String;
use core::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    Allowance, InstallationId, KeyId, LicenseId, Period, PublicKey, Reason, TokenId, UnixTime,
};

macro_rules! as_text {
    ($($name:ident: $write:expr, $read:expr;)*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(&$write(self))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                $read(&text).map_err(de::Error::custom)
            }
        }
    )*};
}

as_text! {
    KeyId: |id: &KeyId| *id, |text: &str| text.parse::<KeyId>();
    LicenseId: |id: &LicenseId| *id, |text: &str| text.parse::<LicenseId>();
    InstallationId: |id: &InstallationId| *id, |text: &str| text.parse::<InstallationId>();
    TokenId: |id: &TokenId| *id, |text: &str| text.parse::<TokenId>();
    PublicKey: PublicKey::to_paserk, PublicKey::from_paserk;
    Period: |period: &Period| *period, |text: &str| {
        Period::from_name(text).ok_or("a period is lifetime, hour, day, month or year")
    };
    Reason: |reason: &Reason| *reason, |text: &str| {
        Reason::from_name(text).ok_or("not a known reason for a revocation")
    };
}

impl Serialize for UnixTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.seconds())
    }
}

impl<'de> Deserialize<'de> for UnixTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(u64::deserialize(deserializer)?)
            .ok_or_else(|| de::Error::custom("a time is not after the year 9999"))
    }
}

const UNLIMITED: &str = "unlimited";

impl Serialize for Allowance {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Limited(limit) => serializer.serialize_u64(*limit),
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

impl de::Visitor<'_> for AllowanceVisitor {
    type Value = Allowance;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number or \"unlimited\"")
    }

    fn visit_u64<E: de::Error>(self, limit: u64) -> Result<Allowance, E> {
        Ok(Allowance::Limited(limit))
    }

    // Formats that know no unsigned numbers hand over signed ones.
    fn visit_i64<E: de::Error>(self, limit: i64) -> Result<Allowance, E> {
        let negative = de::Unexpected::Signed(limit);
        let limit = u64::try_from(limit).map_err(|_| E::invalid_value(negative, &self))?;
        Ok(Allowance::Limited(limit))
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<Allowance, E> {
        if word == UNLIMITED {
            return Ok(Allowance::Unlimited);
        }
        let limit = word
            .parse()
            .map_err(|_| E::invalid_value(de::Unexpected::Str(word), &self))?;
        Ok(Allowance::Limited(limit))
    }
}
