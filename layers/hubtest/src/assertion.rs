//! Asserts: expressions over a dump, one a line.
//!
//! **Assumes.** An assert file may be hostile; `expr` bounds what a line may cost.
//! **On failure.** A line that does not compile, fails or is not true is a [`Failure`] that
//! shows what the dump holds instead.

use expr::{Env, EvalError, Expr, Found, Schema, SlotId, Type, Value};

/// How many failures are told in full; the others are counted.
pub const MAX_TOLD: usize = 50;
/// How much of a value or a line is shown.
const MAX_SHOWN: usize = 160;

/// An assert that does not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// The file's name, `parser.assert` or `scenario.assert`.
    pub file: &'static str,
    /// The line, from 1.
    pub line: usize,
    /// What stands there; long lines are cut.
    pub text: String,
    /// Why it does not hold.
    pub why: String,
}

/// What became of a file of asserts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Outcome {
    /// How many asserts there are.
    pub asserts: usize,
    /// How many do not hold.
    pub failed: usize,
    /// The first of those.
    pub failures: Vec<Failure>,
}

/// A file of asserts, compiled.
#[derive(Debug)]
pub struct Asserts {
    file: &'static str,
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    number: usize,
    text: Box<[u8]>,
    /// What is evaluated, or why nothing can be.
    compiled: Result<Expr, String>,
}

impl Asserts {
    /// Compiles every line of a file; empty ones are none.
    #[must_use]
    pub fn new(file: &'static str, text: &[u8]) -> Self {
        let lines = text.split(|byte| *byte == b'\n').enumerate();
        let lines = lines
            .map(|(at, line)| (at + 1, line.trim_ascii()))
            .filter(|(_, line)| !line.is_empty())
            .map(|(number, line)| Line {
                number,
                text: line.into(),
                compiled: compile(line),
            });
        Self {
            file,
            lines: lines.collect(),
        }
    }

    /// How many of them do not hold over `results`.
    #[must_use]
    pub fn failing(&self, results: &Value<'_>) -> usize {
        let dump = Dump(results);
        let holds = |line: &&Line| {
            let Ok(expression) = &line.compiled else {
                return false;
            };
            expression.truth(&dump) == Ok(true)
        };
        self.lines.len() - self.lines.iter().filter(holds).count()
    }

    /// Evaluates all of them over `results`.
    #[must_use]
    pub fn check(&self, results: &Value<'_>) -> Outcome {
        let dump = Dump(results);
        let mut outcome = Outcome {
            asserts: self.lines.len(),
            ..Outcome::default()
        };
        for line in &self.lines {
            let Err(why) = line.holds(&dump) else {
                continue;
            };
            outcome.failed += 1;
            if outcome.failures.len() < MAX_TOLD {
                outcome.failures.push(Failure {
                    file: self.file,
                    line: line.number,
                    text: cut(&String::from_utf8_lossy(&line.text)),
                    why,
                });
            }
        }
        outcome
    }
}

impl Line {
    fn holds(&self, dump: &Dump<'_, '_>) -> Result<(), String> {
        let expression = self.compiled.as_ref().map_err(String::clone)?;
        match expression.truth(dump) {
            Ok(true) => Ok(()),
            Ok(false) => Err(because(expression.source(), dump)),
            Err(error) => Err(format!("it cannot be evaluated: {error}")),
        }
    }
}

fn compile(line: &[u8]) -> Result<Expr, String> {
    let line = core::str::from_utf8(line).map_err(|_| "the line is not UTF-8".to_owned())?;
    let rewritten = without_folder(line);
    let line = rewritten.as_deref().unwrap_or(line);
    let compiled = expr::compile(line, &mut Names, Type::Bool);
    compiled.map_err(|error| format!("it does not compile: {}", error.message))
}

/// Paths of logs are compared by the file's name alone, since everybody's lie elsewhere.
fn without_folder(line: &str) -> Option<String> {
    if !line.contains("datasource_path") || line.contains("basename(") {
        return None;
    }
    let (left, right) = equation(line)?;
    Some(format!("basename({left}) == {right}"))
}

/// The two sides of the first `==` outside of quotes.
fn equation(line: &str) -> Option<(&str, &str)> {
    let bytes = line.as_bytes();
    let mut quote = None;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match (quote, byte) {
            (Some(b'"' | b'\''), b'\\') => at += 1,
            (Some(open), byte) if open == *byte => quote = None,
            (None, b'"' | b'\'' | b'`') => quote = Some(*byte),
            (None, b'=') if bytes.get(at + 1) == Some(&b'=') => {
                let (left, right) = line.split_at_checked(at)?;
                return Some((left.trim(), right.strip_prefix("==")?.trim()));
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// What is there instead, for an equation; other asserts are just not true.
fn because(line: &str, dump: &Dump<'_, '_>) -> String {
    let side = |text: &str| -> Option<String> {
        let side: Expr = expr::compile(text, &mut Names, Type::Any).ok()?;
        let told = match side.eval(dump) {
            Ok(value) => shown(&value),
            Err(error) => format!("an error ({error})"),
        };
        Some(told)
    };
    let found = equation(line).and_then(|(left, _)| side(left));
    found.map_or_else(
        || "it is not true".to_owned(),
        |found| format!("it is {found}"),
    )
}

fn shown(value: &Value<'_>) -> String {
    match value {
        Value::Nil => "nil: there is no such thing".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::Str(text) => format!("{:?}", cut(&String::from_utf8_lossy(text))),
        other => format!("a {}", other.type_name()),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// The one name that asserts may use.
struct Names;

impl Schema for Names {
    fn path(&mut self, path: &[&str]) -> Option<Found> {
        (path.first() == Some(&"results")).then_some(Found {
            slot: SlotId(0),
            ty: Type::Any,
            used: 1,
        })
    }

    fn names(&self, parent: &[&str]) -> Vec<String> {
        match parent {
            [] => vec!["results".to_owned()],
            _ => Vec::new(),
        }
    }
}

struct Dump<'d, 'v>(&'d Value<'v>);

impl Env for Dump<'_, '_> {
    fn text(&self, _: SlotId) -> &[u8] {
        b""
    }

    fn value(&self, _: SlotId) -> Value<'_> {
        self.0.clone()
    }

    fn apply(&mut self, effect: expr::Effect<'_>) -> Result<(), EvalError> {
        Err(EvalError::Unavailable(effect.function()))
    }
}

#[cfg(test)]
mod tests {
    use expr::{Data, Fields, Missing};

    use super::*;

    fn results() -> Data {
        let mut meta = Fields::new(Missing::Empty);
        meta.insert(b"datasource_path", Data::text("/tmp/a b/x.log"));
        meta.insert(b"a==b", Data::text("1"));
        let mut evt = Fields::new(Missing::Nil);
        evt.insert(b"Meta", Data::Map(meta));
        Data::Map(evt)
    }

    fn check_one(line: &str) -> Outcome {
        let data = results();
        Asserts::new("parser.assert", line.as_bytes()).check(&data.value())
    }

    #[test]
    fn what_holds_passes_and_what_does_not_says_what_is_there() {
        for line in [
            "results.Meta[\"datasource_path\"] == \"x.log\"",
            "results[\"Meta\"][\"datasource_path\"] == 'x.log'  ",
            "basename(results.Meta[\"datasource_path\"]) == \"x.log\"",
            "results.Meta[\"a==b\"] == \"1\"",
            "results.Meta[\"absent\"] == \"\"",
            "len(results) == 1",
            "\n\n",
        ] {
            assert_eq!(check_one(line).failures, [], "{line}");
        }
        for (line, why) in [
            ("results.Meta[\"a==b\"] == \"2\"", "it is \"1\""),
            (
                "results.Meta[\"datasource_path\"] == \"y.log\"",
                "it is \"x.log\"",
            ),
            ("len(results) == 2", "it is 1"),
            (
                "results.Nothing == 'x'",
                "it is nil: there is no such thing",
            ),
            ("'x' in results.Meta", "it is not true"),
            ("results.Meta[0] == 'x'", "it cannot be evaluated"),
            ("result.Meta == 'x'", "it does not compile"),
            ("results.Meta ==", "it does not compile"),
            ("'x'", "it does not compile"),
            ("\u{fffd}", "it does not compile"),
        ] {
            let outcome = check_one(line);
            assert_eq!((outcome.asserts, outcome.failed), (1, 1), "{line}");
            let told = &outcome.failures[0].why;
            assert!(told.starts_with(why), "{line}: {told}");
        }
    }

    #[test]
    fn a_hostile_file_costs_no_more_than_it_is_long() {
        let deep = format!("{}1{} == 1", "(".repeat(5_000), ")".repeat(5_000));
        let long = format!("results.Meta == '{}'", "x".repeat(1 << 20));
        let greedy = "len(1..10000000) == 1";
        let nested = "any(1..10000, {any(1..10000, {any(1..10000, {false})})})";
        let regex = format!("'a' matches '{}'", "(a{1000}){1000}");
        for line in [&deep, &long, greedy, nested, &regex] {
            assert_eq!(check_one(line).failed, 1);
        }
        let many = "false\n".repeat(10_000);
        let outcome = check_one(&many);
        assert_eq!((outcome.failed, outcome.failures.len()), (10_000, MAX_TOLD));
        let bytes = Asserts::new("parser.assert", b"\xff\xfe == 1\n").check(&Value::Nil);
        assert_eq!(bytes.failures[0].why, "the line is not UTF-8");
    }
}
