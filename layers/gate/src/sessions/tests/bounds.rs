//! What the exemption is worth at most, and what strangers can do to the tables.

use super::*;

#[test]
fn failing_answers_have_a_budget_whatever_is_carried() {
    let sessions = after(&denied_to_two(visit()));
    let mut spared = 0;
    for n in 0..2_000_u32 {
        // a new credential for every ten, each of them proven
        let cookie = format!("sid={:032}", n / 10);
        let eve = visit().by(EVE).with(&cookie).at(n / 200);
        if n % 10 == 0 {
            eve.go(&sessions);
        }
        spared += u32::from(eve.to("/gone").hears(404).go(&sessions).1);
    }
    assert!((200..=240).contains(&spared), "DENY {spared}");
    let cookie = format!("sid={:032}", 199);
    let found = visit().by(EVE).with(&cookie).at(10).go(&sessions);
    assert_eq!(found, (true, true), "what is there still counts as theirs");
    assert!(sessions.counters().over_budget > 1_000);
}

#[test]
fn one_client_cannot_push_out_what_others_proved() {
    let sessions = Sessions::with_room(1 << 10, 1 << 8);
    let ann = visit().with(SESSION);
    for visit in denied_to_two(visit()).iter().chain([&ann]) {
        visit.go(&sessions);
    }
    for n in 0..5_000_u32 {
        let cookies: Vec<String> = (0..16).map(|m| format!("c{m}={n:032}")).collect();
        let (cookie, target) = (cookies.join("; "), format!("/{n}"));
        let eve = visit().by(EVE).at(1);
        eve.with(&cookie).go(&sessions);
        eve.with(&cookie).to(&target).hears(401).go(&sessions);
        eve.to(&target).hears(401).go(&sessions);
    }
    assert!(ann.is_exempt(&sessions));
    assert!(sessions.counters().forgotten > 5_000);
    let again = ann.with("sid=another-one-of-anns-own");
    again.go(&sessions);
    assert!(again.is_exempt(&sessions), "the page is still known");
}

#[test]
fn what_a_stranger_is_given_by_bending_a_request_spoils_no_page() {
    let sessions = after(&denied_to_two(visit()));
    let bent = Visit {
        is_plain: false,
        ..visit().by(EVE)
    };
    bent.go(&sessions);
    let ann = visit().with(SESSION);
    ann.go(&sessions);
    assert!(ann.is_exempt(&sessions), "DENY: the page is spoilt");
    // a page that anybody gets is no proof, as ever
    visit().by(EVE).go(&sessions);
    let other = visit().with("sid=made-up-0123456789ab");
    other.go(&sessions);
    assert!(!other.is_exempt(&sessions), "DENY");
}

#[test]
fn what_a_neighbour_is_denied_costs_nobody_at_the_same_address_his_session() {
    let sessions = after(&denied_to_two(visit()));
    for n in 0..500_u32 {
        let (target, cookie) = (format!("/{n}"), format!("own={n:032}"));
        let neighbour = visit().to(&target).hears(401);
        neighbour.go(&sessions);
        neighbour.with(&cookie).go(&sessions);
    }
    assert!(sessions.counters().forgotten > 500);
    let ann = visit().with(SESSION);
    ann.go(&sessions);
    assert!(ann.is_exempt(&sessions), "DENY: the neighbour spent it all");
}

#[test]
fn a_full_table_forgets_the_oldest_and_counts_it() {
    let sessions = Sessions::with_room(64, 64);
    for visit in denied_to_two(visit()) {
        visit.go(&sessions);
    }
    let cookie = |n: u32| format!("sid={n:032}");
    for n in 0..500_u32 {
        let client = format!("203.0.{}.{}", n / 200, n % 200);
        visit()
            .by(&client)
            .with(&cookie(n))
            .at(n / 50)
            .go(&sessions);
    }
    assert!(sessions.counters().forgotten >= 400);
    let last = cookie(499);
    let newest = visit().by("203.0.2.99").with(&last).at(9);
    assert!(newest.is_exempt(&sessions));
}

#[test]
fn many_and_huge_cookies_are_bounded() {
    let sessions = after(&denied_to_two(visit()));
    let many: Vec<String> = (0..40).map(|n| format!("c{n}={n:032}")).collect();
    visit().with(&many[..16].join("; ")).go(&sessions);
    assert_eq!(sessions.counters().accepted, 16);
    visit().by(EVE).with(&many.join("; ")).go(&sessions);
    assert_eq!(sessions.counters().accepted, 16, "DENY");
    let huge = format!("big={}; {SESSION}", "x".repeat(70_000));
    let ann = visit().with(&huge);
    ann.go(&sessions);
    assert!(!ann.is_exempt(&sessions), "not looked at");
}

#[test]
fn the_table_survives_a_clock_that_jumps() {
    let last = (1 << 20) - 1;
    let table = Table::new(8);
    for (put, found, minutes, want) in [
        (100, 100, 0, true),
        (100, 160, 60, true),
        (100, 161, 60, false),
        (100, 50, 0, true), // back: as if it were now
        (last, 3, 4, true), // around the end of the circle
        (last, 4, 4, false),
    ] {
        table.put(7, 1, put, |_| 0);
        let is = table.find(7, found, minutes).is_some();
        assert_eq!(is, want, "{put} {found} {minutes}");
    }
    table.remove(7);
    assert!(table.find(7, 0, 1 << 19).is_none());
}
