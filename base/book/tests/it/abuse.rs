use core::net::{IpAddr, Ipv4Addr};

use book::{
    AdmitPolicy, AllowId, AllowItem, AllowSubject, Book, Bounds, Budget, Budgets, Held, Op,
    Protected, Refused, Role, Standing, View, admit,
};
use vocab::{Cidr, DecisionId, Kind, Origin, Timestamp};

use crate::{at, decision, entry, proposed};

#[test]
fn a_feed_that_lists_everybody_bars_nobody() {
    let book = Book::default();
    let protected = Protected::new([("198.51.100.1".parse().unwrap(), Role::Own)]);
    for policy in [
        AdmitPolicy::default(),
        AdmitPolicy {
            protected,
            ..AdmitPolicy::default()
        },
    ] {
        for value in [
            "0.0.0.0/0",
            "::/0",
            "0.0.0.0/1",
            "128.0.0.0/1",
            "2000::/3",
            "::ffff:0:0/96",
        ] {
            let feed = Origin::Feed("poisoned".to_owned());
            let said = admit(&proposed(value, feed), DecisionId(1), &policy, &book, at(0));
            assert!(said.is_err(), "DENY: {value}");
        }
    }
    let said = admit(
        &proposed("0.0.0.0/0", Origin::Operator),
        DecisionId(1),
        &AdmitPolicy::default(),
        &book,
        at(0),
    );
    assert!(
        matches!(said, Err(Refused::TooWide { .. })),
        "DENY: nor does a slip of the operator"
    );
}

#[test]
fn a_million_sources_neither_grow_the_book_nor_push_out_what_a_person_decided() {
    let bounds = Bounds {
        decisions: 3_000,
        sources: 500,
        tombstones: 500,
        ..Bounds::default()
    };
    let budgets = Budgets {
        detection: Budget {
            active: 2_000,
            per_minute: u32::MAX,
            ..Budgets::default().detection
        },
        ..Budgets::default()
    };
    let policy = AdmitPolicy {
        budgets,
        ..AdmitPolicy::default()
    };
    let mut book = Book::new(bounds);
    let by_hand = proposed("203.0.113.9", Origin::Operator);
    let decision = admit(&by_hand, DecisionId(u128::MAX), &policy, &book, at(0)).unwrap();
    book.apply(&entry(1, 1, 0, Op::Add { decision }));
    let mut refused = 0;
    for number in 0..1_000_000_u32 {
        let source = Ipv4Addr::from_bits(0x0b00_0000 + number);
        let proposal = book::Proposed {
            value: source.to_string(),
            ..proposed("203.0.113.1", Origin::Detection)
        };
        let id = DecisionId(u128::from(number) + 1);
        match admit(
            &proposal,
            id,
            &policy,
            &book,
            at(i64::from(number) / 10_000),
        ) {
            Ok(decision) => {
                book.apply(&entry(1, u64::from(number) + 2, 0, Op::Add { decision }));
            }
            Err(Refused::TooMany { .. }) => refused += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!((book.len(), refused), (2_001, 998_000));
    assert!(
        book.decision(DecisionId(u128::MAX)).is_some(),
        "DENY: the person's word was lost"
    );
}

#[test]
fn a_log_larger_than_the_book_keeps_what_lasts_longest_in_any_order() {
    let log: Vec<_> = (1..=300_u64)
        .map(|seq| {
            let value = IpAddr::V4(Ipv4Addr::from_bits(0x0b00_0000 + seq as u32)).to_string();
            let until = i64::try_from(seq * 7919 % 301).unwrap() + 10;
            let decision = decision(seq.into(), &value, Kind::Ban, 0, until);
            entry(1, seq, 0, Op::Add { decision })
        })
        .collect();
    let held = |entries: &mut dyn Iterator<Item = &book::Entry>| {
        let mut book = Book::new(Bounds {
            decisions: 100,
            ..Bounds::default()
        });
        let mut view = View::default();
        for entry in entries {
            view = view.with(&book.apply(entry).changes);
        }
        assert_eq!((book.len(), book.counters().decisions_evicted), (100, 200));
        let ids: Vec<_> = book.active(at(0)).map(Held::id).collect();
        let barred = (1..=300_u32).filter(|seq| {
            let address = IpAddr::V4(Ipv4Addr::from_bits(0x0b00_0000 + seq));
            view.standing(address, at(0)) != Standing::Stranger
        });
        assert_eq!(barred.count(), 100, "the view forgets what the book forgot");
        ids
    };
    assert_eq!(held(&mut log.iter()), held(&mut log.iter().rev()));
}

#[test]
fn tombstones_pasts_and_nodes_are_bounded() {
    let bounds = Bounds {
        tombstones: 50,
        sources: 50,
        nodes: 3,
        allow_items: 5,
        ..Bounds::default()
    };
    let mut book = Book::new(bounds);
    for seq in 1..=500_u64 {
        let ids = vec![DecisionId(u128::from(seq) << 64)];
        let by = Origin::Operator;
        book.apply(&entry(
            1,
            seq,
            0,
            Op::Remove {
                ids,
                by,
                why: String::new(),
            },
        ));
        let value = IpAddr::V4(Ipv4Addr::from_bits(0x0b00_0000 + seq as u32)).to_string();
        let seconds = i64::try_from(seq).unwrap();
        let decision = decision(seq.into(), &value, Kind::Ban, seconds, 10_000);
        book.apply(&entry(2, seq, 0, Op::Add { decision }));
        let item = AllowItem {
            id: AllowId(seq.into()),
            list: String::new(),
            subject: AllowSubject::Range(Cidr::host([198, 51, 100, (seq % 250) as u8].into())),
            why: String::new(),
            by: Origin::Operator,
            created: at(0),
            until: Timestamp::MAX,
        };
        book.apply(&entry(seq + 2, 1, 0, Op::AllowlistAdd { item }));
    }
    assert_eq!(
        book.counters().entries_ignored,
        499,
        "entries of nodes beyond the third"
    );
    assert!(book.allow_items(at(0)).count() <= 5);
    let remembered = (1..=500_u32)
        .filter(|seq| {
            let source = Cidr::host(IpAddr::V4(Ipv4Addr::from_bits(0x0b00_0000 + seq)));
            !book.past(source).is_empty()
        })
        .count();
    assert_eq!(remembered, 50);
}

#[test]
fn an_allowlist_entry_lifts_a_ban_that_stands() {
    let mut book = Book::default();
    let mut view = View::default();
    let ban = decision(1, "203.0.113.9", Kind::Ban, 0, 1_000);
    view = view.with(
        &book
            .apply(&entry(1, 1, 0, Op::Add { decision: ban }))
            .changes,
    );
    let nine: IpAddr = [203, 0, 113, 9].into();
    assert!(matches!(view.standing(nine, at(1)), Standing::Held(_)));
    let subject = AllowSubject::parse("203.0.113.0/28").unwrap();
    let item = AllowItem {
        id: AllowId(1),
        list: "office".to_owned(),
        subject: subject.clone(),
        why: String::new(),
        by: Origin::Operator,
        created: at(1),
        until: at(500),
    };
    view = view.with(
        &book
            .apply(&entry(1, 2, 1, Op::AllowlistAdd { item }))
            .changes,
    );
    assert_eq!(view.standing(nine, at(2)), Standing::Allowed, "at once");
    assert!(
        matches!(view.standing(nine, at(500)), Standing::Held(_)),
        "for as long as it lasts"
    );
    assert_eq!(book.voided_by(&subject, at(2)), [DecisionId(1)]);
    let again = admit(
        &proposed("203.0.113.9", Origin::Detection),
        DecisionId(2),
        &AdmitPolicy::default(),
        &book,
        at(2),
    );
    assert!(
        matches!(again, Err(Refused::Allowlisted { .. })),
        "DENY: barred again"
    );
}
