//! Status documents as bytes.

use alloc::{vec, vec::Vec};

use super::{
    Form, ListId, Sections, Status,
    rule::{Rule, Subject, in_order},
    sections::{self, REMOVED},
};
use crate::{
    cbor::{self, Fields, Item, MapBuilder, Value},
    document::{DocumentKind, PayloadHash, UnsignedDocument},
    error::{Error, Malformed},
    key::KeyId,
};

pub(super) mod field {
    pub(in super::super) const ISSUER: u64 = 1;
    pub(in super::super) const EPOCH: u64 = 2;
    pub(in super::super) const THIS_UPDATE: u64 = 3;
    pub(in super::super) const NEXT_UPDATE: u64 = 4;
    pub(in super::super) const HARD_EXPIRY: u64 = 5;
    pub(in super::super) const KEYSET: u64 = 6;
    /// Of a full list the one before, of a delta the one that it stands for.
    pub(in super::super) const FULL: u64 = 7;
    pub(in super::super) const SALT: u64 = 8;
    pub(in super::super) const COVERED_KEYS: u64 = 9;
    pub(in super::super) const RULES: u64 = 10;
    pub(in super::super) const SECTIONS: u64 = 11;
    pub(in super::super) const BASE: u64 = 12;
    pub(in super::super) const UNREVOKED: u64 = 13;
}

impl Status {
    /// The document, to be signed by the status role.
    pub fn unsigned(&self) -> UnsignedDocument {
        let mut map = MapBuilder::of_kind(DocumentKind::Status.number());
        map.put(field::ISSUER, self.issuer.as_str());
        map.put(field::EPOCH, self.epoch);
        map.put(field::THIS_UPDATE, self.this_update.seconds());
        map.put(field::NEXT_UPDATE, self.next_update.seconds());
        map.put(field::HARD_EXPIRY, self.hard_expiry.seconds());
        let (version, hash) = self.keyset;
        map.put(field::KEYSET, named(version, &hash));
        match &self.form {
            Form::Full { previous, salt } => {
                map.put_some(field::FULL, previous.as_ref().map(|hash| &hash[..]));
                map.put(field::SALT, &salt[..]);
            }
            Form::Delta { full, .. } => map.put(field::FULL, &full[..]),
        }
        let keys = self.covered_keys.iter();
        let keys = keys.map(|id| Value::from(&id.as_bytes()[..]));
        map.put(field::COVERED_KEYS, Value::Array(keys.collect()));
        map.put(field::RULES, in_order(self.rules.iter().map(Rule::encode)));
        let mut sections: Vec<_> = self.revoked.encode(0).collect();
        if let Form::Delta { base, removed, .. } = &self.form {
            sections.extend(removed.encode(REMOVED));
            map.put(field::SECTIONS, Value::Array(sections));
            map.put(field::BASE, named(base.epoch, &base.hash));
        } else {
            map.put(field::SECTIONS, Value::Array(sections));
        }
        if !self.unrevoked.is_empty() {
            let unrevoked = self.unrevoked.iter().map(Subject::encode_unrevoked);
            map.put(field::UNREVOKED, in_order(unrevoked));
        }
        UnsignedDocument::with_payload(DocumentKind::Status, map.encode())
    }

    pub(crate) fn decode(payload: &[u8]) -> Result<Self, Error> {
        let invalid = |cause| Error::Document {
            kind: DocumentKind::Status,
            cause,
        };
        Self::decode_fields(payload).map_err(invalid)
    }

    fn decode_fields(payload: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Fields::of_object(payload, DocumentKind::Status.number())?;
        let issuer = fields.text(field::ISSUER)?;
        let epoch = fields.positive(field::EPOCH)?;
        let this_update = fields.time(field::THIS_UPDATE)?;
        let next_update = fields.time(field::NEXT_UPDATE)?;
        let hard_expiry = fields.time(field::HARD_EXPIRY)?;
        let keyset = decode_named(fields.require(field::KEYSET)?, field::KEYSET)?;
        let full = fields.take(field::FULL);
        let full = full
            .map(|hash| cbor::sized(hash, field::FULL))
            .transpose()?;
        let salt = fields.take(field::SALT);
        let salt = salt
            .map(|salt| cbor::sized(salt, field::SALT))
            .transpose()?;
        let covered_keys = decode_covered(&mut fields)?;
        let rules = decode_rules(&mut fields)?;
        let [revoked, removed] = sections::decode(fields.require(field::SECTIONS)?)?;
        let base = fields.take(field::BASE);
        let base = base
            .map(|base| decode_named(base, field::BASE))
            .transpose()?;
        let unrevoked = decode_unrevoked(&mut fields)?;
        fields.extensions()?;
        if !(this_update < next_update && next_update <= hard_expiry) {
            let problem = "is not after this update and before the hard expiry";
            return Err(invalid(field::NEXT_UPDATE, problem));
        }
        let form = match base {
            None => full_form(epoch, full, salt, &removed)?,
            Some(base) => delta_form(epoch, base, full, salt, removed)?,
        };
        Ok(Self {
            issuer,
            epoch,
            this_update,
            next_update,
            hard_expiry,
            keyset,
            form,
            covered_keys,
            rules,
            revoked,
            unrevoked,
        })
    }
}

fn full_form(
    epoch: u64,
    previous: Option<PayloadHash>,
    salt: Option<[u8; 16]>,
    removed: &Sections,
) -> Result<Form, Malformed> {
    if previous.is_some() != (epoch > 1) {
        let problem = "names the list before, which every list but the first has";
        return Err(invalid(field::FULL, problem));
    }
    if !removed.is_empty() {
        let problem = "removes something, and the list is no delta";
        return Err(invalid(field::SECTIONS, problem));
    }
    let salt = salt.ok_or(Malformed::MissingField { key: field::SALT })?;
    Ok(Form::Full { previous, salt })
}

fn delta_form(
    epoch: u64,
    (base, hash): (u64, PayloadHash),
    full: Option<PayloadHash>,
    salt: Option<[u8; 16]>,
    removed: Sections,
) -> Result<Form, Malformed> {
    let full = full.ok_or(Malformed::MissingField { key: field::FULL })?;
    if salt.is_some() {
        let problem = "is there, and a delta has none";
        return Err(invalid(field::SALT, problem));
    }
    if base >= epoch {
        let problem = "names a list that is not older than the delta";
        return Err(invalid(field::BASE, problem));
    }
    let base = ListId { epoch: base, hash };
    Ok(Form::Delta {
        base,
        full,
        removed,
    })
}

const fn invalid(key: u64, problem: &'static str) -> Malformed {
    Malformed::Field { key, problem }
}

/// `[version, hash]` of a document.
fn named(version: u64, hash: &PayloadHash) -> Value {
    Value::Array(vec![version.into(), Value::from(&hash[..])])
}

fn decode_named(item: Item, key: u64) -> Result<(u64, PayloadHash), Malformed> {
    let [version, hash] = cbor::array(item, key)?;
    Ok((cbor::positive(version, key)?, cbor::sized(hash, key)?))
}

fn decode_covered(fields: &mut Fields) -> Result<Vec<KeyId>, Malformed> {
    let key = field::COVERED_KEYS;
    let ids = cbor::list(fields.require(key)?, key)?
        .iter()
        .map(|id| cbor::sized(id, key).map(KeyId::from_bytes))
        .collect::<Result<Vec<_>, _>>()?;
    ascending(&ids, key)?;
    Ok(ids)
}

fn decode_rules(fields: &mut Fields) -> Result<Vec<Rule>, Malformed> {
    let rules = cbor::list(fields.require(field::RULES)?, field::RULES)?;
    let encodings: Vec<_> = rules.encodings().collect();
    ascending(&encodings, field::RULES)?;
    rules.iter().map(Rule::decode).collect()
}

fn decode_unrevoked(fields: &mut Fields) -> Result<Vec<Subject>, Malformed> {
    let key = field::UNREVOKED;
    let Some(item) = fields.take(key) else {
        return Ok(Vec::new());
    };
    let unrevoked = cbor::list(item, key)?;
    if unrevoked.is_empty() {
        return Err(invalid(key, "is empty: leave it out"));
    }
    let encodings: Vec<_> = unrevoked.encodings().collect();
    ascending(&encodings, key)?;
    unrevoked.iter().map(Subject::decode_unrevoked).collect()
}

fn ascending<T: Ord>(items: &[T], key: u64) -> Result<(), Malformed> {
    if items.windows(2).all(|pair| pair[0] < pair[1]) {
        return Ok(());
    }
    Err(invalid(key, "is not in strictly ascending order"))
}
