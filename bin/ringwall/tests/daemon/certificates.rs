//! Certificates from files: opened by the helper, renewed without a restart.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::instance::{Instance, free_port, site, upstream};
use crate::support::{cannot_run, missing, wait_for};

/// A new key and a certificate for `app.example` whose issuer is called `name`.
fn issue(folder: &Path, name: &str) {
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args([
            "-subj",
            &format!("/O={name}/CN=app.example"),
            "-addext",
            "subjectAltName=DNS:app.example",
        ])
        .arg("-keyout")
        .arg(folder.join("new.key"))
        .arg("-out")
        .arg(folder.join("new.pem"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(
        made.is_ok_and(|status| status.success()),
        "openssl makes a certificate"
    );
    // Renamed into place, as certificate clients do.
    for (new, old) in [("new.key", "app.key"), ("new.pem", "app.pem")] {
        std::fs::rename(folder.join(new), folder.join(old)).expect("a file can be renamed");
    }
}

fn rights(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("it is ours");
}

/// What openssl sees of the certificate and of the answer.
fn look(edge: SocketAddr, host: &str) -> String {
    let mut client = Command::new("openssl")
        .args([
            "s_client",
            "-connect",
            &edge.to_string(),
            "-servername",
            "app.example",
            "-ign_eof",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl starts");
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let mut input = client.stdin.take().expect("it reads");
    std::io::Write::write_all(&mut input, request.as_bytes()).expect("it listens");
    let output = client.wait_with_output().expect("openssl ends");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_renewed_certificate_is_served_without_a_restart_and_a_broken_one_is_not() {
    if !missing(&["openssl"]).is_empty() {
        cannot_run("openssl is missing; 'cargo xtask test' installs it");
        return;
    }
    let keys = crate::support::Folder::make("keys");
    issue(&keys.0, "First");
    let tls = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let site = format!(
        "[[edge.site]]\nhost = [\"app.example\"]\nto = [\"http://{}\"]\ncertificate = \"{1}/app.pem\"\nkey = \"{1}/app.key\"\n",
        upstream("secured"),
        keys.0.display()
    );
    let instance = Instance::start_with_tls(&site, tls);
    let seen = look(tls, "app.example");
    assert!(
        seen.contains("O = First") && seen.contains("secured"),
        "{seen}"
    );
    assert!(
        look(tls, "other.example").contains(" 421 "),
        "DENY: the host that TLS was not opened for"
    );
    issue(&keys.0, "Second");
    wait_for("the renewed certificate", Duration::from_secs(15), || {
        look(tls, "app.example")
            .contains("O = Second")
            .then_some(())
    });
    // As certbot keeps them: in a folder that only root may look into.
    rights(&keys.0, 0o700);
    issue(&keys.0, "Third");
    wait_for("one renewed out of sight", Duration::from_secs(40), || {
        look(tls, "app.example").contains("O = Third").then_some(())
    });
    rights(&keys.0, 0o755);
    std::fs::write(keys.0.join("app.pem"), "not a certificate").expect("a file can be written");
    wait_for("the broken one to be told", Duration::from_secs(15), || {
        instance
            .log()
            .contains("certificates not read again")
            .then_some(())
    });
    assert!(
        look(tls, "app.example").contains("O = Third"),
        "the old one stays"
    );
    assert!(
        !instance.log().contains("PRIVATE KEY"),
        "DENY: no key in the log"
    );
}

#[test]
fn a_configuration_that_only_root_may_read_is_reloaded_all_the_same() {
    let instance = Instance::start(&site("first.example", upstream("up")), "");
    rights(&instance.folder.0.join("ringwall.toml"), 0o600);
    instance.rewrite(&site("second.example", upstream("up")), "");
    let said = instance.say(&["reload"]);
    assert!(said.contains("is in force"), "{said}");
    assert_eq!(instance.get("second.example").0, 200);
    // By itself too, and what is wrong is told and changes nothing.
    instance.rewrite(&site("third.example", upstream("up")), "");
    wait_for("the file to be read again", Duration::from_secs(15), || {
        (instance.get("third.example").0 == 200).then_some(())
    });
    instance.rewrite("[[edge.site]]\n", "");
    let said = instance.refuse(&["reload"]);
    assert!(said.contains("a site needs"), "{said}");
    assert_eq!(instance.get("third.example").0, 200, "DENY");
}
