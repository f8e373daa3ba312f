//! Signers: the keys that are at hand here, opened.

use std::path::{Path, PathBuf};

use phi_verify::{KeyId, PublicKey, RoleKeys, UnixTime};

use crate::{
    Issuer,
    custody::{self, Place, SignerError},
    error::Error,
    keyfile::{self, Signer, SigningKey},
    keys::{self, Role},
    passphrase::{Passphrase, Unlock},
    root,
    store::{KeyRow, Query},
};

/// The keys of a role that are at hand, opened: as many as must sign, or more.
pub(crate) struct Signers {
    role: Role,
    /// The role as it was when they were opened.
    named: RoleKeys,
    keys: Vec<Box<dyn Signer>>,
}

impl Signers {
    /// The keys that sign.
    pub(crate) fn all(&self) -> Vec<&dyn Signer> {
        self.keys.iter().map(AsRef::as_ref).collect()
    }

    /// Keys are opened before the transaction that they sign for: the role must not have got
    /// others in between.
    pub(crate) fn still_in_force(&self, query: &Query<'_>) -> Result<(), Error> {
        if root::named(query, self.role)? == self.named {
            return Ok(());
        }
        Err(keys::took_over(self.role))
    }
}

impl Issuer {
    /// Opens every key of a role that is at hand.
    ///
    /// # Errors
    /// [`Error::KeyFileMissing`] or [`Error::SignersMissing`] if those are too few.
    pub(crate) fn signers(&mut self, role: Role, unlock: &dyn Unlock) -> Result<Signers, Error> {
        let named = self.store.read(|query| root::named(query, role))?;
        let (here, missing): (Vec<_>, Vec<_>) = named
            .keys()
            .iter()
            .partition(|key| self.is_at_hand(role, key.id()));
        // Found out before the seconds that the others take to open.
        if here.len() < named.threshold() {
            return Err(self.too_few(role, &named, &missing));
        }
        let open = |key: &&PublicKey| self.open_signer(role, key, unlock);
        let keys = here.iter().map(open).collect::<Result<_, _>>()?;
        Ok(Signers { role, named, keys })
    }

    /// Whether enough root keys are here to sign the next root; else a rotation proposes it.
    ///
    /// # Errors
    /// If the store cannot be read; [`Error::PublicationBehind`] before the first root.
    pub fn root_is_at_hand(&mut self) -> Result<bool, Error> {
        let named = self.store.read(|query| root::named(query, Role::Root))?;
        let here = named.keys().iter();
        let here = here
            .filter(|key| self.is_at_hand(Role::Root, key.id()))
            .count();
        Ok(here >= named.threshold())
    }

    /// Opens the license keys that are in use, one of each scope.
    pub(crate) fn license_signers(
        &mut self,
        unlock: &dyn Unlock,
        now: UnixTime,
    ) -> Result<Vec<Box<dyn Signer>>, Error> {
        let keys = self.store.read(|query| keys::in_use(query, now))?;
        let open = |row: &KeyRow| self.open_signer(Role::License, &row.public, unlock);
        keys.iter().map(open).collect()
    }

    /// Whether a key can be opened here, as far as is known without opening it.
    pub(crate) fn is_at_hand(&self, role: Role, key_id: KeyId) -> bool {
        self.whereabouts(role, key_id).0.is_some()
    }

    /// Opens a key of this issuer: the one place that knows where keys are.
    ///
    /// # Errors
    /// [`Error::KeyFileMissing`] if it is not at hand; [`SignerError::Twice`] if it is in a file
    /// and elsewhere.
    pub(crate) fn open_signer(
        &self,
        role: Role,
        key: &PublicKey,
        unlock: &dyn Unlock,
    ) -> Result<Box<dyn Signer>, Error> {
        let key_id = key.id();
        let (file, place) = (self.key_path(role, key_id), self.place_path(role, key_id));
        match (file.exists(), place.exists()) {
            (true, true) => Err(SignerError::Twice { key_id }.into()),
            (false, false) => Err(self.key_file_missing(role, key_id)),
            (false, true) => {
                let place = Place::read(&place)?;
                Ok(custody::open(&place, &self.folder, key, unlock)?)
            }
            (true, false) => Ok(Box::new(load(&file, key, unlock.passphrase()?)?)),
        }
    }

    /// Where the signer of a key is said to be, if it is elsewhere than in a file.
    pub(crate) fn place_path(&self, role: Role, key_id: KeyId) -> PathBuf {
        Place::path(&self.keys_folder(), role.name(), key_id)
    }

    /// The file of a key, encrypted or with the place of its signer, and that place if it reads.
    pub(crate) fn whereabouts(
        &self,
        role: Role,
        key_id: KeyId,
    ) -> (Option<PathBuf>, Option<Place>) {
        let (file, place) = (self.key_path(role, key_id), self.place_path(role, key_id));
        if file.exists() {
            return (Some(file), None);
        }
        let read = Place::read(&place).ok();
        (Some(place).filter(|place| place.exists()), read)
    }

    fn too_few(&self, role: Role, named: &RoleKeys, missing: &[&PublicKey]) -> Error {
        if let [only] = named.keys() {
            return self.key_file_missing(role, only.id());
        }
        Error::SignersMissing {
            role,
            threshold: named.threshold(),
            here: named.keys().len() - missing.len(),
            missing: missing.iter().map(|key| key.id()).collect(),
        }
    }

    fn key_file_missing(&self, role: Role, key_id: KeyId) -> Error {
        Error::KeyFileMissing {
            role,
            key_id,
            path: self.key_path(role, key_id),
        }
    }
}

/// Opens the key in a file, which must be this one.
pub(crate) fn load(
    path: &Path,
    public: &PublicKey,
    passphrase: &Passphrase,
) -> Result<SigningKey, Error> {
    let key = keyfile::load(path, passphrase)?;
    if key.public() == public {
        return Ok(key);
    }
    Err(Error::Invalid {
        what: "the key file",
        problem: format!("holds another key than {}", public.id()),
    })
}
