//! What is judged: one request, as far as its head tells, and the policy of its site.

use vocab::{ClientAddr, Timestamp};

use crate::Rate;

/// How far a site enforces.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mode {
    /// The book, attack tools and protocol rules are enforced at once; volume rules are observed
    /// until [`SitePolicy::volume_enforced_from`].
    #[default]
    Default,
    /// Everything is enforced.
    Enforce,
    /// Nothing is enforced; what would have been refused is told.
    Observe,
}

/// What a site's configuration says to the gate. Built once per configuration.
#[derive(Clone, PartialEq, Debug)]
pub struct SitePolicy {
    /// How far the site enforces.
    pub mode: Mode,
    /// From when volume rules are enforced in [`Mode::Default`]: the site's first start plus
    /// seven days. [`Timestamp::MAX`] for not yet.
    pub volume_enforced_from: Timestamp,
    /// A request rate per client for this site instead of [`crate::Settings::requests`].
    pub requests: Option<Rate>,
    /// Tells the site's request counts from another site's; the site's place in the
    /// configuration will do. Sites with equal numbers share their clients' counts.
    pub number: u32,
}

impl SitePolicy {
    /// A site of this number with the default mode, observing volume rules until `volume_enforced_from`.
    #[must_use]
    pub fn new(number: u32, volume_enforced_from: Timestamp) -> Self {
        Self {
            mode: Mode::Default,
            volume_enforced_from,
            requests: None,
            number,
        }
    }

    pub(crate) fn enforces_volume(&self, now: Timestamp) -> bool {
        match self.mode {
            Mode::Default => now >= self.volume_enforced_from,
            Mode::Enforce => true,
            Mode::Observe => false,
        }
    }

    pub(crate) fn enforces(&self) -> bool {
        match self.mode {
            Mode::Default | Mode::Enforce => true,
            Mode::Observe => false,
        }
    }
}

/// How surely [`Facts::client`] is whom a request comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Naming {
    /// It is: the peer itself, or whom a trusted proxy named.
    #[default]
    Known,
    /// It is a trusted proxy, which named nobody: it asks for itself (a health check), or writes
    /// no such header.
    Silent,
    /// It is a trusted proxy, and what the request says of its client cannot be believed: a
    /// stranger has written some of it.
    Disputed,
}

/// One request, borrowed from the codec's head.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The policy of the site that will answer.
    pub site: &'a SitePolicy,
    /// Whom it comes from, after trusted proxies were believed.
    pub client: ClientAddr,
    /// How surely. A proxy's own standing spares nobody whom it didn't name.
    pub naming: Naming,
    /// Whether the connection is a trusted proxy's, and so carries other people's requests too.
    pub peer_is_proxy: bool,
    /// The method as sent.
    pub method: &'a [u8],
    /// The request target as sent.
    pub target: &'a [u8],
    /// The host named, without a port; empty when absent.
    pub host: &'a [u8],
    /// The `User-Agent`, empty when absent.
    pub user_agent: &'a [u8],
    /// How many header lines came.
    pub header_count: usize,
    /// Whether the codec found that two readers may read the path differently (encoded
    /// separators, dot segments that leave the root, NUL, overlong encodings).
    pub ambiguous_path: bool,
    /// 10 or 11 for HTTP/1.0 and 1.1.
    pub version: u8,
    /// Whether the client spoke TLS to us.
    pub is_tls: bool,
    /// Whether the request carries an application session that the upstream accepted before
    /// ([`crate::Sessions::carried`]); such requests have ten times the rate.
    pub session: bool,
    /// Whether a browser was made to send this by another site's page, as it says, and it
    /// is what rules would bar a source for at once. To know it, rules must read the whole
    /// request, which nobody is to have for it whom a cheaper link refuses.
    pub foreign_exploit: Question<'a>,
}

/// A question whose answer costs something; the chain asks it where it needs it.
#[derive(Clone, Copy)]
pub struct Question<'a>(pub &'a dyn Fn() -> bool);

impl core::fmt::Debug for Question<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Question(…)")
    }
}

impl Question<'_> {
    /// One that costs nothing: the answer is no.
    pub const NO: Self = Question(&|| false);
}
