//! What can go wrong, at compile time and at evaluation.

use core::fmt;

use crate::env::Question;

/// A range of bytes in an expression's source.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    pub(crate) fn to(self, end: Self) -> Self {
        Self {
            start: self.start,
            end: end.end.max(self.start),
        }
    }
}

/// Why a source text is no valid expression: where, and a whole sentence with the
/// likely fix.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct CompileError {
    /// The offending bytes of the source.
    pub span: Span,
    /// A whole sentence for the author of the rule.
    pub message: String,
}

impl CompileError {
    pub(crate) fn new(span: Span, message: impl fmt::Display) -> Self {
        Self {
            span,
            message: message.to_string(),
        }
    }

    /// Line and column (both from 1, columns in bytes) of the error in `source`.
    #[must_use]
    pub fn position(&self, source: &str) -> (usize, usize) {
        let before = source
            .as_bytes()
            .get(..self.span.start)
            .unwrap_or(source.as_bytes());
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let column = 1 + before.iter().rev().take_while(|b| **b != b'\n').count();
        (line, column)
    }
}

/// Why an evaluation gave no value.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum EvalError {
    /// A value had a type that the operation does not take, such as a field of nil.
    #[error("evaluate {operation} on {found}")]
    Type {
        /// The operator or function.
        operation: &'static str,
        /// The type that was met.
        found: &'static str,
    },
    /// A field does not exist on an object.
    #[error("fetch field {field} of {of}")]
    Field {
        /// The field's name, cut to 64 bytes and escaped.
        field: String,
        /// The type that has no such field.
        of: &'static str,
    },
    /// An index lies outside of a list.
    #[error("fetch element {index} of a list of {len}")]
    Index {
        /// The index asked for.
        index: i64,
        /// The list's length.
        len: usize,
    },
    /// A function refused its arguments, such as `int("x")`.
    #[error("call {function}: {reason}")]
    Call {
        /// The function's name.
        function: &'static str,
        /// What it found wrong.
        reason: &'static str,
    },
    /// A bound on work or memory was reached.
    #[error("evaluate within limits: {0}")]
    Limit(&'static str),
    /// The answer to a question is not here yet: park the event, fetch, resume.
    #[error("wait for the answer to {}", .0.function())]
    Need(Box<Question<'static>>),
    /// The surroundings cannot answer this kind of question.
    #[error("call {0}: not available here")]
    Unavailable(&'static str),
    /// The expression changes the event, but was evaluated with [`crate::Expr::eval`].
    #[error("change the event through a shared reference")]
    Effect,
}
