//! Certificates: which one answers for which name, and how they are replaced.
//!
//! Purpose: turns PEM that the caller read (keys may need privilege) into what
//! rustls serves by SNI; makes self-signed ones for loopback names.
//! Refuses: a certificate without a matching key; then the old set stays whole.
//! Never shows or logs key material: errors name the caller's name alone.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::EdgeError;
use crate::snapshot::HostPattern;

/// A certificate chain with its key, as read from files.
#[derive(Clone)]
pub struct Certificate {
    /// The caller's name for it, such as the file's path; used in errors.
    pub name: String,
    /// The hosts it answers for; [`HostPattern::Any`] also serves clients without SNI.
    pub hosts: Vec<HostPattern>,
    /// The chain in PEM, the leaf first.
    pub chain_pem: Vec<u8>,
    /// The key in PEM: PKCS#8, PKCS#1 or SEC1.
    pub key_pem: Vec<u8>,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("name", &self.name)
            .field("hosts", &self.hosts)
            .finish_non_exhaustive()
    }
}

/// Serves certificates by name; replaced whole by [`Certificates::replace`].
#[derive(Debug)]
pub(crate) struct Certificates {
    provider: Arc<CryptoProvider>,
    table: ArcSwap<Table>,
}

#[derive(Debug, Default)]
struct Table {
    exact: HashMap<String, Arc<CertifiedKey>>,
    below: HashMap<String, Arc<CertifiedKey>>,
    any: Option<Arc<CertifiedKey>>,
}

impl Certificates {
    pub(crate) fn new(provider: Arc<CryptoProvider>) -> Self {
        Self {
            provider,
            table: ArcSwap::default(),
        }
    }

    /// Serves `certificates` from the next handshake on, or, on any fault, goes
    /// on with what was served before.
    pub(crate) fn replace(&self, certificates: &[Certificate]) -> Result<(), EdgeError> {
        let mut table = Table::default();
        for certificate in certificates {
            let key = Arc::new(self.certified(certificate)?);
            for host in &certificate.hosts {
                match host {
                    HostPattern::Exact(name) => {
                        table.exact.insert(name.clone(), Arc::clone(&key));
                    }
                    HostPattern::Below(suffix) => {
                        table.below.insert(suffix.clone(), Arc::clone(&key));
                    }
                    HostPattern::Any => table.any = Some(Arc::clone(&key)),
                }
            }
            // A client without SNI (an address was asked for) gets some certificate.
            table.any.get_or_insert(key);
        }
        self.table.store(Arc::new(table));
        Ok(())
    }

    fn certified(&self, certificate: &Certificate) -> Result<CertifiedKey, EdgeError> {
        let fault = |fault: &str| EdgeError::Certificate {
            name: certificate.name.clone(),
            fault: fault.to_owned(),
        };
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&certificate.chain_pem)
            .collect::<Result<_, _>>()
            .map_err(|_| fault("its certificate file is not PEM"))?;
        if chain.is_empty() {
            return Err(fault("its certificate file holds no certificate"));
        }
        let key = PrivateKeyDer::from_pem_slice(&certificate.key_pem)
            .map_err(|_| fault("its key file holds no private key in PEM"))?;
        CertifiedKey::from_der(chain, key, &self.provider)
            .map_err(|_| fault("its key is of an unknown kind or belongs to another certificate"))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let table = self.table.load();
        let Some(name) = hello.server_name() else {
            return table.any.clone();
        };
        // rustls hands the name over in lower case.
        table
            .exact
            .get(name)
            .or_else(|| table.below.get(name.split_once('.')?.1))
            .or(table.any.as_ref())
            .cloned()
    }
}

/// Hears for which name one client's handshake is, which a finished one does not tell.
#[derive(Debug)]
pub(crate) struct Witness {
    certificates: Arc<dyn ResolvesServerCert>,
    name: Mutex<Option<Box<str>>>,
}

impl Witness {
    /// `config` for one handshake, with a witness.
    pub(crate) fn beside(config: &rustls::ServerConfig) -> (Arc<rustls::ServerConfig>, Arc<Self>) {
        let witness = Arc::new(Self {
            certificates: Arc::clone(&config.cert_resolver),
            name: Mutex::default(),
        });
        let mut config = config.clone();
        config.cert_resolver = Arc::clone(&witness) as Arc<dyn ResolvesServerCert>;
        (Arc::new(config), witness)
    }

    /// The name that the client gave, in lower case.
    pub(crate) fn name(&self) -> Option<Box<str>> {
        self.lock().take()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Box<str>>> {
        self.name
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl ResolvesServerCert for Witness {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        *self.lock() = hello.server_name().map(Box::from);
        self.certificates.resolve(hello)
    }
}

/// Makes a self-signed certificate for loopback names (`localhost`,
/// `*.localhost`, loopback addresses), for use without any certificate authority.
///
/// # Errors
/// [`EdgeError::Certificate`] when a host is not a loopback name.
pub fn self_signed(hosts: &[HostPattern]) -> Result<Certificate, EdgeError> {
    let name = "self-signed".to_owned();
    let fault = |fault: String| EdgeError::Certificate {
        name: "self-signed".to_owned(),
        fault,
    };
    let mut names = vec![
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        "::1".to_owned(),
    ];
    for host in hosts {
        match host {
            HostPattern::Exact(host) if is_loopback_name(host) => names.push(host.clone()),
            HostPattern::Below(suffix) if is_loopback_name(suffix) => {
                names.push(format!("*.{suffix}"));
            }
            HostPattern::Any => {}
            HostPattern::Exact(other) | HostPattern::Below(other) => {
                return Err(fault(format!("{other} is not a loopback name")));
            }
        }
    }
    names.sort_unstable();
    names.dedup();
    let made = rcgen::generate_simple_self_signed(names)
        .map_err(|error| fault(format!("it could not be made: {error}")))?;
    Ok(Certificate {
        name,
        hosts: hosts.iter().cloned().chain([HostPattern::Any]).collect(),
        chain_pem: made.cert.pem().into_bytes(),
        key_pem: made.signing_key.serialize_pem().into_bytes(),
    })
}

fn is_loopback_name(host: &str) -> bool {
    host == "localhost"
        || host.ends_with(".localhost")
        || host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// The server side of TLS 1.2 and 1.3, HTTP/1.1 only, with session tickets.
pub(crate) fn server_config(
    provider: Arc<CryptoProvider>,
    certificates: Arc<Certificates>,
) -> Result<Arc<rustls::ServerConfig>, EdgeError> {
    let fault = |error: rustls::Error| EdgeError::Certificate {
        name: "TLS".to_owned(),
        fault: error.to_string(),
    };
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(fault)?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().map_err(fault)?;
    config.max_early_data_size = 0; // replayable requests are not taken
    Ok(Arc::new(config))
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn self_signed_certificates_are_for_loopback_names_only() {
        let host = |text| HostPattern::parse(text).unwrap();
        assert!(self_signed(&[host("app.localhost"), host("*"), host("127.0.0.5")]).is_ok());
        for stranger in ["example.org", "*.example.org", "192.0.2.1"] {
            assert!(self_signed(&[host(stranger)]).is_err(), "DENY {stranger}");
        }
    }

    #[test]
    fn a_bad_certificate_leaves_the_old_set_whole_and_shows_no_key() {
        let store = Certificates::new(provider());
        let good = self_signed(&[]).unwrap();
        store.replace(core::slice::from_ref(&good)).unwrap();
        let other = self_signed(&[]).unwrap();
        let mixed = Certificate {
            key_pem: other.key_pem.clone(),
            ..good.clone()
        };
        for bad in [
            mixed,
            Certificate {
                chain_pem: b"nonsense".to_vec(),
                ..good.clone()
            },
            Certificate {
                key_pem: Vec::new(),
                ..good.clone()
            },
        ] {
            let error = store.replace(&[good.clone(), bad.clone()]).unwrap_err();
            assert!(!format!("{error} {bad:?}").contains("PRIVATE"));
            assert!(store.table.load().any.is_some());
        }
    }
}
