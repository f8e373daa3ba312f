//! The issuer's keys and where their signers are: found, opened, added and tried.

use std::path::PathBuf;

use phi_verify::{KeyId, PublicKey};

use super::{Place, Program};
use crate::{
    Context, Issuer,
    error::Error,
    event::Event,
    keyfile::Signer,
    keys::{self, Role},
    passphrase::Unlock,
};

/// A key that is to be added, whose private half is not in a file of the issuer's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewKey {
    /// To be made in a PKCS#11 token, which keeps it.
    InToken {
        /// The module.
        module: PathBuf,
        /// The token's label.
        token: String,
        /// The token's serial number, where several have the label.
        serial: Option<String>,
    },
    /// In a PKCS#11 token already.
    OfToken {
        /// The module.
        module: PathBuf,
        /// The token's label.
        token: String,
        /// The token's serial number, where several have the label.
        serial: Option<String>,
        /// The key's `CKA_ID`.
        id: Vec<u8>,
    },
    /// Behind a program.
    Behind {
        /// The program.
        program: Program,
        /// The public half.
        public: PublicKey,
    },
}

/// A key that the ledger does not have yet, opened.
struct Opened {
    place: Place,
    signer: Box<dyn Signer>,
}

impl Issuer {
    /// Adds a key that waits, whose signer is elsewhere; as [`Issuer::new_key`] does with one in
    /// an encrypted file. The signer is tried before anything is recorded.
    ///
    /// # Errors
    /// [`Error::Signer`] or [`Error::Sign`] if the signer does not answer or sign;
    /// [`Error::AlreadyExists`] if the ledger has the key.
    pub fn add_key(
        &mut self,
        role: Role,
        key: &NewKey,
        unlock: &dyn Unlock,
        context: &Context,
    ) -> Result<KeyId, Error> {
        let Opened { place, signer } = self.open_new(role, key, unlock)?;
        super::check(&*signer)?;
        let public = signer.public_key().clone();
        let key_id = public.id();
        // Known before the file is made, and looked at again with the event.
        self.store.read(|query| not_there(&query.keys()?, key_id))?;
        place.write(&self.place_path(role, key_id))?;
        self.store.write(context, |writer| {
            not_there(&writer.query().keys()?, key_id)?;
            writer.append(&Event::KeyAdded {
                role,
                public,
                from: None,
            })
        })?;
        Ok(key_id)
    }

    /// Opens a key's signer and has it sign a message of no use to anyone.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::KeyFileMissing`], [`Error::Key`], [`Error::Signer`] or
    /// [`Error::Sign`].
    pub fn check_key(&mut self, key_id: KeyId, unlock: &dyn Unlock) -> Result<(), Error> {
        let row = self.store.read(|query| keys::find(query, key_id))?;
        let signer = self.open_signer(row.role, &row.public, unlock)?;
        Ok(super::check(&*signer)?)
    }

    fn open_new(&self, role: Role, key: &NewKey, unlock: &dyn Unlock) -> Result<Opened, Error> {
        match key {
            NewKey::Behind { program, public } => {
                let place = Place::Exec(program.clone());
                let signer = super::open(&place, &self.folder, public, unlock)?;
                Ok(Opened { place, signer })
            }
            #[cfg(feature = "pkcs11")]
            NewKey::InToken {
                module,
                token,
                serial,
            } => {
                let name = format!("phi {} {role}", self.settings.issuer);
                let key = super::generate(module, token, serial.as_deref(), &name, unlock)?;
                Ok(key.into())
            }
            #[cfg(feature = "pkcs11")]
            NewKey::OfToken {
                module,
                token,
                serial,
                id,
            } => {
                let key = super::existing(module, token, serial.as_deref(), id.clone(), unlock)?;
                Ok(key.into())
            }
            #[cfg(not(feature = "pkcs11"))]
            NewKey::InToken { .. } | NewKey::OfToken { .. } => {
                let _ = role;
                Err(super::SignerError::NotBuiltIn.into())
            }
        }
    }
}

#[cfg(feature = "pkcs11")]
impl From<super::NewInToken> for Opened {
    fn from(key: super::NewInToken) -> Self {
        Self {
            place: Place::Pkcs11(key.place),
            signer: key.signer,
        }
    }
}

fn not_there(rows: &[crate::store::KeyRow], key_id: KeyId) -> Result<(), Error> {
    if rows.iter().all(|row| row.public.id() != key_id) {
        return Ok(());
    }
    Err(Error::AlreadyExists {
        what: "the key",
        name: key_id.to_string(),
    })
}
