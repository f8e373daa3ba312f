//! The life of a key: what may follow in it.
//!
//! A key is added once. A license key then gets its window. As long as its beginning is ahead it
//! may be moved, and so may its end; what has begun does not begin again, and what has ended does
//! not sign again. A key is dropped before it begins, or when nothing under it can be accepted any
//! more; and what is dropped or revoked stays so. A key that a root names begins and ends
//! once, with the roots that name it.

use phi_verify::{KeyId, KeyState, PublicKey, UnixTime};

use super::{DROP_LEEWAY, KeyScope, Role, find};
use crate::{
    entry::{ENTRY_VERSION, Entry},
    error::Error,
    event::Event,
    store::{CLOCK_TOLERANCE, KeyRow, Query},
};

/// Whether the entry may follow in the life of the key that it is about.
pub(crate) fn check(query: &Query<'_>, entry: &Entry) -> Result<(), Error> {
    let moment = Moment::of(entry);
    match &entry.event {
        Event::KeyAdded {
            role,
            public,
            from,
            scope,
            ..
        } => {
            check_scope(*role, scope.as_ref())?;
            added(query, *role, public, *from, moment)
        }
        Event::KeyActivated { key_id, from } => activated(&find(query, *key_id)?, *from, moment),
        Event::KeyRetired { key_id, until } => {
            retired(query, &find(query, *key_id)?, *until, moment)
        }
        Event::KeyProlonged { key_id, until } => prolonged(&find(query, *key_id)?, *until, moment),
        Event::KeyDropped { key_id } => dropped(query, &find(query, *key_id)?, moment),
        Event::KeyExported { key_id, .. } => find(query, *key_id).map(drop),
        _ => Ok(()),
    }
}

/// When something is recorded.
#[derive(Clone, Copy)]
enum Moment {
    /// At this time, after everything before it.
    At(UnixTime),
    /// In a store of version 1, where times could fall: they decide nothing.
    Early,
}

impl Moment {
    const fn of(entry: &Entry) -> Self {
        if entry.version < ENTRY_VERSION {
            Self::Early
        } else {
            Self::At(entry.time)
        }
    }

    /// Whether the time is still to come.
    fn is_before(self, time: UnixTime) -> bool {
        match self {
            Self::At(now) => now < time,
            Self::Early => false,
        }
    }

    /// Whether the time is not before this, by the clock of an operator who is a little behind.
    fn allows(self, time: UnixTime) -> bool {
        match self {
            Self::At(now) => time.plus(CLOCK_TOLERANCE) >= now,
            Self::Early => true,
        }
    }
}

/// What a key may have as its scope.
pub(crate) fn check_scope(role: Role, scope: Option<&KeyScope>) -> Result<(), Error> {
    let Some(scope) = scope else {
        return Ok(());
    };
    let problem = match role {
        Role::License => scope.problem(),
        _ => Some("is named by the root and has no scope"),
    };
    problem.map_or(Ok(()), |problem| {
        Err(Error::NotAllowed {
            what: format!("{role} key"),
            problem,
            hint: "give a license key at least a product or a longest validity",
        })
    })
}

fn added(
    query: &Query<'_>,
    role: Role,
    public: &PublicKey,
    from: Option<UnixTime>,
    moment: Moment,
) -> Result<(), Error> {
    let id = public.id();
    if query.keys()?.iter().any(|row| row.public.id() == id) {
        return Err(Error::AlreadyExists {
            what: "key",
            name: id.to_string(),
        });
    }
    let back_dated = from.is_some_and(|from| !moment.allows(from));
    if role == Role::License && back_dated {
        return refuse(id, "would have signed before it was added");
    }
    Ok(())
}

fn activated(row: &KeyRow, from: UnixTime, moment: Moment) -> Result<(), Error> {
    let id = row.public.id();
    let waits = match row.state() {
        Some(KeyState::Staged) => true,
        Some(KeyState::Active { from: later } | KeyState::Retired { from: later, .. }) => {
            row.role == Role::License && (from < later || from > later && moment.is_before(later))
        }
        _ => false,
    };
    if !waits {
        return refuse(id, "does not wait to take over");
    }
    if !moment.allows(from) {
        return refuse(id, "would have taken over in the past");
    }
    if row.until.is_some_and(|until| from > until) {
        return refuse(id, "would take over after its end");
    }
    Ok(())
}

/// What has not come yet can be put off: a key that signs no more does so for good.
fn prolonged(row: &KeyRow, until: Option<UnixTime>, moment: Moment) -> Result<(), Error> {
    let id = row.public.id();
    let end = match row.state() {
        Some(KeyState::Retired { until, .. }) if row.role == Role::License => until,
        _ => return refuse(id, "has no end that could be put off"),
    };
    if !moment.is_before(end) {
        return refuse(id, "would sign again after it was retired");
    }
    if until.is_some_and(|until| until <= end) {
        return refuse(id, "would not sign for longer");
    }
    Ok(())
}

fn retired(query: &Query<'_>, row: &KeyRow, until: UnixTime, moment: Moment) -> Result<(), Error> {
    let id = row.public.id();
    let (from, end) = match row.state() {
        Some(KeyState::Active { from }) => (from, None),
        Some(KeyState::Retired { from, until }) => (from, Some(until)),
        _ => return refuse(id, "has no window that could end"),
    };
    if row.role != Role::License && end.is_some() {
        return refuse(id, "was replaced before");
    }
    if until < from {
        return refuse(id, "would sign no more before it begins to");
    }
    if end.is_some_and(|end| until > end) {
        return refuse(id, "would sign again after it was retired");
    }
    if query
        .last_issued_under(id)?
        .is_some_and(|last| last >= until)
    {
        return refuse(id, "has signed tokens after the end of its window");
    }
    if !moment.allows(until) {
        return refuse(id, "would have signed no more in the past");
    }
    Ok(())
}

fn dropped(query: &Query<'_>, row: &KeyRow, moment: Moment) -> Result<(), Error> {
    let id = row.public.id();
    let over = match (row.state(), moment) {
        (Some(KeyState::Staged), _) => true,
        _ if row.role != Role::License => false,
        // It never signed.
        (Some(KeyState::Active { from } | KeyState::Retired { from, .. }), moment)
            if moment.is_before(from) =>
        {
            true
        }
        (Some(KeyState::Retired { until, .. }), Moment::At(now)) => until.plus(DROP_LEEWAY) <= now,
        (Some(KeyState::Revoked { .. }), _) | (Some(KeyState::Retired { .. }), Moment::Early) => {
            true
        }
        _ => false,
    };
    if !over {
        return refuse(id, "is dropped before its window is over, or once more");
    }
    match moment {
        Moment::At(now) if !query.all_ended_under(id, now)? => {
            refuse(id, "is dropped while there are tokens under it")
        }
        _ => Ok(()),
    }
}

fn refuse(id: KeyId, problem: &'static str) -> Result<(), Error> {
    Err(Error::NotAllowed {
        what: format!("key {id}"),
        problem,
        hint: "run `phi key list`",
    })
}
