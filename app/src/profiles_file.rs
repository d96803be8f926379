//! CrowdSec's `profiles.yaml`, read for whoever brings their own along.
//!
//! **For:** `book.crowdsec_profiles`. **Refuses:** unknown keys, and more than
//! [`MOST`] profiles. Notifications are no part of a profile here; they are passed
//! over. **On failure:** a sentence with file and line; a reload keeps what it had.

use std::path::Path;

use detect::rules::Bounds;
use detect::rules::yaml::{Value, Yaml, documents};
use respond::{Draft, DraftDecision, Expressed};

use crate::Error;

/// The largest file that is read, in bytes.
const BYTES: u64 = 1 << 20;
/// How many profiles a file may have.
const MOST: usize = 100;

/// Reads and compiles a file of profiles.
///
/// # Errors
/// When it cannot be read, or says something that no profile can say.
pub fn read(path: &Path) -> Result<Vec<Expressed>, Error> {
    let shown = path.display();
    let bytes = files::read(path, BYTES).map_err(|error| {
        Error::Operator(format!("Cannot read the profiles in {shown}: {error}."))
    })?;
    compile(&bytes).map_err(|(line, what)| {
        Error::Operator(format!(
            "The profiles in {shown} cannot be used: line {line}: {what}."
        ))
    })
}

type Wrong = (u32, String);

/// Profiles from the text of a file, one a document.
fn compile(bytes: &[u8]) -> Result<Vec<Expressed>, Wrong> {
    let bounds = Bounds {
        documents: MOST,
        ..Bounds::default()
    };
    let documents = documents(bytes, &bounds).map_err(|broken| (broken.line, broken.what))?;
    if documents.is_empty() {
        return Err((1, "there is no profile in it".to_owned()));
    }
    documents
        .into_iter()
        .map(|yaml| {
            let line = yaml.line;
            Expressed::compile(&draft(yaml)?).map_err(|what| (line, what))
        })
        .collect()
}

fn draft(yaml: Yaml) -> Result<Draft, Wrong> {
    let mut draft = Draft::default();
    for (line, key, value) in pairs(yaml, "a profile")? {
        match key.as_str() {
            "name" => draft.name = text(value)?,
            "filters" => {
                let filters = items(value)?.into_iter().map(text);
                draft.filters = filters.collect::<Result<_, _>>()?;
            }
            "decisions" => {
                let decisions = items(value)?.into_iter().map(decision);
                draft.decisions = decisions.collect::<Result<_, _>>()?;
            }
            "duration_expr" => draft.duration_expr = text(value)?,
            "on_success" => draft.on_success = text(value)?,
            "on_failure" => draft.on_failure = text(value)?,
            "on_error" => draft.on_error = text(value)?,
            "debug" | "notifications" | "description" => {}
            _ => return Err((line, format!("unknown key {key:?} of a profile"))),
        }
    }
    Ok(draft)
}

fn decision(yaml: Yaml) -> Result<DraftDecision, Wrong> {
    let mut decision = DraftDecision::default();
    for (line, key, value) in pairs(yaml, "a decision")? {
        match key.as_str() {
            "type" => decision.kind = text(value)?,
            "duration" => decision.duration = text(value)?,
            "scope" => decision.scope = text(value)?,
            "simulated" => decision.simulated = text(value)? == "true",
            // Who asked is said by the book itself.
            "origin" => {}
            _ => return Err((line, format!("unknown key {key:?} of a decision"))),
        }
    }
    Ok(decision)
}

fn pairs(yaml: Yaml, what: &str) -> Result<Vec<(u32, String, Yaml)>, Wrong> {
    match yaml.value {
        Value::Map(pairs) => Ok(pairs
            .into_iter()
            .map(|(key, value)| (key.line, key.name, value))
            .collect()),
        _ => Err((yaml.line, format!("{what} is not a mapping"))),
    }
}

fn items(yaml: Yaml) -> Result<Vec<Yaml>, Wrong> {
    if yaml.is_null() {
        return Ok(Vec::new());
    }
    match yaml.value {
        Value::Seq(items) => Ok(items),
        _ => Err((yaml.line, "a list is expected here".to_owned())),
    }
}

fn text(yaml: Yaml) -> Result<String, Wrong> {
    if yaml.is_null() {
        return Ok(String::new());
    }
    match yaml.value {
        Value::Scalar { text, .. } => Ok(text),
        _ => Err((yaml.line, "a single text is expected here".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "
name: captcha_first
filters:
  - Alert.Remediation == true && Alert.GetScope() == 'Ip' && GetDecisionsSinceCount(Alert.GetValue(), '24h') < 3
decisions:
  - type: captcha
    duration: 4h
notifications:
  - slack_default
on_success: break
---
name: default_ip_remediation
#debug: true
filters:
  - Alert.Remediation == true && Alert.GetScope() == \"Ip\"
decisions:
  - type: ban
    duration: 4h
duration_expr: Sprintf('%dh', (GetDecisionsCount(Alert.GetValue()) + 1) * 4)
on_success: break
";

    #[test]
    fn a_file_as_crowdsec_documents_it_is_read() {
        assert_eq!(compile(TWO.as_bytes()).unwrap().len(), 2);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, line, said) in [
            ("", 1, "no profile"),
            (
                "name: a\nfilter:\n  - 'true'\n",
                2,
                "unknown key \"filter\"",
            ),
            ("name: a\nfilters: 'true'\n", 2, "a list"),
            (
                "name: a\nfilters: ['true']\ndecisions:\n  - ban\n",
                4,
                "mapping",
            ),
            (
                "name: a\nfilters: ['true']\ndecisions:\n  - kind: ban\n",
                4,
                "unknown key \"kind\"",
            ),
            ("name: a\nfilters: ['Alert.(']\n", 1, "a filter is wrong"),
            (
                "name: a\nfilters: ['true']\nduration_expr: nonsense(\n",
                1,
                "duration_expr",
            ),
        ] {
            let (at, what) = compile(text.as_bytes()).unwrap_err();
            assert!(what.contains(said) && at == line, "{text}: {at}: {what}");
        }
        let nested = format!("name: {}", "[".repeat(5_000));
        assert!(compile(nested.as_bytes()).is_err());
        let many = "name: a\nfilters: ['true']\n---\n".repeat(MOST + 1);
        assert!(compile(many.as_bytes()).is_err());
    }
}
