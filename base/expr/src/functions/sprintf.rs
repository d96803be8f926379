//! `Sprintf` and how values look as text, as Go's `fmt` prints them.

use crate::call::Function;
use crate::eval::{Outcome, Run, element};
use crate::functions::{failed, take, time};
use crate::value::{Data, Value};

/// The widest padding and the longest fraction that a format may ask for.
const MAX_WIDTH: usize = 1000;

pub(super) fn call<'v>(
    run: &Run<'v>,
    function: Function,
    args: &mut [Value<'v>],
) -> Outcome<Value<'v>> {
    match function {
        Function::Text => {
            let text = shown(
                args.first()
                    .ok_or_else(|| failed(function, "an argument is missing"))?,
            );
            run.budget.bytes(text.len())?;
            Ok(Value::owned(text))
        }
        Function::ToText => match args.first_mut().map(std::mem::take) {
            Some(text @ Value::Str(_)) => Ok(text),
            _ => Ok(Value::from("")),
        },
        _ => {
            let format = take(function, args, 0)?;
            let text = formatted(&format, args.get(1..).unwrap_or_default());
            run.budget.bytes(text.len())?;
            Ok(Value::owned(text))
        }
    }
}

/// A value as `%v` prints it.
pub(crate) fn shown(value: &Value<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    show(value, &mut out, 0);
    out
}

impl Value<'_> {
    /// The value as Go's `%v` prints it: strings as they are, floats as short as
    /// possible, `<nil>`, `[a b]`, `map[k:v]`.
    #[must_use]
    pub fn shown(&self) -> Vec<u8> {
        shown(self)
    }
}

fn show(value: &Value<'_>, out: &mut Vec<u8>, depth: usize) {
    if depth > 64 {
        return;
    }
    match value {
        Value::Nil => out.extend_from_slice(b"<nil>"),
        Value::Bool(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Value::Int(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Value::Float(value) => out.extend_from_slice(general(*value).as_bytes()),
        Value::Str(text) => out.extend_from_slice(text),
        Value::Time(time) => out.extend_from_slice(time::show_time(*time).as_bytes()),
        Value::Duration(nanos) => out.extend_from_slice(time::show_duration(*nanos).as_bytes()),
        Value::Object(object) if object.len().is_none() => {
            out.extend_from_slice(object.type_name().as_bytes());
        }
        Value::Fields(fields) => show_map(
            fields.iter().map(|(key, data)| (key, data.value())),
            out,
            depth,
        ),
        Value::Map(entries) => {
            show_map(
                entries.iter().map(|(key, value)| (&**key, value.clone())),
                out,
                depth,
            );
        }
        Value::Data(Data::Map(fields)) => {
            show_map(
                fields.iter().map(|(key, data)| (key, data.value())),
                out,
                depth,
            );
        }
        Value::Tree(data) => match &**data {
            Data::Map(fields) => {
                show_map(
                    fields.iter().map(|(key, data)| (key, data.value())),
                    out,
                    depth,
                );
            }
            data => show_list(&data.value(), out, depth),
        },
        list => show_list(list, out, depth),
    }
}

fn show_list(list: &Value<'_>, out: &mut Vec<u8>, depth: usize) {
    out.push(b'[');
    for at in 0..list.elements().unwrap_or(0) {
        if at > 0 {
            out.push(b' ');
        }
        show(&element(list, at).unwrap_or_default(), out, depth + 1);
    }
    out.push(b']');
}

fn show_map<'m>(
    entries: impl Iterator<Item = (&'m [u8], Value<'m>)>,
    out: &mut Vec<u8>,
    depth: usize,
) {
    out.extend_from_slice(b"map[");
    for (at, (key, value)) in entries.enumerate() {
        if at > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(key);
        out.push(b':');
        show(&value, out, depth + 1);
    }
    out.push(b']');
}

/// Go's `%g` with the fewest digits: an exponent below -4 or from 6 on is written as one,
/// so that 1234567 is `1.234567e+06`.
pub(crate) fn general(value: f64) -> String {
    if !value.is_finite() {
        return match (value.is_nan(), value > 0.0) {
            (true, _) => "NaN".to_owned(),
            (_, true) => "+Inf".to_owned(),
            _ => "-Inf".to_owned(),
        };
    }
    if value == 0.0 {
        return if value.is_sign_negative() { "-0" } else { "0" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return format!("{value}");
    }
    go_exponent(digits, exponent)
}

fn go_exponent(digits: &str, exponent: i32) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// One `%` directive.
#[derive(Default)]
struct Directive {
    minus: bool,
    plus: bool,
    zero: bool,
    sharp: bool,
    space: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// `format` with its directives replaced by `args`.
fn formatted(format: &[u8], args: &[Value<'_>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(format.len() + 16);
    let mut rest = format;
    let mut args = args.iter();
    while let Some(at) = memchr::memchr(b'%', rest) {
        let (plain, tail) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        out.extend_from_slice(plain);
        let (directive, tail) = parse(tail.get(1..).unwrap_or_default());
        let Some((verb, tail)) = tail.split_first() else {
            out.extend_from_slice(b"%!(NOVERB)");
            return out;
        };
        rest = tail;
        if *verb == b'%' {
            out.push(b'%');
            continue;
        }
        match args.next() {
            Some(arg) => pad(&directive, &directive.print(*verb, arg), &mut out),
            None => {
                out.extend_from_slice(b"%!");
                out.push(*verb);
                out.extend_from_slice(b"(MISSING)");
            }
        }
    }
    out.extend_from_slice(rest);
    let extra: Vec<_> = args.collect();
    if !extra.is_empty() {
        out.extend_from_slice(b"%!(EXTRA ");
        for (at, arg) in extra.into_iter().enumerate() {
            if at > 0 {
                out.extend_from_slice(b", ");
            }
            out.extend_from_slice(go_type(arg).as_bytes());
            out.push(b'=');
            show(arg, &mut out, 0);
        }
        out.push(b')');
    }
    out
}

fn parse(mut rest: &[u8]) -> (Directive, &[u8]) {
    let mut directive = Directive::default();
    while let Some((flag, tail)) = rest.split_first() {
        match flag {
            b'-' => directive.minus = true,
            b'+' => directive.plus = true,
            b'0' => directive.zero = true,
            b'#' => directive.sharp = true,
            b' ' => directive.space = true,
            _ => break,
        }
        rest = tail;
    }
    (directive.width, rest) = digits(rest);
    if let Some(tail) = rest.strip_prefix(b".") {
        let (precision, tail) = digits(tail);
        directive.precision = Some(precision.unwrap_or(0));
        rest = tail;
    }
    (directive, rest)
}

fn digits(text: &[u8]) -> (Option<usize>, &[u8]) {
    let len = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, rest) = text.split_at_checked(len).unwrap_or((text, &[]));
    let number = std::str::from_utf8(number)
        .ok()
        .and_then(|number| number.parse::<usize>().ok());
    (number.map(|number| number.min(MAX_WIDTH)), rest)
}

fn go_type(value: &Value<'_>) -> &'static str {
    match value {
        Value::Nil => "<nil>",
        Value::Float(_) => "float64",
        Value::Duration(_) => "time.Duration",
        Value::Time(_) => "time.Time",
        other => other.type_name(),
    }
}

impl Directive {
    fn print(&self, verb: u8, value: &Value<'_>) -> Vec<u8> {
        let fraction = self.precision.unwrap_or(6);
        match (verb, value) {
            (b'v' | b's', Value::Str(text)) => {
                let cut = self
                    .precision
                    .map_or(text.len(), |most| most.min(text.len()));
                text.get(..cut).unwrap_or_default().to_vec()
            }
            (b'v', value) => self.signed(value, shown(value)),
            (b's', Value::Time(_) | Value::Duration(_)) => shown(value),
            (b's', list) if list.elements().is_some() => shown(list),
            (b'd', Value::Int(_)) => self.signed(value, shown(value)),
            (b'd', Value::Duration(nanos)) => nanos.to_string().into_bytes(),
            (b't', Value::Bool(_)) => shown(value),
            (b'x', Value::Int(value)) => format!("{value:x}").into_bytes(),
            (b'X', Value::Int(value)) => format!("{value:X}").into_bytes(),
            (b'o', Value::Int(value)) => format!("{value:o}").into_bytes(),
            (b'b', Value::Int(value)) => format!("{value:b}").into_bytes(),
            (b'x', Value::Str(text)) => hex(text, false),
            (b'X', Value::Str(text)) => hex(text, true),
            (b'q', Value::Str(text)) => quoted(text),
            (b'f' | b'F', Value::Float(number)) => {
                self.signed(value, format!("{number:.fraction$}").into_bytes())
            }
            (b'e', Value::Float(number)) => {
                let text = format!("{number:.fraction$e}");
                let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
                go_exponent(digits, exponent.parse().unwrap_or(0)).into_bytes()
            }
            (b'g', Value::Float(number)) => self.signed(value, general(*number).into_bytes()),
            (verb, value) => {
                let mut out = vec![b'%', b'!', verb, b'('];
                if !matches!(value, Value::Nil) {
                    out.extend_from_slice(go_type(value).as_bytes());
                    out.push(b'=');
                }
                show(value, &mut out, 0);
                out.push(b')');
                out
            }
        }
    }

    fn signed(&self, value: &Value<'_>, mut text: Vec<u8>) -> Vec<u8> {
        let number = matches!(value, Value::Int(_) | Value::Float(_));
        if number && !text.starts_with(b"-") && (self.plus || self.space) {
            text.insert(0, if self.plus { b'+' } else { b' ' });
        }
        text
    }
}

fn pad(directive: &Directive, text: &[u8], out: &mut Vec<u8>) {
    let missing = directive
        .width
        .unwrap_or(0)
        .saturating_sub(super::text::runes(text));
    if directive.minus {
        out.extend_from_slice(text);
        out.extend(std::iter::repeat_n(b' ', missing));
    } else if directive.zero {
        let (sign, digits) = match text.split_first() {
            Some((sign @ (b'-' | b'+'), digits)) => (Some(*sign), digits),
            _ => (None, text),
        };
        out.extend(sign);
        out.extend(std::iter::repeat_n(b'0', missing));
        out.extend_from_slice(digits);
    } else {
        out.extend(std::iter::repeat_n(b' ', missing));
        out.extend_from_slice(text);
    }
}

fn hex(text: &[u8], upper: bool) -> Vec<u8> {
    let digits = text.iter().map(|byte| {
        if upper {
            format!("{byte:02X}")
        } else {
            format!("{byte:02x}")
        }
    });
    digits.collect::<String>().into_bytes()
}

fn quoted(text: &[u8]) -> Vec<u8> {
    let mut out = vec![b'"'];
    for chunk in text.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '"' | '\\' => out.extend_from_slice(format!("\\{letter}").as_bytes()),
                '\n' => out.extend_from_slice(b"\\n"),
                '\r' => out.extend_from_slice(b"\\r"),
                '\t' => out.extend_from_slice(b"\\t"),
                control if control.is_control() => {
                    out.extend_from_slice(format!("\\x{:02x}", u32::from(control)).as_bytes());
                }
                plain => out.extend_from_slice(plain.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        for byte in chunk.invalid() {
            out.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
        }
    }
    out.push(b'"');
    out
}
