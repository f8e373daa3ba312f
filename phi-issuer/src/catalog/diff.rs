//! What differs between two revisions.

use std::collections::BTreeSet;

use super::change::{Change, Holder};
use super::name::Name;
use super::revision::{Offer, Revision, Term};
use super::terms::Kind;

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
        old.plans(),
        new.plans(),
        Holder::Plan,
        &mut changes,
    );
    diff_offers(
        old,
        new,
        old.addons(),
        new.addons(),
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
        let codes: BTreeSet<u16> = before.keys().chain(after.keys()).copied().collect();
        for code in codes {
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
