//! The client: one request after another, each within its bounds.

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::http::{HeaderMap, Response, StatusCode, header};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, Body};

use crate::error::FetchError;
use crate::guard::{Guard, NotPublic};
use crate::url::Url;

/// How many redirects are followed.
pub const MOST_REDIRECTS: usize = 5;
/// The longest `ETag` or `Last-Modified` that is kept.
const LONGEST_VALIDATOR: usize = 256;
/// How much is read at once.
const PIECE: usize = 64 << 10;

/// Whom to trust.
#[derive(Clone, Debug)]
pub enum Roots {
    /// Whom this machine trusts: its certificate store, or what `SSL_CERT_FILE` and
    /// `SSL_CERT_DIR` name.
    System,
    /// These certificates, DER, and no other.
    These(Vec<Vec<u8>>),
}

/// What holds for all requests of a client.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Hosts (lower case) and ports that the operator named: they may have any address, and
    /// may be called without TLS.
    pub named: Vec<(String, u16)>,
    /// How long one request may take, redirects included.
    pub time: Duration,
    /// The `User-Agent`.
    pub agent: String,
    /// Whom to trust.
    pub roots: Roots,
}

/// What tells one state of a file from another, as the server said.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Validators {
    /// The `ETag`.
    pub etag: Option<String>,
    /// The `Last-Modified`.
    pub last_modified: Option<String>,
}

impl Validators {
    fn of(headers: &HeaderMap) -> Self {
        let text = |name| {
            let text = headers.get(name)?.to_str().ok()?;
            (text.len() <= LONGEST_VALIDATOR).then(|| text.to_owned())
        };
        Self {
            etag: text(header::ETAG),
            last_modified: text(header::LAST_MODIFIED),
        }
    }
}

/// A file that was fetched.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// How to ask for it next time.
    pub validators: Validators,
}

/// What a server answered.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The file.
    Fresh(Fetched),
    /// It is as it was when the validators were given.
    Unchanged,
}

/// Fetches files.
#[derive(Debug)]
pub struct Client {
    agent: Agent,
    rules: Rules,
}

impl Client {
    /// A client; reads the machine's certificates.
    ///
    /// # Errors
    /// [`FetchError::NoRoots`] where there are none.
    pub fn new(rules: Rules) -> Result<Self, FetchError> {
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(roots(&rules.roots)?)))
            .unversioned_rustls_crypto_provider(Arc::new(
                rustls::crypto::aws_lc_rs::default_provider(),
            ))
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            // Whoever sets a proxy for other programs did not name it for this one.
            .proxy(None)
            // Followed below, each hop checked.
            .max_redirects(0)
            .http_status_as_error(false)
            .accept_encoding("identity")
            .user_agent(&*rules.agent)
            .timeout_global(Some(rules.time))
            .build();
        let guard = Guard::new(rules.named.clone());
        Ok(Self {
            agent: Agent::with_parts(config, DefaultConnector::default(), guard),
            rules,
        })
    }

    /// Fetches a file of at most `limit` bytes; with the validators of what is kept, only
    /// when it changed. `progress` hears of the bytes that came so far.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub fn get(
        &self,
        url: &Url,
        limit: u64,
        kept: Option<&Validators>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Answer, FetchError> {
        let until = Instant::now() + self.rules.time;
        let mut at = url.clone();
        for _ in 0..=MOST_REDIRECTS {
            if Instant::now() >= until {
                return Err(self.too_long(url));
            }
            let response = self.call(&at, kept)?;
            match response.status() {
                StatusCode::OK => {
                    return self
                        .take(&at, response, limit, until, progress)
                        .map(Answer::Fresh);
                }
                StatusCode::NOT_MODIFIED if kept.is_some() => return Ok(Answer::Unchanged),
                status if status.is_redirection() => at = self.next(&at, &response)?,
                status => {
                    return Err(FetchError::Status {
                        url: at,
                        status: status.as_u16(),
                    });
                }
            }
        }
        Err(FetchError::Redirect {
            url: url.clone(),
            why: format!("more than {MOST_REDIRECTS} times"),
        })
    }

    fn call(&self, url: &Url, kept: Option<&Validators>) -> Result<Response<Body>, FetchError> {
        if !url.is_https() && !Guard::is_named(&self.rules.named, url.host(), url.port()) {
            return Err(FetchError::Plain { url: url.clone() });
        }
        let mut request = self.agent.get(url.to_string());
        if let Some(etag) = kept.and_then(|kept| kept.etag.as_deref()) {
            request = request.header(header::IF_NONE_MATCH, etag);
        }
        if let Some(since) = kept.and_then(|kept| kept.last_modified.as_deref()) {
            request = request.header(header::IF_MODIFIED_SINCE, since);
        }
        request.call().map_err(|error| self.failed(url, error))
    }

    fn next(&self, from: &Url, response: &Response<Body>) -> Result<Url, FetchError> {
        let refused = |why: String| FetchError::Redirect {
            url: from.clone(),
            why,
        };
        let location = response.headers().get(header::LOCATION);
        let location = location
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let to = from
            .redirected(location)
            .map_err(|why| refused(format!("to {:?}, but {why}", short(location))))?;
        if from.is_https() && !to.is_https() {
            return Err(refused(format!("to {to}, which is not https")));
        }
        Ok(to)
    }

    fn take(
        &self,
        url: &Url,
        response: Response<Body>,
        limit: u64,
        until: Instant,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Fetched, FetchError> {
        let (head, body) = response.into_parts();
        let too_large = || FetchError::Size {
            url: url.clone(),
            limit,
        };
        if let Some(encoding) = head.headers.get(header::CONTENT_ENCODING)
            && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
        {
            return Err(FetchError::Encoded {
                url: url.clone(),
                encoding: short(&String::from_utf8_lossy(encoding.as_bytes())),
            });
        }
        if body.content_length().is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        let mut reader = body.into_reader();
        let mut bytes = Vec::new();
        let mut piece = vec![0; PIECE];
        loop {
            let read = reader
                .read(&mut piece)
                .map_err(|error| self.failed(url, error.into()))?;
            let Some(read) = piece.get(..read).filter(|read| !read.is_empty()) else {
                break;
            };
            if bytes.len() as u64 + read.len() as u64 > limit {
                return Err(too_large());
            }
            if Instant::now() >= until {
                return Err(self.too_long(url));
            }
            bytes.extend_from_slice(read);
            progress(bytes.len() as u64);
        }
        Ok(Fetched {
            bytes,
            validators: Validators::of(&head.headers),
        })
    }

    fn too_long(&self, url: &Url) -> FetchError {
        FetchError::Time {
            url: url.clone(),
            limit: self.rules.time,
        }
    }

    /// The library's error, by whose fault it is.
    fn failed(&self, url: &Url, error: ureq::Error) -> FetchError {
        let host = url.host().to_owned();
        match error {
            ureq::Error::Timeout(_) => self.too_long(url),
            ureq::Error::HostNotFound => FetchError::NoHost { host },
            ureq::Error::Other(inner) => match inner.downcast::<NotPublic>() {
                Ok(refused) => FetchError::NotPublic {
                    host: refused.host,
                    address: refused.address,
                },
                Err(other) => broken(url, &other.to_string()),
            },
            ureq::Error::Tls(why) => FetchError::Tls {
                host,
                why: why.to_owned(),
            },
            ureq::Error::Rustls(why) => FetchError::Tls {
                host,
                why: why.to_string(),
            },
            ureq::Error::Io(io) => by_kind(url, &io),
            ureq::Error::ConnectionFailed => FetchError::Unreachable {
                host: format!("{host}:{}", url.port()),
                why: "no address of it takes connections".to_owned(),
            },
            other => broken(url, &other.to_string()),
        }
    }
}

fn by_kind(url: &Url, error: &std::io::Error) -> FetchError {
    use std::io::ErrorKind as Kind;
    let host = url.host().to_owned();
    if let Some(inner) = error.get_ref()
        && let Some(tls) = inner.downcast_ref::<rustls::Error>()
    {
        let why = tls.to_string();
        return FetchError::Tls { host, why };
    }
    match error.kind() {
        Kind::ConnectionRefused
        | Kind::HostUnreachable
        | Kind::NetworkUnreachable
        | Kind::NetworkDown
        | Kind::AddrNotAvailable
        | Kind::PermissionDenied => FetchError::Unreachable {
            host: format!("{host}:{}", url.port()),
            why: error.to_string(),
        },
        // What the C library says of names that it cannot find has no kind of its own.
        _ if error.to_string().contains("failed to lookup") => FetchError::NoHost { host },
        _ => broken(url, &error.to_string()),
    }
}

fn broken(url: &Url, why: &str) -> FetchError {
    FetchError::Broken {
        url: url.clone(),
        why: short(why),
    }
}

/// What others say, cut and without control characters.
fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

fn roots(wanted: &Roots) -> Result<Vec<Certificate<'static>>, FetchError> {
    let found = match wanted {
        Roots::These(these) => return Ok(these.iter().map(|der| owned(der)).collect()),
        Roots::System => rustls_native_certs::load_native_certs(),
    };
    if found.certs.is_empty() {
        let why = found.errors.first().map_or_else(
            || "the store is empty or not there".to_owned(),
            ToString::to_string,
        );
        return Err(FetchError::NoRoots { why });
    }
    Ok(found.certs.iter().map(|der| owned(der)).collect())
}

fn owned(der: &[u8]) -> Certificate<'static> {
    Certificate::from_der(der).to_owned()
}
