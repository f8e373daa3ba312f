//! The messages and calls of `phi.enforce.v1`, made of the interface; a client of them too.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    reason = "the code is generated, and says what the interface says"
)]

tonic::include_proto!("phi.enforce.v1");

/// The interface as reflection tells it: an encoded `google.protobuf.FileDescriptorSet`.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/enforce.binpb"));
