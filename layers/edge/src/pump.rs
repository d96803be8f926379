//! Moving one body from one connection to another, with backpressure.
//!
//! Purpose: reads into one buffer, lets the codec name the data in it and writes
//! that straight from the buffer, framed anew. Holds one buffer and nothing else,
//! so memory stays flat however long the body is: nothing is read while something
//! waits to be written.

use core::ops::Range;
use core::task::{Context, Poll, ready};
use std::io;

use tokio::net::TcpStream;
use wire::{BodyDecoder, BodyEvent, BodyFraming, Fault};

use crate::buffer::{Buffers, SMALL};
use crate::io::Stream;

/// Where bytes come from and go to.
pub(crate) trait Pipe {
    /// Appends to spare capacity; 0 is the end.
    fn poll_fill(&mut self, cx: &mut Context<'_>, into: &mut Vec<u8>) -> Poll<io::Result<usize>>;
    /// Writes from up to three slices.
    fn poll_write(&mut self, cx: &mut Context<'_>, pieces: [&[u8]; 3]) -> Poll<io::Result<usize>>;
    /// Sends what the pipe itself held back.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

impl Pipe for Stream {
    fn poll_fill(&mut self, cx: &mut Context<'_>, into: &mut Vec<u8>) -> Poll<io::Result<usize>> {
        Self::poll_fill(self, cx, into)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, pieces: [&[u8]; 3]) -> Poll<io::Result<usize>> {
        Self::poll_write(self, cx, pieces)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Self::poll_flush(self, cx)
    }
}

impl Pipe for TcpStream {
    fn poll_fill(&mut self, cx: &mut Context<'_>, into: &mut Vec<u8>) -> Poll<io::Result<usize>> {
        crate::io::poll_fill(self, cx, into)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, pieces: [&[u8]; 3]) -> Poll<io::Result<usize>> {
        crate::io::poll_write(self, cx, pieces)
    }

    fn poll_flush(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Why a body could not be moved to its end.
#[derive(Debug)]
pub(crate) enum Halt {
    /// The side that sends it broke, or ended before the body did.
    Source,
    /// The side that receives it broke.
    Sink,
    /// The body breaks the rules of its framing.
    Fault(Fault),
    /// The body is longer than allowed.
    TooLong,
}

/// What a pump waits for; tells who is to blame when time runs out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum WaitsFor {
    Source,
    Sink,
}

/// One body on its way.
pub(crate) struct Pump {
    decoder: BodyDecoder,
    chunked: bool,
    /// What was read: consumed before `at`, the current piece before that again.
    pub(crate) data: Vec<u8>,
    pub(crate) at: usize,
    /// Head, chunk heads and small pieces that go out before `piece`.
    pub(crate) out: Vec<u8>,
    sent: usize,
    /// Data that is written straight from the buffer, after `out`.
    piece: Range<usize>,
    /// Bytes of [`CHUNK_END`] still to go out after `piece`.
    tail: usize,
    /// TLS may hold back what was written.
    unflushed: bool,
    primed: bool,
    ended: bool,
    pub(crate) done: bool,
    pub(crate) waits_for: WaitsFor,
    /// Body bytes that may still come.
    allowance: u64,
    /// Bytes read from the source and written to the sink by this pump.
    pub(crate) read: u64,
    pub(crate) written: u64,
    /// The body's beginning, where somebody wants a look at it; it is never held back.
    pub(crate) glimpse: Option<Vec<u8>>,
}

const CHUNK_END: &[u8] = b"\r\n";
/// Pieces up to this size are copied behind what is to be written anyway, which
/// costs less than one more slice and lets small chunks share a write.
const COPY: usize = 2048;

impl Pump {
    /// A pump for a body framed as `from`, written as `to`; `data` was read already.
    pub(crate) fn new(
        from: BodyFraming,
        to: BodyFraming,
        limits: &wire::Limits,
        allowance: u64,
        data: Vec<u8>,
        out: Vec<u8>,
    ) -> Self {
        Self {
            decoder: BodyDecoder::new(from, limits),
            chunked: to == BodyFraming::Chunked,
            data,
            at: 0,
            out,
            sent: 0,
            piece: 0..0,
            tail: 0,
            unflushed: false,
            primed: false,
            ended: false,
            done: false,
            waits_for: WaitsFor::Sink,
            allowance,
            read: 0,
            written: 0,
            glimpse: None,
        }
    }

    /// Gives the body its framing once the head is known.
    pub(crate) fn frame(&mut self, from: BodyFraming, to: BodyFraming, limits: &wire::Limits) {
        self.decoder = BodyDecoder::new(from, limits);
        self.chunked = to == BodyFraming::Chunked;
    }

    /// Bytes behind the message's end.
    pub(crate) fn rest(&self) -> &[u8] {
        self.data.get(self.at..).unwrap_or_default()
    }

    /// Moves what can be moved; ready when the body's end was written, or not at all.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut impl Pipe,
        sink: &mut impl Pipe,
        buffers: &Buffers,
    ) -> Poll<Result<(), Halt>> {
        if self.done {
            return Poll::Ready(Ok(()));
        }
        if !self.primed {
            // What of the body came with its head goes out with it in one write.
            self.primed = true;
            self.decode()?;
        }
        loop {
            self.waits_for = WaitsFor::Sink;
            ready!(self.poll_drain(cx, sink))?;
            if self.ended {
                self.done = true;
                return Poll::Ready(Ok(()));
            }
            if self.decode()? {
                continue;
            }
            self.waits_for = WaitsFor::Source;
            ready!(self.poll_refill(cx, source, buffers))?;
        }
    }

    /// Writes all that waits: `out`, then `piece`, then the chunk's end.
    pub(crate) fn poll_drain(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut impl Pipe,
    ) -> Poll<Result<(), Halt>> {
        loop {
            let out = self.out.get(self.sent..).unwrap_or_default();
            let piece = self.data.get(self.piece.clone()).unwrap_or_default();
            let tail = CHUNK_END
                .get(CHUNK_END.len() - self.tail..)
                .unwrap_or_default();
            if out.is_empty() && piece.is_empty() && tail.is_empty() {
                break;
            }
            let (out_len, piece_len) = (out.len(), piece.len());
            let Ok(sent) = ready!(sink.poll_write(cx, [out, piece, tail])) else {
                return Poll::Ready(Err(Halt::Sink));
            };
            self.unflushed = true;
            self.written += sent as u64;
            let of_out = sent.min(out_len);
            let of_piece = (sent - of_out).min(piece_len);
            self.sent += of_out;
            self.piece.start += of_piece;
            self.tail -= sent - of_out - of_piece;
        }
        self.out.clear();
        self.sent = 0;
        if self.unflushed {
            ready!(sink.poll_flush(cx)).map_err(|_| Halt::Sink)?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Looks for data in what was read; true when there is something to write, or
    /// the end was reached.
    fn decode(&mut self) -> Result<bool, Halt> {
        loop {
            let step = self
                .decoder
                .step(self.data.get(self.at..).unwrap_or_default());
            let from = self.at;
            self.at += step.consumed;
            match step.event {
                BodyEvent::More => return Ok(!self.out.is_empty()),
                BodyEvent::Refuse(fault) => return Err(Halt::Fault(fault)),
                BodyEvent::End => {
                    if self.chunked {
                        wire::write_last_chunk(&mut self.out, Some(self.decoder.trailers()));
                    }
                    self.ended = true;
                    return Ok(true);
                }
                BodyEvent::Data(range) => {
                    let (start, end) = (from + range.start, from + range.end);
                    let length = end - start;
                    if let Some(glimpse) = &mut self.glimpse {
                        let room = crate::login::MOST.saturating_sub(glimpse.len());
                        let seen = self.data.get(start..end.min(start + room));
                        glimpse.extend_from_slice(seen.unwrap_or_default());
                    }
                    self.allowance = self
                        .allowance
                        .checked_sub(length as u64)
                        .ok_or(Halt::TooLong)?;
                    if self.chunked {
                        wire::write_chunk_head(&mut self.out, length);
                    }
                    if length > COPY {
                        self.piece = start..end;
                        self.tail = if self.chunked { CHUNK_END.len() } else { 0 };
                        return Ok(true);
                    }
                    let piece = self.data.get(start..end).unwrap_or_default();
                    self.out.extend_from_slice(piece);
                    if self.chunked {
                        wire::write_chunk_end(&mut self.out);
                    }
                }
            }
        }
    }

    fn poll_refill(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut impl Pipe,
        buffers: &Buffers,
    ) -> Poll<Result<(), Halt>> {
        // The decoder used up everything, and all of it was written.
        if self.data.capacity() == 0 {
            self.data = buffers.small();
        } else if self.data.len() >= SMALL && self.data.capacity() <= SMALL {
            buffers.put(core::mem::replace(&mut self.data, buffers.large()));
        }
        self.data.clear();
        self.at = 0;
        self.piece = 0..0;
        match ready!(source.poll_fill(cx, &mut self.data)) {
            Ok(0) => Poll::Ready(self.decoder.end_of_stream().map_err(|_| Halt::Source)),
            Ok(read) => {
                self.read += read as u64;
                Poll::Ready(Ok(()))
            }
            Err(_) => Poll::Ready(Err(Halt::Source)),
        }
    }
}
