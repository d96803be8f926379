//! The open connections of one core, and how each is told to stop.
//!
//! Purpose: deadlines and bans without a timer or a `select` per request. Every
//! connection has a [`Line`]; whoever wants to stop it sets its [`Cut`] and wakes
//! it, and every wait of the connection looks at the cut first. Deadlines are
//! cells that the core's sweep compares with its tick.
//! Assumes: one thread. Bounded by the connection cap.

use core::cell::{Cell, RefCell};
use core::net::IpAddr;
use core::task::{Context, Waker};
use core::time::Duration;
use std::rc::Rc;

use vocab::ClientAddr;

use crate::barred::Sources;

/// How often deadlines are compared.
pub(crate) const TICK: Duration = Duration::from_millis(200);

/// Why a connection must stop what it is waiting for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cut {
    /// The deadline of the current phase has passed.
    Expired,
    /// The body moves too slowly while the edge is under pressure.
    TooSlow,
    /// Its source was barred.
    Barred,
    /// It was idle, or one handshake of many, and its place is needed.
    Evicted,
    /// The edge is draining and the connection is idle.
    Draining,
}

/// What a connection is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    /// A TLS handshake, from its first byte on.
    Handshake,
    /// Accepted; its first request has not begun, nor has a handshake.
    Fresh,
    /// Waiting for another request.
    Idle,
    /// Reading a head.
    Head,
    /// Between a head and the end of its answer.
    Exchange,
    /// A tunnel after an upgrade.
    Tunnel,
}

/// What a ban has in store for a connection whose answer was in hand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    None,
    /// The answer may be sent in one go.
    LastWord,
    /// It had its go.
    Sealed,
}

/// One open connection as the rest of its core sees it.
#[derive(Debug)]
pub(crate) struct Line {
    /// Whose connection it is: the peer's, or whom the peer introduced.
    owner: Cell<IpAddr>,
    /// Whether that is a trusted proxy: then only `client` names the source.
    proxied: Cell<bool>,
    /// Whether a balancer said that it speaks for itself: then it names nobody.
    alone: Cell<bool>,
    /// Whom the current exchange or tunnel belongs to.
    pub(crate) client: Cell<IpAddr>,
    /// Whether the site it talked to last enforces bans.
    pub(crate) enforced: Cell<bool>,
    phase: Cell<Phase>,
    deadline: Cell<u32>,
    /// Body bytes moved since the last rate check.
    moved: Cell<u64>,
    /// Whether the exchange waits for the client to send or to take bytes.
    owes: Cell<bool>,
    /// Whether it did so at the last rate check already.
    owed: Cell<bool>,
    cut: Cell<Option<Cut>>,
    /// Whether an answer is in hand that the observer hears of, and nothing of it was sent.
    in_hand: Cell<bool>,
    fate: Cell<Fate>,
    waker: RefCell<Option<Waker>>,
    slot: Cell<usize>,
}

impl Line {
    pub(crate) fn new(owner: IpAddr, proxied: bool, enforced: bool) -> Self {
        Self {
            owner: Cell::new(owner),
            proxied: Cell::new(proxied),
            alone: Cell::new(false),
            client: Cell::new(owner),
            enforced: Cell::new(enforced),
            phase: Cell::new(Phase::Idle),
            deadline: Cell::new(u32::MAX),
            moved: Cell::new(0),
            owes: Cell::new(false),
            owed: Cell::new(false),
            cut: Cell::new(None),
            in_hand: Cell::new(false),
            fate: Cell::new(Fate::None),
            waker: RefCell::new(None),
            slot: Cell::new(usize::MAX),
        }
    }

    /// The peer, a load balancer, says whose connection this is.
    pub(crate) fn introduce(&self, owner: IpAddr, proxied: bool) {
        self.owner.set(owner);
        self.proxied.set(proxied);
        self.client.set(owner);
    }

    /// The peer, a load balancer, says that the connection is its own.
    pub(crate) fn leave_alone(&self) {
        self.alone.set(true);
        self.proxied.set(false);
    }

    /// Takes note of whether the owner is a trusted proxy, after a reload.
    pub(crate) fn rejudge(&self, trusted: bool) {
        self.proxied.set(trusted && !self.alone.get());
    }

    pub(crate) fn owner(&self) -> IpAddr {
        self.owner.get()
    }

    /// Whether the owner, a load balancer, said that it speaks for itself.
    pub(crate) fn is_alone(&self) -> bool {
        self.alone.get()
    }

    pub(crate) fn proxied(&self) -> bool {
        self.proxied.get()
    }

    /// Looked at before every wait. Registers whom to wake.
    pub(crate) fn check(&self, cx: &Context<'_>) -> Result<(), Cut> {
        if let Some(cut) = self.cut.get() {
            return Err(cut);
        }
        match self.fate.get() {
            Fate::None => {}
            Fate::LastWord => self.fate.set(Fate::Sealed),
            Fate::Sealed => {
                self.cut.set(Some(Cut::Barred));
                return Err(Cut::Barred);
            }
        }
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|w| w.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        Ok(())
    }

    pub(crate) fn stop(&self, cut: Cut) {
        if self.cut.get().is_none_or(|old| old == Cut::Expired) {
            self.cut.set(Some(cut));
            if let Some(waker) = self.waker.borrow().as_ref() {
                waker.wake_by_ref();
            }
        }
    }

    /// Takes note of whether an answer is in hand and unsent, while the observer hears of it.
    pub(crate) fn set_in_hand(&self, is: bool) {
        self.in_hand.set(is);
    }

    /// Its source was barred. An answer that is in hand, the deciding request's own as a rule,
    /// goes as far as the client takes it at once; then the connection ends, without waiting
    /// for anybody's turn.
    pub(crate) fn bar(&self) {
        if !self.in_hand.get() {
            self.stop(Cut::Barred);
        } else if self.fate.get() == Fate::None {
            self.fate.set(Fate::LastWord);
        }
    }

    /// Takes note of an expired deadline so that an answer can still be sent.
    /// Any other cut stays.
    pub(crate) fn forgive(&self) {
        if matches!(self.cut.get(), Some(Cut::Expired | Cut::TooSlow)) {
            self.cut.set(None);
        }
    }

    /// A drain found a request waiting after all.
    pub(crate) fn forgive_drain(&self) {
        if self.cut.get() == Some(Cut::Draining) {
            self.cut.set(None);
        }
    }

    pub(crate) fn enter(&self, phase: Phase, deadline: u32) {
        self.phase.set(phase);
        self.deadline.set(deadline);
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase.get()
    }

    pub(crate) fn set_deadline(&self, deadline: u32) {
        self.deadline.set(deadline);
    }

    pub(crate) fn moved(&self, bytes: u64) {
        self.moved.set(self.moved.get().saturating_add(bytes));
    }

    /// Notes whether the client is the one that is waited for.
    pub(crate) fn set_owes(&self, owes: bool) {
        self.owes.set(owes);
    }

    /// Body bytes since the last call.
    pub(crate) fn take_moved(&self) -> u64 {
        self.moved.replace(0)
    }

    /// Whose standing decides: the client that was named, or else the owner.
    fn judged_as(&self) -> IpAddr {
        if self.proxied() {
            self.client.get()
        } else {
            self.owner()
        }
    }

    fn is_from(&self, sources: &Sources) -> bool {
        sources.contains(self.client.get()) || (!self.proxied() && sources.contains(self.owner()))
    }

    /// The exchange is over: behind a proxy the next one may be somebody else's.
    pub(crate) fn settle(&self) {
        self.owes.set(false);
        if self.fate.get() != Fate::None && self.cut.get().is_none() {
            self.cut.set(Some(Cut::Barred));
        }
        self.client.set(self.owner());
    }

    pub(crate) fn belongs_to(&self, client: ClientAddr) {
        self.client.set(client.0);
    }
}

/// All lines of a core.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    lines: RefCell<Vec<Option<Rc<Line>>>>,
    free: RefCell<Vec<usize>>,
    hand: Cell<usize>,
    /// A tick, and how many lines were looked at in it to find one of a client.
    looked: Cell<(u32, usize)>,
}

impl Registry {
    pub(crate) fn add(&self, line: &Rc<Line>) {
        let mut lines = self.lines.borrow_mut();
        let slot = self.free.borrow_mut().pop().unwrap_or(lines.len());
        line.slot.set(slot);
        match lines.get_mut(slot) {
            Some(place) => *place = Some(Rc::clone(line)),
            None => lines.push(Some(Rc::clone(line))),
        }
    }

    pub(crate) fn remove(&self, line: &Line) {
        let slot = line.slot.replace(usize::MAX);
        if let Some(place) = self.lines.borrow_mut().get_mut(slot)
            && place.take().is_some()
        {
            self.free.borrow_mut().push(slot);
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.lines.borrow().len() - self.free.borrow().len()
    }

    /// Stops every connection of some sources, but those of sites that only observe and of
    /// addresses in them that are `spared`; returns how many.
    pub(crate) fn bar(&self, sources: &Sources, spared: impl Fn(IpAddr) -> bool) -> u64 {
        let mut stopped = 0;
        self.each(|line| {
            if line.enforced.get() && line.is_from(sources) && !spared(line.judged_as()) {
                line.bar();
                stopped += 1;
            }
        });
        stopped
    }

    /// Stops idle connections, as drain wants it; who has just come may still ask
    /// until `until`.
    pub(crate) fn drain(&self, until: u32) {
        self.each(|line| match line.phase() {
            Phase::Idle => line.stop(Cut::Draining),
            Phase::Fresh => line.set_deadline(line.deadline.get().min(until)),
            Phase::Handshake | Phase::Head | Phase::Exchange | Phase::Tunnel => {}
        });
    }

    /// Makes room by stopping one idle connection near the clock's hand. Looks at
    /// a bounded number of places, so that a flood cannot make accepts dear.
    pub(crate) fn evict_one(&self) -> bool {
        const LOOK: usize = 64;
        let lines = self.lines.borrow();
        for step in 0..LOOK.min(lines.len()) {
            let at = (self.hand.get() + step) % lines.len();
            if let Some(Some(line)) = lines.get(at)
                && matches!(line.phase(), Phase::Idle | Phase::Fresh)
                && line.cut.get().is_none()
            {
                self.hand.set(at + 1);
                line.stop(Cut::Evicted);
                return true;
            }
        }
        self.hand.set(self.hand.get().wrapping_add(LOOK));
        false
    }

    /// Makes room for one more connection of `client` by stopping the one of its own
    /// that has been idle longest; whether there was one. A browser keeps six open
    /// after it has loaded a page, and takes it well when one is closed.
    ///
    /// Looking costs a pass over this core's lines. What all passes of a tick cost
    /// together is bounded, so that whoever opens connections without end gains nothing.
    pub(crate) fn evict_of(&self, client: IpAddr, tick: u32) -> bool {
        /// Lines looked at in one tick, by all passes.
        const LOOK: usize = 100_000;
        let (since, looked) = self.looked.get();
        let looked = if since == tick { looked } else { 0 };
        let lines = self.lines.borrow();
        if looked + lines.len() > LOOK.max(lines.len()) {
            return false;
        }
        self.looked.set((tick, looked + lines.len()));
        let idle = lines.iter().flatten().filter(|line| {
            line.phase() == Phase::Idle
                && line.cut.get().is_none()
                && !line.proxied.get()
                && ClientAddr(line.owner.get()).counting_key() == client
        });
        let longest = idle.min_by_key(|line| line.deadline.get());
        if let Some(line) = longest {
            line.stop(Cut::Evicted);
        }
        longest.is_some()
    }

    /// Stops what is overdue at `tick`.
    pub(crate) fn expire(&self, tick: u32) {
        self.each(|line| {
            if line.deadline.get() <= tick {
                line.stop(Cut::Expired);
            }
        });
    }

    /// Under pressure: brings idle deadlines forward to `idle_until`.
    pub(crate) fn shorten_idle(&self, idle_until: u32) {
        self.each(|line| {
            if line.phase() == Phase::Idle && line.deadline.get() > idle_until {
                line.deadline.set(idle_until);
            }
        });
    }

    /// Ends a rate window: when `pressed`, stops exchanges whose client was waited
    /// for at both its ends and moved less than `floor` bytes in between.
    pub(crate) fn check_rates(&self, pressed: bool, floor: u64) {
        self.each(|line| {
            let moved = line.take_moved();
            let owes = line.phase() == Phase::Exchange && line.owes.get();
            let owed = line.owed.replace(owes);
            if pressed && owes && owed && moved < floor {
                line.stop(Cut::TooSlow);
            }
        });
    }

    /// Counts of (idle, tunnel, other) lines.
    pub(crate) fn census(&self) -> (u64, u64, u64) {
        let (mut idle, mut tunnels, mut other) = (0, 0, 0);
        self.each(|line| match line.phase() {
            Phase::Idle | Phase::Fresh => idle += 1,
            Phase::Tunnel => tunnels += 1,
            Phase::Handshake | Phase::Head | Phase::Exchange => other += 1,
        });
        (idle, tunnels, other)
    }

    fn each(&self, mut visit: impl FnMut(&Line)) {
        for line in self.lines.borrow().iter().flatten() {
            visit(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(peer: &str, proxied: bool) -> Rc<Line> {
        Rc::new(Line::new(peer.parse().unwrap(), proxied, true))
    }

    fn of(range: &str) -> Sources {
        std::iter::once(range.parse().unwrap()).collect()
    }

    #[test]
    fn a_bar_stops_the_source_and_behind_a_proxy_only_the_client() {
        let registry = Registry::default();
        let (direct, other, proxy) = (
            line("192.0.2.1", false),
            line("192.0.2.9", false),
            line("10.0.0.1", true),
        );
        for one in [&direct, &other, &proxy] {
            registry.add(one);
        }
        proxy.belongs_to(ClientAddr::new("192.0.2.1".parse().unwrap()));
        assert_eq!(registry.bar(&of("192.0.2.1/32"), |_| false), 2);
        assert_eq!(direct.cut.get(), Some(Cut::Barred));
        assert_eq!(other.cut.get(), None);
        // a ban of the proxy itself must not cut its clients
        let second = line("10.0.0.1", true);
        second.belongs_to(ClientAddr::new("198.51.100.1".parse().unwrap()));
        registry.add(&second);
        let observed = Rc::new(Line::new("192.0.2.1".parse().unwrap(), false, false));
        registry.add(&observed);
        registry.bar(&of("192.0.2.1/32"), |_| false);
        assert_eq!(
            observed.cut.get(),
            None,
            "DENY: cut by a site that only observes"
        );
        registry.bar(&of("10.0.0.1/32"), |_| false);
        assert_eq!(second.cut.get(), None, "DENY: cut another's exchange");
    }

    #[test]
    fn a_barred_range_stops_nobody_in_it_who_is_allowed() {
        let registry = Registry::default();
        let (allowed, neighbour) = (line("2001:db8::5", false), line("2001:db8::6", false));
        for one in [&allowed, &neighbour] {
            registry.add(one);
        }
        let spared = |address: IpAddr| address == "2001:db8::5".parse::<IpAddr>().unwrap();
        assert_eq!(registry.bar(&of("2001:db8::/64"), spared), 1);
        assert_eq!(allowed.cut.get(), None, "locked out");
        assert_eq!(neighbour.cut.get(), Some(Cut::Barred), "DENY");
    }

    #[test]
    fn a_deciding_answer_goes_out_in_one_go_and_its_connection_ends_at_once() {
        let waker = Waker::noop();
        let cx = Context::from_waker(waker);
        let source = of("192.0.2.1/32");
        let registry = Registry::default();
        let (deciding, idle, slow) = (
            line("192.0.2.1", false),
            line("192.0.2.1", false),
            line("192.0.2.1", false),
        );
        for one in [&deciding, &idle, &slow] {
            registry.add(one);
        }
        deciding.set_in_hand(true);
        slow.set_in_hand(true);
        registry.bar(&source, |_| false);
        registry.bar(&source, |_| false);
        assert_eq!(idle.check(&cx), Err(Cut::Barred));
        deciding.set_in_hand(false);
        assert_eq!(deciding.check(&cx), Ok(()), "the answer is sent");
        deciding.settle();
        assert_eq!(
            deciding.check(&cx),
            Err(Cut::Barred),
            "DENY: waited for more"
        );
        slow.set_in_hand(false);
        assert_eq!(slow.check(&cx), Ok(()), "what the client takes at once");
        assert_eq!(slow.check(&cx), Err(Cut::Barred), "DENY: a long download");
    }

    #[test]
    fn places_are_reused_and_only_idle_lines_are_evicted() {
        let registry = Registry::default();
        let (a, b) = (line("192.0.2.1", false), line("192.0.2.2", false));
        registry.add(&a);
        registry.add(&b);
        registry.remove(&a);
        registry.remove(&a);
        assert_eq!(registry.len(), 1);
        registry.add(&a);
        assert_eq!((registry.len(), registry.lines.borrow().len()), (2, 2));
        a.enter(Phase::Exchange, 10);
        b.enter(Phase::Exchange, 10);
        assert!(!registry.evict_one());
        b.enter(Phase::Idle, 10);
        assert!(registry.evict_one());
        assert_eq!(b.cut.get(), Some(Cut::Evicted));
        registry.expire(9);
        assert_eq!(a.cut.get(), None);
        registry.expire(10);
        assert_eq!(a.cut.get(), Some(Cut::Expired));
    }

    #[test]
    fn who_has_too_many_loses_the_one_that_was_idle_longest() {
        let registry = Registry::default();
        let one = "192.0.2.1".parse().unwrap();
        let (busy, late, early) = (
            line("192.0.2.1", false),
            line("192.0.2.1", false),
            line("192.0.2.1", false),
        );
        let (other, proxy) = (line("192.0.2.2", false), line("192.0.2.1", true));
        for (line, phase, deadline) in [
            (&busy, Phase::Exchange, 1),
            (&late, Phase::Idle, 300),
            (&early, Phase::Idle, 200),
            (&other, Phase::Idle, 1),
            (&proxy, Phase::Idle, 1),
        ] {
            line.enter(phase, deadline);
            registry.add(line);
        }
        assert!(registry.evict_of(one, 1));
        assert_eq!(early.cut.get(), Some(Cut::Evicted));
        assert!(registry.evict_of(one, 1));
        assert_eq!(late.cut.get(), Some(Cut::Evicted));
        assert!(!registry.evict_of(one, 1), "nothing else of it is idle");
        for line in [&busy, &other, &proxy] {
            assert_eq!(line.cut.get(), None, "DENY: no other may pay for it");
        }
    }

    #[test]
    fn looking_for_idle_connections_is_bounded_in_each_tick() {
        let registry = Registry::default();
        let lines: Vec<_> = (0..1_000).map(|_| line("192.0.2.1", false)).collect();
        for line in &lines {
            registry.add(line);
        }
        let found = |tick| {
            let client = "192.0.2.1".parse().unwrap();
            (0..500).filter(|_| registry.evict_of(client, tick)).count()
        };
        assert_eq!(found(1), 100);
        assert_eq!(found(2), 100);
    }

    #[test]
    fn slow_bodies_are_cut_only_under_pressure() {
        let registry = Registry::default();
        let slow = line("192.0.2.1", false);
        slow.enter(Phase::Exchange, u32::MAX);
        registry.add(&slow);
        slow.set_owes(true);
        for _ in 0..3 {
            slow.moved(10);
            registry.check_rates(false, 1000);
            assert_eq!(slow.cut.get(), None, "DENY: cut for slowness alone");
        }
        slow.set_owes(false);
        registry.check_rates(true, 1000);
        assert_eq!(slow.cut.get(), None, "DENY: cut for a slow upstream");
        slow.set_owes(true);
        registry.check_rates(true, 1000);
        assert_eq!(slow.cut.get(), None, "DENY: cut before a whole window");
        slow.moved(2000);
        registry.check_rates(true, 1000);
        assert_eq!(slow.cut.get(), None, "fast enough");
        slow.moved(10);
        registry.check_rates(true, 1000);
        assert_eq!(slow.cut.get(), Some(Cut::TooSlow));
    }
}
