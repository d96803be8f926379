//! What a ban costs in memory, as the kernel counts it. In a program of its own, since it reads
//! what its whole process takes.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use core::net::{IpAddr, Ipv4Addr};

use book::{Book, Bounds, Entry, EntryId, NodeId, Op, Published, View};
use vocab::{Cidr, Decision, DecisionId, Kind, Origin, Scope, Timestamp};

const BANS: u64 = 100_000;

fn resident() -> f64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: f64 = pages.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4_096.0
}

fn scattered(number: u64) -> u128 {
    let mixed = |number: u64| {
        let number = (number ^ number >> 31).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        number ^ number >> 29
    };
    u128::from(mixed(number * 2)) << 64 | u128::from(mixed(number * 2 + 1))
}

fn address(number: u64) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(
        (number as u32).wrapping_mul(0x9e37_79b9),
    ))
}

fn ban(number: u64) -> Entry {
    let at = Timestamp::from_unix_nanos(1_800_000_000_000_000_000 + number as i64 * 40_007);
    let decision = Decision {
        id: DecisionId(scattered(number)),
        scope: Scope::Ip,
        value: address(number).to_string(),
        kind: Kind::Ban,
        origin: Origin::Detection,
        reason: "crowdsecurity/http-probing".to_owned(),
        created: at,
        until: at.after(core::time::Duration::from_secs(4 * 3_600)),
    };
    Entry {
        node: NodeId(7),
        epoch: 1,
        seq: number + 1,
        uuid: EntryId(scattered(number + BANS)),
        at,
        op: Op::Add { decision },
    }
}

#[test]
fn a_hundred_thousand_bans_take_120_bytes_each_at_most() {
    let now = Timestamp::from_unix_seconds(1_800_000_000);
    let each = |from: f64| (resident() - from) / BANS as f64;

    let start = resident();
    let began = std::time::Instant::now();
    let mut book = Book::new(Bounds::default());
    for number in 0..BANS {
        book.apply(&ban(number));
    }
    let (fold, folding) = (each(start), began.elapsed());

    let before = resident();
    let began = std::time::Instant::now();
    let fresh = View::of(&book.changes(now));
    let (view, building) = (each(before), began.elapsed());
    drop(fresh);

    // one by one, as they are decided
    let start = resident();
    let began = std::time::Instant::now();
    let mut live = Book::new(Bounds::default());
    let published = Published::default();
    for number in 0..BANS {
        published.publish(&live.apply(&ban(number)).changes);
    }
    let (all, publishing) = (each(start), began.elapsed());
    println!("fold {fold:.0} B a ban, in {folding:?}; a view of it {view:.0} B, in {building:?}");
    println!("both, published one by one, {all:.0} B, in {publishing:?}");
    for number in (0..BANS).step_by(997) {
        assert_eq!(live.covering(Cidr::host(address(number)), now).len(), 1);
    }
    assert_eq!((live.len(), published.load().len()), (100_000, 100_000));
    assert!(fold <= 95.0 && all <= 120.0, "{fold} {all}");
    assert!(
        !published.load().wants_merge(),
        "nothing is built beside it"
    );
}
