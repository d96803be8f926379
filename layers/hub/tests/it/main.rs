//! Sets on a real disk, and the index of a real hub.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test's helpers fail by panicking, and say what they could not do"
)]

mod published;
mod sets;
