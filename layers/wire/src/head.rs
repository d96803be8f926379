//! What both sides' heads share: finding lines in bytes that may come one by one.

use crate::headers::Index;
use crate::{Fault, Limits, scan};

/// Where the scan of one head stands. Every byte is looked at once, however slowly
/// the head comes in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lines {
    /// Where the line begins that is not complete yet.
    at: usize,
    /// Up to where no line feed was found.
    scanned: usize,
}

/// One complete line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    /// Its bytes without CR LF.
    pub(crate) bytes: &'a [u8],
    /// Where it begins.
    pub(crate) at: usize,
    /// Whether it is known to hold no control character.
    pub(crate) clean: bool,
}

impl Lines {
    pub(crate) const fn new() -> Self {
        Self { at: 0, scanned: 0 }
    }

    /// Whether no byte was looked at yet.
    pub(crate) const fn is_fresh(&self) -> bool {
        self.scanned == 0
    }

    /// Where the next line begins; after the empty line, where the body does.
    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    /// The bytes there are of the line to come.
    pub(crate) fn pending<'a>(&self, buf: &'a [u8]) -> &'a [u8] {
        buf.get(self.at..).unwrap_or_default()
    }

    /// The next line of at most `longest` bytes, `None` when it is not complete.
    ///
    /// Which bound is reported depends on where the bounds lie, never on how the bytes
    /// were cut: whichever is met first.
    #[inline(always)]
    pub(crate) fn next<'a>(
        &mut self,
        buf: &'a [u8],
        longest: usize,
        too_long: Fault,
        limits: &Limits,
    ) -> Result<Option<Line<'a>>, Fault> {
        // The usual line, seen whole at its first look: the first control character in
        // it is the carriage return that ends it. One pass finds the end and checks.
        // Inlined, because handing a line back through memory costs more than finding it.
        if self.scanned == self.at {
            let fresh = self.pending(buf);
            let length = scan::first_control(fresh);
            if length <= longest
                && self.at + length + 1 < limits.head
                && let Some((bytes, [b'\r', b'\n', ..])) = fresh.split_at_checked(length)
            {
                let line = Line {
                    bytes,
                    at: self.at,
                    clean: true,
                };
                self.at += length + 2;
                self.scanned = self.at;
                return Ok(Some(line));
            }
        }
        self.next_unusual(buf, longest, too_long, limits)
    }

    /// A line that came in pieces, or is too long, or holds a control character.
    #[inline(never)]
    fn next_unusual<'a>(
        &mut self,
        buf: &'a [u8],
        longest: usize,
        too_long: Fault,
        limits: &Limits,
    ) -> Result<Option<Line<'a>>, Fault> {
        let line_bound = self.at.saturating_add(longest).saturating_add(2);
        let (bound, fault) = if limits.head < line_bound {
            (limits.head, Fault::HeadTooLong)
        } else {
            (line_bound, too_long)
        };
        let fresh = buf.get(self.scanned..).unwrap_or_default();
        let Some(found) = memchr::memchr(b'\n', fresh) else {
            self.scanned = self.scanned.max(buf.len());
            return if buf.len() >= bound {
                Err(fault)
            } else {
                Ok(None)
            };
        };
        let end = self.scanned + found;
        if end >= bound {
            return Err(fault);
        }
        let whole = buf.get(self.at..end).unwrap_or_default();
        let bytes = whole.strip_suffix(b"\r");
        if bytes.unwrap_or(whole).len() > longest {
            return Err(too_long);
        }
        let line = Line {
            bytes: bytes.ok_or(Fault::BareLf)?,
            at: self.at,
            clean: false,
        };
        self.at = end + 1;
        self.scanned = self.at;
        Ok(Some(line))
    }

    /// Takes header lines until the empty one. `Ok(true)` when that was found.
    pub(crate) fn headers(
        &mut self,
        buf: &[u8],
        index: &mut Index,
        limits: &Limits,
    ) -> Result<bool, Fault> {
        while let Some(line) = self.next(buf, limits.header, Fault::HeaderTooLong, limits)? {
            if line.bytes.is_empty() {
                return Ok(true);
            }
            if index.len() >= limits.headers {
                return Err(Fault::HeadTooMany);
            }
            index.push(line)?;
        }
        Ok(false)
    }
}
