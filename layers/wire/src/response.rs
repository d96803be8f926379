//! The head of an upstream's response.
//!
//! As strict as for requests: an upstream that can be made to answer ambiguously is
//! how response splitting works. Every fault is answered to the client with
//! [`Fault::UPSTREAM_STATUS`].

use crate::framing::{self, BodyFraming, ConnectionSays, Declared};
use crate::head::Lines;
use crate::headers::{Headers, Index, control_fault, cut};
use crate::name::{HeaderId, Method, Version};
use crate::{Fault, Limits, Parse, scan};

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Stage {
    #[default]
    Line,
    Headers,
    Done {
        consumed: usize,
    },
    Refused(Fault),
}

/// A parser for response heads, and what it found. Meant to be kept per connection;
/// clear it after every head, interim (1xx) ones included.
#[derive(Clone, Debug)]
pub struct ResponseHead {
    lines: Lines,
    stage: Stage,
    index: Index,
    version: Version,
    status: u16,
    reason_at: (u32, u32),
    declared: Declared,
    framing: BodyFraming,
    /// Whether a length may stand without a body.
    informative: bool,
    says: ConnectionSays,
}

impl Default for ResponseHead {
    fn default() -> Self {
        Self::new()
    }
}

impl ResponseHead {
    /// An empty head, ready to parse. Allocates nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            lines: Lines::new(),
            stage: Stage::Line,
            index: Index::new(),
            version: Version::Http11,
            status: 0,
            reason_at: (0, 0),
            declared: Declared::Nothing,
            framing: BodyFraming::None,
            informative: false,
            says: ConnectionSays::NOTHING,
        }
    }

    /// Forgets the message and keeps the capacity.
    pub fn clear(&mut self) {
        self.index.clear();
        self.lines = Lines::new();
        self.stage = Stage::Line;
        self.says = ConnectionSays::NOTHING;
    }

    /// Goes on parsing; as [`RequestHead::parse`](crate::RequestHead::parse). `asked`
    /// is the method of the request that this answers: it decides whether a body follows.
    pub fn parse(&mut self, buf: &[u8], limits: &Limits, asked: Method) -> Parse {
        match self.advance(buf, limits, asked) {
            Ok(Some(consumed)) => {
                self.stage = Stage::Done { consumed };
                Parse::Done { consumed }
            }
            Ok(None) => Parse::Partial,
            Err(fault) => {
                self.stage = Stage::Refused(fault);
                Parse::Refuse(fault)
            }
        }
    }

    /// Whether no byte of a response was taken yet: a kept connection that ends now
    /// was merely closed, and an idempotent request may be sent again elsewhere.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.stage == Stage::Line && self.lines.is_fresh()
    }

    /// The parsed response; see [`RequestHead::request`](crate::RequestHead::request).
    #[must_use]
    pub const fn response<'a>(&'a self, buf: &'a [u8]) -> Response<'a> {
        Response { head: self, buf }
    }

    fn advance(
        &mut self,
        buf: &[u8],
        limits: &Limits,
        asked: Method,
    ) -> Result<Option<usize>, Fault> {
        loop {
            match self.stage {
                Stage::Line => {
                    let line = self
                        .lines
                        .next(buf, limits.line, Fault::LineTooLong, limits)?;
                    let Some(line) = line else { return Ok(None) };
                    self.line(line.bytes, line.at)?;
                    self.stage = Stage::Headers;
                }
                Stage::Headers => {
                    if !self.lines.headers(buf, &mut self.index, limits)? {
                        return Ok(None);
                    }
                    let headers = Headers {
                        index: &self.index,
                        buf,
                    };
                    self.declared = framing::declared(headers, self.version)?;
                    self.framing = framing::of_response(self.declared, self.status, asked);
                    self.informative = self.status == 304
                        || (asked == Method::Head && !matches!(self.status, 100..=199 | 204));
                    if headers.present().has(HeaderId::Connection) {
                        self.says = ConnectionSays::read(headers)?;
                    }
                    return Ok(Some(self.lines.at()));
                }
                Stage::Done { consumed } => return Ok(Some(consumed)),
                Stage::Refused(fault) => return Err(fault),
            }
        }
    }

    /// `HTTP/1.1 200 OK`; the reason, and the space before it, may be missing.
    fn line(&mut self, line: &[u8], at: usize) -> Result<(), Fault> {
        if !scan::is_clean(line, true) {
            return Err(control_fault(line, Fault::LineControl));
        }
        let (version, rest) = line.split_first_chunk::<8>().ok_or(Fault::LineVersion)?;
        self.version = match version {
            b"HTTP/1.1" => Version::Http11,
            b"HTTP/1.0" => Version::Http10,
            [b'H', b'T', b'T', b'P', b'/', ..] => return Err(Fault::LineUnknownVersion),
            _ => return Err(Fault::LineVersion),
        };
        let (digits, reason) = match rest {
            [b' ', a, b, c] => ([*a, *b, *c], 0),
            [b' ', a, b, c, b' ', reason @ ..] => ([*a, *b, *c], reason.len()),
            _ => return Err(Fault::LineStatus),
        };
        let status = scan::decimal(&digits).and_then(|status| u16::try_from(status).ok());
        self.status = status
            .filter(|status| (100..600).contains(status))
            .ok_or(Fault::LineStatus)?;
        let end = at + line.len();
        let place = |at| u32::try_from(at).map_err(|_| Fault::HeadTooLong);
        self.reason_at = (place(end - reason)?, place(end)?);
        Ok(())
    }
}

/// A response that passed all checks. Cheap to copy.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    head: &'a ResponseHead,
    buf: &'a [u8],
}

impl<'a> Response<'a> {
    /// The version the upstream answered with.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.head.version
    }

    /// The status, 100 to 599.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.head.status
    }

    /// The reason phrase, possibly empty.
    #[must_use]
    pub fn reason(&self) -> &'a [u8] {
        cut(self.buf, self.head.reason_at.0, self.head.reason_at.1)
    }

    /// Whether this is an interim response, after which another head follows. 101 is
    /// not: after it the connection speaks another protocol.
    #[must_use]
    pub const fn is_interim(&self) -> bool {
        self.head.status < 200 && self.head.status != 101
    }

    /// The header lines.
    #[must_use]
    pub const fn headers(&self) -> Headers<'a> {
        Headers {
            index: &self.head.index,
            buf: self.buf,
        }
    }

    /// How the body is framed, given the method that was asked.
    #[must_use]
    pub const fn framing(&self) -> BodyFraming {
        self.head.framing
    }

    /// The Content-Length, also where no body follows (HEAD, 304).
    #[must_use]
    pub const fn declared_length(&self) -> Option<u64> {
        match self.head.declared {
            Declared::Length(length) => Some(length),
            Declared::Nothing | Declared::Chunked => None,
        }
    }

    /// Whether the upstream connection may be used again once the body was read.
    ///
    /// False after a body until close, after 101, and after a 204 that declares a body:
    /// such an upstream may send one all the same.
    #[must_use]
    pub const fn persistent(&self) -> bool {
        let odd_204 = self.head.status == 204
            && !matches!(self.head.declared, Declared::Nothing | Declared::Length(0));
        self.head.says.persistent(self.head.version)
            && !matches!(self.head.framing, BodyFraming::UntilClose)
            && self.head.status != 101
            && !odd_204
    }

    /// The protocol switched to, for a proper 101.
    #[must_use]
    pub fn upgrade(&self) -> Option<&'a [u8]> {
        if self.head.status != 101 || !self.head.says.upgrade {
            return None;
        }
        self.headers().first(HeaderId::Upgrade)
    }

    /// The length to tell where no body follows: to HEAD and with 304 (RFC 9110 §8.6).
    pub(crate) const fn informative_length(&self) -> Option<u64> {
        if self.head.informative {
            self.declared_length()
        } else {
            None
        }
    }

    pub(crate) const fn says(&self) -> ConnectionSays {
        self.head.says
    }
}
