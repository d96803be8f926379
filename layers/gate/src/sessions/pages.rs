//! Which pages show who is logged in: those that deny everybody else.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use super::table::{Held, Table};

/// How a page stands; above ten bits that tell who was denied first.
const ONCE: u32 = 1 << 10;
const PROTECTED: u32 = 2 << 10;
/// It was both denied and given to somebody without credentials.
const FICKLE: u32 = 3 << 10;
const WHO: u32 = (1 << 10) - 1;

/// Minutes that a page is remembered after it was last denied or given.
const REMEMBERED_FOR: u32 = super::REMEMBERED_FOR;

#[derive(Debug)]
pub(super) struct Pages {
    table: Table,
    /// So that sites without logins pay nothing.
    is_used: AtomicBool,
    protected: AtomicU64,
}

impl Pages {
    pub(super) fn new(room: usize) -> Self {
        Self {
            table: Table::new(room),
            is_used: AtomicBool::new(false),
            protected: AtomicU64::new(0),
        }
    }

    /// Whether any page was ever seen to deny somebody.
    pub(super) fn are_known(&self) -> bool {
        self.is_used.load(Relaxed)
    }

    pub(super) fn is_protected(&self, page: u64, minute: u32) -> bool {
        let held = self.table.find(page, minute, REMEMBERED_FOR);
        held.is_some_and(|held| state(held) == PROTECTED)
    }

    /// A page denied somebody (`who` tells clients apart) without credentials. A new one is only
    /// taken in when `may_enter` says so.
    pub(super) fn denied(
        &self,
        page: u64,
        who: u32,
        minute: u32,
        may_enter: impl FnOnce() -> bool,
    ) {
        let before = self.table.find(page, minute, REMEMBERED_FOR);
        let mark = match before {
            None if !may_enter() => return,
            None => ONCE | who & WHO,
            Some(held) if state(held) == ONCE && held.mark & WHO != who & WHO => {
                self.protected.fetch_add(1, Relaxed);
                PROTECTED
            }
            Some(held) => held.mark,
        };
        self.table.put(page, mark, minute, worth);
        self.is_used.store(true, Relaxed);
    }

    /// A page was given to somebody without credentials. Counts when `is_plain` says that
    /// nothing else can have made it so.
    pub(super) fn given(&self, page: u64, minute: u32, is_plain: impl FnOnce() -> bool) {
        if self.table.find(page, minute, REMEMBERED_FOR).is_some() && is_plain() {
            self.table.put(page, FICKLE, minute, worth);
        }
    }

    /// How often a page was found to be protected.
    pub(super) fn protected(&self) -> u64 {
        self.protected.load(Relaxed)
    }

    pub(super) fn evicted(&self) -> u64 {
        self.table.evicted()
    }
}

fn state(held: Held) -> u32 {
    held.mark & !WHO
}

/// Made-up pages that were denied once go first.
fn worth(held: Held) -> u32 {
    match state(held) {
        ONCE => 0,
        FICKLE => 1,
        _ => 2,
    }
}
