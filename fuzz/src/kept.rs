//! What is kept in files and said between processes: configuration, the book's log, the
//! control socket, the privileged helper.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use book::{Book, Bounds, Entry};
use config::{Blind, Surroundings};
use host::desk::Desk;
use host::{FileRule, ListenerRule, Policy};

/// The protocol alone; the rest of its room has sockets, TLS and a database.
#[path = "../../app/src/control/protocol.rs"]
#[allow(dead_code, missing_docs, reason = "only questions are read here")]
mod protocol;

pub(crate) fn config_seeds() -> Vec<Vec<u8>> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let mut seeds: Vec<Vec<u8>> = std::fs::read(Path::new(root).join("ringwall.example.toml"))
        .into_iter()
        .collect();
    seeds.push(b"[edge]\nlisten = [\"127.0.0.1:80\"]\n[[edge.site]]\nhost = [\"a\"]\nto = [\"http://127.0.0.1:1\"]\n".to_vec());
    seeds
}

/// Whatever stands in the file: a configuration, or faults that say something. No DoS by size.
pub(crate) fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let around = Surroundings {
        env: BTreeMap::new(),
        directory: PathBuf::from("/"),
        root: false,
        probe: &Blind,
    };
    let read = || config::parse(Path::new("/ringwall.toml"), text, &around);
    match (read(), read()) {
        (Ok((one, _)), Ok((two, _))) => assert_eq!(one, two),
        (Err(faults), Err(_)) => assert!(!faults.to_string().is_empty()),
        _ => panic!("the same text is read in two ways"),
    }
}

pub(crate) fn entry_seeds() -> Vec<Vec<u8>> {
    let head = r#"{"node":"n1","epoch":1,"seq":1,"uuid":"0123456789abcdef0123456789abcdef","at":"2026-11-22T12:00:00Z","op":"#;
    [
        r#"{"remove":{"ids":[],"by":"x","why":"y"}}}"#,
        r#"{"op":"allowlist_remove","ids":[]}}"#,
    ]
    .map(|tail| format!("{head}{tail}").into_bytes())
    .to_vec()
}

/// An entry that is read is written and read as the same; the book takes it twice and is
/// not changed by the second time.
pub(crate) fn entry(data: &[u8]) {
    let bounds = Bounds {
        decisions: 64,
        allow_items: 64,
        tombstones: 64,
        sources: 64,
        nodes: 4,
        ..Bounds::default()
    };
    let mut book = Book::new(bounds);
    for line in data.split(|byte| *byte == b'\n') {
        let Ok(entry) = Entry::from_json(line) else {
            continue;
        };
        let text = entry.to_json().expect("what was read can be written");
        assert_eq!(
            Entry::from_json(text.as_bytes()).expect("what was written can be read"),
            entry
        );
        book.apply(&entry);
        let before = book.len();
        book.apply(&entry);
        assert_eq!(book.len(), before);
        assert!(before <= 64);
    }
}

pub(crate) fn control_seeds() -> Vec<Vec<u8>> {
    [
        r#"{"version":1,"ask":"status"}"#,
        r#"{"version":1,"ask":"pause","seconds":5}"#,
        r#"{"version":1,"ask":"decide","value":"192.0.2.1","kind":"ban","seconds":5,"reason":"x"}"#,
        r#"{"version":1,"ask":"allow","value":"192.0.2.0/24","reason":"x","seconds":null}"#,
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

pub(crate) fn control(data: &[u8]) {
    let Ok(question) = serde_json::from_slice::<protocol::Question>(data) else {
        return;
    };
    let text = serde_json::to_vec(&question).expect("a question can be written");
    let again: protocol::Question = serde_json::from_slice(&text).expect("and read");
    assert_eq!(again, question);
}

pub(crate) fn helper_seeds() -> Vec<Vec<u8>> {
    [
        r#"{"number":1,"verb":{"hello":{"version":1}}}"#,
        "{\"number\":1,\"verb\":{\"hello\":{\"version\":1}}}\n{\"number\":2,\"verb\":{\"bind_listener\":{\"id\":\"192.0.2.1:80\",\"share\":0}}}",
        "{\"number\":1,\"verb\":{\"hello\":{\"version\":1}}}\n{\"number\":2,\"verb\":{\"open_configured\":{\"id\":\"/etc/cert.pem\"}}}\n{\"number\":3,\"verb\":\"reload\"}",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// Whatever the unprivileged process says: nothing is opened or bound that is not configured.
pub(crate) fn helper(data: &[u8]) {
    let listener = ListenerRule::new("192.0.2.1:80".parse().expect("an address"), 2);
    let policy = Policy {
        listeners: vec![listener],
        files: vec![FileRule::new("/etc/cert.pem")],
        docker: None,
    };
    let start = Instant::now();
    let mut desk = Desk::new(policy.clone(), start);
    let (mut bound, lines) = (0, data.split(|byte| *byte == b'\n'));
    for (number, line) in (0_u32..).zip(lines) {
        let (_, order) = desk.judge(line, false, start + Duration::from_millis(10) * number);
        match &order {
            host::desk::Order::Bind(rule) => {
                assert!(policy.listeners.contains(rule));
                bound += 1;
            }
            host::desk::Order::Open(rule) => assert!(policy.files.contains(rule)),
            host::desk::Order::Part(_) => return,
            _ => {}
        }
        desk.note(&order, true);
    }
    assert_eq!(desk.counted().bound, bound);
}
