//! Buffers that belong to a core and are lent to busy connections.
//!
//! Idle connections hold none. A buffer that comes back is kept up to a bound,
//! so that memory follows the number of busy connections, not of all.

use core::cell::RefCell;

/// The size that reads start with: most messages fit, and only touched pages count.
pub(crate) const SMALL: usize = 16 * 1024;
/// The size for bodies that fill small buffers.
pub(crate) const LARGE: usize = 64 * 1024;

/// For ciphertext: the longest record of TLS that may come (RFC 5246 §6.2.3: 18,437
/// bytes) fits, and so does the longest that we send.
pub(crate) const RECORD: usize = 20 * 1024;
/// For ciphertext: what was read into a large buffer, sealed, and the longest handshake
/// message that is taken.
pub(crate) const WIDE: usize = 68 * 1024;

const KEEP_SMALL: usize = 512;
const KEEP_LARGE: usize = 32;
const KEEP_RECORD: usize = 128;
const KEEP_WIDE: usize = 32;

/// The free buffers of a core.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    small: RefCell<Vec<Vec<u8>>>,
    large: RefCell<Vec<Vec<u8>>>,
    record: RefCell<Vec<Box<[u8]>>>,
    wide: RefCell<Vec<Box<[u8]>>>,
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

    /// For ciphertext, which is filled in place: all of it may be written to.
    pub(crate) fn record(&self) -> Box<[u8]> {
        let free = self.record.borrow_mut().pop();
        free.unwrap_or_else(|| vec![0; RECORD].into_boxed_slice())
    }

    pub(crate) fn wide(&self) -> Box<[u8]> {
        let free = self.wide.borrow_mut().pop();
        free.unwrap_or_else(|| vec![0; WIDE].into_boxed_slice())
    }

    /// Takes a buffer for ciphertext back.
    pub(crate) fn put_sealed(&self, buffer: Box<[u8]>) {
        let (pool, keep) = match buffer.len() {
            RECORD => (&self.record, KEEP_RECORD),
            WIDE => (&self.wide, KEEP_WIDE),
            _ => return,
        };
        let mut pool = pool.borrow_mut();
        if pool.len() < keep {
            pool.push(buffer);
        }
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
        for pool in [&self.record, &self.wide] {
            let mut pool = pool.borrow_mut();
            let keep = pool.len() / 2;
            pool.truncate(keep);
        }
    }
}
