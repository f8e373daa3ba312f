//! The status document: what is revoked, for which tokens it can speak, and until when.
//!
//! `rule.rs` and `sections.rs` have what is revoked, `wire.rs` the bytes. What one list or a list
//! and a delta say of a token is `lists.rs`'s, and what a later list may not leave out `missing.rs`'s.
//! Whether a list is believed is left to the trust state.

mod lists;
mod missing;
mod reason;
mod rule;
mod sections;
mod verdict;
mod wire;

use alloc::{string::String, vec::Vec};

use sha2::{Digest as _, Sha256};

pub use self::{
    lists::StatusLists,
    reason::Reason,
    rule::{Rule, RuleClass, Subject},
    sections::Sections,
    verdict::{Freshness, Revocation, Verdict},
};
use crate::{UnixTime, document::PayloadHash, key::KeyId};

/// The payload of a status document (docs/spec.md, "Status").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The trust anchor's issuer.
    pub issuer: String,
    /// Rises with every publication, from 1.
    pub epoch: u64,
    /// When the list was made.
    pub this_update: UnixTime,
    /// When the next list is due: until then this one is fresh.
    pub next_update: UnixTime,
    /// When the list is no longer good for anything but what it revokes.
    pub hard_expiry: UnixTime,
    /// The newest keyset when the list was made: version and payload hash.
    pub keyset: (u64, PayloadHash),
    /// Whether the list is full or a delta.
    pub form: Form,
    /// The license keys whose tokens the list knows, in ascending order.
    pub covered_keys: Vec<KeyId>,
    /// What is revoked whole, in the order of their encodings. A delta has all of them.
    pub rules: Vec<Rule>,
    /// The tokens and licenses that are revoked one by one: in a delta those that the base does
    /// not revoke.
    pub revoked: Sections,
    /// What an earlier list had a rule for and this one has not, or a narrower one: licenses, keys
    /// and features, in the order of their encodings.
    pub unrevoked: Vec<Subject>,
}

/// Whether a list stands for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// A full list.
    Full {
        /// The payload hash of the full list before; `None` for the first.
        previous: Option<PayloadHash>,
        /// Random bytes that keep the ids in this list from being compared with others.
        salt: [u8; 16],
    },
    /// What is to be changed in an older list to say what the full list of this epoch says.
    Delta {
        /// The full list that it changes.
        base: ListId,
        /// The payload hash of the full list that it stands for.
        full: PayloadHash,
        /// What the base revokes one by one and the full list does not.
        removed: Sections,
    },
}

/// Names a full list: one epoch has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListId {
    /// Its epoch.
    pub epoch: u64,
    /// The hash of its payload.
    pub hash: PayloadHash,
}

impl Status {
    /// The salt of the ids in this list. A delta's is the beginning of the hash of the full list
    /// that it stands for, which nobody chooses.
    pub fn salt(&self) -> [u8; 16] {
        match &self.form {
            Form::Full { salt, .. } => *salt,
            Form::Delta { full, .. } => full[..16].try_into().expect("a hash has 32 bytes"),
        }
    }

    /// The list to which this one is a delta.
    pub const fn base(&self) -> Option<ListId> {
        match self.form {
            Form::Full { .. } => None,
            Form::Delta { base, .. } => Some(base),
        }
    }

    /// What a delta removes of its base.
    pub const fn removed(&self) -> Option<&Sections> {
        match &self.form {
            Form::Full { .. } => None,
            Form::Delta { removed, .. } => Some(removed),
        }
    }

    /// The full list that this one is, or that it stands for. `hash` is its own payload's.
    pub(crate) const fn identity(&self, hash: PayloadHash) -> ListId {
        let hash = match self.form {
            Form::Full { .. } => hash,
            Form::Delta { full, .. } => full,
        };
        ListId {
            epoch: self.epoch,
            hash,
        }
    }

    /// How old the list is.
    pub fn freshness(&self, now: UnixTime) -> Freshness {
        if now < self.next_update {
            Freshness::Fresh
        } else if now < self.hard_expiry {
            Freshness::Stale
        } else {
            Freshness::Expired
        }
    }

    /// The customer's name as a rule holds it: under this list's salt.
    pub fn customer_hash(&self, customer: &str) -> [u8; 16] {
        let hash = Sha256::new()
            .chain_update(b"phi/rev/v1\0")
            .chain_update(self.salt())
            .chain_update([RuleClass::Customer.byte()])
            .chain_update(customer)
            .finalize();
        hash[..16].try_into().expect("a hash has 32 bytes")
    }

    /// Whether the list can know a token: tokens minted at this epoch or later, or under a key
    /// that it does not cover, were not there when it was made.
    fn knows(&self, mint_epoch: u64, key_id: KeyId) -> bool {
        mint_epoch < self.epoch && self.covered_keys.binary_search(&key_id).is_ok()
    }
}
