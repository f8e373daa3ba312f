//! Files of rows as spreadsheets and other systems write them: CSV with a header line, or JSON
//! lines. What the columns mean is left to the callers.
//!
//! A row that does not read is bad by itself; the others go on. Each row knows its own bytes, so
//! that it can be handed back as it was written.

use std::ops::Range;

use csv::ByteRecord;
use serde_json::{Map, Value};

use crate::error::Error;

/// The form of a file of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowFormat {
    /// Comma-separated values with a header line (RFC 4180); semicolons and tabs are known by
    /// the header.
    Csv,
    /// One JSON object a line.
    JsonLines,
}

/// How the cells of a CSV file are written.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CsvForm {
    /// What stands between cells; `None` is told by the header line.
    pub(crate) delimiter: Option<u8>,
    /// Whether blanks around a cell belong to it.
    pub(crate) blanks: Blanks,
}

/// What becomes of blanks around a cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Blanks {
    /// They are cut off.
    #[default]
    Cut,
    /// They are kept.
    Keep,
}

/// A file of rows.
#[derive(Debug)]
pub(crate) struct Table {
    /// The columns of a CSV file, in order; JSON lines have none of their own.
    pub(crate) header: Vec<String>,
    /// Where the header line stands.
    pub(crate) head: Range<usize>,
    /// The rows.
    pub(crate) lines: Vec<Line>,
}

/// One row.
#[derive(Debug)]
pub(crate) struct Line {
    /// Its line in the file, from 1.
    pub(crate) number: usize,
    /// Where it stands in the file.
    pub(crate) place: Range<usize>,
    /// Its cells that are not empty, or what is wrong with it.
    pub(crate) object: Result<Map<String, Value>, String>,
}

/// A file of rows is at most this large: a million rows of 250 bytes.
pub const MAX_ROWS_BYTES: u64 = 256 << 20;
/// A spreadsheet has a few dozen columns; a file of noise is told soon.
const MAX_COLUMNS: usize = 1024;
/// A cell is a name, a list, a note. A quote that is never closed swallows the rest of a file.
const MAX_CELL_BYTES: usize = 64 << 10;
/// What Excel writes before UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads a file of rows.
///
/// # Errors
/// [`Error::BatchFile`] if the file as a whole does not read.
pub(crate) fn read(format: RowFormat, bytes: &[u8], form: CsvForm) -> Result<Table, Error> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(problem("the file is UTF-16 text: save it as UTF-8".into()));
    }
    match format {
        RowFormat::Csv => Csv::new(bytes, form).read(form.blanks),
        RowFormat::JsonLines => Ok(json_lines(bytes)),
    }
}

fn problem(problem: String) -> Error {
    Error::BatchFile { problem }
}

fn beginning(bytes: &[u8]) -> usize {
    if bytes.starts_with(BYTE_ORDER_MARK) {
        BYTE_ORDER_MARK.len()
    } else {
        0
    }
}

fn json_lines(bytes: &[u8]) -> Table {
    let mut at = beginning(bytes);
    let mut lines = Vec::new();
    for (index, line) in bytes[at..]
        .split_inclusive(|byte| *byte == b'\n')
        .enumerate()
    {
        let place = at..at + line.len();
        at = place.end;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let object = match str::from_utf8(line) {
            Ok(text) => serde_json::from_str(text).map_err(|error| error.to_string()),
            Err(_) => Err("the line is not UTF-8 text".into()),
        };
        lines.push(Line {
            number: index + 1,
            place,
            object,
        });
    }
    Table {
        header: Vec::new(),
        head: 0..beginning(bytes),
        lines,
    }
}

/// A CSV file that is being read.
struct Csv<'b> {
    bytes: &'b [u8],
    start: usize,
    reader: csv::Reader<&'b [u8]>,
    /// The line that begins at `counted`.
    line: usize,
    counted: usize,
}

impl<'b> Csv<'b> {
    fn new(bytes: &'b [u8], form: CsvForm) -> Self {
        let start = beginning(bytes);
        let rest = &bytes[start..];
        let reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(form.delimiter.unwrap_or_else(|| delimiter(rest)))
            .from_reader(rest);
        Self {
            bytes,
            start,
            reader,
            line: 1,
            counted: start,
        }
    }

    fn read(mut self, blanks: Blanks) -> Result<Table, Error> {
        let Some((_, head, cells)) = self.next()? else {
            return Err(problem("the file has no header line".into()));
        };
        let header = header(&cells)?;
        let mut lines = Vec::new();
        while let Some((number, place, cells)) = self.next()? {
            lines.push(Line {
                number,
                place,
                object: object(&header, &cells, blanks),
            });
        }
        Ok(Table {
            header,
            head,
            lines,
        })
    }

    /// The next record with its line and its place.
    fn next(&mut self) -> Result<Option<(usize, Range<usize>, ByteRecord)>, Error> {
        let offset = |reader: &csv::Reader<&[u8]>, start: usize| {
            let at = usize::try_from(reader.position().byte()).unwrap_or(usize::MAX);
            start.saturating_add(at).min(self.bytes.len())
        };
        let mut from = offset(&self.reader, self.start);
        let mut record = ByteRecord::new();
        let found = self.reader.read_byte_record(&mut record);
        if !found.map_err(|error| problem(error.to_string()))? {
            return Ok(None);
        }
        let to = offset(&self.reader, self.start);
        // What ends the record before, and empty lines, stand before this one.
        while from < to && matches!(self.bytes[from], b'\r' | b'\n') {
            from += 1;
        }
        // A carriage return alone ends a line too.
        let ends = |at: &usize| match self.bytes[*at] {
            b'\n' => true,
            b'\r' => self.bytes.get(at + 1) != Some(&b'\n'),
            _ => false,
        };
        self.line += (self.counted..from).filter(ends).count();
        self.counted = from;
        Ok(Some((self.line, from..to, record)))
    }
}

/// The delimiter that the header line has most of, outside of quotes.
fn delimiter(text: &[u8]) -> u8 {
    let (mut quoted, mut counts) = (false, [(b',', 0), (b';', 0), (b'\t', 0)]);
    for byte in text {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' | b'\r' if !quoted => break,
            _ if quoted => {}
            byte => {
                if let Some((_, count)) = counts.iter_mut().find(|(known, _)| known == byte) {
                    *count += 1;
                }
            }
        }
    }
    // Of equals the first: a header of one column has none.
    let most = counts.into_iter().rev().max_by_key(|(_, count)| *count);
    most.map_or(b',', |(delimiter, _)| delimiter)
}

fn header(cells: &ByteRecord) -> Result<Vec<String>, Error> {
    if cells.len() > MAX_COLUMNS {
        let count = cells.len();
        return Err(problem(format!(
            "the header line has {count} columns: at most {MAX_COLUMNS} are read"
        )));
    }
    let mut header: Vec<String> = Vec::with_capacity(cells.len());
    for (at, cell) in cells.iter().enumerate() {
        let Ok(name) = str::from_utf8(cell) else {
            let column = at + 1;
            return Err(problem(format!(
                "the header line is not UTF-8 text in column {column}: save the file as UTF-8"
            )));
        };
        let name = match name.trim() {
            "" => format!("column {}", at + 1),
            name => name.to_owned(),
        };
        if header.contains(&name) {
            return Err(problem(format!(
                "the header line has the column {name:?} twice"
            )));
        }
        header.push(name);
    }
    Ok(header)
}

fn object(
    header: &[String],
    cells: &ByteRecord,
    blanks: Blanks,
) -> Result<Map<String, Value>, String> {
    if cells.len() != header.len() {
        return Err(format!(
            "the row has {} cells and the header {}: put cells with a delimiter, a quote or a line \
             end in them in quotes",
            cells.len(),
            header.len()
        ));
    }
    let mut object = Map::new();
    for (column, cell) in header.iter().zip(cells) {
        if cell.len() > MAX_CELL_BYTES {
            return Err(format!(
                "column {column:?} has {} bytes, at most {MAX_CELL_BYTES} are read: look for a quote \
                 that is not closed",
                cell.len()
            ));
        }
        let text = str::from_utf8(cell)
            .map_err(|_| format!("column {column:?} is not UTF-8 text: save the file as UTF-8"))?;
        let text = match blanks {
            Blanks::Cut => text.trim(),
            Blanks::Keep => text,
        };
        if !text.is_empty() {
            object.insert(column.clone(), text.into());
        }
    }
    Ok(object)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table(text: &[u8]) -> Table {
        read(RowFormat::Csv, text, CsvForm::default()).unwrap()
    }

    #[track_caller]
    fn refused(format: RowFormat, text: &[u8], expected: &str) {
        let found = read(format, text, CsvForm::default()).map(|table| {
            let problems = table.lines.into_iter().filter_map(|line| line.object.err());
            problems.collect::<String>()
        });
        let found = found.unwrap_or_else(|error| error.to_string());
        assert!(found.contains(expected), "{found}");
    }

    #[test]
    fn what_excel_writes_is_read() {
        let text = b"\xef\xbb\xbfref;name\r\n1;\"a;b\r\nc\"\r\n\r\n2; d \r\n";
        let table = table(text);
        assert_eq!(table.header, ["ref", "name"]);
        assert_eq!(&text[table.head.clone()], b"ref;name\r");
        let lines: Vec<_> = table.lines.iter().map(|line| line.number).collect();
        assert_eq!(lines, [2, 5]);
        let names = table.lines.iter().map(|line| {
            let object = line.object.as_ref().unwrap();
            object["name"].as_str().unwrap().to_owned()
        });
        assert_eq!(names.collect::<Vec<_>>(), ["a;b\r\nc", "d"]);
        let second = table.lines[0].place.clone();
        assert_eq!(&text[second], b"1;\"a;b\r\nc\"\r");
    }

    #[test]
    fn the_header_tells_the_delimiter() {
        for (text, expected) in [
            ("a,b;c,d", b','),
            ("a;b;c,d", b';'),
            ("a\tb", b'\t'),
            ("\"a,b,c\";d", b';'),
            ("alone", b','),
            ("", b','),
        ] {
            assert_eq!(delimiter(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn bad_rows_and_files_say_what_is_wrong() {
        refused(RowFormat::Csv, b"", "no header line");
        refused(RowFormat::Csv, b"a,a\n", "twice");
        refused(RowFormat::Csv, b"a,\xff\n", "not UTF-8 text in column 2");
        refused(RowFormat::Csv, b"a,b\n1,\xff\n", "\"b\" is not UTF-8");
        refused(RowFormat::Csv, b"a,b\n1\n", "1 cells and the header 2");
        refused(RowFormat::Csv, b"a,b\n1,2,3\n", "3 cells and the header 2");
        refused(RowFormat::Csv, b"\xff\xfea\0", "UTF-16");
        refused(RowFormat::JsonLines, b"\xff\n", "not UTF-8");
        refused(RowFormat::JsonLines, b"[1]\n", "expected a map");
        let columns = ",".repeat(MAX_COLUMNS);
        refused(RowFormat::Csv, columns.as_bytes(), "1025 columns");
        let open = format!("a\n\"{}", "x".repeat(MAX_CELL_BYTES + 1));
        refused(RowFormat::Csv, open.as_bytes(), "quote that is not closed");
    }

    proptest! {
        #[test]
        fn any_bytes_are_rows_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            for format in [RowFormat::Csv, RowFormat::JsonLines] {
                if let Ok(table) = read(format, &bytes, CsvForm::default()) {
                    let mut last = 0;
                    for line in table.lines {
                        prop_assert!(line.place.end <= bytes.len());
                        prop_assert!(line.number > last);
                        last = line.number;
                    }
                }
            }
        }

        /// Rows that are cut out of a file are rows of a file again.
        #[test]
        fn a_row_reads_the_same_by_itself(
            cells in proptest::collection::vec("[a-z;,\" \r\n\u{e4}]{0,6}", 1..20),
        ) {
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(["a", "b"]).unwrap();
            for cell in &cells {
                writer.write_record(["1", cell]).unwrap();
            }
            let bytes = writer.into_inner().unwrap();
            let whole = read(RowFormat::Csv, &bytes, CsvForm::default()).unwrap();
            prop_assert_eq!(whole.lines.len(), cells.len());
            for line in &whole.lines {
                let alone = [&bytes[whole.head.clone()], b"\n", &bytes[line.place.clone()]].concat();
                let alone = read(RowFormat::Csv, &alone, CsvForm::default()).unwrap();
                prop_assert_eq!(&alone.lines[0].object, &line.object);
            }
        }
    }
}
