//! Signing keys: made, kept at rest under a passphrase, and used.
//!
//! A key file holds one line, a PASERK `k4.secret-pw`, which any PASETO library with that format
//! can open. The role in its name is for people: which key may sign what is said by the keyset.

mod error;
mod pbkw;

use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use blake2::digest::consts::U33;
use blake2::{Blake2b, Digest as _};
use ed25519_dalek::{Signature, Signer as _, VerifyingKey};
use zeroize::Zeroizing;

use crate::durable::{self, FileError, Mode};
use crate::passphrase::Passphrase;

pub use error::{KeyError, SignError};
pub use pbkw::KdfStrength;

/// Whoever can sign: a key in memory, or a device that keeps the key to itself.
pub trait Signer {
    /// The public half of the key that [`Signer::sign`] uses.
    fn public_key(&self) -> [u8; 32];

    /// Signs `message` with pure Ed25519 and checks the signature before giving it out.
    ///
    /// # Errors
    /// [`SignError`] if there is no signature, or one that does not hold.
    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError>;
}

/// An Ed25519 signing key in memory.
///
/// It is wiped when dropped, cannot be cloned and does not show itself.
// Boxed, so that moving the key moves a pointer and leaves no copy of the secret behind.
pub struct SigningKey(Box<ed25519_dalek::SigningKey>);

impl SigningKey {
    /// Makes a new key from the randomness of the system.
    ///
    /// # Errors
    /// [`KeyError::Randomness`] if the system has none to give.
    pub fn generate() -> Result<Self, KeyError> {
        let mut seed = Zeroizing::new([0; 32]);
        pbkw::fill_random(seed.as_mut_slice())?;
        Ok(Self::from_seed(&seed))
    }

    /// Encrypts the key: a PASERK `k4.secret-pw`.
    ///
    /// # Errors
    /// [`KeyError::Memory`] if the system cannot give the memory that `strength` asks for,
    /// [`KeyError::Randomness`].
    pub fn seal(&self, passphrase: &Passphrase, strength: KdfStrength) -> Result<String, KeyError> {
        let keypair = Zeroizing::new(self.0.to_keypair_bytes());
        pbkw::wrap(&keypair, passphrase, strength)
    }

    /// Decrypts a PASERK `k4.secret-pw`, however strong its key stretching, within limits.
    ///
    /// # Errors
    /// [`KeyError::Malformed`] and [`KeyError::KdfLimit`] before any work is done;
    /// [`KeyError::Memory`]; [`KeyError::WrongPassphrase`]; [`KeyError::PublicHalf`].
    pub fn open(sealed: &str, passphrase: &Passphrase) -> Result<Self, KeyError> {
        let keypair = pbkw::unwrap(sealed, passphrase)?;
        // Signing under a public half that belongs to another seed gives the seed away
        // (RUSTSEC-2022-0093): this derives the half and compares the stored one with it.
        let key = ed25519_dalek::SigningKey::from_keypair_bytes(&keypair)
            .map_err(|_| KeyError::PublicHalf)?;
        Ok(Self(Box::new(key)))
    }

    /// The public half.
    pub fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// The public half as a PASERK `k4.public`.
    pub fn public_paserk(&self) -> String {
        public_paserk(&self.public())
    }

    /// The first 9 bytes of the digest in the key's PASERK `k4.pid`.
    pub fn key_id(&self) -> [u8; 9] {
        key_id(&self.public())
    }

    fn from_seed(seed: &[u8; 32]) -> Self {
        Self(Box::new(ed25519_dalek::SigningKey::from_bytes(seed)))
    }
}

impl Signer for SigningKey {
    fn public_key(&self) -> [u8; 32] {
        self.public()
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError> {
        let signature = self.0.try_sign(message).map_err(|_| SignError::Failed)?;
        checked(&self.0.verifying_key(), message, signature)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[signing key elided]")
    }
}

/// Gives out a signature that holds, and no other: a flipped bit while signing can reveal the key.
fn checked(
    key: &VerifyingKey,
    message: &[u8],
    signature: Signature,
) -> Result<[u8; 64], SignError> {
    key.verify_strict(message, &signature)
        .map_err(|_| SignError::Failed)?;
    Ok(signature.to_bytes())
}

fn public_paserk(public: &[u8; 32]) -> String {
    format!("k4.public.{}", URL_SAFE_NO_PAD.encode(public))
}

/// The PASERK `k4.pid` operation, of whose digest Phi uses the first 9 bytes.
fn key_id(public: &[u8; 32]) -> [u8; 9] {
    let digest = Blake2b::<U33>::new()
        .chain_update(b"k4.pid.")
        .chain_update(public_paserk(public).as_bytes())
        .finalize();
    *digest.first_chunk().expect("the digest has 33 bytes")
}

/// Writes `key`, encrypted, to a new file `<role>-<key id>.key` in `folder` and returns its path.
///
/// # Errors
/// [`KeyError::Role`]; [`KeyError::File`] if the file exists or cannot be written; else as
/// [`SigningKey::seal`].
pub fn store(
    folder: &Path,
    role: &str,
    key: &SigningKey,
    passphrase: &Passphrase,
    strength: KdfStrength,
) -> Result<PathBuf, KeyError> {
    let letters = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
    if role.is_empty() || role.len() > MAX_ROLE_LEN || !role.bytes().all(letters) {
        return Err(KeyError::Role {
            role: role.to_owned(),
        });
    }
    let path = folder.join(format!(
        "{role}-{}.key",
        URL_SAFE_NO_PAD.encode(key.key_id())
    ));
    // Looked at first only to spare the seconds of stretching; `create_new` is what decides.
    if path.exists() {
        return Err(KeyError::File(FileError::AlreadyExists { path }));
    }
    let mut line = key.seal(passphrase, strength)?;
    line.push('\n');
    durable::create_new(&path, line.as_bytes(), Mode::Private).map_err(KeyError::File)?;
    Ok(path)
}

/// Reads a key file that [`store`] wrote.
///
/// # Errors
/// [`KeyError::File`] if the file is missing, open to others, or cannot be read; else as
/// [`SigningKey::open`].
pub fn load(path: &Path, passphrase: &Passphrase) -> Result<SigningKey, KeyError> {
    let bytes = durable::read_private(path, MAX_KEY_FILE_LEN).map_err(KeyError::File)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| KeyError::Malformed {
        reason: "the text is not UTF-8",
    })?;
    let line = text.strip_suffix('\n').unwrap_or(text);
    SigningKey::open(line.strip_suffix('\r').unwrap_or(line), passphrase)
}

/// A `k4.secret-pw` has 216 characters; the rest is room for a clear error about other contents.
const MAX_KEY_FILE_LEN: u64 = 1024;

/// Keeps file names short; the longest role in use is `keyset`.
const MAX_ROLE_LEN: usize = 32;

#[cfg(test)]
mod tests;
