//! License tokens pass between Phi and PASETO libraries that know nothing of Phi.
//!
//! pasetors runs in this process; pyseto with cbor2, and npm `paseto`, run behind pipes. Run
//! with `cargo xtask test --only interop`, which installs them.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]

mod peer;
mod sample;

use peer::Peer;
use sample::Sample;

#[test]
fn every_peer_verifies_a_token() {
    let sample = Sample::new();
    let token = sample.token();
    for mut peer in Peer::all() {
        assert_eq!(
            peer.verify(&sample, &token, sample::ASSERTION),
            Ok(()),
            "{}",
            peer.name()
        );
    }
}

#[test]
fn every_peer_refuses_a_token_under_another_assertion() {
    let sample = Sample::new();
    let token = sample.token();
    for mut peer in Peer::all() {
        let outcome = peer.verify(&sample, &token, "phi.usage.v1");
        assert!(
            outcome.is_err(),
            "{} accepted the wrong assertion",
            peer.name()
        );
    }
}

#[test]
fn every_peer_refuses_a_token_with_one_character_changed() {
    let sample = Sample::new();
    let token = sample.token();
    let last = token.len() - 1;
    let changed = if token.ends_with('A') { "Q" } else { "A" };
    let token = format!("{}{changed}", &token[..last]);
    for mut peer in Peer::all() {
        let outcome = peer.verify(&sample, &token, sample::ASSERTION);
        assert!(outcome.is_err(), "{} accepted a changed token", peer.name());
    }
}

#[test]
fn every_peer_mints_the_same_token() {
    let sample = Sample::new();
    let token = sample.token();
    for mut peer in Peer::all() {
        assert_eq!(peer.mint(&sample), token, "{}", peer.name());
    }
}
