//! The shorter ways through the parsers lead where the long one leads.

use std::fs;
use std::path::Path;

use detect::bucket::{Occurrence as _, Pour, Seed};
use detect::event::{Space, slot};
use detect::program::{Line, Options, Program, Scratch};
use detect::rules::disk::Place;
use detect::rules::{self, Bounds, Items};
use vocab::Timestamp;

use crate::shared::shared;

/// All that can be known of a line that was read.
type Outcome = (Vec<Pour>, Vec<(Vec<u8>, Vec<u8>)>, String, u64);

fn outcome(program: &Program, line: &Line<'_>, scratch: &mut Scratch) -> Outcome {
    let before = scratch.counted().errors;
    let mut seen = program.line(line, scratch);
    let kept = seen.occurrence.keep();
    let (pours, what) = (
        seen.pours.to_vec(),
        format!("{:?} {:?}", seen.parsed, seen.time),
    );
    let event = scratch.event();
    let mut fields = Vec::new();
    for space in [Space::Meta, Space::Parsed, Space::Enriched, Space::Label] {
        let entries = event.entries(program.slots(), space);
        fields.extend(entries.map(|(name, value)| (name.to_vec(), value.to_vec())));
    }
    for slot in [slot::STR_TIME, slot::MARSHALED_TIME, slot::WHITELIST_REASON] {
        fields.push((Vec::new(), event.text(slot).to_vec()));
    }
    for pairs in [kept.meta(), kept.parsed(), kept.enriched()] {
        fields.extend(
            pairs
                .iter()
                .map(|(name, value)| (name.to_vec(), value.to_vec())),
        );
    }
    (pours, fields, what, scratch.counted().errors - before)
}

/// The log type that a case of the hub gives its lines, and the log's name.
fn case(folder: &Path) -> Option<(String, Vec<u8>)> {
    let config = fs::read_to_string(folder.join("config.yaml")).ok()?;
    let value = |key: &str| {
        let line = config.lines().find_map(|line| line.strip_prefix(key))?;
        Some(line.trim().trim_matches(['"', '\'']).to_owned())
    };
    let log = fs::read(folder.join(value("log_file:")?)).ok()?;
    Some((value("log_type:")?, log))
}

#[test]
fn gates_and_searches_in_two_passes_change_nothing_on_the_hubs_lines() {
    let (Some(hub), Some(patterns), Some(lists)) = (
        shared("hub"),
        shared("crowdsec/patterns"),
        shared("crowdsec/sec-lists"),
    ) else {
        return;
    };
    let place = Place {
        patterns: vec![patterns],
        data: vec![lists],
        ..Place::new(&hub)
    };
    let sources = place.sources().unwrap();
    let items = Items {
        names: Vec::new(),
        exact: false,
    };
    let set = rules::load(&sources, &items, &Bounds::default());
    let data = place.data(&set.data).unwrap();
    let (program, _) = Program::build(&set, &data, &Options { live: false });
    let mut short = Scratch::new(&program, Seed::new(0));
    let mut long = Scratch::plain(&program, Seed::new(0));
    let (mut lines, mut events) = (0, 0);
    for folder in fs::read_dir(hub.join(".tests")).unwrap() {
        let folder = folder.unwrap().path();
        let Some((kind, log)) = case(&folder) else {
            continue;
        };
        for text in log
            .split(|byte| *byte == b'\n')
            .filter(|text| !text.is_empty())
        {
            let labels = [("type", kind.as_str())];
            let line = Line {
                text,
                labels: &labels,
                source: "log",
                module: "file",
                received: Timestamp::from_unix_seconds(1_770_000_000),
                replay: true,
            };
            let want = outcome(&program, &line, &mut long);
            let got = outcome(&program, &line, &mut short);
            assert_eq!(got, want, "{kind}: {}", String::from_utf8_lossy(text));
            lines += 1;
            events += u32::from(want.2.starts_with("Event"));
        }
    }
    assert!(
        lines > 4_000 && events > 2_000,
        "{lines} lines, {events} events"
    );
}
