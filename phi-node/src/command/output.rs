//! What the command says: results on standard output, everything else on standard error.

use std::io::{self, Write as _};

use serde::Serialize;

use super::{exit_code::ExitCode, failure::Failure};

/// Prints text as it is.
///
/// # Errors
/// `output-failed`.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout();
    let written = stdout.write_all(text.as_bytes());
    match written.and_then(|()| stdout.flush()) {
        Ok(()) => Ok(()),
        // The reader, `head` for one, has what it wanted.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => {
            let message = format!("cannot write to standard output: {error}");
            Err(Failure::new(ExitCode::UNEXPECTED, "output-failed", message))
        }
    }
}

/// Prints a value as JSON.
///
/// # Errors
/// `output-failed`.
pub(super) fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value);
    print(&(text.expect("answers have text keys and no failing parts") + "\n"))
}

/// Says something that is not a result. Failing to say it is no failure.
pub(super) fn say(text: &str) {
    let _ = writeln!(anstream::stderr(), "{}", clean(text));
}

/// Text without what a terminal would take for more than text.
pub(super) fn clean(text: &str) -> String {
    let harmless = |c: char| {
        if c.is_control() && c != '\n' {
            '\u{fffd}'
        } else {
            c
        }
    };
    text.chars().map(harmless).collect()
}

/// Rows with their columns aligned.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let mut widths = Vec::new();
    for row in rows {
        widths.resize(widths.len().max(row.len()), 0);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(row) {
            line.extend([format!("{cell:width$}  ")]);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    clean(&text)
}
