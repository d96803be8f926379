//! Labels by tables, with the time passed in.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::slice;
use std::sync::LazyLock;
use std::time::Duration;

use config::snapshot::{HostPattern, Mode, Site, SiteSource, Upstream};
use host::docker::{Container, Endpoint, Sight};
use vocab::Timestamp;

use super::claims::{Claims, Ground, HELD, MOST_FAULTS, MOST_OF_ONE, MOST_SITES, Outcome};
use super::wish::{self, Fault, Owner};
use crate::surroundings::Routes;
use crate::translate;

const T0: Timestamp = Timestamp::EPOCH;

/// A running container of a project with one network and the exposed port 80.
fn container(name: &str, project: &str, labels: &[(&str, &str)]) -> Container {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    Container {
        id: name.to_owned(),
        name: name.to_owned(),
        project: (!project.is_empty()).then(|| project.to_owned()),
        running: true,
        labels: labels.iter().map(owned).collect(),
        networks: BTreeMap::from([("shop_net".to_owned(), endpoint("203.0.113.2"))]),
        ports: vec![80],
        ..Container::default()
    }
}

fn at(mut container: Container, address: &str) -> Container {
    container
        .networks
        .insert("shop_net".to_owned(), endpoint(address));
    container
}

fn endpoint(address: &str) -> Endpoint {
    Endpoint {
        address: address.parse().unwrap(),
        bridge: "br-shop".to_owned(),
    }
}

fn sight(containers: &[Container]) -> Sight {
    Sight {
        containers: containers.to_vec(),
        ..Sight::default()
    }
}

fn file_site(host: &str) -> Site {
    Site {
        hosts: vec![HostPattern::read(host).unwrap()],
        path: "/".to_owned(),
        upstreams: vec![Upstream {
            host: "127.0.0.1".to_owned(),
            port: 3000,
        }],
        mode: Mode::Gradual,
        certificate: None,
        source: SiteSource::File,
    }
}

/// A host with the network of a shop, 203.0.113.0/24, and a LAN, 198.51.100.0/24.
static GROUND: LazyLock<Ground<'static>> = LazyLock::new(|| Ground {
    file: &[],
    allowed: &[],
    mode: None,
    may_observe: false,
    tls: false,
    own: &[],
    routes: &ROUTES,
});

static ROUTES: LazyLock<Routes> = LazyLock::new(|| {
    let hex = |address: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(address));
    let line = |device: &str, to: [u8; 4]| {
        let (to, mask) = (hex(to), hex([255, 255, 255, 0]));
        format!("{device} {to} 00000000 0001 0 0 0 {mask} 0 0 0\n")
    };
    let lan = line("eth0", [198, 51, 100, 0]);
    Routes::read(&(line("br-shop", [203, 0, 113, 0]) + &lan), "")
});

/// `name -> upstreams` of each site, in order.
fn listed(outcome: &Outcome) -> Vec<String> {
    let one = |site: &Site| {
        let upstreams: Vec<_> = site
            .upstreams
            .iter()
            .map(|one| format!("{}:{}", one.host, one.port))
            .collect();
        format!("{} -> {}", site.name(), upstreams.join(" "))
    };
    outcome.sites.iter().map(one).collect()
}

fn problems(outcome: &Outcome) -> Vec<String> {
    outcome.faults.iter().map(Fault::to_string).collect()
}

type Row<'a> = (&'a [(&'a str, &'a str)], &'a str);

#[test]
fn labels_that_are_right_declare_sites() {
    let table: &[Row<'_>] = &[
        (
            &[("host", "a.example.org")],
            "a.example.org -> 203.0.113.2:80",
        ),
        (
            &[("host", " A.Example.ORG. "), ("enable", "true")],
            "a.example.org -> 203.0.113.2:80",
        ),
        (
            &[("host", "a.example.org,b.example.org, a.example.org")],
            "a.example.org -> 203.0.113.2:80|b.example.org -> 203.0.113.2:80",
        ),
        (
            &[
                ("host", "*.example.org"),
                ("port", "8080"),
                ("path", "/api/"),
            ],
            "*.example.org/api -> 203.0.113.2:8080",
        ),
        (
            &[("host", "a.example.org"), ("network", "shop_net")],
            "a.example.org -> 203.0.113.2:80",
        ),
        // as Compose names it: without the project's name
        (
            &[("host", "a.example.org"), ("network", "net")],
            "a.example.org -> 203.0.113.2:80",
        ),
        (&[("host", "a.example.org"), ("enable", "false")], ""),
        (&[("enable", "false"), ("nonsense", "x")], ""),
    ];
    for (labels, want) in table {
        let one = container("web", "shop", labels);
        let outcome = Claims::default().settle(&sight(&[one]), &GROUND, T0);
        assert_eq!(listed(&outcome).join("|"), *want, "{labels:?}");
        assert_eq!(problems(&outcome), Vec::<String>::new(), "{labels:?}");
    }
}

/// Labels, the label at fault, part of the sentence, the site all the same.
type Wrong = (
    &'static [(&'static str, &'static str)],
    &'static str,
    &'static str,
    &'static str,
);

#[rustfmt::skip]
const WRONG: &[Wrong] = &[
    (&[("port", "80")], "ringwall.host", "is missing", ""),
    (&[("host", "")], "ringwall.host", "is empty", ""),
    (&[("host", "*")], "ringwall.host", "may not claim '*'", ""),
    (&[("host", "a,,b")], "ringwall.host", "is empty", ""),
    (&[("host", "a,*")], "ringwall.host", "may not claim '*'", ""),
    (&[("host", "http://a")], "ringwall.host", "no scheme", ""),
    (&[("host", "a:80")], "ringwall.host", "no port", ""),
    (&[("host", "a/b")], "ringwall.host", "no path", ""),
    (&[("host", "a b")], "ringwall.host", "not a host name", ""),
    (&[("host", "a\nb")], "ringwall.host", "not a host name", ""),
    (&[("host", "1,2,3,4,5,6,7,8,9")], "ringwall.host", "looks like an address", ""),
    (&[("host", "a,b,c,d,e,f,g,h,i")], "ringwall.host", "more than 8 hosts", ""),
    (&[("host", "*.*.org")], "ringwall.host", "not a host name", ""),
    (&[("host", "a"), ("path", "api")], "ringwall.path", "start with '/'", ""),
    (&[("host", "a"), ("path", "/../b")], "ringwall.path", "dots", ""),
    (&[("host", "a"), ("path", "/a?b")], "ringwall.path", "characters", ""),
    // what is claimed is clear: the host is held, nobody answers for it
    (&[("host", "a"), ("port", "0")], "ringwall.port", "1 to 65535", "a -> "),
    (&[("host", "a"), ("port", "http")], "ringwall.port", "1 to 65535", "a -> "),
    (&[("host", "a"), ("port", "70000")], "ringwall.port", "1 to 65535", "a -> "),
    (&[("host", "a"), ("port", "")], "ringwall.port", "1 to 65535", "a -> "),
    (&[("host", "a"), ("network", "back")], "ringwall.network", "in: shop_net", "a -> "),
    // what is not understood leaves the rest as it is
    (&[("host", "a"), ("mode", "off")], "ringwall.mode", "enforce or observe", "a -> 203.0.113.2:80"),
    (&[("host", "a"), ("mode", "observe")], "ringwall.mode", "docker.may_observe", "a -> 203.0.113.2:80"),
    (&[("host", "a"), ("enable", "1")], "ringwall.enable", "true or false", "a -> 203.0.113.2:80"),
    (&[("host", "a"), ("prot", "1")], "ringwall.prot", "host, port, path", "a -> 203.0.113.2:80"),
    (&[("host", "a"), ("tls", "true")], "ringwall.tls", "belongs to the listener", "a -> 203.0.113.2:80"),
    (&[("host", "a"), ("certificate", "/etc/shadow")], "ringwall.certificate", "[[edge.site]]", "a -> 203.0.113.2:80"),
];

#[test]
fn a_wrong_label_is_one_fault_that_says_what_is_allowed() {
    for (labels, label, part, sites) in WRONG {
        let wrong = container("bad", "shop", labels);
        let right = container("good", "other", &[("host", "z.example.org")]);
        let outcome = Claims::default().settle(&sight(&[wrong, right]), &GROUND, T0);
        let [fault] = outcome.faults.as_slice() else {
            panic!("DENY {labels:?}: {:?}", problems(&outcome));
        };
        assert_eq!(fault.container, "bad");
        assert_eq!(fault.label, *label, "{fault}");
        assert!(fault.to_string().contains(part), "{labels:?}: {fault}");
        assert!(!fault.to_string().contains('\n'), "{fault}");
        let mut want: Vec<_> = (!sites.is_empty()).then_some(*sites).into_iter().collect();
        want.push("z.example.org -> 203.0.113.2:80");
        assert_eq!(listed(&outcome), want, "{labels:?}");
    }
}

#[test]
fn an_address_that_is_no_containers_own_is_no_upstream() {
    let own: [IpAddr; 1] = ["203.0.113.1".parse().unwrap()];
    let ground = Ground {
        own: &own,
        ..*GROUND
    };
    // DENY
    for address in [
        "127.0.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "203.0.113.1",
        "::1",
        "fe80::1",
        "::ffff:127.0.0.1",
        "::ffff:203.0.113.1",
    ] {
        let bad = at(container("bad", "", &[("host", "a.example.org")]), address);
        let outcome = Claims::default().settle(&sight(&[bad]), &ground, T0);
        assert_eq!(listed(&outcome), ["a.example.org -> "], "DENY {address}");
        assert_eq!(outcome.wrong, 1);
    }
    let mut host = container("bad", "", &[("host", "a.example.org"), ("port", "22")]);
    host.host_network = true;
    let mut none = container("bad", "", &[("host", "a.example.org")]);
    none.networks.clear();
    for (bad, part) in [(host, "host's network"), (none, "no address")] {
        let outcome = Claims::default().settle(&sight(&[bad]), &GROUND, T0);
        assert_eq!(listed(&outcome), ["a.example.org -> "]);
        assert!(problems(&outcome)[0].contains(part), "DENY {outcome:?}");
    }
}

#[test]
fn an_address_that_is_not_behind_its_networks_own_bridge_is_no_upstream() {
    for (address, bridge, leads) in [
        ("203.0.113.7", "br-shop", true),
        // DENY: a macvlan network names whom it likes, on the LAN or elsewhere, and its
        // gateway may be ours; there is no bridge of its id
        ("198.51.100.5", "br-0af0b3964c28", false),
        ("192.0.2.200", "br-0af0b3964c28", false),
        ("203.0.113.7", "br-0af0b3964c28", false),
        // DENY: a bridge over a range of the LAN, where the LAN's route goes before
        ("198.51.100.5", "br-shop", false),
        // DENY: devices that are there, or would be, without being Docker's
        ("198.51.100.5", "br-", false),
        ("203.0.113.7", "", false),
        ("203.0.113.7", "docker0", false),
    ] {
        let mut one = container("web", "", &[("host", "a.example.org")]);
        let at = Endpoint {
            address: address.parse().unwrap(),
            bridge: bridge.to_owned(),
        };
        one.networks.insert("shop_net".to_owned(), at);
        let outcome = Claims::default().settle(&sight(&[one]), &GROUND, T0);
        let held = if leads {
            format!("a.example.org -> {address}:80")
        } else {
            "a.example.org -> ".to_owned()
        };
        assert_eq!(listed(&outcome), [held], "DENY {address} {bridge}");
        assert_eq!(outcome.wrong, usize::from(!leads), "{outcome:?}");
    }
}

#[test]
fn an_upstream_of_a_label_is_barred_like_anybody() {
    let text = "[edge]\nlisten = ['127.0.0.1:8080']\n\
        [[edge.site]]\nhost = ['a.example.org']\nto = ['http://127.0.0.1:3000']\n";
    let mut config = crate::configuration::from_text("ringwall.toml", text).unwrap();
    let mut labelled = file_site("b.example.org");
    labelled.source = SiteSource::Labels {
        containers: vec!["web".to_owned()],
    };
    labelled.upstreams[0].host = "198.51.100.7".to_owned();
    config.edge.sites.push(labelled);
    let snapshot = translate::edge(&config, |_| T0).unwrap();
    let spared = translate::upstream_addresses(&config, &snapshot);
    let own: [IpAddr; 1] = ["127.0.0.1".parse().unwrap()];
    assert_eq!(spared, own, "DENY: a label spares an address everywhere");
}

#[test]
fn the_one_exposed_port_is_taken_and_several_are_named() {
    for (ports, want) in [
        (vec![], "exposes no port"),
        (vec![80, 443], "exposes several: 80, 443"),
    ] {
        let mut one = container("web", "", &[("host", "a.example.org")]);
        one.ports = ports;
        let mut faults = Vec::new();
        let wish = wish::read(&one, &GROUND, &mut faults).unwrap();
        assert_eq!(wish.upstream, None);
        assert_eq!(wish.owner, Owner::Container("web".to_owned()));
        assert!(faults[0].to_string().contains(want), "{}", faults[0]);
        // One that does not run exposes nothing, and that is no fault.
        one.running = false;
        faults.clear();
        assert_eq!(
            wish::read(&one, &GROUND, &mut faults).unwrap().upstream,
            None
        );
        assert_eq!(faults, []);
    }
}

#[test]
fn containers_of_one_project_share_a_site_and_others_do_not() {
    let labels = [("host", "a.example.org")];
    let one = container("shop-web-1", "shop", &labels);
    let two = at(container("shop-web-2", "shop", &labels), "203.0.113.3");
    let thief = at(container("ci-1", "ci", &labels), "203.0.113.9");
    let loner = at(container("loner", "", &labels), "203.0.113.8");
    let mut claims = Claims::default();
    let outcome = claims.settle(&sight(&[one, two, thief, loner]), &GROUND, T0);
    assert_eq!(
        listed(&outcome),
        ["a.example.org -> 203.0.113.2:80 203.0.113.3:80"],
        "DENY: a stranger's container among the upstreams"
    );
    assert_eq!(outcome.wrong, 2);
    for (fault, name) in outcome.faults.iter().zip(["ci-1", "loner"]) {
        assert_eq!(fault.container, name);
        assert!(
            fault.problem.contains("belongs to the project \"shop\""),
            "{fault}"
        );
    }
}

#[test]
fn nobody_gets_a_path_or_a_name_below_anothers_host() {
    let older = container("web", "shop", &[("host", "a.example.org")]);
    let wild = container("wild", "wild", &[("host", "*.wild.example.org")]);
    // DENY: each of these would stand between visitors and the older project
    for labels in [
        [("host", "a.example.org"), ("path", "/login")],
        [("host", "x.wild.example.org"), ("path", "/")],
        [("host", "*.x.wild.example.org"), ("path", "/")],
        [("host", "*.wild.example.org"), ("path", "/deep")],
    ] {
        let thief = at(container("thief", "ci", &labels), "203.0.113.9");
        let all = sight(&[older.clone(), wild.clone(), thief]);
        let outcome = Claims::default().settle(&all, &GROUND, T0);
        assert_eq!(outcome.sites.len(), 2, "DENY {labels:?}");
        assert_eq!(outcome.faults[0].container, "thief", "DENY {labels:?}");
        let mine = container(
            "more",
            "shop",
            &[("host", "a.example.org"), ("path", "/api")],
        );
        let outcome = Claims::default().settle(&sight(&[older.clone(), mine]), &GROUND, T0);
        assert_eq!(outcome.sites.len(), 2, "one's own paths are one's own");
    }
    // A wildcard that comes later takes nothing from names that are held: the exact
    // name goes before it.
    let late = container("late", "late", &[("host", "*.example.org")]);
    let outcome = Claims::default().settle(&sight(&[older, late]), &GROUND, T0);
    assert_eq!((outcome.sites.len(), outcome.wrong), (2, 0));
}

#[test]
fn the_configuration_goes_before_labels() {
    let file = [file_site("a.example.org"), file_site("*")];
    let allowed = [HostPattern::read("*.apps.example.org").unwrap()];
    let ground = Ground {
        file: &file,
        allowed: &allowed,
        ..*GROUND
    };
    for (host, part) in [
        ("a.example.org", "belongs to the site a.example.org"),
        ("b.example.org", "not among docker.hosts"),
        ("apps.example.org", "not among docker.hosts"),
        ("*.example.org", "not among docker.hosts"),
        ("evilapps.example.org", "not among docker.hosts"),
    ] {
        // With another path too: a host is one thing to its visitors.
        for path in ["/", "/login"] {
            let one = container("web", "shop", &[("host", host), ("path", path)]);
            let outcome = Claims::default().settle(&sight(&[one]), &ground, T0);
            assert_eq!(listed(&outcome), Vec::<String>::new(), "DENY {host}{path}");
            assert!(
                problems(&outcome)[0].contains(part),
                "{:?}",
                problems(&outcome)
            );
        }
    }
    let one = container(
        "web",
        "shop",
        &[("host", "x.apps.example.org"), ("mode", "observe")],
    );
    let mut claims = Claims::default();
    for (mode, may_observe, want) in [
        // DENY: one site that observes weakens all of them, and a label is anybody's word
        (None, false, Mode::Gradual),
        (None, true, Mode::Observe),
        (Some(Mode::Enforce), true, Mode::Enforce),
        (Some(Mode::Observe), false, Mode::Observe),
    ] {
        let ground = Ground {
            mode,
            may_observe,
            ..ground
        };
        let outcome = claims.settle(&sight(slice::from_ref(&one)), &ground, T0);
        assert_eq!(outcome.sites[0].mode, want, "DENY {mode:?} {may_observe}");
        let wrong = usize::from(mode.is_none() && !may_observe);
        assert_eq!(outcome.wrong, wrong, "{mode:?} {may_observe}");
    }
    // A reload that names the host takes it back at once.
    let file = [file_site("x.apps.example.org")];
    let outcome = claims.settle(
        &sight(&[one]),
        &Ground {
            file: &file,
            ..*GROUND
        },
        T0,
    );
    assert_eq!(outcome.sites, []);
}

#[test]
fn what_a_wildcard_of_the_configuration_serves_is_given_away_by_name_only() {
    let file = [file_site("*.example.org"), file_site("*")];
    for (host, hosts, part) in [
        // DENY: visitors of these reach the configuration's own site, with their cookies
        ("login.example.org", "", "served by the site *.example.org"),
        ("a.b.example.org", "", "served by the site *.example.org"),
        ("*.a.example.org", "", "served by the site *.example.org"),
        ("*.example.org", "*.example.org", "belongs to the site"),
        ("*.example.org", "*.org", "belongs to the site"),
        (
            "login.example.org",
            "*.apps.example.org",
            "not among docker.hosts",
        ),
        // DENY: as good as '*'
        ("*.com", "", "top-level domain"),
        ("*.org", "", "top-level domain"),
        ("*.org", "*.example.org", "not among docker.hosts"),
        // What the operator names is for labels; so is what only '*' would serve.
        ("login.example.org", "*.example.org", ""),
        ("*.a.example.org", "*.example.org", ""),
        ("a.example.net", "", ""),
        ("*.example.net", "", ""),
        ("*.internal", "*.internal", ""),
    ] {
        let allowed: Vec<_> = hosts
            .split_whitespace()
            .map(|host| HostPattern::read(host).unwrap())
            .collect();
        let ground = Ground {
            file: &file,
            allowed: &allowed,
            ..*GROUND
        };
        let one = container("web", "shop", &[("host", host)]);
        let outcome = Claims::default().settle(&sight(&[one]), &ground, T0);
        let granted = usize::from(part.is_empty());
        assert_eq!(outcome.sites.len(), granted, "DENY {host} with [{hosts}]");
        let said = problems(&outcome).join(" ");
        assert!(said.contains(part), "{host} with [{hosts}]: {said}");
    }
}

#[test]
fn a_host_outlives_its_containers_for_a_while_and_answers_503() {
    let labels = [("host", "a.example.org")];
    let mut web = container("web", "shop", &labels);
    let thief = at(container("thief", "ci", &labels), "203.0.113.9");
    let mut claims = Claims::default();
    assert_eq!(
        listed(&claims.settle(&sight(slice::from_ref(&web)), &GROUND, T0)),
        ["a.example.org -> 203.0.113.2:80"]
    );
    // Stopped but there: as long as it likes.
    web.running = false;
    let late = T0.after(HELD * 10);
    let outcome = claims.settle(&sight(&[web.clone(), thief.clone()]), &GROUND, late);
    assert_eq!(listed(&outcome), ["a.example.org -> "], "DENY");
    // Removed: held, though somebody else is waiting.
    let gone = late.after(Duration::from_secs(1));
    for after in [0, 1, HELD.as_secs() - 1] {
        let time = gone.after(Duration::from_secs(after));
        let outcome = claims.settle(&sight(slice::from_ref(&thief)), &GROUND, time);
        assert_eq!(
            listed(&outcome),
            ["a.example.org -> "],
            "DENY after {after} s"
        );
        assert!(
            problems(&outcome)[0].contains("'ringwall reload'"),
            "{:?}",
            problems(&outcome)
        );
    }
    assert!(claims.waits());
    // Back in time, its place is its own; and the clock starts anew.
    web.running = true;
    let back = gone.after(Duration::from_secs(300));
    let outcome = claims.settle(&sight(&[thief.clone(), web]), &GROUND, back);
    assert_eq!(
        listed(&outcome),
        ["a.example.org -> 203.0.113.2:80"],
        "DENY"
    );
    assert!(!claims.waits());
    claims.settle(&sight(slice::from_ref(&thief)), &GROUND, back);
    let outcome = claims.settle(&sight(&[thief]), &GROUND, back.after(HELD));
    assert_eq!(
        listed(&outcome),
        ["a.example.org -> 203.0.113.9:80"],
        "free"
    );
    // The operator may free it at once.
    claims.settle(&sight(&[]), &GROUND, back);
    claims.release_absent();
    assert_eq!(claims.settle(&sight(&[]), &GROUND, back).sites, []);
}

#[test]
fn a_flood_of_claims_is_bounded_and_pushes_nobody_out() {
    let first = container("web", "shop", &[("host", "a.example.org")]);
    let mut all = vec![first];
    for project in 0..8 {
        for number in 0..MOST_OF_ONE {
            let host = format!("h{number}.p{project}.example.net");
            let name = format!("p{project}-{number}");
            let labels = [("host", host.as_str()), ("nonsense", "1")];
            all.push(container(&name, &format!("p{project}"), &labels));
        }
    }
    let mut claims = Claims::default();
    let outcome = claims.settle(&sight(&all), &GROUND, T0);
    assert_eq!(outcome.sites.len(), MOST_SITES, "DENY");
    assert_eq!(outcome.faults.len(), MOST_FAULTS);
    assert!(outcome.wrong > MOST_FAULTS);
    assert!(listed(&outcome).contains(&"a.example.org -> 203.0.113.2:80".to_owned()));
    // One project alone stays at its share.
    let hosts: Vec<String> = (0..MOST_OF_ONE + 9)
        .map(|n| format!("h{n}.example.net"))
        .collect();
    let greedy: Vec<_> = hosts
        .iter()
        .map(|host| container(host, "ci", &[("host", host)]))
        .collect();
    let outcome = Claims::default().settle(&sight(&greedy), &GROUND, T0);
    assert_eq!(
        (outcome.sites.len(), outcome.wrong),
        (MOST_OF_ONE, 9),
        "DENY"
    );
}

#[test]
fn a_tls_listener_without_a_certificate_for_the_host_is_named() {
    let mut certified = file_site("*.example.org");
    certified.certificate = Some(config::snapshot::CertificateFiles {
        chain: "a.pem".into(),
        key: "a.key".into(),
    });
    let file = [certified];
    let allowed = ["*.example.org", "*.example.net"].map(|host| HostPattern::read(host).unwrap());
    let ground = Ground {
        file: &file,
        // A certificate's site has upstreams too: that labels may have its hosts is said.
        allowed: &allowed,
        tls: true,
        ..*GROUND
    };
    for (host, wrong) in [
        ("a.example.org", 0),
        ("a.b.example.org", 1),
        ("a.example.net", 1),
    ] {
        let one = container("web", "shop", &[("host", host)]);
        let outcome = Claims::default().settle(&sight(&[one]), &ground, T0);
        assert_eq!((outcome.sites.len(), outcome.wrong), (1, wrong), "{host}");
    }
}

#[test]
fn the_older_containers_mode_holds_and_a_difference_is_named() {
    let one = container(
        "web-1",
        "shop",
        &[("host", "a.example.org"), ("mode", "enforce")],
    );
    let two = container(
        "web-2",
        "shop",
        &[("host", "a.example.org"), ("mode", "observe")],
    );
    let ground = Ground {
        may_observe: true,
        ..*GROUND
    };
    let outcome = Claims::default().settle(&sight(&[one, two]), &ground, T0);
    assert_eq!(outcome.sites[0].mode, Mode::Enforce, "DENY");
    assert_eq!(outcome.faults[0].label, "ringwall.mode");
}
