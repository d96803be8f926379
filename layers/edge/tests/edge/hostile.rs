//! What strangers try, and what is refused. Nothing refused reaches an upstream,
//! and every refusal is told.

use std::net::{IpAddr, Shutdown};
use std::sync::Arc;
use std::time::{Duration, Instant};

use edge::{NoObserver, Observer};
use vocab::{HttpEvent, Refusal, RefusedBy, Timestamp};
use wire::corpus::{self, Expect};

use crate::harness::*;

fn soon(setup: &mut Setup) {
    let timeouts = &mut setup.snapshot.timeouts;
    timeouts.head = Duration::from_millis(600);
    timeouts.stalled = Duration::from_millis(600);
    timeouts.response = Duration::from_millis(600);
}

/// An upstream that reads a whole message and answers with its body.
fn body_echo() -> Upstream {
    upstream(|served| {
        while let Some(head) = served.head() {
            let chunked = header(&head, "transfer-encoding").is_some();
            let length = header(&head, "content-length").map_or(0, |l| l.parse().unwrap());
            let body = match chunked {
                true => served.chunks(),
                false => served.exactly(length),
            };
            let Some(body) = body else { return };
            let body = String::from_utf8_lossy(&body).into_owned();
            served.ok(&body);
        }
    })
}

#[test]
fn the_framing_table_holds_over_a_socket() {
    let up = body_echo();
    let edge = in_front_of(&up);
    for row in corpus::requests() {
        up.heads.lock().unwrap().clear();
        edge.seen.refused.lock().unwrap().clear();
        edge.seen.http.lock().unwrap().clear();
        let answer = talk(edge.plain, &row.bytes);
        match row.expect {
            Expect::Deny(fault) => {
                assert_eq!(
                    status(&answer),
                    fault.status(),
                    "DENY {}: {answer}",
                    row.name
                );
                assert!(
                    up.heads.lock().unwrap().is_empty(),
                    "DENY {}: reached upstream",
                    row.name
                );
                assert_eq!(edge.seen.rules(), [fault.name()], "{}", row.name);
                assert!(edge.seen.statuses().is_empty(), "{}", row.name);
                let refused = edge.seen.refused.lock().unwrap();
                // some that browsers can be made to send count for nothing: see below
                let counts = !matches!(fault.status(), 414 | 431)
                    && fault.name() != "host.invalid"
                    && (row.bytes[0] >= b' ' || row.bytes[0].is_ascii_whitespace());
                assert_eq!(refused[0].by == RefusedBy::Codec, counts, "{}", row.name);
                let reference = format!("{:016x}", refused[0].request_id);
                assert!(answer.contains(&reference), "{}: {answer}", row.name);
            }
            Expect::DenyBody(fault) => {
                assert_eq!(
                    status(&answer),
                    fault.status(),
                    "DENY {}: {answer}",
                    row.name
                );
                assert_eq!(edge.seen.rules(), [fault.name()], "{}", row.name);
            }
            Expect::Pass(_, body) => {
                // gate's and our own rules may refuse a method, the codec must not
                let refused = edge.seen.refused.lock().unwrap();
                let by_rule = refused.iter().all(|refusal| refusal.by == RefusedBy::Rule);
                assert!(by_rule, "{}: {answer}", row.name);
                let want = if refused.is_empty() {
                    200
                } else {
                    refused[0].status
                };
                assert_eq!(status(&answer), want, "{}: {answer}", row.name);
                let sent = answer.split_once("\r\n\r\n").unwrap_or_default().1;
                if want == 200 && !row.bytes.starts_with(b"HEAD") {
                    assert_eq!(sent.as_bytes(), body, "{}", row.name);
                }
            }
        }
    }
}

#[test]
fn what_any_page_can_make_a_browser_send_is_refused_and_counts_for_nothing() {
    let up = echo_line();
    let edge = in_front_of(&up);
    let long = "n".repeat(9 << 10);
    let many = "A: b\r\n".repeat(200);
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec();
    for (what, bytes, want) in [
        (
            "a picture with a long address",
            format!("GET /?{long} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes(),
            (414, "line.too-long", RefusedBy::Limit),
        ),
        (
            "a long referer",
            format!("GET / HTTP/1.1\r\nHost: a\r\nReferer: {long}{long}\r\n\r\n").into_bytes(),
            (431, "header.too-long", RefusedBy::Limit),
        ),
        (
            "many headers",
            format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n").into_bytes(),
            (431, "head.too-many", RefusedBy::Limit),
        ),
        (
            "a name that only browsers take for a host",
            b"GET / HTTP/1.1\r\nHost: a!b.example\r\n\r\n".to_vec(),
            (400, "host.invalid", RefusedBy::Route),
        ),
        (
            "https:// with the port of http://",
            hello,
            (400, "line.method", RefusedBy::Limit),
        ),
    ] {
        edge.seen.refused.lock().unwrap().clear();
        assert_eq!(status(&talk(edge.plain, bytes)), want.0, "DENY {what}");
        let refused = edge.seen.refused.lock().unwrap();
        let told = (refused[0].rule.as_ref(), refused[0].by);
        assert_eq!(told, (want.1, want.2), "{what}");
    }
    assert!(up.heads.lock().unwrap().is_empty(), "DENY");
    // What no browser writes counts as ever.
    edge.seen.refused.lock().unwrap().clear();
    talk(edge.plain, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
    assert_eq!(edge.seen.refused.lock().unwrap()[0].by, RefusedBy::Codec);
}

#[test]
fn an_upstream_that_speaks_nonsense_is_a_bad_gateway() {
    for row in corpus::responses() {
        let Expect::Deny(fault) = row.expect else {
            continue;
        };
        let bytes = row.bytes.clone();
        let up = upstream(move |served| {
            served.head();
            served.say(&bytes);
        });
        let edge = in_front_of(&up);
        let mut client = Client::to(edge.plain);
        let method = if row.asked == wire::Method::Head {
            "HEAD"
        } else {
            "GET"
        };
        client.say(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n"));
        let head = client.head();
        assert_eq!(status(&head), 502, "DENY {} ({fault}): {head}", row.name);
        assert_eq!(edge.seen.statuses(), [502], "{}", row.name);
    }
}

#[test]
fn a_slow_head_is_cut_at_its_total_deadline_and_told() {
    let up = echo_line();
    let mut setup = Setup::new(vec![site("app", "*", &[up.address])]);
    soon(&mut setup);
    let edge = setup.start();
    let mut client = Client::to(edge.plain);
    let began = Instant::now();
    let mut sent = 0;
    // one byte at a time: progress does not buy time
    while sent < 100 && std::io::Write::write_all(&mut client.stream, b"G").is_ok() {
        sent += 1;
        std::thread::sleep(Duration::from_millis(50));
        if !edge.seen.refused.lock().unwrap().is_empty() {
            break;
        }
    }
    let took = began.elapsed();
    assert!(
        took > Duration::from_millis(500) && took < Duration::from_millis(1500),
        "{took:?}"
    );
    assert_eq!(status(&client.head()), 408);
    assert_eq!(edge.seen.rules(), ["limit.head-time"]);
    // whoever says nothing at all is closed without a word, and is no offender
    let mut silent = Client::to(edge.plain);
    assert!(silent.ends_within(Duration::from_secs(2)));
    assert_eq!(edge.seen.rules().len(), 1, "never for silence alone");
}

#[test]
fn a_stalled_body_and_a_stalled_upstream_are_told_apart() {
    let up = upstream(|served| {
        served.head();
        served.exactly(1 << 20);
    });
    let mut setup = Setup::new(vec![site("app", "*", &[up.address])]);
    soon(&mut setup);
    let edge = setup.start();
    let mut client = Client::to(edge.plain);
    client.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf");
    assert_eq!(status(&client.head()), 408);
    assert_eq!(edge.seen.rules(), ["limit.slow"]);
    let mut client = Client::to(edge.plain);
    client.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = client.head();
    assert_eq!(status(&head), 504);
    assert!(header(&head, "x-request-id").is_some());
    assert_eq!(edge.seen.statuses(), [504]);
}

#[test]
fn connection_caps_hold_per_address_and_spare_others() {
    let up = echo_line();
    let mut setup = Setup::new(vec![site("app", "*", &[up.address])]);
    setup.settings.connections.per_client = 3;
    let edge = setup.start();
    let mut held: Vec<Client> = (0..3).map(|_| Client::to(edge.plain)).collect();
    for client in &mut held {
        client.say("GET / HTTP/1.1\r\n");
    }
    assert!(eventually(|| edge.handle.stats().open == 3));
    let mut fourth = Client::to(edge.plain);
    assert!(fourth.ends_within(Duration::from_secs(1)), "DENY a fourth");
    assert_eq!(edge.seen.rules(), ["limit.connections"]);
    let mut other = Client::from(edge.plain, "127.0.0.9".parse().unwrap());
    assert_eq!(status(&other.get("/").0), 200);
    held.pop();
    assert!(eventually(|| edge.handle.stats().open == 3));
    assert_eq!(
        status(&Client::to(edge.plain).get("/").0),
        200,
        "room was given back"
    );
}

#[test]
fn at_its_cap_a_client_loses_its_own_idle_connections_and_no_one_elses() {
    let up = echo_line();
    let mut setup = Setup::new(vec![site("app", "*", &[up.address])]);
    setup.settings.connections.per_client = 3;
    let edge = setup.start();
    let mut other = Client::from(edge.plain, "127.0.0.9".parse().unwrap());
    assert_eq!(status(&other.get("/").0), 200);
    let mut held: Vec<Client> = (0..3).map(|_| Client::to(edge.plain)).collect();
    for client in &mut held {
        assert_eq!(status(&client.get("/").0), 200);
    }
    for _ in 0..9 {
        let mut next = Client::to(edge.plain);
        assert_eq!(status(&next.get("/").0), 200);
        held.push(next);
        assert!(eventually(|| edge.handle.stats().open == 4));
    }
    assert!(edge.seen.rules().is_empty(), "nobody was refused");
    assert_eq!(status(&other.get("/").0), 200, "DENY: another pays for it");
}

#[test]
fn idle_connections_make_room_near_the_cap() {
    let up = echo_line();
    let mut setup = Setup::new(vec![site("app", "*", &[up.address])]);
    setup.snapshot.limits.connections = 4;
    let edge = setup.start();
    let mut held: Vec<Client> = (0..8)
        .map(|_| {
            let mut client = Client::to(edge.plain);
            assert_eq!(status(&client.get("/").0), 200);
            client
        })
        .collect();
    assert!(eventually(|| edge.handle.stats().evicted_idle >= 4));
    assert!(held[0].ends_within(Duration::from_secs(1)));
    assert!(edge.seen.rules().is_empty(), "nobody was refused");
}

#[test]
fn the_client_behind_a_trusted_proxy_is_who_the_proxy_says() {
    let up = echo_line();
    let mut setup = Setup::new(vec![site("app", "*", &[up.address])]);
    setup.snapshot.trusted_proxies = vec!["127.0.0.0/30".parse().unwrap()];
    let edge = setup.start();
    for (peer, said, want) in [
        ("127.0.0.1", "192.0.2.7", "192.0.2.7"),
        ("127.0.0.1", "198.51.100.1, 192.0.2.7", "192.0.2.7"),
        ("127.0.0.1", "198.51.100.1, nonsense", "127.0.0.1"),
        // DENY: a stranger's word
        ("127.0.0.9", "192.0.2.7", "127.0.0.9"),
        ("127.0.0.9", "127.0.0.1", "127.0.0.9"),
    ] {
        let mut client = Client::from(edge.plain, peer.parse().unwrap());
        client.say(format!(
            "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {said}\r\nX-Forwarded-Proto: https\r\n\r\n"
        ));
        assert_eq!(status(&client.head()), 200);
        let events = edge.seen.http.lock().unwrap();
        let found = events.last().unwrap().client.to_string();
        assert_eq!(found, want, "{peer} said {said}");
        let heads = up.heads.lock().unwrap();
        let head = heads.last().unwrap();
        assert_eq!(header(head, "x-forwarded-for"), Some(want));
        let proto = if peer == "127.0.0.1" { "https" } else { "http" };
        assert_eq!(header(head, "x-forwarded-proto"), Some(proto), "{peer}");
    }
}

#[test]
fn a_reload_says_anew_whom_to_trust_on_kept_connections_too() {
    let up = echo_line();
    let snapshot = |trusted: &[&str]| edge::Snapshot {
        sites: vec![site("app", "*", &[up.address])],
        trusted_proxies: trusted.iter().map(|range| range.parse().unwrap()).collect(),
        ..edge::Snapshot::default()
    };
    let edge = in_front_of(&up);
    let mut client = Client::to(edge.plain);
    for (trusted, want) in [
        (&[][..], "127.0.0.1"),
        (&["127.0.0.1/32"][..], "192.0.2.7"),
        // DENY: trust that was taken back
        (&["10.0.0.1/32"][..], "127.0.0.1"),
    ] {
        edge.handle.reload(snapshot(trusted)).unwrap();
        client.say("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n");
        assert_eq!(status(&client.answer().0), 200);
        let events = edge.seen.http.lock().unwrap();
        assert_eq!(
            events.last().unwrap().client.to_string(),
            want,
            "{trusted:?}"
        );
    }
}

const FORGED: &str = "Forwarded: for=198.51.100.1\r\nX-Forwarded-For: 192.0.2.7\r\n";

#[test]
fn a_stranger_whom_the_proxy_does_not_name_is_not_allowed_as_the_proxy_is() {
    let up = echo_line();
    let proxy = "127.0.0.1/32".parse().unwrap();
    let mut setup = Setup::new(vec![site("app", "*", &[up.address])]);
    setup.snapshot.trusted_proxies = vec![proxy];
    setup.settings.tools = Arc::new(gate::Tools::parse("sqlmap").unwrap());
    let (one, minute) = (1.try_into().unwrap(), Duration::from_secs(60));
    setup.settings.requests = gate::Rate::new(one, minute, 5.try_into().unwrap());
    let edge = setup.start();
    edge.book.publish(&[book::Change::Allow {
        range: proxy,
        id: 1,
        until: Timestamp::MAX,
    }]);
    let ask = |target: &str, fields: &str| {
        let mut client = Client::to(edge.plain);
        client.say(format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
        status(&client.answer().0)
    };
    let tool = format!("{FORGED}User-Agent: sqlmap/1\r\n");
    let foreign = format!("{FORGED}Sec-Fetch-Site: cross-site\r\n");
    for (target, fields) in [
        ("/", &tool),
        ("/?x=exploit", &foreign),
        ("/%00", &FORGED.into()),
    ] {
        assert!(ask(target, fields) >= 400, "DENY {target} {fields}");
    }
    let passed = (0..50).filter(|_| ask("/", FORGED) == 200).count();
    assert!(passed <= 5, "DENY {passed}");
    for _ in 0..20 {
        assert_eq!(ask("/", ""), 200, "a health check");
    }
    assert!(up.heads.lock().unwrap().len() <= 25, "DENY");
}

#[test]
fn what_was_learnt_of_the_proxies_outlasts_reloads_that_believe_the_same() {
    let up = echo_line();
    let snapshot = |trusted: &str| edge::Snapshot {
        sites: vec![site("app", "*", &[up.address])],
        trusted_proxies: vec![trusted.parse().unwrap()],
        ..edge::Snapshot::default()
    };
    let edge = in_front_of(&up);
    edge.handle.reload(snapshot("127.0.0.1/32")).unwrap();
    let client_of = |fields: &str| {
        let mut client = Client::to(edge.plain);
        client.say(format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
        assert_eq!(status(&client.answer().0), 200);
        let events = edge.seen.http.lock().unwrap();
        events.last().unwrap().client.to_string()
    };
    assert_eq!(client_of(FORGED), "127.0.0.1", "nothing is known yet");
    client_of("X-Forwarded-For: 192.0.2.7\r\n");
    assert_eq!(client_of(FORGED), "192.0.2.7");
    edge.handle.reload(snapshot("127.0.0.1/32")).unwrap();
    assert_eq!(client_of(FORGED), "192.0.2.7", "DENY a new first request");
    edge.handle.reload(snapshot("127.0.0.0/30")).unwrap();
    assert_eq!(
        client_of(FORGED),
        "127.0.0.1",
        "other proxies, nothing known"
    );
}

#[test]
fn unknown_hosts_and_long_bodies_are_refused() {
    let up = body_echo();
    let mut setup = Setup::new(vec![site("app", "app.test", &[up.address])]);
    setup.snapshot.limits.body_bytes = Some(10);
    let edge = setup.start();
    let chunked = "POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n14\r\n01234567890123456789\r\n0\r\n\r\n";
    for (request, want, rule) in [
        (
            "GET / HTTP/1.1\r\nHost: other\r\n\r\n",
            404,
            "route.no-site",
        ),
        (
            "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 11\r\n\r\n01234567890",
            413,
            "limit.body",
        ),
        (chunked, 413, "limit.body"),
    ] {
        let answer = talk(edge.plain, request);
        assert_eq!(status(&answer), want, "DENY {answer}");
        assert_eq!(edge.seen.rules().last().unwrap(), rule);
    }
    assert!(edge.seen.statuses().is_empty());
    let fits = "POST / HTTP/1.1\r\nHost: APP.test.:80\r\nContent-Length: 10\r\n\r\n0123456789";
    assert_eq!(status(&talk(edge.plain, fits)), 200);
}

pub(crate) fn ban(edge: &TestEdge, address: &str) {
    ban_range(edge, vocab::Cidr::host(address.parse().unwrap()));
}

fn ban_range(edge: &TestEdge, range: vocab::Cidr) {
    edge.book.publish(&[book::Change::Bar {
        range,
        id: 7,
        force: book::Force::Ban,
        until: Timestamp::MAX,
    }]);
    edge.handle.bar(range);
}

#[test]
fn a_barred_source_is_refused_and_makes_no_events() {
    let up = echo_line();
    let edge = in_front_of(&up);
    ban(&edge, "127.0.0.66");
    let mut barred = Client::from(edge.plain, "127.0.0.66".parse().unwrap());
    barred.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let (head, body) = barred.answer();
    assert_eq!(status(&head), 403, "DENY");
    assert!(String::from_utf8(body).unwrap().contains("Reference: "));
    assert_eq!(edge.seen.rules(), ["book.ban"]);
    assert!(
        edge.seen.statuses().is_empty(),
        "a ban must not feed on its own 403s"
    );
    assert!(up.heads.lock().unwrap().is_empty());
    assert_eq!(status(&Client::to(edge.plain).get("/").0), 200);
}

#[test]
fn a_barred_sources_open_connections_end_within_100_ms_and_no_others() {
    let up = upstream(|served| {
        while let Some(head) = served.head() {
            if head.starts_with("GET /ws") {
                served.say("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
                served.exactly(1);
            } else if head.starts_with("GET /stream") {
                served.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
                served.exactly(1);
            } else if head.starts_with("GET /wait") {
                served.exactly(1);
            } else {
                served.ok("x");
            }
        }
    });
    let mut setup = Setup::new(vec![site("app", "*", &[up.address])]);
    setup.snapshot.trusted_proxies = vec!["127.0.0.2/32".parse().unwrap()];
    let edge = setup.start();
    let connect = |source: &str, path: &str| {
        let mut client = Client::from(edge.plain, source.parse::<IpAddr>().unwrap());
        client.say(format!(
            "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nX-Forwarded-For: 192.0.2.{}\r\n\r\n",
            if source == "127.0.0.2" { "66" } else { "1" }
        ));
        if path != "/wait" {
            assert!(matches!(status(&client.head()), 101 | 200));
        }
        client
    };
    let paths = ["/", "/ws", "/stream", "/wait"];
    let mut doomed: Vec<Client> = paths.iter().map(|p| connect("127.0.0.66", p)).collect();
    doomed.push(connect("127.0.0.2", "/ws"));
    doomed.push(connect("127.0.0.2", "/stream"));
    let mut spared: Vec<Client> = paths.iter().map(|p| connect("127.0.0.7", p)).collect();
    std::thread::sleep(Duration::from_millis(100));
    let began = Instant::now();
    ban(&edge, "127.0.0.66");
    ban(&edge, "192.0.2.66");
    for client in &mut doomed {
        assert!(client.ends_within(Duration::from_millis(500)), "DENY");
    }
    let took = began.elapsed();
    assert!(took < Duration::from_millis(100), "{took:?}");
    for client in &mut spared {
        assert!(
            !client.ends_within(Duration::from_millis(20)),
            "others are cut"
        );
    }
}

#[test]
fn a_barred_range_leaves_open_what_an_allowed_source_in_it_does() {
    let up = upstream(|served| {
        while served.head().is_some() {
            served.say("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
            served.exactly(1);
        }
    });
    let edge = in_front_of(&up);
    let connect = |source: &str| {
        let mut client = Client::from(edge.plain, source.parse::<IpAddr>().unwrap());
        client.say(
            "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        );
        assert_eq!(status(&client.head()), 101);
        client
    };
    let allow = |range: &str, until| {
        edge.book.publish(&[book::Change::Allow {
            range: range.parse().unwrap(),
            id: 9,
            until,
        }]);
    };
    allow("127.0.0.66", Timestamp::MAX);
    allow("127.0.0.67", Timestamp::EPOCH);
    let mut allowed = connect("127.0.0.66");
    let mut no_longer = connect("127.0.0.67");
    let mut doomed = connect("127.0.0.68");
    ban_range(&edge, "127.0.0.64/29".parse().unwrap());
    for client in [&mut no_longer, &mut doomed] {
        assert!(client.ends_within(Duration::from_millis(500)), "DENY");
    }
    assert!(
        !allowed.ends_within(Duration::from_millis(100)),
        "an allowed source was cut"
    );
}

/// Bars whoever asks for `/attack`, the moment it is seen.
struct Deciding(Arc<book::Published>, NoObserver);

impl Observer for Deciding {
    fn http(&self, _core: usize, event: &HttpEvent<'_>) {
        if event.target == "/attack" {
            self.0.publish(&[book::Change::Bar {
                range: vocab::Cidr::host(event.client.0),
                id: 9,
                force: book::Force::Ban,
                until: Timestamp::MAX,
            }]);
        }
    }

    fn refused(&self, core: usize, refusal: &Refusal<'_>) {
        self.1.refused(core, refusal);
    }
}

#[test]
fn the_request_after_the_deciding_one_is_refused() {
    let up = echo_line();
    let book = Arc::new(book::Published::new(book::View::default()));
    let gate = Arc::new(gate::Gate::new(
        Arc::clone(&book),
        gate::Settings::default(),
    ));
    let sockets = edge::bind("127.0.0.1:0".parse().unwrap(), 1).unwrap();
    let address = sockets[0].local_addr().unwrap();
    let handle = edge::Edge::start(
        edge::Snapshot {
            sites: vec![site("app", "*", &[up.address])],
            ..edge::Snapshot::default()
        },
        vec![edge::Listener {
            sockets,
            tls: false,
            proxy_protocol: false,
        }],
        edge::Deps {
            gate,
            observer: Arc::new(Deciding(book, NoObserver)),
            access_log: None,
            certificates: Vec::new(),
            cores: 1,
        },
    )
    .unwrap();
    let mut client = Client::to(address);
    // pipelined: the second is read before the first is answered
    client.say("GET /attack HTTP/1.1\r\nHost: a\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(status(&client.answer().0), 200);
    assert_eq!(status(&client.answer().0), 403, "DENY the very next");
    assert_eq!(up.heads.lock().unwrap().len(), 1);
    drop(handle);
}

#[test]
fn an_observing_site_tells_and_lets_through_even_when_barred() {
    let up = echo_line();
    let mut observing = site("app", "*", &[up.address]);
    observing.policy.mode = gate::Mode::Observe;
    let edge = Setup::new(vec![observing]).start();
    let mut client = Client::from(edge.plain, "127.0.0.66".parse().unwrap());
    assert_eq!(status(&client.get("/").0), 200);
    ban(&edge, "127.0.0.66");
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(status(&client.get("/").0), 200, "observe must not cut");
    let refused = edge.seen.refused.lock().unwrap();
    assert!(refused.len() == 1 && refused[0].observed && refused[0].rule == "book.ban");
}

#[test]
fn a_truncated_answer_is_never_passed_off_as_whole() {
    let up = upstream(|served| {
        let head = served.head().unwrap_or_default();
        if head.contains("/length") {
            served.say("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
        } else {
            served.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
        }
        served.stream.shutdown(Shutdown::Both).unwrap();
    });
    let edge = in_front_of(&up);
    for request in [
        "GET /length HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /chunked HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let answer = talk(edge.plain, request);
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(
            body.len() < 100 && !body.contains("0\r\n\r\n"),
            "DENY {answer}"
        );
    }
    // until close for an old client: only a reset tells
    let mut old = Client::to(edge.plain);
    old.say("GET /chunked HTTP/1.0\r\n\r\n");
    let mut all = Vec::new();
    let end = std::io::Read::read_to_end(&mut old.stream, &mut all);
    assert!(end.is_err(), "DENY a clean end after {all:?}");
}
