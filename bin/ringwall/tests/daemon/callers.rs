//! Who may speak to the control socket of an instance that gave root up.

use std::process::Command;

use crate::instance::{Instance, site, upstream};
use crate::support::{cannot_run, is_root, missing};

/// Asks for the status without the help of our binary, which not everybody may look at.
/// Perl is always there on Debian, and everybody may run it.
const ASKS: &str = r#"use IO::Socket::UNIX;
my $line = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die "no way there: $!\n";
print $line qq({"version":1,"ask":"status"}\n);
$line->flush;
print <$line>;
"#;

/// What somebody with this user and group, and no other, hears.
fn hears(instance: &Instance, user: u32, group: u32) -> String {
    let output = Command::new("setpriv")
        .arg(format!("--reuid={user}"))
        .arg(format!("--regid={group}"))
        .args(["--clear-groups", "/usr/bin/perl", "-e", ASKS])
        .arg(instance.socket())
        .output()
        .expect("setpriv runs");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

fn ready() -> bool {
    let missing = missing(&["setpriv", "perl"]);
    if !is_root() || !missing.is_empty() {
        cannot_run(&format!("it takes root and {}", missing.join(", ")));
    }
    is_root() && missing.is_empty()
}

#[test]
fn the_control_socket_s_group_reaches_it_and_nobody_else_does() {
    if !ready() {
        return;
    }
    // Debian's user and group 1, which nothing of ours uses.
    let more = "[process]\nuser = \"daemon\"";
    let instance = Instance::start(&site("*", upstream("up")), more);
    let member = hears(&instance, 4_711, 1);
    assert!(member.contains("\"version\""), "{member}");
    let stranger = hears(&instance, 4_711, 4_711);
    assert!(stranger.contains("no way there"), "DENY {stranger}");
}

#[test]
fn the_group_that_unrelated_services_share_is_no_way_in() {
    if !ready() {
        return;
    }
    let more = "[process]\nuser = \"nobody\"";
    let instance = Instance::start(&site("*", upstream("up")), more);
    let of_nogroup = hears(&instance, 4_711, 65_534);
    assert!(of_nogroup.contains("no way there"), "DENY {of_nogroup}");
}
