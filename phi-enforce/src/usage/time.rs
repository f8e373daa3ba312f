//! Times as people and reports write them: RFC 3339 in UTC, or a day alone.

use std::{error::Error, fmt};

use phi_verify::UnixTime;
use serde::{Deserialize, Deserializer, Serializer, de};

use crate::period::midnight;

const DAY: u64 = 24 * 60 * 60;

/// What is no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotATime;

impl fmt::Display for NotATime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time is `2031-01-04T00:00:00Z`, or the day `2031-01-04`, in UTC")
    }
}

impl Error for NotATime {}

/// Reads a time as [`UnixTime`] prints it, or a day, which stands for its beginning.
///
/// # Errors
/// [`NotATime`].
///
/// ```
/// let day = phi_enforce::parse_time("2031-01-04").unwrap();
/// assert_eq!(day.to_string(), "2031-01-04T00:00:00Z");
/// assert!(phi_enforce::parse_time("2031-02-30").is_err());
/// ```
pub fn parse_time(text: &str) -> Result<UnixTime, NotATime> {
    let number = |from: usize, to: usize| -> Result<u64, NotATime> {
        let digits = text.get(from..to).ok_or(NotATime)?;
        digits.parse().map_err(|_| NotATime)
    };
    let day = midnight(number(0, 4)?, number(5, 7)?, number(8, 10)?).ok_or(NotATime)?;
    let time = match text.len() {
        10 => day,
        20 => day.plus((number(11, 13)? * 60 + number(14, 16)?) * 60 + number(17, 19)?),
        _ => return Err(NotATime),
    };
    // What is not written so, like the thirtieth of February, is another time.
    let written = time.to_string();
    if written.starts_with(text) && (text.len() == 20 || time.seconds() % DAY == 0) {
        Ok(time)
    } else {
        Err(NotATime)
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over a reference to the field"
)]
pub(super) fn serialize<S: Serializer>(time: &UnixTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<UnixTime, D::Error> {
    let text = String::deserialize(from)?;
    let time = parse_time(&text).map_err(de::Error::custom)?;
    if text.len() == 10 {
        return Err(de::Error::custom(NotATime));
    }
    Ok(time)
}

/// The same for a time that may be missing.
pub(super) mod optional {
    use super::{Deserializer, Serializer, UnixTime};

    #[expect(
        clippy::ref_option,
        reason = "serde hands over a reference to the field"
    )]
    pub(in crate::usage) fn serialize<S: Serializer>(
        time: &Option<UnixTime>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => super::serialize(time, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(in crate::usage) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<UnixTime>, D::Error> {
        super::deserialize(from).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_as_it_is_written() {
        for seconds in [0, 951_782_399, 951_782_400, 4_107_542_400, 253_402_300_799] {
            let time = UnixTime::new(seconds).unwrap();
            assert_eq!(parse_time(&time.to_string()), Ok(time));
            let midnight = time.minus(seconds % DAY);
            assert_eq!(parse_time(&time.to_string()[..10]), Ok(midnight));
        }
        for text in [
            "",
            "2031",
            "2031-1-4",
            "2031-13-01",
            "2031-00-01",
            "2031-02-30",
            "2031-01-00",
            "1969-12-31",
            "2031-01-04T24:00:00Z",
            "2031-01-04T00:60:00Z",
            "2031-01-04T00:00:00",
            "2031-01-04 00:00:00Z",
            "2031-01-04T00:00:00z",
            "+031-01-04",
            "2031-01-0é",
            "ÄÄÄÄÄÄÄÄÄÄ",
        ] {
            assert_eq!(parse_time(text), Err(NotATime), "{text}");
        }
    }
}
