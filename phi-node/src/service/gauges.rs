//! How the node stands, in numbers.

use std::sync::Arc;

use super::Service;
use crate::watch::Gauges;

impl Service {
    /// What there is at this moment.
    pub(crate) fn gauges(&self) -> Gauges {
        let shelf = self.books().shelf();
        let of = |entry: &&Arc<_>| self.is_in_force(entry);
        let in_force = shelf.licenses.values().filter(of).count();
        let health = self.node.health();
        Gauges {
            counts: self.node.counts(),
            fault: health.fault.is_some(),
            learning: health.learning.is_some(),
            ready: self.ready().ready,
            seats: self.sessions.len(),
            in_force,
            refused: shelf.licenses.len() - in_force,
            misfits: shelf.misfits(),
            trust: shelf.trust.clone(),
        }
    }
}
