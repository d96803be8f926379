//! How long a list must be for a condition to be true.
//!
//! **For.** Not going through a bucket's events while there are too few of them:
//! `len(filter(queue.Queue, {…})) >= 4 && …`, also where a `let` names the list. **Refuses.**
//! Guesses: 0 where nothing is known.

use crate::ast::Binary;
use crate::call::Function;
use crate::node::{EachKind, Node};
use crate::schema::SlotId;
use crate::value::Data;

/// The fewest elements of a member list of an object with which a node can be true.
pub(crate) fn least(node: &Node, object: SlotId, member: &[u8]) -> usize {
    let is_list = |node: &Node| is_part(node, object, member);
    match node {
        Node::Let(two) => {
            let [value, body] = &**two;
            if is_list(value) {
                of(body, &|node| matches!(node, Node::Local(0)))
            } else {
                0
            }
        }
        node => of(node, &is_list),
    }
}

/// Whether a node is the list, or some of it.
fn is_part(node: &Node, object: SlotId, member: &[u8]) -> bool {
    match node {
        Node::Member { of, name, .. } => {
            matches!(**of, Node::Slot(slot) if slot == object) && **name == *member
        }
        Node::Each(each) => each.kind == EachKind::Filter && is_part(&each.list, object, member),
        _ => false,
    }
}

fn of(node: &Node, is_list: &dyn Fn(&Node) -> bool) -> usize {
    match node {
        // The sides before one that is false change nothing and are no answer.
        Node::And(sides) => sides
            .iter()
            .map(|side| of(side, is_list))
            .max()
            .unwrap_or(0),
        Node::Binary(operator, two) => {
            let [
                Node::Call(Function::Len, args),
                Node::Const(Data::Int(count)),
            ] = &**two
            else {
                return 0;
            };
            if !args.iter().all(is_list) {
                return 0;
            }
            let count = usize::try_from(*count).unwrap_or(0);
            match operator {
                Binary::GreaterEqual | Binary::Equal => count,
                Binary::Greater => count.saturating_add(1),
                _ => 0,
            }
        }
        _ => 0,
    }
}
