//! The request as the upstream gets it: re-serialised, with our own word on where
//! it comes from.
//!
//! Nothing that names a client survives from outside; `X-Forwarded-For` holds the
//! one address that the edge itself decided on. `Host` is kept.

use vocab::ClientAddr;
use wire::{Field, HeaderId, HeaderSet, Request, RequestWrite};

use crate::answer::Small;

/// What the edge adds to a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    pub(crate) client: ClientAddr,
    pub(crate) request_id: u64,
    pub(crate) tls: bool,
    /// Whether the peer is a trusted proxy, whose word on the scheme counts.
    pub(crate) proxied: bool,
}

/// Protocols that must not be switched to through a proxy: they would carry
/// requests past every check (RFC 9113 §3.1, RFC 2817).
fn is_refused_upgrade(protocol: &[u8]) -> bool {
    let name = protocol
        .split(|byte| *byte == b'/')
        .next()
        .unwrap_or_default();
    ["h2c", "h2", "http", "tls"]
        .iter()
        .any(|refused| name.eq_ignore_ascii_case(refused.as_bytes()))
}

/// Whether the client offered to switch to this very protocol, and it may.
pub(crate) fn may_switch(request: &Request<'_>, protocol: &[u8]) -> bool {
    let mut offers = request.headers().tokens(HeaderId::Upgrade);
    request.upgrade().is_some()
        && !is_refused_upgrade(protocol)
        && offers.any(|offer| offer.eq_ignore_ascii_case(protocol))
}

/// Appends the head of `request` as it goes to the upstream.
pub(crate) fn write_head(out: &mut Vec<u8>, request: &Request<'_>, origin: Origin) {
    const MOST_UPGRADES: usize = 4;
    const DROP: HeaderSet = HeaderSet::FORWARDED.and(HeaderId::XRequestId);
    let headers = request.headers();
    let mut client = Small::<48>::new();
    client.put(format_args!("{}", origin.client));
    let mut id = Small::<16>::new();
    id.put(format_args!("{:016x}", origin.request_id));

    let mut add: [Option<Field<'_>>; 5] = [None; 5];
    add[0] = Field::new(b"X-Forwarded-For", client.bytes());
    add[1] = Field::new(b"X-Forwarded-Proto", scheme(request, origin));
    add[2] = Field::new(b"X-Real-IP", client.bytes());
    add[3] = Field::new(b"X-Request-Id", id.bytes());
    let host = headers.first(HeaderId::Host);
    add[4] = host.and_then(|host| Field::new(b"X-Forwarded-Host", host));
    // Only the last can be absent, so what is there stands at the front.
    let [Some(one), Some(two), Some(three), Some(four), last] = add else {
        return; // addresses, schemes and digits are always valid fields
    };
    let all = [one, two, three, four, last.unwrap_or(four)];
    let count = if last.is_some() { 5 } else { 4 };

    let mut upgrades: [&[u8]; MOST_UPGRADES] = [b""; MOST_UPGRADES];
    let mut offered = 0;
    if request.upgrade().is_some() {
        let wanted = headers
            .tokens(HeaderId::Upgrade)
            .filter(|p| !is_refused_upgrade(p));
        for (place, protocol) in upgrades.iter_mut().zip(wanted) {
            *place = protocol;
            offered += 1;
        }
    }
    wire::write_request(
        out,
        request,
        &RequestWrite {
            target: None,
            host: host.is_none().then_some(b"localhost"),
            drop: DROP,
            drop_names: &[],
            add: all.get(..count).unwrap_or_default(),
            upgrades: upgrades.get(..offered).unwrap_or_default(),
        },
    );
}

fn scheme(request: &Request<'_>, origin: Origin) -> &'static [u8] {
    let said = request.headers().first(HeaderId::XForwardedProto);
    match said {
        Some(b"https") if origin.proxied => b"https",
        Some(b"http") if origin.proxied => b"http",
        _ if origin.tls => b"https",
        _ => b"http",
    }
}
