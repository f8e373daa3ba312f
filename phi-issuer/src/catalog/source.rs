//! `catalog.toml`: from text to a [`Source`] in which every name is known, every plan resolves and
//! nothing is left to guess. Codes are not given here; see `codes`.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::codegen::constant;
use super::diagnostic::{Diagnostic, Diagnostics, Position};
use super::name::Name;
use super::plans::{self, Offered, RawOffer};
use super::reader::{At, Entry, Item, Reader};
use super::terms::{Kind, Meaning};

/// The longest `catalog.toml`, in bytes: far above a full catalog of 4096 flags, far below what
/// could hurt the reader.
pub const MAX_SOURCE_BYTES: usize = 1 << 20;

/// The most plans, and the most add-ons: a revision spells out the terms of each.
pub(super) const MAX_OFFERS: usize = 256;

/// A `catalog.toml` that holds together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub(super) product: At<Name>,
    pub(super) title: Option<String>,
    /// In the order of the text.
    pub(super) definitions: Vec<Definition>,
    /// In the order of the text.
    pub(super) plans: Vec<Offered>,
    /// In the order of the text.
    pub(super) addons: Vec<Offered>,
}

/// A flag, quota or limit as the text defines it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Definition {
    pub(super) name: Name,
    pub(super) position: Position,
    pub(super) title: String,
    pub(super) meaning: Meaning,
    /// The name it had before.
    pub(super) was: Option<At<Name>>,
}

/// The kind and place of every name the text defines, whatever else is wrong with it, so that one
/// mistake is not reported again wherever the name is used.
pub(super) type Known = BTreeMap<Name, (Kind, Position)>;

impl Source {
    /// Reads and checks the text of a `catalog.toml`.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, in the order of the text. A text that is not TOML is judged as
    /// TOML only: what a broken line meant is unknown.
    pub fn parse(text: &str) -> Result<Self, Diagnostics> {
        let mut reader = Reader::new(text);
        if text.len() > MAX_SOURCE_BYTES {
            let message = format!("a catalog has at most {MAX_SOURCE_BYTES} bytes");
            let place = reader.position(MAX_SOURCE_BYTES);
            reader.refuse(Diagnostic::new(place, message).hint("split the product"));
            return Err(refusal(reader));
        }
        let (root, broken) = DeTable::parse_recoverable(text);
        for error in &broken {
            let place = reader.position(error.span().map_or(0, |span| span.start));
            reader.refuse(Diagnostic::new(place, error.message()));
        }
        if !broken.is_empty() {
            return Err(refusal(reader));
        }
        read(&mut reader, &root)
            .ok_or(())
            .or_else(|()| Err(refusal(reader)))
    }

    /// The product's name.
    pub fn product(&self) -> &Name {
        &self.product.value
    }
}

fn refusal(reader: Reader<'_>) -> Diagnostics {
    Diagnostics::check(reader.into_found()).expect_err("a refused text has a diagnostic")
}

const ROOT_FIELDS: [&str; 7] = [
    "product", "title", "flags", "quotas", "limits", "plans", "addons",
];

/// The whole document; `None` when anything was refused.
fn read(reader: &mut Reader<'_>, root: &Spanned<DeTable<'_>>) -> Option<Source> {
    let mut product = None;
    let mut title = None;
    let mut terms = Terms::default();
    let (mut plans, mut addons) = (Vec::new(), Vec::new());
    let fields = reader.table_entries(root.get_ref());
    if !fields.iter().any(|field| field.key == "product") {
        let missing = Diagnostic::new(reader.position(0), "the product has no name");
        reader.refuse(missing.hint("add: product = \"your-product\""));
    }
    for field in &fields {
        match field.key {
            "product" => product = reader.name("`product`", field.item),
            "title" => title = reader.title("`title`", field.item),
            "flags" => terms.read(reader, Kind::Flag, field.item),
            "quotas" => terms.read(reader, Kind::Quota, field.item),
            "limits" => terms.read(reader, Kind::Limit, field.item),
            "plans" => plans = offers(reader, "`plans`", field.item),
            "addons" => addons = offers(reader, "`addons`", field.item),
            _ => reader.unknown_field(field, &ROOT_FIELDS),
        }
    }
    // The tables may stand in any order, and codes follow the text.
    terms
        .definitions
        .sort_by_key(|definition| definition.position);
    check_was(reader, &terms);
    let plans = plans::resolve_plans(reader, &terms.known, plans);
    let addons = plans::resolve_addons(reader, &terms.known, addons);
    if reader.has_found() {
        return None;
    }
    Some(Source {
        product: product?,
        title,
        definitions: terms.definitions,
        plans,
        addons,
    })
}

/// The flags, quotas and limits read so far.
#[derive(Default)]
struct Terms {
    definitions: Vec<Definition>,
    known: Known,
    /// Which name has which generated identifier, by kind.
    identifiers: BTreeMap<(Kind, String), Name>,
}

impl Terms {
    fn read(&mut self, reader: &mut Reader<'_>, kind: Kind, item: &Item<'_>) {
        let entries = reader.entries(&format!("`{}`", kind.plural()), item);
        let most = usize::from(kind.max_codes());
        if let Some(extra) = entries.get(most) {
            let message = format!("a catalog has at most {most} {}", kind.plural());
            reader.refuse(Diagnostic::new(extra.position, message));
            return;
        }
        for entry in &entries {
            let Some(name) = self.admit(reader, kind, entry) else {
                continue;
            };
            self.definitions
                .extend(definition(reader, kind, name, entry));
        }
    }

    /// The name of a new entry, unless it is taken.
    fn admit(
        &mut self,
        reader: &mut Reader<'_>,
        kind: Kind,
        entry: &Entry<'_, '_>,
    ) -> Option<Name> {
        let name = reader.key_name(entry)?;
        if let Some((taken_by, place)) = self.known.get(&name) {
            let message = format!("`{name}` is already a {taken_by}, at {place}");
            let hint = "flags, quotas and limits share their names: choose another";
            reader.refuse(Diagnostic::new(entry.position, message).hint(hint));
            return None;
        }
        self.known.insert(name.clone(), (kind, entry.position));
        let twin = self
            .identifiers
            .insert((kind, constant(&name)), name.clone());
        if let Some(twin) = twin {
            reader.refuse(identifier_clash(entry.position, &name, &twin));
        }
        Some(name)
    }
}

/// Refuses two names that would be one constant in generated code.
fn identifier_clash(position: Position, name: &Name, twin: &Name) -> Diagnostic {
    let message = format!(
        "`{name}` and `{twin}` are the same constant, {}",
        constant(name)
    );
    Diagnostic::new(position, message).hint("choose names that differ in letters or digits")
}

/// One flag, quota or limit.
fn definition(
    reader: &mut Reader<'_>,
    kind: Kind,
    name: Name,
    entry: &Entry<'_, '_>,
) -> Option<Definition> {
    let position = entry.position;
    if let (DeValue::String(_), Kind::Flag | Kind::Limit) = (entry.item.get_ref(), kind) {
        let title = reader.title("a title", entry.item)?;
        let meaning = match kind {
            Kind::Limit => Meaning::Limit { unit: None },
            _ => Meaning::Flag,
        };
        return Some(Definition {
            name,
            position,
            title,
            meaning,
            was: None,
        });
    }
    let known: &[&str] = match kind {
        Kind::Flag => &["title", "was"],
        Kind::Quota => &["title", "period", "unit", "was"],
        Kind::Limit => &["title", "unit", "was"],
    };
    let (mut title, mut unit, mut period, mut was) = (None, None, None, None);
    // What is no table has been refused as such, and its period is not missed as well.
    let mut period_seen = !matches!(entry.item.get_ref(), DeValue::Table(_));
    for field in reader.entries(&format!("{kind} `{name}`"), entry.item) {
        match field.key {
            "title" => title = reader.title("a title", field.item),
            "was" => was = reader.name("`was`", field.item),
            "unit" if kind != Kind::Flag => unit = reader.title("a unit", field.item),
            "period" if kind == Kind::Quota => {
                period_seen = true;
                period = reader.period(field.item);
            }
            _ => reader.unknown_field_of(&name, &field, known),
        }
    }
    if kind == Kind::Quota && !period_seen {
        let hint = "add period = \"lifetime\", \"hour\", \"day\", \"month\" or \"year\"";
        reader
            .refuse(Diagnostic::new(position, format!("quota `{name}` has no period")).hint(hint));
    }
    let meaning = match kind {
        Kind::Flag => Meaning::Flag,
        Kind::Quota => Meaning::Quota {
            period: period?,
            unit,
        },
        Kind::Limit => Meaning::Limit { unit },
    };
    let title = title.unwrap_or_else(|| name.to_string());
    Some(Definition {
        name,
        position,
        title,
        meaning,
        was,
    })
}

/// Refuses renames that cannot be, whatever was recorded before.
fn check_was(reader: &mut Reader<'_>, terms: &Terms) {
    let mut claimed: BTreeMap<&Name, &Name> = BTreeMap::new();
    for definition in &terms.definitions {
        let Some(was) = &definition.was else { continue };
        let old = &was.value;
        if let Some(first) = claimed.insert(old, &definition.name) {
            let message = format!("`{first}` already says that it was `{old}`");
            let hint = "only one of them keeps the code: the other is new, without `was`";
            reader.refuse(Diagnostic::new(was.position, message).hint(hint));
        } else if *old != definition.name
            && let Some((_, place)) = terms.known.get(old)
        {
            let message = format!("`{old}` is still here, at {place}");
            let hint = "remove it to rename it, or drop `was` for a new one";
            reader.refuse(Diagnostic::new(was.position, message).hint(hint));
        }
    }
}

/// The plans or add-ons of a table, not yet resolved.
fn offers(reader: &mut Reader<'_>, what: &str, item: &Item<'_>) -> Vec<RawOffer> {
    let entries = reader.entries(what, item);
    if let Some(extra) = entries.get(MAX_OFFERS) {
        let message = format!("{what} has at most {MAX_OFFERS} entries");
        reader.refuse(Diagnostic::new(extra.position, message));
        return Vec::new();
    }
    let mut identifiers = BTreeMap::new();
    let mut offers = Vec::new();
    for entry in &entries {
        let Some(name) = reader.key_name(entry) else {
            continue;
        };
        if let Some(twin) = identifiers.insert(constant(&name), name.clone()) {
            reader.refuse(identifier_clash(entry.position, &name, &twin));
        }
        offers.push(plans::read_offer(reader, name, entry, what == "`plans`"));
    }
    offers
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The diagnostics of a text, as `line:column message`.
    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let refused = Source::parse(text).expect_err("the text is refused");
        let found: Vec<String> = refused
            .iter()
            .map(|d| format!("{} {}", d.position, d.message))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn the_order_of_the_text_is_the_order_of_definitions() {
        let text = "limits = { z = 'Z' }\nflags.b = 'B'\nproduct = 'p'\nflags.a = 'A'\n";
        let source = Source::parse(text).unwrap();
        let names: Vec<&str> = source.definitions.iter().map(|d| d.name.as_str()).collect();
        assert_eq!(names, ["z", "b", "a"]);
    }

    #[test]
    fn text_that_is_not_toml_is_refused_where_it_breaks() {
        check(
            "product = \"p\"\n[flags\n",
            &["2:7 unclosed table, expected `]`"],
        );
        check(
            "product = 'p'\n[flags]\na = 'x'\nb = \na = 'y'\n",
            &[
                "4:5 string values must be quoted, expected literal string",
                "5:1 duplicate key",
            ],
        );
    }

    #[test]
    fn a_message_names_file_line_column_and_hint() {
        let refused = Source::parse("product = \"p\"\n[flag]\nsso = \"x\"\n").unwrap_err();
        assert_eq!(
            refused.in_file("catalog.toml").to_string(),
            "catalog.toml:2:2: unknown field `flag` (hint: did you mean `flags`?)"
        );
    }

    #[test]
    fn the_product_needs_a_name() {
        check("", &["1:1 the product has no name"]);
        check(
            "\nproduct = 3",
            &["2:11 `product` is a string, not a number"],
        );
        check(
            "product = 'My Product'",
            &["1:11 a name must not start with 'M'"],
        );
    }

    #[test]
    fn all_mistakes_in_definitions_are_found_at_once() {
        check(
            r#"
product = "p"
[flags]
sso = true
"Bad" = "x"
ok = { title = "", color = "red" }
[quotas]
api = "API calls"
calls = { title = "Calls" }
jobs = { title = "Jobs", period = "week" }
[limits]
seats = { period = "day" }
ok = "again"
"#,
            &[
                "4:7 flag `sso` is a table, not true or false",
                "5:1 a name must not start with 'B'",
                "6:16 a title must not be empty",
                "6:20 unknown field `color`",
                "8:7 quota `api` is a table, not a string",
                "9:1 quota `calls` has no period",
                "10:35 unknown period \"week\"",
                "12:11 unknown field `period`",
                "13:1 `ok` is already a flag, at 6:1",
            ],
        );
    }

    #[test]
    fn all_mistakes_in_plans_are_found_at_once() {
        check(
            r#"
product = "p"
flags = { sso = "SSO", audit = "Audit" }
limits = { seats = "Seats" }
quotas = { api = { period = "day" } }
[plans.a]
flags = ["sso", "sso", "audti", "seats", 3]
quotas = { api = -1, seats = 2 }
limits = { seats = 99999999999999999999 }
without = ["sso"]
[plans.b]
extends = "a"
without = ["audit", "nothing"]
[plans.c]
extends = "aa"
[addons.x]
extends = "a"
limits = { seats = 1.5 }
"#,
            &[
                "7:17 `sso` is listed twice",
                "7:24 no flag is called `audti`",
                "7:33 `seats` is a limit, not a flag",
                "7:42 a name is a string, not a number",
                "8:18 an amount is not negative",
                "8:22 `seats` is a limit, not a quota",
                "9:20 an amount is at most 9223372036854775807",
                "10:12 plan `a` both grants `sso` and takes it away",
                "13:12 plan `a` does not grant `audit`",
                "13:21 no flag, quota or limit is called `nothing`",
                "15:11 no plan is called `aa`",
                "17:1 unknown field `extends`",
                "18:20 an amount is a number or \"unlimited\", not a fraction",
            ],
        );
    }

    #[test]
    fn plans_must_not_extend_each_other() {
        check(
            "product = 'p'\n[plans.a]\nextends = 'c'\n[plans.b]\nextends = 'a'\n\
             [plans.c]\nextends = 'b'\n[plans.d]\nextends = 'd'\n[plans.e]\nextends = 'a'\n",
            &[
                "3:11 plans extend each other: a -> c -> b -> a",
                "9:11 plans extend each other: d -> d",
            ],
        );
    }

    #[test]
    fn a_rename_that_cannot_be_is_refused() {
        check(
            "product = 'p'\n[flags]\na = 'A'\nb = { was = 'a' }\nc = { was = 'x' }\n\
             d = { was = 'x' }\ne = { was = 'e' }\n",
            &[
                "4:13 `a` is still here, at 3:1",
                "6:13 `c` already says that it was `x`",
            ],
        );
    }

    #[test]
    fn sizes_are_bounded() {
        let many = |table: &str, count: usize, value: &str| {
            let lines: Vec<String> = (0..count).map(|n| format!("n{n} = {value}")).collect();
            format!("product = 'p'\n[{table}]\n{}\n", lines.join("\n"))
        };
        assert!(Source::parse(&many("flags", 4096, "'x'")).is_ok());
        check(
            &many("flags", 4097, "'x'"),
            &["4099:1 a catalog has at most 4096 flags"],
        );
        check(
            &many("limits", 257, "'x'"),
            &["259:1 a catalog has at most 256 limits"],
        );
        check(
            &many("quotas", 257, "{ period = 'day' }"),
            &["259:1 a catalog has at most 256 quotas"],
        );
        check(
            &many("plans", 257, "{}"),
            &["259:1 `plans` has at most 256 entries"],
        );
        let long = format!("product = 'p' # {}", "x".repeat(MAX_SOURCE_BYTES));
        check(&long, &["1:1048577 a catalog has at most 1048576 bytes"]);
    }

    #[test]
    fn a_name_with_a_dot_needs_quotes() {
        let refused = Source::parse("product = 'p'\n[flags]\nmerge.trains = 'x'\n").unwrap_err();
        assert_eq!(refused[0].position.to_string(), "3:7");
        assert!(refused[0].to_string().contains("quotes"), "{refused}");
        assert!(Source::parse("product = 'p'\n[flags]\n'merge.trains' = 'x'\n").is_ok());
    }
}
