//! How a body is framed: one function per side decides it, nobody else does.
//!
//! RFC 9112 §6.3, read strictly: a message that could be framed in two ways is refused,
//! never repaired.

use crate::headers::Headers;
use crate::name::{HeaderId, HeaderSet, Method, Version};
use crate::{Fault, scan};

/// How long a message's body is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum BodyFraming {
    /// No body, and no length was declared.
    #[default]
    None,
    /// So many bytes; 0 when a length of zero was declared.
    Length(u64),
    /// Chunks, then trailers.
    Chunked,
    /// Everything until the connection ends; responses only.
    UntilClose,
}

impl BodyFraming {
    /// Whether no body byte follows.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        matches!(self, Self::None | Self::Length(0))
    }

    /// How a response body that came with this framing goes on to a client of this
    /// version: until close becomes chunks for HTTP/1.1, chunks become until close for
    /// HTTP/1.0.
    #[must_use]
    pub const fn towards(self, client: Version) -> Self {
        match (self, client) {
            (Self::UntilClose, Version::Http11) => Self::Chunked,
            (Self::Chunked, Version::Http10) => Self::UntilClose,
            (same, _) => same,
        }
    }
}

/// What the framing headers declare, before it is known whether a body may follow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Declared {
    Nothing,
    Length(u64),
    Chunked,
}

/// Reads Content-Length and Transfer-Encoding; the same on both sides.
pub(crate) fn declared(headers: Headers<'_>, version: Version) -> Result<Declared, Fault> {
    const FRAMING: HeaderSet =
        HeaderSet::of(&[HeaderId::ContentLength, HeaderId::TransferEncoding]);
    if !headers.present().meets(FRAMING) {
        return Ok(Declared::Nothing);
    }
    let length = headers.first(HeaderId::ContentLength);
    let encoding = headers.first(HeaderId::TransferEncoding);
    if length.is_some() && encoding.is_some() {
        return Err(Fault::LengthAndEncoding);
    }
    if headers.index.repeated().has(HeaderId::ContentLength) {
        return Err(Fault::LengthDuplicate);
    }
    if headers.index.repeated().has(HeaderId::TransferEncoding) {
        return Err(Fault::EncodingDuplicate);
    }
    if let Some(encoding) = encoding {
        return match version {
            Version::Http10 => Err(Fault::EncodingOldVersion),
            Version::Http11 if encoding.eq_ignore_ascii_case(b"chunked") => Ok(Declared::Chunked),
            Version::Http11 => Err(Fault::EncodingUnknown),
        };
    }
    // Beyond i64, readers with signed numbers disagree with the others.
    let length = length
        .and_then(scan::decimal)
        .filter(|length| i64::try_from(*length).is_ok())
        .ok_or(Fault::LengthInvalid)?;
    Ok(Declared::Length(length))
}

/// The framing of a request's body.
pub(crate) fn of_request(
    headers: Headers<'_>,
    version: Version,
    method: Method,
) -> Result<BodyFraming, Fault> {
    const FRAMING: HeaderSet =
        HeaderSet::of(&[HeaderId::ContentLength, HeaderId::TransferEncoding]);
    if headers.index.aliased().meets(FRAMING) {
        return Err(Fault::FramingAlias);
    }
    let framing = match declared(headers, version)? {
        Declared::Nothing => BodyFraming::None,
        Declared::Length(length) => BodyFraming::Length(length),
        Declared::Chunked => BodyFraming::Chunked,
    };
    // RFC 9110 §9.3.6 and §9.3.8: neither has content, and readers differ on what
    // they do with it.
    if matches!(method, Method::Connect | Method::Trace) && !framing.is_empty() {
        return Err(Fault::BodyForbidden);
    }
    Ok(framing)
}

/// The framing of a response's body to a request with method `asked`.
pub(crate) const fn of_response(declared: Declared, status: u16, asked: Method) -> BodyFraming {
    let tunnel = matches!(asked, Method::Connect) && status >= 200 && status < 300;
    if status < 200 || matches!(status, 204 | 304) || matches!(asked, Method::Head) || tunnel {
        return BodyFraming::None;
    }
    match declared {
        Declared::Nothing => BodyFraming::UntilClose,
        Declared::Length(length) => BodyFraming::Length(length),
        Declared::Chunked => BodyFraming::Chunked,
    }
}

/// What the Connection header says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ConnectionSays {
    pub(crate) close: bool,
    pub(crate) keep_alive: bool,
    pub(crate) upgrade: bool,
    /// Known names to remove.
    pub(crate) nominated: HeaderSet,
    /// Whether it names a header that is not known here.
    pub(crate) nominates_other: bool,
}

impl ConnectionSays {
    /// No Connection header.
    pub(crate) const NOTHING: Self = Self {
        close: false,
        keep_alive: false,
        upgrade: false,
        nominated: HeaderSet::EMPTY,
        nominates_other: false,
    };

    /// Reads all Connection lines. A nominated name that is [`HeaderSet::PROTECTED`]
    /// stands in `nominated` like any other; each side decides what that means.
    pub(crate) fn read(headers: Headers<'_>) -> Result<Self, Fault> {
        let mut says = Self::NOTHING;
        if !headers.index.repeated().has(HeaderId::Connection) {
            // What nearly everybody sends.
            match headers.first(HeaderId::Connection) {
                None => return Ok(says),
                Some(b"keep-alive") => {
                    return Ok(Self {
                        keep_alive: true,
                        ..says
                    });
                }
                Some(b"close") => {
                    return Ok(Self {
                        close: true,
                        ..says
                    });
                }
                Some(_) => {}
            }
        }
        for token in headers.tokens(HeaderId::Connection) {
            if !scan::all_token(token) {
                return Err(Fault::ConnectionToken);
            }
            if token.eq_ignore_ascii_case(b"keep-alive") {
                says.keep_alive = true;
            } else if token.eq_ignore_ascii_case(b"close") {
                says.close = true;
            } else if token.eq_ignore_ascii_case(b"upgrade") {
                says.upgrade = true;
            } else {
                match HeaderId::of(token) {
                    HeaderId::Other => {
                        says.nominates_other = true;
                        says.nominated = says.nominated.and(HeaderId::alias_of(token));
                    }
                    id => says.nominated = says.nominated.and(id),
                }
            }
        }
        Ok(says)
    }

    /// Whether the connection may carry another message after this one.
    pub(crate) const fn persistent(self, version: Version) -> bool {
        match version {
            Version::Http11 => !self.close,
            Version::Http10 => self.keep_alive && !self.close,
        }
    }
}
