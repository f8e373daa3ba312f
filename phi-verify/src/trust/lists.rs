//! The status lists of a trust state: a full one, and a delta to it if one was imported.
//!
//! What they say of a token is `status/lists.rs`'s. Here is which of them are taken, and after
//! what. A newer full list takes the place of both, a newer delta that of the delta before.

use super::{Held, TrustState, at_least};
use crate::{
    document::{DocumentKind, PayloadHash, UntrustedDocument, same_issuer},
    error::Error,
    key::KeyId,
    status::{Form, ListId, Status, StatusLists},
};

/// A full list, and a delta that is to this very list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HeldLists {
    pub(super) base: Held<Status>,
    pub(super) delta: Option<Held<Status>>,
}

impl HeldLists {
    pub(super) fn newest(&self) -> &Held<Status> {
        self.delta.as_ref().unwrap_or(&self.base)
    }

    pub(super) fn as_lists(&self) -> StatusLists<'_> {
        let delta = self.delta.as_ref().map(|held| &held.document);
        StatusLists::of(&self.base.document, delta)
    }

    /// As they came, the full list first.
    pub(super) fn held(&self) -> impl Iterator<Item = &Held<Status>> {
        [Some(&self.base), self.delta.as_ref()]
            .into_iter()
            .flatten()
    }

    fn newest_id(&self) -> ListId {
        id(self.newest())
    }
}

/// The full list that a list is, or that it stands for.
fn id(held: &Held<Status>) -> ListId {
    held.document.identity(held.hash)
}

impl TrustState {
    pub(super) fn import_status(
        &mut self,
        document: &UntrustedDocument<'_>,
    ) -> Result<bool, Error> {
        let Some(status) = self.newer_status(document)? else {
            return Ok(false);
        };
        self.check_keyset_of(&status)?;
        self.check_nothing_missing(&status)?;
        let before = self.status().map_or(0, |held| held.epoch);
        if status.epoch > before {
            // News from the issuer: a date that the clock has shown before is judged anew.
            self.clock.seen = self.clock.seen.with_news();
        }
        self.hold_status(status, document);
        Ok(true)
    }

    /// The status list in a document, if it says more than those held.
    pub(super) fn newer_status(
        &self,
        document: &UntrustedDocument<'_>,
    ) -> Result<Option<Status>, Error> {
        let root = self.root();
        let status = Status::decode(document.verify(&root.status)?)?;
        same_issuer(&root.issuer, &status.issuer)?;
        at_least(DocumentKind::Status, status.epoch, self.floors.status)?;
        if self.holds(&status, document.payload_hash())? {
            return Ok(None);
        }
        match status.base() {
            Some(base) => self.check_base(base)?,
            None => self.check_previous(&status)?,
        }
        Ok(Some(status))
    }

    /// Whether the state has what the list says. One epoch is one list, of the epochs at hand;
    /// else the epoch rises.
    fn holds(&self, offered: &Status, hash: PayloadHash) -> Result<bool, Error> {
        let Some(lists) = &self.lists else {
            return Ok(false);
        };
        let (offered_id, newest) = (offered.identity(hash), lists.newest_id());
        for held in lists.held().map(id) {
            if held.epoch == offered_id.epoch && held.hash != offered_id.hash {
                return Err(equivocation(held, offered_id.hash));
            }
        }
        if offered_id == id(&lists.base) {
            return Ok(true);
        }
        at_least(DocumentKind::Status, offered.epoch, newest.epoch)?;
        // The full list that the delta stands for says nothing new, and later deltas are to it.
        Ok(offered_id == newest && offered.base().is_some())
    }

    fn check_base(&self, needed: ListId) -> Result<(), Error> {
        let held = self.lists.as_ref().map(|lists| id(&lists.base));
        if held == Some(needed) {
            return Ok(());
        }
        Err(Error::DeltaBase {
            needed: needed.epoch,
            held: held.map(|held| held.epoch),
        })
    }

    /// The very next full list names the one at hand as the list before it.
    fn check_previous(&self, offered: &Status) -> Result<(), Error> {
        let held = self.lists.as_ref().map(HeldLists::newest_id);
        match (held, &offered.form) {
            (
                Some(held),
                Form::Full {
                    previous: Some(previous),
                    ..
                },
            ) if held.epoch.checked_add(1) == Some(offered.epoch) && held.hash != *previous => {
                Err(equivocation(held, *previous))
            }
            _ => Ok(()),
        }
    }

    /// A status list goes with the keyset that it names, or with a newer one.
    fn check_keyset_of(&self, status: &Status) -> Result<(), Error> {
        let (version, hash) = status.keyset;
        let keyset = self.keyset.as_ref().ok_or(Error::KeysetMissing)?;
        let current = keyset.document.version;
        let unlike = current == version && keyset.hash != hash;
        if current < version || unlike {
            Err(Error::MixAndMatch { version })
        } else {
            Ok(())
        }
    }

    /// What the list at hand revokes by a rule is not left out in silence.
    fn check_nothing_missing(&self, offered: &Status) -> Result<(), Error> {
        let Some(held) = &self.lists else {
            return Ok(());
        };
        let lists = match offered.form {
            Form::Full { .. } => StatusLists::of(offered, None),
            Form::Delta { .. } => StatusLists::of(&held.base.document, Some(offered)),
        };
        let mut missing = lists.missing(&held.newest().document, self.keyset());
        match missing.next() {
            None => Ok(()),
            Some(rule) => Err(Error::RevocationMissing {
                subject: rule.subject.clone().into(),
            }),
        }
    }

    /// A delta joins its base, which was checked to be there; a full list takes every place.
    pub(super) fn hold_status(&mut self, status: Status, document: &UntrustedDocument<'_>) {
        let is_delta = status.base().is_some();
        self.known_epoch
            .take_if(|(epoch, _)| *epoch <= status.epoch);
        let held = Held::new(status, document, self.root().version);
        match &mut self.lists {
            Some(lists) if is_delta => lists.delta = Some(held),
            lists => {
                *lists = Some(HeldLists {
                    base: held,
                    delta: None,
                });
            }
        }
    }

    /// Takes over another state's lists if they are newer, as the pair that they are: the base
    /// of a newer delta may be older than the list at hand.
    pub(super) fn take_newer_lists(&mut self, other: HeldLists) {
        let epoch = other.newest().document.epoch;
        if self.status().is_none_or(|status| status.epoch < epoch) {
            self.lists = Some(other);
        }
    }

    /// How many bytes the lists at hand have, signatures included.
    pub(crate) fn bytes_of_lists(&self) -> usize {
        let held = self.lists.iter().flat_map(HeldLists::held);
        held.map(|held| held.bytes.len()).sum()
    }

    /// The newest list of which the state knows without having it: the issuer had it when it
    /// minted a license that was [remembered](TrustState::remember).
    pub fn newer_list(&self) -> Option<u64> {
        let held = self.status().map_or(0, |status| status.epoch);
        self.trusted_epoch().filter(|epoch| *epoch > held)
    }

    /// What a key that the keyset no longer trusts said is worth nothing.
    fn trusted_epoch(&self) -> Option<u64> {
        let (epoch, key_id) = self.known_epoch?;
        self.trusts(key_id).then_some(epoch)
    }

    pub(super) fn raise_known_epoch(&mut self, offered: (u64, KeyId)) {
        let held = self.status().map_or(0, |status| status.epoch);
        let higher = held.max(self.trusted_epoch().unwrap_or(0)) < offered.0;
        if higher && self.trusts(offered.1) {
            self.known_epoch = Some(offered);
        }
    }
}

const fn equivocation(held: ListId, offered: PayloadHash) -> Error {
    Error::Equivocation {
        kind: DocumentKind::Status,
        version: held.epoch,
        held: held.hash,
        offered,
    }
}
