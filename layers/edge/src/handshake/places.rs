//! The places for TLS handshakes, and who makes room when all are taken. Pure.
//!
//! **For.** Keeping clients that begin handshakes and stop from locking everybody else
//! out. While a place is free whoever comes has it, so an office behind one address may
//! take them all. When none is free, a client that holds a sixteenth of them has no more
//! than what its own oldest gives up, and one that holds more gives up to all others, at
//! once. **Refuses** a newcomer only when every place is held by a client with no more
//! than its share, and nobody has waited for a second. **Assumes** one thread, and keys by
//! which clients are counted (an address, or a /64). **Bounded** by the places; each call
//! takes logarithmic time, no client's handshakes are walked through. **On failure** (a
//! flood from a thousand keys, a thousand times a second) newcomers are refused.

use core::cmp::Reverse;
use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

/// Ticks after which a handshake has had its time: a second. It takes two round trips,
/// which are shorter than that from the other side of the world.
const PATIENCE: u32 = 5;
/// One in so many places is nobody's but its holder's, for that time.
const SHARE: usize = 16;

/// Whose handshake it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
enum Key {
    Client(IpAddr),
    /// One that a trusted proxy passed on: its clients are many, so each stands alone.
    Alone(u64),
}

#[derive(Debug)]
struct Held<T> {
    key: Key,
    since: u32,
    what: T,
}

/// There is no place for a newcomer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Full;

/// A place that was taken.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Taken<T> {
    /// To be released by it.
    pub(crate) number: u64,
    /// Who made room; has no place any more.
    pub(crate) displaced: Option<T>,
}

/// The handshakes under way on a core.
#[derive(Debug)]
pub(crate) struct Places<T> {
    /// By number, and so by age.
    held: BTreeMap<u64, Held<T>>,
    /// The numbers of each client, the oldest first.
    clients: HashMap<Key, VecDeque<u64>>,
    /// How many a client holds, and its oldest: the last holds most, and of those who do,
    /// its oldest is the oldest.
    order: BTreeSet<(usize, Reverse<u64>, Key)>,
    issued: u64,
}

impl<T> Default for Places<T> {
    fn default() -> Self {
        Self {
            held: BTreeMap::new(),
            clients: HashMap::new(),
            order: BTreeSet::new(),
            issued: 0,
        }
    }
}

impl<T> Places<T> {
    /// Takes one of `most` places for a client, or for somebody behind a trusted proxy
    /// (`None`), at `tick`.
    ///
    /// # Errors
    /// [`Full`], when nobody has to make room.
    pub(crate) fn take(
        &mut self,
        client: Option<IpAddr>,
        tick: u32,
        most: usize,
        what: T,
    ) -> Result<Taken<T>, Full> {
        let number = self.issued + 1;
        let key = client.map_or(Key::Alone(number), Key::Client);
        let displaced = if self.held.len() < most {
            None
        } else {
            let oldest = self.who_yields(key, tick, most).ok_or(Full)?;
            self.release(oldest)
        };
        self.issued = number;
        let since = tick;
        self.held.insert(number, Held { key, since, what });
        self.change(key, |numbers| numbers.push_back(number));
        Ok(Taken { number, displaced })
    }

    /// Gives a place back; nothing when it was given to somebody else.
    pub(crate) fn release(&mut self, number: u64) -> Option<T> {
        let held = self.held.remove(&number)?;
        self.change(held.key, |numbers| {
            if let Ok(at) = numbers.binary_search(&number) {
                numbers.remove(at);
            }
        });
        Some(held.what)
    }

    /// Whose place goes to a newcomer.
    fn who_yields(&self, newcomer: Key, tick: u32, most: usize) -> Option<u64> {
        let share = (most / SHARE).max(1);
        let had_its_time = |number: &u64| {
            let held = self.held.get(number);
            held.is_some_and(|held| tick.saturating_sub(held.since) >= PATIENCE)
        };
        let own = self.clients.get(&newcomer);
        let count = own.map_or(0, VecDeque::len);
        if count >= share {
            let first = own.and_then(VecDeque::front);
            return first.filter(|number| had_its_time(number)).copied();
        }
        let (highest, Reverse(of_highest), _) = *self.order.last()?;
        let (oldest, _) = self.held.first_key_value()?;
        if highest > share {
            Some(of_highest)
        } else if had_its_time(oldest) {
            Some(*oldest)
        } else {
            // So many at once from so many: those with least come first.
            (count + 1 < highest).then_some(of_highest)
        }
    }

    /// Changes a client's numbers, and its rank with them.
    fn change(&mut self, key: Key, change: impl FnOnce(&mut VecDeque<u64>)) {
        let rank = |numbers: &VecDeque<u64>| {
            let first = numbers.front()?;
            Some((numbers.len(), Reverse(*first), key))
        };
        let numbers = self.clients.entry(key).or_default();
        if let Some(old) = rank(numbers) {
            self.order.remove(&old);
        }
        change(numbers);
        match rank(numbers) {
            Some(new) => {
                self.order.insert(new);
            }
            None => {
                self.clients.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 64;
    const FAIR: usize = MOST / SHARE;

    /// Places whose holders are named by the number of their address.
    struct Hall(Places<u8>);

    impl Hall {
        fn new() -> Self {
            Self(Places::default())
        }

        /// One more of client `name`; who made room for it.
        fn come(&mut self, name: u8, tick: u32) -> Result<Option<u8>, Full> {
            let client = Some(IpAddr::from([198, 51, 100, name]));
            let taken = self.0.take(client, tick, MOST, name);
            self.check();
            taken.map(|taken| taken.displaced)
        }

        fn holds(&self, name: u8) -> usize {
            let all = self.0.held.values();
            all.filter(|held| held.what == name).count()
        }

        /// What is kept beside the places agrees with them.
        fn check(&self) {
            let Places {
                held,
                clients,
                order,
                ..
            } = &self.0;
            assert!(held.len() <= MOST);
            assert_eq!(clients.len(), order.len());
            let counted: usize = clients.values().map(VecDeque::len).sum();
            assert_eq!(held.len(), counted);
            for (count, Reverse(first), key) in order {
                assert_eq!(clients[key].len(), *count);
                assert_eq!(clients[key].front(), Some(first));
                assert!(clients[key].iter().all(|number| held[number].key == *key));
            }
        }
    }

    #[test]
    fn one_client_may_have_all_places_while_nobody_else_asks() {
        let mut hall = Hall::new();
        for _ in 0..MOST {
            assert_eq!(hall.come(1, 0), Ok(None));
        }
        assert_eq!(hall.come(1, 0), Err(Full), "they are all at it");
        assert_eq!(hall.come(1, PATIENCE), Ok(Some(1)), "one has stopped");
        assert_eq!(hall.holds(1), MOST);
    }

    #[test]
    fn eight_clients_that_stop_cannot_lock_a_ninth_out() {
        let mut hall = Hall::new();
        for at in 0..MOST as u8 {
            assert_eq!(hall.come(1 + at % 8, 0), Ok(None));
        }
        // DENY: more of the same, as fast as they like
        for name in 1..=8 {
            assert_eq!(hall.come(name, 0), Err(Full), "DENY");
        }
        for count in 1..=FAIR {
            let displaced = hall.come(9, 0).unwrap();
            assert!(displaced.is_some_and(|name| name < 9), "{displaced:?}");
            assert_eq!(hall.holds(9), count, "DENY: its own made room");
        }
        // nobody lost more than others, and what it has they do not get back later
        for name in 1..=8 {
            assert_eq!(hall.come(name, PATIENCE), Ok(Some(name)));
            assert!(hall.holds(name) >= 7, "{name}");
        }
        assert_eq!(hall.holds(9), FAIR, "DENY");
    }

    #[test]
    fn of_many_who_hold_little_the_one_that_waited_longest_makes_room() {
        let mut hall = Hall::new();
        for at in 0..MOST as u8 {
            hall.come(at, u32::from(at / 32)).unwrap();
        }
        assert_eq!(hall.come(99, 1), Err(Full), "nobody has had its time");
        assert_eq!(hall.come(99, PATIENCE), Ok(Some(0)));
        assert_eq!(hall.come(99, PATIENCE), Ok(Some(1)));
        // an office that is at it does not pay for a swarm that stops
        for _ in 0..2 {
            hall.come(100, PATIENCE).unwrap();
        }
        assert_eq!(hall.come(101, PATIENCE), Ok(Some(4)), "DENY");
        assert_eq!(hall.holds(100), 2);
    }

    #[test]
    fn in_a_storm_of_many_those_with_least_come_first() {
        let mut hall = Hall::new();
        for at in 0..MOST as u8 {
            assert_eq!(hall.come(at % 32, 0), Ok(None));
        }
        assert_eq!(hall.come(99, 0), Ok(Some(0)));
        assert_eq!(hall.come(99, 0), Err(Full), "as many as the others have");
    }

    #[test]
    fn whom_a_trusted_proxy_brings_does_not_pay_for_the_proxys_others() {
        let mut hall = Hall::new();
        for _ in 0..MOST - 8 {
            hall.0.take(None, 0, MOST, 200).unwrap();
        }
        for _ in 0..8 {
            hall.come(1, 0).unwrap();
        }
        assert_eq!(hall.come(2, 0), Ok(Some(1)), "DENY: the proxy's");
        let brought = hall.0.take(None, 0, MOST, 200).unwrap();
        assert_eq!(brought.displaced, Some(1));
    }

    #[test]
    fn a_place_is_given_back_once_and_not_by_who_lost_it() {
        let mut hall = Hall::new();
        let first = hall.0.take(None, 0, 1, 1).unwrap();
        let second = hall.0.take(None, PATIENCE, 1, 2).unwrap();
        assert_eq!(second.displaced, Some(1));
        assert_eq!(hall.0.release(first.number), None, "DENY");
        assert_eq!(hall.0.release(second.number), Some(2));
        assert_eq!(hall.0.release(second.number), None);
        hall.check();
        assert!(hall.0.held.is_empty() && hall.0.clients.is_empty());
        assert_eq!(
            hall.0.take(None, 0, 0, 1),
            Err(Full),
            "there is none at all"
        );
    }

    #[test]
    fn whatever_comes_and_goes_the_books_agree() {
        let mut hall = Hall::new();
        let mut numbers = Vec::new();
        let mut dice = 1_u64;
        for round in 0..20_000_u32 {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let [_, _, _, _, name, kind, ..] = dice.to_le_bytes();
            let client = IpAddr::from([203, 0, 113, name % 40 * (name % 3)]);
            match hall
                .0
                .take((kind % 8 > 0).then_some(client), round / 50, MOST, name)
            {
                Ok(taken) => numbers.push(taken.number),
                Err(Full) => assert_eq!(hall.0.held.len(), MOST),
            }
            if kind % 3 == 0 && !numbers.is_empty() {
                let at = usize::from(kind) % numbers.len();
                hall.0.release(numbers.swap_remove(at));
            }
            hall.check();
        }
    }
}
