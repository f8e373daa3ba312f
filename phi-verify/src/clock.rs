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

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
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

/// Readings that differ by less than this are one, and the observed floor follows the clock in
/// steps of this size: clocks are corrected by seconds all the time, and by more than minutes
/// rarely.
pub const OBSERVED_STEP: u64 = 5 * MINUTE;

/// What a step of the clock counts for at most, as time that it ran: a machine that is off at
/// night is counted day for day, and a step to another year is a day.
const LONGEST_STEP: u64 = DAY;

/// How much time may be lived twice, by a clock that is set back within [`CLOCK_TOLERANCE`] or that
/// was far ahead, until nothing more of that is tolerated: two corrections of a day.
const LIVED_TWICE: u64 = 2 * DAY;

/// A twelfth of the time for which a clock runs past all that it has shown is taken off what it
/// has lived twice, and off a grace that was used: a month a year for machines whose clocks are
/// corrected often, and no more than that for those who correct them with intent.
const FORGIVEN: u64 = 12;

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
        /// Seconds for which the clock runs after it was set back, however often that is. They
        /// come back slowly: a day for twelve days with the right time.
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
    /// It is over [`CLOCK_TOLERANCE`] behind what this machine has shown before; or behind it at
    /// all, after it was set back by less so often that two days were lived twice.
    RolledBack {
        /// The latest time that the machine has shown.
        observed: UnixTime,
        /// For how many seconds it has run like that, now and before, less what was forgiven.
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
    /// The observed floor.
    pub(crate) observed: Option<UnixTime>,
    pub(crate) doubted: Option<Doubted>,
    /// From the first reading on.
    pub(crate) run: Option<Run>,
}

/// A clock that ran far ahead and is not believed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Doubted {
    /// What it showed when it last counted.
    pub(crate) last: UnixTime,
    /// On how many separate days it agreed with itself.
    pub(crate) days: u8,
    /// For how many seconds it ran like that.
    pub(crate) ran: u64,
}

/// How a clock has run, whatever date it showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// What it showed last.
    pub(crate) last: UnixTime,
    /// The steady floor: what was proved to be past, and the time for which the clock has run
    /// since. To set the clock back does not lower it, and to set it ahead raises it by no more
    /// than [`LONGEST_STEP`].
    pub(crate) steady: UnixTime,
    /// For how many seconds it has run set back, and was said to.
    pub(crate) lasting: u64,
    /// How many seconds it has lived twice without that: set back by less than is held against
    /// it, or far ahead before it was corrected.
    pub(crate) twice: u64,
}

impl Run {
    /// Goes on to a reading, and gives the seconds for which the clock has run since the last.
    fn to(before: Option<Self>, now: UnixTime, signed: UnixTime) -> (u64, Self) {
        // What a signature proves to be past, a clock that shows it has lived.
        let proved = now.min(signed);
        let Some(run) = before else {
            let first = Self {
                last: now,
                steady: proved,
                lasting: 0,
                twice: 0,
            };
            return (0, first);
        };
        let ran = now.seconds().saturating_sub(run.last.seconds());
        let same = ran < OBSERVED_STEP && now > run.last.minus(OBSERVED_STEP);
        let (ran, last) = if same { (0, run.last) } else { (ran, now) };
        let ran = ran.min(LONGEST_STEP);
        let run = Self {
            last,
            steady: run.steady.plus(ran).max(proved),
            ..run
        };
        (ran, run)
    }

    /// Counts seconds that were lived twice.
    const fn again(self, seconds: u64) -> Self {
        let twice = self.twice.saturating_add(seconds);
        Self { twice, ..self }
    }

    /// Forgives a part of what was lived twice, for so many seconds past all that was shown.
    fn forgiven(self, seconds: u64, now: UnixTime) -> Self {
        let forgiven = seconds / FORGIVEN;
        let steady = self.steady.minus(forgiven).max(now);
        Self {
            steady: self.steady.min(steady),
            lasting: self.lasting.saturating_sub(forgiven),
            twice: self.twice.saturating_sub(forgiven),
            ..self
        }
    }

    /// Whether more was lived twice than is tolerated.
    const fn exhausted(self) -> bool {
        self.twice > LIVED_TWICE
    }
}

impl Seen {
    /// What a reading is worth, and what to remember after it.
    pub(crate) fn after(self, now: UnixTime, signed: UnixTime) -> (ClockVerdict, Self) {
        let (ran, run) = Run::to(self.run, now, signed);
        let known = self
            .observed
            .map_or(signed, |observed| observed.max(signed));
        if now > known.plus(JUMP_LIMIT) {
            return self.after_jump(now, ran, run);
        }
        // The clock is back within reason: what was doubted was wrong, and is forgotten.
        let doubted = self.doubted.map_or(0, |doubted| doubted.ran);
        let past = (self.observed).map_or(0, |observed| {
            now.seconds().saturating_sub(observed.seconds()).min(ran)
        });
        let run = run.again(doubted);
        let calm = Self {
            doubted: None,
            ..self
        };
        if let Some(observed) = self.observed
            && is_behind(now, observed, run)
        {
            let lasting = run.lasting.saturating_add(ran);
            let run = Some(Run { lasting, ..run });
            let seen = Self { run, ..calm };
            return (ClockVerdict::RolledBack { observed, lasting }, seen);
        }
        let run = run.again(self.observed.map_or(0, |_| ran - past));
        let advances = (self.observed).is_none_or(|observed| now >= observed.plus(OBSERVED_STEP));
        let seen = Self {
            observed: if advances { Some(now) } else { self.observed },
            run: Some(run.forgiven(past, now)),
            ..calm
        };
        if now < signed.minus(CLOCK_TOLERANCE) {
            return (ClockVerdict::BehindSignature { floor: signed }, seen);
        }
        (ClockVerdict::Plausible, seen)
    }

    /// A reading far ahead of everything known: the observed floor follows once it agreed with
    /// itself on enough days, or at the second reading if too many such days were corrected before.
    fn after_jump(self, now: UnixTime, ran: u64, run: Run) -> (ClockVerdict, Self) {
        let agrees = |doubted: &Doubted| {
            now >= doubted.last.minus(CLOCK_TOLERANCE) && now <= doubted.last.plus(JUMP_LIMIT)
        };
        let doubted = match self.doubted.filter(agrees) {
            None => Doubted {
                last: now,
                days: 1,
                ran: self.doubted.map_or(0, |doubted| doubted.ran),
            },
            Some(doubted) => {
                let next = day(now) > day(doubted.last);
                Doubted {
                    last: if next { now } else { doubted.last },
                    days: doubted.days.saturating_add(u8::from(next)),
                    ran: doubted.ran.saturating_add(ran),
                }
            }
        };
        let seen = Self {
            run: Some(run),
            ..self
        };
        let spent = doubted.ran > 0 && run.again(doubted.ran).exhausted();
        if doubted.days < AGREEING_DAYS && !spent {
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

    /// What is left of it after news from the issuer: a clock is held to the time for which it
    /// has run, and to no date that it has shown.
    pub(crate) fn with_news(self) -> Self {
        let doubted = self.doubted.map_or(0, |doubted| doubted.ran);
        let steady = self.run.map(|run| run.steady);
        Self {
            observed: (self.observed.zip(steady)).map(|(observed, steady)| observed.min(steady)),
            doubted: None,
            run: self.run.map(|run| run.again(doubted)),
        }
    }

    /// Nothing, or a floor to begin again at.
    pub(crate) fn beginning_at(to: Option<UnixTime>) -> Self {
        Self {
            observed: to,
            ..Self::default()
        }
    }

    /// What two copies know together: the higher floors.
    pub(crate) fn merged(self, other: Self) -> Self {
        let run = match (self.run, other.run) {
            (Some(ours), Some(theirs)) => Some(Run {
                last: ours.last,
                steady: ours.steady.max(theirs.steady),
                lasting: ours.lasting.max(theirs.lasting),
                twice: ours.twice.max(theirs.twice),
            }),
            (ours, theirs) => ours.or(theirs),
        };
        Self {
            observed: self.observed.max(other.observed),
            run,
            ..self
        }
    }
}

/// Whether a clock is further behind what it has shown than is tolerated.
fn is_behind(now: UnixTime, observed: UnixTime, run: Run) -> bool {
    let tolerated = if run.exhausted() {
        OBSERVED_STEP
    } else {
        CLOCK_TOLERANCE
    };
    now < observed.minus(tolerated)
}

impl Clock {
    /// Begins again as a reset allows, if it is for this installation and still good. The
    /// document was verified.
    pub(crate) fn take(
        &mut self,
        used: UsedReset,
        now: UnixTime,
        signed: UnixTime,
        lead: UnixTime,
    ) -> Result<(), Error> {
        let reset = &used.reset;
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
        if self.has_used(reset) {
            return Err(Error::ClockResetUsed);
        }
        if let Some(steady) = self.seen.outlives(reset) {
            return Err(Error::ClockResetOutlived {
                steady,
                up_to: reset.steady,
            });
        }
        let over = |used: &UsedReset| used.reset.not_after < signed;
        if self.used.iter().filter(|used| !over(used)).count() >= USED_RESETS {
            return Err(Error::ClockResetsTooMany { limit: USED_RESETS });
        }
        // What ended before the signed floor is refused for that, whatever the clock shows.
        self.used.retain(|used| !over(used));
        self.seen = Seen::beginning_at(reset.to.map(|to| to.min(lead)));
        self.used.push(used);
        Ok(())
    }

    fn has_used(&self, reset: &ClockReset) -> bool {
        self.used.iter().any(|used| used.reset.nonce == reset.nonce)
    }

    /// Takes over what another copy knows; of licenses the trust state judges. News and resets that
    /// one of the two had count for what the other's clock has shown as well: whatever began a
    /// clock again is signed, and is at hand.
    pub(crate) fn absorb(&mut self, mut other: Self, news: News, times: (UnixTime, UnixTime)) {
        let (signed, lead) = times;
        let (mut ours, mut theirs) = (self.seen, other.seen);
        theirs = theirs.after_resets_of(self, &other, lead);
        ours = ours.after_resets_of(&other, self, lead);
        match news {
            News::Ours => theirs = theirs.merged_run(ours).with_news(),
            News::Theirs => ours = ours.merged_run(theirs).with_news(),
            News::None => {}
        }
        self.seen = ours.merged(theirs);
        self.installation = self.installation.or(other.installation);
        other.used.retain(|used| !self.has_used(&used.reset));
        self.used.append(&mut other.used);
        if self.used.len() > USED_RESETS {
            self.used.retain(|used| used.reset.not_after >= signed);
            self.used.truncate(USED_RESETS);
        }
    }
}

/// Which of two copies has the newer status list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    Ours,
    Theirs,
    None,
}

impl Seen {
    /// The steady floor, if it is above what a reset forgets.
    fn outlives(self, reset: &ClockReset) -> Option<UnixTime> {
        let steady = self.run.map(|run| run.steady);
        steady.filter(|steady| *steady > reset.steady)
    }

    /// What is left of it after the resets that one copy has used and its own has not.
    fn after_resets_of(self, of: &Clock, own: &Clock, lead: UnixTime) -> Self {
        let others = of.used.iter().filter(|used| !own.has_used(&used.reset));
        others.fold(self, |seen, UsedReset { reset, .. }| {
            if seen.outlives(reset).is_some() {
                return seen;
            }
            Self::beginning_at(reset.to.map(|to| to.min(lead)))
        })
    }

    /// With the higher of two steady floors.
    fn merged_run(self, other: Self) -> Self {
        Self {
            run: self.merged(other).run,
            ..self
        }
    }
}

/// The number of a day, in UTC.
const fn day(time: UnixTime) -> u64 {
    time.seconds() / DAY
}
