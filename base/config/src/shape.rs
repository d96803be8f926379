//! Checks the tree against the schema: keys, types, ranges, all at once.
//!
//! What is faulty is taken out of the tree, so that everything else can still be
//! read and checked, and nothing is complained of twice.

use serde_json::{Map, Value};

use crate::fault::{Cause, Fault, Place, Source};
use crate::raw;
use crate::tree::{Tree, below, element};

/// The JSON Schema of the file with a few questions about it.
pub(crate) struct Schema(Value);

impl Schema {
    pub(crate) fn of_the_file() -> Self {
        Self(raw::json_schema())
    }

    pub(crate) fn root(&self) -> &Value {
        &self.0
    }

    /// The shapes that `node` allows, references followed, `null` left out.
    pub(crate) fn shapes<'a>(&'a self, node: &'a Value) -> Vec<&'a Value> {
        if let Some(name) = node.get("$ref").and_then(Value::as_str) {
            let target = name.strip_prefix('#').and_then(|at| self.0.pointer(at));
            return target.map_or_else(Vec::new, |target| self.shapes(target));
        }
        for many in ["anyOf", "oneOf"] {
            if let Some(list) = node.get(many).and_then(Value::as_array) {
                return list.iter().flat_map(|one| self.shapes(one)).collect();
            }
        }
        if type_names(node) == ["null"] {
            return Vec::new();
        }
        vec![node]
    }

    /// The schema of `key` in a table of this shape.
    pub(crate) fn key<'a>(shape: &'a Value, key: &str) -> Option<&'a Value> {
        let named = shape.get("properties").and_then(|all| all.get(key));
        named.or_else(|| {
            shape
                .get("additionalProperties")
                .filter(|any| any.is_object())
        })
    }

    /// The keys of a table of this shape.
    pub(crate) fn keys(shape: &Value) -> Vec<&str> {
        shape
            .get("properties")
            .and_then(Value::as_object)
            .map_or_else(Vec::new, |all| all.keys().map(String::as_str).collect())
    }
}

/// The JSON types that a shape allows, `null` last if at all.
pub(crate) fn type_names(shape: &Value) -> Vec<&str> {
    match shape.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => match shape.get("const") {
            Some(value) => vec![type_name(value)],
            None => Vec::new(),
        },
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn fits(shape: &Value, value: &Value) -> bool {
    let found = type_name(value);
    type_names(shape)
        .iter()
        .any(|allowed| *allowed == found || (*allowed == "number" && found == "integer"))
}

/// The constants that a shape allows; empty when it is not an enumeration.
fn constants(shapes: &[&Value]) -> Vec<String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    shapes
        .iter()
        .flat_map(|shape| {
            let listed = shape.get("enum").and_then(Value::as_array);
            let listed = listed.into_iter().flatten().filter_map(text);
            listed.chain(shape.get("const").and_then(text))
        })
        .collect()
}

/// Checks the whole tree; see the module.
pub(crate) fn check(schema: &Schema, source: &Source, tree: &mut Tree, faults: &mut Vec<Fault>) {
    let mut root = std::mem::take(&mut tree.root);
    let mut check = Check {
        schema,
        source,
        tree,
        faults,
    };
    let keep = check.value("", schema.root(), &mut root);
    tree.root = if keep {
        root
    } else {
        Value::Object(Map::new())
    };
}

struct Check<'a> {
    schema: &'a Schema,
    source: &'a Source,
    tree: &'a mut Tree,
    faults: &'a mut Vec<Fault>,
}

impl Check<'_> {
    /// Whether the value may stay.
    fn value(&mut self, path: &str, node: &Value, value: &mut Value) -> bool {
        let schema = self.schema;
        let shapes = schema.shapes(node);
        let Some(shape) = shapes.iter().find(|shape| fits(shape, value)) else {
            // Null stands where a fault was named already.
            if !value.is_null() {
                self.wrong_type(path, &shapes, value);
            }
            return false;
        };
        match value {
            Value::Object(map) => {
                self.table(path, shape, map);
                true
            }
            Value::Array(list) => {
                let Some(items) = shape.get("items") else {
                    return true;
                };
                let mut keep = true;
                for (index, value) in list.iter_mut().enumerate() {
                    keep &= self.value(&element(path, index), items, value);
                }
                if !keep {
                    self.tree.break_at(path);
                }
                keep
            }
            Value::String(text) => self.constant(path, &shapes, text),
            Value::Number(_) => self.range(path, shape, value),
            Value::Bool(_) | Value::Null => true,
        }
    }

    fn table(&mut self, path: &str, shape: &Value, map: &mut Map<String, Value>) {
        let names: Vec<String> = map.keys().cloned().collect();
        for name in names {
            let inner = below(path, &name);
            let keep = match (Schema::key(shape, &name), map.get_mut(&name)) {
                (Some(node), Some(value)) => self.value(&inner, node, value),
                _ => {
                    self.unknown(path, &name, shape);
                    false
                }
            };
            if !keep {
                map.remove(&name);
                self.tree.break_at(&inner);
            }
        }
    }

    fn unknown(&mut self, path: &str, name: &str, shape: &Value) {
        let keys = Schema::keys(shape);
        let inner = below(path, name);
        let problem = if path.is_empty() {
            format!("there is no table or key called '{name}'")
        } else {
            format!("there is no key called '{name}' in {path}")
        };
        let help =
            did_you_mean(name, &keys).unwrap_or_else(|| format!("Allowed are {}.", listed(&keys)));
        let place = self.tree.key_place(&inner);
        self.push(Cause::UnknownKey, place, &inner, problem, help);
    }

    fn wrong_type(&mut self, path: &str, shapes: &[&Value], value: &Value) {
        let allowed: Vec<&str> = shapes
            .iter()
            .flat_map(|shape| type_names(shape))
            .filter(|name| *name != "null")
            .map(in_words)
            .collect();
        let mut allowed = allowed;
        allowed.dedup();
        let found = in_words(type_name(value));
        let problem = format!("expected {}, found {found}", allowed.join(" or "));
        let help = match constants(shapes) {
            words if words.is_empty() => String::new(),
            words => format!("Allowed are {}.", listed(&words)),
        };
        let place = self.tree.place(path);
        self.push(Cause::WrongType, place, path, problem, help);
    }

    fn constant(&mut self, path: &str, shapes: &[&Value], text: &str) -> bool {
        let words = constants(shapes);
        if words.is_empty() || words.iter().any(|word| word == text) {
            return true;
        }
        let problem = format!("expected one of {}", listed(&words));
        let help = did_you_mean(text, &words).unwrap_or_default();
        let place = self.tree.place(path);
        self.push(Cause::BadValue, place, path, problem, help);
        false
    }

    fn range(&mut self, path: &str, shape: &Value, value: &Value) -> bool {
        let bound = |name| shape.get(name).and_then(Value::as_f64);
        let (low, high) = (bound("minimum"), bound("maximum"));
        let Some(number) = value.as_f64() else {
            return true;
        };
        if low.is_none_or(|low| number >= low) && high.is_none_or(|high| number <= high) {
            return true;
        }
        let problem = match (low, high) {
            (Some(low), Some(high)) => format!("expected a number from {low} to {high}"),
            (Some(low), None) => format!("expected a number of at least {low}"),
            (None, Some(high)) => format!("expected a number of at most {high}"),
            (None, None) => return true,
        };
        let place = self.tree.place(path);
        self.push(Cause::BadValue, place, path, problem, String::new());
        false
    }

    fn push(&mut self, cause: Cause, place: Place, path: &str, problem: String, help: String) {
        let mut fault = Fault::new(cause, place, self.source);
        fault.value = if cause == Cause::UnknownKey {
            String::new()
        } else {
            fault.written()
        };
        path.clone_into(&mut fault.key);
        fault.problem = problem;
        fault.help = help;
        self.faults.push(fault);
    }
}

fn in_words(name: &str) -> &'static str {
    match name {
        "boolean" => "true or false",
        "integer" => "a whole number",
        "number" => "a number",
        "string" => "a string",
        "array" => "a list",
        "object" => "a table",
        _ => "nothing",
    }
}

fn listed<T: AsRef<str>>(words: &[T]) -> String {
    let words: Vec<String> = words
        .iter()
        .map(|word| format!("'{}'", word.as_ref()))
        .collect();
    words.join(", ")
}

/// A sentence that names the nearest of `words`, if one is near.
pub(crate) fn did_you_mean<T: AsRef<str>>(text: &str, words: &[T]) -> Option<String> {
    let text = text.to_lowercase();
    let allowed = (text.chars().count() / 3).clamp(1, 3);
    words
        .iter()
        .map(|word| (distance(&text, word.as_ref()), word.as_ref()))
        .filter(|(steps, word)| {
            *steps <= allowed
                || (text.len() >= 3 && (word.starts_with(&text) || text.starts_with(word)))
        })
        .min()
        .map(|(_, word)| format!("Did you mean '{word}'?"))
}

/// How many insertions, removals, changes or swaps of neighbours lead from one text
/// to the other (optimal string alignment).
fn distance(from: &str, to: &str) -> usize {
    // Attackers do not write configurations, yet nobody needs hints for novels.
    let from: Vec<char> = from.chars().take(64).collect();
    let to: Vec<char> = to.chars().take(64).collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let change = last[j] + usize::from(a != b);
            let mut best = change.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_suggested_and_a_far_one_is_not() {
        let words = ["listen", "limits", "site", "trusted_proxies"];
        for (text, hint) in [
            ("lisetn", Some("listen")),
            ("Listen", Some("listen")),
            ("sites", Some("site")),
            ("trusted_proxy", Some("trusted_proxies")),
            ("trusted", Some("trusted_proxies")),
            ("banana", None),
            ("", None),
        ] {
            let hint = hint.map(|word| format!("Did you mean '{word}'?"));
            assert_eq!(did_you_mean(text, &words), hint, "{text}");
        }
    }
}
