//! A server that enforces Phi licenses: flags, quotas and seats over HTTP and gRPC.

pub mod clients;
pub mod engine;
pub mod http;
pub mod intake;
pub mod licenses;
pub mod service;
pub mod sessions;
