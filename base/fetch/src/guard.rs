//! Where a connection may go: names are looked up here, and what is found is checked.

use std::net::{IpAddr, SocketAddr};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use crate::address::is_public;

/// Looks names up, and hands on public addresses only, unless the host was named.
#[derive(Debug)]
pub(crate) struct Guard {
    inner: DefaultResolver,
    named: Vec<(String, u16)>,
}

/// None of a host's addresses is public.
#[derive(Debug, thiserror::Error)]
#[error("{host} has the address {address}")]
pub(crate) struct NotPublic {
    pub(crate) host: String,
    pub(crate) address: IpAddr,
}

impl Guard {
    pub(crate) fn new(named: Vec<(String, u16)>) -> Self {
        Self {
            inner: DefaultResolver::default(),
            named,
        }
    }

    /// Whether the operator named this host and port.
    pub(crate) fn is_named(named: &[(String, u16)], host: &str, port: u16) -> bool {
        named.iter().any(|(name, at)| name == host && *at == port)
    }
}

impl Resolver for Guard {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.inner.resolve(uri, config, timeout)?;
        let host = uri.host().unwrap_or_default().to_ascii_lowercase();
        let mut allowed = self.empty();
        let mut refused: Option<SocketAddr> = None;
        for address in found.iter().copied() {
            if is_public(address.ip()) || Self::is_named(&self.named, &host, address.port()) {
                allowed.push(address);
            } else {
                refused = refused.or(Some(address));
            }
        }
        match refused {
            // One odd address among good ones is left out, not believed.
            Some(address) if allowed.is_empty() => Err(ureq::Error::Other(Box::new(NotPublic {
                host,
                address: address.ip(),
            }))),
            _ => Ok(allowed),
        }
    }
}
