//! Typed reading of a TOML tree: each value is asked for as what it should be, and everything that
//! is something else becomes a diagnostic with its place. What the values mean is left to the
//! caller.

use phi_verify::{Allowance, Period};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::{Diagnostic, Lines, Position, nearest};
use super::name::{NAME_RULE, Name, title_problem};
use super::terms::UNLIMITED;

/// The largest number TOML can write.
const MAX_COUNT: u64 = i64::MAX.unsigned_abs();

/// Looking for a likely meaning costs a pass over all names, so a file of nothing but errors gets
/// it for its first ones only.
const MAX_SUGGESTIONS: usize = 100;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) position: Position,
}

/// A TOML value with its place in the text.
pub(super) type Item<'t> = Spanned<DeValue<'t>>;

/// One `key = value`.
pub(super) struct Entry<'a, 't> {
    pub(super) key: &'a str,
    pub(super) position: Position,
    pub(super) item: &'a Item<'t>,
}

/// Reads values and collects what is wrong with them.
pub(super) struct Reader<'t> {
    lines: Lines<'t>,
    found: Vec<Diagnostic>,
    suggestions: usize,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            lines: Lines::of(text),
            found: Vec::new(),
            suggestions: 0,
        }
    }

    pub(super) fn into_found(self) -> Vec<Diagnostic> {
        self.found
    }

    pub(super) fn has_found(&self) -> bool {
        !self.found.is_empty()
    }

    pub(super) fn refuse(&mut self, diagnostic: Diagnostic) {
        self.found.push(diagnostic);
    }

    pub(super) fn position(&self, offset: usize) -> Position {
        self.lines.position(offset)
    }

    fn refuse_item(&mut self, item: &Item<'_>, message: String, hint: &str) {
        let position = self.position(item.span().start);
        self.refuse(Diagnostic::new(position, message).hint(hint));
    }

    /// The entries of a table in the order of the text.
    pub(super) fn entries<'a, 'i>(&mut self, what: &str, item: &'a Item<'i>) -> Vec<Entry<'a, 'i>> {
        if let DeValue::Table(table) = item.get_ref() {
            return self.table_entries(table);
        }
        let message = format!("{what} is a table, not {}", sort_of(item.get_ref()));
        self.refuse_item(item, message, "write it as [table] or { key = value }");
        Vec::new()
    }

    /// The entries of a table that is known to be one.
    pub(super) fn table_entries<'a, 'i>(&self, table: &'a DeTable<'i>) -> Vec<Entry<'a, 'i>> {
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        entries
            .into_iter()
            .map(|(key, item)| Entry {
                key: key.get_ref(),
                position: self.position(key.span().start),
                item,
            })
            .collect()
    }

    /// Refuses a field the format does not have.
    pub(super) fn unknown_field(&mut self, entry: &Entry<'_, '_>, known: &[&str]) {
        self.refuse_field(entry, known, "");
    }

    /// Refuses a field of a term, which may be the second half of a name with a dot.
    pub(super) fn unknown_field_of(&mut self, term: &Name, entry: &Entry<'_, '_>, known: &[&str]) {
        let dotted = format!("{term}.{}", entry.key);
        let quotes = match Name::new(&dotted) {
            Ok(_) => format!("; if `{dotted}` is the name, write it in quotes"),
            Err(_) => String::new(),
        };
        self.refuse_field(entry, known, &quotes);
    }

    fn refuse_field(&mut self, entry: &Entry<'_, '_>, known: &[&str], more: &str) {
        let message = format!("unknown field `{}`", entry.key.escape_debug());
        let hint = match self.suggest(entry.key, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known fields: {}{more}", known.join(", ")),
        };
        self.refuse(Diagnostic::new(entry.position, message).hint(hint));
    }

    /// A name close to `word`, within the budget for suggestions.
    pub(super) fn suggest<'c>(
        &mut self,
        word: &str,
        known: impl Iterator<Item = &'c str>,
    ) -> Option<&'c str> {
        if self.suggestions == MAX_SUGGESTIONS {
            return None;
        }
        self.suggestions += 1;
        nearest(word, known)
    }

    /// A string.
    pub(super) fn string<'a>(&mut self, what: &str, item: &'a Item<'_>) -> Option<&'a str> {
        if let DeValue::String(text) = item.get_ref() {
            return Some(text);
        }
        let message = format!("{what} is a string, not {}", sort_of(item.get_ref()));
        self.refuse_item(item, message, "put it in quotes");
        None
    }

    /// A title or a unit: one line for people.
    pub(super) fn title(&mut self, what: &str, item: &Item<'_>) -> Option<String> {
        let text = self.string(what, item)?;
        if let Some(problem) = title_problem(text) {
            self.refuse_item(item, format!("{what} {problem}"), "keep it to a few words");
            return None;
        }
        Some(text.to_owned())
    }

    /// A key that is a name.
    pub(super) fn key_name(&mut self, entry: &Entry<'_, '_>) -> Option<Name> {
        self.checked_name(entry.key, entry.position)
    }

    /// A string that is a name.
    pub(super) fn name(&mut self, what: &str, item: &Item<'_>) -> Option<At<Name>> {
        let text = self.string(what, item)?;
        let position = self.position(item.span().start);
        let value = self.checked_name(text, position)?;
        Some(At { value, position })
    }

    fn checked_name(&mut self, text: &str, position: Position) -> Option<Name> {
        match Name::new(text) {
            Ok(name) => Some(name),
            Err(problem) => {
                self.refuse(Diagnostic::new(position, problem.to_string()).hint(NAME_RULE));
                None
            }
        }
    }

    /// A list of names, each at most once.
    pub(super) fn names(&mut self, what: &str, item: &Item<'_>) -> Vec<At<Name>> {
        let DeValue::Array(array) = item.get_ref() else {
            let message = format!("{what} is a list of names, not {}", sort_of(item.get_ref()));
            self.refuse_item(item, message, "write [\"one\", \"two\"]");
            return Vec::new();
        };
        let mut seen = std::collections::BTreeSet::new();
        let mut names = Vec::new();
        for element in array {
            let Some(name) = self.name("a name", element) else {
                continue;
            };
            if seen.insert(name.value.clone()) {
                names.push(name);
            } else {
                let message = format!("`{}` is listed twice", name.value);
                self.refuse(Diagnostic::new(name.position, message).hint("remove one of them"));
            }
        }
        names
    }

    /// A number or `"unlimited"`.
    pub(super) fn allowance(&mut self, item: &Item<'_>) -> Option<Allowance> {
        let hint = format!("write a whole number up to {MAX_COUNT}, or \"{UNLIMITED}\"");
        let message = match item.get_ref() {
            DeValue::String(word) if word == UNLIMITED => return Some(Allowance::Unlimited),
            DeValue::Integer(digits) => {
                match u64::from_str_radix(digits.as_str(), digits.radix()) {
                    Ok(count) if count <= MAX_COUNT => return Some(Allowance::Limited(count)),
                    _ if digits.as_str().starts_with('-') => "an amount is not negative".to_owned(),
                    _ => format!("an amount is at most {MAX_COUNT}"),
                }
            }
            other => format!(
                "an amount is a number or \"{UNLIMITED}\", not {}",
                sort_of(other)
            ),
        };
        self.refuse_item(item, message, &hint);
        None
    }

    /// The period of a quota.
    pub(super) fn period(&mut self, item: &Item<'_>) -> Option<Period> {
        let word = self.string("`period`", item)?;
        let period = Period::from_name(word);
        if period.is_none() {
            let words: Vec<&str> = Period::ALL.iter().map(|period| period.name()).collect();
            let message = format!("unknown period \"{}\"", word.escape_debug());
            self.refuse_item(item, message, &format!("one of: {}", words.join(", ")));
        }
        period
    }
}

/// What a value is, with its article.
fn sort_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
