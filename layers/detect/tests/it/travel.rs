//! How lines and requests travel: nginx, syslog, sshd; live and log agree.

use std::collections::BTreeMap;
use std::net::IpAddr;

use detect::bucket::{Occurrence, Seed};
use detect::event::Space;
use detect::explain::Trace;
use detect::parse::Parsed;
use detect::program::{DIFFERENCES, Line, Options, Program, Scratch};
use detect::rules::{self, Bounds, Items, disk::Place};
use vocab::{ClientAddr, HttpEvent, Timestamp};

use crate::hub::program;

const SEED: Seed = Seed::new(7);

fn at() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

fn line<'l>(text: &'l str, labels: &'l [(&'l str, &'l str)]) -> Line<'l> {
    Line {
        text: text.as_bytes(),
        labels,
        source: "access.log",
        module: "file",
        received: at(),
        replay: true,
    }
}

fn fields(program: &Program, scratch: &Scratch) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (space, name) in [
        (Space::Parsed, "Parsed"),
        (Space::Meta, "Meta"),
        (Space::Enriched, "Enriched"),
    ] {
        for (key, value) in scratch.event().entries(program.slots(), space) {
            let (key, value) = (String::from_utf8_lossy(key), String::from_utf8_lossy(value));
            all.insert(format!("evt.{name}.{key}"), value.into_owned());
        }
    }
    all
}

fn request(
    method: &'static str,
    target: &str,
    status: u16,
    agent: &'static str,
) -> HttpEvent<'static> {
    HttpEvent {
        time: at(),
        site: "shop".into(),
        client: ClientAddr("192.0.2.7".parse::<IpAddr>().unwrap()),
        method: method.into(),
        target: target.to_owned().into(),
        version: 11,
        host: "shop.example".into(),
        status,
        user_agent: agent.into(),
        referer: "".into(),
        body_bytes: Some(512),
        tls: true,
        request_id: 1,
        session: false,
        credentials: None,
        foreign: false,
        login: None,
    }
}

fn combined(http: &HttpEvent<'_>) -> String {
    let dash = |text: &str| {
        if text.is_empty() {
            "-".to_owned()
        } else {
            text.to_owned()
        }
    };
    format!(
        "{} - - [22/Nov/2026:12:00:00 +0000] \"{} {} HTTP/{}\" {} {} \"{}\" \"{}\"",
        http.client,
        http.method,
        http.target,
        if http.version == 10 { "1.0" } else { "1.1" },
        http.status,
        http.body_bytes.unwrap_or(0),
        dash(&http.referer),
        dash(&http.user_agent)
    )
}

const TARGETS: &[&str] = &[
    "/",
    "/index.html",
    "/a/b/c.PNG",
    "/a/b/",
    "/a?x=1",
    "/a?x=1?y=2",
    "/a/?",
    "/?",
    "/.env",
    "/a/.git/config",
    "/a..b",
    "/a.",
    "/a/b.tar.gz",
    "/a.b/c",
    "/%2e%2e/%2E%2E/etc/passwd",
    "/a?redirect=/b/c.css",
    "/a/b.css?v=1/2.js",
    "//a//b",
    "/a b",
    "/ä/ö.jpg",
    "*",
    "http://other.example/x.js",
    "/a;b=c/d.mjs",
    "/x.woff2",
    "/x.woff22",
    "/..",
    "/...",
    "/a?b=\\x22c",
    "/.js",
    "/a?",
    "example.org:443",
    "/w00tw00t.at.ISC.SANS.DFind:)",
    "/a'or'1",
    "/~u/x.Js",
];

#[test]
fn live_requests_have_the_fields_of_their_log_lines() {
    let Some(program) = program(&["crowdsecurity/nginx"]) else {
        return;
    };
    let mut scratch = Scratch::new(&program, SEED);
    for target in TARGETS {
        for (method, status, agent) in [
            ("GET", 200, "Mozilla/5.0"),
            ("POST", 404, ""),
            ("CONNECT", 400, "x"),
        ] {
            let http = request(method, target, status, agent);
            let live: Vec<_> = program.observe(&http, &mut scratch).pours.to_vec();
            let mut from_live = fields(&program, &scratch);
            let text = combined(&http);
            let seen = program.line(&line(&text, &[("type", "nginx")]), &mut scratch);
            assert_eq!(seen.parsed, Parsed::Event, "{text}");
            let logged: Vec<_> = seen.pours.to_vec();
            let mut from_log = fields(&program, &scratch);
            for (name, _) in DIFFERENCES {
                from_live.remove(*name);
                from_log.remove(*name);
            }
            assert_eq!(from_live, from_log, "{text}");
            let scenarios = |pours: &[detect::bucket::Pour]| -> Vec<_> {
                pours.iter().map(|pour| pour.scenario).collect()
            };
            assert_eq!(scenarios(&live), scenarios(&logged), "{text}");
        }
    }
}

#[test]
fn the_sieve_drops_nothing_that_would_be_poured() {
    let Some((set, data)) = crate::hub::hub(&[]) else {
        return;
    };
    let (program, _) = Program::build(&set, &data, &Options { live: false });
    let mut scratch = Scratch::new(&program, SEED);
    let mut pours = 0;
    let words = [&b"xss"[..], b"sqli"].map(|name| String::from_utf8_lossy(name).into_owned());
    let lists: Vec<String> = data
        .iter()
        .flat_map(|(_, file)| file.lines.iter().step_by(7).take(12))
        .map(|text| format!("/a/{}", String::from_utf8_lossy(text)))
        .collect();
    let targets = TARGETS
        .iter()
        .map(|target| (*target).to_owned())
        .chain(lists)
        .chain(words);
    for target in targets {
        for (method, status, agent) in [
            ("GET", 200, "Mozilla/5.0"),
            ("POST", 404, "Nikto"),
            ("PROPFIND", 403, "ä ${jndi:ldap"),
        ] {
            let target = if target.contains('<') {
                format!("/?q={target}")
            } else {
                target.clone()
            };
            let http = request(method, &target, status, agent);
            let asked = program.observe(&http, &mut scratch).pours.to_vec();
            let mut trace = Trace::default();
            let all = program
                .explain_request(&http, &mut scratch, &mut trace)
                .pours
                .to_vec();
            assert_eq!(asked, all, "{target}");
            pours += all.len();
        }
    }
    for text in include_str!("travel/lines.txt")
        .lines()
        .filter(|text| !text.is_empty())
    {
        let (kind, text) = text.split_once('|').unwrap();
        let labels = [("type", kind)];
        let asked = program
            .line(&line(text, &labels), &mut scratch)
            .pours
            .to_vec();
        let all = program
            .explain(&line(text, &labels), &mut scratch, &mut Trace::default())
            .pours
            .to_vec();
        assert_eq!(asked, all, "{text}");
        pours += all.len();
    }
    assert!(pours > 500, "{pours} pours");
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn a_request_is_poured_where_the_hub_says() {
    let Some(program) = program(&["crowdsecurity/nginx", "crowdsecurity/http-dos"]) else {
        return;
    };
    let mut scratch = Scratch::new(&program, SEED);
    let agent = "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0";
    for (method, target, status, agent, want) in [
        (
            "GET",
            "/index.html",
            200,
            agent,
            &["http-crawl-non_statics", "http-dos-swithcing-ua"][..],
        ),
        ("GET", "/a.css", 200, agent, &["http-dos-swithcing-ua"]),
        (
            "GET",
            "/x",
            404,
            agent,
            &[
                "http-crawl-non_statics",
                "http-probing",
                "http-dos-swithcing-ua",
            ],
        ),
        (
            "GET",
            "/.env",
            404,
            agent,
            &[
                "http-crawl-non_statics",
                "http-probing",
                "http-sensitive-files",
                "http-dos-swithcing-ua",
            ],
        ),
        (
            "GET",
            "/a",
            200,
            "Sqlmap/1.0",
            &[
                "http-bad-user-agent",
                "http-crawl-non_statics",
                "http-dos-swithcing-ua",
            ],
        ),
        (
            "GET",
            "/a",
            200,
            "Mozilla (Nikto/2.1)",
            &[
                "http-bad-user-agent",
                "http-crawl-non_statics",
                "http-dos-swithcing-ua",
            ],
        ),
        (
            "POST",
            "/login",
            401,
            agent,
            &["LePresidente/http-generic-401-bf", "http-dos-swithcing-ua"],
        ),
        (
            "GET",
            "/c99.php",
            404,
            agent,
            &[
                "http-backdoors-attempts",
                "http-crawl-non_statics",
                "http-probing",
                "http-dos-swithcing-ua",
            ],
        ),
        (
            "GET",
            "/?q=1%20union%20select%201",
            200,
            agent,
            &[
                "http-crawl-non_statics",
                "http-sqli-probbing-detection",
                "http-dos-swithcing-ua",
            ],
        ),
        (
            "GET",
            "/?q=%24%7Bjndi:ldap",
            200,
            agent,
            &[
                "http-crawl-non_statics",
                "apache_log4j2_cve-2021-44228",
                "http-dos-swithcing-ua",
            ],
        ),
        (
            "GET",
            "/cgi-bin/.%2e/.%2e/etc/passwd",
            404,
            agent,
            &["http-cve-2021-41773", "http-path-traversal-probing"],
        ),
        (
            "GET",
            "/ampps-admin/index.php",
            404,
            agent,
            &["http-technology-probing"],
        ),
        (
            "GET",
            "/global-protect/login.esp",
            404,
            agent,
            &["http-cve-probing"],
        ),
    ] {
        let http = request(method, target, status, agent);
        let seen = program.observe(&http, &mut scratch);
        let names: Vec<&str> = seen
            .pours
            .iter()
            .map(|pour| program.specs()[pour.scenario.0 as usize].name.as_str())
            .collect();
        for want in want {
            assert!(
                names.iter().any(|name| name.ends_with(want)),
                "{target} {agent}: no {want} in {names:?}"
            );
        }
        if want.len() < 3 && status == 200 {
            assert_eq!(names.len(), want.len(), "{target}: {names:?}");
        }
    }
    assert_eq!(scratch.counted().errors, 0);
}

#[test]
fn what_a_filter_sets_is_kept_as_evidence() {
    let Some(program) = program(&["crowdsecurity/nginx"]) else {
        return;
    };
    let mut scratch = Scratch::new(&program, SEED);
    let http = request("GET", "/global-protect/login.esp", 404, "x");
    let mut seen = program.observe(&http, &mut scratch);
    let evidence = seen.occurrence.keep().evidence();
    assert_eq!(evidence.meta("cve"), "CVE-2024-3400");
    assert_eq!(evidence.meta("source_ip"), "192.0.2.7");
    assert_eq!(evidence.meta("timestamp"), "2026-11-22T12:00:00Z");
    let mut sorted = evidence.meta.clone();
    sorted.sort();
    assert_eq!(evidence.meta, sorted);
}

#[test]
fn live_ipv6_sources_share_the_buckets_of_their_subscriber() {
    let Some((set, data)) =
        crate::hub::hub(&["crowdsecurity/http-probing", "crowdsecurity/http-logs"])
    else {
        return;
    };
    let (program, _) = Program::build(&set, &data, &Options { live: true });
    let mut scratch = Scratch::new(&program, SEED);
    let mut key = |address: &str| {
        let client = ClientAddr(address.parse().unwrap());
        let http = HttpEvent {
            client,
            ..request("GET", "/x", 404, "x")
        };
        let key = program.observe(&http, &mut scratch).pours[0].key;
        (
            key,
            fields(&program, &scratch)["evt.Meta.source_ip"].clone(),
        )
    };
    let (one, two, other) = (
        key("2001:db8::1"),
        key("2001:db8::2"),
        key("2001:db8:0:1::1"),
    );
    assert_eq!(one.0, two.0);
    assert_ne!(one.0, other.0);
    assert_eq!(two.1, "2001:db8::2", "the event keeps the address");
}

#[test]
fn syslog_and_sshd_lines_become_events() {
    let Some(program) = program(&["crowdsecurity/sshd"]) else {
        return;
    };
    let mut scratch = Scratch::new(&program, SEED);
    for (text, want) in [
        (
            "Dec  8 06:28:43 mymachine sshd[4132]: Invalid user pascal from 192.0.2.41",
            Some(("ssh_failed-auth", "pascal", "192.0.2.41")),
        ),
        (
            "Dec  8 06:28:43 mymachine sshd[4132]: Failed password for root from 192.0.2.41 port 42 ssh2",
            Some(("ssh_failed-auth", "root", "192.0.2.41")),
        ),
        (
            "2026-11-20T06:28:43.123456+01:00 mymachine sshd-session[4132]: Failed password for invalid user a from 2001:db8::1 port 42 ssh2",
            Some(("ssh_failed-auth", "a", "2001:db8::1")),
        ),
        (
            "Dec  8 06:28:43 mymachine sshd[4132]: Server listening on 0.0.0.0 port 22.",
            None,
        ),
        (
            "Dec  8 06:28:43 mymachine cron[4132]: Invalid user pascal from 192.0.2.41",
            None,
        ),
        ("", None),
        ("\u{fffd}", None),
    ] {
        let seen = program.line(&line(text, &[("type", "syslog")]), &mut scratch);
        let parsed = seen.parsed;
        let pours = seen.pours.len();
        let fields = fields(&program, &scratch);
        match want {
            None => assert_eq!((parsed, pours), (Parsed::Dropped, 0), "DENY {text}"),
            Some((log_type, user, source)) => {
                assert_eq!(parsed, Parsed::Event, "{text}");
                assert_eq!(fields["evt.Meta.log_type"], log_type);
                assert_eq!(fields["evt.Meta.target_user"], user, "{text}");
                assert_eq!(fields["evt.Meta.source_ip"], source);
                assert!(pours >= 4, "{text}: {pours}");
            }
        }
    }
}

#[test]
fn a_whitelisted_line_is_not_poured() {
    let Some(program) = program(&["crowdsecurity/nginx", "crowdsecurity/whitelists"]) else {
        return;
    };
    let mut scratch = Scratch::new(&program, SEED);
    let text = combined(&request("GET", "/x", 404, "x"));
    let labels = [("type", "nginx")];
    assert!(
        !program
            .line(&line(&text, &labels), &mut scratch)
            .pours
            .is_empty()
    );
    let text = text.replace("192.0.2.7", "192.168.0.7");
    let seen = program.line(&line(&text, &labels), &mut scratch);
    assert_eq!((seen.parsed, seen.pours.len()), (Parsed::Whitelisted, 0));
    let http = HttpEvent {
        client: ClientAddr("10.0.0.1".parse().unwrap()),
        ..request("GET", "/x", 404, "x")
    };
    assert!(program.observe(&http, &mut scratch).pours.is_empty());
}

#[test]
fn explain_names_parsers_fields_and_buckets() {
    let Some(program) = program(&["crowdsecurity/nginx"]) else {
        return;
    };
    let mut scratch = Scratch::new(&program, SEED);
    let mut trace = Trace::default();
    let text = combined(&request("GET", "/x", 404, "x"));
    program.explain(&line(&text, &[("type", "nginx")]), &mut scratch, &mut trace);
    let shown = trace.to_string();
    for want in [
        "s00-raw",
        "+ crowdsecurity/non-syslog",
        "s01-parse",
        "+ crowdsecurity/nginx-logs",
        "evt.Meta.http_status = 404",
        "+ crowdsecurity/http-logs",
        "+ crowdsecurity/http-probing bucket \"192.0.2.7/\" distinct \"/x\"",
    ] {
        assert!(shown.contains(want), "no {want:?} in\n{shown}");
    }
    assert_eq!(trace.scenarios.len(), program.specs().len());
    let mut trace = Trace::default();
    program.explain(
        &line("nonsense", &[("type", "nginx")]),
        &mut scratch,
        &mut trace,
    );
    assert!(!trace.stopped.is_empty());
}

#[test]
fn our_patterns_read_what_the_hubs_read() {
    let (Some(hub), Some(patterns)) = (
        crate::shared::shared("hub"),
        crate::shared::shared("crowdsec/patterns"),
    ) else {
        return;
    };
    let own = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../rules/patterns"));
    let names = ["crowdsecurity/nginx", "crowdsecurity/sshd"];
    let build = |patterns: &std::path::Path| {
        let place = Place {
            patterns: vec![patterns.to_owned()],
            ..Place::new(&hub)
        };
        let items = Items {
            names: names.map(str::to_owned).to_vec(),
            exact: false,
        };
        let set = rules::load(&place.sources().unwrap(), &items, &Bounds::default());
        let (program, faults) = Program::build(
            &set,
            &place.data(&set.data).unwrap(),
            &Options { live: false },
        );
        let wrong: Vec<_> = faults.iter().filter(|fault| fault.line != 0).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
        program
    };
    let (theirs, ours) = (build(&patterns), build(own));
    let mut lines: Vec<(String, &str)> = Vec::new();
    for target in TARGETS {
        lines.push((
            combined(&request("GET", target, 200, "Mozilla/5.0 (compatible)")),
            "nginx",
        ));
        let v6 = HttpEvent {
            client: ClientAddr("2001:db8::a:1".parse().unwrap()),
            ..request("GET", target, 200, "a")
        };
        lines.push((combined(&v6), "nginx"));
        lines.push((format!("shop.example.org:8080 {}", combined(&v6)), "nginx"));
    }
    for text in include_str!("travel/lines.txt")
        .lines()
        .filter(|text| !text.is_empty())
    {
        let (kind, text) = text.split_once('|').unwrap();
        lines.push((
            text.to_owned(),
            if kind == "nginx" { "nginx" } else { "syslog" },
        ));
    }
    let (mut one, mut two) = (Scratch::new(&theirs, SEED), Scratch::new(&ours, SEED));
    let mut events = 0;
    for (text, kind) in &lines {
        let labels = [("type", *kind)];
        let parsed = theirs.line(&line(text, &labels), &mut one).parsed;
        assert_eq!(
            ours.line(&line(text, &labels), &mut two).parsed,
            parsed,
            "{text}"
        );
        assert_eq!(fields(&ours, &two), fields(&theirs, &one), "{text}");
        events += u32::from(parsed == Parsed::Event);
    }
    assert!(events > 100, "{events} events");
}
