//! What a bucket keeps of an event: one allocation, whatever it holds.
//!
//! Assumes: few events are kept compared with those that are looked at, and of
//! those kept few are ever read; so writing is one copy and reading walks.

use std::sync::Arc;

use vocab::{Evidence, Timestamp};

use crate::overflow::About;

/// The longest value that is kept, in bytes (see [`Evidence`]).
const MAX_VALUE: usize = 1024;
/// The most bytes that one event may hold in a bucket.
const MAX_EVENT: usize = 16 * 1024;

/// An event in a bucket's queue: its time, its meta, and what else the bucket
/// tests of the program read. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kept {
    time: Timestamp,
    meta: Pairs,
    parsed: Pairs,
    enriched: Pairs,
    /// The overflow that the event is, where it is one.
    about: Option<Arc<About>>,
}

/// Keys and values, packed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Pairs(Option<Arc<[u8]>>);

/// Builds [`Kept`]s; reused from event to event.
#[derive(Debug, Default)]
pub struct Keeper {
    meta: Vec<u8>,
    parsed: Vec<u8>,
    enriched: Vec<u8>,
    about: Option<Arc<About>>,
}

impl Keeper {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a meta field; call in the order of the keys' bytes. Values are cut
    /// to 1,024 bytes, and what exceeds 16 KiB in all is left out.
    pub fn meta(&mut self, key: &str, value: &[u8]) -> &mut Self {
        push(&mut self.meta, key.as_bytes(), value);
        self
    }

    /// Adds a parsed field; needed only when some bucket test reads `.Parsed`.
    pub fn parsed(&mut self, key: &str, value: &[u8]) -> &mut Self {
        push(&mut self.parsed, key.as_bytes(), value);
        self
    }

    /// Adds an enriched field; needed only when some bucket test reads `.Enriched`.
    pub fn enriched(&mut self, key: &str, value: &[u8]) -> &mut Self {
        push(&mut self.enriched, key.as_bytes(), value);
        self
    }

    /// Says that the event is an overflow.
    pub(crate) fn about(&mut self, about: Arc<About>) -> &mut Self {
        self.about = Some(about);
        self
    }

    /// The kept event, and an empty keeper again.
    pub fn finish(&mut self, time: Timestamp) -> Kept {
        Kept {
            time,
            meta: pack(&mut self.meta),
            parsed: pack(&mut self.parsed),
            enriched: pack(&mut self.enriched),
            about: self.about.take(),
        }
    }
}

fn push(bytes: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let value = value.get(..MAX_VALUE).unwrap_or(value);
    let (Ok(key_len), Ok(value_len)) = (u8::try_from(key.len()), u16::try_from(value.len())) else {
        return;
    };
    if bytes.len() + key.len() + value.len() + 3 > MAX_EVENT {
        return;
    }
    bytes.push(key_len);
    bytes.extend_from_slice(&value_len.to_le_bytes());
    bytes.extend_from_slice(key);
    bytes.extend_from_slice(value);
}

fn pack(bytes: &mut Vec<u8>) -> Pairs {
    let pairs = (!bytes.is_empty()).then(|| Arc::from(bytes.as_slice()));
    bytes.clear();
    Pairs(pairs)
}

impl Kept {
    /// One that holds nothing.
    pub(crate) fn empty(time: Timestamp) -> Self {
        Self {
            time,
            meta: Pairs::default(),
            parsed: Pairs::default(),
            enriched: Pairs::default(),
            about: None,
        }
    }

    /// When the event happened.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// Its meta fields.
    #[must_use]
    pub fn meta(&self) -> &Pairs {
        &self.meta
    }

    /// Its parsed fields, as far as they were kept.
    #[must_use]
    pub fn parsed(&self) -> &Pairs {
        &self.parsed
    }

    /// Its enriched fields, as far as they were kept.
    #[must_use]
    pub fn enriched(&self) -> &Pairs {
        &self.enriched
    }

    /// The overflow that the event is, where it is one.
    #[must_use]
    pub fn about(&self) -> Option<&About> {
        self.about.as_deref()
    }

    /// The event as an alert shows it; bytes that are not UTF-8 stand as `\xHH`.
    #[must_use]
    pub fn evidence(&self) -> Evidence {
        Evidence {
            time: self.time,
            meta: self
                .meta
                .iter()
                .map(|(key, value)| (text(key), text(value)))
                .collect(),
        }
    }

    /// How many bytes it occupies.
    #[must_use]
    pub fn weight(&self) -> usize {
        let pairs = [&self.meta, &self.parsed, &self.enriched];
        let pairs: usize = pairs.iter().map(|pairs| pairs.bytes().len() + 16).sum();
        pairs + self.about().map_or(0, About::weight)
    }
}

impl Pairs {
    /// The value of a key, empty when absent.
    #[must_use]
    pub fn value(&self, key: &[u8]) -> &[u8] {
        self.iter()
            .find(|(name, _)| *name == key)
            .map_or(&[], |(_, value)| value)
    }

    /// Every key and value, in the order in which they were kept.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        Unpack(self.bytes())
    }

    fn bytes(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}

struct Unpack<'a>(&'a [u8]);

impl<'a> Iterator for Unpack<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (&[key, low, high], rest) = self.0.split_first_chunk::<3>()?;
        let (key, rest) = rest.split_at_checked(usize::from(key))?;
        let (value, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes([low, high])))?;
        self.0 = rest;
        Some((key, value))
    }
}

/// Bytes as text, those that are not UTF-8 as `\xHH`.
pub(crate) fn text(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        for byte in chunk.invalid() {
            out.push_str("\\x");
            for digit in [byte >> 4, byte & 15] {
                out.push(
                    char::from_digit(u32::from(digit), 16)
                        .unwrap_or('?')
                        .to_ascii_uppercase(),
                );
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_read_back() {
        let mut keeper = Keeper::new();
        keeper
            .meta("http_path", b"/a")
            .meta("source_ip", b"192.0.2.1");
        keeper
            .parsed("request", b"x\xff")
            .enriched("IsoCode", &[b'y'; 5000]);
        let kept = keeper.finish(Timestamp::from_unix_seconds(9));
        assert_eq!(kept.meta().value(b"source_ip"), b"192.0.2.1");
        assert_eq!(kept.meta().value(b"absent"), b"");
        assert_eq!(kept.parsed().value(b"request"), b"x\xff");
        assert_eq!(
            kept.enriched().value(b"IsoCode").len(),
            1024,
            "values are cut"
        );
        let evidence = kept.evidence();
        assert_eq!(evidence.meta("http_path"), "/a");
        assert_eq!(evidence.meta.len(), 2, "only meta is evidence");
        let next = keeper.finish(Timestamp::EPOCH);
        assert_eq!(next.evidence().meta, [], "the keeper starts afresh");
    }

    #[test]
    fn an_event_cannot_exceed_its_bound() {
        let mut keeper = Keeper::new();
        for _ in 0..1000 {
            keeper.meta("key", &[b'z'; 1024]);
        }
        assert!(keeper.finish(Timestamp::EPOCH).weight() <= MAX_EVENT + 48);
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_as_hex() {
        assert_eq!(text(b"a\xff\xc3\xa4\xc3"), "a\\xFF\u{e4}\\xC3");
    }
}
