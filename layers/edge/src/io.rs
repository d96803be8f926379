//! Reading and writing that can be cut short.
//!
//! Every wait of a connection goes through [`Line::check`], so that deadlines,
//! bans and drain need neither timers nor `select` on the hot path.

use core::future::poll_fn;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, ready};
use std::io::{self, IoSlice};

use tokio::io::{AsyncReadExt as _, AsyncWrite as _};
use tokio::net::TcpStream;

use crate::registry::{Cut, Line};
use crate::tls::Tls;

/// Why a read or write ended without doing its work.
#[derive(Debug)]
pub(crate) enum Broken {
    /// We stopped it.
    Cut(Cut),
    /// The other side or the kernel did.
    Io(io::Error),
}

impl From<Cut> for Broken {
    fn from(cut: Cut) -> Self {
        Self::Cut(cut)
    }
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The client's side of a connection.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<Tls>),
}

impl Stream {
    pub(crate) fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(tls) => tls.socket(),
        }
    }

    /// Appends what can be read to the spare capacity of `into`, which must not
    /// be full; 0 is the end.
    pub(crate) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut Vec<u8>,
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => poll_fill(socket, cx, into),
            Self::Tls(tls) => tls.poll_fill(cx, into),
        }
    }

    /// Reads what nobody will look at, once our side said that nothing more comes.
    pub(crate) fn poll_waste(
        &mut self,
        cx: &mut Context<'_>,
        waste: &mut Vec<u8>,
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => poll_fill(socket, cx, waste),
            Self::Tls(tls) => tls.poll_waste(cx, waste),
        }
    }

    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        pieces: [&[u8]; 3],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => poll_write(socket, cx, pieces),
            Self::Tls(tls) => tls.poll_write(cx, pieces),
        }
    }

    /// TLS holds back what the socket did not take; plain sockets hold nothing.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Tls(tls) => tls.poll_flush(cx),
        }
    }

    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Tls(tls) => tls.poll_shutdown(cx),
        }
    }

    /// Ends what can be ended without waiting, before the connection is dropped.
    pub(crate) fn say_goodbye(&mut self) {
        if let Self::Tls(tls) = self {
            tls.say_goodbye();
        }
    }

    /// Whether bytes wait above the socket, which does not show them.
    pub(crate) fn holds_bytes(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(tls) => tls.is_readable(),
        }
    }

    /// Ready when a read may come to something; holds no buffer meanwhile.
    pub(crate) fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => socket.poll_read_ready(cx),
            Self::Tls(tls) => tls.poll_readable(cx),
        }
    }

    /// Waits until something can be read, without holding a buffer.
    pub(crate) async fn readable(&mut self, line: &Line) -> Result<(), Broken> {
        poll_fn(|cx| {
            line.check(cx)?;
            self.poll_readable(cx).map_err(Broken::from)
        })
        .await
    }

    /// One read into the spare capacity of `into`.
    pub(crate) async fn fill(&mut self, line: &Line, into: &mut Vec<u8>) -> Result<usize, Broken> {
        poll_fn(|cx| {
            line.check(cx)?;
            self.poll_fill(cx, into).map_err(Broken::from)
        })
        .await
    }

    /// Writes all of `bytes`.
    pub(crate) async fn send(&mut self, line: &Line, bytes: &[u8]) -> Result<(), Broken> {
        let mut rest = bytes;
        poll_fn(|cx| {
            line.check(cx)?;
            while !rest.is_empty() {
                let sent = ready!(self.poll_write(cx, [rest, &[], &[]]))?;
                rest = rest.get(sent..).unwrap_or_default();
            }
            self.poll_flush(cx).map_err(Broken::from)
        })
        .await
    }
}

/// As [`Stream::poll_fill`], for a plain socket.
pub(crate) fn poll_fill(
    socket: &mut TcpStream,
    cx: &mut Context<'_>,
    into: &mut Vec<u8>,
) -> Poll<io::Result<usize>> {
    pin!(socket.read_buf(into)).poll(cx)
}

/// Writes from up to three slices in one call; zero bytes written is an error.
pub(crate) fn poll_write(
    to: &mut TcpStream,
    cx: &mut Context<'_>,
    pieces: [&[u8]; 3],
) -> Poll<io::Result<usize>> {
    let to = Pin::new(to);
    let sent = ready!(match pieces {
        [only, [], []] | [[], only, []] => to.poll_write(cx, only),
        [a, b, c] => to.poll_write_vectored(cx, &[a, b, c].map(IoSlice::new)),
    })?;
    if sent == 0 && pieces.iter().any(|piece| !piece.is_empty()) {
        return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
    }
    Poll::Ready(Ok(sent))
}
