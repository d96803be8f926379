//! What a parsed message means to those who ask it.

use wire::host::normal_host;
use wire::{
    BodyFraming, Fault, HeaderId, HeaderSet, HostKind, Limits, Method, Parse, Request, RequestHead,
    Response, ResponseHead, TargetForm, Version,
};

fn request(bytes: &[u8], look: impl FnOnce(Request<'_>)) {
    let mut head = RequestHead::new();
    let parsed = head.parse(bytes, &Limits::default());
    assert!(matches!(parsed, Parse::Done { .. }), "{parsed:?}");
    look(head.request(bytes));
}

fn response(asked: Method, bytes: &[u8], look: impl FnOnce(Response<'_>)) {
    let mut head = ResponseHead::new();
    let parsed = head.parse(bytes, &Limits::default(), asked);
    assert!(matches!(parsed, Parse::Done { .. }), "{parsed:?}");
    look(head.response(bytes));
}

#[test]
fn headers_keep_order_and_case_and_known_ones_are_found() {
    let bytes = b"GET /p?q HTTP/1.1\r\nhOST: A.example:81\r\nUSER-agent: x y \r\nX-Mine:1\r\ncookie: a\r\nCookie: b\r\nx_real_ip: 9\r\n\r\n";
    request(bytes, |request| {
        let headers = request.headers();
        let names: Vec<_> = headers.iter().map(|h| h.name).collect();
        assert_eq!(
            names,
            [
                &b"hOST"[..],
                b"USER-agent",
                b"X-Mine",
                b"cookie",
                b"Cookie",
                b"x_real_ip"
            ]
        );
        assert_eq!(headers.first(HeaderId::UserAgent), Some(&b"x y"[..]));
        assert_eq!(headers.first(HeaderId::Referer), None);
        assert_eq!(headers.first(HeaderId::Other), None);
        assert_eq!(
            headers.all(HeaderId::Cookie).collect::<Vec<_>>(),
            [b"a", b"b"]
        );
        assert_eq!(headers.named(b"x-MINE").collect::<Vec<_>>(), [b"1"]);
        let last = headers.iter().last().unwrap();
        assert_eq!((last.id, last.alias), (HeaderId::Other, HeaderId::XRealIp));
        assert_eq!(
            (request.path(), request.query()),
            (&b"/p"[..], Some(&b"q"[..]))
        );
        let host = request.host().unwrap();
        assert_eq!(
            (host.name, host.port, host.kind),
            (&b"A.example"[..], Some(81), HostKind::Name)
        );
        assert_eq!(host.normal(), "a.example");
    });
}

/// Every known name is recognised in any case, and nothing near it is.
#[test]
fn known_names_are_known_and_their_neighbours_are_not() {
    let names = [
        "Host",
        "TE",
        "Via",
        "Cookie",
        "Content-Length",
        "Transfer-Encoding",
        "X-Forwarded-For",
        "If-Unmodified-Since",
        "X-HTTP-Method-Override",
    ];
    for name in names {
        let id = HeaderId::of(name.as_bytes());
        assert_eq!(id.name(), name);
        assert_eq!(HeaderId::of(name.to_lowercase().as_bytes()), id);
        assert_eq!(HeaderId::of(name.to_uppercase().as_bytes()), id);
        for at in 0..name.len() {
            let mut near = name.as_bytes().to_vec();
            near[at] = b'#';
            assert_eq!(HeaderId::of(&near), HeaderId::Other, "{name} {at}");
            near.remove(at);
            assert_ne!(HeaderId::of(&near), id, "{name} {at}");
        }
    }
    assert!(HeaderSet::FORWARDED.has(HeaderId::XRealIp));
    assert!(!HeaderSet::FORWARDED.has(HeaderId::Other));
}

#[test]
fn a_request_says_whether_its_connection_goes_on() {
    let rows: &[(&[u8], bool)] = &[
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", true),
        (
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
            true,
        ),
        (
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: foo, CLOSE\r\n\r\n",
            false,
        ),
        (
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, close\r\n\r\n",
            false,
        ),
        (b"GET / HTTP/1.0\r\n\r\n", false),
        (b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true),
        (
            b"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n",
            false,
        ),
    ];
    for (bytes, persistent) in rows {
        request(bytes, |request| {
            assert_eq!(
                request.persistent(),
                *persistent,
                "{}",
                bytes.escape_ascii()
            );
        });
    }
}

#[test]
fn a_response_says_whether_its_connection_can_be_used_again() {
    let rows: &[(Method, &[u8], bool)] = &[
        (
            Method::Get,
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n",
            true,
        ),
        (
            Method::Get,
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\n",
            false,
        ),
        (
            Method::Get,
            b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n",
            false,
        ),
        (
            Method::Get,
            b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\n",
            true,
        ),
        (Method::Get, b"HTTP/1.1 200 OK\r\n\r\n", false),
        (Method::Head, b"HTTP/1.1 200 OK\r\n\r\n", true),
        (Method::Get, b"HTTP/1.1 204 No Content\r\n\r\n", true),
        (
            Method::Get,
            b"HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\n",
            false,
        ),
        (
            Method::Get,
            b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
            false,
        ),
        (
            Method::Get,
            b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n",
            false,
        ),
    ];
    for (asked, bytes, persistent) in rows {
        response(*asked, bytes, |response| {
            assert_eq!(
                response.persistent(),
                *persistent,
                "{}",
                bytes.escape_ascii()
            );
        });
    }
}

#[test]
fn targets_are_handed_out_in_origin_form() {
    let rows: &[(&[u8], TargetForm, &[u8])] = &[
        (
            b"GET /a?b HTTP/1.1\r\nHost: a\r\n\r\n",
            TargetForm::Origin,
            b"/a?b",
        ),
        (
            b"GET http://A/a?b HTTP/1.1\r\nHost: a\r\n\r\n",
            TargetForm::Absolute,
            b"/a?b",
        ),
        (
            b"GET http://a HTTP/1.1\r\nHost: a\r\n\r\n",
            TargetForm::Absolute,
            b"/",
        ),
        (
            b"OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n",
            TargetForm::Absolute,
            b"*",
        ),
        (
            b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
            TargetForm::Asterisk,
            b"*",
        ),
        (
            b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
            TargetForm::Authority,
            b"a:1",
        ),
        (
            b"GET http://[::1]/x HTTP/1.1\r\nHost: [::1]\r\n\r\n",
            TargetForm::Absolute,
            b"/x",
        ),
    ];
    for (bytes, form, target) in rows {
        request(bytes, |request| {
            assert_eq!((request.form(), request.target()), (*form, *target));
        });
    }
}

#[test]
fn upgrade_and_expect_count_only_where_they_may() {
    request(
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n",
        |r| {
            assert_eq!(r.upgrade(), Some(&b"WebSocket"[..]));
        },
    );
    request(
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
        |r| assert_eq!(r.upgrade(), None),
    );
    request(
        b"GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        |r| {
            assert_eq!(r.upgrade(), None);
        },
    );
    let body = "Expect: 100-continue\r\nContent-Length: 1\r\n\r\n";
    request(
        format!("POST / HTTP/1.1\r\nHost: a\r\n{body}").as_bytes(),
        |r| assert!(r.expects_continue()),
    );
    request(format!("POST / HTTP/1.0\r\n{body}").as_bytes(), |r| {
        assert!(!r.expects_continue());
        assert_eq!(
            (r.version(), r.framing()),
            (Version::Http10, BodyFraming::Length(1))
        );
    });
    request(
        b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
        |r| {
            assert!(!r.expects_continue());
        },
    );
}

#[test]
fn a_refused_head_still_tells_what_was_asked() {
    let bytes = b"GET /x HTTP/1.1\r\nHost: a\r\nUser-Agent: u\r\nBad : z\r\n\r\n";
    let mut head = RequestHead::new();
    assert_eq!(
        head.parse(bytes, &Limits::default()),
        Parse::Refuse(Fault::HeaderSpace)
    );
    assert_eq!(
        head.parse(bytes, &Limits::default()),
        Parse::Refuse(Fault::HeaderSpace),
        "stays refused"
    );
    assert_eq!(head.partial_line(bytes), (&b"GET"[..], &b"/x"[..]));
    assert_eq!(
        head.partial_headers(bytes).first(HeaderId::UserAgent),
        Some(&b"u"[..])
    );
}

/// A line that was refused must not show the one before it on the same connection.
#[test]
fn a_refused_line_tells_nothing_of_the_request_before() {
    let mut head = RequestHead::new();
    let first = b"GET /secret HTTP/1.1\r\nHost: a\r\n\r\n";
    assert!(matches!(
        head.parse(first, &Limits::default()),
        Parse::Done { .. }
    ));
    head.clear();
    let second = b"GET /abcdefg HTTP/7.7\r\n\r\n";
    assert_eq!(
        head.parse(second, &Limits::default()),
        Parse::Refuse(Fault::LineUnknownVersion)
    );
    assert_eq!(head.partial_line(second), (&b""[..], &b""[..]));
    assert!(head.partial_headers(second).is_empty());
}

#[test]
fn what_cannot_become_a_request_is_refused_at_its_first_byte() {
    for (bytes, fault) in [
        (&b"\x16"[..], Fault::LineMethod),
        (b" ", Fault::LineMethod),
        (b"\n", Fault::BareLf),
    ] {
        assert_eq!(
            RequestHead::new().parse(bytes, &Limits::default()),
            Parse::Refuse(fault)
        );
    }
    let mut head = RequestHead::new();
    assert!(head.is_idle());
    assert_eq!(head.parse(b"", &Limits::default()), Parse::Partial);
    assert!(head.is_idle());
    assert_eq!(head.parse(b"G", &Limits::default()), Parse::Partial);
    assert!(!head.is_idle());
}

#[test]
fn hosts_have_one_spelling() {
    let rows = [
        ("A.Example.ORG:8080", Some("a.example.org")),
        ("a.example.", Some("a.example")),
        ("[2001:DB8:0:0::1]:443", Some("2001:db8::1")),
        ("192.0.2.1", Some("192.0.2.1")),
        ("u@a", None),
        ("a b", None),
        ("", None),
        (".", None),
        ("[::1", None),
    ];
    for (sent, normal) in rows {
        assert_eq!(normal_host(sent.as_bytes()).as_deref(), normal, "{sent}");
    }
    assert_eq!(normal_host(&[b'a'; 255]), None);
}
