//! Scenarios as the program asks them.

use std::collections::HashMap;

use expr::{EvalError, Expr, SlotId, Type};

use super::env::EventEnv;
use crate::bucket::{Owner, Pour, ScenarioId, Seed, text};
use crate::event::slot;
use crate::explain::{Missed, named_in};
use crate::parse::evaluate;

/// A compiled scenario, as far as events are concerned.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) filter: Expr,
    pub(crate) group: Option<Key>,
    pub(crate) distinct: Option<Key>,
    pub(crate) cancel: Option<Expr>,
    pub(crate) scope: Option<Expr>,
    /// Whose buckets it pours into: its own place, or that of an earlier scenario with the
    /// same name and the same filter. Such scenarios share buckets, as in CrowdSec, and an
    /// event counts there once for each of them.
    pub(crate) pours_as: usize,
}

/// An expression that yields a text.
#[derive(Debug)]
pub(crate) struct Key {
    expression: Expr,
    /// The slot, where it is a field and nothing else.
    slot: Option<SlotId>,
    /// Scenarios with the same expression share a number, and so one hash an event.
    number: usize,
}

/// Numbers for the keys of a program.
#[derive(Debug, Default)]
pub(crate) struct Numbers(HashMap<String, usize>);

/// What was hashed of an event so far, by the numbers of keys.
#[derive(Debug, Default)]
pub(crate) struct Hashes {
    groups: Vec<Option<u128>>,
    distincts: Vec<Option<u64>>,
}

/// What is the same for all pours of an event.
#[derive(Debug)]
pub(crate) struct Pouring<'p> {
    /// Stands for the source address while buckets and values are told apart: the /64 of a
    /// live IPv6 source.
    pub(crate) group: Option<&'p [u8]>,
    pub(crate) seed: Seed,
    pub(crate) hashes: &'p mut Hashes,
    /// Room for texts that are put together to be hashed.
    pub(crate) room: &'p mut Vec<u8>,
    pub(crate) explain: bool,
}

/// What a pour was made of, for `explain`.
#[derive(Debug, Default)]
pub(crate) struct Values {
    pub(crate) group: Option<String>,
    pub(crate) distinct: Option<String>,
}

impl Hashes {
    /// Forgets all, for another event or a changed one.
    pub(crate) fn forget(&mut self) {
        self.groups.clear();
        self.distincts.clear();
    }
}

fn known<T: Copy>(hashes: &[Option<T>], number: usize) -> Option<T> {
    hashes.get(number).copied().flatten()
}

fn remember<T: Copy>(hashes: &mut Vec<Option<T>>, number: usize, hash: T) {
    if hashes.len() <= number {
        hashes.resize(number + 1, None);
    }
    if let Some(place) = hashes.get_mut(number) {
        *place = Some(hash);
    }
}

impl Key {
    pub(crate) fn new(expression: Expr, numbers: &mut Numbers) -> Self {
        let fresh = numbers.0.len();
        let number = *numbers
            .0
            .entry(expression.source().to_owned())
            .or_insert(fresh);
        Self {
            slot: expression
                .as_slot()
                .filter(|_| expression.ty() == Type::Text),
            expression,
            number,
        }
    }

    /// The expression as it is written.
    pub(crate) fn source(&self) -> &str {
        self.expression.source()
    }

    fn with<T>(
        &self,
        env: &mut EventEnv<'_>,
        room: &mut Vec<u8>,
        take: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, EvalError> {
        if let Some(slot) = self.slot {
            return Ok(take(env.event.text(slot)));
        }
        room.clear();
        if self.expression.is_pure() && self.expression.ty() == Type::Text {
            self.expression.write_text(env, room)?;
            return Ok(take(room));
        }
        if evaluate(&self.expression, env, room)? {
            return Ok(take(room));
        }
        Err(EvalError::Type {
            operation: "groupby",
            found: "something that is no text",
        })
    }
}

impl Scenario {
    /// What the event says to this scenario's buckets.
    pub(crate) fn pour(
        &self,
        at: usize,
        env: &mut EventEnv<'_>,
        pouring: &mut Pouring<'_>,
    ) -> (Result<Pour, EvalError>, Values) {
        let mut values = Values::default();
        let key = self.group_hash(env, pouring, &mut values);
        let distinct = self
            .distinct
            .as_ref()
            .map(|key| distinct_hash(key, env, pouring, &mut values));
        let cancel = self.cancel.as_ref().map(|cancel| cancel.run_truth(env));
        let pour = || {
            Ok(Pour {
                scenario: ScenarioId(u32::try_from(at).unwrap_or(u32::MAX)),
                key: key?,
                distinct: distinct.transpose()?,
                cancel: cancel.transpose()?.unwrap_or(false),
                // The program tells whose they are, once for all pours.
                owner: Owner::NOBODY,
            })
        };
        (pour(), values)
    }

    fn group_hash(
        &self,
        env: &mut EventEnv<'_>,
        pouring: &mut Pouring<'_>,
        values: &mut Values,
    ) -> Result<u128, EvalError> {
        let Some(key) = &self.group else {
            return Ok(pouring.seed.key(b""));
        };
        if let (Some(hash), false) = (known(&pouring.hashes.groups, key.number), pouring.explain) {
            return Ok(hash);
        }
        let swapped = pouring
            .group
            .map(|group| env.event.swap(slot::META_SOURCE_IP, group));
        let hash = key.with(env, pouring.room, |bytes| {
            if pouring.explain {
                values.group = Some(text(bytes));
            }
            pouring.seed.key(bytes)
        });
        if let Some(swapped) = swapped {
            env.event.put_back(slot::META_SOURCE_IP, swapped);
        }
        if let (Ok(hash), true) = (&hash, key.expression.is_pure()) {
            remember(&mut pouring.hashes.groups, key.number, *hash);
        }
        hash
    }

    /// Why its filter did not hold, for people.
    pub(crate) fn missed(&self, env: &EventEnv<'_>) -> Missed {
        let side = self.filter.untrue_side(env);
        Missed {
            side: side.to_owned(),
            fields: named_in(side, env.event, &env.ground.slots),
        }
    }

    pub(crate) fn scope_value(&self, env: &mut EventEnv<'_>) -> Option<Box<str>> {
        let mut bytes = Vec::new();
        let known = evaluate(self.scope.as_ref()?, env, &mut bytes).ok()?;
        (known && !bytes.is_empty()).then(|| text(&bytes).into_boxed_str())
    }
}

fn distinct_hash(
    key: &Key,
    env: &mut EventEnv<'_>,
    pouring: &mut Pouring<'_>,
    values: &mut Values,
) -> Result<u64, EvalError> {
    if let (Some(hash), false) = (
        known(&pouring.hashes.distincts, key.number),
        pouring.explain,
    ) {
        return Ok(hash);
    }
    // As in the group: one subscriber's addresses are one.
    let swapped = pouring
        .group
        .map(|group| env.event.swap(slot::META_SOURCE_IP, group));
    let hash = key.with(env, pouring.room, |bytes| {
        if pouring.explain {
            values.distinct = Some(text(bytes));
        }
        pouring.seed.distinct(bytes)
    });
    if let Some(swapped) = swapped {
        env.event.put_back(slot::META_SOURCE_IP, swapped);
    }
    if let (Ok(hash), true) = (&hash, key.expression.is_pure()) {
        remember(&mut pouring.hashes.distincts, key.number, *hash);
    }
    hash
}
