//! From documents to nodes that run.

use std::net::IpAddr;

use expr::{Expr, Type};
use vocab::Cidr;

use super::enrich::Method;
use super::node::{GrokStep, Input, Node, StashStep, Static, StaticValue, Target, Whitelist};
use super::{Gates, Stages, Stashes, apply_on};
use crate::event::{EventSchema, Slots, Space, slot};
use crate::grok::Library;
use crate::overflow::Part;
use crate::rules::{self, Fault, GrokSource, ParserDoc, StaticTarget, Text};

/// Compiles documents into one program's slots; gathers faults.
#[derive(Debug)]
pub(crate) struct Compiler<'c> {
    pub(crate) slots: &'c mut Slots,
    pub(crate) library: &'c mut Library,
    pub(crate) stashes: &'c mut Stashes,
    pub(crate) faults: &'c mut Vec<Fault>,
    pub(crate) file: String,
    groks: usize,
}

/// A node that cannot be compiled; the fault is already noted.
#[derive(Debug)]
pub(crate) struct Unusable;

type Made<T> = Result<T, Unusable>;

impl<'c> Compiler<'c> {
    pub(crate) fn new(
        slots: &'c mut Slots,
        library: &'c mut Library,
        stashes: &'c mut Stashes,
        faults: &'c mut Vec<Fault>,
    ) -> Self {
        Self {
            slots,
            library,
            stashes,
            faults,
            file: String::new(),
            groks: 0,
        }
    }

    /// Compiles the documents of one phase; a document with a fault is left out.
    pub(crate) fn stages(&mut self, documents: &[ParserDoc]) -> Stages {
        for document in documents {
            self.patterns(&document.node);
        }
        let mut stages = Stages::default();
        for document in documents {
            self.file.clone_from(&document.file);
            let Ok(node) = self.node(&document.node) else {
                continue;
            };
            match stages.stages.last_mut() {
                Some((stage, nodes)) if *stage == document.stage => nodes.push(node),
                _ => stages.stages.push((document.stage.clone(), vec![node])),
            }
        }
        stages.groks = self.groks;
        let nodes = stages.stages.iter().enumerate();
        stages.gates = nodes
            .map(|(at, (_, nodes))| Gates::new(at, nodes))
            .collect();
        stages
    }

    /// Sub-patterns of all files share one namespace; a node's own come before its
    /// children's.
    fn patterns(&mut self, node: &rules::Node) {
        for (name, pattern) in &node.pattern_syntax {
            self.library.add(name, &pattern.text);
        }
        for child in &node.nodes {
            self.patterns(child);
        }
    }

    pub(crate) fn fault(&mut self, line: u32, what: String, help: &str) -> Unusable {
        self.faults.push(Fault {
            file: self.file.clone(),
            line,
            what,
            help: help.to_owned(),
        });
        Unusable
    }

    /// Compiles an expression of this type.
    pub(crate) fn expression(&mut self, text: &Text, ty: Type) -> Made<Expr> {
        let compiled = expr::compile(&text.text, &mut EventSchema::new(self.slots), ty);
        compiled.map_err(|error| self.wrong(text, &error))
    }

    /// Compiles an expression of a context.
    pub(crate) fn of_context(&mut self, text: &Text) -> Made<Expr> {
        let mut schema = EventSchema::of_context(self.slots);
        let compiled = expr::compile(&text.text, &mut schema, Type::Any);
        compiled.map_err(|error| self.wrong(text, &error))
    }

    fn wrong(&mut self, text: &Text, error: &expr::CompileError) -> Unusable {
        let (line, _) = error.position(&text.text);
        let line = text
            .line
            .saturating_add(u32::try_from(line).unwrap_or(1) - 1);
        let what = format!("the expression is wrong: {}", error.message);
        self.fault(line, what, "")
    }

    pub(crate) fn optional(&mut self, text: Option<&Text>, ty: Type) -> Made<Option<Expr>> {
        let text = text.filter(|text| !text.text.trim().is_empty());
        text.map(|text| self.expression(text, ty)).transpose()
    }

    fn node(&mut self, node: &rules::Node) -> Made<Node> {
        let filter = self.optional(node.filter.as_ref(), Type::Bool)?;
        let whitelist = node
            .whitelist
            .as_ref()
            .map(|whitelist| self.whitelist(whitelist))
            .transpose()?;
        let grok = node.grok.as_ref().map(|grok| self.grok(grok)).transpose()?;
        let stash = node
            .stash
            .iter()
            .map(|stash| self.stash(stash))
            .collect::<Made<_>>()?;
        let children = node
            .nodes
            .iter()
            .map(|child| self.node(child))
            .collect::<Made<_>>()?;
        Ok(Node {
            name: node.name.clone(),
            filter,
            whitelist,
            grok,
            stash,
            children,
            statics: self.statics(&node.statics)?,
            next_stage: node.next_stage,
        })
    }

    fn whitelist(&mut self, whitelist: &rules::Whitelist) -> Made<Whitelist> {
        let mut ranges = Vec::new();
        for text in &whitelist.ip {
            match text.text.parse::<IpAddr>() {
                Ok(address) => ranges.push(Cidr::host(address)),
                Err(_) => {
                    return Err(self.fault(
                        text.line,
                        format!("{:?} is no address", text.text),
                        "",
                    ));
                }
            }
        }
        for text in &whitelist.cidr {
            match text.text.parse::<Cidr>() {
                Ok(range) => ranges.push(range),
                Err(_) => {
                    return Err(self.fault(
                        text.line,
                        format!("{:?} is no address range", text.text),
                        "",
                    ));
                }
            }
        }
        let expressions = whitelist.expression.iter();
        let expressions = expressions
            .map(|text| self.expression(text, Type::Bool))
            .collect::<Made<_>>()?;
        Ok(Whitelist {
            first: 0,
            reason: whitelist.reason.clone(),
            ranges,
            expressions,
        })
    }

    fn grok(&mut self, grok: &rules::Grok) -> Made<GrokStep> {
        let (compiled, text) = match &grok.source {
            GrokSource::Pattern(text) => (self.library.compile(&text.text), text),
            GrokSource::Name(text) => (self.library.compile_named(&text.text), text),
        };
        let compiled = match compiled {
            Ok(compiled) => compiled,
            Err(error) => {
                use core::error::Error as _;
                let why = error
                    .source()
                    .map_or_else(String::new, |why| format!(": {why}"));
                let help = "Check the pattern, or add the library that defines it with --patterns.";
                return Err(self.fault(text.line, format!("{error}{why}"), help));
            }
        };
        let input = match (&grok.expression, &grok.apply_on) {
            (Some(expression), _) => Input::Expression(self.expression(expression, Type::Any)?),
            (None, Some(text)) => Input::Slot(apply_on(self.slots, &text.text)),
            (None, None) => {
                return Err(self.fault(text.line, "the grok reads nothing".to_owned(), ""));
            }
        };
        let slots = compiled
            .fields()
            .map(|name| self.slots.intern(Space::Parsed, name))
            .collect();
        let room = self.groks;
        self.groks += 1;
        Ok(GrokStep {
            slots,
            grok: compiled,
            input,
            statics: self.statics(&grok.statics)?,
            room,
        })
    }

    fn stash(&mut self, stash: &rules::Stash) -> Made<StashStep> {
        self.stashes.define(&stash.name, stash.size, stash.ttl);
        Ok(StashStep {
            name: stash.name.clone(),
            key: self.expression(&stash.key, Type::Any)?,
            value: self.expression(&stash.value, Type::Any)?,
        })
    }

    fn statics(&mut self, statics: &[rules::Static]) -> Made<Vec<Static>> {
        statics
            .iter()
            .map(|assignment| self.assignment(assignment))
            .collect()
    }

    fn assignment(&mut self, assignment: &rules::Static) -> Made<Static> {
        let value = match &assignment.value {
            rules::StaticValue::Value(text) => StaticValue::Constant(text.as_bytes().into()),
            rules::StaticValue::Expression(text) => {
                let expression = self.expression(text, Type::Any)?;
                match expression.as_slot() {
                    Some(slot) if expression.ty() == Type::Text => StaticValue::Slot(slot),
                    _ => StaticValue::Expression(expression),
                }
            }
        };
        let target = match &assignment.target {
            StaticTarget::Meta(name) => Target::Slot(self.slots.intern(Space::Meta, name)),
            StaticTarget::Parsed(name) => Target::Slot(self.slots.intern(Space::Parsed, name)),
            StaticTarget::Enriched(name) => Target::Slot(self.slots.intern(Space::Enriched, name)),
            StaticTarget::Path(path) => self.path(path),
            StaticTarget::Method(name) => match Method::named(name) {
                Some(method) => Target::Method(method),
                None => {
                    let what = format!("no enrichment method is named {name:?}");
                    return Err(self.fault(assignment.line, what, ""));
                }
            },
        };
        Ok(Static { target, value })
    }

    /// Where a `target` writes; what does not exist is written nowhere, as in CrowdSec.
    fn path(&mut self, path: &str) -> Target {
        let path = path.strip_prefix("evt.").unwrap_or(path);
        let spaces = [
            ("Meta.", Space::Meta),
            ("Parsed.", Space::Parsed),
            ("Enriched.", Space::Enriched),
        ];
        for (prefix, space) in spaces {
            if let Some(name) = path.strip_prefix(prefix) {
                return Target::Slot(self.slots.intern(space, name));
            }
        }
        match path {
            "StrTime" => Target::Slot(slot::STR_TIME),
            "StrTimeFormat" => Target::Slot(slot::STR_TIME_FORMAT),
            "MarshaledTime" => Target::Slot(slot::MARSHALED_TIME),
            "Line.Raw" => Target::Slot(slot::LINE_RAW),
            "Line.Src" => Target::Slot(slot::LINE_SRC),
            "Line.Module" => Target::Slot(slot::LINE_MODULE),
            _ => match path.strip_prefix("Line.Labels.") {
                Some(name) => Target::Slot(self.slots.intern(Space::Label, name)),
                None => Part::named(path).map_or(Target::Nowhere, Target::Source),
            },
        }
    }
}
