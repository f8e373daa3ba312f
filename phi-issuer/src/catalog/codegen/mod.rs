//! Constants for applications: the names of a catalog as code, so that a typo fails to compile.
//!
//! The same revision always gives the same text. Names that would clash as identifiers were refused
//! when the catalog was read.

mod python;
mod rust;
mod typescript;

use std::fmt;
use std::str::FromStr;

use super::name::{Name, breaks_a_line};
use super::revision::{Revision, Term};

/// A language constants can be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Lang {
    /// Rust, over the types of `phi_verify`.
    Rust,
    /// TypeScript, with branded numbers.
    TypeScript,
    /// Python 3.8 and later, with `IntEnum`.
    Python,
}

impl Lang {
    /// Every language.
    pub const ALL: [Self; 3] = [Self::Rust, Self::TypeScript, Self::Python];

    /// The language's name on the command line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::TypeScript => "typescript",
            Self::Python => "python",
        }
    }
}

impl fmt::Display for Lang {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for Lang {
    type Err = UnknownLang;

    fn from_str(word: &str) -> Result<Self, UnknownLang> {
        Self::ALL
            .into_iter()
            .find(|lang| lang.word() == word)
            .ok_or(UnknownLang)
    }
}

/// The word names no language constants can be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownLang;

impl fmt::Display for UnknownLang {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("languages are rust, typescript and python")
    }
}

impl std::error::Error for UnknownLang {}

/// The catalog's product, revision, codes and plans as source code.
pub fn codegen(revision: &Revision, lang: Lang) -> String {
    match lang {
        Lang::Rust => rust::write(revision),
        Lang::TypeScript => typescript::write(revision),
        Lang::Python => python::write(revision),
    }
}

/// The identifier of a name in capitals. Two names with one identifier clash in every language.
pub(super) fn constant(name: &Name) -> String {
    property(name).to_ascii_uppercase()
}

/// The identifier of a name in small letters.
fn property(name: &Name) -> String {
    // No identifier starts with a digit. A letter goes first rather than a lone underscore, because
    // Python's enums keep `_X_` to themselves; capitals keep clear of every keyword.
    let digit_first = name.starts_with(|c: char| c.is_ascii_digit());
    let prefix = if digit_first { "n_" } else { "" };
    format!("{prefix}{}", name.replace(['.', '-'], "_"))
}

/// A title as one line of a comment.
fn comment(title: &str) -> String {
    let one_line = title.replace(breaks_a_line, " ");
    one_line.trim().to_owned()
}

/// What the comment of a term says.
fn description(term: &Term) -> String {
    use super::terms::Meaning;
    let title = comment(&term.title);
    match &term.meaning {
        Meaning::Quota {
            period,
            unit: Some(unit),
        } => {
            format!("{title} ({}, per {period})", comment(unit))
        }
        Meaning::Quota { period, unit: None } => format!("{title} (per {period})"),
        Meaning::Limit { unit: Some(unit) } => format!("{title} ({})", comment(unit)),
        Meaning::Limit { unit: None } | Meaning::Flag => title,
    }
}

#[cfg(test)]
mod tests;
