//! Who comes first: whoever looks for the first of many does not look at all of them.

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
};

/// Members with a rank each: when something is due, or a place in a queue.
#[derive(Debug)]
pub(super) struct Ranked<R, K> {
    order: BTreeSet<(R, K)>,
    ranks: HashMap<K, R>,
}

impl<R, K> Default for Ranked<R, K> {
    fn default() -> Self {
        Self {
            order: BTreeSet::new(),
            ranks: HashMap::new(),
        }
    }
}

impl<R: Copy + Ord, K: Clone + Ord + Hash> Ranked<R, K> {
    /// From now on the member has this rank, or is none.
    pub(super) fn set(&mut self, member: &K, rank: Option<R>) {
        let before = match rank {
            Some(rank) => self.ranks.insert(member.clone(), rank),
            None => self.ranks.remove(member),
        };
        if before == rank {
            return;
        }
        if let Some(before) = before {
            self.order.remove(&(before, member.clone()));
        }
        if let Some(rank) = rank {
            self.order.insert((rank, member.clone()));
        }
    }

    /// The lowest rank.
    pub(super) fn lowest(&self) -> Option<R> {
        self.order.first().map(|(rank, _)| *rank)
    }

    /// Takes out the first member, if its rank is not above this one.
    pub(super) fn take_first(&mut self, highest: R) -> Option<K> {
        self.lowest().filter(|lowest| *lowest <= highest)?;
        let (_, member) = self.order.pop_first()?;
        self.ranks.remove(&member);
        Some(member)
    }

    /// The members in their order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (R, &K)> {
        self.order.iter().map(|(rank, member)| (*rank, member))
    }

    pub(super) fn clear(&mut self) {
        self.order.clear();
        self.ranks.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_come_once_and_by_their_last_rank() {
        let mut ranked = Ranked::default();
        for (member, rank) in [("c", 3), ("a", 5), ("b", 1), ("d", 9)] {
            ranked.set(&member, Some(rank));
        }
        ranked.set(&"a", Some(2));
        ranked.set(&"d", None);
        ranked.set(&"e", None);
        let order: Vec<_> = ranked.iter().collect();
        assert_eq!(order, [(1, &"b"), (2, &"a"), (3, &"c")]);
        assert_eq!((ranked.lowest(), ranked.take_first(0)), (Some(1), None));
        let taken: Vec<_> = std::iter::from_fn(|| ranked.take_first(2)).collect();
        assert_eq!(taken, ["b", "a"]);
        ranked.set(&"b", Some(4));
        ranked.clear();
        assert_eq!(ranked.take_first(9), None);
    }
}
