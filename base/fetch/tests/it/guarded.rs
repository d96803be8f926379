//! What is not fetched, and what is not sent.

use std::time::{Duration, Instant};

use fetch::{Answer, Client, FetchError, Roots, Rules, Url};

use crate::server::{Server, answer};

const LIMIT: u64 = 1 << 20;

fn client(named: Vec<(String, u16)>) -> Client {
    Client::new(Rules {
        named,
        time: Duration::from_secs(2),
        agent: "test".to_owned(),
        roots: Roots::These(Vec::new()),
    })
    .expect("a client")
}

fn get(client: &Client, url: &Url) -> Result<Vec<u8>, FetchError> {
    match client.get(url, LIMIT, None, &mut |_| {})? {
        Answer::Fresh(fetched) => Ok(fetched.bytes),
        Answer::Unchanged => Ok(b"unchanged".to_vec()),
    }
}

#[test]
fn nobody_inside_is_called_unless_that_host_and_port_were_named() {
    let inside = Server::start(|_| answer("200 OK", "", b"secret"));
    let other = Server::start(|_| answer("200 OK", "", b"named"));
    let client = client(vec![other.named()]);
    assert_eq!(get(&client, &other.url("http", "/")).unwrap(), b"named");
    let port = inside.address.port();
    for host in [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "127.1",
        "0",
        "[::1]",
        "[::ffff:127.0.0.1]",
    ] {
        let url = Url::parse(&format!("https://{host}:{port}/")).unwrap();
        let refused = get(&client, &url);
        let fits = matches!(
            refused,
            Err(FetchError::NotPublic { .. } | FetchError::NoHost { .. })
        );
        assert!(fits, "{url}: {refused:?}");
        let plain = Url::parse(&format!("http://{host}:{port}/")).unwrap();
        assert!(
            matches!(get(&client, &plain), Err(FetchError::Plain { .. })),
            "{plain}"
        );
    }
    assert!(inside.asked().is_empty(), "{:?}", inside.asked());
}

#[test]
fn no_redirect_leads_inside_or_on_for_ever() {
    let inside = Server::start(|_| answer("200 OK", "", b"secret"));
    let port = inside.address.port();
    let outside = Server::start(move |head| {
        let to = match head.split(' ').nth(1) {
            Some("/there") => return answer("200 OK", "", b"there"),
            Some("/once") => "/there".to_owned(),
            Some("/round") => "/round".to_owned(),
            Some("/inside") => format!("http://127.0.0.1:{port}/"),
            Some("/tls") => format!("https://127.0.0.1:{port}/"),
            Some("/file") => "file:///etc/passwd".to_owned(),
            _ => String::new(),
        };
        answer("302 Found", &format!("Location: {to}\r\n"), b"")
    });
    let client = client(vec![outside.named()]);
    assert_eq!(
        get(&client, &outside.url("http", "/once")).unwrap(),
        b"there"
    );
    for path in ["/round", "/inside", "/tls", "/file", "/nowhere"] {
        let refused = get(&client, &outside.url("http", path)).unwrap_err();
        let fits = match path {
            "/inside" => matches!(refused, FetchError::Plain { .. }),
            "/tls" => matches!(refused, FetchError::NotPublic { .. }),
            _ => matches!(refused, FetchError::Redirect { .. }),
        };
        assert!(fits, "{path}: {refused:?}");
    }
    assert!(inside.asked().is_empty());
}

#[test]
fn nothing_larger_slower_or_packed_is_taken() {
    let big = vec![b'a'; usize::try_from(LIMIT).unwrap() + 1];
    let server = Server::slowly(None, move |head| {
        let now = Duration::ZERO;
        let drop_by_drop = vec![(Duration::from_millis(100), b"a".to_vec()); 100];
        match head.split(' ').nth(1) {
            Some("/told") => vec![(now, answer("200 OK", "", &big))],
            Some("/untold") => vec![
                (
                    now,
                    b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec(),
                ),
                (now, big.clone()),
            ],
            Some("/chunked") => {
                let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
                let chunk = [b"10000\r\n".as_slice(), &[b'a'; 65_536], b"\r\n"].concat();
                let chunks = std::iter::repeat_n((now, chunk), 20);
                std::iter::once((now, head)).chain(chunks).collect()
            }
            Some("/packed") => {
                vec![(
                    now,
                    answer("200 OK", "Content-Encoding: gzip\r\n", b"\x1f\x8b"),
                )]
            }
            Some("/silent") => vec![(Duration::from_secs(8), Vec::new())],
            Some("/drops") => {
                let head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n".to_vec();
                std::iter::once((now, head)).chain(drop_by_drop).collect()
            }
            Some("/short") => {
                vec![(
                    now,
                    b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc".to_vec(),
                )]
            }
            Some("/noise") => vec![(now, vec![0xff; 4096])],
            Some("/head") => vec![(now, [b"HTTP/1.1 200 OK\r\nA: ".as_slice(), &big].concat())],
            _ => vec![(now, answer("404 Not Found", "", b"no"))],
        }
    });
    let client = client(vec![server.named()]);
    for path in [
        "/told", "/untold", "/chunked", "/packed", "/silent", "/drops", "/short", "/noise",
        "/head", "/no",
    ] {
        let began = Instant::now();
        let refused = get(&client, &server.url("http", path)).unwrap_err();
        let fits = match path {
            "/told" | "/untold" | "/chunked" => matches!(refused, FetchError::Size { .. }),
            "/packed" => matches!(refused, FetchError::Encoded { .. }),
            "/silent" | "/drops" => matches!(refused, FetchError::Time { .. }),
            "/no" => refused.is_missing(),
            _ => matches!(refused, FetchError::Broken { .. }),
        };
        assert!(fits, "{path}: {refused:?}");
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "{path}: {:?}",
            began.elapsed()
        );
    }
}

#[test]
fn what_did_not_change_is_not_sent_again() {
    let server = Server::start(|head| {
        if head.contains("if-none-match: \"one\"") {
            return answer("304 Not Modified", "", b"");
        }
        answer(
            "200 OK",
            "ETag: \"one\"\r\nLast-Modified: Sat, 01 Jan 2026 00:00:00 GMT\r\n",
            b"x",
        )
    });
    let client = client(vec![server.named()]);
    let url = server.url("http", "/");
    let Ok(Answer::Fresh(first)) = client.get(&url, LIMIT, None, &mut |_| {}) else {
        panic!("it was never there before");
    };
    assert_eq!(first.validators.etag.as_deref(), Some("\"one\""));
    let again = client.get(&url, LIMIT, Some(&first.validators), &mut |_| {});
    assert!(matches!(again, Ok(Answer::Unchanged)), "{again:?}");
    // Who asks for the file and is told that it did not change has nothing.
    let lying = Server::start(|_| answer("304 Not Modified", "", b""));
    let client = self::client(vec![lying.named()]);
    assert!(matches!(
        client.get(&lying.url("http", "/"), LIMIT, None, &mut |_| {}),
        Err(FetchError::Redirect { .. } | FetchError::Status { .. })
    ));
}

#[test]
fn a_dead_server_is_told_as_such() {
    let port = {
        let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        gone.local_addr().unwrap().port()
    };
    let client = client(vec![("127.0.0.1".to_owned(), port)]);
    let url = Url::parse(&format!("http://127.0.0.1:{port}/")).unwrap();
    let refused = get(&client, &url);
    assert!(
        matches!(refused, Err(FetchError::Unreachable { .. })),
        "{refused:?}"
    );
}
