//! What a gate goes by, for those who tell others about its decisions.

use phi_verify::{Quota, QuotaCode};

use super::{Counted, Gate};
use crate::clock::Wall;
#[cfg(feature = "tower")]
use crate::refusal::Refusal;

impl Gate {
    /// Whether the license is in force at all.
    #[cfg(feature = "tower")]
    pub(crate) fn in_force(&self) -> Result<(), Refusal> {
        self.ward.in_force(&self.ward.snapshot.load())
    }

    /// The quota as the license has it, and how much the policy admits beyond.
    pub(crate) fn quota_terms(&self, quota: QuotaCode) -> Option<(Quota, u64)> {
        let snapshot = self.ward.snapshot.load();
        let counted = snapshot.quotas.get(usize::from(quota.get()))?.as_ref();
        counted.map(|Counted { quota, policy, .. }| (*quota, policy.overage.extra()))
    }

    /// The time on the wall clock of the gate's node.
    pub(crate) fn now(&self) -> Wall {
        self.ward.hub.clock.wall()
    }
}
