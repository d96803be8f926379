//! What types fit where.

use crate::ast::Binary;
use crate::error::CompileError;
use crate::node::EachKind;
use crate::schema::Type;

use super::Typed;

/// Whether a value of type `given` may stand where `want` is needed, as far as known.
pub(super) fn fits(given: Type, want: Type) -> bool {
    given == want
        || matches!(given, Type::Any)
        || matches!(want, Type::Any)
        || (given, want) == (Type::Texts, Type::List)
        || (given, want) == (Type::TextMap, Type::Map)
}

fn number(ty: Type) -> bool {
    matches!(ty, Type::Int | Type::Float | Type::Any)
}

fn text(ty: Type) -> bool {
    matches!(ty, Type::Text | Type::Any | Type::Nil)
}

/// What an operator gives, `None` if it cannot stand between these types.
pub(super) fn binary(operator: Binary, left: Type, right: Type) -> Option<Type> {
    use Type::{
        Any, Bool, Duration, Float, Int, List, Map, Nil, Object, Text, TextMap, Texts, Time,
    };
    let numbers = number(left) && number(right);
    match operator {
        Binary::Equal | Binary::NotEqual => comparable(left, right).then_some(Bool),
        Binary::Less | Binary::Greater | Binary::LessEqual | Binary::GreaterEqual => {
            let ordered = |ty| matches!(ty, Any | Text | Time | Duration);
            let same = left == right || left == Any || right == Any;
            (numbers || same && ordered(left) && ordered(right)).then_some(Bool)
        }
        Binary::In => {
            let container = matches!(right, List | Texts | Map | TextMap | Object | Any | Nil);
            let key = !matches!(right, TextMap | Map) || text(left);
            (container && key).then_some(Bool)
        }
        Binary::Matches | Binary::Contains | Binary::StartsWith | Binary::EndsWith => {
            (text(left) && text(right)).then_some(Bool)
        }
        Binary::Range => (matches!(left, Int | Any) && matches!(right, Int | Any)).then_some(List),
        Binary::Add => match (left, right) {
            (Text, Text) => Some(Text),
            (Int, Int) => Some(Int),
            (Time, Duration) | (Duration, Time) => Some(Time),
            (Duration, Duration) => Some(Duration),
            (Any, Any | Text | Int | Float | Time | Duration)
            | (Text | Int | Float | Time | Duration, Any) => Some(Any),
            _ if numbers => Some(Float),
            _ => None,
        },
        Binary::Subtract => match (left, right) {
            (Int, Int) => Some(Int),
            (Time, Time) | (Duration, Duration) => Some(Duration),
            (Time, Duration) => Some(Time),
            (Any, Any | Int | Float | Time | Duration) | (Int | Float | Time | Duration, Any) => {
                Some(Any)
            }
            _ if numbers => Some(Float),
            _ => None,
        },
        Binary::Multiply => match (left, right) {
            (Int, Int) => Some(Int),
            (Int | Float, Duration) | (Duration, Int | Float) => Some(Duration),
            (Any, _) | (_, Any) => Some(Any),
            _ if numbers => Some(Float),
            _ => None,
        },
        Binary::Divide | Binary::Power => numbers.then_some(Float),
        Binary::Modulo => (matches!(left, Int | Any) && matches!(right, Int | Any)).then_some(Int),
        Binary::Coalesce => Some(match left {
            Nil => right,
            Any => Any,
            other => other,
        }),
    }
}

fn comparable(left: Type, right: Type) -> bool {
    use Type::{Any, List, Map, Nil, Object, TextMap, Texts};
    left == right
        || matches!(left, Any | Nil | Object)
        || matches!(right, Any | Nil | Object)
        || number(left) && number(right)
        || matches!(left, List | Texts) && matches!(right, List | Texts)
        || matches!(left, Map | TextMap) && matches!(right, Map | TextMap)
}

/// The common type of two branches.
pub(super) fn joined(left: Type, right: Type) -> Type {
    if left == right { left } else { Type::Any }
}

/// What `-x` gives.
pub(super) fn negated(ty: Type) -> Option<Type> {
    matches!(ty, Type::Int | Type::Float | Type::Duration | Type::Any).then_some(ty)
}

/// What `of[at]` gives.
pub(super) fn indexed(of: Type, at: Type) -> Option<Type> {
    let position = matches!(at, Type::Int | Type::Float | Type::Any);
    let key = matches!(at, Type::Text | Type::Any);
    match of {
        Type::Texts if position => Some(Type::Text),
        Type::List if position => Some(Type::Any),
        Type::Text if position => Some(Type::Int),
        Type::TextMap if key => Some(Type::Text),
        Type::Map if key => Some(Type::Any),
        Type::Any | Type::Object if position || key => Some(Type::Any),
        _ => None,
    }
}

/// What a method gives, `None` if the type has none of that name.
pub(super) fn method(of: Type, name: &str) -> Option<Type> {
    match (of, name) {
        (Type::Any | Type::Object, _) => Some(Type::Any),
        (
            Type::Time,
            "Year" | "Month" | "Day" | "Hour" | "Minute" | "Second" | "Nanosecond" | "Weekday"
            | "YearDay" | "Unix" | "UnixMilli" | "UnixNano",
        ) => Some(Type::Int),
        (Type::Time, "Before" | "After" | "Equal" | "IsZero") => Some(Type::Bool),
        (Type::Time, "Sub") => Some(Type::Duration),
        (Type::Time, "Add" | "UTC") => Some(Type::Time),
        (Type::Duration, "Hours" | "Minutes" | "Seconds") => Some(Type::Float),
        (Type::Duration, "Milliseconds" | "Microseconds" | "Nanoseconds") => Some(Type::Int),
        (Type::Time | Type::Duration, "String") => Some(Type::Text),
        _ => None,
    }
}

/// What a closure builtin gives.
pub(super) fn each(kind: EachKind, list: Type, body: Option<Type>) -> Type {
    match kind {
        EachKind::All | EachKind::None | EachKind::Any | EachKind::One => Type::Bool,
        EachKind::Filter | EachKind::SortBy if list == Type::Texts => Type::Texts,
        EachKind::Map if body == Some(Type::Text) => Type::Texts,
        EachKind::Filter | EachKind::Map | EachKind::SortBy => Type::List,
        EachKind::FindIndex | EachKind::FindLastIndex | EachKind::Count => Type::Int,
        EachKind::Find | EachKind::FindLast | EachKind::Sum | EachKind::Reduce => Type::Any,
        EachKind::GroupBy => Type::Map,
    }
}

/// Whether an argument with this code takes this type.
pub(super) fn takes(code: u8, ty: Type) -> bool {
    if ty == Type::Any {
        return true;
    }
    match code {
        b't' => ty == Type::Text,
        b'i' => ty == Type::Int,
        b'n' => number(ty),
        b'l' => matches!(ty, Type::List | Type::Texts | Type::Object),
        b'm' => matches!(ty, Type::Map | Type::TextMap | Type::Object),
        _ => true,
    }
}

pub(super) fn code_name(code: u8) -> &'static str {
    match code {
        b't' => "a string",
        b'i' => "an int",
        b'n' => "a number",
        b'l' => "a list",
        b'm' => "a map",
        _ => "a value",
    }
}

pub(super) fn article(ty: Type) -> String {
    match ty {
        Type::Nil => "nil".to_owned(),
        Type::Any => "any value".to_owned(),
        Type::Bool => "true or false".to_owned(),
        Type::Int | Type::Object => format!("an {}", ty.name()),
        other => format!("a {}", other.name()),
    }
}

pub(super) fn capital(ty: Type) -> String {
    let text = article(ty);
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

pub(super) fn refused(operation: &str, on: &Typed) -> CompileError {
    let message = format!("'{operation}' cannot be applied to {}.", article(on.ty));
    CompileError::new(on.span, message)
}
