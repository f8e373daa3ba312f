//! Keys: made, rotated and retired; each role has its own.

mod known;
mod life;
mod plan;
mod recorded;
mod schedule;
mod scope;

use std::{fmt, path::PathBuf};

pub(crate) use known::KnownKeys;
pub(crate) use life::{check as check_life, check_scope};
use phi_verify::{KeyId, KeyState, LicenseKey, PublicKey, RoleKeys, UnixTime};
pub(crate) use plan::Reach;
pub use plan::{
    KeyLife, KeyStep, Orphan, Orphans, PlannedStep, RevocationPlan, RotationPlan, StepTime,
};
pub(crate) use recorded::check_rows;
pub use scope::KeyScope;
pub(crate) use scope::{in_use, narrowest};
use serde::{Deserialize, Serialize};

use crate::{
    Context, Issuer, Proposal, RootChange, Settings, ceremony,
    custody::Place,
    error::Error,
    event::{Event, Publication},
    keyfile::{self, KdfStrength, Signer, SigningKey},
    passphrase::{Passphrase, Unlock},
    publish, root,
    store::{KeyRow, Query, Writer},
};

/// What a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Root documents: who may sign everything else.
    Root,
    /// Keysets and catalogs.
    Keyset,
    /// Status lists.
    Status,
    /// Ledger checkpoints.
    Ledger,
    /// Licenses.
    License,
}

impl Role {
    /// Every role, from the top of the trust down.
    pub const ALL: [Self; 5] = [
        Self::Root,
        Self::Keyset,
        Self::Status,
        Self::Ledger,
        Self::License,
    ];

    /// The role's word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Keyset => "keyset",
            Self::Status => "status",
            Self::Ledger => "ledger",
            Self::License => "license",
        }
    }

    /// The role with this word.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// How hard the file of a key of this role is to open: the root's is opened once in years.
    const fn strength(self, settings: &Settings) -> KdfStrength {
        match (self, settings.kdf) {
            (Self::Root, KdfStrength::Standard) => KdfStrength::Strong,
            (_, strength) => strength,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A key as the ledger has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// What it signs.
    pub role: Role,
    /// Its public half.
    pub public: PublicKey,
    /// When it was made.
    pub added: UnixTime,
    /// Where it is in its life; `None` if it was dropped from the keyset.
    pub state: Option<KeyState>,
    /// What it may sign, if not everything: license keys alone have one.
    pub scope: Option<KeyScope>,
    /// The file with its private half, or the one that says where that is, if it is in the
    /// folder.
    pub file: Option<PathBuf>,
    /// Where the private half is, if it is not in the file, and the file reads.
    pub place: Option<Place>,
}

impl KeyRow {
    /// Where the key is in its life; `None` if it was dropped.
    pub(crate) const fn state(&self) -> Option<KeyState> {
        if self.dropped {
            return None;
        }
        Some(match (self.revoked, self.from, self.until) {
            (true, ..) => KeyState::Revoked { cut: self.cut },
            (false, None, _) => KeyState::Staged,
            (false, Some(from), None) => KeyState::Active { from },
            (false, Some(from), Some(until)) => KeyState::Retired { from, until },
        })
    }

    fn signs_at(&self, now: UnixTime) -> bool {
        self.state().is_some_and(|state| state.signs_at(now))
    }
}

/// What a rotation did.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// The key that takes over.
    pub new: KeyId,
    /// The key that signs no more; a revoked key leaves none to retire.
    pub old: Option<KeyId>,
    /// When that is.
    pub at: UnixTime,
    /// The root that names the new key.
    pub root: NextRoot,
}

/// What became of the root that a rotation needs.
#[derive(Clone, Debug)]
pub enum NextRoot {
    /// License keys are named by the keyset.
    NotNeeded,
    /// It is signed and published.
    Published(Publication),
    /// Its holders are elsewhere: it waits for their signatures, and the new key for it.
    Proposed(Box<Proposal>),
}

impl Issuer {
    /// The keys, oldest first.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn keys(&mut self) -> Result<Vec<KeyRecord>, Error> {
        let rows = self.store.read(|query| query.keys())?;
        Ok(rows.into_iter().map(|row| self.record(row)).collect())
    }

    fn record(&self, row: KeyRow) -> KeyRecord {
        let (file, place) = self.whereabouts(row.role, row.public.id());
        KeyRecord {
            role: row.role,
            state: row.state(),
            added: row.added,
            scope: row.scope,
            public: row.public,
            file,
            place,
        }
    }

    /// Makes a key that waits: a license key is announced in the next keyset, and the keys of the
    /// other roles wait for a root that names them. [`Issuer::rotate_key`] brings it into use.
    ///
    /// # Errors
    /// If its file cannot be written, or the store.
    pub fn new_key(
        &mut self,
        role: Role,
        unlock: &dyn Unlock,
        context: &Context,
    ) -> Result<KeyId, Error> {
        self.new_scoped_key(role, None, unlock, context)
    }

    /// Makes a key as [`Issuer::new_key`] does, which may sign only this. Beside it, keys of
    /// other scopes stay in use: each license is signed by the narrowest key that may.
    ///
    /// # Errors
    /// As [`Issuer::new_key`]; [`Error::NotAllowed`] for a scope without bounds, and for one of
    /// any key but a license key.
    pub fn new_scoped_key(
        &mut self,
        role: Role,
        scope: Option<KeyScope>,
        unlock: &dyn Unlock,
        context: &Context,
    ) -> Result<KeyId, Error> {
        check_scope(role, scope.as_ref())?;
        let public = self.make_key(role, unlock.passphrase()?)?;
        let id = public.id();
        let added = Event::KeyAdded {
            role,
            public,
            from: None,
            holder: None,
            scope,
        };
        self.store.write(context, |writer| writer.append(&added))?;
        Ok(id)
    }

    /// Replaces the key of a role, by one that waits if there is one, or else by a new one. A
    /// license key takes over at `at` (now, if `None`). The other roles' keys take over at once,
    /// by a new root document; where such a role has several keys, the oldest is replaced.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a time in the past or, for the other roles, any time but now;
    /// [`Error::KeyFileMissing`] or [`Error::SignersMissing`] if the root cannot be signed here.
    pub fn rotate_key(
        &mut self,
        role: Role,
        at: Option<UnixTime>,
        unlock: &dyn Unlock,
        context: &Context,
    ) -> Result<Rotation, Error> {
        let at = not_past(at, context.now)?;
        if role == Role::License {
            self.store.read(some_without_scope)?;
            return self.rotate_license_key(None, at.unwrap_or(context.now), unlock, context);
        }
        if at.is_some() {
            return Err(Error::Invalid {
                what: "a rotation",
                problem: "of a key that the root names takes effect with the new root: leave the \
                          time out"
                    .into(),
            });
        }
        self.rotate_root_named(role, unlock, context)
    }

    /// Replaces the license key that has the scope of this one, which signs or waits; as
    /// [`Issuer::rotate_key`] does it for keys without a scope.
    ///
    /// # Errors
    /// As [`Issuer::rotate_key`]; [`Error::NotFound`] if there is no such license key.
    pub fn rotate_key_like(
        &mut self,
        key_id: KeyId,
        at: Option<UnixTime>,
        unlock: &dyn Unlock,
        context: &Context,
    ) -> Result<Rotation, Error> {
        let scope = self.scope_of(key_id)?;
        let at = not_past(at, context.now)?.unwrap_or(context.now);
        self.rotate_license_key(scope.as_ref(), at, unlock, context)
    }

    /// The scope of a license key.
    fn scope_of(&mut self, key_id: KeyId) -> Result<Option<KeyScope>, Error> {
        let row = self.store.read(|query| find(query, key_id))?;
        if row.role == Role::License {
            return Ok(row.scope);
        }
        Err(Error::NotAllowed {
            what: format!("{} key {key_id}", row.role),
            problem: "is named by the root",
            hint: "replace it with `phi key rotate --role ROLE`",
        })
    }

    /// The key that a rotation would bring into use, if one waits, and the key that it would
    /// succeed, if one signs. Of license keys those are meant that have the scope of `like`, or
    /// none.
    ///
    /// # Errors
    /// As [`Issuer::rotate_key`]; [`Error::NotFound`] if there is no key `like`.
    pub fn plan_rotation(
        &mut self,
        role: Role,
        like: Option<KeyId>,
        at: UnixTime,
        now: UnixTime,
    ) -> Result<(Option<KeyId>, Option<KeyId>), Error> {
        not_past(Some(at), now)?;
        let scope = match like {
            Some(key_id) => self.scope_of(key_id)?,
            None => None,
        };
        self.store.read(|query| match role {
            Role::License => {
                schedule::check_none_before(query, scope.as_ref(), now, at)?;
                Ok((
                    waiting_license_key(query, scope.as_ref(), at)?,
                    signing_license_key(query, scope.as_ref(), at)?,
                ))
            }
            _ => Ok((
                staged_key(query, role)?.map(|row| row.public.id()),
                Some(oldest_in_force(query, role)?.1.id()),
            )),
        })
    }

    fn rotate_license_key(
        &mut self,
        scope: Option<&KeyScope>,
        at: UnixTime,
        unlock: &dyn Unlock,
        context: &Context,
    ) -> Result<Rotation, Error> {
        let waiting = self.store.read(|query| {
            schedule::check_none_before(query, scope, context.now, at)?;
            waiting_license_key(query, scope, at)
        })?;
        // The key file comes first: a key in the ledger always has its file.
        let fresh = match waiting {
            Some(_) => None,
            None => Some(self.make_key(Role::License, unlock.passphrase()?)?),
        };
        self.store.write(context, |writer| {
            if waiting_license_key(&writer.query(), scope, at)? != waiting {
                return Err(rotated_meanwhile());
            }
            let old = signing_license_key(&writer.query(), scope, at)?;
            let new = match (waiting, fresh) {
                (Some(key_id), _) => {
                    writer.append(&Event::KeyActivated { key_id, from: at })?;
                    key_id
                }
                (None, fresh) => {
                    let public = fresh.expect("a key was made where none was waiting");
                    let id = public.id();
                    let role = Role::License;
                    writer.append(&Event::KeyAdded {
                        role,
                        public,
                        from: Some(at),
                        holder: None,
                        scope: scope.cloned(),
                    })?;
                    id
                }
            };
            if let Some(key_id) = old {
                let until = after_last_token(&writer.query(), key_id, at)?;
                writer.append(&Event::KeyRetired { key_id, until })?;
            }
            Ok(Rotation {
                new,
                old,
                at,
                root: NextRoot::NotNeeded,
            })
        })
    }

    /// The N/N+1 rule: the new root is signed by the root keys in force, and by the new one if it
    /// is the root's that changes.
    fn rotate_root_named(
        &mut self,
        role: Role,
        unlock: &dyn Unlock,
        context: &Context,
    ) -> Result<Rotation, Error> {
        let signers = match self.signers(Role::Root, unlock) {
            Err(Error::KeyFileMissing { .. } | Error::SignersMissing { .. })
                if role != Role::Root =>
            {
                return self.propose_rotation(role, unlock, context);
            }
            Err(Error::SignersMissing { .. }) => {
                return Err(Error::NotAllowed {
                    what: "the root".into(),
                    problem: "is held elsewhere, and its keys are not replaced from here",
                    hint: "change its holders with `phi root propose`",
                });
            }
            signers => signers?,
        };
        let fresh = self.next_key(role, unlock)?;
        let mut signing = signers.all();
        if role == Role::Root {
            signing.extend(fresh.signer.as_deref());
        }
        let known = self.known_keys();
        let (at, public) = (context.now, &fresh.public);
        let (old, root) = self.store.write(context, |writer| {
            signers.still_in_force(&writer.query())?;
            let waiting = staged_key(&writer.query(), role)?;
            if waiting.is_some_and(|row| row.public != *public) {
                return Err(rotated_meanwhile());
            }
            let (keys, old) = oldest_in_force(&writer.query(), role)?;
            let changed = [(role, with_replaced(&keys, &old, public)?)];
            let current = root::newest(&writer.query())?;
            let next = root::next(&writer.query(), &current, &changed, writer.now())?;
            let document = publish::sealed(&next.unsigned(), &signing)?;
            Ok((
                old.id(),
                root::record(writer, &next, document, None, &known)?,
            ))
        })?;
        self.write_published()?;
        Ok(Rotation {
            new: fresh.public.id(),
            old: Some(old),
            at,
            root: NextRoot::Published(root),
        })
    }

    /// Where the holders of the root are elsewhere, the next root is proposed, and the key that it
    /// names waits for it.
    fn propose_rotation(
        &mut self,
        role: Role,
        unlock: &dyn Unlock,
        context: &Context,
    ) -> Result<Rotation, Error> {
        let waiting = self.store.read(|query| staged_key(query, role))?;
        let new = match waiting {
            Some(row) => row.public.id(),
            None => self.new_key(role, unlock, context)?,
        };
        let (issuer, known) = (self.settings.issuer.clone(), self.known_keys());
        let at = context.now;
        let (old, proposal) = self.store.read(|query| {
            let old = oldest_in_force(query, role)?.1.id();
            let changes = [RootChange::RemoveKey(old), RootChange::AddKey(new)];
            Ok((
                old,
                ceremony::propose(query, &issuer, &changes, &known, at)?,
            ))
        })?;
        Ok(Rotation {
            new,
            old: Some(old),
            at,
            root: NextRoot::Proposed(Box::new(proposal)),
        })
    }

    /// The key that takes over: the oldest that waits, or a new one. A new root key must sign the
    /// root that names it.
    fn next_key(&mut self, role: Role, unlock: &dyn Unlock) -> Result<NextKey, Error> {
        let waiting = self.store.read(|query| staged_key(query, role))?;
        let Some(row) = waiting else {
            let key = SigningKey::generate()?;
            self.write_key(role, &key, unlock.passphrase()?)?;
            return Ok(NextKey {
                public: key.public().clone(),
                signer: Some(Box::new(key)),
            });
        };
        let signer = match role {
            Role::Root => Some(self.open_signer(role, &row.public, unlock)?),
            _ => None,
        };
        Ok(NextKey {
            public: row.public,
            signer,
        })
    }

    /// Makes a key and writes its file.
    fn make_key(&self, role: Role, passphrase: &Passphrase) -> Result<PublicKey, Error> {
        let key = SigningKey::generate()?;
        self.write_key(role, &key, passphrase)?;
        Ok(key.public().clone())
    }

    pub(crate) fn write_key(
        &self,
        role: Role,
        key: &SigningKey,
        passphrase: &Passphrase,
    ) -> Result<(), Error> {
        let strength = role.strength(&self.settings);
        keyfile::store(&self.keys_folder(), role.name(), key, passphrase, strength)?;
        Ok(())
    }

    pub(crate) fn key_path(&self, role: Role, key_id: KeyId) -> PathBuf {
        self.keys_folder().join(key_file(role, key_id))
    }
}

/// The name of the file with a key's private half.
fn key_file(role: Role, key_id: KeyId) -> String {
    format!("{role}-{key_id}.key")
}

/// The key that is to take over, opened if it signs the root that names it.
struct NextKey {
    public: PublicKey,
    signer: Option<Box<dyn Signer>>,
}

/// Makes the first key of every role but the root's. Without a root to name them at once, they
/// wait for one; license keys are named by the keyset.
pub(crate) fn make_all(
    issuer: &mut Issuer,
    root: Option<&SigningKey>,
    passphrase: &Passphrase,
    context: &Context,
) -> Result<(), Error> {
    let mut added = Vec::new();
    if let Some(key) = root {
        issuer.write_key(Role::Root, key, passphrase)?;
        added.push((Role::Root, key.public().clone()));
    }
    for role in Role::ALL.into_iter().filter(|role| *role != Role::Root) {
        added.push((role, issuer.make_key(role, passphrase)?));
    }
    issuer.store.write(context, |writer| {
        added.into_iter().try_for_each(|(role, public)| {
            let signs = root.is_some() || role == Role::License;
            writer.append(&Event::KeyAdded {
                role,
                public,
                from: signs.then_some(context.now),
                holder: None,
                scope: None,
            })
        })
    })
}

/// No time, or one that is not over yet.
fn not_past(at: Option<UnixTime>, now: UnixTime) -> Result<Option<UnixTime>, Error> {
    if at.is_some_and(|at| at < now) {
        return Err(Error::Invalid {
            what: "a rotation",
            problem: "takes effect now or later, not in the past".into(),
        });
    }
    Ok(at)
}

/// Where all license keys have scopes, a rotation has to say which of them it is about: it must
/// not bring in a key that may sign everything.
fn some_without_scope(query: &Query<'_>) -> Result<(), Error> {
    let mut keys = query.keys()?.into_iter();
    if keys.any(|row| row.role == Role::License && row.scope.is_none() && !row.dropped) {
        return Ok(());
    }
    Err(Error::NotAllowed {
        what: "a rotation".into(),
        problem: "is of one scope, and every license key has one",
        hint: "name a key of that scope with `phi key rotate --like KEY`",
    })
}

pub(crate) fn took_over(role: Role) -> Error {
    Error::NotAllowed {
        what: format!("another {role} key"),
        problem: "took over while this was under way",
        hint: "run the command again",
    }
}

/// The oldest key of a role that waits for a root to name it.
fn staged_key(query: &Query<'_>, role: Role) -> Result<Option<KeyRow>, Error> {
    let mut keys = query.keys()?.into_iter();
    Ok(keys.find(|row| row.role == role && row.state() == Some(KeyState::Staged)))
}

/// The keys of a role that the root names, and the one of them that is the longest in the ledger.
fn oldest_in_force(query: &Query<'_>, role: Role) -> Result<(RoleKeys, PublicKey), Error> {
    let named = root::named(query, role)?;
    let mut keys = query.keys()?.into_iter().map(|row| row.public);
    let oldest = keys.find(|key| named.contains(key));
    // The ledger has every key that a root named; the root's word counts.
    let oldest = oldest.unwrap_or_else(|| named.keys()[0].clone());
    Ok((named, oldest))
}

/// The keys of a role with one in the place of another.
fn with_replaced(keys: &RoleKeys, old: &PublicKey, new: &PublicKey) -> Result<RoleKeys, Error> {
    let replaced = |key: &PublicKey| if key == old { new } else { key }.clone();
    root::role_keys(keys.keys().iter().map(replaced).collect(), keys.threshold())
}

pub(crate) fn find(query: &Query<'_>, key_id: KeyId) -> Result<KeyRow, Error> {
    let keys = query.keys()?;
    keys.into_iter()
        .find(|row| row.public.id() == key_id)
        .ok_or_else(|| Error::NotFound {
            what: "key",
            name: key_id.to_string(),
            hint: "run `phi key list`",
        })
}

/// The license keys that belong into a keyset.
pub(crate) fn license_keys(query: &Query<'_>) -> Result<Vec<LicenseKey>, Error> {
    let rows = query
        .keys()?
        .into_iter()
        .filter(|row| row.role == Role::License);
    Ok(rows
        .filter_map(|row| {
            let scope = row.scope.as_ref().map(KeyScope::to_wire);
            row.state().map(|state| LicenseKey {
                key: row.public,
                state,
                scope: scope.unwrap_or_default(),
            })
        })
        .collect())
}

/// A retired key stays for five minutes: an issuer whose clock is behind, or whose key takes its
/// time to open, still mints under it.
const DROP_LEEWAY: u64 = 5 * 60;

/// Drops the retired and revoked keys under which no token can be valid any more.
pub(crate) fn drop_ended(writer: &mut Writer<'_>) -> Result<(), Error> {
    let now = writer.now();
    for row in writer
        .query()
        .keys()?
        .into_iter()
        .filter(|row| row.role == Role::License)
    {
        let over = match row.state() {
            Some(KeyState::Retired { until, .. }) => until.plus(DROP_LEEWAY) <= now,
            Some(KeyState::Revoked { .. }) => true,
            _ => false,
        };
        let key_id = row.public.id();
        if over && writer.query().all_ended_under(key_id, now)? {
            writer.append(&Event::KeyDropped { key_id })?;
        }
    }
    Ok(())
}

/// The license key that a rotation at this time brings into use: the next of those that were to
/// take over later, or else the oldest that is staged; none if no key waits.
fn waiting_license_key(
    query: &Query<'_>,
    scope: Option<&KeyScope>,
    at: UnixTime,
) -> Result<Option<KeyId>, Error> {
    let mut keys = query.keys()?;
    keys.retain(|row| row.role == Role::License && row.scope.as_ref() == scope);
    let later = |row: &&KeyRow| {
        let lives = !matches!(row.state(), None | Some(KeyState::Revoked { .. }));
        lives && row.from.is_some_and(|from| from > at)
    };
    let staged = |row: &&KeyRow| row.state() == Some(KeyState::Staged);
    let next = keys.iter().filter(later).min_by_key(|row| row.from);
    Ok(next
        .or_else(|| keys.iter().find(staged))
        .map(|row| row.public.id()))
}

fn rotated_meanwhile() -> Error {
    Error::NotAllowed {
        what: "another rotation".into(),
        problem: "took place while this was under way",
        hint: "run `phi key list`, and the command again if it is still needed",
    }
}

/// The end of a license key's window: this time, or the second after its last token. A token of
/// the very second in which its key is replaced, or of an issuer whose clock is ahead, stays valid.
fn after_last_token(query: &Query<'_>, key_id: KeyId, at: UnixTime) -> Result<UnixTime, Error> {
    let last = query.last_issued_under(key_id)?;
    Ok(last.map_or(at, |last| at.max(last.plus(1))))
}

/// The license key that signs at this time, to be succeeded; none if it was revoked.
fn signing_license_key(
    query: &Query<'_>,
    scope: Option<&KeyScope>,
    at: UnixTime,
) -> Result<Option<KeyId>, Error> {
    let mut keys = query.keys()?.into_iter();
    let signs =
        |row: &KeyRow| row.role == Role::License && row.scope.as_ref() == scope && row.signs_at(at);
    Ok(keys.rfind(signs).map(|row| row.public.id()))
}

/// Another license key of the same scope than this one must sign at this time.
fn another_signs_at(query: &Query<'_>, at: UnixTime, except: &KeyRow) -> Result<(), Error> {
    let mut keys = query.keys()?.into_iter();
    let except_id = except.public.id();
    let signs = |row: KeyRow| {
        row.role == Role::License
            && row.public.id() != except_id
            && row.scope == except.scope
            && row.signs_at(at)
    };
    if keys.any(signs) {
        return Ok(());
    }
    Err(Error::NotAllowed {
        what: format!("key {except_id}"),
        problem: "is the only key of its scope that signs now",
        hint: "run `phi key rotate` to put another in its place at once",
    })
}
