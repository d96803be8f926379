//! What the edge itself says to a client: little, and nothing about why.
//!
//! A stranger hears a status and a reference; the operator finds the reason under
//! that reference (`ringwall why REF`).

use core::fmt::{self, Write as _};
use core::time::Duration;

use wire::{Field, ShortAnswer, Version};

/// A short answer of our own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) request_id: u64,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) client: Version,
    pub(crate) persistent: bool,
    pub(crate) head_only: bool,
}

impl Answer {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let mut reference = Small::<16>::new();
        reference.put(format_args!("{:016x}", self.request_id));
        let mut body = Small::<96>::new();
        let said = wire::write::reason(self.status);
        body.put(format_args!(
            "{} {said}\nReference: {}\n",
            self.status,
            reference.text()
        ));
        let mut retry = Small::<20>::new();
        retry.put(format_args!(
            "{}",
            self.retry_after.map_or(0, |after| after.as_secs().max(1))
        ));
        let fields = [
            Field::new(b"Content-Type", b"text/plain; charset=utf-8"),
            Field::new(b"Cache-Control", b"no-store"),
            Field::new(b"X-Request-Id", reference.bytes()),
            match self.status {
                405 => Field::new(b"Allow", b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
                _ => self
                    .retry_after
                    .and_then(|_| Field::new(b"Retry-After", retry.bytes())),
            },
        ];
        let [Some(kind), Some(cache), Some(id), extra] = fields else {
            return; // constants and digits are always valid fields
        };
        let all = [kind, cache, id, extra.unwrap_or(id)];
        let count = if extra.is_some() { 4 } else { 3 };
        wire::write_short_answer(
            out,
            &ShortAnswer {
                status: self.status,
                client: self.client,
                persistent: self.persistent,
                add: all.get(..count).unwrap_or_default(),
                body: body.bytes(),
                head_only: self.head_only,
            },
        );
    }
}

/// A short text on the stack; what does not fit is left out.
#[derive(Debug)]
pub(crate) struct Small<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Small<N> {
    pub(crate) const fn new() -> Self {
        Self {
            bytes: [0; N],
            length: 0,
        }
    }

    /// Appends formatted text.
    pub(crate) fn put(&mut self, text: fmt::Arguments<'_>) {
        // A text that does not fit ends early; callers size `N` for the longest.
        let whole = self.write_fmt(text).is_ok();
        debug_assert!(whole, "text is longer than {N} bytes");
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    pub(crate) fn text(&self) -> &str {
        core::str::from_utf8(self.bytes()).unwrap_or_default()
    }
}

impl<const N: usize> fmt::Write for Small<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        let space = self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?;
        space.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}
