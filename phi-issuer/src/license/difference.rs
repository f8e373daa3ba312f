//! What is different between a license at one time and at another.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use phi_verify::{Allowance, Quota, Terms, UnixTime};

use super::{LicenseAt, Waiting};
use crate::{
    Issuer,
    catalog::{Kind, Revision},
    error::Error,
    license::no_catalog,
};

/// One thing that is different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What it is about.
    pub subject: DifferenceSubject,
    /// What it was; `None` is nothing.
    pub before: Option<String>,
    /// What it is then; `None` is nothing.
    pub after: Option<String>,
    /// Whether the customer has more of it, or less.
    pub direction: Direction,
}

/// What a difference is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DifferenceSubject {
    /// A part of the license itself, by the word for it.
    License(&'static str),
    /// A flag, quota or limit, by its name.
    Term(Kind, String),
}

/// Which way a difference goes, for the customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// More is granted.
    Up,
    /// Less is granted.
    Down,
    /// Neither.
    Level,
    /// Some of it more, some less; of several differences only.
    Both,
}

impl fmt::Display for DifferenceSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::License(what) => f.pad(what),
            Self::Term(kind, name) => f.pad(&format!("{kind} {name}")),
        }
    }
}

impl Direction {
    /// The direction's word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Level => "level",
            Self::Both => "both",
        }
    }

    fn of<T: PartialOrd + Copy>(before: Option<T>, after: Option<T>) -> Self {
        // Nothing is less than anything.
        match before.partial_cmp(&after) {
            Some(std::cmp::Ordering::Less) => Self::Up,
            Some(std::cmp::Ordering::Greater) => Self::Down,
            _ => Self::Level,
        }
    }
}

/// What several differences come to.
pub fn direction(differences: &[Difference]) -> Direction {
    let seen: BTreeSet<_> = differences.iter().map(|one| one.direction).collect();
    match (
        seen.contains(&Direction::Up),
        seen.contains(&Direction::Down),
    ) {
        (true, false) => Direction::Up,
        (false, true) => Direction::Down,
        (true, true) => Direction::Both,
        (false, false) => Direction::Level,
    }
}

impl Issuer {
    /// What is different between two states of a license, or of two licenses of one product.
    /// Where neither entitles, the terms are those that it would grant.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn differences(
        &mut self,
        before: &LicenseAt,
        after: &LicenseAt,
    ) -> Result<Vec<Difference>, Error> {
        let catalog = self.store.read(|query| {
            let newest = query.newest_catalog(&after.license.product)?;
            newest.ok_or_else(|| no_catalog(&after.license.product))
        })?;
        let mut found = of_license(before, after);
        let (before, after) = if before.entitled() || after.entitled() {
            (granted(before), granted(after))
        } else {
            // Of a draft and its like, what it would grant.
            (before.terms.clone(), after.terms.clone())
        };
        found.extend(of_terms(&before, &after, &catalog));
        Ok(found)
    }
}

/// What the customer was entitled to: nothing, in a state that grants nothing.
fn granted(at: &LicenseAt) -> Terms {
    if at.entitled() {
        at.terms.clone()
    } else {
        Terms::default()
    }
}

fn of_license(before: &LicenseAt, after: &LicenseAt) -> Vec<Difference> {
    let texts = |at: &LicenseAt| {
        let license = &at.license;
        let time = |time: UnixTime| time.to_string();
        [
            ("state", Some(at.state.to_string())),
            ("customer", Some(license.customer.clone())),
            ("plan", Some(license.plan.clone())),
            ("trial", license.trial.then(|| "yes".to_owned())),
            ("add-ons", listed(&license.addons)),
            ("begins", license.not_before.map(time)),
            (
                "expires",
                Some(license.expires.map_or("never".into(), time)),
            ),
            (
                "grace",
                seconds(Some(license.grace).filter(|grace| *grace > 0)),
            ),
            ("status age", seconds(license.max_status_age)),
            (
                "machine",
                license.machine.as_ref().map(|_| "bound".to_owned()),
            ),
            ("waiting", waiting(&license.waiting)),
            (
                "catalog",
                Some(format!("revision {}", license.catalog_revision)),
            ),
        ]
    };
    let pairs = texts(before).into_iter().zip(texts(after));
    let mut found: Vec<_> = pairs
        .filter(|((_, before), (_, after))| before != after)
        .map(|((what, before), (_, after))| Difference {
            subject: DifferenceSubject::License(what),
            before,
            after,
            direction: Direction::Level,
        })
        .collect();
    let rebound = before.license.machine != after.license.machine;
    if rebound && before.license.machine.is_some() && after.license.machine.is_some() {
        found.push(Difference {
            subject: DifferenceSubject::License("machine"),
            before: Some("bound".into()),
            after: Some("bound to another".into()),
            direction: Direction::Level,
        });
    }
    found
}

fn waiting(changes: &[Waiting]) -> Option<String> {
    let each = changes
        .iter()
        .map(|waiting| format!("{} at {}", waiting.change.act(), waiting.effective));
    listed(&each.collect::<Vec<_>>())
}

fn listed(names: &[String]) -> Option<String> {
    Some(names.join(", ")).filter(|text| !text.is_empty())
}

fn seconds(count: Option<u64>) -> Option<String> {
    count.map(|count| crate::when::Length(count).to_string())
}

fn of_terms(before: &Terms, after: &Terms, catalog: &Revision) -> Vec<Difference> {
    const GRANTED: &str = "granted";
    let flags = |terms: &Terms| -> BTreeMap<u16, &str> {
        let flags = terms.flags.iter();
        flags.map(|flag| (flag.get(), GRANTED)).collect()
    };
    let quotas = |terms: &Terms| -> BTreeMap<u16, Quota> {
        let quotas = terms.quotas.iter();
        quotas.map(|(code, quota)| (code.get(), *quota)).collect()
    };
    let limits = |terms: &Terms| -> BTreeMap<u16, Allowance> {
        let limits = terms.limits.iter();
        limits.map(|(code, limit)| (code.get(), *limit)).collect()
    };
    let name = |kind: Kind, code| DifferenceSubject::Term(kind, catalog.name_of(kind, code));
    let mut found = differing(&flags(before), &flags(after), |code, before, after| {
        Difference {
            subject: name(Kind::Flag, code),
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
            direction: Direction::of(before, after),
        }
    });
    found.extend(differing(
        &quotas(before),
        &quotas(after),
        |code, before, after| {
            let text = |quota: Quota| match quota.allowance {
                Allowance::Unlimited => "unlimited".to_owned(),
                Allowance::Limited(_) => format!("{} a {}", quota.allowance, quota.period),
            };
            Difference {
                subject: name(Kind::Quota, code),
                before: before.map(text),
                after: after.map(text),
                direction: Direction::of(
                    before.map(|quota| quota.allowance),
                    after.map(|quota| quota.allowance),
                ),
            }
        },
    ));
    found.extend(differing(
        &limits(before),
        &limits(after),
        |code, before, after| Difference {
            subject: name(Kind::Limit, code),
            before: before.map(|limit| limit.to_string()),
            after: after.map(|limit| limit.to_string()),
            direction: Direction::of(before, after),
        },
    ));
    found
}

/// What two maps have differently, in the order of their codes.
fn differing<T: PartialEq + Copy>(
    before: &BTreeMap<u16, T>,
    after: &BTreeMap<u16, T>,
    made: impl Fn(u16, Option<T>, Option<T>) -> Difference,
) -> Vec<Difference> {
    let codes: BTreeSet<_> = before.keys().chain(after.keys()).copied().collect();
    let pair = |code: u16| (code, before.get(&code).copied(), after.get(&code).copied());
    let differ = codes
        .into_iter()
        .map(pair)
        .filter(|(_, one, two)| one != two);
    differ
        .map(|(code, one, two)| made(code, one, two))
        .collect()
}
