//! PASERK password-based key wrapping, version 4: `k4.secret-pw`.
//!
//! ```text
//! "k4.secret-pw." || base64url(
//!     salt 16 | memory 8, bytes | passes 4 | lanes 4 | nonce 24 | encrypted key 64 | tag 32)
//! ```
//!
//! Numbers are big-endian. The tag covers the header and everything before it, but the numbers
//! must be used to find the key that checks the tag: they are held to limits first.

use std::fmt;
use std::str::FromStr;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use blake2::digest::consts::U32;
use blake2::digest::{KeyInit as _, Mac as _};
use blake2::{Blake2b256, Blake2bMac, Digest as _};
use chacha20::XChaCha20;
use chacha20::cipher::{KeyIvInit as _, StreamCipher as _};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::error::KeyError;
use crate::passphrase::Passphrase;

/// How much work one guess of a passphrase costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KdfStrength {
    /// 19 MiB, 2 passes: the least that OWASP accepts, for rehearsals and tests.
    Fast,
    /// 256 MiB, 3 passes: about a second, for keys in use.
    #[default]
    Standard,
    /// 1 GiB, 4 passes: some seconds, for root keys.
    Strong,
}

impl KdfStrength {
    fn parameters(self) -> KdfParameters {
        let (mebibytes, passes) = match self {
            Self::Fast => (19, 2),
            Self::Standard => (256, 3),
            Self::Strong => (1024, 4),
        };
        KdfParameters {
            memory_bytes: mebibytes << 20,
            passes,
            lanes: 1,
        }
    }
}

impl fmt::Display for KdfStrength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fast => "fast",
            Self::Standard => "standard",
            Self::Strong => "strong",
        })
    }
}

impl FromStr for KdfStrength {
    type Err = UnknownStrength;

    fn from_str(name: &str) -> Result<Self, UnknownStrength> {
        match name {
            "fast" => Ok(Self::Fast),
            "standard" => Ok(Self::Standard),
            "strong" => Ok(Self::Strong),
            _ => Err(UnknownStrength),
        }
    }
}

/// A name that is not `fast`, `standard` or `strong`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownStrength;

impl fmt::Display for UnknownStrength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("key stretching is fast, standard or strong")
    }
}

impl std::error::Error for UnknownStrength {}

/// Encrypts the secret and public half of a key.
pub(super) fn wrap(
    keypair: &[u8; KEYPAIR_LEN],
    passphrase: &Passphrase,
    strength: KdfStrength,
) -> Result<String, KeyError> {
    let mut salt = [0; SALT_LEN];
    let mut nonce = [0; NONCE_LEN];
    fill_random(&mut salt)?;
    fill_random(&mut nonce)?;
    wrap_with(keypair, passphrase, &strength.parameters(), &salt, &nonce)
}

fn wrap_with(
    keypair: &[u8; KEYPAIR_LEN],
    passphrase: &Passphrase,
    parameters: &KdfParameters,
    salt: &[u8; SALT_LEN],
    nonce: &[u8; NONCE_LEN],
) -> Result<String, KeyError> {
    let keys = Keys::derive(passphrase, salt, parameters)?;
    let mut body = Vec::with_capacity(BODY_LEN);
    body.extend_from_slice(salt);
    body.extend_from_slice(&parameters.memory_bytes.to_be_bytes());
    body.extend_from_slice(&parameters.passes.to_be_bytes());
    body.extend_from_slice(&parameters.lanes.to_be_bytes());
    body.extend_from_slice(nonce);
    let mut encrypted = Zeroizing::new(*keypair);
    keys.apply_cipher(nonce, encrypted.as_mut_slice());
    body.extend_from_slice(encrypted.as_slice());
    let tag = keys.tag(&body);
    body.extend_from_slice(&tag);
    Ok(format!("{HEADER}{}", URL_SAFE_NO_PAD.encode(body)))
}

/// Decrypts what [`wrap`] encrypted.
pub(super) fn unwrap(
    sealed: &str,
    passphrase: &Passphrase,
) -> Result<Zeroizing<[u8; KEYPAIR_LEN]>, KeyError> {
    let body = decode(sealed)?;
    let fields = Fields::split(&body);
    fields.parameters.check()?;
    let keys = Keys::derive(passphrase, fields.salt, &fields.parameters)?;
    if !bool::from(keys.tag(fields.authenticated).ct_eq(fields.tag)) {
        return Err(KeyError::WrongPassphrase);
    }
    let mut keypair = Zeroizing::new(*fields.encrypted);
    keys.apply_cipher(fields.nonce, keypair.as_mut_slice());
    Ok(keypair)
}

fn decode(sealed: &str) -> Result<[u8; BODY_LEN], KeyError> {
    let malformed = |reason| KeyError::Malformed { reason };
    let encoded = sealed
        .strip_prefix(HEADER)
        .ok_or(malformed("the text does not start with \"k4.secret-pw.\""))?;
    if encoded.len() != BODY_LEN.div_ceil(3) * 4 - 1 {
        return Err(malformed("the length is not that of a k4.secret-pw"));
    }
    let bytes = URL_SAFE_NO_PAD
        .decode(encoded)
        .map_err(|_| malformed("the text is not base64url without padding"))?;
    bytes
        .try_into()
        .map_err(|_| malformed("the length is not that of a k4.secret-pw"))
}

/// The body, cut where its fields begin.
struct Fields<'a> {
    salt: &'a [u8; SALT_LEN],
    parameters: KdfParameters,
    nonce: &'a [u8; NONCE_LEN],
    encrypted: &'a [u8; KEYPAIR_LEN],
    /// Everything before the tag.
    authenticated: &'a [u8],
    tag: &'a [u8; TAG_LEN],
}

impl<'a> Fields<'a> {
    fn split(body: &'a [u8; BODY_LEN]) -> Self {
        const ENOUGH: &str = "BODY_LEN is the sum of the fields";
        let (salt, rest) = body.split_first_chunk().expect(ENOUGH);
        let (memory_bytes, rest) = rest.split_first_chunk().expect(ENOUGH);
        let (passes, rest) = rest.split_first_chunk().expect(ENOUGH);
        let (lanes, rest) = rest.split_first_chunk().expect(ENOUGH);
        let (nonce, rest) = rest.split_first_chunk().expect(ENOUGH);
        let (encrypted, _) = rest.split_first_chunk().expect(ENOUGH);
        let (authenticated, tag) = body.split_last_chunk().expect(ENOUGH);
        let parameters = KdfParameters {
            memory_bytes: u64::from_be_bytes(*memory_bytes),
            passes: u32::from_be_bytes(*passes),
            lanes: u32::from_be_bytes(*lanes),
        };
        Self {
            salt,
            parameters,
            nonce,
            encrypted,
            authenticated,
            tag,
        }
    }
}

/// What Argon2id is asked to spend on one guess of a passphrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KdfParameters {
    /// The memory.
    pub memory_bytes: u64,
    /// How often it is gone over.
    pub passes: u32,
    /// How many lanes run side by side.
    pub lanes: u32,
}

impl KdfParameters {
    /// What a sealed key asks for, read without its passphrase and so believed by nobody.
    ///
    /// # Errors
    /// [`KeyError::Malformed`].
    pub fn of_sealed(sealed: &str) -> Result<Self, KeyError> {
        Ok(Fields::split(&decode(sealed)?).parameters)
    }

    fn check(&self) -> Result<(), KeyError> {
        let within = |parameter, value, min, max| {
            if (min..=max).contains(&value) {
                Ok(())
            } else {
                Err(KeyError::KdfLimit {
                    parameter,
                    value,
                    min,
                    max,
                })
            }
        };
        within("passes", self.passes.into(), 1, MAX_PASSES.into())?;
        within("lanes", self.lanes.into(), 1, MAX_LANES.into())?;
        // Argon2 needs 8 blocks for every lane, RFC 9106 section 3.1.
        let min_memory = MIN_MEMORY_BYTES * u64::from(self.lanes);
        within(
            "bytes of memory",
            self.memory_bytes,
            min_memory,
            MAX_MEMORY_BYTES,
        )
    }

    fn argon2(&self) -> Result<Argon2<'static>, KeyError> {
        let blocks = u32::try_from(self.memory_bytes / 1024).unwrap_or(u32::MAX);
        let params = Params::new(blocks, self.passes, self.lanes, Some(32)).map_err(|_| {
            KeyError::Malformed {
                reason: "Argon2 has no such parameters",
            }
        })?;
        Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
    }
}

/// The two keys that come out of one passphrase.
struct Keys {
    encryption: Zeroizing<[u8; 32]>,
    authentication: Zeroizing<[u8; 32]>,
}

impl Keys {
    fn derive(
        passphrase: &Passphrase,
        salt: &[u8; SALT_LEN],
        parameters: &KdfParameters,
    ) -> Result<Self, KeyError> {
        let argon2 = parameters.argon2()?;
        let mut memory = memory(argon2.params().block_count(), parameters)?;
        let mut pre_key = Zeroizing::new([0; 32]);
        let filled = argon2.hash_password_into_with_memory(
            passphrase.as_bytes(),
            salt,
            pre_key.as_mut_slice(),
            memory.as_mut_slice(),
        );
        filled.expect("the passphrase, salt and key have lengths that Argon2 takes");
        Ok(Self {
            encryption: separate(ENCRYPTION, &pre_key),
            authentication: separate(AUTHENTICATION, &pre_key),
        })
    }

    fn apply_cipher(&self, nonce: &[u8; NONCE_LEN], bytes: &mut [u8]) {
        XChaCha20::new(
            self.encryption
                .as_slice()
                .try_into()
                .expect("the key has 32 bytes"),
            nonce.into(),
        )
        .apply_keystream(bytes);
    }

    fn tag(&self, body: &[u8]) -> [u8; TAG_LEN] {
        let mut mac = Blake2bMac::<U32>::new_from_slice(self.authentication.as_slice())
            .expect("BLAKE2b takes keys of 32 bytes");
        mac.update(HEADER.as_bytes());
        mac.update(body);
        mac.finalize().into_bytes().into()
    }
}

/// Asks for the memory in a way that can be refused: a machine too small gets an error.
fn memory(blocks: usize, parameters: &KdfParameters) -> Result<Zeroizing<Vec<Block>>, KeyError> {
    let mut memory = Zeroizing::new(Vec::new());
    memory
        .try_reserve_exact(blocks)
        .map_err(|_| KeyError::Memory {
            bytes: parameters.memory_bytes,
        })?;
    memory.resize(blocks, Block::default());
    Ok(memory)
}

fn separate(domain: u8, pre_key: &[u8; 32]) -> Zeroizing<[u8; 32]> {
    let digest = Blake2b256::new()
        .chain_update([domain])
        .chain_update(pre_key)
        .finalize();
    Zeroizing::new(digest.into())
}

/// Fills `bytes` from the system's randomness.
pub(super) fn fill_random(bytes: &mut [u8]) -> Result<(), KeyError> {
    getrandom::fill(bytes).map_err(|error| KeyError::Randomness(error.into()))
}

const HEADER: &str = "k4.secret-pw.";
const SALT_LEN: usize = 16;
const NONCE_LEN: usize = 24;
const KEYPAIR_LEN: usize = 64;
const TAG_LEN: usize = 32;
const BODY_LEN: usize = SALT_LEN + 8 + 4 + 4 + NONCE_LEN + KEYPAIR_LEN + TAG_LEN;

/// Domain separation of the two keys, as PASERK names the bytes.
const ENCRYPTION: u8 = 0xff;
const AUTHENTICATION: u8 = 0xfe;

/// Twice the strongest that is written here. The numbers are believed before the tag is
/// checked, so a file from a stranger could otherwise take the machine down.
const MAX_MEMORY_BYTES: u64 = 2 << 30;
const MIN_MEMORY_BYTES: u64 = 8 << 10;
const MAX_PASSES: u32 = 16;
const MAX_LANES: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    const KEYPAIR: [u8; KEYPAIR_LEN] = [0x5a; KEYPAIR_LEN];
    /// The least that opens, so that a thousand cases take no time.
    const LEAST: KdfParameters = KdfParameters {
        memory_bytes: MIN_MEMORY_BYTES,
        passes: 1,
        lanes: 1,
    };

    fn passphrase() -> Passphrase {
        Passphrase::from_bytes(b"correct horse").unwrap()
    }

    fn sealed(parameters: &KdfParameters) -> String {
        wrap_with(
            &KEYPAIR,
            &passphrase(),
            parameters,
            &[1; SALT_LEN],
            &[2; NONCE_LEN],
        )
        .unwrap()
    }

    /// A sealed key with another number in its body, which the tag no longer covers.
    fn with(field: std::ops::Range<usize>, number: u64) -> String {
        let mut body = decode(&sealed(&LEAST)).unwrap();
        let width = field.len();
        body[field].copy_from_slice(&number.to_be_bytes()[8 - width..]);
        format!("{HEADER}{}", URL_SAFE_NO_PAD.encode(body))
    }

    #[test]
    fn what_was_wrapped_unwraps() {
        for parameters in [
            LEAST,
            KdfParameters {
                memory_bytes: (64 << 10) + 1023,
                ..LEAST
            },
            KdfParameters {
                memory_bytes: 8 * 16 * 1024,
                passes: MAX_PASSES,
                lanes: MAX_LANES,
            },
        ] {
            let keypair = unwrap(&sealed(&parameters), &passphrase()).unwrap();
            assert_eq!(*keypair, KEYPAIR);
        }
    }

    #[test]
    fn every_changed_bit_is_refused() {
        let body = decode(&sealed(&LEAST)).unwrap();
        for bit in 0..BODY_LEN * 8 {
            let mut flipped = body;
            flipped[bit / 8] ^= 1 << (bit % 8);
            let text = format!("{HEADER}{}", URL_SAFE_NO_PAD.encode(flipped));
            // Some flips ask for much more memory or time, within the limits: leave those to
            // the limits' own test.
            let parameters = Fields::split(&flipped).parameters;
            if parameters.check().is_ok() && parameters.memory_bytes > 1 << 20 {
                continue;
            }
            let error = unwrap(&text, &passphrase()).unwrap_err();
            assert!(
                matches!(error, KeyError::WrongPassphrase | KeyError::KdfLimit { .. }),
                "bit {bit}: {error}"
            );
        }
    }

    #[test]
    fn every_changed_character_is_refused() {
        let text = sealed(&LEAST);
        for at in 0..text.len() {
            for replacement in ["=", "+", "/", " ", "\n", "é", ""] {
                let changed = format!("{}{replacement}{}", &text[..at], &text[at + 1..]);
                let error = unwrap(&changed, &passphrase()).unwrap_err();
                assert!(
                    matches!(error, KeyError::Malformed { .. }),
                    "{changed}: {error}"
                );
            }
        }
        for changed in [format!("{text}A"), format!(" {text}"), text.to_uppercase()] {
            let error = unwrap(&changed, &passphrase()).unwrap_err();
            assert!(
                matches!(error, KeyError::Malformed { .. }),
                "{changed}: {error}"
            );
        }
    }

    #[test]
    fn unreasonable_stretching_is_refused_before_it_starts() {
        let memory = SALT_LEN..SALT_LEN + 8;
        let passes = memory.end..memory.end + 4;
        let lanes = passes.end..passes.end + 4;
        for (text, parameter) in [
            (with(memory.clone(), 0), "bytes of memory"),
            (
                with(memory.clone(), MIN_MEMORY_BYTES - 1),
                "bytes of memory",
            ),
            (
                with(memory.clone(), MAX_MEMORY_BYTES + 1),
                "bytes of memory",
            ),
            (with(memory.clone(), u64::MAX), "bytes of memory"),
            (with(passes.clone(), 0), "passes"),
            (with(passes.clone(), 17), "passes"),
            (with(passes, u32::MAX.into()), "passes"),
            (with(lanes.clone(), 0), "lanes"),
            (with(lanes.clone(), 17), "lanes"),
            (with(lanes.clone(), u32::MAX.into()), "lanes"),
            // Two lanes need more than the least memory. Had stretching been started, the
            // largest of these numbers would take days.
            (with(lanes, 2), "bytes of memory"),
        ] {
            let error = unwrap(&text, &passphrase()).unwrap_err();
            let KeyError::KdfLimit {
                parameter: named, ..
            } = error
            else {
                panic!("{error:?}")
            };
            assert_eq!(named, parameter);
        }
        let most = KdfParameters {
            memory_bytes: MAX_MEMORY_BYTES,
            passes: MAX_PASSES,
            lanes: MAX_LANES,
        };
        assert!(most.check().is_ok());
    }

    #[test]
    fn every_strength_can_be_opened() {
        for strength in [
            KdfStrength::Fast,
            KdfStrength::Standard,
            KdfStrength::Strong,
        ] {
            let parameters = strength.parameters();
            assert!(parameters.check().is_ok());
            assert!(parameters.argon2().is_ok());
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in ".{0,300}", body in proptest::collection::vec(0_u8.., BODY_LEN)) {
            assert!(unwrap(&text, &passphrase()).is_err());
            let mut body: [u8; BODY_LEN] = body.try_into().unwrap();
            // Keep the work small: random numbers are over the limits nearly always.
            body[SALT_LEN..SALT_LEN + 6].fill(0);
            let text = format!("{HEADER}{}", URL_SAFE_NO_PAD.encode(body));
            assert!(unwrap(&text, &passphrase()).is_err());
        }
    }
}
