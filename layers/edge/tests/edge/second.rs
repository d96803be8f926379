//! nginx and HAProxy as second opinions on where a request ends.
//!
//! Every row of the framing table is sent, with a request of its own behind it, through
//! the edge to a peer, through a peer to the edge, and to each alone. Three readers are
//! asked what came out: the peer, the edge, and a lenient one of the test's own. Where
//! two of them take a message, they must take the same one; the rows where they don't
//! are in [`known`], each with why that is no way in.

mod damage;
mod known;
mod peer;
mod reader;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use wire::corpus::requests;

use crate::harness::{Setup, TestEdge, site};
use damage::Damage;
use known::Known;
use peer::{Kind, Peer, installed};
use reader::{Ear, Seen, recorder, tap};

const SENTINEL: &[u8] = b"GET /behind-it HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
/// Rows beyond the table; none of them is on a list.
const DAMAGED: usize = 1_500;
const SILENCE: Duration = Duration::from_millis(100);

fn edge_before(upstream: SocketAddr) -> TestEdge {
    Setup::new(vec![site("app", "*", &[upstream])]).start()
}

/// Sends a row and the sentinel behind it, reads until the connection ends or falls
/// silent, and returns the final statuses in order.
fn converse(address: SocketAddr, row: &[u8]) -> Vec<u16> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(SILENCE)).unwrap();
    // who refuses closes while we still write
    let _sent = stream.write_all(&[row, SENTINEL].concat());
    let mut answers = Vec::new();
    if stream.read_to_end(&mut answers).is_err() {
        let _ended = stream.shutdown(Shutdown::Write);
        let _rest = stream.read_to_end(&mut answers);
    }
    statuses(&answers)
}

fn statuses(answers: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(answers);
    text.split("HTTP/1.1 ")
        .skip(1)
        .filter_map(|rest| rest.get(..3)?.parse().ok())
        .filter(|status| *status >= 200)
        .collect()
}

fn shown(seen: &[Seen]) -> String {
    let all: Vec<String> = seen.iter().map(ToString::to_string).collect();
    all.join(" | ")
}

/// Whether `part` is `whole` with some requests left out, which their reader refused.
fn is_part(part: &[Seen], whole: &[Seen]) -> bool {
    let mut left = whole.iter();
    part.iter()
        .all(|one| left.any(|other| other.origin_form() == one.origin_form()))
}

/// The framing table, and the same rows damaged by a seeded hand;
/// `RINGWALL_DAMAGED` says how many of those.
fn rows() -> Vec<(String, Vec<u8>)> {
    let table = requests();
    let mut damage = Damage(0x5eed_0005);
    let listed = |name| {
        known::NGINX_ALONE
            .iter()
            .chain(known::HAPROXY_ALONE)
            .any(|known| known.row == name)
    };
    let short: Vec<&[u8]> = table
        .iter()
        .filter(|row| row.bytes.len() < 300 && !listed(row.name))
        .map(|row| &*row.bytes)
        .collect();
    let count = std::env::var("RINGWALL_DAMAGED").ok();
    let count = count.and_then(|text| text.parse().ok()).unwrap_or(DAMAGED);
    let worse = (0..count).map(|number| {
        let bytes = damage.of(&short, number);
        (format!("damaged: {}", bytes.escape_ascii()), bytes)
    });
    let named = table
        .iter()
        .map(|row| (row.name.to_owned(), row.bytes.to_vec()));
    named.chain(worse).collect()
}

/// What did not agree, against what is known not to.
fn settle(what: &str, found: &[(String, String)], known: &[Known]) {
    for (row, how) in found {
        println!("{what}: {row}: {how}");
    }
    let unknown: Vec<_> = found
        .iter()
        .filter(|(row, _)| !known.iter().any(|one| one.row == row))
        .collect();
    assert!(unknown.is_empty(), "{what}: {unknown:#?}");
    for one in known {
        assert!(
            found.iter().any(|(row, _)| row == one.row),
            "{what}: '{}' agrees now ({}): take it off the list",
            one.row,
            one.why
        );
    }
}

fn behind_us(kind: Kind, known: &[Known]) {
    if !installed() {
        return;
    }
    let (recorder, behind) = recorder();
    let peer = Peer::start(kind, recorder);
    let (tap, between) = tap(peer.address);
    let edge = edge_before(tap);
    let mut found = Vec::new();
    for (name, bytes) in rows() {
        let statuses = converse(edge.plain, &bytes);
        let (forwarded, read) = (between.take(), behind.take());
        assert!(
            is_part(&read, &forwarded),
            "{kind:?} behind us reads '{name}' as {} and we wrote {}",
            shown(&read),
            shown(&forwarded)
        );
        if read.len() < forwarded.len() && !name.starts_with("damaged") {
            found.push((name, format!("refused, answers {statuses:?}")));
        }
    }
    settle(&format!("{kind:?} behind us"), &found, known);
}

#[test]
fn nginx_behind_us_reads_what_we_forward_as_we_meant_it() {
    behind_us(Kind::Nginx, known::NGINX_BEHIND);
}

#[test]
fn haproxy_behind_us_reads_what_we_forward_as_we_meant_it() {
    behind_us(Kind::Haproxy, known::HAPROXY_BEHIND);
}

fn before_us(kind: Kind) {
    if !installed() {
        return;
    }
    let (recorder, behind) = recorder();
    let edge = edge_before(recorder);
    let (tap, between) = tap(edge.plain);
    let mut peer = Peer::start(kind, tap);
    let (mut whole, mut refused) = (0, 0);
    for (name, bytes) in rows() {
        converse(peer.address, &bytes);
        let (forwarded, read) = (between.take(), behind.take());
        assert!(
            is_part(&read, &forwarded),
            "{kind:?} before us wrote '{name}' as {} and we read {}",
            shown(&forwarded),
            shown(&read)
        );
        let told = peer.forwarded(forwarded.len());
        assert!(
            told >= forwarded.len(),
            "{kind:?} says it forwarded {told} requests of '{name}', on the wire are {}",
            shown(&forwarded)
        );
        refused += forwarded.len() - read.len();
        whole += read.len();
    }
    println!("{kind:?} before us: {whole} requests read alike, {refused} refused by us");
    assert!(whole > 100, "only {whole} requests came through");
}

#[test]
fn what_nginx_before_us_lets_through_we_split_alike_or_refuse() {
    before_us(Kind::Nginx);
}

#[test]
fn what_haproxy_before_us_lets_through_we_split_alike_or_refuse() {
    before_us(Kind::Haproxy);
}

/// A reader with a server of its own behind it.
struct Reader {
    name: &'static str,
    address: SocketAddr,
    heard: Ear,
}

impl Reader {
    fn read(&self, bytes: &[u8]) -> Vec<Seen> {
        converse(self.address, bytes);
        self.heard.take()
    }
}

#[test]
fn whoever_takes_the_same_bytes_splits_them_alike() {
    if !installed() {
        return;
    }
    let (one, nginx_heard) = recorder();
    let (two, haproxy_heard) = recorder();
    let (three, edge_heard) = recorder();
    let (nginx, haproxy) = (
        Peer::start(Kind::Nginx, one),
        Peer::start(Kind::Haproxy, two),
    );
    let edge = edge_before(three);
    let of = |name, address, heard| Reader {
        name,
        address,
        heard,
    };
    let ours = of("edge", edge.plain, edge_heard);
    let peers = [
        (of("nginx", nginx.address, nginx_heard), known::NGINX_ALONE),
        (
            of("haproxy", haproxy.address, haproxy_heard),
            known::HAPROXY_ALONE,
        ),
    ];
    let mut found = [Vec::new(), Vec::new()];
    for (name, bytes) in rows() {
        let own = ours.read(&bytes);
        for ((peer, _), found) in peers.iter().zip(&mut found) {
            let theirs = peer.read(&bytes);
            // who refuses a message, or the connection behind it, splits nothing
            let refused = own.is_empty() || theirs.is_empty();
            let alike = own
                .iter()
                .zip(&theirs)
                .all(|(own, their)| own.origin_form() == their.origin_form());
            let cut_short = own.len() != theirs.len() && !name.starts_with("damaged");
            if refused || alike && !cut_short {
                continue;
            }
            let how = format!("we {} / {} {}", shown(&own), peer.name, shown(&theirs));
            found.push((name.clone(), how));
        }
    }
    for ((peer, known), found) in peers.iter().zip(&found) {
        settle(&format!("{} alone", peer.name), found, known);
    }
}

#[test]
fn a_hidden_request_would_be_seen() {
    let (address, heard) = recorder();
    let hidden = b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhelloGET /hidden HTTP/1.1\r\n\r\n";
    assert_eq!(converse(address, hidden), [200, 200, 200]);
    let read = heard.take();
    let told = shown(&read);
    assert_eq!(
        told,
        "POST / \"hello\" | GET /hidden \"\" | GET /behind-it \"\""
    );
    let meant = [read[0].clone(), read[2].clone()];
    assert!(is_part(&meant, &read) && !is_part(&read, &meant));
}
