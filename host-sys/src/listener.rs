//! Binding a TCP listener, the same way with and without privileges.

use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use crate::Error;

/// Binds and listens on `address`; the socket does not block and is closed on exec.
///
/// `share` lets several sockets of the same user listen on one address, among
/// which the kernel spreads connections. An IPv6 listener takes IPv6 only, so that
/// `0.0.0.0:80` and `[::]:80` can stand side by side and no IPv4 client is ever
/// shown as `::ffff:…`. `backlog` is cut by the kernel's `somaxconn`.
///
/// # Errors
/// [`Error::Call`] with the kernel's answer (`EADDRINUSE`, `EACCES`, …).
pub fn bind_listener(address: SocketAddr, share: bool, backlog: u16) -> Result<TcpListener, Error> {
    let open = || -> std::io::Result<TcpListener> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(share)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(i32::from(backlog))?;
        Ok(socket.into())
    };
    open().map_err(|error| Error::call(format!("bind {address}"), error))
}
