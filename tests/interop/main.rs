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

use std::process::Command;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use peer::Peer;
use phi_tests::snakeoil::{self, Seed};
use sample::{ASSERTION, Sample, large_claims, phi_reads};

/// The document of phi-node's HTTP API, by a reader of OpenAPI that knows nothing of Phi.
#[test]
fn the_published_openapi_document_is_valid() {
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
    let mut validator = Command::new(peer::installed("PHI_INTEROP_PYTHON"));
    validator.args(["-m", "openapi_spec_validator", document]);
    let output = validator.output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn every_peer_verifies_what_phi_minted() {
    let sample = Sample::new();
    assert_eq!(phi_reads(&sample.token), Ok(snakeoil::claims()));
    for mut peer in Peer::all() {
        let verdict = peer.verify(&sample, &sample.token, ASSERTION);
        assert_eq!(verdict, Ok(()), "{}", peer.name());
    }
}

#[test]
fn every_peer_verifies_what_an_issuer_minted() {
    for sample in Sample::issued() {
        for mut peer in Peer::all() {
            let verdict = peer.verify(&sample, &sample.token, ASSERTION);
            let length = sample.token.len();
            assert_eq!(verdict, Ok(()), "{}, {length} characters", peer.name());
        }
    }
}

#[test]
fn phi_verifies_what_every_peer_signed() {
    let sample = Sample::new();
    for mut peer in Peer::all() {
        // Ed25519 is deterministic and so is every other part.
        let token = peer.sign(&sample.footer);
        assert_eq!(token, sample.token, "{}", peer.name());
    }
}

#[test]
fn phi_reads_what_every_peer_wrote_and_signed() {
    for claims in [snakeoil::claims(), large_claims()] {
        for mut peer in Peer::all() {
            let token = peer.mint(&claims);
            let read = phi_reads(&token);
            assert_eq!(read.as_ref(), Ok(&claims), "{}", peer.name());
            assert_eq!(token, Seed::License.mint(&claims), "{}", peer.name());
        }
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
    assert!(phi_reads(&changed).is_err());
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
