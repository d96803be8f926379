//! Names and types: a syntax tree becomes compiled nodes, or a sentence for the author.

mod calls;
mod names;
mod types;

use crate::ast::{Ast, Binary, Kind};
use crate::call;
use crate::env::DataSearch;
use crate::error::{CompileError, Span};
use crate::fold;
use crate::node::Node;
use crate::parser::{PREDICATE_BUILTINS, cut};
use crate::schema::{Schema, SlotId, Type};
use crate::value::Data;

/// A node, what it gives, and where it stands.
pub(crate) struct Typed {
    pub(crate) node: Node,
    pub(crate) ty: Type,
    span: Span,
}

type Checked = Result<Typed, CompileError>;

/// What surrounds an expression from inside out.
enum Scope {
    Let { name: String, ty: Type },
    Closure { item: Type, reduces: bool },
}

/// Checks one expression against a schema.
pub(crate) struct Checker<'s> {
    schema: &'s mut dyn Schema,
    scopes: Vec<Scope>,
    slots: Vec<SlotId>,
    searches: Vec<DataSearch>,
}

/// What came out of the check.
pub(crate) struct Outcome {
    pub(crate) root: Typed,
    pub(crate) slots: Vec<SlotId>,
    pub(crate) searches: Vec<DataSearch>,
}

/// Checks `tree`, which is to give `want`.
pub(crate) fn check(
    tree: &Ast,
    schema: &mut dyn Schema,
    want: Type,
) -> Result<Outcome, CompileError> {
    let mut checker = Checker {
        schema,
        scopes: Vec::new(),
        slots: Vec::new(),
        searches: Vec::new(),
    };
    let root = checker.lower(tree)?;
    if !types::fits(root.ty, want) {
        return Err(CompileError::new(
            tree.span,
            format!(
                "This expression gives {}, but {} is wanted here.",
                types::article(root.ty),
                types::article(want)
            ),
        ));
    }
    Ok(Outcome {
        root,
        slots: checker.slots,
        searches: checker.searches,
    })
}

impl Checker<'_> {
    fn lower(&mut self, tree: &Ast) -> Checked {
        let (node, ty) = match &tree.kind {
            Kind::Nil => (Node::Const(Data::Nil), Type::Nil),
            Kind::Bool(value) => (Node::Const(Data::Bool(*value)), Type::Bool),
            Kind::Int(value) => (Node::Const(Data::Int(*value)), Type::Int),
            Kind::Float(value) => (Node::Const(Data::Float(*value)), Type::Float),
            Kind::Text(text) => (Node::Const(Data::Text(text.clone())), Type::Text),
            Kind::Name(name) => self.name(name, tree.span)?,
            Kind::Pointer(name) => self.pointer(name, tree.span)?,
            Kind::Not(of) => {
                let of = self.lower_as(of, Type::Bool)?;
                (fold::fold(Node::Not(Box::new(of.node))), Type::Bool)
            }
            Kind::Negate(of) => {
                let of = self.lower(of)?;
                let ty = types::negated(of.ty).ok_or_else(|| types::refused("-", &of))?;
                (fold::fold(Node::Negate(Box::new(of.node))), ty)
            }
            Kind::And(parts) => (fold::and(self.truths(parts)?), Type::Bool),
            Kind::Or(parts) => (fold::or(self.truths(parts)?), Type::Bool),
            Kind::Binary(operator, left, right) => {
                self.binary(*operator, left, right, tree.span)?
            }
            Kind::Condition(three) => self.condition(three)?,
            Kind::Member { of, name, optional } => self.member(tree, of, name, *optional)?,
            Kind::Index { of, at, optional } => self.index(tree, of, at, *optional)?,
            Kind::Slice { of, from, to } => self.slice(of, from.as_deref(), to.as_deref())?,
            Kind::Chain(of) => {
                let of = self.lower(of)?;
                (Node::Chain(Box::new(of.node)), Type::Any)
            }
            Kind::Call { name, args } => self.call(name, args, tree.span)?,
            Kind::Method {
                of,
                name,
                args,
                optional,
            } => self.method(of, name, args, *optional, tree.span)?,
            Kind::Closure(_) => {
                return Err(CompileError::new(
                    tree.span,
                    "A closure can only be the second argument of a function such as 'any'.",
                ));
            }
            Kind::List(parts) => self.list(parts)?,
            Kind::Map(pairs) => self.map(pairs)?,
            Kind::Let { name, value, body } => self.binding(name, value, body, tree.span)?,
            Kind::Sequence(parts) => self.sequence(parts)?,
        };
        Ok(Typed {
            node,
            ty,
            span: tree.span,
        })
    }

    fn lower_as(&mut self, tree: &Ast, want: Type) -> Checked {
        let typed = self.lower(tree)?;
        if types::fits(typed.ty, want) {
            return Ok(typed);
        }
        Err(CompileError::new(
            tree.span,
            format!(
                "This gives {}, but {} is needed here.",
                types::article(typed.ty),
                types::article(want)
            ),
        ))
    }

    fn truths(&mut self, parts: &[Ast]) -> Result<Vec<Node>, CompileError> {
        let truth = |part| Ok(self.lower_as(part, Type::Bool)?.node);
        parts.iter().map(truth).collect()
    }

    fn binary(
        &mut self,
        operator: Binary,
        left: &Ast,
        right: &Ast,
        span: Span,
    ) -> Result<(Node, Type), CompileError> {
        let (left, right) = (self.lower(left)?, self.lower(right)?);
        let ty = types::binary(operator, left.ty, right.ty).ok_or_else(|| {
            CompileError::new(
                span,
                format!(
                    "'{}' cannot stand between {} and {}. Convert one side, for example with int() or string().",
                    operator.sign(),
                    types::article(left.ty),
                    types::article(right.ty)
                ),
            )
        })?;
        let node = fold::binary(operator, (left.node, left.ty), (right.node, right.ty));
        let node = node.map_err(|error| {
            CompileError::new(
                right.span,
                format!("This is no regular expression: {}.", error.reason),
            )
        })?;
        Ok((self.searched(node), ty))
    }

    /// Registers a search that a builder made.
    fn searched(&mut self, mut node: Node) -> Node {
        let inner = match &mut node {
            Node::Not(inner) => inner,
            other => other,
        };
        if let Node::Search(_, search) = inner
            && search.id.is_none()
        {
            search.id = self.schema.search(search);
            self.searches.push(search.clone());
        }
        node
    }

    fn condition(&mut self, three: &[Ast; 3]) -> Result<(Node, Type), CompileError> {
        let [condition, then, other] = three;
        let condition = self.lower_as(condition, Type::Bool)?;
        let (then, other) = (self.lower(then)?, self.lower(other)?);
        let ty = types::joined(then.ty, other.ty);
        let node = match condition.node {
            Node::Const(Data::Bool(true)) => then.node,
            Node::Const(Data::Bool(false)) => other.node,
            condition => Node::Condition(Box::new([condition, then.node, other.node])),
        };
        Ok((node, ty))
    }

    fn index(
        &mut self,
        tree: &Ast,
        of: &Ast,
        at: &Ast,
        optional: bool,
    ) -> Result<(Node, Type), CompileError> {
        if !optional && let Some(found) = self.path(tree)? {
            return Ok(found);
        }
        let (of, at) = (self.lower(of)?, self.lower(at)?);
        let ty = types::indexed(of.ty, at.ty).ok_or_else(|| {
            CompileError::new(
                at.span,
                format!(
                    "{} cannot be indexed with {}.",
                    types::capital(of.ty),
                    types::article(at.ty)
                ),
            )
        })?;
        let node = match (of.node, at.node) {
            (of, Node::Const(Data::Text(name))) => Node::Member {
                of: Box::new(of),
                name,
                optional,
            },
            (of, at) => Node::Index {
                of: Box::new(of),
                at: Box::new(at),
                optional,
            },
        };
        Ok((fold::fold(node), ty))
    }

    fn slice(
        &mut self,
        of: &Ast,
        from: Option<&Ast>,
        to: Option<&Ast>,
    ) -> Result<(Node, Type), CompileError> {
        let of = self.lower(of)?;
        let ty = match of.ty {
            Type::Text | Type::List | Type::Texts | Type::Any => of.ty,
            Type::Object => Type::List,
            _ => return Err(types::refused("[:]", &of)),
        };
        let mut bound = |bound: Option<&Ast>| {
            bound
                .map(|bound| Ok(Box::new(self.lower_as(bound, Type::Int)?.node)))
                .transpose()
        };
        let (from, to) = (bound(from)?, bound(to)?);
        let of = Box::new(of.node);
        Ok((fold::fold(Node::Slice { of, from, to }), ty))
    }

    fn list(&mut self, parts: &[Ast]) -> Result<(Node, Type), CompileError> {
        let mut nodes = Vec::with_capacity(parts.len());
        let mut ty = if parts.is_empty() {
            Type::List
        } else {
            Type::Texts
        };
        for part in parts {
            let part = self.lower(part)?;
            if part.ty != Type::Text {
                ty = Type::List;
            }
            nodes.push(part.node);
        }
        Ok((fold::fold(Node::List(nodes.into())), ty))
    }

    fn map(&mut self, pairs: &[(Ast, Ast)]) -> Result<(Node, Type), CompileError> {
        let mut nodes = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            let key = self.lower_as(key, Type::Text)?;
            nodes.push((key.node, self.lower(value)?.node));
        }
        Ok((fold::fold(Node::Map(nodes.into())), Type::Map))
    }

    fn binding(
        &mut self,
        name: &str,
        value: &Ast,
        body: &Ast,
        span: Span,
    ) -> Result<(Node, Type), CompileError> {
        if call::find(name).is_some() || PREDICATE_BUILTINS.contains(&name) {
            return Err(CompileError::new(
                span,
                format!(
                    "'{}' is the name of a function. Choose another name for this variable.",
                    cut(name)
                ),
            ));
        }
        let value = self.lower(value)?;
        self.scopes.push(Scope::Let {
            name: name.to_owned(),
            ty: value.ty,
        });
        let body = self.lower(body)?;
        self.scopes.pop();
        Ok((Node::Let(Box::new([value.node, body.node])), body.ty))
    }

    fn sequence(&mut self, parts: &[Ast]) -> Result<(Node, Type), CompileError> {
        let mut ty = Type::Nil;
        let mut nodes = Vec::with_capacity(parts.len());
        for part in parts {
            let part = self.lower(part)?;
            ty = part.ty;
            nodes.push(part.node);
        }
        Ok((Node::Sequence(nodes.into()), ty))
    }
}
