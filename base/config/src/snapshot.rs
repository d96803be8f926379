//! The validated configuration: what the rest of the house programs against.
//!
//! A [`Config`] is immutable and is swapped whole on reload. Everything in it was
//! checked: addresses parse, durations are positive where zero would mean "never",
//! paths are absolute, names are lower case. The defaults and the reasons for them
//! stand in [`crate::raw`], which is the shape of the file.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use vocab::{Cidr, Timestamp};

use crate::validate::host_name;

/// The whole effective configuration.
#[derive(Clone, PartialEq, Debug)]
pub struct Config {
    /// Ring 1: listeners, limits, sites.
    pub edge: Edge,
    /// Ring 2: rules and their tuning.
    pub detection: Detection,
    /// Sites from containers' labels.
    pub docker: Docker,
    /// Who is never barred, and how long others are.
    pub book: Book,
    /// Where state rests.
    pub state: State,
    /// The command line's way in.
    pub control: Control,
    /// The Prometheus listener.
    pub metrics: Metrics,
    /// Whom the main process runs as.
    pub process: Process,
    /// What is logged.
    pub log: Log,
}

/// The `[edge]` table.
#[derive(Clone, PartialEq, Debug)]
pub struct Edge {
    /// Where to listen; addresses are distinct and do not overlap.
    pub listeners: Vec<Listener>,
    /// Proxies before us whose forwarding headers are believed.
    pub trusted_proxies: Vec<Cidr>,
    /// Which of their headers names the client; `None` for what is learnt of
    /// `X-Forwarded-For` and `Forwarded`.
    pub client_header: Option<ClientHeader>,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// How much there may be of things.
    pub limits: Limits,
    /// The access log, unless it is off.
    pub access_log: Option<AccessLog>,
    /// The sites in the order of the file; no two claim the same host and path.
    pub sites: Vec<Site>,
}

/// Which header of a trusted proxy names the client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ClientHeader {
    /// `X-Forwarded-For`: a list, read from its end.
    XForwardedFor,
    /// `Forwarded` (RFC 7239), likewise.
    Forwarded,
    /// Another one, which holds one address. A valid header name.
    Single(String),
}

/// One listening socket.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Listener {
    /// The address and port.
    pub address: SocketAddr,
    /// Whether TLS is spoken there.
    pub tls: bool,
    /// Whether connections begin with a PROXY protocol header.
    pub proxy_protocol: bool,
}

/// The `[edge.timeouts]` table. None is zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts {
    /// For a whole request head (and a TLS handshake), from its first moment.
    pub header: Duration,
    /// For a kept-alive connection on which no request is under way.
    pub idle: Duration,
    /// For a request or response body that makes no progress at all.
    pub body: Duration,
    /// For connecting to an upstream.
    pub connect: Duration,
    /// For an upstream's response head.
    pub response: Duration,
    /// For a tunnel (WebSocket and other upgrades) that is silent both ways.
    pub tunnel: Duration,
    /// For requests under way when the edge stops or reloads.
    pub drain: Duration,
}

/// The `[edge.limits]` table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Bytes of a request or response head.
    pub head_bytes: usize,
    /// Header lines of a head.
    pub headers: usize,
    /// Bytes of a request body; `None` for no bound.
    pub body_bytes: Option<u64>,
    /// Connections in total.
    pub connections: usize,
    /// Connections of one address (IPv6: one /64).
    pub connections_per_address: usize,
    /// New connections a second of one address (IPv6: one /64), sustained; `None` for no
    /// limit.
    pub new_connections_per_second: Option<u32>,
    /// New connections that one address may be ahead of that rate.
    pub new_connection_burst: u32,
    /// Requests a second of one address (IPv6: one /64), sustained; `None` for no limit.
    pub requests_per_second: Option<u32>,
    /// Requests that one address may be ahead of its sustained rate.
    pub request_burst: u32,
}

/// The `[edge.access_log]` table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccessLog {
    /// Where lines go.
    pub target: LogTarget,
    /// How a line looks.
    pub format: LogFormat,
}

/// Where log lines go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LogTarget {
    /// Standard output.
    Stdout,
    /// A file, opened for appending. Absolute.
    File(PathBuf),
}

/// How an access log line looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// The combined format of nginx and Apache.
    Combined,
}

/// One `[[edge.site]]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Site {
    /// The hosts it answers for; at least one.
    pub hosts: Vec<HostPattern>,
    /// The path prefix it answers for; starts with `/`. The longest prefix wins.
    pub path: String,
    /// Its upstreams; at least one where the file has it. Without any it answers 503.
    pub upstreams: Vec<Upstream>,
    /// What is enforced.
    pub mode: Mode,
    /// The certificate to show; `None` for none of its own.
    pub certificate: Option<CertificateFiles>,
    /// Who declared it.
    pub source: SiteSource,
}

/// Who declared a site.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SiteSource {
    /// The configuration.
    File,
    /// Containers' labels.
    Labels {
        /// The containers, by name; empty where the last one was removed.
        containers: Vec<String>,
    },
}

impl Site {
    /// The name a site goes by in logs and listings: its first host and its path.
    #[must_use]
    pub fn name(&self) -> String {
        let host = self
            .hosts
            .first()
            .map_or_else(String::new, HostPattern::to_string);
        if self.path == "/" {
            host
        } else {
            host + &self.path
        }
    }
}

/// Reads the path prefix of a site: it starts with `/`, and ends without one unless
/// it is all of it.
///
/// # Errors
/// What is wrong with it, as a clause.
pub fn path_prefix(text: &str) -> Result<String, &'static str> {
    if !text.starts_with('/') {
        return Err("does not start with '/'");
    }
    if text.contains("//") || text.split('/').any(|part| part == "." || part == "..") {
        return Err("has empty segments or dots, which no request that is let through has");
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) || text.contains(['?', '#', '\\', '*']) {
        return Err("has characters that a path prefix cannot have");
    }
    let trimmed = text.trim_end_matches('/');
    Ok(if trimmed.is_empty() { "/" } else { trimmed }.to_owned())
}

/// A host that a site answers for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum HostPattern {
    /// `*`: any host that no other site names.
    Any,
    /// One name or address, lower case, without port or trailing dot.
    Exact(String),
    /// `*.example.org`: every name below the domain, however deep; a wildcard
    /// certificate is good for one label only. The domain is held without `*.`.
    Wildcard(String),
}

impl HostPattern {
    /// Reads a name or address, `*.example.org`, or `*`.
    ///
    /// # Errors
    /// What is wrong with it, as a clause.
    pub fn read(text: &str) -> Result<Self, &'static str> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let Some(domain) = text.strip_prefix("*.") else {
            if text.contains('*') {
                return Err("'*' may only stand alone or as the whole first label");
            }
            return host_name::host(text).map(Self::Exact);
        };
        let domain = host_name::host(domain)?;
        if domain.parse::<IpAddr>().is_ok() {
            return Err("an address has no wildcard");
        }
        Ok(Self::Wildcard(domain))
    }

    /// Whether every host of `other` is one of ours.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let below = |name: &str, domain: &str| {
            name.strip_suffix(domain)
                .is_some_and(|rest| rest.ends_with('.'))
        };
        match (self, other) {
            (Self::Any, _) => true,
            (Self::Exact(ours), Self::Exact(theirs)) => ours == theirs,
            (Self::Wildcard(domain), Self::Exact(name)) => below(name, domain),
            (Self::Wildcard(domain), Self::Wildcard(name)) => name == domain || below(name, domain),
            (Self::Exact(_), _) | (Self::Wildcard(_), Self::Any) => false,
        }
    }
}

impl std::fmt::Display for HostPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exact(name) => f.write_str(name),
            Self::Wildcard(domain) => write!(f, "*.{domain}"),
        }
    }
}

/// Where a site's requests go, in plain HTTP.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Upstream {
    /// A host name or an address (IPv6 without brackets), lower case.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl std::fmt::Display for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "http://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "http://{}:{}", self.host, self.port)
        }
    }
}

/// What a site enforces.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Unambiguous attacks are refused at once; volume rules only watch until the
    /// site is older than [`Detection::learn`]. What a site does whose mode is left out.
    Gradual,
    /// Everything is enforced.
    Enforce,
    /// Nothing is enforced; what would have been is shown.
    Observe,
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Gradual => "gradual",
            Self::Enforce => "enforce",
            Self::Observe => "observe",
        })
    }
}

/// A certificate chain and its key, both PEM files. Absolute.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CertificateFiles {
    /// The chain, leaf first.
    pub chain: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// The `[docker]` table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Docker {
    /// Whether labels declare sites.
    pub labels: bool,
    /// Docker's socket. Absolute.
    pub socket: PathBuf,
    /// What labels may claim; empty for what the configuration does not serve.
    pub hosts: Vec<HostPattern>,
    /// What is enforced whatever the labels say; `None` for what they say.
    pub mode: Option<Mode>,
    /// Whether a label may have its site observe only.
    pub may_observe: bool,
}

/// The `[detection]` table.
#[derive(Clone, PartialEq, Debug)]
pub struct Detection {
    /// Whether anything is detected at all.
    pub enabled: bool,
    /// A checkout of the CrowdSec hub; `None` for our own rules and what was installed.
    pub hub: Option<PathBuf>,
    /// Where `ringwall hub` fetches from: `http` or `https`, a host, a folder.
    pub hub_url: String,
    /// Parsers, scenarios and collections to load from the hub; empty for all of it.
    pub items: Vec<String>,
    /// A directory of the operator's own rules in the same format, beside the others.
    pub rules: Option<PathBuf>,
    /// Where grok patterns are looked up besides those built in.
    pub patterns: Option<PathBuf>,
    /// Where data files are looked up besides those built in.
    pub data: Option<PathBuf>,
    /// What a broken rule file does.
    pub on_broken_rule: OnBrokenRule,
    /// Scenarios that are shown and never enforced.
    pub simulation: Vec<String>,
    /// CrowdSec's file of what is shown and never enforced, besides those.
    pub crowdsec_simulation: Option<PathBuf>,
    /// Scenarios that are tuned, by name.
    pub tune: BTreeMap<String, Tune>,
    /// How long a site whose mode is left out only watches volume rules.
    pub learn: Duration,
}

/// What a broken rule file does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnBrokenRule {
    /// It is left out and named; the rest is loaded.
    Skip,
    /// The start or the reload is refused.
    Refuse,
}

/// One `[detection.tune."name"]` table.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Tune {
    /// Another capacity of the bucket.
    pub capacity: Option<u32>,
    /// Another time in which one event leaks out.
    pub leakspeed: Option<Duration>,
    /// Another silence after an alert.
    pub blackhole: Option<Duration>,
    /// Whether the scenario is not loaded at all.
    pub off: bool,
    /// Sites at which it is off, by host names.
    pub off_at: Vec<HostPattern>,
}

/// The `[book]` table.
#[derive(Clone, PartialEq, Debug)]
pub struct Book {
    /// Who is never barred, whatever asks for it.
    pub never_ban: Vec<NeverBan>,
    /// Who is allowed by name, with the reason.
    pub allow: Vec<Allow>,
    /// Bans a minute that detection may make; what is over it is shown, not enforced.
    pub bans_per_minute: u32,
    /// What alerts turn into; the first profile that names the scenario decides.
    pub profiles: Vec<Profile>,
    /// A file of profiles in CrowdSec's form, asked instead of these.
    pub crowdsec_profiles: Option<PathBuf>,
    /// What several barred addresses of one range mean for the range.
    pub prefix: Prefix,
}

/// The `[book.prefix]` table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Prefix {
    /// How many distinct addresses it takes, 2 to 64; `None` when ranges are left alone.
    pub offenders: Option<usize>,
    /// Within which time they were barred.
    pub within: Duration,
    /// What is done: throttle or observe.
    pub kind: vocab::Kind,
}

/// Somebody who is never barred.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NeverBan {
    /// An address or a range.
    Range(Cidr),
    /// A host name, resolved again and again, its last good answer kept.
    Name(String),
    /// `lan`: loopback, the networks that our own interfaces are in, where private.
    Lan,
    /// `vpn`: networks of tunnel interfaces and carrier-grade NAT (RFC 6598).
    Vpn,
    /// `wan`: our own public address.
    Wan,
}

impl std::fmt::Display for NeverBan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Range(range) => range.fmt(f),
            Self::Name(name) => f.write_str(name),
            Self::Lan => f.write_str("lan"),
            Self::Vpn => f.write_str("vpn"),
            Self::Wan => f.write_str("wan"),
        }
    }
}

/// One `[[book.allow]]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Allow {
    /// Who.
    pub who: NeverBan,
    /// Why, in the operator's words; never empty.
    pub reason: String,
    /// Until when; `None` for always.
    pub until: Option<Timestamp>,
}

/// One `[[book.profile]]`: what an alert turns into.
#[derive(Clone, PartialEq, Debug)]
pub struct Profile {
    /// Scenario names; a `*` at the end of one stands for any rest.
    pub scenarios: Vec<String>,
    /// What is done.
    pub kind: vocab::Kind,
    /// For how long, the first time.
    pub duration: Duration,
    /// What the duration is multiplied by with each repetition; at least 1.
    pub escalation: f64,
    /// The longest it gets.
    pub cap: Duration,
    /// How long a source must be quiet for its history to be forgotten.
    pub forget_after: Duration,
}

impl Profile {
    /// Whether this profile decides for `scenario`.
    #[must_use]
    pub fn covers(&self, scenario: &str) -> bool {
        self.scenarios
            .iter()
            .any(|name| match name.strip_suffix('*') {
                Some(start) => scenario.starts_with(start),
                None => scenario == name,
            })
    }
}

/// The `[state]` table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct State {
    /// Where the book and its history rest. Absolute.
    pub directory: PathBuf,
}

/// The `[control]` table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Control {
    /// The control socket. Absolute.
    pub socket: PathBuf,
}

/// The `[metrics]` table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Metrics {
    /// Where `/metrics` is served; `None` when it is off. Loopback unless exposed
    /// by `danger_expose`.
    pub listen: Option<SocketAddr>,
}

/// The `[process]` table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Process {
    /// Whom the main process becomes when started as root; `None` for `ringwall`
    /// where that user exists, else `nobody`.
    pub user: Option<String>,
}

/// The `[log]` table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Log {
    /// The least level that is written.
    pub level: Level,
    /// How our own log looks.
    pub json: bool,
}

/// A log level, from the quietest to the loudest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// Only what is broken.
    Error,
    /// And what may break.
    Warn,
    /// And what happens.
    Info,
    /// And how it happens.
    Debug,
    /// And every step.
    Trace,
}

impl Level {
    /// The level's name as `tracing` knows it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// `path` itself when absolute, else below `base`.
pub(crate) fn absolute(base: &Path, path: &str) -> PathBuf {
    let joined = base.join(path);
    joined.components().collect()
}
