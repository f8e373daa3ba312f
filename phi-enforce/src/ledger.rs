//! The rows that a store keeps, whatever keeps them: what an engine has to be able to find and to
//! write. What is decided with them is left to `quotas` and `seats`.
//!
//! Every step is part of a transaction that the engine begins and ends; nobody else changes a row
//! meanwhile.

use std::{fmt, time::Duration};

use phi_verify::{Allowance, Period, Quota};

use crate::{
    clock::{Moment, Wall},
    error::StoreError,
    groups::Count,
    period::Label,
    store::{Epoch, Incarnation, Listed, Occupant, Place, Pool, QuotaKey, Seen},
    usage::UsageEvent,
};

/// The store itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) epoch: Epoch,
    /// Rises with everything that happens; fences, places in queues, pools and the numbers of the
    /// usage log are drawn from it.
    pub(crate) seq: u64,
    /// Whether nodes say what they hold.
    pub(crate) learning: bool,
    /// The longest lease that was ever given out.
    pub(crate) longest_lease: Duration,
}

/// The newest request of a node.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    pub(crate) request: u64,
    /// None before the first.
    pub(crate) answer: Option<Vec<u8>>,
}

/// What the newest known revision of a license says about a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) revision: u64,
    pub(crate) quota: Quota,
}

/// What was given out in a period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counter {
    pub(crate) granted: u64,
    pub(crate) returned: u64,
    /// What the period before used beyond its limit.
    pub(crate) owed: u64,
}

impl Counter {
    pub(crate) const fn charged(self) -> u64 {
        self.granted.saturating_sub(self.returned)
    }
}

/// A pool, by the number that the store gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) row: u64,
    pub(crate) revision: u64,
    pub(crate) seats: Allowance,
    /// Holders that have a seat.
    pub(crate) taken: u64,
}

/// Someone in a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Occupied {
    pub(crate) id: u64,
    pub(crate) place: Place,
    pub(crate) occupant: Occupant,
    /// Of the holder: all its seats have the same.
    pub(crate) group: Option<String>,
    pub(crate) incarnation: Incarnation,
    pub(crate) heard: u64,
    pub(crate) lease: Duration,
}

/// What an engine keeps.
pub(crate) trait Ledger: fmt::Debug {
    /// Notes that a node was heard of. It decides how large slices are, and nothing else.
    fn hear(&mut self, node: Incarnation, now: Moment);
    /// Nodes that were heard of in the last [`LIVE`].
    fn live_nodes(&mut self, now: Moment) -> Result<u64, StoreError>;

    fn node(&mut self, node: Incarnation) -> Result<Option<Answered>, StoreError>;
    /// Leaves a node alone that is there.
    fn add_node(&mut self, node: Incarnation, name: &str, since: Wall) -> Result<(), StoreError>;
    fn set_answer(
        &mut self,
        node: Incarnation,
        request: u64,
        answer: Vec<u8>,
    ) -> Result<(), StoreError>;

    fn terms(&mut self, key: QuotaKey) -> Result<Option<Terms>, StoreError>;
    fn set_terms(&mut self, key: QuotaKey, terms: Terms) -> Result<(), StoreError>;
    /// The number of the latest period that has a counter.
    fn newest_label(&mut self, key: QuotaKey, period: Period) -> Result<Option<u64>, StoreError>;
    fn counter(&mut self, key: QuotaKey, label: Label) -> Result<Option<Counter>, StoreError>;
    fn set_counter(
        &mut self,
        key: QuotaKey,
        label: Label,
        counter: Counter,
    ) -> Result<(), StoreError>;
    /// What a node has of a period, spent or not.
    fn holding(
        &mut self,
        node: Incarnation,
        key: QuotaKey,
        label: Label,
    ) -> Result<u64, StoreError>;
    fn set_holding(
        &mut self,
        node: Incarnation,
        key: QuotaKey,
        label: Label,
        units: u64,
    ) -> Result<(), StoreError>;

    fn room(&mut self, pool: Pool) -> Result<Option<Room>, StoreError>;
    fn set_room(&mut self, pool: Pool, room: Room) -> Result<(), StoreError>;
    /// Notes that this many seats were taken at once on a day, and how many more than before.
    fn note_day(
        &mut self,
        room: Room,
        day: u64,
        taken: u64,
        acquired: u64,
    ) -> Result<(), StoreError>;
    /// Who has this number, and the number of the pool.
    fn place(&mut self, id: u64) -> Result<Option<(u64, Occupied)>, StoreError>;
    fn place_of(&mut self, room: Room, occupant: &Occupant)
    -> Result<Option<Occupied>, StoreError>;
    /// A session of the holder that is on a seat.
    fn seat_of(&mut self, room: Room, holder: &str) -> Result<Option<Occupied>, StoreError>;
    /// How many are in the queue with a number below this one, of each group.
    fn queued_before(&mut self, room: Room, id: u64) -> Result<Count, StoreError>;
    /// How many holders have a seat, of each group that has any.
    fn seated(&mut self, room: Room) -> Result<Count, StoreError>;
    fn set_seated(&mut self, room: Room, group: &str, holders: u64) -> Result<(), StoreError>;
    fn set_place(&mut self, room: Room, occupied: &Occupied) -> Result<(), StoreError>;
    fn remove_place(&mut self, room: Room, occupied: &Occupied) -> Result<(), StoreError>;
    /// Those that were silent longest: on seats, and in the queue with a number below this one.
    fn silent(&mut self, room: Room, before: u64, most: usize) -> Result<Vec<Seen>, StoreError>;
    /// Everyone, those first that were silent longest.
    fn list(&mut self, room: Room, most: usize) -> Result<Vec<Listed>, StoreError>;

    fn append(&mut self, event: &UsageEvent) -> Result<(), StoreError>;
}

/// A node that was silent for this long is not counted when slices are cut.
pub(crate) const LIVE: Duration = Duration::from_secs(60);
