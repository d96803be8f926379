//! The book from outside: fold, door, view and entries as their readers use them.
#![expect(missing_docs, reason = "tests say what they show by their names")]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod abuse;
mod door;
mod entries;
mod folding;
mod looking_up;
mod plainly;

use book::{Entry, EntryId, NodeId, Op, Proposed};
use core::time::Duration;
use vocab::{Decision, DecisionId, Kind, Origin, Scope, Timestamp};

pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(1_800_000_000 + seconds)
}

/// Marsaglia's xorshift64: the same numbers in every run.
#[derive(Debug)]
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = usize::try_from(self.below(last as u64 + 1)).unwrap();
            items.swap(last, other);
        }
    }
}

pub fn decision(id: u128, value: &str, kind: Kind, created: i64, until: i64) -> Decision {
    let scope = if value.contains('/') {
        Scope::Range
    } else {
        Scope::Ip
    };
    Decision {
        id: DecisionId(id),
        scope,
        value: value.to_owned(),
        kind,
        origin: Origin::Detection,
        reason: "crowdsecurity/http-probing".to_owned(),
        created: at(created),
        until: at(until),
    }
}

pub fn entry(node: u64, seq: u64, seconds: i64, op: Op) -> Entry {
    let uuid = EntryId(u128::from(node) << 64 | u128::from(seq));
    Entry {
        node: NodeId(node),
        epoch: 1,
        seq,
        uuid,
        at: at(seconds),
        op,
    }
}

pub fn proposed(value: &str, origin: Origin) -> Proposed {
    let scope = if value.contains('/') {
        Scope::Range
    } else {
        Scope::Ip
    };
    Proposed {
        scope,
        value: value.to_owned(),
        kind: Kind::Ban,
        origin,
        reason: "crowdsecurity/http-probing".to_owned(),
        lasts: Duration::from_secs(4 * 3_600),
    }
}
