//! Functions on byte strings.

use std::borrow::Cow;

use memchr::memmem;

use crate::call::Function;
use crate::env::{Case, SearchTest};
use crate::eval::{MAX_LIST, Outcome, Run, wrong};
use crate::functions::{failed, net, position, take, texts, url};
use crate::node::Test;
use crate::value::Value;

/// One text to one text.
pub(crate) fn mapped(function: Function, text: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    match function {
        Function::Upper => cased(Case::Upper, text),
        Function::Lower => cased(Case::Lower, text),
        Function::TrimSpace => kept(text, trim_space),
        Function::PathUnescape => url::unescaped(text, false),
        Function::QueryUnescape => url::unescaped(text, true),
        Function::PathEscape => url::escaped(&text, false).into(),
        _ => url::escaped(&text, true).into(),
    }
}

/// A part of a text without copying it if it is borrowed.
fn kept(text: Cow<'_, [u8]>, part: impl Fn(&[u8]) -> &[u8]) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => {
            let kept = part(text);
            Cow::Borrowed(kept)
        }
        Cow::Owned(text) => {
            let kept = part(&text);
            if kept.len() == text.len() {
                return Cow::Owned(text);
            }
            Cow::Owned(kept.to_vec())
        }
    }
}

/// Upper or lower case; borrowed when nothing changes.
pub(crate) fn cased(case: Case, text: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    let unchanged = match case {
        Case::Exact => true,
        Case::Upper => text.is_ascii() && !text.iter().any(u8::is_ascii_lowercase),
        Case::Lower => text.is_ascii() && !text.iter().any(u8::is_ascii_uppercase),
    };
    if unchanged {
        return text;
    }
    if text.is_ascii() {
        let mut text = text.into_owned();
        match case {
            Case::Upper => text.make_ascii_uppercase(),
            _ => text.make_ascii_lowercase(),
        }
        return Cow::Owned(text);
    }
    Cow::Owned(unicode_cased(case, &text))
}

/// As Go: letter by letter with the simple mapping, invalid bytes become U+FFFD.
fn unicode_cased(case: Case, text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 8);
    let mut push = |letter: char| out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
    for chunk in text.utf8_chunks() {
        for letter in chunk.valid().chars() {
            push(match case {
                Case::Upper => single(letter.to_uppercase(), letter),
                _ => single(letter.to_lowercase(), letter),
            });
        }
        for _ in chunk.invalid() {
            push(char::REPLACEMENT_CHARACTER);
        }
    }
    out
}

fn single(mut mapped: impl Iterator<Item = char>, letter: char) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(one), None) => one,
        _ => letter,
    }
}

/// A test of an ASCII text as if it were in that case, without copying it.
pub(crate) fn folded(case: Case, test: &Test, text: &[u8]) -> bool {
    let needle = match test {
        Test::Equal(known) | Test::StartsWith(known) | Test::EndsWith(known) => known,
        Test::Contains(finder) => finder.needle(),
    };
    let impossible = match case {
        Case::Exact => false,
        Case::Upper => needle.iter().any(u8::is_ascii_lowercase),
        Case::Lower => needle.iter().any(u8::is_ascii_uppercase),
    };
    if impossible || needle.len() > text.len() {
        return false;
    }
    let rest = text.len() - needle.len();
    match test {
        Test::Equal(_) => text.eq_ignore_ascii_case(needle),
        Test::StartsWith(_) => text
            .get(..needle.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(needle)),
        Test::EndsWith(_) => text
            .get(rest..)
            .is_some_and(|tail| tail.eq_ignore_ascii_case(needle)),
        Test::Contains(_) => contains_folded(text, needle, rest),
    }
}

/// `rest` is how far the needle can start.
fn contains_folded(text: &[u8], needle: &[u8], rest: usize) -> bool {
    let Some(first) = needle.first() else {
        return true;
    };
    let (upper, lower) = (first.to_ascii_uppercase(), first.to_ascii_lowercase());
    let starts = text.get(..=rest).unwrap_or_default();
    memchr::memchr2_iter(upper, lower, starts).any(|at| {
        text.get(at..at + needle.len())
            .is_some_and(|part| part.eq_ignore_ascii_case(needle))
    })
}

/// One line of a data file against a text, both already in their case.
pub(crate) fn line_fits(test: SearchTest, text: &[u8], line: &[u8]) -> bool {
    match test {
        SearchTest::Contains => memmem::find(text, line).is_some(),
        SearchTest::StartsWith => text.starts_with(line),
        SearchTest::EndsWith => text.ends_with(line),
        SearchTest::Equal => text == line,
        SearchTest::InRange => net::in_range(text, line),
        SearchTest::Regexp | SearchTest::Matches => false,
    }
}

/// Characters, an invalid byte being one each.
pub(crate) fn runes(text: &[u8]) -> usize {
    text.utf8_chunks()
        .map(|chunk| chunk.valid().chars().count() + chunk.invalid().len())
        .sum()
}

/// Go's `strings.TrimSpace`: Unicode white space.
fn trim_space(text: &[u8]) -> &[u8] {
    if text.is_ascii() {
        let space = |byte: &u8| matches!(byte, b'\t'..=b'\r' | b' ');
        return trimmed(text, &|byte| space(&byte), true, true);
    }
    match std::str::from_utf8(text) {
        Ok(text) => text.trim().as_bytes(),
        Err(_) => trimmed(
            text,
            &|byte| matches!(byte, b'\t'..=b'\r' | b' '),
            true,
            true,
        ),
    }
}

fn trimmed<'t>(mut text: &'t [u8], cut: &dyn Fn(u8) -> bool, left: bool, right: bool) -> &'t [u8] {
    while let Some((first, rest)) = text.split_first()
        && left
        && cut(*first)
    {
        text = rest;
    }
    while let Some((last, rest)) = text.split_last()
        && right
        && cut(*last)
    {
        text = rest;
    }
    text
}

/// `Trim(text, letters)`; letters beyond ASCII are compared as whole characters.
fn trim_set<'t>(text: &'t [u8], set: &[u8], left: bool, right: bool) -> &'t [u8] {
    match (std::str::from_utf8(text), std::str::from_utf8(set)) {
        (Ok(mut text), Ok(set)) if !set.is_ascii() => {
            if left {
                text = text.trim_start_matches(|letter| set.contains(letter));
            }
            if right {
                text = text.trim_end_matches(|letter| set.contains(letter));
            }
            text.as_bytes()
        }
        _ => trimmed(
            text,
            &|byte| byte.is_ascii() && set.contains(&byte),
            left,
            right,
        ),
    }
}

/// Functions on a text and a second one.
pub(crate) fn pair<'v>(
    run: &Run<'v>,
    function: Function,
    args: &mut [Value<'v>],
) -> Outcome<Value<'v>> {
    let text = take(function, args, 0)?;
    let second = if args.len() > 1 {
        take(function, args, 1)?
    } else if function == Function::Trim {
        return Ok(Value::Str(kept(text, trim_space)));
    } else {
        // The language's own trimPrefix and trimSuffix cut one space by default.
        Cow::Borrowed(&b" "[..])
    };
    let other: &[u8] = &second;
    Ok(match function {
        Function::Trim => Value::Str(kept(text, |text| trim_set(text, other, true, true))),
        Function::TrimLeft => Value::Str(kept(text, |text| trim_set(text, other, true, false))),
        Function::TrimRight => Value::Str(kept(text, |text| trim_set(text, other, false, true))),
        Function::TrimPrefix => {
            Value::Str(kept(text, |text| text.strip_prefix(other).unwrap_or(text)))
        }
        Function::TrimSuffix => {
            Value::Str(kept(text, |text| text.strip_suffix(other).unwrap_or(text)))
        }
        Function::HasPrefix => Value::Bool(text.starts_with(other)),
        Function::HasSuffix => Value::Bool(text.ends_with(other)),
        Function::IndexOf => position(memmem::find(&text, other)),
        Function::LastIndexOf => position(memmem::rfind(&text, other)),
        Function::IndexAny => position(text.iter().position(|byte| other.contains(byte))),
        _ => {
            let work = text.len().saturating_mul(second.len().max(1));
            run.budget
                .step(u32::try_from(work / 16).unwrap_or(u32::MAX))?;
            Value::Bool(glob(&text, &second))
        }
    })
}

/// `Match(pattern, name)`: `*` and `?`, nothing else; linear stars, no recursion.
fn glob(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut pos) = (0, 0);
    let mut star = None;
    while pos < name.len() {
        match (pattern.get(at), name.get(pos)) {
            (Some(b'*'), _) => {
                star = Some((at, pos));
                at += 1;
            }
            (Some(b'?'), _) => (at, pos) = (at + 1, pos + 1),
            (Some(wanted), Some(found)) if wanted == found => (at, pos) = (at + 1, pos + 1),
            _ => {
                let Some((back, from)) = star else {
                    return false;
                };
                star = Some((back, from + 1));
                (at, pos) = (back + 1, from + 1);
            }
        }
    }
    pattern
        .get(at..)
        .unwrap_or_default()
        .iter()
        .all(|byte| *byte == b'*')
}

/// Functions that build texts or lists of them.
pub(crate) fn build<'v>(
    run: &Run<'v>,
    function: Function,
    args: &mut [Value<'v>],
) -> Outcome<Value<'v>> {
    match function {
        Function::Split | Function::SplitAfter => split(run, function, args),
        Function::Join => join(run, args),
        Function::Replace => replace(run, args),
        Function::Repeat => {
            let text = take(function, args, 0)?;
            let Some(Value::Int(times)) = args.get(1) else {
                return Err(failed(function, "the count is no int"));
            };
            let times =
                usize::try_from(*times).map_err(|_| failed(function, "the count is negative"))?;
            run.budget.bytes(text.len().saturating_mul(times))?;
            Ok(Value::owned(text.repeat(times)))
        }
        Function::Words => {
            let text = take(function, args, 0)?;
            run.budget.bytes(text.len())?;
            let words = text.split(|byte| matches!(byte, b'\t'..=b'\r' | b' '));
            let words = words.filter(|word| !word.is_empty()).map(<[u8]>::to_vec);
            Ok(texts(words.map(Cow::Owned).take(MAX_LIST)))
        }
        Function::Basename => {
            let text = take(function, args, 0)?;
            Ok(Value::owned(
                text.rsplit(|byte| *byte == b'/').next().unwrap_or_default(),
            ))
        }
        Function::Base64Encode => {
            let text = take(function, args, 0)?;
            run.budget.bytes(text.len().saturating_mul(2))?;
            Ok(Value::owned(base64_encode(&text)))
        }
        _ => {
            let text = take(function, args, 0)?;
            run.budget.bytes(text.len())?;
            let decoded = base64_decode(&text);
            decoded
                .map(Value::owned)
                .ok_or_else(|| failed(function, "the text is no base64"))
        }
    }
}

/// Go's `strings.SplitN` and `SplitAfterN`.
fn split<'v>(run: &Run<'v>, function: Function, args: &mut [Value<'v>]) -> Outcome<Value<'v>> {
    let (text, separator) = (take(function, args, 0)?, take(function, args, 1)?);
    let most = match args.get(2) {
        None => usize::MAX,
        Some(Value::Int(0)) => return Ok(Value::List(Vec::new().into())),
        Some(Value::Int(count)) => usize::try_from(*count).unwrap_or(usize::MAX),
        Some(other) => return Err(wrong(function.name(), other)),
    };
    run.budget.bytes(text.len())?;
    let most = most.min(MAX_LIST);
    let keep = if function == Function::SplitAfter {
        separator.len()
    } else {
        0
    };
    let cuts = |text: &[u8]| -> Vec<(usize, usize)> {
        let mut parts = Vec::new();
        let mut start = 0;
        if separator.is_empty() {
            while start < text.len() && parts.len() + 1 < most {
                let letter = text.get(start..).unwrap_or_default();
                let width = letter.utf8_chunks().next().map_or(1, |chunk| {
                    chunk.valid().chars().next().map_or(1, char::len_utf8)
                });
                parts.push((start, start + width));
                start += width;
            }
            if start < text.len() {
                parts.push((start, text.len()));
            }
            return parts;
        }
        for at in memmem::find_iter(text, &*separator) {
            if parts.len() + 1 >= most {
                break;
            }
            parts.push((start, at + keep));
            start = at + separator.len();
        }
        parts.push((start, text.len()));
        parts
    };
    match text {
        Cow::Borrowed(text) => {
            Ok(texts(cuts(text).into_iter().map(|(from, to)| {
                Cow::Borrowed(text.get(from..to).unwrap_or_default())
            })))
        }
        Cow::Owned(text) => {
            Ok(texts(cuts(&text).into_iter().map(|(from, to)| {
                Cow::Owned(text.get(from..to).unwrap_or_default().to_vec())
            })))
        }
    }
}

fn join<'v>(run: &Run<'v>, args: &mut [Value<'v>]) -> Outcome<Value<'v>> {
    let function = Function::Join;
    let glue = if args.len() > 1 {
        take(function, args, 1)?
    } else {
        Cow::Borrowed(&b""[..])
    };
    let list = args
        .first()
        .ok_or_else(|| failed(function, "an argument is missing"))?;
    let mut out = Vec::new();
    for at in 0..super::len(function, list)? {
        if at > 0 {
            out.extend_from_slice(&glue);
        }
        match crate::eval::element(list, at) {
            Some(Value::Str(part)) => {
                run.budget.bytes(part.len().saturating_add(glue.len()))?;
                out.extend_from_slice(&part);
            }
            Some(other) => return Err(wrong(function.name(), &other)),
            None => {}
        }
    }
    Ok(Value::owned(out))
}

/// Go's `strings.Replace`; without a count, or with a negative one, all of them.
fn replace<'v>(run: &Run<'v>, args: &mut [Value<'v>]) -> Outcome<Value<'v>> {
    let function = Function::Replace;
    let (text, old) = (take(function, args, 0)?, take(function, args, 1)?);
    let new = take(function, args, 2)?;
    let most = match args.get(3) {
        None => usize::MAX,
        Some(Value::Int(count)) => usize::try_from(*count).unwrap_or(usize::MAX),
        Some(other) => return Err(wrong(function.name(), other)),
    };
    if old.is_empty() {
        return Err(failed(function, "the text to replace is empty"));
    }
    let mut out = Vec::with_capacity(text.len());
    let mut start = 0;
    for at in memmem::find_iter(&text, &*old).take(most) {
        run.budget.bytes(new.len())?;
        out.extend_from_slice(text.get(start..at).unwrap_or_default());
        out.extend_from_slice(&new);
        start = at + old.len();
    }
    run.budget.bytes(text.len())?;
    out.extend_from_slice(text.get(start..).unwrap_or_default());
    Ok(Value::owned(out))
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64_encode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len().div_ceil(3) * 4);
    for chunk in text.chunks(3) {
        let byte = |at: usize| chunk.get(at).copied().map_or(0, u32::from);
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let digit = usize::try_from(bits >> (18 - 6 * place) & 63).unwrap_or(0);
            let letter = BASE64.get(digit).copied().unwrap_or(b'=');
            out.push(if place > chunk.len() { b'=' } else { letter });
        }
    }
    out
}

/// Standard alphabet, padding required, line breaks skipped, as Go.
fn base64_decode(text: &[u8]) -> Option<Vec<u8>> {
    let text: Vec<u8> = text
        .iter()
        .copied()
        .filter(|byte| !matches!(byte, b'\r' | b'\n'))
        .collect();
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let groups = text.len() / 4;
    for (index, group) in text.chunks(4).enumerate() {
        let padding = group.iter().rev().take_while(|byte| **byte == b'=').count();
        if padding > 2 || padding > 0 && index + 1 != groups {
            return None;
        }
        let mut bits: u32 = 0;
        for byte in group.iter().take(4 - padding) {
            let digit = BASE64.iter().position(|letter| letter == byte)?;
            bits = bits << 6 | u32::try_from(digit).ok()?;
        }
        bits <<= 6 * padding;
        out.extend(bits.to_be_bytes().iter().skip(1).take(3 - padding));
    }
    Some(out)
}
