//! Revocation: what is built by the issuer and asked by the verifier.

mod damage;
mod filters;
mod histories;
mod incidents;
mod model;
mod publishing;
mod rows;
mod unrevoking;
