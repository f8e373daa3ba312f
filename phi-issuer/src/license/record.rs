//! The record of a license: its events, folded. Nothing in it is decided anywhere else.

use phi_verify::{LicenseId, UnixTime};
use serde::{Deserialize, Serialize};

use super::{Act, Change, LicenseChange, Machine, NewLicense, State};
use crate::{error::Error, event};

/// A license as it was issued or drafted: the first of its events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issuance {
    /// Its name.
    pub id: LicenseId,
    /// Always 1.
    pub revision: u64,
    /// When it was recorded.
    pub issued_at: UnixTime,
    /// The catalog revision in which its plan and overrides are read.
    pub catalog_revision: u64,
    /// The license whose place it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<LicenseId>,
    /// What was ordered.
    #[serde(flatten)]
    pub order: NewLicense,
}

/// A license as its events make it, up to the last of them.
///
/// What waits for its time, and what time alone does, is not in it until [`LicenseRecord::at`]
/// is asked for a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LicenseRecord {
    /// Its name.
    pub id: LicenseId,
    /// Counts its events, from 1.
    pub revision: u64,
    /// When it was issued; a draft's is when it was written down.
    pub issued_at: UnixTime,
    /// The catalog revision in which its plan and overrides are read.
    pub catalog_revision: u64,
    /// Where it stands by what somebody did: never `Grace` or `Expired`, which time does.
    pub(crate) standing: State,
    /// Since when somebody's doing led there.
    pub(crate) since: UnixTime,
    /// The machine to which it is bound.
    pub machine: Option<Machine>,
    /// The license whose place it took.
    pub supersedes: Option<LicenseId>,
    /// The license that took its place.
    pub successor: Option<LicenseId>,
    /// Changes that wait for their time, in the order in which they take effect.
    pub waiting: Vec<Waiting>,
    /// What was ordered, as amended.
    pub order: NewLicense,
}

/// A change that waits for its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// The revision that it made when it was recorded.
    pub revision: u64,
    /// When it takes effect.
    pub effective: UnixTime,
    /// What changes.
    pub change: Change,
}

/// What became of a change that waited, when its time came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The change.
    pub waited: Waiting,
    /// The state in which it found the license.
    pub before: State,
    /// The state to which it led; `None` if it was not allowed any more and did nothing.
    pub after: Option<State>,
}

/// Why a change does not fit a license.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// The table does not have it.
    Transition {
        /// The state.
        state: State,
        /// What was asked for.
        act: Act,
    },
    /// It was decided on another revision.
    Revision {
        /// The revision on which it was decided.
        expected: u64,
        /// The revision that the license has.
        found: u64,
    },
    /// The change itself makes no sense here.
    Rule(&'static str),
}

impl std::ops::Deref for LicenseRecord {
    type Target = NewLicense;

    fn deref(&self) -> &NewLicense {
        &self.order
    }
}

impl LicenseRecord {
    /// The record as the store has it.
    pub(crate) fn encode(&self) -> Vec<u8> {
        event::encode_sorted(self)
    }

    /// Reads a record of the store.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        ciborium::from_reader(bytes).map_err(|error| Error::EventDamaged {
            problem: format!("a license's record does not read: {error}"),
        })
    }

    /// The license that an issuance begins.
    pub fn begin(issuance: &Issuance, act: Act) -> Self {
        Self {
            id: issuance.id,
            revision: issuance.revision,
            issued_at: issuance.issued_at,
            catalog_revision: issuance.catalog_revision,
            standing: if matches!(act, Act::Draft) {
                State::Draft
            } else {
                State::Active
            },
            since: issuance.issued_at,
            machine: issuance.order.machine.clone(),
            supersedes: issuance.supersedes,
            successor: None,
            waiting: Vec::new(),
            order: NewLicense {
                machine: None,
                ..issuance.order.clone()
            },
        }
    }

    /// The license as it is at this time, by the events that the record has: what waited until
    /// then has taken effect.
    #[must_use]
    pub fn at(&self, now: UnixTime) -> Self {
        let mut then = self.clone();
        then.settle(now);
        then
    }

    /// The state at this time, which must not be before the record's last event.
    pub fn state(&self, now: UnixTime) -> State {
        let then;
        let settled = if self.waiting.iter().any(|wait| wait.effective <= now) {
            then = self.at(now);
            &then
        } else {
            self
        };
        settled.timed(now)
    }

    /// Since when it is in the state in which it is at this time.
    pub fn since(&self, now: UnixTime) -> UnixTime {
        let then = self.at(now);
        let since = match (then.timed(now), then.ends()) {
            (State::Grace, Some((expires, _))) => expires,
            (State::Expired, Some((_, ends))) => ends,
            _ => then.since,
        };
        since.max(then.since)
    }

    /// When time takes it out of force, and when that is for good: its expiry, and the end of
    /// its grace.
    pub fn ends(&self) -> Option<(UnixTime, UnixTime)> {
        let expires = self.order.expires?;
        Some((expires, expires.plus(self.order.grace)))
    }

    /// Applies what waited until this time; what became of each.
    pub fn settle(&mut self, now: UnixTime) -> Vec<Settled> {
        let mut settled = Vec::new();
        let due = |first: &Waiting| first.effective <= now;
        while self.waiting.first().is_some_and(due) {
            settled.push(self.settle_first());
        }
        settled
    }

    /// Applies the change that waits for the earliest time; there is one.
    pub(super) fn settle_first(&mut self) -> Settled {
        let waited = self.waiting.remove(0);
        let before = self.timed(waited.effective);
        // What was done since can leave it nothing to do: it is then void.
        let after = self.carry_out(waited.effective, &waited.change).ok();
        Settled {
            waited,
            before,
            after,
        }
    }

    /// Applies a change that is recorded at this time.
    ///
    /// # Errors
    /// Why it does not fit; the record is then as it is at this time, without the change.
    pub fn apply(&mut self, now: UnixTime, event: &LicenseChange) -> Result<(), Misfit> {
        self.settle(now);
        let (expected, found) = (event.revision.saturating_sub(1), self.revision);
        if expected != found {
            return Err(Misfit::Revision { expected, found });
        }
        if let Change::Suspend { voids } = &event.change
            && !voids.iter().all(|voided| self.waits_to_reinstate(*voided))
        {
            return Err(Misfit::Rule(
                "has no waiting reinstatement of this revision",
            ));
        }
        match event.effective {
            Some(effective) => self.wait(now, effective, event)?,
            None => drop(self.carry_out(now, &event.change)?),
        }
        self.revision = event.revision;
        Ok(())
    }

    /// Takes the license back. A license that is revoked or superseded already stays as it is:
    /// what goes with it was taken back then.
    pub(crate) fn revoke(&mut self, now: UnixTime) {
        self.settle(now);
        let before = self.timed(now);
        if let Some(after) = before.after(Act::Revoke) {
            self.enter(before, after, now);
            self.waiting.clear();
        }
        self.revision += 1;
    }

    /// Brings the license back that was revoked, as what somebody did before; one whose tokens
    /// alone were cut stays as it is.
    pub(crate) fn unrevoke(&mut self, now: UnixTime) {
        self.settle(now);
        let before = self.timed(now);
        if let Some(after) = before.after(Act::Unrevoke) {
            self.enter(before, after, now);
            self.revision += 1;
        }
    }

    fn wait(
        &mut self,
        now: UnixTime,
        effective: UnixTime,
        event: &LicenseChange,
    ) -> Result<(), Misfit> {
        let act = event.change.act();
        if !act.may_wait() {
            return Err(Misfit::Rule(
                "changes at once in this way: leave the time out",
            ));
        }
        if effective <= now {
            return Err(Misfit::Rule(
                "cannot change in the past: leave the time out to change it now",
            ));
        }
        // Whether the state then will allow it is asked of who asks for it, not of what is in the
        // ledger: it may be decided otherwise until then, and what does not fit is void.
        let state = self.timed(now);
        if state.is_last() {
            return Err(Misfit::Transition { state, act });
        }
        let after = |waiting: &Waiting| waiting.effective <= effective;
        let place = self.waiting.partition_point(after);
        let waiting = Waiting {
            revision: event.revision,
            effective,
            change: event.change.clone(),
        };
        self.waiting.insert(place, waiting);
        Ok(())
    }

    /// Makes the change; the state after it.
    fn carry_out(&mut self, now: UnixTime, change: &Change) -> Result<State, Misfit> {
        let before = self.timed(now);
        let after = self.next(now, change.act())?;
        match change {
            Change::Issue { catalog_revision } => {
                self.issued_at = now;
                self.read_in(*catalog_revision);
            }
            Change::Amend {
                catalog_revision,
                amendment,
            } => {
                amendment.apply(&mut self.order);
                self.read_in(*catalog_revision);
            }
            Change::Renew { expires } => self.renew(*expires)?,
            Change::Suspend { voids } => self
                .waiting
                .retain(|waiting| !voids.contains(&waiting.revision)),
            Change::Reinstate => {}
            Change::ConvertTrial {
                catalog_revision,
                expires,
                amendment,
            } => {
                if !self.order.trial {
                    return Err(Misfit::Rule("is no trial"));
                }
                self.order.trial = false;
                self.order.expires = *expires;
                amendment.apply(&mut self.order);
                self.read_in(*catalog_revision);
            }
            Change::Transfer { successor } => {
                self.successor = Some(*successor);
                self.waiting.clear();
            }
            Change::Rebind { machine } => self.machine.clone_from(machine),
            Change::Withdraw { withdrawn } => {
                let waits = |waiting: &Waiting| waiting.revision == *withdrawn;
                let place = self.waiting.iter().position(waits);
                let place = place.ok_or(Misfit::Rule("has no waiting change of this revision"))?;
                self.waiting.remove(place);
            }
        }
        self.enter(before, after, now);
        Ok(self.timed(now))
    }

    fn waits_to_reinstate(&self, revision: u64) -> bool {
        let mut waiting = self.waiting.iter();
        waiting.any(|one| one.revision == revision && one.change.act() == Act::Reinstate)
    }

    fn renew(&mut self, expires: Option<UnixTime>) -> Result<(), Misfit> {
        let Some(current) = self.order.expires else {
            return Err(Misfit::Rule("never expires: there is nothing to renew"));
        };
        if expires.is_some_and(|expires| expires <= current) {
            return Err(Misfit::Rule("would not expire later than it does"));
        }
        self.order.expires = expires;
        Ok(())
    }

    fn next(&self, now: UnixTime, act: Act) -> Result<State, Misfit> {
        let state = self.timed(now);
        state.after(act).ok_or(Misfit::Transition { state, act })
    }

    /// The state at this time, of a record in which nothing waits any longer.
    pub(super) fn timed(&self, now: UnixTime) -> State {
        match (self.standing, self.ends()) {
            (State::Active, Some((_, ends))) if now >= ends => State::Expired,
            (State::Active, Some((expires, _))) if now >= expires => State::Grace,
            (standing, _) => standing,
        }
    }

    fn enter(&mut self, before: State, state: State, now: UnixTime) {
        // Time, not somebody, leads to these: by what somebody did it is active.
        self.standing = match state {
            State::Grace | State::Expired => State::Active,
            state => state,
        };
        if before != state {
            self.since = now;
        }
    }

    /// A catalog revision is never followed by an older one.
    fn read_in(&mut self, revision: u64) {
        self.catalog_revision = self.catalog_revision.max(revision);
    }
}
