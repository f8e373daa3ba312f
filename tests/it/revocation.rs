//! Revocation: what is built by the issuer and asked by the verifier.

mod filters;
mod incidents;
mod model;
