//! The ribbon pair: a first stage that takes few others for members, and a second that tells the
//! members from those. Both are solutions of linear equations over two elements, one for each id.

use alloc::vec::Vec;

use super::{
    FilterError, SaltedId,
    bloom::seeds,
    bytes::Reader,
    salted::{GOLDEN, mix, scaled},
};

/// The most columns of a first stage: as the most probes of a Bloom filter.
pub const MAX_RANK: u8 = 32;

/// The bytes of a column to which an id's equation reaches. The wider, the fewer columns stay
/// without an equation (eight of ten thousand), and the longer a question takes.
pub const WINDOW_BYTES: usize = 64;

/// Words of a window.
const WORDS: usize = WINDOW_BYTES / 8;

/// So many windows begin before a column's first byte, and as many after the last at which one
/// can: they are moved to these two. Without them the columns at the ends had too few equations.
const EDGE: usize = WINDOW_BYTES / 2;

/// The most bytes of a column, as of a layer.
const MAX_COLUMN_BYTES: u64 = 1 << 29;

/// One shard for so many bytes, and one more: so the table of shards is far smaller than the body.
/// Those that phi builds have 4096 bytes and more.
pub const SHARD_BYTES: usize = 1024;

/// One of the two stages of a shard, with the seed under which its equations can be solved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The members' own: an id passes if all bits of its check come out.
    First(u8),
    /// That of all who pass: the bit says whether they are members.
    Second(u8),
}

/// An id's equation: which bits of a column are added up, and what should come out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Equation {
    /// The byte of the column at which the window begins.
    pub start: usize,
    /// Which bits of the window count: little-endian words.
    pub window: [u64; WORDS],
    /// What should come out of the columns of a first stage, the first in the lowest bit.
    pub check: u64,
}

impl Equation {
    /// The equation of an id in a stage whose columns have so many bytes.
    #[inline]
    pub fn of(id: SaltedId, stage: Stage, column_bytes: usize) -> Self {
        let index = match stage {
            Stage::First(seed) => u64::from(seed),
            Stage::Second(seed) => 256 + u64::from(seed),
        };
        let (begin, base) = seeds(index, id);
        let mut word = base;
        let window = [(); WORDS].map(|()| {
            word = word.wrapping_add(GOLDEN);
            mix(word)
        });
        Self {
            start: start(begin, column_bytes),
            window,
            check: mix(base),
        }
    }

    /// What the bits of the window add up to in this column: 0 or 1.
    #[inline]
    pub fn sum(&self, column: &[u8]) -> u64 {
        let at = &column[self.start..];
        if let Some(bytes) = at.first_chunk() {
            return self.counted(bytes);
        }
        let mut bytes = [0; WINDOW_BYTES];
        bytes[..at.len()].copy_from_slice(at);
        self.counted(&bytes)
    }

    #[inline]
    fn counted(&self, bytes: &[u8; WINDOW_BYTES]) -> u64 {
        let (words, _) = bytes.as_chunks();
        let words = words.iter().map(|word| u64::from_le_bytes(*word));
        let bits = words
            .zip(self.window)
            .fold(0, |sum, (word, counts)| sum ^ (word & counts));
        u64::from(bits.count_ones() & 1)
    }
}

/// Where a window begins: evenly spread, and moved to the ends from beyond them.
#[inline]
fn start(begin: u64, column_bytes: usize) -> usize {
    let Some(last) = column_bytes.checked_sub(WINDOW_BYTES) else {
        return 0;
    };
    let places = column_bytes as u64 + 1;
    let place = usize::try_from(scaled(begin, places)).expect("a place of the column");
    place.saturating_sub(EDGE).min(last)
}

/// `u8 inverted | u8 rank | varint shards | measures of each shard | columns of each shard`, where
/// the measures are `{varint bytes | u8 seed}` of the first stage, if the rank is not 0, and of
/// the second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ribbon {
    /// The equations are of those who are *not* members.
    inverted: bool,
    rank: u8,
    shards: Vec<Shard>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Shard {
    /// Where its columns begin.
    at: usize,
    first_bytes: u32,
    second_bytes: u32,
    first_seed: u8,
    second_seed: u8,
}

impl Ribbon {
    pub(super) fn parse(mut reader: Reader<'_>, length: usize) -> Result<Self, FilterError> {
        let inverted = reader.choice()?;
        let rank = reader.byte()?;
        if rank > MAX_RANK {
            return Err(FilterError::Limit);
        }
        let most = 1 + length / SHARD_BYTES;
        let count = usize::try_from(reader.varint()?).unwrap_or(usize::MAX);
        if count == 0 || count > most {
            return Err(FilterError::Limit);
        }
        let mut shards = Vec::with_capacity(count);
        for _ in 0..count {
            shards.push(Shard::parse(&mut reader, rank)?);
        }
        for shard in &mut shards {
            shard.at = reader.place();
            reader.skip(u64::from(shard.first_bytes) * u64::from(rank))?;
            reader.skip(shard.second_bytes.into())?;
        }
        reader.end()?;
        if shards.iter().all(|shard| shard.second_bytes == 0) {
            return Err(FilterError::Empty);
        }
        Ok(Self {
            inverted,
            rank,
            shards,
        })
    }

    pub(super) fn contains(&self, body: &[u8], id: SaltedId) -> bool {
        self.holds(body, id) != self.inverted
    }

    /// Whether the id is among those whom the equations are of.
    fn holds(&self, body: &[u8], id: SaltedId) -> bool {
        let shard = &self.shards[shard_of(id, self.shards.len())];
        if shard.second_bytes == 0 {
            return false;
        }
        let columns = &body[shard.at..];
        let column_bytes = usize_of(shard.first_bytes);
        if self.rank > 0 {
            let equation = Equation::of(id, Stage::First(shard.first_seed), column_bytes);
            let mut columns = columns.chunks_exact(column_bytes);
            let passes = (0..self.rank).all(|rank| {
                let column = columns.next().expect("the body holds the columns");
                equation.sum(column) == equation.check >> rank & 1
            });
            if !passes {
                return false;
            }
        }
        let column = &columns[column_bytes * usize::from(self.rank)..];
        let column = &column[..usize_of(shard.second_bytes)];
        let equation = Equation::of(id, Stage::Second(shard.second_seed), column.len());
        equation.sum(column) == 1
    }
}

/// The shard of an id, of so many. Ids in order have shards in order.
#[inline]
pub fn shard_of(id: SaltedId, shards: usize) -> usize {
    usize::try_from(scaled(id.low, shards as u64)).expect("a shard is below their number")
}

fn usize_of(bytes: u32) -> usize {
    usize::try_from(bytes).expect("the body holds the column")
}

impl Shard {
    fn parse(reader: &mut Reader<'_>, rank: u8) -> Result<Self, FilterError> {
        let first = if rank > 0 {
            Some(measures(reader)?)
        } else {
            None
        };
        let (second_bytes, second_seed) = measures(reader)?;
        // A shard of nobody has neither stage; with one of them alone no question ends.
        if first.is_some_and(|(bytes, _)| (bytes == 0) != (second_bytes == 0)) {
            return Err(FilterError::Limit);
        }
        let (first_bytes, first_seed) = first.unwrap_or_default();
        Ok(Self {
            at: 0,
            first_bytes,
            second_bytes,
            first_seed,
            second_seed,
        })
    }
}

/// `varint bytes | u8 seed`, the seed 0 if there are no bytes.
fn measures(reader: &mut Reader<'_>) -> Result<(u32, u8), FilterError> {
    let bytes = reader.varint()?;
    let seed = reader.byte()?;
    if bytes > MAX_COLUMN_BYTES || bytes == 0 && seed != 0 {
        return Err(FilterError::Limit);
    }
    let bytes = u32::try_from(bytes).map_err(|_| FilterError::Limit)?;
    Ok((bytes, seed))
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::filter::{Answer, Filter};

    fn id(number: u64) -> SaltedId {
        SaltedId {
            low: mix(number),
            high: mix(!number),
        }
    }

    #[track_caller]
    fn refuse(body: &[u8], expected: FilterError) {
        assert_eq!(Filter::parse(3, body).unwrap_err(), expected);
    }

    #[test]
    fn every_rule_of_a_body_is_held() {
        let good = [0, 2, 1, 1, 7, 2, 8, 0xa5, 0x5a, 0x12, 0x34];
        assert!(Filter::parse(3, &good).is_ok());
        for end in 0..good.len() {
            refuse(&good[..end], FilterError::CutShort);
        }
        refuse(&[&good[..], &[0]].concat(), FilterError::Trailing);
        refuse(&[2, 2, 1, 1, 7, 2, 8, 1, 2, 3, 4], FilterError::Choice);
        refuse(&[0, 33, 1, 1, 7, 2, 8, 1, 2, 3, 4], FilterError::Limit);
        refuse(&[0, 2, 0], FilterError::Limit);
        // Two shards need a body of 1024 bytes.
        refuse(&[0, 0, 2, 1, 0, 1, 0, 0xff, 0xff], FilterError::Limit);
        refuse(
            &[0, 2, 0x81, 0, 1, 7, 2, 8, 1, 2, 3, 4],
            FilterError::Varint,
        );
        // One stage without the other, nobody at all, and a seed for nothing.
        refuse(&[0, 2, 1, 0, 0, 2, 8, 3, 4], FilterError::Limit);
        refuse(&[0, 2, 1, 1, 7, 0, 0, 1, 2], FilterError::Limit);
        refuse(&[0, 2, 1, 0, 0, 0, 0], FilterError::Empty);
        refuse(&[1, 0, 1, 0, 0], FilterError::Empty);
        refuse(&[0, 0, 1, 0, 1], FilterError::Limit);
        let huge = [0, 32, 1, 0x80, 0x80, 0x80, 0x80, 2, 0, 1, 0, 0];
        refuse(&huge, FilterError::CutShort);
        let beyond = [0, 32, 1, 0x81, 0x80, 0x80, 0x80, 2, 0, 1, 0, 0];
        refuse(&beyond, FilterError::Limit);
    }

    #[test]
    fn a_shard_of_nobody_says_no() {
        let mut body = vec![0, 0, 2, 0, 0, 0x80, 8, 3];
        body.resize(8 + 1024, 0xff);
        let filter = Filter::parse(3, &body).unwrap();
        let mut yes = 0;
        for number in 0..200 {
            let id = id(number);
            let answer = filter.contains(id);
            assert!(shard_of(id, 2) == 1 || answer == Answer::No);
            yes += u32::from(answer == Answer::Yes);
        }
        assert!((20..80).contains(&yes), "{yes}");
    }

    #[test]
    fn a_window_lies_within_its_column() {
        for column_bytes in [1, 63, 64, 65, 66, 127, 1000] {
            let last = column_bytes.max(WINDOW_BYTES) - WINDOW_BYTES;
            assert_eq!(start(0, column_bytes), 0);
            assert_eq!(start(u64::MAX, column_bytes), last);
        }
        // 32 of the 1001 places are before the first byte, and 32 after the last.
        let place = |number: u64| start(((number << 32) / 1001 + 1) << 32, 1000);
        assert_eq!([place(31), place(32), place(33)], [0, 0, 1]);
        assert_eq!([place(967), place(968), place(1000)], [935, 936, 936]);
    }

    #[test]
    fn a_sum_counts_the_bits_of_the_window_alone() {
        let column: Vec<u8> = (0..100_u8).map(|at| at.wrapping_mul(151)).collect();
        for number in 0..50 {
            for column in [&column[..], &column[..64], &column[..9]] {
                let equation = Equation::of(id(number), Stage::Second(0), column.len());
                let window: Vec<u8> = equation
                    .window
                    .iter()
                    .flat_map(|w| w.to_le_bytes())
                    .collect();
                let bytes = column[equation.start..].iter().zip(&window);
                let ones: u32 = bytes
                    .map(|(byte, counts)| (byte & counts).count_ones())
                    .sum();
                assert_eq!(equation.sum(column), u64::from(ones % 2));
            }
        }
    }
}
