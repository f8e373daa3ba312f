//! Keys that are known here: what keeps a key out of a document that somebody wrote into the store.
//!
//! A key that a document names for the first time has its private half in the issuer's folder, or
//! the operator answers for it. Whoever can write the store can do neither.

use std::path::PathBuf;

use phi_verify::{DocumentKind, KeyId, LicenseKey};

use super::{Role, key_file, recorded};
use crate::{
    Issuer,
    custody::Place,
    durable::{self, FileError},
    error::Error,
    event::{Event, Publication},
    issuer::{KEYS, KEYSET, PUBLISHED, check_anchor},
    store::Query,
};

/// What is known of keys where documents are made.
#[derive(Debug)]
pub(crate) struct KnownKeys {
    /// The issuer's folder, with the private halves and the trust anchor.
    folder: PathBuf,
    /// Those for which the operator answers.
    accepted: Vec<KeyId>,
}

impl Issuer {
    pub(crate) fn known_keys(&self) -> KnownKeys {
        KnownKeys {
            folder: self.folder.clone(),
            accepted: self.accepted.clone(),
        }
    }
}

impl KnownKeys {
    /// Whether a document may name these keys that the one before it does not name.
    ///
    /// # Errors
    /// [`Error::KeyNotKnown`] for the first that is not known here, [`Error::BadCopy`] if the
    /// store does not begin with the trust anchor that the folder published.
    pub(crate) fn check(
        &self,
        query: &Query<'_>,
        named: impl IntoIterator<Item = (Role, KeyId)>,
        before: &[(Role, KeyId)],
    ) -> Result<(), Error> {
        // Of a beginning that was replaced, what stands before is worth nothing.
        check_anchor(&self.folder, query)?;
        let new = named.into_iter().filter(|key| !before.contains(key));
        for (role, key_id) in new {
            let keys = self.folder.join(KEYS);
            let is_here = keys.join(key_file(role, key_id)).exists()
                || Place::path(&keys, role.name(), key_id).exists();
            if !is_here && !self.accepted.contains(&key_id) {
                return Err(unknown(query, role, key_id)?);
            }
        }
        Ok(())
    }
}

impl KnownKeys {
    /// Whether a keyset may name these license keys, after the one that was published last.
    ///
    /// # Errors
    /// [`Error::Diverged`] for the first that is not what its events make it, or that has back
    /// what a published keyset took from it; [`Error::OlderThanPublished`].
    pub(crate) fn check_past(
        &self,
        query: &Query<'_>,
        entries: &[LicenseKey],
        newest: Option<&Publication>,
    ) -> Result<(), Error> {
        recorded::check_rows(query)?;
        let mut version = 0;
        if let Some(newest) = newest {
            version = newest.version;
            if let Some(keyset) = recorded::once_in_force(query, &newest.document)? {
                recorded::check_follows(&keyset, entries)?;
            }
        }
        // Who can write the store can have it forget what it published last; a file of the
        // folder stays.
        let path = self.folder.join(PUBLISHED).join(KEYSET);
        let file = match durable::read_regular(&path, DocumentKind::Keyset.size_limit() as u64) {
            Ok(document) => recorded::once_in_force(query, &document)?,
            Err(FileError::Missing { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let Some(keyset) = file else {
            return Ok(());
        };
        recorded::check_follows(&keyset, entries)?;
        if keyset.version > version {
            return Err(Error::OlderThanPublished {
                ahead: format!("keyset version {} (here {version})", keyset.version),
                fixed: None,
            });
        }
        Ok(())
    }
}

/// Who brought the key into the ledger, for the operator to ask.
fn unknown(query: &Query<'_>, role: Role, key_id: KeyId) -> Result<Error, Error> {
    let entry = query.entry_of_key(key_id)?;
    let entry = entry.filter(|entry| match &entry.event {
        Event::KeyAdded { public, .. } => public.id() == key_id,
        _ => false,
    });
    let Some(entry) = entry else {
        return Ok(Error::EventDamaged {
            problem: format!("no event adds the {role} key {key_id}"),
        });
    };
    Ok(Error::KeyNotKnown {
        role,
        key_id,
        actor: entry.actor,
        added: entry.time,
    })
}
