//! A compiled expression and what is known about it.

use std::borrow::Cow;

use crate::check;
use crate::env::{DataSearch, Env};
use crate::error::{CompileError, EvalError, Span};
use crate::eval::{self, Changer, Run};
use crate::node::Node;
use crate::parser;
use crate::schema::{Schema, SlotId, Type};
use crate::value::{Data, Value};

/// An expression, ready to be evaluated any number of times from any thread.
#[derive(Clone, Debug)]
pub struct Expr {
    root: Node,
    ty: Type,
    changes: bool,
    source: Box<str>,
    slots: Box<[SlotId]>,
    searches: Box<[DataSearch]>,
    guards: Box<[Guard]>,
}

/// A fact that must hold for an expression to be true: the slot has one of these texts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Guard {
    /// The slot, of type text.
    pub slot: SlotId,
    /// The texts, sorted, without duplicates.
    pub any_of: Vec<Box<[u8]>>,
}

/// One side of a condition's outermost `and`.
#[derive(Clone, Debug)]
pub struct Part {
    /// The side as a condition of its own.
    pub expr: Expr,
    /// What must hold for it to be true.
    pub need: crate::Need,
    /// Whether it is true, too, whenever `need` holds.
    pub exact: bool,
    /// For `not X`: what must hold for `X`. Where it does not, the side is true.
    pub denies: Option<crate::Need>,
    /// Whether it neither fails nor changes the event.
    pub harmless: bool,
    /// The slot, when it searches that one text and reads nothing else: its answer
    /// may be remembered by the text.
    pub searches: Option<SlotId>,
    /// The slot, when it reads that one text and nothing else, and is harmless.
    pub reads: Option<SlotId>,
    /// What it is made of, where neither fails nor changes the event, so that the order in
    /// which they are asked does not matter.
    pub inner: Inner,
}

/// What a side of a condition is made of.
#[derive(Clone, Debug)]
pub enum Inner {
    /// Of nothing else.
    One,
    /// It is true when all of these are.
    All(Vec<Part>),
    /// It is true when one of these is.
    Any(Vec<Part>),
}

/// Compiles an expression that is to give `want` ([`Type::Any`]: whatever it gives).
///
/// # Errors
/// [`CompileError`] with the first fault: syntax, unknown names, types that do not fit,
/// regular expressions that are none, bounds on length and nesting.
pub fn compile(source: &str, schema: &mut dyn Schema, want: Type) -> Result<Expr, CompileError> {
    let tree = parser::parse(source)?;
    let outcome = check::check(&tree, schema, want)?;
    let root = outcome.root.node;
    if !eval::supported(&root) {
        return Err(CompileError::new(
            Span {
                start: 0,
                end: source.len(),
            },
            "A function that changes the event stands inside another computation here. Use it as a condition of its own.",
        ));
    }
    let mut guards = Vec::new();
    collect_guards(&root, &mut guards);
    Ok(Expr {
        changes: root.changes(),
        root,
        ty: outcome.root.ty,
        source: source.into(),
        slots: outcome.slots.into(),
        searches: outcome.searches.into(),
        guards: guards.into(),
    })
}

impl Expr {
    /// Evaluates an expression without changes.
    ///
    /// # Errors
    /// [`EvalError`]; always [`EvalError::Effect`] if the expression changes the event.
    pub fn eval<'a>(&'a self, env: &'a dyn Env) -> Result<Value<'a>, EvalError> {
        self.unchanging()?;
        Run::new(env).value(&self.root, None)
    }

    /// Evaluates a condition without changes; a value other than a bool is an error.
    ///
    /// # Errors
    /// As [`Expr::eval`].
    pub fn truth(&self, env: &dyn Env) -> Result<bool, EvalError> {
        self.unchanging()?;
        Run::new(env).truth(&self.root, None)
    }

    /// Evaluates to a string, borrowed where possible; any other value is an error.
    ///
    /// # Errors
    /// As [`Expr::eval`].
    pub fn text<'a>(&'a self, env: &'a dyn Env) -> Result<Cow<'a, [u8]>, EvalError> {
        self.unchanging()?;
        Run::new(env).text(&self.root, None)
    }

    /// As [`Expr::text`], but adds the string to `into`, and so builds nothing for what
    /// is put together of several.
    ///
    /// # Errors
    /// As [`Expr::eval`]; `into` may then hold a part of it.
    pub fn write_text(&self, env: &dyn Env, into: &mut Vec<u8>) -> Result<(), EvalError> {
        self.unchanging()?;
        let run = Run::new(env);
        let parts = match &self.root {
            Node::Concat(parts) => parts,
            root => std::slice::from_ref(root),
        };
        for part in parts {
            let text = run.text(part, None)?;
            run.budget.bytes(text.len())?;
            into.extend_from_slice(&text);
        }
        Ok(())
    }

    /// Evaluates any expression, changing the event where it says so. What an
    /// interrupted evaluation ([`EvalError::Need`]) changed stays changed; running it
    /// again makes the same changes.
    ///
    /// # Errors
    /// As [`Expr::eval`].
    pub fn run<'a>(&'a self, env: &mut dyn Env) -> Result<Value<'a>, EvalError> {
        Changer::new(env).value(&self.root, None)
    }

    /// Evaluates any condition, changing the event where it says so.
    ///
    /// # Errors
    /// As [`Expr::eval`].
    pub fn run_truth(&self, env: &mut dyn Env) -> Result<bool, EvalError> {
        if self.changes {
            Changer::new(env).truth(&self.root, None)
        } else {
            self.truth(env)
        }
    }

    fn unchanging(&self) -> Result<(), EvalError> {
        if self.changes {
            return Err(EvalError::Effect);
        }
        Ok(())
    }

    /// Whether it changes nothing, so that it may be skipped, repeated and reordered.
    #[must_use]
    pub fn is_pure(&self) -> bool {
        !self.changes
    }

    /// Every slot it may read.
    #[must_use]
    pub fn slots(&self) -> &[SlotId] {
        &self.slots
    }

    /// Every search in a data file that it may make.
    #[must_use]
    pub fn searches(&self) -> &[DataSearch] {
        &self.searches
    }

    /// Facts that all hold whenever it is true; without them it is false or an error.
    #[must_use]
    pub fn guards(&self) -> &[Guard] {
        &self.guards
    }

    /// What the surroundings can test cheaply: when it does not hold, the expression is
    /// false, without an error and without a change of the event.
    #[must_use]
    pub fn need(&self) -> crate::Need {
        crate::needs::of(&self.root)
    }

    /// The sides of the outermost `and`, in order: it is true when they are, and the
    /// first that is not true, or fails, decides. One side when it is no `and`, or
    /// changes the event.
    #[must_use]
    pub fn parts(&self) -> Vec<Part> {
        let sides = match &self.root {
            Node::And(sides) if !self.changes => sides,
            root => std::slice::from_ref(root),
        };
        sides.iter().map(|side| self.part(side)).collect()
    }

    /// How many elements a member list of an object, such as `queue.Queue`, has at least
    /// whenever this is true; with fewer it is false or an error.
    #[must_use]
    pub fn least(&self, object: SlotId, member: &[u8]) -> usize {
        crate::needs::least(&self.root, object, member)
    }

    /// The sides of the outermost `and` before the first that may fail or change the event:
    /// where one of them is not true, neither is the whole, and nothing else happens. And
    /// whether these are all sides.
    #[must_use]
    pub fn leading(&self) -> (Vec<Part>, bool) {
        let sides = match &self.root {
            Node::And(sides) => sides,
            root => std::slice::from_ref(root),
        };
        let harmless = sides.iter().take_while(|side| crate::needs::harmless(side));
        let leading: Vec<Part> = harmless.map(|side| self.part(side)).collect();
        let whole = leading.len() == sides.len();
        (leading, whole)
    }

    fn part(&self, side: &Node) -> Part {
        Part {
            exact: crate::needs::exact(side),
            need: crate::needs::of(side),
            denies: match side {
                Node::Not(of) => Some(crate::needs::of(of)),
                _ => None,
            },
            harmless: crate::needs::harmless(side),
            searches: crate::needs::searched(side),
            reads: crate::needs::read_alone(side),
            inner: match side {
                Node::And(sides) if crate::needs::harmless(side) => {
                    Inner::All(sides.iter().map(|side| self.part(side)).collect())
                }
                Node::Or(sides) if crate::needs::harmless(side) => {
                    Inner::Any(sides.iter().map(|side| self.part(side)).collect())
                }
                _ => Inner::One,
            },
            expr: Self {
                root: side.clone(),
                ty: Type::Bool,
                changes: side.changes(),
                source: self.source.clone(),
                slots: self.slots.clone(),
                searches: self.searches.clone(),
                guards: Box::default(),
            },
        }
    }

    /// What it gives, as far as known.
    #[must_use]
    pub fn ty(&self) -> Type {
        self.ty
    }

    /// The source it was compiled from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The slot, if the expression is nothing but that slot.
    #[must_use]
    pub fn as_slot(&self) -> Option<SlotId> {
        match &self.root {
            Node::Slot(slot) | Node::Text(slot) => Some(*slot),
            _ => None,
        }
    }

    /// The value, if the expression is constant.
    #[must_use]
    pub fn as_constant(&self) -> Option<&Data> {
        match &self.root {
            Node::Const(data) => Some(data),
            _ => None,
        }
    }
}

fn collect_guards(node: &Node, guards: &mut Vec<Guard>) {
    match node {
        Node::TextIs(slot, text) => guards.push(Guard {
            slot: *slot,
            any_of: vec![text.clone()],
        }),
        Node::TextIn(of, set) => {
            if let Node::Text(slot) = &**of {
                guards.push(Guard {
                    slot: *slot,
                    any_of: set.texts(),
                });
            }
        }
        Node::And(parts) => parts.iter().for_each(|part| collect_guards(part, guards)),
        Node::Let(two) => collect_guards(&two[1], guards),
        Node::Sequence(parts) => parts
            .iter()
            .next_back()
            .into_iter()
            .for_each(|part| collect_guards(part, guards)),
        Node::Condition(three) if matches!(three[2], Node::Const(Data::Bool(false))) => {
            collect_guards(&three[0], guards);
            collect_guards(&three[1], guards);
        }
        _ => {}
    }
}
