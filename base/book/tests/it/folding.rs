use core::net::IpAddr;

use book::{
    AllowId, AllowItem, AllowSubject, Book, Bounds, Cursor, Entry, Filter, NodeId, Op, Preset,
    Standing, View,
};
use vocab::{Cidr, DecisionId, Kind, Origin, Timestamp};

use crate::{Dice, at, decision, entry};

fn item(id: u128, subject: &str, until: Timestamp) -> AllowItem {
    AllowItem {
        id: AllowId(id),
        list: "office".to_owned(),
        subject: AllowSubject::parse(subject).unwrap(),
        why: "ours".to_owned(),
        by: Origin::Operator,
        created: at(0),
        until,
    }
}

fn add(node: u64, seq: u64, id: u128, value: &str, created: i64, until: i64) -> Entry {
    let decision = decision(id, value, Kind::Ban, created, until);
    entry(node, seq, created, Op::Add { decision })
}

fn removal(node: u64, seq: u64, ids: &[u128]) -> Entry {
    let ids = ids.iter().copied().map(DecisionId).collect();
    entry(
        node,
        seq,
        50,
        Op::Remove {
            ids,
            by: Origin::Operator,
            why: "wrong".to_owned(),
        },
    )
}

fn range(text: &str) -> Cidr {
    text.parse().unwrap()
}

/// A log of two nodes with everything in it: additions, removals, repeated ranges, allowlists.
fn log(dice: &mut Dice) -> Vec<Entry> {
    let mut log = Vec::new();
    for seq in 1..=120 {
        let node = 1 + dice.below(2);
        let id = u128::from(dice.below(60)) + 1;
        // names are random, so an item never shares one with a decision
        let allow_id = u128::from(dice.below(8)) + 1_001;
        let op = match dice.below(10) {
            0..=5 => {
                // the same id always says the same, as random ids do
                let value = match id % 3 {
                    0 => format!("198.51.{}.0/24", id % 7),
                    1 => format!("203.0.113.{}", id % 11),
                    _ => format!("2001:db8:0:{:x}::/64", id % 5),
                };
                let id_small = i64::try_from(id).unwrap();
                let kind = [Kind::Ban, Kind::Throttle, Kind::Observe][(id % 3) as usize].clone();
                Op::Add {
                    decision: decision(id, &value, kind, id_small % 9 * 60, 1_000 + id_small),
                }
            }
            6 | 7 => Op::Remove {
                ids: vec![DecisionId(id), DecisionId(id + 1)],
                by: Origin::Operator,
                why: String::new(),
            },
            8 => {
                let subject = format!("203.0.113.{}", allow_id - 1_000);
                Op::AllowlistAdd {
                    item: item(allow_id, &subject, at(5_000)),
                }
            }
            _ => Op::AllowlistRemove {
                ids: vec![AllowId(allow_id)],
                by: Origin::Operator,
                why: String::new(),
            },
        };
        log.push(entry(node, seq, i64::try_from(seq).unwrap(), op));
    }
    log
}

/// Everything a reader can see, as text.
fn seen(book: &Book) -> String {
    let now = at(500);
    let active: Vec<_> = book
        .active(now)
        .map(|held| (held, book.is_volatile(held.id())))
        .collect();
    let allowed: Vec<_> = book.allow_items(now).collect();
    let pasts: Vec<_> = (0..12)
        .map(|last| book.past(range(&format!("203.0.113.{last}"))))
        .chain((0..5).map(|third| book.past(range(&format!("2001:db8:0:{third:x}::/64")))))
        .collect();
    let origin = Origin::Detection;
    let minutes: Vec<_> = (0..9).map(|m| book.made_by(&origin, at(m * 60))).collect();
    let heads = [book.read_upto(NodeId(1)), book.read_upto(NodeId(2))];
    format!(
        "{active:?} {allowed:?} {pasts:?} {} {minutes:?} {heads:?}",
        book.held_by(&origin)
    )
}

fn fold(log: &[Entry]) -> Book {
    let mut book = Book::new(Bounds::default());
    for entry in log {
        book.apply(entry);
    }
    book
}

#[test]
fn every_order_of_the_log_and_any_repetition_folds_to_the_same_state() {
    let mut dice = Dice(0x5eed);
    for _ in 0..40 {
        let mut log = log(&mut dice);
        let first = seen(&fold(&log));
        for _ in 0..10 {
            dice.shuffle(&mut log);
            let mut twice = log.clone();
            twice.extend(log.iter().take(40).cloned());
            assert_eq!(seen(&fold(&log)), first);
            assert_eq!(seen(&fold(&twice)), first);
        }
    }
}

#[test]
fn the_changes_of_a_log_build_the_same_view_as_the_state_it_ends_in() {
    let mut dice = Dice(0xc0ffee);
    for _ in 0..20 {
        let log = log(&mut dice);
        let mut book = Book::new(Bounds::default());
        let mut view = View::default();
        for entry in &log {
            view = view.with(&book.apply(entry).changes);
        }
        let fresh = View::of(&book.changes(at(500)));
        let merged = view.merged(Some(at(500)));
        for last in 0..=255_u8 {
            for address in [
                IpAddr::from([203, 0, 113, last]),
                IpAddr::from([198, 51, last % 8, last]),
                IpAddr::from([
                    0x2001,
                    0xdb8,
                    0,
                    u16::from(last % 6),
                    0,
                    0,
                    0,
                    u16::from(last),
                ]),
            ] {
                let want = fresh.standing(address, at(500));
                assert_eq!(view.standing(address, at(500)), want, "{address}");
                assert_eq!(merged.standing(address, at(500)), want, "{address}");
            }
        }
    }
}

#[test]
fn a_removal_read_before_its_decision_still_removes_it() {
    let book = fold(&[removal(1, 2, &[7]), add(1, 1, 7, "203.0.113.9", 0, 1_000)]);
    assert_eq!(book.active(at(10)).count(), 0, "DENY: the ban came back");
    assert!(
        book.past(range("203.0.113.9")).is_empty(),
        "DENY: what was taken back counts as past"
    );
}

#[test]
fn what_ended_is_swept_in_bounded_steps_and_its_past_stays() {
    let mut book = fold(&[]);
    for id in 1..=10 {
        book.apply(&add(
            1,
            id,
            u128::from(id),
            &format!("203.0.113.{id}"),
            0,
            100,
        ));
    }
    assert_eq!(
        book.active(at(100)).count(),
        0,
        "an end is exact without a sweep"
    );
    assert_eq!(book.sweep(at(99), 4).ended.len(), 0);
    assert_eq!(book.sweep(at(100), 4).ended.len(), 4);
    assert_eq!(book.sweep(at(100), 40).ended.len(), 6);
    assert!(book.is_empty());
    assert_eq!(book.held_by(&Origin::Detection), 0);
    assert_eq!(book.past(range("203.0.113.4")).len(), 1);
    book.sweep(at(91 * 86_400), 40);
    assert!(
        book.past(range("203.0.113.4")).is_empty(),
        "memory ends after 90 days"
    );
}

#[test]
fn volatile_until_committed() {
    let mut book = fold(&[
        add(1, 1, 7, "203.0.113.9", 0, 100),
        add(1, 2, 8, "203.0.113.8", 0, 100),
    ]);
    assert!(book.is_volatile(DecisionId(7)) && book.is_volatile(DecisionId(8)));
    book.committed(NodeId(1), Cursor { epoch: 1, seq: 1 });
    assert!(!book.is_volatile(DecisionId(7)) && book.is_volatile(DecisionId(8)));
    book.committed(NodeId(2), Cursor { epoch: 9, seq: 9 });
    assert!(
        book.is_volatile(DecisionId(8)),
        "DENY: another node's commit is no commit"
    );
}

#[test]
fn the_prevailing_decision_comes_first() {
    let mut book = Book::new(Bounds::default());
    for (seq, value, kind, until) in [
        (1, "203.0.113.9", Kind::Throttle, 9_000),
        (2, "203.0.113.0/24", Kind::Ban, 400),
        (3, "203.0.113.9", Kind::Ban, 300),
        (4, "203.0.112.0/22", Kind::Observe, 9_999),
        (5, "203.0.114.0/24", Kind::Ban, 9_999),
    ] {
        let decision = decision(u128::from(seq), value, kind, 0, until);
        book.apply(&entry(1, seq, 0, Op::Add { decision }));
    }
    let ids = |now| -> Vec<u128> {
        let found = book.covering(range("203.0.113.9"), at(now));
        found.into_iter().map(|held| held.id().0).collect()
    };
    assert_eq!(ids(0), [2, 3, 1, 4]);
    assert_eq!(ids(350), [2, 1, 4]);
    assert_eq!(ids(400), [1, 4]);
}

#[test]
fn decisions_are_found_by_the_beginning_of_their_name() {
    let mut book = Book::new(Bounds::default());
    let head = |digits: u128| digits << 96;
    for (seq, id) in [
        (1, head(0xabcd_0001)),
        (2, head(0xabcd_0002)),
        (3, head(0xabce_0000)),
    ] {
        book.apply(&add(1, seq, id, &format!("203.0.113.{seq}"), 0, 100));
    }
    for (digits, found) in [
        ("abcd", 2),
        ("ABCD0001", 1),
        ("abce", 1),
        ("a", 3),
        ("abcd0001000000000000000000000000", 1),
        ("b", 0),
        ("", 0),
        ("+abcd", 0),
        ("xyz", 0),
        ("abcd00010000000000000000000000000", 0),
    ] {
        assert_eq!(book.by_prefix(digits, at(0), 10).len(), found, "{digits:?}");
    }
    assert_eq!(
        book.by_prefix("a", at(0), 2).len(),
        2,
        "never more than asked for"
    );
}

#[test]
fn filters_mean_what_they_say() {
    let mut book = Book::new(Bounds::default());
    book.apply(&add(1, 1, 1, "203.0.113.9", 0, 100));
    book.apply(&add(1, 2, 2, "203.0.113.0/24", 0, 100));
    book.apply(&add(1, 3, 3, "2001:db8::/64", 0, 100));
    let count = |filter: Filter| book.matching(&filter, at(0), 100).len();
    let all = Filter::default;
    assert_eq!(count(all()), 3);
    assert_eq!(
        count(Filter {
            covers: Some([203, 0, 113, 9].into()),
            ..all()
        }),
        2
    );
    assert_eq!(
        count(Filter {
            within: Some(range("203.0.113.0/24")),
            ..all()
        }),
        2
    );
    assert_eq!(
        count(Filter {
            within: Some(range("203.0.113.0/25")),
            ..all()
        }),
        1
    );
    assert_eq!(
        count(Filter {
            kind: Some(Kind::Throttle),
            ..all()
        }),
        0
    );
    assert_eq!(
        count(Filter {
            reason: Some("probing".to_owned()),
            ..all()
        }),
        3
    );
    assert_eq!(
        count(Filter {
            origin: Some(Origin::Operator),
            ..all()
        }),
        0
    );
    assert_eq!(
        count(Filter {
            value: Some("203.0.113.0/24".to_owned()),
            ..all()
        }),
        1
    );
}

#[test]
fn host_names_on_allowlists_follow_their_last_good_answer() {
    let mut book = Book::new(Bounds::default());
    let mut view = View::default();
    let ban = add(1, 1, 1, "203.0.113.0/24", 0, 1_000);
    view = view.with(&book.apply(&ban).changes);
    let op = Op::AllowlistAdd {
        item: item(9, "home.example.org", Timestamp::MAX),
    };
    view = view.with(&book.apply(&entry(1, 2, 0, op)).changes);
    let subject = AllowSubject::parse("home.example.org").unwrap();
    let allowed = |view: &View, last: u8| {
        view.standing([203, 0, 113, last].into(), at(1)) == Standing::Allowed
    };
    assert!(
        !allowed(&view, 5),
        "DENY: an unresolved name lets nobody through"
    );
    for (answer, five, six) in [
        (vec!["203.0.113.5"], true, false),
        (vec!["203.0.113.6"], false, true),
        (vec![], false, true), // no answer: the last good one stays
        (vec!["203.0.113.5"], true, false),
        (vec!["203.0.113.5", "203.0.113.6"], true, true),
    ] {
        let ranges: Vec<Cidr> = answer.iter().map(|text| range(text)).collect();
        view = view.with(&book.update_resolution(&subject, &ranges).changes);
        assert_eq!(
            (allowed(&view, 5), allowed(&view, 6)),
            (five, six),
            "{answer:?}"
        );
        let merged = view.merged(Some(at(1)));
        assert_eq!(
            (allowed(&merged, 5), allowed(&merged, 6)),
            (five, six),
            "{answer:?}"
        );
        assert_eq!(book.allowing(range("203.0.113.5"), at(1)).is_some(), five);
    }
    let ids = vec![AllowId(9)];
    let op = Op::AllowlistRemove {
        ids,
        by: Origin::Operator,
        why: String::new(),
    };
    view = view.with(&book.apply(&entry(1, 3, 2, op)).changes);
    assert!(
        !allowed(&view, 5) && !allowed(&view, 6),
        "DENY: a removed item lets nobody through"
    );
}

#[test]
fn presets_stand_for_known_ranges_until_the_caller_knows_better() {
    let mut book = Book::new(Bounds::default());
    let add = |id, name| Op::AllowlistAdd {
        item: item(id, name, Timestamp::MAX),
    };
    book.apply(&entry(1, 1, 0, add(1, "lan")));
    book.apply(&entry(1, 2, 0, add(2, "wan")));
    let lets = |book: &Book, text: &str| book.allowing(range(text), at(0)).is_some();
    assert!(lets(&book, "192.168.1.7") && lets(&book, "fd00::7"));
    assert!(!lets(&book, "203.0.113.7"));
    book.update_resolution(&AllowSubject::Preset(Preset::Wan), &[range("203.0.113.7")]);
    assert!(lets(&book, "203.0.113.7"));
    book.update_resolution(&AllowSubject::Preset(Preset::Wan), &[]);
    assert!(
        !lets(&book, "203.0.113.7"),
        "a WAN address that is gone may belong to anybody"
    );
}

#[test]
fn allowlist_subjects_are_told_from_typing_errors() {
    for (text, good) in [
        ("203.0.113.7", true),
        ("203.0.113.0/24", true),
        ("2001:db8::/32", true),
        ("lan", true),
        ("home.example.org", true),
        ("Home.Example.ORG.", true),
        ("nas", true),
        ("203.0.113", false),
        ("203.0.113.256", false),
        ("203.0.113.0/33", false),
        ("", false),
        (".", false),
        ("a..b", false),
        ("-a.example", false),
        ("exa mple.org", false),
        ("http://example.org", false),
    ] {
        assert_eq!(AllowSubject::parse(text).is_some(), good, "{text:?}");
    }
}
