//! Attacks: those that a license verifier must expect, one test each and named by its row in
//! README.md, and those that once went through.

mod claims;
mod clock;
mod deltas;
#[cfg(unix)]
mod folder;
mod keys;
mod lists;
mod roots;
mod rotations;
mod setbacks;
mod signers;
mod state;
mod table;
