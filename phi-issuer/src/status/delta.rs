//! Deltas: what an application that has an older full list needs to know what the newest says.

use phi_verify::{Form, ListId, RuleClass, Sections, Status, Subject as WireSubject};

use super::{Settled, list};
use crate::{error::Error, store::Query};

/// The delta that leads from a base to the full list, without what it adds and removes. Customers
/// stand in its rules under a salt of its own.
pub(super) fn begin(query: &Query<'_>, full: &Settled, base: &Settled) -> Result<Status, Error> {
    let mut delta = Status {
        form: Form::Delta {
            base: ListId {
                epoch: base.status.epoch,
                hash: base.hash,
            },
            full: full.hash,
            removed: Sections::default(),
        },
        revoked: Sections::default(),
        ..full.status.clone()
    };
    let names_customers = |rule: &phi_verify::Rule| rule.subject.class() == RuleClass::Customer;
    if !delta.rules.iter().any(names_customers) {
        return Ok(delta);
    }
    if list::names_strangers(query, &full.status)? {
        return Err(Error::NotAllowed {
            what: format!("a delta from list {}", base.status.epoch),
            problem: "cannot be: the list revokes customers whom the ledger does not know, and a \
                      delta names them by their names",
            hint: "leave it out: whoever has that list takes the full one",
        });
    }
    let mut rules = std::mem::take(&mut delta.rules);
    for customer in query.customers()? {
        let named = WireSubject::Customer(full.status.customer_hash(&customer.id));
        let hash = delta.customer_hash(&customer.id);
        for rule in rules.iter_mut().filter(|rule| rule.subject == named) {
            rule.subject = WireSubject::Customer(hash);
        }
    }
    delta.rules = rules;
    Ok(delta)
}

/// The full list of this epoch, to be the base of a delta to one of a later epoch.
pub(super) fn base(query: &Query<'_>, epoch: u64, next: u64) -> Result<Settled, Error> {
    let publication = query.full_list(epoch)?.filter(|_| epoch < next);
    let publication = publication.ok_or_else(|| Error::NotFound {
        what: "earlier full list of epoch",
        name: epoch.to_string(),
        hint: "`phi audit query --event document-published` lists the epochs",
    })?;
    list::settled(&publication)
}
