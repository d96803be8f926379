//! nginx with Debian's crowdsec reading its log: what detection costs where it is done by
//! a second program.
//!
//! Both see the same requests. crowdsec is far slower than nginx, so few requests are made,
//! and its processor time is taken until it has read them all. It runs in a network
//! namespace of its own with nothing but loopback in it: it can call nobody.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::contender::{Contender, Place};
use super::load::{HEADERS, TARGET};
use super::process::{Cpu, Running};
use crate::packages::unpacked;

/// Requests that both see.
const REQUESTS: u32 = 2_000;
/// How long crowdsec may take to start, and to read them.
const PATIENCE: Duration = Duration::from_secs(90);

/// The parsers and scenarios that Debian's package enables for a web server, as its
/// maintainers chose them.
const PARSERS: [&str; 4] = [
    "parsers/s00-raw/crowdsecurity/syslog-logs.yaml",
    "parsers/s01-parse/crowdsecurity/nginx-logs.yaml",
    "parsers/s02-enrich/crowdsecurity/dateparse-enrich.yaml",
    "parsers/s02-enrich/crowdsecurity/http-logs.yaml",
];
const COLLECTIONS: [&str; 3] = ["nginx", "base-http-scenarios", "http-cve"];

/// What a request cost.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Watched {
    pub(super) requests: u32,
    /// Processor microseconds a request.
    pub(super) nginx: f64,
    pub(super) crowdsec: f64,
    /// crowdsec's memory in MiB.
    pub(super) resident: f64,
    pub(super) scenarios: usize,
}

/// Measures; `None` when crowdsec is not there.
pub(super) fn run(place: &Place, nginx: &Contender) -> Result<Option<Watched>> {
    let debian = unpacked("crowdsec");
    if !debian.join("usr/bin/crowdsec").exists() {
        return Ok(None);
    }
    let folder = place.folder("crowdsec")?;
    let scenarios = furnish(&debian, &folder, &nginx.log())?;
    let said = folder.join("said");
    let script = format!(
        "ip link set lo up && exec {}/usr/bin/crowdsec -c {}/config.yaml",
        debian.display(),
        folder.display()
    );
    let unshare = crate::run::find("unshare").context("unshare is not installed.")?;
    let mut running = Running::start(0, &unshare, &["--net", "sh", "-c", &script], &said)?;
    wait_for(&said, "Starting processing data", &mut running)?;
    let family = running.family()?;
    settle(&family)?;
    let (before, nginx_before) = (Cpu::of(&family)?, Cpu::of(nginx.family())?);
    requests(nginx)?;
    settle(&family)?;
    let spent = Cpu::of(&family)?.since(before);
    let own = Cpu::of(nginx.family())?.since(nginx_before);
    let each = |cpu: Cpu| (cpu.user + cpu.system) * 1e6 / f64::from(REQUESTS);
    Ok(Some(Watched {
        requests: REQUESTS,
        nginx: each(own),
        crowdsec: each(spent),
        resident: super::process::resident(&family),
        scenarios,
    }))
}

/// Makes a configuration of Debian's files; how many scenarios it has.
pub(super) fn furnish(debian: &Path, folder: &Path, log: &Path) -> Result<usize> {
    let hub = debian.join("usr/share/crowdsec/hub");
    for sub in [
        "parsers/s00-raw",
        "parsers/s01-parse",
        "parsers/s02-enrich",
        "scenarios",
        "postoverflows",
        "notifications",
        "plugins",
        "data",
    ] {
        fs::create_dir_all(folder.join(sub)).context("Cannot make crowdsec's folders.")?;
    }
    let mut scenarios = 0;
    for item in PARSERS
        .iter()
        .map(|item| (*item).to_owned())
        .chain(chosen(&hub)?)
    {
        let file = hub.join(&item);
        let (Some(kind), Some(name)) = (stage(&item), file.file_name()) else {
            continue;
        };
        if file.exists() {
            symlink(&file, folder.join(kind).join(name)).context("Cannot enable an item.")?;
            scenarios += usize::from(kind == "scenarios");
        }
    }
    copy_all(
        &debian.join("usr/share/crowdsec/data"),
        &folder.join("data"),
    )?;
    // The scenario asks for another name than the one Debian ships; without it, every line
    // would write an error.
    fs::copy(
        folder.join("data/path_traversal.txt"),
        folder.join("data/http_path_traversal.txt"),
    )
    .context("Cannot copy a data file.")?;
    symlink(
        debian.join("etc/crowdsec/patterns"),
        folder.join("patterns"),
    )?;
    for file in ["simulation.yaml", "profiles.yaml"] {
        fs::copy(debian.join("etc/crowdsec").join(file), folder.join(file))?;
    }
    configure(folder, &hub, log)?;
    let registered = Command::new(debian.join("usr/bin/cscli"))
        .arg("-c")
        .arg(folder.join("config.yaml"))
        .args([
            "machines",
            "add",
            "bench",
            "--password",
            "bench",
            "--force",
            "--error",
        ])
        .output()
        .context("Cannot run cscli.")?;
    if !registered.status.success() {
        bail!("cscli: {}", String::from_utf8_lossy(&registered.stderr));
    }
    Ok(scenarios)
}

fn configure(folder: &Path, hub: &Path, log: &Path) -> Result<()> {
    let (own, hub, log) = (folder.display(), hub.display(), log.display());
    let text = format!(
        "common: {{daemonize: false, log_media: stdout, log_level: info, working_dir: {own}}}\n\
         config_paths: {{config_dir: {own}/, data_dir: {own}/data/, simulation_path: {own}/simulation.yaml, \
         hub_dir: {hub}/, index_path: {hub}/.index.json, notification_dir: {own}/notifications/, plugin_dir: {own}/plugins/}}\n\
         crowdsec_service: {{acquisition_path: {own}/acquis.yaml, parser_routines: 1}}\n\
         cscli: {{output: human}}\n\
         db_config: {{log_level: info, type: sqlite, db_path: {own}/crowdsec.db}}\n\
         plugin_config: {{user: nobody, group: nogroup}}\n\
         api:\n  client: {{credentials_path: {own}/credentials.yaml}}\n  \
         server: {{log_level: info, listen_uri: 127.0.0.1:8080, profiles_path: {own}/profiles.yaml}}\n\
         prometheus: {{enabled: false}}\n"
    );
    fs::write(folder.join("config.yaml"), text)?;
    fs::write(folder.join("credentials.yaml"), "")?;
    let acquis = format!("filenames: [{log}]\nlabels: {{type: nginx}}\n");
    fs::write(folder.join("acquis.yaml"), acquis).context("Cannot write crowdsec's configuration.")
}

/// The scenarios of the collections, as paths within the hub.
fn chosen(hub: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for collection in COLLECTIONS {
        let file = hub.join(format!("collections/crowdsecurity/{collection}.yaml"));
        let text = fs::read_to_string(&file)
            .with_context(|| format!("Cannot read {}.", file.display()))?;
        let items = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("- "));
        found.extend(items.map(|item| format!("scenarios/{}.yaml", item.trim())));
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// Where an item of the hub belongs: crowdsec wants its author left out.
fn stage(item: &str) -> Option<&str> {
    let (folder, _) = item.rsplit_once('/')?;
    folder.rsplit_once('/').map(|(stage, _)| stage)
}

fn copy_all(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from).with_context(|| format!("Cannot read {}.", from.display()))? {
        let path: PathBuf = entry?.path();
        if let Some(name) = path.file_name() {
            fs::copy(&path, to.join(name))?;
        }
    }
    Ok(())
}

fn wait_for(said: &Path, words: &str, running: &mut Running) -> Result<()> {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until && running.is_alive() {
        let text = fs::read_to_string(said).unwrap_or_default();
        if text.contains(words) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    let text = fs::read_to_string(said).unwrap_or_default();
    let end: String = text.chars().rev().take(600).collect();
    bail!(
        "crowdsec did not start: {}",
        end.chars().rev().collect::<String>()
    )
}

/// Waits until a family of processes is at rest: under three hundredths of a second in two.
fn settle(family: &[u32]) -> Result<()> {
    let until = Instant::now() + PATIENCE;
    loop {
        let before = Cpu::of(family)?;
        std::thread::sleep(Duration::from_secs(2));
        let spent = Cpu::of(family)?.since(before);
        if spent.user + spent.system < 0.03 {
            return Ok(());
        }
        if Instant::now() > until {
            bail!("crowdsec is still reading after {PATIENCE:?}.");
        }
    }
}

fn requests(nginx: &Contender) -> Result<()> {
    let mut command = Command::new("taskset");
    command.args([
        "--cpu-list",
        "1",
        "h2load",
        "--h1",
        "--threads=1",
        "--clients=8",
    ]);
    command.arg(format!("--requests={REQUESTS}"));
    for header in HEADERS {
        command.args(["--header", header]);
    }
    command.arg(format!("{}{TARGET}", nginx.origin()));
    let output = command.output().context("Cannot start h2load.")?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !text.contains(&format!("{REQUESTS} succeeded")) {
        bail!("nginx did not answer every request:\n{text}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_go_where_crowdsec_looks_for_them() {
        assert_eq!(
            stage("scenarios/crowdsecurity/http-probing.yaml"),
            Some("scenarios")
        );
        assert_eq!(
            stage("parsers/s01-parse/crowdsecurity/nginx-logs.yaml"),
            Some("parsers/s01-parse")
        );
        assert_eq!(stage("x.yaml"), None);
    }
}
