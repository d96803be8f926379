//! Limits and lists, validated by whoever builds them and replaced whole on reload.

use core::num::NonZeroU32;
use core::time::Duration;
use std::sync::Arc;

use crate::{Rate, Tools};

/// What every site shares.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Limits on connections.
    pub connections: ConnectionLimits,
    /// How many requests a client may make to a site that sets no rate of its own; a volume
    /// rule. `None` for any number.
    pub requests: Option<Rate>,
    /// What is left to a source that a decision throttles (and, until there are challenges,
    /// to one that a decision challenges).
    pub throttled: Rate,
    /// The attack tools.
    pub tools: Arc<Tools>,
    /// Whether attack tools from local sources (private ranges, VPN, CGNAT) are only observed:
    /// they are mostly the operator's own scans. Off for the loopback demo.
    pub local_tools_observed: bool,
    /// Whether a ban refuses connections as soon as they are accepted, before TLS. Only right
    /// when every site enforces: a connection does not say yet which site it wants, and a site in
    /// [`crate::Mode::Observe`] must not lose it.
    pub bans_refuse_connections: bool,
    /// More header lines than this are refused; the codec's own limit may be tighter.
    pub most_headers: usize,
}

/// Limits on connections, enforced when one is accepted, whatever the site.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConnectionLimits {
    /// At once from one client (IPv4 address or IPv6 /64). Not for trusted proxies.
    pub per_client: u32,
    /// At once in total, trusted proxies included.
    pub total: u32,
    /// New ones from one client. `None` for any number. Not for trusted proxies.
    pub new: Option<Rate>,
}

impl Default for ConnectionLimits {
    /// 256 at once from one client: browsers open 6 to a host, and offices share an address.
    /// 20,000 in total: what the memory budget of 10 kB an idle connection leaves a small host.
    /// 50 new a second, 500 at a stroke: an office comes back from lunch.
    fn default() -> Self {
        Self {
            per_client: 256,
            total: 20_000,
            new: Rate::new(FIFTY, Duration::from_secs(1), BURST),
        }
    }
}

impl Default for Settings {
    /// 200 requests a second from one client, 3000 at a stroke: an office whose browsers open
    /// galleries stays below, a flood does not. Throttled sources keep one request a second, five at a stroke.
    /// No attack tools: the list is data and is handed in. Bans act on requests only.
    fn default() -> Self {
        Self {
            connections: ConnectionLimits::default(),
            requests: Rate::new(TWO_HUNDRED, Duration::from_secs(1), LARGE_BURST),
            throttled: Rate::ONE_A_SECOND,
            tools: Arc::new(Tools::none()),
            local_tools_observed: true,
            bans_refuse_connections: false,
            most_headers: 100,
        }
    }
}

const fn at_least_one(number: u32) -> NonZeroU32 {
    match NonZeroU32::new(number) {
        Some(number) => number,
        None => NonZeroU32::MIN,
    }
}

const FIFTY: NonZeroU32 = at_least_one(50);
const TWO_HUNDRED: NonZeroU32 = at_least_one(200);
const BURST: NonZeroU32 = at_least_one(500);
const LARGE_BURST: NonZeroU32 = at_least_one(3000);
