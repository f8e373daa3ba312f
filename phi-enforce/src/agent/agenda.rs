//! Who is due when: a step costs as much as there is to do, however many there are who are not due.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use crate::clock::Boot;

/// Members with a time each.
#[derive(Debug)]
pub(super) struct Agenda<K> {
    by_time: BTreeSet<(Boot, K)>,
    times: HashMap<K, Boot>,
}

impl<K> Default for Agenda<K> {
    fn default() -> Self {
        Self {
            by_time: BTreeSet::new(),
            times: HashMap::new(),
        }
    }
}

impl<K: Clone + Ord + Hash> Agenda<K> {
    /// From now on the member is due then, or never.
    pub(super) fn set(&mut self, member: &K, due: Option<Boot>) {
        let before = match due {
            Some(due) => self.times.insert(member.clone(), due),
            None => self.times.remove(member),
        };
        if before == due {
            return;
        }
        if let Some(before) = before {
            self.by_time.remove(&(before, member.clone()));
        }
        if let Some(due) = due {
            self.by_time.insert((due, member.clone()));
        }
    }

    /// Takes out whoever has been due for longest.
    pub(super) fn take_due(&mut self, now: Boot) -> Option<K> {
        let first = self.by_time.first().is_some_and(|(due, _)| *due <= now);
        let (_, member) = first.then(|| self.by_time.pop_first()).flatten()?;
        self.times.remove(&member);
        Some(member)
    }

    /// When somebody is due next.
    pub(super) fn next(&self) -> Option<Boot> {
        self.by_time.first().map(|(due, _)| *due)
    }

    pub(super) fn clear(&mut self) {
        self.by_time.clear();
        self.times.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_due_is_taken_once_in_the_order_of_time() {
        let at = Boot::from_nanos;
        let mut agenda = Agenda::default();
        for (member, due) in [("c", 3), ("a", 5), ("b", 1), ("d", 9)] {
            agenda.set(&member, Some(at(due)));
        }
        agenda.set(&"a", Some(at(2)));
        agenda.set(&"d", None);
        agenda.set(&"e", None);
        assert_eq!(agenda.next(), Some(at(1)));
        assert_eq!(agenda.take_due(at(0)), None);
        let taken: Vec<_> = std::iter::from_fn(|| agenda.take_due(at(3))).collect();
        assert_eq!(taken, ["b", "a", "c"]);
        assert_eq!(agenda.next(), None);
        agenda.set(&"b", Some(at(4)));
        agenda.clear();
        assert_eq!(agenda.take_due(at(9)), None);
    }
}
