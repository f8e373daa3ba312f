//! Hashes of the log, and how a Merkle tree is made of them (RFC 9162 section 2.1.1).

use alloc::string::String;
use core::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};

/// A SHA-256 hash. As text it is base64 with padding (RFC 4648 section 4), 44 characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; Self::LENGTH]);

/// A leaf and a node of the tree begin differently, so that none can stand for the other.
const LEAF: [u8; 1] = [0];
const NODE: [u8; 1] = [1];
/// Characters of 32 bytes in base64, with the padding.
const TEXT: usize = 44;

impl Hash {
    /// Bytes in a hash.
    pub const LENGTH: usize = 32;

    /// The root of the tree that has no leaf: the hash of nothing.
    pub const EMPTY: Self = Self([
        0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9,
        0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52,
        0xb8, 0x55,
    ]);

    /// The hash with these bytes.
    pub const fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        Self(bytes)
    }

    /// The bytes of the hash.
    pub const fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }

    /// SHA-256 of these bytes, as it stands inside a [`Leaf`](super::Leaf).
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The hash of a leaf with this data: `SHA-256(0x00 || data)`.
    pub fn leaf(data: &[u8]) -> Self {
        Self(
            Sha256::new()
                .chain_update(LEAF)
                .chain_update(data)
                .finalize()
                .into(),
        )
    }

    /// The hash of a node above these two: `SHA-256(0x01 || left || right)`.
    #[must_use]
    pub fn node(left: Self, right: Self) -> Self {
        let digest = Sha256::new().chain_update(NODE).chain_update(left.0);
        Self(digest.chain_update(right.0).finalize().into())
    }

    /// Writes the text form behind what is in `text`.
    pub(super) fn push_to(self, text: &mut String) {
        STANDARD.encode_string(self.0, text);
    }
}

impl FromStr for Hash {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        if text.len() != TEXT {
            return Err(NotAHash);
        }
        let bytes = STANDARD.decode(text).map_err(|_| NotAHash)?;
        bytes.try_into().map(Self).map_err(|_| NotAHash)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; TEXT];
        STANDARD
            .encode_slice(self.0, &mut text)
            .map_err(|_| fmt::Error)?;
        f.pad(core::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

/// The text is not a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAHash;

impl fmt::Display for NotAHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a hash is 44 characters of base64, the last of them =")
    }
}

impl core::error::Error for NotAHash {}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;

    #[test]
    fn the_empty_tree_is_the_hash_of_nothing() {
        assert_eq!(Hash::EMPTY, Hash::of([]));
    }

    #[test]
    fn a_text_is_the_only_one_of_its_hash() {
        let hash = Hash::of(b"phi");
        let text = hash.to_string();
        assert_eq!(text.parse(), Ok(hash));
        let spare_bits = text.replace(&text[42..], "B=");
        for wrong in [
            &text[..43],
            &text.replace('=', ""),
            &(text.clone() + "="),
            &spare_bits,
        ] {
            assert_eq!(wrong.parse::<Hash>(), Err(NotAHash), "{wrong}");
        }
    }
}
