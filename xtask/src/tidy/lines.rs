//! Sources line by line.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::test::NOT_RUN;

/// The longest source file: past that it has more than one idea.
const LINES: usize = 800;

/// Folders that hold no source.
const SKIPPED: &[&str] = &["target", ".git", "ringwall-data", "node_modules"];

/// Files by their ending that are read; rules and data may name any place.
const TEXTS: &[&str] = &["rs", "toml", "md", "sh", "run", "html", "css", "js"];

/// Traces of one developer's machine. Each is cut in two, so that this file bears none.
const PRIVATE: &[(&str, &str)] = &[
    ("/ro", "ot/"),
    ("/wo", "rk/"),
    ("/ho", "me/"),
    ("/Use", "rs/"),
    (".cargo/", "registry"),
    ("index.crates.", "io-"),
];

/// What only the world outside knows, and pure rooms may not ask.
const OUTSIDE: &[&str] = &[
    "SystemTime::now",
    "Instant::now",
    "std::process::",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "UnixListener",
    "thread::sleep",
    "env::var",
];

/// The folders whose sources are pure.
const PURE: &[&str] = &[
    "base/vocab/src",
    "base/expr/src",
    "base/book/src",
    "layers/wire/src",
    "layers/gate/src",
    "layers/detect/src",
    "layers/respond/src",
];

/// Reads every source below `root`.
pub(super) fn check(root: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    collect(root, &mut files)?;
    files.sort();
    let mut found = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file)
            .with_context(|| format!("Cannot read {} as text.", file.display()))?;
        let name = file
            .strip_prefix(root)
            .unwrap_or(&file)
            .display()
            .to_string();
        found.extend(check_file(&name, &text));
    }
    Ok(found)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("Cannot list {}.", folder.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("Cannot list {}.", folder.display()))?;
        let path = entry.path();
        let name = entry.file_name();
        let kind = entry
            .file_type()
            .with_context(|| format!("Cannot look at {}.", path.display()))?;
        if kind.is_dir() {
            if !SKIPPED.iter().any(|skipped| name == *skipped) {
                collect(&path, files)?;
            }
        } else if kind.is_file() && is_text(&path) {
            files.push(path);
        }
    }
    Ok(())
}

fn is_text(path: &Path) -> bool {
    match path.extension() {
        Some(end) => TEXTS.iter().any(|text| end == *text),
        None => path.file_name().is_some_and(|name| name == "run"),
    }
}

fn check_file(name: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let rust = name.ends_with(".rs");
    let count = text.lines().count();
    if rust && count > LINES {
        found.push(format!(
            "{name} has {count} lines, more than {LINES}: split it by idea."
        ));
    }
    let manifest = name.ends_with("Cargo.toml") && text.contains("[package]");
    // The fuzzers are a workspace of their own, whose entry point libFuzzer calls from C++.
    let is_free = ["host-sys/Cargo.toml", "fuzz/Cargo.toml"].contains(&name);
    if manifest && !is_free && !text.contains("[lints]\nworkspace = true") {
        found.push(format!(
            "{name} does not inherit the workspace's lints, which forbid unsafe code."
        ));
    }
    let pure =
        rust && PURE.iter().any(|room| name.starts_with(room)) && !name.ends_with("tests.rs");
    // Both in one file: what reads the variable is what speaks when it is not set.
    let skips = rust && text.contains("(\"RINGWALL_TEST_ALL\")") && !name.starts_with("xtask/");
    if skips && !text.contains(&format!("\"{NOT_RUN}")) {
        found.push(format!(
            "{name} passes tests over without printing '{NOT_RUN}', by which they are counted."
        ));
    }
    let mut in_tests = false;
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        // Unit tests stand at the end of a file.
        in_tests |= line.trim() == "#[cfg(test)]";
        if let Some(word) = private(line) {
            found.push(format!(
                "{name}:{number} names a place of one machine ({word})."
            ));
        }
        if rust && has_unsafe(line) && !name.starts_with("host-sys/") {
            found.push(format!(
                "{name}:{number} has unsafe code; only host-sys may."
            ));
        }
        if rust && is_bare_ignore(line) {
            found.push(format!("{name}:{number} ignores a test without naming an issue, such as #[ignore = \"#12: why\"]."));
        }
        if pure && !in_tests && !is_comment(line) {
            for word in OUTSIDE.iter().filter(|word| line.contains(**word)) {
                found.push(format!(
                    "{name}:{number} asks the outside ({word}) in a pure room; pass it in."
                ));
            }
        }
    }
    found
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

fn private(line: &str) -> Option<String> {
    PRIVATE
        .iter()
        .map(|(a, b)| format!("{a}{b}"))
        .find(|word| line.contains(word.as_str()))
}

fn has_unsafe(line: &str) -> bool {
    let line = line.trim_start();
    let code = line.split("//").next().unwrap_or(line);
    [
        "unsafe {",
        "unsafe fn",
        "unsafe impl",
        "unsafe extern",
        "unsafe trait",
        "allow(unsafe_code",
    ]
    .iter()
    .any(|word| code.contains(word) && !code.contains(&format!("\"{word}")))
}

/// Whether a test is ignored without `#` and a number in its reason.
fn is_bare_ignore(line: &str) -> bool {
    let line = line.trim();
    let Some(rest) = line.strip_prefix("#[ignore") else {
        return false;
    };
    let numbered = rest
        .split('#')
        .skip(1)
        .any(|part| part.starts_with(|one: char| one.is_ascii_digit()));
    !numbered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_should_not_be_in_a_source_is_found() {
        let place = ["/ro", "ot/x"].concat();
        let long = "\n".repeat(LINES + 1);
        let unsafe_line = ["uns", "afe { x() }"].concat();
        let ignored = ["#[ign", "ore]"].concat();
        // DENY
        for (name, text) in [
            ("app/src/a.rs", place.as_str()),
            ("README.md", &place),
            ("app/src/a.rs", &long),
            ("app/src/a.rs", &unsafe_line),
            ("app/src/a.rs", &ignored),
            ("app/Cargo.toml", "[package]\nname = \"app\"\n"),
            ("layers/gate/src/a.rs", "let now = Instant::now();"),
            (
                "app/tests/a.rs",
                "var_os(\"RINGWALL_TEST_ALL\"); println!(\"not run: x\")",
            ),
        ] {
            assert_eq!(check_file(name, text).len(), 1, "DENY {name} {text}");
        }
        let numbered = ["#[ign", "ore = \"#12: why\"]"].concat();
        for (name, text) in [
            ("host-sys/src/a.rs", unsafe_line.as_str()),
            ("app/src/a.rs", &numbered),
            ("app/src/a.rs", "let now = Instant::now();"),
            ("layers/gate/src/a.rs", "// never Instant::now()"),
            (
                "layers/gate/src/a.rs",
                "#[cfg(test)]\nlet now = Instant::now();",
            ),
            ("app/Cargo.toml", "[package]\n[lints]\nworkspace = true\n"),
            (
                "app/tests/a.rs",
                "var_os(\"RINGWALL_TEST_ALL\"); println!(\"NOT RUN: x\")",
            ),
        ] {
            assert_eq!(check_file(name, text), [""; 0], "{name} {text}");
        }
    }
}
