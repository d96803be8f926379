//! The expression language of CrowdSec's rules (a Go dialect named expr), compiled once
//! and evaluated often.
//!
//! **For.** Filters, group keys, statics, whitelists, conditions of rules and profiles.
//! An expression is compiled against a [`Schema`], which turns paths such as
//! `evt.Meta.http_status` into numbered slots, and evaluated against an [`Env`], which
//! hands the slots' values out as borrowed byte strings.
//!
//! **Refuses.** Sockets, files, clocks and randomness: what lies outside is asked of the
//! `Env` as a [`Question`], whose answer may be "not yet" ([`EvalError::Need`]). What
//! changes the event is handed to the `Env` as an [`Effect`].
//!
//! **Assumes.** Strings are bytes, as in Go; rules may be hostile, events always are.
//!
//! **On failure.** A rule that is wrong is a [`CompileError`] with the place and a
//! sentence; an evaluation that goes wrong (wrong dynamic type, limit reached) is an
//! [`EvalError`], never a panic.
//!
//! | module | what |
//! |---|---|
//! | [`schema`] | [`Schema`], [`SlotId`], [`Type`]: what a rule may speak about |
//! | [`env`] | [`Env`], [`Question`], [`Effect`], [`DataSearch`]: what an evaluation asks |
//! | [`value`] | [`Value`], [`Data`], [`Fields`], [`Object`]: what flows |
//! | [`needs`] | [`Need`]: what must hold for an expression to be true, cheap to test |
//! | [`error`] | [`CompileError`], [`EvalError`] |
//! | [`go_regex`] | Go's regular expressions on Rust's engine, bounded |
//! | [`limits`] | bounds on length, nesting, steps, bytes |
//! | [`json`] | JSON into [`Data`], and extraction by path |
//!
//! ```
//! use expr::{Env, Found, Schema, SlotId, Type, Value};
//!
//! struct OneField;
//! impl Schema for OneField {
//!     fn path(&mut self, path: &[&str]) -> Option<Found> {
//!         (path == ["evt", "Meta", "service"]).then_some(Found { slot: SlotId(0), ty: Type::Text, used: 3 })
//!     }
//! }
//! impl Env for OneField {
//!     fn text(&self, _: SlotId) -> &[u8] { b"http" }
//!     fn value(&self, slot: SlotId) -> Value<'_> { Value::from(self.text(slot)) }
//! }
//! let filter = expr::compile("evt.Meta.service in ['http', 'https']", &mut OneField, Type::Bool)?;
//! assert_eq!(filter.truth(&OneField), Ok(true));
//! # Ok::<(), expr::CompileError>(())
//! ```

mod ast;
mod call;
mod check;
mod compiled;
pub mod env;
pub mod error;
mod eval;
mod fold;
mod functions;
pub mod go_regex;
pub mod json;
mod lexer;
pub mod needs;
mod node;
mod parser;
pub mod schema;
mod sides;
pub mod value;

/// The bounds of compilation and evaluation.
pub mod limits {
    pub use crate::eval::{MAX_BYTES, MAX_LIST, MAX_STEPS};
    pub use crate::parser::{MAX_DEPTH, MAX_HEIGHT, MAX_NODES, MAX_SOURCE};
}

pub use compiled::{Expr, Guard, Inner, Part, compile};
pub use env::{Case, DataSearch, Effect, Env, Question, SearchTest, Unanswered};
pub use error::{CompileError, EvalError, Span};
pub use needs::Need;
pub use schema::{Found, Method, Schema, SearchId, SlotId, Type};
pub use value::{Data, Fields, Missing, Object, Value};
