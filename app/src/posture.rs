//! What holds, and how we know: the answer to `ringwall status`.

use config::snapshot::SiteSource;
use store::Condition;
use vocab::{Basis, Ring, State};

use crate::control::protocol::{
    ControlView, PauseView, RingView, SiteView, StatusView, ThroughView, TrafficView,
};
use crate::daemon::Daemon;
use crate::visibility::{self, Place};
use crate::{now, surroundings};

/// The posture of every ring, built or not.
#[must_use]
pub fn status(daemon: &Daemon) -> StatusView {
    let rings = Ring::ALL
        .into_iter()
        .map(|ring| {
            let controls = match ring {
                Ring::Edge => edge(daemon),
                Ring::Detection => detection(daemon),
                Ring::Network => vec![not_built(
                    "network.segments",
                    "Isolated services and databases",
                )],
                Ring::Container => vec![not_built(
                    "container.privilege",
                    "Least privilege for containers",
                )],
                Ring::Dns => vec![not_built("dns.filter", "Central DNS filtering")],
                Ring::Backup => vec![not_built("backup.daily", "Daily encrypted backups")],
            };
            RingView {
                ring,
                state: worst(&controls),
                controls,
            }
        })
        .collect();
    let stats = daemon.stats();
    let seen = daemon.arrivals();
    let hidden = visibility::hidden(&seen, &Place::now(&daemon.config()));
    let refused = [
        stats.refused_codec,
        stats.refused_book,
        stats.refused_limit,
        stats.refused_rule,
        stats.refused_route,
    ];
    StatusView {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        started: daemon.started(),
        now: now(),
        paused: daemon
            .paused()
            .map(|pause| PauseView { until: pause.until }),
        rings,
        sites: sites(daemon),
        labels: daemon
            .config()
            .docker
            .labels
            .then(|| daemon.labels().view()),
        traffic: TrafficView {
            open: stats.open,
            connections: stats.accepted,
            requests: stats.requests,
            refused: refused.iter().sum(),
            upstream_failures: stats.upstream_errors,
            log_dropped: stats.log_dropped,
            hidden_percent: hidden.map(|hidden| hidden.percent),
            through: through(&seen),
        },
        book: daemon.bookkeeper().numbers(),
        notes: notes(daemon),
    }
}

/// The heaviest few; one visitor's address in a status is enough to know.
fn through(seen: &edge::Arrivals) -> Vec<ThroughView> {
    const SHOWN: usize = 5;
    let peers = seen.peers.iter().take(SHOWN);
    peers
        .map(|peer| ThroughView {
            address: peer.address,
            requests: peer.requests,
        })
        .collect()
}

/// Whether bans can tell visitors apart.
fn visitors(daemon: &Daemon) -> ControlView {
    const ID: &str = "edge.addresses";
    const TITLE: &str = "Sees visitors' own addresses";
    let seen = daemon.arrivals();
    match visibility::hidden(&seen, &Place::now(&daemon.config())) {
        Some(hidden) => seen_as(ID, TITLE, State::NotProtected(hidden.sentence)),
        None if seen.requests < visibility::FEWEST => ControlView {
            basis: Basis::Declared,
            evidence: format!(
                "Judged from {} requests in an hour on; there were {}.",
                visibility::FEWEST,
                seen.requests
            ),
            ..seen_as(ID, TITLE, State::Holds)
        },
        None => seen_as(ID, TITLE, State::Holds),
    }
}

fn seen_as(id: &str, title: &str, state: State) -> ControlView {
    seen(id, title, state, String::new())
}

fn edge(daemon: &Daemon) -> Vec<ControlView> {
    let config = daemon.config();
    let addresses: Vec<String> = daemon.listening().iter().map(ToString::to_string).collect();
    let observing: Vec<_> = config
        .edge
        .sites
        .iter()
        .filter(|site| site.mode == config::snapshot::Mode::Observe)
        .map(config::snapshot::Site::name)
        .collect();
    let enforcing = match (daemon.paused(), observing.is_empty()) {
        (Some(_), _) => State::Observing("Paused: no ban, limit or rule holds.".to_owned()),
        (None, true) => State::Holds,
        (None, false) => State::Observing(format!(
            "These sites only observe: {}.",
            observing.join(", ")
        )),
    };
    let serving = if daemon.is_alive() {
        State::Holds
    } else {
        State::Broken("An edge core or the worker ended; the log says why.".to_owned())
    };
    let limits = &config.edge.limits;
    let mut controls = vec![
        seen(
            "edge.listen",
            "Stands in front of the sites",
            serving,
            format!("Listens on {}.", addresses.join(", ")),
        ),
        seen(
            "edge.framing",
            "Refuses requests that two readers read differently",
            State::Holds,
            format!("{} refused since the start.", daemon.stats().refused_codec),
        ),
        seen(
            "edge.book",
            "Refuses whom the book bars",
            enforcing.clone(),
            format!(
                "{} requests refused since the start.",
                daemon.stats().refused_book
            ),
        ),
        seen(
            "edge.limits",
            "Bounds connections and requests",
            enforcing,
            format!(
                "{} connections in total, {} an address; {} refused since the start.{}",
                surroundings::connections(limits.connections),
                limits.connections_per_address,
                daemon.stats().refused_limit,
                fewer(limits.connections)
            ),
        ),
        visitors(daemon),
        sessions(daemon),
        confinement(daemon),
        helper(daemon),
    ];
    controls.extend(labels(daemon));
    controls
}

/// Sites from labels; `None` where the configuration does not ask for them.
fn labels(daemon: &Daemon) -> Option<ControlView> {
    let config = daemon.config();
    if !config.docker.labels {
        return None;
    }
    let view = daemon.labels().view();
    let since = view.since.map_or_else(
        || "the start".to_owned(),
        |time| time.to_the_second().to_string(),
    );
    let state = if let Some(why) = &view.why {
        State::Broken(format!(
            "Since {since} Docker is not heard: {why}. The sites stay as they were, with the addresses \
             heard last; where Docker itself goes on and gives one to another container, that one gets \
             the requests. Mend this, or run 'ringwall down'."
        ))
    } else if !view.connected {
        State::Unknown("Docker has not answered yet.".to_owned())
    } else if let Some(first) = view.faults.first() {
        State::Broken(format!(
            "{} labels are wrong, the first: {first}",
            view.wrong
        ))
    } else {
        State::Holds
    };
    let hands = if daemon.hands().access.is_helped() {
        "the privileged helper, which alone holds the socket"
    } else {
        "this process itself, which holds the socket (as good as root): without root there is no helper"
    };
    let mut left_out = match view.left_out {
        0 => String::new(),
        more => format!(" {more} more containers have labels and were left out."),
    };
    if view.oversized > 0 {
        left_out += &format!(
            " {} containers were not read: their descriptions are longer than 1 MiB.",
            view.oversized
        );
    }
    let evidence = format!(
        "{} containers declare {} sites; {} is asked by {hands}.{left_out}",
        view.containers,
        view.sites,
        config.docker.socket.display()
    );
    let title = "Sites follow containers' labels";
    Some(seen("edge.labels", title, state, evidence))
}

fn sessions(daemon: &Daemon) -> ControlView {
    let known = daemon.sessions();
    seen(
        "edge.sessions",
        "Spares whoever is logged in the rules that judge by numbers",
        State::Holds,
        format!(
            "{} credentials accepted on {} protected pages; {} void, {} shared, {} answers over budget.",
            known.accepted, known.protected, known.voided, known.shared, known.over_budget
        ),
    )
}

/// Says so when the limit on open files leaves less than was asked for.
fn fewer(asked: usize) -> String {
    let fits = surroundings::connections(asked);
    if fits >= asked {
        return String::new();
    }
    format!(
        " edge.limits.connections asks for {asked}, and the limit on open files leaves room for {fits}: \
         raise it to {} (LimitNOFILE= in the systemd unit, ulimits: nofile in Compose).",
        surroundings::files_for(asked)
    )
}

fn confinement(daemon: &Daemon) -> ControlView {
    const ID: &str = "edge.confined";
    const TITLE: &str = "The process that faces the internet holds nothing";
    match &daemon.hands().confinement {
        None => seen(
            ID,
            TITLE,
            State::Unknown(
                "Nothing was given up: the instance runs inside another command.".to_owned(),
            ),
            String::new(),
        ),
        Some(level) if level.is_whole() => {
            proven(ID, TITLE, State::Holds, level.lines().join("; "))
        }
        Some(level) => proven(
            ID,
            TITLE,
            State::Broken(level.lines().join("; ")),
            String::new(),
        ),
    }
}

fn helper(daemon: &Daemon) -> ControlView {
    let (well, sentence) = daemon.hands().access.state();
    let state = if well {
        State::Holds
    } else {
        State::Broken(sentence.clone())
    };
    seen(
        "edge.helper",
        "Privilege lives in one small process",
        state,
        sentence,
    )
}

fn detection(daemon: &Daemon) -> Vec<ControlView> {
    let (events, failed) = daemon.watch().looked_at();
    let counts = daemon.watch().counts();
    let faults = daemon.watch().faults();
    let state = match (daemon.config().detection.enabled, faults.first()) {
        (false, _) => State::NotProtected("detection.enabled is false.".to_owned()),
        (true, None) => State::Holds,
        (true, Some(first)) => State::Broken(format!(
            "{} rules were left out, the first: {}",
            faults.len(),
            sentence(first)
        )),
    };
    let evidence = format!(
        "{} scenarios; {events} requests looked at, {} buckets, {} alerts, {failed} expressions failed, \
         {} buckets evicted.",
        daemon.watch().scenarios(),
        counts.buckets,
        counts.alerts,
        counts.evicted
    );
    let store = daemon.bookkeeper().store().health();
    let saved = match &store.condition {
        Condition::Healthy => State::Holds,
        Condition::Degraded { since, why } => State::Broken(format!(
            "Since {since}: {why} Deciding goes on from memory."
        )),
    };
    let dropped = store.dropped;
    vec![
        seen(
            "detection.http",
            "Sees attacks in the traffic",
            state,
            evidence,
        ),
        seen(
            "detection.book",
            "Decisions survive a restart",
            saved,
            format!(
                "{} entries written, {} wait; {} entries and {} alerts dropped.",
                store.written, store.queued, dropped.entries, dropped.alerts
            ),
        ),
    ]
}

fn sites(daemon: &Daemon) -> Vec<SiteView> {
    let config = daemon.config();
    let time = now();
    let one = |site: &config::snapshot::Site| {
        let name = site.name();
        let gradual = site.mode == config::snapshot::Mode::Gradual;
        let from = daemon
            .bookkeeper()
            .store()
            .first_seen(&name, time)
            .after(config.detection.learn);
        SiteView {
            upstreams: site.upstreams.iter().map(ToString::to_string).collect(),
            mode: site.mode.to_string(),
            volume_from: gradual.then_some(from),
            containers: match &site.source {
                SiteSource::File => None,
                SiteSource::Labels { containers } => Some(containers.clone()),
            },
            name,
        }
    };
    config.edge.sites.iter().map(one).collect()
}

fn notes(daemon: &Daemon) -> Vec<String> {
    let faults = daemon.watch().faults();
    let mut notes: Vec<String> = faults
        .iter()
        .take(10)
        .map(|fault| format!("Rule left out: {}", sentence(fault)))
        .collect();
    notes.extend(wrong_labels(daemon));
    let stats = daemon.stats();
    if stats.log_dropped > 0 {
        notes.push(format!(
            "{} access log lines were lost: the disk is too slow for them.",
            stats.log_dropped
        ));
    }
    notes.extend(balancers(&stats.refusals));
    if stats.panics > 0 {
        notes.push(format!(
            "{} connections ended in a defect of Ringwall; please report its log.",
            stats.panics
        ));
    }
    notes
}

/// The first labels that are wrong.
fn wrong_labels(daemon: &Daemon) -> Vec<String> {
    if !daemon.config().docker.labels {
        return Vec::new();
    }
    let faults = daemon.labels().view().faults.into_iter().take(10);
    faults
        .map(|fault| format!("Label wrong: {fault}"))
        .collect()
}

/// Balancers and listeners that expect different things of each other.
fn balancers(refusals: &[(String, u64)]) -> Vec<String> {
    let told = [
        (
            "proxy.absent",
            "connections of trusted proxies came without the PROXY protocol to a listener that asks for it: \
             switch it on there (send-proxy in HAProxy, proxy_protocol in nginx), or off here.",
        ),
        (
            "proxy.untrusted",
            "connections to a listener with proxy_protocol came from addresses that edge.trusted_proxies \
             does not name, and were closed. If one is your balancer, name it there.",
        ),
        (
            "proxy.unexpected",
            "connections began with the PROXY protocol on a listener that does not ask for it. If your \
             balancer sends it, set proxy_protocol = true on that listener and name the balancer in \
             edge.trusted_proxies.",
        ),
    ];
    let count = |rule: &str| {
        let found = refusals.iter().find(|(name, _)| name == rule);
        found.map(|(_, count)| *count)
    };
    told.into_iter()
        .filter_map(|(rule, words)| Some(format!("{} {words}", count(rule)?)))
        .collect()
}

/// A fault as a sentence with one full stop.
fn sentence(fault: &detect::rules::Fault) -> String {
    format!("{}.", fault.to_string().trim_end_matches('.'))
}

fn seen(id: &str, title: &str, state: State, evidence: String) -> ControlView {
    ControlView {
        id: id.to_owned(),
        title: title.to_owned(),
        state,
        basis: Basis::Observed,
        evidence,
    }
}

/// For what was attempted and failed, such as becoming root again.
fn proven(id: &str, title: &str, state: State, evidence: String) -> ControlView {
    ControlView {
        basis: Basis::Proven,
        ..seen(id, title, state, evidence)
    }
}

fn not_built(id: &str, title: &str) -> ControlView {
    let why = "Not built yet: Ringwall does nothing about this.".to_owned();
    ControlView {
        basis: Basis::Declared,
        ..seen(id, title, State::NotProtected(why), String::new())
    }
}

/// The state that the operator should hear first.
fn worst(controls: &[ControlView]) -> State {
    let rank = |state: &State| match state {
        State::Holds => 0,
        State::Unknown(_) => 1,
        State::Observing(_) => 2,
        State::NotProtected(_) => 3,
        State::Broken(_) => 4,
    };
    let worst = controls.iter().max_by_key(|control| rank(&control.state));
    worst.map_or(State::Holds, |control| control.state.clone())
}
