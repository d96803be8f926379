//! Writing messages: always anew, from parsed pieces, never a copy of what came.
//!
//! Hop-by-hop headers (RFC 9110 §7.6.1) and those that `Connection` nominates are left
//! out; framing and `Connection` are written from what was decided. A header whose name
//! a gateway might mistake for one that is dropped or protected (`X_Forwarded_For`) is
//! left out too; other odd names pass unchanged.

use crate::headers::Headers;
use crate::name::{HeaderId, HeaderSet, Version};
use crate::{BodyFraming, Request, Response, scan};

/// The interim response that lets a client send its body.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A header to add, checked when it is made so that nothing can be injected by it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field<'a> {
    name: &'a [u8],
    value: &'a [u8],
}

impl<'a> Field<'a> {
    /// A header line. `None` when the name is no token or belongs to framing or the
    /// connection, or when the value holds a control character other than a tab.
    #[must_use]
    pub fn new(name: &'a [u8], value: &'a [u8]) -> Option<Self> {
        let ours = HeaderSet::of(&[
            HeaderId::ContentLength,
            HeaderId::TransferEncoding,
            HeaderId::Connection,
            HeaderId::Upgrade,
            HeaderId::Te,
        ]);
        let fits =
            scan::all_token(name) && scan::is_clean(value, true) && !ours.has(HeaderId::of(name));
        fits.then_some(Self { name, value })
    }
}

/// What changes while a request is written towards an upstream.
#[derive(Clone, Copy, Debug)]
pub struct RequestWrite<'a> {
    /// Another target in origin form; `None` keeps [`Request::target`]. Must hold no
    /// space and no control character: a target that does is not written, the
    /// request's own stands.
    pub target: Option<&'a [u8]>,
    /// Another Host; `None` keeps the client's. Give one for an HTTP/1.0 request
    /// without Host, else none is written.
    pub host: Option<&'a [u8]>,
    /// Known headers to leave out, besides the hop-by-hop ones. By default
    /// [`HeaderSet::FORWARDED`].
    pub drop: HeaderSet,
    /// Further names to leave out, in any case.
    pub drop_names: &'a [&'a [u8]],
    /// Headers to add at the end.
    pub add: &'a [Field<'a>],
    /// Protocols that may be switched to, such as `websocket`, in any case. What the
    /// client offers besides is left out.
    pub upgrades: &'a [&'a [u8]],
}

impl Default for RequestWrite<'_> {
    fn default() -> Self {
        Self {
            target: None,
            host: None,
            drop: HeaderSet::FORWARDED,
            drop_names: &[],
            add: &[],
            upgrades: &[],
        }
    }
}

/// Appends the request's head, as HTTP/1.1. The body follows with the request's own
/// framing: length, or chunks (use [`write_chunk_head`] and its kin).
pub fn write_request(out: &mut Vec<u8>, request: &Request<'_>, how: &RequestWrite<'_>) {
    let headers = request.headers();
    let says = request.says();
    let chunked = request.framing() == BodyFraming::Chunked;
    out.extend_from_slice(request.method_bytes());
    out.push(b' ');
    let target = how.target.filter(|t| !t.is_empty() && scan::is_target(t));
    out.extend_from_slice(target.unwrap_or_else(|| request.target()));
    out.extend_from_slice(b" HTTP/1.1\r\n");
    let mut drop = how.drop.with(HeaderSet::HOP_BY_HOP).with(says.nominated);
    if let Some(host) = how.host.filter(|host| scan::is_clean(host, false)) {
        line(out, b"Host", host);
        drop = drop.and(HeaderId::Host);
    }
    if !request.expects_continue() {
        drop = drop.and(HeaderId::Expect);
    }
    if chunked && !how.drop.has(HeaderId::Trailer) {
        drop = drop.without(HeaderSet::of(&[HeaderId::Trailer]));
    }
    let nominating = if says.nominates_other {
        Some(headers)
    } else {
        None
    };
    copy(
        out,
        headers,
        &Omit {
            drop,
            names: how.drop_names,
            nominating,
        },
    );
    fields(out, how.add);
    request_connection(out, request, how.upgrades);
    framing(out, request.framing());
    out.extend_from_slice(b"\r\n");
}

/// Connection, Upgrade and TE: the only hop-by-hop wishes that go on.
fn request_connection(out: &mut Vec<u8>, request: &Request<'_>, upgrades: &[&[u8]]) {
    let headers = request.headers();
    let te = headers
        .tokens(HeaderId::Te)
        .any(|t| t.eq_ignore_ascii_case(b"trailers"));
    let allowed = |protocol: &[u8]| upgrades.iter().any(|u| u.eq_ignore_ascii_case(protocol));
    let offers = || headers.tokens(HeaderId::Upgrade).filter(|p| allowed(p));
    let upgrade = request.upgrade().is_some() && offers().next().is_some();
    match (upgrade, te) {
        (true, true) => out.extend_from_slice(b"Connection: upgrade, TE\r\n"),
        (true, false) => out.extend_from_slice(b"Connection: upgrade\r\n"),
        (false, true) => out.extend_from_slice(b"Connection: TE\r\n"),
        (false, false) => return,
    }
    if te {
        out.extend_from_slice(b"TE: trailers\r\n");
    }
    if upgrade {
        let mut before: &[u8] = b"Upgrade: ";
        for protocol in offers() {
            out.extend_from_slice(before);
            out.extend_from_slice(protocol);
            before = b", ";
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// How a response is written towards a client.
#[derive(Clone, Copy, Debug)]
pub struct ResponseWrite<'a> {
    /// The framing towards the client; see [`BodyFraming::towards`]. `UntilClose` ends
    /// the connection whatever `persistent` says.
    pub framing: BodyFraming,
    /// The version the client spoke.
    pub client: Version,
    /// Whether the client's connection stays open.
    pub persistent: bool,
    /// Known headers to leave out, besides the hop-by-hop ones.
    pub drop: HeaderSet,
    /// Further names to leave out, in any case.
    pub drop_names: &'a [&'a [u8]],
    /// Headers to add at the end.
    pub add: &'a [Field<'a>],
}

/// Appends the head of a final response, or of a 101.
pub fn write_response(out: &mut Vec<u8>, response: &Response<'_>, how: &ResponseWrite<'_>) {
    status_line(out, response.status(), response.reason());
    let headers = response.headers();
    let says = response.says();
    let nominated = says.nominated.without(HeaderSet::PROTECTED);
    let mut drop = how.drop.with(HeaderSet::HOP_BY_HOP).with(nominated);
    if how.framing == BodyFraming::Chunked && !how.drop.has(HeaderId::Trailer) {
        drop = drop.without(HeaderSet::of(&[HeaderId::Trailer]));
    }
    let nominating = if says.nominates_other {
        Some(headers)
    } else {
        None
    };
    copy(
        out,
        headers,
        &Omit {
            drop,
            names: how.drop_names,
            nominating,
        },
    );
    fields(out, how.add);
    if response.status() == 101 {
        out.extend_from_slice(b"Connection: upgrade\r\n");
        for protocol in headers.all(HeaderId::Upgrade) {
            line(out, b"Upgrade", protocol);
        }
        out.extend_from_slice(b"\r\n");
        return;
    }
    connection(
        out,
        how.client,
        how.persistent && how.framing != BodyFraming::UntilClose,
    );
    match (how.framing, response.informative_length()) {
        (BodyFraming::None, Some(length)) => framing(out, BodyFraming::Length(length)),
        (decided, _) => framing(out, decided),
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends the head of an interim response (100, 102, 103, …) as the upstream sent it,
/// without hop-by-hop headers. Only for HTTP/1.1 clients.
pub fn write_informational(out: &mut Vec<u8>, response: &Response<'_>, drop: HeaderSet) {
    status_line(out, response.status(), response.reason());
    let drop = drop.with(HeaderSet::HOP_BY_HOP);
    copy(
        out,
        response.headers(),
        &Omit {
            drop,
            names: &[],
            nominating: None,
        },
    );
    out.extend_from_slice(b"\r\n");
}

/// A whole small response that we ourselves give.
#[derive(Clone, Copy, Debug)]
pub struct ShortAnswer<'a> {
    /// 200 to 599.
    pub status: u16,
    /// The version the client spoke; [`Version::Http11`] when unknown.
    pub client: Version,
    /// Whether the connection stays open.
    pub persistent: bool,
    /// Headers, Content-Type among them.
    pub add: &'a [Field<'a>],
    /// The body.
    pub body: &'a [u8],
    /// Whether this answers HEAD: the length is told, the body not sent.
    pub head_only: bool,
}

/// Appends a whole small response, body included.
pub fn write_short_answer(out: &mut Vec<u8>, answer: &ShortAnswer<'_>) {
    status_line(out, answer.status, reason(answer.status).as_bytes());
    fields(out, answer.add);
    connection(out, answer.client, answer.persistent);
    if !matches!(answer.status, 204 | 304) {
        framing(out, BodyFraming::Length(answer.body.len() as u64));
    }
    out.extend_from_slice(b"\r\n");
    if !answer.head_only && !matches!(answer.status, 204 | 304) {
        out.extend_from_slice(answer.body);
    }
}

/// Appends the line before a chunk of `length` bytes; nothing for 0, which would end
/// the body. Data and [`write_chunk_end`] follow.
pub fn write_chunk_head(out: &mut Vec<u8>, length: usize) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    if length == 0 {
        return;
    }
    let mut text = [0_u8; 16];
    let mut at = text.len();
    let mut rest = length;
    while rest > 0 {
        at -= 1;
        if let (Some(to), Some(digit)) = (text.get_mut(at), DIGITS.get(rest & 15)) {
            *to = *digit;
        }
        rest >>= 4;
    }
    out.extend_from_slice(text.get(at..).unwrap_or_default());
    out.extend_from_slice(b"\r\n");
}

/// Appends what follows a chunk's data.
pub fn write_chunk_end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"\r\n");
}

/// Appends the last chunk and the trailers, which end the body.
pub fn write_last_chunk(out: &mut Vec<u8>, trailers: Option<Headers<'_>>) {
    out.extend_from_slice(b"0\r\n");
    if let Some(trailers) = trailers {
        copy(
            out,
            trailers,
            &Omit {
                drop: HeaderSet::NOT_IN_TRAILERS,
                names: &[],
                nominating: None,
            },
        );
    }
    out.extend_from_slice(b"\r\n");
}

/// Which headers a copy leaves out.
struct Omit<'a> {
    drop: HeaderSet,
    names: &'a [&'a [u8]],
    /// The headers whose Connection lines nominate names that are not known here.
    nominating: Option<Headers<'a>>,
}

impl Omit<'_> {
    fn omits(&self, id: HeaderId, alias: HeaderId, name: &[u8]) -> bool {
        if self.drop.has(id) || self.drop.with(HeaderSet::PROTECTED).has(alias) {
            return true;
        }
        if self.names.iter().any(|dropped| same_name(dropped, name)) {
            return true;
        }
        id == HeaderId::Other
            && self.nominating.is_some_and(|headers| {
                headers
                    .tokens(HeaderId::Connection)
                    .any(|token| token.eq_ignore_ascii_case(name))
            })
    }
}

/// Whether a gateway could take one name for the other.
fn same_name(a: &[u8], b: &[u8]) -> bool {
    let fold = |byte: u8| {
        if scan::is_odd(byte) {
            b'-'
        } else {
            byte.to_ascii_lowercase()
        }
    };
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| fold(*a) == fold(*b))
}

/// Copies the headers that are not omitted. Lines that are already written the usual
/// way and stand side by side are copied as one run.
fn copy(out: &mut Vec<u8>, headers: Headers<'_>, omit: &Omit<'_>) {
    let mut run: Option<(u32, u32)> = None;
    for (slot, header) in headers.slots() {
        if omit.omits(header.id, header.alias, header.name) {
            continue;
        }
        let Some((from, to)) = slot.usual_line() else {
            flush(out, headers, run.take());
            line(out, header.name, header.value);
            continue;
        };
        run = match run {
            Some((start, end)) if end == from => Some((start, to)),
            other => {
                flush(out, headers, other);
                Some((from, to))
            }
        };
    }
    flush(out, headers, run);
}

fn flush(out: &mut Vec<u8>, headers: Headers<'_>, run: Option<(u32, u32)>) {
    if let Some((from, to)) = run {
        out.extend_from_slice(crate::headers::cut(headers.buf, from, to));
    }
}

fn line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn fields(out: &mut Vec<u8>, fields: &[Field<'_>]) {
    for field in fields {
        line(out, field.name, field.value);
    }
}

fn framing(out: &mut Vec<u8>, framing: BodyFraming) {
    match framing {
        BodyFraming::Length(length) => {
            out.extend_from_slice(b"Content-Length: ");
            decimal(out, length);
            out.extend_from_slice(b"\r\n");
        }
        BodyFraming::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        BodyFraming::None | BodyFraming::UntilClose => {}
    }
}

fn connection(out: &mut Vec<u8>, client: Version, persistent: bool) {
    match (persistent, client) {
        (false, _) => out.extend_from_slice(b"Connection: close\r\n"),
        (true, Version::Http10) => out.extend_from_slice(b"Connection: keep-alive\r\n"),
        (true, Version::Http11) => {}
    }
}

fn status_line(out: &mut Vec<u8>, status: u16, reason: &[u8]) {
    out.extend_from_slice(b"HTTP/1.1 ");
    decimal(out, u64::from(status));
    out.push(b' ');
    out.extend_from_slice(reason);
    out.extend_from_slice(b"\r\n");
}

fn decimal(out: &mut Vec<u8>, mut number: u64) {
    let mut text = [b'0'; 20];
    let mut at = text.len();
    loop {
        at -= 1;
        if let Some(to) = text.get_mut(at) {
            *to = b'0' + u8::try_from(number % 10).unwrap_or(0);
        }
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(text.get(at..).unwrap_or_default());
}

/// The usual reason phrase of a status; empty for rare ones.
#[must_use]
pub const fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Content Too Large",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}
