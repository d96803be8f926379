use gate::{Admission, ConnectionLimits, Gate, Settings};
use vocab::PeerAddr;

use crate::{ALLOWED, BANNED, STRANGER, at, gate, rate, settings};

fn limits() -> ConnectionLimits {
    ConnectionLimits {
        per_client: 2,
        total: 5,
        new: None,
    }
}

fn limited(connections: ConnectionLimits, bans_refuse_connections: bool) -> Gate {
    gate(Settings {
        connections,
        bans_refuse_connections,
        ..settings()
    })
    .1
}

fn peer(client: &str) -> PeerAddr {
    PeerAddr::new((client.parse::<core::net::IpAddr>().unwrap(), 40_000).into())
}

fn told(admission: &Admission) -> String {
    match admission {
        Admission::Accept(_) => "accept".to_owned(),
        Admission::Refuse(refusal) => format!("{} {}", refusal.status, refusal.rule),
    }
}

#[test]
fn limits_bind_strangers_not_proxies_nor_the_allowed() {
    let gate = limited(limits(), true);
    let mut open = Vec::new();
    for (client, trusted, want) in [
        (STRANGER, false, "accept"),
        (STRANGER, false, "accept"),
        (STRANGER, false, "429 limit.connections"), // DENY
        (BANNED, false, "403 book.ban"),            // DENY
        (BANNED, true, "accept"),                   // the proxy is not the client
        (STRANGER, true, "accept"),
        (ALLOWED, false, "accept"),
        (ALLOWED, false, "503 limit.connections-total"), // DENY: memory is memory
        (STRANGER, true, "503 limit.connections-total"), // DENY
    ] {
        let admission = gate.admit_connection(peer(client), trusted, at(0));
        assert_eq!(told(&admission), want, "{client} {trusted}");
        open.push(admission);
    }
    assert_eq!(gate.counters().connections_open, 5);
    drop(open);
    assert_eq!(gate.counters().connections_open, 0);
    assert_eq!(
        told(&gate.admit_connection(peer(STRANGER), false, at(0))),
        "accept"
    );
}

#[test]
fn a_ban_refuses_connections_only_where_every_site_enforces() {
    let gate = limited(limits(), false);
    assert_eq!(
        told(&gate.admit_connection(peer(BANNED), false, at(0))),
        "accept"
    );
}

#[test]
fn new_connections_have_a_rate() {
    let limits = ConnectionLimits {
        new: Some(rate(1, 1, 3)),
        ..limits()
    };
    let gate = limited(limits, true);
    for _ in 0..3 {
        assert_eq!(
            told(&gate.admit_connection(peer(STRANGER), false, at(0))),
            "accept"
        );
    }
    let refused = gate.admit_connection(peer(STRANGER), false, at(0));
    assert_eq!(told(&refused), "429 limit.new-connections", "DENY");
    assert_eq!(
        told(&gate.admit_connection(peer(STRANGER), true, at(0))),
        "accept"
    );
    assert_eq!(
        told(&gate.admit_connection(peer(STRANGER), false, at(1))),
        "accept"
    );
}

#[test]
fn a_pause_refuses_no_connection() {
    let gate = limited(limits(), true);
    gate.pause(at(60));
    let open: Vec<_> = (0..20)
        .map(|_| gate.admit_connection(peer(BANNED), false, at(0)))
        .collect();
    assert!(open.iter().all(|admission| told(admission) == "accept"));
    assert_eq!(gate.counters().connections_open, 20);
}

#[test]
fn one_ipv6_subscriber_is_one_client() {
    let gate = limited(limits(), true);
    let mut open = Vec::new();
    for (client, want) in [
        ("2001:db8::1", "accept"),
        ("2001:db8::2", "accept"),
        ("2001:db8::3", "429 limit.connections"), // DENY
        ("2001:db8:0:1::1", "accept"),
    ] {
        let admission = gate.admit_connection(peer(client), false, at(0));
        assert_eq!(told(&admission), want, "{client}");
        open.push(admission);
    }
}
