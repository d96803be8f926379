//! Functions on lists and maps.

use std::cmp::Ordering;
use std::rc::Rc;

use crate::call::Function;
use crate::error::EvalError;
use crate::eval::{MAX_LIST, Outcome, Run, element, entries, entry, equal, index, ordering, wrong};
use crate::functions::{failed, len, sprintf, take};
use crate::value::Value;

pub(super) fn call<'v>(
    run: &Run<'v>,
    function: Function,
    args: &mut [Value<'v>],
) -> Outcome<Value<'v>> {
    let first = args.first().cloned().unwrap_or_default();
    let list = |items: Vec<Value<'v>>| Ok(Value::List(Rc::new(items)));
    match function {
        Function::Len => first.count().ok_or_else(|| wrong("len", &first)),
        Function::TypeName => Ok(Value::from(match first.type_name() {
            "list" => "array",
            other => other,
        })),
        Function::Get => match args.get(1) {
            Some(key) => Ok(get(&first, key)),
            None => Err(failed(function, "an argument is missing")),
        },
        Function::GetText => {
            let at = match args.get(1) {
                Some(Value::Int(at)) => usize::try_from(*at).unwrap_or(usize::MAX),
                _ => usize::MAX,
            };
            Ok(element(&first, at).unwrap_or_else(|| Value::from("")))
        }
        Function::KeyExists => {
            let key = take(function, args, 0)?;
            let map = args.get(1).cloned().unwrap_or_default();
            match (entry(&map, &key), &map) {
                (Some(found), _) => Ok(Value::Bool(found.is_some())),
                (None, Value::Object(object)) => Ok(Value::Bool(object.has(&key).unwrap_or(false))),
                (None, other) => Err(wrong(function.name(), other)),
            }
        }
        Function::First => Ok(element(&first, 0).unwrap_or_default()),
        Function::Last => {
            let last = len(function, &first)?.checked_sub(1);
            Ok(last.and_then(|at| element(&first, at)).unwrap_or_default())
        }
        Function::Keys | Function::Values => {
            let pairs = entries(&first).ok_or_else(|| wrong(function.name(), &first))?;
            run.budget
                .step(u32::try_from(pairs.len()).unwrap_or(u32::MAX))?;
            let keys = function == Function::Keys;
            list(
                pairs
                    .into_iter()
                    .map(|(key, value)| if keys { key } else { value })
                    .collect(),
            )
        }
        Function::Concat => {
            let mut all = Vec::new();
            for part in args.iter() {
                all.extend(items(run, function, part)?);
                bounded(&all)?;
            }
            list(all)
        }
        Function::Flatten | Function::FlattenDistinct => {
            let mut flat = Vec::new();
            for part in args.iter() {
                flatten(run, part, &mut flat, 0)?;
            }
            if function == Function::FlattenDistinct {
                flat = distinct(run, flat)?;
            }
            list(flat)
        }
        Function::Distinct => list(distinct(run, items(run, function, &first)?)?),
        Function::Reverse => {
            let mut all = items(run, function, &first)?;
            all.reverse();
            list(all)
        }
        Function::Take => {
            let count = match args.get(1) {
                Some(Value::Int(count)) => usize::try_from(*count).unwrap_or(0),
                _ => return Err(failed(function, "the count is no int")),
            };
            let mut all = items(run, function, &first)?;
            all.truncate(count);
            list(all)
        }
        _ => {
            let descending = matches!(args.get(1), Some(Value::Str(order)) if **order == *b"desc");
            let mut all = items(run, function, &first)?;
            all.sort_by(|a, b| {
                let order = ordering(a, b).flatten().unwrap_or(Ordering::Equal);
                if descending { order.reverse() } else { order }
            });
            list(all)
        }
    }
}

/// `get(of, key)`: nil instead of an error.
fn get<'v>(of: &Value<'v>, key: &Value<'_>) -> Value<'v> {
    match (key.as_text(), entry(of, key.as_text().unwrap_or_default())) {
        (Some(_), Some(found)) => found.unwrap_or_default(),
        _ => index(of, key).unwrap_or_default(),
    }
}

fn bounded(list: &[Value<'_>]) -> Outcome<()> {
    if list.len() > MAX_LIST {
        return Err(EvalError::Limit("too long a list"));
    }
    Ok(())
}

fn items<'v>(run: &Run<'v>, function: Function, list: &Value<'v>) -> Outcome<Vec<Value<'v>>> {
    let len = len(function, list)?;
    run.budget.step(u32::try_from(len).unwrap_or(u32::MAX))?;
    let all: Vec<_> = (0..len).filter_map(|at| element(list, at)).collect();
    bounded(&all)?;
    Ok(all)
}

fn flatten<'v>(
    run: &Run<'v>,
    value: &Value<'v>,
    out: &mut Vec<Value<'v>>,
    depth: usize,
) -> Outcome<()> {
    run.budget.step(1)?;
    if depth > 64 {
        return Err(EvalError::Limit("too deep a list"));
    }
    match value.elements() {
        Some(len) => {
            for at in 0..len {
                flatten(run, &element(value, at).unwrap_or_default(), out, depth + 1)?;
            }
        }
        None => out.push(value.clone()),
    }
    bounded(out)
}

/// The first of each, in order; long lists are compared by how they print.
fn distinct<'v>(run: &Run<'v>, all: Vec<Value<'v>>) -> Outcome<Vec<Value<'v>>> {
    let mut kept: Vec<Value<'v>> = Vec::new();
    if all.len() > 64 {
        let mut seen = std::collections::HashSet::new();
        for item in all {
            let text = sprintf::shown(&item);
            run.budget.bytes(text.len())?;
            if seen.insert((item.type_name(), text)) {
                kept.push(item);
            }
        }
        return Ok(kept);
    }
    for item in all {
        if !kept.iter().any(|known| equal(known, &item)) {
            kept.push(item);
        }
    }
    Ok(kept)
}
