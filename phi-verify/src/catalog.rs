//! The catalog: what each code is called, and what each plan grants.

use alloc::{collections::BTreeMap, string::String, vec, vec::Vec};

use crate::{
    UnixTime,
    cbor::{self, Fields, Item, MapBuilder, Value},
    document::{DocumentKind, UnsignedDocument},
    error::{Error, Malformed},
    terms::{FlagCode, LimitCode, Period, QuotaCode, Terms},
};

/// The payload of a catalog document (docs/spec.md, "Catalog").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalog {
    /// The trust anchor's issuer.
    pub issuer: String,
    /// The product that the catalog describes.
    pub product: String,
    /// Rises with every change, from 1.
    pub revision: u64,
    /// When the document was made.
    pub issued_at: UnixTime,
    /// The feature flags.
    pub flags: BTreeMap<FlagCode, Name>,
    /// The quotas, with their period.
    pub quotas: BTreeMap<QuotaCode, (Name, Period)>,
    /// The concurrency limits.
    pub limits: BTreeMap<LimitCode, Name>,
    /// What each plan grants, inheritance resolved.
    pub plans: BTreeMap<String, Terms>,
    /// What each add-on adds to a plan.
    pub addons: BTreeMap<String, Terms>,
}

/// What a code is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The name in the catalog.
    pub name: String,
    /// What the name means, in a line for people; may be empty.
    pub title: String,
    /// What is counted, in the plural; empty for flags.
    pub unit: String,
}

mod field {
    pub(super) const ISSUER: u64 = 1;
    pub(super) const PRODUCT: u64 = 2;
    pub(super) const REVISION: u64 = 3;
    pub(super) const ISSUED_AT: u64 = 4;
    pub(super) const FLAGS: u64 = 5;
    pub(super) const QUOTAS: u64 = 6;
    pub(super) const LIMITS: u64 = 7;
    pub(super) const PLANS: u64 = 8;
    pub(super) const ADDONS: u64 = 9;
}

/// A title is one line of a screen or two.
const TITLE_BYTES: usize = 256;

impl Catalog {
    /// The flag of this name.
    pub fn flag(&self, name: &str) -> Option<FlagCode> {
        self.flags
            .iter()
            .find(|(_, entry)| entry.name == name)
            .map(|(code, _)| *code)
    }

    /// The quota of this name.
    pub fn quota(&self, name: &str) -> Option<QuotaCode> {
        self.quotas
            .iter()
            .find(|(_, (entry, _))| entry.name == name)
            .map(|(code, _)| *code)
    }

    /// The concurrency limit of this name.
    pub fn limit(&self, name: &str) -> Option<LimitCode> {
        self.limits
            .iter()
            .find(|(_, entry)| entry.name == name)
            .map(|(code, _)| *code)
    }

    /// The document, to be signed by the keyset role.
    pub fn unsigned(&self) -> UnsignedDocument {
        let mut map = MapBuilder::of_kind(DocumentKind::Catalog.number());
        map.put(field::ISSUER, self.issuer.as_str());
        map.put(field::PRODUCT, self.product.as_str());
        map.put(field::REVISION, self.revision);
        map.put(field::ISSUED_AT, self.issued_at.seconds());
        let flags = self
            .flags
            .iter()
            .map(|(code, name)| (number(code.get()), encode_name(name)));
        map.put_nonempty(field::FLAGS, flags.collect());
        let quotas = self.quotas.iter().map(|(code, (name, period))| {
            let quota = Value::Array(vec![encode_name(name), period.number().into()]);
            (number(code.get()), quota)
        });
        map.put_nonempty(field::QUOTAS, quotas.collect());
        let limits = self
            .limits
            .iter()
            .map(|(code, name)| (number(code.get()), encode_name(name)));
        map.put_nonempty(field::LIMITS, limits.collect());
        map.put_nonempty(field::PLANS, encode_plans(&self.plans));
        map.put_nonempty(field::ADDONS, encode_plans(&self.addons));
        UnsignedDocument::with_payload(DocumentKind::Catalog, map.encode())
    }

    pub(crate) fn decode(payload: &[u8]) -> Result<Self, Error> {
        let invalid = |cause| Error::Document {
            kind: DocumentKind::Catalog,
            cause,
        };
        Self::decode_fields(payload).map_err(invalid)
    }

    fn decode_fields(payload: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Fields::of_object(payload, DocumentKind::Catalog.number())?;
        let catalog = Self {
            issuer: fields.text(field::ISSUER)?,
            product: fields.text(field::PRODUCT)?,
            revision: fields.positive(field::REVISION)?,
            issued_at: fields.time(field::ISSUED_AT)?,
            flags: decode_entries(&mut fields, field::FLAGS, flag_code, |value| {
                decode_name(value, field::FLAGS)
            })?,
            quotas: decode_entries(&mut fields, field::QUOTAS, quota_code, |value| {
                let [name, period] = cbor::array(value, field::QUOTAS)?;
                Ok((
                    decode_name(name, field::QUOTAS)?,
                    Period::decode(period, field::QUOTAS)?,
                ))
            })?,
            limits: decode_entries(&mut fields, field::LIMITS, limit_code, |value| {
                decode_name(value, field::LIMITS)
            })?,
            plans: decode_plans(&mut fields, field::PLANS, plan_name)?,
            addons: decode_plans(&mut fields, field::ADDONS, addon_name)?,
        };
        fields.extensions()?;
        catalog.check_names()?;
        Ok(catalog)
    }

    /// One name, one code: a name that stood twice would let the first code speak for both.
    fn check_names(&self) -> Result<(), Malformed> {
        let quotas = self.quotas.values().map(|(name, _)| name);
        let mut names: Vec<_> = self
            .flags
            .values()
            .chain(quotas)
            .chain(self.limits.values())
            .map(|name| name.name.as_str())
            .collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            let problem = "gives one name to two codes";
            return Err(Malformed::Field {
                key: field::FLAGS,
                problem,
            });
        }
        Ok(())
    }
}

fn number(code: u16) -> Value {
    code.into()
}

fn code<C>(item: Item, key: u64, checked: fn(u64) -> Option<C>) -> Result<C, Malformed> {
    let problem = "has a code beyond the code space";
    checked(cbor::uint(item, key)?).ok_or(Malformed::Field { key, problem })
}

fn flag_code(item: Item) -> Result<FlagCode, Malformed> {
    code(item, field::FLAGS, FlagCode::checked)
}

fn quota_code(item: Item) -> Result<QuotaCode, Malformed> {
    code(item, field::QUOTAS, QuotaCode::checked)
}

fn limit_code(item: Item) -> Result<LimitCode, Malformed> {
    code(item, field::LIMITS, LimitCode::checked)
}

fn plan_name(item: Item) -> Result<String, Malformed> {
    cbor::text(item, field::PLANS)
}

fn addon_name(item: Item) -> Result<String, Malformed> {
    cbor::text(item, field::ADDONS)
}

/// A map that is absent when it is empty, so that each catalog has one encoding.
fn decode_entries<K: Ord, V>(
    fields: &mut Fields,
    field: u64,
    key: fn(Item) -> Result<K, Malformed>,
    value: impl Fn(Item) -> Result<V, Malformed>,
) -> Result<BTreeMap<K, V>, Malformed> {
    let Some(map) = fields.take(field) else {
        return Ok(BTreeMap::new());
    };
    let entries = cbor::map(map, field)?;
    if entries.is_empty() {
        return Err(Malformed::Field {
            key: field,
            problem: "is empty: leave it out",
        });
    }
    entries
        .entries()
        .map(|(name, entry)| Ok((key(name)?, value(entry)?)))
        .collect()
}

/// `[name, title, unit]`.
fn decode_name(item: Item, key: u64) -> Result<Name, Malformed> {
    let [name, title, unit] = cbor::array(item, key)?;
    Ok(Name {
        name: cbor::text(name, key)?,
        title: decode_line(title, key)?,
        unit: decode_line(unit, key)?,
    })
}

/// A line for people, which may be empty.
fn decode_line(item: Item, key: u64) -> Result<String, Malformed> {
    let line = cbor::any_text(item, key)?;
    if line.len() > TITLE_BYTES || line.chars().any(char::is_control) {
        let problem = "has a title of over 256 bytes or with a control character";
        return Err(Malformed::Field { key, problem });
    }
    Ok(line.into())
}

fn encode_name(name: &Name) -> Value {
    Value::Array(vec![
        name.name.as_str().into(),
        name.title.as_str().into(),
        name.unit.as_str().into(),
    ])
}

fn decode_plans(
    fields: &mut Fields,
    field: u64,
    name: fn(Item) -> Result<String, Malformed>,
) -> Result<BTreeMap<String, Terms>, Malformed> {
    decode_entries(fields, field, name, |value| {
        let mut fields = Fields::of(value, field)?;
        let terms = Terms::decode(&mut fields)?;
        fields.end(field)?;
        Ok(terms)
    })
}

/// Plans by name, in the order of the names' encodings: the shorter first.
fn encode_plans(plans: &BTreeMap<String, Terms>) -> Vec<(Value, Value)> {
    let mut sorted: Vec<_> = plans.iter().collect();
    sorted.sort_by_key(|(name, _)| (name.len(), name.as_str()));
    let encode = |(name, terms): (&String, &Terms)| {
        let mut map = MapBuilder::default();
        terms.encode(&mut map);
        (Value::from(name.as_str()), map.value())
    };
    sorted.into_iter().map(encode).collect()
}
