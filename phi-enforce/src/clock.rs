//! Two clocks read together, and what may be concluded from them.
//!
//! How long something may be used is measured on the clock that counts from the machine's start,
//! suspend included. The wall clock names periods and ends licenses; no limit depends on it.

use std::{
    fmt,
    sync::atomic::{AtomicI64, AtomicU64, Ordering},
    time::Duration,
};

use phi_verify::UnixTime;

/// By which part a clock's rate may differ from real time, as tenths: `RHO` is 1/10.
///
/// chrony slews by up to 83 333 ppm unless it is told otherwise, one part in twelve. A clock that
/// is held to a thousandth by hardware is not worth a limit that is exceeded where it is not.
pub const RHO: f64 = 0.1;

/// A wall clock that moved by more than this beside the other one was set, or the machine stood
/// still without noticing: a snapshot that was resumed. Slewing over a second moves it by a tenth.
pub const JUMP: Duration = Duration::from_secs(1);

/// Two clocks that are read more than this apart are read again: the reader was interrupted.
#[cfg(target_os = "linux")]
const APART: Duration = Duration::from_millis(100);
/// A reader that is interrupted each time is on a machine that does nothing else.
#[cfg(target_os = "linux")]
const READINGS: usize = 8;

/// A time on the clock that counts from the machine's start, suspend included, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Boot(u64);

impl Boot {
    /// This many nanoseconds after the start.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the start.
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// This time and `duration` more.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }

    /// How much later this is than `earlier`; nothing if it is not.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A time on the wall clock, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wall(u64);

impl Wall {
    /// This many milliseconds after the Unix epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// The second that this time is in.
    pub const fn second(self) -> UnixTime {
        UnixTime::EPOCH.plus(self.0 / 1000)
    }
}

impl From<UnixTime> for Wall {
    fn from(time: UnixTime) -> Self {
        Self(time.seconds() * 1000)
    }
}

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// On the clock that counts from the machine's start.
    pub boot: Boot,
    /// On the wall clock.
    pub wall: Wall,
}

/// Where the time comes from: the machine, or whoever hands it in.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Both clocks, read together.
    fn now(&self) -> Moment;

    /// The wall clock alone, where that is quicker.
    fn wall(&self) -> Wall {
        self.now().wall
    }

    /// Both clocks at a glance, where that is quicker: the wall clock may be behind by as long as
    /// the system takes to move it on, some milliseconds, and by as long as the reader was
    /// interrupted.
    fn glance(&self) -> Moment {
        self.now()
    }
}

/// The machine's clocks: `CLOCK_BOOTTIME` and `CLOCK_REALTIME`.
///
/// The standard library's `Instant` stands still in suspend and would let a laptop keep a seat that
/// others were given meanwhile. On systems without such a clock, implement [`Clock`].
#[cfg(target_os = "linux")]
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[cfg(target_os = "linux")]
impl SystemClock {
    fn read(clock: rustix::time::ClockId) -> Duration {
        let time = rustix::time::clock_gettime(clock);
        // A clock before its own beginning is at it.
        Duration::try_from(time).unwrap_or_default()
    }

    fn wall_by(clock: rustix::time::ClockId) -> Wall {
        let time = Self::read(clock);
        let millis = time.as_secs().saturating_mul(1000);
        Wall(millis.saturating_add(time.subsec_millis().into()))
    }

    fn boot() -> Boot {
        let time = Self::read(rustix::time::ClockId::Boottime);
        let nanos = time.as_secs().saturating_mul(1_000_000_000);
        Boot(nanos.saturating_add(time.subsec_nanos().into()))
    }
}

#[cfg(target_os = "linux")]
impl Clock for SystemClock {
    fn now(&self) -> Moment {
        let mut boot = Self::boot();
        for _ in 1..READINGS {
            let wall = self.wall();
            let after = Self::boot();
            if after.since(boot) < APART {
                return Moment { boot: after, wall };
            }
            boot = after;
        }
        Moment {
            wall: self.wall(),
            boot: Self::boot(),
        }
    }

    fn wall(&self) -> Wall {
        Self::wall_by(rustix::time::ClockId::Realtime)
    }

    /// The wall clock as of the last tick is a fifth of the price.
    fn glance(&self) -> Moment {
        Moment {
            wall: Self::wall_by(rustix::time::ClockId::RealtimeCoarse),
            boot: Self::boot(),
        }
    }
}

/// A clock that stands still until it is moved, for tests and simulations.
#[derive(Debug, Default)]
pub struct HandClock {
    boot: AtomicU64,
    wall: AtomicU64,
}

impl HandClock {
    /// A clock that shows this moment.
    pub const fn at(moment: Moment) -> Self {
        Self {
            boot: AtomicU64::new(moment.boot.0),
            wall: AtomicU64::new(moment.wall.0),
        }
    }

    /// Lets time pass on both clocks.
    pub fn pass(&self, duration: Duration) {
        let now = self.now();
        let nanos = now.boot.plus(duration).0;
        // Whole milliseconds of either clock, so that many small steps are not lost.
        let millis = nanos / 1_000_000 - now.boot.0 / 1_000_000;
        self.boot.store(nanos, Ordering::Relaxed);
        self.wall.fetch_add(millis, Ordering::Relaxed);
    }

    /// Sets the wall clock alone.
    pub fn set_wall(&self, wall: Wall) {
        self.wall.store(wall.0, Ordering::Relaxed);
    }

    /// Sets both clocks.
    pub fn set(&self, moment: Moment) {
        self.boot.store(moment.boot.0, Ordering::Relaxed);
        self.set_wall(moment.wall);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Moment {
        Moment {
            boot: Boot(self.boot.load(Ordering::Relaxed)),
            wall: Wall(self.wall.load(Ordering::Relaxed)),
        }
    }
}

/// How long the holder of something may use it by its own clock, so that no more than `length` has
/// passed on any other: `length (1 - rho)`.
///
/// A lease that others wait for needs no such cut, because they wait longer ([`evictor_wait`]).
pub fn holder_share(length: Duration) -> Duration {
    length.mul_f64(1.0 - RHO)
}

/// How long an evictor waits by its own clock until a holder that does not renew has stopped by
/// *its* own: `length (1 + rho) / (1 - rho)`.
pub fn evictor_wait(length: Duration) -> Duration {
    length.mul_f64((1.0 + RHO) / (1.0 - RHO))
}

/// Notices that the wall clock moved beside the other one.
#[derive(Debug)]
pub(crate) struct JumpWatch {
    /// The wall clock less the other one, in milliseconds.
    offset: AtomicI64,
}

impl JumpWatch {
    /// A difference that is followed without a word is not written down each time: readers would
    /// hinder each other.
    const NOTED: u64 = 100;

    pub(crate) fn new(now: Moment) -> Self {
        Self {
            offset: AtomicI64::new(offset(now)),
        }
    }

    /// Whether the clocks go on as they did, at a glance: if not, they are to be read with care.
    pub(crate) fn is_steady(&self, now: Moment) -> bool {
        offset(now).abs_diff(self.offset.load(Ordering::Acquire)) <= Self::NOTED
    }

    /// Whether the clocks jumped. It stays so until that is [dealt with](Self::accept).
    pub(crate) fn jumped(&self, now: Moment) -> bool {
        let (found, known) = (offset(now), self.offset.load(Ordering::Acquire));
        let moved = found.abs_diff(known);
        if u128::from(moved) > JUMP.as_millis() {
            return true;
        }
        if moved > Self::NOTED {
            // Whoever else writes has read the same clocks.
            let _ =
                self.offset
                    .compare_exchange(known, found, Ordering::Release, Ordering::Relaxed);
        }
        false
    }

    /// Goes on from here, after all that was measured before is void.
    pub(crate) fn accept(&self, now: Moment) {
        self.offset.store(offset(now), Ordering::Release);
    }
}

fn offset(now: Moment) -> i64 {
    let boot = now.boot.0 / 1_000_000;
    now.wall.0.cast_signed().wrapping_sub(boot.cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(boot: u64, wall: u64) -> Moment {
        Moment {
            boot: Boot(boot * 1_000_000),
            wall: Wall(wall),
        }
    }

    #[test]
    fn a_wall_clock_that_is_set_is_noticed() {
        let watch = JumpWatch::new(at(0, 10_000));
        assert!(!watch.jumped(at(5_000, 15_000)));
        assert!(watch.jumped(at(5_001, 16_002)), "ahead");
        assert!(watch.jumped(at(5_002, 16_003)), "until it is dealt with");
        watch.accept(at(5_002, 16_003));
        assert!(!watch.jumped(at(5_002, 16_003)));
        assert!(watch.jumped(at(6_000, 15_999)), "back");
    }

    #[test]
    fn a_clock_that_is_slewed_is_followed() {
        let watch = JumpWatch::new(at(0, 0));
        for second in 1..1000 {
            assert!(!watch.jumped(at(second * 1000, second * 1083)), "{second}");
        }
    }

    #[test]
    fn an_evictor_waits_until_the_slowest_holder_has_stopped() {
        let length = Duration::from_secs(10);
        // The evictor's clock is as fast as may be, and the holder's as slow.
        let waited = evictor_wait(length).div_f64(1.0 + RHO);
        let held = length.div_f64(1.0 - RHO);
        assert!(waited + Duration::from_nanos(10) >= held);
        assert!(evictor_wait(length) < Duration::from_millis(12_223));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_machines_clocks_go_forward() {
        let (first, second) = (SystemClock.now(), SystemClock.now());
        assert!(second.boot >= first.boot && first.boot > Boot::default());
        assert!(first.wall > Wall::from(UnixTime::new(1_700_000_000).unwrap()));
    }
}
