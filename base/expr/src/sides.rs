//! Which side of a condition is to blame, in the words of whoever wrote it.

use crate::ast::{Ast, Kind};
use crate::compiled::Expr;
use crate::env::Env;
use crate::error::Span;
use crate::parser;

impl Expr {
    /// The first side of the outermost `and` that is not true (or fails), as it is written;
    /// the whole source where sides cannot be told apart, or one changes the event. For
    /// people: it parses the source anew.
    #[must_use]
    pub fn untrue_side(&self, env: &dyn Env) -> &str {
        let whole = self.source().trim();
        let parts = self.parts();
        let mut spans = Vec::new();
        if let Ok(tree) = parser::parse(self.source()) {
            sides(&tree, &mut spans);
        }
        if !self.is_pure() || parts.len() != spans.len() {
            return whole;
        }
        let blamed = parts
            .iter()
            .zip(spans)
            .find(|(part, _)| part.expr.truth(env) != Ok(true));
        blamed
            .and_then(|(_, span)| self.source().get(span.start..span.end))
            .map_or(whole, str::trim)
    }
}

fn sides(tree: &Ast, spans: &mut Vec<Span>) {
    match &tree.kind {
        Kind::And(all) => all.iter().for_each(|side| sides(side, spans)),
        _ => spans.push(tree.span),
    }
}
