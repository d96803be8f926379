//! Where it stands: behind a real HAProxy, trusted and not, by headers and by the PROXY
//! protocol.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::instance::{Instance, free_port, get_from, site};
use crate::support::{Folder, Running, cannot_run, missing, quiet, wait_for};

/// The address from which HAProxy calls us.
const BALANCER: &str = "127.0.4.5";

/// An upstream that answers with the head that it was sent.
fn mirror() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || reflect(stream));
        }
    });
    address
}

fn reflect(mut stream: TcpStream) {
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        seen.extend_from_slice(&buffer[..read]);
        while let Some(end) = seen.windows(4).position(|four| four == b"\r\n\r\n") {
            let head: Vec<u8> = seen.drain(..end + 4).collect();
            let length = head.len();
            let mut answer =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").into_bytes();
            answer.extend(head);
            if stream.write_all(&answer).is_err() {
                return;
            }
        }
    }
}

/// A running HAProxy in front of an edge.
struct HaProxy {
    _process: Running,
    address: SocketAddr,
}

impl HaProxy {
    /// `frontend` and `server` are lines and words of its configuration.
    fn start(folder: &Folder, mode: &str, more: &str, edge: SocketAddr, server: &str) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let text = format!(
            "global\n  log stderr format raw daemon emerg\n\
             defaults\n  mode {mode}\n  timeout connect 5s\n  timeout client 20s\n  timeout server 20s\n\
             frontend f\n  bind {address}\n  default_backend b\n\
             backend b\n  {more}\n  source {BALANCER}\n  server s {edge} {server}\n"
        );
        let file = folder.file(&format!("haproxy-{}.cfg", address.port()), &text);
        let mut command = Command::new("haproxy");
        command.arg("-db").arg("-f").arg(file).stdout(Stdio::null());
        let started = Self {
            _process: Running::start(&mut command),
            address,
        };
        wait_for("haproxy", Duration::from_secs(20), || {
            TcpStream::connect(address).ok()
        });
        started
    }
}

fn ready() -> bool {
    let missing = missing(&["haproxy", "curl"]);
    if !missing.is_empty() {
        cannot_run(&format!("missing: {}", missing.join(", ")));
    }
    missing.is_empty()
}

fn said<'a>(answer: &'a str, name: &str) -> Vec<&'a str> {
    let lines = answer.lines().filter_map(|line| line.split_once(": "));
    lines
        .filter(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
        .collect()
}

/// One request of a visitor at `source`, with a browser's or another name and headers.
fn visit(source: &str, to: SocketAddr, agent: &str, headers: &[&str]) -> String {
    let mut curl = Command::new("curl");
    curl.args(["-s", "-k", "-m", "10", "--interface", source, "-A", agent]);
    for header in headers {
        curl.args(["-H", header]);
    }
    let output = curl
        .arg(format!("http://{to}/"))
        .stderr(Stdio::null())
        .output()
        .expect("curl runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Many visitors' requests through HAProxy on a few connections.
fn crowd(to: SocketAddr) {
    for agent in ["Mozilla/5.0 one", "Mozilla/5.0 another one", "curl/8"] {
        // One page again and again: many would look like a crawler, and be barred.
        let urls = vec![format!("http://{to}/"); 100];
        let ran = quiet("curl").args(["-s", "-A", agent]).args(urls).status();
        assert!(ran.is_ok_and(|status| status.success()), "{agent}");
    }
}

#[test]
fn a_proxy_that_nobody_trusts_is_named_with_the_share_and_the_fix_and_the_fix_works() {
    if !ready() {
        return;
    }
    let sites = site("*", mirror());
    let metrics = free_port();
    let instance = Instance::start_with_metrics(&sites, metrics);
    let haproxy = HaProxy::start(
        &instance.folder,
        "http",
        "option forwardfor",
        instance.edge,
        "",
    );
    let fresh = instance.say(&["status"]);
    assert!(fresh.contains("Sees visitors' own addresses"), "{fresh}");
    crowd(haproxy.address);
    for _ in 0..50 {
        assert_eq!(get_from([127, 0, 4, 9], instance.edge, "x").0, 200);
    }
    let status = || instance.say(&["--json", "status"]);
    // The figures are a second old at most; 300 of 350 came through HAProxy.
    let told = wait_for("the status to say so", Duration::from_secs(20), || {
        let view: serde_json::Value = serde_json::from_str(&status()).expect("JSON");
        let through = &view["traffic"]["through"];
        (through[0]["requests"] == 300 && through[1]["requests"] == 50).then_some(view)
    });
    let percent = told["traffic"]["hidden_percent"].as_u64().unwrap_or(0);
    assert_eq!(percent, 85, "300 of 350: {told}");
    assert_eq!(told["traffic"]["through"][0]["address"], BALANCER);
    let words: String = instance
        .say(&["status"])
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    for part in [
        format!("{percent} % of requests come through {BALANCER}, so addresses are not visible"),
        format!("edge.trusted_proxies = [\"{BALANCER}\"]"),
    ] {
        assert!(words.contains(&part), "{part}\n{words}");
    }
    let page = figures(metrics);
    assert!(
        page.contains(&format!("ringwall_edge_hidden_percent {percent}")),
        "{page}"
    );
    println!("{percent} % were said to come through {BALANCER}");

    // What the application was told before, and after doing what was said.
    let before = visit("127.0.4.7", haproxy.address, "curl/8", &[]);
    assert_eq!(said(&before, "x-forwarded-for"), [BALANCER], "{before}");
    let file = instance.folder.0.join("ringwall.toml");
    let text = std::fs::read_to_string(&file).expect("it is there");
    let text = text.replace(
        "[edge]\n",
        &format!("[edge]\ntrusted_proxies = [\"{BALANCER}\"]\n"),
    );
    std::fs::write(&file, text).expect("it can be written");
    instance.say(&["reload"]);
    let after = visit(
        "127.0.4.7",
        haproxy.address,
        "curl/8",
        &["X-Forwarded-For: 192.0.2.66"],
    );
    assert_eq!(said(&after, "x-forwarded-for"), ["127.0.4.7"], "{after}");
    // What came before is forgotten, and what comes now is visible.
    let carried = |most: bool| {
        let view: serde_json::Value = serde_json::from_str(&status()).expect("JSON");
        let traffic = &view["traffic"];
        let through = traffic["through"][0]["requests"].as_u64().unwrap_or(0);
        let well = traffic["hidden_percent"].is_null() && (through >= 300) == most;
        well.then_some(())
    };
    wait_for("the old figures to go", Duration::from_secs(20), || {
        carried(false)
    });
    crowd(haproxy.address);
    wait_for("visible visitors", Duration::from_secs(20), || {
        carried(true)
    });
}

/// The page of figures.
fn figures(port: u16) -> String {
    let output = Command::new("curl")
        .args(["-s", &format!("http://127.0.0.1:{port}/metrics")])
        .output()
        .expect("curl runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_balancer_that_passes_bytes_on_introduces_each_visitor() {
    if !ready() {
        return;
    }
    let folder = Folder::make("standing");
    let edge = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let listen = format!("listen = [\"{edge}\"]");
    let text = crate::instance::text(&folder, edge, &site("*", mirror()), "").replace(
        &listen,
        &format!(
            "listen = [{{ address = \"{edge}\", tls = false, proxy_protocol = true }}]\n\
             trusted_proxies = [\"{BALANCER}\"]"
        ),
    );
    folder.file("ringwall.toml", &text);
    let instance = Instance::again(folder, edge);
    for (version, server) in [
        ("1", "send-proxy check inter 200ms"),
        ("2", "send-proxy-v2 check check-send-proxy inter 200ms"),
        (
            "2, with fields",
            "send-proxy-v2 proxy-v2-options crc32c,unique-id check inter 200ms",
        ),
    ] {
        let haproxy = HaProxy::start(&instance.folder, "tcp", "", edge, server);
        let forged = [
            "X-Forwarded-For: 192.0.2.66",
            "Forwarded: for=192.0.2.66",
            "CF-Connecting-IP: 192.0.2.66",
            "Client-IP: 192.0.2.66",
            "Proxy: http://192.0.2.66",
        ];
        let answer = visit("127.0.4.7", haproxy.address, "curl/8", &forged);
        assert_eq!(
            said(&answer, "x-forwarded-for"),
            ["127.0.4.7"],
            "{version}: {answer}"
        );
        assert!(!answer.contains("192.0.2.66"), "DENY {version}: {answer}");
        // A ban meets the visitor whom the balancer names, and nobody else behind it.
        instance.say(&[
            "decision",
            "add",
            "127.0.4.8",
            "--for",
            "1h",
            "--reason",
            "test",
        ]);
        let (code, answer) = get_from([127, 0, 4, 8], haproxy.address, "x");
        assert!(matches!(code, 0 | 403), "DENY {version}: {answer}");
        assert_eq!(
            get_from([127, 0, 4, 7], haproxy.address, "x").0,
            200,
            "{version}"
        );
    }
    // DENY: a visitor who comes past the balancer and introduces himself
    let mut stream = TcpStream::connect(edge).expect("the edge listens");
    let _sent = stream
        .write_all(b"PROXY TCP4 127.0.4.7 127.0.0.1 1 80\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut answer = Vec::new();
    let _ended = stream.read_to_end(&mut answer);
    assert!(
        answer.is_empty(),
        "DENY {}",
        String::from_utf8_lossy(&answer)
    );
    // A balancer that forgot it is named in a sentence.
    let silent = HaProxy::start(&instance.folder, "tcp", "", edge, "");
    assert_eq!(get_from([127, 0, 4, 7], silent.address, "x").0, 0, "DENY");
    let words: String = instance
        .say(&["status"])
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    assert!(words.contains("came without the PROXY protocol"), "{words}");
    assert!(
        words.contains("edge.trusted_proxies does not name"),
        "{words}"
    );
}

#[test]
fn fewer_open_files_than_asked_for_are_said() {
    let folder = Folder::make("standing");
    let edge = SocketAddr::from(([127, 0, 0, 1], free_port()));
    folder.file(
        "ringwall.toml",
        &crate::instance::text(&folder, edge, &site("*", mirror()), ""),
    );
    let log = std::fs::File::create(folder.0.join("log")).expect("a log can be made");
    let script = format!(
        "ulimit -n 1024 && exec '{}' --config '{}/ringwall.toml' up",
        crate::support::RINGWALL,
        folder.0.display()
    );
    let _process = Running::start(
        Command::new("sh")
            .args(["-c", &script])
            .stdout(Stdio::null())
            .stderr(log),
    );
    let socket = folder.0.join("run/control.sock");
    let status = wait_for("the control socket", Duration::from_secs(20), || {
        let output = crate::support::ringwall(&socket, &["status"]);
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    });
    let words: String = status.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("672 connections in total"), "{words}");
    assert!(
        words.contains("asks for 20000") && words.contains("LimitNOFILE"),
        "{words}"
    );
    let log = std::fs::read_to_string(folder.0.join("log")).unwrap_or_default();
    assert!(log.contains("room for fewer connections"), "{log}");
}

#[test]
fn callers_who_say_nothing_hold_up_the_control_socket_for_a_second_or_two() {
    let instance = Instance::start(&site("*", mirror()), "");
    let silent: Vec<_> = (0..40)
        .map(|_| std::os::unix::net::UnixStream::connect(instance.socket()).expect("it listens"))
        .collect();
    let began = std::time::Instant::now();
    instance.say(&["status"]);
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5), "DENY {took:?}");
    drop(silent);
    println!("status behind 40 silent callers took {took:?}");
}
