//! The keyset: the keys that sign licenses, each with its state and its window.

use alloc::{string::String, vec::Vec};
use core::fmt;

use crate::{
    UnixTime,
    cbor::{self, Fields, Item, MapBuilder, Value},
    document::{DocumentKind, UnsignedDocument},
    error::{Error, KeyError, Malformed},
    key::{KeyId, PublicKey},
};

/// The payload of a keyset document (docs/spec.md, "Keyset").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyset {
    /// The trust anchor's issuer.
    pub issuer: String,
    /// Rises with every publication, from 1.
    pub version: u64,
    /// When the document was made.
    pub issued_at: UnixTime,
    /// The root under which it was signed: a verifier with an older one needs the newer first.
    pub root_version: u64,
    /// The keys, in ascending order of their ids.
    keys: Vec<LicenseKey>,
}

/// A key that signs licenses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LicenseKey {
    /// The key.
    pub key: PublicKey,
    /// Where the key is in its life.
    pub state: KeyState,
}

/// Where a license key is in its life: staged, active, retired, and then dropped from the keyset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Announced without a date: nothing under it is accepted yet.
    Staged,
    /// Signs from `from` on, which may lie ahead.
    Active {
        /// The first time of issue that is accepted.
        from: UnixTime,
    },
    /// Signs no more; what was issued in its window is still accepted.
    Retired {
        /// The first time of issue that is accepted.
        from: UnixTime,
        /// The first time of issue that is no longer accepted.
        until: UnixTime,
    },
    /// Stolen or lost: nothing under it is accepted, whenever it was issued.
    Revoked,
}

impl KeyState {
    /// The state's word in print.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Staged => "staged",
            Self::Active { .. } => "active",
            Self::Retired { .. } => "retired",
            Self::Revoked => "revoked",
        }
    }

    const fn number(self) -> u64 {
        match self {
            Self::Staged => 0,
            Self::Active { .. } => 1,
            Self::Retired { .. } => 2,
            Self::Revoked => 3,
        }
    }

    /// First and last bound of the window, as far as the state has one.
    const fn window(self) -> (Option<UnixTime>, Option<UnixTime>) {
        match self {
            Self::Staged | Self::Revoked => (None, None),
            Self::Active { from } => (Some(from), None),
            Self::Retired { from, until } => (Some(from), Some(until)),
        }
    }

    /// Whether a token issued at this time is within the key's window.
    pub fn signs_at(self, issued_at: UnixTime) -> bool {
        let (from, until) = self.window();
        from.is_some_and(|from| from <= issued_at) && until.is_none_or(|until| issued_at < until)
    }
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

mod field {
    pub(super) const ISSUER: u64 = 1;
    pub(super) const VERSION: u64 = 2;
    pub(super) const ISSUED_AT: u64 = 3;
    pub(super) const ROOT_VERSION: u64 = 4;
    pub(super) const KEYS: u64 = 5;
}

impl Keyset {
    /// A keyset of these keys.
    ///
    /// # Errors
    /// [`KeyError::Duplicate`] if a key is there twice.
    pub fn new(
        issuer: String,
        version: u64,
        issued_at: UnixTime,
        root_version: u64,
        mut keys: Vec<LicenseKey>,
    ) -> Result<Self, KeyError> {
        keys.sort_unstable_by_key(|entry| entry.key.id());
        if keys
            .windows(2)
            .any(|pair| pair[0].key.id() == pair[1].key.id())
        {
            return Err(KeyError::Duplicate);
        }
        Ok(Self {
            issuer,
            version,
            issued_at,
            root_version,
            keys,
        })
    }

    /// The keys, in ascending order of their ids.
    pub fn keys(&self) -> &[LicenseKey] {
        &self.keys
    }

    /// The key with this id.
    pub fn key(&self, id: KeyId) -> Option<&LicenseKey> {
        let index = self
            .keys
            .binary_search_by_key(&id, |entry| entry.key.id())
            .ok()?;
        Some(&self.keys[index])
    }

    /// The document, to be signed by the keyset role.
    pub fn unsigned(&self) -> UnsignedDocument {
        let mut map = MapBuilder::of_kind(DocumentKind::Keyset.number());
        map.put(field::ISSUER, self.issuer.as_str());
        map.put(field::VERSION, self.version);
        map.put(field::ISSUED_AT, self.issued_at.seconds());
        map.put(field::ROOT_VERSION, self.root_version);
        map.put(
            field::KEYS,
            Value::Array(self.keys.iter().map(encode_key).collect()),
        );
        UnsignedDocument::with_payload(DocumentKind::Keyset, map.encode())
    }

    pub(crate) fn decode(payload: &[u8]) -> Result<Self, Error> {
        let invalid = |cause| Error::Document {
            kind: DocumentKind::Keyset,
            cause,
        };
        Self::decode_fields(payload).map_err(invalid)
    }

    fn decode_fields(payload: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Fields::of_object(payload, DocumentKind::Keyset.number())?;
        let (issuer, version) = (
            fields.text(field::ISSUER)?,
            fields.positive(field::VERSION)?,
        );
        let issued_at = fields.time(field::ISSUED_AT)?;
        let root_version = fields.positive(field::ROOT_VERSION)?;
        let keys = cbor::list(fields.require(field::KEYS)?, field::KEYS)?
            .iter()
            .map(decode_key)
            .collect::<Result<Vec<_>, _>>()?;
        fields.extensions()?;
        if keys
            .windows(2)
            .any(|pair| pair[0].key.id() > pair[1].key.id())
        {
            let problem = "is not in the order of key ids";
            return Err(Malformed::Field {
                key: field::KEYS,
                problem,
            });
        }
        Self::new(issuer, version, issued_at, root_version, keys).map_err(|cause| Malformed::Key {
            key: field::KEYS,
            cause,
        })
    }
}

/// `{0 => public key, 1 => state, ? 2 => from, ? 3 => until}`.
fn decode_key(item: Item) -> Result<LicenseKey, Malformed> {
    let mut entry = Fields::of(item, field::KEYS)?;
    let key = PublicKey::decode(entry.bytes(0)?, field::KEYS)?;
    let state = (
        entry.uint(1)?,
        entry.optional_time(2)?,
        entry.optional_time(3)?,
    );
    entry.end(field::KEYS)?;
    let state = match state {
        (0, None, None) => KeyState::Staged,
        (1, Some(from), None) => KeyState::Active { from },
        (2, Some(from), Some(until)) if from <= until => KeyState::Retired { from, until },
        (3, None, None) => KeyState::Revoked,
        _ => {
            let problem = "has a key whose state and window do not fit";
            return Err(Malformed::Field {
                key: field::KEYS,
                problem,
            });
        }
    };
    Ok(LicenseKey { key, state })
}

fn encode_key(entry: &LicenseKey) -> Value {
    let (from, until) = entry.state.window();
    let mut map = MapBuilder::default();
    map.put(0, &entry.key.as_bytes()[..]);
    map.put(1, entry.state.number());
    map.put_some(2, from.map(UnixTime::seconds));
    map.put_some(3, until.map(UnixTime::seconds));
    map.value()
}
