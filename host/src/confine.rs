//! Giving up what the main process does not need, and saying what of it holds.
//!
//! Giving root up is a must: an error here ends the process. Everything else is
//! best effort, reported as it is.

use std::path::PathBuf;

use host_sys::{Account, Error, Exec, Fence, Filter, Reach, account, fence, filter, process};

/// What to give up.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whom to become; `None` for a process that is no longer, or never was, root.
    pub account: Option<Account>,
    /// What the process needs of the file system, besides [`system_paths`], and
    /// which ports it binds itself.
    pub reach: Reach,
    /// Whether it starts programs.
    pub exec: Exec,
}

/// What was reached. For `status`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Confinement {
    /// Whom root was given up for, proven; `None` where there was no root to give up.
    pub dropped: Option<Account>,
    /// The user id the process runs under.
    pub uid: u32,
    /// Whether programs that are started can gain privileges by their file's bits.
    pub no_new_privileges: bool,
    /// What of the file system can be reached.
    pub landlock: Fence,
    /// Which system calls can be made.
    pub seccomp: Filter,
    /// What the operator should know, as sentences.
    pub notes: Vec<String>,
}

impl Confinement {
    /// One line for each step, for `status`.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let user = match &self.dropped {
            Some(account) => format!("root given up for {} (uid {})", account.name, account.uid),
            None => format!("runs as uid {}, never held root", self.uid),
        };
        let privileges = if self.no_new_privileges {
            "no new privileges"
        } else {
            "new privileges can be gained"
        };
        let mut lines = vec![
            user,
            privileges.to_owned(),
            self.landlock.to_string(),
            self.seccomp.to_string(),
        ];
        lines.extend(self.notes.iter().cloned());
        lines
    }

    /// Whether every step holds.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.uid != 0
            && self.no_new_privileges
            && matches!(self.landlock, Fence::Standing { .. })
            && matches!(self.seccomp, Filter::InForce { .. })
    }
}

/// What the C library, name resolution, time zones and TLS roots read.
#[must_use]
pub fn system_paths() -> Vec<PathBuf> {
    [
        "/etc/resolv.conf",
        "/etc/hosts",
        "/etc/host.conf",
        "/etc/nsswitch.conf",
        "/etc/gai.conf",
        "/etc/services",
        "/etc/passwd",
        "/etc/group",
        "/etc/localtime",
        "/etc/ld.so.cache",
        "/etc/ssl",
        "/usr/share/ca-certificates",
        "/usr/share/zoneinfo",
        "/usr/lib",
        "/usr/lib64",
        "/lib",
        "/lib64",
        "/run/systemd/resolve",
        "/proc/self",
        "/proc/meminfo",
        "/proc/stat",
        "/proc/sys/net/core/somaxconn",
        "/sys/fs/cgroup",
        "/sys/devices/system/cpu",
        "/dev/urandom",
    ]
    .map(PathBuf::from)
    .to_vec()
}

/// Confines the calling process, once and for all. Call it before any thread exists.
///
/// # Errors
/// Where root could not be given up, or only seemingly: the process must end then.
pub fn confine(plan: &Plan) -> Result<Confinement, Error> {
    let mut notes = Vec::new();
    if let Some(account) = &plan.account {
        account::become_account(account)?;
    }
    let mut best_effort = |step: Result<(), Error>| {
        if let Err(error) = &step {
            notes.push(format!("Could not {error}."));
        }
        step.is_ok()
    };
    // After the change of user, which resets it.
    best_effort(process::most_files());
    best_effort(process::not_dumpable());
    let no_new_privileges = best_effort(process::no_new_privileges());

    let mut reach = plan.reach.clone();
    let asked = reach.read.len() + reach.write.len();
    reach.read.extend(system_paths());
    reach.write.push("/dev/null".into());
    let (landlock, missing) = fence::put_up(&reach);
    if matches!(landlock, Fence::Standing { .. }) && asked > 0 {
        let ours = [&plan.reach.read, &plan.reach.write];
        for path in missing {
            if ours.iter().any(|list| list.contains(&path)) {
                let path = path.display();
                notes.push(format!(
                    "{path} does not exist and stays out of reach until the next start."
                ));
            }
        }
    }
    let seccomp = filter::install(plan.exec);
    Ok(Confinement {
        dropped: plan.account.clone(),
        uid: account::effective_uid(),
        no_new_privileges,
        landlock,
        seccomp,
        notes,
    })
}
