//! Cutting credentials out of what is stored.
//!
//! Evidence is what strangers sent us, and some of it is what honest people typed:
//! passwords in query strings, cookies, authorization headers. A value is cut when
//! its own name, or the name of an argument within it, is on the list; names are
//! compared without regard to case, `-`, `_` and percent-encoding. Cut too: what
//! follows `Bearer` and `Basic`, and a password in a URL's authority.
//!
//! It errs on the side of cutting. It does not find a credential that sits under an
//! innocent name.

use vocab::{Alert, Evidence};

/// What stands in place of a credential.
pub const CUT: &str = "[redacted]";

/// Names that are cut unless the configuration says otherwise.
pub const CREDENTIALS: [&str; 38] = [
    "access_token",
    "api_key",
    "apikey",
    "auth",
    "auth_token",
    "authorization",
    "client_secret",
    "code",
    "cookie",
    "credential",
    "csrf_token",
    "id_token",
    "jsessionid",
    "jwt",
    "key",
    "login_token",
    "new_password",
    "otp",
    "pass",
    "passphrase",
    "passwd",
    "password",
    "phpsessid",
    "pin",
    "private_key",
    "proxy_authorization",
    "pwd",
    "refresh_token",
    "secret",
    "session",
    "session_id",
    "session_token",
    "set_cookie",
    "sid",
    "signature",
    "token",
    "x_api_key",
    "x_auth_token",
];

/// Cuts credentials out of texts, by name.
#[derive(Clone, Debug)]
pub struct Redactor {
    /// Folded names, sorted.
    names: Vec<String>,
}

impl Redactor {
    /// A redactor for these names.
    #[must_use]
    pub fn new(names: &[String]) -> Self {
        let mut names: Vec<String> = names.iter().map(|name| fold(name)).collect();
        names.sort_unstable();
        names.dedup();
        Self { names }
    }

    /// The alert as it may be stored.
    #[must_use]
    pub fn alert(&self, alert: &Alert) -> Alert {
        let pair = |(name, value): &(String, String)| (name.clone(), self.named(name, value));
        Alert {
            events: alert
                .events
                .iter()
                .map(|event| Evidence {
                    time: event.time,
                    meta: event.meta.iter().map(pair).collect(),
                })
                .collect(),
            context: alert
                .context
                .iter()
                .map(|(name, values)| {
                    let values = values.iter().map(|value| self.named(name, value));
                    (name.clone(), values.collect())
                })
                .collect(),
            ..alert.clone()
        }
    }

    /// A value as it may be stored under this name.
    #[must_use]
    pub fn named(&self, name: &str, value: &str) -> String {
        // `evt.Meta` names may carry a path: the last part is the name.
        let last = name.rsplit('.').next().unwrap_or(name);
        if !value.is_empty() && self.is_listed(last) {
            return CUT.to_owned();
        }
        self.text(value)
    }

    /// A free text, such as a request target or a log line, as it may be stored.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for piece in text.split_inclusive(['?', '&', ';', ' ', '"', '\n', '#', ',', '{', '}']) {
            let body = piece.trim_end_matches(['?', '&', ';', ' ', '"', '\n', '#', ',', '{', '}']);
            let end = piece.strip_prefix(body).unwrap_or_default();
            if is_credential_after_scheme(&out) {
                out.push_str(if body.is_empty() { "" } else { CUT });
            } else {
                self.pair(body, &mut out);
            }
            out.push_str(end);
        }
        out
    }

    /// `name=value`, or something else.
    fn pair(&self, body: &str, out: &mut String) {
        if let Some((name, value)) = body.split_once('=')
            && !value.is_empty()
            && self.is_listed(name)
        {
            out.push_str(name);
            out.push('=');
            out.push_str(CUT);
            return;
        }
        // scheme://user:password@host
        if let Some((scheme, rest)) = body.split_once("://") {
            let authority = rest.split('/').next().unwrap_or(rest);
            if let Some((user, host)) = authority.rsplit_once('@')
                && let Some((user, _)) = user.split_once(':')
            {
                let path = rest.strip_prefix(authority).unwrap_or_default();
                out.push_str(&format!("{scheme}://{user}:{CUT}@{host}{path}"));
                return;
            }
        }
        out.push_str(body);
    }

    fn is_listed(&self, name: &str) -> bool {
        let is = |name: &str| self.names.binary_search(&fold(name)).is_ok();
        // `user[password]`: the innermost part is a name too.
        is(name) || name.rsplit_once('[').is_some_and(|(_, inner)| is(inner))
    }
}

/// Whether the text so far ends in an authentication scheme, so that a credential
/// follows.
fn is_credential_after_scheme(so_far: &str) -> bool {
    let Some(before) = so_far.strip_suffix(' ') else {
        return false;
    };
    let word = before
        .trim_end()
        .rsplit(|c: char| !c.is_ascii_alphabetic())
        .next()
        .unwrap_or_default();
    ["bearer", "basic"]
        .iter()
        .any(|scheme| word.eq_ignore_ascii_case(scheme))
}

/// A name as it is compared: decoded, lower case, without `-`, `_`, `[`, `]`.
fn fold(name: &str) -> String {
    let bytes = name.as_bytes();
    let mut out = String::with_capacity(name.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let decoded = (byte == b'%')
            .then(|| bytes.get(at + 1..at + 3))
            .flatten()
            .and_then(|hex| core::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        at += if decoded.is_some() { 3 } else { 1 };
        match decoded.unwrap_or(byte) {
            b'-' | b'_' | b'[' | b']' | b'+' | b' ' => {}
            other => out.push(char::from(other.to_ascii_lowercase())),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor() -> Redactor {
        Redactor::new(&CREDENTIALS.map(str::to_owned))
    }

    #[test]
    fn credentials_are_cut_and_the_rest_is_left_alone() {
        let redactor = redactor();
        for (text, want) in [
            (
                "/login?user=ann&password=hunter2",
                "/login?user=ann&password=[redacted]",
            ),
            ("password=hunter2", "password=[redacted]"),
            ("a=1;token=abc;b=2", "a=1;token=[redacted];b=2"),
            ("/x?PassWord=a%20b&q=1", "/x?PassWord=[redacted]&q=1"),
            ("/x?p%61ssword=a", "/x?p%61ssword=[redacted]"),
            ("/x?user[password]=a", "/x?user[password]=[redacted]"),
            (
                "/x?api-key=1&apikey=2&api_key=3",
                "/x?api-key=[redacted]&apikey=[redacted]&api_key=[redacted]",
            ),
            (
                "Authorization: Bearer abc.def",
                "Authorization: Bearer [redacted]",
            ),
            ("basic dXNlcjpwYXNz, next", "basic [redacted], next"),
            (
                "http://ann:pw@host/p?x=1",
                "http://ann:[redacted]@host/p?x=1",
            ),
            ("/search?q=basic+cooking", "/search?q=basic+cooking"),
            ("/a=b/password", "/a=b/password"),
            ("/x?password=", "/x?password="),
            ("", ""),
            ("naïve ünïcode ?tökén=1", "naïve ünïcode ?tökén=1"),
        ] {
            assert_eq!(redactor.text(text), want, "{text}");
        }
        assert_eq!(redactor.named("evt.Meta.cookie", "a=b"), CUT);
        assert_eq!(redactor.named("Set-Cookie", "a=b"), CUT);
        assert_eq!(redactor.named("http_user_agent", "curl"), "curl");
    }

    #[test]
    fn no_input_makes_it_panic_or_lose_an_ordinary_text() {
        let redactor = redactor();
        let alphabet = [
            "%", "=", "&", "?", "pass", "é", " ", "Bearer", "://", "@", ":", "\"", "%6",
        ];
        let mut state = 0x9e37_79b9_u64;
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..8 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                text.push_str(alphabet[(state % 13) as usize]);
            }
            let once = redactor.text(&text);
            assert_eq!(redactor.text(&once), once, "not stable: {text}");
        }
    }
}
