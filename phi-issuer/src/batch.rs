//! Batches: a license and a token, or a further token, for each row of a file.
//!
//! A row is carried out whole or not at all, and once: its `ref` is an idempotency key, so that
//! running a file again mints nothing twice and answers every row that was carried out before.

mod row;

use std::collections::HashSet;

pub use row::{Row, RowRequest, majority, read_rows};
pub(crate) use row::{check_reference, digest_of};

use crate::{
    Context, Issuer, LicenseRecord, MintRequest, NewLicense, customer,
    error::Error,
    event::{Event, MintedToken},
    license,
    mint::Mint,
    passphrase::Unlock,
    store::Writer,
};

/// Rows in one transaction. One commit costs about as much as a hundred rows; a crash costs at
/// most this many rows, which the next run carries out.
pub(crate) const ROWS_PER_COMMIT: usize = 1000;

/// Whether a batch is carried out or only tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchMode {
    /// Record and mint.
    Mint,
    /// Do all of it and undo it: what is wrong with the rows comes out, and nothing else.
    Rehearse,
}

/// What became of a row.
#[derive(Debug)]
pub struct RowResult {
    /// The row's line in the file, from 1.
    pub line: usize,
    /// The row's reference, if it has one that reads.
    pub reference: Option<String>,
    /// The token, or why there is none.
    pub outcome: Result<MintedToken, Error>,
    /// Whether the row had been carried out before.
    pub repeated: bool,
}

impl Issuer {
    /// Carries out the rows of a batch, in order. `progress` is told how many rows are durable.
    ///
    /// # Errors
    /// What concerns the whole batch; what concerns a row is in its [`RowResult`].
    pub fn mint_batch(
        &mut self,
        rows: &[Row],
        mode: BatchMode,
        unlock: &dyn Unlock,
        context: &Context,
        mut progress: impl FnMut(usize),
    ) -> Result<Vec<RowResult>, Error> {
        let keys = self.license_signers(unlock, context.now)?;
        let only = match self.product_or_only(None) {
            Ok(product) => Some(product),
            // Rows that name theirs do not miss it.
            Err(Error::NotFound { .. }) => None,
            Err(error) => return Err(error),
        };
        let mut seen = HashSet::new();
        let mut results = Vec::with_capacity(rows.len());
        for chunk in rows.chunks(ROWS_PER_COMMIT) {
            let work = |writer: &mut Writer<'_>| {
                let mint = Mint::begin(&writer.query(), &keys, writer.now())?;
                let mut carry_out = |row: &Row| {
                    let batch = RowWork {
                        mint: &mint,
                        product: only.as_deref(),
                    };
                    batch.carry_out(writer, row, &mut seen)
                };
                chunk
                    .iter()
                    .map(&mut carry_out)
                    .collect::<Result<Vec<_>, _>>()
            };
            results.extend(match mode {
                BatchMode::Mint => self.store.write(context, work)?,
                BatchMode::Rehearse => self.store.rehearse(context, work)?,
            });
            failpoint!("batch-between-chunks");
            progress(results.len());
        }
        Ok(results)
    }
}

/// What the rows of one transaction share.
struct RowWork<'w> {
    mint: &'w Mint<'w>,
    /// The product of rows that name none.
    product: Option<&'w str>,
}

impl RowWork<'_> {
    /// The result of a row; an error here is the whole transaction's.
    fn carry_out(
        &self,
        writer: &mut Writer<'_>,
        row: &Row,
        seen: &mut HashSet<String>,
    ) -> Result<RowResult, Error> {
        let result = |reference, outcome, repeated| RowResult {
            line: row.line,
            reference,
            outcome,
            repeated,
        };
        let request = match &row.request {
            Ok(request) => request,
            Err(problem) => {
                let error = Error::Invalid {
                    what: "the row",
                    problem: problem.clone(),
                };
                return Ok(result(None, Err(error), false));
            }
        };
        let reference = Some(request.reference.clone());
        if !seen.insert(request.reference.clone()) {
            let problem = "has the ref of an earlier row".into();
            let error = Error::Invalid {
                what: "the row",
                problem,
            };
            return Ok(result(reference, Err(error), false));
        }
        if let Some(earlier) = answer(writer, request)? {
            return Ok(result(reference, earlier, true));
        }
        let outcome = writer.attempt(|writer| self.mint(writer, request))?;
        Ok(result(reference, outcome, false))
    }

    fn mint(&self, writer: &mut Writer<'_>, request: &RowRequest) -> Result<MintedToken, Error> {
        let license = self.license(writer, request)?;
        let mut mint = MintRequest::new(license.id);
        mint.machine.clone_from(&request.machine);
        let key = request.idempotency_key();
        self.mint.mint(writer, &license, &mint, Some(&key))
    }

    /// The license that the row names, or the one that it orders.
    fn license(
        &self,
        writer: &mut Writer<'_>,
        request: &RowRequest,
    ) -> Result<LicenseRecord, Error> {
        let order = match &request.order {
            row::Order::Token(license) => {
                let license = license::find(&writer.query(), *license)?;
                return Ok(license.at(writer.now()));
            }
            row::Order::License(order) => order,
        };
        if let Some(customer) = &request.new_customer
            && writer.query().customer(&customer.id)?.is_none()
        {
            customer::add(writer, customer.clone())?;
        }
        let mut order = NewLicense::clone(order);
        if order.product.is_empty() {
            order.product = self.product.unwrap_or_default().into();
        }
        license::issue(writer, order)
    }
}

/// The token of a row that was carried out before, or the conflict if the row was another then.
fn answer(
    writer: &Writer<'_>,
    request: &RowRequest,
) -> Result<Option<Result<MintedToken, Error>>, Error> {
    let found = writer.query().answer_to(&request.key_prefix())?;
    Ok(found.map(|(key, entry)| match entry.event {
        Event::TokenMinted(token) if key == request.idempotency_key() => Ok(token),
        _ => Err(Error::BatchConflict {
            reference: request.reference.clone(),
        }),
    }))
}
