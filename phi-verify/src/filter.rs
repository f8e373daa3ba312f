//! Filters: the sets of ids that a status list's sections hold.

use alloc::boxed::Box;
use core::fmt;

use sha2::{Digest as _, Sha256};

use crate::claims::{LicenseId, TokenId};

/// The first 16 bytes of an id's salted hash, as filters read them: two little-endian numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SaltedId {
    low: u64,
    high: u64,
}

impl SaltedId {
    /// The salted id of a token.
    pub fn of_token(salt: &[u8; 16], id: TokenId) -> Self {
        Self::hashed(salt, 0, id.as_bytes())
    }

    /// The salted id of a license.
    pub fn of_license(salt: &[u8; 16], id: LicenseId) -> Self {
        Self::hashed(salt, 1, id.as_bytes())
    }

    /// A salted id from its bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        let half = |at| {
            let bytes: [u8; 8] = bytes[at..at + 8].try_into().expect("half of sixteen");
            u64::from_le_bytes(bytes)
        };
        Self {
            low: half(0),
            high: half(8),
        }
    }

    /// The id as an exact list has it.
    pub const fn prefix(self) -> [u8; PREFIX_BYTES] {
        self.low.to_le_bytes()
    }

    fn hashed(salt: &[u8; 16], class: u8, id: &[u8]) -> Self {
        let hash = Sha256::new()
            .chain_update(b"phi/rev/v1\0")
            .chain_update(salt)
            .chain_update([class])
            .chain_update(id)
            .finalize();
        Self::from_bytes(hash[..16].try_into().expect("a hash has thirty-two bytes"))
    }
}

/// How much of a salted id an exact list has.
pub const PREFIX_BYTES: usize = 8;

/// The forms that a filter can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FilterKind {
    /// The first bytes of every salted id.
    Exact,
}

impl FilterKind {
    /// The kind's number in a section.
    pub const fn number(self) -> u64 {
        match self {
            Self::Exact => 0,
        }
    }

    /// The kind's word in print.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
        }
    }
}

/// Whether an id is in a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is not.
    No,
    /// It is, if it is of the filter's universe.
    Yes,
    /// It is, or the filter takes it for one that is.
    Probably,
}

/// Why a filter is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FilterError {
    /// The kind is reserved or not known.
    Kind,
    /// The filter has no member: its section is left out instead.
    Empty,
    /// The body ends before what it announces.
    CutShort,
    /// The prefixes of an exact list do not strictly ascend.
    Order,
}

impl FilterError {
    /// The rule that is broken, as a predicate of what holds the filter.
    pub const fn problem(self) -> &'static str {
        match self {
            Self::Kind => "has a filter of unknown kind",
            Self::Empty => "has a filter without members: leave it out",
            Self::CutShort => "has a filter that is cut short",
            Self::Order => "has a list that is not in strictly ascending order",
        }
    }
}

/// A set of salted ids: the body of a section, checked, and asked in place.
#[derive(Clone, PartialEq, Eq)]
pub struct Filter(Box<[u8]>);

impl Filter {
    /// Reads the body of a filter of this kind.
    ///
    /// # Errors
    /// [`FilterError`], which names the rule that the body breaks.
    pub fn parse(kind: u64, body: &[u8]) -> Result<Self, FilterError> {
        if kind != 0 {
            return Err(FilterError::Kind);
        }
        let (prefixes, []) = body.as_chunks::<PREFIX_BYTES>() else {
            return Err(FilterError::CutShort);
        };
        if prefixes.is_empty() {
            return Err(FilterError::Empty);
        }
        if !prefixes.windows(2).all(|pair| pair[0] < pair[1]) {
            return Err(FilterError::Order);
        }
        Ok(Self(body.into()))
    }

    /// Whether the id is in the filter, if it is of the filter's universe. Allocates nothing.
    pub fn contains(&self, id: SaltedId) -> Answer {
        let (prefixes, _) = self.0.as_chunks::<PREFIX_BYTES>();
        match prefixes.binary_search(&id.prefix()) {
            Ok(_) => Answer::Yes,
            Err(_) => Answer::No,
        }
    }

    /// The filter's form.
    pub const fn kind(&self) -> FilterKind {
        FilterKind::Exact
    }

    /// The body, as it was read.
    pub const fn body(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter")
            .field("bytes", &self.0.len())
            .finish()
    }
}
