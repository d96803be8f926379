//! Chunked bodies, strictly: RFC 9112 §7.1 without extensions.

use super::{Expect, Row, row};
use crate::{BodyFraming, Fault};

const fn good(name: &'static str, bytes: &'static [u8], data: &'static [u8]) -> Row {
    row(name, bytes, Expect::Pass(BodyFraming::Chunked, data))
}

const fn bad(name: &'static str, bytes: &'static [u8], fault: Fault) -> Row {
    row(name, bytes, Expect::DenyBody(fault))
}

pub(super) fn fixed() -> Vec<Row> {
    let mut rows = good_rows();
    rows.extend(sizes());
    rows.extend(line_ends());
    rows.extend(trailers());
    rows
}

#[rustfmt::skip] // one row, one line
fn good_rows() -> Vec<Row> {
    vec![
        good("chunks: none", b"0\r\n\r\n", b""),
        good("chunks: two", b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", b"abcde"),
        good("chunks: hex in both cases", b"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", b"01234567890123456789"),
        good("chunks: zeros before", b"0000000000000003\r\nabc\r\n000\r\n\r\n", b"abc"),
        good("chunks: data that looks like framing", b"7\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n", b"0\r\n\r\n\r\n"),
        good("chunks: a trailer", b"1\r\nx\r\n0\r\nX-Sum: 1\r\n\r\n", b"x"),
        good("chunks: trailers of two lines", b"0\r\ngrpc-status: 0\r\ngrpc-message:\r\n\r\n", b""),
    ]
}

#[rustfmt::skip] // one row, one line
fn sizes() -> Vec<Row> {
    vec![
        bad("DENY chunk extension", b"3;a=b\r\nabc\r\n0\r\n\r\n", Fault::ChunkExtension),
        bad("DENY chunk extension without name", b"3;\r\nabc\r\n0\r\n\r\n", Fault::ChunkExtension),
        bad("DENY chunk extension with lf", b"3;\nabc\r\n0\r\n\r\n", Fault::ChunkExtension),
        bad("DENY chunk extension on the last", b"0;a\r\n\r\n", Fault::ChunkExtension),
        bad("DENY space after chunk size", b"3 \r\nabc\r\n0\r\n\r\n", Fault::ChunkExtension),
        bad("DENY tab after chunk size", b"3\t\r\nabc\r\n0\r\n\r\n", Fault::ChunkExtension),
        bad("DENY space before chunk size", b" 3\r\nabc\r\n0\r\n\r\n", Fault::ChunkSize),
        bad("DENY empty chunk size", b"\r\nabc\r\n0\r\n\r\n", Fault::ChunkSize),
        bad("DENY lf for chunk size", b"\nabc\r\n0\r\n\r\n", Fault::ChunkSize),
        bad("DENY plus before chunk size", b"+3\r\nabc\r\n0\r\n\r\n", Fault::ChunkSize),
        bad("DENY minus before chunk size", b"-3\r\nabc\r\n0\r\n\r\n", Fault::ChunkSize),
        bad("DENY 0x before chunk size", b"0x3\r\nabc\r\n0\r\n\r\n", Fault::ChunkSize),
        bad("DENY letter in chunk size", b"3g\r\nabc\r\n0\r\n\r\n", Fault::ChunkSize),
        bad("DENY underscore in chunk size", b"0_3\r\nabc\r\n0\r\n\r\n", Fault::ChunkSize),
        bad("DENY chunk size in quotes", b"\"3\"\r\nabc\r\n0\r\n\r\n", Fault::ChunkSize),
        bad("DENY chunk size of 17 digits", b"00000000000000003\r\nabc\r\n0\r\n\r\n", Fault::ChunkSize),
        bad("DENY chunk size beyond u64", b"10000000000000003\r\nabc\r\n0\r\n\r\n", Fault::ChunkSize),
        bad("DENY chunk size beyond i64", b"8000000000000000\r\nabc\r\n0\r\n\r\n", Fault::ChunkSize),
        bad("DENY chunk size all ones", b"ffffffffffffffff\r\nabc\r\n0\r\n\r\n", Fault::ChunkSize),
        bad("DENY nul in chunk size", b"3\0\r\nabc\r\n0\r\n\r\n", Fault::ChunkSize),
    ]
}

#[rustfmt::skip] // one row, one line
fn line_ends() -> Vec<Row> {
    vec![
        bad("DENY bare lf after chunk size", b"3\nabc\r\n0\r\n\r\n", Fault::BareLf),
        bad("DENY bare cr after chunk size", b"3\rabc\r\n0\r\n\r\n", Fault::BareCr),
        bad("DENY cr cr lf after chunk size", b"3\r\r\nabc\r\n0\r\n\r\n", Fault::BareCr),
        bad("DENY bare lf after chunk data", b"3\r\nabc\n0\r\n\r\n", Fault::BareLf),
        bad("DENY bare cr after chunk data", b"3\r\nabc\r0\r\n\r\n", Fault::BareCr),
        bad("DENY more data than the chunk size", b"3\r\nabcd\r\n0\r\n\r\n", Fault::ChunkLineEnd),
        bad("DENY two bytes for the line end", b"3\r\nabcxx0\r\n\r\n", Fault::ChunkLineEnd),
        bad("DENY less data than the chunk size", b"5\r\nabc\r\n0\r\n\r\n", Fault::ChunkLineEnd),
        bad("DENY bare lf after last chunk", b"0\n\r\n", Fault::BareLf),
        bad("DENY bare lf ends the body", b"0\r\n\n", Fault::BareLf),
        bad("DENY bare cr ends the body", b"0\r\n\rG\r\n", Fault::BareCr),
    ]
}

#[rustfmt::skip] // one row, one line
fn trailers() -> Vec<Row> {
    vec![
        bad("DENY trailer content-length", b"0\r\nContent-Length: 1\r\n\r\n", Fault::TrailerForbidden),
        bad("DENY trailer transfer-encoding", b"0\r\nTransfer-Encoding: chunked\r\n\r\n", Fault::TrailerForbidden),
        bad("DENY trailer host", b"0\r\nHost: b\r\n\r\n", Fault::TrailerForbidden),
        bad("DENY trailer authorization", b"0\r\nX: y\r\nAuthorization: b\r\n\r\n", Fault::TrailerForbidden),
        bad("DENY trailer cookie", b"0\r\nCookie: b\r\n\r\n", Fault::TrailerForbidden),
        bad("DENY trailer connection", b"0\r\nConnection: close\r\n\r\n", Fault::TrailerForbidden),
        bad("DENY trailer forwarded", b"0\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n", Fault::TrailerForbidden),
        bad("DENY trailer alias of forwarded", b"0\r\nX_Forwarded_For: 1.2.3.4\r\n\r\n", Fault::TrailerForbidden),
        bad("DENY trailer without colon", b"0\r\nnonsense\r\n\r\n", Fault::TrailerName),
        bad("DENY trailer with space before colon", b"0\r\nX : y\r\n\r\n", Fault::TrailerName),
        bad("DENY trailer fold", b"0\r\nX: y\r\n z\r\n\r\n", Fault::TrailerName),
        bad("DENY trailer with nul", b"0\r\nX: \0\r\n\r\n", Fault::TrailerName),
        bad("DENY trailer with bare lf", b"0\r\nX: y\n\r\n", Fault::BareLf),
        bad("DENY trailer with bare cr", b"0\r\nX: y\rz\r\n\r\n", Fault::BareCr),
        bad("DENY request line among trailers", b"0\r\nGET / HTTP/1.1\r\n\r\n", Fault::TrailerName),
    ]
}
