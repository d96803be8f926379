//! Requests. Allow rows first within each group, DENY rows after them.

use std::borrow::Cow;

use super::{Expect, Row, deny, pass, row};
use crate::{BodyFraming, Fault, Method};

const fn length(name: &'static str, bytes: &'static [u8], body: &'static [u8]) -> Row {
    row(
        name,
        bytes,
        Expect::Pass(BodyFraming::Length(body.len() as u64), body),
    )
}

const fn chunked(name: &'static str, bytes: &'static [u8], body: &'static [u8]) -> Row {
    row(name, bytes, Expect::Pass(BodyFraming::Chunked, body))
}

pub(super) fn fixed() -> Vec<Row> {
    [
        line(),
        target(),
        host(),
        line_ends(),
        headers(),
        lengths(),
        encodings(),
        connection(),
        bodies(),
    ]
    .concat()
}

#[rustfmt::skip] // one row, one line
fn line() -> Vec<Row> {
    vec![
        pass("plain get", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        pass("http/1.0 without host", b"GET / HTTP/1.0\r\n\r\n"),
        pass("http/1.0 with host", b"GET / HTTP/1.0\r\nHost: a\r\n\r\n"),
        pass("unknown method", b"PROPFIND / HTTP/1.1\r\nHost: a\r\n\r\n"),
        pass("lower-case method is another method", b"get / HTTP/1.1\r\nHost: a\r\n\r\n"),
        pass("method of odd token characters", b"M-SEARCH! / HTTP/1.1\r\nHost: a\r\n\r\n"),
        pass("one empty line before the request", b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        deny("DENY two empty lines before", b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Fault::LineEmpty),
        deny("DENY bare lf before", b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Fault::BareLf),
        deny("DENY bare cr before", b"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", Fault::BareCr),
        deny("DENY space before method", b" GET / HTTP/1.1\r\nHost: a\r\n\r\n", Fault::LineMethod),
        deny("DENY http/0.9", b"GET /\r\n", Fault::LineHttp09),
        deny("DENY http/0.9 with host", b"GET /\r\nHost: a\r\n\r\n", Fault::LineHttp09),
        deny("DENY method alone", b"GET\r\nHost: a\r\n\r\n", Fault::LineShape),
        deny("DENY method and space", b"GET \r\nHost: a\r\n\r\n", Fault::LineShape),
        deny("DENY no target", b"GET  HTTP/1.1\r\nHost: a\r\n\r\n", Fault::LineShape),
        deny("DENY two spaces before target", b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", Fault::LineShape),
        deny("DENY two spaces after target", b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", Fault::LineShape),
        deny("DENY space in target", b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", Fault::LineShape),
        deny("DENY space after version", b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", Fault::LineShape),
        deny("DENY two versions", b"GET / HTTP/1.1 HTTP/1.1\r\nHost: a\r\n\r\n", Fault::LineShape),
        deny("DENY tab for space", b"GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n", Fault::LineControl),
        deny("DENY tab in target", b"GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n", Fault::LineControl),
        deny("DENY form feed for space", b"GET\x0c/ HTTP/1.1\r\nHost: a\r\n\r\n", Fault::LineControl),
        deny("DENY bracket in method", b"GE(T / HTTP/1.1\r\nHost: a\r\n\r\n", Fault::LineMethod),
        deny("DENY colon in method", b"GET: / HTTP/1.1\r\nHost: a\r\n\r\n", Fault::LineMethod),
        deny("DENY nul in method", b"GE\0T / HTTP/1.1\r\nHost: a\r\n\r\n", Fault::LineControl),
        deny("DENY tls hello", b"\x16\x03\x01\x02\x00\x01\x00\r\n", Fault::LineMethod),
        deny("DENY http/1.2", b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", Fault::LineUnknownVersion),
        deny("DENY http/2.0", b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", Fault::LineUnknownVersion),
        deny("DENY http/0.9 spelled out", b"GET / HTTP/0.9\r\nHost: a\r\n\r\n", Fault::LineUnknownVersion),
        deny("DENY http/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Fault::LineUnknownVersion),
        deny("DENY version of two digits", b"GET / HTTP/1.10\r\nHost: a\r\n\r\n", Fault::LineVersion),
        deny("DENY version with zero before", b"GET / HTTP/01.1\r\nHost: a\r\n\r\n", Fault::LineVersion),
        deny("DENY version without minor", b"GET / HTTP/1\r\nHost: a\r\n\r\n", Fault::LineVersion),
        deny("DENY lower-case version", b"GET / http/1.1\r\nHost: a\r\n\r\n", Fault::LineVersion),
        deny("DENY other protocol", b"GET / ICY/1.1\r\nHost: a\r\n\r\n", Fault::LineVersion),
        deny("DENY no first line", b"Host: a\r\n\r\n", Fault::LineMethod),
    ]
}

#[rustfmt::skip] // one row, one line
fn target() -> Vec<Row> {
    vec![
        pass("query", b"GET /a?b=c&d HTTP/1.1\r\nHost: a\r\n\r\n"),
        pass("two question marks", b"GET /a?b?c HTTP/1.1\r\nHost: a\r\n\r\n"),
        pass("target beginning with two slashes", b"GET //b/c HTTP/1.1\r\nHost: a\r\n\r\n"),
        pass("raw utf-8 in target", b"GET /caf\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n"),
        pass("characters browsers send unescaped", b"GET /a|b{}\"<>^` HTTP/1.1\r\nHost: a\r\n\r\n"),
        pass("url inside a query", b"GET /?u=http://b/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        pass("absolute form", b"GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n"),
        pass("absolute form, https, port, case", b"GET HTTPS://A:8443/x HTTP/1.1\r\nHost: a:8443\r\n\r\n"),
        pass("absolute form without path", b"GET http://a HTTP/1.1\r\nHost: a\r\n\r\n"),
        pass("asterisk", b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
        pass("options of absolute form", b"OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n"),
        pass("connect", b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"),
        deny("DENY absolute form, other host", b"GET http://b/x HTTP/1.1\r\nHost: a\r\n\r\n", Fault::TargetHost),
        deny("DENY absolute form, other port", b"GET http://a:81/x HTTP/1.1\r\nHost: a\r\n\r\n", Fault::TargetHost),
        deny("DENY absolute form, user", b"GET http://u@a/x HTTP/1.1\r\nHost: a\r\n\r\n", Fault::TargetHost),
        deny("DENY absolute form, user like host", b"GET http://a@b/x HTTP/1.1\r\nHost: a\r\n\r\n", Fault::TargetHost),
        deny("DENY absolute form, empty host", b"GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", Fault::TargetHost),
        deny("DENY absolute form, backslash", b"GET http://a\\b/x HTTP/1.1\r\nHost: a\r\n\r\n", Fault::TargetHost),
        deny("DENY absolute form without host header", b"GET http://a/x HTTP/1.0\r\n\r\n", Fault::TargetHost),
        deny("DENY absolute form, missing host on 1.1", b"GET http://a/x HTTP/1.1\r\n\r\n", Fault::HostMissing),
        deny("DENY absolute form, query without path", b"GET http://a?x HTTP/1.1\r\nHost: a\r\n\r\n", Fault::TargetForm),
        deny("DENY other scheme", b"GET ftp://a/x HTTP/1.1\r\nHost: a\r\n\r\n", Fault::TargetForm),
        deny("DENY scheme without slashes", b"GET http:a HTTP/1.1\r\nHost: a\r\n\r\n", Fault::TargetForm),
        deny("DENY relative target", b"GET a/b HTTP/1.1\r\nHost: a\r\n\r\n", Fault::TargetForm),
        deny("DENY query alone", b"GET ?a HTTP/1.1\r\nHost: a\r\n\r\n", Fault::TargetForm),
        deny("DENY backslash target", b"GET \\a HTTP/1.1\r\nHost: a\r\n\r\n", Fault::TargetForm),
        deny("DENY asterisk for get", b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", Fault::TargetForm),
        deny("DENY asterisk and more", b"OPTIONS *a HTTP/1.1\r\nHost: a\r\n\r\n", Fault::TargetForm),
        deny("DENY authority form for get", b"GET a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", Fault::TargetForm),
        deny("DENY connect without port", b"CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", Fault::TargetForm),
        deny("DENY connect with path", b"CONNECT /a HTTP/1.1\r\nHost: a\r\n\r\n", Fault::TargetForm),
        deny("DENY connect to another host", b"CONNECT b:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", Fault::TargetHost),
        deny("DENY fragment", b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", Fault::TargetFragment),
        deny("DENY fragment in query", b"GET /a?b#c HTTP/1.1\r\nHost: a\r\n\r\n", Fault::TargetFragment),
        deny("DENY nul in target", b"GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n", Fault::LineControl),
        deny("DENY delete in target", b"GET /a\x7f HTTP/1.1\r\nHost: a\r\n\r\n", Fault::LineControl),
        deny("DENY escape in target", b"GET /\x1b[1m HTTP/1.1\r\nHost: a\r\n\r\n", Fault::LineControl),
        deny("DENY bare cr in target", b"GET /a\rb HTTP/1.1\r\nHost: a\r\n\r\n", Fault::BareCr),
    ]
}

#[rustfmt::skip] // one row, one line
fn host() -> Vec<Row> {
    vec![
        pass("host with port", b"GET / HTTP/1.1\r\nHost: a.example:8080\r\n\r\n"),
        pass("host with dot at its end", b"GET / HTTP/1.1\r\nHost: a.example.\r\n\r\n"),
        pass("host with underscore", b"GET / HTTP/1.1\r\nHost: my_app.lan\r\n\r\n"),
        pass("host ipv4", b"GET / HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n"),
        pass("host ipv6", b"GET / HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\n\r\n"),
        pass("host last", b"GET / HTTP/1.1\r\nAccept: */*\r\nhOsT:a\r\n\r\n"),
        deny("DENY no host", b"GET / HTTP/1.1\r\n\r\n", Fault::HostMissing),
        deny("DENY host as underscore alias only", b"GET / HTTP/1.1\r\nHost_: a\r\n\r\n", Fault::HostMissing),
        deny("DENY two hosts", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", Fault::HostDuplicate),
        deny("DENY two equal hosts", b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nhost: a\r\n\r\n", Fault::HostDuplicate),
        deny("DENY two hosts on 1.0", b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", Fault::HostDuplicate),
        deny("DENY empty host", b"GET / HTTP/1.1\r\nHost:\r\n\r\n", Fault::HostInvalid),
        deny("DENY host list", b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", Fault::HostInvalid),
        deny("DENY host with space", b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", Fault::HostInvalid),
        deny("DENY host with user", b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", Fault::HostInvalid),
        deny("DENY host with path", b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", Fault::HostInvalid),
        deny("DENY host with scheme", b"GET / HTTP/1.1\r\nHost: http://a\r\n\r\n", Fault::HostPort),
        deny("DENY host with query", b"GET / HTTP/1.1\r\nHost: a?b\r\n\r\n", Fault::HostInvalid),
        deny("DENY host with percent", b"GET / HTTP/1.1\r\nHost: a%2eb\r\n\r\n", Fault::HostInvalid),
        deny("DENY host with utf-8", b"GET / HTTP/1.1\r\nHost: caf\xc3\xa9\r\n\r\n", Fault::HostInvalid),
        deny("DENY host with empty label", b"GET / HTTP/1.1\r\nHost: a..b\r\n\r\n", Fault::HostInvalid),
        deny("DENY host with dot before", b"GET / HTTP/1.1\r\nHost: .a\r\n\r\n", Fault::HostInvalid),
        deny("DENY port alone", b"GET / HTTP/1.1\r\nHost: :80\r\n\r\n", Fault::HostInvalid),
        deny("DENY empty port", b"GET / HTTP/1.1\r\nHost: a:\r\n\r\n", Fault::HostPort),
        deny("DENY port zero", b"GET / HTTP/1.1\r\nHost: a:0\r\n\r\n", Fault::HostPort),
        deny("DENY port too large", b"GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", Fault::HostPort),
        deny("DENY port not a number", b"GET / HTTP/1.1\r\nHost: a:8o\r\n\r\n", Fault::HostPort),
        deny("DENY port with sign", b"GET / HTTP/1.1\r\nHost: a:+80\r\n\r\n", Fault::HostPort),
        deny("DENY two ports", b"GET / HTTP/1.1\r\nHost: a:80:81\r\n\r\n", Fault::HostPort),
        deny("DENY ipv6 without brackets", b"GET / HTTP/1.1\r\nHost: ::1\r\n\r\n", Fault::HostPort),
        deny("DENY ipv6 bracket open", b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", Fault::HostInvalid),
        deny("DENY ipv6 with zone", b"GET / HTTP/1.1\r\nHost: [fe80::1%25eth0]\r\n\r\n", Fault::HostInvalid),
        deny("DENY name in brackets", b"GET / HTTP/1.1\r\nHost: [a]\r\n\r\n", Fault::HostInvalid),
        deny("DENY text behind ipv6", b"GET / HTTP/1.1\r\nHost: [::1]a\r\n\r\n", Fault::HostInvalid),
    ]
}

#[rustfmt::skip] // one row, one line
fn line_ends() -> Vec<Row> {
    vec![
        deny("DENY bare lf after request line", b"GET / HTTP/1.1\nHost: a\r\n\r\n", Fault::BareLf),
        deny("DENY bare lf after header", b"GET / HTTP/1.1\r\nHost: a\n\r\n", Fault::BareLf),
        deny("DENY bare lf ends head", b"GET / HTTP/1.1\r\nHost: a\r\n\n", Fault::BareLf),
        deny("DENY all bare lf", b"GET / HTTP/1.1\nHost: a\n\n", Fault::BareLf),
        deny("DENY lf cr", b"GET / HTTP/1.1\r\nHost: a\n\r\r\n", Fault::BareLf),
        deny("DENY bare cr after request line", b"GET / HTTP/1.1\rHost: a\r\n\r\n", Fault::BareCr),
        deny("DENY bare cr in value", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", Fault::BareCr),
        deny("DENY bare cr in name", b"GET / HTTP/1.1\r\nHost: a\r\nX\r: b\r\n\r\n", Fault::BareCr),
        deny("DENY cr cr lf", b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\r\n\r\n", Fault::BareCr),
        deny("DENY cr cr lf ends head", b"GET / HTTP/1.1\r\nHost: a\r\n\r\r\n", Fault::BareCr),
        deny("DENY header behind bare cr", b"GET / HTTP/1.1\r\nHost: a\r\nX: y\rTransfer-Encoding: chunked\r\n\r\n", Fault::BareCr),
        deny("DENY header behind bare lf", b"GET / HTTP/1.1\r\nHost: a\r\nX: y\nTransfer-Encoding: chunked\r\n\r\n", Fault::BareLf),
    ]
}

#[rustfmt::skip] // one row, one line
fn headers() -> Vec<Row> {
    vec![
        pass("empty value", b"GET / HTTP/1.1\r\nHost: a\r\nX:\r\n\r\n"),
        pass("value of white space", b"GET / HTTP/1.1\r\nHost: a\r\nX: \t \r\n\r\n"),
        pass("no space after colon", b"GET / HTTP/1.1\r\nHost:a\r\nX:y\r\n\r\n"),
        pass("much space around value", b"GET / HTTP/1.1\r\nHost: \t a \t\r\n\r\n"),
        pass("tab inside value", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\tb\r\n\r\n"),
        pass("obs-text in value", b"GET / HTTP/1.1\r\nHost: a\r\nX: \xff\xe9\r\n\r\n"),
        pass("colon in value", b"GET / HTTP/1.1\r\nHost: a\r\nX: a: b:c\r\n\r\n"),
        pass("odd token characters in name", b"GET / HTTP/1.1\r\nHost: a\r\nX!#$%&'*+.^_`|~1: y\r\n\r\n"),
        pass("underscore forwarded name", b"GET / HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: 1.2.3.4\r\n\r\n"),
        pass("a name many times", b"GET / HTTP/1.1\r\nHost: a\r\nCookie: a\r\nCookie: b\r\ncookie: c\r\n\r\n"),
        deny("DENY space before colon", b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", Fault::HeaderSpace),
        deny("DENY tab before colon", b"GET / HTTP/1.1\r\nHost: a\r\nX\t: y\r\n\r\n", Fault::HeaderSpace),
        deny("DENY space before colon of te", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n", Fault::HeaderSpace),
        deny("DENY space before colon of cl", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\n", Fault::HeaderSpace),
        deny("DENY space before first header", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", Fault::HeaderFold),
        deny("DENY fold with space", b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n", Fault::HeaderFold),
        deny("DENY fold with tab", b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\tz\r\n\r\n", Fault::HeaderFold),
        deny("DENY folded te", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n", Fault::HeaderFold),
        deny("DENY line of a space", b"GET / HTTP/1.1\r\nHost: a\r\n \r\n\r\n", Fault::HeaderFold),
        deny("DENY empty name", b"GET / HTTP/1.1\r\nHost: a\r\n: y\r\n\r\n", Fault::HeaderName),
        deny("DENY no colon", b"GET / HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n", Fault::HeaderColon),
        deny("DENY words without colon", b"GET / HTTP/1.1\r\nHost: a\r\nno sense\r\n\r\n", Fault::HeaderColon),
        deny("DENY space inside name", b"GET / HTTP/1.1\r\nHost: a\r\nX Y: z\r\n\r\n", Fault::HeaderName),
        deny("DENY bracket in name", b"GET / HTTP/1.1\r\nHost: a\r\nX[Y]: z\r\n\r\n", Fault::HeaderName),
        deny("DENY slash in name", b"GET / HTTP/1.1\r\nHost: a\r\nX/Y: z\r\n\r\n", Fault::HeaderName),
        deny("DENY utf-8 in name", b"GET / HTTP/1.1\r\nHost: a\r\nX\xc3\xa9: z\r\n\r\n", Fault::HeaderName),
        deny("DENY nul in name", b"GET / HTTP/1.1\r\nHost: a\r\nX\0: z\r\n\r\n", Fault::HeaderName),
        deny("DENY vertical tab in name", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding\x0b: chunked\r\n\r\n", Fault::HeaderName),
        deny("DENY nul in value", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", Fault::HeaderControl),
        deny("DENY delete in value", b"GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n", Fault::HeaderControl),
        deny("DENY bell in a long value", b"GET / HTTP/1.1\r\nHost: a\r\nX: 0123456789abcdef0123\x0789abcdef\r\n\r\n", Fault::HeaderControl),
        deny("DENY nul in host", b"GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n", Fault::HeaderControl),
        deny("DENY second request line among headers", b"GET / HTTP/1.1\r\nHost: a\r\nGET /b HTTP/1.1\r\n\r\n", Fault::HeaderColon),
    ]
}

#[rustfmt::skip] // one row, one line
fn lengths() -> Vec<Row> {
    vec![
        length("length", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
        length("length zero", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", b""),
        length("length with zeros before", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 005\r\n\r\nhello", b"hello"),
        length("length for get", b"GET / HTTP/1.1\r\nHost: a\r\ncontent-length:2\r\n\r\nhi", b"hi"),
        length("length on 1.0", b"POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi", b"hi"),
        pass("post without length", b"POST / HTTP/1.1\r\nHost: a\r\n\r\n"),
        deny("DENY cl and te", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Fault::LengthAndEncoding),
        deny("DENY te and cl", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", Fault::LengthAndEncoding),
        deny("DENY cl zero and te", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Fault::LengthAndEncoding),
        deny("DENY cl and te identity", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: identity\r\n\r\nhello", Fault::LengthAndEncoding),
        deny("DENY cl and empty te", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding:\r\n\r\nhello", Fault::LengthAndEncoding),
        deny("DENY cl and te on 1.0", b"POST / HTTP/1.0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", Fault::LengthAndEncoding),
        deny("DENY differing lengths", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", Fault::LengthDuplicate),
        deny("DENY equal lengths", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", Fault::LengthDuplicate),
        deny("DENY length list", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello", Fault::LengthInvalid),
        deny("DENY length list differing", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5,6\r\n\r\nhello", Fault::LengthInvalid),
        deny("DENY empty length", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", Fault::LengthInvalid),
        deny("DENY length with plus", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello", Fault::LengthInvalid),
        deny("DENY length with minus", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\nhello", Fault::LengthInvalid),
        deny("DENY length with space inside", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5 5\r\n\r\nhello", Fault::LengthInvalid),
        deny("DENY length in hex", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\nhello", Fault::LengthInvalid),
        deny("DENY length with fraction", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5.0\r\n\r\nhello", Fault::LengthInvalid),
        deny("DENY length with underscore", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1_0\r\n\r\nhello", Fault::LengthInvalid),
        deny("DENY length in quotes", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \"5\"\r\n\r\nhello", Fault::LengthInvalid),
        deny("DENY length beyond u64", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551621\r\n\r\nhello", Fault::LengthInvalid),
        deny("DENY length beyond i64", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775808\r\n\r\nhello", Fault::LengthInvalid),
        deny("DENY length in other digits", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \xd9\xa5\r\n\r\nhello", Fault::LengthInvalid),
        deny("DENY length under an odd name", b"POST / HTTP/1.1\r\nHost: a\r\nContent_Length: 5\r\n\r\nhello", Fault::FramingAlias),
        deny("DENY connect with body", b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 5\r\n\r\nhello", Fault::BodyForbidden),
        deny("DENY trace with body", b"TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", Fault::BodyForbidden),
    ]
}

#[rustfmt::skip] // one row, one line
fn encodings() -> Vec<Row> {
    vec![
        chunked("chunked", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", b"hello"),
        chunked("chunked in capitals", b"POST / HTTP/1.1\r\nHost: a\r\nTRANSFER-ENCODING: ChunKED\r\n\r\n0\r\n\r\n", b""),
        chunked("chunked for get", b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:chunked \r\n\r\n1\r\nx\r\n0\r\n\r\n", b"x"),
        deny("DENY te on 1.0", b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Fault::EncodingOldVersion),
        deny("DENY te twice", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Fault::EncodingDuplicate),
        deny("DENY te chunked and identity lines", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", Fault::EncodingDuplicate),
        deny("DENY te list chunked twice", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", Fault::EncodingUnknown),
        deny("DENY te gzip, chunked", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", Fault::EncodingUnknown),
        deny("DENY te chunked, gzip", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", Fault::EncodingUnknown),
        deny("DENY te identity", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", Fault::EncodingUnknown),
        deny("DENY te empty", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", Fault::EncodingUnknown),
        deny("DENY te with comma before", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n", Fault::EncodingUnknown),
        deny("DENY te with comma after", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked,\r\n\r\n0\r\n\r\n", Fault::EncodingUnknown),
        deny("DENY te in quotes", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", Fault::EncodingUnknown),
        deny("DENY te with parameter", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n", Fault::EncodingUnknown),
        deny("DENY te xchunked", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", Fault::EncodingUnknown),
        deny("DENY te with vertical tab", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", Fault::HeaderControl),
        deny("DENY te with no-break space", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \xa0chunked\r\n\r\n0\r\n\r\n", Fault::EncodingUnknown),
        deny("DENY te under an odd name", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer_Encoding: chunked\r\n\r\n0\r\n\r\n", Fault::FramingAlias),
        deny("DENY te under a dotted name", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer.Encoding: chunked\r\n\r\n0\r\n\r\n", Fault::FramingAlias),
        deny("DENY connect with te", b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Fault::BodyForbidden),
    ]
}

#[rustfmt::skip] // one row, one line
fn connection() -> Vec<Row> {
    vec![
        pass("connection close", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
        pass("connection with empty elements", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: , keep-alive,, TE\r\n\r\n"),
        pass("connection names an unknown header", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Mine\r\nX-Mine: 1\r\n\r\n"),
        pass("websocket", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n"),
        pass("upgrade without connection", b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n\r\n"),
        length("expect", b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\nx", b"x"),
        deny("DENY connection names host", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: host\r\n\r\n", Fault::ConnectionProtected),
        deny("DENY connection names length", b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close, Content-Length\r\nContent-Length: 1\r\n\r\nx", Fault::ConnectionProtected),
        deny("DENY connection names te", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Transfer-Encoding\r\n\r\n", Fault::ConnectionProtected),
        deny("DENY connection names forwarded", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close, X-Forwarded-For\r\n\r\n", Fault::ConnectionProtected),
        deny("DENY connection names an alias", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: X_Real_IP\r\n\r\n", Fault::ConnectionProtected),
        deny("DENY connection names authorization", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Authorization\r\n\r\n", Fault::ConnectionProtected),
        deny("DENY connection names cookie on a second line", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nConnection: Cookie\r\n\r\n", Fault::ConnectionProtected),
        deny("DENY connection with words", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep alive\r\n\r\n", Fault::ConnectionToken),
        deny("DENY connection with colon", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: a:b\r\n\r\n", Fault::ConnectionToken),
        deny("DENY other expectation", b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n", Fault::ExpectUnknown),
        deny("DENY expectation list", b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue, x\r\n\r\n", Fault::ExpectUnknown),
    ]
}

/// Every row of the chunk table behind a good head.
fn bodies() -> Vec<Row> {
    const HEAD: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    super::chunks::fixed()
        .into_iter()
        .map(|row| Row {
            bytes: Cow::Owned([HEAD, &row.bytes].concat()),
            ..row
        })
        .collect()
}

/// Rows at and just beyond the default limits.
pub(super) fn oversize() -> Vec<Row> {
    let made = |name, bytes: Vec<u8>, expect| Row {
        name,
        asked: Method::Get,
        bytes: Cow::Owned(bytes),
        expect,
    };
    let none = Expect::Pass(BodyFraming::None, b"");
    let target = |length: usize| {
        let path = vec![b'a'; length - "GET / HTTP/1.1".len()];
        [b"GET /", &path[..], b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat()
    };
    let value = |length: usize| {
        let value = vec![b'v'; length - "X: ".len()];
        [b"GET / HTTP/1.1\r\nHost: a\r\nX: ", &value[..], b"\r\n\r\n"].concat()
    };
    let lines = |count: usize| {
        [
            b"GET / HTTP/1.1\r\nHost: a\r\n",
            &b"X: y\r\n".repeat(count - 1)[..],
            b"\r\n",
        ]
        .concat()
    };
    let big = |count: usize| {
        let line = [b"X: ", &vec![b'v'; 8000][..], b"\r\n"].concat();
        [
            b"GET / HTTP/1.1\r\nHost: a\r\n",
            &line.repeat(count)[..],
            b"\r\n",
        ]
        .concat()
    };
    vec![
        made("longest request line", target(8192), none.clone()),
        made("longest header line", value(16384), none.clone()),
        made("most headers", lines(100), none.clone()),
        made("large head", big(4), none),
        made(
            "DENY request line too long",
            target(8193),
            Expect::Deny(Fault::LineTooLong),
        ),
        made(
            "DENY request line without end",
            vec![b'a'; 9000],
            Expect::Deny(Fault::LineTooLong),
        ),
        made(
            "DENY header line too long",
            value(16385),
            Expect::Deny(Fault::HeaderTooLong),
        ),
        made(
            "DENY too many headers",
            lines(101),
            Expect::Deny(Fault::HeadTooMany),
        ),
        made(
            "DENY head too long",
            big(5),
            Expect::Deny(Fault::HeadTooLong),
        ),
    ]
}
