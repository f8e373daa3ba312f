//! A second making of the derived tables, beside those of the store, to compare the two.
//!
//! The tables are temporary and have the same names: within the connection of a shadow every
//! statement finds them first. What the events should be is left to the caller.

use std::fmt;

use super::{
    Query, Store, apply,
    engine::{self, Access, Engine, Row, values},
    query::{CatalogCache, time},
    tiles::Tiles,
};
use crate::{
    entry::Entry,
    error::Error,
    tree::{TILE_WIDTH, tile_width},
};
use phi_verify::UnixTime;

/// Rows of the ledger that are read at once.
const PAGE: i64 = 1024;

/// A connection in which the derived tables are made again.
pub(crate) struct Shadow {
    engine: Engine,
    catalogs: CatalogCache,
}

/// A row of the ledger as it stands there: nothing about it is believed.
pub(crate) struct RawRow {
    pub(crate) seq: i64,
    pub(crate) time: Option<UnixTime>,
    pub(crate) actor: String,
    pub(crate) word: String,
    pub(crate) idempotency_key: Option<String>,
    pub(crate) entry: Vec<u8>,
}

/// A row that is not what the events make it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RowDifference {
    /// The table.
    pub(crate) table: &'static str,
    /// The row's key.
    pub(crate) key: String,
    /// What is wrong with it.
    pub(crate) problem: RowProblem,
}

/// What can be wrong with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowProblem {
    /// The events make it differently.
    Differs,
    /// The events make it, and it is not there.
    Missing,
    /// No event makes it.
    Extra,
}

impl fmt::Display for RowProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Differs => "is not what its events make it",
            Self::Missing => "is missing",
            Self::Extra => "is made by no event",
        })
    }
}

/// A table to compare: its key, its other columns, and the order of its rows.
struct Table {
    name: &'static str,
    key: &'static [&'static str],
    columns: &'static [&'static str],
}

const fn table(
    name: &'static str,
    key: &'static [&'static str],
    columns: &'static [&'static str],
) -> Table {
    Table { name, key, columns }
}

/// Every derived table but the tiles, in the order in which differences matter.
const COMPARED: [Table; 10] = [
    table(
        "keys",
        &["seq"],
        &[
            "id",
            "role",
            "public",
            "added",
            "signs_from",
            "until",
            "revoked",
            "dropped",
        ],
    ),
    table("catalogs", &["product", "revision"], &["seq"]),
    table("customers", &["id"], &["kind", "name"]),
    table(
        "licenses",
        &["seq"],
        &["id", "customer", "product", "standing", "due", "record"],
    ),
    table(
        "tokens",
        &["seq"],
        &["id", "license", "key_id", "issued_at", "ends", "epoch"],
    ),
    table("revocations", &["class", "id"], &["issued_before", "seq"]),
    table("publications", &["kind", "product", "version"], &["seq"]),
    table("checkpoints", &["seq"], &["size"]),
    table("corrections", &["seq"], &["time"]),
    table(
        "trail",
        &["seq"],
        &["license", "customer", "product", "changes"],
    ),
];

impl Shadow {
    /// Makes empty tables beside those of the store, on a connection of their own.
    pub(crate) fn of(store: &Store) -> Result<Self, Error> {
        let engine = Engine::open(&store.location)?;
        engine.create_tables(&temporary(engine::DERIVED))?;
        // The tiles are compared as they are read.
        engine.batch(&format!("DROP TABLE {}.tiles", engine.temporary_schema()))?;
        let catalogs = CatalogCache::default();
        Ok(Self { engine, catalogs })
    }

    /// What the database itself finds wrong with it, or what of its schema is not as this version
    /// makes it.
    pub(crate) fn unsound(&self) -> Result<Option<String>, Error> {
        self.engine.unsound()
    }

    /// Sees the ledger as it is at this moment. Nothing stays of what is made beside.
    pub(crate) fn at_one_moment<T>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let _transaction = self.engine.begin(Access::Read)?;
        work(self)
    }

    /// How many rows the ledger has.
    pub(crate) fn rows(&self) -> Result<u64, Error> {
        let sql = "SELECT count(*) FROM events";
        let count = self.engine.one(sql, &[], |row| row.int(0))?;
        Ok(count.unwrap_or_default().cast_unsigned())
    }

    /// Reads the rows of the ledger in order.
    pub(crate) fn replay(
        &self,
        mut each: impl FnMut(RawRow) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let sql = "SELECT seq, time, actor, word, idempotency_key, entry FROM events
                   WHERE seq > ?1 ORDER BY seq LIMIT ?2";
        let mut after = i64::MIN;
        loop {
            let mut page = Vec::new();
            self.engine.each(sql, values![after, PAGE], &mut |row| {
                page.push(raw(row)?);
                Ok(())
            })?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = last.seq;
            page.into_iter().try_for_each(&mut each)?;
        }
    }

    /// Applies an entry to the tables beside.
    pub(crate) fn apply(&self, entry: &Entry) -> Result<(), Error> {
        apply::apply(&self.engine, entry)
    }

    /// Asks the tables beside, as far as they are made.
    pub(crate) fn query(&self) -> Query<'_> {
        Query::new(&self.engine, &self.catalogs)
    }

    /// The tiles of the store.
    pub(crate) fn tiles(&self) -> Tiles<'_> {
        Tiles(&self.engine)
    }

    /// Whether the store has as many tiles as a tree of this size, and no more.
    pub(crate) fn has_tiles_for(&self, size: u64) -> Result<bool, Error> {
        let sql = "SELECT count(*) FROM tiles";
        let found = self.engine.one(sql, &[], |row| row.int(0))?;
        let levels = (0..).take_while(|level| tile_width(size, *level, 0) > 0);
        let expected = levels.map(|level| {
            let hashes = size >> (8 * u32::from(level));
            hashes.div_ceil(TILE_WIDTH as u64)
        });
        Ok(found.unwrap_or_default().cast_unsigned() == expected.sum::<u64>())
    }

    /// The first row of the store that is not what the events make it.
    pub(crate) fn first_difference(&self) -> Result<Option<RowDifference>, Error> {
        for table in &COMPARED {
            let found = self.first_in(table, RowProblem::Differs)?;
            let found = match found {
                None => self.first_in(table, RowProblem::Extra)?,
                found => found,
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The first row of a table that differs or is missing; or that is there and should not be.
    fn first_in(&self, table: &Table, problem: RowProblem) -> Result<Option<RowDifference>, Error> {
        let (made, stored) = (self.engine.temporary_schema(), self.engine.stored_schema()?);
        let (one, other) = match problem {
            RowProblem::Extra => (stored.as_str(), made),
            _ => (made, stored.as_str()),
        };
        let same_key = table.key.iter().map(|key| format!("a.{key} = b.{key}"));
        let same_key = same_key.collect::<Vec<_>>().join(" AND ");
        let missing = format!("b.{} IS NULL", table.key[0]);
        let differs = table.columns.iter();
        let differs = differs.map(|column| format!("a.{column} IS DISTINCT FROM b.{column}"));
        let wrong = match problem {
            RowProblem::Extra => missing.clone(),
            _ => [missing.clone()]
                .into_iter()
                .chain(differs)
                .collect::<Vec<_>>()
                .join(" OR "),
        };
        let keys: Vec<_> = table.key.iter().map(|key| format!("a.{key}")).collect();
        let keys = keys.join(", ");
        let name = table.name;
        let sql = format!(
            "SELECT CASE WHEN {missing} THEN 1 ELSE 0 END, {keys}
             FROM {one}.{name} a LEFT JOIN {other}.{name} b ON {same_key}
             WHERE {wrong} ORDER BY {keys} LIMIT 1"
        );
        self.engine.one(&sql, &[], |row| {
            let parts = (1..=table.key.len()).map(|column| row.shown(column));
            let problem = match problem {
                RowProblem::Extra => problem,
                _ if row.truth(0)? => RowProblem::Missing,
                _ => RowProblem::Differs,
            };
            Ok(RowDifference {
                table: name,
                key: parts.collect::<Vec<_>>().join(" "),
                problem,
            })
        })
    }
}

fn raw(row: &Row<'_>) -> Result<RawRow, Error> {
    Ok(RawRow {
        seq: row.int(0)?,
        time: time(row.int(1)?).ok(),
        actor: row.text(2)?.into(),
        word: row.text(3)?.into(),
        idempotency_key: row.opt_text(4)?.map(str::to_owned),
        entry: row.blob(5)?.to_vec(),
    })
}

/// The tables as temporary ones, which cannot refer to those that stay.
fn temporary(tables: &str) -> String {
    let mut text = tables.replace("CREATE TABLE ", "CREATE TEMP TABLE ");
    while let Some(from) = text.find(" REFERENCES ") {
        let end = text[from..]
            .find(')')
            .map_or(text.len(), |end| from + end + 1);
        text.replace_range(from..end, "");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_is_compared() {
        let text = temporary(engine::DERIVED);
        assert!(!text.contains("REFERENCES"));
        for table in &COMPARED {
            let body = text
                .split(&format!("CREATE TEMP TABLE {} (", table.name))
                .nth(1)
                .and_then(|rest| rest.split("\n) STRICT").next())
                .unwrap_or_else(|| panic!("{} has no definition", table.name));
            let lines = body.lines().map(str::trim);
            let columns = lines.filter_map(|line| line.split_whitespace().next());
            let mut columns: Vec<_> = columns.filter(|word| *word != "PRIMARY").collect();
            let mut compared = [table.key, table.columns].concat();
            columns.sort_unstable();
            compared.sort_unstable();
            assert_eq!(columns, compared, "{}", table.name);
        }
        let tables = text.matches("CREATE TEMP TABLE ").count();
        assert_eq!(tables, COMPARED.len() + 1, "all but the tiles are compared");
    }
}
