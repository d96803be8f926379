//! Parsers: stages of nodes that turn a line into an event.
//!
//! For: running compiled nodes in CrowdSec's order and with its meaning of success.
//! Refuses: enrichment that needs the outside; such a method sets nothing and is
//! counted. Assumes: nodes are sorted by stage and file. On failure: an expression
//! that fails makes its node fail and is counted; an event that no stage takes is
//! dropped, which is an ordinary answer.
//!
//! The order within a node is fixed: filter, whitelist, grok with its statics, stash,
//! children, statics, `onsuccess`.

mod compile;
mod enrich;
mod gates;
mod node;
mod stash;

pub(crate) use compile::{Compiler, Unusable};
pub(crate) use gates::Gates;
use gates::Next;
pub(crate) use node::{Node, Rooms, Run, evaluate};
pub(crate) use stash::Stashes;

use crate::bucket::Seed;
use crate::event::slot;

/// Compiled parser nodes, by stage.
#[derive(Debug, Default)]
pub(crate) struct Stages {
    /// Stage names in the order of their names, each with its nodes.
    pub(crate) stages: Vec<(String, Vec<Node>)>,
    /// What spares asking the nodes of each stage.
    pub(crate) gates: Vec<Gates>,
    /// How many groks there are; each has a room in a scratch.
    pub(crate) groks: usize,
}

/// What became of a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Parsed {
    /// An event: give it to the scenarios.
    Event,
    /// An event that a whitelist exempts.
    Whitelisted,
    /// No parser took it.
    Dropped,
}

impl Stages {
    /// Runs every stage over the event of `run`.
    pub(crate) fn run(&self, run: &mut Run<'_>) -> Parsed {
        run.last = self.stages.len().saturating_sub(1);
        run.stage = 0;
        for (at, (stage, nodes)) in self.stages.iter().enumerate() {
            if run.stage > at {
                // A node and a child of it both moved the event.
                continue;
            }
            if run.stage < at {
                return Parsed::Dropped;
            }
            run.enter(stage);
            let mut taken = false;
            let gates = self.gates.get(at);
            let mut next = Next::FIRST;
            while let Some(found) = run.next_node(gates, next)
                && let Some(node) = nodes.get(found.number)
            {
                next = found.behind();
                let ok = run.top(node, found.open);
                taken |= ok;
                // A child's move counts as well, even where its parent did not succeed.
                if run.stage != at || (ok && node.next_stage) {
                    break;
                }
            }
            if !taken {
                return Parsed::Dropped;
            }
        }
        if run.env.event.whitelisted {
            Parsed::Whitelisted
        } else if self.stages.is_empty() {
            Parsed::Dropped
        } else {
            Parsed::Event
        }
    }

    /// Numbers the expressions of all whitelists; the sides of each, in order.
    pub(crate) fn whites(&mut self) -> Vec<Vec<expr::Part>> {
        fn number(node: &mut Node, all: &mut Vec<Vec<expr::Part>>) {
            if let Some(whitelist) = &mut node.whitelist {
                whitelist.first = u32::try_from(all.len()).unwrap_or(u32::MAX);
                all.extend(whitelist.expressions.iter().map(expr::Expr::parts));
            }
            node.children
                .iter_mut()
                .for_each(|child| number(child, all));
        }
        let mut all = Vec::new();
        let nodes = self.stages.iter_mut().flat_map(|(_, nodes)| nodes);
        nodes.for_each(|node| number(node, &mut all));
        all
    }

    /// Rooms for the captures of every grok, filled as they are used.
    pub(crate) fn rooms(&self, seed: Seed) -> Rooms {
        Rooms::new(self.groks, self.stages.len(), seed)
    }
}

/// The slot that a grok's `apply_on` names, as a name: `Line.Raw` or a parsed field.
fn apply_on(slots: &mut crate::event::Slots, text: &str) -> expr::SlotId {
    match text {
        "Line.Raw" | "evt.Line.Raw" => slot::LINE_RAW,
        other => slots.intern(crate::event::Space::Parsed, other),
    }
}
