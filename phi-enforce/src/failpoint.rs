//! Points at which tests end the process, around the one durable step of a store.
//!
//! Without the feature `failpoints` nothing of this is in the program. What happens at a point is
//! the test's to say, with the crate `fail`.

/// Marks a point; its name is listed in [`FAIL_POINTS`].
#[cfg(feature = "failpoints")]
macro_rules! failpoint {
    ($name:literal) => {
        fail::fail_point!($name)
    };
}
#[cfg(not(feature = "failpoints"))]
macro_rules! failpoint {
    ($name:literal) => {};
}

/// Every point there is, in the order of the code.
#[cfg(feature = "failpoints")]
pub const FAIL_POINTS: &[&str] = &[
    "enforce-before-work",
    "enforce-before-commit",
    "enforce-after-commit",
];
