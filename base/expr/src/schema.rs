//! What a rule may speak about: asked at compile time only.

use crate::env::DataSearch;

/// A numbered place whose value the [`Env`](crate::Env) knows; handed out by the
/// [`Schema`], opaque to this crate.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct SlotId(pub u32);

/// A numbered [`DataSearch`]; handed out by the [`Schema`], opaque to this crate.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct SearchId(pub u32);

/// The static type of a slot or of an expression.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Type {
    /// Known only at evaluation.
    Any,
    /// The constant `nil`.
    Nil,
    /// `true` or `false`.
    Bool,
    /// A 64-bit signed integer (Go's `int`).
    Int,
    /// A 64-bit floating point number (every JSON number).
    Float,
    /// A byte string, never nil: absent is empty.
    Text,
    /// A point in time.
    Time,
    /// A span of time.
    Duration,
    /// A list of anything.
    List,
    /// A list of byte strings.
    Texts,
    /// A map from byte strings to anything; a missing key is nil.
    Map,
    /// A map from byte strings to byte strings; a missing key is the empty string.
    TextMap,
    /// Something with fields and methods of its own, looked at only at evaluation.
    Object,
}

impl Type {
    /// How the type is called in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Any => "any value",
            Self::Nil => "nil",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Float => "float",
            Self::Text => "string",
            Self::Time => "time",
            Self::Duration => "duration",
            Self::List => "list",
            Self::Texts => "list of strings",
            Self::Map => "map",
            Self::TextMap => "map of strings",
            Self::Object => "object",
        }
    }
}

/// What a path leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Found {
    /// Where the value will be.
    pub slot: SlotId,
    /// What type it will have.
    pub ty: Type,
    /// How many segments of the path the slot stands for; the others are looked up in
    /// the value at evaluation (`evt.Unmarshaled` + `.a.b`: 2). At least 1.
    pub used: usize,
}

/// What a method call on a path means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// A method without arguments whose value is a slot, such as `Alert.GetScope()`.
    Slot(SlotId, Type),
    /// `SetMeta(key, value)`: [`Effect::SetMeta`](crate::Effect::SetMeta).
    SetMeta,
    /// `SetParsed(key, value)`: [`Effect::SetParsed`](crate::Effect::SetParsed).
    SetParsed,
    /// `GetMeta(key)`: looks `key` up in the map at this slot.
    Lookup(SlotId),
}

/// Resolves names while an expression is compiled.
pub trait Schema {
    /// What `path` (`["evt", "Meta", "service"]`, longest form first) leads to. `None`
    /// if the root or the path is unknown; the author is then told so, with
    /// [`Schema::names`] as suggestions.
    fn path(&mut self, path: &[&str]) -> Option<Found>;

    /// What calling the method that `path` ends with means (`["evt", "SetMeta"]`).
    /// `None` leaves the call to the receiver's [`Object::call`](crate::Object::call)
    /// at evaluation, if the receiver itself resolves.
    fn method(&mut self, path: &[&str]) -> Option<Method> {
        let _ = path;
        None
    }

    /// A number for a search in a data file, so that the [`Env`](crate::Env) can find
    /// its prepared automaton without hashing. `None`: lines are scanned one by one.
    fn search(&mut self, search: &DataSearch) -> Option<SearchId> {
        let _ = search;
        None
    }

    /// An expression asks for the addresses of this host (`LookupHost` with a constant), so
    /// that they can be looked up before anything waits for them.
    fn host(&mut self, name: &str) {
        let _ = name;
    }

    /// Known names below `parent` (`[]`: the roots), for did-you-mean.
    fn names(&self, parent: &[&str]) -> Vec<String> {
        let _ = parent;
        Vec::new()
    }
}
