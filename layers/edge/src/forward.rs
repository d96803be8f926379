//! The request as the upstream gets it: re-serialised, with our own word on where
//! it comes from.
//!
//! Nothing that names a client survives from outside; `X-Forwarded-For` holds the
//! one address that the edge itself decided on, and so does the header that the
//! configuration names, for applications that read it. `Host` is kept.

use vocab::ClientAddr;
use wire::{Field, HeaderId, HeaderSet, Request, RequestWrite};

use crate::answer::Small;

/// What the edge adds to a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin<'a> {
    pub(crate) client: ClientAddr,
    pub(crate) request_id: u64,
    pub(crate) tls: bool,
    /// Whether the peer is a trusted proxy, whose word on the scheme counts.
    pub(crate) proxied: bool,
    /// A further header that the application expects the client in.
    pub(crate) named_in: Option<&'a str>,
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
pub(crate) fn write_head(out: &mut Vec<u8>, request: &Request<'_>, origin: Origin<'_>) {
    const MOST_UPGRADES: usize = 4;
    const DROP: HeaderSet = HeaderSet::FORWARDED.and(HeaderId::XRequestId);
    let headers = request.headers();
    let mut client = Small::<48>::new();
    client.put(format_args!("{}", origin.client));
    let mut id = Small::<16>::new();
    id.put(format_args!("{:016x}", origin.request_id));

    let host = headers.first(HeaderId::Host);
    let named_in = origin.named_in.map(str::as_bytes);
    // Addresses, schemes and digits are always valid fields.
    let Some(first) = Field::new(b"X-Forwarded-For", client.bytes()) else {
        return;
    };
    let mut all = [first; 6];
    let mut count = 1;
    for field in [
        Field::new(b"X-Forwarded-Proto", scheme(request, origin)),
        Field::new(b"X-Real-IP", client.bytes()),
        Field::new(b"X-Request-Id", id.bytes()),
        host.and_then(|host| Field::new(b"X-Forwarded-Host", host)),
        named_in.and_then(|name| Field::new(name, client.bytes())),
    ]
    .into_iter()
    .flatten()
    {
        if let Some(place) = all.get_mut(count) {
            *place = field;
            count += 1;
        }
    }

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
            drop_names: named_in.as_slice(),
            add: all.get(..count).unwrap_or_default(),
            upgrades: upgrades.get(..offered).unwrap_or_default(),
        },
    );
}

fn scheme(request: &Request<'_>, origin: Origin<'_>) -> &'static [u8] {
    let said = request.headers().first(HeaderId::XForwardedProto);
    match said {
        Some(b"https") if origin.proxied => b"https",
        Some(b"http") if origin.proxied => b"http",
        _ if origin.tls => b"https",
        _ => b"http",
    }
}
