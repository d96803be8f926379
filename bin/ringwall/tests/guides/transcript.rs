//! What a guide says, as steps.

/// One thing to do.
#[derive(Clone, PartialEq, Debug)]
pub enum Step {
    /// A command and what it must print.
    Run {
        machine: String,
        command: String,
        expected: Vec<String>,
        /// Whether the guide means it to end with an error.
        may_fail: bool,
    },
    /// A command that keeps running.
    Stay { name: String, command: String },
    /// The end of one that kept running.
    Stop { name: String },
    /// A file.
    File { path: String, text: String },
    /// A block that is not run.
    Skip,
}

/// The steps of a guide, in order.
///
/// Panics when a block has no meaning: a guide that nobody can follow must not pass.
pub fn steps(text: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut notes: Vec<(String, String)> = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(note) = line.strip_prefix("<!-- ") {
            let note = note.strip_suffix(" -->").expect("a comment is one line");
            let (key, value) = note.split_once(": ").expect("a comment says 'key: value'");
            if key == "stop" {
                steps.push(Step::Stop {
                    name: value.to_owned(),
                });
            } else {
                notes.push((key.to_owned(), value.to_owned()));
            }
        } else if let Some(language) = line.strip_prefix("```") {
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            steps.extend(block_steps(language, &block, &notes));
            notes.clear();
        }
    }
    assert!(notes.is_empty(), "a comment without a block: {notes:?}");
    steps
}

fn block_steps(language: &str, block: &[&str], notes: &[(String, String)]) -> Vec<Step> {
    let note = |key: &str| {
        notes
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.clone())
    };
    if note("skip").is_some() {
        return vec![Step::Skip];
    }
    if let Some(path) = note("file") {
        let text = block.join("\n") + "\n";
        return vec![Step::File { path, text }];
    }
    assert_eq!(
        language, "console",
        "a block that is neither run nor a file"
    );
    let machine = note("on").unwrap_or_else(|| "server".to_owned());
    let mut steps: Vec<Step> = Vec::new();
    for line in block {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => steps.push(match note("stays") {
                Some(name) => Step::Stay {
                    name,
                    command: command.to_owned(),
                },
                None => Step::Run {
                    machine: machine.clone(),
                    command: command.to_owned(),
                    expected: Vec::new(),
                    may_fail: note("fails").is_some(),
                },
            }),
            (None, Some(Step::Run { expected, .. })) => expected.push((*line).to_owned()),
            (None, _) => panic!("output before a command: {line}"),
        }
    }
    steps
}

/// Whether `output` is what was expected, columns apart: how wide they are depends on
/// what differs.
pub fn agrees(expected: &[String], output: &str) -> bool {
    let even = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines: Vec<String> = output.trim_end().lines().map(even).collect();
    let expected: Vec<String> = expected.iter().map(|line| even(line)).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    all_agree(&expected, &lines)
}

fn all_agree(expected: &[&str], lines: &[&str]) -> bool {
    match (expected.split_first(), lines.split_first()) {
        (None, None) => true,
        (Some((&"…", rest)), _) => (0..=lines.len()).any(|skip| {
            lines
                .get(skip..)
                .is_some_and(|lines| all_agree(rest, lines))
        }),
        (Some((want, rest)), Some((line, lines))) => {
            line_agrees(want, line) && all_agree(rest, lines)
        }
        (None, Some(_)) | (Some(_), None) => false,
    }
}

fn line_agrees(want: &str, line: &str) -> bool {
    let mut parts = want.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[test]
fn what_is_shown_is_held_against_what_came_out() {
    let expected = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    for (want, got, agree) in [
        ("", "", true),
        ("one", "one\n", true),
        ("…", "", true),
        ("…", "one\ntwo", true),
        ("one\n…\nthree", "one\ntwo\nthree", true),
        ("o…e", "one", true),
        ("…   two", "one  two", true),
        ("…b…", "abc", true),
        // DENY
        ("", "one", false),
        ("one", "", false),
        ("one", "two", false),
        ("one\n…\nfour", "one\ntwo\nthree", false),
        ("…x…", "abc", false),
        ("o…e", "ones", false),
    ] {
        assert_eq!(agrees(&expected(want), got), agree, "{want:?} {got:?}");
    }
}

#[test]
fn a_guide_is_read_as_steps() {
    let text = "# Title\n\n<!-- file: /a -->\n```toml\nx = 1\n```\n\n<!-- on: visitor -->\n```console\n$ one\n1\n$ two\n```\n\
                <!-- stays: s -->\n```console\n$ three\n```\n<!-- stop: s -->\n";
    let run = |command: &str, expected: &[&str]| Step::Run {
        machine: "visitor".to_owned(),
        command: command.to_owned(),
        expected: expected.iter().map(|line| (*line).to_owned()).collect(),
        may_fail: false,
    };
    let want = [
        Step::File {
            path: "/a".to_owned(),
            text: "x = 1\n".to_owned(),
        },
        run("one", &["1"]),
        run("two", &[]),
        Step::Stay {
            name: "s".to_owned(),
            command: "three".to_owned(),
        },
        Step::Stop {
            name: "s".to_owned(),
        },
    ];
    assert_eq!(steps(text), want);
}
