//! Containers' labels through the helper, from an engine that does its worst.

use std::fs;
use std::io::{BufRead as _, BufReader, PipeReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use host::docker::Frame;
use host::{Client, HostError};

use crate::Test;
use crate::fixture::{launch, policy_of};

pub(crate) const TESTS: &[Test] = &[
    ("labels_are_told_and_nothing_else_of_a_container", told),
    ("docker_is_not_opened_where_nobody_configured_it", unasked),
    (
        "pipes_that_nobody_reads_hold_one_thread_and_no_more",
        unread,
    ),
    (
        "an_engine_that_talks_nonsense_is_a_loss_and_no_more",
        nonsense,
    ),
];

const LIST: &str = r#"[{"Id":"0123456789abcdef","Names":["/web"],"Created":5,"State":"running",
    "Command":"run --password=secret","Labels":{"ringwall.host":"a.example.org","token":"secret"},
    "Ports":[{"PrivatePort":80,"Type":"tcp"}],"Mounts":[{"Source":"/secret"}],
    "NetworkSettings":{"Networks":{"net":{"IPAddress":"203.0.113.2","Gateway":"203.0.113.1"}}}}]"#;

/// What an engine does.
#[derive(Default)]
struct Acts {
    /// Its answer to the question for containers, head and all.
    answer: String,
    asked: Vec<String>,
    listeners: Vec<UnixStream>,
}

struct Engine(Arc<Mutex<Acts>>);

impl Engine {
    fn start(socket: &Path, list: &str) -> Self {
        let acts = Arc::new(Mutex::new(Acts::default()));
        let engine = Self(Arc::clone(&acts));
        engine.answer(&format!("HTTP/1.0 200 OK\r\n\r\n{list}"));
        let listener = UnixListener::bind(socket).unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                serve(stream.unwrap(), &acts);
            }
        });
        engine
    }

    fn answer(&self, text: &str) {
        self.0.lock().unwrap().answer = text.to_owned();
    }

    /// Something happened.
    fn event(&self) {
        for stream in &mut self.0.lock().unwrap().listeners {
            drop(stream.write_all(b"{\"Type\":\"nonsense\"}\n"));
        }
    }

    /// The daemon ends, as far as open connections show it.
    fn hang_up(&self) {
        self.0.lock().unwrap().listeners.clear();
    }
}

fn serve(stream: UnixStream, acts: &Mutex<Acts>) {
    let mut head = BufReader::new(&stream);
    let mut first = String::new();
    head.read_line(&mut first).unwrap();
    let mut line = String::new();
    while head.read_line(&mut line).unwrap() > 2 {
        line.clear();
    }
    let mut acts = acts.lock().unwrap();
    acts.asked.push(first.trim().to_owned());
    let mut out = &stream;
    if first.starts_with("GET /events") {
        drop(out.write_all(b"HTTP/1.0 200 OK\r\n\r\n"));
        acts.listeners.push(stream);
    } else {
        drop(out.write_all(acts.answer.as_bytes()));
    }
}

fn helper(dir: &Path, policy: &str) -> Client {
    fs::write(policy_of(dir), policy).unwrap();
    let (child, channel) = host_sys::process::spawn_self(&launch(dir).arguments).unwrap();
    Client::greet(channel, Some(child)).unwrap()
}

fn frame(lines: &mut BufReader<PipeReader>) -> Option<Frame> {
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    assert!(!line.contains("secret"), "DENY: {line}");
    serde_json::from_str(&line).ok()
}

fn names(frame: Option<Frame>) -> Vec<String> {
    match frame {
        Some(Frame::Sight(sight)) => sight.containers.into_iter().map(|one| one.name).collect(),
        other => panic!("no list: {other:?}"),
    }
}

fn told() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("docker.sock");
    let policy = format!("docker {}\n", socket.display());
    let client = helper(dir.path(), &policy); // before any thread exists
    let engine = Engine::start(&socket, LIST);
    let mut lines = BufReader::new(client.docker_events().unwrap());
    assert_eq!(names(frame(&mut lines)), ["web"]);
    // The peer holds a pipe's reading end: nothing can be said through it.
    let descriptor = std::os::fd::AsRawFd::as_raw_fd(lines.get_ref());
    let kind = fs::read_link(format!("/proc/self/fd/{descriptor}")).unwrap();
    assert!(
        kind.to_string_lossy().starts_with("pipe:"),
        "DENY: {kind:?}"
    );
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{descriptor}")).unwrap();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    let last = flags.and_then(|flags| flags.trim().chars().last());
    assert_eq!(last, Some('0'), "DENY: it can be written to: {info}");

    engine.answer(&format!(
        "HTTP/1.0 200 OK\r\n\r\n{}",
        LIST.replace("/web", "/shop")
    ));
    engine.event();
    assert_eq!(
        names(frame(&mut lines)),
        ["shop"],
        "an event is a reason to list"
    );
    engine.answer("HTTP/1.0 200 OK\r\n\r\n[]");
    engine.hang_up();
    assert!(matches!(frame(&mut lines), Some(Frame::Lost { .. })));
    assert!(
        names(frame(&mut lines)).is_empty(),
        "listed anew after a loss"
    );

    let mut second = BufReader::new(client.docker_events().unwrap());
    assert!(frame(&mut lines).is_none(), "one pipe at a time");
    assert!(names(frame(&mut second)).is_empty());
    fs::write(policy_of(dir.path()), "").unwrap();
    client.reload().unwrap();
    assert!(
        frame(&mut second).is_none(),
        "DENY: told what is no longer configured"
    );
    for asked in &engine.0.lock().unwrap().asked {
        let known = asked.starts_with("GET /events?filters=")
            || *asked == "GET /containers/json?all=true HTTP/1.0";
        assert!(known, "DENY: {asked}");
    }
}

fn unasked() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("docker.sock");
    let client = helper(dir.path(), "");
    let engine = Engine::start(&socket, LIST);
    let refused = client.docker_events();
    assert!(
        matches!(refused, Err(HostError::Refused { .. })),
        "DENY: {refused:?}"
    );
    assert!(engine.0.lock().unwrap().asked.is_empty());
}

fn unread() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("docker.sock");
    let policy = format!("docker {}\n", socket.display());
    let client = helper(dir.path(), &policy); // before any thread exists
    let one = |number: usize| {
        let name = format!("/web{number}");
        LIST.trim_matches(['[', ']']).replace("/web", &name)
    };
    let list: Vec<String> = (0..500).map(one).collect();
    // A frame of it is longer than a pipe: the thread that writes it waits.
    let _engine = Engine::start(&socket, &format!("[{}]", list.join(",")));
    let host::HelperState::Serving { pid } = client.state() else {
        panic!("no helper");
    };
    let threads = || fs::read_dir(format!("/proc/{pid}/task")).unwrap().count();
    let before = threads();
    let mut asked = Vec::new();
    let refused = (0..100).any(|_| {
        let one = client.docker_events();
        let refused = one.is_err();
        asked.push(one); // unread
        thread::sleep(Duration::from_millis(20)); // until its thread writes
        refused
    });
    assert!(refused, "DENY: {} pipes", asked.len());
    assert!(threads() <= before + 1, "DENY: {} threads", threads());
    // Whoever lets go of the pipe gets another, and may read it.
    drop(asked);
    let mut lines = BufReader::new(client.docker_events().unwrap());
    assert_eq!(names(frame(&mut lines)).len(), 500);
    assert!(client.ping().is_ok());
}

fn nonsense() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("docker.sock");
    let policy = format!("docker {}\n", socket.display());
    let client = helper(dir.path(), &policy); // before any thread exists
    let engine = Engine::start(&socket, LIST);
    let huge = format!("HTTP/1.0 200 OK\r\n\r\n[{}", " ".repeat((16 << 20) + 1)); // without an end
    let deep = format!("HTTP/1.0 200 OK\r\n\r\n{}", "[".repeat(100_000));
    // DENY: each is told as a loss, and the helper lives
    for answer in [
        "",
        "HTTP/1.0 500 Oh\r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\n{\"message\":\"no\"}",
        "HTTP/1.0 200 OK\r\n\r\n[{\"Id\":7}]",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n",
        &huge,
        &deep,
    ] {
        engine.answer(answer);
        let mut lines = BufReader::new(client.docker_events().unwrap());
        let told = frame(&mut lines);
        let start: String = answer.chars().take(60).collect();
        assert!(
            matches!(told, Some(Frame::Lost { .. })),
            "{start:?}: {told:?}"
        );
    }
    fs::remove_file(&socket).unwrap();
    let mut lines = BufReader::new(client.docker_events().unwrap());
    let Some(Frame::Lost { why }) = frame(&mut lines) else {
        panic!("not lost");
    };
    assert!(why.contains("there is no socket"), "{why}");
    // Come back, it is found.
    let _back = Engine::start(&socket, LIST);
    assert_eq!(names(frame(&mut lines)), ["web"]);
    assert!(client.ping().is_ok());
    let mut rest = [0; 1];
    drop(client);
    thread::sleep(Duration::from_millis(10));
    assert_eq!(
        lines.read(&mut rest).unwrap(),
        0,
        "the pipe ends with the helper"
    );
}
