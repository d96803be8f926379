//! From the validated configuration to what each room wants to hear.

use std::net::{IpAddr, ToSocketAddrs};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use config::Config;
use config::snapshot::{ClientHeader, HostPattern, Mode, Profile, Site, SiteSource, Upstream};
use vocab::{Timestamp, UpstreamAddr};

use crate::{Error, surroundings};

/// The edge's snapshot. Resolves upstream names: blocks.
///
/// # Errors
/// When an upstream's name stands for no address.
pub fn edge(
    config: &Config,
    volume_from: impl Fn(&str) -> Timestamp,
) -> Result<edge::Snapshot, Error> {
    let sites = sites(&config.edge.sites, volume_from)?;
    let (limits, timeouts) = (&config.edge.limits, &config.edge.timeouts);
    Ok(edge::Snapshot {
        sites,
        trusted_proxies: config.edge.trusted_proxies.clone(),
        client_header: client_header(config.edge.client_header.as_ref()),
        limits: edge::Limits {
            connections: surroundings::connections(limits.connections),
            head_bytes: limits.head_bytes,
            header_fields: limits.headers,
            body_bytes: limits.body_bytes,
            ..edge::Limits::default()
        },
        timeouts: edge::Timeouts {
            handshake: timeouts.header,
            head: timeouts.header,
            idle: timeouts.idle,
            stalled: timeouts.body,
            connect: timeouts.connect,
            response: timeouts.response,
            tunnel: timeouts.tunnel,
            ..edge::Timeouts::default()
        },
    })
}

fn client_header(header: Option<&ClientHeader>) -> edge::ClientHeader {
    match header {
        None => edge::ClientHeader::Either,
        Some(ClientHeader::XForwardedFor) => edge::ClientHeader::XForwardedFor,
        Some(ClientHeader::Forwarded) => edge::ClientHeader::Forwarded,
        Some(ClientHeader::Single(name)) => edge::ClientHeader::Single(name.as_str().into()),
    }
}

/// Sites in the edge's words. Those of the configuration are numbered in order, those
/// of labels by their name, since they come and go. Resolves upstream names: blocks.
///
/// # Errors
/// When an upstream's name stands for no address.
pub fn sites(
    all: &[Site],
    volume_from: impl Fn(&str) -> Timestamp,
) -> Result<Vec<edge::Site>, Error> {
    let one = |(number, site): (u32, &Site)| {
        let name = site.name();
        let number = match &site.source {
            SiteSource::File => number,
            SiteSource::Labels { .. } => label_number(&name),
        };
        let upstreams = site
            .upstreams
            .iter()
            .map(resolve)
            .collect::<Result<Vec<_>, _>>()?;
        let mode = match site.mode {
            Mode::Gradual => gate::Mode::Default,
            Mode::Enforce => gate::Mode::Enforce,
            Mode::Observe => gate::Mode::Observe,
        };
        let policy = gate::SitePolicy {
            mode,
            ..gate::SitePolicy::new(number, volume_from(&name))
        };
        Ok(edge::Site {
            hosts: hosts(&site.hosts),
            path_prefix: site.path.clone(),
            upstreams: upstreams.into_iter().flatten().collect(),
            policy,
            name,
        })
    };
    (0_u32..).zip(all).map(one).collect()
}

/// A number above those of the configuration's sites. Two names that meet in one
/// share their visitors' request counts, nothing else.
fn label_number(name: &str) -> u32 {
    let mut hash = 0x811c_9dc5_u32; // FNV-1a
    for byte in name.bytes() {
        hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    hash | 1 << 31
}

/// Host patterns in the edge's words.
#[must_use]
pub fn hosts(patterns: &[HostPattern]) -> Vec<edge::HostPattern> {
    patterns.iter().map(host).collect()
}

fn host(pattern: &HostPattern) -> edge::HostPattern {
    match pattern {
        HostPattern::Any => edge::HostPattern::Any,
        HostPattern::Exact(name) => edge::HostPattern::Exact(name.clone()),
        HostPattern::Wildcard(domain) => edge::HostPattern::Below(domain.clone()),
    }
}

fn resolve(upstream: &Upstream) -> Result<Vec<UpstreamAddr>, Error> {
    let found = (upstream.host.as_str(), upstream.port).to_socket_addrs();
    let addresses: Vec<UpstreamAddr> = found
        .map(|all| all.map(UpstreamAddr).collect())
        .unwrap_or_default();
    if addresses.is_empty() {
        return Err(Error::Operator(format!(
            "The upstream {upstream} stands for no address now. Check its name with 'getent hosts {}', or \
             write its address.",
            upstream.host
        )));
    }
    Ok(addresses)
}

/// The addresses of the configuration's own upstreams, which are never barred. Those of
/// labels are not among them: whoever starts a container would spare whom he likes.
#[must_use]
pub fn upstream_addresses(config: &Config, snapshot: &edge::Snapshot) -> Vec<IpAddr> {
    let sites = config.edge.sites.iter().zip(&snapshot.sites);
    sites
        .filter(|(site, _)| site.source == SiteSource::File)
        .flat_map(|(_, site)| &site.upstreams)
        .map(|upstream| upstream.0.ip())
        .collect()
}

/// What the slowest rate, one a second, earns in a day.
const MOST_BURST: NonZeroU32 = match NonZeroU32::new(86_400) {
    Some(number) => number,
    None => NonZeroU32::MIN,
};

/// The gate's settings.
#[must_use]
pub fn gate(
    config: &Config,
    tools: Arc<gate::Tools>,
    local_tools_observed: bool,
) -> gate::Settings {
    let limits = &config.edge.limits;
    let at_least_one = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).max(1);
    let rate = |per_second: Option<u32>, burst: u32| {
        let per_second = NonZeroU32::new(per_second?)?;
        let of = |burst| gate::Rate::new(per_second, Duration::from_secs(1), burst);
        // The configuration refuses more than a day's worth; were it not so, a limit that is too
        // large must still be one.
        of(NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN)).or_else(|| of(MOST_BURST))
    };
    let requests = rate(limits.requests_per_second, limits.request_burst);
    let new = rate(
        limits.new_connections_per_second,
        limits.new_connection_burst,
    );
    let defaults = gate::Settings::default();
    gate::Settings {
        connections: gate::ConnectionLimits {
            per_client: at_least_one(limits.connections_per_address),
            total: at_least_one(surroundings::connections(limits.connections)),
            new,
        },
        requests,
        tools,
        local_tools_observed,
        most_headers: limits.headers,
        bans_refuse_connections: config
            .edge
            .sites
            .iter()
            .all(|site| site.mode != Mode::Observe),
        ..defaults
    }
}

/// The profiles that alerts are put to.
#[must_use]
pub fn profiles(config: &Config, local_alert_only: bool) -> respond::Profiles {
    let defaults = respond::Profiles::default();
    respond::Profiles {
        profiles: (1..)
            .zip(&config.book.profiles)
            .map(|(number, profile)| one(number, profile))
            .collect(),
        local_alert_only,
        ..defaults
    }
}

/// What several barred addresses of one range mean for the range.
#[must_use]
pub fn prefix(config: &Config) -> respond::PrefixPolicy {
    let prefix = &config.book.prefix;
    respond::PrefixPolicy {
        offenders: prefix.offenders,
        within: prefix.within,
        kind: prefix.kind.clone(),
        ..respond::PrefixPolicy::default()
    }
}

fn one(number: usize, profile: &Profile) -> respond::Profile {
    let escalation = (profile.escalation > 1.0).then_some(respond::Escalation {
        factor: profile.escalation,
        longest: profile.cap,
        half_life: profile.forget_after / 3,
        forget: profile.forget_after,
    });
    let scenarios = if profile.scenarios.iter().any(|name| name == "*") {
        Vec::new()
    } else {
        profile.scenarios.clone()
    };
    respond::Profile {
        name: number.to_string(),
        matcher: respond::Matcher {
            scenarios,
            ..respond::Matcher::default()
        },
        remedies: vec![respond::Remedy {
            kind: profile.kind.clone(),
            lasts: profile.duration,
            escalation,
        }],
        last: true,
    }
}
