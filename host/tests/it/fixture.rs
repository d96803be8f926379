//! What the tests share: a helper with a policy in a file, and who may run.

use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use host::{FileRule, ListenerRule, Policy};

/// The policy file of a test's directory.
pub(crate) fn policy_of(dir: &Path) -> PathBuf {
    dir.join("policy")
}

/// `listen ADDRESS SHARES`, `file PATH` and `docker SOCKET`, a line each.
pub(crate) fn read_policy(path: &Path) -> Result<Policy, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let mut policy = Policy::default();
    for line in text.lines() {
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["listen", address, shares] => policy.listeners.push(ListenerRule::new(
                address.parse().unwrap(),
                shares.parse().unwrap(),
            )),
            ["docker", socket] => {
                policy.docker = Some(host::DockerRule {
                    socket: socket.into(),
                });
            }
            ["file", path] => policy.files.push(FileRule::new(path)),
            _ => return Err(format!("not a rule: {line}")),
        }
    }
    Ok(policy)
}

/// The helper's `main`.
pub(crate) fn run_helper(policy: &str) {
    let path = PathBuf::from(policy);
    if let Err(error) = host::serve(|| read_policy(&path)) {
        eprintln!("{error}");
        std::process::exit(1);
    }
}

/// The arguments that make this program the helper for a test's directory.
pub(crate) fn launch(dir: &Path) -> host::Launch {
    host::Launch {
        arguments: vec!["host".into(), policy_of(dir).into()],
    }
}

/// This program as a probe.
pub(crate) fn probe(name: &str, dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg("probe").arg(name).arg(dir);
    command
}

/// Runs a probe to its end; its assertions are this test's.
pub(crate) fn run_probe(name: &str, dir: &Path, uid: Option<u32>) {
    let mut command = probe(name, dir);
    if let Some(uid) = uid {
        command.uid(uid).gid(uid);
    }
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success() && text(&output.stdout).contains("probe done"),
        "{name}: {}\n{}{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
}

/// Whether the test can run; says why not, and fails where all must run.
pub(crate) fn needs_root() -> bool {
    let root = nix::unistd::Uid::effective().is_root();
    if !root {
        unavailable("it needs root");
    }
    root
}

pub(crate) fn unavailable(why: &str) {
    let all = std::env::var_os("RINGWALL_TEST_ALL").is_some_and(|value| value == "1");
    assert!(!all, "cannot run here: {why}");
    println!("NOT RUN: {why}");
}

/// A loopback address with a port that was free just now.
pub(crate) fn free_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// Waits, bounded, until something holds.
pub(crate) fn soon(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A process's line in `/proc/PID/status`.
pub(crate) fn status_line(pid: u32, key: &str) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))
        .map(|value| value.trim().to_owned())
}
