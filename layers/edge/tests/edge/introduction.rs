//! The PROXY protocol: who is believed, and who then is judged.

use std::io::Write as _;
use std::time::Duration;

use crate::harness::*;
use crate::hostile::ban;

const BALANCER: &str = "127.0.0.2";

fn setup(up: &Upstream) -> Setup {
    let mut setup = Setup::new(vec![site("app", "*", &[up.address])]);
    setup.proxy_protocol = true;
    setup.snapshot.trusted_proxies = vec![
        format!("{BALANCER}/32").parse().unwrap(),
        "10.0.0.0/8".parse().unwrap(),
    ];
    setup
}

fn balancer(edge: &TestEdge) -> Client {
    Client::from(edge.plain, BALANCER.parse().unwrap())
}

fn v1(client: &str) -> Vec<u8> {
    format!("PROXY TCP4 {client} 198.51.100.1 4711 80\r\n").into_bytes()
}

fn v2(command: u8, client: [u8; 4]) -> Vec<u8> {
    let mut bytes = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    bytes.extend([command, 0x11, 0, 19]);
    bytes.extend(client);
    bytes.extend([198, 51, 100, 1, 0x12, 0x67, 0, 80]);
    bytes.extend([0x04, 0, 4, 1, 2, 3, 4]); // a field that is passed over
    bytes
}

/// Who the edge took the last request's client for, and what the upstream was told.
fn last(edge: &TestEdge, up: &Upstream) -> (String, String) {
    let events = edge.seen.http.lock().unwrap();
    let heads = up.heads.lock().unwrap();
    let told = header(heads.last().unwrap(), "x-forwarded-for").unwrap();
    (events.last().unwrap().client.to_string(), told.to_owned())
}

#[test]
fn whom_the_balancer_names_is_the_client_and_headers_count_only_behind_a_proxy() {
    let up = echo_line();
    let edge = setup(&up).start();
    let forged = "X-Forwarded-For: 198.51.100.66\r\nForwarded: for=198.51.100.66\r\n";
    for (introduction, fields, want) in [
        (v1("192.0.2.7"), "", "192.0.2.7"),
        (v2(0x21, [192, 0, 2, 8]), "", "192.0.2.8"),
        // DENY: what a stranger writes behind the balancer
        (v1("192.0.2.7"), forged, "192.0.2.7"),
        (v2(0x21, [192, 0, 2, 8]), forged, "192.0.2.8"),
        // DENY: the balancer speaks for itself, or does not know: nobody is named
        (v2(0x20, [192, 0, 2, 8]), forged, BALANCER),
        (b"PROXY UNKNOWN\r\n".to_vec(), forged, BALANCER),
        // a proxy behind the balancer is believed as any trusted proxy is
        (v1("10.0.0.5"), forged, "198.51.100.66"),
        (v1("10.0.0.5"), "", "10.0.0.5"),
    ] {
        let mut client = balancer(&edge);
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        client.say([introduction.clone(), request.into_bytes()].concat());
        let text = String::from_utf8_lossy(&introduction).into_owned();
        assert_eq!(status(&client.head()), 200, "{text}");
        assert_eq!(
            last(&edge, &up),
            (want.to_owned(), want.to_owned()),
            "{text}"
        );
    }
    assert!(edge.seen.rules().is_empty());
}

#[test]
fn an_introduction_may_come_in_any_pieces() {
    let up = echo_line();
    let edge = setup(&up).start();
    for introduction in [v1("192.0.2.7"), v2(0x21, [192, 0, 2, 7])] {
        let whole = [&introduction[..], b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
        for cut in 1..introduction.len() + 2 {
            let mut client = balancer(&edge);
            client.say(&whole[..cut]);
            std::thread::sleep(Duration::from_millis(2));
            client.say(&whole[cut..]);
            assert_eq!(status(&client.head()), 200, "cut at {cut}");
            assert_eq!(last(&edge, &up).0, "192.0.2.7", "cut at {cut}");
        }
    }
}

#[test]
fn who_is_not_trusted_or_does_not_introduce_anybody_is_closed_unheard() {
    let up = echo_line();
    let mut setup = setup(&up);
    setup.snapshot.timeouts.head = Duration::from_millis(600);
    let edge = setup.start();
    let request = &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..];
    let long = [&b"PROXY "[..], &[b'x'; 200]].concat();
    for (peer, sent, rule) in [
        (
            "127.0.0.9",
            [&v1("192.0.2.7")[..], request].concat(),
            "proxy.untrusted",
        ),
        ("127.0.0.9", request.to_vec(), "proxy.untrusted"),
        (BALANCER, request.to_vec(), "proxy.absent"),
        (BALANCER, b"PROXY TCP4 nobody\r\n".to_vec(), "proxy.line"),
        (BALANCER, long, "proxy.too-long"),
        (
            BALANCER,
            b"PROXY TCP4 192.0.2.7 ".to_vec(),
            "limit.proxy-time",
        ),
    ] {
        edge.seen.refused.lock().unwrap().clear();
        let mut client = Client::from(edge.plain, peer.parse().unwrap());
        // The edge may have closed it already.
        let _sent = client.stream.write_all(&sent);
        assert!(client.ends_within(Duration::from_secs(3)), "DENY {rule}");
        assert!(eventually(|| edge.seen.rules() == [rule]), "DENY {rule}");
    }
    // Whoever only tries the port is nobody's trouble.
    edge.seen.refused.lock().unwrap().clear();
    drop(balancer(&edge));
    let mut silent = balancer(&edge);
    assert!(
        silent.ends_within(Duration::from_secs(3)),
        "DENY silence without end"
    );
    assert!(edge.seen.rules().is_empty());
    assert_eq!(edge.handle.stats().requests, 0);
    assert!(up.heads.lock().unwrap().is_empty(), "DENY");
    assert!(eventually(|| edge.handle.stats().open == 0));
}

#[test]
fn a_ban_meets_the_client_and_never_the_balancer() {
    let up = echo_line();
    let mut setup = setup(&up);
    setup.settings.bans_refuse_connections = true;
    let edge = setup.start();
    let introduce = |who: &str| {
        let mut client = balancer(&edge);
        client.say(v1(who));
        client
    };
    let (mut doomed, mut spared) = (introduce("192.0.2.66"), introduce("192.0.2.7"));
    assert_eq!(status(&doomed.get("/").0), 200);
    assert_eq!(status(&spared.get("/").0), 200);
    ban(&edge, "192.0.2.66");
    assert!(
        doomed.ends_within(Duration::from_millis(500)),
        "DENY an open connection"
    );
    assert_eq!(status(&spared.get("/").0), 200, "others are cut");
    let before = up.heads.lock().unwrap().len();
    let mut again = introduce("192.0.2.66");
    let _sent = again.stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(matches!(status(&again.head()), 403 | 0), "DENY");
    assert!(eventually(|| edge.seen.rules() == ["book.ban"]));
    // DENY: a ban of the balancer's address is no ban of whom it carries
    ban(&edge, BALANCER);
    assert_eq!(status(&spared.get("/").0), 200);
    assert_eq!(status(&introduce("192.0.2.7").get("/").0), 200);
    assert_eq!(up.heads.lock().unwrap().len(), before + 2, "DENY");
}

#[test]
fn one_client_behind_the_balancer_cannot_hold_every_place() {
    let up = echo_line();
    let mut setup = setup(&up);
    setup.settings.connections.per_client = 3;
    let edge = setup.start();
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut client = balancer(&edge);
        client.say(v1("192.0.2.66")).say("GET / HTTP/1.1\r\n");
        held.push(client);
    }
    assert!(eventually(|| edge.handle.stats().open == 3));
    let mut over = balancer(&edge);
    over.say(v1("192.0.2.66"));
    assert!(matches!(status(&over.head()), 429 | 0), "DENY");
    assert!(eventually(|| edge.seen.rules() == ["limit.connections"]));
    let mut other = balancer(&edge);
    other.say(v1("192.0.2.7"));
    assert_eq!(status(&other.get("/").0), 200, "others have their own");
    held.clear();
    assert!(eventually(|| edge.handle.stats().open == 1));
    let mut again = balancer(&edge);
    again.say(v1("192.0.2.66"));
    assert_eq!(status(&again.get("/").0), 200, "places are given back");
}

#[test]
fn a_header_where_none_is_expected_is_named_and_believed_by_nobody() {
    let up = echo_line();
    let mut setup = setup(&up);
    setup.proxy_protocol = false;
    let edge = setup.start();
    for introduction in [v1("192.0.2.7"), v2(0x21, [192, 0, 2, 7])] {
        edge.seen.refused.lock().unwrap().clear();
        let mut client = balancer(&edge);
        client.say([&introduction[..], b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"].concat());
        assert_eq!(status(&client.head()), 400, "DENY");
        assert_eq!(edge.seen.rules(), ["proxy.unexpected"]);
    }
    assert!(up.heads.lock().unwrap().is_empty(), "DENY");
}
