//! Operands: literals, names, calls, lists, maps, and what is appended to them.

use crate::ast::{Ast, Kind};
use crate::error::{CompileError, Span};
use crate::lexer::Token;

use super::{PREDICATE_BUILTINS, Parsed, Parser};

impl Parser<'_> {
    pub(super) fn primary(&mut self) -> Parsed {
        let start = self.span();
        if let Token::Sign(sign @ ("not" | "!" | "-" | "+")) = *self.peek() {
            self.at += 1;
            let operand = self.expression(if matches!(sign, "not" | "!") { 50 } else { 90 })?;
            let span = start.to(operand.span);
            let tree = match sign {
                "-" => self.node(Kind::Negate(Box::new(operand)), span)?,
                "+" => operand,
                _ => self.node(Kind::Not(Box::new(operand)), span)?,
            };
            return self.postfix(tree);
        }
        if self.accept("(") {
            let inner = self.sequence()?;
            self.expect(")")?;
            return self.postfix(inner);
        }
        if self.closures > 0 && (self.is("#") || self.is(".")) {
            let mut name = String::new();
            if self.accept("#")
                && let Token::Name(word @ ("acc" | "index")) = *self.peek()
            {
                // Only what touches the sign belongs to it: `#acc`, not `# acc`.
                if self.span().start == start.end {
                    self.at += 1;
                    word.clone_into(&mut name);
                }
            }
            let pointer = self.node(Kind::Pointer(name), start)?;
            return self.postfix(pointer);
        }
        self.accept("::");
        self.atom()
    }

    fn atom(&mut self) -> Parsed {
        let start = self.span();
        let token = self.peek().clone();
        self.at += 1;
        let kind = match token {
            Token::Name("true") => return self.node(Kind::Bool(true), start),
            Token::Name("false") => return self.node(Kind::Bool(false), start),
            Token::Name("nil") => return self.node(Kind::Nil, start),
            Token::Int(value) => return self.node(Kind::Int(value), start),
            Token::Float(value) => return self.node(Kind::Float(value), start),
            Token::Name(name) if self.is("(") => {
                let call = self.call(name, start, None)?;
                return self.postfix(call);
            }
            Token::Name(name) => Kind::Name(name.to_owned()),
            Token::Text(text) => Kind::Text(text),
            Token::Sign("[") => Kind::List(self.list("]")?),
            Token::Sign("{") => Kind::Map(self.map()?),
            Token::Sign(_) | Token::End => {
                self.at -= 1;
                return Err(self.unexpected("a value"));
            }
        };
        let span = start.to(self.last_span());
        let tree = self.node(kind, span)?;
        self.postfix(tree)
    }

    /// Comma-separated expressions up to `close`; a last comma is allowed.
    fn list(&mut self, close: &str) -> Result<Vec<Ast>, CompileError> {
        let mut parts = Vec::new();
        while !self.accept(close) {
            if !parts.is_empty() {
                self.expect(",")?;
                if self.accept(close) {
                    break;
                }
            }
            parts.push(self.expression(0)?);
        }
        Ok(parts)
    }

    fn map(&mut self) -> Result<Vec<(Ast, Ast)>, CompileError> {
        let mut pairs = Vec::new();
        while !self.accept("}") {
            if !pairs.is_empty() {
                self.expect(",")?;
                if self.accept("}") {
                    break;
                }
            }
            let span = self.span();
            let text = match self.peek() {
                Token::Name(name) => Some(name.as_bytes().into()),
                Token::Text(text) => Some(text.clone()),
                Token::Int(value) => Some(value.to_string().into_bytes().into()),
                _ => None,
            };
            let key = match text {
                Some(text) => {
                    self.at += 1;
                    self.node(Kind::Text(text), span)?
                }
                None if self.is("(") => self.expression(0)?,
                None => return Err(self.unexpected("a key: a name, a string or (an expression)")),
            };
            self.expect(":")?;
            pairs.push((key, self.expression(0)?));
        }
        Ok(pairs)
    }

    /// A call's arguments; `at` stands on the parenthesis.
    pub(super) fn call(&mut self, name: &str, start: Span, first: Option<Ast>) -> Parsed {
        self.expect("(")?;
        let mut args: Vec<Ast> = first.into_iter().collect();
        let predicate = PREDICATE_BUILTINS.contains(&name);
        let given = args.len();
        while !self.accept(")") {
            if args.len() > given {
                self.expect(",")?;
                if self.accept(")") {
                    break;
                }
            }
            let arg = if predicate && args.len() == 1 {
                self.closure()?
            } else {
                self.expression(0)?
            };
            args.push(arg);
        }
        let kind = Kind::Call {
            name: name.to_owned(),
            args,
        };
        let span = start.to(self.last_span());
        self.node(kind, span)
    }

    fn closure(&mut self) -> Parsed {
        let start = self.span();
        self.closures += 1;
        let body = if self.accept("{") {
            let body = self.sequence()?;
            self.expect("}")?;
            body
        } else {
            self.expression(0)?
        };
        self.closures -= 1;
        let span = start.to(self.last_span());
        self.node(Kind::Closure(Box::new(body)), span)
    }

    pub(super) fn postfix(&mut self, mut tree: Ast) -> Parsed {
        // Parentheses around a chain do not end it, as in Go.
        let mut chained = false;
        if let Kind::Chain(inner) = tree.kind {
            (tree, chained) = (*inner, true);
        }
        loop {
            let optional = self.is("?.");
            if self.is(".") || optional {
                self.at += 1;
                if optional && self.accept("[") {
                    tree = self.subscript(tree, true)?;
                } else {
                    tree = self.member(tree, optional)?;
                }
            } else if self.accept("[") {
                if chained {
                    let span = tree.span;
                    tree = self.node(Kind::Chain(Box::new(tree)), span)?;
                    chained = false;
                }
                tree = self.subscript(tree, false)?;
            } else {
                break;
            }
            chained |= optional;
        }
        if chained {
            let span = tree.span;
            tree = self.node(Kind::Chain(Box::new(tree)), span)?;
        }
        Ok(tree)
    }

    fn member(&mut self, of: Ast, optional: bool) -> Parsed {
        let start = of.span;
        let name = match *self.peek() {
            Token::Name(name) => name.to_owned(),
            // Operator words are good names of fields.
            Token::Sign(word) if word.as_bytes().first().is_some_and(u8::is_ascii_alphabetic) => {
                word.to_owned()
            }
            _ => return Err(self.unexpected("a field's name")),
        };
        self.at += 1;
        let of = Box::new(of);
        let kind = if self.accept("(") {
            let args = self.list(")")?;
            Kind::Method {
                of,
                name,
                args,
                optional,
            }
        } else {
            Kind::Member { of, name, optional }
        };
        let span = start.to(self.last_span());
        self.node(kind, span)
    }

    /// `[i]`, `[a:b]`; `at` stands behind the bracket.
    fn subscript(&mut self, of: Ast, optional: bool) -> Parsed {
        let start = of.span;
        let of = Box::new(of);
        let from = if self.is(":") {
            None
        } else {
            Some(Box::new(self.expression(0)?))
        };
        let kind = if self.accept(":") {
            let to = if self.is("]") {
                None
            } else {
                Some(Box::new(self.expression(0)?))
            };
            Kind::Slice { of, from, to }
        } else {
            let Some(at) = from else {
                return Err(self.unexpected("an index"));
            };
            Kind::Index { of, at, optional }
        };
        self.expect("]")?;
        let span = start.to(self.last_span());
        self.node(kind, span)
    }
}
