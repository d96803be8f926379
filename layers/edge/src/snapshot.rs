//! What the edge is told to do: one immutable value, swapped whole.
//!
//! Purpose: the edge's own small view of the configuration. `app` builds it
//! from the file, from labels or from `--protect`; the edge knows none of these.
//! Refuses: a set of sites that would answer ambiguously ([`Snapshot::check`]).
//! Assumes: addresses are already resolved.
//! On failure: the caller keeps the snapshot it had.

use core::time::Duration;

use vocab::{Cidr, UpstreamAddr};

use crate::EdgeError;

/// Everything that a reload may change.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The sites; the most exact host wins, then the longest path prefix.
    pub sites: Vec<Site>,
    /// Proxies whose headers and whose PROXY protocol are believed.
    pub trusted_proxies: Vec<Cidr>,
    /// Which of their headers is believed.
    pub client_header: ClientHeader,
    /// Upper bounds on what clients may hold.
    pub limits: Limits,
    /// How long is waited for what.
    pub timeouts: Timeouts,
}

/// Which header of a trusted proxy names the client.
///
/// A proxy that writes one of them passes the others through as the client sent them,
/// so naming the one that yours writes is safer than the default.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum ClientHeader {
    /// `X-Forwarded-For` or `Forwarded`: the one that the proxies never leave out, as
    /// far as requests have shown; until then, only what both say.
    #[default]
    Either,
    /// `X-Forwarded-For` alone.
    XForwardedFor,
    /// `Forwarded` (RFC 7239) alone.
    Forwarded,
    /// This header alone, such as `CF-Connecting-IP`: one line with one address. The
    /// application gets it with the address that the edge decided on.
    Single(Box<str>),
}

/// One protected service.
#[derive(Clone, Debug)]
pub struct Site {
    /// Its name in events, metrics and logs.
    pub name: String,
    /// The hosts it answers for.
    pub hosts: Vec<HostPattern>,
    /// The path prefix it answers for, `/` for all. Matches whole segments.
    pub path_prefix: String,
    /// Where its servers listen, tried in turn. Without any the site answers 503: it is
    /// known and nobody is there now.
    pub upstreams: Vec<UpstreamAddr>,
    /// How far gate enforces here.
    pub policy: gate::SitePolicy,
}

impl Site {
    /// Whether one of its patterns is exactly this host.
    pub(crate) fn names(&self, host: &str) -> bool {
        self.hosts
            .iter()
            .any(|pattern| matches!(pattern, HostPattern::Exact(name) if name == host))
    }
}

/// Which hosts a site answers for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum HostPattern {
    /// This host alone, lower case, without port.
    Exact(String),
    /// Every host below this domain, written `*.example.org`; held as `example.org`.
    Below(String),
    /// Any host, and none.
    Any,
}

impl HostPattern {
    /// Reads `host`, `*.suffix` or `*`; `None` for what is none of them.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let normal = |host: &str| Some(wire::host::normal_host(host.as_bytes())?.into_owned());
        match (text, text.strip_prefix("*.")) {
            ("*", _) => Some(Self::Any),
            (_, Some(suffix)) => normal(suffix).map(Self::Below),
            (host, None) => normal(host).map(Self::Exact),
        }
    }
}

/// Upper bounds. Each is enforced by refusing or closing, and counted.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Client connections that count as full; pressure is measured against it. The
    /// hard caps, per address and in total, are gate's ([`gate::ConnectionLimits`]).
    pub connections: usize,
    /// TLS handshakes under way on one core. 1024: when a thousand browsers come back after
    /// a restart, the last of them waits for half a second and is not refused. When all
    /// are taken, clients that hold more than a sixteenth make room for others.
    pub handshakes_per_core: usize,
    /// Bytes of a request head, request line included.
    pub head_bytes: usize,
    /// Header fields in a head.
    pub header_fields: usize,
    /// Bytes of a request body; `None` for no bound, since bodies are streamed.
    pub body_bytes: Option<u64>,
    /// Requests on one connection before it is closed.
    pub requests_per_connection: u32,
    /// Share of `connections`, in percent, from which on the edge is under
    /// pressure: slow clients are cut and idle connections kept shorter.
    pub pressure_percent: u8,
    /// Bytes per second that a body must move under pressure, averaged over ten seconds.
    pub body_rate: u32,
    /// Idle upstream connections kept per upstream and core.
    pub idle_upstream: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            handshakes_per_core: 1024,
            head_bytes: 32 * 1024,
            header_fields: 100,
            body_bytes: None,
            requests_per_connection: 10_000,
            pressure_percent: 75,
            body_rate: 240,
            idle_upstream: 128,
        }
    }
}

/// How long is waited. Checked five times a second, so no finer than 200 ms.
#[derive(Clone, Debug)]
pub struct Timeouts {
    /// A TLS handshake, in total.
    pub handshake: Duration,
    /// A request head, in total, from its first byte (or from the accept).
    pub head: Duration,
    /// An idle kept-alive connection.
    pub idle: Duration,
    /// An idle kept-alive connection while the edge is under pressure.
    pub idle_pressed: Duration,
    /// A body, a response or a client that makes no progress at all.
    pub stalled: Duration,
    /// A connection to an upstream.
    pub connect: Duration,
    /// An upstream's response head, from the end of the request.
    pub response: Duration,
    /// An idle tunnel (WebSocket).
    pub tunnel: Duration,
    /// An idle pooled upstream connection.
    pub upstream_idle: Duration,
    /// How long an upstream that failed is passed over.
    pub upstream_rest: Duration,
    /// How long a client that closed its sending side still gets its answer.
    pub half_closed: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            handshake: seconds(10),
            head: seconds(10),
            idle: seconds(60),
            idle_pressed: seconds(5),
            stalled: seconds(60),
            connect: seconds(5),
            response: seconds(60),
            tunnel: seconds(3600),
            upstream_idle: seconds(30),
            upstream_rest: seconds(5),
            half_closed: seconds(10),
        }
    }
}

impl Snapshot {
    /// Checks what the types cannot: every site has a path prefix that starts with
    /// `/`, and no two sites answer for the same host and prefix.
    ///
    /// # Errors
    /// [`EdgeError::Site`] with the first fault found.
    pub fn check(&self) -> Result<(), EdgeError> {
        let fault = |site: &Site, fault: &str| EdgeError::Site {
            site: site.name.clone(),
            fault: fault.to_owned(),
        };
        let mut seen = std::collections::HashSet::new();
        for site in &self.sites {
            if !site.path_prefix.starts_with('/') {
                return Err(fault(site, "its path prefix does not start with '/'"));
            }
            for host in &site.hosts {
                if !seen.insert((host, site.path_prefix.trim_end_matches('/'))) {
                    return Err(fault(
                        site,
                        "another site has the same host and path prefix",
                    ));
                }
            }
        }
        Ok(())
    }
}
