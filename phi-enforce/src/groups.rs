//! Seats that are kept for the holders of a group: who may have the next one.
//!
//! A group's holders fill its own seats first. What is left of them is kept, and everybody else
//! shares the others, in the order in which they came. Nothing here knows a store or a clock.

use std::{collections::BTreeMap, sync::Arc};

use phi_verify::Allowance;

/// The most groups for which a pool has reservations: each claim carries all of them.
pub const MAX_GROUPS: usize = 64;

/// How many seats of a pool are kept for the holders of which group.
///
/// If they come to more than there are seats, nothing is left open, and the groups share what there
/// is in the order in which they come. Every node has to have the same ones: they travel with the
/// claims, and a claim is decided by its own. A change of them takes nobody's seat away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reserved(Arc<BTreeMap<String, u64>>);

impl Reserved {
    /// How many are kept for the group.
    pub fn seats(&self, group: &str) -> u64 {
        self.0.get(group).copied().unwrap_or(0)
    }

    /// The groups and how many seats each has, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(group, seats)| (group.as_str(), *seats))
    }

    /// How many groups there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is reserved.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<G: Into<String>> FromIterator<(G, u64)> for Reserved {
    fn from_iter<I: IntoIterator<Item = (G, u64)>>(groups: I) -> Self {
        let groups = groups.into_iter();
        Self(Arc::new(
            groups.map(|(group, seats)| (group.into(), seats)).collect(),
        ))
    }
}

/// How many of each group; those of none are under the empty name.
pub(crate) type Count = BTreeMap<String, u64>;

/// A pool at the moment of a claim.
#[derive(Debug)]
pub(crate) struct Crowd<'a> {
    pub(crate) seats: Allowance,
    /// Holders on seats, in all.
    pub(crate) taken: u64,
    /// Holders on seats, of each group.
    pub(crate) seated: Count,
    /// Those before in the queue, of each group.
    pub(crate) ahead: Count,
    pub(crate) reserved: &'a Reserved,
}

impl Crowd<'_> {
    /// Whether a holder of this group is seated, after those before it in the queue that can be.
    pub(crate) fn seats(&self, group: Option<&str>) -> bool {
        let Allowance::Limited(seats) = self.seats else {
            return true;
        };
        let group = group.unwrap_or_default();
        let left = seats.saturating_sub(self.taken);
        // What nobody is on and no group keeps.
        let kept = self.reserved.iter().map(|(group, _)| self.kept(group));
        let open = left.saturating_sub(kept.fold(0, u64::saturating_add));
        // Of those ahead, who fills a seat of its group's, and who needs an open one.
        let own = |group: &str, ahead: u64| ahead.min(self.kept(group));
        let in_own: u64 = self
            .ahead
            .iter()
            .map(|(group, ahead)| own(group, *ahead))
            .sum();
        let in_open = self.ahead.values().sum::<u64>() - in_own;
        if self.kept(group) > self.ahead.get(group).copied().unwrap_or(0) {
            // Where more is kept than there is, who came first has it.
            return in_own + in_open.min(open) < left;
        }
        in_open < open
    }

    /// Whether those on seats leave the groups what is kept for them. As long as every claim is
    /// decided by the same reservations they do.
    pub(crate) fn fits(&self) -> bool {
        let Allowance::Limited(seats) = self.seats else {
            return true;
        };
        let reserved = self.reserved.iter().map(|(_, seats)| seats);
        let open = seats.saturating_sub(reserved.fold(0, u64::saturating_add));
        let own = self.reserved.iter().map(|(group, reserved)| {
            let seated = self.seated.get(group).copied().unwrap_or(0);
            seated.min(reserved)
        });
        self.taken.saturating_sub(own.sum()) <= open
    }

    /// Seats of the group's that none of its holders is on.
    fn kept(&self, group: &str) -> u64 {
        let seated = self.seated.get(group).copied().unwrap_or(0);
        self.reserved.seats(group).saturating_sub(seated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUPS: [&str; 3] = ["", "a", "b"];

    fn count(of: [u64; 3]) -> Count {
        GROUPS.map(String::from).into_iter().zip(of).collect()
    }

    fn crowd(seats: u64, seated: [u64; 3], ahead: [u64; 3], reserved: &Reserved) -> Crowd<'_> {
        Crowd {
            seats: Allowance::Limited(seats),
            taken: seated.iter().sum(),
            seated: count(seated),
            ahead: count(ahead),
            reserved,
        }
    }

    /// The rule as it is told: each in its turn is seated on a seat of its group's, or on one that
    /// is open, or is passed over.
    fn one_by_one(crowd: &Crowd<'_>, queue: &[usize], last: usize) -> bool {
        let mut seated = GROUPS.map(|group| crowd.seated[group]);
        let Allowance::Limited(seats) = crowd.seats else {
            unreachable!("the seats are counted");
        };
        let mut try_one = |group: usize| {
            let taken: u64 = seated.iter().sum();
            let kept = |group: usize| {
                let reserved = crowd.reserved.seats(GROUPS[group]);
                reserved.saturating_sub(seated[group])
            };
            let open = seats.saturating_sub(taken + kept(1) + kept(2));
            let sits = taken < seats && (kept(group) > 0 || open > 0);
            seated[group] += u64::from(sits);
            sits
        };
        for group in queue {
            try_one(*group);
        }
        try_one(last)
    }

    /// Every order of up to three in the queue, on every crowd of up to four seats: the counts
    /// decide as the turns do.
    #[test]
    fn counting_is_taking_turns() {
        let mut decided = [0; 2];
        for kept in 0..9 {
            let reserved: Reserved = [("a", kept % 3), ("b", kept / 3)].into_iter().collect();
            for world in 0..5 * 3 * 2 * 2 {
                let seated = [(world / 5) % 3, (world / 15) % 2, world / 30];
                for code in 0..27 {
                    let queue = [code % 3, (code / 3) % 3, code / 9];
                    for length in 0..=queue.len() {
                        let queue = &queue[..length];
                        let of =
                            |group| queue.iter().filter(|other| **other == group).count() as u64;
                        let ahead = [of(0), of(1), of(2)];
                        let crowd = crowd(world % 5, seated, ahead, &reserved);
                        for (last, group) in GROUPS.into_iter().enumerate() {
                            let sits = one_by_one(&crowd, queue, last);
                            let group = Some(group).filter(|group| !group.is_empty());
                            assert_eq!(crowd.seats(group), sits, "{crowd:?} {queue:?} {last}");
                            decided[usize::from(sits)] += 1;
                        }
                    }
                }
            }
        }
        assert!(
            decided.iter().all(|decided| *decided > 10_000),
            "{decided:?}"
        );
    }

    #[test]
    fn the_last_seats_are_kept() {
        let reserved: Reserved = [("a", 2)].into_iter().collect();
        let two_left = crowd(5, [3, 0, 0], [0, 0, 0], &reserved);
        assert!(two_left.seats(Some("a")) && !two_left.seats(None) && !two_left.seats(Some("b")));
        let own_are_filled = crowd(5, [1, 3, 0], [0, 0, 0], &reserved);
        assert!(own_are_filled.seats(None) && own_are_filled.seats(Some("a")));
    }

    #[test]
    fn whoever_is_seated_in_turn_fits() {
        let reserved: Reserved = [("a", 1), ("b", 1)].into_iter().collect();
        for code in 0..6_usize.pow(3) {
            let seated = [code % 6, code / 6 % 6, code / 36].map(|seated| seated as u64);
            let now = crowd(4, seated, [0; 3], &reserved);
            // Somebody was the last who was seated; before that all others were.
            let one_less = |group: usize| {
                let mut before = seated;
                before[group] = before[group].checked_sub(1)?;
                Some(before)
            };
            let reached = (0..3).filter_map(|group| Some((group, one_less(group)?)));
            let reached = reached.into_iter().any(|(group, before)| {
                let before = crowd(4, before, [0; 3], &reserved);
                before.fits() && before.seats(Some(GROUPS[group]))
            });
            assert_eq!(now.fits(), reached || seated == [0; 3], "{seated:?}");
        }
    }

    #[test]
    fn no_number_is_too_great() {
        let reserved: Reserved = [("a", u64::MAX), ("b", 7)].into_iter().collect();
        let crowd = crowd(u64::MAX, [0; 3], [0; 3], &reserved);
        assert!(crowd.seats(Some("a")) && !crowd.seats(None) && crowd.fits());
    }
}
