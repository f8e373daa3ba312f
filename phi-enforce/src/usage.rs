//! The usage log: everything that was given out and taken back, and what it comes to by period.
//!
//! What it comes to over a span of time, for others to read, is a [`UsageReport`]: `report` has its
//! form, and `replay` makes it of the log alone.

mod line;
mod replay;
mod report;
mod time;

use phi_verify::{Quota, UnixTime};

pub(crate) use self::replay::roll_up;
pub use self::{
    replay::MAX_REPORT_ROWS,
    report::{
        ReportFormat, ReportedDay, ReportedLicense, ReportedLimit, ReportedLog, ReportedPeriod,
        ReportedQuota, UsageQuery, UsageReport,
    },
    time::{NotATime, parse_time},
};

use crate::{
    clock::Wall,
    period::Label,
    store::{Incarnation, Occupant, Pool, QuotaKey},
};

/// What was done, by its number in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Act {
    /// Units were charged and given to a node.
    Granted = 1,
    /// Units came back unspent.
    Returned = 2,
    /// Units that the store had forgotten were charged again.
    Reasserted = 3,
    /// Units whose grant never reached the node are free again.
    NeverArrived = 4,
    /// A seat was taken.
    SeatAcquired = 5,
    /// A seat was given up.
    SeatReleased = 6,
    /// A holder was silent for longer than its lease and lost the seat.
    SeatEvicted = 7,
    /// A holder came back by the same name, in another run of a node.
    SeatTakenOver = 8,
    /// A seat that the store had forgotten is taken again.
    SeatReasserted = 9,
    /// A seat was taken along, or for longer.
    SeatBorrowed = 10,
    /// A seat that was taken along was given up before its end.
    SeatHandedBack = 11,
    /// A seat that was taken along is free again, because its end is long past.
    LoanEnded = 12,
    /// A newer revision of a license said how much of a quota there is.
    TermsSet = 13,
}

impl Act {
    const ALL: [Self; 13] = [
        Self::Granted,
        Self::Returned,
        Self::Reasserted,
        Self::NeverArrived,
        Self::SeatAcquired,
        Self::SeatReleased,
        Self::SeatEvicted,
        Self::SeatTakenOver,
        Self::SeatReasserted,
        Self::SeatBorrowed,
        Self::SeatHandedBack,
        Self::LoanEnded,
        Self::TermsSet,
    ];

    pub(crate) fn from_number(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|act| *act as u64 == number)
    }

    /// The stable word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Returned => "returned",
            Self::Reasserted => "reasserted",
            Self::NeverArrived => "never-arrived",
            Self::SeatAcquired => "seat-acquired",
            Self::SeatReleased => "seat-released",
            Self::SeatEvicted => "seat-evicted",
            Self::SeatTakenOver => "seat-taken-over",
            Self::SeatReasserted => "seat-reasserted",
            Self::SeatBorrowed => "seat-borrowed",
            Self::SeatHandedBack => "seat-handed-back",
            Self::LoanEnded => "loan-ended",
            Self::TermsSet => "terms-set",
        }
    }
}

/// What an event is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// Units of a quota.
    Units {
        /// The quota.
        key: QuotaKey,
        /// The period.
        label: Label,
        /// How many.
        units: u64,
    },
    /// A seat.
    Seat {
        /// In this pool.
        pool: Pool,
        /// Its number.
        fence: u64,
        /// Who was on it.
        occupant: Occupant,
    },
    /// A seat that was taken along.
    Loan {
        /// In this pool.
        pool: Pool,
        /// Its number.
        fence: u64,
        /// Who has it.
        occupant: Occupant,
        /// When it ends.
        until: UnixTime,
    },
    /// How much of a quota there is from then on.
    Terms {
        /// The quota.
        key: QuotaKey,
        /// The revision of the license that says so.
        revision: u64,
        /// How much, and for which period.
        quota: Quota,
    },
}

/// One event of the usage log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageEvent {
    /// Its place in the log: it rises, and not every number is there.
    pub seq: u64,
    /// When, by the store's wall clock.
    pub at: Wall,
    /// The run of the node that asked for it.
    pub incarnation: Incarnation,
    /// The request in which it did.
    pub request: u64,
    /// What was done.
    pub act: Act,
    /// To what.
    pub about: About,
}

/// What was used of a quota in a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeriodUsage {
    /// The quota.
    pub key: QuotaKey,
    /// The period.
    pub label: Label,
    /// Units that were given out in all.
    pub granted: u64,
    /// Units of those that came back.
    pub returned: u64,
}

impl PeriodUsage {
    /// Units that count as used: spent, still in the hands of a node, or lost with one.
    pub const fn charged(&self) -> u64 {
        self.granted.saturating_sub(self.returned)
    }
}

/// How many seats of a pool were taken on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeatUsage {
    /// The pool.
    pub pool: Pool,
    /// When the day began.
    pub day: UnixTime,
    /// The most at once.
    pub peak: u64,
    /// How often one was taken.
    pub acquired: u64,
}
