//! What the tests of several crates share: an issuer whose keys anyone can make.

pub mod snakeoil;
pub mod workshop;
