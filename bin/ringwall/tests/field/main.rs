//! The closed loop with tools that nobody here wrote, in network namespaces:
//! gobuster and hydra attack with a browser's headers, curl and wrk visit.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a test's helpers fail by panicking and say what they measured"
)]

mod network;
mod prefix;
#[path = "../support/mod.rs"]
mod support;

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use network::{EDGE, Network, inside};
use support::{
    Folder, RINGWALL, Running, cannot_run, json_lines, missing, quiet, ringwall, wait_for,
};

const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0";
const ACCEPT: &str = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
const PORT: &str = "8080";

/// A protected site in a network of its own.
struct Field {
    // Dropped first to last: processes before the namespaces they live in.
    ringwall: Running,
    _site: Running,
    network: Network,
    folder: Folder,
    socket: PathBuf,
}

impl Field {
    fn make() -> Self {
        let (folder, network) = (Folder::make("field"), Network::make());
        let log = folder.file("site.log", "");
        std::fs::create_dir(folder.0.join("log")).expect("a log folder can be made");
        let mut site = inside(&network.edge(), "python3");
        site.arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/support/site.py"
        ));
        site.args(["127.0.0.1", "3000"])
            .arg(&log)
            .stdout(Stdio::null());
        let site = Running::start(&mut site);
        let socket = folder.0.join("run/control.sock");
        let text = format!(
            "[edge]\nlisten = [\"{EDGE}:{PORT}\"]\n\
             [edge.access_log]\npath = \"{0}/log/access.log\"\n\
             [[edge.site]]\nhost = [\"*\"]\nto = [\"http://127.0.0.1:3000\"]\nmode = \"enforce\"\n\
             [state]\ndirectory = \"{0}/state\"\n[control]\nsocket = \"{1}\"\n",
            folder.0.display(),
            socket.display()
        );
        let config = folder.file("ringwall.toml", &text);
        let errors =
            std::fs::File::create(folder.0.join("ringwall.log")).expect("a log can be made");
        let mut up = inside(&network.edge(), RINGWALL);
        up.arg("--config")
            .arg(config)
            .arg("up")
            .stdout(Stdio::null())
            .stderr(errors);
        let ringwall_process = Running::start(&mut up);
        let field = Self {
            ringwall: ringwall_process,
            _site: site,
            network,
            folder,
            socket,
        };
        field.wait_until_serving();
        field
    }

    fn wait_until_serving(&self) {
        let edge = self.network.edge();
        wait_for("the site through the edge", Duration::from_secs(20), || {
            let code = curl(&edge, &format!("http://{EDGE}:{PORT}/"));
            if code != "200" {
                println!("{code}: {}", self.said());
            }
            (code == "200").then_some(())
        });
    }

    fn decision_about(&self, address: &str) -> Option<serde_json::Value> {
        let listed = json_lines(&ringwall(&self.socket, &["--json", "decision", "list"]));
        listed
            .into_iter()
            .find(|one| one["value"] == address && one["kind"] == "ban")
    }

    /// Requests of a client that reached the site.
    fn reached(&self, address: &str) -> usize {
        let log = std::fs::read_to_string(self.folder.0.join("site.log")).unwrap_or_default();
        log.lines()
            .filter(|line| line.split(' ').next() == Some(address))
            .count()
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.folder.0.join("ringwall.log")).unwrap_or_default()
    }
}

fn curl(namespace: &str, url: &str) -> String {
    let output = inside(namespace, "curl")
        .args([
            "-s",
            "-o",
            "/dev/null",
            "-m",
            "5",
            "-w",
            "%{http_code}",
            "-A",
            BROWSER,
            url,
        ])
        .output()
        .expect("curl runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

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

/// What the tests need, or why they cannot run.
fn ready() -> bool {
    let tools = missing(&["ip", "python3", "curl", "wrk", "gobuster", "hydra"]);
    if !tools.is_empty() {
        cannot_run(&format!(
            "these tools are missing: {}; 'cargo xtask test' installs them",
            tools.join(", ")
        ));
        return false;
    }
    let probe = format!("rwprobe{}", std::process::id());
    let made = quiet("ip")
        .args(["netns", "add", &probe])
        .status()
        .is_ok_and(|status| status.success());
    let _gone = quiet("ip").args(["netns", "del", &probe]).status();
    if !made {
        cannot_run("network namespaces cannot be made; run as root");
    }
    made
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one story from the first visitor to the drain"
)]
fn gobuster_and_hydra_are_banned_by_what_they_do_while_visitors_notice_nothing() {
    if !ready() {
        return;
    }
    let mut field = Field::make();
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
    if !ready() {
        return;
    }
    let mut field = Field::make();
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
