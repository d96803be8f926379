//! What parsers remember from line to line: small caches with a time to live.

use std::collections::HashMap;
use std::time::Duration;

use vocab::Timestamp;

/// How many values all stashes hold at most.
const MOST: usize = 10_000;
/// How long a value lives where nothing says so.
const TTL: Duration = Duration::from_secs(600);

/// Until when, how recent, what.
type Entry = (Timestamp, u64, Box<[u8]>);

#[derive(Debug)]
struct Stash {
    size: usize,
    ttl: Duration,
    values: HashMap<Box<[u8]>, Entry>,
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
        let values = HashMap::new();
        self.stashes
            .insert(name.as_bytes().into(), Stash { size, ttl, values });
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

    pub(crate) fn put(
        &mut self,
        name: &[u8],
        key: &[u8],
        value: &[u8],
        ttl: Option<i64>,
        now: Timestamp,
    ) {
        self.clock += 1;
        let Some(stash) = self.stashes.get_mut(name) else {
            return;
        };
        if stash.values.len() >= stash.size && !stash.values.contains_key(key) {
            stash.values.retain(|_, (until, ..)| *until > now);
            let oldest = stash.values.iter().min_by_key(|(_, (_, clock, _))| *clock);
            let oldest = oldest.map(|(key, _)| key.clone());
            if let Some(oldest) = oldest.filter(|_| stash.values.len() >= stash.size) {
                stash.values.remove(&oldest);
            }
        }
        let ttl = ttl
            .and_then(|nanos| u64::try_from(nanos).ok())
            .map_or(stash.ttl, Duration::from_nanos);
        let entry = (now.after(ttl), self.clock, value.into());
        stash.values.insert(key.into(), entry);
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
}
