//! Go's regular expressions (RE2 syntax) on Rust's engine.
//!
//! **For.** `matches`, grok and pattern files: the same pattern must match the same
//! bytes as in Go, and a hostile pattern must not eat the machine.
//!
//! **Refuses.** Patterns above [`MAX_PATTERN`] bytes, automata above [`MAX_PROGRAM`]
//! bytes, nesting above [`MAX_NEST`]; what RE2 refuses (backreferences, lookaround) is
//! refused by Rust's engine too.
//!
//! **Differences that are neutralised.** Go's `\d \w \s \b` and POSIX classes are ASCII;
//! `{` that opens no repetition is a letter; `[`, `&&`, `--`, `~~` inside a class are
//! letters; `\Q…\E` quotes; `\z` is the end, `\C` any byte; `\<` and `\>` are letters;
//! `\s` lacks vertical tab.

use std::borrow::Cow;

use regex::bytes::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

/// The longest pattern in bytes that is accepted.
pub const MAX_PATTERN: usize = 64 * 1024;
/// The largest compiled program in bytes (`SSHD_LOG` of the hub needs about 20 MB).
pub const MAX_PROGRAM: usize = 32 << 20;
/// The largest compiled program in bytes of a pattern that counts as quickly compiled.
const QUICK: usize = 64 << 10;
/// The deepest nesting.
pub const MAX_NEST: u32 = 200;

/// Why a pattern was not accepted.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("compile a regular expression: {reason}")]
pub struct RegexError {
    /// One line of reason.
    pub reason: String,
}

/// Compiles one pattern.
///
/// # Errors
/// [`RegexError`] if it is no RE2 pattern or above the bounds.
pub fn compile(pattern: &[u8]) -> Result<Regex, RegexError> {
    build(pattern, MAX_PROGRAM)
}

/// Compiles a pattern that was computed during an evaluation, with tight bounds.
///
/// # Errors
/// [`RegexError`] if it is no RE2 pattern or above the bounds.
pub fn compile_small(pattern: &[u8]) -> Result<Regex, RegexError> {
    if pattern.len() > 1024 {
        return Err(refuse("a computed pattern is longer than 1024 bytes"));
    }
    build(pattern, 1 << 20)
}

/// Compiles a pattern only if that is quick, some hundred microseconds; whatever it accepts,
/// [`compile`] and [`compile_small`] accept too.
///
/// # Errors
/// [`RegexError`] if it is no RE2 pattern or takes longer.
pub fn compile_quickly(pattern: &[u8]) -> Result<Regex, RegexError> {
    if pattern.len() > 1024 {
        return Err(refuse(
            "a pattern that is longer than 1024 bytes takes long",
        ));
    }
    build(pattern, QUICK)
}

fn build(pattern: &[u8], size: usize) -> Result<Regex, RegexError> {
    let translated = translate(pattern)?;
    RegexBuilder::new(&translated)
        .size_limit(size)
        .nest_limit(MAX_NEST)
        .build()
        .map_err(|error| explain(&error))
}

/// Compiles many patterns into one set, such as the lines of a pattern file.
///
/// # Errors
/// [`RegexError`] if any of them is refused, or all of them together are too large.
pub fn compile_set<'p>(
    patterns: impl IntoIterator<Item = &'p [u8]>,
) -> Result<RegexSet, RegexError> {
    let translated: Result<Vec<String>, RegexError> = patterns.into_iter().map(translate).collect();
    RegexSetBuilder::new(translated?)
        .size_limit(MAX_PROGRAM * 4)
        .nest_limit(MAX_NEST)
        .build()
        .map_err(|error| explain(&error))
}

/// Whether a pattern matches anywhere in `text`, as Go would say: bytes that are no UTF-8
/// count as one replacement character each, so that a stray byte hides nothing from `.`.
#[must_use]
pub fn is_match(regex: &Regex, text: &[u8]) -> bool {
    regex.is_match(&readable(text))
}

/// `text` with every byte that is no UTF-8 replaced by U+FFFD; borrowed when there is none.
#[must_use]
pub fn readable(text: &[u8]) -> Cow<'_, [u8]> {
    if std::str::from_utf8(text).is_ok() {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len() + 8);
    for chunk in text.utf8_chunks() {
        out.extend_from_slice(chunk.valid().as_bytes());
        for _ in chunk.invalid() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    Cow::Owned(out)
}

fn refuse(reason: &str) -> RegexError {
    RegexError {
        reason: reason.to_owned(),
    }
}

fn explain(error: &regex::Error) -> RegexError {
    match error {
        regex::Error::CompiledTooBig(limit) => {
            refuse(&format!("it needs more than {limit} bytes when compiled"))
        }
        regex::Error::Syntax(text) => {
            let line = text
                .lines()
                .rev()
                .find_map(|line| line.strip_prefix("error: "));
            refuse(line.unwrap_or("its syntax is wrong"))
        }
        _ => refuse("it was refused"),
    }
}

/// The same pattern in the syntax of Rust's `regex` crate.
///
/// # Errors
/// [`RegexError`] if it is too long or no UTF-8 (Go refuses that as well).
pub fn translate(pattern: &[u8]) -> Result<String, RegexError> {
    if pattern.len() > MAX_PATTERN {
        return Err(refuse("it is longer than 65536 bytes"));
    }
    let text = std::str::from_utf8(pattern).map_err(|_| refuse("it is no UTF-8"))?;
    let mut translator = Translator {
        rest: text,
        out: String::with_capacity(text.len() + 16),
        repeatable: false,
    };
    translator.all()?;
    Ok(translator.out)
}

struct Translator<'p> {
    rest: &'p str,
    out: String,
    /// Whether something stands before that `{` could repeat.
    repeatable: bool,
}

impl<'p> Translator<'p> {
    fn next(&mut self) -> Option<char> {
        let mut letters = self.rest.chars();
        let letter = letters.next()?;
        self.rest = letters.as_str();
        Some(letter)
    }

    fn accept(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn all(&mut self) -> Result<(), RegexError> {
        while let Some(letter) = self.next() {
            match letter {
                '\\' => self.escape()?,
                '[' => self.class()?,
                '{' if self.repeatable && self.repetition() => {}
                '{' | '}' | ']' => self.literal(letter),
                '(' | '|' => {
                    self.out.push(letter);
                    self.repeatable = false;
                }
                _ => {
                    self.out.push(letter);
                    self.repeatable = true;
                }
            }
        }
        Ok(())
    }

    fn literal(&mut self, letter: char) {
        if letter.is_ascii_punctuation() && !matches!(letter, '<' | '>') {
            self.out.push('\\');
        }
        self.out.push(letter);
        self.repeatable = true;
    }

    /// A `{n}`, `{n,}` or `{n,m}` behind the brace; copies it if it is one.
    fn repetition(&mut self) -> bool {
        let Some((bounds, rest)) = self.rest.split_once('}') else {
            return false;
        };
        let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let valid = match bounds.split_once(',') {
            Some((least, most)) => number(least) && (most.is_empty() || number(most)),
            None => number(bounds),
        };
        if valid {
            self.out.push('{');
            self.out.push_str(bounds);
            self.out.push('}');
            self.rest = rest;
        }
        valid
    }

    /// An escape outside of a class; the backslash is consumed.
    fn escape(&mut self) -> Result<(), RegexError> {
        let Some(letter) = self.next() else {
            return Err(refuse("it ends with a backslash"));
        };
        self.repeatable = true;
        match letter {
            'Q' => {
                let (quoted, rest) = self.rest.split_once("\\E").unwrap_or((self.rest, ""));
                self.rest = rest;
                for letter in quoted.chars() {
                    self.literal(letter);
                }
            }
            'C' => self.out.push_str("(?s-u:.)"),
            'd' | 'w' | 's' | 'D' | 'W' | 'S' => self.out.push_str(ascii(letter)),
            'b' => self.out.push_str("(?-u:\\b)"),
            'B' => self.out.push_str("(?-u:\\B)"),
            '0'..='7' => self.octal(letter)?,
            'p' | 'P' | 'x' => {
                self.out.push('\\');
                self.out.push(letter);
                self.argument(if letter == 'x' { 2 } else { 1 });
            }
            _ if letter.is_ascii() && !letter.is_ascii_alphanumeric() => self.literal(letter),
            'a' | 'f' | 't' | 'n' | 'r' | 'v' | 'A' | 'z' => {
                self.out.push('\\');
                self.out.push(letter);
            }
            _ => return Err(refuse(&format!("'\\{letter}' means nothing"))),
        }
        Ok(())
    }

    /// `\123` is a byte in octal; `\1` is a backreference, which RE2 has not.
    fn octal(&mut self, first: char) -> Result<(), RegexError> {
        let digits = self
            .rest
            .chars()
            .take_while(|c| matches!(c, '0'..='7'))
            .take(2);
        let more = digits.count();
        if first != '0' && more == 0 {
            return Err(refuse("backreferences do not exist in RE2"));
        }
        let (digits, rest) = self.rest.split_at_checked(more).unwrap_or(("", self.rest));
        let code = u32::from_str_radix(&format!("{first}{digits}"), 8).unwrap_or(0);
        self.rest = rest;
        self.out.push_str(&format!("\\x{{{code:x}}}"));
        Ok(())
    }

    /// A bracket class; the `[` is consumed.
    fn class(&mut self) -> Result<(), RegexError> {
        self.out.push('[');
        if self.accept("^") {
            self.out.push('^');
        }
        let mut first = true;
        while first || !self.accept("]") {
            first = false;
            if self.posix() || self.perl_class() {
                continue;
            }
            self.class_letter()?;
            // A hyphen before the closing bracket is a letter, not a range.
            if self.rest.starts_with('-') && !self.rest.starts_with("-]") {
                self.accept("-");
                self.out.push('-');
                self.class_letter()?;
            }
        }
        self.out.push(']');
        self.repeatable = true;
        Ok(())
    }

    /// `\d`, `\pN` and the like inside of a class; copies it if it is one.
    fn perl_class(&mut self) -> bool {
        let mut letters = self.rest.chars();
        let (Some('\\'), Some(letter)) = (letters.next(), letters.next()) else {
            return false;
        };
        match letter {
            'd' => self.out.push_str("0-9"),
            'w' => self.out.push_str("0-9A-Za-z_"),
            's' => self.out.push_str("\\t\\n\\f\\r "),
            'D' | 'W' | 'S' => self.out.push_str(ascii(letter)),
            'p' | 'P' => {
                self.out.push('\\');
                self.out.push(letter);
                self.rest = letters.as_str();
                self.argument(1);
                return true;
            }
            _ => return false,
        }
        self.rest = letters.as_str();
        true
    }

    /// One letter of a class, escaped or not.
    fn class_letter(&mut self) -> Result<(), RegexError> {
        let unclosed = || refuse("a '[' is never closed");
        match self.next().ok_or_else(unclosed)? {
            '\\' => match self.next().ok_or_else(unclosed)? {
                letter @ '0'..='7' => self.octal(letter)?,
                letter @ ('x' | 'a' | 'f' | 't' | 'n' | 'r' | 'v') => {
                    self.out.push('\\');
                    self.out.push(letter);
                    if letter == 'x' {
                        self.argument(2);
                    }
                }
                letter if letter.is_ascii() && !letter.is_ascii_alphanumeric() => {
                    self.literal(letter);
                }
                letter => {
                    return Err(refuse(&format!("'\\{letter}' means nothing inside [ ]")));
                }
            },
            letter => self.literal(letter),
        }
        Ok(())
    }

    /// What belongs to `\x` or `\p`: something in braces, else that many letters.
    fn argument(&mut self, letters: usize) {
        let len = match self.rest.split_once('}') {
            Some((name, _)) if name.starts_with('{') => name.len() + 1,
            _ => self.rest.chars().take(letters).map(char::len_utf8).sum(),
        };
        let (argument, rest) = self.rest.split_at_checked(len).unwrap_or((self.rest, ""));
        self.out.push_str(argument);
        self.rest = rest;
    }

    /// `[:alpha:]` inside of a class; copies it if it is one.
    fn posix(&mut self) -> bool {
        let inside = self
            .rest
            .strip_prefix("[:")
            .and_then(|rest| rest.split_once(":]"));
        let Some((name, rest)) = inside else {
            return false;
        };
        let word = name.strip_prefix('^').unwrap_or(name);
        let valid = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
        if valid {
            self.out.push_str("[:");
            self.out.push_str(name);
            self.out.push_str(":]");
            self.rest = rest;
        }
        valid
    }
}

/// Perl classes as Go has them; the negated ones still match whole characters.
fn ascii(letter: char) -> &'static str {
    match letter {
        'd' => "[0-9]",
        'w' => "[0-9A-Za-z_]",
        's' => "[\\t\\n\\f\\r ]",
        'D' => "[^0-9]",
        'W' => "[^0-9A-Za-z_]",
        _ => "[^\\t\\n\\f\\r ]",
    }
}
