//! Plans and add-ons: reading them, and resolving inheritance so that each plan says by itself what
//! it grants.

use std::collections::{BTreeMap, BTreeSet};

use phi_verify::Allowance;

use super::diagnostic::{Diagnostic, Position};
use super::name::Name;
use super::reader::{At, Entry, Item, Reader};
use super::source::Known;
use super::terms::Kind;

/// A plan or add-on as the text has it.
pub(super) struct RawOffer {
    name: Name,
    position: Position,
    title: Option<String>,
    extends: Option<At<Name>>,
    flags: Vec<At<Name>>,
    without: Vec<At<Name>>,
    amounts: Vec<Amount>,
}

/// A quota or limit that is granted.
struct Amount {
    kind: Kind,
    name: At<Name>,
    allowance: Allowance,
}

/// A plan with all it inherits, or an add-on; every name in it is defined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Offered {
    pub(super) name: Name,
    pub(super) title: Option<String>,
    pub(super) granted: Granted,
}

/// What is granted, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Granted {
    pub(super) flags: BTreeSet<Name>,
    pub(super) quotas: BTreeMap<Name, Allowance>,
    pub(super) limits: BTreeMap<Name, Allowance>,
}

impl Granted {
    fn grants(&self, name: &Name) -> bool {
        self.flags.contains(name)
            || self.quotas.contains_key(name)
            || self.limits.contains_key(name)
    }

    /// Takes a name away; whether it was there.
    fn remove(&mut self, name: &Name) -> bool {
        self.flags.remove(name)
            || self.quotas.remove(name).is_some()
            || self.limits.remove(name).is_some()
    }
}

const PLAN_FIELDS: [&str; 6] = ["title", "extends", "flags", "without", "quotas", "limits"];
const ADDON_FIELDS: [&str; 4] = ["title", "flags", "quotas", "limits"];

/// Reads one plan or add-on; only plans inherit.
pub(super) fn read_offer(
    reader: &mut Reader<'_>,
    name: Name,
    entry: &Entry<'_, '_>,
    inherits: bool,
) -> RawOffer {
    let (position, what) = (entry.position, format!("`{name}`"));
    let mut offer = RawOffer {
        name,
        position,
        title: None,
        extends: None,
        flags: Vec::new(),
        without: Vec::new(),
        amounts: Vec::new(),
    };
    for field in reader.entries(&what, entry.item) {
        match field.key {
            "title" => offer.title = reader.title("a title", field.item),
            "flags" => offer.flags = reader.names("`flags`", field.item),
            "quotas" => read_amounts(reader, Kind::Quota, field.item, &mut offer.amounts),
            "limits" => read_amounts(reader, Kind::Limit, field.item, &mut offer.amounts),
            "extends" if inherits => offer.extends = reader.name("`extends`", field.item),
            "without" if inherits => offer.without = reader.names("`without`", field.item),
            _ if inherits => reader.unknown_field(&field, &PLAN_FIELDS),
            _ => reader.unknown_field(&field, &ADDON_FIELDS),
        }
    }
    offer
}

fn read_amounts(reader: &mut Reader<'_>, kind: Kind, item: &Item<'_>, amounts: &mut Vec<Amount>) {
    for entry in reader.entries(&format!("`{}`", kind.plural()), item) {
        let name = reader.key_name(&entry);
        let allowance = reader.allowance(entry.item);
        if let (Some(value), Some(allowance)) = (name, allowance) {
            let name = At {
                value,
                position: entry.position,
            };
            amounts.push(Amount {
                kind,
                name,
                allowance,
            });
        }
    }
}

/// Resolves add-ons, which stand for themselves.
pub(super) fn resolve_addons(
    reader: &mut Reader<'_>,
    known: &Known,
    offers: Vec<RawOffer>,
) -> Vec<Offered> {
    let resolve = |offer: RawOffer| {
        let own = own_grants(reader, known, &offer);
        let granted = applied(Granted::default(), &own);
        Offered {
            name: offer.name,
            title: offer.title,
            granted,
        }
    };
    offers.into_iter().map(resolve).collect()
}

/// Resolves plans, each on top of the one it extends. Plans whose chain is broken are refused once,
/// where it breaks, and left out.
pub(super) fn resolve_plans(
    reader: &mut Reader<'_>,
    known: &Known,
    offers: Vec<RawOffer>,
) -> Vec<Offered> {
    let parents = parents(reader, &offers);
    let own: Vec<Granted> = offers
        .iter()
        .map(|offer| own_grants(reader, known, offer))
        .collect();
    let mut resolved: Vec<Option<Granted>> = vec![None; offers.len()];
    for index in 0..offers.len() {
        for link in chain_from_top(index, &parents).unwrap_or_default() {
            if resolved[link].is_none() {
                let inherited = match parents[link] {
                    Parent::Plan(parent) => resolved[parent].clone(),
                    Parent::None | Parent::Broken => None,
                };
                let rest = without(reader, known, &offers[link], &own[link], inherited);
                resolved[link] = Some(applied(rest, &own[link]));
            }
        }
    }
    let pairs = offers.into_iter().zip(resolved);
    pairs
        .filter_map(|(offer, granted)| {
            Some(Offered {
                name: offer.name,
                title: offer.title,
                granted: granted?,
            })
        })
        .collect()
}

#[derive(Clone, Copy)]
enum Parent {
    None,
    Plan(usize),
    /// Unknown, or part of a circle: reported already.
    Broken,
}

/// Whom each plan extends; refuses unknown plans and circles.
fn parents(reader: &mut Reader<'_>, offers: &[RawOffer]) -> Vec<Parent> {
    let index: BTreeMap<&Name, usize> = offers
        .iter()
        .enumerate()
        .map(|(at, offer)| (&offer.name, at))
        .collect();
    let mut parents = Vec::new();
    for offer in offers {
        parents.push(match &offer.extends {
            None => Parent::None,
            Some(extends) => {
                if let Some(&parent) = index.get(&extends.value) {
                    Parent::Plan(parent)
                } else {
                    refuse_unknown_plan(reader, extends, &index);
                    Parent::Broken
                }
            }
        });
    }
    for start in 0..offers.len() {
        if let Some(circle) = circle_from(start, &parents) {
            let mut names: Vec<&str> = circle.iter().map(|&at| &*offers[at].name).collect();
            names.push(names[0]);
            let message = format!("plans extend each other: {}", names.join(" -> "));
            let extends = offers[start].extends.as_ref();
            let place = extends.map_or(offers[start].position, |extends| extends.position);
            reader.refuse(Diagnostic::new(place, message).hint("one of them stands by itself"));
            for at in circle {
                parents[at] = Parent::Broken;
            }
        }
    }
    parents
}

fn refuse_unknown_plan(
    reader: &mut Reader<'_>,
    extends: &At<Name>,
    index: &BTreeMap<&Name, usize>,
) {
    let mut unknown = Diagnostic::new(
        extends.position,
        format!("no plan is called `{}`", extends.value),
    );
    if let Some(near) = reader.suggest(&extends.value, index.keys().map(|name| &***name)) {
        unknown = unknown.hint(format!("did you mean `{near}`?"));
    }
    reader.refuse(unknown);
}

/// The circle that `start` is part of, if it is.
fn circle_from(start: usize, parents: &[Parent]) -> Option<Vec<usize>> {
    let mut path = vec![start];
    // More steps than plans would be a circle without `start`.
    while let Parent::Plan(next) = parents[*path.last()?] {
        if next == start {
            return Some(path);
        }
        if path.len() > parents.len() {
            return None;
        }
        path.push(next);
    }
    None
}

/// The plans from the one that stands by itself down to `index`; `None` when there is no such.
fn chain_from_top(index: usize, parents: &[Parent]) -> Option<Vec<usize>> {
    let mut chain = vec![index];
    loop {
        match parents[*chain.last()?] {
            Parent::Plan(parent) => chain.push(parent),
            Parent::None => break,
            Parent::Broken => return None,
        }
    }
    chain.reverse();
    Some(chain)
}

/// What an offer itself names; refuses names that are unknown or of another kind.
fn own_grants(reader: &mut Reader<'_>, known: &Known, offer: &RawOffer) -> Granted {
    let mut own = Granted::default();
    for flag in &offer.flags {
        if is_known(reader, known, flag, Some(Kind::Flag)) {
            own.flags.insert(flag.value.clone());
        }
    }
    for Amount {
        kind,
        name,
        allowance,
    } in &offer.amounts
    {
        if is_known(reader, known, name, Some(*kind)) {
            let amounts = if *kind == Kind::Quota {
                &mut own.quotas
            } else {
                &mut own.limits
            };
            amounts.insert(name.value.clone(), *allowance);
        }
    }
    own
}

/// Whether a name is defined, as `wanted` if that is given; refuses it otherwise.
fn is_known(reader: &mut Reader<'_>, known: &Known, name: &At<Name>, wanted: Option<Kind>) -> bool {
    let found = known.get(&name.value).map(|(kind, _)| *kind);
    let refusal = match (found, wanted) {
        (Some(found), Some(wanted)) if found != wanted => {
            let message = format!("`{}` is a {found}, not a {wanted}", name.value);
            let hint = format!("grant it under `{}`", found.plural());
            Diagnostic::new(name.position, message).hint(hint)
        }
        (Some(_), _) => return true,
        (None, _) => {
            let word = wanted.map_or("flag, quota or limit", Kind::word);
            let message = format!("no {word} is called `{}`", name.value);
            let fits = known
                .iter()
                .filter(|(_, (kind, _))| wanted.is_none_or(|w| w == *kind));
            let hint = match reader.suggest(&name.value, fits.map(|(name, _)| &**name)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "define it first".to_owned(),
            };
            Diagnostic::new(name.position, message).hint(hint)
        }
    };
    reader.refuse(refusal);
    false
}

/// What is left of the inherited grants; refuses taking away what is not there or given as well.
fn without(
    reader: &mut Reader<'_>,
    known: &Known,
    offer: &RawOffer,
    own: &Granted,
    inherited: Option<Granted>,
) -> Granted {
    let mut rest = inherited.unwrap_or_default();
    for name in &offer.without {
        if !is_known(reader, known, name, None) {
            continue;
        }
        let word = &name.value;
        if own.grants(word) {
            let message = format!(
                "plan `{}` both grants `{word}` and takes it away",
                offer.name
            );
            reader.refuse(Diagnostic::new(name.position, message).hint("remove one of them"));
        } else if !rest.remove(word) {
            let message = match &offer.extends {
                Some(parent) => format!("plan `{}` does not grant `{word}`", parent.value),
                None => format!("plan `{}` extends no plan to take from", offer.name),
            };
            reader.refuse(Diagnostic::new(name.position, message).hint("remove it here"));
        }
    }
    rest
}

/// `base` with `own` on top: flags are added, amounts replaced.
fn applied(mut base: Granted, own: &Granted) -> Granted {
    base.flags.extend(own.flags.iter().cloned());
    base.quotas.extend(
        own.quotas
            .iter()
            .map(|(name, amount)| (name.clone(), *amount)),
    );
    base.limits.extend(
        own.limits
            .iter()
            .map(|(name, amount)| (name.clone(), *amount)),
    );
    base
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::super::{Overrides, Revision, Source};
    use super::*;

    #[test]
    fn plans_inherit_whatever_the_order_of_the_text() {
        let source = Source::parse(
            r#"
            product = "p"
            flags = { a = "A", b = "B", c = "C" }
            quotas = { q = { period = "day" }, r = { period = "year" } }
            limits = { seats = "Seats" }
            [plans.top]
            extends = "middle"
            flags = ["a"]
            without = ["b", "r", "seats"]
            [plans.middle]
            extends = "base"
            flags = ["c"]
            without = ["a"]
            quotas = { q = "unlimited" }
            [plans.base]
            flags = ["a", "b"]
            quotas = { q = 10, r = 20 }
            limits = { seats = 1 }
            "#,
        )
        .unwrap();
        let revision = Revision::first(&source).unwrap();
        let granted = |plan| {
            let all = revision
                .entitlements(plan, &[], &Overrides::default())
                .unwrap();
            let amounts: Vec<Allowance> = all.quotas.values().map(|(amount, _)| *amount).collect();
            (
                all.flags.into_iter().collect::<Vec<_>>(),
                amounts,
                all.limits.len(),
            )
        };
        let (ten, twenty) = (Allowance::Limited(10), Allowance::Limited(20));
        assert_eq!(granted("base"), (vec![0, 1], vec![ten, twenty], 1));
        assert_eq!(
            granted("middle"),
            (vec![1, 2], vec![Allowance::Unlimited, twenty], 1)
        );
        assert_eq!(granted("top"), (vec![0, 2], vec![Allowance::Unlimited], 0));
    }

    #[test]
    fn a_long_chain_resolves() {
        let mut text = "product = 'p'\nflags = { f = 'F' }\n[plans.p0]\nflags = ['f']\n".to_owned();
        for n in 1..256 {
            let _ = writeln!(text, "[plans.p{n}]\nextends = 'p{}'", n - 1);
        }
        let source = Source::parse(&text).unwrap();
        assert!(
            source
                .plans
                .iter()
                .all(|plan| plan.granted.flags.len() == 1)
        );
    }
}
