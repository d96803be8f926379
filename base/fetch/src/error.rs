//! Why something could not be fetched, by whose fault.

use std::net::IpAddr;
use std::time::Duration;

use crate::url::{BadUrl, Url};

/// Why something could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The text is no address that can be fetched.
    #[error("read the address {text:?}: {why}")]
    Url {
        /// As it was written, cut short.
        text: String,
        /// What is wrong with it.
        why: BadUrl,
    },
    /// The host's addresses are none of the public internet.
    #[error("call {host}: its address {address} is not of the public internet")]
    NotPublic {
        /// The host.
        host: String,
        /// Its first address.
        address: IpAddr,
    },
    /// Plain HTTP, from somebody whom the operator did not name.
    #[error("fetch {url}: it is not https")]
    Plain {
        /// What was to be fetched.
        url: Url,
    },
    /// There is no such host.
    #[error("find {host}: the name has no address")]
    NoHost {
        /// The host.
        host: String,
    },
    /// Nobody could be reached.
    #[error("reach {host}: {why}")]
    Unreachable {
        /// The host and port.
        host: String,
        /// The kernel's answer.
        why: String,
    },
    /// The other side could not prove who it is, or does not speak TLS.
    #[error("trust {host}: {why}")]
    Tls {
        /// The host.
        host: String,
        /// What rustls found.
        why: String,
    },
    /// This machine has no certificates to trust others by.
    #[error("find certificates of trusted authorities on this machine: {why}")]
    NoRoots {
        /// What was found.
        why: String,
    },
    /// It took too long.
    #[error("fetch {url}: it took longer than {}", crate::error::seconds(*.limit))]
    Time {
        /// What was to be fetched.
        url: Url,
        /// What is allowed.
        limit: Duration,
    },
    /// It is too large.
    #[error("fetch {url}: it has more than the {limit} bytes that are allowed")]
    Size {
        /// What was to be fetched.
        url: Url,
        /// How many bytes are allowed.
        limit: u64,
    },
    /// The server answered something else than the file.
    #[error("fetch {url}: the server answered {status}")]
    Status {
        /// What was to be fetched.
        url: Url,
        /// The HTTP status.
        status: u16,
    },
    /// A redirect that is not followed.
    #[error("fetch {url}: it redirects {why}")]
    Redirect {
        /// What was to be fetched.
        url: Url,
        /// Where to, or how often.
        why: String,
    },
    /// The answer is packed although nobody asked for it.
    #[error("fetch {url}: the answer is encoded as {encoding:?}, which was not asked for")]
    Encoded {
        /// What was to be fetched.
        url: Url,
        /// The `Content-Encoding`, cut short.
        encoding: String,
    },
    /// The answer broke off, or is no HTTP.
    #[error("fetch {url}: {why}")]
    Broken {
        /// What was to be fetched.
        url: Url,
        /// What happened.
        why: String,
    },
}

impl FetchError {
    /// Whether the file is not there, rather than out of reach.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(
            self,
            Self::Status {
                status: 404 | 410,
                ..
            }
        )
    }
}

fn seconds(limit: Duration) -> String {
    let millis = limit.as_millis();
    if millis.is_multiple_of(1_000) {
        format!("{} s", millis / 1_000)
    } else {
        format!("{millis} ms")
    }
}
