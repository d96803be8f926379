//! Responses of upstreams.

use super::{Expect, Row, deny, row};
use crate::{BodyFraming, Fault, Method};

fn to(asked: Method, row: Row) -> Row {
    Row { asked, ..row }
}

const fn empty(name: &'static str, bytes: &'static [u8]) -> Row {
    row(name, bytes, Expect::Pass(BodyFraming::None, b""))
}

pub(super) fn fixed() -> Vec<Row> {
    let mut rows = passing();
    rows.extend(refused());
    rows
}

#[rustfmt::skip] // one row, one line
fn passing() -> Vec<Row> {
    let length = |name, bytes, body: &'static [u8]| {
        row(name, bytes, Expect::Pass(BodyFraming::Length(body.len() as u64), body))
    };
    let until_close =
        |name, bytes, body| row(name, bytes, Expect::Pass(BodyFraming::UntilClose, body));
    let chunked = |name, bytes, body| row(name, bytes, Expect::Pass(BodyFraming::Chunked, body));
    vec![
        length("200 with length", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
        length("length on 1.0", b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
        length("length zero", b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", b""),
        length("no reason", b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", b""),
        length("no reason, no space", b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", b""),
        length("reason of many words and obs-text", b"HTTP/1.1 418 I'm a \xe9 pot\r\nContent-Length: 0\r\n\r\n", b""),
        chunked("chunked", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nhi\r\n0\r\nX: y\r\n\r\n", b"hi"),
        until_close("until close", b"HTTP/1.1 200 OK\r\n\r\nhello", b"hello"),
        until_close("until close on 1.0", b"HTTP/1.0 200 OK\r\nServer: x\r\n\r\nhi", b"hi"),
        empty("100 continue", b"HTTP/1.1 100 Continue\r\n\r\n"),
        empty("103 early hints", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
        empty("101 switching", b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"),
        empty("204", b"HTTP/1.1 204 No Content\r\n\r\n"),
        empty("204 with length zero", b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"),
        empty("304 with length", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n"),
        empty("304 chunked", b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n"),
        to(Method::Head, empty("head with length", b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")),
        to(Method::Head, empty("head chunked", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")),
        to(Method::Head, empty("head with nothing", b"HTTP/1.1 200 OK\r\n\r\n")),
        to(Method::Connect, empty("connect 200", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")),
        to(Method::Connect, length("connect 403", b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", b"no")),
    ]
}

#[rustfmt::skip] // one row, one line
fn refused() -> Vec<Row> {
    vec![
        deny("DENY cl and te", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Fault::LengthAndEncoding),
        deny("DENY cl and te in a 304", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", Fault::LengthAndEncoding),
        deny("DENY differing lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", Fault::LengthDuplicate),
        deny("DENY equal lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", Fault::LengthDuplicate),
        deny("DENY length list", b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello", Fault::LengthInvalid),
        deny("DENY length with sign", b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", Fault::LengthInvalid),
        deny("DENY te on 1.0", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Fault::EncodingOldVersion),
        deny("DENY te gzip", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", Fault::EncodingUnknown),
        deny("DENY te twice", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", Fault::EncodingDuplicate),
        deny("DENY bare lf", b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n", Fault::BareLf),
        deny("DENY bare cr in value", b"HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b\r\n\r\n", Fault::BareCr),
        deny("DENY bare lf in header", b"HTTP/1.1 200 OK\r\nX: a\nSet-Cookie: b\r\n\r\n", Fault::BareLf),
        deny("DENY fold", b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", Fault::HeaderFold),
        deny("DENY space before colon", b"HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n", Fault::HeaderSpace),
        deny("DENY nul in value", b"HTTP/1.1 200 OK\r\nX: \0\r\n\r\n", Fault::HeaderControl),
        deny("DENY no colon", b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", Fault::HeaderColon),
        deny("DENY http/2", b"HTTP/2.0 200 OK\r\n\r\n", Fault::LineUnknownVersion),
        deny("DENY http/2 short", b"HTTP/2 200 OK\r\n\r\n", Fault::LineUnknownVersion),
        deny("DENY http/0.9 body", b"<html>hello</html>\r\n", Fault::LineVersion),
        deny("DENY empty line first", b"\r\nHTTP/1.1 200 OK\r\n\r\n", Fault::LineVersion),
        deny("DENY two-digit status", b"HTTP/1.1 20 OK\r\n\r\n", Fault::LineStatus),
        deny("DENY four-digit status", b"HTTP/1.1 2000 OK\r\n\r\n", Fault::LineStatus),
        deny("DENY status below 100", b"HTTP/1.1 099 No\r\n\r\n", Fault::LineStatus),
        deny("DENY status 600", b"HTTP/1.1 600 No\r\n\r\n", Fault::LineStatus),
        deny("DENY status with sign", b"HTTP/1.1 +20 OK\r\n\r\n", Fault::LineStatus),
        deny("DENY two spaces before status", b"HTTP/1.1  200 OK\r\n\r\n", Fault::LineStatus),
        deny("DENY control in reason", b"HTTP/1.1 200 O\x1bK\r\n\r\n", Fault::LineControl),
        deny("DENY bare cr in reason", b"HTTP/1.1 200 O\rK\r\n\r\n", Fault::BareCr),
        deny("DENY connection not a token", b"HTTP/1.1 200 OK\r\nConnection: a b\r\n\r\n", Fault::ConnectionToken),
        row("DENY chunk extension", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;a\r\nx\r\n0\r\n\r\n", Expect::DenyBody(Fault::ChunkExtension)),
        row("DENY forbidden trailer", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nSet-Cookie: a\r\n\r\n", Expect::DenyBody(Fault::TrailerForbidden)),
    ]
}
