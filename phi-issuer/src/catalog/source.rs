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
        read(&mut reader, &root).ok_or_else(|| refusal(reader))
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
mod tests;
