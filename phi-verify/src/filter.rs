//! Filters: sets of salted ids in little more room than the least that there is (docs/spec.md,
//! "Filters").
//!
//! A filter answers for the ids of a *universe* that its builder knew, and for those it is exact
//! (a [Bloom filter](FilterKind::Bloom) aside, which says so in its answer). For any other id the
//! answer means nothing: whoever asks must know first that the id is covered. Filters are built by
//! phi-issuer.

mod bloom;
mod bytes;
mod cascade;
mod exact;
mod ribbon;
mod salted;

use alloc::vec::Vec;
use core::fmt;

use self::{bloom::Bloom, bytes::Reader, cascade::Cascade, ribbon::Ribbon};
pub use self::{
    bloom::{Layer, MAX_LAYER_BITS, MAX_PROBES, MIN_LAYER_BITS},
    cascade::{MAX_LAYERS, tail_bit},
    exact::PREFIX_BYTES,
    ribbon::{Equation, MAX_RANK, SHARD_BYTES, Stage, WINDOW_BYTES, shard_of},
    salted::{SaltedId, TokenHash},
};

/// A set of salted ids: the body of a section, checked, and asked in place.
#[derive(Clone, PartialEq, Eq)]
pub struct Filter {
    body: Vec<u8>,
    shape: Shape,
}

/// What was read of the body's beginning. It is a function of the body.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Shape {
    Exact,
    Bloom(Bloom),
    Cascade(Cascade),
    Ribbon(Ribbon),
}

/// The forms that a filter can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FilterKind {
    /// The first bytes of every salted id.
    Exact,
    /// One Bloom filter: it takes some ids for members that are none, also in its universe.
    Bloom,
    /// Bloom filters in turn of the members and of those that the filter before takes for some.
    Cascade,
    /// Two systems of linear equations: the smallest form of large sets.
    Ribbon,
}

impl FilterKind {
    /// Every kind, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Exact, Self::Bloom, Self::Cascade, Self::Ribbon];

    /// The kind's number in a section.
    pub const fn number(self) -> u64 {
        match self {
            Self::Exact => 0,
            Self::Bloom => 1,
            Self::Cascade => 2,
            Self::Ribbon => 3,
        }
    }

    /// The kind's word in print.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Bloom => "bloom",
            Self::Cascade => "cascade",
            Self::Ribbon => "ribbon",
        }
    }
}

impl fmt::Display for FilterKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
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
    /// The body goes on after its end.
    Trailing,
    /// A number has more bytes than it needs, or more than five.
    Varint,
    /// A byte that is 0 or 1 is neither.
    Choice,
    /// A number of layers, bits, probes, ranks or shards is beyond its limit.
    Limit,
    /// A bit after the last of an array is set.
    Padding,
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
            Self::Trailing => "has a filter with bytes after its end",
            Self::Varint => "has a filter with a number in another form than its shortest",
            Self::Choice => "has a filter with a choice that is neither 0 nor 1",
            Self::Limit => "has a filter with a number beyond its limit",
            Self::Padding => "has a filter with a bit set after the last one",
            Self::Order => "has a list that is not in strictly ascending order",
        }
    }
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.problem())
    }
}

impl core::error::Error for FilterError {}

impl Filter {
    /// Reads the body of a filter of this kind. What it announces must be there to the byte;
    /// nothing but a copy of the body is kept.
    ///
    /// # Errors
    /// [`FilterError`], which names the rule that the body breaks.
    pub fn parse(kind: u64, body: &[u8]) -> Result<Self, FilterError> {
        let shape = match kind {
            0 => {
                exact::check(body)?;
                Shape::Exact
            }
            1 => Shape::Bloom(Bloom::parse(Reader::new(body))?),
            2 => Shape::Cascade(Cascade::parse(Reader::new(body))?),
            3 => Shape::Ribbon(Ribbon::parse(Reader::new(body), body.len())?),
            _ => return Err(FilterError::Kind),
        };
        let body = body.to_vec();
        Ok(Self { body, shape })
    }

    /// Whether the id is in the filter, if it is of the filter's universe. Allocates nothing.
    pub fn contains(&self, id: SaltedId) -> Answer {
        let (found, yes) = match &self.shape {
            Shape::Exact => (exact::contains(&self.body, id), Answer::Yes),
            Shape::Bloom(bloom) => (bloom.may_contain(&self.body, id), Answer::Probably),
            Shape::Cascade(cascade) => (cascade.contains(&self.body, id), Answer::Yes),
            Shape::Ribbon(ribbon) => (ribbon.contains(&self.body, id), Answer::Yes),
        };
        if found { yes } else { Answer::No }
    }

    /// The filter's form.
    pub const fn kind(&self) -> FilterKind {
        match self.shape {
            Shape::Exact => FilterKind::Exact,
            Shape::Bloom(_) => FilterKind::Bloom,
            Shape::Cascade(_) => FilterKind::Cascade,
            Shape::Ribbon(_) => FilterKind::Ribbon,
        }
    }

    /// The body, as it was read.
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter")
            .field("shape", &self.shape)
            .field("bytes", &self.body.len())
            .finish()
    }
}
