//! A pair of sockets that carries datagrams and descriptors between two processes.
//!
//! `SOCK_SEQPACKET`: message borders are kept, order too, and the end of the other
//! process is seen as the end of the channel. Received descriptors are owned at
//! once and closed on exec; descriptors that were not asked for are closed by the
//! kernel before they reach us.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials as PeerCredentialsOption;
use rustix::io::Errno;
use rustix::net::sockopt::{self, Timeout};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};

use crate::Error;

/// One end of the channel.
#[derive(Debug)]
pub struct Channel(OwnedFd);

/// What one datagram brought.
#[derive(Debug)]
pub struct Received {
    /// How many bytes were written to the buffer.
    pub length: usize,
    /// Whether the datagram was longer than the buffer; the rest is lost.
    pub cut: bool,
    /// The descriptor that came along, when one was wanted.
    pub descriptor: Option<OwnedFd>,
}

impl Channel {
    /// Two ends, both closed on exec.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub fn pair() -> Result<(Self, Self), Error> {
        rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .map(|(one, other)| (Self(one), Self(other)))
        .map_err(|errno| Error::call("open a channel", errno))
    }

    /// The end that [`spawn_self`](crate::process::spawn_self) gave us as standard
    /// input, which becomes `/dev/null`.
    ///
    /// # Errors
    /// [`Error::NoChannel`] where standard input is anything else, as when a person
    /// started the helper by hand.
    pub fn from_stdin() -> Result<Self, Error> {
        let stdin = std::io::stdin();
        let domain = sockopt::socket_domain(stdin.as_fd());
        let kind = sockopt::socket_type(stdin.as_fd());
        if domain != Ok(AddressFamily::UNIX) || kind != Ok(SocketType::SEQPACKET) {
            return Err(Error::NoChannel);
        }
        let end = stdin
            .as_fd()
            .try_clone_to_owned()
            .map_err(|error| Error::call("take over the channel", error))?;
        let null = std::fs::File::open("/dev/null")
            .map_err(|error| Error::call("open /dev/null", error))?;
        rustix::stdio::dup2_stdin(&null)
            .map_err(|errno| Error::call("take over the channel", errno))?;
        Ok(Self(end))
    }

    /// The end as a bare descriptor.
    #[must_use]
    pub fn into_fd(self) -> OwnedFd {
        self.0
    }

    /// How long a [`send`](Self::send) and a [`receive`](Self::receive) may wait;
    /// `None` is for ever.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub fn set_patience(&self, patience: Option<Duration>) -> Result<(), Error> {
        [Timeout::Recv, Timeout::Send]
            .into_iter()
            .try_for_each(|which| sockopt::set_socket_timeout(&self.0, which, patience))
            .map_err(|errno| Error::call("set the channel's patience", errno))
    }

    /// Sends one datagram, with a descriptor of which the other end gets a copy.
    ///
    /// # Errors
    /// [`Error::Closed`] when the other end is gone, [`Error::Call`] with `EAGAIN`
    /// when it did not read in time.
    pub fn send(&self, bytes: &[u8], descriptor: Option<BorrowedFd<'_>>) -> Result<(), Error> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let descriptors = descriptor.map(|one| [one]);
        if let Some(one) = &descriptors {
            control.push(SendAncillaryMessage::ScmRights(one));
        }
        loop {
            let sent = rustix::net::sendmsg(
                &self.0,
                &[IoSlice::new(bytes)],
                &mut control,
                SendFlags::NOSIGNAL,
            );
            match sent {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN) => return Err(Error::Closed),
                Err(errno) => return Err(Error::call("send on the channel", errno)),
            }
        }
    }

    /// Receives one datagram. With `want_descriptor` false every descriptor that
    /// comes along is closed by the kernel.
    ///
    /// # Errors
    /// [`Error::Closed`] when the other end is gone (or sent an empty datagram,
    /// which cannot be told apart), [`Error::Call`] with `EAGAIN` when nothing came
    /// in time.
    pub fn receive(&self, buffer: &mut [u8], want_descriptor: bool) -> Result<Received, Error> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        loop {
            let room = if want_descriptor { space.len() } else { 0 };
            let mut control = RecvAncillaryBuffer::new(space.get_mut(..room).unwrap_or_default());
            let got = rustix::net::recvmsg(
                &self.0,
                &mut [IoSliceMut::new(buffer)],
                &mut control,
                RecvFlags::CMSG_CLOEXEC,
            );
            match got {
                Ok(message) if message.bytes == 0 => return Err(Error::Closed),
                Ok(message) => {
                    let descriptor = control.drain().find_map(|part| match part {
                        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
                        _ => None,
                    });
                    return Ok(Received {
                        length: message.bytes.min(buffer.len()),
                        cut: message.flags.contains(ReturnFlags::TRUNC),
                        descriptor,
                    });
                }
                Err(Errno::INTR) => {}
                Err(Errno::CONNRESET | Errno::NOTCONN) => return Err(Error::Closed),
                Err(errno) => return Err(Error::call("receive on the channel", errno)),
            }
        }
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Who is at the other end of a Unix socket, as the kernel knows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PeerCredentials {
    /// The process that connected.
    pub pid: u32,
    /// Its effective user id at that time.
    pub uid: u32,
    /// Its effective group id at that time.
    pub gid: u32,
}

/// Asks the kernel who is at the other end of a Unix socket (`SO_PEERCRED`). The
/// process id is 0 where the peer is in a namespace that we cannot see into.
///
/// # Errors
/// [`Error::Call`] where the descriptor is no Unix socket.
pub fn peer_credentials(socket: impl AsFd) -> Result<PeerCredentials, Error> {
    let doing = "ask for the peer's credentials";
    // On a socket of another family the kernel answers nonsense instead of an error.
    let domain =
        sockopt::socket_domain(socket.as_fd()).map_err(|errno| Error::call(doing, errno))?;
    if domain != AddressFamily::UNIX {
        return Err(Error::call(doing, Errno::NOTSUP));
    }
    let found =
        getsockopt(&socket, PeerCredentialsOption).map_err(|errno| Error::call(doing, errno))?;
    Ok(PeerCredentials {
        pid: found.pid().unsigned_abs(),
        uid: found.uid(),
        gid: found.gid(),
    })
}
