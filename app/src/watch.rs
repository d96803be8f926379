//! Detection on live traffic, on the edge's own cores.
//!
//! Each core has a seat: the program and a scratch to run it with. A request is
//! looked at and poured while its answer's head is in hand and unsent, so that what
//! it decides governs the client's next request. An ordinary request costs one
//! uncontended lock for the seat and one for each bucket shard it pours into.
//!
//! **Refuses:** to count what the book refused, so that a ban cannot feed on its own
//! refusals; what the codec and the gate's rules refuse is an event of another kind. **On failure:** a rule that fails is counted by the program.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use detect::bucket::Seed;
use detect::explain::Definition;
use detect::overflow::Overflow;
use detect::program::after::Settled;
use detect::program::{Program, Scratch};
use detect::rules::Fault;
use detect::shard::{Counts, Limits, Mode, Realm, Shards};
use respond::Volume;
use vocab::{HttpEvent, Refusal, RefusedBy, Timestamp};

use crate::bookkeeper::Bookkeeper;
use crate::hosts::Hosts;
use crate::inquiry::{Inquiries, Names, Parked, Tally};
use crate::now;
use crate::rulebook::Rulebook;

/// From when a site's volume rules bar.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SiteVolume {
    /// From this time on.
    EnforcedFrom(Timestamp),
    /// Never: the site only observes.
    ObservedOnly,
}

/// Watches what the edge answers.
pub struct Watch {
    seats: Box<[Mutex<Seat>]>,
    shards: Shards,
    rules: ArcSwap<Rules>,
    bookkeeper: Arc<Bookkeeper>,
    seed: Seed,
    /// Where overflows wait for names, once there is somebody to ask.
    inquiries: OnceLock<Inquiries>,
    /// The hosts that rules name.
    hosts: OnceLock<Hosts>,
    /// What was counted with rules that a reload has replaced: events and errors.
    before: (AtomicU64, AtomicU64),
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch")
            .field("seats", &self.seats.len())
            .finish_non_exhaustive()
    }
}

/// What is looked at.
#[derive(Clone, Copy)]
enum Looked<'e> {
    /// A request that was answered.
    Answer(&'e HttpEvent<'e>),
    /// A refusal of ours, which scenarios may count: whoever is refused again and
    /// again for what no browser sends is an attacker.
    Refusal(&'e Refusal<'e>),
}

/// One core's place.
struct Seat {
    program: Arc<Program>,
    scratch: Scratch,
    overflows: Vec<Overflow>,
}

/// What a reload replaces.
#[derive(Debug)]
struct Rules {
    program: Arc<Program>,
    faults: Vec<Fault>,
    scenarios: usize,
    sites: HashMap<String, SiteVolume>,
}

impl Rules {
    fn new(rulebook: &Rulebook, sites: &[(String, SiteVolume)]) -> Self {
        Self {
            program: Arc::clone(&rulebook.program),
            faults: rulebook.faults.clone(),
            scenarios: rulebook.scenarios(),
            sites: sites.iter().cloned().collect(),
        }
    }
}

impl Watch {
    /// A watch with a seat for each of `cores`.
    #[must_use]
    pub fn new(
        rulebook: &Rulebook,
        cores: usize,
        bookkeeper: Arc<Bookkeeper>,
        sites: &[(String, SiteVolume)],
    ) -> Self {
        let seed = seed();
        let program = &rulebook.program;
        let seat = || Mutex::new(Seat::new(program, seed, &bookkeeper));
        Self {
            seats: (0..cores.max(1)).map(|_| seat()).collect(),
            shards: Shards::new(program.specs(), Limits::default(), Mode::Live),
            rules: ArcSwap::from_pointee(Rules::new(rulebook, sites)),
            bookkeeper,
            seed,
            inquiries: OnceLock::new(),
            hosts: OnceLock::new(),
            before: <(AtomicU64, AtomicU64)>::default(),
        }
    }

    /// Runs other rules from the next request on. Buckets of unchanged scenarios live on.
    pub fn replace(&self, rulebook: &Rulebook, sites: &[(String, SiteVolume)]) {
        self.shards.reload(rulebook.program.specs());
        if let Some(hosts) = self.hosts.get() {
            hosts.want(rulebook.program.hosts());
        }
        for seat in &self.seats {
            let mut fresh = Seat::new(&rulebook.program, self.seed, &self.bookkeeper);
            self.open_to_the_network(&mut fresh.scratch, true);
            let mut seat = seat.lock().unwrap_or_else(PoisonError::into_inner);
            let left = std::mem::replace(&mut *seat, fresh).scratch.counted();
            // Who reads in between misses these for a moment.
            self.before.0.fetch_add(left.events, Ordering::Relaxed);
            self.before.1.fetch_add(left.errors, Ordering::Relaxed);
        }
        self.rules.store(Arc::new(Rules::new(rulebook, sites)));
    }

    /// Takes other sites with the rules as they are.
    pub fn replace_sites(&self, sites: &[(String, SiteVolume)]) {
        let before = self.rules.load();
        self.rules.store(Arc::new(Rules {
            program: Arc::clone(&before.program),
            faults: before.faults.clone(),
            scenarios: before.scenarios,
            sites: sites.iter().cloned().collect(),
        }));
    }

    /// Lets time pass: counters that are due overflow, dead buckets are freed.
    pub fn advance(&self) {
        let mut overflows: Vec<Overflow> = Vec::new();
        self.shards.advance(now(), &mut overflows);
        if let (false, Some(seat)) = (overflows.is_empty(), self.seats.first()) {
            let mut seat = seat.lock().unwrap_or_else(PoisonError::into_inner);
            let Seat {
                program, scratch, ..
            } = &mut *seat;
            self.raise(&mut overflows, program, scratch);
        }
    }

    /// Rules that were left out.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        self.rules.load().faults.clone()
    }

    /// What a scenario that runs says; `None` when it does not run any more.
    #[must_use]
    pub fn definition(&self, name: &str) -> Option<Definition> {
        self.rules.load().program.definition(name)
    }

    /// How many scenarios run.
    #[must_use]
    pub fn scenarios(&self) -> usize {
        self.rules.load().scenarios
    }

    /// What the buckets hold.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shards.counts()
    }

    /// Events looked at, and expressions that failed, since the start.
    #[must_use]
    pub fn looked_at(&self) -> (u64, u64) {
        let counted = self.seats.iter().map(|seat| {
            seat.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .scratch
                .counted()
        });
        let before = (&self.before.0, &self.before.1);
        let before = (
            before.0.load(Ordering::Relaxed),
            before.1.load(Ordering::Relaxed),
        );
        counted.fold(before, |sum, one| (sum.0 + one.events, sum.1 + one.errors))
    }

    /// How far the site of an event enforces. What belongs to no site (a fault before the
    /// host was known) is judged as where most is enforced: an attack is one wherever it is
    /// sent. An installation that only observes everywhere bars for nothing.
    fn volume(&self, site: &str, time: Timestamp) -> Volume {
        let rules = self.rules.load();
        if let Some(site) = rules.sites.get(site) {
            return volume(*site, time);
        }
        let sites = rules.sites.values();
        sites
            .map(|site| volume(*site, time))
            .min_by_key(|volume| realm(*volume) as u8)
            .unwrap_or(Volume::Observe)
    }

    /// Looks at something on a core's seat and pours what it says.
    fn look(&self, core: usize, site: &str, time: Timestamp, what: Looked<'_>) {
        let Some(seat) = self.seats.get(core % self.seats.len().max(1)) else {
            return;
        };
        let mut seat = seat.lock().unwrap_or_else(PoisonError::into_inner);
        let Seat {
            program,
            scratch,
            overflows,
        } = &mut *seat;
        if program.specs().is_empty() {
            return;
        }
        let mut seen = match what {
            Looked::Answer(event) => program.observe(event, scratch),
            Looked::Refusal(refusal) => program.refused(refusal, scratch),
        };
        if seen.pours.is_empty() {
            return;
        }
        let pours = seen.pours;
        let realm = realm(self.volume(site, time));
        let occurrence = &mut seen.occurrence;
        self.shards
            .apply_within(realm, program.specs(), pours, occurrence, time, overflows);
        if !overflows.is_empty() {
            self.raise(overflows, program, scratch);
        }
    }

    #[cold]
    fn raise(&self, overflows: &mut Vec<Overflow>, program: &Arc<Program>, scratch: &mut Scratch) {
        for overflow in overflows.drain(..) {
            let give = &mut |settled| self.settled(settled, program);
            program.settle(&self.shards, scratch, overflow, &[], give);
        }
    }

    /// Acts on an overflow that was judged, or lets it wait.
    fn settled(&self, settled: Settled, program: &Arc<Program>) {
        match settled {
            Settled::Done(overflow) => {
                let volume = volume_of(overflow.realm);
                for alert in overflow.alerts() {
                    self.bookkeeper.alert(alert, volume);
                }
            }
            Settled::Waits(overflow, query) => {
                if let Some(inquiries) = self.inquiries.get() {
                    inquiries.park(program, overflow, query);
                }
            }
        }
    }

    /// Has rules ask these for names from now on. The first call counts.
    pub fn answer_questions(self: &Arc<Self>, names: Arc<dyn Names>) {
        let watch = Arc::downgrade(self);
        let resume = move |parked: Parked| {
            if let Some(watch) = watch.upgrade() {
                watch.resume(parked);
            }
        };
        let hosts = Hosts::new(Arc::clone(&names));
        hosts.want(self.rules.load().program.hosts());
        let inquiries = Inquiries::new(names, Box::new(resume));
        if self.inquiries.set(inquiries).is_err() || self.hosts.set(hosts).is_err() {
            return;
        }
        for seat in &self.seats {
            let mut seat = seat.lock().unwrap_or_else(PoisonError::into_inner);
            self.open_to_the_network(&mut seat.scratch, true);
        }
    }

    /// Gives a scratch the hosts that rules name and, where it may still ask, the network:
    /// where there is somebody to ask.
    fn open_to_the_network(&self, scratch: &mut Scratch, may_ask: bool) {
        let Some(hosts) = self.hosts.get() else {
            return;
        };
        scratch.ask_hosts(hosts.view());
        if may_ask {
            scratch.ask_the_network();
        }
    }

    /// Settles what has waited, on the program that it waited for.
    fn resume(&self, parked: Parked) {
        let program = Arc::clone(&parked.program);
        let mut scratch = Scratch::new(&program, self.seed);
        self.open_to_the_network(&mut scratch, !parked.enough);
        scratch.ask_the_book(self.bookkeeper.asked());
        let overflow = (*parked.overflow).clone();
        let mut settled = Vec::new();
        let give = &mut |one| settled.push(one);
        program.settle(&self.shards, &mut scratch, overflow, &parked.known, give);
        let mut settled = settled.into_iter();
        match settled.next() {
            // A rule asks for something else as well; its time goes on.
            Some(Settled::Waits(_, query)) => {
                if let Some(inquiries) = self.inquiries.get() {
                    inquiries.park_again(parked, query);
                }
            }
            Some(first) => self.settled(first, &program),
            None => {}
        }
        for one in settled {
            self.settled(one, &program);
        }
    }

    /// How questions to the network fared.
    #[must_use]
    pub fn inquiries(&self) -> Tally {
        self.inquiries
            .get()
            .map(Inquiries::tally)
            .unwrap_or_default()
    }
}

impl edge::Observer for Watch {
    fn http(&self, core: usize, event: &HttpEvent<'_>) {
        self.look(core, &event.site, event.time, Looked::Answer(event));
    }

    fn gathers(&self) -> bool {
        self.rules.load().scenarios > 0
    }

    fn is_exploit(&self, core: usize, event: &HttpEvent<'_>) -> bool {
        let Some(seat) = self.seats.get(core % self.seats.len().max(1)) else {
            return false;
        };
        let mut seat = seat.lock().unwrap_or_else(PoisonError::into_inner);
        let Seat {
            program, scratch, ..
        } = &mut *seat;
        program.is_exploit(event, scratch)
    }

    fn refused(&self, core: usize, refusal: &Refusal<'_>) {
        // What the book, a limit or a missing site refused says nothing new about the
        // source, and what was only observed went on to be an answered request.
        self.bookkeeper.refused(refusal);
        match refusal.by {
            RefusedBy::Codec | RefusedBy::Rule if !refusal.observed => {
                self.look(core, &refusal.site, refusal.time, Looked::Refusal(refusal));
            }
            RefusedBy::Codec
            | RefusedBy::Rule
            | RefusedBy::Book
            | RefusedBy::Limit
            | RefusedBy::Route => {}
        }
    }
}

impl Seat {
    fn new(program: &Arc<Program>, seed: Seed, bookkeeper: &Arc<Bookkeeper>) -> Self {
        let mut scratch = Scratch::new(program, seed);
        scratch.ask_the_book(bookkeeper.asked());
        Self {
            program: Arc::clone(program),
            scratch,
            overflows: Vec::new(),
        }
    }
}

fn volume(site: SiteVolume, time: Timestamp) -> Volume {
    match site {
        SiteVolume::EnforcedFrom(from) if time >= from => Volume::Enforce,
        SiteVolume::EnforcedFrom(_) => Volume::Observe,
        SiteVolume::ObservedOnly => Volume::ObserveAll,
    }
}

/// Sites that enforce differently share no bucket and no silence after an overflow: a source
/// could have its overflows at a site that only observes, and be unheard of at all others.
fn realm(volume: Volume) -> Realm {
    match volume {
        Volume::Enforce => Realm::First,
        Volume::Observe => Realm::Second,
        Volume::ObserveAll => Realm::Third,
    }
}

fn volume_of(realm: Realm) -> Volume {
    match realm {
        Realm::First => Volume::Enforce,
        Realm::Second => Volume::Observe,
        Realm::Third => Volume::ObserveAll,
    }
}

/// Attackers choose keys, so bucket hashes are keyed anew in every process.
fn seed() -> Seed {
    Seed::new(crate::random_id())
}

#[cfg(test)]
mod tests;
