//! Whether visitors' addresses can be seen, judged from where requests come from. Pure.
//!
//! **For.** Docker's gateway, a router that replaces addresses, a proxy or CDN that
//! nobody trusts: behind each of them all visitors look like one, so that a ban would
//! meet all of them. **Refuses** to trust anybody by itself: strangers write forwarding
//! headers too, so it says what to write into the configuration, and when not to.

use std::net::IpAddr;

use edge::{Arrivals, Peer};
use vocab::Cidr;

use crate::surroundings;

/// Requests below which nothing is judged: a handful says nothing.
pub const FEWEST: u64 = 200;

/// What this host knows of itself.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// Addresses of its interfaces.
    pub own: Vec<IpAddr>,
    /// The next hops of its routes.
    pub gateways: Vec<IpAddr>,
    /// `edge.trusted_proxies`.
    pub trusted: Vec<Cidr>,
    /// Whether `edge.client_header` is set.
    pub header_named: bool,
}

/// Addresses are hidden.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hidden {
    /// The share of requests that it concerns.
    pub percent: u64,
    /// What it means and what mends it, in whole sentences.
    pub sentence: String,
}

impl Place {
    /// As this host and its configuration are now.
    #[must_use]
    pub fn now(config: &config::Config) -> Self {
        Self {
            own: surroundings::own_addresses(),
            gateways: surroundings::gateways(),
            trusted: config.edge.trusted_proxies.clone(),
            header_named: config.edge.client_header.is_some(),
        }
    }
}

/// Why visitors' addresses cannot be seen, if they cannot.
#[must_use]
pub fn hidden(seen: &Arrivals, place: &Place) -> Option<Hidden> {
    if seen.requests < FEWEST {
        return None;
    }
    let percent = |part: u64| part.min(seen.requests) * 100 / seen.requests;
    let most = seen
        .peers
        .first()
        .filter(|peer| percent(peer.requests) > 50);
    if let Some(peer) = most
        && let Some(sentence) = through_one(peer, percent(peer.requests), place)
    {
        return Some(Hidden {
            percent: percent(peer.requests),
            sentence,
        });
    }
    let by_strangers = percent(seen.forwarded);
    (by_strangers > 50).then(|| Hidden {
        percent: by_strangers,
        sentence: through_strangers(seen, by_strangers),
    })
}

/// Most requests come through one address.
fn through_one(peer: &Peer, percent: u64, place: &Place) -> Option<String> {
    let address = peer.address;
    let begin =
        format!("{percent} % of requests come through {address}, so addresses are not visible:");
    if place.trusted.iter().any(|range| range.contains(address)) {
        let silent = peer.unnamed * 2 > peer.requests;
        return silent.then(|| unnamed(&begin, place.header_named));
    }
    let writes = peer.forwarded * 10 >= peer.requests * 9;
    // One program on this host, or one person at home, is what it looks like.
    let many = peer.agents() >= 2 || writes;
    if !many || !is_near(address, place) {
        return None;
    }
    let means = format!(
        "{begin} such a local source only raises alerts, and whoever attacks through it is not barred."
    );
    let fix = if writes {
        format!(
            "It is a proxy that is not trusted. If it is yours and nobody else can reach Ringwall through \
             it, set edge.trusted_proxies = [\"{address}\"]."
        )
    } else if place.gateways.contains(&address) {
        "It is this host's or container's gateway, as Docker's own proxy makes it. Give Ringwall the \
         host's network (network_mode: host), or set \"userland-proxy\": false in /etc/docker/daemon.json; \
         a network without IPv6 hides IPv6 visitors in the same way."
            .to_owned()
    } else {
        format!(
            "Something there replaces addresses. Have it keep them (no masquerading towards Ringwall), or \
             have it speak the PROXY protocol: listen = [{{ address = \"…\", proxy_protocol = true }}] and \
             edge.trusted_proxies = [\"{address}\"]."
        )
    };
    Some(format!("{means} {fix}"))
}

/// A trusted proxy that does not do what it is trusted for.
fn unnamed(begin: &str, header_named: bool) -> String {
    let fix = if header_named {
        "Check that the proxy writes the header that edge.client_header names, with one address."
    } else {
        "Have it write X-Forwarded-For, or name the header that it writes in edge.client_header."
    };
    format!(
        "{begin} it is trusted and names nobody whom one could believe, and it is never barred. {fix}"
    )
}

/// Most requests carry a proxy's header and come from addresses that are not trusted.
fn through_strangers(seen: &Arrivals, percent: u64) -> String {
    let header = seen.header.unwrap_or("X-Forwarded-For");
    let senders = seen.peers.iter().filter(|peer| peer.forwarded > 0).take(3);
    let senders: Vec<String> = senders.map(|peer| peer.address.to_string()).collect();
    let named = if matches!(header, "Via" | "X-Forwarded-For" | "Forwarded") {
        String::new()
    } else {
        format!(" and edge.client_header = \"{header}\"")
    };
    format!(
        "{percent} % of requests carry {header} and come from addresses that are not trusted ({}), so \
         visitors' addresses are not visible: a ban would hit everybody behind such an address. If you put \
         a CDN or proxy before Ringwall, set edge.trusted_proxies to its published ranges{named}, and let \
         nobody else reach this port. If you did not, leave it: strangers write such headers too, and \
         nobody believes them.",
        senders.join(", ")
    )
}

/// Addresses that no visitor from outside has.
fn is_near(address: IpAddr, place: &Place) -> bool {
    let private = match address {
        IpAddr::V4(v4) => {
            // RFC 6598: carrier-grade NAT, also where VPNs live.
            let shared = v4.octets()[0] == 100 && (64..128).contains(&v4.octets()[1]);
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || shared
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    };
    private || place.own.contains(&address) || place.gateways.contains(&address)
}

#[cfg(test)]
mod tests;
