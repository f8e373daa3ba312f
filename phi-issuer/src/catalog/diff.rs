//! What differs between two revisions, for people (one line each) and programs.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::name::Name;
use super::revision::{Offer, Revision, Term};
use super::terms::{Allowance, Kind};

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Change {
    /// The product has another title.
    ProductRetitled {
        /// Before.
        from: Option<String>,
        /// After.
        to: Option<String>,
    },
    /// A new term has a code that was never used.
    Added {
        /// Its kind.
        kind: Kind,
        /// Its code.
        code: u16,
        /// Its name.
        name: Name,
        /// Its title.
        title: String,
    },
    /// A term is gone; its code and name are reserved.
    Removed {
        /// Its kind.
        kind: Kind,
        /// Its code.
        code: u16,
        /// Its last name.
        name: Name,
    },
    /// A removed term is back under its code.
    Restored {
        /// Its kind.
        kind: Kind,
        /// Its code.
        code: u16,
        /// Its name now.
        name: Name,
        /// Its name when it was removed.
        was: Name,
    },
    /// A term has another name and its old code.
    Renamed {
        /// Its kind.
        kind: Kind,
        /// Its code.
        code: u16,
        /// Before.
        from: Name,
        /// After.
        to: Name,
    },
    /// A term has another title.
    Retitled {
        /// Its kind.
        kind: Kind,
        /// Its code.
        code: u16,
        /// Its name.
        name: Name,
        /// Before.
        from: String,
        /// After.
        to: String,
    },
    /// A new plan or add-on; what it grants follows.
    OfferAdded {
        /// Plan or add-on.
        holder: Holder,
    },
    /// A plan or add-on is gone.
    OfferRemoved {
        /// Plan or add-on.
        holder: Holder,
    },
    /// A plan or add-on has another title.
    OfferRetitled {
        /// Plan or add-on.
        holder: Holder,
        /// Before.
        from: Option<String>,
        /// After.
        to: Option<String>,
    },
    /// A plan or add-on grants a flag it did not.
    FlagGranted {
        /// Plan or add-on.
        holder: Holder,
        /// The flag.
        flag: Name,
    },
    /// A plan or add-on no longer grants a flag.
    FlagWithdrawn {
        /// Plan or add-on.
        holder: Holder,
        /// The flag, by its last name.
        flag: Name,
    },
    /// A plan or add-on grants another amount; `None` is not granted at all.
    AmountChanged {
        /// Plan or add-on.
        holder: Holder,
        /// Quota or limit.
        kind: Kind,
        /// Its name.
        name: Name,
        /// Before.
        from: Option<Allowance>,
        /// After.
        to: Option<Allowance>,
    },
}

/// What grants: a plan or an add-on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Holder {
    /// The plan of this name.
    Plan(Name),
    /// The add-on of this name.
    Addon(Name),
}

/// What differs from `old` to `new`, in a fixed order; empty when nothing does, the revision
/// number and the order of plans aside.
pub fn diff(old: &Revision, new: &Revision) -> Vec<Change> {
    let mut changes = Vec::new();
    if old.title() != new.title() {
        changes.push(Change::ProductRetitled {
            from: old.title().map(str::to_owned),
            to: new.title().map(str::to_owned),
        });
    }
    for kind in Kind::ALL {
        diff_terms(old, new, kind, &mut changes);
    }
    diff_offers(
        old,
        new,
        &old.plans(),
        &new.plans(),
        Holder::Plan,
        &mut changes,
    );
    diff_offers(
        old,
        new,
        &old.addons(),
        &new.addons(),
        Holder::Addon,
        &mut changes,
    );
    changes
}

fn diff_terms(old: &Revision, new: &Revision, kind: Kind, changes: &mut Vec<Change>) {
    let (was, is) = (old.terms().of(kind), new.terms().of(kind));
    for (&code, term) in was.iter().filter(|(code, _)| !is.contains_key(code)) {
        changes.push(Change::Removed {
            kind,
            code,
            name: term.name.clone(),
        });
    }
    for (&code, term) in is {
        let name = term.name.clone();
        let removed = old.reserved().of(kind).get(&code);
        match (was.get(&code), removed) {
            (Some(before), _) => diff_term(kind, code, before, term, changes),
            (None, Some(removed)) => {
                changes.push(Change::Restored {
                    kind,
                    code,
                    name,
                    was: removed.name.clone(),
                });
                diff_title(kind, code, removed, term, changes);
            }
            (None, None) => {
                changes.push(Change::Added {
                    kind,
                    code,
                    name,
                    title: term.title.clone(),
                });
            }
        }
    }
}

fn diff_term(kind: Kind, code: u16, before: &Term, after: &Term, changes: &mut Vec<Change>) {
    if before.name != after.name {
        let (from, to) = (before.name.clone(), after.name.clone());
        changes.push(Change::Renamed {
            kind,
            code,
            from,
            to,
        });
    }
    diff_title(kind, code, before, after, changes);
}

fn diff_title(kind: Kind, code: u16, before: &Term, after: &Term, changes: &mut Vec<Change>) {
    if before.title != after.title {
        let (from, to) = (before.title.clone(), after.title.clone());
        changes.push(Change::Retitled {
            kind,
            code,
            name: after.name.clone(),
            from,
            to,
        });
    }
}

fn diff_offers(
    old: &Revision,
    new: &Revision,
    before: &[Offer],
    after: &[Offer],
    holder: fn(Name) -> Holder,
    changes: &mut Vec<Change>,
) {
    let named = |offers: &[Offer], name: &Name| offers.iter().position(|o| o.name == *name);
    for gone in before
        .iter()
        .filter(|offer| named(after, &offer.name).is_none())
    {
        changes.push(Change::OfferRemoved {
            holder: holder(gone.name.clone()),
        });
    }
    let nothing = super::Grants::default();
    for offer in after {
        let holder = holder(offer.name.clone());
        let previous = named(before, &offer.name).map(|at| &before[at]);
        match previous {
            None => changes.push(Change::OfferAdded {
                holder: holder.clone(),
            }),
            Some(previous) if previous.title != offer.title => {
                changes.push(Change::OfferRetitled {
                    holder: holder.clone(),
                    from: previous.title.clone(),
                    to: offer.title.clone(),
                });
            }
            Some(_) => {}
        }
        let granted = previous.map_or(&nothing, |previous| &previous.grants);
        let grants = [granted, &offer.grants];
        diff_grants(&Names { old, new }, &holder, grants, changes);
    }
}

fn diff_grants(
    names: &Names<'_>,
    holder: &Holder,
    [before, after]: [&super::Grants; 2],
    changes: &mut Vec<Change>,
) {
    for &code in before.flags.symmetric_difference(&after.flags) {
        let Some(flag) = names.of(Kind::Flag, code) else {
            continue;
        };
        let holder = holder.clone();
        changes.push(if after.flags.contains(&code) {
            Change::FlagGranted { holder, flag }
        } else {
            Change::FlagWithdrawn { holder, flag }
        });
    }
    let amounts = [
        (Kind::Quota, &before.quotas, &after.quotas),
        (Kind::Limit, &before.limits, &after.limits),
    ];
    for (kind, before, after) in amounts {
        let codes: BTreeMap<u16, ()> = before
            .keys()
            .chain(after.keys())
            .map(|&c| (c, ()))
            .collect();
        for code in codes.into_keys() {
            let (from, to) = (before.get(&code).copied(), after.get(&code).copied());
            let Some(name) = names.of(kind, code).filter(|_| from != to) else {
                continue;
            };
            changes.push(Change::AmountChanged {
                holder: holder.clone(),
                kind,
                name,
                from,
                to,
            });
        }
    }
}

/// Names of codes, the newest first.
struct Names<'r> {
    old: &'r Revision,
    new: &'r Revision,
}

impl Names<'_> {
    fn of(&self, kind: Kind, code: u16) -> Option<Name> {
        let all = [self.new.terms(), self.new.reserved(), self.old.terms()];
        all.into_iter()
            .find_map(|terms| terms.of(kind).get(&code))
            .map(|term| term.name.clone())
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, subject, name, detail) = match self {
            Self::ProductRetitled { from, to } => (
                '~',
                "product",
                "",
                format!("title {} -> {}", quoted(from), quoted(to)),
            ),
            Self::Added {
                kind,
                code,
                name,
                title,
            } => (
                '+',
                kind.word(),
                name.as_str(),
                format!("code {code}, \"{title}\""),
            ),
            Self::Removed { kind, code, name } => (
                '-',
                kind.word(),
                name.as_str(),
                format!("code {code} stays reserved"),
            ),
            Self::Restored {
                kind,
                code,
                name,
                was,
            } => (
                '+',
                kind.word(),
                name.as_str(),
                format!("code {code} restored, was {was}"),
            ),
            Self::Renamed {
                kind,
                code,
                from,
                to,
            } => (
                '~',
                kind.word(),
                to.as_str(),
                format!("renamed from {from}, code {code}"),
            ),
            Self::Retitled {
                kind,
                name,
                from,
                to,
                ..
            } => (
                '~',
                kind.word(),
                name.as_str(),
                format!("title \"{from}\" -> \"{to}\""),
            ),
            Self::OfferAdded { holder } => ('+', holder.word(), holder.name(), String::new()),
            Self::OfferRemoved { holder } => ('-', holder.word(), holder.name(), String::new()),
            Self::OfferRetitled { holder, from, to } => {
                let detail = format!("title {} -> {}", quoted(from), quoted(to));
                ('~', holder.word(), holder.name(), detail)
            }
            Self::FlagGranted { holder, flag } => {
                ('+', holder.word(), holder.name(), format!("flag {flag}"))
            }
            Self::FlagWithdrawn { holder, flag } => {
                ('-', holder.word(), holder.name(), format!("flag {flag}"))
            }
            Self::AmountChanged {
                holder,
                kind,
                name,
                from,
                to,
            } => {
                let amount = |side: &Option<Allowance>| {
                    side.map_or("none".to_owned(), |amount| amount.to_string())
                };
                let sign = match (from, to) {
                    (None, _) => '+',
                    (_, None) => '-',
                    _ => '~',
                };
                let detail = format!("{kind} {name} {} -> {}", amount(from), amount(to));
                (sign, holder.word(), holder.name(), detail)
            }
        };
        let line = format!("{sign} {subject:<7} {name:<28} {detail}");
        f.write_str(line.trim_end())
    }
}

fn quoted(title: &Option<String>) -> String {
    title
        .as_ref()
        .map_or("none".to_owned(), |title| format!("\"{title}\""))
}

impl Holder {
    /// The plan's or add-on's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Plan(name) | Self::Addon(name) => name,
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Plan(_) => "plan",
            Self::Addon(_) => "add-on",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Source;
    use super::*;

    const FIRST: &str = r#"
product = "p"
[flags]
sso = "SSO"
audits = "Audits"
old = "Old"
[quotas]
api = { title = "API", period = "day" }
[plans.team]
flags = ["sso", "old"]
quotas = { api = 100 }
[plans.trial]
[addons.calls]
quotas = { api = 5 }
"#;

    const SECOND: &str = r#"
product = "p"
title = "Product"
[flags]
sso = "Single sign-on"
audit_events = { title = "Audits", was = "audits" }
[quotas]
api = { title = "API", period = "day" }
[limits]
seats = "Seats"
[plans.team]
title = "Team"
flags = ["sso", "audit_events"]
quotas = { api = "unlimited" }
limits = { seats = 3 }
[plans.gold]
extends = "team"
"#;

    const THIRD: &str = r#"
product = "p"
[flags]
former = { title = "Old", was = "old" }
"#;

    fn revisions() -> [Revision; 3] {
        let first = Revision::first(&Source::parse(FIRST).unwrap()).unwrap();
        let second = first.next(&Source::parse(SECOND).unwrap()).unwrap();
        let third = second.next(&Source::parse(THIRD).unwrap()).unwrap();
        [first, second, third]
    }

    #[track_caller]
    fn check(old: &Revision, new: &Revision, expected: &[&str]) {
        let lines: Vec<String> = diff(old, new).iter().map(ToString::to_string).collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn each_change_is_one_aligned_line() {
        let [first, second, third] = revisions();
        check(
            &first,
            &second,
            &[
                "~ product                              title none -> \"Product\"",
                "- flag    old                          code 2 stays reserved",
                "~ flag    sso                          title \"SSO\" -> \"Single sign-on\"",
                "~ flag    audit_events                 renamed from audits, code 1",
                "+ limit   seats                        code 0, \"Seats\"",
                "- plan    trial",
                "~ plan    team                         title none -> \"Team\"",
                "+ plan    team                         flag audit_events",
                "- plan    team                         flag old",
                "~ plan    team                         quota api 100 -> unlimited",
                "+ plan    team                         limit seats none -> 3",
                "+ plan    gold",
                "+ plan    gold                         flag sso",
                "+ plan    gold                         flag audit_events",
                "+ plan    gold                         quota api none -> unlimited",
                "+ plan    gold                         limit seats none -> 3",
                "- add-on  calls",
            ],
        );
        let lines: Vec<String> = diff(&second, &third)
            .iter()
            .map(ToString::to_string)
            .collect();
        let restored = "+ flag    former                       code 2 restored, was old";
        assert!(lines.iter().any(|line| line == restored), "{lines:#?}");
        check(&third, &third, &[]);
    }

    #[test]
    fn a_new_number_or_order_is_no_change() {
        let [first, ..] = revisions();
        let again = first.next(&Source::parse(FIRST).unwrap()).unwrap();
        assert_eq!(again.number(), 2);
        check(&first, &again, &[]);
    }

    #[test]
    fn changes_are_data() {
        let [first, second, _] = revisions();
        let json = serde_json::to_value(diff(&first, &second)).unwrap();
        let expected = serde_json::json!({
            "change": "amount-changed", "holder": { "plan": "team" }, "kind": "quota",
            "name": "api", "from": 100, "to": "unlimited",
        });
        assert!(json.as_array().unwrap().contains(&expected), "{json:#}");
    }
}
