//! Enforce Phi licenses: flags, quotas and seats that are never exceeded.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//!
//! use phi_enforce::{Node, Occupant, Policy, Sqlite, SqliteOptions, SystemClock};
//! use phi_verify::{
//!     FlagCode, LimitCode, QuotaCode, RevocationPolicy, TrustState, UnixTime, Verifier, armor,
//! };
//!
//! // What a license allows, as phi-verify has it.
//! let mut trust = TrustState::from_anchor(include_bytes!("../../keys/demo/root-1.phi"))?;
//! trust.import(include_bytes!("../../keys/demo/keyset.phi"))?;
//! let token = armor::unwrap(include_str!("../../keys/demo/license.txt"))?;
//! let now = UnixTime::from(std::time::SystemTime::now());
//! let verifier = Verifier::new(&trust, "demo-app", RevocationPolicy::Lenient);
//! let license = verifier.verify(&token, now)?;
//!
//! // What was used of it, in a file of the application's own.
//! let clock = Arc::new(SystemClock);
//! let folder = std::env::temp_dir().join(format!("phi-enforce-{}", std::process::id()));
//! std::fs::create_dir_all(&folder)?;
//! let options = SqliteOptions::new(clock.clone());
//! # let options = options.dangerous_on_any_disk();
//! let store = Arc::new(Sqlite::open(&folder.join("usage.db"), options)?);
//!
//! let node = Node::start(store, clock, "web-1")?;
//! let gate = node.gate(&license, Policy::default());
//!
//! gate.check(FlagCode::new(0))?;
//! let taken = gate.take(QuotaCode::new(0), 1)?;
//! assert!(taken.left < 100_000);
//!
//! let ann = Occupant { holder: "ann".into(), session: "laptop".into() };
//! let seat = gate.lease(LimitCode::new(0), &ann)?;
//! seat.check()?; // before each thing that only a holder may do
//! # drop((seat, node));
//! # std::fs::remove_dir_all(&folder)?;
//! # Ok(())
//! # }
//! ```
//!
//! # How a limit holds
//! A [`Store`] is the one place where a limit is decided. A [`Node`] takes a *slice* of a quota from
//! it, which counts as used from then on, and spends it with an atomic counter: whatever happens to
//! the node, no more is spent than was charged. A seat is a lease: its holder stops by a clock that
//! counts suspend, and whoever waits for it waits longer, by a clock of its own. `docs/enforcement.md`
//! has the guarantees, why they hold, and what is not promised.
//!
//! # Gates
//! A [`Gate`] answers for one license: [`Gate::check`] for flags, [`Gate::take`] for quotas,
//! [`Gate::lease`] for seats. A license that changes is handed to [`Gate::replace`], one that is
//! refused ends with [`Gate::refuse`]; both hold from the next decision on, and reset no counter. A
//! [`Refusal`] says why, what is left, and when it is worth asking again.
//!
//! # Stores
//! [`Sqlite`] is a file, for the nodes of one process. Everything that is given out is in its usage
//! log ([`Sqlite::usage`]), and a [`UsageReport`] says what that comes to. With the feature `postgres` a PostgreSQL server
//! is one too, for the nodes of many processes and machines: `Postgres` has the same log, and its
//! limits hold when a standby takes over that commits waited for.
//!
//! # Time
//! Both clocks come from a [`Clock`]: [`SystemClock`], or one of the application's own. When the wall
//! clock jumps beside the other one, what the node holds is void, and it begins as another.
//!
//! # What is left to you
//! Verifying licenses, and deciding when to do it again. Doing what was admitted. Processes that
//! fork: a child must not use the gates of its parent.
//!
//! # Features
//! | feature | default | what it adds |
//! | --- | --- | --- |
//! | `async` | no | `Gate::take_async`, `lease_async`, `borrow_async`: calls that a tokio task awaits |
//! | `http` | no | `Rejection`: what a refusal is over HTTP and gRPC, and the `RateLimit` fields |
//! | `openapi` | no | `utoipa::ToSchema` of [`UsageReport`] |
//! | `postgres` | no | `Postgres`, the store on a server, for the nodes of many machines |
//! | `tower` | no | `GateLayer`, which asks a gate before an axum, tonic or other `tower` service |
//! | `failpoints` | no | points at which tests kill the process; never in what ships |

// The guide's blocks are tests of this crate.
#[cfg(doctest)]
#[doc = include_str!("../../docs/guides/enforcing.md")]
struct Guide;

#[macro_use]
mod failpoint;

mod agent;
mod atomic;
mod borrowed;
mod clock;
mod desk;
mod error;
mod gate;
mod groups;
#[cfg(feature = "tower")]
mod layer;
mod ledger;
#[cfg(feature = "tower")]
mod needs;
mod node;
mod period;
#[cfg(feature = "postgres")]
mod postgres;
mod quotas;
#[cfg(feature = "http")]
mod rate_limit;
mod refusal;
#[cfg(feature = "http")]
mod rejection;
mod request;
mod rows;
mod seats;
#[cfg(test)]
mod shuttled;
mod site_key;
mod slice;
mod sqlite;
mod store;
mod usage;

pub use agent::Step;
pub use borrowed::{
    BorrowError, BorrowedSeat, MAX_BORROWED_SEAT, Machine, borrowed_from_text, borrowed_to_text,
};
#[cfg(target_os = "linux")]
pub use clock::SystemClock;
pub use clock::{Boot, Clock, HandClock, JUMP, Moment, RHO, Wall, evictor_wait, holder_share};
pub use desk::LONGEST_LEASE;
pub use error::{Fault, StoreError};
#[cfg(feature = "failpoints")]
pub use failpoint::FAIL_POINTS;
pub use gate::{Borrowing, Gate, LEASE, Lease, Policy, QuotaPolicy, SeatPolicy, Standing, Taken};
pub use groups::{MAX_GROUPS, Reserved};
#[cfg(feature = "tower")]
pub use layer::{GateBody, GateLayer, GateService};
#[cfg(feature = "tower")]
pub use needs::{Admitted, Demand, Needs, Undeclared};
pub use node::{Counts, Health, ManualNode, Node};
pub use period::Label;
#[cfg(feature = "postgres")]
pub use postgres::{Finding, Postgres, PostgresOptions};
#[cfg(feature = "http")]
pub use rate_limit::RateLimit;
pub use refusal::Refusal;
#[cfg(feature = "http")]
pub use rejection::{GrpcCode, Rejection};
pub use request::{Answer, Request};
pub use seats::LOAN_MARGIN;
pub use site_key::{SiteKey, SiteKeyError};
pub use sqlite::{Sqlite, SqliteOptions};
pub use store::{
    Ask, Caller, Claim, Done, Epoch, Grant, Held, Hello, Incarnation, Listed, Loan, MAX_BATCH,
    MAX_NAME, MAX_SEEN, MAX_SLICE, Occupant, Outcome, Overage, Patience, Place, Pool, QuotaKey,
    Return, SeatAnswer, SeatOp, Seen, Store,
};
pub use usage::{
    About, Act, MAX_REPORT_ROWS, NotATime, PeriodUsage, ReportFormat, ReportedDay, ReportedLicense,
    ReportedLimit, ReportedLog, ReportedPeriod, ReportedQuota, SeatUsage, UsageEvent, UsageQuery,
    UsageReport, parse_time,
};
