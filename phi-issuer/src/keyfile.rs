//! Signing keys: made, kept at rest under a passphrase, and used.
//!
//! A key file holds one line, a PASERK `k4.secret-pw`, which any PASETO library with that format
//! can open. The role in its name is for people: which key may sign what is said by the keyset.

mod error;
mod pbkw;

use std::fmt;
use std::path::{Path, PathBuf};

use ed25519_dalek::Signer as _;
use phi_verify::{KeyId, PublicKey};
use zeroize::Zeroizing;

use crate::custody;
use crate::durable::{self, FileError, Mode};
use crate::passphrase::Passphrase;

pub use error::{KeyError, SignError};
pub use pbkw::{KdfParameters, KdfStrength};

/// Whoever can sign: a key in memory, or a device that keeps the key to itself.
pub trait Signer {
    /// The public half of the key that [`Signer::sign`] uses.
    fn public_key(&self) -> &PublicKey;

    /// Signs `message` with pure Ed25519 and checks the signature before giving it out.
    ///
    /// # Errors
    /// [`SignError`] if there is no signature, or one that does not hold.
    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError>;
}

/// An Ed25519 signing key in memory.
///
/// It is wiped when dropped, cannot be cloned and does not show itself.
pub struct SigningKey {
    /// Boxed, so that moving the key moves a pointer and leaves no copy of the secret behind.
    secret: Box<ed25519_dalek::SigningKey>,
    public: PublicKey,
}

impl SigningKey {
    /// Makes a new key from the randomness of the system.
    ///
    /// # Errors
    /// [`KeyError::Randomness`] if the system has none to give.
    pub fn generate() -> Result<Self, KeyError> {
        let mut seed = Zeroizing::new([0; 32]);
        pbkw::fill_random(seed.as_mut_slice())?;
        Self::new(Box::new(ed25519_dalek::SigningKey::from_bytes(&seed)))
    }

    /// Encrypts the key: a PASERK `k4.secret-pw`.
    ///
    /// # Errors
    /// [`KeyError::Memory`] if the system cannot give the memory that `strength` asks for,
    /// [`KeyError::Randomness`].
    pub fn seal(&self, passphrase: &Passphrase, strength: KdfStrength) -> Result<String, KeyError> {
        pbkw::wrap(&self.keypair(), passphrase, strength)
    }

    /// Decrypts a PASERK `k4.secret-pw`, however strong its key stretching, within limits.
    ///
    /// # Errors
    /// [`KeyError::Malformed`] and [`KeyError::KdfLimit`] before any work is done;
    /// [`KeyError::Memory`]; [`KeyError::WrongPassphrase`]; [`KeyError::PublicHalf`].
    pub fn open(sealed: &str, passphrase: &Passphrase) -> Result<Self, KeyError> {
        Self::from_keypair(&*pbkw::unwrap(sealed, passphrase)?)
    }

    /// The key of a secret and its public half.
    pub(crate) fn from_keypair(keypair: &[u8; 64]) -> Result<Self, KeyError> {
        // Signing under a public half that belongs to another seed gives the seed away
        // (RUSTSEC-2022-0093): this derives the half and compares the stored one with it.
        let key = ed25519_dalek::SigningKey::from_keypair_bytes(keypair)
            .map_err(|_| KeyError::PublicHalf)?;
        Self::new(Box::new(key))
    }

    /// The secret and its public half.
    pub(crate) fn keypair(&self) -> Zeroizing<[u8; 64]> {
        Zeroizing::new(self.secret.to_keypair_bytes())
    }

    /// The public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The name of the key.
    pub fn key_id(&self) -> KeyId {
        self.public.id()
    }

    fn new(secret: Box<ed25519_dalek::SigningKey>) -> Result<Self, KeyError> {
        let public = PublicKey::from_bytes(secret.verifying_key().as_bytes())
            .map_err(|_| KeyError::PublicHalf)?;
        custody::keep_in_memory(&*secret);
        Ok(Self { secret, public })
    }
}

impl Signer for SigningKey {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError> {
        let signature = self
            .secret
            .try_sign(message)
            .map_err(|_| SignError::Failed)?;
        checked(&self.public, message, signature.to_bytes())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[signing key elided]")
    }
}

/// Gives out a signature that holds, and no other: a flipped bit while signing can reveal the key.
pub(crate) fn checked(
    public: &PublicKey,
    message: &[u8],
    signature: [u8; 64],
) -> Result<[u8; 64], SignError> {
    if public.verify(message, &signature) {
        Ok(signature)
    } else {
        Err(SignError::Failed)
    }
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
    let path = folder.join(format!("{role}-{}.key", key.key_id()));
    store_at(&path, key, passphrase, strength)?;
    Ok(path)
}

/// Writes `key`, encrypted, to a new file.
///
/// # Errors
/// As [`store`], for whatever role.
pub fn store_at(
    path: &Path,
    key: &SigningKey,
    passphrase: &Passphrase,
    strength: KdfStrength,
) -> Result<(), KeyError> {
    // Looked at first only to spare the seconds of stretching; `create_new` is what decides.
    if path.exists() {
        let path = path.to_owned();
        return Err(KeyError::File(FileError::AlreadyExists { path }));
    }
    let mut line = key.seal(passphrase, strength)?;
    line.push('\n');
    durable::create_new(path, line.as_bytes(), Mode::Private).map_err(KeyError::File)
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
