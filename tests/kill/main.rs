//! Issuers killed in the middle of an act: what was given out is recorded, and all goes on.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps an error has failed"
)]

mod aftermath;
mod moments;
mod points;
