//! What sshd says of those who log in, and of those who try to.

use super::Script;

/// What a host's log says: who says it, and what.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) program: &'static str,
    pub(crate) words: String,
}

const NAMES: [&str; 12] = [
    "root",
    "admin",
    "test",
    "oracle",
    "git",
    "postgres",
    "user1",
    "ftp_user",
    "j.doe",
    "pi",
    "ubuntu",
    "deploy-bot",
];

/// One visit.
pub(super) fn visit(script: &mut Script<'_, Said>) {
    // Unlike web servers, sshd writes them in short.
    if let Some(four) = script.address.strip_prefix("::ffff:") {
        script.address = four.to_owned();
    }
    match script.dice.below(100) {
        0..30 => login(script),
        30..36 => others(script),
        36..42 => scan(script),
        42..72 => guess(script, 10_000, 5),
        _ => guess(script, 60_000, 10),
    }
}

fn say(script: &mut Script<'_, Said>, words: String) {
    script.act(Said {
        program: "sshd",
        words,
    });
}

fn from(script: &mut Script<'_, Said>) -> String {
    let port = 1_024 + script.dice.below(64_000);
    format!("{} port {port}", script.address)
}

fn login(script: &mut Script<'_, Said>) {
    let (name, from) = (*script.dice.pick(&NAMES), from(script));
    if script.dice.percent(20) {
        say(
            script,
            format!("Failed password for {name} from {from} ssh2"),
        );
        script.wait(4_000);
    }
    say(
        script,
        format!("Accepted publickey for {name} from {from} ssh2: ED25519 SHA256:abcdefgh"),
    );
    say(
        script,
        format!("pam_unix(sshd:session): session opened for user {name}(uid=1000) by (uid=0)"),
    );
    let stays = script.dice.below(900_000);
    script.wait(stays);
    say(
        script,
        format!("Received disconnect from {from}:11: disconnected by user"),
    );
    say(script, format!("Disconnected from user {name} {from}"));
    say(
        script,
        format!("pam_unix(sshd:session): session closed for user {name}"),
    );
}

/// What else a host logs.
fn others(script: &mut Script<'_, Said>) {
    for _ in 0..=script.dice.below(60) {
        let (program, words) = *script.dice.pick(&[
            ("CRON", "(root) CMD (run-parts /etc/cron.hourly)"),
            (
                "systemd",
                "Started session-3.scope - Session 3 of user root.",
            ),
            (
                "sshd-session",
                "Failed password for root from 198.51.100.4 port 2222 ssh2",
            ),
            ("kernel", "[12345.678901] eth0: link up"),
            ("sshd", "Server listening on 0.0.0.0 port 22."),
            ("sshd", ""),
        ]);
        let words = words.to_owned();
        script.act(Said { program, words });
        let pause = script.dice.below(9_000);
        script.wait(pause);
    }
}

/// Who only looks which server it is.
fn scan(script: &mut Script<'_, Said>) {
    for _ in 0..=script.dice.below(12) {
        let from = from(script);
        let words = match script.dice.below(5) {
            0 => format!("Bad protocol version identification 'GET / HTTP/1.1' from {from}"),
            1 => format!(
                "Bad protocol version identification '\\003' from {}",
                script.address
            ),
            2 => format!("Did not receive identification string from {from}"),
            3 => format!("Connection closed by {from} [preauth]"),
            _ => format!("Disconnected from {from} [preauth]"),
        };
        say(script, words);
        script.pace(10_000, 5);
    }
}

/// Who guesses, in the words of several versions.
fn guess(script: &mut Script<'_, Said>, leak: u64, capacity: u64) {
    let kind = script.dice.below(9);
    let few = script.dice.percent(40);
    for _ in 0..=script.dice.below(capacity * 3 + 6) {
        let name = if few {
            NAMES[script.dice.index(2)].to_owned()
        } else {
            format!("{}{}", script.dice.pick(&NAMES), script.dice.below(5))
        };
        let (from, address) = (from(script), script.address.clone());
        let kind = if script.dice.percent(80) {
            kind
        } else {
            script.dice.below(9)
        };
        let words = match kind {
            0 => format!("Failed password for {name} from {from} ssh2"),
            1 => format!("Failed password for invalid user {name} from {from} ssh2"),
            2 => format!("Invalid user {name} from {from}"),
            3 => format!("Invalid user  from {address}"),
            4 => format!(
                "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost={address}  user={name}"
            ),
            5 => format!("Connection closed by authenticating user {name} {from} [preauth]"),
            6 => format!("Disconnected from invalid user {name} {from} [preauth]"),
            7 => format!("banner exchange: Connection from {from}: invalid format"),
            _ => format!("Magic value check failed (1) on obfuscated handshake from {from}"),
        };
        say(script, words);
        script.pace(leak, capacity);
    }
}
