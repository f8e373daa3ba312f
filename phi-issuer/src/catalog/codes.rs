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
            Err(diagnostic) => refused.push(diagnostic),
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

/// The next free code of a kind.
fn take(next: &mut u16, definition: &Definition) -> Result<u16, Diagnostic> {
    let kind = definition.meaning.kind();
    let code = *next;
    if code >= kind.max_codes() {
        let most = kind.max_codes();
        let message = format!(
            "no code is left: a product has at most {most} {}",
            kind.plural()
        );
        let hint = "removed ones count too, for their codes stay reserved";
        return Err(Diagnostic::new(definition.position, message).hint(hint));
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
    fn place(&self, definition: &Definition) -> Result<Option<Known<'r>>, Diagnostic> {
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
    ) -> Result<(), Diagnostic> {
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
    ) -> Result<Known<'r>, Diagnostic> {
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

fn refusal(was: &At<Name>, message: String, hint: &str) -> Diagnostic {
    Diagnostic::new(was.position, message).hint(hint)
}

fn refuse_unknown_was(was: &At<Name>) -> Diagnostic {
    let message = format!("no recorded term was ever called `{}`", was.value);
    refusal(
        was,
        message,
        "`was` takes the name before this one; a new term has none",
    )
}

/// Refuses a name that belongs to a code already.
fn refuse_used_name(definition: &Definition, own: &Known<'_>) -> Diagnostic {
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
    Diagnostic::new(*position, message).hint(hint)
}

/// Refuses another kind, period or unit under a code that is given.
fn check_meaning(definition: &Definition, term: &Term) -> Result<(), Diagnostic> {
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
    Err(Diagnostic::new(definition.position, message).hint(hint))
}

#[cfg(test)]
mod tests;
