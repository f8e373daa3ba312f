//! The ids that a filter tells apart: each once, in order, and none on both sides.

use std::{borrow::Cow, cmp::Ordering};

use phi_verify::filter::{FilterKind, SaltedId};

use super::{BuildError, Built};

/// Members and others, strictly ascending and without an id in common.
pub(super) struct Sets<'a> {
    members: Cow<'a, [SaltedId]>,
    others: Cow<'a, [SaltedId]>,
}

impl<'a> Sets<'a> {
    /// Puts the ids in order. What is in order is not copied.
    pub(super) fn new(members: &'a [SaltedId], others: &'a [SaltedId]) -> Result<Self, BuildError> {
        let sets = Self {
            members: in_order(members),
            others: in_order(others),
        };
        match common(&sets.members, &sets.others) {
            Some(id) => Err(BuildError::Contradiction(id)),
            None => Ok(sets),
        }
    }

    pub(super) fn members(&self) -> &[SaltedId] {
        &self.members
    }

    pub(super) fn others(&self) -> &[SaltedId] {
        &self.others
    }

    /// The smaller side, the larger, and whether the members are the larger: a filter is made for
    /// the smaller one.
    pub(super) fn by_size(&self) -> (&[SaltedId], &[SaltedId], bool) {
        if self.members.len() > self.others.len() {
            (&self.others, &self.members, true)
        } else {
            (&self.members, &self.others, false)
        }
    }

    pub(super) fn built(&self, kind: FilterKind, body: Vec<u8>) -> Built {
        Built {
            kind,
            body,
            universe: (self.members.len() + self.others.len()) as u64,
            members: self.members.len() as u64,
        }
    }
}

fn in_order(ids: &[SaltedId]) -> Cow<'_, [SaltedId]> {
    if ids.is_sorted_by(|one, next| one < next) {
        return Cow::Borrowed(ids);
    }
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    Cow::Owned(ids)
}

/// An id of both.
fn common(mut one: &[SaltedId], mut other: &[SaltedId]) -> Option<SaltedId> {
    while let ([a, after_a @ ..], [b, after_b @ ..]) = (one, other) {
        match a.cmp(b) {
            Ordering::Equal => return Some(*a),
            Ordering::Less => one = after_a,
            Ordering::Greater => other = after_b,
        }
    }
    None
}
