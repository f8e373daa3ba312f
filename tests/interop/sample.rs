//! One license, made from the wire format's description with pasetors and ciborium alone.

use ciborium::Value;
use pasetors::keys::{AsymmetricPublicKey, AsymmetricSecretKey};
use pasetors::paserk::{FormatAsPaserk, Id};
use pasetors::token::UntrustedToken;
use pasetors::version4::{PublicToken, V4};
use pasetors::{Public, errors::Error};

/// What a license token is signed under; never on the wire.
pub(crate) const ASSERTION: &str = "phi.license.v1";

/// The secret half of the key every sample is signed with: a test key, worth nothing.
const SNAKEOIL_SEED: [u8; 32] = [0x42; 32];

/// A key pair, and the footer of a license under it.
pub(crate) struct Sample {
    pub(crate) seed: [u8; 32],
    pub(crate) public_key: [u8; 32],
    pub(crate) footer: Vec<u8>,
}

impl Sample {
    pub(crate) fn new() -> Self {
        let signing = ed25519_dalek::SigningKey::from_bytes(&SNAKEOIL_SEED);
        let public_key = signing.verifying_key().to_bytes();
        Self {
            seed: SNAKEOIL_SEED,
            public_key,
            footer: footer(&key_id(&public_key)),
        }
    }

    /// The token as pasetors mints it.
    pub(crate) fn token(&self) -> String {
        let mut pair = self.seed.to_vec();
        pair.extend_from_slice(&self.public_key);
        let key = AsymmetricSecretKey::<V4>::from(&pair).unwrap();
        PublicToken::sign(&key, b"{}", Some(&self.footer), Some(ASSERTION.as_bytes())).unwrap()
    }

    /// What pasetors says of `token`.
    pub(crate) fn verify(&self, token: &str, assertion: &str) -> Result<(), Error> {
        let key = AsymmetricPublicKey::<V4>::from(&self.public_key)?;
        let token = UntrustedToken::<Public, V4>::try_from(token)?;
        let assertion = Some(assertion.as_bytes());
        let trusted = PublicToken::verify(&key, &token, Some(&self.footer), assertion)?;
        assert_eq!(trusted.payload(), "{}");
        assert_eq!(trusted.footer(), self.footer);
        Ok(())
    }
}

/// The first 9 bytes of the key's PASERK id: the 12 characters after `k4.pid.`.
fn key_id(public_key: &[u8; 32]) -> [u8; 9] {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

    let key = AsymmetricPublicKey::<V4>::from(public_key).unwrap();
    let mut paserk = String::new();
    Id::from(&key).fmt(&mut paserk).unwrap();
    let id = paserk.strip_prefix("k4.pid.").unwrap();
    URL_SAFE_NO_PAD
        .decode(&id[..12])
        .unwrap()
        .try_into()
        .unwrap()
}

/// `[kid, body]` in deterministic CBOR: a license with a term of every kind.
fn footer(key_id: &[u8; 9]) -> Vec<u8> {
    let uint = |value: u64| Value::from(value);
    let pair = |code: u64, value: Value| (Value::from(code), value);
    let body = Value::Map(vec![
        pair(0, uint(1)),
        pair(1, "example.com".into()),
        pair(2, "ada".into()),
        pair(4, uint(1_924_992_000)),
        pair(6, uint(1_893_456_000)),
        pair(7, Value::Bytes((0..16).collect())),
        pair(8, "editor".into()),
        pair(9, "team".into()),
        pair(10, Value::Bytes(vec![0b0000_1011, 0b1000_0000])),
        pair(
            11,
            Value::Map(vec![pair(0, Value::Array(vec![uint(5000), uint(3)]))]),
        ),
        pair(12, Value::Map(vec![pair(0, uint(25)), pair(1, uint(4))])),
        pair(
            15,
            Value::Array(vec![Value::Bytes((16..32).collect()), uint(1)]),
        ),
        pair(16, uint(7)),
        pair(19, uint(1)),
    ]);
    let footer = Value::Array(vec![Value::Bytes(key_id.to_vec()), body]);
    let mut bytes = Vec::new();
    ciborium::into_writer(&footer, &mut bytes).unwrap();
    bytes
}
