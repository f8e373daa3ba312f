//! What may not vanish: everything that the newest list took back is taken back by the next one,
//! unless it has ended or an event since says that it is taken back no more.

use std::collections::BTreeSet;

use phi_verify::{
    LicenseId, Reason, RuleClass, Status, StatusLists, Subject as WireSubject, UnixTime,
};

use super::{Settled, gate::Ended, list};
use crate::{
    error::Error,
    event::Subject,
    license::{self, State},
    revoked::Revoked,
    store::Query,
};

/// The revocations of a list that events since have ended.
pub(super) fn ended_since(query: &Query<'_>, list: &Settled, now: &Status) -> Result<Ended, Error> {
    let mut ended = Ended::default();
    let seq = query.seq_of_list(list.status.epoch)?;
    for unrevocation in query.unrevoked_since(seq)? {
        let subject = unrevocation.subject;
        ended.subjects.insert((subject.class(), subject.id()));
    }
    for rule in &list.status.rules {
        if let WireSubject::License(id) = rule.subject
            && rule.reason == Reason::Suspended
        {
            // By the events, not by what the tables say: suspended then and not now.
            let then = state_before(query, id, seq, list.status.this_update)?;
            let now = state_before(query, id, u64::MAX, now.this_update)?;
            if then == Some(State::Suspended) && now != Some(State::Suspended) {
                ended.suspensions.insert(id);
            }
        }
    }
    Ok(ended)
}

/// Whether a list of this time would leave out more than it keeps, because it has ended, and comes
/// after the one before expired: then the clock is asked about.
///
/// # Errors
/// [`Error::NotAllowed`].
pub(super) fn check_gap(
    query: &Query<'_>,
    before: &Settled,
    revoked: &Revoked,
    (now, stays): (UnixTime, u64),
) -> Result<(), Error> {
    let list = &before.status;
    if now < list.hard_expiry {
        return Ok(());
    }
    let ended = |ends: Option<UnixTime>| ends.is_some_and(|ends| ends <= now);
    let mut gone = list.rules.iter().filter(|rule| ended(rule.ends)).count();
    let mut stay = list.rules.len() - gone;
    let since = list.this_update.seconds().saturating_sub(stays);
    query.each_token_page(UnixTime::EPOCH.plus(since), |page| {
        for token in page.iter().filter(|token| revoked.names(token.id)) {
            if ended(token.ends.map(|ends| ends.plus(stays))) {
                gone += 1;
            } else {
                stay += 1;
            }
        }
        Ok(())
    })?;
    if gone <= stay {
        return Ok(());
    }
    Err(Error::NotAllowed {
        what: format!("a list of {now}"),
        problem: "comes after the one before it expired, and leaves out more than it keeps \
                  because that has ended",
        hint: "look at this machine's clock; if it is right, `phi status publish --after-a-gap`",
    })
}

/// The state of a license by its events before one, not by those until a time: what came after a
/// list may bear the same second.
fn state_before(
    query: &Query<'_>,
    license: LicenseId,
    seq: u64,
    time: UnixTime,
) -> Result<Option<State>, Error> {
    let mut record = None;
    for entry in query.changes_of_license(license)? {
        if entry.seq < seq {
            license::fold(&mut record, &entry)?;
        }
    }
    Ok(record.map(|record| record.state(time)))
}

/// The rules of a list that the next one lacks, though nothing ended them.
pub(super) fn lost_rules(
    query: &Query<'_>,
    before: &Settled,
    next: &StatusLists<'_>,
    ended: &Ended,
) -> Result<BTreeSet<(RuleClass, String)>, Error> {
    let mut lost = BTreeSet::new();
    let list = next.newest();
    for rule in next.missing(&before.status, None) {
        let (subject, known) = match &rule.subject {
            WireSubject::License(id) => {
                let suspended = rule.reason == Reason::Suspended;
                (
                    Subject::License(*id),
                    suspended && ended.suspensions.contains(id),
                )
            }
            WireSubject::Key(id) => {
                let mut keys = query.keys()?.into_iter();
                let gone = keys.any(|row| row.public.id() == *id && row.dropped);
                (Subject::Key(*id), gone)
            }
            WireSubject::Feature(product, code) => {
                let (product, code) = (product.clone(), code.get());
                (Subject::Feature { product, code }, false)
            }
            // They are compared below, by their names.
            WireSubject::Customer(_) => continue,
        };
        if !known && !ended.has(&subject) {
            lost.insert((subject.class(), subject.id()));
        }
    }
    lost.extend(lost_customers(query, &before.status, list, ended)?);
    Ok(lost)
}

/// Customers stand in every list under another salt; the ledger knows their names.
fn lost_customers(
    query: &Query<'_>,
    before: &Status,
    next: &Status,
    ended: &Ended,
) -> Result<BTreeSet<(RuleClass, String)>, Error> {
    let mut lost = BTreeSet::new();
    let of_customers = |rule: &&phi_verify::Rule| rule.subject.class() == RuleClass::Customer;
    let rules: Vec<_> = before.rules.iter().filter(of_customers).collect();
    if rules.is_empty() {
        return Ok(lost);
    }
    let known = list::customer_hashes(query, before)?;
    let ends = |ends: Option<UnixTime>| ends.is_some_and(|at| at <= next.this_update);
    for customer in query.customers()? {
        let (then, now) = (
            WireSubject::Customer(before.customer_hash(&customer.id)),
            WireSubject::Customer(next.customer_hash(&customer.id)),
        );
        for rule in rules.iter().filter(|rule| rule.subject == then) {
            let as_wide = next
                .rules
                .iter()
                .filter(|one| one.subject == now)
                .any(|one| {
                    one.issued_before
                        .is_none_or(|to| rule.issued_before.is_some_and(|from| from <= to))
                });
            let subject = Subject::Customer(customer.id.clone());
            if !as_wide && !ends(rule.ends) && !ended.has(&subject) {
                lost.insert((subject.class(), subject.id()));
            }
        }
    }
    // A customer whom the ledger does not know any more was revoked in it once.
    let named = |rule: &&&phi_verify::Rule| match &rule.subject {
        WireSubject::Customer(hash) => known.contains(hash),
        _ => true,
    };
    let stays = |rule: &&&phi_verify::Rule| {
        before.salt() == next.salt() && next.rules.iter().any(|one| one == **rule)
    };
    let strange = rules.iter().filter(|rule| !named(rule) && !stays(rule));
    let left = strange.filter(|rule| !ends(rule.ends)).count();
    if left > 0 {
        let words = format!("{left} that the ledger does not know");
        lost.insert((RuleClass::Customer, words));
    }
    Ok(lost)
}
