//! What a store promises: the one place where a limit is decided.
//!
//! A node asks a store for *slices* of a quota and for seats, and spends by itself what it was
//! given. Everything here is plain data, and every request may be repeated: it has the number that
//! its node gave it, and the same number has the same answer.

use std::{fmt, time::Duration};

use phi_verify::{Allowance, LicenseId, LimitCode, Period, Quota, QuotaCode, UnixTime};
use serde::{Deserialize, Serialize};

use crate::{error::StoreError, groups::Reserved, period::Label};

/// The most asks, returns or seat operations in one request: a store works one request at a time,
/// and this many take it some milliseconds.
pub const MAX_BATCH: usize = 1000;
/// The most bytes of a node's, a holder's or a session's name: room for a URL or a fingerprint.
pub const MAX_NAME: usize = 256;
/// The most occupants of a pool that an answer shows: those that were silent longest.
pub const MAX_SEEN: usize = 64;
/// The most units in one slice, and of those a node holds: what is counted stays far from the end
/// of the numbers.
pub const MAX_SLICE: u64 = 1 << 40;

/// A run of a node, by a name that no other run has: 16 random bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation([u8; 16]);

impl Incarnation {
    /// A name that nobody has.
    ///
    /// # Errors
    /// If the system has no random bytes.
    pub fn random() -> Result<Self, StoreError> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|error| StoreError::unusable(&error))?;
        Ok(Self(bytes))
    }

    /// The name with these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes of the name.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Incarnation({self})")
    }
}

/// Which history a store tells. It changes when the store may have forgotten something that it
/// promised: nodes then say what they hold before anything new is given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Epoch {
    /// The store's own name.
    pub store: [u8; 16],
    /// Rises when it went back to an earlier state, by a step that nobody can foresee: of two
    /// histories that begin at the same state each has its own.
    pub restores: u64,
}

/// Who makes a request, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The run of the node.
    pub incarnation: Incarnation,
    /// The history that the node knows, from [`Hello`].
    pub epoch: Epoch,
    /// The number of the request, above that of every request before it. A node has one request
    /// on its way at a time, and repeats it with this number until it is answered.
    pub request: u64,
    /// The newest [`Done::seq`] that the node was told: a store that is behind it went back.
    pub seen: u64,
}

/// The answer to an introduction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The history that the store tells.
    pub epoch: Epoch,
    /// The store's counter.
    pub seq: u64,
    /// How long the store still learns what nodes hold.
    pub learning: Option<Duration>,
    /// The longest lease of a seat.
    pub longest_lease: Duration,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome<T> {
    /// It is done, durably.
    Done(Done<T>),
    /// Nothing was done: the store gives out nothing new before it knows what nodes hold.
    Learning {
        /// How long from now.
        wait: Duration,
    },
    /// It may be done or not: repeat it with the same number.
    Unknown,
    /// Nothing was done: the node has to introduce itself and to say what it holds.
    StaleEpoch,
    /// Nothing was done: a later request of this node was answered.
    Superseded,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done<T> {
    /// The store's counter after it.
    pub seq: u64,
    /// The answers, one for each part of the request, in its order.
    pub value: T,
}

/// A quota of a license: what is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuotaKey {
    /// The license. Its tokens and revisions share one count.
    pub license: LicenseId,
    /// The quota's code.
    pub quota: QuotaCode,
}

/// A concurrency limit of a license: what is occupied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pool {
    /// The license.
    pub license: LicenseId,
    /// The limit's code.
    pub limit: LimitCode,
}

/// What happens beyond a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Overage {
    /// It is refused.
    #[default]
    Deny,
    /// Up to this much more is admitted in a period, and is missing in the next.
    Burst(u64),
    /// Up to this much more is admitted in each period, and recorded as beyond the limit.
    Allow(u64),
}

impl Overage {
    /// How much there is beyond the limit.
    pub const fn extra(self) -> u64 {
        match self {
            Self::Deny => 0,
            Self::Burst(extra) | Self::Allow(extra) => extra,
        }
    }
}

/// A request for units of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// What is counted.
    pub key: QuotaKey,
    /// The revision of the license that says how much: of several, the newest holds.
    pub revision: u64,
    /// How much it says, and for which period.
    pub quota: Quota,
    /// What happens beyond.
    pub overage: Overage,
    /// Fewer are of no use, unless this is zero.
    pub at_least: u64,
    /// More are not wanted. An ask for nothing tells the store the license's terms.
    pub at_most: u64,
    /// Units that the node has already.
    pub in_hand: u64,
}

/// Units that were charged to a quota, for the node to spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// How many: none if there are fewer than were asked for.
    pub units: u64,
    /// The period to which they are charged.
    pub label: Label,
    /// How long that period still lasts, by the store's wall clock.
    pub lasts: Option<Duration>,
    /// How much of the period can still be given out, to anyone.
    pub remaining: u64,
    /// How many of the units are beyond the limit.
    pub beyond: u64,
    /// The limit in force.
    pub limit: Allowance,
}

/// Units that were not spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Return {
    /// What they were charged to.
    pub key: QuotaKey,
    /// The period that they were charged to.
    pub label: Label,
    /// How many.
    pub units: u64,
}

/// What a node holds when the store's history changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// Units of a quota: all that it was granted in the period and did not return, spent or not.
    Units(Return),
    /// A seat.
    Seat {
        /// In this pool.
        pool: Pool,
        /// The number that the holder was given.
        fence: u64,
        /// Who is on it.
        occupant: Occupant,
        /// The group that the holder is of.
        group: Option<String>,
        /// How long it is held without a renewal.
        lease: Duration,
    },
}

/// Who is on a seat.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Occupant {
    /// Who is counted: a user, a machine, a process. A holder has one seat, whatever it does on it.
    pub holder: String,
    /// One use of the seat. Who comes back by the same name takes its place again.
    pub session: String,
}

/// One step with a seat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeatOp {
    /// Take a seat, or a place in the queue. Whoever is queued asks again with the same occupant.
    Acquire(Claim),
    /// Go on holding.
    Renew {
        /// In this pool.
        pool: Pool,
        /// The number of the seat.
        fence: u64,
    },
    /// Give up a seat or a place in the queue.
    Release {
        /// In this pool.
        pool: Pool,
        /// Who gives up.
        occupant: Occupant,
        /// Of which run; another run that has taken the place keeps it.
        incarnation: Incarnation,
    },
    /// Take the place of who did not renew, as seen in an earlier answer.
    Evict {
        /// In this pool.
        pool: Pool,
        /// Whom, as it was then: who has renewed since stays.
        seen: Seen,
    },
    /// Who is there, those first that were silent longest.
    List {
        /// In this pool.
        pool: Pool,
    },
    /// Take a seat along, away from the store. The same occupant on the same machine has the same
    /// one.
    Borrow(Loan),
    /// Give up a seat that was taken along, before its end.
    HandBack {
        /// In this pool.
        pool: Pool,
        /// The number of the seat.
        fence: u64,
    },
}

/// A request for a seat that is taken along. It is a seat of its own, whatever others the holder
/// has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loan {
    /// The seat; nobody queues for one to take along, and nobody renews it.
    pub claim: Claim,
    /// The machine, as the same bytes each time.
    pub machine: Vec<u8>,
    /// No longer than this from now, in seconds.
    pub longest: u64,
    /// Until when at most.
    pub until: UnixTime,
    /// No more than this many of the pool's are away at once.
    pub most: u64,
}

/// A request for a seat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// In this pool.
    pub pool: Pool,
    /// The revision of the license that says how many: of several, the newest holds.
    pub revision: u64,
    /// How many it says.
    pub seats: Allowance,
    /// How many more are given out beyond.
    pub extra: u64,
    /// How many of them are kept for which group.
    pub reserved: Reserved,
    /// Who it is for.
    pub occupant: Occupant,
    /// The group that the holder is of. A holder that has a seat already is of that seat's.
    pub group: Option<String>,
    /// How long it is held without a renewal.
    pub lease: Duration,
    /// Whether to queue.
    pub patience: Patience,
}

/// What to do when every seat is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Be refused.
    Leave,
    /// Take a place in the queue, or keep it.
    Queue,
}

/// Someone in a pool, as seen at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Seen {
    /// Its number: of a seat the fence.
    pub id: u64,
    /// The store's counter when it was last heard of.
    pub heard: u64,
    /// How long it holds without a renewal.
    pub lease: Duration,
}

/// Someone in a pool, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// As an evictor sees it.
    pub seen: Seen,
    /// Who it is.
    pub occupant: Occupant,
    /// The group that the holder is of.
    pub group: Option<String>,
    /// Whether it is on a seat or in the queue.
    pub place: Place,
}

/// Where in a pool someone is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// On a seat.
    Seat,
    /// In the queue.
    Queue,
}

/// What became of a step with a seat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum SeatAnswer {
    /// The seat is held. The number rises with every seat that is given out: whoever keeps outside
    /// effects of holders apart refuses a lower one than it has seen.
    Held {
        /// The number of the seat.
        fence: u64,
        /// Seats that are still free.
        free: Allowance,
    },
    /// Every seat is taken.
    Full {
        /// The place in the queue, from 0, if one was asked for.
        ahead: Option<u64>,
        /// Who was silent longest, on seats or ahead in the queue; without those whom an answer
        /// before this one in the same request tells of.
        silent: Vec<Seen>,
    },
    /// Nobody is given a seat before the store knows who has one.
    Learning {
        /// How long from now.
        wait: Duration,
    },
    /// The seat is held on.
    Renewed,
    /// There is no such seat any more: stop.
    Lost,
    /// The seat or the place is given up.
    Released,
    /// The seat is taken along.
    Borrowed {
        /// The number of the seat.
        fence: u64,
        /// When it begins.
        from: UnixTime,
        /// When it ends.
        until: UnixTime,
    },
    /// As many seats are away as may be.
    LoansFull,
    /// Who was silent has lost the place.
    Evicted,
    /// Who was silent is not any more, or is gone.
    Changed,
    /// Who is there.
    Listed {
        /// Seats that are taken: of several sessions of a holder one.
        taken: u64,
        /// Everyone, or as many as an answer has room for.
        occupants: Vec<Listed>,
    },
}

/// The authority on limits.
///
/// It is synchronous, so that it can be embedded in a program without a runtime. A node calls it
/// from one thread of its own that carries the requests of all callers at once, so that no task of
/// an asynchronous program ever waits in it; and a call either returns or does not, which lets a
/// simulation decide what is lost.
pub trait Store: Send + Sync {
    /// Introduces a run of a node, before its first request and when an answer was
    /// [`Outcome::StaleEpoch`]. `seen` is the history that it knows, and its newest
    /// [`Done::seq`].
    ///
    /// # Errors
    /// If the store cannot be used. Nothing was changed.
    fn hello(
        &self,
        incarnation: Incarnation,
        name: &str,
        seen: Option<(Epoch, u64)>,
    ) -> Result<Hello, StoreError>;

    /// Charges units to quotas.
    ///
    /// # Errors
    /// If the store cannot be used. Nothing was changed.
    fn grant(&self, caller: Caller, asks: &[Ask]) -> Result<Outcome<Vec<Grant>>, StoreError>;

    /// Takes back units that were not spent and will not be. Says how many of each were this
    /// node's to return.
    ///
    /// # Errors
    /// If the store cannot be used. Nothing was changed.
    fn give_back(
        &self,
        caller: Caller,
        returns: &[Return],
    ) -> Result<Outcome<Vec<u64>>, StoreError>;

    /// Notes what a node holds: of each quota and period that is named, units that the store forgot
    /// are charged again, and units whose grant the node never heard of are free again. Seats are
    /// taken again while the store learns; a renewal tells whether one is held.
    ///
    /// # Errors
    /// If the store cannot be used. Nothing was changed.
    fn reassert(&self, caller: Caller, held: &[Held]) -> Result<Outcome<()>, StoreError>;

    /// Steps with seats, in their order.
    ///
    /// # Errors
    /// If the store cannot be used. Nothing was changed.
    fn seats(&self, caller: Caller, ops: &[SeatOp])
    -> Result<Outcome<Vec<SeatAnswer>>, StoreError>;
}

/// The position of a period in [`Period::ALL`], which stores write down.
pub(crate) fn number_of(period: Period) -> i64 {
    let position = Period::ALL.iter().position(|other| *other == period);
    let position = position.expect("every period is one of all");
    i64::try_from(position).expect("there are five periods")
}
