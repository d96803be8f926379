//! A client's connection under TLS.
//!
//! **For.** [`Tls`]: a socket and a session, read and written like a socket. An idle one
//! holds no buffer: ciphertext stands in buffers of the core that are lent while
//! something is in them, and most requests and answers pass through the same one.
//! **Refuses** to hold much: nothing is read from the socket while opened bytes wait, and
//! nothing is sealed while the socket has not taken what was sealed before. **Assumes**
//! that whoever wrote also flushes. **On failure** the peer hears an alert, if it listens,
//! and every later read and write fails.
//!
//! Why not a finished stream on rustls's buffered session: that one keeps 4 KiB for each
//! connection for good and reads in pieces of that size.

mod session;
#[cfg(test)]
mod tests;
mod window;

use core::task::{Context, Poll, ready};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::coop;

use self::session::{Fault, Session};
use crate::buffer::Buffers;

/// Reads in a row that may come to nothing before others have their turn: pieces of one
/// record, or messages of TLS itself.
const FRUITLESS: usize = 8;

/// A TLS connection, its server's side.
pub(crate) struct Tls {
    socket: TcpStream,
    session: Session,
}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        Self::new(io::ErrorKind::InvalidData, fault)
    }
}

impl Tls {
    pub(crate) fn new(
        socket: TcpStream,
        config: Arc<rustls::ServerConfig>,
        buffers: Rc<Buffers>,
    ) -> io::Result<Self> {
        Ok(Self {
            socket,
            session: Session::new(config, buffers)?,
        })
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Ready once both sides have shaken hands and all that we said to it was sent.
    pub(crate) fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let shaken = self.session.shake();
            let sent = self.poll_flush(cx);
            let done = shaken?; // the alert that says why was sent if the socket took it
            ready!(sent)?;
            if done {
                return Poll::Ready(Ok(()));
            }
            if ready!(self.poll_receive(cx))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// Whether something was opened that nobody has read yet, or may be at once.
    pub(crate) fn is_readable(&self) -> bool {
        self.session.is_readable()
    }

    /// Ready when a read may come to something.
    pub(crate) fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_readable() {
            return Poll::Ready(Ok(()));
        }
        let ready = self.socket.poll_read_ready(cx);
        if ready.is_pending() {
            self.session.rest();
        }
        ready
    }

    /// Appends what can be read to the spare capacity of `into`, which must not be full;
    /// 0 is the end, said or not: a peer that just closes has ended all the same.
    pub(crate) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut Vec<u8>,
    ) -> Poll<io::Result<usize>> {
        for _ in 0..FRUITLESS {
            // Opening costs more than reading, and one read may bring a thousand records.
            let mut tired = false;
            let opened = self.session.open(into, || match coop::poll_proceed(cx) {
                Poll::Ready(proceed) => {
                    proceed.made_progress();
                    true
                }
                Poll::Pending => {
                    tired = true;
                    false
                }
            });
            // What TLS had to answer goes now if it can, else before the next answer.
            if !self.session.unsent().is_empty() {
                drop(self.poll_flush(cx));
            }
            match opened? {
                0 if tired => return Poll::Pending,
                0 if self.session.has_ended() => return Poll::Ready(Ok(0)),
                0 => {}
                count => return Poll::Ready(Ok(count)),
            }
            ready!(self.poll_receive(cx))?;
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// One read of ciphertext; 0 is the end.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.session.is_drained() && self.socket.poll_read_ready(cx).is_pending() {
            return Poll::Pending; // and no buffer was asked for
        }
        let mut room = ReadBuf::new(self.session.room()?);
        let received = Pin::new(&mut self.socket).poll_read(cx, &mut room);
        let count = room.filled().len();
        match received {
            Poll::Ready(Ok(())) => {
                self.session.came(count);
                Poll::Ready(Ok(count))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                self.session.rest();
                Poll::Pending
            }
        }
    }

    /// Takes from up to three slices; what was taken is sent now or by a flush. Waits
    /// only while what was taken before is not sent.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        pieces: [&[u8]; 3],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_flush(cx))?;
        let taken = self.session.seal(pieces)?;
        match self.poll_flush(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(taken)),
        }
    }

    /// Sends all that was taken.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.session.unsent().is_empty() {
            let sent = Pin::new(&mut self.socket).poll_write(cx, self.session.unsent());
            match ready!(sent)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.session.sent(count),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Says that nothing more comes, in TLS and in TCP; reading goes on.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_flush(cx))?;
        self.session.close();
        ready!(self.poll_flush(cx))?;
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }

    /// Says that nothing more comes, if it can be said at once: without it the peer may
    /// take an answer that ends with the connection for one that was cut off.
    pub(crate) fn say_goodbye(&mut self) {
        if self.session.unsent().is_empty() {
            self.session.close();
            drop(self.socket.try_write(self.session.unsent()));
        }
    }

    /// Reads into `waste` what nobody will look at.
    pub(crate) fn poll_waste(
        &mut self,
        cx: &mut Context<'_>,
        waste: &mut Vec<u8>,
    ) -> Poll<io::Result<usize>> {
        crate::io::poll_fill(&mut self.socket, cx, waste)
    }
}
