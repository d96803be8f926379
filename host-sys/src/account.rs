//! Becoming somebody without privileges, for good.
//!
//! Order matters and is written once, in [`become_account`]: bounding set, groups,
//! gid, uid, inheritable set, then the proof. glibc carries the id changes to every
//! thread, the capability calls bind the calling one; so it is done while there is
//! one thread only, and refused otherwise.

use nix::unistd::{Gid, Uid, User, getgroups, getresgid, getresuid};
use nix::unistd::{setgroups, setresgid, setresuid, setuid};
use rustix::thread as caps;
use rustix::thread::CapabilitySets;

use crate::{Error, process};

pub use rustix::thread::CapabilitySet;

/// Somebody to run as.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Account {
    /// The login name, or `uid N` where the system has none for it.
    pub name: String,
    /// The user id.
    pub uid: u32,
    /// The primary group id; the only group kept.
    pub gid: u32,
}

/// Debian's `nogroup`, which the kernel also shows for groups that it cannot name.
const NOGROUP: u32 = 65534;

impl Account {
    /// Whether being of its group says anything: root's and `nogroup`, which unrelated
    /// services share, do not.
    #[must_use]
    pub fn has_telling_group(&self) -> bool {
        ![0, NOGROUP].contains(&self.gid)
    }

    /// The account of this login name, or of this number.
    ///
    /// # Errors
    /// [`Error::NoAccount`] where there is none, [`Error::Call`] where the user
    /// database cannot be read.
    pub fn named(name: &str) -> Result<Self, Error> {
        let failed = |errno: nix::Error| Error::call(format!("look up the user {name}"), errno);
        let found = match name.parse::<u32>() {
            Ok(uid) => User::from_uid(Uid::from_raw(uid)).map_err(failed)?,
            Err(_) => User::from_name(name).map_err(failed)?,
        };
        found
            .map(|user| Self {
                name: user.name,
                uid: user.uid.as_raw(),
                gid: user.gid.as_raw(),
            })
            .ok_or_else(|| Error::NoAccount {
                name: name.to_owned(),
            })
    }

    /// Whether this is root or root's group: nothing to drop to.
    #[must_use]
    pub const fn is_root(&self) -> bool {
        self.uid == 0 || self.gid == 0
    }
}

/// Whether the process runs with root's effective user id.
#[must_use]
pub fn is_root() -> bool {
    Uid::effective().is_root()
}

/// The effective user id of the process.
#[must_use]
pub fn effective_uid() -> u32 {
    Uid::effective().as_raw()
}

/// Gives root up for `account` and proves that there is no way back.
///
/// # Errors
/// Any error means that the process must not go on: it may still hold root.
pub fn become_account(account: &Account) -> Result<(), Error> {
    process::one_thread()?;
    if account.is_root() {
        return Err(Error::StillPrivileged {
            found: format!("{} is root or in root's group", account.name),
        });
    }
    let (uid, gid) = (Uid::from_raw(account.uid), Gid::from_raw(account.gid));
    let step = |doing: &'static str| move |errno: nix::Error| Error::call(doing, errno);

    // While CAP_SETPCAP is still held; the uid change would take it away.
    empty_bounding_set(CapabilitySet::empty());
    setgroups(&[gid]).map_err(step("give up supplementary groups"))?;
    setresgid(gid, gid, gid).map_err(step("change the group id"))?;
    setresuid(uid, uid, uid).map_err(step("change the user id"))?;
    caps::clear_ambient_capability_set()
        .map_err(|errno| Error::call("clear ambient capabilities", errno))?;
    keep_capabilities(CapabilitySet::empty())?;
    prove(account)
}

/// Keeps only `kept` of the calling thread's capabilities, in every set.
///
/// # Errors
/// [`Error::Call`] where `kept` asks for more than is held.
pub fn keep_capabilities(kept: CapabilitySet) -> Result<(), Error> {
    caps::set_capabilities(
        None,
        CapabilitySets {
            effective: kept,
            permitted: kept,
            inheritable: CapabilitySet::empty(),
        },
    )
    .map_err(|errno| Error::call("reduce capabilities", errno))
}

/// Takes everything but `kept` out of the bounding set, as far as the kernel lets
/// us; a container may lack `CAP_SETPCAP`, and then no-new-privileges has to do.
pub fn empty_bounding_set(kept: CapabilitySet) {
    for bit in 0..64_u32 {
        let one = CapabilitySet::from_bits_retain(1 << bit);
        if kept.contains(one) {
            continue;
        }
        match caps::capability_is_in_bounding_set(one) {
            Ok(true) => drop(caps::remove_capability_from_bounding_set(one)),
            Ok(false) => {}
            Err(_) => break, // past the last capability this kernel knows
        }
    }
}

fn prove(account: &Account) -> Result<(), Error> {
    let left = |found: String| Err(Error::StillPrivileged { found });
    let failed = |errno: nix::Error| Error::call("read back the process's ids", errno);
    let (users, groups) = (getresuid().map_err(failed)?, getresgid().map_err(failed)?);
    if [users.real, users.effective, users.saved] != [Uid::from_raw(account.uid); 3] {
        return left(format!("the user ids are {users:?}"));
    }
    if [groups.real, groups.effective, groups.saved] != [Gid::from_raw(account.gid); 3] {
        return left(format!("the group ids are {groups:?}"));
    }
    let member = getgroups().map_err(failed)?;
    if member != [Gid::from_raw(account.gid)] {
        return left(format!("supplementary groups are left: {member:?}"));
    }
    let held =
        caps::capabilities(None).map_err(|errno| Error::call("read back capabilities", errno))?;
    if !(held.permitted | held.effective | held.inheritable).is_empty() {
        return left(format!("capabilities are left: {:?}", held.permitted));
    }
    if setuid(Uid::from_raw(0)).is_ok() {
        return left("setuid(0) was granted".to_owned());
    }
    Ok(())
}
