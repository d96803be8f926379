//! Requests and responses on their way through.

use std::net::Shutdown;
use std::time::Duration;

use edge::HostPattern;

use crate::harness::*;

#[test]
fn requests_are_re_serialised_with_our_own_word_on_their_origin() {
    let up = echo_line();
    let edge = in_front_of(&up);
    let mut client = Client::to(edge.plain);
    client.say(
        "GET /a?b=c HTTP/1.1\r\nHost: Example.org:8080\r\nX-Forwarded-For: 198.51.100.1\r\n\
         X_Forwarded_For: 198.51.100.2\r\nForwarded: for=198.51.100.3\r\nX-Real-IP: 198.51.100.4\r\n\
         Connection: keep-alive, X-Gone\r\nX-Gone: 1\r\nKeep-Alive: 5\r\nUser-Agent: t\r\n\r\n",
    );
    let (head, body) = client.answer();
    assert_eq!(
        (status(&head), body.as_slice()),
        (200, &b"GET /a?b=c HTTP/1.1"[..])
    );
    let heads = up.heads.lock().unwrap();
    let seen = heads[0].as_str();
    assert_eq!(header(seen, "x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(header(seen, "x-real-ip"), Some("127.0.0.1"));
    assert_eq!(header(seen, "x-forwarded-proto"), Some("http"));
    assert_eq!(header(seen, "x-forwarded-host"), Some("Example.org:8080"));
    assert_eq!(header(seen, "host"), Some("Example.org:8080"));
    assert!(!seen.contains("198.51.100"), "DENY: {seen}");
    assert!(
        !seen.contains("X-Gone") && !seen.contains("Keep-Alive"),
        "{seen}"
    );
    let events = edge.seen.http.lock().unwrap();
    let event = &events[0];
    // DENY: a name of the client's own choice for rules to group by
    assert_eq!(
        (event.status, &*event.target, &*event.host),
        (200, "/a?b=c", "app")
    );
    assert_eq!(
        (&*event.site, &*event.user_agent, event.body_bytes),
        ("app", "t", Some(19))
    );
}

#[test]
fn rules_hear_of_a_host_only_where_the_site_spells_it_out() {
    let up = echo_line();
    let mut both = site("app", "app.example.org", &[up.address]);
    both.hosts
        .push(HostPattern::parse("*.made-up.example").unwrap());
    let edge = Setup::new(vec![both]).start();
    for (host, want) in [
        ("App.Example.org.", "app.example.org"),
        ("app.example.org:8080", "app.example.org"),
        ("1.made-up.example", "app"),
        ("2.made-up.example", "app"),
    ] {
        let mut client = Client::to(edge.plain);
        client.say(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(status(&client.answer().0), 200, "{host}");
        let events = edge.seen.http.lock().unwrap();
        assert_eq!(events.last().unwrap().host, want, "{host}");
    }
}

#[test]
fn pipelined_requests_are_answered_in_order_on_one_upstream_connection() {
    let up = echo_line();
    let edge = in_front_of(&up);
    let mut client = Client::to(edge.plain);
    let all: String = (0..50)
        .map(|n| format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n"))
        .collect();
    client.say(all);
    for n in 0..50 {
        let (_, body) = client.answer();
        assert_eq!(body, format!("GET /{n} HTTP/1.1").as_bytes());
    }
    assert_eq!(up.accepted.load(std::sync::atomic::Ordering::SeqCst), 1);
    assert_eq!(edge.seen.statuses(), [200; 50]);
}

#[test]
fn a_pipelined_body_does_not_eat_the_next_request() {
    let up = upstream(|served| {
        while let Some(head) = served.head() {
            let length = header(&head, "content-length").map_or(0, |l| l.parse().unwrap());
            let body = served.exactly(length).unwrap_or_default();
            served.ok(&format!(
                "{}:{}",
                head.lines().next().unwrap(),
                String::from_utf8_lossy(&body)
            ));
        }
    });
    let edge = in_front_of(&up);
    let mut client = Client::to(edge.plain);
    client.say("POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.answer().1, b"POST /1 HTTP/1.1:hello");
    assert_eq!(client.answer().1, b"GET /2 HTTP/1.1:");
}

#[test]
fn head_answers_have_a_length_and_no_body() {
    let up = upstream(|served| {
        while served.head().is_some() {
            served.say("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
        }
    });
    let edge = in_front_of(&up);
    let mut client = Client::to(edge.plain);
    for _ in 0..2 {
        client.say("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
        let head = client.head();
        assert_eq!(
            (status(&head), header(&head, "content-length")),
            (200, Some("1000"))
        );
    }
    assert!(client.buffer.is_empty());
}

#[test]
fn connect_and_trace_are_refused_by_rule_and_options_go_through() {
    let up = echo_line();
    let edge = in_front_of(&up);
    for request in [
        "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
        "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let answer = talk(edge.plain, request);
        assert_eq!(status(&answer), 405, "DENY {answer}");
    }
    assert_eq!(edge.seen.rules(), ["method.refused"; 2]);
    assert!(
        edge.seen.statuses().is_empty(),
        "refusals are no http events"
    );
    let answer = talk(edge.plain, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(answer.ends_with("OPTIONS * HTTP/1.1"), "{answer}");
}

#[test]
fn interim_answers_and_expect_pass_through() {
    let up = upstream(|served| {
        while let Some(head) = served.head() {
            served.say("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n");
            if header(&head, "expect").is_some() {
                served.say("HTTP/1.1 100 Continue\r\n\r\n");
                let body = served.exactly(4).unwrap();
                served.ok(&String::from_utf8_lossy(&body));
            } else {
                served.ok("x");
            }
        }
    });
    let edge = in_front_of(&up);
    let mut client = Client::to(edge.plain);
    client.say("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    let hints = client.head();
    assert_eq!(
        (status(&hints), header(&hints, "link")),
        (103, Some("</a.css>"))
    );
    assert_eq!(status(&client.head()), 100);
    client.say("body");
    assert_eq!(client.answer().1, b"body");
    // an HTTP/1.0 client knows no interim answers
    let answer = talk(edge.plain, "GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    assert_eq!(status(&answer), 200, "{answer}");
    assert_eq!(edge.seen.statuses(), [200, 200]);
}

#[test]
fn chunked_bodies_and_trailers_pass_both_ways() {
    let up = upstream(|served| {
        while let Some(_head) = served.head() {
            let body = served.until(b"\r\n\r\n").unwrap();
            let text = String::from_utf8_lossy(&body).replace("\r\n", "|");
            served.say(format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n{:x}\r\n{text}\r\n0\r\nX-Sum: 7\r\n\r\n",
                text.len()
            ));
        }
    });
    let edge = in_front_of(&up);
    let mut client = Client::to(edge.plain);
    client.say("POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    client.say("2\r\nde\r\n0\r\nX-In: 1\r\n\r\n");
    let head = client.head();
    assert_eq!(header(&head, "transfer-encoding"), Some("chunked"));
    let mut all = Vec::new();
    while find(&all, b"\r\n\r\n").is_none() {
        let more = client.exactly(1);
        assert!(!more.is_empty());
        all.extend(more);
    }
    let text = String::from_utf8(all).unwrap();
    assert!(text.contains("abc|2|de|0|X-In: 1||"), "{text}");
    assert!(text.ends_with("0\r\nX-Sum: 7\r\n\r\n"), "{text}");
}

#[test]
fn an_answer_until_close_is_chunked_for_11_and_closed_for_10() {
    let up = upstream(|served| {
        served.head();
        served.say("HTTP/1.0 200 OK\r\n\r\nall of it");
    });
    let edge = in_front_of(&up);
    let mut client = Client::to(edge.plain);
    client.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = client.head();
    assert_eq!(header(&head, "transfer-encoding"), Some("chunked"));
    assert_eq!(client.exactly(19), b"9\r\nall of it\r\n0\r\n\r\n");
    // and the connection stays
    client.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(status(&client.head()), 200);
    let old = talk(
        edge.plain,
        "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
    );
    assert!(
        old.contains("Connection: close") && old.ends_with("\r\n\r\nall of it"),
        "{old}"
    );
}

#[test]
fn old_clients_keep_alive_when_they_ask_for_it() {
    let up = echo_line();
    let edge = in_front_of(&up);
    let mut client = Client::to(edge.plain);
    for _ in 0..2 {
        client.say("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        let (head, body) = client.answer();
        assert_eq!(header(&head, "connection"), Some("keep-alive"));
        assert_eq!(body, b"GET / HTTP/1.1");
    }
    client.say("GET / HTTP/1.0\r\n\r\n");
    assert!(client.ends_within(Duration::from_secs(1)));
}

#[test]
fn an_early_answer_reaches_the_client_while_its_body_still_flows() {
    let up = upstream(|served| {
        served.head();
        served.say("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
        served.exactly(1 << 20);
    });
    let edge = in_front_of(&up);
    let mut client = Client::to(edge.plain);
    client.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\nsome");
    let (head, body) = client.answer();
    assert_eq!((status(&head), body.as_slice()), (403, &b"no"[..]));
    assert!(
        client.ends_within(Duration::from_secs(4)),
        "the rest of the body is not awaited"
    );
}

#[test]
fn upgrades_become_tunnels_with_half_close() {
    let up = upstream(|served| {
        let head = served.head().unwrap();
        assert_eq!(header(&head, "upgrade"), Some("websocket"));
        assert_eq!(header(&head, "connection"), Some("upgrade"));
        served.say("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhi");
        let said = served.exactly(9).unwrap();
        served.say(&said);
        // the end of the client's side arrives while ours stays open
        assert!(served.exactly(1).is_none());
        served.say("bye");
    });
    let edge = in_front_of(&up);
    let mut client = Client::to(edge.plain);
    client.say("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket, h2c\r\nSec-WebSocket-Key: x\r\n\r\n");
    client.say("early");
    let head = client.head();
    assert_eq!(
        (status(&head), header(&head, "upgrade")),
        (101, Some("websocket"))
    );
    assert_eq!(client.exactly(2), b"hi");
    client.say("late");
    assert_eq!(client.exactly(9), b"earlylate");
    client.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.rest(), b"bye");
    assert_eq!(edge.seen.statuses(), [101]);
}

#[test]
fn an_upgrade_nobody_may_make_stays_http() {
    let up = echo_line();
    let edge = in_front_of(&up);
    let mut client = Client::to(edge.plain);
    client.say("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n");
    assert_eq!(client.answer().1, b"GET / HTTP/1.1");
    let heads = up.heads.lock().unwrap();
    assert!(
        !heads[0].to_lowercase().contains("h2c") && !heads[0].to_lowercase().contains("upgrade"),
        "DENY {}",
        heads[0]
    );
}

#[test]
fn a_101_to_a_protocol_that_was_not_offered_is_a_bad_gateway() {
    let up = upstream(|served| {
        if served.head().is_some() {
            served.say("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
        }
    });
    let edge = in_front_of(&up);
    for offered in ["h2c", "x", "x, websocket2", "websocket/13"] {
        let mut client = Client::to(edge.plain);
        client.say(format!(
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: {offered}\r\n\r\n"
        ));
        assert_eq!(status(&client.head()), 502, "DENY {offered}");
    }
}

#[test]
fn a_101_that_nobody_asked_for_is_a_bad_gateway() {
    let up = upstream(|served| {
        served.head();
        served.say("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
        served.exactly(1);
    });
    let edge = in_front_of(&up);
    assert_eq!(
        status(&talk(edge.plain, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")),
        502
    );
}

#[test]
fn a_half_closed_client_still_gets_its_answer() {
    let up = upstream(|served| {
        served.head();
        std::thread::sleep(Duration::from_millis(300));
        served.ok("late");
    });
    let edge = in_front_of(&up);
    let answer = talk(edge.plain, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(answer.ends_with("late"), "{answer}");
}

#[test]
fn an_aborting_client_frees_its_upstream_and_is_seen() {
    let (tell, told) = std::sync::mpsc::channel();
    let tell = std::sync::Mutex::new(tell);
    let up = upstream(move |served| {
        served.head();
        let gone = served.exactly(1).is_none();
        tell.lock().unwrap().send(gone).unwrap();
    });
    let edge = in_front_of(&up);
    let mut client = Client::to(edge.plain);
    client.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(eventually(|| !up.heads.lock().unwrap().is_empty()));
    socket2::SockRef::from(&client.stream)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(client);
    assert_eq!(told.recv_timeout(Duration::from_secs(2)), Ok(true));
    assert!(eventually(|| edge.seen.statuses() == [499]));
}
