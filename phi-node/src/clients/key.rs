//! Bearer keys: 256 random bits that are shown once, and their hashes, which are kept.

use std::fmt;

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::ClientsError;

/// What a key begins with, so that programs that look for leaked secrets know one:
/// `phi_key_[0-9a-f]{72}`.
pub const KEY_PREFIX: &str = "phi_key_";
/// As many as there are in the secret of a TLS session.
const RANDOM_BYTES: usize = 32;
/// Tells a key from a text that looks like one, without asking a node.
const CHECK_BYTES: usize = 4;
const KEY_LENGTH: usize = KEY_PREFIX.len() + 2 * (RANDOM_BYTES + CHECK_BYTES);

/// A key that was just made. It is wiped when dropped and does not show itself.
pub struct BearerKey(Zeroizing<String>);

impl BearerKey {
    /// Makes a new key from the randomness of the system.
    ///
    /// # Errors
    /// [`ClientsError::Randomness`] if the system has none to give.
    pub(super) fn generate() -> Result<Self, ClientsError> {
        let mut bytes = Zeroizing::new([0; RANDOM_BYTES + CHECK_BYTES]);
        let (random, check) = bytes.split_at_mut(RANDOM_BYTES);
        getrandom::fill(random).map_err(|_| ClientsError::Randomness)?;
        check.copy_from_slice(&check_of(random));
        // Of the right size from the start: a text that grows leaves its old place behind.
        let mut text = Zeroizing::new(String::with_capacity(KEY_LENGTH));
        text.push_str(KEY_PREFIX);
        push_hex(&mut text, bytes.as_slice());
        Ok(Self(text))
    }

    /// The key itself, to be given to the client.
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub(super) fn hash(&self) -> KeyHash {
        KeyHash(Sha256::digest(self.0.as_bytes()).into())
    }
}

impl fmt::Debug for BearerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[bearer key elided]")
    }
}

/// SHA-256 of a key. A key has 256 random bits, so there is nothing to stretch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct KeyHash([u8; 32]);

impl KeyHash {
    /// The hash of a key that a client shows; `None` if it is not one, whatever clients there are.
    pub(super) fn of_key(key: &str) -> Option<Self> {
        let digits = key.strip_prefix(KEY_PREFIX)?;
        if key.len() != KEY_LENGTH {
            return None;
        }
        let mut bytes = Zeroizing::new([0; RANDOM_BYTES + CHECK_BYTES]);
        read_hex(digits, bytes.as_mut_slice())?;
        let (random, check) = bytes.split_at(RANDOM_BYTES);
        // A key that was cut or mistyped; this tells nothing about the keys that there are.
        (check == check_of(random)).then(|| Self(Sha256::digest(key.as_bytes()).into()))
    }

    pub(super) const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(super) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// What candidates are found by.
    pub(super) const fn beginning(&self) -> [u8; 4] {
        let [a, b, c, d, ..] = self.0;
        [a, b, c, d]
    }
}

fn check_of(random: &[u8]) -> [u8; CHECK_BYTES] {
    let digest: [u8; 32] = Sha256::new()
        .chain_update(KEY_PREFIX)
        .chain_update(random)
        .finalize()
        .into();
    let [a, b, c, d, ..] = digest;
    [a, b, c, d]
}

/// Appends the lowercase digits of these bytes.
pub(super) fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            let digit = char::from_digit(u32::from(digit), 16);
            text.push(digit.expect("four bits are a digit"));
        }
    }
}

/// Reads as many lowercase digits as these bytes have, and no others.
pub(super) fn read_hex(text: &str, bytes: &mut [u8]) -> Option<()> {
    let digits = text.as_bytes();
    if digits.len() != 2 * bytes.len() {
        return None;
    }
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(())
}
