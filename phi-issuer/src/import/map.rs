//! The map file: which column of a foreign file is which field, and what its words mean.
//!
//! It is strict: what it does not know is refused with its place. What a row says by it is left
//! to `row`.

use std::collections::{BTreeMap, BTreeSet};

use phi_verify::Reason;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::{
    CustomerKind,
    catalog::{Diagnostic, Diagnostics, nearest, position},
    when::When,
};

/// A map file is at most this large: a value table of ten thousand old plan names.
pub const MAX_MAP_BYTES: u64 = 1 << 20;
/// The name of the old system stands in every reason and in every idempotency key.
const MAX_SOURCE_BYTES: usize = 64;
/// Each format is tried on each date: a file has one or two.
const MAX_DATE_FORMATS: usize = 16;

/// What a row can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Field {
    Ref,
    Customer,
    CustomerKind,
    CustomerName,
    Product,
    Plan,
    Addons,
    Flags,
    Without,
    Quotas,
    Limits,
    Begins,
    Expires,
    Grace,
    MaxStatusAge,
    Trial,
    State,
    Revocation,
    Issued,
    Note,
    Fingerprint,
    Match,
    Ext,
}

impl Field {
    /// Every field, in the order in which a map file lists them.
    pub(crate) const ALL: [Self; 23] = [
        Self::Ref,
        Self::Customer,
        Self::CustomerKind,
        Self::CustomerName,
        Self::Product,
        Self::Plan,
        Self::Addons,
        Self::Flags,
        Self::Without,
        Self::Quotas,
        Self::Limits,
        Self::Begins,
        Self::Expires,
        Self::Grace,
        Self::MaxStatusAge,
        Self::Trial,
        Self::State,
        Self::Revocation,
        Self::Issued,
        Self::Note,
        Self::Fingerprint,
        Self::Match,
        Self::Ext,
    ];

    /// The field's word in a map file.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ref => "ref",
            Self::Customer => "customer",
            Self::CustomerKind => "customer_kind",
            Self::CustomerName => "customer_name",
            Self::Product => "product",
            Self::Plan => "plan",
            Self::Addons => "addons",
            Self::Flags => "flags",
            Self::Without => "without",
            Self::Quotas => "quotas",
            Self::Limits => "limits",
            Self::Begins => "begins",
            Self::Expires => "expires",
            Self::Grace => "grace",
            Self::MaxStatusAge => "max_status_age",
            Self::Trial => "trial",
            Self::State => "state",
            Self::Revocation => "revocation",
            Self::Issued => "issued",
            Self::Note => "note",
            Self::Fingerprint => "fingerprint",
            Self::Match => "match",
            Self::Ext => "ext",
        }
    }

    /// Whether a cell of it is a list of words, each of which is looked up by itself.
    pub(super) const fn is_list(self) -> bool {
        matches!(self, Self::Addons | Self::Flags | Self::Without)
    }

    /// Whether it says something of a license, so that a row with it has one.
    pub(super) const fn is_of_license(self) -> bool {
        !matches!(
            self,
            Self::Ref
                | Self::Customer
                | Self::CustomerKind
                | Self::CustomerName
                | Self::Issued
                | Self::Note
        )
    }
}

/// What a license is when it arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    Active,
    Suspended,
    Draft,
    Revoked,
    Expired,
    /// The row is left aside.
    Skip,
}

impl Arrival {
    const ALL: [(&'static str, Self); 6] = [
        ("active", Self::Active),
        ("suspended", Self::Suspended),
        ("draft", Self::Draft),
        ("revoked", Self::Revoked),
        ("expired", Self::Expired),
        ("skip", Self::Skip),
    ];

    pub(super) fn from_name(name: &str) -> Option<Self> {
        let found = Self::ALL.into_iter().find(|(known, _)| *known == name);
        found.map(|(_, arrival)| arrival)
    }

    /// The words there are.
    pub(super) fn words() -> String {
        Self::ALL.map(|(name, _)| name).join(", ")
    }
}

/// A map that holds together.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportMap {
    source: Spanned<String>,
    #[serde(default)]
    pub(super) file: FileRules,
    #[serde(default)]
    pub(super) format: FormatRules,
    #[serde(default)]
    pub(super) customers: CustomerRules,
    #[serde(default)]
    pub(super) columns: BTreeMap<Field, Spanned<String>>,
    #[serde(default)]
    pub(super) flag_columns: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    pub(super) quota_columns: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    pub(super) limit_columns: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    pub(super) defaults: BTreeMap<Field, Spanned<String>>,
    #[serde(default)]
    pub(super) values: BTreeMap<Field, BTreeMap<String, Spanned<String>>>,
}

/// How the file is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FileRules {
    pub(super) delimiter: Option<Spanned<char>>,
    pub(super) blanks: BlankRule,
    pub(super) formula_guard: bool,
    pub(super) missing_columns: ColumnRule,
    pub(super) other_columns: ColumnRule,
    pub(super) ignore: BTreeSet<String>,
    pub(super) must_be_empty: BTreeSet<String>,
}

impl Default for FileRules {
    fn default() -> Self {
        Self {
            delimiter: None,
            blanks: BlankRule::Cut,
            formula_guard: false,
            missing_columns: ColumnRule::Refuse,
            other_columns: ColumnRule::Ignore,
            ignore: BTreeSet::new(),
            must_be_empty: BTreeSet::new(),
        }
    }
}

/// What becomes of blanks around a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum BlankRule {
    Cut,
    Keep,
}

/// What becomes of a column that map and file do not share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ColumnRule {
    Refuse,
    Ignore,
}

/// How cells are written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FormatRules {
    pub(super) dates: Vec<Spanned<String>>,
    pub(super) list: Spanned<String>,
    pub(super) empty: BTreeSet<String>,
    pub(super) never: BTreeSet<String>,
    pub(super) unlimited: BTreeSet<String>,
    pub(super) r#true: BTreeSet<String>,
    pub(super) r#false: BTreeSet<String>,
}

impl Default for FormatRules {
    fn default() -> Self {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Self {
            dates: Vec::new(),
            list: Spanned::new(0..0, ";".into()),
            empty: BTreeSet::new(),
            never: words(&["never"]),
            unlimited: words(&["unlimited"]),
            r#true: words(&["true", "yes", "1"]),
            r#false: words(&["false", "no", "0"]),
        }
    }
}

/// How customers are made.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CustomerRules {
    /// Whether a row without a customer id gets one that is made of the name.
    pub(super) id_from_name: bool,
    pub(super) existing: ExistingRule,
}

/// What becomes of a customer that is there already and is called something else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ExistingRule {
    /// It stays as it is.
    #[default]
    Keep,
    /// It is changed to what the row says.
    Update,
    /// The row is refused.
    Refuse,
}

impl ImportMap {
    /// Reads and checks the text of a map file.
    ///
    /// # Errors
    /// What is wrong, with its line and column.
    pub fn parse(text: &str) -> Result<Self, Diagnostics> {
        let map: Self = toml::from_str(text).map_err(|error| {
            let place = error.span().map_or(0, |span| span.start);
            let found = Diagnostic::new(position(text, place), first_line(error.message()));
            Diagnostics::of(vec![found.hint("docs/guides/migration.md has every key")])
        })?;
        let mut check = Check {
            text,
            found: Vec::new(),
        };
        check.map(&map);
        match check.found {
            found if found.is_empty() => Ok(map),
            found => Err(Diagnostics::of(found)),
        }
    }

    /// The map of what `phi export` writes.
    pub fn of_export() -> Self {
        Self::parse(include_str!("export-map.toml")).expect("the map is checked by a test")
    }

    /// The name of the old system.
    pub fn source(&self) -> &str {
        self.source.get_ref()
    }

    /// Every column that the map reads, with its place and what it is for.
    fn read_columns(&self) -> impl Iterator<Item = (&Spanned<String>, &str)> {
        let fields = self.columns.iter();
        let fields = fields.map(|(field, column)| (column, field.name()));
        let named = [&self.flag_columns, &self.quota_columns, &self.limit_columns];
        let named = named.into_iter().flatten();
        fields.chain(named.map(|(name, column)| (column, name.as_str())))
    }

    /// The names of the columns that the map reads.
    pub(super) fn columns_read(&self) -> BTreeSet<&str> {
        let columns = self.read_columns();
        columns
            .map(|(column, _)| column.get_ref().as_str())
            .collect()
    }

    /// What does not fit between the columns of the map and those of a file.
    ///
    /// # Errors
    /// A sentence that names the column.
    pub(super) fn fit(&self, header: &BTreeSet<&str>) -> Result<(), String> {
        if self.file.missing_columns == ColumnRule::Refuse {
            for (column, what) in self.read_columns() {
                let column = column.get_ref().as_str();
                if !header.contains(column) {
                    let near = nearest(column, header.iter().copied());
                    let known = header.iter().copied().collect::<Vec<_>>().join(", ");
                    let way = near.map_or(format!("its columns are {known}"), |near| {
                        format!("did you mean {near:?}?")
                    });
                    return Err(format!(
                        "the map reads {what} from the column {column:?}, which the file does not \
                         have; {way}"
                    ));
                }
            }
        }
        if self.file.other_columns == ColumnRule::Refuse {
            let mut known = self.columns_read();
            let others = self.file.ignore.iter().chain(&self.file.must_be_empty);
            known.extend(others.map(String::as_str));
            if let Some(other) = header.iter().find(|column| !known.contains(**column)) {
                let near = nearest(other, known.iter().copied());
                let way = near.map_or(String::new(), |near| format!("; did you mean {near:?}?"));
                return Err(format!(
                    "the file has the column {other:?}, which the map does not know{way}"
                ));
            }
        }
        Ok(())
    }

    /// Where a field of a row comes from, for messages.
    pub(super) fn column_of(&self, field: Field) -> Option<&str> {
        self.columns
            .get(&field)
            .map(|column| column.get_ref().as_str())
    }
}

/// TOML's own messages may go on with a list, which a diagnostic has no room for.
fn first_line(message: &str) -> String {
    message.lines().collect::<Vec<_>>().join(", ")
}

/// The parts of a map that serde cannot judge.
struct Check<'t> {
    text: &'t str,
    found: Vec<Diagnostic>,
}

impl Check<'_> {
    fn refuse<T>(&mut self, at: &Spanned<T>, message: impl Into<String>, hint: &str) {
        let place = position(self.text, at.span().start);
        self.found.push(Diagnostic::new(place, message).hint(hint));
    }

    fn missing(&mut self, message: &str, hint: &str) {
        let place = position(self.text, 0);
        self.found.push(Diagnostic::new(place, message).hint(hint));
    }

    fn map(&mut self, map: &ImportMap) {
        let source = map.source.get_ref();
        if source.trim().is_empty()
            || source.len() > MAX_SOURCE_BYTES
            || source.chars().any(char::is_control)
        {
            let message = format!("a source is 1 to {MAX_SOURCE_BYTES} bytes on one line");
            self.refuse(&map.source, message, "name the system the rows come from");
        }
        if !map.columns.contains_key(&Field::Ref) {
            let hint = "name the column that tells each row for ever, such as an order number";
            self.missing("the map has no column for `ref`", hint);
        }
        let has = |field| map.columns.contains_key(&field) || map.defaults.contains_key(&field);
        if map.customers.id_from_name && !has(Field::CustomerName) {
            let hint = "add `customer_name` to [columns], or say id_from_name = false";
            self.missing("ids are made of names, and no column has the names", hint);
        }
        if !map.customers.id_from_name && !has(Field::Customer) {
            let hint = "add `customer` to [columns], or say id_from_name = true in [customers]";
            self.missing("the map has no column for `customer`", hint);
        }
        if let Some(reference) = map.defaults.get(&Field::Ref) {
            let hint = "each row needs a `ref` of its own, from a column";
            self.refuse(reference, "a ref has no default", hint);
        }
        self.formats(map);
        for (field, table) in &map.values {
            for target in table.values() {
                self.word(*field, target);
            }
        }
        for (field, word) in &map.defaults {
            self.word(*field, word);
        }
    }

    fn formats(&mut self, map: &ImportMap) {
        if let Some(delimiter) = &map.file.delimiter
            && !matches!(delimiter.get_ref(), ',' | ';' | '\t' | '|')
        {
            let hint = "one of \",\", \";\", \"|\" and \"\\t\"";
            self.refuse(delimiter, "a delimiter is not any character", hint);
        }
        let list = map.format.list.get_ref();
        if list.is_empty() || list.chars().any(char::is_alphanumeric) {
            let hint = "such as \";\" or \" | \"";
            self.refuse(&map.format.list, "a list is not separated by that", hint);
        }
        for format in map.format.dates.iter().skip(MAX_DATE_FORMATS) {
            let message = format!("there are more than {MAX_DATE_FORMATS} date formats");
            self.refuse(
                format,
                message,
                "leave those out that the file does not have",
            );
        }
        for format in &map.format.dates {
            if let Err(problem) = When::check_format(format.get_ref()) {
                let message = format!("no date is written so: {problem}");
                self.refuse(
                    format,
                    message,
                    "such as \"%d.%m.%Y\" or \"%m/%d/%Y %H:%M\"",
                );
            }
        }
    }

    /// A word of the map that must be one of Phi's.
    fn word(&mut self, field: Field, word: &Spanned<String>) {
        let text = word.get_ref().as_str();
        let (known, words) = match field {
            Field::State => (Arrival::from_name(text).is_some(), Arrival::words()),
            Field::CustomerKind => (
                CustomerKind::from_name(text).is_some(),
                "user, organization".into(),
            ),
            Field::Revocation => (reason(text).is_some(), reasons()),
            Field::Trial => (matches!(text, "true" | "false"), "true, false".into()),
            _ => return,
        };
        if !known {
            let message = format!("{text:?} is no {}", field.name());
            self.refuse(word, message, &format!("one of: {words}"));
        }
    }
}

/// The reason of a revocation with this word.
pub(super) fn reason(word: &str) -> Option<Reason> {
    Reason::ALL.into_iter().find(|reason| reason.name() == word)
}

/// The words there are.
pub(super) fn reasons() -> String {
    Reason::ALL.map(Reason::name).join(", ")
}
