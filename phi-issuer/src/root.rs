//! Roots: what the newest one names, and what the next one is.
//!
//! The keys of the roles that a root names are in force because it names them; what the ledger
//! says of them beside it is their history.

use std::collections::BTreeMap;

use phi_verify::{
    DocumentKind, Error as VerifyError, Floors, KeyId, KeyState, PublicKey, RoleKeys, Root,
    TrustState, UnixTime,
};

use crate::{
    error::Error,
    event::{Event, Publication},
    keys::{KnownKeys, Role},
    store::{Query, Writer},
};

/// The roles that a root names.
pub(crate) const NAMED: [Role; 4] = [Role::Root, Role::Keyset, Role::Status, Role::Ledger];

/// A trust state of the published roots alone, unless there is none yet.
pub(crate) fn chain(query: &Query<'_>) -> Result<Option<TrustState>, Error> {
    let documents = query.published()?.into_iter();
    let mut roots = documents.filter(|held| held.kind == DocumentKind::Root);
    let Some(anchor) = roots.next() else {
        return Ok(None);
    };
    let mut trust = TrustState::from_anchor(&anchor.document).map_err(Error::NotVerified)?;
    for root in roots {
        trust.import(&root.document).map_err(Error::NotVerified)?;
    }
    Ok(Some(trust))
}

/// The newest root.
pub(crate) fn newest(query: &Query<'_>) -> Result<Root, Error> {
    Ok(chain(query)?.ok_or_else(none)?.root().clone())
}

/// The newest root and its document, unless there is none yet.
pub(crate) fn newest_document(query: &Query<'_>) -> Result<Option<(Root, Vec<u8>)>, Error> {
    let Some(trust) = chain(query)? else {
        return Ok(None);
    };
    let held = query.newest(DocumentKind::Root, "")?;
    Ok(held.map(|held| (trust.root().clone(), held.document)))
}

/// Before its first root an issuer can publish nothing.
pub(crate) fn none() -> Error {
    Error::PublicationBehind {
        problem: "there is no root document yet".into(),
        hint: "make the first one with `phi root init`",
    }
}

/// The keys of a role that are in force: those that the newest root names.
pub(crate) fn named(query: &Query<'_>, role: Role) -> Result<RoleKeys, Error> {
    of(&newest(query)?, role)
        .cloned()
        .ok_or_else(|| Error::NotFound {
            what: "role that a root names",
            name: role.to_string(),
            hint: "license keys are named by the keyset: run `phi keyset show`",
        })
}

/// The keys that a root names for a role, if it names that role.
pub(crate) const fn of(root: &Root, role: Role) -> Option<&RoleKeys> {
    match role {
        Role::Root => Some(&root.root),
        Role::Keyset => Some(&root.keyset),
        Role::Status => Some(&root.status),
        Role::Ledger => Some(&root.ledger),
        Role::License => None,
    }
}

/// Every key that a root names, with its role.
pub(crate) fn all_named(root: &Root) -> Vec<(Role, KeyId)> {
    let keys = |role| of(root, role).into_iter().flat_map(RoleKeys::keys);
    let ids = |role| keys(role).map(move |key| (role, key.id()));
    NAMED.into_iter().flat_map(ids).collect()
}

/// The first root, which names these keys.
///
/// # Errors
/// [`Error::NotFound`] if a role has none.
pub(crate) fn begin(
    issuer: String,
    named: &[(Role, RoleKeys)],
    now: UnixTime,
) -> Result<Root, Error> {
    let of = |role: Role| {
        let found = named.iter().find(|(named, _)| *named == role);
        found
            .map(|(_, keys)| keys.clone())
            .ok_or_else(|| Error::NotFound {
                what: "key for the role",
                name: role.to_string(),
                hint: "make one with `phi key new --role ROLE`",
            })
    };
    Ok(Root {
        issuer,
        version: 1,
        issued_at: now,
        root: of(Role::Root)?,
        keyset: of(Role::Keyset)?,
        status: of(Role::Status)?,
        ledger: of(Role::Ledger)?,
        floors: Floors::default(),
        refresh_by: None,
    })
}

/// Keys of a role, of which as many must sign.
pub(crate) fn role_keys(keys: Vec<PublicKey>, threshold: usize) -> Result<RoleKeys, Error> {
    RoleKeys::new(keys, threshold).map_err(|error| Error::NotVerified(VerifyError::Key(error)))
}

/// The root after `current`, in which these roles have other keys. Where the keys of a role or
/// its threshold change, its floor rises to what is published: nothing that other keys, or too
/// few of them, signed before can come back.
pub(crate) fn next(
    query: &Query<'_>,
    current: &Root,
    changed: &[(Role, RoleKeys)],
    now: UnixTime,
) -> Result<Root, Error> {
    let mut next = current.clone();
    next.version += 1;
    next.issued_at = now;
    for (role, keys) in changed {
        match role {
            Role::Root => next.root = keys.clone(),
            Role::Keyset => next.keyset = keys.clone(),
            Role::Status => next.status = keys.clone(),
            Role::Ledger => next.ledger = keys.clone(),
            Role::License => {}
        }
    }
    let published = |kind| {
        let newest = query.newest(kind, "")?;
        Ok::<_, Error>(newest.map_or(0, |held| held.version))
    };
    if next.keyset != current.keyset {
        next.floors.keyset = next.floors.keyset.max(published(DocumentKind::Keyset)?);
    }
    if next.status != current.status {
        next.floors.status = next.floors.status.max(published(DocumentKind::Status)?);
    }
    Ok(next)
}

/// Records a signed root, if it follows the newest one and names no new key that is not known
/// here, and with it which keys begin and which end.
pub(crate) fn record(
    writer: &mut Writer<'_>,
    root: &Root,
    document: Vec<u8>,
    holders: Option<&BTreeMap<KeyId, String>>,
    known: &KnownKeys,
) -> Result<Publication, Error> {
    let chain = chain(&writer.query())?;
    let before = chain.as_ref().map(|trust| all_named(trust.root()));
    match chain {
        None => TrustState::from_anchor(&document).map(drop),
        Some(mut trust) => trust.import(&document).map(drop),
    }
    .map_err(Error::NotVerified)?;
    settle(writer, root, holders)?;
    let mut named = all_named(root);
    if holders.is_some() {
        named.retain(|(role, _)| *role != Role::Root);
    }
    known.check(&writer.query(), named, &before.unwrap_or_default())?;
    let publication = Publication {
        kind: DocumentKind::Root,
        product: String::new(),
        version: root.version,
        base: None,
        issued_at: root.issued_at,
        document,
    };
    writer.append(&Event::DocumentPublished(publication.clone()))?;
    Ok(publication)
}

/// What the root names for the first time begins to sign, and what it names no more ends.
fn settle(
    writer: &mut Writer<'_>,
    root: &Root,
    holders: Option<&BTreeMap<KeyId, String>>,
) -> Result<(), Error> {
    let (now, rows) = (writer.now(), writer.query().keys()?);
    for role in NAMED {
        let keys = of(root, role).into_iter().flat_map(RoleKeys::keys);
        for key in keys {
            let begins = match rows.iter().find(|row| row.public == *key) {
                None => Event::KeyAdded {
                    role,
                    public: key.clone(),
                    from: Some(now),
                    holder: holders.and_then(|names| names.get(&key.id()).cloned()),
                    scope: None,
                },
                Some(row) => match row.state() {
                    Some(KeyState::Active { .. }) if row.role == role => continue,
                    Some(KeyState::Staged) if row.role == role => Event::KeyActivated {
                        key_id: key.id(),
                        from: now,
                    },
                    _ => return Err(spent(role, row.role, key.id())),
                },
            };
            writer.append(&begins)?;
        }
        for row in rows.iter().filter(|row| row.role == role) {
            let named = of(root, role).is_some_and(|keys| keys.contains(&row.public));
            if !named && matches!(row.state(), Some(KeyState::Active { .. })) {
                writer.append(&Event::KeyRetired {
                    key_id: row.public.id(),
                    until: now,
                })?;
            }
        }
    }
    Ok(())
}

/// A key that was replaced may be anywhere by now, and a key has one role.
pub(crate) fn spent(role: Role, was: Role, key_id: KeyId) -> Error {
    let problem = if role == was {
        "was replaced or taken back before: it does not come back"
    } else {
        "has another role already"
    };
    Error::NotAllowed {
        what: format!("{was} key {key_id}"),
        problem,
        hint: "make a new key for the role",
    }
}

#[cfg(test)]
mod tests;
