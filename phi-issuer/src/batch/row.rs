//! The rows of a batch, each good or bad by itself.

use std::{collections::BTreeMap, fmt};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use phi_verify::{Allowance, Fingerprint, LicenseId, UnixTime};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, DeserializeOwned, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::{
    Customer, CustomerKind, NewLicense,
    catalog::Overrides,
    error::Error,
    rows::{self, CsvForm, Line, RowFormat},
    when::{Length, When},
};

/// A row of a batch.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its line in the file, from 1.
    pub line: usize,
    /// What it asks for, or what is wrong with it.
    pub request: Result<RowRequest, String>,
}

/// What a row asks for.
#[derive(Clone, Debug)]
pub struct RowRequest {
    /// The row's name, the same whenever the row is run again.
    pub reference: String,
    pub(super) order: Order,
    pub(super) new_customer: Option<Customer>,
    pub(super) machine: Option<(Fingerprint, usize)>,
    digest: String,
}

/// A new license with its first token, or a further token of a license.
#[derive(Clone, Debug)]
pub(super) enum Order {
    License(Box<NewLicense>),
    Token(LicenseId),
}

impl RowRequest {
    /// Where the ledger keeps what the row with this reference did.
    pub(super) fn key_prefix(&self) -> String {
        format!("row\n{}\n", self.reference)
    }

    /// The prefix and a digest of the row: the same reference with other contents is a conflict.
    pub(super) fn idempotency_key(&self) -> String {
        format!("{}{}", self.key_prefix(), self.digest)
    }
}

/// A reference is a line of a spreadsheet, an order number, an address.
const MAX_REFERENCE_BYTES: usize = 128;

/// Reads a file of rows. Spans such as `+1y` count from `now`.
///
/// # Errors
/// [`Error::BatchFile`] if the file as a whole does not read, such as a CSV file whose header
/// has a column that no row can have.
pub fn read_rows(format: RowFormat, bytes: &[u8], now: UnixTime) -> Result<Vec<Row>, Error> {
    let table = rows::read(format, bytes, CsvForm::default())?;
    if let Some(column) = table.header.iter().find(|name| !is_column(name)) {
        let known = COLUMNS.join(", ");
        let problem =
            format!("the header line has the unknown column {column:?}; the columns are {known}");
        return Err(Error::BatchFile { problem });
    }
    let row = |line: Line| Row {
        line: line.number,
        request: line.object.and_then(|object| request(object, now)),
    };
    Ok(table.lines.into_iter().map(row).collect())
}

fn is_column(name: &str) -> bool {
    COLUMNS.contains(&name)
}

/// The columns of a row (docs/guides/batch.md).
const COLUMNS: [&str; 19] = [
    "ref",
    "license",
    "customer",
    "customer_kind",
    "customer_name",
    "product",
    "plan",
    "addons",
    "flags",
    "without",
    "quotas",
    "limits",
    "begins",
    "expires",
    "grace",
    "max_status_age",
    "fingerprint",
    "match",
    "ext",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRow {
    r#ref: String,
    license: Option<String>,
    customer: Option<String>,
    customer_kind: Option<String>,
    customer_name: Option<String>,
    product: Option<String>,
    plan: Option<String>,
    #[serde(default)]
    addons: Names,
    #[serde(default)]
    flags: Names,
    #[serde(default)]
    without: Names,
    #[serde(default)]
    quotas: Pairs<Allowance>,
    #[serde(default)]
    limits: Pairs<Allowance>,
    begins: Option<String>,
    expires: Option<String>,
    grace: Option<String>,
    max_status_age: Option<String>,
    fingerprint: Option<String>,
    #[serde(default)]
    r#match: Option<Number>,
    #[serde(default)]
    ext: Pairs<String>,
}

fn request(object: Map<String, Value>, now: UnixTime) -> Result<RowRequest, String> {
    let digest = digest(&object);
    let mut raw: RawRow =
        serde_json::from_value(Value::Object(object)).map_err(|error| error.to_string())?;
    let reference = std::mem::take(&mut raw.r#ref);
    check_reference(&reference)?;
    let machine = machine(&raw)?;
    let new_customer = new_customer(&raw)?;
    let order = match raw.license.take() {
        Some(license) => Order::Token(further_token(&license, &raw)?),
        None => Order::License(Box::new(new_license(raw, now)?)),
    };
    Ok(RowRequest {
        reference,
        order,
        new_customer,
        machine,
        digest,
    })
}

pub(crate) fn check_reference(reference: &str) -> Result<(), &'static str> {
    let long = reference.len() > MAX_REFERENCE_BYTES;
    if reference.is_empty() || long || reference.chars().any(char::is_control) {
        return Err("ref is 1 to 128 bytes without control characters");
    }
    Ok(())
}

/// A digest of the row as it was written; objects are ordered by name.
fn digest(object: &Map<String, Value>) -> String {
    let sorted: BTreeMap<_, _> = object.iter().collect();
    digest_of(&sorted)
}

/// A digest of a value whose maps are ordered.
pub(crate) fn digest_of(value: &impl Serialize) -> String {
    let text = serde_json::to_string(value).expect("plain values with text keys have a text form");
    URL_SAFE_NO_PAD.encode(Sha256::digest(text))
}

/// A row that names a license says nothing about what is in it.
fn further_token(license: &str, raw: &RawRow) -> Result<LicenseId, String> {
    let orders = raw.customer.is_some()
        || raw.customer_name.is_some()
        || raw.plan.is_some()
        || raw.product.is_some()
        || raw.expires.is_some()
        || raw.begins.is_some()
        || raw.grace.is_some()
        || raw.max_status_age.is_some()
        || !(raw.addons.0.is_empty() && raw.flags.0.is_empty() && raw.without.0.is_empty())
        || !(raw.quotas.0.is_empty() && raw.limits.0.is_empty() && raw.ext.0.is_empty());
    if orders {
        return Err("a row with a license only mints a token of it: leave the rest out".into());
    }
    license.parse().map_err(|error| format!("license: {error}"))
}

fn new_license(raw: RawRow, now: UnixTime) -> Result<NewLicense, String> {
    let customer = raw.customer.ok_or("customer is missing")?;
    let plan = raw.plan.ok_or("plan is missing")?;
    let seconds = |name: &str, text: Option<String>| {
        text.map(|text| text.parse().map(|length: Length| length.0))
            .transpose()
            .map_err(|error| format!("{name}: {error}"))
    };
    let time = |name: &str, text: Option<String>, end: bool| match text {
        None => Ok(None),
        Some(text) => text
            .parse()
            .and_then(|when: When| {
                if end {
                    when.end(now)
                } else {
                    when.beginning(now).map(Some)
                }
            })
            .map_err(|error| format!("{name}: {error}")),
    };
    let number = |(number, text): (String, String)| {
        let number = number
            .parse()
            .map_err(|_| "ext: a number is needed, such as -1=text")?;
        Ok::<_, String>((number, text))
    };
    Ok(NewLicense {
        addons: raw.addons.0,
        overrides: Overrides {
            flags: raw.flags.0.into_iter().collect(),
            without: raw.without.0.into_iter().collect(),
            quotas: raw.quotas.0,
            limits: raw.limits.0,
        },
        not_before: time("begins", raw.begins, false)?,
        expires: time("expires", raw.expires, true)?,
        grace: seconds("grace", raw.grace)?.unwrap_or(0),
        max_status_age: seconds("max_status_age", raw.max_status_age)?,
        extensions: raw
            .ext
            .0
            .into_iter()
            .map(number)
            .collect::<Result<_, _>>()?,
        ..NewLicense::new(&customer, &raw.product.unwrap_or_default(), &plan)
    })
}

/// A row with a customer's name adds the customer if there is none.
fn new_customer(raw: &RawRow) -> Result<Option<Customer>, String> {
    let kind = match raw.customer_kind.as_deref() {
        None => CustomerKind::Organization,
        Some(word) => {
            CustomerKind::from_name(word).ok_or("customer_kind is user or organization")?
        }
    };
    match (&raw.customer, &raw.customer_name) {
        (Some(id), Some(name)) => Ok(Some(Customer {
            id: id.clone(),
            kind,
            name: name.clone(),
        })),
        _ if raw.customer_kind.is_some() => Err("customer_kind goes with customer_name".into()),
        _ => Ok(None),
    }
}

fn machine(raw: &RawRow) -> Result<Option<(Fingerprint, usize)>, String> {
    match (&raw.fingerprint, &raw.r#match) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err("match goes with fingerprint".into()),
        (Some(request), required) => {
            let machine = Fingerprint::from_request(request).map_err(|error| error.to_string())?;
            let required = required
                .as_ref()
                .map_or_else(|| majority(&machine), |number| number.0);
            Ok(Some((machine, required)))
        }
    }
}

/// How many components must match where nobody says: more than half, so that a part can be
/// replaced and two machines with parts in common stay two.
pub fn majority(machine: &Fingerprint) -> usize {
    machine.components().count() / 2 + 1
}

/// Names in one text, apart by semicolons, or in a list.
#[derive(Default)]
struct Names(Vec<String>);

/// `name=value` pairs in one text, apart by semicolons, or in an object.
struct Pairs<V>(BTreeMap<String, V>);

/// A number, or a text that is one.
struct Number(usize);

impl<V> Default for Pairs<V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NamesVisitor;
        impl<'de> Visitor<'de> for NamesVisitor {
            type Value = Names;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("names apart by semicolons, or a list of them")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Names, E> {
                Ok(Names(parts(text).map(str::to_owned).collect()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Names, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = items.next_element()? {
                    names.push(name);
                }
                Ok(Names(names))
            }
        }
        deserializer.deserialize_any(NamesVisitor)
    }
}

impl<'de, V> Deserialize<'de> for Pairs<V>
where
    V: DeserializeOwned,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor<V>(std::marker::PhantomData<V>);
        impl<'de, V> Visitor<'de> for PairsVisitor<V>
        where
            V: DeserializeOwned,
        {
            type Value = Pairs<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("name=value pairs apart by semicolons, or an object of them")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Pairs<V>, E> {
                let pair = |part: &str| {
                    let (name, value) = part
                        .split_once('=')
                        .ok_or_else(|| E::custom(format!("{part:?} is not name=value")))?;
                    let value = V::deserialize(Value::from(value)).map_err(E::custom)?;
                    Ok((name.to_owned(), value))
                };
                distinct(parts(text).map(pair))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Pairs<V>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = entries.next_entry()? {
                    pairs.push(Ok(pair));
                }
                distinct(pairs.into_iter())
            }
        }
        deserializer.deserialize_any(PairsVisitor(std::marker::PhantomData))
    }
}

fn distinct<V, E: de::Error>(
    pairs: impl Iterator<Item = Result<(String, V), E>>,
) -> Result<Pairs<V>, E> {
    let mut found = BTreeMap::new();
    for pair in pairs {
        let (name, value) = pair?;
        if found.contains_key(&name) {
            return Err(E::custom(format!("{name:?} stands twice")));
        }
        found.insert(name, value);
    }
    Ok(Pairs(found))
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Allowance::deserialize(deserializer)? {
            Allowance::Limited(number) => {
                usize::try_from(number).map(Self).map_err(de::Error::custom)
            }
            Allowance::Unlimited => Err(de::Error::custom("a number is needed")),
        }
    }
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(';')
        .map(str::trim)
        .filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests;
