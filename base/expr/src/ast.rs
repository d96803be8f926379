//! The tree that the parser makes of the source, before names and types are known.

use crate::error::Span;

/// A syntax node and where it stands.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Ast {
    pub(crate) kind: Kind,
    pub(crate) span: Span,
    /// Levels below and including this node.
    pub(crate) height: usize,
    /// Nodes below and including this node.
    pub(crate) size: usize,
}

impl Ast {
    pub(crate) fn new(kind: Kind, span: Span) -> Self {
        let (mut height, mut size) = (0, 1);
        kind.children(&mut |child| {
            height = height.max(child.height);
            size += child.size;
        });
        Self {
            kind,
            span,
            height: height + 1,
            size,
        }
    }
}

/// Operators with two operands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Binary {
    Equal,
    NotEqual,
    Less,
    Greater,
    LessEqual,
    GreaterEqual,
    In,
    Matches,
    Contains,
    StartsWith,
    EndsWith,
    Range,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
    Coalesce,
}

impl Binary {
    /// As it is written.
    pub(crate) const fn sign(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::Greater => ">",
            Self::LessEqual => "<=",
            Self::GreaterEqual => ">=",
            Self::In => "in",
            Self::Matches => "matches",
            Self::Contains => "contains",
            Self::StartsWith => "startsWith",
            Self::EndsWith => "endsWith",
            Self::Range => "..",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
            Self::Power => "**",
            Self::Coalesce => "??",
        }
    }
}

/// What a syntax node is.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Kind {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Box<[u8]>),
    Name(String),
    /// `#`, `#acc`, `#index`.
    Pointer(String),
    Not(Box<Ast>),
    Negate(Box<Ast>),
    /// `a and b and c`, flattened so that long chains do not nest.
    And(Vec<Ast>),
    /// `a or b or c`, flattened.
    Or(Vec<Ast>),
    Binary(Binary, Box<Ast>, Box<Ast>),
    Condition(Box<[Ast; 3]>),
    /// `of.name`, `of?.name`.
    Member {
        of: Box<Ast>,
        name: String,
        optional: bool,
    },
    /// `of[at]`, `of?.[at]`.
    Index {
        of: Box<Ast>,
        at: Box<Ast>,
        optional: bool,
    },
    Slice {
        of: Box<Ast>,
        from: Option<Box<Ast>>,
        to: Option<Box<Ast>>,
    },
    /// The end of an optional chain: a nil met at a `?.` inside makes all of it nil.
    Chain(Box<Ast>),
    Call {
        name: String,
        args: Vec<Ast>,
    },
    Method {
        of: Box<Ast>,
        name: String,
        args: Vec<Ast>,
        optional: bool,
    },
    /// The predicate of `any`, `map`, …
    Closure(Box<Ast>),
    List(Vec<Ast>),
    Map(Vec<(Ast, Ast)>),
    Let {
        name: String,
        value: Box<Ast>,
        body: Box<Ast>,
    },
    Sequence(Vec<Ast>),
}

impl Kind {
    /// Visits the nodes right below this one.
    pub(crate) fn children<'t>(&'t self, visit: &mut dyn FnMut(&'t Ast)) {
        match self {
            Self::Nil
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Float(_)
            | Self::Text(_)
            | Self::Name(_)
            | Self::Pointer(_) => {}
            Self::Not(one) | Self::Negate(one) | Self::Chain(one) | Self::Closure(one) => {
                visit(one);
            }
            Self::And(all) | Self::Or(all) | Self::List(all) | Self::Sequence(all) => {
                all.iter().for_each(visit);
            }
            Self::Binary(_, left, right) => {
                visit(left);
                visit(right);
            }
            Self::Condition(three) => three.iter().for_each(visit),
            Self::Member { of, .. } => visit(of),
            Self::Index { of, at, .. } => {
                visit(of);
                visit(at);
            }
            Self::Slice { of, from, to } => {
                visit(of);
                from.iter().chain(to).for_each(|bound| visit(bound));
            }
            Self::Call { args, .. } => args.iter().for_each(visit),
            Self::Method { of, args, .. } => {
                visit(of);
                args.iter().for_each(visit);
            }
            Self::Map(pairs) => {
                for (key, value) in pairs {
                    visit(key);
                    visit(value);
                }
            }
            Self::Let { value, body, .. } => {
                visit(value);
                visit(body);
            }
        }
    }
}
