//! The ledger as audits ask for it: entries by whom and what they are about, page by page.

use std::ops::RangeInclusive;

use phi_verify::{LicenseId, RuleClass, UnixTime, log::Hash};

use super::{
    engine::{Row, Value, damaged, values},
    query::{Query, time as time_of},
};
use crate::{entry::Entry, error::Error};

/// Entries that are read at once. Most have a kilobyte, a published document up to a megabyte.
const PAGE: i64 = 256;

/// The earliest time to which the clock was set back after an event.
const CORRECTED: &str =
    "(SELECT min(corrections.time) FROM corrections WHERE corrections.seq > events.seq)";

/// Which entries are wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TrailFilter<'f> {
    pub(crate) license: Option<&'f LicenseId>,
    pub(crate) customer: Option<&'f str>,
    pub(crate) product: Option<&'f str>,
    pub(crate) actor: Option<&'f str>,
    /// What happened, any of these; all if there are none.
    pub(crate) words: &'f [String],
    pub(crate) newest_first: bool,
}

/// An entry with what it is about.
#[derive(Clone, Debug)]
pub(crate) struct TrailRow {
    pub(crate) entry: Entry,
    pub(crate) recorded: UnixTime,
    pub(crate) hash: Hash,
    pub(crate) license: Option<LicenseId>,
    pub(crate) customer: Option<String>,
    pub(crate) product: Option<String>,
}

impl Query<'_> {
    /// The number of the first entry that was not recorded before this time. Times as they count
    /// never fall, so it is found by halving.
    pub(crate) fn first_since(&self, time: UnixTime) -> Result<Option<u64>, Error> {
        let (mut first, mut end) = (1, self.size()? + 1);
        let last = end;
        while first < end {
            let middle = first.midpoint(end);
            if self.recorded_at(middle)? < time {
                first = middle + 1;
            } else {
                end = middle;
            }
        }
        Ok(Some(first).filter(|first| *first < last))
    }

    /// When the entry with this number counts as recorded.
    fn recorded_at(&self, seq: u64) -> Result<UnixTime, Error> {
        let sql = format!("SELECT time, {CORRECTED} FROM events WHERE seq = ?1");
        let found = self.engine.one(&sql, values![seq.cast_signed()], |row| {
            let corrected = row.opt_int(1)?.map(time_of).transpose()?;
            Ok(as_counts(time_of(row.int(0)?)?, corrected))
        })?;
        found.ok_or_else(|| damaged("an event's number"))
    }

    /// The revocations in force of keys and features, which are about no one license or customer,
    /// in their order.
    pub(crate) fn wide_revocations(&self) -> Result<Vec<TrailRow>, Error> {
        let sql = format!(
            "SELECT entry, license, customer, trail.product, {CORRECTED}
             FROM revocations JOIN events USING (seq) LEFT JOIN trail USING (seq)
             WHERE class = ?1 OR class = ?2 ORDER BY seq"
        );
        let classes = values![RuleClass::Key.name(), RuleClass::Feature.name()];
        let mut found = Vec::new();
        self.engine.each(&sql, classes, &mut |row| {
            found.push(read(row)?);
            Ok(())
        })?;
        Ok(found)
    }

    /// The wanted entries with these numbers, as many as make a page; after the last page there
    /// are none.
    pub(crate) fn trail(
        &self,
        numbers: &RangeInclusive<u64>,
        filter: &TrailFilter<'_>,
    ) -> Result<Vec<TrailRow>, Error> {
        let (sql, values) = statement(numbers, filter);
        let mut found = Vec::new();
        self.engine.each(&sql, &values, &mut |row| {
            found.push(read(row)?);
            Ok(())
        })?;
        Ok(found)
    }
}

/// What asks for a page. Who asks by license or customer is answered from its index.
fn statement<'f>(
    numbers: &RangeInclusive<u64>,
    filter: &TrailFilter<'f>,
) -> (String, Vec<Value<'f>>) {
    // Numbers beyond all that a store can have stand for the last one.
    let number = |seq: &u64| Value::Int(i64::try_from(*seq).unwrap_or(i64::MAX));
    let mut values = vec![number(numbers.start()), number(numbers.end()), PAGE.into()];
    let license = filter.license.map(|id| Value::Blob(id.as_bytes()));
    let text = |text: Option<&'f str>| text.map(Value::Text);
    let about = [
        ("license", license),
        ("customer", text(filter.customer)),
        ("product", text(filter.product)),
    ];
    // The table that the numbers are taken of comes first.
    let from = if about.iter().any(|(_, value)| value.is_some()) {
        "trail JOIN events USING (seq)"
    } else {
        "events LEFT JOIN trail USING (seq)"
    };
    let mut tests = vec!["seq >= ?1 AND seq <= ?2".to_owned()];
    let actor = [("actor", text(filter.actor))];
    for (column, value) in about.into_iter().chain(actor) {
        if let Some(value) = value {
            values.push(value);
            tests.push(format!("{column} = ?{}", values.len()));
        }
    }
    if filter.license.is_some() {
        // Both of what its index tells apart, so that the numbers follow at once.
        tests.push("changes IN (0, 1)".into());
    }
    if !filter.words.is_empty() {
        let mut places = Vec::new();
        for word in filter.words {
            values.push(word.into());
            places.push(format!("?{}", values.len()));
        }
        tests.push(format!("word IN ({})", places.join(", ")));
    }
    let order = if filter.newest_first { "DESC" } else { "ASC" };
    let sql = format!(
        "SELECT entry, license, customer, product, {CORRECTED} FROM {from}
         WHERE {} ORDER BY seq {order} LIMIT ?3",
        tests.join(" AND ")
    );
    (sql, values)
}

fn read(row: &Row<'_>) -> Result<TrailRow, Error> {
    let bytes = row.blob(0)?;
    let license = row.opt_blob(1)?.map(|id| {
        let id = <[u8; LicenseId::LENGTH]>::try_from(id).map_err(|_| damaged("a license"))?;
        Ok::<_, Error>(LicenseId::from_bytes(id))
    });
    let entry = Entry::decode(bytes)?;
    let corrected = row.opt_int(4)?.map(time_of).transpose()?;
    Ok(TrailRow {
        recorded: as_counts(entry.time, corrected),
        entry,
        hash: Hash::of(bytes),
        license: license.transpose()?,
        customer: row.opt_text(2)?.map(str::to_owned),
        product: row.opt_text(3)?.map(str::to_owned),
    })
}

/// The time of an entry as it counts: no later than the clock was set back to afterwards.
fn as_counts(time: UnixTime, corrected: Option<UnixTime>) -> UnixTime {
    corrected.map_or(time, |corrected| corrected.min(time))
}

#[cfg(test)]
mod tests {
    use super::super::{Location, Store};
    use super::*;

    /// How SQLite goes about a page.
    fn plan(filter: &TrailFilter<'_>) -> String {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::create(&Location::File(folder.path().join("phi.db"))).unwrap();
        let (sql, values) = statement(&(1..=u64::MAX), filter);
        let mut steps = Vec::new();
        store
            .read(|query| {
                let sql = format!("EXPLAIN QUERY PLAN {sql}");
                query.engine.each(&sql, &values, &mut |row| {
                    steps.push(row.text(3)?.to_owned());
                    Ok(())
                })
            })
            .unwrap();
        steps.join("\n")
    }

    #[test]
    fn pages_are_found_by_an_index_and_in_their_order() {
        let license = LicenseId::from_bytes([1; 8]);
        let all = TrailFilter {
            license: None,
            customer: None,
            product: None,
            actor: Some("ann"),
            words: &["revoked".into()],
            newest_first: true,
        };
        let of_customer = TrailFilter {
            customer: Some("globex"),
            ..all
        };
        let of_license = TrailFilter {
            license: Some(&license),
            newest_first: false,
            ..all
        };
        for (filter, index) in [
            (
                all,
                "SEARCH events USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
            ),
            (
                of_customer,
                "trail_by_customer (customer=? AND seq>? AND seq<?)",
            ),
            (
                of_license,
                "trail_by_license (license=? AND changes=? AND seq>? AND seq<?)",
            ),
        ] {
            let plan = plan(&filter);
            assert!(plan.contains(index), "{plan}");
            assert!(
                !plan.contains("SCAN events") && !plan.contains("SCAN trail"),
                "{plan}"
            );
        }
        assert!(!plan(&of_customer).contains("TEMP B-TREE"));
    }
}
