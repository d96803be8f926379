//! Overrides from the environment: `RINGWALL_SECTION__KEY`.
//!
//! The part behind `RINGWALL_` is the key's path in any case, joined by two
//! underscores, list indices as numbers: `RINGWALL_EDGE__SITE__0__MODE=observe`.
//! Lists are written with commas or as TOML. With `_FILE` behind the name the value
//! is read from that file, so that secrets stay out of the environment. Names without
//! two underscores (`RINGWALL_TEST_ALL`) are not ours.

use std::path::Path;

use serde_json::{Map, Value};

use crate::fault::{Cause, Fault, Place, Source};
use crate::shape::{Schema, did_you_mean, type_names};
use crate::surroundings::Surroundings;
use crate::tree::{Tree, json_of_toml};

const PREFIX: &str = "RINGWALL_";

/// Lays every override over the tree.
pub(crate) fn apply(
    schema: &Schema,
    around: &Surroundings<'_>,
    source: &Source,
    tree: &mut Tree,
    faults: &mut Vec<Fault>,
) {
    for (name, text) in &around.env {
        let Some(path) = name.strip_prefix(PREFIX).filter(|path| path.contains("__")) else {
            continue;
        };
        let place = Place::Env(name.clone());
        match read(schema, around, name, path, text) {
            Ok((path, value)) => {
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                tree.set(&path, &value, &place);
            }
            Err((cause, problem, help)) => {
                let mut fault = Fault::new(cause, place, source);
                fault.problem = problem;
                fault.help = help;
                faults.push(fault);
            }
        }
    }
}

type Refused = (Cause, String, String);

fn read(
    schema: &Schema,
    around: &Surroundings<'_>,
    name: &str,
    path: &str,
    text: &str,
) -> Result<(Vec<String>, Value), Refused> {
    let steps = |path: &str| -> Vec<String> {
        path.to_lowercase().split("__").map(str::to_owned).collect()
    };
    let whole = steps(path);
    let (node, unknown) = match descend(schema, &whole) {
        Ok(node) => return coerce(schema, node, text).map(|value| (whole, value)),
        Err(unknown) => (path.strip_suffix("_FILE"), unknown),
    };
    let found = node.map(steps).and_then(|short| {
        let node = descend(schema, &short).ok()?;
        Some((short, node))
    });
    let Some((short, node)) = found else {
        return Err((
            Cause::UnknownKey,
            "there is no such key".to_owned(),
            unknown,
        ));
    };
    let plain = name.strip_suffix("_FILE").unwrap_or(name);
    if around.env.contains_key(plain) {
        let problem = format!("{plain} is set as well");
        return Err((Cause::Conflict, problem, "Set one of the two.".to_owned()));
    }
    let file = around.directory.join(Path::new(text));
    match around.probe.read(&file) {
        Ok(text) => {
            coerce(schema, node, text.trim_end_matches(['\n', '\r'])).map(|value| (short, value))
        }
        Err(error) => {
            let problem = format!("cannot read {}: {error}", file.display());
            Err((
                Cause::File,
                problem,
                "Name a readable text file of at most 64 KiB.".to_owned(),
            ))
        }
    }
}

/// The schema at a path, or a hint why there is none.
fn descend<'a>(schema: &'a Schema, path: &[String]) -> Result<&'a Value, String> {
    let mut node = schema.root();
    for step in path {
        let shapes = schema.shapes(node);
        let next = shapes.iter().find_map(|shape| {
            let items = shape.get("items").filter(|_| step.parse::<usize>().is_ok());
            items.or_else(|| Schema::key(shape, step))
        });
        let Some(next) = next else {
            let keys: Vec<&str> = shapes
                .iter()
                .flat_map(|shape| Schema::keys(shape))
                .collect();
            let hint = did_you_mean(step, &keys);
            return Err(hint.unwrap_or_else(|| {
                "See 'ringwall show' for the keys; parts are joined by two underscores.".to_owned()
            }));
        };
        node = next;
    }
    Ok(node)
}

/// A text as the type that the schema wants; strings are taken as they are.
fn coerce(schema: &Schema, node: &Value, text: &str) -> Result<Value, Refused> {
    let shapes = schema.shapes(node);
    let wants = |name: &str| shapes.iter().any(|shape| type_names(shape).contains(&name));
    let structured = text.trim_start().starts_with(['[', '{']);
    if wants("string") && !(structured && (wants("object") || wants("array"))) {
        return Ok(Value::from(text));
    }
    if wants("array") && !structured {
        let parts = text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty());
        return Ok(parts.map(Value::from).collect());
    }
    if text.trim().is_empty() && wants("object") {
        return Ok(Value::Object(Map::new()));
    }
    json_of_toml(text.trim()).ok_or_else(|| {
        let kind = match () {
            () if wants("boolean") => "true or false",
            () if wants("integer") => "a whole number",
            () if wants("number") => "a number",
            () if wants("array") => "a list",
            () => "an inline table",
        };
        (Cause::WrongType, format!("expected {kind}"), String::new())
    })
}
