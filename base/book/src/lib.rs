//! The decision book: who is barred, throttled or let through whatever comes.
//!
//! The truth is an append-only log of [`Entry`]s; [`Book`] is its fold, and every
//! enforcer is a reader of it. [`admit()`] is the only door: nothing becomes a decision,
//! whoever asks, without passing it. Everything here is pure: times, identifiers and
//! resolved addresses are handed in, and what changed is handed back as [`Change`]s.
//!
//! One decision's way:
//!
//! ```text
//! Proposed ── admit(&proposed, id, &policy, &book, now) ──► Decision
//!    Decision ── author.entry(uuid, now, Op::Add(decision)) ──► Entry ──► the store's log
//!       Entry ── book.apply(&entry) ──► Applied { changes, … }
//!          changes ── published.publish(&changes) ──► the next request sees them
//!             now and then, on a worker: published.merge(now), published.forget(now)
//! ```
//!
//! | module | what is in it |
//! |---|---|
//! | [`entry`] | [`Entry`], [`Op`], [`NodeId`], [`Author`], [`Cursor`]: the log and positions in it |
//! | [`fold`] | [`Book`]: state, queries, history, bounds, expiry; [`Held`], a decision in it |
//! | [`allow`] | [`AllowItem`], [`AllowSubject`], [`Preset`]: allowlists; [`Protected`]: who is never barred |
//! | [`mod@admit`] | [`admit`](admit()), [`Proposed`], [`AdmitPolicy`], [`Refused`] |
//! | [`view`] | [`View`], [`Standing`], [`Hit`], [`Force`]: what the gate reads for every request |
//! | [`published`] | [`Published`]: the view that all cores share, changed while they read |
//!
//! Ranking: an allowlist beats all; then the strongest kind; then the latest `until`.
//!
//! IPv6: a decision covers exactly what its value says. Whoever proposes a decision about a
//! single IPv6 source proposes the `/64` as a [`vocab::Scope::Range`], since one subscriber
//! holds at least that; [`source_range`] makes it.

pub mod admit;
pub mod allow;
pub mod entry;
pub mod fold;
pub mod published;
pub mod view;

mod held;
mod interned;
mod ledger;
mod order;
mod past;
mod points;
mod ranges;
mod record;
mod resolved;
mod segments;
mod tombs;
mod wide;

pub use admit::{AdmitPolicy, Budget, Budgets, Proposed, Refused, admit};
pub use allow::{AllowItem, AllowSubject, Preset, Protected, Role};
pub use entry::{AllowId, Author, Cursor, Entry, EntryFault, EntryId, NodeId, Op};
pub use fold::{Applied, Book, Bounds, Counters, Filter, Past};
pub use held::Held;
pub use published::Published;
pub use view::{Change, Force, Hit, Standing, View};

use core::net::IpAddr;

use vocab::{Cidr, ClientAddr};

/// What a decision about one source covers: an IPv4 address whole, an IPv6 address by its /64.
#[must_use]
pub fn source_range(source: IpAddr) -> Cidr {
    let key = ClientAddr::new(source).counting_key();
    Cidr::new(key, if key.is_ipv4() { 32 } else { 64 }).unwrap_or_else(|| Cidr::host(source))
}
