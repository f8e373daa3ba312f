//! The keyset: the keys that sign licenses, each with its state and its window.

use alloc::{string::String, vec::Vec};
use core::fmt;

use crate::{
    UnixTime,
    cbor::{self, Fields, Item, MapBuilder, Value},
    document::{DocumentKind, UnsignedDocument},
    error::{Error, KeyError, Malformed},
    key::{KeyId, PublicKey},
    scope::Scope,
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
    /// What the key may sign.
    pub scope: Scope,
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
    /// Stolen or lost: whenever a token says that it was issued, the thief may have written that.
    Revoked {
        /// The index in the ledger's log from which nothing under the key is accepted. What a
        /// proof shows to stand before it was minted before the theft. `None` accepts nothing,
        /// and so does zero, which no document states.
        cut: Option<u64>,
    },
}

impl KeyState {
    /// The state's word in print.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Staged => "staged",
            Self::Active { .. } => "active",
            Self::Retired { .. } => "retired",
            Self::Revoked { .. } => "revoked",
        }
    }

    const fn number(self) -> u64 {
        match self {
            Self::Staged => 0,
            Self::Active { .. } => 1,
            Self::Retired { .. } => 2,
            Self::Revoked { .. } => 3,
        }
    }

    /// First and last bound of the window, as far as the state has one.
    const fn window(self) -> (Option<UnixTime>, Option<UnixTime>) {
        match self {
            Self::Staged | Self::Revoked { .. } => (None, None),
            Self::Active { from } => (Some(from), None),
            Self::Retired { from, until } => (Some(from), Some(until)),
        }
    }

    /// The index in the log from which nothing is accepted, if the state has one.
    pub const fn cut(self) -> Option<u64> {
        match self {
            Self::Revoked { cut } => cut,
            _ => None,
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

/// The entries of a key's map.
mod entry {
    pub(super) const KEY: u64 = 0;
    pub(super) const STATE: u64 = 1;
    pub(super) const FROM: u64 = 2;
    pub(super) const UNTIL: u64 = 3;
    pub(super) const SCOPE: u64 = 4;
    pub(super) const CUT: u64 = 5;
}

/// `{0 => public key, 1 => state, ? 2 => from, ? 3 => until, ? 4 => scope, ? 5 => cut}`.
fn decode_key(item: Item) -> Result<LicenseKey, Malformed> {
    let mut fields = Fields::of(item, field::KEYS)?;
    let key = PublicKey::decode(fields.bytes(entry::KEY)?, field::KEYS)?;
    let state = fields.uint(entry::STATE)?;
    let from = fields.optional_time(entry::FROM)?;
    let until = fields.optional_time(entry::UNTIL)?;
    let scope = fields.take(entry::SCOPE);
    let scope = scope.map(|item| Scope::decode(item, field::KEYS));
    let scope = scope.transpose()?.unwrap_or_default();
    let cut = fields.take(entry::CUT);
    let cut = cut.map(|item| cbor::positive(item, field::KEYS));
    let cut = cut.transpose()?;
    fields.end(field::KEYS)?;
    let state = match (state, from, until, cut) {
        (0, None, None, None) => KeyState::Staged,
        (1, Some(from), None, None) => KeyState::Active { from },
        (2, Some(from), Some(until), None) if from <= until => KeyState::Retired { from, until },
        (3, None, None, cut) => KeyState::Revoked { cut },
        _ => {
            let problem = "has a key whose state, window and cut do not fit";
            return Err(Malformed::Field {
                key: field::KEYS,
                problem,
            });
        }
    };
    Ok(LicenseKey { key, state, scope })
}

fn encode_key(license_key: &LicenseKey) -> Value {
    let (from, until) = license_key.state.window();
    let cut = license_key.state.cut().filter(|cut| *cut > 0);
    let mut map = MapBuilder::default();
    map.put(entry::KEY, &license_key.key.as_bytes()[..]);
    map.put(entry::STATE, license_key.state.number());
    map.put_some(entry::FROM, from.map(UnixTime::seconds));
    map.put_some(entry::UNTIL, until.map(UnixTime::seconds));
    map.put_some(entry::SCOPE, license_key.scope.encode());
    map.put_some(entry::CUT, cut);
    map.value()
}
