//! The head of a client's request.
//!
//! Parsing decides everything that later steps rely on (framing, host, persistence,
//! nominated headers) and refuses the rest; a [`Request`] exists only for a head that
//! passed.

use crate::framing::{self, BodyFraming, ConnectionSays};
use crate::head::Lines;
use crate::headers::{Headers, Index, control_fault, cut};
use crate::name::{HeaderId, HeaderSet, Method, Version};
use crate::{Fault, Host, HostKind, Limits, Parse, scan, split_target};

/// The form of a request target (RFC 9112 §3.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum TargetForm {
    /// `/path?query`
    #[default]
    Origin,
    /// `http://host/path?query`; its authority equals the Host header.
    Absolute,
    /// `host:port`, for CONNECT only.
    Authority,
    /// `*`, for OPTIONS only.
    Asterisk,
}

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

#[derive(Clone, Copy, Debug, Default)]
struct Range {
    from: u32,
    to: u32,
}

impl Range {
    fn of(from: usize, to: usize) -> Result<Self, Fault> {
        let place = |at| u32::try_from(at).map_err(|_| Fault::HeadTooLong);
        Ok(Self {
            from: place(from)?,
            to: place(to)?,
        })
    }

    fn cut(self, buf: &[u8]) -> &[u8] {
        cut(buf, self.from, self.to)
    }
}

/// A parser for request heads, and what it found: ranges, no bytes. Meant to be kept per
/// connection and cleared between requests.
#[derive(Clone, Debug)]
pub struct RequestHead {
    lines: Lines,
    stage: Stage,
    empty_lines: u8,
    index: Index,
    method: Method,
    method_at: Range,
    target_at: Range,
    /// Path and query inside the target; equal to it for the origin form.
    origin_at: Range,
    form: TargetForm,
    version: Version,
    framing: BodyFraming,
    says: ConnectionSays,
    expects_continue: bool,
}

impl Default for RequestHead {
    fn default() -> Self {
        Self::new()
    }
}

impl RequestHead {
    /// An empty head, ready to parse. Allocates nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            lines: Lines::new(),
            stage: Stage::Line,
            empty_lines: 0,
            index: Index::new(),
            method: Method::Get,
            method_at: Range { from: 0, to: 0 },
            target_at: Range { from: 0, to: 0 },
            origin_at: Range { from: 0, to: 0 },
            form: TargetForm::Origin,
            version: Version::Http11,
            framing: BodyFraming::None,
            says: ConnectionSays::NOTHING,
            expects_continue: false,
        }
    }

    /// Forgets the message and keeps the capacity.
    pub fn clear(&mut self) {
        self.index.clear();
        self.lines = Lines::new();
        self.stage = Stage::Line;
        self.empty_lines = 0;
        self.method_at = Range::default();
        self.target_at = Range::default();
        self.origin_at = Range::default();
        self.form = TargetForm::Origin;
        self.framing = BodyFraming::None;
        self.says = ConnectionSays::NOTHING;
        self.expects_continue = false;
    }

    /// Goes on parsing. `buf` begins with the message's first byte and holds all that
    /// came so far; it may hold more than the head. Once `Done` or `Refuse` was
    /// answered, the same is answered until [`RequestHead::clear`].
    pub fn parse(&mut self, buf: &[u8], limits: &Limits) -> Parse {
        match self.advance(buf, limits) {
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

    /// Whether no byte of a message was taken yet: an end of the connection now is a
    /// clean one.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.stage == Stage::Line && self.lines.is_fresh()
    }

    /// The parsed request. `buf` is what was given to the last `parse`, or at least
    /// its first `consumed` bytes. Meaningful only after `Done`.
    #[must_use]
    pub const fn request<'a>(&'a self, buf: &'a [u8]) -> Request<'a> {
        Request { head: self, buf }
    }

    /// As much of the request line as is known, for the log of a refused request:
    /// method and target as sent, empty when the line was not understood.
    #[must_use]
    pub fn partial_line<'a>(&self, buf: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        match self.stage {
            Stage::Line => (b"", b""),
            Stage::Headers | Stage::Done { .. } | Stage::Refused(_) => {
                (self.method_at.cut(buf), self.target_at.cut(buf))
            }
        }
    }

    /// The headers that were taken before a refusal, for its log.
    #[must_use]
    pub const fn partial_headers<'a>(&'a self, buf: &'a [u8]) -> Headers<'a> {
        Headers {
            index: &self.index,
            buf,
        }
    }

    fn advance(&mut self, buf: &[u8], limits: &Limits) -> Result<Option<usize>, Fault> {
        loop {
            match self.stage {
                Stage::Line => {
                    self.first_byte(buf)?;
                    let line = self
                        .lines
                        .next(buf, limits.line, Fault::LineTooLong, limits)?;
                    let Some(line) = line else { return Ok(None) };
                    if line.bytes.is_empty() {
                        self.empty_lines += 1;
                    } else {
                        self.line(line.bytes, line.at)?;
                        self.stage = Stage::Headers;
                    }
                }
                Stage::Headers => {
                    if !self.lines.headers(buf, &mut self.index, limits)? {
                        return Ok(None);
                    }
                    self.finish(buf)?;
                    return Ok(Some(self.lines.at()));
                }
                Stage::Done { consumed } => return Ok(Some(consumed)),
                Stage::Refused(fault) => return Err(fault),
            }
        }
    }

    /// Refuses what cannot become a request at its first byte (a TLS hello on a plain
    /// port, say), so that it need not wait for a line end that never comes. One empty
    /// line before the request is tolerated (RFC 9112 §2.2).
    fn first_byte(&self, buf: &[u8]) -> Result<(), Fault> {
        match self.lines.pending(buf).first() {
            None => Ok(()),
            Some(b'\r') if self.empty_lines == 0 => Ok(()),
            Some(b'\r') => Err(Fault::LineEmpty),
            Some(b'\n') => Err(Fault::BareLf),
            Some(byte) if scan::is_token(*byte) => Ok(()),
            Some(_) => Err(Fault::LineMethod),
        }
    }

    fn line(&mut self, line: &[u8], at: usize) -> Result<(), Fault> {
        let method_len = scan::token_prefix(line);
        let Some((method, [b' ', rest @ ..])) = line.split_at_checked(method_len) else {
            return Err(line_fault(line));
        };
        let (target, version) = match rest.split_last_chunk::<9>() {
            Some((target, b" HTTP/1.1")) => (target, Version::Http11),
            Some((target, b" HTTP/1.0")) => (target, Version::Http10),
            _ => return Err(line_fault(line)),
        };
        if target.is_empty() || !scan::is_target(target) {
            return Err(line_fault(line));
        }
        self.method = Method::of(method);
        self.version = version;
        self.method_at = Range::of(at, at + method_len)?;
        let from = at + method_len + 1;
        self.target_at = Range::of(from, from + target.len())?;
        self.origin_at = self.target_at;
        Ok(())
    }

    /// Everything that needs the whole head.
    fn finish(&mut self, buf: &[u8]) -> Result<(), Fault> {
        const RARE: HeaderSet = HeaderSet::of(&[HeaderId::Connection, HeaderId::Expect]);
        let headers = Headers {
            index: &self.index,
            buf,
        };
        self.framing = framing::of_request(headers, self.version, self.method)?;
        let host = self.checked_host(headers)?;
        let (form, origin) = self.checked_target(buf, host)?;
        if headers.present().meets(RARE) {
            self.says = ConnectionSays::read(headers)?;
            if self.says.nominated.meets(HeaderSet::PROTECTED) {
                return Err(Fault::ConnectionProtected);
            }
            self.expects_continue = checked_expect(headers, self.version)?;
        }
        (self.form, self.origin_at) = (form, origin);
        Ok(())
    }

    fn checked_host<'a>(&self, headers: Headers<'a>) -> Result<Option<Host<'a>>, Fault> {
        if headers.index.repeated().has(HeaderId::Host) {
            return Err(Fault::HostDuplicate);
        }
        match (headers.first(HeaderId::Host), self.version) {
            (Some(host), _) => Host::parse(host).map(Some),
            (None, Version::Http10) => Ok(None),
            (None, Version::Http11) => Err(Fault::HostMissing),
        }
    }

    /// The target's form, and where its path and query lie.
    fn checked_target(
        &self,
        buf: &[u8],
        host: Option<Host<'_>>,
    ) -> Result<(TargetForm, Range), Fault> {
        let target = self.target_at.cut(buf);
        match (self.method, target) {
            (Method::Connect, authority) => {
                let named = Host::parse(authority).map_err(|_| Fault::TargetForm)?;
                named.port.ok_or(Fault::TargetForm)?;
                same_authority(named, host)?;
                Ok((TargetForm::Authority, self.target_at))
            }
            (_, [b'/', ..]) => Ok((TargetForm::Origin, self.target_at)),
            (Method::Options, b"*") => Ok((TargetForm::Asterisk, self.target_at)),
            (_, absolute) => {
                let authority = after_scheme(absolute).ok_or(Fault::TargetForm)?;
                let end = authority
                    .iter()
                    .position(|b| matches!(b, b'/' | b'?'))
                    .unwrap_or(authority.len());
                let (authority, path) = authority.split_at_checked(end).ok_or(Fault::TargetForm)?;
                // `http://host?query` has no path that could be handed on unchanged.
                if path.first() == Some(&b'?') {
                    return Err(Fault::TargetForm);
                }
                let named = Host::parse(authority).map_err(|_| Fault::TargetHost)?;
                same_authority(named, host)?;
                let to = self.target_at.to as usize;
                Ok((TargetForm::Absolute, Range::of(to - path.len(), to)?))
            }
        }
    }
}

/// What follows `http://` or `https://`.
fn after_scheme(target: &[u8]) -> Option<&[u8]> {
    [&b"http://"[..], b"https://"].iter().find_map(|scheme| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    })
}

/// A target that names a host must name the one in the Host header, port included.
fn same_authority(named: Host<'_>, host: Option<Host<'_>>) -> Result<(), Fault> {
    let same = host.is_some_and(|host| {
        named.port == host.port
            && named.name.eq_ignore_ascii_case(host.name)
            && matches!(named.kind, HostKind::V6(_)) == matches!(host.kind, HostKind::V6(_))
    });
    if same { Ok(()) } else { Err(Fault::TargetHost) }
}

/// RFC 9110 §10.1.1: an expectation in an HTTP/1.0 request is ignored.
fn checked_expect(headers: Headers<'_>, version: Version) -> Result<bool, Fault> {
    let mut expects = false;
    for value in headers.all(HeaderId::Expect) {
        if !value.eq_ignore_ascii_case(b"100-continue") {
            return Err(Fault::ExpectUnknown);
        }
        expects = version == Version::Http11;
    }
    Ok(expects)
}

/// Which fault a request line has that is not of the one right shape. Cold.
#[cold]
fn line_fault(line: &[u8]) -> Fault {
    if !scan::is_clean(line, false) {
        return control_fault(line, Fault::LineControl);
    }
    let mut parts = line.split(|b| *b == b' ');
    let (method, target, version, more) = (parts.next(), parts.next(), parts.next(), parts.next());
    if !method.is_some_and(scan::all_token) {
        return Fault::LineMethod;
    }
    let (Some(target), None) = (target, more) else {
        return Fault::LineShape;
    };
    if target.is_empty() {
        return Fault::LineShape;
    }
    match version {
        None => Fault::LineHttp09,
        Some([]) => Fault::LineShape,
        Some(b"HTTP/1.1" | b"HTTP/1.0") => Fault::TargetFragment,
        Some([b'H', b'T', b'T', b'P', b'/', major, b'.', minor])
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Fault::LineUnknownVersion
        }
        Some(_) => Fault::LineVersion,
    }
}

/// A request that passed all checks. Cheap to copy.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    head: &'a RequestHead,
    buf: &'a [u8],
}

impl<'a> Request<'a> {
    /// The method.
    #[must_use]
    pub const fn method(&self) -> Method {
        self.head.method
    }

    /// The method as sent.
    #[must_use]
    pub fn method_bytes(&self) -> &'a [u8] {
        self.head.method_at.cut(self.buf)
    }

    /// The target as sent, in whichever form.
    #[must_use]
    pub fn raw_target(&self) -> &'a [u8] {
        self.head.target_at.cut(self.buf)
    }

    /// The target in origin form, as the upstream gets it: path and query. `*` and
    /// `host:port` stand as they are; an absolute target without a path is `/`, or `*`
    /// for OPTIONS (RFC 9112 §3.2.4).
    #[must_use]
    pub fn target(&self) -> &'a [u8] {
        match (self.head.origin_at.cut(self.buf), self.head.method) {
            (b"", Method::Options) => b"*",
            (b"", _) => b"/",
            (target, _) => target,
        }
    }

    /// The path of [`Request::target`], undecoded.
    #[must_use]
    pub fn path(&self) -> &'a [u8] {
        split_target(self.target()).0
    }

    /// What follows the first `?`, `None` when there is none.
    #[must_use]
    pub fn query(&self) -> Option<&'a [u8]> {
        split_target(self.target()).1
    }

    /// The form the target was sent in.
    #[must_use]
    pub const fn form(&self) -> TargetForm {
        self.head.form
    }

    /// The version.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.head.version
    }

    /// The header lines.
    #[must_use]
    pub const fn headers(&self) -> Headers<'a> {
        Headers {
            index: &self.head.index,
            buf: self.buf,
        }
    }

    /// The host; only an HTTP/1.0 request can lack one.
    #[must_use]
    pub fn host(&self) -> Option<Host<'a>> {
        Host::parse(self.headers().first(HeaderId::Host)?).ok()
    }

    /// How the body is framed; never `UntilClose`.
    #[must_use]
    pub const fn framing(&self) -> BodyFraming {
        self.head.framing
    }

    /// Whether the client wants to send another request on this connection.
    #[must_use]
    pub const fn persistent(&self) -> bool {
        self.head.says.persistent(self.head.version)
    }

    /// Whether the client waits for `100 Continue` before it sends the body. Never for
    /// HTTP/1.0, never without a body.
    #[must_use]
    pub const fn expects_continue(&self) -> bool {
        self.head.expects_continue && !self.head.framing.is_empty()
    }

    /// The protocols the client offers to switch to, when it does so properly: HTTP/1.1,
    /// `Connection: upgrade` and an `Upgrade` header. The bytes behind such a request
    /// are HTTP until a 101 was seen.
    #[must_use]
    pub fn upgrade(&self) -> Option<&'a [u8]> {
        if !self.head.says.upgrade || self.head.version == Version::Http10 {
            return None;
        }
        self.headers().first(HeaderId::Upgrade)
    }

    pub(crate) const fn says(&self) -> ConnectionSays {
        self.head.says
    }
}
