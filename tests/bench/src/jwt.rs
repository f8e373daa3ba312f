//! The license as an EdDSA JWT, checked by jsonwebtoken.

use ed25519_dalek::Signer as _;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde_json::{Value, json};

use crate::harness::Candidate;
use crate::sample::{self, base64url};

pub(crate) fn candidate() -> Candidate {
    let token = token();
    let public = sample::signing_key().verifying_key();
    let key = DecodingKey::from_ed_components(&base64url(public.as_bytes())).expect("a key");
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_audience(&[sample::PRODUCT]);
    validation.set_issuer(&[sample::ISSUER]);
    validation.validate_nbf = true;
    Candidate {
        name: "jsonwebtoken 11 EdDSA (rust_crypto, not strict), JSON",
        token_chars: Some(token.len()),
        check: Box::new(move || {
            let license = decode::<Value>(&token, &key, &validation).expect("the token is valid");
            assert_eq!(license.claims["plan"], sample::PLAN);
        }),
    }
}

fn token() -> String {
    let header = json!({ "alg": "EdDSA", "typ": "JWT", "kid": "k4.pid.b5VJ6" });
    let segment = |value: &Value| base64url(value.to_string().as_bytes());
    let signed = format!("{}.{}", segment(&header), segment(&sample::json()));
    let signature = sample::signing_key().sign(signed.as_bytes());
    format!("{signed}.{}", base64url(&signature.to_bytes()))
}
