use core::time::Duration;
use std::sync::Arc;

use gate::{Facts, Gate, Mode, Naming, Question, Settings, SitePolicy, Tools, Verdict};
use vocab::{ClientAddr, DecisionId, RefusedBy, Timestamp};

use crate::{
    ALLOWED, BANNED, CAPTCHA, CHALLENGED, OBSERVED, STRANGER, THROTTLED, at, facts, gate, rate,
    settings,
};

const SQLMAP: &[u8] = b"sqlmap/1.7";

fn site(mode: Mode) -> SitePolicy {
    SitePolicy {
        mode,
        ..SitePolicy::new(1, at(500))
    }
}

/// A verdict in a line: `pass`, `pass observing a b`, or status, rule and what else it says.
fn told(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Pass { observed } if observed.is_empty() => "pass".to_owned(),
        Verdict::Pass { observed } => {
            let rules: Vec<_> = observed.iter().map(|(rule, _)| rule.as_str()).collect();
            format!("pass observing {}", rules.join(" "))
        }
        Verdict::Refuse(refusal) => {
            let close = if refusal.close { " close" } else { "" };
            format!("{} {}{close}", refusal.status, refusal.rule)
        }
    }
}

fn judge_many(gate: &Gate, facts: &Facts<'_>, now: Timestamp, times: usize) -> String {
    let mut last = String::new();
    for _ in 0..times {
        last = told(&gate.judge(facts, now));
    }
    last
}

/// One request of each sort, by default without anything peculiar.
type Shape = fn(&mut Facts<'_>);

const SHAPES: [(&str, Shape); 9] = [
    ("plain", |_| {}),
    ("tool", |facts| facts.user_agent = SQLMAP),
    ("trace", |facts| facts.method = b"TRACE"),
    ("connect", |facts| facts.method = b"CONNECT"),
    ("lower case", |facts| facts.method = b"get"),
    ("long method", |facts| {
        facts.method = b"AAAAAAAAAAAAAAAAAAAAAAAAA";
    }),
    ("path", |facts| facts.ambiguous_path = true),
    ("headers", |facts| facts.header_count = 101),
    ("tool and trace", |facts| {
        facts.user_agent = SQLMAP;
        facts.method = b"TRACE";
    }),
];

#[test]
fn each_standing_and_shape_ends_where_the_chain_says() {
    let rules = [
        "pass",
        "403 tool.sqlmap close",
        "405 protocol.trace close",
        "405 protocol.connect close",
        "501 protocol.method close",
        "501 protocol.method close",
        "400 protocol.path close",
        "431 protocol.headers close",
        "403 tool.sqlmap close",
    ];
    for (client, first) in [
        (STRANGER, None),
        (CAPTCHA, None),
        (THROTTLED, None),
        (CHALLENGED, None),
        (BANNED, Some("403 book.ban close")), // DENY, whatever it asks for
        (ALLOWED, Some("pass")),              // spared every rule
    ] {
        for ((shape, change), rule) in SHAPES.into_iter().zip(rules) {
            let (_, gate) = gate(settings());
            let site = site(Mode::Default);
            let mut facts = facts(&site, client);
            change(&mut facts);
            let want = first.unwrap_or(rule);
            assert_eq!(told(&gate.judge(&facts, at(0))), want, "{client} {shape}");
        }
    }
    let (_, gate) = gate(settings());
    let site = site(Mode::Default);
    let said = told(&gate.judge(&facts(&site, OBSERVED), at(0)));
    assert_eq!(said, "pass observing book.observe");
}

#[test]
fn an_observing_site_refuses_nothing_and_tells_everything() {
    let (_, gate) = gate(settings());
    let site = site(Mode::Observe);
    for (client, user_agent, method, times, want) in [
        (BANNED, &b""[..], &b"GET"[..], 1, "pass observing book.ban"),
        (
            BANNED,
            SQLMAP,
            b"TRACE",
            1,
            "pass observing book.ban tool.sqlmap protocol.trace",
        ),
        (THROTTLED, b"", b"GET", 3, "pass observing book.throttle"),
        (STRANGER, b"", b"GET", 11, "pass observing limit.requests"),
        (
            BANNED,
            SQLMAP,
            b"TRACE",
            20,
            "pass observing book.ban limit.requests tool.sqlmap protocol.trace",
        ),
    ] {
        let facts = Facts {
            user_agent,
            method,
            ..facts(&site, client)
        };
        assert_eq!(judge_many(&gate, &facts, at(0), times), want);
    }
    assert_eq!(
        gate.bars(&site, ClientAddr::new(BANNED.parse().unwrap()), at(0)),
        None
    );
    assert_eq!(gate.counters().refused_by_book, 0);
}

#[test]
fn volume_is_observed_at_first_and_enforced_later_or_when_asked() {
    for (mode, seconds, session, want) in [
        (Mode::Default, 499, false, "pass observing limit.requests"),
        (Mode::Default, 500, false, "429 limit.requests"), // DENY
        (Mode::Enforce, 0, false, "429 limit.requests"),   // DENY
        (Mode::Enforce, 0, true, "pass"),                  // sessions have more
    ] {
        let (_, gate) = gate(settings());
        let site = site(mode);
        let facts = Facts {
            session,
            ..facts(&site, STRANGER)
        };
        assert_eq!(judge_many(&gate, &facts, at(seconds), 10), "pass");
        assert_eq!(
            told(&gate.judge(&facts, at(seconds))),
            want,
            "{mode:?} {seconds}"
        );
    }
}

#[test]
fn a_session_has_ten_times_the_rate_beside_what_strangers_there_have() {
    let (_, gate) = gate(settings());
    let site = site(Mode::Enforce);
    let session = Facts {
        session: true,
        ..facts(&site, STRANGER)
    };
    assert_eq!(judge_many(&gate, &session, at(0), 100), "pass");
    assert_eq!(
        judge_many(&gate, &session, at(0), 1),
        "429 limit.requests",
        "DENY a flood by whoever is logged in"
    );
    let stranger = facts(&site, STRANGER);
    assert_eq!(judge_many(&gate, &stranger, at(0), 10), "pass");
    let tool = Facts {
        user_agent: b"sqlmap/1.8",
        ..session
    };
    assert_eq!(
        judge_many(&gate, &tool, at(100), 1),
        "403 tool.sqlmap close",
        "DENY attack tools, logged in or not"
    );
    let banned = Facts {
        session: true,
        ..facts(&site, BANNED)
    };
    assert_eq!(
        judge_many(&gate, &banned, at(100), 1),
        "403 book.ban close",
        "DENY"
    );
}

#[test]
fn a_throttled_source_is_served_slowly_and_told_when_to_come_back() {
    let (_, gate) = gate(settings());
    let site = site(Mode::Default);
    for (client, rule) in [
        (THROTTLED, "429 book.throttle"),
        (CHALLENGED, "429 book.challenge"),
    ] {
        let facts = facts(&site, client);
        assert_eq!(judge_many(&gate, &facts, at(0), 2), "pass");
        let verdict = gate.judge(&facts, at(0));
        assert_eq!(told(&verdict), rule, "DENY");
        let refusal = verdict.refusal().unwrap();
        assert_eq!(refusal.retry_after, Some(Duration::from_secs(1)));
        assert_eq!(refusal.by, RefusedBy::Book);
        assert!(refusal.decision.is_some());
        assert_eq!(told(&gate.judge(&facts, at(1))), "pass");
    }
}

#[test]
fn a_site_may_set_its_own_rate_and_does_not_share_it() {
    let (_, gate) = gate(settings());
    let one = SitePolicy {
        requests: Some(rate(1, 1, 1)),
        ..site(Mode::Enforce)
    };
    let two = SitePolicy {
        number: 2,
        ..site(Mode::Enforce)
    };
    assert_eq!(judge_many(&gate, &facts(&one, STRANGER), at(0), 1), "pass");
    assert_eq!(
        judge_many(&gate, &facts(&one, STRANGER), at(0), 1),
        "429 limit.requests",
        "DENY"
    );
    assert_eq!(judge_many(&gate, &facts(&two, STRANGER), at(0), 10), "pass");
    assert_eq!(
        judge_many(&gate, &facts(&two, STRANGER), at(0), 1),
        "429 limit.requests",
        "DENY"
    );
}

#[test]
fn a_pause_lets_everything_through_for_as_long_as_it_lasts() {
    let (_, gate) = gate(settings());
    let site = site(Mode::Enforce);
    let facts = Facts {
        user_agent: SQLMAP,
        method: b"TRACE",
        ..facts(&site, BANNED)
    };
    let client = ClientAddr::new(BANNED.parse().unwrap());
    gate.pause(at(60));
    assert_eq!(judge_many(&gate, &facts, at(59), 100), "pass");
    assert_eq!(gate.bars(&site, client, at(59)), None);
    assert_eq!(
        told(&gate.judge(&facts, at(60))),
        "403 book.ban close",
        "DENY: the pause is over"
    );
    gate.pause(Timestamp::MAX);
    assert_eq!(told(&gate.judge(&facts, at(60))), "pass");
    gate.resume();
    assert_eq!(
        told(&gate.judge(&facts, at(60))),
        "403 book.ban close",
        "DENY: resumed"
    );
    assert_eq!(gate.bars(&site, client, at(60)), Some(DecisionId(2)));
    assert_eq!(gate.counters().refused_by_book, 2);
}

#[test]
fn a_decision_holds_from_the_next_request_on_and_ends_by_itself() {
    let (book, gate) = gate(settings());
    let site = site(Mode::Default);
    let facts = facts(&site, STRANGER);
    assert_eq!(told(&gate.judge(&facts, at(0))), "pass");
    let range = STRANGER.parse().unwrap();
    let (force, until) = (book::Force::Ban, at(10));
    book.publish(&[book::Change::Bar {
        range,
        id: 99,
        force,
        until,
    }]);
    let verdict = gate.judge(&facts, at(0));
    assert_eq!(told(&verdict), "403 book.ban close", "DENY");
    assert_eq!(verdict.refusal().unwrap().decision, Some(DecisionId(99)));
    assert_eq!(
        told(&gate.judge(&facts, at(9))),
        "403 book.ban close",
        "DENY"
    );
    assert_eq!(told(&gate.judge(&facts, at(10))), "pass");
    book.publish(&[book::Change::Lift { range, id: 99 }]);
    assert_eq!(told(&gate.judge(&facts, at(0))), "pass");
}

#[test]
fn a_trusted_proxys_connection_is_never_closed_for_a_clients_sake() {
    let (_, gate) = gate(settings());
    let site = site(Mode::Default);
    for (client, user_agent, want) in [
        (BANNED, &b""[..], "403 book.ban"),
        (STRANGER, SQLMAP, "403 tool.sqlmap"),
    ] {
        let facts = Facts {
            peer_is_proxy: true,
            user_agent,
            ..facts(&site, client)
        };
        assert_eq!(
            told(&gate.judge(&facts, at(0))),
            want,
            "DENY, but not close"
        );
    }
}

#[test]
fn the_operators_own_scans_are_only_observed_unless_the_demo_says_otherwise() {
    for (spare, client, want) in [
        (true, "192.168.1.9", "pass observing tool.sqlmap"),
        (true, "127.0.0.1", "pass observing tool.sqlmap"),
        (true, "fd00::1", "pass observing tool.sqlmap"),
        (true, STRANGER, "403 tool.sqlmap close"), // DENY
        (false, "127.0.0.9", "403 tool.sqlmap close"), // DENY
    ] {
        let (_, gate) = gate(Settings {
            local_tools_observed: spare,
            ..settings()
        });
        let site = site(Mode::Default);
        let facts = Facts {
            user_agent: SQLMAP,
            ..facts(&site, client)
        };
        assert_eq!(told(&gate.judge(&facts, at(0))), want, "{client}");
    }
}

#[test]
fn neighbours_in_one_ipv6_network_share_a_rate() {
    let (_, gate) = gate(settings());
    let site = site(Mode::Enforce);
    for last in 1..=10 {
        let client = format!("2001:db8::{last}");
        assert_eq!(told(&gate.judge(&facts(&site, &client), at(0))), "pass");
    }
    let judged = |client| told(&gate.judge(&facts(&site, client), at(0)));
    assert_eq!(
        judged("2001:db8::ffff"),
        "429 limit.requests",
        "DENY: one subscriber"
    );
    assert_eq!(judged("2001:db8:0:1::1"), "pass");
}

#[test]
fn ordinary_methods_pass() {
    let (_, gate) = gate(Settings {
        requests: None,
        ..settings()
    });
    let site = site(Mode::Enforce);
    for method in [
        "GET",
        "HEAD",
        "POST",
        "PUT",
        "DELETE",
        "OPTIONS",
        "PATCH",
        "PROPFIND",
        "MKCALENDAR",
        "VERSION-CONTROL",
        "UPDATEREDIRECTREF",
        "M-SEARCH",
        "PURGE",
    ] {
        let facts = Facts {
            method: method.as_bytes(),
            ..facts(&site, STRANGER)
        };
        assert_eq!(told(&gate.judge(&facts, at(0))), "pass", "{method}");
    }
    for method in ["", "G\u{e9}T", "GET\0", "GE T", "Get", "1"] {
        let facts = Facts {
            method: method.as_bytes(),
            ..facts(&site, STRANGER)
        };
        assert_eq!(
            told(&gate.judge(&facts, at(0))),
            "501 protocol.method close",
            "DENY {method:?}"
        );
    }
}

#[test]
fn replaced_settings_hold_from_the_next_request_on() {
    let (_, gate) = gate(settings());
    let site = site(Mode::Enforce);
    let facts = Facts {
        user_agent: b"newtool/1",
        ..facts(&site, STRANGER)
    };
    assert_eq!(told(&gate.judge(&facts, at(0))), "pass");
    let tools = Arc::new(Tools::parse("newtool").unwrap());
    gate.replace(Settings {
        tools,
        ..settings()
    });
    assert_eq!(
        told(&gate.judge(&facts, at(0))),
        "403 tool.newtool close",
        "DENY"
    );
}

#[test]
fn a_foreign_exploit_is_refused_by_itself_and_not_for_whom_is_allowed() {
    for (client, mode, want) in [
        (STRANGER, Mode::Default, "403 foreign.exploit"), // DENY
        (STRANGER, Mode::Enforce, "403 foreign.exploit"), // DENY
        (STRANGER, Mode::Observe, "pass observing foreign.exploit"),
        (ALLOWED, Mode::Enforce, "pass"),
        (BANNED, Mode::Enforce, "403 book.ban"), // DENY, by its own name
    ] {
        let (_, gate) = gate(settings());
        let site = site(mode);
        let facts = Facts {
            foreign_exploit: Question(&|| true),
            ..facts(&site, client)
        };
        let said = told(&gate.judge(&facts, at(0)));
        assert!(said.starts_with(want), "{client} {mode:?}: {said}");
        gate.pause(Timestamp::MAX);
        assert_eq!(told(&gate.judge(&facts, at(0))), "pass", "paused");
    }
}

#[test]
fn a_costly_question_is_asked_only_of_what_every_cheaper_link_let_through() {
    let limited = Settings {
        requests: Some(rate(1, 60, 1)),
        ..settings()
    };
    let (_, gate) = gate(limited);
    let site = site(Mode::Enforce);
    let asked = core::cell::Cell::new(0);
    let ask = || {
        asked.set(asked.get() + 1);
        true
    };
    let ask = Question(&ask);
    let asked_of = |client, user_agent| {
        let facts = Facts {
            foreign_exploit: ask,
            user_agent,
            ..facts(&site, client)
        };
        let before = asked.get();
        let said = told(&gate.judge(&facts, at(0)));
        (said, asked.get() - before)
    };
    let browser: &[u8] = b"Mozilla/5.0";
    for (client, agent, want, times) in [
        (STRANGER, browser, "403 foreign.exploit", 1), // DENY
        (STRANGER, browser, "429 limit.requests", 0),  // DENY
        (BANNED, browser, "403 book.ban", 0),          // DENY
        (ALLOWED, browser, "pass", 0),
        ("203.0.113.77", b"sqlmap/1.8", "403 tool.", 0), // DENY
    ] {
        let (said, asked) = asked_of(client, agent);
        assert!(said.starts_with(want), "{client}: {said}");
        assert_eq!(asked, times, "{client}: {said}");
    }
}

#[test]
fn whom_a_trusted_proxy_did_not_name_is_judged_and_never_barred() {
    const TOOL: &[u8] = b"sqlmap/1";
    for naming in [Naming::Silent, Naming::Disputed] {
        let (_, gate) = gate(settings());
        let site = site(Mode::Enforce);
        let unnamed = Facts {
            naming,
            peer_is_proxy: true,
            session: true,
            ..facts(&site, ALLOWED)
        };
        for (facts, want) in [
            (unnamed, "pass"),
            (
                Facts {
                    user_agent: TOOL,
                    ..unnamed
                },
                "403 tool.sqlmap", // DENY
            ),
            (
                Facts {
                    ambiguous_path: true,
                    ..unnamed
                },
                "400 protocol.path", // DENY
            ),
            (
                Facts {
                    user_agent: TOOL,
                    client: facts(&site, "10.0.0.1").client,
                    ..unnamed
                },
                "403 tool.sqlmap", // DENY: the proxy is local, the stranger is not
            ),
            (
                Facts {
                    user_agent: TOOL,
                    naming: Naming::Known,
                    ..unnamed
                },
                "pass",
            ),
        ] {
            let said = told(&gate.judge(&facts, at(0)));
            assert!(said.starts_with(want), "{naming:?}: {said}");
        }
        assert!(gate.bars(&site, unnamed.client, at(0)).is_none());
    }
}

#[test]
fn strangers_who_see_to_it_that_nobody_is_named_have_one_rate_and_health_checks_their_own() {
    let (_, gate) = gate(settings());
    let site = site(Mode::Enforce);
    let by = |naming| Facts {
        naming,
        peer_is_proxy: true,
        ..facts(&site, ALLOWED)
    };
    let passed = |naming, count: usize| {
        let passes = |_: &usize| told(&gate.judge(&by(naming), at(0))) == "pass";
        (0..count).filter(passes).count()
    };
    assert_eq!(passed(Naming::Disputed, 500), 10, "DENY");
    assert_eq!(passed(Naming::Silent, 50), 50, "health checks go on");
    assert_eq!(passed(Naming::Silent, 500), 50, "DENY a flood");
    assert_eq!(passed(Naming::Known, 500), 500, "it is allowed by name");
}

#[test]
fn a_throttle_leaves_whoever_got_in_to_read_and_slows_down_what_guesses() {
    for (client, session, method, want) in [
        (THROTTLED, true, &b"GET"[..], "pass"),
        (THROTTLED, false, b"GET", "429 book.throttle"), // DENY
        (THROTTLED, true, b"POST", "429 book.throttle"), // DENY: guesses with a session of one's own
        (CHALLENGED, true, b"GET", "429 book.challenge"), // DENY
        (BANNED, true, b"GET", "403 book.ban close"),    // DENY
    ] {
        let (_, gate) = gate(settings());
        let site = site(Mode::Enforce);
        let facts = Facts {
            session,
            method,
            ..facts(&site, client)
        };
        assert_eq!(
            judge_many(&gate, &facts, at(0), 8),
            want,
            "{client} {session}"
        );
    }
}

#[test]
fn only_who_stands_on_the_never_ban_list_is_allowed() {
    let (_, gate) = gate(settings());
    for (client, allowed) in [
        (ALLOWED, true),
        (STRANGER, false),
        (BANNED, false),
        (OBSERVED, false),
        (THROTTLED, false),
        (CHALLENGED, false),
    ] {
        let client = ClientAddr::new(client.parse().unwrap());
        assert_eq!(gate.is_allowed(client, at(0)), allowed, "{client}");
    }
    // A pause enforces nothing and allows nobody for good.
    gate.pause(Timestamp::MAX);
    let stranger = ClientAddr::new(STRANGER.parse().unwrap());
    assert!(!gate.is_allowed(stranger, at(0)));
}
