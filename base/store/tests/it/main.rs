//! The store against real files, real locks, full disks and `kill -9`.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on fails, in its helpers too, and one that cannot run says so"
)]

mod disk;
mod durable;
mod fixture;
mod killed;
mod shape;
mod trouble;
