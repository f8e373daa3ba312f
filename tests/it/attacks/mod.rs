//! Attacks that once went through, one test each.

#[cfg(unix)]
mod folder;
mod keys;
