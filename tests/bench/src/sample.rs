//! The license every format carries: a realistic one, with terms of every kind.

use ed25519_dalek::SigningKey;
use serde_json::{Value, json};

/// The key every token is signed with: a test key, worth nothing.
const SNAKEOIL_SEED: [u8; 32] = [0x42; 32];

pub(crate) const ISSUER: &str = "licensing.example.com";
pub(crate) const CUSTOMER: &str = "org-northwind";
pub(crate) const PRODUCT: &str = "editor";
pub(crate) const PLAN: &str = "enterprise";
pub(crate) const ISSUED_AT: u64 = 1_767_225_600; // 2026-01-01
pub(crate) const EXPIRES_AT: u64 = 1_924_992_000; // 2031-01-01
pub(crate) const TOKEN_ID: [u8; 16] =
    *b"\x01\x8f\x2a\x40\x77\x31\x7c\x55\x9d\x10\x6e\x2b\x90\x4c\x03\xfe";
pub(crate) const FINGERPRINT: [u8; 32] = [0xa7; 32];
pub(crate) const SEATS: u64 = 25;
pub(crate) const NODES: u64 = 4;

/// Flags by catalog code and name.
pub(crate) const FLAGS: [(u16, &str); 6] = [
    (0, "audit_events"),
    (3, "single_sign_on"),
    (7, "advanced_search"),
    (11, "merge_trains"),
    (18, "custom_roles"),
    (22, "geo_replication"),
];

/// Quotas by catalog code: name, limit, and the period's code and name.
pub(crate) const QUOTAS: [(u64, &str, u64, u64, &str); 4] = [
    (0, "api_calls", 1_000_000, 3, "month"),
    (1, "build_minutes", 50_000, 3, "month"),
    (2, "storage_gib", 2_000, 0, "lifetime"),
    (3, "exports", 100, 2, "day"),
];

pub(crate) fn signing_key() -> SigningKey {
    SigningKey::from_bytes(&SNAKEOIL_SEED)
}

/// The license as JSON, with names for terms, as one would write it in a JWT.
pub(crate) fn json() -> Value {
    let flags: Vec<&str> = FLAGS.iter().map(|(_, name)| *name).collect();
    let quotas = QUOTAS.iter().map(|(_, name, limit, _, period)| {
        (
            (*name).to_owned(),
            json!({ "limit": limit, "period": period }),
        )
    });
    json!({
        "iss": ISSUER,
        "sub": CUSTOMER,
        "aud": PRODUCT,
        "iat": ISSUED_AT,
        "nbf": ISSUED_AT,
        "exp": EXPIRES_AT,
        "jti": base64url(&TOKEN_ID),
        "plan": PLAN,
        "flags": flags,
        "quotas": quotas.collect::<serde_json::Map<_, _>>(),
        "limits": { "seats": SEATS, "nodes": NODES },
        "fingerprint": base64url(&FINGERPRINT),
    })
}

pub(crate) fn base64url(bytes: &[u8]) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

    URL_SAFE_NO_PAD.encode(bytes)
}
