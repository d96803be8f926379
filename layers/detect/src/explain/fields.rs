//! The fields that a piece of a filter names, with their values.

use super::Change;
use crate::bucket::text;
use crate::event::{Event, Slots, Space};

/// How many fields are shown of one side.
const MOST: usize = 6;
/// How many bytes of a value are shown.
const SHOWN: usize = 120;

/// The fields of `event` that `source` names as `evt.Meta.x` and the like, each once.
pub(crate) fn named_in(source: &str, event: &Event, slots: &Slots) -> Vec<Change> {
    let mut found: Vec<Change> = Vec::new();
    for (at, _) in source.match_indices("evt.") {
        let rest = source.get(at..).unwrap_or_default();
        let end = rest.find(|one: char| !(one.is_ascii_alphanumeric() || one == '_' || one == '.'));
        let path = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        let Some((space, name)) = place(path) else {
            continue;
        };
        let field = format!("evt.{space}.{name}", space = space.1);
        if found.len() >= MOST || found.iter().any(|known| known.field == field) {
            continue;
        }
        let value = slots
            .find(space.0, name.as_bytes())
            .map_or(&b""[..], |slot| event.text(slot));
        let value = text(value.get(..SHOWN).unwrap_or(value));
        found.push(Change { field, value });
    }
    found
}

/// The space and the name that a path leads to.
fn place(path: &str) -> Option<((Space, &'static str), &str)> {
    [
        (Space::Meta, "Meta"),
        (Space::Parsed, "Parsed"),
        (Space::Enriched, "Enriched"),
        (Space::Label, "Line.Labels"),
    ]
    .into_iter()
    .find_map(|(space, shown)| {
        let name = path
            .strip_prefix("evt.")?
            .strip_prefix(shown)?
            .strip_prefix('.')?;
        let name = name.split('.').next().filter(|name| !name.is_empty())?;
        Some(((space, shown), name))
    })
}
