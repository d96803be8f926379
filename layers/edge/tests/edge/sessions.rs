//! Who is logged in, learnt from what upstreams answer.

use std::net::IpAddr;

use gate::SessionCounters;
use vocab::Timestamp;

use crate::harness::*;

const SESSION: &str = "Cookie: theme=dark; sid=0123456789abcdef0123\r\n";

/// An application: `/admin` sends strangers to its login page, `/api` says 401 to them,
/// `/limited` refuses everybody from time to time, and nothing else is there.
fn application() -> Upstream {
    upstream(|served| {
        while let Some(head) = served.head() {
            let path = head.split(' ').nth(1).unwrap_or_default();
            let is_known = head.contains("sid=0123456789abcdef0123");
            match path {
                "/admin" | "/api" if is_known => served.ok("welcome"),
                "/admin" => served
                    .say("HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n"),
                "/api" => served.say("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"),
                "/" | "/login" => served.ok("hello"),
                _ => served.say("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
            }
        }
    })
}

/// One request from a loopback address; its status.
fn ask(edge: &TestEdge, last: u8, path: &str, fields: &str) -> u16 {
    let source = IpAddr::from([127, 0, 0, last]);
    let mut client = Client::from(edge.plain, source);
    client.say(format!("GET {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
    status(&client.answer().0)
}

/// Whether the last answer was told of as a session's.
fn was_session(edge: &TestEdge) -> bool {
    let events = edge.seen.http.lock();
    events.is_ok_and(|events| events.last().is_some_and(|event| event.session))
}

fn counters(edge: &TestEdge) -> SessionCounters {
    edge.gate.sessions().counters()
}

#[test]
fn rules_hear_who_is_logged_in_and_who_only_says_so() {
    let up = application();
    let edge = in_front_of(&up);
    for page in ["/admin", "/api"] {
        // Clients are told apart by ten bits of a hash: two may be taken for one.
        for last in [11, 12, 13] {
            ask(&edge, last, page, "");
        }
    }
    assert_eq!(counters(&edge).protected, 2);
    let made_up = "Cookie: sid=made-up-0123456789ab\r\n";
    for (last, path, fields, want) in [
        (21, "/gone", SESSION, false), // DENY: not proven yet
        (21, "/admin", SESSION, true),
        (21, "/gone", SESSION, true),
        (21, "/", "", false),           // DENY
        (21, "/gone", made_up, false),  // DENY
        (22, "/gone", SESSION, false),  // DENY: another address
        (23, "/", made_up, false),      // DENY
        (23, "/admin", made_up, false), // DENY
        (23, "/gone", made_up, false),  // DENY
        (24, "/api", SESSION, true),
        (24, "/gone", SESSION, true),
    ] {
        ask(&edge, last, path, fields);
        assert_eq!(was_session(&edge), want, "{last} {path} {fields}");
    }
    assert_eq!(counters(&edge).accepted, 2);
}

#[test]
fn our_own_refusals_and_dead_upstreams_teach_nothing() {
    let up = application();
    let mut sites = vec![
        site("app", "a", &[up.address]),
        site("dead", "dead", &["127.0.0.1:1".parse().unwrap()]),
    ];
    sites[0].policy.requests = gate::Rate::new(
        1.try_into().unwrap(),
        std::time::Duration::from_secs(3_600),
        1.try_into().unwrap(),
    );
    let edge = Setup::new(sites).start();
    for last in [11, 12] {
        assert_eq!(ask(&edge, last, "/", ""), 200);
        assert_eq!(ask(&edge, last, "/", ""), 429, "DENY");
    }
    edge.book.publish(&[11, 12].map(|last| book::Change::Bar {
        range: vocab::Cidr::host(IpAddr::from([127, 0, 0, last])),
        id: 1,
        force: book::Force::Ban,
        until: Timestamp::MAX,
    }));
    for last in [11, 12] {
        assert_eq!(ask(&edge, last, "/", ""), 403, "DENY");
        let mut client = Client::from(edge.plain, IpAddr::from([127, 0, 1, last]));
        client.say("GET / HTTP/1.1\r\nHost: dead\r\n\r\n");
        assert_eq!(status(&client.answer().0), 502);
    }
    assert_eq!(ask(&edge, 21, "/", SESSION), 200);
    assert!(!was_session(&edge), "DENY");
    assert_eq!(counters(&edge), SessionCounters::default());
}

#[test]
fn a_session_has_more_requests_and_not_any_number() {
    let up = application();
    let mut sites = vec![site("app", "*", &[up.address])];
    sites[0].policy.requests = gate::Rate::new(
        1.try_into().unwrap(),
        std::time::Duration::from_secs(60),
        4.try_into().unwrap(),
    );
    let edge = Setup::new(sites).start();
    for last in [11, 12, 13] {
        ask(&edge, last, "/admin", "");
    }
    assert_eq!(ask(&edge, 21, "/admin", SESSION), 200);
    let passed = (0..100)
        .filter(|_| ask(&edge, 21, "/", SESSION) == 200)
        .count();
    assert!((40..=42).contains(&passed), "DENY {passed}");
}
