//! Which site answers: the snapshot compiled for look-up. Pure.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::collections::HashMap;
use std::sync::Arc;

use vocab::Cidr;

use crate::EdgeError;
use crate::registry::TICK;
use crate::snapshot::{ClientHeader, HostPattern, Limits, Site, Snapshot, Timeouts};

/// A snapshot in force.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Tells it from every other plan of this process.
    pub(crate) number: u64,
    pub(crate) limits: Limits,
    pub(crate) ticks: Ticks,
    pub(crate) upstream_rest: Duration,
    /// Whether any site enforces anything.
    pub(crate) enforces: bool,
    pub(crate) trusted: Vec<Cidr>,
    pub(crate) client_header: ClientHeader,
    /// Shared with the plans before it, as long as they believe the same.
    pub(crate) habit: Arc<crate::client::Habit>,
    pub(crate) wire: wire::Limits,
    exact: HashMap<Vec<u8>, Prefixes>,
    below: HashMap<Vec<u8>, Prefixes>,
    any: Prefixes,
}

/// [`Timeouts`] in the registry's ticks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticks {
    pub(crate) handshake: u32,
    pub(crate) head: u32,
    pub(crate) idle: u32,
    pub(crate) idle_pressed: u32,
    pub(crate) stalled: u32,
    pub(crate) connect: u32,
    pub(crate) response: u32,
    pub(crate) tunnel: u32,
    pub(crate) upstream_idle: u32,
    pub(crate) half_closed: u32,
}

impl Ticks {
    fn new(timeouts: &Timeouts) -> Self {
        let ticks = |wait: Duration| {
            u32::try_from(wait.as_millis().div_ceil(TICK.as_millis())).unwrap_or(u32::MAX)
        };
        Self {
            handshake: ticks(timeouts.handshake),
            head: ticks(timeouts.head),
            idle: ticks(timeouts.idle),
            idle_pressed: ticks(timeouts.idle_pressed),
            stalled: ticks(timeouts.stalled),
            connect: ticks(timeouts.connect),
            response: ticks(timeouts.response),
            tunnel: ticks(timeouts.tunnel),
            upstream_idle: ticks(timeouts.upstream_idle),
            half_closed: ticks(timeouts.half_closed),
        }
    }
}

fn enforces(site: &Site) -> bool {
    site.policy.mode != gate::Mode::Observe
}

/// Sites of one host pattern, the longest path prefix first.
type Prefixes = Vec<Arc<Route>>;

/// One site in force.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) site: Site,
    /// The prefix without a final slash, so that it matches whole segments.
    prefix: Vec<u8>,
    pub(crate) enforces: bool,
}

impl Plan {
    pub(crate) fn new(snapshot: Snapshot) -> Result<Self, EdgeError> {
        snapshot.check()?;
        static COUNT: AtomicU64 = AtomicU64::new(1);
        let defaults = wire::Limits::default();
        let mut plan = Self {
            number: COUNT.fetch_add(1, Ordering::Relaxed),
            wire: wire::Limits {
                line: defaults.line.min(snapshot.limits.head_bytes),
                header: defaults.header.min(snapshot.limits.head_bytes),
                head: snapshot.limits.head_bytes,
                headers: snapshot.limits.header_fields,
                ..defaults
            },
            limits: snapshot.limits,
            ticks: Ticks::new(&snapshot.timeouts),
            upstream_rest: snapshot.timeouts.upstream_rest,
            enforces: snapshot.sites.iter().any(enforces),
            trusted: snapshot.trusted_proxies,
            client_header: snapshot.client_header,
            habit: Arc::default(),
            exact: HashMap::new(),
            below: HashMap::new(),
            any: Vec::new(),
        };
        for site in snapshot.sites {
            let prefix = site.path_prefix.trim_end_matches('/').as_bytes().to_vec();
            let enforces = enforces(&site);
            let route = Arc::new(Route {
                site,
                prefix,
                enforces,
            });
            for host in &route.site.hosts {
                let list = match host {
                    HostPattern::Exact(name) => {
                        plan.exact.entry(name.clone().into_bytes()).or_default()
                    }
                    HostPattern::Below(suffix) => {
                        plan.below.entry(suffix.clone().into_bytes()).or_default()
                    }
                    HostPattern::Any => &mut plan.any,
                };
                list.push(Arc::clone(&route));
            }
        }
        let lists = plan.exact.values_mut().chain(plan.below.values_mut());
        for list in lists.chain([&mut plan.any]) {
            list.sort_by_key(|route| core::cmp::Reverse(route.prefix.len()));
        }
        Ok(plan)
    }

    /// The same, with what was learnt of the proxies under `old`, if that believes the same:
    /// a stranger must not be given another first request by each reload.
    pub(crate) fn after(old: &Self, snapshot: Snapshot) -> Result<Self, EdgeError> {
        let mut plan = Self::new(snapshot)?;
        if plan.believes_as(old) {
            plan.habit = Arc::clone(&old.habit);
        }
        Ok(plan)
    }

    /// Whether it believes the same header of the same proxies.
    pub(crate) fn believes_as(&self, other: &Self) -> bool {
        self.trusted == other.trusted && self.client_header == other.client_header
    }

    /// The configured header of one address, unless it is one that is written anyway.
    pub(crate) fn named_in(&self) -> Option<&str> {
        match &self.client_header {
            ClientHeader::Single(name) if !name.eq_ignore_ascii_case("X-Real-IP") => Some(name),
            ClientHeader::Single(_)
            | ClientHeader::Either
            | ClientHeader::XForwardedFor
            | ClientHeader::Forwarded => None,
        }
    }

    /// The site for a host (lower case, without port) and a normalised path. The
    /// exact host wins over the nearest `*.suffix`, that over `*`; a host that is
    /// named does not fall back to a wider pattern for want of a path.
    pub(crate) fn route(&self, host: &[u8], path: &[u8]) -> Option<&Arc<Route>> {
        let host = host.strip_suffix(b".").unwrap_or(host);
        if !self.exact.is_empty()
            && let Some(list) = self.exact.get(host)
        {
            return longest(list, path);
        }
        if !self.below.is_empty() {
            let mut rest = host;
            while let Some(dot) = rest.iter().position(|byte| *byte == b'.') {
                rest = rest.get(dot + 1..).unwrap_or_default();
                if let Some(list) = self.below.get(rest) {
                    return longest(list, path);
                }
            }
        }
        longest(&self.any, path)
    }

    /// What a site of another plan is here. Walks them all.
    pub(crate) fn same_site(&self, site: &Site) -> Option<&Arc<Route>> {
        let is_same = |one: &Site| {
            (&one.name, &one.path_prefix, &one.hosts)
                == (&site.name, &site.path_prefix, &site.hosts)
        };
        let lists = self.exact.values().chain(self.below.values());
        let mut routes = lists.chain([&self.any]).flatten();
        routes.find(|route| is_same(&route.site))
    }

    pub(crate) fn is_trusted(&self, peer: core::net::IpAddr) -> bool {
        self.trusted.iter().any(|range| range.contains(peer))
    }
}

fn longest<'a>(list: &'a Prefixes, path: &[u8]) -> Option<&'a Arc<Route>> {
    list.iter().find(|route| {
        path.strip_prefix(route.prefix.as_slice())
            .is_some_and(|rest| matches!(rest.first(), None | Some(b'/')))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use vocab::{Timestamp, UpstreamAddr};

    fn site(name: &str, hosts: &[&str], path_prefix: &str) -> Site {
        Site {
            name: name.to_owned(),
            hosts: hosts
                .iter()
                .map(|h| HostPattern::parse(h).unwrap())
                .collect(),
            path_prefix: path_prefix.to_owned(),
            upstreams: vec![UpstreamAddr("127.0.0.1:1".parse().unwrap())],
            policy: gate::SitePolicy::new(0, Timestamp::MAX),
        }
    }

    #[test]
    fn the_most_exact_host_then_the_longest_prefix_answers() {
        let plan = Plan::new(Snapshot {
            sites: vec![
                site("app", &["app.example.org"], "/"),
                site("api", &["app.example.org"], "/api/"),
                site("sub", &["*.example.org"], "/"),
                site("deep", &["*.deep.example.org"], "/only"),
                site("rest", &["*"], "/public"),
            ],
            ..Snapshot::default()
        })
        .unwrap();
        for (host, path, want) in [
            ("app.example.org", "/", Some("app")),
            ("app.example.org.", "/x", Some("app")),
            ("app.example.org", "/api", Some("api")),
            ("app.example.org", "/api/v1", Some("api")),
            ("app.example.org", "/apix", Some("app")),
            ("other.example.org", "/", Some("sub")),
            ("a.b.example.org", "/", Some("sub")),
            ("x.deep.example.org", "/only/1", Some("deep")),
            ("x.deep.example.org", "/", None),
            ("example.org", "/public", Some("rest")),
            ("example.org", "/", None),
            ("", "/public/", Some("rest")),
        ] {
            let found = plan.route(host.as_bytes(), path.as_bytes());
            assert_eq!(found.map(|r| r.site.name.as_str()), want, "{host}{path}");
        }
    }

    #[test]
    fn ambiguous_sites_are_refused() {
        for sites in [
            vec![site("a", &["h"], "/x"), site("b", &["H"], "/x/")],
            vec![site("a", &["h"], "x")],
        ] {
            let snapshot = Snapshot {
                sites,
                ..Snapshot::default()
            };
            assert!(Plan::new(snapshot).is_err(), "DENY");
        }
    }
}
