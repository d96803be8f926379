//! Where ours differs from crowdsec 1.4.6 on purpose. An excuse must be proven: the runs are
//! what the model of its weakness can raise.

use core::fmt;

use detect::bucket::{BucketSpec, Occurrence as _, Seed};
use detect::program::{Line, Program, Scratch};
use vocab::Timestamp;

use super::compare::{Seen, canonical};
use super::model::{Poured, raises};
use crate::traffic::Server;

/// What is excused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Excuse {
    pub(super) name: &'static str,
    pub(super) why: &'static str,
    /// Whether crowdsec does so in every run: then the logs at full size need the excuse, or
    /// it is to go. What depends on how busy the machine is may be needed in no run.
    pub(super) always: bool,
}

/// All of them.
pub(super) const EXCUSES: [Excuse; 2] = [NANOSECOND, LATE];

const NANOSECOND: Excuse = Excuse {
    name: "a billionth of a token",
    always: true,
    why: "1.4.6 cuts the time until a bucket is full to whole nanoseconds, so that a bucket \
     which had been full lacks a trace of a token, and an event that comes at the very moment of the next token \
     overflows. Ours counts in whole nanoseconds of debt, exactly. (Capacity 5, leak 10 s, seconds 0, 10, 21, 31, \
     33, 34, 94, 99, 99, 104, 109, 109, 114: 1.4.6 overflows on the last, ours needs one more.)",
};
pub(super) const LATE: Excuse = Excuse {
    name: "a bucket's time looked at too early",
    always: false,
    why: "1.4.6 asks whether a bucket's time is over before the bucket's own task has taken the event \
     before, and so by the time of the one before that: it drops a bucket that is alive, or keeps one that is not. \
     Whether it does depends on how busy the machine is. (Capacity 2, leak 10 s, seconds 0, 29, 31: at 31 it may \
     take the bucket of 29 for one of 0.)",
};

/// Something in which ours is not what both runs of crowdsec are.
pub(super) struct Difference {
    pub(super) scenario: String,
    pub(super) source: String,
    pub(super) what: &'static str,
    /// The alerts about it: crowdsec's first run, its second, ours.
    pub(super) runs: [Vec<Seen>; 3],
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} by {}:", self.what, self.scenario, self.source)?;
        for (name, alerts) in ["crowdsec", "again", "ours"].iter().zip(&self.runs) {
            write!(f, "\n    {name:>8}")?;
            for alert in alerts {
                write!(f, " [{} .. {} x{}]", alert.start, alert.stop, alert.count)?;
            }
        }
        Ok(())
    }
}

/// What the differences' sources pour into their scenarios' buckets.
pub(super) struct Evidence<'p> {
    program: &'p Program,
    poured: Vec<Vec<Poured>>,
}

impl<'p> Evidence<'p> {
    /// Reads the log again, for what it says about the differences.
    pub(super) fn gather(
        program: &'p Program,
        server: Server,
        lines: &[Vec<u8>],
        now: Timestamp,
        differences: &[&Difference],
    ) -> Self {
        let mut poured = vec![Vec::new(); differences.len()];
        let mut scratch = Scratch::new(program, Seed::new(0));
        let labels = [("type", server.label())];
        for text in lines.iter().filter(|_| !differences.is_empty()) {
            let line = Line {
                text,
                labels: &labels,
                source: "log",
                module: "file",
                received: now,
                replay: true,
            };
            let mut seen = program.line(&line, &mut scratch);
            if seen.pours.is_empty() {
                continue;
            }
            let (pours, at) = (seen.pours.to_vec(), seen.time);
            let kept = seen.occurrence.keep();
            let source = String::from_utf8_lossy(kept.meta().value(b"source_ip")).into_owned();
            let source = canonical(&source).unwrap_or_default();
            for (difference, poured) in differences.iter().zip(&mut poured) {
                let named = |id: usize| program.specs()[id].name == difference.scenario;
                let into = pours.iter().filter(|pour| named(pour.scenario.0 as usize));
                poured.extend(
                    into.filter(|_| difference.source == source)
                        .map(|pour| Poured {
                            at,
                            key: pour.key,
                            distinct: pour.distinct,
                        }),
                );
            }
        }
        Self { program, poured }
    }

    /// The excuse for a difference, if there is one.
    pub(super) fn excuse(&self, at: usize, difference: &Difference) -> Option<Excuse> {
        let mut specs = self.program.specs().iter();
        let spec: &BucketSpec = specs.find(|spec| spec.name == difference.scenario)?;
        let [first, second, _] = &difference.runs;
        let both = |late: bool| {
            let poured = &self.poured[at];
            raises(spec, poured, first, late) && raises(spec, poured, second, late)
        };
        match (both(false), both(true)) {
            (true, _) => Some(NANOSECOND),
            (false, true) => Some(LATE),
            (false, false) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::sync::Arc;

    use detect::data::DataSet;
    use detect::program::Options;
    use detect::replay::{self, Origin};
    use detect::rules::{self, Bounds, Found, Items, Sources};

    use super::*;

    const PARSER: &str = "
name: test/lines
filter: evt.Line.Labels.type == 'test'
onsuccess: next_stage
grok:
  pattern: '^%{ALL:at}$'
  apply_on: Line.Raw
statics:
  - meta: source_ip
    value: 192.0.2.1
  - method: ParseDate
    expression: evt.Parsed.at
";
    const SCENARIO: &str = "
type: leaky
name: test/full
filter: evt.Meta.source_ip != ''
groupby: evt.Meta.source_ip
capacity: 5
leakspeed: 10s
labels: {remediation: true}
";

    /// How many events each of our alerts counts, of events at these seconds.
    fn ours(seconds: &[i64]) -> Vec<u64> {
        let found = |path: &str, text: &str| Found {
            file: path.to_owned(),
            path: path.to_owned(),
            bytes: Arc::from(text.as_bytes()),
        };
        let sources = Sources {
            rules: vec![
                found("parsers/s00-raw/test/lines.yaml", PARSER),
                found("scenarios/test/full.yaml", SCENARIO),
            ],
            patterns: vec![found("patterns/base", "ALL .+\n")],
        };
        let set = rules::load(&sources, &Items::default(), &Bounds::default());
        let options = Options { live: false };
        let (program, faults) = Program::build(&set, &DataSet::default(), &options);
        assert_eq!((set.faults, faults), (Vec::new(), Vec::new()));
        let day = Timestamp::from_unix_seconds(1_790_000_000);
        let lines = seconds.iter().map(|second| {
            let at = day.after(Duration::from_secs(second.unsigned_abs()));
            (0, at.to_string())
        });
        let origins = [Origin::of_type("log", "test")];
        let mut counts = Vec::new();
        let options = replay::Options::new(day);
        replay::replay(&program, &origins, lines, &options, |alert| {
            counts.push(alert.events_count);
        });
        counts
    }

    #[test]
    fn a_billionth_of_a_token_is_what_crowdsec_lacks_and_we_do_not() {
        let seconds = [0, 10, 21, 31, 33, 34, 94, 99, 99, 104, 109, 109, 114, 114];
        let shown: Vec<String> = seconds[..13].iter().map(i64::to_string).collect();
        assert!(NANOSECOND.why.contains(&shown.join(", ")));
        let spec = BucketSpec::leaky("a", "", 5, Duration::from_secs(10));
        let at = Timestamp::from_unix_seconds;
        let poured = seconds[..13].iter().map(|second| Poured {
            at: at(*second),
            key: 1,
            distinct: None,
        });
        let alert = Seen {
            start: at(0),
            stop: at(114),
            count: 13,
            scenario: String::new(),
            source: String::new(),
        };
        let poured: Vec<Poured> = poured.collect();
        assert!(raises(&spec, &poured, &[alert], false));
        assert!(!raises(&spec, &poured, &[], false));
        assert!(ours(&seconds[..13]).is_empty());
        assert_eq!(ours(&seconds), [14]);
    }
}
