//! A server that enforces Phi licenses: flags, quotas and seats over HTTP and gRPC.

mod files;

pub mod clients;
pub mod engine;
pub mod entry;
pub mod grpc;
pub mod http;
pub mod inbox;
pub mod intake;
pub mod licenses;
pub mod limits;
pub mod listener;
pub mod server;
pub mod service;
pub mod sessions;
pub mod tls;
pub mod watch;
