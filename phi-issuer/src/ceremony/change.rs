//! What is to be different in the next root.

use std::collections::BTreeMap;

use phi_verify::{Floors, KeyId, KeyState, PublicKey, Root, UnixTime};

use super::holder::{Holder, is_practice};
use crate::{
    error::Error,
    keys::{self, Role},
    root,
    store::Query,
};

/// A change for the next root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RootChange {
    /// These holders, in place of all root keys so far.
    Holders(Vec<Holder>),
    /// Another holder.
    AddHolder(Box<Holder>),
    /// A holder less, by name or key id.
    RemoveHolder(String),
    /// A key that waits begins to sign for its role.
    AddKey(KeyId),
    /// A key signs no more for its role.
    RemoveKey(KeyId),
    /// So many of a role's keys must sign.
    Threshold(Role, usize),
    /// Keysets before this version are refused.
    KeysetFloor(u64),
    /// Status lists before this epoch are refused.
    StatusFloor(u64),
    /// The next root should come by this time; nothing is refused after it.
    RefreshBy(UnixTime),
}

/// A role while it changes.
struct Draft {
    role: Role,
    keys: Vec<PublicKey>,
    threshold: usize,
}

/// The next root while it changes.
struct Plan<'p> {
    query: &'p Query<'p>,
    issuer: &'p str,
    /// The names of holders by their keys.
    names: &'p mut BTreeMap<KeyId, String>,
    drafts: Vec<Draft>,
    floors: Floors,
    refresh_by: Option<UnixTime>,
}

/// The root after the newest one, or the first, with these changes. Names of new holders are added
/// to those that are known.
pub(super) fn next(
    query: &Query<'_>,
    issuer: &str,
    names: &mut BTreeMap<KeyId, String>,
    changes: &[RootChange],
    now: UnixTime,
) -> Result<Root, Error> {
    let current = root::newest_document(query)?.map(|(root, _)| root);
    let mut plan = Plan {
        query,
        issuer,
        names,
        drafts: drafts(query, current.as_ref())?,
        floors: Floors::default(),
        refresh_by: None,
    };
    for change in changes {
        plan.apply(change)?;
    }
    let next = plan.root(current.as_ref(), now)?;
    match &current {
        Some(current) if is_same(current, &next) => Err(invalid("would change nothing".to_owned())),
        _ => Ok(next),
    }
}

/// The roles as they are. Before the first root they are the keys that wait, and no root key.
fn drafts(query: &Query<'_>, current: Option<&Root>) -> Result<Vec<Draft>, Error> {
    let rows = query.keys()?;
    let draft = |role| {
        if let Some(keys) = current.and_then(|root| root::of(root, role)) {
            return Draft {
                role,
                keys: keys.keys().to_vec(),
                threshold: keys.threshold(),
            };
        }
        let mut rows = rows.iter();
        let waits = rows.find(|row| row.role == role && row.state() == Some(KeyState::Staged));
        Draft {
            role,
            keys: waits.map(|row| row.public.clone()).into_iter().collect(),
            threshold: 1,
        }
    };
    Ok(root::NAMED.map(draft).into())
}

impl Plan<'_> {
    fn apply(&mut self, change: &RootChange) -> Result<(), Error> {
        match change {
            RootChange::Holders(holders) => {
                self.draft(Role::Root)?.keys.clear();
                holders.iter().try_for_each(|holder| self.enter(holder))?;
            }
            RootChange::AddHolder(holder) => self.enter(holder)?,
            RootChange::RemoveHolder(holder) => self.leave(holder)?,
            RootChange::AddKey(key_id) => self.add(*key_id)?,
            RootChange::RemoveKey(key_id) => self.remove(*key_id)?,
            RootChange::Threshold(role, threshold) => self.draft(*role)?.threshold = *threshold,
            RootChange::KeysetFloor(version) => self.floors.keyset = *version,
            RootChange::StatusFloor(epoch) => self.floors.status = *epoch,
            RootChange::RefreshBy(time) => self.refresh_by = Some(*time),
        }
        Ok(())
    }

    fn draft(&mut self, role: Role) -> Result<&mut Draft, Error> {
        let mut drafts = self.drafts.iter_mut();
        let draft = drafts.find(|draft| draft.role == role);
        draft.ok_or_else(|| not_there("role in the root", role.name()))
    }

    fn enter(&mut self, holder: &Holder) -> Result<(), Error> {
        let (query, issuer, names) = (self.query, self.issuer, self.names.clone());
        let draft = self.draft(Role::Root)?;
        check_holder(query, issuer, draft, &names, holder)?;
        draft.keys.push(holder.key().clone());
        self.names.insert(holder.key().id(), holder.name().into());
        Ok(())
    }

    fn leave(&mut self, holder: &str) -> Result<(), Error> {
        let names = self.names.clone();
        let is_meant = |key: &PublicKey| {
            let name = names.get(&key.id()).map(String::as_str);
            name == Some(holder) || key.id().to_string() == holder
        };
        let draft = self.draft(Role::Root)?;
        let at = draft.keys.iter().position(is_meant);
        let at = at.ok_or_else(|| not_there("holder of the root with the name or key", holder))?;
        draft.keys.remove(at);
        Ok(())
    }

    /// A key that waits is named; one that signs, or was replaced, does not wait.
    fn add(&mut self, key_id: KeyId) -> Result<(), Error> {
        let row = keys::find(self.query, key_id)?;
        if row.role == Role::License || row.state() != Some(KeyState::Staged) {
            return Err(Error::NotAllowed {
                what: format!("{} key {key_id}", row.role),
                problem: "does not wait for a root to name it",
                hint: "make one that does with `phi key new --role ROLE`",
            });
        }
        let draft = self.draft(row.role)?;
        if draft.keys.contains(&row.public) {
            return Err(invalid(format!("would have key {key_id} twice")));
        }
        draft.keys.push(row.public);
        Ok(())
    }

    fn remove(&mut self, key_id: KeyId) -> Result<(), Error> {
        let is_meant = |key: &PublicKey| key.id() == key_id;
        let mut drafts = self.drafts.iter_mut();
        let draft = drafts.find(|draft| draft.keys.iter().any(is_meant));
        let draft = draft.ok_or_else(|| not_there("key in the root", &key_id.to_string()))?;
        draft.keys.retain(|key| !is_meant(key));
        Ok(())
    }

    /// The root that the plan comes to.
    fn root(self, current: Option<&Root>, now: UnixTime) -> Result<Root, Error> {
        let roles = self.drafts.into_iter().map(|draft| {
            let keys = root::role_keys(draft.keys.clone(), draft.threshold);
            Ok((draft.role, keys.map_err(|_| invalid(refusal(&draft)))?))
        });
        let roles = roles.collect::<Result<Vec<_>, Error>>()?;
        let mut next = match current {
            Some(current) => root::next(self.query, current, &roles, now)?,
            None => root::begin(self.issuer.into(), &roles, now)?,
        };
        raise(&mut next.floors, self.floors)?;
        match self.refresh_by {
            Some(time) if time <= now => {
                let problem = format!("is to be refreshed by {time}, which is past");
                return Err(invalid(problem));
            }
            Some(time) => next.refresh_by = Some(time),
            None => {}
        }
        Ok(next)
    }
}

/// A holder is new to the root, has a name of their own, and practices only in a practice.
fn check_holder(
    query: &Query<'_>,
    issuer: &str,
    draft: &Draft,
    names: &BTreeMap<KeyId, String>,
    holder: &Holder,
) -> Result<(), Error> {
    let refuse = |problem: String| {
        Err(Error::Invalid {
            what: "a holder",
            problem,
        })
    };
    let name = holder.name();
    match (is_practice(name), is_practice(issuer)) {
        (true, false) => {
            return refuse(format!(
                "is for practice: {name} is none of the real issuer {issuer}"
            ));
        }
        (false, true) => {
            return refuse(format!(
                "is real, and {issuer} is a practice: {name} has no part in it"
            ));
        }
        _ => {}
    }
    if draft.keys.contains(holder.key()) {
        return refuse(format!("is there twice: {name}"));
    }
    let same_name = |key: &&PublicKey| names.get(&key.id()).is_some_and(|held| held == name);
    if let Some(key) = draft.keys.iter().find(same_name) {
        return refuse(format!(
            "has a name that another has: {name} holds key {}",
            key.id()
        ));
    }
    let mut rows = query.keys()?.into_iter();
    match rows.find(|row| row.public == *holder.key()) {
        None => Ok(()),
        Some(row) => match row.state() {
            Some(KeyState::Active { .. } | KeyState::Staged) if row.role == Role::Root => Ok(()),
            _ => Err(root::spent(Role::Root, row.role, holder.key().id())),
        },
    }
}

/// Floors only rise.
fn raise(floors: &mut Floors, to: Floors) -> Result<(), Error> {
    for (what, floor, to) in [
        ("keyset", &mut floors.keyset, to.keyset),
        ("status", &mut floors.status, to.status),
    ] {
        if to != 0 && to < *floor {
            let problem = format!("has {what} floor {floor}, which does not fall to {to}");
            return Err(invalid(problem));
        }
        *floor = (*floor).max(to);
    }
    Ok(())
}

fn is_same(current: &Root, next: &Root) -> bool {
    let renumbered = Root {
        version: current.version,
        issued_at: current.issued_at,
        ..next.clone()
    };
    renumbered == *current
}

fn refusal(draft: &Draft) -> String {
    let Draft {
        role,
        keys,
        threshold,
    } = draft;
    match keys.len() {
        0 => format!("has no {role} key"),
        count => format!(
            "asks for {threshold} of {count} {role} keys: a threshold is 1 to their number, \
             of which there are at most {}",
            phi_verify::MAX_SIGNERS
        ),
    }
}

fn invalid(problem: String) -> Error {
    Error::Invalid {
        what: "the next root",
        problem,
    }
}

fn not_there(what: &'static str, name: &str) -> Error {
    Error::NotFound {
        what,
        name: name.into(),
        hint: "run `phi key list`, or look at the root with `phi inspect`",
    }
}
