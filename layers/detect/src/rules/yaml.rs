//! A small tree of YAML with line numbers.
//!
//! Built from the parser's events, so that depth and size are bounded while reading.
//! Refuses: aliases and anchors (no rule file needs them, and they are the way to
//! blow a small file up), tags, complex keys, repeated keys.

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::Bounds;

/// The most keys of one mapping: repeated keys are looked for in a row.
const KEYS: usize = 2_000;

/// A value and the line it starts on.
#[derive(Clone, PartialEq, Debug)]
pub struct Yaml {
    /// The line, from 1.
    pub line: u32,
    /// What stands there.
    pub value: Value,
}

/// What YAML is made of.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// A scalar.
    Scalar {
        /// Its text, without quotes.
        text: String,
        /// Whether it was written without quotes, and so may be a number, a boolean or
        /// null.
        plain: bool,
    },
    /// A sequence.
    Seq(Vec<Yaml>),
    /// A mapping; no key stands in it twice.
    Map(Vec<(Key, Yaml)>),
}

/// A key of a mapping.
#[derive(Clone, PartialEq, Debug)]
pub struct Key {
    /// The line it stands on, from 1.
    pub line: u32,
    /// Its text.
    pub name: String,
}

/// Why a file could not be read, and where.
#[derive(Clone, PartialEq, Debug)]
pub struct Broken {
    /// The line, from 1; 0 when the whole file is meant.
    pub line: u32,
    /// What is wrong, a clause without a full stop.
    pub what: String,
    /// What to do about it, a sentence; may be empty.
    pub help: &'static str,
}

impl Broken {
    pub(crate) fn new(line: u32, what: impl Into<String>, help: &'static str) -> Self {
        Self {
            line,
            what: what.into(),
            help,
        }
    }
}

impl Yaml {
    /// Whether it is YAML's null, or nothing at all.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true }
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }
}

/// Reads every document of `bytes`; empty documents are left out.
///
/// # Errors
/// [`Broken`] at the first fault: no YAML, not UTF-8, beyond the bounds, or one of the
/// things that are refused here.
pub fn documents(bytes: &[u8], bounds: &Bounds) -> Result<Vec<Yaml>, Broken> {
    if bytes.len() > bounds.file_bytes {
        let what = format!(
            "the file has {} bytes, {} are allowed",
            bytes.len(),
            bounds.file_bytes
        );
        return Err(Broken::new(0, what, "Split it."));
    }
    let text = core::str::from_utf8(bytes).map_err(|error| {
        let line =
            1 + memchr::memchr_iter(b'\n', bytes.get(..error.valid_up_to()).unwrap_or(b"")).count();
        Broken::new(
            number(line),
            "the file is not UTF-8 here",
            "Save it as UTF-8.",
        )
    })?;
    let mut builder = Builder {
        bounds,
        nodes: 0,
        stack: Vec::new(),
        finished: Vec::new(),
    };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            Broken::new(
                number(error.marker().line()),
                format!("this is not YAML: {}", error.info()),
                "Check indentation and quotes.",
            )
        })?;
        builder.take(event, span)?;
    }
    builder.finished.retain(|document| !document.is_null());
    Ok(builder.finished)
}

fn number(line: usize) -> u32 {
    u32::try_from(line).unwrap_or(u32::MAX)
}

/// What is still open while events come in.
enum Open {
    Seq(u32, Vec<Yaml>),
    Map(u32, Vec<(Key, Yaml)>, Option<Key>),
}

struct Builder<'b> {
    bounds: &'b Bounds,
    nodes: usize,
    stack: Vec<Open>,
    finished: Vec<Yaml>,
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Broken> {
        let line = number(span.start.line());
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                refuse_extras(line, anchor, tag.is_some())?;
                let plain = style == ScalarStyle::Plain;
                let text = text.into_owned();
                self.put(Yaml {
                    line,
                    value: Value::Scalar { text, plain },
                })
            }
            Event::SequenceStart(anchor, tag) => {
                refuse_extras(line, anchor, tag.is_some())?;
                self.open(line, Open::Seq(line, Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                refuse_extras(line, anchor, tag.is_some())?;
                self.open(line, Open::Map(line, Vec::new(), None))
            }
            Event::SequenceEnd | Event::MappingEnd => match self.stack.pop() {
                Some(Open::Seq(line, items)) => self.put(Yaml {
                    line,
                    value: Value::Seq(items),
                }),
                Some(Open::Map(line, pairs, _)) => self.put(Yaml {
                    line,
                    value: Value::Map(pairs),
                }),
                None => Ok(()),
            },
            Event::Alias(_) => Err(Broken::new(
                line,
                "an alias (*name) stands here",
                "Write the value out.",
            )),
            Event::DocumentStart(_) if self.finished.len() >= self.bounds.documents => {
                let what = format!("more than {} documents", self.bounds.documents);
                Err(Broken::new(line, what, "Split the file."))
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn open(&mut self, line: u32, open: Open) -> Result<(), Broken> {
        if self.stack.len() >= self.bounds.depth {
            let what = format!("nested more than {} deep", self.bounds.depth);
            return Err(Broken::new(line, what, "Flatten it."));
        }
        if let (Open::Seq(..) | Open::Map(..), Some(Open::Map(_, _, None))) =
            (&open, self.stack.last())
        {
            return Err(Broken::new(
                line,
                "a key is not a plain text",
                "Write a word before the colon.",
            ));
        }
        self.stack.push(open);
        Ok(())
    }

    fn put(&mut self, value: Yaml) -> Result<(), Broken> {
        self.nodes += 1;
        if self.nodes > self.bounds.nodes {
            let what = format!("more than {} values", self.bounds.nodes);
            return Err(Broken::new(value.line, what, "Split the file."));
        }
        match self.stack.last_mut() {
            None => self.finished.push(value),
            Some(Open::Seq(_, items)) => items.push(value),
            Some(Open::Map(_, pairs, waiting)) => match waiting.take() {
                Some(key) => pairs.push((key, value)),
                None => {
                    let Value::Scalar { text, .. } = value.value else {
                        return Err(Broken::new(
                            value.line,
                            "a key is not a plain text",
                            "Write a word before the colon.",
                        ));
                    };
                    if pairs.len() >= KEYS {
                        let what = format!("a mapping of more than {KEYS} keys");
                        return Err(Broken::new(value.line, what, "Split it."));
                    }
                    if pairs.iter().any(|(key, _)| key.name == text) {
                        let what = format!("the key {text:?} stands here a second time");
                        return Err(Broken::new(value.line, what, "Keep one of them."));
                    }
                    *waiting = Some(Key {
                        line: value.line,
                        name: text,
                    });
                }
            },
        }
        Ok(())
    }
}

fn refuse_extras(line: u32, anchor: usize, tagged: bool) -> Result<(), Broken> {
    if anchor != 0 {
        return Err(Broken::new(
            line,
            "an anchor (&name) stands here",
            "Write the value out.",
        ));
    }
    if tagged {
        return Err(Broken::new(line, "a tag (!name) stands here", "Remove it."));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Yaml>, Broken> {
        documents(text.as_bytes(), &Bounds::default())
    }

    #[test]
    fn documents_are_read_with_their_lines() {
        let documents =
            read("a: 1\nb:\n  - x\n  - 'y'\n---\n# nothing\n---\nc: |\n  text\n").unwrap();
        assert_eq!(documents.len(), 2);
        let Value::Map(pairs) = &documents[0].value else {
            panic!("not a mapping")
        };
        assert_eq!((pairs[1].0.line, pairs[1].0.name.as_str()), (2, "b"));
        let Value::Seq(items) = &pairs[1].1.value else {
            panic!("not a sequence")
        };
        assert_eq!(items[1].line, 4);
    }

    #[test]
    fn what_is_not_plain_yaml_is_refused_with_its_line() {
        for (text, line) in [
            ("a: &x 1\nb: *x\n", 1),
            ("a: 1\nb: !!str 2\n", 2),
            ("a: 1\na: 2\n", 2),
            ("a: 1\n? [x]\n: 2\n", 2),
            ("a: 1\nb: [1, 2\n", 3),
            ("a: 'open\n\n", 1),
            ("a: b: c\n", 1),
        ] {
            let broken = read(text).unwrap_err();
            assert!(broken.line.abs_diff(line) <= 1, "{text:?}: {broken:?}");
        }
    }

    #[test]
    fn deep_wide_and_many_are_bounded() {
        let deep = format!("{}1{}", "[".repeat(50_000), "]".repeat(50_000));
        assert!(read(&deep).is_err());
        let deep = format!("a: {}1{}", "[".repeat(100), "]".repeat(100));
        assert!(read(&deep).unwrap_err().what.contains("deep"));
        let deep = format!("a: {}", "{a: ".repeat(5_000));
        assert!(read(&deep).is_err());
        let block = (0..300).fold(String::new(), |text, depth| {
            text + &" ".repeat(depth) + "a:\n"
        });
        assert!(read(&block).is_err());
        assert!(
            read(&"- 1\n".repeat(300_000))
                .unwrap_err()
                .what
                .contains("values")
        );
        assert!(
            read(&"---\na: 1\n".repeat(2_000))
                .unwrap_err()
                .what
                .contains("documents")
        );
        assert!(
            read(&"#".repeat(5 << 20))
                .unwrap_err()
                .what
                .contains("bytes")
        );
        assert_eq!(
            documents(b"a: 1\nb: \xff\n", &Bounds::default())
                .unwrap_err()
                .line,
            2
        );
    }
}
