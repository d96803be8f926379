//! When a snapshot of a hub was made, as its own asserts tell it.
//!
//! Some logs tell no year, and the asserts about them expect the year in which they were
//! written. A snapshot has no date of its own: files of a checkout are as old as the
//! checkout. But asserts hold timestamps, and the newest of them that is not in the future
//! cannot be older than the newest such log.

use vocab::Timestamp;

/// The newest `2026-01-31T…` within quotes of any of these files that is not after
/// `latest`: midnight of that day, UTC. `None` when there is none.
#[must_use]
pub fn newest<'t>(files: impl Iterator<Item = &'t [u8]>, latest: Timestamp) -> Option<Timestamp> {
    files
        .flat_map(|file| file.split(|byte| *byte == b'"'))
        .filter_map(day)
        .filter(|day| *day <= latest)
        .max()
}

/// The day that a text starts with, when a time follows it.
fn day(text: &[u8]) -> Option<Timestamp> {
    let (day, rest) = text.split_at_checked(10)?;
    if rest.first() != Some(&b'T') {
        return None;
    }
    midnight(core::str::from_utf8(day).ok()?)
}

/// Midnight of a day that is written `2026-01-31`, UTC.
#[must_use]
pub fn midnight(day: &str) -> Option<Timestamp> {
    let digits = day.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    (day.len() == 10 && digits)
        .then(|| format!("{day}T00:00:00Z").parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_day_that_is_not_in_the_future_is_found() {
        let at = |day: &str| midnight(day).unwrap();
        let file = br#"x == "2024-05-06T01:02:03Z"
            y == "2026-10-30T23:59:59+02:00" z == "2031-01-01T00:00:00Z"
            a == "-09-06T09:57:21Z" b == "2026-11-22" c == "2026-13-40T00:00:00Z""#;
        let newest = |latest| newest([&file[..], b""].into_iter(), at(latest));
        assert_eq!(newest("2026-11-23"), Some(at("2026-10-30")));
        assert_eq!(newest("2025-01-01"), Some(at("2024-05-06")));
        assert_eq!(newest("2040-01-01"), Some(at("2031-01-01")));
        assert_eq!(newest("2020-01-01"), None);
        for wrong in ["", "2026-1-31", "2026-01-31Z", "2026-02-30", "20260131__"] {
            assert_eq!(midnight(wrong), None, "{wrong}");
        }
    }
}
