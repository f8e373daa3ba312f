//! Signers: the keys that are at hand here, opened.

use phi_verify::{KeyId, PublicKey, RoleKeys, UnixTime};

use crate::{
    Issuer,
    error::Error,
    keyfile::{self, Signer},
    keys::{self, Role},
    passphrase::Passphrase,
    root,
    store::Query,
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
    pub(crate) fn signers(
        &mut self,
        role: Role,
        passphrase: &Passphrase,
    ) -> Result<Signers, Error> {
        let named = self.store.read(|query| root::named(query, role))?;
        let (here, missing): (Vec<_>, Vec<_>) = named
            .keys()
            .iter()
            .partition(|key| self.is_at_hand(role, key.id()));
        // Found out before the seconds that the others take to open.
        if here.len() < named.threshold() {
            return Err(self.too_few(role, &named, &missing));
        }
        let open = |key: &&PublicKey| self.open_signer(role, key, passphrase);
        let keys = here.iter().map(open).collect::<Result<_, _>>()?;
        Ok(Signers { role, named, keys })
    }

    /// Opens the license key that is in use.
    pub(crate) fn license_signer(
        &mut self,
        passphrase: &Passphrase,
        now: UnixTime,
    ) -> Result<Box<dyn Signer>, Error> {
        let key = self
            .store
            .read(|query| keys::license_in_force(query, now))?
            .public;
        self.open_signer(Role::License, &key, passphrase)
    }

    /// Whether a key can be opened here, as far as is known without opening it.
    pub(crate) fn is_at_hand(&self, role: Role, key_id: KeyId) -> bool {
        self.key_path(role, key_id).exists()
    }

    /// Opens a key of this issuer: the one place that knows where keys are.
    ///
    /// # Errors
    /// [`Error::KeyFileMissing`] if it is not at hand.
    pub(crate) fn open_signer(
        &self,
        role: Role,
        key: &PublicKey,
        passphrase: &Passphrase,
    ) -> Result<Box<dyn Signer>, Error> {
        if !self.is_at_hand(role, key.id()) {
            return Err(self.key_file_missing(role, key.id()));
        }
        let opened = keyfile::load(&self.key_path(role, key.id()), passphrase)?;
        if opened.public() != key {
            let problem = format!("holds another key than {}", key.id());
            return Err(Error::Invalid {
                what: "the key file",
                problem,
            });
        }
        Ok(Box::new(opened))
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
