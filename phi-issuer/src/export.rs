//! Export: every customer and license as a row that `phi import` reads again.
//!
//! Rows name plans, flags, quotas and limits; times are RFC 3339 in UTC. Events, keys, tokens
//! and published documents are not among them: a copy of those is a backup's.

use std::collections::{BTreeMap, BTreeSet};

use phi_verify::{Allowance, RuleClass, Terms, UnixTime};
use serde_json::{Map, Value, json};

use crate::{
    Customer, Issuer, LicenseRecord, Machine, State,
    catalog::{Kind, Revision},
    error::Error,
    license,
    rows::RowFormat,
    store::Query,
    when::Length,
};

/// The columns of an export, in order.
pub const EXPORT_COLUMNS: [&str; 27] = [
    "ref",
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
    "trial",
    "state",
    "revocation",
    "issued",
    "fingerprint",
    "match",
    "ext",
    "waiting",
    "customer_revoked",
    "revision",
    "catalog_revision",
    "grants",
];

/// What a spreadsheet takes for the beginning of a formula, and the apostrophe that says it is
/// none: a cell that begins with one of them is written with an apostrophe before it.
pub(crate) const GUARDED: [char; 11] = [
    '=', '+', '-', '@', '\t', '\r', '\'', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}',
];

/// Which rows are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportFilter {
    /// Those of a customer.
    pub customer: Option<String>,
    /// Licenses for a product, and no customers without one.
    pub product: Option<String>,
    /// Licenses in this state, and no customers without one.
    pub state: Option<State>,
}

/// An export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportedRows {
    /// The file.
    pub bytes: Vec<u8>,
    /// How many rows are customers without a license.
    pub customers: usize,
    /// How many rows are licenses.
    pub licenses: usize,
}

impl Issuer {
    /// Customers and licenses as a file of rows, as they are at this time: the licenses in the
    /// order of issue, and then the customers without one.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the customer or the product of the filter is unknown.
    pub fn export(
        &mut self,
        filter: &ExportFilter,
        format: RowFormat,
        now: UnixTime,
    ) -> Result<ExportedRows, Error> {
        self.store.read(|query| {
            let mut sheet = Sheet::new(format);
            let mut export = Export::of(query, filter, now)?;
            let (customer, product) = (filter.customer.as_deref(), filter.product.as_deref());
            query.each_license(customer, product, |license| {
                if let Some(row) = export.license(&license.at(now))? {
                    sheet.add(&row);
                }
                Ok(())
            })?;
            let licenses = sheet.rows;
            for row in export.customers_left()? {
                sheet.add(&row);
            }
            Ok(ExportedRows {
                customers: sheet.rows - licenses,
                bytes: sheet.finish(),
                licenses,
            })
        })
    }

    /// The customers as a file of rows.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the customer of the filter is unknown.
    pub fn export_customers(
        &mut self,
        filter: &ExportFilter,
        format: RowFormat,
        now: UnixTime,
    ) -> Result<ExportedRows, Error> {
        self.store.read(|query| {
            let mut sheet = Sheet::new(format);
            for row in Export::of(query, filter, now)?.customers_left()? {
                sheet.add(&row);
            }
            Ok(ExportedRows {
                customers: sheet.rows,
                bytes: sheet.finish(),
                licenses: 0,
            })
        })
    }
}

type Cells = Map<String, Value>;

/// What the rows of an export are made of.
struct Export<'q> {
    query: &'q Query<'q>,
    now: UnixTime,
    state: Option<State>,
    customers: BTreeMap<String, Customer>,
    /// Customers of whom no license was seen.
    left: BTreeSet<String>,
}

impl<'q> Export<'q> {
    fn of(query: &'q Query<'q>, filter: &ExportFilter, now: UnixTime) -> Result<Self, Error> {
        let customers = match &filter.customer {
            None => query.customers()?,
            Some(id) => {
                let found = query.customer(id)?;
                vec![found.ok_or_else(|| crate::customer::not_found(id))?]
            }
        };
        if let Some(product) = &filter.product
            && query.newest_catalog(product)?.is_none()
        {
            return Err(license::no_catalog(product));
        }
        let all = filter.product.is_none() && filter.state.is_none();
        let left = customers
            .iter()
            .filter(|_| all)
            .map(|customer| customer.id.clone());
        Ok(Self {
            query,
            now,
            state: filter.state,
            left: left.collect(),
            customers: customers
                .into_iter()
                .map(|customer| (customer.id.clone(), customer))
                .collect(),
        })
    }

    /// The row of a license, if it is wanted.
    fn license(&mut self, license: &LicenseRecord) -> Result<Option<Cells>, Error> {
        let state = license.state(self.now);
        if self.state.is_some_and(|wanted| wanted != state) {
            return Ok(None);
        }
        self.left.remove(&license.customer);
        let mut row = self.customer(&license.customer)?;
        let mut put = |column: &str, value: Value| put(&mut row, column, value);
        put("ref", json!(license.id.to_string()));
        put("product", json!(license.product));
        put("plan", json!(license.plan));
        put("addons", json!(license.addons));
        let overrides = &license.overrides;
        put("flags", json!(overrides.flags));
        put("without", json!(overrides.without));
        put("quotas", json!(overrides.quotas));
        put("limits", json!(overrides.limits));
        put(
            "begins",
            json!(license.not_before.map(|time| time.to_string())),
        );
        let expires = license.expires.map(|time| time.to_string());
        put("expires", json!(expires.unwrap_or_else(|| "never".into())));
        let length = |seconds: u64| (seconds > 0).then(|| Length(seconds).to_string());
        put("grace", json!(length(license.grace)));
        put(
            "max_status_age",
            json!(license.max_status_age.and_then(length)),
        );
        put("trial", json!(license.trial.then_some(true)));
        put("state", json!(state.name()));
        put("revocation", json!(self.revocation(license, state)?));
        put("issued", json!(license.issued_at.to_string()));
        if let Some((machine, required)) = license
            .machine
            .as_ref()
            .map(Machine::fingerprint)
            .transpose()?
        {
            let request = machine.to_request().map_err(Error::NotVerified)?;
            put("fingerprint", json!(request));
            put("match", json!(required));
        }
        let texts = license.extensions.iter();
        let texts: Map<String, Value> = texts
            .map(|(number, text)| (number.to_string(), json!(text)))
            .collect();
        put("ext", Value::Object(texts));
        let waiting = license.waiting.iter();
        let waiting = waiting.map(|wait| format!("{} {}", wait.effective, wait.change.word()));
        put("waiting", json!(waiting.collect::<Vec<_>>()));
        put("revision", json!(license.revision));
        put("catalog_revision", json!(license.catalog_revision));
        let catalog = self
            .query
            .catalog(&license.product, license.catalog_revision)?;
        let catalog = catalog.ok_or_else(|| license::no_catalog(&license.product))?;
        put(
            "grants",
            granted(&license::terms(self.query, license)?, &catalog),
        );
        Ok(Some(row))
    }

    fn revocation(
        &self,
        license: &LicenseRecord,
        state: State,
    ) -> Result<Option<&'static str>, Error> {
        if state != State::Revoked {
            return Ok(None);
        }
        let found = self
            .query
            .revocation(RuleClass::License, &license.id.to_string())?;
        Ok(found.map(|revocation| revocation.reason.name()))
    }

    /// The cells of a customer, in whichever row.
    fn customer(&self, id: &str) -> Result<Cells, Error> {
        let mut row = Cells::new();
        put(&mut row, "customer", json!(id));
        if let Some(customer) = self.customers.get(id) {
            put(&mut row, "customer_kind", json!(customer.kind.name()));
            put(&mut row, "customer_name", json!(customer.name));
        }
        let revoked = self.query.revocation(RuleClass::Customer, id)?;
        put(
            &mut row,
            "customer_revoked",
            json!(revoked.map(|revoked| revoked.reason.name())),
        );
        Ok(row)
    }

    /// The rows of customers without a license.
    fn customers_left(&self) -> Result<Vec<Cells>, Error> {
        let row = |id: &String| {
            let mut row = self.customer(id)?;
            put(&mut row, "ref", json!(format!("customer:{id}")));
            Ok(row)
        };
        self.left.iter().map(row).collect()
    }
}

fn put(row: &mut Cells, column: &str, value: Value) {
    let empty = match &value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    };
    if !empty {
        row.insert(column.to_owned(), value);
    }
}

/// Flags, and quotas and limits with their amounts, by name.
fn granted(terms: &Terms, catalog: &Revision) -> Value {
    let name = |kind, code| catalog.name_of(kind, code);
    let flags = terms.flags.iter().map(|flag| name(Kind::Flag, flag.get()));
    let quotas = terms.quotas.iter().map(|(code, quota)| {
        let name = name(Kind::Quota, code.get());
        match quota.allowance {
            Allowance::Unlimited => format!("{name}=unlimited"),
            Allowance::Limited(amount) => format!("{name}={amount} per {}", quota.period),
        }
    });
    let limits = terms.limits.iter();
    let limits = limits.map(|(code, limit)| format!("{}={limit}", name(Kind::Limit, code.get())));
    json!(flags.chain(quotas).chain(limits).collect::<Vec<_>>())
}

/// A file of rows that is being written.
struct Sheet {
    format: RowFormat,
    text: Vec<u8>,
    rows: usize,
}

impl Sheet {
    fn new(format: RowFormat) -> Self {
        let mut sheet = Self {
            format,
            text: Vec::new(),
            rows: 0,
        };
        if format == RowFormat::Csv {
            write_record(&mut sheet.text, EXPORT_COLUMNS.map(str::to_owned));
        }
        sheet
    }

    fn add(&mut self, row: &Cells) {
        self.rows += 1;
        match self.format {
            RowFormat::JsonLines => {
                let text = serde_json::to_string(row).expect("cells are plain values");
                self.text.extend_from_slice(text.as_bytes());
                self.text.push(b'\n');
            }
            RowFormat::Csv => {
                let text = |column| row.get(column).map(cell).unwrap_or_default();
                write_record(&mut self.text, EXPORT_COLUMNS.map(text));
            }
        }
    }

    fn finish(self) -> Vec<u8> {
        self.text
    }
}

/// A value as the text of a cell: a list apart by semicolons, where they say it unmistakably, and
/// else as JSON.
fn cell(value: &Value) -> String {
    let plain = |text: &str| {
        let blank = |c: char| c.is_whitespace();
        !text.is_empty()
            && !text.contains(';')
            && !text.starts_with(|c: char| blank(c) || matches!(c, '[' | '{'))
            && !text.ends_with(blank)
    };
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let texts: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
            match texts {
                Some(texts) if texts.iter().all(|text| plain(text)) => texts.join(";"),
                _ => value.to_string(),
            }
        }
        Value::Object(entries) => {
            let pair = |(name, value): (&String, &Value)| {
                let text = value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned);
                let simple = plain(name) && !name.contains('=') && plain(&text);
                simple.then(|| format!("{name}={text}"))
            };
            let pairs: Option<Vec<String>> = entries.iter().map(pair).collect();
            pairs.map_or_else(|| value.to_string(), |pairs| pairs.join(";"))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// Writes a line of CSV, whose cells no spreadsheet takes for formulas.
pub fn write_record(text: &mut Vec<u8>, cells: impl IntoIterator<Item = String>) {
    let mut writer = csv::Writer::from_writer(text);
    let written = writer.write_record(cells.into_iter().map(guarded));
    let written = written.and_then(|()| Ok(writer.flush()?));
    written.expect("writing into memory does not fail");
}

fn guarded(text: String) -> String {
    if text.starts_with(GUARDED) {
        format!("'{text}")
    } else {
        text
    }
}
