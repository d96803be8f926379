//! Seccomp: system calls that a reverse proxy never makes answer `EPERM`.
//!
//! A deny-list, on purpose: an allow-list of what glibc, SQLite and the async
//! runtime use differs by version and kernel, and a wrong guess is an outage. What
//! is denied is what turns a foothold into more: other processes' memory, mounts and
//! namespaces, kernel code and keys, exotic sockets, io_uring, running programs.

use std::collections::BTreeMap;
use std::fmt;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

/// Whether the process may still run programs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exec {
    /// It may.
    Allow,
    /// `execve` is refused too.
    Deny,
}

/// What was reached of the filter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Filter {
    /// It is in force for every thread of the process.
    InForce {
        /// How many system calls it refuses, whole or in part.
        refused: usize,
    },
    /// There is none.
    Absent {
        /// Why, as a clause.
        why: String,
    },
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InForce { refused } => write!(f, "seccomp refuses {refused} system calls"),
            Self::Absent { why } => write!(f, "no seccomp: {why}"),
        }
    }
}

/// Installs the filter for all threads, once and for all. Sets no-new-privileges.
#[must_use]
pub fn install(exec: Exec) -> Filter {
    match programs(exec) {
        Ok((programs, refused)) => {
            for program in &programs {
                if let Err(error) = seccompiler::apply_filter_all_threads(program) {
                    return Filter::Absent {
                        why: error.to_string(),
                    };
                }
            }
            Filter::InForce { refused }
        }
        Err(error) => Filter::Absent {
            why: error.to_string(),
        },
    }
}

/// Denied whatever their arguments are, on both architectures.
const DENIED: &[libc::c_long] = &[
    // other processes
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_process_madvise,
    // mounts, roots and namespaces
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_unshare,
    libc::SYS_setns,
    // the kernel itself
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_reboot,
    libc::SYS_syslog,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    // keyrings
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    // large doors that nothing here uses
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    libc::SYS_personality,
    libc::SYS_mknodat,
    libc::SYS_vhangup,
];

/// Denied on x86_64, which alone has them.
#[cfg(target_arch = "x86_64")]
const DENIED_HERE: &[libc::c_long] = &[
    libc::SYS_kexec_file_load,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
    libc::SYS_mknod,
    libc::SYS_uselib,
    libc::SYS_ustat,
    libc::SYS_sysfs,
    libc::SYS__sysctl,
];
/// Denied on aarch64: `kexec_file_load`, which libc names for some of its targets only.
#[cfg(target_arch = "aarch64")]
const DENIED_HERE: &[libc::c_long] = &[294];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const DENIED_HERE: &[libc::c_long] = &[];

/// `clone` with any of these makes a namespace.
const NAMESPACES: &[libc::c_int] = &[
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWCGROUP,
];

/// libc names it for glibc only.
const AF_XDP: libc::c_int = 44;

/// Socket families with a long record of kernel faults, of which we use none.
const FAMILIES: &[libc::c_int] = &[
    libc::AF_PACKET,
    libc::AF_ALG,
    libc::AF_VSOCK,
    libc::AF_KEY,
    libc::AF_TIPC,
    libc::AF_RDS,
    libc::AF_RXRPC,
    libc::AF_BLUETOOTH,
    libc::AF_CAN,
    libc::AF_NFC,
    AF_XDP,
];

/// x86_64 kernels with the x32 interface answer every call under a second number.
const X32: i64 = 0x4000_0000;

type Fault = Box<dyn core::error::Error>;

fn programs(exec: Exec) -> Result<(Vec<BpfProgram>, usize), Fault> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let mut denied: Vec<i64> = [DENIED, DENIED_HERE].concat();
    if exec == Exec::Deny {
        denied.extend([libc::SYS_execve, libc::SYS_execveat]);
    }
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for call in &denied {
        rules.insert(*call, Vec::new());
        if arch == TargetArch::x86_64 {
            rules.insert(*call | X32, Vec::new());
        }
    }
    rules.insert(libc::SYS_clone, any_of(NAMESPACES, SeccompCmpOp::MaskedEq)?);
    rules.insert(libc::SYS_socket, any_of(FAMILIES, |_| SeccompCmpOp::Eq)?);
    let refused = denied.len() + 3;
    let main = compile(rules, libc::EPERM, arch)?;
    // clone3 hides its flags behind a pointer, which no filter can follow. ENOSYS
    // makes every C library fall back to clone.
    let clone3 = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    Ok((vec![compile(clone3, libc::ENOSYS, arch)?, main], refused))
}

fn any_of(
    values: &[libc::c_int],
    test: impl Fn(u64) -> SeccompCmpOp,
) -> Result<Vec<SeccompRule>, Fault> {
    let rule = |value: &libc::c_int| -> Result<SeccompRule, Fault> {
        let value = u64::try_from(*value)?;
        let condition = SeccompCondition::new(0, SeccompCmpArgLen::Dword, test(value), value)?;
        Ok(SeccompRule::new(vec![condition])?)
    };
    values.iter().map(rule).collect()
}

fn compile(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    errno: libc::c_int,
    arch: TargetArch,
) -> Result<BpfProgram, Fault> {
    let answer = SeccompAction::Errno(u32::try_from(errno)?);
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, answer, arch)?;
    Ok(BpfProgram::try_from(filter)?)
}
