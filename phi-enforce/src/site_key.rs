//! The key with which a site vouches for the seats that its machines take along.
//!
//! It is a file of the node's, in the form `k4.secret` of PASERK, for its owner alone. Nodes that
//! share a store share the key.

use std::{
    error::Error,
    fmt, fs,
    io::{self, ErrorKind, Read as _, Write as _},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer as _, SigningKey};
use phi_verify::PublicKey;
use zeroize::Zeroizing;

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
    /// [`SiteKeyError::Weak`] if the seed makes a key that no verifier accepts.
    pub fn from_seed(seed: &Zeroizing<[u8; 32]>) -> Result<Self, SiteKeyError> {
        Self::new(SigningKey::from_bytes(seed))
    }

    /// Reads the key of this file, or makes one if there is no such file.
    ///
    /// # Errors
    /// If the file is no key, others than its owner may do something with it, or it cannot be read
    /// or made.
    pub fn open_or_create(path: &Path) -> Result<Self, SiteKeyError> {
        if path.try_exists().map_err(failed(path, "read"))? {
            return Self::open(path);
        }
        match Self::create(path) {
            // Another node was quicker: its key is the site's.
            Err(SiteKeyError::File { source, .. }) if source.kind() == ErrorKind::AlreadyExists => {
                Self::open(path)
            }
            made => made,
        }
    }

    /// Reads the key of this file: nodes on several machines are given copies of one.
    ///
    /// # Errors
    /// If there is no such file, it is no key, or others than its owner may do something with it.
    pub fn open(path: &Path) -> Result<Self, SiteKeyError> {
        let failed = failed(path, "read");
        // A pipe in the file's place would make whoever opens it wait.
        if !fs::metadata(path).map_err(&failed)?.is_file() {
            return Err(SiteKeyError::NoKey { path: path.into() });
        }
        let file = fs::File::open(path).map_err(&failed)?;
        check_mode(path, &file)?;
        let mut text = Zeroizing::new(String::with_capacity(LONGEST_FILE));
        let read = file.take(LONGEST_FILE as u64).read_to_string(&mut text);
        let no_key = || SiteKeyError::NoKey { path: path.into() };
        match read {
            Err(error) if error.kind() == ErrorKind::InvalidData => return Err(no_key()),
            read => read.map_err(&failed)?,
        };
        let encoded = text.trim_end().strip_prefix(PREFIX).ok_or_else(no_key)?;
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| no_key())?;
        let bytes = Zeroizing::new(bytes);
        let pair = <&[u8; 64]>::try_from(bytes.as_slice()).map_err(|_| no_key())?;
        Self::new(SigningKey::from_keypair_bytes(pair).map_err(|_| no_key())?)
    }

    /// Makes a key in a new file.
    ///
    /// # Errors
    /// If there is such a file, which stays as it is, or it cannot be made.
    pub fn create(path: &Path) -> Result<Self, SiteKeyError> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *seed).map_err(|_| SiteKeyError::Randomness)?;
        let key = Self::from_seed(&seed)?;
        let pair = Zeroizing::new(key.secret.to_keypair_bytes());
        // Of the right size from the start: a text that grows leaves its old place behind.
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
        written.map_err(failed(path, "make")).map(|()| key)
    }

    /// What machines check a seat with: the application pins it, as it comes from the site by a way
    /// that is trusted.
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.secret.sign(message).to_bytes()
    }

    fn new(secret: SigningKey) -> Result<Self, SiteKeyError> {
        let public = PublicKey::from_bytes(secret.verifying_key().as_bytes());
        let public = public.map_err(|_| SiteKeyError::Weak)?;
        Ok(Self { secret, public })
    }
}

#[cfg(unix)]
fn check_mode(path: &Path, file: &fs::File) -> Result<(), SiteKeyError> {
    use std::os::unix::fs::MetadataExt as _;
    // Asked of the open file: the name could lead elsewhere by now.
    let metadata = file.metadata().map_err(failed(path, "read"))?;
    // Root lets a group read it: that is how a cluster hands out secrets.
    let closed = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    let mode = metadata.mode() & 0o777;
    if mode & closed != 0 {
        let path = path.into();
        return Err(SiteKeyError::TooOpen { path, mode });
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_mode(_: &Path, _: &fs::File) -> Result<(), SiteKeyError> {
    Ok(())
}

/// Why there is no key of a site.
#[derive(Debug)]
#[non_exhaustive]
pub enum SiteKeyError {
    /// The file cannot be read or made.
    File {
        /// The file.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Others than its owner may do something with it.
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file holds no key of the form `k4.secret`.
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The seed makes a key that no verifier accepts.
    Weak,
    /// The system has no randomness to give.
    Randomness,
}

impl SiteKeyError {
    /// The stable code of the error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::File { .. } => "site-key-file",
            Self::TooOpen { .. } => "site-key-permissions",
            Self::NoKey { .. } => "site-key-invalid",
            Self::Weak => "site-key-weak",
            Self::Randomness => "no-randomness",
        }
    }

    /// What to do.
    pub fn hint(&self) -> String {
        match self {
            Self::File { source, .. } if source.kind() == ErrorKind::AlreadyExists => {
                "name a new file: a key that machines rely on is not replaced".into()
            }
            Self::File { .. } => "name a file that this user may read, or make".into(),
            Self::TooOpen { path, .. } => format!("run `chmod 600 {}`", path.display()),
            Self::NoKey { .. } => "name the file as it was made".into(),
            Self::Weak => "take another seed, from a source of randomness".into(),
            Self::Randomness => "try again; if it persists, the system is broken".into(),
        }
    }
}

impl fmt::Display for SiteKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File {
                path,
                doing,
                source,
            } => write!(
                f,
                "cannot {doing} the site's key {}: {source}",
                path.display()
            ),
            Self::TooOpen { path, mode } => write!(
                f,
                "others may do something with the site's key {} (mode {mode:04o})",
                path.display()
            ),
            Self::NoKey { path } => {
                write!(f, "{} holds no key of the form k4.secret", path.display())
            }
            Self::Weak => f.write_str("the seed makes a key that no verifier accepts"),
            Self::Randomness => f.write_str("the system has no randomness to give"),
        }
    }
}

impl Error for SiteKeyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::File { source, .. } => Some(source),
            _ => None,
        }
    }
}

fn failed(path: &Path, doing: &'static str) -> impl Fn(io::Error) -> SiteKeyError {
    let path = path.to_owned();
    move |source| SiteKeyError::File {
        path: path.clone(),
        doing,
        source,
    }
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
            assert!(error.to_string().contains("0644"), "{error}");
            assert!(error.hint().contains("chmod 600"));
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
            assert_eq!(error.code(), "site-key-invalid", "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }
}
