//! Codes: given once, in the order of the text, and never given again.
//!
//! A code is what a token carries, so an application built years ago reads it. Hence every name
//! that ever was is remembered with its code, and an edit that would let either mean something else
//! is refused.

use std::collections::{BTreeMap, BTreeSet};

use super::diagnostic::{Diagnostic, Diagnostics};
use super::name::Name;
use super::reader::At;
use super::revision::{Term, Terms};
use super::source::{Definition, Source};
use super::terms::{Kind, Meaning};

/// The terms of the next revision and the codes it keeps reserved.
pub(super) fn assign(
    old: &Terms,
    old_reserved: &Terms,
    source: &Source,
) -> Result<(Terms, Terms), Diagnostics> {
    let history = History::of(old, old_reserved);
    let mut terms = Terms::default();
    let mut next = Kind::ALL.map(|kind| history.unused(kind));
    let mut refused = Vec::new();
    for definition in &source.definitions {
        let kind = definition.meaning.kind();
        let placed = history.place(definition).and_then(|known| {
            let fresh = &mut next[kind as usize];
            let code = known.map_or_else(|| take(fresh, definition), |known| Ok(known.code))?;
            Ok((code, term(definition, known.map(|known| known.term))))
        });
        match placed {
            Ok((code, term)) => {
                terms.of_mut(kind).insert(code, term);
            }
            Err(diagnostic) => refused.push(*diagnostic),
        }
    }
    Diagnostics::check(refused)?;
    let mut reserved = Terms::default();
    for (kind, code, term) in old.iter().chain(old_reserved.iter()) {
        if !terms.of(kind).contains_key(&code) {
            reserved.of_mut(kind).insert(code, term.clone());
        }
    }
    Ok((terms, reserved))
}

type Refusal = Box<Diagnostic>;

/// The next free code of a kind.
fn take(next: &mut u16, definition: &Definition) -> Result<u16, Refusal> {
    let kind = definition.meaning.kind();
    let code = *next;
    if code >= kind.max_codes() {
        let most = kind.max_codes();
        let message = format!(
            "no code is left: a product has at most {most} {}",
            kind.plural()
        );
        let hint =
            "removed ones count too; rename one you no longer need only if it means the same";
        return Err(Box::new(
            Diagnostic::new(definition.position, message).hint(hint),
        ));
    }
    *next += 1;
    Ok(code)
}

/// The term as the text has it now, with the names it had.
fn term(definition: &Definition, known: Option<&Term>) -> Term {
    let mut former = known.map_or_else(BTreeSet::new, |term| {
        let mut former = term.former.clone();
        former.insert(term.name.clone());
        former
    });
    former.remove(&definition.name);
    Term {
        name: definition.name.clone(),
        title: definition.title.clone(),
        meaning: definition.meaning.clone(),
        former,
    }
}

/// Every name that ever was.
struct History<'r>(BTreeMap<&'r Name, Known<'r>>);

/// What a name stands for.
#[derive(Clone, Copy)]
struct Known<'r> {
    kind: Kind,
    code: u16,
    term: &'r Term,
    standing: Standing,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// The name of a term.
    Current,
    /// The name of a term that was removed.
    Removed,
    /// A name some term had before.
    Former,
}

impl<'r> History<'r> {
    fn of(terms: &'r Terms, reserved: &'r Terms) -> Self {
        let current = terms.iter().map(|found| (found, Standing::Current));
        let removed = reserved.iter().map(|found| (found, Standing::Removed));
        let mut names = BTreeMap::new();
        for ((kind, code, term), standing) in current.chain(removed) {
            names.insert(
                &term.name,
                Known {
                    kind,
                    code,
                    term,
                    standing,
                },
            );
            for former in &term.former {
                names.insert(
                    former,
                    Known {
                        kind,
                        code,
                        term,
                        standing: Standing::Former,
                    },
                );
            }
        }
        Self(names)
    }

    /// The lowest code of a kind that was never given.
    fn unused(&self, kind: Kind) -> u16 {
        let given = self
            .0
            .values()
            .filter(|known| known.kind == kind)
            .map(|known| known.code);
        given.max().map_or(0, |highest| highest.saturating_add(1))
    }

    /// The term a definition continues, or `None` for a new one.
    fn place(&self, definition: &Definition) -> Result<Option<Known<'r>>, Refusal> {
        let own = self.0.get(&definition.name).copied();
        let known = match (own, &definition.was) {
            (Some(own), was) if own.standing == Standing::Current => {
                self.check_recorded(definition, &own, was.as_ref())?;
                Some(own)
            }
            (own, Some(was)) => Some(self.renamed(definition, own.as_ref(), was)?),
            (Some(own), None) => return Err(refuse_used_name(definition, &own)),
            (None, None) => None,
        };
        if let Some(known) = &known {
            check_meaning(definition, known.term)?;
        }
        Ok(known)
    }

    /// A `was` beside a name that has its code already: fine if it is how the name came about.
    fn check_recorded(
        &self,
        definition: &Definition,
        own: &Known<'_>,
        was: Option<&At<Name>>,
    ) -> Result<(), Refusal> {
        let Some(was) = was else { return Ok(()) };
        if was.value == definition.name || own.term.former.contains(&was.value) {
            return Ok(());
        }
        if !self.0.contains_key(&was.value) {
            return Err(refuse_unknown_was(was));
        }
        let message = format!(
            "`{}` has a code of its own and cannot take over that of `{}`",
            definition.name, was.value
        );
        Err(refusal(
            was,
            message,
            "remove `was`, or rename to a name that is new",
        ))
    }

    /// The term that gets a new name, or comes back.
    fn renamed(
        &self,
        definition: &Definition,
        own: Option<&Known<'_>>,
        was: &At<Name>,
    ) -> Result<Known<'r>, Refusal> {
        let Some(&old) = self.0.get(&was.value) else {
            return Err(refuse_unknown_was(was));
        };
        if old.standing == Standing::Former {
            let message = format!("`{}` was renamed to `{}` before", was.value, old.term.name);
            let hint = format!("write was = \"{}\"", old.term.name);
            return Err(refusal(was, message, &hint));
        }
        match own {
            Some(own) if (own.kind, own.code) != (old.kind, old.code) => {
                Err(refuse_used_name(definition, own))
            }
            _ => Ok(old),
        }
    }
}

fn refusal(was: &At<Name>, message: String, hint: &str) -> Refusal {
    Box::new(Diagnostic::new(was.position, message).hint(hint))
}

fn refuse_unknown_was(was: &At<Name>) -> Refusal {
    let message = format!("no recorded term was ever called `{}`", was.value);
    refusal(
        was,
        message,
        "`was` takes the name before this one; a new term has none",
    )
}

/// Refuses a name that belongs to a code already.
fn refuse_used_name(definition: &Definition, own: &Known<'_>) -> Refusal {
    let Definition { name, position, .. } = definition;
    let Known {
        kind,
        code,
        term,
        standing,
    } = own;
    let same_kind = *kind == definition.meaning.kind();
    let (message, hint) = match standing {
        Standing::Former => (
            format!(
                "`{name}` is a former name of {kind} `{}`, code {code}",
                term.name
            ),
            "a name is never given to another code: choose a new one".to_owned(),
        ),
        _ if same_kind => (
            format!("`{name}` is the removed {kind} with code {code}"),
            format!("bring it back with was = \"{name}\", or choose a name that is new"),
        ),
        _ => (
            format!("`{name}` is the removed {kind} with code {code}"),
            "a name is never given to another code: choose a new one".to_owned(),
        ),
    };
    Box::new(Diagnostic::new(*position, message).hint(hint))
}

/// Refuses another kind, period or unit under a code that is given.
fn check_meaning(definition: &Definition, term: &Term) -> Result<(), Refusal> {
    let (new, old) = (&definition.meaning, &term.meaning);
    if new == old {
        return Ok(());
    }
    let name = &definition.name;
    let message = match (old, new) {
        (Meaning::Quota { period: was, .. }, Meaning::Quota { period: is, .. }) if was != is => {
            format!("quota `{name}` is counted per {was}, not per {is}")
        }
        (
            Meaning::Quota { unit: was, .. } | Meaning::Limit { unit: was },
            Meaning::Quota { unit: is, .. } | Meaning::Limit { unit: is },
        ) if old.kind() == new.kind() => {
            let unit = |unit: &Option<String>| {
                unit.as_ref()
                    .map_or("no unit".to_owned(), |unit| format!("\"{unit}\""))
            };
            format!(
                "{} `{name}` has {} as its unit, not {}",
                old.kind(),
                unit(was),
                unit(is)
            )
        }
        _ => format!("`{name}` is a {}, not a {}", old.kind(), new.kind()),
    };
    let hint = format!(
        "a code never changes its meaning: leave this one and define a new {} beside it",
        new.kind()
    );
    Err(Box::new(
        Diagnostic::new(definition.position, message).hint(hint),
    ))
}

#[cfg(test)]
mod tests {
    use super::super::{Revision, diff};
    use super::*;

    fn source(body: &str) -> Source {
        let text = format!("product = 'p'\n{body}");
        Source::parse(&text).unwrap_or_else(|found| panic!("{found}"))
    }

    /// Records one text after the other.
    #[track_caller]
    fn record(bodies: &[&str]) -> Revision {
        let mut revision = Revision::first(&source(bodies[0])).unwrap();
        for body in &bodies[1..] {
            revision = revision
                .next(&source(body))
                .unwrap_or_else(|found| panic!("{found}"));
        }
        revision
    }

    /// The flags as `code name`, and the reserved ones after them.
    #[track_caller]
    fn flags(bodies: &[&str], expected: &[&str]) {
        let revision = record(bodies);
        let all = [revision.terms(), revision.reserved()];
        let flags = all.into_iter().flat_map(|terms| &terms.flags);
        let found: Vec<String> = flags
            .map(|(code, term)| format!("{code} {}", term.name))
            .collect();
        assert_eq!(found, expected);
    }

    /// Records all but the last text, which is refused.
    #[track_caller]
    fn refused(bodies: &[&str], expected: &[&str]) {
        let (last, before) = bodies.split_last().unwrap();
        let refused = match before {
            [] => Revision::first(&source(last)),
            _ => record(before).next(&source(last)),
        };
        let refused = refused.expect_err("the edit is refused");
        let found: Vec<String> = refused
            .iter()
            .map(|d| format!("{} {}", d.position, d.message))
            .collect();
        assert_eq!(found, expected);
        assert!(refused.iter().all(|d| d.hint.is_some()));
    }

    #[test]
    fn each_kind_counts_from_zero_in_the_order_of_the_text() {
        let revision =
            record(&["[flags]\nb='B'\na='A'\n[limits]\ns='S'\n[quotas]\nq={period='day'}"]);
        let found: Vec<String> = revision
            .terms()
            .iter()
            .map(|(kind, code, term)| format!("{kind} {code} {}", term.name))
            .collect();
        assert_eq!(found, ["flag 0 b", "flag 1 a", "quota 0 q", "limit 0 s"]);
    }

    #[test]
    fn order_does_not_matter_once_recorded() {
        flags(
            &["[flags]\na='A'\nb='B'", "[flags]\nc='C'\nb='B'\na='A'"],
            &["0 a", "1 b", "2 c"],
        );
    }

    #[test]
    fn removal_reserves_and_was_restores() {
        let (first, removed) = ("[flags]\na='A'\nb='B'", "[flags]\na='A'\nc='C'");
        flags(&[first, removed], &["0 a", "2 c", "1 b"]);
        let back = "[flags]\na='A'\nb={was='b'}";
        flags(&[first, removed, back], &["0 a", "1 b", "2 c"]);
        flags(&[first, removed, back, back], &["0 a", "1 b", "2 c"]);
        let under_another_name = "[flags]\na='A'\nd={was='b'}";
        flags(
            &[first, removed, under_another_name],
            &["0 a", "1 d", "2 c"],
        );
        refused(
            &[first, removed, first],
            &["4:1 `b` is the removed flag with code 1"],
        );
    }

    #[test]
    fn rename_keeps_the_code_and_may_stay_in_the_file() {
        let (first, renamed) = ("[flags]\na='A'\nb='B'", "[flags]\nx={was='a'}\nb='B'");
        flags(&[first, renamed], &["0 x", "1 b"]);
        flags(&[first, renamed, renamed], &["0 x", "1 b"]);
        let (once, twice) = (
            record(&[first, renamed]),
            record(&[first, renamed, renamed]),
        );
        assert_eq!(diff(&once, &twice), []);
        flags(
            &[first, renamed, "[flags]\na={was='x'}\nb='B'"],
            &["0 a", "1 b"],
        );
    }

    #[test]
    fn a_rename_that_contradicts_the_record_is_refused() {
        let first = "[flags]\na='A'\nb='B'\n[limits]\nl='L'";
        refused(
            &["[flags]\na={was='z'}"],
            &["3:8 no recorded term was ever called `z`"],
        );
        refused(
            &[first, "[flags]\na='A'\nc={was='z'}"],
            &["4:8 no recorded term was ever called `z`"],
        );
        refused(
            &[first, "[flags]\na={was='b'}"],
            &["3:8 `a` has a code of its own and cannot take over that of `b`"],
        );
        refused(
            &[first, "[flags]\nc={was='l'}"],
            &["3:1 `c` is a limit, not a flag"],
        );
        let renamed = "[flags]\nx={was='a'}\nb='B'";
        refused(
            &[first, renamed, "[flags]\ny={was='a'}\nb='B'"],
            &["3:8 `a` was renamed to `x` before"],
        );
        refused(
            &[first, renamed, "[flags]\nx='X'\nb='B'\na='A'"],
            &["5:1 `a` is a former name of flag `x`, code 0"],
        );
        refused(
            &[first, "[flags]\na='A'", "[flags]\nb={was='a'}"],
            &["3:1 `b` is the removed flag with code 1"],
        );
    }

    #[test]
    fn a_code_never_changes_its_meaning() {
        let first = "[quotas]\nq={period='day',unit='calls'}\nr={period='day'}\n[limits]\nl='L'\n\
                     [flags]\nf='F'";
        refused(
            &[
                first,
                "[quotas]\nq={period='month',unit='calls'}\nr={period='day',unit='MB'}\n\
                 f={period='day'}\n[limits]\nl={unit='seats'}\n",
            ],
            &[
                "3:1 quota `q` is counted per day, not per month",
                "4:1 quota `r` has no unit as its unit, not \"MB\"",
                "5:1 `f` is a flag, not a quota",
                "7:1 limit `l` has no unit as its unit, not \"seats\"",
            ],
        );
        refused(
            &[
                first,
                "",
                "[quotas]\nq={period='year',unit='calls',was='q'}",
            ],
            &["3:1 quota `q` is counted per day, not per year"],
        );
        refused(
            &[first, "", "[flags]\nq='Q'"],
            &["3:1 `q` is the removed quota with code 0"],
        );
    }

    #[test]
    fn removed_codes_use_up_the_space() {
        let limits = |from: usize, to: usize| -> String {
            (from..to).fold("[limits]\n".to_owned(), |all, n| {
                all + &format!("n{n} = 'x'\n")
            })
        };
        let (first, second) = (limits(0, 200), limits(200, 256));
        assert_eq!(record(&[&first, &second]).reserved().limits.len(), 200);
        refused(
            &[&first, &second, &limits(200, 258)],
            &[
                "59:1 no code is left: a product has at most 256 limits",
                "60:1 no code is left: a product has at most 256 limits",
            ],
        );
    }
}
