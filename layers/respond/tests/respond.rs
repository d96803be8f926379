//! From alerts to proposals: who is proposed for what, for how long, and why not more.

#[cfg(test)]
mod expressed;

use core::time::Duration;

use book::{AdmitPolicy, Book, Entry, EntryId, Force, NodeId, Op, Past, admit};
use respond::{
    Because, Escalation, Matcher, NoProposal, Profile, Profiles, Remedy, Volume, subject,
};
use vocab::{Alert, DecisionId, Kind, Scope, Source, Timestamp};

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_seconds(1_800_000_000).after(Duration::from_secs(seconds))
}

fn alert(value: &str) -> Alert {
    let scope = if value.contains('/') {
        Scope::Range
    } else {
        Scope::Ip
    };
    Alert {
        scenario: "crowdsecurity/http-probing".to_owned(),
        scenario_hash: String::new(),
        source: Source {
            scope,
            value: value.to_owned(),
            ip: value.parse().ok(),
            whereabouts: None,
        },
        events_count: 11,
        start_at: at(0),
        stop_at: at(9),
        events: Vec::new(),
        remediation: true,
        simulated: false,
        labels: vec![("behavior".to_owned(), "http:scan".to_owned())],
        context: Vec::new(),
        exempt: None,
    }
}

fn labelled(key: &str, value: &str) -> Alert {
    Alert {
        labels: vec![(key.to_owned(), value.to_owned())],
        ..alert("203.0.113.9")
    }
}

/// What comes of an alert by the default profiles, in a line.
fn told(alert: &Alert, volume: Volume) -> String {
    let outcome = Profiles::default().propose(alert, &[], volume, at(9));
    match (outcome.proposals.as_slice(), outcome.none) {
        ([], Some(why)) => why.to_string(),
        ([one], None) => {
            let decision = &one.decision;
            let hours = decision.lasts.as_secs() / HOUR;
            format!(
                "{} {} {} {hours}h",
                decision.kind, decision.scope, decision.value
            )
        }
        other => format!("{other:?}"),
    }
}

#[test]
fn the_default_profile_bars_strangers_for_four_hours_and_nobody_else() {
    let with = |change: fn(&mut Alert)| {
        let mut alert = alert("203.0.113.9");
        change(&mut alert);
        alert
    };
    for (alert, want) in [
        (alert("203.0.113.9"), "ban Ip 203.0.113.9 4h"),
        (alert("203.0.113.0/24"), "ban Range 203.0.113.0/24 4h"),
        (
            alert("2001:db8:1:2:3:4:5:6"),
            "ban Range 2001:db8:1:2::/64 4h",
        ),
        (alert("::ffff:203.0.113.9"), "ban Ip 203.0.113.9 4h"),
        (
            with(|alert| alert.simulated = true),
            "observe Ip 203.0.113.9 4h",
        ),
        (
            with(|alert| alert.remediation = false),
            "alert only, because the scenario asks for no remedy",
        ), // DENY
        (
            alert("192.168.1.9"),
            "alert only, because the source is local (private, VPN or carrier-grade NAT)",
        ), // DENY
        (
            alert("100.64.0.9"),
            "alert only, because the source is local (private, VPN or carrier-grade NAT)",
        ), // DENY
        (
            alert("fd00::9"),
            "alert only, because the source is local (private, VPN or carrier-grade NAT)",
        ), // DENY
        (
            alert("not an address"),
            "alert only, because it names no source",
        ), // DENY
        (alert(""), "alert only, because it names no source"), // DENY
        (
            with(|alert| alert.source.scope = Scope::Other("username".to_owned())),
            "alert only, because no profile matches it",
        ), // DENY
    ] {
        assert_eq!(told(&alert, Volume::Enforce), want);
    }
}

#[test]
fn volume_is_shown_while_the_site_still_learns() {
    for (alert, shown) in [
        (labelled("behavior", "http:crawl"), true),
        (labelled("behavior", "http:dos"), true),
        (labelled("volume", "true"), true),
        (
            Alert {
                scenario: "LePresidente/http-generic-401-bf".to_owned(),
                ..alert("203.0.113.9")
            },
            true,
        ),
        (labelled("behavior", "http:scan"), false),
        (labelled("behavior", "http:bruteforce"), false),
        (labelled("volume", "false"), false),
    ] {
        let first = if shown { "observe" } else { "ban" };
        assert!(
            told(&alert, Volume::Observe).starts_with(first),
            "{alert:?}"
        );
        assert!(
            told(&alert, Volume::Enforce).starts_with("ban"),
            "{alert:?}"
        );
        // A site that only observes bars nobody, whatever is seen there.
        assert!(
            told(&alert, Volume::ObserveAll).starts_with("observe"),
            "{alert:?}"
        );
    }
    let outcome =
        Profiles::default().propose(&labelled("volume", "true"), &[], Volume::Observe, at(0));
    assert_eq!(
        outcome.proposals.first().unwrap().because,
        Because::VolumeObserved
    );
}

#[test]
fn loopback_attackers_of_the_demo_are_proposed_when_local_alerting_is_off() {
    let profiles = Profiles {
        local_alert_only: false,
        ..Profiles::default()
    };
    let outcome = profiles.propose(&alert("127.0.0.2"), &[], Volume::Enforce, at(0));
    assert_eq!(outcome.proposals.len(), 1);
}

fn past(from: u64, to: u64) -> Past {
    Past {
        created: at(from),
        id: DecisionId(from.into()),
        until: at(to),
        force: Force::Ban,
    }
}

#[test]
fn repetition_raises_the_level_and_quiet_lowers_it() {
    let escalation = Escalation::default();
    let ban = |day: u64| past(day * DAY, day * DAY + 4 * HOUR);
    for (what, pasts, now, want) in [
        ("no past", vec![], DAY, 0),
        ("once", vec![ban(0)], DAY, 1),
        ("twice", vec![ban(0), ban(1)], 2 * DAY, 2),
        ("thrice", vec![ban(0), ban(1), ban(2)], 3 * DAY, 3),
        (
            "one attack seen by three scenarios",
            vec![past(0, 9), past(1, 9), past(2, 30)],
            40,
            1,
        ),
        (
            "the third within the second's reach",
            vec![past(0, 9), past(1, 30), past(20, 40)],
            50,
            1,
        ),
        (
            "halved after ten quiet days",
            vec![ban(0), ban(1)],
            12 * DAY,
            1,
        ),
        ("not quite ten", vec![ban(0), ban(1)], 11 * DAY, 2),
        (
            "halved twice",
            vec![ban(0), ban(1), ban(2), ban(3)],
            24 * DAY,
            1,
        ),
        (
            "forgotten after thirty",
            vec![ban(0), ban(1), ban(2), ban(3)],
            34 * DAY,
            0,
        ),
        (
            "decay counts between bans too",
            vec![ban(0), ban(1), ban(12)],
            13 * DAY,
            2,
        ),
        ("the future does not count", vec![ban(5)], DAY, 0),
    ] {
        assert_eq!(escalation.level(&pasts, at(now)), want, "{what}");
    }
    let throttled = Past {
        force: Force::Observe,
        ..ban(0)
    };
    assert_eq!(
        escalation.level(&[throttled], at(DAY)),
        0,
        "what was only shown does not count"
    );
}

#[test]
fn time_doubles_up_to_a_week() {
    let escalation = Escalation::default();
    let base = Duration::from_secs(4 * HOUR);
    for (level, hours) in [
        (0, 4),
        (1, 8),
        (2, 16),
        (3, 32),
        (5, 128),
        (6, 168),
        (31, 168),
        (u32::MAX, 168),
    ] {
        assert_eq!(
            escalation.lasts(base, level),
            Duration::from_secs(hours * HOUR),
            "{level}"
        );
    }
    for (factor, level, hours) in [
        (1.0, 9, 4),
        (3.0, 2, 36),
        (1.5, 2, 9),
        (0.0, 3, 4),
        (1e9, 1, 168),
        (f64::NAN, 1, 168),
    ] {
        let escalation = Escalation {
            factor,
            ..escalation
        };
        assert_eq!(
            escalation.lasts(base, level),
            Duration::from_secs(hours * HOUR),
            "{factor}^{level}"
        );
    }
    let long = Duration::from_secs(30 * DAY);
    assert_eq!(
        escalation.lasts(long, 0),
        long,
        "a profile's own time is never shortened"
    );
    assert_eq!(escalation.lasts(Duration::MAX, 9), Duration::MAX);
}

#[test]
fn profiles_are_asked_in_order_until_one_is_last() {
    let profile = |name: &str, scenario: &str, kinds: &[Kind], last| Profile {
        name: name.to_owned(),
        matcher: Matcher {
            scenarios: vec![scenario.to_owned()],
            ..Matcher::default()
        },
        remedies: kinds
            .iter()
            .map(|kind| Remedy {
                kind: kind.clone(),
                lasts: Duration::from_secs(60),
                escalation: None,
            })
            .collect(),
        last,
    };
    let profiles = Profiles {
        profiles: vec![
            profile("spared", "mine/*", &[], true),
            profile("slow", "crowdsecurity/http-*", &[Kind::Throttle], false),
            profile(
                "exact",
                "crowdsecurity/http-probing",
                &[Kind::Ban, Kind::Observe],
                true,
            ),
            profile(
                "never asked",
                "crowdsecurity/http-probing",
                &[Kind::Challenge],
                false,
            ),
        ],
        ..Profiles::default()
    };
    let kinds = |scenario: &str| -> Vec<String> {
        let alert = Alert {
            scenario: scenario.to_owned(),
            ..alert("203.0.113.9")
        };
        let outcome = profiles.propose(&alert, &[], Volume::Enforce, at(0));
        assert_eq!(
            outcome.proposals.is_empty(),
            outcome.none == Some(NoProposal::NoProfile)
        );
        outcome
            .proposals
            .iter()
            .map(|proposal| proposal.decision.kind.to_string())
            .collect()
    };
    assert_eq!(
        kinds("crowdsecurity/http-probing"),
        ["throttle", "ban", "observe"]
    );
    assert_eq!(kinds("crowdsecurity/http-crawl"), ["throttle"]);
    assert!(kinds("mine/health-check").is_empty(), "DENY: spared");
    assert!(kinds("crowdsecurity/ssh-bf").is_empty(), "DENY: no profile");
    let many = Matcher {
        events: 12,
        ..Matcher::default()
    };
    assert!(!many.fits(&alert("203.0.113.9")));
}

/// The loop as the daemon runs it: alert, past, proposal, door, entry, book.
#[test]
fn a_source_that_comes_back_is_barred_longer_each_time_until_it_is_quiet() {
    let (profiles, policy) = (Profiles::default(), AdmitPolicy::default());
    let mut book = Book::default();
    let mut bar = |number: u64, seconds: u64| -> u64 {
        let alert = alert("2001:db8:1:2::9");
        let past = book.past(subject(&alert).unwrap());
        let outcome = profiles.propose(&alert, &past, Volume::Enforce, at(seconds));
        let proposal = outcome.proposals.first().unwrap();
        let id = DecisionId(number.into());
        let decision = admit(&proposal.decision, id, &policy, &book, at(seconds)).unwrap();
        let lasts = decision.until.since(decision.created).as_secs() / HOUR;
        let (node, uuid, at) = (NodeId(1), EntryId(number.into()), at(seconds));
        let op = Op::Add { decision };
        book.apply(&Entry {
            node,
            epoch: 1,
            seq: number,
            uuid,
            at,
            op,
        });
        book.sweep(at, 100);
        lasts
    };
    let times = [
        (0, 4),
        (DAY, 8),
        (2 * DAY, 16),
        (3 * DAY, 32),
        (50 * DAY, 4),
    ];
    for (number, (seconds, hours)) in times.into_iter().enumerate() {
        assert_eq!(bar(number as u64 + 1, seconds), hours, "ban {number}");
    }
}
