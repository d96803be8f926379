//! Builtins that run a closure over a list.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::rc::Rc;

use crate::ast::Binary;
use crate::error::EvalError;
use crate::eval::access::{element, length};
use crate::eval::compare::ordering;
use crate::eval::{Frame, MAX_LIST, Outcome, Run, Scope, int, wrong};
use crate::functions;
use crate::node::{Each, EachKind, Node};
use crate::value::Value;

impl<'v> Run<'v> {
    pub(super) fn each(&self, each: &'v Each, scope: Scope<'_, 'v>) -> Outcome<Value<'v>> {
        let list = self.value(&each.list, scope)?;
        let len = length(&list).ok_or_else(|| wrong("a list function", &list))?;
        if len > MAX_LIST {
            return Err(EvalError::Limit("too long a list"));
        }
        let rounds = Rounds {
            run: self,
            each,
            list: &list,
            len,
            scope,
        };
        match each.kind {
            EachKind::All => rounds.first(false).map(|at| Value::Bool(at.is_none())),
            EachKind::None => rounds.first(true).map(|at| Value::Bool(at.is_none())),
            EachKind::Any => rounds.first(true).map(|at| Value::Bool(at.is_some())),
            EachKind::One => Ok(Value::Bool(rounds.hits()?.len() == 1)),
            EachKind::Count => Ok(int(rounds.hits()?.len())),
            EachKind::Filter => {
                let hits = rounds.hits()?.into_iter();
                Ok(Value::List(Rc::new(
                    hits.filter_map(|at| element(&list, at)).collect(),
                )))
            }
            EachKind::Find => {
                let at = rounds.first(true)?;
                Ok(at.and_then(|at| element(&list, at)).unwrap_or_default())
            }
            EachKind::FindIndex => Ok(rounds.first(true)?.map_or(Value::Int(-1), int)),
            EachKind::FindLast => {
                let at = rounds.hits()?.pop();
                Ok(at.and_then(|at| element(&list, at)).unwrap_or_default())
            }
            EachKind::FindLastIndex => Ok(rounds.hits()?.pop().map_or(Value::Int(-1), int)),
            EachKind::Map => Ok(Value::List(Rc::new(rounds.values()?))),
            EachKind::Sum => {
                let mut values = rounds.values()?.into_iter();
                let first = values.next().unwrap_or(Value::Int(0));
                values.try_fold(first, |sum, value| self.apply(Binary::Add, sum, value))
            }
            EachKind::GroupBy => rounds.groups(),
            EachKind::SortBy => rounds.sorted(),
            EachKind::Reduce => rounds.reduced(),
        }
    }
}

struct Rounds<'r, 'p, 'v> {
    run: &'r Run<'v>,
    each: &'v Each,
    list: &'r Value<'v>,
    len: usize,
    scope: Scope<'p, 'v>,
}

impl<'v> Rounds<'_, '_, 'v> {
    fn frame(&self, at: usize, accumulator: Value<'v>) -> Outcome<Frame<'_, 'v>> {
        self.run.budget.step(self.each.weight)?;
        Ok(Frame {
            value: element(self.list, at).unwrap_or_default(),
            index: at,
            accumulator,
            parent: self.scope,
        })
    }

    fn truth(&self, at: usize) -> Outcome<bool> {
        let frame = self.frame(at, Value::Nil)?;
        match &self.each.body {
            Some(body) => self.run.truth(body, Some(&frame)),
            None => match frame.value {
                Value::Bool(value) => Ok(value),
                other => Err(wrong("count", &other)),
            },
        }
    }

    /// The first element whose closure answers `wanted`.
    fn first(&self, wanted: bool) -> Outcome<Option<usize>> {
        for at in 0..self.len {
            if self.truth(at)? == wanted {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    fn hits(&self) -> Outcome<Vec<usize>> {
        let mut hits = Vec::new();
        for at in 0..self.len {
            if self.truth(at)? {
                hits.push(at);
            }
        }
        Ok(hits)
    }

    fn body(&self, frame: &Frame<'_, 'v>) -> Outcome<Value<'v>> {
        let value = match &self.each.body {
            Some(body) => self.run.value(body, Some(frame))?,
            None => frame.value.clone(),
        };
        if let Value::Str(Cow::Owned(text)) = &value {
            self.run.budget.bytes(text.len())?;
        }
        Ok(value)
    }

    fn values(&self) -> Outcome<Vec<Value<'v>>> {
        (0..self.len)
            .map(|at| self.body(&self.frame(at, Value::Nil)?))
            .collect()
    }

    fn groups(&self) -> Outcome<Value<'v>> {
        let mut groups: Vec<(Cow<'v, [u8]>, Vec<Value<'v>>)> = Vec::new();
        for at in 0..self.len {
            let frame = self.frame(at, Value::Nil)?;
            let key = match self.body(&frame)? {
                Value::Str(key) => key,
                other => Cow::Owned(functions::sprintf::shown(&other)),
            };
            self.run
                .budget
                .step(u32::try_from(groups.len()).unwrap_or(u32::MAX))?;
            match groups.iter_mut().find(|(known, _)| *known == key) {
                Some((_, group)) => group.push(frame.value),
                None => groups.push((key, vec![frame.value])),
            }
        }
        let groups = groups
            .into_iter()
            .map(|(key, group)| (key, Value::List(Rc::new(group))));
        Ok(Value::Map(Rc::new(groups.collect())))
    }

    fn sorted(&self) -> Outcome<Value<'v>> {
        let keys = self.values()?;
        let mut order: Vec<usize> = (0..self.len).collect();
        let descending = match &self.each.extra {
            Some(Node::Const(crate::Data::Text(order))) => &**order == b"desc",
            _ => false,
        };
        let none = Value::Nil;
        order.sort_by(|a, b| {
            let (a, b) = (keys.get(*a).unwrap_or(&none), keys.get(*b).unwrap_or(&none));
            let order = ordering(a, b).flatten().unwrap_or(Ordering::Equal);
            if descending { order.reverse() } else { order }
        });
        let sorted = order.into_iter().filter_map(|at| element(self.list, at));
        Ok(Value::List(Rc::new(sorted.collect())))
    }

    fn reduced(&self) -> Outcome<Value<'v>> {
        let mut accumulator = None;
        if let Some(start) = &self.each.extra {
            accumulator = Some(self.run.value(start, self.scope)?);
        }
        for at in 0..self.len {
            accumulator = Some(match accumulator {
                None => element(self.list, at).unwrap_or_default(),
                Some(so_far) => self.body(&self.frame(at, so_far)?)?,
            });
        }
        accumulator.ok_or(EvalError::Call {
            function: "reduce",
            reason: "the list is empty and no start is given",
        })
    }
}
