//! A running instance in front of a tiny upstream of this test's own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use crate::support::{self, Folder, RINGWALL, Running, wait_for};

/// An upstream that answers every request with `200` and its name.
pub fn upstream(name: &'static str) -> SocketAddr {
    serve("200 OK", name)
}

/// An upstream that knows no page at all.
pub fn missing_pages() -> SocketAddr {
    serve("404 Not Found", "nothing here")
}

fn serve(status: &'static str, name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream, status, name));
        }
    });
    address
}

fn answer(mut stream: TcpStream, status: &str, name: &str) {
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        seen.extend_from_slice(&buffer[..read]);
        while let Some(end) = seen.windows(4).position(|four| four == b"\r\n\r\n") {
            seen.drain(..end + 4);
            let reply = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{name}",
                name.len()
            );
            if stream.write_all(reply.as_bytes()).is_err() {
                return;
            }
        }
    }
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it is bound").port()
}

/// A running instance.
pub struct Instance {
    pub process: Running,
    pub folder: Folder,
    pub edge: SocketAddr,
}

impl Instance {
    /// Starts one with these sites and whatever else is said.
    pub fn start(sites: &str, more: &str) -> Self {
        let folder = Folder::make("daemon");
        let edge = SocketAddr::from(([127, 0, 0, 1], free_port()));
        folder.file("ringwall.toml", &text(&folder, edge, sites, more));
        Self::again(folder, edge)
    }

    /// Starts one that serves its figures on a port of loopback.
    pub fn start_with_metrics(sites: &str, port: u16) -> Self {
        let folder = Folder::make("daemon");
        let edge = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let listen = format!("[metrics]\nlisten = \"127.0.0.1:{port}\"");
        let words = text(&folder, edge, sites, "").replace("[metrics]\noff = true", &listen);
        folder.file("ringwall.toml", &words);
        Self::again(folder, edge)
    }

    /// Starts one that listens for TLS besides.
    pub fn start_with_tls(sites: &str, tls: SocketAddr) -> Self {
        let folder = Folder::make("daemon");
        let edge = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let plain = format!("listen = [\"{edge}\"]");
        let both = format!("listen = [\"{edge}\", {{ address = \"{tls}\", tls = true }}]");
        folder.file(
            "ringwall.toml",
            &text(&folder, edge, sites, "").replace(&plain, &both),
        );
        Self::again(folder, edge)
    }

    /// Starts one whose state rests on a disk of one megabyte, which only it sees.
    pub fn start_on_a_small_disk(sites: &str) -> Self {
        let folder = Folder::make("daemon");
        let edge = SocketAddr::from(([127, 0, 0, 1], free_port()));
        folder.file("ringwall.toml", &text(&folder, edge, sites, ""));
        std::fs::create_dir(folder.0.join("state")).expect("a folder");
        let log = std::fs::File::create(folder.0.join("log")).expect("a log can be made");
        let script = format!(
            "mount -t tmpfs -o size=1m,mode=700 small '{0}/state' && exec '{RINGWALL}' --config '{0}/ringwall.toml' up",
            folder.0.display()
        );
        let process = Running::start(
            Command::new("unshare")
                .args(["-m", "sh", "-c", &script])
                .stdout(Stdio::null())
                .stderr(log),
        );
        Self::when_ready(process, folder, edge)
    }

    /// Starts one on a folder that is there already.
    pub fn again(folder: Folder, edge: SocketAddr) -> Self {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(folder.0.join("log"));
        let process = Running::start(
            Command::new(RINGWALL)
                .arg("--config")
                .arg(folder.0.join("ringwall.toml"))
                .arg("up")
                .stdout(Stdio::null())
                .stderr(log.expect("a log can be made")),
        );
        Self::when_ready(process, folder, edge)
    }

    fn when_ready(process: Running, folder: Folder, edge: SocketAddr) -> Self {
        let mut instance = Self {
            process,
            folder,
            edge,
        };
        wait_for(
            "the control socket to answer",
            Duration::from_secs(20),
            || {
                if let Ok(Some(status)) = instance.process.0.try_wait() {
                    panic!("it ended with {status}: {}", instance.log());
                }
                instance.run(&["status"]).status.success().then_some(())
            },
        );
        instance
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.0.join("run/control.sock")
    }

    pub fn run(&self, words: &[&str]) -> Output {
        support::ringwall(&self.socket(), words)
    }

    /// The output of a command that must succeed.
    pub fn say(&self, words: &[&str]) -> String {
        let output = self.run(words);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{words:?}: {errors}\n{}",
            self.log()
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The error of a command that must fail.
    pub fn refuse(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert!(
            !output.status.success(),
            "{words:?} must fail: {}",
            String::from_utf8_lossy(&output.stdout)
        );
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Writes other sites into the configuration file.
    pub fn rewrite(&self, sites: &str, more: &str) {
        self.folder
            .file("ringwall.toml", &text(&self.folder, self.edge, sites, more));
    }

    pub fn get(&self, host: &str) -> (u16, String) {
        get_from([127, 0, 0, 1], self.edge, host)
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.0.join("log")).unwrap_or_default()
    }
}

/// One request from a loopback address: status and whole answer.
pub fn get_from(source: [u8; 4], edge: SocketAddr, host: &str) -> (u16, String) {
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    send_from(source, edge, request.as_bytes())
}

/// What comes back from a loopback address' request.
pub fn send_from(source: [u8; 4], edge: SocketAddr, request: &[u8]) -> (u16, String) {
    let socket =
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket
        .bind(&SocketAddr::from((source, 0)).into())
        .expect("loopback addresses are ours");
    if socket.connect(&edge.into()).is_err() {
        return (0, String::new());
    }
    let mut stream = TcpStream::from(socket);
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .expect("a time-out can be set");
    let _sent = stream.write_all(request);
    let mut answer = Vec::new();
    let _ended = stream.read_to_end(&mut answer);
    (
        support::status_of(&answer),
        String::from_utf8_lossy(&answer).into_owned(),
    )
}

/// A configuration for tests: loopback sources may be barred, 127.0.0.1 never.
pub fn text(folder: &Folder, edge: SocketAddr, sites: &str, more: &str) -> String {
    format!(
        "[edge]\nlisten = [\"{edge}\"]\n[edge.access_log]\noff = true\n{sites}\n\
         [book]\nnever_ban = [\"127.0.0.1\"]\n[state]\ndirectory = \"{0}/state\"\n\
         [control]\nsocket = \"{0}/run/control.sock\"\n[metrics]\noff = true\n{more}\n",
        folder.0.display()
    )
}

/// One enforcing site for a host.
pub fn site(host: &str, upstream: SocketAddr) -> String {
    format!(
        "[[edge.site]]\nhost = [\"{host}\"]\nto = [\"http://{upstream}\"]\nmode = \"enforce\"\n"
    )
}
