//! What the tests need from Debian: one list, each entry with its reason.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::run::{find, is_root, succeeds};

/// A Debian package that some test needs.
struct Package {
    /// Its name in Debian 12.
    name: &'static str,
    /// A program whose presence tells that it is installed.
    program: &'static str,
    /// What it is needed for.
    why: &'static str,
    /// A service that Debian starts with it and that nobody asked for.
    service: Option<&'static str>,
}

const fn tool(name: &'static str, program: &'static str, why: &'static str) -> Package {
    Package {
        name,
        program,
        why,
        service: None,
    }
}

const fn server(name: &'static str, program: &'static str, why: &'static str) -> Package {
    Package {
        name,
        program,
        why,
        service: Some(program),
    }
}

const PACKAGES: &[Package] = &[
    tool(
        "iproute2",
        "ip",
        "network namespaces with attackers and visitors in them",
    ),
    tool(
        "util-linux",
        "unshare",
        "processes in namespaces of their own",
    ),
    tool("procps", "ps", "what runs as whom"),
    tool("curl", "curl", "visitors that nobody here wrote"),
    tool("wrk", "wrk", "many visitors at once"),
    tool(
        "gobuster",
        "gobuster",
        "an attacker that looks for hidden paths",
    ),
    tool("hydra", "hydra", "an attacker that guesses passwords"),
    tool(
        "openssl",
        "openssl",
        "certificates, and a TLS client that nobody here wrote",
    ),
    tool("python3", "python3", "small services to stand in front of"),
    tool(
        "sqlite3",
        "sqlite3",
        "another program that locks our database",
    ),
    tool("nftables", "nft", "what the kernel enforces"),
    server(
        "nginx-light",
        "nginx",
        "a peer to compare with, and its logs",
    ),
    server("haproxy", "haproxy", "a peer to compare with"),
];

/// Installs what is missing where that is possible; says what is missing where not.
pub(crate) fn install() -> Result<()> {
    let missing: Vec<&Package> = PACKAGES
        .iter()
        .filter(|package| find(package.program).is_none())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|package| package.name).collect();
    if !is_root() || find("apt-get").is_none() {
        let because = if is_root() {
            "this is no Debian"
        } else {
            "that takes root"
        };
        println!(
            "Some tests cannot run here, and nothing was installed, since {because}. They need:"
        );
        for package in missing {
            println!("  {:<12} {}", package.name, package.why);
        }
        println!("To install them: sudo apt-get install {}", names.join(" "));
        return Ok(());
    }
    println!("Installing what the tests need: {}.", names.join(" "));
    let updated = succeeds(apt().args(["update", "--quiet"]))?;
    let installed = succeeds(
        apt()
            .args(["install", "--yes", "--quiet", "--no-install-recommends"])
            .args(&names),
    )?;
    if !installed {
        let why = if updated {
            ""
        } else {
            " The package lists could not be updated either."
        };
        println!(
            "apt-get could not install all of them; the tests that need them will say so.{why}"
        );
    }
    quieten(&missing)
}

fn apt() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// Debian starts a server as soon as it is installed; the tests start their own.
fn quieten(installed: &[&Package]) -> Result<()> {
    if !Path::new("/run/systemd/system").exists() {
        return Ok(());
    }
    for service in installed.iter().filter_map(|package| package.service) {
        succeeds(Command::new("systemctl").args(["disable", "--now", service]))?;
    }
    Ok(())
}
