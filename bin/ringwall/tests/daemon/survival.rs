//! What outlives what: decisions a kill -9, the edge its helper, deciding its disk.

use std::process::Command;
use std::time::Duration;

use crate::instance::{Instance, get_from, site, upstream};
use crate::support::{cannot_run, json_lines, signal, wait_for};

/// Files that nobody asks for by accident.
const FORGOTTEN: [&str; 8] = [
    "/.env",
    "/.git/config",
    "/.aws/credentials",
    "/id_rsa",
    "/.htpasswd",
    "/backup.sql",
    "/dump.sql",
    "/.svn/entries",
];

#[test]
fn no_acknowledged_decision_is_lost_by_kill_9() {
    let mut instance = Instance::start(&site("*", upstream("up")), "");
    let mut acknowledged: Vec<String> = Vec::new();
    for round in 0..6_u8 {
        // Orders come from a second thread of control: the kill falls between any two steps.
        let socket = instance.socket();
        let orders = std::thread::spawn(move || {
            let mut done = Vec::new();
            for number in 0..200 {
                let address = format!("203.0.113.{}", 1 + u32::from(round) * 40 + number % 40);
                let output = crate::support::ringwall(
                    &socket,
                    &["decision", "add", &address, "--for", "1h"],
                );
                if !output.status.success() {
                    break;
                }
                done.push(address);
            }
            done
        });
        std::thread::sleep(Duration::from_millis(60 + u64::from(round) * 37));
        signal(instance.process.id(), "KILL");
        let _reaped = instance.process.0.wait();
        acknowledged.extend(orders.join().expect("orders end"));
        let Instance { folder, edge, .. } = instance;
        instance = Instance::again(folder, edge);
        let listed = json_lines(&instance.run(&["--json", "decision", "list"]));
        for address in &acknowledged {
            assert!(
                listed.iter().any(|one| one["value"] == address.as_str()),
                "{address} was acknowledged and is lost"
            );
        }
    }
    assert!(
        acknowledged.len() > 6,
        "the rounds decided something: {}",
        acknowledged.len()
    );
}

#[test]
fn a_ban_holds_across_a_restart_and_ends_when_undone() {
    let instance = Instance::start(&site("*", upstream("up")), "");
    assert_eq!(get_from([127, 0, 3, 1], instance.edge, "x").0, 200);
    instance.say(&[
        "decision",
        "add",
        "127.0.3.1",
        "--for",
        "1h",
        "--reason",
        "test",
    ]);
    assert!(
        matches!(get_from([127, 0, 3, 1], instance.edge, "x").0, 0 | 403),
        "DENY"
    );
    let Instance {
        mut process,
        folder,
        edge,
    } = instance;
    assert!(
        process
            .terminate(Duration::from_secs(40))
            .is_some_and(|status| status.success()),
        "it drains"
    );
    drop(process);
    let instance = Instance::again(folder, edge);
    assert!(
        matches!(get_from([127, 0, 3, 1], instance.edge, "x").0, 0 | 403),
        "DENY after a restart"
    );
    let why = instance.say(&["why", "127.0.3.1"]);
    assert!(why.contains("barred") && why.contains("test"), "{why}");
    instance.say(&["decision", "delete", "127.0.3.1"]);
    assert_eq!(get_from([127, 0, 3, 1], instance.edge, "x").0, 200);
}

#[test]
fn the_edge_serves_on_when_the_helper_is_killed_and_status_says_so() {
    let instance = Instance::start(&site("*", upstream("up")), "");
    let status = instance.say(&["status"]);
    let Some(helper) = status.split("helper runs as process ").nth(1) else {
        cannot_run("there is a privileged helper only when started as root");
        return;
    };
    let digits: String = helper.chars().take_while(char::is_ascii_digit).collect();
    signal(digits.parse().expect("a process id"), "KILL");
    let status = wait_for("status to tell", Duration::from_secs(5), || {
        let status = instance.say(&["status"]);
        let flat = status.split_whitespace().collect::<Vec<_>>().join(" ");
        flat.contains("helper is gone").then_some(flat)
    });
    assert!(status.contains("broken"), "{status}");
    assert_eq!(instance.get("x").0, 200);
    instance.say(&["decision", "add", "127.0.3.9"]);
    assert!(
        matches!(get_from([127, 0, 3, 9], instance.edge, "x").0, 0 | 403),
        "DENY"
    );
}

#[test]
fn with_a_locked_database_deciding_goes_on_and_orders_fail_plainly() {
    if !crate::support::missing(&["sqlite3"]).is_empty() {
        cannot_run("sqlite3 is missing; 'cargo xtask test' installs it");
        return;
    }
    let instance = Instance::start(&site("*", upstream("up")), "");
    instance.say(&["decision", "add", "127.0.3.2"]);
    let database = instance.folder.0.join("state/state.db");
    // Another program takes the write lock and keeps it until its input ends.
    let mut holder = Command::new("sqlite3")
        .arg(&database)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("sqlite3 starts");
    let mut input = holder.stdin.take().expect("it reads");
    std::io::Write::write_all(
        &mut input,
        b"BEGIN IMMEDIATE;\nINSERT INTO meta VALUES('held','1');\n",
    )
    .expect("it listens");
    std::thread::sleep(Duration::from_millis(500));
    let said = instance.refuse(&["decision", "add", "127.0.3.3"]);
    assert!(said.contains("saved") || said.contains("locked"), "{said}");
    assert!(
        matches!(get_from([127, 0, 3, 2], instance.edge, "x").0, 0 | 403),
        "DENY: what was decided holds"
    );
    assert_eq!(
        get_from([127, 0, 3, 3], instance.edge, "x").0,
        200,
        "what was refused does not hold"
    );
    // Detection still bars: probing for forgotten files from a fresh address.
    for path in FORGOTTEN {
        let _answered = crate::words::get_path([127, 0, 3, 4], instance.edge, path);
    }
    let listed = json_lines(&instance.run(&["--json", "decision", "list"]));
    let caught = listed.iter().find(|one| one["value"] == "127.0.3.4");
    assert!(
        caught.is_some_and(|one| one["volatile"] == true),
        "volatile until committed: {listed:?}"
    );
    let status = instance.say(&["status"]);
    assert!(
        status.contains("Deciding") || status.contains("locked"),
        "{status}"
    );
    drop(input);
    let _ended = holder.wait();
    wait_for(
        "the decision to reach the disk",
        Duration::from_secs(30),
        || {
            let listed = json_lines(&instance.run(&["--json", "decision", "list"]));
            listed
                .iter()
                .any(|one| one["value"] == "127.0.3.4" && one["volatile"] == false)
                .then_some(())
        },
    );
}

#[test]
fn with_a_full_disk_deciding_goes_on_from_memory_and_orders_fail_plainly() {
    if !may_mount() {
        cannot_run("a small disk can be mounted only as root");
        return;
    }
    let instance = Instance::start_on_a_small_disk(&site("*", upstream("up")));
    instance.say(&["decision", "add", "127.0.3.2"]);
    // The disk is seen through the process that has it mounted.
    let state = format!(
        "/proc/{}/root{}/state",
        instance.process.id(),
        instance.folder.0.display()
    );
    let mut filler = std::fs::File::create(format!("{state}/filler")).expect("the disk is there");
    while std::io::Write::write_all(&mut filler, &[0; 4096]).is_ok() {}
    let mut said = String::new();
    for number in 10..200 {
        let output = instance.run(&[
            "decision",
            "add",
            &format!("198.51.100.{number}"),
            "--reason",
            &"x".repeat(900),
        ]);
        if !output.status.success() {
            said = String::from_utf8_lossy(&output.stderr).into_owned();
            break;
        }
    }
    assert!(said.contains("saved") && said.contains("full"), "{said}");
    assert!(
        matches!(get_from([127, 0, 3, 2], instance.edge, "x").0, 0 | 403),
        "DENY: what was decided holds"
    );
    for path in FORGOTTEN {
        let _answered = crate::words::get_path([127, 0, 3, 5], instance.edge, path);
    }
    assert!(
        matches!(get_from([127, 0, 3, 5], instance.edge, "x").0, 0 | 403),
        "DENY: detection decides from memory"
    );
    let status = instance.say(&["status"]);
    assert!(
        status.contains("broken") && status.split_whitespace().any(|word| word == "full."),
        "{status}"
    );
    drop(filler);
    std::fs::remove_file(format!("{state}/filler")).expect("the filler goes");
    wait_for(
        "the decision to reach the disk",
        Duration::from_secs(30),
        || {
            let listed = json_lines(&instance.run(&["--json", "decision", "list"]));
            listed
                .iter()
                .any(|one| one["value"] == "127.0.3.5" && one["volatile"] == false)
                .then_some(())
        },
    );
}

fn may_mount() -> bool {
    let probe = crate::support::quiet("unshare")
        .args(["-m", "true"])
        .status();
    probe.is_ok_and(|status| status.success())
}
