//! The shape of the file: serde structs whose defaults are the effective defaults.
//!
//! Each default is defended beside its key, since the JSON Schema and the reference
//! are made from these comments. Nothing is checked here beyond shape; meaning is
//! checked when a [`crate::Config`] is made of it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The whole file.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "Ringwall configuration")]
pub struct Raw {
    /// Ring 1: what stands in front of your services.
    pub edge: Edge,
    /// Ring 2: what sees attacks in the traffic.
    pub detection: Detection,
    /// Sites from the labels of Docker's containers.
    pub docker: Docker,
    /// Who is never barred, who is barred for how long.
    pub book: Book,
    /// Where state rests.
    pub state: State,
    /// The command line's way to the daemon.
    pub control: Control,
    /// Figures for Prometheus.
    pub metrics: Metrics,
    /// Whom the process runs as.
    pub process: Process,
    /// Our own log.
    pub log: Log,
}

/// A span of time: a sum of numbers with the units `ms`, `s`, `m`, `h`, `d`, `w`,
/// such as `10s`, `1h30m` or `7d`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("pattern" = r"^(0|([0-9]*\.?[0-9]+(ns|us|µs|ms|s|m|h|d|w))+)$"))]
pub struct Span(pub String);

fn span(text: &str) -> Span {
    Span(text.to_owned())
}

/// Ring 1: what stands in front of your services.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Edge {
    /// Where to listen: `address:port`, or `{ address, tls, proxy_protocol }`. Without
    /// `tls`, the ports 443 and 8443 speak TLS and all others plain HTTP. The default is loopback on a
    /// port that needs no privilege: nothing is opened to the network unasked.
    pub listen: Vec<Listen>,
    /// Addresses or ranges of the proxies before us, whose word on the client's address is
    /// believed: `Forwarded`, `X-Forwarded-For`, the header that `client_header` names, and
    /// the PROXY protocol where a listener has it. Empty, since whoever is believed here
    /// chooses the address that we judge.
    pub trusted_proxies: Vec<String>,
    /// Which header of a trusted proxy names the client: `X-Forwarded-For`, `Forwarded`,
    /// or one that holds a single address, such as `CF-Connecting-IP`. Left out: whichever
    /// of the first two the proxy writes, which is learnt from requests that lack the
    /// other; where both stand and it is not known yet, only what both say. Name it, and
    /// nothing has to be learnt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_header: Option<String>,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// How much there may be of things.
    pub limits: Limits,
    /// The access log.
    pub access_log: AccessLog,
    /// The sites, one `[[edge.site]]` each. Where several match, an exact host goes
    /// before a wildcard, a wildcard before `*`, and a longer path before a shorter one.
    pub site: Vec<Site>,
}

impl Default for Edge {
    fn default() -> Self {
        Self {
            listen: vec![Listen::Address("127.0.0.1:8080".to_owned())],
            trusted_proxies: Vec::new(),
            client_header: None,
            timeouts: Timeouts::default(),
            limits: Limits::default(),
            access_log: AccessLog::default(),
            site: Vec::new(),
        }
    }
}

/// A place to listen at.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Listen {
    /// `address:port`; TLS on the ports 443 and 8443.
    Address(String),
    /// An address with TLS or the PROXY protocol said outright.
    Marked(MarkedListen),
}

/// A place to listen at, with what is spoken there said outright.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MarkedListen {
    /// `address:port`, such as `0.0.0.0:4430` or `[::]:4430`.
    pub address: String,
    /// Whether TLS is spoken; left out, the ports 443 and 8443 speak it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<bool>,
    /// Whether every connection begins with a PROXY protocol header (version 1 or 2), as
    /// load balancers that pass bytes on unread send it. Believed from
    /// `trusted_proxies`; everybody else is turned away. Off, since without such a
    /// balancer nobody could connect.
    pub proxy_protocol: bool,
}

/// How long things may take. Slowness is bounded, never punished.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    /// A TLS handshake, and a whole request head from its first byte on. 10s is ample
    /// on a bad line, and holds a slow-header attack to little.
    pub header: Span,
    /// A kept-alive connection without a request. 60s is what browsers expect.
    pub idle: Span,
    /// A body, either way, that makes no progress at all. 60s bears a phone that
    /// changes cells.
    pub body: Span,
    /// Connecting to an upstream. 5s: it is on this host or near.
    pub connect: Span,
    /// An upstream's response head. 60s, as nginx has it; raise it for long reports.
    pub response: Span,
    /// A WebSocket or another tunnel that is silent both ways. 1h, since many
    /// applications ping seldom.
    pub tunnel: Span,
    /// Requests under way when Ringwall stops. 30s, less than the 90s systemd waits.
    pub drain: Span,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            header: span("10s"),
            idle: span("60s"),
            body: span("60s"),
            connect: span("5s"),
            response: span("60s"),
            tunnel: span("1h"),
            drain: span("30s"),
        }
    }
}

/// How much there may be of things.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of a request head, 1024 to 1048576. 32768 is what nginx takes at most
    /// (four buffers of 8 KiB), enough for single sign-on cookies.
    #[schemars(range(min = 1024, max = 1_048_576))]
    pub head_bytes: u64,
    /// Header lines of a head, 8 to 1000. 100, as in Apache.
    #[schemars(range(min = 8, max = 1000))]
    pub headers: u64,
    /// Bytes of a request body; 0 for no bound, the default, since bodies are streamed
    /// and never held, and since uploads are what many services are for.
    pub body_bytes: u64,
    /// Connections in total, 16 to 1000000. 20000 idle ones in plain
    /// HTTP take well under 200 MB; in TLS, and while they are busy, they take several times
    /// as much (bench/RESULTS.md). Of four open files three are for clients; where their
    /// limit allows fewer connections, fewer are held, and `ringwall status` says so.
    #[schemars(range(min = 16, max = 1_000_000))]
    pub connections: u64,
    /// Connections of one address (of one /64 in IPv6), 1 to 1000000. A browser opens
    /// six to each host, and keeps them; 256 leaves room for an office behind one
    /// address. Beyond that a client's own idle connections make room. Connections of
    /// trusted proxies are not counted.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub connections_per_address: u64,
    /// New connections a second of one address (of one /64 in IPv6), sustained; 0 for no
    /// limit. 50: a browser keeps its six open. Those of trusted proxies are not counted.
    #[schemars(range(max = 1_000_000))]
    pub new_connections_per_second: u64,
    /// How many new connections an address may be ahead of that rate, 1 to 1000000, and no
    /// more than the rate earns in a day. 500:
    /// an office behind one address comes back from lunch, and thirty browsers open
    /// twelve each.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub new_connection_burst: u64,
    /// Requests a second of one address (of one /64 in IPv6), sustained, counted for each
    /// site by itself; 0 for no limit. A site without a `mode` only watches it for
    /// `detection.learn`. 200: thirty people behind one address who all open galleries stay
    /// below; what an application cannot bear is for the rules that know its pages.
    #[schemars(range(max = 1_000_000))]
    pub requests_per_second: u64,
    /// How many requests an address may be ahead of that rate, 1 to 1000000, and no more
    /// than the rate earns in a day. 3000:
    /// a gallery asks for hundreds of thumbnails at once, and an office opens several.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub request_burst: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes: 32_768,
            headers: 100,
            body_bytes: 0,
            connections: 20_000,
            connections_per_address: 256,
            new_connections_per_second: 50,
            new_connection_burst: 500,
            requests_per_second: 200,
            request_burst: 3000,
        }
    }
}

/// The access log.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AccessLog {
    /// Whether nothing is written.
    pub off: bool,
    /// `stdout` or a file. Standard output is the default, because journald and Docker
    /// rotate it and a file that nobody rotates fills the disk.
    pub path: String,
    /// How a line looks.
    pub format: Format,
}

impl Default for AccessLog {
    fn default() -> Self {
        Self {
            off: false,
            path: "stdout".to_owned(),
            format: Format::Json,
        }
    }
}

/// How an access log line looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One JSON object a line: nothing in it can be mistaken for a second line.
    Json,
    /// The combined format of nginx and Apache, for the tools that read it. Each line goes
    /// on with ` id=… verdict=… upstream=…`, which they pass over.
    Combined,
}

/// One site.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Site {
    /// Hosts: names, `*.example.org` for every name below it (its certificate is good
    /// for one label only), or `*` for any host that no other site names. Required.
    pub host: Vec<String>,
    /// The path prefix, matched at whole segments. `/`, which is every path.
    pub path: String,
    /// Upstreams as `http://host:port`. Required. Names are resolved at the start and at
    /// each reload, and at no other time. `https://` upstreams are not supported yet and are
    /// refused rather than spoken to in the clear.
    pub to: Vec<String>,
    /// What is enforced. Left out: unambiguous attacks are refused from the first
    /// minute, volume rules only watch for `detection.learn`, so that a new site is
    /// protected and its visitors are not hurt by a limit that does not fit it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// The certificate chain, a PEM file, leaf first. Read again when it changes: within
    /// seconds, or where only root may look into its folder and there is a privileged
    /// helper, within some more (ten, and one for every four such files).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// The certificate's private key, a PEM file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

impl Default for Site {
    fn default() -> Self {
        Self {
            host: Vec::new(),
            path: "/".to_owned(),
            to: Vec::new(),
            mode: None,
            certificate: None,
            key: None,
        }
    }
}

/// What a site enforces.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Everything is enforced.
    Enforce,
    /// Nothing is enforced; what would have been is shown.
    Observe,
}

/// Sites from the labels of Docker's containers; `docs/labels.md` lists the labels.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Docker {
    /// Whether containers' labels (`ringwall.host` and others) declare sites. Off:
    /// whoever may start a container could then open a site here, and Docker's socket,
    /// which is as good as root, is not opened unasked.
    pub labels: bool,
    /// Docker's socket. `/var/run/docker.sock` is where Docker puts it.
    pub socket: String,
    /// The hosts that labels may claim: names, or `*.example.org` for everything below.
    /// Empty: any host but `*`, wildcards such as `*.com`, and those that sites of this
    /// file name or serve by a wildcard; what is below such a wildcard is for labels
    /// where it is named here. Set it where others than you start containers, such as a
    /// runner of build jobs.
    pub hosts: Vec<String>,
    /// What is enforced on these sites, whatever their labels say. Left out: what
    /// `ringwall.mode` says, and without that as for any site.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Whether `ringwall.mode=observe` is heeded. No: one site that only observes makes
    /// every site accept the connections of barred addresses, since the host is not
    /// known yet when they connect, and a label is the word of whoever starts containers.
    pub may_observe: bool,
}

impl Default for Docker {
    fn default() -> Self {
        Self {
            labels: false,
            socket: "/var/run/docker.sock".to_owned(),
            hosts: Vec::new(),
            mode: None,
            may_observe: false,
        }
    }
}

/// Where the CrowdSec hub is published.
pub const PUBLIC_HUB: &str = "https://cdn-hub.crowdsec.net/crowdsecurity/master";

/// Ring 2: what sees attacks in the traffic.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Detection {
    /// Whether anything is detected. On, since that is the main job.
    pub enabled: bool,
    /// A checkout of the CrowdSec hub, instead of our own rules. Left out: our own rules,
    /// and what `ringwall hub install` installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hub: Option<String>,
    /// Where `ringwall hub` fetches the index and items from, when it is run; nothing else
    /// ever does. A host that is named here may have a local address, and may be called by
    /// plain `http`.
    pub hub_url: String,
    /// Parsers, scenarios or collections of the hub, such as
    /// `crowdsecurity/base-http-scenarios`. Empty: all of it.
    pub items: Vec<String>,
    /// A directory of your own rules, in the same format: they run beside the others, and one
    /// with the name of another in its place. Left out: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules: Option<String>,
    /// A directory of grok patterns, besides those built in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patterns: Option<String>,
    /// A directory of data files that rules name, besides those built in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// What a broken rule file does. `skip`: one bad rule out of hundreds must not
    /// take down the other rules; it is named in the log and in `ringwall status`.
    pub on_broken_rule: BrokenRule,
    /// Scenarios that raise alerts and never bar anyone. Empty.
    pub simulation: Vec<String>,
    /// A `simulation.yaml` of CrowdSec's: what it covers raises alerts and bars nobody,
    /// besides the list above. Left out: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crowdsec_simulation: Option<String>,
    /// Scenarios that are tuned, one `[detection.tune."name"]` each, so that hub files
    /// stay as they were installed.
    pub tune: BTreeMap<String, Tune>,
    /// How long a site without a `mode` only watches volume rules. 7d sees a whole
    /// week's habits.
    pub learn: Span,
}

impl Default for Detection {
    fn default() -> Self {
        Self {
            enabled: true,
            hub: None,
            hub_url: PUBLIC_HUB.to_owned(),
            items: Vec::new(),
            rules: None,
            patterns: None,
            data: None,
            on_broken_rule: BrokenRule::Skip,
            simulation: Vec::new(),
            crowdsec_simulation: None,
            tune: BTreeMap::new(),
            learn: span("7d"),
        }
    }
}

/// What a broken rule file does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BrokenRule {
    /// It is left out and named.
    Skip,
    /// Start or reload is refused.
    Refuse,
}

/// How one scenario is tuned.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tune {
    /// Events that the bucket holds before it overflows, 1 to 1000000.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub capacity: Option<u64>,
    /// The time in which one event leaks out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leakspeed: Option<Span>,
    /// How long the same source stays unheard of after an alert.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blackhole: Option<Span>,
    /// Whether the scenario is not loaded.
    pub off: bool,
    /// Sites at which it is off, each by one of its host names. Empty.
    pub off_at: Vec<String>,
}

/// Who is never barred, who is barred for how long.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Book {
    /// Who is never barred, whatever asks for it: addresses, ranges, host names
    /// (resolved again and again, the last good answer kept), `lan`, `vpn`, `wan`
    /// (our own public address). All three by default, so that nobody locks
    /// themselves out. Orders by hand are held to it, too. While `lan` is among them,
    /// detection bars no local, VPN or carrier-NAT address at all, named here or not.
    pub never_ban: Vec<String>,
    /// Allowlist entries, one `[[book.allow]]` each.
    pub allow: Vec<Allow>,
    /// Bans a minute that detection may make, 1 to 1000000. 600: a botnet is caught at
    /// ten sources a second, and a rule gone wrong does not empty the house at once.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub bans_per_minute: u64,
    /// What alerts turn into, one `[[book.profile]]` each; the first that names the
    /// scenario decides. By default one for all of them.
    pub profile: Vec<Profile>,
    /// A file of profiles as CrowdSec's `profiles.yaml`, asked instead of these: filters
    /// and durations are expressions over `Alert`. Who is never barred, local sources
    /// and what sites only observe stay as they are. Left out: these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crowdsec_profiles: Option<String>,
    /// What several barred addresses of one range mean for the range.
    pub prefix: Prefix,
}

impl Default for Book {
    fn default() -> Self {
        Self {
            never_ban: ["lan", "vpn", "wan"].map(str::to_owned).to_vec(),
            allow: Vec::new(),
            bans_per_minute: 600,
            profile: vec![Profile::default()],
            crowdsec_profiles: None,
            prefix: Prefix::default(),
        }
    }
}

/// What several barred addresses of one range (an IPv4 /24, an IPv6 /48) mean for the
/// range. It is never barred: other people live there.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Prefix {
    /// Whether ranges are left alone, whatever their addresses do.
    pub off: bool,
    /// How many distinct addresses (distinct /64s of IPv6) it takes, 2 to 64. 4: one
    /// household or one rented handful is no reason to slow neighbours down.
    #[schemars(range(min = 2, max = 64))]
    pub offenders: u64,
    /// Within which time they were barred. 24h, what a day's attack takes.
    pub within: Span,
    /// What is done to the range: `throttle` leaves everybody in it a request a second,
    /// `observe` only shows it.
    pub kind: PrefixRemedy,
}

impl Default for Prefix {
    fn default() -> Self {
        Self {
            off: false,
            offenders: 4,
            within: span("24h"),
            kind: PrefixRemedy::Throttle,
        }
    }
}

/// What is done to a range.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PrefixRemedy {
    /// The rate of each of its addresses is cut.
    Throttle,
    /// Nothing is done; it is shown.
    Observe,
}

/// One allowlist entry.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Allow {
    /// An address, a range, a host name, `lan`, `vpn` or `wan`. Required.
    pub who: String,
    /// Why, for whoever reads it in a year. Required.
    pub reason: String,
    /// Until when, such as `2027-01-01T00:00:00Z`. Left out: always.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// What an alert turns into.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Profile {
    /// Scenario names; a `*` at the end stands for any rest. `*`, which is all.
    pub scenarios: Vec<String>,
    /// What is done.
    pub kind: Remedy,
    /// For how long the first time. 4h outlasts a scanner's patience, and a mistake
    /// heals itself the same day.
    pub duration: Span,
    /// What the duration is multiplied by with each repetition, 1 to 100. 2.
    #[schemars(range(min = 1, max = 100))]
    pub escalation: f64,
    /// The longest it gets. 7d: addresses change hands.
    pub cap: Span,
    /// How long a source must be quiet for its history to be forgotten. 30d.
    pub forget_after: Span,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            scenarios: vec!["*".to_owned()],
            kind: Remedy::Ban,
            duration: span("4h"),
            escalation: 2.0,
            cap: span("7d"),
            forget_after: span("30d"),
        }
    }
}

/// What is done to a source.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Remedy {
    /// It is refused.
    Ban,
    /// Its rate is cut.
    Throttle,
    /// Nothing is done; it is shown.
    Observe,
}

/// Where state rests.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct State {
    /// The directory. Left out: `$STATE_DIRECTORY` (systemd sets it), else
    /// `/var/lib/ringwall` for root and `./ringwall-data` for anyone else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
}

/// The command line's way to the daemon.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Control {
    /// The socket. Left out: `/run/ringwall/control.sock` for root, else
    /// `control.sock` in the state directory. Besides root and the user that Ringwall
    /// becomes, it serves whoever's own group is that user's, unless that is `nogroup`.
    /// Started as root, Ringwall gives the folder it lies in to that user, closed to all
    /// others: let it be one of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub socket: Option<String>,
}

/// Figures for Prometheus.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// Whether nothing is served.
    pub off: bool,
    /// `address:port` of `/metrics`. Loopback, since it tells about your visitors.
    pub listen: String,
    /// Whether `listen` may be another address than loopback. There is no
    /// authentication: whoever reaches it reads it.
    pub danger_expose: bool,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            off: false,
            listen: "127.0.0.1:9477".to_owned(),
            danger_expose: false,
        }
    }
}

/// Whom the process runs as.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Process {
    /// The user that the main process becomes when it was started as root. Left out:
    /// `ringwall` where that user exists, else `nobody`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

/// Our own log.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// The least level that is written. `info` says what happens and no more.
    pub level: Level,
    /// How a line looks. `text` is for people.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: Level::Info,
            format: LogFormat::Text,
        }
    }
}

/// A log level.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
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

/// How a line of our own log looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The JSON Schema of the file, for editors and for other tools.
#[must_use]
pub fn json_schema() -> serde_json::Value {
    schemars::schema_for!(Raw).to_value()
}
