//! Who somebody tries to log in as: read from the first bytes of a request's body, or
//! from Basic credentials.
//!
//! For: rules that count guesses against one account, from however many addresses. What
//! leaves this module are keyed hashes, never a name or a password.
//!
//! Refuses: to hold a body back, to look at more than [`MOST`] bytes of it, and to look at
//! bodies of other shapes than forms and JSON. Text that may be cut off is not taken for
//! whole: a value counts only if its end was seen.
//!
//! Assumes nothing of the bytes: they are a stranger's. On failure there is no login to
//! tell of. Applications that name their fields in their own way are not understood.
//!
//! Where a request says two names or two passwords (a decoy beside the field that counts,
//! Basic credentials beside a form), nobody but the application knows which it goes by. All
//! of them together are the account then, or the guess: what stays the same stays the same,
//! and each new guess is a new one. Whoever changes a decoy with every request hides which
//! account is meant, but not that these are ever new names; rules that count by source
//! take that, and those that bound all logins of a source need none of this.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::hash::BuildHasher;

use vocab::{Login, LoginBy};
use wire::{HeaderId, Method, Request};

/// How much of a body is looked at.
pub(crate) const MOST: usize = 4 << 10;
/// The longest value that is taken for a name or a password, in bytes.
const LONGEST: usize = 256;
/// How many fields of a body are looked at.
const FIELDS: usize = 64;

/// Pieces of targets that speak of logging in, lower case.
const PLACES: [&str; 14] = [
    "login",
    "logon",
    "log-in",
    "log_in",
    "signin",
    "sign-in",
    "sign_in",
    "signon",
    "auth",
    "session",
    "token",
    "xmlrpc",
    "j_security_check",
    "phpmyadmin",
];

/// Names of fields that hold an account. `login` and `name` are often the button's, or
/// something else's: that stays the same with each attempt, and does no harm.
const ACCOUNTS: [&str; 27] = [
    "username",
    "user",
    "log",
    "wpname",
    "pma_username",
    "j_username",
    "os_username",
    "uname",
    "user_name",
    "username_or_email",
    "user_login",
    "userid",
    "user_id",
    "loginname",
    "login_name",
    "login_email",
    "usr",
    "uid",
    "u",
    "identifier",
    "login",
    "email",
    "mail",
    "e-mail",
    "account",
    "acct",
    "name",
];

/// Names of fields that hold a password.
const PASSWORDS: [&str; 16] = [
    "password",
    "pass",
    "passwd",
    "pwd",
    "wppassword",
    "pma_password",
    "j_password",
    "os_password",
    "user_password",
    "user_pass",
    "login_password",
    "passwort",
    "passphrase",
    "pw",
    "secret",
    "p",
];

/// How a body is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shape {
    Form,
    Json,
}

/// What somebody tries: the different names and passwords that a request says, in an order
/// that does not depend on theirs. Usually one of each.
#[derive(Default)]
struct Attempt {
    accounts: BTreeSet<Vec<u8>>,
    passwords: BTreeSet<Vec<u8>>,
}

/// How the body of this request is to be looked at, if at all: POSTs of a form or of JSON
/// to a place that speaks of logging in.
pub(crate) fn wanted(request: &Request<'_>) -> Option<Shape> {
    if request.method() != Method::Post || request.framing().is_empty() {
        return None;
    }
    let shape = shape(request.headers().first(HeaderId::ContentType)?)?;
    speaks_of_login(request.target()).then_some(shape)
}

/// What the request tells of a login: `body` is its beginning, `whole` whether that is all.
/// Credentials in the head and in the body are one attempt, since some applications go by
/// the ones and some by the others.
pub(crate) fn read(
    request: &Request<'_>,
    body: Option<(Shape, &[u8])>,
    whole: bool,
    secret: &impl BuildHasher,
) -> Option<Login> {
    let head = request.headers().first(HeaderId::Authorization);
    let head = head.and_then(basic);
    let said = body.and_then(|(shape, body)| match shape {
        Shape::Form => Some((LoginBy::Form, form(body, whole)?)),
        Shape::Json => Some((LoginBy::Json, json(body)?)),
    });
    match (head, said) {
        (Some(head), Some((by, said))) => Some(said.and(head).told(by, secret)),
        (None, Some((by, said))) => Some(said.told(by, secret)),
        (Some(head), None) => Some(head.told(LoginBy::Basic, secret)),
        (None, None) => None,
    }
}

impl Attempt {
    /// Takes a name as it is compared: without space around it, in lower case.
    fn name(&mut self, account: &[u8]) {
        let account = String::from_utf8_lossy(account).trim().to_lowercase();
        if !account.is_empty() && account.len() <= LONGEST {
            self.accounts.insert(account.into_bytes());
        }
    }

    fn password(&mut self, password: &[u8]) {
        if !password.is_empty() {
            self.passwords.insert(password.to_vec());
        }
    }

    /// Takes a field, if its name is one that is known.
    fn see(&mut self, key: &[u8], value: &[u8]) {
        if value.is_empty() || value.len() > LONGEST {
            return;
        }
        let key = plain(key);
        let is_one_of = |names: &[&str]| names.iter().any(|name| key == name.as_bytes());
        if is_one_of(&ACCOUNTS) {
            self.name(value);
        }
        if is_one_of(&PASSWORDS) {
            self.password(value);
        }
    }

    /// Both in one.
    fn and(mut self, mut other: Self) -> Self {
        self.accounts.append(&mut other.accounts);
        self.passwords.append(&mut other.passwords);
        self
    }

    /// The attempt, if it names anybody.
    fn named(self) -> Option<Self> {
        (!self.accounts.is_empty()).then_some(self)
    }

    /// As hashes. Of the password so few bits that they tell two guesses apart, and are no
    /// help in finding out which guess it was.
    fn told(&self, by: LoginBy, secret: &impl BuildHasher) -> Login {
        let account = secret.hash_one(("account", &self.accounts));
        let guess = (!self.passwords.is_empty()).then(|| {
            let hash = secret.hash_one(("guess", account, &self.passwords));
            u32::try_from(hash >> 40).unwrap_or(0)
        });
        Login { account, guess, by }
    }
}

fn speaks_of_login(target: &[u8]) -> bool {
    let target = target.get(..target.len().min(1_024)).unwrap_or_default();
    PLACES.iter().any(|place| {
        target
            .windows(place.len())
            .any(|part| part.eq_ignore_ascii_case(place.as_bytes()))
    })
}

fn shape(content_type: &[u8]) -> Option<Shape> {
    let end = content_type.iter().position(|byte| *byte == b';');
    let kind = content_type
        .get(..end.unwrap_or(content_type.len()))?
        .trim_ascii();
    if kind.eq_ignore_ascii_case(b"application/x-www-form-urlencoded") {
        return Some(Shape::Form);
    }
    let json = kind.eq_ignore_ascii_case(b"application/json")
        || kind.eq_ignore_ascii_case(b"text/json")
        || (kind.len() > 5 && kind.to_ascii_lowercase().ends_with(b"+json"));
    json.then_some(Shape::Json)
}

/// A field's name without what frameworks put around it: `user[email]` is `email`,
/// `_username` is `username`.
fn plain(key: &[u8]) -> Vec<u8> {
    let inner = match key.strip_suffix(b"]") {
        Some(open) => open.rsplit(|byte| *byte == b'[').next().unwrap_or(open),
        None => key,
    };
    let start = inner.iter().position(|byte| *byte != b'_').unwrap_or(0);
    inner
        .get(start..)
        .unwrap_or_default()
        .iter()
        .take(64)
        .map(u8::to_ascii_lowercase)
        .collect()
}

/// Reads `application/x-www-form-urlencoded`.
fn form(body: &[u8], whole: bool) -> Option<Attempt> {
    let mut attempt = Attempt::default();
    let mut rest = body;
    for _ in 0..FIELDS {
        if rest.is_empty() {
            break;
        }
        let end = rest.iter().position(|byte| *byte == b'&');
        if end.is_none() && !whole {
            break;
        }
        let (pair, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after.get(1..).unwrap_or_default();
        let Some(equals) = pair.iter().position(|byte| *byte == b'=') else {
            continue;
        };
        let (key, value) = pair.split_at(equals);
        let value = value.get(1..).unwrap_or_default();
        // Escapes triple the length at most.
        if key.len() <= LONGEST && value.len() <= 3 * LONGEST {
            attempt.see(&unescaped(key), &unescaped(value));
        }
    }
    attempt.named()
}

/// Undoes `+` and `%XX`; what is no escape stands for itself.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        let escape = (*byte == b'%')
            .then(|| Some(hex(*text.get(at + 1)?)? << 4 | hex(*text.get(at + 2)?)?))
            .flatten();
        out.push(match (escape, byte) {
            (Some(escaped), _) => escaped,
            (None, b'+') => b' ',
            (None, other) => *other,
        });
        at += if escape.is_some() { 3 } else { 1 };
    }
    out
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

/// Reads the strings of a JSON text that have a name, at whatever depth, without building
/// anything: what is not JSON yields pairs that nobody looks for.
fn json(body: &[u8]) -> Option<Attempt> {
    let mut attempt = Attempt::default();
    let (mut at, mut fields) = (0, 0);
    let mut key: Option<Cow<'_, [u8]>> = None;
    while let Some(byte) = body.get(at)
        && fields < FIELDS
    {
        match byte {
            b'"' => {
                let (text, end) = string(body, at + 1)?;
                at = end;
                match key.take() {
                    Some(name) => {
                        fields += 1;
                        attempt.see(&name, &text);
                    }
                    None if follows_colon(body, end) => key = Some(text),
                    None => {}
                }
                continue;
            }
            // A value that is no string: its name goes with it.
            b',' | b'{' | b'}' | b'[' | b']' => key = None,
            _ => {}
        }
        at += 1;
    }
    attempt.named()
}

fn follows_colon(body: &[u8], from: usize) -> bool {
    let rest = body.get(from..).unwrap_or_default();
    rest.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b':')
}

/// The string that begins at `from`, behind its quotation mark, and where it ended; `None`
/// when its end is not there.
fn string(body: &[u8], from: usize) -> Option<(Cow<'_, [u8]>, usize)> {
    let mut out: Option<Vec<u8>> = None;
    let mut at = from;
    loop {
        match *body.get(at)? {
            b'"' => {
                let text = match out {
                    Some(text) => Cow::Owned(text),
                    None => Cow::Borrowed(body.get(from..at)?),
                };
                return Some((text, at + 1));
            }
            b'\\' => {
                let text =
                    out.get_or_insert_with(|| body.get(from..at).unwrap_or_default().to_vec());
                at = escape(body, at + 1, text)?;
            }
            other => {
                if let Some(text) = &mut out {
                    text.push(other);
                }
                at += 1;
            }
        }
    }
}

/// Undoes the escape whose letter stands at `at`; where the text goes on.
fn escape(body: &[u8], at: usize, into: &mut Vec<u8>) -> Option<usize> {
    let letter = *body.get(at)?;
    if letter != b'u' {
        into.push(match letter {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'b' => 8,
            b'f' => 12,
            other => other,
        });
        return Some(at + 1);
    }
    let unit = |at: usize| -> Option<u32> {
        let digits = core::str::from_utf8(body.get(at..at + 4)?).ok()?;
        u32::from_str_radix(digits, 16).ok()
    };
    let high = unit(at + 1)?;
    let mut end = at + 5;
    let mut code = high;
    // RFC 8259 §7: two surrogates are one character.
    if (0xd800..0xdc00).contains(&high)
        && body.get(end..end + 2) == Some(b"\\u")
        && let Some(low) = unit(end + 2).filter(|low| (0xdc00..0xe000).contains(low))
    {
        code = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
        end += 6;
    }
    let letter = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    into.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
    Some(end)
}

/// Reads `Authorization: Basic` (RFC 7617).
fn basic(authorization: &[u8]) -> Option<Attempt> {
    let (scheme, rest) = authorization.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") || rest.len() > 4 * LONGEST {
        return None;
    }
    let credentials = base64(rest.trim_ascii())?;
    let colon = credentials.iter().position(|byte| *byte == b':')?;
    let (account, password) = credentials.split_at(colon);
    let mut attempt = Attempt::default();
    attempt.name(account);
    attempt.password(password.get(1..)?);
    attempt.named()
}

/// Decodes base64 with or without padding (RFC 4648 §4).
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let end = text.iter().rposition(|byte| *byte != b'=')? + 1;
    let (mut bits, mut held) = (0_u32, 0_u32);
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    for byte in text.get(..end)? {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests;
