//! One request, from its head to its answer.
//!
//! The order of the steps is written here and nowhere else: who asks, which rule
//! of ours or of gate refuses, which site answers, then upstream and response. The
//! observer hears of the answer before its first byte leaves.

use std::borrow::Cow;
use std::sync::Arc;

use vocab::{ClientAddr, HttpEvent, PeerAddr, RefusedBy, Timestamp};
use wire::{BodyFraming, Method, Request, ResponseWrite, Version};

use crate::answer::Answer;
use crate::forward::Origin;
use crate::io::Stream;
use crate::local::{Core, Refused, now};
use crate::log;
use crate::pump::Pump;
use crate::registry::{Cut, Line, Phase};
use crate::relay::{Failure, HeadAt, Relay};
use crate::route::{Plan, Route};
use crate::upstream::{Link, NoLink};

/// What a connection knows before a request comes.
pub(crate) struct Visitor<'a> {
    pub(crate) core: &'a Core,
    pub(crate) line: &'a Line,
    pub(crate) plan: &'a Plan,
    pub(crate) peer: PeerAddr,
    pub(crate) proxied: bool,
    pub(crate) tls: bool,
    /// The name the client gave in TLS, lower case.
    pub(crate) sni: Option<&'a str>,
    /// Whether the connection may serve another request after this one.
    pub(crate) may_stay: bool,
}

/// What becomes of the client's connection after an exchange.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Next {
    KeepAlive,
    /// Nothing more to say or hear.
    Close,
    /// The client may still be sending: let it hear the answer first.
    Linger,
    /// The answer is not complete, and only a reset says so.
    Reset,
}

/// What is told of a request, in events and in the log.
struct Story<'a> {
    id: u64,
    started: Timestamp,
    client: ClientAddr,
    method: Cow<'a, str>,
    target: Cow<'a, str>,
    host: Cow<'a, str>,
    user_agent: Cow<'a, str>,
    referer: Cow<'a, str>,
    version: Version,
    site: Option<Arc<Route>>,
    status: u16,
    sent: u64,
    received: u64,
    /// The rule that refused, would have, or cut the exchange short.
    verdict: Cow<'static, str>,
    upstream_micros: Option<u64>,
}

impl Story<'_> {
    fn site_name(&self) -> &str {
        self.site.as_ref().map_or("", |route| &route.site.name)
    }
}

/// Why a request is not forwarded.
struct Denial {
    by: RefusedBy,
    rule: Cow<'static, str>,
    status: u16,
    retry_after: Option<core::time::Duration>,
    close: bool,
}

impl Denial {
    const fn ours(by: RefusedBy, rule: &'static str, status: u16) -> Self {
        Self {
            by,
            rule: Cow::Borrowed(rule),
            status,
            retry_after: None,
            close: false,
        }
    }
}

/// Serves one request. `rest` holds what was read behind its head, and afterwards
/// what belongs to the next request.
pub(crate) async fn serve(
    visitor: &Visitor<'_>,
    client: &mut Stream,
    request: Request<'_>,
    head_bytes: usize,
    rest: &mut Vec<u8>,
) -> Next {
    let core = visitor.core;
    core.counters.requests.one();
    visitor.line.enter(Phase::Exchange, u32::MAX);
    let mut story = begin(visitor, &request, head_bytes);
    visitor.line.belongs_to(story.client);
    let next = match decide(visitor, &request, &mut story) {
        Ok(route) => forward(visitor, client, request, &route, &mut story, rest).await,
        Err(denial) => deny(visitor, client, &request, &denial, &mut story).await,
    };
    visitor.line.settle();
    record(visitor, &story);
    next
}

fn begin<'a>(visitor: &Visitor<'_>, request: &Request<'a>, head_bytes: usize) -> Story<'a> {
    let headers = request.headers();
    let text = |id| {
        headers
            .first(id)
            .map_or(Cow::Borrowed(""), wire::text::readable)
    };
    let client = if visitor.proxied {
        crate::client::behind_proxy(visitor.peer.0.ip(), headers, visitor.plan)
    } else {
        ClientAddr::new(visitor.peer.0.ip())
    };
    Story {
        id: visitor.core.request_id(),
        started: now(),
        client,
        method: wire::text::readable(request.method_bytes()),
        target: wire::text::readable(request.target()),
        host: request
            .host()
            .map_or(Cow::Borrowed(""), |host| host.normal()),
        user_agent: text(wire::HeaderId::UserAgent),
        referer: text(wire::HeaderId::Referer),
        version: request.version(),
        site: None,
        status: 0,
        sent: 0,
        received: head_bytes as u64,
        verdict: Cow::Borrowed("pass"),
        upstream_micros: None,
    }
}

/// The rules before the upstream is asked, in their order.
fn decide(
    visitor: &Visitor<'_>,
    request: &Request<'_>,
    story: &mut Story<'_>,
) -> Result<Arc<Route>, Denial> {
    // No site offers tunnels by CONNECT, and TRACE shows cookies to scripts.
    if matches!(request.method(), Method::Connect | Method::Trace) {
        return Err(Denial::ours(RefusedBy::Rule, "method.refused", 405));
    }
    // RFC 9110 §7.4: a name that the handshake was not for is not served on it.
    if visitor.sni.is_some_and(|name| name != story.host) {
        return Err(Denial::ours(RefusedBy::Route, "route.misdirected", 421));
    }
    let (path, flags) = match request.target() {
        // The whole server: the site of the root answers.
        b"*" => (Cow::Borrowed(&b"/"[..]), wire::PathFlags::NONE),
        _ => wire::normal_path(request.path()),
    };
    let Some(route) = visitor.plan.route(story.host.as_bytes(), &path) else {
        return Err(Denial::ours(RefusedBy::Route, "route.no-site", 404));
    };
    visitor.line.enforced.set(route.enforces);
    story.site = Some(Arc::clone(route));
    let facts = gate::Facts {
        site: &route.site.policy,
        client: story.client,
        peer_is_proxy: visitor.proxied,
        method: request.method_bytes(),
        target: request.target(),
        host: story.host.as_bytes(),
        user_agent: request
            .headers()
            .first(wire::HeaderId::UserAgent)
            .unwrap_or_default(),
        header_count: request.headers().len(),
        ambiguous_path: flags.ambiguous_path(),
        version: request.version().number(),
        is_tls: visitor.tls,
        session: false,
    };
    match visitor.core.shared.gate.judge(&facts, story.started) {
        gate::Verdict::Pass { observed } => {
            for (rule, by) in observed.iter() {
                refused(visitor, story, by, rule.as_str(), 0, true);
                story.verdict = Cow::Owned(format!("observed:{rule}"));
            }
        }
        gate::Verdict::Refuse(refusal) => {
            return Err(Denial {
                by: refusal.by,
                rule: rule_name(refusal.rule),
                status: refusal.status,
                retry_after: refusal.retry_after,
                close: refusal.close,
            });
        }
    }
    let most = visitor.plan.limits.body_bytes;
    if let (BodyFraming::Length(length), Some(most)) = (request.framing(), most)
        && length > most
    {
        return Err(Denial::ours(RefusedBy::Limit, "limit.body", 413));
    }
    Ok(Arc::clone(route))
}

fn rule_name(rule: gate::Rule) -> Cow<'static, str> {
    match rule {
        gate::Rule::Fixed(name) => Cow::Borrowed(name),
        gate::Rule::Listed(name) => Cow::Owned(name.as_ref().to_owned()),
    }
}

fn refused(
    visitor: &Visitor<'_>,
    story: &Story<'_>,
    by: RefusedBy,
    rule: &str,
    status: u16,
    observed: bool,
) {
    visitor.core.refused(&Refused {
        time: story.started,
        client: story.client,
        site: story.site_name(),
        by,
        rule,
        status,
        request_id: story.id,
        observed,
    });
}

async fn deny(
    visitor: &Visitor<'_>,
    client: &mut Stream,
    request: &Request<'_>,
    denial: &Denial,
    story: &mut Story<'_>,
) -> Next {
    refused(
        visitor,
        story,
        denial.by,
        &denial.rule,
        denial.status,
        false,
    );
    story.verdict = denial.rule.clone();
    let word = Word {
        status: denial.status,
        retry_after: denial.retry_after,
        read_all: request.framing().is_empty(),
        close: denial.close,
    };
    reply(visitor, client, request, story, word).await
}

/// What we answer by ourselves.
#[derive(Clone, Copy)]
struct Word {
    status: u16,
    retry_after: Option<core::time::Duration>,
    /// Whether the request was read to its end.
    read_all: bool,
    /// Whether the connection shall end.
    close: bool,
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

/// Answers by ourselves.
async fn reply(
    visitor: &Visitor<'_>,
    client: &mut Stream,
    request: &Request<'_>,
    story: &mut Story<'_>,
    word: Word,
) -> Next {
    let core = visitor.core;
    let persistent = word.read_all
        && !word.close
        && visitor.may_stay
        && request.persistent()
        && !core.draining.get();
    let mut out = core.buffers.small();
    Answer {
        status: word.status,
        request_id: story.id,
        retry_after: word.retry_after,
        client: request.version(),
        persistent,
        head_only: request.method() == Method::Head,
    }
    .write(&mut out);
    story.status = word.status;
    visitor
        .line
        .set_deadline(core.deadline(visitor.plan.ticks.stalled));
    let sent = client.send(visitor.line, &out).await;
    story.sent += out.len() as u64;
    core.buffers.put(out);
    match sent {
        Err(_) => Next::Close,
        Ok(()) if persistent => Next::KeepAlive,
        Ok(()) if word.read_all => Next::Close,
        Ok(()) => Next::Linger,
    }
}

/// Asks an upstream, once more when a kept connection turned out dead.
async fn forward(
    visitor: &Visitor<'_>,
    client: &mut Stream,
    request: Request<'_>,
    route: &Route,
    story: &mut Story<'_>,
    rest: &mut Vec<u8>,
) -> Next {
    let (core, plan) = (visitor.core, visitor.plan);
    let repeatable = request.method().is_idempotent() && request.framing().is_empty();
    let mut may_reuse = true;
    loop {
        let opened =
            crate::upstream::link(core, visitor.line, plan, route, story.started, may_reuse);
        let link = match opened.await {
            Ok(link) => link,
            Err(NoLink::Stopped(_)) => return stopped(story, "cut.stopped"),
            Err(NoLink::Unreachable) => {
                return own_answer(
                    visitor,
                    client,
                    &request,
                    story,
                    502,
                    "upstream.unreachable",
                )
                .await;
            }
            Err(NoLink::TimedOut) => {
                return own_answer(
                    visitor,
                    client,
                    &request,
                    story,
                    504,
                    "upstream.connect-timeout",
                )
                .await;
            }
        };
        let Link {
            socket,
            upstream,
            reused,
        } = link;
        let mut out = core.buffers.small();
        crate::forward::write_head(
            &mut out,
            &request,
            Origin {
                client: story.client,
                request_id: story.id,
                tls: visitor.tls,
                proxied: visitor.proxied,
            },
        );
        let up = Pump::new(
            request.framing(),
            request.framing(),
            &plan.wire,
            plan.limits.body_bytes.unwrap_or(u64::MAX),
            core::mem::take(rest),
            out,
        );
        let mut relay = Relay::new(core, visitor.line, plan, client, socket, up);
        let mut head = core.heads.response();
        let result = exchange(visitor, &mut relay, &request, &mut head, story).await;
        core.heads.put_response(head);

        let Relay {
            up,
            down,
            upstream: mut socket,
            half_closed,
            ..
        } = relay;
        story.received += up.read;
        story.sent += down.written;
        let outcome = match result {
            Ok(Flow::Tunnel) => {
                let early_down = down.rest().to_vec();
                let carried = crate::tunnel::carry(
                    core,
                    visitor.line,
                    plan.ticks.tunnel,
                    client,
                    &mut socket,
                    up.rest().to_vec(),
                    early_down,
                )
                .await;
                story.received += carried.up;
                story.sent += carried.down;
                Outcome::Next(Next::Close)
            }
            Ok(Flow::Answered {
                upstream_stays,
                client_stays,
            }) => {
                if upstream_stays && up.done && down.rest().is_empty() {
                    let until = core.deadline(plan.ticks.upstream_idle);
                    core.pools
                        .put(upstream, socket, until, plan.limits.idle_upstream);
                }
                Outcome::Next(if !up.done || !up.rest().is_empty() && !client_stays {
                    Next::Linger
                } else if client_stays && !half_closed {
                    Next::KeepAlive
                } else {
                    Next::Close
                })
            }
            Err(Failure::Silent) if reused && repeatable => Outcome::Again,
            Err(failure) => Outcome::Failed {
                failure,
                fresh: !reused,
                begun: story.upstream_micros.is_some(),
                read_all: up.done,
            },
        };
        *rest = leftover(core, up);
        core.buffers.put(down.data);
        core.buffers.put(down.out);
        match outcome {
            Outcome::Next(next) => return next,
            Outcome::Again => {
                core.counters.upstream_retries.one();
                may_reuse = false;
            }
            Outcome::Failed {
                failure,
                fresh,
                begun,
                read_all,
            } => {
                if fresh && matches!(failure, Failure::Silent) {
                    core.shared
                        .health
                        .rest(upstream, story.started, plan.upstream_rest);
                }
                return failed(visitor, client, &request, story, failure, begun, read_all).await;
            }
        }
    }
}

enum Outcome {
    Next(Next),
    Again,
    Failed {
        failure: Failure,
        fresh: bool,
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

/// Interim responses in one exchange; more is an upstream gone wild.
const MOST_INTERIM: usize = 16;

async fn exchange(
    visitor: &Visitor<'_>,
    relay: &mut Relay<'_>,
    request: &Request<'_>,
    head: &mut wire::ResponseHead,
    story: &mut Story<'_>,
) -> Result<Flow, Failure> {
    let core = visitor.core;
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
    let upgraded = response.upgrade().is_some() && request.upgrade().is_some();
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
    observe(visitor, story, status, body_bytes);

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

fn write_head(
    relay: &mut Relay<'_>,
    head: &wire::ResponseHead,
    at: HeadAt,
    how: &ResponseWrite<'_>,
) {
    let Pump { data, out, .. } = &mut relay.down;
    let response = head.response(data.get(at.start..).unwrap_or_default());
    wire::write_response(out, &response, how);
}

/// Tells the observer of an answer, before any of it is sent.
fn observe(visitor: &Visitor<'_>, story: &mut Story<'_>, status: u16, body_bytes: Option<u64>) {
    let time = now();
    story.status = status;
    story.upstream_micros =
        Some(u64::try_from(time.since(story.started).as_micros()).unwrap_or(u64::MAX));
    visitor.core.shared.observer.http(
        visitor.core.number,
        &HttpEvent {
            time,
            site: Cow::Borrowed(story.site_name()),
            client: story.client,
            method: Cow::Borrowed(&story.method),
            target: Cow::Borrowed(&story.target),
            version: story.version.number(),
            host: Cow::Borrowed(&story.host),
            status,
            user_agent: Cow::Borrowed(&story.user_agent),
            referer: Cow::Borrowed(&story.referer),
            body_bytes,
            tls: visitor.tls,
            request_id: story.id,
            session: false,
        },
    );
}

/// An answer on the upstream's behalf; it counts as an answered request.
async fn own_answer(
    visitor: &Visitor<'_>,
    client: &mut Stream,
    request: &Request<'_>,
    story: &mut Story<'_>,
    status: u16,
    cause: &'static str,
) -> Next {
    observe(visitor, story, status, None);
    story.upstream_micros = None;
    story.verdict = Cow::Borrowed(cause);
    let word = Word::of(status, request.framing().is_empty());
    reply(visitor, client, request, story, word).await
}

fn stopped(story: &mut Story<'_>, cause: &'static str) -> Next {
    story.verdict = Cow::Borrowed(cause);
    if story.status == 0 {
        story.status = 499;
    }
    Next::Close
}

/// The exchange failed: answers if the response has not begun, else breaks off.
async fn failed(
    visitor: &Visitor<'_>,
    client: &mut Stream,
    request: &Request<'_>,
    story: &mut Story<'_>,
    failure: Failure,
    begun: bool,
    read_all: bool,
) -> Next {
    let core = visitor.core;
    let (status, cause) = match &failure {
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
    };
    let by = match &failure {
        Failure::ClientFault(_) => Some(RefusedBy::Codec),
        Failure::ClientTooLong | Failure::ClientTime => Some(RefusedBy::Limit),
        Failure::Silent | Failure::Upstream(_) | Failure::UpstreamTime => {
            core.counters.upstream_errors.one();
            None
        }
        Failure::ClientGone => {
            core.counters.client_aborts.one();
            None
        }
        Failure::Stopped(_) => None,
    };
    story.verdict = Cow::Borrowed(cause);
    if let Some(by) = by {
        let told = if begun { 0 } else { status };
        refused(visitor, story, by, cause, told, false);
    }
    if begun {
        return Next::Reset;
    }
    match (by, status) {
        // The upstream may have served it all the same: whoever never waits for
        // answers must not stay unseen.
        (None, 499) => {
            if matches!(failure, Failure::ClientGone) {
                observe(visitor, story, 499, None);
            }
            story.status = 499;
            Next::Close
        }
        (None, status) => {
            observe(visitor, story, status, None);
            story.upstream_micros = None;
            reply(visitor, client, request, story, Word::of(status, read_all)).await
        }
        (Some(_), status) => reply(visitor, client, request, story, Word::of(status, false)).await,
    }
}

/// Counts and logs what was done.
fn record(visitor: &Visitor<'_>, story: &Story<'_>) {
    let core = visitor.core;
    core.counters.status(story.status);
    core.counters.bytes_in.add(story.received);
    core.counters.bytes_out.add(story.sent);
    let Some(log) = &core.log else { return };
    let total = now().since(story.started).as_micros();
    log.write(
        &log::Entry {
            time: story.started,
            client: story.client.0,
            peer: visitor.peer.0.ip(),
            site: story.site_name(),
            method: &story.method,
            target: &story.target,
            version: story.version.number(),
            host: &story.host,
            status: story.status,
            sent: story.sent,
            received: story.received,
            referer: &story.referer,
            user_agent: &story.user_agent,
            request_id: story.id,
            verdict: &story.verdict,
            upstream_micros: story.upstream_micros,
            total_micros: u64::try_from(total).unwrap_or(u64::MAX),
            tls: visitor.tls,
        },
        &core.counters,
    );
}
