//! The words that threads share, from the standard library. `shuttled` has another module of this
//! name, in whose place the same code runs under a scheduler of threads.

pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
#[cfg(test)]
pub(crate) use std::thread;

/// How often a test repeats what it does.
#[cfg(test)]
pub(crate) const ROUNDS: u64 = 2_000;

/// Runs a test, with the threads that the machine has.
#[cfg(test)]
pub(crate) fn check(test: impl Fn() + Send + Sync + 'static) {
    test();
}
