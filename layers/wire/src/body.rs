//! Bodies: which of the bytes that came belong to the message, and where it ends.
//!
//! Data is never copied; it is named as a range of the caller's buffer. Chunk sizes and
//! line ends may be cut anywhere. Trailer lines (rare, bounded) are kept inside.

use std::ops::Range;

use crate::head::Line;
use crate::headers::{Headers, Index};
use crate::name::HeaderSet;
use crate::{BodyFraming, Fault, Limits};

/// What a step through a body found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BodyEvent {
    /// All bytes are used up; more are needed.
    More,
    /// These bytes of the buffer are body data; never empty, inside the consumed part.
    Data(Range<usize>),
    /// The message is complete. What follows belongs to the next one. Trailers, if any,
    /// stand in [`BodyDecoder::trailers`].
    End,
    /// The body must not be passed on; close both connections.
    Refuse(Fault),
}

/// One step: how many bytes of the buffer it used, and what it found in them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// Bytes used, from the buffer's start; hand the rest to the next step.
    pub consumed: usize,
    /// What was found.
    pub event: BodyEvent,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Length,
    UntilClose,
    /// In a chunk size of so many digits.
    Size(u8),
    SizeLf,
    Data,
    DataCr,
    DataLf,
    Trailer,
    End,
    Refused(Fault),
}

/// Decodes one body. Make one per message.
#[derive(Clone, Debug)]
pub struct BodyDecoder {
    state: State,
    /// Bytes left of the body or chunk; the size while its digits come.
    left: u64,
    max_trailers: usize,
    max_trailer_count: usize,
    trailer_bytes: Vec<u8>,
    trailer_line: usize,
    trailers: Index,
}

/// Beyond this, readers with signed numbers disagree with the others.
const LARGEST: u64 = i64::MAX as u64;

impl BodyDecoder {
    /// A decoder for a body with this framing. Allocates only when trailers come.
    #[must_use]
    pub const fn new(framing: BodyFraming, limits: &Limits) -> Self {
        let (state, left) = match framing {
            BodyFraming::None | BodyFraming::Length(0) => (State::End, 0),
            BodyFraming::Length(length) => (State::Length, length),
            BodyFraming::Chunked => (State::Size(0), 0),
            BodyFraming::UntilClose => (State::UntilClose, 0),
        };
        Self {
            state,
            left,
            max_trailers: limits.trailers,
            max_trailer_count: limits.trailer_count,
            trailer_bytes: Vec::new(),
            trailer_line: 0,
            trailers: Index::new(),
        }
    }

    /// Whether the message is complete.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        matches!(self.state, State::End)
    }

    /// The trailers, empty until `End`.
    #[must_use]
    pub fn trailers(&self) -> Headers<'_> {
        Headers {
            index: &self.trailers,
            buf: &self.trailer_bytes,
        }
    }

    /// The connection ended. Fine for a body until close, which is now complete.
    ///
    /// # Errors
    /// [`Fault::BodyTruncated`] when the body is not complete.
    pub const fn end_of_stream(&mut self) -> Result<(), Fault> {
        match self.state {
            State::End => Ok(()),
            State::UntilClose => {
                self.state = State::End;
                Ok(())
            }
            _ => Err(Fault::BodyTruncated),
        }
    }

    /// Looks at the bytes that came and were not consumed yet.
    pub fn step(&mut self, buf: &[u8]) -> Step {
        match self.state {
            State::End => Step {
                consumed: 0,
                event: BodyEvent::End,
            },
            State::Refused(fault) => Step {
                consumed: 0,
                event: BodyEvent::Refuse(fault),
            },
            _ if buf.is_empty() => Step {
                consumed: 0,
                event: BodyEvent::More,
            },
            State::UntilClose => Step {
                consumed: buf.len(),
                event: BodyEvent::Data(0..buf.len()),
            },
            State::Length => self.data(buf, 0, State::End),
            _ => self.chunked(buf),
        }
    }

    /// Data from `at`, then `after` once all of it came.
    fn data(&mut self, buf: &[u8], at: usize, after: State) -> Step {
        let there = buf.len() - at;
        let taken = usize::try_from(self.left).map_or(there, |left| left.min(there));
        self.left -= taken as u64;
        if self.left == 0 {
            self.state = after;
        }
        Step {
            consumed: at + taken,
            event: BodyEvent::Data(at..at + taken),
        }
    }

    fn chunked(&mut self, buf: &[u8]) -> Step {
        let mut at = 0;
        while let Some(byte) = buf.get(at) {
            if self.state == State::Data {
                return self.data(buf, at, State::DataCr);
            }
            at += 1;
            match self.framing_byte(*byte) {
                Ok(next) => self.state = next,
                Err(fault) => {
                    self.state = State::Refused(fault);
                    return Step {
                        consumed: at,
                        event: BodyEvent::Refuse(fault),
                    };
                }
            }
            if self.state == State::End {
                return Step {
                    consumed: at,
                    event: BodyEvent::End,
                };
            }
        }
        Step {
            consumed: at,
            event: BodyEvent::More,
        }
    }

    /// The state after a byte that is not data.
    fn framing_byte(&mut self, byte: u8) -> Result<State, Fault> {
        match (self.state, byte) {
            (State::Size(digits), byte) => self.size_byte(digits, byte),
            (State::SizeLf, b'\n') if self.left == 0 => Ok(State::Trailer),
            (State::SizeLf, b'\n') => Ok(State::Data),
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => {
                self.left = 0;
                Ok(State::Size(0))
            }
            (State::Trailer, byte) => self.trailer_byte(byte),
            (State::SizeLf | State::DataLf, _) => Err(Fault::BareCr),
            (State::DataCr, b'\n') => Err(Fault::BareLf),
            (State::DataCr, _) => Err(Fault::ChunkLineEnd),
            (state @ (State::Length | State::UntilClose | State::Data | State::End), _) => {
                Ok(state)
            }
            (State::Refused(fault), _) => Err(fault),
        }
    }

    fn size_byte(&mut self, digits: u8, byte: u8) -> Result<State, Fault> {
        const MOST_DIGITS: u8 = 16;
        if let Some(digit) = char::from(byte).to_digit(16) {
            if digits == MOST_DIGITS {
                return Err(Fault::ChunkSize);
            }
            // Sixteen digits fit exactly, so the shift loses nothing.
            self.left = self.left << 4 | u64::from(digit);
            return Ok(State::Size(digits + 1));
        }
        match byte {
            b'\r' if digits > 0 && self.left <= LARGEST => Ok(State::SizeLf),
            b'\n' if digits > 0 => Err(Fault::BareLf),
            b';' | b' ' | b'\t' if digits > 0 => Err(Fault::ChunkExtension),
            _ => Err(Fault::ChunkSize),
        }
    }

    fn trailer_byte(&mut self, byte: u8) -> Result<State, Fault> {
        if self.trailer_bytes.len() >= self.max_trailers {
            return Err(Fault::TrailerTooLong);
        }
        self.trailer_bytes.push(byte);
        if byte != b'\n' {
            return Ok(State::Trailer);
        }
        let line = self
            .trailer_bytes
            .get(self.trailer_line..)
            .unwrap_or_default();
        let Some(line) = line.strip_suffix(b"\r\n") else {
            return Err(Fault::BareLf);
        };
        if line.is_empty() {
            return Ok(State::End);
        }
        if self.trailers.len() >= self.max_trailer_count {
            return Err(Fault::TrailerTooLong);
        }
        let pushed = self.trailers.push(Line {
            bytes: line,
            at: self.trailer_line,
            clean: false,
        });
        pushed.map_err(|fault| match fault {
            Fault::BareCr => Fault::BareCr,
            _ => Fault::TrailerName,
        })?;
        let named = self.trailers.seen().with(self.trailers.aliased());
        if named.meets(HeaderSet::NOT_IN_TRAILERS) {
            return Err(Fault::TrailerForbidden);
        }
        self.trailer_line = self.trailer_bytes.len();
        Ok(State::Trailer)
    }
}
