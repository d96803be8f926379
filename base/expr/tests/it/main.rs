//! The expression language from outside: the hub's expressions, what they evaluate to,
//! and what happens to hostile ones.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::string_slice,
    clippy::too_many_lines,
    clippy::type_complexity,
    reason = "tests fail by panicking, say aloud what they could not check, and hold long tables"
)]

mod support;

mod corpus;
mod hostile;
mod purity;
mod regexes;
mod semantics;
