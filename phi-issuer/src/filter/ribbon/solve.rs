//! Gaussian elimination of equations whose bits lie in a window, one after the other.

use phi_verify::filter::{Equation, WINDOW_BYTES};

/// Words over which a window lies that begins within one.
const WORDS: usize = WINDOW_BYTES / 8 + 1;

/// Bits of columns, and what they add up to in each of up to 32 columns.
#[derive(Clone, Copy, Default)]
struct Row {
    bits: [u64; WORDS],
    /// The word of the column at which `bits` begin.
    word: usize,
    sums: u32,
}

/// Columns, one after the other, in which every equation comes out; `None` if there are none.
/// Bits that no equation decides are zero.
pub(super) fn solve(
    mut equations: Vec<Equation>,
    rank: u8,
    column_bytes: usize,
) -> Option<Vec<u8>> {
    // In this order rows meet those that are near in memory. The solution does not depend on it.
    equations.sort_unstable_by_key(|equation| equation.start);
    let mut pivots = vec![Row::default(); column_bytes * 8];
    for equation in &equations {
        insert(&mut pivots, Row::of(equation, rank, column_bytes))?;
    }
    Some(substitute(&pivots, rank, column_bytes))
}

impl Row {
    fn of(equation: &Equation, rank: u8, column_bytes: usize) -> Self {
        let shift = equation.start % 8 * 8;
        let mut bits = [0; WORDS];
        for (at, word) in equation.window.into_iter().enumerate() {
            // Of a column that is shorter than a window, the rest of the window is nothing.
            let word = match column_bytes.saturating_sub(equation.start + at * 8) {
                bytes @ 0..8 => word & ((1 << (bytes * 8)) - 1),
                _ => word,
            };
            bits[at] |= word << shift;
            if shift > 0 {
                bits[at + 1] |= word >> (64 - shift);
            }
        }
        let ranks = u64::MAX >> (64 - rank);
        Self {
            bits,
            word: equation.start / 8,
            sums: u32::try_from(equation.check & ranks).expect("a rank is at most 32"),
        }
    }

    /// Whether no bit is left.
    fn is_empty(&self) -> bool {
        self.bits == [0; WORDS]
    }

    fn add(&mut self, other: &Self) {
        // Most of the time goes by here: a plain loop is fast in unoptimized tests as well.
        let mut at = 0;
        while at < WORDS {
            self.bits[at] ^= other.bits[at];
            at += 1;
        }
        self.sums ^= other.sums;
    }
}

/// Adds rows that begin where this one does until it begins where none does, and puts it there:
/// at the column of its first bit. `None` if the row says that nothing adds up to something.
fn insert(pivots: &mut [Row], mut row: Row) -> Option<()> {
    loop {
        if row.bits[0] == 0 {
            if row.is_empty() {
                return (row.sums == 0).then_some(());
            }
            row.bits.rotate_left(1);
            row.word += 1;
            continue;
        }
        let column = row.word * 64 + row.bits[0].trailing_zeros() as usize;
        let pivot = &mut pivots[column];
        if pivot.bits[0] == 0 {
            *pivot = row;
            return Some(());
        }
        row.add(pivot);
    }
}

/// From the last bit of the columns to the first: what is known after it decides it.
fn substitute(pivots: &[Row], rank: u8, column_bytes: usize) -> Vec<u8> {
    let words = column_bytes.div_ceil(8);
    let mut columns = vec![vec![0_u64; words + WORDS]; rank.into()];
    for (at, pivot) in pivots.iter().enumerate().rev() {
        if pivot.bits[0] == 0 {
            continue;
        }
        for (rank, column) in columns.iter_mut().enumerate() {
            let known = pivot.bits.iter().zip(&column[pivot.word..]);
            let sum = known.fold(0, |sum, (bits, word)| sum ^ (bits & word));
            let bit = u64::from(sum.count_ones() & 1 ^ pivot.sums >> rank & 1);
            column[at / 64] |= bit << (at % 64);
        }
    }
    let bytes = columns.iter().flat_map(|column| {
        let bytes = column.iter().flat_map(|word| word.to_le_bytes());
        bytes.take(column_bytes)
    });
    bytes.collect()
}
