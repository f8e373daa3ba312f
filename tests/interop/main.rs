//! License tokens pass between Phi and PASETO libraries that know nothing of Phi.
//!
//! pasetors runs in this process; pyseto with cbor2, and npm `paseto`, run behind pipes. Run
//! with `cargo xtask test --only interop`, which installs them.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]

mod pasetors;
mod peer;
mod sample;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use peer::Peer;
use sample::{ASSERTION, Sample, phi_verifies};

#[test]
fn every_peer_verifies_what_phi_minted() {
    let sample = Sample::new();
    assert_eq!(phi_verifies(&sample.token), Ok(()));
    for mut peer in Peer::all() {
        let verdict = peer.verify(&sample, &sample.token, ASSERTION);
        assert_eq!(verdict, Ok(()), "{}", peer.name());
    }
}

#[test]
fn phi_verifies_what_every_peer_minted() {
    let sample = Sample::new();
    for mut peer in Peer::all() {
        let token = peer.mint(&sample);
        assert_eq!(phi_verifies(&token), Ok(()), "{}", peer.name());
        // Ed25519 is deterministic and so is every other part.
        assert_eq!(token, sample.token, "{}", peer.name());
    }
}

#[test]
fn every_peer_refuses_a_license_under_another_assertion() {
    let sample = Sample::new();
    for mut peer in Peer::all() {
        let verdict = peer.verify(&sample, &sample.token, "phi.usage.v1");
        assert!(
            verdict.is_err(),
            "{} accepted the wrong assertion",
            peer.name()
        );
    }
}

#[test]
fn every_peer_refuses_a_license_with_one_bit_changed() {
    let sample = Sample::new();
    let (signed, _) = sample.token.rsplit_once('.').unwrap();
    let mut footer = sample.footer.clone();
    *footer.last_mut().unwrap() ^= 1;
    let changed = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(&footer));
    assert!(phi_verifies(&changed).is_err());
    // The peers are told to expect the changed footer: only the signature is in the way.
    let sample = Sample { footer, ..sample };
    for mut peer in Peer::all() {
        let verdict = peer.verify(&sample, &changed, ASSERTION);
        assert!(
            verdict.is_err(),
            "{} accepted a changed license",
            peer.name()
        );
    }
}

#[test]
fn the_key_id_is_the_beginning_of_the_paserk_id() {
    let sample = Sample::new();
    let paserk = pasetors::paserk_id(&sample.public_key);
    let id = paserk.strip_prefix("k4.pid.").unwrap();
    assert_eq!(URL_SAFE_NO_PAD.encode(&sample.footer[2..11]), id[..12]);
}
