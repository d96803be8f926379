//! What the tests need from Debian: one list, each entry with its reason.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
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
}

const fn tool(name: &'static str, program: &'static str, why: &'static str) -> Package {
    Package { name, program, why }
}

/// What is installed. Services do not start, see [`Quiet`].
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
    tool("nghttp2-client", "h2load", "visitors at a fixed rate"),
    tool("wrk", "wrk", "many visitors at once"),
    tool(
        "gobuster",
        "gobuster",
        "an attacker that looks for hidden paths",
    ),
    tool("hydra", "hydra", "an attacker that guesses passwords"),
    tool("ffuf", "ffuf", "an attacker that tries words in paths"),
    tool("sqlmap", "sqlmap", "an attacker that injects SQL"),
    tool(
        "wapiti",
        "wapiti",
        "an attacker that tries every page and form for holes",
    ),
    tool(
        "slowhttptest",
        "slowhttptest",
        "an attacker that is slow on purpose",
    ),
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
    tool(
        "systemd",
        "systemd-analyze",
        "reads the guide's unit as an operator's machine would",
    ),
    tool(
        "nginx-light",
        "nginx",
        "a peer to compare with, and its logs",
    ),
    tool("haproxy", "haproxy", "a peer to compare with"),
    tool(
        "crowdsec-firewall-bouncer",
        "crowdsec-firewall-bouncer",
        "a peer that bars in the kernel",
    ),
    tool("git", "git", "a visitor with a protocol of its own"),
    tool("cadaver", "cadaver", "a visitor that speaks WebDAV"),
    tool(
        "linkchecker",
        "linkchecker",
        "a visitor that follows every link",
    ),
    tool(
        "apache2",
        "apache2",
        "serves the applications, WebDAV and repositories",
    ),
    tool("apache2-utils", "htpasswd", "passwords for them"),
    tool("libapache2-mod-php", "php", "runs the applications"),
    tool(
        "php-sqlite3",
        "/usr/share/php8.2-sqlite3/sqlite3/sqlite3.ini",
        "the applications' database",
    ),
    tool(
        "php-xml",
        "/usr/share/php8.2-xml/xml/dom.ini",
        "the applications need it",
    ),
    tool(
        "php-mbstring",
        "/usr/share/php8.2-mbstring/mbstring/mbstring.ini",
        "the applications need it",
    ),
    tool(
        "php-intl",
        "/usr/share/php8.2-intl/intl/intl.ini",
        "the applications need it",
    ),
    tool(
        "dokuwiki",
        "/usr/share/dokuwiki/doku.php",
        "an application to protect",
    ),
    tool(
        "mediawiki",
        "/usr/share/mediawiki/index.php",
        "an application to protect",
    ),
    tool("radicale", "radicale", "an application to protect"),
    tool("chromium", "chromium", "visitors with a browser"),
    tool("chromium-driver", "chromedriver", "steers the browser"),
    tool("docker.io", "dockerd", "containers that come and go"),
    tool("iptables", "iptables", "dockerd wants it"),
    tool("busybox-static", "busybox", "what runs in those containers"),
    tool("clang", "clang", "links the fuzzers"),
];

/// What is only unpacked, below `target/debian/NAME`, since installing it would call
/// its maker: crowdsec's package registers with an API on the internet.
const UNPACKED: &[Package] = &[tool(
    "crowdsec",
    "usr/bin/crowdsec",
    "a peer to compare with, and its hub",
)];

/// Installs what is missing where that is possible; says what is missing where not.
pub(crate) fn install() -> Result<()> {
    let missing: Vec<&Package> = PACKAGES
        .iter()
        .filter(|package| !present(package.program))
        .collect();
    if !missing.is_empty() {
        install_all(&missing)?;
    }
    unpack_all()
}

/// Whether a program, or a file that tells of a package, is there.
fn present(program: &str) -> bool {
    if program.starts_with('/') {
        Path::new(program).exists()
    } else {
        find(program).is_some()
    }
}

fn install_all(missing: &[&Package]) -> Result<()> {
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
    let _quiet = Quiet::begin();
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
    Ok(())
}

/// Downloads and unpacks, without running what the packages would run.
fn unpack_all() -> Result<()> {
    for package in UNPACKED {
        let folder = unpacked(package.name);
        if folder.join(package.program).exists() || find("apt-get").is_none() {
            continue;
        }
        println!("Unpacking {}: {}.", package.name, package.why);
        std::fs::create_dir_all(&folder)?;
        let fetched = succeeds(
            apt()
                .args(["download", "--quiet", package.name])
                .current_dir(&folder),
        )?;
        let archive = std::fs::read_dir(&folder)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.extension().is_some_and(|kind| kind == "deb"));
        let done = match archive {
            Some(archive) if fetched => {
                succeeds(Command::new("dpkg").arg("-x").arg(archive).arg(&folder))?
            }
            _ => false,
        };
        if !done {
            println!(
                "{} could not be unpacked; the tests that need it will say so.",
                package.name
            );
        }
    }
    Ok(())
}

/// Where a package is unpacked.
pub(crate) fn unpacked(name: &str) -> PathBuf {
    crate::run::root().join("target/debian").join(name)
}

fn apt() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// Keeps Debian from starting servers as soon as they are installed, since the tests
/// start their own: a `policy-rc.d` that says no, for as long as this lives.
struct Quiet(Option<PathBuf>);

impl Quiet {
    fn begin() -> Self {
        let policy = PathBuf::from("/usr/sbin/policy-rc.d");
        if policy.exists() {
            return Self(None);
        }
        let made = std::fs::write(&policy, "#!/bin/sh\nexit 101\n")
            .and_then(|()| std::fs::set_permissions(&policy, Permissions::from_mode(0o755)));
        Self(made.is_ok().then_some(policy))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if let Some(policy) = &self.0 {
            let _gone = std::fs::remove_file(policy);
        }
    }
}
