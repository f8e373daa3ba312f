//! Deterministic CBOR (RFC 8949 section 4.2.1): the one encoding of a value, or an error.
//!
//! The decoder is ciborium; what it lets pass is caught by walking the value and by encoding it
//! again, which must give the same bytes. It runs only over bytes whose signature holds.

use alloc::{string::String, vec::Vec};

pub(crate) use ciborium::Value;

use crate::error::Malformed;

/// Objects nest no deeper than this; the deepest of Phi's own nests five levels.
const DEPTH_LIMIT: usize = 8;

/// Decodes exactly one deterministically encoded value.
pub(crate) fn decode(bytes: &[u8]) -> Result<Value, Malformed> {
    let value = ciborium::de::from_reader_with_recursion_limit(bytes, DEPTH_LIMIT)
        .map_err(|_| Malformed::CborSyntax)?;
    let mut scratch = Vec::with_capacity(bytes.len());
    check_types(&value, &mut scratch)?;
    scratch.clear();
    encode_into(&value, &mut scratch);
    if scratch == bytes {
        Ok(value)
    } else {
        Err(Malformed::CborNotDeterministic)
    }
}

/// Encodes a value whose maps are already in order.
pub(crate) fn encode(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_into(value, &mut bytes);
    bytes
}

fn encode_into(value: &Value, bytes: &mut Vec<u8>) {
    ciborium::into_writer(value, bytes).expect("writing a value into memory cannot fail");
}

/// Only integers, strings, booleans, arrays and maps with strictly ascending keys.
fn check_types(value: &Value, scratch: &mut Vec<u8>) -> Result<(), Malformed> {
    match value {
        Value::Integer(_) | Value::Bytes(_) | Value::Text(_) | Value::Bool(_) => Ok(()),
        Value::Array(items) => items.iter().try_for_each(|item| check_types(item, scratch)),
        Value::Map(entries) => {
            check_order(entries, scratch)?;
            entries.iter().try_for_each(|(key, value)| {
                check_types(key, scratch)?;
                check_types(value, scratch)
            })
        }
        _ => Err(Malformed::CborForbiddenType),
    }
}

/// Keys ascend in the order of their encodings (RFC 8949 section 4.2.1), none twice.
fn check_order(entries: &[(Value, Value)], scratch: &mut Vec<u8>) -> Result<(), Malformed> {
    for pair in entries.windows(2) {
        let numbers = unsigned(&pair[0].0).zip(unsigned(&pair[1].0));
        // Smaller unsigned integers have smaller encodings, so the numbers can be compared.
        let ascending = numbers.map_or_else(
            || {
                scratch.clear();
                encode_into(&pair[0].0, scratch);
                let middle = scratch.len();
                encode_into(&pair[1].0, scratch);
                scratch[..middle] < scratch[middle..]
            },
            |(first, second)| first < second,
        );
        if !ascending {
            return Err(Malformed::CborKeyOrder);
        }
    }
    Ok(())
}

fn unsigned(value: &Value) -> Option<u64> {
    u64::try_from(value.as_integer()?).ok()
}

/// The fields of an object, taken in ascending order of their keys.
pub(crate) struct Fields {
    entries: core::iter::Peekable<alloc::vec::IntoIter<(Value, Value)>>,
}

/// A field that a reader may ignore: its key is a negative integer.
pub(crate) type ExtensionField = (i64, Value);

impl Fields {
    /// Opens an object, whose key 0 must hold `kind`.
    pub(crate) fn of_object(bytes: &[u8], kind: u64) -> Result<Self, Malformed> {
        let mut fields = Self::of(decode(bytes)?, 0)?;
        match fields.uint(0)? {
            found if found == kind => Ok(fields),
            found => Err(Malformed::Kind {
                expected: kind,
                found,
            }),
        }
    }

    /// Opens a map that is the value of field `key`.
    pub(crate) fn of(value: Value, key: u64) -> Result<Self, Malformed> {
        Ok(Self {
            entries: map(value, key)?.into_iter().peekable(),
        })
    }

    /// Takes field `key` if it is the next one.
    pub(crate) fn take(&mut self, key: u64) -> Option<Value> {
        self.entries
            .next_if(|(found, _)| unsigned(found) == Some(key))
            .map(|(_, value)| value)
    }

    /// Takes field `key`, which must be there.
    pub(crate) fn require(&mut self, key: u64) -> Result<Value, Malformed> {
        if let Some(value) = self.take(key) {
            return Ok(value);
        }
        // An unknown field in front hides the required one: say which of the two it is.
        match self.entries.peek() {
            Some((found, _)) if unsigned(found).is_some_and(|found| found < key) => {
                Err(Malformed::UnknownField {
                    key: unsigned(found).unwrap_or(key),
                })
            }
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
    pub(crate) fn extensions(self) -> Result<Vec<ExtensionField>, Malformed> {
        self.entries
            .map(|(key, value)| Ok((extension_key(&key)?, value)))
            .collect()
    }

    /// Ends a map that has no extensions.
    pub(crate) fn end(mut self, within: u64) -> Result<(), Malformed> {
        let problem = "has an unknown entry";
        self.entries.next().map_or(Ok(()), |_| {
            Err(Malformed::Field {
                key: within,
                problem,
            })
        })
    }
}

fn extension_key(key: &Value) -> Result<i64, Malformed> {
    let number = key.as_integer().ok_or(Malformed::CborForbiddenType)?;
    match i64::try_from(number) {
        Ok(negative) if negative < 0 => Ok(negative),
        _ => Err(unsigned(key).map_or(Malformed::CborForbiddenType, |key| {
            Malformed::UnknownField { key }
        })),
    }
}

pub(crate) fn time(seconds: u64, key: u64) -> Result<crate::UnixTime, Malformed> {
    let problem = "is a time after the year 9999";
    crate::UnixTime::new(seconds).ok_or(Malformed::Field { key, problem })
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "all typed readers take the value they read"
)]
pub(crate) fn uint(value: Value, key: u64) -> Result<u64, Malformed> {
    unsigned(&value).ok_or(Malformed::Field {
        key,
        problem: "is not an unsigned integer",
    })
}

/// A number that counts from one: versions, revisions and epochs.
pub(crate) fn positive(value: Value, key: u64) -> Result<u64, Malformed> {
    match uint(value, key)? {
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

pub(crate) fn text(value: Value, key: u64) -> Result<String, Malformed> {
    let text = value.into_text().map_err(|_| Malformed::Field {
        key,
        problem: "is not a text",
    })?;
    text_rule(&text, key)?;
    Ok(text)
}

pub(crate) fn bytes(value: Value, key: u64) -> Result<Vec<u8>, Malformed> {
    value.into_bytes().map_err(|_| Malformed::Field {
        key,
        problem: "is not a byte string",
    })
}

pub(crate) fn sized<const N: usize>(value: Value, key: u64) -> Result<[u8; N], Malformed> {
    let problem = "is a byte string of another length";
    bytes(value, key)?
        .try_into()
        .map_err(|_| Malformed::Field { key, problem })
}

pub(crate) fn array<const N: usize>(value: Value, key: u64) -> Result<[Value; N], Malformed> {
    let problem = "is an array of another length";
    list(value, key)?
        .try_into()
        .map_err(|_| Malformed::Field { key, problem })
}

pub(crate) fn list(value: Value, key: u64) -> Result<Vec<Value>, Malformed> {
    value.into_array().map_err(|_| Malformed::Field {
        key,
        problem: "is not an array",
    })
}

pub(crate) fn map(value: Value, key: u64) -> Result<Vec<(Value, Value)>, Malformed> {
    value.into_map().map_err(|_| Malformed::Field {
        key,
        problem: "is not a map",
    })
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
