//! Periods of quotas: which one a time is in, and when that ends, in UTC.

use std::fmt;

use phi_verify::{Period, UnixTime};
use serde::{Deserialize, Serialize};

use crate::clock::Wall;

const HOUR: u64 = 60 * 60;
const DAY: u64 = 24 * HOUR;
/// Days from 0000-03-01 to 1970-01-01, in the calendar below.
const EPOCH_DAY: u64 = 719_468;

/// One hour, day, month or year, or all of a license's life.
///
/// ```
/// use phi_enforce::{Label, Wall};
/// use phi_verify::{Period, UnixTime};
///
/// let now = Wall::from(UnixTime::new(1_925_251_200).unwrap()); // 2031-01-04T00:00:00Z
/// let month = Label::at(Period::Month, now);
/// assert_eq!(month.ends().unwrap().to_string(), "2031-02-01T00:00:00Z");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Label {
    /// The kind of the period.
    pub period: Period,
    /// Its number: hours, days or months since 1970 began, the year, or zero.
    pub number: u64,
}

impl Label {
    /// The period of this kind that the time is in.
    pub fn at(period: Period, now: Wall) -> Self {
        let seconds = now.second().seconds();
        let number = match period {
            Period::Lifetime => 0,
            Period::Hour => seconds / HOUR,
            Period::Day => seconds / DAY,
            Period::Month => month_of(seconds / DAY),
            Period::Year => 1970 + month_of(seconds / DAY) / 12,
        };
        Self { period, number }
    }

    /// When the period begins; `None` for a whole life.
    pub fn begins(self) -> Option<UnixTime> {
        match self.before() {
            Some(before) => before.ends(),
            None if self.period == Period::Lifetime => None,
            None => Some(UnixTime::EPOCH),
        }
    }

    /// When the period ends; `None` for a whole life.
    pub fn ends(self) -> Option<UnixTime> {
        let next = self.number.saturating_add(1);
        let seconds = match self.period {
            Period::Lifetime => return None,
            Period::Hour => next.saturating_mul(HOUR),
            Period::Day => next.saturating_mul(DAY),
            Period::Month => first_day(next).saturating_mul(DAY),
            Period::Year => first_day(next.saturating_sub(1970).saturating_mul(12)) * DAY,
        };
        Some(UnixTime::EPOCH.plus(seconds))
    }

    /// The period before this one, of the same kind.
    pub(crate) const fn before(self) -> Option<Self> {
        match (self.period, self.number.checked_sub(1)) {
            (Period::Lifetime, _) | (_, None) => None,
            (period, Some(number)) => Some(Self { period, number }),
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.period {
            Period::Lifetime => f.pad(self.period.name()),
            period => write!(f, "{period} {}", self.number),
        }
    }
}

/// Months from January 1970 to the one that the day is in.
///
/// Howard Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`, for days
/// that are not negative: years begin in March, so that a leap day is the last of its year.
const fn month_of(day: u64) -> u64 {
    let shifted = day + EPOCH_DAY;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    // Months from March of the year 0.
    let months = (era * 400 + year_of_era) * 12 + month_from_march;
    months - (1970 * 12 - 2)
}

/// The first day of the month of this number, counted as [`month_of`] does: `days_from_civil`.
const fn first_day(month: u64) -> u64 {
    // The calendar ends where times do.
    let month = if month > 97_000 { 97_000 } else { month };
    let months = month + (1970 * 12 - 2);
    let (year, month_from_march) = (months / 12, months % 12);
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * month_from_march + 2) / 5;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - EPOCH_DAY
}

/// The beginning of a day of the calendar; `None` if there is no such month, or the year is not
/// from 1970 to 9999. A day beyond the end of its month is one of the next.
pub(crate) fn midnight(year: u64, month: u64, day: u64) -> Option<UnixTime> {
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) {
        return None;
    }
    let first = first_day((year - 1970) * 12 + month - 1);
    let days = first + day.checked_sub(1)?;
    UnixTime::new(days.checked_mul(DAY)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_end_where_the_calendar_says() {
        // 2028-02-29T23:59:59Z
        let now = Wall::from(UnixTime::new(1_835_481_599).unwrap());
        for (period, ends) in [
            (Period::Hour, "2028-03-01T00:00:00Z"),
            (Period::Day, "2028-03-01T00:00:00Z"),
            (Period::Month, "2028-03-01T00:00:00Z"),
            (Period::Year, "2029-01-01T00:00:00Z"),
        ] {
            let label = Label::at(period, now);
            assert_eq!(label.ends().unwrap().to_string(), ends);
        }
        assert_eq!(Label::at(Period::Lifetime, now).ends(), None);
    }

    #[test]
    fn every_day_is_in_a_month_that_begins_and_ends_around_it() {
        // All days to 2170, with the century that is no leap year.
        for day in 0..73_050 {
            let now = Wall::from(UnixTime::new(day * DAY).unwrap());
            let text = now.second().to_string();
            for (period, same) in [(Period::Month, 7), (Period::Year, 4)] {
                let label = Label::at(period, now);
                let ends = label.ends().unwrap();
                let begins = label.begins().unwrap();
                assert!(begins <= now.second());
                assert_eq!(begins.to_string()[..same], text[..same]);
                assert!(ends > now.second());
                assert_eq!(ends.minus(1).to_string()[..same], text[..same]);
                let next = Label::at(period, Wall::from(ends));
                assert_eq!(next.before(), Some(label));
            }
        }
    }

    #[test]
    fn no_number_is_too_great() {
        for period in Period::ALL {
            let number = u64::MAX;
            let ends = Label { period, number }.ends();
            assert!(ends.is_none_or(|ends| ends <= UnixTime::MAX));
            assert!(Label::at(period, Wall::from_millis(u64::MAX)).number < 1 << 40);
        }
    }
}
