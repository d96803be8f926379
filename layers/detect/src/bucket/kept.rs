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
pub struct Kept(Packed);

/// A head (its time, where meta and where parsed fields end), then the fields.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Packed {
    Event(Arc<[u8]>),
    Overflow(Arc<(Box<[u8]>, Arc<About>)>),
}

/// The head's bytes: eight of the time, two and two of the ends.
const HEAD: usize = 12;

/// Keys and values, packed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pairs<'k>(&'k [u8]);

/// Builds [`Kept`]s; reused from event to event.
#[derive(Debug, Default)]
pub struct Keeper {
    /// Behind room for the head.
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
        if self.meta.is_empty() {
            self.meta.resize(HEAD, 0);
        }
        push(&mut self.meta, HEAD + MAX_EVENT, key.as_bytes(), value);
        self
    }

    /// Adds a parsed field; needed only when some bucket test reads `.Parsed`.
    pub fn parsed(&mut self, key: &str, value: &[u8]) -> &mut Self {
        push(&mut self.parsed, MAX_EVENT, key.as_bytes(), value);
        self
    }

    /// Adds an enriched field; needed only when some bucket test reads `.Enriched`.
    pub fn enriched(&mut self, key: &str, value: &[u8]) -> &mut Self {
        push(&mut self.enriched, MAX_EVENT, key.as_bytes(), value);
        self
    }

    /// Says that the event is an overflow.
    pub(crate) fn about(&mut self, about: Arc<About>) -> &mut Self {
        self.about = Some(about);
        self
    }

    /// The kept event, and an empty keeper again.
    pub fn finish(&mut self, time: Timestamp) -> Kept {
        self.meta.resize(self.meta.len().max(HEAD), 0);
        let meta_end = self.meta.len();
        self.meta.append(&mut self.parsed);
        let parsed_end = self.meta.len();
        self.meta.append(&mut self.enriched);
        // Both are bounded by twice 16 KiB.
        let end = |end: usize| u16::try_from(end).unwrap_or(u16::MAX).to_le_bytes();
        let ([a, b], [c, d]) = (end(meta_end), end(parsed_end));
        if let Some((head, _)) = self.meta.split_first_chunk_mut::<HEAD>() {
            let [t0, t1, t2, t3, t4, t5, t6, t7] = time.unix_nanos().to_le_bytes();
            *head = [t0, t1, t2, t3, t4, t5, t6, t7, a, b, c, d];
        }
        let bytes = self.meta.as_slice();
        let kept = match self.about.take() {
            None => Packed::Event(Arc::from(bytes)),
            Some(about) => Packed::Overflow(Arc::new((Box::from(bytes), about))),
        };
        self.meta.clear();
        Kept(kept)
    }
}

fn push(bytes: &mut Vec<u8>, most: usize, key: &[u8], value: &[u8]) {
    let value = value.get(..MAX_VALUE).unwrap_or(value);
    let (Ok(key_len), Ok(value_len)) = (u8::try_from(key.len()), u16::try_from(value.len())) else {
        return;
    };
    if bytes.len() + key.len() + value.len() + 3 > most {
        return;
    }
    bytes.push(key_len);
    bytes.extend_from_slice(&value_len.to_le_bytes());
    bytes.extend_from_slice(key);
    bytes.extend_from_slice(value);
}

impl Kept {
    /// One that holds nothing.
    pub(crate) fn empty(time: Timestamp) -> Self {
        Keeper::new().finish(time)
    }

    fn bytes(&self) -> &[u8] {
        match &self.0 {
            Packed::Event(bytes) => bytes,
            Packed::Overflow(both) => &both.0,
        }
    }

    fn head(&self) -> [u8; HEAD] {
        self.bytes().first_chunk().copied().unwrap_or([0; HEAD])
    }

    /// Meta, parsed and enriched fields.
    pub(crate) fn spaces(&self) -> [Pairs<'_>; 3] {
        let [.., a, b, c, d] = self.head();
        let end = |bytes: [u8; 2]| usize::from(u16::from_le_bytes(bytes));
        let bytes = self.bytes();
        let (meta_end, parsed_end) = (end([a, b]), end([c, d]));
        [
            Pairs(bytes.get(HEAD..meta_end).unwrap_or_default()),
            Pairs(bytes.get(meta_end..parsed_end).unwrap_or_default()),
            Pairs(bytes.get(parsed_end..).unwrap_or_default()),
        ]
    }

    /// When the event happened.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        let [time @ .., _, _, _, _] = self.head();
        Timestamp::from_unix_nanos(i64::from_le_bytes(time))
    }

    /// Its meta fields.
    #[must_use]
    pub fn meta(&self) -> Pairs<'_> {
        let [meta, ..] = self.spaces();
        meta
    }

    /// Its parsed fields, as far as they were kept.
    #[must_use]
    pub fn parsed(&self) -> Pairs<'_> {
        let [_, parsed, _] = self.spaces();
        parsed
    }

    /// Its enriched fields, as far as they were kept.
    #[must_use]
    pub fn enriched(&self) -> Pairs<'_> {
        let [.., enriched] = self.spaces();
        enriched
    }

    /// The overflow that the event is, where it is one.
    #[must_use]
    pub fn about(&self) -> Option<&About> {
        match &self.0 {
            Packed::Event(_) => None,
            Packed::Overflow(both) => Some(&both.1),
        }
    }

    /// The event as an alert shows it; bytes that are not UTF-8 stand as `\xHH`.
    #[must_use]
    pub fn evidence(&self) -> Evidence {
        Evidence {
            time: self.time(),
            meta: self
                .meta()
                .iter()
                .map(|(key, value)| (text(key), text(value)))
                .collect(),
        }
    }

    /// How many bytes it counts for: its fields, and 48 around them.
    #[must_use]
    pub fn weight(&self) -> usize {
        let fields = self.bytes().len().saturating_sub(HEAD);
        fields + 48 + self.about().map_or(0, About::weight)
    }
}

impl<'k> Pairs<'k> {
    /// The value of a key, empty when absent.
    #[must_use]
    pub fn value(self, key: &[u8]) -> &'k [u8] {
        self.iter()
            .find(|(name, _)| *name == key)
            .map_or(&[], |(_, value)| value)
    }

    /// Every key and value, in the order in which they were kept.
    pub fn iter(self) -> impl Iterator<Item = (&'k [u8], &'k [u8])> {
        Unpack(self.0)
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
