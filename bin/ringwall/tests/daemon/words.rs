//! The command line's words against a running instance.

use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use crate::instance::{Instance, get_from, site, upstream};
use crate::support::{self, RINGWALL, json_lines};

/// One request for a path from a loopback address; its status.
pub fn get_path(source: [u8; 4], edge: SocketAddr, path: &str) -> u16 {
    use std::io::{Read, Write};
    let socket =
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket
        .bind(&SocketAddr::from((source, 0)).into())
        .expect("loopback addresses are ours");
    if socket.connect(&edge.into()).is_err() {
        return 0;
    }
    let mut stream = TcpStream::from(socket);
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .expect("a time-out can be set");
    let _sent = stream.write_all(
        format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes(),
    );
    let mut answer = Vec::new();
    let _ended = stream.read_to_end(&mut answer);
    support::status_of(&answer)
}

#[test]
fn status_names_every_ring_and_what_is_not_protected() {
    let instance = Instance::start(&site("*", upstream("up")), "");
    let status = instance.say(&["status"]);
    for ring in ["edge", "detection", "network", "container", "dns", "backup"] {
        assert!(status.contains(ring), "{ring}: {status}");
    }
    assert_eq!(status.matches("Not built yet").count(), 4, "{status}");
    assert!(
        status.lines().all(|line| line.chars().count() <= 100),
        "{status}"
    );
    let json = json_lines(&instance.run(&["--json", "status"]));
    assert_eq!(json.len(), 1);
    let mode = std::fs::metadata(instance.socket())
        .expect("a socket")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o660);
}

#[test]
fn pause_enforces_nothing_at_once_and_resume_enforces_again() {
    let instance = Instance::start(&site("*", upstream("up")), "");
    instance.say(&["decision", "add", "127.0.4.1"]);
    assert!(
        matches!(get_from([127, 0, 4, 1], instance.edge, "x").0, 0 | 403),
        "DENY"
    );
    let said = instance.say(&["pause", "1h"]);
    assert!(said.contains("Paused until"), "{said}");
    assert_eq!(get_from([127, 0, 4, 1], instance.edge, "x").0, 200);
    assert!(instance.say(&["status"]).contains("PAUSED"));
    instance.say(&["resume"]);
    assert!(
        matches!(get_from([127, 0, 4, 1], instance.edge, "x").0, 0 | 403),
        "DENY"
    );
    for wrong in [
        &["pause", "soon"][..],
        &["decision", "add", "127.0.4.1", "--for", "5x"],
        &["allowlist", "add", "127.0.4.1", "--for", "0s"],
    ] {
        let output = instance.run(wrong);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("30m"), "{wrong:?}: {said}");
        assert_eq!(output.status.code(), Some(64), "{wrong:?} is bad usage");
    }
}

#[test]
fn an_allowance_lifts_a_ban_and_the_never_ban_list_holds_against_everybody() {
    let instance = Instance::start(&site("*", upstream("up")), "");
    instance.say(&["decision", "add", "127.0.5.0/24"]);
    assert!(
        matches!(get_from([127, 0, 5, 7], instance.edge, "x").0, 0 | 403),
        "DENY"
    );
    instance.say(&["allowlist", "add", "127.0.5.7", "--reason", "the office"]);
    assert_eq!(get_from([127, 0, 5, 7], instance.edge, "x").0, 200);
    assert!(
        matches!(get_from([127, 0, 5, 8], instance.edge, "x").0, 0 | 403),
        "DENY"
    );
    let why = instance.say(&["why", "127.0.5.7"]);
    assert!(
        why.contains("allowed") && why.contains("the office"),
        "{why}"
    );
    let said = instance.refuse(&["decision", "add", "127.0.5.7"]);
    assert!(said.contains("allowlist"), "{said}");
    let said = instance.refuse(&["decision", "add", "127.0.0.1"]);
    assert!(said.contains("never barred"), "{said}");
    instance.say(&["allowlist", "delete", "127.0.5.7"]);
    assert!(
        matches!(get_from([127, 0, 5, 7], instance.edge, "x").0, 0 | 403),
        "DENY again"
    );
    for (words, part) in [
        (vec!["decision", "add", "0.0.0.0/0"], ""),
        (
            vec!["decision", "add", "not-an-address"],
            "neither an address",
        ),
        (
            vec!["decision", "add", "192.0.2.1", "--kind", "banish"],
            "kind",
        ),
        (vec!["decision", "delete", "192.0.2.77"], "No decision"),
        (
            vec!["allowlist", "delete", "192.0.2.77"],
            "not on the allowlist",
        ),
        (vec!["why", "nobody"], "neither an address"),
    ] {
        let said = instance.refuse(&words);
        assert!(
            said.contains(part) && said.ends_with(".\n") || said.contains("list"),
            "{words:?}: {said}"
        );
    }
}

#[test]
fn why_tells_the_events_the_rule_the_expiry_and_both_ways_out() {
    let instance = Instance::start(&site("*", upstream("up")), "");
    for path in [
        "/.env",
        "/.git/config",
        "/.aws/credentials",
        "/id_rsa",
        "/.htpasswd",
        "/backup.sql",
        "/dump.sql",
        "/.svn/entries",
    ] {
        get_path([127, 0, 6, 1], instance.edge, path);
    }
    let why = instance.say(&["why", "127.0.6.1"]);
    let flat = why.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "127.0.6.1 is barred for another",
        "ringwall/http-",
        "events",
        "/.env",
        "ringwall decision delete",
        "ringwall hub tune",
    ] {
        assert!(flat.contains(part), "'{part}' is missing: {why}");
    }
    let remedy = why
        .lines()
        .find_map(|line| line.trim().strip_prefix("ringwall hub tune "))
        .expect("a rule that can be tuned");
    let rule = remedy.split(' ').next().expect("a rule").to_owned();
    let alerts = json_lines(&instance.run(&["--json", "alert", "list"]));
    assert!(
        alerts.iter().any(|one| one["scenario"] == rule.as_str()),
        "{alerts:?}"
    );
    explained(&instance, &rule);
    // The way out that it names works as it is named, and touches no rule file.
    let config = instance
        .folder
        .0
        .join("ringwall.toml")
        .display()
        .to_string();
    let mut tune = vec!["--config", &config, "hub", "tune"];
    tune.extend(remedy.split(' '));
    instance.say(&tune);
    let shown = instance.say(&["explain", "--decision", "127.0.6.1"]);
    assert!(shown.contains("does not run any more"), "{shown}");
}

/// `explain --decision` shows the rule behind a ban as it runs, and notices when it changes.
fn explained(instance: &Instance, rule: &str) {
    let shown = instance.say(&["explain", "--decision", "127.0.6.1"]);
    for part in [
        rule,
        "counts",
        "evt.Meta.",
        "overflows",
        "on event",
        "/.env",
    ] {
        assert!(shown.contains(part), "'{part}' is missing: {shown}");
    }
    assert!(!shown.contains("was changed"), "{shown}");
    let machine = json_lines(&instance.run(&["--json", "explain", "--decision", "127.0.6.1"]));
    let rules = machine[0]["rules"].as_array().expect("rules");
    assert!(
        rules
            .iter()
            .any(|one| one["name"] == rule && one["runs"] == true && one["unchanged"] == true),
        "{machine:?}"
    );
}

#[test]
fn a_refused_visitor_s_reference_tells_the_operator_who_and_why() {
    let instance = Instance::start(&site("*", upstream("up")), "");
    instance.say(&["decision", "add", "127.0.8.1", "--reason", "a mistake"]);
    let (status, answer) = get_from([127, 0, 8, 1], instance.edge, "x");
    assert_eq!(status, 403, "{answer}");
    let reference = answer
        .split(|c: char| !c.is_ascii_hexdigit())
        .find(|word| word.len() == 16)
        .unwrap_or_else(|| panic!("a reference: {answer}"));
    let why = instance.say(&["why", reference]);
    let flat = why.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in ["127.0.8.1 was refused with 403 by book.ban", "a mistake"] {
        assert!(flat.contains(part), "'{part}' is missing: {why}");
    }
    let said = instance.refuse(&["why", "0123456789abcdef"]);
    assert!(said.contains("recent refusal"), "{said}");
}

#[test]
fn strangers_and_nonsense_get_nowhere_on_the_control_socket() {
    use std::io::{Read, Write};
    let instance = Instance::start(&site("*", upstream("up")), "");
    for line in [
        "\n",
        "{}\n",
        "not json\n",
        "{\"version\":99,\"ask\":\"down\"}\n",
    ] {
        let mut stream =
            std::os::unix::net::UnixStream::connect(instance.socket()).expect("it listens");
        stream.write_all(line.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        assert!(answer.contains("error"), "{line}: {answer}");
    }
    assert_eq!(instance.get("x").0, 200);
}

#[test]
fn the_demo_stops_every_attacker_and_hurts_no_visitor() {
    let output = Command::new(RINGWALL)
        .args(["demo", "--once"])
        .output()
        .expect("the demo runs");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{told}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        told.contains("attackers were stopped") && told.contains("none went wrong"),
        "{told}"
    );
    assert!(
        told.lines().all(|line| line.chars().count() <= 80),
        "{told}"
    );
    assert!(
        !told.contains('\x1b'),
        "no colour without a terminal: {told:?}"
    );
    assert!(told.contains("first refusal"), "{told}");
}

#[test]
fn protect_needs_no_configuration_file() {
    let folder = support::Folder::make("protect");
    let port = crate::instance::free_port();
    let edge = SocketAddr::from(([127, 0, 0, 1], port));
    let mut process = support::Running::start(
        Command::new(RINGWALL)
            .args([
                "up",
                "--protect",
                &format!("http://{}", upstream("plain")),
                "--listen",
                &edge.to_string(),
            ])
            .env("STATE_DIRECTORY", &folder.0)
            .env("RINGWALL_CONTROL__SOCKET", folder.0.join("control.sock"))
            .env("RINGWALL_METRICS__OFF", "true")
            .current_dir(&folder.0)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null()),
    );
    support::wait_for("the edge", Duration::from_secs(20), || {
        TcpStream::connect(edge).ok()
    });
    assert!(
        get_from([127, 0, 0, 1], edge, "anything")
            .1
            .ends_with("plain")
    );
    let said = support::ringwall(&folder.0.join("control.sock"), &["down"]);
    assert!(
        said.status.success(),
        "{}",
        String::from_utf8_lossy(&said.stderr)
    );
    support::wait_for("it to end", Duration::from_secs(40), || {
        process.0.try_wait().ok().flatten()
    });
}

#[test]
fn metrics_are_served_on_loopback_and_count() {
    let port = crate::instance::free_port();
    let instance = Instance::start_with_metrics(&site("*", upstream("up")), port);
    assert_eq!(get_from([127, 0, 0, 1], instance.edge, "x").0, 200);
    let answer = support::exchange(
        SocketAddr::from(([127, 0, 0, 1], port)),
        b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
    );
    let text = String::from_utf8_lossy(&answer);
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    for line in [
        "ringwall_edge_requests_total 1",
        "ringwall_edge_answers_total{class=\"2xx\"} 1",
        "ringwall_detect_events_total 1",
        "ringwall_store_healthy 1",
    ] {
        assert!(
            text.lines().any(|told| told == line),
            "{line} is missing: {text}"
        );
    }
    let answer = support::exchange(
        SocketAddr::from(([127, 0, 0, 1], port)),
        b"GET /other HTTP/1.1\r\n\r\n",
    );
    assert_eq!(support::status_of(&answer), 404);
}

#[test]
fn a_hub_checkout_runs_unchanged_on_live_traffic() {
    let Some(hub) = support::shared("hub") else {
        return;
    };
    let shared = hub.parent().expect("it lies in a folder");
    // The daemon gives root up: it reads a copy that everybody may read.
    let copy = support::Folder::make("hub");
    for part in ["hub", "crowdsec/patterns", "crowdsec/sec-lists"] {
        let copied = Command::new("cp")
            .arg("-rL")
            .arg(shared.join(part))
            .arg(&copy.0)
            .status();
        assert!(
            copied.is_ok_and(|status| status.success()),
            "{part} is copied"
        );
    }
    let rights = Command::new("chmod")
        .args(["-R", "a+rX"])
        .arg(&copy.0)
        .status();
    assert!(rights.is_ok_and(|status| status.success()));
    let more = format!(
        "[detection]\nhub = \"{0}/hub\"\nitems = [\"crowdsecurity/base-http-scenarios\"]\npatterns = \"{0}/patterns\"\ndata = \"{0}/sec-lists\"\non_broken_rule = \"refuse\"\n",
        copy.0.display()
    );
    let instance = Instance::start(&site("*", crate::instance::missing_pages()), &more);
    let answers: Vec<u16> = (0..14)
        .map(|number| get_path([127, 0, 7, 1], instance.edge, &format!("/page{number}")))
        .collect();
    assert_eq!(
        answers[..11],
        [404; 11],
        "ten are borne, the eleventh decides"
    );
    assert!(
        answers[11..].iter().all(|status| matches!(status, 0 | 403)),
        "DENY: {answers:?}"
    );
    let why = instance.say(&["why", "127.0.7.1"]);
    assert!(why.contains("crowdsecurity/http-probing"), "{why}");
}

#[test]
fn detection_that_is_off_bars_nobody_and_says_so() {
    let instance = Instance::start(
        &site("*", crate::instance::missing_pages()),
        "[detection]\nenabled = false\n",
    );
    for number in 0..40 {
        assert_eq!(
            get_path([127, 0, 9, 1], instance.edge, &format!("/.env{number}")),
            404
        );
    }
    assert!(instance.say(&["decision", "list"]).contains("No decision"));
    let status = instance.say(&["status"]);
    assert!(status.contains("detection.enabled is false"), "{status}");
}

/// A way to run the program as somebody else: a copy where anybody can reach it,
/// wherever this tree was built.
struct Others {
    folder: support::Folder,
}

impl Others {
    /// `None`, with the reason said, where nobody else can be become.
    fn ready() -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        let root = std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
        if !root || !support::missing(&["setpriv"]).is_empty() {
            support::cannot_run("becoming another user takes root and setpriv");
            return None;
        }
        let folder = support::Folder::make("others");
        std::fs::copy(RINGWALL, folder.0.join("ringwall")).expect("the program can be copied");
        Some(Self { folder })
    }

    fn run_as(&self, user: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", user, "--regid", user, "--clear-groups"]);
        command.arg(self.folder.0.join("ringwall"));
        command
    }
}

#[test]
fn an_ordinary_user_gets_all_that_needs_no_privilege_and_hears_what_is_off() {
    let Some(others) = Others::ready() else {
        return;
    };
    let home = others.folder.0.join("home");
    std::fs::create_dir(&home).expect("a folder");
    std::os::unix::fs::chown(&home, Some(65_534), Some(65_534)).expect("root may");
    let user = |words: &[&str]| {
        let mut command = others.run_as("65534");
        command.args(words).current_dir(&home);
        command
            .env("RINGWALL_METRICS__OFF", "true")
            .env_remove("STATE_DIRECTORY");
        command
    };
    let edge = SocketAddr::from(([127, 0, 0, 1], crate::instance::free_port()));
    let (url, listen) = (format!("http://{}", upstream("plain")), edge.to_string());
    let mut up = user(&["up", "--protect", &url, "--listen", &listen]);
    let process = support::Running::start(
        up.stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null()),
    );
    support::wait_for("the edge", Duration::from_secs(20), || {
        TcpStream::connect(edge).ok()
    });
    assert!(
        get_from([127, 0, 0, 1], edge, "anything")
            .1
            .ends_with("plain")
    );
    let status = user(&["status"]).output().expect("it runs");
    let flat = String::from_utf8_lossy(&status.stdout)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    assert!(
        flat.contains("never held root") && flat.contains("there is no privileged helper"),
        "{flat}"
    );
    drop(process);
    // A privileged port is refused with the reason and the way out.
    let output = user(&["up", "--protect", &url, "--listen", "127.0.0.1:81"])
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && said.contains("Cannot listen on 127.0.0.1:81"),
        "{said}"
    );
}

#[test]
fn a_stranger_is_not_served_even_where_the_socket_stands_open() {
    let Some(others) = Others::ready() else {
        return;
    };
    let instance = Instance::start(&site("*", upstream("up")), "");
    // Somebody opened what must be closed: now only the kernel's word on the caller is left.
    let socket = instance.socket();
    let run = socket.parent().expect("it lies in a folder");
    for (path, mode) in [(run, 0o755), (socket.as_path(), 0o666)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("root may");
    }
    let ask = |words: &[&str]| {
        let mut command = others.run_as("12345");
        command.arg("--socket").arg(&socket).args(words);
        command.output().expect("it runs")
    };
    for words in [
        &["status"][..],
        &["pause"],
        &["decision", "add", "192.0.2.1"],
        &["down"],
    ] {
        let output = ask(words);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && said.contains("does not serve you"),
            "DENY {words:?}: {said}"
        );
    }
    assert!(instance.say(&["status"]).contains("0 decisions in force"));
    assert_eq!(instance.get("x").0, 200);
}
