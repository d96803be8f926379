//! A core's own loop: accepts, orders, deadlines.
//!
//! Accept errors warn, back off and go on. Every connection is a task of this
//! core's set; one that panics is counted and ends alone.

use core::future::poll_fn;
use core::task::{Context, Poll};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinHandle, JoinSet};
use vocab::{ClientAddr, PeerAddr, RefusedBy};

use crate::barred::Sources;
use crate::batch::teller;
use crate::connection::{Arrival, serve};
use crate::local::{Core, Order, Refused, now};
use crate::registry::TICK;
use crate::route::Plan;

/// A listening socket of this core.
pub(crate) struct Door {
    pub(crate) listener: TcpListener,
    /// TLS is spoken here.
    pub(crate) tls: Option<Arc<rustls::ServerConfig>>,
    /// Connections begin with a PROXY protocol header.
    pub(crate) introduced: bool,
}

/// Runs a core until it is told to end, or has drained. Returns how many
/// connections had to be aborted.
pub(crate) async fn run(core: Rc<Core>, mut doors: Vec<Door>) -> usize {
    let orders = Arc::clone(&core.orders);
    let mut tasks: JoinSet<()> = JoinSet::new();
    let _teller = Teller(tokio::task::spawn_local(teller(Rc::clone(&core))));
    let mut ticker = tokio::time::interval(TICK);
    ticker.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut sweep = Sweep::new();
    let mut turn = 0;
    let mut resume = 0;
    let mut complaint = Complaint::default();
    loop {
        let accepting = core.tick() >= resume && !doors.is_empty();
        tokio::select! {
            biased;
            () = orders.arrived.notified() => {
                let (barred, others) = orders.take();
                close(&core, &barred);
                for order in others {
                    match order {
                        Order::Drain => {
                            core.draining.set(true);
                            let waiting = poll_fn(|cx| Poll::Ready(all_waiting(&core, &doors, cx)));
                            for arrival in waiting.await {
                                tasks.spawn_local(serve(arrival));
                            }
                            doors.clear();
                            core.registry.drain(core.deadline(GRACE));
                        }
                        Order::Abort => {
                            let left = tasks.len();
                            tasks.abort_all();
                            while let Some(ended) = tasks.join_next().await {
                                note_end(&core, ended);
                            }
                            return finish(&core, left);
                        }
                    }
                }
            }
            _ = ticker.tick() => sweep.run(&core),
            Some(ended) = tasks.join_next(), if !tasks.is_empty() => note_end(&core, ended),
            (door, accepted) = next(&doors, &mut turn), if accepting => match accepted {
                Ok((socket, peer)) => {
                    if let Some(door) = doors.get(door)
                        && let Some(arrival) = admit(&core, socket, peer, door)
                    {
                        tasks.spawn_local(serve(arrival));
                    }
                }
                Err(error) => {
                    core.counters.accept_errors.one();
                    if is_of_the_listener(&error) {
                        // Out of descriptors or memory: what is idle makes room.
                        complaint.make(core.tick(), &error);
                        core.registry.evict_one();
                        resume = core.tick() + 1;
                    }
                }
            },
        }
        if core.draining.get() && tasks.is_empty() {
            return finish(&core, 0);
        }
    }
}

/// Ends the open connections of sources that were barred.
fn close(core: &Core, barred: &Sources) {
    let (gate, now) = (&core.shared.gate, now());
    if barred.is_empty() || gate.is_paused(now) {
        return;
    }
    let spared = |address| gate.is_allowed(ClientAddr::new(address), now);
    let cut = core.registry.bar(barred, spared);
    tracing::debug!(cut, "closed barred sources' connections");
}

/// Ticks that a connection which has just come has to ask for something while the
/// edge drains: one second.
const GRACE: u32 = 5;

/// Warnings of failed accepts: one now and then, since whoever can cause them can cause
/// five a second.
#[derive(Default)]
struct Complaint {
    silent_until: u32,
    unsaid: u64,
}

impl Complaint {
    /// Ticks between two warnings: a minute.
    const PAUSE: u32 = 300;

    fn make(&mut self, tick: u32, error: &std::io::Error) {
        if tick < self.silent_until {
            self.unsaid += 1;
            return;
        }
        let unsaid = core::mem::take(&mut self.unsaid);
        tracing::warn!(%error, unsaid, "cannot accept, waiting a moment");
        self.silent_until = tick.saturating_add(Self::PAUSE);
    }
}

/// Connections that completed before a drain closes the door; they would be reset.
fn all_waiting(core: &Rc<Core>, doors: &[Door], cx: &mut Context<'_>) -> Vec<Arrival> {
    let mut arrivals = Vec::new();
    for door in doors {
        while let Poll::Ready(Ok((socket, peer))) = door.listener.poll_accept(cx) {
            arrivals.extend(admit(core, socket, peer, door));
        }
    }
    arrivals
}

/// The task that tells of answers, ended with the core's loop.
struct Teller(JoinHandle<()>);

impl Drop for Teller {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn finish(core: &Core, aborted: usize) -> usize {
    // Exchanges that were aborted may have been answered by their upstreams.
    core.tell_waiting();
    if let Some(log) = &core.log {
        log.flush(&core.counters);
    }
    aborted
}

/// The next connection at any door, the doors in turn.
async fn next(
    doors: &[Door],
    turn: &mut usize,
) -> (usize, std::io::Result<(TcpStream, SocketAddr)>) {
    poll_fn(|cx| {
        for step in 0..doors.len() {
            let at = turn.wrapping_add(step) % doors.len();
            if let Some(door) = doors.get(at)
                && let Poll::Ready(accepted) = door.listener.poll_accept(cx)
            {
                *turn = at + 1;
                return Poll::Ready((at, accepted));
            }
        }
        Poll::Pending
    })
    .await
}

/// Errors of one connection that died while it waited are nobody's trouble.
fn is_of_the_listener(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as Kind;
    !matches!(
        error.kind(),
        Kind::ConnectionAborted | Kind::ConnectionReset | Kind::Interrupted
    )
}

fn note_end(core: &Core, ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        core.counters.panics.one();
        tracing::error!(core = core.number, "a connection ended in a panic");
    }
}

/// Asks gate whether a connection may stay.
fn admit(core: &Rc<Core>, socket: TcpStream, peer: SocketAddr, door: &Door) -> Option<Arrival> {
    core.counters.accepted.one();
    let plan = core.plan();
    let peer = PeerAddr::new(peer);
    let proxied = plan.is_trusted(peer.0.ip());
    if door.introduced && !proxied {
        // Whoever may introduce others here could introduce himself as anybody.
        close_unheard(core, peer, "proxy.untrusted");
        return None;
    }
    let guard = ask_gate(core, &socket, peer, proxied, door.tls.is_none())?;
    // Close to the cap, idle connections make room before anybody is refused.
    if core.shared.open.load(std::sync::atomic::Ordering::Relaxed) + 1 >= plan.limits.connections {
        core.registry.evict_one();
    }
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY towards a client");
    }
    Some(Arrival {
        core: Rc::clone(core),
        plan,
        socket,
        peer,
        proxied,
        tls: door.tls.clone(),
        introduced: door.introduced,
        guard,
    })
}

/// Gate's word on a connection of `owner`; told to it when it is a no.
pub(crate) fn ask_gate(
    core: &Core,
    socket: &TcpStream,
    owner: PeerAddr,
    proxied: bool,
    plain: bool,
) -> Option<gate::ConnectionGuard> {
    let time = now();
    let gate = &core.shared.gate;
    let admission = match gate.admit_connection(owner, proxied, time) {
        gate::Admission::Refuse(refusal)
            if refusal.too_many_of_client() && evict_of(core, owner) =>
        {
            gate.admit_in_place(owner)
        }
        admission => admission,
    };
    match admission {
        gate::Admission::Accept(guard) => Some(guard),
        gate::Admission::Refuse(refusal) => {
            if refusal.by == RefusedBy::Limit {
                core.counters.over_cap.one();
            }
            turn_away(core, socket, owner, time, &refusal, plain);
            None
        }
    }
}

/// Tells the observer of a connection that is closed without a word. It counts as a
/// limit's, not as an attack: mostly it is somebody who set up a balancer wrongly.
pub(crate) fn close_unheard(core: &Core, peer: PeerAddr, rule: &'static str) {
    core.refused(&Refused {
        time: now(),
        client: ClientAddr::new(peer.0.ip()),
        site: "",
        by: RefusedBy::Limit,
        rule,
        status: 0,
        request_id: core.request_id(),
        observed: false,
        foreign: false,
    });
}

/// Whether one idle connection of the same client makes room.
fn evict_of(core: &Core, peer: PeerAddr) -> bool {
    let client = ClientAddr::new(peer.0.ip()).counting_key();
    core.registry.evict_of(client, core.tick())
}

/// Closes a connection that gate does not admit; over plain HTTP with a word, as
/// far as the socket takes it at once.
fn turn_away(
    core: &Core,
    socket: &TcpStream,
    peer: PeerAddr,
    time: vocab::Timestamp,
    refusal: &gate::Refusal,
    plain: bool,
) {
    let request_id = core.request_id();
    let mut told = 0;
    if plain {
        let mut out = core.buffers.small();
        crate::answer::Answer {
            status: refusal.status,
            request_id,
            retry_after: refusal.retry_after,
            client: wire::Version::Http11,
            persistent: false,
            head_only: false,
        }
        .write(&mut out);
        // The reactor has not seen this socket writable yet, so ask it directly.
        if socket2::SockRef::from(socket).send(&out).is_ok() {
            told = refusal.status;
            core.counters.status(told);
        }
        core.buffers.put(out);
    }
    core.refused(&Refused {
        time,
        client: ClientAddr::new(peer.0.ip()),
        site: "",
        by: refusal.by,
        rule: refusal.rule.as_str(),
        status: told,
        request_id,
        observed: false,
        foreign: false,
    });
}

/// What a core does five times a second.
struct Sweep {
    began: Instant,
    runs: u64,
    /// The plan that the arrivals were judged by.
    plan: Option<Arc<Plan>>,
}

impl Sweep {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            runs: 0,
            plan: None,
        }
    }

    /// Hands readers a copy of who came through whom. Once other proxies or another
    /// header are believed, what came before says nothing any more.
    fn publish_arrivals(&mut self, core: &Core, plan: Arc<Plan>, tick: u32) {
        let mut arrivals = core.arrivals.borrow_mut();
        arrivals.turn(tick);
        if !self.plan.as_ref().is_none_or(|old| plan.believes_as(old)) {
            *arrivals = crate::arrivals::Table::since(tick);
        }
        self.plan = Some(plan);
        if let Ok(mut copy) = core.counters.arrivals.lock() {
            copy.clone_from(&arrivals);
        }
    }

    fn run(&mut self, core: &Core) {
        /// Ticks in a second, and in a rate window of ten seconds.
        const SECOND: u64 = 5;
        const WINDOW: u64 = 50;
        self.runs += 1;
        let ticks = self.began.elapsed().as_nanos() / TICK.as_nanos();
        let tick = u32::try_from(ticks).unwrap_or(u32::MAX);
        core.set_tick(tick);
        core.registry.expire(tick);
        if !self.runs.is_multiple_of(SECOND) {
            return;
        }
        let plan = core.plan();
        let pressed = core.pressed(&plan);
        if pressed {
            core.registry
                .shorten_idle(core.deadline(plan.ticks.idle_pressed));
        }
        if self.runs.is_multiple_of(WINDOW) {
            let floor = u64::from(plan.limits.body_rate) * WINDOW / SECOND;
            core.registry.check_rates(pressed, floor);
            core.buffers.shrink();
        }
        core.pools.sweep(tick);
        if let Some(log) = &core.log {
            log.flush(&core.counters);
        }
        let (idle, tunnels, _) = core.registry.census();
        core.counters.idle.set(idle);
        core.counters.tunnels.set(tunnels);
        let alive = tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
            .saturating_sub(1); // the teller, which every core has
        core.counters.tasks.set(alive as u64);
        self.publish_arrivals(core, plan, tick);
    }
}
