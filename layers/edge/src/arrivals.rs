//! Through whom requests come: the few addresses that carry most of them. Pure.
//!
//! **For.** Saying that visitors' addresses are hidden: when most requests come from
//! one gateway, or from proxies that nobody trusts. **Refuses** to remember visitors:
//! sixteen addresses a core, for an hour at most, on nobody's disk. **Assumes** one
//! thread a table. **On failure** (a flood from everywhere) the counts of light
//! addresses are wrong by what was displaced; an address with more than a sixteenth of
//! all requests is always among the sixteen (*space-saving*, Metwally et al. 2005).

use core::net::IpAddr;
use core::time::Duration;

use wire::{HeaderId, HeaderSet, Headers};

use crate::registry::TICK;

/// Addresses held.
const PLACES: usize = 16;
/// Half of the time that is looked back at.
const HALF: Duration = Duration::from_secs(30 * 60);

/// Headers by which a proxy gives itself away, the most telling first.
const TELLING: [HeaderId; 7] = [
    HeaderId::CfConnectingIp,
    HeaderId::TrueClientIp,
    HeaderId::FastlyClientIp,
    HeaderId::XForwardedFor,
    HeaderId::Forwarded,
    HeaderId::XRealIp,
    HeaderId::Via,
];
const ANY_TELLING: HeaderSet = HeaderSet::of(&TELLING);

/// What the last half to whole hour looked like, all cores together.
#[derive(Clone, Debug, Default)]
pub struct Arrivals {
    /// Requests in that time.
    pub requests: u64,
    /// Of them, those that came from addresses which are not trusted, with a header by
    /// which proxies name clients: the header that stood most often, and how many in all.
    pub forwarded: u64,
    /// That header.
    pub header: Option<&'static str>,
    /// The addresses that carry most, the heaviest first; 16 at most a core.
    pub peers: Vec<Peer>,
}

/// One address that requests come from.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Whose connections they are: a peer's, or whom a PROXY protocol named.
    pub address: IpAddr,
    /// Its requests, at least.
    pub requests: u64,
    /// Of them, with a telling header although the address is not trusted.
    pub forwarded: u64,
    /// Of them, from a trusted proxy that named nobody.
    pub unnamed: u64,
    /// One bit for each kind of user agent, by its hash: how many bits are set is at
    /// most how many kinds there are.
    agents: u64,
}

impl Peer {
    /// An address with its requests, those with a telling header, those without a name,
    /// and so many kinds of user agent (64 at most).
    #[must_use]
    pub const fn new(address: IpAddr, counts: [u64; 3], agents: u32) -> Self {
        let [requests, forwarded, unnamed] = counts;
        Self {
            address,
            requests,
            forwarded,
            unnamed,
            agents: match 1_u64.checked_shl(agents) {
                Some(bit) => bit - 1,
                None => u64::MAX,
            },
        }
    }

    /// How many kinds of user agent it showed, at least.
    #[must_use]
    pub const fn agents(&self) -> u32 {
        self.agents.count_ones()
    }
}

/// One request on its way into the table.
#[derive(Clone, Copy)]
pub(crate) struct Arrival<'a> {
    pub(crate) address: IpAddr,
    pub(crate) trusted: bool,
    /// Whether a trusted proxy named somebody.
    pub(crate) named: bool,
    pub(crate) headers: Headers<'a>,
}

/// What a core has seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    recent: Half,
    before: Half,
    since: u32,
}

#[derive(Clone, Debug, Default)]
struct Half {
    requests: u64,
    headers: [u64; TELLING.len()],
    places: Vec<Place>,
}

#[derive(Clone, Debug)]
struct Place {
    peer: Peer,
    /// What whoever stood here before may have left in the count.
    inherited: u64,
}

impl Table {
    /// An empty one that begins now.
    pub(crate) fn since(tick: u32) -> Self {
        Self {
            since: tick,
            ..Self::default()
        }
    }

    /// Counts a request at `tick`.
    pub(crate) fn note(&mut self, tick: u32, arrival: Arrival<'_>) {
        self.turn(tick);
        let telling = telling(arrival);
        self.recent.requests += 1;
        if let Some(count) = telling.and_then(|at| self.recent.headers.get_mut(at)) {
            *count += 1;
        }
        let peer = self.recent.place(arrival.address);
        peer.requests += 1;
        peer.forwarded += u64::from(telling.is_some());
        peer.unnamed += u64::from(arrival.trusted && !arrival.named);
        let agent = arrival.headers.first(HeaderId::UserAgent);
        peer.agents |= 1 << (fold(agent.unwrap_or_default()) >> 58);
    }

    /// Forgets what is too old.
    pub(crate) fn turn(&mut self, tick: u32) {
        let half = u32::try_from(HALF.as_nanos() / TICK.as_nanos()).unwrap_or(u32::MAX);
        let age = tick.saturating_sub(self.since);
        if age < half {
            return;
        }
        self.since = tick;
        self.before = core::mem::take(&mut self.recent);
        if age >= half.saturating_mul(2) {
            self.before = Half::default();
        }
    }

    /// Adds what was seen, as of `tick`, to what other cores have seen.
    pub(crate) fn add_to(&self, sum: &mut Sum) {
        for half in [&self.recent, &self.before] {
            sum.requests += half.requests;
            for (all, own) in sum.headers.iter_mut().zip(half.headers) {
                *all += own;
            }
            for Place { peer, inherited } in &half.places {
                let surely = peer.requests - inherited;
                match sum.peers.iter_mut().find(|one| one.address == peer.address) {
                    Some(one) => {
                        one.requests += surely;
                        one.forwarded += peer.forwarded;
                        one.unnamed += peer.unnamed;
                        one.agents |= peer.agents;
                    }
                    None => sum.peers.push(Peer {
                        requests: surely,
                        ..peer.clone()
                    }),
                }
            }
        }
    }
}

/// The tables of several cores together.
#[derive(Debug, Default)]
pub(crate) struct Sum {
    requests: u64,
    headers: [u64; TELLING.len()],
    peers: Vec<Peer>,
}

impl Sum {
    pub(crate) fn done(mut self) -> Arrivals {
        self.peers
            .sort_by_key(|peer| core::cmp::Reverse(peer.requests));
        let most = self
            .headers
            .iter()
            .zip(TELLING)
            .max_by_key(|(count, _)| **count);
        Arrivals {
            requests: self.requests,
            forwarded: self.headers.iter().sum(),
            header: most
                .filter(|(count, _)| **count > 0)
                .map(|(_, id)| id.name()),
            peers: self.peers,
        }
    }
}

impl Half {
    /// The place of an address; the lightest one's, where there is none left.
    fn place(&mut self, address: IpAddr) -> &mut Peer {
        let known = self
            .places
            .iter()
            .position(|one| one.peer.address == address);
        let at = known.unwrap_or_else(|| self.make_room(address));
        // The heaviest drift to the front, where they are found first.
        let front = at.saturating_sub(1);
        self.places.swap(front, at);
        #[expect(clippy::indexing_slicing, reason = "a place was found or made there")]
        &mut self.places[front].peer
    }

    fn make_room(&mut self, address: IpAddr) -> usize {
        let fresh = |inherited| Place {
            peer: Peer::new(address, [inherited, 0, 0], 0),
            inherited,
        };
        if self.places.len() < PLACES {
            self.places.push(fresh(0));
            return self.places.len() - 1;
        }
        let counts = self.places.iter_mut().enumerate();
        let lightest = counts.min_by_key(|(_, one)| one.peer.requests);
        lightest.map_or(0, |(at, one)| {
            *one = fresh(one.peer.requests);
            at
        })
    }
}

/// Which telling header a request has whose sender is not trusted.
fn telling(arrival: Arrival<'_>) -> Option<usize> {
    let present = arrival.headers.present();
    if arrival.trusted || !present.meets(ANY_TELLING) {
        return None;
    }
    TELLING.iter().position(|id| present.has(*id))
}

/// A cheap hash; whoever makes collisions only seems to be fewer kinds of client.
fn fold(bytes: &[u8]) -> u64 {
    const MOST: usize = 256;
    let bytes = bytes.get(..MOST).unwrap_or(bytes);
    let mut hash = bytes.len() as u64;
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        for (to, from) in word.iter_mut().zip(chunk) {
            *to = *from;
        }
        hash = (hash.rotate_left(5) ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    hash ^ (hash >> 29)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::RequestHead;

    fn note(table: &mut Table, tick: u32, address: &str, trusted: bool, fields: &str) {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let mut head = RequestHead::new();
        let _done = head.parse(text.as_bytes(), &wire::Limits::default());
        table.note(
            tick,
            Arrival {
                address: address.parse().unwrap(),
                trusted,
                named: false,
                headers: head.request(text.as_bytes()).headers(),
            },
        );
    }

    fn sum(tables: &[Table]) -> Arrivals {
        let mut sum = Sum::default();
        for table in tables {
            table.add_to(&mut sum);
        }
        sum.done()
    }

    #[test]
    fn the_heaviest_are_known_through_a_flood_from_everywhere() {
        let mut tables = [Table::default(), Table::default()];
        for round in 0..4000_u32 {
            let table = &mut tables[(round % 2) as usize];
            note(
                table,
                0,
                "172.18.0.1",
                false,
                &format!("User-Agent: {round}\r\n"),
            );
            note(
                table,
                0,
                &format!("198.51.{}.{}", round / 256 % 256, round % 256),
                false,
                "",
            );
        }
        let seen = sum(&tables);
        assert_eq!(
            (seen.requests, seen.forwarded, seen.header),
            (8000, 0, None)
        );
        assert!(seen.peers.len() <= 2 * PLACES);
        let first = &seen.peers[0];
        assert_eq!(first.address.to_string(), "172.18.0.1");
        assert!(
            (3500..=4000).contains(&first.requests),
            "{}",
            first.requests
        );
        assert!(first.agents() > 32);
        // DENY: whoever came last is not made heavy by whom it displaced
        assert!(seen.peers[1..].iter().all(|peer| peer.requests < 300));
    }

    #[test]
    fn proxies_give_themselves_away_and_trusted_ones_by_naming_nobody() {
        let mut table = Table::default();
        for _ in 0..3 {
            note(
                &mut table,
                0,
                "203.0.113.5",
                false,
                "X-Forwarded-For: 1\r\nCF-Connecting-IP: 1\r\n",
            );
        }
        note(&mut table, 0, "203.0.113.6", false, "Via: 1.1 a\r\n");
        note(&mut table, 0, "203.0.113.6", false, "Cookie: a\r\n");
        note(
            &mut table,
            0,
            "10.0.0.1",
            true,
            "X-Forwarded-For: nonsense\r\n",
        );
        let seen = sum(&[table]);
        assert_eq!((seen.requests, seen.forwarded), (6, 4));
        assert_eq!(seen.header, Some("CF-Connecting-IP"));
        let of = |address: &str| {
            let peer = seen
                .peers
                .iter()
                .find(|peer| peer.address.to_string() == address);
            peer.map(|peer| (peer.requests, peer.forwarded, peer.unnamed))
        };
        assert_eq!(of("203.0.113.5"), Some((3, 3, 0)));
        assert_eq!(of("203.0.113.6"), Some((2, 1, 0)));
        assert_eq!(of("10.0.0.1"), Some((1, 0, 1)));
    }

    #[test]
    fn an_hour_ago_is_forgotten() {
        const HALF_TICKS: u32 = 9000;
        let mut table = Table::default();
        note(&mut table, 0, "203.0.113.5", false, "");
        note(&mut table, HALF_TICKS, "203.0.113.6", false, "");
        assert_eq!(sum(std::slice::from_ref(&table)).requests, 2);
        note(&mut table, 2 * HALF_TICKS, "203.0.113.6", false, "");
        assert_eq!(sum(std::slice::from_ref(&table)).requests, 2);
        note(&mut table, 9 * HALF_TICKS, "203.0.113.6", false, "");
        assert_eq!(sum(&[table]).requests, 1);
    }
}
