//! A program: rules compiled, immutable, shared by every thread.
//!
//! For: turning a request ([`Program::observe`]) or a log line ([`Program::line`]) into
//! [`Pour`]s. Refuses: state; what changes from event to event lies in a [`Scratch`],
//! one per thread. Assumes: time comes with the event. On failure: a rule that does not
//! compile is a [`Fault`](crate::rules::Fault) and is left out; an expression that fails at run time is
//! counted and the event goes no further through the scenarios, as in CrowdSec.

pub mod after;
mod build;
pub(crate) mod env;
mod http;
mod queue;
mod scenario;
mod scratch;
mod sieve;

use expr::SlotId;
use vocab::{HttpEvent, Refusal, Timestamp};

pub use http::DIFFERENCES;
pub use scratch::{Counted, Occurring, Scratch, Seen};

use crate::bucket::{BucketKind, BucketSpec, Owner, Pour};
use crate::event::{Slots, Space, slot};
use crate::explain::{Definition, ScenarioTrace, Trace, Witness};
use crate::gotime::Dates;
use crate::parse::{Parsed, Run, Stages};
use after::Context;
use env::{EventEnv, Ground};
use scenario::{Pouring, Scenario, Values};
use sieve::Ask;
pub(crate) use sieve::{Chosen, Sieve};
use std::sync::Arc;

/// Why a scenario that counts does not count an event.
const UNDATED: &str = "no parser read its date, so it counts for triggers alone";

/// A log line and where it came from.
#[derive(Clone, Copy, Debug)]
pub struct Line<'l> {
    /// Its bytes without the line end.
    pub text: &'l [u8],
    /// The source's labels; `type` says which parsers look at it.
    pub labels: &'l [(&'l str, &'l str)],
    /// The file or stream it came from.
    pub source: &'l str,
    /// The kind of source, such as `file`.
    pub module: &'l str,
    /// When it was read.
    pub received: Timestamp,
    /// Whether the event's time is the one the line says (replay) rather than
    /// when it was received (live).
    pub replay: bool,
}

/// Compiled rules.
#[derive(Debug)]
pub struct Program {
    ground: Arc<Ground>,
    stages: Stages,
    postoverflows: Stages,
    scenarios: Vec<Scenario>,
    sieve: Sieve,
    /// The same for the expressions of whitelists, where there are many.
    whites: Option<Sieve>,
    specs: Arc<[BucketSpec]>,
    /// The scenario that counts what others do not count because it is foreign.
    instead: Option<usize>,
    contexts: Vec<Context>,
    dates: Dates,
    /// What buckets keep beside meta, because a bucket test reads it.
    keeps: Keeps,
    /// Whether live events carry `evt.Meta.timestamp` because a rule reads it.
    stamps: bool,
    live: bool,
}

/// How a program is compiled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// For live traffic: buckets tell IPv6 sources apart by their /64. Otherwise, in
    /// replay, by their address.
    pub live: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { live: true }
    }
}

/// Which fields beside meta a bucket keeps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keeps {
    parsed: bool,
    enriched: bool,
    /// Single ones that contexts read, by name.
    parsed_slots: Vec<SlotId>,
    enriched_slots: Vec<SlotId>,
}

impl Program {
    /// The scenarios as the shards need them, by their id.
    #[must_use]
    pub fn specs(&self) -> &Arc<[BucketSpec]> {
        &self.specs
    }

    /// What a scenario says, by its name.
    #[must_use]
    pub fn definition(&self, name: &str) -> Option<Definition> {
        let at = self.specs.iter().position(|spec| spec.name == name)?;
        let scenario = self.scenarios.get(at)?;
        let source = |key: &Option<scenario::Key>| {
            let key = key.as_ref();
            key.map_or_else(String::new, |key| key.source().to_owned())
        };
        Some(Definition::new(
            self.specs.get(at)?,
            scenario.filter.source(),
            &source(&scenario.group),
            &source(&scenario.distinct),
        ))
    }

    /// How many leading parser nodes there are, postoverflows not counted.
    #[must_use]
    pub fn parsers(&self) -> usize {
        self.stages
            .stages
            .iter()
            .map(|(_, nodes)| nodes.len())
            .sum()
    }

    /// How many leading postoverflow nodes there are.
    #[must_use]
    pub fn postoverflows(&self) -> usize {
        self.postoverflows
            .stages
            .iter()
            .map(|(_, nodes)| nodes.len())
            .sum()
    }

    /// The names of fields, for reading an event.
    #[must_use]
    pub fn slots(&self) -> &Slots {
        &self.ground.slots
    }

    /// The hosts whose addresses rules ask for by a constant name (`LookupHost`). Whoever
    /// runs the program looks them up beforehand, since an event cannot wait
    /// ([`Scratch::ask_hosts`]).
    #[must_use]
    pub fn hosts(&self) -> &[Box<str>] {
        self.ground.slots.hosts()
    }

    /// Looks at a request that the edge answered.
    pub fn observe<'s>(&'s self, http: &HttpEvent<'_>, scratch: &'s mut Scratch) -> Seen<'s> {
        self.request(http, scratch, None)
    }

    /// The same, writing down what each scenario said.
    pub fn explain_request<'s>(
        &'s self,
        http: &HttpEvent<'_>,
        scratch: &'s mut Scratch,
        trace: &mut Trace,
    ) -> Seen<'s> {
        self.request(http, scratch, Some(trace))
    }

    /// Looks at a request that the edge refused by itself. It is no `http` event: only
    /// scenarios that ask for `evt.Meta.service == 'edge'` see it, so that a refusal
    /// cannot feed the rules for answered requests.
    pub fn refused<'s>(&'s self, refusal: &Refusal<'_>, scratch: &'s mut Scratch) -> Seen<'s> {
        scratch.begin(&self.ground.slots);
        http::fill_refusal(
            &mut scratch.event,
            &self.ground.slots,
            refusal,
            &mut scratch.text,
        );
        scratch.group_address(refusal.client);
        if !self.whitelists(scratch, refusal.time) {
            self.pour(scratch, refusal.time, None);
        }
        if refusal.foreign {
            self.spare_foreign(scratch, refusal.time);
        }
        scratch.seen(self, Parsed::Event)
    }

    fn request<'s>(
        &'s self,
        http: &HttpEvent<'_>,
        scratch: &'s mut Scratch,
        mut trace: Option<&mut Trace>,
    ) -> Seen<'s> {
        scratch.begin(&self.ground.slots);
        http::fill(&mut scratch.event, http, &mut scratch.text);
        http::fill_beside(&mut scratch.event, &self.ground.slots, http);
        if self.stamps {
            scratch.stamp();
        }
        if self.live {
            scratch.group_address(http.client);
        }
        if self.whitelists(scratch, http.time) {
            if let Some(trace) = &mut trace {
                "a whitelist exempts it".clone_into(&mut trace.stopped);
            }
        } else {
            self.pour(scratch, http.time, trace);
        }
        if http.session {
            let spares = |id: usize| self.specs.get(id).is_some_and(BucketSpec::spares_sessions);
            scratch
                .pours
                .retain(|pour| !spares(pour.scenario.0 as usize));
        }
        if http.foreign {
            self.spare_foreign(scratch, http.time);
        }
        scratch.seen(self, Parsed::Event)
    }

    /// What another site's page had a browser send bars nobody, and yet nothing that would
    /// count goes uncounted, or the header that says so would be a way out. Scenarios that
    /// judge by numbers count it in buckets of its own; what would count elsewhere counts
    /// once in the scenario that stands for the others. Without that one nothing is spared.
    fn spare_foreign(&self, scratch: &mut Scratch, now: Timestamp) {
        let Some(instead) = self.instead else { return };
        let spec = |pour: &Pour| self.specs.get(pour.scenario.0 as usize);
        let (mut dropped, mut counted) = (None, false);
        scratch.pours.retain_mut(|pour| {
            let Some(spec) = spec(pour) else { return false };
            if spec.counts_foreign() {
                counted |= spec.counts_instead();
                return true;
            }
            if spec.judges_by_numbers() {
                *pour = pour.into_foreign();
                return true;
            }
            if !pour.cancel {
                dropped = Some(*pour);
            }
            false
        });
        let (Some(dropped), false) = (dropped, counted) else {
            return;
        };
        let Some(scenario) = self.scenarios.get(instead) else {
            return;
        };
        let mut env = EventEnv {
            event: &mut scratch.event,
            ground: &self.ground,
            memo: &scratch.memo,
            now,
        };
        let mut pouring = Pouring {
            group: scratch.group.as_deref(),
            seed: scratch.seed,
            hashes: &mut scratch.hashes,
            room: &mut scratch.text,
            explain: false,
        };
        match scenario.pour(instead, &mut env, &mut pouring).0 {
            Ok(pour) => scratch.pours.push(Pour {
                owner: dropped.owner,
                ..pour
            }),
            Err(_) => scratch.counted.errors += 1,
        }
    }

    /// Whether one request like this, not answered yet, would have its source barred as an
    /// exploit. Nothing is poured.
    pub fn is_exploit(&self, http: &HttpEvent<'_>, scratch: &mut Scratch) -> bool {
        // It is looked at again when it is answered or refused, and counted then.
        let counted = scratch.counted;
        scratch.begin(&self.ground.slots);
        http::fill(&mut scratch.event, http, &mut scratch.text);
        if !self.whitelists(scratch, http.time) {
            self.pour(scratch, http.time, None);
        }
        scratch.counted = counted;
        let exploit = |id: usize| self.specs.get(id).is_some_and(BucketSpec::is_exploit);
        scratch
            .pours
            .iter()
            .any(|pour| exploit(pour.scenario.0 as usize))
    }

    /// Looks at a log line.
    pub fn line<'s>(&'s self, line: &Line<'_>, scratch: &'s mut Scratch) -> Seen<'s> {
        let parsed = self.parse(line, scratch, None);
        self.judge(line, parsed, scratch, None)
    }

    /// The same, while a witness looks on at the parsers.
    pub fn witnessed<'s>(
        &'s self,
        line: &Line<'_>,
        scratch: &'s mut Scratch,
        witness: &mut dyn Witness,
    ) -> Seen<'s> {
        let parsed = self.parse(line, scratch, Some(witness));
        self.judge(line, parsed, scratch, None)
    }

    /// The same, writing down how it travels.
    pub fn explain<'s>(
        &'s self,
        line: &Line<'_>,
        scratch: &'s mut Scratch,
        trace: &mut Trace,
    ) -> Seen<'s> {
        let parsed = self.parse(line, scratch, Some(&mut *trace));
        self.judge(line, parsed, scratch, Some(trace))
    }

    /// Makes an event of a line.
    fn parse(
        &self,
        line: &Line<'_>,
        scratch: &mut Scratch,
        witness: Option<&mut dyn Witness>,
    ) -> Parsed {
        scratch.begin(&self.ground.slots);
        scratch.event.time = line.received;
        scratch.event.set(slot::LINE_RAW, line.text);
        scratch.event.set(slot::LINE_SRC, line.source.as_bytes());
        scratch.event.set(slot::LINE_MODULE, line.module.as_bytes());
        for (name, value) in line.labels {
            scratch.event.set_named(
                &self.ground.slots,
                Space::Label,
                name.as_bytes(),
                value.as_bytes(),
            );
        }
        scratch.fit(&self.stages);
        let mut run = Run {
            env: EventEnv {
                event: &mut scratch.event,
                ground: &self.ground,
                memo: &scratch.memo,
                now: line.received,
            },
            rooms: &mut scratch.rooms,
            whites: self.whites.as_ref(),
            dates: &self.dates,
            stage: 0,
            last: 0,
            errors: &mut scratch.counted.errors,
            witness: match witness {
                Some(witness) => Some(witness),
                None => None,
            },
            text: &mut scratch.text,
            date: None,
        };
        let parsed = self.stages.run(&mut run);
        if let (Some(date), true) = (run.date, line.replay) {
            scratch.event.time = date;
        }
        parsed
    }

    /// Gives an event to the scenarios.
    fn judge<'s>(
        &'s self,
        line: &Line<'_>,
        parsed: Parsed,
        scratch: &'s mut Scratch,
        trace: Option<&mut Trace>,
    ) -> Seen<'s> {
        match (parsed, trace) {
            (Parsed::Event, mut trace) => {
                self.pour(scratch, line.received, trace.as_deref_mut());
                if line.replay && !scratch.event.has(slot::ENRICHED_MARSHALED_TIME) {
                    self.forget_undated(scratch);
                }
                if let (Some(trace), true) = (trace, scratch.undated) {
                    UNDATED.clone_into(&mut trace.stopped);
                }
            }
            (_, None) => {}
            (Parsed::Whitelisted, Some(trace)) => {
                "a whitelist exempts it".clone_into(&mut trace.stopped);
            }
            (Parsed::Dropped, Some(trace)) => {
                "no parser of a stage took it".clone_into(&mut trace.stopped);
            }
        }
        scratch.seen(self, parsed)
    }

    /// Nobody knows when an event of a log without dates happened, so it cannot be counted
    /// with others: triggers alone see it, as in CrowdSec.
    fn forget_undated(&self, scratch: &mut Scratch) {
        let before = scratch.pours.len();
        let spec = |pour: &Pour| self.specs.get(pour.scenario.0 as usize);
        let alone = |spec: &BucketSpec| matches!(spec.kind, BucketKind::Trigger);
        scratch.pours.retain(|pour| spec(pour).is_some_and(alone));
        scratch.undated = scratch.pours.len() < before;
    }

    /// Whether a whitelist of the last stage exempts a live event.
    fn whitelists(&self, scratch: &mut Scratch, now: Timestamp) -> bool {
        let Some((_, nodes)) = self.stages.stages.last() else {
            return false;
        };
        let mut exempt = false;
        for node in nodes.iter().filter(|node| node.whitelist.is_some()) {
            let mut run = Run {
                env: EventEnv {
                    event: &mut scratch.event,
                    ground: &self.ground,
                    memo: &scratch.memo,
                    now,
                },
                rooms: &mut scratch.rooms,
                whites: self.whites.as_ref(),
                dates: &self.dates,
                stage: 0,
                last: 0,
                errors: &mut scratch.counted.errors,
                witness: None,
                text: &mut scratch.text,
                date: None,
            };
            run.top(node, false);
            exempt |= scratch.event.whitelisted;
        }
        exempt
    }

    /// Asks the scenarios, in their order.
    fn pour(&self, scratch: &mut Scratch, now: Timestamp, mut trace: Option<&mut Trace>) {
        let explain = trace.is_some();
        self.sieve
            .choose(&scratch.event, explain, &mut scratch.chosen);
        scratch.hashes.forget();
        let mut from = 0;
        let mut effects = scratch.event.effects;
        while let Some((at, scenario)) = scratch.chosen.next(from, &self.scenarios) {
            from = at + 1;
            let mut env = EventEnv {
                event: &mut scratch.event,
                ground: &self.ground,
                memo: &scratch.memo,
                now,
            };
            scratch.counted.filters += 1;
            let held = if explain {
                scenario.filter.run_truth(&mut env)
            } else {
                self.holds(at, &mut env, &scratch.chosen)
            };
            let mut values = Values::default();
            if let Ok(true) = held {
                let pour;
                let twin = self.scenarios.get(scenario.pours_as).unwrap_or(scenario);
                (pour, values) = twin.pour(
                    scenario.pours_as,
                    &mut env,
                    &mut Pouring {
                        group: scratch.group.as_deref(),
                        seed: scratch.seed,
                        hashes: &mut scratch.hashes,
                        room: &mut scratch.text,
                        explain,
                    },
                );
                match pour {
                    Ok(pour) => scratch.pours.push(pour),
                    Err(_) => scratch.counted.errors += 1,
                }
            }
            let failed = held.is_err();
            if let Some(trace) = &mut trace {
                trace.scenarios.push(ScenarioTrace {
                    name: scenario.name.clone(),
                    missed: trace.wants_reason(&held).then(|| scenario.missed(&env)),
                    held: held.map_err(|error| error.to_string()),
                    group: values.group,
                    distinct: values.distinct,
                    bucket: None,
                });
            }
            if failed {
                scratch.counted.errors += 1;
                break;
            }
            if scratch.event.effects != effects {
                effects = scratch.event.effects;
                // What it changed may matter to those that follow.
                self.sieve
                    .choose(&scratch.event, explain, &mut scratch.chosen);
                scratch.hashes.forget();
            }
        }
        if !scratch.pours.is_empty() {
            let source = match &scratch.group {
                Some(group) => group.as_slice(),
                None => scratch.event.text(slot::META_SOURCE_IP),
            };
            if !source.is_empty() {
                let owner = Owner(scratch.seed.distinct(source).max(1));
                scratch.pours.iter_mut().for_each(|pour| pour.owner = owner);
            }
        }
    }

    /// Whether a chosen scenario's filter holds: asks what the facts leave open.
    fn holds(
        &self,
        at: usize,
        env: &mut EventEnv<'_>,
        chosen: &Chosen,
    ) -> Result<bool, expr::EvalError> {
        for side in self.sieve.rest(at) {
            if !self.asks(side, env, chosen)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether a side of a filter is true.
    fn asks(
        &self,
        side: &Ask,
        env: &mut EventEnv<'_>,
        chosen: &Chosen,
    ) -> Result<bool, expr::EvalError> {
        match side {
            Ask::Fact(fact) => Ok(chosen.holds(fact)),
            Ask::All(sides) => {
                for side in sides {
                    if !self.asks(side, env, chosen)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Ask::Any(sides) => {
                for side in sides {
                    if self.asks(side, env, chosen)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Ask::Rest(rest) => match (chosen.settles(rest), rest.remembered) {
                (Some(settled), _) => Ok(settled),
                (None, None) => rest.side.run_truth(env),
                (None, Some((number, slot))) => env.remembered(number, slot, &rest.side),
            },
        }
    }

    pub(crate) fn scope_value(
        &self,
        id: usize,
        scratch: &mut scratch::Parts<'_>,
    ) -> Option<Box<str>> {
        let scenario = self.scenarios.get(id)?;
        scenario.scope_value(&mut EventEnv {
            event: scratch.event,
            ground: &self.ground,
            memo: scratch.memo,
            now: scratch.now,
        })
    }
}
