//! The root document: who may sign what. A trust anchor is one of these, compiled in.

use alloc::{string::String, vec, vec::Vec};

use crate::{
    UnixTime,
    cbor::{self, Fields, MapBuilder, Value},
    document::{DocumentKind, UnsignedDocument},
    error::{Error, KeyError, Malformed},
    key::{PublicKey, RoleKeys},
};

/// The payload of a root document (docs/spec.md, "Root").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// The issuer's stable name, the same in everything that it signs.
    pub issuer: String,
    /// The place in the chain of roots, from 1.
    pub version: u64,
    /// When the document was made.
    pub issued_at: UnixTime,
    /// The keys that sign roots: this one and the next.
    pub root: RoleKeys,
    /// The keys that sign keysets and catalogs.
    pub keyset: RoleKeys,
    /// The keys that sign status documents.
    pub status: RoleKeys,
    /// The keys that sign ledger checkpoints.
    pub ledger: RoleKeys,
    /// The oldest keyset version and status epoch that a verifier may still take.
    pub floors: Floors,
    /// When the issuer means to have made the next root. It is advice: past it nothing is refused,
    /// for a root that ends would end every license with it.
    pub refresh_by: Option<UnixTime>,
}

/// The oldest versions that are still good; zero is no floor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Floors {
    /// The oldest keyset version.
    pub keyset: u64,
    /// The oldest status epoch.
    pub status: u64,
}

mod field {
    pub(super) const ISSUER: u64 = 1;
    pub(super) const VERSION: u64 = 2;
    pub(super) const ISSUED_AT: u64 = 3;
    pub(super) const ROOT: u64 = 4;
    pub(super) const KEYSET: u64 = 5;
    pub(super) const STATUS: u64 = 6;
    pub(super) const LEDGER: u64 = 7;
    pub(super) const FLOORS: u64 = 8;
    pub(super) const REFRESH_BY: u64 = 9;
}

impl Root {
    pub(crate) fn decode(payload: &[u8]) -> Result<Self, Error> {
        let invalid = |cause| Error::Document {
            kind: DocumentKind::Root,
            cause,
        };
        let root = Self::decode_fields(payload).map_err(invalid)?;
        root.check_roles()?;
        Ok(root)
    }

    fn decode_fields(payload: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Fields::of_object(payload, DocumentKind::Root.number())?;
        let root = Self {
            issuer: fields.text(field::ISSUER)?,
            version: fields.positive(field::VERSION)?,
            issued_at: fields.time(field::ISSUED_AT)?,
            root: decode_role(&mut fields, field::ROOT)?,
            keyset: decode_role(&mut fields, field::KEYSET)?,
            status: decode_role(&mut fields, field::STATUS)?,
            ledger: decode_role(&mut fields, field::LEDGER)?,
            floors: decode_floors(&mut fields)?,
            refresh_by: fields.optional_time(field::REFRESH_BY)?,
        };
        fields.extensions()?;
        Ok(root)
    }

    /// The document, to be signed by the root keys of this version and of the one before.
    pub fn unsigned(&self) -> UnsignedDocument {
        let mut map = MapBuilder::of_kind(DocumentKind::Root.number());
        map.put(field::ISSUER, self.issuer.as_str());
        map.put(field::VERSION, self.version);
        map.put(field::ISSUED_AT, self.issued_at.seconds());
        for (key, role) in [
            (field::ROOT, &self.root),
            (field::KEYSET, &self.keyset),
            (field::STATUS, &self.status),
            (field::LEDGER, &self.ledger),
        ] {
            map.put(key, encode_role(role));
        }
        if self.floors != Floors::default() {
            let floors = vec![self.floors.keyset.into(), self.floors.status.into()];
            map.put(field::FLOORS, Value::Array(floors));
        }
        map.put_some(field::REFRESH_BY, self.refresh_by.map(UnixTime::seconds));
        UnsignedDocument::with_payload(DocumentKind::Root, map.encode())
    }

    /// Whether the key has any role in this root.
    pub fn names(&self, key: &PublicKey) -> bool {
        self.roles().into_iter().any(|role| role.contains(key))
    }

    /// One key, one role: a key that is stolen in one place must open nothing in another.
    fn check_roles(&self) -> Result<(), Error> {
        let roles = self.roles();
        for (i, role) in roles.iter().enumerate() {
            let elsewhere = |key: &&PublicKey| roles[..i].iter().any(|other| other.contains(key));
            if let Some(key) = role.keys().iter().find(elsewhere) {
                return Err(Error::KeyInTwoRoles(key.id()));
            }
        }
        Ok(())
    }

    fn roles(&self) -> [&RoleKeys; 4] {
        [&self.root, &self.keyset, &self.status, &self.ledger]
    }
}

/// `[threshold, [+ key]]`.
fn decode_role(fields: &mut Fields, key: u64) -> Result<RoleKeys, Malformed> {
    let [threshold, keys] = cbor::array(fields.require(key)?, key)?;
    let keys = cbor::list(keys, key)?
        .iter()
        .map(|bytes| PublicKey::decode(cbor::sized(bytes, key)?, key))
        .collect::<Result<Vec<_>, _>>()?;
    let threshold = usize::try_from(cbor::uint(threshold, key)?).map_err(|_| Malformed::Key {
        key,
        cause: KeyError::Threshold,
    })?;
    RoleKeys::new(keys, threshold).map_err(|cause| Malformed::Key { key, cause })
}

fn encode_role(role: &RoleKeys) -> Value {
    let keys = role
        .keys()
        .iter()
        .map(|key| Value::from(&key.as_bytes()[..]))
        .collect();
    Value::Array(vec![
        Value::from(role.threshold() as u64),
        Value::Array(keys),
    ])
}

fn decode_floors(fields: &mut Fields) -> Result<Floors, Malformed> {
    let Some(value) = fields.take(field::FLOORS) else {
        return Ok(Floors::default());
    };
    let [keyset, status] = cbor::array(value, field::FLOORS)?;
    let floors = Floors {
        keyset: cbor::uint(keyset, field::FLOORS)?,
        status: cbor::uint(status, field::FLOORS)?,
    };
    if floors == Floors::default() {
        let problem = "sets no floor: leave it out";
        return Err(Malformed::Field {
            key: field::FLOORS,
            problem,
        });
    }
    Ok(floors)
}
