//! Enforcement: every store by one suite, gates over real licenses, and simulated clusters in which
//! everything fails.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps an error has failed"
)]

mod awaited;
mod borrowed;
mod client;
mod conformance;
mod dice;
mod gate;
mod layer;
mod licenses;
mod linear;
mod postgres;
mod processes;
mod rig;
mod simulation;
mod sqlite;
