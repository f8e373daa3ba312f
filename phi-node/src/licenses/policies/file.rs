//! The file of policies: strict TOML.
//!
//! ```toml
//! [quotas.api_calls]                    # by name or by the number of the code, in every product
//! soft = 90000                          # answers say `soft` from here on
//! allow = 1000                          # so much more in each period; or `burst`
//!
//! [seats.editors]
//! lease = 10                            # seconds a seat is held without a renewal
//! extra = 1                             # so many more seats
//! reserved = { ops = 2 }                # so many are kept for the holders of a group
//! borrow = { days = 7, percent = 25 }   # for so long, and so many of a hundred at once
//!
//! [products.demo-app.quotas.api_calls]  # of one product, before what is said for every one
//! ```

use std::{collections::BTreeMap, path::Path, time::Duration};

use phi_enforce::{Borrowing, LEASE, MAX_GROUPS, Overage, QuotaPolicy, Reserved, SeatPolicy};
use serde::Deserialize;
use toml::Spanned;

use super::{Line, Named, Policies, PolicyError};
use crate::{
    clients::GroupName,
    files::{self, FileProblem, Secrecy},
};

/// A page or two for each product.
pub const MAX_POLICY_FILE: u64 = 1 << 20;
/// Seats are taken along for a year at most: who is away for longer has a license there.
pub const MAX_LOAN_DAYS: u64 = 366;
const DAY: u64 = 24 * 60 * 60;

pub(super) fn load(path: &Path, longest_lease: Duration) -> Result<Policies, PolicyError> {
    let failed = |problem: String| PolicyError::File {
        path: path.into(),
        problem,
    };
    // Whoever can write it decides what is admitted beyond a license.
    let bytes = files::read(path, MAX_POLICY_FILE, Secrecy::Public);
    let bytes = bytes.map_err(|problem| match problem {
        FileProblem::TooOpen(mode) => failed(format!("others can write it (mode {mode:04o})")),
        FileProblem::NotOurs(owner) => failed(format!("it belongs to user {owner}")),
        FileProblem::Io(error) => failed(error.to_string()),
    })?;
    let text = String::from_utf8(bytes).map_err(|_| failed("it is not UTF-8".into()))?;
    parse(path, &text, longest_lease)
}

pub(super) fn parse(
    path: &Path,
    text: &str,
    longest_lease: Duration,
) -> Result<Policies, PolicyError> {
    let reader = Reader {
        path,
        text,
        longest_lease,
    };
    let document: Document = toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        // The first line says it; those after it draw the place.
        reader.wrong(at, error.message().lines().next().unwrap_or_default())
    })?;
    let mut policies = Policies {
        path: path.into(),
        all: reader.named(&document.quotas, &document.seats)?,
        products: BTreeMap::new(),
    };
    for (product, table) in &document.products {
        let line = reader.line(table.span().start);
        let table = table.get_ref();
        let named = reader.named(&table.quotas, &table.seats)?;
        policies.products.insert(product.clone(), (line, named));
    }
    Ok(policies)
}

type Tables<T> = BTreeMap<String, Spanned<T>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    quotas: Tables<QuotaTable>,
    #[serde(default)]
    seats: Tables<SeatTable>,
    #[serde(default)]
    products: Tables<ProductTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProductTable {
    #[serde(default)]
    quotas: Tables<QuotaTable>,
    #[serde(default)]
    seats: Tables<SeatTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QuotaTable {
    soft: Option<u64>,
    allow: Option<u64>,
    burst: Option<Spanned<u64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SeatTable {
    lease: Option<Spanned<u64>>,
    extra: Option<u64>,
    #[serde(default)]
    reserved: BTreeMap<String, Spanned<u64>>,
    borrow: Option<BorrowTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BorrowTable {
    days: Spanned<u64>,
    percent: Spanned<u64>,
}

struct Reader<'t> {
    path: &'t Path,
    text: &'t str,
    longest_lease: Duration,
}

impl Reader<'_> {
    fn named(
        &self,
        quotas: &Tables<QuotaTable>,
        seats: &Tables<SeatTable>,
    ) -> Result<Named, PolicyError> {
        let mut named = Named::default();
        for (name, table) in quotas {
            let stated = (self.line(table.span().start), self.quota(table.get_ref())?);
            named.quotas.insert(name.clone(), stated);
        }
        for (name, table) in seats {
            let stated = (self.line(table.span().start), self.seats(table)?);
            named.seats.insert(name.clone(), stated);
        }
        Ok(named)
    }

    fn quota(&self, table: &QuotaTable) -> Result<QuotaPolicy, PolicyError> {
        let overage = match (table.allow, &table.burst) {
            (None, None) => Overage::Deny,
            (Some(more), None) => Overage::Allow(more),
            (None, Some(more)) => Overage::Burst(*more.get_ref()),
            (Some(_), Some(burst)) => {
                let problem = "allow and burst exclude each other: burst is missing in the next \
                               period, allow is not";
                return Err(self.wrong(burst.span().start, problem));
            }
        };
        let soft = table.soft;
        Ok(QuotaPolicy { soft, overage })
    }

    fn seats(&self, table: &Spanned<SeatTable>) -> Result<SeatPolicy, PolicyError> {
        let (at, table) = (table.span().start, table.get_ref());
        let lease = match &table.lease {
            None => LEASE,
            Some(seconds) => {
                let lease = Duration::from_secs(*seconds.get_ref());
                if lease.is_zero() || lease > self.longest_lease {
                    let longest = self.longest_lease.as_secs();
                    let problem = format!(
                        "a lease is from 1 to {longest} seconds, unless --longest-lease says more \
                         on every node"
                    );
                    return Err(self.wrong(seconds.span().start, &problem));
                }
                lease
            }
        };
        if table.reserved.len() > MAX_GROUPS {
            let problem = format!("seats are kept for {MAX_GROUPS} groups at most");
            return Err(self.wrong(at, &problem));
        }
        let reserved = table.reserved.iter();
        let reserved = reserved.map(|(group, seats)| self.reserved(group, seats));
        let borrowing = table.borrow.as_ref();
        Ok(SeatPolicy {
            lease,
            extra: table.extra.unwrap_or_default(),
            reserved: reserved.collect::<Result<Reserved, _>>()?,
            borrowing: borrowing.map(|table| self.borrowing(table)).transpose()?,
        })
    }

    fn reserved(&self, group: &str, seats: &Spanned<u64>) -> Result<(String, u64), PolicyError> {
        let at = seats.span().start;
        if let Err(error) = group.parse::<GroupName>() {
            let problem = format!("{error}: {}", error.hint());
            return Err(self.wrong(at, &problem));
        }
        if *seats.get_ref() == 0 {
            return Err(self.wrong(at, "no seat is kept for a group by leaving it out"));
        }
        Ok((group.into(), *seats.get_ref()))
    }

    fn borrowing(&self, table: &BorrowTable) -> Result<Borrowing, PolicyError> {
        let days = *table.days.get_ref();
        if !(1..=MAX_LOAN_DAYS).contains(&days) {
            let problem = format!("a seat is taken along for 1 to {MAX_LOAN_DAYS} days");
            return Err(self.wrong(table.days.span().start, &problem));
        }
        let percent = u8::try_from(*table.percent.get_ref()).ok();
        let percent = percent.filter(|percent| (1..=100).contains(percent));
        let percent = percent.ok_or_else(|| {
            let problem = "from 1 to 100 of a hundred seats may be away";
            self.wrong(table.percent.span().start, problem)
        })?;
        Ok(Borrowing {
            longest: Duration::from_secs(days * DAY),
            percent,
        })
    }

    fn line(&self, at: usize) -> Line {
        files::line(self.text, at)
    }

    fn wrong(&self, at: usize, problem: &str) -> PolicyError {
        PolicyError::Refused {
            path: self.path.into(),
            line: self.line(at),
            problem: problem.into(),
        }
    }
}
