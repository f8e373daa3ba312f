//! The license every format carries: a realistic one, with terms of every kind.

use ed25519_dalek::SigningKey;
use phi_tests::snakeoil::{self, DAY, START, Seed};
use serde_json::{Value, json};

pub(crate) const ISSUER: &str = snakeoil::ISSUER;
pub(crate) const PRODUCT: &str = snakeoil::PRODUCT;
pub(crate) const CUSTOMER: &str = "org-northwind";
pub(crate) const PLAN: &str = "enterprise";
pub(crate) const ISSUED_AT: u64 = START.seconds() + 45 * DAY;
pub(crate) const EXPIRES_AT: u64 = START.seconds() + 5 * 365 * DAY;
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

/// An amount for each period.
pub(crate) struct Quota {
    pub(crate) code: u16,
    pub(crate) name: &'static str,
    pub(crate) limit: u64,
    pub(crate) period: &'static str,
}

pub(crate) const QUOTAS: [Quota; 4] = [
    Quota {
        code: 0,
        name: "api_calls",
        limit: 1_000_000,
        period: "month",
    },
    Quota {
        code: 1,
        name: "build_minutes",
        limit: 50_000,
        period: "month",
    },
    Quota {
        code: 2,
        name: "storage_gib",
        limit: 2_000,
        period: "lifetime",
    },
    Quota {
        code: 3,
        name: "exports",
        limit: 100,
        period: "day",
    },
];

/// The key every token is signed with: a test key, worth nothing.
pub(crate) fn signing_key() -> SigningKey {
    Seed::License.signing_key()
}

/// The license as JSON, with names for terms, as one would write it in a JWT.
pub(crate) fn json() -> Value {
    let flags: Vec<&str> = FLAGS.iter().map(|(_, name)| *name).collect();
    let quotas = QUOTAS.map(|quota| {
        let amount = json!({ "limit": quota.limit, "period": quota.period });
        (quota.name.to_owned(), amount)
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
        "quotas": serde_json::Map::from_iter(quotas),
        "limits": { "seats": SEATS, "nodes": NODES },
        "fingerprint": base64url(&FINGERPRINT),
    })
}

pub(crate) fn base64url(bytes: &[u8]) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

    URL_SAFE_NO_PAD.encode(bytes)
}
