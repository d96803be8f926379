//! What a sly client, or a slip of the operator's hand, must not achieve.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::instance::{Instance, free_port, missing_pages, site, text, upstream};
use crate::support::{Folder, RINGWALL, Running, json_lines, status_of, wait_for};

/// One request for a page and a host of one's own choice; 0 when there is no answer.
fn ask(source: [u8; 4], edge: SocketAddr, path: &str, host: &str) -> u16 {
    let socket =
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    let from = SocketAddr::from((source, 0));
    socket
        .bind(&from.into())
        .expect("loopback addresses are ours");
    if socket.connect(&edge.into()).is_err() {
        return 0;
    }
    let mut stream = TcpStream::from(socket);
    let patience = Some(Duration::from_secs(5));
    stream
        .set_read_timeout(patience)
        .expect("a time-out can be set");
    let _sent = write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: Mozilla/5.0\r\nConnection: close\r\n\r\n"
    );
    let mut answer = Vec::new();
    let _ended = stream.read_to_end(&mut answer);
    status_of(&answer)
}

#[test]
fn who_makes_up_a_host_for_each_request_is_counted_all_the_same() {
    for hosts in ["*", "*.example.org"] {
        let instance = Instance::start(&site(hosts, missing_pages()), "");
        let passed = (0..40)
            .map(|number| {
                let (path, host) = (
                    format!("/page-{number}"),
                    format!("name-{number}.example.org"),
                );
                ask([127, 0, 8, 1], instance.edge, &path, &host)
            })
            .filter(|status| *status == 404)
            .count();
        assert!(
            (10..30).contains(&passed),
            "DENY {passed} of 40 pages looked for"
        );
    }
}

#[test]
fn a_second_instance_does_not_take_half_of_the_first_ones_connections() {
    let first = Instance::start(&site("*", upstream("first")), "");
    let folder = Folder::make("second");
    let sites = site("*", upstream("second"));
    folder.file("ringwall.toml", &text(&folder, first.edge, &sites, ""));
    let second = Command::new(RINGWALL)
        .arg("--config")
        .arg(folder.0.join("ringwall.toml"))
        .arg("up")
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(!second.status.success(), "DENY two on one port");
    assert!(said.contains("listens there already"), "{said}");
    assert_eq!(first.get("x").0, 200);
}

#[test]
fn digits_that_name_several_decisions_undo_none_of_them() {
    let instance = Instance::start(&site("*", upstream("up")), "");
    // Seventeen names have two that begin with the same digit.
    for number in 1..=17 {
        instance.say(&["decision", "add", &format!("203.0.113.{number}")]);
    }
    let list = || json_lines(&instance.run(&["--json", "decision", "list"]));
    let firsts: Vec<String> = list()
        .iter()
        .filter_map(|one| one["id"].as_str()?.get(..1).map(str::to_owned))
        .collect();
    let twice = firsts
        .iter()
        .find(|digit| firsts.iter().filter(|other| other == digit).count() > 1)
        .expect("two begin alike");
    let said = instance.refuse(&["decision", "delete", twice]);
    assert!(said.contains("More than one decision"), "{said}");
    assert_eq!(list().len(), 17, "DENY undone by a slip");
}

#[test]
fn an_access_log_that_nobody_reads_neither_slows_requests_nor_keeps_the_end_away() {
    let folder = Folder::make("stdout");
    let edge = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let words = text(&folder, edge, &site("*", upstream("up")), "");
    let words = words.replace(
        "[edge.access_log]\noff = true",
        "[edge.access_log]\nformat = \"json\"",
    );
    folder.file("ringwall.toml", &words);
    let (ear, mouth) = std::io::pipe().expect("a pipe can be made");
    let log = std::fs::File::create(folder.0.join("log")).expect("a log can be made");
    let mut process = Running::start(
        Command::new(RINGWALL)
            .arg("--config")
            .arg(folder.0.join("ringwall.toml"))
            .arg("up")
            .stdin(Stdio::null())
            .stdout(mouth)
            .stderr(log),
    );
    wait_for("an answer", Duration::from_secs(20), || {
        (ask([127, 0, 0, 1], edge, "/", "x") == 200).then_some(())
    });
    // More than the pipe and the queue hold together.
    let mut stream = TcpStream::connect(edge).expect("it answers");
    // In one write, lest Nagle and delayed acknowledgements wait for each other.
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(7_000));
    let mut answer = [0; 1024];
    for _ in 0..900 {
        stream
            .write_all(long.as_bytes())
            .expect("it takes requests");
        assert!(stream.read(&mut answer).expect("it answers") > 0);
    }
    drop(stream);
    let ended = process.terminate(Duration::from_secs(15));
    assert!(
        ended.is_some_and(|status| status.success()),
        "DENY {ended:?}"
    );
    drop(ear);
}

#[test]
fn a_shell_s_limit_on_open_files_does_not_let_slow_clients_lock_everybody_out() {
    let folder = Folder::make("files");
    let edge = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let sites = site("*", upstream("up"));
    let config = folder.file("ringwall.toml", &text(&folder, edge, &sites, ""));
    let log = std::fs::File::create(folder.0.join("log")).expect("a log can be made");
    let _process = Running::start(
        Command::new("sh")
            .args(["-c", "ulimit -Sn 100; exec \"$0\" --config \"$1\" up"])
            .arg(RINGWALL)
            .arg(config)
            .stdout(Stdio::null())
            .stderr(log),
    );
    wait_for("an answer", Duration::from_secs(20), || {
        (ask([127, 0, 0, 1], edge, "/", "x") == 200).then_some(())
    });
    let slow: Vec<TcpStream> = (0..200)
        .filter_map(|_| {
            let mut stream = TcpStream::connect(edge).ok()?;
            stream.write_all(b"G").ok()?;
            Some(stream)
        })
        .collect();
    assert!(slow.len() >= 150, "only {} came", slow.len());
    assert_eq!(
        ask([127, 0, 8, 9], edge, "/", "x"),
        200,
        "DENY locked out by {} slow clients",
        slow.len()
    );
}
