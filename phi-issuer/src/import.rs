//! Import: customers and licenses of another system, from a file of rows and a map of it.
//!
//! A row is carried out whole or not at all, and once: its reference is an idempotency key, so
//! that running a file again makes nothing twice, and a row that has changed is a conflict. What
//! a row says is read in `row`, by the rules that `map` has.

mod example;
mod map;
mod row;

use std::collections::{BTreeSet, HashMap};

pub use example::example_map;
use map::{Arrival, ExistingRule};
pub use map::{ImportMap, MAX_MAP_BYTES};
use phi_verify::LicenseId;
pub use row::RowProblem;
use row::{Planned, PlannedCustomer, PlannedLicense, Reading};
use serde_json::{Map, Value};

use crate::{
    BatchMode, Context, Customer, Issuer, LicenseOrder, LicenseRecord, RevokeRequest, State,
    Subject,
    batch::ROWS_PER_COMMIT,
    catalog::EntitlementError,
    customer,
    error::Error,
    event::Event,
    export::GUARDED,
    license::{self, Act, ChangeRequest, Times},
    revoke,
    rows::{self, Blanks, CsvForm, RowFormat, Table},
    store::Writer,
};

/// A file of rows, read by a map.
#[derive(Debug)]
pub struct ImportFile<'f> {
    format: RowFormat,
    bytes: &'f [u8],
    map: &'f ImportMap,
    table: Table,
}

/// What became of a row.
#[derive(Clone, Debug)]
pub struct ImportResult {
    /// The row's line in the file, from 1.
    pub line: usize,
    /// The row's reference, if it has one that reads.
    pub reference: Option<String>,
    /// What became of it, or why it was refused.
    pub outcome: Result<Imported, RowProblem>,
}

/// What a row came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The customer's id; none of a row that was left aside.
    pub customer: Option<String>,
    /// The license and its state now, if the row is of one.
    pub license: Option<(LicenseId, State)>,
    /// How it came to be.
    pub way: ImportWay,
}

/// How a row came to what it came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportWay {
    /// It was carried out now.
    CarriedOut,
    /// It had been carried out before.
    Repeated,
    /// It is of a customer that is there already.
    Unchanged,
    /// The map says to leave it aside.
    Skipped,
}

impl<'f> ImportFile<'f> {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::BatchFile`] if the file as a whole does not read, or does not have the columns of
    /// the map.
    pub fn read(format: RowFormat, bytes: &'f [u8], map: &'f ImportMap) -> Result<Self, Error> {
        let form = CsvForm {
            delimiter: map
                .file
                .delimiter
                .as_ref()
                .and_then(|delimiter| u8::try_from(*delimiter.get_ref()).ok()),
            blanks: match map.file.blanks {
                map::BlankRule::Cut => Blanks::Cut,
                map::BlankRule::Keep => Blanks::Keep,
            },
        };
        let mut table = rows::read(format, bytes, form)?;
        if format == RowFormat::Csv && map.file.formula_guard {
            let lines = table.lines.iter_mut();
            let cells = lines.filter_map(|line| line.object.as_mut().ok());
            cells
                .flat_map(|object| object.values_mut())
                .for_each(unguard);
        }
        map.fit(&columns(format, &table, map))
            .map_err(|problem| Error::BatchFile { problem })?;
        Ok(Self {
            format,
            bytes,
            map,
            table,
        })
    }

    /// The columns of the file that the map does not read.
    pub fn unread_columns(&self) -> Vec<&str> {
        let read = self.map.columns_read();
        // Of an object that the map reads something in, the whole is not left aside.
        let reads = |column: &&str| {
            let within = |path: &&str| path.split_once('.').is_some_and(|(of, _)| of == *column);
            read.contains(column) || read.iter().any(within)
        };
        let columns = columns(self.format, &self.table, self.map).into_iter();
        columns.filter(|column| !reads(column)).collect()
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.table.lines.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.table.lines.is_empty()
    }

    /// The refused rows as they were written, in a file of the same form.
    pub fn refused(&self, results: &[ImportResult]) -> Vec<u8> {
        let mut text = Vec::new();
        let mut line = |bytes: &[u8]| {
            let end = bytes
                .iter()
                .rposition(|byte| !matches!(byte, b'\r' | b'\n'));
            text.extend_from_slice(&bytes[..end.map_or(0, |end| end + 1)]);
            text.push(b'\n');
        };
        if !self.table.header.is_empty() {
            line(&self.bytes[self.table.head.clone()]);
        }
        let rows = self.table.lines.iter().zip(results);
        for (row, _) in rows.filter(|(_, result)| result.outcome.is_err()) {
            line(&self.bytes[row.place.clone()]);
        }
        text
    }
}

/// Takes away the apostrophe that keeps a spreadsheet from running a cell.
fn unguard(cell: &mut Value) {
    if let Value::String(text) = cell
        && let Some(rest) = text.strip_prefix('\'')
        && rest.starts_with(GUARDED)
    {
        *text = rest.to_owned();
    }
}

fn columns<'t>(format: RowFormat, table: &'t Table, map: &'t ImportMap) -> BTreeSet<&'t str> {
    match format {
        RowFormat::Csv => table.header.iter().map(String::as_str).collect(),
        RowFormat::JsonLines => json_columns(table, map),
    }
}

/// The columns that the rows have, as far as they are of interest: those that the map reads are
/// found by their paths.
fn json_columns<'t>(table: &'t Table, map: &'t ImportMap) -> BTreeSet<&'t str> {
    let mut wanted = map.columns_read();
    let mut found = BTreeSet::new();
    for object in table
        .lines
        .iter()
        .filter_map(|line| line.object.as_ref().ok())
    {
        found.extend(object.keys().map(String::as_str));
        wanted.retain(|column| {
            let there = row::value_at(object, column).is_some();
            if there {
                found.insert(*column);
            }
            !there
        });
    }
    // Of no rows nothing is missing.
    if table.lines.is_empty() {
        found.extend(wanted);
    }
    found
}

impl Issuer {
    /// Carries out the rows of a file, in order. `progress` is told how many rows are done.
    ///
    /// # Errors
    /// What concerns the whole import; what concerns a row is in its [`ImportResult`].
    pub fn import(
        &mut self,
        file: &ImportFile<'_>,
        mode: BatchMode,
        context: &Context,
        mut progress: impl FnMut(usize),
    ) -> Result<Vec<ImportResult>, Error> {
        let mut work = Work {
            map: file.map,
            product: self.product_or_only(None).ok(),
            references: HashMap::new(),
            names: HashMap::new(),
        };
        let lines = &file.table.lines;
        let mut results = Vec::with_capacity(lines.len());
        // A rehearsal is one transaction: rows see what the rows before them would have made.
        let size = match mode {
            BatchMode::Mint => ROWS_PER_COMMIT,
            BatchMode::Rehearse => lines.len().max(1),
        };
        for chunk in lines.chunks(size) {
            let carry_out = |writer: &mut Writer<'_>| {
                let mut done = Vec::with_capacity(chunk.len());
                for line in chunk {
                    done.push(work.row(writer, line)?);
                    if done.len().is_multiple_of(ROWS_PER_COMMIT) {
                        progress(results.len() + done.len());
                    }
                }
                Ok(done)
            };
            let done = match mode {
                BatchMode::Mint => self.store.write(context, carry_out)?,
                BatchMode::Rehearse => self.store.rehearse(context, carry_out)?,
            };
            results.extend(done);
            progress(results.len());
        }
        Ok(results)
    }
}

/// What the rows of an import share.
struct Work<'m> {
    map: &'m ImportMap,
    /// The product of rows that name none.
    product: Option<String>,
    /// The lines of the references so far.
    references: HashMap<String, usize>,
    /// The names of which ids were made, with their lines.
    names: HashMap<String, (String, usize)>,
}

impl Work<'_> {
    /// The result of a row; an error here is the whole transaction's.
    fn row(&mut self, writer: &mut Writer<'_>, line: &rows::Line) -> Result<ImportResult, Error> {
        let result = |reference, outcome| ImportResult {
            line: line.number,
            reference,
            outcome,
        };
        let object = match &line.object {
            Ok(object) => object,
            Err(problem) => return Ok(result(None, Err(RowProblem::new(problem.clone())))),
        };
        let reference = row::reference(self.map, object);
        let planned = match self.plan(writer, line.number, object) {
            Ok(Reading::Planned(planned)) => planned,
            Ok(Reading::Skip) => return Ok(result(reference, Ok(skipped()))),
            Err(problem) => return Ok(result(reference, Err(problem))),
        };
        let outcome = match self.answer(writer, &planned)? {
            Some(earlier) => earlier,
            None => writer.attempt(|writer| self.carry_out(writer, &planned))?,
        };
        writer.explain(None);
        let outcome = outcome.map_err(|error| self.problem(&error));
        Ok(result(reference, outcome))
    }

    fn plan(
        &mut self,
        writer: &Writer<'_>,
        line: usize,
        object: &Map<String, Value>,
    ) -> Result<Reading, RowProblem> {
        let reading = row::read(self.map, object, writer.now())?;
        if let Reading::Planned(planned) = &reading {
            let reference = &planned.reference;
            if let Some(earlier) = self.references.get(reference) {
                let message = format!("{reference:?} is the reference of line {earlier} too");
                let hint = "each row needs a reference of its own";
                return Err(RowProblem::new(message)
                    .hint(hint)
                    .at(row::place(self.map, map::Field::Ref)));
            }
            self.references.insert(reference.clone(), line);
            self.check_made_id(&planned.customer, line)?;
        }
        Ok(reading)
    }

    /// Two names of which one id would be made are two customers, or one that is written in two
    /// ways: somebody has to say which.
    fn check_made_id(&mut self, customer: &PlannedCustomer, line: usize) -> Result<(), RowProblem> {
        let Some(name) = customer.name.as_ref().filter(|_| customer.made) else {
            return Ok(());
        };
        let made = self.names.entry(customer.id.clone());
        let (earlier, at) = made.or_insert_with(|| (name.clone(), line));
        if earlier == name {
            return Ok(());
        }
        let message = format!(
            "the id {:?} of {name:?} is made of {earlier:?} in line {at} too",
            customer.id
        );
        let hint = "write the names alike if they are one customer, or give both ids in a column";
        Err(RowProblem::new(message)
            .hint(hint)
            .at(row::place(self.map, map::Field::CustomerName)))
    }

    /// Where the ledger keeps what the row with this reference did.
    fn key_prefix(&self, planned: &Planned) -> String {
        format!("import\n{}\n{}\n", self.map.source(), planned.reference)
    }

    fn key(&self, planned: &Planned) -> String {
        format!("{}{}", self.key_prefix(planned), planned.digest)
    }

    /// What a row came to that was carried out before, or the conflict if it was another then.
    fn answer(
        &self,
        writer: &Writer<'_>,
        planned: &Planned,
    ) -> Result<Option<Result<Imported, Error>>, Error> {
        let query = writer.query();
        let Some((key, entry)) = query.answer_to(&self.key_prefix(planned))? else {
            return Ok(None);
        };
        if key != self.key(planned) {
            let reference = planned.reference.clone();
            return Ok(Some(Err(Error::BatchConflict { reference })));
        }
        let license = match entry.event {
            Event::LicenseDrafted { license }
            | Event::LicenseIssued { license }
            | Event::TrialStarted { license } => Some(license::find(&query, license.id)?),
            _ => None,
        };
        let license = license.map(|license| (license.id, license.state(writer.now())));
        Ok(Some(Ok(Imported {
            customer: Some(planned.customer.id.clone()),
            license,
            way: ImportWay::Repeated,
        })))
    }

    fn carry_out(&self, writer: &mut Writer<'_>, planned: &Planned) -> Result<Imported, Error> {
        writer.explain(Some(&planned.reason));
        let Some(license) = &planned.license else {
            writer.answer_under(self.key(planned));
            let added = self.customer(writer, &planned.customer)?;
            return Ok(Imported {
                customer: Some(planned.customer.id.clone()),
                license: None,
                way: if added {
                    ImportWay::CarriedOut
                } else {
                    ImportWay::Unchanged
                },
            });
        };
        self.customer(writer, &planned.customer)?;
        writer.answer_under(self.key(planned));
        let record = self.license(writer, license)?;
        Ok(Imported {
            customer: Some(planned.customer.id.clone()),
            license: Some((record.id, record.state(writer.now()))),
            way: ImportWay::CarriedOut,
        })
    }

    /// Adds or changes the customer, by the map's rule; whether there was something to do.
    fn customer(&self, writer: &mut Writer<'_>, planned: &PlannedCustomer) -> Result<bool, Error> {
        let Some(known) = writer.query().customer(&planned.id)? else {
            if !planned.declared {
                return Err(customer::not_found(&planned.id));
            }
            customer::add(writer, planned.as_new())?;
            return Ok(true);
        };
        let said = Customer {
            id: known.id.clone(),
            kind: planned.kind.unwrap_or(known.kind),
            name: planned.name.clone().unwrap_or_else(|| known.name.clone()),
        };
        if said == known {
            return Ok(false);
        }
        // An id that was made of another name is another customer's.
        let foreign = planned.made && said.name != known.name;
        match self.map.customers.existing {
            ExistingRule::Keep if !foreign => Ok(false),
            ExistingRule::Update if !foreign => {
                writer.append(&Event::CustomerChanged { customer: said })?;
                Ok(true)
            }
            _ => Err(Error::NotAllowed {
                what: format!("customer {}", known.id),
                problem: "is there already and is called something else",
                hint: "compare with `phi customer show`, then mend the row or change the customer",
            }),
        }
    }

    fn license(
        &self,
        writer: &mut Writer<'_>,
        planned: &PlannedLicense,
    ) -> Result<LicenseRecord, Error> {
        let mut order = planned.order.clone();
        if order.product.is_empty() {
            order.product = self.product.clone().unwrap_or_default();
        }
        let act = match planned.arrival {
            Arrival::Draft => Act::Draft,
            _ if order.trial => Act::StartTrial,
            _ => Act::Issue,
        };
        let record = license::begin(writer, act, *order, None, Times::AsTheyWere)?;
        // What is over by its time is expired, and cannot be suspended any more.
        let over = record.state(writer.now()) == State::Expired;
        match planned.arrival {
            Arrival::Suspended if !over => {
                let order = LicenseOrder::new(record.id, record.revision, ChangeRequest::Suspend);
                license::change(writer, &order)?;
            }
            Arrival::Revoked => {
                let request = RevokeRequest {
                    subject: Subject::License(record.id),
                    issued_before: None,
                    cut: None,
                    reason: planned.revocation,
                };
                revoke::record(writer, &request)?;
            }
            _ => return Ok(record),
        }
        license::find(&writer.query(), record.id)
    }

    /// An error of the store or the catalog as one of the row, with the column that it is about.
    fn problem(&self, error: &Error) -> RowProblem {
        let (field, hint) = match error {
            Error::Entitlement(EntitlementError::UnknownPlan { .. }) => (
                Some(map::Field::Plan),
                Some("say in the map's [values.plan] which plan the old word is"),
            ),
            Error::Entitlement(EntitlementError::UnknownAddon { .. }) => (
                Some(map::Field::Addons),
                Some("say in the map's [values.addons] which add-on the old word is; \"\" is none"),
            ),
            Error::Entitlement(_) => (
                None,
                Some(
                    "`phi catalog show` lists flags, quotas and limits; [values] in the map renames",
                ),
            ),
            Error::NotFound {
                what: "customer", ..
            } => (
                Some(map::Field::Customer),
                Some("import the customers first, or map a column to customer_name"),
            ),
            Error::NotFound { .. } => (Some(map::Field::Product), None),
            Error::BatchConflict { .. } => (
                Some(map::Field::Ref),
                Some("change the license with `phi license`; an import is carried out once"),
            ),
            _ => (None, None),
        };
        RowProblem {
            column: field.map(|field| row::place(self.map, field)),
            code: error.code(),
            message: error.to_string(),
            hint: hint.map(str::to_owned).or_else(|| error.hint()),
        }
    }
}

const fn skipped() -> Imported {
    Imported {
        customer: None,
        license: None,
        way: ImportWay::Skipped,
    }
}

#[cfg(test)]
mod tests;
