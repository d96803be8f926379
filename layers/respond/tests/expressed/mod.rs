//! Profiles in CrowdSec's form: what they ask for, and what they may not.

use std::time::Duration;

use book::{Force, Past};
use respond::{Because, Draft, DraftDecision, Expressed, NoProposal, Profiles, Volume};
use vocab::{Alert, DecisionId, Kind, Scope, Source, Timestamp, Whereabouts};

const HOUR: u64 = 3_600;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_seconds(1_800_000_000).after(Duration::from_secs(seconds))
}

fn alert(value: &str) -> Alert {
    let scope = match value.parse::<std::net::IpAddr>() {
        Ok(_) => Scope::Ip,
        Err(_) => Scope::Other("username".to_owned()),
    };
    Alert {
        scenario: "crowdsecurity/ssh-bf".to_owned(),
        scenario_hash: String::new(),
        source: Source {
            scope,
            value: value.to_owned(),
            ip: value.parse().ok(),
            whereabouts: Some(Box::new(Whereabouts {
                range: "203.0.113.0/24".to_owned(),
                country: "FR".to_owned(),
                ..Whereabouts::default()
            })),
        },
        events_count: 6,
        start_at: at(0),
        stop_at: at(9),
        events: Vec::new(),
        remediation: true,
        simulated: false,
        labels: Vec::new(),
        context: Vec::new(),
        exempt: None,
    }
}

fn past(count: u64) -> Vec<Past> {
    let one = |at_: u64| Past {
        created: at(at_),
        id: DecisionId(at_.into()),
        until: at(at_ + 1),
        force: Force::Ban,
    };
    (0..count).map(one).collect()
}

fn draft(filter: &str) -> Draft {
    Draft {
        name: "default_ip_remediation".to_owned(),
        filters: vec![filter.to_owned()],
        decisions: vec![DraftDecision {
            kind: "ban".to_owned(),
            duration: "4h".to_owned(),
            ..DraftDecision::default()
        }],
        on_success: "break".to_owned(),
        ..Draft::default()
    }
}

fn profiles(drafts: &[Draft]) -> Profiles {
    let compiled = drafts
        .iter()
        .map(|draft| Expressed::compile(draft).unwrap());
    Profiles {
        expressed: compiled.collect(),
        ..Profiles::default()
    }
}

/// What is asked for: kind, hours, scope and value, or why nothing is.
fn told(profiles: &Profiles, alert: &Alert, past: &[Past]) -> Vec<String> {
    let outcome = profiles.propose(alert, past, Volume::Enforce, at(100));
    let made = outcome.proposals.iter().map(|one| {
        let decision = &one.decision;
        let hours = decision.lasts.as_secs() / HOUR;
        format!(
            "{} {hours}h {} {}",
            decision.kind, decision.scope, decision.value
        )
    });
    made.chain(outcome.none.map(|why| why.to_string()))
        .collect()
}

#[test]
fn the_documented_profile_bars_longer_each_time() {
    let mut draft = draft("Alert.Remediation == true && Alert.GetScope() == 'Ip'");
    draft.duration_expr =
        "Sprintf('%dh', (GetDecisionsCount(Alert.GetValue()) + 1) * 4)".to_owned();
    let profiles = profiles(&[draft]);
    for (before, wanted) in [(0, "ban 4h"), (1, "ban 8h"), (5, "ban 24h")] {
        let told = told(&profiles, &alert("203.0.113.9"), &past(before));
        assert_eq!(told, [format!("{wanted} Ip 203.0.113.9")]);
    }
}

#[test]
fn filters_are_alternatives_and_say_what_comes_next() {
    let ip = "Alert.GetScope() == 'Ip'";
    let mut either = draft("Alert.GetScenario() == 'other'");
    either.filters.push(ip.to_owned());
    let second = Draft {
        name: "second".to_owned(),
        decisions: vec![DraftDecision {
            kind: "captcha".to_owned(),
            duration: "1d".to_owned(),
            ..DraftDecision::default()
        }],
        ..draft("true")
    };
    let with = |change: &dyn Fn(&mut Draft)| {
        let mut first = either.clone();
        change(&mut first);
        told(
            &profiles(&[first, second.clone()]),
            &alert("203.0.113.9"),
            &[],
        )
    };
    let (ban, captcha) = ("ban 4h Ip 203.0.113.9", "captcha 24h Ip 203.0.113.9");
    assert_eq!(with(&|_| ()), [ban]);
    assert_eq!(with(&|one| one.on_success.clear()), [ban, captcha]);
    assert_eq!(with(&|one| one.filters.truncate(1)), [captcha]);
    let none = NoProposal::NoProfile.to_string();
    let ends = with(&|one| {
        one.filters.truncate(1);
        one.on_failure = "break".to_owned();
    });
    assert_eq!(ends, [none.as_str()]);
    for (on_error, wanted) in [
        ("", captcha),
        ("ignore", captcha),
        ("apply", ban),
        ("break", none.as_str()),
    ] {
        let fails = with(&|one| {
            one.filters = vec!["Alert.NoSuchField == 'x'".to_owned()];
            one.on_error = on_error.to_owned();
        });
        assert_eq!(fails, [wanted], "on_error: {on_error}");
    }
}

#[test]
fn a_profile_may_name_another_scope_of_what_is_known() {
    for (scope, wanted) in [
        ("Range", "ban 4h Range 203.0.113.0/24"),
        ("Country", "ban 4h Country FR"),
        ("AS", "alert only, because no profile matches it"),
        ("Ip", "ban 4h Ip 203.0.113.9"),
    ] {
        let mut draft = draft("true");
        draft.decisions[0].scope = scope.to_owned();
        let told = told(&profiles(&[draft]), &alert("203.0.113.9"), &[]);
        assert_eq!(told, [wanted], "{scope}");
    }
    // A database that calls the whole internet one range bars nobody.
    let mut everybody = alert("203.0.113.9");
    everybody.source.whereabouts.as_mut().unwrap().range = "0.0.0.0/0".to_owned();
    let mut draft = draft("true");
    draft.decisions[0].scope = "Range".to_owned();
    let told = told(&profiles(&[draft]), &everybody, &[]);
    assert_eq!(told, ["alert only, because no profile matches it"]);
}

#[test]
fn what_holds_for_typed_profiles_holds_for_these() {
    let profiles = profiles(&[draft("true")]);
    let local = told(&profiles, &alert("192.168.1.4"), &[]);
    assert_eq!(local, [NoProposal::Local.to_string()], "DENY");
    let mut harmless = alert("203.0.113.9");
    harmless.remediation = false;
    assert_eq!(
        told(&profiles, &harmless, &[]),
        [NoProposal::NoRemediation.to_string()]
    );
    let mut mild = alert("203.0.113.9");
    mild.labels = vec![("strongest".to_owned(), "throttle".to_owned())];
    assert_eq!(told(&profiles, &mild, &[]), ["throttle 1h Ip 203.0.113.9"]);
    let mut many = alert("203.0.113.9");
    many.labels = vec![("volume".to_owned(), "true".to_owned())];
    let observed = profiles.propose(&many, &[], Volume::Observe, at(0));
    assert_eq!(observed.proposals[0].because, Because::VolumeObserved);
    assert_eq!(observed.proposals[0].decision.kind, Kind::Observe);
    let mut shown = draft("true");
    shown.decisions[0].simulated = true;
    let shown = self::profiles(&[shown]);
    assert_eq!(
        told(&shown, &alert("203.0.113.9"), &[]),
        ["observe 4h Ip 203.0.113.9"]
    );
}

#[test]
fn a_duration_that_makes_no_sense_is_the_one_beside_it_and_none_is_endless() {
    for (expression, hours) in [
        ("'soon'", 4),
        ("'-3h'", 4),
        ("''", 4),
        ("nil", 4),
        ("Alert.NoSuchField", 4),
        ("'2000000h'", 24 * 3_650),
        ("'2d'", 48),
        ("string(2) + 'h'", 2),
    ] {
        let mut draft = draft("true");
        draft.duration_expr = expression.to_owned();
        let told = told(&profiles(&[draft]), &alert("203.0.113.9"), &[]);
        assert_eq!(
            told,
            [format!("ban {hours}h Ip 203.0.113.9")],
            "{expression}"
        );
    }
}

#[test]
fn a_profile_that_is_wrong_says_where() {
    let wrong = |change: &dyn Fn(&mut Draft)| {
        let mut draft = draft("true");
        change(&mut draft);
        Expressed::compile(&draft).unwrap_err()
    };
    let said = [
        wrong(&|one| one.filters.clear()),
        wrong(&|one| one.filters = vec!["evt.Meta.x == 'y'".to_owned()]),
        wrong(&|one| one.duration_expr = "Sprintf(".to_owned()),
        wrong(&|one| one.decisions[0].kind.clear()),
        wrong(&|one| one.decisions[0].duration = "long".to_owned()),
        wrong(&|one| one.on_success = "stop".to_owned()),
        wrong(&|one| one.on_error = "panic".to_owned()),
    ];
    for sentence in said {
        assert!(
            sentence.starts_with("the profile 'default_ip_remediation':"),
            "{sentence}"
        );
    }
}
