//! What an observer saw, before anyone judged it.

use core::num::NonZeroU64;
use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{ClientAddr, Timestamp};

/// One normalised observation.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "signal", rename_all = "snake_case")]
pub enum Signal<'a> {
    /// A request that an upstream, or the edge on its behalf, answered.
    Http(HttpEvent<'a>),
    /// A request that the edge itself refused.
    Refused(Refusal<'a>),
}

/// A request and how it was answered, as the edge saw it.
///
/// Texts are spelled as in nginx's log, which rules for logs are written against: bytes
/// outside printable ASCII, the quote and the backslash stand as `\xHH`. Borrowed on the edge's own core, owned everywhere else.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct HttpEvent<'a> {
    /// When the answer's head was known.
    pub time: Timestamp,
    /// The configured site that answered.
    pub site: Cow<'a, str>,
    /// Whom the request came from.
    pub client: ClientAddr,
    /// The request's method, case kept.
    pub method: Cow<'a, str>,
    /// The request target as sent: path and query.
    pub target: Cow<'a, str>,
    /// 10 or 11 for HTTP/1.0 and 1.1.
    pub version: u8,
    /// The host that the site spells out and the client named, lower case, without a
    /// port; the site's name where it answers for names it does not spell out.
    pub host: Cow<'a, str>,
    /// The answer's status.
    pub status: u16,
    /// The `User-Agent` header, empty when absent.
    pub user_agent: Cow<'a, str>,
    /// The `Referer` header, empty when absent.
    pub referer: Cow<'a, str>,
    /// Body bytes that the answer announces; `None` when streamed.
    pub body_bytes: Option<u64>,
    /// Whether the client spoke TLS to us.
    pub tls: bool,
    /// Correlates this event with the access log and with what the client was told.
    pub request_id: u64,
    /// Whether the request carries an application session (a cookie or a credential
    /// that the upstream accepted before); it counts for no rule that judges by numbers.
    pub session: bool,
    /// The `Authorization` header as a number, seeded anew with each process; `None`
    /// without one. It tells many passwords from one that is sent again, and nothing else.
    pub credentials: Option<NonZeroU64>,
    /// Whether a browser says that a page of another site had it send this
    /// (`Sec-Fetch-Site: cross-site`). Whoever is no browser can say so, too.
    #[serde(default)]
    pub foreign: bool,
    /// Whom the client tried to log in as, where the request tells.
    #[serde(default)]
    pub login: Option<Login>,
}

/// An attempt to log in, as keyed hashes: good for comparing within one process's life,
/// and for nothing else.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Login {
    /// The account.
    pub account: u64,
    /// 24 bits of the password tried for this account; `None` when none was seen.
    pub guess: Option<u32>,
    /// How it was sent.
    pub by: LoginBy,
}

/// How an attempt to log in was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginBy {
    /// A form's fields.
    Form,
    /// JSON.
    Json,
    /// `Authorization: Basic`, which comes with every request.
    Basic,
}

impl HttpEvent<'_> {
    /// The event with its texts owned.
    #[must_use]
    pub fn into_owned(self) -> HttpEvent<'static> {
        HttpEvent {
            time: self.time,
            site: Cow::Owned(self.site.into_owned()),
            client: self.client,
            method: Cow::Owned(self.method.into_owned()),
            target: Cow::Owned(self.target.into_owned()),
            version: self.version,
            host: Cow::Owned(self.host.into_owned()),
            status: self.status,
            user_agent: Cow::Owned(self.user_agent.into_owned()),
            referer: Cow::Owned(self.referer.into_owned()),
            body_bytes: self.body_bytes,
            tls: self.tls,
            request_id: self.request_id,
            session: self.session,
            credentials: self.credentials,
            foreign: self.foreign,
            login: self.login,
        }
    }
}

/// Which part of the edge refused a request.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusedBy {
    /// The codec: what two readers could read differently.
    Codec,
    /// The book: a decision covers the source.
    Book,
    /// A limit on connections, requests or sizes.
    Limit,
    /// A rule of the gate: attack tools, protocol sanity.
    Rule,
    /// No site answers for this host, or TLS and Host disagree.
    Route,
}

/// A request that the edge refused by itself.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Refusal<'a> {
    /// When it was refused.
    pub time: Timestamp,
    /// Whom the request came from.
    pub client: ClientAddr,
    /// The configured site, empty when none was found yet.
    pub site: Cow<'a, str>,
    /// Which part refused.
    pub by: RefusedBy,
    /// The rule or cause, a constant name such as `framing.cl-te` or `book.ban`.
    pub rule: Cow<'a, str>,
    /// The status that was answered; 0 when the connection was closed without one.
    pub status: u16,
    /// Correlates with the access log and with what the client was told.
    pub request_id: u64,
    /// Whether this was only observed: the rule matched and the request went on.
    pub observed: bool,
    /// Whether a browser says that a page of another site had it send this; see
    /// [`HttpEvent::foreign`].
    #[serde(default)]
    pub foreign: bool,
}

impl Refusal<'_> {
    /// The refusal with its texts owned.
    #[must_use]
    pub fn into_owned(self) -> Refusal<'static> {
        Refusal {
            time: self.time,
            client: self.client,
            site: Cow::Owned(self.site.into_owned()),
            by: self.by,
            rule: Cow::Owned(self.rule.into_owned()),
            status: self.status,
            request_id: self.request_id,
            observed: self.observed,
            foreign: self.foreign,
        }
    }
}
