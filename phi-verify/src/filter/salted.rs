//! Salted ids: the only form in which a list knows what it lists.

use sha2::block_api::compress256;

use crate::claims::{LicenseId, TokenId};

/// The first 16 bytes of an id's salted hash, as filters read them: two little-endian numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SaltedId {
    pub(super) low: u64,
    pub(super) high: u64,
}

/// What is hashed before the salt, 11 bytes.
const DOMAIN: u128 = u128::from_le_bytes(*b"phi/rev/v1\0\0\0\0\0\0");

/// Classes of ids, as they are hashed.
const TOKEN: u8 = 0;
const LICENSE: u8 = 1;

impl SaltedId {
    /// The salted id of a token.
    pub fn of_token(salt: &[u8; 16], id: TokenId) -> Self {
        Self::hashed(salt, TOKEN, id.as_bytes())
    }

    /// The salted id of a license.
    pub fn of_license(salt: &[u8; 16], id: LicenseId) -> Self {
        Self::hashed(salt, LICENSE, id.as_bytes())
    }

    /// A salted id from its bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        let number = u128::from_le_bytes(bytes);
        Self {
            low: low_half(number),
            high: low_half(number >> 64),
        }
    }

    /// The bytes of the salted id.
    pub const fn to_bytes(self) -> [u8; 16] {
        (self.low as u128 | (self.high as u128) << 64).to_le_bytes()
    }

    /// `SHA-256("phi/rev/v1\0" || salt || class || id)`, whose message is at most 44 bytes and so
    /// one block: it is laid out here, which costs a third less than to feed it in pieces.
    #[inline]
    fn hashed<const N: usize>(salt: &[u8; 16], class: u8, id: &[u8; N]) -> Self {
        const { assert!(N <= 16, "message, end mark and length fit a block") };
        let mut padded = [0; 16];
        padded[..N].copy_from_slice(id);
        let ended = if N < 16 { 0x80 << (8 * N) } else { 0 };
        let (salt, id) = (
            u128::from_le_bytes(*salt),
            u128::from_le_bytes(padded) | ended,
        );
        // Whole quarters are put together in registers: what is written byte by byte and read as a
        // quarter at once is waited for.
        let quarters = [
            DOMAIN | salt << 88,
            salt >> 40 | u128::from(class) << 88 | id << 96,
            id >> 32 | if N == 16 { 0x80 << 96 } else { 0 },
            (8 * (28 + N as u128)).swap_bytes(),
        ];
        let mut block = [0; 64];
        for (quarter, bytes) in quarters.iter().zip(block.as_chunks_mut().0) {
            *bytes = quarter.to_le_bytes();
        }
        let mut state = SHA256_BEGIN;
        compress256(&mut state, &[block]);
        let word = |at: usize| {
            u64::from(state[at].swap_bytes()) | u64::from(state[at + 1].swap_bytes()) << 32
        };
        Self {
            low: word(0),
            high: word(2),
        }
    }
}

/// The state of SHA-256 before the first block (FIPS 180-4, section 5.3.3).
const SHA256_BEGIN: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

#[expect(
    clippy::cast_possible_truncation,
    reason = "the low half is what is asked for"
)]
pub(super) const fn low_half(number: u128) -> u64 {
    number as u64
}

/// The finalizer of `MurmurHash3`: a permutation in which every bit in moves every bit out. It keeps
/// nothing secret and need not: the id under it is a salted SHA-256.
#[inline]
pub(super) const fn mix(mut number: u64) -> u64 {
    number ^= number >> 33;
    number = number.wrapping_mul(0xff51_afd7_ed55_8ccd);
    number ^= number >> 33;
    number = number.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    number ^ number >> 33
}

/// 2^64 by the golden ratio, made odd: its multiples are spread evenly.
pub(super) const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// `number * range / 2^64`: below `range`, and evenly so.
#[inline]
pub(super) const fn scaled(number: u64, range: u64) -> u64 {
    low_half((number as u128 * range as u128) >> 64)
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    fn check(class: u8, id: &[u8], found: SaltedId) {
        let hash = Sha256::new()
            .chain_update(b"phi/rev/v1\0")
            .chain_update([7; 16])
            .chain_update([class])
            .chain_update(id)
            .finalize();
        assert_eq!(found.to_bytes(), hash[..16]);
        assert_eq!(SaltedId::from_bytes(found.to_bytes()), found);
    }

    #[test]
    fn the_block_laid_out_here_is_the_one_of_sha256() {
        for seed in 0..=255 {
            let token = [seed; 16];
            check(
                0,
                &token,
                SaltedId::of_token(&[7; 16], TokenId::from_bytes(token)),
            );
            let license = [seed; 8];
            let found = SaltedId::of_license(&[7; 16], LicenseId::from_bytes(license));
            check(1, &license, found);
        }
    }

    #[test]
    fn a_number_is_scaled_to_below_its_range() {
        assert_eq!(scaled(u64::MAX, 1 << 32), (1 << 32) - 1);
        assert_eq!(scaled(u64::MAX, 8), 7);
        assert_eq!(scaled(0, 8), 0);
        assert_eq!(scaled(1 << 63, 9), 4);
    }
}
