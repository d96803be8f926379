//! `[edge]`: listeners, limits and sites.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use vocab::Cidr;

use super::{Check, host_name, overlap};
use crate::fault::{Cause, Place};
use crate::raw;
use crate::snapshot::{
    AccessLog, CertificateFiles, ClientHeader, Edge, HostPattern, Limits, Listener, LogFormat,
    LogTarget, Mode, Site, SiteSource, Timeouts, Upstream, absolute, path_prefix,
};
use crate::surroundings::FileKind;
use crate::tree::element;

/// The ports that speak TLS unless told otherwise: HTTPS and its usual stand-in.
const TLS_PORTS: [u16; 2] = [443, 8443];

pub(super) fn edge(check: &mut Check<'_>, raw: &raw::Edge) -> Edge {
    let listeners = listeners(check, raw);
    let sites = sites(check, &raw.site, &listeners);
    certificates_for_tls(check, raw, &listeners, &sites);
    Edge {
        trusted_proxies: trusted_proxies(check, &raw.trusted_proxies),
        client_header: client_header(check, raw),
        timeouts: timeouts(check, &raw.timeouts),
        limits: limits(check, &raw.limits),
        access_log: access_log(check, &raw.access_log),
        listeners,
        sites,
    }
}

pub(super) const fn mode(raw: raw::Mode) -> Mode {
    match raw {
        raw::Mode::Enforce => Mode::Enforce,
        raw::Mode::Observe => Mode::Observe,
    }
}

fn listeners(check: &mut Check<'_>, raw: &raw::Edge) -> Vec<Listener> {
    let mut listeners: Vec<Listener> = Vec::new();
    if raw.listen.is_empty() {
        let help = "Name at least one address:port, or leave the key out for 127.0.0.1:8080.";
        check.fault(
            Cause::Missing,
            "edge.listen",
            "",
            "nothing to listen at",
            help,
        );
    }
    for (index, listen) in raw.listen.iter().enumerate() {
        let path = element("edge.listen", index);
        let (text, marked, proxy_protocol) = match listen {
            raw::Listen::Address(text) => (text, None, false),
            raw::Listen::Marked(marked) => (&marked.address, marked.tls, marked.proxy_protocol),
        };
        if proxy_protocol && raw.trusted_proxies.is_empty() {
            let key = format!("{path}.proxy_protocol");
            let help = "Everybody would be turned away. Name the load balancer before Ringwall in edge.trusted_proxies.";
            check.fault(
                Cause::Conflict,
                &key,
                "true",
                "nobody's PROXY protocol header is believed while edge.trusted_proxies is empty",
                help,
            );
        }
        let place = match listen {
            raw::Listen::Marked(_) if check.tree.has(&format!("{path}.address")) => {
                format!("{path}.address")
            }
            _ => path,
        };
        let Some(address) = check.address(&place, text) else {
            continue;
        };
        if let Some(other) = listeners.iter().find(|one| overlap(one.address, address)) {
            let problem = if other.address == address {
                "is listed twice".to_owned()
            } else {
                format!("overlaps with {}", other.address)
            };
            let help =
                "0.0.0.0 and [::] stand for every address of their family; keep one of the two.";
            check.fault(Cause::Conflict, &place, text, &problem, help);
            continue;
        }
        let tls = marked.unwrap_or_else(|| TLS_PORTS.contains(&address.port()));
        listeners.push(Listener {
            address,
            tls,
            proxy_protocol,
        });
    }
    listeners
}

fn trusted_proxies(check: &mut Check<'_>, raw: &[String]) -> Vec<Cidr> {
    let mut ranges = Vec::new();
    for (index, text) in raw.iter().enumerate() {
        let path = element("edge.trusted_proxies", index);
        match text.parse::<Cidr>() {
            Ok(range) if range.prefix() == 0 => {
                let help = "Everybody could then choose the address that they are judged by. Name your proxy's address.";
                check.bad(&path, text, "trusts everybody", help);
            }
            Ok(range) => ranges.push(range),
            Err(error) => check.bad(
                &path,
                text,
                &error.to_string(),
                "Name the proxy's address or its range.",
            ),
        }
    }
    ranges
}

fn client_header(check: &mut Check<'_>, raw: &raw::Edge) -> Option<ClientHeader> {
    /// What a client may write, or what frames a message: no proxy's word on anybody.
    const NOT_THESE: [&str; 10] = [
        "host",
        "connection",
        "content-length",
        "transfer-encoding",
        "upgrade",
        "via",
        "cookie",
        "authorization",
        "user-agent",
        "referer",
    ];
    let path = "edge.client_header";
    let text = raw.client_header.as_deref()?;
    if raw.trusted_proxies.is_empty() {
        let help = "Name the proxy in edge.trusted_proxies: nobody else's header is believed.";
        let problem = "says whose header counts, and edge.trusted_proxies is empty";
        check.fault(Cause::Conflict, path, text, problem, help);
        return None;
    }
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if text.is_empty() || text.len() > 64 || !text.bytes().all(is_token) {
        let help = "Expected X-Forwarded-For, Forwarded, or a name such as CF-Connecting-IP.";
        check.bad(path, text, "is not the name of a header", help);
        return None;
    }
    if NOT_THESE.iter().any(|name| text.eq_ignore_ascii_case(name)) {
        let help = "Name the header in which your proxy itself writes the client's address.";
        check.bad(path, text, "does not name a client's address", help);
        return None;
    }
    Some(match text.to_ascii_lowercase().as_str() {
        "x-forwarded-for" => ClientHeader::XForwardedFor,
        "forwarded" => ClientHeader::Forwarded,
        _ => ClientHeader::Single(text.to_owned()),
    })
}

fn timeouts(check: &mut Check<'_>, raw: &raw::Timeouts) -> Timeouts {
    let mut span = |key: &str, span| check.span(&format!("edge.timeouts.{key}"), span);
    Timeouts {
        header: span("header", &raw.header),
        idle: span("idle", &raw.idle),
        body: span("body", &raw.body),
        connect: span("connect", &raw.connect),
        response: span("response", &raw.response),
        tunnel: span("tunnel", &raw.tunnel),
        drain: span("drain", &raw.drain),
    }
}

fn limits(check: &mut Check<'_>, raw: &raw::Limits) -> Limits {
    if raw.connections_per_address > raw.connections
        && check.tree.has("edge.limits.connections_per_address")
    {
        let path = "edge.limits.connections_per_address";
        let problem = format!("is more than edge.limits.connections ({})", raw.connections);
        let help = "One address could then hold every connection there is.";
        check.fault(Cause::Conflict, path, "", &problem, help);
    }
    burst(
        check,
        "new_connection_burst",
        raw.new_connection_burst,
        raw.new_connections_per_second,
    );
    burst(
        check,
        "request_burst",
        raw.request_burst,
        raw.requests_per_second,
    );
    // The schema bounds each of them far below what fits.
    let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let count = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    Limits {
        head_bytes: size(raw.head_bytes),
        headers: size(raw.headers),
        body_bytes: (raw.body_bytes > 0).then_some(raw.body_bytes),
        connections: size(raw.connections),
        connections_per_address: size(raw.connections_per_address.min(raw.connections)),
        new_connections_per_second: (raw.new_connections_per_second > 0)
            .then_some(count(raw.new_connections_per_second)),
        new_connection_burst: count(raw.new_connection_burst),
        requests_per_second: (raw.requests_per_second > 0)
            .then_some(count(raw.requests_per_second)),
        request_burst: count(raw.request_burst),
    }
}

/// A burst that takes more than a day to earn is not held: it would be no limit. Microseconds, as
/// the gate counts.
fn burst(check: &mut Check<'_>, key: &str, burst: u64, per_second: u64) {
    const DAY: u64 = 86_400_000_000;
    if per_second == 0 {
        return;
    }
    let most = DAY / 1_000_000_u64.div_ceil(per_second);
    if burst > most {
        let path = format!("edge.limits.{key}");
        let problem = format!("takes more than a day to earn at {per_second} a second");
        let help =
            format!("Write {most} or less, or a higher rate. A rate of 0 is no limit at all.");
        check.fault(Cause::Conflict, &path, &burst.to_string(), &problem, &help);
    }
}

fn access_log(check: &mut Check<'_>, raw: &raw::AccessLog) -> Option<AccessLog> {
    let path = "edge.access_log.path";
    if raw.path.is_empty() {
        let help = "Write stdout or a file, or set edge.access_log.off = true.";
        check.bad(path, "", "is empty", help);
    }
    let target = if raw.path == "stdout" {
        LogTarget::Stdout
    } else {
        let file = absolute(&check.base, &raw.path);
        if check.around.probe.kind(&file) == FileKind::Directory {
            check.fault(
                Cause::File,
                path,
                &raw.path,
                "is a directory, not a file",
                "Name a file in it.",
            );
        }
        if let Some(folder) = file.parent()
            && check.around.probe.kind(folder) == FileKind::Missing
        {
            let problem = format!("there is no directory {}", folder.display());
            check.fault(
                Cause::File,
                path,
                &raw.path,
                &problem,
                "Make it first, owned by the user that Ringwall runs as.",
            );
        }
        LogTarget::File(file)
    };
    let format = match raw.format {
        raw::Format::Json => LogFormat::Json,
        raw::Format::Combined => LogFormat::Combined,
    };
    (!raw.off).then_some(AccessLog { target, format })
}

fn sites(check: &mut Check<'_>, raw: &[raw::Site], listeners: &[Listener]) -> Vec<Site> {
    let mut claimed: HashMap<(HostPattern, String), Place> = HashMap::new();
    let mut sites = Vec::new();
    for (index, raw) in raw.iter().enumerate() {
        let at = element("edge.site", index);
        let path = prefix(check, &at, &raw.path);
        let hosts = hosts(check, &at, &raw.host, &path, &mut claimed);
        sites.push(Site {
            upstreams: upstreams(check, &at, &raw.to, listeners),
            mode: raw.mode.map_or(Mode::Gradual, mode),
            certificate: certificate(check, &at, raw),
            source: SiteSource::File,
            hosts,
            path,
        });
    }
    sites
}

/// The path prefix, without a slash at its end unless it is `/`.
fn prefix(check: &mut Check<'_>, at: &str, text: &str) -> String {
    path_prefix(text).unwrap_or_else(|problem| {
        let help = "Expected a path such as /api; everything below it belongs to the site.";
        check.bad(&format!("{at}.path"), text, problem, help);
        "/".to_owned()
    })
}

fn hosts(
    check: &mut Check<'_>,
    at: &str,
    raw: &[String],
    path: &str,
    claimed: &mut HashMap<(HostPattern, String), Place>,
) -> Vec<HostPattern> {
    let key = format!("{at}.host");
    if raw.is_empty() {
        let help = "Add host = [\"app.example.org\"], or [\"*\"] for any host.";
        check.fault(Cause::Missing, &key, "", "a site needs a host", help);
    }
    let mut hosts = Vec::new();
    for (index, text) in raw.iter().enumerate() {
        let here = element(&key, index);
        let pattern = match HostPattern::read(text) {
            Ok(pattern) => pattern,
            Err(problem) => {
                let help = "Expected a name such as app.example.org, a wildcard such as *.example.org, or '*' for any host.";
                check.bad(&here, text, problem, help);
                continue;
            }
        };
        let claim = (pattern.clone(), path.to_owned());
        if let Some(first) = claimed.get(&claim) {
            let line = match first {
                Place::File { line, .. } => format!("line {line}"),
                _ => "another site".to_owned(),
            };
            let problem = format!("the host with the path {path} is claimed by {line} already");
            let help = "Give one of the two another path, or put both upstreams into one site.";
            check.fault(Cause::Conflict, &here, text, &problem, help);
            continue;
        }
        claimed.insert(claim, check.tree.place(&here));
        hosts.push(pattern);
    }
    hosts
}

fn upstreams(
    check: &mut Check<'_>,
    at: &str,
    raw: &[String],
    listeners: &[Listener],
) -> Vec<Upstream> {
    let key = format!("{at}.to");
    if raw.is_empty() {
        let help = "Add to = [\"http://127.0.0.1:3000\"], where your service listens.";
        check.fault(Cause::Missing, &key, "", "a site needs an upstream", help);
    }
    let mut upstreams = Vec::new();
    for (index, text) in raw.iter().enumerate() {
        let here = element(&key, index);
        match upstream(text) {
            Ok(upstream) if upstreams.contains(&upstream) => {
                check.fault(
                    Cause::Conflict,
                    &here,
                    text,
                    "is listed twice",
                    "Keep one of the two.",
                );
            }
            Ok(upstream) if listeners.iter().any(|one| reaches(&upstream, one.address)) => {
                let help = "Requests would run in a circle. Name the port of the service behind.";
                check.fault(
                    Cause::Conflict,
                    &here,
                    text,
                    "is where Ringwall itself listens",
                    help,
                );
            }
            Ok(upstream) => upstreams.push(upstream),
            Err((problem, help)) => check.bad(&here, text, problem, help),
        }
    }
    upstreams
}

fn upstream(text: &str) -> Result<Upstream, (&'static str, &'static str)> {
    const EXPECTED: &str = "Expected http://host:port, such as http://127.0.0.1:3000.";
    let (scheme, rest) = text.split_once("://").ok_or(("not a URL", EXPECTED))?;
    if scheme.eq_ignore_ascii_case("https") {
        return Err((
            "upstreams over TLS are not supported yet",
            "Use http:// on this host or on a network that you trust; Ringwall does not speak plain HTTP where you asked for TLS.",
        ));
    }
    if !scheme.eq_ignore_ascii_case("http") {
        return Err(("only http:// upstreams are supported", EXPECTED));
    }
    let authority = match rest.split_once('/') {
        None => rest,
        Some((authority, "")) => authority,
        Some(_) => {
            return Err((
                "an upstream has no path",
                "Paths are passed on as they came. Write http://host:port alone.",
            ));
        }
    };
    if authority.contains('@') {
        return Err((
            "an upstream has no user name or password",
            "Credentials are passed on as the visitor sent them. Write http://host:port alone.",
        ));
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let port = match port {
        None => 80,
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => match port.parse() {
            Ok(0) | Err(_) => return Err(("the port is not from 1 to 65535", EXPECTED)),
            Ok(port) => port,
        },
        Some(_) => return Err(("the port is not a number", EXPECTED)),
    };
    if host.contains(':') && !host.starts_with('[') {
        return Err((
            "an IPv6 address stands in brackets",
            "Expected http://[::1]:3000.",
        ));
    }
    let host = host_name::host(host).map_err(|problem| (problem, EXPECTED))?;
    Ok(Upstream { host, port })
}

/// A listener that speaks TLS needs something to show; only loopback names get a
/// self-signed certificate.
fn certificates_for_tls(
    check: &mut Check<'_>,
    raw: &raw::Edge,
    listeners: &[Listener],
    sites: &[Site],
) {
    let named = |site: &raw::Site| site.certificate.is_some() || site.key.is_some();
    let stranger = |host: &HostPattern| match host {
        HostPattern::Any => false,
        HostPattern::Exact(name) | HostPattern::Wildcard(name) => !is_loopback_name(name),
    };
    let mut hosts = sites.iter().flat_map(|site| &site.hosts);
    let Some(host) = hosts.find(|host| stranger(host)) else {
        return;
    };
    let Some(listener) = listeners.iter().find(|listener| listener.tls) else {
        return;
    };
    if raw.site.iter().any(named) || check.tree.is_broken("edge.site") {
        return;
    }
    let index = raw.listen.iter().position(|listen| match listen {
        raw::Listen::Address(text) => text.parse() == Ok(listener.address),
        raw::Listen::Marked(marked) => marked.address.parse() == Ok(listener.address),
    });
    let path = index.map_or_else(String::new, |index| element("edge.listen", index));
    let problem = format!("speaks TLS, and there is no certificate for {host}");
    let help = "Set certificate and key on the site (only loopback names get a self-signed one), or say { address = \"…\", tls = false }.";
    check.fault(
        Cause::Missing,
        &path,
        &listener.address.to_string(),
        &problem,
        help,
    );
}

fn is_loopback_name(name: &str) -> bool {
    name == "localhost"
        || name.ends_with(".localhost")
        || name
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Whether requests to the upstream would come back to our own listener.
fn reaches(upstream: &Upstream, listener: SocketAddr) -> bool {
    let loopback = upstream.host == "localhost";
    let address = upstream.host.parse::<IpAddr>().ok();
    upstream.port == listener.port()
        && match address {
            Some(address) => {
                address == listener.ip()
                    || (listener.ip().is_unspecified()
                        && address.is_loopback()
                        && address.is_ipv4() == listener.is_ipv4())
            }
            None => loopback && (listener.ip().is_loopback() || listener.ip().is_unspecified()),
        }
}

fn certificate(check: &mut Check<'_>, at: &str, raw: &raw::Site) -> Option<CertificateFiles> {
    let chain_key = format!("{at}.certificate");
    let key_key = format!("{at}.key");
    match (&raw.certificate, &raw.key) {
        (Some(chain), Some(key)) => Some(CertificateFiles {
            chain: check.existing(&chain_key, chain, &FileKind::File),
            key: check.existing(&key_key, key, &FileKind::File),
        }),
        (Some(chain), None) if !check.tree.is_broken(&key_key) => {
            let help = "Add key = \"…\" with the private key's PEM file.";
            check.fault(
                Cause::Missing,
                &chain_key,
                chain,
                "a certificate without its key",
                help,
            );
            None
        }
        (None, Some(key)) if !check.tree.is_broken(&chain_key) => {
            let help = "Add certificate = \"…\" with the chain's PEM file, leaf first.";
            check.fault(
                Cause::Missing,
                &key_key,
                key,
                "a key without its certificate",
                help,
            );
            None
        }
        _ => None,
    }
}
