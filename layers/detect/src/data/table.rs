//! Map files: which tag a text gets.
//!
//! For: `LookupFile(TEXT, "f")`. Each line of the file is a JSON object with a tag, a
//! pattern, and how the pattern is held against the text; the first line that fits
//! gives its tag. On failure: a line that cannot be read is reported and left out.

use std::collections::HashMap;

use aho_corasick::AhoCorasick;
use expr::go_regex;
use regex::bytes::Regex;

use super::DataLines;

/// The lines of a map file, by how they are held against a text.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    tags: Vec<Box<[u8]>>,
    /// Whole texts and their lines.
    equals: HashMap<Box<[u8]>, usize>,
    /// Parts of texts, and the line of each.
    contains: Option<(AhoCorasick, Vec<usize>)>,
    patterns: Vec<(Regex, usize)>,
}

enum Row {
    Equals(Box<[u8]>),
    Contains(Box<[u8]>),
    Pattern(Regex),
}

impl Table {
    /// Reads the lines; those that cannot be read are passed to `broken`.
    pub(crate) fn new(file: &DataLines, mut broken: impl FnMut(&[u8], String)) -> Self {
        let mut tags = Vec::new();
        let mut equals = HashMap::new();
        let mut parts: Vec<Box<[u8]>> = Vec::new();
        let mut places = Vec::new();
        let mut patterns = Vec::new();
        for line in file.lines.iter() {
            let (row, tag) = match row(line) {
                Ok(found) => found,
                Err(what) => {
                    broken(line, what);
                    continue;
                }
            };
            let place = tags.len();
            tags.push(tag);
            match row {
                Row::Equals(text) => drop(equals.entry(text).or_insert(place)),
                Row::Contains(text) => {
                    parts.push(text);
                    places.push(place);
                }
                Row::Pattern(regex) => patterns.push((regex, place)),
            }
        }
        let contains = if parts.is_empty() {
            None
        } else {
            AhoCorasick::new(&parts)
                .ok()
                .map(|automaton| (automaton, places))
        };
        Self {
            tags,
            equals,
            contains,
            patterns,
        }
    }

    /// The tag of the first line that fits, empty when none does.
    pub(crate) fn find(&self, text: &[u8]) -> &[u8] {
        let equal = self.equals.get(text).copied();
        let part = self.contains.as_ref().and_then(|(automaton, places)| {
            let found = automaton.find_overlapping_iter(text);
            found
                .filter_map(|found| places.get(found.pattern().as_usize()).copied())
                .min()
        });
        let earliest = equal.into_iter().chain(part).min();
        let earlier = |place: &usize| earliest.is_none_or(|known| *place < known);
        let fits =
            |(regex, place): &&(Regex, usize)| earlier(place) && go_regex::is_match(regex, text);
        let pattern = self.patterns.iter().find(fits).map(|(_, place)| *place);
        let tag = pattern.or(earliest).and_then(|place| self.tags.get(place));
        tag.map_or(b"", |tag| tag)
    }
}

fn row(line: &[u8]) -> Result<(Row, Box<[u8]>), String> {
    let json: serde_json::Value =
        serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let text = |key: &str| json.get(key).and_then(serde_json::Value::as_str);
    let (Some(tag), Some(pattern)) = (text("tag"), text("pattern")) else {
        return Err("tag or pattern is missing".to_owned());
    };
    let row = match text("type").unwrap_or("equals") {
        "equals" => Row::Equals(pattern.as_bytes().into()),
        "contains" => Row::Contains(pattern.as_bytes().into()),
        "regex" | "regexp" => {
            Row::Pattern(go_regex::compile(pattern.as_bytes()).map_err(|error| error.to_string())?)
        }
        other => {
            return Err(format!(
                "the type is {other:?}, not equals, contains or regex"
            ));
        }
    };
    Ok((row, tag.as_bytes().into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::DataSet;
    use crate::rules::DataKind;

    #[test]
    fn the_first_line_that_fits_gives_its_tag() {
        let mut data = DataSet::default();
        let lines = r#"{"tag":"one","pattern":"/b/","type":"contains"}
{"tag":"two","pattern":"/a/b/c","type":"equals"}
{"tag":"three","pattern":"^/x[0-9]","type":"regex"}
{"tag":"four","pattern":"/x","type":"contains"}
{"tag":"five","pattern":"/d"}
"#;
        data.add("f", DataKind::Map, lines);
        let table = Table::new(data.get("f").unwrap(), |_, what| panic!("{what}"));
        for (text, tag) in [
            ("/a/b/c", "one"),
            ("/x1", "three"),
            ("/xy", "four"),
            ("/d", "five"),
            ("/d/", ""),
            ("", ""),
        ] {
            assert_eq!(table.find(text.as_bytes()), tag.as_bytes(), "{text}");
        }
    }

    #[test]
    fn lines_that_cannot_be_read_are_reported() {
        let mut data = DataSet::default();
        data.add("f", DataKind::Map, "{\n{}\n{\"tag\":\"a\",\"pattern\":\"(\",\"type\":\"regex\"}\n{\"tag\":\"a\",\"pattern\":\"b\",\"type\":\"x\"}\n");
        let mut broken = 0;
        Table::new(data.get("f").unwrap(), |_, _| broken += 1);
        assert_eq!(broken, 4);
    }
}
