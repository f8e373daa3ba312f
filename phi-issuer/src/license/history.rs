//! What a license was, and how it came to be what it is: a pure replay of its events.

use phi_verify::{LicenseId, Terms, UnixTime};

use super::{Act, Change, LicenseRecord, Settled, State, Waiting, find, misfit_of, terms};
use crate::{
    Issuer, MintedToken, Revocation, Subject, Unrevocation, entry::Entry, error::Error,
    event::Event, store::Query,
};

/// One thing that happened to a license.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// When it happened.
    pub time: UnixTime,
    /// The entry that recorded it, with its actor and reason; `None` if time did it.
    pub entry: Option<Entry>,
    /// What happened.
    pub happening: Happening,
    /// The state before; `None` is a license that was not there yet.
    pub before: Option<State>,
    /// The state after.
    pub after: State,
    /// The revision after.
    pub revision: u64,
}

/// What can happen to a license.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Happening {
    /// It was drafted, issued or started as a trial.
    Began(Act),
    /// It changed.
    Changed(Change),
    /// A change was recorded that waits for its time.
    Scheduled {
        /// The change.
        change: Change,
        /// When it takes effect.
        effective: UnixTime,
    },
    /// A change that waited took effect, or was void by then.
    CameDue(Settled),
    /// A change that waited is void from now on: what happened just before leaves it nothing to do.
    Voided(Waiting),
    /// Its time was up and its grace began.
    Lapsed,
    /// Its time and its grace were up.
    Expired,
    /// It was taken back, alone or with all of its customer's, or its tokens up to a time were.
    Revoked(Revocation),
    /// Such a revocation was taken back.
    Unrevoked(Unrevocation),
    /// A token was minted of it.
    Minted(MintedToken),
}

/// A license at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LicenseAt {
    /// The license by all that was recorded until then, and by what had taken effect.
    pub license: LicenseRecord,
    /// The state.
    pub state: State,
    /// What its plan and overrides come to.
    pub terms: Terms,
    /// The revocation of its customer, if there was one by then.
    pub customer_revoked: Option<Revocation>,
    /// The time that was asked about.
    pub time: UnixTime,
}

impl LicenseAt {
    /// Whether the customer was entitled to the terms at that time.
    pub fn entitled(&self) -> bool {
        let begun = self
            .license
            .not_before
            .is_none_or(|begins| begins <= self.time);
        self.state.entitles() && begun && self.customer_revoked.is_none()
    }
}

/// Which license of the past is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Past {
    /// As it was at a time.
    Time(UnixTime),
    /// As its event of this revision left it.
    Revision(u64),
}

impl Issuer {
    /// Everything that happened to a license until now, in order.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn license_history(
        &mut self,
        license: LicenseId,
        now: UnixTime,
    ) -> Result<Vec<Moment>, Error> {
        self.store.read(|query| history(query, license, now))
    }

    /// What a license was: nothing but its events until then is looked at.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such license, or was none then.
    pub fn license_at(&mut self, license: LicenseId, past: Past) -> Result<LicenseAt, Error> {
        self.store.read(|query| at(query, license, past))
    }
}

pub(crate) fn history(
    query: &Query<'_>,
    license: LicenseId,
    now: UnixTime,
) -> Result<Vec<Moment>, Error> {
    let customer = find(query, license)?.order.customer;
    history_of(
        query,
        license,
        &CustomerRevocations::of(query, &customer)?,
        now,
    )
}

/// The history of a license of the customer of these revocations.
pub(crate) fn history_of(
    query: &Query<'_>,
    license: LicenseId,
    revocations: &CustomerRevocations,
    now: UnixTime,
) -> Result<Vec<Moment>, Error> {
    let mut entries = recorded(query, query.trail_of_license(license)?)?;
    // What takes back all of a customer's licenses is no event of one of them.
    entries.extend_from_slice(&revocations.0);
    entries.sort_by_key(|(_, entry)| entry.seq);
    Timeline::of(entries, now)
}

/// What took back all of a customer's licenses, or their tokens up to a time, and when.
pub(crate) struct CustomerRevocations(Vec<(UnixTime, Entry)>);

impl CustomerRevocations {
    pub(crate) fn of(query: &Query<'_>, customer: &str) -> Result<Self, Error> {
        // The table has the newest of them, and is soon asked; the events have them all.
        match query.entry_of_revocation(&Subject::Customer(customer.into()))? {
            None => Ok(Self(Vec::new())),
            Some(_) => recorded(query, query.revocations_of_customer(customer)?).map(Self),
        }
    }

    /// The one that took back all and was in force then.
    fn newest(&self, time: UnixTime) -> Option<Revocation> {
        let until = self.0.iter().take_while(|(recorded, _)| *recorded <= time);
        until.fold(None, |standing, (_, entry)| match &entry.event {
            Event::Revoked(revocation) if revocation.issued_before.is_none() => {
                Some(revocation.clone())
            }
            Event::Unrevoked(_) => None,
            _ => standing,
        })
    }
}

/// The entries with the times at which they count as recorded.
fn recorded(query: &Query<'_>, entries: Vec<Entry>) -> Result<Vec<(UnixTime, Entry)>, Error> {
    let timed = entries.into_iter();
    timed
        .map(|entry| Ok((query.recorded(&entry)?, entry)))
        .collect()
}

fn at(query: &Query<'_>, license: LicenseId, past: Past) -> Result<LicenseAt, Error> {
    let (record, time) = replayed(query, license, past)?;
    judged(query, &record, time)
}

/// The license as its events until then left it, and the time of the question.
pub(crate) fn replayed(
    query: &Query<'_>,
    license: LicenseId,
    past: Past,
) -> Result<(LicenseRecord, UnixTime), Error> {
    let mut time = match past {
        Past::Time(time) => time,
        Past::Revision(_) => UnixTime::EPOCH,
    };
    let mut record: Option<LicenseRecord> = None;
    let changes = query.changes_of_license(license)?;
    let since = changes.first().map(|first| first.time);
    for entry in changes {
        let recorded = query.recorded(&entry)?;
        let wanted = match past {
            Past::Time(time) => recorded <= time,
            Past::Revision(revision) => record
                .as_ref()
                .is_none_or(|record| record.revision < revision),
        };
        if !wanted {
            break;
        }
        time = time.max(recorded);
        fold(&mut record, &entry)?;
    }
    let Some(record) = record else {
        let found = find(query, license)?;
        return Err(Error::NotThen {
            license,
            since: since.unwrap_or(found.issued_at),
        });
    };
    if let Past::Revision(revision) = past
        && record.revision != revision
    {
        return Err(Error::NoRevision {
            license,
            asked: revision,
            newest: record.revision,
        });
    }
    Ok((record, time))
}

/// The license of a record at a time that is not before its last event.
pub(super) fn judged(
    query: &Query<'_>,
    record: &LicenseRecord,
    time: UnixTime,
) -> Result<LicenseAt, Error> {
    let revocations = CustomerRevocations::of(query, &record.customer)?;
    judged_of(query, record, &revocations, time)
}

/// The same of a license of the customer of these revocations.
pub(crate) fn judged_of(
    query: &Query<'_>,
    record: &LicenseRecord,
    revocations: &CustomerRevocations,
    time: UnixTime,
) -> Result<LicenseAt, Error> {
    let license = record.at(time);
    Ok(LicenseAt {
        state: license.state(time),
        terms: terms(query, &license)?,
        customer_revoked: revocations.newest(time),
        time,
        license,
    })
}

/// Applies an entry to the record of the license that it is about. Entries that do not change a
/// license leave it as it is.
pub(crate) fn fold(record: &mut Option<LicenseRecord>, entry: &Entry) -> Result<(), Error> {
    let damaged = |problem: &str| Error::EventDamaged {
        problem: format!("event {}: {problem}", entry.seq),
    };
    let (issuance, act) = match &entry.event {
        Event::LicenseDrafted { license } => (license, Act::Draft),
        Event::LicenseIssued { license } => (license, Act::Issue),
        Event::TrialStarted { license } => (license, Act::StartTrial),
        Event::LicenseChanged(change) => {
            let record = record
                .as_mut()
                .ok_or_else(|| damaged("it changes no license"))?;
            return record
                .apply(entry.time, change)
                .map_err(|misfit| misfit_of(change.license, misfit));
        }
        Event::Revoked(Revocation {
            subject: Subject::License(_),
            issued_before: None,
            ..
        }) => {
            let record = record
                .as_mut()
                .ok_or_else(|| damaged("it revokes no license"))?;
            record.revoke(entry.time);
            return Ok(());
        }
        Event::Unrevoked(Unrevocation {
            subject: Subject::License(_),
            ..
        }) => {
            let record = record
                .as_mut()
                .ok_or_else(|| damaged("it takes back the revocation of no license"))?;
            record.unrevoke(entry.time);
            return Ok(());
        }
        _ => return Ok(()),
    };
    if record.is_some() {
        return Err(damaged("its license is there already"));
    }
    *record = Some(LicenseRecord::begin(issuance, act));
    Ok(())
}

/// The moments of a license, with those that time alone brings between its entries.
struct Timeline {
    moments: Vec<Moment>,
    record: Option<LicenseRecord>,
}

impl Timeline {
    fn of(entries: Vec<(UnixTime, Entry)>, now: UnixTime) -> Result<Vec<Moment>, Error> {
        let mut timeline = Self {
            moments: Vec::new(),
            record: None,
        };
        for (time, entry) in entries {
            timeline.pass(time);
            timeline.record(time, entry)?;
        }
        timeline.pass(now);
        Ok(timeline.moments)
    }

    fn record(&mut self, time: UnixTime, entry: Entry) -> Result<(), Error> {
        if changes_license(&entry.event) {
            self.hurry(time, entry.time);
        }
        let state =
            |record: &Option<LicenseRecord>| record.as_ref().map(|record| record.state(time));
        let before = state(&self.record);
        let waiting = self.waiting();
        fold(&mut self.record, &entry)?;
        let (Some(after), Some(record)) = (state(&self.record), &self.record) else {
            return Ok(());
        };
        let revision = record.revision;
        let happening = match &entry.event {
            Event::LicenseDrafted { .. } => Happening::Began(Act::Draft),
            Event::LicenseIssued { .. } => Happening::Began(Act::Issue),
            Event::TrialStarted { .. } => Happening::Began(Act::StartTrial),
            Event::LicenseChanged(event) => match event.effective {
                Some(effective) => Happening::Scheduled {
                    change: event.change.clone(),
                    effective,
                },
                None => Happening::Changed(event.change.clone()),
            },
            Event::Revoked(revocation) => Happening::Revoked(revocation.clone()),
            Event::Unrevoked(unrevocation) => Happening::Unrevoked(unrevocation.clone()),
            Event::TokenMinted(token) => Happening::Minted(token.clone()),
            _ => return Ok(()),
        };
        self.moments.push(Moment {
            time,
            entry: Some(entry),
            happening,
            before,
            after,
            revision,
        });
        self.void(time, waiting);
        Ok(())
    }

    fn waiting(&self) -> Vec<Waiting> {
        let record = self.record.as_ref();
        record.map_or_else(Vec::new, |record| record.waiting.clone())
    }

    /// What waited until the newest moment and does not wait any more, though it had its time
    /// still before it and nobody called it off.
    fn void(&mut self, time: UnixTime, waited: Vec<Waiting>) {
        let (Some(record), Some(newest)) = (&self.record, self.moments.last()) else {
            return;
        };
        let called_off = match &newest.happening {
            Happening::Changed(Change::Withdraw { withdrawn }) => Some(*withdrawn),
            Happening::CameDue(settled) => Some(settled.waited.revision),
            _ => None,
        };
        let (after, revision) = (newest.after, newest.revision);
        let gone = waited
            .into_iter()
            .filter(|one| !record.waiting.contains(one) && called_off != Some(one.revision));
        let moment = |waiting| Moment {
            time,
            entry: None,
            happening: Happening::Voided(waiting),
            before: Some(after),
            after,
            revision,
        };
        self.moments.extend(gone.map(moment));
    }

    /// What time alone does until this moment.
    fn pass(&mut self, until: UnixTime) {
        while let Some((time, due)) = self.next_due().filter(|(time, _)| *time <= until) {
            match due {
                Due::Lapse => self.by_time(time, |_| Happening::Lapsed),
                Due::Expire => self.by_time(time, |_| Happening::Expired),
                Due::Waiting => {
                    self.by_time(time, |record| Happening::CameDue(record.settle_first()));
                }
            }
        }
    }

    /// What an entry of a clock that was ahead found due, though its time had not come: it is in
    /// effect since that entry.
    fn hurry(&mut self, time: UnixTime, clock: UnixTime) {
        let due = |timeline: &Self| {
            let record = timeline.record.as_ref();
            let first = record.and_then(|record| record.waiting.first());
            first.is_some_and(|first| first.effective <= clock)
        };
        while due(self) {
            self.by_time(time, |record| Happening::CameDue(record.settle_first()));
        }
    }

    fn by_time(&mut self, time: UnixTime, happening: impl FnOnce(&mut LicenseRecord) -> Happening) {
        let waiting = self.waiting();
        let Some(record) = &mut self.record else {
            return;
        };
        let happening = happening(record);
        self.moments.push(Moment {
            time,
            entry: None,
            happening,
            before: self.moments.last().map(|last| last.after),
            after: record.timed(time),
            revision: record.revision,
        });
        self.void(time, waiting);
    }

    fn next_due(&self) -> Option<(UnixTime, Due)> {
        let seen = self
            .moments
            .last()
            .map_or(UnixTime::EPOCH, |last| last.time);
        next_due(self.record.as_ref()?, seen)
    }
}

/// Whether the event is one of those that the record of its license is made of.
const fn changes_license(event: &Event) -> bool {
    matches!(
        event,
        Event::LicenseChanged(_)
            | Event::Revoked(Revocation {
                subject: Subject::License(_),
                issued_before: None,
                ..
            })
            | Event::Unrevoked(Unrevocation {
                subject: Subject::License(_),
                ..
            })
    )
}

/// What time does next.
enum Due {
    Lapse,
    Expire,
    Waiting,
}

/// The next thing that time does to the license after this moment.
fn next_due(record: &LicenseRecord, seen: UnixTime) -> Option<(UnixTime, Due)> {
    let waiting = record
        .waiting
        .first()
        .map(|wait| (wait.effective, Due::Waiting));
    let ends = record.ends().filter(|_| record.standing == State::Active);
    let timed = ends.into_iter().flat_map(|(expires, ends)| {
        let lapse = (expires < ends).then_some((expires, Due::Lapse));
        lapse.into_iter().chain([(ends, Due::Expire)])
    });
    let timed = timed.filter(|(time, _)| *time > seen);
    timed.chain(waiting).min_by_key(|(time, _)| *time)
}
