//! Entries: what the ledger keeps of a change, as bytes that are written once.
//!
//! An entry is an event with its place, time, actor and reason, in deterministic CBOR. Its digest
//! is in a leaf of the Merkle log, so that nothing about it can change unseen. docs/ledger.md has
//! the format.

use ciborium::Value;
use phi_verify::{
    UnixTime,
    log::{Hash, Leaf},
};
use sha2::{Digest as _, Sha256};

use crate::{
    error::Error,
    event::{self, Event},
};

/// The version of the entries that this library writes.
pub(crate) const ENTRY_VERSION: u64 = 2;
/// The version of entries that were made of the rows of a store of version 1, which had no log.
pub(crate) const FIRST_VERSION: u64 = 1;

/// One change in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The version of its format.
    pub(crate) version: u64,
    /// Its place, from 1.
    pub seq: u64,
    /// When it was recorded; never before the entry before it.
    pub time: UnixTime,
    /// Who recorded it.
    pub actor: String,
    /// Why, in the actor's words.
    pub reason: Option<String>,
    /// The request that it answers, so that the request is not carried out twice.
    pub idempotency_key: Option<String>,
    /// What happened.
    pub event: Event,
}

/// Keys of the entry's map.
mod key {
    pub(super) const VERSION: u64 = 0;
    pub(super) const SEQ: u64 = 1;
    pub(super) const TIME: u64 = 2;
    pub(super) const ACTOR: u64 = 3;
    pub(super) const REASON: u64 = 4;
    pub(super) const IDEMPOTENCY: u64 = 5;
    pub(super) const EVENT: u64 = 6;
}

impl Entry {
    /// The entry's bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let text = |text: &String| Value::Text(text.clone());
        let fields = [
            (key::VERSION, Some(self.version.into())),
            (key::SEQ, Some(self.seq.into())),
            (key::TIME, Some(self.time.seconds().into())),
            (key::ACTOR, Some(text(&self.actor))),
            (key::REASON, self.reason.as_ref().map(text)),
            (key::IDEMPOTENCY, self.idempotency_key.as_ref().map(text)),
            (key::EVENT, Some(self.event.to_value())),
        ];
        // Small unsigned keys in ascending order are in deterministic order already.
        let fields = fields.into_iter();
        let present = fields.filter_map(|(key, value)| Some((Value::from(key), value?)));
        event::encode(&Value::Map(present.collect()))
    }

    /// Reads an entry, which must be in the encoding that this library writes.
    ///
    /// # Errors
    /// [`Error::EventDamaged`], or [`Error::EntryNewer`] for an entry of a newer Phi.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let damaged = |problem: &str| Error::EventDamaged {
            problem: problem.into(),
        };
        let value: Value =
            ciborium::from_reader(bytes).map_err(|error| damaged(&error.to_string()))?;
        let mut fields = Fields::of(value).ok_or_else(|| damaged("it is not a map"))?;
        let version = fields.uint(key::VERSION)?;
        if !(FIRST_VERSION..=ENTRY_VERSION).contains(&version) {
            return Err(Error::EntryNewer {
                found: version,
                known: ENTRY_VERSION,
            });
        }
        let time = UnixTime::new(fields.uint(key::TIME)?);
        let entry = Self {
            version,
            seq: fields.uint(key::SEQ)?,
            time: time.ok_or_else(|| damaged("its time is after the year 9999"))?,
            actor: fields
                .text(key::ACTOR)?
                .ok_or_else(|| damaged("it has no actor"))?,
            reason: fields.text(key::REASON)?,
            idempotency_key: fields.text(key::IDEMPOTENCY)?,
            event: Event::from_value(&fields.take(key::EVENT).unwrap_or(Value::Null))?,
        };
        if entry.encode() != bytes {
            return Err(damaged("it is not in deterministic CBOR"));
        }
        Ok(entry)
    }

    /// Reads an entry that was given out with its proof, and makes its leaf.
    ///
    /// # Errors
    /// As those of a ledger: [`Error::EventDamaged`], [`Error::EntryNewer`].
    pub fn parse(bytes: &[u8]) -> Result<(Self, Leaf), Error> {
        let entry = Self::decode(bytes)?;
        let leaf = entry.leaf(bytes);
        Ok((entry, leaf))
    }

    /// What of it is in the Merkle log, for these bytes of it.
    pub(crate) fn leaf(&self, bytes: &[u8]) -> Leaf {
        let entry = Hash::of(bytes);
        match &self.event {
            Event::TokenMinted(token) => Leaf::of_token(&token.token, entry),
            Event::DocumentPublished(publication) => {
                Leaf::of_document(&publication.document, entry)
            }
            event => Leaf {
                word: event.name().into(),
                subject: None,
                entry,
            },
        }
    }
}

/// The event in an entry's bytes, as they stand there: that they are what this library writes is
/// not asked.
pub(crate) fn event_in(bytes: &[u8]) -> Result<Value, Error> {
    let damaged = |problem: String| Error::EventDamaged { problem };
    let value: Value = ciborium::from_reader(bytes).map_err(|error| damaged(error.to_string()))?;
    let fields = Fields::of(value);
    let event = fields.and_then(|mut fields| fields.take(key::EVENT));
    event.ok_or_else(|| damaged("it has no event".into()))
}

/// SHA-256.
pub(crate) fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// The fields of a map whose keys are small numbers.
struct Fields(Vec<(Value, Value)>);

impl Fields {
    fn of(value: Value) -> Option<Self> {
        value.into_map().ok().map(Self)
    }

    fn take(&mut self, key: u64) -> Option<Value> {
        let key = Value::from(key);
        let at = self.0.iter().position(|(found, _)| *found == key)?;
        Some(self.0.swap_remove(at).1)
    }

    fn uint(&mut self, key: u64) -> Result<u64, Error> {
        let number = self.take(key).and_then(|value| value.into_integer().ok());
        let number = number.and_then(|number| u64::try_from(number).ok());
        number.ok_or_else(|| Error::EventDamaged {
            problem: format!("its field {key} is not a number"),
        })
    }

    fn text(&mut self, key: u64) -> Result<Option<String>, Error> {
        let text = self.take(key).map(Value::into_text).transpose();
        text.map_err(|_| Error::EventDamaged {
            problem: format!("its field {key} is not a text"),
        })
    }
}
