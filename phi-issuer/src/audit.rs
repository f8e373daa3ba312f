//! Audits: who changed what, when and why, asked of the ledger itself.
//!
//! What is found is read from the entries, in their order and page by page, so that an answer of
//! any length takes little memory. How it is shown is left to the caller.

mod words;

use std::ops::RangeInclusive;

use phi_verify::{LicenseId, UnixTime, log::Hash};

use crate::{
    Event, Issuer, customer,
    entry::Entry,
    error::Error,
    license::{self, no_catalog},
    store::{Query, TrailFilter, TrailRow},
};

/// Which entries are asked for: those to which everything here applies.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// About this license, its changes, its tokens and their revocation.
    pub license: Option<LicenseId>,
    /// About this customer or a license of it.
    pub customer: Option<String>,
    /// About this product or a license for it.
    pub product: Option<String>,
    /// Recorded by this actor.
    pub actor: Option<String>,
    /// Any of these events, by their words; all if there are none.
    pub events: Vec<String>,
    /// Recorded at this time or later.
    pub from: Option<UnixTime>,
    /// Recorded before this time.
    pub to: Option<UnixTime>,
    /// With this text, in upper or lower case, in anything that people wrote or would recognize.
    pub text: Option<String>,
    /// After the entry with this number in the order asked for.
    pub after: Option<u64>,
    /// No more than so many.
    pub limit: Option<u64>,
    /// The order.
    pub order: AuditOrder,
}

/// The order in which entries are handed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuditOrder {
    /// As they were recorded.
    #[default]
    OldestFirst,
    /// The newest first.
    NewestFirst,
}

/// An entry with what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// The entry.
    pub entry: Entry,
    /// When it counts as recorded: the entry's own time, unless its clock was ahead and was
    /// corrected afterwards.
    pub recorded: UnixTime,
    /// SHA-256 of the entry's bytes: what its leaf in the Merkle log has.
    pub hash: Hash,
    /// The license.
    pub license: Option<LicenseId>,
    /// The customer, also of that license.
    pub customer: Option<String>,
    /// The product, also of that license.
    pub product: Option<String>,
}

impl AuditRow {
    /// Where the entry's leaf is in the Merkle log: entries count from 1, leaves from 0.
    pub const fn leaf_index(&self) -> u64 {
        self.entry.seq.saturating_sub(1)
    }

    fn has(&self, text: &str) -> bool {
        let license = self.license.map(|id| id.to_string());
        let about = [
            license.as_ref(),
            self.customer.as_ref(),
            self.product.as_ref(),
        ];
        let about = about.into_iter().flatten();
        let mut all = words::of(&self.entry).into_iter().chain(about.cloned());
        all.any(|word| word.to_lowercase().contains(text))
    }
}

impl From<TrailRow> for AuditRow {
    fn from(row: TrailRow) -> Self {
        Self {
            entry: row.entry,
            recorded: row.recorded,
            hash: row.hash,
            license: row.license,
            customer: row.customer,
            product: row.product,
        }
    }
}

impl Issuer {
    /// Hands over the entries that are asked for, one by one. The number of the last one is
    /// returned if there are more of them than the limit.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an event that there is not or a range that ends before it begins,
    /// [`Error::NotFound`] for an unknown license, customer or product, and what `each` returns.
    pub fn audit<E: From<Error>>(
        &mut self,
        filter: &AuditFilter,
        each: impl FnMut(AuditRow) -> Result<(), E>,
    ) -> Result<Option<u64>, E> {
        check(filter)?;
        let numbers = self.store.read(|query| {
            known(query, filter)?;
            bounds(query, filter)
        })?;
        // Each page is read by itself, for an entry never changes and a slow reader of the answer
        // must not hold the store.
        let page = |numbers: &RangeInclusive<u64>| {
            self.store
                .read(|query| query.trail(numbers, &trail_filter(filter)))
        };
        walk(filter, numbers, page, each)
    }

    /// One entry, by its number.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn audit_entry(&mut self, seq: u64) -> Result<AuditRow, Error> {
        let all = AuditFilter::default();
        let page = self
            .store
            .read(|query| query.trail(&(seq..=seq), &trail_filter(&all)))?;
        let found = page.into_iter().next().ok_or_else(|| Error::NotFound {
            what: "event",
            name: seq.to_string(),
            hint: "run `phi audit query`",
        });
        found.map(AuditRow::from)
    }
}

/// The entries that are asked for, as they are at one moment.
pub(crate) fn collect(query: &Query<'_>, filter: &AuditFilter) -> Result<Vec<AuditRow>, Error> {
    check(filter)?;
    let mut found = Vec::new();
    let page = |numbers: &RangeInclusive<u64>| query.trail(numbers, &trail_filter(filter));
    walk(filter, bounds(query, filter)?, page, |row| {
        found.push(row);
        Ok::<_, Error>(())
    })?;
    Ok(found)
}

/// Goes through the pages; the number of the last entry if there are more of them.
fn walk<E: From<Error>>(
    filter: &AuditFilter,
    mut numbers: RangeInclusive<u64>,
    mut page: impl FnMut(&RangeInclusive<u64>) -> Result<Vec<TrailRow>, Error>,
    mut each: impl FnMut(AuditRow) -> Result<(), E>,
) -> Result<Option<u64>, E> {
    let text = filter.text.as_ref().map(|text| text.to_lowercase());
    let (mut left, mut last) = (filter.limit.unwrap_or(u64::MAX), None);
    while !numbers.is_empty() {
        let rows = page(&numbers)?;
        let Some(end) = rows.last().map(|row| row.entry.seq) else {
            break;
        };
        for row in rows.into_iter().map(AuditRow::from) {
            if text.as_ref().is_some_and(|text| !row.has(text)) {
                continue;
            }
            if left == 0 {
                return Ok(last);
            }
            (left, last) = (left - 1, Some(row.entry.seq));
            each(row)?;
        }
        numbers = beyond(&numbers, end, filter.order);
    }
    Ok(None)
}

fn check(filter: &AuditFilter) -> Result<(), Error> {
    let invalid = |what, problem| Err(Error::Invalid { what, problem });
    for word in &filter.events {
        if !Event::WORDS.contains(&word.as_str()) {
            let problem = format!("{word:?} is not known: {}", Event::WORDS.join(", "));
            return invalid("the event", problem);
        }
    }
    match (filter.from, filter.to) {
        (Some(from), Some(to)) if from >= to => {
            let problem = format!("is empty: it begins at {from} and ends before {to}");
            invalid("the range", problem)
        }
        _ => Ok(()),
    }
}

/// A name that nothing has is a slip, not an empty answer.
fn known(query: &Query<'_>, filter: &AuditFilter) -> Result<(), Error> {
    if let Some(id) = filter.license {
        license::find(query, id)?;
    }
    if let Some(id) = &filter.customer
        && query.customer(id)?.is_none()
    {
        return Err(customer::not_found(id));
    }
    if let Some(product) = &filter.product
        && query.newest_catalog(product)?.is_none()
    {
        return Err(no_catalog(product));
    }
    Ok(())
}

/// The numbers among which the entries are. Times as they count never fall, so a range of times
/// is one of numbers.
fn bounds(query: &Query<'_>, filter: &AuditFilter) -> Result<RangeInclusive<u64>, Error> {
    let since = |time: Option<UnixTime>, without: u64| match time {
        None => Ok(without),
        Some(time) => Ok::<_, Error>(query.first_since(time)?.unwrap_or(u64::MAX)),
    };
    let all = since(filter.from, 1)?..=since(filter.to, u64::MAX)?;
    let all = match filter.to {
        Some(_) => *all.start()..=all.end().saturating_sub(1),
        None => all,
    };
    Ok(match filter.after {
        Some(after) => beyond(&all, after, filter.order),
        None => all,
    })
}

/// The numbers that follow this one in the order asked for.
fn beyond(numbers: &RangeInclusive<u64>, seq: u64, order: AuditOrder) -> RangeInclusive<u64> {
    let (start, end) = (*numbers.start(), *numbers.end());
    match order {
        AuditOrder::OldestFirst => start.max(seq.saturating_add(1))..=end,
        AuditOrder::NewestFirst => start..=end.min(seq.saturating_sub(1)),
    }
}

fn trail_filter(filter: &AuditFilter) -> TrailFilter<'_> {
    TrailFilter {
        license: filter.license.as_ref(),
        customer: filter.customer.as_deref(),
        product: filter.product.as_deref(),
        actor: filter.actor.as_deref(),
        words: &filter.events,
        newest_first: filter.order == AuditOrder::NewestFirst,
    }
}

#[cfg(test)]
mod tests;
