//! The same attacks against Ringwall and against nginx with Debian's crowdsec.
//!
//! In the gate one attack, to see that the comparison stands. `cargo xtask bench
//! field` names a file in `RINGWALL_FIELD_TABLE`, and the whole table goes there.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::attack::{Outcome, run};
use crate::house::{Field, Mode, Site};
use crate::peer::{self, Peer};
use crate::support::cannot_run;
use crate::tools::{ATTACKS, Attack, Dress, Kit};
use crate::{ready, slow};

/// How long an attack may go on where nothing bars it.
const PATIENCE: Duration = Duration::from_secs(60);
const TOOLS: [&str; 8] = [
    "gobuster",
    "ffuf",
    "hydra",
    "sqlmap",
    "wapiti",
    "nginx",
    "nft",
    "crowdsec-firewall-bouncer",
];

#[test]
fn the_same_attack_is_barred_by_ringwall_and_by_nginx_with_crowdsec() {
    if !ready(&TOOLS) {
        return;
    }
    if let Some(missing) = peer::lacks() {
        return cannot_run(&missing);
    }
    let mut peer = Peer::make(Site::Shop);
    if let Some(file) = std::env::var_os("RINGWALL_FIELD_TABLE") {
        return table(&mut peer, &PathBuf::from(file));
    }
    let is_wanted = |one: &&Attack| one.tool == "gobuster" && one.dress == Dress::Browser;
    let attack = ATTACKS
        .iter()
        .find(is_wanted)
        .expect("gobuster is in the table");
    let ours = against_ringwall(attack, Mode::Enforce);
    let kit = Kit::pack(&peer.folder);
    let theirs = run(attack, &kit, &mut peer, 30, PATIENCE);
    println!("ringwall {ours:?}, the peer {theirs:?}");
    let rule = theirs.rule.as_deref().unwrap_or("nothing");
    assert!(
        rule.starts_with("crowdsecurity/"),
        "the peer works: {theirs:?}"
    );
    // Who lets fewer through differs here from run to run, with the bouncer's ten seconds.
    assert!(
        ours.rule.is_some() && ours.through <= attack.most,
        "{ours:?}"
    );
}

fn against_ringwall(attack: &Attack, mode: Mode) -> Outcome {
    let mut field = Field::make(Site::Shop, mode);
    let kit = Kit::pack(&field.folder);
    let outcome = run(attack, &kit, &mut field, 30, PATIENCE);
    field.ringwall.terminate(Duration::from_secs(40));
    outcome
}

/// Runs everything and writes down what became of it.
fn table(peer: &mut Peer, file: &std::path::Path) {
    let kit = Kit::pack(&peer.folder);
    let mut text = String::from(
        "| tool | dress | Ringwall: through | barred by | in its first week: through | barred by \
         | nginx + crowdsec: through | barred by |\n|---|---|---|---|---|---|---|---|\n",
    );
    for (attack, last) in ATTACKS.iter().zip(30..) {
        let cells: Vec<String> = [
            against_ringwall(attack, Mode::Enforce),
            against_ringwall(attack, Mode::FirstWeek),
            run(attack, &kit, peer, last, PATIENCE),
        ]
        .iter()
        .map(cell)
        .collect();
        let row = format!(
            "| {} | {} | {} |",
            attack.tool,
            attack.dress.name(),
            cells.join(" | ")
        );
        println!("{row}");
        text.push_str(&row);
        text.push('\n');
    }
    text.push_str("\n### slowhttptest\n\n| mode | attacker's open connections, at most | memory MiB, before and at most | refused meanwhile | visits |\n|---|---|---|---|---|\n");
    for mode in slow::MODES {
        let row = slow::bounded(mode).row();
        println!("{row}");
        text.push_str(&row);
        text.push('\n');
    }
    text.push_str("\n### Command lines\n\n");
    for attack in ATTACKS {
        let words: Vec<String> = attack.line.iter().map(|word| shown(word)).collect();
        let _written = writeln!(
            text,
            "- {}, {}: `{}`",
            attack.tool,
            attack.dress.name(),
            words.join(" ")
        );
    }
    for mode in slow::MODES {
        let _written = writeln!(text, "- slowhttptest, {}: `{}`", mode.name, mode.shown());
    }
    let _written = writeln!(text, "\n### Versions\n\n{}", versions());
    std::fs::write(file, text).expect("the table can be written");
}

fn cell(outcome: &Outcome) -> String {
    let took = outcome.took.as_secs_f64();
    match &outcome.rule {
        Some(rule) => format!("{} | `{rule}` after {took:.1} s", outcome.through),
        None => format!("{} | **nothing** in {took:.0} s", outcome.through),
    }
}

/// A word as a shell would want it.
fn shown(word: &str) -> String {
    let word = word.replace('\n', "\\n");
    if word.contains([' ', '^', '&', '?']) {
        format!("'{word}'")
    } else {
        word
    }
}

/// What Debian calls the versions of all that took part.
fn versions() -> String {
    let packages = [
        "gobuster",
        "ffuf",
        "hydra",
        "sqlmap",
        "wapiti",
        "slowhttptest",
        "nginx-light",
        "crowdsec-firewall-bouncer",
        "curl",
    ];
    let output = Command::new("dpkg-query")
        .args(["-W", "-f", "${Package} ${Version}, "])
        .args(packages)
        .output()
        .expect("dpkg-query runs");
    let installed = String::from_utf8_lossy(&output.stdout).into_owned();
    format!("{installed}crowdsec {}.", peer::version())
}
