//! License keys as the past has them: what keeps a row that somebody changed out of a keyset.
//!
//! A row of a key is made of the events of that key, and is made again here and compared. What a
//! keyset took from a key it does not give back, whatever events somebody wrote; that is
//! compared with keysets that are signed. The whole of the ledger is `ledger`'s to verify.

use phi_verify::{DocumentKind, KeyId, KeyState, Keyset, LicenseKey, TrustState};

use super::Role;
use crate::{
    Divergence, Place, Subject,
    error::Error,
    event::Event,
    store::{KeyRow, Query},
};

/// Whether every license key is what its events make it.
///
/// # Errors
/// [`Error::Diverged`] with the first that is not.
pub(crate) fn check_rows(query: &Query<'_>) -> Result<(), Error> {
    let license = |row: &KeyRow| row.role == Role::License;
    let (mut rows, mut made) = (query.keys()?, as_events_make_them(query)?);
    rows.retain(license);
    made.retain(license);
    let pairs = rows.iter().zip(&made);
    let differs = pairs.clone().find(|(row, made)| row != made);
    let differs = differs.map(|(row, _)| row);
    // What one of the two has more comes last.
    let more = rows.get(made.len()).or_else(|| made.get(rows.len()));
    match differs.or(more) {
        None => Ok(()),
        Some(row) => Err(changed(
            row.public.id().to_string(),
            "its events make it another one",
        )),
    }
}

/// Whether these license keys may follow those of a keyset that was published: what is revoked
/// stays so, a cut only falls, and a scope stays.
///
/// # Errors
/// [`Error::Diverged`] with the first that may not.
pub(super) fn check_follows(before: &Keyset, entries: &[LicenseKey]) -> Result<(), Error> {
    for entry in entries {
        let Some(was) = before.key(entry.key.id()) else {
            continue;
        };
        let problem = if gives_back(was.state, entry.state) {
            "takes from it what the ledger gives back"
        } else if was.scope != entry.scope {
            "has another scope for it"
        } else {
            continue;
        };
        let problem = format!("the published keyset {} {problem}", before.version);
        return Err(changed(entry.key.id().to_string(), &problem));
    }
    Ok(())
}

/// A keyset, if it is signed by keys that a root of the ledger named while it was the newest.
pub(super) fn once_in_force(query: &Query<'_>, document: &[u8]) -> Result<Option<Keyset>, Error> {
    let documents = query.published()?.into_iter();
    let mut roots = documents.filter(|held| held.kind == DocumentKind::Root);
    let anchor = roots.next();
    let mut trust = anchor.and_then(|anchor| TrustState::from_anchor(&anchor.document).ok());
    while let Some(state) = &mut trust {
        if state.import(document).is_ok() {
            return Ok(state.keyset().cloned());
        }
        let next = roots.next();
        if next.is_none_or(|next| state.import(&next.document).is_err()) {
            break;
        }
    }
    Ok(None)
}

fn changed(key: String, problem: &str) -> Error {
    Error::Diverged(Divergence {
        place: Place::Row { table: "keys", key },
        problem: format!("{problem}; `phi ledger verify` says what was changed"),
    })
}

/// Whether a key may do again what was taken from it. The end of a window is left to its events:
/// a ledger that was restored from a backup may have ended it later.
fn gives_back(was: KeyState, is: KeyState) -> bool {
    match (was, is) {
        (KeyState::Revoked { cut: was }, KeyState::Revoked { cut: is }) => {
            is.is_some_and(|is| was.is_none_or(|was| is > was))
        }
        (KeyState::Revoked { .. }, _) => true,
        _ => false,
    }
}

/// The rows of keys, made of their events as the store makes them.
fn as_events_make_them(query: &Query<'_>) -> Result<Vec<KeyRow>, Error> {
    let mut rows = Vec::new();
    for entry in query.key_events()? {
        let time = entry.time;
        match entry.event {
            Event::KeyAdded {
                role,
                public,
                from,
                scope,
                ..
            } => rows.push(KeyRow {
                public,
                role,
                added: time,
                from,
                until: None,
                revoked: false,
                cut: None,
                dropped: false,
                scope,
            }),
            Event::KeyActivated { key_id, from } => {
                change(&mut rows, key_id, |row| row.from = Some(from));
            }
            Event::KeyRetired { key_id, until } => {
                change(&mut rows, key_id, |row| row.until = Some(until));
            }
            Event::KeyProlonged { key_id, until } => change(&mut rows, key_id, |row| {
                // What has ended does not go on, whoever wrote that it does.
                if row.until.is_some_and(|end| time < end) {
                    row.until = until;
                }
            }),
            Event::KeyDropped { key_id } => change(&mut rows, key_id, |row| row.dropped = true),
            Event::Revoked(revocation) => {
                if let Subject::Key(key_id) = revocation.subject {
                    change(&mut rows, key_id, |row| {
                        row.revoked |= revocation.issued_before.is_none();
                        row.cut = revocation.cut;
                    });
                }
            }
            _ => {}
        }
    }
    Ok(rows)
}

fn change(rows: &mut [KeyRow], key_id: KeyId, change: impl FnOnce(&mut KeyRow)) {
    if let Some(row) = rows.iter_mut().find(|row| row.public.id() == key_id) {
        change(row);
    }
}
