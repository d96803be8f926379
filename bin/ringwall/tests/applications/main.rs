//! Nobody is barred by mistake: applications from Debian, used by people with a
//! browser and by the programs made for them, as clumsily as people are. Ringwall
//! stands at its default settings with volume rules enforced. Every story ends
//! without an alert, a decision, a refused request or a refused connection.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::format_push_string,
    unreachable_pub,
    reason = "a test's helpers fail by panicking and say what they saw"
)]

#[expect(dead_code, reason = "each test binary uses a part of this")]
#[path = "../field/network.rs"]
mod network;
#[path = "../support/mod.rs"]
mod support;
mod town;

use std::process::Stdio;
use std::thread;
use std::time::Instant;

use network::{inside, ready};
use town::{SCRIPTS, Town};

/// Grudges shown when a test fails; more of the same tell nothing new.
const SHOWN: usize = 40;

/// Somebody at an address of their own, and what they do.
struct Story {
    /// The function that tells it.
    name: &'static str,
    /// The script that holds the function.
    script: &'static str,
    /// Fewest requests that the story makes; fewer means it was not told.
    requests: usize,
}

const fn person(name: &'static str, requests: usize) -> Story {
    Story {
        name,
        script: "people.py",
        requests,
    }
}

const fn program(name: &'static str, requests: usize) -> Story {
    Story {
        name,
        script: "programs.py",
        requests,
    }
}

/// What people use, and what they use it on.
const NEEDED: [&str; 12] = [
    "git",
    "cadaver",
    "linkchecker",
    "apache2",
    "htpasswd",
    "php",
    "radicale",
    "chromium",
    "chromedriver",
    "apt-get",
    "dpkg-deb",
    "setpriv",
];

/// Tells stories, so many at a time, each at an address of its own.
fn tell(stories: &[Story], at_a_time: usize) {
    if !ready(&NEEDED) {
        return;
    }
    let mut town = Town::make();
    let mut failed = Vec::new();
    let visitors: Vec<(String, String)> = (10..)
        .zip(stories)
        .map(|(last, _)| (town.visitor(last), format!("198.51.100.{last}")))
        .collect();
    let next = std::sync::Mutex::new(stories.iter().zip(&visitors));
    thread::scope(|scope| {
        let tellers: Vec<_> = (0..at_a_time)
            .map(|_| {
                scope.spawn(|| {
                    let mut wrong = Vec::new();
                    loop {
                        let Some((story, (namespace, address))) =
                            next.lock().expect("nobody fails while it is held").next()
                        else {
                            return wrong;
                        };
                        wrong.extend(run(&town, story, namespace, address));
                    }
                })
            })
            .collect();
        for teller in tellers {
            failed.extend(teller.join().expect("a teller ends"));
        }
    });
    let grudges = town.grudges();
    if !grudges.is_empty() {
        for (story, (_, address)) in stories.iter().zip(&visitors) {
            println!("{address} is {}", story.name);
        }
    }
    assert!(
        failed.is_empty() && grudges.is_empty(),
        "DENY: nobody of these is held back\n{}\n{} grudges\n{}\n{}",
        failed.join("\n"),
        grudges.len(),
        grudges
            .iter()
            .take(SHOWN)
            .cloned()
            .collect::<Vec<_>>()
            .join("\n"),
        town.said()
    );
}

/// Runs one story to its end; what went wrong for those in it.
fn run(town: &Town, story: &Story, namespace: &str, address: &str) -> Option<String> {
    let begun = Instant::now();
    let output = inside(namespace, "timeout")
        .args(["200", "python3", "-B"])
        .arg(format!("{SCRIPTS}/{}", story.script))
        .arg(story.name)
        .current_dir(town.home(story.name))
        .env("HOME", town.home(story.name))
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .output()
        .expect("ip runs");
    let requests = town.requests_of(address);
    println!(
        "{address} {}: {requests} requests in {:.1} s",
        story.name,
        begun.elapsed().as_secs_f32()
    );
    let told = output.status.success() && requests >= story.requests;
    (!told).then(|| {
        format!(
            "{address} {}: {}, {requests} requests\n{}{}",
            story.name,
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    })
}

#[test]
fn people_with_browsers_are_left_alone() {
    tell(
        &[
            person("reads_and_edits_a_wiki", 60),
            person("forgot_a_password", 30),
            person("types_into_the_search_box_of_an_encyclopedia", 40),
            person("comes_back_with_an_expired_session", 60),
            person("sees_a_site_full_of_holes", 60),
            person("opens_a_gallery_of_thumbnails", 600),
            person("leaves_a_polling_page_open", 40),
        ],
        3,
    );
}

#[test]
fn programs_made_for_the_applications_are_left_alone() {
    tell(
        &[
            program("monitors_a_protected_page_every_second", 60),
            program("checks_every_link_of_a_wiki", 150),
            program("clones_and_pushes_with_git", 20),
            program("works_in_a_shared_folder_with_cadaver", 40),
            program("mounts_a_shared_folder", 60),
            program("installs_packages", 10),
            program("reads_a_feed", 40),
            program("retries_with_an_expired_token", 20),
            program("crawls_for_a_search_engine", 40),
            program("syncs_calendars_and_contacts", 120),
            program("syncs_with_an_old_password", 40),
            program("looks_for_a_mail_account", 30),
            program("changes_its_agent", 30),
        ],
        6,
    );
}

#[test]
fn an_office_behind_one_address_is_left_alone() {
    tell(&[person("is_an_office", 500)], 1);
}
