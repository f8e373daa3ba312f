//! Enforce Phi licenses.
#[macro_use]
mod failpoint;

mod clock;
mod error;
mod period;
mod sqlite;
mod store;

#[cfg(target_os = "linux")]
pub use clock::SystemClock;
pub use clock::{Boot, Clock, HandClock, JUMP, Moment, RHO, Wall, evictor_wait, holder_share};
pub use error::{Fault, StoreError};
#[cfg(feature = "failpoints")]
pub use failpoint::FAIL_POINTS;
pub use period::Label;
pub use sqlite::{
    About, Act, LONGEST_LEASE, PeriodUsage, SeatUsage, Sqlite, SqliteOptions, UsageEvent,
};
pub use store::{
    Ask, Caller, Claim, Done, Epoch, Grant, Held, Hello, Incarnation, Listed, MAX_BATCH, MAX_NAME,
    MAX_SEEN, MAX_SLICE, Occupant, Outcome, Overage, Patience, Place, Pool, QuotaKey, Return,
    SeatAnswer, SeatOp, Seen, Store,
};
