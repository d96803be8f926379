//! CrowdSec's `simulation.yaml`, read for whoever brings their own along.
//!
//! **For:** `detection.crowdsec_simulation`. `simulation` says whether all scenarios are
//! shown only, `exclusions` which of them the contrary holds for. **Refuses:** unknown keys
//! and a second document, so that nothing bars, or spares, by a slip of the pen. **On
//! failure:** a sentence with file and line; a reload keeps what it had.

use std::collections::BTreeSet;
use std::path::Path;

use detect::rules::Bounds;
use detect::rules::yaml::{Value, Yaml, documents};

use crate::Error;

/// The largest file that is read, in bytes.
const BYTES: u64 = 1 << 20;

/// Which scenarios are shown and never enforced.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Simulation {
    all: bool,
    exclusions: BTreeSet<String>,
}

impl Simulation {
    /// Whether a scenario is shown only.
    #[must_use]
    pub fn covers(&self, scenario: &str) -> bool {
        self.all != self.exclusions.contains(scenario)
    }
}

/// Reads such a file.
///
/// # Errors
/// When it cannot be read, or says something that is not about simulation.
pub fn read(path: &Path) -> Result<Simulation, Error> {
    let shown = path.display();
    let bytes = files::read(path, BYTES).map_err(|error| {
        Error::Operator(format!(
            "Cannot read what runs in simulation from {shown}: {error}."
        ))
    })?;
    parse(&bytes).map_err(|(line, what)| {
        Error::Operator(format!(
            "What runs in simulation cannot be read from {shown}: line {line}: {what}."
        ))
    })
}

type Wrong = (u32, String);

/// The text of a file; an empty one names nothing.
fn parse(bytes: &[u8]) -> Result<Simulation, Wrong> {
    let found = documents(bytes, &Bounds::default());
    let mut found = found
        .map_err(|broken| (broken.line, broken.what))?
        .into_iter();
    let Some(first) = found.next() else {
        return Ok(Simulation::default());
    };
    if let Some(second) = found.next() {
        return Err((second.line, "a second document begins here".to_owned()));
    }
    let mut simulation = Simulation::default();
    if first.is_null() {
        return Ok(simulation);
    }
    let Value::Map(pairs) = first.value else {
        return Err((first.line, "it is not a mapping".to_owned()));
    };
    for (key, value) in pairs {
        match key.name.as_str() {
            "simulation" => simulation.all = truth(&value)?,
            "exclusions" => simulation.exclusions = names(value)?,
            other => return Err((key.line, format!("unknown key {other:?}"))),
        }
    }
    Ok(simulation)
}

/// YAML's words for yes and no, as CrowdSec takes them; nothing is no.
fn truth(yaml: &Yaml) -> Result<bool, Wrong> {
    if yaml.is_null() {
        return Ok(false);
    }
    let Value::Scalar { text, plain: true } = &yaml.value else {
        return Err((yaml.line, "on or off is expected here".to_owned()));
    };
    match text.as_str() {
        "on" | "On" | "ON" | "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "y" | "Y" => {
            Ok(true)
        }
        "off" | "Off" | "OFF" | "false" | "False" | "FALSE" | "no" | "No" | "NO" | "n" | "N" => {
            Ok(false)
        }
        other => Err((yaml.line, format!("{other:?} is neither on nor off"))),
    }
}

fn names(yaml: Yaml) -> Result<BTreeSet<String>, Wrong> {
    if yaml.is_null() {
        return Ok(BTreeSet::new());
    }
    let Value::Seq(items) = yaml.value else {
        return Err((yaml.line, "a list of scenarios is expected here".to_owned()));
    };
    let name = |item: Yaml| match item.value {
        Value::Scalar { text, .. } => Ok(text),
        _ => Err((item.line, "a scenario's name is expected here".to_owned())),
    };
    items.into_iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exclusions_turn_round_what_holds_for_all() {
        for (text, listed, other) in [
            ("", false, false),
            ("# nothing\n", false, false),
            (
                "simulation: off\n# exclusions:\n#  - a/listed\n",
                false,
                false,
            ),
            ("simulation: off\nexclusions:\n  - a/listed\n", true, false),
            ("exclusions: [a/listed]\n", true, false),
            ("simulation: true\n", true, true),
            ("simulation: on\nexclusions:\n  - a/listed\n", false, true),
            ("simulation:\nexclusions:\n", false, false),
        ] {
            let simulation = parse(text.as_bytes()).unwrap();
            let covers = (simulation.covers("a/listed"), simulation.covers("a/other"));
            assert_eq!(covers, (listed, other), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, line, said) in [
            ("simulation: maybe\n", 1, "neither on nor off"),
            ("simulation: 'on'\n", 1, "on or off"),
            ("simulation: [on]\n", 1, "on or off"),
            ("simulation: on\nexclusion: [a/b]\n", 2, "\"exclusion\""),
            ("simulation: on\nexclusions: a/b\n", 2, "a list"),
            (
                "simulation: on\nexclusions:\n  - a/b\n  - {c: d}\n",
                4,
                "name",
            ),
            ("- simulation\n", 1, "not a mapping"),
            ("simulation: on\n---\nsimulation: off\n", 3, "second"),
        ] {
            let (at, what) = parse(text.as_bytes()).unwrap_err();
            assert!(what.contains(said) && at == line, "{text}: {at}: {what}");
        }
        let twice = parse(b"simulation: on\nsimulation: off\n");
        assert!(twice.is_err(), "one of them would be passed over");
        let nested = format!("exclusions: {}", "[".repeat(5_000));
        assert!(parse(nested.as_bytes()).is_err());
    }
}
