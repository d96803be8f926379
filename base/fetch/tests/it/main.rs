//! Fetching against servers of this test's own, on loopback.

#![expect(
    clippy::expect_used,
    unreachable_pub,
    reason = "a test's helpers fail by panicking"
)]

mod guarded;
mod server;
mod trusted;
