//! Changing: what is to become of a license that is there, and what the ledger keeps of it.

use phi_verify::{LicenseId, Reason, RuleClass, UnixTime};
use serde::Serialize;

use super::{
    Act, Amendment, Change, LicenseAt, LicenseChange, LicenseRecord, Machine, State, check_end,
    check_machine, each, find, history, misfit_of, no_catalog, terms,
};
use crate::{
    Context, Issuer, Revocation, Subject,
    error::Error,
    event::Event,
    store::{Query, Writer},
};

/// What is to change about a license.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeRequest {
    /// Bring a draft into force.
    Issue,
    /// Change what it grants.
    Amend(Amendment),
    /// Let it expire later; `None` is never.
    Renew(Option<UnixTime>),
    /// Take it out of force for a while.
    Suspend,
    /// Bring it into force again.
    Reinstate,
    /// Make an ordinary license of a trial.
    ConvertTrial {
        /// Its expiry from then on; `None` is never.
        expires: Option<UnixTime>,
        /// What else changes.
        amendment: Amendment,
    },
    /// Bind it to this machine; `None` is any.
    Rebind(Option<Machine>),
    /// Call off the waiting change that made this revision.
    Withdraw(u64),
}

/// What becomes of the tokens that were minted before a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OldTokens {
    /// They serve until they expire.
    Keep,
    /// The next status list takes them back.
    Cut,
}

/// A change of a license, decided on one of its revisions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LicenseOrder {
    /// The license.
    pub license: LicenseId,
    /// The revision that was looked at; if it is not the newest any more, nothing is changed.
    pub base: u64,
    /// What is to change.
    pub request: ChangeRequest,
    /// When it takes effect; `None` is at once.
    pub effective: Option<UnixTime>,
    /// What becomes of the tokens minted before.
    pub old_tokens: OldTokens,
}

impl LicenseOrder {
    /// A change at once that keeps the tokens minted before.
    pub const fn new(license: LicenseId, base: u64, request: ChangeRequest) -> Self {
        Self {
            license,
            base,
            request,
            effective: None,
            old_tokens: OldTokens::Keep,
        }
    }
}

impl Issuer {
    /// Changes a license; the license after it.
    ///
    /// # Errors
    /// [`Error::Transition`] if its state does not allow it, [`Error::Conflict`] if it was
    /// changed since its base revision, [`Error::Entitlement`] for terms that the catalog does
    /// not have, now or when a waiting change takes effect.
    pub fn change_license(
        &mut self,
        order: &LicenseOrder,
        context: &Context,
    ) -> Result<LicenseRecord, Error> {
        self.store
            .write(context, |writer| change_once(writer, order))
    }

    /// Changes many licenses in one transaction; each order is carried out or refused alone, after
    /// those before it. Under an idempotency key the first order is the request `key/0`, the next
    /// one `key/1`.
    ///
    /// # Errors
    /// If the store cannot be written; nothing is changed then. What concerns one order is in its
    /// place, as [`Issuer::change_license`] would refuse it.
    pub fn change_licenses(
        &mut self,
        orders: &[LicenseOrder],
        context: &Context,
    ) -> Result<Vec<Result<LicenseRecord, Error>>, Error> {
        self.store
            .write(context, |writer| each(writer, orders, change_once))
    }

    /// The license before a change, which is not made, and after it; a change that waits is
    /// shown as it takes effect.
    ///
    /// # Errors
    /// As [`Issuer::change_license`].
    pub fn simulate_change(
        &mut self,
        order: &LicenseOrder,
        now: UnixTime,
    ) -> Result<(LicenseAt, LicenseAt), Error> {
        self.store.read(|query| {
            let now = query.lifted(now)?;
            let before = find(query, order.license)?;
            let event = decided(query, &before, order, now)?;
            let after = changed(query, &before, &event, now)?;
            // Both at one time: what time alone does until then is not the change's.
            let then = order.effective.unwrap_or(now);
            let before = history::judged(query, &before, then)?;
            Ok((before, history::judged(query, &after, then)?))
        })
    }
}

fn change_once(writer: &mut Writer<'_>, order: &LicenseOrder) -> Result<LicenseRecord, Error> {
    // Whoever asks again looked at the license again: the base is not what was asked for.
    let request = LicenseOrder {
        base: 0,
        ..order.clone()
    };
    if let Some(earlier) = writer.repeated(&request)? {
        return earlier.license(writer);
    }
    writer.answers(&request);
    change(writer, order)
}

/// Changes a license as part of a larger change.
pub(crate) fn change(
    writer: &mut Writer<'_>,
    order: &LicenseOrder,
) -> Result<LicenseRecord, Error> {
    let now = writer.now();
    let before = find(&writer.query(), order.license)?;
    let event = decided(&writer.query(), &before, order, now)?;
    let after = changed(&writer.query(), &before, &event, now)?;
    writer.append(&Event::LicenseChanged(event))?;
    if order.old_tokens == OldTokens::Cut {
        if order.effective.is_some() {
            return Err(Error::Invalid {
                what: "a change that waits",
                problem: "cannot cut tokens that serve until then: keep them".into(),
            });
        }
        cut_tokens(writer, order.license)?;
    }
    Ok(after)
}

/// Takes back every token that was minted of the license so far, and none that is minted from now
/// on. What was issued in this very second is told from what may be issued in it later by name.
fn cut_tokens(writer: &mut Writer<'_>, license: LicenseId) -> Result<(), Error> {
    let now = writer.now();
    let issued = writer.query().issued_of(license)?;
    let (before, by_name): (Vec<_>, Vec<_>) = issued.into_iter().partition(|(_, at)| *at < now);
    let earlier = writer
        .query()
        .revocation(RuleClass::License, &license.to_string())?
        .map(|earlier| earlier.issued_before);
    let covered = |time| earlier.is_some_and(|until| until.is_none_or(|until| time <= until));
    let revocation = |subject, issued_before| {
        Event::Revoked(Revocation {
            subject,
            issued_before,
            reason: Reason::Superseded,
            since: now,
            cut: None,
        })
    };
    if !before.is_empty() && !covered(now) {
        writer.append(&revocation(Subject::License(license), Some(now)))?;
    }
    for (token, at) in by_name {
        let known = writer
            .query()
            .revocation(RuleClass::Token, &token.to_string())?;
        if known.is_none() && !covered(at.plus(1)) {
            writer.append(&revocation(Subject::Token(token), None))?;
        }
    }
    Ok(())
}

/// The event that an order comes to.
fn decided(
    query: &Query<'_>,
    license: &LicenseRecord,
    order: &LicenseOrder,
    now: UnixTime,
) -> Result<LicenseChange, Error> {
    // Asked first: what was decided on another revision need not make sense on this one.
    if order.base != license.revision {
        return Err(Error::Conflict {
            license: license.id,
            expected: order.base,
            found: license.revision,
        });
    }
    let at = order.effective.unwrap_or(now);
    let then = license.at(at);
    let change = match order.request.clone() {
        ChangeRequest::Issue => Change::Issue {
            catalog_revision: newest_revision(query, license)?,
        },
        ChangeRequest::Amend(amendment) => Change::Amend {
            catalog_revision: newest_revision(query, license)?,
            amendment,
        },
        ChangeRequest::Renew(expires) => Change::Renew { expires },
        ChangeRequest::Suspend => Change::Suspend {
            voids: reinstatements_of(&then),
        },
        ChangeRequest::Reinstate => Change::Reinstate,
        ChangeRequest::ConvertTrial { expires, amendment } => Change::ConvertTrial {
            catalog_revision: newest_revision(query, license)?,
            expires,
            amendment,
        },
        ChangeRequest::Rebind(machine) => Change::Rebind { machine },
        ChangeRequest::Withdraw(withdrawn) => Change::Withdraw { withdrawn },
    };
    let event = LicenseChange {
        license: order.license,
        revision: order.base.saturating_add(1),
        effective: order.effective,
        change,
    };
    if at > now && event.change.act().may_wait() {
        // What makes no sense is refused as that, whatever the state will be.
        check_change(query, license, &event, now)?;
        allowed_then(&then, event.change.act(), at)?;
    }
    Ok(event)
}

/// The reinstatements that wait for a later time.
fn reinstatements_of(then: &LicenseRecord) -> Vec<u64> {
    let waiting = then.waiting.iter();
    let reinstate = waiting.filter(|waiting| waiting.change.act() == Act::Reinstate);
    reinstate.map(|waiting| waiting.revision).collect()
}

/// Whether a change may wait for this time: the state that the license will have then, by all
/// that waits until then, must allow it.
fn allowed_then(then: &LicenseRecord, act: Act, at: UnixTime) -> Result<(), Error> {
    let state = then.state(at);
    match state.after(act) {
        Some(_) => Ok(()),
        None => Err(Error::Transition {
            license: then.id,
            state,
            act,
            then: Some(at),
        }),
    }
}

/// Whether the change makes sense of this license, whatever state it is in.
fn check_change(
    query: &Query<'_>,
    license: &LicenseRecord,
    event: &LicenseChange,
    now: UnixTime,
) -> Result<(), Error> {
    let then = license.at(event.effective.unwrap_or(now));
    match &event.change {
        Change::Issue { catalog_revision } => {
            check_draft(license, &then, now)?;
            check_revision(query, license, *catalog_revision)
        }
        Change::Amend { amendment, .. } if amendment.is_empty() => {
            let problem = "changes nothing: name a plan, an add-on, a flag, a quota or a limit";
            Err(Error::Invalid {
                what: "an amendment",
                problem: problem.into(),
            })
        }
        Change::Amend {
            catalog_revision,
            amendment,
        } => {
            amendment.check(&then)?;
            check_revision(query, license, *catalog_revision)
        }
        Change::Renew { expires } => check_expiry(*expires, now),
        Change::ConvertTrial {
            catalog_revision,
            expires,
            amendment,
        } => {
            amendment.check(&then)?;
            check_revision(query, license, *catalog_revision)?;
            check_expiry(*expires, now)
        }
        Change::Rebind {
            machine: Some(machine),
        } => check_machine(machine, &license.product),
        Change::Rebind { machine: None }
        | Change::Suspend { .. }
        | Change::Reinstate
        | Change::Transfer { .. }
        | Change::Withdraw { .. } => Ok(()),
    }
}

fn check_draft(license: &LicenseRecord, then: &LicenseRecord, now: UnixTime) -> Result<(), Error> {
    let over = then.expires.is_some_and(|expires| expires <= now);
    if license.state(now) != State::Draft || !over {
        return Ok(());
    }
    Err(Error::NotAllowed {
        what: format!("license {}", license.id),
        problem: "is a draft that would have expired by now",
        hint: "write another with `phi license issue --draft`",
    })
}

fn check_expiry(expires: Option<UnixTime>, now: UnixTime) -> Result<(), Error> {
    if expires.is_none_or(|expires| expires > now) {
        return Ok(());
    }
    Err(Error::Invalid {
        what: "a new expiry",
        problem: "is in the past".into(),
    })
}

/// What is decided now is read in the catalog that is newest now.
fn check_revision(query: &Query<'_>, license: &LicenseRecord, revision: u64) -> Result<(), Error> {
    let newest = newest_revision(query, license)?;
    if newest == revision {
        return Ok(());
    }
    Err(Error::Invalid {
        what: "a change of a license",
        problem: format!("is read in catalog revision {revision}, and the newest is {newest}"),
    })
}

fn newest_revision(query: &Query<'_>, license: &LicenseRecord) -> Result<u64, Error> {
    let catalog = query.newest_catalog(&license.product)?;
    let catalog = catalog.ok_or_else(|| no_catalog(&license.product))?;
    Ok(catalog.number())
}

/// The license after the event, which must make sense now and whenever something that waits
/// takes effect.
pub(crate) fn changed(
    query: &Query<'_>,
    license: &LicenseRecord,
    event: &LicenseChange,
    now: UnixTime,
) -> Result<LicenseRecord, Error> {
    check_change(query, license, event, now)?;
    let mut after = license.clone();
    after
        .apply(now, event)
        .map_err(|misfit| misfit_of(license.id, misfit))?;
    check_sense(query, &after)?;
    for waiting in after.waiting.clone() {
        check_sense(query, &after.at(waiting.effective)).map_err(|error| match error {
            cause @ (Error::Entitlement(_) | Error::Invalid { .. }) => Error::WaitingMisfit {
                license: license.id,
                revision: waiting.revision,
                effective: waiting.effective,
                cause: Box::new(cause),
            },
            error => error,
        })?;
    }
    Ok(after)
}

fn check_sense(query: &Query<'_>, license: &LicenseRecord) -> Result<(), Error> {
    check_end(license)?;
    terms(query, license).map(drop)
}
