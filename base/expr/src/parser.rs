//! Tokens into a syntax tree: a Pratt parser with the precedences of expr-lang.
//!
//! Assumes a bounded token list; refuses nesting above [`MAX_DEPTH`] (left-growing
//! chains count too, since the tree is walked recursively later on) and more than
//! [`MAX_NODES`] nodes.

use crate::ast::{Ast, Binary, Kind};
use crate::error::{CompileError, Span};
use crate::lexer::{self, Spanned, Token};

mod operand;

/// The longest source in bytes; the hub's longest has 41,288.
pub const MAX_SOURCE: usize = 128 * 1024;
/// The deepest nesting of syntax nodes.
pub const MAX_DEPTH: usize = 100;
/// The tallest syntax tree; a row of `+` grows one level each.
pub const MAX_HEIGHT: usize = 200;
/// The most syntax nodes of one expression.
pub const MAX_NODES: usize = 50_000;

/// The builtins whose argument at this place is a predicate.
pub(crate) const PREDICATE_BUILTINS: [&str; 15] = [
    "all",
    "none",
    "any",
    "one",
    "filter",
    "map",
    "find",
    "findIndex",
    "findLast",
    "findLastIndex",
    "count",
    "sum",
    "groupBy",
    "sortBy",
    "reduce",
];

const COALESCE: u16 = 500;

fn binary(sign: &str) -> Option<(u16, Operator)> {
    use Operator::{And, Or, Pipe, Two};
    Some(match sign {
        "|" => (0, Pipe),
        "or" | "||" => (10, Or),
        "and" | "&&" => (15, And),
        "==" => (20, Two(Binary::Equal)),
        "!=" => (20, Two(Binary::NotEqual)),
        "<" => (20, Two(Binary::Less)),
        ">" => (20, Two(Binary::Greater)),
        "<=" => (20, Two(Binary::LessEqual)),
        ">=" => (20, Two(Binary::GreaterEqual)),
        "in" => (20, Two(Binary::In)),
        "matches" => (20, Two(Binary::Matches)),
        "contains" => (20, Two(Binary::Contains)),
        "startsWith" => (20, Two(Binary::StartsWith)),
        "endsWith" => (20, Two(Binary::EndsWith)),
        ".." => (25, Two(Binary::Range)),
        "+" => (30, Two(Binary::Add)),
        "-" => (30, Two(Binary::Subtract)),
        "*" => (60, Two(Binary::Multiply)),
        "/" => (60, Two(Binary::Divide)),
        "%" => (60, Two(Binary::Modulo)),
        "**" | "^" => (100, Two(Binary::Power)),
        "??" => (COALESCE, Two(Binary::Coalesce)),
        _ => return None,
    })
}

#[derive(Clone, Copy, PartialEq)]
enum Operator {
    Pipe,
    And,
    Or,
    Two(Binary),
}

impl Operator {
    fn negatable(self) -> bool {
        matches!(
            self,
            Self::Two(
                Binary::In
                    | Binary::Matches
                    | Binary::Contains
                    | Binary::StartsWith
                    | Binary::EndsWith
            )
        )
    }

    fn compares(self) -> bool {
        matches!(
            self,
            Self::Two(Binary::Less | Binary::Greater | Binary::LessEqual | Binary::GreaterEqual)
        )
    }
}

/// Parses a whole source.
pub(crate) fn parse(source: &str) -> Result<Ast, CompileError> {
    if source.len() > MAX_SOURCE {
        return Err(CompileError::new(
            Span::default(),
            format!(
                "This expression is longer than {MAX_SOURCE} bytes. Split the rule, or move its list into a data file."
            ),
        ));
    }
    let tokens = lexer::tokens(source)?;
    let mut parser = Parser {
        tokens,
        at: 0,
        depth: 0,
        closures: 0,
    };
    let tree = parser.sequence()?;
    match parser.peek() {
        Token::End => Ok(tree),
        _ => Err(parser.unexpected("an operator or the end of the expression")),
    }
}

struct Parser<'s> {
    tokens: Vec<Spanned<'s>>,
    at: usize,
    depth: usize,
    closures: usize,
}

type Parsed = Result<Ast, CompileError>;

impl<'s> Parser<'s> {
    fn peek(&self) -> &Token<'s> {
        self.peek_at(0)
    }

    fn peek_at(&self, ahead: usize) -> &Token<'s> {
        self.tokens
            .get(self.at + ahead)
            .map_or(&Token::End, |spanned| &spanned.token)
    }

    fn span(&self) -> Span {
        let last = self.tokens.len().saturating_sub(1);
        self.tokens
            .get(self.at.min(last))
            .map_or_else(Span::default, |spanned| spanned.span)
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.peek(), Token::Sign(found) if *found == sign)
    }

    fn accept(&mut self, sign: &str) -> bool {
        let found = self.is(sign);
        if found {
            self.at += 1;
        }
        found
    }

    fn expect(&mut self, sign: &str) -> Result<(), CompileError> {
        if self.accept(sign) {
            return Ok(());
        }
        Err(self.unexpected(&format!("'{sign}'")))
    }

    fn unexpected(&self, wanted: &str) -> CompileError {
        let found = match self.peek() {
            Token::End => "The expression ends too early".to_owned(),
            Token::Sign(sign) => format!("'{sign}' cannot stand here"),
            Token::Name(name) => format!("The name '{}' cannot stand here", cut(name)),
            Token::Text(_) => "A string cannot stand here".to_owned(),
            Token::Int(_) | Token::Float(_) => "A number cannot stand here".to_owned(),
        };
        CompileError::new(self.span(), format!("{found}; expected {wanted}."))
    }

    fn node(&mut self, kind: Kind, span: Span) -> Parsed {
        let tree = Ast::new(kind, span);
        if tree.size > MAX_NODES {
            return Err(CompileError::new(
                span,
                format!(
                    "This expression has more than {MAX_NODES} parts. Split the rule, or move its list into a data file."
                ),
            ));
        }
        if tree.height > MAX_HEIGHT {
            return Err(self.too_deep());
        }
        Ok(tree)
    }

    /// Runs `parse` one level deeper.
    fn deeper(&mut self, parse: impl FnOnce(&mut Self) -> Parsed) -> Parsed {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.too_deep());
        }
        let tree = parse(self)?;
        self.depth -= 1;
        Ok(tree)
    }

    fn too_deep(&self) -> CompileError {
        CompileError::new(
            self.span(),
            format!("This expression is nested deeper than {MAX_DEPTH} levels. Simplify it."),
        )
    }

    fn sequence(&mut self) -> Parsed {
        let start = self.span();
        let mut parts = vec![self.expression(0)?];
        while self.accept(";") {
            if matches!(self.peek(), Token::End) {
                break;
            }
            parts.push(self.expression(0)?);
        }
        if parts.len() > 1 {
            let span = start.to(self.span());
            return self.node(Kind::Sequence(parts), span);
        }
        match parts.pop() {
            Some(only) => Ok(only),
            None => Err(self.unexpected("an expression")),
        }
    }

    fn expression(&mut self, least: u16) -> Parsed {
        self.deeper(|parser| {
            if least == 0 && parser.is("let") {
                return parser.binding();
            }
            if least == 0 && parser.is("if") {
                return parser.if_else();
            }
            let mut left = parser.primary()?;
            left = parser.operators(left, least)?;
            if least == 0 {
                left = parser.ternary(left)?;
            }
            Ok(left)
        })
    }

    /// Everything to the right of `left` that binds at least as strongly as `least`.
    fn operators(&mut self, mut left: Ast, least: u16) -> Parsed {
        let mut coalesced = false;
        loop {
            let negated = self.is("not");
            let Token::Sign(sign) = self.peek_at(usize::from(negated)) else {
                return Ok(left);
            };
            let Some((strength, operator)) = binary(sign) else {
                return Ok(left);
            };
            if strength < least {
                return Ok(left);
            }
            if negated && !operator.negatable() {
                return Err(self.unexpected("an operator"));
            }
            if coalesced && operator != Operator::Two(Binary::Coalesce) {
                return Err(CompileError::new(
                    self.span(),
                    "'??' cannot be mixed with other operators. Put parentheses around one of them.",
                ));
            }
            coalesced = operator == Operator::Two(Binary::Coalesce);
            self.at += 1 + usize::from(negated);
            left = self.operation(left, strength, operator)?;
            if negated {
                let span = left.span;
                left = self.node(Kind::Not(Box::new(left)), span)?;
            }
        }
    }

    fn operation(&mut self, left: Ast, strength: u16, operator: Operator) -> Parsed {
        let start = left.span;
        let kind = match operator {
            Operator::Pipe => {
                let Token::Name(name) = *self.peek() else {
                    return Err(self.unexpected("the name of a function after '|'"));
                };
                self.at += 1;
                let call = self.call(name, start, Some(left))?;
                return self.postfix(call);
            }
            Operator::And => Kind::And(self.chain(left, strength, &["and", "&&"])?),
            Operator::Or => Kind::Or(self.chain(left, strength, &["or", "||"])?),
            Operator::Two(two) if operator.compares() => {
                return self.comparison(left, two, strength);
            }
            Operator::Two(two) => {
                let right = if two == Binary::Power {
                    self.expression(strength)?
                } else {
                    self.expression(strength + 1)?
                };
                Kind::Binary(two, Box::new(left), Box::new(right))
            }
        };
        let span = start.to(self.last_span());
        self.node(kind, span)
    }

    /// The operands of a row of equal logical operators, the first one given.
    fn chain(
        &mut self,
        left: Ast,
        strength: u16,
        signs: &[&str],
    ) -> Result<Vec<Ast>, CompileError> {
        let mut parts = vec![left];
        loop {
            parts.push(self.expression(strength + 1)?);
            if !signs.iter().any(|sign| self.is(sign)) {
                return Ok(parts);
            }
            self.at += 1;
        }
    }

    /// `a < b <= c` means `a < b and b <= c`.
    fn comparison(&mut self, left: Ast, operator: Binary, strength: u16) -> Parsed {
        let start = left.span;
        let mut parts = Vec::new();
        let (mut left, mut operator) = (left, operator);
        loop {
            let right = self.expression(strength + 1)?;
            let next = match self.peek() {
                Token::Sign(sign) => binary(sign).filter(|(_, next)| next.compares()),
                _ => None,
            };
            let span = left.span.to(right.span);
            let again = next.map(|_| right.clone());
            let kind = Kind::Binary(operator, Box::new(left), Box::new(right));
            let part = self.node(kind, span)?;
            let (Some((_, Operator::Two(two))), Some(again)) = (next, again) else {
                if parts.is_empty() {
                    return Ok(part);
                }
                parts.push(part);
                return self.node(Kind::And(parts), start.to(span));
            };
            self.at += 1;
            parts.push(part);
            (left, operator) = (again, two);
        }
    }

    fn last_span(&self) -> Span {
        self.tokens
            .get(self.at.saturating_sub(1))
            .map_or_else(Span::default, |spanned| spanned.span)
    }

    fn binding(&mut self) -> Parsed {
        let start = self.span();
        self.expect("let")?;
        let Token::Name(name) = *self.peek() else {
            return Err(self.unexpected("a name after 'let'"));
        };
        self.at += 1;
        self.expect("=")?;
        let value = Box::new(self.expression(0)?);
        self.expect(";")?;
        let body = Box::new(self.sequence()?);
        let kind = Kind::Let {
            name: name.to_owned(),
            value,
            body,
        };
        let span = start.to(self.last_span());
        self.node(kind, span)
    }

    fn if_else(&mut self) -> Parsed {
        let start = self.span();
        self.expect("if")?;
        let condition = self.expression(0)?;
        self.expect("{")?;
        let then = self.sequence()?;
        self.expect("}")?;
        self.expect("else")?;
        let other = if self.is("if") {
            self.deeper(Self::if_else)?
        } else {
            self.expect("{")?;
            let other = self.sequence()?;
            self.expect("}")?;
            other
        };
        let span = start.to(self.last_span());
        self.node(Kind::Condition(Box::new([condition, then, other])), span)
    }

    fn ternary(&mut self, mut left: Ast) -> Parsed {
        while self.accept("?") {
            let start = left.span;
            let then = if self.accept(":") {
                left.clone()
            } else {
                let then = self.expression(0)?;
                self.expect(":")?;
                then
            };
            let other = self.expression(0)?;
            let span = start.to(other.span);
            left = self.node(Kind::Condition(Box::new([left, then, other])), span)?;
        }
        Ok(left)
    }
}

/// At most 40 characters of a name, for messages.
pub(crate) fn cut(name: &str) -> String {
    name.chars().take(40).collect()
}
