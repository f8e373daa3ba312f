//! Times and spans as people write them: `2031-01-04`, `2031-01-04T12:00:00Z`, `+1y`, `14d`.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use jiff::civil::Date;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo, Timestamp, Unit};
use phi_verify::UnixTime;

/// A time as it was written, before it is known what time it is now.
#[derive(Clone, Copy, Debug)]
pub enum When {
    /// `now`.
    Now,
    /// `never`: the end of a thing that has none.
    Never,
    /// An instant, by RFC 3339.
    At(UnixTime),
    /// A day, in UTC.
    Day(Date),
    /// `+` and a span: so long from now, by the calendar in UTC.
    Ahead(Span),
}

/// What is wrong with a written time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenError {
    /// None of the forms.
    NotATime,
    /// Not a span of calendar or clock units.
    NotASpan,
    /// Not a fixed length of time.
    NotADuration,
    /// Before 1970 or after 9999.
    OutOfRange,
    /// `never`, where a time is needed.
    Never,
}

impl fmt::Display for WhenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotATime => {
                "write a date (2031-01-04), a time (2031-01-04T12:00:00Z) or a span ahead (+1y, +30d)"
            }
            Self::NotASpan => "write the span ahead in units, such as +1y, +6mo, +2w, +30d or +12h",
            Self::NotADuration => "write a length in weeks, days or hours, such as 2w, 14d or 36h",
            Self::OutOfRange => "times lie between 1970 and 9999",
            Self::Never => "a time is needed here, not never",
        })
    }
}

impl std::error::Error for WhenError {}

impl FromStr for When {
    type Err = WhenError;

    fn from_str(text: &str) -> Result<Self, WhenError> {
        match text {
            "now" => return Ok(Self::Now),
            "never" => return Ok(Self::Never),
            _ => {}
        }
        if let Some(span) = text.strip_prefix('+') {
            let span = parse_span(span).ok_or(WhenError::NotASpan)?;
            // `m` is minutes, and whoever writes +6m of a license means months.
            if span.get_minutes() != 0 || span.get_seconds() != 0 {
                return Err(WhenError::NotASpan);
            }
            return Ok(Self::Ahead(span));
        }
        if let Some(date) = parse_day(text) {
            return Ok(Self::Day(date));
        }
        let timestamp: Timestamp = text.parse().map_err(|_| WhenError::NotATime)?;
        unix(timestamp).map(Self::At)
    }
}

impl When {
    /// A day or an instant in another writing, by a format of strftime (`%d.%m.%Y`). A time
    /// without a zone is in UTC.
    ///
    /// # Errors
    /// [`WhenError::NotATime`], [`WhenError::OutOfRange`].
    pub fn by_format(text: &str, format: &str) -> Result<Self, WhenError> {
        let parsed = strtime::parse(format, text).map_err(|_| WhenError::NotATime)?;
        if let Ok(timestamp) = parsed.to_timestamp() {
            return unix(timestamp).map(Self::At);
        }
        let date = parsed.to_date().map_err(|_| WhenError::NotATime)?;
        if parsed.hour().is_none() {
            return Ok(Self::Day(date));
        }
        let time = parsed.to_time().map_err(|_| WhenError::NotATime)?;
        let zoned = date.to_datetime(time).to_zoned_datetime(TimeZone::UTC);
        unix(zoned.map_err(|_| WhenError::OutOfRange)?.timestamp()).map(Self::At)
    }

    /// Whether a format can be the writing of a day or an instant: one that it wrote reads back.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check_format(format: &str) -> Result<(), String> {
        let sample = Timestamp::UNIX_EPOCH.to_zoned_datetime(TimeZone::UTC);
        let written = strtime::format(format, &sample).map_err(|error| error.to_string())?;
        match Self::by_format(&written, format) {
            Ok(_) => Ok(()),
            Err(_) => Err("it does not say day, month and year".into()),
        }
    }

    /// The time, where a day stands for its beginning.
    ///
    /// # Errors
    /// [`WhenError::OutOfRange`], [`WhenError::Never`].
    pub fn beginning(self, now: UnixTime) -> Result<UnixTime, WhenError> {
        match self {
            Self::Now => Ok(now),
            Self::Never => Err(WhenError::Never),
            Self::At(time) => Ok(time),
            Self::Day(date) => midnight(date),
            Self::Ahead(span) => ahead(now, span),
        }
    }

    /// The end of a thing: a day stands for its last moment, so that the day still counts. `None`
    /// is never.
    ///
    /// # Errors
    /// [`WhenError::OutOfRange`].
    pub fn end(self, now: UnixTime) -> Result<Option<UnixTime>, WhenError> {
        match self {
            Self::Never => Ok(None),
            // Ends are exclusive: the next day's midnight is the first moment that is outside.
            Self::Day(date) => {
                let next = date.tomorrow().map_err(|_| WhenError::OutOfRange)?;
                midnight(next).map(Some)
            }
            other => other.beginning(now).map(Some),
        }
    }
}

/// An instant for `--now`: a time or a day, never a span.
///
/// # Errors
/// [`WhenError::NotATime`], [`WhenError::OutOfRange`].
pub fn instant(text: &str) -> Result<UnixTime, WhenError> {
    match text.parse()? {
        When::At(time) => Ok(time),
        When::Day(date) => midnight(date),
        When::Now | When::Never | When::Ahead(_) => Err(WhenError::NotATime),
    }
}

/// A length of time in seconds, such as `14d`; days have 24 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Length(pub u64);

impl FromStr for Length {
    type Err = WhenError;

    fn from_str(text: &str) -> Result<Self, WhenError> {
        let span = parse_span(text).ok_or(WhenError::NotADuration)?;
        let days = SpanRelativeTo::days_are_24_hours();
        // Months and years have no fixed length, and jiff refuses them here.
        let seconds = span
            .total((Unit::Second, days))
            .map_err(|_| WhenError::NotADuration)?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a parsed span is whole seconds, not negative and below 10^15"
        )]
        Ok(Self(seconds as u64))
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        if rest == 0 {
            return f.pad("0s");
        }
        let mut text = String::new();
        for (unit, seconds) in [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)] {
            if rest >= seconds {
                write!(text, "{}{unit}", rest / seconds)?;
                rest %= seconds;
            }
        }
        f.pad(&text)
    }
}

/// How far a time lies from now, in the unit that says most: `in 30 days`, `2 hours ago`.
pub fn distance(now: UnixTime, time: UnixTime) -> String {
    let seconds = now.seconds().abs_diff(time.seconds());
    let (count, unit) = match seconds {
        0 => return "now".into(),
        1..120 => (seconds, "second"),
        120..7_200 => (seconds / 60, "minute"),
        7_200..172_800 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    if time > now {
        format!("in {count} {unit}{plural}")
    } else {
        format!("{count} {unit}{plural} ago")
    }
}

/// A span in units: jiff's friendly form without words, so that there is one way to write it.
fn parse_span(text: &str) -> Option<Span> {
    let plain = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_lowercase();
    if !text.starts_with(|first: char| first.is_ascii_digit()) || !text.bytes().all(plain) {
        return None;
    }
    let span: Span = text.parse().ok()?;
    let below_seconds = [
        span.get_milliseconds(),
        span.get_microseconds(),
        span.get_nanoseconds(),
    ];
    below_seconds.iter().all(|part| *part == 0).then_some(span)
}

/// `YYYY-MM-DD` and nothing else, though jiff reads more.
fn parse_day(text: &str) -> Option<Date> {
    let shaped = text.len() == 10
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    shaped.then(|| text.parse().ok())?
}

fn midnight(date: Date) -> Result<UnixTime, WhenError> {
    let zoned = date
        .to_zoned_datetime(TimeZone::UTC)
        .map_err(|_| WhenError::OutOfRange)?;
    unix(zoned.timestamp())
}

fn ahead(now: UnixTime, span: Span) -> Result<UnixTime, WhenError> {
    let seconds = i64::try_from(now.seconds()).map_err(|_| WhenError::OutOfRange)?;
    let now = Timestamp::from_second(seconds).map_err(|_| WhenError::OutOfRange)?;
    let then = now.to_zoned_datetime(TimeZone::UTC).checked_add(span);
    unix(then.map_err(|_| WhenError::OutOfRange)?.timestamp())
}

fn unix(timestamp: Timestamp) -> Result<UnixTime, WhenError> {
    let seconds = u64::try_from(timestamp.as_second()).map_err(|_| WhenError::OutOfRange)?;
    UnixTime::new(seconds).ok_or(WhenError::OutOfRange)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2028-02-29T10:00:00Z, a leap day.
    fn now() -> UnixTime {
        instant("2028-02-29T10:00:00Z").unwrap()
    }

    #[track_caller]
    fn check(text: &str, beginning: &str, end: &str) {
        let when: When = text.parse().unwrap();
        assert_eq!(when.beginning(now()).unwrap().to_string(), beginning);
        let ends = when.end(now()).unwrap().unwrap();
        assert_eq!(ends.to_string(), end);
    }

    #[track_caller]
    fn refused(text: &str, error: WhenError) {
        assert_eq!(text.parse::<When>().unwrap_err(), error, "{text}");
    }

    #[test]
    fn a_day_begins_and_ends_at_midnight_utc() {
        check("2028-02-28", "2028-02-28T00:00:00Z", "2028-02-29T00:00:00Z");
        check("2028-12-31", "2028-12-31T00:00:00Z", "2029-01-01T00:00:00Z");
    }

    #[test]
    fn an_instant_is_itself_in_any_zone() {
        for text in ["2028-02-28T12:00:00Z", "2028-02-28T14:00:00+02:00"] {
            check(text, "2028-02-28T12:00:00Z", "2028-02-28T12:00:00Z");
        }
        check("now", "2028-02-29T10:00:00Z", "2028-02-29T10:00:00Z");
    }

    #[test]
    fn spans_follow_the_calendar() {
        for (text, then) in [
            ("+1y", "2029-02-28T10:00:00Z"),
            ("+1mo", "2028-03-29T10:00:00Z"),
            ("+30d", "2028-03-30T10:00:00Z"),
            ("+2w", "2028-03-14T10:00:00Z"),
            ("+36h", "2028-03-01T22:00:00Z"),
            ("+1y6mo", "2029-08-29T10:00:00Z"),
        ] {
            check(text, then, then);
        }
    }

    #[test]
    fn never_is_an_end_and_no_beginning() {
        let never: When = "never".parse().unwrap();
        assert_eq!(never.end(now()).unwrap(), None);
        assert_eq!(never.beginning(now()), Err(WhenError::Never));
    }

    #[test]
    fn other_writings_are_refused() {
        for text in [
            "",
            " ",
            "tomorrow",
            "1y",
            "2028",
            "2028-2-3",
            "2028-02-30",
            "-1d",
        ] {
            refused(text, WhenError::NotATime);
        }
        for text in [
            "+", "+1", "+1 year", "+-1d", "+y", "++1d", "+500ms", "+6m", "+90s",
        ] {
            refused(text, WhenError::NotASpan);
        }
        refused("1969-12-31T23:59:59Z", WhenError::OutOfRange);
        let far: When = "+9000y".parse().unwrap();
        assert_eq!(far.end(now()), Err(WhenError::OutOfRange));
        assert_eq!(instant("+1d"), Err(WhenError::NotATime));
        assert_eq!(instant("2028-02-29").unwrap(), now().minus(36_000));
    }

    #[test]
    fn other_writings_are_read_by_their_format() {
        for (text, format, expected) in [
            ("28.02.2028", "%d.%m.%Y", "2028-02-29T00:00:00Z"),
            ("02/28/2028 14:30", "%m/%d/%Y %H:%M", "2028-02-28T14:30:00Z"),
            ("28 Feb 2028", "%d %b %Y", "2028-02-29T00:00:00Z"),
            (
                "2028-02-28 14:30 +0200",
                "%Y-%m-%d %H:%M %z",
                "2028-02-28T12:30:00Z",
            ),
            ("1835361000", "%s", "2028-02-28T14:30:00Z"),
        ] {
            When::check_format(format).unwrap();
            let end = When::by_format(text, format).unwrap().end(now()).unwrap();
            assert_eq!(end.unwrap().to_string(), expected, "{text}");
        }
        for (text, format) in [
            ("30.02.2028", "%d.%m.%Y"),
            ("28.02.28 ", "%d.%m.%Y"),
            ("", "%s"),
        ] {
            let error = When::by_format(text, format).unwrap_err();
            assert_eq!(error, WhenError::NotATime, "{text}");
        }
        for format in ["", "%d.%m", "%H:%M", "plain", "%!", "%"] {
            assert!(When::check_format(format).is_err(), "{format}");
        }
    }

    #[test]
    fn lengths_read_back_as_they_print() {
        for (text, seconds, printed) in [
            ("14d", 1_209_600, "14d"),
            ("2w", 1_209_600, "14d"),
            ("36h", 129_600, "1d12h"),
            ("90m", 5_400, "1h30m"),
            ("0s", 0, "0s"),
        ] {
            let length: Length = text.parse().unwrap();
            assert_eq!(
                (length.0, length.to_string()),
                (seconds, printed.to_owned())
            );
            assert_eq!(printed.parse::<Length>().unwrap(), length);
        }
        for text in ["", "14", "1y", "1mo", "-1d", "1d ago", "P1D", "1.5d"] {
            assert_eq!(
                text.parse::<Length>(),
                Err(WhenError::NotADuration),
                "{text}"
            );
        }
    }

    #[test]
    fn distances_use_the_unit_that_says_most() {
        for (seconds, text) in [
            (0, "now"),
            (1, "in 1 second"),
            (119, "in 119 seconds"),
            (7_199, "in 119 minutes"),
            (86_400, "in 24 hours"),
            (31_536_000, "in 365 days"),
        ] {
            assert_eq!(distance(now(), now().plus(seconds)), text);
        }
        assert_eq!(distance(now(), now().minus(7_200)), "2 hours ago");
    }
}
