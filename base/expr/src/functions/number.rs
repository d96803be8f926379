//! Functions on numbers.

use crate::call::Function;
use crate::eval::{Outcome, wrong};
use crate::functions::failed;
use crate::value::Value;

/// A float cut towards zero, saturating.
#[expect(
    clippy::cast_possible_truncation,
    reason = "saturates at the ends, and NaN gives 0"
)]
pub(crate) fn cut(value: f64) -> i64 {
    value as i64
}

fn number(function: Function, value: Option<&Value<'_>>) -> Outcome<f64> {
    let value = value.ok_or_else(|| failed(function, "an argument is missing"))?;
    crate::eval::float(value).ok_or_else(|| wrong(function.name(), value))
}

fn int(function: Function, value: Option<&Value<'_>>) -> Outcome<i64> {
    match value {
        Some(Value::Int(value)) => Ok(*value),
        Some(Value::Float(value)) => Ok(cut(*value)),
        Some(other) => Err(wrong(function.name(), other)),
        None => Err(failed(function, "an argument is missing")),
    }
}

pub(super) fn call<'v>(function: Function, args: &mut [Value<'v>]) -> Outcome<Value<'v>> {
    let first = args.first();
    Ok(match function {
        Function::Int => Value::Int(to_int(first)?),
        Function::Float => Value::Float(to_float(first)?),
        // A text that is no number is 0, as in Go's helper, which only logs.
        Function::Atof => Value::Float(to_float(first).unwrap_or(0.0)),
        Function::Abs => match first {
            Some(Value::Int(value)) => Value::Int(value.wrapping_abs()),
            other => Value::Float(number(function, other)?.abs()),
        },
        Function::Ceil => Value::Float(number(function, first)?.ceil()),
        Function::Floor => Value::Float(number(function, first)?.floor()),
        Function::Round => Value::Float(number(function, first)?.round()),
        Function::BitAnd => Value::Int(int(function, first)? & int(function, args.get(1))?),
        Function::BitOr => Value::Int(int(function, first)? | int(function, args.get(1))?),
        Function::BitXor => Value::Int(int(function, first)? ^ int(function, args.get(1))?),
        Function::BitNot => Value::Int(!int(function, first)?),
        Function::ApproxEqual => {
            let apart = number(function, first)? - number(function, args.get(1))?;
            Value::Bool(apart.abs() < 1e-6)
        }
        _ => return statistic(function, args),
    })
}

fn text<'a>(value: &'a Value<'_>) -> Option<&'a str> {
    std::str::from_utf8(value.as_text()?).ok()
}

fn to_int(value: Option<&Value<'_>>) -> Outcome<i64> {
    let function = Function::Int;
    match value {
        Some(Value::Int(value) | Value::Duration(value)) => Ok(*value),
        Some(Value::Float(value)) => Ok(cut(*value)),
        Some(value @ Value::Str(_)) => text(value)
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| failed(function, "the text is no whole number")),
        Some(other) => Err(wrong(function.name(), other)),
        None => Err(failed(function, "an argument is missing")),
    }
}

fn to_float(value: Option<&Value<'_>>) -> Outcome<f64> {
    let function = Function::Float;
    match value {
        Some(value @ Value::Str(_)) => text(value)
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| failed(function, "the text is no number")),
        other => number(function, other),
    }
}

/// `max`, `min`, `mean`, `median` over numbers and lists of numbers.
fn statistic<'v>(function: Function, args: &[Value<'v>]) -> Outcome<Value<'v>> {
    let mut numbers: Vec<Value<'v>> = Vec::new();
    for arg in args {
        match arg.elements() {
            Some(len) => numbers.extend((0..len).filter_map(|at| crate::eval::element(arg, at))),
            None => numbers.push(arg.clone()),
        }
    }
    let mut values = Vec::with_capacity(numbers.len());
    for value in &numbers {
        values.push(number(function, Some(value))?);
    }
    if values.is_empty() {
        return match function {
            Function::Mean | Function::Median => Ok(Value::Float(0.0)),
            _ => Err(failed(function, "no number is given")),
        };
    }
    let extreme = |better: &dyn Fn(f64, f64) -> bool| {
        let mut best = 0;
        for (at, value) in values.iter().enumerate() {
            if values.get(best).is_some_and(|known| better(*value, *known)) {
                best = at;
            }
        }
        numbers.get(best).cloned().unwrap_or_default()
    };
    #[expect(
        clippy::cast_precision_loss,
        reason = "a list's length is far below 2^52"
    )]
    let count = values.len() as f64;
    Ok(match function {
        Function::Max => extreme(&|a, b| a > b),
        Function::Min => extreme(&|a, b| a < b),
        Function::Mean => Value::Float(values.iter().sum::<f64>() / count),
        _ => {
            values.sort_by(f64::total_cmp);
            let middle = values.len() / 2;
            let upper = values.get(middle).copied().unwrap_or(0.0);
            let lower = values
                .get(middle.saturating_sub(1))
                .copied()
                .unwrap_or(upper);
            Value::Float(if values.len() % 2 == 1 {
                upper
            } else {
                (lower + upper) / 2.0
            })
        }
    })
}
