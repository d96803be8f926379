//! Names: slots, locals, and suggestions for names that nobody knows.

use crate::ast::{Ast, Kind};
use crate::call;
use crate::error::{CompileError, Span};
use crate::fold;
use crate::node::Node;
use crate::parser::cut;
use crate::schema::{Method, SlotId, Type};

use super::{Checker, Scope, types};

impl Checker<'_> {
    /// A name on its own: a `let` binding, else a root.
    pub(super) fn name(&mut self, name: &str, span: Span) -> Result<(Node, Type), CompileError> {
        if let Some(found) = self.local(name) {
            return Ok(found);
        }
        match self.schema.path(&[name]) {
            Some(found) => Ok((self.slot(found.slot, found.ty), found.ty)),
            None => Err(self.unknown(&[name], span)),
        }
    }

    fn local(&self, name: &str) -> Option<(Node, Type)> {
        let mut inner = self.scopes.iter().rev().enumerate();
        inner.find_map(|(hops, scope)| match scope {
            Scope::Let { name: known, ty } if known == name => Some((Node::Local(hops), *ty)),
            _ => None,
        })
    }

    pub(super) fn pointer(&self, name: &str, span: Span) -> Result<(Node, Type), CompileError> {
        let mut inner = self.scopes.iter().rev().enumerate();
        let closure = inner.find_map(|(hops, scope)| match scope {
            Scope::Closure { item, reduces } => Some((hops, *item, *reduces)),
            Scope::Let { .. } => None,
        });
        match (closure, name) {
            (Some((hops, item, _)), "") => Ok((Node::Local(hops), item)),
            (Some((hops, ..)), "index") => Ok((Node::LocalIndex(hops), Type::Int)),
            (Some((hops, _, true)), "acc") => Ok((Node::LocalAccumulator(hops), Type::Any)),
            _ => Err(CompileError::new(
                span,
                "'#' stands for a list's element and has a meaning only inside a closure, '#acc' only inside reduce().",
            )),
        }
    }

    /// A node that reads `slot`; remembers that it is read.
    pub(super) fn slot(&mut self, slot: SlotId, ty: Type) -> Node {
        if !self.slots.contains(&slot) {
            self.slots.push(slot);
        }
        if ty == Type::Text {
            Node::Text(slot)
        } else {
            Node::Slot(slot)
        }
    }

    /// The slot that a whole chain of names leads to, `None` if the chain starts at
    /// something computed or goes on behind its slot.
    pub(super) fn path(&mut self, tree: &Ast) -> Result<Option<(Node, Type)>, CompileError> {
        let Some(path) = names_of(tree) else {
            return Ok(None);
        };
        let root = path.first().copied().unwrap_or_default();
        if self.local(root).is_some() {
            return Ok(None);
        }
        match self.schema.path(&path) {
            Some(found) if found.used >= path.len() => {
                Ok(Some((self.slot(found.slot, found.ty), found.ty)))
            }
            Some(_) => Ok(None),
            None => Err(self.unknown(&path, tree.span)),
        }
    }

    pub(super) fn path_method(&mut self, of: &Ast, name: &str) -> Option<Method> {
        let mut path = names_of(of)?;
        if self
            .local(path.first().copied().unwrap_or_default())
            .is_some()
        {
            return None;
        }
        path.push(name);
        self.schema.method(&path)
    }

    pub(super) fn member(
        &mut self,
        tree: &Ast,
        of: &Ast,
        name: &str,
        optional: bool,
    ) -> Result<(Node, Type), CompileError> {
        if !optional && let Some(found) = self.path(tree)? {
            return Ok(found);
        }
        let of = self.lower(of)?;
        let ty = match of.ty {
            Type::Any | Type::Map | Type::Object | Type::Nil => Type::Any,
            Type::TextMap => Type::Text,
            _ => {
                let message = format!("{} has no field '{}'.", types::capital(of.ty), cut(name));
                return Err(CompileError::new(tree.span, message));
            }
        };
        let node = Node::Member {
            of: Box::new(of.node),
            name: name.as_bytes().into(),
            optional,
        };
        Ok((fold::fold(node), ty))
    }

    /// Names the first segment that leads nowhere, and what was perhaps meant.
    fn unknown(&mut self, path: &[&str], span: Span) -> CompileError {
        let strange = (0..path.len()).find(|at| {
            let (parent, rest) = path.split_at(*at);
            let known = self.schema.names(parent);
            let name = rest.first().copied().unwrap_or_default();
            !known.is_empty() && !known.iter().any(|known| known == name)
        });
        let good = strange.unwrap_or_else(|| {
            (1..path.len())
                .rev()
                .find(|len| {
                    path.get(..*len)
                        .is_some_and(|head| self.schema.path(head).is_some())
                })
                .unwrap_or(0)
        });
        let (parent, rest) = path.split_at(good);
        let name = rest.first().copied().unwrap_or_default();
        let mut known = self.schema.names(parent);
        if parent.is_empty() {
            known.extend(self.scopes.iter().filter_map(|scope| match scope {
                Scope::Let { name, .. } => Some(name.clone()),
                Scope::Closure { .. } => None,
            }));
        }
        let help = suggest(name, known.iter().map(String::as_str));
        let place = if parent.is_empty() {
            String::new()
        } else {
            format!(" in '{}'", cut(&parent.join(".")))
        };
        CompileError::new(span, format!("There is no '{}'{place}.{help}", cut(name)))
    }
}

/// `a.b["c"]` as its names, if it is nothing but names.
fn names_of(tree: &Ast) -> Option<Vec<&str>> {
    match &tree.kind {
        Kind::Name(name) => Some(vec![name]),
        Kind::Member {
            of,
            name,
            optional: false,
        } => {
            let mut path = names_of(of)?;
            path.push(name);
            Some(path)
        }
        Kind::Index {
            of,
            at,
            optional: false,
        } => {
            let Kind::Text(key) = &at.kind else {
                return None;
            };
            let mut path = names_of(of)?;
            path.push(std::str::from_utf8(key).ok()?);
            Some(path)
        }
        _ => None,
    }
}

pub(super) fn unknown_function(name: &str, span: Span) -> CompileError {
    let help = suggest(name, call::names());
    CompileError::new(span, format!("There is no function '{}'.{help}", cut(name)))
}

/// ` Did you mean 'x'?`, if some known name is close.
fn suggest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> String {
    let name = cut(name);
    let near = known
        .map(|known| {
            let loosely = distance(&name.to_lowercase(), &known.to_lowercase());
            (loosely, distance(&name, known), known)
        })
        .min_by_key(|(loosely, exactly, _)| (*loosely, *exactly));
    match near {
        Some((distance, _, known)) if distance <= 1 + name.len() / 4 => {
            format!(" Did you mean '{known}'?")
        }
        _ => String::new(),
    }
}

/// Edits (insert, delete, replace) between two short words.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (at, a) in left.bytes().enumerate() {
        let mut diagonal = at;
        let mut last = at + 1;
        for (cell, b) in row.iter_mut().skip(1).zip(right.bytes()) {
            let cost = (diagonal + usize::from(a != b))
                .min(last + 1)
                .min(*cell + 1);
            diagonal = *cell;
            *cell = cost;
            last = cost;
        }
        if let Some(first) = row.first_mut() {
            *first = at + 1;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}
