//! Bytes with what they mean beside them, for readers of the specification.

use std::fmt::Write as _;

use super::kind_name;
use crate::hex;

/// Width of the column of bytes; longer strings go on in lines of their own.
const COLUMN: usize = 44;
/// Bytes in a line of a long string.
const LINE: usize = 16;

/// The footer of a token: a key id at a fixed place, and the object.
pub(super) fn footer(footer: &[u8]) -> String {
    let mut lines = Lines::default();
    lines.add(0, &footer[..1], "array of 2");
    lines.add(1, &footer[1..2], "byte string of 9");
    lines.add(2, &footer[2..11], "key id");
    lines.object(&mut Reader(&footer[11..]), 1, 1);
    lines.text
}

/// A document: kind, payload as a byte string, signatures.
pub(super) fn document(document: &[u8]) -> String {
    let mut lines = Lines::default();
    let mut reader = Reader(document);
    lines.add(0, reader.take(1), "array of 3");
    let kind_head = reader.take(1);
    lines.add(1, kind_head, "text of 6");
    lines.add(2, reader.take(6), "kind");
    let (head, _, length) = reader.head();
    lines.add(1, head, &format!("byte string of {length}: the payload"));
    let mut payload = Reader(reader.take(usize::try_from(length).expect("short")));
    lines.object(&mut payload, 2, 4);
    lines.add(1, reader.take(1), "array of 1: the signatures");
    lines.add(2, reader.take(1), "array of 2");
    lines.add(3, reader.take(1), "byte string of 9");
    lines.add(4, reader.take(9), "key id");
    lines.add(3, reader.take(2), "byte string of 64");
    lines.add(4, reader.take(64), "signature");
    lines.text
}

/// A bundle, whose documents and tokens stand elsewhere.
pub(super) fn bundle(bundle: &[u8]) -> String {
    let mut lines = Lines {
        longest: 2 * LINE,
        ..Lines::default()
    };
    lines.object(&mut Reader(bundle), 0, 9);
    lines.text
}

/// A leaf of the log: version, word, subject and entry.
pub(super) fn leaf(data: &[u8]) -> String {
    let mut lines = Lines::default();
    let mut reader = Reader(data);
    lines.add(0, reader.take(1), "array of 4: the leaf");
    lines.add(1, reader.take(1), "version");
    let (head, _, length) = reader.head();
    let word = reader.take(usize::try_from(length).expect("short"));
    lines.add(1, head, &format!("text of {length}"));
    lines.add(2, word, &String::from_utf8_lossy(word));
    for name in ["subject", "entry"] {
        lines.add(1, reader.take(2), "byte string of 32");
        lines.add(2, reader.take(32), name);
    }
    lines.text
}

/// The payload of a document as [`document`] lays it out.
pub(super) fn payload(document: &[u8]) -> &[u8] {
    let mut reader = Reader(&document[8..]);
    let (_, _, length) = reader.head();
    reader.take(usize::try_from(length).expect("short"))
}

/// A signed message: the number of pieces, and each piece behind its length.
pub(super) fn pae(pieces: &[(&str, &[u8])]) -> String {
    let mut lines = Lines::default();
    let count = pieces.len() as u64;
    lines.add(0, &count.to_le_bytes(), &format!("{count} pieces"));
    for (name, piece) in pieces {
        let length = piece.len() as u64;
        lines.add(
            0,
            &length.to_le_bytes(),
            &format!("length of the {name}: {length}"),
        );
        if piece.len() <= LINE {
            lines.add(
                1,
                piece,
                &format!("{name}: {}", String::from_utf8_lossy(piece)),
            );
        } else {
            let cut = format!("{}... {name}, as above", hex(&piece[..8]));
            writeln!(lines.text, "  {cut}").expect("a string takes any text");
        }
    }
    lines.text
}

/// Reads CBOR that this program wrote.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    /// The bytes of a head, its major type and its argument.
    fn head(&mut self) -> (&'a [u8], u8, u64) {
        let width = match self.0[0] & 31 {
            24 => 1,
            25 => 2,
            26 => 4,
            27 => 8,
            _ => 0,
        };
        let head = self.take(1 + width);
        let argument = head[1..]
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte));
        let argument = if width == 0 {
            u64::from(head[0] & 31)
        } else {
            argument
        };
        (head, head[0] >> 5, argument)
    }
}

struct Lines {
    text: String,
    /// Strings of more bytes are cut short.
    longest: usize,
}

impl Default for Lines {
    fn default() -> Self {
        Self {
            text: String::new(),
            longest: usize::MAX,
        }
    }
}

impl Lines {
    fn add(&mut self, depth: usize, bytes: &[u8], note: &str) {
        let indent = "  ".repeat(depth);
        for (i, line) in bytes.chunks(LINE).enumerate() {
            let column = format!("{indent}{}", hex(line));
            let note = if i == 0 { note } else { "" };
            let line = format!("{column:COLUMN$} {note}");
            self.text.push_str(line.trim_end());
            self.text.push('\n');
        }
    }

    /// A map with field names of this kind of object.
    fn object(&mut self, reader: &mut Reader<'_>, depth: usize, kind: u64) {
        let (head, _, count) = reader.head();
        let what = format!("map of {count}: the {}", kind_name(kind));
        self.add(depth, head, &what);
        for _ in 0..count {
            let (key, _, number) = reader.head();
            self.add(
                depth + 1,
                key,
                &format!("{number}: {}", field(kind, number)),
            );
            self.item(reader, depth + 2);
        }
    }

    fn item(&mut self, reader: &mut Reader<'_>, depth: usize) {
        let (head, major, argument) = reader.head();
        match major {
            0 => self.add(depth, head, &argument.to_string()),
            2 | 3 => {
                let what = if major == 2 { "byte string" } else { "text" };
                self.add(depth, head, &format!("{what} of {argument}"));
                let string = reader.take(usize::try_from(argument).expect("short"));
                let note = if major == 3 {
                    String::from_utf8_lossy(string)
                } else {
                    "".into()
                };
                if string.len() > self.longest {
                    let cut = format!("{}... as above", hex(&string[..LINE / 2]));
                    writeln!(self.text, "{}{cut}", "  ".repeat(depth + 1))
                        .expect("a string takes any text");
                } else {
                    self.add(depth + 1, string, &note);
                }
            }
            4 | 5 => {
                let (what, items) = if major == 4 {
                    ("array", argument)
                } else {
                    ("map", 2 * argument)
                };
                self.add(depth, head, &format!("{what} of {argument}"));
                (0..items).for_each(|_| self.item(reader, depth + 1));
            }
            _ => self.add(depth, head, if argument == 21 { "true" } else { "false" }),
        }
    }
}

/// What a field of the example is called.
fn field(kind: u64, number: u64) -> &'static str {
    match (kind, number) {
        (_, 0) => "kind",
        (_, 1) => "issuer",
        (1, 2) => "customer",
        (1, 6) | (4, 3) => "issued at",
        (1, 7) => "token id",
        (1, 8) => "product",
        (1, 9) => "plan",
        (1, 10) => "flags",
        (1, 11) => "quotas",
        (1, 12) => "limits",
        (1, 15) => "license id and revision",
        (1, 16) => "catalog revision",
        (1, 19) => "mint epoch",
        (4, 2) => "version",
        (4, 4) => "root version",
        (4, 5) => "keys",
        (9, 2) => "keyset",
        (9, 5) => "tokens",
        _ => unreachable!("the examples have no other field"),
    }
}
