//! The ledger's log, held against other implementations and under attack. Each test whose name
//! begins with `t` and a number is a row of the design's table of attacks.

mod note;
mod state;
mod tree;

use phi_tests::{
    log::Log,
    snakeoil::{self, Seed},
};
use phi_verify::{
    Error, Root,
    log::{Checkpoint, Hash, Origin, UnsignedCheckpoint, UntrustedCheckpoint},
};

/// The log's origin, as the root of the snakeoil issuer gives it.
fn origin() -> Origin {
    Origin::of_issuer(snakeoil::ISSUER)
}

fn hashes(hashes: &[phi_tests::log::Hash]) -> Vec<Hash> {
    hashes.iter().copied().map(Hash::from_bytes).collect()
}

fn root_of(log: &Log, size: usize) -> Hash {
    Hash::from_bytes(log.root(size))
}

/// A checkpoint that the issuer's own builder made and the ledger's key signed.
fn sealed(size: u64, root: Hash) -> String {
    let unsigned = UnsignedCheckpoint::new(&origin(), size, root).unwrap();
    let key = Seed::Ledger.signing_key();
    let signature = ed25519_dalek::Signer::sign(&key, unsigned.message()).to_bytes();
    unsigned.sealed(&[(Seed::Ledger.public(), signature)])
}

fn verify(checkpoint: &str, root: &Root) -> Result<Checkpoint, Error> {
    UntrustedCheckpoint::parse(checkpoint)?.verify(&root.ledger, &origin())
}

#[track_caller]
fn refused<T>(result: Result<T, Error>, code: &str) {
    match result {
        Ok(_) => panic!("accepted, and should be {code}"),
        Err(error) => assert_eq!(error.code(), code, "{error}"),
    }
}
