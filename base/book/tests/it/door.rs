use core::time::Duration;

use book::{
    AdmitPolicy, AllowId, AllowItem, AllowSubject, Book, Bounds, Budget, Budgets, Op, Protected,
    Refused, Role, admit,
};
use vocab::{Cidr, DecisionId, Kind, Origin, Scope, Timestamp};

use crate::{at, entry, proposed};

const DETECTION: Origin = Origin::Detection;
const OPERATOR: Origin = Origin::Operator;

fn feed() -> Origin {
    Origin::Feed("list".to_owned())
}

fn agent() -> Origin {
    Origin::Agent("web1".to_owned())
}

fn policy() -> AdmitPolicy {
    let range = |text: &str| -> Cidr { text.parse().unwrap() };
    AdmitPolicy {
        protected: Protected::new([
            (range("198.51.100.1"), Role::Own),
            (range("198.51.100.2"), Role::Gateway),
            (range("198.51.100.3"), Role::Upstream),
            (range("198.51.101.0/28"), Role::TrustedProxy),
            (range("198.51.100.5"), Role::OperatorSession),
            (range("198.51.100.6"), Role::NeverBan),
            (range("2001:db8:1:1::1"), Role::Own),
        ]),
        ..AdmitPolicy::default()
    }
}

fn book() -> Book {
    let mut book = Book::new(Bounds::default());
    for (seq, subject) in [
        (1_u64, "192.0.2.7"),
        (2, "192.0.2.64/26"),
        (3, "home.example.org"),
    ] {
        let item = AllowItem {
            id: AllowId(seq.into()),
            list: "office".to_owned(),
            subject: AllowSubject::parse(subject).unwrap(),
            why: String::new(),
            by: Origin::Operator,
            created: at(0),
            until: at(10_000),
        };
        book.apply(&entry(1, seq, 0, Op::AllowlistAdd { item }));
    }
    let home = AllowSubject::parse("home.example.org").unwrap();
    book.update_resolution(&home, &["192.0.2.200".parse().unwrap()]);
    book
}

fn try_at(value: &str, origin: Origin, seconds: i64) -> Result<vocab::Decision, Refused> {
    admit(
        &proposed(value, origin),
        DecisionId(1),
        &policy(),
        &book(),
        at(seconds),
    )
}

fn check(value: &str, origin: &Origin, refused_as: &str) {
    let said = match try_at(value, origin.clone(), 1) {
        Ok(_) => "admit".to_owned(),
        Err(why) => {
            let sentence = why.to_string();
            assert!(
                sentence.ends_with('.') && sentence.len() > 20,
                "no sentence: {sentence}"
            );
            format!("{why:?}")
        }
    };
    assert!(
        said.starts_with(refused_as),
        "{value} by {origin}: {said}, want {refused_as}"
    );
}

#[test]
fn the_door_lets_in_strangers_and_nobody_who_must_never_be_barred() {
    for origin in [DETECTION, OPERATOR, feed(), agent()] {
        check("203.0.113.9", &origin, "admit");
        check("203.0.113.0/24", &origin, "admit");
        check("2001:db8:2::/48", &origin, "admit");
        // DENY: every role, for every origin, the operator's own word included
        for value in [
            "198.51.100.1",
            "198.51.100.2",
            "198.51.100.3",
            "198.51.101.14",
            "198.51.100.5",
            "198.51.100.6",
            "198.51.100.0/24",
            "::ffff:198.51.100.1",
            "2001:db8:1:1::1",
            "2001:db8:1:1::/64",
            "0.0.0.0/0",
            "::/0",
        ] {
            check(value, &origin, "Protected");
        }
        // DENY: allowlisted by address, by range, by name
        for value in ["192.0.2.7", "192.0.2.100", "192.0.2.64/27", "192.0.2.200"] {
            check(value, &origin, "Allowlisted");
        }
        // a range that is more than what is allowlisted: the allowlist holds at lookup
        check("192.0.2.0/24", &origin, "admit");
    }
}

#[test]
fn only_people_bar_wide_ranges_and_local_sources() {
    for origin in [DETECTION, feed(), agent()] {
        for value in [
            "203.0.112.0/23",
            "1.0.0.0/8",
            "2001:db9::/47",
            "2001:db9::/32",
        ] {
            check(value, &origin, "TooWide");
        }
        for value in [
            "127.0.0.2",
            "10.0.0.9",
            "192.168.1.0/24",
            "100.64.0.9",
            "fd00::9",
            "169.254.1.1",
            "::1",
        ] {
            check(value, &origin, "Local");
        }
    }
    for value in [
        "203.0.112.0/23",
        "1.0.0.0/8",
        "2001:db9::/32",
        "10.0.0.9",
        "127.0.0.2",
    ] {
        check(value, &OPERATOR, "admit");
    }
}

#[test]
fn the_demo_may_bar_loopback_addresses_but_its_own() {
    let policy = AdmitPolicy {
        protected: Protected::new([("127.0.0.1".parse().unwrap(), Role::NeverBan)]),
        local_alert_only: false,
        ..AdmitPolicy::default()
    };
    let book = Book::new(Bounds::default());
    let ask = |value| {
        admit(
            &proposed(value, DETECTION),
            DecisionId(1),
            &policy,
            &book,
            at(0),
        )
    };
    assert!(ask("127.0.0.2").is_ok());
    assert!(
        matches!(ask("127.0.0.1"), Err(Refused::Protected { .. })),
        "DENY"
    );
    assert!(
        matches!(ask("127.0.0.0/24"), Err(Refused::Protected { .. })),
        "DENY"
    );
}

#[test]
fn malformed_proposals_are_told_what_is_wrong() {
    let good = || proposed("203.0.113.9", OPERATOR);
    let named = |value: &str| book::Proposed {
        scope: Scope::Country,
        value: value.to_owned(),
        ..good()
    };
    for (what, bad) in [
        ("address", proposed("203.0.113", OPERATOR)),
        (
            "range as address",
            book::Proposed {
                value: "203.0.113.0/24".to_owned(),
                ..good()
            },
        ),
        ("range", proposed("203.0.113.0/99", OPERATOR)),
        ("no value", named("")),
        ("long value", named(&"x".repeat(257))),
        ("control characters", named("a\nb")),
        (
            "reason",
            book::Proposed {
                reason: "a\u{1b}[31m".to_owned(),
                ..good()
            },
        ),
        (
            "kind",
            book::Proposed {
                kind: Kind::Other(String::new()),
                ..good()
            },
        ),
        (
            "no time",
            book::Proposed {
                lasts: Duration::ZERO,
                ..good()
            },
        ),
    ] {
        let said = admit(&bad, DecisionId(1), &policy(), &book(), at(0));
        assert!(
            matches!(said, Err(Refused::Malformed(_))),
            "DENY {what}: {said:?}"
        );
    }
    assert!(admit(&named("KP"), DecisionId(1), &policy(), &book(), at(0)).is_ok());
    let long = book::Proposed {
        reason: "ä".repeat(2_000),
        ..good()
    };
    let admitted = admit(&long, DecisionId(1), &policy(), &book(), at(0)).unwrap();
    assert!(admitted.reason.len() <= 1_024 && admitted.reason.chars().all(|c| c == 'ä'));
}

#[test]
fn time_is_shortened_to_the_budget_and_for_ever_is_for_people() {
    let ask = |origin| {
        let ever = book::Proposed {
            lasts: Duration::MAX,
            ..proposed("203.0.113.9", origin)
        };
        admit(&ever, DecisionId(1), &policy(), &book(), at(0))
            .unwrap()
            .until
    };
    assert_eq!(ask(OPERATOR), Timestamp::MAX);
    assert_eq!(ask(DETECTION), at(30 * 86_400));
}

#[test]
fn what_is_covered_already_is_not_written_again() {
    let mut book = book();
    let covering = try_at("203.0.113.0/24", DETECTION, 1).unwrap();
    book.apply(&entry(1, 9, 1, Op::Add { decision: covering }));
    let ask = |proposed: &book::Proposed, seconds| {
        admit(proposed, DecisionId(2), &policy(), &book, at(seconds))
    };
    let again = proposed("203.0.113.9", DETECTION);
    assert!(
        matches!(ask(&again, 1), Err(Refused::AlreadyCovered { .. })),
        "DENY"
    );
    let weaker = book::Proposed {
        kind: Kind::Throttle,
        ..again.clone()
    };
    assert!(
        matches!(ask(&weaker, 1), Err(Refused::AlreadyCovered { .. })),
        "DENY"
    );
    assert!(ask(&again, 60).is_ok(), "a later end is news");
    assert!(
        ask(&proposed("203.0.113.9", OPERATOR), 1).is_ok(),
        "people are taken at their word"
    );
    assert!(ask(&proposed("203.0.114.9", DETECTION), 1).is_ok());
}

#[test]
fn decisions_about_one_source_do_not_pile_up_and_a_stronger_one_is_still_taken() {
    let mut book = book();
    let throttle = |address| book::Proposed {
        kind: Kind::Throttle,
        ..proposed(address, DETECTION)
    };
    let mut held = 0;
    for number in 0..200_u32 {
        // Each later, so that none is covered by those before.
        let seconds = 5 * i64::from(number);
        let time = at(seconds);
        let again = throttle("203.0.113.9");
        match admit(
            &again,
            DecisionId(100 + u128::from(number)),
            &policy(),
            &book,
            time,
        ) {
            Ok(decision) => {
                held += 1;
                let add = Op::Add { decision };
                book.apply(&entry(1, 10 + u64::from(number), seconds, add));
            }
            Err(why) => assert!(matches!(why, Refused::Stacked { held: 64, .. }), "{why}"),
        }
    }
    assert_eq!(held, 64);
    let ask =
        |proposed: &book::Proposed| admit(proposed, DecisionId(7), &policy(), &book, at(1_001));
    assert!(ask(&throttle("203.0.113.10")).is_ok(), "another's");
    assert!(ask(&proposed("203.0.113.9", DETECTION)).is_ok(), "a ban");
}

#[test]
fn budgets_are_kept_per_origin_by_the_minute_and_in_total() {
    let tight = Budget {
        per_minute: 3,
        active: 5,
        ..Budgets::default().feed
    };
    let policy = AdmitPolicy {
        budgets: Budgets {
            feed: tight,
            ..Budgets::default()
        },
        ..AdmitPolicy::default()
    };
    let mut book = Book::new(Bounds::default());
    let mut seq = 0;
    let mut ask = |book: &mut Book, origin: &Origin, seconds: i64| -> &'static str {
        seq += 1;
        let proposed = proposed(&format!("203.0.113.{seq}"), origin.clone());
        match admit(
            &proposed,
            DecisionId(seq.into()),
            &policy,
            book,
            at(seconds),
        ) {
            Ok(decision) => {
                book.apply(&entry(1, seq, seconds, Op::Add { decision }));
                "admit"
            }
            Err(Refused::TooFast { .. }) => "too fast",
            Err(Refused::TooMany { .. }) => "too many",
            Err(other) => panic!("{other}"),
        }
    };
    let (one, two) = (feed(), Origin::Feed("other".to_owned()));
    for (origin, seconds, want) in [
        (&one, 0, "admit"),
        (&one, 1, "admit"),
        (&one, 2, "admit"),
        (&one, 3, "too fast"), // DENY
        (&two, 3, "admit"),    // a budget of its own
        (&DETECTION, 3, "admit"),
        (&one, 60, "admit"),
        (&one, 61, "admit"),
        (&one, 62, "too many"),  // DENY
        (&one, 600, "too many"), // DENY
    ] {
        assert_eq!(
            ask(&mut book, origin, seconds),
            want,
            "{origin} at {seconds}"
        );
    }
    book.sweep(at(5 * 3_600), 100);
    assert_eq!(
        ask(&mut book, &one, 5 * 3_600),
        "admit",
        "what ended no longer counts"
    );
}

#[test]
fn a_full_book_says_so() {
    let mut book = Book::new(Bounds {
        decisions: 1,
        ..Bounds::default()
    });
    let decision = try_at("203.0.113.1", OPERATOR, 0).unwrap();
    book.apply(&entry(1, 1, 0, Op::Add { decision }));
    let said = admit(
        &proposed("203.0.113.2", OPERATOR),
        DecisionId(2),
        &policy(),
        &book,
        at(0),
    );
    assert_eq!(said, Err(Refused::Full(1)), "DENY");
}
