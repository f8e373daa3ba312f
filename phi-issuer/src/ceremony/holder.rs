//! Holders: people who keep a root key, on a machine of theirs.
//!
//! A holder's public file is one line: the key as PASERK `k4.public`, a blank, and the name. The
//! key file is that of any signing key, under the name of its holder.

use std::path::{Path, PathBuf};

use phi_verify::PublicKey;

use crate::{
    durable::{self, Mode},
    error::Error,
    keyfile::{self, KdfStrength, SigningKey},
    passphrase::Passphrase,
};

/// What the names of a practice begin with, those of its issuer and of its holders: no real
/// issuer and no real holder has such a name.
pub const PRACTICE: &str = "PRACTICE-";

/// Whether a name is one of a practice.
pub fn is_practice(name: &str) -> bool {
    let start = name.get(..PRACTICE.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(PRACTICE))
}

/// Names stand in file names, and are read aloud.
const MAX_NAME: usize = 64;

/// A holder of a root key: a name and the public half.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    name: String,
    key: PublicKey,
}

/// The files of a new holder.
#[derive(Clone, Debug)]
pub struct HolderFiles {
    /// The holder.
    pub holder: Holder,
    /// The encrypted key, which never leaves the holder.
    pub key: PathBuf,
    /// The public line, for whoever proposes roots.
    pub public: PathBuf,
}

impl Holder {
    /// Makes a holder's key, and writes `NAME.key` and `NAME.pub` into a folder.
    ///
    /// # Errors
    /// [`Error::Invalid`] for the name; [`Error::Key`] or [`Error::File`] if a file is there
    /// already or cannot be written.
    pub fn make(
        folder: &Path,
        name: &str,
        passphrase: &Passphrase,
        strength: KdfStrength,
    ) -> Result<HolderFiles, Error> {
        check_name(name)?;
        let (key, public) = (
            folder.join(format!("{name}.key")),
            folder.join(format!("{name}.pub")),
        );
        // Before the seconds of stretching; that nothing is overwritten is decided below.
        if public.symlink_metadata().is_ok() {
            return Err(durable::FileError::AlreadyExists { path: public }.into());
        }
        let made = SigningKey::generate()?;
        let holder = Self {
            name: name.into(),
            key: made.public().clone(),
        };
        keyfile::store_at(&key, &made, passphrase, strength)?;
        durable::create_new(&public, holder.to_line().as_bytes(), Mode::Public)?;
        Ok(HolderFiles {
            holder,
            key,
            public,
        })
    }

    /// Reads a holder's public line.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn from_line(line: &str) -> Result<Self, Error> {
        let invalid = |problem: String| Error::Invalid {
            what: "a holder's public file",
            problem,
        };
        let line = line.strip_suffix('\n').unwrap_or(line);
        let line = line.strip_suffix('\r').unwrap_or(line);
        let (key, name) = line
            .split_once(' ')
            .ok_or_else(|| invalid("is one line: a key, a blank and a name".into()))?;
        let key = PublicKey::from_paserk(key)
            .map_err(|cause| invalid(format!("does not begin with a public key: {cause}")))?;
        check_name(name)?;
        Ok(Self {
            name: name.into(),
            key,
        })
    }

    /// The holder's public line, with its end.
    pub fn to_line(&self) -> String {
        format!("{} {}\n", self.key.to_paserk(), self.name)
    }

    /// The holder's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The public half of the holder's key.
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }
}

/// A name is that of two files and stands in a line.
pub(super) fn check_name(name: &str) -> Result<(), Error> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
    let begins = name
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_alphanumeric());
    if begins && name.len() <= MAX_NAME && name.bytes().all(fits) {
        return Ok(());
    }
    Err(Error::Invalid {
        what: "a holder's name",
        problem: format!(
            "is 1 to {MAX_NAME} letters, digits, and -_.@ after the first, not {name:?}"
        ),
    })
}
