//! Ribbon pairs: per shard two systems of linear equations, solved.
//!
//! The first stage of a shard makes its members pass, and of the others one in 2^rank. The second
//! tells the members from those. A stage is as many columns as it has equations and hardly more.

mod solve;

use std::borrow::Cow;

use phi_verify::filter::{Equation, MAX_RANK, SaltedId, Stage, shard_of};

use self::solve::solve;
use super::{BuildError, parallel, put_varint, sets::Sets};

/// Ids whose equations are solved together: so few that the windows reach over the unevenness of
/// their beginnings, so many that the measures of a shard are four parts in ten thousand.
const SHARD_IDS: usize = 16_384;

/// Of a single shard this many first stages are made, and the one that lets the fewest others
/// pass is kept: it saves a part in five hundred where that matters most.
const CANDIDATES: usize = 4;

/// The body of a ribbon pair (docs/spec.md, "Ribbon pair"); `None` if one side is empty, which a
/// cascade says in three bytes.
pub(super) fn body(sets: &Sets) -> Result<Option<Vec<u8>>, BuildError> {
    let (smaller, larger, inverted) = sets.by_size();
    if smaller.is_empty() {
        return Ok(None);
    }
    let rank = rank(smaller.len(), larger.len());
    let count = smaller.len().div_ceil(SHARD_IDS);
    let shards: Vec<_> = (0..count)
        .map(|index| (part(smaller, index, count), part(larger, index, count)))
        .collect();
    let built = if rank > 0 && count == 1 {
        let (held, against) = shards[0];
        let built = parallel(CANDIDATES, |n| shard(held, against, rank, first_seed(n)));
        vec![
            built
                .into_iter()
                .min_by_key(size)
                .expect("there are candidates"),
        ]
    } else {
        parallel(count, |n| shard(shards[n].0, shards[n].1, rank, 0))
    };
    let built = built.into_iter().collect::<Result<Vec<_>, _>>()?;
    let mut body = vec![inverted.into(), rank];
    put_varint(&mut body, count as u64);
    for shard in &built {
        for stage in shard.first.iter().chain([&shard.second]) {
            put_varint(&mut body, stage.column_bytes as u64);
            body.push(stage.seed);
        }
    }
    for shard in &built {
        for stage in shard.first.iter().chain([&shard.second]) {
            body.extend(&stage.columns);
        }
    }
    Ok(Some(body))
}

/// The ids of a shard: shards are ranges of ids in order.
fn part(ids: &[SaltedId], index: usize, count: usize) -> &[SaltedId] {
    let begin = ids.partition_point(|id| shard_of(*id, count) < index);
    let end = ids.partition_point(|id| shard_of(*id, count) <= index);
    &ids[begin..end]
}

/// The rank with the fewest bits: a bit of rank for each id, and one for each of all that pass.
fn rank(held: usize, against: usize) -> u8 {
    let bits = |rank: u8| held * usize::from(rank) + held + (against >> rank);
    let ranks = 0..=MAX_RANK;
    ranks
        .min_by_key(|rank| bits(*rank))
        .expect("there are ranks")
}

/// Candidates have seeds of their own.
fn first_seed(candidate: usize) -> u8 {
    u8::try_from(candidate * usize::from(SEEDS)).expect("candidates are four")
}

/// A shard's two stages.
struct Shard {
    /// There is none if everybody passes, which is the rank 0.
    first: Option<Solved>,
    second: Solved,
}

fn size(shard: &Result<Shard, BuildError>) -> usize {
    let bytes = |stage: &Solved| stage.columns.len();
    let of = |shard: &Shard| shard.first.as_ref().map_or(0, bytes) + bytes(&shard.second);
    shard.as_ref().map_or(usize::MAX, of)
}

/// The columns of a stage.
#[derive(Default)]
struct Solved {
    column_bytes: usize,
    seed: u8,
    columns: Vec<u8>,
}

fn shard(
    held: &[SaltedId],
    against: &[SaltedId],
    rank: u8,
    first_seed: u8,
) -> Result<Shard, BuildError> {
    if held.is_empty() {
        let first = (rank > 0).then(Solved::default);
        let second = Solved::default();
        return Ok(Shard { first, second });
    }
    let mut first = None;
    let mut passing = Cow::Borrowed(against);
    if rank > 0 {
        let stage = solved(held.len(), rank, first_seed, |seed, bytes| {
            let stage = Stage::First(seed);
            held.iter()
                .map(|id| Equation::of(*id, stage, bytes))
                .collect()
        })?;
        let ids = against.iter().filter(|id| stage.passes(rank, **id));
        passing = ids.copied().collect();
        first = Some(stage);
    }
    let second = solved(held.len() + passing.len(), 1, 0, |seed, bytes| {
        let equation = |id: &SaltedId, value| Equation {
            check: value,
            ..Equation::of(*id, Stage::Second(seed), bytes)
        };
        let ones = held.iter().map(|id| equation(id, 1));
        ones.chain(passing.iter().map(|id| equation(id, 0)))
            .collect()
    })?;
    Ok(Shard { first, second })
}

impl Solved {
    /// Whether a first stage lets an id pass.
    fn passes(&self, rank: u8, id: SaltedId) -> bool {
        let equation = Equation::of(id, Stage::First(self.seed), self.column_bytes);
        equation.passes(&self.columns, self.column_bytes, rank)
    }
}

/// Seeds that are tried before a column gets another byte. With as many columns as equations one
/// in three will do, with eight more nearly all.
const SEEDS: u8 = 16;

/// Above so many equations a try costs milliseconds, and windows reach less far: fewer are made.
const MANY: usize = 4_096;
const SEEDS_OF_MANY: u8 = 4;

/// Bytes that a column can have beyond its equations. Salted hashes need two.
const SPARE_BYTES: usize = 1_024;

/// Solves equations of this rank with the shortest columns, and the lowest seed from `seed` on.
fn solved(
    count: usize,
    rank: u8,
    seed: u8,
    equations: impl Fn(u8, usize) -> Vec<Equation>,
) -> Result<Solved, BuildError> {
    let shortest = count.div_ceil(8);
    let seeds = if count > MANY { SEEDS_OF_MANY } else { SEEDS };
    for column_bytes in shortest..=shortest + SPARE_BYTES {
        for seed in seed..seed + seeds {
            let equations = equations(seed, column_bytes);
            if let Some(columns) = solve(equations, rank, column_bytes) {
                return Ok(Solved {
                    column_bytes,
                    seed,
                    columns,
                });
            }
        }
    }
    Err(BuildError::Inseparable)
}
