//! Hosts that rules name, looked up before anybody asks.
//!
//! **For:** `LookupHost('home.example.org')` in a whitelist or a filter. An event cannot
//! wait for the network, so the names that rules spell out are looked up when the rules
//! are taken up and every [`REFRESH`] from then on, one after the other, by a thread of
//! their own that is started with the first name. **Refuses:** names made of what an event
//! says, which strangers write, and more than [`MOST`] of them. **Assumes:** the host's own
//! resolver may be believed, since the operator configured it. **On failure:** what was
//! found last stands for [`KEEP`], so that a resolver that fails for a moment locks nobody
//! out; after that the name has no address, since the old one may be a stranger's by now.

use std::collections::HashMap;
use std::fmt;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use detect::outside::{Answer, HostsView, Query};

use crate::inquiry::{Names, thread};

/// How often names are looked up again.
pub const REFRESH: Duration = Duration::from_secs(60);
/// How long an address counts when its name cannot be looked up any more.
pub const KEEP: Duration = Duration::from_secs(3_600);
/// How many names are looked up.
pub const MOST: usize = 64;

/// A name that was looked up.
#[derive(Clone, Debug)]
struct Known {
    answer: Arc<Answer>,
    /// When an address was found last, or the name looked up first.
    found: Instant,
}

type Table = Arc<RwLock<HashMap<Box<str>, Known>>>;

/// What rules see of it.
#[derive(Debug)]
struct View(Table);

impl HostsView for View {
    fn addresses(&self, name: &str) -> Option<Arc<Answer>> {
        let table = self.0.read().unwrap_or_else(PoisonError::into_inner);
        table.get(name).map(|known| Arc::clone(&known.answer))
    }
}

/// Looks up the hosts that rules name.
pub struct Hosts {
    names: Arc<dyn Names>,
    table: Table,
    wanted: Arc<Mutex<Vec<Box<str>>>>,
    refresh: Duration,
    /// Wakes the thread; with it gone, the thread ends.
    wake: Mutex<Option<SyncSender<()>>>,
}

impl fmt::Debug for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hosts").finish_non_exhaustive()
    }
}

impl Hosts {
    /// Hosts that are looked up by `names`.
    #[must_use]
    pub fn new(names: Arc<dyn Names>) -> Self {
        Self::fresh_for(names, REFRESH)
    }

    /// The same, looked up more often, for tests.
    #[must_use]
    pub fn fresh_for(names: Arc<dyn Names>, refresh: Duration) -> Self {
        Self {
            names,
            table: Table::default(),
            wanted: Arc::default(),
            refresh,
            wake: Mutex::new(None),
        }
    }

    /// What rules are given to ask.
    #[must_use]
    pub fn view(&self) -> Arc<dyn HostsView> {
        Arc::new(View(Arc::clone(&self.table)))
    }

    /// Looks up these names from now on, and no others.
    pub fn want(&self, names: &[Box<str>]) {
        if names.len() > MOST {
            tracing::warn!(
                named = names.len(),
                looked_up = MOST,
                "rules name more hosts by LookupHost than are looked up; the others have no address"
            );
        }
        let wanted: Vec<_> = names.iter().take(MOST).cloned().collect();
        let none = wanted.is_empty();
        *self.wanted.lock().unwrap_or_else(PoisonError::into_inner) = wanted;
        let mut wake = self.wake.lock().unwrap_or_else(PoisonError::into_inner);
        if wake.is_none() && !none {
            *wake = self.start();
        } else if let Some(wake) = &*wake {
            // Full: it is about to look already.
            let _woken = wake.try_send(());
        }
    }

    /// Starts the thread; nothing where the system gives none.
    fn start(&self) -> Option<SyncSender<()>> {
        let (wake, woken) = sync_channel(1);
        let (names, table, wanted) = (
            Arc::clone(&self.names),
            Arc::clone(&self.table),
            Arc::clone(&self.wanted),
        );
        let refresh = self.refresh;
        // Nobody waits for its end: its call to the resolver may hang.
        thread("hosts", move || {
            keep_fresh(&*names, &table, &wanted, refresh, &woken);
        })?;
        Some(wake)
    }
}

/// Looks names up until nobody is there to want any.
fn keep_fresh(
    names: &dyn Names,
    table: &Table,
    wanted: &Mutex<Vec<Box<str>>>,
    refresh: Duration,
    woken: &Receiver<()>,
) {
    loop {
        let now_wanted = wanted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        table
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|name, _| now_wanted.contains(name));
        for name in &now_wanted {
            let answer = names.answer(&Query::Host(name.clone()));
            learn(table, name, answer, Instant::now());
        }
        if let Err(RecvTimeoutError::Disconnected) = woken.recv_timeout(refresh) {
            return;
        }
    }
}

/// Takes an answer down; one without addresses leaves the last one standing for a while.
fn learn(table: &Table, name: &str, mut answer: Answer, now: Instant) {
    // Resolvers tell them in changing order.
    answer.sort_unstable();
    let mut table = table.write().unwrap_or_else(PoisonError::into_inner);
    let before = table.get_mut(name);
    if answer.is_empty() {
        match before {
            Some(known) if known.answer.is_empty() => return,
            Some(known) if now.saturating_duration_since(known.found) < KEEP => return,
            _ => tracing::warn!(
                name,
                "a rule asks for the addresses of this host, and it has none"
            ),
        }
    } else if let Some(known) = before
        && *known.answer == answer
    {
        known.found = now;
        return;
    } else {
        tracing::info!(name, addresses = %answer.join(" "), "a host that a rule names");
    }
    let known = Known {
        answer: Arc::new(answer),
        found: now,
    };
    table.insert(name.into(), known);
}

#[cfg(test)]
mod tests;
