//! Keys and signatures that no honest signer makes: what separates strict verification from the
//! rest ("Taming the many `EdDSAs`", eprint 2020/1244).

use curve25519_dalek::{EdwardsPoint, Scalar, constants::EIGHT_TORSION, scalar::clamp_integer};
use sha2::{Digest as _, Sha512};

/// The order of the base point, little-endian (RFC 8032 section 5.1).
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// A point of order 8.
pub(super) fn torsion() -> EdwardsPoint {
    EIGHT_TORSION[1]
}

/// A point of this order, which divides eight.
pub(super) fn of_order(order: usize) -> [u8; 32] {
    EIGHT_TORSION[8 / order % 8].compress().to_bytes()
}

/// The identity, `(0, 1)`, in its canonical encoding.
pub(super) const IDENTITY: [u8; 32] = {
    let mut bytes = [0; 32];
    bytes[0] = 1;
    bytes
};

/// An encoding of `y = p + n`, which decoders that do not check take for `n`.
pub(super) const fn beyond_field(n: u8) -> [u8; 32] {
    let mut bytes = [0xff; 32];
    bytes[0] = 0xed + n;
    bytes[31] = 0x7f;
    bytes
}

/// A secret scalar and the key that the signer claims for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signer {
    pub(super) secret: Scalar,
    pub(super) key: [u8; 32],
}

impl Signer {
    /// The key of a seed (RFC 8032 section 5.1.5).
    pub(super) fn of_seed(seed: u8) -> Self {
        let hash = Sha512::digest([seed; 32]);
        let half = hash[..32].try_into().expect("half of 64 bytes");
        let secret = Scalar::from_bytes_mod_order(clamp_integer(half));
        let key = EdwardsPoint::mul_base(&secret).compress().to_bytes();
        Self { secret, key }
    }

    /// Nobody's key: for a key of small order every secret is zero.
    pub(super) const fn of_small_order(key: [u8; 32]) -> Self {
        let secret = Scalar::ZERO;
        Self { secret, key }
    }

    /// The same secret under this key with a component of order 8.
    pub(super) fn mixed(&self) -> Self {
        let point = EdwardsPoint::mul_base(&self.secret) + torsion();
        Self {
            key: point.compress().to_bytes(),
            ..*self
        }
    }

    /// The challenge `k`.
    pub(super) fn challenge(&self, commitment: &[u8; 32], message: &[u8]) -> Scalar {
        let hash = Sha512::new()
            .chain_update(commitment)
            .chain_update(self.key)
            .chain_update(message)
            .finalize();
        Scalar::from_bytes_mod_order_wide(&hash.into())
    }

    /// `R || S` with `S = r + k a` for this encoding of `R`.
    pub(super) fn sign(&self, nonce: Scalar, commitment: [u8; 32], message: &[u8]) -> [u8; 64] {
        let response = nonce + self.challenge(&commitment, message) * self.secret;
        join(commitment, response.to_bytes())
    }

    /// A signature with an honest commitment.
    pub(super) fn sign_plainly(&self, message: &[u8]) -> [u8; 64] {
        let (nonce, point) = nonce(1);
        self.sign(nonce, point.compress().to_bytes(), message)
    }

    /// `R + T8`: holds only where verification multiplies by the cofactor.
    pub(super) fn sign_with_torsion(&self, message: &[u8]) -> [u8; 64] {
        let (nonce, point) = nonce(1);
        self.sign(nonce, (point + torsion()).compress().to_bytes(), message)
    }

    /// A commitment of small order in this encoding, whose nonce is zero.
    pub(super) fn sign_without_nonce(&self, commitment: [u8; 32], message: &[u8]) -> [u8; 64] {
        self.sign(Scalar::ZERO, commitment, message)
    }

    /// A signature whose challenge is, or is not, a multiple of eight.
    pub(super) fn sign_with_challenge(&self, multiple: bool, message: &[u8]) -> [u8; 64] {
        let nonces = (1..).map(|number| (nonce(number), number));
        let mut signatures = nonces.map(|((nonce, point), _)| {
            let commitment = point.compress().to_bytes();
            let challenge = self.challenge(&commitment, message).to_bytes();
            (
                challenge[0].is_multiple_of(8),
                self.sign(nonce, commitment, message),
            )
        });
        let found = signatures.find(|(found, _)| *found == multiple);
        found
            .expect("one challenge in eight is a multiple of eight")
            .1
    }
}

/// The same signature with `S + L`.
pub fn malleated(signature: &[u8; 64]) -> [u8; 64] {
    let mut copy = *signature;
    let mut carry = 0;
    for (byte, order) in copy[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    copy
}

/// A nonce that is the same in every run.
fn nonce(number: u64) -> (Scalar, EdwardsPoint) {
    let nonce = Scalar::from(number) + Scalar::from(1_u64 << 40);
    (nonce, EdwardsPoint::mul_base(&nonce))
}

fn join(commitment: [u8; 32], response: [u8; 32]) -> [u8; 64] {
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&commitment);
    signature[32..].copy_from_slice(&response);
    signature
}
