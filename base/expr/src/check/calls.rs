//! Calls: functions, closures over lists, methods.

use crate::ast::{Ast, Kind};
use crate::call::{self, Function, Signature};
use crate::error::{CompileError, Span};
use crate::fold;
use crate::node::{Change, Each, EachKind, Node};
use crate::parser::cut;
use crate::schema::{Method, Type};
use crate::value::Data;

use super::{Checked, Checker, Scope, names, types};

impl Checker<'_> {
    pub(super) fn call(
        &mut self,
        name: &str,
        args: &[Ast],
        span: Span,
    ) -> Result<(Node, Type), CompileError> {
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
        if let (Function::LookupHost, [Node::Const(Data::Text(name))]) =
            (signature.function, nodes.as_slice())
            && let Ok(name) = core::str::from_utf8(name)
        {
            self.schema.host(name);
        }
        let node = match signature.function {
            Function::UnmarshalJson | Function::ParseKv | Function::ParseKvLax => {
                unmarshal(signature.function, nodes, span)?
            }
            Function::SetInStash => Node::Change(Change::SetInStash, nodes.into()),
            Function::RegexpInFile => fold::regexp_in_file(nodes),
            Function::IpInRange => fold::in_range(nodes),
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

    pub(super) fn method(
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
