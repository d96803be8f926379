//! A home for Debian's crowdsec: its configuration, hub items and lists in a folder, as
//! Debian's package lays them out, and the command that starts it where nobody can be called.
//!
//! Assumes: the package is unpacked, never installed ('cargo xtask test' does it). On failure: an error
//! whose text says which file or program it was.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An item of the hub: its kind, as the hub's folders are called, and its name.
pub(crate) type Item<'i> = (&'i str, &'i str);

/// Where crowdsec lies, where it is to live, and what it is to run.
#[derive(Clone, Debug)]
pub(crate) struct Home<'h> {
    /// The unpacked package.
    pub(crate) debian: &'h Path,
    /// An empty folder.
    pub(crate) folder: &'h Path,
    /// What is enabled, with all that it names.
    pub(crate) items: &'h [Item<'h>],
    /// A line that items are enabled without, if any have it.
    pub(crate) without: Option<&'h str>,
}

impl Home<'_> {
    /// Lays everything out; how many scenario files are enabled.
    pub(crate) fn furnish(&self) -> io::Result<usize> {
        for name in ["data", "notifications", "plugins", "scenarios"] {
            fs::create_dir_all(self.folder.join(name)).map_err(named(self.folder))?;
        }
        for (kind, name) in self.items {
            self.install(kind, name)?;
        }
        let etc = self.debian.join("etc/crowdsec");
        symlink(etc.join("patterns"), self.folder.join("patterns"))?;
        for file in ["simulation.yaml", "profiles.yaml"] {
            fs::copy(etc.join(file), self.folder.join(file)).map_err(named(&etc))?;
        }
        self.configure()?;
        let words = [
            "machines",
            "add",
            "home",
            "--password",
            "home",
            "--force",
            "--error",
        ];
        let output = self.run("cscli", &words).output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(io::Error::other(format!("cscli: {said}")));
        }
        Ok(fs::read_dir(self.folder.join("scenarios"))?.count())
    }

    /// One of its programs with this home's configuration, in a network namespace with
    /// nothing but loopback in it.
    pub(crate) fn run(&self, program: &str, words: &[&str]) -> Command {
        let mut command = Command::new("unshare");
        command.args([
            "--net",
            "sh",
            "-c",
            "ip link set lo up && exec \"$@\"",
            "sh",
        ]);
        command.arg(self.debian.join("usr/bin").join(program));
        command.arg("-c").arg(self.folder.join("config.yaml"));
        command.args(words).env("TZ", "UTC");
        command
    }

    /// The hub that the package brings.
    pub(crate) fn hub(&self) -> PathBuf {
        self.debian.join("usr/share/crowdsec/hub")
    }

    /// Links an item and all that it names, as the package's installation does.
    fn install(&self, kind: &str, name: &str) -> io::Result<()> {
        let hub = self.hub();
        let found = stages(&hub.join(kind))?
            .into_iter()
            .map(|stage| stage.join(format!("{name}.yaml")))
            .find(|file| file.exists())
            .ok_or_else(|| io::Error::other(format!("the hub has no {kind} {name}")))?;
        let text = fs::read_to_string(&found).map_err(named(&found))?;
        let author = found.parent().and_then(Path::parent);
        let stage = author.and_then(|stage| stage.strip_prefix(&hub).ok());
        let target = self.folder.join(stage.unwrap_or_else(|| Path::new(kind)));
        fs::create_dir_all(&target)?;
        let link = target.join(found.file_name().unwrap_or_default());
        if link.exists() {
            return Ok(());
        }
        match self.without {
            Some(without) if text.lines().any(|line| line == without) => {
                let lines: Vec<&str> = text.lines().filter(|line| *line != without).collect();
                fs::write(&link, lines.join("\n"))
            }
            _ => symlink(&found, &link),
        }
        .map_err(named(&link))?;
        self.lists(&text)?;
        if kind == "collections" {
            for (kind, name) in members(&text) {
                self.install(kind, name)?;
            }
        }
        Ok(())
    }

    /// Copies the lists that an item needs, under the names by which it asks for them: the
    /// package has them under those of their sources. Without one, every line would write
    /// an error.
    fn lists(&self, item: &str) -> io::Result<()> {
        for (source, name) in lists(item) {
            let list = self.debian.join("usr/share/crowdsec/data").join(source);
            fs::copy(&list, self.folder.join("data").join(name)).map_err(named(&list))?;
        }
        Ok(())
    }

    fn configure(&self) -> io::Result<()> {
        let (own, hub) = (self.folder.display(), self.hub());
        let hub = hub.display();
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
        fs::write(self.folder.join("config.yaml"), text)?;
        fs::write(self.folder.join("credentials.yaml"), "")?;
        fs::write(self.folder.join("acquis.yaml"), "")
    }
}

/// Which lists an item names: the file at its source, and the name it asks for.
pub(crate) fn lists(item: &str) -> Vec<(&str, &str)> {
    let (mut source, mut found) = ("", Vec::new());
    for line in item.lines() {
        let line = line.trim_start().trim_start_matches("- ");
        if let Some(url) = line.strip_prefix("source_url:") {
            source = url.rsplit('/').next().unwrap_or_default().trim();
        } else if let Some(name) = line.strip_prefix("dest_file:") {
            found.push((source, name.trim()));
        }
    }
    found
}

/// What a collection names: `kind:` at the left, `  - author/item` below.
fn members(collection: &str) -> Vec<Item<'_>> {
    let (mut kind, mut found) = ("", Vec::new());
    for line in collection.lines() {
        if let Some(item) = line.trim_start().strip_prefix("- ") {
            if ["parsers", "scenarios", "collections", "postoverflows"].contains(&kind) {
                found.push((kind, item.trim()));
            }
        } else if let Some(key) = line.strip_suffix(':') {
            kind = key;
        }
    }
    found
}

/// The folders in which a kind's authors are: parsers have one for each stage.
fn stages(kind: &Path) -> io::Result<Vec<PathBuf>> {
    let mut folders = vec![kind.to_owned()];
    for entry in fs::read_dir(kind).map_err(named(kind))? {
        folders.push(entry?.path());
    }
    folders.sort();
    Ok(folders)
}

fn named(path: &Path) -> impl FnOnce(io::Error) -> io::Error {
    let shown = path.display().to_string();
    move |error| io::Error::new(error.kind(), format!("{shown}: {error}"))
}
