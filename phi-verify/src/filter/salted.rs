//! Salted ids: the only form in which a list knows what it lists.

use sha2::block_api::compress256;

use crate::claims::{LicenseId, TokenId};

/// The first 16 bytes of an id's salted hash, as filters read them: two little-endian numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SaltedId {
    pub(super) low: u64,
    pub(super) high: u64,
}

impl SaltedId {
    /// The salted id of a token. [`TokenHash`] is faster for many under one salt.
    pub fn of_token(salt: &[u8; 16], id: TokenId) -> Self {
        TokenHash::new(salt).of(id)
    }

    /// The salted id of a license.
    pub fn of_license(salt: &[u8; 16], id: LicenseId) -> Self {
        Block::new::<8>(salt, LICENSE).hash(id.as_bytes())
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
}

/// What makes salted ids of tokens under one salt: all of the hash that is the same for each is
/// laid out once.
#[derive(Clone, Debug)]
pub struct TokenHash(Block);

impl TokenHash {
    /// The hash of tokens' ids under this salt.
    pub fn new(salt: &[u8; 16]) -> Self {
        Self(Block::new::<16>(salt, TOKEN))
    }

    /// The salted id of a token.
    #[inline]
    pub fn of(&self, id: TokenId) -> SaltedId {
        self.0.hash(id.as_bytes())
    }
}

/// What is hashed before the salt.
const DOMAIN: &[u8; 11] = b"phi/rev/v1\0";

/// Classes of ids, as they are hashed.
const TOKEN: u8 = 0;
const LICENSE: u8 = 1;

/// `SHA-256("phi/rev/v1\0" || salt || class || id)` without the id: the message has at most 44 bytes
/// and so one block.
///
/// The block is read in quarters of 16 bytes. A processor that is to read at once what was just
/// written piece by piece waits until all before it is done, and then no two hashes are under way
/// together: a third of their time. So the quarters are made whole, by the same few operations on
/// four words each.
#[derive(Clone, Debug)]
struct Block {
    /// The block as it lies in memory, zeros where the id goes.
    words: [u32; 16],
    /// The bits of the second and third quarter that the id has. They are read from here and not
    /// known to the compiler, which would take the quarters apart.
    of_id: [u32; 8],
}

/// Where an id begins: with the last word of the second quarter.
const ID_AT: usize = 28;

impl Block {
    /// The block of ids of `N` bytes.
    #[inline]
    fn new<const N: usize>(salt: &[u8; 16], class: u8) -> Self {
        const { assert!(N == 8 || N == 16, "an id is two words or four") };
        let mut bytes = [0; 64];
        bytes[..11].copy_from_slice(DOMAIN);
        bytes[11..27].copy_from_slice(salt);
        bytes[27] = class;
        bytes[ID_AT + N] = 0x80;
        bytes[56..].copy_from_slice(&(8 * (ID_AT + N) as u64).to_be_bytes());
        let mut of_id = [0; 8];
        of_id[3..3 + N / 4].fill(u32::MAX);
        Self {
            words: words(&bytes),
            of_id,
        }
    }

    #[inline]
    fn hash<const N: usize>(&self, id: &[u8; N]) -> SaltedId {
        let mut padded = [0; 16];
        padded[..N].copy_from_slice(id);
        let [first, second, third, fourth] = words(&padded);
        let turned = [second, third, fourth, first];
        let mut block = self.words;
        let (quarters, _) = block[4..12].as_chunks_mut::<4>();
        for (quarter, of_id) in quarters.iter_mut().zip(self.of_id.as_chunks::<4>().0) {
            for (word, (id, of_id)) in quarter.iter_mut().zip(turned.iter().zip(of_id)) {
                *word |= id & of_id;
            }
        }
        let mut bytes = [0; 64];
        for (bytes, word) in bytes.as_chunks_mut().0.iter_mut().zip(block) {
            *bytes = word.to_ne_bytes();
        }
        let mut state = SHA256_BEGIN;
        compress256(&mut state, &[bytes]);
        let word = |at: usize| {
            u64::from(state[at].swap_bytes()) | u64::from(state[at + 1].swap_bytes()) << 32
        };
        SaltedId {
            low: word(0),
            high: word(2),
        }
    }
}

/// Bytes as words that lie in memory as they do.
#[inline]
fn words<const BYTES: usize, const WORDS: usize>(bytes: &[u8; BYTES]) -> [u32; WORDS] {
    let mut words = [0; WORDS];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u32::from_ne_bytes(*bytes);
    }
    words
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
