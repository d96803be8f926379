//! Dates in log lines, read as Go's `time.Parse` reads them.
//!
//! For: rule files give layouts in Go's notation (the reference date
//! `Mon Jan 2 15:04:05 MST 2006` written as the log writes dates), and lines whose
//! rules give none are tried against a list of common ones. Refuses: time zone
//! databases; a zone's abbreviation is taken as UTC, as Go does where it does not
//! know the zone. Assumes: *now* is passed in; it fills in a missing year. On
//! failure: `None`; nothing is guessed within one layout.

use core::fmt;

use vocab::Timestamp;
use vocab::time::Civil;

/// A date with the offset it was written in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Date {
    /// The instant.
    pub time: Timestamp,
    /// The offset from UTC in minutes, east positive.
    pub offset: i32,
}

impl fmt::Display for Date {
    /// RFC 3339 with as many fractional digits as needed, in its own offset.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.offset == 0 {
            return self.time.fmt(f);
        }
        let minutes = i64::from(self.offset) * 60_000_000_000;
        let local = Timestamp::from_unix_nanos(self.time.unix_nanos().saturating_add(minutes));
        let text = local.to_string();
        let sign = if self.offset < 0 { '-' } else { '+' };
        let (hours, minutes) = (self.offset.abs() / 60, self.offset.abs() % 60);
        write!(
            f,
            "{}{sign}{hours:02}:{minutes:02}",
            text.trim_end_matches('Z')
        )
    }
}

/// The layouts that are tried where a rule names none, in this order.
const COMMON: [&str; 16] = [
    "2006-01-02T15:04:05Z07:00",
    "02/Jan/2006:15:04:05 -0700",
    "Mon Jan 2 15:04:05 2006",
    "02-Jan-2006 15:04:05 europe/paris",
    "01/02/2006 15:04:05",
    "2006-01-02 15:04:05.999999999 -0700 MST",
    "Jan  2 15:04:05",
    "Mon Jan 02 15:04:05.000000 2006",
    "2006-01-02T15:04:05Z07:00",
    "2006/01/02",
    "2006/01/02 15:04",
    "2006-01-02",
    "2006-01-02 15:04",
    "2006/01/02 15:04:05",
    "2006-01-02 15:04:05",
    "2006-01-02T15:04:05",
];

/// Layouts split into their parts, once.
#[derive(Clone, Debug)]
pub struct Dates {
    common: Vec<Layout>,
}

impl Default for Dates {
    fn default() -> Self {
        Self {
            common: COMMON
                .iter()
                .map(|text| Layout::new(text.as_bytes()))
                .collect(),
        }
    }
}

impl Dates {
    /// The longest date text that is looked at.
    pub(crate) const LONGEST: usize = 128;

    /// Reads `text`: by `layout` if that is not empty and fits, by a common layout,
    /// as Unix seconds; `None` when nothing fits.
    #[must_use]
    pub fn parse(&self, text: &[u8], layout: &[u8], now: Timestamp) -> Option<Date> {
        if text.len() > Self::LONGEST || layout.len() > Self::LONGEST {
            return None;
        }
        let special = (!layout.is_empty()).then(|| Layout::new(layout));
        special
            .iter()
            .chain(&self.common)
            .find_map(|layout| layout.parse(text, now))
            .or_else(|| unix_seconds(text))
    }
}

fn unix_seconds(text: &[u8]) -> Option<Date> {
    // What stands behind a point is cut, not rounded.
    let whole = text.split(|byte| *byte == b'.').next()?;
    let seconds: i64 = core::str::from_utf8(whole).ok()?.parse().ok()?;
    (seconds > 0).then(|| Date {
        time: Timestamp::from_unix_seconds(seconds),
        offset: 0,
    })
}

/// One part of a layout.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Part {
    Literal(Vec<u8>),
    MonthName,
    MonthLong,
    Month {
        fixed: bool,
    },
    WeekdayName,
    WeekdayLong,
    Day {
        fixed: bool,
        space: bool,
    },
    YearDay {
        space: bool,
    },
    Hour24,
    Hour12 {
        fixed: bool,
    },
    Minute {
        fixed: bool,
    },
    Second {
        fixed: bool,
    },
    Year4,
    Year2,
    Pm {
        upper: bool,
    },
    Zone,
    Offset(OffsetForm),
    /// `.000`: this many digits; `.999`: as many as there are.
    Fraction {
        digits: usize,
        open: bool,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct OffsetForm {
    z: bool,
    colon: bool,
    minutes: bool,
    seconds: bool,
}

/// What a layout spells, longest spelling first where one starts another.
fn spelled(rest: &[u8]) -> Option<(usize, Part)> {
    let offset = |z, colon, minutes, seconds| {
        Part::Offset(OffsetForm {
            z,
            colon,
            minutes,
            seconds,
        })
    };
    let table: [(&[u8], Part); 34] = [
        (b"January", Part::MonthLong),
        (b"Jan", Part::MonthName),
        (b"Monday", Part::WeekdayLong),
        (b"Mon", Part::WeekdayName),
        (b"MST", Part::Zone),
        (b"002", Part::YearDay { space: false }),
        (b"01", Part::Month { fixed: true }),
        (
            b"02",
            Part::Day {
                fixed: true,
                space: false,
            },
        ),
        (b"03", Part::Hour12 { fixed: true }),
        (b"04", Part::Minute { fixed: true }),
        (b"05", Part::Second { fixed: true }),
        (b"06", Part::Year2),
        (b"15", Part::Hour24),
        (b"1", Part::Month { fixed: false }),
        (b"2006", Part::Year4),
        (
            b"2",
            Part::Day {
                fixed: false,
                space: false,
            },
        ),
        (b"__2", Part::YearDay { space: true }),
        (b"_2006", Part::Literal(b"_".to_vec())),
        (
            b"_2",
            Part::Day {
                fixed: false,
                space: true,
            },
        ),
        (b"3", Part::Hour12 { fixed: false }),
        (b"4", Part::Minute { fixed: false }),
        (b"5", Part::Second { fixed: false }),
        (b"PM", Part::Pm { upper: true }),
        (b"pm", Part::Pm { upper: false }),
        (b"-070000", offset(false, false, true, true)),
        (b"-07:00:00", offset(false, true, true, true)),
        (b"-0700", offset(false, false, true, false)),
        (b"-07:00", offset(false, true, true, false)),
        (b"-07", offset(false, false, false, false)),
        (b"Z070000", offset(true, false, true, true)),
        (b"Z07:00:00", offset(true, true, true, true)),
        (b"Z0700", offset(true, false, true, false)),
        (b"Z07:00", offset(true, true, true, false)),
        (b"Z07", offset(true, false, false, false)),
    ];
    let found = table.into_iter().find(|(text, _)| rest.starts_with(text))?;
    match found {
        (b"_2006", part) => Some((1, part)),
        // "Jan" inside a word such as "Janet" is no month.
        (b"Jan", _) if rest.get(3).is_some_and(u8::is_ascii_lowercase) => None,
        (b"Mon", _) if rest.get(3).is_some_and(u8::is_ascii_lowercase) => None,
        (text, part) => Some((text.len(), part)),
    }
}

/// `.000`, `,999` and the like, not followed by another digit.
fn fraction(rest: &[u8]) -> Option<(usize, Part)> {
    let (b'.' | b',', digits) = rest.split_first()? else {
        return None;
    };
    let first = *digits.first().filter(|byte| matches!(byte, b'0' | b'9'))?;
    let count = digits.iter().take_while(|byte| **byte == first).count();
    if digits.get(count).is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let part = Part::Fraction {
        digits: count,
        open: first == b'9',
    };
    Some((count + 1, part))
}

/// A layout split into its parts.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Layout {
    parts: Vec<Part>,
}

impl Layout {
    fn new(text: &[u8]) -> Self {
        let mut parts = Vec::new();
        let mut literal = Vec::new();
        let mut rest = text;
        while let Some((first, tail)) = rest.split_first() {
            match spelled(rest).or_else(|| fraction(rest)) {
                Some((length, part)) => {
                    if !literal.is_empty() {
                        parts.push(Part::Literal(core::mem::take(&mut literal)));
                    }
                    parts.push(part);
                    rest = rest.get(length..).unwrap_or(b"");
                }
                None => {
                    literal.push(*first);
                    rest = tail;
                }
            }
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Self { parts }
    }

    fn parse(&self, text: &[u8], now: Timestamp) -> Option<Date> {
        let mut fields = Fields::default();
        let mut reader = Reader { rest: text };
        for (at, part) in self.parts.iter().enumerate() {
            reader.part(part, &mut fields)?;
            let next_is_fraction = matches!(self.parts.get(at + 1), Some(Part::Fraction { .. }));
            if matches!(part, Part::Second { .. }) && !next_is_fraction {
                // Go takes a fraction after the seconds even where the layout has none.
                reader.open_fraction(&mut fields);
            }
        }
        if !reader.rest.is_empty() {
            return None;
        }
        fields.date(now)
    }
}

/// What a text said so far.
#[derive(Default)]
struct Fields {
    year: i32,
    month: Option<u8>,
    day: Option<u8>,
    year_day: Option<u16>,
    hour: u8,
    minute: u8,
    second: u8,
    nanos: u32,
    pm: Option<bool>,
    offset: i32,
}

impl Fields {
    fn date(self, now: Timestamp) -> Option<Date> {
        let hour = match self.pm {
            Some(true) if self.hour < 12 => self.hour + 12,
            Some(false) if self.hour == 12 => 0,
            _ => self.hour,
        };
        let year = if self.year == 0 {
            now.civil().year
        } else {
            self.year
        };
        let (month, day) = match self.year_day {
            Some(number) if self.month.is_none() => month_and_day(year, number)?,
            _ => (self.month.unwrap_or(1), self.day.unwrap_or(1)),
        };
        let mut civil = Civil {
            year,
            month,
            day,
            hour,
            minute: self.minute,
            second: self.second,
            nanos: self.nanos,
        };
        if self.second > 59 {
            return None;
        }
        if self.year == 0 && (month, day) == (2, 29) && Timestamp::from_civil(civil).is_none() {
            // The year 0 has a 29 February; moved to a year without, it is 1 March.
            civil = Civil {
                month: 3,
                day: 1,
                ..civil
            };
        }
        let local = Timestamp::from_civil(civil)?;
        let offset = i64::from(self.offset) * 60_000_000_000;
        Some(Date {
            time: Timestamp::from_unix_nanos(local.unix_nanos().checked_sub(offset)?),
            offset: self.offset,
        })
    }
}

fn month_and_day(year: i32, number: u16) -> Option<(u8, u8)> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [
        31,
        if leap { 29 } else { 28 },
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    let mut rest = number.checked_sub(1)?;
    for (month, length) in (1_u8..).zip(lengths) {
        if rest < length {
            return Some((month, u8::try_from(rest + 1).ok()?));
        }
        rest -= length;
    }
    None
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

struct Reader<'t> {
    rest: &'t [u8],
}

impl Reader<'_> {
    fn part(&mut self, part: &Part, fields: &mut Fields) -> Option<()> {
        match part {
            Part::Literal(text) => self.literal(text)?,
            Part::MonthLong => fields.month = Some(self.name(&MONTHS, false)? + 1),
            Part::MonthName => fields.month = Some(self.name(&MONTHS, true)? + 1),
            Part::WeekdayLong => drop(self.name(&WEEKDAYS, false)?),
            Part::WeekdayName => drop(self.name(&WEEKDAYS, true)?),
            Part::Month { fixed } => fields.month = Some(self.within(*fixed, 1, 12)?),
            Part::Day { fixed, space } => {
                if *space {
                    self.one_space();
                }
                fields.day = Some(self.within(*fixed, 1, 31)?);
            }
            Part::YearDay { space } => {
                for _ in 0..if *space { 2 } else { 0 } {
                    self.one_space();
                }
                fields.year_day = u16::try_from(self.up_to(3)?).ok();
            }
            Part::Hour24 => fields.hour = self.within(false, 0, 23)?,
            Part::Hour12 { fixed } => fields.hour = self.within(*fixed, 0, 12)?,
            Part::Minute { fixed } => fields.minute = self.within(*fixed, 0, 59)?,
            Part::Second { fixed } => fields.second = self.within(*fixed, 0, 59)?,
            Part::Year4 => fields.year = i32::try_from(self.exactly(4)?).ok()?,
            Part::Year2 => {
                let year = i32::try_from(self.exactly(2)?).ok()?;
                fields.year = year + if year >= 69 { 1900 } else { 2000 };
            }
            Part::Pm { upper } => {
                let (am, pm): (&[u8], &[u8]) = if *upper {
                    (b"AM", b"PM")
                } else {
                    (b"am", b"pm")
                };
                let text = self.take(2)?;
                if text != am && text != pm {
                    return None;
                }
                fields.pm = Some(text == pm);
            }
            Part::Zone => self.zone()?,
            Part::Offset(form) => fields.offset = self.offset(*form)?,
            Part::Fraction {
                digits,
                open: false,
            } => {
                let text = self.take(digits + 1)?;
                fields.nanos = nanos(text)?;
            }
            Part::Fraction { open: true, .. } => self.open_fraction(fields),
        }
        Some(())
    }

    fn take(&mut self, count: usize) -> Option<&[u8]> {
        let (head, tail) = self.rest.split_at_checked(count)?;
        self.rest = tail;
        Some(head)
    }

    /// A run of spaces in the layout takes a run of any length.
    fn literal(&mut self, mut text: &[u8]) -> Option<()> {
        while let Some((first, tail)) = text.split_first() {
            if *first == b' ' {
                if self.rest.first().is_some_and(|byte| *byte != b' ') {
                    return None;
                }
                text = text.trim_ascii_start();
                while let [b' ', tail @ ..] = self.rest {
                    self.rest = tail;
                }
                continue;
            }
            if self.take(1)? != [*first] {
                return None;
            }
            text = tail;
        }
        Some(())
    }

    fn one_space(&mut self) {
        if let [b' ', tail @ ..] = self.rest {
            self.rest = tail;
        }
    }

    fn name(&mut self, names: &[&str], short: bool) -> Option<u8> {
        let place = names.iter().position(|name| {
            let name = name.as_bytes();
            let name = if short {
                name.get(..3).unwrap_or(name)
            } else {
                name
            };
            let head = self.rest.get(..name.len());
            head.is_some_and(|head| head.eq_ignore_ascii_case(name))
        })?;
        let length = if short { 3 } else { names.get(place)?.len() };
        self.take(length)?;
        u8::try_from(place).ok()
    }

    /// One or two digits, or exactly two where `fixed`.
    fn within(&mut self, fixed: bool, low: u8, high: u8) -> Option<u8> {
        let digits = self
            .rest
            .iter()
            .take(2)
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if digits == 0 || fixed && digits == 1 {
            return None;
        }
        let value = u8::try_from(self.exactly(digits)?).ok()?;
        (low..=high).contains(&value).then_some(value)
    }

    fn up_to(&mut self, most: usize) -> Option<u32> {
        let digits = self
            .rest
            .iter()
            .take(most)
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        self.exactly(digits.max(1))
    }

    fn exactly(&mut self, digits: usize) -> Option<u32> {
        let text = self.take(digits)?;
        text.iter().try_fold(0_u32, |sum, byte| {
            byte.is_ascii_digit()
                .then(|| sum * 10 + u32::from(byte - b'0'))
        })
    }

    fn zone(&mut self) -> Option<()> {
        let letters = self
            .rest
            .iter()
            .take_while(|byte| byte.is_ascii_uppercase())
            .count();
        if (3..=5).contains(&letters) {
            self.take(letters).map(drop)
        } else if matches!(self.rest.first(), Some(b'+' | b'-')) {
            let digits = self
                .rest
                .iter()
                .skip(1)
                .take_while(|b| b.is_ascii_digit())
                .count();
            self.take(digits + 1).filter(|_| digits > 0).map(drop)
        } else {
            None
        }
    }

    fn offset(&mut self, form: OffsetForm) -> Option<i32> {
        if form.z && self.rest.first() == Some(&b'Z') {
            self.take(1)?;
            return Some(0);
        }
        let sign = match self.take(1)? {
            b"+" => 1,
            b"-" => -1,
            _ => return None,
        };
        let hours = i32::try_from(self.exactly(2)?).ok()?;
        let mut minutes = 0;
        if form.minutes {
            if form.colon && self.take(1)? != b":" {
                return None;
            }
            minutes = i32::try_from(self.exactly(2)?).ok()?;
        }
        if form.seconds {
            if form.colon && self.take(1)? != b":" {
                return None;
            }
            self.exactly(2)?;
        }
        (hours <= 24 && minutes < 60).then_some(sign * (hours * 60 + minutes))
    }

    fn open_fraction(&mut self, fields: &mut Fields) {
        if !matches!(self.rest, [b'.' | b',', digit, ..] if digit.is_ascii_digit()) {
            return;
        }
        let digits = self
            .rest
            .iter()
            .skip(1)
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if let Some(value) = self.take(digits + 1).and_then(nanos) {
            fields.nanos = value;
        }
    }
}

/// A fraction with its point as nanoseconds; digits after the ninth do not count.
fn nanos(text: &[u8]) -> Option<u32> {
    let (b'.' | b',', digits) = text.split_first()? else {
        return None;
    };
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let padded = digits.iter().copied().chain(core::iter::repeat(b'0'));
    Some(
        padded
            .take(9)
            .fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0')),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-22T12:00:00Z".parse().unwrap()
    }

    fn read(text: &str, layout: &str) -> Option<String> {
        let date = Dates::default().parse(text.as_bytes(), layout.as_bytes(), now());
        date.map(|date| date.to_string())
    }

    #[test]
    fn dates_are_read_by_the_common_layouts() {
        for (text, want) in [
            ("2023-01-02T03:04:05Z", "2023-01-02T03:04:05Z"),
            (
                "2023-01-02T03:04:05.123456+02:00",
                "2023-01-02T03:04:05.123456+02:00",
            ),
            ("28/Jan/2016:14:19:36 +0300", "2016-01-28T14:19:36+03:00"),
            ("28/Jan/2016:14:19:36 +0000", "2016-01-28T14:19:36Z"),
            ("Mon Jan 2 15:04:05 2006", "2006-01-02T15:04:05Z"),
            ("Mon Jan  2 15:04:05 2006", "2006-01-02T15:04:05Z"),
            ("Dec  8 06:28:43", "2026-12-08T06:28:43Z"),
            ("Dec 18 06:28:43", "2026-12-18T06:28:43Z"),
            ("Feb 29 06:28:43", "2026-03-01T06:28:43Z"),
            (
                "Mon Jan 02 15:04:05.000123 2006",
                "2006-01-02T15:04:05.000123Z",
            ),
            ("2021/02/03 04:05:06", "2021-02-03T04:05:06Z"),
            ("2021-02-03 04:05", "2021-02-03T04:05:00Z"),
            ("2021/02/03", "2021-02-03T00:00:00Z"),
            (
                "2006-01-02 15:04:05.9 -0700 MST",
                "2006-01-02T15:04:05.9-07:00",
            ),
            ("1616161616", "2021-03-19T13:46:56Z"),
        ] {
            assert_eq!(read(text, "").as_deref(), Some(want), "{text}");
        }
    }

    #[test]
    fn layouts_of_rules_come_first() {
        for (text, layout, want) in [
            ("03/Feb 04:05:06", "02/Jan 15:04:05", "2026-02-03T04:05:06Z"),
            (
                "Mon Feb  3 04:05:06 2020",
                "Mon Jan _2 15:04:05 2006",
                "2020-02-03T04:05:06Z",
            ),
            ("0203 04:05:06", "0102 15:04:05", "2026-02-03T04:05:06Z"),
            ("200203 4:05:06", "060102 15:04:05", "2020-02-03T04:05:06Z"),
            (
                "2/3/2020 4:05:06 PM",
                "1/2/2006 3:04:05 PM",
                "2020-02-03T16:05:06Z",
            ),
            (
                "2/3/2020 12:05:06 AM",
                "1/2/2006 3:04:05 PM",
                "2020-02-03T00:05:06Z",
            ),
            (
                "2020-02-03 04:05:06,25",
                "2006-01-02 15:04:05,999999999",
                "2020-02-03T04:05:06.25Z",
            ),
            (
                "2020-02-03T04:05:06.250+0100",
                "2006-01-02T15:04:05.000-0700",
                "2020-02-03T04:05:06.25+01:00",
            ),
            (
                "2020-034 04:05:06",
                "2006-002 15:04:05",
                "2020-02-03T04:05:06Z",
            ),
            (
                "2020-02-03 04:05:06.75",
                "2006-01-02 15:04:05",
                "2020-02-03T04:05:06.75Z",
            ),
        ] {
            assert_eq!(
                read(text, layout).as_deref(),
                Some(want),
                "{text} by {layout}"
            );
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            " ",
            "yesterday",
            "-5",
            "0",
            "2023-13-02T03:04:05Z",
            "2023-02-29 00:00",
            "2023-01-02T24:04:05Z",
            "2023-01-02T03:04:05Zx",
            "28/Jan/2016:14:19:36 0300",
            "99999999999999999999",
        ] {
            assert_eq!(read(text, ""), None, "DENY {text:?}");
        }
        assert_eq!(read(&"1".repeat(1_000), ""), None);
    }

    #[test]
    fn no_prefix_and_no_mutation_panics() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let texts = [
            "2006-01-02T15:04:05.999Z07:00",
            "Mon Jan _2 3:04:05 PM MST -07:00:00",
            "Dec  8 06:28:43",
        ];
        for text in texts {
            for end in 0..=text.len() {
                let head = &text.as_bytes()[..end];
                core::hint::black_box(Dates::default().parse(head, head, now()));
            }
            for _ in 0..500 {
                let mut bytes = text.as_bytes().to_vec();
                let at = usize::try_from(next() % bytes.len() as u64).unwrap();
                bytes[at] = next().to_le_bytes()[0];
                core::hint::black_box(Dates::default().parse(&bytes, text.as_bytes(), now()));
                core::hint::black_box(Dates::default().parse(text.as_bytes(), &bytes, now()));
            }
        }
    }
}
