//! Enforce Phi licenses.
mod clock;
mod period;

#[cfg(target_os = "linux")]
pub use clock::SystemClock;
pub use clock::{Boot, Clock, HandClock, JUMP, Moment, RHO, Wall, evictor_wait, holder_share};
pub use period::Label;
