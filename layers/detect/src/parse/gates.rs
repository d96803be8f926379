//! Gates: which nodes of a stage can take an event at all.
//!
//! For: a line met by a hundred nodes of which one looks at its kind. What the filters of a
//! stage say of whole fields, such as the program's name, is found by one look at each field,
//! and what that leaves is the same in line after line: a sieve remembers it. Refuses: sides
//! that may fail or change the event, and all behind such a one; they are asked as ever.
//! Assumes: whoever wants to hear of each node, taken or not, does not come here.

use expr::Expr;

use super::node::Node;
use crate::event::Event;
use crate::program::{Chosen, Sieve};

/// The gates of one stage's nodes.
#[derive(Debug, Default)]
pub(crate) struct Gates {
    pub(super) stage: usize,
    sieve: Sieve,
    /// Of each node, whether its gate knows all sides of its filter.
    whole: Vec<bool>,
}

/// A node that may take an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Next {
    pub(crate) number: usize,
    /// Its place among those that were chosen.
    place: usize,
    /// Whether its filter is true for sure.
    pub(crate) open: bool,
}

impl Next {
    /// Where looking for nodes begins.
    pub(super) const FIRST: Self = Self {
        number: 0,
        place: 0,
        open: false,
    };

    /// Where it goes on behind this one.
    pub(super) fn behind(self) -> Self {
        Self {
            number: self.number + 1,
            open: false,
            ..self
        }
    }
}

impl Gates {
    /// Gates of the nodes of the stage with this number.
    pub(super) fn new(stage: usize, nodes: &[Node]) -> Self {
        let mut whole = Vec::new();
        let leading = nodes.iter().map(|node| {
            let (parts, all) = match &node.filter {
                Some(filter) => Expr::leading(filter),
                None => (Vec::new(), true),
            };
            whole.push(all);
            parts
        });
        Self {
            stage,
            sieve: Sieve::wordless(leading),
            whole,
        }
    }

    /// The first node at or after that of `from` that may take the event.
    pub(super) fn next(&self, event: &Event, chosen: &mut Chosen, from: Next) -> Option<Next> {
        self.sieve.choose_anew(event, chosen);
        let (number, place) = chosen.first_behind(from.number, from.place)?;
        let whole = self.whole.get(number).copied().unwrap_or(false);
        let open = whole && self.sieve.rest(number).is_empty() && !self.sieve.doubts(chosen);
        Some(Next {
            number,
            place,
            open,
        })
    }
}
