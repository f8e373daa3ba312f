//! Units in the hand of a node: any number of threads spend them, none is spent twice, and each
//! thread is told what it left.

use super::atomic::{AtomicU64, Ordering};
use crate::clock::Boot;

/// Units of one period, with the time until which they may be spent.
///
/// One word holds a generation in its upper 16 bits and the units in the lower 48. Units of another
/// period are another generation, so that who has looked at the time of one cannot take units of
/// the other.
#[derive(Debug, Default)]
pub(crate) struct Slice {
    word: AtomicU64,
    until: AtomicU64,
    /// What the store had left at its last answer.
    remaining: AtomicU64,
    /// Counts by two what the store answered; odd while an answer is being written down.
    answers: AtomicU64,
}

/// What became of an attempt to spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spend {
    /// Done.
    Done(Left),
    /// There are only so many.
    Short(u64),
    /// What there is may not be spent any more.
    Late,
}

/// What somebody who spent has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    /// In the hand.
    pub(crate) in_hand: u64,
    /// With what is in the store. Nothing is known of it if an answer came meanwhile: units that
    /// came with it would be counted twice, or not at all.
    pub(crate) in_all: Option<u64>,
}

const UNITS: u64 = (1 << 48) - 1;

impl Slice {
    /// Takes this many units, or none.
    pub(crate) fn spend(&self, units: u64, now: Boot) -> Spend {
        let answers = self.answers();
        let mut word = self.word.load(Ordering::Acquire);
        loop {
            let left = word & UNITS;
            if left < units {
                return Spend::Short(left);
            }
            if now.nanos() >= self.until.load(Ordering::Acquire) {
                return Spend::Late;
            }
            // The word still has the generation whose time was looked at, or this fails.
            let spent = word - units;
            match self
                .word
                .compare_exchange_weak(word, spent, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return Spend::Done(self.left_of(left - units, answers)),
                Err(found) => word = found,
            }
        }
    }

    /// With what is in the store, unless there was another answer than those.
    fn left_of(&self, in_hand: u64, answers: u64) -> Left {
        let remaining = self.remaining.load(Ordering::Acquire);
        let same = answers.is_multiple_of(2) && answers == self.answers();
        Left {
            in_hand,
            in_all: same.then(|| in_hand.saturating_add(remaining)),
        }
    }

    /// What is in the hand and in the store; only the owner knows.
    pub(crate) fn in_all(&self) -> u64 {
        self.left()
            .saturating_add(self.remaining.load(Ordering::Acquire))
    }

    /// Changes with every answer.
    pub(crate) fn answers(&self) -> u64 {
        self.answers.load(Ordering::Acquire)
    }

    /// Counts an answer that says nothing of units; only the owner does.
    pub(crate) fn count_answer(&self) {
        self.answers.fetch_add(2, Ordering::Release);
    }

    pub(crate) fn left(&self) -> u64 {
        self.word.load(Ordering::Acquire) & UNITS
    }

    /// Whether what there is may not be spent any more.
    pub(crate) fn is_late(&self, now: Boot) -> bool {
        now.nanos() >= self.until.load(Ordering::Acquire)
    }

    /// Takes everything out; a new generation begins.
    pub(crate) fn drain(&self) -> u64 {
        let mut word = self.word.load(Ordering::Acquire);
        loop {
            let next = (word & !UNITS).wrapping_add(UNITS + 1);
            match self
                .word
                .compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return word & UNITS,
                Err(found) => word = found,
            }
        }
    }

    /// Puts units of the same period to those that are there, after which the store has so many;
    /// only the owner does.
    pub(crate) fn add(&self, units: u64, until: Boot, remaining: u64) {
        debug_assert!(self.left() + units <= UNITS);
        // Whoever sees anything of what follows sees that the count is odd, or another.
        self.answers.fetch_add(1, Ordering::AcqRel);
        self.remaining.store(remaining, Ordering::Release);
        if units > 0 {
            self.until.store(until.nanos(), Ordering::Release);
            self.word.fetch_add(units, Ordering::AcqRel);
        }
        self.answers.fetch_add(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::super::atomic::{ROUNDS, check, thread};
    use super::*;

    const EVER: Boot = Boot::from_nanos(u64::MAX);
    const NOW: Boot = Boot::from_nanos(10);

    #[test]
    fn all_or_nothing_and_nothing_after_its_time() {
        check(|| {
            let slice = Slice::default();
            assert_eq!(slice.spend(1, NOW), Spend::Short(0));
            slice.add(5, Boot::from_nanos(11), 4);
            assert_eq!(slice.spend(6, NOW), Spend::Short(5));
            let left = Left {
                in_hand: 3,
                in_all: Some(7),
            };
            assert_eq!(slice.spend(2, NOW), Spend::Done(left));
            assert_eq!(slice.spend(2, Boot::from_nanos(11)), Spend::Late);
            assert_eq!(slice.drain(), 3);
            assert_eq!((slice.drain(), slice.left()), (0, 0));
        });
    }

    #[test]
    fn a_generation_that_ends_takes_nothing_along() {
        check(|| {
            let slice = Slice::default();
            // More than there are generations, where that takes no time.
            for _ in 0..35 * ROUNDS {
                slice.add(3, EVER, 0);
                assert_eq!(slice.drain(), 3);
            }
        });
    }

    #[test]
    fn threads_spend_what_was_added_and_no_more() {
        check(|| {
            let (slice, spent) = (Slice::default(), AtomicU64::new(0));
            let mut added = 0;
            let mut taken_back = 0;
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        for _ in 0..10 * ROUNDS {
                            if matches!(slice.spend(3, NOW), Spend::Done(_)) {
                                spent.fetch_add(3, Ordering::Relaxed);
                            }
                        }
                    });
                }
                for round in 0..ROUNDS {
                    slice.add(40, EVER, 0);
                    added += 40;
                    if round % 3 == 0 {
                        taken_back += slice.drain();
                    }
                }
            });
            assert_eq!(
                spent.into_inner() + taken_back + slice.left(),
                added,
                "every unit is somewhere, once"
            );
        });
    }
    /// Of a hundred units each is in the hand, in the store or spent.
    #[test]
    fn what_is_left_counts_each_unit_once() {
        check(|| {
            let slice = Slice::default();
            slice.add(3, EVER, 97);
            thread::scope(|scope| {
                scope.spawn(|| {
                    for granted in 4..=4 + ROUNDS.min(90) {
                        slice.add(1, EVER, 100 - granted);
                    }
                });
                for spent in 1..=3 {
                    let Spend::Done(left) = slice.spend(1, NOW) else {
                        panic!("it is there");
                    };
                    if let Some(left) = left.in_all {
                        assert_eq!(left, 100 - spent);
                    }
                }
            });
            assert_eq!(slice.in_all(), 97);
        });
    }
}
