//! JSON: into [`Data`], out of it, and parts of it by path.
//!
//! Numbers become floats, as in Go. Refuses what is no JSON, and nesting above
//! [`MAX_DEPTH`]. Bytes that are no UTF-8 inside of strings are kept as they are.

use crate::value::{Data, Fields, Missing};

/// The deepest nesting that is read.
pub const MAX_DEPTH: usize = 128;

/// Why a text is no JSON, and where.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("read JSON at byte {at}: {reason}")]
pub struct JsonError {
    /// The byte at which reading stopped.
    pub at: usize,
    /// What was wrong there.
    pub reason: &'static str,
}

/// Reads one JSON value; white space around it is allowed, anything else is not.
///
/// # Errors
/// [`JsonError`].
pub fn parse(text: &[u8]) -> Result<Data, JsonError> {
    let mut reader = Reader { text, at: 0 };
    let data = reader.value(0)?;
    reader.skip_space();
    if reader.at < text.len() {
        return Err(reader.fault("something follows the value"));
    }
    Ok(data)
}

struct Reader<'t> {
    text: &'t [u8],
    at: usize,
}

impl<'t> Reader<'t> {
    fn fault(&self, reason: &'static str) -> JsonError {
        JsonError {
            at: self.at,
            reason,
        }
    }

    fn rest(&self) -> &'t [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn accept(&mut self, byte: u8) -> bool {
        self.skip_space();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: usize) -> Result<Data, JsonError> {
        if depth > MAX_DEPTH {
            return Err(self.fault("the nesting is too deep"));
        }
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.map(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => Ok(Data::Text(unescaped(self.string()?).into())),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.word(),
        }
    }

    fn word(&mut self) -> Result<Data, JsonError> {
        let words = [
            (&b"null"[..], Data::Nil),
            (b"true", Data::Bool(true)),
            (b"false", Data::Bool(false)),
        ];
        for (word, data) in words {
            if self.rest().starts_with(word) {
                self.at += word.len();
                return Ok(data);
            }
        }
        Err(self.fault("a value is missing"))
    }

    fn number(&mut self) -> Result<Data, JsonError> {
        let rest = self.rest();
        let len = rest
            .iter()
            .take_while(|byte| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9'))
            .count();
        let text = rest
            .get(..len)
            .and_then(|text| std::str::from_utf8(text).ok());
        let digits = text.unwrap_or_default().trim_start_matches('-');
        let leading_zero = digits.len() > 1
            && digits.starts_with('0')
            && digits.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
        let value = text.and_then(|text| text.parse::<f64>().ok());
        match value.filter(|value| value.is_finite() && !leading_zero && !digits.ends_with('.')) {
            Some(value) => {
                self.at += len;
                Ok(Data::Float(value))
            }
            None => Err(self.fault("this is no number")),
        }
    }

    /// The raw inside of a string; `at` stands on the opening quote.
    fn string(&mut self) -> Result<&'t [u8], JsonError> {
        let start = self.at + 1;
        let mut end = start;
        loop {
            let rest = self.text.get(end..).unwrap_or_default();
            match memchr::memchr2(b'"', b'\\', rest) {
                None => return Err(self.fault("a string is never closed")),
                Some(len) if rest.get(len) == Some(&b'"') => {
                    self.at = end + len + 1;
                    let raw = self.text.get(start..end + len).unwrap_or_default();
                    if raw.iter().any(|byte| *byte < 0x20) {
                        return Err(self.fault("a control character stands in a string"));
                    }
                    return Ok(raw);
                }
                Some(len) => end += len + 2,
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Data, JsonError> {
        self.at += 1;
        let mut items = Vec::new();
        if self.accept(b']') {
            return Ok(Data::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.accept(b']') {
                return Ok(Data::List(items));
            }
            if !self.accept(b',') {
                return Err(self.fault("a comma or ']' is missing"));
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Data, JsonError> {
        self.at += 1;
        let mut entries = Vec::new();
        if self.accept(b'}') {
            return Ok(Data::Map(Fields::new(Missing::Nil)));
        }
        loop {
            let key = self.key()?;
            entries.push((unescaped(key).into(), self.value(depth + 1)?));
            if self.accept(b'}') {
                return Ok(Data::Map(Fields::from_entries(entries, Missing::Nil)));
            }
            if !self.accept(b',') {
                return Err(self.fault("a comma or '}' is missing"));
            }
        }
    }

    /// A key and its colon.
    fn key(&mut self) -> Result<&'t [u8], JsonError> {
        self.skip_space();
        if self.peek() != Some(b'"') {
            return Err(self.fault("a key is missing"));
        }
        let key = self.string()?;
        if !self.accept(b':') {
            return Err(self.fault("a colon is missing"));
        }
        Ok(key)
    }

    /// Steps over one value without building it; strings and brackets are honoured,
    /// the rest is taken as it comes.
    fn skip(&mut self) -> Result<(), JsonError> {
        self.skip_space();
        let mut depth = 0_usize;
        loop {
            match self.peek() {
                None if depth > 0 => return Err(self.fault("a bracket is never closed")),
                None => return Ok(()),
                Some(b'"') => {
                    self.string()?;
                }
                Some(b'{' | b'[') => {
                    depth += 1;
                    self.at += 1;
                }
                Some(b'}' | b']') if depth > 0 => {
                    depth -= 1;
                    self.at += 1;
                }
                Some(b'}' | b']' | b',') if depth == 0 => return Ok(()),
                Some(byte) if depth == 0 && byte.is_ascii_whitespace() => return Ok(()),
                Some(_) if depth == 0 => {
                    self.at += 1;
                    continue;
                }
                Some(_) => {
                    self.at += 1;
                    continue;
                }
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }
}

/// A string's inside with its escapes resolved; lone surrogates become U+FFFD.
fn unescaped(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut at = 0;
    while let Some(byte) = raw.get(at) {
        at += 1;
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        let letter = raw.get(at).copied().unwrap_or(b'\\');
        at += 1;
        match letter {
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'r' => out.push(b'\r'),
            b'b' => out.push(0x08),
            b'f' => out.push(0x0c),
            b'u' => {
                let (letter, used) = unicode(raw.get(at..).unwrap_or_default());
                at += used;
                out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
            }
            other => out.push(other),
        }
    }
    out
}

/// The letter behind `\u`, and how many bytes it took.
fn unicode(rest: &[u8]) -> (char, usize) {
    let code = |rest: &[u8], from: usize| {
        let digits = rest.get(from..from + 4)?;
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let Some(first) = code(rest, 0) else {
        return (char::REPLACEMENT_CHARACTER, 0);
    };
    if let Some(letter) = char::from_u32(first) {
        return (letter, 4);
    }
    let second = match rest.get(4..6) {
        Some(b"\\u") if first < 0xdc00 => code(rest, 6),
        _ => None,
    };
    match second {
        Some(second @ 0xdc00..=0xdfff) => {
            let letter = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            (
                char::from_u32(letter).unwrap_or(char::REPLACEMENT_CHARACTER),
                10,
            )
        }
        _ => (char::REPLACEMENT_CHARACTER, 4),
    }
}

/// The raw text of the value at a path of keys and `[n]` positions; strings keep their
/// quotes. `None` if it is not there or the text is no JSON up to there.
#[must_use]
pub fn locate<'t>(text: &'t [u8], path: &[&[u8]]) -> Option<&'t [u8]> {
    let mut reader = Reader { text, at: 0 };
    for step in path {
        reader.skip_space();
        let position = step
            .strip_prefix(b"[")
            .and_then(|step| step.strip_suffix(b"]"));
        match position {
            Some(position) => {
                let position = std::str::from_utf8(position).ok()?.parse().ok()?;
                enter_list(&mut reader, position)?;
            }
            None => enter_map(&mut reader, step)?,
        }
    }
    reader.skip_space();
    let start = reader.at;
    reader.skip().ok()?;
    text.get(start..reader.at).filter(|raw| !raw.is_empty())
}

/// As [`locate`], with the path written as `a.b[0].c`.
#[must_use]
pub fn locate_dotted<'t>(text: &'t [u8], path: &[u8]) -> Option<&'t [u8]> {
    let mut spread = Vec::with_capacity(path.len() + 8);
    let positional = path.starts_with(b"[");
    for byte in path {
        if *byte == b'[' && !positional {
            spread.push(b'.');
        }
        spread.push(*byte);
    }
    let steps: Vec<&[u8]> = spread.split(|byte| *byte == b'.').take(64).collect();
    locate(text, &steps)
}

fn enter_map(reader: &mut Reader<'_>, wanted: &[u8]) -> Option<()> {
    if !reader.accept(b'{') || reader.accept(b'}') {
        return None;
    }
    loop {
        let key = reader.key().ok()?;
        if key == wanted || memchr::memchr(b'\\', key).is_some() && unescaped(key) == wanted {
            return Some(());
        }
        reader.skip().ok()?;
        if !reader.accept(b',') {
            return None;
        }
    }
}

fn enter_list(reader: &mut Reader<'_>, position: usize) -> Option<()> {
    if !reader.accept(b'[') {
        return None;
    }
    for _ in 0..position {
        reader.skip().ok()?;
        if !reader.accept(b',') {
            return None;
        }
    }
    reader.skip_space();
    (reader.peek() != Some(b']')).then_some(())
}

/// A raw value without the quotes around it, if it is a string; escapes stay.
#[must_use]
pub fn unquoted(raw: &[u8]) -> &[u8] {
    raw.strip_prefix(b"\"")
        .and_then(|raw| raw.strip_suffix(b"\""))
        .unwrap_or(raw)
}

/// Writes data as compact JSON, as Go's `json.Marshal` does.
pub fn write(data: &Data, out: &mut Vec<u8>) {
    match data {
        Data::Nil => out.extend_from_slice(b"null"),
        Data::Bool(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Data::Int(value) | Data::Duration(value) => {
            out.extend_from_slice(value.to_string().as_bytes());
        }
        Data::Float(value) => write_float(*value, out),
        Data::Text(text) => write_text(text, out),
        Data::Time(time) => write_text(time.to_string().as_bytes(), out),
        Data::List(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write(item, out);
            }
            out.push(b']');
        }
        Data::Map(fields) => {
            out.push(b'{');
            for (at, (key, value)) in fields.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_text(key, out);
                out.push(b':');
                write(value, out);
            }
            out.push(b'}');
        }
    }
}

fn write_float(value: f64, out: &mut Vec<u8>) {
    let size = value.abs();
    if value.is_finite() && (size == 0.0 || (1e-6..1e21).contains(&size)) {
        out.extend_from_slice(value.to_string().as_bytes());
    } else if value.is_finite() {
        out.extend_from_slice(
            format!("{value:e}")
                .replacen('e', "e+", 1)
                .replace("+-", "-")
                .as_bytes(),
        );
    } else {
        out.extend_from_slice(b"null");
    }
}

fn write_text(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for chunk in text.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '"' => out.extend_from_slice(b"\\\""),
                '\\' => out.extend_from_slice(b"\\\\"),
                '\n' => out.extend_from_slice(b"\\n"),
                '\r' => out.extend_from_slice(b"\\r"),
                '\t' => out.extend_from_slice(b"\\t"),
                // Go escapes these for the sake of HTML and JavaScript.
                '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                    out.extend_from_slice(format!("\\u{:04x}", u32::from(letter)).as_bytes());
                }
                plain => out.extend_from_slice(plain.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        for _ in chunk.invalid() {
            out.extend_from_slice(b"\\ufffd");
        }
    }
    out.push(b'"');
}
