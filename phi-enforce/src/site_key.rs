//! The key with which a site vouches for the seats that its machines take along.
//!
//! It is a file of the node's, in the form `k4.secret` of PASERK, for its owner alone. Nodes that
//! share a store share the key.

use std::{
    fmt, fs,
    io::{self, ErrorKind, Read as _, Write as _},
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer as _, SigningKey};
use phi_verify::PublicKey;
use zeroize::Zeroizing;

use crate::error::{Fault, StoreError};

/// The PASERK type of an Ed25519 key pair (PASERK, types/secret.md).
const PREFIX: &str = "k4.secret.";
/// The prefix, 64 bytes in base64url, and line ends.
const LONGEST_FILE: usize = 128;

/// The key of a site.
pub struct SiteKey {
    secret: SigningKey,
    public: PublicKey,
}

impl fmt::Debug for SiteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SiteKey({}, [secret key elided])", self.public.id())
    }
}

impl SiteKey {
    /// The key with this seed, of an application that keeps it elsewhere.
    ///
    /// # Errors
    /// [`Fault::Unusable`] if the seed makes a key that no verifier accepts.
    pub fn from_seed(seed: &Zeroizing<[u8; 32]>) -> Result<Self, StoreError> {
        Self::new(SigningKey::from_bytes(seed))
    }

    /// Reads the key of this file, or makes one if there is no such file.
    ///
    /// # Errors
    /// If the file is no key, others than its owner may do something with it, or it cannot be read
    /// or made.
    pub fn open_or_create(path: &Path) -> Result<Self, StoreError> {
        if !path.try_exists().map_err(|error| failed(path, &error))? {
            match Self::make(path) {
                // Another node was quicker: its key is the site's.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                made => return made.map_err(|error| failed(path, &error)),
            }
        }
        Self::open(path)
    }

    /// Reads the key of this file: nodes on several machines are given copies of one.
    ///
    /// # Errors
    /// If there is no such file, it is no key, or others than its owner may do something with it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let file = fs::File::open(path).map_err(|error| failed(path, &error))?;
        Self::read(path, &file)
    }

    /// Makes a key in a new file.
    ///
    /// # Errors
    /// If there is such a file, which stays as it is, or it cannot be made.
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        Self::make(path).map_err(|error| failed(path, &error))
    }

    /// What machines check a seat with: the application pins it, as it comes from the site by a way
    /// that is trusted.
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.secret.sign(message).to_bytes()
    }

    fn new(secret: SigningKey) -> Result<Self, StoreError> {
        let public = PublicKey::from_bytes(secret.verifying_key().as_bytes());
        let public = public.map_err(|error| StoreError::unusable(&error))?;
        Ok(Self { secret, public })
    }

    fn read(path: &Path, file: &fs::File) -> Result<Self, StoreError> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            // Asked of the open file: the name could lead elsewhere by now.
            let metadata = file.metadata().map_err(|error| failed(path, &error))?;
            // Root lets a group read it: that is how a cluster hands out secrets.
            let closed = if metadata.uid() == 0 { 0o037 } else { 0o077 };
            if metadata.mode() & closed != 0 {
                let problem = "others may do something with it; run `chmod 600` on it";
                return Err(failed(path, &problem));
            }
        }
        let mut text = Zeroizing::new(String::new());
        let read = file.take(LONGEST_FILE as u64).read_to_string(&mut text);
        read.map_err(|error| failed(path, &error))?;
        let no_key = || failed(path, &"it holds no key of the form k4.secret");
        let encoded = text.trim_end().strip_prefix(PREFIX).ok_or_else(no_key)?;
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| no_key())?;
        let bytes = Zeroizing::new(bytes);
        let pair = <&[u8; 64]>::try_from(bytes.as_slice()).map_err(|_| no_key())?;
        Self::new(SigningKey::from_keypair_bytes(pair).map_err(|_| no_key())?)
    }

    fn make(path: &Path) -> io::Result<Self> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *seed).map_err(io::Error::other)?;
        let key = Self::from_seed(&seed).map_err(io::Error::other)?;
        let pair = Zeroizing::new(key.secret.to_keypair_bytes());
        let mut text = Zeroizing::new(String::with_capacity(LONGEST_FILE));
        text.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(*pair, &mut text);
        text.push('\n');
        // Whole or not at all: the name is given when the bytes are on the disk.
        let draft = path.with_extension(format!("{}.new", std::process::id()));
        let mut options = fs::File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            options.mode(0o600);
        }
        let written = options.open(&draft).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::hard_link(&draft, path)
        });
        // What is left of a draft that was not written is in nobody's way.
        let _ = fs::remove_file(&draft);
        written.map(|()| key)
    }
}

fn failed(path: &Path, problem: &dyn fmt::Display) -> StoreError {
    let problem = format!("the site's key {}: {problem}", path.display());
    StoreError::new(Fault::Unusable, problem)
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    reason = "a test that unwraps an error has failed"
)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("site.key");
        let made = SiteKey::open_or_create(&path).unwrap();
        let read = SiteKey::open_or_create(&path).unwrap();
        assert_eq!(made.public(), read.public());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let secret = fs::read_to_string(&path).unwrap();
        assert!(secret.starts_with(PREFIX));
        assert!(!format!("{made:?}").contains(&secret[PREFIX.len()..20]));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
            let error = SiteKey::open_or_create(&path).unwrap_err();
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn to_open_makes_nothing_and_to_create_replaces_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("site.key");
        assert!(SiteKey::open(&path).is_err());
        assert!(!path.exists());
        let made = SiteKey::create(&path).unwrap();
        assert!(SiteKey::create(&path).is_err());
        assert_eq!(SiteKey::open(&path).unwrap().public(), made.public());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_key_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("site.key");
        let key = SiteKey::open_or_create(&path).unwrap();
        let whole = fs::read_to_string(&path).unwrap();
        // Cut short, and with the half that does not belong to the seed.
        let mut pair = key.secret.to_keypair_bytes();
        pair[40] ^= 1;
        let other = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(pair));
        for text in ["", &whole[..50], &whole[3..], &other] {
            fs::write(&path, text).unwrap();
            let error = SiteKey::open_or_create(&path).unwrap_err();
            assert!(error.to_string().contains("no key"), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }
}
