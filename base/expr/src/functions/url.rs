//! Percent encoding and queries, as Go's `net/url`.

use std::borrow::Cow;
use std::rc::Rc;

use crate::call::Function;
use crate::eval::{MAX_LIST, Outcome, Run};
use crate::functions::{take, texts};
use crate::value::{Data, Fields, Missing, Value};

fn hex(byte: Option<&u8>) -> Option<u8> {
    let digit = char::from(*byte?).to_digit(16)?;
    u8::try_from(digit).ok()
}

/// Decodes; `None` if a `%` is followed by no two hexadecimal digits.
fn decode(text: &[u8], plus: bool) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let (high, low) = (hex(bytes.next())?, hex(bytes.next())?);
                out.push(high << 4 | low);
            }
            b'+' if plus => out.push(b' '),
            other => out.push(*other),
        }
    }
    Some(out)
}

/// `PathUnescape` and `QueryUnescape`; what cannot be decoded stays as it is.
pub(crate) fn unescaped(text: Cow<'_, [u8]>, plus: bool) -> Cow<'_, [u8]> {
    if memchr::memchr2(b'%', if plus { b'+' } else { b'%' }, &text).is_none() {
        return text;
    }
    match decode(&text, plus) {
        Some(decoded) => Cow::Owned(decoded),
        None => text,
    }
}

/// `PathEscape` and `QueryEscape`.
pub(crate) fn escaped(text: &[u8], query: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        let plain = byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'_' | b'.' | b'~')
            || !query && matches!(byte, b'$' | b'&' | b'+' | b':' | b'=' | b'@');
        match byte {
            _ if plain => out.push(*byte),
            b' ' if query => out.push(b'+'),
            other => out.extend_from_slice(format!("%{other:02X}").as_bytes()),
        }
    }
    out
}

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// Key and value of every readable pair of a query; unreadable ones are left out.
fn pairs(query: &[u8]) -> Pairs {
    let parts = query
        .split(|byte| *byte == b'&')
        .filter(|part| !part.is_empty());
    parts
        .take(MAX_LIST)
        .filter(|part| !part.contains(&b';'))
        .filter_map(|part| {
            let at = memchr::memchr(b'=', part).unwrap_or(part.len());
            let (key, value) = part.split_at_checked(at)?;
            let value = value.strip_prefix(b"=").unwrap_or(value);
            Some((decode(key, true)?, decode(value, true)?))
        })
        .collect()
}

fn grouped(pairs: Pairs) -> Data {
    let mut fields = Fields::new(Missing::Nil);
    for (key, value) in pairs {
        let value = Data::Text(value.into());
        match fields.get_mut(&key) {
            Some(Data::List(list)) => list.push(value),
            _ => fields.insert(&key, Data::List(vec![value])),
        }
    }
    Data::Map(fields)
}

pub(super) fn call<'v>(
    run: &Run<'v>,
    function: Function,
    args: &mut [Value<'v>],
) -> Outcome<Value<'v>> {
    let text = take(function, args, 0)?;
    run.budget.bytes(text.len().saturating_mul(4))?;
    let query = match function {
        Function::ParseUri => {
            let text = text.split(|byte| *byte == b'#').next().unwrap_or_default();
            let at = memchr::memchr(b'?', text).map_or(text.len(), |at| at + 1);
            text.get(at..).unwrap_or_default()
        }
        _ => &text,
    };
    if function == Function::ExtractQueryParam {
        let name = take(function, args, 1)?;
        let values = pairs(query).into_iter().filter(|(key, _)| **key == *name);
        return Ok(texts(values.map(|(_, value)| Cow::Owned(value))));
    }
    Ok(Value::Tree(Rc::new(grouped(pairs(query)))))
}
