//! Values that many decisions have in common, kept once: a scenario's name, an origin.
//!
//! Numbered from 0, each with a count of its users; the last user takes it away. So what is
//! kept here is bounded by the decisions that name it.

use core::hash::Hash;
use std::collections::HashMap;
use std::sync::Arc;

/// Names nothing.
pub(crate) const NOTHING: u32 = u32::MAX;

#[derive(Debug)]
pub(crate) struct Interned<T: ?Sized> {
    /// Values are partly strangers' choice: std's seeded hash.
    known: HashMap<Arc<T>, u32>,
    held: Vec<Option<(Arc<T>, u32)>>,
    free: Vec<u32>,
}

impl<T: ?Sized> Default for Interned<T> {
    fn default() -> Self {
        Self {
            known: HashMap::new(),
            held: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T: ?Sized + Eq + Hash> Interned<T> {
    /// The number of `value`, one user more; made by `own` when it is new.
    pub(crate) fn take(&mut self, value: &T, own: impl FnOnce() -> Arc<T>) -> u32 {
        if let Some(at) = self.known.get(value).copied() {
            if let Some(Some((_, users))) = self.held.get_mut(at as usize) {
                *users += 1;
            }
            return at;
        }
        let value = own();
        let at = self.free.pop().unwrap_or_else(|| {
            self.held.push(None);
            u32::try_from(self.held.len() - 1).unwrap_or(NOTHING)
        });
        if let Some(place) = self.held.get_mut(at as usize) {
            *place = Some((Arc::clone(&value), 1));
        }
        self.known.insert(value, at);
        at
    }

    /// One user less.
    pub(crate) fn release(&mut self, at: u32) {
        let Some(place) = self.held.get_mut(at as usize) else {
            return;
        };
        match place {
            Some((_, users)) if *users > 1 => *users -= 1,
            Some((value, _)) => {
                self.known.remove(value);
                *place = None;
                self.free.push(at);
            }
            None => {}
        }
    }

    pub(crate) fn get(&self, at: u32) -> Option<&T> {
        let (value, _) = self.held.get(at as usize)?.as_ref()?;
        Some(value)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_kept_once_and_as_long_as_somebody_uses_it() {
        let mut texts = Interned::<str>::default();
        let take = |texts: &mut Interned<str>, text: &str| texts.take(text, || text.into());
        let one = take(&mut texts, "http-probing");
        let two = take(&mut texts, "http-bf");
        assert_eq!(take(&mut texts, "http-probing"), one);
        assert_ne!(one, two);
        texts.release(one);
        assert_eq!(texts.get(one), Some("http-probing"));
        texts.release(one);
        assert_eq!((texts.get(one), texts.len()), (None, 1));
        texts.release(one);
        texts.release(NOTHING);
        assert_eq!(
            take(&mut texts, "http-crawl"),
            one,
            "its place is used again"
        );
        assert_eq!(texts.get(two), Some("http-bf"));
    }
}
