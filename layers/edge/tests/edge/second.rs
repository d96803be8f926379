//! nginx and HAProxy as second opinions on where a request ends.
//!
//! Every row of the framing table is sent, with a request of its own behind it, through
//! the edge to a peer, through a peer to the edge, and to each alone. Three readers are
//! asked what came out: the peer, the edge, and a lenient one of the test's own. Where
//! two of them take a message, they must take the same one; the rows where they don't
//! are in [`known`], each with why that is no way in. Who refuses says so, by a status or
//! by closing the connection: a reader that waits for more has taken the request behind
//! the row for a part of it, which is the very thing that is looked for.

mod damage;
mod known;
mod peer;
mod reader;

use std::cmp::Ordering;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use wire::corpus::requests;

use crate::harness::{Setup, TestEdge, site};
use damage::Damage;
use known::Known;
use peer::{Kind, Peer, installed};
use reader::{Ear, Seen, recorder, tap};

/// The request behind a row, which knows its row: one that comes late is told apart.
fn sentinel(number: usize) -> Vec<u8> {
    format!("GET {BEHIND}{number} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").into_bytes()
}

const BEHIND: &str = "/behind-it/";
/// Rows beyond the table; none of them is on a list.
const DAMAGED: usize = 1_500;
/// Only who waits for more keeps silent for so long; nothing else runs meanwhile.
const SILENCE: Duration = Duration::from_millis(500);

fn edge_before(upstream: SocketAddr) -> TestEdge {
    Setup::new(vec![site("app", "*", &[upstream])]).start()
}

/// What a client was told.
struct Talk {
    /// The final statuses, in order.
    statuses: Vec<u16>,
    /// Whether the other side ended it.
    closed: bool,
}

impl Talk {
    /// Whether the other side let something go on purpose, rather than wait for more.
    fn refused(&self) -> bool {
        self.closed || self.statuses.iter().any(|status| *status >= 400)
    }
}

/// Sends a row and the sentinel behind it, reads until the connection ends or falls
/// silent.
fn converse(address: SocketAddr, row: &[u8], number: usize) -> Talk {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(SILENCE)).unwrap();
    // who refuses closes while we still write
    let _sent = stream.write_all(&[row, &sentinel(number)].concat());
    let mut answers = Vec::new();
    let mut closed = true;
    if let Err(error) = stream.read_to_end(&mut answers) {
        closed = !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
        let _ended = stream.shutdown(Shutdown::Write);
        let _rest = stream.read_to_end(&mut answers);
    }
    Talk {
        statuses: statuses(&answers),
        closed,
    }
}

/// What was heard of the row with this number. A request of an earlier row is none of it:
/// then the machine is too slow for what is concluded here.
fn heard(ear: &Ear, number: usize) -> Vec<Seen> {
    let seen = ear.take();
    for one in &seen {
        let late = one
            .target
            .rsplit_once(BEHIND)
            .is_some_and(|(_, own)| own != number.to_string());
        assert!(!late, "late for row {number}: {one}");
    }
    seen
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

/// Whether `read` is `meant`, as far as whoever read did not refuse: what it refused is
/// left out or broken off.
fn is_part(read: &[Seen], meant: &[Seen], refused: bool) -> bool {
    let mut left = meant.iter();
    for one in read {
        loop {
            let Some(other) = left.next() else {
                return false;
            };
            if alike(one, other, refused) {
                break;
            }
            if !refused {
                return false;
            }
        }
    }
    // what is incomplete anyway may not have been passed on
    refused || left.all(|other| !other.complete)
}

/// Whether a request is the one that was meant, or the beginning of it that was read
/// before it was refused.
fn alike(read: &Seen, meant: &Seen, refused: bool) -> bool {
    let (read, meant) = (read.origin_form(), meant.origin_form());
    match (read.complete, meant.complete) {
        (true, true) => read == meant,
        (false, complete) if refused || !complete => {
            read.method == meant.method && read.target == meant.target
        }
        _ => false,
    }
}

/// Whether two readers of the same bytes took the same of them.
fn taken_alike(own: (&[Seen], &Talk), theirs: (&[Seen], &Talk)) -> bool {
    let pairs = own.0.iter().zip(theirs.0);
    let same = |(one, other): (&Seen, &Seen)| {
        alike(one, other, own.1.refused()) || alike(other, one, theirs.1.refused())
    };
    let shorter = match own.0.len().cmp(&theirs.0.len()) {
        Ordering::Less => own.1.refused(),
        Ordering::Equal => true,
        Ordering::Greater => theirs.1.refused(),
    };
    shorter && pairs.into_iter().all(same)
}

/// Whether somebody took nothing, and said so.
fn refused_all(seen: &[Seen], talk: &Talk) -> bool {
    talk.refused() && !seen.iter().any(|one| one.complete)
}

fn complete(seen: &[Seen]) -> usize {
    seen.iter().filter(|one| one.complete).count()
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

/// How many requests must be read alike, and how many may be refused beside
/// them, in per cent: a little more than what was measured with the rows of an ordinary run. Whoever
/// refuses everything never disagrees with anybody.
#[derive(Clone, Copy)]
struct Floor(usize, usize);

impl Floor {
    fn holds(&self, whole: usize, refused: usize) {
        let Self(least, percent) = *self;
        assert!(whole >= least, "only {whole} requests came through");
        assert!(
            refused * 100 <= whole * percent,
            "{refused} were refused, and {whole} read"
        );
    }
}

fn behind_us(kind: Kind, known: &[Known], floor: Floor) {
    if !installed() {
        return;
    }
    let (recorder, behind) = recorder();
    let peer = Peer::start(kind, recorder);
    let (tap, between) = tap(peer.address);
    let edge = edge_before(tap);
    let mut found = Vec::new();
    let (mut whole, mut refused) = (0, 0);
    for (number, (name, bytes)) in rows().into_iter().enumerate() {
        let talk = converse(edge.plain, &bytes, number);
        let (forwarded, read) = (heard(&between, number), heard(&behind, number));
        assert!(
            is_part(&read, &forwarded, talk.refused()),
            "{kind:?} behind us reads '{name}' as {} and we wrote {}; answers {:?}, closed: {}",
            shown(&read),
            shown(&forwarded),
            talk.statuses,
            talk.closed
        );
        let lost = complete(&forwarded).saturating_sub(complete(&read));
        whole += complete(&read);
        refused += lost;
        if lost > 0 && !name.starts_with("damaged") {
            found.push((name, format!("refused, answers {:?}", talk.statuses)));
        }
    }
    println!("{kind:?} behind us: {whole} requests read alike, {refused} refused by it");
    floor.holds(whole, refused);
    settle(&format!("{kind:?} behind us"), &found, known);
}

#[test]
fn nginx_behind_us_reads_what_we_forward_as_we_meant_it() {
    behind_us(Kind::Nginx, known::NGINX_BEHIND, Floor(235, 5));
}

#[test]
fn haproxy_behind_us_reads_what_we_forward_as_we_meant_it() {
    behind_us(Kind::Haproxy, known::HAPROXY_BEHIND, Floor(235, 5));
}

fn before_us(kind: Kind, floor: Floor) {
    if !installed() {
        return;
    }
    let (recorder, behind) = recorder();
    let edge = edge_before(recorder);
    let (tap, between) = tap(edge.plain);
    let mut peer = Peer::start(kind, tap);
    let (mut whole, mut refused) = (0, 0);
    for (number, (name, bytes)) in rows().into_iter().enumerate() {
        let talk = converse(peer.address, &bytes, number);
        let (forwarded, read) = (heard(&between, number), heard(&behind, number));
        assert!(
            is_part(&read, &forwarded, talk.refused()),
            "{kind:?} before us wrote '{name}' as {} and we read {}; answers {:?}, closed: {}",
            shown(&forwarded),
            shown(&read),
            talk.statuses,
            talk.closed
        );
        let told = peer.forwarded(complete(&forwarded));
        assert!(
            told >= complete(&forwarded),
            "{kind:?} says it forwarded {told} requests of '{name}', on the wire are {}",
            shown(&forwarded)
        );
        refused += complete(&forwarded).saturating_sub(complete(&read));
        whole += complete(&read);
    }
    println!("{kind:?} before us: {whole} requests read alike, {refused} refused by us");
    floor.holds(whole, refused);
}

#[test]
fn what_nginx_before_us_lets_through_we_split_alike_or_refuse() {
    before_us(Kind::Nginx, Floor(500, 50));
}

#[test]
fn what_haproxy_before_us_lets_through_we_split_alike_or_refuse() {
    before_us(Kind::Haproxy, Floor(490, 100));
}

/// A reader with a server of its own behind it.
struct Reader {
    name: &'static str,
    address: SocketAddr,
    heard: Ear,
}

impl Reader {
    fn read(&self, bytes: &[u8], number: usize) -> (Vec<Seen>, Talk) {
        let talk = converse(self.address, bytes, number);
        (heard(&self.heard, number), talk)
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
    let (mut by_us, mut by_both) = (0, 0);
    for (number, (name, bytes)) in rows().into_iter().enumerate() {
        let (own, own_talk) = ours.read(&bytes, number);
        by_us += usize::from(!own.is_empty());
        for ((peer, _), found) in peers.iter().zip(&mut found) {
            let (theirs, talk) = peer.read(&bytes, number);
            // who refuses a message, or the connection behind it, splits nothing
            let refused = refused_all(&own, &own_talk) || refused_all(&theirs, &talk);
            by_both += usize::from(!refused);
            let alike = taken_alike((&own, &own_talk), (&theirs, &talk));
            let cut_short =
                complete(&own) != complete(&theirs) && !refused && !name.starts_with("damaged");
            if alike && !cut_short {
                continue;
            }
            let how = format!("we {} / {} {}", shown(&own), peer.name, shown(&theirs));
            found.push((name.clone(), how));
        }
    }
    println!("alone: we took {by_us} rows, and {by_both} together with a peer");
    assert!(by_us >= 150 && by_both >= 290, "{by_us} and {by_both} rows");
    for ((peer, known), found) in peers.iter().zip(&found) {
        settle(&format!("{} alone", peer.name), found, known);
    }
}

#[test]
fn a_hidden_request_would_be_seen() {
    let (address, ear) = recorder();
    let hidden = b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhelloGET /hidden HTTP/1.1\r\n\r\n";
    let talk = converse(address, hidden, 0);
    assert_eq!(talk.statuses, [200, 200, 200]);
    let read = heard(&ear, 0);
    assert_eq!(
        shown(&read),
        "POST / \"hello\" | GET /hidden \"\" | GET /behind-it/0 \"\""
    );
    let meant = [read[0].clone(), read[2].clone()];
    for refused in [false, true] {
        assert!(!is_part(&read, &meant, refused), "DENY a request too many");
    }
    assert!(!is_part(&meant, &read, false), "DENY one too few");
    assert!(is_part(&meant, &read, true), "unless it was refused");
}

#[test]
fn a_body_that_swallows_the_request_behind_it_would_be_seen() {
    let (address, ear) = recorder();
    let longer = b"POST / HTTP/1.1\r\nContent-Length: 500\r\n\r\nhello";
    let waiting = converse(address, longer, 0);
    assert!(waiting.statuses.is_empty() && !waiting.refused());
    let read = heard(&ear, 0);
    assert!(
        matches!(&read[..], [one] if !one.complete),
        "{}",
        shown(&read)
    );
    // the other side took the same bytes for a message of five bytes and one behind it
    let shorter = b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello";
    let talk = converse(address, shorter, 0);
    let meant = heard(&ear, 0);
    assert_eq!((talk.statuses.len(), complete(&meant)), (2, 2));
    assert!(!is_part(&read, &meant, waiting.refused()), "DENY");
    assert!(
        !is_part(&[], &meant, waiting.refused()),
        "DENY what was never read"
    );
    assert!(!is_part(&meant, &read, true), "DENY, the other way round");
    for (one, other) in [
        ((&read[..], &waiting), (&meant[..], &talk)),
        ((&meant[..], &talk), (&read[..], &waiting)),
        ((&[][..], &waiting), (&meant[..], &talk)),
        ((&meant[..1], &waiting), (&meant[..], &talk)),
    ] {
        assert!(!taken_alike(one, other), "DENY");
    }
}
