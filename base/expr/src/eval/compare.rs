//! Operators on two values.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::rc::Rc;
use std::time::Duration;

use crate::ast::Binary;
use crate::error::EvalError;
use crate::eval::access::{element, entry, length};
use crate::eval::{MAX_LIST, Outcome, Run, wrong};
use crate::functions::number::cut;
use crate::go_regex;
use crate::value::Value;

impl<'v> Run<'v> {
    /// An operator other than `??` on two values.
    pub(crate) fn apply(
        &self,
        operator: Binary,
        left: Value<'v>,
        right: Value<'v>,
    ) -> Outcome<Value<'v>> {
        let truth = match operator {
            Binary::Equal => equal(&left, &right),
            Binary::NotEqual => !equal(&left, &right),
            Binary::Less => order(operator, &left, &right)?.is_some_and(Ordering::is_lt),
            Binary::Greater => order(operator, &left, &right)?.is_some_and(Ordering::is_gt),
            Binary::LessEqual => order(operator, &left, &right)?.is_some_and(Ordering::is_le),
            Binary::GreaterEqual => order(operator, &left, &right)?.is_some_and(Ordering::is_ge),
            Binary::In => self.contained(&left, &right)?,
            Binary::Contains | Binary::StartsWith | Binary::EndsWith | Binary::Matches => {
                return test(operator, &left, &right).map(Value::Bool);
            }
            Binary::Range => return self.range(&left, &right),
            Binary::Coalesce if matches!(left, Value::Nil) => return Ok(right),
            Binary::Coalesce => return Ok(left),
            _ => return self.arithmetic(operator, left, &right),
        };
        Ok(Value::Bool(truth))
    }

    fn contained(&self, key: &Value<'_>, of: &Value<'_>) -> Outcome<bool> {
        if let Value::Nil = of {
            return Ok(false);
        }
        if let Some(len) = length(of) {
            self.budget.step(u32::try_from(len).unwrap_or(u32::MAX))?;
            return Ok((0..len).any(|at| element(of, at).is_some_and(|item| equal(&item, key))));
        }
        let name = key.as_text().unwrap_or_default();
        if let Some(found) = entry(of, name) {
            return Ok(found.is_some() && (key.as_text().is_some() || matches!(key, Value::Nil)));
        }
        match of {
            Value::Object(object) => object.has(name).ok_or_else(|| wrong("in", of)),
            other => Err(wrong("in", other)),
        }
    }

    fn range(&self, left: &Value<'_>, right: &Value<'_>) -> Outcome<Value<'v>> {
        let (Value::Int(from), Value::Int(to)) = (left, right) else {
            return Err(wrong(
                "..",
                if matches!(left, Value::Int(_)) {
                    right
                } else {
                    left
                },
            ));
        };
        let len = usize::try_from(to.saturating_sub(*from).saturating_add(1)).unwrap_or(0);
        if len > MAX_LIST {
            return Err(EvalError::Limit("too long a list"));
        }
        self.budget.step(u32::try_from(len).unwrap_or(u32::MAX))?;
        Ok(Value::List(Rc::new(
            (*from..=*to).map(Value::Int).collect(),
        )))
    }

    fn arithmetic(
        &self,
        operator: Binary,
        left: Value<'v>,
        right: &Value<'v>,
    ) -> Outcome<Value<'v>> {
        match (operator, &left, right) {
            (Binary::Add, Value::Str(a), Value::Str(b)) => {
                self.budget.bytes(a.len().saturating_add(b.len()))?;
                let mut text = match left {
                    Value::Str(Cow::Owned(text)) => text,
                    _ => a.to_vec(),
                };
                text.extend_from_slice(right.as_text().unwrap_or_default());
                Ok(Value::Str(Cow::Owned(text)))
            }
            (_, Value::Int(a), Value::Int(b)) => whole(operator, *a, *b),
            (_, Value::Int(_) | Value::Float(_), Value::Int(_) | Value::Float(_)) => {
                fractional(operator, &left, right)
            }
            _ => spans(operator, &left, right),
        }
    }
}

/// Go integers wrap; `/` and `**` give floats in this language.
fn whole(operator: Binary, a: i64, b: i64) -> Outcome<Value<'static>> {
    let division = EvalError::Call {
        function: "%",
        reason: "division by zero",
    };
    Ok(match operator {
        Binary::Add => Value::Int(a.wrapping_add(b)),
        Binary::Subtract => Value::Int(a.wrapping_sub(b)),
        Binary::Multiply => Value::Int(a.wrapping_mul(b)),
        Binary::Modulo if b == 0 => return Err(division),
        Binary::Modulo => Value::Int(a.wrapping_rem(b)),
        _ => return fractional(operator, &Value::Int(a), &Value::Int(b)),
    })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "Go's float64(int) rounds as well"
)]
pub(crate) fn float(value: &Value<'_>) -> Option<f64> {
    match value {
        Value::Int(value) => Some(*value as f64),
        Value::Float(value) => Some(*value),
        _ => None,
    }
}

fn fractional(operator: Binary, left: &Value<'_>, right: &Value<'_>) -> Outcome<Value<'static>> {
    let (Some(a), Some(b)) = (float(left), float(right)) else {
        return Err(wrong(operator.sign(), left));
    };
    Ok(Value::Float(match operator {
        Binary::Add => a + b,
        Binary::Subtract => a - b,
        Binary::Multiply => a * b,
        Binary::Divide => a / b,
        Binary::Power => a.powf(b),
        _ => return Err(wrong(operator.sign(), left)),
    }))
}

/// Times and durations.
fn spans(operator: Binary, left: &Value<'_>, right: &Value<'_>) -> Outcome<Value<'static>> {
    use Value::{Duration as Span, Time};
    Ok(match (operator, left, right) {
        (Binary::Add, Span(a), Span(b)) => Span(a.wrapping_add(*b)),
        (Binary::Subtract, Span(a), Span(b)) => Span(a.wrapping_sub(*b)),
        (Binary::Subtract, Time(a), Time(b)) => Span(a.unix_nanos().saturating_sub(b.unix_nanos())),
        (Binary::Add, Time(time), Span(nanos)) | (Binary::Add, Span(nanos), Time(time)) => {
            Time(shifted(*time, *nanos))
        }
        (Binary::Subtract, Time(time), Span(nanos)) => Time(shifted(*time, nanos.saturating_neg())),
        (Binary::Multiply, Span(a), Value::Int(b)) | (Binary::Multiply, Value::Int(b), Span(a)) => {
            Span(a.wrapping_mul(*b))
        }
        (Binary::Multiply, Span(a), Value::Float(b))
        | (Binary::Multiply, Value::Float(b), Span(a)) => {
            Span(cut(float(&Value::Int(*a)).unwrap_or(0.0) * b))
        }
        _ => {
            let known = matches!(left, Span(_) | Time(_) | Value::Int(_) | Value::Float(_));
            return Err(wrong(operator.sign(), if known { right } else { left }));
        }
    })
}

pub(crate) fn shifted(time: vocab::Timestamp, nanos: i64) -> vocab::Timestamp {
    let span = Duration::from_nanos(nanos.unsigned_abs());
    if nanos < 0 {
        time.before(span)
    } else {
        time.after(span)
    }
}

pub(crate) fn negate(value: &Value<'_>) -> Outcome<Value<'static>> {
    Ok(match value {
        Value::Int(value) => Value::Int(value.wrapping_neg()),
        Value::Float(value) => Value::Float(-value),
        Value::Duration(nanos) => Value::Duration(nanos.wrapping_neg()),
        other => return Err(wrong("-", other)),
    })
}

/// `contains`, `startsWith`, `endsWith`, `matches`; nil on either side is false.
fn test(operator: Binary, left: &Value<'_>, right: &Value<'_>) -> Outcome<bool> {
    if matches!(left, Value::Nil) || matches!(right, Value::Nil) {
        return Ok(false);
    }
    let text = left.as_text().ok_or_else(|| wrong(operator.sign(), left))?;
    let other = right
        .as_text()
        .ok_or_else(|| wrong(operator.sign(), right))?;
    match operator {
        Binary::Contains => Ok(memchr::memmem::find(text, other).is_some()),
        Binary::StartsWith => Ok(text.starts_with(other)),
        Binary::EndsWith => Ok(text.ends_with(other)),
        _ => matches(text, other),
    }
}

/// Whether a pattern that was computed matches a text.
pub(super) fn matches(text: &[u8], pattern: &[u8]) -> Outcome<bool> {
    match go_regex::compile_small(pattern) {
        Ok(regex) => Ok(go_regex::is_match(&regex, text)),
        Err(_) => Err(EvalError::Call {
            function: "matches",
            reason: "the right side is no regular expression",
        }),
    }
}

/// Equality as the language has it: numbers by value, everything else by type and value.
pub(crate) fn equal(left: &Value<'_>, right: &Value<'_>) -> bool {
    match (left, right) {
        (Value::Nil, Value::Nil) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(a), Value::Int(b)) => a == b,
        (Value::Str(a), Value::Str(b)) => a == b,
        (Value::Time(a), Value::Time(b)) => a == b,
        (Value::Duration(a), Value::Duration(b)) => a == b,
        (Value::Object(a), Value::Object(b)) => std::ptr::addr_eq(*a, *b),
        (Value::Int(_) | Value::Float(_), Value::Int(_) | Value::Float(_)) => {
            float(left) == float(right)
        }
        _ => match (length(left), length(right)) {
            (Some(a), Some(b)) if a == b => {
                (0..a).all(|at| match (element(left, at), element(right, at)) {
                    (Some(a), Some(b)) => equal(&a, &b),
                    _ => false,
                })
            }
            (None, None) if left.count().is_some() => match (left.to_data(), right.to_data()) {
                (Some(a), Some(b)) => a == b,
                _ => false,
            },
            _ => false,
        },
    }
}

fn order(operator: Binary, left: &Value<'_>, right: &Value<'_>) -> Outcome<Option<Ordering>> {
    ordering(left, right).ok_or_else(|| {
        let known = matches!(
            left,
            Value::Int(_) | Value::Float(_) | Value::Str(_) | Value::Time(_) | Value::Duration(_)
        );
        wrong(operator.sign(), if known { right } else { left })
    })
}

/// The order of two values, `None` if they have none, `Some(None)` around NaN.
pub(crate) fn ordering(left: &Value<'_>, right: &Value<'_>) -> Option<Option<Ordering>> {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => Some(Some(a.cmp(b))),
        (Value::Str(a), Value::Str(b)) => Some(Some(a.cmp(b))),
        (Value::Time(a), Value::Time(b)) => Some(Some(a.cmp(b))),
        (Value::Duration(a), Value::Duration(b)) => Some(Some(a.cmp(b))),
        _ => Some(float(left)?.partial_cmp(&float(right)?)),
    }
}
