//! TLS with clients that nobody here wrote: OpenSSL's and curl.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::harness::*;
use crate::tls::setup;

/// Whether both are installed; where CI demands all tests, their lack is a failure.
fn installed() -> bool {
    let missing: Vec<&str> = ["openssl", "curl"]
        .into_iter()
        .filter(|name| !Path::new("/usr/bin").join(name).exists())
        .collect();
    if missing.is_empty() {
        return true;
    }
    assert!(
        std::env::var_os("RINGWALL_TEST_ALL").is_none_or(|value| value != "1"),
        "this test must run here and cannot: {missing:?} are missing"
    );
    println!("NOT RUN: {missing:?} are missing; 'cargo xtask test' installs them");
    false
}

/// Answers with the request line, and with the body that came if there was one.
fn echo() -> Upstream {
    upstream(|served| {
        while let Some(head) = served.head() {
            let length = header(&head, "content-length").map_or(0, |l| l.parse().unwrap());
            let body = served.exactly(length).unwrap();
            if head.starts_with("GET /old") {
                served.say("HTTP/1.0 200 OK\r\n\r\nold");
                return;
            }
            if length > 0 {
                served.ok(&String::from_utf8(body).unwrap());
            } else {
                served.ok(head.lines().next().unwrap());
            }
        }
    })
}

fn curl(edge: &TestEdge, arguments: &[&str], path: &str) -> Output {
    let port = edge.tls.port();
    Command::new("curl")
        .args(["-s", "-S", "-k", "--max-time", "20", "--resolve"])
        .arg(format!("app.localhost:{port}:127.0.0.1"))
        .args(arguments)
        .arg(format!("https://app.localhost:{port}{path}"))
        .output()
        .unwrap()
}

/// `openssl s_client`, told `steps` a moment apart; all it wrote.
fn s_client(edge: &TestEdge, arguments: &[&str], steps: &[&str]) -> String {
    let mut child = Command::new("openssl")
        .args(["s_client", "-connect", &edge.tls.to_string()])
        .args(["-servername", "app.localhost"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    for step in steps {
        std::thread::sleep(Duration::from_millis(300));
        drop(input.write_all(step.as_bytes()));
    }
    std::thread::sleep(Duration::from_millis(300));
    drop(input);
    let mut all = String::new();
    let mut bytes = Vec::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_end(&mut bytes)
        .unwrap();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_end(&mut bytes)
        .unwrap();
    all += &String::from_utf8_lossy(&bytes);
    child.wait().unwrap();
    all
}

const GET: &str = "GET /s HTTP/1.1\r\nHost: app.localhost\r\nConnection: close\r\n\r\n";

#[test]
fn curl_gets_and_sends_in_both_versions() {
    if !installed() {
        return;
    }
    let up = echo();
    let edge = setup(&up).start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("body");
    let body: String = (0..2_000_000_u32)
        .map(|at| char::from(b'a' + (at % 23) as u8))
        .collect();
    std::fs::write(&file, &body).unwrap();
    let data = format!("@{}", file.display());
    for version in [["--tls-max", "1.2"], ["--tlsv1.3", "--no-sessionid"]] {
        let run = |more: &[&str], path: &str| {
            let done = curl(&edge, &[&version[..], more].concat(), path);
            let said = String::from_utf8_lossy(&done.stderr);
            assert!(done.status.success(), "{version:?} {more:?}: {said}");
            String::from_utf8(done.stdout).unwrap()
        };
        assert_eq!(run(&[], "/x"), "GET /x HTTP/1.1");
        let echoed = run(&["--data-binary", &data, "-H", "Expect:"], "/up");
        assert!(echoed == body, "{} bytes came back", echoed.len());
        // an answer that ends with the connection; OpenSSL wants to be told of the end
        let old = ["--http1.0", "--no-alpn"];
        assert_eq!(run(&old, "/old"), "old");
        assert_eq!(run(&old, "/x"), "GET /x HTTP/1.1");
    }
    assert_eq!(edge.handle.stats().handshake_errors, 0);
}

#[test]
fn openssl_resumes_and_changes_keys_and_may_not_negotiate_anew() {
    if !installed() {
        return;
    }
    let up = echo();
    let edge = setup(&up).start();
    let all = s_client(&edge, &["-tls1_2", "-reconnect"], &[]);
    assert_eq!(all.matches("Reused, TLSv1.2").count(), 5, "{all}");

    let folder = tempfile::tempdir().unwrap();
    let session = folder.path().join("session").display().to_string();
    let first = s_client(
        &edge,
        &["-tls1_3", "-sess_out", &session, "-ign_eof"],
        &[GET],
    );
    assert!(
        first.contains("New, TLSv1.3") && first.contains("GET /s HTTP/1.1"),
        "{first}"
    );
    let second = s_client(
        &edge,
        &["-tls1_3", "-sess_in", &session, "-ign_eof"],
        &[GET],
    );
    assert!(
        second.contains("Reused, TLSv1.3") && second.contains("GET /s HTTP/1.1"),
        "{second}"
    );

    let changed = s_client(&edge, &["-tls1_3"], &["k\n", "K\n", GET]);
    assert!(
        changed.contains("KEYUPDATE") && changed.contains("GET /s HTTP/1.1"),
        "{changed}"
    );

    let anew = s_client(&edge, &["-tls1_2"], &["R\n", GET]);
    assert!(!anew.contains("GET /s HTTP/1.1\n"), "DENY {anew}");
    assert!(anew.contains("no renegotiation"), "{anew}");
    // and whoever comes next is served
    let next = s_client(&edge, &["-tls1_2", "-ign_eof"], &[GET]);
    assert!(next.contains("GET /s HTTP/1.1"), "{next}");
}

#[test]
fn who_cannot_be_served_hears_why() {
    if !installed() {
        return;
    }
    let up = echo();
    let edge = setup(&up).start();
    for (arguments, alert) in [
        (&["-tls1_3", "-alpn", "h2"][..], "no application protocol"),
        (&["-tls1_2", "-alpn", "h2"], "no application protocol"),
        (
            &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"],
            "handshake failure",
        ),
        (
            &["-tls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0"],
            "handshake failure",
        ),
    ] {
        let all = s_client(&edge, arguments, &[]);
        assert!(all.contains(alert), "{arguments:?}: {all}");
    }
    let mut plain = Client::to(edge.tls);
    plain.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let said = plain.rest();
    assert!(
        said.starts_with(&[21, 3]) && said.len() == 7,
        "an alert: {said:?}"
    );
    assert!(eventually(|| edge.handle.stats().handshake_errors == 5));
    assert!(up.heads.lock().unwrap().is_empty());
}
