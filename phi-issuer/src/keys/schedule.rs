//! Scheduled rotations, put off and taken back, and keys that are retired.
//!
//! What a rotation schedules is not there yet: until its time the key before it can go on. What
//! has begun to sign, or signs no more, stays so.

use phi_verify::{KeyId, KeyState, UnixTime};

use super::{
    KeyScope, NextRoot, Role, Rotation, after_last_token, another_signs_at, find, not_past,
};
use crate::{
    Context, Issuer,
    error::Error,
    event::Event,
    store::{KeyRow, Query, Writer},
};

impl Issuer {
    /// Lets a license key that is to take over later do so at another time: the key before it
    /// signs until then.
    ///
    /// # Errors
    /// [`Error::NotAllowed`] for a key that does not wait for its time; [`Error::Invalid`] for a
    /// time that is past, or beyond the keys before and after it.
    pub fn reschedule_key(
        &mut self,
        key_id: KeyId,
        at: UnixTime,
        context: &Context,
    ) -> Result<Rotation, Error> {
        not_past(Some(at), context.now)?;
        self.store.write(context, |writer| {
            let (row, from) = scheduled(&writer.query(), key_id, writer.now())?;
            let before = key_before(&writer.query(), &row, from)?;
            check_place(&row, before.as_ref(), at)?;
            if at != from {
                writer.append(&Event::KeyActivated { key_id, from: at })?;
                if let Some(before) = &before {
                    end_at(writer, before, at)?;
                }
            }
            Ok(Rotation {
                new: key_id,
                old: before.map(|row| row.public.id()),
                at,
                root: NextRoot::NotNeeded,
            })
        })
    }

    /// Retires a license key now (of those in use the one without a scope, if others with a scope
    /// sign), or takes back a key that waits: a staged one of any role, or a
    /// license key that is to take over later, in whose place the one before it goes on. Tokens
    /// stay valid.
    ///
    /// # Errors
    /// [`Error::NotAllowed`] for the key in use (rotate it) and for keys that sign no more.
    pub fn retire_key(&mut self, key_id: KeyId, context: &Context) -> Result<(), Error> {
        self.store.write(context, |writer| {
            let (row, now) = (find(&writer.query(), key_id)?, writer.now());
            let refuse = |problem, hint| {
                Err(Error::NotAllowed {
                    what: format!("key {key_id}"),
                    problem,
                    hint,
                })
            };
            let rotate = "run `phi key rotate`, which puts another in its place";
            match row.state() {
                Some(KeyState::Staged) => writer.append(&Event::KeyDropped { key_id }),
                _ if row.role != Role::License => refuse("is named by the root", rotate),
                Some(KeyState::Active { from } | KeyState::Retired { from, .. }) if from > now => {
                    take_back(writer, &row, from)
                }
                Some(KeyState::Active { .. }) if scoped_ones_sign(&writer.query(), &row, now)? => {
                    let until = after_last_token(&writer.query(), key_id, now)?;
                    writer.append(&Event::KeyRetired { key_id, until })
                }
                Some(KeyState::Active { .. }) => refuse("is the key in use", rotate),
                Some(KeyState::Retired { until, .. }) if until > now => {
                    // A scheduled rotation must not leave a gap in which no key signs.
                    another_signs_at(&writer.query(), now, &row)?;
                    let until = after_last_token(&writer.query(), key_id, now)?;
                    writer.append(&Event::KeyRetired { key_id, until })
                }
                _ => refuse("signs no more already", "run `phi key list`"),
            }
        })
    }
}

/// A rotation at a time after which a key takes over already would come after that one, and leave
/// the one that signs now where it is: whoever wants to put a rotation off means something else.
pub(super) fn check_none_before(
    query: &Query<'_>,
    scope: Option<&KeyScope>,
    now: UnixTime,
    at: UnixTime,
) -> Result<(), Error> {
    let keys = query.keys()?.into_iter();
    let mut keys = keys.filter(|row| row.role == Role::License && row.scope.as_ref() == scope);
    let sooner = keys.find(|row| begins(row).is_some_and(|from| from > now && from <= at));
    let Some(row) = sooner else {
        return Ok(());
    };
    Err(Error::NotAllowed {
        what: format!("license key {}", row.public.id()),
        problem: "takes over by then already",
        hint: "put it off with `phi key reschedule KEY --from TIME`, or take it back with \
               `phi key retire KEY`",
    })
}

/// Whether this is a key that may sign everything, beside others that may sign less: an issuer may
/// go on with those alone.
fn scoped_ones_sign(query: &Query<'_>, row: &KeyRow, now: UnixTime) -> Result<bool, Error> {
    let mut keys = query.keys()?.into_iter();
    let signs =
        |other: KeyRow| other.role == Role::License && other.scope.is_some() && other.signs_at(now);
    Ok(row.scope.is_none() && keys.any(signs))
}

/// When a key begins to sign, if that is decided and it is not revoked.
const fn begins(row: &KeyRow) -> Option<UnixTime> {
    match row.state() {
        Some(KeyState::Active { from } | KeyState::Retired { from, .. }) => Some(from),
        _ => None,
    }
}

/// A license key that is to take over later, and when.
fn scheduled(query: &Query<'_>, key_id: KeyId, now: UnixTime) -> Result<(KeyRow, UnixTime), Error> {
    let row = find(query, key_id)?;
    match begins(&row) {
        Some(from) if row.role == Role::License && from > now => Ok((row, from)),
        _ => Err(Error::NotAllowed {
            what: format!("{} key {key_id}", row.role),
            problem: "is not one that is to take over later",
            hint: "run `phi key list`; a staged license key gets its time from `phi key rotate --from`",
        }),
    }
}

/// The key of the same scope whose window ends when this one begins, because it does.
fn key_before(query: &Query<'_>, row: &KeyRow, from: UnixTime) -> Result<Option<KeyRow>, Error> {
    let precedes = |other: &KeyRow| {
        let window = other.state();
        other.role == Role::License
            && other.scope == row.scope
            && matches!(window, Some(KeyState::Retired { from: began, until })
                if began < from && until >= from)
    };
    let keys = query.keys()?.into_iter();
    let before = keys.filter(precedes);
    Ok(before.max_by_key(|other| other.from))
}

/// Keys take over in their order.
fn check_place(row: &KeyRow, before: Option<&KeyRow>, at: UnixTime) -> Result<(), Error> {
    let began = before.and_then(|before| before.from);
    let problem = if began.is_some_and(|began| at <= began) {
        "takes over after the key that it succeeds has begun"
    } else if row.until.is_some_and(|until| at >= until) {
        "takes over before the key that succeeds it"
    } else {
        return Ok(());
    };
    Err(Error::Invalid {
        what: "a key",
        problem: problem.into(),
    })
}

/// Lets a key whose end is ahead sign until this time, or its last token if that is later.
fn end_at(writer: &mut Writer<'_>, row: &KeyRow, at: UnixTime) -> Result<(), Error> {
    let key_id = row.public.id();
    let until = after_last_token(&writer.query(), key_id, at)?;
    match row.until {
        Some(end) if until < end => writer.append(&Event::KeyRetired { key_id, until }),
        Some(end) if until > end => writer.append(&Event::KeyProlonged {
            key_id,
            until: Some(until),
        }),
        _ => Ok(()),
    }
}

/// Drops a key that never signed; the one before it goes on as this one would have.
fn take_back(writer: &mut Writer<'_>, row: &KeyRow, from: UnixTime) -> Result<(), Error> {
    let before = key_before(&writer.query(), row, from)?;
    writer.append(&Event::KeyDropped {
        key_id: row.public.id(),
    })?;
    let Some(before) = before else {
        return Ok(());
    };
    let (key_id, until) = (before.public.id(), row.until);
    // One of a last token that is later than that ends there.
    if until.is_some() && until <= before.until {
        return Ok(());
    }
    writer.append(&Event::KeyProlonged { key_id, until })
}
