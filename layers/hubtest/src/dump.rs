//! What parsers did, as asserts see it.
//!
//! `results["s01-parse"]["crowdsecurity/nginx-logs"][3].Evt.Meta["source_ip"]`: by stage,
//! by the leading node's name, one entry for each line that reached the node, in the order
//! of the lines, whether the node took the line or not; each with the event as it was after
//! the node had run.

use detect::event::{Event, Slots, Space, slot};
use detect::explain::Witness;
use expr::{Data, EvalError, Fields, Missing};

/// How many bytes of fields a case's dump may hold.
pub const MAX_BYTES: usize = 256 << 20;

/// A node's name, and an entry for each line that reached it.
type Reached = (String, Vec<Data>);

/// Every leading node's results, recorded while lines travel.
#[derive(Debug)]
pub struct Parsers {
    stages: Vec<(String, Vec<Reached>)>,
    /// The stage that the line is in.
    at: usize,
    bytes: usize,
    most: usize,
}

impl Parsers {
    /// An empty dump that holds about `most` bytes of fields.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            stages: Vec::new(),
            at: 0,
            bytes: 0,
            most,
        }
    }

    /// Whether it holds as much as it may; what came after is not in it.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.bytes > self.most
    }

    /// As asserts see it, under `results`.
    #[must_use]
    pub fn finish(self) -> Data {
        let mut results = Fields::new(Missing::Nil);
        for (stage, nodes) in self.stages {
            let mut map = Fields::new(Missing::Nil);
            for (name, entries) in nodes {
                map.insert(name.as_bytes(), Data::List(entries));
            }
            results.insert(stage.as_bytes(), Data::Map(map));
        }
        // CrowdSec's dump has one stage more, for lines that came through.
        let mut success = Fields::new(Missing::Nil);
        success.insert(b"", Data::List(Vec::new()));
        results.insert(b"success", Data::Map(success));
        Data::Map(results)
    }

    fn entry(&mut self, ok: bool, index: usize, event: &Event, slots: &Slots) -> Data {
        let mut seen = Fields::new(Missing::Nil);
        for (name, space) in [
            ("Parsed", Space::Parsed),
            ("Meta", Space::Meta),
            ("Enriched", Space::Enriched),
        ] {
            let mut all = Vec::new();
            for (key, value) in event.entries(slots, space) {
                self.bytes += key.len() + value.len() + 64;
                all.push((Box::from(key), Data::text(value)));
            }
            let fields = Fields::from_entries(all, Missing::Empty);
            seen.insert(name.as_bytes(), Data::Map(fields));
        }
        if let Some(fields) = event.unmarshaled() {
            self.bytes += weight(fields);
            seen.insert(b"Unmarshaled", Data::Map(fields.clone()));
        }
        seen.insert(b"Whitelisted", Data::Bool(event.whitelisted));
        for (name, slot) in [
            ("WhitelistReason", slot::WHITELIST_REASON),
            ("StrTime", slot::STR_TIME),
            ("StrTimeFormat", slot::STR_TIME_FORMAT),
            ("MarshaledTime", slot::MARSHALED_TIME),
        ] {
            seen.insert(name.as_bytes(), Data::text(event.text(slot)));
        }
        let mut entry = Fields::new(Missing::Nil);
        entry.insert(b"Evt", Data::Map(seen));
        entry.insert(b"Success", Data::Bool(ok));
        entry.insert(b"Idx", Data::Int(i64::try_from(index).unwrap_or(i64::MAX)));
        Data::Map(entry)
    }
}

fn weight(fields: &Fields) -> usize {
    fields
        .iter()
        .map(|(key, value)| {
            64 + key.len()
                + match value {
                    Data::Text(text) => text.len(),
                    Data::Map(inner) => weight(inner),
                    Data::List(items) => items.len() * 64,
                    _ => 0,
                }
        })
        .sum()
}

impl Witness for Parsers {
    fn stage(&mut self, name: &str) {
        let known = self.stages.iter().position(|(stage, _)| stage == name);
        self.at = known.unwrap_or_else(|| {
            self.stages.push((name.to_owned(), Vec::new()));
            self.stages.len() - 1
        });
    }

    fn before(&mut self, _: &Event, _: &Slots) {}

    fn after(&mut self, node: &str, ok: bool, event: &Event, slots: &Slots) {
        if self.is_full() {
            return;
        }
        let nodes = self.stages.get(self.at).map(|(_, nodes)| nodes);
        let place = nodes.and_then(|nodes| nodes.iter().position(|(name, _)| name == node));
        let index = nodes
            .zip(place)
            .and_then(|(nodes, at)| nodes.get(at))
            .map_or(0, |(_, all)| all.len());
        let entry = self.entry(ok, index, event, slots);
        let Some((_, nodes)) = self.stages.get_mut(self.at) else {
            return;
        };
        match place.and_then(|at| nodes.get_mut(at)) {
            Some((_, entries)) => entries.push(entry),
            None => nodes.push((node.to_owned(), vec![entry])),
        }
    }

    fn error(&mut self, _: &EvalError) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_ends_growing() {
        let slots = Slots::default();
        let mut event = Event::new(&slots);
        event.set(slot::META_SERVICE, &[b'x'; 1_000]);
        let mut dump = Parsers::new(10_000);
        dump.stage("s00-raw");
        for _ in 0..1_000 {
            dump.after("a", true, &event, &slots);
        }
        assert!(dump.is_full());
        let Data::Map(stages) = dump.finish() else {
            panic!("not a map")
        };
        let Some(Data::Map(nodes)) = stages.get(b"s00-raw") else {
            panic!("not a map")
        };
        assert!(matches!(nodes.get(b"a"), Some(Data::List(all)) if all.len() < 12));
    }
}
