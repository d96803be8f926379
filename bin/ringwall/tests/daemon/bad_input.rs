//! The list of bad input, each a test.

use std::process::Command;
use std::time::Duration;

use crate::instance::{Instance, free_port, get_from, site, text, upstream};
use crate::support::{Folder, RINGWALL, wait_for};

#[test]
fn a_wrong_configuration_names_every_fault_with_its_line_and_exits_64() {
    let folder = Folder::make("wrong");
    let config = folder.file(
        "ringwall.toml",
        "[edge]\nlisten = [\"nonsense\"]\nlisen = 3\n\n[[edge.site]]\nhost = [\"*\"]\nto = [\"ftp://x\"]\n",
    );
    for verb in ["check", "up"] {
        let output = Command::new(RINGWALL)
            .arg("--config")
            .arg(&config)
            .arg(verb)
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{verb}: {said}");
        for part in [
            "ringwall.toml:2:",
            "ringwall.toml:3:",
            "ringwall.toml:7:",
            "nonsense",
            "lisen",
            "listen",
            "ftp://x",
        ] {
            assert!(
                said.contains(part),
                "{verb}: '{part}' is missing in\n{said}"
            );
        }
    }
    let output = Command::new(RINGWALL)
        .args(["no-such-verb"])
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(64));
}

#[test]
fn a_wrong_reload_keeps_the_old_configuration_and_a_right_one_takes_over() {
    let (one, two) = (upstream("first"), upstream("second"));
    let instance = Instance::start(&site("*", one), "");
    assert!(instance.get("any.example").1.ends_with("first"));
    instance.rewrite("[[edge.site]]\nhost = \"*\"\nto = [\"http://:1\"]\n", "");
    let said = instance.refuse(&["reload"]);
    assert!(said.contains("the old one stays in force"), "{said}");
    assert!(said.contains("edge.site[0].to[0]"), "{said}");
    assert!(instance.get("any.example").1.ends_with("first"));
    instance.rewrite(&site("*", two), "");
    wait_for(
        "the changed file to take over by itself",
        Duration::from_secs(15),
        || {
            instance
                .get("any.example")
                .1
                .ends_with("second")
                .then_some(())
        },
    );
    let said = instance.say(&["reload"]);
    assert!(said.contains("in force"), "{said}");
    assert!(!said.contains("restart"), "{said}");
    instance.rewrite(&site("*", two), "[log]\nlevel = \"debug\"\n");
    let said = instance.say(&["reload"]);
    let flat = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains("after a restart: log."), "{said}");
}

#[test]
fn a_broken_rule_is_named_with_its_line_and_skipped_or_refused_by_setting() {
    let folder = Folder::make("rules");
    let scenarios = folder.0.join("rules/scenarios/mine");
    std::fs::create_dir_all(&scenarios).expect("a folder");
    std::fs::write(
        scenarios.join("broken.yaml"),
        "type: leaky\nname: mine/broken\ndescription: x\nfilter: \"evt.Meta.service == \"\ncapacity: 3\nleakspeed: 1s\ngroupby: evt.Meta.source_ip\nlabels:\n  remediation: true\n",
    )
    .expect("a rule");
    std::fs::write(
        scenarios.join("sound.yaml"),
        "type: trigger\nname: mine/sound\ndescription: x\nfilter: \"evt.Meta.service == 'http'\"\nlabels:\n  remediation: false\n",
    )
    .expect("a rule");
    let rules = folder.0.join("rules").display().to_string();
    let sites = site("*", upstream("up"));
    let instance = Instance::start(&sites, &format!("[detection]\nrules = \"{rules}\"\n"));
    let status = instance.say(&["status"]);
    assert!(status.contains("broken.yaml:4"), "{status}");
    let running = |status: &str| -> u32 {
        let before = status.split(" scenarios").next().unwrap_or_default();
        let number = before.rsplit(char::is_whitespace).next();
        number.and_then(|number| number.parse().ok()).expect(status)
    };
    instance.rewrite(&sites, "");
    instance.say(&["reload"]);
    let without = running(&instance.say(&["status"]));
    assert_eq!(
        running(&status),
        without + 1,
        "the sound one runs: {status}"
    );
    instance.rewrite(
        &sites,
        &format!("[detection]\nrules = \"{rules}\"\non_broken_rule = \"refuse\"\n"),
    );
    let said = instance.refuse(&["reload"]);
    assert!(said.contains("broken.yaml:4"), "{said}");
    assert!(
        said.ends_with("\nThe old configuration stays in force.\n"),
        "{said}"
    );
    assert_eq!(instance.get("any.example").0, 200);
}

#[test]
fn a_dead_upstream_is_a_502_with_a_reference_and_other_sites_go_on() {
    let dead = std::net::SocketAddr::from(([127, 0, 0, 1], free_port()));
    let sites = site("dead.example", dead) + &site("live.example", upstream("alive"));
    let instance = Instance::start(&sites, "");
    let (status, answer) = instance.get("dead.example");
    assert_eq!(status, 502, "{answer}");
    let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
    assert!(
        body.bytes().filter(u8::is_ascii_hexdigit).count() >= 16,
        "a correlation id: {answer}"
    );
    assert!(
        !answer.contains(&dead.to_string()),
        "DENY: nothing about the inside: {answer}"
    );
    assert!(instance.get("live.example").1.ends_with("alive"));
}

#[test]
fn two_instances_do_not_share_a_state_directory() {
    let instance = Instance::start(&site("*", upstream("up")), "");
    let other = Folder::make("other");
    let edge = std::net::SocketAddr::from(([127, 0, 0, 1], free_port()));
    let words = text(&instance.folder, edge, &site("*", instance.edge), "");
    let words = words.replace("run/control.sock", "run/other.sock");
    let config = other.file("ringwall.toml", &words);
    let output = Command::new(RINGWALL)
        .arg("--config")
        .arg(config)
        .arg("up")
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("Another Ringwall"),
        "{said}"
    );
    assert_eq!(get_from([127, 0, 0, 1], instance.edge, "x").0, 200);
}
