//! A machine's clock, as far as it can be believed: against what trusted signatures prove to be
//! past, and against what the machine has shown before.
//!
//! Nothing here reads a clock. A reading goes in with what is remembered, and a verdict comes out
//! with what to remember instead; what a verdict means for a license is the application's
//! [`ClockPolicy`].

mod reset;

use alloc::vec::Vec;
use core::fmt;

pub(crate) use self::reset::UsedReset;
pub use self::reset::{ClockReset, InstallationId};
use crate::{UnixTime, error::Error, key::KeyId};

const HOUR: u64 = 60 * 60;
const DAY: u64 = 24 * HOUR;

/// How far a clock may lie behind what it showed before until that is held against it: a day, as
/// license managers have settled on (`FlexNet`, LM-X), covers time zones and drift.
pub const CLOCK_TOLERANCE: u64 = DAY;

/// How far a clock may run ahead of everything that was seen or signed until it is doubted: a
/// machine that was off for a month is ordinary, one that was off for longer is rare enough to
/// wait for three days.
pub const JUMP_LIMIT: u64 = 35 * DAY;

/// On how many separate days a doubted clock must agree with itself to be believed. A wrong date
/// that someone corrects within two days leaves no trace.
pub const AGREEING_DAYS: u8 = 3;

/// How far the times that status lists and licenses state may lead the newest root and keyset:
/// the slowest issuer changes a signing key, and so publishes a keyset, once a year, and may be a
/// month late. A thief of a status key or a license key moves no clock further than that.
pub const SIGNED_LEAD: u64 = 400 * DAY;

/// The observed floor follows the clock in steps of this size, so that what is remembered changes,
/// and is written, at most once an hour.
pub const OBSERVED_STEP: u64 = HOUR;

/// Clock resets that are remembered as used, so that none is used twice. An installation needs
/// one in years, and a newer status list lets it forget those that are over.
pub(crate) const USED_RESETS: usize = 64;

/// What an application makes of a clock that was set back by more than [`CLOCK_TOLERANCE`].
///
/// A clock that is behind a trusted signature is no reason to refuse anything: the license is then
/// judged at the time of that signature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClockPolicy {
    /// Accept the license: [`License::clock`](crate::License::clock) says what is wrong.
    Warn,
    /// Accept it for a while, so that there is time to set the clock or to ask for a reset.
    Grace {
        /// Seconds, as the clock that was set back counts them. Each time it is set back again
        /// takes another day of them.
        seconds: u64,
    },
    /// Refuse the license: [`Error::ClockRolledBack`].
    #[default]
    Deny,
}

impl ClockPolicy {
    /// Refuses a clock by its verdict.
    pub(crate) fn check(self, now: UnixTime, verdict: ClockVerdict) -> Result<(), Error> {
        let ClockVerdict::RolledBack { observed, lasting } = verdict else {
            return Ok(());
        };
        let accepted = match self {
            Self::Warn => true,
            Self::Grace { seconds } => lasting < seconds,
            Self::Deny => false,
        };
        if accepted {
            return Ok(());
        }
        Err(Error::ClockRolledBack { now, observed })
    }
}

/// What a reading of the clock is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockVerdict {
    /// Nothing speaks against it.
    Plausible,
    /// It is over [`CLOCK_TOLERANCE`] behind a trusted signature, whose time counts instead.
    BehindSignature {
        /// The newest time that a trusted signature proves to be past.
        floor: UnixTime,
    },
    /// It is over [`JUMP_LIMIT`] ahead of everything that was seen or signed. It counts, and is
    /// not yet remembered: if it is corrected, nothing is held against the machine.
    Doubted {
        /// On how many separate days it agreed with itself, of [`AGREEING_DAYS`].
        days: u8,
    },
    /// It is over [`CLOCK_TOLERANCE`] behind what this machine has shown before.
    RolledBack {
        /// The latest time that the machine has shown.
        observed: UnixTime,
        /// For how many seconds that has lasted, as far as was observed.
        lasting: u64,
    },
}

impl ClockVerdict {
    /// The verdict's word in print.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plausible => "plausible",
            Self::BehindSignature { .. } => "behind-signature",
            Self::Doubted { .. } => "doubted",
            Self::RolledBack { .. } => "rolled-back",
        }
    }
}

impl fmt::Display for ClockVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plausible => f.write_str("plausible"),
            Self::BehindSignature { floor } => {
                write!(
                    f,
                    "behind a trusted signature of {floor}, which counts instead"
                )
            }
            Self::Doubted { days } => write!(
                f,
                "far ahead of all that was seen or signed, on {days} of {AGREEING_DAYS} days"
            ),
            Self::RolledBack { observed, .. } => {
                write!(f, "set back, this machine has shown {observed} before")
            }
        }
    }
}

/// What is remembered of a machine's clock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Clock {
    /// When the application was built. It is the application's to say, and is not stored.
    pub(crate) built: Option<UnixTime>,
    pub(crate) seen: Seen,
    /// The latest license that was remembered: when it was issued, and under which key.
    pub(crate) license: Option<(UnixTime, KeyId)>,
    pub(crate) installation: Option<InstallationId>,
    pub(crate) used: Vec<UsedReset>,
}

/// What the machine's clock has shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// How often what is below was forgotten. Of two copies the one that forgot more often is the
    /// newer, whatever their floors.
    pub(crate) era: u64,
    /// The observed floor.
    pub(crate) observed: Option<UnixTime>,
    pub(crate) doubted: Option<Doubted>,
    pub(crate) behind: Option<Behind>,
}

/// A clock that ran far ahead and is not believed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Doubted {
    /// What it showed when it last counted.
    pub(crate) last: UnixTime,
    /// On how many separate days it agreed with itself.
    pub(crate) days: u8,
}

/// A clock that was set back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Behind {
    /// What it showed last.
    pub(crate) last: UnixTime,
    /// For how many seconds it has run like that.
    pub(crate) lasting: u64,
}

impl Seen {
    /// What a reading is worth, and what to remember after it.
    pub(crate) fn after(self, now: UnixTime, signed: UnixTime) -> (ClockVerdict, Self) {
        let known = self
            .observed
            .map_or(signed, |observed| observed.max(signed));
        if now > known.plus(JUMP_LIMIT) {
            return self.after_jump(now);
        }
        // The clock is back within reason: what was doubted was wrong, and is forgotten.
        let calm = Self {
            doubted: None,
            ..self
        };
        if let Some(observed) = self.observed
            && now < observed.minus(CLOCK_TOLERANCE)
        {
            return calm.after_rollback(now, observed);
        }
        let advances = (self.observed).is_none_or(|observed| now >= observed.plus(OBSERVED_STEP));
        let seen = Self {
            observed: if advances { Some(now) } else { self.observed },
            behind: None,
            ..calm
        };
        if now < signed.minus(CLOCK_TOLERANCE) {
            return (ClockVerdict::BehindSignature { floor: signed }, seen);
        }
        (ClockVerdict::Plausible, seen)
    }

    /// A reading far ahead of everything known: the observed floor follows once it agreed with
    /// itself on enough days.
    fn after_jump(self, now: UnixTime) -> (ClockVerdict, Self) {
        let agrees = |doubted: &Doubted| {
            now >= doubted.last.minus(CLOCK_TOLERANCE) && now <= doubted.last.plus(JUMP_LIMIT)
        };
        let doubted = match self.doubted.filter(agrees) {
            None => Doubted { last: now, days: 1 },
            Some(doubted) if day(now) > day(doubted.last) => Doubted {
                last: now,
                days: doubted.days.saturating_add(1),
            },
            Some(doubted) => doubted,
        };
        let seen = Self {
            behind: None,
            ..self
        };
        if doubted.days < AGREEING_DAYS {
            let days = doubted.days;
            let doubted = Some(doubted);
            return (ClockVerdict::Doubted { days }, Self { doubted, ..seen });
        }
        let believed = Self {
            observed: Some(now),
            doubted: None,
            ..seen
        };
        (ClockVerdict::Plausible, believed)
    }

    fn after_rollback(self, now: UnixTime, observed: UnixTime) -> (ClockVerdict, Self) {
        let behind = match self.behind {
            None => Behind {
                last: now,
                lasting: 0,
            },
            // Set back again: who does so whenever the grace runs out uses it up all the same.
            Some(behind) if now < behind.last.minus(OBSERVED_STEP) => Behind {
                last: now,
                lasting: behind.lasting.saturating_add(DAY),
            },
            Some(behind) if now >= behind.last.plus(OBSERVED_STEP) => {
                let ran = now.seconds() - behind.last.seconds();
                Behind {
                    last: now,
                    lasting: behind.lasting.saturating_add(ran),
                }
            }
            Some(behind) => behind,
        };
        let lasting = behind.lasting;
        let seen = Self {
            behind: Some(behind),
            ..self
        };
        (ClockVerdict::RolledBack { observed, lasting }, seen)
    }

    /// Forgets what was seen, and begins again at this time if there is one.
    pub(crate) const fn forgotten(self, to: Option<UnixTime>) -> Self {
        Self {
            era: self.era.saturating_add(1),
            observed: to,
            doubted: None,
            behind: None,
        }
    }

    /// What two copies know together: the newer era, and within one era the higher floor.
    pub(crate) fn merged(self, other: Self) -> Self {
        if self.era != other.era {
            return if self.era > other.era { self } else { other };
        }
        Self {
            observed: self.observed.max(other.observed),
            ..self
        }
    }
}

impl Clock {
    /// Marks a reset as used, if it is for this installation and still good.
    pub(crate) fn take(
        &mut self,
        reset: &ClockReset,
        now: UnixTime,
        signed: UnixTime,
    ) -> Result<(), Error> {
        if self.installation != Some(reset.installation) {
            return Err(Error::InstallationMismatch {
                expected: self.installation,
                found: reset.installation,
            });
        }
        if reset.not_after < now.max(signed) {
            return Err(Error::ClockResetExpired {
                now: now.max(signed),
                not_after: reset.not_after,
            });
        }
        if self.used.iter().any(|used| used.nonce == reset.nonce) {
            return Err(Error::ClockResetUsed);
        }
        let over = |used: &UsedReset| used.not_after < signed;
        if self.used.iter().filter(|used| !over(used)).count() >= USED_RESETS {
            return Err(Error::ClockResetsTooMany { limit: USED_RESETS });
        }
        // What ended before the signed floor is refused for that, whatever the clock shows.
        self.used.retain(|used| !over(used));
        self.used.push(UsedReset {
            nonce: reset.nonce,
            not_after: reset.not_after,
        });
        Ok(())
    }

    /// Takes over what another copy knows; of licenses the trust state judges.
    pub(crate) fn absorb(&mut self, other: &Self) {
        self.seen = self.seen.merged(other.seen);
        self.installation = self.installation.or(other.installation);
        for used in &other.used {
            if self.used.len() < USED_RESETS && !self.used.contains(used) {
                self.used.push(*used);
            }
        }
    }
}

/// The number of a day, in UTC.
const fn day(time: UnixTime) -> u64 {
    time.seconds() / DAY
}
