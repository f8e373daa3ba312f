//! Rules of the ledger: what may be recorded after what is recorded already.
//!
//! They are asked of everything that is about to be appended, and of every entry of a ledger that
//! is verified: what no writer of Phi could have written does not verify. Rules of licenses and
//! tokens are asked where these are made, and by the same functions.

use crate::{
    customer,
    entry::{ENTRY_VERSION, Entry},
    error::Error,
    event::Event,
    issuer, keys,
    store::Query,
};

/// Whether the entry may follow those of which the tables are made.
pub(crate) fn check(query: &Query<'_>, entry: &Entry) -> Result<(), Error> {
    // Stores of version 1 had nobody who asked who acts.
    if entry.version >= ENTRY_VERSION {
        issuer::check_lines(&entry.actor, entry.reason.as_deref())?;
    }
    let first = entry.seq == 1;
    match &entry.event {
        Event::IssuerCreated { issuer } if first => issuer::check_issuer(issuer),
        Event::IssuerCreated { .. } => damaged("the issuer began before"),
        _ if first => damaged("a ledger begins with its issuer"),
        Event::CustomerAdded { customer } => customer::check_new(query, customer),
        Event::CustomerChanged { customer } => customer::check_change(query, customer),
        _ => keys::check_life(query, entry),
    }
}

fn damaged(problem: &str) -> Result<(), Error> {
    Err(Error::EventDamaged {
        problem: problem.into(),
    })
}
