//! Reaching into values: fields, elements, slices, methods.

use std::borrow::Cow;
use std::rc::Rc;

use crate::error::EvalError;
use crate::eval::{Outcome, Run, Scope, int, wrong};
use crate::functions;
use crate::node::Node;
use crate::value::{Data, Fields, Missing, Value};

/// What a step into a chain gave.
enum Step<'v> {
    Value(Value<'v>),
    /// A nil before `?.`: the whole chain is nil.
    Cut,
}

impl<'v> Run<'v> {
    pub(super) fn reach(&self, node: &'v Node, scope: Scope<'_, 'v>) -> Outcome<Value<'v>> {
        match self.step_into(node, scope)? {
            Step::Value(value) => Ok(value),
            Step::Cut => Ok(Value::Nil),
        }
    }

    fn step_into(&self, node: &'v Node, scope: Scope<'_, 'v>) -> Outcome<Step<'v>> {
        let (of, optional) = match node {
            Node::Chain(of) => return self.reach(of, scope).map(Step::Value),
            Node::Member { of, optional, .. }
            | Node::Index { of, optional, .. }
            | Node::Method { of, optional, .. } => (of, *optional),
            Node::Slice { of, .. } => (of, false),
            other => return self.value(other, scope).map(Step::Value),
        };
        let Step::Value(value) = self.step_into(of, scope)? else {
            return Ok(Step::Cut);
        };
        if optional && matches!(value, Value::Nil) {
            return Ok(Step::Cut);
        }
        let value = match node {
            Node::Member { name, .. } => member(&value, name),
            Node::Index { at, .. } => index(&value, &self.value(at, scope)?),
            Node::Slice { from, to, .. } => {
                let bound = |bound: &'v Option<Box<Node>>| {
                    bound
                        .as_ref()
                        .map(|node| whole(&self.value(node, scope)?))
                        .transpose()
                };
                self.slice(value, bound(from)?, bound(to)?)
            }
            Node::Method { name, args, .. } => {
                let args = args.iter().map(|arg| self.value(arg, scope));
                method(&value, name, &args.collect::<Outcome<Vec<_>>>()?)
            }
            _ => Ok(value),
        };
        value.map(Step::Value)
    }

    fn slice(&self, of: Value<'v>, from: Option<i64>, to: Option<i64>) -> Outcome<Value<'v>> {
        let len = match &of {
            Value::Str(text) => text.len(),
            other => length(other).ok_or_else(|| wrong("[:]", other))?,
        };
        let place = |bound: i64| {
            let size = i64::try_from(len).unwrap_or(i64::MAX);
            let bound = if bound < 0 {
                bound.saturating_add(size)
            } else {
                bound
            };
            usize::try_from(bound.clamp(0, size)).unwrap_or(0)
        };
        let to = to.map_or(len, place);
        let from = from.map_or(0, place).min(to);
        match of {
            Value::Str(Cow::Borrowed(text)) => {
                Ok(Value::from(text.get(from..to).unwrap_or_default()))
            }
            Value::Str(Cow::Owned(mut text)) => {
                text.truncate(to);
                text.drain(..from);
                Ok(Value::Str(Cow::Owned(text)))
            }
            Value::Lines(lines) => Ok(Value::Lines(lines.get(from..to).unwrap_or_default())),
            list => {
                self.budget
                    .step(u32::try_from(to - from).unwrap_or(u32::MAX))?;
                let part = (from..to).filter_map(|at| element(&list, at)).collect();
                Ok(Value::List(Rc::new(part)))
            }
        }
    }
}

/// The elements of a list-like value; `None` for anything else.
pub(crate) fn length(value: &Value<'_>) -> Option<usize> {
    match value {
        Value::List(list) => Some(list.len()),
        Value::Lines(lines) => Some(lines.len()),
        Value::Data(Data::List(list)) => Some(list.len()),
        Value::Tree(data) => match &**data {
            Data::List(list) => Some(list.len()),
            _ => None,
        },
        Value::Object(object) => object.len(),
        _ => None,
    }
}

/// The element at `at` of a list-like value.
pub(crate) fn element<'v>(value: &Value<'v>, at: usize) -> Option<Value<'v>> {
    match value {
        Value::List(list) => list.get(at).cloned(),
        Value::Lines(lines) => lines.get(at).map(|line| Value::from(&**line)),
        Value::Data(Data::List(list)) => list.get(at).map(Data::value),
        Value::Tree(data) => match &**data {
            Data::List(list) => list.get(at).map(Data::to_value),
            _ => None,
        },
        Value::Object(object) => object.element(at),
        _ => None,
    }
}

/// A map's value at `key`; `None` if it is no map, `Some(None)` if the key is missing.
pub(crate) fn entry<'v>(value: &Value<'v>, key: &[u8]) -> Option<Option<Value<'v>>> {
    match value {
        Value::Fields(fields) => Some(fields.get(key).map(Data::value)),
        Value::Map(entries) => {
            let found = entries.iter().rev().find(|(known, _)| **known == *key);
            Some(found.map(|(_, value)| value.clone()))
        }
        Value::Data(Data::Map(fields)) => Some(fields.get(key).map(Data::value)),
        Value::Tree(data) => match &**data {
            Data::Map(fields) => Some(fields.get(key).map(Data::to_value)),
            _ => None,
        },
        _ => None,
    }
}

/// A map's entries as pairs of values; `None` if it is no map.
pub(crate) fn entries<'v>(value: &Value<'v>) -> Option<Vec<(Value<'v>, Value<'v>)>> {
    fn borrowed<'v>(fields: &'v Fields) -> Vec<(Value<'v>, Value<'v>)> {
        let pairs = fields
            .iter()
            .map(|(key, data)| (Value::from(key), data.value()));
        pairs.collect()
    }
    match value {
        Value::Fields(fields) => Some(borrowed(fields)),
        Value::Data(Data::Map(fields)) => Some(borrowed(fields)),
        Value::Map(pairs) => {
            let pairs = pairs
                .iter()
                .map(|(key, value)| (Value::Str(key.clone()), value.clone()));
            Some(pairs.collect())
        }
        Value::Tree(data) => match &**data {
            Data::Map(fields) => {
                let pairs = fields
                    .iter()
                    .map(|(key, data)| (Value::owned(key), data.to_value()));
                Some(pairs.collect())
            }
            _ => None,
        },
        _ => None,
    }
}

fn missing(value: &Value<'_>) -> Value<'static> {
    let fields: Option<&Fields> = match value {
        Value::Fields(fields) => Some(fields),
        Value::Data(Data::Map(fields)) => Some(fields),
        Value::Tree(data) => match &**data {
            Data::Map(fields) => Some(fields),
            _ => None,
        },
        _ => None,
    };
    match fields.map(Fields::missing) {
        Some(Missing::Empty) => Value::from(""),
        _ => Value::Nil,
    }
}

/// `value.name`
pub(crate) fn member<'v>(value: &Value<'v>, name: &[u8]) -> Outcome<Value<'v>> {
    if let Some(found) = entry(value, name) {
        return Ok(found.unwrap_or_else(|| missing(value)));
    }
    match value {
        Value::Object(object) => object.field(name).ok_or_else(|| EvalError::Field {
            field: name.escape_ascii().take(64).map(char::from).collect(),
            of: object.type_name(),
        }),
        other => Err(wrong("a field", other)),
    }
}

/// `value[at]`
pub(crate) fn index<'v>(value: &Value<'v>, at: &Value<'_>) -> Outcome<Value<'v>> {
    if let Value::Str(key) = at {
        return member(value, key);
    }
    if let Value::Str(text) = value {
        let at = place(whole(at)?, text.len())?;
        return Ok(Value::Int(text.get(at).copied().map_or(0, i64::from)));
    }
    let len = length(value).ok_or_else(|| wrong("[]", value))?;
    let at = place(whole(at)?, len)?;
    element(value, at).ok_or_else(|| wrong("[]", value))
}

/// A position counted from the end when negative.
fn place(at: i64, len: usize) -> Outcome<usize> {
    let size = i64::try_from(len).unwrap_or(i64::MAX);
    let from_start = if at < 0 { at.saturating_add(size) } else { at };
    usize::try_from(from_start)
        .ok()
        .filter(|at| *at < len)
        .ok_or(EvalError::Index { index: at, len })
}

/// A whole number; fractions are cut, as Go's conversion does.
pub(crate) fn whole(value: &Value<'_>) -> Outcome<i64> {
    match value {
        Value::Int(value) => Ok(*value),
        Value::Float(value) => Ok(functions::number::cut(*value)),
        other => Err(wrong("an index", other)),
    }
}

fn method<'v>(of: &Value<'v>, name: &str, args: &[Value<'_>]) -> Outcome<Value<'v>> {
    match of {
        Value::Time(time) => functions::time::time_method(*time, name, args),
        Value::Duration(nanos) => functions::time::duration_method(*nanos, name),
        Value::Object(object) => match object.call(name, args) {
            Some(result) => result,
            None => Err(EvalError::Field {
                field: name.chars().take(64).collect(),
                of: object.type_name(),
            }),
        },
        other => Err(wrong("a method", other)),
    }
}

impl Data {
    /// A value that owns what it needs.
    pub(crate) fn to_value<'v>(&self) -> Value<'v> {
        match self {
            Self::Text(text) => Value::owned(&**text),
            Self::List(_) | Self::Map(_) => Value::Tree(Rc::new(self.clone())),
            Self::Nil => Value::Nil,
            Self::Bool(value) => Value::Bool(*value),
            Self::Int(value) => Value::Int(*value),
            Self::Float(value) => Value::Float(*value),
            Self::Time(time) => Value::Time(*time),
            Self::Duration(nanos) => Value::Duration(*nanos),
        }
    }
}

impl Value<'_> {
    /// An owned copy; `None` when an object is in it.
    #[must_use]
    pub fn to_data(&self) -> Option<Data> {
        Some(match self {
            Self::Nil => Data::Nil,
            Self::Bool(value) => Data::Bool(*value),
            Self::Int(value) => Data::Int(*value),
            Self::Float(value) => Data::Float(*value),
            Self::Str(text) => Data::Text((**text).into()),
            Self::Time(time) => Data::Time(*time),
            Self::Duration(nanos) => Data::Duration(*nanos),
            Self::List(list) => Data::List(list.iter().map(Value::to_data).collect::<Option<_>>()?),
            Self::Map(entries) => {
                let entries = entries
                    .iter()
                    .map(|(key, value)| Some(((**key).into(), value.to_data()?)));
                Data::Map(Fields::from_entries(
                    entries.collect::<Option<_>>()?,
                    Missing::Nil,
                ))
            }
            Self::Data(data) => (*data).clone(),
            Self::Tree(data) => (**data).clone(),
            Self::Fields(fields) => Data::Map((*fields).clone()),
            Self::Lines(lines) => Data::List(lines.iter().cloned().map(Data::Text).collect()),
            Self::Object(_) => return None,
        })
    }

    /// The same value, borrowing from nothing; `None` when an object is in it.
    #[must_use]
    pub fn into_static(self) -> Option<Value<'static>> {
        Some(match self {
            Self::Str(text) => Value::Str(Cow::Owned(text.into_owned())),
            Self::Tree(data) => Value::Tree(data),
            other => other.to_data()?.to_value(),
        })
    }

    /// The number of elements or entries of a list, map or object.
    #[must_use]
    pub fn elements(&self) -> Option<usize> {
        length(self)
    }

    pub(crate) fn count(&self) -> Option<Value<'static>> {
        if let Some(len) = length(self) {
            return Some(int(len));
        }
        match self {
            Self::Str(text) => Some(int(functions::text::runes(text))),
            Self::Fields(fields) => Some(int(fields.len())),
            Self::Map(entries) => Some(int(entries.len())),
            Self::Data(Data::Map(fields)) => Some(int(fields.len())),
            Self::Tree(data) => match &**data {
                Data::Map(fields) => Some(int(fields.len())),
                _ => None,
            },
            _ => None,
        }
    }
}
