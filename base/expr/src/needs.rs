//! What must hold for an expression to be true.
//!
//! **For.** Sparing evaluations: most rules ask for a word that most events do not
//! have. One automaton over all rules' words is cheaper than every rule's own search.
//! **Refuses.** Guesses: a [`Need`] that does not hold means that the expression is
//! false, does not fail and changes nothing. **Assumes.** Letters are compared without
//! regard to ASCII case; in a text that is not ASCII every word counts as present,
//! since letters such as `ı` become ASCII in upper case.

mod least;
mod rows;
mod words;

pub(crate) use least::least;
pub use rows::regex_rows;
pub use words::regex_words;

use crate::ast::Binary;
use crate::call::Function;
use crate::env::{Case, DataSearch, SearchTest};
use crate::node::{Each, EachKind, Node, Test};
use crate::schema::SlotId;
use crate::value::Data;

/// A condition over slots that can be tested without evaluating anything.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Need {
    /// Nothing is known: evaluate.
    Always,
    /// Never true.
    Never,
    /// The slot has one of these texts, exactly.
    OneOf(SlotId, Vec<Box<[u8]>>),
    /// The slot has none of these texts.
    NoneOf(SlotId, Vec<Box<[u8]>>),
    /// The slot's text begins with this byte.
    Begins(SlotId, u8),
    /// The slot's text contains this word, ASCII case disregarded.
    Contains(SlotId, Box<[u8]>),
    /// The slot's text contains, ASCII case disregarded, a line of the file (or what
    /// every match of the line, as a regular expression, contains).
    Search(SlotId, DataSearch),
    /// The slot's text contains, ASCII case disregarded, the text that a line of the
    /// file, being a JSON object, has under this key. Where a line has none, nothing
    /// is known.
    SearchKey {
        /// The slot.
        slot: SlotId,
        /// The file's name.
        file: Box<[u8]>,
        /// The key.
        key: Box<[u8]>,
    },
    /// All of them.
    All(Vec<Self>),
    /// Any of them.
    Any(Vec<Self>),
}

/// A text that tests are made on: a slot, perhaps with its letters or escapes changed.
#[derive(Clone, Copy)]
struct Subject {
    slot: SlotId,
    /// Bytes whose presence may change the text into any other.
    escapes: &'static [u8],
}

type Frames<'f> = Option<&'f Frame<'f>>;

/// A `let` binding.
struct Frame<'f> {
    subject: Option<Subject>,
    parent: Frames<'f>,
}

pub(crate) fn of(node: &Node) -> Need {
    need(node, None)
}

fn need(node: &Node, frames: Frames<'_>) -> Need {
    if let Some(need) = leaf(node) {
        return need;
    }
    match node {
        Node::Const(Data::Bool(false)) => Need::Never,
        Node::TextIn(of, set) => words(of, frames, &mut set.texts().into_iter()),
        Node::TextTest(test) => {
            let word = match &test.test {
                Test::Equal(text) | Test::StartsWith(text) | Test::EndsWith(text) => text.clone(),
                Test::Contains(finder) => finder.needle().into(),
            };
            words(&test.of, frames, &mut core::iter::once(word))
        }
        Node::AnyNeedle(any) => words(&any.of, frames, &mut any.needles.iter().cloned()),
        Node::Matches(of, regex) => match regex_words(regex.as_str()) {
            Some(found) => words(of, frames, &mut found.into_iter()),
            None => Need::Always,
        },
        Node::Search(of, search) => match subject(of, frames).filter(|_| never_fails(search)) {
            Some(subject) => unless_escaped(subject, Need::Search(subject.slot, search.clone())),
            None => Need::Always,
        },
        Node::Each(each) => search_key(each, frames).unwrap_or(Need::Always),
        Node::And(parts) => {
            let mut all = Vec::new();
            for part in parts {
                all.push(need(part, frames));
                if !is_harmless(part, frames) {
                    break;
                }
            }
            Need::All(all)
        }
        Node::Or(parts) => Need::Any(parts.iter().map(|part| need(part, frames)).collect()),
        Node::Condition(three) => {
            let [condition, yes, no] = &**three;
            match no {
                Node::Const(Data::Bool(false)) if is_harmless(condition, frames) => {
                    Need::All(vec![need(condition, frames), need(yes, frames)])
                }
                Node::Const(Data::Bool(false)) => need(condition, frames),
                _ => Need::Always,
            }
        }
        Node::Let(two) => {
            let [value, body] = &**two;
            if !is_harmless(value, frames) {
                return Need::Always;
            }
            let frame = Frame {
                subject: subject(value, frames),
                parent: frames,
            };
            need(body, Some(&frame))
        }
        _ => Need::Always,
    }
}

/// What is true exactly when a node is, for one that compares a slot with constants.
fn leaf(node: &Node) -> Option<Need> {
    match node {
        Node::TextIs(slot, text) => Some(Need::OneOf(*slot, vec![text.clone()])),
        Node::TextIn(of, set) => match &**of {
            Node::Text(slot) => Some(Need::OneOf(*slot, set.texts())),
            _ => None,
        },
        // A word of one letter spares nothing; as a first letter it does.
        Node::TextTest(test) => match (&test.of, test.case, &test.test) {
            (Node::Text(slot), Case::Exact, Test::StartsWith(text)) => match **text {
                [byte] => Some(Need::Begins(*slot, byte)),
                _ => None,
            },
            _ => None,
        },
        Node::Not(of) => match leaf(of)? {
            Need::OneOf(slot, texts) => Some(Need::NoneOf(slot, texts)),
            _ => None,
        },
        _ => None,
    }
}

/// Whether a node is true whenever its [`Need`] holds.
pub(crate) fn exact(node: &Node) -> bool {
    match node {
        Node::Or(parts) => parts.iter().all(|part| leaf(part).is_some()),
        node => leaf(node).is_some(),
    }
}

/// The one slot that a node searches for words or patterns, if it reads nothing else.
pub(crate) fn searched(node: &Node) -> Option<SlotId> {
    let searches = |node: &Node| {
        matches!(
            node,
            Node::Matches(..) | Node::Search(..) | Node::AnyNeedle(_)
        )
    };
    read_alone(node).filter(|_| node.any(&searches))
}

/// The one slot that a node reads, if it neither fails nor changes the event.
pub(crate) fn read_alone(node: &Node) -> Option<SlotId> {
    if !is_harmless(node, None) {
        return None;
    }
    let found = core::cell::Cell::new(None);
    let several = node.any(&|node| match node {
        Node::Text(slot) | Node::TextIs(slot, _) => found
            .replace(Some(*slot))
            .is_some_and(|known| known != *slot),
        _ => false,
    });
    found.get().filter(|_| !several)
}

/// Whether a node neither fails nor changes the event.
pub(crate) fn harmless(node: &Node) -> bool {
    is_harmless(node, None)
}

fn is_harmless(node: &Node, frames: Frames<'_>) -> bool {
    match node {
        Node::Const(_) | Node::Text(_) | Node::TextIs(..) => true,
        Node::Local(_) => subject(node, frames).is_some(),
        Node::Not(of) | Node::TextIn(of, _) => is_harmless(of, frames),
        Node::TextTest(test) => subject(&test.of, frames).is_some(),
        Node::AnyNeedle(any) => subject(&any.of, frames).is_some(),
        Node::Matches(of, _) | Node::InRange(of, _) => subject(of, frames).is_some(),
        Node::Search(of, search) => never_fails(search) && subject(of, frames).is_some(),
        Node::And(parts) | Node::Or(parts) => parts.iter().all(|part| is_harmless(part, frames)),
        Node::Call(..) => subject(node, frames).is_some(),
        _ => false,
    }
}

/// Whether a search gives an answer whatever the file holds.
fn never_fails(search: &DataSearch) -> bool {
    search.test != SearchTest::Matches
}

fn subject(node: &Node, frames: Frames<'_>) -> Option<Subject> {
    match node {
        Node::Text(slot) => Some(Subject {
            slot: *slot,
            escapes: b"",
        }),
        Node::Local(hops) => {
            let mut frame = frames?;
            for _ in 0..*hops {
                frame = frame.parent?;
            }
            frame.subject
        }
        Node::Call(function, args) => {
            let [arg] = &**args else {
                return None;
            };
            let inner = subject(arg, frames)?;
            let escapes: &'static [u8] = match function {
                Function::Upper | Function::Lower => inner.escapes,
                Function::PathUnescape if inner.escapes.is_empty() => b"%",
                Function::PathUnescape | Function::QueryUnescape => b"%+",
                _ => return None,
            };
            Some(Subject { escapes, ..inner })
        }
        _ => None,
    }
}

/// `any(File("f"), {TEXT contains JsonExtract(#, "key") ? … : false})`.
fn search_key(each: &Each, frames: Frames<'_>) -> Option<Need> {
    let (EachKind::Any, Node::Call(Function::File, file), Some(body)) =
        (each.kind, &each.list, &each.body)
    else {
        return None;
    };
    let Node::Condition(three) = body else {
        return None;
    };
    let [
        Node::Binary(Binary::Contains, two),
        _,
        Node::Const(Data::Bool(false)),
    ] = &**three
    else {
        return None;
    };
    let [of, Node::Call(Function::JsonExtract, args)] = &**two else {
        return None;
    };
    let ([Node::Const(Data::Text(file))], [Node::Local(0), Node::Const(Data::Text(key))]) =
        (&**file, &**args)
    else {
        return None;
    };
    // The closure has a frame of its own.
    let frame = Frame {
        subject: None,
        parent: frames,
    };
    let subject = subject(of, Some(&frame))?;
    let need = Need::SearchKey {
        slot: subject.slot,
        file: file.clone(),
        key: key.clone(),
    };
    Some(unless_escaped(subject, need))
}

fn words(of: &Node, frames: Frames<'_>, found: &mut dyn Iterator<Item = Box<[u8]>>) -> Need {
    let Some(subject) = subject(of, frames) else {
        return Need::Always;
    };
    let mut any = Vec::new();
    for word in found {
        if word.is_empty() || !word.is_ascii() {
            return Need::Always;
        }
        any.push(Need::Contains(subject.slot, word));
    }
    unless_escaped(subject, Need::Any(any))
}

/// A text with escapes may become anything.
fn unless_escaped(subject: Subject, need: Need) -> Need {
    if subject.escapes.is_empty() {
        return need;
    }
    let escapes = subject.escapes.iter();
    let mut any: Vec<Need> = escapes
        .map(|byte| Need::Contains(subject.slot, [*byte].into()))
        .collect();
    any.push(need);
    Need::Any(any)
}
