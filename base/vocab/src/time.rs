//! Points in time and spans of time, without a clock.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Nanoseconds since 1970-01-01T00:00:00Z; covers the years 1678 to 2262.
///
/// Shown and serialised as RFC 3339 in UTC with as many fractional digits as needed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Timestamp(i64);

const NANOS: i64 = 1_000_000_000;

impl Timestamp {
    /// The largest representable time, used as "never expires".
    pub const MAX: Self = Self(i64::MAX);
    /// The Unix epoch.
    pub const EPOCH: Self = Self(0);

    /// From nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn from_unix_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From whole seconds since the Unix epoch, saturating.
    #[must_use]
    pub const fn from_unix_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(NANOS))
    }

    /// Nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn unix_nanos(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded towards the past.
    #[must_use]
    pub const fn unix_seconds(self) -> i64 {
        self.0.div_euclid(NANOS)
    }

    /// This time plus `span`, saturating at [`Timestamp::MAX`].
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(nanos_of(span)))
    }

    /// This time minus `span`, saturating.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(nanos_of(span)))
    }

    /// The time from `earlier` to this one; zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The same time without its fraction of a second, for people to read.
    #[must_use]
    pub const fn to_the_second(self) -> Self {
        Self::from_unix_seconds(self.unix_seconds())
    }

    /// Year, month (1-12), day (1-31), hour, minute, second in UTC.
    #[must_use]
    pub fn civil(self) -> Civil {
        let seconds = self.unix_seconds();
        let days = seconds.div_euclid(86_400);
        let rest = seconds.rem_euclid(86_400);
        let (year, month, day) = civil_from_days(days);
        let part = |value: i64| u8::try_from(value).unwrap_or(0);
        Civil {
            year,
            month,
            day,
            hour: part(rest / 3_600),
            minute: part(rest / 60 % 60),
            second: part(rest % 60),
            nanos: u32::try_from(self.0.rem_euclid(NANOS)).unwrap_or(0),
        }
    }

    /// The time of a UTC calendar date; `None` for a date that does not exist.
    #[must_use]
    pub fn from_civil(civil: Civil) -> Option<Self> {
        let leap = civil.year % 4 == 0 && (civil.year % 100 != 0 || civil.year % 400 == 0);
        let last = match civil.month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 if leap => 29,
            2 => 28,
            _ => return None,
        };
        let valid = (1..=last).contains(&civil.day)
            && civil.hour < 24
            && civil.minute < 60
            && civil.second < 61
            && civil.nanos < 1_000_000_000;
        if !valid {
            return None;
        }
        let days = days_from_civil(civil.year, civil.month, civil.day);
        let seconds = days * 86_400
            + i64::from(civil.hour) * 3_600
            + i64::from(civil.minute) * 60
            + i64::from(civil.second);
        seconds
            .checked_mul(NANOS)?
            .checked_add(i64::from(civil.nanos))
            .map(Self)
    }
}

/// A calendar date and time of day in UTC.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Civil {
    /// The year, proleptic Gregorian.
    pub year: i32,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 60 (a leap second counts as the next minute's first).
    pub second: u8,
    /// Nanoseconds within the second.
    pub nanos: u32,
}

// Days and dates: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
fn civil_from_days(days: i64) -> (i32, u8, u8) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + i64::from(month <= 2);
    (
        i32::try_from(year).unwrap_or(i32::MAX),
        u8::try_from(month).unwrap_or(1),
        u8::try_from(day).unwrap_or(1),
    )
}

fn days_from_civil(year: i32, month: u8, day: u8) -> i64 {
    let year = i64::from(year) - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let yoe = year.rem_euclid(400);
    let month = i64::from(month);
    let mp = if month > 2 { month - 3 } else { month + 9 };
    let doy = (153 * mp + 2) / 5 + i64::from(day) - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    era * 146_097 + doe - 719_468
}

fn nanos_of(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let c = self.civil();
        // By hand: this stands in log lines and in what buckets keep. Years beyond four
        // digits, which no clock has, take the long way.
        let Some(year) = u32::try_from(c.year).ok().filter(|year| *year < 10_000) else {
            return write!(
                f,
                "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z",
                c.year, c.month, c.day, c.hour, c.minute, c.second, c.nanos
            );
        };
        let mut text = *b"0000-00-00T00:00:00.000000000Z";
        digits(&mut text, 0..4, year);
        for (at, part) in [
            (5, c.month),
            (8, c.day),
            (11, c.hour),
            (14, c.minute),
            (17, c.second),
        ] {
            digits(&mut text, at..at + 2, u32::from(part));
        }
        digits(&mut text, 20..29, c.nanos);
        let mut end = if c.nanos == 0 { 19 } else { 29 };
        while c.nanos != 0 && text.get(end - 1) == Some(&b'0') {
            end -= 1;
        }
        if let Some(last) = text.get_mut(end) {
            *last = b'Z';
        }
        let text = text.get(..=end).unwrap_or_default();
        f.write_str(core::str::from_utf8(text).unwrap_or_default())
    }
}

/// Writes a number in decimal, with leading zeros, into a part of a text.
fn digits(text: &mut [u8], part: core::ops::Range<usize>, mut number: u32) {
    for digit in text.get_mut(part).unwrap_or_default().iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
}

/// A text that is not an RFC 3339 date-time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotRfc3339;

impl fmt::Display for NotRfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an RFC 3339 date-time such as 2026-11-22T15:04:05Z")
    }
}

impl core::error::Error for NotRfc3339 {}

impl FromStr for Timestamp {
    type Err = NotRfc3339;

    /// Reads `YYYY-MM-DDTHH:MM:SS[.fraction](Z|±HH:MM)` (RFC 3339 §5.6).
    fn from_str(text: &str) -> Result<Self, NotRfc3339> {
        rfc3339(text.as_bytes()).ok_or(NotRfc3339)
    }
}

fn rfc3339(text: &[u8]) -> Option<Timestamp> {
    let number = |from: usize, to: usize| -> Option<u32> {
        text.get(from..to)?.iter().try_fold(0_u32, |sum, byte| {
            byte.is_ascii_digit()
                .then(|| sum * 10 + u32::from(byte - b'0'))
        })
    };
    let is = |at: usize, want: &[u8]| text.get(at).is_some_and(|byte| want.contains(byte));
    let shape = is(4, b"-") && is(7, b"-") && is(10, b"Tt ") && is(13, b":") && is(16, b":");
    if !shape {
        return None;
    }
    let part = |from, to| number(from, to).and_then(|value| u8::try_from(value).ok());
    let mut civil = Civil {
        year: i32::try_from(number(0, 4)?).ok()?,
        month: part(5, 7)?,
        day: part(8, 10)?,
        hour: part(11, 13)?,
        minute: part(14, 16)?,
        second: part(17, 19)?,
        nanos: 0,
    };
    let mut at = 19;
    if is(at, b".") {
        at += 1;
        let digits = text
            .get(at..)?
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if digits == 0 {
            return None;
        }
        civil.nanos = (0..9).fold(0, |sum, place| {
            let digit = if place < digits {
                text.get(at + place).map_or(0, |b| b - b'0')
            } else {
                0
            };
            sum * 10 + u32::from(digit)
        });
        at += digits;
    }
    let local = Timestamp::from_civil(civil)?;
    let offset = match text.get(at)? {
        b'Z' | b'z' if text.len() == at + 1 => 0,
        sign @ (b'+' | b'-') if text.len() == at + 6 && is(at + 3, b":") => {
            let (hours, minutes) = (number(at + 1, at + 3)?, number(at + 4, at + 6)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let seconds = i64::from(hours) * 3_600 + i64::from(minutes) * 60;
            if *sign == b'+' { seconds } else { -seconds }
        }
        _ => return None,
    };
    local.0.checked_sub(offset * NANOS).map(Timestamp)
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Reads a span as operators and hub files write it: a sum of numbers with the
/// units `ns`, `us`, `µs`, `ms`, `s`, `m`, `h`, `d`, `w`, each number possibly
/// with a fraction (`1h30m`, `0.5s`, `7d`). `0` needs no unit. Negative spans,
/// empty texts and sums over 290 years are refused.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut total: u128 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest
            .bytes()
            .take_while(|b| b.is_ascii_digit() || *b == b'.')
            .count();
        let (number, tail) = rest.split_at_checked(digits)?;
        let letters = tail
            .bytes()
            .take_while(|b| !b.is_ascii_digit() && *b != b'.')
            .count();
        let (unit, tail) = tail.split_at_checked(letters)?;
        let scale: u128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            "d" => 86_400_000_000_000,
            "w" => 604_800_000_000_000,
            _ => return None,
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() || fraction.len() > 15 || whole.len() > 18 {
            return None;
        }
        let whole: u128 = if whole.is_empty() {
            0
        } else {
            whole.parse().ok()?
        };
        total = total.checked_add(whole.checked_mul(scale)?)?;
        if !fraction.is_empty() {
            let value: u128 = fraction.parse().ok()?;
            let places = u32::try_from(fraction.len()).ok()?;
            total = total.checked_add(value * scale / 10_u128.pow(places))?;
        }
        rest = tail;
    }
    (total <= i64::MAX.unsigned_abs().into())
        .then(|| Duration::from_nanos(u64::try_from(total).unwrap_or(u64::MAX)))
}

/// A span as operators read it, two units at most: `3h59m`, `12s`, `0.8ms`.
#[derive(Clone, Copy, Debug)]
pub struct Span(pub Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
        match seconds {
            0 if self.0.is_zero() => f.write_str("0s"),
            0 if self.0.as_millis() == 0 => write!(f, "{}µs", self.0.as_micros()),
            0 => write!(f, "{:.1}ms", self.0.as_secs_f64() * 1_000.0),
            1..60 => write!(f, "{seconds}s"),
            60..3_600 if seconds.is_multiple_of(60) => write!(f, "{minutes}m"),
            60..3_600 => write!(f, "{minutes}m{}s", seconds % 60),
            3_600..86_400 if minutes == 0 => write!(f, "{hours}h"),
            3_600..86_400 => write!(f, "{hours}h{minutes}m"),
            _ if hours == 0 => write!(f, "{days}d"),
            _ => write!(f, "{days}d{hours}h"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339_round_trips_and_refuses_what_is_not_a_date() {
        for (text, shown) in [
            ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
            ("2026-11-22T15:04:05Z", "2026-11-22T15:04:05Z"),
            ("2026-11-22T15:04:05.25Z", "2026-11-22T15:04:05.25Z"),
            ("2024-02-29T23:59:59+02:00", "2024-02-29T21:59:59Z"),
            ("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.5Z"),
        ] {
            let time: Timestamp = text.parse().unwrap();
            assert_eq!(time.to_string(), shown);
            assert_eq!(shown.parse::<Timestamp>().unwrap(), time);
        }
        for text in [
            "",
            "2026",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-11-22T24:00:00Z",
            "2026-11-22T15:04:05",
            "2026-11-22T15:04:05.Z",
            "2026-11-22T15:04:05+2:00",
            "2026-11-22T15:04:05Zx",
            "99999-01-01T00:00:00Z",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(NotRfc3339), "{text}");
        }
    }

    #[test]
    fn durations_are_read_as_operators_write_them() {
        for (text, nanos) in [
            ("0", 0),
            ("10s", 10_000_000_000),
            ("0.5s", 500_000_000),
            ("1h30m", 5_400_000_000_000),
            ("7d", 604_800_000_000_000),
            ("1w", 604_800_000_000_000),
            ("250ms", 250_000_000),
            (".5s", 500_000_000),
        ] {
            assert_eq!(
                parse_duration(text),
                Some(Duration::from_nanos(nanos)),
                "{text}"
            );
        }
        for text in [
            "",
            "s",
            "10",
            "-5s",
            "5 s",
            "1y",
            "1.2.3s",
            "99999999999999999999s",
            "400000w",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn spans_read_well() {
        for (nanos, text) in [
            (0, "0s"),
            (800, "0µs"),
            (812_000, "812µs"),
            (1_500_000, "1.5ms"),
            (12_000_000_000, "12s"),
            (90_000_000_000, "1m30s"),
            (14_400_000_000_000, "4h"),
            (100_000_000_000_000, "1d3h"),
        ] {
            assert_eq!(Span(Duration::from_nanos(nanos)).to_string(), text);
        }
    }
}
