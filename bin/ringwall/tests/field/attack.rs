//! An attack, run until it is barred and a little longer, and what of it got through.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::house::{Field, Guarded, Mode, PORT, Site, curl};
use crate::network::EDGE;
use crate::ready;
use crate::support::{signal, wait_for};
use crate::tools::{ATTACKS, Attack, FirstWeek, Kit};

/// How long a tool goes on once it is barred.
const AFTERWARDS: Duration = Duration::from_secs(2);

/// What became of an attack.
#[derive(Debug)]
pub struct Outcome {
    /// The tool's requests that reached the site, until it was stopped.
    pub through: usize,
    /// The rule that barred it, if one did.
    pub rule: Option<String>,
    /// From the tool's start until it was seen to be barred, or until its end.
    pub took: Duration,
}

/// Runs an attack from 198.51.100.`last` for at most `patience`.
pub fn run(
    attack: &Attack,
    kit: &Kit,
    guard: &mut impl Guarded,
    last: u8,
    patience: Duration,
) -> Outcome {
    let (namespace, address) = (guard.stranger(last), format!("198.51.100.{last}"));
    let mut tool = Tool::start(kit.command(attack, &namespace, patience.as_secs() + 5));
    let began = Instant::now();
    let mut rule = None;
    while rule.is_none() && began.elapsed() < patience && tool.runs() {
        std::thread::sleep(Duration::from_millis(50));
        rule = guard.barred(&address);
    }
    let took = began.elapsed();
    if rule.is_some() {
        std::thread::sleep(AFTERWARDS);
    }
    drop(tool);
    let rule = rule.or_else(|| guard.barred(&address));
    let through = guard.reached(&address);
    if rule.is_some() {
        for _ in 0..3 {
            let code = curl(&namespace, &format!("http://{EDGE}:{PORT}/"));
            assert!(code == "403" || code == "000", "DENY {address}: {code}");
        }
        assert_eq!(
            guard.reached(&address),
            through,
            "DENY: nothing more gets through"
        );
    }
    Outcome {
        through,
        rule,
        took,
    }
}

/// A running tool with all its children, ended with its guard.
pub struct Tool(Child);

impl Tool {
    pub fn start(mut command: Command) -> Self {
        // A group of its own: hydra is many processes.
        let child = command.process_group(0).spawn();
        Self(child.unwrap_or_else(|error| panic!("{command:?} starts: {error}")))
    }

    fn runs(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None))
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        // `timeout` passes it on to what it started.
        if self.runs() {
            signal(self.0.id(), "TERM");
        }
        for _ in 0..100 {
            if !self.runs() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _killed = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Every attack by a tool against a fresh Ringwall, with the table's bounds: a site that
/// enforces, and one in its first week, as it is by default.
fn barred_in_both_dresses(tool: &str, needed: &[&str]) {
    if !ready(needed) {
        return;
    }
    for attack in ATTACKS.iter().filter(|attack| attack.tool == tool) {
        for mode in [Mode::Enforce, Mode::FirstWeek] {
            let mut field = Field::make(Site::Shop, mode);
            match (mode, attack.first_week()) {
                (Mode::FirstWeek, FirstWeek::Watched) => is_watched(attack, &mut field),
                _ => is_barred(attack, &mut field),
            }
            field.ringwall.terminate(Duration::from_secs(40));
        }
    }
}

fn is_barred(attack: &Attack, field: &mut Field) {
    let (tool, dress) = (attack.tool, attack.dress.name());
    let kit = Kit::pack(&field.folder);
    let outcome = run(attack, &kit, field, 30, Duration::from_secs(60));
    println!("{tool}, {dress}: {outcome:?}");
    let rule = outcome.rule.as_deref().unwrap_or("nothing");
    assert!(
        attack.by.contains(&rule),
        "DENY {tool}, {dress}: barred by {rule}\n{}",
        field.said()
    );
    assert!(
        outcome.through <= attack.most,
        "{tool}, {dress}: {} requests got through, at most {} may",
        outcome.through,
        attack.most
    );
}

/// Until a rule says that it would have barred it: the operator is shown so, and the tool
/// goes on.
fn is_watched(attack: &Attack, field: &mut Field) {
    let (tool, dress) = (attack.tool, attack.dress.name());
    let kit = Kit::pack(&field.folder);
    let namespace = field.stranger(30);
    let _tool = Tool::start(kit.command(attack, &namespace, 40));
    let seen = wait_for(
        &format!("{tool}, {dress}, to be seen"),
        Duration::from_secs(30),
        || {
            let decided = field.decided("198.51.100.30");
            let meant = |(_, rule): &(String, String)| attack.by.contains(&rule.as_str());
            decided.iter().any(meant).then_some(decided)
        },
    );
    println!("{tool}, {dress}, in the first week: {seen:?}");
    assert!(
        seen.iter().all(|(kind, _)| kind == "observe"),
        "{tool}, {dress}: {seen:?}\n{}",
        field.said()
    );
    let code = curl(&namespace, &format!("http://{EDGE}:{PORT}/"));
    assert_eq!(code, "200", "{tool}, {dress}: only watched");
}

#[test]
fn gobuster_is_barred_by_name_and_by_what_it_does() {
    barred_in_both_dresses("gobuster", &["gobuster", "wapiti"]);
}

#[test]
fn ffuf_is_barred_by_name_and_by_what_it_does() {
    barred_in_both_dresses("ffuf", &["ffuf"]);
}

#[test]
fn hydra_at_a_form_is_barred_by_name_and_by_what_it_does() {
    barred_in_both_dresses("hydra, form", &["hydra"]);
}

#[test]
fn hydra_at_a_protected_path_is_barred_by_name_and_by_what_it_does() {
    barred_in_both_dresses("hydra, basic", &["hydra"]);
}

#[test]
fn sqlmap_is_barred_by_name_and_by_what_it_does() {
    barred_in_both_dresses("sqlmap", &["sqlmap"]);
}

#[test]
fn wapiti_is_barred_by_name_and_by_what_it_does() {
    barred_in_both_dresses("wapiti", &["wapiti"]);
}
