use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use book::{Change, Force, Hit, Protected, Published, Role, Standing, View};
use vocab::{Cidr, DecisionId, Timestamp};

use crate::{Dice, at};

const FORCES: [Force; 5] = [
    Force::Observe,
    Force::Other,
    Force::Throttle,
    Force::Challenge,
    Force::Ban,
];

fn some_address(dice: &mut Dice) -> IpAddr {
    // few distinct leading bits, so that ranges nest and addresses meet them
    let bits = dice.roll();
    if bits & 1 == 0 {
        let block = [0xc633_6400_u32, 0xcb00_7100, 0, 0xffff_ff00][(bits >> 1 & 3) as usize];
        IpAddr::V4(Ipv4Addr::from_bits(block | (bits >> 8) as u32 & 0x3ff))
    } else {
        let block = [0x2001_0db8_u128 << 96, 0, u128::MAX << 64][(bits >> 1) as usize % 3];
        let low = u128::from(bits >> 40 & 0xfff);
        IpAddr::V6(Ipv6Addr::from_bits(
            block | (u128::from(bits >> 8 & 0xf) << 64) | low,
        ))
    }
}

fn some_range(dice: &mut Dice) -> Cidr {
    let address = some_address(dice);
    let prefix = match (address, dice.below(5)) {
        (IpAddr::V4(_), 0 | 1) => 32,
        (IpAddr::V4(_), 2) => 22 + dice.below(10) as u8,
        (IpAddr::V4(_), _) => dice.below(33) as u8,
        (IpAddr::V6(_), 0) => 128,
        (IpAddr::V6(_), 1 | 2) => 64,
        (IpAddr::V6(_), _) => dice.below(129) as u8,
    };
    Cidr::new(address, prefix).unwrap()
}

/// What stands, kept as plainly as can be.
#[derive(Default)]
struct Naive(Vec<(Cidr, u128, Option<Force>, Timestamp)>);

impl Naive {
    fn apply(&mut self, change: Change) {
        match change {
            Change::Bar {
                range,
                id,
                force,
                until,
            } => self.0.push((range, id, Some(force), until)),
            Change::Allow { range, id, until } => self.0.push((range, id, None, until)),
            Change::Lift { range, id } => self.0.retain(|held| (held.0, held.1) != (range, id)),
        }
    }

    fn standing(&self, address: IpAddr, now: Timestamp) -> Standing {
        let live = self
            .0
            .iter()
            .filter(|held| held.3 > now && held.0.contains(address));
        let best = live.max_by_key(|held| (held.2.is_none(), held.2, held.3, held.1));
        match best {
            None => Standing::Stranger,
            Some((_, _, None, _)) => Standing::Allowed,
            Some((_, id, Some(force), until)) => Standing::Held(Hit {
                force: *force,
                id: DecisionId(*id),
                until: *until,
            }),
        }
    }
}

#[test]
fn the_view_says_what_a_plain_scan_says() {
    let mut dice = Dice(0x1ee7);
    let mut looked = 0;
    for round in 0..20 {
        let (mut view, mut naive) = (View::default(), Naive::default());
        for step in 0..40 {
            let mut changes = Vec::new();
            for _ in 0..=dice.below(12) {
                let id = u128::from(dice.roll());
                let until = at(dice.below(100) as i64);
                let range = some_range(&mut dice);
                changes.push(match dice.below(8) {
                    0 => Change::Allow { range, id, until },
                    1 | 2 if !naive.0.is_empty() => {
                        let at = usize::try_from(dice.below(naive.0.len() as u64)).unwrap();
                        Change::Lift {
                            range: naive.0[at].0,
                            id: naive.0[at].1,
                        }
                    }
                    _ => {
                        let force = FORCES[dice.below(5) as usize];
                        Change::Bar {
                            range,
                            id,
                            force,
                            until,
                        }
                    }
                });
            }
            view = view.with(&changes);
            changes.into_iter().for_each(|change| naive.apply(change));
            if step % 10 == 9 {
                view = view.merged((round % 2 == 0).then(|| at(0)));
            }
            for _ in 0..30 {
                let (address, now) = (some_address(&mut dice), at(dice.below(100) as i64));
                let want = naive.standing(address, now);
                assert_eq!(
                    view.standing(address, now),
                    want,
                    "round {round}: {address}"
                );
                looked += 1;
            }
        }
    }
    assert!(looked >= 20_000);
}

#[test]
fn a_large_view_says_what_a_plain_scan_says_at_every_edge() {
    // enough ranges that the index of leading bits is used
    let mut dice = Dice(0x1a46e);
    let mut naive = Naive::default();
    let mut changes = Vec::new();
    for id in 1..6_000_u128 {
        let address = IpAddr::V4(Ipv4Addr::from_bits(dice.roll() as u32 & 0x0fff_ffff));
        let prefix = 12 + dice.below(21) as u8;
        let range = Cidr::new(address, prefix).unwrap();
        changes.push(Change::Bar {
            range,
            id,
            force: Force::Ban,
            until: at(dice.below(9) as i64),
        });
    }
    let view = View::of(&changes);
    changes.iter().for_each(|change| naive.apply(*change));
    let mut addresses: Vec<u32> = vec![0, u32::MAX, 0x0fff_ffff, 0x1000_0000];
    for (range, ..) in naive.0.iter().step_by(12) {
        if let IpAddr::V4(first) = range.address() {
            let size = 1_u32 << (32 - range.prefix());
            let first = first.to_bits();
            addresses.extend([
                first.wrapping_sub(1),
                first,
                first + (size - 1),
                first + size,
            ]);
        }
    }
    for address in addresses {
        let address = IpAddr::V4(Ipv4Addr::from_bits(address));
        assert_eq!(
            view.standing(address, at(4)),
            naive.standing(address, at(4)),
            "{address}"
        );
    }
}

#[test]
fn ends_are_exact_and_what_was_outranked_comes_forth() {
    let range = |text: &str| text.parse().unwrap();
    let bar = |range, id, force, until| Change::Bar {
        range,
        id,
        force,
        until: at(until),
    };
    let view = View::of(&[
        bar(range("203.0.113.9"), 1, Force::Ban, 100),
        bar(range("203.0.113.0/24"), 2, Force::Throttle, 200),
        Change::Allow {
            range: range("203.0.113.8/31"),
            id: 3,
            until: at(50),
        },
    ]);
    let held = |id, force, until| {
        Standing::Held(Hit {
            force,
            id: DecisionId(id),
            until: at(until),
        })
    };
    let nine = |now| view.standing([203, 0, 113, 9].into(), at(now));
    assert_eq!(nine(49), Standing::Allowed);
    assert_eq!(nine(50), held(1, Force::Ban, 100));
    assert_eq!(nine(99), held(1, Force::Ban, 100));
    assert_eq!(nine(100), held(2, Force::Throttle, 200));
    assert_eq!(nine(200), Standing::Stranger);
    let mapped: IpAddr = "::ffff:203.0.113.9".parse().unwrap();
    assert_eq!(
        view.standing(mapped, at(60)),
        held(1, Force::Ban, 100),
        "DENY: mapped is the same"
    );
}

#[test]
fn protected_ranges_beat_every_ban_and_leave_when_they_are_protected_no_more() {
    let range = |text: &str| -> Cidr { text.parse().unwrap() };
    let bar = Change::Bar {
        range: range("198.51.100.0/24"),
        id: 1,
        force: Force::Ban,
        until: Timestamp::MAX,
    };
    let none = Protected::default();
    let own = Protected::new([
        (range("198.51.100.1"), Role::Own),
        (range("198.51.100.2"), Role::Own),
    ]);
    let less = Protected::new([(range("198.51.100.1"), Role::Gateway)]);
    let allowed = |view: &View, last: u8| {
        view.standing([198, 51, 100, last].into(), at(0)) == Standing::Allowed
    };
    let view = View::of(&[bar]).with(&own.changes_from(&none));
    assert!(allowed(&view, 1) && allowed(&view, 2) && !allowed(&view, 3));
    let view = view.with(&less.changes_from(&own)).merged(None);
    assert!(
        allowed(&view, 1),
        "DENY: a changed role is no reason to be barred"
    );
    assert!(!allowed(&view, 2));
    assert!(less.changes_from(&less).is_empty());
}

/// Publishes bars, and lifts every third, while somebody else merges and forgets; whether
/// all of them hold afterwards.
fn published_beside_a_worker(range_of: fn(u32) -> Cidr) {
    const BARS: u32 = 3_000;
    let published = Published::default();
    let (done, merges) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                published.merge(at(0));
                published.forget(at(0));
                merges.fetch_add(1, Ordering::Relaxed);
            }
        });
        for number in 1..=BARS {
            let (range, id) = (range_of(number), u128::from(number));
            // Every fifth has ended when it comes: clearing it away takes nothing else along.
            let until = if number % 5 == 0 {
                at(-1)
            } else {
                Timestamp::MAX
            };
            let force = Force::Ban;
            let bar = Change::Bar {
                range,
                id,
                force,
                until,
            };
            published.publish(&[bar]);
            if number % 3 == 0 {
                published.publish(&[Change::Lift { range, id }]);
            }
        }
        // On one core the worker may not have had its turn yet.
        while merges.load(Ordering::Relaxed) < 3 {
            std::thread::yield_now();
        }
        done.store(true, Ordering::Relaxed);
    });
    let view = published.load();
    for number in 1..=BARS {
        let standing = view.standing(range_of(number).address(), at(0));
        let is_over = number % 3 == 0 || number % 5 == 0;
        assert_eq!(standing == Standing::Stranger, is_over, "{number}");
    }
}

#[test]
fn single_sources_published_during_a_merge_are_there_after_it() {
    published_beside_a_worker(|number| Cidr::host(IpAddr::V4(Ipv4Addr::from_bits(number))));
    published_beside_a_worker(|number| {
        let bits = u128::from(number) << 64;
        Cidr::new(IpAddr::V6(Ipv6Addr::from_bits(bits)), 64).unwrap()
    });
}

#[test]
fn ranges_published_during_a_merge_are_there_after_it() {
    published_beside_a_worker(|number| {
        Cidr::new(IpAddr::V4(Ipv4Addr::from_bits(number << 8)), 24).unwrap()
    });
    published_beside_a_worker(|number| {
        let bits = u128::from(number) << 80;
        Cidr::new(IpAddr::V6(Ipv6Addr::from_bits(bits)), 48).unwrap()
    });
}

#[test]
fn a_replaced_view_is_not_brought_back_by_a_merge() {
    let published = Published::default();
    let range: Cidr = "203.0.113.9".parse().unwrap();
    let until = Timestamp::MAX;
    published.publish(&[Change::Bar {
        range,
        id: 1,
        force: Force::Ban,
        until,
    }]);
    published.replace(View::default());
    published.merge(at(0));
    assert_eq!(
        published.load().standing(range.address(), at(0)),
        Standing::Stranger
    );
    assert!(published.load().is_empty());
}

#[test]
fn an_overlay_asks_for_a_merge_and_is_empty_after_it() {
    let mut view = View::default();
    for id in 1..=1_100_u32 {
        let range = Cidr::new(IpAddr::V4(Ipv4Addr::from_bits(id << 8)), 24).unwrap();
        let until = at(i64::from(id % 2) * 10);
        view = view.with(&[Change::Bar {
            range,
            id: id.into(),
            force: Force::Ban,
            until,
        }]);
    }
    assert!(view.wants_merge());
    let merged = view.merged(Some(at(5)));
    assert!(!merged.wants_merge());
    assert_eq!(
        (merged.overlay(), merged.len()),
        (0, 550),
        "what ended is left out"
    );
}

#[test]
fn single_sources_need_no_merge_and_those_that_ended_are_forgotten_piece_by_piece() {
    let published = Published::default();
    let source = |id: u32| {
        let four = IpAddr::V4(Ipv4Addr::from_bits(id.wrapping_mul(0x9e37_79b9)));
        let six = IpAddr::V6(Ipv6Addr::from_bits(u128::from(id) << 64));
        let range = if id.is_multiple_of(3) {
            Cidr::new(six, 64)
        } else {
            Cidr::new(four, 32)
        };
        range.unwrap()
    };
    let ban = |id: u32| Change::Bar {
        range: source(id),
        id: id.into(),
        force: Force::Ban,
        until: at(i64::from(id % 2) * 10 + 1),
    };
    (1..=20_000).for_each(|id| published.publish(&[ban(id)]));
    assert_eq!(
        (published.load().overlay(), published.load().len()),
        (0, 20_000)
    );
    let mut before = 20_000;
    for _ in 0..10 {
        published.forget(at(5));
        let after = published.load().len();
        assert!(before - after <= 16_384, "a piece at a time");
        before = after;
    }
    assert_eq!(before, 10_000);
    for id in 1..=20_000 {
        let standing = published.load().standing(source(id).address(), at(5));
        assert_eq!(standing != Standing::Stranger, id % 2 == 1, "{id}");
    }
}
