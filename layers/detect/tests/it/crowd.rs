//! A million addresses, each of which attacks: memory stays bounded, and the oldest makes
//! room.

use std::borrow::Cow;
use std::fs;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use detect::bucket::{Pour, Seed};
use detect::data::DataSet;
use detect::program::{Options, Program, Scratch};
use detect::rules::disk::Place;
use detect::rules::{self, Bounds, Items};
use detect::shard::{Limits, Mode, Realm, Shards};
use vocab::{ClientAddr, HttpEvent, Timestamp};

use crate::shared::shared;

const ADDRESSES: u32 = 1_000_000;

fn address(number: u32) -> IpAddr {
    let [a, b, c, d] = number.to_be_bytes().map(u16::from);
    // Each in a /64 of its own, or they would count as one subscriber.
    Ipv6Addr::from([0x2001, 0xdb8, a << 8 | b, c << 8 | d, 0, 0, 0, 1]).into()
}

/// What this process holds, in MiB.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|rest| rest.split_whitespace().next());
    kibibytes.unwrap().parse::<u64>().unwrap() / 1024
}

#[test]
fn a_million_addresses_that_probe_take_less_than_256_mib_and_the_oldest_makes_room() {
    let Some(hub) = shared("hub") else { return };
    let sources = Place::new(&hub).sources().unwrap();
    let items = Items {
        names: vec!["crowdsecurity/http-probing".to_owned()],
        exact: false,
    };
    let set = rules::load(&sources, &items, &Bounds::default());
    let (program, _) = Program::build(&set, &DataSet::default(), &Options { live: true });
    let limits = Limits::default();
    let shards = Shards::new(program.specs(), limits, Mode::Live);
    let mut scratch = Scratch::new(&program, Seed::new(5));
    let before = resident();
    let mut alerts: Vec<vocab::Alert> = Vec::new();
    let mut ends: Vec<Pour> = Vec::new();
    let mut time = Timestamp::from_unix_seconds(1_790_000_000);
    for number in 0..ADDRESSES {
        // All within the life of a bucket, so that none goes by itself.
        time = time.after(Duration::from_micros(50));
        let target = format!("/old-{number}.php");
        let mut seen = program.observe(&request(time, number, &target), &mut scratch);
        if number == 0 || number + 1 == ADDRESSES {
            ends.extend(seen.pours);
        }
        shards.apply(
            program.specs(),
            seen.pours,
            &mut seen.occurrence,
            time,
            &mut alerts,
        );
    }
    let counts = shards.counts();
    let [first, last] = &*ends else {
        panic!("each request is poured once: {ends:?}");
    };
    assert!(
        shards.peek(Realm::First, first).is_none(),
        "the oldest went"
    );
    assert!(
        shards.peek(Realm::First, last).is_some(),
        "the newest is there"
    );
    assert_eq!(counts.poured, u64::from(ADDRESSES));
    assert_eq!(
        counts.buckets + counts.evicted,
        u64::from(ADDRESSES),
        "{counts:?}"
    );
    assert!(
        counts.buckets <= limits.buckets as u64 && counts.buckets > 100_000,
        "{counts:?}"
    );
    assert!(counts.bytes <= limits.bytes as u64, "{counts:?}");
    let grown = resident().saturating_sub(before);
    assert!(grown < 256, "{grown} MiB, {counts:?}");
}

fn request(time: Timestamp, number: u32, target: &str) -> HttpEvent<'_> {
    HttpEvent {
        time,
        site: Cow::Borrowed("shop"),
        client: ClientAddr::new(address(number)),
        method: Cow::Borrowed("GET"),
        target: Cow::Borrowed(target),
        version: 11,
        host: Cow::Borrowed("shop.example"),
        status: 404,
        user_agent: Cow::Borrowed("Mozilla/5.0"),
        referer: Cow::Borrowed(""),
        body_bytes: Some(162),
        tls: true,
        request_id: u64::from(number),
        session: false,
        credentials: None,
        foreign: false,
        login: None,
    }
}
