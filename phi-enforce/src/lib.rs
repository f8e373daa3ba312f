//! Enforce Phi licenses.
#[macro_use]
mod failpoint;

mod agent;
mod clock;
mod error;
mod gate;
mod node;
mod period;
mod refusal;
mod request;
mod slice;
mod sqlite;
mod store;

pub use agent::Step;

#[cfg(target_os = "linux")]
pub use clock::SystemClock;
pub use clock::{Boot, Clock, HandClock, JUMP, Moment, RHO, Wall, evictor_wait, holder_share};
pub use error::{Fault, StoreError};
#[cfg(feature = "failpoints")]
pub use failpoint::FAIL_POINTS;
pub use gate::{Gate, LEASE, Lease, Policy, QuotaPolicy, SeatPolicy, Standing, Taken};
pub use node::{ManualNode, Node};
pub use period::Label;
pub use refusal::Refusal;
pub use request::{Answer, Request};
pub use sqlite::{
    About, Act, LONGEST_LEASE, PeriodUsage, SeatUsage, Sqlite, SqliteOptions, UsageEvent,
};
pub use store::{
    Ask, Caller, Claim, Done, Epoch, Grant, Held, Hello, Incarnation, Listed, MAX_BATCH, MAX_NAME,
    MAX_SEEN, MAX_SLICE, Occupant, Outcome, Overage, Patience, Place, Pool, QuotaKey, Return,
    SeatAnswer, SeatOp, Seen, Store,
};
