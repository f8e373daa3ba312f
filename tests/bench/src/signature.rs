//! The yardstick: the strict signature check and nothing else.

use std::hint::black_box;

use ed25519_dalek::Signer as _;

use crate::harness::Candidate;
use crate::{phi, sample};

pub(crate) fn candidate() -> Candidate {
    let signing = sample::signing_key();
    let key = signing.verifying_key();
    let message = phi::signed_bytes();
    let signature = signing.sign(&message);
    Candidate {
        name: "bare ed25519-dalek 3 `verify_strict`, key decoded",
        token_chars: None,
        check: Box::new(move || {
            let verdict = black_box(&key).verify_strict(black_box(&message), black_box(&signature));
            verdict.expect("the signature is valid");
        }),
    }
}
