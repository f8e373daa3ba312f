//! The doors of a node, as clients find them: real connections, good and bad.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]

mod abuse;
mod admission;
mod calls;
mod grpc;
mod loans;
mod node;
mod repeats;
mod server;
mod tls;
