//! Revoking: a token, a license, a customer, a license key or a feature.

use phi_verify::{FlagCode, KeyState, Reason, UnixTime, dangerous_inspect};

use crate::{
    Context, Issuer, customer,
    error::Error,
    event::{Event, Revocation, Subject},
    keys::{self, Role},
    license, mint,
    revoked::Revoked,
    store::{Query, TokenRow, Writer},
};

/// What is to be revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokeRequest {
    /// The subject.
    pub subject: Subject,
    /// Only what was issued before this time; `None` is everything, also in the future.
    pub issued_before: Option<UnixTime>,
    /// Of a key: how many events of the ledger, from the first, keep their tokens valid, which
    /// then need a proof of that. `None` is none of them.
    pub cut: Option<u64>,
    /// Why.
    pub reason: Reason,
}

/// How many live tokens a revocation reaches: those that had not ended, and of a feature those
/// that grant it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RevocationReach {
    /// All of them.
    pub tokens: u64,
    /// Those of them that are taken back already, by whatever: nothing changes for them.
    pub taken_back: u64,
}

impl Issuer {
    /// How many live tokens a revocation would hit.
    ///
    /// # Errors
    /// As [`Issuer::revoke`].
    pub fn revocation_reach(
        &mut self,
        request: &RevokeRequest,
        now: UnixTime,
    ) -> Result<RevocationReach, Error> {
        self.store.read(|query| {
            check(query, request)?;
            reach(query, &request.subject, request.issued_before, now)
        })
    }

    /// Records a revocation; the next status list carries it out.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such subject, [`Error::NotAllowed`] if it is revoked
    /// already or cannot be, [`Error::Invalid`] for a cut-off where none is possible.
    pub fn revoke(
        &mut self,
        request: &RevokeRequest,
        context: &Context,
    ) -> Result<Revocation, Error> {
        self.store.write(context, |writer| record(writer, request))
    }

    /// What is revoked, in the order of revocation.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn revocations(&mut self) -> Result<Vec<Revocation>, Error> {
        self.store.read(|query| query.revocations())
    }
}

/// Records a revocation as part of a larger change.
pub(crate) fn record(
    writer: &mut Writer<'_>,
    request: &RevokeRequest,
) -> Result<Revocation, Error> {
    check(&writer.query(), request)?;
    let revocation = Revocation {
        subject: request.subject.clone(),
        issued_before: request.issued_before,
        reason: request.reason,
        since: writer.now(),
        cut: request.cut,
    };
    writer.append(&Event::Revoked(revocation.clone()))?;
    Ok(revocation)
}

/// What of the live tokens a subject covers, up to a time of issue.
pub(crate) fn reach(
    query: &Query<'_>,
    subject: &Subject,
    issued_before: Option<UnixTime>,
    now: UnixTime,
) -> Result<RevocationReach, Error> {
    let revoked = Revoked::load(query, now)?;
    let mut reach = RevocationReach::default();
    let mut count = |token: &TokenRow| {
        if issued_before.is_none_or(|before| token.issued_at < before) {
            reach.tokens += 1;
            reach.taken_back += u64::from(revoked.reaches(token).is_some());
        }
    };
    match subject {
        Subject::Feature { product, code } => {
            query.each_minted_of(product, now, |row, token| {
                let (_, claims) =
                    dangerous_inspect::token(&token.token).map_err(Error::NotVerified)?;
                if claims.terms.flags.contains(FlagCode::new(*code)) {
                    count(row);
                }
                Ok(())
            })?;
        }
        subject => query.each_token_of(subject, now, |token| {
            count(token);
            Ok(())
        })?,
    }
    Ok(reach)
}

pub(crate) fn check(query: &Query<'_>, request: &RevokeRequest) -> Result<(), Error> {
    if request.reason == Reason::Suspended {
        return Err(Error::Invalid {
            what: "a revocation",
            problem: "has no end: suspend the license instead".into(),
        });
    }
    check_subject(query, request)?;
    let subject = &request.subject;
    let Some(earlier) = query.revocation(subject.class(), &subject.id())? else {
        return Ok(());
    };
    // A revocation only grows: what ends one says so.
    let reaches_later = earlier
        .issued_before
        .is_some_and(|earlier| request.issued_before.is_none_or(|later| earlier < later));
    let cuts_earlier = earlier
        .cut
        .is_some_and(|earlier| request.cut.is_none_or(|later| later < earlier));
    if reaches_later || cuts_earlier {
        return Ok(());
    }
    Err(Error::NotAllowed {
        what: format!("{} {}", subject.class(), subject.id()),
        problem: "is revoked already",
        hint: match subject {
            Subject::Key(_) => {
                "run `phi keyset publish`, then `phi status publish`, to carry it out"
            }
            _ => {
                "run `phi status publish`, unless the list says so already; a cut-off is only \
                  moved to a later time"
            }
        },
    })
}

fn check_subject(query: &Query<'_>, request: &RevokeRequest) -> Result<(), Error> {
    check_cut(query, request)?;
    match &request.subject {
        Subject::Token(_) if request.issued_before.is_some() => {
            let problem = "is issued once: leave the cut-off out".into();
            Err(Error::Invalid {
                what: "a token",
                problem,
            })
        }
        Subject::Key(id) => check_key(&keys::find(query, *id)?, request.issued_before),
        subject => check_known(query, subject),
    }
}

/// Whether there is such a thing.
pub(crate) fn check_known(query: &Query<'_>, subject: &Subject) -> Result<(), Error> {
    match subject {
        Subject::Token(id) => {
            let token = query.token(*id)?;
            token.map(drop).ok_or_else(|| mint::not_found(*id))
        }
        Subject::License(id) => license::find(query, *id).map(drop),
        Subject::Customer(id) => query
            .customer(id)?
            .map(drop)
            .ok_or_else(|| customer::not_found(id)),
        Subject::Key(id) => keys::find(query, *id).map(drop),
        Subject::Feature { product, code } => {
            let catalog = query
                .newest_catalog(product)?
                .ok_or_else(|| license::no_catalog(product))?;
            let known = catalog.terms().flags.contains_key(code);
            known.then_some(()).ok_or_else(|| Error::NotFound {
                what: "flag with code",
                name: code.to_string(),
                hint: "run `phi catalog show`",
            })
        }
    }
}

/// Only a checkpoint can show what was in the ledger: the cut is where one reaches, or earlier.
fn check_cut(query: &Query<'_>, request: &RevokeRequest) -> Result<(), Error> {
    let Some(cut) = request.cut else {
        return Ok(());
    };
    let invalid = |problem: String| {
        Err(Error::Invalid {
            what: "the cut",
            problem,
        })
    };
    if !matches!(request.subject, Subject::Key(_)) {
        return invalid("is for keys: what else is revoked has none".into());
    }
    if cut == 0 {
        return invalid("would keep nothing: leave it out".into());
    }
    let newest = query.newest_checkpoint()?;
    let size = newest.map_or(0, |checkpoint| checkpoint.size);
    if cut > size {
        return invalid(format!(
            "is after event {cut}, and the newest checkpoint covers {size} events"
        ));
    }
    Ok(())
}

fn check_key(row: &crate::store::KeyRow, issued_before: Option<UnixTime>) -> Result<(), Error> {
    let refuse = |problem, hint| {
        Err(Error::NotAllowed {
            what: format!("key {}", row.public.id()),
            problem,
            hint,
        })
    };
    if row.role != Role::License {
        return refuse(
            "is named by the root",
            "run `phi key rotate` with its role to replace it",
        );
    }
    if issued_before.is_some() {
        // A thief writes any time of issue: a cut-off by time would let him in.
        return refuse("cannot be revoked up to a time", "leave the cut-off out");
    }
    match row.state() {
        Some(KeyState::Staged) => refuse("is staged", "run `phi key retire` to take it back"),
        None => refuse(
            "was dropped from the keyset",
            "nothing under it is accepted any more",
        ),
        Some(_) => Ok(()),
    }
}
