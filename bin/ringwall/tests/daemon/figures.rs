//! Every figure that is served is described, and every figure that is described is served.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;

use crate::instance::{Instance, free_port, site, upstream};
use crate::words::get_path;

const DESCRIBED: &str = include_str!("../../../../docs/metrics.md");

/// The page of figures.
fn page(port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        .expect("it reads");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("it answers");
    text
}

/// A page's figures as rows of the table: name, labels, kind, meaning.
fn rows(page: &str) -> BTreeSet<String> {
    let mut rows = BTreeSet::new();
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        let Some((name, help)) = line
            .strip_prefix("# HELP ")
            .and_then(|rest| rest.split_once(' '))
        else {
            continue;
        };
        let kind = lines.next().and_then(|line| line.rsplit(' ').next());
        let label = lines
            .peek()
            .and_then(|sample| {
                sample
                    .strip_prefix(name)?
                    .strip_prefix('{')?
                    .split_once('=')
            })
            .map_or_else(String::new, |(label, _)| format!("`{label}`"));
        let kind = kind.expect("a figure has a kind");
        let meaning = help.trim_end_matches('.');
        rows.insert(format!("| `{name}` | {label} | {kind} | {meaning} |").replace("|  |", "| |"));
    }
    rows
}

#[test]
fn docs_list_every_figure_with_its_labels_its_kind_and_its_meaning() {
    let port = free_port();
    let instance = Instance::start_with_metrics(&site("*", upstream("up")), port);
    // Rules of refusals are named once there was one.
    assert_eq!(
        get_path([127, 0, 4, 3], instance.edge, "no-path"),
        400,
        "DENY"
    );
    let served = rows(&page(port));
    assert!(served.len() > 30, "{served:?}");
    let described: BTreeSet<String> = DESCRIBED
        .lines()
        .filter(|line| line.starts_with("| `ringwall_"))
        .map(str::to_owned)
        .collect();
    let lacks: Vec<_> = served.difference(&described).cloned().collect();
    let too_many: Vec<_> = described.difference(&served).cloned().collect();
    assert!(
        lacks.is_empty() && too_many.is_empty(),
        "docs/metrics.md lacks these rows:\n{}\nand has these, which are not served so:\n{}",
        lacks.join("\n"),
        too_many.join("\n")
    );
}
