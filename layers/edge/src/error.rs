//! What can go wrong when the edge is started, reloaded or stopped.

use std::io;
use std::net::SocketAddr;

/// A fault that the operator or the caller must hear of. What goes wrong inside
/// a connection is answered, counted and logged instead.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    /// A site is not usable as configured.
    #[error("use site {site}: {fault}")]
    Site {
        /// The site's name.
        site: String,
        /// What is wrong with it.
        fault: String,
    },
    /// A listener could not be made.
    #[error("listen on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A core's thread or runtime could not be made.
    #[error("start an edge core")]
    Core(#[source] io::Error),
    /// A certificate or its key is not usable. Holds no key material.
    #[error("use certificate {name}: {fault}")]
    Certificate {
        /// The caller's name for it, such as the file's path.
        name: String,
        /// What is wrong with it.
        fault: String,
    },
    /// The access log could not be opened.
    #[error("open the access log")]
    Log(#[source] io::Error),
}
