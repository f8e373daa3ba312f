//! What holds for every catalog and every history of edits.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

/// One edit of the flags of a catalog.
#[derive(Debug, Clone)]
enum Edit {
    Add,
    /// Remove the flag at this place.
    Remove(usize),
    /// Rename the flag at this place.
    Rename(usize),
    /// Bring back the removed flag at this place, under its name or a new one.
    Restore(usize, bool),
    /// Move the flag at this place to the front.
    Move(usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        3 => Just(Edit::Add),
        2 => any::<usize>().prop_map(Edit::Remove),
        2 => any::<usize>().prop_map(Edit::Rename),
        1 => (any::<usize>(), any::<bool>()).prop_map(|(at, same)| Edit::Restore(at, same)),
        1 => any::<usize>().prop_map(Edit::Move),
    ]
}

/// A file under edit: each flag has an identity that renames do not touch, which the code must
/// follow.
#[derive(Default)]
struct File {
    /// Identity, name, and `was`.
    flags: Vec<(usize, String, Option<String>)>,
    removed: Vec<(usize, String)>,
    identities: usize,
    names: usize,
}

impl File {
    fn fresh(&mut self) -> String {
        self.names += 1;
        format!("f{}", self.names)
    }

    fn apply(&mut self, edit: &Edit) {
        let at = |index: usize, len: usize| (len > 0).then(|| index % len);
        match *edit {
            Edit::Add => {
                let name = self.fresh();
                self.flags.push((self.identities, name, None));
                self.identities += 1;
            }
            Edit::Remove(index) => {
                let Some(at) = at(index, self.flags.len()) else {
                    return;
                };
                let (identity, name, _) = self.flags.remove(at);
                self.removed.push((identity, name));
            }
            Edit::Rename(index) => {
                let Some(at) = at(index, self.flags.len()) else {
                    return;
                };
                let name = self.fresh();
                let flag = &mut self.flags[at];
                flag.2 = Some(std::mem::replace(&mut flag.1, name));
            }
            Edit::Restore(index, same) => {
                let Some(at) = at(index, self.removed.len()) else {
                    return;
                };
                let (identity, was) = self.removed.remove(at);
                let name = if same { was.clone() } else { self.fresh() };
                self.flags.push((identity, name, Some(was)));
            }
            Edit::Move(index) => {
                let Some(at) = at(index, self.flags.len()) else {
                    return;
                };
                let flag = self.flags.remove(at);
                self.flags.insert(0, flag);
            }
        }
    }

    fn text(&self) -> String {
        let mut text = "product = 'p'\n[flags]\n".to_owned();
        for (_, name, was) in &self.flags {
            let was = was
                .as_ref()
                .map_or(String::new(), |was| format!(", was = '{was}'"));
            let _ = writeln!(text, "{name} = {{ title = 'T'{was} }}");
        }
        text
    }
}

proptest! {
    #[test]
    fn a_code_is_given_once_and_follows_its_flag(
        edits in proptest::collection::vec(edit(), 1..40),
    ) {
        let mut file = File::default();
        let mut given: BTreeMap<usize, u16> = BTreeMap::new();
        let mut revision: Option<Revision> = None;
        for edit in &edits {
            file.apply(edit);
            let source = Source::parse(&file.text()).unwrap();
            let next = match &revision {
                None => Revision::first(&source).unwrap(),
                Some(revision) => revision.next(&source).unwrap(),
            };
            for (identity, name, _) in &file.flags {
                let (_, code, _) = next.terms().find(name).unwrap();
                prop_assert_eq!(*given.entry(*identity).or_insert(code), code);
            }
            let codes: BTreeSet<u16> = given.values().copied().collect();
            prop_assert_eq!(codes.len(), given.len(), "a code was given twice");
            prop_assert_eq!(next.terms().flags.len(), file.flags.len());
            prop_assert_eq!(next.reserved().flags.len(), file.removed.len());
            // The same text again changes nothing.
            let again = next.next(&source).unwrap();
            prop_assert!(diff(&next, &again).is_empty());
            prop_assert_eq!((again.terms(), again.reserved()), (next.terms(), next.reserved()));
            revision = Some(next);
        }
    }

    #[test]
    fn a_plan_grants_what_it_inherits_adds_and_keeps(
        plans in proptest::collection::vec(
            (any::<u16>(), any::<u16>(), any::<usize>(), any::<bool>()), 1..12),
    ) {
        let mut text = "product = 'p'\n[flags]\n".to_owned();
        for flag in 0..16 {
            let _ = writeln!(text, "f{flag} = 'F'");
        }
        // Bit sets stand for flags; the model is one line of arithmetic.
        let mut model: Vec<u16> = Vec::new();
        for (index, &(adds, takes, parent, extends)) in plans.iter().enumerate() {
            let parent = (extends && index > 0).then(|| parent % index.max(1));
            let inherited = parent.map_or(0, |parent| model[parent]);
            let takes = takes & inherited & !adds;
            model.push((inherited & !takes) | adds);
            let list = |bits: u16| {
                let names: Vec<String> = (0..16)
                    .filter(|bit| bits >> bit & 1 == 1)
                    .map(|bit| format!("'f{bit}'"))
                    .collect();
                names.join(", ")
            };
            let _ = writeln!(text, "[plans.p{index}]\nflags = [{}]", list(adds));
            if let Some(parent) = parent {
                let _ = writeln!(text, "extends = 'p{parent}'\nwithout = [{}]", list(takes));
            }
        }
        let revision = Revision::first(&Source::parse(&text).unwrap()).unwrap();
        for (index, expected) in model.iter().enumerate() {
            let granted =
                revision.entitlements(&format!("p{index}"), &[], &Overrides::default()).unwrap();
            let bits = granted.flags.iter().fold(0u16, |bits, code| bits | 1 << code);
            prop_assert_eq!(bits, *expected);
        }
    }

    #[test]
    fn any_text_is_judged_without_panic(text in ".{0,400}") {
        judge(&text);
    }

    #[test]
    fn any_arrangement_of_catalog_words_is_judged_without_panic(
        words in proptest::collection::vec(0..WORDS.len(), 0..60),
    ) {
        let text: String = words.iter().map(|&word| WORDS[word]).collect();
        judge(&text);
        judge(&format!("product = 'p'\n{text}"));
    }

    #[test]
    fn a_damaged_catalog_is_judged_without_panic(at in 0usize..2000, with in ".{0,3}") {
        let mut text = template(&Name::new("p").unwrap());
        let at = (0..=at.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap();
        text.insert_str(at, &with);
        judge(&text);
    }

    #[test]
    fn any_feature_list_is_judged_without_panic(text in "([a-c]|\t|\n|#|é|\\.){0,60}") {
        let product = Name::new("p").unwrap();
        if let Ok(catalog) = from_tsv(&product, &text) {
            let source = Source::parse(&catalog);
            prop_assert!(source.is_ok(), "{catalog}\n{source:?}");
        }
    }
}

const WORDS: [&str; 36] = [
    "\n",
    "\n",
    "\n",
    " = ",
    " = ",
    " = ",
    "'a'",
    "'b'",
    "a",
    "b",
    "{ ",
    " }",
    ", ",
    "[",
    "]",
    "[flags]\n",
    "[quotas]\n",
    "[limits]\n",
    "[plans.a]\n",
    "[plans.b]\n",
    "[addons.a]\n",
    "extends",
    "without",
    "flags",
    "quotas",
    "limits",
    "was",
    "title",
    "period",
    "'day'",
    "unit",
    "10",
    "-1",
    "'unlimited'",
    ".",
    "#",
];

/// Reads and records a text; whatever it is, each diagnostic has a place in it.
fn judge(text: &str) {
    let recorded = Source::parse(text).and_then(|source| Revision::first(&source));
    if let Err(found) = recorded {
        assert!(!found.is_empty());
        let lines = text.split('\n').count();
        assert!(
            found
                .iter()
                .all(|one| (1..=lines).contains(&one.position.line)),
            "{found}"
        );
        assert!(found.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
