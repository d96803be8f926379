//! Every way to be taken for a session without having one.

use super::*;

#[test]
fn nobody_gets_in_without_being_let_in() {
    let page = visit();
    let others = ["192.0.2.1", "192.0.2.2"];
    let hears = |status| others.map(|client| page.by(client).hears(status)).to_vec();
    let denied = || denied_to_two(page);
    let sent = |target, location| {
        let by = |client| page.by(client).to(target).sent_to(location);
        others.map(by).to_vec()
    };
    let bent = Visit {
        is_plain: false,
        ..page
    };
    let mut without_tls = page;
    without_tls.answered.is_tls = false;
    let json = page.accepting("application/json");
    let both = page.accepting("text/html,application/json");
    let weighed = page.accepting("text/html;q=0.1,text/plain");
    let open = vec![page.with("lang=en")];
    let moment = [denied(), open.clone(), denied()].concat();
    let alone = vec![page.by(EVE).hears(401); 9];
    let referred = {
        let back = "https://app.example.org/login-x";
        others.map(|client| page.by(client).referred(back).sent_to(back))
    };
    // what others are answered, and what Eve gets with a credential that she made up
    for (what, others, proof) in [
        ("a page that denies nobody", vec![], page),
        ("denied once only", vec![page.hears(401)], page),
        ("denied to one client again and again", alone, page),
        ("403, which a client may bring about", hears(403), page),
        ("429", hears(429), page),
        ("503, maintenance", hears(503), page),
        ("404", hears(404), page),
        ("a POST denied", denied_to_two(page.method("POST")), page),
        ("a POST given", denied(), page.method("POST")),
        ("a HEAD given", denied(), page.method("HEAD")),
        ("another query", denied(), page.to("/admin?page=public")),
        ("another spelling", denied(), page.to("/admin/")),
        ("another host", denied(), page.on("made-up.example")),
        ("plain HTTP denied", denied_to_two(without_tls), page),
        ("JSON denied", denied_to_two(json), page),
        ("JSON given", denied(), json),
        ("a page beside JSON denied", denied_to_two(both), page),
        ("a page weighed low denied", denied_to_two(weighed), page),
        ("given by a header that bends it", denied(), bent),
        (
            "denied by a header that bends it",
            denied_to_two(bent),
            page,
        ),
        ("206", denied(), page.hears(206)),
        ("204", denied(), page.hears(204)),
        ("304", denied(), page.hears(304)),
        ("404 given", denied(), page.hears(404)),
        ("open to everybody since", [denied(), open].concat(), page),
        ("open for a moment, and denied again", moment, page),
        (
            "sent to what the client wrote",
            sent("/x?login", "/x/?login"),
            page.to("/x?login"),
        ),
        (
            "the same, encoded",
            sent("/x?%6cogin", "/x/?login"),
            page.to("/x?%6cogin"),
        ),
        ("sent where the client came from", referred.to_vec(), page),
        (
            "sent to what is no login",
            sent("/x", "/blogindex?author=1"),
            page.to("/x"),
        ),
        (
            "moved for good",
            sent("/x", "/login").iter().map(|v| v.hears(301)).collect(),
            page.to("/x"),
        ),
    ] {
        for eve in [
            proof.by(EVE).with("sid=made-up-by-eve-0123456789"),
            proof.by(EVE).authorized("Bearer made-up-by-eve"),
        ] {
            let sessions = after(&others);
            assert_eq!(eve.go(&sessions), (false, false), "DENY {what}");
            assert!(!eve.is_exempt(&sessions), "DENY {what}");
        }
    }
}

#[test]
fn short_values_are_guessed_and_never_count() {
    let sessions = after(&denied_to_two(visit()));
    for cookie in [
        "lang=en",
        "id=123456789012345",
        "a-very-long-name-of-a-cookie=short",
        "no-value-at-all-but-long-enough",
        "=;;;=",
    ] {
        let eve = visit().by(EVE).with(cookie);
        assert_eq!(eve.go(&sessions), (false, false), "DENY {cookie}");
        assert!(!eve.is_exempt(&sessions), "DENY {cookie}");
    }
}

#[test]
fn a_session_that_is_denied_is_none_any_more() {
    let ann = visit().with(SESSION);
    let login = "/wp-login.php?redirect_to=x";
    for denied in [ann.to("/any").hears(401), ann.to("/any").sent_to(login)] {
        let sessions = logged_in();
        assert_eq!(denied.go(&sessions), (true, false), "DENY");
        assert!(!ann.is_exempt(&sessions), "DENY");
        ann.go(&sessions);
        assert!(!ann.is_exempt(&sessions), "DENY: void for a day");
        assert_eq!(sessions.counters().voided, 1);
    }
    for (what, visit) in [
        ("without the right to it", ann.hears(403)),
        ("a password typed wrong", ann.method("POST").hears(401)),
        ("sent elsewhere", ann.sent_to("/authors/1")),
    ] {
        let sessions = logged_in();
        visit.go(&sessions);
        assert!(ann.is_exempt(&sessions), "{what}");
    }
}

#[test]
fn what_visitors_carry_to_the_login_page_is_no_session() {
    let sessions = after(&denied_to_two(visit()));
    let consent = visit().with("consent=necessary-and-nothing-else");
    consent.sent_to("/login").go(&sessions);
    let ann = visit().with("consent=necessary-and-nothing-else; sid=0123456789abcdef0123");
    ann.go(&sessions);
    assert!(ann.is_exempt(&sessions));
    // from the same address: an office
    assert!(!consent.is_exempt(&sessions), "DENY");
}

#[test]
fn a_swarm_with_one_session_is_no_session() {
    let sessions = after(&denied_to_two(visit()));
    let swarm: Vec<_> = (1..=40)
        .map(|n| {
            let own = format!("own={n:032}");
            (format!("198.51.100.{n}"), format!("{own}; {SESSION}"), own)
        })
        .collect();
    let (first, rest) = swarm.split_at(4);
    for (address, both, _) in first {
        let one = visit().by(address).with(both);
        one.go(&sessions);
        assert!(one.is_exempt(&sessions), "phone, desk, train and home");
    }
    for minute in [1, 50, 100, 150] {
        for (address, both, own) in rest {
            let one = visit().by(address).with(both).at(minute);
            one.go(&sessions);
            assert!(!one.is_exempt(&sessions), "DENY {address}");
            let made_up = one.with(own);
            assert!(!made_up.is_exempt(&sessions), "DENY beside it, {address}");
        }
        for (address, ..) in first {
            let one = visit().by(address).with(SESSION).at(minute);
            assert!(!one.is_exempt(&sessions), "DENY the first ones, too");
        }
    }
    assert_eq!(sessions.counters().shared, 1);
    let (address, ..) = &first[0];
    let later = visit().by(address).with(SESSION).at(211);
    assert!(later.is_exempt(&sessions), "an hour without the others");
}

/// Made-up cookies of one bot, and the one session that all have.
fn disguised(bot: u32, made_up: u32) -> (String, String, String) {
    let own: Vec<String> = (0..made_up).map(|n| format!("own{n}={bot:032}")).collect();
    let own = own.join("; ");
    (
        format!("198.51.100.{bot}"),
        format!("{own}; {SESSION}"),
        own,
    )
}

/// How many of 100 bots are taken for sessions by what they made up.
fn exempt_bots(sessions: &Sessions, made_up: u32) -> usize {
    let bots: Vec<_> = (1..=100).map(|bot| disguised(bot, made_up)).collect();
    for (address, both, _) in &bots {
        visit().by(address).with(both).go(sessions);
    }
    let is_in = |(address, both, own): &&(String, String, String)| {
        let bot = visit().by(address);
        bot.with(own).is_exempt(sessions) || bot.with(both).is_exempt(sessions)
    };
    bots.iter().filter(is_in).count()
}

#[test]
fn a_session_behind_made_up_cookies_brings_in_no_swarm() {
    for made_up in [1, 3, 15, 16, 17, 40] {
        let sessions = after(&denied_to_two(visit()));
        let most = if made_up > 15 { 0 } else { 4 };
        let found = exempt_bots(&sessions, made_up);
        assert_eq!(found, most, "DENY beside {made_up} made-up cookies");
    }
}

#[test]
fn a_session_that_was_made_void_brings_in_no_swarm_either() {
    let sessions = after(&denied_to_two(visit()));
    // Denied where its rights end, it opens the page all the same.
    visit().with(SESSION).to("/others").hears(401).go(&sessions);
    let found = exempt_bots(&sessions, 1);
    assert!(found <= 64, "DENY {found}");
    // What everybody carries, and keeps when logged in, is no harm to an office.
    let sessions = after(&denied_to_two(visit()));
    let everybodys = "test_cookie=one value for all of them";
    visit().with(everybodys).sent_to("/login").go(&sessions);
    for n in 1..=30 {
        let (address, own) = (
            format!("203.0.113.{n}"),
            format!("sid={n:032}; {everybodys}"),
        );
        let one = visit().by(&address).with(&own);
        one.go(&sessions);
        assert!(one.is_exempt(&sessions), "{n}");
    }
}
