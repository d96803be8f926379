//! Channels and listeners, on real sockets. What changes the process for good is
//! tried in `host`'s tests, which have a `main` of their own.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails, in its helpers too"
)]

use std::fs::File;
use std::io::Read as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use host_sys::{Channel, Error, bind_listener, peer_credentials};

#[test]
fn datagrams_keep_their_borders_and_say_when_they_were_cut() {
    let (one, other) = Channel::pair().unwrap();
    one.send(b"first", None).unwrap();
    one.send(b"second, and longer", None).unwrap();
    let mut buffer = [0; 8];
    let got = other.receive(&mut buffer, true).unwrap();
    assert_eq!((&buffer[..got.length], got.cut), (&b"first"[..], false));
    let got = other.receive(&mut buffer, true).unwrap();
    assert_eq!((&buffer[..got.length], got.cut), (&b"second, "[..], true));
    assert!(got.descriptor.is_none());
}

#[test]
fn a_descriptor_comes_along_when_wanted_and_is_closed_when_not() {
    let (one, other) = Channel::pair().unwrap();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "content").unwrap();
    let mut buffer = [0; 8];
    for wanted in [true, false] {
        let (reader, writer) = std::io::pipe().unwrap();
        one.send(b"x", Some(writer.as_fd())).unwrap();
        drop(writer);
        let got = other.receive(&mut buffer, wanted).unwrap();
        assert_eq!(got.descriptor.is_some(), wanted);
        drop(got);
        // The pipe ends only when every copy of its writing end is closed.
        let mut rest = Vec::new();
        let mut reader = File::from(std::os::fd::OwnedFd::from(reader));
        assert_eq!(reader.read_to_end(&mut rest).unwrap(), 0);
    }
}

#[test]
fn a_thread_that_steps_back_does_so_alone() {
    let standing = || {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let (_, rest) = stat.rsplit_once(')').unwrap();
        let fields: Vec<i64> = rest
            .split_whitespace()
            .map(|field| field.parse().unwrap_or(0))
            .collect();
        // proc(5) counts from the id on: nice is its 19th field, the policy its 41st
        (fields[16], fields[38])
    };
    let before = standing();
    let behind = std::thread::spawn(move || {
        host_sys::process::step_back();
        standing()
    });
    let (nice, policy) = behind.join().unwrap();
    assert_eq!((nice, policy), (before.0.max(10), 3), "3 is SCHED_BATCH");
    assert_eq!(standing(), before, "nobody else stepped back");
}

#[test]
fn the_end_of_the_other_process_and_its_silence_are_told_apart() {
    let (one, other) = Channel::pair().unwrap();
    one.set_patience(Some(Duration::from_millis(20))).unwrap();
    let start = Instant::now();
    let silent = one.receive(&mut [0; 8], true).unwrap_err();
    assert_eq!(silent.errno(), Some(libc_eagain()));
    assert!(start.elapsed() >= Duration::from_millis(15));
    drop(other);
    assert!(matches!(one.receive(&mut [0; 8], true), Err(Error::Closed)));
    assert!(matches!(one.send(b"x", None), Err(Error::Closed)));
}

fn libc_eagain() -> i32 {
    rustix::io::Errno::AGAIN.raw_os_error()
}

#[test]
fn the_kernel_says_who_is_at_the_other_end() {
    let (one, _other) = UnixStream::pair().unwrap();
    let peer = peer_credentials(&one).unwrap();
    assert_eq!(peer.pid, std::process::id());
    assert_eq!(peer.uid, host_sys::account::effective_uid());
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    assert!(
        peer_credentials(&tcp).is_err(),
        "nobody is named on a TCP socket"
    );
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn shares_listen_side_by_side_and_a_taken_address_is_refused() {
    let first = bind_listener(address("127.0.0.1:0"), true, 64).unwrap();
    let at = first.local_addr().unwrap();
    let second = bind_listener(at, true, 64).unwrap();
    assert_eq!(second.local_addr().unwrap(), at);
    let taken = bind_listener(at, false, 64).unwrap_err();
    assert_eq!(
        taken.errno(),
        Some(rustix::io::Errno::ADDRINUSE.raw_os_error())
    );
    TcpStream::connect(at).unwrap();
    let waits = first.accept().or_else(|_| second.accept());
    assert!(waits.is_ok() || first.accept().is_err(), "neither blocks");
}

#[test]
fn an_ipv6_listener_leaves_ipv4_alone() {
    // A port that is free for IPv6 may be somebody's for IPv4: others are tried.
    for _ in 0..32 {
        let Ok(six) = bind_listener(address("[::]:0"), false, 64) else {
            let addresses = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
            assert_eq!(
                addresses, "",
                "this host has IPv6, and yet it cannot be bound"
            );
            return;
        };
        let port = six.local_addr().unwrap().port();
        if bind_listener(SocketAddr::from(([0, 0, 0, 0], port)), false, 64).is_ok() {
            return;
        }
    }
    panic!("no port of IPv6 leaves its IPv4 twin free");
}
