//! Who has which host, and the sites that come of it. Pure; the time is passed in.
//!
//! A host belongs to the project that claimed it first, with all its paths: whoever
//! could add a path to another's host could ask for passwords under its name. What the
//! configuration names belongs to the configuration. A host stays with its project
//! while any of its containers is there, and for [`HELD`] after the last one was
//! removed, so that nobody slips in while it is made anew, and so that a request for
//! it is answered 503 and never falls to a site for `*`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use config::snapshot::{HostPattern, Mode, Site, SiteSource, Upstream};
use host::docker::Sight;
use vocab::Timestamp;

use super::wish::{self, Fault, Owner, Wish};
use crate::surroundings::Routes;

/// How long a host is held after its last container was removed.
pub const HELD: Duration = Duration::from_secs(600);
/// The most sites that labels may declare.
pub const MOST_SITES: usize = 256;
/// The most that one project may declare.
pub const MOST_OF_ONE: usize = 64;
/// The most upstreams of one site.
pub const MOST_UPSTREAMS: usize = 64;
/// The most faults that are kept; more are counted.
pub const MOST_FAULTS: usize = 64;

/// A host and a path.
type Place = (HostPattern, String);

/// What the configuration and this host say to it.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'a> {
    /// The configuration's own sites.
    pub file: &'a [Site],
    /// What labels may claim; empty for anything.
    pub allowed: &'a [HostPattern],
    /// What is enforced whatever labels say.
    pub mode: Option<Mode>,
    /// Whether a label may have its site observe only.
    pub may_observe: bool,
    /// Whether any listener speaks TLS.
    pub tls: bool,
    /// This host's own addresses.
    pub own: &'a [IpAddr],
    /// What is behind which of its devices.
    pub routes: &'a Routes,
}

/// What came of it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Outcome {
    /// The sites, in a fixed order.
    pub sites: Vec<Site>,
    /// What is wrong, at most [`MOST_FAULTS`].
    pub faults: Vec<Fault>,
    /// How much is wrong in all.
    pub wrong: usize,
    /// Containers that ask for something.
    pub containers: usize,
}

/// Who has what.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    held: BTreeMap<Place, Hold>,
}

#[derive(Clone, Debug)]
struct Hold {
    owner: Owner,
    mode: Mode,
    /// Since when no container claims it.
    absent: Option<Timestamp>,
}

/// What the containers that claim a place say together.
#[derive(Debug, Default)]
struct Voices {
    containers: Vec<String>,
    upstreams: BTreeSet<SocketAddr>,
    mode: Option<Mode>,
}

impl Claims {
    /// Gives up what no container claims any more, before its time.
    pub fn release_absent(&mut self) {
        self.held.retain(|_, hold| hold.absent.is_none());
    }

    /// Whether anything is held for containers that are gone.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.held.values().any(|hold| hold.absent.is_some())
    }

    /// Takes what containers' labels say now.
    pub fn settle(&mut self, sight: &Sight, ground: &Ground<'_>, now: Timestamp) -> Outcome {
        self.held
            .retain(|(host, _), _| forbids(host, ground).is_none());
        let mut faults = Vec::new();
        let wishes: Vec<Wish<'_>> = sight
            .containers
            .iter()
            .filter_map(|container| wish::read(container, ground, &mut faults))
            .collect();
        self.age(&wishes, now);
        let mut voices: BTreeMap<Place, Voices> = BTreeMap::new();
        for wish in &wishes {
            for host in &wish.hosts {
                let place = (host.clone(), wish.path.clone());
                match self.claim(&place, wish, ground) {
                    Ok(()) => voices.entry(place).or_default().add(wish, &mut faults),
                    Err((problem, fix)) => {
                        faults.push(Fault::new(wish.container, "host", &problem, &fix));
                    }
                }
            }
        }
        uncertified(&voices, &wishes, ground, &mut faults);
        let wrong = faults.len();
        faults.truncate(MOST_FAULTS);
        Outcome {
            sites: self.sites(&mut voices, ground.mode),
            faults,
            wrong,
            containers: wishes.len(),
        }
    }

    /// Gives the place to whoever asks, or says why not.
    fn claim(
        &mut self,
        place: &Place,
        wish: &Wish<'_>,
        ground: &Ground<'_>,
    ) -> Result<(), (String, String)> {
        let (host, _) = place;
        if let Some(refused) = forbids(host, ground) {
            return Err(refused);
        }
        if let Some(hold) = self.held.get(place)
            && hold.owner == wish.owner
        {
            return Ok(());
        }
        let mut of_one = 0;
        for ((theirs, _), hold) in &self.held {
            if hold.owner == wish.owner {
                of_one += 1;
            } else if theirs.covers(host) {
                return Err(taken(theirs, host, hold));
            }
        }
        if self.held.len() >= MOST_SITES || of_one >= MOST_OF_ONE {
            let problem = format!(
                "there are {MOST_SITES} sites from labels, or {MOST_OF_ONE} of {}, already",
                wish.owner
            );
            let fix = "Write some as [[edge.site]] into the configuration.".to_owned();
            return Err((problem, fix));
        }
        let hold = Hold {
            owner: wish.owner.clone(),
            mode: Mode::Gradual,
            absent: None,
        };
        self.held.insert(place.clone(), hold);
        Ok(())
    }

    /// Lets time pass for what its owner does not claim any more.
    fn age(&mut self, wishes: &[Wish<'_>], now: Timestamp) {
        let mut claimed: BTreeSet<(&Owner, &HostPattern, &str)> = BTreeSet::new();
        for wish in wishes {
            let places = wish
                .hosts
                .iter()
                .map(|host| (&wish.owner, host, wish.path.as_str()));
            claimed.extend(places);
        }
        self.held.retain(|(host, path), hold| {
            if claimed.contains(&(&hold.owner, host, path.as_str())) {
                hold.absent = None;
                return true;
            }
            now < hold.absent.get_or_insert(now).after(HELD)
        });
    }

    fn sites(&mut self, voices: &mut BTreeMap<Place, Voices>, over: Option<Mode>) -> Vec<Site> {
        let mut sites = Vec::new();
        for (place, hold) in &mut self.held {
            let voices = voices.remove(place);
            if let Some(voices) = &voices {
                hold.mode = voices.mode.unwrap_or(Mode::Gradual);
            }
            let Voices {
                containers,
                upstreams,
                ..
            } = voices.unwrap_or_default();
            let upstream = |address: SocketAddr| Upstream {
                host: address.ip().to_string(),
                port: address.port(),
            };
            let (host, path) = place.clone();
            sites.push(Site {
                hosts: vec![host],
                path,
                upstreams: upstreams.into_iter().map(upstream).collect(),
                mode: over.unwrap_or(hold.mode),
                certificate: None,
                source: SiteSource::Labels { containers },
            });
        }
        sites
    }
}

impl Voices {
    fn add(&mut self, wish: &Wish<'_>, faults: &mut Vec<Fault>) {
        self.containers.push(wish.container.name.clone());
        if let Some(address) = wish.upstream {
            if self.upstreams.len() < MOST_UPSTREAMS {
                self.upstreams.insert(address);
            } else {
                let problem = format!("the site has {MOST_UPSTREAMS} upstreams already");
                let fix = "This container gets no requests; run fewer of them.";
                faults.push(Fault::new(wish.container, "host", &problem, fix));
            }
        }
        match (self.mode, wish.mode) {
            (None, mode) if self.containers.len() == 1 => self.mode = mode,
            (before, mode) if before == mode => {}
            _ => {
                let problem = format!(
                    "differs from that of the older container {:?}",
                    self.containers.first().map_or("", String::as_str)
                );
                let fix = "The older one's holds. Give both the same.";
                faults.push(Fault::new(wish.container, "mode", &problem, fix));
            }
        }
    }
}

/// Why the configuration does not let labels have this host.
fn forbids(host: &HostPattern, ground: &Ground<'_>) -> Option<(String, String)> {
    if let Some(site) = ground.file.iter().find(|site| site.hosts.contains(host)) {
        let problem = format!(
            "{host} belongs to the site {} of the configuration",
            site.name()
        );
        let fix = "The configuration goes before labels. Take the host out of one of the two; all paths of a host belong together.";
        return Some((problem, fix.to_owned()));
    }
    if ground.allowed.iter().any(|one| one.covers(host)) {
        return None;
    }
    if !ground.allowed.is_empty() {
        let names: Vec<_> = ground.allowed.iter().map(ToString::to_string).collect();
        let problem = format!("{host} is not among docker.hosts");
        let fix = format!("Labels may claim {}.", names.join(", "));
        return Some((problem, fix));
    }
    unnamed(host, ground)
}

/// Why labels may not have a host that `docker.hosts` does not name, where it is empty.
fn unnamed(host: &HostPattern, ground: &Ground<'_>) -> Option<(String, String)> {
    let below = |site: &&Site| {
        let mut wildcards = site.hosts.iter().filter(|one| **one != HostPattern::Any);
        wildcards.any(|one| one.covers(host))
    };
    if let Some(site) = ground.file.iter().find(below) {
        let problem = format!(
            "{host} is served by the site {} of the configuration",
            site.name()
        );
        let fix = format!(
            "To give labels what is below that wildcard, say so: docker.hosts = [\"{host}\"], or a wildcard."
        );
        return Some((problem, fix));
    }
    match host {
        HostPattern::Wildcard(domain) if !domain.contains('.') => {
            let problem = format!("{host} would take every host of a whole top-level domain");
            let fix = format!(
                "Claim the hosts that are meant, or allow it: docker.hosts = [\"{host}\"]."
            );
            Some((problem, fix))
        }
        _ => None,
    }
}

/// The sentence for a host that somebody else has.
fn taken(theirs: &HostPattern, host: &HostPattern, hold: &Hold) -> (String, String) {
    let under = if theirs == host {
        String::new()
    } else {
        format!(" as part of {theirs}")
    };
    let problem = format!("{host} belongs to {}{under}", hold.owner);
    let fix = match hold.absent {
        None => "The older one keeps it. Containers share a host where they are of one Compose project; else give this one another host.".to_owned(),
        Some(since) => format!(
            "It is held for containers that were removed, until {}; 'ringwall reload' frees it at once.",
            since.after(HELD).to_the_second()
        ),
    };
    (problem, fix)
}

/// Names hosts for which a TLS listener has nothing to show.
fn uncertified(
    voices: &BTreeMap<Place, Voices>,
    wishes: &[Wish<'_>],
    ground: &Ground<'_>,
    faults: &mut Vec<Fault>,
) {
    if !ground.tls {
        return;
    }
    let certified = ground
        .file
        .iter()
        .filter(|site| site.certificate.is_some())
        .flat_map(|site| &site.hosts);
    let certified: Vec<_> = certified.collect();
    let shown = |host: &HostPattern| {
        certified.iter().any(|pattern| match (pattern, host) {
            // A wildcard certificate is good for one label.
            (HostPattern::Wildcard(domain), HostPattern::Exact(name)) => {
                name.split_once('.').is_some_and(|(_, rest)| rest == domain)
            }
            _ => pattern.covers(host),
        })
    };
    for wish in wishes {
        for host in &wish.hosts {
            if voices.contains_key(&(host.clone(), wish.path.clone())) && !shown(host) {
                let problem = format!("no certificate of the configuration is for {host}");
                let fix = "Over plain HTTP it is served; over TLS visitors see a warning. Give a [[edge.site]] for \"*.example.org\" a certificate, and let labels claim what is below it: docker.hosts = [\"*.example.org\"].";
                faults.push(Fault::new(wish.container, "host", &problem, fix));
            }
        }
    }
}
