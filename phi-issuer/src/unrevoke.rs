//! Taking a revocation back: of a token, a license, a customer or a feature, never of a key.
//!
//! What a change of a license replaced (an amendment that cut the old tokens, a transfer) is not
//! somebody's revocation and does not come back with one. How the next list says it is `publish`'s.

use phi_verify::{Reason, RuleClass, UnixTime};

use crate::{
    Context, Issuer,
    entry::Entry,
    error::Error,
    event::{Event, Revocation, Subject, Unrevocation},
    keys,
    license::{self, ChangeRequest, LicenseOrder, LicenseRecord, OldTokens, State, fold},
    store::{Query, Writer},
};

/// What an un-revocation did, or would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unrevoked {
    /// The revocation that ends.
    pub revocation: Revocation,
    /// When it ends.
    pub since: UnixTime,
    /// Live tokens that it took back.
    pub live_tokens: u64,
    /// Those of them that count again: nothing else takes them back.
    pub restored: u64,
    /// Of a license whose old tokens a change replaced: tokens of before this stay revoked.
    pub kept_before: Option<UnixTime>,
    /// Of a license: the state in which it is again.
    pub state: Option<State>,
}

/// What follows from taking a revocation back.
pub(crate) struct Decided {
    revocation: Revocation,
    /// The event whose cut-off stays, and the cut-off.
    pub(crate) keeps: Option<u64>,
    kept_before: Option<UnixTime>,
    /// The license was suspended when it was revoked, and is suspended again.
    suspended: bool,
}

impl Issuer {
    /// Takes a revocation back; the next status list carries it out. A license is again what it
    /// would be without it, by the time and by what was done before: one that was suspended is
    /// suspended again.
    ///
    /// # Errors
    /// [`Error::NotAllowed`] if the subject is not revoked, or cannot come back: a key, a draft,
    /// what a change of its license replaced.
    pub fn unrevoke(&mut self, subject: &Subject, context: &Context) -> Result<Unrevoked, Error> {
        self.store.write(context, |writer| record(writer, subject))
    }

    /// What [`Issuer::unrevoke`] would do; nothing is recorded.
    ///
    /// # Errors
    /// As [`Issuer::unrevoke`].
    pub fn preview_unrevoke(
        &mut self,
        subject: &Subject,
        context: &Context,
    ) -> Result<Unrevoked, Error> {
        self.store
            .rehearse(context, |writer| record(writer, subject))
    }
}

fn record(writer: &mut Writer<'_>, subject: &Subject) -> Result<Unrevoked, Error> {
    let now = writer.now();
    let decided = check(&writer.query(), subject)?;
    let revoked = |writer: &Writer<'_>| writer.query().count_revoked_tokens(subject, now);
    let cut_off = decided.revocation.issued_before;
    let live = crate::revoke::reach(&writer.query(), subject, cut_off, now)?.tokens;
    let before = revoked(writer)?;
    writer.append(&Event::Unrevoked(Unrevocation {
        subject: subject.clone(),
        since: now,
        keeps: decided.keeps,
    }))?;
    if decided.suspended {
        suspend_again(writer, subject)?;
    }
    let state = match subject {
        Subject::License(id) => Some(license::find(&writer.query(), *id)?.state(now)),
        _ => None,
    };
    Ok(Unrevoked {
        since: now,
        live_tokens: live,
        restored: before.saturating_sub(revoked(writer)?),
        kept_before: decided.kept_before,
        state,
        revocation: decided.revocation,
    })
}

/// The revocation ends and the suspension that it found does not: both in one transaction, so that
/// the license is never in force in between.
fn suspend_again(writer: &mut Writer<'_>, subject: &Subject) -> Result<(), Error> {
    let Subject::License(id) = subject else {
        return Ok(());
    };
    let now = writer.now();
    let license = license::find(&writer.query(), *id)?;
    // Past its end there is nothing to suspend.
    if license.state(now) == State::Expired {
        return Ok(());
    }
    writer.explain(Some("it was suspended when it was revoked"));
    let order = LicenseOrder {
        license: *id,
        base: license.revision,
        effective: None,
        request: ChangeRequest::Suspend,
        old_tokens: OldTokens::Keep,
    };
    let suspended = license::change(writer, &order).map(drop);
    writer.explain(None);
    suspended
}

/// Whether a revocation can be taken back, and what stays of it.
pub(crate) fn check(query: &Query<'_>, subject: &Subject) -> Result<Decided, Error> {
    if let Subject::Key(id) = subject {
        if !keys::find(query, *id)?.revoked {
            return Err(not_revoked(query, subject)?);
        }
        return Err(refused(
            subject,
            "was revoked, and whoever has a copy of it still has one: it stays so",
            "make a new key with `phi key rotate`, and mint again what the old one signed",
        ));
    }
    let Some(entry) = query.entry_of_revocation(subject)? else {
        return Err(not_revoked(query, subject)?);
    };
    let Event::Revoked(revocation) = &entry.event else {
        return Err(not_revoked(query, subject)?);
    };
    let mut decided = Decided {
        revocation: revocation.clone(),
        keeps: None,
        kept_before: None,
        suspended: false,
    };
    let Subject::License(id) = subject else {
        return Ok(decided);
    };
    let trail = query.trail_of_license(*id)?;
    if revocation.issued_before.is_none() {
        decided.suspended = state_before(&trail, subject, entry.seq)? == State::Suspended;
    } else if by_a_change(revocation, subject) {
        return Err(refused(
            subject,
            "is in force: a change of it replaced the tokens that are revoked",
            "mint new ones with `phi mint`",
        ));
    } else if changed_under(&trail, revocation, entry.seq) {
        return Err(refused(
            subject,
            "was changed while its cut-off lay ahead: what the change replaced would come back",
            "mint new tokens with `phi mint` when the cut-off has passed",
        ));
    }
    let kept = trail.iter().filter_map(|entry| match &entry.event {
        Event::Revoked(earlier) if by_a_change(earlier, subject) => {
            Some((earlier.issued_before, entry.seq))
        }
        _ => None,
    });
    if let Some((before, seq)) = kept.max() {
        (decided.kept_before, decided.keeps) = (before, Some(seq));
    }
    Ok(decided)
}

/// Whether a change cut the tokens of the license that it replaced.
fn by_a_change(revocation: &Revocation, subject: &Subject) -> bool {
    revocation.subject == *subject
        && revocation.issued_before.is_some()
        && revocation.reason == Reason::Superseded
}

/// Whether the license changed under a cut-off that lay ahead: a change that replaced tokens found
/// them revoked already, and recorded nothing of its own.
fn changed_under(trail: &[Entry], revocation: &Revocation, seq: u64) -> bool {
    let ahead = |time: UnixTime| revocation.issued_before.is_some_and(|until| time < until);
    trail.iter().any(|entry| {
        entry.seq > seq && matches!(entry.event, Event::LicenseChanged(_)) && ahead(entry.time)
    })
}

/// In which state the license was when the event with this number revoked it.
fn state_before(trail: &[Entry], subject: &Subject, seq: u64) -> Result<State, Error> {
    let mut record: Option<LicenseRecord> = None;
    for entry in trail {
        if entry.seq == seq {
            let state = record.as_ref().map(|record| record.state(entry.time));
            return match state {
                Some(State::Draft) => Err(refused(
                    subject,
                    "was a draft when it was revoked",
                    "write it down anew with `phi license issue --draft`",
                )),
                Some(State::Superseded) => Err(refused(
                    subject,
                    "was handed over: another license took its place",
                    "mint of the license that replaced it: see `phi license show`",
                )),
                Some(state) => Ok(state),
                None => break,
            };
        }
        fold(&mut record, entry)?;
    }
    Err(Error::EventDamaged {
        problem: "a license is revoked by an event that is not about it".into(),
    })
}

fn not_revoked(query: &Query<'_>, subject: &Subject) -> Result<Error, Error> {
    // An id that names nothing is a slip, and is said to be one.
    crate::revoke::check_known(query, subject)?;
    let by = |class, id: &str| query.revocation(class, id).map(|found| found.is_some());
    let hint = match subject {
        Subject::Token(id) => {
            let token = query.token(*id)?;
            let license = token.map(|token| token.license);
            let license = license.map(|id| license::find(query, id)).transpose()?;
            match license {
                Some(license) if by(RuleClass::License, &license.id.to_string())? => {
                    "its license is: `phi unrevoke license`"
                }
                Some(license) if by(RuleClass::Customer, &license.customer)? => {
                    "its customer is: `phi unrevoke customer`"
                }
                _ => "`phi status check` says what the list and the ledger have of a token",
            }
        }
        Subject::License(id) => {
            let license = license::find(query, *id)?;
            if by(RuleClass::Customer, &license.customer)? {
                "its customer is: `phi unrevoke customer`"
            } else {
                "one that is suspended is reinstated with `phi license reinstate`"
            }
        }
        _ => "`phi audit query --event revoked` lists what was revoked",
    };
    Ok(refused(subject, "is not revoked", hint))
}

fn refused(subject: &Subject, problem: &'static str, hint: &'static str) -> Error {
    Error::NotAllowed {
        what: format!("{} {}", subject.class(), subject.id()),
        problem,
        hint,
    }
}
