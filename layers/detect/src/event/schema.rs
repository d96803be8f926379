//! What rules may say about an event: paths into slots, at compile time.

use expr::{DataSearch, Found, Method, Schema, SearchId, Type};

use super::{Slots, Space, slot};

/// Resolves the paths of filters, statics and group keys.
#[derive(Debug)]
pub struct EventSchema<'s> {
    slots: &'s mut Slots,
    /// Whether expressions may speak of `match` and `req`, as those of contexts do.
    context: bool,
}

impl<'s> EventSchema<'s> {
    /// Names that are new get their numbers in `slots`.
    pub fn new(slots: &'s mut Slots) -> Self {
        Self {
            slots,
            context: false,
        }
    }

    /// The same for the expressions of contexts.
    pub fn of_context(slots: &'s mut Slots) -> Self {
        Self {
            slots,
            context: true,
        }
    }
}

fn found(slot: expr::SlotId, ty: Type, used: usize) -> Option<Found> {
    Some(Found { slot, ty, used })
}

impl Schema for EventSchema<'_> {
    fn path(&mut self, path: &[&str]) -> Option<Found> {
        let spaces = [
            ("Meta", Space::Meta, slot::MAP_META),
            ("Parsed", Space::Parsed, slot::MAP_PARSED),
            ("Enriched", Space::Enriched, slot::MAP_ENRICHED),
        ];
        match path {
            ["evt"] => found(slot::EVENT, Type::Object, 1),
            ["match", ..] if self.context => found(slot::MATCH, Type::Any, 1),
            ["req", ..] if self.context => found(slot::REQUEST, Type::Any, 1),
            ["queue", ..] => found(slot::QUEUE, Type::Object, 1),
            ["leaky", ..] => found(slot::LEAKY, Type::Object, 1),
            ["signal", ..] => found(slot::SIGNAL, Type::Object, 1),
            ["evt", "Line", "Labels", name, ..] => {
                found(self.slots.intern_read(Space::Label, name), Type::Text, 4)
            }
            ["evt", "Line", "Labels"] => found(slot::MAP_LABELS, Type::TextMap, 3),
            ["evt", "Line", "Raw", ..] => found(slot::LINE_RAW, Type::Text, 3),
            ["evt", "Line", "Src", ..] => found(slot::LINE_SRC, Type::Text, 3),
            ["evt", "Line", "Module", ..] => found(slot::LINE_MODULE, Type::Text, 3),
            ["evt", "StrTime", ..] => found(slot::STR_TIME, Type::Text, 2),
            ["evt", "StrTimeFormat", ..] => found(slot::STR_TIME_FORMAT, Type::Text, 2),
            ["evt", "MarshaledTime", ..] => found(slot::MARSHALED_TIME, Type::Text, 2),
            ["evt", "WhitelistReason", ..] => found(slot::WHITELIST_REASON, Type::Text, 2),
            ["evt", "Time", ..] => found(slot::TIME, Type::Time, 2),
            ["evt", "Whitelisted", ..] => found(slot::WHITELISTED, Type::Bool, 2),
            ["evt", "Unmarshaled", ..] => found(slot::UNMARSHALED, Type::Map, 2),
            ["evt", "Overflow", ..] => found(slot::OVERFLOW, Type::Object, 2),
            ["evt", "Appsec", ..] => found(slot::APPSEC, Type::Object, 2),
            ["evt", space, rest @ ..] => {
                let (_, space, map) = spaces.into_iter().find(|(name, ..)| name == space)?;
                match rest {
                    [] => found(map, Type::TextMap, 2),
                    [name, ..] => found(self.slots.intern_read(space, name), Type::Text, 3),
                }
            }
            _ => None,
        }
    }

    fn method(&mut self, path: &[&str]) -> Option<Method> {
        match path {
            ["evt", "SetMeta"] => Some(Method::SetMeta),
            ["evt", "SetParsed"] => Some(Method::SetParsed),
            ["evt", "GetMeta"] => Some(Method::Lookup(slot::MAP_META)),
            ["evt", "GetType"] => {
                self.slots.mark_read(slot::TYPE);
                Some(Method::Slot(slot::TYPE, Type::Text))
            }
            _ => None,
        }
    }

    fn search(&mut self, search: &DataSearch) -> Option<SearchId> {
        Some(self.slots.search(search))
    }

    fn host(&mut self, name: &str) {
        self.slots.host(name);
    }

    fn names(&self, parent: &[&str]) -> Vec<String> {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let of = |space| self.slots.of_space(space).map(str::to_owned).collect();
        match parent {
            [] => own(&["evt"]),
            ["evt"] => own(&[
                "Meta",
                "Parsed",
                "Enriched",
                "Line",
                "StrTime",
                "StrTimeFormat",
                "MarshaledTime",
                "Time",
                "Unmarshaled",
                "Overflow",
                "Appsec",
                "Whitelisted",
            ]),
            ["evt", "Line"] => own(&["Raw", "Src", "Module", "Labels"]),
            ["evt", "Line", "Labels"] => of(Space::Label),
            ["evt", "Meta"] => of(Space::Meta),
            ["evt", "Parsed"] => of(Space::Parsed),
            ["evt", "Enriched"] => of(Space::Enriched),
            _ => Vec::new(),
        }
    }
}
