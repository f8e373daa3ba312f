//! Diagnostics: what is wrong with a text, where, and what to do about it.

use std::fmt;
use std::ops::Deref;

use serde::Serialize;

/// A place in a text; both numbers count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character in the line.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Diagnostic {
    /// Where it is.
    #[serde(flatten)]
    pub position: Position,
    /// What it is: a lowercase phrase.
    pub message: String,
    /// The way out, when it is known.
    pub hint: Option<String>,
}

impl Diagnostic {
    pub(crate) fn new(position: Position, message: impl Into<String>) -> Self {
        Self {
            position,
            message: message.into(),
            hint: None,
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The diagnostic with the name of the file before it: `catalog.toml:12:5: ...`.
    pub fn in_file(&self, file: &str) -> impl fmt::Display {
        format!("{file}:{self}")
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.position, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " (hint: {hint})"),
            None => Ok(()),
        }
    }
}

/// Everything wrong with one text, first place first; never empty when it is an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// What was found, of which there is something.
    pub(crate) fn of(mut found: Vec<Diagnostic>) -> Self {
        found.sort();
        found.dedup();
        Self(found)
    }

    /// `Ok` when nothing was found.
    pub(super) fn check(found: Vec<Diagnostic>) -> Result<(), Self> {
        match found {
            found if found.is_empty() => Ok(()),
            found => Err(Self::of(found)),
        }
    }

    /// All of them, one a line, each with the name of the file before it.
    pub fn in_file(&self, file: &str) -> impl fmt::Display {
        let lines: Vec<String> = self
            .0
            .iter()
            .map(|one| one.in_file(file).to_string())
            .collect();
        lines.join("\n")
    }
}

impl Deref for Diagnostics {
    type Target = [Diagnostic];

    fn deref(&self) -> &[Diagnostic] {
        &self.0
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, one) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{one}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

/// How many bytes are counted one by one, at most, to find a column: positions stay cheap in a
/// text that is one long line.
const BLOCK: usize = 256;

/// Where the lines of a text begin, to turn byte offsets into positions.
pub(super) struct Lines<'t> {
    text: &'t [u8],
    starts: Vec<usize>,
    /// How many characters begin before each block of bytes.
    characters: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        // A byte order mark is no character of the first line.
        let first = if text.starts_with('\u{feff}') {
            '\u{feff}'.len_utf8()
        } else {
            0
        };
        let after_newline = text.match_indices('\n').map(|(at, _)| at + 1);
        let mut characters = vec![0];
        let mut counted = 0;
        for block in text.as_bytes().chunks(BLOCK) {
            counted += beginnings(block);
            characters.push(counted);
        }
        let starts = std::iter::once(first).chain(after_newline).collect();
        Self {
            text: text.as_bytes(),
            starts,
            characters,
        }
    }

    /// The position of a byte offset; an offset past the end is the end.
    pub(super) fn position(&self, offset: usize) -> Position {
        let line = self.starts.partition_point(|&start| start <= offset).max(1);
        let start = self.starts[line - 1];
        let before = self
            .characters_before(offset)
            .saturating_sub(self.characters_before(start));
        Position {
            line,
            column: before + 1,
        }
    }

    fn characters_before(&self, offset: usize) -> usize {
        let offset = offset.min(self.text.len());
        let block = offset / BLOCK;
        self.characters[block] + beginnings(&self.text[block * BLOCK..offset])
    }
}

/// The position of a byte offset in a text of which one place is asked for.
pub(crate) fn position(text: &str, offset: usize) -> Position {
    Lines::of(text).position(offset)
}

/// How many characters begin in these bytes: each has one byte that does not continue another.
fn beginnings(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&byte| byte & 0xc0 != 0x80).count()
}

/// The candidate a person most likely meant, for hints.
pub(crate) fn nearest<'c>(word: &str, known: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    // A typo or two; and never so many that a short word could be any other.
    let tolerated = (word.len() / 3).min(2);
    known
        .filter(|candidate| candidate.len().abs_diff(word.len()) <= tolerated)
        .map(|candidate| (distance(word.as_bytes(), candidate.as_bytes()), candidate))
        .filter(|(distance, _)| *distance <= tolerated)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance in bytes.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_from_one() {
        let lines = Lines::of("ab\nüx\r\n\nend");
        let at = |offset| lines.position(offset).to_string();
        assert_eq!(at(0), "1:1");
        assert_eq!(at(1), "1:2");
        assert_eq!(at(3), "2:1");
        assert_eq!(at(5), "2:2");
        assert_eq!(at(8), "3:1");
        assert_eq!(at(9), "4:1");
        assert_eq!(at(99), "4:4");
        let long = "é".repeat(1000);
        assert_eq!(Lines::of(&long).position(1998).to_string(), "1:1000");
        assert_eq!(Lines::of("").position(0).to_string(), "1:1");
        assert_eq!(Lines::of("\u{feff}x").position(3).to_string(), "1:1");
    }

    #[test]
    fn nearest_finds_typos_only() {
        let known = ["audit_events", "sso", "seats"];
        let near = |word| nearest(word, known.into_iter());
        assert_eq!(near("audit_event"), Some("audit_events"));
        assert_eq!(near("seat"), Some("seats"));
        assert_eq!(near("ss0"), Some("sso"));
        assert_eq!(near("ab"), None);
        assert_eq!(near("billing"), None);
    }
}
