//! Landlock: what of the file system, and which TCP ports, a process can reach.
//!
//! Best effort by nature: an old kernel gives less, a kernel without it nothing,
//! and [`Fence`] says which. It binds the calling thread and what comes after it,
//! so it is put up while there is one thread.

use std::fmt;
use std::path::PathBuf;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, LandlockStatus,
    NetPort, PathBeneath, PathFd, RestrictionStatus, Ruleset, RulesetAttr as _, RulesetCreated,
    RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
};

use crate::process;

/// The newest kernel interface whose rights we name.
const NEWEST: ABI = ABI::V6;

/// What a process is to reach; everything else is out.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reach {
    /// Files and directories to read, with all below them.
    pub read: Vec<PathBuf>,
    /// Files and directories to read, write, create and remove in.
    pub write: Vec<PathBuf>,
    /// Which TCP ports may be bound.
    pub bind: TcpBind,
}

/// Which TCP ports may be bound.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum TcpBind {
    /// Any.
    #[default]
    Any,
    /// These only; 0 stands for "let the kernel choose".
    Only(Vec<u16>),
}

/// What was reached of the fence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fence {
    /// It stands.
    Standing {
        /// The kernel interface's version that was used.
        version: u32,
        /// Whether binding TCP ports is fenced (kernel 6.7 and newer).
        ports: bool,
    },
    /// There is none.
    Absent {
        /// Why, as a clause.
        why: String,
    },
}

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Standing { version, ports } => {
                let what = if *ports { "files and ports" } else { "files" };
                write!(f, "landlock version {version}, {what}")
            }
            Self::Absent { why } => write!(f, "no landlock: {why}"),
        }
    }
}

/// Puts the fence up, once and for all; returns what stands and which paths could
/// not be opened and are therefore out of reach.
#[must_use]
pub fn put_up(reach: &Reach) -> (Fence, Vec<PathBuf>) {
    if let Err(error) = process::one_thread() {
        return (absent(error.to_string()), Vec::new());
    }
    let mut missing = Vec::new();
    match restrict(reach, &mut missing) {
        Ok(status) => (level(&status, reach), missing),
        Err(error) => (absent(error.to_string()), missing),
    }
}

const fn absent(why: String) -> Fence {
    Fence::Absent { why }
}

fn restrict(reach: &Reach, missing: &mut Vec<PathBuf>) -> Result<RestrictionStatus, RulesetError> {
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .scope(Scope::Signal)?;
    if matches!(reach.bind, TcpBind::Only(_)) {
        rules = rules.handle_access(AccessNet::BindTcp)?;
    }
    let mut made = rules.create()?;
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    // Not the right to execute, nor to make device nodes.
    let make = AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::Execute;
    let write = AccessFs::from_all(NEWEST) & !make;
    for (paths, access) in [(&reach.read, read), (&reach.write, write)] {
        for path in paths {
            made = match PathFd::new(path) {
                Ok(opened) => allow(made, opened, path.is_dir(), access)?,
                Err(_) => {
                    missing.push(path.clone());
                    made
                }
            };
        }
    }
    if let TcpBind::Only(ports) = &reach.bind {
        for port in ports {
            made = made.add_rule(NetPort::new(*port, AccessNet::BindTcp))?;
        }
    }
    made.restrict_self()
}

fn allow(
    rules: RulesetCreated,
    opened: PathFd,
    directory: bool,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    // The kernel refuses a rule that gives a file rights only directories have.
    let access = if directory {
        access
    } else {
        access & AccessFs::from_file(NEWEST)
    };
    rules.add_rule(PathBeneath::new(opened, access))
}

fn level(status: &RestrictionStatus, reach: &Reach) -> Fence {
    match (&status.ruleset, &status.landlock) {
        (
            RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced,
            LandlockStatus::Available { effective_abi, .. },
        ) => Fence::Standing {
            version: *effective_abi as u32,
            ports: matches!(reach.bind, TcpBind::Only(_)) && *effective_abi >= ABI::V4,
        },
        (_, LandlockStatus::NotEnabled) => {
            absent("the kernel has it but it is switched off at boot (lsm=)".to_owned())
        }
        (_, LandlockStatus::NotImplemented) => absent("the kernel does not have it".to_owned()),
        (RulesetStatus::NotEnforced, LandlockStatus::Available { .. }) => {
            absent("the kernel did not take the rules".to_owned())
        }
    }
}
