//! Gates: which nodes of a stage can take an event at all.
//!
//! For: a line met by a hundred nodes of which one looks at its kind. Most filters begin
//! with a side that rests on one text, such as the program's name, which is the same in
//! line after line: what those sides say to a text is remembered. Refuses: sides that may
//! fail or change the event, and all behind such a one; they are asked as ever. Assumes:
//! whoever wants to hear of each node, taken or not, does not come here.

use expr::{Expr, SlotId};

use super::node::Node;
use crate::program::env::{EventEnv, Memo};

/// The gates of one stage's nodes.
#[derive(Debug, Default)]
pub(crate) struct Gates {
    pub(super) stage: usize,
    /// The text on which most filters rest.
    slot: Option<SlotId>,
    /// Of each node, the sides of its filter that rest on that text alone.
    sides: Vec<Vec<Expr>>,
}

/// What was asked of a stage's gates lately: one text a place, the later one stays.
#[derive(Debug, Default)]
pub(crate) struct Passes {
    places: Vec<Passing>,
    /// For texts that are too long to be remembered.
    long: Passing,
}

/// A text, and the nodes that it passes, in their order.
#[derive(Clone, Debug, Default)]
struct Passing {
    text: Option<Vec<u8>>,
    nodes: Vec<u32>,
}

impl Passes {
    const PLACES: usize = 32;
    /// Longer texts are not remembered, so that memory is bounded.
    const LONGEST: usize = 64;
}

impl Gates {
    /// Gates of the nodes of the stage with this number.
    pub(super) fn new(stage: usize, nodes: &[Node]) -> Self {
        let leading: Vec<Vec<(SlotId, Expr)>> = nodes.iter().map(leading).collect();
        let counted = |slot: SlotId| {
            let rests =
                |sides: &&Vec<(SlotId, Expr)>| sides.iter().any(|(known, _)| *known == slot);
            leading.iter().filter(rests).count()
        };
        let slots = leading.iter().flatten().map(|(slot, _)| *slot);
        let slot = slots.max_by_key(|slot| (counted(*slot), core::cmp::Reverse(slot.0)));
        let of_slot = |sides: Vec<(SlotId, Expr)>| {
            let sides = sides.into_iter().filter(|(known, _)| Some(*known) == slot);
            sides.map(|(_, side)| side).collect()
        };
        Self {
            stage,
            slot,
            sides: leading.into_iter().map(of_slot).collect(),
        }
    }

    /// The first node at or after `from` that may take the event.
    pub(super) fn next(
        &self,
        env: &EventEnv<'_>,
        passes: &mut Passes,
        from: usize,
    ) -> Option<usize> {
        let Some(slot) = self.slot else {
            return Some(from);
        };
        let nodes = self.passing(env, env.event.text(slot), passes);
        let at = nodes.partition_point(|node| (*node as usize) < from);
        nodes.get(at).map(|node| *node as usize)
    }

    fn passing<'p>(&self, env: &EventEnv<'_>, text: &[u8], passes: &'p mut Passes) -> &'p [u32] {
        if passes.places.is_empty() {
            passes.places.resize(Passes::PLACES, Passing::default());
        }
        let short = text.len() <= Passes::LONGEST;
        let place = Memo::place(0, text) % Passes::PLACES;
        let passing = match passes.places.get_mut(place).filter(|_| short) {
            Some(passing) => passing,
            None => &mut passes.long,
        };
        if !short || passing.text.as_deref() != Some(text) {
            let kept = passing.text.get_or_insert_default();
            kept.clear();
            kept.extend_from_slice(text.get(..Passes::LONGEST).unwrap_or(text));
            passing.nodes.clear();
            let passes =
                |sides: &Vec<Expr>| sides.iter().all(|side| side.truth(env).unwrap_or(true));
            let numbers = 0_u32..;
            let open = numbers.zip(&self.sides).filter(|(_, sides)| passes(sides));
            passing.nodes.extend(open.map(|(number, _)| number));
        }
        &passing.nodes
    }
}

/// The sides of a node's filter that rest on one text each, before the first that does not
/// leave the event as it is or may fail.
fn leading(node: &Node) -> Vec<(SlotId, Expr)> {
    let parts = node.filter.as_ref().map_or_else(Vec::new, Expr::parts);
    let harmless = parts.into_iter().take_while(|part| part.harmless);
    harmless
        .filter_map(|part| Some((part.reads?, part.expr)))
        .collect()
}
