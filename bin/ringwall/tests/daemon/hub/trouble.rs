//! Hubs that lie, break off, change under one's hands, or are not there; and disks and
//! operators that do.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::server::{Hub, trigger};
use super::{Place, detection, small};
use crate::instance::{Instance, free_port, site, upstream};
use crate::support::{self, RINGWALL, wait_for};

#[test]
fn what_the_index_does_not_vouch_for_is_not_installed() {
    let hub = small();
    let place = Place::new(&hub);
    place.say(&["install", "me/one"]);
    let good = hub.files().files["scenarios/me/two.yaml"].clone();
    hub.files().files.insert(
        "scenarios/me/two.yaml".to_owned(),
        trigger("me/two", "/evil").into(),
    );
    let why = place.refuse(&["install", "me/two"]);
    assert!(
        why.contains("the scenario me/two is not what the index says"),
        "{why}"
    );
    hub.files()
        .files
        .insert("scenarios/me/two.yaml".to_owned(), vec![b'#'; 5 << 20]);
    let why = place.refuse(&["install", "me/two"]);
    assert!(why.contains("more than the 4194304 bytes"), "{why}");
    hub.files().files.remove("scenarios/me/two.yaml");
    let why = place.refuse(&["install", "me/two"]);
    assert!(why.contains("the server answered 404"), "{why}");
    assert_eq!(place.listed(), ["me/one 0.1 up-to-date"]);
    hub.files()
        .files
        .insert("scenarios/me/two.yaml".to_owned(), good);
    place.say(&["install", "me/two"]);
}

#[test]
fn an_index_that_leads_elsewhere_is_no_index() {
    let hub = small();
    let place = Place::new(&hub);
    place.say(&["install", "me/one"]);
    for (path, name) in [
        ("../../../../etc/cron.d/x.yaml", "me/bad"),
        ("scenarios/../../x.yaml", "me/bad"),
        ("/etc/x.yaml", "me/bad"),
        ("scenarios/me/bad.yaml", "../../bad"),
        ("scenarios/me/one.yaml", "me/bad"),
    ] {
        let before = hub.files().files[".index.json"].clone();
        hub.files()
            .publish_at("scenarios", name, path, "0.1", &trigger("me/bad", "/bad"));
        let why = place.refuse(&["install", "me/two"]);
        assert!(
            why.contains("is not to be believed"),
            "{path} {name}: {why}"
        );
        let mut files = hub.files();
        files.forget("scenarios", name);
        files.files.insert(".index.json".to_owned(), before);
    }
    for bad in [
        b"<html>busy</html>".to_vec(),
        b"{".repeat(100_000),
        vec![b' '; 33 << 20],
    ] {
        let before = hub
            .files()
            .files
            .insert(".index.json".to_owned(), bad)
            .expect("it was there");
        place.refuse(&["install", "me/two"]);
        hub.files().files.insert(".index.json".to_owned(), before);
    }
    // What was kept of it is as it was.
    assert_eq!(place.listed(), ["me/one 0.1 up-to-date"]);
    place.say(&["install", "me/two"]);
}

#[test]
fn a_hub_that_changes_between_two_requests_is_read_again() {
    let hub = small();
    let place = Place::new(&hub);
    hub.files().after_index = Some(Box::new(|files| {
        files.publish("scenarios", "me/one", "0.2", &trigger("me/one", "/uno"));
    }));
    place.say(&["install", "me/one"]);
    assert_eq!(place.listed(), ["me/one 0.2 up-to-date"]);
    assert_eq!(hub.asked(".index.json"), 2);
}

#[test]
fn a_set_that_does_not_compile_is_not_switched_to() {
    let hub = small();
    let place = Place::new(&hub);
    place.say(&["install", "me/one"]);
    let broken = trigger("me/broken", "/x").replace("==", "=~=");
    hub.files()
        .publish("scenarios", "me/broken", "0.1", &broken);
    let why = place.refuse(&["install", "me/broken"]);
    assert!(
        why.contains("does not compile") && why.contains("scenarios/me/broken.yaml"),
        "{why}"
    );
    hub.files()
        .publish("scenarios", "me/bomb", "0.1", &"[".repeat(1 << 20));
    let why = place.refuse(&["install", "me/bomb"]);
    assert!(why.contains("does not compile"), "{why}");
    assert_eq!(place.listed(), ["me/one 0.1 up-to-date"]);
}

#[test]
fn no_item_takes_the_place_of_a_file_of_the_operators_own() {
    let hub = small();
    let place = Place::new(&hub);
    place.say(&["install", "me/one"]);
    let own = place
        .folder
        .0
        .join("state/hub/current/scenarios/me/two.yaml");
    std::fs::write(&own, trigger("me/mine", "/mine")).expect("root writes");
    let why = place.refuse(&["install", "me/two"]);
    assert!(why.contains("a file of yours"), "{why}");
    assert_eq!(place.listed(), ["me/one 0.1 up-to-date", "me/two local"]);
}

#[test]
fn data_files_come_from_public_hosts_or_from_the_hub_itself() {
    let inside = small();
    inside
        .files()
        .files
        .insert("secret".to_owned(), b"secret\n".to_vec());
    let hub = small();
    let place = Place::new(&hub);
    let with_data = |url: &str, file: &str| {
        trigger("me/lists", "/lists")
            + &format!("data:\n  - source_url: {url}\n    dest_file: {file}\n    type: string\n")
    };
    hub.files()
        .files
        .insert("data/words.txt".to_owned(), b"word\n".to_vec());
    let own = format!("http://{}/data/words.txt", hub.address);
    let (port, tls) = (inside.address.port(), "https");
    for (url, file, why) in [
        (
            format!("http://127.0.0.1:{port}/secret"),
            "words.txt",
            "not https",
        ),
        (
            format!("{tls}://127.0.0.1:{port}/secret"),
            "words.txt",
            "not of the public internet",
        ),
        (
            format!("{tls}://localhost:{port}/secret"),
            "words.txt",
            "not of the public internet",
        ),
        (
            format!("{tls}://169.254.169.254/secret"),
            "words.txt",
            "not of the public internet",
        ),
        ("file:///etc/passwd".to_owned(), "words.txt", "Cannot get"),
        (own.clone(), "../../../words.txt", "leads out of the set"),
        (own.clone(), "exploits.regex.txt", "one of Ringwall's own"),
    ] {
        hub.files()
            .publish("scenarios", "me/lists", "0.1", &with_data(&url, file));
        let refused = place.refuse(&["install", "me/lists"]);
        assert!(refused.contains(why), "{url} {file}: {refused}");
    }
    assert_eq!(inside.asked("secret"), 0);
    hub.files().publish(
        "scenarios",
        "me/lists",
        "0.2",
        &with_data(&own, "words.txt"),
    );
    assert!(place.say(&["install", "me/lists"]).contains("1 data files"));
    let words = place.folder.0.join("state/hub/current/data/words.txt");
    assert_eq!(std::fs::read(&words).expect("it is there"), b"word\n");
    assert!(place.say(&["update"]).contains("up to date"));
    assert_eq!(hub.asked("unchanged data/words.txt"), 1);
    hub.files()
        .files
        .insert("data/words.txt".to_owned(), b"other\n".to_vec());
    place.say(&["update"]);
    assert_eq!(std::fs::read(&words).expect("it is there"), b"other\n");
    hub.files().files.remove("data/words.txt");
    assert!(
        place
            .say(&["update"])
            .contains("words.txt could not be fetched anew")
    );
    assert_eq!(std::fs::read(&words).expect("it is there"), b"other\n");
    // What the operator supplied is not asked for by an update.
    let lists = place.folder.0.join("lists");
    std::fs::create_dir(&lists).expect("a folder");
    std::fs::write(lists.join("words.txt"), b"mine\n").expect("a list");
    let lists = lists.display().to_string();
    place.say(&["update", "--data", &lists]);
    let before = hub.asked("words.txt");
    place.say(&["update"]);
    assert_eq!(hub.asked("words.txt"), before);
    assert_eq!(std::fs::read(&words).expect("it is there"), b"mine\n");
}

#[test]
fn two_at_once_are_one_after_the_other_and_a_killed_one_leaves_nothing() {
    let hub = small();
    let place = Place::new(&hub);
    hub.files().rest = Duration::from_secs(2);
    let begin = || {
        let mut command = place.command(&["install", "me/both"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        support::Running::start(&mut command)
    };
    let draft = place.folder.0.join("state/hub/sets/.draft");
    let mut first = begin();
    wait_for("it to begin", Duration::from_secs(20), || {
        draft.is_dir().then_some(())
    });
    let began = Instant::now();
    let why = place.refuse(&["install", "me/two"]);
    assert!(why.contains("Another 'ringwall hub' command"), "{why}");
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    first.0.kill().expect("it is ours");
    let _reaped = first.0.wait();
    assert!(draft.is_dir(), "it was killed half-way");
    assert!(
        place
            .say(&["list"])
            .contains("Nothing of the hub is installed")
    );
    hub.files().rest = Duration::ZERO;
    assert!(place.say(&["install", "me/two"]).contains("Set 1"));
    assert_eq!(place.listed(), ["me/two 0.1 up-to-date"]);
    assert!(!draft.exists());
}

#[test]
fn who_is_not_there_or_cannot_prove_its_name_is_told_as_such() {
    let gone = Place::of(&format!("http://127.0.0.1:{}/", free_port()));
    let why = gone.refuse(&["install", "me/one"]);
    assert!(
        why.contains("offline") && why.contains("Connection refused"),
        "{why}"
    );
    let (root, tls) = authority();
    let hub = Hub::with(Some(tls));
    hub.files()
        .publish("scenarios", "me/one", "0.1", &trigger("me/one", "/one"));
    let place = Place::of(&format!("https://{}/", hub.address));
    let why = place.refuse(&["install", "me/one"]);
    assert!(why.contains("SSL_CERT_FILE"), "{why}");
    assert_eq!(hub.asked(""), 0);
    let root = place.folder.file("root.pem", &root);
    let output = place
        .command(&["install", "me/one"])
        .env("SSL_CERT_FILE", &root)
        .env("HTTPS_PROXY", "http://127.0.0.1:1")
        .output()
        .expect("ringwall runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        told.contains("Set 1") && !told.contains("plain http"),
        "{told}"
    );
}

fn authority() -> (String, Arc<ServerConfig>) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
    let key = KeyPair::generate().expect("a key");
    let names = vec!["127.0.0.1".to_owned()];
    let params = CertificateParams::new(names).expect("proper names");
    let leaf = params.signed_by(&key, &issuer).expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .expect("they belong together");
    (issuer.pem(), Arc::new(config))
}

#[test]
fn an_instance_that_refuses_has_everything_as_it_was() {
    let hub = small();
    let sites = site("shop.example", upstream("up"));
    let more = detection(&format!("http://{}/", hub.address));
    let instance = Instance::start(&sites, &more);
    let hub_runs = |words: &[&str]| {
        super::command(&instance.folder, words)
            .output()
            .expect("ringwall runs")
    };
    assert!(hub_runs(&["install", "me/one"]).status.success());
    // Wrong for the instance, which looks at files, and not for the command, which does not.
    let lost = sites.clone() + "certificate = \"/nowhere/a.pem\"\nkey = \"/nowhere/a.key\"\n";
    instance.rewrite(&lost, &more);
    for words in [
        &["install", "me/two"][..],
        &["tune", "me/one", "--off"],
        &["remove", "me/one"],
    ] {
        let output = hub_runs(words);
        let why = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && why.contains("everything is as it was"),
            "{words:?}: {why}"
        );
    }
    instance.rewrite(&sites, &more);
    let listed = String::from_utf8_lossy(&hub_runs(&["list"]).stdout).into_owned();
    assert!(
        listed.contains("me/one") && !listed.contains("me/two"),
        "{listed}"
    );
    assert!(!listed.contains("tuned"), "{listed}");
    assert!(hub_runs(&["install", "me/two"]).status.success());
}

#[test]
fn thresholds_that_make_no_sense_are_refused() {
    let hub = small();
    let place = Place::new(&hub);
    place.say(&["install", "me/one"]);
    for (words, code, why) in [
        (
            &["tune", "me/one", "--capacity", "5"][..],
            1,
            "at the first event",
        ),
        (&["tune", "me/on", "--off"], 1, "Did you mean me/one"),
        (
            &["tune", "ringwall/http-probing", "--capacity", "0"],
            64,
            "from 1 to 1000000",
        ),
        (
            &["tune", "ringwall/http-probing", "--leakspeed", "fast"],
            64,
            "not a span",
        ),
        (
            &["tune", "me/one", "--off", "--site", "http://a"],
            64,
            "no scheme",
        ),
        (
            &["tune", "me/one", "--site", "shop.example"],
            64,
            "add --off or --on",
        ),
        (&["tune", "--off"], 64, "required"),
    ] {
        let output = place.run(words);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {said}");
        assert!(said.contains(why), "{words:?}: {said}");
    }
    assert!(place.say(&["tune"]).contains("Nothing is tuned"));
}

#[test]
fn a_full_disk_leaves_what_is_installed() {
    if !support::is_root() {
        support::cannot_run("only root can mount a small disk");
        return;
    }
    let hub = small();
    let padding = "# ".to_owned() + &"x".repeat(900 << 10) + "\n";
    let big = trigger("me/big", "/big") + &padding;
    hub.files().publish("scenarios", "me/big", "0.1", &big);
    let place = Place::new(&hub);
    let folder = place.folder.0.display();
    let script = format!(
        "mkdir -p '{folder}/state' && mount -t tmpfs -o size=600k,mode=700 small '{folder}/state' && \
         ringwall() {{ '{RINGWALL}' --config '{folder}/ringwall.toml' hub \"$@\"; }} && \
         ringwall install me/one && ! ringwall install me/big && ringwall list && ringwall install me/two"
    );
    let output = Command::new("unshare")
        .args(["-m", "sh", "-c", &script])
        .output()
        .expect("unshare runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{errors}");
    assert!(errors.contains("The disk is full"), "{errors}");
    assert!(told.contains("Set 2 is in force"), "{told}");
}
