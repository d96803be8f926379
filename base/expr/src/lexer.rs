//! Source text into tokens with byte spans.
//!
//! Refuses: unterminated strings, unknown escapes, malformed numbers, characters outside
//! the language. Bounded by the source's length.

use crate::error::{CompileError, Span};

/// One word of the language.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Token<'s> {
    /// A name, and also `true`, `false`, `nil`.
    Name(&'s str),
    Int(i64),
    Float(f64),
    Text(Box<[u8]>),
    /// An operator word, sign or bracket, as written.
    Sign(&'static str),
    End,
}

/// The words and signs of the language, longest first.
const WORDS: [&str; 11] = [
    "not",
    "in",
    "or",
    "and",
    "matches",
    "contains",
    "startsWith",
    "endsWith",
    "let",
    "if",
    "else",
];
const SIGNS: [&str; 36] = [
    "?.", "??", "||", "&&", "==", "!=", "<=", ">=", "**", "..", "::", "?", "|", "!", "<", ">", "*",
    ".", ":", "(", ")", "[", "]", "{", "}", ",", ";", "%", "+", "-", "^", "/", "#", "=", "&", "~",
];

/// A token and where it stands.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Spanned<'s> {
    pub(crate) token: Token<'s>,
    pub(crate) span: Span,
}

/// Splits `source`; the last token is [`Token::End`].
pub(crate) fn tokens(source: &str) -> Result<Vec<Spanned<'_>>, CompileError> {
    let mut lexer = Lexer { source, at: 0 };
    let mut all = Vec::new();
    loop {
        lexer.skip_blank()?;
        let start = lexer.at;
        let token = lexer.token()?;
        let end = token == Token::End;
        all.push(Spanned {
            token,
            span: lexer.span_from(start),
        });
        if end {
            return Ok(all);
        }
    }
}

struct Lexer<'s> {
    source: &'s str,
    at: usize,
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

impl<'s> Lexer<'s> {
    fn rest(&self) -> &'s [u8] {
        self.source.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.rest().get(ahead).copied().unwrap_or(0)
    }

    fn span_from(&self, start: usize) -> Span {
        Span {
            start,
            end: self.at,
        }
    }

    fn text_from(&self, start: usize) -> &'s str {
        self.source.get(start..self.at).unwrap_or_default()
    }

    fn skip_blank(&mut self) -> Result<(), CompileError> {
        loop {
            while self.peek(0).is_ascii_whitespace() || self.peek(0) == 0x0b {
                self.at += 1;
            }
            let rest = self.rest();
            if rest.starts_with(b"//") {
                self.at += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            } else if rest.starts_with(b"/*") {
                let Some(len) = memchr::memmem::find(rest, b"*/") else {
                    let span = Span {
                        start: self.at,
                        end: self.at + 2,
                    };
                    return Err(CompileError::new(
                        span,
                        "This comment is never closed. Add '*/' where it ends.",
                    ));
                };
                self.at += len + 2;
            } else {
                return Ok(());
            }
        }
    }

    fn token(&mut self) -> Result<Token<'s>, CompileError> {
        let first = self.peek(0);
        match first {
            0 if self.rest().is_empty() => Ok(Token::End),
            b'\'' | b'"' => self.quoted(first, false),
            b'b' | b'B' if matches!(self.peek(1), b'\'' | b'"') => {
                self.at += 1;
                self.quoted(self.peek(0), true)
            }
            b'`' => self.raw(),
            b'0'..=b'9' => self.number(),
            b'.' if self.peek(1).is_ascii_digit() => self.number(),
            _ if is_word(first) => Ok(self.word()),
            _ => self.sign(),
        }
    }

    fn word(&mut self) -> Token<'s> {
        let start = self.at;
        while is_word(self.peek(0)) {
            self.at += 1;
        }
        let word = self.text_from(start);
        WORDS
            .iter()
            .find(|known| **known == word)
            .map_or(Token::Name(word), |known| Token::Sign(known))
    }

    fn sign(&mut self) -> Result<Token<'s>, CompileError> {
        for sign in SIGNS {
            // `a ?.5 : b` is a ternary with a float, as nobody writes; `?.` wins, as in Go.
            if self.rest().starts_with(sign.as_bytes()) {
                self.at += sign.len();
                return Ok(Token::Sign(sign));
            }
        }
        let start = self.at;
        self.at += 1;
        Err(CompileError::new(
            self.span_from(start),
            "This character has no meaning here. Put text between quotes.",
        ))
    }

    fn number(&mut self) -> Result<Token<'s>, CompileError> {
        let start = self.at;
        let radix = match (self.peek(0), self.peek(1) | 0x20) {
            (b'0', b'x') => 16,
            (b'0', b'o') => 8,
            (b'0', b'b') => 2,
            _ => 10,
        };
        if radix == 10 {
            self.decimal();
        } else {
            self.at += 2;
        }
        while is_word(self.peek(0)) {
            self.at += 1;
        }
        let digits: String = self
            .text_from(start)
            .chars()
            .filter(|c| *c != '_')
            .collect();
        let token = if radix != 10 {
            let digits = digits.get(2..).unwrap_or_default();
            i64::from_str_radix(digits, radix).ok().map(Token::Int)
        } else if digits.bytes().any(|b| matches!(b, b'.' | b'e' | b'E')) {
            digits
                .parse()
                .ok()
                .filter(|f: &f64| f.is_finite())
                .map(Token::Float)
        } else {
            digits.parse().ok().map(Token::Int)
        };
        token.ok_or_else(|| {
            CompileError::new(
                self.span_from(start),
                "This is not a number that fits 64 bits. Correct it, or put quotes around it.",
            )
        })
    }

    fn decimal(&mut self) {
        let digits = |lexer: &mut Self| {
            while lexer.peek(0).is_ascii_digit() || lexer.peek(0) == b'_' {
                lexer.at += 1;
            }
        };
        digits(self);
        if self.peek(0) == b'.' && self.peek(1) != b'.' {
            self.at += 1;
            digits(self);
        }
        if self.peek(0) | 0x20 == b'e' {
            self.at += 1;
            if matches!(self.peek(0), b'+' | b'-') {
                self.at += 1;
            }
            digits(self);
        }
    }

    fn unterminated(&self, start: usize) -> CompileError {
        let span = Span {
            start,
            end: start + 1,
        };
        CompileError::new(
            span,
            "This string is never closed. Add the closing quote on the same line.",
        )
    }

    fn raw(&mut self) -> Result<Token<'s>, CompileError> {
        let start = self.at;
        let mut text = Vec::new();
        self.at += 1;
        loop {
            let Some(len) = memchr::memchr(b'`', self.rest()) else {
                return Err(self.unterminated(start));
            };
            text.extend_from_slice(self.rest().get(..len).unwrap_or_default());
            self.at += len + 1;
            if self.peek(0) != b'`' {
                return Ok(Token::Text(text.into()));
            }
            text.push(b'`');
            self.at += 1;
        }
    }

    fn quoted(&mut self, quote: u8, bytes: bool) -> Result<Token<'s>, CompileError> {
        let start = self.at;
        let mut text = Vec::new();
        self.at += 1;
        loop {
            let Some(&byte) = self.rest().first() else {
                return Err(self.unterminated(start));
            };
            self.at += 1;
            match byte {
                b'\n' => return Err(self.unterminated(start)),
                b'\\' => self.escape(&mut text, bytes)?,
                _ if byte == quote => return Ok(Token::Text(text.into())),
                _ => text.push(byte),
            }
        }
    }

    /// One escape sequence; `at` stands behind the backslash.
    fn escape(&mut self, text: &mut Vec<u8>, bytes: bool) -> Result<(), CompileError> {
        let start = self.at - 1;
        let letter = self.peek(0);
        self.at += 1;
        let code = match letter {
            b'a' => 0x07,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => 0x0a,
            b'r' => 0x0d,
            b't' => 0x09,
            b'v' => 0x0b,
            b'\\' | b'\'' | b'"' | b'`' | b'?' => u32::from(letter),
            b'x' | b'X' => self.digits(start, 16, 2)?,
            b'0'..=b'3' => {
                self.at -= 1;
                self.digits(start, 8, 3)?
            }
            b'u' if !bytes && self.peek(0) == b'{' => self.braced(start)?,
            b'u' if !bytes => self.digits(start, 16, 4)?,
            b'U' if !bytes => self.digits(start, 16, 8)?,
            _ => return Err(self.bad_escape(start)),
        };
        match (u8::try_from(code), bytes) {
            (Ok(byte), true) => text.push(byte),
            (Ok(byte), false) if byte < 0x80 => text.push(byte),
            _ => {
                let letter = char::from_u32(code).ok_or_else(|| self.bad_escape(start))?;
                text.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        Ok(())
    }

    fn braced(&mut self, start: usize) -> Result<u32, CompileError> {
        self.at += 1;
        let len = memchr::memchr(b'}', self.rest()).filter(|len| (1..=6).contains(len));
        let len = len.ok_or_else(|| self.bad_escape(start))?;
        let code = self.digits(start, 16, len)?;
        self.at += 1;
        Ok(code)
    }

    fn digits(&mut self, start: usize, radix: u32, count: usize) -> Result<u32, CompileError> {
        let mut code: u32 = 0;
        for _ in 0..count {
            let digit = char::from(self.peek(0)).to_digit(radix);
            let digit = digit.ok_or_else(|| self.bad_escape(start))?;
            code = code.wrapping_mul(radix).wrapping_add(digit);
            self.at += 1;
        }
        Ok(code)
    }

    fn bad_escape(&self, start: usize) -> CompileError {
        let end = self.at.min(self.source.len());
        CompileError::new(
            Span { start, end },
            "This is no known escape sequence. Write two backslashes for one backslash, or use backticks.",
        )
    }
}
