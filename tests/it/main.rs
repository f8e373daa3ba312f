//! One test binary: each module is one subject.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps an error has failed"
)]

#[path = "../attacks/mod.rs"]
mod attacks;
mod codegen;
mod faults;
mod issuer;
mod ledger;
mod log;
mod postgres;
mod properties;
mod race;
mod revocation;
mod rotation;
mod size;
mod soak;
mod tamper;
mod time_travel;
mod trust;
mod vectors;
mod verify;
