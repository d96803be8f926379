//! A request's turn at an upstream: asked, answered, tunnelled, repeated or failed.

use core::time::Duration;
use std::borrow::Cow;
use std::sync::Arc;

use tokio::net::TcpStream;
use vocab::{RefusedBy, UpstreamAddr};
use wire::{BodyFraming, Method, Request, ResponseWrite};

use crate::answer::Answer;
use crate::exchange::{Next, Visitor};
use crate::forward::Origin;
use crate::io::Stream;
use crate::local::Core;
use crate::pump::Pump;
use crate::registry::Cut;
use crate::relay::{Failure, HeadAt, Relay};
use crate::route::{Plan, Route};
use crate::story::Story;
use crate::upstream::{Link, NoLink};

/// A request that is being served.
pub(crate) struct Turn<'t, 'a> {
    pub(crate) visitor: &'t Visitor<'t>,
    pub(crate) client: &'t mut Stream,
    pub(crate) request: Request<'a>,
    pub(crate) story: &'t mut Story<'a>,
    /// What was read behind the head; afterwards, what belongs to the next request.
    pub(crate) rest: &'t mut Vec<u8>,
}

/// What we answer by ourselves.
#[derive(Clone, Copy)]
pub(crate) struct Word {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    /// Whether the request was read to its end.
    pub(crate) read_all: bool,
    /// Whether the connection shall end.
    pub(crate) close: bool,
}

impl Word {
    const fn of(status: u16, read_all: bool) -> Self {
        Self {
            status,
            retry_after: None,
            read_all,
            close: false,
        }
    }
}

/// What came of one attempt.
enum Attempt {
    Next(Next),
    /// A kept connection was dead; nothing was lost.
    Again,
    Failed {
        failure: Failure,
        /// Whether the client has a part of the answer.
        begun: bool,
        read_all: bool,
    },
}

/// What a response turned out to be.
enum Flow {
    Answered {
        upstream_stays: bool,
        client_stays: bool,
    },
    Tunnel,
}

/// Interim responses in one exchange; more is an upstream gone wild.
const MOST_INTERIM: usize = 16;

impl Turn<'_, '_> {
    /// Asks an upstream, once more when a kept connection turned out dead, and those of a
    /// newer plan when that no longer has the one that does not answer.
    pub(crate) async fn forward(&mut self, route: &Route) -> Next {
        let (core, line) = (self.visitor.core, self.visitor.line);
        let mut newer: Option<(Arc<Plan>, Arc<Route>)> = None;
        let mut may_reuse = true;
        loop {
            let (plan, route) = match &newer {
                Some((plan, route)) => (plan.as_ref(), route.as_ref()),
                None => (self.visitor.plan, route),
            };
            if route.site.upstreams.is_empty() {
                return self.stand_in(503, "upstream.absent").await;
            }
            let opening =
                crate::upstream::link(core, line, plan, route, self.story.started, may_reuse);
            let link = match opening.await {
                Ok(link) => link,
                Err(NoLink::Stopped(cut)) => {
                    return self.failed(Failure::Stopped(cut), false, false).await;
                }
                Err(NoLink::Unreachable) => {
                    return self.stand_in(502, "upstream.unreachable").await;
                }
                Err(NoLink::TimedOut) => {
                    return self.stand_in(504, "upstream.connect-timeout").await;
                }
                // Each turn of this takes a tick and a reload of its own.
                Err(NoLink::Outdated(plan)) => match plan.same_site(&route.site).cloned() {
                    Some(route) => {
                        newer = Some((plan, route));
                        continue;
                    }
                    None => return self.stand_in(503, "upstream.absent").await,
                },
            };
            match self.attempt(link).await {
                Attempt::Next(next) => return next,
                Attempt::Again => {
                    core.counters.upstream_retries.one();
                    may_reuse = false;
                }
                Attempt::Failed {
                    failure,
                    begun,
                    read_all,
                } => return self.failed(failure, begun, read_all).await,
            }
        }
    }

    async fn attempt(&mut self, link: Link) -> Attempt {
        let (core, plan, line) = (self.visitor.core, self.visitor.plan, self.visitor.line);
        let Link {
            socket,
            upstream,
            reused,
        } = link;
        let up = self.pump_up();
        let mut relay = Relay::new(core, line, plan, &mut *self.client, socket, up);
        let mut head = core.heads.response();
        let result = exchange(
            self.visitor,
            &mut relay,
            &self.request,
            &mut head,
            self.story,
        )
        .await;
        core.heads.put_response(head);
        let Relay {
            up,
            down,
            upstream: socket,
            half_closed,
            ..
        } = relay;
        self.story.received += up.read;
        self.story.sent += down.written;
        let read_all = up.done;
        let clean = read_all && down.rest().is_empty();
        let early = match result {
            Ok(Flow::Tunnel) => down.rest().to_vec(),
            _ => Vec::new(),
        };
        core.buffers.put(down.data);
        core.buffers.put(down.out);
        *self.rest = leftover(core, up);
        match result {
            Ok(Flow::Tunnel) => self.tunnel(socket, early).await,
            Ok(Flow::Answered {
                upstream_stays,
                client_stays,
            }) => {
                if upstream_stays && clean {
                    self.keep(upstream, socket);
                }
                Attempt::Next(match (read_all, client_stays && !half_closed) {
                    (true, true) => Next::KeepAlive,
                    (true, false) if self.rest.is_empty() => Next::Close,
                    _ => Next::Linger,
                })
            }
            Err(Failure::Silent) if reused && self.is_repeatable() => Attempt::Again,
            Err(failure) => {
                if !reused && matches!(failure, Failure::Silent) {
                    let health = &core.shared.health;
                    health.rest(upstream, self.story.started, plan.upstream_rest);
                }
                Attempt::Failed {
                    failure,
                    begun: self.story.upstream_micros.is_some(),
                    read_all,
                }
            }
        }
    }

    /// Whether sending the request twice is as good as once (RFC 9110 §9.2.2).
    fn is_repeatable(&self) -> bool {
        self.request.method().is_idempotent() && self.request.framing().is_empty()
    }

    /// The request on its way up: its head anew, and its body as it comes.
    fn pump_up(&mut self) -> Pump {
        let (core, plan) = (self.visitor.core, self.visitor.plan);
        let mut out = core.buffers.small();
        let origin = Origin {
            client: self.story.client,
            request_id: self.story.id,
            tls: self.visitor.tls,
            proxied: self.visitor.proxied,
            named_in: plan.named_in(),
        };
        crate::forward::write_head(&mut out, &self.request, origin);
        let framing = self.request.framing();
        let most = plan.limits.body_bytes.unwrap_or(u64::MAX);
        let data = core::mem::take(self.rest);
        let mut pump = Pump::new(framing, framing, &plan.wire, most, data, out);
        pump.glimpse = crate::login::wanted(&self.request).map(|_| Vec::new());
        pump
    }

    fn keep(&self, upstream: UpstreamAddr, socket: TcpStream) {
        let (core, plan) = (self.visitor.core, self.visitor.plan);
        let until = core.deadline(plan.ticks.upstream_idle);
        let most = plan.limits.idle_upstream;
        core.pools.put(upstream, socket, until, most);
    }

    async fn tunnel(&mut self, mut upstream: TcpStream, early_down: Vec<u8>) -> Attempt {
        let carried = crate::tunnel::carry(
            self.visitor.core,
            self.visitor.line,
            self.visitor.plan.ticks.tunnel,
            (&mut *self.client, &mut upstream),
            [core::mem::take(self.rest), early_down],
        )
        .await;
        self.story.received += carried.up;
        self.story.sent += carried.down;
        Attempt::Next(Next::Close)
    }

    /// Answers by ourselves.
    pub(crate) async fn reply(&mut self, word: Word) -> Next {
        let Visitor {
            core, line, plan, ..
        } = *self.visitor;
        let persistent = word.read_all
            && !word.close
            && self.visitor.may_stay
            && self.request.persistent()
            && !core.draining.get();
        let mut out = core.buffers.small();
        Answer {
            status: word.status,
            request_id: self.story.id,
            retry_after: word.retry_after,
            client: self.request.version(),
            persistent,
            head_only: self.request.method() == Method::Head,
        }
        .write(&mut out);
        self.story.status = word.status;
        line.set_deadline(core.deadline(plan.ticks.stalled));
        let sent = self.client.send(line, &out).await;
        self.story.sent += out.len() as u64;
        core.buffers.put(out);
        match sent {
            Err(_) => Next::Close,
            Ok(()) if persistent => Next::KeepAlive,
            Ok(()) if word.read_all => Next::Close,
            Ok(()) => Next::Linger,
        }
    }

    /// An answer on the upstream's behalf; it counts as an answered request.
    async fn stand_in(&mut self, status: u16, cause: &'static str) -> Next {
        self.story.answered(self.visitor, status, None).await;
        self.story.upstream_micros = None;
        self.story.verdict = Cow::Borrowed(cause);
        let read_all = self.request.framing().is_empty();
        self.reply(Word::of(status, read_all)).await
    }

    /// The exchange failed: answers if the answer has not begun, else breaks off.
    async fn failed(&mut self, failure: Failure, begun: bool, read_all: bool) -> Next {
        let core = self.visitor.core;
        let (status, cause) = verdict_of(&failure);
        self.story.verdict = Cow::Borrowed(cause);
        let refused_by = match failure {
            Failure::ClientFault(fault) => crate::blame::of(fault),
            Failure::ClientTooLong | Failure::ClientTime => RefusedBy::Limit,
            Failure::Silent | Failure::Upstream(_) | Failure::UpstreamTime => {
                core.counters.upstream_errors.one();
                if begun {
                    return Next::Reset;
                }
                self.story.answered(self.visitor, status, None).await;
                self.story.upstream_micros = None;
                return self.reply(Word::of(status, read_all)).await;
            }
            Failure::ClientGone => {
                core.counters.client_aborts.one();
                if !begun {
                    // The upstream may have served it all the same: whoever never
                    // waits for answers must not stay unseen.
                    self.story.answered(self.visitor, status, None).await;
                    self.story.upstream_micros = None;
                }
                return Next::Close;
            }
            Failure::Stopped(cut) => {
                if cut == Cut::Barred {
                    core.counters.cut_barred.one();
                }
                if !begun {
                    self.story.status = status;
                }
                return Next::Reset;
            }
        };
        let told = if begun { 0 } else { status };
        self.story
            .refused(self.visitor, refused_by, cause, told, false);
        if begun {
            return Next::Reset;
        }
        self.reply(Word::of(status, false)).await
    }
}

/// The status and the cause by which a failure is known.
fn verdict_of(failure: &Failure) -> (u16, &'static str) {
    match failure {
        Failure::Silent => (502, "upstream.closed"),
        Failure::Upstream(Some(fault)) => (502, fault.name()),
        Failure::Upstream(None) => (502, "upstream.broken"),
        Failure::UpstreamTime => (504, "upstream.timeout"),
        Failure::ClientGone => (499, "client.gone"),
        Failure::ClientFault(fault) => (fault.status(), fault.name()),
        Failure::ClientTooLong => (413, "limit.body"),
        Failure::ClientTime => (408, "limit.slow"),
        Failure::Stopped(Cut::Barred) => (499, "cut.barred"),
        Failure::Stopped(_) => (499, "cut.stopped"),
    }
}

fn leftover(core: &Core, up: Pump) -> Vec<u8> {
    let Pump {
        mut data, at, out, ..
    } = up;
    core.buffers.put(out);
    if at >= data.len() {
        core.buffers.put(data);
        return Vec::new();
    }
    data.drain(..at);
    data
}

/// Sends the request and the answer; the observer hears in between.
async fn exchange(
    visitor: &Visitor<'_>,
    relay: &mut Relay<'_>,
    request: &Request<'_>,
    head: &mut wire::ResponseHead,
    story: &mut Story<'_>,
) -> Result<Flow, Failure> {
    let core = visitor.core;
    let _under_way = core.exchange_begins();
    let mut interim = 0;
    let at = loop {
        head.clear();
        let at = relay.next_head(head, request.method()).await?;
        if !relay.response(head, at).is_interim() {
            break at;
        }
        interim += 1;
        if interim > MOST_INTERIM {
            return Err(Failure::Upstream(None));
        }
        core.counters.status_1xx.one();
        relay.inform(head, at, request.version());
    };
    let response = relay.response(head, at);
    let status = response.status();
    // RFC 9110 §7.8: a server must not switch to what was not offered.
    let upgraded = response
        .upgrade()
        .is_some_and(|to| crate::forward::may_switch(request, to));
    if status == 101 && !(upgraded && relay.up.done) {
        return Err(Failure::Upstream(None));
    }
    let framing = response.framing();
    let towards = framing.towards(request.version());
    let body_bytes = match framing {
        BodyFraming::Length(length) => Some(length),
        BodyFraming::None => Some(0),
        BodyFraming::Chunked | BodyFraming::UntilClose => None,
    };
    let upstream_stays = response.persistent();
    let client_stays = visitor.may_stay
        && request.persistent()
        && towards != BodyFraming::UntilClose
        && !core.draining.get();
    story.session = crate::session::learn(visitor, request, &response, story);
    story.login = login(core, request, &mut relay.up);
    story.answered(visitor, status, body_bytes).await;

    write_head(
        relay,
        head,
        at,
        &ResponseWrite {
            framing: towards,
            client: request.version(),
            persistent: client_stays,
            drop: wire::HeaderSet::EMPTY,
            drop_names: &[],
            add: &[],
        },
    );
    if upgraded {
        relay.drain().await?;
        return Ok(Flow::Tunnel);
    }
    relay.down.frame(framing, towards, &visitor.plan.wire);
    relay.finish().await?;
    Ok(Flow::Answered {
        upstream_stays,
        client_stays,
    })
}

/// Whom the request tries to log in as; what was kept of its body for that goes.
fn login(core: &Core, request: &Request<'_>, up: &mut Pump) -> Option<vocab::Login> {
    let glimpse = up.glimpse.take();
    let body = glimpse
        .as_deref()
        .and_then(|body| Some((crate::login::wanted(request)?, body)));
    // A body as long as what is looked at may go on.
    let whole = up.done && body.is_some_and(|(_, body)| body.len() < crate::login::MOST);
    crate::login::read(request, body, whole, &core.shared.secret)
}

fn write_head(
    relay: &mut Relay<'_>,
    head: &wire::ResponseHead,
    at: HeadAt,
    how: &ResponseWrite<'_>,
) {
    relay.take_out();
    let Pump { data, out, .. } = &mut relay.down;
    let response = head.response(data.get(at.start..).unwrap_or_default());
    wire::write_response(out, &response, how);
}
