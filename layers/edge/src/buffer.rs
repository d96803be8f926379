//! Buffers that belong to a core and are lent to busy connections.
//!
//! Idle connections hold none. A buffer that comes back is kept up to a bound,
//! so that memory follows the number of busy connections, not of all.

use core::cell::RefCell;

/// The size that reads start with: most messages fit, and only touched pages count.
pub(crate) const SMALL: usize = 16 * 1024;
/// The size for bodies that fill small buffers.
pub(crate) const LARGE: usize = 64 * 1024;

const KEEP_SMALL: usize = 512;
const KEEP_LARGE: usize = 32;

/// The free buffers of a core.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    small: RefCell<Vec<Vec<u8>>>,
    large: RefCell<Vec<Vec<u8>>>,
}

impl Buffers {
    pub(crate) fn small(&self) -> Vec<u8> {
        let free = self.small.borrow_mut().pop();
        free.unwrap_or_else(|| Vec::with_capacity(SMALL))
    }

    pub(crate) fn large(&self) -> Vec<u8> {
        let free = self.large.borrow_mut().pop();
        free.unwrap_or_else(|| Vec::with_capacity(LARGE))
    }

    /// Takes a buffer back. Odd sizes (grown for a long head) are freed.
    pub(crate) fn put(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let (pool, keep) = match buffer.capacity() {
            SMALL => (&self.small, KEEP_SMALL),
            LARGE => (&self.large, KEEP_LARGE),
            _ => return,
        };
        let mut pool = pool.borrow_mut();
        if pool.len() < keep {
            pool.push(buffer);
        }
    }

    /// Gives back what a burst left behind: half of what is free.
    pub(crate) fn shrink(&self) {
        for pool in [&self.small, &self.large] {
            let mut pool = pool.borrow_mut();
            let keep = pool.len() / 2;
            pool.truncate(keep);
        }
    }
}
