//! When entries are looked at: a wheel of seconds for those whose turn is near, and one of
//! pages of seconds for the others, so that an entry with hours to live is looked at twice
//! in them.
//!
//! Lazy: a pour only changes an entry's deadline, and the entry moves on when its turn
//! comes.

use super::entry::{Entry, WHEEL};
use super::list::List;

/// Seconds of the near wheel: two pages, so that all of a page's fit in whenever it comes.
const SECONDS: i64 = 2 * PAGE;
/// Seconds of a page.
const PAGE: i64 = 256;
/// Pages of the far wheel; later deadlines are looked at again.
const PAGES: i64 = 256;
/// In no slot.
pub(super) const NOWHERE: u16 = u16::MAX;

#[derive(Debug)]
pub(super) struct Wheel {
    /// Seconds, then pages.
    slots: Box<[List<WHEEL>]>,
    /// The next second; all before it were looked at.
    second: i64,
    /// The next page; all before it were spread over their seconds. Its first second is not
    /// before `second`, but for one that is spread right now.
    page: i64,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Turn {
    /// The entry's page comes: it is put into its second's slot.
    Spread(u32),
    /// The entry's second has passed: it goes, or is put into a later slot.
    Look(u32),
}

impl Wheel {
    pub(super) fn new() -> Self {
        Self {
            slots: (0..SECONDS + PAGES).map(|_| List::EMPTY).collect(),
            second: i64::MIN / 2,
            page: (i64::MIN / 2).div_euclid(PAGE),
        }
    }

    /// Skips what all slots were looked at for, after a long idleness.
    pub(super) fn skip(&mut self, target: i64) {
        self.second = self.second.max(target.saturating_sub(SECONDS));
        self.page = self.page.max(target.div_euclid(PAGE) - PAGES);
    }

    /// Whose turn is next before the second `target`. The entry stays where it is: whoever
    /// asks moves it.
    pub(super) fn due(&mut self, target: i64) -> Option<Turn> {
        while self.second < target {
            // Before the first of its seconds comes.
            while self.page * PAGE <= self.second + 1 {
                if let Some(at) = self.first(page_slot(self.page)) {
                    return Some(Turn::Spread(at));
                }
                self.page += 1;
            }
            if let Some(at) = self.first(second_slot(self.second)) {
                return Some(Turn::Look(at));
            }
            self.second += 1;
        }
        None
    }

    fn first(&self, slot: u16) -> Option<u32> {
        self.slots.get(usize::from(slot))?.first()
    }

    /// Puts an entry into the slot of its deadline, out of the one it is in.
    pub(super) fn put(&mut self, slab: &mut [Entry], at: u32) {
        self.remove(slab, at);
        let Some(entry) = slab.get_mut(at as usize) else {
            return;
        };
        // Never the slot that is being looked at: it would not come to an end.
        let due = entry.deadline.unix_seconds().max(self.second + 1);
        entry.slot = if due - self.second < SECONDS {
            second_slot(due)
        } else {
            page_slot(due.div_euclid(PAGE).min(self.page + PAGES - 1))
        };
        if let Some(list) = self.slots.get_mut(usize::from(entry.slot)) {
            list.push(slab, at);
        }
    }

    /// Takes an entry out of its slot.
    pub(super) fn remove(&mut self, slab: &mut [Entry], at: u32) {
        let Some(entry) = slab.get_mut(at as usize) else {
            return;
        };
        let slot = core::mem::replace(&mut entry.slot, NOWHERE);
        if let Some(list) = self.slots.get_mut(usize::from(slot)) {
            list.remove(slab, at);
        }
    }
}

fn second_slot(second: i64) -> u16 {
    u16::try_from(second.rem_euclid(SECONDS)).unwrap_or(NOWHERE)
}

fn page_slot(page: i64) -> u16 {
    u16::try_from(SECONDS + page.rem_euclid(PAGES)).unwrap_or(NOWHERE)
}
