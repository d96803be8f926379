//! How credentials stand, whoever carries them: void, or shared by how many.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::table::{self, Held, Table};

/// Minutes that a void credential is remembered after it was last denied.
const VOID_FOR: u32 = super::REMEMBERED_FOR;
/// Minutes within which the clients of one credential are counted.
const COUNTED_FOR: u32 = 60;
/// Clients that one credential may have in this time.
const MOST_CLIENTS: u32 = 4;
/// Clients that may bring one void credential to their proofs in this time. Applications set
/// cookies with one value for everybody, which visitors carry to the login page and keep when
/// they are logged in: an office, or a small host's editors. A botnet doesn't fit.
const MOST_WITH_VOID: u32 = 64;

/// The mark of a void credential; others are numbers of clients.
const VOID: u32 = table::MOST_MARK;

#[derive(Debug)]
pub(super) struct Standings {
    table: Table,
    shared: AtomicU64,
    voided: AtomicU64,
}

impl Standings {
    pub(super) fn new(room: usize) -> Self {
        Self {
            table: Table::new(room),
            shared: AtomicU64::new(0),
            voided: AtomicU64::new(0),
        }
    }

    pub(super) fn is_void(&self, credential: u64, minute: u32) -> bool {
        let held = self.table.find(credential, minute, VOID_FOR);
        held.is_some_and(|held| held.mark == VOID)
    }

    /// Whether a credential exempts nobody now, because it is void or shared.
    pub(super) fn is_off(&self, credential: u64, minute: u32) -> bool {
        let held = self.table.find(credential, minute, VOID_FOR);
        held.is_some_and(|held| {
            held.mark == VOID || held.mark > MOST_CLIENTS && held.age <= COUNTED_FOR
        })
    }

    /// One more client proves itself by this credential. The hour begins with the first; once
    /// there are too many, it begins anew with each that still tries.
    pub(super) fn count_client(&self, credential: u64, minute: u32) {
        self.count(credential, minute, MOST_CLIENTS);
    }

    /// One more client proves itself while it carries this void credential, under a key of its
    /// own. Whether there are so many that it may be the credential which opens the page.
    pub(super) fn count_beside_void(&self, key: u64, minute: u32) -> bool {
        self.count(key, minute, MOST_WITH_VOID) > MOST_WITH_VOID
    }

    fn count(&self, credential: u64, minute: u32, most: u32) -> u32 {
        let held = self.table.find(credential, minute, COUNTED_FOR);
        let (before, age) = held.map_or((0, 0), |held| (held.mark, held.age));
        let count = (before + 1).min(most + 1);
        if before == most {
            self.shared.fetch_add(1, Relaxed);
        }
        let age = if count > most { 0 } else { age };
        let begun = table::earlier(minute, age);
        self.table.put(credential, count, begun, worth);
        count
    }

    /// A credential was denied. A new one is only taken in when `may_enter` says so.
    pub(super) fn void(&self, credential: u64, minute: u32, may_enter: impl FnOnce() -> bool) {
        let held = self.table.find(credential, minute, VOID_FOR);
        if held.is_none() && !may_enter() {
            return;
        }
        if held.is_none_or(|held| held.mark != VOID) {
            self.voided.fetch_add(1, Relaxed);
        }
        self.table.put(credential, VOID, minute, worth);
    }

    /// How often a credential was found shared by too many.
    pub(super) fn shared(&self) -> u64 {
        self.shared.load(Relaxed)
    }

    /// How many were found void.
    pub(super) fn voided(&self) -> u64 {
        self.voided.load(Relaxed)
    }

    pub(super) fn evicted(&self) -> u64 {
        self.table.evicted()
    }
}

/// Counts in force are kept over what is void, which strangers can add to.
fn worth(held: Held) -> u32 {
    u32::from(held.mark != VOID && held.age <= COUNTED_FOR)
}
