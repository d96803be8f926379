//! Putting an instance together, in the order in which its parts need each other.

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use book::{AdmitPolicy, Budgets};
use config::Config;
use config::snapshot::{LogFormat, LogTarget, Mode, SiteSource};
use gate::Gate;
use host::{FileRule, ListenerRule};
use store::Store;
use vocab::Timestamp;

use super::Start;
use crate::bookkeeper::{Bookkeeper, Spared};
use crate::inquiry::HostNames;
use crate::watch::{SiteVolume, Watch};
use crate::{Error, now, rulebook, surroundings, translate};

/// The largest certificate or key file.
const PEM_BYTES: u64 = 1 << 20;
/// Our list of attack tools' names in `User-Agent`.
const TOOLS: &str = "attack-tools.txt";

pub(super) struct Built {
    pub(super) edge: Arc<RwLock<edge::EdgeHandle>>,
    pub(super) gate: Arc<Gate>,
    pub(super) bookkeeper: Arc<Bookkeeper>,
    pub(super) watch: Arc<Watch>,
    pub(super) addresses: Vec<SocketAddr>,
    /// As it went to the edge.
    pub(super) snapshot: edge::Snapshot,
}

pub(super) fn build(config: &Config, start: &Start) -> Result<Built, Error> {
    let rules = rulebook::of(config)?;
    for fault in &rules.faults {
        tracing::warn!(%fault, "rule left out");
    }
    let options = store::Options {
        // Writing comes after deciding, and must not come in between on a core they share.
        begin: host::step_back,
        ..store::Options::default()
    };
    let (store, recovered) = Store::open_with(&config.state.directory, options)
        .map_err(|error| Error::Operator(error.to_string()))?;
    let bookkeeper = Arc::new(Bookkeeper::new(
        store,
        &recovered,
        translate::profiles(config, true),
        AdmitPolicy {
            budgets: Budgets::default(),
            ..AdmitPolicy::default()
        },
    ));
    let snapshot = translate::edge(config, |site| volume_from(config, &bookkeeper, site))?;
    let ground = ground(config, &snapshot)?;
    bookkeeper.configure(
        ground.profiles,
        ground.spared,
        &config.book.allow,
        config.book.bans_per_minute,
        translate::prefix(config),
    );
    let gate = Arc::new(Gate::new(bookkeeper.published(), ground.gate));
    let cores = cores();
    let policies = site_policies(config, &bookkeeper);
    let watch = Arc::new(Watch::new(
        &rules,
        cores,
        Arc::clone(&bookkeeper),
        &policies,
    ));
    watch.answer_questions(Arc::new(HostNames));
    let (listeners, addresses) = listeners(config, start, cores)?;
    let deps = edge::Deps {
        gate: Arc::clone(&gate),
        observer: Arc::clone(&watch) as Arc<dyn edge::Observer>,
        access_log: access_log(config),
        certificates: certificates(config, &start.access)?,
        cores,
    };
    let edge =
        edge::Edge::start(snapshot.clone(), listeners, deps).map_err(|error| sentence(&error))?;
    let edge = Arc::new(RwLock::new(edge));
    // Weak, since the edge's observer leads back here; tried, since a drain that
    // holds the handle closes every connection anyway.
    let handle = Arc::downgrade(&edge);
    bookkeeper.close_with(Box::new(move |range| {
        if let Some(edge) = handle.upgrade()
            && let Ok(edge) = edge.try_read()
        {
            edge.bar(range);
        }
    }));
    Ok(Built {
        edge,
        gate,
        bookkeeper,
        watch,
        addresses,
        snapshot,
    })
}

/// One runtime for each core that we may run on.
pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// From when a site's volume rules are enforced where its mode is left out.
pub(super) fn volume_from(config: &Config, bookkeeper: &Bookkeeper, site: &str) -> Timestamp {
    bookkeeper
        .store()
        .first_seen(site, now())
        .after(config.detection.learn)
}

/// What detection must know of each site: from when its volume rules bar.
pub(super) fn site_policies(config: &Config, bookkeeper: &Bookkeeper) -> Vec<(String, SiteVolume)> {
    let sites = config.edge.sites.iter().map(|site| {
        let name = site.name();
        let volume = match site.mode {
            Mode::Enforce => SiteVolume::EnforcedFrom(Timestamp::EPOCH),
            Mode::Observe => SiteVolume::ObservedOnly,
            Mode::Gradual => SiteVolume::EnforcedFrom(volume_from(config, bookkeeper, &name)),
        };
        (name, volume)
    });
    sites.collect()
}

/// What a configuration and its resolved sites say to the book and the gate.
pub(super) struct Ground {
    pub(super) spared: Spared,
    pub(super) profiles: respond::Profiles,
    pub(super) gate: gate::Settings,
}

/// The ground of `config`, whose sites `snapshot` has in the same order.
pub(super) fn ground(config: &Config, snapshot: &edge::Snapshot) -> Result<Ground, Error> {
    let spared = Spared::new(
        &config.book.never_ban,
        translate::upstream_addresses(config, snapshot),
        &config.edge.trusted_proxies,
    );
    let local = spared.local_alert_only();
    let mut profiles = translate::profiles(config, local);
    if let Some(file) = &config.book.crowdsec_profiles {
        profiles.expressed = crate::profiles_file::read(file)?;
    }
    Ok(Ground {
        profiles,
        gate: translate::gate(config, tools()?, local),
        spared,
    })
}

/// The attack tools that the gate knows by name.
fn tools() -> Result<Arc<gate::Tools>, Error> {
    let list = rulebook::built_in_list(TOOLS).unwrap_or_default();
    gate::Tools::parse(list).map(Arc::new).map_err(|error| {
        Error::Operator(format!(
            "The built-in list of attack tools is broken: {error}."
        ))
    })
}

fn listeners(
    config: &Config,
    start: &Start,
    cores: usize,
) -> Result<(Vec<edge::Listener>, Vec<SocketAddr>), Error> {
    let (mut all, mut addresses) = (Vec::new(), Vec::new());
    for listener in &config.edge.listeners {
        let address = listener.address;
        alone(address)?;
        let mut sockets = Vec::new();
        let mut wanted = address;
        for share in 0..u16::try_from(cores).unwrap_or(1) {
            let rule = ListenerRule::new(wanted, u16::try_from(cores).unwrap_or(1));
            let socket = start
                .access
                .bind(&rule, share)
                .map_err(|error| cannot_bind(address, &error))?;
            // With port 0 the kernel chose for the first; the others share it.
            wanted = socket.local_addr().unwrap_or(wanted);
            sockets.push(socket);
        }
        addresses.push(wanted);
        all.push(edge::Listener {
            sockets,
            tls: listener.tls,
            proxy_protocol: listener.proxy_protocol,
        });
    }
    Ok((all, addresses))
}

/// Listeners share their port among cores, and with it among processes of one user:
/// a second instance would silently take half of the connections, past the first
/// one's book. Whoever answers already is therefore left alone.
fn alone(address: SocketAddr) -> Result<(), Error> {
    /// Who listens on this host answers at once.
    const PATIENCE: Duration = Duration::from_millis(500);
    let Some(near) = callable(address, &surroundings::own_addresses()) else {
        return Ok(());
    };
    // A socket that met itself, which the kernel allows, is nobody else.
    let met = TcpStream::connect_timeout(&near, PATIENCE)
        .is_ok_and(|met| met.local_addr().ok() != met.peer_addr().ok());
    if !met {
        return Ok(());
    }
    Err(Error::Operator(format!(
        "Cannot listen on {address}: somebody listens there already. Run 'ss -ltnp' to see who, stop \
         another instance with 'ringwall down', or change edge.listen."
    )))
}

/// Where a listener on `address` would answer: on loopback or on one of our `own`
/// addresses. Nobody else is ever called; an address that is not this host's cannot be
/// bound, which the kernel says.
fn callable(address: SocketAddr, own: &[IpAddr]) -> Option<SocketAddr> {
    let ip = match address.ip() {
        IpAddr::V4(any) if any.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(any) if any.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        named => named,
    };
    let ours = ip.is_loopback() || own.contains(&ip);
    (ours && address.port() != 0).then(|| SocketAddr::new(ip, address.port()))
}

fn cannot_bind(address: SocketAddr, error: &host::HostError) -> Error {
    Error::Operator(format!("Cannot listen on {address}. {error}"))
}

/// Reads every configured certificate, and makes one for loopback names where TLS
/// is spoken and none is configured.
pub(super) fn certificates(
    config: &Config,
    access: &host::Access,
) -> Result<Vec<edge::Certificate>, Error> {
    let mut found = Vec::new();
    for site in &config.edge.sites {
        if let Some(files) = &site.certificate {
            found.push(edge::Certificate {
                name: files.chain.display().to_string(),
                hosts: translate::hosts(&site.hosts),
                chain_pem: read(access, &files.chain)?,
                key_pem: read(access, &files.key)?,
            });
        }
    }
    if found.is_empty() && config.edge.listeners.iter().any(|listener| listener.tls) {
        let hosts: Vec<_> = config
            .edge
            .sites
            .iter()
            // Labels that come later must not make a start or a reload fail.
            .filter(|site| site.source == SiteSource::File)
            .flat_map(|site| translate::hosts(&site.hosts))
            .collect();
        found.push(edge::self_signed(&hosts).map_err(|error| {
            Error::Operator(format!(
                "A listener speaks TLS and no site has a certificate ({error}). Set certificate and key \
                 on the site; only loopback names get a self-signed one."
            ))
        })?);
    }
    Ok(found)
}

fn read(access: &host::Access, path: &Path) -> Result<Vec<u8>, Error> {
    let file = access
        .open(&FileRule::new(path))
        .map_err(|error| Error::Operator(error.to_string()))?;
    let mut bytes = Vec::new();
    file.take(PEM_BYTES)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::Operator(format!("Cannot read {}: {error}.", path.display())))?;
    Ok(bytes)
}

fn access_log(config: &Config) -> Option<edge::AccessLog> {
    let log = config.edge.access_log.clone()?;
    let format = match log.format {
        LogFormat::Json => edge::LogFormat::Json,
        LogFormat::Combined => edge::LogFormat::Combined,
    };
    let open = move || match &log.target {
        // Duplicated, not opened by name: whoever gave root up may not open it again.
        LogTarget::Stdout => std::io::stdout()
            .as_fd()
            .try_clone_to_owned()
            .map(std::fs::File::from),
        LogTarget::File(path) => std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path),
    };
    Some(edge::AccessLog {
        format,
        open: Box::new(open),
    })
}

/// The edge's error as sentences.
pub(super) fn sentence(error: &edge::EdgeError) -> Error {
    let cause =
        std::error::Error::source(error).map_or_else(String::new, |source| format!(": {source}"));
    Error::Operator(format!("Cannot {error}{cause}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_but_this_host_is_called_before_listening() {
        let own: [IpAddr; 2] = ["192.0.2.7".parse().unwrap(), "2001:db8::7".parse().unwrap()];
        for (address, called) in [
            ("0.0.0.0:80", Some("127.0.0.1:80")),
            ("[::]:80", Some("[::1]:80")),
            ("127.0.0.9:80", Some("127.0.0.9:80")),
            ("192.0.2.7:80", Some("192.0.2.7:80")),
            ("[2001:db8::7]:80", Some("[2001:db8::7]:80")),
            // DENY: strangers, and a port that the kernel will choose
            ("198.51.100.77:80", None),
            ("[2001:db8::8]:80", None),
            ("127.0.0.1:0", None),
        ] {
            let called = called.map(|text| text.parse().unwrap());
            assert_eq!(
                callable(address.parse().unwrap(), &own),
                called,
                "{address}"
            );
        }
    }
}
