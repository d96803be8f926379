//! Sessions that an upstream accepted, known by its own behaviour alone.
//!
//! **For.** Sparing whoever is logged in the rules that judge by numbers (the request rate,
//! crawling, asking for many pages that are not there), and nothing else. **Refuses** to believe
//! a cookie because it is there: every stranger carries some. **Keeps** seeded hashes in tables
//! of fixed size, never a credential. **On failure** (a full table, a budget used up, a race) a
//! session is not known, and its requests count like everybody's.
//!
//! # What counts as accepted
//!
//! A *credential* is the value of `Authorization`, or a cookie pair whose value has 16 bytes or
//! more. A *denial* is an upstream's 401, or its 302, 303 or 307 to what looks like a login page.
//! A *page* is a whole target with its query, on one host of one site, by one method, over TLS
//! or not, for one kind of `Accept`.
//!
//! 1. A page becomes *protected* when it denied requests without any credential to two clients.
//!    One that gives such a request 200 flips for other reasons than a login, and proves nothing
//!    for a day.
//! 2. A 200 on a protected page accepts the credentials that the request carried: for this site,
//!    this host and **this client address** (IPv6 by its /64), until twelve hours after the last
//!    such proof. Somebody else's cookie, a planted or a constant one, has to open the protected
//!    page from its own address before it is worth anything there.
//! 3. A credential that is denied a `GET` or `HEAD` is *void* for a day, from every address: it
//!    belongs to a session that ended, or is no session at all (consent and tracking cookies,
//!    which visitors carry when they are sent to the login page, too).
//! 4. More than four clients that prove themselves by one credential within an hour share it:
//!    it exempts none of them, until an hour passes without a fifth, and brings in no other that
//!    comes with it. Nor does a void one that more than 64 bring, or a request with more than 16
//!    cookies that may be credentials: whatever opened the page has to be among those counted.
//!
//! 403 is evidence of nothing: it tells of rights, addresses, rates and maintenance as often as
//! of a missing login, and some of these a stranger can switch on and off.
//!
//! # What it is worth
//!
//! The proof rests on the upstream, and an upstream may be odd: one that answers 200 to a
//! made-up session id where it sends those without one to the login page accepts made-up
//! sessions. So the exemption is bounded by what doesn't rest on the proof: a client has 200
//! failing answers (4xx) at a stroke and 200 an hour that don't count, whatever it carries, and
//! ten times the request rate. A client also adds at most 256 entries an hour to these tables by
//! what it proves, and 256 by what it is denied, so that one account cannot push out what others
//! proved.

mod budget;
mod credential;
mod login;
mod pages;
mod standings;
mod table;

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use vocab::{ClientAddr, Timestamp};

use self::budget::Budget;
pub use self::credential::Credentials;
use self::pages::Pages;
use self::standings::Standings;
use self::table::Table;
use crate::hash::Seed;

/// Where a request went and from whom.
#[derive(Clone, Copy, Debug)]
pub struct Whereabouts<'a> {
    /// The configured site's name.
    pub site: &'a str,
    /// The host named, lower case, without a port.
    pub host: &'a str,
    /// Whom it comes from, after trusted proxies were believed.
    pub client: ClientAddr,
}

/// How an upstream answered. Never hand in an answer of our own.
#[derive(Clone, Copy, Debug)]
pub struct Answered<'a> {
    /// The method as sent.
    pub method: &'a [u8],
    /// The request target as sent.
    pub target: &'a [u8],
    /// Whether the client spoke TLS to us.
    pub is_tls: bool,
    /// The request's `Accept`, empty when absent.
    pub accept: &'a [u8],
    /// The request's `Referer`, empty when absent.
    pub referer: &'a [u8],
    /// The answer's status.
    pub status: u16,
    /// The answer's `Location`, empty when absent.
    pub location: &'a [u8],
}

/// What was counted since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SessionCounters {
    /// Credentials that were accepted for a client.
    pub accepted: u64,
    /// Pages found to be protected.
    pub protected: u64,
    /// Credentials found void.
    pub voided: u64,
    /// Times that a credential was found shared by too many clients.
    pub shared: u64,
    /// Answers that counted although their session was accepted, since the client's budget was
    /// used up.
    pub over_budget: u64,
    /// What was forgotten before its time, or not taken in, for want of room or budget.
    pub forgotten: u64,
}

/// What upstreams taught about sessions; all cores share it.
#[derive(Debug)]
pub struct Sessions {
    seed: Seed,
    /// Credentials by the client that proved them.
    accepted: Table,
    /// So that sites without logins pay nothing.
    is_used: AtomicBool,
    proven: AtomicU64,
    standings: Standings,
    pages: Pages,
    failures: Budget,
    /// Entries by what is denied: anybody can bring that about.
    denials: Budget,
    /// Entries by what is proven: a budget of its own, or a neighbour behind the same address
    /// could use up what everybody there needs to be known.
    proofs: Budget,
}

/// Room for this many accepted credentials and as many standings: 512 KiB each.
const CREDENTIALS: usize = 1 << 16;
/// Room for this many pages.
const PAGES: usize = 1 << 13;

/// Failing answers an hour, and at a stroke, that do not count: somebody clears out dead links,
/// or an application asks with every page for what is not there. Looking for hidden pages takes
/// thousands.
const FAILURES: u32 = 200;
/// Entries an hour, of either kind: an office behind one address logs in within it; a flood does
/// not fit.
const ENTRIES: u32 = 256;

/// Tells the clients that carry a void credential beside others from its own.
const BESIDE: u64 = 0x6265_7369_6465;

/// Minutes that an acceptance outlasts its last proof: a working day.
const ACCEPTED_FOR: u32 = 12 * 60;
/// Minutes that a page or a void credential is remembered.
const REMEMBERED_FOR: u32 = 24 * 60;

/// A longer target is no page.
const LONGEST_TARGET: usize = 1024;

/// What an answer says about whom it answers.
#[derive(Clone, Copy)]
enum Sense {
    Denied,
    Given,
    Nothing,
}

impl Default for Sessions {
    fn default() -> Self {
        Self::with_room(CREDENTIALS, PAGES)
    }
}

impl Sessions {
    fn with_room(credentials: usize, pages: usize) -> Self {
        Self {
            seed: Seed::default(),
            accepted: Table::new(credentials),
            is_used: AtomicBool::new(false),
            proven: AtomicU64::new(0),
            standings: Standings::new(credentials),
            pages: Pages::new(pages),
            failures: Budget::an_hour(FAILURES),
            denials: Budget::an_hour(ENTRIES),
            proofs: Budget::an_hour(ENTRIES),
        }
    }

    /// Whether the request carries a credential that was accepted for its client and is neither
    /// void nor shared. For judging the request, and for [`Sessions::learn`].
    pub fn carried<'c>(
        &self,
        place: &Whereabouts<'_>,
        credentials: &Credentials<'c, impl Iterator<Item = &'c [u8]> + Clone>,
        now: Timestamp,
    ) -> bool {
        if !self.is_used.load(Relaxed) {
            return false;
        }
        let (scope, client) = (self.scope(place), self.client(place));
        let minute = table::minute(now);
        let mut all = credentials.each(&self.seed);
        let is_known = all.any(|credential| {
            let credential = self.seed.join(credential, scope);
            let own = self.seed.join(credential, client);
            self.accepted.find(own, minute, ACCEPTED_FOR).is_some()
                && !self.standings.is_off(credential, minute)
        });
        is_known && credentials.are_few()
    }

    /// Learns from an upstream's answer, and says whether the request counts as a session's: what
    /// `was_carried` said, corrected by the answer itself. `is_plain` is asked rarely: whether
    /// nothing beside the target and the credential can have made the answer what it is (a body,
    /// a `Range`, a header that changes what is asked).
    pub fn learn<'c>(
        &self,
        place: &Whereabouts<'_>,
        credentials: &Credentials<'c, impl Iterator<Item = &'c [u8]> + Clone>,
        answered: &Answered<'_>,
        was_carried: bool,
        is_plain: impl FnOnce() -> bool,
        now: Timestamp,
    ) -> bool {
        let mut is_session = was_carried;
        let minute = table::minute(now);
        match sense(place, answered) {
            Sense::Denied if credentials.is_any() => {
                // What answers a POST may only mean a password that was typed wrong within a
                // good session.
                if is_read(answered) {
                    self.void(place, credentials, now);
                }
                is_session = false;
            }
            Sense::Denied => {
                if is_evidence(answered) && is_plain() {
                    let who = table::low(self.client(place));
                    let may_enter = || self.denials.spend(place.client, now);
                    let page = self.page(place, answered);
                    self.pages.denied(page, who, minute, may_enter);
                }
            }
            Sense::Given if !self.pages.are_known() => {}
            Sense::Given if credentials.is_any() => {
                let page = self.page(place, answered);
                if self.pages.is_protected(page, minute) && is_plain() {
                    self.accept(place, credentials, now);
                    is_session = self.carried(place, credentials, now);
                }
            }
            // What a stranger is given by a header or a body says nothing of the page.
            Sense::Given => {
                let page = self.page(place, answered);
                self.pages.given(page, minute, is_plain);
            }
            Sense::Nothing => {}
        }
        let failed = (400..500).contains(&answered.status);
        is_session && (!failed || self.failures.spend(place.client, now))
    }

    /// What was counted since the start.
    #[must_use]
    pub fn counters(&self) -> SessionCounters {
        let tables = self.accepted.evicted() + self.standings.evicted() + self.pages.evicted();
        SessionCounters {
            accepted: self.proven.load(Relaxed),
            protected: self.pages.protected(),
            voided: self.standings.voided(),
            shared: self.standings.shared(),
            over_budget: self.failures.overdrawn(),
            forgotten: self.denials.overdrawn() + self.proofs.overdrawn() + tables,
        }
    }

    /// Tells sites and hosts apart; a site may answer for hosts that a stranger makes up.
    fn scope(&self, place: &Whereabouts<'_>) -> u64 {
        let site = self.seed.text(place.site.as_bytes());
        self.seed.join(site, self.seed.text(place.host.as_bytes()))
    }

    fn client(&self, place: &Whereabouts<'_>) -> u64 {
        self.seed.address(0, place.client.counting_key())
    }

    fn page(&self, place: &Whereabouts<'_>, answered: &Answered<'_>) -> u64 {
        let kind = self.seed.text(login::kind_of_accept(answered.accept));
        let way = u64::from(answered.is_tls) | u64::from(answered.method == b"HEAD") << 1;
        let target = self.seed.join(self.seed.text(answered.target), kind ^ way);
        self.seed.join(target, self.scope(place))
    }

    /// These credentials opened a protected page.
    fn accept<'c>(
        &self,
        place: &Whereabouts<'_>,
        credentials: &Credentials<'c, impl Iterator<Item = &'c [u8]> + Clone>,
        now: Timestamp,
    ) {
        if !credentials.are_few() {
            return;
        }
        let (scope, client) = (self.scope(place), self.client(place));
        let minute = table::minute(now);
        let every = || {
            let of_scope = |credential| self.seed.join(credential, scope);
            credentials.each(&self.seed).map(of_scope)
        };
        let is_void = |credential: &u64| self.standings.is_void(*credential, minute);
        let sound = || every().filter(|credential| !is_void(credential));
        // All are counted before any is accepted: a shared session must not bring in others,
        // made up for the purpose, that come with it.
        let (mut is_shared, mut is_new) = (false, false);
        for credential in sound() {
            let own = self.seed.join(credential, client);
            if self.accepted.find(own, minute, ACCEPTED_FOR).is_none() {
                is_new = true;
                if !self.proofs.spend(place.client, now) {
                    return;
                }
                self.standings.count_client(credential, minute);
            }
            is_shared |= self.standings.is_off(credential, minute);
        }
        // Nor must one that was made void for the purpose: it may still be what opens the page.
        for credential in every().filter(|credential| is_new && is_void(credential)) {
            if !self.proofs.spend(place.client, now) {
                return;
            }
            let beside = self.seed.join(credential, BESIDE);
            is_shared |= self.standings.count_beside_void(beside, minute);
        }
        if is_shared {
            return;
        }
        for credential in sound() {
            let own = self.seed.join(credential, client);
            let is_new = self.accepted.put(own, 0, minute, |_| 0);
            self.proven.fetch_add(u64::from(is_new), Relaxed);
        }
        self.is_used.store(true, Relaxed);
    }

    /// These credentials were denied.
    fn void<'c>(
        &self,
        place: &Whereabouts<'_>,
        credentials: &Credentials<'c, impl Iterator<Item = &'c [u8]> + Clone>,
        now: Timestamp,
    ) {
        let (scope, client) = (self.scope(place), self.client(place));
        for credential in credentials.each(&self.seed) {
            let credential = self.seed.join(credential, scope);
            // What this client proved ends even where there is no room to remember why.
            self.accepted.remove(self.seed.join(credential, client));
            let may_enter = || self.denials.spend(place.client, now);
            self.standings
                .void(credential, table::minute(now), may_enter);
        }
    }
}

fn is_read(answered: &Answered<'_>) -> bool {
    answered.method == b"GET" || answered.method == b"HEAD"
}

fn sense(place: &Whereabouts<'_>, answered: &Answered<'_>) -> Sense {
    match answered.status {
        200 if is_read(answered) => Sense::Given,
        401 => Sense::Denied,
        302 | 303 | 307 if login::leads_to_login(answered.location, place.host) => Sense::Denied,
        _ => Sense::Nothing,
    }
}

/// Whether a denial can only come from the missing login: nothing that the client itself wrote
/// may be what makes a redirection look like one (`/x?login` is redirected to `/x/?login`).
fn is_evidence(answered: &Answered<'_>) -> bool {
    let wrote = [answered.target, answered.referer];
    is_read(answered)
        && answered.target.len() <= LONGEST_TARGET
        && !answered.target.contains(&b'%')
        && (answered.status == 401 || !wrote.into_iter().any(login::says_login))
}

#[cfg(test)]
mod tests;
