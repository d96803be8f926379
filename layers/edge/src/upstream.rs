//! Upstream connections: picked, opened, kept and given up.
//!
//! Purpose: a pool per core and upstream, last in first out, so that few
//! connections stay warm and the rest time out. Health is passive: an upstream
//! that fails rests for a while and is asked again after that.
//! Refuses: to reuse a connection that has anything to read.

use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::net::TcpStream;
use vocab::{Timestamp, UpstreamAddr};

use crate::io::Broken;
use crate::local::Core;
use crate::registry::{Cut, Line};
use crate::route::{Plan, Route};

/// A core's idle upstream connections.
#[derive(Debug, Default)]
pub(crate) struct Pools {
    // Few upstreams: a scan beats a hash.
    idle: RefCell<Vec<(SocketAddr, Vec<Idle>)>>,
    turn: Cell<usize>,
}

#[derive(Debug)]
struct Idle {
    socket: TcpStream,
    until: u32,
}

impl Pools {
    /// A live connection to `upstream`, the one used last.
    fn take(&self, upstream: UpstreamAddr, tick: u32) -> Option<TcpStream> {
        let mut idle = self.idle.borrow_mut();
        let (_, list) = idle
            .iter_mut()
            .find(|(address, _)| *address == upstream.0)?;
        while let Some(Idle { socket, until }) = list.pop() {
            if until > tick && is_quiet(&socket) {
                return Some(socket);
            }
        }
        None
    }

    /// Keeps a connection whose last exchange ended cleanly.
    pub(crate) fn put(&self, upstream: UpstreamAddr, socket: TcpStream, until: u32, most: usize) {
        let mut idle = self.idle.borrow_mut();
        let list = match idle
            .iter_mut()
            .position(|(address, _)| *address == upstream.0)
        {
            Some(at) => &mut idle[at].1,
            None => {
                idle.push((upstream.0, Vec::new()));
                let last = idle.len() - 1;
                &mut idle[last].1
            }
        };
        if list.len() < most {
            list.push(Idle { socket, until });
        }
    }

    /// Closes what is over its time or was closed by the upstream.
    pub(crate) fn sweep(&self, tick: u32) {
        let mut idle = self.idle.borrow_mut();
        for (_, list) in idle.iter_mut() {
            list.retain(|one| one.until > tick && is_quiet(&one.socket));
        }
        idle.retain(|(_, list)| !list.is_empty());
    }
}

/// Whether there is nothing to read: neither an end nor bytes nobody asked for.
/// Asks the kernel only when the reactor saw something.
fn is_quiet(socket: &TcpStream) -> bool {
    matches!(socket.try_read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

/// Upstreams that rest after a failure.
#[derive(Debug, Default)]
pub(crate) struct Health {
    resting: Mutex<HashMap<SocketAddr, Timestamp>>,
    count: AtomicUsize,
}

impl Health {
    pub(crate) fn rest(&self, upstream: UpstreamAddr, now: Timestamp, span: Duration) {
        let mut resting = self.lock();
        resting.retain(|_, until| *until > now);
        resting.insert(upstream.0, now.after(span));
        self.count.store(resting.len(), Ordering::Relaxed);
    }

    fn is_resting(&self, upstream: UpstreamAddr, now: Timestamp) -> bool {
        self.count.load(Ordering::Relaxed) > 0
            && self
                .lock()
                .get(&upstream.0)
                .is_some_and(|until| *until > now)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<SocketAddr, Timestamp>> {
        self.resting
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// A connection to send a request on.
pub(crate) struct Link {
    pub(crate) socket: TcpStream,
    pub(crate) upstream: UpstreamAddr,
    /// Whether it carried requests before: then its death before the first byte
    /// of an answer says nothing about the request.
    pub(crate) reused: bool,
}

/// Why there is no link.
#[derive(Debug)]
pub(crate) enum NoLink {
    /// Every upstream refused or was unreachable.
    Unreachable,
    /// The last one tried did not answer in time.
    TimedOut,
    /// A newer plan has the site without the upstream that was waited for.
    Outdated(Arc<Plan>),
    /// The client's connection was stopped meanwhile.
    Stopped(Cut),
}

/// Opens or reuses a connection to one of the site's upstreams, in turn, those
/// that rest last.
pub(crate) async fn link(
    core: &Core,
    line: &Line,
    plan: &Plan,
    route: &Route,
    now: Timestamp,
    may_reuse: bool,
) -> Result<Link, NoLink> {
    let upstreams = route.site.upstreams.as_slice();
    let start = core.pools.turn.get();
    core.pools.turn.set(start.wrapping_add(1));
    let health = &core.shared.health;
    let mut failure = NoLink::Unreachable;
    let mut tried = 0_u128;
    // First those in good health, then, rather than give up, those that rest.
    for resting_too in [false, true] {
        for step in 0..upstreams.len() {
            let at = start.wrapping_add(step) % upstreams.len();
            let Some(upstream) = upstreams.get(at).copied() else {
                continue;
            };
            let mark = 1_u128 << (at % 128);
            let rests = !resting_too && upstreams.len() > 1 && health.is_resting(upstream, now);
            if tried & mark != 0 || rests {
                continue;
            }
            tried |= mark;
            if may_reuse && let Some(socket) = core.pools.take(upstream, core.tick()) {
                core.counters.upstream_reused.one();
                return Ok(Link {
                    socket,
                    upstream,
                    reused: true,
                });
            }
            match connect(core, line, (plan, route), upstream).await {
                Ok(socket) => {
                    return Ok(Link {
                        socket,
                        upstream,
                        reused: false,
                    });
                }
                Err(NoLink::Unreachable) => failure = NoLink::Unreachable,
                Err(NoLink::TimedOut) => failure = NoLink::TimedOut,
                Err(end @ (NoLink::Stopped(_) | NoLink::Outdated(_))) => return Err(end),
            }
            core.counters.upstream_errors.one();
            health.rest(upstream, now, plan.upstream_rest);
        }
    }
    Err(failure)
}

/// Opens a connection. A container that stopped leaves an address that nothing answers for,
/// so while it waits it looks, every other tick, whether the newest plan still has it.
async fn connect(
    core: &Core,
    line: &Line,
    (plan, route): (&Plan, &Route),
    upstream: UpstreamAddr,
) -> Result<TcpStream, NoLink> {
    let end = core.deadline(plan.ticks.connect);
    let mut opening = pin!(TcpStream::connect(upstream.0));
    loop {
        line.set_deadline(end.min(core.deadline(1)));
        let opened = poll_fn(|cx| match line.check(cx) {
            Err(cut) => Poll::Ready(Err(Broken::Cut(cut))),
            Ok(()) => opening.as_mut().poll(cx).map_err(Broken::from),
        })
        .await;
        match opened {
            Ok(socket) => {
                core.counters.upstream_connects.one();
                // Without it a head and a small body written apart would wait for each other.
                if let Err(error) = socket.set_nodelay(true) {
                    tracing::debug!(%error, "cannot set TCP_NODELAY towards an upstream");
                }
                return Ok(socket);
            }
            Err(Broken::Cut(Cut::Expired)) if core.tick() < end => {
                line.forgive();
                if let Some(newer) = outdated(core, plan, route, upstream) {
                    return Err(NoLink::Outdated(newer));
                }
            }
            Err(Broken::Cut(Cut::Expired | Cut::TooSlow)) => {
                line.forgive();
                return Err(NoLink::TimedOut);
            }
            Err(Broken::Io(error)) => {
                tracing::debug!(upstream = %upstream.0, %error, "cannot connect to an upstream");
                return Err(NoLink::Unreachable);
            }
            Err(Broken::Cut(cut)) => return Err(NoLink::Stopped(cut)),
        }
    }
}

/// The plan in force, where it has the site without this upstream, or not at all.
fn outdated(core: &Core, plan: &Plan, route: &Route, upstream: UpstreamAddr) -> Option<Arc<Plan>> {
    let newest = core.plan();
    if newest.number == plan.number {
        return None;
    }
    let site = newest.same_site(&route.site);
    let is_there = site.is_some_and(|route| route.site.upstreams.contains(&upstream));
    (!is_there).then_some(newest)
}
