//! What is told of a request: to the observer, to the counters and in the log.

use core::hash::BuildHasher as _;
use core::num::NonZeroU64;
use std::borrow::Cow;
use std::sync::Arc;

use vocab::{ClientAddr, HttpEvent, Login, RefusedBy, Timestamp};
use wire::{Request, Version};

use crate::arrivals::Arrival;
use crate::exchange::Visitor;
use crate::local::{Refused, now};
use crate::log;
use crate::route::Route;

/// One request's facts, gathered while it is served.
pub(crate) struct Story<'a> {
    pub(crate) id: u64,
    pub(crate) started: Timestamp,
    pub(crate) client: ClientAddr,
    /// How surely that is whom it comes from.
    pub(crate) naming: gate::Naming,
    method: Cow<'a, str>,
    target: Cow<'a, str>,
    pub(crate) host: Cow<'a, str>,
    user_agent: Cow<'a, str>,
    referer: Cow<'a, str>,
    credentials: Option<NonZeroU64>,
    version: Version,
    pub(crate) site: Option<Arc<Route>>,
    /// Whether it carries a session that the upstream accepted.
    pub(crate) session: bool,
    pub(crate) status: u16,
    pub(crate) sent: u64,
    pub(crate) received: u64,
    /// The rule that refused, would have, or cut the exchange short.
    pub(crate) verdict: Cow<'static, str>,
    pub(crate) upstream_micros: Option<u64>,
    /// Another site's page had a browser send this, as it says.
    pub(crate) foreign: bool,
    pub(crate) login: Option<Login>,
}

impl<'a> Story<'a> {
    pub(crate) fn new(visitor: &Visitor<'_>, request: &Request<'a>, head_bytes: usize) -> Self {
        let headers = request.headers();
        let text = |id| {
            headers
                .first(id)
                .map_or(Cow::Borrowed(""), wire::text::logged)
        };
        let host = request
            .host()
            .map_or(Cow::Borrowed(""), |host| host.normal());
        let (client, naming) = client_of(visitor, headers);
        Self {
            id: visitor.core.request_id(),
            started: now(),
            client,
            naming,
            method: wire::text::logged(request.method_bytes()),
            target: wire::text::logged(request.target()),
            foreign: crate::blame::is_foreign(request, &host, visitor.proxied),
            host,
            user_agent: text(wire::HeaderId::UserAgent),
            referer: text(wire::HeaderId::Referer),
            credentials: headers
                .first(wire::HeaderId::Authorization)
                .and_then(|value| NonZeroU64::new(visitor.core.shared.secret.hash_one(value))),
            version: request.version(),
            site: None,
            session: false,
            status: 0,
            sent: 0,
            received: head_bytes as u64,
            verdict: Cow::Borrowed("pass"),
            upstream_micros: None,
            login: None,
        }
    }

    pub(crate) fn site_name(&self) -> &str {
        self.site.as_ref().map_or("", |route| &route.site.name)
    }

    /// The host as rules may group by it: a name that the site spells out, else the
    /// site. What a stranger may choose freely would give each of its requests a group
    /// of its own, and nothing would ever add up.
    fn group(&self) -> &str {
        match &self.site {
            Some(route) if !route.site.names(&self.host) => &route.site.name,
            _ => &self.host,
        }
    }

    /// Tells the observer that the request was refused, or would have been.
    pub(crate) fn refused(
        &self,
        visitor: &Visitor<'_>,
        by: RefusedBy,
        rule: &str,
        status: u16,
        observed: bool,
    ) {
        visitor.core.refused(&Refused {
            time: self.started,
            client: self.client,
            site: self.site_name(),
            by,
            rule,
            status,
            request_id: self.id,
            observed,
            foreign: self.foreign,
        });
    }

    /// Tells the observer of an answer, before any of it is sent.
    pub(crate) async fn answered(
        &mut self,
        visitor: &Visitor<'_>,
        status: u16,
        body_bytes: Option<u64>,
    ) {
        let time = now();
        let took = time.since(self.started).as_micros();
        self.status = status;
        self.upstream_micros = Some(u64::try_from(took).unwrap_or(u64::MAX));
        visitor.line.set_in_hand(true);
        let unheard = visitor.core.tell(&self.event(visitor, time, body_bytes));
        if let Some(unheard) = unheard {
            unheard.await;
        }
        visitor.core.heed_bars(visitor.line);
        visitor.line.set_in_hand(false);
    }

    /// Whether rules would bar the source for this at once, when another site's page had
    /// it sent.
    pub(crate) fn is_foreign_exploit(&self, visitor: &Visitor<'_>) -> bool {
        if !self.foreign {
            return false;
        }
        let event = self.event(visitor, self.started, None);
        let core = visitor.core;
        core.shared.observer.is_exploit(core.number, &event)
    }

    fn event<'s>(
        &'s self,
        visitor: &Visitor<'_>,
        time: Timestamp,
        body_bytes: Option<u64>,
    ) -> HttpEvent<'s> {
        HttpEvent {
            time,
            site: Cow::Borrowed(self.site_name()),
            client: self.client,
            method: Cow::Borrowed(&self.method),
            target: Cow::Borrowed(&self.target),
            version: self.version.number(),
            host: Cow::Borrowed(self.group()),
            status: self.status,
            user_agent: Cow::Borrowed(&self.user_agent),
            referer: Cow::Borrowed(&self.referer),
            body_bytes,
            tls: visitor.tls,
            request_id: self.id,
            session: self.session,
            credentials: self.credentials,
            foreign: self.foreign,
            login: self.login,
        }
    }

    /// Counts and logs what was done.
    pub(crate) fn record(&self, visitor: &Visitor<'_>) {
        let core = visitor.core;
        core.counters.status(self.status);
        core.counters.bytes_in.add(self.received);
        core.counters.bytes_out.add(self.sent);
        let Some(log) = &core.log else { return };
        let total = now().since(self.started).as_micros();
        log.write(
            &log::Entry {
                time: self.started,
                client: self.client.0,
                peer: visitor.peer.0.ip(),
                site: self.site_name(),
                method: &self.method,
                target: &self.target,
                version: self.version.number(),
                host: &self.host,
                status: self.status,
                sent: self.sent,
                received: self.received,
                referer: &self.referer,
                user_agent: &self.user_agent,
                request_id: self.id,
                verdict: &self.verdict,
                upstream_micros: self.upstream_micros,
                total_micros: u64::try_from(total).unwrap_or(u64::MAX),
                tls: visitor.tls,
            },
            &core.counters,
        );
    }
}

/// Whom the request comes from; noted, so that hidden addresses are seen to be hidden.
fn client_of(visitor: &Visitor<'_>, headers: wire::Headers<'_>) -> (ClientAddr, gate::Naming) {
    let owner = visitor.line.owner();
    let named = if visitor.proxied {
        crate::client::behind_proxy(owner, headers, visitor.plan)
    } else {
        None
    };
    let core = visitor.core;
    if visitor.proxied && named.is_none() {
        core.counters.unnamed.one();
    }
    core.arrivals.borrow_mut().note(
        core.tick(),
        Arrival {
            address: owner,
            trusted: visitor.proxied,
            named: named.is_some(),
            headers,
        },
    );
    let naming = match named {
        None if visitor.line.is_alone() => gate::Naming::Silent,
        None if visitor.proxied && crate::client::is_claimed(headers, visitor.plan) => {
            gate::Naming::Disputed
        }
        None if visitor.proxied => gate::Naming::Silent,
        Some(_) | None => gate::Naming::Known,
    };
    (named.unwrap_or_else(|| ClientAddr::new(owner)), naming)
}
