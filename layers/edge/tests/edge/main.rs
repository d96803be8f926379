//! The edge over real sockets on loopback.

mod harness;
mod proxying;
