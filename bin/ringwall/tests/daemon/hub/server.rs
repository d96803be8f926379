//! A hub on loopback, plain or over TLS, whose files a test changes as it likes.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use sha2::{Digest, Sha256};

/// What becomes of the files.
type Change = Box<dyn FnOnce(&mut Files) + Send>;

/// What the hub answers with.
#[derive(Default)]
pub struct Files {
    /// By path, without the first slash.
    pub files: BTreeMap<String, Vec<u8>>,
    /// How long each answer takes.
    pub rest: Duration,
    /// What was asked for.
    pub asked: Vec<String>,
    /// Done once, right after the index was sent.
    pub after_index: Option<Change>,
    index: serde_json::Map<String, serde_json::Value>,
}

/// A hub.
#[derive(Clone)]
pub struct Hub {
    pub address: SocketAddr,
    files: Arc<Mutex<Files>>,
}

impl Hub {
    pub fn start() -> Self {
        Self::with(None)
    }

    pub fn with(tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let hub = Self {
            address: listener.local_addr().expect("it is bound"),
            files: Arc::default(),
        };
        let serving = hub.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (hub, tls) = (serving.clone(), tls.clone());
                thread::spawn(move || match tls {
                    None => hub.serve(stream),
                    Some(tls) => {
                        let session = ServerConnection::new(tls).expect("a session begins");
                        hub.serve(StreamOwned::new(session, stream));
                    }
                });
            }
        });
        hub
    }

    pub fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().expect("nobody panicked with it")
    }

    /// How often anything was asked whose path has this in it.
    pub fn asked(&self, part: &str) -> usize {
        let files = self.files();
        files
            .asked
            .iter()
            .filter(|path| path.contains(part))
            .count()
    }

    fn serve(&self, mut stream: impl Read + Write) {
        let mut head = Vec::new();
        let mut byte = [0];
        loop {
            head.clear();
            while !head.ends_with(b"\r\n\r\n") {
                match stream.read(&mut byte) {
                    Ok(1) if head.len() < 65_536 => head.push(byte[0]),
                    _ => return,
                }
            }
            let text = String::from_utf8_lossy(&head).into_owned();
            let path = text
                .split(' ')
                .nth(1)
                .unwrap_or("/")
                .trim_start_matches('/')
                .to_owned();
            let rest = self.files().rest;
            thread::sleep(rest);
            let answer = self.answer(&path, &text);
            if stream
                .write_all(&answer)
                .and_then(|()| stream.flush())
                .is_err()
            {
                return;
            }
        }
    }

    fn answer(&self, path: &str, head: &str) -> Vec<u8> {
        let mut files = self.files();
        files.asked.push(path.to_owned());
        let Some(bytes) = files.files.get(path).cloned() else {
            return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec();
        };
        let etag = format!("\"{}\"", digest(&bytes));
        let lower = head.to_ascii_lowercase();
        if lower.contains(&format!("if-none-match: {etag}")) {
            files.asked.push(format!("unchanged {path}"));
            return b"HTTP/1.1 304 Not Modified\r\n\r\n".to_vec();
        }
        if path.ends_with(".index.json")
            && let Some(change) = files.after_index.take()
        {
            change(&mut files);
        }
        let mut answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nETag: {etag}\r\n\r\n",
            bytes.len()
        )
        .into_bytes();
        answer.extend_from_slice(&bytes);
        answer
    }
}

impl Files {
    /// Publishes a version of an item: its file, and what the index says of it.
    pub fn publish(&mut self, kind: &str, name: &str, version: &str, text: &str) {
        self.publish_at(kind, name, &format!("{kind}/{name}.yaml"), version, text);
    }

    pub fn publish_at(&mut self, kind: &str, name: &str, path: &str, version: &str, text: &str) {
        let empty = || serde_json::json!({});
        let item = &mut self.index.entry(kind).or_insert_with(empty)[name];
        if item.is_null() {
            *item = serde_json::json!({ "versions": {} });
        }
        item["path"] = path.into();
        item["version"] = version.into();
        item["description"] = "made for a test".into();
        item["versions"][version] = serde_json::json!({ "digest": digest(text.as_bytes()) });
        self.files.insert(path.to_owned(), text.as_bytes().to_vec());
        self.index_anew();
    }

    /// Publishes a collection of these scenarios.
    pub fn collect(&mut self, name: &str, version: &str, scenarios: &[&str]) {
        let list: String = scenarios
            .iter()
            .map(|name| format!("  - {name}\n"))
            .collect();
        let text = format!("name: {name}\nscenarios:\n{list}");
        self.publish("collections", name, version, &text);
        self.index["collections"][name]["scenarios"] = serde_json::json!(scenarios);
        self.index["collections"][name]["appsec-rules"] = serde_json::json!(["me/patch"]);
        self.index_anew();
    }

    /// Takes an item out of the index.
    pub fn forget(&mut self, kind: &str, name: &str) {
        if let Some(items) = self
            .index
            .get_mut(kind)
            .and_then(|items| items.as_object_mut())
        {
            items.remove(name);
        }
        self.index_anew();
    }

    fn index_anew(&mut self) {
        let text = serde_json::to_vec(&self.index).expect("it is JSON");
        self.files.insert(".index.json".to_owned(), text);
    }
}

pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// A scenario that alerts at the first request for a path.
pub fn trigger(name: &str, path: &str) -> String {
    format!(
        "type: trigger\nname: {name}\ndescription: a test\n\
         filter: evt.Meta.log_type == 'http_access-log' && evt.Meta.http_path == '{path}'\n\
         groupby: evt.Meta.source_ip\nlabels:\n  remediation: true\n"
    )
}
