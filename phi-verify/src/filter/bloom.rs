//! Bloom filters: one alone, and the layers of a cascade.

use super::{
    FilterError, SaltedId,
    bytes::Reader,
    salted::{GOLDEN, mix, scaled},
};

/// The fewest bits of a layer: a byte.
pub const MIN_LAYER_BITS: u64 = 8;

/// The most bits of a layer: far beyond what any document holds.
pub const MAX_LAYER_BITS: u64 = 1 << 32;

/// The most probes of a layer: a false positive in four thousand million is enough.
pub const MAX_PROBES: u8 = 32;

/// The measures of a Bloom filter: what says where the bits of an id are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    bits: u64,
    probes: u8,
}

impl Layer {
    /// A layer of so many bits, of which each id sets so many; `None` beyond the limits.
    pub const fn new(bits: u64, probes: u8) -> Option<Self> {
        let sized = MIN_LAYER_BITS <= bits && bits <= MAX_LAYER_BITS;
        if sized && 1 <= probes && probes <= MAX_PROBES {
            Some(Self { bits, probes })
        } else {
            None
        }
    }

    /// How many bits the layer has.
    pub const fn bits(self) -> u64 {
        self.bits
    }

    /// How many of them an id sets.
    pub const fn probes(self) -> u8 {
        self.probes
    }

    /// How many bytes the bits take.
    pub const fn bytes(self) -> u64 {
        self.bits.div_ceil(8)
    }

    /// Reads `varint bits | u8 probes`.
    #[inline]
    pub(super) fn parse(reader: &mut Reader<'_>) -> Result<Self, FilterError> {
        let bits = reader.varint()?;
        Self::new(bits, reader.byte()?).ok_or(FilterError::Limit)
    }

    /// The places of an id's bits, in the layer with this index.
    #[inline]
    pub fn places(self, index: u64, id: SaltedId) -> impl Iterator<Item = u64> {
        let (mut place, step) = seeds(index, id);
        (0..self.probes).map(move |_| {
            let bit = scaled(place, self.bits);
            place = place.wrapping_mul(MULTIPLIER).wrapping_add(step);
            bit
        })
    }

    /// Whether all bits of the id are set in `array`, the layer's own bytes.
    ///
    /// Some are looked at together: whether one is set is the toss of a coin, and for a processor to
    /// guess it wrong costs more than they do.
    #[inline]
    pub fn is_set(self, index: u64, id: SaltedId, array: &[u8]) -> bool {
        let mut places = self.places(index, id);
        let mut left = usize::from(self.probes);
        while left > 0 {
            let together = left.min(TOGETHER);
            let bits = places.by_ref().take(together);
            if !bits.fold(true, |set, bit| set & bit_of(array, bit)) {
                return false;
            }
            left -= together;
        }
        true
    }
}

/// Places that are looked at together: one id in sixteen is not done after them.
const TOGETHER: usize = 4;

/// The bit at this place: bytes in order, the least significant bit first.
#[inline]
fn bit_of(array: &[u8], bit: u64) -> bool {
    let byte = usize::try_from(bit / 8).ok().and_then(|at| array.get(at));
    byte.is_some_and(|byte| byte >> (bit % 8) & 1 == 1)
}

/// A multiplier of linear congruential generators modulo 2^64 (Knuth's MMIX).
const MULTIPLIER: u64 = 0x5851_f42d_4c95_7f2d;

/// Where a layer's generator begins for an id, and its step. That the steps are multiplied rather
/// than added keeps layers of some tens of bits from taking one id for another.
#[inline]
pub(super) const fn seeds(index: u64, id: SaltedId) -> (u64, u64) {
    let begin = mix(id
        .low
        .wrapping_add(index.wrapping_add(1).wrapping_mul(GOLDEN)));
    (begin, mix(id.high ^ begin) | 1)
}

/// A Bloom filter alone: `varint bits | u8 probes | bits`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bloom {
    layer: Layer,
    /// Where the bits begin.
    at: usize,
}

impl Bloom {
    pub(super) fn parse(mut reader: Reader<'_>) -> Result<Self, FilterError> {
        let layer = Layer::parse(&mut reader)?;
        let at = reader.place();
        reader.bits(layer.bits)?;
        reader.end()?;
        Ok(Self { layer, at })
    }

    pub(super) fn may_contain(&self, body: &[u8], id: SaltedId) -> bool {
        self.layer.is_set(0, id, &body[self.at..])
    }
}
