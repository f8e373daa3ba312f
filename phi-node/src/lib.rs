//! A server that enforces Phi licenses: flags, quotas and seats over HTTP and gRPC.

mod files;

pub mod clients;
pub mod entry;
pub mod limits;
pub mod listener;
pub mod tls;
