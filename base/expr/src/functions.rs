//! What the functions do. Every one is total: wrong arguments are errors, work is
//! bounded by the arguments' size.

pub(crate) mod kv;
mod list;
pub(crate) mod net;
pub(crate) mod number;
pub(crate) mod sprintf;
pub(crate) mod text;
pub(crate) mod time;
mod url;
mod xml;

use std::borrow::Cow;
use std::rc::Rc;

use crate::call::Function;
use crate::env::Question;
use crate::error::EvalError;
use crate::eval::{Outcome, Run, int, wrong};
use crate::json;
use crate::value::{Data, Value};

/// Takes an argument out as text.
fn take<'v>(function: Function, args: &mut [Value<'v>], at: usize) -> Outcome<Cow<'v, [u8]>> {
    match args.get_mut(at).map(std::mem::take) {
        Some(Value::Str(text)) => Ok(text),
        Some(other) => Err(wrong(function.name(), &other)),
        None => Err(failed(function, "an argument is missing")),
    }
}

fn failed(function: Function, reason: &'static str) -> EvalError {
    EvalError::Call {
        function: function.name(),
        reason,
    }
}

/// Calls a function that changes nothing.
pub(crate) fn call<'v>(
    run: &Run<'v>,
    function: Function,
    args: &mut [Value<'v>],
) -> Outcome<Value<'v>> {
    use Function as F;
    match function {
        F::Upper
        | F::Lower
        | F::TrimSpace
        | F::PathUnescape
        | F::QueryUnescape
        | F::PathEscape
        | F::QueryEscape => {
            let text = take(function, args, 0)?;
            run.budget.bytes(text.len())?;
            Ok(Value::Str(text::mapped(function, text)))
        }
        F::Trim
        | F::TrimLeft
        | F::TrimRight
        | F::TrimPrefix
        | F::TrimSuffix
        | F::HasPrefix
        | F::HasSuffix
        | F::IndexOf
        | F::IndexAny
        | F::LastIndexOf
        | F::Glob => text::pair(run, function, args),
        F::Split
        | F::SplitAfter
        | F::Words
        | F::Join
        | F::Replace
        | F::Repeat
        | F::Base64Decode
        | F::Base64Encode
        | F::Basename => text::build(run, function, args),
        F::ParseUri | F::ParseQuery | F::ExtractQueryParam => url::call(run, function, args),
        F::Sprintf | F::ToText | F::Text => sprintf::call(run, function, args),
        F::Int
        | F::Float
        | F::Atof
        | F::Abs
        | F::Ceil
        | F::Floor
        | F::Round
        | F::Max
        | F::Min
        | F::Mean
        | F::Median
        | F::BitAnd
        | F::BitOr
        | F::BitXor
        | F::BitNot
        | F::ApproxEqual => number::call(function, args),
        F::JsonExtract
        | F::JsonExtractUnescape
        | F::JsonExtractLib
        | F::JsonExtractSlice
        | F::JsonExtractObject
        | F::ToJson
        | F::FromJson => from_json(run, function, args),
        F::XmlNode | F::XmlAttribute => from_xml(function, args),
        F::IpInRange | F::IsIp | F::IsIpv4 | F::IsIpv6 | F::IpToRange | F::Distance => {
            net::call(function, args)
        }
        F::MedianInterval | F::AverageInterval | F::Duration | F::Date | F::ParseUnix => {
            time::call(function, args)
        }
        F::Len
        | F::TypeName
        | F::Get
        | F::GetText
        | F::KeyExists
        | F::First
        | F::Last
        | F::Take
        | F::Keys
        | F::Values
        | F::Reverse
        | F::Distinct
        | F::Concat
        | F::Flatten
        | F::FlattenDistinct
        | F::Sort => list::call(run, function, args),
        _ => outside(run, function, args),
    }
}

fn from_xml<'v>(function: Function, args: &mut [Value<'v>]) -> Outcome<Value<'v>> {
    let (document, path) = (take(function, args, 0)?, take(function, args, 1)?);
    let found = if function == Function::XmlNode {
        xml::node(&document, &path)
    } else {
        xml::attribute(&document, &path, &take(function, args, 2)?)
    };
    Ok(found.map_or_else(|| Value::from(""), Value::owned))
}

/// Functions whose answer lies outside of the event.
fn outside<'v>(run: &Run<'v>, function: Function, args: &mut [Value<'v>]) -> Outcome<Value<'v>> {
    use Function as F;
    match function {
        F::File => {
            let name = take(function, args, 0)?;
            return Ok(Value::Lines(run.env.0.file(&name).unwrap_or_default()));
        }
        F::TimeNow => {
            return match run.ask(Question::Now)? {
                Value::Time(now) => Ok(Value::owned(time::seconds_rfc3339(now))),
                other => Err(wrong(function.name(), &other)),
            };
        }
        F::Other(name) => {
            let args = args.iter().map(|arg| arg.to_data().unwrap_or_default());
            let args = args.collect();
            return run.ask(Question::Other {
                function: name,
                args,
            });
        }
        _ => {}
    }
    let mut text = |at| take(function, args, at);
    let question = match function {
        F::Now => Question::Now,
        F::DecisionsCount => Question::Decisions { value: text(0)? },
        F::ActiveDecisions => Question::ActiveDecisions { value: text(0)? },
        F::ActiveTimeLeft => Question::ActiveTimeLeft { value: text(0)? },
        F::DecisionsSince => Question::DecisionsSince {
            since: time::duration(&text(1)?)?,
            value: text(0)?,
        },
        F::GetFromStash => Question::Stash {
            cache: text(0)?,
            key: text(1)?,
        },
        F::LookupFile => Question::LookupFile {
            text: text(0)?,
            file: text(1)?,
        },
        F::RegexpInFile => Question::RegexpInFile {
            text: text(0)?,
            file: text(1)?,
        },
        F::LookupHost => Question::LookupHost { name: text(0)? },
        _ => return Err(EvalError::Effect),
    };
    run.ask(question)
}

fn from_json<'v>(run: &Run<'v>, function: Function, args: &mut [Value<'v>]) -> Outcome<Value<'v>> {
    use Function as F;
    if function == F::ToJson {
        let data = args.first().and_then(Value::to_data);
        let data = data.ok_or_else(|| failed(function, "an object cannot be written as JSON"))?;
        let mut out = Vec::new();
        json::write(&data, &mut out);
        run.budget.bytes(out.len())?;
        return Ok(Value::owned(out));
    }
    let document = take(function, args, 0)?;
    run.budget.bytes(document.len())?;
    let tree = |data: Data| match data {
        data @ (Data::List(_) | Data::Map(_)) => Value::Tree(Rc::new(data)),
        other => other.to_value(),
    };
    if function == F::FromJson {
        let data = json::parse(&document);
        return data
            .map(tree)
            .map_err(|_| failed(function, "the text is no JSON"));
    }
    let empty = Value::from("");
    let path: Vec<Cow<'v, [u8]>> = (1..args.len())
        .map(|at| take(function, args, at))
        .collect::<Outcome<_>>()?;
    let keys: Vec<&[u8]> = path.iter().map(|key| &**key).collect();
    let found = match function {
        F::JsonExtractUnescape | F::JsonExtractLib => json::locate(&document, &keys),
        _ => json::locate_dotted(&document, keys.first().copied().unwrap_or_default()),
    };
    Ok(match (function, found) {
        (F::JsonExtractSlice, Some(raw)) if raw.starts_with(b"[") => {
            json::parse(raw).map_or(Value::Nil, tree)
        }
        (F::JsonExtractObject, Some(raw)) if raw.starts_with(b"{") => {
            json::parse(raw).map_or(Value::Nil, tree)
        }
        (F::JsonExtractSlice | F::JsonExtractObject, _) => Value::Nil,
        (F::JsonExtractUnescape, Some(raw)) if raw.starts_with(b"\"") => {
            json::parse(raw).map_or(empty, tree)
        }
        (F::JsonExtractUnescape, _) | (_, None) => empty,
        (_, Some(raw)) => Value::owned(json::unquoted(raw)),
    })
}

/// The number of elements, or why there is none.
fn len(function: Function, value: &Value<'_>) -> Outcome<usize> {
    value
        .elements()
        .ok_or_else(|| wrong(function.name(), value))
}

/// A list of texts.
fn texts<'v>(parts: impl Iterator<Item = Cow<'v, [u8]>>) -> Value<'v> {
    Value::List(Rc::new(parts.map(Value::Str).collect()))
}

fn position(at: Option<usize>) -> Value<'static> {
    at.map_or(Value::Int(-1), int)
}
