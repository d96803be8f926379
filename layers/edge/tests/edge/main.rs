//! The edge over real sockets on loopback.

mod harness;
mod hostile;
mod living;
mod proxying;
mod tls;
