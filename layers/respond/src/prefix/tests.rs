use book::{AdmitPolicy, Book, Bounds, Entry, EntryId, NodeId, Op, Protected, Role, admit};
use vocab::Source;

use super::*;

const HOUR: u64 = 3_600;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_seconds(1_800_000_000).after(Duration::from_secs(seconds))
}

fn alert(address: &str, confidence: &str) -> Alert {
    Alert {
        scenario: "ringwall/http-exploit".to_owned(),
        scenario_hash: String::new(),
        source: Source {
            scope: Scope::Ip,
            value: address.to_owned(),
            ip: address.parse().ok(),
            whereabouts: None,
        },
        events_count: 1,
        start_at: at(0),
        stop_at: at(0),
        events: Vec::new(),
        remediation: true,
        simulated: false,
        labels: vec![("confidence".to_owned(), confidence.to_owned())],
        context: Vec::new(),
        exempt: None,
    }
}

/// A ban of four hours, by detection.
fn ban(address: &str, seconds: u64) -> Decision {
    let range = book::source_range(address.parse().unwrap());
    Decision {
        id: DecisionId(u128::from(seconds) + 1 + (u128::from(address.len() as u64) << 64)),
        scope: Scope::Range,
        value: range.to_string(),
        kind: Kind::Ban,
        origin: Origin::Detection,
        reason: "ringwall/http-exploit".to_owned(),
        created: at(seconds),
        until: at(seconds + 4 * HOUR),
    }
}

/// Bars these addresses one after the other, a second apart; what is proposed in the end.
fn after(addresses: &[&str]) -> Option<Proposed> {
    let mut prefixes = Prefixes::default();
    let mut proposed = None;
    for (second, address) in (0..).zip(addresses) {
        let range = prefixes.note(&alert(address, "3"), &ban(address, second), at(second));
        proposed = range
            .and_then(|range| prefixes.propose(range, &PrefixPolicy::default(), &[], at(second)));
    }
    proposed
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of attackers")]
fn four_distinct_offenders_of_one_range_slow_it_down_and_nothing_less_does() {
    let cases: [(&str, &[&str], Option<&str>); 9] = [
        (
            "four of one /24",
            &[
                "203.0.113.1",
                "203.0.113.9",
                "203.0.113.77",
                "203.0.113.255",
            ],
            Some("203.0.113.0/24"),
        ),
        (
            "DENY three, however often",
            &[
                "203.0.113.1",
                "203.0.113.9",
                "203.0.113.77",
                "203.0.113.1",
                "203.0.113.9",
                "203.0.113.77",
                "203.0.113.1",
            ],
            None,
        ),
        (
            "DENY four of two ranges",
            &["203.0.113.1", "203.0.113.9", "203.0.114.1", "203.0.114.9"],
            None,
        ),
        (
            "four /64s of one /48",
            &[
                "2001:db8:7:1::1",
                "2001:db8:7:2::1",
                "2001:db8:7:3::1",
                "2001:db8:7:ffff::1",
            ],
            Some("2001:db8:7::/48"),
        ),
        (
            "DENY many addresses of one /64",
            &[
                "2001:db8:7:1::1",
                "2001:db8:7:1::2",
                "2001:db8:7:1::3",
                "2001:db8:7:1:1::",
                "2001:db8:7:1:2::",
                "2001:db8:7:1:ffff::",
            ],
            None,
        ),
        (
            "DENY three /64s, one of them rotating",
            &[
                "2001:db8:7:1::1",
                "2001:db8:7:2::2",
                "2001:db8:7:3::3",
                "2001:db8:7:3::4",
                "2001:db8:7:3::5",
            ],
            None,
        ),
        (
            "DENY four /48s",
            &[
                "2001:db8:1::1",
                "2001:db8:2::1",
                "2001:db8:3::1",
                "2001:db8:4::1",
            ],
            None,
        ),
        (
            "DENY both families together",
            &[
                "203.0.113.1",
                "203.0.113.2",
                "2001:db8:7:1::1",
                "2001:db8:7:2::1",
            ],
            None,
        ),
        ("DENY one", &["203.0.113.1"], None),
    ];
    for (what, addresses, expected) in cases {
        let proposed = after(addresses);
        let value = proposed.as_ref().map(|one| one.value.as_str());
        assert_eq!(value, expected, "{what}");
        if let Some(one) = proposed {
            assert_eq!(one.kind, Kind::Throttle, "{what}: never a ban");
            assert_eq!(one.lasts, Duration::from_secs(HOUR), "{what}");
            for address in addresses {
                let source = book::source_range(address.parse().unwrap()).to_string();
                assert!(one.reason.contains(&source), "{what}: {}", one.reason);
            }
        }
    }
}

#[test]
fn only_what_our_own_detection_barred_and_was_sure_of_counts() {
    let counted = |change: &dyn Fn(&mut Alert, &mut Decision)| {
        let mut prefixes = Prefixes::default();
        let mut proposed = None;
        for second in 0..6 {
            let address = format!("203.0.113.{second}");
            let (mut alert, mut decision) = (alert(&address, "2"), ban(&address, second));
            change(&mut alert, &mut decision);
            proposed = prefixes
                .note(&alert, &decision, at(second))
                .and_then(|range| {
                    prefixes.propose(range, &PrefixPolicy::default(), &[], at(second))
                });
        }
        proposed.is_some()
    };
    type Change = (&'static str, bool, fn(&mut Alert, &mut Decision));
    let cases: [Change; 8] = [
        ("as it is", true, |_, _| {}),
        ("DENY unsure", false, |alert, _| {
            alert.labels = vec![("confidence".to_owned(), "1".to_owned())];
        }),
        ("DENY unlabelled", false, |alert, _| alert.labels.clear()),
        ("DENY simulated", false, |alert, _| alert.simulated = true),
        ("DENY a person", false, |_, one| {
            one.origin = Origin::Operator;
        }),
        ("DENY a feed", false, |_, one| {
            one.origin = Origin::Feed("list".to_owned());
        }),
        ("DENY an agent", false, |_, one| {
            one.origin = Origin::Agent("lapi".to_owned());
        }),
        ("DENY a throttle", false, |_, one| one.kind = Kind::Throttle),
    ];
    for (what, expected, change) in cases {
        assert_eq!(counted(&change), expected, "{what}");
    }
}

#[test]
fn a_range_is_slowed_down_for_longer_each_time_and_no_longer_than_its_offenders_are_barred() {
    let policy = PrefixPolicy::default();
    let mut prefixes = Prefixes::default();
    let mut book = Book::new(Bounds::default());
    let range: Cidr = "203.0.113.0/24".parse().unwrap();
    let mut hours = Vec::new();
    for round in 0..4_u64 {
        let now = round * 6 * HOUR;
        for last in 0..4_u64 {
            let address = format!("203.0.113.{}", 10 * round + last);
            prefixes.note(&alert(&address, "3"), &ban(&address, now), at(now));
        }
        let proposed = prefixes
            .propose(range, &policy, &book.past(range), at(now))
            .unwrap();
        hours.push(proposed.lasts.as_secs() / HOUR);
        let id = DecisionId(u128::from(round) + 1);
        let decision = admit(&proposed, id, &AdmitPolicy::default(), &book, at(now)).unwrap();
        assert!(
            decision.until <= at(now + 4 * HOUR),
            "ends with its offenders"
        );
        prefixes.rest(range, decision.until);
        let again = prefixes.propose(range, &policy, &book.past(range), at(now + 1));
        assert_eq!(again, None, "one at a time");
        book.apply(&Entry {
            node: NodeId(1),
            epoch: 1,
            seq: round + 1,
            uuid: EntryId(u128::from(round) + 1),
            at: at(now),
            op: Op::Add { decision },
        });
    }
    assert_eq!(hours, [1, 2, 4, 4]);
}

#[test]
fn old_offences_and_what_was_taken_back_do_not_count() {
    let policy = PrefixPolicy::default();
    let range: Cidr = "203.0.113.0/24".parse().unwrap();
    let mut prefixes = Prefixes::default();
    for hour in [0, 8, 16, 25] {
        let address = format!("203.0.113.{hour}");
        let second = hour * HOUR;
        prefixes.note(&alert(&address, "3"), &ban(&address, second), at(second));
    }
    let now = at(25 * HOUR);
    assert_eq!(
        prefixes.propose(range, &policy, &[], now),
        None,
        "DENY a day old"
    );
    prefixes.note(&alert("203.0.113.9", "3"), &ban("203.0.113.9", 90_001), now);
    assert!(prefixes.propose(range, &policy, &[], now).is_some());
    // A person undoes one of the bans: three are left, and the range is to be let go.
    assert_eq!(
        prefixes.forgive(ban("203.0.113.9", 90_001).id, &policy, now),
        Some(range)
    );
    assert_eq!(
        prefixes.propose(range, &policy, &[], now),
        None,
        "DENY taken back"
    );
    assert_eq!(prefixes.forgive(DecisionId(77), &policy, now), None);
    let off = PrefixPolicy {
        offenders: None,
        ..policy.clone()
    };
    assert_eq!(prefixes.propose(range, &off, &[], now), None, "DENY off");
    prefixes.forget(&policy, at(80 * HOUR));
    assert_eq!(prefixes.counts(), (0, 0));
}

#[test]
fn ranges_with_protected_or_local_addresses_are_refused_at_the_door() {
    let book = Book::new(Bounds::default());
    let protecting = |range: &str, role| AdmitPolicy {
        protected: Protected::new([(range.parse().unwrap(), role)]),
        ..AdmitPolicy::default()
    };
    let proposed = after(&["203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4"]).unwrap();
    let enters =
        |policy: &AdmitPolicy| admit(&proposed, DecisionId(1), policy, &book, at(9)).is_ok();
    assert!(enters(&AdmitPolicy::default()));
    for (held, role) in [
        ("203.0.113.200", Role::Own),
        ("203.0.113.254", Role::Gateway),
        ("203.0.113.64/26", Role::TrustedProxy),
        ("203.0.112.0/22", Role::NeverBan),
    ] {
        assert!(!enters(&protecting(held, role)), "DENY {held}");
    }
    let local = after(&["192.168.7.1", "192.168.7.2", "192.168.7.3", "192.168.7.4"]).unwrap();
    let policy = AdmitPolicy::default();
    assert!(
        admit(&local, DecisionId(1), &policy, &book, at(9)).is_err(),
        "DENY local"
    );
}

#[test]
fn the_table_is_bounded_and_says_what_it_forgot() {
    let mut prefixes = Prefixes::default();
    for number in 0..(RANGES as u64 + 500) {
        let address =
            core::net::Ipv4Addr::from_bits(0xc000_0000 + (u32::try_from(number).unwrap() << 8));
        let address = address.to_string();
        prefixes.note(&alert(&address, "3"), &ban(&address, number), at(number));
    }
    assert_eq!(prefixes.counts(), (RANGES, 500));
    for last in 0..256_u64 {
        let address = format!("203.0.113.{last}");
        prefixes.note(&alert(&address, "3"), &ban(&address, 1), at(20_000));
    }
    let range: Cidr = "203.0.113.0/24".parse().unwrap();
    assert_eq!(
        prefixes.ranges.get(&range).unwrap().offenders.len(),
        OFFENDERS
    );
    let reason = prefixes
        .propose(range, &PrefixPolicy::default(), &[], at(20_000))
        .map(|one| one.reason);
    assert!(reason.is_none_or(|text| text.len() < 1_024));
}
