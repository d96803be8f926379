//! Names of addresses, as the host's own resolver knows them.
//!
//! For: rules that ask for the name behind an address. Refuses: to bound the time; the
//! resolver's own configuration does, so call it where blocking harms nobody. Assumes:
//! nothing about the answer, which whoever owns the address writes. On failure: no name.

use core::ffi::{CStr, c_char};
use core::net::{IpAddr, SocketAddr};

use socket2::SockAddr;

/// The name of an address, without a dot at its end. Blocks, for seconds where the
/// resolver does not answer.
#[must_use]
#[expect(unsafe_code, reason = "no crate of ours wraps getnameinfo(3)")]
pub fn name_of(address: IpAddr) -> Option<String> {
    let place = SockAddr::from(SocketAddr::new(address.to_canonical(), 0));
    // NI_MAXHOST
    let mut host = [0_u8; 1_025];
    let room = libc::socklen_t::try_from(host.len()).ok()?;
    // SAFETY: the address lives, and says its own length; `host` is writable for `room`
    // bytes; no service is asked for.
    let code = unsafe {
        libc::getnameinfo(
            place.as_ptr().cast::<libc::sockaddr>(),
            place.len(),
            host.as_mut_ptr().cast::<c_char>(),
            room,
            core::ptr::null_mut(),
            0,
            libc::NI_NAMEREQD,
        )
    };
    if code != 0 {
        return None;
    }
    let name = CStr::from_bytes_until_nul(&host).ok()?.to_str().ok()?;
    (!name.is_empty()).then(|| name.trim_end_matches('.').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_has_the_name_that_the_hosts_file_gives_it() {
        let known = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
        let named = known
            .lines()
            .any(|line| line.split_whitespace().next() == Some("127.0.0.1"));
        let name = name_of(IpAddr::from([127, 0, 0, 1]));
        assert!(name.is_some() || !named, "{known}");
    }
}
