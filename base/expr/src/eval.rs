//! Evaluation of compiled nodes.
//!
//! Three ways in, so that nothing is built that nobody keeps: [`Run::truth`] for
//! conditions, [`Run::text`] for byte strings (borrowed where possible), [`Run::value`]
//! for everything. What changes the event goes through [`change`].
//!
//! Bounded: every round of a closure and every built byte is charged to a budget.

mod access;
mod change;
mod compare;
mod each;

use std::borrow::Cow;
use std::cell::Cell;
use std::rc::Rc;

use crate::ast::Binary;
use crate::call::Function;
use crate::env::{Case, Env, Question, SearchTest, Unanswered};
use crate::error::EvalError;
use crate::functions;
use crate::go_regex;
use crate::node::{Node, Test, TextTest};
use crate::schema::SlotId;
use crate::value::{Data, Value};

pub(crate) use access::{element, entries, entry, index};
pub(crate) use change::{Changer, supported};
pub(crate) use compare::{equal, float, ordering, shifted};

/// The most work of one evaluation, in visited nodes of closures.
pub const MAX_STEPS: u32 = 2_000_000;
/// The most bytes that one evaluation may build.
pub const MAX_BYTES: u32 = 16 << 20;
/// The most elements of a list that an expression builds.
pub const MAX_LIST: usize = 100_000;

pub(crate) type Outcome<T> = Result<T, EvalError>;

/// A `let` binding or one round of a closure, and what lies around it.
#[derive(Debug)]
pub(crate) struct Frame<'p, 'v> {
    pub(crate) value: Value<'v>,
    pub(crate) index: usize,
    pub(crate) accumulator: Value<'v>,
    pub(crate) parent: Scope<'p, 'v>,
}

pub(crate) type Scope<'p, 'v> = Option<&'p Frame<'p, 'v>>;

fn frame<'p, 'v>(mut scope: Scope<'p, 'v>, hops: usize) -> Outcome<&'p Frame<'p, 'v>> {
    for _ in 0..hops {
        scope = scope.and_then(|frame| frame.parent);
    }
    scope.ok_or(EvalError::Limit("the frame of a variable is gone"))
}

/// One evaluation without changes.
#[derive(Debug)]
pub(crate) struct Run<'v> {
    pub(crate) env: EnvRef<'v>,
    pub(crate) budget: Budget,
}

/// What is left of work and memory.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    steps: Cell<u32>,
    bytes: Cell<u32>,
}

impl Budget {
    pub(crate) const fn full() -> Self {
        Self {
            steps: Cell::new(MAX_STEPS),
            bytes: Cell::new(MAX_BYTES),
        }
    }

    pub(crate) fn step(&self, weight: u32) -> Outcome<()> {
        let left = self.steps.get().checked_sub(weight);
        self.steps
            .set(left.ok_or(EvalError::Limit("too many steps"))?);
        Ok(())
    }

    pub(crate) fn bytes(&self, len: usize) -> Outcome<()> {
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        let left = self.bytes.get().checked_sub(len);
        self.bytes
            .set(left.ok_or(EvalError::Limit("too many bytes"))?);
        Ok(())
    }
}

/// An environment that prints as nothing, so that what holds it can be printed.
#[derive(Clone, Copy)]
pub(crate) struct EnvRef<'v>(pub(crate) &'v dyn Env);

impl std::fmt::Debug for EnvRef<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Env")
    }
}

struct Nowhere;

impl Env for Nowhere {
    fn text(&self, _: SlotId) -> &[u8] {
        b""
    }
    fn value(&self, _: SlotId) -> Value<'_> {
        Value::Nil
    }
}

/// The value of a node without inputs, if it has one that can be kept.
pub(crate) fn constant(node: &Node) -> Option<Data> {
    Run::new(&Nowhere).value(node, None).ok()?.to_data()
}

pub(crate) fn wrong(operation: &'static str, found: &Value<'_>) -> EvalError {
    EvalError::Type {
        operation,
        found: found.type_name(),
    }
}

impl<'v> Run<'v> {
    pub(crate) fn new(env: &'v dyn Env) -> Self {
        Self {
            env: EnvRef(env),
            budget: Budget::full(),
        }
    }

    /// True or false.
    pub(crate) fn truth(&self, node: &'v Node, scope: Scope<'_, 'v>) -> Outcome<bool> {
        match node {
            Node::TextIs(slot, text) => Ok(self.env.0.text(*slot) == &**text),
            Node::And(parts) => {
                for part in parts {
                    if !self.truth(part, scope)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Node::Or(parts) => {
                for part in parts {
                    if self.truth(part, scope)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Node::TextIn(of, set) => match &**of {
                Node::Text(slot) => Ok(set.has(self.env.0.text(*slot))),
                of => Ok(set.has(&self.text(of, scope)?)),
            },
            Node::Not(of) => Ok(!self.truth(of, scope)?),
            Node::TextTest(test) => self.text_test(test, scope),
            Node::AnyNeedle(any) => {
                let text = self.text(&any.of, scope)?;
                if any.case == Case::Exact || text.is_ascii() {
                    return Ok(any.automaton.is_match(&*text));
                }
                self.budget.bytes(text.len())?;
                Ok(any
                    .automaton
                    .is_match(&*functions::text::cased(any.case, text)))
            }
            Node::Matches(of, regex) => match &**of {
                Node::Text(slot) => Ok(go_regex::is_match(regex, self.env.0.text(*slot))),
                Node::Call(function, args)
                    if function.maps_text() && matches!(**args, [Node::Text(_)]) =>
                {
                    Ok(go_regex::is_match(regex, &self.text(of, scope)?))
                }
                of => match self.value(of, scope)? {
                    Value::Str(text) => Ok(go_regex::is_match(regex, &text)),
                    Value::Nil => Ok(false),
                    other => Err(wrong("matches", &other)),
                },
            },
            Node::InRange(of, networks) => Ok(functions::net::in_networks(
                &self.text(of, scope)?,
                networks,
            )),
            Node::Condition(three) => {
                let branch = if self.truth(&three[0], scope)? { 1 } else { 2 };
                self.truth(&three[branch], scope)
            }
            Node::Let(two) => {
                let frame = self.bind(&two[0], scope)?;
                self.truth(&two[1], Some(&frame))
            }
            Node::Search(of, search) => {
                let text = self.text(of, scope)?;
                self.search(search, &text)
            }
            node => match self.value(node, scope)? {
                Value::Bool(value) => Ok(value),
                other => Err(wrong("a condition", &other)),
            },
        }
    }

    fn bind<'p>(&self, value: &'v Node, scope: Scope<'p, 'v>) -> Outcome<Frame<'p, 'v>> {
        Ok(Frame {
            value: self.value(value, scope)?,
            index: 0,
            accumulator: Value::Nil,
            parent: scope,
        })
    }

    fn text_test(&self, test: &'v TextTest, scope: Scope<'_, 'v>) -> Outcome<bool> {
        let text = self.text(&test.of, scope)?;
        if test.case == Case::Exact {
            return Ok(exact(&test.test, &text));
        }
        if text.is_ascii() {
            return Ok(functions::text::folded(test.case, &test.test, &text));
        }
        self.budget.bytes(text.len())?;
        Ok(exact(&test.test, &functions::text::cased(test.case, text)))
    }

    /// A byte string, borrowed where it can be; only for nodes that give text.
    pub(crate) fn text<'s>(&self, node: &'v Node, scope: Scope<'s, 'v>) -> Outcome<Cow<'s, [u8]>>
    where
        'v: 's,
    {
        match node {
            Node::Text(slot) => Ok(Cow::Borrowed(self.env.0.text(*slot))),
            Node::Const(Data::Text(text)) => Ok(Cow::Borrowed(text)),
            Node::Local(hops) => match &frame(scope, *hops)?.value {
                Value::Str(text) => Ok(Cow::Borrowed(text)),
                other => Err(wrong("a string operation", other)),
            },
            Node::Call(function, args) if function.maps_text() => match &**args {
                [arg] => {
                    let text = self.text(arg, scope)?;
                    self.budget.bytes(text.len())?;
                    Ok(functions::text::mapped(*function, text))
                }
                _ => Err(EvalError::Limit("an argument is gone")),
            },
            Node::Concat(parts) => {
                let mut joined = Vec::with_capacity(64);
                for part in parts {
                    let text = self.text(part, scope)?;
                    self.budget.bytes(text.len())?;
                    joined.extend_from_slice(&text);
                }
                Ok(Cow::Owned(joined))
            }
            node => match self.value(node, scope)? {
                Value::Str(text) => Ok(text),
                other => Err(wrong("a string operation", &other)),
            },
        }
    }

    /// Any value.
    pub(crate) fn value(&self, node: &'v Node, scope: Scope<'_, 'v>) -> Outcome<Value<'v>> {
        match node {
            Node::Const(data) => Ok(data.value()),
            Node::Slot(slot) => Ok(self.env.0.value(*slot)),
            Node::Text(slot) => Ok(Value::from(self.env.0.text(*slot))),
            Node::Local(hops) => {
                let value = frame(scope, *hops)?.value.clone();
                if let Value::Str(Cow::Owned(text)) = &value {
                    self.budget.bytes(text.len())?;
                }
                Ok(value)
            }
            Node::LocalIndex(hops) => Ok(int(frame(scope, *hops)?.index)),
            Node::LocalAccumulator(hops) => Ok(frame(scope, *hops)?.accumulator.clone()),
            Node::Not(_)
            | Node::And(_)
            | Node::Or(_)
            | Node::TextIs(..)
            | Node::TextIn(..)
            | Node::TextTest(_)
            | Node::AnyNeedle(_)
            | Node::Matches(..)
            | Node::InRange(..)
            | Node::Search(..) => Ok(Value::Bool(self.truth(node, scope)?)),
            Node::InConst(of, set, others) => {
                let value = self.value(of, scope)?;
                Ok(Value::Bool(in_const(&value, set, others)))
            }
            Node::Concat(_) => Ok(Value::Str(Cow::Owned(self.text(node, scope)?.into_owned()))),
            Node::Negate(of) => compare::negate(&self.value(of, scope)?),
            Node::Binary(Binary::Coalesce, two) => match self.value(&two[0], scope)? {
                Value::Nil => self.value(&two[1], scope),
                value => Ok(value),
            },
            Node::Binary(operator, two) => {
                if let (Binary::In, Node::Const(Data::Text(key)), Node::Slot(map)) =
                    (operator, &two[0], &two[1])
                    && let Some(has) = self.env.0.has_key(*map, key)
                {
                    return Ok(Value::Bool(has));
                }
                let left = self.value(&two[0], scope)?;
                let right = self.value(&two[1], scope)?;
                self.apply(*operator, left, right)
            }
            Node::Condition(three) => {
                let branch = if self.truth(&three[0], scope)? { 1 } else { 2 };
                self.value(&three[branch], scope)
            }
            Node::Let(two) => {
                let frame = self.bind(&two[0], scope)?;
                self.value(&two[1], Some(&frame))
            }
            Node::Sequence(parts) => {
                let mut last = Value::Nil;
                for part in parts {
                    last = self.value(part, scope)?;
                }
                Ok(last)
            }
            node => self.composite(node, scope),
        }
    }

    /// The nodes that reach into values or build them.
    fn composite(&self, node: &'v Node, scope: Scope<'_, 'v>) -> Outcome<Value<'v>> {
        match node {
            Node::Member { .. }
            | Node::Index { .. }
            | Node::Slice { .. }
            | Node::Chain(_)
            | Node::Method { .. } => self.reach(node, scope),
            Node::Call(function, args) => self.call(*function, args, scope),
            Node::Each(each) => self.each(each, scope),
            Node::List(parts) => {
                self.budget
                    .step(u32::try_from(parts.len()).unwrap_or(u32::MAX))?;
                let values = parts.iter().map(|part| self.value(part, scope));
                Ok(Value::List(Rc::new(values.collect::<Outcome<_>>()?)))
            }
            Node::Map(pairs) => {
                let mut entries = Vec::with_capacity(pairs.len());
                for (key, value) in pairs {
                    let Value::Str(key) = self.value(key, scope)? else {
                        return Err(EvalError::Call {
                            function: "{}",
                            reason: "a key is no string",
                        });
                    };
                    entries.push((key, self.value(value, scope)?));
                }
                Ok(Value::Map(Rc::new(entries)))
            }
            _ => Err(EvalError::Effect),
        }
    }

    fn call(
        &self,
        function: Function,
        args: &'v [Node],
        scope: Scope<'_, 'v>,
    ) -> Outcome<Value<'v>> {
        self.budget.step(1)?;
        if args.len() <= 4 {
            let mut values: [Value<'v>; 4] = Default::default();
            for (value, arg) in values.iter_mut().zip(args) {
                *value = self.value(arg, scope)?;
            }
            let given = values.get_mut(..args.len()).unwrap_or_default();
            return functions::call(self, function, given);
        }
        let values = args.iter().map(|arg| self.value(arg, scope));
        functions::call(self, function, &mut values.collect::<Outcome<Vec<_>>>()?)
    }

    fn search(&self, search: &'v crate::DataSearch, text: &[u8]) -> Outcome<bool> {
        if let Some(found) = self.env.0.search(search, text) {
            return Ok(found);
        }
        if search.test == SearchTest::Regexp {
            let question = Question::RegexpInFile {
                text: functions::text::cased(search.text_case, Cow::Borrowed(text)),
                file: Cow::Borrowed(&search.file),
            };
            return match self.ask(question)? {
                Value::Bool(found) => Ok(found),
                other => Err(wrong("RegexpInFile", &other)),
            };
        }
        let text = functions::text::cased(search.text_case, Cow::Borrowed(text));
        for line in self.env.0.file(&search.file).unwrap_or_default() {
            self.budget.step(1)?;
            let line = functions::text::cased(search.line_case, Cow::Borrowed(line));
            let fits = match search.test {
                SearchTest::Matches => compare::matches(&text, &line)?,
                test => functions::text::line_fits(test, &text, &line),
            };
            if fits {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Asks the surroundings.
    pub(crate) fn ask(&self, question: Question<'_>) -> Outcome<Value<'v>> {
        self.env.0.ask(&question).map_err(|why| match why {
            Unanswered::Wait => EvalError::Need(Box::new(question.into_owned())),
            Unanswered::Unavailable => EvalError::Unavailable(question.function()),
        })
    }
}

pub(crate) fn in_const(value: &Value<'_>, set: &crate::node::TextSet, others: &[Data]) -> bool {
    match value {
        Value::Str(text) => set.has(text),
        other => others.iter().any(|known| equal(other, &known.value())),
    }
}

fn exact(test: &Test, text: &[u8]) -> bool {
    match test {
        Test::Equal(known) => text == &**known,
        Test::Contains(finder) => finder.find(text).is_some(),
        Test::StartsWith(known) => text.starts_with(known),
        Test::EndsWith(known) => text.ends_with(known),
    }
}

/// A count as a value.
pub(crate) fn int(count: usize) -> Value<'static> {
    Value::Int(i64::try_from(count).unwrap_or(i64::MAX))
}
