//! Expressions that change the event while they run.
//!
//! Everything evaluated here owns its values (or borrows them from the expression), since
//! the event may change between two of them. Parts without changes run as usual.

use std::borrow::Cow;

use crate::ast::Binary;
use crate::env::{Effect, Env};
use crate::error::EvalError;
use crate::eval::access::{element, length};
use crate::eval::{Budget, EnvRef, Frame, Outcome, Run, Scope, in_const, int, wrong};
use crate::functions::{kv, time};
use crate::json;
use crate::node::{Change, Each, EachKind, Node};
use crate::value::{Data, Value};

/// Whether changes stand only where their order is plain.
pub(crate) fn supported(node: &Node) -> bool {
    if !node.changes() {
        return true;
    }
    let here = match node {
        Node::Not(_)
        | Node::And(_)
        | Node::Or(_)
        | Node::Binary(..)
        | Node::TextIn(..)
        | Node::InConst(..)
        | Node::Condition(_)
        | Node::Let(_)
        | Node::Sequence(_) => true,
        Node::Change(_, args) => !args.iter().any(Node::changes),
        Node::Each(each) => {
            !each.list.changes()
                && matches!(
                    each.kind,
                    EachKind::Any
                        | EachKind::All
                        | EachKind::None
                        | EachKind::One
                        | EachKind::Count
                )
        }
        _ => false,
    };
    let mut below = true;
    node.children(&mut |child| below = below && supported(child));
    here && below
}

/// One evaluation that may change the event.
pub(crate) struct Changer<'e> {
    env: &'e mut dyn Env,
    budget: Budget,
}

fn owned(value: Value<'_>) -> Outcome<Value<'static>> {
    let kind = value.type_name();
    value.into_static().ok_or(EvalError::Type {
        operation: "keep beyond a change of the event",
        found: kind,
    })
}

impl<'e> Changer<'e> {
    pub(crate) fn new(env: &'e mut dyn Env) -> Self {
        Self {
            env,
            budget: Budget::full(),
        }
    }

    /// Runs `work` on the event as it is now.
    fn shared<T>(&mut self, work: impl FnOnce(&Run<'_>) -> Outcome<T>) -> Outcome<T> {
        let run = Run {
            env: EnvRef(&*self.env),
            budget: self.budget.clone(),
        };
        let result = work(&run);
        self.budget = run.budget;
        result
    }

    pub(crate) fn value<'p>(&mut self, node: &'p Node, scope: Scope<'_, 'p>) -> Outcome<Value<'p>> {
        if !node.changes() {
            let run = Run {
                env: EnvRef(&*self.env),
                budget: self.budget.clone(),
            };
            let result = run.value(node, scope).and_then(owned);
            let budget = run.budget;
            self.budget = budget;
            return result;
        }
        match node {
            Node::Change(change, args) => self.change(*change, args, scope),
            Node::Condition(three) => {
                let branch = if self.truth(&three[0], scope)? { 1 } else { 2 };
                self.value(&three[branch], scope)
            }
            Node::Let(two) => {
                let frame = self.bind(&two[0], scope)?;
                self.value(&two[1], Some(&frame))
            }
            Node::Sequence(parts) => {
                let mut last = Value::Nil;
                for part in parts {
                    last = self.value(part, scope)?;
                }
                Ok(last)
            }
            Node::Binary(Binary::Coalesce, two) => match self.value(&two[0], scope)? {
                Value::Nil => self.value(&two[1], scope),
                value => Ok(value),
            },
            Node::Binary(operator, two) => {
                let left = self.value(&two[0], scope)?;
                let right = self.value(&two[1], scope)?;
                self.shared(|run| owned(run.apply(*operator, left, right)?))
            }
            Node::InConst(of, set, others) => {
                let value = self.value(of, scope)?;
                Ok(Value::Bool(in_const(&value, set, others)))
            }
            Node::Each(each) => self.each(each, scope),
            _ => self.truth(node, scope).map(Value::Bool),
        }
    }

    fn bind<'p, 's>(&mut self, value: &'p Node, scope: Scope<'s, 'p>) -> Outcome<Frame<'s, 'p>> {
        Ok(Frame {
            value: self.value(value, scope)?,
            index: 0,
            accumulator: Value::Nil,
            parent: scope,
        })
    }

    pub(crate) fn truth<'p>(&mut self, node: &'p Node, scope: Scope<'_, 'p>) -> Outcome<bool> {
        if !node.changes() {
            let run = Run {
                env: EnvRef(&*self.env),
                budget: self.budget.clone(),
            };
            let result = run.truth(node, scope);
            let budget = run.budget;
            self.budget = budget;
            return result;
        }
        match node {
            Node::And(parts) => {
                for part in parts {
                    if !self.truth(part, scope)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Node::Or(parts) => {
                for part in parts {
                    if self.truth(part, scope)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Node::Not(of) => Ok(!self.truth(of, scope)?),
            Node::TextIn(of, set) => match self.value(of, scope)? {
                Value::Str(text) => Ok(set.has(&text)),
                other => Err(wrong("in", &other)),
            },
            Node::Condition(_)
            | Node::Let(_)
            | Node::Sequence(_)
            | Node::Binary(..)
            | Node::InConst(..)
            | Node::Each(_)
            | Node::Change(..) => match self.value(node, scope)? {
                Value::Bool(value) => Ok(value),
                other => Err(wrong("a condition", &other)),
            },
            _ => Err(EvalError::Effect),
        }
    }

    /// The next round from `from` on that must look at the event as it is then: the
    /// element, owned. Rounds that are decided without changes are skipped, as long as
    /// they answer `skip`.
    fn next_round<'p>(
        &mut self,
        each: &'p Each,
        scope: Scope<'_, 'p>,
        from: usize,
    ) -> Outcome<Option<(usize, Value<'p>)>> {
        let run = Run {
            env: EnvRef(&*self.env),
            budget: self.budget.clone(),
        };
        let found = skip_rounds(&run, each, scope, from);
        let found = match found {
            Ok(Some((at, value))) => owned(value).map(|value| Some((at, value))),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        let budget = run.budget;
        self.budget = budget;
        found
    }

    fn each<'p>(&mut self, each: &'p Each, scope: Scope<'_, 'p>) -> Outcome<Value<'p>> {
        let Some(body) = &each.body else {
            return Err(EvalError::Effect);
        };
        let (mut hits, mut rounds, mut at) = (0_usize, 0_usize, 0);
        while let Some((index, value)) = self.next_round(each, scope, at)? {
            let frame = Frame {
                value,
                index,
                accumulator: Value::Nil,
                parent: scope,
            };
            let hit = self.truth(body, Some(&frame))?;
            rounds += 1;
            hits += usize::from(hit);
            at = index + 1;
            let decided = match each.kind {
                EachKind::Any | EachKind::None => hit,
                EachKind::All => !hit,
                _ => false,
            };
            if decided {
                break;
            }
        }
        Ok(match each.kind {
            EachKind::Any => Value::Bool(hits > 0),
            EachKind::None => Value::Bool(hits == 0),
            EachKind::All => Value::Bool(hits == rounds),
            EachKind::One => Value::Bool(hits == 1),
            _ => int(hits),
        })
    }

    fn change<'p>(
        &mut self,
        change: Change,
        args: &'p [Node],
        scope: Scope<'_, 'p>,
    ) -> Outcome<Value<'p>> {
        let mut texts: [Value<'p>; 4] = Default::default();
        for (text, arg) in texts.iter_mut().zip(args) {
            *text = self.value(arg, scope)?;
        }
        let [first, second, third, fourth] = &texts;
        let text = |value: &'_ Value<'p>| match value {
            Value::Str(text) => Ok(text.clone()),
            other => Err(wrong("a function that changes the event", other)),
        };
        let (first, second): (Cow<'p, [u8]>, _) = (text(first)?, text(second)?);
        match change {
            Change::SetMeta | Change::SetParsed => {
                let (key, value) = (&*first, &*second);
                self.env.apply(if change == Change::SetMeta {
                    Effect::SetMeta { key, value }
                } else {
                    Effect::SetParsed { key, value }
                })?;
                Ok(Value::Bool(true))
            }
            Change::SetInStash => {
                let value = text(third)?;
                let ttl = match fourth {
                    Value::Duration(nanos) => Some(*nanos),
                    Value::Str(text) => Some(time::duration(text)?),
                    _ => None,
                };
                self.env.apply(Effect::Stash {
                    cache: &first,
                    key: &second,
                    value: &value,
                    ttl,
                })?;
                Ok(Value::Nil)
            }
            Change::UnmarshalJson(target) => {
                let data = json::parse(&first).map_err(|_| EvalError::Call {
                    function: "UnmarshalJSON",
                    reason: "the text is no JSON",
                })?;
                self.unmarshal(target, &second, data, false)
            }
            Change::ParseKv(target) => {
                let data = Data::Map(kv::strict(&first)?);
                self.unmarshal(target, &second, data, true)
            }
            Change::ParseKvLax(target) => {
                let data = Data::Map(kv::lax(&first)?);
                self.unmarshal(target, &second, data, true)
            }
        }
    }

    fn unmarshal<'p>(
        &mut self,
        target: crate::SlotId,
        key: &[u8],
        data: Data,
        merge: bool,
    ) -> Outcome<Value<'p>> {
        self.env.apply(Effect::Unmarshal {
            target,
            key,
            data,
            merge,
        })?;
        Ok(Value::Nil)
    }
}

/// Rounds whose closure is `condition ? change : constant` and whose condition is false
/// end without a change and, for `any`, say nothing: most rounds over a data file.
fn skip_rounds<'v>(
    run: &Run<'v>,
    each: &'v Each,
    scope: Scope<'_, 'v>,
    from: usize,
) -> Outcome<Option<(usize, Value<'v>)>> {
    let list = run.value(&each.list, scope)?;
    let len = length(&list).ok_or_else(|| wrong("a list function", &list))?;
    let silent = match each.kind {
        EachKind::All => true,
        EachKind::Any | EachKind::None | EachKind::One | EachKind::Count => false,
        _ => return Ok((from < len).then(|| (from, element(&list, from).unwrap_or_default()))),
    };
    let guard = match &each.body {
        Some(Node::Condition(three)) => match (&three[0], &three[2]) {
            (guard, Node::Const(Data::Bool(otherwise)))
                if *otherwise == silent && !guard.changes() =>
            {
                Some(guard)
            }
            _ => None,
        },
        _ => None,
    };
    for at in from..len {
        run.budget.step(each.weight)?;
        let frame = Frame {
            value: element(&list, at).unwrap_or_default(),
            index: at,
            accumulator: Value::Nil,
            parent: scope,
        };
        let skip = match guard {
            Some(guard) => !run.truth(guard, Some(&frame))?,
            None => false,
        };
        if !skip {
            return Ok(Some((at, frame.value)));
        }
    }
    Ok(None)
}
