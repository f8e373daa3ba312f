//! What a row of a foreign file says by a map: a customer, and the license it holds.

use std::{borrow::Cow, collections::BTreeMap};

use phi_verify::{Allowance, Fingerprint, Reason, UnixTime};
use serde::Serialize;
use serde_json::{Map, Value};

use super::map::{self, Arrival, Field, ImportMap};
use crate::{
    Customer, CustomerKind, Machine, NewLicense,
    batch::{check_reference, digest_of, majority},
    line,
    when::{Length, When},
};

/// What is wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowProblem {
    /// The column, as the file has it.
    pub column: Option<String>,
    /// A stable word.
    pub code: &'static str,
    /// A sentence for people.
    pub message: String,
    /// The next step.
    pub hint: Option<String>,
}

impl RowProblem {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            column: None,
            code: "row-invalid",
            message: message.into(),
            hint: None,
        }
    }

    pub(super) fn at(mut self, column: String) -> Self {
        self.column = Some(column);
        self
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// A row that makes sense by itself; whether the store agrees is asked later.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    pub(super) reference: String,
    pub(super) customer: PlannedCustomer,
    pub(super) license: Option<PlannedLicense>,
    /// What the ledger says of where it came from.
    pub(super) reason: String,
    /// A digest of what the row says by the map.
    pub(super) digest: String,
}

#[derive(Clone, Debug)]
pub(super) struct PlannedCustomer {
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) kind: Option<CustomerKind>,
    /// Whether the id was made of the name.
    pub(super) made: bool,
    /// Whether the row tells enough of the customer to add it.
    pub(super) declared: bool,
}

impl PlannedCustomer {
    pub(super) fn as_new(&self) -> Customer {
        Customer {
            id: self.id.clone(),
            kind: self.kind.unwrap_or(CustomerKind::Organization),
            name: self.name.clone().unwrap_or_default(),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct PlannedLicense {
    pub(super) arrival: Arrival,
    pub(super) revocation: Reason,
    pub(super) order: Box<NewLicense>,
}

/// A note is a few sentences in the ledger's reason.
const MAX_NOTE_BYTES: usize = 500;

/// What a row comes to.
pub(super) enum Reading {
    Planned(Box<Planned>),
    /// The map says to leave it aside.
    Skip,
}

/// The reference of a row, if it has one that reads, whatever else is wrong with it.
pub(super) fn reference(map: &ImportMap, object: &Map<String, Value>) -> Option<String> {
    let text = Cells { map, object }.text(Field::Ref)?.into_owned();
    check_reference(&text).is_ok().then_some(text)
}

/// Reads a row by the map.
pub(super) fn read(
    map: &ImportMap,
    object: &Map<String, Value>,
    now: UnixTime,
) -> Result<Reading, RowProblem> {
    let cells = Cells { map, object };
    for column in &map.file.must_be_empty {
        if cells.raw(column).is_some() {
            let hint =
                "settle it in the system it comes from, or empty the cell and settle it here";
            let problem = RowProblem::new("the cell has a value that an import cannot carry over");
            return Err(problem.hint(hint).at(column.clone()));
        }
    }
    let said = cells.said()?;
    let row = Row { map, said };
    row.read(now)
}

/// The cells of a row, by the names of their columns.
struct Cells<'r> {
    map: &'r ImportMap,
    object: &'r Map<String, Value>,
}

impl<'r> Cells<'r> {
    /// The text of a column; nothing and a word for nothing are the same.
    fn raw(&self, column: &str) -> Option<Cow<'r, str>> {
        let text = match value_at(self.object, column)? {
            Value::Null => return None,
            Value::String(text) => Cow::Borrowed(text.as_str()),
            // Numbers and truths as they are written; lists and objects are known by their bracket.
            other => Cow::Owned(other.to_string()),
        };
        let none = text.is_empty() || self.map.format.empty.contains(&*text);
        (!none).then_some(text)
    }

    /// What the row says of a field, in Phi's words.
    fn text(&self, field: Field) -> Option<Cow<'r, str>> {
        let column = self.map.column_of(field);
        let Some(cell) = column.and_then(|column| self.raw(column)) else {
            let default = self.map.defaults.get(&field)?;
            return Some(Cow::Owned(default.get_ref().clone()));
        };
        if field.is_list() {
            return Some(cell);
        }
        Some(match self.word(field, &cell) {
            Some(word) => Cow::Owned(word.to_owned()),
            None => cell,
        })
    }

    /// The word that the map has for a word of the file.
    fn word(&self, field: Field, text: &str) -> Option<&'r str> {
        let table = self.map.values.get(&field)?;
        let found = table.get(text).or_else(|| table.get("*"))?;
        Some(found.get_ref())
    }

    /// Everything that the row says.
    fn said(&self) -> Result<Said, RowProblem> {
        let mut said = Said::default();
        for field in Field::ALL {
            let Some(text) = self.text(field) else {
                continue;
            };
            if field.is_list() {
                said.lists.insert(field, self.list(field, &text)?);
            } else {
                said.texts.insert(field, text.into_owned());
            }
        }
        let from_columns = |field: &Field| {
            let column = self.map.column_of(*field);
            field.is_of_license() && column.is_some_and(|column| self.raw(column).is_some())
        };
        said.has_license = Field::ALL.iter().any(from_columns);
        for (name, column) in &self.map.flag_columns {
            if let Some(text) = self.raw(column.get_ref()) {
                said.has_license = true;
                let set = truth(self.map, &text)
                    .map_err(|problem| problem.at(column.get_ref().clone()))?;
                said.flags.insert(name.clone(), set);
            }
        }
        for (named, amounts) in [
            (&self.map.quota_columns, &mut said.quotas),
            (&self.map.limit_columns, &mut said.limits),
        ] {
            for (name, column) in named {
                if let Some(text) = self.raw(column.get_ref()) {
                    said.has_license = true;
                    amounts.insert(name.clone(), (column.get_ref().clone(), text.into_owned()));
                }
            }
        }
        Ok(said)
    }

    /// The items of a list, each in Phi's word; an item whose word is empty is dropped.
    fn list(&self, field: Field, text: &str) -> Result<Vec<String>, RowProblem> {
        let items = list(self.map, text).map_err(|problem| problem.at(place(self.map, field)))?;
        let word = |item: String| match self.word(field, &item) {
            Some(word) => word.to_owned(),
            None => item,
        };
        Ok(items
            .into_iter()
            .map(word)
            .filter(|item| !item.is_empty())
            .collect())
    }
}

/// A column by its name, or by a path into nested objects with dots between the names.
pub(super) fn value_at<'v>(object: &'v Map<String, Value>, column: &str) -> Option<&'v Value> {
    if let Some(value) = object.get(column) {
        return Some(value);
    }
    let (outer, inner) = column.split_once('.')?;
    value_at(object.get(outer)?.as_object()?, inner)
}

/// What a row says, in Phi's words. The digest is made of it: columns that the map does not read
/// may change from one export to the next.
#[derive(Default, Serialize)]
struct Said {
    texts: BTreeMap<Field, String>,
    lists: BTreeMap<Field, Vec<String>>,
    flags: BTreeMap<String, bool>,
    /// By the name of the amount: its column and its text.
    quotas: BTreeMap<String, (String, String)>,
    limits: BTreeMap<String, (String, String)>,
    #[serde(skip)]
    has_license: bool,
}

/// Where a field comes from: its column, or the map itself.
pub(super) fn place(map: &ImportMap, field: Field) -> String {
    let by_map = || format!("{} of the map", field.name());
    map.column_of(field).map_or_else(by_map, str::to_owned)
}

/// A row that is being read.
struct Row<'m> {
    map: &'m ImportMap,
    said: Said,
}

impl Row<'_> {
    fn read(self, now: UnixTime) -> Result<Reading, RowProblem> {
        let digest = digest_of(&self.said);
        let reference = self.reference()?;
        let arrival = self.arrival()?;
        if arrival == Arrival::Skip {
            return Ok(Reading::Skip);
        }
        let customer = self.customer()?;
        let license = match self.text(Field::Plan) {
            Some(plan) => Some(self.license(plan, arrival, &customer.id, now)?),
            None if self.said.has_license => {
                let problem = self.problem(
                    Field::Plan,
                    "the cell is empty, and the row is of a license",
                );
                return Err(problem.hint("fill the cell, or name a plan in the map's [defaults]"));
            }
            None => None,
        };
        let reason = self.reason(&reference)?;
        Ok(Reading::Planned(Box::new(Planned {
            reference,
            customer,
            license,
            reason,
            digest,
        })))
    }

    fn text(&self, field: Field) -> Option<&str> {
        self.said.texts.get(&field).map(String::as_str)
    }

    /// A problem with what stands in a field's column.
    fn problem(&self, field: Field, message: impl Into<String>) -> RowProblem {
        RowProblem::new(message).at(place(self.map, field))
    }

    fn reference(&self) -> Result<String, RowProblem> {
        let text = self.text(Field::Ref).unwrap_or_default();
        let hint = "each row needs a name of its own that stays";
        check_reference(text)
            .map_err(|rule| self.problem(Field::Ref, rule.to_owned()).hint(hint))?;
        Ok(text.to_owned())
    }

    fn arrival(&self) -> Result<Arrival, RowProblem> {
        let Some(word) = self.text(Field::State) else {
            return Ok(Arrival::Active);
        };
        Arrival::from_name(word).ok_or_else(|| {
            let hint = format!(
                "say in the map's [values.state] what {word:?} is: one of {}",
                Arrival::words()
            );
            self.problem(Field::State, format!("{word:?} is no state"))
                .hint(hint)
        })
    }

    fn customer(&self) -> Result<PlannedCustomer, RowProblem> {
        let kind = match self.text(Field::CustomerKind) {
            None => None,
            Some(word) => Some(CustomerKind::from_name(word).ok_or_else(|| {
                let hint = "say in the map's [values.customer_kind] which is a user and which an \
                            organization";
                let message = format!("{word:?} is no kind of customer");
                self.problem(Field::CustomerKind, message).hint(hint)
            })?),
        };
        let name = self.text(Field::CustomerName).map(str::to_owned);
        let names = self.map.columns.contains_key(&Field::CustomerName)
            || self.map.defaults.contains_key(&Field::CustomerName);
        let declared = names || self.text(Field::Plan).is_none();
        let (id, made) = match (self.text(Field::Customer), &name) {
            (Some(id), _) => (id.to_owned(), false),
            (None, Some(name)) if self.map.customers.id_from_name => {
                let id = slug(name).ok_or_else(|| {
                    let message = format!("no id can be made of {name:?}");
                    self.problem(Field::CustomerName, message)
                        .hint("name a column with ids in the map, or change the name")
                })?;
                (id, true)
            }
            _ if self.map.customers.id_from_name => {
                let message = "the cell is empty, and the customer has no id either";
                return Err(self
                    .problem(Field::CustomerName, message)
                    .hint("fill the cell"));
            }
            _ => {
                let hint = "fill the cell, or say id_from_name = true in the map's [customers]";
                return Err(self
                    .problem(Field::Customer, "the cell is empty")
                    .hint(hint));
            }
        };
        let customer = PlannedCustomer {
            id,
            name,
            kind,
            made,
            declared,
        };
        customer.as_new().check().map_err(|error| {
            let field = if error.to_string().contains("name") {
                Field::CustomerName
            } else {
                Field::Customer
            };
            self.problem(field, error.to_string())
        })?;
        Ok(customer)
    }

    fn license(
        &self,
        plan: &str,
        arrival: Arrival,
        customer: &str,
        now: UnixTime,
    ) -> Result<PlannedLicense, RowProblem> {
        // `plan + add-on + add-on`: an old plan may have been two things.
        let mut parts = plan.split('+').map(str::trim);
        let plan = parts.next().unwrap_or_default();
        let product = self.text(Field::Product).unwrap_or_default();
        let mut order = NewLicense::new(customer, product, plan);
        order.addons = parts.map(str::to_owned).collect();
        order.addons.extend(self.list(Field::Addons));
        self.overrides(&mut order)?;
        order.not_before = self
            .time(Field::Begins)?
            .map(|when| {
                when.beginning(now)
                    .map_err(|error| self.problem(Field::Begins, error.to_string()))
            })
            .transpose()?;
        order.expires = self.expiry(now)?;
        order.grace = self.length(Field::Grace)?.unwrap_or(0);
        order.max_status_age = self.length(Field::MaxStatusAge)?;
        order.trial = match self.text(Field::Trial) {
            None => false,
            Some(text) => truth(self.map, text)
                .map_err(|problem| problem.at(place(self.map, Field::Trial)))?,
        };
        order.extensions = self.extensions()?;
        order.machine = self.machine()?;
        self.check_expired(arrival, &order, now)?;
        let revocation = match self.text(Field::Revocation) {
            None => Reason::Unspecified,
            Some(word) => map::reason(word).ok_or_else(|| {
                let hint = format!(
                    "say in the map's [values.revocation] what it is: one of {}",
                    map::reasons()
                );
                self.problem(Field::Revocation, format!("{word:?} is no reason"))
                    .hint(hint)
            })?,
        };
        Ok(PlannedLicense {
            arrival,
            revocation,
            order: Box::new(order),
        })
    }

    /// A license that is said to be expired must be so by its time: time is all that expires one.
    fn check_expired(
        &self,
        arrival: Arrival,
        order: &NewLicense,
        now: UnixTime,
    ) -> Result<(), RowProblem> {
        let over = order
            .expires
            .is_some_and(|expires| expires.plus(order.grace) <= now);
        if arrival != Arrival::Expired || over {
            return Ok(());
        }
        let message = match order.expires {
            Some(expires) => format!(
                "the row says expired, and its time is over only at {}",
                expires.plus(order.grace)
            ),
            None => "the row says expired, and it never expires".into(),
        };
        let hint = "mend the date or the state; a license that ended early is suspended or revoked";
        Err(self.problem(Field::Expires, message).hint(hint))
    }

    fn list(&self, field: Field) -> Vec<String> {
        self.said.lists.get(&field).cloned().unwrap_or_default()
    }

    fn overrides(&self, order: &mut NewLicense) -> Result<(), RowProblem> {
        let overrides = &mut order.overrides;
        overrides.flags.extend(self.list(Field::Flags));
        overrides.without.extend(self.list(Field::Without));
        for (name, set) in &self.said.flags {
            if *set {
                overrides.flags.insert(name.clone());
            } else {
                overrides.without.insert(name.clone());
            }
        }
        for (field, named, amounts) in [
            (Field::Quotas, &self.said.quotas, &mut overrides.quotas),
            (Field::Limits, &self.said.limits, &mut overrides.limits),
        ] {
            for (name, text) in self.pairs(field)? {
                let amount = self.amount(&text);
                let amount = amount.map_err(|message| self.problem(field, message))?;
                amounts.insert(name, amount);
            }
            for (name, (column, text)) in named {
                let amount = self
                    .amount(text)
                    .map_err(|message| RowProblem::new(message).at(column.clone()))?;
                amounts.insert(name.clone(), amount);
            }
        }
        Ok(())
    }

    fn amount(&self, text: &str) -> Result<Allowance, String> {
        if self.map.format.unlimited.contains(text) {
            return Ok(Allowance::Unlimited);
        }
        text.parse().map(Allowance::Limited).map_err(|_| {
            let words = listed(&self.map.format.unlimited);
            format!("{text:?} is no amount: a whole number, or a word for unlimited ({words})")
        })
    }

    /// `name=value` pairs, or a JSON object.
    fn pairs(&self, field: Field) -> Result<BTreeMap<String, String>, RowProblem> {
        let Some(text) = self.text(field) else {
            return Ok(BTreeMap::new());
        };
        let refused = |message: String| self.problem(field, message);
        let mut found = BTreeMap::new();
        if text.starts_with('{') {
            let object: Map<String, Value> = serde_json::from_str(text)
                .map_err(|error| refused(format!("this is no JSON object: {error}")))?;
            for (name, value) in object {
                let value = match value {
                    Value::String(text) => text,
                    other => other.to_string(),
                };
                found.insert(name, value);
            }
            return Ok(found);
        }
        let items = list(self.map, text).map_err(|problem| problem.at(place(self.map, field)))?;
        for item in items {
            let pair = item.split_once('=');
            let (name, value) =
                pair.ok_or_else(|| refused(format!("{item:?} is not name=value")))?;
            let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
            if found.contains_key(&name) {
                return Err(refused(format!("{name:?} stands twice")));
            }
            found.insert(name, value);
        }
        Ok(found)
    }

    fn extensions(&self) -> Result<BTreeMap<i64, String>, RowProblem> {
        let number = |(number, text): (String, String)| {
            let refused = |_| {
                let message = format!("{number:?} is no number, such as -1 in -1=text");
                self.problem(Field::Ext, message)
            };
            Ok((number.parse().map_err(refused)?, text))
        };
        self.pairs(Field::Ext)?.into_iter().map(number).collect()
    }

    fn expiry(&self, now: UnixTime) -> Result<Option<UnixTime>, RowProblem> {
        let Some(text) = self.text(Field::Expires) else {
            let hint = "fill the cell, or name in the map's [defaults] when such licenses expire";
            return Err(self.problem(Field::Expires, "the cell is empty").hint(hint));
        };
        if self.map.format.never.contains(text) {
            return Ok(None);
        }
        let Some(when) = self.time(Field::Expires)? else {
            return Ok(None);
        };
        when.end(now)
            .map_err(|error| self.problem(Field::Expires, error.to_string()))
    }

    /// A day or an instant, in ISO's writing or in one of the map's.
    fn time(&self, field: Field) -> Result<Option<When>, RowProblem> {
        let Some(text) = self.text(field) else {
            return Ok(None);
        };
        let iso = text.parse::<When>().ok();
        // Spans and `now` mean another time on another day, and a row means one thing for ever.
        let iso = iso.filter(|when| matches!(when, When::At(_) | When::Day(_)));
        let mut written = self.map.format.dates.iter();
        let by_format = || written.find_map(|format| When::by_format(text, format.get_ref()).ok());
        let found = iso.or_else(by_format).ok_or_else(|| {
            let message = format!("{text:?} is no date");
            let hint = if self.map.format.dates.is_empty() {
                "dates are 2031-01-04 or 2031-01-04T12:00:00Z; name others in the map's \
                 [format] dates, such as \"%d.%m.%Y\""
            } else {
                "it is neither ISO nor in a format of the map's [format] dates"
            };
            self.problem(field, message).hint(hint)
        })?;
        Ok(Some(found))
    }

    fn length(&self, field: Field) -> Result<Option<u64>, RowProblem> {
        let length = self.text(field).map(str::parse::<Length>).transpose();
        let length = length.map_err(|error| self.problem(field, error.to_string()))?;
        Ok(length.map(|length| length.0))
    }

    fn machine(&self) -> Result<Option<Machine>, RowProblem> {
        let required = self.text(Field::Match).map(|text| {
            let message = format!("{text:?} is no count of components");
            text.parse::<usize>()
                .map_err(|_| self.problem(Field::Match, message))
        });
        let required = required.transpose()?;
        let Some(request) = self.text(Field::Fingerprint) else {
            return match required {
                None => Ok(None),
                Some(_) => Err(self.problem(
                    Field::Match,
                    "a count of components goes with a fingerprint",
                )),
            };
        };
        let refused = |message: String| self.problem(Field::Fingerprint, message);
        let machine =
            Fingerprint::from_request(request).map_err(|error| refused(error.to_string()))?;
        let required = required.unwrap_or_else(|| majority(&machine));
        let machine = Machine::new(&machine, required);
        machine
            .map(Some)
            .map_err(|error| refused(error.to_string()))
    }

    /// `imported from Keygen: order-1; issued 2021-03-04; note`.
    fn reason(&self, reference: &str) -> Result<String, RowProblem> {
        let mut reason = format!("imported from {}: {reference}", self.map.source());
        for (field, before) in [(Field::Issued, "; issued "), (Field::Note, "; ")] {
            let Some(text) = self.text(field) else {
                continue;
            };
            if text.len() > MAX_NOTE_BYTES {
                let message = format!(
                    "the text has {} bytes, at most {MAX_NOTE_BYTES} are kept",
                    text.len()
                );
                return Err(self.problem(field, message).hint("shorten it"));
            }
            reason.push_str(before);
            // The ledger's reasons are one line.
            reason.extend(text.chars().map(|c| if line::hides(c) { ' ' } else { c }));
        }
        Ok(reason)
    }
}

fn truth(map: &ImportMap, text: &str) -> Result<bool, RowProblem> {
    let (yes, no) = (&map.format.r#true, &map.format.r#false);
    match (
        yes.contains(text) || text == "true",
        no.contains(text) || text == "false",
    ) {
        (true, false) => Ok(true),
        (false, true) => Ok(false),
        _ => {
            let message = format!(
                "{text:?} is neither true ({}) nor false ({})",
                listed(yes),
                listed(no)
            );
            Err(RowProblem::new(message)
                .hint("name the words in the map's [format] true and false"))
        }
    }
}

/// The items of a list, or of a JSON array of texts.
fn list(map: &ImportMap, text: &str) -> Result<Vec<String>, RowProblem> {
    if text.starts_with('[') {
        return serde_json::from_str(text)
            .map_err(|error| RowProblem::new(format!("this is no JSON list of texts: {error}")));
    }
    let separator = map.format.list.get_ref().as_str();
    let separator = Some(separator.trim())
        .filter(|text| !text.is_empty())
        .unwrap_or(separator);
    let items = text.split(separator).map(str::trim);
    Ok(items
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect())
}

fn listed(words: &std::collections::BTreeSet<String>) -> String {
    words
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}

/// An id made of a name: `Globex, Inc.` is `globex-inc`.
fn slug(name: &str) -> Option<String> {
    let mut id = String::new();
    for c in name.chars().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() {
            id.push(c);
        } else if !id.ends_with('-') && !id.is_empty() {
            id.push('-');
        }
    }
    let mut end = id.len().min(MAX_SLUG_BYTES);
    while !id.is_char_boundary(end) {
        end -= 1;
    }
    id.truncate(end);
    let id = id.trim_end_matches('-');
    (!id.is_empty()).then(|| id.to_owned())
}

/// As long as a customer id may be.
const MAX_SLUG_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_made_of_names() {
        for (name, id) in [
            ("Globex Corporation", Some("globex-corporation")),
            ("  Globex, Inc. ", Some("globex-inc")),
            ("Müller & Söhne GmbH", Some("müller-söhne-gmbh")),
            ("***", None),
            ("", None),
        ] {
            assert_eq!(slug(name).as_deref(), id, "{name}");
        }
        let long = slug(&"ä".repeat(100)).unwrap();
        assert_eq!(long.len(), MAX_SLUG_BYTES);
    }

    #[test]
    fn columns_are_found_by_name_and_by_path() {
        let object = serde_json::json!({"a.b": 1, "a": {"b": 2, "c": {"d": 3}}, "e": [4]});
        let object = object.as_object().unwrap();
        for (column, found) in [
            ("a.b", Some(1)),
            ("a.c.d", Some(3)),
            ("a.x", None),
            ("e.0", None),
        ] {
            let value = value_at(object, column).and_then(Value::as_u64);
            assert_eq!(value, found, "{column}");
        }
    }
}
