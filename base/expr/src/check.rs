//! Names and types: a syntax tree becomes compiled nodes, or a sentence for the author.

mod names;
mod types;

use crate::ast::{Ast, Binary, Kind};
use crate::call::{self, Function, Signature};
use crate::env::DataSearch;
use crate::error::{CompileError, Span};
use crate::fold;
use crate::node::{Change, Each, EachKind, Node};
use crate::parser::{PREDICATE_BUILTINS, cut};
use crate::schema::{Method, Schema, SlotId, Type};
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

    fn call(&mut self, name: &str, args: &[Ast], span: Span) -> Result<(Node, Type), CompileError> {
        if let Some(kind) = EachKind::by_name(name) {
            return self.each(kind, name, args, span);
        }
        let Some(signature) = call::find(name) else {
            return Err(names::unknown_function(name, span));
        };
        if let Some(fault) = signature.arity_fault(args.len()) {
            return Err(CompileError::new(span, fault));
        }
        let nodes = self.args(&signature, args)?;
        let node = match signature.function {
            Function::UnmarshalJson | Function::ParseKv | Function::ParseKvLax => {
                unmarshal(signature.function, nodes, span)?
            }
            Function::SetInStash => Node::Change(Change::SetInStash, nodes.into()),
            Function::RegexpInFile => fold::regexp_in_file(nodes),
            function => fold::fold(Node::Call(function, nodes.into())),
        };
        let ty = match signature.name {
            "Replace" | "replace" if args.len() < 3 => Type::Any,
            _ => signature.result,
        };
        Ok((self.searched(node), ty))
    }

    fn args(&mut self, signature: &Signature, args: &[Ast]) -> Result<Vec<Node>, CompileError> {
        let mut nodes = Vec::with_capacity(args.len());
        for (index, arg) in args.iter().enumerate() {
            let typed = self.lower(arg)?;
            let (code, _) = signature.arg(index).unwrap_or((b'a', true));
            if !types::takes(code, typed.ty) {
                return Err(CompileError::new(
                    arg.span,
                    format!(
                        "Argument {} of '{}' must be {}, but is {}.",
                        index + 1,
                        signature.name,
                        types::code_name(code),
                        types::article(typed.ty)
                    ),
                ));
            }
            nodes.push(typed.node);
        }
        Ok(nodes)
    }

    fn each(
        &mut self,
        kind: EachKind,
        name: &str,
        args: &[Ast],
        span: Span,
    ) -> Result<(Node, Type), CompileError> {
        let bare = matches!(kind, EachKind::Count | EachKind::Sum);
        let extras = matches!(kind, EachKind::Reduce | EachKind::SortBy);
        let least = if bare { 1 } else { 2 };
        let most = if extras { 3 } else { 2 };
        if !(least..=most).contains(&args.len()) {
            let message =
                format!("'{name}' takes a list and a closure, such as {name}(list, {{ # == 1 }}).");
            return Err(CompileError::new(span, message));
        }
        let mut args = args.iter();
        let (Some(list), body, extra) = (args.next(), args.next(), args.next()) else {
            return Err(CompileError::new(span, "A list is missing here."));
        };
        let list = self.lower(list)?;
        if !types::takes(b'l', list.ty) {
            return Err(types::refused(name, &list));
        }
        let item = if list.ty == Type::Texts {
            Type::Text
        } else {
            Type::Any
        };
        let body = body
            .map(|body| self.closure(kind, item, body))
            .transpose()?;
        let extra = extra.map(|extra| self.lower(extra)).transpose()?;
        let ty = types::each(kind, list.ty, body.as_ref().map(|body| body.ty));
        let body = body.map(|body| body.node);
        let node = fold::each(Each {
            kind,
            list: list.node,
            weight: body.as_ref().map_or(1, Node::weight),
            body,
            extra: extra.map(|extra| extra.node),
        });
        Ok((self.searched(node), ty))
    }

    fn closure(&mut self, kind: EachKind, item: Type, tree: &Ast) -> Checked {
        let body = match &tree.kind {
            Kind::Closure(body) => body,
            _ => tree,
        };
        self.scopes.push(Scope::Closure {
            item,
            reduces: kind == EachKind::Reduce,
        });
        let want = if kind.wants_truth() {
            Type::Bool
        } else {
            Type::Any
        };
        let body = self.lower_as(body, want)?;
        self.scopes.pop();
        Ok(body)
    }

    fn method(
        &mut self,
        of: &Ast,
        name: &str,
        args: &[Ast],
        optional: bool,
        span: Span,
    ) -> Result<(Node, Type), CompileError> {
        if !optional && let Some(method) = self.path_method(of, name) {
            return self.known_method(method, name, args, span);
        }
        if let Kind::Method {
            of: inner,
            name: part,
            args: none,
            ..
        } = &of.kind
            && name == "String"
            && none.is_empty()
            && matches!(part.as_str(), "Weekday" | "Month")
        {
            let inner = self.lower(inner)?;
            let node = Node::Method {
                of: Box::new(inner.node),
                name: format!("{part}Name").into(),
                args: Box::default(),
                optional,
            };
            return Ok((node, Type::Text));
        }
        let of = self.lower(of)?;
        let Some(ty) = types::method(of.ty, name) else {
            let message = format!("{} has no method '{}'.", types::capital(of.ty), cut(name));
            return Err(CompileError::new(span, message));
        };
        let args = args.iter().map(|arg| Ok(self.lower(arg)?.node));
        let args = args.collect::<Result<Box<[Node]>, CompileError>>()?;
        let node = Node::Method {
            of: Box::new(of.node),
            name: name.into(),
            args,
            optional,
        };
        Ok((node, ty))
    }

    fn known_method(
        &mut self,
        method: Method,
        name: &str,
        args: &[Ast],
        span: Span,
    ) -> Result<(Node, Type), CompileError> {
        let wanted = match method {
            Method::Slot(..) => 0,
            Method::Lookup(_) => 1,
            Method::SetMeta | Method::SetParsed => 2,
        };
        if args.len() != wanted {
            let message = format!(
                "'{}' takes {wanted} arguments, but is given {}.",
                cut(name),
                args.len()
            );
            return Err(CompileError::new(span, message));
        }
        let text = |arg| Ok(self.lower_as(arg, Type::Text)?.node);
        let nodes = args
            .iter()
            .map(text)
            .collect::<Result<Vec<Node>, CompileError>>()?;
        Ok(match method {
            Method::Slot(slot, ty) => (self.slot(slot, ty), ty),
            Method::SetMeta => (Node::Change(Change::SetMeta, nodes.into()), Type::Bool),
            Method::SetParsed => (Node::Change(Change::SetParsed, nodes.into()), Type::Bool),
            Method::Lookup(slot) => {
                let of = Box::new(self.slot(slot, Type::TextMap));
                let at = Box::new(nodes.into_iter().next().unwrap_or(Node::Const(Data::Nil)));
                let optional = false;
                (Node::Index { of, at, optional }, Type::Text)
            }
        })
    }
}

fn unmarshal(function: Function, nodes: Vec<Node>, span: Span) -> Result<Node, CompileError> {
    let mut nodes = nodes.into_iter();
    let (Some(text), Some(Node::Slot(target)), Some(key)) =
        (nodes.next(), nodes.next(), nodes.next())
    else {
        return Err(CompileError::new(
            span,
            format!(
                "The second argument of '{}' must be a map of the event, such as evt.Unmarshaled.",
                function.name()
            ),
        ));
    };
    let change = match function {
        Function::ParseKv => Change::ParseKv(target),
        Function::ParseKvLax => Change::ParseKvLax(target),
        _ => Change::UnmarshalJson(target),
    };
    Ok(Node::Change(change, Box::new([text, key])))
}
