//! TLS as a stream: sizes, cuts, ends and floods, seen from the client's side.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustls::{ClientConnection, StreamOwned, version};

use crate::harness::*;
use crate::tls::{Browser, setup};

type Sealed = StreamOwned<ClientConnection, TcpStream>;

fn browser() -> Browser {
    Browser::new(&[&version::TLS13])
}

/// Reads one answer with a declared length; its body.
fn answer(stream: &mut Sealed) -> Vec<u8> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    assert_eq!(status(&head), 200, "{head}");
    let mut body = vec![0; header(&head, "content-length").unwrap().parse().unwrap()];
    stream.read_exact(&mut body).unwrap();
    body
}

fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at % 251) as u8).collect()
}

#[test]
fn every_end_is_said_so_that_no_answer_seems_cut_off() {
    let up = upstream(|served| {
        let until_close = served.head().is_some_and(|head| head.contains("/old"));
        if until_close {
            served.say("HTTP/1.0 200 OK\r\n\r\nall of it");
        } else {
            served.ok("all of it");
        }
    });
    let mut setup = setup(&up);
    setup.snapshot.timeouts.idle = Duration::from_millis(400);
    let edge = setup.start();
    for ask in [
        "GET /old HTTP/1.0\r\nHost: app.localhost\r\n\r\n",
        "GET /old HTTP/1.1\r\nHost: app.localhost\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: app.localhost\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: app.localhost\r\n\r\n", // until it was idle for long
        "nonsense\r\n\r\n",
    ] {
        let mut stream = browser().open(edge.tls, "app.localhost");
        stream.write_all(ask.as_bytes()).unwrap();
        let mut all = String::new();
        // without the word, rustls makes this an error
        stream.read_to_string(&mut all).unwrap();
        assert_eq!(all.contains("all of it"), !ask.starts_with("nonsense"));
    }
}

#[test]
fn a_client_that_does_not_take_its_answer_stops_the_upstream_and_loses_nothing() {
    const WHOLE: usize = 64 << 20;
    let written = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&written);
    let up = upstream(move |served| {
        while served.head().is_some() {
            served.say(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {WHOLE}\r\n\r\n"
            ));
            let part = pattern(251 * 256);
            for at in (0..WHOLE).step_by(part.len()) {
                let part = &part[..part.len().min(WHOLE - at)];
                served.say(part);
                count.fetch_add(part.len(), Ordering::SeqCst);
            }
        }
    });
    let edge = setup(&up).start();
    for version in [&version::TLS12, &version::TLS13] {
        written.store(0, Ordering::SeqCst);
        let mut stream = Browser::new(&[version]).open(edge.tls, "app.localhost");
        write!(stream, "GET / HTTP/1.1\r\nHost: app.localhost\r\n\r\n").unwrap();
        let mut last = usize::MAX;
        while last != written.load(Ordering::SeqCst) {
            last = written.load(Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(200));
        }
        assert!(last < WHOLE / 2, "DENY: {last} bytes were taken for nobody");
        let body = answer(&mut stream);
        assert_eq!(body.len(), WHOLE);
        let wrong = body
            .iter()
            .enumerate()
            .find(|(at, byte)| usize::from(**byte) != at % (251 * 256) % 251);
        assert_eq!(wrong, None);
    }
}

#[test]
fn a_request_arrives_however_finely_its_records_are_cut() {
    let up = echo_line();
    let edge = setup(&up).start();
    let ask = b"GET /fine HTTP/1.1\r\nHost: app.localhost\r\n\r\n";
    for by_record in [true, false] {
        let mut stream = browser().open(edge.tls, "app.localhost");
        stream.sock.set_nodelay(true).unwrap();
        stream.conn.complete_io(&mut stream.sock).unwrap();
        let mut said = Vec::new();
        for part in ask.chunks(if by_record { 1 } else { ask.len() }) {
            stream.conn.writer().write_all(part).unwrap();
            stream.conn.write_tls(&mut said).unwrap();
        }
        let step = if by_record { said.len() } else { 1 };
        for part in said.chunks(step) {
            stream.sock.write_all(part).unwrap();
        }
        assert_eq!(answer(&mut stream), b"GET /fine HTTP/1.1");
        // and then it goes on as usual
        stream.write_all(ask).unwrap();
        assert_eq!(answer(&mut stream), b"GET /fine HTTP/1.1");
    }
}

#[test]
fn requests_sent_ahead_in_one_write_are_answered_in_order() {
    const MANY: usize = 800; // several buffers full
    let up = echo_line();
    let edge = setup(&up).start();
    let mut stream = browser().open(edge.tls, "app.localhost");
    let mut asks = String::new();
    for number in 0..MANY {
        asks += &format!(
            "GET /{number} HTTP/1.1\r\nHost: app.localhost\r\nX: {:64}\r\n\r\n",
            1
        );
    }
    let client = std::thread::spawn(move || {
        stream.write_all(asks.as_bytes()).unwrap();
        for number in 0..MANY {
            let expected = format!("GET /{number} HTTP/1.1");
            assert_eq!(answer(&mut stream), expected.as_bytes());
        }
    });
    client.join().unwrap(); // every read of it has a timeout
}

#[test]
fn tunnels_carry_bytes_both_ways_and_each_side_ends_alone() {
    let up = upstream(|served| {
        let Some(head) = served.head() else { return };
        served.say("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhi");
        if head.contains("/ours") {
            served.stream.shutdown(std::net::Shutdown::Write).unwrap();
            assert_eq!(served.exactly(300_000).unwrap(), pattern(300_000));
        } else {
            let said = served.exactly(300_000).unwrap();
            assert!(served.exactly(1).is_none(), "its end passes on");
            served.say(said);
        }
    });
    let edge = setup(&up).start();
    for path in ["theirs", "ours"] {
        let mut stream = browser().open(edge.tls, "app.localhost");
        write!(stream, "GET /{path} HTTP/1.1\r\nHost: app.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n").unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\nhi") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        if path == "ours" {
            assert_eq!(stream.read(&mut [0]).unwrap(), 0, "its end was said");
        }
        stream.write_all(&pattern(300_000)).unwrap();
        stream.conn.send_close_notify();
        while stream.conn.wants_write() {
            stream.conn.write_tls(&mut stream.sock).unwrap();
        }
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        assert_eq!(rest.len(), if path == "theirs" { 300_000 } else { 0 });
    }
    assert!(eventually(|| edge.seen.statuses() == [101, 101]));
}

#[test]
fn whoever_only_changes_keys_is_cut_off_and_nobody_waits_for_it() {
    let up = echo_line();
    let edge = setup(&up).start(); // one core
    let stop = Arc::new(AtomicBool::new(false));
    let (heard, at) = (Arc::clone(&stop), edge.tls);
    let attack = std::thread::spawn(move || {
        let mut cut = 0;
        while !heard.load(Ordering::SeqCst) {
            let mut stream = browser().open(at, "app.localhost");
            stream.conn.complete_io(&mut stream.sock).unwrap();
            let mut flood = Vec::new();
            // A body that never ends, a byte now and then, so that rustls goes on counting anew.
            let ask = "POST / HTTP/1.1\r\nHost: app.localhost\r\nContent-Length: 99999\r\n\r\n";
            stream.conn.writer().write_all(ask.as_bytes()).unwrap();
            for _ in 0..300 {
                for _ in 0..30 {
                    stream.conn.refresh_traffic_keys().unwrap();
                }
                stream.conn.writer().write_all(b"x").unwrap();
                while stream.conn.wants_write() {
                    stream.conn.write_tls(&mut flood).unwrap();
                }
            }
            for _ in 0..40 {
                stream.conn.refresh_traffic_keys().unwrap();
            }
            while stream.conn.wants_write() {
                stream.conn.write_tls(&mut flood).unwrap();
            }
            drop(stream.sock.write_all(&flood));
            // the last forty were too many in a row
            let end = stream.read(&mut [0; 100]);
            cut += usize::from(!matches!(
                end,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
            ));
        }
        cut
    });
    let mut slowest = Duration::ZERO;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(3) {
        let asked = Instant::now();
        let mut visitor = Client::to(edge.plain);
        assert_eq!(visitor.get("/").1, b"GET / HTTP/1.1");
        slowest = slowest.max(asked.elapsed());
        std::thread::sleep(Duration::from_millis(20));
    }
    stop.store(true, Ordering::SeqCst);
    assert!(attack.join().unwrap() > 0, "nobody was cut off");
    assert!(slowest < Duration::from_secs(1), "DENY: waited {slowest:?}");
}
