//! The expression language from outside: the hub's expressions, what they evaluate to,
//! and what happens to hostile ones.

mod support;

mod corpus;
mod hostile;
mod purity;
mod regexes;
mod semantics;
