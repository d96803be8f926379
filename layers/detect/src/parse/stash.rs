//! What parsers remember from line to line: small caches with a time to live.
//!
//! Refuses: keys and values beyond [`LONGEST`] together, since strangers write them; a
//! stash that is full forgets what was put into it longest ago.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use vocab::Timestamp;

/// How many values a stash holds at most.
const MOST: usize = 10_000;
/// The most bytes of a key and its value together.
const LONGEST: usize = 4 * 1024;
/// How long a value lives where nothing says so.
const TTL: Duration = Duration::from_secs(600);

/// Until when, how recent, what.
type Entry = (Timestamp, u64, Box<[u8]>);

#[derive(Debug)]
struct Stash {
    size: usize,
    ttl: Duration,
    values: HashMap<Box<[u8]>, Entry>,
    /// Keys in the order in which they were put.
    order: BTreeMap<u64, Box<[u8]>>,
}

/// Every stash of a program, by name.
#[derive(Debug, Default)]
pub(crate) struct Stashes {
    stashes: HashMap<Box<[u8]>, Stash>,
    clock: u64,
}

impl Stashes {
    pub(crate) fn define(&mut self, name: &str, size: u32, ttl: Duration) {
        let size = usize::try_from(size).unwrap_or(MOST).clamp(1, MOST);
        let ttl = if ttl.is_zero() { TTL } else { ttl };
        let stash = Stash {
            size,
            ttl,
            values: HashMap::new(),
            order: BTreeMap::new(),
        };
        self.stashes.insert(name.as_bytes().into(), stash);
    }

    pub(crate) fn get(&self, name: &[u8], key: &[u8], now: Timestamp) -> &[u8] {
        let found = self
            .stashes
            .get(name)
            .and_then(|stash| stash.values.get(key));
        match found {
            Some((until, _, value)) if *until > now => value,
            _ => b"",
        }
    }

    /// Puts a value; whether it is one that a stash takes.
    pub(crate) fn put(
        &mut self,
        name: &[u8],
        key: &[u8],
        value: &[u8],
        ttl: Option<i64>,
        now: Timestamp,
    ) -> bool {
        if key.len() + value.len() > LONGEST {
            return false;
        }
        self.clock += 1;
        let Some(stash) = self.stashes.get_mut(name) else {
            return true;
        };
        if let Some((_, put, _)) = stash.values.remove(key) {
            stash.order.remove(&put);
        }
        if stash.values.len() >= stash.size
            && let Some((_, oldest)) = stash.order.pop_first()
        {
            stash.values.remove(&oldest);
        }
        let ttl = ttl
            .and_then(|nanos| u64::try_from(nanos).ok())
            .map_or(stash.ttl, Duration::from_nanos);
        let entry = (now.after(ttl), self.clock, value.into());
        stash.order.insert(self.clock, key.into());
        stash.values.insert(key.into(), entry);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_expire_and_the_oldest_makes_room() {
        let mut stashes = Stashes::default();
        stashes.define("s", 2, Duration::from_secs(10));
        let at = Timestamp::from_unix_seconds;
        stashes.put(b"s", b"a", b"1", None, at(0));
        stashes.put(b"s", b"b", b"2", None, at(1));
        stashes.put(b"s", b"c", b"3", None, at(2));
        assert_eq!(stashes.get(b"s", b"a", at(3)), b"");
        assert_eq!(stashes.get(b"s", b"c", at(3)), b"3");
        assert_eq!(stashes.get(b"s", b"c", at(12)), b"");
        stashes.put(b"unknown", b"a", b"1", None, at(0));
        assert_eq!(stashes.get(b"unknown", b"a", at(0)), b"");
    }

    #[test]
    fn strangers_cannot_fill_the_memory() {
        let mut stashes = Stashes::default();
        stashes.define("s", u32::MAX, Duration::ZERO);
        let now = Timestamp::from_unix_seconds(0);
        assert!(!stashes.put(b"s", b"key", &[b'v'; LONGEST], None, now));
        assert!(!stashes.put(b"s", &[b'k'; LONGEST], b"v", None, now));
        for number in 0..30_000_u32 {
            assert!(stashes.put(b"s", &number.to_le_bytes(), b"v", None, now));
            // The same again takes no further place.
            assert!(stashes.put(b"s", &number.to_le_bytes(), b"w", None, now));
        }
        let stash = stashes.stashes.get(&b"s"[..]).expect("it was defined");
        assert_eq!((stash.values.len(), stash.order.len()), (MOST, MOST));
        assert_eq!(stashes.get(b"s", &29_999_u32.to_le_bytes(), now), b"w");
        assert_eq!(stashes.get(b"s", &0_u32.to_le_bytes(), now), b"");
    }
}
