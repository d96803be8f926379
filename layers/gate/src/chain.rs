//! The gate and its chain.
//!
//! [`Gate::judge`] is the one place where the order of the links is written. A link answers one
//! of three things: *not mine*, *answered, go on*, or *final*. Whether a rule that matched is
//! enforced or only observed is settled in one function, too.
//!
//! The cost of an ordinary request: one pointer load for the settings and one for the book, one
//! search in sorted arrays, one word of the rate table, and one pass over the user agent.

use core::net::IpAddr;
use core::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use core::time::Duration;
use std::sync::Arc;

use arc_swap::ArcSwap;
use book::{Force, Hit, Published, Standing};
use vocab::{ClientAddr, DecisionId, PeerAddr, RefusedBy, Timestamp, net::is_local};

use crate::connections::TooMany;
use crate::{
    Admission, ConnectionTable, Facts, Naming, Observed, Pace, Rate, RateTable, Refusal, Rule,
    Sessions, Settings, SitePolicy, Verdict, sanity,
};

/// How many clients the tables hold: 512 KiB each, far more than a small host's visitors at once.
const CLIENTS: usize = 1 << 16;

/// Spaces of the rate table beside the sites' own numbers, which are 32 bits.
const NEW_CONNECTIONS: u64 = 1 << 32;
const THROTTLED: u64 = 2 << 32;
/// What sessions may do, added to a site's number: beside what strangers at the same address may.
const SESSIONS: u64 = 3 << 32;

/// What a trusted proxy names nobody for, added to a site's number.
const SILENT: u64 = 4 << 32;
const DISPUTED: u64 = 5 << 32;

/// The rule by which a client has as many connections as it may.
pub(crate) const OF_CLIENT: &str = "limit.connections";

/// One gate for the whole process; all cores share it.
#[derive(Debug)]
pub struct Gate {
    book: Arc<Published>,
    settings: ArcSwap<Settings>,
    /// Nanoseconds since the epoch until which nothing is enforced.
    paused_until: AtomicI64,
    rates: RateTable,
    connections: Arc<ConnectionTable>,
    sessions: Sessions,
    refused_by_book: AtomicU64,
    refused_by_limit: AtomicU64,
    refused_by_rule: AtomicU64,
}

/// What the gate counted since its start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Requests and connections that a decision refused.
    pub refused_by_book: u64,
    /// Those that a limit refused.
    pub refused_by_limit: u64,
    /// Those that a rule refused.
    pub refused_by_rule: u64,
    /// Clients whose debt was forgiven because the rate table was full.
    pub rates_forgiven: u64,
    /// Connections that were not counted for their client because the table was full.
    pub connections_uncounted: u64,
    /// Connections open now.
    pub connections_open: u32,
}

/// What a link says.
enum Link {
    /// The link has nothing to say about this request.
    NotMine,
    /// The link answered (it counted or noted), and the request goes on.
    GoOn,
    /// The link's answer is the verdict.
    Final(Verdict),
}

impl Link {
    /// Asks the next link unless this one's answer is final.
    #[inline]
    fn then(self, next: impl FnOnce() -> Self) -> Self {
        match self {
            Self::NotMine | Self::GoOn => next(),
            Self::Final(verdict) => Self::Final(verdict),
        }
    }

    /// What nobody answered finally passes.
    fn or_pass(self, observed: Observed) -> Verdict {
        match self {
            Self::NotMine | Self::GoOn => Verdict::Pass { observed },
            Self::Final(verdict) => verdict,
        }
    }
}

/// One request on its way through the chain.
struct Case<'a> {
    gate: &'a Gate,
    settings: &'a Settings,
    facts: &'a Facts<'a>,
    standing: Standing,
    now: Timestamp,
    observed: Observed,
}

impl Gate {
    /// A gate that reads this book.
    #[must_use]
    pub fn new(book: Arc<Published>, settings: Settings) -> Self {
        Self {
            book,
            settings: ArcSwap::from_pointee(settings),
            paused_until: AtomicI64::new(i64::MIN),
            rates: RateTable::new(CLIENTS),
            connections: Arc::new(ConnectionTable::new(CLIENTS)),
            sessions: Sessions::default(),
            refused_by_book: AtomicU64::new(0),
            refused_by_limit: AtomicU64::new(0),
            refused_by_rule: AtomicU64::new(0),
        }
    }

    /// Judges a request by its head.
    #[must_use]
    pub fn judge(&self, facts: &Facts<'_>, now: Timestamp) -> Verdict {
        let settings = self.settings.load();
        let case = Case {
            gate: self,
            settings: &settings,
            facts,
            standing: self.book.load().standing(facts.client.0, now),
            now,
            observed: Observed::default(),
        };
        case.judge()
    }

    /// Judges a connection that was just accepted, before a byte of it is read. `trusted` says
    /// that the peer is a trusted proxy: then connection evidence is absent, and only the total
    /// counts.
    #[must_use]
    pub fn admit_connection(&self, peer: PeerAddr, trusted: bool, now: Timestamp) -> Admission {
        let settings = self.settings.load();
        let limits = &settings.connections;
        let client = ClientAddr::new(peer.0.ip());
        let open = |client, total| self.open(client, total);
        if self.is_paused(now) {
            return open(None, u32::MAX);
        }
        if trusted {
            return open(None, limits.total);
        }
        match self.book.load().standing(client.0, now) {
            Standing::Allowed => return open(None, limits.total),
            Standing::Held(
                hit @ Hit {
                    force: Force::Ban, ..
                },
            ) if settings.bans_refuse_connections => {
                self.refused_by_book.fetch_add(1, Relaxed);
                return Admission::Refuse(ban(hit, true));
            }
            Standing::Held(_) | Standing::Stranger => {}
        }
        let key = client.counting_key();
        if let Some(rate) = limits.new
            && let Pace::Over { retry_after } = self.rates.count(NEW_CONNECTIONS, key, rate, now)
        {
            return self.refuse_connection("limit.new-connections", 429, Some(retry_after));
        }
        open(Some((key, limits.per_client)), limits.total)
    }

    /// Admits a connection of a client at its limit, in the place of an idle one of its own that
    /// was just told to close. Until that is gone the client holds more than its limit, and never
    /// more than twice as many.
    #[must_use]
    pub fn admit_in_place(&self, peer: PeerAddr) -> Admission {
        let limits = self.settings.load().connections;
        let key = ClientAddr::new(peer.0.ip()).counting_key();
        let most = limits.per_client.saturating_mul(2);
        let admission = self.open(Some((key, most)), limits.total);
        if matches!(admission, Admission::Accept(_)) {
            // It was counted when its limit was found.
            self.refused_by_limit.fetch_sub(1, Relaxed);
        }
        admission
    }

    fn open(&self, client: Option<(IpAddr, u32)>, total: u32) -> Admission {
        match self.connections.open(client, total) {
            Ok(guard) => Admission::Accept(guard),
            Err(TooMany::OfClient) => self.refuse_connection(OF_CLIENT, 429, None),
            Err(TooMany::InTotal) => self.refuse_connection("limit.connections-total", 503, None),
        }
    }

    /// Whether `client` is never barred, whatever range around it is.
    #[must_use]
    pub fn is_allowed(&self, client: ClientAddr, now: Timestamp) -> bool {
        matches!(self.book.load().standing(client.0, now), Standing::Allowed)
    }

    /// The ban that bars `client` from `site` now, if one does. For the sweep that closes open
    /// connections, streams and tunnels after the book changed.
    #[must_use]
    pub fn bars(
        &self,
        site: &SitePolicy,
        client: ClientAddr,
        now: Timestamp,
    ) -> Option<DecisionId> {
        if self.is_paused(now) || !site.enforces() {
            return None;
        }
        match self.book.load().standing(client.0, now) {
            Standing::Held(Hit {
                force: Force::Ban,
                id,
                ..
            }) => Some(id),
            Standing::Held(_) | Standing::Allowed | Standing::Stranger => None,
        }
    }

    /// Takes new limits and lists; counts go on.
    pub fn replace(&self, settings: Settings) {
        self.settings.store(Arc::new(settings));
    }

    /// Enforces nothing until then; [`Timestamp::MAX`] for until [`Gate::resume`].
    pub fn pause(&self, until: Timestamp) {
        self.paused_until.store(until.unix_nanos(), Relaxed);
    }

    /// Ends a pause.
    pub fn resume(&self) {
        self.paused_until.store(i64::MIN, Relaxed);
    }

    /// Whether nothing is enforced at `now`.
    #[must_use]
    pub fn is_paused(&self, now: Timestamp) -> bool {
        now.unix_nanos() < self.paused_until.load(Relaxed)
    }

    /// What upstreams taught about sessions, for whoever fills in [`Facts::session`].
    #[must_use]
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// What it counted since its start.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters {
            refused_by_book: self.refused_by_book.load(Relaxed),
            refused_by_limit: self.refused_by_limit.load(Relaxed),
            refused_by_rule: self.refused_by_rule.load(Relaxed),
            rates_forgiven: self.rates.forgiven(),
            connections_uncounted: self.connections.uncounted(),
            connections_open: self.connections.open_now(),
        }
    }

    fn refuse_connection(
        &self,
        rule: &'static str,
        status: u16,
        retry_after: Option<Duration>,
    ) -> Admission {
        self.refused_by_limit.fetch_add(1, Relaxed);
        Admission::Refuse(Refusal {
            rule: Rule::Fixed(rule),
            by: RefusedBy::Limit,
            status,
            retry_after,
            close: true,
            decision: None,
        })
    }
}

fn ban(hit: Hit, close: bool) -> Refusal {
    Refusal {
        rule: Rule::Fixed("book.ban"),
        by: RefusedBy::Book,
        status: 403,
        retry_after: None,
        close,
        decision: Some(hit.id),
    }
}

impl Case<'_> {
    /// The chain, top to bottom.
    fn judge(mut self) -> Verdict {
        // A pause must help even when everything below is wrong, so nothing stands before it.
        self.pause()
            // Never-ban and allowlist beat the book by the book's own ranking, and they spare
            // their sources limits and rules, so they come before both.
            .then(|| self.allowed())
            // Before the limits: a barred source must not use up what its neighbours behind the
            // same address share, and must hear 403, not "try again later".
            .then(|| self.book())
            // Before the rules: a flood is cut before anything is paid for reading its texts.
            .then(|| self.requests())
            // Tools before protocol: a scanner that also sends nonsense is named by its name.
            .then(|| self.tools())
            .then(|| self.protocol())
            // Last, since it is the one rule that does not count against its source, and the one
            // whose answer costs as much as detection.
            .then(|| self.foreign())
            .or_pass(self.observed)
    }

    fn pause(&mut self) -> Link {
        if self.gate.is_paused(self.now) {
            return Link::Final(Verdict::Pass {
                observed: Observed::default(),
            });
        }
        Link::NotMine
    }

    /// A trusted proxy is never barred, so it stands as allowed; that says nothing of those whom
    /// it did not name, and a stranger may have seen to it that he isn't.
    fn allowed(&mut self) -> Link {
        if self.facts.naming != Naming::Known {
            return Link::NotMine;
        }
        match self.standing {
            Standing::Allowed => Link::Final(Verdict::Pass {
                observed: Observed::default(),
            }),
            Standing::Held(_) | Standing::Stranger => Link::NotMine,
        }
    }

    fn book(&mut self) -> Link {
        let Standing::Held(hit) = self.standing else {
            return Link::NotMine;
        };
        let enforced = self.facts.site.enforces();
        match hit.force {
            // the proxy's connection carries other people's requests too
            Force::Ban => self.settle(ban(hit, !self.facts.peer_is_proxy), enforced),
            // until there are challenges, being slow is what a suspect must bear
            Force::Challenge => self.throttle("book.challenge", hit, enforced),
            // Guesses at an account slow its owner down with everybody else, who can show that
            // they got in. What guesses passwords with a session in hand is a POST.
            Force::Throttle if self.facts.session && self.facts.method != b"POST" => Link::NotMine,
            Force::Throttle => self.throttle("book.throttle", hit, enforced),
            Force::Other => Link::NotMine,
            Force::Observe => {
                self.observed
                    .note(Rule::Fixed("book.observe"), RefusedBy::Book);
                Link::GoOn
            }
        }
    }

    fn throttle(&mut self, rule: &'static str, hit: Hit, enforced: bool) -> Link {
        match self.count(THROTTLED, self.settings.throttled) {
            Pace::Within => Link::GoOn,
            Pace::Over { retry_after } => {
                let refusal = too_fast(rule, RefusedBy::Book, retry_after, Some(hit.id));
                self.settle(refusal, enforced)
            }
        }
    }

    fn requests(&mut self) -> Link {
        let site = self.facts.site;
        let Some(rate) = site.requests.or(self.settings.requests) else {
            return Link::NotMine;
        };
        let (space, rate) = match (self.facts.naming, self.facts.session) {
            (Naming::Known, false) => (0, rate),
            // Whoever is logged in has more to do here, but a session is no pass for a flood.
            (Naming::Known, true) => (SESSIONS, rate.tenfold()),
            // Many may be behind it, and its health checks must not starve: so they have nothing
            // to do with what strangers can bring about.
            (Naming::Silent, _) => (SILENT, rate.tenfold()),
            (Naming::Disputed, _) => (DISPUTED, rate),
        };
        match self.count(space + u64::from(site.number), rate) {
            Pace::Within => Link::GoOn,
            Pace::Over { retry_after } => {
                let refusal = too_fast("limit.requests", RefusedBy::Limit, retry_after, None);
                self.settle(refusal, site.enforces_volume(self.now))
            }
        }
    }

    fn tools(&mut self) -> Link {
        let Some(tool) = self.settings.tools.named_by(self.facts.user_agent) else {
            return Link::NotMine;
        };
        let spared = self.settings.local_tools_observed
            && self.facts.naming == Naming::Known
            && is_local(self.facts.client.0);
        let refusal = self.broken(Rule::Listed(tool), 403);
        self.settle(refusal, self.facts.site.enforces() && !spared)
    }

    /// What another site's page made a browser send bars nobody, or any page could have its
    /// visitors barred here. So that saying so is no way out for attackers, the request itself
    /// goes nowhere.
    fn foreign(&mut self) -> Link {
        if !(self.facts.foreign_exploit.0)() {
            return Link::NotMine;
        }
        let refusal = self.broken(Rule::Fixed("foreign.exploit"), 403);
        self.settle(refusal, self.facts.site.enforces())
    }

    fn protocol(&mut self) -> Link {
        let Some(broken) = sanity::check(self.facts, self.settings.most_headers) else {
            return Link::NotMine;
        };
        let refusal = self.broken(Rule::Fixed(broken.rule), broken.status);
        self.settle(refusal, self.facts.site.enforces())
    }

    fn count(&self, space: u64, rate: Rate) -> Pace {
        self.gate
            .rates
            .count(space, self.facts.client.counting_key(), rate, self.now)
    }

    fn broken(&self, rule: Rule, status: u16) -> Refusal {
        Refusal {
            rule,
            by: RefusedBy::Rule,
            status,
            retry_after: None,
            close: !self.facts.peer_is_proxy,
            decision: None,
        }
    }

    /// Enforce or observe: the only place where a refusal becomes a verdict.
    fn settle(&mut self, refusal: Refusal, enforced: bool) -> Link {
        if !enforced {
            self.observed.note(refusal.rule, refusal.by);
            return Link::GoOn;
        }
        let counter = match refusal.by {
            RefusedBy::Book => &self.gate.refused_by_book,
            RefusedBy::Limit => &self.gate.refused_by_limit,
            RefusedBy::Rule | RefusedBy::Codec | RefusedBy::Route => &self.gate.refused_by_rule,
        };
        counter.fetch_add(1, Relaxed);
        Link::Final(Verdict::Refuse(refusal))
    }
}

fn too_fast(
    rule: &'static str,
    by: RefusedBy,
    retry_after: Duration,
    decision: Option<DecisionId>,
) -> Refusal {
    Refusal {
        rule: Rule::Fixed(rule),
        by,
        status: 429,
        retry_after: Some(Duration::from_secs(
            retry_after
                .as_millis()
                .div_ceil(1_000)
                .max(1)
                .try_into()
                .unwrap_or(1),
        )),
        close: false,
        decision,
    }
}
