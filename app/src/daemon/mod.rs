//! One running instance: built from a configuration, reloaded, drained.
//!
//! The threads: one for each edge core; one for the store; one worker that does
//! what takes milliseconds; and the caller's own, which answers the control
//! socket, `/metrics` and signals ([`run`]).
//!
//! **On failure:** a listener that cannot be bound stops the start; a reload that
//! fails leaves everything as it was; a store that cannot write is told by `status`.

mod build;
mod files;
mod relabel;
mod run;
mod voice;
mod worker;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use arc_swap::ArcSwap;
use config::Config;
use gate::Gate;
use tokio::sync::Notify;
use vocab::Timestamp;

use crate::bookkeeper::Bookkeeper;
use crate::labels::{Absent, Labels};
use crate::term::counted;
use crate::watch::Watch;
use crate::{Error, now, rulebook, surroundings, translate};
use build::Built;
use relabel::{with_labels, without_labels};
pub use run::{help, run};
use worker::Worker;

/// With whose hands an instance starts.
#[derive(Debug)]
pub struct Start {
    /// Who opens listeners and files.
    pub access: host::Access,
    /// What privileges were given up, where that was the question.
    pub confinement: Option<host::Confinement>,
    /// What was heard of containers' labels so far.
    pub labels: Labels,
}

impl Start {
    /// Inside another program of the same user, such as the demo: nothing is given up.
    #[must_use]
    pub fn embedded() -> Self {
        let why = "Started inside another command: no privilege was held or given up.".to_owned();
        Self {
            access: host::Access::Own { why },
            confinement: None,
            labels: Labels::default(),
        }
    }
}

/// A running instance; dropped, it drains briefly and stops.
#[derive(Debug)]
pub struct Daemon {
    edge: Arc<RwLock<edge::EdgeHandle>>,
    gate: Arc<Gate>,
    bookkeeper: Arc<Bookkeeper>,
    watch: Arc<Watch>,
    start: Start,
    /// In force: the file's, and the sites of labels after the file's own.
    config: ArcSwap<Config>,
    /// As the file has it.
    file: ArcSwap<Config>,
    /// The edge's snapshot of the file alone, its upstreams resolved.
    base: Mutex<edge::Snapshot>,
    reloaded: Notify,
    /// What was in force at the start: some of it stays so until a restart.
    began_with: Config,
    /// One reload at a time.
    reloading: Mutex<()>,
    pause: Mutex<Option<Pause>>,
    started: Timestamp,
    addresses: Vec<SocketAddr>,
    worker: Worker,
}

/// A pause that is on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pause {
    /// When it ends by itself; `None` when only `resume` ends it.
    pub until: Option<Timestamp>,
}

impl Daemon {
    /// Starts everything that is configured.
    ///
    /// # Errors
    /// Whole sentences: a listener, a rule, a certificate or the state directory.
    pub fn start(file: Config, start: Start) -> Result<Self, Error> {
        let config = with_labels(&file, start.labels.sites(&file, now()));
        let Built {
            edge,
            gate,
            bookkeeper,
            watch,
            addresses,
            snapshot,
        } = build::build(&config, &start)?;
        let (asked, fits) = (
            config.edge.limits.connections,
            surroundings::connections(config.edge.limits.connections),
        );
        if fits < asked {
            tracing::warn!(
                asked,
                fits,
                "the limit on open files leaves room for fewer connections"
            );
        }
        let worker = Worker::start(Arc::clone(&bookkeeper), Arc::clone(&watch))?;
        host::release_memory();
        Ok(Self {
            edge,
            gate,
            bookkeeper,
            watch,
            start,
            began_with: file.clone(),
            base: Mutex::new(without_labels(snapshot, &file)),
            reloaded: Notify::new(),
            file: ArcSwap::from_pointee(file),
            config: ArcSwap::from_pointee(config),
            reloading: Mutex::new(()),
            pause: Mutex::new(None),
            started: now(),
            addresses,
            worker,
        })
    }

    /// Where the edge listens, ports resolved.
    #[must_use]
    pub fn listening(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The book's keeper.
    #[must_use]
    pub fn bookkeeper(&self) -> &Bookkeeper {
        &self.bookkeeper
    }

    /// Detection on live traffic.
    #[must_use]
    pub fn watch(&self) -> &Watch {
        &self.watch
    }

    /// The configuration in force.
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        self.config.load_full()
    }

    /// The edge's counters.
    #[must_use]
    pub fn stats(&self) -> edge::Stats {
        self.edge().stats()
    }

    /// Through whom requests came lately.
    #[must_use]
    pub fn arrivals(&self) -> edge::Arrivals {
        self.edge().arrivals()
    }

    /// With whose hands it started.
    #[must_use]
    pub fn hands(&self) -> &Start {
        &self.start
    }

    /// When it started.
    #[must_use]
    pub fn started(&self) -> Timestamp {
        self.started
    }

    /// Puts another configuration in force: all of it, or nothing.
    ///
    /// # Errors
    /// Whole sentences; the old configuration is then still in force.
    pub fn reload(&self, file: Config) -> Result<String, Error> {
        let _one = self
            .reloading
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // What labels come to is worked out and not yet taken: a reload that is refused
        // frees no host.
        let plan = self.labels().plan(&file, now(), Absent::Freed);
        let config = with_labels(&file, plan.sites());
        let before = self.config();
        if before.edge.listeners != config.edge.listeners {
            return Err(Error::Operator(
                "The listeners changed, which needs a restart: ringwall down, then ringwall up."
                    .to_owned(),
            ));
        }
        // Everything that can fail comes first.
        let rules = rulebook::of(&config)?;
        let snapshot = self.snapshot(&config)?;
        snapshot.check().map_err(|error| build::sentence(&error))?;
        let certificates = build::certificates(&config, &self.start.access)?;
        let ground = build::ground(&config, &snapshot)?;
        self.edge()
            .reload_certificates(&certificates)
            .map_err(|error| build::sentence(&error))?;
        let base = without_labels(snapshot.clone(), &file);
        self.edge()
            .reload(snapshot)
            .map_err(|error| build::sentence(&error))?;
        *self.base.lock().unwrap_or_else(PoisonError::into_inner) = base;
        self.labels().adopt(plan);
        self.gate.replace(ground.gate);
        self.bookkeeper.configure(
            ground.profiles,
            ground.spared,
            &config.book.allow,
            config.book.bans_per_minute,
            translate::prefix(&config),
        );
        let (scenarios, broken) = (rules.scenarios(), rules.faults.len());
        self.watch
            .replace(&rules, &build::site_policies(&config, &self.bookkeeper));
        let later = needs_restart(&self.began_with, &file);
        self.config.store(Arc::new(config));
        self.file.store(Arc::new(file));
        self.reloaded.notify_one();
        self.worker.resolve_soon();
        host::release_memory();
        tracing::info!(scenarios, broken, ?later, "configuration reloaded");
        let mut said = format!(
            "The new configuration is in force: {}, {}.",
            counted(scenarios, "scenario"),
            counted(broken, "broken rule")
        );
        if !later.is_empty() {
            said += &format!(" Only after a restart: {}.", later.join(", "));
        }
        Ok(said)
    }

    /// What is known of containers' labels.
    #[must_use]
    pub fn labels(&self) -> &Labels {
        &self.start.labels
    }

    /// Waits for the next reload.
    pub async fn reloaded(&self) {
        self.reloaded.notified().await;
    }

    fn snapshot(&self, config: &Config) -> Result<edge::Snapshot, Error> {
        translate::edge(config, |site| {
            build::volume_from(config, &self.bookkeeper, site)
        })
    }

    /// Opens the access log again, after it was renamed.
    pub fn reopen_log(&self) {
        self.edge().reopen_log();
    }

    /// Whether every edge core and the worker still run.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.edge().is_alive() && self.worker.is_alive()
    }

    fn edge(&self) -> RwLockReadGuard<'_, edge::EdgeHandle> {
        self.edge.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enforces nothing until `resume`, or until the time is up.
    pub fn pause(&self, lasts: Option<Duration>) -> Pause {
        let pause = Pause {
            until: lasts.map(|span| now().after(span)),
        };
        self.gate.pause(pause.until.unwrap_or(Timestamp::MAX));
        *self.pause.lock().unwrap_or_else(PoisonError::into_inner) = Some(pause);
        pause
    }

    /// What upstreams taught about who is logged in.
    #[must_use]
    pub fn sessions(&self) -> gate::SessionCounters {
        self.gate.sessions().counters()
    }

    /// Enforces again.
    pub fn resume(&self) {
        self.gate.resume();
        *self.pause.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The pause that is on now.
    #[must_use]
    pub fn paused(&self) -> Option<Pause> {
        let pause = *self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        pause.filter(|pause| pause.until.is_none_or(|until| until > now()))
    }

    /// Reads changed certificate files again; the old ones stay when the new are wrong.
    pub fn refresh_certificates(&self) {
        let outcome = build::certificates(&self.config(), &self.start.access).and_then(|found| {
            self.edge()
                .reload_certificates(&found)
                .map_err(|error| build::sentence(&error))
        });
        if let Err(error) = outcome {
            tracing::warn!(%error, "certificates not read again, the old ones stay");
        }
    }

    /// Stops accepting, lets what is under way finish, then ends it.
    pub fn drain(&self, patience: Duration) -> edge::Drained {
        let report = self
            .edge
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .drain(patience);
        if let Err(error) = self.bookkeeper.store().flush(Duration::from_secs(5)) {
            tracing::warn!(%error, "not everything reached the disk");
        }
        report
    }
}

/// The tables that changed since the start and that a running instance cannot take up.
fn needs_restart(began: &Config, after: &Config) -> Vec<&'static str> {
    let tables = [
        ("state", began.state != after.state),
        ("control", began.control != after.control),
        ("metrics", began.metrics != after.metrics),
        ("process", began.process != after.process),
        ("log", began.log != after.log),
        (
            "edge.access_log",
            began.edge.access_log != after.edge.access_log,
        ),
    ];
    let changed = tables.into_iter().filter(|(_, changed)| *changed);
    changed.map(|(name, _)| name).collect()
}
