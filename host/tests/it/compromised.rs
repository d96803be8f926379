//! A peer that does its worst.

use std::fs::{self, File};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use host::desk::MOST_FAULTS;
use host::verb::{LARGEST, Reply, Request, VERSION, Verb, Why, Word};
use host_sys::{Channel, Error};

use crate::Test;
use crate::fixture::{free_address, launch, policy_of, status_line};

pub(crate) const TESTS: &[Test] = &[
    (
        "datagrams_that_are_no_request_are_refused_and_then_the_door_shuts",
        malformed,
    ),
    (
        "nothing_but_what_the_helper_itself_read_is_ever_opened",
        only_configured,
    ),
    ("a_flood_of_requests_and_descriptors_is_bounded", flood),
    (
        "a_reload_takes_the_helpers_own_reading_or_keeps_the_old_one",
        reload,
    ),
    ("started_by_hand_the_helper_says_what_it_is_not", by_hand),
];

/// A helper and the bare end of its channel.
struct Bare {
    child: Child,
    channel: Channel,
    number: u64,
}

impl Bare {
    fn start(dir: &Path, policy: &str) -> Self {
        fs::write(policy_of(dir), policy).unwrap();
        let (child, channel) = host_sys::process::spawn_self(&launch(dir).arguments).unwrap();
        channel.set_patience(Some(Duration::from_secs(5))).unwrap();
        Self {
            child,
            channel,
            number: 0,
        }
    }

    fn greeted(dir: &Path, policy: &str) -> Self {
        let mut bare = Self::start(dir, policy);
        let word = bare.ask(Verb::Hello { version: VERSION });
        assert!(
            matches!(
                word,
                Word::Welcome {
                    version: VERSION,
                    ..
                }
            ),
            "{word:?}"
        );
        bare
    }

    fn raw(&self, datagram: &[u8]) -> Result<(Reply, bool), Error> {
        self.channel.send(datagram, None)?;
        self.reply()
    }

    fn reply(&self) -> Result<(Reply, bool), Error> {
        let mut buffer = [0; LARGEST];
        let got = self.channel.receive(&mut buffer, true)?;
        let reply = serde_json::from_slice(&buffer[..got.length]).unwrap();
        Ok((reply, got.descriptor.is_some()))
    }

    fn ask(&mut self, verb: Verb) -> Word {
        self.number += 1;
        let number = self.number;
        let bytes = serde_json::to_vec(&Request { number, verb }).unwrap();
        let (reply, came) = self.raw(&bytes).unwrap();
        assert_eq!(reply.number, number);
        assert_eq!(
            came,
            matches!(reply.word, Word::Bound | Word::Opened),
            "{reply:?}"
        );
        reply.word
    }

    fn refused(&mut self, verb: Verb) -> Why {
        match self.ask(verb) {
            Word::Refused(refusal) => refusal.why,
            other => panic!("not refused: {other:?}"),
        }
    }

    fn descriptors(&self) -> usize {
        let path = format!("/proc/{}/fd", self.child.id());
        fs::read_dir(path).map_or(0, Iterator::count)
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn bind(id: &dyn std::fmt::Display, share: u16) -> Verb {
    Verb::BindListener {
        id: id.to_string(),
        share,
    }
}

fn open(id: &dyn std::fmt::Display) -> Verb {
    Verb::OpenConfigured { id: id.to_string() }
}

fn malformed() {
    let dir = tempfile::tempdir().unwrap();
    let whole = br#"{"number":9,"verb":{"open_configured":{"id":"x"}}}"#;
    let mut table: Vec<(Vec<u8>, Why)> = vec![
        (b"\0".to_vec(), Why::Malformed),
        (b"\xff\xfe\xfd".to_vec(), Why::Malformed),
        (b"[]".to_vec(), Why::Malformed),
        (b"null".to_vec(), Why::Malformed),
        (br#"{"verb":"ping"}"#.to_vec(), Why::Malformed),
        (br#"{"number":-1,"verb":"ping"}"#.to_vec(), Why::Malformed),
        (
            br#"{"number":1,"verb":"ping","uid":0}"#.to_vec(),
            Why::Malformed,
        ),
        (br#"{"number":1,"verb":"ping"}{}"#.to_vec(), Why::Malformed),
        (br#"{"number":1,"verb":"exec"}"#.to_vec(), Why::UnknownVerb),
        (
            br#"{"number":1,"verb":{"exec":{"path":"/bin/sh"}}}"#.to_vec(),
            Why::UnknownVerb,
        ),
        (
            br#"{"number":1,"verb":{"ping":null,"reload":null}}"#.to_vec(),
            Why::UnknownVerb,
        ),
        (
            br#"{"number":1,"verb":{"open_configured":{"id":"x","path":"/etc/shadow"}}}"#.to_vec(),
            Why::UnknownVerb,
        ),
        (
            br#"{"number":1,"verb":{"bind_listener":{"id":"x","share":70000}}}"#.to_vec(),
            Why::UnknownVerb,
        ),
        (br#"{"number":1,"verb":"ping"}"#.to_vec(), Why::NoHello),
        (vec![b' '; LARGEST + 1], Why::Malformed),
        (
            format!(r#"{{"number":1,"verb":{}}}"#, "[".repeat(4_000)).into_bytes(),
            Why::Malformed,
        ),
    ];
    table.extend(
        (1..whole.len())
            .step_by(5)
            .map(|cut| (whole[..cut].to_vec(), Why::Malformed)),
    );
    // A helper for each few rows: it shuts the door after MOST_FAULTS.
    for rows in table.chunks(10) {
        let bare = Bare::start(dir.path(), "");
        for (datagram, want) in rows {
            let (reply, came) = bare.raw(datagram).unwrap();
            let text = String::from_utf8_lossy(&datagram[..datagram.len().min(80)]);
            assert!(!came);
            let Word::Refused(refusal) = reply.word else {
                panic!("{text}: {:?}", reply.word);
            };
            assert_eq!(refusal.why, *want, "{text}");
        }
    }
    let bare = Bare::start(dir.path(), "");
    for _ in 0..MOST_FAULTS {
        bare.raw(b"?").unwrap();
    }
    let shut = bare.raw(b"?").unwrap_err();
    assert!(matches!(shut, Error::Closed), "{shut}");
}

fn only_configured() {
    let dir = tempfile::tempdir().unwrap();
    let (file, address) = (dir.path().join("log"), free_address());
    fs::write(&file, "line").unwrap();
    let policy = format!("listen {address} 1\nfile {}\n", file.display());
    let mut bare = Bare::greeted(dir.path(), &policy);
    assert_eq!(bare.ask(bind(&address, 0)), Word::Bound);
    assert_eq!(bare.ask(open(&file.display())), Word::Opened);
    let name = file.display().to_string();
    for id in [
        "/etc/shadow",
        "",
        "/",
        &format!("{name}/"),
        &format!("{name}/../log"),
        &format!("/.{name}"),
        &format!("{name}\0"),
        &name.to_uppercase(),
        &format!("//{name}"),
        "/proc/self/mem",
    ] {
        assert_eq!(bare.refused(open(&id)), Why::NotConfigured, "{id}");
    }
    let port = address.port();
    for id in [
        format!("0.0.0.0:{port}"),
        format!("[::]:{port}"),
        format!("[::ffff:127.0.0.1]:{port}"),
        format!(" {address}"),
        format!("{address} "),
        format!("127.0.0.1:0{port}"),
        "127.0.0.1:22".to_owned(),
        "127.0.0.1:0".to_owned(),
    ] {
        assert_eq!(bare.refused(bind(&id, 0)), Why::NotConfigured, "{id}");
    }
    assert_eq!(bare.refused(bind(&address, 1)), Why::Share);
    assert_eq!(bare.refused(bind(&address, u16::MAX)), Why::Share);
    assert!(matches!(bare.ask(Verb::Ping), Word::Pong { counted } if counted.refused == 20));
}

fn flood() {
    let dir = tempfile::tempdir().unwrap();
    let (file, address) = (dir.path().join("log"), free_address());
    fs::write(&file, "line").unwrap();
    let policy = format!("listen {address} 2\nfile {}\n", file.display());
    let mut bare = Bare::greeted(dir.path(), &policy);
    // Sockets on one address: its shares a few times over, then no more.
    let mut bound = 0;
    for _ in 0..40 {
        bound += u32::from(bare.ask(bind(&address, 0)) == Word::Bound);
    }
    assert_eq!(bound, 8, "two shares, each four times");
    let start = Instant::now();
    let mut opened = 0;
    for _ in 0..5_000 {
        opened += u32::from(bare.ask(open(&file.display())) == Word::Opened);
    }
    let most = 80 + 16 * u32::try_from(start.elapsed().as_secs() + 1).unwrap();
    assert!(
        opened > 0 && opened <= most,
        "{opened} files in {:?}",
        start.elapsed()
    );
    assert!(bare.descriptors() <= 4, "the helper keeps none");
    // Descriptors pushed at it are closed by the kernel, not collected.
    let ours = File::open("/dev/null").unwrap();
    for _ in 0..500 {
        let sent = bare
            .channel
            .send(br#"{"number":1,"verb":"ping"}"#, Some(ours.as_fd()));
        sent.unwrap();
        bare.reply().unwrap();
    }
    assert!(
        bare.descriptors() <= 4,
        "{} descriptors",
        bare.descriptors()
    );
    assert_eq!(status_line(bare.child.id(), "Threads").unwrap(), "1");
}

fn reload() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    fs::write(&one, "").unwrap();
    fs::write(&two, "").unwrap();
    let mut bare = Bare::greeted(dir.path(), &format!("file {}\n", one.display()));
    fs::write(policy_of(dir.path()), format!("file {}\n", two.display())).unwrap();
    assert_eq!(
        bare.refused(open(&two.display())),
        Why::NotConfigured,
        "not before it is told"
    );
    let reloaded = Word::Reloaded {
        listeners: 0,
        files: 1,
    };
    assert_eq!(bare.ask(Verb::Reload), reloaded);
    assert_eq!(bare.ask(open(&two.display())), Word::Opened);
    assert_eq!(bare.refused(open(&one.display())), Why::NotConfigured);
    fs::write(policy_of(dir.path()), "nonsense").unwrap();
    let Word::Refused(refusal) = bare.ask(Verb::Reload) else {
        panic!("a broken configuration was taken");
    };
    assert_eq!(refusal.why, Why::Config);
    assert!(refusal.detail.contains("nonsense"), "{refusal:?}");
    assert_eq!(
        bare.ask(open(&two.display())),
        Word::Opened,
        "the old one stays"
    );
}

fn by_hand() {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["host", "/nonexistent"])
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert!(!output.status.success());
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("not the channel"), "{told}");
}
