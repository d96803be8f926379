//! Listening sockets for callers that need no privilege to bind them.
//!
//! One socket per core and address, all with `SO_REUSEPORT`, so that the kernel
//! spreads connections and no core wakes for another's.

use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use crate::EdgeError;

/// Connections that may wait in the kernel before they are accepted.
const BACKLOG: i32 = 4096;

/// Binds `address` once for each of `cores`, non-blocking. With port 0 all
/// sockets share the port that the kernel chose for the first.
///
/// # Errors
/// [`EdgeError::Listen`] when the address is taken, foreign or privileged.
pub fn bind(address: SocketAddr, cores: usize) -> Result<Vec<TcpListener>, EdgeError> {
    let mut bound: Vec<TcpListener> = Vec::with_capacity(cores);
    let mut wanted = address;
    for _ in 0..cores.max(1) {
        let listener = bind_one(wanted).map_err(|source| EdgeError::Listen { address, source })?;
        if let Ok(actual) = listener.local_addr() {
            wanted = actual;
        }
        bound.push(listener);
    }
    Ok(bound)
}

fn bind_one(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking().cloexec(),
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket
            .set_only_v6(address.ip() != std::net::IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED))?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
