//! The values as they were written, each with its place.
//!
//! A [`Tree`] is a JSON value beside a table from key paths to places. Paths look
//! like `edge.site[0].to[1]`; keys that are not bare are quoted.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Map, Number, Value};
use toml::de::{DeTable, DeValue};

use crate::fault::{Cause, Fault, Place, Source};
use crate::origin::{Effective, Origin, Origins};
use crate::raw::Raw;

/// Where one value stands.
#[derive(Clone, Debug)]
pub(crate) struct Spot {
    /// Where its key stands (an element has the value's place).
    pub(crate) key: Place,
    /// Where the value stands.
    pub(crate) value: Place,
}

/// The values of file, environment and arguments, laid over each other.
#[derive(Debug)]
pub(crate) struct Tree {
    /// A JSON object.
    pub(crate) root: Value,
    spots: BTreeMap<String, Spot>,
    broken: BTreeSet<String>,
}

impl Source {
    /// The source of a configuration that no file holds.
    pub(crate) fn unwritten() -> Self {
        Self {
            name: PathBuf::from("ringwall.toml"),
            text: Arc::from(""),
        }
    }

    pub(crate) fn place(&self, span: Range<usize>) -> Place {
        let before = self.text.get(..span.start).unwrap_or(&self.text);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let column = before.get(start..).unwrap_or("").chars().count() + 1;
        Place::File { line, column, span }
    }
}

/// The path of `key` below `parent`.
pub(crate) fn below(parent: &str, key: &str) -> String {
    let bare = !key.is_empty()
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    let key = if bare {
        key.to_owned()
    } else {
        Value::from(key).to_string()
    };
    if parent.is_empty() {
        key
    } else {
        format!("{parent}.{key}")
    }
}

/// The path of element `index` of `parent`.
pub(crate) fn element(parent: &str, index: usize) -> String {
    format!("{parent}[{index}]")
}

impl Tree {
    /// Reads TOML; syntax faults are added, as many as the parser finds.
    pub(crate) fn of_toml(source: &Source, faults: &mut Vec<Fault>) -> Self {
        let (table, errors) = DeTable::parse_recoverable(&source.text);
        for error in errors {
            let place = error.span().map_or(Place::Whole, |span| source.place(span));
            let mut fault = Fault::new(Cause::Syntax, place, source);
            fault.problem = error.message().trim().replace('\n', ", ");
            faults.push(fault);
        }
        let mut tree = Self::empty();
        let mut reader = Reader {
            source,
            tree: &mut tree,
            faults,
        };
        let root = reader.table("", table.get_ref());
        tree.root = root;
        tree
    }

    fn empty() -> Self {
        Self {
            root: Value::Null,
            spots: BTreeMap::new(),
            broken: BTreeSet::new(),
        }
    }

    /// Notes that a fault was named at `path`, so that none is named again.
    pub(crate) fn break_at(&mut self, path: &str) {
        self.broken.insert(path.to_owned());
    }

    /// Whether a fault was named at `path` or at what holds it.
    pub(crate) fn is_broken(&self, path: &str) -> bool {
        let mut path = path;
        loop {
            if self.broken.contains(path) {
                return true;
            }
            match path.rfind(['.', '[']).and_then(|at| path.get(..at)) {
                Some(shorter) => path = shorter,
                None => return false,
            }
        }
    }

    /// Lays `value` over what stands at `path` (keys, and indices within arrays).
    /// An index one past the end appends. What cannot hold it is left as it is, for
    /// the shape check to name.
    pub(crate) fn set(&mut self, path: &[&str], value: &Value, place: &Place) {
        let mut shown = String::new();
        let mut at = &mut self.root;
        for step in path {
            let next = match at {
                Value::Object(map) => {
                    shown = below(&shown, step);
                    map.entry((*step).to_owned())
                        .or_insert_with(|| Value::Object(Map::new()))
                }
                Value::Array(list) => {
                    let Ok(index) = step.parse::<usize>() else {
                        return;
                    };
                    shown = element(&shown, index);
                    if index == list.len() {
                        list.push(Value::Object(Map::new()));
                    }
                    let Some(next) = list.get_mut(index) else {
                        return;
                    };
                    next
                }
                _ => return,
            };
            self.spots.entry(shown.clone()).or_insert_with(|| Spot {
                key: place.clone(),
                value: place.clone(),
            });
            at = next;
        }
        at.clone_from(value);
        let inside = |path: &String| {
            path.strip_prefix(&shown)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        self.spots.retain(|path, _| !inside(path));
        self.mark(&shown, value, place);
    }

    /// Gives every value at and below `path` the same place.
    fn mark(&mut self, path: &str, value: &Value, place: &Place) {
        let spot = Spot {
            key: place.clone(),
            value: place.clone(),
        };
        self.spots.insert(path.to_owned(), spot);
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    self.mark(&below(path, key), value, place);
                }
            }
            Value::Array(list) => {
                for (index, value) in list.iter().enumerate() {
                    self.mark(&element(path, index), value, place);
                }
            }
            _ => {}
        }
    }

    /// How many sites there are.
    pub(crate) fn sites(&self) -> usize {
        self.root
            .pointer("/edge/site")
            .and_then(Value::as_array)
            .map_or(0, Vec::len)
    }

    /// Where the value at `path` stands, else what holds it.
    pub(crate) fn place(&self, path: &str) -> Place {
        self.spot(path)
            .map_or(Place::Whole, |spot| spot.value.clone())
    }

    /// Where the key of the value at `path` stands, else what holds it.
    pub(crate) fn key_place(&self, path: &str) -> Place {
        self.spot(path)
            .map_or(Place::Whole, |spot| spot.key.clone())
    }

    /// Whether exactly this path was written.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.spots.contains_key(path)
    }

    fn spot(&self, path: &str) -> Option<&Spot> {
        let mut path = path;
        loop {
            if let Some(spot) = self.spots.get(path) {
                return Some(spot);
            }
            let at = path.rfind(['.', '['])?;
            path = path.get(..at)?;
        }
    }

    /// Every value of the effective configuration with its origin.
    pub(crate) fn origins(&self, effective: &Raw, source: &Source) -> Origins {
        let mut origins = Origins::default();
        if let Ok(value) = serde_json::to_value(effective) {
            self.collect("", &value, source, &mut origins.0);
        }
        origins
    }

    fn collect(&self, path: &str, value: &Value, source: &Source, into: &mut Vec<Effective>) {
        match value {
            Value::Object(map) if !map.is_empty() => {
                for (key, value) in map {
                    self.collect(&below(path, key), value, source, into);
                }
            }
            Value::Array(list) if list.iter().any(Value::is_object) => {
                for (index, value) in list.iter().enumerate() {
                    self.collect(&element(path, index), value, source, into);
                }
            }
            Value::Object(_) => {}
            leaf => into.push(Effective {
                path: path.to_owned(),
                value: leaf.to_string(),
                origin: self.origin(path, source),
            }),
        }
    }

    /// A value that was not written has its default, unless a whole table that holds
    /// it was set at once by a variable or an argument.
    fn origin(&self, path: &str, source: &Source) -> Origin {
        let place = match self.spots.get(path) {
            Some(spot) => spot.value.clone(),
            None => return Origin::Default,
        };
        match place {
            Place::File { line, column, .. } => Origin::File {
                file: source.name.clone(),
                line,
                column,
            },
            Place::Env(name) => Origin::Env(name),
            Place::Argument(name) => Origin::Argument(name),
            Place::Whole => Origin::Default,
        }
    }
}

/// One TOML value such as `true` or `["a"]` as JSON.
pub(crate) fn json_of_toml(text: &str) -> Option<Value> {
    let value = DeValue::parse(text).ok()?;
    let source = Source::unwritten();
    let mut tree = Tree::empty();
    let mut faults = Vec::new();
    let mut reader = Reader {
        source: &source,
        tree: &mut tree,
        faults: &mut faults,
    };
    let value = reader.value("", value.get_ref());
    faults.is_empty().then_some(value)
}

/// Turns TOML values into JSON values and notes their places.
struct Reader<'a> {
    source: &'a Source,
    tree: &'a mut Tree,
    faults: &'a mut Vec<Fault>,
}

impl Reader<'_> {
    fn table(&mut self, path: &str, table: &DeTable<'_>) -> Value {
        let mut map = Map::new();
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            let path = below(path, name);
            let spot = Spot {
                key: self.source.place(key.span()),
                value: self.source.place(value.span()),
            };
            self.tree.spots.insert(path.clone(), spot);
            let value = self.value(&path, value.get_ref());
            map.insert(name.to_owned(), value);
        }
        Value::Object(map)
    }

    fn value(&mut self, path: &str, value: &DeValue<'_>) -> Value {
        match value {
            DeValue::String(text) => Value::from(text.as_ref()),
            DeValue::Boolean(truth) => Value::from(*truth),
            DeValue::Datetime(time) => Value::from(time.to_string()),
            DeValue::Integer(number) => {
                match i64::from_str_radix(number.as_str(), number.radix()) {
                    Ok(number) => Value::from(number),
                    Err(_) => self.out_of_range(path),
                }
            }
            DeValue::Float(number) => {
                match number.as_str().parse().ok().and_then(Number::from_f64) {
                    Some(number) => Value::Number(number),
                    None => self.out_of_range(path),
                }
            }
            DeValue::Array(list) => {
                let mut values = Vec::new();
                for (index, value) in list.iter().enumerate() {
                    let path = element(path, index);
                    let place = self.source.place(value.span());
                    self.tree.mark(&path, &Value::Null, &place);
                    values.push(self.value(&path, value.get_ref()));
                }
                Value::Array(values)
            }
            DeValue::Table(table) => self.table(path, table),
        }
    }

    /// Leaves a null behind, which the shape check drops without a second fault.
    fn out_of_range(&mut self, path: &str) -> Value {
        let mut fault = Fault::new(Cause::BadValue, self.tree.place(path), self.source);
        path.clone_into(&mut fault.key);
        fault.problem = "the number is out of range".to_owned();
        self.faults.push(fault);
        Value::Null
    }
}
