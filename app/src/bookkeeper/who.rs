//! Who is never barred, put together from what is configured and what is found out.

use std::collections::BTreeMap;
use std::net::IpAddr;

use book::{AllowSubject, Preset, Protected, Role};
use config::snapshot::NeverBan;
use vocab::Cidr;

use crate::surroundings;

/// Where the never-ban list comes from. Host names keep their last good answer.
#[derive(Clone, Debug, Default)]
pub struct Spared {
    never_ban: Vec<NeverBan>,
    upstreams: Vec<IpAddr>,
    proxies: Vec<Cidr>,
    names: BTreeMap<String, Vec<Cidr>>,
}

impl Spared {
    /// What the configuration says.
    #[must_use]
    pub fn new(never_ban: &[NeverBan], upstreams: Vec<IpAddr>, proxies: &[Cidr]) -> Self {
        Self {
            never_ban: never_ban.to_vec(),
            upstreams,
            proxies: proxies.to_vec(),
            names: BTreeMap::new(),
        }
    }

    /// Whether local sources only alert: they do unless the operator took `lan` off the list.
    #[must_use]
    pub fn local_alert_only(&self) -> bool {
        self.never_ban.contains(&NeverBan::Lan)
    }

    /// The host names that must be resolved.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let names = self.never_ban.iter().filter_map(|who| match who {
            NeverBan::Name(name) => Some(name.clone()),
            NeverBan::Range(_) | NeverBan::Lan | NeverBan::Vpn | NeverBan::Wan => None,
        });
        names.collect()
    }

    /// Takes a good answer for a name; an empty one is none.
    pub fn resolved(&mut self, name: &str, ranges: Vec<Cidr>) {
        if !ranges.is_empty() {
            self.names.insert(name.to_owned(), ranges);
        }
    }

    /// Takes over the answers of the list before, so that a reload forgets none.
    #[must_use]
    pub fn remembering(mut self, before: &Self) -> Self {
        self.names.clone_from(&before.names);
        self
    }

    /// Every range that is never barred on this host, with the reason.
    #[must_use]
    pub fn protected(&self) -> Protected {
        self.protected_on(&surroundings::own_addresses(), &surroundings::gateways())
    }

    /// The same on a host with these addresses and gateways.
    ///
    /// Loopback upstreams and own addresses are spared one by one: 127.0.0.1 being
    /// ours says nothing about who else uses 127.0.0.0/8.
    fn protected_on(&self, own: &[IpAddr], gateways: &[IpAddr]) -> Protected {
        let hosts = |addresses: &[IpAddr], role| {
            let ranges: Vec<_> = addresses
                .iter()
                .map(|address| (Cidr::host(*address), role))
                .collect();
            ranges
        };
        let configured = self.never_ban.iter().flat_map(|who| self.ranges(who, own));
        let ranges = configured
            .map(|range| (range, Role::NeverBan))
            .chain(hosts(own, Role::Own))
            .chain(hosts(gateways, Role::Gateway))
            .chain(hosts(&self.upstreams, Role::Upstream))
            .chain(
                self.proxies
                    .iter()
                    .map(|range| (*range, Role::TrustedProxy)),
            );
        Protected::new(ranges)
    }

    fn ranges(&self, who: &NeverBan, own: &[IpAddr]) -> Vec<Cidr> {
        match who {
            NeverBan::Range(range) => vec![*range],
            NeverBan::Name(name) => self.names.get(name).cloned().unwrap_or_default(),
            NeverBan::Lan => Preset::Lan.known(),
            NeverBan::Vpn => Preset::Vpn.known(),
            NeverBan::Wan => own.iter().copied().map(Cidr::host).collect(),
        }
    }
}

/// The allowlist's word for a configured somebody.
pub(super) fn subject(who: &NeverBan) -> AllowSubject {
    match who {
        NeverBan::Range(range) => AllowSubject::Range(*range),
        NeverBan::Name(name) => AllowSubject::Host(name.clone()),
        NeverBan::Lan => AllowSubject::Preset(Preset::Lan),
        NeverBan::Vpn => AllowSubject::Preset(Preset::Vpn),
        NeverBan::Wan => AllowSubject::Preset(Preset::Wan),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstreams_proxies_and_configured_addresses_are_spared_and_names_keep_their_answer() {
        let proxies = ["203.0.113.0/28".parse().unwrap()];
        let never = [
            NeverBan::Range("192.0.2.1".parse().unwrap()),
            NeverBan::Name("office.example".into()),
        ];
        let mut spared = Spared::new(&never, vec!["198.51.100.9".parse().unwrap()], &proxies);
        let own: [IpAddr; 1] = ["192.0.2.30".parse().unwrap()];
        let gateway: [IpAddr; 1] = ["192.0.2.254".parse().unwrap()];
        let spares = |spared: &Spared, text: &str| {
            let protected = spared.protected_on(&own, &gateway);
            protected.overlapping(text.parse().unwrap()).is_some()
        };
        for address in [
            "192.0.2.1",
            "198.51.100.9",
            "203.0.113.3",
            "192.0.2.30",
            "192.0.2.254",
        ] {
            assert!(spares(&spared, address), "{address}");
        }
        for address in [
            "192.0.2.2",
            "198.51.100.8",
            "203.0.113.16",
            "127.0.2.1",
            "10.0.0.1",
        ] {
            assert!(!spares(&spared, address), "DENY {address}");
        }
        spared.resolved("office.example", vec!["192.0.2.200".parse().unwrap()]);
        spared.resolved("office.example", Vec::new());
        assert!(spares(&spared, "192.0.2.200"));
        let reloaded = Spared::new(&never, Vec::new(), &[]).remembering(&spared);
        assert!(spares(&reloaded, "192.0.2.200"));
    }
}
