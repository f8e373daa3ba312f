//! One test binary: each module is one subject.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps an error has failed"
)]

mod issuer;
mod vectors;
mod verify;
