//! Processes that the benchmark starts, and what the kernel says they cost.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// Descriptors that the largest part needs: idle and busy connections, those to the upstream,
/// and Ringwall gives three of four to clients.
const DESCRIPTORS: u64 = 16_000;

/// A process of ours; it ends with this value.
#[derive(Debug)]
pub(super) struct Running(Child);

impl Running {
    /// Starts a program on one core, its words going to a file.
    pub(super) fn start(core: u8, program: &Path, words: &[&str], said: &Path) -> Result<Self> {
        let file =
            File::create(said).with_context(|| format!("Cannot write {}.", said.display()))?;
        let also = file.try_clone().context("Cannot share a file.")?;
        let child = Command::new("taskset")
            .args(["--cpu-list", &core.to_string()])
            .arg(program)
            .args(words)
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(also)
            .spawn()
            .with_context(|| format!("Cannot start {}.", program.display()))?;
        Ok(Self(child))
    }

    /// Whether it still runs.
    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None))
    }

    /// Its id and those of all below it: workers and helpers.
    pub(super) fn family(&self) -> Result<Vec<u32>> {
        let mut parents = Vec::new();
        for entry in fs::read_dir("/proc").context("Cannot list processes.")? {
            let name = entry.context("Cannot list processes.")?.file_name();
            let Some(id) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            if let Some(parent) = stat(id).and_then(|fields| fields.first().copied()) {
                parents.push((id, parent));
            }
        }
        let mut family = vec![self.0.id()];
        let mut next = 0;
        while let Some(one) = family.get(next).copied() {
            let below = parents
                .iter()
                .filter(|(_, parent)| *parent == u64::from(one));
            family.extend(below.map(|(id, _)| *id));
            next += 1;
        }
        Ok(family)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Asked first, so that a master takes its workers along.
        let id = self.0.id().to_string();
        let _asked = Command::new("kill").args(["-TERM", &id]).status();
        let until = Instant::now() + Duration::from_secs(5);
        while self.is_alive() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        if self.is_alive() {
            let _killed = self.0.kill();
            let _reaped = self.0.wait();
        }
    }
}

/// Processor time, in seconds.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Cpu {
    pub(super) user: f64,
    pub(super) system: f64,
}

impl Cpu {
    /// What a family used since it exists.
    pub(super) fn of(family: &[u32]) -> Result<Self> {
        let ticks = ticks_per_second()?;
        let mut sum = Self::default();
        for id in family {
            let fields = stat(*id).with_context(|| format!("Process {id} is gone."))?;
            // Counted from the parent's id on: proc(5) numbers it 4, utime 14, stime 15.
            let (user, system) = (fields.get(10), fields.get(11));
            sum.user += user.copied().unwrap_or(0) as f64 / ticks;
            sum.system += system.copied().unwrap_or(0) as f64 / ticks;
        }
        Ok(sum)
    }

    pub(super) fn since(self, earlier: Self) -> Self {
        Self {
            user: self.user - earlier.user,
            system: self.system - earlier.system,
        }
    }
}

/// The numbers of `/proc/ID/stat` from the parent's id on; negative ones as 0.
fn stat(id: u32) -> Option<Vec<u64>> {
    numbers(&fs::read_to_string(format!("/proc/{id}/stat")).ok()?)
}

/// The name may hold blanks and brackets, so what counts begins behind the last one.
fn numbers(text: &str) -> Option<Vec<u64>> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields = rest.split_whitespace().skip(1);
    Some(fields.map(|field| field.parse().unwrap_or(0)).collect())
}

fn ticks_per_second() -> Result<f64> {
    let output = Command::new("getconf")
        .arg("CLK_TCK")
        .output()
        .context("Cannot run getconf.")?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().context("getconf gave no number.")
}

/// Resident memory of a family, in MiB. What its processes share counts once: files by the
/// process that has most of a mapping, and the rest, which only a family shares, by
/// proportion. Other instances of the same program, which run beside it, take nothing off.
pub(super) fn resident(family: &[u32]) -> f64 {
    let read =
        |id: &u32, file: &str| fs::read_to_string(format!("/proc/{id}/{file}")).unwrap_or_default();
    let own = family.iter().map(|id| {
        let text = read(id, "smaps_rollup");
        kibibytes(&text, "Pss_Anon:") + kibibytes(&text, "Pss_Shmem:")
    });
    let mut files: HashMap<String, f64> = HashMap::new();
    for id in family {
        let mut all: HashMap<String, f64> = HashMap::new();
        for (mapping, resident) in of_files(&read(id, "smaps")) {
            *all.entry(mapping).or_default() += resident;
        }
        for (mapping, resident) in all {
            let known = files.entry(mapping).or_default();
            *known = known.max(resident);
        }
    }
    (own.sum::<f64>() + files.values().sum::<f64>()) / 1024.0
}

/// Which part of which file each mapping of smaps shows, and how much of it is resident and
/// still the file's, in KiB.
fn of_files(smaps: &str) -> Vec<(String, f64)> {
    let mut found: Vec<(String, f64)> = Vec::new();
    let mut counts = false;
    for line in smaps.lines() {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        if let Some(key) = first.strip_suffix(':') {
            let sign = match key {
                "Rss" => 1.0,
                "Anonymous" => -1.0,
                _ => continue,
            };
            let size = words.next().and_then(|word| word.parse::<f64>().ok());
            if let (true, Some((_, resident)), Some(size)) = (counts, found.last_mut(), size) {
                *resident += sign * size;
            }
            continue;
        }
        // 'from-to rights offset device inode path'
        let (offset, device, inode) = (words.nth(1), words.next(), words.next());
        counts = inode.is_some_and(|inode| inode != "0");
        if let (true, Some(offset), Some(device), Some(inode)) = (counts, offset, device, inode) {
            found.push((format!("{device} {inode} {offset}"), 0.0));
        }
    }
    found
}

pub(super) fn kibibytes(text: &str, key: &str) -> f64 {
    text.lines()
        .filter_map(|line| line.strip_prefix(key))
        .filter_map(|rest| rest.split_whitespace().next()?.parse::<f64>().ok())
        .sum()
}

/// Lets this process and those it starts hold as many connections as the host allows.
pub(super) fn allow_descriptors() -> Result<()> {
    let limits = fs::read_to_string("/proc/self/limits").context("Cannot read our limits.")?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let hard = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    if hard.is_some_and(|hard| hard < DESCRIPTORS) {
        bail!(
            "The benchmark needs {DESCRIPTORS} file descriptors. Raise the limit with 'ulimit -Hn {DESCRIPTORS}'."
        );
    }
    let own = std::process::id().to_string();
    let wanted = hard.unwrap_or(65_536).min(65_536);
    let status = Command::new("prlimit")
        .args(["--pid", &own, &format!("--nofile={wanted}:")])
        .status()
        .context("Cannot run prlimit.")?;
    if !status.success() {
        bail!("The limit of file descriptors could not be raised to {wanted}.");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_found_behind_any_name() {
        let text = "7 (a) b (c) S 5 7 7 0 -1 4194560 900 0 0 0 123 45 0 0 20 0 1 0";
        let fields = numbers(text).unwrap();
        assert_eq!(fields.first(), Some(&5));
        assert_eq!((fields.get(10), fields.get(11)), (Some(&123), Some(&45)));
        assert!(numbers("7 nothing").is_none());
    }

    #[test]
    fn resident_memory_is_read_from_its_line() {
        assert!((kibibytes("VmHWM: 9 kB\nVmRSS:\t  2048 kB\n", "VmRSS:") - 2048.0).abs() < 1e-9);
        assert!(kibibytes("VmHWM: 9 kB", "VmRSS:").abs() < 1e-9);
        let smaps = "55a0-55b0 r-xp 00001000 08:01 42   /usr/bin/x\nSize:  9 kB\nRss:  8 kB\nAnonymous:  3 kB\n\
            55b0-55c0 rw-p 00000000 00:00 0   [heap]\nRss:  100 kB\nAnonymous:  100 kB\n";
        assert_eq!(of_files(smaps), [("08:01 42 00001000".to_owned(), 5.0)]);
    }
}
