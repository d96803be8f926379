//! What black-box tests share: a folder of their own, a running instance, a test
//! network of namespaces, and the rule that a test that cannot run says why.

#![allow(dead_code, reason = "each test binary uses a part of this")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The binary under test.
pub const RINGWALL: &str = env!("CARGO_BIN_EXE_ringwall");

/// Says why a test cannot run here; where CI demands all, that is a failure.
pub fn cannot_run(why: &str) {
    assert!(
        std::env::var_os("RINGWALL_TEST_ALL").is_none_or(|value| value != "1"),
        "this test must run here and cannot: {why}"
    );
    println!("NOT RUN: {why}");
}

/// A folder of the test data that stands beside the project (or at `$RINGWALL_SHARED`).
pub fn shared(below: &str) -> Option<PathBuf> {
    let root = std::env::var_os("RINGWALL_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
        PathBuf::from,
    );
    let folder = root.join(below);
    if folder.is_dir() {
        return Some(folder);
    }
    cannot_run(&format!(
        "{} is not here; set RINGWALL_SHARED",
        folder.display()
    ));
    None
}

/// The tools that are missing, of those a test needs.
pub fn missing(tools: &[&str]) -> Vec<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .collect();
    let there = |tool: &str| folders.iter().any(|folder| folder.join(tool).exists());
    tools
        .iter()
        .filter(|tool| !there(tool))
        .map(|tool| (*tool).to_owned())
        .collect()
}

/// Whether we are root: the owner of /proc/self is the effective user.
pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// A folder that goes when the test ends.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn make(name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("rw-{name}-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a test folder can be made");
        Self(path)
    }

    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("a test file can be written");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _left = std::fs::remove_dir_all(&self.0);
    }
}

/// A child process that is ended with its guard.
pub struct Running(pub Child);

impl Running {
    pub fn start(command: &mut Command) -> Self {
        Self(
            command
                .spawn()
                .unwrap_or_else(|error| panic!("{command:?} starts: {error}")),
        )
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Asks it to end (SIGTERM) and waits; whether it ended by itself in time.
    pub fn terminate(&mut self, patience: Duration) -> Option<std::process::ExitStatus> {
        signal(self.id(), "TERM");
        let until = Instant::now() + patience;
        while Instant::now() < until {
            if let Ok(Some(status)) = self.0.try_wait() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(Some(_))) {
            return;
        }
        signal(self.id(), "TERM");
        for _ in 0..200 {
            if matches!(self.0.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _killed = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Sends a signal by name to one process that this test started.
pub fn signal(id: u32, name: &str) {
    let _sent = Command::new("kill")
        .arg(format!("-{name}"))
        .arg(id.to_string())
        .status();
}

/// Waits until `ready` answers, at most `patience`; panics with `what` otherwise.
pub fn wait_for<T>(what: &str, patience: Duration, mut ready: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + patience;
    loop {
        if let Some(found) = ready() {
            return found;
        }
        assert!(Instant::now() < until, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// One raw exchange: what is sent, and all that comes back until the end or a second of silence.
pub fn exchange(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect("the edge accepts");
    stream
        .set_read_timeout(Some(Duration::from_secs(1)))
        .expect("a time-out can be set");
    // A refused request may close the connection while we still write.
    let _sent = stream.write_all(request);
    let mut answer = Vec::new();
    let _ended = stream.read_to_end(&mut answer);
    answer
}

/// The status of a raw answer, 0 when there is none.
pub fn status_of(answer: &[u8]) -> u16 {
    let text = String::from_utf8_lossy(answer);
    text.split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .unwrap_or(0)
}

/// Runs `ringwall` with a control socket and words; its output.
pub fn ringwall(socket: &Path, words: &[&str]) -> Output {
    Command::new(RINGWALL)
        .arg("--socket")
        .arg(socket)
        .args(words)
        .output()
        .expect("ringwall runs")
}

/// The objects that a `--json` listing prints.
pub fn json_lines(output: &Output) -> Vec<serde_json::Value> {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// A command whose output is thrown away.
pub fn quiet(program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}
