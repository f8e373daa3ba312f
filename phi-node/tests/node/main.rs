//! Nodes as processes, over HTTP: what their clients and operators see. Every answer is checked
//! against the published OpenAPI document.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]

mod api;
mod calls;
mod cluster;
mod command;
mod deploy;
mod issuer;
mod lives;
mod loans;
mod process;
