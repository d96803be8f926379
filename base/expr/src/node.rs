//! The compiled form: a typed tree whose frequent shapes have nodes of their own.

use std::collections::HashSet;

use aho_corasick::AhoCorasick;
use memchr::memmem::Finder;
use regex::bytes::Regex;

use crate::ast::Binary;
use crate::call::Function;
use crate::env::{Case, DataSearch};
use crate::functions::net::Network;
use crate::schema::SlotId;
use crate::value::Data;

/// One step of the evaluation.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    Const(Data),
    /// A slot of any type but text.
    Slot(SlotId),
    /// A slot of type text.
    Text(SlotId),
    /// A `let` binding or closure element, so many frames outwards.
    Local(usize),
    /// The closure's index, so many frames outwards.
    LocalIndex(usize),
    /// The accumulator of `reduce`, so many frames outwards.
    LocalAccumulator(usize),
    Not(Box<Self>),
    Negate(Box<Self>),
    And(Box<[Self]>),
    Or(Box<[Self]>),
    Binary(Binary, Box<[Self; 2]>),
    /// A row of `+` between texts.
    Concat(Box<[Self]>),
    /// `SLOT == "const"`.
    TextIs(SlotId, Box<[u8]>),
    /// `TEXT in ["const", …]`.
    TextIn(Box<Self>, TextSet),
    /// Anything dynamic in a constant list.
    InConst(Box<Self>, TextSet, Box<[Data]>),
    TextTest(Box<TextTest>),
    /// `TEXT contains a or TEXT contains b or …`.
    AnyNeedle(Box<AnyNeedle>),
    Matches(Box<Self>, Regex),
    /// `IpInRange(TEXT, "const") or IpInRange(TEXT, "const") or …`.
    InRange(Box<Self>, Box<[Network]>),
    Condition(Box<[Self; 3]>),
    Member {
        of: Box<Self>,
        name: Box<[u8]>,
        optional: bool,
    },
    Index {
        of: Box<Self>,
        at: Box<Self>,
        optional: bool,
    },
    Slice {
        of: Box<Self>,
        from: Option<Box<Self>>,
        to: Option<Box<Self>>,
    },
    Chain(Box<Self>),
    Call(Function, Box<[Self]>),
    Method {
        of: Box<Self>,
        name: Box<str>,
        args: Box<[Self]>,
        optional: bool,
    },
    Each(Box<Each>),
    Search(Box<Self>, DataSearch),
    List(Box<[Self]>),
    Map(Box<[(Self, Self)]>),
    /// Pushes a frame with the first's value for the second.
    Let(Box<[Self; 2]>),
    Sequence(Box<[Self]>),
    Change(Change, Box<[Self]>),
}

/// What a changing call does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    SetMeta,
    SetParsed,
    SetInStash,
    UnmarshalJson(SlotId),
    ParseKv(SlotId),
    ParseKvLax(SlotId),
}

/// A test of a text against a constant.
#[derive(Clone, Debug)]
pub(crate) struct TextTest {
    pub(crate) of: Node,
    pub(crate) case: Case,
    pub(crate) test: Test,
}

/// How, and against what.
#[derive(Clone, Debug)]
pub(crate) enum Test {
    Equal(Box<[u8]>),
    Contains(Box<Finder<'static>>),
    StartsWith(Box<[u8]>),
    EndsWith(Box<[u8]>),
}

/// Several `contains` of one text at once.
#[derive(Clone, Debug)]
pub(crate) struct AnyNeedle {
    pub(crate) of: Node,
    pub(crate) case: Case,
    pub(crate) automaton: AhoCorasick,
    /// What the automaton looks for.
    pub(crate) needles: Box<[Box<[u8]>]>,
}

/// Constant strings to look a text up in.
#[derive(Clone, Debug)]
pub(crate) enum TextSet {
    Few(Box<[Box<[u8]>]>),
    Many(HashSet<Box<[u8]>>),
}

impl TextSet {
    pub(crate) fn new(mut texts: Vec<Box<[u8]>>) -> Self {
        texts.sort_unstable();
        texts.dedup();
        if texts.len() <= 8 {
            Self::Few(texts.into())
        } else {
            Self::Many(texts.into_iter().collect())
        }
    }

    pub(crate) fn has(&self, text: &[u8]) -> bool {
        match self {
            Self::Few(texts) => texts.iter().any(|known| **known == *text),
            Self::Many(texts) => texts.contains(text),
        }
    }

    pub(crate) fn texts(&self) -> Vec<Box<[u8]>> {
        match self {
            Self::Few(texts) => texts.to_vec(),
            Self::Many(texts) => {
                let mut texts: Vec<_> = texts.iter().cloned().collect();
                texts.sort_unstable();
                texts
            }
        }
    }
}

/// A builtin that runs a closure over a list.
#[derive(Clone, Debug)]
pub(crate) struct Each {
    pub(crate) kind: EachKind,
    pub(crate) list: Node,
    pub(crate) body: Option<Node>,
    /// `reduce`'s start, `sortBy`'s order.
    pub(crate) extra: Option<Node>,
    /// What one round costs.
    pub(crate) weight: u32,
}

/// Which of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum EachKind {
    All,
    None,
    Any,
    One,
    Filter,
    Map,
    Find,
    FindIndex,
    FindLast,
    FindLastIndex,
    Count,
    Sum,
    GroupBy,
    SortBy,
    Reduce,
}

impl EachKind {
    pub(crate) fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "all" => Self::All,
            "none" => Self::None,
            "any" => Self::Any,
            "one" => Self::One,
            "filter" => Self::Filter,
            "map" => Self::Map,
            "find" => Self::Find,
            "findIndex" => Self::FindIndex,
            "findLast" => Self::FindLast,
            "findLastIndex" => Self::FindLastIndex,
            "count" => Self::Count,
            "sum" => Self::Sum,
            "groupBy" => Self::GroupBy,
            "sortBy" => Self::SortBy,
            "reduce" => Self::Reduce,
            _ => return None,
        })
    }

    /// Whether the closure must answer true or false.
    pub(crate) const fn wants_truth(self) -> bool {
        !matches!(
            self,
            Self::Map | Self::Sum | Self::GroupBy | Self::SortBy | Self::Reduce
        )
    }
}

impl Node {
    /// Visits the nodes right below this one.
    pub(crate) fn children<'n>(&'n self, visit: &mut dyn FnMut(&'n Self)) {
        match self {
            Self::Const(_)
            | Self::Slot(_)
            | Self::Text(_)
            | Self::Local(_)
            | Self::LocalIndex(_)
            | Self::LocalAccumulator(_)
            | Self::TextIs(..) => {}
            Self::Not(one)
            | Self::Negate(one)
            | Self::TextIn(one, _)
            | Self::InConst(one, ..)
            | Self::Matches(one, _)
            | Self::InRange(one, _)
            | Self::Chain(one)
            | Self::Search(one, _)
            | Self::Member { of: one, .. } => visit(one),
            Self::TextTest(test) => visit(&test.of),
            Self::AnyNeedle(any) => visit(&any.of),
            Self::And(all)
            | Self::Or(all)
            | Self::List(all)
            | Self::Sequence(all)
            | Self::Concat(all)
            | Self::Call(_, all)
            | Self::Change(_, all) => all.iter().for_each(visit),
            Self::Binary(_, two) | Self::Let(two) => two.iter().for_each(visit),
            Self::Condition(three) => three.iter().for_each(visit),
            Self::Index { of, at, .. } => {
                visit(of);
                visit(at);
            }
            Self::Slice { of, from, to } => {
                visit(of);
                from.iter().chain(to).for_each(|bound| visit(bound));
            }
            Self::Method { of, args, .. } => {
                visit(of);
                args.iter().for_each(visit);
            }
            Self::Each(each) => {
                visit(&each.list);
                each.body.iter().chain(&each.extra).for_each(visit);
            }
            Self::Map(pairs) => {
                for (key, value) in pairs {
                    visit(key);
                    visit(value);
                }
            }
        }
    }

    /// Whether this node or any below fulfils `test`.
    pub(crate) fn any(&self, test: &dyn Fn(&Self) -> bool) -> bool {
        if test(self) {
            return true;
        }
        let mut found = false;
        self.children(&mut |child| found = found || child.any(test));
        found
    }

    /// How many nodes there are.
    pub(crate) fn weight(&self) -> u32 {
        let mut weight: u32 = 1;
        self.children(&mut |child| weight = weight.saturating_add(child.weight()));
        weight
    }

    pub(crate) fn changes(&self) -> bool {
        self.any(&|node| matches!(node, Self::Change(..)))
    }

    pub(crate) fn uses_locals(&self) -> bool {
        self.any(&|node| {
            matches!(
                node,
                Self::Local(_) | Self::LocalIndex(_) | Self::LocalAccumulator(_)
            )
        })
    }
}
