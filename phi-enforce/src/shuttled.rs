//! Slices under shuttle, which runs threads in orders of its own, one step of one thread after the
//! other. It is `slice.rs` itself, with shuttle's atomics in place of the standard library's; what a
//! weaker order of memory than one after the other would do is not tried.

use shuttle::{check_pct, check_random};

use self::{
    atomic::{AtomicU64, Ordering, thread},
    slice::{Slice, Spend},
};
use crate::clock::Boot;

mod atomic {
    pub(super) use shuttle::{
        sync::atomic::{AtomicU64, Ordering},
        thread,
    };

    pub(super) const ROUNDS: u64 = 2;

    pub(super) fn check(test: impl Fn() + Send + Sync + 'static) {
        shuttle::check_random(test, 100);
    }
}

#[path = "slice.rs"]
#[expect(clippy::duplicate_mod, reason = "the same code, on other atomics")]
#[expect(dead_code, reason = "not all of it is what threads do at once")]
mod slice;

const SPENDERS: u64 = 15;
const SCHEDULES: usize = 500;
/// The end of the first period, and that of the second.
const FIRST: u64 = 10;
const SECOND: u64 = 20;

/// What threads may do with a slice.
trait Hand: Default + Send + Sync {
    fn add(&self, units: u64, until: u64);
    fn drain(&self) -> u64;
    fn left(&self) -> u64;
    fn spend(&self, units: u64, now: u64) -> bool;
}

impl Hand for Slice {
    fn add(&self, units: u64, until: u64) {
        self.add(units, Boot::from_nanos(until), 0);
    }

    fn drain(&self) -> u64 {
        self.drain()
    }

    fn left(&self) -> u64 {
        self.left()
    }

    fn spend(&self, units: u64, now: u64) -> bool {
        matches!(self.spend(units, Boot::from_nanos(now)), Spend::Done(_))
    }
}

/// Two periods of a quota, the second of which begins while threads spend: sixteen threads with the
/// one that refills and recalls. Every other spender is in the second period from the beginning.
fn two_periods<H: Hand>() {
    let hand = H::default();
    let (early, late) = (AtomicU64::new(0), AtomicU64::new(0));
    let mut back = 0;
    hand.add(5, FIRST);
    thread::scope(|scope| {
        let (hand, early, late) = (&hand, &early, &late);
        for spender in 0..SPENDERS {
            scope.spawn(move || {
                let (now, spent) = if spender % 2 == 0 {
                    (FIRST - 1, early)
                } else {
                    (FIRST, late)
                };
                for units in [1, 2] {
                    if hand.spend(units, now) {
                        spent.fetch_add(units, Ordering::Relaxed);
                    }
                }
            });
        }
        hand.add(4, FIRST);
        back += hand.drain();
        hand.add(6, SECOND);
        hand.add(1, SECOND);
    });
    let (early, late) = (early.into_inner(), late.into_inner());
    assert!(late <= 7, "units of the first period were spent after it");
    let found = early + late + back + hand.left();
    assert_eq!(found, 16, "every unit is somewhere, once");
}

#[test]
fn no_unit_is_spent_twice_or_late_in_any_order_of_sixteen_threads() {
    check_random(two_periods::<Slice>, SCHEDULES);
    // Orders in which few threads are held up at the worst moments.
    check_pct(two_periods::<Slice>, SCHEDULES, 3);
}

/// Looks, and takes what was there when it looked.
#[derive(Default)]
struct Heedless {
    units: AtomicU64,
    until: AtomicU64,
}

impl Hand for Heedless {
    fn add(&self, units: u64, until: u64) {
        self.until.store(until, Ordering::SeqCst);
        self.units.fetch_add(units, Ordering::SeqCst);
    }

    fn drain(&self) -> u64 {
        self.units.swap(0, Ordering::SeqCst)
    }

    fn left(&self) -> u64 {
        self.units.load(Ordering::SeqCst)
    }

    fn spend(&self, units: u64, now: u64) -> bool {
        let left = self.units.load(Ordering::SeqCst);
        if left < units || now >= self.until.load(Ordering::SeqCst) {
            return false;
        }
        self.units.store(left - units, Ordering::SeqCst);
        true
    }
}

/// Compares units, and not to which period they belong.
#[derive(Default)]
struct WithoutGeneration(Heedless);

impl Hand for WithoutGeneration {
    fn add(&self, units: u64, until: u64) {
        self.0.add(units, until);
    }

    fn drain(&self) -> u64 {
        self.0.drain()
    }

    fn left(&self) -> u64 {
        self.0.left()
    }

    fn spend(&self, units: u64, now: u64) -> bool {
        let Heedless { units: word, until } = &self.0;
        if now < until.load(Ordering::SeqCst) {
            let take = |left: u64| left.checked_sub(units);
            return word
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take)
                .is_ok();
        }
        false
    }
}

#[test]
#[should_panic(expected = "every unit is somewhere, once")]
fn a_slice_that_does_not_compare_is_found_out() {
    check_random(two_periods::<Heedless>, SCHEDULES);
}

/// An early spender that is held up takes units of the second period: in the hand of one that was
/// in time that does no harm, but it says that the time looked at was not that of the units.
#[test]
#[should_panic(expected = "units of another period than was looked at")]
fn a_slice_without_generations_is_found_out() {
    check_random(mixed::<WithoutGeneration>, SCHEDULES);
}

#[test]
fn the_time_looked_at_is_that_of_the_units() {
    check_random(mixed::<Slice>, SCHEDULES);
}

/// The hand is emptied and then holds units of a period that is over for the spender already.
fn mixed<H: Hand>() {
    let hand = H::default();
    let spent = AtomicU64::new(0);
    hand.add(1, SECOND);
    let mut back = 0;
    thread::scope(|scope| {
        scope.spawn(|| {
            if hand.spend(1, FIRST) {
                spent.fetch_add(1, Ordering::SeqCst);
            }
        });
        back += hand.drain();
        hand.add(1, FIRST);
    });
    let first_left = hand.left();
    assert!(
        back + spent.into_inner() == 1 && first_left == 1,
        "units of another period than was looked at"
    );
}
