//! What the command says: results on standard output, as text for people or as JSON.
//!
//! An answer is one value with both forms. Text is aligned, wrapped and, on a terminal, colored;
//! control characters in what others wrote never reach the terminal.

use std::fmt::{Display, Write as _};
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use phi_issuer::line::hides;
use phi_issuer::qr::Ink;
use serde::Serialize;

use crate::failure::Failure;

/// A result in both forms.
pub(crate) trait Answer: Serialize {
    /// Writes the result for people.
    fn show(&self, page: &mut Page);
}

/// Where results go, and in which form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether results are printed as JSON.
    pub(crate) const fn is_json(self) -> bool {
        self.json
    }

    /// Prints a result.
    ///
    /// # Errors
    /// `output-failed`.
    pub(crate) fn print(self, answer: &impl Answer) -> Result<(), Failure> {
        if self.json {
            return print_json(answer);
        }
        let mut page = Page::default();
        answer.show(&mut page);
        print_text(&page.finish())
    }
}

/// Prints a value as JSON, whatever the form asked for.
///
/// # Errors
/// `output-failed`.
fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    print_bytes(to_json(value).as_bytes())
}

/// A value as JSON, in lines that end in a line feed.
pub(crate) fn to_json(value: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(value);
    harmless_json(&(text.expect("answers have text keys and no failing parts") + "\n"))
}

/// JSON that leaves a terminal that shows it as it is; it says the same.
pub(crate) fn harmless_json(text: &str) -> String {
    escaped(text, |c| {
        let mut units = [0; 2];
        let mut text = String::new();
        for unit in c.encode_utf16(&mut units) {
            let _ = write!(text, "\\u{unit:04x}");
        }
        text
    })
}

/// Prints a page elsewhere than with the results: what is read before an answer is given.
///
/// # Errors
/// `output-failed`.
pub(crate) fn print_page(page: Page) -> Result<(), Failure> {
    let mut stderr = anstream::stderr();
    settle(stderr.write_all(page.finish().as_bytes()))
}

/// Prints text as it is, without its colors if they are off.
///
/// # Errors
/// `output-failed`.
pub(crate) fn print_text(text: &str) -> Result<(), Failure> {
    let mut stdout = anstream::stdout();
    let written = stdout.write_all(text.as_bytes());
    settle(written.and_then(|()| stdout.flush()))
}

/// Prints bytes as they are.
///
/// # Errors
/// `output-failed`.
pub(crate) fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout();
    let written = stdout.write_all(bytes);
    settle(written.and_then(|()| stdout.flush()))
}

/// Says something that is not a result, on standard error. Failing to say it is no failure.
pub(crate) fn say(text: &str) {
    let _ = writeln!(anstream::stderr(), "{}", clean(text));
}

/// What writing to standard output came to.
///
/// # Errors
/// `output-failed`.
pub(crate) fn settle(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Ok(()) => Ok(()),
        // The reader, `head` for one, has what it wanted.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::new(
            "output-failed",
            format!("cannot write to standard output: {error}"),
        )),
    }
}

/// Reports a failure: two lines on standard error and, with `--json`, an object on standard
/// output.
pub(crate) fn report(failure: &Failure, json: bool) {
    let mut text = format!("phi: {ERROR}error:{ERROR:#} {}\n", clean(&failure.message));
    for detail in &failure.details {
        let _ = writeln!(text, "  {}", clean(&detail.to_string()));
    }
    if let Some(hint) = &failure.hint {
        let _ = writeln!(text, "phi: {HINT}hint:{HINT:#} {}", clean(hint));
    }
    // Nothing is left to tell it to if this fails.
    let _ = anstream::stderr().write_all(text.as_bytes());
    if json && !failure.answered {
        let _ = print_json(&failure.to_answer());
    }
}

const ERROR: Style = AnsiColor::Red.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default();
const LABEL: Style = Style::new().dimmed();

/// How a QR code is drawn where results go.
pub(crate) fn ink() -> Ink {
    match anstream::AutoStream::choice(&io::stdout()) {
        anstream::ColorChoice::Never => Ink::Plain,
        _ => Ink::Ansi,
    }
}

/// How good the news is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// All is well.
    Good,
    /// Read this.
    Warn,
}

impl Tone {
    const fn style(self) -> Style {
        match self {
            Self::Good => AnsiColor::Green.on_default().bold(),
            Self::Warn => AnsiColor::Yellow.on_default().bold(),
        }
    }
}

/// Text for people, made of lines, aligned fields and tables.
#[derive(Debug, Default)]
pub(crate) struct Page {
    text: String,
    /// Labels and values that wait to be aligned with their neighbors.
    fields: Vec<(String, String)>,
}

/// The width to which values are wrapped: a terminal's customary 80 columns, and the same in a
/// file, so that what is printed does not depend on where.
const WIDTH: usize = 80;

impl Page {
    /// A headline: a word in the tone's color, and what it is about.
    pub(crate) fn headline(&mut self, tone: Tone, word: &str, about: &str) {
        self.align();
        let style = tone.style();
        let _ = writeln!(self.text, "{style}{word}{style:#}  {}", clean(about));
    }

    /// A line.
    pub(crate) fn line(&mut self, line: &str) {
        self.align();
        self.text.push_str(&clean(line));
        self.text.push('\n');
    }

    /// An empty line.
    pub(crate) fn gap(&mut self) {
        self.align();
        self.text.push('\n');
    }

    /// A line of cells, each in its tone if it has one.
    pub(crate) fn toned(&mut self, cells: &[(Option<Tone>, String)]) {
        self.align();
        for (tone, text) in cells {
            let style = tone.map_or(LABEL, Tone::style);
            let _ = write!(self.text, "{style}{}{style:#}", clean(text));
        }
        self.text.push('\n');
    }

    /// Text as it is, such as a QR code.
    pub(crate) fn raw(&mut self, text: &str) {
        self.align();
        self.text.push_str(text);
    }

    /// A label and its value. Neighbors are aligned; a second value has an empty label.
    pub(crate) fn field(&mut self, label: &str, value: impl Display) {
        self.fields.push((label.to_owned(), value.to_string()));
    }

    /// A label and its values, one a line.
    pub(crate) fn each(&mut self, label: &str, values: impl IntoIterator<Item = String>) {
        let mut label = label;
        for value in values {
            self.field(label, value);
            label = "";
        }
    }

    /// A table with a line of column names.
    pub(crate) fn table<const N: usize>(&mut self, columns: [&str; N], rows: &[[String; N]]) {
        self.align();
        let rows: Vec<[String; N]> = rows
            .iter()
            .map(|row| row.each_ref().map(|cell| clean(cell)))
            .collect();
        let width = |at: usize| {
            let cells = rows.iter().map(|row| row[at].chars().count());
            cells
                .chain([columns[at].chars().count()])
                .max()
                .unwrap_or(0)
        };
        let widths: [usize; N] = std::array::from_fn(width);
        let header = joined(&columns.map(str::to_owned), &widths);
        let _ = writeln!(self.text, "{LABEL}{header}{LABEL:#}");
        for row in &rows {
            let _ = writeln!(self.text, "{}", joined(row, &widths));
        }
    }

    fn align(&mut self) {
        let fields = std::mem::take(&mut self.fields);
        let labels = fields.iter().map(|(label, _)| label.chars().count());
        let width = labels.max().unwrap_or(0);
        for (label, value) in fields {
            for (at, line) in wrap(&clean(&value), WIDTH - width - 2).iter().enumerate() {
                let label = if at == 0 { &label } else { "" };
                let _ = writeln!(self.text, "{LABEL}{label:<width$}{LABEL:#}  {line}");
            }
        }
    }

    fn finish(mut self) -> String {
        self.align();
        self.text
    }
}

fn joined<const N: usize>(cells: &[String; N], widths: &[usize; N]) -> String {
    let padded: Vec<String> = cells
        .iter()
        .zip(widths)
        .map(|(cell, width)| format!("{cell:<width$}"))
        .collect();
    padded.join("  ").trim_end().to_owned()
}

/// Breaks a value between words; a word that is longer than a line stays whole.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is a line from the start");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// Without what could move a terminal's cursor or turn its text around.
pub(crate) fn clean(text: &str) -> String {
    escaped(text, |c| c.escape_unicode().to_string())
}

/// In one line, for a table.
pub(crate) fn one_line(text: &str) -> String {
    text.split(['\r', '\n']).collect::<Vec<_>>().join(" ")
}

/// With `escape` in place of what could move a terminal's cursor, turn its text around or hide.
fn escaped(text: &str, escape: impl Fn(char) -> String) -> String {
    let harmful = |c: char| c != '\n' && hides(c);
    if !text.contains(harmful) {
        return text.to_owned();
    }
    let shown = |c: char| match c {
        c if harmful(c) => escape(c),
        c => c.to_string(),
    };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(page: Page) -> String {
        anstream::adapter::strip_str(&page.finish()).to_string()
    }

    #[test]
    fn neighbors_are_aligned_and_long_values_wrapped() {
        let mut page = Page::default();
        page.field("plan", "pro");
        page.field("customer", "word ".repeat(20).trim_end());
        page.gap();
        page.each("a", ["1".to_owned(), "2".to_owned()]);
        let expected = format!(
            "plan      pro\ncustomer  {}\n          {}\n\na  1\n   2\n",
            "word ".repeat(14).trim_end(),
            "word ".repeat(6).trim_end()
        );
        assert_eq!(plain(page), expected);
    }

    #[test]
    fn tables_have_no_blanks_at_the_end_of_a_line() {
        let mut page = Page::default();
        let rows = [["a".into(), "long".into()], ["bcd".into(), String::new()]];
        page.table(["ID", "NAME"], &rows);
        assert_eq!(plain(page), "ID   NAME\na    long\nbcd\n");
    }

    #[test]
    fn what_others_wrote_cannot_drive_the_terminal() {
        let mut page = Page::default();
        page.field("customer", "a\u{1b}[2Jb\u{202e}c\u{61c}d\u{200b}e");
        let shown = r"a\u{1b}[2Jb\u{202e}c\u{61c}d\u{200b}e";
        assert_eq!(plain(page), format!("customer  {shown}\n"));
        let json = to_json(&"a\u{9b}2Jb\u{202e}c\n\u{e0041}");
        assert_eq!(json, "\"a\\u009b2Jb\\u202ec\\n\\udb40\\udc41\"\n");
    }
}
