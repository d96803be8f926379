//! One client connection, from its accept to its end.
//!
//! Purpose: the server loop. While it waits for a request it holds no buffer and a
//! small future; everything larger lives in a boxed future from a request's first
//! byte until nothing more was sent ahead. On failure the connection ends; every
//! refusal is told to the observer.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpStream;
use vocab::{ClientAddr, PeerAddr, RefusedBy};
use wire::{Fault, Parse, RequestHead, Version};

use crate::answer::Answer;
use crate::blame;
use crate::exchange::{Next, Visitor};
use crate::handshake;
use crate::io::{Broken, Stream};
use crate::local::{Core, Refused, now};
use crate::log;
use crate::registry::{Cut, Line, Phase};
use crate::route::Plan;

/// What the accept loop hands over.
pub(crate) struct Arrival {
    pub(crate) core: Rc<Core>,
    pub(crate) plan: Arc<Plan>,
    pub(crate) socket: TcpStream,
    pub(crate) peer: PeerAddr,
    pub(crate) proxied: bool,
    pub(crate) tls: Option<Arc<rustls::ServerConfig>>,
    /// Whether a PROXY protocol header comes first.
    pub(crate) introduced: bool,
    pub(crate) guard: gate::ConnectionGuard,
}

/// Serves a connection to its end.
pub(crate) async fn serve(arrival: Arrival) {
    let Arrival {
        core,
        plan,
        socket,
        peer,
        proxied,
        tls,
        introduced,
        guard,
    } = arrival;
    let line = Rc::new(Line::new(peer.0.ip(), proxied, plan.enforces));
    let mut open = Open::new(Rc::clone(&core), Rc::clone(&line), guard);
    if introduced {
        let asked = crate::introduction::hear(&core, &plan, &line, peer, &socket);
        match Box::pin(asked).await {
            Ok(None) => {}
            Ok(Some(owner)) => {
                open.guard = None; // it gives its place in the total back first
                open.guard =
                    crate::accept::ask_gate(&core, &socket, owner, line.proxied(), tls.is_none());
                if open.guard.is_none() {
                    return;
                }
            }
            Err(()) => return,
        }
    }
    let judged_by = plan.number;
    let (stream, sni) = match tls {
        None => {
            drop(plan);
            (Stream::Plain(socket), None)
        }
        Some(config) => {
            match Box::pin(handshake::shake_hands(&core, &plan, &line, socket, config)).await {
                Ok(done) => done,
                Err(()) => return,
            }
        }
    };
    let connection = Connection {
        tls: matches!(stream, Stream::Tls(_)),
        core,
        line,
        stream,
        peer,
        sni,
        ahead: Vec::new(),
        served: 0,
        judged_by,
    };
    connection.run().await;
    drop(open);
}

/// Counted in and out of its core, on every path.
struct Open {
    core: Rc<Core>,
    line: Rc<Line>,
    guard: Option<gate::ConnectionGuard>,
}

impl Open {
    fn new(core: Rc<Core>, line: Rc<Line>, guard: gate::ConnectionGuard) -> Self {
        core.registry.add(&line);
        core.counters.open.one();
        core.shared.open.fetch_add(1, Ordering::Relaxed);
        Self {
            core,
            line,
            guard: Some(guard),
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.core.registry.remove(&self.line);
        self.core.counters.open.less();
        self.core.shared.open.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Connection {
    core: Rc<Core>,
    line: Rc<Line>,
    stream: Stream,
    peer: PeerAddr,
    tls: bool,
    sni: Option<Box<str>>,
    /// Bytes read but not served yet; without capacity while idle.
    ahead: Vec<u8>,
    served: u32,
    /// The plan by which the line's owner is trusted or not.
    judged_by: u64,
}

/// Whether the connection goes on after a burst of requests.
#[derive(PartialEq, Eq)]
enum After {
    Idle,
    End,
    /// The client shall see that it was cut off.
    Reset,
}

impl Connection {
    async fn run(mut self) {
        loop {
            self.enter_idle();
            if let Err(broken) = self.stream.readable(&self.line).await
                && !self.asked_before(&broken)
            {
                self.core.counters.cut(&broken);
                break;
            }
            match Box::pin(self.burst()).await {
                After::Idle if !self.core.draining.get() => {}
                After::Idle | After::End => break,
                After::Reset => {
                    self.core.buffers.put(core::mem::take(&mut self.ahead));
                    return;
                }
            }
        }
        self.stream.say_goodbye();
        self.core.buffers.put(core::mem::take(&mut self.ahead));
    }

    /// Whether a request arrived just before a drain closed the idle connection: it
    /// is still answered.
    fn asked_before(&self, broken: &Broken) -> bool {
        if !matches!(broken, Broken::Cut(Cut::Draining)) {
            return false;
        }
        let socket = socket2::SockRef::from(self.stream.socket());
        let waits = self.stream.holds_bytes()
            || socket
                .peek(&mut [core::mem::MaybeUninit::uninit()])
                .is_ok_and(|bytes| bytes > 0);
        if waits {
            self.line.forgive_drain();
        }
        waits
    }

    fn enter_idle(&self) {
        let plan = self.core.shared.plan.load();
        if self.served == 0 {
            let wait = self.core.deadline(plan.ticks.head);
            self.line.enter(Phase::Fresh, wait);
            return;
        }
        let wait = if self.core.pressed(&plan) {
            plan.ticks.idle_pressed
        } else {
            plan.ticks.idle
        };
        self.line.enter(Phase::Idle, self.core.deadline(wait));
    }

    /// Serves requests until none is left in the buffer.
    async fn burst(&mut self) -> After {
        let plan = self.core.plan();
        if plan.number != self.judged_by {
            // A reload says anew whom to trust, and kept connections may live for days.
            self.judged_by = plan.number;
            self.line.rejudge(plan.is_trusted(self.line.owner()));
        }
        let mut head = self.core.heads.request();
        let after = loop {
            match self.one(&plan, &mut head).await {
                Some(Next::KeepAlive) if self.ahead.is_empty() => break After::Idle,
                Some(Next::KeepAlive) => head.clear(),
                Some(Next::Linger) => {
                    self.linger().await;
                    break After::End;
                }
                Some(Next::Reset) => {
                    // The client must not take a cut-off answer for a whole one.
                    let socket = socket2::SockRef::from(self.stream.socket());
                    if let Err(error) = socket.set_linger(Some(Duration::ZERO)) {
                        tracing::debug!(%error, "cannot reset a client's connection");
                    }
                    break After::Reset;
                }
                Some(Next::Close) | None => break After::End,
            }
        };
        self.core.heads.put_request(head);
        after
    }

    /// One request; nothing when the connection ended before there was one.
    async fn one(&mut self, plan: &Arc<Plan>, head: &mut RequestHead) -> Option<Next> {
        let core = Rc::clone(&self.core);
        let mut inbox = core::mem::take(&mut self.ahead);
        if inbox.capacity() == 0 {
            inbox = core.buffers.small();
        }
        self.line.enter(Phase::Head, core.deadline(plan.ticks.head));
        let consumed = match self.read_head(plan, head, &mut inbox).await {
            Ok(consumed) => consumed,
            Err(end) => {
                let next = self.refuse_head(end, head, &inbox).await;
                core.buffers.put(inbox);
                return next;
            }
        };
        let mut rest = match inbox.get(consumed..) {
            Some(behind) if !behind.is_empty() => {
                let mut rest = core.buffers.small();
                rest.extend_from_slice(behind);
                rest
            }
            _ => Vec::new(),
        };
        self.served += 1;
        let visitor = Visitor {
            core: &core,
            line: &self.line,
            plan,
            peer: self.peer,
            proxied: self.line.proxied(),
            tls: self.tls,
            sni: self.sni.as_deref(),
            may_stay: self.served < plan.limits.requests_per_connection,
        };
        let request = head.request(&inbox);
        let served =
            crate::exchange::serve(&visitor, &mut self.stream, request, consumed, &mut rest);
        let next = served.await;
        core.buffers.put(inbox);
        self.ahead = rest;
        Some(next)
    }

    async fn read_head(
        &mut self,
        plan: &Plan,
        head: &mut RequestHead,
        inbox: &mut Vec<u8>,
    ) -> Result<usize, HeadEnd> {
        loop {
            if !inbox.is_empty() {
                match head.parse(inbox, &plan.wire) {
                    Parse::Done { consumed } => return Ok(consumed),
                    Parse::Refuse(fault) => return Err(HeadEnd::Fault(fault)),
                    Parse::Partial => {}
                }
            }
            if inbox.len() == inbox.capacity() {
                inbox.reserve(inbox.capacity()); // bounded by the parser's limit on heads
            }
            match self.stream.fill(&self.line, inbox).await {
                Ok(0) => return Err(HeadEnd::Closed),
                Ok(_) => {}
                Err(Broken::Cut(Cut::Expired)) if !inbox.is_empty() => {
                    self.line.forgive();
                    return Err(HeadEnd::Slow);
                }
                Err(broken) => {
                    self.core.counters.cut(&broken);
                    return Err(HeadEnd::Closed);
                }
            }
        }
    }

    /// Refuses what did not become a request.
    async fn refuse_head(
        &mut self,
        end: HeadEnd,
        head: &RequestHead,
        inbox: &[u8],
    ) -> Option<Next> {
        let core = Rc::clone(&self.core);
        let (by, rule, status) = match end {
            HeadEnd::Closed => return None,
            HeadEnd::Slow => (RefusedBy::Limit, "limit.head-time", 408),
            // A balancer that was set up and we were not: its name helps the operator.
            HeadEnd::Fault(_) if self.served == 0 && wire::proxy::looks_like_one(inbox) => {
                (RefusedBy::Limit, "proxy.unexpected", 400)
            }
            HeadEnd::Fault(fault) if self.served == 0 && blame::is_another_protocol(inbox) => {
                (RefusedBy::Limit, fault.name(), fault.status())
            }
            HeadEnd::Fault(fault) => (blame::of(fault), fault.name(), fault.status()),
        };
        let (time, request_id) = (now(), core.request_id());
        let client = ClientAddr::new(self.line.owner());
        core.refused(&Refused {
            time,
            client,
            site: "",
            by,
            rule,
            status,
            request_id,
            observed: false,
            foreign: false,
        });
        let mut out = core.buffers.small();
        Answer {
            status,
            request_id,
            retry_after: None,
            client: Version::Http11,
            persistent: false,
            head_only: false,
        }
        .write(&mut out);
        self.line.enter(Phase::Exchange, core.deadline(LINGER));
        let sent = self.stream.send(&self.line, &out).await;
        core.counters.status(status);
        core.counters.bytes_in.add(inbox.len() as u64);
        core.counters.bytes_out.add(out.len() as u64);
        if let Some(log) = &core.log {
            let (method, target) = head.partial_line(inbox);
            log.write(
                &log::Entry {
                    time,
                    client: client.0,
                    peer: self.peer.0.ip(),
                    site: "",
                    method: &wire::text::logged(method),
                    target: &wire::text::logged(target),
                    version: 11,
                    host: "",
                    status,
                    sent: out.len() as u64,
                    received: inbox.len() as u64,
                    referer: "",
                    user_agent: "",
                    request_id,
                    verdict: rule,
                    upstream_micros: None,
                    total_micros: 0,
                    tls: self.tls,
                },
                &core.counters,
            );
        }
        core.buffers.put(out);
        Some(if sent.is_ok() {
            Next::Linger
        } else {
            Next::Close
        })
    }

    /// Lets the client hear the last answer: says that no more comes, and reads
    /// what it still sends, a little of it and not for long. Closing at once with
    /// unread bytes would reset the connection and may destroy the answer.
    async fn linger(&mut self) {
        const MOST: usize = 1 << 20;
        self.line.enter(Phase::Exchange, self.core.deadline(LINGER));
        let ended = core::future::poll_fn(|cx| {
            if self.line.check(cx).is_err() {
                return core::task::Poll::Ready(Ok(()));
            }
            self.stream.poll_shutdown(cx)
        });
        if ended.await.is_err() {
            return;
        }
        let mut waste = self.core.buffers.small();
        let mut read = 0;
        while read < MOST {
            waste.clear();
            let more = core::future::poll_fn(|cx| {
                if self.line.check(cx).is_err() {
                    return core::task::Poll::Ready(Ok(0));
                }
                self.stream.poll_waste(cx, &mut waste)
            });
            match more.await {
                Ok(0) | Err(_) => break,
                Ok(more) => read += more,
            }
        }
        self.core.buffers.put(waste);
    }
}

/// Ticks that a client has to hear a last answer: two seconds.
const LINGER: u32 = 10;

/// Why there is no request.
enum HeadEnd {
    Closed,
    Slow,
    Fault(Fault),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size<A, F: Future>(_: fn(A) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn an_idle_connection_is_small() {
        // What waits for a request lives in this future; what serves one is boxed.
        assert!(size(serve) <= 768, "{} bytes", size(serve));
        assert!(size_of::<Line>() <= 160, "{} bytes", size_of::<Line>());
        assert!(size_of::<Stream>() <= 40, "{} bytes", size_of::<Stream>());
    }
}
