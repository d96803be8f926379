//! The helper and the confinement, for real: this program starts itself again as
//! the helper (`host`) and as a process that gives root up (`probe NAME DIR`), as
//! `ringwall` does, which needs a `main` without threads.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::exit,
    reason = "a test that cannot go on fails, in its helpers too; and this is a test harness"
)]

mod compromised;
mod docker;
mod fixture;
mod paths;
mod probes;

/// Name and body; the body panics to fail.
type Test = (&'static str, fn());

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("host") => fixture::run_helper(&arguments[1]),
        Some("probe") => probes::run(&arguments[1], arguments[2].as_ref()),
        _ => harness(&arguments),
    }
}

/// As much of libtest's command line as cargo and nextest use.
fn harness(arguments: &[String]) {
    let has = |flag: &str| arguments.iter().any(|one| one == flag);
    let tests: Vec<Test> = [
        probes::TESTS,
        compromised::TESTS,
        paths::TESTS,
        docker::TESTS,
    ]
    .concat();
    if has("--list") {
        if !has("--ignored") {
            tests.iter().for_each(|(name, _)| println!("{name}: test"));
        }
        return;
    }
    let mut filters = arguments.iter().filter(|one| !one.starts_with('-'));
    let filter = filters.next().filter(|one| *one != "terse" && *one != "1");
    let mut failed = 0;
    for (name, test) in tests {
        let wanted = filter.is_none_or(|filter| {
            if has("--exact") {
                name == filter
            } else {
                name.contains(filter)
            }
        });
        if wanted {
            let passed = std::panic::catch_unwind(test).is_ok();
            println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
            failed += u8::from(!passed);
        }
    }
    std::process::exit(failed.min(1).into());
}
