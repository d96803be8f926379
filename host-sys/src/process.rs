//! Starting oneself as a second process, and what a process gives up on its own.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, Signal, getpriority_process, getrlimit, setrlimit,
};

use crate::{Channel, Error};

/// Starts this very program again with `arguments`, one end of a channel as its
/// standard input, in a process group of its own (so that a terminal's Ctrl-C
/// reaches the main process, which then ends it in order).
///
/// Everything else of ours is closed on exec. Call it before threads exist.
///
/// # Errors
/// [`Error::ThreadsExist`], or [`Error::Call`] where the kernel refuses.
pub fn spawn_self<S: AsRef<OsStr>>(arguments: &[S]) -> Result<(Child, Channel), Error> {
    one_thread()?;
    close_all_on_exec();
    let (ours, theirs) = Channel::pair()?;
    let child = Command::new("/proc/self/exe")
        .arg0("ringwall-host")
        .args(arguments)
        .stdin(theirs.into_fd())
        .process_group(0)
        .spawn()
        .map_err(|error| Error::call("start the helper process", error))?;
    Ok((child, ours))
}

/// Marks every descriptor past standard error as closed on exec, those included
/// that we were started with by mistake. On kernels before 5.11 it does nothing.
fn close_all_on_exec() {
    let first: libc::c_uint = 3;
    #[expect(unsafe_code, reason = "no crate of ours wraps close_range(2)")]
    // SAFETY: three integers go in, no memory is touched; with this flag no
    // descriptor is closed in this process, so that nobody loses one it owns.
    let _unsupported_before_5_11 = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            first,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
}

/// How many threads the process has; 0 where `/proc` cannot be read.
#[must_use]
pub fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

/// Fails when the process has more than one thread.
///
/// # Errors
/// [`Error::ThreadsExist`].
pub fn one_thread() -> Result<(), Error> {
    match threads() {
        0 | 1 => Ok(()),
        threads => Err(Error::ThreadsExist { threads }),
    }
}

/// No program that we start can gain privileges by its file's bits.
///
/// # Errors
/// [`Error::Call`] on kernels before 3.5.
pub fn no_new_privileges() -> Result<(), Error> {
    rustix::thread::set_no_new_privs(true)
        .map_err(|errno| Error::call("set no-new-privileges", errno))
}

/// No core dumps with keys in them, and no other process of the same user may
/// attach to this one.
///
/// # Errors
/// [`Error::Call`].
pub fn not_dumpable() -> Result<(), Error> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|errno| Error::call("forbid core dumps", errno))
}

/// Raises the number of files that this process may hold open to the most that it is
/// allowed. Shells and service managers give 1,024 for the sake of `select`, which
/// nobody here uses; a thousand slow clients would then lock everybody out.
///
/// # Errors
/// [`Error::Call`].
pub fn most_files() -> Result<(), Error> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, raised)
        .map_err(|errno| Error::call("raise the number of open files", errno))
}

/// Asks the kernel to kill this process when its parent's main thread ends.
///
/// A parent that has dropped its user id may not signal a child that is still
/// root, and then the kernel does not either: the end of the channel is what a
/// helper must go by, this is for the moments before.
///
/// # Errors
/// [`Error::Call`].
pub fn die_with_parent() -> Result<(), Error> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|errno| Error::call("tie the process to its parent", errno))
}

/// Bounds what the allocator keeps for itself. With another C library than glibc it does
/// nothing. Call it before there are threads.
///
/// - How many separate heaps it keeps for threads, 1 to 64; by itself up to eight a core. With
///   fewer than there are threads, some share one.
/// - From which size on memory is the kernel's again as soon as it is free: 128 KiB. By itself
///   the allocator learns from the first large block that is freed to take them from its heaps,
///   where small blocks that live on settle between them, and keep whole pages from being given
///   back.
#[cfg_attr(
    target_env = "gnu",
    expect(unsafe_code, reason = "mallopt(3) has no safe wrapper")
)]
pub fn bound_heaps(most: usize) {
    /// Larger than every buffer of a request's way, for which a system call would be much.
    #[cfg(target_env = "gnu")]
    const LARGE: core::ffi::c_int = 128 << 10;
    /// A heap's end is given back from here on; by itself it would be from twice what was
    /// learnt. What is less is given back by [`release_memory`], not by whoever frees.
    #[cfg(target_env = "gnu")]
    const END: core::ffi::c_int = 4 << 20;
    let most = i32::try_from(most.clamp(1, 64)).unwrap_or(1);
    #[cfg(target_env = "gnu")]
    for (what, value) in [
        (libc::M_ARENA_MAX, most),
        (libc::M_MMAP_THRESHOLD, LARGE),
        (libc::M_TRIM_THRESHOLD, END),
    ] {
        // SAFETY: mallopt(3) with these parameters stores a number; other threads, were there
        // any, read it under the allocator's own lock.
        let _taken = unsafe { libc::mallopt(what, value) };
    }
    #[cfg(not(target_env = "gnu"))]
    let _unused = most;
}

/// Lets this thread step back behind the others of the process: it does not interrupt them when
/// it is woken, has a tenth of their weight where there is too little processor time, and is
/// interrupted by them (the last from Linux 6.12 on). For what nobody waits for; it still gets
/// on, so that a lock it holds is let go. Where the kernel refuses, everything stays as it was.
#[expect(unsafe_code, reason = "no crate of ours wraps sched_setattr(2)")]
pub fn step_back() {
    /// sched_setattr(2)'s argument in its first form, 48 bytes.
    #[repr(C)]
    struct Attributes {
        size: u32,
        policy: u32,
        flags: u64,
        nice: i32,
        priority: u32,
        runtime: u64,
        deadline: u64,
        period: u64,
    }
    let wanted = Attributes {
        size: size_of::<Attributes>() as u32,
        policy: libc::SCHED_BATCH as u32,
        flags: 0,
        // Never forward: the whole process may have been told to be nicer than that.
        nice: getpriority_process(None).map_or(10, |own| own.max(10)),
        priority: 0,
        // The time it asks for at once, in nanoseconds: whoever asks for less goes first.
        runtime: 20_000_000,
        deadline: 0,
        period: 0,
    };
    let own: libc::pid_t = 0;
    let no_flags: libc::c_uint = 0;
    // SAFETY: the kernel reads `size` bytes of the structure, which outlives the call, and
    // writes `size` only, and that only when it is larger than what the kernel knows.
    let _as_it_was = unsafe {
        libc::syscall(
            libc::SYS_sched_setattr,
            own,
            core::ptr::from_ref(&wanted),
            no_flags,
        )
    };
}

/// Gives memory that lies free within the allocator back to the kernel: what reading rules
/// and configurations took for a moment. With another C library than glibc it does nothing.
/// Takes milliseconds and holds up other threads' allocations meanwhile: call it after a
/// start or a reload, never on a request's way.
#[cfg_attr(
    target_env = "gnu",
    expect(unsafe_code, reason = "malloc_trim(3) has no safe wrapper")
)]
pub fn release_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim(3) may be called from any thread at any time, with any padding;
    // it touches nothing but what nobody holds.
    let _anything_given = unsafe { libc::malloc_trim(0) };
}
