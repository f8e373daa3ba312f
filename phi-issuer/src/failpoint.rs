//! Points at which tests end the process, one between any two durable steps.
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
    // A file that is written whole or not at all.
    "file-empty",
    "file-written",
    "file-before-name",
    "file-after-name",
    "file-linked",
    // An issuer that is made.
    "init-before-move",
    "init-after-moves",
    // A transaction that appends entries.
    "append-before-insert",
    "append-after-insert",
    "write-before-tiles",
    "write-before-commit",
    "write-after-commit",
    "batch-between-chunks",
    // A document that is recorded and then written.
    "publish-before-file",
    "publish-after-file",
    // Tables that are made again.
    "rebuild-after-delete",
    "derive-after-entry",
    "rebuild-before-commit",
    "rebuild-after-commit",
    // A copy of the store, and one that is put in its place.
    "backup-copied",
    "backup-before-name",
    "backup-after-name",
    "restore-before-verification",
    "restore-before-place",
    "adopt-before-name",
    "adopt-after-name",
    "export-before-checkpoint",
    // A store of an older version.
    "migrate-begun",
    "migrate-after-entry",
    "migrate-after-drop",
    "migrate-before-commit",
    "migrate-after-commit",
];
