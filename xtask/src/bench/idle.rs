//! Resident memory with many kept-alive connections that say nothing, and with busy ones.

use std::fmt;
use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::contender::{Contender, Speech};
use super::load::Load;
use super::process::resident;
use super::reaction::{Answer, ask, connect};

/// Idle connections of one address.
const EACH: usize = 100;

/// What a proxy held, in MiB.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Memory {
    pub(super) name: &'static str,
    /// Before the first connection.
    pub(super) before: f64,
    /// With idle connections.
    pub(super) idle: f64,
    /// The most seen while others were busy beside them.
    pub(super) active: f64,
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {:.1} MiB before, {:.1} idle, {:.1} busy",
            self.name, self.before, self.idle, self.active
        )
    }
}

/// A connection, in TLS or not.
trait Line: Read + Write {}

impl<T: Read + Write> Line for T {}

/// Holds `idle` connections, each after one request, then adds `active` busy ones.
/// `certificate` is the one that all contenders show.
pub(super) fn hold(
    contender: &Contender,
    certificate: &Path,
    (idle, active): (usize, usize),
) -> Result<Memory> {
    let tls = match contender.speech() {
        Speech::Plain => None,
        Speech::Tls => Some(client(certificate)?),
    };
    let before = resident(contender.family());
    let held = (0..idle)
        .map(|number| open(contender, tls.as_ref(), number))
        .collect::<Result<Vec<Box<dyn Line>>>>()?;
    std::thread::sleep(std::time::Duration::from_millis(300));
    let while_idle = resident(contender.family());
    let load = Load {
        connections: active,
        seconds: 3,
    };
    let mut busy = load.start(contender)?;
    let mut most = while_idle;
    while busy.is_running() {
        most = most.max(resident(contender.family()));
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    busy.finish()?;
    drop(held);
    Ok(Memory {
        name: contender.name(),
        before,
        idle: while_idle,
        active: most,
    })
}

fn open(
    contender: &Contender,
    tls: Option<&Arc<ClientConfig>>,
    number: usize,
) -> Result<Box<dyn Line>> {
    let (high, low) = (number / EACH / 250, number / EACH % 250);
    let byte = |number: usize| u8::try_from(number).unwrap_or(u8::MAX);
    let source = Ipv4Addr::new(127, 3, byte(high), byte(low + 1));
    let stream = connect(source, contender.address()).with_context(|| {
        format!(
            "Cannot open idle connection {number} to {}.",
            contender.name()
        )
    })?;
    let mut line: Box<dyn Line> = match tls {
        None => Box::new(stream),
        Some(tls) => {
            let name = ServerName::try_from("bench.example").context("That is no name.")?;
            let session = ClientConnection::new(Arc::clone(tls), name)
                .context("Cannot begin a TLS session.")?;
            Box::new(StreamOwned::new(session, stream))
        }
    };
    match ask(&mut line, "/")? {
        Answer::Status(200) => Ok(line),
        other => anyhow::bail!(
            "{} answered idle connection {number} with {other:?}.",
            contender.name()
        ),
    }
}

/// A TLS client that knows the contenders' certificate.
fn client(certificate: &Path) -> Result<Arc<ClientConfig>> {
    let mut known = RootCertStore::empty();
    let own = CertificateDer::from_pem_file(certificate).context("Cannot read the certificate.")?;
    known.add(own).context("Cannot trust the certificate.")?;
    let config = ClientConfig::builder()
        .with_root_certificates(known)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
