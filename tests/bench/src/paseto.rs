//! pasetors on the very token that Phi checks.

use pasetors::Public;
use pasetors::keys::AsymmetricPublicKey;
use pasetors::token::UntrustedToken;
use pasetors::version4::{PublicToken, V4};

use crate::harness::Candidate;
use crate::{phi, sample};

const ASSERTION: &[u8] = b"phi.license.v1";

/// Parse and verify; the footer is left undecoded, for pasetors leaves it to its caller.
pub(crate) fn candidate() -> Candidate {
    let token = phi::token();
    let public = sample::signing_key().verifying_key();
    let key = AsymmetricPublicKey::<V4>::from(public.as_bytes()).expect("32 bytes");
    Candidate {
        name: "pasetors 0.8 parse + verify, CBOR left undecoded",
        token_chars: Some(token.len()),
        check: Box::new(move || {
            let untrusted = UntrustedToken::<Public, V4>::try_from(&token).expect("well formed");
            let trusted = PublicToken::verify(&key, &untrusted, None, Some(ASSERTION));
            trusted.expect("the token is valid");
        }),
    }
}
