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
            .and_then(|(_, span)| closed(self.source(), span))
            .map_or(whole, str::trim)
    }
}

/// The text of a span with the brackets closed that it opens: a node's span ends where its
/// last operand does.
fn closed(source: &str, span: Span) -> Option<&str> {
    let text = source.get(span.start..span.end)?;
    let count = |bracket| text.matches(bracket).count();
    let missing = count('(').saturating_sub(count(')'));
    let rest = source.get(span.end..)?.char_indices();
    let closing = rest
        .take_while(|(_, one)| *one == ')' || one.is_whitespace())
        .filter(|(_, one)| *one == ')')
        .take(missing)
        .last();
    let end = closing.map_or(span.end, |(at, _)| span.end + at + 1);
    source.get(span.start..end)
}

fn sides(tree: &Ast, spans: &mut Vec<Span>) {
    match &tree.kind {
        Kind::And(all) => all.iter().for_each(|side| sides(side, spans)),
        _ => spans.push(tree.span),
    }
}
