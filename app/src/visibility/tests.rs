//! Which traffic means that addresses are hidden, and what is said of it.

use super::*;

fn place() -> Place {
    Place {
        own: vec!["198.51.100.1".parse().unwrap()],
        gateways: vec!["172.18.0.1".parse().unwrap()],
        trusted: vec!["10.0.0.2/32".parse().unwrap()],
        header_named: false,
    }
}

/// Address, requests, of them with a proxy's header, without a name, kinds of client.
type Row = (&'static str, u64, u64, u64, u32);

fn seen(requests: u64, header: Option<&'static str>, rows: &[Row]) -> Arrivals {
    Arrivals {
        requests,
        forwarded: rows.iter().map(|row| row.2).sum(),
        header,
        peers: rows
            .iter()
            .map(|(address, requests, forwarded, unnamed, agents)| {
                let address = address.parse().unwrap();
                Peer::new(address, [*requests, *forwarded, *unnamed], *agents)
            })
            .collect(),
    }
}

#[test]
fn hidden_addresses_are_named_with_the_share_and_the_fix() {
    let cf = Some("CF-Connecting-IP");
    let rows: [(&str, Arrivals, u64, &str); 8] = [
        (
            "Docker's gateway",
            seen(1000, None, &[("172.18.0.1", 710, 0, 0, 9)]),
            71,
            "network_mode: host",
        ),
        (
            "a router",
            seen(1000, None, &[("192.168.1.1", 900, 0, 0, 9)]),
            90,
            "proxy_protocol = true",
        ),
        (
            "a proxy on this host",
            seen(300, None, &[("127.0.0.1", 300, 290, 0, 1)]),
            100,
            "trusted_proxies = [\"127.0.0.1\"]",
        ),
        (
            "a proxy behind the gateway",
            seen(300, None, &[("172.18.0.1", 300, 300, 0, 9)]),
            100,
            "trusted_proxies = [\"172.18.0.1\"]",
        ),
        (
            "our own public address",
            seen(1000, None, &[("198.51.100.1", 700, 0, 0, 3)]),
            70,
            "replaces addresses",
        ),
        (
            "a trusted proxy that is silent",
            seen(1000, None, &[("10.0.0.2", 900, 0, 900, 9)]),
            90,
            "edge.client_header",
        ),
        (
            "a CDN of many addresses",
            seen(
                1000,
                cf,
                &[
                    ("203.0.113.5", 300, 300, 0, 9),
                    ("203.0.113.6", 280, 280, 0, 9),
                    ("203.0.113.7", 250, 250, 0, 9),
                ],
            ),
            83,
            "edge.client_header = \"CF-Connecting-IP\"",
        ),
        (
            "a proxy from outside",
            seen(
                1000,
                Some("X-Forwarded-For"),
                &[("203.0.113.5", 990, 990, 0, 9)],
            ),
            99,
            "published ranges",
        ),
    ];
    for (what, seen, percent, fix) in rows {
        let hidden = hidden(&seen, &place()).unwrap_or_else(|| panic!("{what}"));
        assert_eq!(hidden.percent, percent, "{what}");
        let begin = format!("{percent} % of requests");
        assert!(
            hidden.sentence.starts_with(&begin),
            "{what}: {}",
            hidden.sentence
        );
        assert!(hidden.sentence.contains(fix), "{what}: {}", hidden.sentence);
        assert!(
            hidden.sentence.ends_with('.'),
            "{what}: {}",
            hidden.sentence
        );
    }
}

#[test]
fn ordinary_traffic_hides_nobody() {
    for (what, seen) in [
        (
            "too little to say",
            seen(199, None, &[("172.18.0.1", 199, 0, 0, 9)]),
        ),
        ("nothing", seen(0, None, &[])),
        ("half", seen(1000, None, &[("172.18.0.1", 500, 0, 0, 9)])),
        (
            "one program at home",
            seen(1000, None, &[("192.168.1.7", 1000, 0, 0, 1)]),
        ),
        (
            "one busy stranger",
            seen(1000, None, &[("203.0.113.5", 1000, 0, 0, 9)]),
        ),
        (
            "a proxy that names its clients",
            seen(1000, None, &[("10.0.0.2", 1000, 0, 3, 9)]),
        ),
        (
            "some who forge headers",
            seen(
                1000,
                Some("Via"),
                &[
                    ("203.0.113.5", 500, 500, 0, 1),
                    ("203.0.113.6", 500, 0, 0, 9),
                ],
            ),
        ),
    ] {
        assert_eq!(hidden(&seen, &place()), None, "DENY {what}");
    }
}

#[test]
fn a_flood_of_forged_headers_does_not_talk_anybody_into_trusting_it() {
    let flood = seen(
        1000,
        Some("CF-Connecting-IP"),
        &[("203.0.113.66", 990, 990, 0, 9)],
    );
    let hidden = hidden(&flood, &place()).unwrap();
    assert!(
        !hidden
            .sentence
            .contains("trusted_proxies = [\"203.0.113.66\"]"),
        "DENY {}",
        hidden.sentence
    );
    assert!(
        hidden.sentence.contains("If you did not, leave it"),
        "{}",
        hidden.sentence
    );
}
