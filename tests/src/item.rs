//! A CBOR writer that writes what it is told, right or wrong: it shares no code with the verifier
//! whose decoder it tests.

/// A CBOR item. Maps and arrays are written in the order given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// An unsigned integer.
    Uint(u64),
    /// The negative integer `-1 - n`.
    Nint(u64),
    /// A byte string.
    Bytes(Vec<u8>),
    /// A text string.
    Text(String),
    /// A truth value.
    Bool(bool),
    /// An array.
    Array(Vec<Self>),
    /// A map.
    Map(Vec<(Self, Self)>),
    /// Any bytes in the place of an item.
    Raw(Vec<u8>),
}

impl Item {
    /// A text string.
    pub fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    /// A byte string.
    pub fn bytes(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.into())
    }

    /// The negative integer of this number.
    ///
    /// # Panics
    /// If the number is not negative.
    pub fn negative(number: i64) -> Self {
        Self::Nint(u64::try_from(-1 - number).expect("the number is negative"))
    }

    /// The item's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(&mut bytes);
        bytes
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Uint(number) => out.extend(head(0, *number)),
            Self::Nint(number) => out.extend(head(1, *number)),
            Self::Bytes(bytes) => {
                out.extend(head(2, bytes.len() as u64));
                out.extend(bytes);
            }
            Self::Text(text) => {
                out.extend(head(3, text.len() as u64));
                out.extend(text.as_bytes());
            }
            Self::Bool(truth) => out.push(0xf4 + u8::from(*truth)),
            Self::Array(items) => {
                out.extend(head(4, items.len() as u64));
                for item in items {
                    item.write(out);
                }
            }
            Self::Map(entries) => {
                out.extend(head(5, entries.len() as u64));
                for (key, value) in entries {
                    key.write(out);
                    value.write(out);
                }
            }
            Self::Raw(bytes) => out.extend(bytes),
        }
    }
}

/// The shortest head of an item of this major type.
pub fn head(major: u8, argument: u64) -> Vec<u8> {
    let bytes = argument.to_be_bytes();
    let width = match argument {
        0..24 => return vec![major << 5 | bytes[7]],
        24..0x100 => 1,
        0x100..0x1_0000 => 2,
        0x1_0000..0x1_0000_0000 => 4,
        _ => 8,
    };
    wide_head(major, &bytes[8 - width..])
}

/// A head whose argument is written in these bytes, be they needed or not.
///
/// # Panics
/// If the width is not one that CBOR has.
pub fn wide_head(major: u8, argument: &[u8]) -> Vec<u8> {
    let info = match argument {
        [_] => 24,
        [_, _] => 25,
        [_, _, _, _] => 26,
        [_, _, _, _, _, _, _, _] => 27,
        _ => unreachable!("CBOR has no head of this width"),
    };
    [&[major << 5 | info], argument].concat()
}

/// A map with unsigned keys, held open for changes.
#[derive(Clone, Debug)]
pub struct Fields(pub Vec<(Item, Item)>);

impl Fields {
    /// Puts a field in its place, or changes it.
    #[must_use]
    pub fn with(mut self, key: u64, value: Item) -> Self {
        let place = self.0.iter().position(|(found, _)| match found {
            Item::Uint(found) => *found >= key,
            _ => true,
        });
        let place = place.unwrap_or(self.0.len());
        match self.0.get_mut(place) {
            Some((found, old)) if *found == Item::Uint(key) => *old = value,
            _ => self.0.insert(place, (Item::Uint(key), value)),
        }
        self
    }

    /// Leaves a field out.
    #[must_use]
    pub fn without(mut self, key: u64) -> Self {
        self.0.retain(|(found, _)| *found != Item::Uint(key));
        self
    }

    /// Puts an entry at the end, whatever its key.
    #[must_use]
    pub fn ending(mut self, key: Item, value: Item) -> Self {
        self.0.push((key, value));
        self
    }

    /// The map's bytes.
    pub fn encode(&self) -> Vec<u8> {
        self.item().encode()
    }

    /// The map.
    pub fn item(&self) -> Item {
        Item::Map(self.0.clone())
    }
}
