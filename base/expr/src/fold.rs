//! Builders of compiled nodes: constants fold, frequent shapes get nodes of their own.

use aho_corasick::AhoCorasick;
use memchr::memmem::Finder;

use crate::ast::Binary;
use crate::call::Function;
use crate::env::{Case, DataSearch, SearchTest};
use crate::eval;
use crate::functions::net::Network;
use crate::go_regex::{self, RegexError};
use crate::node::{AnyNeedle, Each, EachKind, Node, Test, TextSet, TextTest};
use crate::schema::Type;
use crate::value::Data;

/// From this many `contains` of one text on, an automaton is built.
const NEEDLES: usize = 4;

/// The node itself, or its value if it has no inputs and evaluates without error.
pub(crate) fn fold(node: Node) -> Node {
    let foldable = |node: &Node| match node {
        Node::Call(function, _) => function.foldable(),
        Node::Slot(_)
        | Node::Text(_)
        | Node::TextIs(..)
        | Node::Local(_)
        | Node::LocalIndex(_)
        | Node::LocalAccumulator(_)
        | Node::Search(..)
        | Node::Method { .. }
        | Node::Each(_)
        | Node::Let(_)
        | Node::Change(..) => false,
        _ => true,
    };
    if matches!(node, Node::Const(_)) {
        return node;
    }
    let mut constant = foldable(&node);
    node.children(&mut |child| constant = constant && matches!(child, Node::Const(_)));
    if !constant {
        return node;
    }
    eval::constant(&node).map_or(node, Node::Const)
}

fn const_text(node: &Node) -> Option<&[u8]> {
    match node {
        Node::Const(Data::Text(text)) => Some(text),
        _ => None,
    }
}

/// The text below `Upper(…)` or `Lower(…)`, and which of them it was.
fn subject(node: Node) -> (Node, Case) {
    let case = match &node {
        Node::Call(Function::Upper, _) => Case::Upper,
        Node::Call(Function::Lower, _) => Case::Lower,
        _ => return (node, Case::Exact),
    };
    match node {
        Node::Call(_, args) => match Vec::from(args).pop() {
            Some(inner) => (inner, case),
            None => (Node::Const(Data::Nil), Case::Exact),
        },
        other => (other, Case::Exact),
    }
}

/// An operator with its operands and their static types.
pub(crate) fn binary(
    operator: Binary,
    left: (Node, Type),
    right: (Node, Type),
) -> Result<Node, RegexError> {
    let ((mut left, left_ty), (mut right, right_ty)) = (left, right);
    let both_text = left_ty == Type::Text && right_ty == Type::Text;
    if operator != Binary::In && (left.changes() || right.changes()) {
        // The evaluation of changes knows the plain shapes only.
        return Ok(Node::Binary(operator, Box::new([left, right])));
    }
    match operator {
        Binary::Equal | Binary::NotEqual if both_text => {
            if const_text(&left).is_some() && const_text(&right).is_none() {
                std::mem::swap(&mut left, &mut right);
            }
            if let Some(text) = const_text(&right).map(Box::from) {
                let test = text_test(left, Test::Equal(text));
                return Ok(fold(negate_if(operator == Binary::NotEqual, test)));
            }
        }
        Binary::Contains | Binary::StartsWith | Binary::EndsWith if both_text => {
            if let Some(text) = const_text(&right) {
                let test = match operator {
                    Binary::Contains => Test::Contains(Box::new(Finder::new(text).into_owned())),
                    Binary::StartsWith => Test::StartsWith(text.into()),
                    _ => Test::EndsWith(text.into()),
                };
                return Ok(fold(text_test(left, test)));
            }
        }
        Binary::Add if both_text => {
            let parts = flatten(vec![left, right], |node| match node {
                Node::Concat(inner) => Ok(inner),
                other => Err(other),
            });
            return Ok(fold(Node::Concat(parts.into())));
        }
        Binary::Matches => {
            if let Some(pattern) = const_text(&right) {
                let regex = go_regex::compile(pattern)?;
                return Ok(fold(Node::Matches(Box::new(left), regex)));
            }
        }
        Binary::In => return Ok(fold(membership((left, left_ty), right))),
        _ => {}
    }
    Ok(fold(Node::Binary(operator, Box::new([left, right]))))
}

pub(crate) fn negate_if(negated: bool, node: Node) -> Node {
    if negated {
        Node::Not(Box::new(node))
    } else {
        node
    }
}

fn text_test(of: Node, test: Test) -> Node {
    let (of, case) = subject(of);
    match (of, test) {
        (Node::Text(slot), Test::Equal(text)) if case == Case::Exact => Node::TextIs(slot, text),
        (of, test) => Node::TextTest(Box::new(TextTest { of, case, test })),
    }
}

fn membership((left, left_ty): (Node, Type), right: Node) -> Node {
    match right {
        Node::Const(Data::List(items)) => {
            let (mut texts, mut others) = (Vec::new(), Vec::new());
            for item in items {
                match item {
                    Data::Text(text) => texts.push(text),
                    other => others.push(other),
                }
            }
            let set = TextSet::new(texts);
            if left_ty == Type::Text {
                Node::TextIn(Box::new(left), set)
            } else {
                Node::InConst(Box::new(left), set, others.into())
            }
        }
        Node::Call(Function::File, args) if left_ty == Type::Text => {
            match args.first().and_then(const_text) {
                Some(file) => {
                    let (file, (of, text_case)) = (Box::from(file), subject(left));
                    Node::Search(Box::new(of), search(file, SearchTest::Equal, text_case))
                }
                None => Node::Binary(
                    Binary::In,
                    Box::new([left, Node::Call(Function::File, args)]),
                ),
            }
        }
        right => Node::Binary(Binary::In, Box::new([left, right])),
    }
}

fn search(file: Box<[u8]>, test: SearchTest, text_case: Case) -> DataSearch {
    DataSearch {
        file,
        test,
        text_case,
        line_case: Case::Exact,
        id: None,
    }
}

/// `RegexpInFile(TEXT, "file")` with a constant file name is a search.
pub(crate) fn regexp_in_file(args: Vec<Node>) -> Node {
    let file = args.get(1).and_then(const_text).map(Box::from);
    let Some(file) = file else {
        return Node::Call(Function::RegexpInFile, args.into());
    };
    let text = args.into_iter().next().unwrap_or(Node::Const(Data::Nil));
    let (of, text_case) = subject(text);
    Node::Search(Box::new(of), search(file, SearchTest::Regexp, text_case))
}

/// `IpInRange(SLOT, "const")` with the range read.
pub(crate) fn in_range(args: Vec<Node>) -> Node {
    if let [Node::Text(_), range] = &*args
        && let Some(range) = const_text(range)
    {
        let networks = Network::new(range).into_iter().collect();
        let text = args.into_iter().next().unwrap_or(Node::Const(Data::Nil));
        return Node::InRange(Box::new(text), networks);
    }
    fold(Node::Call(Function::IpInRange, args.into()))
}

/// `any(File("f"), { TEXT contains # })` and its relatives as one search, or the loop.
pub(crate) fn each(each: Each) -> Node {
    recognise(&each).unwrap_or_else(|| Node::Each(Box::new(each)))
}

fn recognise(each: &Each) -> Option<Node> {
    let Node::Call(Function::File, args) = &each.list else {
        return None;
    };
    let file = const_text(args.first()?)?;
    let negated = match each.kind {
        EachKind::Any => false,
        EachKind::None => true,
        _ => return None,
    };
    let mut body = each.body.as_ref()?;
    // Lines of data files are never empty, so `len(#) > 0 && …` says nothing.
    if let Node::And(parts) = body
        && let [Node::Binary(Binary::Greater, sides), rest] = &**parts
        && let [Node::Call(Function::Len, of), Node::Const(Data::Int(0))] = &**sides
        && matches!(of.first(), Some(Node::Local(0)))
    {
        body = rest;
    }
    let (test, text, line) = match body {
        Node::Binary(operator, sides) => {
            let test = match operator {
                Binary::Contains => SearchTest::Contains,
                Binary::StartsWith => SearchTest::StartsWith,
                Binary::EndsWith => SearchTest::EndsWith,
                Binary::Equal => SearchTest::Equal,
                Binary::Matches => SearchTest::Matches,
                _ => return None,
            };
            (test, &sides[0], &sides[1])
        }
        Node::Call(Function::IpInRange, args) => (SearchTest::InRange, args.first()?, args.get(1)?),
        _ => return None,
    };
    let (line, line_case) = subject(line.clone());
    if !matches!(line, Node::Local(0)) || text.uses_locals() || text.changes() {
        return None;
    }
    let (of, text_case) = subject(text.clone());
    let mut found = search(file.into(), test, text_case);
    found.line_case = line_case;
    Some(negate_if(negated, Node::Search(Box::new(of), found)))
}

/// A disjunction: flat, and with rows of `contains` or `==` about one text joined.
pub(crate) fn or(parts: Vec<Node>) -> Node {
    let mut joined = Vec::with_capacity(parts.len());
    let mut parts = flatten(parts, |node| match node {
        Node::Or(inner) => Ok(inner),
        other => Err(other),
    })
    .into_iter()
    .peekable();
    while let Some(part) = parts.next() {
        let mut row = vec![part];
        while let (Some(first), Some(next)) = (row.first(), parts.peek())
            && same_subject(first, next)
        {
            row.extend(parts.next());
        }
        join(row, &mut joined);
    }
    single_or(joined, Node::Or)
}

/// A conjunction, flat.
pub(crate) fn and(parts: Vec<Node>) -> Node {
    let parts = flatten(parts, |node| match node {
        Node::And(inner) => Ok(inner),
        other => Err(other),
    });
    single_or(parts, Node::And)
}

fn flatten(parts: Vec<Node>, open: impl Fn(Node) -> Result<Box<[Node]>, Node>) -> Vec<Node> {
    let mut flat = Vec::with_capacity(parts.len());
    for part in parts {
        match open(part) {
            Ok(inner) => flat.extend(inner),
            Err(other) => flat.push(other),
        }
    }
    flat
}

fn single_or(mut parts: Vec<Node>, many: impl Fn(Box<[Node]>) -> Node) -> Node {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            parts.extend(last);
            many(parts.into())
        }
    }
}

/// Whether both are tests of the same kind about the same slot or local, so that they
/// can be joined without changing what is evaluated.
fn same_subject(left: &Node, right: &Node) -> bool {
    match (left, right) {
        (Node::TextIs(left, _), Node::TextIs(right, _)) => left == right,
        (Node::InRange(left, _), Node::InRange(right, _)) => match (&**left, &**right) {
            (Node::Text(left), Node::Text(right)) => left == right,
            _ => false,
        },
        (Node::TextTest(left), Node::TextTest(right)) => {
            let same = match (&left.of, &right.of) {
                (Node::Text(left), Node::Text(right)) => left == right,
                (Node::Local(left), Node::Local(right)) => left == right,
                _ => false,
            };
            same && left.case == right.case
                && matches!(left.test, Test::Contains(_))
                && matches!(right.test, Test::Contains(_))
        }
        _ => false,
    }
}

fn needle(node: &Node) -> Option<Box<[u8]>> {
    match node {
        Node::TextTest(test) => match &test.test {
            Test::Contains(finder) => Some(finder.needle().into()),
            _ => None,
        },
        _ => None,
    }
}

/// Adds a row of tests with one subject to `out`, as one node where that pays.
fn join(row: Vec<Node>, out: &mut Vec<Node>) {
    match row.first() {
        Some(Node::TextIs(slot, _)) if row.len() > 1 => {
            let slot = *slot;
            let texts = row.into_iter().filter_map(|node| match node {
                Node::TextIs(_, text) => Some(text),
                _ => None,
            });
            out.push(Node::TextIn(
                Box::new(Node::Text(slot)),
                TextSet::new(texts.collect()),
            ));
        }
        Some(Node::InRange(of, _)) if row.len() > 1 => {
            let of = of.clone();
            let networks = row.into_iter().filter_map(|node| match node {
                Node::InRange(_, networks) => Some(networks.into_vec()),
                _ => None,
            });
            out.push(Node::InRange(of, networks.flatten().collect()));
        }
        Some(Node::TextTest(first)) if row.len() >= NEEDLES => match automaton(first.case, &row) {
            Some(automaton) => out.push(Node::AnyNeedle(Box::new(AnyNeedle {
                of: first.of.clone(),
                case: first.case,
                automaton,
                needles: row.iter().filter_map(needle).collect(),
            }))),
            None => out.extend(row),
        },
        _ => out.extend(row),
    }
}

/// An automaton over the needles of a row; under `Upper` and `Lower` it ignores the case
/// of ASCII letters, and needles that can never occur are left out.
fn automaton(case: Case, row: &[Node]) -> Option<AhoCorasick> {
    let needles: Vec<&[u8]> = row
        .iter()
        .filter_map(|node| match node {
            Node::TextTest(test) => match &test.test {
                Test::Contains(finder) => Some(finder.needle()),
                _ => None,
            },
            _ => None,
        })
        .filter(|needle| match case {
            Case::Exact => true,
            Case::Upper => !needle.iter().any(u8::is_ascii_lowercase),
            Case::Lower => !needle.iter().any(u8::is_ascii_uppercase),
        })
        .collect();
    AhoCorasick::builder()
        .ascii_case_insensitive(case != Case::Exact)
        .build(needles)
        .ok()
}
