//! Whom to trust over TLS.

use std::time::Duration;

use fetch::{Answer, Client, FetchError, Roots, Rules};

use crate::server::{Server, answer, authority};

fn client(server: &Server, roots: Vec<Vec<u8>>) -> Client {
    Client::new(Rules {
        named: vec![server.named()],
        time: Duration::from_secs(5),
        agent: "test".to_owned(),
        roots: Roots::These(roots),
    })
    .expect("a client")
}

#[test]
fn only_who_can_prove_its_name_is_listened_to() {
    let (root, tls) = authority(&["127.0.0.1"]);
    let (stranger, _) = authority(&["127.0.0.1"]);
    let (elsewhere, wrong_name) = authority(&["hub.example.org"]);
    let good = Server::with_tls(tls, |_| answer("200 OK", "", b"proven"));
    let wrong = Server::with_tls(wrong_name, |_| answer("200 OK", "", b"proven"));
    let fetched = client(&good, vec![root.clone()])
        .get(&good.url("https", "/"), 100, None, &mut |_| {})
        .unwrap();
    assert!(matches!(fetched, Answer::Fresh(fetched) if fetched.bytes == b"proven"));
    for (server, roots) in [
        (&good, vec![stranger]),
        (&good, Vec::new()),
        (&wrong, vec![elsewhere]),
    ] {
        let client = client(server, roots);
        let refused = client.get(&server.url("https", "/"), 100, None, &mut |_| {});
        assert!(
            matches!(refused, Err(FetchError::Tls { .. })),
            "{refused:?}"
        );
    }
}

#[test]
fn tls_is_never_left_for_plain_http() {
    let (root, tls) = authority(&["127.0.0.1"]);
    let plain = Server::start(|_| answer("200 OK", "", b"plain"));
    let to = plain.url("http", "/").to_string();
    let secure = Server::with_tls(tls, move |_| {
        answer("301 Moved Permanently", &format!("Location: {to}\r\n"), b"")
    });
    let client = Client::new(Rules {
        // Even where the other was named, too.
        named: vec![secure.named(), plain.named()],
        time: Duration::from_secs(5),
        agent: "test".to_owned(),
        roots: Roots::These(vec![root]),
    })
    .unwrap();
    let refused = client.get(&secure.url("https", "/"), 100, None, &mut |_| {});
    assert!(
        matches!(refused, Err(FetchError::Redirect { .. })),
        "{refused:?}"
    );
    assert!(plain.asked().is_empty());
}
