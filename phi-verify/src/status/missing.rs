//! What a later list may not leave out in silence: the rules of an earlier one.

use alloc::collections::{BTreeMap, BTreeSet};

use super::{
    Status, StatusLists,
    rule::{Rule, Subject},
};
use crate::{
    UnixTime,
    keyset::{KeyState, Keyset},
};

/// How far a rule reaches: `None` is everything, and the widest.
type Reach = Option<UnixTime>;

impl StatusLists<'_> {
    /// The rules of an earlier list that these lists lack without a word: rules for a license, a
    /// key or a feature that have not ended, that no rule here is as wide as, and that are neither
    /// among the un-revocations nor in the license section. A key may also be revoked by this
    /// keyset, or not be in it any more.
    ///
    /// Customers stand in every list under another salt, so that only the issuer can compare them.
    pub fn missing<'b>(
        &self,
        earlier: &'b Status,
        keyset: Option<&Keyset>,
    ) -> impl Iterator<Item = &'b Rule> {
        let newest = self.newest();
        let mut reach: BTreeMap<&Subject, Reach> = BTreeMap::new();
        for rule in &newest.rules {
            let widest = reach.entry(&rule.subject).or_insert(rule.issued_before);
            *widest = wider(*widest, rule.issued_before);
        }
        let unrevoked: BTreeSet<_> = newest.unrevoked.iter().collect();
        earlier.rules.iter().filter(move |rule| {
            let (subject, made) = (&rule.subject, newest.this_update);
            let ended = rule.ends.is_some_and(|ends| ends <= made);
            let kept = reach.get(subject);
            let kept = kept.is_some_and(|kept| wider(*kept, rule.issued_before) == *kept);
            let elsewhere = || match subject {
                Subject::License(id) => self.lists_license(*id),
                Subject::Customer(_) => true,
                Subject::Key(id) => keyset.is_some_and(|keyset| {
                    let entry = keyset.key(*id);
                    entry.is_none_or(|entry| matches!(entry.state, KeyState::Revoked { .. }))
                }),
                Subject::Feature(..) => false,
            };
            !(ended || kept || elsewhere() || unrevoked.contains(subject))
        })
    }
}

/// The wider of two reaches.
fn wider(one: Reach, other: Reach) -> Reach {
    Some(one?.max(other?))
}
