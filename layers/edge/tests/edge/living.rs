//! Upstreams that fail, reloads, drains, logs, and bodies of any length.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use edge::{AccessLog, LogFormat, Snapshot};

use crate::harness::*;

/// A port that nobody listens on.
fn nobody() -> std::net::SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

#[test]
fn a_dead_upstream_is_a_502_with_a_reference_and_other_sites_live() {
    let up = echo_line();
    let edge = Setup::new(vec![
        site("dead", "dead.test", &[nobody()]),
        site("live", "live.test", &[up.address]),
    ])
    .start();
    let mut client = Client::to(edge.plain);
    for _ in 0..3 {
        client.say("GET / HTTP/1.1\r\nHost: dead.test\r\n\r\n");
        let (head, body) = client.answer();
        assert_eq!(status(&head), 502);
        let reference = header(&head, "x-request-id").unwrap();
        assert!(String::from_utf8(body).unwrap().contains(reference));
        client.say("GET / HTTP/1.1\r\nHost: live.test\r\n\r\n");
        assert_eq!(status(&client.answer().0), 200);
    }
    assert_eq!(edge.seen.statuses(), [502, 200, 502, 200, 502, 200]);
}

#[test]
fn a_dead_one_among_several_upstreams_is_passed_over() {
    let (one, two) = (echo_line(), echo_line());
    let edge = Setup::new(vec![site(
        "app",
        "*",
        &[one.address, nobody(), two.address],
    )])
    .start();
    let mut client = Client::to(edge.plain);
    for _ in 0..12 {
        assert_eq!(status(&client.get("/").0), 200);
    }
    let count = |up: &Upstream| up.heads.lock().unwrap().len();
    assert!(count(&one) >= 4 && count(&two) >= 4);
    assert_eq!(
        edge.handle.stats().upstream_errors,
        1,
        "it rests after its failure"
    );
}

#[test]
fn only_safe_requests_are_repeated_when_a_kept_connection_dies() {
    // Each connection serves one request; the next one kills it unanswered.
    let up = upstream(|served| {
        served.head();
        served.ok("first");
        served.head();
    });
    let edge = in_front_of(&up);
    let mut client = Client::to(edge.plain);
    assert_eq!(status(&client.get("/one").0), 200);
    assert_eq!(
        status(&client.get("/two").0),
        200,
        "repeated on a fresh connection"
    );
    let sent = |path: &str| {
        let heads = up.heads.lock().unwrap();
        heads.iter().filter(|head| head.contains(path)).count()
    };
    assert_eq!((sent("/one"), sent("/two")), (1, 2));
    client.say("POST /three HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    assert_eq!(status(&client.answer().0), 502, "DENY a second POST");
    assert_eq!(sent("/three"), 1);
    assert_eq!(edge.handle.stats().upstream_retries, 1);
}

#[test]
fn an_upstream_connection_is_not_reused_after_an_aborted_body() {
    let up = upstream(|served| {
        while let Some(head) = served.head() {
            if head.starts_with("POST") {
                served.exactly(50);
                served.ok("early");
                served.exactly(1 << 20);
                return;
            }
            served.ok("fine");
        }
    });
    let edge = in_front_of(&up);
    let mut client = Client::to(edge.plain);
    client.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n");
    client.say([b'x'; 60]);
    assert_eq!(client.answer().1, b"early");
    assert_eq!(Client::to(edge.plain).get("/").1, b"fine");
    assert_eq!(up.accepted.load(Ordering::SeqCst), 2);
}

#[test]
fn a_reload_swaps_all_or_nothing_and_drops_no_request() {
    let (one, two) = (echo_line(), echo_line());
    let edge = in_front_of(&one);
    let stop = Arc::new(AtomicBool::new(false));
    let failed = Arc::new(AtomicUsize::new(0));
    let served = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (stop, failed, served) = (stop.clone(), failed.clone(), served.clone());
            let address = edge.plain;
            std::thread::spawn(move || {
                let mut client = Client::to(address);
                while !stop.load(Ordering::Relaxed) {
                    if status(&client.get("/").0) == 200 {
                        served.fetch_add(1, Ordering::Relaxed);
                    } else {
                        failed.fetch_add(1, Ordering::Relaxed);
                        return;
                    }
                }
            })
        })
        .collect();
    for turn in 0..20 {
        let upstream = if turn % 2 == 0 {
            two.address
        } else {
            one.address
        };
        edge.handle
            .reload(Snapshot {
                sites: vec![site("app", "*", &[upstream])],
                ..Snapshot::default()
            })
            .unwrap();
        // a bad one changes nothing
        let bad = Snapshot {
            sites: vec![
                site("app", "*", &[upstream]),
                site("other", "*", &[upstream]),
            ],
            ..Snapshot::default()
        };
        assert!(edge.handle.reload(bad).is_err());
        std::thread::sleep(Duration::from_millis(10));
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().unwrap();
    }
    assert_eq!(failed.load(Ordering::Relaxed), 0);
    assert!(served.load(Ordering::Relaxed) > 50 && !two.heads.lock().unwrap().is_empty());
}

#[test]
fn a_drain_finishes_what_is_active_and_refuses_what_is_new() {
    let up = upstream(|served| {
        while let Some(head) = served.head() {
            if head.contains("/slow") {
                std::thread::sleep(Duration::from_millis(400));
            }
            served.ok("done");
        }
    });
    let mut edge = in_front_of(&up);
    let mut idle = Client::to(edge.plain);
    idle.get("/");
    let mut active = Client::to(edge.plain);
    active.say("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(eventually(|| up.heads.lock().unwrap().len() == 2));
    let address = edge.plain;
    let waiter = std::thread::spawn(move || {
        let answer = active.answer();
        (
            status(&answer.0),
            header(&answer.0, "connection").map(str::to_owned),
            answer.1,
        )
    });
    let drained = edge.handle.drain(Duration::from_secs(5));
    assert_eq!((drained.aborted, drained.cores_left), (0, 0));
    assert!(drained.took < Duration::from_secs(3), "{drained:?}");
    let (code, connection, body) = waiter.join().unwrap();
    assert_eq!((code, body.as_slice()), (200, &b"done"[..]));
    assert_eq!(connection.as_deref(), Some("close"));
    assert!(idle.ends_within(Duration::from_secs(1)));
    assert!(
        std::net::TcpStream::connect(address).is_err(),
        "nothing listens any more"
    );
}

#[test]
fn a_drain_says_what_it_had_to_abort() {
    let up = upstream(|served| {
        served.head();
        served.exactly(1);
    });
    let mut edge = in_front_of(&up);
    let mut active = Client::to(edge.plain);
    active.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(eventually(|| !up.heads.lock().unwrap().is_empty()));
    let drained = edge.handle.drain(Duration::from_millis(300));
    assert_eq!((drained.aborted, drained.cores_left), (1, 0));
    assert!(active.ends_within(Duration::from_secs(1)));
}

#[test]
fn the_access_log_has_every_request_and_follows_a_rename() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let open = {
        let path = path.clone();
        move || {
            std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(&path)
        }
    };
    let up = echo_line();
    let mut setup = Setup::new(vec![site("app", "*", &[up.address])]);
    setup.log = Some(AccessLog {
        format: LogFormat::Combined,
        open: Box::new(open),
    });
    let mut edge = setup.start();
    let mut client = Client::to(edge.plain);
    client.say("GET /one HTTP/1.1\r\nHost: a\r\nUser-Agent: a\"b\\\r\nReferer: r\r\n\r\n");
    client.answer();
    talk(
        edge.plain,
        "GET /bad HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
    );
    let read = |path: &std::path::Path| std::fs::read_to_string(path).unwrap_or_default();
    assert!(eventually(|| read(&path).lines().count() == 2));
    let text = read(&path);
    let first = text.lines().find(|line| line.contains("/one")).unwrap();
    assert!(first.starts_with("127.0.0.1 - - ["), "{first}");
    assert!(
        first.contains("\"GET /one HTTP/1.1\" 200 ") && first.contains("\"r\" \"a\\x22b\\x5C\""),
        "{first}"
    );
    assert!(first.contains(" verdict=pass upstream=0."), "{first}");
    let refused = text.lines().find(|line| line.contains("/bad")).unwrap();
    assert!(
        refused.contains("\" 400 ") && refused.contains("verdict=framing.cl-duplicate"),
        "{refused}"
    );
    let moved = folder.path().join("access.log.1");
    std::fs::rename(&path, &moved).unwrap();
    edge.handle.reopen_log();
    client.get("/two");
    edge.handle.drain(Duration::from_secs(1));
    assert!(read(&path).contains("/two") && !read(&moved).contains("/two"));
    assert_eq!(edge.handle.stats().log_dropped, 0);
}

/// Resident memory of this process in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

const GIGABYTE: u64 = 1 << 30;

#[test]
fn a_gigabyte_passes_each_way_with_flat_memory() {
    let up = upstream(|served| {
        let mut block = vec![0_u8; 1 << 20];
        while let Some(head) = served.head() {
            if head.starts_with("POST") {
                let mut got = served.buffer.len() as u64;
                served.buffer.clear();
                while got < GIGABYTE {
                    match served.stream.read(&mut block) {
                        Ok(0) | Err(_) => return,
                        Ok(read) => got += read as u64,
                    }
                }
                served.ok(&got.to_string());
            } else {
                served.say(format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {GIGABYTE}\r\n\r\n"
                ));
                for _ in 0..GIGABYTE >> 20 {
                    if served.stream.write_all(&block).is_err() {
                        return;
                    }
                }
            }
        }
    });
    let edge = in_front_of(&up);
    let mut client = Client::to(edge.plain);
    client.say("POST /warm-up HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n");
    drop(client);
    let before = resident();
    let began = Instant::now();
    let mut client = Client::to(edge.plain);
    client.say(format!(
        "POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: {GIGABYTE}\r\n\r\n"
    ));
    let block = vec![7_u8; 1 << 20];
    for _ in 0..GIGABYTE >> 20 {
        client.stream.write_all(&block).unwrap();
    }
    assert_eq!(client.answer().1, GIGABYTE.to_string().as_bytes());
    client.say("GET /down HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(
        header(&client.head(), "content-length"),
        Some(GIGABYTE.to_string().as_str())
    );
    let mut got = client.buffer.len() as u64;
    let mut sink = block;
    let mut most = resident();
    let mut reads = 0;
    while got < GIGABYTE {
        let read = client.stream.read(&mut sink).unwrap();
        assert!(read > 0, "ended after {got}");
        got += read as u64;
        reads += 1;
        if reads % 256 == 0 {
            most = most.max(resident());
        }
    }
    let grown = most.saturating_sub(before);
    assert!(
        grown < 8 * 1024,
        "grew by {grown} KiB in {:?}",
        began.elapsed()
    );
    let stats = edge.handle.stats();
    assert!(stats.bytes_out > 0 && stats.upstream_errors == 0);
}

/// A listener that lets nobody in any more, as the address of a container that stopped:
/// whoever connects waits.
struct Mute {
    address: std::net::SocketAddr,
    _kept: (TcpListener, Vec<socket2::Socket>),
}

impl Mute {
    fn new() -> Self {
        let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let socket = socket.unwrap();
        socket.bind(&any.into()).unwrap();
        socket.listen(0).unwrap();
        let listener = TcpListener::from(socket);
        let address = listener.local_addr().unwrap();
        let fill = || {
            let one = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
            one.connect_timeout(&address.into(), Duration::from_millis(200))?;
            Ok::<_, std::io::Error>(one)
        };
        let queued: Vec<_> = std::iter::from_fn(|| fill().ok()).take(10).collect();
        assert!(queued.len() < 10, "its queue has no end");
        Self {
            address,
            _kept: (listener, queued),
        }
    }
}

#[test]
fn who_waits_for_an_upstream_that_is_gone_is_answered_by_the_next_or_by_503() {
    let (mute, also_mute, up) = (Mute::new(), Mute::new(), echo_line());
    for (upstreams, want) in [
        (vec![up.address], 200),
        (vec![], 503),
        // Still there, and two of them: the configured time-out holds.
        (vec![mute.address, also_mute.address], 504),
    ] {
        let of = |upstreams: &[std::net::SocketAddr]| Snapshot {
            sites: vec![site("app", "*", upstreams)],
            timeouts: edge::Timeouts {
                connect: Duration::from_secs(3),
                ..edge::Timeouts::default()
            },
            ..Snapshot::default()
        };
        let mut setup = Setup::new(Vec::new());
        setup.snapshot = of(&[mute.address]);
        let edge = setup.start();
        let mut client = Client::to(edge.plain);
        client.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        std::thread::sleep(Duration::from_millis(300));
        let began = Instant::now();
        edge.handle.reload(of(&upstreams)).unwrap();
        assert_eq!(status(&client.answer().0), want);
        let took = began.elapsed();
        let at_once = took < Duration::from_secs(2);
        assert_eq!(at_once, want != 504, "{want} after {took:?}");
        assert_eq!(edge.seen.statuses(), [want]);
    }
}
