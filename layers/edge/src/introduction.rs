//! Whose connection it is, in the words of a load balancer: the PROXY protocol.
//!
//! **For.** Listeners where every connection begins with that header, before TLS and
//! before HTTP. **Refuses** a connection without one. **Assumes** that the peer is a
//! trusted proxy; the accept loop turned everybody else away. **On failure** the
//! connection ends unheard, under a name that the operator finds in the counters.
//!
//! Bytes are looked at before they are taken, so that nothing of what stands behind
//! the header is ever held here: TLS finds its first byte in the socket.

use core::future::poll_fn;
use std::net::SocketAddr;

use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use vocab::PeerAddr;
use wire::ProxyParse;

use crate::accept::close_unheard;
use crate::io::Broken;
use crate::local::Core;
use crate::registry::{Cut, Line, Phase};
use crate::route::Plan;

/// Bytes looked at in one go; a header with usual fields takes fewer.
const LOOK: usize = 256;

/// Reads the header and makes `line` its client's. The client, to be asked for at the
/// gate; nobody when the peer speaks for itself, whose headers then name nobody either:
/// a balancer that does not know the client has not looked at what the client wrote.
pub(crate) async fn hear(
    core: &Core,
    plan: &Plan,
    line: &Line,
    peer: PeerAddr,
    socket: &TcpStream,
) -> Result<Option<PeerAddr>, ()> {
    line.enter(Phase::Fresh, core.deadline(plan.ticks.head));
    let mut held = Vec::new();
    let client = loop {
        let known = held.len();
        match look(line, socket, &mut held).await {
            Ok(()) => {}
            Err(Broken::Cut(Cut::Expired)) if !held.is_empty() => {
                close_unheard(core, peer, "limit.proxy-time");
                return Err(());
            }
            // Balancers try whether a port is open, and say nothing.
            Err(_) => return Err(()),
        }
        match wire::proxy::parse(&held) {
            ProxyParse::Partial => take(socket, held.len() - known)?,
            ProxyParse::Done { consumed, client } => {
                take(socket, consumed.saturating_sub(known))?;
                break client;
            }
            ProxyParse::Refuse(fault) => {
                close_unheard(core, peer, fault.name());
                return Err(());
            }
        }
    };
    let Some(client) = client else {
        line.leave_alone();
        return Ok(None);
    };
    line.introduce(client, plan.is_trusted(client));
    Ok(Some(PeerAddr::new(SocketAddr::new(client, 0))))
}

/// Appends what can be seen of the socket's bytes; the end of them is an error.
async fn look(line: &Line, socket: &TcpStream, into: &mut Vec<u8>) -> Result<(), Broken> {
    let mut space = [0; LOOK];
    let mut seen = ReadBuf::new(&mut space);
    poll_fn(|cx| {
        line.check(cx)?;
        socket.poll_peek(cx, &mut seen).map_err(Broken::from)
    })
    .await?;
    if seen.filled().is_empty() {
        return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
    }
    into.extend_from_slice(seen.filled());
    Ok(())
}

/// Takes bytes that were seen, which are therefore there.
fn take(socket: &TcpStream, bytes: usize) -> Result<(), ()> {
    let mut space = [0; LOOK];
    let Some(space) = space.get_mut(..bytes) else {
        return Err(()); // never more than one look sees
    };
    match socket.try_read(space) {
        Ok(read) if read == bytes => Ok(()),
        _ => Err(()),
    }
}
