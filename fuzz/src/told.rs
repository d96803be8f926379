//! What strangers and neighbours say of themselves: who they log in as, whom a proxy
//! speaks for, and what containers' labels ask for.

use std::net::IpAddr;

use config::snapshot::{HostPattern, Mode};
use vocab::ClientAddr;
use wire::{Limits, Parse, RequestHead};

/// The login alone; the rest of its room has sockets and TLS.
#[rustfmt::skip] // its tests are elsewhere
#[path = "../../layers/edge/src/login.rs"]
#[allow(dead_code, reason = "not all of it is asked for here")]
mod login;

/// The walk over hops alone.
#[rustfmt::skip]
#[path = "../../layers/edge/src/client.rs"]
#[allow(dead_code, reason = "not all of it is asked for here")]
pub(crate) mod client;

/// Stands for what labels are held against: one bridge of Docker's, and this host on it.
mod claims {
    use std::net::{IpAddr, Ipv4Addr};

    use config::snapshot::Mode;

    pub(super) const OWN: IpAddr = IpAddr::V4(Ipv4Addr::new(172, 17, 0, 1));

    pub(super) struct Ground<'a> {
        pub(super) mode: Option<Mode>,
        pub(super) may_observe: bool,
        pub(super) own: &'a [IpAddr],
        pub(super) routes: &'a Routes,
    }

    pub(super) struct Routes;

    impl Routes {
        pub(super) fn device(&self, address: IpAddr) -> Option<&str> {
            is_behind_the_bridge(address).then_some("docker0")
        }
    }

    pub(super) fn is_behind_the_bridge(address: IpAddr) -> bool {
        matches!(address, IpAddr::V4(four) if four.octets()[..2] == [172, 17])
    }
}

/// A container's wish alone.
#[rustfmt::skip]
#[path = "../../app/src/labels/wish.rs"]
#[allow(dead_code, missing_docs, reason = "not all of it is asked for here")]
mod wish;

use crate::route::Plan;
use crate::snapshot::ClientHeader;

pub(crate) fn login_seeds() -> Vec<Vec<u8>> {
    let post = |kind: &str, body: &str| {
        let length = body.len();
        format!(
            "POST /login HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    };
    let form = "application/x-www-form-urlencoded";
    [
        post(form, "user=ada&password=correct%2dhorse"),
        post(form, "log=ada+b&pwd=%zz&user[name]=x"),
        post(
            "application/json",
            r#"{"user":{"name":"ada","password":"a\"\u00e9"}}"#,
        ),
        post(
            "application/problem+json; charset=utf-8",
            r#"[{"email":"a@b.example"},["p",1.5e3,null]]"#,
        ),
        "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic YWRhOmNvcnJlY3Q=\r\n\r\n".to_owned(),
    ]
    .map(String::into_bytes)
    .to_vec()
}

/// The same bytes tell the same, however often; no body hides that there are credentials in
/// the head; and what stands behind the last `&` of a form that may be cut off tells nothing.
pub(crate) fn login(data: &[u8]) {
    let mut head = RequestHead::new();
    let Parse::Done { consumed } = head.parse(data, &Limits::default()) else {
        return;
    };
    let secret = std::hash::BuildHasherDefault::<std::hash::DefaultHasher>::default();
    let request = head.request(data);
    let body = &data[consumed..][..(data.len() - consumed).min(login::MOST)];
    let by_head = login::read(&request, None, true, &secret);
    let _asked = login::wanted(&request);
    for shape in [login::Shape::Form, login::Shape::Json] {
        for whole in [true, false] {
            let read = |body| login::read(&request, Some((shape, body)), whole, &secret);
            assert_eq!(read(body), read(body));
            if by_head.is_some() {
                assert!(read(body).is_some(), "a body hides who logs in");
            }
        }
    }
    let form =
        |body, whole| login::read(&request, Some((login::Shape::Form, body)), whole, &secret);
    let ended = body.iter().rposition(|byte| *byte == b'&');
    let ended = &body[..ended.map_or(0, |last| last + 1)];
    assert_eq!(form(body, false), form(ended, true));
}

pub(crate) fn client_seeds() -> Vec<Vec<u8>> {
    [
        "\u{0}X-Forwarded-For: 203.0.113.7, 10.0.0.1",
        "\u{1}Forwarded: for=\"[2001:db8::1]:80\";proto=https, for=10.0.0.1",
        "\u{2}X-Forwarded-For: 192.0.2.1\nForwarded: for=192.0.2.1",
        "\u{3}X-Client: 192.0.2.1",
        "\u{0}X-Forwarded-For: 192.0.2.1:80,[::ffff:10.1.1.1],unknown\nX-Forwarded-For: ,,",
    ]
    .map(|seed| seed.as_bytes().to_vec())
    .to_vec()
}

/// A client that a list of hops names is not the proxy; and whom the trusted hops name stays who he is
/// whatever a stranger wrote to the left of them.
pub(crate) fn client(data: &[u8]) {
    let Some((kind, lines)) = data.split_first() else {
        return;
    };
    let header = match kind % 4 {
        0 => ClientHeader::XForwardedFor,
        1 => ClientHeader::Forwarded,
        2 => ClientHeader::Either,
        _ => ClientHeader::Single("x-client".into()),
    };
    let peer: IpAddr = [10, 9, 9, 9].into();
    let told = |before: &str| -> Option<Option<ClientAddr>> {
        let mut text = format!("GET / HTTP/1.1\r\nHost: a\r\n{before}").into_bytes();
        for line in lines.split(|byte| *byte == b'\n') {
            text.extend_from_slice(line);
            text.extend_from_slice(b"\r\n");
        }
        text.extend_from_slice(b"\r\n");
        let mut head = RequestHead::new();
        let parsed = head.parse(&text, &Limits::default());
        let plan = Plan {
            client_header: header.clone(),
            habit: client::Habit::default(),
        };
        matches!(parsed, Parse::Done { .. })
            .then(|| client::behind_proxy(peer, head.request(&text).headers(), &plan))
    };
    let Some(Some(found)) = told("") else {
        return;
    };
    if !matches!(header, ClientHeader::Single(_)) {
        assert_ne!(found, ClientAddr::new(peer));
    }
    let forged = match header {
        ClientHeader::XForwardedFor => "X-Forwarded-For: 203.0.113.99\r\n",
        ClientHeader::Forwarded => "Forwarded: for=203.0.113.99\r\n",
        ClientHeader::Either | ClientHeader::Single(_) => return,
    };
    let trusted = crate::route::is_trusted(found.0);
    if let Some(again) = told(forged).filter(|_| !trusted) {
        assert_eq!(again, Some(found), "a stranger named somebody else");
    }
}

pub(crate) fn labels_seeds() -> Vec<Vec<u8>> {
    [
        r#"[{"Id":"0123456789abcdef","Names":["/shop"],"Created":1,"State":"running","Labels":{"ringwall.host":"shop.example","ringwall.port":"80","com.docker.compose.project":"p"},"Ports":[{"PrivatePort":80,"Type":"tcp"}],"NetworkSettings":{"Networks":{"bridge":{"NetworkID":"0123456789ab","IPAddress":"172.17.0.2"}}},"HostConfig":{"NetworkMode":"bridge"}}]"#,
        r#"[{"Id":"b","State":"running","Labels":{"ringwall.host":"b.example","ringwall.network":"n"},"Ports":[{"PrivatePort":80,"Type":"tcp"}],"NetworkSettings":{"Networks":{"n":{"NetworkID":"fedc","IPAddress":"10.0.0.2","GlobalIPv6Address":"2001:db8::2"}}}}]"#,
        r#"[{"Id":"a","Labels":{"ringwall.enable":"maybe","ringwall.host":"*.a.example, b","ringwall.path":"/x","ringwall.mode":"observe"}} , {"Id":"c"}]"#,
        r#"[{"Id":"a","Labels":null}]"#,
    ]
    .map(|seed| seed.as_bytes().to_vec())
    .to_vec()
}

/// Docker's list means the same whole and byte by byte, is cut to its bounds and survives
/// the pipe. A container gets a site with hosts of its own, enforced, and behind Docker's
/// bridge alone; or nothing, which it asked for or is told why.
pub(crate) fn labels(data: &[u8]) {
    use host::docker::{FRAME_BYTES, MOST_CONTAINERS, MOST_LABELS, MOST_PLACES};
    use host::docker::{NAME_BYTES, Sight, VALUE_BYTES};
    let sight = listed(&[data]);
    let bytes: Vec<&[u8]> = data.chunks(1).collect();
    assert_eq!(sight, listed(&bytes));
    let Some(sight) = sight else {
        return;
    };
    assert!(sight.containers.len() <= MOST_CONTAINERS);
    let text = serde_json::to_vec(&sight).expect("a list is written");
    assert!(text.len() < FRAME_BYTES);
    let again: Option<Sight> = serde_json::from_slice(&text).ok();
    assert_eq!(again.as_ref(), Some(&sight));
    for one in &sight.containers {
        assert!(one.labels.len() <= MOST_LABELS && one.name.len() <= NAME_BYTES);
        assert!(one.ports.len() <= MOST_PLACES && one.networks.len() <= MOST_PLACES);
        assert!(one.labels.values().all(|value| value.len() <= VALUE_BYTES));
        wishes(one);
    }
}

fn listed(pieces: &[&[u8]]) -> Option<host::docker::Sight> {
    let mut reading = host::docker::list::Reading::default();
    for piece in pieces {
        reading.take(piece).ok()?;
    }
    reading.end().ok()
}

fn wishes(one: &host::docker::Container) {
    let ground = claims::Ground {
        mode: None,
        may_observe: false,
        own: &[claims::OWN],
        routes: &claims::Routes,
    };
    let mut faults = Vec::new();
    let wish = wish::read(one, &ground, &mut faults);
    assert!(
        faults
            .iter()
            .all(|fault| !fault.problem.is_empty() && !fault.fix.is_empty())
    );
    let Some(wish) = wish else {
        let off = one
            .labels
            .get("enable")
            .is_some_and(|value| value.trim() == "false");
        assert!(off || !faults.is_empty(), "no site, and nobody is told");
        return;
    };
    assert!(!wish.hosts.is_empty() && wish.hosts.len() <= wish::MOST_HOSTS);
    assert!(
        !wish.hosts.contains(&HostPattern::Any),
        "a label claims every host"
    );
    assert!(wish.path.starts_with('/'));
    assert_ne!(
        wish.mode,
        Some(Mode::Observe),
        "a label switches enforcing off"
    );
    if let Some(upstream) = wish.upstream {
        assert!(one.running && !one.host_network && upstream.port() > 0);
        assert!(claims::is_behind_the_bridge(upstream.ip()), "{upstream}");
        assert_ne!(upstream.ip(), claims::OWN, "a label leads to this host");
    }
}
