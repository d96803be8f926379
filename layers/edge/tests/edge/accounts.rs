//! Who somebody tries to log in as, heard while the body streams through; and what pages
//! elsewhere have browsers send.

use std::sync::atomic::Ordering;

use vocab::{Login, LoginBy};

use crate::harness::*;

/// Answers each request with the length of the body it got.
fn counting() -> Upstream {
    upstream(|served| {
        while let Some(head) = served.head() {
            let length = if header(&head, "transfer-encoding").is_some() {
                served.chunks().map_or(0, |body| body.len())
            } else {
                let length = header(&head, "content-length").map_or(0, |l| l.parse().unwrap());
                served.exactly(length).map_or(0, |body| body.len())
            };
            served.ok(&length.to_string());
        }
    })
}

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

fn post(path: &str, kind: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\n{kind}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn last(edge: &TestEdge) -> Option<Login> {
    edge.seen.http.lock().unwrap().last().unwrap().login
}

#[test]
fn the_account_is_the_same_however_the_login_is_sent_and_the_body_goes_on_unchanged() {
    let up = counting();
    let edge = in_front_of(&up);
    let json = "Content-Type: application/json; charset=utf-8\r\n";
    let basic = "Authorization: Basic YW5uYTpzdW5zaGluZQ==\r\n";
    let ways = [
        (
            "form",
            LoginBy::Form,
            post("/login", FORM, "username=Anna&password=sunshine"),
        ),
        (
            "JSON",
            LoginBy::Json,
            post(
                "/api/login",
                json,
                r#"{"user":"anna","password":"sunshine"}"#,
            ),
        ),
        (
            "Basic",
            LoginBy::Basic,
            format!("GET /dav/ HTTP/1.1\r\nHost: a\r\n{basic}\r\n"),
        ),
        (
            "a long form",
            LoginBy::Form,
            post(
                "/login",
                FORM,
                &format!(
                    "username=anna&password=sunshine&more={}",
                    "x".repeat(300_000)
                ),
            ),
        ),
        (
            "chunks",
            LoginBy::Form,
            format!(
                "POST /login HTTP/1.1\r\nHost: a\r\n{FORM}Transfer-Encoding: chunked\r\n\r\n\
             b\r\nusername=an\r\n14\r\nna&password=sunshine\r\n0\r\n\r\n"
            ),
        ),
    ];
    let mut heard: Option<Login> = None;
    for (what, by, request) in ways {
        let mut client = Client::to(edge.plain);
        client.say(&request);
        let (head, body) = client.answer();
        assert_eq!(status(&head), 200, "{what}");
        let login = last(&edge).unwrap_or_else(|| panic!("{what} tells nobody"));
        assert_eq!(login.by, by, "{what}");
        if by != LoginBy::Basic && what != "chunks" {
            let sent = request.split_once("\r\n\r\n").unwrap().1.len();
            assert_eq!(body, sent.to_string().as_bytes(), "{what}");
        }
        let first = *heard.get_or_insert(login);
        assert_eq!(
            (login.account, login.guess),
            (first.account, first.guess),
            "{what}"
        );
    }
    // Byte by byte: what is written in pieces is read as one.
    let mut client = Client::to(edge.plain);
    for byte in post("/login", FORM, "username=anna&password=rain").as_bytes() {
        client.say([*byte]);
    }
    assert_eq!(client.answer().1, b"27");
    let slow = last(&edge).unwrap();
    assert_eq!(slow.account, heard.unwrap().account);
    assert_ne!(
        slow.guess,
        heard.unwrap().guess,
        "another password is another guess"
    );
}

#[test]
fn basic_credentials_beside_a_form_hide_no_guess_of_the_form() {
    let up = counting();
    let edge = in_front_of(&up);
    let told = |credentials: &str, body: &str| {
        let kind = format!("{FORM}Authorization: Basic {credentials}\r\n");
        let mut client = Client::to(edge.plain);
        client.say(post("/wp-login.php", &kind, body));
        assert_eq!(status(&client.answer().0), 200);
        last(&edge).unwrap()
    };
    let (anna, bert) = ("YW5uYTpzdW5zaGluZQ==", "YmVydDpzdW5zaGluZQ==");
    let one = told(anna, "log=admin&pwd=one");
    let two = told(anna, "log=admin&pwd=two");
    assert_eq!(one.by, LoginBy::Form);
    assert_eq!(
        one.account, two.account,
        "one person behind a shared password"
    );
    assert_ne!(one.guess, two.guess, "DENY the form's guess is hidden");
    let other = told(bert, "log=admin&pwd=one");
    assert_ne!(
        (one.account, one.guess),
        (other.account, other.guess),
        "DENY new credentials are no new guess"
    );
    // Beside a form that says nobody's name they are all that is known.
    assert_eq!(told(anna, "benutzer=admin&kennwort=x").by, LoginBy::Basic);
}

#[test]
fn nothing_is_heard_where_nobody_logs_in() {
    let up = counting();
    let edge = in_front_of(&up);
    let multipart = "Content-Type: multipart/form-data; boundary=x\r\n";
    let late = format!("{}&username=anna&password=x", "a".repeat(5_000));
    for (what, request) in [
        (
            "another place",
            post("/comment", FORM, "name=anna&password=x"),
        ),
        (
            "another shape",
            post("/login", multipart, "username=anna&password=x"),
        ),
        ("no shape", post("/login", "", "username=anna&password=x")),
        ("too late", post("/login", FORM, &late)),
        (
            "no POST",
            post("/login", FORM, "username=anna").replace("POST", "PUT"),
        ),
        (
            "a bearer",
            "GET /login HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer YW5uYTp4\r\n\r\n".to_owned(),
        ),
    ] {
        let mut client = Client::to(edge.plain);
        client.say(&request);
        assert_eq!(status(&client.answer().0), 200, "{what}");
        assert_eq!(last(&edge), None, "DENY {what}");
    }
}

#[test]
fn looking_at_a_body_holds_nothing_back() {
    // The upstream answers as soon as it has the name, long before the body's end.
    let up = upstream(|served| {
        while let Some(_head) = served.head() {
            served.exactly("username=anna&password=".len());
            served.ok("early");
        }
    });
    let edge = in_front_of(&up);
    let mut client = Client::to(edge.plain);
    client.say(format!(
        "POST /login HTTP/1.1\r\nHost: a\r\n{FORM}Content-Length: 100\r\n\r\nusername=anna&password="
    ));
    let (head, body) = client.answer();
    assert_eq!((status(&head), body.as_slice()), (200, &b"early"[..]));
    let login = last(&edge).unwrap();
    // The password had not come: nothing is made of its beginning.
    assert_eq!((login.by, login.guess), (LoginBy::Form, None));
}

#[test]
fn an_exploit_that_a_page_elsewhere_had_a_browser_send_goes_nowhere() {
    let up = echo_line();
    let edge = in_front_of(&up);
    let ask = |target: &str, site: &str| {
        let mut client = Client::to(edge.plain);
        client.say(format!(
            "GET {target} HTTP/1.1\r\nHost: a\r\nSec-Fetch-Site: {site}\r\nSec-Fetch-Mode: no-cors\r\n\r\n"
        ));
        status(&client.answer().0)
    };
    assert_eq!(ask("/?x=exploit", "cross-site"), 403, "DENY");
    assert_eq!(
        up.accepted.load(Ordering::SeqCst),
        0,
        "the upstream never saw it"
    );
    assert_eq!(edge.seen.rules(), ["foreign.exploit"]);
    assert!(edge.seen.refused.lock().unwrap()[0].foreign);
    assert_eq!(ask("/?x=picture", "Cross-Site"), 200);
    assert!(edge.seen.http.lock().unwrap().last().unwrap().foreign);
    // Whoever says nothing of the kind is judged as ever: by what it did.
    for site in ["same-origin", "same-site", "none"] {
        assert_eq!(ask("/?x=exploit", site), 200, "{site}");
        assert!(
            !edge.seen.http.lock().unwrap().last().unwrap().foreign,
            "{site}"
        );
    }
}

#[test]
fn a_websocket_that_a_page_elsewhere_opens_bars_nobody() {
    let up = echo_line();
    let edge = in_front_of(&up);
    let open = |origin: &str| {
        let mut client = Client::to(edge.plain);
        client.say(format!(
            "GET /?x=exploit HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Origin: {origin}\r\n\r\n"
        ));
        status(&client.answer().0)
    };
    assert_eq!(open("https://evil.example"), 403, "DENY");
    assert_eq!(up.accepted.load(Ordering::SeqCst), 0, "DENY");
    assert!(edge.seen.refused.lock().unwrap()[0].foreign);
    assert_eq!(open("http://a:8080"), 200, "its own page counts as ever");
    assert!(!edge.seen.http.lock().unwrap().last().unwrap().foreign);
}
