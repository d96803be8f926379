//! One story from the first visitor to the drain: gobuster and hydra attack with a
//! browser's headers, curl and wrk visit.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::house::{Field, Guarded as _, Mode, PORT, Site, curl};
use crate::network::{EDGE, inside};
use crate::support::ringwall;
use crate::{ACCEPT, BROWSER, ready};

/// Somebody who browses until told to leave; what went wrong for them.
struct Visitor {
    leave: Arc<AtomicBool>,
    thread: thread::JoinHandle<(usize, Vec<String>)>,
}

impl Visitor {
    fn arrive(namespace: String) -> Self {
        let leave = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&leave);
        let thread = thread::spawn(move || {
            let (mut visits, mut wrong) = (0, Vec::new());
            while !told.load(Ordering::Acquire) {
                for path in ["/", "/about", "/item/7", "/login"] {
                    let code = curl(&namespace, &format!("http://{EDGE}:{PORT}{path}"));
                    visits += 1;
                    if code != "200" {
                        wrong.push(format!("{path}: {code}"));
                    }
                }
                thread::sleep(Duration::from_millis(50));
            }
            (visits, wrong)
        });
        Self { leave, thread }
    }

    fn leave(self) -> (usize, Vec<String>) {
        self.leave.store(true, Ordering::Release);
        self.thread.join().expect("the visitor goes home")
    }
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one story from the first visitor to the drain"
)]
fn gobuster_and_hydra_are_banned_by_what_they_do_while_visitors_notice_nothing() {
    if !ready(&["wrk", "gobuster", "hydra"]) {
        return;
    }
    let mut field = Field::make(Site::Pages, Mode::Enforce);
    let (gobuster, hydra) = (field.network.stranger(10), field.network.stranger(11));
    let (curl_host, wrk_host) = (field.network.stranger(20), field.network.stranger(21));
    let visitor = Visitor::arrive(curl_host);
    // Four people who click every 100 ms each; wrk by itself would be a flood.
    let pace = field
        .folder
        .file("pace.lua", "function delay() return 100 end\n");
    let wrk = inside(&wrk_host, "wrk")
        .args([
            "-t1",
            "-c4",
            "-d12s",
            "-H",
            &format!("User-Agent: {BROWSER}"),
            "-s",
        ])
        .arg(&pace)
        .arg(format!("http://{EDGE}:{PORT}/about"))
        .stdout(Stdio::piped())
        .spawn()
        .expect("wrk starts");

    let words: String = (0..2_000).map(|number| format!("page{number}\n")).collect();
    let words = field.folder.file("words.txt", &words);
    bounded(
        inside(&gobuster, "timeout")
            .args([
                "40",
                "gobuster",
                "dir",
                "-q",
                "-z",
                "--no-error",
                "-t",
                "4",
                "--timeout",
                "2s",
                "-b",
                "404,403",
            ])
            .args([
                "-a",
                BROWSER,
                "-H",
                ACCEPT,
                "-H",
                "Accept-Language: en",
                "-u",
                &format!("http://{EDGE}:{PORT}/"),
            ])
            .arg("-w")
            .arg(&words),
    );
    let decision = field
        .decision_about("198.51.100.10")
        .unwrap_or_else(|| panic!("gobuster is banned\n{}", field.said()));
    assert_behavioural(&decision);

    let passwords: String = (0..500).map(|number| format!("summer{number}\n")).collect();
    let passwords = field.folder.file("passwords.txt", &passwords);
    // Optional headers come before the sign of failure, and hydra wants colons escaped.
    let form = format!(
        "/login:user=^USER^&password=^PASS^:H=User-Agent\\: {}:H={}:F=Wrong user name",
        BROWSER.replace(':', "\\:"),
        ACCEPT.replace(':', "\\:")
    );
    bounded(
        inside(&hydra, "timeout")
            .args(["40", "hydra", "-I", "-q", "-t", "4", "-l", "admin", "-P"])
            .arg(&passwords)
            .args(["-s", PORT, EDGE, "http-post-form", &form])
            .current_dir(&field.folder.0),
    );
    let decision = field
        .decision_about("198.51.100.11")
        .unwrap_or_else(|| panic!("hydra is banned\n{}", field.said()));
    assert_behavioural(&decision);

    for (address, namespace, most) in [
        ("198.51.100.10", &gobuster, 60),
        ("198.51.100.11", &hydra, 40),
    ] {
        let before = field.reached(address);
        assert!(
            (1..=most).contains(&before),
            "{before} requests of {address} reached the site"
        );
        for _ in 0..5 {
            let code = curl(namespace, &format!("http://{EDGE}:{PORT}/"));
            assert!(code == "403" || code == "000", "DENY {address}: {code}");
        }
        assert_eq!(
            field.reached(address),
            before,
            "DENY: nothing more of {address} reaches the site"
        );
        println!("{address}: {before} requests reached the site before the ban");
    }
    let wrk = wrk.wait_with_output().expect("wrk ends");
    let told = String::from_utf8_lossy(&wrk.stdout).into_owned();
    assert!(
        told.contains("requests in")
            && !told.contains("Non-2xx")
            && !told.contains("Socket errors"),
        "{told}"
    );
    let (visits, wrong) = visitor.leave();
    assert!(
        visits > 20 && wrong.is_empty(),
        "{visits} visits, wrong: {wrong:?}\n{}",
        field.said()
    );
    let why = ringwall(&field.socket, &["why", "198.51.100.10"]);
    let why = String::from_utf8_lossy(&why.stdout).into_owned();
    assert!(
        why.contains("198.51.100.10 is barred") && why.contains("ringwall decision delete"),
        "{why}"
    );
    assert!(
        field.ringwall.terminate(Duration::from_secs(40)).is_some(),
        "it drains and ends"
    );
}

#[test]
fn open_connections_of_a_banned_source_die_within_100_ms() {
    if !ready(&["wrk", "gobuster", "hydra"]) {
        return;
    }
    let mut field = Field::make(Site::Pages, Mode::Enforce);
    let attacker = field.network.stranger(12);
    let output = inside(&attacker, "python3")
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/support/open_connections.py"
        ))
        .args([EDGE, PORT])
        .output()
        .expect("the attacker runs");
    let told: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(told["refused"], true, "{told}\n{}", field.said());
    for connection in ["idle", "slow"] {
        let took = told["closed_ms"][connection].as_f64();
        assert!(
            took.is_some_and(|ms| ms < 100.0),
            "{connection} connection: {told}"
        );
    }
    println!("{told}");
    field.ringwall.terminate(Duration::from_secs(40));
}

/// Runs a tool to its end; `timeout` bounds it, and its exit code says nothing here.
fn bounded(command: &mut Command) {
    let ran = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(ran.is_ok(), "{command:?}");
}

fn assert_behavioural(decision: &serde_json::Value) {
    let reason = decision["reason"].as_str().unwrap_or_default();
    assert!(
        reason.starts_with("ringwall/http-") && reason != "ringwall/http-attack-tool",
        "banned by behaviour, not by name: {decision}"
    );
    println!("banned by {reason}");
}
