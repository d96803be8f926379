//! The configuration as operators meet it: examples, faults, overrides, mutations.

#![expect(clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::fault::Cause;
use config::raw::Raw;
use config::snapshot::{ClientHeader, HostPattern, LogFormat, LogTarget, Mode, NeverBan};
use config::{Arguments, Config, Faults, FileKind, Origin, Origins, Probe, Surroundings};

const EXAMPLE: &str = include_str!("../../../ringwall.example.toml");

/// A machine on which paths below `/missing` do not exist, names ending in `.d` are
/// directories, and everything else is a file.
struct Machine;

impl Probe for Machine {
    fn kind(&self, path: &Path) -> FileKind {
        let text = path.display().to_string();
        if text.contains("missing") {
            FileKind::Missing
        } else if text.contains("forbidden") {
            FileKind::Unreadable("permission denied".to_owned())
        } else if path.extension().is_some_and(|end| end != "d") {
            FileKind::File
        } else {
            FileKind::Directory
        }
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        match path.to_str() {
            Some("/run/secrets/level") => Ok("debug\n".to_owned()),
            _ => Err(io::Error::from(io::ErrorKind::NotFound)),
        }
    }
}

fn around(env: &[(&str, &str)]) -> Surroundings<'static> {
    Surroundings {
        env: env
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        directory: PathBuf::from("/somewhere"),
        root: false,
        probe: &Machine,
    }
}

fn parse(text: &str) -> Result<(Config, Origins), Faults> {
    config::parse(Path::new("ringwall.toml"), text, &around(&[]))
}

fn parse_env(text: &str, env: &[(&str, &str)]) -> Result<(Config, Origins), Faults> {
    config::parse(Path::new("ringwall.toml"), text, &around(env))
}

fn listed(faults: &Faults) -> String {
    faults.iter().map(|fault| format!("{fault}\n")).collect()
}

fn good(text: &str) -> Config {
    match parse(text) {
        Ok((config, _)) => config,
        Err(faults) => panic!("{}", listed(&faults)),
    }
}

const SITE: &str = "[[edge.site]]\nhost = ['*']\nto = ['http://127.0.0.1:3000']\n";

#[test]
fn the_shipped_example_is_accepted_and_says_what_it_says() {
    let config = good(EXAMPLE);
    let listeners: Vec<(String, bool, bool)> = config
        .edge
        .listeners
        .iter()
        .map(|one| (one.address.to_string(), one.tls, one.proxy_protocol))
        .collect();
    assert_eq!(
        listeners,
        [
            ("0.0.0.0:80".to_owned(), false, false),
            ("0.0.0.0:443".to_owned(), true, false),
            ("127.0.0.1:4430".to_owned(), true, true)
        ]
    );
    let trusted = &config.edge.trusted_proxies;
    let here = "127.0.0.1".parse().unwrap();
    assert!(
        trusted.iter().any(|range| range.contains(here)),
        "nobody who reaches the PROXY listener is trusted"
    );
    assert_eq!(config.edge.client_header, Some(ClientHeader::XForwardedFor));
    let [app, api, any] = config.edge.sites.as_slice() else {
        panic!("three sites");
    };
    assert_eq!(
        app.hosts[0],
        HostPattern::Exact("app.example.org".to_owned())
    );
    assert_eq!(
        app.hosts[1],
        HostPattern::Wildcard("app.example.org".to_owned())
    );
    assert_eq!(
        (app.mode, api.mode, any.mode),
        (Mode::Enforce, Mode::Gradual, Mode::Observe)
    );
    assert_eq!(api.name(), "app.example.org/api");
    assert_eq!(any.upstreams[0].to_string(), "http://[::1]:8000");
    assert_eq!(config.book.never_ban.len(), 6);
    assert_eq!(
        config.book.never_ban[5],
        NeverBan::Name("home.example.net".to_owned())
    );
    assert!(config.book.profiles[0].covers("crowdsecurity/http-probing"));
    assert_eq!(
        config.detection.tune["crowdsecurity/http-probing"].capacity,
        Some(20)
    );
}

#[test]
fn what_the_readme_shows_is_accepted() {
    let readme = include_str!("../../../README.md");
    let blocks: Vec<&str> = readme
        .split("```toml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert!(blocks.len() >= 2);
    for block in blocks {
        good(block);
    }
}

#[test]
fn a_bogus_key_in_any_table_is_refused_where_it_stands() {
    let lines: Vec<&str> = EXAMPLE.lines().collect();
    let mut tables = 0;
    for (index, line) in lines.iter().enumerate() {
        if !line.starts_with('[') {
            continue;
        }
        tables += 1;
        let mut changed = lines.clone();
        changed.insert(index + 1, "bogus_key = 1");
        let faults = parse(&changed.join("\n")).expect_err(line);
        assert_eq!(faults.len(), 1, "{line}: {}", listed(&faults));
        let fault = faults.iter().next().unwrap();
        assert_eq!(fault.cause, Cause::UnknownKey, "{line}");
        assert_eq!(fault.line_column(), Some((index + 2, 1)), "{line}");
    }
    assert!(tables >= 16, "the example should show every table");
    for (from, to) in [
        ("proxy_protocol = true }", "bogus_key = 1 }"),
        ("# Ringwall, every", "bogus_key = 1\n# every"),
    ] {
        let faults = parse(&EXAMPLE.replace(from, to)).expect_err(to);
        assert_eq!(faults.iter().next().unwrap().cause, Cause::UnknownKey);
    }
}

#[test]
fn the_example_names_every_key_there_is() {
    let (_, origins) = parse(EXAMPLE).unwrap();
    let left: Vec<&str> = origins
        .iter()
        .filter(|value| value.origin == Origin::Default)
        .map(|value| value.path.as_str())
        .collect();
    // `items` goes with a hub, which the example leaves out; the sites show that `path` has a default.
    assert_eq!(
        left,
        ["edge.site[0].path", "edge.site[2].path", "detection.items"]
    );
}

#[test]
fn the_default_round_trips() {
    let text = toml::to_string(&Raw::default()).unwrap();
    assert_eq!(good(&text), good(""));
    let raw: Raw = toml::from_str(&text).unwrap();
    assert_eq!(raw, Raw::default());
}

#[test]
fn the_defaults_open_nothing_to_the_network_and_protect() {
    let config = good("");
    assert!(
        config
            .edge
            .listeners
            .iter()
            .all(|one| one.address.ip().is_loopback())
    );
    assert!(config.metrics.listen.unwrap().ip().is_loopback());
    assert!(config.edge.trusted_proxies.is_empty());
    assert!(config.detection.enabled);
    assert_eq!(
        config.book.never_ban,
        [NeverBan::Lan, NeverBan::Vpn, NeverBan::Wan]
    );
    assert_eq!(
        config.state.directory,
        Path::new("/somewhere/ringwall-data")
    );
    assert_eq!(
        config.control.socket,
        Path::new("/somewhere/ringwall-data/control.sock")
    );
    assert_eq!(config.edge.access_log.unwrap().target, LogTarget::Stdout);
    assert_eq!(config.edge.timeouts.header, Duration::from_secs(10));
    assert_eq!(config.edge.limits.body_bytes, None);
}

#[test]
fn root_and_systemd_move_the_default_places() {
    let mut around = around(&[]);
    around.root = true;
    let (config, _) = config::parse(Path::new("/etc/ringwall/ringwall.toml"), "", &around).unwrap();
    assert_eq!(config.state.directory, Path::new("/var/lib/ringwall"));
    assert_eq!(
        config.control.socket,
        Path::new("/run/ringwall/control.sock")
    );
    around.env.insert(
        "STATE_DIRECTORY".to_owned(),
        "/srv/state:/srv/other".to_owned(),
    );
    let (config, _) = config::parse(Path::new("/etc/ringwall/ringwall.toml"), "", &around).unwrap();
    assert_eq!(config.state.directory, Path::new("/srv/state"));
}

#[test]
fn relative_paths_are_taken_from_the_folder_of_the_file() {
    let text = format!(
        "{SITE}certificate = 'tls/a.pem'\nkey = '/abs/a.key'\n[state]\ndirectory = 'state.d'"
    );
    let (config, _) = config::parse(
        Path::new("/etc/ringwall/ringwall.toml"),
        &text,
        &around(&[]),
    )
    .unwrap();
    let files = config.edge.sites[0].certificate.clone().unwrap();
    assert_eq!(files.chain, Path::new("/etc/ringwall/tls/a.pem"));
    assert_eq!(files.key, Path::new("/abs/a.key"));
    assert_eq!(config.state.directory, Path::new("/etc/ringwall/state.d"));
}

/// Text, cause, line, column, and a part of what the operator reads. All DENY.
#[rustfmt::skip] // one row a line
const FAULTS: &[(&str, Cause, usize, usize, &str)] = &[
    ("edge = [", Cause::Syntax, 1, 9, ""),
    ("[edge]\nlisten = ['0.0.0.0']", Cause::BadValue, 2, 11, "the port is missing"),
    ("[edge]\nlisten = [':80']", Cause::BadValue, 2, 11, "the address is missing"),
    ("[edge]\nlisten = ['localhost:80']", Cause::BadValue, 2, 11, "not an address with a port"),
    ("[edge]\nlisten = ['[::]:99999']", Cause::BadValue, 2, 11, "not an address with a port"),
    ("[edge]\nlisten = []", Cause::Missing, 2, 10, "nothing to listen at"),
    ("[edge]\nlisten = '0.0.0.0:80'", Cause::WrongType, 2, 10, "expected a list, found a string"),
    ("[edge]\nlisten = [80]", Cause::WrongType, 2, 11, "expected a string or a table, found a whole number"),
    ("[edge]\nlisten = [{ tls = true }]", Cause::BadValue, 2, 11, "is empty"),
    ("[edge]\nlisten = ['0.0.0.0:80', '127.0.0.1:80']", Cause::Conflict, 2, 25, "overlaps with 0.0.0.0:80"),
    ("[edge]\nlisten = ['127.0.0.1:80', '127.0.0.1:80']", Cause::Conflict, 2, 27, "is listed twice"),
    ("[edge]\nlisten = ['127.0.0.1:80', { address = '0.0.0.0:80' }]", Cause::Conflict, 2, 39, "overlaps"),
    ("[edge]\nlisten = ['0.0.0.0:80', '0.0.0.0:443']\n[[edge.site]]\nhost = ['a.example']\nto = ['http://b']", Cause::Missing, 2, 25, "no certificate for a.example"),
    ("[edge]\ntrusted_proxies = ['10.0.0.0/33']", Cause::BadValue, 2, 20, "neither an address"),
    ("[edge]\ntrusted_proxies = ['10.0.0.1']\nclient_header = 'CF Connecting IP'", Cause::BadValue, 3, 17, "not the name of a header"),
    ("[edge]\ntrusted_proxies = ['10.0.0.1']\nclient_header = ''", Cause::BadValue, 3, 17, "not the name of a header"),
    ("[edge]\ntrusted_proxies = ['10.0.0.1']\nclient_header = 'Host'", Cause::BadValue, 3, 17, "does not name a client"),
    ("[edge]\nclient_header = 'CF-Connecting-IP'", Cause::Conflict, 2, 17, "trusted_proxies is empty"),
    ("[edge]\nlisten = [{ address = '127.0.0.1:81', proxy_protocol = true }]", Cause::Conflict, 2, 56, "trusted_proxies is empty"),
    ("[edge]\ntrusted_proxies = ['::/0']", Cause::BadValue, 2, 20, "trusts everybody"),
    ("[edge.timeouts]\nheader = '10'", Cause::BadValue, 2, 10, "not a span of time"),
    ("[edge.timeouts]\nidle = '0s'", Cause::BadValue, 2, 8, "longer than zero"),
    ("[edge.timeouts]\nidle = -1", Cause::WrongType, 2, 8, "expected a string"),
    ("[edge.limits]\nhead_bytes = 100", Cause::BadValue, 2, 14, "from 1024 to 1048576"),
    ("[edge.limits]\nbody_bytes = -1", Cause::BadValue, 2, 14, "at least 0"),
    ("[edge.limits]\nbody_bytes = 99999999999999999999", Cause::BadValue, 2, 14, "out of range"),
    ("[edge.limits]\nconnections = 1.5", Cause::WrongType, 2, 15, "expected a whole number, found a number"),
    ("[edge.limits]\nconnections = 100\nconnections_per_address = 200", Cause::Conflict, 3, 27, "more than edge.limits.connections (100)"),
    ("[edge.limits]\nrequests_per_second = 10\nrequest_burst = 1000000", Cause::Conflict, 3, 17, "more than a day to earn at 10 a second"),
    ("[edge.limits]\nnew_connections_per_second = 1\nnew_connection_burst = 86401", Cause::Conflict, 3, 24, "more than a day"),
    ("[edge.access_log]\nformat = 'jsno'", Cause::BadValue, 2, 10, "expected one of 'json', 'combined'"),
    ("[edge.access_log]\npath = '/var/log.d'", Cause::File, 2, 8, "is a directory"),
    ("[edge.access_log]\npath = '/missing/a.log'", Cause::File, 2, 8, "no directory /missing"),
    ("[[edge.site]]\nto = ['http://a:1']", Cause::Missing, 1, 1, "a site needs a host"),
    ("[[edge.site]]\nhost = ['*']", Cause::Missing, 1, 1, "a site needs an upstream"),
    ("[[edge.site]]\nhost = ['a.example:80']\nto = ['http://a:1']", Cause::BadValue, 2, 9, "no port"),
    ("[[edge.site]]\nhost = ['http://a.example']\nto = ['http://a:1']", Cause::BadValue, 2, 9, "no scheme"),
    ("[[edge.site]]\nhost = ['a.*.example']\nto = ['http://a:1']", Cause::BadValue, 2, 9, "'*' may only"),
    ("[[edge.site]]\nhost = ['*.192.0.2.1']\nto = ['http://a:1']", Cause::BadValue, 2, 9, "no wildcard"),
    ("[[edge.site]]\nhost = ['bücher.example']\nto = ['http://a:1']", Cause::BadValue, 2, 9, "punycode"),
    ("[[edge.site]]\nhost = ['a', 'A.']\nto = ['http://b:1']", Cause::Conflict, 2, 14, "claimed by line 2"),
    ("[[edge.site]]\nhost = ['*']\nto = ['https://a']", Cause::BadValue, 3, 7, "upstreams over TLS are not supported yet"),
    ("[[edge.site]]\nhost = ['*']\nto = ['ftp://a']", Cause::BadValue, 3, 7, "only http://"),
    ("[[edge.site]]\nhost = ['*']\nto = ['127.0.0.1:3000']", Cause::BadValue, 3, 7, "not a URL"),
    ("[[edge.site]]\nhost = ['*']\nto = ['http://a/path']", Cause::BadValue, 3, 7, "no path"),
    ("[[edge.site]]\nhost = ['*']\nto = ['http://u:p@a']", Cause::BadValue, 3, 7, "no user name"),
    ("[[edge.site]]\nhost = ['*']\nto = ['http://a:0']", Cause::BadValue, 3, 7, "from 1 to 65535"),
    ("[[edge.site]]\nhost = ['*']\nto = ['http://a:http']", Cause::BadValue, 3, 7, "not a number"),
    ("[[edge.site]]\nhost = ['*']\nto = ['http://::1']", Cause::BadValue, 3, 7, ""),
    ("[[edge.site]]\nhost = ['*']\nto = ['http://']", Cause::BadValue, 3, 7, "is empty"),
    ("[[edge.site]]\nhost = ['*']\nto = ['http://a', 'http://A:80/']", Cause::Conflict, 3, 19, "listed twice"),
    ("[[edge.site]]\nhost = ['*']\nto = ['http://localhost:8080']", Cause::Conflict, 3, 7, "where Ringwall itself listens"),
    ("[[edge.site]]\nhost = ['*']\nto = ['http://a']\npath = 'api'", Cause::BadValue, 4, 8, "does not start with '/'"),
    ("[[edge.site]]\nhost = ['*']\nto = ['http://a']\npath = '/a/../b'", Cause::BadValue, 4, 8, "dots"),
    ("[[edge.site]]\nhost = ['*']\nto = ['http://a']\npath = '/a?b'", Cause::BadValue, 4, 8, "characters"),
    ("[[edge.site]]\nhost = ['*']\nto = ['http://a']\nmode = 'enforced'", Cause::BadValue, 4, 8, "'enforce', 'observe'"),
    ("[[edge.site]]\nhost = ['*']\nto = ['http://a']\nkey = 'a.key'", Cause::Missing, 4, 7, "a key without its certificate"),
    ("[[edge.site]]\nhost = ['*']\nto = ['http://a']\ncertificate = 'a.pem'", Cause::Missing, 4, 15, "a certificate without its key"),
    ("[[edge.site]]\nhost = ['*']\nto = ['http://a']\ncertificate = 'missing.pem'\nkey = 'a.key'", Cause::File, 4, 15, "there is no such file"),
    ("[[edge.site]]\nhost = ['*']\nto = ['http://a']\ncertificate = 'a.pem'\nkey = 'forbidden.key'", Cause::File, 5, 7, "permission denied"),
    ("[[edge.site]]\nhost = ['*']\nto = ['http://a']\ncertificate = 'tls.d'\nkey = 'a.key'", Cause::File, 4, 15, "is a directory"),
    ("[detection]\nhub = '/missing/hub'", Cause::File, 2, 7, "there is no such directory"),
    ("[detection]\nhub = ''", Cause::BadValue, 2, 7, "is empty"),
    ("[detection]\nhub_url = 'ftp://hub.example'", Cause::BadValue, 2, 11, "neither https:// nor http://"),
    ("[detection]\nhub_url = 'https://a@hub.example'", Cause::BadValue, 2, 11, "not the address"),
    ("[detection]\nhub_url = 'https:///x'", Cause::BadValue, 2, 11, "names no host"),
    ("[detection]\nitems = ['a/b']", Cause::Conflict, 2, 9, "no hub is named"),
    ("[detection]\nsimulation = ['a b']", Cause::BadValue, 2, 15, "not a name"),
    ("[detection]\ncrowdsec_simulation = '/missing.yaml'", Cause::File, 2, 23, "there is no such file"),
    ("[detection]\non_broken_rule = 'skpi'", Cause::BadValue, 2, 18, "'skip', 'refuse'"),
    ("[detection.tune.'a/b']\ncapacity = 0", Cause::BadValue, 2, 12, "from 1 to 1000000"),
    ("[detection.tune.'a/b']\nleakspeed = 'fast'", Cause::BadValue, 2, 13, "not a span of time"),
    ("[detection.tune.'a/b']\nblackhole = '0s'", Cause::BadValue, 2, 13, "longer than zero"),
    ("[detection.tune.'a/b']\noff_at = ['http://a']", Cause::BadValue, 2, 11, "no scheme"),
    ("[detection.tune.'a/b']\nof = true", Cause::UnknownKey, 2, 1, "no key called 'of'"),
    ("[docker]\nhosts = ['*']", Cause::BadValue, 2, 10, "may not claim '*'"),
    ("[docker]\nhosts = ['http://a']", Cause::BadValue, 2, 10, "no scheme"),
    ("[docker]\nsocket = ''", Cause::BadValue, 2, 10, "is empty"),
    ("[docker]\nsocket = 'tcp://127.0.0.1:2375'", Cause::BadValue, 2, 10, "not a path"),
    ("[docker]\nlabels = 'yes'", Cause::WrongType, 2, 10, "expected true or false"),
    ("[book]\nnever_ban = ['1.2.3']", Cause::BadValue, 2, 14, "looks like an address"),
    ("[book]\nnever_ban = ['0.0.0.0/0']", Cause::BadValue, 2, 14, "stands for everybody"),
    (
        "[book.prefix]\noffenders = 1",
        Cause::BadValue,
        2,
        13,
        "from 2 to",
    ),
    ("[book]\nbans_per_minute = 0", Cause::BadValue, 2, 19, "from 1 to"),
    ("[[book.allow]]\nreason = 'x'", Cause::Missing, 1, 1, "needs somebody"),
    ("[[book.allow]]\nwho = 'lan'\nreason = ' '", Cause::Missing, 3, 10, "needs a reason"),
    ("[[book.allow]]\nwho = 'lan'\nreason = 'x'\nuntil = 'tomorrow'", Cause::BadValue, 4, 9, "RFC 3339"),
    ("[[book.profile]]\nscenarios = []", Cause::Missing, 2, 13, "needs scenarios"),
    ("[[book.profile]]\nscenarios = ['*a']", Cause::BadValue, 2, 14, "not the name of a scenario"),
    ("[[book.profile]]\nduration = '30d'", Cause::Conflict, 2, 12, "shorter than the duration"),
    ("[[book.profile]]\nduration = '2h'\ncap = '1h'", Cause::Conflict, 3, 7, "shorter than the duration (2h)"),
    ("[[book.profile]]\nescalation = 0.5", Cause::BadValue, 2, 14, "from 1 to 100"),
    ("[[book.profile]]\nescalation = nan", Cause::BadValue, 2, 14, "out of range"),
    ("[state]\ndirectory = 'a.file'", Cause::File, 2, 13, "is not a directory"),
    ("[state]\ndirectory = ''", Cause::BadValue, 2, 13, "is empty"),
    ("[control]\nsocket = ''", Cause::BadValue, 2, 10, "is empty"),
    ("[metrics]\nlisten = '0.0.0.0:9477'", Cause::BadValue, 2, 10, "not a loopback address"),
    ("[metrics]\nlisten = '127.0.0.1:8080'", Cause::Conflict, 2, 10, "overlaps with the listener"),
    ("[process]\nuser = 'root'", Cause::BadValue, 2, 8, "must not be root"),
    ("[process]\nuser = 'a b'", Cause::BadValue, 2, 8, "not a user name"),
    ("[log]\nlevel = 'inof'", Cause::BadValue, 2, 9, "expected one of"),
    ("log = 'info'", Cause::WrongType, 1, 7, "expected a table, found a string"),
    ("[lgo]\nlevel = 'info'", Cause::UnknownKey, 1, 2, "no table or key called 'lgo'"),
];

#[test]
fn each_fault_is_named_once_with_its_line_and_column() {
    for (text, cause, line, column, part) in FAULTS {
        let Err(faults) = parse(text) else {
            panic!("DENY {text}");
        };
        let first = faults.iter().next().unwrap();
        assert_eq!(faults.len(), 1, "{text}\n{}", listed(&faults));
        assert_eq!(first.cause, *cause, "{text}\n{first}");
        assert_eq!(
            first.line_column(),
            Some((*line, *column)),
            "{text}\n{first}"
        );
        assert!(first.problem.contains(part), "{text}\n{first}");
        assert!(
            first
                .to_string()
                .starts_with(&format!("ringwall.toml:{line}:{column}: "))
        );
    }
}

#[test]
fn all_faults_are_named_at_once_in_the_order_of_the_file() {
    let text = "bogus = 1\n[edge]\nlisten = ['x']\n[[edge.site]]\nhost = []\nto = ['https://a', 3]\nmode = true\n[log]\nlevel = 'x'\n";
    let faults = parse(text).expect_err("DENY");
    let places: Vec<(usize, Cause)> = faults
        .iter()
        .map(|fault| (fault.line_column().map_or(0, |(line, _)| line), fault.cause))
        .collect();
    assert_eq!(
        places,
        [
            (1, Cause::UnknownKey),
            (3, Cause::BadValue),
            (5, Cause::Missing),
            (6, Cause::WrongType),
            (7, Cause::WrongType),
            (9, Cause::BadValue),
        ],
        "{}",
        listed(&faults)
    );
    assert!(faults.to_string().contains("6 faults"));
}

#[test]
fn a_misspelt_key_is_told_the_right_one() {
    for (text, hint) in [
        ("[edge]\nlisen = []", "Did you mean 'listen'?"),
        ("[[edge.sites]]", "Did you mean 'site'?"),
        (
            "[[edge.site]]\nhosts = ['*']\nto = ['http://a']",
            "Did you mean 'host'?",
        ),
        ("[detectoin]", "Did you mean 'detection'?"),
        (
            "[metrics]\nexpose = true",
            "Allowed are 'off', 'listen', 'danger_expose'.",
        ),
        ("[log]\nlevel = 'inof'", "Did you mean 'info'?"),
    ] {
        let faults = parse(text).expect_err(text);
        assert!(
            faults.iter().any(|fault| fault.help == hint),
            "{text}\n{}",
            listed(&faults)
        );
    }
}

#[test]
fn faults_can_be_rendered_with_their_source() {
    use miette::Diagnostic as _;
    let faults = parse("[edge]\nlisten = ['0.0.0.0']").expect_err("DENY");
    let related: Vec<_> = faults.related().unwrap().collect();
    let label = related[0].labels().unwrap().next().unwrap();
    assert_eq!((label.offset(), label.len()), (17, 9));
    let span = label.inner();
    let shown = related[0]
        .source_code()
        .unwrap()
        .read_span(span, 0, 0)
        .unwrap();
    assert_eq!(shown.data(), b"'0.0.0.0'");
    assert_eq!(shown.name(), Some("ringwall.toml"));
}

#[test]
fn what_is_allowed_is_accepted() {
    for text in [
        "",
        "[edge]\nlisten = ['[::]:80', '0.0.0.0:80']",
        "[edge]\nlisten = ['127.0.0.1:0', '127.0.0.1:0']",
        "[edge]\nlisten = ['127.0.0.1:80', '127.0.0.2:80']",
        "[edge]\nlisten = ['127.0.0.1:443']\n[[edge.site]]\nhost = ['*', 'app.localhost', '[::1]']\nto = ['http://b']",
        "[edge]\nlisten = [{ address = '0.0.0.0:443', tls = false }]\n[[edge.site]]\nhost = ['a.example']\nto = ['http://b']",
        "[edge.limits]\nrequests_per_second = 0\nconnections = 64",
        "[edge.limits]\nrequests_per_second = 0\nrequest_burst = 1000000",
        "[edge.limits]\nrequests_per_second = 10\nrequest_burst = 864000",
        "[edge.limits]\nrequests_per_second = 12\nrequest_burst = 1000000",
        "[[book.profile]]\nescalation = 2",
        "[book]\nprofile = []",
        "[book]\nnever_ban = []",
        "[metrics]\noff = true\nlisten = '0.0.0.0:1'",
        "[metrics]\ndanger_expose = true\nlisten = '0.0.0.0:1'",
        "[[edge.site]]\nhost = ['a']\nto = ['http://b']\n[[edge.site]]\nhost = ['a']\npath = '/x'\nto = ['http://b']",
        "[edge]\nlisten = ['0.0.0.0:80']\n[[edge.site]]\nhost = ['*']\nto = ['http://192.0.2.1:80']",
    ] {
        good(text);
    }
    assert_eq!(
        good("[edge.limits]\nconnections = 64")
            .edge
            .limits
            .connections_per_address,
        64
    );
}

#[test]
fn the_environment_overrides_the_file() {
    let file = format!("{SITE}mode = 'enforce'\n[log]\nlevel = 'warn'");
    let (config, origins) = parse_env(
        &file,
        &[
            ("RINGWALL_LOG__LEVEL", "trace"),
            ("RINGWALL_EDGE__TIMEOUTS__HEADER", "3s"),
            ("RINGWALL_EDGE__LIMITS__HEADERS", "50"),
            ("RINGWALL_EDGE__ACCESS_LOG__FORMAT", "combined"),
            ("RINGWALL_EDGE__LISTEN", "127.0.0.1:81, 127.0.0.1:82"),
            ("RINGWALL_EDGE__SITE__0__MODE", "observe"),
            ("RINGWALL_EDGE__SITE__1__HOST", "b.example"),
            ("RINGWALL_EDGE__SITE__1__TO", "[\"http://127.0.0.1:4000\"]"),
            ("RINGWALL_METRICS__OFF", "true"),
            ("RINGWALL_BOOK__NEVER_BAN", ""),
            ("RINGWALL_TEST_ALL", "1"),
        ],
    )
    .unwrap_or_else(|faults| panic!("{}", listed(&faults)));
    assert_eq!(config.log.level.name(), "trace");
    assert_eq!(config.edge.timeouts.header, Duration::from_secs(3));
    assert_eq!(config.edge.limits.headers, 50);
    assert_eq!(config.edge.access_log.unwrap().format, LogFormat::Combined);
    assert_eq!(config.edge.listeners.len(), 2);
    assert_eq!(config.edge.sites.len(), 2);
    assert_eq!(config.edge.sites[0].mode, Mode::Observe);
    assert_eq!(config.metrics.listen, None);
    assert!(config.book.never_ban.is_empty());
    let origin = |path: &str| {
        origins
            .at(path)
            .map(ToString::to_string)
            .unwrap_or_default()
    };
    assert_eq!(
        origin("log.level"),
        "log.level = \"trace\"  # environment RINGWALL_LOG__LEVEL"
    );
    assert_eq!(
        origin("edge.site[0].host"),
        "edge.site[0].host = [\"*\"]  # ringwall.toml:2"
    );
    assert_eq!(
        origin("edge.limits.headers"),
        "edge.limits.headers = 50  # environment RINGWALL_EDGE__LIMITS__HEADERS"
    );
    assert_eq!(
        origin("edge.timeouts.idle"),
        "edge.timeouts.idle = \"60s\"  # default"
    );
}

#[test]
fn a_value_can_be_read_from_a_file_named_by_the_environment() {
    let (config, _) = parse_env("", &[("RINGWALL_LOG__LEVEL_FILE", "/run/secrets/level")]).unwrap();
    assert_eq!(config.log.level.name(), "debug");
}

#[test]
fn overrides_that_make_no_sense_are_refused_by_name() {
    // DENY
    for (env, cause, part) in [
        (
            &[("RINGWALL_EDGE__LISEN", "x")][..],
            Cause::UnknownKey,
            "no such key",
        ),
        (
            &[("RINGWALL_EDGE__LIMITS__HEADERS", "many")],
            Cause::WrongType,
            "a whole number",
        ),
        (
            &[("RINGWALL_METRICS__OFF", "yes")],
            Cause::WrongType,
            "true or false",
        ),
        (
            &[("RINGWALL_LOG__LEVEL", "loud")],
            Cause::BadValue,
            "expected one of",
        ),
        (
            &[("RINGWALL_EDGE__TIMEOUTS__HEADER", "10")],
            Cause::BadValue,
            "not a span",
        ),
        (
            &[("RINGWALL_LOG__LEVEL_FILE", "/nowhere")],
            Cause::File,
            "cannot read",
        ),
        (
            &[
                ("RINGWALL_LOG__LEVEL_FILE", "/run/secrets/level"),
                ("RINGWALL_LOG__LEVEL", "info"),
            ],
            Cause::Conflict,
            "is set as well",
        ),
    ] {
        let faults = parse_env("", env).expect_err(env[0].0);
        assert_eq!(faults.len(), 1, "{}", listed(&faults));
        let fault = faults.iter().next().unwrap();
        assert_eq!(fault.cause, cause, "{fault}");
        assert!(fault.problem.contains(part), "{fault}");
        assert!(
            fault
                .to_string()
                .starts_with(&format!("environment {}: ", env[0].0)),
            "{fault}"
        );
        assert!(fault.line_column().is_none());
    }
}

#[test]
fn protect_needs_no_file() {
    let arguments = Arguments {
        protect: Some("http://127.0.0.1:3000".to_owned()),
        ..Arguments::default()
    };
    let (config, origins) = config::load(&arguments, &around(&[])).unwrap();
    assert_eq!(
        config.edge.listeners[0].address.to_string(),
        "127.0.0.1:8080"
    );
    let [site] = config.edge.sites.as_slice() else {
        panic!("one site");
    };
    assert_eq!(site.hosts, [HostPattern::Any]);
    assert_eq!(site.upstreams[0].to_string(), "http://127.0.0.1:3000");
    assert_eq!(site.mode, Mode::Gradual);
    assert_eq!(
        origins.at("edge.site[0].to").unwrap().origin,
        Origin::Argument("--protect")
    );

    let more = Arguments {
        listen: vec!["0.0.0.0:8443".to_owned()],
        observe: true,
        ..arguments.clone()
    };
    let (config, _) = config::load(&more, &around(&[])).unwrap();
    assert!(config.edge.listeners[0].tls);
    assert_eq!(config.edge.sites[0].mode, Mode::Observe);

    // DENY
    for (protect, listen) in [
        ("127.0.0.1:3000", "127.0.0.1:8080"),
        ("https://127.0.0.1:3000", "127.0.0.1:8080"),
        ("http://127.0.0.1:8080", "127.0.0.1:8080"),
        ("http://127.0.0.1:3000", "8080"),
    ] {
        let arguments = Arguments {
            protect: Some(protect.to_owned()),
            listen: vec![listen.to_owned()],
            ..Arguments::default()
        };
        let faults = config::load(&arguments, &around(&[])).expect_err(protect);
        assert!(
            faults
                .iter()
                .all(|fault| fault.to_string().starts_with("argument --")),
            "{}",
            listed(&faults)
        );
    }
}

#[test]
fn a_file_that_is_not_there_is_named_with_the_way_out() {
    let arguments = Arguments {
        config: Some(PathBuf::from("/nonexistent/ringwall.toml")),
        ..Arguments::default()
    };
    let faults = config::load(&arguments, &around(&[])).expect_err("DENY");
    let fault = faults.iter().next().unwrap();
    assert_eq!(fault.cause, Cause::Unreadable);
    assert!(fault.help.contains("--protect"), "{fault}");
}

#[test]
fn every_truncation_of_the_example_is_read_or_refused_without_panic() {
    let mut refused = 0;
    for end in 0..EXAMPLE.len() {
        let Some(text) = EXAMPLE.get(..end) else {
            continue;
        };
        if let Err(faults) = parse(text) {
            refused += 1;
            assert!(faults.len() > 0);
        }
    }
    assert!(refused > 500, "{refused}");
}

#[test]
fn seeded_mutations_never_panic_and_faults_stay_inside_the_file() {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap() % below
    };
    let words: [&[u8]; 12] = [
        b"[",
        b"]",
        b"=",
        b"\"",
        b"'''",
        b"\n",
        b"{",
        b"}",
        b"0",
        b"-",
        b"nan",
        b"[[edge.site]]",
    ];
    let mut refused = 0;
    for _ in 0..1_500 {
        let mut bytes = EXAMPLE.as_bytes().to_vec();
        for _ in 0..=random(3) {
            let at = random(bytes.len());
            match random(4) {
                0 => bytes[at] = u8::try_from(random(256)).unwrap(),
                1 => drop(bytes.drain(at..(at + random(40)).min(bytes.len()))),
                2 => {
                    bytes.splice(at..at, words[random(words.len())].iter().copied());
                }
                _ => {
                    let end = (at + random(60)).min(bytes.len());
                    let copy = bytes[at..end].to_vec();
                    let to = random(bytes.len());
                    bytes.splice(to..to, copy);
                }
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        if let Err(faults) = parse(&text) {
            refused += 1;
            let lines = text.split('\n').count();
            for fault in faults.iter() {
                assert!(
                    fault.line_column().is_none_or(|(line, _)| line <= lines),
                    "{fault}"
                );
            }
            // Rendering is the costly part: the first fault stands for the others.
            let first = faults.iter().next().unwrap().clone();
            assert!(!format!("{:?}", miette::Report::new(first)).is_empty());
        }
    }
    assert!(refused > 300, "{refused}");
}

#[test]
fn the_json_schema_knows_every_key_of_the_example_with_its_reason() {
    let schema = config::json_schema();
    let text = schema.to_string();
    let mut keys = BTreeMap::new();
    for (name, node) in schema["$defs"].as_object().unwrap() {
        for (key, node) in node["properties"].as_object().into_iter().flatten() {
            keys.insert(format!("{name}.{key}"), node["description"].is_string());
        }
    }
    assert!(keys.len() > 50, "{keys:?}");
    assert!(keys.values().all(|described| *described), "{keys:?}");
    assert!(text.contains("\"additionalProperties\":false"));
}
