//! What flows through an expression: borrowed [`Value`]s, owned [`Data`].

use std::borrow::Cow;
use std::fmt;
use std::rc::Rc;

use vocab::Timestamp;

use crate::error::EvalError;

/// A value during an evaluation, borrowing from the event and the expression.
#[derive(Clone, Debug, Default)]
pub enum Value<'a> {
    /// Nothing.
    #[default]
    Nil,
    /// `true` or `false`.
    Bool(bool),
    /// A Go `int`.
    Int(i64),
    /// A Go `float64`, such as every JSON number.
    Float(f64),
    /// A byte string.
    Str(Cow<'a, [u8]>),
    /// A point in time.
    Time(Timestamp),
    /// A span of time in nanoseconds (a Go `time.Duration`).
    Duration(i64),
    /// A list that the expression built.
    List(Rc<Vec<Self>>),
    /// A map that the expression built.
    Map(Rc<Vec<(Cow<'a, [u8]>, Self)>>),
    /// A list or map of data, borrowed.
    Data(&'a Data),
    /// A list or map of data, owned.
    Tree(Rc<Data>),
    /// The entries of a map of strings that the surroundings hold, such as `evt.Meta`.
    Fields(&'a Fields),
    /// The lines of a data file.
    Lines(&'a [Box<[u8]>]),
    /// Something with its own fields and methods.
    Object(&'a dyn Object),
}

/// A list, map or record that only the surroundings understand: a bucket's queue, an
/// event in it, an alert.
pub trait Object: fmt::Debug {
    /// How it is called in error messages.
    fn type_name(&self) -> &'static str {
        "object"
    }

    /// The field `name`; `None` when there is none, which is an error for the rule.
    fn field(&self, name: &[u8]) -> Option<Value<'_>> {
        let _ = name;
        None
    }

    /// How many elements it has; `None` when it is no list.
    fn len(&self) -> Option<usize> {
        None
    }

    /// Whether it is a list without elements.
    fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// The element at `index`, which is below [`Object::len`].
    fn element(&self, index: usize) -> Option<Value<'_>> {
        let _ = index;
        None
    }

    /// Whether `key in object`; `None` when that makes no sense here.
    fn has(&self, key: &[u8]) -> Option<bool> {
        let _ = key;
        None
    }

    /// Calls a method; `None` when there is none of that name.
    fn call(&self, method: &str, args: &[Value<'_>]) -> Option<Result<Value<'_>, EvalError>> {
        let _ = (method, args);
        None
    }
}

/// Owned dynamic data: what JSON and key-value text become.
#[derive(Clone, PartialEq, Debug, Default)]
pub enum Data {
    /// Nothing; JSON `null`.
    #[default]
    Nil,
    /// `true` or `false`.
    Bool(bool),
    /// An integer (never from JSON, whose numbers are floats as in Go).
    Int(i64),
    /// A number.
    Float(f64),
    /// A byte string.
    Text(Box<[u8]>),
    /// A point in time.
    Time(Timestamp),
    /// A span of time in nanoseconds.
    Duration(i64),
    /// A list.
    List(Vec<Self>),
    /// A map.
    Map(Fields),
}

/// What a missing key of a map is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Missing {
    /// nil, as in Go's `map[string]any` (JSON).
    #[default]
    Nil,
    /// The empty string, as in Go's `map[string]string` (`evt.Meta`, ParseKV).
    Empty,
}

/// A map from byte strings to data, sorted by key.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Fields {
    entries: Vec<(Box<[u8]>, Data)>,
    missing: Missing,
}

impl Fields {
    /// An empty map.
    #[must_use]
    pub const fn new(missing: Missing) -> Self {
        Self {
            entries: Vec::new(),
            missing,
        }
    }

    /// A map from entries in any order; of equal keys the last one stays.
    #[must_use]
    pub fn from_entries(mut entries: Vec<(Box<[u8]>, Data)>, missing: Missing) -> Self {
        entries.reverse();
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        entries.dedup_by(|later, earlier| later.0 == earlier.0);
        Self { entries, missing }
    }

    /// The value at `key`, if it is there.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<&Data> {
        let at = self.find(key).ok()?;
        self.entries.get(at).map(|entry| &entry.1)
    }

    /// Puts a value at `key`, replacing what was there.
    pub fn insert(&mut self, key: &[u8], value: Data) {
        match self.find(key) {
            Ok(at) => {
                if let Some(entry) = self.entries.get_mut(at) {
                    entry.1 = value;
                }
            }
            Err(at) => self.entries.insert(at, (key.into(), value)),
        }
    }

    /// The value at `key` for change, if it is there.
    pub fn get_mut(&mut self, key: &[u8]) -> Option<&mut Data> {
        let at = self.find(key).ok()?;
        self.entries.get_mut(at).map(|entry| &mut entry.1)
    }

    /// Every entry, sorted by key.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &Data)> {
        self.entries.iter().map(|(key, value)| (&**key, value))
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Removes every entry and keeps the room they took.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// What a missing key is.
    #[must_use]
    pub const fn missing(&self) -> Missing {
        self.missing
    }

    fn find(&self, key: &[u8]) -> Result<usize, usize> {
        self.entries.binary_search_by(|entry| (*entry.0).cmp(key))
    }

    /// The value at `key`, or what a missing key is.
    #[must_use]
    pub fn value(&self, key: &[u8]) -> Value<'_> {
        match (self.get(key), self.missing) {
            (Some(data), _) => data.value(),
            (None, Missing::Nil) => Value::Nil,
            (None, Missing::Empty) => Value::from(&b""[..]),
        }
    }
}

impl Data {
    /// Text.
    #[must_use]
    pub fn text(text: impl Into<Vec<u8>>) -> Self {
        Self::Text(text.into().into_boxed_slice())
    }

    /// Borrowed as a value.
    #[must_use]
    pub fn value(&self) -> Value<'_> {
        match self {
            Self::Nil => Value::Nil,
            Self::Bool(value) => Value::Bool(*value),
            Self::Int(value) => Value::Int(*value),
            Self::Float(value) => Value::Float(*value),
            Self::Text(text) => Value::Str(Cow::Borrowed(text)),
            Self::Time(time) => Value::Time(*time),
            Self::Duration(nanos) => Value::Duration(*nanos),
            Self::List(_) => Value::Data(self),
            Self::Map(fields) => Value::Fields(fields),
        }
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(text: &'a [u8]) -> Self {
        Self::Str(Cow::Borrowed(text))
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Str(Cow::Borrowed(text.as_bytes()))
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl<'a> Value<'a> {
    /// Text that the value owns.
    #[must_use]
    pub fn owned(text: impl Into<Vec<u8>>) -> Self {
        Self::Str(Cow::Owned(text.into()))
    }

    /// The bytes, if it is a string.
    #[must_use]
    pub fn as_text(&self) -> Option<&[u8]> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The truth, if it is a bool.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// How its type is called in messages.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Str(_) => "string",
            Self::Time(_) => "time",
            Self::Duration(_) => "duration",
            Self::List(_) | Self::Lines(_) => "list",
            Self::Map(_) | Self::Fields(_) => "map",
            Self::Data(data) => data.type_name(),
            Self::Tree(data) => data.type_name(),
            Self::Object(object) => object.type_name(),
        }
    }
}

impl Data {
    fn type_name(&self) -> &'static str {
        match self {
            Self::List(_) => "list",
            Self::Map(_) => "map",
            other => other.value().type_name(),
        }
    }
}
