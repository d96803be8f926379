//! What goes out.

use wire::{
    BodyDecoder, BodyEvent, BodyFraming, Field, HeaderId, HeaderSet, Limits, Method, Parse,
    RequestHead, RequestWrite, ResponseHead, ResponseWrite, ShortAnswer, Version, write_chunk_end,
    write_chunk_head, write_informational, write_last_chunk, write_request, write_response,
    write_short_answer,
};

fn rewritten(bytes: &[u8], how: &RequestWrite<'_>) -> String {
    let mut head = RequestHead::new();
    let parsed = head.parse(bytes, &Limits::default());
    assert!(matches!(parsed, Parse::Done { .. }), "{parsed:?}");
    let mut out = Vec::new();
    write_request(&mut out, &head.request(bytes), how);
    String::from_utf8(out).unwrap()
}

fn answered(
    asked: Method,
    bytes: &[u8],
    how: impl FnOnce(BodyFraming) -> ResponseWrite<'static>,
) -> String {
    let mut head = ResponseHead::new();
    let parsed = head.parse(bytes, &Limits::default(), asked);
    assert!(matches!(parsed, Parse::Done { .. }), "{parsed:?}");
    let response = head.response(bytes);
    let mut out = Vec::new();
    write_response(&mut out, &response, &how(response.framing()));
    String::from_utf8(out).unwrap()
}

const fn to_http11(framing: BodyFraming) -> ResponseWrite<'static> {
    ResponseWrite {
        framing: framing.towards(Version::Http11),
        client: Version::Http11,
        persistent: true,
        drop: HeaderSet::EMPTY,
        drop_names: &[],
        add: &[],
    }
}

#[test]
fn a_request_goes_on_without_what_belongs_to_its_connection() {
    let out = rewritten(
        b"POST http://a/x?y HTTP/1.1\r\nhost: a\r\nconnection: keep-alive, X-Hop, te\r\nKeep-Alive: 5\r\nX-Hop: 1\r\nProxy-Connection: k\r\nProxy-Authorization: s\r\nTE: trailers, deflate\r\nX-End:\t2 \r\ntransfer-ENCODING: CHUNKED\r\nTrailer: X-Sum\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n",
        &RequestWrite::default(),
    );
    assert_eq!(
        out,
        "POST /x?y HTTP/1.1\r\nhost: a\r\nX-End: 2\r\nTrailer: X-Sum\r\nConnection: TE\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
}

#[test]
fn what_a_client_says_about_itself_is_replaced_in_every_spelling() {
    let ours = [Field::new(b"X-Forwarded-For", b"192.0.2.7").unwrap()];
    let how = RequestWrite {
        add: &ours,
        drop_names: &[b"x-secret"],
        ..RequestWrite::default()
    };
    let out = rewritten(
        b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\nx.forwarded.for: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nX-Secret: 1\r\nX_Secret: 1\r\nHost_: b\r\nCookie_: 1\r\nsnake_case: kept\r\n\r\n",
        &how,
    );
    assert_eq!(
        out,
        "GET / HTTP/1.1\r\nHost: a\r\nHost_: b\r\nCookie_: 1\r\nsnake_case: kept\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n"
    );
    // Names that alias what is protected go, whatever the caller drops.
    let out = rewritten(
        b"GET / HTTP/1.1\r\nHost: a\r\nX+Real.IP: 6\r\nX_Request_Id: 6\r\n\r\n",
        &RequestWrite::default(),
    );
    assert_eq!(out, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
}

#[test]
fn host_and_target_can_be_replaced_but_not_by_an_injection() {
    let bytes = b"GET /old HTTP/1.1\r\nHost: a\r\n\r\n";
    let how = RequestWrite {
        host: Some(b"b:1"),
        target: Some(b"/new"),
        ..RequestWrite::default()
    };
    assert_eq!(
        rewritten(bytes, &how),
        "GET /new HTTP/1.1\r\nHost: b:1\r\n\r\n"
    );
    let how = RequestWrite {
        host: Some(b"b\r\nX: y"),
        target: Some(b"/n HTTP/1.1\r\n"),
        ..RequestWrite::default()
    };
    assert_eq!(
        rewritten(bytes, &how),
        "GET /old HTTP/1.1\r\nHost: a\r\n\r\n"
    );
    assert_eq!(
        rewritten(
            b"GET / HTTP/1.0\r\n\r\n",
            &RequestWrite {
                host: Some(b"b"),
                ..RequestWrite::default()
            }
        ),
        "GET / HTTP/1.1\r\nHost: b\r\n\r\n"
    );
    for (name, value) in [
        (&b"X y"[..], &b"z"[..]),
        (b"X", b"y\r\nZ: z"),
        (b"X", b"\0"),
        (b"", b"y"),
        (b"content-length", b"1"),
        (b"Connection", b"close"),
        (b"X", b"a\nb"),
    ] {
        assert_eq!(
            Field::new(name, value),
            None,
            "DENY {}",
            name.escape_ascii()
        );
    }
}

#[test]
fn only_allowed_upgrades_go_on() {
    let bytes = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade, http2-settings\r\nUpgrade: h2c, WebSocket\r\nHTTP2-Settings: AA\r\nSec-WebSocket-Key: k\r\n\r\n";
    let how = RequestWrite {
        upgrades: &[b"websocket"],
        ..RequestWrite::default()
    };
    assert_eq!(
        rewritten(bytes, &how),
        "GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Key: k\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\n\r\n"
    );
    assert_eq!(
        rewritten(bytes, &RequestWrite::default()),
        "GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Key: k\r\n\r\n"
    );
}

#[test]
fn expect_goes_on_only_where_it_means_something() {
    let how = RequestWrite::default();
    let with = rewritten(
        b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
        &how,
    );
    assert_eq!(
        with,
        "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
    );
    let without = rewritten(
        b"POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 003\r\n\r\n",
        &how,
    );
    assert_eq!(
        without,
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n"
    );
}

#[test]
fn a_response_goes_on_with_our_framing() {
    let rows: &[(Method, &[u8], &str)] = &[
        (Method::Get, b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 05\r\nConnection: close, X-H\r\nX-H: 1\r\nKeep-Alive: 9\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\n",
            "HTTP/1.1 200 OK\r\nServer: x\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 5\r\n\r\n"),
        (Method::Get, b"HTTP/1.0 200 OK\r\nServer: x\r\n\r\n", "HTTP/1.1 200 OK\r\nServer: x\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (Method::Head, b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"),
        (Method::Get, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\nETag: x\r\n\r\n", "HTTP/1.1 304 Not Modified\r\nETag: x\r\nContent-Length: 500\r\n\r\n"),
        (Method::Get, b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n"),
        (Method::Head, b"HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n"),
        (Method::Connect, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"),
        (Method::Get, b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\nSec-WebSocket-Accept: k\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: k\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"),
        // An upstream cannot make us strip a cookie or a type by naming it.
        (Method::Get, b"HTTP/1.1 200 OK\r\nConnection: Set-Cookie, Content-Type\r\nSet-Cookie: a\r\nContent-Type: b\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nContent-Type: b\r\nContent-Length: 0\r\n\r\n"),
    ];
    for (asked, bytes, expected) in rows {
        assert_eq!(answered(*asked, bytes, to_http11), *expected);
    }
}

#[test]
fn an_old_client_gets_what_it_understands() {
    let how = |framing: BodyFraming| ResponseWrite {
        framing: framing.towards(Version::Http10),
        client: Version::Http10,
        ..to_http11(framing)
    };
    let chunked = answered(
        Method::Get,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n",
        how,
    );
    assert_eq!(chunked, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    let length = answered(
        Method::Get,
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n",
        how,
    );
    assert_eq!(
        length,
        "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\n"
    );
}

#[test]
fn interim_responses_pass_without_framing() {
    let bytes = b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nConnection: close\r\nContent-Length: 4\r\nX-Int: 1\r\n\r\n";
    let mut head = ResponseHead::new();
    assert!(matches!(
        head.parse(bytes, &Limits::default(), Method::Get),
        Parse::Done { .. }
    ));
    assert!(head.response(bytes).is_interim());
    let mut out = Vec::new();
    write_informational(
        &mut out,
        &head.response(bytes),
        HeaderSet::of(&[HeaderId::Server]),
    );
    assert_eq!(
        out,
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nX-Int: 1\r\n\r\n"
    );
}

#[test]
fn our_own_answers_are_whole() {
    let add = [Field::new(b"Content-Type", b"text/plain").unwrap()];
    let answer = ShortAnswer {
        status: 403,
        client: Version::Http11,
        persistent: false,
        add: &add,
        body: b"no\n",
        head_only: false,
    };
    let mut out = Vec::new();
    write_short_answer(&mut out, &answer);
    assert_eq!(out, b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: 3\r\n\r\nno\n");
    out.clear();
    write_short_answer(
        &mut out,
        &ShortAnswer {
            head_only: true,
            persistent: true,
            ..answer
        },
    );
    assert_eq!(
        out,
        b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\n"
    );
}

#[test]
fn chunks_that_are_written_can_be_read() {
    let mut out = Vec::new();
    write_chunk_head(&mut out, 0); // must not end the body
    let long = vec![b'x'; 0x1_0fed];
    for data in [&b"a"[..], b"0123456789abcdef", &long] {
        write_chunk_head(&mut out, data.len());
        out.extend_from_slice(data);
        write_chunk_end(&mut out);
    }
    let mut source = BodyDecoder::new(BodyFraming::Chunked, &Limits::default());
    assert_eq!(
        source.step(b"0\r\nX-Sum: 7\r\nETag:\tq \r\n\r\n").event,
        BodyEvent::End
    );
    write_last_chunk(&mut out, Some(source.trailers()));
    let crate::Outcome::Pass { body, used, .. } =
        crate::read_body(BodyFraming::Chunked, &out, &[out.len()])
    else {
        panic!("own chunks must be readable");
    };
    assert_eq!((body.len(), used), (17 + long.len(), out.len()));
    assert!(out.ends_with(b"0\r\nX-Sum: 7\r\nETag: q\r\n\r\n"));
}
