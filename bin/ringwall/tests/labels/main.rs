//! Sites from the labels of real containers: a Docker engine of the test's own in a
//! network namespace of its own, and Ringwall beside it, never restarted.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a test's helpers fail by panicking and say what they measured"
)]

mod engine;
#[path = "../field/network.rs"]
#[expect(dead_code, reason = "one host is enough here")]
mod network;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use engine::Engine;
use network::{EDGE, Network, inside, ready};
use support::{Folder, RINGWALL, Running, json_lines, ringwall, wait_for};

/// How soon the edge should follow a container: what is printed beside it is measured,
/// what is asserted is four times that, for a machine that does other things too.
const SOON: Duration = Duration::from_secs(2);

/// A host with an engine and Ringwall in front of it.
struct Host {
    // Dropped first to last: processes before the namespace they live in.
    ringwall: Running,
    engine: Engine,
    network: Network,
    folder: Folder,
    socket: PathBuf,
    /// What the configuration says.
    text: String,
}

impl Host {
    fn make() -> Self {
        let (folder, network) = (Folder::make("labels"), Network::make());
        let engine = Engine::start(&folder, &network.edge());
        let socket = folder.0.join("run/control.sock");
        let text = format!(
            "[edge]\nlisten = [\"{EDGE}:8080\"]\naccess_log.off = true\n\
             [[edge.site]]\nhost = [\"file.example.org\", \"*\"]\nto = [\"http://127.0.0.1:9\"]\n\
             [docker]\nlabels = true\nsocket = \"{}\"\nhosts = [\"*.example.org\"]\n\
             [metrics]\noff = true\n\
             [state]\ndirectory = \"{1}/state\"\n[control]\nsocket = \"{2}\"\n",
            engine.socket().display(),
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
        let host = Self {
            ringwall: Running::start(&mut up),
            engine,
            network,
            folder,
            socket,
            text,
        };
        wait_for("the control socket", Duration::from_secs(20), || {
            ringwall(&host.socket, &["status"])
                .status
                .success()
                .then_some(())
        });
        host
    }

    /// Status and first line of what a host answers.
    fn ask(&self, host: &str) -> (u16, String) {
        let output = inside(&self.network.edge(), "curl")
            .args(["-s", "-m", "2", "-w", "\n%{http_code}", "-H"])
            .arg(format!("Host: {host}"))
            .arg(format!("http://{EDGE}:8080/"))
            .output()
            .expect("curl runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (body, code) = text.rsplit_once('\n').unwrap_or((&text, "0"));
        let first = body.lines().next().unwrap_or_default().to_owned();
        (code.parse().unwrap_or(0), first)
    }

    /// Waits for an answer; how long that took.
    fn soon(&self, host: &str, want: (u16, &str)) -> Duration {
        let begun = Instant::now();
        loop {
            let (code, body) = self.ask(host);
            if (code, body.as_str()) == want || (want.1.is_empty() && code == want.0) {
                return begun.elapsed();
            }
            assert!(
                begun.elapsed() < SOON * 4,
                "{host}: {code} {body:?} instead of {want:?}\n{}",
                self.said()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn status(&self) -> serde_json::Value {
        json_lines(&ringwall(&self.socket, &["--json", "status"])).remove(0)
    }

    /// A site as `status` lists it; null where it does not.
    fn site(&self, name: &str) -> serde_json::Value {
        let status = self.status();
        let sites = status["sites"].as_array().cloned().unwrap_or_default();
        let found = sites.into_iter().find(|site| site["name"] == name);
        found.unwrap_or_default()
    }

    /// The problem that is named about a container's label.
    fn fault(&self, container: &str, label: &str) -> String {
        wait_for(&format!("a fault of {container}"), SOON * 4, || {
            let status = self.status();
            let faults = status["labels"]["faults"].as_array()?.clone();
            let found = faults
                .into_iter()
                .find(|fault| fault["container"] == container && fault["label"] == label)?;
            Some(format!("{} {}", found["problem"], found["fix"]))
        })
    }

    /// Reloads with another configuration; whether it was taken, and what was said.
    fn reload_with(&self, text: &str) -> (bool, String) {
        self.folder.file("ringwall.toml", text);
        let reload = ringwall(&self.socket, &["reload"]);
        let said = [reload.stdout, reload.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        (reload.status.success(), said)
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.folder.0.join("ringwall.log")).unwrap_or_default()
    }
}

/// What an engine of the test's own needs.
const NEEDED: [&str; 6] = [
    "dockerd",
    "docker",
    "containerd",
    "runc",
    "iptables",
    "busybox",
];

#[test]
fn sites_follow_containers_without_a_restart() {
    if !ready(&NEEDED) {
        return;
    }
    let mut host = Host::make();
    let pid = host.status()["pid"].clone();

    // Somebody has a long answer under way from beginning to end.
    host.engine
        .serve("steady", "steady", &["ringwall.host=steady.example.org"]);
    let took = host.soon("steady.example.org", (200, "steady"));
    println!("a new container's site answers after {took:?}, wanted within {SOON:?}");
    let ticks = host.folder.0.join("ticks");
    let mut stream = inside(&host.network.edge(), "curl");
    stream.args(["-sN", "-H", "Host: steady.example.org"]);
    stream
        .arg(format!("http://{EDGE}:8080/cgi-bin/slow"))
        .arg("-o")
        .arg(&ticks);
    let mut stream = Running::start(&mut stream);
    let heard = || {
        std::fs::read_to_string(&ticks)
            .unwrap_or_default()
            .lines()
            .filter(|line| *line == "tick")
            .count()
    };
    wait_for("the stream", Duration::from_secs(5), || {
        (heard() > 0).then_some(())
    });

    replicas_share_and_strangers_do_not(&host);
    wrong_labels_are_named_and_touch_nobody(&host);
    an_address_of_the_lan_is_no_containers(&host);
    a_stopped_container_answers_503(&host);
    the_engine_may_crash(&mut host);

    assert_eq!(host.status()["pid"], pid, "DENY: it was restarted");
    let before = heard();
    wait_for("more of the stream", Duration::from_secs(5), || {
        (heard() > before).then_some(())
    });
    assert!(
        matches!(stream.0.try_wait(), Ok(None)),
        "DENY: the stream broke"
    );
    println!("the stream told {} times", heard());
    assert!(host.ringwall.terminate(Duration::from_secs(40)).is_some());
}

fn replicas_share_and_strangers_do_not(host: &Host) {
    let label = ["ringwall.host=shop.example.org"];
    host.engine.serve("shop-web-1", "shop", &label);
    let took = host.soon("shop.example.org", (200, "shop-web-1"));
    println!("a project's first container answers after {took:?}");
    host.engine.serve("shop-web-2", "shop", &label);
    let took = host.soon("shop.example.org", (200, "shop-web-2"));
    println!("a replica gets requests after {took:?}");
    host.engine.serve("thief", "ci", &label);
    let said = host.fault("thief", "ringwall.host");
    assert!(said.contains("belongs to the project"), "{said}");
    let mut met = BTreeSet::new();
    for _ in 0..20 {
        let (code, body) = host.ask("shop.example.org");
        assert_eq!(code, 200);
        met.insert(body);
    }
    let both: Vec<_> = met.iter().map(String::as_str).collect();
    assert_eq!(
        both,
        ["shop-web-1", "shop-web-2"],
        "DENY: not these two alone"
    );
    let shop = host.site("shop.example.org");
    // Docker tells them in an order of its own.
    let mut told: Vec<_> = shop["containers"]
        .as_array()
        .into_iter()
        .flatten()
        .collect();
    told.sort_by_key(|name| name.to_string());
    assert_eq!(told, ["shop-web-1", "shop-web-2"]);
    assert!(
        shop["volume_from"].is_string(),
        "a new site learns first: {shop}"
    );
    host.engine.run(&["rm", "-f", "thief"]);
}

fn wrong_labels_are_named_and_touch_nobody(host: &Host) {
    for (name, label, at, part) in [
        (
            "w-port",
            "ringwall.port=http",
            "ringwall.port",
            "1 to 65535",
        ),
        (
            "w-net",
            "ringwall.network=back",
            "ringwall.network",
            "bridge",
        ),
        (
            "w-tls",
            "ringwall.tls=true",
            "ringwall.tls",
            "no such label",
        ),
        (
            "w-host",
            "ringwall.host=other.example.net",
            "ringwall.host",
            "docker.hosts",
        ),
        (
            "w-file",
            "ringwall.host=file.example.org",
            "ringwall.host",
            "configuration",
        ),
        ("w-any", "ringwall.host=*", "ringwall.host", "may not claim"),
    ] {
        let own = format!("ringwall.host={name}.example.org");
        let labels = if at == "ringwall.host" {
            vec![label]
        } else {
            vec![own.as_str(), label]
        };
        host.engine.serve(name, "", &labels);
        let said = host.fault(name, at);
        assert!(said.contains(part), "DENY {name}: {said}");
    }
    host.engine.run(&["rm", "-f", "w-host", "w-file", "w-any"]);
    assert_eq!(
        host.ask("w-port.example.org").0,
        503,
        "held, and nobody answers"
    );
    host.soon("w-tls.example.org", (200, "w-tls"));
    assert_eq!(host.ask("file.example.org").0, 502, "the file's own");
    assert_eq!(host.ask("steady.example.org").0, 200);
    let word = String::from_utf8_lossy(&ringwall(&host.socket, &["status"]).stdout).into_owned();
    assert!(word.contains("Label wrong: container \"w-port\""), "{word}");
    host.engine.run(&["rm", "-f", "w-port", "w-net", "w-tls"]);
}

/// Whoever writes a Compose file chooses the addresses of its networks.
fn an_address_of_the_lan_is_no_containers(host: &Host) {
    let engine = &host.engine;
    // The host's own LAN, with its own address as the gateway.
    engine.run(&[
        "network",
        "create",
        "--driver",
        "macvlan",
        "--opt",
        "parent=br0",
        "--subnet",
        "198.51.100.0/24",
        "--gateway",
        EDGE,
        "lan",
    ]);
    engine.serve_in("lan", "w-lan", "", &["ringwall.host=lan.example.org"]);
    let said = host.fault("w-lan", "ringwall.network");
    assert!(said.contains("is not behind br-"), "DENY: {said}");
    assert_eq!(
        host.ask("lan.example.org").0,
        503,
        "DENY: held, and no more"
    );
    // A network of the containers' own, with and without a way out, is a bridge.
    for (name, flag) in [("own", "--internal=false"), ("inner", "--internal")] {
        engine.run(&["network", "create", flag, name]);
        let label = format!("ringwall.host={name}.example.org");
        // Docker tells no exposed ports of a container in an internal network alone.
        engine.serve_in(name, name, "", &[&label, "ringwall.port=80"]);
        host.soon(&format!("{name}.example.org"), (200, name));
    }
    engine.run(&["rm", "-f", "w-lan", "own", "inner"]);
}

fn a_stopped_container_answers_503(host: &Host) {
    host.engine
        .run(&["stop", "-t", "0", "shop-web-1", "shop-web-2"]);
    let took = host.soon("shop.example.org", (503, ""));
    println!("a stopped container's site answers 503 after {took:?}");
    assert_eq!(host.ask("steady.example.org"), (200, "steady".to_owned()));
    host.engine.run(&["start", "shop-web-2"]);
    host.soon("shop.example.org", (200, "shop-web-2"));
    // Removed: its host must not fall to the site for '*', which answers 502.
    host.engine.run(&["rm", "-f", "shop-web-1", "shop-web-2"]);
    host.soon("shop.example.org", (503, ""));
    assert_eq!(host.ask("unknown.example.org").0, 502, "the site for '*'");
    wait_for("the removal to be seen", SOON * 4, || {
        host.site("shop.example.org")["containers"]
            .as_array()?
            .is_empty()
            .then_some(())
    });
    // A reload that is refused frees nothing for whoever waits.
    let other = host.text.replace(":8080", ":8081");
    let (taken, said) = host.reload_with(&other);
    assert!(!taken && said.contains("The listeners changed"), "{said}");
    let label = ["ringwall.host=shop.example.org"];
    host.engine.serve("heir", "ci", &label);
    let said = host.fault("heir", "ringwall.host");
    assert!(said.contains("held for containers"), "DENY: {said}");
    assert_eq!(host.ask("shop.example.org").0, 503, "DENY: given away");
    host.engine.run(&["rm", "-f", "heir"]);
    wait_for("the heir to be gone", SOON * 4, || {
        host.status()["labels"]["faults"]
            .as_array()?
            .iter()
            .all(|fault| fault["container"] != "heir")
            .then_some(())
    });
    let (taken, said) = host.reload_with(&host.text);
    assert!(taken, "{said}");
    assert_eq!(host.ask("shop.example.org").0, 502, "a reload frees it");
}

fn the_engine_may_crash(host: &mut Host) {
    host.engine
        .serve("late", "", &["ringwall.host=late.example.org"]);
    host.soon("late.example.org", (200, "late"));
    host.engine.crash();
    let why = wait_for("the loss to be told", SOON * 4, || {
        host.status()["labels"]["why"].as_str().map(str::to_owned)
    });
    println!("said: {why}");
    for name in ["steady", "late"] {
        let answer = host.ask(&format!("{name}.example.org"));
        assert_eq!(
            answer,
            (200, name.to_owned()),
            "DENY: it did not stay as it was"
        );
    }
    host.engine.raise();
    wait_for("Docker to be heard again", Duration::from_secs(40), || {
        host.status()["labels"]["connected"]
            .as_bool()?
            .then_some(())
    });
    host.engine.run(&["rm", "-f", "late"]);
    host.soon("late.example.org", (503, ""));
    host.engine
        .serve("again", "", &["ringwall.host=again.example.org"]);
    host.soon("again.example.org", (200, "again"));
}
