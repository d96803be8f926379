//! What one core owns and its connections share; nothing of it leaves the thread.

use core::cell::{Cell, RefCell};
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use tokio::sync::Notify;
use vocab::{Cidr, ClientAddr, Refusal, RefusedBy, Timestamp};

use crate::barred::Sources;
use crate::batch::Batch;
use crate::buffer::Buffers;
use crate::counters::Counters;
use crate::handshake::Places;
use crate::log::CoreLog;
use crate::observe::Observer;
use crate::registry::{Line, Registry};
use crate::route::Plan;
use crate::upstream::Pools;

/// What all cores and the handle share.
pub(crate) struct Shared {
    pub(crate) gate: Arc<gate::Gate>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) plan: ArcSwap<Plan>,
    /// Client connections open on all cores.
    pub(crate) open: AtomicUsize,
    /// Upstreams that failed lately, shared so that one core's lesson serves all.
    pub(crate) health: crate::upstream::Health,
    /// Seeds what is told of credentials and accounts, so that nobody can find them by guessing.
    pub(crate) secret: RandomState,
}

/// What the handle tells a core, beside whom it bars.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    /// Stop accepting, close what is idle, let the rest finish.
    Drain,
    /// End now.
    Abort,
}

/// A core's letter box: bounded by merging, never by blocking.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    waiting: Mutex<Waiting>,
    /// Whether sources wait to be barred, so that asking costs a load.
    bars: AtomicBool,
    pub(crate) arrived: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    barred: Vec<Cidr>,
    others: Vec<Order>,
}

/// Beyond this many that wait sources are dropped: each is in the book already, so the
/// next request of its connections is refused all the same.
const MOST_BARRED: usize = 4096;

impl Orders {
    pub(crate) fn send(&self, order: Order) {
        self.lock().others.push(order);
        self.arrived.notify_one();
    }

    /// Has the open connections of `source` end.
    pub(crate) fn bar(&self, source: Cidr) {
        let mut waiting = self.lock();
        if waiting.barred.len() < MOST_BARRED {
            waiting.barred.push(source);
        }
        self.bars.store(true, Ordering::Relaxed);
        drop(waiting);
        self.arrived.notify_one();
    }

    /// Whom to bar, and what else to do.
    pub(crate) fn take(&self) -> (Sources, Vec<Order>) {
        let mut waiting = self.lock();
        self.bars.store(false, Ordering::Relaxed);
        let Waiting { barred, others } = core::mem::take(&mut *waiting);
        drop(waiting);
        (barred.into_iter().collect(), others)
    }

    /// Whether a ban of this address waits to be carried out.
    fn bars(&self, address: IpAddr) -> bool {
        let is_barred = || {
            let waiting = self.lock();
            waiting.barred.iter().any(|range| range.contains(address))
        };
        self.bars.load(Ordering::Relaxed) && is_barred()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// One core.
pub(crate) struct Core {
    pub(crate) number: usize,
    pub(crate) shared: Arc<Shared>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) registry: Registry,
    /// Lent to its TLS connections too, which outlive a borrow.
    pub(crate) buffers: Rc<Buffers>,
    pub(crate) heads: Heads,
    pub(crate) pools: Pools,
    pub(crate) batch: Batch,
    pub(crate) orders: Arc<Orders>,
    pub(crate) log: Option<CoreLog>,
    /// Through whom requests come; copied for readers once a second.
    pub(crate) arrivals: RefCell<crate::arrivals::Table>,
    pub(crate) draining: Cell<bool>,
    /// TLS handshakes under way.
    pub(crate) handshakes: RefCell<Places<Rc<Line>>>,
    tick: Cell<u32>,
    seed: u64,
    issued: Cell<u64>,
}

impl Core {
    pub(crate) fn new(
        number: usize,
        shared: Arc<Shared>,
        counters: Arc<Counters>,
        orders: Arc<Orders>,
        log: Option<CoreLog>,
    ) -> Rc<Self> {
        Rc::new(Self {
            number,
            shared,
            counters,
            registry: Registry::default(),
            buffers: Rc::default(),
            heads: Heads::default(),
            pools: Pools::default(),
            batch: Batch::default(),
            orders,
            log,
            arrivals: RefCell::default(),
            draining: Cell::new(false),
            handshakes: RefCell::default(),
            tick: Cell::new(0),
            seed: RandomState::new().hash_one(number),
            issued: Cell::new(0),
        })
    }

    pub(crate) fn plan(&self) -> Arc<Plan> {
        self.shared.plan.load_full()
    }

    /// The tick at which `wait` ticks from now are surely over.
    pub(crate) fn deadline(&self, wait: u32) -> u32 {
        self.tick.get().saturating_add(wait).saturating_add(1)
    }

    pub(crate) fn tick(&self) -> u32 {
        self.tick.get()
    }

    pub(crate) fn set_tick(&self, tick: u32) {
        self.tick.set(tick);
    }

    /// A number that names a request: unique within this process, unpredictable
    /// enough not to be guessed from another, and never zero.
    pub(crate) fn request_id(&self) -> u64 {
        let count = self.issued.get().wrapping_add(1);
        self.issued.set(count);
        // splitmix64's finaliser is a bijection, so ids of one core never repeat.
        let mut id = self
            .seed
            .wrapping_add(count.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        id = (id ^ (id >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        id = (id ^ (id >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (id ^ (id >> 31)).max(1)
    }

    /// Has a connection end with the answer in hand when its source was barred for what the
    /// observer has just heard. The core's own turn at its orders may come many tasks later.
    /// A trusted proxy's connection is not its client's.
    pub(crate) fn heed_bars(&self, line: &Line) {
        if !self.orders.bars(line.owner()) || !line.enforced.get() || line.proxied() {
            return;
        }
        let (gate, now) = (&self.shared.gate, now());
        if !gate.is_paused(now) && !gate.is_allowed(ClientAddr::new(line.owner()), now) {
            line.bar();
        }
    }

    /// Whether the edge is close to its connection cap.
    pub(crate) fn pressed(&self, plan: &Plan) -> bool {
        let open = self.shared.open.load(Ordering::Relaxed);
        open.saturating_mul(100)
            >= plan
                .limits
                .connections
                .saturating_mul(usize::from(plan.limits.pressure_percent))
    }

    /// Tells the observer and the counters of a refusal.
    pub(crate) fn refused(&self, refused: &Refused<'_>) {
        self.counters.refusal(refused.by, refused.rule);
        self.shared.observer.refused(
            self.number,
            &Refusal {
                time: refused.time,
                client: refused.client,
                site: refused.site.into(),
                by: refused.by,
                rule: refused.rule.into(),
                status: refused.status,
                request_id: refused.request_id,
                observed: refused.observed,
                foreign: refused.foreign,
            },
        );
    }
}

/// A refusal on its way to the observer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refused<'a> {
    pub(crate) time: Timestamp,
    pub(crate) client: ClientAddr,
    pub(crate) site: &'a str,
    pub(crate) by: RefusedBy,
    pub(crate) rule: &'a str,
    pub(crate) status: u16,
    pub(crate) request_id: u64,
    pub(crate) observed: bool,
    pub(crate) foreign: bool,
}

/// The wall clock.
pub(crate) fn now() -> Timestamp {
    let nanos = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
        });
    Timestamp::from_unix_nanos(nanos)
}

/// Reusable head indexes, so that parsing allocates nothing.
#[derive(Default)]
#[expect(
    clippy::vec_box,
    reason = "they are lent out one by one; a pointer moves cheaper than the index"
)]
pub(crate) struct Heads {
    requests: RefCell<Vec<Box<wire::RequestHead>>>,
    responses: RefCell<Vec<Box<wire::ResponseHead>>>,
}

const KEEP_HEADS: usize = 256;

impl Heads {
    pub(crate) fn request(&self) -> Box<wire::RequestHead> {
        self.requests.borrow_mut().pop().unwrap_or_default()
    }

    pub(crate) fn put_request(&self, mut head: Box<wire::RequestHead>) {
        head.clear();
        let mut free = self.requests.borrow_mut();
        if free.len() < KEEP_HEADS {
            free.push(head);
        }
    }

    pub(crate) fn response(&self) -> Box<wire::ResponseHead> {
        self.responses.borrow_mut().pop().unwrap_or_default()
    }

    pub(crate) fn put_response(&self, mut head: Box<wire::ResponseHead>) {
        head.clear();
        let mut free = self.responses.borrow_mut();
        if free.len() < KEEP_HEADS {
            free.push(head);
        }
    }
}
