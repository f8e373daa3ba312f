//! Deltas: what an application that has an older full list needs to know what the newest says.

use phi_verify::{Form, ListId, Status};

use super::{Settled, list};
use crate::{error::Error, store::Query};

/// The delta that leads from a base to the full list, without what it adds and removes.
pub(super) fn begin(full: &Settled, base: &Settled) -> Status {
    Status {
        form: Form::Delta {
            base: ListId {
                epoch: base.status.epoch,
                hash: base.hash,
            },
            full: full.hash,
            removed: phi_verify::Sections::default(),
        },
        revoked: phi_verify::Sections::default(),
        ..full.status.clone()
    }
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
