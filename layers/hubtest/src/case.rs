//! What a case's `config.yaml` says.
//!
//! Keys that are not known are ignored, as the hub's own runner does: some cases carry
//! keys of former versions, one a misspelt one.

use detect::rules::Bounds;
use detect::rules::yaml::{Value, Yaml, documents};

/// A case, before anything was loaded.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Case {
    /// Parsers by name (`crowdsecurity/nginx-logs`) or path
    /// (`./parsers/s01-parse/crowdsecurity/nginx-logs.yaml`).
    pub parsers: Vec<String>,
    /// Scenarios by name or path.
    pub scenarios: Vec<String>,
    /// Postoverflows by name or path.
    pub postoverflows: Vec<String>,
    /// The log, a file in the case's folder.
    pub log_file: String,
    /// The log's label `type`.
    pub log_type: String,
    /// Further labels of the log.
    pub labels: Vec<(String, String)>,
    /// Whether nothing is asserted about parsers.
    pub ignore_parsers: bool,
    /// Statics that run before the first parser, each as its keys and values.
    pub overrides: Vec<Vec<(String, String)>>,
    /// Set when the case needs a scanner that sends requests, which nobody does here.
    pub nuclei_template: String,
}

impl Case {
    /// Reads a `config.yaml`.
    ///
    /// # Errors
    /// A sentence for the operator: where it is no YAML, or of the wrong shape.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let broken = |broken: detect::rules::yaml::Broken| {
            format!("config.yaml:{}: {}", broken.line, broken.what)
        };
        let mut found = documents(bytes, &Bounds::default())
            .map_err(broken)?
            .into_iter();
        let Some(Yaml {
            value: Value::Map(pairs),
            ..
        }) = found.next()
        else {
            return Err("config.yaml: it is no mapping".to_owned());
        };
        let mut case = Self::default();
        for (key, value) in pairs {
            case.take(&key.name, value)?;
        }
        if case.log_file.is_empty() || case.log_type.is_empty() {
            return Err("config.yaml: log_file and log_type must be given".to_owned());
        }
        Ok(case)
    }

    fn take(&mut self, key: &str, value: Yaml) -> Result<(), String> {
        match key {
            "parsers" => self.parsers = names(key, value)?,
            "scenarios" => self.scenarios = names(key, value)?,
            "postoverflows" => self.postoverflows = names(key, value)?,
            "log_file" => self.log_file = scalar(key, value)?,
            "log_type" => self.log_type = scalar(key, value)?,
            "nuclei_template" => self.nuclei_template = scalar(key, value)?,
            "ignore_parsers" => {
                let text = scalar(key, value)?;
                self.ignore_parsers = match text.as_str() {
                    "true" | "True" | "yes" => true,
                    "false" | "False" | "no" | "" => false,
                    _ => return Err(format!("config.yaml: {key} is {text:?}, not true or false")),
                };
            }
            "labels" => self.labels = pairs(key, value)?,
            "override_statics" => {
                let items = list(key, value)?.into_iter();
                self.overrides = items
                    .map(|item| pairs(key, item))
                    .collect::<Result<_, _>>()?;
            }
            _ => {}
        }
        Ok(())
    }
}

fn wrong(key: &str, line: u32, wanted: &str) -> String {
    format!("config.yaml:{line}: {key} must be {wanted}")
}

fn scalar(key: &str, value: Yaml) -> Result<String, String> {
    if value.is_null() {
        return Ok(String::new());
    }
    match value.value {
        Value::Scalar { text, .. } => Ok(text),
        Value::Seq(_) | Value::Map(_) => Err(wrong(key, value.line, "a text")),
    }
}

fn list(key: &str, value: Yaml) -> Result<Vec<Yaml>, String> {
    if value.is_null() {
        return Ok(Vec::new());
    }
    match value.value {
        Value::Seq(items) => Ok(items),
        Value::Scalar { .. } | Value::Map(_) => Err(wrong(key, value.line, "a list")),
    }
}

/// Names; the empty one, which the hub's generator writes, is none.
fn names(key: &str, value: Yaml) -> Result<Vec<String>, String> {
    let names = list(key, value)?.into_iter().map(|item| scalar(key, item));
    let mut names = names.collect::<Result<Vec<_>, _>>()?;
    names.retain(|name| !name.is_empty());
    Ok(names)
}

fn pairs(key: &str, value: Yaml) -> Result<Vec<(String, String)>, String> {
    if value.is_null() {
        return Ok(Vec::new());
    }
    match value.value {
        Value::Map(pairs) => pairs
            .into_iter()
            .map(|(name, value)| Ok((name.name, scalar(key, value)?)))
            .collect(),
        Value::Scalar { .. } | Value::Seq(_) => Err(wrong(key, value.line, "a mapping")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_read_and_what_is_not_known_is_ignored() {
        let text = "parsers:\n- a/b\n- \"\"\n- ./parsers/x.yaml #why\nostoverflows: 7\n\
            log_file: x.log\nlog_type: syslog\nlabels: {}\nignore_parsers: true\n\
            override_statics:\n - target: evt.Line.Module\n   value: wineventlog\n";
        let case = Case::read(text.as_bytes()).unwrap();
        assert_eq!(case.parsers, ["a/b", "./parsers/x.yaml"]);
        assert!(case.ignore_parsers && case.labels.is_empty() && case.scenarios.is_empty());
        assert_eq!(
            case.overrides[0][1],
            ("value".to_owned(), "wineventlog".to_owned())
        );
    }

    #[test]
    fn what_is_no_case_is_told_in_a_sentence() {
        for (text, why) in [
            ("", "no mapping"),
            ("- a\n", "no mapping"),
            ("log_file: x\n", "must be given"),
            ("log_file: [a]\nlog_type: b\n", "log_file must be a text"),
            ("parsers: a\n", "parsers must be a list"),
            ("ignore_parsers: perhaps\n", "not true or false"),
            ("override_statics: [x]\n", "must be a mapping"),
            ("a: &b 1\n", "anchor"),
        ] {
            let told = Case::read(text.as_bytes()).unwrap_err();
            assert!(told.contains(why), "{text:?}: {told}");
        }
    }
}
