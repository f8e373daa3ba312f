//! Deterministic CBOR (RFC 8949 section 4.2.1): the fields of an object, read and written.
//!
//! `deterministic.rs` reads items; ciborium writes values, whose order is the writer's concern.
//! Reading is for bytes whose signature holds.

mod deterministic;
#[cfg(test)]
mod oracle;

use alloc::{string::String, vec::Vec};

pub(crate) use ciborium::Value;

pub(crate) use self::deterministic::{Item, Items, head};
use crate::error::Malformed;

/// Encodes a value whose maps are already in order.
pub(crate) fn encode(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_into(value, &mut bytes);
    bytes
}

fn encode_into(value: &Value, bytes: &mut Vec<u8>) {
    ciborium::into_writer(value, bytes).expect("writing a value into memory cannot fail");
}

/// The fields of an object, taken in ascending order of their keys.
pub(crate) struct Fields<'a>(Items<'a>);

/// A field that a reader may ignore: its key is a negative integer.
pub(crate) type ExtensionField<'a> = (i64, Item<'a>);

impl<'a> Fields<'a> {
    /// Opens an object, whose key 0 must hold `kind`.
    pub(crate) fn of_object(bytes: &'a [u8], kind: u64) -> Result<Self, Malformed> {
        let mut fields = Self::of(Item::decode(bytes)?, 0)?;
        match fields.uint(0)? {
            found if found == kind => Ok(fields),
            found => Err(Malformed::Kind {
                expected: kind,
                found,
            }),
        }
    }

    /// Opens a map that is the value of field `key`.
    pub(crate) fn of(item: Item<'a>, key: u64) -> Result<Self, Malformed> {
        map(item, key).map(Self)
    }

    /// Takes field `key` if it is the next one.
    pub(crate) fn take(&mut self, key: u64) -> Option<Item<'a>> {
        let mut rest = self.0;
        if !matches!(rest.take()?, Item::Uint(found) if found == key) {
            return None;
        }
        let value = rest.take();
        self.0 = rest;
        value
    }

    /// Takes field `key`, which must be there.
    pub(crate) fn require(&mut self, key: u64) -> Result<Item<'a>, Malformed> {
        if let Some(value) = self.take(key) {
            return Ok(value);
        }
        // An unknown field in front hides the required one: say which of the two it is.
        let mut rest = self.0;
        match rest.take() {
            Some(Item::Uint(found)) if found < key => Err(Malformed::UnknownField { key: found }),
            _ => Err(Malformed::MissingField { key }),
        }
    }

    pub(crate) fn uint(&mut self, key: u64) -> Result<u64, Malformed> {
        uint(self.require(key)?, key)
    }

    pub(crate) fn optional_uint(&mut self, key: u64) -> Result<Option<u64>, Malformed> {
        self.take(key).map(|value| uint(value, key)).transpose()
    }

    pub(crate) fn positive(&mut self, key: u64) -> Result<u64, Malformed> {
        positive(self.require(key)?, key)
    }

    pub(crate) fn text(&mut self, key: u64) -> Result<String, Malformed> {
        text(self.require(key)?, key)
    }

    pub(crate) fn bytes<const N: usize>(&mut self, key: u64) -> Result<[u8; N], Malformed> {
        sized(self.require(key)?, key)
    }

    pub(crate) fn time(&mut self, key: u64) -> Result<crate::UnixTime, Malformed> {
        time(self.uint(key)?, key)
    }

    pub(crate) fn optional_time(&mut self, key: u64) -> Result<Option<crate::UnixTime>, Malformed> {
        self.optional_uint(key)?
            .map(|seconds| time(seconds, key))
            .transpose()
    }

    /// What is left, which must be extensions: negative keys, ignorable by whoever does not know
    /// them. An unknown field that is not is refused.
    pub(crate) fn extensions(self) -> Result<Vec<ExtensionField<'a>>, Malformed> {
        self.0
            .entries()
            .map(|(key, value)| Ok((extension_key(key)?, value)))
            .collect()
    }

    /// Ends a map that has no extensions.
    pub(crate) fn end(self, within: u64) -> Result<(), Malformed> {
        if self.0.is_empty() {
            return Ok(());
        }
        Err(Malformed::Field {
            key: within,
            problem: "has an unknown entry",
        })
    }
}

fn extension_key(key: Item) -> Result<i64, Malformed> {
    match key {
        Item::Nint(number) => i64::try_from(number)
            .map(|number| -1 - number)
            .map_err(|_| Malformed::CborForbiddenType),
        Item::Uint(key) => Err(Malformed::UnknownField { key }),
        _ => Err(Malformed::CborForbiddenType),
    }
}

pub(crate) fn time(seconds: u64, key: u64) -> Result<crate::UnixTime, Malformed> {
    let problem = "is a time after the year 9999";
    crate::UnixTime::new(seconds).ok_or(Malformed::Field { key, problem })
}

pub(crate) fn uint(item: Item, key: u64) -> Result<u64, Malformed> {
    match item {
        Item::Uint(number) => Ok(number),
        _ => Err(Malformed::Field {
            key,
            problem: "is not an unsigned integer",
        }),
    }
}

/// A number that counts from one: versions, revisions and epochs.
pub(crate) fn positive(item: Item, key: u64) -> Result<u64, Malformed> {
    match uint(item, key)? {
        0 => Err(Malformed::Field {
            key,
            problem: "is zero",
        }),
        number => Ok(number),
    }
}

/// Names travel in tokens and are printed in terminals and logs.
const NAME_BYTES: usize = 64;

/// A name: 1 to 64 bytes without control characters.
pub(crate) fn text_rule(text: &str, key: u64) -> Result<(), Malformed> {
    let problem = match text {
        "" => "is empty",
        _ if text.len() > NAME_BYTES => "is longer than 64 bytes",
        _ if text.chars().any(char::is_control) => "has a control character",
        _ => return Ok(()),
    };
    Err(Malformed::Field { key, problem })
}

pub(crate) fn text(item: Item, key: u64) -> Result<String, Malformed> {
    let text = any_text(item, key)?;
    text_rule(text, key)?;
    Ok(text.into())
}

/// A text that need not be a name.
pub(crate) fn any_text(item: Item<'_>, key: u64) -> Result<&str, Malformed> {
    match item {
        Item::Text(text) => Ok(text),
        _ => Err(Malformed::Field {
            key,
            problem: "is not a text",
        }),
    }
}

pub(crate) fn bytes(item: Item<'_>, key: u64) -> Result<&[u8], Malformed> {
    match item {
        Item::Bytes(bytes) => Ok(bytes),
        _ => Err(Malformed::Field {
            key,
            problem: "is not a byte string",
        }),
    }
}

pub(crate) fn sized<const N: usize>(item: Item, key: u64) -> Result<[u8; N], Malformed> {
    let problem = "is a byte string of another length";
    bytes(item, key)?
        .try_into()
        .map_err(|_| Malformed::Field { key, problem })
}

pub(crate) fn array<const N: usize>(item: Item, key: u64) -> Result<[Item; N], Malformed> {
    let problem = "is an array of another length";
    let other_length = Malformed::Field { key, problem };
    let mut items = list(item, key)?;
    let mut array = [Item::Bool(false); N];
    for place in &mut array {
        match items.take() {
            Some(item) => *place = item,
            None => return Err(other_length),
        }
    }
    items.is_empty().then_some(array).ok_or(other_length)
}

pub(crate) fn list(item: Item, key: u64) -> Result<Items, Malformed> {
    match item {
        Item::Array(items) => Ok(items),
        _ => Err(Malformed::Field {
            key,
            problem: "is not an array",
        }),
    }
}

/// The entries of a map: keys and values in turn.
pub(crate) fn map(item: Item, key: u64) -> Result<Items, Malformed> {
    match item {
        Item::Map(entries) => Ok(entries),
        _ => Err(Malformed::Field {
            key,
            problem: "is not a map",
        }),
    }
}

/// Builds an object's map, whose keys the caller puts in ascending order.
#[derive(Default)]
pub(crate) struct MapBuilder(Vec<(Value, Value)>);

impl MapBuilder {
    pub(crate) fn of_kind(kind: u64) -> Self {
        let mut map = Self::default();
        map.put(0, kind);
        map
    }

    pub(crate) fn put(&mut self, key: u64, value: impl Into<Value>) {
        self.0.push((key.into(), value.into()));
    }

    pub(crate) fn put_some(&mut self, key: u64, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.put(key, value);
        }
    }

    pub(crate) fn put_nonempty(&mut self, key: u64, entries: Vec<(Value, Value)>) {
        if !entries.is_empty() {
            self.put(key, Value::Map(entries));
        }
    }

    pub(crate) fn put_extension(&mut self, key: i64, value: Value) {
        self.0.push((key.into(), value));
    }

    pub(crate) fn value(self) -> Value {
        Value::Map(self.0)
    }

    pub(crate) fn encode(self) -> Vec<u8> {
        encode(&self.value())
    }
}
