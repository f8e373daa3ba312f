//! Verifying keys: vetted when they are loaded, named by an id computed from the key.

use alloc::{string::String, vec::Vec};
use core::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use blake2::{Blake2b, Digest, digest::consts::U33};
use ed25519_dalek::{Signature, VerifyingKey};

use crate::error::{KeyError, Malformed};

/// The PASERK types of Ed25519 keys (PASERK, types/public.md and types/pid.md).
const PASERK_PUBLIC: &str = "k4.public.";
const PASERK_ID: &str = "k4.pid.";

/// The name of a key: the first 9 bytes of its PASERK `k4.pid` digest, printed as the first 12
/// characters after `k4.pid.`.
///
/// It is computed from the key and never chosen, so no two keys can claim one name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; Self::LENGTH]);

impl KeyId {
    /// Bytes in a key id.
    pub const LENGTH: usize = 9;

    /// The key id with these bytes.
    pub const fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        Self(bytes)
    }

    /// The bytes of the id.
    pub const fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 12];
        URL_SAFE_NO_PAD
            .encode_slice(self.0, &mut text)
            .map_err(|_| fmt::Error)?;
        f.pad(core::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

impl FromStr for KeyId {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let bytes = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| KeyError::NotAKeyId)?;
        bytes.try_into().map(Self).map_err(|_| KeyError::NotAKeyId)
    }
}

/// An Ed25519 verifying key that is canonical, not weak and of prime order.
///
/// `verify_strict` alone does not vet a key: with a key of small or mixed order one signature
/// can hold for many messages. "Taming the many `EdDSAs`" (eprint 2020/1244) has the cases.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    key: VerifyingKey,
    id: KeyId,
}

impl PublicKey {
    /// Vets a key in the encoding of RFC 8032 section 5.1.2.
    ///
    /// # Errors
    /// [`KeyError::NotAPoint`], [`KeyError::NotCanonical`], [`KeyError::Weak`] or
    /// [`KeyError::MixedOrder`].
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::NotAPoint)?;
        let point = key.to_edwards();
        // dalek decodes y >= p as ZIP-215 does; two encodings of a key would be two key ids.
        if point.compress().as_bytes() != bytes {
            return Err(KeyError::NotCanonical);
        }
        if key.is_weak() {
            return Err(KeyError::Weak);
        }
        if !point.is_torsion_free() {
            return Err(KeyError::MixedOrder);
        }
        Ok(Self {
            key,
            id: id_of(bytes),
        })
    }

    /// Reads a key in its PASERK form, `k4.public.…`.
    ///
    /// # Errors
    /// [`KeyError::NotPaserk`], or why the key itself is refused.
    pub fn from_paserk(text: &str) -> Result<Self, KeyError> {
        let encoded = text
            .strip_prefix(PASERK_PUBLIC)
            .ok_or(KeyError::NotPaserk)?;
        let bytes = URL_SAFE_NO_PAD
            .decode(encoded)
            .map_err(|_| KeyError::NotPaserk)?;
        Self::from_bytes(&bytes.try_into().map_err(|_| KeyError::NotPaserk)?)
    }

    /// The key in its PASERK form, `k4.public.…`.
    pub fn to_paserk(&self) -> String {
        paserk_public(self.as_bytes())
    }

    /// The 32 bytes of the key.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// The key's name.
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// Whether the signature holds over exactly these bytes. This is the one definition of a
    /// valid signature in Phi: no batch, no cofactor, no malleability.
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.key
            .verify_strict(message, &Signature::from_bytes(signature))
            .is_ok()
    }

    pub(crate) fn decode(bytes: [u8; 32], key: u64) -> Result<Self, Malformed> {
        Self::from_bytes(&bytes).map_err(|cause| Malformed::Key { key, cause })
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.id)
    }
}

fn paserk_public(bytes: &[u8; 32]) -> String {
    let mut text = String::from(PASERK_PUBLIC);
    URL_SAFE_NO_PAD.encode_string(bytes, &mut text);
    text
}

/// PASERK, operations/ID.md: `BLAKE2b-264(h || paserk)`, of which Phi keeps the first 9 bytes.
fn id_of(bytes: &[u8; 32]) -> KeyId {
    let digest = Blake2b::<U33>::new()
        .chain_update(PASERK_ID)
        .chain_update(paserk_public(bytes))
        .finalize();
    let mut id = [0; KeyId::LENGTH];
    id.copy_from_slice(&digest[..KeyId::LENGTH]);
    KeyId(id)
}

/// The keys of one role and how many of them must sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleKeys {
    keys: Vec<PublicKey>,
    threshold: usize,
}

/// A document carries at most this many signatures, and so has at most this many keys a role: the
/// work of a verifier is bounded before any signature is checked.
pub const MAX_SIGNERS: usize = 16;

impl RoleKeys {
    /// A role of `keys`, of which `threshold` must sign.
    ///
    /// # Errors
    /// [`KeyError::Threshold`] if no set of these keys could meet it, or there are over
    /// [`MAX_SIGNERS`]; [`KeyError::Duplicate`] if a key is there twice.
    pub fn new(keys: Vec<PublicKey>, threshold: usize) -> Result<Self, KeyError> {
        if threshold == 0 || threshold > keys.len() || keys.len() > MAX_SIGNERS {
            return Err(KeyError::Threshold);
        }
        // Raw keys are compared, not ids: counting ids is how others have counted one key twice.
        let repeated = |(i, key): (usize, &PublicKey)| {
            keys[..i]
                .iter()
                .any(|other| other.as_bytes() == key.as_bytes())
        };
        if keys.iter().enumerate().any(repeated) {
            return Err(KeyError::Duplicate);
        }
        Ok(Self { keys, threshold })
    }

    /// The keys of the role.
    pub fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    /// How many of the keys must sign.
    pub const fn threshold(&self) -> usize {
        self.threshold
    }

    /// Whether the key is one of the role's.
    pub fn contains(&self, key: &PublicKey) -> bool {
        self.keys.iter().any(|own| own.as_bytes() == key.as_bytes())
    }
}
