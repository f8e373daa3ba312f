//! pasetors on the very token that Phi checks.

use ciborium::Value;
use pasetors::Public;
use pasetors::keys::{AsymmetricPublicKey, AsymmetricSecretKey};
use pasetors::paserk::{FormatAsPaserk, Id};
use pasetors::token::UntrustedToken;
use pasetors::version4::{PublicToken, V4};

use crate::harness::Candidate;
use crate::sample;

const ASSERTION: &[u8] = b"phi.license.v1";

/// Parse and verify; the footer is left undecoded, for pasetors leaves it to its caller.
pub(crate) fn candidate() -> Candidate {
    let token = token();
    let key = public_key();
    Candidate {
        name: "pasetors 0.8 parse + verify, CBOR footer undecoded",
        token_chars: Some(token.len()),
        check: Box::new(move || {
            let untrusted = UntrustedToken::<Public, V4>::try_from(&token).expect("well formed");
            let trusted = PublicToken::verify(&key, &untrusted, None, Some(ASSERTION));
            trusted.expect("the token is valid");
        }),
    }
}

/// The license as a Phi token.
pub(crate) fn token() -> String {
    let signing = sample::signing_key();
    let key = AsymmetricSecretKey::<V4>::from(&signing.to_keypair_bytes()).expect("a key pair");
    PublicToken::sign(&key, b"{}", Some(&footer()), Some(ASSERTION)).expect("signing cannot fail")
}

/// What the signature of [`token`] covers: the pre-authentication encoding of its parts.
pub(crate) fn signed_bytes() -> Vec<u8> {
    let parts: [&[u8]; 4] = [b"v4.public.", b"{}", &footer(), ASSERTION];
    let mut bytes = length(parts.len()).to_vec();
    for part in parts {
        bytes.extend_from_slice(&length(part.len()));
        bytes.extend_from_slice(part);
    }
    bytes
}

fn length(count: usize) -> [u8; 8] {
    u64::try_from(count)
        .expect("a length in memory")
        .to_le_bytes()
}

fn public_key() -> AsymmetricPublicKey<V4> {
    let bytes = sample::signing_key().verifying_key().to_bytes();
    AsymmetricPublicKey::from(&bytes).expect("32 bytes")
}

fn footer() -> Vec<u8> {
    let footer = Value::Array(vec![Value::Bytes(key_id().to_vec()), body()]);
    let mut bytes = Vec::new();
    ciborium::into_writer(&footer, &mut bytes).expect("writing to memory cannot fail");
    bytes
}

fn key_id() -> [u8; 9] {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

    let mut paserk = String::new();
    Id::from(&public_key())
        .fmt(&mut paserk)
        .expect("writing to memory cannot fail");
    let id = paserk.strip_prefix("k4.pid.").expect("a PASERK id");
    let bytes = URL_SAFE_NO_PAD.decode(&id[..12]).expect("base64url");
    bytes.try_into().expect("12 characters are 9 bytes")
}

fn body() -> Value {
    let pair = |code: u64, value: Value| (Value::from(code), value);
    let quota = |&(code, _, limit, period, _): &(u64, &str, u64, u64, &str)| {
        pair(code, Value::Array(vec![limit.into(), period.into()]))
    };
    let license_id = Value::Bytes(sample::TOKEN_ID.to_vec());
    Value::Map(vec![
        pair(0, 1.into()),
        pair(1, sample::ISSUER.into()),
        pair(2, sample::CUSTOMER.into()),
        pair(4, sample::EXPIRES_AT.into()),
        pair(5, sample::ISSUED_AT.into()),
        pair(6, sample::ISSUED_AT.into()),
        pair(7, Value::Bytes(sample::TOKEN_ID.to_vec())),
        pair(8, sample::PRODUCT.into()),
        pair(9, sample::PLAN.into()),
        pair(10, Value::Bytes(flag_bitmap())),
        pair(11, Value::Map(sample::QUOTAS.iter().map(quota).collect())),
        pair(
            12,
            Value::Map(vec![
                pair(0, sample::SEATS.into()),
                pair(1, sample::NODES.into()),
            ]),
        ),
        pair(15, Value::Array(vec![license_id, 1.into()])),
        pair(16, 7.into()),
        pair(19, 1.into()),
    ])
}

fn flag_bitmap() -> Vec<u8> {
    let mut bitmap = vec![0_u8; 3];
    for (code, _) in sample::FLAGS {
        bitmap[usize::from(code / 8)] |= 1 << (code % 8);
    }
    bitmap
}
