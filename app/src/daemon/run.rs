//! `ringwall up`: from the command line to a confined process that serves until told to stop.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use config::snapshot::LogTarget;
use config::{Arguments, Config};
use host::{Confinement, FileRule, ListenerRule, Policy, Reach, TcpBind};
use supervise::Crew;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use super::files::{self, Changed, Files};
use super::voice::{LastWords, Voice};
use super::{Daemon, Start};
use crate::configuration::Beginning;
use crate::control::server::Socket;
use crate::labels::Labels;
use crate::labels::follow::{self, Ear};
use crate::oracle::Desk;
use crate::{Error, configuration, metrics};

/// How often files on disk are looked at for changes.
const LOOK: Duration = Duration::from_secs(2);

/// Threads beside the edge's: control, worker, store, both logs, and some of the pool that may
/// wait for the disk.
const THREADS: usize = 9;

/// The task without which the instance cannot be steered.
const CONTROL: &str = "control socket";
/// How long callers of the control socket may take when the end has come.
const FAREWELL: Duration = Duration::from_secs(2);

/// Runs an instance until it is told to stop.
///
/// # Errors
/// Whole sentences; faults of the configuration all at once.
pub fn run(arguments: &Arguments) -> Result<(), Error> {
    let beginning = Beginning::now(arguments);
    let arguments = &beginning.arguments;
    // Before any thread exists: the helper is this program again, as root.
    let started = host::start(&host::Launch {
        arguments: words("host", arguments),
    })
    .map_err(|error| Error::Operator(error.to_string()))?;
    let (config, _) = configuration::load(arguments)?;
    // One for each thread: what compiles rules leaves its heap empty but for them, and would
    // leave one full of holes where the edge and the book keep what lives on.
    host::bound_heaps(super::build::cores() + THREADS);
    let start = confine(&config, arguments, started)?;
    // After that, since it starts a thread; dropped last, with the last lines.
    let _last_words = log_to_stderr(&config)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // Many may wait for the disk at once; their stacks need not stay for long.
        .thread_keep_alive(Duration::from_secs(1))
        .build()
        .map_err(|error| Error::Operator(format!("Cannot start the control runtime: {error}.")))?;
    let control = {
        let _inside = runtime.enter();
        Socket::bind(&config.control.socket).map_err(|error| {
            Error::Operator(format!(
                "Cannot open the control socket {}: {error}. Stop the other instance with 'ringwall down', \
                 or set control.socket.",
                config.control.socket.display()
            ))
        })?
    };
    let patience = config.edge.timeouts.drain;
    let ear = match follow::rule(&config) {
        Some(rule) => runtime.block_on(Ear::first(&start.access, rule, &start.labels)),
        None => None,
    };
    let daemon = Arc::new(Daemon::start(config, start)?);
    announce(&daemon);
    let outcome = runtime.block_on(serve(&daemon, control, &beginning, ear));
    tracing::info!("draining");
    let drained = daemon.drain(patience);
    tracing::info!(aborted = drained.aborted, took = ?drained.took, "stopped");
    outcome
}

/// The privileged helper: serves its peer until that is gone.
///
/// # Errors
/// When it was not started by `up`.
pub fn help(arguments: &Arguments) -> Result<(), Error> {
    let load = || match configuration::load(arguments) {
        Ok((config, _)) => Ok(policy(&config, arguments)),
        Err(error) => Err(error.to_string()),
    };
    host::serve(load).map_err(|error| {
        Error::Operator(format!(
            "This is the privileged helper, which only 'ringwall up' starts ({error})."
        ))
    })
}

/// What the helper may do: the configured listeners and files, and the configuration
/// itself, nothing else.
fn policy(config: &Config, arguments: &Arguments) -> Policy {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let shares = u16::try_from(cores).unwrap_or(1);
    let listeners = config
        .edge
        .listeners
        .iter()
        .map(|listener| ListenerRule::new(listener.address, shares))
        .collect();
    let files = config
        .edge
        .sites
        .iter()
        .filter_map(|site| site.certificate.as_ref());
    let files = files
        .flat_map(|pair| [FileRule::new(&pair.chain), FileRule::new(&pair.key)])
        .chain(watched(arguments).map(FileRule::new))
        .collect();
    Policy {
        listeners,
        files,
        docker: follow::rule(config),
    }
    .bounded()
}

/// The words that start this program as something else with the same configuration.
fn words(verb: &str, arguments: &Arguments) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec![verb.into()];
    if let Some(file) = &arguments.config {
        words.extend(["--config".into(), file.into()]);
    }
    if let Some(url) = &arguments.protect {
        words.extend(["--protect".into(), url.into()]);
    }
    for address in &arguments.listen {
        words.extend(["--listen".into(), address.into()]);
    }
    words
}

fn confine(config: &Config, arguments: &Arguments, started: host::Start) -> Result<Start, Error> {
    let (access, account, note) = match started {
        host::Start::Privileged(access) => {
            let (account, note) = host::find_account(config.process.user.as_deref())
                .map_err(|error| Error::Operator(error.to_string()))?;
            (access, Some(account), note)
        }
        host::Start::Ordinary(access) => (access, None, None),
    };
    let write = writable(config);
    for folder in &write {
        std::fs::create_dir_all(folder).map_err(|error| {
            Error::Operator(format!(
                "Cannot make the directory {}: {error}. Set state.directory, or make it by hand.",
                folder.display()
            ))
        })?;
        if let Some(account) = &account {
            host::own_directory(folder, account).map_err(|error| {
                Error::Operator(format!("Cannot hand over a directory: {error}."))
            })?;
        }
    }
    if let Some(account) = &account {
        admit_group(config, account)?;
    }
    let reach = Reach {
        read: readable(config, arguments),
        write,
        bind: TcpBind::Any,
    };
    let plan = host::Plan {
        account,
        reach,
        exec: host::Exec::Deny,
    };
    let mut confinement: Confinement = host::confine(&plan).map_err(|error| {
        Error::Operator(format!(
            "Cannot give up privileges: {error}. Nothing was started."
        ))
    })?;
    confinement.notes.extend(note);
    Ok(Start {
        access,
        confinement: Some(confinement),
        labels: Labels::default(),
    })
}

/// The control socket's group must get as far as the socket, unless that lies among what is
/// nobody else's business.
fn admit_group(config: &Config, account: &host::Account) -> Result<(), Error> {
    let Some(folder) = parent(&config.control.socket) else {
        return Ok(());
    };
    let private = private(config).any(|other| other == folder);
    if private || !account.has_telling_group() {
        return Ok(());
    }
    host::let_group_through(&folder, account).map_err(|error| {
        Error::Operator(format!(
            "Cannot let the control socket's group through: {error}."
        ))
    })
}

fn readable(config: &Config, arguments: &Arguments) -> Vec<PathBuf> {
    let detection = &config.detection;
    let rules = [
        &detection.hub,
        &detection.rules,
        &detection.patterns,
        &detection.data,
    ];
    let files = config
        .edge
        .sites
        .iter()
        .filter_map(|site| site.certificate.as_ref());
    let mut paths: Vec<PathBuf> = rules.into_iter().flatten().cloned().collect();
    // Folders, so that files that are replaced by renaming stay in reach.
    paths.extend(
        files
            .flat_map(|pair| [&pair.chain, &pair.key])
            .filter_map(|path| parent(path)),
    );
    paths.extend(config.book.crowdsec_profiles.as_deref().and_then(parent));
    let simulation = config.detection.crowdsec_simulation.as_deref();
    paths.extend(simulation.and_then(parent));
    paths.extend(watched(arguments).as_deref().and_then(parent));
    paths
}

/// The folders of state and of the access log.
fn private(config: &Config) -> impl Iterator<Item = PathBuf> {
    let log = config
        .edge
        .access_log
        .as_ref()
        .and_then(|log| match &log.target {
            LogTarget::File(path) => parent(path),
            LogTarget::Stdout => None,
        });
    [config.state.directory.clone()].into_iter().chain(log)
}

fn writable(config: &Config) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = private(config).collect();
    folders.extend(parent(&config.control.socket));
    folders.sort();
    folders.dedup();
    folders
}

fn parent(path: &Path) -> Option<PathBuf> {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .map(Path::to_owned)
}

fn announce(daemon: &Daemon) {
    for address in daemon.listening() {
        tracing::info!(%address, "listening");
    }
    let (helped, state) = daemon.hands().access.state();
    tracing::info!(helped, %state, "privileges");
}

/// Answers the control socket, `/metrics` and signals until told to stop.
async fn serve(
    daemon: &Arc<Daemon>,
    control: Socket,
    beginning: &Beginning,
    ear: Option<Ear>,
) -> Result<(), Error> {
    let down = Arc::new(Notify::new());
    let desk = Arc::new(Desk::new(
        Arc::clone(daemon),
        beginning.clone(),
        Arc::clone(&down),
    ));
    let mut signals = Signals::new()?;
    let mut crew = Crew::new("control");
    let (oracle, figures) = (Arc::clone(&desk), Arc::clone(daemon));
    crew.spawn(CONTROL, |stop| control.serve(oracle, stop));
    crew.spawn("metrics", |mut stop| async move {
        if let Some(Err(error)) = stop.or(metrics::serve(figures)).await {
            tracing::warn!(%error, "metrics are not served");
        }
    });
    let followed = Arc::clone(daemon);
    crew.spawn("labels", |mut stop| async move {
        stop.or(follow::follow(followed, ear)).await;
    });
    let outcome = attend(
        daemon,
        &desk,
        &mut signals,
        &mut crew,
        &down,
        &beginning.arguments,
    )
    .await;
    // Whoever asked for the end hears that it comes.
    let report = crew.drain(FAREWELL).await;
    if !report.is_clean() {
        tracing::warn!(?report, "control tasks did not end by themselves");
    }
    outcome
}

/// Waits for signals, changed files and the end.
async fn attend(
    daemon: &Arc<Daemon>,
    desk: &Arc<Desk>,
    signals: &mut Signals,
    crew: &mut Crew,
    down: &Notify,
    arguments: &Arguments,
) -> Result<(), Error> {
    let mut files = Files::new(daemon, watched(arguments));
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            Some((task, ending)) = crew.next_end() => {
                tracing::info!(%task, ?ending, "task ended");
                if task == CONTROL {
                    return Err(Error::Operator("The control socket ended; the log says why.".to_owned()));
                }
            }
            _ = signals.terminate.recv() => return Ok(()),
            _ = signals.interrupt.recv() => return Ok(()),
            () = down.notified() => return Ok(()),
            _ = signals.hangup.recv() => {
                daemon.reopen_log();
                reload(desk).await;
            }
            _ = look.tick() => {
                if !daemon.is_alive() {
                    return Err(Error::Operator("An edge core or the worker ended; the log says why. Start again.".to_owned()));
                }
                let mut changed = files.changed(daemon);
                if changed.is_none() && let Some(asked) = files.unseen(Instant::now()) {
                    let daemon = Arc::clone(daemon);
                    let through = tokio::task::spawn_blocking(move || files::through(&daemon, asked));
                    changed = through.await.ok().and_then(|stamps| files.take(stamps));
                }
                match changed {
                    Some(Changed::Configuration) => reload(desk).await,
                    Some(Changed::Certificate) => {
                        let daemon = Arc::clone(daemon);
                        report(tokio::task::spawn_blocking(move || daemon.refresh_certificates()).await);
                    }
                    None => {}
                }
            }
        }
    }
}

async fn reload(desk: &Arc<Desk>) {
    let desk = Arc::clone(desk);
    let outcome = tokio::task::spawn_blocking(move || match desk.reload() {
        Ok(sentence) => tracing::info!(%sentence, "reloaded"),
        Err(sentence) => tracing::error!(%sentence, "not reloaded, the old configuration stays"),
    });
    report(outcome.await);
}

fn report(outcome: Result<(), tokio::task::JoinError>) {
    if let Err(error) = outcome {
        tracing::error!(%error, "a task ended badly");
    }
}

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> Result<Self, Error> {
        let listen = |kind| {
            signal(kind)
                .map_err(|error| Error::Operator(format!("Cannot listen for signals: {error}.")))
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }
}

/// The configuration file that is in use, if one is.
fn watched(arguments: &Arguments) -> Option<PathBuf> {
    match (&arguments.config, &arguments.protect) {
        (Some(path), _) => std::path::absolute(path).ok(),
        (None, Some(_)) => None,
        (None, None) => config::find(&config::Surroundings::of_process()),
    }
}

fn log_to_stderr(config: &Config) -> Result<LastWords, Error> {
    let voice = Voice::start(std::io::stderr(), config.log.json)
        .map_err(|error| Error::Operator(format!("Cannot start the log's thread: {error}.")))?;
    let said = LastWords(voice.clone());
    let level = config.log.level.name();
    let filter = tracing_subscriber::EnvFilter::new(level);
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(move || voice.clone())
        .with_target(false);
    // A second subscriber would be a second `run` in one process; there is none.
    let _first = if config.log.json {
        builder.json().try_init()
    } else {
        builder.with_ansi(false).try_init()
    };
    Ok(said)
}
