//! The reader of deterministic CBOR (RFC 8949 section 4.2.1): one pass that takes the one
//! encoding of a value and refuses every other.
//!
//! It copies and allocates nothing: what it gives out borrows from what it was given. An array or
//! a map is read to its end before any of its items is handed out.

use crate::error::Malformed;

/// Objects nest no deeper than this; the deepest of Phi's own nests six levels.
pub(super) const DEPTH_LIMIT: usize = 8;

/// An item whose bytes are its one encoding.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Item<'a> {
    Uint(u64),
    /// The negative integer `-1 - n`.
    Nint(u64),
    Bytes(&'a [u8]),
    Text(&'a str),
    Bool(bool),
    Array(Items<'a>),
    /// Keys and values in turn, the keys strictly ascending.
    Map(Items<'a>),
}

impl<'a> Item<'a> {
    /// Reads the one item that these bytes are.
    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader(bytes);
        match reader.item(DEPTH_LIMIT)? {
            item if reader.0.is_empty() => Ok(item),
            _ => Err(Malformed::CborNotDeterministic),
        }
    }
}

/// The number in the head of an item of this major type, and what follows the head.
pub(crate) fn head(bytes: &[u8], major: u8) -> Result<(usize, &[u8]), Malformed> {
    let mut reader = Reader(bytes);
    let [first] = reader.array()?;
    if first >> 5 != major {
        return Err(Malformed::CborSyntax);
    }
    let number = usize::try_from(reader.argument(first)?);
    Ok((number.map_err(|_| Malformed::CborSyntax)?, reader.0))
}

/// The items of an array or a map, which were read once and found good.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Items<'a>(&'a [u8]);

impl<'a> Items<'a> {
    pub(crate) const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Takes the next item.
    pub(crate) fn take(&mut self) -> Option<Item<'a>> {
        if self.is_empty() {
            return None;
        }
        let mut reader = Reader(self.0);
        let item = reader.item(DEPTH_LIMIT);
        self.0 = reader.0;
        Some(item.expect("the items were read with what they are in"))
    }

    pub(crate) fn iter(mut self) -> impl Iterator<Item = Item<'a>> {
        core::iter::from_fn(move || self.take())
    }

    /// The entries of a map.
    pub(crate) fn entries(mut self) -> impl Iterator<Item = (Item<'a>, Item<'a>)> {
        core::iter::from_fn(move || self.take().zip(self.take()))
    }

    /// The bytes of each item.
    pub(crate) fn encodings(mut self) -> impl Iterator<Item = &'a [u8]> {
        core::iter::from_fn(move || {
            let all = self.0;
            self.take().map(|_| before(all, self.0))
        })
    }
}

/// What is left of bytes that may be anything.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads an item in which at most `levels` of arrays and maps are nested.
    fn item(&mut self, levels: usize) -> Result<Item<'a>, Malformed> {
        let [first] = self.array()?;
        let info = first & 31;
        Ok(match first >> 5 {
            0 => Item::Uint(self.argument(first)?),
            1 => Item::Nint(self.argument(first)?),
            2 => Item::Bytes(self.string(first)?),
            3 => {
                let text = core::str::from_utf8(self.string(first)?);
                Item::Text(text.map_err(|_| Malformed::CborSyntax)?)
            }
            4 => {
                let count = self.argument(first)?;
                Item::Array(self.items(levels, |reader, inner| {
                    (0..count).try_for_each(|_| reader.item(inner).map(drop))
                })?)
            }
            5 => {
                let count = self.argument(first)?;
                Item::Map(self.items(levels, |reader, inner| reader.entries(count, inner))?)
            }
            7 if info == 20 || info == 21 => Item::Bool(info == 21),
            // Null and undefined; floats of two, four and eight bytes; and tags.
            7 if matches!(info, 22 | 23 | 25..=27) => return Err(Malformed::CborForbiddenType),
            6 => return Err(Malformed::CborForbiddenType),
            _ => return Err(Malformed::CborSyntax),
        })
    }

    /// Reads the inside of an array or a map, one level further down.
    fn items(
        &mut self,
        levels: usize,
        read: impl FnOnce(&mut Self, usize) -> Result<(), Malformed>,
    ) -> Result<Items<'a>, Malformed> {
        let all = self.0;
        let inner = levels.checked_sub(1).ok_or(Malformed::CborSyntax)?;
        read(self, inner)?;
        Ok(Items(before(all, self.0)))
    }

    /// Reads entries whose keys ascend in the order of their encodings, none twice.
    fn entries(&mut self, count: u64, levels: usize) -> Result<(), Malformed> {
        let mut last: &[u8] = &[];
        for _ in 0..count {
            let all = self.0;
            self.item(levels)?;
            let key = before(all, self.0);
            if key <= last {
                return Err(Malformed::CborKeyOrder);
            }
            last = key;
            self.item(levels)?;
        }
        Ok(())
    }

    fn string(&mut self, first: u8) -> Result<&'a [u8], Malformed> {
        let length = self.argument(first)?;
        self.bytes(usize::try_from(length).map_err(|_| Malformed::CborSyntax)?)
    }

    /// Reads the argument of the head that begins with this byte, in its shortest form.
    fn argument(&mut self, first: u8) -> Result<u64, Malformed> {
        let (number, least) = match first & 31 {
            small @ 0..24 => return Ok(small.into()),
            24 => (u8::from_be_bytes(self.array()?).into(), 24),
            25 => (u16::from_be_bytes(self.array()?).into(), 1 << 8),
            26 => (u32::from_be_bytes(self.array()?).into(), 1 << 16),
            27 => (u64::from_be_bytes(self.array()?), 1 << 32),
            // A string, an array or a map of indefinite length.
            31 if first >> 5 > 1 => return Err(Malformed::CborNotDeterministic),
            _ => return Err(Malformed::CborSyntax),
        };
        if number < least {
            return Err(Malformed::CborNotDeterministic);
        }
        Ok(number)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let split = self.0.split_first_chunk();
        let (bytes, rest) = split.ok_or(Malformed::CborSyntax)?;
        self.0 = rest;
        Ok(*bytes)
    }

    fn bytes(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let split = self.0.split_at_checked(count);
        let (bytes, rest) = split.ok_or(Malformed::CborSyntax)?;
        self.0 = rest;
        Ok(bytes)
    }
}

/// What was read of `all`, of which `rest` is left.
fn before<'a>(all: &'a [u8], rest: &[u8]) -> &'a [u8] {
    &all[..all.len() - rest.len()]
}
