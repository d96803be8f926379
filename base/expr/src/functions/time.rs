//! Times and durations: reading, writing, intervals, methods.

use vocab::Timestamp;

use crate::call::Function;
use crate::error::EvalError;
use crate::eval::{Outcome, shifted, wrong};
use crate::functions::{failed, len, take};
use crate::value::Value;

const SECOND: i64 = 1_000_000_000;

pub(super) fn call<'v>(function: Function, args: &mut [Value<'v>]) -> Outcome<Value<'v>> {
    match function {
        Function::Duration => duration(&take(function, args, 0)?).map(Value::Duration),
        Function::Date => {
            let text = take(function, args, 0)?;
            let text = std::str::from_utf8(&text).ok().map(str::trim);
            text.and_then(date)
                .map(Value::Time)
                .ok_or_else(|| failed(function, "the text is no date"))
        }
        Function::ParseUnix => {
            let text = take(function, args, 0)?;
            let whole = text.split(|byte| *byte == b'.').next().unwrap_or_default();
            let seconds = std::str::from_utf8(whole)
                .ok()
                .and_then(|text| text.parse().ok());
            Ok(match seconds.filter(|seconds: &i64| *seconds > 0) {
                Some(seconds) => Value::owned(Timestamp::from_unix_seconds(seconds).to_string()),
                None => Value::from(""),
            })
        }
        _ => intervals(function, args).map(Value::Duration),
    }
}

fn date(text: &str) -> Option<Timestamp> {
    let day = || format!("{text}T00:00:00Z").parse().ok();
    let no_zone = || format!("{}Z", text.replacen(' ', "T", 1)).parse().ok();
    text.parse().ok().or_else(day).or_else(no_zone)
}

/// `MedianInterval` and `AverageInterval` of a list of times.
fn intervals(function: Function, args: &[Value<'_>]) -> Outcome<i64> {
    let list = args
        .first()
        .ok_or_else(|| failed(function, "an argument is missing"))?;
    let mut times = Vec::new();
    for at in 0..len(function, list)? {
        match crate::eval::element(list, at) {
            Some(Value::Time(time)) => times.push(time.unix_nanos()),
            Some(other) => return Err(wrong(function.name(), &other)),
            None => {}
        }
    }
    times.sort_unstable();
    let (Some(first), Some(last)) = (times.first(), times.last()) else {
        return Err(failed(function, "at least two times are needed"));
    };
    let span = last.saturating_sub(*first);
    let mut gaps: Vec<i64> = times
        .iter()
        .zip(times.iter().skip(1))
        .map(|(early, late)| late.saturating_sub(*early))
        .collect();
    if gaps.is_empty() {
        return Err(failed(function, "at least two times are needed"));
    }
    if function == Function::AverageInterval {
        return Ok(span / i64::try_from(gaps.len()).unwrap_or(i64::MAX));
    }
    gaps.sort_unstable();
    let middle = gaps.len() / 2;
    let upper = gaps.get(middle).copied().unwrap_or(0);
    if gaps.len() % 2 == 1 {
        return Ok(upper);
    }
    let lower = gaps.get(middle.saturating_sub(1)).copied().unwrap_or(upper);
    Ok(lower.saturating_add(upper) / 2)
}

/// A Go duration in nanoseconds: `1h30m`, `-1.5s`, `300ms`; also days, `7d`.
pub(crate) fn duration(text: &[u8]) -> Outcome<i64> {
    parse_duration(text).ok_or_else(|| failed(Function::Duration, "the text is no duration"))
}

fn parse_duration(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut total: i64 = 0;
    let mut parts = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at_checked(digits)?;
        let letters = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(letters)?;
        total = total.checked_add(part(number, unit_nanos(unit)?)?)?;
        rest = tail;
        parts += 1;
    }
    (parts > 0).then_some(if negative { -total } else { total })
}

fn unit_nanos(unit: &str) -> Option<i64> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => SECOND,
        "m" => 60 * SECOND,
        "h" => 3_600 * SECOND,
        "d" => 86_400 * SECOND,
        _ => return None,
    })
}

fn part(number: &str, unit: i64) -> Option<i64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole: i64 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let mut nanos = whole.checked_mul(unit)?;
    let mut scale = unit;
    for digit in fraction.bytes() {
        scale /= 10;
        nanos = nanos.checked_add(scale * i64::from(digit.checked_sub(b'0')?))?;
    }
    Some(nanos)
}

/// RFC 3339 in UTC without fractions.
pub(crate) fn seconds_rfc3339(time: Timestamp) -> String {
    Timestamp::from_unix_seconds(time.unix_seconds()).to_string()
}

/// As Go prints a duration: `1h2m3.5s`, `1.5ms`, `0s`.
pub(crate) fn show_duration(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let all = nanos.unsigned_abs();
    let fraction = |value: u64, unit: u64, name: &str| {
        let width = unit.ilog10() as usize;
        let text = format!("{}.{:0width$}", value / unit, value % unit);
        let text = text.trim_end_matches('0').trim_end_matches('.');
        format!("{text}{name}")
    };
    let second = SECOND.unsigned_abs();
    match all {
        0 => "0s".to_owned(),
        1..1_000 => format!("{sign}{all}ns"),
        1_000..1_000_000 => format!("{sign}{}", fraction(all, 1_000, "µs")),
        1_000_000..1_000_000_000 => format!("{sign}{}", fraction(all, 1_000_000, "ms")),
        _ => {
            let (hours, minutes) = (all / (3_600 * second), all / (60 * second) % 60);
            let seconds = fraction(all % (60 * second), second, "s");
            match (hours, minutes) {
                (0, 0) => format!("{sign}{seconds}"),
                (0, minutes) => format!("{sign}{minutes}m{seconds}"),
                (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}"),
            }
        }
    }
}

/// As Go prints a time: `2006-01-02 15:04:05.5 +0000 UTC`.
pub(crate) fn show_time(time: Timestamp) -> String {
    let text = time.to_string();
    format!(
        "{} +0000 UTC",
        text.trim_end_matches('Z').replacen('T', " ", 1)
    )
}

const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];
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

/// Day of the week, Sunday being 0.
fn weekday(time: Timestamp) -> i64 {
    (time.unix_seconds().div_euclid(86_400) + 4).rem_euclid(7)
}

fn day_of_year(time: Timestamp) -> i64 {
    let civil = time.civil();
    let start = format!("{:04}-01-01T00:00:00Z", civil.year).parse::<Timestamp>();
    let start = start.map_or(0, Timestamp::unix_seconds);
    (time.unix_seconds() - start) / 86_400 + 1
}

pub(crate) fn time_method<'v>(
    time: Timestamp,
    name: &str,
    args: &[Value<'_>],
) -> Outcome<Value<'v>> {
    let civil = time.civil();
    let named = |names: &[&'static str], at: i64| {
        let at = usize::try_from(at).unwrap_or(0);
        Value::from(names.get(at).copied().unwrap_or(""))
    };
    Ok(match (name, args) {
        ("Year", []) => Value::Int(i64::from(civil.year)),
        ("Month", []) => Value::Int(i64::from(civil.month)),
        ("Day", []) => Value::Int(i64::from(civil.day)),
        ("Hour", []) => Value::Int(i64::from(civil.hour)),
        ("Minute", []) => Value::Int(i64::from(civil.minute)),
        ("Second", []) => Value::Int(i64::from(civil.second)),
        ("Nanosecond", []) => Value::Int(i64::from(civil.nanos)),
        ("Weekday", []) => Value::Int(weekday(time)),
        ("YearDay", []) => Value::Int(day_of_year(time)),
        ("WeekdayName", []) => named(&DAYS, weekday(time)),
        ("MonthName", []) => named(&MONTHS, i64::from(civil.month) - 1),
        ("Unix", []) => Value::Int(time.unix_seconds()),
        ("UnixMilli", []) => Value::Int(time.unix_nanos().div_euclid(1_000_000)),
        ("UnixNano", []) => Value::Int(time.unix_nanos()),
        ("String", []) => Value::owned(show_time(time)),
        ("UTC", []) => Value::Time(time),
        ("IsZero", []) => Value::Bool(false),
        ("Before", [Value::Time(other)]) => Value::Bool(time < *other),
        ("After", [Value::Time(other)]) => Value::Bool(time > *other),
        ("Equal", [Value::Time(other)]) => Value::Bool(time == *other),
        ("Sub", [Value::Time(other)]) => {
            Value::Duration(time.unix_nanos().saturating_sub(other.unix_nanos()))
        }
        ("Add", [Value::Duration(nanos)]) => Value::Time(shifted(time, *nanos)),
        _ => return Err(no_method("time", name)),
    })
}

pub(crate) fn duration_method<'v>(nanos: i64, name: &str) -> Outcome<Value<'v>> {
    let float = |unit: i64| {
        let value = crate::eval::float(&Value::Int(nanos)).unwrap_or(0.0);
        Value::Float(value / crate::eval::float(&Value::Int(unit)).unwrap_or(1.0))
    };
    Ok(match name {
        "Hours" => float(3_600 * SECOND),
        "Minutes" => float(60 * SECOND),
        "Seconds" => float(SECOND),
        "Milliseconds" => Value::Int(nanos / 1_000_000),
        "Microseconds" => Value::Int(nanos / 1_000),
        "Nanoseconds" => Value::Int(nanos),
        "String" => Value::owned(show_duration(nanos)),
        _ => return Err(no_method("duration", name)),
    })
}

fn no_method(of: &'static str, name: &str) -> EvalError {
    EvalError::Field {
        field: name.chars().take(64).collect(),
        of,
    }
}
