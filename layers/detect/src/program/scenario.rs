//! Scenarios as the program asks them.

use expr::{EvalError, Expr, SlotId, Type};

use super::env::EventEnv;
use crate::bucket::{Owner, Pour, ScenarioId, Seed, text};
use crate::event::slot;
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
}

/// An expression that yields a text; most are a field and nothing else.
#[derive(Debug)]
pub(crate) enum Key {
    Slot(SlotId),
    Expression(Expr),
}

/// What a pour was made of, for `explain`.
#[derive(Debug, Default)]
pub(crate) struct Values {
    pub(crate) group: Option<String>,
    pub(crate) distinct: Option<String>,
}

impl Key {
    fn with<T>(
        &self,
        env: &mut EventEnv<'_>,
        take: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, EvalError> {
        match self {
            Self::Slot(slot) => Ok(take(env.event.text(*slot))),
            Self::Expression(expression) => {
                if expression.is_pure() && expression.ty() == Type::Text {
                    return expression.text(env).map(|text| take(&text));
                }
                let mut bytes = Vec::new();
                if evaluate(expression, env, &mut bytes)? {
                    return Ok(take(&bytes));
                }
                Err(EvalError::Type {
                    operation: "groupby",
                    found: "something that is no text",
                })
            }
        }
    }
}

impl Scenario {
    /// What the event says to this scenario's buckets. `group` stands for the source
    /// address while buckets are told apart: the /64 of a live IPv6 source.
    pub(crate) fn pour(
        &self,
        at: usize,
        env: &mut EventEnv<'_>,
        group: &Option<Vec<u8>>,
        seed: Seed,
        explain: bool,
    ) -> (Result<Pour, EvalError>, Values) {
        let mut values = Values::default();
        let swapped = group
            .as_ref()
            .map(|group| env.event.swap(slot::META_SOURCE_IP, group));
        let key = match &self.group {
            None => Ok(seed.key(b"")),
            Some(key) => key.with(env, |bytes| {
                if explain {
                    values.group = Some(text(bytes));
                }
                seed.key(bytes)
            }),
        };
        if let Some(swapped) = swapped {
            env.event.put_back(slot::META_SOURCE_IP, swapped);
        }
        let distinct = self.distinct.as_ref().map(|key| {
            key.with(env, |bytes| {
                if explain {
                    values.distinct = Some(text(bytes));
                }
                seed.distinct(bytes)
            })
        });
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

    pub(crate) fn scope_value(&self, env: &mut EventEnv<'_>) -> Option<Box<str>> {
        let mut bytes = Vec::new();
        let known = evaluate(self.scope.as_ref()?, env, &mut bytes).ok()?;
        (known && !bytes.is_empty()).then(|| text(&bytes).into_boxed_str())
    }
}
