//! Starting, steering and stopping the edge.

use std::hash::RandomState;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::runtime::{Builder, LocalOptions};
use vocab::Cidr;

use crate::EdgeError;
use crate::accept::Door;
use crate::arrivals::Arrivals;
use crate::certificate::{Certificate, Certificates, provider, server_config};
use crate::counters::{Counters, Stats};
use crate::local::{Core, Order, Orders, Shared};
use crate::log::{AccessLog, CoreLog, LogWriter};
use crate::observe::Observer;
use crate::route::Plan;
use crate::snapshot::Snapshot;
use crate::upstream::Health;

/// A listening address: one non-blocking socket for each core.
#[derive(Debug)]
pub struct Listener {
    /// The sockets, bound with `SO_REUSEPORT`; the first goes to the first core.
    /// Fewer than cores is allowed: the cores left out accept nothing here.
    pub sockets: Vec<TcpListener>,
    /// Whether TLS is spoken here.
    pub tls: bool,
    /// Whether every connection begins with a PROXY protocol header of a trusted proxy.
    pub proxy_protocol: bool,
}

/// What the edge needs from the rest of the house.
pub struct Deps {
    /// Judges connections and requests.
    pub gate: Arc<gate::Gate>,
    /// Hears of every answer and refusal.
    pub observer: Arc<dyn Observer>,
    /// Where requests are logged; `None` for nowhere.
    pub access_log: Option<AccessLog>,
    /// What TLS listeners serve; may be replaced later.
    pub certificates: Vec<Certificate>,
    /// How many cores to use, at least one.
    pub cores: usize,
}

impl core::fmt::Debug for Deps {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Deps")
            .field("cores", &self.cores)
            .field("access_log", &self.access_log)
            .finish_non_exhaustive()
    }
}

/// The edge.
#[derive(Debug)]
pub struct Edge;

impl Edge {
    /// Starts one thread with its own runtime per core and serves `listeners`.
    ///
    /// # Errors
    /// When the snapshot, a certificate, the log or a thread is not usable; then
    /// nothing is left running.
    pub fn start(
        snapshot: Snapshot,
        listeners: Vec<Listener>,
        deps: Deps,
    ) -> Result<EdgeHandle, EdgeError> {
        let plan = Plan::new(snapshot)?;
        let provider = provider();
        let certificates = Arc::new(Certificates::new(Arc::clone(&provider)));
        certificates.replace(&deps.certificates)?;
        let tls = server_config(provider, Arc::clone(&certificates))?;
        let log = deps.access_log.map(LogWriter::start).transpose()?;
        let shared = Arc::new(Shared {
            gate: deps.gate,
            observer: deps.observer,
            plan: ArcSwap::from_pointee(plan),
            open: AtomicUsize::new(0),
            health: Health::default(),
            secret: RandomState::new(),
        });
        let (ended_tx, ended) = channel();
        let mut handle = EdgeHandle {
            shared,
            certificates,
            cores: Vec::new(),
            log: Mutex::new(log),
            ended: Mutex::new(ended),
            dead: Arc::new(AtomicBool::new(false)),
        };
        let mut doors = deal(listeners, deps.cores.max(1));
        for (number, doors) in doors.drain(..).enumerate() {
            let doors = doors
                .into_iter()
                .map(|(socket, is_tls, introduced)| Socket {
                    socket,
                    tls: is_tls.then(|| Arc::clone(&tls)),
                    introduced,
                })
                .collect();
            // On failure the handle is dropped, which aborts the cores before this one.
            let one = handle.start_core(number, doors, ended_tx.clone())?;
            handle.cores.push(one);
        }
        Ok(handle)
    }
}

/// A listening socket on its way to its core.
struct Socket {
    socket: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    introduced: bool,
}

/// Gives every core its sockets.
fn deal(listeners: Vec<Listener>, cores: usize) -> Vec<Vec<(TcpListener, bool, bool)>> {
    let mut dealt: Vec<Vec<_>> = (0..cores).map(|_| Vec::new()).collect();
    for listener in listeners {
        for (at, socket) in listener.sockets.into_iter().enumerate() {
            if let Some(core) = dealt.get_mut(at % cores) {
                core.push((socket, listener.tls, listener.proxy_protocol));
            }
        }
    }
    dealt
}

/// A core, seen from the handle.
#[derive(Debug)]
struct RunningCore {
    orders: Arc<Orders>,
    counters: Arc<Counters>,
    thread: Option<JoinHandle<()>>,
}

/// What a core says when it ends.
#[derive(Clone, Copy, Debug)]
struct Ended {
    aborted: usize,
}

/// Steers a running edge. Dropping it aborts what runs.
pub struct EdgeHandle {
    shared: Arc<Shared>,
    certificates: Arc<Certificates>,
    cores: Vec<RunningCore>,
    log: Mutex<Option<LogWriter>>,
    ended: Mutex<Receiver<Ended>>,
    dead: Arc<AtomicBool>,
}

impl core::fmt::Debug for EdgeHandle {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("EdgeHandle")
            .field("cores", &self.cores.len())
            .finish_non_exhaustive()
    }
}

/// How a drain ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Drained {
    /// Connections that were still busy at the deadline and were aborted.
    pub aborted: usize,
    /// Cores that did not end at all; zero unless something is very wrong.
    pub cores_left: usize,
    /// How long it took.
    pub took: Duration,
}

impl EdgeHandle {
    fn start_core(
        &self,
        number: usize,
        sockets: Vec<Socket>,
        ended: std::sync::mpsc::Sender<Ended>,
    ) -> Result<RunningCore, EdgeError> {
        let orders = Arc::new(Orders::default());
        let counters = Arc::new(Counters::default());
        let log = self
            .log
            .lock()
            .ok()
            .and_then(|log| log.as_ref().map(LogWriter::for_core));
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build_local(LocalOptions::default());
        // A LocalRuntime cannot change threads, so it is made again on its own;
        // making one here first reports what is wrong to the caller.
        drop(runtime.map_err(EdgeError::Core)?);
        let seat = Seat {
            number,
            shared: Arc::clone(&self.shared),
            counters: Arc::clone(&counters),
            orders: Arc::clone(&orders),
            log,
            sockets,
        };
        let dead = Arc::clone(&self.dead);
        let thread = std::thread::Builder::new()
            .name(format!("edge-{number}"))
            .spawn(move || {
                let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| seat.run()));
                let aborted = match outcome {
                    Ok(Ok(aborted)) => aborted,
                    Ok(Err(error)) => {
                        tracing::error!(core = number, %error, "edge core cannot run");
                        dead.store(true, Ordering::Relaxed);
                        0
                    }
                    Err(_) => {
                        tracing::error!(core = number, "edge core ended in a panic");
                        dead.store(true, Ordering::Relaxed);
                        0
                    }
                };
                if ended.send(Ended { aborted }).is_err() {
                    tracing::debug!(core = number, "edge core ended after its handle was gone");
                }
            })
            .map_err(EdgeError::Core)?;
        Ok(RunningCore {
            orders,
            counters,
            thread: Some(thread),
        })
    }

    /// Takes a new configuration, all or nothing, without dropping a request:
    /// exchanges under way end as they began.
    ///
    /// # Errors
    /// When the snapshot is not usable; then the old one stays in force.
    pub fn reload(&self, snapshot: Snapshot) -> Result<(), EdgeError> {
        let old = self.shared.plan.load_full();
        self.shared
            .plan
            .store(Arc::new(Plan::after(&old, snapshot)?));
        Ok(())
    }

    /// Serves these certificates from the next handshake on, all or nothing.
    ///
    /// # Errors
    /// When one of them is not usable; then the old ones stay.
    pub fn reload_certificates(&self, certificates: &[Certificate]) -> Result<(), EdgeError> {
        self.certificates.replace(certificates)
    }

    /// Closes every open connection, stream and tunnel of a source, except those of
    /// sites that only observe. Does not block; done within moments.
    pub fn bar(&self, source: Cidr) {
        for core in &self.cores {
            core.orders.bar(source);
        }
    }

    /// Opens the access log again, after it was renamed.
    pub fn reopen_log(&self) {
        if let Ok(log) = self.log.lock()
            && let Some(log) = log.as_ref()
        {
            log.reopen();
        }
    }

    /// The counters of all cores together.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut sum = Stats::default();
        for core in &self.cores {
            core.counters.add_to(&mut sum);
        }
        sum.refusals.sort();
        sum
    }

    /// Through whom requests came lately, all cores together; at most a second old.
    #[must_use]
    pub fn arrivals(&self) -> Arrivals {
        let mut sum = crate::arrivals::Sum::default();
        for core in &self.cores {
            if let Ok(table) = core.counters.arrivals.lock() {
                table.add_to(&mut sum);
            }
        }
        sum.done()
    }

    /// Whether every core still runs as it should. When not, the process should
    /// end and be started again.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !self.dead.load(Ordering::Relaxed)
    }

    /// Stops accepting, closes what is idle, waits for active requests until
    /// `deadline` has passed, then aborts the rest. Blocks.
    pub fn drain(&mut self, deadline: Duration) -> Drained {
        let began = Instant::now();
        self.order(Order::Drain);
        let mut drained = self.wait_for_cores(began + deadline);
        if drained.cores_left > 0 {
            self.order(Order::Abort);
            let late = self.wait_for_cores(Instant::now() + Duration::from_secs(2));
            drained.aborted += late.aborted;
            drained.cores_left = late.cores_left;
        }
        drained.took = began.elapsed();
        if drained.aborted > 0 {
            tracing::warn!(
                connections = drained.aborted,
                "aborted at the drain's deadline"
            );
        }
        if let Ok(mut log) = self.log.lock()
            && let Some(log) = log.as_mut()
        {
            log.stop();
        }
        drained
    }

    fn wait_for_cores(&mut self, until: Instant) -> Drained {
        let mut aborted = 0;
        let mut running = self
            .cores
            .iter()
            .filter(|core| core.thread.is_some())
            .count();
        let ended = self
            .ended
            .get_mut()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        while running > 0 {
            match ended.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(end) => {
                    aborted += end.aborted;
                    running -= 1;
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        if running == 0 {
            for thread in self.cores.iter_mut().filter_map(|core| core.thread.take()) {
                if thread.join().is_err() {
                    tracing::error!("edge core ended in a panic");
                }
            }
        }
        Drained {
            aborted,
            cores_left: running,
            took: Duration::ZERO,
        }
    }

    fn order(&self, order: Order) {
        for core in &self.cores {
            core.orders.send(order);
        }
    }
}

impl Drop for EdgeHandle {
    fn drop(&mut self) {
        if self.cores.iter().any(|core| core.thread.is_some()) {
            self.order(Order::Abort);
        }
    }
}

/// All that a core's thread begins with.
struct Seat {
    number: usize,
    shared: Arc<Shared>,
    counters: Arc<Counters>,
    orders: Arc<Orders>,
    log: Option<CoreLog>,
    sockets: Vec<Socket>,
}

impl Seat {
    fn run(self) -> std::io::Result<usize> {
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build_local(LocalOptions::default())?;
        runtime.block_on(async move {
            let mut doors = Vec::with_capacity(self.sockets.len());
            for Socket {
                socket,
                tls,
                introduced,
            } in self.sockets
            {
                socket.set_nonblocking(true)?;
                doors.push(Door {
                    listener: tokio::net::TcpListener::from_std(socket)?,
                    tls,
                    introduced,
                });
            }
            let core = Core::new(
                self.number,
                self.shared,
                self.counters,
                self.orders,
                self.log,
            );
            Ok(crate::accept::run(core, doors).await)
        })
    }
}
