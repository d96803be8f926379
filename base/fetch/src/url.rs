//! Addresses as they may be fetched: `https://host[:port]/path[?query]`, or `http`.
//!
//! **Refuses:** user names and passwords, other schemes, hosts that are empty, control
//! characters and blanks, and more than [`LONGEST`] bytes. A fragment is dropped.

use std::fmt;

use ureq::http::Uri;

/// The longest address.
pub const LONGEST: usize = 2_048;

/// Why a text is no address that can be fetched.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadUrl {
    /// It is longer than [`LONGEST`].
    #[error("it is longer than {LONGEST} bytes")]
    Long,
    /// It starts with neither `https://` nor `http://`.
    #[error("it starts with neither https:// nor http://")]
    Scheme,
    /// It carries a user name or a password.
    #[error("it carries a user name or password, which are never sent")]
    Credentials,
    /// Its host or its shape is wrong.
    #[error("its host or a character in it is not valid")]
    Shape,
}

/// An address that can be fetched.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Url {
    https: bool,
    /// Lower case; an IPv6 address in brackets.
    host: String,
    port: u16,
    /// Path and query, starting with `/`.
    target: String,
}

impl Url {
    /// Reads an address.
    ///
    /// # Errors
    /// See [`BadUrl`].
    pub fn parse(text: &str) -> Result<Self, BadUrl> {
        if text.len() > LONGEST {
            return Err(BadUrl::Long);
        }
        let text = text.split('#').next().unwrap_or(text);
        let uri: Uri = text.parse().map_err(|_| BadUrl::Shape)?;
        let https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(BadUrl::Scheme),
        };
        let authority = uri.authority().ok_or(BadUrl::Shape)?;
        if authority.as_str().contains('@') {
            return Err(BadUrl::Credentials);
        }
        let host = authority.host().to_ascii_lowercase();
        let port = match authority.port() {
            Some(port) => port.as_str().parse().map_err(|_| BadUrl::Shape)?,
            // `host:` and what is no number
            None if authority.as_str().len() != host.len() => return Err(BadUrl::Shape),
            None if https => 443,
            None => 80,
        };
        if host.is_empty() || port == 0 {
            return Err(BadUrl::Shape);
        }
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        let target = match target {
            "" => "/".to_owned(),
            rooted if rooted.starts_with('/') => rooted.to_owned(),
            query => format!("/{query}"),
        };
        Ok(Self {
            https,
            host,
            port,
            target,
        })
    }

    /// The address of a file below this one: `path` is relative, without `..`.
    ///
    /// # Errors
    /// See [`BadUrl`]; [`BadUrl::Shape`] where `path` leads elsewhere.
    pub fn below(&self, path: &str) -> Result<Self, BadUrl> {
        let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
        let odd = |c: char| c.is_control() || matches!(c, '\\' | '?' | '#' | '%' | ' ' | ':');
        if !path.split('/').all(plain) || path.contains(odd) {
            return Err(BadUrl::Shape);
        }
        let folder = self.target.split('?').next().unwrap_or("/");
        let slash = if folder.ends_with('/') { "" } else { "/" };
        Self::parse(&format!("{}{folder}{slash}{path}", self.origin()))
    }

    /// Where a redirect from here leads.
    ///
    /// # Errors
    /// See [`BadUrl`].
    pub fn redirected(&self, location: &str) -> Result<Self, BadUrl> {
        if let Some(rest) = location.strip_prefix("//") {
            let scheme = self.scheme();
            return Self::parse(&format!("{scheme}://{rest}"));
        }
        if location.starts_with('/') {
            return Self::parse(&format!("{}{location}", self.origin()));
        }
        Self::parse(location)
    }

    /// Whether it is fetched over TLS.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// The host, lower case; an IPv6 address in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, named or not.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The path, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or("/")
    }

    fn scheme(&self) -> &'static str {
        if self.https { "https" } else { "http" }
    }

    fn origin(&self) -> String {
        let usual = if self.https { 443 } else { 80 };
        if self.port == usual {
            format!("{}://{}", self.scheme(), self.host)
        } else {
            format!("{}://{}:{}", self.scheme(), self.host, self.port)
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin(), self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_meant_or_refused() {
        for (text, expected) in [
            ("https://Hub.example.org", Ok("https://hub.example.org/")),
            (
                "https://hub.example.org:443/a?b=c#d",
                Ok("https://hub.example.org/a?b=c"),
            ),
            (
                "http://[2001:db8::1]:8080/x",
                Ok("http://[2001:db8::1]:8080/x"),
            ),
            (
                "https://hub.example.org?x",
                Ok("https://hub.example.org/?x"),
            ),
            // DENY
            ("ftp://hub.example.org/", Err(BadUrl::Scheme)),
            ("file:///etc/passwd", Err(BadUrl::Shape)),
            ("/etc/passwd", Err(BadUrl::Scheme)),
            (
                "https://user:secret@hub.example.org/",
                Err(BadUrl::Credentials),
            ),
            (
                "https://hub.example.org@192.0.2.1/",
                Err(BadUrl::Credentials),
            ),
            ("https://", Err(BadUrl::Shape)),
            ("https://hub.example.org:0/", Err(BadUrl::Shape)),
            ("https://hub.example.org:99999/", Err(BadUrl::Shape)),
            ("https://hub.example.org/a b", Err(BadUrl::Shape)),
            ("https://hub.example.org/a\r\nHost: b", Err(BadUrl::Shape)),
        ] {
            let read = Url::parse(text).map(|url| url.to_string());
            assert_eq!(read, expected.map(str::to_owned), "{text:?}");
        }
        assert_eq!(
            Url::parse(&format!("https://{}", "a".repeat(LONGEST))),
            Err(BadUrl::Long)
        );
    }

    #[test]
    fn a_file_below_stays_below() {
        let base = Url::parse("https://hub.example.org/master").unwrap();
        let item = base.below("parsers/s01-parse/a/b.yaml").unwrap();
        assert_eq!(
            item.to_string(),
            "https://hub.example.org/master/parsers/s01-parse/a/b.yaml"
        );
        let slashed = Url::parse("https://hub.example.org/master/").unwrap();
        assert_eq!(slashed.below(".index.json"), base.below(".index.json"));
        for path in [
            "../x",
            "a/../../x",
            "/x",
            "a//x",
            "",
            "a?b",
            "a#b",
            "%2e%2e/x",
            "a\\..\\x",
            "https://x",
        ] {
            assert_eq!(base.below(path), Err(BadUrl::Shape), "{path:?}");
        }
    }

    #[test]
    fn redirects_are_read_against_where_they_came_from() {
        let from = Url::parse("https://hub.example.org:8443/a/b?c").unwrap();
        for (location, to) in [
            ("/x", "https://hub.example.org:8443/x"),
            ("//other.example.org/x", "https://other.example.org/x"),
            ("http://other.example.org/x", "http://other.example.org/x"),
        ] {
            assert_eq!(from.redirected(location).unwrap().to_string(), to);
        }
        assert_eq!(from.redirected("x"), Err(BadUrl::Scheme));
        assert_eq!(from.redirected("file:///etc/passwd"), Err(BadUrl::Shape));
    }
}
