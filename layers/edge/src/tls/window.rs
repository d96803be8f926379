//! Ciphertext on its way in or out.

use crate::buffer::{Buffers, RECORD, WIDE};

/// Bytes up to this many move to a place of their own size before a long wait.
const FEW: usize = 1024;

/// The filled part of a lent buffer; without anything in it, no buffer either.
#[derive(Debug, Default)]
pub(crate) struct Window {
    bytes: Box<[u8]>,
    from: usize,
    to: usize,
}

impl Window {
    pub(crate) fn is_empty(&self) -> bool {
        self.from == self.to
    }

    pub(crate) fn len(&self) -> usize {
        self.to - self.from
    }

    pub(crate) fn capacity(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn filled(&self) -> &[u8] {
        self.bytes.get(self.from..self.to).unwrap_or_default()
    }

    pub(crate) fn filled_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.from..self.to).unwrap_or_default()
    }

    /// The room behind what is filled.
    pub(crate) fn spare(&mut self) -> &mut [u8] {
        if self.from > 0 {
            self.bytes.copy_within(self.from..self.to, 0);
            self.to -= self.from;
            self.from = 0;
        }
        self.bytes.get_mut(self.to..).unwrap_or_default()
    }

    /// The first `count` bytes of the spare room were filled.
    pub(crate) fn add(&mut self, count: usize) {
        self.to += count.min(self.bytes.len() - self.to);
    }

    /// The first `count` bytes were used up.
    pub(crate) fn discard(&mut self, count: usize) {
        self.from += count.min(self.len());
        if self.is_empty() {
            (self.from, self.to) = (0, 0);
        }
    }

    /// Makes room for `count` more bytes, however many that are.
    pub(crate) fn reserve(&mut self, count: usize, buffers: &Buffers) {
        if self.spare().len() >= count {
            return;
        }
        let bytes = match self.len() + count {
            need if need <= RECORD => buffers.record(),
            need if need <= WIDE => buffers.wide(),
            need => vec![0; need].into_boxed_slice(),
        };
        self.move_to(bytes, buffers);
    }

    /// Before a wait: gives an empty buffer back, and moves a few bytes out of a large
    /// one, so that what a slow peer costs follows what it sent.
    pub(crate) fn rest(&mut self, buffers: &Buffers) {
        match self.len() {
            0 => self.clear(buffers),
            few if few <= FEW && self.capacity() > FEW => {
                self.move_to(vec![0; few].into_boxed_slice(), buffers);
            }
            _ => {}
        }
    }

    /// Forgets what is in it, and gives the buffer back.
    pub(crate) fn clear(&mut self, buffers: &Buffers) {
        if !self.bytes.is_empty() {
            buffers.put_sealed(core::mem::take(self).bytes);
        }
    }

    fn move_to(&mut self, mut bytes: Box<[u8]>, buffers: &Buffers) {
        let filled = self.filled();
        if let Some(place) = bytes.get_mut(..filled.len()) {
            place.copy_from_slice(filled);
        }
        let to = filled.len();
        let old = core::mem::replace(self, Self { bytes, from: 0, to });
        buffers.put_sealed(old.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_keep_their_order_while_the_buffer_under_them_changes() {
        let buffers = Buffers::default();
        let mut window = Window::default();
        let (mut next_in, mut next_out) = (0_u8, 0_u8);
        for (put, take) in [
            (10, 3),
            (2000, 1),
            (30_000, 20),
            (1, 31_000),
            (90_000, 5),
            (0, 90_982),
        ] {
            window.reserve(put, &buffers);
            for place in window.spare().iter_mut().take(put) {
                *place = next_in;
                next_in = next_in.wrapping_add(1);
            }
            window.add(put);
            window.rest(&buffers);
            for byte in window.filled().iter().take(take) {
                assert_eq!(*byte, next_out);
                next_out = next_out.wrapping_add(1);
            }
            window.discard(take);
        }
        assert!(window.is_empty());
        window.rest(&buffers);
        assert_eq!(window.capacity(), 0, "an empty window holds no buffer");
    }

    #[test]
    fn a_few_bytes_do_not_keep_a_large_buffer() {
        let buffers = Buffers::default();
        let mut window = Window::default();
        window.reserve(1, &buffers);
        assert_eq!(window.capacity(), RECORD);
        window.add(22);
        window.rest(&buffers);
        assert_eq!(window.capacity(), 22);
        window.reserve(1, &buffers);
        assert_eq!((window.capacity(), window.len()), (RECORD, 22));
    }
}
