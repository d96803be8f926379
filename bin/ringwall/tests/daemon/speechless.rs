//! Nobody reads what the daemon says: it goes on defending.

use std::io::{PipeReader, Write as _};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::instance::{free_port, get_from, site, text, upstream};
use crate::support::{self, Folder, RINGWALL, Running, signal, wait_for};
use crate::words::get_path;

/// Starts an instance that talks into a pipe.
fn start() -> (Running, Folder, SocketAddr, PipeReader, std::io::PipeWriter) {
    let folder = Folder::make("speechless");
    let edge = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let sites = site("*", upstream("up"));
    folder.file("ringwall.toml", &text(&folder, edge, &sites, ""));
    let (ear, mouth) = std::io::pipe().expect("a pipe can be made");
    let process = Running::start(
        Command::new(RINGWALL)
            .arg("--config")
            .arg(folder.0.join("ringwall.toml"))
            .arg("up")
            .stdout(Stdio::null())
            .stderr(mouth.try_clone().expect("a pipe can be shared")),
    );
    let socket = folder.0.join("run/control.sock");
    wait_for(
        "the control socket to answer",
        Duration::from_secs(20),
        || {
            support::ringwall(&socket, &["status"])
                .status
                .success()
                .then_some(())
        },
    );
    (process, folder, edge, ear, mouth)
}

/// An attacker is barred, a reload is survived, and everybody else is served.
fn still_defends(process: &mut Running, folder: &Folder, edge: SocketAddr) {
    for path in ["/.env", "/.git/config", "/.aws/credentials", "/id_rsa"]
        .into_iter()
        .chain(["/.htpasswd", "/backup.sql", "/dump.sql", "/.svn/entries"])
    {
        get_path([127, 0, 7, 1], edge, path);
    }
    assert!(
        matches!(get_from([127, 0, 7, 1], edge, "x").0, 0 | 403),
        "DENY: not barred because nobody reads the log"
    );
    signal(process.id(), "HUP");
    let socket = folder.0.join("run/control.sock");
    assert!(support::ringwall(&socket, &["reload"]).status.success());
    assert_eq!(get_from([127, 0, 0, 1], edge, "x").0, 200);
    assert!(matches!(process.0.try_wait(), Ok(None)), "it still runs");
    let ended = process.terminate(Duration::from_secs(20));
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
}

#[test]
fn a_log_whose_reader_is_gone_costs_neither_a_decision_nor_the_process() {
    let (mut process, folder, edge, ear, mouth) = start();
    drop((ear, mouth));
    still_defends(&mut process, &folder, edge);
}

#[test]
fn a_log_whose_reader_is_stuck_costs_neither_a_decision_nor_the_process() {
    let (mut process, folder, edge, ear, mut mouth) = start();
    // A thread fills the pipe and waits in it for ever.
    let _filling = std::thread::spawn(move || while mouth.write_all(&[b'x'; 4096]).is_ok() {});
    std::thread::sleep(Duration::from_millis(200));
    still_defends(&mut process, &folder, edge);
    drop(ear);
}
