//! The issuer's keys and where their signers are: found, opened, added and tried.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use phi_verify::{KeyId, PublicKey};

use super::{NewInToken, Place, Program, token};
use crate::{
    Context, Issuer,
    error::Error,
    event::Event,
    keyfile::Signer,
    keys::{self, KeyScope, Role},
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
    /// an encrypted file. The signer is tried before anything is recorded. A license key may have
    /// a scope.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a program without a name; [`Error::Signer`] or [`Error::Sign`] if the
    /// signer does not answer or sign; [`Error::AlreadyExists`] if the ledger has the key.
    pub fn add_key(
        &mut self,
        role: Role,
        scope: Option<KeyScope>,
        key: &NewKey,
        unlock: &dyn Unlock,
        context: &Context,
    ) -> Result<KeyId, Error> {
        keys::check_scope(role, scope.as_ref())?;
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
                holder: None,
                scope,
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
                place.check().map_err(|problem| Error::Invalid {
                    what: "a signer",
                    problem: format!("is refused: {problem}"),
                })?;
                let signer = super::open(&place, &self.folder, public, unlock)?;
                Ok(Opened { place, signer })
            }
            NewKey::InToken {
                module,
                token,
                serial,
            } => {
                let name = format!("phi {} {role}", self.settings.issuer);
                let key = token::generate(module, token, serial.as_deref(), &name, unlock)?;
                Ok(key.into())
            }
            NewKey::OfToken {
                module,
                token,
                serial,
                id,
            } => {
                let key = token::existing(module, token, serial.as_deref(), id.clone(), unlock)?;
                Ok(key.into())
            }
        }
    }
}

impl From<NewInToken> for Opened {
    fn from(key: NewInToken) -> Self {
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

/// Reads a public half as key services give it out: PASERK `k4.public`, or PEM (RFC 8410).
///
/// # Errors
/// [`Error::Invalid`].
pub fn public_half(text: &str) -> Result<PublicKey, Error> {
    let refused = |problem: String| Error::Invalid {
        what: "the public half",
        problem,
    };
    let text = text.trim();
    if !text.starts_with(PEM_HEAD) {
        return PublicKey::from_paserk(text)
            .map_err(|error| refused(format!("is neither PEM nor a PASERK k4.public: {error}")));
    }
    let body = text
        .strip_prefix(PEM_HEAD)
        .and_then(|text| text.strip_suffix(PEM_END));
    let digits: String = body
        .ok_or_else(|| refused("has no end line of its PEM".into()))?
        .split_whitespace()
        .collect();
    let der = STANDARD
        .decode(digits)
        .map_err(|error| refused(format!("is no PEM: {error}")))?;
    let key = der
        .strip_prefix(ED25519_KEY)
        .and_then(|key| <&[u8; 32]>::try_from(key).ok());
    let key = key.ok_or_else(|| refused("is of another kind of key than Ed25519".into()))?;
    PublicKey::from_bytes(key).map_err(|error| refused(format!("may not sign: {error}")))
}

const PEM_HEAD: &str = "-----BEGIN PUBLIC KEY-----";
const PEM_END: &str = "-----END PUBLIC KEY-----";
/// What precedes the key in an Ed25519 `SubjectPublicKeyInfo`.
const ED25519_KEY: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";

#[cfg(test)]
mod tests {
    use super::*;

    /// A program that nothing names is refused as one that does not sign is.
    #[test]
    fn a_signer_without_a_name_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let passphrase = crate::passphrase::Passphrase::from_bytes(b"snakeoil").unwrap();
        let context = Context::new(phi_verify::UnixTime::new(1_900_000_000).unwrap(), "ann");
        let options = crate::InitOptions {
            issuer: "atlas.example".into(),
            product: "atlas".into(),
            kdf: crate::keyfile::KdfStrength::Fast,
            store: crate::StoreOptions::default(),
            root: crate::FirstRoot::ByCeremony,
        };
        let mut issuer = Issuer::init(folder.path(), &options, &passphrase, &context).unwrap();
        let public = crate::keyfile::SigningKey::generate().unwrap();
        for argv in [vec![], vec![String::new()]] {
            let key = NewKey::Behind {
                program: Program { argv },
                public: public.public().clone(),
            };
            let added = issuer.add_key(Role::License, None, &key, &passphrase, &context);
            assert_eq!(added.unwrap_err().code(), "input-invalid");
        }
    }

    /// RFC 8410, section 10.1, and the same key in PASERK.
    #[test]
    fn public_halves_read_in_both_forms() {
        let pem = "-----BEGIN PUBLIC KEY-----\n\
                   MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
                   -----END PUBLIC KEY-----\n";
        let key = public_half(pem).unwrap();
        assert_eq!(key.as_bytes()[..2], [0x19, 0xbf]);
        assert_eq!(public_half(&format!("{}\n", key.to_paserk())).unwrap(), key);
        let cut = &pem[..pem.len() - 30];
        let x25519 = pem.replace("MCowBQYDK2Vw", "MCowBQYDK2Vu");
        for refused in ["", "k4.public.AA", cut, &pem.replace("Gb9", "G!9"), &x25519] {
            let error = public_half(refused).unwrap_err();
            assert_eq!(error.code(), "input-invalid", "{refused}");
        }
    }
}
